use proptest::prelude::*;

use super::*;

fn guard(permitted: &str) -> AddressPolicy {
    AddressPolicy::permitting(permitted.split_whitespace().map(|text| text.parse().unwrap()).collect())
}

fn typed(permitted: &str, text: &str) -> Result<(), Rule> {
    guard(permitted).check_typed(text).map_err(|refused| refused.rule)
}

fn answers(permitted: &str, name: &str, answers: &str) -> bool {
    let answers: Vec<IpAddr> = answers.split(' ').map(|text| text.parse().unwrap()).collect();
    guard(permitted).check_answers(name, &answers).is_ok()
}

#[test]
fn allows_public_https_without_permission() {
    for text in [
        "https://acme.atlassian.net",
        "acme.atlassian.net",
        "HTTPS://Acme.Example/jira/",
        "https://acme.example:443",
        "https://jira.acme.example:8443/context",
        "https://1.1.1.1",
        "https://[2606:4700::1]",
        "https://büro.example",
        "jira",
    ] {
        assert_eq!(typed("", text), Ok(()), "{text}");
    }
}

#[test]
fn refuses_every_notation_of_forbidden_address() {
    use AddressKind as K;
    let (loopback, private, metadata) =
        (Rule::Address(K::Loopback), Rule::Address(K::Private), Rule::Address(K::Metadata));
    let mapped = Rule::Address(K::Embedding(Form::Mapped));
    let table = [
        ("http://acme.example", Rule::PlainHttp),
        ("http://1.1.1.1", Rule::PlainHttp),
        ("ftp://acme.example", Rule::Unreadable),
        ("file:///etc/passwd", Rule::Unreadable),
        ("gopher://127.0.0.1:70", Rule::Unreadable),
        ("", Rule::Unreadable),
        ("https://", Rule::Unreadable),
        ("https://user@acme.example", Rule::UserInfo),
        ("https://user:pw@acme.example", Rule::UserInfo),
        ("https://acme.example@127.0.0.1", Rule::UserInfo),
        ("https://@127.0.0.1", Rule::UserInfo),
        ("https:////u@127.0.0.1", Rule::UserInfo),
        ("https://acme.example\\@127.0.0.1", Rule::Characters),
        ("https://127.0.0.1\t", loopback.clone()),
        ("https://12\t7.0.0.1", Rule::Characters),
        ("https://127.0.0\n.1", Rule::Characters),
        ("https://acme\u{7}.example", Rule::Characters),
        ("https://acme.example.", Rule::TrailingDot),
        ("https://127.0.0.1.", Rule::Disguise),
        ("https://localhost.", Rule::TrailingDot),
        ("https://127.0.0.1%2f.example", Rule::Unreadable),
        ("https://%31%32%37.0.0.1", Rule::Percent),
        ("https://lo%63alhost", Rule::Percent),
        ("https://[fe80::1%25eth0]", Rule::Unreadable),
        ("https://2130706433", Rule::Disguise),
        ("https://0x7f000001", Rule::Disguise),
        ("https://0x7f.1", Rule::Disguise),
        ("https://0177.0.0.1", Rule::Disguise),
        ("https://127.1", Rule::Disguise),
        ("https://127.0.1", Rule::Disguise),
        ("https://0", Rule::Disguise),
        ("https://017700000001", Rule::Disguise),
        ("https://0x7F.0x0.0x0.0x1", Rule::Disguise),
        ("https://127.000.000.001", Rule::Disguise),
        ("https://１２７.0.0.1", Rule::Disguise),
        ("https://127。0。0。1", Rule::Disguise),
        ("https://①②⑦.0.0.1", Rule::Disguise),
        ("https://localhost", Rule::Localhost),
        ("https://LOCALHOST:8443", Rule::Localhost),
        ("https://ｌocalhost", Rule::Localhost),
        ("https://local\u{ad}host", Rule::Localhost),
        ("https://a.localhost", Rule::Localhost),
        ("https://ip6-localhost", Rule::Localhost),
        ("https://metadata.google.internal", Rule::MetadataName),
        ("https://acme.example:80", Rule::Port(80)),
        ("https://acme.example:22", Rule::Port(22)),
        ("https://acme.example:0", Rule::Port(0)),
        ("https://127.0.0.1", loopback.clone()),
        ("http://127.0.0.1:8080", loopback.clone()),
        ("127.255.255.254", loopback.clone()),
        ("https://[::1]", loopback.clone()),
        ("https://[0:0:0:0:0:0:0:1]", loopback),
        ("https://10.0.0.1", private.clone()),
        ("https://172.16.0.1", private.clone()),
        ("https://192.168.1.1", private.clone()),
        ("https://[fd00::1]", private),
        ("https://100.64.0.1", Rule::Address(K::Shared)),
        ("https://169.254.1.1", Rule::Address(K::LinkLocal)),
        ("https://[fe80::1]", Rule::Address(K::LinkLocal)),
        ("https://169.254.169.254/latest/meta-data/", metadata.clone()),
        ("https://168.63.129.16", metadata.clone()),
        ("https://100.100.100.200", metadata.clone()),
        ("https://[fd00:ec2::254]", metadata.clone()),
        ("https://[::ffff:169.254.169.254]", metadata.clone()),
        ("https://[::ffff:a9fe:a9fe]", metadata.clone()),
        ("https://[2002:a9fe:a9fe::]", metadata.clone()),
        ("https://[64:ff9b::169.254.169.254]", metadata),
        ("https://[::ffff:127.0.0.1]", mapped.clone()),
        ("https://[::ffff:1.1.1.1]", mapped),
        ("https://[::127.0.0.1]", Rule::Address(K::Embedding(Form::Compatible))),
        ("https://[64:ff9b::1.1.1.1]", Rule::Address(K::Embedding(Form::Nat64))),
        ("https://[2002:7f00:1::]", Rule::Address(K::Embedding(Form::SixToFour))),
        ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]", Rule::Address(K::Embedding(Form::Teredo))),
        ("https://[fec0::1]", Rule::Address(K::SiteLocal)),
        ("https://0.0.0.0", Rule::Address(K::Unspecified)),
        ("https://[::]", Rule::Address(K::Unspecified)),
        ("https://255.255.255.255", Rule::Address(K::Broadcast)),
        ("https://224.0.0.1", Rule::Address(K::Multicast)),
        ("https://240.0.0.1", Rule::Address(K::Reserved)),
        ("https://192.0.2.1", Rule::Address(K::Documentation)),
        ("https://198.18.0.1", Rule::Address(K::Benchmarking)),
    ];
    for (text, rule) in table {
        assert_eq!(typed("", text), Err(rule), "{text:?}");
    }
}

#[test]
fn permission_allows_plain_http_and_port() {
    let table = [
        ("127.0.0.1", "http://127.0.0.1:8080", true),
        ("127.0.0.1", "https://127.0.0.1:8443", true),
        ("127.0.0.1", "http://127.0.0.2:8080", false),
        ("127.0.0.1", "http://localhost:8080", false),
        ("127.0.0.1", "http://0x7f.1:8080", false),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]:8080", false),
        ("127.0.0.1", "http://[::1]:8080", false),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
        ("127.0.0.1:8080", "http://127.0.0.1:8081", false),
        ("127.0.0.1:443", "https://127.0.0.1", true),
        ("localhost", "http://localhost:4000", true),
        ("localhost", "http://127.0.0.1:4000", false),
        ("localhost", "http://a.localhost", false),
        ("10.2.0.0/16", "https://10.2.3.4", true),
        ("10.2.0.0/16", "http://10.2.3.4:8080", true),
        ("10.2.0.0/16", "http://10.3.3.4:8080", false),
        ("10.2.0.0/16", "http://jira.corp", false),
        ("jira.corp", "http://JIRA.corp:8080/jira", true),
        ("jira.corp:8080", "http://jira.corp", false),
        ("jira.corp", "http://jira.corp.", false),
        ("jira.corp", "http://u@jira.corp", false),
        ("jira.corp", "http://x.jira.corp", false),
        ("[::1]:8080", "http://[::1]:8080", true),
        ("::ffff:127.0.0.1", "http://[::ffff:127.0.0.1]", false),
        ("::ffff:127.0.0.1 127.0.0.1", "http://[::ffff:127.0.0.1]", true),
        ("64:ff9b::/96", "https://[64:ff9b::1.1.1.1]", true),
        ("64:ff9b::/96", "https://[64:ff9b::10.0.0.1]", false),
        ("64:ff9b::/96", "https://[64:ff9b::169.254.169.254]", false),
        ("100.64.0.0/10", "https://100.100.100.200", false),
        ("fc00::/7", "https://[fd00:ec2::254]", false),
    ];
    for (permitted, text, passes) in table {
        assert_eq!(typed(permitted, text).is_ok(), passes, "{text} with {permitted}");
    }
}

#[test]
fn one_forbidden_answer_refuses_all() {
    let table = [
        ("", "acme.example", "1.1.1.1 2606:4700::1", true),
        ("", "acme.example", "127.0.0.1", false),
        ("", "acme.example", "1.1.1.1 127.0.0.1", false),
        ("", "acme.example", "1.1.1.1 ::ffff:127.0.0.1", false),
        ("", "acme.example", "10.0.0.1 1.1.1.1", false),
        ("", "acme.example", "1.1.1.1 169.254.169.254", false),
        ("", "acme.example", "64:ff9b::1.1.1.1 1.1.1.1", false),
        ("64:ff9b::/96", "acme.example", "64:ff9b::1.1.1.1", true),
        ("64:ff9b::/96", "acme.example", "64:ff9b::127.0.0.1", false),
        ("10.2.0.0/16", "acme.example", "10.2.0.1", true),
        ("10.2.0.0/16", "acme.example", "10.2.0.1 10.3.0.1", false),
        ("jira.corp", "jira.corp", "10.2.0.1 fd00::1", true),
        ("jira.corp:8080", "JIRA.corp", "10.2.0.1", true),
        ("jira.corp", "other.corp", "10.2.0.1", false),
        ("jira.corp", "jira.corp", "127.0.0.1", false),
        ("jira.corp", "jira.corp", "169.254.169.254", false),
        ("jira.corp", "jira.corp", "fd00:ec2::254", false),
        ("jira.corp", "jira.corp", "::ffff:169.254.169.254", false),
        ("jira.corp", "jira.corp", "::ffff:127.0.0.1", false),
        ("jira.corp", "jira.corp", "2002:a00:1::", false),
        ("jira.corp 127.0.0.1", "jira.corp", "127.0.0.1", true),
        ("127.0.0.1:8080", "jira.corp", "127.0.0.1", false),
        ("localhost", "localhost", "127.0.0.1 ::1", true),
        ("localhost", "localhost", "10.0.0.1", true),
    ];
    for (permitted, name, found, passes) in table {
        assert_eq!(answers(permitted, name, found), passes, "{name} is {found} with {permitted:?}");
    }
}

#[test]
fn address_refusal_names_rule_and_flag() {
    let explain = |text: &str| guard("").check_typed(text).unwrap_err().explain();
    assert_eq!(
        explain("http://10.2.3.4:8080/jira"),
        "must not lead to an address of a private network; if intended, the server's operator permits it with \
         --allow-target=10.2.3.4:8080"
    );
    assert!(explain("http://jira.corp").ends_with("--allow-target=jira.corp:80"));
    assert!(explain("https://[fd00::1]").ends_with("--allow-target=[fd00::1]:443"));
    assert!(explain("https://169.254.169.254").ends_with("no setting and no flag permits it"));
    for text in ["http://10.2.3.4:8080", "http://jira.corp", "https://[fd00::1]", "https://jira.corp:9443"] {
        let permit = guard("").check_typed(text).unwrap_err().permit.unwrap();
        assert_eq!(typed(&permit, text), Ok(()), "what it names permits it: {text}");
    }
}

proptest! {
    /// However an address is written, it is refused as the address that it is, or for how it is written.
    #[test]
    fn refuses_every_notation_of_loopback(host in 0x7f00_0000_u32..0x8000_0000, way in 0..6) {
        let [a, b, c, d] = host.to_be_bytes();
        let text = match way {
            0 => format!("{a}.{b}.{c}.{d}"),
            1 => host.to_string(),
            2 => format!("{host:#x}"),
            3 => format!("0{a:o}.0{b:o}.{c}.{d:#x}"),
            4 => format!("{a}.{}", host & 0x00ff_ffff),
            _ => format!("[::ffff:{a}.{b}.{c}.{d}]"),
        };
        prop_assert!(typed("10.0.0.0/8 jira.corp", &format!("https://{text}")).is_err(), "{}", text);
    }

    #[test]
    fn checks_any_text_without_panic(text in ".{0,60}") {
        let _ = guard("127.0.0.1").check_typed(&text);
        let _ = text.parse::<Permission>();
    }

    /// Metadata stays out of reach whatever is permitted.
    #[test]
    fn no_permission_allows_metadata_service(prefix in 8_u32..=32) {
        let network = format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(
            0x6464_64c8 & (u32::MAX << (32 - prefix))));
        if let Ok(permission) = network.parse::<Permission>() {
            let addresses = AddressPolicy::permitting(vec![permission]);
            prop_assert!(addresses.check_typed("https://100.100.100.200").is_err());
            prop_assert!(addresses.check_answers("x", &["100.100.100.200".parse().unwrap()]).is_err());
        }
    }
}
