//! Blast radius: before a member or a setting goes live, what it would have matched.

use super::{Window, events_of, matches_in, sweep};
use crate::matcher::{Change, Matcher};
use crate::scan::Excerpt;
use jiff::Timestamp;
use manara_model::{
    Bank, BankMode, BankName, BankSettings, DecisionId, Event, Match, Member, MemberId, MemberMode,
    MemberSettings, NewMember, Ratio, Span, Withheld,
};
use manara_store::{Reader, RecentEvent, RecentRow, Store, StoreError};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Events shown as samples.
const SAMPLES_MAX: usize = 20;
/// Members that were counted one by one; beyond, only their sum is.
const MEMBERS_COUNTED_MAX: usize = 100_000;

/// From so many events on a change can be too wide.
const WIDE_EVENTS: u64 = 20;
/// And from this share of all events on it is.
const WIDE_SHARE: f64 = 0.01;

/// Whether something matches so much of what was recently seen that it must not go live unseen: a
/// hundredth of all events, and at least twenty.
pub(crate) fn is_wide(matched: u64, seen: u64) -> bool {
    matched >= WIDE_EVENTS && matched as f64 >= seen as f64 * WIDE_SHARE
}

/// What is thought of.
#[derive(Debug, Clone)]
pub(crate) enum Thought {
    /// These members are added to the bank.
    Add(Vec<NewMember>),
    /// A member matches otherwise.
    Member(MemberId, MemberSettings),
    /// The bank matches otherwise.
    Bank(BankSettings),
}

/// What a change would have matched in the recently seen window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Preview {
    /// Events that were looked at.
    pub(crate) seen: u64,
    /// The window's beginning.
    pub(crate) since: Timestamp,
    /// Of them, how many the bank matches with this change and would not without.
    pub(crate) matched: u64,
    /// How many it would match no more.
    pub(crate) lost: u64,
    /// How many of the new matches a negative bank forbids; they are not in `matched`.
    pub(crate) vetoed: u64,
    /// Accounts among the events of `matched`.
    pub(crate) accounts: u64,
    /// Channels, groups and pages among them.
    pub(crate) spaces: u64,
    /// For members that are to be added, by their place in the file: how many events each would match, the
    /// most first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) by_member: Vec<(usize, u64)>,
    /// The newest of these events.
    pub(crate) samples: Vec<Sample>,
}

/// One event that would have matched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) decision: DecisionId,
    pub(crate) received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    pub(crate) field: String,
    pub(crate) distance: u32,
    /// The part of the text that matched, with what stands around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) excerpt: Option<Excerpt>,
}

impl Preview {
    /// The share of all events that it would match, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        if self.seen == 0 {
            return 0.0;
        }
        self.matched as f64 / self.seen as f64
    }
}

/// What the change would have matched. Everything is looked up as it is for a new event, vetoes of
/// negative banks included. A bank that begins to count is compared with nothing, and nothing with one that
/// ceases to; otherwise the bank counts as live, whatever its mode.
pub(crate) fn preview(
    store: &Store,
    bank: &BankName,
    thought: &Thought,
    window: Window,
) -> Result<Preview, StoreError> {
    let (before, after) = store.read(|reader| matchers(reader, bank, thought))?;
    let (after, before) = (&after, before.as_ref());
    let media_only = after.asks_for_media_only() && before.is_none_or(Matcher::asks_for_media_only);
    let look = |rows: &[RecentRow]| {
        let events = events_of(rows, media_only)?;
        let with = matches_in(after, &events);
        let mut without = before.map(|before| matches_in(before, &events).into_iter());
        let found = events.into_iter().zip(with).filter_map(|(event, with)| {
            let without = without.as_mut().and_then(Iterator::next);
            Looked::of(bank, event, with, without.unwrap_or_default())
        });
        Ok(found.collect())
    };
    let mut counts = Counts::new(window);
    let seen = sweep(store, window, look, |looked: Vec<Looked>| {
        for looked in looked {
            counts.add(looked);
        }
    })?;
    Ok(counts.preview(seen))
}

/// An event that the bank matches with the change, or without it.
struct Looked {
    event: RecentEvent,
    with: Vec<Match>,
    /// Whether a match of the bank counts without the change.
    matched: bool,
}

impl Looked {
    fn of(
        bank: &BankName,
        event: RecentEvent,
        mut with: Vec<Match>,
        without: Vec<Match>,
    ) -> Option<Self> {
        with.retain(|m| m.bank == *bank);
        let counts = |m: &Match| m.bank == *bank && m.withheld.is_none();
        let matched = without.iter().any(counts);
        (matched || !with.is_empty()).then_some(Self {
            event,
            with,
            matched,
        })
    }
}

/// A preview as it grows.
struct Counts {
    preview: Preview,
    accounts: HashSet<String>,
    spaces: HashSet<String>,
    members: HashMap<usize, u64>,
}

impl Counts {
    fn new(window: Window) -> Self {
        Self {
            preview: Preview {
                seen: 0,
                since: window.since,
                matched: 0,
                lost: 0,
                vetoed: 0,
                accounts: 0,
                spaces: 0,
                by_member: Vec::new(),
                samples: Vec::new(),
            },
            accounts: HashSet::new(),
            spaces: HashSet::new(),
            members: HashMap::new(),
        }
    }

    fn add(&mut self, looked: Looked) {
        let Looked {
            event: seen,
            with,
            matched,
        } = looked;
        let preview = &mut self.preview;
        let Some(first) = with.iter().find(|m| m.withheld.is_none()) else {
            let is_vetoed = |m: &Match| matches!(m.withheld, Some(Withheld::Vetoed { .. }));
            preview.vetoed += u64::from(!matched && with.iter().any(is_vetoed));
            preview.lost += u64::from(matched);
            return;
        };
        if matched {
            return;
        }
        preview.matched += 1;
        if preview.samples.len() < SAMPLES_MAX {
            let event = (&seen.event, seen.decision, seen.received_at);
            let shown = sample(event, &first.field, first.span, first.distance);
            preview.samples.push(shown);
        }
        let added = with.iter().filter(|m| m.withheld.is_none());
        let placed: HashSet<usize> = added.filter_map(|m| place_of(m.member)).collect();
        for place in placed {
            if self.members.len() < MEMBERS_COUNTED_MAX || self.members.contains_key(&place) {
                *self.members.entry(place).or_default() += 1;
            }
        }
        self.accounts.extend(seen.event.account.map(|it| it.id));
        self.spaces.extend(seen.event.space.map(|it| it.id));
    }

    fn preview(self, seen: u64) -> Preview {
        let mut by_member: Vec<(usize, u64)> = self.members.into_iter().collect();
        by_member.sort_by_key(|(place, matched)| (Reverse(*matched), *place));
        Preview {
            seen,
            accounts: self.accounts.len() as u64,
            spaces: self.spaces.len() as u64,
            by_member,
            ..self.preview
        }
    }
}

/// An event as it is shown: the field in question, and the part of it.
pub(super) fn sample(
    (event, decision, received_at): (&Event, DecisionId, Timestamp),
    field: &str,
    span: Option<Span>,
    distance: u32,
) -> Sample {
    let text = event.text_at(field);
    Sample {
        source: event.source.clone(),
        id: event.id.clone(),
        decision,
        received_at,
        account: event.account.as_ref().map(|a| a.id.clone()),
        field: field.to_owned(),
        distance,
        excerpt: text.map(|text| match span {
            Some(span) => Excerpt::of(text, span),
            None => Excerpt::whole(text),
        }),
    }
}

/// Members that are only thought of have numbers below all others.
fn thought_of(place: usize) -> MemberId {
    MemberId((1 << 43) + place as i64)
}

fn place_of(member: MemberId) -> Option<usize> {
    usize::try_from(member.0 - (1 << 43)).ok()
}

/// A matcher as things would be and, where the difference counts, one as they are. Both hold the
/// bank, as far as it matters, and the negative banks that veto it; other banks are not read.
fn matchers(
    reader: &Reader,
    bank: &BankName,
    thought: &Thought,
) -> Result<(Option<Matcher>, Matcher), StoreError> {
    let banks = reader.banks()?;
    let counted = |it: &Bank| it.name == *bank && it.enabled && it.settings.mode == BankMode::Live;
    // A bank that begins to count with this change matches nothing that counts before.
    let had = match thought {
        Thought::Add(_) => false,
        Thought::Member(..) => true,
        Thought::Bank(then) => then.mode != BankMode::Live || banks.iter().any(counted),
    };
    let after = Matcher::for_many_events();
    let before = had.then(Matcher::for_many_events);
    let both = |bank: &BankName, member: Member, then: &MemberSettings| {
        let add = |settings: &MemberSettings| Change::Add {
            bank: bank.clone(),
            member: member.id,
            signal: member.signal.clone(),
            settings: settings.clone(),
        };
        after.apply([add(then)]);
        if let Some(before) = &before {
            before.apply([add(&member.settings)]);
        }
    };
    let as_it_is = |bank: &BankName| {
        reader.each_member(bank, |member| {
            let settings = member.settings.clone();
            both(bank, member, &settings);
            Ok(())
        })
    };
    for it in &banks {
        let Bank {
            name,
            enabled,
            settings,
            ..
        } = it;
        let is_this = name == bank;
        if !is_this && !settings.vetoes.contains(bank) {
            continue;
        }
        let then = match thought {
            Thought::Bank(then) if is_this => then,
            _ => settings,
        };
        // One that ceases to count keeps nothing of what it matches now.
        let ceases = is_this && counted(it) && then.mode != BankMode::Live;
        let after_it = if ceases {
            then.clone()
        } else {
            live(then.clone())
        };
        // A bank that is off is looked at as if it were on.
        after.set_bank(name, *enabled || is_this, after_it);
        if let Some(before) = &before {
            before.set_bank(name, *enabled || is_this, live(settings.clone()));
        }
        if !is_this {
            as_it_is(name)?;
        }
    }
    match thought {
        Thought::Bank(_) => as_it_is(bank)?,
        Thought::Member(member, then) => {
            if let Some((of, member, false)) = reader.member(*member)?
                && of == *bank
            {
                both(bank, member, &lively(then));
            }
        }
        Thought::Add(members) => {
            after.apply(members.iter().enumerate().map(|(place, new)| Change::Add {
                bank: bank.clone(),
                member: thought_of(place),
                signal: new.signal.clone(),
                settings: lively(&new.settings),
            }));
        }
    }
    for matcher in before.iter().chain([&after]) {
        matcher.tend();
    }
    Ok((before, after))
}

fn lively(settings: &MemberSettings) -> MemberSettings {
    MemberSettings {
        mode: MemberMode::Live,
        ..settings.clone()
    }
}

fn live(settings: BankSettings) -> BankSettings {
    BankSettings {
        mode: BankMode::Live,
        enable_ratio: Ratio::ALL,
        ..settings
    }
}
