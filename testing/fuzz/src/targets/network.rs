//! Connections before the first call, and addresses in settings.

use std::net::IpAddr;

use ticketing_egress::address_policy::AddressPolicy;
use ticketing_ingress::PeerCertificate;
use ticketing_ingress::frames::{Frame, Frames};
use url::{Host, Url};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

pub(super) fn certificate_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../../../fuzz/corpus/certificate/seed-00").to_vec()]
}

pub(super) fn certificate(input: &[u8]) {
    let Ok(certificate) = PeerCertificate::of_der(input) else { return };
    assert_eq!(certificate.fingerprint.len(), 64);
    for uri in &certificate.uris {
        let is_present = input.windows(uri.len().max(1)).any(|window| window == uri.as_bytes());
        assert!(is_present || uri.is_empty(), "{uri} is not in the certificate");
    }
}

pub(super) fn frames_seeds() -> Vec<Vec<u8>> {
    let frame = |kind: u8, flags: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("a frame is short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    };
    let settings = frame(4, 0, &[]);
    let headers = frame(1, 0, b"\x82\x86");
    let rest = frame(9, 4, b"\x84");
    let data = frame(0, 1, b"\0\0\0\0\0");
    let ping = frame(6, 0, &[0; 8]);
    let reset = frame(3, 0, &[0, 0, 0, 8]);
    vec![
        [PREFACE, settings.as_slice(), &headers, &rest, &data].concat(),
        [PREFACE, settings.as_slice(), &ping, &reset, &ping].concat(),
    ]
}

/// The result does not depend on how the bytes are split, and only complete frame headers are counted.
pub(super) fn frames(input: &[u8]) {
    let expected = kinds_of_frames(input, input.len());
    assert!(expected.0.len() <= input.len() / HEAD, "{} frames in {} bytes", expected.0.len(), input.len());
    for piece in [1, 2, 8, 9, 10, 33] {
        assert_eq!(kinds_of_frames(input, piece), expected, "in pieces of {piece}");
    }
}

pub(super) fn address_seeds() -> Vec<Vec<u8>> {
    let addresses = [
        "https://acme.atlassian.net",
        "acme.service-now.com",
        "https://jira.example:8443/jira",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1::1]/",
        "https://127.0.0.1",
        "https://0x7f.1",
        "https://[::ffff:169.254.169.254]/latest",
        "https://user@10.0.0.1:443",
        "http://metadata.google.internal",
    ];
    addresses.map(Vec::from).to_vec()
}

/// Checks accepted addresses by an independent reading of the rules: https, a usual port, a host name or a
/// public IP address, in an unambiguous notation.
pub(super) fn address(input: &[u8]) {
    let Ok(typed) = std::str::from_utf8(input) else { return };
    let guard = AddressPolicy::default();
    if guard.check_typed(typed).is_err() {
        return;
    }
    let typed = typed.trim();
    let full = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    let url = Url::parse(&full).expect("what passes can be read");
    assert_eq!(guard.check(&url), Ok(()), "{typed}");
    assert_eq!(url.scheme(), "https", "{typed}");
    assert!(matches!(url.port_or_known_default(), Some(443 | 8443)), "{typed}");
    assert!(url.username().is_empty() && url.password().is_none(), "{typed}");
    match url.host().expect("what passes has a host") {
        Host::Domain(name) => {
            let local = name == "localhost" || name.ends_with(".localhost") || name.ends_with('.');
            assert!(!local && name != "metadata.google.internal", "{typed}");
        }
        Host::Ipv4(address) => {
            assert!(is_public(address.into()), "{typed}");
            assert!(typed.contains(&address.to_string()), "{typed} is {address} in disguise");
        }
        Host::Ipv6(address) => {
            let held = address.to_ipv4().or(address.to_ipv4_mapped());
            assert!(is_public(address.into()) && held.is_none(), "{typed}");
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            let no =
                v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared;
            !no && !v4.is_multicast() && !v4.is_broadcast() && v4.octets()[0] != 0 && v4.octets()[0] < 224
        }
        IpAddr::V6(v6) => {
            // 2000::/3 without 6to4 (2002::/16) and Teredo (2001::/32).
            let [first, second, ..] = v6.segments();
            first & 0xe000 == 0x2000 && first != 0x2002 && !(first == 0x2001 && second == 0)
        }
    }
}

/// Parses a client's frames in pieces of `piece` bytes. Returns the kind of each frame as a letter, and the number of
/// the header block in progress.
fn kinds_of_frames(bytes: &[u8], piece: usize) -> (String, Option<u64>) {
    let mut frames = Frames::of_client();
    let mut kinds = String::new();
    for piece in bytes.chunks(piece.max(1)) {
        frames.follow(piece, |frame| {
            kinds.push(match frame {
                Frame::Carrying => 'c',
                Frame::Reset => 'r',
                Frame::Empty => 'e',
            });
        });
    }
    (kinds, frames.incomplete_head())
}
