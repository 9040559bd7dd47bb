//! Every failure of TLS is reports in plain words with a way out. Each is produced by a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::violation::Violations;
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_egress::{
    EgressPolicy, HttpClient, Reply, Request, ResolveFuture, Resolver, Route, RouteDraft,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const HOST: &str = "jira.corp";
const MAX_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Resolves every name to this machine.
#[derive(Debug)]
struct LoopbackResolver;

impl Resolver for LoopbackResolver {
    fn resolve(&self, _: &str) -> ResolveFuture {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

/// A certificate with its key.
struct Identity {
    params: CertificateParams,
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl Identity {
    fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }
}

/// Valid from 2000 to 4095, for `names`, called `subject`.
fn params(subject: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    valid(params, 2000, 4095)
}

fn valid(mut params: CertificateParams, from: i32, until: i32) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    params
}

fn authority(subject: &str) -> CertificateParams {
    let mut params = params(subject, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Issued by `issuer`, or by itself.
fn issue(params: CertificateParams, issuer: Option<&Identity>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key)).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Identity { params, key, certificate }
}

fn config(
    chain: &[&Identity],
    versions: &[&'static SupportedProtocolVersion],
    client_authority: Option<&Identity>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match client_authority {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(chain[0].key.serialize_der()));
    builder.with_single_cert(chain.iter().map(|identity| identity.der()).collect(), key).unwrap()
}

/// Answers every request with an empty object; returns the port.
async fn serve(config: ServerConfig) -> u16 {
    serve_counted(config).await.0
}

/// The same, and the kinds of all handshakes.
async fn serve_counted(config: ServerConfig) -> (u16, Arc<Mutex<Vec<HandshakeKind>>>) {
    let kinds = Arc::new(Mutex::new(vec![]));
    let seen = kinds.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            seen.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
            let _ = stream.shutdown().await;
        }
    });
    (port, kinds)
}

async fn showing(chain: &[&Identity]) -> u16 {
    serve(config(chain, rustls::ALL_VERSIONS, None)).await
}

/// Answers the first bytes of every connection with these, and ends it.
async fn replying(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 4_096];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(answer).await;
        }
    });
    port
}

async fn get(host: &str, port: u16, trusted: &[&Identity]) -> Result<Reply, Fault> {
    let client = client(host, port).with_route(&trusting(trusted)).unwrap();
    client.send(request(host, port)).await
}

/// A request that uses a connection of its own.
fn request(host: &str, port: u16) -> Request {
    let url = format!("https://{host}:{port}").parse().unwrap();
    Request { is_read: false, ..Request::get(url, None, MAX_TIMEOUT) }
}

fn trusting(trusted: &[&Identity]) -> Route {
    let pem: String = trusted.iter().map(|identity| identity.certificate.pem()).collect();
    let draft = RouteDraft { ca_certificates: Some(pem), ..RouteDraft::default() };
    Route::parse(&draft, None, "jira", &mut Violations::default()).unwrap()
}

fn client(host: &str, port: u16) -> HttpClient {
    let permitted = [format!("{host}:{port}"), "127.0.0.1".to_owned()];
    let addresses = AddressPolicy::permitting(permitted.map(|text| text.parse().unwrap()).to_vec());
    let egress_policy = EgressPolicy {
        resolver: Arc::new(LoopbackResolver),
        ignored_proxy: Some("HTTPS_PROXY"),
        ..addresses.into()
    };
    HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, egress_policy).unwrap()
}

/// Asserts a TLS failure with these texts in message and hint.
#[track_caller]
fn assert_tls_fault(result: Result<Reply, Fault>, words: &str, hint: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Tls, "{fault}");
    assert!(!fault.is_ambiguous());
    assert!(fault.message.contains(words), "{words:?} is not in {:?}", fault.message);
    assert!(fault.hint.contains(hint), "{hint:?} is not in {:?}", fault.hint);
}

#[tokio::test]
async fn trusts_pinned_certificate() {
    for ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::ExplicitNoCa] {
        let mut own = params("Jira", &[HOST]);
        own.is_ca = ca;
        let own = issue(own, None);
        let port = showing(&[&own]).await;
        assert_eq!(get(HOST, port, &[&own]).await.unwrap().status, 200);
        assert_tls_fault(
            get("other.corp", port, &[&own]).await,
            "is for jira.corp, not for other.corp",
            "added to the certificate",
        );
    }
    let issued = issue(params("Jira", &[HOST]), Some(&issue(authority("Corp Root"), None)));
    assert_eq!(get(HOST, showing(&[&issued]).await, &[&issued]).await.unwrap().status, 200);
}

#[tokio::test]
async fn rejects_expired_pinned_certificate() {
    for (from, until, words) in
        [(2000, 2001, "expired on 2001-01-01"), (4000, 4095, "not valid before 4000-01-01")]
    {
        let mut own = valid(params("Jira", &[HOST]), from, until);
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = issue(own, None);
        assert_tls_fault(get(HOST, showing(&[&own]).await, &[&own]).await, words, "clock");
    }
}

#[tokio::test]
async fn reports_self_signed_certificate() {
    let plain = issue(params("Jira", &[HOST]), None);
    let mut own = authority("Jira Authority");
    own.subject_alt_names = params("", &[HOST]).subject_alt_names;
    let own = issue(own, None);
    let pin = "add this certificate, in PEM, to ca_certificates";
    let port = showing(&[&plain]).await;
    assert_tls_fault(get(HOST, port, &[]).await, "(Jira) is self-signed", pin);
    assert_tls_fault(get(HOST, port, &[&own]).await, "(Jira) is self-signed", pin);
    assert_tls_fault(
        get(HOST, showing(&[&own]).await, &[]).await,
        "(Jira Authority) is an authority's own (CA:TRUE)",
        pin,
    );
}

#[tokio::test]
async fn reports_unknown_authority_and_missing_intermediate() {
    let root = issue(authority("Corp Root"), None);
    let middle = issue(authority("Corp Issuing"), Some(&root));
    let leaf = issue(params("Jira", &[HOST]), Some(&middle));
    let alone = showing(&[&leaf]).await;
    assert_tls_fault(get(HOST, alone, &[]).await, "\"Corp Issuing\"", "to ca_certificates");
    let missing = "add the certificate of \"Corp Issuing\", in PEM, to ca_certificates";
    assert_tls_fault(get(HOST, alone, &[&root]).await, "sent no intermediate certificates", missing);
    assert_eq!(get(HOST, alone, &[&root, &middle]).await.unwrap().status, 200);
    let whole = showing(&[&leaf, &middle]).await;
    assert_eq!(get(HOST, whole, &[&root]).await.unwrap().status, 200);
    assert_tls_fault(get(HOST, whole, &[]).await, "issued under \"Corp Root\"", "to ca_certificates");
    let other = issue(authority("Other Root"), None);
    assert_tls_fault(
        get(HOST, whole, &[&other]).await,
        "not among ca_certificates",
        "remove them if the site has a public",
    );
}

#[tokio::test]
async fn reports_certificate_dates_and_names() {
    let root = issue(authority("Corp Root"), None);
    let reports = async |params: CertificateParams, words: &str, hint: &str| {
        let leaf = issue(params, Some(&root));
        assert_tls_fault(get(HOST, showing(&[&leaf]).await, &[&root]).await, words, hint);
    };
    let own = || params("Jira", &[HOST]);
    reports(valid(own(), 2000, 2001), "expired on 2001-01-01 00:00 UTC", "clock, which says 20").await;
    reports(valid(own(), 4000, 4095), "not valid before 4000-01-01 00:00 UTC", "clock, which says 20").await;
    let names = ["a.corp", "10.0.0.1", "b.corp", "c.corp", "d.corp", "e.corp", "f.corp"];
    reports(
        params("Jira", &names),
        "a.corp, 10.0.0.1, b.corp, c.corp, d.corp and 2 more, not for jira.corp",
        "added",
    )
    .await;
    reports(params(HOST, &[]), "only a common name (jira.corp)", "with jira.corp as").await;
    let mut client = own();
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    reports(client, "not made for servers", "serverAuth").await;
}

#[tokio::test]
async fn reports_tls_inspection() {
    let root = issue(authority("Zscaler Root CA"), None);
    let leaf = issue(params("Jira", &[HOST, "acme.atlassian.net"]), Some(&root));
    let port = showing(&[&leaf]).await;
    assert_tls_fault(
        get(HOST, port, &[]).await,
        "inspects TLS",
        "\"Zscaler Root CA\", in PEM, to ca_certificates",
    );
    let root = issue(authority("Corp Root"), None);
    let leaf = issue(params("Jira", &["acme.atlassian.net"]), Some(&root));
    let port = showing(&[&leaf]).await;
    assert_tls_fault(get("acme.atlassian.net", port, &[]).await, "inspects TLS", "\"Corp Root\"");
}

#[tokio::test]
async fn reports_required_client_certificate() {
    let root = issue(authority("Corp Root"), None);
    let leaf = issue(params("Jira", &[HOST]), Some(&root));
    for version in [&version::TLS12, &version::TLS13] {
        let port = serve(config(&[&leaf], &[version], Some(&root))).await;
        assert_tls_fault(
            get(HOST, port, &[&root]).await,
            "demands a client certificate",
            "are not supported",
        );
    }
}

#[tokio::test]
async fn resumes_tls_session_with_the_same_trust_only() {
    let root = issue(authority("Corp Root"), None);
    let leaf = issue(params("Jira", &[HOST]), Some(&root));
    let other = issue(authority("Other Root"), None);
    for version in [&version::TLS12, &version::TLS13] {
        let (port, kinds) = serve_counted(config(&[&leaf], &[version], None)).await;
        let usual = client(HOST, port);
        let trusting_root = usual.with_route(&trusting(&[&root])).unwrap();
        for _ in 0..3 {
            trusting_root.send(request(HOST, port)).await.unwrap();
        }
        let full = HandshakeKind::Full;
        let resumed = HandshakeKind::Resumed;
        assert_eq!(*kinds.lock().unwrap(), [full, resumed, resumed]);
        let trusting_more = trusting_root.with_route(&trusting(&[&root, &other])).unwrap();
        trusting_more.send(request(HOST, port)).await.unwrap();
        assert_eq!(kinds.lock().unwrap().last(), Some(&full));
        let trusting_other = trusting_root.with_route(&trusting(&[&other])).unwrap();
        assert_eq!(trusting_other.send(request(HOST, port)).await.unwrap_err().kind, FaultKind::Tls);
        // A client without other authorities shares its sessions with its clones.
        trusting_root.clone().send(request(HOST, port)).await.unwrap();
        assert_eq!(kinds.lock().unwrap().last(), Some(&resumed));
    }
}

#[tokio::test]
async fn reports_refused_handshake() {
    let table: [(&[u8], &str, &str); 6] = [
        (&[0x15, 3, 3, 0, 2, 2, 40], "none of the cipher suites", "TLS 1.3, or TLS 1.2 with ECDHE"),
        (&[0x15, 3, 1, 0, 2, 2, 70], "neither TLS 1.2 nor TLS 1.3", "enable TLS 1.2"),
        (&[0x15, 3, 3, 0, 2, 2, 112], "does not serve a host called jira.corp", "spelling"),
        (&[0x15, 3, 3, 0, 2, 2, 80], "InternalError", "log"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS", "http"),
        (b"", "cut off during the TLS handshake", "HTTPS_PROXY is set but not used: set proxy_url"),
    ];
    for (answer, words, hint) in table {
        assert_tls_fault(get(HOST, replying(answer).await, &[]).await, words, hint);
    }
}

#[tokio::test]
async fn reports_plain_http_to_tls_server() {
    let own = issue(params("Jira", &[HOST]), None);
    let port = showing(&[&own]).await;
    let addresses = AddressPolicy::permitting(vec![format!("127.0.0.1:{port}").parse().unwrap()]);
    let client = HttpClient::new(Arc::new(Epoch), MAX_TIMEOUT, addresses.into()).unwrap();
    let url = format!("http://127.0.0.1:{port}").parse().unwrap();
    let fault = client.send(Request::get(url, None, MAX_TIMEOUT)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::ConnectionLost, "{fault}");
    assert!(fault.hint.contains("https"), "{fault}");
}
