//! What several pages show in the same way: rows of cases, verdicts with their evidence, actions
//! with their deliveries, events.

use super::reading::{ReadingView, reading};
use crate::console::Error;
use crate::console::text::{self, Html};
use crate::console::view::{
    By, Chip, EntityView, When, action_words, counted, effect_words, span, state_chip,
};
use crate::forms::{self, Compared};
use jiff::Timestamp;
use manara_model::{
    Action, ActionKind, Author, Case, Decision, Event, Match, MemberId, Mode, Span, Traced,
    Verdict, Withheld,
};
use manara_signal::{Pdq, Signal, SignalType};
use manara_store::{Delivery, DeliveryState, Reader, StoreError, StoredEvent};

/// Longest excerpt in a list, in characters.
const EXCERPT_CHARACTERS: usize = 140;
/// Matches of a verdict whose reading is shown; the nearest come first.
const READINGS_MAX: usize = 8;

/// How long something has waited.
pub(super) fn wait(since: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(since))
}

/// A case in a list.
pub(super) struct CaseRow {
    pub(super) id: String,
    pub(super) entity: EntityView,
    pub(super) state: Chip,
    pub(super) policy: String,
    pub(super) priority: u8,
    pub(super) opened: When,
    pub(super) excerpt: Option<Html>,
    pub(super) media: usize,
}

/// A case in a list, with the text that brought it there.
pub(super) fn case_row(
    reader: &Reader,
    case: &Case,
    me: &str,
    now: Timestamp,
) -> Result<CaseRow, StoreError> {
    let newest = reader
        .case_detail(case.id)?
        .and_then(|mut detail| detail.events.pop());
    let row = bare_case_row(case, me, now);
    let Some(newest) = newest else { return Ok(row) };
    Ok(CaseRow {
        excerpt: excerpt(&newest),
        media: newest.event.media().len(),
        ..row
    })
}

/// A case in a list, by itself.
pub(super) fn bare_case_row(case: &Case, me: &str, now: Timestamp) -> CaseRow {
    CaseRow {
        id: case.id.to_string(),
        entity: EntityView::from(&case.entity),
        state: state_chip(&case.state, me),
        policy: case.policy.to_string(),
        priority: case.priority,
        opened: When::ago(case.opened_at, now),
        excerpt: None,
        media: 0,
    }
}

/// The text that matched, or the event's first one.
fn excerpt(stored: &StoredEvent) -> Option<Html> {
    let matched = |field: &str| !spans(verdicts_of(stored), field).is_empty();
    let (field, words) = stored
        .event
        .texts()
        .find(|(field, _)| matched(field))
        .or_else(|| {
            let event = &stored.event;
            event
                .texts()
                .find(|(field, _)| *field == "content.text")
                .or_else(|| event.texts().next())
        })?;
    Some(text::excerpt(
        words,
        &spans(verdicts_of(stored), field),
        EXCERPT_CHARACTERS,
    ))
}

/// The verdicts on an event: those of when it came, and those that were found later.
pub(super) fn verdicts_of(stored: &StoredEvent) -> impl Iterator<Item = &Verdict> {
    let later = stored.later.iter().flat_map(|decision| &decision.verdicts);
    stored.decision.verdicts.iter().chain(later)
}

/// The parts of a field that matched, in all verdicts together.
pub(super) fn spans<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>, field: &str) -> Vec<Span> {
    let matches = verdicts.into_iter().flat_map(|verdict| &verdict.because);
    matches
        .filter(|found| found.field == field)
        .filter_map(|found| found.span)
        .collect()
}

/// A rule that fired.
pub(super) struct VerdictView {
    pub(super) rule: String,
    pub(super) version: u32,
    pub(super) policy: String,
    pub(super) shadow: bool,
    /// Why it has no effect, where that is because of a match.
    pub(super) withheld: Option<WithheldView>,
    pub(super) reason: Html,
    pub(super) effects: Vec<String>,
    /// Whether that was done.
    pub(super) acted: bool,
    /// The words before its effects.
    pub(super) asked: &'static str,
    pub(super) evidence: Vec<EvidenceRow>,
    pub(super) trace: Vec<TracedRow>,
}

impl VerdictView {
    /// Whether the evidence has distances.
    pub(super) fn has_distance(&self) -> bool {
        self.evidence.iter().any(|row| !row.distance.is_empty())
    }

    /// Whether it has qualities.
    pub(super) fn has_quality(&self) -> bool {
        self.evidence.iter().any(|row| !row.quality.is_empty())
    }

    /// How many columns its table has.
    pub(super) fn columns(&self) -> usize {
        3 + usize::from(self.has_distance()) + usize::from(self.has_quality())
    }
}

/// Why a match has no effect.
pub(super) struct WithheldView {
    pub(super) words: String,
    /// What vetoed it: bank, member, and whether there is a page of it.
    pub(super) by: Option<(String, MemberId)>,
}

impl WithheldView {
    fn of(withheld: &Withheld) -> Self {
        match withheld {
            Withheld::Vetoed {
                bank,
                member,
                distance,
            } => Self {
                words: match distance {
                    0 => String::new(),
                    _ => format!("at distance {distance}"),
                },
                by: Some((bank.to_string(), *member)),
            },
            other => Self {
                words: other.to_string(),
                by: None,
            },
        }
    }
}

/// What was found in an event after it was decided on.
pub(super) struct LaterView {
    pub(super) at: When,
    pub(super) decision: String,
    /// The members that were new.
    pub(super) members: Vec<(String, MemberId)>,
    pub(super) verdicts: Vec<VerdictView>,
}

/// What was found in an event after it was decided on, oldest first.
pub(super) fn later_views(
    reader: &Reader,
    stored: &StoredEvent,
) -> Result<Vec<LaterView>, StoreError> {
    let view = |decision: &Decision| -> Result<LaterView, StoreError> {
        let because = decision
            .verdicts
            .iter()
            .flat_map(|verdict| &verdict.because);
        let mut members: Vec<(String, MemberId)> = because
            .map(|found| (found.bank.to_string(), found.member))
            .collect();
        members.sort();
        members.dedup();
        Ok(LaterView {
            at: When::exact(decision.at),
            decision: decision.id.to_string(),
            members,
            verdicts: later_verdict_views(reader, Some(&stored.event), &decision.verdicts)?,
        })
    };
    stored.later.iter().map(view).collect()
}

pub(super) struct EvidenceRow {
    pub(super) bank: String,
    /// Whether the member has a page.
    pub(super) is_known: bool,
    pub(super) withheld: Option<WithheldView>,
    pub(super) member: MemberId,
    pub(super) note: Option<Html>,
    pub(super) signal_type: &'static str,
    pub(super) distance: String,
    pub(super) quality: String,
    pub(super) field: String,
    pub(super) how: Html,
    pub(super) compared: Option<Compared>,
    /// How the text was read, if it is a text and among the first.
    pub(super) reading: Option<ReadingView>,
}

pub(super) struct TracedRow {
    pub(super) expression: Html,
    pub(super) value: Html,
}

/// A decision's verdicts, those that acted first.
pub(super) fn verdict_views(
    reader: &Reader,
    event: Option<&Event>,
    verdicts: &[Verdict],
) -> Result<Vec<VerdictView>, StoreError> {
    let mut views = verdicts
        .iter()
        .map(|v| verdict_view(reader, event, v))
        .collect::<Result<Vec<_>, _>>()?;
    views.sort_by_key(|view| view.shadow);
    Ok(views)
}

/// The verdicts of a later decision: of what they ask for, only people were asked.
pub(super) fn later_verdict_views(
    reader: &Reader,
    event: Option<&Event>,
    verdicts: &[Verdict],
) -> Result<Vec<VerdictView>, StoreError> {
    let mut views = verdict_views(reader, event, verdicts)?;
    for view in &mut views {
        view.asked = "Had it been known then, it would have asked for";
        view.acted = false;
    }
    Ok(views)
}

fn verdict_view(
    reader: &Reader,
    event: Option<&Event>,
    verdict: &Verdict,
) -> Result<VerdictView, StoreError> {
    let traced = |traced: &Traced| TracedRow {
        expression: text::inline(&traced.expression),
        value: text::inline(&traced.value),
    };
    Ok(VerdictView {
        rule: verdict.rule.to_string(),
        version: verdict.version,
        policy: verdict.policy.to_string(),
        shadow: verdict.mode == Mode::Shadow,
        withheld: match verdict.mode {
            Mode::Live => None,
            Mode::Shadow => {
                let mut because = verdict.because.iter();
                because.find_map(|found| found.withheld.as_ref().map(WithheldView::of))
            }
        },
        reason: text::inline(&verdict.reason),
        effects: verdict.effects.iter().map(effect_words).collect(),
        acted: verdict.mode == Mode::Live,
        asked: match verdict.mode {
            Mode::Live => "It asked for",
            Mode::Shadow => "It would have asked for",
        },
        evidence: verdict
            .because
            .iter()
            .enumerate()
            .map(|(number, m)| evidence_row(reader, event, m, number < READINGS_MAX))
            .collect::<Result<_, _>>()?,
        trace: verdict.trace.iter().map(traced).collect(),
    })
}

fn evidence_row(
    reader: &Reader,
    event: Option<&Event>,
    found: &Match,
    is_read: bool,
) -> Result<EvidenceRow, StoreError> {
    let member = reader
        .member(found.member)?
        .filter(|(bank, ..)| *bank == found.bank);
    let compared = member
        .as_ref()
        .zip(event)
        .and_then(|((_, member, _), event)| compared(event, found, &member.signal));
    let read = member.as_ref().zip(event.filter(|_| is_read));
    let reading = read.and_then(|((_, member, _), event)| reading(event, found, member));
    let is_known = member.is_some();
    let note = member
        .map(|(_, member, _)| member.note)
        .filter(|note| !note.is_empty());
    Ok(EvidenceRow {
        bank: found.bank.to_string(),
        is_known,
        withheld: found.withheld.as_ref().map(WithheldView::of),
        member: found.member,
        note: note.map(|note| text::inline(&note)),
        signal_type: found.signal_type.name(),
        distance: distance_words(found),
        quality: found
            .quality
            .map_or_else(String::new, |quality| quality.to_string()),
        field: found.field.clone(),
        how: match (&found.form, &found.how) {
            (Some(form), _) => text::inline(&forms::in_words(form)),
            (None, Some(how)) => text::inline(how),
            (None, None) => Html::default(),
        },
        compared,
        reading,
    })
}

/// How far a match is; of a phrase, how it was read says more.
fn distance_words(found: &Match) -> String {
    let distance = found.distance;
    match found.signal_type {
        SignalType::Text => String::new(),
        SignalType::Pdq => format!("{distance} of 256 bits"),
        _ if distance == 0 => "exact".to_owned(),
        SignalType::RawText | SignalType::SimilarText => format!("{distance} %"),
        SignalType::Name => format!("{distance} points"),
        _ => distance.to_string(),
    }
}

/// The hashes of a match of an image, bit by bit, as far as they are known.
fn compared(event: &Event, found: &Match, member: &Signal) -> Option<Compared> {
    let Signal::Pdq(member) = member else {
        return None;
    };
    let index = found.field.strip_prefix("content.media[")?;
    let index: usize = index.strip_suffix(']')?.parse().ok()?;
    let stored = event.media().get(index)?.signals.get(&SignalType::Pdq);
    let stored = stored.and_then(|hash| Pdq::from_hex(hash).ok());
    forms::compared(found, *member, stored)
}

/// An action and what became of it.
pub(super) struct ActionRow {
    pub(super) what: String,
    pub(super) target: EntityView,
    pub(super) policy: String,
    pub(super) by: By,
    pub(super) deliveries: Vec<DeliveryView>,
    pub(super) without: &'static str,
}

pub(super) struct DeliveryView {
    pub(super) tone: &'static str,
    pub(super) state: &'static str,
    pub(super) receiver: Html,
    pub(super) detail: Html,
}

pub(super) fn action_row(action: &Action, author: &Author, deliveries: &[Delivery]) -> ActionRow {
    let own = deliveries
        .iter()
        .filter(|delivery| delivery.action.id == action.id);
    ActionRow {
        what: action_words(action.kind, &action.detail),
        target: EntityView::from(&action.target),
        policy: action.policy.to_string(),
        by: By::from(author),
        deliveries: own.map(delivery_view).collect(),
        without: match action.kind {
            ActionKind::Strike => "kept with the account",
            ActionKind::WithdrawStrike => "no longer counts",
            ActionKind::Enqueue => "a case for a person",
            _ => "in the answer to the event; no webhook was set up",
        },
    }
}

fn delivery_view(delivery: &Delivery) -> DeliveryView {
    let attempts = delivery.attempts;
    let error = delivery.error.as_deref().unwrap_or("");
    let (tone, state, detail) = match delivery.state {
        DeliveryState::Delivered => ("good", "delivered", String::new()),
        DeliveryState::Pending if attempts == 0 => ("", "waiting", String::new()),
        DeliveryState::Pending => (
            "warn",
            "being tried",
            format!(
                "{} so far; {error}",
                counted(attempts.into(), "attempt", "attempts")
            ),
        ),
        DeliveryState::Dead => (
            "stop",
            "given up",
            format!(
                "after {}: {error}",
                counted(attempts.into(), "attempt", "attempts")
            ),
        ),
    };
    DeliveryView {
        tone,
        state,
        receiver: text::inline(&delivery.receiver),
        detail: if detail.is_empty() {
            Html::default()
        } else {
            text::inline(&detail)
        },
    }
}

/// The platform's own data of an event, as JSON that can be read.
pub(super) fn attributes(event: &Event) -> Result<Option<Html>, Error> {
    if event.attributes.is_empty() {
        return Ok(None);
    }
    let json = serde_json::to_string_pretty(&event.attributes);
    let json = json.map_err(|error| Error::Internal(format!("writing attributes: {error}")))?;
    Ok(Some(text::verbatim(&json)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_model::Origin;

    #[track_caller]
    fn check_compared(field: &str, distance: u32, expect: Option<&str>) {
        let hash = format!("{}f", "0".repeat(63));
        let json = format!(
            r#"{{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:00:00Z","content":
                {{"id":"p","media":[{{"id":"m","kind":"image","signals":{{"pdq":"{hash}"}},"quality":90}}]}}}}"#
        );
        let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
        let found = Match {
            signal_type: SignalType::Pdq,
            bank: "B".parse().unwrap(),
            member: MemberId(1),
            distance,
            field: field.into(),
            quality: Some(90),
            span: None,
            how: None,
            form: None,
            form_hash: None,
            distance_stored: None,
            withheld: None,
        };
        let member = Signal::parse(SignalType::Pdq, &"0".repeat(64)).unwrap();
        let compared = compared(&event, &found, &member);
        let by_row = compared.map(|mut it| it.forms.remove(0).by_row);
        assert_eq!(by_row.as_deref(), expect);
    }

    #[test]
    fn the_bits_shown_are_those_that_matched() {
        let rows = "4 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
        check_compared("content.media[0]", 4, Some(rows));
        // Of another image than the one that is kept.
        check_compared("content.media[0]", 7, None);
        check_compared("content.media[1]", 4, None);
        check_compared("content.text", 4, None);
    }
}
