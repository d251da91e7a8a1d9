//! Near-identical uploads: what many have posted of late, known or not.
//!
//! Uploads are gathered around leaders: the earliest upload that is in no cluster yet leads one, and all
//! that are near enough to it and in none join it. So each cluster has an example of which can be said
//! how far the others are from it, and the work grows with the number of uploads and not with its square.

use super::preview::{Sample, sample_of};
use super::{STORED, Window};
use jiff::Timestamp;
use manara_model::{BankName, DecisionId, MemberId};
use manara_signal::index::PdqIndex;
use manara_signal::pdq::Pdq;
use manara_store::{Reader, RecentEvent, StoreError};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

/// Events shown of each cluster.
const SAMPLES_MAX: usize = 5;

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
    /// `image` or `text`.
    pub(crate) kind: &'static str,
    /// How many uploads.
    pub(crate) size: usize,
    /// By how many accounts.
    pub(crate) accounts: usize,
    /// When the first came.
    pub(crate) first: Timestamp,
    /// When the newest came.
    pub(crate) last: Timestamp,
    /// The leader's hash, of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pdq: Option<Pdq>,
    /// The leader's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// How far the farthest is from the leader.
    pub(crate) distance_max: u32,
    /// The members of banks that uploads of it match, as rules saw it when they came.
    pub(crate) known: BTreeSet<(BankName, MemberId)>,
    /// Some of them, the first first.
    pub(crate) samples: Vec<Sample>,
}

/// An upload, small enough that a million are held.
struct Upload {
    decision: DecisionId,
    received_at: Timestamp,
    /// The account's number in this run.
    account: Option<u32>,
    media: u16,
}

/// Uploads of one kind, by what they are: many are the very same.
struct Kind<S> {
    uploads: Vec<Upload>,
    /// Each distinct signal, in the order in which the first upload of it came, with its uploads.
    distinct: Vec<(S, Vec<u32>)>,
    by_signal: HashMap<S, usize>,
}

impl<S> Default for Kind<S> {
    fn default() -> Self {
        Self {
            uploads: Vec::new(),
            distinct: Vec::new(),
            by_signal: HashMap::new(),
        }
    }
}

impl<S: Clone + Eq + std::hash::Hash> Kind<S> {
    fn add(&mut self, signal: S, upload: Upload) {
        let number = self.uploads.len() as u32;
        self.uploads.push(upload);
        let distinct = &mut self.distinct;
        let at = *self.by_signal.entry(signal.clone()).or_insert_with(|| {
            distinct.push((signal, Vec::new()));
            distinct.len() - 1
        });
        if let Some((_, uploads)) = distinct.get_mut(at) {
            uploads.push(number);
        }
    }
}

/// The distinct signals gathered around leaders: of each leader, what is near it and how far, itself
/// first. `near` gives what is near a signal, by number.
fn gathered(count: usize, mut near: impl FnMut(usize) -> Vec<(usize, u32)>) -> Vec<Vec<(usize, u32)>> {
    let mut taken = vec![false; count];
    let mut clusters = Vec::new();
    // The sweep went from the newest to the oldest, so the earliest stand last.
    for leader in (0..count).rev() {
        if taken.get(leader).copied().unwrap_or(true) {
            continue;
        }
        let mut cluster = vec![(leader, 0)];
        if let Some(leader) = taken.get_mut(leader) {
            *leader = true;
        }
        for (number, distance) in near(leader) {
            if let Some(free) = taken.get_mut(number).filter(|taken| !**taken) {
                *free = true;
                cluster.push((number, distance));
            }
        }
        clusters.push(cluster);
    }
    clusters
}

/// The largest clusters of what was recently seen.
pub(crate) fn clusters(
    reader: &Reader,
    window: Window,
    options: Options,
) -> Result<Vec<Cluster>, StoreError> {
    let (mut images, mut texts) = (Kind::<Pdq>::default(), Kind::<String>::default());
    let mut accounts: HashMap<String, u32> = HashMap::new();
    reader.recent_events(window.since, None, window.events_max, &mut |seen| {
        let account = seen.event.account.as_ref().map(|account| {
            let next = accounts.len() as u32;
            *accounts.entry(account.id.clone()).or_insert(next)
        });
        take(&seen, account, &mut images, &mut texts);
        Ok(ControlFlow::Continue(()))
    })?;
    let index = PdqIndex::from_entries(
        images.distinct.iter().zip(0..).map(|((hash, _), number)| (number, *hash)).collect(),
    );
    let of_images = gathered(images.distinct.len(), |leader| {
        let Some((hash, _)) = images.distinct.get(leader) else {
            return Vec::new();
        };
        let mut hits = Vec::new();
        index.query(hash, options.distance, &mut hits);
        hits.iter().map(|hit| (hit.key as usize, hit.distance)).collect()
    });
    let mut found: Vec<Found<'_>> = Vec::new();
    found.extend(of_images.into_iter().map(|it| Found::of(&images.distinct, &images.uploads, it)));
    let of_images = found.len();
    let near_texts = texts_near(&texts.distinct, options.text_distance);
    found.extend(near_texts.into_iter().map(|it| Found::of(&texts.distinct, &texts.uploads, it)));
    let _ = of_images;
    found.retain(|it| it.uploads.len() >= options.size_min.max(2));
    found.sort_by_key(|it| Reverse(it.uploads.len()));
    found.truncate(options.limit);
    found.into_iter().map(|it| it.told(reader)).collect()
}
