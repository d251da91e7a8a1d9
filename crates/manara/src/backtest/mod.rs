//! Back-tests: what rules would have done with the events that are kept.
//!
//! ```text
//!   log, oldest first ── pages ──▶ threads: read, match, begin ──▶ in order: State ─▶ judge, settle ─▶ Report
//!        │                                                        (one for each side)
//!        └ begins earlier than asked, so that counters are full when the first event counts
//! ```
//! The same two steps as live evaluation, with the same counters. Labels and strikes are those there were when
//! the time begins, and what the rules themselves bring about from then on. Banks and sets are as they are now: the
//! question is what the rules would do today.

mod report;
#[cfg(test)]
mod tests;

pub(crate) use report::{Difference, Precision, Report, RuleReport, Sample, Tallied};

use crate::banks;
use crate::matcher::Matcher;
use anyhow::Result;
use jiff::Timestamp;
use manara_model::{Action, DecisionId, Facts, Held, Match, Mode, Outcome, Verdict, actions_of};
use manara_rules::{Begun, Opened, Readings, Recollection, RuleSet, Sets, Settings, State, Undo};
use manara_store::{LogRow, RecentEvent, Store, StoreError};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};
use std::thread;

/// Events that a thread looks at together.
const TOGETHER: usize = 512;
/// Pages read on one snapshot.
const PAGES: usize = 8;
/// Pages that wait before or behind each thread.
const WAITING_MAX: usize = 2;
/// How often what can no longer be asked about is forgotten, in events.
const FORGOTTEN_EVERY: u64 = 100_000;

/// What is to be tried.
pub(crate) struct Trial {
    /// The rules as they are, if they are to be compared with others.
    pub(crate) old: Option<Arc<RuleSet>>,
    /// The rules that are tried.
    pub(crate) new: Arc<RuleSet>,
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) settings: Settings,
    /// Threads that look at events.
    pub(crate) threads: usize,
    /// Whether drafts, shadow and shares are taken as if they were live, to see what they would do.
    pub(crate) as_if_live: bool,
}

/// How far a trial has come: events looked at, of how many.
pub(crate) type Progress<'a> = dyn FnMut(u64, u64) + 'a;

/// Tries rules on what is kept. `cancelled` ends it early.
pub(crate) fn run(
    store: &Store,
    trial: &Trial,
    cancelled: &AtomicBool,
    progress: &mut Progress<'_>,
) -> Result<Report> {
    let matcher = matcher_for(store, trial)?;
    let sets = store.read(manara_store::Reader::sets)?;
    let mut known = Sets::default();
    for (name, items) in sets {
        known.set(name.as_str(), items);
    }
    let mut report = Report::new(trial, store.read(|r| r.judged_events(trial.since))?);
    let mut sides = sides(store, trial, &known)?;
    let reach = sides.iter().map(|side| side.state.reach()).max();
    let warm = reach.and_then(|reach| trial.since.checked_sub(reach).ok());
    let from = store.read(|r| r.leaf_before(warm.unwrap_or(Timestamp::MIN)))?;
    let total = store.read(|r| r.events_after(from))?;
    let matches = asks_banks(trial).then_some(&matcher);
    let rules: Vec<Arc<RuleSet>> = sides.iter().map(|side| Arc::clone(&side.rules)).collect();
    let keys = trial.settings.keys.clone();
    let look = |rows: &[LogRow]| look_at(rows, &rules, matches, &known, &keys, trial);
    let mut seen = 0;
    in_order(
        store,
        from,
        trial,
        cancelled,
        look,
        |page: Vec<Looked>, rows| {
            for looked in page {
                step(looked, &mut sides, trial, &mut report);
            }
            let before = seen / FORGOTTEN_EVERY;
            seen += rows as u64;
            if seen / FORGOTTEN_EVERY != before {
                for side in &mut sides {
                    side.state.sweep();
                }
            }
            progress(seen.min(total), total);
        },
    )?;
    report.finish(cancelled.load(Ordering::Relaxed));
    Ok(report)
}

/// One set of rules with all it remembers.
struct Side {
    rules: Arc<RuleSet>,
    state: State,
    past: Recollection,
}

fn sides(store: &Store, trial: &Trial, sets: &Sets) -> Result<Vec<Side>> {
    let mut past = Recollection::new(sets.clone());
    for it in store.read(|r| r.labels_at(trial.since))? {
        past.label(it.entity, it.label.as_str(), it.set_at, it.ends_at);
    }
    for it in store.read(|r| r.strikes_before(trial.since))? {
        past.strike(&it.account, it.weight.into(), it.at);
    }
    let side = |rules: &Arc<RuleSet>| Side {
        rules: Arc::clone(rules),
        state: State::new(rules, trial.settings.clone()),
        past: past.clone(),
    };
    Ok(trial.old.iter().chain([&trial.new]).map(side).collect())
}

fn asks_banks(trial: &Trial) -> bool {
    let mut sides = trial.old.iter().chain([&trial.new]);
    sides.any(|rules| !rules.banks().is_empty())
}

/// The banks that the rules ask, as they are now.
fn matcher_for(store: &Store, trial: &Trial) -> Result<Matcher> {
    let matcher = Matcher::for_many_events();
    let sides = trial.old.iter().chain([&trial.new]);
    let asked: Vec<_> = sides
        .flat_map(|rules| rules.banks())
        .map(|(name, _)| name)
        .collect();
    if !asked.is_empty() {
        banks::load_for(store, &matcher, &asked)?;
    }
    Ok(matcher)
}

/// What a thread made of one event.
struct Looked {
    seen: RecentEvent,
    matches: Vec<Match>,
    /// For each side, what its rules made of it.
    begun: Vec<Begun>,
    /// Whether it only fills counters.
    warms: bool,
}

fn look_at(
    rows: &[LogRow],
    sides: &[Arc<RuleSet>],
    matcher: Option<&Matcher>,
    sets: &Sets,
    keys: &manara_rules::counters::KeyHasher,
    trial: &Trial,
) -> Result<Vec<Looked>, StoreError> {
    let wanted = rows.iter().filter(|row| row.received_at <= trial.until);
    let events: Vec<RecentEvent> = wanted.map(LogRow::event).collect::<Result<_, _>>()?;
    let matches = match matcher {
        Some(matcher) => crate::recent::matches_in(matcher, &events),
        None => events.iter().map(|_| Vec::new()).collect(),
    };
    let looked = events.into_iter().zip(matches).map(|(seen, mut matches)| {
        matches.retain(|it| it.withheld.is_none());
        let warms = seen.received_at < trial.since;
        let facts = facts(&seen, &matches);
        let begun = sides
            .iter()
            .map(|rules| match (warms, trial.as_if_live) {
                (true, _) => rules.begin_counting(&facts, sets, keys),
                (false, true) => rules.begin_all(&facts, sets, keys),
                (false, false) => rules.begin(&facts, sets, keys),
            })
            .collect();
        Looked {
            seen,
            matches,
            begun,
            warms,
        }
    });
    Ok(looked.collect())
}

fn facts<'a>(seen: &'a RecentEvent, matches: &'a [Match]) -> Facts<'a> {
    Facts {
        event: &seen.event,
        media: &seen.media,
        matches,
        received_at: seen.received_at,
    }
}

/// The second step, on each side; and what came of it into the report.
fn step(looked: Looked, sides: &mut [Side], trial: &Trial, report: &mut Report) {
    let Looked {
        seen,
        matches,
        begun,
        warms,
    } = looked;
    let facts = facts(&seen, &matches);
    let mut said: Vec<Vec<Verdict>> = Vec::with_capacity(sides.len());
    let newest = sides.len().saturating_sub(1);
    for (place, (side, begun)) in sides.iter_mut().zip(begun).enumerate() {
        if begun.is_done() {
            said.push(Vec::new());
            continue;
        }
        let (verdicts, opened) = side.judge(&facts, begun, trial);
        // Of a comparison, the circuit breakers of the new rules are what is asked about.
        if !warms && place == newest {
            report.opened(&opened, seen.received_at);
        }
        said.push(verdicts);
    }
    if warms {
        return;
    }
    report.event(&seen, &said);
}

impl Side {
    fn judge(
        &mut self,
        facts: &Facts<'_>,
        begun: Begun,
        trial: &Trial,
    ) -> (Vec<Verdict>, Vec<Opened>) {
        let mut undo = Undo::none();
        let readings = self.state.count(
            &self.rules,
            &begun,
            facts.event,
            facts.received_at,
            &mut undo,
        );
        let mut judged = self
            .state
            .judge(&self.rules, facts, begun, &readings, &self.past);
        if trial.as_if_live {
            for it in &mut judged {
                it.verdict.mode = Mode::Live;
            }
        }
        let settled = self.state.settle(
            &self.rules,
            judged,
            facts.event,
            facts.received_at,
            &self.past,
            &mut undo,
        );
        let (mut verdicts, opened) = settled;
        for verdict in &mut verdicts {
            // The question is what the rule would do, and not when it would be stopped; that is told beside.
            let is_limit = matches!(verdict.held, Some(Held::RuleLimit | Held::ServerLimit));
            if is_limit || (trial.as_if_live && verdict.held == Some(Held::Share)) {
                (verdict.mode, verdict.held) = (Mode::Live, None);
            }
        }
        self.past
            .remember(facts.event, &verdicts, facts.received_at);
        (verdicts, opened)
    }
}

/// The actions these verdicts lead to.
fn actions(seen: &RecentEvent, verdicts: &[Verdict]) -> Vec<Action> {
    actions_of(
        DecisionId::new(0, 0),
        seen.received_at,
        verdicts,
        |r#type, index| seen.event.entity(r#type, index),
    )
}

/// People's judgements by the decisions they were about.
type Judged = HashMap<DecisionId, Outcome>;

type Page<T> = Result<T, StoreError>;

/// Shows `look` the log from a leaf on, page by page on several threads, and gives `each` what it made of them,
/// in the order of the log.
fn in_order<T: Send>(
    store: &Store,
    from: Option<u64>,
    trial: &Trial,
    cancelled: &AtomicBool,
    look: impl Fn(&[LogRow]) -> Result<T, StoreError> + Sync,
    mut each: impl FnMut(T, usize),
) -> Result<(), StoreError> {
    let look = &look;
    thread::scope(|scope| {
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..trial.threads.max(1) {
            let (give, rows) = sync_channel(WAITING_MAX);
            let (tell, told) = sync_channel(WAITING_MAX);
            given.push(give);
            taken.push(told);
            scope.spawn(move || looking(&rows, &tell, look));
        }
        scope.spawn(move || reading(store, from, trial.until, cancelled, &given));
        // The pages went out in turn, so they are taken back in turn; who has none ends it.
        for told in taken.iter().cycle() {
            let Ok(told) = told.recv() else { break };
            let (looked, rows) = told?;
            each(looked, rows);
        }
        Ok(())
    })
}

fn reading(
    store: &Store,
    from: Option<u64>,
    until: Timestamp,
    cancelled: &AtomicBool,
    given: &[SyncSender<Page<Vec<LogRow>>>],
) {
    let mut after = from;
    let mut given = given.iter().cycle();
    let mut give = |page| given.next().is_some_and(|to| to.send(page).is_ok());
    while !cancelled.load(Ordering::Relaxed) {
        let rows = match store.read(|r| r.log_after(after, PAGES * TOGETHER)) {
            Ok(rows) => rows,
            Err(error) => {
                give(Err(error));
                return;
            }
        };
        let Some(newest) = rows.last() else { return };
        after = Some(newest.leaf);
        let is_over = rows.iter().all(|row| row.received_at > until);
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            if !give(Ok(rows.by_ref().take(TOGETHER).collect())) {
                return;
            }
        }
        if is_over {
            return;
        }
    }
}

fn looking<T>(
    pages: &Receiver<Page<Vec<LogRow>>>,
    tell: &SyncSender<Page<(T, usize)>>,
    look: &impl Fn(&[LogRow]) -> Result<T, StoreError>,
) {
    for page in pages {
        let told = page.and_then(|rows| Ok((look(&rows)?, rows.len())));
        let failed = told.is_err();
        if tell.send(told).is_err() || failed {
            return;
        }
    }
}

/// What counters read for an event, and what is known of labels, strikes and sets, from everything that was
/// received before it. Of an event that is kept, what came after it is left out.
pub(crate) fn before(
    store: &Store,
    rules: &RuleSet,
    matcher: &Matcher,
    seen: &RecentEvent,
    matches: &[Match],
    settings: Settings,
) -> Result<(Readings, Recollection)> {
    let mut state = State::new(rules, settings);
    let mut sets = Sets::default();
    for (name, items) in store.read(manara_store::Reader::sets)? {
        sets.set(name.as_str(), items);
    }
    let mut past = Recollection::new(sets.clone());
    for it in store.read(|r| r.labels_at(seen.received_at))? {
        past.label(it.entity, it.label.as_str(), it.set_at, it.ends_at);
    }
    for it in store.read(|r| r.strikes_before(seen.received_at))? {
        past.strike(&it.account, it.weight.into(), it.at);
    }
    let own = (&seen.event.source, &seen.event.id);
    let since = seen.received_at.checked_sub(state.reach())?;
    let mut after = store.read(|r| r.leaf_before(since))?;
    let asks_banks = rules.counters_ask_banks();
    'log: while !rules.counters().is_empty() {
        let rows = store.read(|r| r.log_after(after, PAGES * TOGETHER))?;
        let Some(newest) = rows.last() else { break };
        after = Some(newest.leaf);
        for row in &rows {
            let earlier = row.event()?;
            let is_own = (&earlier.event.source, &earlier.event.id) == own;
            if is_own || row.received_at > seen.received_at {
                break 'log;
            }
            let mut matches = Vec::new();
            if asks_banks {
                matches = matcher.matches_of_recent(&earlier);
                matches.retain(|it| it.withheld.is_none());
            }
            let begun = rules.begin_counting(&facts(&earlier, &matches), &sets, state.keys());
            let mut undo = Undo::none();
            state.count(
                rules,
                &begun,
                &earlier.event,
                earlier.received_at,
                &mut undo,
            );
        }
    }
    let begun = rules.begin_reading(&facts(seen, matches), &sets, state.keys());
    let readings = state.count(
        rules,
        &begun,
        &seen.event,
        seen.received_at,
        &mut Undo::none(),
    );
    Ok((readings, past))
}
