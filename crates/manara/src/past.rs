//! What a server remembers from event to event: counters, what fired once, how often rules acted.
//!
//! It is kept in memory and follows from the log alone. Events are remembered on the writer's thread, in the
//! order of the log and in the same transaction as they are kept: what is rolled back is forgotten again. A
//! restart reads a snapshot and the log after it; without one, the log as far back as the rules look.
//!
//! ```text
//!   stage 1, anywhere:   event ─ begin ─▶ Pending
//!   stage 2, the writer: Pending ─ count, judge, settle ─▶ verdicts ─ one commit
//!                            │ labels, strikes and stops are asked of the same transaction
//!                            └ undone when the commit fails
//! ```

use crate::clock;
use crate::evaluate::Pending;
use crate::matcher::Matcher;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use manara_model::{
    Action, ActionId, ActionKind, DecisionId, Detail, Entity, EntityType, Facts, Match, Name,
    actions_of,
};
use manara_rules::counters::KeyHasher;
use manara_rules::{Breakers, Fresh, Opened, Past, RuleSet, Sets, Settings, State, Stopped, Undo};
use manara_store::{LogRow, NewEvent, NewStop, Reader, Store, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The queue of cases about rules that were stopped.
const QUEUE: &str = "rules";
/// Somebody should look at once: either much is done wrongly, or an attack goes on and the rule has no effect.
const PRIORITY: u8 = 9;
/// To whom the platform is to pass word of a rule that was stopped.
const TOLD: &str = "policy";
/// Events read at a time when the log is read again.
const PAGE: usize = 1_000;
/// How often a snapshot is kept, and how often one that is large.
const KEPT_EVERY: Duration = Duration::from_mins(5);
const LARGE_KEPT_EVERY: Duration = Duration::from_hours(1);
/// Writing a larger snapshot holds up the writer for longer than a request should wait.
const LARGE_BYTES: usize = 64 * 1024 * 1024;
const SWEPT_EVERY: Duration = Duration::from_secs(1);
const MAGIC: &[u8; 8] = b"MNRpast1";

/// Counters, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counters {
    /// Most keys of one counter.
    pub(crate) keys_max: usize,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            keys_max: 1_000_000,
        }
    }
}

/// Circuit breakers, as configured: events on which rules may act; 0: as many as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) rule_per_hour: u32,
    pub(crate) rule_per_day: u32,
    pub(crate) mild_rule_per_hour: u32,
    pub(crate) mild_rule_per_day: u32,
    pub(crate) server_per_hour: u32,
    pub(crate) server_per_day: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let Breakers {
            rule_hour,
            rule_day,
            mild_rule_hour,
            mild_rule_day,
            server_hour,
            server_day,
        } = Breakers::default();
        Self {
            rule_per_hour: rule_hour,
            rule_per_day: rule_day,
            mild_rule_per_hour: mild_rule_hour,
            mild_rule_per_day: mild_rule_day,
            server_per_hour: server_hour,
            server_per_day: server_day,
        }
    }
}

impl Limits {
    /// What a state is made with. `secret` makes the keys of counters.
    pub(crate) fn settings(self, counters: Counters, secret: [u8; 16]) -> Settings {
        Settings {
            keys: KeyHasher::new(secret),
            keys_max: counters.keys_max,
            breakers: Breakers {
                rule_hour: self.rule_per_hour,
                rule_day: self.rule_per_day,
                mild_rule_hour: self.mild_rule_per_hour,
                mild_rule_day: self.mild_rule_per_day,
                server_hour: self.server_per_hour,
                server_day: self.server_per_day,
            },
        }
    }
}

/// The secret of counters' keys, made from the seed of the audit log's key, so that nothing more has to be kept.
pub(crate) fn counters_secret(audit_seed: &[u8; 32]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(b"manara counters\0");
    hasher.update(audit_seed);
    let digest: [u8; 32] = hasher.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// What the server remembers, shared.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Store,
    matcher: Arc<Matcher>,
    keys: KeyHasher,
    sets: RwLock<Arc<Sets>>,
    kept: Mutex<Kept>,
    file: PathBuf,
}

#[derive(Debug)]
struct Kept {
    rules: Arc<RuleSet>,
    state: State,
    /// The decision on the event that was remembered last.
    last: Option<DecisionId>,
    settings: Settings,
}

impl Keeper {
    /// Remembers what the log says: a snapshot and what came after it, or the log as far as the rules look back.
    pub(crate) fn open(
        store: &Store,
        matcher: &Arc<Matcher>,
        rules: Arc<RuleSet>,
        settings: Settings,
        file: PathBuf,
    ) -> Result<Self> {
        let mut state = State::new(&rules, settings.clone());
        let keys = settings.keys.clone();
        let started = Instant::now();
        let after = match restored(&file, &mut state, store) {
            Ok(Some(leaf)) => Some(leaf),
            Ok(None) => {
                state = State::new(&rules, settings.clone());
                start_of(store, &state)?
            }
            Err(error) => {
                tracing::warn!("counters are made anew from the log: {error:#}");
                state = State::new(&rules, settings.clone());
                start_of(store, &state)?
            }
        };
        let sets = Arc::new(store.read(Reader::sets).map(sets_of)?);
        let mut last = None;
        let read = replay(store, matcher, &rules, &sets, &mut state, after, &mut last)?;
        tracing::info!(
            events = read,
            took_ms = started.elapsed().as_millis() as u64,
            "counters are up to date"
        );
        Ok(Self {
            store: store.clone(),
            matcher: Arc::clone(matcher),
            keys,
            sets: RwLock::new(sets),
            kept: Mutex::new(Kept {
                rules,
                state,
                last,
                settings,
            }),
            file,
        })
    }

    /// Makes the keys of counters.
    pub(crate) fn keys(&self) -> &KeyHasher {
        &self.keys
    }

    /// The sets that operators keep, as they are now.
    pub(crate) fn sets(&self) -> Arc<Sets> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&sets)
    }

    /// Sets that the rules ask and nobody keeps: what is asked of them is unknown.
    pub(crate) fn missing_sets(&self) -> Vec<String> {
        let sets = self.sets();
        let kept = self.kept();
        let asked = kept.rules.sets();
        asked
            .filter(|asked| !sets.names().any(|name| name == *asked))
            .map(str::to_owned)
            .collect()
    }

    /// Takes up what was changed about sets.
    pub(crate) fn follow_sets(&self) -> Result<(), StoreError> {
        let sets = Arc::new(self.store.read(Reader::sets).map(sets_of)?);
        *self.sets.write().unwrap_or_else(PoisonError::into_inner) = sets;
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with other rules; their new counters are filled from the log first. Blocks.
    pub(crate) fn adopt(self: &Arc<Self>, rules: &Arc<RuleSet>) -> Result<()> {
        let (mut trial, settings) = {
            let kept = self.kept();
            if kept.state.is_for(rules) {
                // The same rules in the eyes of counters; versions and comments may differ.
                drop(kept);
                self.kept().rules = Arc::clone(rules);
                return Ok(());
            }
            (
                State::new(&kept.rules, kept.settings.clone()),
                kept.settings.clone(),
            )
        };
        let new = trial.adopt(rules);
        let mut filled = State::new(rules, settings);
        let mut last = None;
        if !new.is_empty() {
            let after = start_of(&self.store, &filled)?;
            let sets = self.sets();
            replay(
                &self.store,
                &self.matcher,
                rules,
                &sets,
                &mut filled,
                after,
                &mut last,
            )?;
        }
        let (keeper, rules) = (Arc::clone(self), Arc::clone(rules));
        let written = self.store.write_blocking(move |tx| {
            // After the commit nothing else is under way, so that what is read is what was remembered.
            // Otherwise the earlier rules stay: what was remembered by their counters is yet to be undone.
            tx.when_ended(move |stands| {
                if stands {
                    keeper.take_up(&rules, filled, last, &new);
                }
            });
            Ok(tx.unchanged(()))
        });
        written.context("putting the rules' counters in force")
    }

    /// The rest of the log into the new counters, and then all goes on with them.
    fn take_up(
        &self,
        rules: &Arc<RuleSet>,
        mut filled: State,
        mut last: Option<DecisionId>,
        new: &Fresh,
    ) {
        if !new.is_empty()
            && let Err(error) = self.catch_up(rules, &mut filled, &mut last)
        {
            tracing::error!("new counters begin too low: the log could not be read: {error:#}");
        }
        let mut kept = self.kept();
        kept.state.adopt(rules);
        kept.state.take(&filled, new);
        kept.rules = Arc::clone(rules);
    }

    /// Remembers what came after the event that was remembered last.
    fn catch_up(
        &self,
        rules: &RuleSet,
        filled: &mut State,
        last: &mut Option<DecisionId>,
    ) -> Result<()> {
        let after = match *last {
            Some(decision) => self.store.read(|reader| reader.leaf_of_event(decision))?,
            None => start_of(&self.store, filled)?,
        };
        let sets = self.sets();
        replay(
            &self.store,
            &self.matcher,
            rules,
            &sets,
            filled,
            after,
            last,
        )?;
        Ok(())
    }

    /// The second stage for events that are kept together, called within their transaction. What is
    /// remembered is added to `undo`.
    fn decide(
        &self,
        reader: &Reader,
        new: &mut NewEvent,
        pending: Pending,
        undo: &mut Undo,
    ) -> Result<Vec<NewStop>, StoreError> {
        let mut kept = self.kept();
        let Kept { rules, state, .. } = &mut *kept;
        let rules = Arc::clone(rules);
        let sets = self.sets();
        // The rules may have changed since the event was begun.
        let pending = pending.for_rules(&rules, new, &sets, &self.keys);
        let past = StoredPast::new(reader, &sets);
        let (verdicts, opened) = pending.finish(&rules, state, new, &past, undo);
        past.ended()?;
        let decision = &mut new.decision;
        let event = &new.event;
        decision.actions = actions_of(decision.id, decision.at, &verdicts, |r#type, index| {
            event.entity(r#type, index)
        });
        decision.verdicts = verdicts;
        Ok(stopped(new, opened))
    }

    /// Keeps events with their decisions, in one write. `pending` has what was begun for each.
    pub(crate) fn record(
        self: &Arc<Self>,
        tx: &mut manara_store::Tx<'_>,
        events: Vec<NewEvent>,
        pending: Vec<Pending>,
    ) -> Result<manara_store::Committed<Vec<manara_store::Recorded>>, StoreError> {
        self.kept().state.warm(pending.iter().map(Pending::begun));
        let mut pending: Vec<Option<Pending>> = pending.into_iter().map(Some).collect();
        let mut undo = Undo::default();
        let mut last = None;
        let recorded = tx.record_events_with(events, |reader, index, new| {
            last = Some(new.decision.id);
            match pending.get_mut(index).and_then(Option::take) {
                Some(pending) if !pending.is_done() => self.decide(reader, new, pending, &mut undo),
                _ => Ok(Vec::new()),
            }
        });
        let keeper = Arc::clone(self);
        tx.when_ended(move |stands| {
            let mut kept = keeper.kept();
            if stands {
                kept.last = last.or(kept.last);
            } else {
                kept.state.undo(undo);
            }
        });
        recorded
    }

    /// Gives back memory and keeps snapshots, as long as the server runs.
    pub(crate) async fn tend(self: Arc<Self>) {
        let mut kept_at = Instant::now();
        let mut tick = tokio::time::interval(SWEPT_EVERY);
        loop {
            tick.tick().await;
            let bytes = {
                let mut kept = self.kept();
                kept.state.sweep();
                kept.state.memory_bytes()
            };
            metrics::gauge!("manara_counters_bytes").set(bytes as f64);
            let every = if bytes > LARGE_BYTES {
                LARGE_KEPT_EVERY
            } else {
                KEPT_EVERY
            };
            if kept_at.elapsed() >= every {
                kept_at = Instant::now();
                if let Err(error) = self.keep().await {
                    tracing::warn!("no snapshot of the counters was kept: {error:#}");
                }
            }
        }
    }

    /// Keeps a snapshot, so that the next start is quick.
    pub(crate) async fn keep(self: &Arc<Self>) -> Result<()> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let keeper = Arc::clone(self);
        self.store
            .write(move |tx| {
                // Between two groups of writes everything that is remembered is committed.
                tx.when_ended(move |_| {
                    let kept = keeper.kept();
                    let parts: Vec<u8> = kept.state.parts().flatten().collect();
                    let _ = tell.send((kept.last, parts));
                });
                Ok(tx.unchanged(()))
            })
            .await?;
        let (last, parts) = told.await.context("the store was closed")?;
        let Some(last) = last else {
            return Ok(());
        };
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || write_snapshot(&file, last, &parts)).await?
    }

    /// How these rules count and how often they may act.
    pub(crate) fn settings(&self) -> Settings {
        self.kept().settings.clone()
    }

    /// What each counter holds, for the console and metrics.
    pub(crate) fn counters(&self) -> Vec<CounterStatus> {
        let kept = self.kept();
        let declared = kept.state.declared(&kept.rules);
        let status =
            |(declared, counter): (&manara_rules::Counter, &manara_rules::counters::Counter)| {
                let stats = counter.stats();
                CounterStatus {
                    name: declared.name.clone(),
                    text: declared.text.clone(),
                    keys: counter.len(),
                    keys_max: counter.keys_max(),
                    bytes: counter.memory_bytes(),
                    evicted: stats.evicted,
                    largest_lost: stats.largest_lost,
                    dropped_late: stats.dropped_late,
                }
            };
        declared.map(status).collect()
    }
}

/// What a counter holds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CounterStatus {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) keys: usize,
    pub(crate) keys_max: usize,
    pub(crate) bytes: usize,
    /// Keys that were put out because there was no more room.
    pub(crate) evicted: u64,
    /// Counts may be too low by so much.
    pub(crate) largest_lost: u64,
    pub(crate) dropped_late: u64,
}

/// Adds what tells people of circuit breakers that opened, and says what is to be kept of them.
fn stopped(new: &mut NewEvent, opened: Vec<Opened>) -> Vec<NewStop> {
    let (Ok(queue), Ok(told)) = (QUEUE.parse::<Name>(), TOLD.parse::<Name>()) else {
        return Vec::new();
    };
    let mut stops = Vec::with_capacity(opened.len());
    for Opened { rule, policy, why } in opened {
        tracing::error!(
            rule = rule.as_ref().map_or("*", Name::as_str),
            "{}: {why}; reset it in the console or with `manara rules reset`",
            match &rule {
                Some(rule) => format!("rule {rule} is in shadow from now on"),
                None => "all rules are in shadow from now on".to_owned(),
            }
        );
        metrics::counter!("manara_rules_stopped_total").increment(1);
        new.decision.actions.push(Action {
            id: ActionId::derive(
                new.decision.id,
                new.decision.actions.len() + stops.len() + 1000,
            ),
            kind: ActionKind::Notify,
            target: Entity {
                r#type: EntityType::Rule,
                id: rule.as_ref().map_or("*", Name::as_str).to_owned(),
            },
            policy: policy.clone(),
            rule: rule.clone(),
            reasons: std::collections::BTreeMap::new(),
            detail: Detail {
                to: Some(told.clone()),
                message: Some(why.clone()),
                ..Detail::default()
            },
        });
        stops.push(NewStop {
            rule,
            why,
            queue: queue.clone(),
            policy,
            priority: PRIORITY,
        });
    }
    stops
}

/// Labels, strikes and stops as the transaction sees them.
pub(crate) struct StoredPast<'a> {
    reader: &'a Reader,
    sets: &'a Sets,
    stopped: RefCell<HashMap<(Option<Name>, Timestamp), Stopped>>,
    failed: RefCell<Option<StoreError>>,
}

impl std::fmt::Debug for StoredPast<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredPast")
    }
}

impl<'a> StoredPast<'a> {
    pub(crate) fn new(reader: &'a Reader, sets: &'a Sets) -> Self {
        Self {
            reader,
            sets,
            stopped: RefCell::default(),
            failed: RefCell::default(),
        }
    }

    /// Why something could not be read, if it could not: then nothing that was decided holds.
    pub(crate) fn ended(self) -> Result<(), StoreError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn ask<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                None
            }
        }
    }
}

impl Past for StoredPast<'_> {
    fn has_label(&self, entity: EntityType, id: &str, label: &str, at: Timestamp) -> Option<bool> {
        self.ask(self.reader.has_label(entity, id, label, at))
    }

    fn strikes(&self, account: &str, since: Option<Timestamp>, until: Timestamp) -> Option<u64> {
        let since = since.unwrap_or(Timestamp::MIN);
        self.ask(self.reader.strikes_since(account, since, until))
    }

    fn in_set(&self, set: &str, item: &str) -> Option<bool> {
        self.sets.holds(set, item)
    }

    fn stopped(&self, rule: Option<&Name>, at: Timestamp) -> Stopped {
        let asked = (rule.cloned(), at);
        if let Some(stopped) = self.stopped.borrow().get(&asked) {
            return *stopped;
        }
        let is_open = self.reader.open_stop(rule).map(|stop| stop.is_some());
        let times = self.reader.stops_until(rule, at);
        let stopped = Stopped {
            is_open: self.ask(is_open).unwrap_or(true),
            times: self.ask(times).unwrap_or(0),
        };
        self.stopped.borrow_mut().insert(asked, stopped);
        stopped
    }
}

fn sets_of(stored: Vec<(Name, Vec<String>)>) -> Sets {
    let mut sets = Sets::default();
    for (name, items) in stored {
        sets.set(name.as_str(), items);
    }
    sets
}

// ---- the log read again ----

fn start_of(store: &Store, state: &State) -> Result<Option<u64>> {
    let since = clock::now().checked_sub(state.reach())?;
    Ok(store.read(|reader| reader.leaf_before(since))?)
}

/// Remembers the events after a leaf. Says how many they were.
fn replay(
    store: &Store,
    matcher: &Matcher,
    rules: &RuleSet,
    sets: &Sets,
    state: &mut State,
    after: Option<u64>,
    last: &mut Option<DecisionId>,
) -> Result<u64> {
    let (mut after, mut read) = (after, 0);
    loop {
        let rows = store.read(|reader| reader.log_after(after, PAGE))?;
        let Some(newest) = rows.last() else {
            return Ok(read);
        };
        after = Some(newest.leaf);
        *last = Some(newest.decision_id()?);
        read += rows.len() as u64;
        store.read(|reader| {
            let past = StoredPast::new(reader, sets);
            for row in &rows {
                replay_one(matcher, rules, sets, state, row, &past)?;
            }
            past.ended()
        })?;
    }
}

fn replay_one(
    matcher: &Matcher,
    rules: &RuleSet,
    sets: &Sets,
    state: &mut State,
    row: &LogRow,
    past: &dyn Past,
) -> Result<(), StoreError> {
    let seen = row.event()?;
    let verdicts = row.decision()?.map(|decision| decision.verdicts);
    let matches = if rules.counters_ask_banks() {
        counting(matcher.matches_of_recent(&seen))
    } else {
        Vec::new()
    };
    let facts = Facts {
        event: &seen.event,
        media: &seen.media,
        matches: &matches,
        received_at: seen.received_at,
    };
    let begun = rules.begin_counting(&facts, sets, state.keys());
    state.replay(rules, &facts, &begun, &verdicts.unwrap_or_default(), past);
    Ok(())
}

fn counting(mut matches: Vec<Match>) -> Vec<Match> {
    matches.retain(|it| it.withheld.is_none());
    matches
}

// ---- snapshots ----

fn write_snapshot(file: &Path, last: DecisionId, parts: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = file.with_extension("state.new");
    let last = last.to_string();
    let mut body = Vec::with_capacity(parts.len() + 64);
    body.extend((last.len() as u64).to_le_bytes());
    body.extend(last.as_bytes());
    body.extend(parts);
    let write = || -> Result<()> {
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        out.write_all(MAGIC)?;
        out.write_all(&Sha256::digest(&body))?;
        out.write_all(&body)?;
        out.sync_all()?;
        Ok(std::fs::rename(&temporary, file)?)
    };
    write().with_context(|| format!("writing {}", file.display()))
}

/// Takes over a snapshot. Answers the leaf after which to read the log; nothing when there is none of use.
fn restored(file: &Path, state: &mut State, store: &Store) -> Result<Option<u64>> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    let mut read = || -> Result<Option<u64>> {
        let rest = bytes
            .strip_prefix(MAGIC)
            .context("it is of another version")?;
        let (digest, body) = rest.split_at_checked(32).context("it is too short")?;
        ensure!(Sha256::digest(body).as_slice() == digest, "it is damaged");
        let (length, rest) = body.split_at_checked(8).context("it is too short")?;
        let length = u64::from_le_bytes(length.try_into()?);
        let (last, parts) = rest
            .split_at_checked(usize::try_from(length)?)
            .context("it is too short")?;
        let last: DecisionId = std::str::from_utf8(last)?.parse()?;
        // A snapshot of another database, or of one that was put back since, is of no use.
        let Some(leaf) = store.read(|reader| reader.leaf_of_event(last))? else {
            return Ok(None);
        };
        Ok(state.restore(parts)?.then_some(leaf))
    };
    read().with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Subject;
    use manara_model::{Author, Decision, Event, Mode, Origin};
    use manara_rules::{Schema, Source, compile};
    use manara_store::{Committed, Options, Recorded};

    const RULES: &str = r#"
        counter burst = count(post.created) by account.id over 1h
        rule flood { on post.created policy p reason "r" when burst > 2 then restrict(content) }"#;

    struct Server {
        _dir: tempfile::TempDir,
        store: Store,
        keeper: Arc<Keeper>,
        rules: Arc<RuleSet>,
    }

    fn compiled(text: &str) -> Arc<RuleSet> {
        let source = Source {
            name: "t.rules".into(),
            text: text.into(),
        };
        Arc::new(compile(&[source], &Schema::builtin()).unwrap())
    }

    fn server() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            audit_seed: [7; 32],
            origin: "manara.example/audit".into(),
            max_bytes: None,
            readers: 2,
        };
        let store = Store::open(&dir.path().join("m.db"), options).unwrap();
        let rules = compiled(RULES);
        let (matcher, file) = (Arc::default(), dir.path().join("counters.state"));
        let settings = Limits::default().settings(Counters::default(), [1; 16]);
        let keeper = Keeper::open(&store, &matcher, Arc::clone(&rules), settings, file).unwrap();
        Server {
            _dir: dir,
            store,
            keeper: Arc::new(keeper),
            rules,
        }
    }

    impl Server {
        fn event(&self, id: u32) -> (NewEvent, Pending) {
            let now = clock::now();
            let body = format!(
                r#"{{"id":"{id}","source":"s","type":"post.created","time":"{now}","account":{{"id":"a"}},"content":{{"id":"c"}}}}"#
            );
            let (event, _) = Event::from_json(body.as_bytes(), Origin::Http).unwrap();
            let subject = Subject {
                event: &event,
                media: &[],
                received_at: now,
            };
            let (sets, keys) = (self.keeper.sets(), self.keeper.keys());
            let pending = Pending::begin(Arc::clone(&self.rules), subject, Vec::new(), &sets, keys);
            let decision = Decision {
                id: clock::decision_id(now),
                author: Author::Rules,
                at: now,
                event: Some(("s".into(), id.to_string())),
                case: None,
                verdicts: Vec::new(),
                actions: Vec::new(),
                note: String::new(),
            };
            let new = NewEvent {
                media: Vec::new(),
                fingerprint: [id as u8; 32],
                received_at: now,
                decision,
                previews: Vec::new(),
                event,
                body,
            };
            (new, pending)
        }

        /// Keeps events in one write, which may fail after it has remembered them; says which rules fired.
        fn keep(&self, ids: std::ops::Range<u32>, fails: bool) -> Option<Vec<usize>> {
            let (events, pending) = ids.map(|id| self.event(id)).unzip();
            let keeper = Arc::clone(&self.keeper);
            let kept = self.store.write_blocking(move |tx| {
                let recorded: Committed<Vec<Recorded>> = keeper.record(tx, events, pending)?;
                if fails {
                    return Err(StoreError::Aborted("changed my mind".into()));
                }
                Ok(recorded)
            });
            let fired = |recorded: Recorded| match recorded {
                Recorded::New(decision) => {
                    let live = decision.verdicts.iter().filter(|it| it.mode == Mode::Live);
                    live.count()
                }
                _ => 0,
            };
            Some(kept.ok()?.into_iter().map(fired).collect())
        }
    }

    #[test]
    fn what_was_not_kept_is_not_remembered() {
        let server = server();
        assert_eq!(server.keep(0..2, false), Some(vec![0, 0]));
        for _ in 0..5 {
            assert_eq!(server.keep(2..9, true), None);
        }
        assert_eq!(server.keep(2..4, false), Some(vec![1, 1]));
    }

    #[test]
    fn rules_that_changed_since_an_event_was_begun_decide_on_it_all_the_same() {
        let server = server();
        server.keep(0..2, false);
        let begun = server.event(2);
        let stricter = compiled(&RULES.replace("burst > 2", "burst > 3"));
        server.keeper.adopt(&stricter).unwrap();
        let (keeper, (event, pending)) = (Arc::clone(&server.keeper), begun);
        let recorded = server
            .store
            .write_blocking(move |tx| keeper.record(tx, vec![event], vec![pending]))
            .unwrap();
        let Recorded::New(decision) = &recorded[0] else {
            panic!("{recorded:?}")
        };
        assert_eq!(decision.verdicts, [], "three are not too many any more");
    }

    #[test]
    fn a_snapshot_and_the_log_after_it_are_what_was_remembered() {
        let server = server();
        server.keep(0..2, false);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(server.keeper.keep()).unwrap();
        server.keep(2..3, false);
        let reopened = |file: PathBuf| {
            let settings = Limits::default().settings(Counters::default(), [1; 16]);
            let (rules, matcher) = (Arc::clone(&server.rules), Arc::default());
            let keeper = Keeper::open(&server.store, &matcher, rules, settings, file).unwrap();
            let parts: Vec<u8> = keeper.kept().state.parts().flatten().collect();
            parts
        };
        let now: Vec<u8> = server.keeper.kept().state.parts().flatten().collect();
        assert_eq!(reopened(server.keeper.file.clone()), now);
        assert_eq!(
            reopened("/nowhere/counters.state".into()),
            now,
            "from the log alone"
        );
    }
}
