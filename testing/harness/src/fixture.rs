//! `sdk-fixture`: the real server with simulated ticket systems, for the tests of the SDKs in other languages.
//!
//! | argument | effect |
//! |---|---|
//! | `--tls` | the server requires TLS; the output has `ca`, `client_cert` and `client_key`, files in PEM |
//! | `--unix` | the server listens on a Unix socket, and `address` is `unix:/PATH` |
//! | `-- FLAGS` | further flags of `ticketing serve`, for example `-- --bookmark-interval=500ms` |
//!
//! It prints one line of JSON with the addresses and credentials, and runs until its standard input ends, or SIGTERM. `relay`
//! is the address of a relay in front of the same server (null with TLS and on a socket). Each line of standard input is a
//! command, answered with one line of JSON once it has been executed:
//!
//! | command | effect |
//! |---|---|
//! | `restart` | stops the server gracefully and starts it again, with the same address and data |
//! | `kill` | kills the server and starts it again |
//! | `stop`, `start` | stops the server gracefully; starts it again |
//! | `jira ok`, `jira reject`, `jira delay` | Jira accepts every ticket, rejects every ticket permanently, takes seconds for each |
//! | `jira add KEY` | another user creates a ticket in Jira, with this key |
//! | `creates` | returns how many creates Jira and ServiceNow have received: `{"jira":1,"servicenow":0}` |
//! | `relay drop-bytes` | the relay's open connections drop every byte without being closed (until `restart` or `stop`); new ones work |
//! | `relay drop-messages` | the relay's open connections drop every message of the server, while pings are answered; new ones work |
//! | `relay slow-reader` | new connections read 8 KiB of a stream and then pause, so that the server ends such a stream within seconds |
//! | `relay ok` | new connections work normally |
//! | `relay connections` | returns how many connections the relay has accepted: `{"connections":1}` |

use std::io::{BufRead, Write};
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use ticketing_core::role::Role;
use ticketing_harness::{Plan, Relay, TlsFiles, World, creates};
use ticketing_simulator::{Call, Effect, Reply, Rule, When};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Validity of the tokens.
const DAY: Duration = Duration::from_secs(86_400);
/// Delay of a create after `jira delay`.
const CREATE_DELAY: Duration = Duration::from_secs(8);
/// The server's subscriber timeout, and how long slow readers do not read.
const SUBSCRIBER_TIMEOUT: &str = "--subscriber-timeout=1s";
const SLOW_READER_PAUSE: Duration = Duration::from_secs(2);

/// The real server with simulated ticket systems, for the tests of the SDKs in other languages.
///
/// It prints one line of JSON with the addresses and credentials, and runs until its standard input ends, or SIGTERM. Commands
/// are lines of standard input: the top of testing/harness/src/fixture.rs lists them.
#[derive(Debug, Parser)]
#[command(name = "sdk-fixture")]
struct Arguments {
    /// Callers use TLS.
    #[arg(long, conflicts_with = "unix")]
    tls: bool,
    /// The server listens on a Unix socket.
    #[arg(long)]
    unix: bool,
    /// Further flags of `ticketing serve`.
    #[arg(last = true)]
    flags: Vec<String>,
}

/// What the commands act on.
struct Fixture {
    world: World,
    relay: Option<Relay>,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let listen_for = |kind| signal(kind).expect("a process hears its signals");
    let (mut terminated, mut interrupted) =
        (listen_for(SignalKind::terminate()), listen_for(SignalKind::interrupt()));
    // Dropping it ends its processes.
    tokio::select! {
        () = run(arguments) => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
}

async fn run(arguments: Arguments) {
    let folder = tempfile::tempdir().expect("there is room for certificates and a socket");
    let mut plan =
        Plan::new().in_a_process().with_long_deadlines().with_token_auth().with_flag(SUBSCRIBER_TIMEOUT);
    for flag in &arguments.flags {
        plan = plan.with_flag(flag);
    }
    let mut tls_files = None;
    if arguments.tls {
        let made = TlsFiles::make(folder.path()).await;
        plan = plan.callers_under_tls(&made);
        tls_files = Some(made);
    }
    let socket = arguments.unix.then(|| folder.path().join("ticketing.sock"));
    if let Some(socket) = &socket {
        plan = plan.on_socket(socket);
    }
    let world = plan.start().await;
    let address = match &socket {
        Some(socket) => format!("unix:{}", socket.display()),
        None => world.server.address.clone(),
    };
    let is_plain = !arguments.tls && !arguments.unix;
    let relay = if is_plain { Some(Relay::before(&address).await) } else { None };
    let mut tokens = serde_json::Map::new();
    for role in Role::ALL {
        let token = world.server.make_token(&format!("sdk-{role}"), role, DAY).await;
        tokens.insert(role.to_string(), json!(token));
    }
    let file = |name| tls_files.as_ref().map(|tls_files| tls_files.file(name).display().to_string());
    print_line(&json!({
        "address": address,
        "relay": relay.as_ref().map(|relay| relay.address.as_str()),
        "tokens": tokens,
        "ca": file("ca.pem"),
        "client_cert": file("client.pem"),
        "client_key": file("client.key"),
        "jira": settings(&world),
    }));
    let mut fixture = Fixture { world, relay };
    let mut commands = commands();
    while let Some(command) = commands.recv().await {
        let answer = fixture.execute(command.trim()).await;
        print_line(&answer);
    }
    drop(fixture.relay);
    fixture.world.server.stop().await;
}

/// The settings of Jira for Configure.
fn settings(world: &World) -> Value {
    let jira = world.jira_settings();
    json!({
        "url": jira.url,
        "email": jira.email,
        "api_token": jira.api_token,
        "project_key": jira.project_key,
    })
}

impl Fixture {
    async fn execute(&mut self, command: &str) -> Value {
        let world = &mut self.world;
        if let ("restart" | "stop", Some(relay)) = (command, &self.relay) {
            relay.close_swallowed();
        }
        match command {
            "restart" => world.restart().await,
            "kill" => world.crash().await,
            "stop" => world.server.stop().await,
            "start" => {
                world.server.start_again().await;
                world.client = world.server.client().await;
            }
            "jira ok" => world.jira.faults().clear(),
            "jira reject" => {
                let body = json!({ "errorMessages": ["no such luck"], "errors": {} });
                let refusal = Effect::Answer(Reply::json(400, &body));
                world.jira.faults().push(Rule::new(Call::Create, When::Always, refusal));
            }
            "jira delay" => {
                world.jira.faults().push(Rule::new(Call::Create, When::Always, Effect::Delay(CREATE_DELAY)));
            }
            add if add.starts_with("jira add ") => {
                let key = world.jira.add_foreign_ticket(serde_json::Map::new());
                world.jira.move_ticket(&key, add.trim_start_matches("jira add "));
            }
            "creates" => {
                return json!({ "jira": creates(&world.jira), "servicenow": creates(&world.servicenow) });
            }
            other => return self.relay(other),
        }
        json!({ "done": command })
    }

    fn relay(&self, command: &str) -> Value {
        let Some(relay) = &self.relay else {
            return json!({ "error": format!("no relay for {command:?}") });
        };
        match command {
            "relay drop-bytes" => relay.swallow(),
            "relay drop-messages" => relay.mute(),
            "relay slow-reader" => relay.narrow(Some(SLOW_READER_PAUSE)),
            "relay ok" => relay.narrow(None),
            "relay connections" => return json!({ "connections": relay.connections() }),
            other => return json!({ "error": format!("unknown command {other:?}") }),
        }
        json!({ "done": command })
    }
}

/// The lines of standard input, as they come.
fn commands() -> mpsc::Receiver<String> {
    let (sender, commands) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    commands
}

fn print_line(value: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").and_then(|()| out.flush()).expect("the parent process reads standard output");
}
