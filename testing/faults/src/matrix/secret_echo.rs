//! Ticket systems that echo the secret they were sent, in any encoding: no log, file or answer contains it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rhythmx_ticketing::v1::{self, DeliveryState};
use serde_json::json;
use ticketing_harness::{Subscriber, World, from_oldest, text};
use ticketing_simulator::{Call, Credential, Effect, Profile, Reply, Rule, Vendor, When};

use super::calls::{VENDORS, name, system};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "secret echo";
/// Contains the characters that HTML, JSON and URLs escape.
const SECRET: &str = r#"of"our<own>s&e'c+r/e\t"#;
const JIRA_USER: &str = "analyst@example.com";
const SERVICENOW_USER: &str = "rhythmx.integration";

/// Encoding of the echoed secret.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    /// With the escapes that JSON requires.
    Json,
    /// With the optional escapes of PHP and others, which make JSON safe within HTML.
    HtmlSafeJson,
    JsonWithinJson,
    HtmlWithinJson,
    HtmlWithinHtmlSafeJson,
    UrlWithinJson,
    /// `user:secret`, as in the header.
    HeaderWithinJson,
    NamedEntities,
    NumericEntities,
}

const ENCODINGS: [Encoding; 9] = [
    Encoding::Json,
    Encoding::HtmlSafeJson,
    Encoding::JsonWithinJson,
    Encoding::HtmlWithinJson,
    Encoding::HtmlWithinHtmlSafeJson,
    Encoding::UrlWithinJson,
    Encoding::HeaderWithinJson,
    Encoding::NamedEntities,
    Encoding::NumericEntities,
];

pub(super) fn cells() -> Vec<Cell> {
    let cell = |vendor: Vendor, encoding: Encoding| {
        let run = move |context| run(context, vendor, encoding);
        Cell::new(FAMILY, format!("secret echoed {}", encoding.name()), name(vendor), run)
    };
    VENDORS.into_iter().flat_map(|vendor| ENCODINGS.map(|encoding| cell(vendor, encoding))).collect()
}

/// The secret is echoed to a connection test, to the reads before a create, to the create, and to the look-up
/// after it.
async fn run(context: CellContext, vendor: Vendor, encoding: Encoding) {
    let mut world = begin(&context, vendor).await;
    let echo = |status| Effect::Answer(encoding.reply(status, vendor));
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
    assert!(hidden >= 2, "the error lacks the redacted reply: {delivery:#?}");
    let mut events = vec![subscriber.event().await];
    while events.last().is_some_and(|event| event.kind() != v1::TicketEventKind::Delivered) {
        events.push(subscriber.event().await);
    }
    let status = world.client.get_status().await.unwrap();
    // Debug output escapes a second time.
    world.check_no_secret_in(&format!("{tested:?} {answer:?} {delivery:?} {events:?} {status:?}"));
    world.finish().await;
}

/// A world whose ticket system accepts this secret only.
async fn begin(context: &CellContext, vendor: Vendor) -> World {
    let profile = Profile::of(vendor);
    let profile = match vendor {
        Vendor::JiraDataCenter => profile.only_credential(Credential::Bearer { token: SECRET.to_owned() }),
        Vendor::JiraCloud => profile.only_credential(basic(JIRA_USER)),
        Vendor::ServiceNow => profile.only_credential(basic(SERVICENOW_USER)),
    };
    let plan = context.plan().in_a_process();
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

fn html_safe(json: &str) -> String {
    let units = [("<", 0x3C), (">", 0x3E), ("&", 0x26), ("'", 0x27), ("+", 0x2B), ("=", 0x3D)];
    let json = json.replace("\\\"", "\\u0022").replace('/', "\\/");
    units.into_iter().fold(json, |text, (plain, unit)| text.replace(plain, &format!("\\u{unit:04x}")))
}

fn html(text: &str) -> String {
    let names = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
    names.into_iter().fold(text.to_owned(), |text, (plain, name)| text.replace(plain, name))
}

fn escape_each(text: &str, write: impl Fn(u32) -> String) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { write(c.into()) }).collect()
}

// === impl Encoding ===

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "as JSON",
            Self::HtmlSafeJson => "as HTML-safe JSON",
            Self::JsonWithinJson => "as JSON within JSON",
            Self::HtmlWithinJson => "as HTML within JSON",
            Self::HtmlWithinHtmlSafeJson => "as HTML within HTML-safe JSON",
            Self::UrlWithinJson => "URL-encoded within JSON",
            Self::HeaderWithinJson => "as in the Authorization header, within JSON",
            Self::NamedEntities => "on a page, as named entities",
            Self::NumericEntities => "on a page, as numeric entities",
        }
    }

    fn reply(self, status: u16, vendor: Vendor) -> Reply {
        match self {
            Self::NamedEntities => error_page(status, &html(SECRET)),
            Self::NumericEntities => error_page(status, &escape_each(SECRET, |c| format!("&#x{c:X};"))),
            Self::Json => error_reply(status, &json(SECRET)),
            Self::HtmlSafeJson => error_reply(status, &html_safe(&json(SECRET))),
            Self::JsonWithinJson => error_reply(status, &json(&json(SECRET))),
            Self::HtmlWithinJson => error_reply(status, &json(&html(SECRET))),
            Self::HtmlWithinHtmlSafeJson => error_reply(status, &html_safe(&json(&html(SECRET)))),
            Self::UrlWithinJson => error_reply(status, &escape_each(SECRET, |c| format!("%{c:02X}"))),
            Self::HeaderWithinJson => {
                let user = if vendor == Vendor::ServiceNow { SERVICENOW_USER } else { JIRA_USER };
                let basic = STANDARD.encode(format!("{user}:{SECRET}"));
                let header = if vendor == Vendor::JiraDataCenter { json(SECRET) } else { basic };
                error_reply(status, &html_safe(&header))
            }
        }
    }
}

/// An error in the format of each vendor; `text` is JSON already.
fn error_reply(status: u16, text: &str) -> Reply {
    let text = format!("\"It was refused: {text}, says the gateway.\"");
    let errors = format!("\"errorMessages\": [{text}], \"message\": {text}");
    let body = format!(
        "{{ {errors}, \"error\": {{ \"message\": {text}, \"detail\": {text} }}, \"status\": \"failure\" }}"
    );
    Reply { body, ..Reply::json(status, &json!({})) }
}

fn error_page(status: u16, text: &str) -> Reply {
    Reply::html(status, &format!("<html><head><title>No entry for {text}</title></head></html>"))
}
