//! Where links lead: exact addresses, everything under an address, whole domains, invitations and
//! wallets, looked up together.
//!
//! An address is looked up once as itself, once for each place where a prefix may end in it, and
//! once for each name of its host by which a domain may be listed. Each is a lookup in a hash table,
//! so what a link costs depends on the link and not on how much is listed. Prefixes that end inside
//! a part of an address are kept under the part's beginning with the lengths that occur there.

use super::exact::Values;
use crate::invite::Invite;
use crate::url::{
    CanonicalUrl, Destination, Domain, PREFIX_DEPTH_MAX, PREFIX_LEN_MAX, UrlPrefix, boundaries,
    names,
};
use crate::wallet::Wallet;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What a bank lists of destinations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DestinationMember {
    /// One address.
    Url(CanonicalUrl),
    /// Everything under an address.
    UrlPrefix(UrlPrefix),
    /// A domain with its subdomains.
    Domain(Domain),
    /// A group, channel or room.
    Invite(Invite),
    /// An address to pay to.
    Wallet(Wallet),
}

impl DestinationMember {
    /// Its kind.
    pub fn kind(&self) -> MemberKind {
        match self {
            Self::Url(_) => MemberKind::Url,
            Self::UrlPrefix(_) => MemberKind::UrlPrefix,
            Self::Domain(_) => MemberKind::Domain,
            Self::Invite(_) => MemberKind::Invite,
            Self::Wallet(_) => MemberKind::Wallet,
        }
    }
}

/// The kind of a [`DestinationMember`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemberKind {
    /// One address.
    Url,
    /// Everything under an address.
    UrlPrefix,
    /// A domain with its subdomains.
    Domain,
    /// A group, channel or room.
    Invite,
    /// An address to pay to.
    Wallet,
}

/// A member that a destination matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DestinationHit {
    /// The member's key.
    pub key: u64,
    /// How it matches.
    pub kind: MemberKind,
}

/// Known destinations by key.
///
/// ```
/// use manara_signal::index::{DestinationIndex, DestinationMember, MemberKind};
/// use manara_signal::{CanonicalUrl, Domain};
///
/// let mut index = DestinationIndex::new();
/// index.insert(7, &DestinationMember::Domain(Domain::parse("banner.example").unwrap()));
///
/// let mut hits = Vec::new();
/// let url = CanonicalUrl::parse("https://files.banner.example/a").unwrap();
/// index.find_link(&url, &mut hits);
/// assert_eq!((hits[0].key, hits[0].kind), (7, MemberKind::Domain));
/// ```
pub struct DestinationIndex {
    urls: Values,
    prefixes: Values,
    open_prefixes: OpenPrefixes,
    domains: Values,
    invites: Values,
    wallets: Values,
}

impl Default for DestinationIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DestinationIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationIndex")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl DestinationIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self {
            urls: Values::new(None),
            prefixes: Values::new(None),
            open_prefixes: OpenPrefixes::new(),
            domains: Values::new(None),
            invites: Values::new(None),
            wallets: Values::new(None),
        }
    }

    /// Adds a member under a key, in place of the member that had it.
    pub fn insert(&mut self, key: u64, member: &DestinationMember) {
        self.remove(key);
        match member {
            DestinationMember::Url(url) => self.urls.insert(key, url.match_key().as_bytes()),
            DestinationMember::UrlPrefix(prefix) => match prefix.key() {
                (text, false) => self.prefixes.insert(key, text.as_bytes()),
                (text, true) => self.open_prefixes.insert(key, text),
            },
            DestinationMember::Domain(domain) => {
                self.domains.insert(key, domain.as_str().as_bytes());
            }
            DestinationMember::Invite(invite) => {
                self.invites.insert(key, invite.to_string().as_bytes());
            }
            DestinationMember::Wallet(wallet) => {
                self.wallets.insert(key, wallet.to_string().as_bytes());
            }
        }
    }

    /// Takes the key's member out; whether there was one.
    pub fn remove(&mut self, key: u64) -> bool {
        self.urls.remove(key)
            || self.domains.remove(key)
            || self.prefixes.remove(key)
            || self.open_prefixes.remove(key)
            || self.invites.remove(key)
            || self.wallets.remove(key)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        let closed = self.urls.len() + self.prefixes.len() + self.domains.len();
        closed + self.open_prefixes.values.len() + self.invites.len() + self.wallets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the members that something found in a text matches. A link to a group is found in a
    /// text both as a link and as an invitation, so each is looked up as what it is.
    pub fn find(&self, destination: &Destination, out: &mut Vec<DestinationHit>) {
        match destination {
            Destination::Link(url) => self.find_link(url, out),
            Destination::Invite(invite) => self.find_invite(invite, out),
            Destination::Wallet(wallet) => self.find_wallet(wallet, out),
            Destination::Mention(_) => (),
        }
    }

    /// Appends the addresses, prefixes and domains that an address matches: by kind, the longest
    /// prefix or domain last and first, keys ascending where members are equal.
    pub fn find_link(&self, url: &CanonicalUrl, out: &mut Vec<DestinationHit>) {
        let (mut keys, text) = (Keys::new(out), url.match_key());
        keys.all(&self.urls, text.as_bytes(), MemberKind::Url);
        if self.prefixes.len() + self.open_prefixes.values.len() > 0 {
            let near = boundaries(text).take(PREFIX_DEPTH_MAX);
            for at in near.take_while(|at| *at <= PREFIX_LEN_MAX) {
                let (parent, rest) = text.split_at_checked(at).unwrap_or_default();
                keys.all(&self.prefixes, parent.as_bytes(), MemberKind::UrlPrefix);
                self.open_prefixes.find(parent, rest, text, &mut keys);
            }
        }
        if self.domains.len() > 0 {
            for name in names(url) {
                keys.all(&self.domains, name.as_bytes(), MemberKind::Domain);
            }
        }
    }

    /// Appends the members that are the same invitation.
    pub fn find_invite(&self, invite: &Invite, out: &mut Vec<DestinationHit>) {
        if self.invites.len() > 0 {
            let text = invite.to_string();
            Keys::new(out).all(&self.invites, text.as_bytes(), MemberKind::Invite);
        }
    }

    /// Appends the members that are the same wallet.
    pub fn find_wallet(&self, wallet: &Wallet, out: &mut Vec<DestinationHit>) {
        if self.wallets.len() > 0 {
            let text = wallet.to_string();
            Keys::new(out).all(&self.wallets, text.as_bytes(), MemberKind::Wallet);
        }
    }
}

/// Hits as they are found.
struct Keys<'a> {
    found: Vec<u64>,
    out: &'a mut Vec<DestinationHit>,
}

impl<'a> Keys<'a> {
    fn new(out: &'a mut Vec<DestinationHit>) -> Self {
        Self {
            found: Vec::new(),
            out,
        }
    }

    /// Takes over the keys of all values equal to the bytes.
    fn all(&mut self, values: &Values, bytes: &[u8], kind: MemberKind) {
        values.find(bytes, &mut self.found);
        if !self.found.is_empty() {
            self.found.sort_unstable();
            let hits = self.found.drain(..);
            self.out
                .extend(hits.map(|key| DestinationHit { key, kind }));
        }
    }
}

/// Prefixes that end inside a part of an address.
struct OpenPrefixes {
    values: Values,
    /// Of the address up to a part, how many bytes of that part the prefixes have, and how often.
    tails: HashMap<Box<str>, BTreeMap<u16, u32>>,
}

impl OpenPrefixes {
    fn new() -> Self {
        Self {
            values: Values::new(None),
            tails: HashMap::default(),
        }
    }

    fn insert(&mut self, key: u64, text: &str) {
        self.values.insert(key, text.as_bytes());
        let (parent, tail) = split(text);
        let lengths = self.tails.entry(parent.into()).or_default();
        *lengths.entry(tail.len() as u16).or_default() += 1;
    }

    fn remove(&mut self, key: u64) -> bool {
        let Self { values, tails } = self;
        values.remove_seen(key, |bytes| {
            let (parent, tail) = split(std::str::from_utf8(bytes).unwrap_or_default());
            let Some(lengths) = tails.get_mut(parent) else {
                return;
            };
            let len = tail.len() as u16;
            if let Some(count) = lengths.get_mut(&len) {
                *count -= 1;
                if *count == 0 {
                    lengths.remove(&len);
                }
            }
            if lengths.is_empty() {
                tails.remove(parent);
            }
        })
    }

    fn find(&self, parent: &str, rest: &str, text: &str, keys: &mut Keys<'_>) {
        if self.tails.is_empty() {
            return;
        }
        let Some(lengths) = self.tails.get(parent) else {
            return;
        };
        for len in lengths.keys().map(|len| usize::from(*len)) {
            if len > rest.len() {
                break;
            }
            if let Some(prefix) = text.as_bytes().get(..parent.len() + len) {
                keys.all(&self.values, prefix, MemberKind::UrlPrefix);
            }
        }
    }
}

/// A prefix at the beginning of its last part, which the second half begins with.
fn split(text: &str) -> (&str, &str) {
    let at = boundaries(text).filter(|at| *at < text.len()).last();
    text.split_at_checked(at.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(kind: MemberKind, text: &str) -> Option<DestinationMember> {
        Some(match kind {
            MemberKind::Url => DestinationMember::Url(CanonicalUrl::parse(text).ok()?),
            MemberKind::UrlPrefix => DestinationMember::UrlPrefix(UrlPrefix::parse(text).ok()?),
            MemberKind::Domain => DestinationMember::Domain(Domain::parse(text).ok()?),
            MemberKind::Invite => DestinationMember::Invite(Invite::parse(text).ok()?),
            MemberKind::Wallet => DestinationMember::Wallet(Wallet::parse(text).ok()?),
        })
    }

    fn example() -> DestinationIndex {
        let mut index = DestinationIndex::new();
        for (key, kind, text) in [
            (1, MemberKind::Url, "https://a.example/x/7"),
            (2, MemberKind::UrlPrefix, "a.example/x"),
            (3, MemberKind::UrlPrefix, "a.example/x/*"),
            (4, MemberKind::UrlPrefix, "a.example/user-*"),
            (5, MemberKind::UrlPrefix, "a.example/us*"),
            (6, MemberKind::Domain, "banner.example"),
            (7, MemberKind::Domain, "b.banner.example"),
            (8, MemberKind::Invite, "telegram:@grey_banner"),
            (
                9,
                MemberKind::Wallet,
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            ),
            (10, MemberKind::UrlPrefix, "b.banner.example"),
        ] {
            index.insert(key, &member(kind, text).unwrap());
        }
        index
    }

    #[track_caller]
    fn check(index: &DestinationIndex, url: &str, expect: &[(u64, MemberKind)]) {
        let mut hits = Vec::new();
        index.find_link(&CanonicalUrl::parse(url).unwrap(), &mut hits);
        let found: Vec<_> = hits.iter().map(|hit| (hit.key, hit.kind)).collect();
        assert_eq!(found, expect, "{url}");
    }

    #[test]
    fn a_link_matches_by_address_prefix_and_domain() {
        use MemberKind::{Domain, Url, UrlPrefix};
        let index = example();
        check(
            &index,
            "http://www.a.example/x/7",
            &[(1, Url), (2, UrlPrefix), (3, UrlPrefix)],
        );
        check(&index, "a.example/x/8", &[(2, UrlPrefix), (3, UrlPrefix)]);
        check(&index, "a.example/xy", &[]);
        check(
            &index,
            "a.example/user-9/z",
            &[(5, UrlPrefix), (4, UrlPrefix)],
        );
        check(&index, "a.example/used", &[(5, UrlPrefix)]);
        check(&index, "c.b.banner.example/x", &[(7, Domain), (6, Domain)]);
        check(
            &index,
            "b.banner.example/x",
            &[(10, UrlPrefix), (7, Domain), (6, Domain)],
        );
        check(&index, "otherbanner.example/x", &[]);
    }

    #[test]
    fn what_is_taken_out_is_not_found() {
        let mut index = example();
        for key in 1..=10 {
            assert!(index.remove(key));
            assert!(!index.remove(key));
        }
        assert!(index.is_empty() && index.open_prefixes.tails.is_empty());
        check(&index, "a.example/user-9/x", &[]);
    }

    #[test]
    fn invitations_and_wallets_match_as_equals() {
        let index = example();
        let mut hits = Vec::new();
        index.find_invite(&Invite::parse("t.me/Grey_Banner/7").unwrap(), &mut hits);
        index.find_invite(&Invite::parse("t.me/Grey_Banners").unwrap(), &mut hits);
        let wallet = Wallet::parse("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4").unwrap();
        index.find(&Destination::Wallet(wallet), &mut hits);
        let found: Vec<_> = hits.iter().map(|hit| (hit.key, hit.kind)).collect();
        assert_eq!(found, [(8, MemberKind::Invite), (9, MemberKind::Wallet)]);
    }

    proptest! {
        #[test]
        fn as_each_member_alone_would_answer(
            members in proptest::collection::vec((0..20_u64, any::<bool>(), "[ab]\\.(a\\.)?[ab]\\.example(/[ab/?&]{0,5})?\\*?"), 0..40),
            removed in proptest::collection::vec(0..20_u64, 0..10),
            urls in proptest::collection::vec("(c\\.)?[ab]\\.(a\\.)?[ab]\\.example(/[ab/?&]{0,7})?", 1..10),
        ) {
            let (mut index, mut map) = (DestinationIndex::new(), BTreeMap::new());
            for (key, domain, text) in members {
                let kind = if domain { MemberKind::Domain } else { MemberKind::UrlPrefix };
                let text = if domain { text.split('/').next().unwrap() } else { &text };
                if let Some(member) = member(kind, text) {
                    index.insert(key, &member);
                    map.insert(key, member);
                }
            }
            for key in removed {
                prop_assert_eq!(index.remove(key), map.remove(&key).is_some());
            }
            prop_assert_eq!(index.len(), map.len());
            for url in urls {
                let url = CanonicalUrl::parse(&url).unwrap();
                let mut hits = Vec::new();
                index.find_link(&url, &mut hits);
                hits.sort_unstable();
                let expect: Vec<_> = map.iter().filter(|(_, member)| match member {
                    DestinationMember::Domain(domain) => domain.matches(&url),
                    DestinationMember::UrlPrefix(prefix) => prefix.matches(&url),
                    _ => false,
                }).map(|(key, member)| DestinationHit { key: *key, kind: member.kind() }).collect();
                prop_assert_eq!(hits, expect);
            }
        }
    }
}
