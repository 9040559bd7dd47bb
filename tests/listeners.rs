//! Callers over TLS and mTLS; callers over a Unix socket; and a separate health listener.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rhythmx_ticketing::v1::TicketSystem;
use tempfile::TempDir;
use ticketing_core::role::Role;
use ticketing_simulator::{Authority, Certificate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use ticketing_harness::{
    Answer, HostilePeer, Plan, Server, Start, Subscriber, TlsFiles, WAIT_TIMEOUT, World, call_head, frame,
    free_address, from_oldest, head_of, over_socket,
};

#[tokio::test]
async fn serves_tls_callers_that_trust_its_authority() {
    let (folder, tls_files) = tls_files().await;
    let mut world = Plan::new().callers_under_tls(&tls_files).start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    let untrusted = another(folder.path()).await;
    assert!(untrusted.connect(&world.server.address).await.is_err());
    let plain = Endpoint::from_shared(format!("http://{}", world.server.address)).unwrap().connect().await;
    assert!(
        plain.is_err()
            || HealthClient::new(plain.unwrap()).check(HealthCheckRequest::default()).await.is_err()
    );
    world.push("INC-2", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn client_certificate_is_required_without_other_credentials() {
    let (folder, tls_files) = tls_files().await;
    let flags = ["--auth=certificate", "--certificate-roles=spiffe://ticketing.test/trial=viewer"];
    let flags = flags.map(str::to_owned).into_iter().chain([tls_files.flag_of_authority()]).collect();
    let server = Start { flags, ..start(&tls_files) };
    let mut server = Server::start(server).await;
    server.client().await.get_status().await.unwrap();
    assert!(is_accepted(&tls_files, &server).await);
    let without = TlsFiles { shows_certificate: false, ..tls_files.clone() };
    assert!(!is_accepted(&without, &server).await);
    // It trusts the right server, but presents a certificate of another authority.
    let untrusted = another(folder.path()).await;
    std::fs::copy(tls_files.file("ca.pem"), untrusted.file("ca.pem")).unwrap();
    assert!(!is_accepted(&untrusted, &server).await);
    server.stop().await;
}

#[tokio::test]
async fn certificates_reload_while_a_stream_continues() {
    let (folder, tls_files) = tls_files().await;
    let plan = Plan::new().callers_under_tls(&tls_files).with_flag("--log-format=json");
    let mut world = plan.start().await;
    let mut subscriber = Subscriber::open(&world.client, from_oldest()).await;
    let new = another(folder.path()).await;

    std::fs::write(tls_files.file("server.pem"), "half a certificate").unwrap();
    world.server.send_sighup().await;
    until_logged(&world, "keeping the current ones").await;
    assert!(tls_files.connect(&world.server.address).await.is_ok());
    // The certificate is written before its key.
    std::fs::copy(new.file("server.pem"), tls_files.file("server.pem")).unwrap();
    world.server.send_sighup().await;
    until_logged(&world, "do not make a pair: keys may not be consistent").await;
    assert!(tls_files.connect(&world.server.address).await.is_ok());

    // Also without SIGHUP.
    std::fs::copy(new.file("server.key"), tls_files.file("server.key")).unwrap();
    until_logged(&world, "reloaded the TLS certificate").await;
    assert!(new.connect(&world.server.address).await.is_ok());
    assert!(tls_files.connect(&world.server.address).await.is_err());
    world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(subscriber.event().await.delivery.unwrap().incident_id, "INC-1");
    world.finish().await;
}

#[tokio::test]
async fn expired_certificate_is_logged_at_error_level() {
    const WORDS: &str = "the certificate of --tls-cert has expired";
    let (folder, tls_files) = tls_files().await;
    let mut world = Plan::new().callers_under_tls(&tls_files).start().await;
    assert!(!world.server.log().contains(WORDS));
    let authority = Authority::new(folder.path()).unwrap();
    let certificate = tls_files.file("server.pem");
    let key = tls_files.file("server.key");
    authority.issue_files(Certificate::Expired, &certificate, &key).unwrap();
    world.server.send_sighup().await;
    until_logged(&world, WORDS).await;
    let log = world.server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(WORDS)).collect();
    assert!(lines.iter().all(|line| line.contains("ERROR") && line.contains("2001-01-01")), "{lines:?}");
    // Connected callers are still served.
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn failed_handshake_does_not_block_others() {
    let (_folder, tls_files) = tls_files().await;
    let plan = Plan::new().callers_under_tls(&tls_files).with_flag("--max-connections-per-peer=2");
    let mut world = plan.start().await;
    // One slot is that of the honest caller.
    let failing = async {
        for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\r\n\r\n"].repeat(8) {
            let mut peer = HostilePeer::silent(&world.server.address).await.unwrap();
            // It may be closed already.
            let _ = peer.send(bytes).await;
            peer.reset();
            while tls_files.connect(&world.server.address).await.is_err() {}
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, failing).await.expect("there is a place again");
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn json_log_has_the_causes_of_an_error() {
    let (_folder, tls_files) = tls_files().await;
    let mut world = Plan::new().callers_under_tls(&tls_files).with_flag("--log-format=json").start().await;
    let mut plain = HostilePeer::silent(&world.server.address).await.unwrap();
    plain.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    until_logged(&world, r#""error":"the TLS handshake failed: received corrupt message"#).await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn stalled_handshake_times_out() {
    let (_folder, tls_files) = tls_files().await;
    let mut world =
        Plan::new().callers_under_tls(&tls_files).with_flag("--handshake-timeout=200ms").start().await;
    for bytes in [&[][..], &[0x16, 3, 1, 2, 0, 1]] {
        let mut half = ticketing_harness::HostilePeer::silent(&world.server.address).await.unwrap();
        half.send(bytes).await.unwrap();
        half.until_closed().await;
    }
    assert!(world.server.log().contains("handshake did not end in time"));
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn socket_is_private_and_a_stale_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ticketing.sock");
    let mut world = Plan::new().on_socket(&socket).in_a_process().start().await;
    let metadata = std::fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    world.push("INC-1", TicketSystem::Jira).await;
    world.server.kill().await;
    assert!(socket.exists(), "it was left behind");
    world.server.start_again().await;
    world.client = world.server.client().await;
    let arguments = ["serve", &format!("--listen=unix:{}", socket.display())].map(str::to_owned);
    let ended = ticketing_harness::run_program(&arguments, &[]).await;
    assert!(ended.stderr.contains("address already in use"), "{ended:?}");
    assert!(over_socket(&socket).await.is_ok());
    world.finish().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn socket_accepts_any_authority() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ticketing.sock");
    let plan = Plan::new().on_socket(&socket).in_a_process().with_flag("--shutdown-grace=1s");
    let world = plan.start().await;
    // grpcio sends the first; the others are what a client might send that knows no better.
    for authority in ["run%2Fticketing.sock", "/run/ticketing.sock", "a:b:c", "localhost"] {
        let head = call_head("GetStatus", &[]);
        let named = b"\x09localhost";
        let at = head.windows(named.len()).position(|window| window == named).unwrap();
        let length = u8::try_from(authority.len()).unwrap();
        let head = [&head[..at], &[length], authority.as_bytes(), &head[at + named.len()..]].concat();
        let preface = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..];
        let settings = frame(0x4, 0, 0, &[]);
        let call = frame(0x1, 0x4, 1, &head);
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(&[preface, &settings, &call, &frame(0x0, 1, 1, &[0; 5])].concat()).await.unwrap();
        let answer = async {
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
                stream.read_exact(&mut payload).await.unwrap();
                assert_ne!(head[3], 0x3, "{authority}: the stream was reset");
                if head[3] == 0x1 {
                    return payload[0];
                }
            }
        };
        let status = tokio::time::timeout(WAIT_TIMEOUT, answer).await.expect("no answer");
        assert_eq!(status, 0x88, "{authority}: 200 of the table");
    }
    world.finish().await;
}

#[tokio::test]
async fn health_command_asks_over_tls_and_over_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ticketing.sock");
    let (_folder, tls_files) = tls_files().await;
    let on_socket = Plan::new().on_socket(&socket).in_a_process().start().await;
    let under_tls = Plan::new().callers_under_tls(&tls_files).with_token_auth().start().await;
    let port = under_tls.server.address.rsplit_once(':').unwrap().1;
    let https = format!("--address=https://localhost:{port}");
    let ca = format!("--ca={}", tls_files.file("ca.pem").display());
    let token = under_tls.server.make_token("probe", Role::Viewer, Duration::from_secs(60)).await;
    let token = [("TICKETING_TOKEN", token.as_str())];
    let unix = format!("--address=unix:{}", socket.display());
    let ends = async |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments: Vec<_> = ["health"].iter().chain(arguments).map(|text| (*text).to_owned()).collect();
        ticketing_harness::run_program(&arguments, variables).await
    };
    assert_eq!(ends(&[&unix], &[]).await.code, Some(0));
    assert_eq!(ends(&[&https, &ca], &token).await.code, Some(0));
    let without_token = ends(&[&https, &ca], &[]).await;
    assert!(without_token.code != Some(0) && without_token.stderr.contains("--token"), "{without_token:?}");
    assert_ne!(ends(&[&https], &token).await.code, Some(0), "its authority is not known");
    let missing = ends(&["--address=unix:/nowhere/t.sock"], &[]).await;
    assert!(missing.code != Some(0) && missing.stderr.contains("/nowhere/t.sock"), "{missing:?}");
    on_socket.finish().await;
    under_tls.finish().await;
}

#[tokio::test]
async fn health_command_names_error_and_advice() {
    let (_folder, tls_files) = tls_files().await;
    let under_tls = Plan::new().callers_under_tls(&tls_files).with_token_auth().start().await;
    let plain = Plan::new().in_a_process().start().await;
    let port = under_tls.server.address.rsplit_once(':').unwrap().1;
    let plain_port = plain.server.address.rsplit_once(':').unwrap().1;
    let ca = format!("--ca={}", tls_files.file("ca.pem").display());
    let cases = [
        (vec!["--address=127.0.0.1:1".to_owned()], "refused", "server runs"),
        (vec!["--address=unix:/nowhere/t.sock".to_owned()], "/nowhere/t.sock", "socket does not exist"),
        (vec![format!("--address=http://localhost:{port}")], "speaks TLS", "https://"),
        (
            vec![format!("--address=https://localhost:{plain_port}"), ca.clone()],
            "does not speak TLS",
            "http://",
        ),
        (vec![format!("--address=https://localhost:{port}")], "authority", "--ca"),
        (
            vec![
                format!("--address=https://localhost:{port}"),
                ca,
                "--server-name=elsewhere.example".to_owned(),
            ],
            "another name",
            "--server-name",
        ),
    ];
    for (arguments, what, advice) in cases {
        let all: Vec<_> = ["health".to_owned()].into_iter().chain(arguments).collect();
        let ended = ticketing_harness::run_program(&all, &[]).await;
        assert!(ended.code == Some(1) && ended.stderr.contains(what), "{ended:?}");
        assert!(ended.stderr.contains(advice), "{ended:?}");
        let is_debug =
            ["{", "[", "(\"", "Some(", "Error", "MetadataMap"].iter().any(|it| ended.stderr.contains(it));
        assert!(!is_debug && ended.stderr.lines().count() == 1, "{ended:?}");
    }
    under_tls.finish().await;
    plain.finish().await;
}

#[tokio::test]
async fn health_listener_serves_health_only() {
    let (_folder, tls_files) = tls_files().await;
    let address = free_address();
    let plan = Plan::new().callers_under_tls(&tls_files).with_flag(&format!("--health-listen={address}"));
    let world = plan.start().await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status, 1, "SERVING");
    let refused = rhythmx_ticketing::Client::over(channel.clone()).get_status().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.get_details_error_info().unwrap().domain, "ticketing.rhythmx");
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(channel);
    let refused = reflection.server_reflection_info(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    world.finish().await;
}

#[tokio::test]
async fn health_listener_limits_each_peer() {
    let address = free_address();
    let plan = Plan::new().in_a_process().with_flag(&format!("--health-listen={address}"));
    let world = plan.with_flag("--shutdown-grace=1s").start().await;
    let check = "/grpc.health.v1.Health/Check";
    let watch = "/grpc.health.v1.Health/Watch";
    let mut peers = vec![];
    for number in 0..16 {
        let mut peer = HostilePeer::connect(&address).await.unwrap();
        for stream in (1..17).step_by(2) {
            let (path, further) = if number % 2 == 0 {
                (check, &[("content-length", "4194304")][..])
            } else {
                (watch, &[][..])
            };
            peer.send(&frame(0x1, 0x4, stream, &head_of(path, further))).await.unwrap();
            if path == watch {
                peer.data(stream, &[0; 5], true).await.unwrap();
            }
        }
        // One more than there may be on a connection.
        peer.send(&frame(0x1, 0x4, 17, &head_of(watch, &[]))).await.unwrap();
        assert_eq!(peer.answer(17).await, Answer::Reset(7), "REFUSED_STREAM");
        assert!(peer.is_alive().await);
        peers.push(peer);
    }
    for from in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.local_address(Some(from.into())).connect().await.unwrap();
        let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(answer.into_inner().status, 1, "SERVING");
    }
    world.finish().await;
}

#[tokio::test]
async fn refusals_on_health_listener_do_not_fill_the_log() {
    const CALLS: usize = 400;
    let address = free_address();
    let plan = Plan::new().in_a_process().with_flag(&format!("--health-listen={address}"));
    let world = plan.start().await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    for _ in 0..CALLS {
        let unknown = HealthCheckRequest { service: "unknown".to_owned() };
        assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
    }
    until_logged(&world, "further calls were refused").await;
    let log = world.server.log();
    let lines = log.lines().filter(|line| line.contains("refused")).count();
    assert!((50..60).contains(&lines), "{lines} lines for {CALLS} calls:\n{log}");
    drop(health);
    world.finish().await;
}

async fn tls_files() -> (TempDir, TlsFiles) {
    let folder = tempfile::tempdir().unwrap();
    let tls_files = TlsFiles::make(&folder.path().join("tls")).await;
    (folder, tls_files)
}

/// The files of another authority.
async fn another(folder: &Path) -> TlsFiles {
    TlsFiles::make(&folder.join("another")).await
}

fn start(tls_files: &TlsFiles) -> Start {
    Start { process: true, callers: Some(tls_files.clone()), ..Start::default() }
}

/// Whether anything is received after the handshake: a client learns only then that its certificate was refused.
async fn is_accepted(tls_files: &TlsFiles, server: &Server) -> bool {
    let Ok(mut stream) = tls_files.tls_handshake(&server.address).await else { return false };
    let received = tokio::time::timeout(WAIT_TIMEOUT, stream.read_u8()).await;
    received.expect("the server says something, or closes").is_ok()
}

async fn until_logged(world: &World, words: &str) {
    let wait = async {
        while !world.server.log().contains(words) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
    assert!(in_time.is_ok(), "{words:?} is not logged: {}", world.server.log());
}

#[tokio::test]
async fn server_without_certificates_ignores_sighup() {
    let mut world = Plan::new().in_a_process().start().await;
    world.server.send_sighup().await;
    world.push("INC-1", rhythmx_ticketing::v1::TicketSystem::Jira).await;
    world.finish().await;
}
