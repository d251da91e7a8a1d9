//! Back-tests that people start in the console: one at a time, in the background, the last ones remembered.
//!
//! ```text
//! form ─ check ─ begin ─▶ thread: note in the audit log ─ what each rule would do ─ what would change ─▶ kept
//!                  └ refused while another runs
//! ```
//! The events are gone through twice. First with every rule of the new rules as if it were live, so that drafts
//! and shadow show what they would do; then with the rules in force beside the new ones, as both are written.
//! Only memory knows of it: a restart of the server forgets back-tests, the audit log keeps who ran them.

use crate::backtest::{self, Report, Trial};
use crate::rulebook::FileName;
use anyhow::{Context, Result};
use jiff::Timestamp;
use manara_model::Author;
use manara_rules::{RuleSet, Settings};
use manara_store::Store;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Most back-tests remembered.
pub(super) const KEPT_MAX: usize = 20;

/// The back-tests that are remembered, newest first.
#[derive(Default)]
pub(super) struct Tryouts(Mutex<VecDeque<Arc<Tryout>>>);

/// What somebody wants to try.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) file: FileName,
    /// The text that is tried.
    pub(super) text: String,
    /// The hash of the text that it began from.
    pub(super) base: [u8; 32],
    /// Whether it differs from what the file holds.
    pub(super) edited: bool,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

/// All that a back-test needs.
pub(super) struct Job {
    pub(super) store: Store,
    pub(super) author: Author,
    pub(super) now: fn() -> Timestamp,
    /// The rules in force.
    pub(super) old: Arc<RuleSet>,
    pub(super) new: Arc<RuleSet>,
    /// The name that the file goes by in rules.
    pub(super) source: String,
    pub(super) settings: Settings,
}

/// One back-test.
pub(super) struct Tryout {
    /// Part of its address.
    pub(super) id: String,
    pub(super) asked: Asked,
    /// The login of whoever started it.
    pub(super) by: String,
    pub(super) started: Timestamp,
    cancelled: AtomicBool,
    seen: AtomicU64,
    total: AtomicU64,
    is_second: AtomicBool,
    ended: Mutex<Option<(Timestamp, Arc<Ended>)>>,
}

/// How it ended.
pub(super) enum Ended {
    Found(Box<Found>),
    Cancelled,
    Failed(String),
}

/// What it found.
pub(super) struct Found {
    /// What each rule of the file would do if it were live.
    pub(super) each: Report,
    /// What would change by the file as it is written.
    pub(super) whole: Report,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) seen: u64,
    /// Not known before the first events were looked at.
    pub(super) total: u64,
    /// Whether it goes through the events for the second time.
    pub(super) is_second: bool,
}

impl Tryouts {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Tryout>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, newest first.
    pub(super) fn all(&self) -> Vec<Arc<Tryout>> {
        self.kept().iter().cloned().collect()
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Tryout>> {
        self.kept().iter().find(|it| it.id == id).cloned()
    }

    /// Takes the place of the one that runs; answers with the one that has it, if there is one.
    fn begin(&self, tryout: &Arc<Tryout>) -> Result<(), Arc<Tryout>> {
        let mut kept = self.kept();
        if let Some(running) = kept.iter().find(|it| it.ended().is_none()) {
            return Err(Arc::clone(running));
        }
        kept.push_front(Arc::clone(tryout));
        kept.truncate(KEPT_MAX);
        Ok(())
    }

    /// Starts a back-test on a thread of its own; answers with the one that runs already, if there is one.
    pub(super) fn start(&self, tryout: &Arc<Tryout>, job: Job) -> Result<(), Arc<Tryout>> {
        self.begin(tryout)?;
        let (working, now) = (Arc::clone(tryout), job.now);
        // A plain thread: the server ends without waiting for it.
        let thread = thread::Builder::new().name("manara-backtest".into());
        let started = thread.spawn(move || {
            let ending = Ending(&working, now);
            let ended = match work(&working, &job) {
                Ok(Some(found)) => Ended::Found(Box::new(found)),
                Ok(None) => Ended::Cancelled,
                Err(error) => {
                    tracing::error!("a back-test failed: {error:#}");
                    Ended::Failed(format!("{error:#}"))
                }
            };
            working.end(now(), ended);
            drop(ending);
        });
        if let Err(error) = started {
            tryout.end(now(), Ended::Failed(format!("starting a thread: {error}")));
        }
        Ok(())
    }
}

/// Says that a back-test has ended even if it was by a fault of ours.
struct Ending<'a>(&'a Tryout, fn() -> Timestamp);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if self.0.ended().is_none() {
            let why = "a fault of the server’s; its log says which".to_owned();
            self.0.end((self.1)(), Ended::Failed(why));
        }
    }
}

impl Tryout {
    pub(super) fn new(id: String, asked: Asked, by: &str, started: Timestamp) -> Self {
        Self {
            id,
            asked,
            by: by.to_owned(),
            started,
            cancelled: AtomicBool::new(false),
            seen: AtomicU64::new(0),
            total: AtomicU64::new(0),
            is_second: AtomicBool::new(false),
            ended: Mutex::default(),
        }
    }

    /// Asks it to end; it does within some hundred events.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            seen: self.seen.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            is_second: self.is_second.load(Ordering::Relaxed),
        }
    }

    /// When and how it ended; `None` while it runs.
    pub(super) fn ended(&self) -> Option<(Timestamp, Arc<Ended>)> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.clone()
    }

    fn end(&self, at: Timestamp, how: Ended) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = Some((at, Arc::new(how)));
    }
}

/// Half of the cores, so that events go on being answered.
fn threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).max(1)
}

/// Goes through the events; `None` when it was cancelled.
fn work(tryout: &Tryout, job: &Job) -> Result<Option<Found>> {
    let asked = &tryout.asked;
    let (author, at) = (job.author.clone(), tryout.started);
    let note = format!("{}: {} to {}", asked.file, asked.since, asked.until);
    job.store
        .write_blocking(move |tx| tx.note("rules.tried", &author, at, Some(note)))
        .context("noting it in the audit log")?;
    let trial = |old: Option<&Arc<RuleSet>>| Trial {
        as_if_live: old.is_none(),
        old: old.cloned(),
        new: Arc::clone(&job.new),
        since: asked.since,
        until: asked.until,
        settings: job.settings.clone(),
        threads: threads(),
    };
    let run = |trial: &Trial| {
        backtest::run(&job.store, trial, &tryout.cancelled, &mut |seen, total| {
            tryout.total.store(total, Ordering::Relaxed);
            tryout.seen.store(seen, Ordering::Relaxed);
        })
    };
    let mut each = run(&trial(None))?;
    if tryout.cancelled.load(Ordering::Relaxed) {
        return Ok(None);
    }
    tryout.seen.store(0, Ordering::Relaxed);
    tryout.is_second.store(true, Ordering::Relaxed);
    let mut whole = run(&trial(Some(&job.old)))?;
    if tryout.cancelled.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let rules = job.new.rules().iter().filter(|it| it.source == job.source);
    let names: BTreeSet<&str> = rules.map(|it| it.name.as_str()).collect();
    each.rules.retain(|it| names.contains(it.rule.as_str()));
    each.stopped
        .retain(|(rule, ..)| names.contains(rule.as_str()));
    whole.rules.clear();
    Ok(Some(Found { each, whole }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tryout(number: usize) -> Arc<Tryout> {
        let asked = Asked {
            file: "links.rules".parse().unwrap(),
            text: String::new(),
            base: [0; 32],
            edited: false,
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        };
        let id = number.to_string();
        Arc::new(Tryout::new(id, asked, "noor", Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn one_runs_at_a_time_and_the_last_are_kept() {
        let all = Tryouts::default();
        for number in 0..=KEPT_MAX {
            let it = tryout(number);
            assert!(all.begin(&it).is_ok());
            let running = all.begin(&tryout(99)).unwrap_err();
            assert_eq!(running.id, number.to_string());
            it.end(Timestamp::UNIX_EPOCH, Ended::Cancelled);
        }
        assert_eq!(all.all().len(), KEPT_MAX);
        assert!(all.find("0").is_none() && all.find("1").is_some());
        assert!(all.find("99").is_none());
    }

    #[test]
    fn what_ends_by_a_fault_has_ended() {
        let it = tryout(1);
        let failed = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _ending = Ending(&it, || Timestamp::UNIX_EPOCH);
                std::panic::resume_unwind(Box::new(()));
            });
            thread.join().is_err()
        });
        assert!(failed);
        let (_, how) = it.ended().unwrap();
        assert!(matches!(&*how, Ended::Failed(_)));
    }
}
