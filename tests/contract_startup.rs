//! Failures to start, each reported in one line; and the created files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rhythmx_ticketing::v1::TicketSystem;
use tempfile::TempDir;

use ticketing_harness::{Plan, ProgramOutput, Server, World, free_address, run_program};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ended = start(&folder.path().join("data"), &[&format!("--listen={address}")], &[]).await;
    check_stderr(&ended, &[&address, "in use"]);
}

#[tokio::test]
async fn refuses_exposed_address() {
    let folder = tempfile::tempdir().unwrap();
    let ended = start(&folder.path().join("data"), &["--listen=0.0.0.0:0"], &[]).await;
    check_stderr(&ended, &["--listen", "loopback"]);
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn missing_tls_and_auth_flags_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("file"), "neither a key nor a certificate").unwrap();
    let flag = |flag: &str, file: &str| format!("--{flag}={}", path.join(file).display());
    let cert = flag("tls-cert", "file");
    let key = flag("tls-key", "file");
    let authority = flag("tls-client-ca", "file");
    let everywhere = "--listen=0.0.0.0:0".to_owned();
    let auth = |source: &str| format!("--auth={source}");
    let table = [
        (vec![everywhere.clone(), auth("token")], vec!["--listen", "--tls-cert and --tls-key"]),
        (vec![everywhere, cert.clone(), key.clone()], vec!["--listen", "requires --auth"]),
        (vec![cert.clone()], vec!["--tls-cert", "requires --tls-key"]),
        (vec![key.clone()], vec!["--tls-key", "requires --tls-cert"]),
        (vec![auth("certificate")], vec!["--auth certificate", "--tls-client-ca"]),
        (vec![cert.clone(), key.clone(), authority], vec!["--tls-client-ca", "--auth certificate"]),
        (vec![cert.clone(), key], vec!["--tls-cert", "file", "no certificate"]),
        (vec![cert, flag("tls-key", "nowhere")], vec!["failed to read --tls-key", "nowhere"]),
        (vec![format!("--listen=unix:{}", path.join("none/socket").display())], vec!["--listen", "folder"]),
        (vec![format!("--listen=unix:{}", path.join("file").display())], vec!["--listen", "not a socket"]),
    ];
    for (flags, words) in table {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        check_stderr(&start(&path.join("data"), &flags, &[]).await, &words);
    }
    assert!(!path.join("data").exists());
}

#[tokio::test]
async fn refuses_too_short_lease() {
    let folder = tempfile::tempdir().unwrap();
    let ended = start(&folder.path().join("data"), &["--lease=1s"], &[]).await;
    check_stderr(&ended, &["--lease", "--attempt-deadline"]);
}

#[tokio::test]
async fn invalid_duration_is_refused_by_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let ended = start(&folder.path().join("data"), &["--event-retention=soon"], &[]).await;
    let first = ended.stderr.lines().next().unwrap();
    assert!(first.contains("--event-retention") && first.contains("write it like"), "{ended:?}");
    assert_ne!(ended.code, Some(0));
}

#[tokio::test]
async fn folder_that_cannot_be_created_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let data = folder.path().join("file/data");
    let ended = start(&data, &[], &[]).await;
    check_stderr(&ended, &[&data.display().to_string(), "failed to create"]);
}

#[tokio::test]
async fn refuses_data_folder_of_a_running_server() {
    let mut world = Plan::new().start().await;
    let ended = start(&world.server.data(), &[], &[]).await;
    check_stderr(&ended, &["another server uses the database", "ticketing.db"]);
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn missing_wrong_or_malformed_key_is_named() {
    let (folder, data) = stopped().await;
    let key_file = folder.path().join("other.key");
    let flag = format!("--key-file={}", key_file.display());
    check_stderr(&start(&data, &[&flag], &[]).await, &["other.key", "restore it"]);
    std::fs::write(&key_file, "too short").unwrap();
    check_stderr(&start(&data, &[&flag], &[]).await, &["other.key", "32 bytes"]);
    std::fs::write(&key_file, KEY).unwrap();
    check_stderr(&start(&data, &[&flag], &[]).await, &["other.key", "is not the one"]);
    check_stderr(&start(&data, &[], &[("TICKETING_KEY", "nonsense")]).await, &["TICKETING_KEY", "32 bytes"]);
    check_stderr(&start(&data, &[], &[("TICKETING_KEY", KEY)]).await, &["TICKETING_KEY", "is not the one"]);
    for file in std::fs::read_dir(&data).unwrap().flatten() {
        if file.path().extension().is_some_and(|extension| extension == "key") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    check_stderr(&start(&data, &[], &[]).await, &["key file", "is missing"]);
}

#[tokio::test]
async fn corrupt_database_is_named_and_unchanged() {
    for at in [0, 4_096, 3 * 4_096] {
        let (_folder, data) = stopped().await;
        let file = data.join("ticketing.db");
        let mut bytes = std::fs::read(&file).unwrap();
        let end = bytes.len().min(at + 4_096);
        bytes[at..end].fill(0xA5);
        std::fs::write(&file, &bytes).unwrap();
        check_stderr(&start(&data, &[], &[]).await, &["ticketing.db", "damaged"]);
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
}

#[tokio::test]
async fn database_and_key_are_readable_by_their_owner_only() {
    let mut world: World = Plan::new().in_a_process().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    let mut seen = 0;
    for file in std::fs::read_dir(world.server.data()).unwrap().flatten() {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?} has {mode:o}", file.path());
        seen += 1;
    }
    assert!(seen >= 4, "database, write-ahead log, key and lock");
    let mode = std::fs::metadata(world.server.data()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "{mode:o}");
    world.finish().await;
}

async fn start(data: &Path, flags: &[&str], variables: &[(&str, &str)]) -> ProgramOutput {
    let mut arguments = vec!["serve".to_owned(), format!("--data={}", data.display())];
    if !flags.iter().any(|flag| flag.starts_with("--listen")) {
        arguments.push(format!("--listen={}", free_address()));
    }
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    run_program(&arguments, variables).await
}

/// A failure, reported in one line that contains all these words.
#[track_caller]
fn check_stderr(ended: &ProgramOutput, words: &[&str]) {
    assert_ne!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [line] = lines.as_slice() else { panic!("not one line: {}", ended.stderr) };
    assert!(words.iter().all(|word| line.contains(word)), "{words:?} in {line}");
}

/// The data of a server that was configured, used and stopped.
async fn stopped() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = Plan::new().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.server.stop().await;
    let data = folder.path().join("data");
    copy(&world.server, &data);
    (folder, data)
}

fn copy(server: &Server, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(server.data()).unwrap().flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn refuses_symlinks_among_its_own_files() {
    for name in [
        "ticketing.db",
        "ticketing.db.lock",
        "ticketing.db.mark",
        "ticketing.db.key",
        "ticketing.db-wal",
        "ticketing.db.key.unfinished",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let victim = folder.path().join("victim");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&victim, KEY).unwrap();
        std::os::unix::fs::symlink(&victim, data.join(name)).unwrap();
        let ended = start(&data, &[], &[]).await;
        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        assert!(ended.stderr.contains("link"), "{name}: {ended:?}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), KEY, "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("victim")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("victim"), folder.path().join("data")).unwrap();
    let ended = start(&folder.path().join("data"), &[], &[]).await;
    check_stderr(&ended, &["data", "symbolic link"]);
    assert!(std::fs::read_dir(folder.path().join("victim")).unwrap().next().is_none());
}

#[tokio::test]
async fn refuses_fifo_instead_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let flag = |flag: &str| format!("--{flag}={}", fifo.display());
    let jwt = ["--auth=jwt", "--jwt-issuer=i", "--jwt-audience=a"].map(str::to_owned);
    for flags in [
        vec![flag("tls-cert"), flag("tls-key")],
        vec![flag("key-file")],
        vec![flag("proxy-logins")],
        [vec![flag("jwt-keys")], jwt.to_vec()].concat(),
    ] {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let ended = start(&folder.path().join("data"), &flags, &[]).await;
        assert_eq!(ended.code, Some(1), "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains("fifo") && ended.stderr.contains("not a regular file"), "{ended:?}");
    }
}

#[tokio::test]
async fn warns_of_data_folder_that_others_can_write() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o777)).unwrap();
    let world = Plan::new().in_a_process().with_data(&data).start().await;
    assert!(world.server.log().contains("chmod 700"), "{}", world.server.log());
    world.finish().await;
}
