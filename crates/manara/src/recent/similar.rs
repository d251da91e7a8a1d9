//! Near-identical uploads: what many have posted of late, known or not.
//!
//! Uploads are gathered around leaders: the earliest upload that is in no cluster yet leads one, and all
//! that are near enough to it and in none join it. So each cluster has an example of which can be said
//! how far the others are from it, and the work grows with the number of uploads and not with its square.

use super::preview::{Sample, sample};
use super::{STORED, Window, signals_of, sweep, threads};
use crate::matcher::{Asked, Matcher, PDQ_DISTANCE_MAX};
use jiff::Timestamp;
use manara_model::{BankName, BankSettings, DecisionId, Match, MemberId};
use manara_signal::index::PdqIndex;
use manara_signal::near::{RawText, ShingleIndex, Shingles};
use manara_signal::pdq::{Pdq, PdqHash};
use manara_signal::text::normalise;
use manara_signal::{Signal, SignalType};
use manara_store::{Reader, RecentRow, Store, StoreError};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Events shown of each cluster.
const SAMPLES_MAX: usize = 5;
/// Fewest letters of a text that is compared: shorter ones are alike by chance.
const LETTERS_MIN: u32 = 20;
/// Decisions of a cluster that are asked for what they knew.
const KNOWN_OF_MAX: usize = 200;

/// What counts as near, and which clusters are given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// In how many of 256 bits images may differ from their leader.
    pub(crate) distance: u32,
    /// How many percent of their shingles texts may not share with their leader.
    pub(crate) text_distance: u32,
    /// Fewest uploads of a cluster.
    pub(crate) size_min: usize,
    /// Most clusters, the largest first.
    pub(crate) limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            distance: 16,
            text_distance: 30,
            size_min: 3,
            limit: 50,
        }
    }
}

/// Uploads that are nearly the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Cluster {
    /// `pdq` for images, `raw_text` for texts.
    pub(crate) signal_type: SignalType,
    /// The leader's signal, which can be put into a bank.
    pub(crate) signal: String,
    /// How many uploads.
    pub(crate) size: usize,
    /// By how many accounts.
    pub(crate) accounts: usize,
    /// When the first came.
    pub(crate) first: Timestamp,
    /// When the newest came.
    pub(crate) last: Timestamp,
    /// How far the farthest is from the leader: bits, or percent of shingles.
    pub(crate) distance_max: u32,
    /// The members of banks that rules saw when they came, and those that came since.
    pub(crate) known: BTreeSet<(BankName, MemberId)>,
    /// Some of them, the newest first.
    pub(crate) samples: Vec<Sample>,
}

/// Adds the members that know a cluster's example by now: when the uploads came they may have been in no
/// bank yet. Members without effect count, too.
pub(crate) fn know_since(clusters: &mut [Cluster], matcher: &Matcher) {
    let asked = clusters
        .iter()
        .map(|cluster| match Pdq::from_hex(&cluster.signal) {
            Ok(hash) if cluster.signal_type == SignalType::Pdq => {
                let quality = 100;
                Asked::Image(PdqHash { hash, quality })
            }
            _ => Asked::Text(cluster.signal.clone()),
        });
    let asked: Vec<Asked> = asked.collect();
    let found = matcher.look_up(&asked, PDQ_DISTANCE_MAX);
    for (cluster, (matches, _)) in clusters.iter_mut().zip(found) {
        let members = matches.into_iter().map(|m| (m.bank, m.member));
        cluster.known.extend(members);
    }
}

/// An upload, small enough that a million are held.
#[derive(Debug, Clone, Copy)]
struct Upload {
    decision: DecisionId,
    received_at: Timestamp,
    /// The account's number in this run.
    account: Option<u32>,
    /// Which medium of the event.
    medium: Option<usize>,
}

/// Uploads of one kind by what they are, since many are the very same. The newest come first.
struct Kind<S> {
    distinct: Vec<(S, Vec<Upload>)>,
    /// By what makes two of them the same.
    by_key: HashMap<Key, usize>,
}

/// The beginning of a SHA-256, so that a million texts are not kept twice.
type Key = [u8; 16];

fn key_of(bytes: &[u8]) -> Key {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// A leader, how far the farthest upload is from it, and the uploads.
type Gathered<'a, S> = (&'a S, u32, Vec<Upload>);

impl<S: Sync> Kind<S> {
    fn new() -> Self {
        Self {
            distinct: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    fn add(&mut self, key: Key, signal: S, upload: Upload) {
        let distinct = &mut self.distinct;
        let at = *self.by_key.entry(key).or_insert_with(|| {
            distinct.push((signal, Vec::new()));
            distinct.len() - 1
        });
        if let Some((_, uploads)) = distinct.get_mut(at) {
            uploads.push(upload);
        }
    }

    /// The clusters. `near` gives the numbers of what is near to a signal.
    fn gathered(&self, near: impl Fn(&S) -> Vec<(usize, u32)> + Sync) -> Vec<Gathered<'_, S>> {
        let mut taken = vec![false; self.distinct.len()];
        let (mut clusters, mut next) = (Vec::new(), self.distinct.len());
        while next > 0 {
            let free = (0..next).rev().filter(|n| taken.get(*n) == Some(&false));
            let numbers: Vec<usize> = free.take(TOGETHER).collect();
            let looked_up = in_parallel(&numbers, |number| {
                let signal = self.distinct.get(number).map(|(signal, _)| signal);
                signal.map(&near).unwrap_or_default()
            });
            next = 0;
            for (number, near) in numbers.into_iter().zip(looked_up) {
                next = number;
                let Some(near) = near else {
                    next += 1;
                    break;
                };
                if taken.get(number) == Some(&false) {
                    clusters.extend(self.cluster(number, near, &mut taken));
                }
            }
        }
        clusters
    }

    /// What is near to a leader and in no cluster yet.
    fn cluster(
        &self,
        leader: usize,
        near: Vec<(usize, u32)>,
        taken: &mut [bool],
    ) -> Option<Gathered<'_, S>> {
        let (signal, own) = self.distinct.get(leader)?;
        *taken.get_mut(leader)? = true;
        let (mut uploads, mut farthest) = (own.clone(), 0);
        for (number, distance) in near {
            let free = taken.get_mut(number).filter(|taken| !**taken);
            if let (Some(free), Some((_, more))) = (free, self.distinct.get(number)) {
                *free = true;
                uploads.extend(more);
                farthest = farthest.max(distance);
            }
        }
        Some((signal, farthest, uploads))
    }
}

/// So many are looked up beside each other, although some will turn out to be in a cluster.
const TOGETHER: usize = 2048;
/// So many finds are enough for now: of a hundred thousand that are all alike each would find all.
const FINDS_MAX: usize = 1 << 20;

/// Looks each of these up, several at a time; `None` for those that were left for later, never the first.
fn in_parallel(
    numbers: &[usize],
    look_up: impl Fn(usize) -> Vec<(usize, u32)> + Sync,
) -> Vec<Option<Vec<(usize, u32)>>> {
    let mut all = vec![None; numbers.len()];
    let each = numbers.len().div_ceil(threads()).max(1);
    let finds = &AtomicUsize::new(0);
    let look_up = &look_up;
    thread::scope(|scope| {
        let shares = all.chunks_mut(each).zip(numbers.chunks(each));
        for (share, (places, numbers)) in shares.enumerate() {
            scope.spawn(move || {
                for (at, (place, number)) in places.iter_mut().zip(numbers).enumerate() {
                    if (share, at) != (0, 0) && finds.load(Ordering::Relaxed) > FINDS_MAX {
                        return;
                    }
                    let found = look_up(*number);
                    finds.fetch_add(found.len(), Ordering::Relaxed);
                    *place = Some(found);
                }
            });
        }
    });
    all
}

/// The largest clusters of what was recently seen.
pub(crate) fn clusters(
    store: &Store,
    window: Window,
    options: Options,
) -> Result<Vec<Cluster>, StoreError> {
    let (mut images, mut texts) = (Kind::<Pdq>::new(), Kind::<Text>::new());
    let mut accounts: HashMap<String, u32> = HashMap::new();
    let look = |rows: &[RecentRow]| rows.iter().map(uploaded).collect();
    sweep(store, window, look, |seen: Vec<Uploaded>| {
        for seen in seen {
            let account = seen.account.map(|account| {
                let next = accounts.len() as u32;
                *accounts.entry(account).or_insert(next)
            });
            let upload = |medium| Upload {
                decision: seen.decision,
                received_at: seen.received_at,
                account,
                medium,
            };
            for (number, image) in seen.images {
                images.add(key_of(image.as_bytes()), image, upload(Some(number)));
            }
            if let Some((key, text)) = seen.text {
                texts.add(key, text, upload(None));
            }
        }
    })?;
    let size_min = options.size_min.max(2);
    let mut found: Vec<(Signal, u32, Vec<Upload>)> = Vec::new();
    for (leader, farthest, uploads) in images.gathered(images_near(&images, options.distance)) {
        if uploads.len() >= size_min {
            found.push((Signal::Pdq(*leader), farthest, uploads));
        }
    }
    for (leader, farthest, uploads) in texts.gathered(texts_near(&texts, options.text_distance)) {
        if uploads.len() >= size_min
            && let Ok(leader) = RawText::of_content(&leader.original)
        {
            found.push((Signal::RawText(leader), farthest, uploads));
        }
    }
    found.sort_by_key(|(_, _, uploads)| Reverse(uploads.len()));
    found.truncate(options.limit);
    store.read(|reader| {
        let told = found
            .into_iter()
            .map(|(leader, farthest, uploads)| told(reader, &leader, farthest, uploads));
        told.collect()
    })
}

/// What an event uploaded.
struct Uploaded {
    decision: DecisionId,
    received_at: Timestamp,
    account: Option<String>,
    /// Each with the number of its medium.
    images: Vec<(usize, Pdq)>,
    text: Option<(Key, Text)>,
}

/// A text; its key is of its letters, so that those that differ in nothing else are one.
struct Text {
    original: Box<str>,
    folded: Box<str>,
}

fn uploaded(row: &RecentRow) -> Result<Uploaded, StoreError> {
    let seen = row.event()?;
    let media = signals_of(&seen).into_iter().enumerate();
    let images = media.filter_map(|(number, media)| {
        let stored = media.pdq.iter().find(|(_, form)| form == STORED);
        let clear = stored.filter(|(it, _)| it.quality >= BankSettings::QUALITY_MIN);
        clear.map(|(image, _)| (number, image.hash))
    });
    let content = seen.event.content.as_ref();
    let text = content.and_then(|content| content.text.as_deref());
    let raw = text.and_then(|text| RawText::of_content(text).ok());
    let long = raw.filter(|text| text.letters() >= LETTERS_MIN);
    Ok(Uploaded {
        decision: seen.decision,
        received_at: seen.received_at,
        images: images.collect(),
        text: long.map(|text| (key_of(text.normalised().as_bytes()), text_of(&text))),
        account: seen.event.account.map(|account| account.id),
    })
}

fn text_of(text: &RawText) -> Text {
    Text {
        original: text.original().into(),
        folded: normalise(text.original()).folded().into(),
    }
}

fn images_near(images: &Kind<Pdq>, distance: u32) -> impl Fn(&Pdq) -> Vec<(usize, u32)> + use<> {
    let hashes = images.distinct.iter().zip(0..);
    let index = PdqIndex::from_entries(hashes.map(|((hash, _), number)| (number, *hash)));
    move |leader| {
        let mut hits = Vec::new();
        index.query(leader, distance, &mut hits);
        let hits = hits.iter().map(|hit| (hit.key as usize, hit.distance));
        hits.collect()
    }
}

fn texts_near(texts: &Kind<Text>, distance: u32) -> impl Fn(&Text) -> Vec<(usize, u32)> + use<> {
    let mut index = ShingleIndex::new();
    for ((text, _), number) in texts.distinct.iter().zip(0..) {
        if let Ok(shingles) = Shingles::of_folded(&text.folded) {
            index.insert(number, &shingles);
        }
    }
    move |leader| {
        let mut hits = Vec::new();
        if let Ok(shingles) = Shingles::of_folded(&leader.folded) {
            index.query(&shingles, distance, &mut hits);
        }
        let hits = hits.iter().map(|hit| (hit.key as usize, hit.distance));
        hits.collect()
    }
}

fn told(
    reader: &Reader,
    leader: &Signal,
    distance_max: u32,
    mut uploads: Vec<Upload>,
) -> Result<Cluster, StoreError> {
    uploads.sort_by_key(|upload| Reverse(upload.received_at));
    let accounts: HashSet<u32> = uploads.iter().filter_map(|upload| upload.account).collect();
    let times = || uploads.iter().map(|upload| upload.received_at);
    let (mut known, mut samples) = (BTreeSet::new(), Vec::new());
    for upload in uploads.iter().take(KNOWN_OF_MAX) {
        let Some(stored) = reader.event_of(upload.decision)? else {
            continue;
        };
        let field = upload.medium.map_or_else(
            || "content.text".to_owned(),
            |n| format!("content.media[{n}]"),
        );
        let because = stored.decision.verdicts.iter().flat_map(|v| &v.because);
        let here = because.filter(|m: &&Match| m.field == field);
        known.extend(here.map(|m| (m.bank.clone(), m.member)));
        if samples.len() < SAMPLES_MAX {
            let seen = (&stored.event, upload.decision, upload.received_at);
            samples.push(sample(seen, &field, None, 0));
        }
    }
    Ok(Cluster {
        signal_type: leader.signal_type(),
        signal: leader.encode(),
        size: uploads.len(),
        accounts: accounts.len(),
        first: times().min().unwrap_or_default(),
        last: times().max().unwrap_or_default(),
        distance_max,
        known,
        samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::Change;
    use manara_model::MemberSettings;

    #[track_caller]
    fn check(signal_type: SignalType, signal: &str, expect: &[i64]) {
        let matcher = Matcher::default();
        let bank: BankName = "NOTICES".parse().unwrap();
        matcher.set_bank(&bank, true, BankSettings::default());
        let members = [
            (1, SignalType::Pdq, "f".repeat(64)),
            (2, SignalType::Text, "midsummer concert".to_owned()),
        ];
        matcher.apply(members.map(|(id, signal_type, signal)| Change::Add {
            bank: bank.clone(),
            member: MemberId(id),
            signal: Signal::parse(signal_type, &signal).unwrap(),
            settings: MemberSettings::default(),
        }));
        let at = Timestamp::UNIX_EPOCH;
        let mut clusters = [Cluster {
            signal_type,
            signal: signal.to_owned(),
            size: 3,
            accounts: 3,
            first: at,
            last: at,
            distance_max: 0,
            known: BTreeSet::new(),
            samples: Vec::new(),
        }];
        know_since(&mut clusters, &matcher);
        let [cluster] = clusters;
        let known: Vec<i64> = cluster.known.iter().map(|(_, id)| id.0).collect();
        assert_eq!(known, expect);
    }

    #[test]
    fn what_came_into_a_bank_since_is_known() {
        let near = format!("{}0", "f".repeat(63));
        check(SignalType::Pdq, &near, &[1]);
        check(SignalType::Pdq, &"0".repeat(64), &[]);
        let notice = "Free tickets to the midsummer concert at the old bridge!";
        check(SignalType::RawText, notice, &[2]);
        check(SignalType::RawText, "Free tickets to the fair!", &[]);
    }
}
