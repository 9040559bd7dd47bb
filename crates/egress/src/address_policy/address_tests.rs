use proptest::prelude::*;

use super::*;

fn kind(text: &str) -> AddressKind {
    AddressKind::of(text.parse().unwrap())
}

#[test]
fn classifies_addresses_at_range_edges() {
    use AddressKind as K;
    let table = [
        (K::Public, "1.1.1.1 9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.0 172.15.255.255 172.32.0.0"),
        (K::Public, "192.167.255.255 192.169.0.0 100.63.255.255 100.128.0.0 169.253.255.255 169.255.0.0"),
        (
            K::Public,
            "198.17.255.255 198.20.0.0 223.255.255.255 192.0.1.0 168.63.129.15 168.63.129.17 13.107.42.1",
        ),
        (K::Public, "2606:4700::1 2a00:1450::1 2003::1 2001:4860:4860::8888 2001:200:: 3ffe::1"),
        (
            K::Metadata,
            "169.254.169.254 169.254.170.2 169.254.170.23 168.63.129.16 100.100.100.200 192.0.0.192",
        ),
        (K::Metadata, "fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42"),
        (K::Unspecified, "0.0.0.0 0.0.0.1 0.255.255.255 ::"),
        (K::Loopback, "127.0.0.1 127.0.0.0 127.255.255.255 ::1"),
        (K::Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255"),
        (K::Private, "fc00:: fd00::1 fdff:ffff::"),
        (K::Shared, "100.64.0.0 100.127.255.255"),
        (K::LinkLocal, "169.254.0.0 169.254.255.255 fe80::1 febf::"),
        (K::SiteLocal, "fec0:: feff:ffff::"),
        (K::Multicast, "224.0.0.0 239.255.255.255 ff00:: ff02::1"),
        (K::Broadcast, "255.255.255.255"),
        (K::Documentation, "192.0.2.1 198.51.100.255 203.0.113.0 2001:db8:: 3fff:fff::"),
        (K::Benchmarking, "198.18.0.0 198.19.255.255 2001:2::1"),
        (
            K::Reserved,
            "240.0.0.0 255.255.255.254 192.0.0.1 192.88.99.1 100::1 4000:: 5f00:: fe00:: 2001:10::",
        ),
        (K::Embedding(Form::Mapped), "::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:1.1.1.1"),
        (K::Embedding(Form::Compatible), "::127.0.0.1 ::10.0.0.1 ::8.8.8.8"),
        (K::Embedding(Form::Translated), "::ffff:0:10.0.0.1"),
        (K::Embedding(Form::Nat64), "64:ff9b::1.1.1.1 64:ff9b::127.0.0.1 64:ff9b:1:a00:0:100::"),
        (K::Embedding(Form::SixToFour), "2002:7f00:1:: 2002:a00:1::1 2002:808:808::"),
        (K::Embedding(Form::Teredo), "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
        (K::Embedding(Form::Isatap), "2a00::5efe:10.0.0.1 2a00::200:5efe:7f00:1"),
    ];
    for (expected, addresses) in table {
        for address in addresses.split(' ') {
            assert_eq!(kind(address), expected, "{address}");
        }
    }
}

#[test]
fn classifies_by_embedded_forbidden_address() {
    for address in [
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::",
        "2001:0:4136:e378:8000:63bf:5601:5601",
        "2a00::5efe:169.254.169.254",
        "::ffff:100.100.100.200",
    ] {
        assert_eq!(kind(address), AddressKind::Metadata, "{address}");
    }
    assert_eq!(kind("::ffff:0.0.0.0"), AddressKind::Unspecified);
    assert_eq!(kind("::ffff:224.0.0.1"), AddressKind::Multicast);
    assert!(!kind("2002:e000:1::").can_be_permitted());
}

#[test]
fn finds_embedded_addresses() {
    let table = [
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("64:ff9b::10.1.2.3", "10.1.2.3"),
        ("2002:a01:203::", "10.1.2.3"),
        ("2001:0:102:304::f5fe:fdfc", "1.2.3.4 10.1.2.3"),
        ("64:ff9b:1:a01:2:300::", "10.1.2.3"),
        ("10.1.2.3", ""),
        ("2606:4700::a01:203", ""),
    ];
    for (address, held) in table {
        let found: Vec<_> = embedded(address.parse().unwrap()).iter().map(ToString::to_string).collect();
        assert_eq!(found.join(" "), held, "{address}");
    }
}

proptest! {
    /// The standard library knows fewer kinds than we do, and none that we do not.
    #[test]
    fn agrees_with_std_on_special_addresses(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let special = address.is_loopback() || address.is_private() || address.is_link_local()
            || address.is_multicast() || address.is_broadcast() || address.is_documentation()
            || address.is_unspecified();
        prop_assert!(!special || AddressKind::of(address.into()) != AddressKind::Public);
    }

    #[test]
    fn embedding_never_makes_address_public(bits: u32, server: u32) {
        let [a, b, c, d] = bits.to_be_bytes();
        let high = u16::from_be_bytes([a, b]);
        let low = u16::from_be_bytes([c, d]);
        let [s, t] = [(server >> 16) as u16, server as u16];
        let [.., y] = bits.to_be_bytes();
        let holding = [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, high, u16::from(c), u16::from(y) << 8, 0, 0),
            Ipv6Addr::new(0x2002, high, low, s, t, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, s, t, 0, 0, !high, !low),
            Ipv6Addr::new(0x2a00, s, t, 0, 0, 0x5efe, high, low),
        ];
        for address in holding {
            let kind = AddressKind::of(address.into());
            prop_assert_ne!(kind, AddressKind::Public, "{}", address);
            let held = AddressKind::of(Ipv4Addr::from_bits(bits).into());
            prop_assert!(held.can_be_permitted() || !kind.can_be_permitted(), "{}", address);
        }
    }
}
