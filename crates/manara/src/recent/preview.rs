//! Blast radius: before a member or a setting goes live, what it would have matched.

use super::{Window, sweep};
use crate::matcher::{Change, Matcher};
use crate::scan::Excerpt;
use jiff::Timestamp;
use manara_model::{
    BankMode, BankName, BankSettings, DecisionId, Event, Match, MemberId, MemberMode,
    MemberSettings, NewMember, Ratio, Span, Withheld,
};
use manara_store::{BankChange, BankCursor, Reader, StoreError};
use serde::Serialize;
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
    reader: &Reader,
    bank: &BankName,
    thought: &Thought,
    window: Window,
) -> Result<Preview, StoreError> {
    let (before, after) = matchers(reader, bank, thought)?;
    let mut preview = Preview {
        seen: 0,
        since: window.since,
        matched: 0,
        lost: 0,
        vetoed: 0,
        accounts: 0,
        spaces: 0,
        by_member: Vec::new(),
        samples: Vec::new(),
    };
    let (mut accounts, mut spaces) = (HashSet::new(), HashSet::new());
    let mut members: HashMap<usize, u64> = HashMap::new();
    let of_bank = |matches: Vec<Match>| -> Vec<Match> {
        matches.into_iter().filter(|m| m.bank == *bank).collect()
    };
    preview.seen = sweep(reader, &after, window, |seen, matches| {
        let matches = of_bank(matches);
        let without = before
            .as_ref()
            .map(|before| of_bank(before.matches_of_recent(&seen)))
            .unwrap_or_default();
        let matched = without.iter().any(|m| m.withheld.is_none());
        let Some(first) = matches.iter().find(|m| m.withheld.is_none()) else {
            let is_vetoed = |m: &Match| matches!(m.withheld, Some(Withheld::Vetoed { .. }));
            preview.vetoed += u64::from(!matched && matches.iter().any(is_vetoed));
            preview.lost += u64::from(matched);
            return;
        };
        if matched {
            return;
        }
        preview.matched += 1;
        if let Some(account) = &seen.event.account {
            accounts.insert(account.id.clone());
        }
        if let Some(space) = &seen.event.space {
            spaces.insert(space.id.clone());
        }
        let added = matches.iter().filter(|m| m.withheld.is_none());
        let placed: HashSet<usize> = added.filter_map(|m| place_of(m.member)).collect();
        for place in placed {
            if members.len() < MEMBERS_COUNTED_MAX || members.contains_key(&place) {
                *members.entry(place).or_default() += 1;
            }
        }
        if preview.samples.len() < SAMPLES_MAX {
            let event = (&seen.event, seen.decision, seen.received_at);
            let shown = sample(event, &first.field, first.span, first.distance);
            preview.samples.push(shown);
        }
    })?;
    preview.accounts = accounts.len() as u64;
    preview.spaces = spaces.len() as u64;
    preview.by_member = members.into_iter().collect();
    preview
        .by_member
        .sort_by_key(|(place, matched)| (std::cmp::Reverse(*matched), *place));
    Ok(preview)
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
/// bank, as far as it matters, and the negative banks that veto it.
fn matchers(
    reader: &Reader,
    bank: &BankName,
    thought: &Thought,
) -> Result<(Option<Matcher>, Matcher), StoreError> {
    let after = Matcher::default();
    let before = (!matches!(thought, Thought::Add(_))).then(Matcher::default);
    let mut negative: HashSet<BankName> = HashSet::new();
    let (mut batch, mut begins) = ((Vec::new(), Vec::new()), false);
    reader.bank_changes(&BankCursor::default(), &mut |change| match change {
        BankChange::Bank {
            name,
            enabled,
            settings,
        } => {
            let is_this = name == *bank;
            if is_this || settings.vetoes.contains(bank) {
                let now = live(settings.clone());
                let counted = enabled && settings.mode == BankMode::Live;
                let then = match thought {
                    Thought::Bank(then) if is_this => {
                        let counts = then.mode == BankMode::Live;
                        begins = counts && !counted;
                        // One that ceases to count keeps nothing of what it matches now.
                        let ceases = counted && !counts;
                        if ceases {
                            then.clone()
                        } else {
                            live(then.clone())
                        }
                    }
                    _ => now.clone(),
                };
                // A bank that is off is looked at as if it were on.
                after.set_bank(&name, enabled || is_this, then);
                if let Some(before) = &before {
                    before.set_bank(&name, enabled || is_this, now);
                }
                if !is_this {
                    negative.insert(name);
                }
            }
        }
        BankChange::Member {
            bank: of,
            member,
            signal,
            settings,
            ..
        } => {
            let wanted = match thought {
                Thought::Add(_) => false,
                Thought::Member(it, _) => of == *bank && member == *it,
                Thought::Bank(_) => of == *bank,
            };
            if wanted || negative.contains(&of) {
                let then = match thought {
                    Thought::Member(it, settings) if member == *it => MemberSettings {
                        mode: MemberMode::Live,
                        ..settings.clone()
                    },
                    _ => settings.clone(),
                };
                let add = |settings| Change::Add {
                    bank: of.clone(),
                    member,
                    signal: signal.clone(),
                    settings,
                };
                batch.0.push(add(then));
                // Of a bank that begins to count nothing counts before.
                if before.is_some() && !(begins && of == *bank) {
                    batch.1.push(add(settings));
                }
            }
        }
        BankChange::Settings { .. } | BankChange::Removed { .. } => {}
    })?;
    after.apply(batch.0);
    if let Some(before) = &before {
        before.apply(batch.1);
    }
    if let Thought::Add(members) = thought {
        after.apply(members.iter().enumerate().map(|(place, new)| Change::Add {
            bank: bank.clone(),
            member: thought_of(place),
            signal: new.signal.clone(),
            settings: MemberSettings {
                mode: MemberMode::Live,
                ..new.settings.clone()
            },
        }));
    }
    Ok((before, after))
}

fn live(settings: BankSettings) -> BankSettings {
    BankSettings {
        mode: BankMode::Live,
        enable_ratio: Ratio::ALL,
        ..settings
    }
}
