//! What was found of one event, or of one question: the nearest of each member in each field, with
//! what negative banks say about it.

use super::bank::{Banks, Near, Occasion};
use super::{Indexes, MATCHES_MAX, bank_and_member};
use crate::forms;
use manara_model::{BankName, Match, MemberId, Span, Withheld};
use manara_signal::index::PdqHit;
use manara_signal::pdq::PdqHash;
use manara_signal::text::{Level, PhraseHit, normalise};
use manara_signal::url::{CanonicalUrl, find_links};
use manara_signal::{Signal, SignalType};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// Matches as they are found.
#[derive(Debug)]
pub(super) struct Found {
    occasion: Occasion,
    matches: Vec<(u64, Match)>,
    /// Where the match of a member in a field, and at a place of its text, is.
    places: HashMap<(u64, String, usize), usize>,
    /// How many were too many to be taken.
    more: usize,
}

impl Found {
    pub(super) fn new(occasion: Occasion) -> Self {
        Self {
            occasion,
            matches: Vec::new(),
            places: HashMap::new(),
            more: 0,
        }
    }

    pub(super) fn text(&mut self, indexes: &Indexes, field: &str, text: &str) {
        if !indexes.phrases.is_empty() {
            let mut hits = Vec::new();
            indexes.phrases.find(&normalise(text), &mut hits);
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
        let span = Span {
            start: hit.original.start,
            end: hit.original.end,
        };
        let near = plain(hit.key, SignalType::Text, 0);
        if let Some(found) = self.nearest(indexes, near, field, Some(span)) {
            found.how = match hit.level {
                Level::Strict => None,
                Level::Folded => Some(format!("folded: {}", hit.evasions)),
            };
        }
    }

    pub(super) fn link(&mut self, indexes: &Indexes, link: &str, field: impl FnOnce() -> String) {
        // A link that is not a URL has no canonical form, and so nothing to compare.
        if let Ok(url) = CanonicalUrl::parse(link) {
            self.exact(indexes, &Signal::Url(url), field, None);
        }
    }

    pub(super) fn exact(
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
            self.nearest(indexes, plain(key, signal_type, 0), &field, span);
        }
    }

    /// Takes what was found of one form, nearest first; `stored` has the distances of the image as
    /// stored. Of a thousand members that look alike no more are taken than will be given.
    pub(super) fn image(
        &mut self,
        indexes: &Indexes,
        field: &str,
        image: &PdqHash,
        form: &str,
        hits: &[PdqHit],
        stored: &HashMap<u64, u32>,
    ) {
        let near = |hit: &PdqHit| Near {
            key: hit.key,
            signal_type: SignalType::Pdq,
            distance: hit.distance,
            quality: Some(image.quality),
            form,
        };
        let occasion = self.occasion;
        let taken = hits.iter().filter_map(|hit| {
            let (.., withheld) = indexes.banks.takes(near(hit), occasion)?;
            Some((hit, withheld.is_some()))
        });
        let mut firsts = HashSet::new();
        for (number, (hit, is_withheld)) in taken.enumerate() {
            let is_first = firsts.insert((bank_and_member(hit.key).0, is_withheld));
            if number >= MATCHES_MAX && !is_first {
                self.more += 1;
                continue;
            }
            if let Some(found) = self.nearest(indexes, near(hit), field, None) {
                let is_stored = form == forms::STORED;
                found.quality = Some(image.quality);
                found.form = (!is_stored).then(|| form.to_owned());
                found.form_hash = (!is_stored).then_some(image.hash);
                found.distance_stored = stored.get(&hit.key).copied().filter(|_| !is_stored);
            }
        }
    }

    /// The match of this member in this field, to be filled in, if it is the nearest so far: a member
    /// may be reached in several forms of one image. `None`, too, if the bank does not take the match.
    fn nearest(
        &mut self,
        indexes: &Indexes,
        near: Near<'_>,
        field: &str,
        span: Option<Span>,
    ) -> Option<&mut Match> {
        let (bank, member, withheld) = indexes.banks.takes(near, self.occasion)?;
        let place = (
            near.key,
            field.to_owned(),
            span.map_or(0, |span| span.start),
        );
        match self.places.entry(place) {
            Entry::Occupied(place) => {
                let (_, known) = self.matches.get_mut(*place.get())?;
                if known.distance <= near.distance {
                    return None;
                }
                known.distance = near.distance;
                Some(known)
            }
            Entry::Vacant(place) => {
                place.insert(self.matches.len());
                let found = match_of(near, &bank.name, member, field, span, withheld);
                self.matches.push((near.key, found));
                self.matches.last_mut().map(|(_, found)| found)
            }
        }
    }

    /// The matches that count, nearest first, then those that are withheld, and how many there are
    /// besides. A member has one in each field.
    pub(super) fn finish(mut self, banks: &Banks) -> (Vec<Match>, usize) {
        veto(&mut self.matches, banks);
        self.matches.sort_by(|(_, a), (_, b)| {
            let order = |m: &Match| (m.withheld.is_some(), m.distance);
            let place = |m: &Match| (m.member, m.span.map(|span| span.start));
            order(a)
                .cmp(&order(b))
                .then_with(|| (&a.field, &a.bank, place(a)).cmp(&(&b.field, &b.bank, place(b))))
        });
        let mut members = HashSet::new();
        self.matches
            .retain(|(key, m)| members.insert((*key, m.field.clone())));
        let all = self.matches.len();
        let (mut number, mut firsts) = (0, HashSet::new());
        self.matches.retain(|(_, m)| {
            number += 1;
            let is_first = firsts.insert((m.bank.clone(), m.field.clone(), m.withheld.is_some()));
            is_first || number <= MATCHES_MAX
        });
        let more = self.more + all - self.matches.len();
        (self.matches.into_iter().map(|(_, m)| m).collect(), more)
    }
}

/// A find that has neither quality nor form.
fn plain(key: u64, signal_type: SignalType, distance: u32) -> Near<'static> {
    Near {
        key,
        signal_type,
        distance,
        quality: None,
        form: forms::STORED,
    }
}

fn match_of(
    near: Near<'_>,
    bank: &BankName,
    member: MemberId,
    field: &str,
    span: Option<Span>,
    withheld: Option<Withheld>,
) -> Match {
    Match {
        signal_type: near.signal_type,
        bank: bank.clone(),
        member,
        distance: near.distance,
        field: field.to_owned(),
        quality: None,
        span,
        how: None,
        form: None,
        form_hash: None,
        distance_stored: None,
        withheld,
    }
}

/// Withholds what a negative bank forbids.
fn veto(matches: &mut [(u64, Match)], banks: &Banks) {
    let negatives: Vec<(u64, Match)> = matches
        .iter()
        .filter(|(key, m)| m.withheld.is_none() && banks.is_negative(*key))
        .cloned()
        .collect();
    if negatives.is_empty() {
        return;
    }
    for (key, found) in matches.iter_mut().filter(|(_, m)| m.withheld.is_none()) {
        let vetoing = negatives
            .iter()
            .filter(|(negative, by)| banks.vetoes(*negative, *key) && covers(by, found))
            .min_by_key(|(_, by)| (reach(by), by.member));
        if let Some((_, by)) = vetoing {
            found.withheld = Some(Withheld::Vetoed {
                bank: by.bank.clone(),
                member: by.member,
                distance: by.distance,
            });
        }
    }
}

/// Whether a find of a negative bank says that the other is a mistake: it is in the same field, over
/// the same part of it, and at least as near.
fn covers(negative: &Match, found: &Match) -> bool {
    let over = match (negative.span, found.span) {
        (Some(by), Some(part)) => by.start <= part.start && part.end <= by.end,
        // A part of a text says nothing about all of it.
        (Some(_), None) => false,
        (None, _) => true,
    };
    negative.field == found.field && over && reach(negative) <= reach(found)
}

/// How far a match is, in thousandths of the widest distance of its type.
fn reach(found: &Match) -> u32 {
    let widest = found.signal_type.widest_distance();
    (found.distance * 1000).checked_div(widest).unwrap_or(0)
}
