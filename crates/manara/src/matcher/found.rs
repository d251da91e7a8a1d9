//! What was found of one event, or of one question: the nearest of each member in each field, with
//! what negative banks say about it.

use super::bank::{Banks, Near, Occasion};
use super::indexes::Indexes;
use super::{MATCHES_MAX, bank_and_member};
use crate::forms;
use manara_model::{BankName, Match, MemberId, Span, Withheld};
use manara_signal::index::{MemberKind, PdqHit};
use manara_signal::name::as_text;
use manara_signal::near::{RawText, Shingles, Tlsh};
use manara_signal::pdq::PdqHash;
use manara_signal::text::{Evasions, Normalised, PhraseHit, normalise};
use manara_signal::url::{CanonicalUrl, Destination, find_destinations};
use manara_signal::{Invite, Name, Signal, SignalType, Wallet};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Matches as they are found.
#[derive(Debug)]
pub(super) struct Found {
    occasion: Occasion,
    matches: Vec<(u64, Match)>,
    /// Where the match of a member in a field, and at a place of its text, is.
    places: HashMap<(u64, String, usize), usize>,
    /// How many were too many to be taken.
    more: usize,
    /// How often anything was found at all, be it that no bank takes it.
    finds: usize,
}

impl Found {
    pub(super) fn new(occasion: Occasion) -> Self {
        Self {
            occasion,
            matches: Vec::new(),
            places: HashMap::new(),
            more: 0,
            finds: 0,
        }
    }

    /// Looks a text of an event up in every way that its field calls for.
    pub(super) fn field(&mut self, indexes: &Indexes, field: &str, text: &str) {
        let kind = Kind::of(field);
        let Some(blank) = indexes.blank.as_ref().filter(|_| kind == Kind::Name) else {
            return self.look_up(indexes, field, kind, text);
        };
        if blank.has(text) {
            return;
        }
        let finds = self.finds;
        self.look_up(indexes, field, kind, text);
        if self.finds == finds {
            blank.add(text);
        }
    }

    fn look_up(&mut self, indexes: &Indexes, field: &str, kind: Kind, text: &str) {
        let wants_phrases = !indexes.phrases.is_empty();
        let wants_pieces = kind == Kind::Text && !indexes.similar_texts.is_empty();
        if wants_phrases || wants_pieces {
            let normalised = normalise(text);
            if wants_phrases {
                self.phrases(indexes, field, &normalised);
            }
            if wants_pieces {
                self.similar_text(indexes, field, normalised.folded());
            }
        }
        if !indexes.destinations.is_empty() || !indexes.names.is_empty() {
            self.destinations(indexes, field, text);
        }
        match kind {
            Kind::Text => self.whole_text(indexes, field, text),
            Kind::Name => self.name(indexes, field, text),
        }
    }

    fn phrases(&mut self, indexes: &Indexes, field: &str, text: &Normalised) {
        let mut hits = Vec::new();
        indexes.phrases.find(text, &mut hits);
        for hit in &hits {
            self.phrase(indexes, field, hit);
        }
    }

    fn phrase(&mut self, indexes: &Indexes, field: &str, hit: &PhraseHit) {
        let near = plain(hit.key, SignalType::Text, 0);
        if let Some(found) = self.nearest(indexes, near, field, Some(span_of(&hit.original))) {
            found.how = Some(how_read(hit));
        }
    }

    /// A text as a whole: nearly the same letters, or a hash that others send.
    fn whole_text(&mut self, indexes: &Indexes, field: &str, text: &str) {
        if let Some(reach) = indexes.banks.reach(SignalType::RawText)
            && let Ok(raw) = RawText::of_content(text)
        {
            let mut hits = Vec::new();
            indexes.raw_texts.query(&raw, reach, &mut hits);
            for hit in hits {
                let near = plain(hit.key, SignalType::RawText, hit.distance);
                if let Some(found) = self.nearest(indexes, near, field, None) {
                    found.how = Some(format!("{} of {} letters differ", hit.edits, hit.length));
                }
            }
        }
        if !indexes.tlsh.is_empty()
            && let Ok(hash) = Tlsh::of(text)
        {
            self.tlsh(indexes, &hash, field);
        }
    }

    fn similar_text(&mut self, indexes: &Indexes, field: &str, folded: &str) {
        if let Some(reach) = indexes.banks.reach(SignalType::SimilarText)
            && let Ok(shingles) = Shingles::of_folded(folded)
        {
            let mut hits = Vec::new();
            indexes.similar_texts.query(&shingles, reach, &mut hits);
            for hit in hits {
                let near = plain(hit.key, SignalType::SimilarText, hit.distance);
                if let Some(found) = self.nearest(indexes, near, field, None) {
                    let (common, total) = (hit.common, hit.total);
                    found.how = Some(format!("{common} of {total} pieces in common"));
                }
            }
        }
    }

    /// A handle or display name: names it may be a return of, and slogans that run together in it.
    fn name(&mut self, indexes: &Indexes, field: &str, text: &str) {
        self.like_name(indexes, field, text, None);
        if indexes.slogans.is_empty() {
            return;
        }
        let (mut words, mut run) = (Vec::new(), Vec::new());
        as_text(text).find(&indexes.phrases, &mut words);
        for hit in &words {
            self.phrase(indexes, field, hit);
        }
        indexes.slogans.find(text, &mut run);
        for hit in run {
            let near = plain(hit.key, SignalType::Text, 0);
            let span = Some(span_of(&hit.original));
            if let Some(found) = self.nearest(indexes, near, field, span) {
                let reasons: Vec<String> = hit.reasons.iter().map(ToString::to_string).collect();
                let and = if reasons.is_empty() { "" } else { ", " };
                found.how = Some(format!(
                    "in a name: words run together{and}{}",
                    reasons.join(", ")
                ));
            }
        }
    }

    fn like_name(&mut self, indexes: &Indexes, field: &str, text: &str, span: Option<Span>) {
        if let Some(reach) = indexes.banks.reach(SignalType::Name)
            && let Ok(name) = Name::parse(text)
        {
            let mut hits = Vec::new();
            let score_min = 100 - reach.min(100) as u8;
            indexes.names.find(&name, score_min, &mut hits);
            for hit in hits {
                let near = plain(hit.key, SignalType::Name, u32::from(hit.distance));
                if let Some(found) = self.nearest(indexes, near, field, span) {
                    let reasons: Vec<String> =
                        hit.reasons.iter().map(ToString::to_string).collect();
                    found.how = Some(format!("score {}: {}", hit.score, reasons.join(", ")));
                }
            }
        }
    }

    /// What a text leads to: addresses, invitations, wallets and the accounts it names.
    fn destinations(&mut self, indexes: &Indexes, field: &str, text: &str) {
        for found in find_destinations(text) {
            let span = Some(span_of(&found.original));
            match &found.what {
                Destination::Mention(name) => self.like_name(indexes, field, name, span),
                what => self.destination(indexes, what, field, span),
            }
        }
    }

    fn destination(
        &mut self,
        indexes: &Indexes,
        what: &Destination,
        field: &str,
        span: Option<Span>,
    ) {
        let mut hits = Vec::new();
        indexes.destinations.find(what, &mut hits);
        for hit in hits {
            let signal_type = match hit.kind {
                MemberKind::Url => SignalType::Url,
                MemberKind::UrlPrefix => SignalType::UrlPrefix,
                MemberKind::Domain => SignalType::Domain,
                MemberKind::Invite => SignalType::Invite,
                MemberKind::Wallet => SignalType::Wallet,
            };
            self.nearest(indexes, plain(hit.key, signal_type, 0), field, span);
        }
    }

    /// A link that was given beside the text: it may be an invitation or a payment address, too.
    pub(super) fn link(&mut self, indexes: &Indexes, link: &str, field: &str) {
        if indexes.destinations.is_empty() {
            return;
        }
        if let Ok(url) = CanonicalUrl::parse(link) {
            if let Some(invite) = Invite::of_url(&url) {
                self.destination(indexes, &Destination::Invite(invite), field, None);
            }
            self.destination(indexes, &Destination::Link(url), field, None);
        } else if let Ok(wallet) = Wallet::parse(link) {
            self.destination(indexes, &Destination::Wallet(wallet), field, None);
        }
    }

    /// A ready-made signal.
    pub(super) fn signal(
        &mut self,
        indexes: &Indexes,
        signal: &Signal,
        field: &str,
        span: Option<Span>,
    ) {
        let destination = match signal {
            Signal::Url(url) => return self.link(indexes, url.as_str(), field),
            Signal::Invite(invite) => Destination::Invite(invite.clone()),
            Signal::Wallet(wallet) => Destination::Wallet(wallet.clone()),
            Signal::Name(name) => return self.name(indexes, field, name.original()),
            Signal::TextTlsh(hash) => return self.tlsh(indexes, hash, field),
            Signal::Text(_) | Signal::RawText(_) | Signal::SimilarText(_) => {
                return self.field(indexes, field, &signal.encode());
            }
            Signal::Domain(domain) => return self.link(indexes, domain.as_str(), field),
            Signal::UrlPrefix(prefix) => return self.link(indexes, &prefix.to_string(), field),
            Signal::Sha256(_) | Signal::Md5(_) | Signal::Pdq(_) => {
                let mut keys = Vec::new();
                indexes.exact.find(signal, &mut keys);
                let signal_type = signal.signal_type();
                for key in keys {
                    self.nearest(indexes, plain(key, signal_type, 0), field, span);
                }
                return;
            }
        };
        self.destination(indexes, &destination, field, span);
    }

    fn tlsh(&mut self, indexes: &Indexes, hash: &Tlsh, field: &str) {
        if let Some(reach) = indexes.banks.reach(SignalType::TextTlsh) {
            let mut hits = Vec::new();
            indexes.tlsh.query(hash, reach, &mut hits);
            for hit in hits {
                let near = plain(hit.key, SignalType::TextTlsh, hit.distance);
                self.nearest(indexes, near, field, None);
            }
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
        self.finds += 1;
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

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Something somebody wrote.
    Text,
    /// What somebody or something is called.
    Name,
}

impl Kind {
    fn of(field: &str) -> Self {
        match field {
            "account.handle" | "account.display_name" | "space.name" => Self::Name,
            _ => Self::Text,
        }
    }
}

fn span_of(range: &Range<usize>) -> Span {
    Span {
        start: range.start,
        end: range.end,
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

/// How a phrase was found, in words: `folded: tatweel 3; read as grey banner`, `strict` when nothing had
/// to be undone.
fn how_read(hit: &PhraseHit) -> String {
    let mut how = hit.level.to_string();
    if hit.evasions != Evasions::default() {
        how = format!("{how}: {}", hit.evasions);
    }
    match &hit.read {
        Some(read) => format!("{how}; read as {read}"),
        None => how,
    }
}
