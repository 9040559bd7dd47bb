//! The unauthenticated limit, and which callers it does not affect.

use std::time::Duration;

use rhythmx_ticketing::Client;
use ticketing_core::role::Role;
use ticketing_harness::{Edit, Plan, WAIT_TIMEOUT, World, refusal};
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::access::{call, channel, client_of, refused_as};

const STATUS: &str = "/rhythmx.ticketing.v1.TicketingService/GetStatus";
const BURST: usize = 5;
const CALLS: usize = 200;
/// The summary line for many calls.
const LOGGED: &str = "refused calls without a valid credential";

/// A server that permits one unauthenticated call a second.
fn plan() -> Plan {
    let plan = Plan::new().in_a_process().with_token_auth();
    plan.with_flag("--unauthenticated-rate=1").with_flag(&format!("--unauthenticated-burst={BURST}"))
}

/// Calls repeatedly. Returns how many failed with an invalid credential, and how many over the limit.
async fn flood(channel: &Channel, credential: Option<&str>) -> (usize, usize) {
    let mut unknown = 0;
    let mut later = 0;
    for _ in 0..CALLS {
        let refused = refusal(call(channel, STATUS, credential).await);
        match refused.code {
            Code::Unauthenticated => unknown += 1,
            Code::ResourceExhausted => {
                assert_eq!(refused.reason, "RATE_LIMITED");
                assert!(refused.has_retry_delay);
                later += 1;
            }
            code => panic!("{code:?}"),
        }
    }
    (unknown, later)
}

/// A channel from another address of this machine.
async fn from_elsewhere(world: &World) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", world.server.address)).unwrap();
    endpoint.local_address(Some([127, 0, 0, 2].into())).connect().await.unwrap()
}

fn other_secret(token: &str) -> String {
    let (rest, _) = token.split_at(token.len() - 43);
    format!("{rest}{}", "A".repeat(43))
}

#[tokio::test]
async fn unauthenticated_limit_spares_valid_credentials() {
    let mut world = plan().start_unconfigured().await;
    let begun = Instant::now();
    let channel = channel(&world).await;
    let (mut wall, token) = client_of(&mut world, "wall", Role::Viewer).await;
    let wrong = [None, Some("nonsense".to_owned()), Some(other_secret(&token)), Some(unknown(&token))];
    let mut unknown = 0;
    let mut later = 0;
    for credential in &wrong {
        let (of_these, of_those) = flood(&channel, credential.as_deref()).await;
        (unknown, later) = (unknown + of_these, later + of_those);
        wall.get_status().await.unwrap();
    }
    let earned = begun.elapsed().as_secs() as usize + 1;
    assert!((BURST..=BURST + earned).contains(&unknown), "{unknown} within {earned} s");
    // One token is created during this, and one is revoked.
    let (mut newcomer, _) = client_of(&mut world, "newcomer", Role::Viewer).await;
    let wait = async { while newcomer.get_status().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("a new token is not known");
    let mut administration = world.server.administration().await;
    administration.revoke("wall").await.unwrap();
    administration.close().await;
    let wait = async { while wall.get_status().await.unwrap_err().code() != Code::ResourceExhausted {} };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("a revoked token is let to the store");
    // Callers from another address have their own limit.
    let refused = call(&from_elsewhere(&world).await, STATUS, None).await.unwrap_err();
    assert_eq!(refused_as(refused), (Code::Unauthenticated, "CREDENTIAL_MISSING".to_owned()));
    let logged = async {
        loop {
            let log = world.server.log();
            if log.matches(LOGGED).count() > 0 {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let log = tokio::time::timeout(WAIT_TIMEOUT, logged).await.expect("nothing is logged about them");
    let lines = log.lines().filter(|line| line.contains("refused") || line.contains("accepted")).count();
    assert!(lines < 60, "{lines} lines for {later} calls:\n{log}");
    assert!(log.lines().any(|line| line.contains(LOGGED) && line.contains("peer=127.0.0.1")), "{log}");
    world.close().await;
}

#[tokio::test]
async fn unknown_tokens_query_the_store_once_a_second() {
    let mut world = plan().start_unconfigured().await;
    let channel = channel(&world).await;
    let (_, token) = client_of(&mut world, "wall", Role::Viewer).await;
    let wrong = other_secret(&token);
    flood(&channel, Some(&wrong)).await;
    // From here on every query of the store fails.
    world.server.edit(Edit::HideTokens).await;
    let begun = Instant::now();
    let mut failed = 0;
    for _ in 0..2 * CALLS {
        match call(&channel, STATUS, Some(&wrong)).await.unwrap_err().code() {
            Code::ResourceExhausted => {}
            Code::Unavailable | Code::Internal => failed += 1,
            code => panic!("{code:?}"),
        }
    }
    // The limit permits one call a second, and the list of tokens is read once a second.
    let most = 2 * (begun.elapsed().as_secs() + 2);
    assert!(failed <= most, "the store was asked {failed} times");
    world.close().await;
}

#[tokio::test]
async fn callers_on_one_socket_share_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let mut world = plan().on_socket(&socket).start_unconfigured().await;
    let mut codes = vec![];
    for _ in 0..4 * BURST {
        let mut client: Client = ticketing_harness::over_socket(&socket).await.unwrap();
        codes.push(client.get_status().await.unwrap_err().code());
    }
    let later = codes.iter().filter(|code| **code == Code::ResourceExhausted).count();
    assert!(codes[0] == Code::Unauthenticated && later >= BURST, "{codes:?}");
    world.client.get_status().await.unwrap();
    world.close().await;
}

/// A token with an unknown ID.
fn unknown(token: &str) -> String {
    token.replacen("rxt_", "rxt_0", 1).replacen(&token[4..20], &token[4..19], 1)
}
