//! What an address says about itself, for rules and reviewers. Facts, not verdicts: a shortener, an
//! unusual port or letters of two scripts are common in harmless links.

use super::CanonicalUrl;
use super::host::{HostKind, Onion};
use super::lookalike::{imitated, skeleton_of};
use crate::invite::Invite;

/// Facts about an address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all combinations occur"
)]
pub struct LinkFacts {
    /// What the host is.
    pub host: HostKind,
    /// The part of the host's name that somebody registered.
    pub registrable_domain: Option<String>,
    /// Whether it is a known service that leads on to other addresses: where it ends is not known.
    pub shortener: bool,
    /// Whether a user name or password stood before the host, as in
    /// `https://bank.example@evil.example/`. It is not part of the canonical form.
    pub user_info: bool,
    /// The host in ASCII that this one looks like while it is another: for `exаmple.com` with a
    /// Cyrillic `а` it is `example.com`.
    pub imitates: Option<String>,
    /// Whether something percent-encoded was percent-encoded again, as in `%2541`.
    pub percent_nested: bool,
    /// Whether the host is an IP address.
    pub ip_literal: bool,
    /// The port, where it is not the scheme's own.
    pub port: Option<u16>,
    /// Whether the host's name has letters beyond ASCII.
    pub punycode: bool,
    /// For an onion address, whether it can be one.
    pub onion: Option<Onion>,
    /// The group, channel or room that it invites to.
    pub invite: Option<Invite>,
}

impl CanonicalUrl {
    /// What the address says about itself.
    ///
    /// ```
    /// use manara_signal::CanonicalUrl;
    /// let facts = CanonicalUrl::parse("https://example.com@exаmple.com:8443/%2541")?.facts();
    /// assert_eq!(facts.imitates.as_deref(), Some("example.com"));
    /// assert_eq!(facts.registrable_domain.as_deref(), Some("xn--exmple-4nf.com"));
    /// assert!(facts.user_info && facts.percent_nested && facts.punycode);
    /// assert_eq!(facts.port, Some(8443));
    /// # Ok::<(), manara_signal::UrlError>(())
    /// ```
    pub fn facts(&self) -> LinkFacts {
        let host = self.host_kind();
        LinkFacts {
            host,
            registrable_domain: self.registrable_domain().map(str::to_owned),
            shortener: self.is_shortener(),
            user_info: self.user_info,
            imitates: imitation(self.host()),
            percent_nested: is_percent_nested(self.after_host()),
            ip_literal: matches!(host, HostKind::Ipv4 | HostKind::Ipv6),
            port: self.port(),
            punycode: self.host().split('.').any(is_punycode),
            onion: match host {
                HostKind::Onion(onion) => Some(onion),
                _ => None,
            },
            invite: Invite::of_url(self),
        }
    }

    /// Whether the host is a known public shortener of addresses.
    pub fn is_shortener(&self) -> bool {
        let host = self.host();
        let host = host.strip_prefix("www.").unwrap_or(host);
        SHORTENERS.binary_search(&host).is_ok()
    }

    /// The host's skeleton by UTS 39: hosts that look alike have the same, also those that imitate
    /// in ASCII alone, as `exarnple.com` does.
    ///
    /// ```
    /// use manara_signal::CanonicalUrl;
    /// let skeleton = |text| CanonicalUrl::parse(text).unwrap().host_skeleton();
    /// assert_eq!(skeleton("https://exarnple.com"), skeleton("https://exаmple.com"));
    /// assert_eq!(skeleton("https://example.com"), skeleton("https://exаmple.com"));
    /// ```
    pub fn host_skeleton(&self) -> String {
        skeleton_of(&in_unicode(self.host()))
    }
}

/// Public shorteners of addresses, sorted; as commonly known in November 2026, not complete. Some no
/// longer take new addresses but still lead on.
const SHORTENERS: [&str; 49] = [
    "adf.ly",
    "amzn.to",
    "bit.do",
    "bit.ly",
    "bitly.com",
    "bl.ink",
    "buff.ly",
    "clck.ru",
    "cutt.ly",
    "dlvr.it",
    "fb.me",
    "goo.gl",
    "goo.su",
    "han.gl",
    "ift.tt",
    "is.gd",
    "j.mp",
    "kutt.it",
    "lnkd.in",
    "me2.do",
    "ow.ly",
    "q.gs",
    "qr.ae",
    "rb.gy",
    "rebrand.ly",
    "reurl.cc",
    "s.id",
    "short.io",
    "shorte.st",
    "shorturl.at",
    "shrtco.de",
    "snip.ly",
    "soo.gd",
    "surl.li",
    "t.co",
    "t.ly",
    "t2m.io",
    "tiny.cc",
    "tiny.one",
    "tiny.pl",
    "tinyurl.com",
    "tr.im",
    "trib.al",
    "u.to",
    "v.gd",
    "v.ht",
    "vk.cc",
    "x.gd",
    "zpr.io",
];

fn is_punycode(label: &str) -> bool {
    label.starts_with("xn--")
}

fn in_unicode(host: &str) -> String {
    if host.split('.').any(is_punycode) {
        idna::domain_to_unicode(host).0
    } else {
        host.to_owned()
    }
}

/// A percent sign that is encoded itself, with two hexadecimal digits behind it.
fn is_percent_nested(text: &str) -> bool {
    text.split("%25").skip(1).any(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

/// The host in ASCII that one with other letters looks like.
fn imitation(host: &str) -> Option<String> {
    if !host.split('.').any(is_punycode) {
        return None;
    }
    let unicode = in_unicode(host);
    let ending = unicode.rsplit('.').next().unwrap_or_default();
    let mut imitates = false;
    let labels = unicode
        .split('.')
        .zip(host.split('.'))
        .map(|(label, ascii)| {
            // A name of one script under an ending of that script is what it seems to be.
            let at_home = !ending.is_ascii() && !label.bytes().any(|b| b.is_ascii_alphabetic());
            let plain = |c: char| if c.is_ascii() { Some(c) } else { imitated(c) };
            let plain: Option<String> = label.chars().map(plain).collect();
            match plain.filter(|_| !label.is_ascii() && !at_home) {
                Some(plain) => {
                    imitates = true;
                    plain
                }
                None => ascii.to_owned(),
            }
        });
    let imitated = labels.collect::<Vec<_>>().join(".");
    imitates.then_some(imitated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(SHORTENERS.is_sorted());
    }

    #[track_caller]
    fn check_imitates(text: &str, expect: Option<&str>) {
        let url = CanonicalUrl::parse(text).unwrap();
        assert_eq!(url.facts().imitates.as_deref(), expect, "{url}");
        if let Some(other) = expect {
            assert_ne!(url, CanonicalUrl::parse(other).unwrap());
        }
    }

    #[test]
    fn imitations_are_told_and_stay_apart() {
        check_imitates("https://exаmple.com/", Some("example.com"));
        check_imitates("https://www.ехаmрlе.com/", Some("www.example.com"));
        check_imitates("https://аррӏе.example/", Some("apple.example"));
        check_imitates("https://gοοd.example/", Some("good.example"));
        check_imitates("https://exаmple.рф/", Some("example.xn--p1ai"));
        check_imitates("https://рос.рф/", None);
        check_imitates("https://пример.example/", None);
        check_imitates("https://bücher.example/", None);
        check_imitates("https://مثال.example/", None);
        check_imitates("https://example.com/", None);
        check_imitates("https://ｅｘａｍｐｌｅ.com/", None);
    }

    #[track_caller]
    fn check(text: &str, expect: impl Fn(&LinkFacts) -> bool) {
        let facts = CanonicalUrl::parse(text).unwrap().facts();
        assert!(expect(&facts), "{text}: {facts:?}");
    }

    #[test]
    fn facts_are_told() {
        check("https://bit.ly/abc", |f| f.shortener);
        check("https://www.tinyurl.com/abc", |f| f.shortener);
        check("https://habit.ly/abc", |f| !f.shortener);
        check("https://bank.example@evil.example/", |f| {
            f.user_info && f.registrable_domain.as_deref() == Some("evil.example")
        });
        check("https://:secret@evil.example/", |f| f.user_info);
        check("https://evil.example/@bank.example", |f| !f.user_info);
        check("https://a.example/%25252541", |f| f.percent_nested);
        check("https://a.example/?a=%2541", |f| f.percent_nested);
        check("https://a.example/%41%25", |f| !f.percent_nested);
        check("https://a.example/100%/a%25x", |f| !f.percent_nested);
        check("https://10.0.0.1/", |f| {
            f.ip_literal && f.registrable_domain.is_none()
        });
        check("https://[::1]/", |f| f.ip_literal);
        check("http://a.example:81/", |f| f.port == Some(81));
        check("http://abc.onion/", |f| f.onion == Some(Onion::Invalid));
        check("https://t.me/grey_banner/3", |f| {
            f.invite
                .as_ref()
                .is_some_and(|i| i.code() == "@grey_banner")
        });
    }

    /// Encoded again and again, it stays as it is: each round of decoding would be another address.
    #[test]
    fn percent_encoding_is_undone_once() {
        let url = |text| CanonicalUrl::parse(text).unwrap();
        let nested = url("https://a.example/%25252541");
        assert_eq!(nested.as_str(), "https://a.example/%25252541");
        assert_ne!(nested, url("https://a.example/A"));
        assert_eq!(url("https://a.example/%41"), url("https://a.example/A"));
    }
}
