//! All banks in memory, and the matching of one event against them.
//!
//! One index per signal type spans every bank; an entry's key says which bank and member it is, so
//! a disabled bank costs a look at one flag and an event costs one lookup per signal. Images go into
//! their index together: all forms of all media of the events at hand are one stream of lookups.

mod bank;
pub(crate) mod explain;
mod found;
mod indexes;

pub(crate) use bank::Occasion;

#[cfg(test)]
use crate::clock;
use crate::forms;
use bank::BankEntry;
use found::Found;
use indexes::{Blank, Indexes};
use jiff::Timestamp;
use manara_model::{
    BankName, BankSettings, Decoding, Event, Match, MediaFacts, Medium, MemberId, MemberSettings,
};
use manara_signal::index::{PdqHit, PdqIndex};
use manara_signal::pdq::{Pdq, PdqHash};
use manara_signal::{Signal, SignalType};
use manara_store::RecentEvent;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Below this PDQ quality an image has too little in it to be told apart from others: no bank takes
/// its hash unless it says otherwise.
pub(crate) const PDQ_QUALITY_MIN: u8 = BankSettings::QUALITY_MIN;
/// The widest PDQ distance at which matches are kept for banks and rules to narrow.
pub(crate) const PDQ_DISTANCE_MAX: u32 = SignalType::Pdq.widest_distance();
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
                forms: Vec::new(),
                hashes: BTreeMap::new(),
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
                forms: Vec::new(),
                hashes: BTreeMap::new(),
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
        settings: MemberSettings,
    },
    /// A member matches otherwise than before.
    Set {
        bank: BankName,
        member: MemberId,
        signal: Signal,
        settings: MemberSettings,
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

    /// An empty one that remembers the names in which nothing was found, until a bank is changed: for
    /// very many events, most of which are of accounts that were seen before.
    pub(crate) fn for_many_events() -> Self {
        Self(RwLock::new(Indexes {
            blank: Some(Blank::default()),
            ..Indexes::default()
        }))
    }

    /// Makes the bank known, switches it on or off, and says how it matches.
    pub(crate) fn set_bank(&self, name: &BankName, enabled: bool, settings: BankSettings) {
        let mut indexes = self.write();
        indexes.forget_blank();
        indexes.banks.set(name, enabled, settings);
    }

    /// Applies changes in order; each is visible to the next lookup.
    pub(crate) fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let mut indexes = self.write();
        indexes.forget_blank();
        for change in changes {
            indexes.apply(change);
        }
    }

    /// Takes over an index that was kept, whose keys count the banks in this order, each with the
    /// number of its hashes. For an empty matcher.
    pub(crate) fn adopt(&self, banks: Vec<(BankName, u64)>, index: PdqIndex) {
        let mut indexes = self.write();
        for (name, hashes) in banks {
            let bank = indexes.banks.place(&name);
            indexes.banks.count(bank, SignalType::Pdq, hashes as i64);
        }
        indexes.pdq = index;
    }

    /// The PDQ index as it is now, and the banks that its keys count, each with its number of hashes.
    pub(crate) fn view(&self) -> (Vec<(BankName, u64)>, PdqIndex) {
        let indexes = self.read();
        let hashes = |b: &BankEntry| (b.name.clone(), b.members_of(SignalType::Pdq));
        let banks = indexes.banks.iter().map(hashes);
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
                let bank = indexes.banks.place(&bank);
                indexes.banks.count(bank, SignalType::Pdq, 1);
                (key_of(bank, member), hash)
            })
            .collect();
        indexes.pdq = PdqIndex::from_entries(keyed);
    }

    /// Number of members over all banks, and of banks.
    pub(crate) fn size(&self) -> (u64, usize) {
        let indexes = self.read();
        (
            indexes.banks.iter().map(BankEntry::members).sum(),
            indexes.banks.iter().count(),
        )
    }

    /// The lowest quality at which an image could match a member of any bank.
    pub(crate) fn quality_floor(&self) -> u8 {
        self.read().banks.quality_floor()
    }

    /// Whether an event without media cannot match anything.
    pub(crate) fn asks_for_media_only(&self) -> bool {
        self.read().ask_for_media_only()
    }

    /// Whether a bank of this name is known.
    pub(crate) fn knows(&self, name: &BankName) -> bool {
        self.read().banks.iter().any(|b| b.name == *name)
    }

    /// All matches of the event's texts, links and media.
    #[cfg(test)]
    pub(crate) fn matches(&self, event: &Event, media: &[MediaSignals]) -> Vec<Match> {
        self.matches_of_events([(event, media, clock::now())])
            .pop()
            .unwrap_or_default()
    }

    /// All matches of the texts, links and media of each event, received when it says: those that
    /// count first, nearest first. The images of all events are looked up together.
    pub(crate) fn matches_of_events<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a Event, &'a [MediaSignals], Timestamp)>,
    ) -> Vec<Vec<Match>> {
        let (mut found, mut media) = (Vec::new(), Vec::new());
        for (event, signals, received_at) in events {
            let mut of_event = Found::new(Occasion::of_event(event, received_at));
            let indexes = self.read();
            for (field, text) in event.texts() {
                of_event.field(&indexes, field, text);
            }
            let links = event.content.iter().flat_map(|c| &c.links);
            for (i, link) in links.enumerate() {
                of_event.link(&indexes, link, &format!("content.links[{i}]"));
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
        let indexes = self.read();
        let finished = found.into_iter().map(|found| found.finish(&indexes.banks));
        finished.map(|(matches, _)| matches).collect()
    }

    /// All matches of an event that was kept, as if it came now.
    pub(crate) fn matches_of_recent(&self, seen: &RecentEvent) -> Vec<Match> {
        let media = crate::recent::signals_of(seen);
        self.matches_of_events([(&seen.event, &media[..], seen.received_at)])
            .pop()
            .unwrap_or_default()
    }

    /// Whether a bank is there only to forbid matches of others.
    pub(crate) fn is_negative(&self, name: &BankName) -> bool {
        let indexes = self.read();
        let bank = indexes.banks.iter().find(|b| b.name == *name);
        bank.is_some_and(|b| b.settings.is_negative())
    }

    /// Takes a member out of effect because it matches too much, if its bank lets it and nobody has
    /// vouched for it. Says whether it did.
    pub(crate) fn quarantine(&self, bank: &BankName, member: MemberId) -> bool {
        self.write().banks.quarantine(bank, member)
    }

    /// All matches of a text on its own, as if it were in `field`.
    pub(crate) fn matches_of_text(&self, field: &str, text: &str) -> Vec<Match> {
        let mut found = Found::new(Occasion::now());
        let indexes = self.read();
        found.field(&indexes, field, text);
        found.finish(&indexes.banks).0
    }

    /// All matches of a medium on its own, as if it were in `field`.
    pub(crate) fn matches_of_medium(&self, field: &str, signals: &MediaSignals) -> Vec<Match> {
        let mut found = [Found::new(Occasion::now())];
        let medium = Placed {
            of: 0,
            field: Cow::Borrowed(field),
            signals,
        };
        self.media(&[medium], &mut found);
        let [found] = found;
        found.finish(&self.read().banks).0
    }

    /// What the banks hold of each of these signals, images no further than `distance_max`: the
    /// matches, nearest first, and how many more there are than are given.
    pub(crate) fn look_up(&self, signals: &[Asked], distance_max: u32) -> Vec<(Vec<Match>, usize)> {
        const FIELD: &str = "signal";
        let mut found: Vec<Found> = Vec::with_capacity(signals.len());
        let mut images: Vec<(usize, PdqHash)> = Vec::new();
        let (occasion, floor) = (Occasion::now(), self.quality_floor());
        for (number, signal) in signals.iter().enumerate() {
            let mut of_signal = Found::new(occasion);
            match signal {
                Asked::Text(text) => of_signal.field(&self.read(), FIELD, text),
                Asked::Exact(signal) => of_signal.signal(&self.read(), signal, FIELD, None),
                Asked::Image(hash) if hash.quality >= floor => {
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
        let indexes = self.read();
        let finished = found.into_iter().map(|found| found.finish(&indexes.banks));
        finished.collect()
    }

    /// Looks up everything that can be compared in these media.
    fn media(&self, media: &[Placed<'_>], found: &mut [Found]) {
        for medium in media {
            if let Some(found) = found.get_mut(medium.of) {
                let indexes = self.read();
                for signal in &medium.signals.exact {
                    found.signal(&indexes, signal, &medium.field, None);
                }
            }
        }
        let floor = self.quality_floor();
        let images = media.iter().flat_map(|medium| medium.images(floor));
        let images: Vec<Image<'_>> = images.collect();
        // How far each member is from the image as stored, of the medium whose forms are looked at.
        let mut stored: (&str, usize, HashMap<u64, u32>) = Default::default();
        let mut counts: HashMap<&'static str, usize> = HashMap::new();
        for images in images.chunks(LOOKUPS_MAX) {
            let indexes = self.read();
            let turned = indexes.banks.want_dihedral();
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
    fn images(&'a self, floor: u8) -> impl Iterator<Item = Image<'a>> {
        let clear = move |(hash, _): &&(PdqHash, Cow<'_, str>)| hash.quality >= floor;
        let images = self.signals.pdq.iter().filter(clear);
        images.map(|(hash, form)| Image {
            medium: self,
            hash: *hash,
            form,
        })
    }
}

#[cfg(test)]
mod tests;
