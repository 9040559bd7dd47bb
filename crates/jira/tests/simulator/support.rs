//! A simulated Jira and a connection to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use ticketing_core::clock::Clock;
use ticketing_core::fault::Fault;
use ticketing_core::incident::{Incident, IncidentFields};
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::secret::{Secret, SecretKind};
use ticketing_core::system::{Created, Dialing, Rendered, Search, SearchResult, TicketDraft, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_egress::HttpClient;
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_jira::{Flags, Jira, Settings, SettingsDraft};
use ticketing_simulator::{Call, Effect, Profile, Rule, Simulator, Vendor, When};

use crate::incidents;

pub(crate) const WITHIN: Duration = Duration::from_secs(5);

/// A simulator, and an adapter configured for it.
pub(crate) struct Site {
    pub(crate) simulator: Simulator,
    pub(crate) jira: Jira,
    pub(crate) clock: Arc<HandClock>,
}

/// A clock that moves only when it is set.
#[derive(Debug, Default)]
pub(crate) struct HandClock(Mutex<Timestamp>);

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Site {
    pub(crate) async fn cloud() -> Self {
        Self::cloud_with(Profile::of(Vendor::JiraCloud)).await
    }

    pub(crate) async fn cloud_with(profile: Profile) -> Self {
        Self::with(Vendor::JiraCloud, profile, &api_token("cloud-api-token"), |_| {}).await
    }

    pub(crate) async fn data_center() -> Self {
        Self::data_center_with(Profile::of(Vendor::JiraDataCenter)).await
    }

    pub(crate) async fn data_center_with(profile: Profile) -> Self {
        Self::with(Vendor::JiraDataCenter, profile, &pat("data-center-pat"), |_| {}).await
    }

    pub(crate) async fn with(
        vendor: Vendor,
        profile: Profile,
        secret: &Secret,
        change: impl FnOnce(&mut SettingsDraft),
    ) -> Self {
        let simulator = Simulator::start(vendor, profile).await.unwrap();
        let mut draft = SettingsDraft {
            url: Some(simulator.base_url()),
            email: Some("analyst@example.com".to_owned()),
            project_key: Some("SEC".to_owned()),
            labels: Some(vec!["soc".to_owned()]),
            ..SettingsDraft::default()
        };
        change(&mut draft);
        let mut violations = Violations::default();
        let settings = Settings::parse(&draft, Some(secret), "jira", &mut violations);
        let settings = settings.unwrap_or_else(|| panic!("{violations}"));
        let clock = Arc::new(HandClock::default());
        let here = AddressPolicy::permitting(vec!["127.0.0.1".parse().unwrap()]);
        let jira = Jira::new(
            settings,
            HttpClient::new(clock.clone(), WITHIN, here.into()).unwrap(),
            Flags::default(),
        );
        Self { simulator, jira, clock }
    }

    pub(crate) async fn push(&self, ticket_draft: &TicketDraft) -> Result<(Rendered, Created), Fault> {
        let rendered = self.jira.prepare(ticket_draft).await?;
        let created = self.jira.create(ticket_draft, &rendered, Dialing::default(), WITHIN).await?;
        Ok((rendered, created))
    }

    pub(crate) async fn look_up(
        &self,
        ticket_draft: &TicketDraft,
        canaries: &[&TicketDraft],
    ) -> Result<SearchResult, Fault> {
        let canaries = canaries.iter().map(|ticket_draft| ticket_draft.marker.clone()).collect();
        let search = Search {
            marker: ticket_draft.marker.clone(),
            destination: self.jira.destination(),
            marker_in_text: false,
            canaries,
        };
        self.jira.look_up(&search).await
    }

    pub(crate) fn inject(&self, on: Call, then: Effect) {
        self.simulator.faults().push(Rule::new(on, When::Always, then));
    }

    /// The fields of the one ticket that exists.
    pub(crate) fn only_ticket(&self) -> Value {
        let tickets = self.simulator.tickets();
        assert_eq!(tickets.len(), 1);
        Value::Object(tickets[0].fields.clone())
    }
}

pub(crate) fn api_token(value: &str) -> Secret {
    Secret::new(SecretKind::ApiToken, value)
}

pub(crate) fn pat(value: &str) -> Secret {
    Secret::new(SecretKind::PersonalAccessToken, value)
}

pub(crate) fn ticket_draft(id: &str) -> TicketDraft {
    let mut fields = incidents::full();
    id.clone_into(&mut fields.id);
    ticket_draft_of(fields)
}

pub(crate) fn ticket_draft_of(fields: IncidentFields) -> TicketDraft {
    let marker = Marker::derive(&InstallationKey::new([7; 32]), &fields.id, "jira");
    TicketDraft { incident: Incident::try_new(fields, "incident").unwrap(), marker }
}

/// The fields that were adjusted.
pub(crate) fn adjusted(adjustments: &[ticketing_core::system::Adjustment]) -> Vec<&str> {
    adjustments.iter().map(|adjustment| adjustment.field.as_str()).collect()
}
