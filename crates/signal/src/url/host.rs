//! What kind of host an address has, and which part of its name somebody registered.

use super::CanonicalUrl;
use core::net::{Ipv4Addr, Ipv6Addr};
use sha3::{Digest, Sha3_256};

/// What a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKind {
    /// A name of the domain name system.
    Domain,
    /// An address of IPv4.
    Ipv4,
    /// An address of IPv6.
    Ipv6,
    /// A service of the Tor network, `….onion`.
    Onion(Onion),
    /// A service of the I2P network, `….i2p`.
    I2p,
    /// The hash of a file or its owner's key: scheme `ipfs` or `ipns`.
    Ipfs,
    /// An action of an app: scheme `tg`.
    App,
}

/// Whether an onion address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Onion {
    /// 56 letters whose version and checksum are right.
    V3,
    /// 16 letters: such services have not been reachable since Tor 0.4.6 of 2021.
    V2,
    /// Neither, so it leads nowhere: a character was changed or lost.
    Invalid,
}

impl CanonicalUrl {
    /// What the host is.
    pub fn host_kind(&self) -> HostKind {
        match self.scheme() {
            "ipfs" | "ipns" => HostKind::Ipfs,
            "tg" => HostKind::App,
            _ => kind_of(self.host()),
        }
    }

    /// The part of a host's name that somebody registered, by the Public Suffix List with its
    /// private section: of `a.b.example.co.uk` it is `example.co.uk`, and of `me.github.io` all
    /// of it, as there each name belongs to somebody else. Nothing for addresses and bare suffixes.
    ///
    /// ```
    /// use manara_signal::CanonicalUrl;
    /// let url = CanonicalUrl::parse("https://www.shop.example.co.uk/a")?;
    /// assert_eq!(url.registrable_domain(), Some("example.co.uk"));
    /// # Ok::<(), manara_signal::UrlError>(())
    /// ```
    pub fn registrable_domain(&self) -> Option<&str> {
        match self.host_kind() {
            HostKind::Domain | HostKind::Onion(_) | HostKind::I2p => registrable(self.host()),
            _ => None,
        }
    }

    /// The port, where it is not the scheme's own.
    pub fn port(&self) -> Option<u16> {
        let rest = self.as_str().get(usize::from(self.host_at)..)?;
        let port = super::host_of(rest).strip_prefix(self.host())?;
        port.strip_prefix(':')?.parse().ok()
    }

    /// The scheme.
    pub fn scheme(&self) -> &str {
        self.as_str().split("://").next().unwrap_or_default()
    }
}

/// What the host of a web address is.
pub(crate) fn kind_of(host: &str) -> HostKind {
    if host.starts_with('[') && host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok() {
        HostKind::Ipv6
    } else if host.parse::<Ipv4Addr>().is_ok() {
        HostKind::Ipv4
    } else if let Some(name) = host.strip_suffix(".onion") {
        HostKind::Onion(onion(name.rsplit('.').next().unwrap_or_default()))
    } else if host.strip_suffix(".i2p").is_some() {
        HostKind::I2p
    } else {
        HostKind::Domain
    }
}

/// The label above the public suffix with that suffix, if there is one.
pub(crate) fn registrable(host: &str) -> Option<&str> {
    psl::domain_str(host)
}

/// Whether a host's name is a public suffix, under which anybody may register.
pub(crate) fn is_public_suffix(host: &str) -> bool {
    psl::suffix_str(host) == Some(host)
}

/// Reads the label before `.onion`: a public key of 32 bytes, two bytes of checksum and the version
/// in base32 (Tor's rend-spec-v3, section 6).
fn onion(label: &str) -> Onion {
    match base32(label).as_deref() {
        Some(bytes) if bytes.len() == 10 => Onion::V2,
        Some(bytes) if bytes.len() == 35 => {
            let (key, rest) = bytes.split_at_checked(32).unwrap_or_default();
            let mut hash = Sha3_256::new();
            hash.update(b".onion checksum");
            hash.update(key);
            hash.update([3]);
            let sum = hash.finalize();
            let expect: Vec<u8> = sum.iter().take(2).copied().chain([3]).collect();
            if rest == expect {
                Onion::V3
            } else {
                Onion::Invalid
            }
        }
        _ => Onion::Invalid,
    }
}

/// The bytes of lower-case base32 (RFC 4648) that fills its last byte.
fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut have) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'a'..=b'z' => letter - b'a',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5 | u32::from(value)) & 0xffff;
        have += 5;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have) as u8);
        }
    }
    (have == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: HostKind, registrable: Option<&str>) {
        let url = CanonicalUrl::parse(text).unwrap();
        let found = (url.host_kind(), url.registrable_domain());
        assert_eq!(found, (kind, registrable), "{text}");
    }

    #[test]
    fn hosts_are_told_apart() {
        check("https://10.0.0.1:8080/a", HostKind::Ipv4, None);
        check("https://0x7f.1/a", HostKind::Ipv4, None);
        check("https://[2001:db8::1]:8080/a", HostKind::Ipv6, None);
        check("tg://resolve?domain=x", HostKind::App, None);
        check("ipfs://QmAbc/file", HostKind::Ipfs, None);
        check("http://a.banner.i2p/", HostKind::I2p, Some("banner.i2p"));
    }

    /// The two services are examples of the Tor specifications.
    #[test]
    fn onion_addresses_are_checked() {
        let v3 = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion";
        let v2 = "duskgytldkxiuqc6.onion";
        check(
            &format!("http://www.{v3}/a"),
            HostKind::Onion(Onion::V3),
            Some(v3),
        );
        check(&v3.to_uppercase(), HostKind::Onion(Onion::V3), Some(v3));
        check(v2, HostKind::Onion(Onion::V2), Some(v2));
        let wrong = v3.replace("pg6m", "pg6n");
        check(&wrong, HostKind::Onion(Onion::Invalid), Some(&wrong));
        check(
            "abc.onion",
            HostKind::Onion(Onion::Invalid),
            Some("abc.onion"),
        );
    }

    /// As the list's own test file has them, with private suffixes.
    #[test]
    fn the_registered_part_is_by_the_public_suffix_list() {
        check(
            "https://a.b.example.com/",
            HostKind::Domain,
            Some("example.com"),
        );
        check("https://test.ck/", HostKind::Domain, None);
        check(
            "https://a.b.c.kobe.jp/",
            HostKind::Domain,
            Some("b.c.kobe.jp"),
        );
        check(
            "https://www.city.kobe.jp/",
            HostKind::Domain,
            Some("city.kobe.jp"),
        );
        check(
            "https://me.github.io/",
            HostKind::Domain,
            Some("me.github.io"),
        );
        check("https://github.io/", HostKind::Domain, None);
        check("https://co.uk/", HostKind::Domain, None);
        check(
            "https://a.b.пример.рф/",
            HostKind::Domain,
            Some("xn--e1afmkfd.xn--p1ai"),
        );
        check(
            "https://www.食狮.公司.cn",
            HostKind::Domain,
            Some("xn--85x722f.xn--55qx5d.cn"),
        );
        check(
            "https://a.internal.unlisted/",
            HostKind::Domain,
            Some("internal.unlisted"),
        );
    }

    #[test]
    fn a_port_is_told_when_it_is_not_the_usual_one() {
        let port = |text| CanonicalUrl::parse(text).unwrap().port();
        assert_eq!(port("https://example.com:8443/a:1"), Some(8443));
        assert_eq!(port("http://[::1]:81/"), Some(81));
        assert_eq!(port("https://example.com:443/"), None);
        assert_eq!(port("https://example.com/a:1"), None);
    }
}
