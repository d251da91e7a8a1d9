//! What an expression is evaluated against: the facts, the bound variables, and what is worth
//! computing once per event.
//!
//! Everything here answers `None` for what is not known; nothing allocates unless a rule asks for a
//! normalised text.

use crate::literal;
pub(crate) use crate::memo::Memo;
use crate::memo::{Link, TextMemo};
use crate::memory::{Memory, Nothing, Remembered};
use crate::schema::{Field, MediumField};
use crate::typed::{AttributeName, LIST_MAX, Lookup, SLOTS, Target};
use crate::types::Type;
use jiff::{SignedDuration, Timestamp};
use manara_model::{Decoding, EntityType, Facts, Match, MediaFacts, Medium};
use manara_signal::text::{
    Level, Normalised, PhraseHit, PhraseIndex, TermError, TermOptions, normalise,
};
use manara_signal::{Phrase, Signal, SignalType};
use serde_json::Value as Json;
use std::borrow::Cow;

/// How many matches are compared pairwise.
const FEW_MATCHES: usize = 16;

/// What all rules of a set share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Texts written in rules, by number.
    pub(crate) literals: Vec<Box<str>>,
    /// Sets kept by operators that rules ask.
    pub(crate) sets: std::collections::BTreeSet<Box<str>>,
    /// Phrases asked for with `containsPhrase`, all looked for in one pass over a text.
    phrases: PhraseIndex,
    phrases_len: u64,
    /// Lexicons by number; see [`crate::lexicon`].
    pub(crate) lexicons: Vec<PhraseIndex>,
    /// Their names and phrases as written, to say what was found.
    pub(crate) lexicon_texts: Vec<(String, Vec<String>)>,
    /// How many regular expressions the rules have.
    pub(crate) patterns: usize,
}

impl Shared {
    pub(crate) fn add_literal(&mut self, text: &str) -> usize {
        self.literals.push(text.into());
        self.literals.len() - 1
    }

    /// Numbers a phrase; the number is what [`Ctx::contains_phrase`] asks for.
    pub(crate) fn add_phrase(&mut self, phrase: &Phrase, level: Level) -> Result<u64, TermError> {
        let number = self.phrases_len;
        insert_at(&mut self.phrases, number, phrase, level)?;
        self.phrases_len += 1;
        Ok(number)
    }

    fn phrases_in(&self, text: &Normalised) -> Vec<u64> {
        let mut hits: Vec<PhraseHit> = Vec::new();
        self.phrases.find(text, &mut hits);
        let mut numbers: Vec<u64> = hits.into_iter().map(|hit| hit.key).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Adds a phrase that is looked for at a level.
pub(crate) fn insert_at(
    index: &mut PhraseIndex,
    key: u64,
    phrase: &Phrase,
    level: Level,
) -> Result<(), TermError> {
    let options = TermOptions {
        level,
        ..TermOptions::default()
    };
    index.insert_with(key, phrase, &options)
}

/// What of the event a value is, for which costly things are computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Field(Field),
    /// An element of `content.links`.
    Link(usize),
    /// An element of `content.found_links`.
    Found(usize),
    Elsewhere,
}

/// An element a macro has bound.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound<'a> {
    Nothing,
    Medium(usize),
    Link(usize),
    /// An element of `content.found_links`.
    Found(usize),
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Float(f64),
    Duration(SignedDuration),
    Time(Timestamp),
}

/// Everything an expression may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ctx<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) shared: &'a Shared,
    memo: &'a Memo,
    memory: &'a dyn Memory,
    bound: [Bound<'a>; SLOTS],
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(facts: &'a Facts<'a>, shared: &'a Shared, memo: &'a Memo) -> Self {
        Self {
            facts,
            shared,
            memo,
            memory: &Nothing,
            bound: [Bound::Nothing; SLOTS],
        }
    }

    /// The same with what is known of what happened before.
    pub(crate) fn remembering(self, memory: &'a dyn Memory) -> Self {
        Self { memory, ..self }
    }

    // ---- what happened before ----

    pub(crate) fn counter(&self, index: usize) -> Option<Remembered> {
        self.memory.counter(index)
    }

    pub(crate) fn has_label(&self, entity: EntityType, label: &str) -> Option<bool> {
        if !self.has_entity(entity) {
            return None;
        }
        self.memory.has_label(entity, label)
    }

    pub(crate) fn strikes(&self, within: Option<SignedDuration>) -> Option<i64> {
        self.facts.event.account.as_ref()?;
        self.memory.strikes(within)
    }

    pub(crate) fn in_set(&self, set: &str, item: &str) -> Option<bool> {
        self.memory.in_set(set, item)
    }

    /// The same with a variable bound.
    pub(crate) fn with(&self, slot: usize, value: Bound<'a>) -> Self {
        let mut inner = *self;
        if let Some(place) = inner.bound.get_mut(slot) {
            *place = value;
        }
        inner
    }

    /// Binds a variable in place.
    pub(crate) fn bind(&mut self, slot: usize, value: Bound<'a>) {
        if let Some(place) = self.bound.get_mut(slot) {
            *place = value;
        }
    }

    pub(crate) fn bound(&self, slot: usize) -> Bound<'a> {
        self.bound.get(slot).copied().unwrap_or(Bound::Nothing)
    }

    pub(crate) fn medium_index(&self, slot: usize) -> Option<usize> {
        match self.bound(slot) {
            Bound::Medium(index) => Some(index),
            _ => None,
        }
    }

    // ---- fields ----

    pub(crate) fn text(&self, field: Field) -> Option<&'a str> {
        let event = self.facts.event;
        let account = event.account.as_ref();
        let space = event.space.as_ref();
        let content = event.content.as_ref();
        match field {
            Field::EventId => Some(&event.id),
            Field::EventSource => Some(&event.source),
            Field::EventType => Some(&event.r#type),
            Field::AccountId => account.map(|a| a.id.as_str()),
            Field::AccountHandle => account?.handle.as_deref(),
            Field::AccountDisplayName => account?.display_name.as_deref(),
            Field::SpaceId => space.map(|s| s.id.as_str()),
            Field::SpaceKind => space?.kind.as_deref(),
            Field::SpaceName => space?.name.as_deref(),
            Field::SpaceAdmission => space?.admission.as_deref(),
            Field::ContentId => content.map(|c| c.id.as_str()),
            Field::ContentText => content?.text.as_deref(),
            Field::ContentLanguage => content?.language.as_deref(),
            Field::ContentDetectedLanguage => self.content_memo()?.language_code(),
            Field::ContentTextKey => self.content_memo()?.key(),
            _ => None,
        }
    }

    pub(crate) fn int(&self, field: Field) -> Option<i64> {
        let count = match field {
            Field::AccountFollowers => self.facts.event.account.as_ref()?.followers?,
            Field::SpaceMembers => self.facts.event.space.as_ref()?.members?,
            _ => return None,
        };
        Some(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(crate) fn time(&self, field: Field) -> Option<Timestamp> {
        match field {
            Field::EventTime => Some(self.facts.event.time),
            Field::ReceivedAt => Some(self.facts.received_at),
            Field::AccountCreatedAt => self.facts.event.account.as_ref()?.created_at,
            _ => None,
        }
    }

    pub(crate) fn duration(&self, field: Field) -> Option<SignedDuration> {
        match field {
            Field::AccountAge => Some(
                self.facts
                    .event
                    .time
                    .duration_since(self.time(Field::AccountCreatedAt)?),
            ),
            _ => None,
        }
    }

    /// Number of elements of `content.links` or `content.media`.
    pub(crate) fn len(&self, field: Field) -> Option<usize> {
        let content = self.facts.event.content.as_ref()?;
        match field {
            Field::ContentLinks => Some(content.links.len()),
            Field::ContentMedia => Some(content.media.len()),
            Field::ContentFoundLinks => Some(self.memo.found(content).len()),
            Field::ContentLinkDomains => Some(self.memo.domains(content).len()),
            _ => None,
        }
    }

    /// An element of one of the fields that are lists.
    pub(crate) fn element(&self, field: Field, index: usize) -> Option<Bound<'a>> {
        match field {
            Field::ContentMedia => Some(Bound::Medium(index)),
            Field::ContentLinks => Some(Bound::Link(index)),
            Field::ContentFoundLinks => Some(Bound::Found(index)),
            Field::ContentLinkDomains => {
                let content = self.facts.event.content.as_ref()?;
                let domain = self.memo.domains(content).get(index)?;
                Some(Bound::Text(domain))
            }
            _ => None,
        }
    }

    /// The text of an element of `content.found_links`.
    pub(crate) fn found_link(&self, index: usize) -> Option<&'a str> {
        let content = self.facts.event.content.as_ref()?;
        let found = self.memo.found(content).get(index);
        found.map(|link| link.url.as_str())
    }

    /// The text of a bound element.
    pub(crate) fn bound_text(&self, bound: Bound<'a>) -> Option<&'a str> {
        match bound {
            Bound::Text(text) => Some(text),
            Bound::Link(index) => self.link(index),
            Bound::Found(index) => self.found_link(index),
            _ => None,
        }
    }

    pub(crate) fn link(&self, index: usize) -> Option<&'a str> {
        self.facts
            .event
            .content
            .as_ref()?
            .links
            .get(index)
            .map(String::as_str)
    }

    pub(crate) fn has_entity(&self, entity: EntityType) -> bool {
        let event = self.facts.event;
        match entity {
            EntityType::Account => event.account.is_some(),
            EntityType::Space => event.space.is_some(),
            EntityType::Content => event.content.is_some(),
            _ => false,
        }
    }

    // ---- media ----

    fn medium(&self, index: usize) -> Option<&'a Medium> {
        self.facts.event.media().get(index)
    }

    fn media_facts(&self, index: usize) -> Option<&'a MediaFacts> {
        self.facts.media.get(index)
    }

    pub(crate) fn medium_text(&self, index: usize, field: MediumField) -> Option<Cow<'a, str>> {
        let medium = self.medium(index)?;
        match field {
            MediumField::Id => Some(Cow::Borrowed(&medium.id)),
            MediumField::Kind => Some(Cow::Borrowed(medium.kind.as_str())),
            MediumField::Url => medium.url.as_deref().map(Cow::Borrowed),
            MediumField::Sha256 => self.hash_of_medium(index, SignalType::Sha256),
            MediumField::Md5 => self.hash_of_medium(index, SignalType::Md5),
            MediumField::Pdq => {
                given_signal(medium, SignalType::Pdq).or_else(|| self.computed_pdq(index))
            }
            _ => None,
        }
    }

    /// A hash of its bytes: as they were read, or else as the platform sent it.
    fn hash_of_medium(&self, index: usize, of: SignalType) -> Option<Cow<'a, str>> {
        let read = self.media_facts(index).and_then(|it| it.hashes.get(&of));
        match read {
            Some(hash) => Some(Cow::Borrowed(hash)),
            None => given_signal(self.medium(index)?, of),
        }
    }

    /// The PDQ hash of the image as it is stored.
    fn computed_pdq(&self, index: usize) -> Option<Cow<'a, str>> {
        let forms = &self.media_facts(index)?.forms;
        let stored = forms.iter().find(|form| form.form == Match::STORED_FORM)?;
        Some(stored.hash.to_hex().into())
    }

    pub(crate) fn medium_int(&self, index: usize, field: MediumField) -> Option<i64> {
        let facts = self.media_facts(index)?;
        let known = |pixels: u32| (pixels > 0).then(|| i64::from(pixels));
        match field {
            MediumField::Quality => facts.quality.map(i64::from),
            MediumField::Width => known(facts.width),
            MediumField::Height => known(facts.height),
            _ => None,
        }
    }

    pub(crate) fn medium_bool(&self, index: usize, field: MediumField) -> Option<bool> {
        let decoding = self.media_facts(index)?.decoding;
        match field {
            MediumField::Undecodable => Some(decoding == Decoding::Undecodable),
            MediumField::Unavailable => Some(decoding == Decoding::Unavailable),
            _ => None,
        }
    }

    /// Whether the medium could be compared with banks at all.
    fn is_readable(&self, index: usize) -> bool {
        let decoding = self.media_facts(index).map(|facts| facts.decoding);
        matches!(decoding, Some(Decoding::Decoded | Decoding::SignalsOnly))
    }

    // ---- attributes ----

    /// The attribute, under its name or one it had before.
    pub(crate) fn attribute(&self, attribute: &AttributeName) -> Option<&'a Json> {
        let attributes = &self.facts.event.attributes;
        if attributes.is_empty() {
            return None;
        }
        attributes.get(&*attribute.name).or_else(|| {
            let mut before = attribute.before.iter();
            before.find_map(|name| attributes.get(&**name))
        })
    }

    /// What a map holds under a key.
    pub(crate) fn entry(&self, map: &AttributeName, key: &str) -> Option<&'a Json> {
        self.attribute(map)?.as_object()?.get(key)
    }

    /// Whether a map holds something under a key; unknown when there is no map.
    pub(crate) fn has_key(&self, map: &AttributeName, key: &str) -> Option<bool> {
        Some(self.attribute(map)?.as_object()?.contains_key(key))
    }

    // ---- banks ----

    /// The matches a lookup rests on, in the order in which they were found: nearest first.
    pub(crate) fn matches<'l>(
        &self,
        lookup: &'l Lookup,
    ) -> impl Iterator<Item = &'a Match> + use<'a, 'l> {
        let ctx = *self;
        self.facts.matches.iter().filter(move |m| {
            m.bank == lookup.bank
                && m.distance
                    <= lookup
                        .distance_max
                        .unwrap_or_else(|| m.signal_type.default_distance())
                && ctx.is_in(&m.field, lookup.target)
                && reaches(m, lookup.quality_min)
        })
    }

    /// Whether the bank has a match; unknown when it has none but a medium could not be compared,
    /// because what cannot be read is never the same as clean.
    pub(crate) fn has_match(&self, lookup: &Lookup) -> Option<bool> {
        if self.matches(lookup).next().is_some() {
            return Some(true);
        }
        self.unreadable(lookup.target).is_none().then_some(false)
    }

    /// The first medium a lookup is about that could not be compared.
    pub(crate) fn unreadable(&self, target: Target) -> Option<usize> {
        match target {
            Target::Medium { slot } => self
                .medium_index(slot)
                .filter(|index| !self.is_readable(*index)),
            Target::AllMedia | Target::Content => {
                (0..self.facts.event.media().len()).find(|index| !self.is_readable(*index))
            }
            _ => None,
        }
    }

    /// How many different members matched; unknown where something could not be compared.
    pub(crate) fn members(&self, lookup: &Lookup) -> Option<i64> {
        if self.unreadable(lookup.target).is_some() {
            return None;
        }
        let all = self.matches(lookup).count();
        if all > FEW_MATCHES {
            let mut members: Vec<_> = self.matches(lookup).map(|found| found.member).collect();
            members.sort_unstable();
            members.dedup();
            return i64::try_from(members.len()).ok();
        }
        // Comparing a few pairwise needs no memory.
        let is_first = |(at, found): &(usize, &Match)| {
            let mut before = self.matches(lookup).take(*at);
            !before.any(|earlier| earlier.member == found.member)
        };
        let different = self.matches(lookup).enumerate().filter(is_first).count();
        i64::try_from(different).ok()
    }

    /// Distance of the nearest match.
    pub(crate) fn distance(&self, lookup: &Lookup) -> Option<i64> {
        self.matches(lookup).map(|m| i64::from(m.distance)).min()
    }

    /// The nearest match of an image.
    pub(crate) fn nearest_image(&self, lookup: &Lookup) -> Option<&'a Match> {
        let images = self.matches(lookup).filter(|m| m.form().is_some());
        images.min_by_key(|m| m.distance)
    }

    fn is_in(&self, field: &str, target: Target) -> bool {
        match target {
            Target::Handle => field == "account.handle",
            Target::DisplayName => field == "account.display_name",
            Target::SpaceName => field == "space.name",
            Target::Text => field == "content.text",
            Target::Links => field.starts_with("content.links["),
            Target::Link { slot } => match self.bound(slot) {
                Bound::Link(index) => index_in(field, "content.links[") == Some(index),
                _ => false,
            },
            Target::AllMedia => field.starts_with("content.media["),
            Target::Medium { slot } => self
                .medium_index(slot)
                .is_some_and(|index| medium_of(field) == Some(index)),
            Target::Account => field.starts_with("account."),
            Target::Space => field.starts_with("space."),
            Target::Content => field.starts_with("content."),
        }
    }

    // ---- what is computed once ----

    pub(crate) fn contains_phrase(&self, origin: Origin, text: &str, phrase: u64) -> bool {
        let find = |text: &Normalised| self.shared.phrases_in(text);
        let kept = kept_at(origin).and_then(|place| self.memo.phrases(place, text, find));
        match kept {
            Some(found) => found.binary_search(&phrase).is_ok(),
            None => find(&normalise(text)).binary_search(&phrase).is_ok(),
        }
    }

    /// What is known of one of the event's own texts.
    pub(crate) fn text_memo(&self, origin: Origin) -> Option<TextMemo<'a>> {
        let Origin::Field(field) = origin else {
            return None;
        };
        self.memo.text(kept_at(origin)?, self.text(field)?)
    }

    fn content_memo(&self) -> Option<TextMemo<'a>> {
        self.text_memo(Origin::Field(Field::ContentText))
    }

    /// A link of the event, read once; `None` when it is no web address.
    pub(crate) fn link_memo(&self, origin: Origin) -> Option<&'a Link> {
        let content = self.facts.event.content.as_ref()?;
        match origin {
            Origin::Link(index) => self.memo.listed(content, index),
            Origin::Found(index) => self.memo.found(content).get(index),
            _ => None,
        }
    }
}

/// The place at which what is known of a text is kept, for the event's own texts.
fn kept_at(origin: Origin) -> Option<usize> {
    match origin {
        Origin::Field(Field::ContentText) => Some(0),
        Origin::Field(Field::AccountHandle) => Some(1),
        Origin::Field(Field::AccountDisplayName) => Some(2),
        Origin::Field(Field::SpaceName) => Some(3),
        _ => None,
    }
}

/// Whether the image that was looked up is good enough; what is equal to the byte always is.
fn reaches(found: &Match, quality_min: Option<u8>) -> bool {
    let Some(min) = quality_min else { return true };
    found.signal_type != SignalType::Pdq || found.quality.is_some_and(|quality| quality >= min)
}

/// A signal the event carries, written as Manara writes it.
fn given_signal(medium: &Medium, signal_type: SignalType) -> Option<Cow<'_, str>> {
    let given = medium.signals.get(&signal_type)?;
    if given.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some(Signal::parse(signal_type, given).ok()?.encode().into());
    }
    Some(given.into())
}

/// The medium a match's field lies in: 2 for `content.media[2]`.
pub(crate) fn medium_of(field: &str) -> Option<usize> {
    index_in(field, "content.media[")
}

fn index_in(field: &str, before: &str) -> Option<usize> {
    field.strip_prefix(before)?.split(']').next()?.parse().ok()
}

// ---- attributes as the schema types them ----

pub(crate) fn json_text(json: &Json) -> Option<&str> {
    json.as_str()
}

pub(crate) fn json_bool(json: &Json) -> Option<bool> {
    json.as_bool()
}

pub(crate) fn json_int(json: &Json) -> Option<i64> {
    json.as_i64()
}

pub(crate) fn json_float(json: &Json) -> Option<f64> {
    json.as_f64().filter(|f| f.is_finite())
}

/// How many entries a map has.
pub(crate) fn map_len(ctx: &Ctx<'_>, map: &AttributeName) -> Option<i64> {
    i64::try_from(ctx.attribute(map)?.as_object()?.len()).ok()
}

/// A text as in rules (`"24h"`), or a number of seconds.
pub(crate) fn json_duration(json: &Json) -> Option<SignedDuration> {
    match json {
        Json::String(text) => literal::parse_duration(text),
        Json::Number(number) => number.as_i64().map(SignedDuration::from_secs),
        _ => None,
    }
}

pub(crate) fn json_time(json: &Json) -> Option<Timestamp> {
    literal::parse_time(json.as_str()?)
}

/// The elements of an attribute as `of`, each `None` where it is of another type; `None` past the
/// 256th, since what was not looked at is not known. Of a set, each element once.
pub(crate) fn json_elements<'a>(
    json: &'a Json,
    ty: &Type,
) -> Option<impl Iterator<Item = Option<Bound<'a>>> + use<'a>> {
    let of = ty.element()?.clone();
    let is_set = matches!(ty, Type::Set(_));
    let items = json.as_array()?;
    let rest = (items.len() > LIST_MAX).then_some(None);
    let looked_at = items.get(..LIST_MAX).unwrap_or(items);
    let is_first =
        move |at: usize, item: &Json| !looked_at.iter().take(at).any(|earlier| earlier == item);
    Some(
        looked_at
            .iter()
            .enumerate()
            .filter(move |(at, item)| !is_set || is_first(*at, item))
            .map(move |(_, item)| json_element(item, &of))
            .chain(rest),
    )
}

fn json_element<'a>(item: &'a Json, of: &Type) -> Option<Bound<'a>> {
    match of {
        Type::String => json_text(item).map(Bound::Text),
        Type::Bool => json_bool(item).map(Bound::Bool),
        Type::Int => json_int(item).map(Bound::Int),
        Type::Float => json_float(item).map(Bound::Float),
        Type::Duration => json_duration(item).map(Bound::Duration),
        Type::Time => json_time(item).map(Bound::Time),
        _ => None,
    }
}
