//! The server under test: in this process, or as the real binary.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use rhythmx_ticketing::Client;
use tempfile::TempDir;
use ticketing_core::clock::Clock;
use ticketing_core::evidence::SearchScope;
use ticketing_core::role::Role;
use ticketing_failpoints::{CLOCK, FOLDER, Point};
use ticketing_host::clock::SystemClock;
use ticketing_host::entropy::SystemEntropy;
use ticketing_server::config::Config;
use ticketing_server::server::{self, ServeError};
use ticketing_store::{Administration, KeySource};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Endpoint;

use super::client_transports::{self, TlsFiles};
use super::{Edit, WAIT_TIMEOUT, binary, database, log_capture};

/// Below the ephemeral ports of Linux.
const PORTS: Range<u32> = 10_000..32_000;

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    pub flags: Vec<String>,
    /// In its own process that can be killed, rather than in this one.
    pub process: bool,
    /// The binary of the process, if it is another one than [`binary`].
    pub program: Option<PathBuf>,
    /// Environment variables of the process.
    pub variables: Vec<(String, String)>,
    /// Clock offset of a server in this process, positive if forward.
    pub clock_set: SignedDuration,
    /// Folder of the database; by default one that is removed with the server.
    pub data: Option<PathBuf>,
    /// Listens on this Unix socket, rather than on a port.
    pub socket: Option<PathBuf>,
    /// Callers use TLS.
    pub callers: Option<TlsFiles>,
    /// The bearer token of its clients.
    pub token: Option<String>,
}

/// A server over a data folder of its own.
#[derive(Debug)]
pub struct Server {
    pub address: String,
    folder: TempDir,
    start: Start,
    running: Option<Running>,
    /// Start of this server's log in the log of this process.
    log_from: usize,
}

#[derive(Debug)]
enum Running {
    InProcess { stop: oneshot::Sender<()>, server: JoinHandle<Result<(), ServeError>> },
    Process(Child),
}

/// A clock that was set.
#[derive(Debug)]
struct SetClock(SystemClock, SignedDuration);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.0.now() + self.1
    }
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

// === impl Server ===

impl Server {
    pub async fn start(start: Start) -> Self {
        let mut server = Self::prepare(start);
        server.start_again().await;
        server
    }

    /// A server that is not started yet.
    #[must_use]
    pub fn prepare(start: Start) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(points(folder.path())).unwrap();
        Self { address: free_address(), folder, start, running: None, log_from: log_capture::start_capture() }
    }

    /// Changes how it is started next.
    pub fn next_start(&mut self) -> &mut Start {
        &mut self.start
    }

    /// Runs an offline command on the data folder with the binary, with or without a running server. It has
    /// the same fail points.
    pub fn run_offline(&self, arguments: &[&str]) -> Child {
        let child = Command::new(self.program())
            .args(arguments)
            .arg(format!("--data={}", self.data().display()))
            .env(FOLDER, points(self.folder.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        child.unwrap()
    }

    /// Records search evidence, as if a ticket had been read back before.
    pub async fn add_evidence(&self, scope: &SearchScope) {
        database::add_evidence(&self.data(), scope).await.unwrap();
    }

    /// Edits the database by hand.
    pub async fn edit(&self, edit: Edit) {
        database::edit(&self.data(), edit).await.unwrap();
    }

    /// The core dump limit of the process, as the system reports it.
    #[must_use]
    pub fn core_limit(&self) -> String {
        let id = self.process().id().expect("the server runs");
        let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Whether only root can access the memory of the process.
    #[must_use]
    pub fn memory_is_private(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let id = self.process().id().expect("the server runs");
        std::fs::metadata(format!("/proc/{id}/mem")).unwrap().uid() == 0
    }

    /// The folder of the database.
    pub fn data(&self) -> PathBuf {
        self.start.data.clone().unwrap_or_else(|| self.folder.path().join("data"))
    }

    /// Its log; in this process, of all servers since then.
    pub fn log(&self) -> String {
        if self.start.process {
            return std::fs::read_to_string(self.log_file()).unwrap_or_default();
        }
        String::from_utf8_lossy(&log_capture::since(self.log_from)).into_owned()
    }

    /// Every file that the server wrote, and its log.
    pub fn written(&self) -> Vec<(String, Vec<u8>)> {
        let files = [self.folder.path().to_owned(), self.data()];
        let files = files.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let files = files.filter(|file| file.path().is_file());
        let files =
            files.map(|file| (file.path().display().to_string(), std::fs::read(file.path()).unwrap()));
        files.chain([("the log of this process".to_owned(), log_capture::since(self.log_from))]).collect()
    }

    pub async fn client(&self) -> Client {
        let wait = async {
            loop {
                match self.connect().await {
                    Ok(client) => return self.authorized(client),
                    Err(error) if self.has_ended() => panic!("{error}: {}", self.log()),
                    Err(_not_yet) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let client = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        client.unwrap_or_else(|_| panic!("the server did not start: {}", self.log()))
    }

    async fn connect(&self) -> Result<Client, tonic::transport::Error> {
        match (&self.start.socket, &self.start.callers) {
            (Some(socket), _) => client_transports::over_socket(socket).await,
            (None, Some(tls_files)) => tls_files.connect(&self.address).await,
            (None, None) => {
                let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
                Ok(Client::over(endpoint.connect_timeout(WAIT_TIMEOUT).connect().await?))
            }
        }
    }

    /// Creates a bearer token, with or without a running server.
    pub async fn make_token(&self, name: &str, role: Role, lifetime: Duration) -> String {
        self.make_token_in(None, name, role, lifetime).await
    }

    /// Creates a token with a namespace.
    pub async fn make_token_in(
        &self,
        namespace: Option<&str>,
        name: &str,
        role: Role,
        lifetime: Duration,
    ) -> String {
        let namespace = namespace.map(|namespace| namespace.parse().expect("a namespace"));
        let mut administration = self.administration().await;
        let made = administration.create_token(name, role, namespace, lifetime).await;
        administration.close().await;
        made.unwrap().0.show().to_owned()
    }

    /// Opens its data folder for offline administration.
    pub async fn administration(&self) -> Administration {
        let data = self.data();
        let clock = Arc::new(SystemClock::start());
        let database = data.join("ticketing.db");
        if !database.is_file() {
            database::create_database(&data).await;
        }
        let entropy = Arc::new(SystemEntropy);
        let source = "test".to_owned();
        Administration::open(&database, &KeySource::BesideDatabase, clock, entropy, source).await.unwrap()
    }

    fn authorized(&self, client: Client) -> Client {
        match &self.start.token {
            Some(token) => client.with_token(token).unwrap(),
            None => client,
        }
    }

    pub async fn start_again(&mut self) {
        let running = if self.start.process { self.spawn() } else { self.run_in_process().await };
        self.running = Some(running);
    }

    /// SIGTERM, or the same in this process; waits for the end.
    pub async fn stop(&mut self) {
        match self.running.take() {
            Some(Running::InProcess { stop, server }) => {
                let _ = stop.send(());
                tokio::time::timeout(WAIT_TIMEOUT, server)
                    .await
                    .expect("the server did not stop")
                    .unwrap()
                    .unwrap();
            }
            Some(Running::Process(mut child)) => {
                signal(&child, "TERM").await;
                let status =
                    tokio::time::timeout(WAIT_TIMEOUT, child.wait()).await.expect("the server did not stop");
                assert!(status.unwrap().success(), "the server stopped with an error: {}", self.log());
            }
            None => {}
        }
    }

    /// SIGKILL. Only a process can be killed.
    pub async fn kill(&mut self) {
        match self.running.take() {
            Some(Running::Process(mut child)) => child.kill().await.unwrap(),
            _ => panic!("only a server in a process of its own can be killed"),
        }
    }

    /// SIGKILL; calls a function before waiting for the process. A process that waits for its disk only dies
    /// once that responds.
    pub async fn kill_and(&mut self, meanwhile: impl FnOnce()) {
        match self.running.take() {
            Some(Running::Process(mut child)) => {
                child.start_kill().unwrap();
                meanwhile();
                child.wait().await.unwrap();
            }
            _ => panic!("only a server in a process of its own can be killed"),
        }
    }

    /// SIGHUP: reloads the certificates.
    pub async fn send_sighup(&self) {
        signal(self.process(), "HUP").await;
    }

    /// SIGTERM only: the server must still be waited for.
    pub async fn send_sigterm(&self) {
        signal(self.process(), "TERM").await;
    }

    /// SIGSTOP: suspends the process.
    pub async fn pause(&self) {
        signal(self.process(), "STOP").await;
    }

    /// SIGCONT: resumes the process.
    pub async fn resume(&self) {
        signal(self.process(), "CONT").await;
    }

    /// Waits until the process ends by itself. Returns its status.
    pub async fn until_ended(&mut self) -> ExitStatus {
        let Some(Running::Process(mut child)) = self.running.take() else {
            panic!("only a server in a process of its own ends by itself")
        };
        tokio::time::timeout(WAIT_TIMEOUT, child.wait()).await.expect("the server runs on").unwrap()
    }

    /// Whether the process has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        match &mut self.running {
            Some(Running::Process(child)) => child.try_wait().unwrap().is_none(),
            _ => panic!("only a server in a process of its own ends by itself"),
        }
    }

    /// The memory in use by the process, in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.bytes_of("VmRSS:")
    }

    /// The peak memory of the process, in bytes.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.bytes_of("VmHWM:")
    }

    /// Number of open connections of callers, including those that their callers closed and the server has
    /// not.
    ///
    /// Counted from the kernel's list of sockets, because the process opens other files at any time.
    #[must_use]
    pub fn connections(&self) -> usize {
        const LISTENING: &str = "0A";
        const WITHOUT_OWNER: &str = "0";
        let (_, port) = self.address.rsplit_once(':').expect("an address ends with a port");
        let port = format!(":{:04X}", port.parse::<u16>().expect("a port is a number"));
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row[1].ends_with(&port) && row[3] != LISTENING && row[9] != WITHOUT_OWNER).count()
    }

    /// Sets the wall clock of the running process, until [`release`](Self::release).
    pub fn set_clock(&self, by: SignedDuration) {
        // Atomically, because the process may be reading it.
        let new = self.folder.path().join("clock");
        let clock = points(self.folder.path()).join(CLOCK);
        std::fs::write(&new, by.as_secs().to_string()).unwrap();
        std::fs::rename(new, clock).unwrap();
    }

    /// Arms a fail point: holds the next task that passes it.
    pub fn arm(&self, point: Point) {
        std::fs::write(self.point(point, "armed"), "").unwrap();
    }

    /// Arms a fail point: the next task that passes it panics with its secrets.
    pub fn panic_at(&self, point: Point) {
        std::fs::write(self.point(point, "panics"), "").unwrap();
    }

    /// Waits until a task is held at this point.
    pub async fn until_held(&self, point: Point) {
        let held = self.point(point, "held");
        let wait = async {
            while !held.exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "the server does not come to {}: {}", point.name(), self.log());
    }

    /// Releases held tasks, and disarms all points.
    pub fn release(&self) {
        for file in std::fs::read_dir(points(self.folder.path())).unwrap() {
            // The server itself renames files here.
            let _ = std::fs::remove_file(file.unwrap().path());
        }
    }

    fn bytes_of(&self, figure: &str) -> u64 {
        let id = self.process().id().expect("the server runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes * 1_024
    }

    /// Whether a server in this process has ended by itself.
    fn has_ended(&self) -> bool {
        matches!(&self.running, Some(Running::InProcess { server, .. }) if server.is_finished())
    }

    fn process(&self) -> &Child {
        match &self.running {
            Some(Running::Process(child)) => child,
            _ => panic!("only a server in a process of its own takes signals"),
        }
    }

    fn point(&self, point: Point, state: &str) -> PathBuf {
        points(self.folder.path()).join(format!("{}.{state}", point.name()))
    }

    async fn run_in_process(&self) -> Running {
        let config = Flags::parse_from(self.arguments()).config;
        let listening = server::listen(&config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let clock = Arc::new(SetClock(SystemClock::start(), self.start.clock_set));
        let server = tokio::spawn(async {
            let served = server::serve(config, listening, clock, shutdown).await;
            served.inspect_err(|error| tracing::error!(?error, "a server in this process ended"))
        });
        Running::InProcess { stop, server }
    }

    fn spawn(&self) -> Running {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let child = Command::new(self.program())
            .args(self.arguments().into_iter().skip(1))
            .env(FOLDER, points(self.folder.path()))
            .envs(self.start.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        Running::Process(child.unwrap())
    }

    fn program(&self) -> PathBuf {
        self.start.program.clone().unwrap_or_else(binary)
    }

    /// As typed, including the program name.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["ticketing".to_owned()];
        if self.start.process {
            arguments.push("serve".to_owned());
        }
        match &self.start.socket {
            Some(socket) => arguments.push(format!("--listen=unix:{}", socket.display())),
            None => arguments.push(format!("--listen={}", self.address)),
        }
        arguments.extend(self.start.callers.iter().flat_map(TlsFiles::flags));
        arguments.push(format!("--data={}", self.data().display()));
        if !self.start.flags.iter().any(|flag| flag.starts_with("--allow-target")) {
            // The simulators are on this machine.
            arguments.push("--allow-target=127.0.0.1".to_owned());
        }
        arguments.extend(self.start.flags.iter().cloned());
        arguments
    }

    fn log_file(&self) -> PathBuf {
        log_file(self.folder.path())
    }
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("the server runs").to_string();
    Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
}

/// The folder of armed fail points.
fn points(folder: &Path) -> PathBuf {
    folder.join("points")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// An unused address that stays the same across a restart. It is outside the ephemeral ports, so that no
/// other socket gets it while the server is down.
pub fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let place = std::process::id().wrapping_mul(257).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", PORTS.start + place % (PORTS.end - PORTS.start));
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
