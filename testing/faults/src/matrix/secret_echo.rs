//! Ticket systems that echo the secret they were sent, in any encoding: no log, file or answer contains it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rhythmx_ticketing::v1::{self, DeliveryState};
use serde_json::json;
use ticketing_harness::{Subscriber, World, from_oldest, text};
use ticketing_simulator::{Call, Credential, Effect, Profile, Reply, Rule, Vendor, When};

use super::calls::{VENDORS, name, system};
use super::cell::{Cell, Stage};

const FAMILY: &str = "secret echo";
/// Contains the characters that HTML, JSON and URLs escape.
const SECRET: &str = r#"of"our<own>s&e'c+r/e\t"#;
const JIRA_USER: &str = "analyst@example.com";
const SERVICENOW_USER: &str = "rhythmx.integration";

/// Encoding of the echoed secret.
#[derive(Debug, Clone, Copy)]
enum Writing {
    /// With the escapes that JSON requires.
    Json,
    /// With the optional escapes of PHP and others, which make JSON safe within HTML.
    JsonForPages,
    JsonWithinJson,
    HtmlWithinJson,
    HtmlWithinJsonForPages,
    AddressWithinJson,
    /// `user:secret`, as in the header.
    HeaderWithinJson,
    PageWithNames,
    PageWithNumbers,
}

const WRITINGS: [Writing; 9] = [
    Writing::Json,
    Writing::JsonForPages,
    Writing::JsonWithinJson,
    Writing::HtmlWithinJson,
    Writing::HtmlWithinJsonForPages,
    Writing::AddressWithinJson,
    Writing::HeaderWithinJson,
    Writing::PageWithNames,
    Writing::PageWithNumbers,
];

pub(super) fn cells() -> Vec<Cell> {
    let cell = |vendor: Vendor, writing: Writing| {
        let play = move |stage| play(stage, vendor, writing);
        Cell::new(FAMILY, format!("secret repeated {}", writing.name()), name(vendor), play)
    };
    VENDORS.into_iter().flat_map(|vendor| WRITINGS.map(|writing| cell(vendor, writing))).collect()
}

/// The secret is echoed to a connection test, to the reads before a create, to the create, and to the look-up
/// after it.
async fn play(stage: Stage, vendor: Vendor, writing: Writing) {
    let mut world = begin(&stage, vendor).await;
    let echo = |status| Effect::Answer(writing.reply(status, vendor));
    let system = system(vendor);
    let faults = world.simulator(system).faults();
    // Jira's test makes two requests (server information, then the account), ServiceNow's makes one.
    let asked = if vendor == Vendor::ServiceNow { 1 } else { 2 };
    faults.push(Rule::new(Call::Any, When::Next(asked), echo(400)));
    let request = v1::TestConnectionRequest { destination: Some(system.into()), ..Default::default() };
    let tested = world.client.test_connection(request).await.unwrap();
    assert!(!tested.test.as_ref().unwrap().passed, "{tested:?}");
    let faults = world.simulator(system).faults();
    faults.push(Rule::new(Call::Meta, When::Next(1), echo(503)));
    faults.push(Rule::new(Call::Create, When::Nth(1), echo(400)));
    faults.push(Rule::new(Call::Create, When::Nth(2), echo(500)));
    faults.push(Rule::new(Call::Search, When::Next(1), echo(400)));
    let mut subscriber = Subscriber::open(&world.client, from_oldest()).await;
    let answer = world.push("INC-1", system).await;
    let id = answer.delivery.as_ref().unwrap().id.clone();
    let delivery = world.until(&id, DeliveryState::Delivered).await;
    let messages = delivery.attempts.iter().filter_map(|attempt| attempt.fault.as_ref());
    let hidden = messages.filter(|fault| fault.message.contains("[secret]")).count();
    assert!(hidden >= 2, "what was repeated is not told, without the secret: {delivery:#?}");
    let mut events = vec![subscriber.event().await];
    while events.last().is_some_and(|event| event.kind() != v1::TicketEventKind::Delivered) {
        events.push(subscriber.event().await);
    }
    let status = world.client.get_status().await.unwrap();
    // Debug output escapes a second time.
    world.check_told(&format!("{tested:?} {answer:?} {delivery:?} {events:?} {status:?}"));
    world.finish().await;
}

/// A world whose ticket system accepts this secret only.
async fn begin(stage: &Stage, vendor: Vendor) -> World {
    let profile = Profile::of(vendor);
    let profile = match vendor {
        Vendor::JiraDataCenter => profile.only_credential(Credential::Bearer { token: SECRET.to_owned() }),
        Vendor::JiraCloud => profile.only_credential(basic(JIRA_USER)),
        Vendor::ServiceNow => profile.only_credential(basic(SERVICENOW_USER)),
    };
    let plan = stage.plan().in_a_process();
    let plan = if vendor == Vendor::ServiceNow {
        plan.with_servicenow(profile)
    } else {
        plan.with_jira(vendor, profile)
    };
    let mut world = plan.start_unconfigured().await;
    world.secrets.push(SECRET.to_owned());
    let mut settings = world.settings();
    let jira = settings.jira.as_mut().unwrap();
    let secret =
        if vendor == Vendor::JiraDataCenter { &mut jira.personal_access_token } else { &mut jira.api_token };
    *secret = text(SECRET);
    settings.servicenow.as_mut().unwrap().password = text(SECRET);
    world.configure(settings).await;
    if vendor == Vendor::JiraDataCenter {
        world.add_evidence_for(SECRET).await;
    }
    world
}

fn basic(user: &str) -> Credential {
    Credential::Basic { user: user.to_owned(), secret: SECRET.to_owned() }
}

/// The JSON string without its quotes.
fn json(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn for_pages(json: &str) -> String {
    let units = [("<", 0x3C), (">", 0x3E), ("&", 0x26), ("'", 0x27), ("+", 0x2B), ("=", 0x3D)];
    let json = json.replace("\\\"", "\\u0022").replace('/', "\\/");
    units.into_iter().fold(json, |text, (plain, unit)| text.replace(plain, &format!("\\u{unit:04x}")))
}

fn html(text: &str) -> String {
    let names = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
    names.into_iter().fold(text.to_owned(), |text, (plain, name)| text.replace(plain, name))
}

fn each_special(text: &str, write: impl Fn(u32) -> String) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { write(c.into()) }).collect()
}

// === impl Writing ===

impl Writing {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "as JSON",
            Self::JsonForPages => "as JSON for pages",
            Self::JsonWithinJson => "as JSON within JSON",
            Self::HtmlWithinJson => "as HTML within JSON",
            Self::HtmlWithinJsonForPages => "as HTML within JSON for pages",
            Self::AddressWithinJson => "as in an address, within JSON",
            Self::HeaderWithinJson => "as the header has it, within JSON",
            Self::PageWithNames => "on a page, by names",
            Self::PageWithNumbers => "on a page, by numbers",
        }
    }

    fn reply(self, status: u16, vendor: Vendor) -> Reply {
        match self {
            Self::PageWithNames => page(status, &html(SECRET)),
            Self::PageWithNumbers => page(status, &each_special(SECRET, |c| format!("&#x{c:X};"))),
            Self::Json => words(status, &json(SECRET)),
            Self::JsonForPages => words(status, &for_pages(&json(SECRET))),
            Self::JsonWithinJson => words(status, &json(&json(SECRET))),
            Self::HtmlWithinJson => words(status, &json(&html(SECRET))),
            Self::HtmlWithinJsonForPages => words(status, &for_pages(&json(&html(SECRET)))),
            Self::AddressWithinJson => words(status, &each_special(SECRET, |c| format!("%{c:02X}"))),
            Self::HeaderWithinJson => {
                let user = if vendor == Vendor::ServiceNow { SERVICENOW_USER } else { JIRA_USER };
                let basic = STANDARD.encode(format!("{user}:{SECRET}"));
                let header = if vendor == Vendor::JiraDataCenter { json(SECRET) } else { basic };
                words(status, &for_pages(&header))
            }
        }
    }
}

/// An error in the format of each vendor; `said` is JSON already.
fn words(status: u16, said: &str) -> Reply {
    let said = format!("\"It was refused: {said}, says the gateway.\"");
    let errors = format!("\"errorMessages\": [{said}], \"message\": {said}");
    let body = format!(
        "{{ {errors}, \"error\": {{ \"message\": {said}, \"detail\": {said} }}, \"status\": \"failure\" }}"
    );
    Reply { body, ..Reply::json(status, &json!({})) }
}

fn page(status: u16, said: &str) -> Reply {
    Reply::html(status, &format!("<html><head><title>No entry for {said}</title></head></html>"))
}
