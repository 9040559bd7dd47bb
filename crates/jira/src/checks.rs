//! Proving a connection step by step, writing nothing.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::risk::RiskLevel;
use ticketing_core::system::Check;

use crate::client::{Api, Client};
use crate::meta::{self, Offer, Priorities};
use crate::priority;
use crate::settings::{Flavour, Settings};
use crate::wire::{Myself, Permissions, Project, ServerInfo};

const REQUIRED: [&str; 2] = ["BROWSE_PROJECTS", "CREATE_ISSUES"];

/// What a step found.
type Step = Result<String, Fault>;

/// Walks the steps in order. After one that failed, those that depend on it are not tried.
pub(crate) struct Tester<'a> {
    client: &'a Client,
    settings: &'a Settings,
    clock: &'a dyn Clock,
    flavour: Flavour,
    checks: Vec<Check>,
}

// === impl Tester ===

impl<'a> Tester<'a> {
    pub(crate) fn new(
        client: &'a Client,
        settings: &'a Settings,
        clock: &'a dyn Clock,
        flavour: Flavour,
    ) -> Self {
        Self { client, settings, clock, flavour, checks: Vec::new() }
    }

    /// The checks, and which Jira it turned out to be.
    pub(crate) async fn run(mut self) -> (Vec<Check>, Option<Flavour>) {
        let (began, step) = (self.clock.now(), self.reach().await);
        self.note_reach(began, step);
        let api = if self.flavour == Flavour::Cloud { Api::V3 } else { Api::V2 };
        if self.go_on("authentication") {
            let (began, step) = (self.clock.now(), self.authentication(api).await);
            self.note("authentication", began, step);
        }
        if self.go_on("project") {
            let (began, step) = (self.clock.now(), self.project(api).await);
            self.note("project", began, step);
        }
        if self.go_on("create_permission") {
            let (began, step) = (self.clock.now(), self.create_permission(api).await);
            self.note("create_permission", began, step);
        }
        if self.go_on("issue_type") {
            self.offer(api).await;
        } else {
            self.go_on("priority");
            self.go_on("labels");
        }
        (self.checks, Some(self.flavour).filter(|flavour| *flavour != Flavour::Auto))
    }

    async fn reach(&mut self) -> Step {
        let api = if self.flavour == Flavour::Cloud { Api::V3 } else { Api::V2 };
        let answer = self.client.read::<ServerInfo>(api, &["serverInfo"], &[]).await?;
        let (info, cloud) = (&answer.value, answer.value.deployment_type == "Cloud");
        if self.flavour == Flavour::Auto {
            self.flavour = if cloud { Flavour::Cloud } else { Flavour::DataCenter };
        }
        let kind = if cloud { "Jira Cloud".to_owned() } else { format!("Jira Data Center {}", info.version) };
        Ok(format!("{} is {}", self.settings.site.as_text(), kind.trim()))
    }

    async fn authentication(&self, api: Api) -> Step {
        let answer = self.client.read::<Myself>(api, &["myself"], &[]).await?;
        let me = answer.value;
        let Some(name) = me.display_name.or(me.name).or(me.key).or(me.account_id) else {
            let fault = Fault::new(FaultKind::Unauthorized, "Jira did not say who is logged in");
            return Err(fault.with_hint("check jira.email and the API token (or the personal access token)"));
        };
        Ok(format!("logged in as {name}"))
    }

    async fn project(&self, api: Api) -> Step {
        let key = self.settings.project_key.as_str();
        let answer = self.client.read::<Project>(api, &["project", key], &[]).await?;
        let project = answer.value;
        if project.archived {
            let message = format!("project {} is archived", project.key);
            let hint = "restore the project or set jira.project_key to another";
            return Err(Fault::new(FaultKind::Misconfigured, message).with_hint(hint));
        }
        Ok(format!("project {} ({})", project.key, project.name))
    }

    async fn create_permission(&self, api: Api) -> Step {
        let key = self.settings.project_key.as_str();
        let asked = REQUIRED.join(",");
        let query = [("projectKey", key), ("permissions", asked.as_str())];
        // Data Center knows no such parameter, and tells them all.
        let query = if api == Api::V3 { &query[..] } else { &query[..1] };
        let answer = self.client.read::<Permissions>(api, &["mypermissions"], query).await?;
        let granted = |name: &&str| answer.value.permissions.get(*name).is_some_and(|it| it.have_permission);
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| !granted(name)).collect();
        if missing.is_empty() {
            return Ok(format!("the account may browse {key} and create issues in it"));
        }
        let message = format!("the account lacks {} in project {key}", missing.join(" and "));
        let hint = "grant the account Browse projects and Create issues in the project's permission scheme";
        Err(Fault::new(FaultKind::Forbidden, message).with_hint(hint))
    }

    async fn offer(&mut self, api: Api) {
        let settings = self.settings;
        let began = self.clock.now();
        let offer = meta::offer(self.client, api, &settings.project_key, &settings.issue_type).await;
        self.note("issue_type", began, offer.as_ref().map(issue_type).map_err(Clone::clone));
        match offer {
            Ok(offer) => self.checks.extend(field_checks(&offer)),
            Err(_) => {
                self.go_on("priority");
                self.go_on("labels");
            }
        }
    }

    /// A Jira that refuses the login was reached; the login is not tried a second time.
    fn note_reach(&mut self, began: Timestamp, step: Step) {
        match step {
            Err(fault) if is_login(fault.kind) => {
                self.note("reach", began, Ok(format!("{} answers", self.settings.site.as_text())));
                self.note("authentication", began, Err(fault));
            }
            step => self.note("reach", began, step),
        }
    }

    fn note(&mut self, name: &str, began: Timestamp, step: Step) {
        let duration = self.clock.now().duration_since(began).unsigned_abs();
        self.checks.push(match step {
            Ok(detail) => Check::passed(name, detail, duration),
            Err(fault) => Check::failed(name, &fault, duration),
        });
    }

    /// Whether every step so far passed; if not, the next one is noted as not tried.
    fn go_on(&mut self, name: &str) -> bool {
        if self.checks.iter().any(|check| check.name == name) {
            return false;
        }
        let Some(failed) = self.checks.iter().find(|check| !check.passed) else { return true };
        let detail = format!("not tried: {} failed", failed.name);
        let check = Check { passed: false, ..Check::passed(name, detail, Duration::ZERO) };
        self.checks.push(check);
        false
    }
}

fn is_login(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Unauthorized | FaultKind::LockedOut)
}

fn issue_type(offer: &Offer) -> String {
    let mut remarks: Vec<&str> = offer.remarks.iter().map(|remark| remark.reason.as_str()).collect();
    remarks.dedup();
    match remarks.as_slice() {
        [] => format!("issue type {}", offer.issue_type.name),
        remarks => format!("issue type {}; {}", offer.issue_type.name, remarks.join("; ")),
    }
}

/// Priority and labels never fail a test: a ticket goes out without them.
fn field_checks(offer: &Offer) -> [Check; 2] {
    let priority = match &offer.priorities {
        Priorities::Offered(offered) => priorities(offered),
        Priorities::OffScreen => {
            "not on the create screen: tickets go without a priority of their own".to_owned()
        }
        Priorities::Unknown => "could not be checked".to_owned(),
    };
    let labels = if offer.labels {
        "on the create screen: tickets bear their marker as a label"
    } else {
        "not on the create screen: tickets bear their marker in the description"
    };
    let passed = |name: &str, detail: String| Check::passed(name, detail, Duration::ZERO);
    [passed("priority", priority), passed("labels", labels.to_owned())]
}

fn priorities(offered: &[crate::wire::Named]) -> String {
    let levels = [RiskLevel::Critical, RiskLevel::High, RiskLevel::Medium, RiskLevel::Low];
    let pair = |level: RiskLevel| {
        let name = priority::choose(level, offered).0.map_or_else(|| "none".to_owned(), |choice| choice.name);
        format!("{} -> {name}", level.as_str())
    };
    levels.map(pair).join(", ")
}
