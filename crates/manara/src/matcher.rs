//! All banks in memory, and the matching of one event against them.
//!
//! One index per signal type spans every bank; an entry's key says which bank and member it is, so
//! a disabled bank costs a look at one flag and an event costs one lookup per signal. Images go into
//! their index together: all forms of all media of the events at hand are one stream of lookups.

use crate::forms;
use manara_model::{Bank, BankName, Decoding, Event, Match, MediaFacts, Medium, MemberId, Span};
use manara_signal::index::{ExactIndex, PdqHit, PdqIndex};
use manara_signal::pdq::{Pdq, PdqHash};
use manara_signal::text::{Level, Normalised, PhraseHit, PhraseIndex, normalise};
use manara_signal::url::{CanonicalUrl, find_links};
use manara_signal::{Signal, SignalType};
use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Below this PDQ quality an image has too little in it to be told apart from others: its hash is
/// not looked up. Meta's reference uses the same floor.
pub(crate) const PDQ_QUALITY_MIN: u8 = 50;
/// The widest PDQ distance at which matches are kept for banks and rules to narrow.
pub(crate) const PDQ_DISTANCE_MAX: u32 = Bank::DISTANCE_MAX;
/// So many matches of one event are kept, the nearest; a text of slogans only must not fill the log.
/// Of each bank the nearest in each field is kept besides, so that no rule misses it.
const MATCHES_MAX: usize = 64;
/// Most image hashes looked up in one stream, while changes to the banks wait.
const LOOKUPS_MAX: usize = 1024;
/// The same in bulk, where all that is found is in memory at once.
const BULK_MAX: usize = 64;

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
    /// Whether mirrored and turned images match.
    dihedral: bool,
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
                Ok(Signal::Pdq(hash)) => {
                    pdq.push((PdqHash { hash, quality }, Cow::Borrowed(forms::STORED)));
                }
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

    /// Makes the bank known, switches it on or off, and says how far its image hashes match and
    /// whether mirrored and turned images do.
    pub(crate) fn set_bank(&self, name: &BankName, enabled: bool, distance: u32, dihedral: bool) {
        let mut indexes = self.write();
        let bank = indexes.bank(name);
        if let Some(entry) = indexes.banks.get_mut(bank) {
            entry.enabled = enabled;
            entry.distance = distance;
            entry.dihedral = dihedral;
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
    #[cfg(test)]
    pub(crate) fn matches(&self, event: &Event, media: &[MediaSignals]) -> Vec<Match> {
        self.matches_of_events([(event, media)])
            .pop()
            .unwrap_or_default()
    }

    /// All matches of each event's texts, links and media, nearest first. The images of all events
    /// are looked up together.
    pub(crate) fn matches_of_events<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a Event, &'a [MediaSignals])>,
    ) -> Vec<Vec<Match>> {
        let (mut found, mut media) = (Vec::new(), Vec::new());
        for (event, signals) in events {
            let mut of_event = Found::default();
            let indexes = self.read();
            for (field, text) in event.texts() {
                of_event.text(&indexes, field, text);
            }
            let links = event.content.iter().flat_map(|c| &c.links);
            for (i, link) in links.enumerate() {
                of_event.link(&indexes, link, || format!("content.links[{i}]"));
            }
            drop(indexes);
            media.extend(signals.iter().enumerate().map(|(i, signals)| Placed {
                of: found.len(),
                field: Cow::Owned(format!("content.media[{i}]")),
                signals,
            }));
            found.push(of_event);
        }
        self.media(&media, &mut found);
        found.into_iter().map(|found| found.finish().0).collect()
    }

    /// All matches of a text on its own, as if it were in `field`.
    pub(crate) fn matches_of_text(&self, field: &str, text: &str) -> Vec<Match> {
        let mut found = Found::default();
        found.text(&self.read(), field, text);
        found.finish().0
    }

    /// All matches of a medium on its own, as if it were in `field`.
    pub(crate) fn matches_of_medium(&self, field: &str, signals: &MediaSignals) -> Vec<Match> {
        let mut found = [Found::default()];
        let medium = Placed {
            of: 0,
            field: Cow::Borrowed(field),
            signals,
        };
        self.media(&[medium], &mut found);
        let [found] = found;
        found.finish().0
    }

    /// What the banks hold of each of these signals, images no further than `distance_max`: the
    /// matches, nearest first, and how many more there are than are given.
    pub(crate) fn look_up(&self, signals: &[Asked], distance_max: u32) -> Vec<(Vec<Match>, usize)> {
        const FIELD: &str = "signal";
        let mut found: Vec<Found> = Vec::with_capacity(signals.len());
        let mut images: Vec<(usize, PdqHash)> = Vec::new();
        for (number, signal) in signals.iter().enumerate() {
            let mut of_signal = Found::default();
            match signal {
                Asked::Text(text) => of_signal.text(&self.read(), FIELD, text),
                Asked::Exact(signal) => {
                    of_signal.exact(&self.read(), signal, || FIELD.to_owned(), None);
                }
                Asked::Image(hash) if hash.quality >= PDQ_QUALITY_MIN => {
                    images.push((number, *hash));
                }
                Asked::Image(_) => {}
            }
            found.push(of_signal);
        }
        let distance_max = distance_max.min(PDQ_DISTANCE_MAX);
        for images in images.chunks(BULK_MAX) {
            let hashes: Vec<Pdq> = images.iter().map(|(_, image)| image.hash).collect();
            let indexes = self.read();
            indexes
                .pdq
                .query_bulk(&hashes, distance_max, |number, hits| {
                    let Some((of, image)) = images.get(number) else {
                        return;
                    };
                    if let Some(found) = found.get_mut(*of) {
                        found.image(&indexes, FIELD, image, forms::STORED, hits, &HashMap::new());
                    }
                });
        }
        count_lookups(forms::STORED, images.len());
        found.into_iter().map(Found::finish).collect()
    }

    /// Looks up everything that can be compared in these media.
    fn media(&self, media: &[Placed<'_>], found: &mut [Found]) {
        for medium in media {
            if let Some(found) = found.get_mut(medium.of) {
                let indexes = self.read();
                for signal in &medium.signals.exact {
                    found.exact(&indexes, signal, || medium.field.to_string(), None);
                }
            }
        }
        let images: Vec<Image<'_>> = media.iter().flat_map(Placed::images).collect();
        // How far each member is from the image as stored, of the medium whose forms are looked at.
        let mut stored: (&str, usize, HashMap<u64, u32>) = Default::default();
        let mut counts: HashMap<&'static str, usize> = HashMap::new();
        for images in images.chunks(LOOKUPS_MAX) {
            let indexes = self.read();
            let turned = indexes.want_dihedral();
            let wanted = |image: &&Image<'_>| turned || !forms::is_dihedral(image.form);
            let images: Vec<&Image<'_>> = images.iter().filter(wanted).collect();
            for image in &images {
                *counts.entry(forms::kind(image.form)).or_default() += 1;
            }
            let mut each = |number: usize, hits: &[PdqHit]| {
                let Some(image) = images.get(number) else {
                    return;
                };
                let Placed { of, field, .. } = image.medium;
                if (&**field, *of) != (stored.0, stored.1) {
                    stored = (field, *of, HashMap::new());
                }
                if image.form == forms::STORED {
                    let distances = hits.iter().map(|hit| (hit.key, hit.distance));
                    stored.2.extend(distances);
                }
                if let Some(found) = found.get_mut(*of) {
                    found.image(&indexes, field, &image.hash, image.form, hits, &stored.2);
                }
            };
            match &images[..] {
                [] => {}
                [image] => {
                    let mut hits = Vec::new();
                    let hash = &image.hash.hash;
                    indexes.pdq.query(hash, PDQ_DISTANCE_MAX, &mut hits);
                    each(0, &hits);
                }
                images => {
                    let hashes = images.iter().map(|image| image.hash.hash);
                    indexes.pdq.query_stream(hashes, PDQ_DISTANCE_MAX, each);
                }
            }
        }
        for (kind, lookups) in counts {
            count_lookups(kind, lookups);
        }
    }
}

/// Says for `/metrics` what the forms of images cost.
fn count_lookups(kind: &'static str, lookups: usize) {
    metrics::counter!("manara_image_lookups_total", "form" => kind).increment(lookups as u64);
}

/// A signal by itself, to be looked up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    /// Phrases and links are looked for in it.
    Text(String),
    Exact(Signal),
    Image(PdqHash),
}

/// A medium, and where it stands.
struct Placed<'a> {
    /// In which event.
    of: usize,
    field: Cow<'a, str>,
    signals: &'a MediaSignals,
}

/// One form of an image.
struct Image<'a> {
    medium: &'a Placed<'a>,
    hash: PdqHash,
    form: &'a str,
}

impl<'a> Placed<'a> {
    /// The forms that have enough in them to be looked up, the image as stored first.
    fn images(&'a self) -> impl Iterator<Item = Image<'a>> {
        let clear = |(hash, _): &&(PdqHash, Cow<'_, str>)| hash.quality >= PDQ_QUALITY_MIN;
        let images = self.signals.pdq.iter().filter(clear);
        images.map(|(hash, form)| Image {
            medium: self,
            hash: *hash,
            form,
        })
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
            dihedral: true,
            members: 0,
            hashes: 0,
        });
        self.banks.len() - 1
    }

    /// Whether mirrored and turned images could match at all.
    fn want_dihedral(&self) -> bool {
        let wants = |b: &BankEntry| b.enabled && b.dihedral && b.hashes > 0;
        self.banks.iter().any(wants)
    }

    /// The bank and member of a key, if the bank takes a match in this form so far away.
    fn takes(&self, key: u64, distance: u32, form: &str) -> Option<(&BankEntry, MemberId)> {
        let (bank, member) = bank_and_member(key);
        let bank = self.banks.get(bank)?;
        let is_near = bank.enabled && distance <= bank.distance;
        let is_asked_for = bank.dihedral || !forms::is_dihedral(form);
        (is_near && is_asked_for).then_some((bank, member))
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
#[derive(Debug, Default)]
struct Found {
    matches: Vec<Match>,
    /// Where the match of a member in a field is.
    places: HashMap<(u64, String), usize>,
    /// How many were too many to be taken.
    more: usize,
}

impl Found {
    fn text(&mut self, indexes: &Indexes, field: &str, text: &str) {
        if !indexes.phrases.is_empty() {
            let normalised: Normalised = normalise(text);
            let mut hits = Vec::new();
            indexes.phrases.find(&normalised, &mut hits);
            for hit in hits {
                self.phrase(indexes, field, &hit);
            }
        }
        if !indexes.exact.is_empty() {
            for link in find_links(text) {
                let span = Span {
                    start: link.original.start,
                    end: link.original.end,
                };
                let url = Signal::Url(link.url);
                self.exact(indexes, &url, || field.to_owned(), Some(span));
            }
        }
    }

    fn phrase(&mut self, indexes: &Indexes, field: &str, hit: &PhraseHit) {
        let found = self.nearest(indexes, hit.key, SignalType::Text, 0, field, forms::STORED);
        if let Some(found) = found {
            found.span = Some(Span {
                start: hit.original.start,
                end: hit.original.end,
            });
            found.how = match hit.level {
                Level::Strict => None,
                Level::Folded | Level::Aggressive => {
                    Some(format!("{}: {}", hit.level, hit.evasions))
                }
            };
        }
    }

    fn link(&mut self, indexes: &Indexes, link: &str, field: impl FnOnce() -> String) {
        // A link that is not a URL has no canonical form, and so nothing to compare.
        if let Ok(url) = CanonicalUrl::parse(link) {
            self.exact(indexes, &Signal::Url(url), field, None);
        }
    }

    fn exact(
        &mut self,
        indexes: &Indexes,
        signal: &Signal,
        field: impl FnOnce() -> String,
        span: Option<Span>,
    ) {
        let mut keys = Vec::new();
        indexes.exact.find(signal, &mut keys);
        if keys.is_empty() {
            return;
        }
        let (field, signal_type) = (field(), signal.signal_type());
        for key in keys {
            let found = self.nearest(indexes, key, signal_type, 0, &field, forms::STORED);
            if let Some(found) = found {
                found.span = span;
            }
        }
    }

    /// Takes what was found of one form, nearest first; `stored` has the distances of the image as
    /// stored. Of a thousand members that look alike no more are taken than will be given.
    fn image(
        &mut self,
        indexes: &Indexes,
        field: &str,
        image: &PdqHash,
        form: &str,
        hits: &[PdqHit],
        stored: &HashMap<u64, u32>,
    ) {
        let takes = |hit: &&PdqHit| indexes.takes(hit.key, hit.distance, form).is_some();
        let mut banks = HashSet::new();
        for (number, hit) in hits.iter().filter(takes).enumerate() {
            let PdqHit { key, distance } = *hit;
            let is_first = banks.insert(bank_and_member(key).0);
            if number >= MATCHES_MAX && !is_first {
                self.more += 1;
                continue;
            }
            let found = self.nearest(indexes, key, SignalType::Pdq, distance, field, form);
            if let Some(found) = found {
                let is_stored = form == forms::STORED;
                found.quality = Some(image.quality);
                found.form = (!is_stored).then(|| form.to_owned());
                found.form_hash = (!is_stored).then_some(image.hash);
                found.distance_stored = stored.get(&key).copied().filter(|_| !is_stored);
            }
        }
    }

    /// The match of this member in this field, to be filled in, if it is the nearest so far: a member
    /// may be reached in several forms of one image. `None`, too, if the bank does not take the match.
    fn nearest(
        &mut self,
        indexes: &Indexes,
        key: u64,
        signal_type: SignalType,
        distance: u32,
        field: &str,
        form: &str,
    ) -> Option<&mut Match> {
        let (bank, member) = indexes.takes(key, distance, form)?;
        match self.places.entry((key, field.to_owned())) {
            Entry::Occupied(place) => {
                let known = self.matches.get_mut(*place.get())?;
                if known.distance <= distance {
                    return None;
                }
                known.distance = distance;
                Some(known)
            }
            Entry::Vacant(place) => {
                place.insert(self.matches.len());
                self.matches.push(Match {
                    signal_type,
                    bank: bank.name.clone(),
                    member,
                    distance,
                    field: field.to_owned(),
                    quality: None,
                    span: None,
                    how: None,
                    form: None,
                    form_hash: None,
                    distance_stored: None,
                });
                self.matches.last_mut()
            }
        }
    }

    /// The nearest matches, and how many there are besides.
    fn finish(mut self) -> (Vec<Match>, usize) {
        self.matches.sort_by(|a, b| {
            (a.distance, &a.field, &a.bank, a.member)
                .cmp(&(b.distance, &b.field, &b.bank, b.member))
        });
        let all = self.matches.len();
        let (mut number, mut firsts) = (0, HashSet::new());
        self.matches.retain(|m| {
            number += 1;
            firsts.insert((m.bank.clone(), m.field.clone())) || number <= MATCHES_MAX
        });
        let more = self.more + all - self.matches.len();
        (self.matches, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash with so many of the lowest bits set.
    fn hash(bits: usize) -> Pdq {
        let mut hash = Pdq([0; 32]);
        for bit in 0..bits {
            hash.0[31 - bit / 8] |= 1 << (bit % 8);
        }
        hash
    }

    /// A medium with these forms, each with a hash that has so many of the lowest bits set.
    fn medium_of(forms: &[(&'static str, usize)]) -> MediaSignals {
        let mut signals = MediaSignals::unavailable(String::new());
        for (form, bits) in forms {
            let hash = PdqHash {
                hash: hash(*bits),
                quality: 90,
            };
            signals.pdq.push((hash, Cow::Borrowed(*form)));
        }
        signals
    }

    fn medium(bits: usize) -> MediaSignals {
        medium_of(&[(forms::STORED, bits)])
    }

    fn add(matcher: &Matcher, bank: &str, member: i64, hash: Pdq) {
        matcher.apply([Change::Add {
            bank: bank.parse().unwrap(),
            member: MemberId(member),
            signal: Signal::Pdq(hash),
        }]);
    }

    /// What is found of a medium: bank, form and distance, and what the lookups cost.
    fn found(matcher: &Matcher, medium: &MediaSignals) -> (Vec<String>, String) {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let matches =
            metrics::with_local_recorder(&recorder, || matcher.matches_of_medium("m", medium));
        let show = |m: &Match| {
            let stored = m
                .distance_stored
                .map_or_else(String::new, |it| format!(" stored {it}"));
            assert_eq!(m.form.is_some(), m.form_hash.is_some());
            format!("{} {} {}{stored}", m.bank, m.form().unwrap(), m.distance)
        };
        let costs = recorder.handle().render();
        let mut costs: Vec<&str> = costs
            .lines()
            .filter_map(|line| line.strip_prefix("manara_image_lookups_total{form="))
            .collect();
        costs.sort_unstable();
        (matches.iter().map(show).collect(), costs.join(" "))
    }

    #[test]
    fn mirrored_and_turned_images_match_the_banks_that_ask() {
        let matcher = Matcher::default();
        let [asks, declines]: [BankName; 2] = ["ASKS", "DECLINES"].map(|it| it.parse().unwrap());
        add(&matcher, "ASKS", 1, hash(0));
        add(&matcher, "DECLINES", 2, hash(0));
        let set = |bank: &BankName, enabled, dihedral| {
            matcher.set_bank(bank, enabled, PDQ_DISTANCE_MAX, dihedral);
        };
        set(&asks, true, true);
        set(&declines, true, false);
        let turned = medium_of(&[(forms::STORED, 128), ("rotate180", 3), ("flip_x", 7)]);
        let all = "\"dihedral\"} 2 \"original\"} 1";
        let (matches, costs) = found(&matcher, &turned);
        assert_eq!(
            (matches, &*costs),
            (vec!["ASKS rotate180 3".to_owned()], all)
        );

        // The image as displayed is a form of its own, which no bank declines.
        let displayed = medium_of(&[(forms::STORED, 128), ("exif_orientation", 3)]);
        let (matches, _) = found(&matcher, &displayed);
        let both = ["ASKS exif_orientation 3", "DECLINES exif_orientation 3"];
        assert_eq!(matches, both);

        // When nobody asks, or nobody who does is there or on, it costs nothing.
        for (enabled, dihedral) in [(true, false), (false, true)] {
            set(&asks, enabled, dihedral);
            let (matches, costs) = found(&matcher, &turned);
            assert!(matches.is_empty(), "{matches:?}");
            assert_eq!(costs, "\"original\"} 1");
        }
        set(&asks, true, true);
        assert_eq!(found(&matcher, &turned).1, all);
        matcher.apply([Change::Remove {
            bank: asks,
            member: MemberId(1),
            signal_type: SignalType::Pdq,
        }]);
        assert_eq!(found(&matcher, &turned).1, "\"original\"} 1");
    }

    #[test]
    fn the_nearest_form_is_kept_with_its_hash_and_the_distance_as_stored() {
        let matcher = Matcher::default();
        add(&matcher, "B", 1, hash(0));
        matcher.set_bank(&"B".parse().unwrap(), true, 10, true);
        let one = |forms: &[(&'static str, usize)]| found(&matcher, &medium_of(forms)).0;
        assert_eq!(one(&[(forms::STORED, 4), ("flip_y", 6)]), ["B original 4"]);
        let both = [(forms::STORED, 6), ("without_bars", 4), ("frame_3", 5)];
        assert_eq!(one(&both), ["B without_bars 4 stored 6"]);
        // Known although the bank would not have taken it.
        let far = [(forms::STORED, 30), ("frame_3", 4)];
        assert_eq!(one(&far), ["B frame_3 4 stored 30"]);
        let farther = [(forms::STORED, 32), ("frame_3", 4)];
        assert_eq!(one(&farther), ["B frame_3 4"]);
        let matches = matcher.matches_of_medium("m", &medium_of(&farther));
        assert_eq!(matches[0].form_hash, Some(hash(4)));
    }

    #[test]
    fn events_looked_up_together_get_what_each_would_alone() {
        let matcher = Matcher::default();
        for member in 0..40 {
            add(&matcher, "B", member, hash(member as usize));
        }
        // More images than are looked up in one go.
        let of_event = |n: usize| -> Vec<MediaSignals> {
            let forms = [
                (forms::STORED, n % 70),
                ("flip_x", n % 9),
                ("frame_2", n % 50),
            ];
            (0..n % 4).map(|_| medium_of(&forms)).collect()
        };
        let media: Vec<Vec<MediaSignals>> = (0..400).map(of_event).collect();
        let json =
            br#"{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z"}"#;
        let (event, _) = Event::from_json(json, manara_model::Origin::Http).unwrap();
        assert!(media.iter().flatten().count() * 3 > LOOKUPS_MAX);
        let together = matcher.matches_of_events(media.iter().map(|media| (&event, &media[..])));
        assert_eq!(together.len(), media.len());
        for (matches, media) in together.iter().zip(&media) {
            assert_eq!(matches, &matcher.matches(&event, media));
            let fields: Vec<&str> = matches.iter().map(|m| &*m.field).collect();
            assert_eq!(fields.is_empty(), media.is_empty());
        }
    }

    #[test]
    fn signals_are_looked_up_by_themselves_and_in_order() {
        let matcher = Matcher::default();
        for member in 0..80 {
            add(&matcher, "MANY", member, hash(20));
        }
        add(&matcher, "B", 100, hash(0));
        let phrase = Signal::parse(SignalType::Text, "grey banner").unwrap();
        matcher.apply([Change::Add {
            bank: "B".parse().unwrap(),
            member: MemberId(101),
            signal: phrase,
        }]);
        let image = |bits, quality| {
            let hash = hash(bits);
            Asked::Image(PdqHash { hash, quality })
        };
        let asked = [
            image(3, 90),
            Asked::Text("the GREY banner".to_owned()),
            image(0, 49),
            image(200, 90),
        ];
        let show = |distance_max| -> Vec<String> {
            let answers = matcher.look_up(&asked, distance_max);
            let show = |(matches, more): &(Vec<Match>, usize)| match &matches[..] {
                [] => "nothing".to_owned(),
                [first, ..] => {
                    format!(
                        "{} {} {}+{more}",
                        first.member,
                        first.distance,
                        matches.len()
                    )
                }
            };
            answers.iter().map(show).collect()
        };
        assert_eq!(show(99), ["100 3 64+17", "101 0 1+0", "nothing", "nothing"]);
        assert_eq!(show(3), ["100 3 1+0", "101 0 1+0", "nothing", "nothing"]);
        assert_eq!(show(2), ["nothing", "101 0 1+0", "nothing", "nothing"]);
    }

    #[test]
    fn many_matches_of_one_bank_hide_none_of_another() {
        let matcher = Matcher::default();
        for member in 0..200 {
            add(&matcher, "MANY", member, hash(4));
        }
        add(&matcher, "ONE", 200, hash(20));
        add(&matcher, "ONE", 201, hash(21));
        let matches = matcher.matches_of_medium("m", &medium(0));
        assert_eq!(matches.len(), MATCHES_MAX + 1);
        let last = matches.last().unwrap();
        assert_eq!((last.bank.as_str(), last.distance), ("ONE", 20));
        let image = Asked::Image(PdqHash {
            hash: hash(0),
            quality: 90,
        });
        let (given, left_out) = &matcher.look_up(&[image], 31)[0];
        assert_eq!((given.len(), *left_out), (MATCHES_MAX + 1, 137));
    }

    /// Whoever asks after a removal was acknowledged is not told of the member, whatever else goes on.
    #[test]
    fn a_removed_member_is_in_no_later_answer() {
        use std::sync::atomic::{AtomicI64, Ordering};
        const MEMBERS: i64 = 6_000;
        let matcher = Matcher::default();
        // Hashes far apart from each other, each of ten members.
        let near = |member: i64| {
            let mut hash = Pdq([0; 32]);
            for (bytes, salt) in hash.0.chunks_exact_mut(8).zip(1_u64..) {
                let mixed =
                    (member as u64 / 10 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (salt << 17));
                bytes.copy_from_slice(&mixed.rotate_left(23).to_le_bytes());
            }
            hash
        };
        for member in 0..MEMBERS {
            add(&matcher, "B", member, near(member));
        }
        // Members up to here are removed, and their removal was acknowledged.
        let removed = AtomicI64::new(0);
        let images: Vec<Asked> = (0..200)
            .map(|n| {
                let hash = near(n * MEMBERS / 200);
                Asked::Image(PdqHash { hash, quality: 90 })
            })
            .collect();
        let mut medium = MediaSignals::unavailable(String::new());
        for member in (0..MEMBERS).step_by(500) {
            let hash = near(member);
            let form = Cow::Owned(format!("frame_{member}"));
            medium.pdq.push((PdqHash { hash, quality: 90 }, form));
        }
        let asking = || {
            let mut last = 0;
            while last < MEMBERS {
                last = removed.load(Ordering::Acquire);
                let answers = matcher.look_up(&images, 31).into_iter().flat_map(|it| it.0);
                let answers = answers.chain(matcher.matches_of_medium("m", &medium));
                for found in answers {
                    assert!(found.member.0 >= last, "{} of {last}", found.member);
                }
            }
        };
        std::thread::scope(|scope| {
            let askers = [scope.spawn(asking), scope.spawn(asking)];
            for member in 0..MEMBERS {
                matcher.apply([Change::Remove {
                    bank: "B".parse().unwrap(),
                    member: MemberId(member),
                    signal_type: SignalType::Pdq,
                }]);
                removed.store(member + 1, Ordering::Release);
                if member % 500 == 0 {
                    add(&matcher, "B", MEMBERS + member, near(member));
                    matcher.tend();
                }
            }
            for asker in askers {
                asker.join().unwrap();
            }
        });
        assert_eq!(matcher.size().0, 12);
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
        matcher.set_bank(&names[0], true, 10, true);
        matcher.set_bank(&names[1], true, PDQ_DISTANCE_MAX, true);
        let found = |bits| -> Vec<String> {
            let matches = matcher.matches_of_medium("m", &medium(bits));
            matches.iter().map(|m| m.bank.to_string()).collect()
        };
        assert_eq!(found(10), ["NARROW", "WIDE"]);
        assert_eq!(found(11), ["WIDE"]);
        assert_eq!(found(31), ["WIDE"]);
        assert!(found(32).is_empty());
        matcher.set_bank(&names[0], true, 11, true);
        assert_eq!(found(11), ["NARROW", "WIDE"]);
        matcher.set_bank(&names[1], false, PDQ_DISTANCE_MAX, true);
        assert_eq!(found(11), ["NARROW"]);
    }
}
