//! `sdk-fixture`: the real server with simulated ticket systems, for the tests of the SDKs in other languages.
//!
//! It prints one line of JSON that says where everything is, and stays up until its standard input ends. A line of
//! standard input is an order; each is answered with one line of JSON once it is carried out:
//!
//! | order | what it does |
//! |---|---|
//! | `restart` | ends the server in order and starts it again, on the same address and data |
//! | `kill` | ends it as a power cut would, and starts it again |
//! | `away`, `back` | ends it, and starts it again |
//! | `jira fair`, `jira refuses`, `jira hangs` | Jira takes every ticket, refuses every one for good, takes seconds for each |
//! | `creates` | says how many creates Jira and ServiceNow have received: `{"jira":1,"servicenow":0}` |

use std::io::{BufRead, Write};
use std::time::Duration;

use serde_json::{Value, json};
use ticketing_harness::{Plan, Trial, World, creates};
use ticketing_server::access::Role;
use ticketing_simulator::{Call, Effect, Reply, Rule, When};
use tokio::sync::mpsc;

/// How long the tokens are good.
const DAY: Duration = Duration::from_secs(86_400);
/// How long Jira takes for a create when it hangs.
const HANGING: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() {
    let tls = std::env::args().skip(1).any(|argument| argument == "--tls");
    let folder = tempfile::tempdir().expect("there is room for certificates");
    let mut plan = Plan::new().in_a_process().unhurried().guarded();
    let mut trial = None;
    if tls {
        let made = Trial::make(folder.path()).await;
        plan = plan.callers_under_tls(&made);
        trial = Some(made);
    }
    let mut world = plan.start().await;
    let mut tokens = serde_json::Map::new();
    for role in Role::ALL {
        let token = world.server.make_token(&format!("sdk-{role}"), role, DAY).await;
        tokens.insert(role.to_string(), json!(token));
    }
    let file = |name| trial.as_ref().map(|trial| trial.file(name).display().to_string());
    say(&json!({
        "address": world.server.address,
        "tokens": tokens,
        "ca": file("ca.pem"),
        "client_cert": file("client.pem"),
        "client_key": file("client.key"),
        "jira": settings(&world),
    }));
    let mut orders = orders();
    while let Some(order) = orders.recv().await {
        let answer = obey(&mut world, order.trim()).await;
        say(&answer);
    }
    world.server.stop().await;
}

/// What Configure is to be told of Jira.
fn settings(world: &World) -> Value {
    let jira = world.jira_settings();
    json!({
        "url": jira.url,
        "email": jira.email,
        "api_token": jira.api_token,
        "project_key": jira.project_key,
    })
}

async fn obey(world: &mut World, order: &str) -> Value {
    match order {
        "restart" => world.restart().await,
        "kill" => world.crash().await,
        "away" => world.server.stop().await,
        "back" => {
            world.server.start_again().await;
            world.client = world.server.client().await;
        }
        "jira fair" => world.jira.weather().clear(),
        "jira refuses" => {
            let body = json!({ "errorMessages": ["no such luck"], "errors": {} });
            let refusal = Effect::Answer(Reply::json(400, &body));
            world.jira.weather().push(Rule::new(Call::Create, When::Always, refusal));
        }
        "jira hangs" => {
            world.jira.weather().push(Rule::new(Call::Create, When::Always, Effect::Delay(HANGING)));
        }
        "creates" => return json!({ "jira": creates(&world.jira), "servicenow": creates(&world.servicenow) }),
        other => return json!({ "error": format!("there is no order {other:?}") }),
    }
    json!({ "done": order })
}

/// The lines of standard input, as they come.
fn orders() -> mpsc::Receiver<String> {
    let (sender, orders) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    orders
}

fn say(value: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").and_then(|()| out.flush()).expect("whoever started this listens");
}
