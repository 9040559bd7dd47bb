//! Tests a connection step by step, without writing.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::content_settings::{Mapping, setting_of};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::risk::RiskLevel;
use ticketing_core::system::Check;

use crate::client::{Api, Client};
use crate::evidence;
use crate::faults;
use crate::fields::{self, Applied, Field, Place, Users};
use crate::meta::{self, Offer, Priorities};
use crate::priority;
use crate::settings::{Flavour, Settings};
use crate::ticket;
use crate::wire::{Myself, Project, ServerInfo};

/// Timeout of one read.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The checked fields of the create screen, in order.
const FIELDS: [&str; 4] = ["priority", "labels", "description", "required_fields"];

/// The check of the mapped fields, if there are any.
const MAPPED: &str = "fields";

/// Maximum number of listed values of a required field.
const MAX_VALUES: usize = 10;

/// Where Jira does not show its create screen.
const UNCHECKED: &str = "could not be checked";

/// The result of a step.
type Step = Result<String, Fault>;

/// Runs the steps in order. After a failed step, those that depend on it are skipped.
pub(crate) struct Tester<'a> {
    client: &'a Client,
    settings: &'a Settings,
    clock: &'a dyn Clock,
    flavour: Flavour,
    mapped: MappedFields<'a>,
    /// Jira's description of itself.
    info: Option<ServerInfo>,
    checks: Vec<Check>,
}

/// The mapped fields, and the people who were found for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MappedFields<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) users: &'a Users,
}

// === impl Tester ===

impl<'a> Tester<'a> {
    pub(crate) fn new(
        client: &'a Client,
        settings: &'a Settings,
        clock: &'a dyn Clock,
        flavour: Flavour,
        mapped: MappedFields<'a>,
    ) -> Self {
        Self { client, settings, clock, flavour, mapped, info: None, checks: Vec::new() }
    }

    /// The checks, the detected flavor, and Jira's description of itself.
    pub(crate) async fn run(mut self) -> (Vec<Check>, Option<Flavour>, Option<ServerInfo>) {
        let began = self.clock.now();
        let step = self.reach().await;
        match step {
            Err(fault) if !faults::is_final(fault.kind) => self.reach_by_login(began, fault).await,
            step => self.note_reach(began, step),
        }
        let api = self.api();
        if self.go_on("authentication") {
            let began = self.clock.now();
            let step = self.authentication(api).await;
            self.note("authentication", began, step);
        }
        if self.go_on("project") {
            let began = self.clock.now();
            let step = self.project(api).await;
            self.note("project", began, step);
        }
        if self.go_on("create_permission") {
            let began = self.clock.now();
            let step = self.create_permission(api).await;
            self.note("create_permission", began, step);
        }
        if self.go_on("issue_type") {
            self.offer(api).await;
        } else {
            self.skip_fields();
        }
        (self.checks, Some(self.flavour).filter(|flavour| *flavour != Flavour::Auto), self.info)
    }

    async fn reach(&mut self) -> Step {
        let budget = self.client.optional_budget();
        let answer = self.client.read_within::<ServerInfo>(self.api(), &["serverInfo"], &[], budget).await?;
        let info = answer.value;
        self.set_flavour(info.flavour());
        let is_cloud = info.flavour() == Flavour::Cloud;
        let kind = match info.flavour() {
            Flavour::Cloud => "Jira Cloud".to_owned(),
            _ => format!("Jira Data Center {}", info.version),
        };
        let site = &self.settings.site;
        let reported =
            info.base_url.as_deref().filter(|_| !is_cloud).and_then(|reported| site.public(reported));
        let public = self.settings.public_site.clone().or(reported).filter(|public| public != site);
        let links = public.map(|public| format!("; links lead to {}", public.as_text())).unwrap_or_default();
        let detail = format!("{} is {}{links}", site.as_text(), kind.trim());
        self.info = Some(info);
        Ok(detail)
    }

    /// Jira did not report its flavor, which does not matter if the login works. If only the login is
    /// refused, the login is the cause, otherwise the connection.
    async fn reach_by_login(&mut self, began: Timestamp, fault: Fault) {
        let address = self.settings.site.as_text().to_owned();
        if self.settings.is_cloud() {
            self.set_flavour(Flavour::Cloud);
        }
        let then = self.clock.now();
        let answer = self.client.read::<Myself>(self.api(), &["myself"], &[]).await;
        match answer {
            Ok(answer) => {
                let detail = format!(
                    "{address} answers; its version was not found out, since serverInfo was not answered ({})",
                    fault.message
                );
                self.set_flavour(answer.value.flavour());
                self.note("reach", began, Ok(detail));
                self.note("authentication", then, logged_in(answer.value));
            }
            Err(refused) if is_login(refused.kind) || refused.kind == FaultKind::Forbidden => {
                self.note("reach", began, Ok(format!("{address} answers")));
                self.note("authentication", then, Err(refused));
            }
            Err(_) => self.note("reach", began, Err(fault)),
        }
    }

    async fn authentication(&self, api: Api) -> Step {
        let answer = self.client.read::<Myself>(api, &["myself"], &[]).await?;
        logged_in(answer.value)
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
        match evidence::missing(self.client, api, key, READ_TIMEOUT).await? {
            None => Ok(format!("the account may browse {key} and create issues in it")),
            Some(fault) => Err(fault),
        }
    }

    async fn offer(&mut self, api: Api) {
        let settings = self.settings;
        let began = self.clock.now();
        let offer = meta::offer(self.client, api, &settings.project_key, &settings.issue_type).await;
        self.note("issue_type", began, offer.as_ref().map(issue_type).map_err(Clone::clone));
        let Ok(offer) = offer else { return self.skip_fields() };
        let content = self.mapped.mapping.sample();
        let began = self.clock.now();
        let place =
            Place { api, fields: offer.known_fields(), users: self.mapped.users, absent: &[], now: began };
        let applied = fields::apply_online(&content, &place, self.client, &settings.project_key).await;
        let is_mapped = self.mapped.mapping.field_names().next().is_some();
        let known = applied.as_ref().ok().cloned().unwrap_or_default();
        self.checks.extend(field_checks(&offer, &known));
        if is_mapped {
            let duration = self.clock.now().duration_since(began).unsigned_abs();
            self.checks.push(mapping_check(&offer, &applied, duration));
        }
    }

    fn skip_fields(&mut self) {
        let is_mapped = self.mapped.mapping.field_names().next().is_some();
        for name in FIELDS.into_iter().chain(is_mapped.then_some(MAPPED)) {
            self.go_on(name);
        }
    }

    /// The API of the detected flavor, as far as known.
    fn api(&self) -> Api {
        if self.flavour == Flavour::Cloud { Api::V3 } else { Api::V2 }
    }

    fn set_flavour(&mut self, flavour: Flavour) {
        if self.flavour == Flavour::Auto {
            self.flavour = flavour;
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

    /// Whether all steps so far passed; if not, the next one is recorded as skipped.
    fn go_on(&mut self, name: &str) -> bool {
        if self.checks.iter().any(|check| check.name == name) {
            return false;
        }
        let Some(failed) = self.checks.iter().find(|check| check.has_failed()) else { return true };
        let check = Check::skipped(name, &failed.name);
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

fn logged_in(me: Myself) -> Step {
    let Some(name) = me.display_name.or(me.name).or(me.key).or(me.account_id) else {
        let fault = Fault::new(FaultKind::Unauthorized, "Jira did not say who is logged in");
        return Err(fault.with_hint("check jira.email and the API token (or the personal access token)"));
    };
    Ok(format!("logged in as {name}"))
}

/// Priority, labels and description never fail a test: a ticket can be created without any one of them.
fn field_checks(offer: &Offer, applied: &Applied) -> [Check; 4] {
    let priority = match &offer.priorities {
        Priorities::Offered(offered) => priorities(offered),
        Priorities::OffScreen => {
            "not on the create screen: tickets are created without a priority".to_owned()
        }
        Priorities::Unknown => UNCHECKED.to_owned(),
    };
    let labels = match offer.labels {
        true => "on the create screen: the marker is a label of the ticket",
        false => "not on the create screen: the marker is in the description of the ticket",
    };
    let description = match offer.description {
        true => "on the create screen",
        false => {
            "not on the create screen: the text of tickets is sent as a first comment; put the field on the screen to have it \
             in the description"
        }
    };
    let known = |is_known: bool, name: &str, detail: &str| match is_known {
        true => Check::passed(name, detail, Duration::ZERO),
        false => Check::unproven(name, UNCHECKED, Duration::ZERO),
    };
    let description = match offer.labels || offer.description {
        true => known(offer.is_known, FIELDS[2], description),
        false => Check::failed(FIELDS[2], &ticket::without_marker(), Duration::ZERO),
    };
    let priority = known(!matches!(offer.priorities, Priorities::Unknown), FIELDS[0], &priority);
    [priority, known(offer.is_known, FIELDS[1], labels), description, required_fields(offer, applied)]
}

/// A required field that is not sent causes every ticket to be refused.
fn required_fields(offer: &Offer, applied: &Applied) -> Check {
    let unfilled = offer.unfilled(applied);
    if unfilled.is_empty() {
        return match offer.is_known {
            true => Check::passed(FIELDS[3], "every required field is filled", Duration::ZERO),
            false => Check::unproven(FIELDS[3], UNCHECKED, Duration::ZERO),
        };
    }
    let named: Vec<String> = unfilled.iter().map(|field| with_values(field)).collect();
    let message = format!("the project requires fields that are not sent: {}", named.join("; "));
    let settings: Vec<String> = unfilled.iter().map(|field| setting_of(&field.id)).collect();
    let names: Vec<String> = unfilled.iter().map(|field| field.describe()).collect();
    let hint = format!(
        "set {}; or make {} optional for {}, give them a default value there, or set jira.issue_type to a type that does \
         not require them",
        settings.join(", "),
        names.join(", "),
        offer.issue_type.name
    );
    Check::failed(FIELDS[3], &Fault::new(FaultKind::Misconfigured, message).with_hint(hint), Duration::ZERO)
}

/// A field with its type and the values that it takes.
fn with_values(field: &Field) -> String {
    let values = field.nearest("", MAX_VALUES + 1);
    let more = if values.len() > MAX_VALUES { ", …" } else { "" };
    let listed: Vec<&str> = values.iter().take(MAX_VALUES).map(String::as_str).collect();
    match listed.as_slice() {
        [] => format!("{}, a {}", field.describe(), field.kind.describe()),
        values => format!("{}, one of {}{more}", field.describe(), values.join(", ")),
    }
}

/// Whether the mapped values, for a sample incident, are what the fields take.
fn mapping_check(offer: &Offer, applied: &Result<Applied, Fault>, duration: Duration) -> Check {
    let applied = match applied {
        Ok(applied) => applied,
        Err(fault) => return Check::failed(MAPPED, fault, duration),
    };
    if let Some(fault) = applied.fault() {
        // A check has more room than a fault.
        let Check { detail, .. } = Check::passed(MAPPED, applied.describe_faults(), duration);
        return Check { detail, ..Check::failed(MAPPED, &fault, duration) };
    }
    let name = |(id, setting): &(String, String)| {
        if id == setting { id.clone() } else { format!("{setting} -> {id}") }
    };
    let named: Vec<String> = applied.settings.iter().map(name).collect();
    let left_out: Vec<String> = match offer.is_known {
        true => applied.adjustments.iter().map(|left| format!("{}: {}", left.field, left.reason)).collect(),
        false => vec![],
    };
    let detail = match left_out.as_slice() {
        [] => format!("for a sample incident: {}", named.join(", ")),
        left_out => format!("for a sample incident: {}; {}", named.join(", "), left_out.join("; ")),
    };
    match offer.is_known {
        true => Check::passed(MAPPED, detail, duration),
        false => Check::unproven(MAPPED, format!("{UNCHECKED}: Jira did not list the fields"), duration),
    }
}

fn priorities(offered: &[crate::wire::Named]) -> String {
    let levels = [RiskLevel::Critical, RiskLevel::High, RiskLevel::Medium, RiskLevel::Low];
    let pair = |level: RiskLevel| {
        let name = priority::choose(level, offered).0.map_or_else(|| "none".to_owned(), |choice| choice.name);
        format!("{} -> {name}", level.as_str())
    };
    levels.map(pair).join(", ")
}
