//! An instance, an account on it, and an incident.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use ticketing_core::clock::Clock;
use ticketing_core::fault::Fault;
use ticketing_core::incident::{Activity, Actor, ActorKind, Incident, IncidentFields, Risk, Timeline};
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::system::{Created, Dialing, Search, SearchResult, TicketDraft, TicketSystem};
use ticketing_core::violation::Violations;
use ticketing_egress::HttpClient;
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_servicenow::{ServiceNow, Settings, SettingsDraft};
use ticketing_simulator::{Call, Effect, Profile, Reply, Rule, Simulator, Vendor, When};

pub(crate) const GROUP: &str = "Security Operations";
pub(crate) const GROUP_ID: &str = "d625dccec0a8016700a222a0f7900d06";
pub(crate) const PASSWORD: &str = "servicenow-password";
pub(crate) const WITHIN: Duration = Duration::from_secs(5);

/// A clock that moves only when it is set.
#[derive(Debug, Default)]
pub(crate) struct StillClock(Mutex<Timestamp>);

pub(crate) struct Site {
    pub(crate) simulator: Simulator,
    pub(crate) system: ServiceNow,
    pub(crate) clock: Arc<StillClock>,
}

// === impl StillClock ===

impl StillClock {
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().expect("no test panics while it holds the clock");
        *now = now.saturating_add(by).expect("a time that can be shown");
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panics while it holds the clock")
    }
}

// === impl Site ===

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, |draft| draft.assignment_group = Some(GROUP.to_owned())).await
    }

    /// An instance with this profile.
    pub(crate) async fn of(change: impl FnOnce(&mut Profile)) -> Self {
        Self::with(change, |_| {}).await
    }

    pub(crate) async fn with(
        change: impl FnOnce(&mut Profile),
        configure: impl FnOnce(&mut SettingsDraft),
    ) -> Self {
        let mut profile = Profile::of(Vendor::ServiceNow);
        change(&mut profile);
        let simulator = Simulator::start(Vendor::ServiceNow, profile).await.expect("a free port");
        let mut draft = draft(&simulator);
        configure(&mut draft);
        let clock = Arc::new(StillClock::default());
        let system = connect(&draft, PASSWORD, clock.clone());
        Self { simulator, system, clock }
    }

    pub(crate) fn strike(&self, call: Call, effect: Effect) {
        self.simulator.faults().push(Rule::new(call, When::Always, effect));
    }

    pub(crate) fn answer(&self, call: Call, reply: Reply) {
        self.strike(call, Effect::Answer(reply));
    }

    /// Prepares and creates.
    pub(crate) async fn push(&self, ticket_draft: &TicketDraft) -> Result<Created, Fault> {
        let rendered = self.system.prepare(ticket_draft).await?;
        self.system.create(ticket_draft, &rendered, Dialing::default(), WITHIN).await
    }

    pub(crate) async fn look_up(&self, ticket_draft: &TicketDraft) -> Result<SearchResult, Fault> {
        self.system.look_up(&self.search(ticket_draft)).await
    }

    pub(crate) fn search(&self, ticket_draft: &TicketDraft) -> Search {
        let destination = self.system.destination();
        Search {
            marker: ticket_draft.marker.clone(),
            destination,
            marker_in_text: false,
            canaries: Vec::new(),
        }
    }

    /// The only ticket.
    pub(crate) fn only_ticket(&self) -> ticketing_simulator::Ticket {
        let mut tickets = self.simulator.tickets();
        assert_eq!(tickets.len(), 1, "exactly one ticket was made");
        tickets.remove(0)
    }
}

pub(crate) fn draft(simulator: &Simulator) -> SettingsDraft {
    SettingsDraft {
        instance: Some(simulator.base_url()),
        username: Some("rhythmx.integration".to_owned()),
        ..SettingsDraft::default()
    }
}

pub(crate) fn connect(draft: &SettingsDraft, password: &str, clock: Arc<StillClock>) -> ServiceNow {
    let mut violations = Violations::default();
    let password = SecretString::from(password);
    let settings = Settings::parse(draft, Some(&password), "servicenow", &mut violations);
    let here = AddressPolicy::permitting(vec!["127.0.0.1".parse().expect("an address")]);
    let client = HttpClient::new(clock, WITHIN, here.into()).expect("a door");
    ServiceNow::new(settings.expect("sound settings"), client)
}

pub(crate) fn fields(id: &str) -> IncidentFields {
    IncidentFields {
        id: id.to_owned(),
        url: "https://rhythmx.example/incidents/1".parse().ok(),
        actor: Actor { name: "jdoe".to_owned(), kind: ActorKind::User, entity: "CORP\\jdoe".to_owned() },
        risk: Risk { score: 92.0, level: None, factors: vec![] },
        activity: Activity {
            alarm_count: 14,
            threat_case_count: 2,
            unique_rule_count: 5,
            primary_rule: "Privilege escalation".to_owned(),
        },
        timeline: Timeline {
            first_alert: Timestamp::UNIX_EPOCH,
            last_alert: Timestamp::UNIX_EPOCH,
            active_duration: None,
        },
        sla: None,
        tactics: vec![],
        techniques: vec![],
        firing_rules: vec![],
        investigation_notes: String::new(),
    }
}

pub(crate) fn ticket_draft(id: &str) -> TicketDraft {
    ticket_draft_of(fields(id))
}

pub(crate) fn ticket_draft_of(fields: IncidentFields) -> TicketDraft {
    let marker = Marker::derive(&InstallationKey::new([7; 32]), &fields.id, "servicenow");
    TicketDraft { incident: Incident::try_new(fields, "incident").expect("a sound incident"), marker }
}
