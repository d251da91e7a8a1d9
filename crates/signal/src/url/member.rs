//! What a bank lists beside exact addresses: everything under an address, and whole domains.

use super::host::{self, HostKind, Onion, is_public_suffix};
use super::{CanonicalUrl, UrlError};
use std::fmt;
use thiserror::Error;

/// Longest prefix, in bytes of its canonical form.
pub const PREFIX_LEN_MAX: usize = 2048;
/// Most places in a prefix at which a shorter one could end; in an address no more are looked at.
pub const PREFIX_DEPTH_MAX: usize = 32;

/// An address with everything under it: pages below its path, and its page with any query.
///
/// It ends where a part of an address ends, whether or not a slash was written: `example.com/channel`
/// and `example.com/channel/` are one prefix, match `example.com/channel/7` and
/// `example.com/channel?page=2`, and do not match `example.com/channelx`. A `*` at the end lets it
/// end inside a part: `example.com/user-*` matches `example.com/user-17`. A prefix with a query
/// matches with further parameters behind it. Scheme and leading `www.` do not count, as for
/// addresses; subdomains do: for these there is [`Domain`].
///
/// ```
/// use manara_signal::{CanonicalUrl, UrlPrefix};
/// let prefix = UrlPrefix::parse("https://www.example.com/channel")?;
/// assert_eq!(prefix.to_string(), "example.com/channel/");
/// assert!(prefix.matches(&CanonicalUrl::parse("http://example.com/channel/7?x=1").unwrap()));
/// assert!(!prefix.matches(&CanonicalUrl::parse("http://example.com/channelx").unwrap()));
/// # Ok::<(), manara_signal::UrlPrefixError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlPrefix {
    key: Box<str>,
    open: bool,
}

/// Why a text is not a prefix of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlPrefixError {
    /// It is not an address.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A `*` somewhere else than at the end.
    #[error("a `*` ends a prefix and stands nowhere else: for all subdomains give a domain")]
    Star,
    /// A `*` right behind the host.
    #[error(
        "a `*` behind the host would match hosts of other owners: give `example.com/` for all its pages"
    )]
    HostStar,
    /// Over [`PREFIX_LEN_MAX`] bytes or [`PREFIX_DEPTH_MAX`] parts.
    #[error(
        "a prefix has at most {PREFIX_LEN_MAX} bytes and {PREFIX_DEPTH_MAX} parts: give a shorter one"
    )]
    Long,
}

impl UrlPrefix {
    /// Reads a prefix; the address before a `*` is read as [`CanonicalUrl::parse`] does.
    pub fn parse(text: &str) -> Result<Self, UrlPrefixError> {
        let given = text.trim();
        let (base, star) = match given.strip_suffix('*') {
            Some(base) => (base, true),
            None => (given, false),
        };
        if base.contains('*') {
            return Err(UrlPrefixError::Star);
        }
        let url = CanonicalUrl::parse(base)?;
        if star && url.after_host().len() < 2 && !base.ends_with('/') {
            return Err(UrlPrefixError::HostStar);
        }
        let key = url.match_key();
        let open = star && is_inside_part(base, key);
        let key = if open || key.contains(['?', '#']) {
            key
        } else {
            key.strip_suffix('/').unwrap_or(key)
        };
        if key.len() > PREFIX_LEN_MAX || boundaries(key).count() > PREFIX_DEPTH_MAX {
            return Err(UrlPrefixError::Long);
        }
        Ok(Self {
            key: key.into(),
            open,
        })
    }

    /// Whether an address lies under it.
    pub fn matches(&self, url: &CanonicalUrl) -> bool {
        let Some(rest) = url.match_key().strip_prefix(&*self.key) else {
            return false;
        };
        self.open || boundaries(url.match_key()).any(|at| at == url.match_key().len() - rest.len())
    }

    /// What is looked up, and whether it may end inside a part.
    pub(crate) fn key(&self) -> (&str, bool) {
        (&self.key, self.open)
    }
}

/// Whether letters may follow a prefix's key as they follow what was written. They may not where it
/// ends with a part (there a star says nothing more), or with something that was left out, such as a
/// fragment: the prefix would be wider than was meant.
fn is_inside_part(base: &str, key: &str) -> bool {
    let longer = CanonicalUrl::parse(&format!("{base}x"));
    !key.ends_with(['/', '&'])
        && longer.is_ok_and(|longer| longer.match_key().strip_suffix('x') == Some(key))
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match () {
            () if self.open => "*",
            () if self.key.contains(['?', '#']) => "",
            () => "/",
        };
        // Without a dot in its host it would not be read as an address.
        let host = self.key.split(['/', '?', '#']).next().unwrap_or_default();
        let web = kept_scheme(&self.key) == 0 && !host.contains('.');
        let start = if web { "https://" } else { "" };
        f.pad(&format!("{start}{}{end}", self.key))
    }
}
impl std::str::FromStr for UrlPrefix {
    type Err = UrlPrefixError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Bytes of the scheme that a match key begins with: those of the web have none.
fn kept_scheme(key: &str) -> usize {
    let kept = ["ipfs://", "ipns://", "tg://"];
    let kept = kept.iter().find(|scheme| key.starts_with(**scheme));
    kept.map_or(0, |scheme| scheme.len())
}

/// Where a prefix may end in an address's match key, in ascending order: before each `/` of the
/// path, the `?`, each `&` of the query, a kept `#`, and at the end.
pub(crate) fn boundaries(key: &str) -> impl Iterator<Item = usize> {
    // The slashes behind a scheme are no path's.
    let skip = kept_scheme(key);
    let (mut in_query, mut done) = (false, false);
    let marks = key.bytes().enumerate().skip(skip).filter(move |(_, b)| {
        let is_mark = !done
            && match b {
                b'/' | b'?' => !in_query,
                b'&' => in_query,
                b'#' => true,
                _ => false,
            };
        in_query |= *b == b'?';
        done |= *b == b'#';
        is_mark
    });
    marks.map(|(at, _)| at).chain([key.len()])
}

/// A domain with all its subdomains.
///
/// ```
/// use manara_signal::{CanonicalUrl, Domain};
/// let domain = Domain::parse("*.Bücher.example")?;
/// assert_eq!(domain.as_str(), "xn--bcher-kva.example");
/// assert!(domain.matches(&CanonicalUrl::parse("https://a.b.bücher.example/x").unwrap()));
/// assert!(!domain.matches(&CanonicalUrl::parse("https://otherbücher.example/x").unwrap()));
///
/// let refused = Domain::parse("co.uk").unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "anybody may register under `co.uk`, so it would match sites of other owners: give a name below it"
/// );
/// # Ok::<(), manara_signal::DomainError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Domain(Box<str>);

/// Why a text is not a domain that can be listed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DomainError {
    /// It is not the name of a host.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A `*` somewhere else than at the beginning.
    #[error(
        "a `*` is only read at the beginning, as in *.example.com: give the name without it, subdomains are included"
    )]
    Star,
    /// A path, query or port follows the name.
    #[error(
        "a domain is a name alone, such as example.com: for pages under an address give a url prefix"
    )]
    More,
    /// An IP address, or the host of an app or file.
    #[error("`{host}` is not a domain's name: give a url prefix such as {host}/")]
    Address {
        /// The host found.
        host: String,
    },
    /// A public suffix.
    #[error(
        "anybody may register under `{suffix}`, so it would match sites of other owners: give a name below it"
    )]
    PublicSuffix {
        /// The suffix.
        suffix: String,
    },
    /// An onion address that leads nowhere.
    #[error("`{host}` is no onion address: its length or checksum is wrong, copy it again")]
    Onion {
        /// The host found.
        host: String,
    },
}

impl Domain {
    /// Reads a name, also as `*.example.com`, `.example.com` or the address of its first page. A
    /// leading `www.` is left out, as its site is the domain's own.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let given = text.trim();
        let name = given.strip_prefix('*').unwrap_or(given);
        let name = name.strip_prefix('.').unwrap_or(name);
        if name.contains('*') {
            return Err(DomainError::Star);
        }
        // A suffix alone has no dot, and is not read as an address.
        let lower = name.to_ascii_lowercase();
        if !lower.is_empty()
            && lower.bytes().all(|b| b.is_ascii_alphanumeric())
            && is_public_suffix(&lower)
        {
            return Err(DomainError::PublicSuffix { suffix: lower });
        }
        let url = CanonicalUrl::parse(name)?;
        if url.after_host().len() > 1 || url.port().is_some() {
            return Err(DomainError::More);
        }
        let host = url.host();
        let bare = host.trim_start_matches("www.");
        let host = if bare.contains('.') { bare } else { host };
        match url.host_kind() {
            HostKind::Domain | HostKind::I2p if is_public_suffix(host) => {
                let suffix = host.to_owned();
                Err(DomainError::PublicSuffix { suffix })
            }
            HostKind::Onion(Onion::Invalid) => Err(DomainError::Onion { host: host.into() }),
            HostKind::Domain | HostKind::I2p | HostKind::Onion(_) => Ok(Self(host.into())),
            _ => Err(DomainError::Address { host: host.into() }),
        }
    }

    /// The name in its ASCII form, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an address is on it or on a subdomain.
    pub fn matches(&self, url: &CanonicalUrl) -> bool {
        names(url).any(|name| name == &*self.0)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl std::str::FromStr for Domain {
    type Err = DomainError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The names of an address's host by which it may be listed: itself and every name above it but the
/// topmost, which is a public suffix.
pub(crate) fn names(url: &CanonicalUrl) -> impl Iterator<Item = &str> {
    let web = url.scheme().starts_with("http");
    let host = Some(url.host()).filter(|host| web && !is_address(host));
    std::iter::successors(host, |name| name.split_once('.').map(|(_, above)| above))
        .filter(|name| name.contains('.'))
}

/// Whether a canonical host is an IP address; no name ends in a digit (WHATWG URL, section 3.5).
fn is_address(host: &str) -> bool {
    host.ends_with(|c: char| c.is_ascii_digit() || c == ']')
        && !matches!(host::kind_of(host), HostKind::Domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_prefix(prefix: &str, canonical: &str, url: &str, expect: bool) {
        let prefix = UrlPrefix::parse(prefix).unwrap();
        assert_eq!(prefix.to_string(), canonical);
        assert_eq!(UrlPrefix::parse(canonical).as_ref(), Ok(&prefix), "settled");
        let found = prefix.matches(&CanonicalUrl::parse(url).unwrap());
        assert_eq!(found, expect, "{canonical} and {url}");
    }

    /// Found by fuzzing: what was read could not be read back.
    #[test]
    fn a_host_that_no_name_system_has_is_refused() {
        for text in [
            "//.;",
            "https://.example/a",
            "a..example/b",
            "*.%22",
            "tg://a!b",
        ] {
            assert!(UrlPrefix::parse(text).is_err(), "{text}");
            assert!(CanonicalUrl::parse(text).is_err(), "{text}");
        }
        assert!(CanonicalUrl::parse("https://example.com./a").is_ok());
    }

    /// Found by fuzzing: what was read could not be read back.
    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for text in ["**.*", "*.*.example", "a*.example"] {
            assert_eq!(Domain::parse(text), Err(DomainError::Star), "{text}");
        }
        let domain = Domain::parse("www.www.site.example").unwrap();
        assert_eq!(domain.as_str(), "site.example");
        let prefix = UrlPrefix::parse("www.www.site.example").unwrap();
        assert_eq!(prefix.to_string(), "site.example/");
        let prefix = UrlPrefix::parse("site.?tg://").unwrap();
        assert_eq!(prefix.to_string(), "https://site/?tg://");
        assert_eq!(UrlPrefix::parse("https://site/?tg://"), Ok(prefix));
    }

    #[test]
    fn a_prefix_ends_where_a_part_ends() {
        let under = |url, expect| {
            check_prefix(
                "http://WWW.example.com/a/../channel/",
                "example.com/channel/",
                url,
                expect,
            );
            check_prefix("example.com/channel", "example.com/channel/", url, expect);
            check_prefix("example.com/channel/*", "example.com/channel/", url, expect);
        };
        under("https://example.com/channel/7?x=1", true);
        under("https://example.com/channel/", true);
        under("https://example.com/channel", true);
        under("https://www.example.com/channel?page=2", true);
        under("https://example.com/channelx", false);
        under("https://example.com/channel&x", false);
        under("https://example.com/Channel/7", false);
        under("https://a.example.com/channel/7", false);
        under("https://example.com/?/channel/", false);
        under("https://example.com.evil.example/channel/7", false);
    }

    #[test]
    fn other_prefixes() {
        check_prefix(
            "example.com/user-*",
            "example.com/user-*",
            "example.com/user-17/a",
            true,
        );
        check_prefix(
            "example.com/user-*",
            "example.com/user-*",
            "example.com/use",
            false,
        );
        check_prefix("example.com", "example.com/", "http://example.com/?a", true);
        check_prefix(
            "example.com/*",
            "example.com/",
            "http://example.com/a",
            true,
        );
        check_prefix(
            "example.com",
            "example.com/",
            "http://example.com:8080/",
            false,
        );
        check_prefix(
            "a.example/w?v=1",
            "a.example/w?v=1",
            "a.example/w?v=1&t=2",
            true,
        );
        check_prefix(
            "a.example/w?v=1",
            "a.example/w?v=1",
            "a.example/w?v=12",
            false,
        );
        check_prefix(
            "a.example/w?v=1",
            "a.example/w?v=1",
            "a.example/w?v=1/2",
            false,
        );
        check_prefix(
            "a.example/w?v=1*",
            "a.example/w?v=1*",
            "a.example/w?v=12",
            true,
        );
        check_prefix("a.example/b?*", "a.example/b/", "a.example/bc", false);
        check_prefix("a.example/b#c*", "a.example/b/", "a.example/bc", false);
        check_prefix("a.example/b?utm_*", "a.example/b/", "a.example/bc", false);
        check_prefix(
            "a.example/b",
            "a.example/b/",
            "a.example/b?u=https://c.example",
            true,
        );
        check_prefix("ipfs://QmA/b", "ipfs://QmA/b/", "ipfs://QmA/b/c", true);
        check_prefix("a.example/b//", "a.example/b//", "a.example/b//c", true);
        check_prefix("a.example/b//", "a.example/b//", "a.example/b/c", false);
        check_prefix(
            "mega.nz/folder/ab",
            "mega.nz/folder/ab/",
            "mega.nz/folder/ab#key",
            true,
        );
    }

    #[track_caller]
    fn check_prefix_refused(text: &str, expect: &str) {
        assert_eq!(UrlPrefix::parse(text).unwrap_err().to_string(), expect);
    }

    #[test]
    fn a_refused_prefix_says_why() {
        let star = "a `*` ends a prefix and stands nowhere else: for all subdomains give a domain";
        check_prefix_refused("*.example.com/a", star);
        check_prefix_refused("example.com/*/b*", star);
        check_prefix_refused(
            "example.com*",
            "a `*` behind the host would match hosts of other owners: give `example.com/` for all its pages",
        );
        let long = "a prefix has at most 2048 bytes and 32 parts: give a shorter one";
        check_prefix_refused(&format!("example.com{}", "/a".repeat(40)), long);
        check_prefix_refused(&format!("example.com/{}", "a".repeat(3000)), long);
    }

    #[track_caller]
    fn check_domain(text: &str, canonical: &str, url: &str, expect: bool) {
        let domain = Domain::parse(text).unwrap();
        assert_eq!(domain.as_str(), canonical);
        assert_eq!(Domain::parse(canonical).as_ref(), Ok(&domain), "settled");
        let found = domain.matches(&CanonicalUrl::parse(url).unwrap());
        assert_eq!(found, expect, "{canonical} and {url}");
    }

    #[test]
    fn a_domain_has_its_subdomains() {
        check_domain(
            "Example.COM.",
            "example.com",
            "https://a.b.example.com/x",
            true,
        );
        check_domain(
            "*.example.com",
            "example.com",
            "https://example.com:8080/",
            true,
        );
        check_domain(
            ".example.com",
            "example.com",
            "https://notexample.com/",
            false,
        );
        check_domain(
            "https://www.example.com/",
            "example.com",
            "http://www.example.com",
            true,
        );
        check_domain(
            "example.com",
            "example.com",
            "https://example.com.evil.example",
            false,
        );
        check_domain(
            "example.com",
            "example.com",
            "https://example.com@evil.example/",
            false,
        );
        check_domain(
            "пример.рф",
            "xn--e1afmkfd.xn--p1ai",
            "https://а.пример.рф",
            true,
        );
        check_domain(
            "exаmple.com",
            "xn--exmple-4nf.com",
            "https://example.com",
            false,
        );
        check_domain(
            "me.github.io",
            "me.github.io",
            "https://you.github.io",
            false,
        );
        check_domain(
            "www.example",
            "www.example",
            "https://example.example",
            false,
        );
    }

    #[track_caller]
    fn check_domain_refused(text: &str, expect: &str) {
        assert_eq!(
            Domain::parse(text).unwrap_err().to_string(),
            expect,
            "{text}"
        );
    }

    #[test]
    fn a_refused_domain_says_why() {
        for suffix in ["com", "co.uk", "github.io", "blogspot.com"] {
            check_domain_refused(
                suffix,
                &format!(
                    "anybody may register under `{suffix}`, so it would match sites of other owners: give a name below it"
                ),
            );
        }
        let more = "a domain is a name alone, such as example.com: for pages under an address give a url prefix";
        check_domain_refused("example.com/a", more);
        check_domain_refused("example.com:8080", more);
        check_domain_refused(
            "10.0.0.1",
            "`10.0.0.1` is not a domain's name: give a url prefix such as 10.0.0.1/",
        );
        check_domain_refused(
            "abc.onion",
            "`abc.onion` is no onion address: its length or checksum is wrong, copy it again",
        );
    }

    proptest! {
        #[test]
        fn members_are_settled(text in "(https?://|\\*\\.|ipfs://)?(www\\.)?[a-z]{1,3}\\.(com|co\\.uk|example|[0-9.]{1,6})(/[a-z/&?=%#é]{0,12})?\\*?") {
            if let Ok(prefix) = UrlPrefix::parse(&text) {
                prop_assert_eq!(UrlPrefix::parse(&prefix.to_string()), Ok(prefix));
            }
            if let Ok(domain) = Domain::parse(&text) {
                prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain));
            }
        }

        #[test]
        fn an_address_lies_under_itself(text in "[a-z]{1,3}\\.example(/[a-z/&?=é]{0,12})?") {
            let url = CanonicalUrl::parse(&text).unwrap();
            prop_assert!(UrlPrefix::parse(url.as_str()).unwrap().matches(&url));
            prop_assert!(Domain::parse(url.host()).unwrap().matches(&url));
        }
    }
}
