//! Start-up messages about process limits and the permissions of secret files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ticketing_harness::{WAIT_TIMEOUT, binary, run_program};
use tokio::process::{Child, Command};

/// The last log message of the start.
const STARTED: &str = "listening";

/// The server over the folder `data`, started by a shell that sets its open file limits first.
fn started(data: &Path, limits: &str, flags: &[&str]) -> Child {
    let log = std::fs::File::create(data.with_extension("log")).unwrap();
    Command::new("sh")
        .args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")])
        .arg(binary())
        .args(["serve", "--listen=127.0.0.1:0"])
        .arg(format!("--data={}", data.display()))
        .args(flags)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The log of a server over the folder until it listened.
async fn log(data: &Path) -> String {
    let wait = async {
        loop {
            let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
            if log.contains(STARTED) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, wait).await.expect("the server does not start")
}

/// The soft and hard open file limits of a process.
fn limits(server: &Child) -> Vec<String> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id().unwrap())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn raises_open_file_limit_and_warns_of_shortage() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = started(&data, "ulimit -Sn 100 && ulimit -Hn 300", &[]);
    let output = log(&data).await;
    assert_eq!(limits(&server), ["300", "300"]);
    assert!(output.contains("limit=300"), "{output}");
    assert!(
        output.contains("--max-connections does not fit") && output.contains("connections=512"),
        "{output}"
    );
    server.kill().await.unwrap();
    let _server = started(&data, "ulimit -Sn 100 && ulimit -Hn 300", &["--max-connections=200"]);
    let output = log(&data).await;
    assert!(!output.contains("does not fit"), "{output}");
}

#[tokio::test]
async fn warns_of_readable_secret_files_with_a_fix() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = |name: &str| folder.path().join(name);
    let trial = ["tls", "dev", "--out", &file("trial").display().to_string()].map(str::to_owned);
    assert_eq!(run_program(&trial, &[]).await.code, Some(0));
    std::fs::write(file("key"), "00".repeat(32)).unwrap();
    std::fs::write(file("logins"), "proxy.corp.example:3128 bot:password\n").unwrap();
    let secrets = [file("key"), file("logins"), file("trial/server.key")];
    let flags = [
        format!("--key-file={}", file("key").display()),
        format!("--proxy-logins={}", file("logins").display()),
        format!("--tls-key={}", file("trial/server.key").display()),
        format!("--tls-cert={}", file("trial/server.pem").display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    for (mode, is_warned) in [(0o644, true), (0o600, false)] {
        for secret in &secrets {
            std::fs::set_permissions(secret, Permissions::from_mode(mode)).unwrap();
        }
        let mut server = started(&data, "true", &flags);
        let output = log(&data).await;
        for secret in &secrets {
            let fix = format!("chmod 600 {}", secret.display());
            assert_eq!(output.contains(&fix), is_warned, "{mode:o}: {output}");
        }
        assert!(!output.contains("server.pem"), "a certificate is no secret: {output}");
        server.kill().await.unwrap();
    }
}

#[tokio::test]
async fn permissions_of_generated_key_are_checked_at_each_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = started(&data, "true", &[]);
    assert!(!log(&data).await.contains("chmod 600"));
    server.kill().await.unwrap();
    let key = data.join("ticketing.db.key");
    std::fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let _server = started(&data, "true", &[]);
    assert!(log(&data).await.contains(&format!("chmod 600 {}", key.display())));
}
