//! All banks in memory, and the matching of one event against them.
//!
//! One index per signal type spans every bank; an entry's key says which bank and member it is, so
//! a disabled bank costs a look at one flag and an event costs one lookup per signal.

use manara_model::{Bank, BankName, Decoding, Event, Match, MediaFacts, Medium, MemberId, Span};
use manara_signal::index::{ExactIndex, PdqHit, PdqIndex};
use manara_signal::pdq::{Dihedral, Pdq, PdqHash};
use manara_signal::text::{Level, Normalised, PhraseHit, PhraseIndex, normalise};
use manara_signal::url::{CanonicalUrl, find_links};
use manara_signal::{Signal, SignalType};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Below this PDQ quality an image has too little in it to be told apart from others: its hash is
/// not looked up. Meta's reference uses the same floor.
pub(crate) const PDQ_QUALITY_MIN: u8 = 50;
/// The widest PDQ distance at which matches are kept for banks and rules to narrow.
pub(crate) const PDQ_DISTANCE_MAX: u32 = Bank::DISTANCE_MAX;
/// The form of an image that is the image as stored.
const ORIGINAL: Cow<'static, str> = Cow::Borrowed(Dihedral::Original.name());
/// Most matches kept for one event, nearest first; a text of slogans only must not fill the log.
const MATCHES_MAX: usize = 64;

const MEMBER_BITS: u32 = 44;

/// Which bank (by its place in the matcher) and member an index entry is.
fn key_of(bank: usize, member: MemberId) -> u64 {
    ((bank as u64) << MEMBER_BITS) | (member.0 as u64 & ((1 << MEMBER_BITS) - 1))
}

fn bank_and_member(key: u64) -> (usize, MemberId) {
    (
        (key >> MEMBER_BITS) as usize,
        MemberId((key & ((1 << MEMBER_BITS) - 1)) as i64),
    )
}

#[derive(Debug)]
struct BankEntry {
    name: BankName,
    enabled: bool,
    /// How far image hashes match.
    distance: u32,
    members: u64,
    /// How many of them are image hashes.
    hashes: u64,
}

#[derive(Debug, Default)]
struct Indexes {
    banks: Vec<BankEntry>,
    pdq: PdqIndex,
    exact: ExactIndex,
    phrases: PhraseIndex,
}

/// The banks of a server or a scan, matched against and changed at the same time.
#[derive(Debug, Default)]
pub(crate) struct Matcher(RwLock<Indexes>);

/// What was computed from one medium, to be looked up.
#[derive(Debug, Clone)]
pub(crate) struct MediaSignals {
    pub(crate) facts: MediaFacts,
    pub(crate) exact: Vec<Signal>,
    /// The hash as stored first, then its other forms, each with the name of the form.
    pub(crate) pdq: Vec<(PdqHash, Cow<'static, str>)>,
}

impl MediaSignals {
    /// A medium whose bytes could not be had.
    pub(crate) fn unavailable(problem: String) -> Self {
        Self {
            facts: MediaFacts {
                decoding: Decoding::Unavailable,
                problem: Some(problem),
                width: 0,
                height: 0,
                quality: None,
            },
            exact: Vec::new(),
            pdq: Vec::new(),
        }
    }

    /// A medium of which the platform sent the signals only. They were checked when the event was
    /// parsed; a hash without a quality is taken for a good one.
    pub(crate) fn sent(medium: &Medium) -> Self {
        let quality = medium.quality.unwrap_or(100);
        let (mut exact, mut pdq) = (Vec::new(), Vec::new());
        for (signal_type, value) in &medium.signals {
            match Signal::parse(*signal_type, value) {
                Ok(Signal::Pdq(hash)) => pdq.push((PdqHash { hash, quality }, ORIGINAL)),
                Ok(other) => exact.push(other),
                Err(_) => {}
            }
        }
        Self {
            facts: MediaFacts {
                decoding: Decoding::SignalsOnly,
                problem: None,
                width: 0,
                height: 0,
                quality: pdq.first().map(|_| quality),
            },
            exact,
            pdq,
        }
    }
}

/// A change to one bank's contents.
#[derive(Debug)]
pub(crate) enum Change {
    Add {
        bank: BankName,
        member: MemberId,
        signal: Signal,
    },
    Remove {
        bank: BankName,
        member: MemberId,
        signal_type: SignalType,
    },
}

impl Matcher {
    // A poisoned lock means a panic while holding it; the indexes stay usable, since each change to
    // them is complete or absent, and refusing to match would let everything through.
    fn read(&self) -> RwLockReadGuard<'_, Indexes> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn write(&self) -> RwLockWriteGuard<'_, Indexes> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the bank known, switches it on or off, and says how far its image hashes match.
    pub(crate) fn set_bank(&self, name: &BankName, enabled: bool, distance: u32) {
        let mut indexes = self.write();
        let bank = indexes.bank(name);
        if let Some(entry) = indexes.banks.get_mut(bank) {
            entry.enabled = enabled;
            entry.distance = distance;
        }
    }

    /// Applies changes in order; each is visible to the next lookup.
    pub(crate) fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let mut indexes = self.write();
        for change in changes {
            indexes.apply(change);
        }
    }

    /// Takes over an index that was kept, whose keys count the banks in this order, each with the
    /// number of its hashes. For an empty matcher.
    pub(crate) fn adopt(&self, banks: Vec<(BankName, u64)>, index: PdqIndex) {
        let mut indexes = self.write();
        for (name, hashes) in banks {
            let bank = indexes.bank(&name);
            indexes.count(bank, SignalType::Pdq, hashes as i64);
        }
        indexes.pdq = index;
    }

    /// The PDQ index as it is now, and the banks that its keys count, each with its number of hashes.
    pub(crate) fn view(&self) -> (Vec<(BankName, u64)>, PdqIndex) {
        let indexes = self.read();
        let banks = indexes.banks.iter().map(|b| (b.name.clone(), b.hashes));
        (banks.collect(), indexes.pdq.view())
    }

    /// Does what makes lookups in the PDQ index quick again after many changes. It takes long, and
    /// holds nobody up: the work is done beside the index and put in place in a moment.
    pub(crate) fn tend(&self) {
        loop {
            let Some(work) = self.write().pdq.work() else {
                return;
            };
            let mut done = work.run();
            self.write().pdq.install(&mut done);
        }
    }

    /// Fills an empty matcher's PDQ index in one go, which is many times faster than one by one.
    pub(crate) fn load_pdq(&self, entries: Vec<(BankName, MemberId, Pdq)>) {
        let mut indexes = self.write();
        let keyed: Vec<(u64, Pdq)> = entries
            .into_iter()
            .map(|(bank, member, hash)| {
                let bank = indexes.bank(&bank);
                indexes.count(bank, SignalType::Pdq, 1);
                (key_of(bank, member), hash)
            })
            .collect();
        indexes.pdq = PdqIndex::from_entries(keyed);
    }

    /// Number of members over all banks, and of banks.
    pub(crate) fn size(&self) -> (u64, usize) {
        let indexes = self.read();
        (
            indexes.banks.iter().map(|b| b.members).sum(),
            indexes.banks.len(),
        )
    }

    /// Whether a bank of this name is known.
    pub(crate) fn knows(&self, name: &BankName) -> bool {
        self.read().banks.iter().any(|b| b.name == *name)
    }

    /// All matches of the event's texts, links and media, nearest first.
    pub(crate) fn matches(&self, event: &Event, media: &[MediaSignals]) -> Vec<Match> {
        let indexes = self.read();
        let mut found = Found {
            indexes: &indexes,
            matches: Vec::new(),
            seen: HashSet::new(),
        };
        for (field, text) in event.texts() {
            found.text(field, text);
        }
        let links = event
            .content
            .iter()
            .flat_map(|c| c.links.iter().enumerate());
        for (i, link) in links {
            found.link(link, || format!("content.links[{i}]"), None);
        }
        for (i, medium) in media.iter().enumerate() {
            found.medium(medium, &format!("content.media[{i}]"));
        }
        found.finish()
    }

    /// All matches of a text on its own, as if it were in `field`.
    pub(crate) fn matches_of_text(&self, field: &str, text: &str) -> Vec<Match> {
        let indexes = self.read();
        let mut found = Found {
            indexes: &indexes,
            matches: Vec::new(),
            seen: HashSet::new(),
        };
        found.text(field, text);
        found.finish()
    }

    /// All matches of a medium on its own, as if it were in `field`.
    pub(crate) fn matches_of_medium(&self, field: &str, medium: &MediaSignals) -> Vec<Match> {
        let indexes = self.read();
        let mut found = Found {
            indexes: &indexes,
            matches: Vec::new(),
            seen: HashSet::new(),
        };
        found.medium(medium, field);
        found.finish()
    }
}

impl Indexes {
    /// The bank's place, made on first mention.
    fn bank(&mut self, name: &BankName) -> usize {
        if let Some(at) = self.banks.iter().position(|b| b.name == *name) {
            return at;
        }
        self.banks.push(BankEntry {
            name: name.clone(),
            enabled: true,
            distance: PDQ_DISTANCE_MAX,
            members: 0,
            hashes: 0,
        });
        self.banks.len() - 1
    }

    fn count(&mut self, bank: usize, signal_type: SignalType, by: i64) {
        if let Some(entry) = self.banks.get_mut(bank) {
            entry.members = entry.members.saturating_add_signed(by);
            if signal_type == SignalType::Pdq {
                entry.hashes = entry.hashes.saturating_add_signed(by);
            }
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Add {
                bank,
                member,
                signal,
            } => {
                let bank = self.bank(&bank);
                let key = key_of(bank, member);
                match &signal {
                    Signal::Pdq(hash) => self.pdq.insert(key, *hash),
                    Signal::Text(phrase) => self.phrases.insert(key, phrase),
                    other => self.exact.insert(key, other),
                }
                self.count(bank, signal.signal_type(), 1);
            }
            Change::Remove {
                bank,
                member,
                signal_type,
            } => {
                let bank = self.bank(&bank);
                let key = key_of(bank, member);
                let removed = match signal_type {
                    SignalType::Pdq => self.pdq.remove(key),
                    SignalType::Text => self.phrases.remove(key),
                    _ => self.exact.remove(key),
                };
                if removed {
                    self.count(bank, signal_type, -1);
                }
            }
        }
    }
}

/// The matches of one event as they are found.
struct Found<'a> {
    indexes: &'a Indexes,
    matches: Vec<Match>,
    seen: HashSet<(u64, String)>,
}

impl Found<'_> {
    fn text(&mut self, field: &str, text: &str) {
        let indexes = self.indexes;
        if !indexes.phrases.is_empty() {
            let normalised: Normalised = normalise(text);
            let mut hits = Vec::new();
            indexes.phrases.find(&normalised, &mut hits);
            for hit in hits {
                self.phrase(field, &hit);
            }
        }
        if !indexes.exact.is_empty() {
            for link in find_links(text) {
                let span = Span {
                    start: link.original.start,
                    end: link.original.end,
                };
                self.exact(&Signal::Url(link.url), || field.to_owned(), Some(span));
            }
        }
    }

    fn phrase(&mut self, field: &str, hit: &PhraseHit) {
        let span = Span {
            start: hit.original.start,
            end: hit.original.end,
        };
        let how = match hit.level {
            Level::Strict => None,
            Level::Folded => Some(format!("folded: {}", hit.evasions)),
        };
        self.add(
            hit.key,
            SignalType::Text,
            0,
            || field.to_owned(),
            |m| {
                m.span = Some(span);
                m.how = how;
            },
        );
    }

    fn link(&mut self, link: &str, field: impl FnOnce() -> String, span: Option<Span>) {
        // A link that is not a URL has no canonical form, and so nothing to compare.
        if let Ok(url) = CanonicalUrl::parse(link) {
            self.exact(&Signal::Url(url), field, span);
        }
    }

    fn medium(&mut self, medium: &MediaSignals, field: &str) {
        for signal in &medium.exact {
            self.exact(signal, || field.to_owned(), None);
        }
        for (hash, form) in &medium.pdq {
            if hash.quality < PDQ_QUALITY_MIN {
                continue;
            }
            let mut hits: Vec<PdqHit> = Vec::new();
            self.indexes
                .pdq
                .query(&hash.hash, PDQ_DISTANCE_MAX, &mut hits);
            for hit in hits {
                self.add(
                    hit.key,
                    SignalType::Pdq,
                    hit.distance,
                    || field.to_owned(),
                    |m| {
                        m.quality = Some(hash.quality);
                        m.how = (*form != ORIGINAL).then(|| form.clone().into_owned());
                    },
                );
            }
        }
    }

    fn exact(&mut self, signal: &Signal, field: impl FnOnce() -> String, span: Option<Span>) {
        let mut keys = Vec::new();
        self.indexes.exact.find(signal, &mut keys);
        if keys.is_empty() {
            return;
        }
        let field = field();
        for key in keys {
            self.add(
                key,
                signal.signal_type(),
                0,
                || field.clone(),
                |m| m.span = span,
            );
        }
    }

    /// Adds a match unless the bank is off or the member has already matched in this field.
    fn add(
        &mut self,
        key: u64,
        signal_type: SignalType,
        distance: u32,
        field: impl FnOnce() -> String,
        detail: impl FnOnce(&mut Match),
    ) {
        let (bank, member) = bank_and_member(key);
        let Some(entry) = self
            .indexes
            .banks
            .get(bank)
            .filter(|b| b.enabled && distance <= b.distance)
        else {
            return;
        };
        let field = field();
        if !self.seen.insert((key, field.clone())) {
            return self.keep_nearer(&entry.name, member, &field, distance, detail);
        }
        let mut new = Match {
            signal_type,
            bank: entry.name.clone(),
            member,
            distance,
            field,
            quality: None,
            span: None,
            how: None,
        };
        detail(&mut new);
        self.matches.push(new);
    }

    /// The same member may be reached in several forms of one image: the nearest is kept.
    fn keep_nearer(
        &mut self,
        bank: &BankName,
        member: MemberId,
        field: &str,
        distance: u32,
        detail: impl FnOnce(&mut Match),
    ) {
        let same = self
            .matches
            .iter_mut()
            .find(|m| m.member == member && m.bank == *bank && m.field == field);
        if let Some(known) = same.filter(|known| known.distance > distance) {
            known.distance = distance;
            detail(known);
        }
    }

    fn finish(mut self) -> Vec<Match> {
        self.matches.sort_by(|a, b| {
            (a.distance, &a.field, &a.bank, a.member)
                .cmp(&(b.distance, &b.field, &b.bank, b.member))
        });
        self.matches.truncate(MATCHES_MAX);
        self.matches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A medium whose hash has so many of the lowest bits set.
    fn medium(bits: u32) -> MediaSignals {
        let mut hash = Pdq([0; 32]);
        for bit in 0..bits as usize {
            hash.0[31 - bit / 8] |= 1 << (bit % 8);
        }
        let mut signals = MediaSignals::unavailable(String::new());
        signals.pdq.push((PdqHash { hash, quality: 90 }, ORIGINAL));
        signals
    }

    #[test]
    fn an_image_matches_as_far_as_each_bank_says() {
        let matcher = Matcher::default();
        let names: [BankName; 2] = ["NARROW", "WIDE"].map(|name| name.parse().unwrap());
        let zero = Signal::Pdq(Pdq([0; 32]));
        matcher.apply(names.iter().zip(1..).map(|(bank, id)| Change::Add {
            bank: bank.clone(),
            member: MemberId(id),
            signal: zero.clone(),
        }));
        matcher.set_bank(&names[0], true, 10);
        matcher.set_bank(&names[1], true, PDQ_DISTANCE_MAX);
        let found = |bits| -> Vec<String> {
            let matches = matcher.matches_of_medium("m", &medium(bits));
            matches.iter().map(|m| m.bank.to_string()).collect()
        };
        assert_eq!(found(10), ["NARROW", "WIDE"]);
        assert_eq!(found(11), ["WIDE"]);
        assert_eq!(found(31), ["WIDE"]);
        assert!(found(32).is_empty());
        matcher.set_bank(&names[0], true, 11);
        assert_eq!(found(11), ["NARROW", "WIDE"]);
        matcher.set_bank(&names[1], false, PDQ_DISTANCE_MAX);
        assert_eq!(found(11), ["NARROW"]);
    }
}
