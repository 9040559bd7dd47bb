//! The environment of the demonstration: a real server with a database in a temporary folder, and two
//! simulators.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use rhythmx_ticketing::{Client, FILE_DESCRIPTOR_SET, v1};
use ticketing_host::clock::SystemClock;
use ticketing_server::config::Config;
use ticketing_server::server::{self, ServeError};
use ticketing_simulator::{Profile, Simulator, Vendor};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Arguments;

const INCIDENT: &str = include_str!("../../../examples/incident.json");
const MEDIUM_INCIDENT: &str = include_str!("../../../examples/incident-medium.json");

/// The server, the simulators and what is needed to stop them.
pub(super) struct Environment {
    pub address: String,
    pub client: Client,
    pub jira: Simulator,
    pub servicenow: Simulator,
    pub incident: v1::Incident,
    pub medium_incident: v1::Incident,
    folder: PathBuf,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), ServeError>>,
}

/// The server's flags, with time bounds that are short enough to watch.
#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

// === impl Environment ===

impl Environment {
    pub(super) async fn start(args: &Arguments) -> anyhow::Result<Self> {
        let jira = Simulator::start(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud)).await?;
        let servicenow = Simulator::start(Vendor::ServiceNow, Profile::of(Vendor::ServiceNow)).await?;
        jira.set_index_lag(Duration::from_millis(100));
        let folder = temporary_folder()?;
        let mut config = config(&folder)?;
        config.listen = args.listen.into();
        let listening = match server::listen(&config).await {
            Ok(listening) => listening,
            Err(_taken) => {
                config.listen = SocketAddr::new(args.listen.ip(), 0).into();
                server::listen(&config).await?
            }
        };
        let address = listening.local_address()?.to_string();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let server = tokio::spawn(server::serve(config, listening, Arc::new(SystemClock::start()), shutdown));
        let client =
            Client::connect(format!("http://{address}")).await.context("the client could not be made")?;
        let medium_incident = incident(MEDIUM_INCIDENT)?;
        let incident = incident(INCIDENT)?;
        Ok(Self { address, client, jira, servicenow, incident, medium_incident, folder, stop, server })
    }

    /// Stops everything.
    pub(super) async fn stop_all(self) -> anyhow::Result<()> {
        drop(self.client);
        let _ = self.stop.send(());
        self.server.await?.context("the server did not stop in order")?;
        std::fs::remove_dir_all(&self.folder).context("the temporary folder could not be removed")
    }
}

fn config(folder: &std::path::Path) -> anyhow::Result<Config> {
    let data = folder.to_str().context("the temporary folder has no readable name")?;
    let flags = [
        "ticketing",
        "--data",
        data,
        "--attempt-deadline=2s",
        "--lease=5s",
        "--server-bound=200ms",
        "--jira-cloud-index-bound=400ms",
        "--look-up-interval=200ms",
        "--duplicate-scan-delays=1s,2s,3s",
        // The simulators are on this machine.
        "--allow-target=127.0.0.1",
    ];
    Ok(Flags::try_parse_from(flags)?.config)
}

fn temporary_folder() -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("rhythmx-ticketing-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("no temporary folder could be made")?;
    Ok(folder)
}

/// Parses the contract's JSON form of an incident, as grpcurl does.
fn incident(json: &str) -> anyhow::Result<v1::Incident> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let descriptor =
        pool.get_message_by_name("rhythmx.ticketing.v1.Incident").context("there is no Incident")?;
    let mut reader = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(descriptor, &mut reader)?;
    Ok(v1::Incident::decode(message.encode_to_vec().as_slice())?)
}
