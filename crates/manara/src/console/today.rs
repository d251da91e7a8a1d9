//! What each rule did today, counted from the decisions as they are kept.
//!
//! Decisions are read once: what was counted is remembered, and only newer decisions are read the
//! next time. After a start at most [`DECISIONS_MAX`] are read; what lies before is said to be
//! missing rather than guessed.

use crate::console::Error;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use manara_model::{ActionKind, Author, Decision, Mode, Name};
use manara_store::Reader;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Most decisions read at once.
const DECISIONS_MAX: usize = 20_000;
/// Decisions read in one go.
const PAGE: usize = 500;
/// For how long a count is good enough.
const FRESH: SignedDuration = SignedDuration::from_secs(3);

/// What one rule did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Did {
    /// How often it fired and had its effect.
    pub(super) live: u64,
    /// How often it fired without effect: in shadow, or on matches that are withheld.
    pub(super) shadow: u64,
    /// What it asked for where it had its effect, by kind.
    pub(super) actions: BTreeMap<ActionKind, u64>,
    pub(super) last: Option<Timestamp>,
}

/// What all rules did since midnight, UTC.
#[derive(Debug, Clone, Default)]
pub(super) struct Today {
    pub(super) rules: HashMap<Name, Did>,
    /// When the count begins, where that is later than midnight.
    pub(super) since: Option<Timestamp>,
}

/// The count, kept from page to page.
#[derive(Debug)]
pub(super) struct Counting {
    counted: Mutex<Counted>,
    /// Most decisions read at once.
    decisions_max: usize,
}

impl Default for Counting {
    fn default() -> Self {
        Self::of_at_most(DECISIONS_MAX)
    }
}

#[derive(Debug, Default)]
struct Counted {
    midnight: Option<Timestamp>,
    /// The newest leaf that was counted.
    newest: Option<u64>,
    read_at: Option<Timestamp>,
    today: Arc<Today>,
}

impl Counting {
    /// A count that reads at most so many decisions at once, rounded up to whole pages of 500.
    pub(super) fn of_at_most(decisions_max: usize) -> Self {
        Self {
            counted: Mutex::default(),
            decisions_max,
        }
    }

    /// What was done since midnight, as of a moment ago. Blocks.
    pub(super) fn today(&self, reader: &Reader, now: Timestamp) -> Result<Arc<Today>, Error> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let midnight = midnight(now);
        if counted.midnight != Some(midnight) {
            counted.midnight = Some(midnight);
            counted.read_at = None;
            counted.today = Arc::default();
        }
        let is_fresh = counted
            .read_at
            .is_some_and(|at| now.duration_since(at).abs() < FRESH);
        if !is_fresh {
            let newer = newer(reader, counted.newest, midnight, self.decisions_max)?;
            let today = Arc::make_mut(&mut counted.today);
            newer.decisions.iter().for_each(|it| today.add(it));
            today.since = today.since.or(newer.since);
            counted.newest = newer.newest.or(counted.newest);
            counted.read_at = Some(now);
        }
        Ok(Arc::clone(&counted.today))
    }
}

struct Newer {
    decisions: Vec<Decision>,
    newest: Option<u64>,
    /// When the oldest one was made, if there were more.
    since: Option<Timestamp>,
}

/// The decisions of today after leaf `after`, about `max` of them, the newest.
fn newer(
    reader: &Reader,
    after: Option<u64>,
    midnight: Timestamp,
    max: usize,
) -> Result<Newer, Error> {
    let mut found = Newer {
        decisions: Vec::new(),
        newest: None,
        since: None,
    };
    let mut before = None;
    loop {
        let page = reader.decisions_between(after, before, PAGE)?;
        let Some((oldest, _)) = page.last() else {
            break;
        };
        before = Some(*oldest);
        found.newest = found.newest.or(page.first().map(|(leaf, _)| *leaf));
        let is_last = page.len() < PAGE;
        let had = found.decisions.len();
        let of_today = page
            .into_iter()
            .map(|(_, it)| it)
            .filter(|it| it.at >= midnight);
        found.decisions.extend(of_today);
        // Decisions are kept in nearly the order in which they were made.
        if is_last || found.decisions.len() == had {
            break;
        }
        if found.decisions.len() >= max {
            found.since = found.decisions.iter().map(|it| it.at).min();
            break;
        }
    }
    Ok(found)
}

impl Today {
    fn add(&mut self, decision: &Decision) {
        if decision.author != Author::Rules {
            return;
        }
        for verdict in &decision.verdicts {
            let did = self.rules.entry(verdict.rule.clone()).or_default();
            did.last = did.last.max(Some(decision.at));
            if verdict.mode != Mode::Live {
                did.shadow += 1;
                continue;
            }
            did.live += 1;
            for effect in &verdict.effects {
                *did.actions.entry(effect.kind).or_default() += 1;
            }
        }
    }
}

fn midnight(now: Timestamp) -> Timestamp {
    let day = now.to_zoned(TimeZone::UTC).start_of_day();
    day.map_or(now, |day| day.timestamp())
}
