//! The real server, as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rhythmx_ticketing::{Client, v1};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::fake_jira::FakeJira;

/// How long a start or a stop may take. A start that checks a large database takes minutes.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(300);
/// How often a start looks for the first answer.
const POLL: Duration = Duration::from_millis(1);
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// The CPU time that an idle server uses at most in an interval.
const IDLE_CPU: Duration = Duration::from_millis(20);
/// Clock ticks per second in `/proc/PID/stat`, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// How the server is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    pub(crate) flags: Vec<String>,
    pub(crate) credentials: Option<Credentials>,
}

/// TLS and a bearer token.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    /// The folder of `ticketing tls dev`.
    pub(crate) folder: PathBuf,
    pub(crate) token: String,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
    data: PathBuf,
    credentials: Option<Credentials>,
    /// From the start of the process to its first answer.
    pub(crate) started_in: Duration,
}

// === impl Server ===

impl Server {
    /// Starts the server over the folder `data`, and waits for its first answer.
    pub(crate) async fn start(program: &Path, data: &Path, start: &Start) -> Result<Self> {
        let address = free_address()?;
        let log = data.with_extension("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg(format!("--listen={address}"))
            .arg(format!("--data={}", data.display()))
            .arg("--allow-target=127.0.0.1")
            .args(&start.flags);
        if let Some(credentials) = &start.credentials {
            command.arg("--auth=token").args(credentials.flags());
        }
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn();
        let child = child.with_context(|| format!("failed to run {}", program.display()))?;
        let credentials = start.credentials.clone();
        let data = data.to_owned();
        let mut server = Self { child, address, data, credentials, started_in: Duration::ZERO };
        server.wait_for_answer(began).await?;
        server.started_in = began.elapsed();
        Ok(server)
    }

    async fn wait_for_answer(&mut self, began: Instant) -> Result<()> {
        loop {
            let answered = match self.client().await {
                Ok(mut client) => client.get_status().await.is_ok(),
                Err(_) => false,
            };
            if answered {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", self.log());
            }
            ensure!(began.elapsed() < PATIENCE, "the server did not start: {}", self.log());
            tokio::time::sleep(POLL).await;
        }
    }

    /// A client with a connection of its own. It does not retry.
    pub(crate) async fn client(&self) -> Result<Client> {
        let client = Client::over(self.channel().await?).with_deadline(CALL_DEADLINE);
        match &self.credentials {
            Some(credentials) => Ok(client.with_token(&credentials.token)?),
            None => Ok(client),
        }
    }

    pub(crate) async fn clients(&self, count: usize) -> Result<Vec<Client>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.client().await?);
        }
        Ok(clients)
    }

    pub(crate) async fn channel(&self) -> Result<Channel> {
        connect(&self.address, self.credentials.as_ref()).await
    }

    /// Configures Jira alone, and auto-push of every incident to it.
    pub(crate) async fn configure(&self, jira: &FakeJira) -> Result<()> {
        let settings = v1::JiraSettings {
            enabled: Some(true),
            url: Some(jira.url.clone()),
            email: Some("bench@example.com".to_owned()),
            api_token: Some("bench-token".to_owned()),
            project_key: Some("SEC".to_owned()),
            flavour: Some(v1::JiraFlavour::Cloud.into()),
            ..Default::default()
        };
        let auto_push = v1::AutoPushSettings {
            enabled: Some(true),
            minimum_severity: Some(v1::Severity::Low.into()),
            systems: Some(v1::TicketSystemList { values: vec![v1::TicketSystem::Jira.into()] }),
            ..Default::default()
        };
        let request =
            v1::ConfigureRequest { jira: Some(settings), auto_push: Some(auto_push), ..Default::default() };
        self.client().await?.configure(request).await.context("failed to configure Jira")?;
        Ok(())
    }

    /// How many deliveries to Jira there are in each state.
    pub(crate) async fn counts(&self) -> Result<v1::DeliveryCounts> {
        let status = self.client().await?.get_status().await?;
        let jira = status.connections.into_iter().find(|one| one.system() == v1::TicketSystem::Jira);
        jira.and_then(|jira| jira.deliveries).context("GetStatus has no counts of Jira")
    }

    /// Waits until this many deliveries are recorded as DELIVERED.
    pub(crate) async fn until_delivered(&self, jira: &FakeJira, count: usize) -> Result<()> {
        let began = Instant::now();
        let is_late = || began.elapsed() > PATIENCE;
        // Without a call to the server while it works.
        while jira.tickets() < count && !is_late() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        while self.counts().await?.delivered < count as u64 {
            ensure!(!is_late(), "of {count} deliveries {:?}", self.counts().await?);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// CPU time of the process so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // After the name of the program, which may have spaces.
        let (_, rest) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        let ticks: f64 = ticks.sum::<Result<f64, _>>()?;
        Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
    }

    /// Waits until it uses almost no CPU time: what a start does in the background has ended.
    pub(crate) async fn until_idle(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let before = self.cpu()?;
            tokio::time::sleep(IDLE_INTERVAL).await;
            if self.cpu()?.saturating_sub(before) <= IDLE_CPU {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "the server is never idle: {}", self.log());
        }
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
    }

    /// Bytes read from files so far, from the cache of the system too. `None` if only root may know.
    pub(crate) fn bytes_read(&self) -> Option<u64> {
        let io = self.read("io").ok()?;
        io.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
    }

    fn read(&self, file: &str) -> Result<String> {
        let id = self.child.id().context("the server ended")?;
        Ok(fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("ticketing.db")
    }

    /// SIGTERM; waits for the end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("the server ended by itself")?;
        Command::new("kill").args(["-s", "TERM", &id.to_string()]).status().await?;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.context("the server did not stop")??;
        ensure!(status.success(), "the server stopped with {status}: {}", self.log());
        Ok(())
    }

    /// The end of its log.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.data.with_extension("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

// === impl Credentials ===

impl Credentials {
    /// Makes certificates for trials, and a token for the database in `data`.
    pub(crate) async fn make(program: &Path, folder: &Path, data: &Path) -> Result<Self> {
        let out = format!("--out={}", folder.display());
        run(program, &["tls", "dev", &out]).await?;
        let data = format!("--data={}", data.display());
        let token = run(program, &["token", "create", "bench", "--role=admin", &data]).await?;
        Ok(Self { folder: folder.to_owned(), token: token.trim().to_owned() })
    }

    pub(crate) fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        vec![format!("--tls-cert={}", file("server.pem")), format!("--tls-key={}", file("server.key"))]
    }

    pub(crate) fn authority(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.folder.join("ca.pem"))?)
    }
}

/// Opens a connection, with TLS if there are credentials.
pub(crate) async fn connect(address: &str, credentials: Option<&Credentials>) -> Result<Channel> {
    let endpoint = match credentials {
        None => Endpoint::from_shared(format!("http://{address}"))?,
        Some(credentials) => {
            let authority = tonic::transport::Certificate::from_pem(credentials.authority()?);
            let tls = ClientTlsConfig::new().ca_certificate(authority);
            Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?
        }
    };
    Ok(endpoint.tcp_nodelay(true).connect().await?)
}

async fn run(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ticketing {arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// An address on loopback that was free a moment ago.
pub(crate) fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
