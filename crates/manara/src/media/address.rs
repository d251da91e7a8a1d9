//! Which addresses a medium may be fetched from: public ones, and those the operator allows.
//!
//! The tables are IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its successors).
//! For IPv6 the rule is turned round: only `2000::/3`, the one block given out for global use, may be
//! reached, less what is special inside it.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

const SPECIAL_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "an address of this host itself"),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (
        v4(100, 64, 0, 0, 10),
        "an address behind a carrier's translation",
    ),
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 0, 0, 0, 24), "an address for protocols"),
    (v4(192, 0, 2, 0, 24), "an address for documentation"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(198, 18, 0, 0, 15), "an address for benchmarks"),
    (v4(198, 51, 100, 0, 24), "an address for documentation"),
    (v4(203, 0, 113, 0, 24), "an address for documentation"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(255, 255, 255, 255, 32), "the broadcast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

const SPECIAL_V6: [(Ipv6Net, &str); 12] = [
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        "the unspecified address",
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        "a loopback address",
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
        "an IPv4 address in IPv6 clothing",
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96),
        "an IPv4 address in IPv6 clothing",
    ),
    (v6(0x64, 0xff9b, 0, 32), "an IPv4 address behind NAT64"),
    (v6(0xfc00, 0, 0, 7), "a private address"),
    (v6(0xfe80, 0, 0, 10), "a link-local address"),
    (v6(0xfec0, 0, 0, 10), "a site-local address"),
    (v6(0xff00, 0, 0, 8), "a multicast address"),
    (v6(0x2001, 0, 0, 23), "an address for protocols"),
    (v6(0x2001, 0xdb8, 0, 32), "an address for documentation"),
    (v6(0x2002, 0, 0, 16), "an IPv4 address behind 6to4"),
];
const DOCUMENTATION_V6: Ipv6Net = v6(0x3fff, 0, 0, 20);
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is wrong with fetching from this address; `None` for a public one.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => SPECIAL_V4
            .iter()
            .find(|(net, _)| net.contains(&address))
            .map(|(_, what)| *what),
        IpAddr::V6(address) => SPECIAL_V6
            .iter()
            .find(|(net, _)| net.contains(&address))
            .map(|(_, what)| *what)
            .or_else(|| {
                DOCUMENTATION_V6
                    .contains(&address)
                    .then_some("an address for documentation")
            })
            .or_else(|| (!GLOBAL_V6.contains(&address)).then_some("a reserved address")),
    }
}

/// Networks that may be reached though they are special, because the platform's media live there.
#[derive(Debug, Clone, Default)]
pub(super) struct AllowNets(Vec<IpNet>);

/// A text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a network: write an address with its prefix length, as in 10.20.0.0/16 or fd00:20::/32"
)]
pub(crate) struct NotANetwork(String);

impl AllowNets {
    /// Reads networks in CIDR notation; a single address stands for itself.
    pub(super) fn parse(nets: &[String]) -> Result<Self, NotANetwork> {
        let parse = |text: &String| {
            let text = text.trim();
            let net = text
                .parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            net.map_err(|_| NotANetwork(text.to_owned()))
        };
        nets.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Refuses a special address unless one of the networks holds it.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        match special(address) {
            Some(what) if !self.0.iter().any(|net| net.contains(&address)) => Err(what),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expect: Option<&str>) {
        assert_eq!(special(address.parse().unwrap()), expect, "{address}");
    }

    #[test]
    fn public_addresses_may_be_reached() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
        ] {
            check(address, None);
        }
        for address in [
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
        ] {
            check(address, None);
        }
        for address in [
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "3ffe::1",
        ] {
            check(address, None);
        }
    }

    #[test]
    fn special_addresses_may_not() {
        check("0.0.0.0", Some("an address of this host itself"));
        check("10.0.0.1", Some("a private address"));
        check(
            "100.64.0.1",
            Some("an address behind a carrier's translation"),
        );
        check("127.255.255.254", Some("a loopback address"));
        check("169.254.169.254", Some("a link-local address"));
        check("172.31.255.255", Some("a private address"));
        check("192.0.0.170", Some("an address for protocols"));
        check("192.0.2.1", Some("an address for documentation"));
        check("192.88.99.1", Some("a 6to4 relay"));
        check("192.168.1.1", Some("a private address"));
        check("198.19.255.255", Some("an address for benchmarks"));
        check("224.0.0.1", Some("a multicast address"));
        check("240.0.0.1", Some("a reserved address"));
        check("255.255.255.255", Some("the broadcast address"));
        check("::", Some("the unspecified address"));
        check("::1", Some("a loopback address"));
        check("::ffff:8.8.8.8", Some("an IPv4 address in IPv6 clothing"));
        check("::ffff:127.0.0.1", Some("an IPv4 address in IPv6 clothing"));
        check("::8.8.8.8", Some("an IPv4 address in IPv6 clothing"));
        check("64:ff9b::7f00:1", Some("an IPv4 address behind NAT64"));
        check("64:ff9b:1::1", Some("an IPv4 address behind NAT64"));
        check("100::1", Some("a reserved address"));
        check("fd12::1", Some("a private address"));
        check("fe80::1", Some("a link-local address"));
        check("fec0::1", Some("a site-local address"));
        check("ff02::1", Some("a multicast address"));
        check("2001::1", Some("an address for protocols"));
        check("2001:2::1", Some("an address for protocols"));
        check("2001:db8::1", Some("an address for documentation"));
        check("2002:7f00:1::", Some("an IPv4 address behind 6to4"));
        check("3fff::1", Some("an address for documentation"));
        check("5f00::1", Some("a reserved address"));
    }

    #[test]
    fn allowed_networks_are_excepted_and_nothing_near_them() {
        let nets = AllowNets::parse(&[
            "10.20.0.0/16".into(),
            " fd00:20::/32 ".into(),
            "127.0.0.1".into(),
        ])
        .unwrap();
        let allowed = |address: &str| nets.check(address.parse().unwrap()).is_ok();
        assert!(
            allowed("10.20.3.4")
                && allowed("fd00:20::7")
                && allowed("127.0.0.1")
                && allowed("1.1.1.1")
        );
        assert!(!allowed("10.21.0.1") && !allowed("fd00:21::7") && !allowed("127.0.0.2"));
        // The address as the kernel would see it is another one.
        assert!(!allowed("::ffff:10.20.3.4"));
        let error = AllowNets::parse(&["10.20.0.0/33".into()]).unwrap_err();
        assert!(
            error.to_string().contains("10.20.0.0/33` is not a network"),
            "{error}"
        );
    }
}
