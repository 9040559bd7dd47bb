//! The `TicketSystem` of Jira.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use ticketing_core::clock::Clock;
use ticketing_core::content_settings::{MappedContent, Mapping};
use ticketing_core::evidence::token_fingerprint;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::{
    Authorship, Check, Created, Destination, Dialing, Login, ReadTicket, Rendered, Search, SearchResult,
    TicketDraft, TicketRef, TicketSystem, Visibility,
};
use ticketing_egress::HttpClient;

use crate::checks::{MappedFields, Tester};
use crate::client::{Api, Client};
use crate::fields::{self, Applied, Place, Users};
use crate::meta::{self, Offer};
use crate::settings::{self, Flavour, Settings};
use crate::site::Site;
use crate::ticket::Mapped;
use crate::vendor::Flags;
use crate::wire::{Myself, ServerInfo};
use crate::{create, faults, look_up, read, ticket};

/// Timeout of reads that only improve links.
const GLANCE: Duration = Duration::from_secs(2);
/// Timeout of one read.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Lifetime of cached create metadata.
const OFFER_AGE: Duration = Duration::from_secs(300);
/// How long create metadata is not requested again after Jira did not return it.
const ASSUMED_OFFER_AGE: Duration = Duration::from_secs(60);

/// A Jira project, and the account that writes to it.
#[derive(Debug)]
pub struct Jira {
    settings: Settings,
    flags: Flags,
    client: Client,
    clock: Arc<dyn Clock>,
    /// The detected flavor.
    detected: OnceLock<Flavour>,
    offer: Mutex<Option<(Timestamp, Offer)>>,
    mapping: Mapping,
    users: Users,
    /// The URL for people that Jira reports; the inner value is `None` if it reported no usable one.
    public: Mutex<Option<Option<Site>>>,
    /// A create had to put the marker into the description although the project offered labels.
    labels_were_refused: AtomicBool,
}

// === impl Jira ===

impl Jira {
    #[must_use]
    pub fn new(settings: Settings, client: HttpClient, flags: Flags) -> Self {
        let clock = client.clock();
        let client = Client::new(client, settings.clone(), READ_TIMEOUT);
        Self {
            settings,
            flags,
            client,
            clock,
            detected: OnceLock::new(),
            offer: Mutex::new(None),
            mapping: Mapping::default(),
            users: Users::default(),
            public: Mutex::new(None),
            labels_were_refused: AtomicBool::new(false),
        }
    }

    /// The same with what an operator decides about the content of tickets.
    #[must_use]
    pub fn with_mapping(self, mapping: Mapping) -> Self {
        Self { mapping, ..self }
    }

    /// The mapped fields, with the people among their values looked up.
    async fn applied(&self, content: &MappedContent, api: Api, offer: &Offer) -> Result<Applied, Fault> {
        fields::apply_online(content, &self.place(api, offer), &self.client, &self.settings.project_key).await
    }

    fn place<'p>(&'p self, api: Api, offer: &'p Offer) -> Place<'p> {
        Place { api, fields: offer.known_fields(), users: &self.users, absent: &[], now: self.clock.now() }
    }

    /// The flavor, as far as known without a call.
    fn known_flavour(&self) -> Flavour {
        match self.settings.flavour {
            Flavour::Auto => self.detected.get().copied().unwrap_or_default(),
            flavour => flavour,
        }
    }

    async fn api(&self) -> Result<Api, Fault> {
        if self.known_flavour() == Flavour::Auto {
            let _ = self.detected.set(self.find_flavour().await?);
        }
        Ok(self.assumed_api())
    }

    /// Detects the flavor. A Jira that does not report it is recognized by its address, or by how it
    /// identifies accounts.
    async fn find_flavour(&self) -> Result<Flavour, Fault> {
        let budget = self.client.optional_budget();
        match self.client.read_within::<ServerInfo>(Api::V2, &["serverInfo"], &[], budget).await {
            Ok(info) => {
                self.note_public(&info.value);
                Ok(info.value.flavour())
            }
            Err(fault) if faults::is_final(fault.kind) => Err(fault),
            Err(_) if self.settings.is_cloud() => Ok(Flavour::Cloud),
            Err(_) => Ok(self.client.read::<Myself>(Api::V2, &["myself"], &[]).await?.value.flavour()),
        }
    }

    /// The API of the known flavor, or of Data Center while unknown.
    fn assumed_api(&self) -> Api {
        match self.known_flavour() {
            Flavour::Cloud => Api::V3,
            Flavour::DataCenter | Flavour::Auto => Api::V2,
        }
    }

    /// URL of the site for people: from the settings, else as Data Center reports it, else the called URL.
    fn people_site(&self) -> Site {
        let reported = self.public.lock().unwrap_or_else(PoisonError::into_inner).clone().flatten();
        self.settings.public_site.clone().or(reported).unwrap_or_else(|| self.settings.site.clone())
    }

    fn knows_public_url(&self, api: Api) -> bool {
        let is_reported = self.public.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        api == Api::V3 || is_reported || self.settings.public_site.is_some()
    }

    /// Reads the URL for people once, for a Data Center that no other call has detected. Only links depend on
    /// it.
    async fn read_public_url(&self, api: Api) {
        if self.knows_public_url(api) {
            return;
        }
        match self.client.read_within::<ServerInfo>(api, &["serverInfo"], &[], GLANCE).await {
            Ok(info) => self.note_public(&info.value),
            Err(_) => *self.public.lock().unwrap_or_else(PoisonError::into_inner) = Some(None),
        }
    }

    /// A Cloud site has one URL for people and calls.
    fn note_public(&self, info: &ServerInfo) {
        let reported = info.base_url.as_deref().filter(|_| info.flavour() == Flavour::DataCenter);
        let site = reported.and_then(|reported| self.settings.site.public(reported));
        *self.public.lock().unwrap_or_else(PoisonError::into_inner) = Some(site);
    }

    /// What the project offers, if it was read a short time ago.
    fn known_offer(&self) -> Option<Offer> {
        let known = self.offer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (at, offer) = known?;
        let age = self.clock.now().duration_since(at).unsigned_abs();
        (age < if offer.is_known { OFFER_AGE } else { ASSUMED_OFFER_AGE }).then_some(offer)
    }

    async fn offer(&self, api: Api) -> Result<Offer, Fault> {
        if let Some(offer) = self.known_offer() {
            return Ok(offer);
        }
        let now = self.clock.now();
        let project = &self.settings.project_key;
        let issue_type = &self.settings.issue_type;
        let offer = meta::offer(&self.client, api, project, issue_type).await?;
        *self.offer.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, offer.clone()));
        Ok(offer)
    }

    /// The login must not be sent to another site.
    fn check_site(&self, destination: &Destination) -> Result<(), Fault> {
        if self.destination().base_url == destination.base_url {
            return Ok(());
        }
        let message = format!("the ticket was sent to {}", destination.base_url);
        let hint = "jira.url now names another site, and the login is never sent to the former one: resolve the delivery by hand";
        Err(Fault::new(FaultKind::Misconfigured, message).with_hint(hint))
    }

    fn invalidate_offer(&self) {
        *self.offer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[async_trait]
impl TicketSystem for Jira {
    fn destination(&self) -> Destination {
        Destination { base_url: self.settings.base_url(), place: self.settings.project_key.clone() }
    }

    /// Data Center requires a CAPTCHA after a few consecutive wrong passwords. API tokens of Cloud and
    /// personal access tokens are not counted. Until the flavor is known, a password is assumed.
    fn login(&self) -> Login {
        let is_cloud = self.known_flavour() == Flavour::Cloud;
        let account = self.settings.login.user().unwrap_or_default();
        let is_lockable = self.settings.login.user().is_some() && !is_cloud;
        Login { name: format!("{} {account}", self.settings.origin()), is_lockable }
    }

    fn made_by(&self) -> Authorship {
        let account = match &self.settings.login {
            settings::Login::Basic { user, .. } => user.clone(),
            settings::Login::Bearer { token } => {
                format!("token {}", token_fingerprint(token.expose_secret()))
            }
        };
        Authorship { account, issue_type: self.settings.issue_type.clone() }
    }

    fn ticket_url(&self, key: &str) -> Option<String> {
        Some(self.people_site().join(&["browse", key]).to_string())
    }

    /// Until the flavor is known, the longer bound applies.
    fn visibility(&self) -> Visibility {
        Visibility::Indexed(match self.known_flavour() {
            Flavour::Cloud => self.flags.jira_cloud_index_bound,
            Flavour::DataCenter | Flavour::Auto => self.flags.jira_data_center_index_bound,
        })
    }

    async fn prepare(&self, ticket_draft: &TicketDraft) -> Result<Rendered, Fault> {
        let api = self.api().await?;
        let offer = self.offer(api).await?;
        if !offer.labels && !offer.description {
            return Err(ticket::without_marker());
        }
        let content = self.mapping.apply(&ticket_draft.incident);
        let applied = self.applied(&content, api, &offer).await?;
        if let Some(fault) = applied.fault() {
            // The fields of the project may have changed meanwhile.
            self.invalidate_offer();
            return Err(fault);
        }
        self.read_public_url(api).await;
        let mapped = Mapped { content: &content, applied };
        Ok(ticket::render(&self.settings, api, &offer, ticket_draft, mapped))
    }

    fn prepare_from_memory(&self, ticket_draft: &TicketDraft) -> Option<Rendered> {
        let api = self.assumed_api();
        let offer = self.known_offer().filter(|offer| offer.labels || offer.description)?;
        if self.known_flavour() == Flavour::Auto || !self.knows_public_url(api) {
            return None;
        }
        let content = self.mapping.apply(&ticket_draft.incident);
        let applied = fields::apply(&content, &self.place(api, &offer));
        if !applied.faults.is_empty() || !applied.unknown_users.is_empty() {
            return None;
        }
        let mapped = Mapped { content: &content, applied };
        Some(ticket::render(&self.settings, api, &offer, ticket_draft, mapped))
    }

    fn render_offline(&self, ticket_draft: &TicketDraft) -> Rendered {
        let offer = Offer::assumed(&self.settings.issue_type, "not checked against the project");
        let api = self.assumed_api();
        let content = self.mapping.apply(&ticket_draft.incident);
        let mut applied = fields::apply(&content, &self.place(api, &offer));
        applied.note_problems();
        let mapped = Mapped { content: &content, applied };
        ticket::render(&self.settings, api, &offer, ticket_draft, mapped)
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
        let known = self.offer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let content = self.mapping.apply(&ticket_draft.incident);
        let api = self.assumed_api();
        let unknown = Offer::assumed(&self.settings.issue_type, "");
        let offer = known.as_ref().map_or(&unknown, |(_, offer)| offer);
        let applied = fields::apply(&content, &self.place(api, offer));
        let site = create::Site {
            droppable: applied.droppable,
            settings: applied.settings,
            introduction: content.introduction.and_then(Result::ok),
            client: &self.client,
            project: &self.settings.project_key,
            takes_description: offer.is_known && offer.description,
            labels_were_refused: &self.labels_were_refused,
        };
        let created = create::create(&site, ticket_draft, rendered, dialing, within).await;
        // After a refusal, the cached offer of the project may be outdated; a rate limit says nothing about it.
        let is_confirmed = match &created {
            Ok((_, adjustments)) => adjustments.is_empty(),
            Err(fault) => fault.kind == FaultKind::RateLimited,
        };
        if !is_confirmed {
            self.invalidate_offer();
        }
        let (issue, adjustments) = created?;
        let url = self.ticket_url(&issue.key).unwrap_or_default();
        Ok(Created { ticket: TicketRef { id: issue.id, key: issue.key, url }, adjustments })
    }

    async fn look_up(&self, search: &Search) -> Result<SearchResult, Fault> {
        self.check_site(&search.destination)?;
        let api = self.api().await?;
        let labelled = !search.marker_in_text && !self.labels_were_refused.load(Ordering::Relaxed);
        let site = self.people_site();
        let place = look_up::Place { project: &search.destination.place, site: &site, labelled };
        look_up::look_up(&self.client, api, search, &place).await
    }

    async fn read(&self, destination: &Destination, id_or_key: &str) -> Result<Option<ReadTicket>, Fault> {
        self.check_site(destination)?;
        let api = self.api().await?;
        read::read(&self.client, api, &self.people_site(), id_or_key).await
    }

    async fn test(&self) -> Vec<Check> {
        let mapped = MappedFields { mapping: &self.mapping, users: &self.users };
        let tester =
            Tester::new(&self.client, &self.settings, self.clock.as_ref(), self.known_flavour(), mapped);
        let (checks, reported, info) = tester.run().await;
        info.iter().for_each(|info| self.note_public(info));
        if let Some(flavour) = reported {
            let _ = self.detected.set(flavour);
        }
        self.invalidate_offer();
        checks
    }
}
