//! TLS, good and bad, as a client that trusts the authority sees it.

use std::error::Error;
use std::time::Duration;

use reqwest::Client;
use ticketing_simulator::{
    Authority, Call, Certificate, Effect, Point, Profile, Rule, Simulator, Vendor, When,
};

use crate::support::client;

const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

struct Secured {
    simulator: Simulator,
    authority: Authority,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Secured {
    async fn start() -> Self {
        // It installs the crypto provider.
        drop(client());
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        let good = authority.issue(Certificate::Good).unwrap();
        let profile = Profile::of(Vendor::JiraCloud);
        let simulator = Simulator::start_tls(Vendor::JiraCloud, profile, &good).await.unwrap();
        let pem = std::fs::read(authority.pem_file()).unwrap();
        let roots = [reqwest::Certificate::from_pem(&pem).unwrap()];
        let client = Client::builder().tls_certs_only(roots).pool_max_idle_per_host(0).build().unwrap();
        Self { simulator, authority, client, _folder: folder }
    }

    async fn ask(&self, host: &str) -> Result<u16, String> {
        let url = format!("{}/rest/api/3/serverInfo", self.simulator.base_url().replace("127.0.0.1", host));
        let answer = self.client.get(url).timeout(WAIT_TIMEOUT).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| {
            let causes = std::iter::successors(Some(&error as &dyn Error), |&cause| cause.source());
            causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
        })
    }
}

#[tokio::test]
async fn good_certificate_is_accepted_by_name_and_by_address() {
    let secured = Secured::start().await;
    assert!(secured.simulator.base_url().starts_with("https://127.0.0.1:"));
    assert_eq!(secured.ask("127.0.0.1").await, Ok(200));
    assert_eq!(secured.ask("localhost").await, Ok(200));
}

#[tokio::test]
async fn each_bad_certificate_is_refused_for_its_own_reason() {
    let secured = Secured::start().await;
    let cases = [
        (Certificate::Expired, "expired"),
        (Certificate::NotYetValid, "not valid yet"),
        (Certificate::WrongName, "not valid for name"),
        (Certificate::Untrusted, "UnknownIssuer"),
        (Certificate::SelfSigned, "UnknownIssuer"),
    ];
    for (certificate, reason) in cases {
        secured.simulator.present(&secured.authority.issue(certificate).unwrap());
        let refused = secured.ask("127.0.0.1").await.unwrap_err();
        assert!(refused.contains(reason), "{certificate:?}: {refused}");
    }
    assert!(secured.simulator.requests().is_empty());
    secured.simulator.present(&secured.authority.issue(Certificate::Good).unwrap());
    assert_eq!(secured.ask("127.0.0.1").await, Ok(200));
}

#[tokio::test]
async fn handshake_can_hang_break_off_or_get_plain_http() {
    let secured = Secured::start().await;
    let faults = secured.simulator.faults();
    for effect in [Effect::plain_http(), Effect::ResetBefore, Effect::DropBefore] {
        faults.push(Rule::new(Call::Connection, When::Next(1), effect.clone()));
        assert!(secured.ask("127.0.0.1").await.is_err(), "{effect:?}");
        faults.clear();
    }
    faults.push(Rule::new(Call::Connection, When::Next(1), Effect::NeverRead));
    let held = secured.simulator.reached(Call::Connection, Point::Held) + 1;
    let release = async {
        secured.simulator.until(Call::Connection, Point::Held, held).await;
        faults.release();
    };
    let (asked, ()) = tokio::join!(secured.ask("127.0.0.1"), release);
    assert!(asked.is_err());
}

#[tokio::test]
async fn odd_bytes_are_played_under_tls_too() {
    let secured = Secured::start().await;
    let faults = secured.simulator.faults();
    for (effect, accepted) in [
        (Effect::ResetBefore, false),
        (Effect::Interim(103), true),
        (Effect::StatusLineOnly, false),
        (Effect::CloseIdle, true),
    ] {
        faults.push(Rule::new(Call::Meta, When::Next(1), effect.clone()));
        let holds = effect == Effect::StatusLineOnly;
        let release = async {
            if holds {
                secured.simulator.until(Call::Meta, Point::Held, 1).await;
                faults.release();
            }
        };
        let (asked, ()) = tokio::join!(secured.ask("localhost"), release);
        assert_eq!(asked.is_ok(), accepted, "{effect:?}: {asked:?}");
        faults.clear();
    }
}
