//! The `TicketSystem` of ServiceNow.

use std::time::Duration;

use async_trait::async_trait;
use ticketing_core::content_settings::{MappedContent, Mapping};
use ticketing_core::fault::Fault;
use ticketing_core::system::{
    Adjustment, Authorship, Check, Created, Destination, Dialing, Login, ReadTicket, Rendered, Search,
    SearchResult, TicketDraft, TicketRef, TicketSystem, Visibility,
};
use ticketing_egress::HttpClient;

use crate::check::{self, MappedColumns};
use crate::client::Client;
use crate::columns::{self, Applied, Dictionary, KnownDictionary, Place, References};
use crate::create;
use crate::group::KnownGroup;
use crate::look_up;
use crate::priority::ImpactUrgency;
use crate::read;
use crate::settings::{AssignmentGroup, Settings};
use crate::ticket::{self, Mapped};

/// One ServiceNow instance, one account on it, one table.
#[derive(Debug)]
pub struct ServiceNow {
    settings: Settings,
    client: Client,
    group: KnownGroup,
    mapping: Mapping,
    dictionary: KnownDictionary,
    references: References,
}

// === impl ServiceNow ===

impl ServiceNow {
    #[must_use]
    pub fn new(settings: Settings, client: HttpClient) -> Self {
        let client = Client::new(&settings, client);
        Self {
            settings,
            client,
            group: KnownGroup::default(),
            mapping: Mapping::default(),
            dictionary: KnownDictionary::default(),
            references: References::default(),
        }
    }

    /// The same with what an operator decides about the content of tickets.
    #[must_use]
    pub fn with_mapping(self, mapping: Mapping) -> Self {
        Self { mapping, ..self }
    }

    fn place<'p>(&'p self, dictionary: &'p Dictionary) -> Place<'p> {
        Place { dictionary, references: &self.references, now: self.client.now() }
    }

    /// The mapped columns, with the records among their values looked up.
    async fn applied(&self, content: &MappedContent) -> Result<Applied, Fault> {
        if content.fields.is_empty() {
            return Ok(Applied::default());
        }
        let dictionary = self.dictionary.read(&self.client, &self.settings.table).await;
        let applied = columns::apply_online(content, self.place(&dictionary), &self.client).await?;
        match applied.fault() {
            Some(fault) => {
                // The columns may have changed meanwhile.
                self.dictionary.forget();
                Err(fault)
            }
            None => Ok(applied),
        }
    }

    /// The same, if it takes no network call.
    fn applied_from_memory(&self, content: &MappedContent) -> Option<Applied> {
        if content.fields.is_empty() {
            return Some(Applied::default());
        }
        let dictionary = self.dictionary.recall(self.client.now())?;
        let applied = columns::apply(content, self.place(&dictionary));
        (applied.faults.is_empty() && applied.unknown.is_empty()).then_some(applied)
    }

    /// A ticket reference with its URL for people.
    fn published(&self, ticket: TicketRef) -> TicketRef {
        match ticket.url.strip_prefix(&self.settings.origin()) {
            Some(page) => TicketRef { url: format!("{}{page}", self.settings.public_origin()), ..ticket },
            None => ticket,
        }
    }

    fn weight(&self, ticket_draft: &TicketDraft) -> ImpactUrgency {
        self.settings.priorities.of_level(ticket_draft.incident.risk_level())
    }
}

#[async_trait]
impl TicketSystem for ServiceNow {
    /// The URL of a record needs its `sys_id`.
    fn ticket_url(&self, _key: &str) -> Option<String> {
        None
    }

    /// An instance locks an account after a few consecutive wrong passwords.
    fn login(&self) -> Login {
        let name = format!("{} {}", self.settings.origin(), self.settings.username);
        Login { name, is_lockable: true }
    }

    fn destination(&self) -> Destination {
        Destination { base_url: self.settings.origin(), place: self.settings.table.clone() }
    }

    fn made_by(&self) -> Authorship {
        Authorship { account: self.settings.username.clone(), issue_type: String::new() }
    }

    /// The Table API reads the primary database.
    fn visibility(&self) -> Visibility {
        Visibility::Immediate
    }

    async fn prepare(&self, ticket_draft: &TicketDraft) -> Result<Rendered, Fault> {
        let content = self.mapping.apply(&ticket_draft.incident);
        let applied = self.applied(&content).await?;
        let mapped = Mapped { content: &content, applied };
        let Some(wanted) = &self.settings.assignment_group else {
            return Ok(ticket::render(ticket_draft, self.weight(ticket_draft), "", mapped));
        };
        let assigned = self.group.resolve(&self.client, wanted).await?;
        let mut rendered = ticket::render(ticket_draft, self.weight(ticket_draft), &assigned.sys_id, mapped);
        rendered.adjustments.extend(assigned.remark);
        Ok(rendered)
    }

    fn prepare_from_memory(&self, ticket_draft: &TicketDraft) -> Option<Rendered> {
        let assigned = match &self.settings.assignment_group {
            Some(_) => self.group.recall(self.client.now())?.sys_id,
            None => String::new(),
        };
        let content = self.mapping.apply(&ticket_draft.incident);
        let applied = self.applied_from_memory(&content)?;
        let mapped = Mapped { content: &content, applied };
        Some(ticket::render(ticket_draft, self.weight(ticket_draft), &assigned, mapped))
    }

    fn render_offline(&self, ticket_draft: &TicketDraft) -> Rendered {
        let group = self.settings.assignment_group.as_ref();
        let content = self.mapping.apply(&ticket_draft.incident);
        let mut applied = columns::apply(&content, self.place(&Dictionary::default()));
        applied.note_problems();
        let mut rendered = ticket::render(
            ticket_draft,
            self.weight(ticket_draft),
            group.map(AssignmentGroup::as_str).unwrap_or_default(),
            Mapped { content: &content, applied },
        );
        if let Some(group) = group {
            let reason = format!("not checked whether there is one group \"{}\"", group.as_str());
            rendered.adjustments.push(Adjustment::new("assignment_group", reason));
        }
        let reason = "not checked: ServiceNow computes it from impact and urgency";
        rendered.adjustments.push(Adjustment::new("priority", reason));
        rendered
    }

    fn dial(&self) -> Dialing {
        self.client.dial()
    }

    async fn create(
        &self,
        ticket_draft: &TicketDraft,
        rendered: &Rendered,
        dialing: Dialing,
        within: Duration,
    ) -> Result<Created, Fault> {
        let deadline = self.client.deadline(within);
        let insert =
            create::Insert { destination: &self.destination(), marker: &ticket_draft.marker, rendered };
        let outcome = create::create(&self.client, insert, dialing, deadline).await;
        let as_sent = outcome.as_ref().is_ok_and(|created| created.adjustments.is_empty());
        if !as_sent {
            self.group.forget();
            self.dictionary.forget();
        }
        outcome.map(|created| Created { ticket: self.published(created.ticket), ..created })
    }

    async fn look_up(&self, search: &Search) -> Result<SearchResult, Fault> {
        let mut search_result = look_up::look_up(&self.client, &self.settings.origin(), search).await?;
        for found in &mut search_result.tickets {
            found.ticket = self.published(found.ticket.clone());
        }
        Ok(search_result)
    }

    async fn read(&self, destination: &Destination, id_or_key: &str) -> Result<Option<ReadTicket>, Fault> {
        let read = read::read(&self.client, &self.settings.origin(), destination, id_or_key).await?;
        Ok(read.map(|read| ReadTicket { ticket: self.published(read.ticket), ..read }))
    }

    async fn test(&self) -> Vec<Check> {
        let mapped = MappedColumns {
            mapping: &self.mapping,
            dictionary: &self.dictionary,
            references: &self.references,
        };
        check::run(&self.client, &self.settings, mapped).await
    }
}
