//! The server under test: in this process, or the real binary.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use clap::Parser;
use rhythmx_ticketing::Client;
use tempfile::TempDir;
use ticketing_server::clock::SystemClock;
use ticketing_server::config::Config;
use ticketing_server::server::{self, ServeError};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::PATIENCE;

/// A server over a data folder of its own.
pub struct Server {
    pub address: String,
    folder: TempDir,
    flags: Vec<String>,
    process: bool,
    running: Option<Running>,
}

enum Running {
    Here { stop: oneshot::Sender<()>, server: JoinHandle<Result<(), ServeError>> },
    Process(Child),
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

// === impl Server ===

impl Server {
    pub async fn start(flags: Vec<String>, process: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { address: free_address(), folder, flags, process, running: None };
        server.start_again().await;
        server
    }

    /// The folder of the database.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the binary logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Every file that the server wrote.
    pub fn written(&self) -> Vec<(String, Vec<u8>)> {
        let files = [self.folder.path().to_owned(), self.data()];
        let files = files.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let files = files.filter(|file| file.path().is_file());
        files.map(|file| (file.path().display().to_string(), std::fs::read(file.path()).unwrap())).collect()
    }

    pub async fn client(&self) -> Client {
        let wait = async {
            loop {
                match Client::connect(format!("http://{}", self.address)).await {
                    Ok(client) => return client,
                    Err(_not_yet) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                }
            }
        };
        let client = tokio::time::timeout(PATIENCE, wait).await;
        client.unwrap_or_else(|_| panic!("the server did not start: {}", self.log()))
    }

    pub async fn start_again(&mut self) {
        let running = if self.process { self.spawn() } else { self.run_here().await };
        self.running = Some(running);
    }

    /// SIGTERM, or the same in this process; waits for the end.
    pub async fn stop(&mut self) {
        match self.running.take() {
            Some(Running::Here { stop, server }) => {
                let _ = stop.send(());
                tokio::time::timeout(PATIENCE, server)
                    .await
                    .expect("the server did not stop")
                    .unwrap()
                    .unwrap();
            }
            Some(Running::Process(mut child)) => {
                let id = child.id().expect("the server runs").to_string();
                Command::new("kill").arg(id).status().await.unwrap();
                let status =
                    tokio::time::timeout(PATIENCE, child.wait()).await.expect("the server did not stop");
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

    async fn run_here(&self) -> Running {
        let config = Flags::parse_from(self.arguments()).config;
        let listener = server::listen(&config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let server = tokio::spawn(server::serve(config, listener, Arc::new(SystemClock::start()), shutdown));
        Running::Here { stop, server }
    }

    fn spawn(&self) -> Running {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ticketing"))
            .args(self.arguments().into_iter().skip(1))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        Running::Process(child.unwrap())
    }

    /// As typed, program name and all.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["ticketing".to_owned()];
        if self.process {
            arguments.push("serve".to_owned());
        }
        arguments.push(format!("--listen={}", self.address));
        arguments.push(format!("--data={}", self.data().display()));
        arguments.extend(self.flags.iter().cloned());
        arguments
    }

    fn log_file(&self) -> PathBuf {
        log_file(self.folder.path())
    }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// An address that nobody listens on: the same before and after a restart.
pub fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
