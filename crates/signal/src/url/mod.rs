//! Web addresses in canonical form, so that the many ways to write one compare equal; and the
//! links written in a text.
//!
//! What is made equal, and why it is safe to: scheme and host are case-insensitive, a default port,
//! dot segments and percent-encoding of plain characters change nothing (RFC 3986 §6.2.2, WHATWG
//! URL), international host names have one ASCII form (UTS 46). By convention of the web rather than
//! by rule: the fragment stays in the browser (but on a few hosts it names the group), a host's trailing dot and user names do not select
//! another page, tracking parameters (`utm_…`, `fbclid`, …) only say where a visitor came from.
//!
//! `http` and `https`, and a host with and without a leading `www.`, are kept as written but
//! **match** each other: almost every site serves one page under all four. Everything else that
//! differs is another address: path letters are case-sensitive, a trailing slash counts, the query
//! keeps its order.

mod facts;
mod find;
mod host;
mod lookalike;
mod member;
mod plain;
mod view;

pub use facts::LinkFacts;
pub use find::{
    Destination, FoundDestination, FoundLink, MENTIONS_MAX, WALLETS_MAX, find_destinations,
    find_links,
};
pub use host::{HostKind, Onion};
pub use member::{
    Domain, DomainError, PREFIX_DEPTH_MAX, PREFIX_LEN_MAX, UrlPrefix, UrlPrefixError,
};
pub(crate) use member::{boundaries, names};
pub use view::Undone;

use std::fmt;
use std::hash::{Hash, Hasher};
use thiserror::Error;

/// Longest address that is read, in bytes.
pub const LEN_MAX: usize = 8 * 1024;
/// Most links taken from one text.
pub const LINKS_MAX: usize = 256;

/// Schemes whose addresses can be compared.
const SCHEMES: [&str; 5] = ["https", "http", "ipfs", "ipns", "tg"];

/// Why a text is not an address that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Nothing but white space.
    #[error("a url signal is empty: give an address such as https://example.com/page")]
    Empty,
    /// Over [`LEN_MAX`] bytes.
    #[error(
        "a url signal has at most {LEN_MAX} bytes, this has {found}: give the address without what follows it"
    )]
    Length {
        /// Length that was given.
        found: usize,
    },
    /// A character that cannot be in an address, such as a space; often two addresses in one field.
    #[error("`{}` at byte {column} cannot be in an address: give one address, with %20 for a space", found.escape_default())]
    Character {
        /// The character found.
        found: char,
        /// Its byte offset.
        column: usize,
    },
    /// A scheme that is not for pages, such as `mailto` or `javascript`.
    #[error("addresses of scheme `{}` are not compared: http, https, ipfs, ipns and tg are", found.escape_default())]
    Scheme {
        /// The scheme found.
        found: String,
    },
    /// The host is missing, or is not a name or address of a host.
    #[error(
        "`{}` has no valid host: an address looks like https://example.com/page ({reason})",
        shown(found)
    )]
    Host {
        /// What was given.
        found: String,
        /// What the parser said.
        reason: String,
    },
}

fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        cut + "…"
    } else {
        cut
    }
}

impl UrlError {
    /// Byte offset of the mistake in the text, when it lies at one place.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Character { column, .. } => Some(*column),
            _ => None,
        }
    }
}

/// An address in canonical form. Two are equal when their [`match_key`](Self::match_key)s are.
///
/// ```
/// use manara_signal::CanonicalUrl;
/// let url = CanonicalUrl::parse("HTTP://WWW.Bücher.example:80/%7Ea/./b/../c?b=2&utm_source=x&a=1#top")?;
/// assert_eq!(url.as_str(), "http://www.xn--bcher-kva.example/~a/c?b=2&a=1");
/// assert_eq!(url, CanonicalUrl::parse("https://bücher.example/~a/c?b=2&a=1")?);
/// assert_eq!(url.host(), "www.xn--bcher-kva.example");
/// # Ok::<(), manara_signal::UrlError>(())
/// ```
#[derive(Clone)]
pub struct CanonicalUrl {
    text: Box<str>,
    /// Where the host begins, after `scheme://`.
    host_at: u16,
    /// Where the match key begins.
    key_at: u16,
    /// Whether user name or password were left out.
    user_info: bool,
}

impl CanonicalUrl {
    /// Reads an address; one without a scheme is taken as `https`. Addresses "defanged" so that
    /// nobody clicks them by accident (`hxxps://example[.]com`) are read as what they stand for.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let lead = text.len() - text.trim_start().len();
        let given = text.trim();
        if given.is_empty() {
            return Err(UrlError::Empty);
        }
        if given.len() > LEN_MAX {
            return Err(UrlError::Length { found: given.len() });
        }
        if let Some(plain) = plain::read(given) {
            return Ok(plain);
        }
        Self::parse_any(given, lead)
    }

    /// Reads an address however it is written.
    fn parse_any(given: &str, lead: usize) -> Result<Self, UrlError> {
        let barred = |c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c);
        if let Some((at, found)) = given.char_indices().find(|(_, c)| barred(*c)) {
            return Err(UrlError::Character {
                found,
                column: lead + at,
            });
        }
        let with_scheme = with_scheme(given)?;
        let host_error = |reason: &dyn fmt::Display| UrlError::Host {
            found: given.to_owned(),
            reason: reason.to_string(),
        };
        let mut url = url::Url::parse(&with_scheme).map_err(|e| host_error(&e))?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(UrlError::Scheme {
                found: url.scheme().to_owned(),
            });
        }
        let user_info = !url.username().is_empty() || url.password().is_some();
        tidy(&mut url).map_err(|reason| host_error(&reason))?;
        Self::of(&url, user_info).ok_or(UrlError::Length {
            found: url.as_str().len(),
        })
    }

    /// Takes over a tidy address; nothing if it is too long, as percent-encoding may make it.
    fn of(url: &url::Url, user_info: bool) -> Option<Self> {
        let web = matches!(url.scheme(), "http" | "https");
        Self::of_text(recoded(url), web, user_info)
    }

    fn of_text(text: String, web: bool, user_info: bool) -> Option<Self> {
        if text.len() > LEN_MAX {
            return None;
        }
        let host_at = text.find("://")? + 3;
        let rest = text.get(host_at..)?;
        // `www.example` is a site of its own; `www.site.example` is the same as `site.example`.
        let mut site = rest;
        while let Some(after) = site.strip_prefix("www.")
            && host_of(after).contains('.')
        {
            site = after;
        }
        let key_at = if web { text.len() - site.len() } else { 0 };
        Some(Self {
            host_at: host_at as u16,
            key_at: key_at as u16,
            user_info,
            text: text.into(),
        })
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is compared: the canonical text, for web addresses without scheme and leading `www.`.
    pub fn match_key(&self) -> &str {
        self.text
            .get(usize::from(self.key_at)..)
            .unwrap_or_default()
    }

    /// The host, in its ASCII form, without a port.
    pub fn host(&self) -> &str {
        let host = host_of(
            self.text
                .get(usize::from(self.host_at)..)
                .unwrap_or_default(),
        );
        let port = host
            .rfind(':')
            .filter(|at| !host.get(*at..).is_some_and(|rest| rest.contains(']')));
        port.and_then(|at| host.get(..at)).unwrap_or(host)
    }

    /// Path, query and kept fragment.
    pub(crate) fn after_host(&self) -> &str {
        let rest = self.text.get(usize::from(self.host_at)..);
        let rest = rest.unwrap_or_default();
        rest.get(host_of(rest).len()..).unwrap_or_default()
    }
}

/// From a text that begins with a host, the host with its port.
fn host_of(text: &str) -> &str {
    text.split(['/', '?', '#']).next().unwrap_or_default()
}

impl PartialEq for CanonicalUrl {
    fn eq(&self, other: &Self) -> bool {
        self.match_key() == other.match_key()
    }
}
impl Eq for CanonicalUrl {}
impl Hash for CanonicalUrl {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.match_key().hash(state);
    }
}
impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Debug for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CanonicalUrl({})", self.as_str())
    }
}
impl std::str::FromStr for CanonicalUrl {
    type Err = UrlError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Undoes defanging and puts `https://` before an address without a scheme.
fn with_scheme(given: &str) -> Result<String, UrlError> {
    let (scheme, rest) = split_scheme(given);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(end);
    let host = host
        .replace("[.]", ".")
        .replace("(.)", ".")
        .replace("[:]", ":");
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        None if host.contains('.') => Ok(format!("https://{host}{tail}")),
        None => Err(UrlError::Host {
            found: given.to_owned(),
            reason: "there is no dot in it".to_owned(),
        }),
        Some("hxxp" | "http") => Ok(format!("http://{host}{tail}")),
        Some("hxxps" | "https") => Ok(format!("https://{host}{tail}")),
        Some(other) if SCHEMES.contains(&other) => Ok(format!("{other}://{host}{tail}")),
        Some(other) => Err(UrlError::Scheme {
            found: other.chars().take(40).collect(),
        }),
    }
}

/// The scheme, if there is one, and what follows its `:` and slashes. `example.com:80` has none.
fn split_scheme(given: &str) -> (Option<&str>, &str) {
    for mark in ["[:]//", "[://]", "://"] {
        if let Some((scheme, rest)) = given.split_once(mark)
            && is_scheme(scheme)
        {
            return (Some(scheme), rest);
        }
    }
    let before_host = given.split(['/', '?', '#']).next().unwrap_or_default();
    match before_host.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) && !scheme.contains('.') && !is_port(rest) => (
            Some(scheme),
            given
                .get(scheme.len() + 1..)
                .unwrap_or_default()
                .trim_start_matches('/'),
        ),
        _ => (None, given.strip_prefix("//").unwrap_or(given)),
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Drops what does not select a page: user, fragment, the host's trailing dot, tracking parameters.
fn tidy(url: &mut url::Url) -> Result<(), &'static str> {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_end_matches('.');
    if bare.is_empty() {
        return Err("the host is empty");
    }
    // No host has such a name, and without its dots it would be another.
    if bare.starts_with('.') || bare.contains("..") {
        return Err("a part of the host's name is empty");
    }
    // Parsers let other characters pass; no name system has them (RFC 1123, section 2.1), but for the
    // underscore.
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !bare.starts_with('[') && !bare.bytes().all(is_name) {
        return Err("a name of a host has letters, digits, hyphens and dots only");
    }
    let bare = (bare != host).then(|| bare.to_owned());
    if let Some(bare) = bare {
        url.set_host(Some(&bare))
            .map_err(|_| "the host is not valid without its trailing dot")?;
    }
    if !is_page_in_fragment(url) {
        url.set_fragment(None);
    }
    if !url.username().is_empty() || url.password().is_some() {
        let dropped = url.set_username("").and_then(|()| url.set_password(None));
        dropped.map_err(|()| "user names are only for addresses with a host")?;
    }
    let query = url.query().map(|query| {
        let kept = query
            .split('&')
            .filter(|part| !part.is_empty() && !is_tracking(part));
        kept.collect::<Vec<_>>().join("&")
    });
    url.set_query(query.as_deref().filter(|query| !query.is_empty()));
    Ok(())
}

/// Whether the fragment selects the page, as it does where the server must not see it.
fn is_page_in_fragment(url: &url::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix("www.").unwrap_or(host);
    FRAGMENT_HOSTS.contains(&host) && url.fragment().is_some_and(|page| !page.is_empty())
}

/// Hosts of groups, rooms and files whose name or key stands behind the `#`: without it, all of
/// them would be one address.
const FRAGMENT_HOSTS: [&str; 5] = [
    "signal.group",
    "signal.me",
    "matrix.to",
    "app.element.io",
    "mega.nz",
];

/// Parameters that say where a visitor came from and never which page it is.
const TRACKING: [&str; 24] = [
    "fbclid",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "msclkid",
    "yclid",
    "ysclid",
    "twclid",
    "ttclid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "igshid",
    "igsh",
    "_hsenc",
    "_hsmi",
    "vero_id",
    "oly_enc_id",
    "oly_anon_id",
    "mkt_tok",
    "s_kwcid",
    "_openstat",
];

fn is_tracking(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default();
    let utm = name
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("utm_"));
    utm || TRACKING
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// The address with percent-encoding in one form: plain characters bare, the rest in upper case.
fn recoded(url: &url::Url) -> String {
    let text = url.as_str();
    if !text.contains('%') {
        return text.to_owned();
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after
            .get(..2)
            .filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (byte, digits) {
            (Some(plain), _) if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => {
                out.push(char::from(plain));
            }
            (Some(_), Some(two)) => {
                out.push('%');
                out.push_str(&two.to_ascii_uppercase());
            }
            // A stray percent sign stands for itself.
            _ => out.push_str("%25"),
        }
        rest = after
            .get(if byte.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(
            CanonicalUrl::parse(text).map(|u| u.to_string()),
            Ok(expect.to_owned())
        );
    }

    #[test]
    fn the_same_page_has_one_form() {
        check("HTTPS://Example.COM", "https://example.com/");
        check("example.com", "https://example.com/");
        check("//example.com/a", "https://example.com/a");
        check("example.com:8080/a", "https://example.com:8080/a");
        check("  https://example.com/a\n", "https://example.com/a");
        check("https://example.com.:443/a#b", "https://example.com/a");
        check("https://user:secret@example.com/a", "https://example.com/a");
        check("https://example.com/a/../b/./c", "https://example.com/b/c");
        check(
            "https://example.com/%61%2fb%c3%a9é",
            "https://example.com/a%2Fb%C3%A9%C3%A9",
        );
        check("https://example.com/100%/x", "https://example.com/100%25/x");
        check("https://example.com/?", "https://example.com/");
        check(
            "https://example.com/?utm_medium=a&fbclid=b",
            "https://example.com/",
        );
        check(
            "https://example.com/?b=1&utm_medium=a&a=2&UTM_X=y",
            "https://example.com/?b=1&a=2",
        );
        check("hxxps://example[.]com/a", "https://example.com/a");
        check("hxxp[:]//example[.]com", "http://example.com/");
        check("https://signal.group/#CjQ", "https://signal.group/#CjQ");
        check(
            "https://matrix.to/#/%23a:B.example#c",
            "https://matrix.to/#/%23a:B.example#c",
        );
        check("http://0x7f.1/a", "http://127.0.0.1/a");
        check("http://[::1]:80/a", "http://[::1]/a");
        check(
            "tg://resolve?domain=grey_banner",
            "tg://resolve?domain=grey_banner",
        );
        check(
            "https://مثال.example/صفحة",
            "https://xn--mgbh0fb.example/%D8%B5%D9%81%D8%AD%D8%A9",
        );
    }

    #[track_caller]
    fn check_match(a: &str, b: &str, expect: bool) {
        let parse = |text| CanonicalUrl::parse(text).unwrap();
        assert_eq!(parse(a) == parse(b), expect, "{a} and {b}");
    }

    #[test]
    fn scheme_and_www_do_not_part_pages_but_all_else_does() {
        check_match("http://www.example.com/a", "https://example.com/a", true);
        check_match("https://www.example/", "https://example/", false);
        check_match("https://example.com/a", "https://example.com/A", false);
        check_match("https://example.com/a", "https://example.com/a/", false);
        check_match(
            "https://example.com/?a=1&b=2",
            "https://example.com/?b=2&a=1",
            false,
        );
        check_match("https://example.com/", "https://example.com:8443/", false);
        check_match(
            "https://example.com/",
            "https://example.com.evil.example/",
            false,
        );
        check_match("ipfs://abc/", "https://abc/", false);
    }

    #[track_caller]
    fn check_refused(text: &str, message: &str, column: Option<usize>) {
        let error = CanonicalUrl::parse(text).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.column()),
            (message, column)
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        check_refused(
            " ",
            "a url signal is empty: give an address such as https://example.com/page",
            None,
        );
        check_refused(
            "https://example.com/a https://example.com/b",
            "` ` at byte 21 cannot be in an address: give one address, with %20 for a space",
            Some(21),
        );
        let schemes = "are not compared: http, https, ipfs, ipns and tg are";
        check_refused(
            "mailto:someone@example.com",
            &format!("addresses of scheme `mailto` {schemes}"),
            None,
        );
        check_refused(
            "javascript:alert(1)",
            &format!("addresses of scheme `javascript` {schemes}"),
            None,
        );
        check_refused(
            "file:///etc/passwd",
            &format!("addresses of scheme `file` {schemes}"),
            None,
        );
        check_refused(
            "banner",
            "`banner` has no valid host: an address looks like https://example.com/page (there is no dot in it)",
            None,
        );
        check_refused(
            "https://",
            "`https://` has no valid host: an address looks like https://example.com/page (empty host)",
            None,
        );
        let long = format!("https://example.com/{}", "a".repeat(LEN_MAX));
        check_refused(
            &long,
            "a url signal has at most 8192 bytes, this has 8212: give the address without what follows it",
            None,
        );
    }

    #[track_caller]
    fn check_links(text: &str, expect: &[&str]) {
        let found: Vec<String> = find_links(text)
            .into_iter()
            .map(|l| format!("{} = {}", &text[l.original.clone()], l.url))
            .collect();
        assert_eq!(found, expect, "in {text}");
    }

    #[test]
    fn links_are_found_where_people_write_them() {
        check_links(
            "see https://example.com/a.",
            &["https://example.com/a = https://example.com/a"],
        );
        check_links(
            "(https://example.com/a)",
            &["https://example.com/a = https://example.com/a"],
        );
        check_links(
            "انضمhttps://example.com/a؟",
            &["https://example.com/a = https://example.com/a"],
        );
        check_links(
            "[x](https://example.com/(a))!",
            &["https://example.com/(a) = https://example.com/(a)"],
        );
        check_links(
            "hxxps://chat[.]example/j",
            &["hxxps://chat[.]example/j = https://chat.example/j"],
        );
        check_links(
            "go to Example.com now",
            &["Example.com = https://example.com/"],
        );
        check_links(
            "1 files.example/a 2 files.example/b",
            &[
                "files.example/a = https://files.example/a",
                "files.example/b = https://files.example/b",
            ],
        );
    }

    #[test]
    fn what_only_looks_like_a_link_is_left() {
        for text in [
            "end.Next sentence",
            "v1.2.3",
            "3.14",
            "a.b",
            "e.g. this",
            "...",
            "me@",
            "http://",
            "x://y.com",
            "12:30.",
            "main.rs",
        ] {
            check_links(text, &[]);
        }
    }

    #[test]
    fn links_are_counted_up_to_the_cap() {
        assert_eq!(
            find_links(&"https://example.com/a ".repeat(1000)).len(),
            LINKS_MAX
        );
    }

    proptest! {
        #[test]
        fn canonical_form_is_its_own_canonical_form(text in "(https?://)?[a-z]{1,5}\\.(com|example)(/[ -~é]{0,12})?(\\?[!-~]{0,12})?") {
            if let Ok(url) = CanonicalUrl::parse(&text) {
                let again = CanonicalUrl::parse(url.as_str());
                prop_assert_eq!(again.map(|u| u.to_string()), Ok(url.to_string()));
            }
        }

        #[test]
        fn any_text_is_searched_without_panic(text: String) {
            for link in find_links(&text) {
                prop_assert!(text.get(link.original).is_some());
            }
        }

        #[test]
        fn any_text_about_links_is_searched_without_panic(text in "([a-zA-Zé./:\\[\\]()?#%@ا\u{200b} -]|https?://|www\\.|\\.com){0,40}") {
            for link in find_links(&text) {
                prop_assert!(text.get(link.original.clone()).is_some());
            }
            let _ = CanonicalUrl::parse(&text);
        }
    }
}
