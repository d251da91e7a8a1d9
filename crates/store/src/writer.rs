//! The one thread that writes, and its group commit.
//!
//! ```text
//!  jobs ─▶ queue ─▶ BEGIN IMMEDIATE ─▶ job in a savepoint ─▶ … ─▶ edge, counters ─▶ COMMIT ─▶ answers
//!                        ▲                 (a failing one           (fsync)
//!                 another process's        is rolled back
//!                 leaves are read in       alone)
//! ```
//! Jobs that arrive while a commit is being synced form the next group, so that the cost of a sync
//! is shared without anybody waiting on purpose.

use crate::error::{Context, StoreError};
use crate::log::Log;
use crate::reader::Reader;
use crate::sql;
use crate::tx::{Committed, End, Tx};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Most jobs in one commit.
const GROUP_JOBS_MAX: usize = 256;
/// No job joins a group that has been running for this long.
const GROUP_TIME_MAX: Duration = Duration::from_millis(3);
/// How long closing waits for readers of the write-ahead log.
const FOLD_TIMEOUT: Duration = Duration::from_millis(500);
/// How long to sleep when nothing is due; any message ends it.
const IDLE: Duration = Duration::from_hours(1);

/// What is sent to the writer.
pub(crate) enum Message {
    Job(Box<dyn Job>),
    /// Finish what was queued before this, then end.
    Close,
}

/// A write waiting for its turn.
pub(crate) trait Job: Send {
    /// Does the work inside a savepoint.
    fn run(self: Box<Self>, tx: &mut Tx<'_>) -> Ran;
    /// Answers without having done anything.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// A job that has run: why it failed, if it did, and the way to tell its caller how all ended.
pub(crate) struct Ran {
    failure: Option<StoreError>,
    answer: Answer,
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A caller's closure with the way back to the caller.
pub(crate) struct Work<T, F> {
    pub(crate) run: F,
    pub(crate) answer: oneshot::Sender<Result<T, StoreError>>,
    /// Its place in the queue, free again once it is answered.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl<T, F> Job for Work<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<Committed<T>, StoreError> + Send,
{
    fn run(self: Box<Self>, tx: &mut Tx<'_>) -> Ran {
        let Self {
            run,
            answer,
            permit,
        } = *self;
        let (value, failure) = match run(tx) {
            Ok(Committed(value)) => (Some(value), None),
            Err(error) => (None, Some(error)),
        };
        let answer = Box::new(move |outcome: Result<(), StoreError>| {
            let result = outcome.and_then(|()| value.ok_or(StoreError::Closed));
            // A caller that went away needs no answer; its write stands.
            let _ = answer.send(result);
            drop(permit);
        });
        Ran { failure, answer }
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error));
    }
}

/// That something could not be written, for whoever asks how the store is.
pub(crate) struct Trouble {
    pub(crate) since: Instant,
    pub(crate) why: String,
}

pub(crate) struct Writer {
    db: Reader,
    log: Log,
    queue: Receiver<Message>,
    receivers: Arc<RwLock<Vec<String>>>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    /// `PRAGMA data_version` when the log's edge was last known to be ours.
    data_version: i64,
    closing: bool,
}

impl Writer {
    pub(crate) fn new(
        conn: Connection,
        log: Log,
        queue: Receiver<Message>,
        receivers: Arc<RwLock<Vec<String>>>,
        trouble: Arc<Mutex<Option<Trouble>>>,
    ) -> Self {
        // No data version is negative, so the first group reads the edge under its own lock.
        Self {
            db: Reader { conn },
            log,
            queue,
            receivers,
            trouble,
            data_version: -1,
            closing: false,
        }
    }

    /// Serves the queue until the store is closed or dropped.
    pub(crate) fn run(mut self) {
        while !self.closing {
            match self.queue.recv_timeout(self.log.due_in().unwrap_or(IDLE)) {
                Ok(Message::Job(job)) => self.group(job),
                Err(RecvTimeoutError::Timeout) => self.checkpoint(),
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.log.due_in().is_some() {
            self.checkpoint();
        }
        // Leaves one file behind instead of three when nobody else has it open; somebody's long
        // read is not waited for, since the next to open the file finds everything all the same.
        let folded = self
            .db
            .conn
            .busy_timeout(FOLD_TIMEOUT)
            .and_then(|()| self.db.conn.execute_batch(sql::TRUNCATE_WAL));
        if let Err(error) = folded {
            tracing::warn!("the write-ahead log was not folded into the database: {error}");
        }
    }

    /// Runs `first` and what else is waiting, and answers all after one commit.
    fn group(&mut self, first: Box<dyn Job>) {
        if let Err(error) = self.begin() {
            self.tell(Some(&error));
            return first.refuse(error);
        }
        let receivers = self
            .receivers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let edge = self.log.frontier.clone();
        let size_before = edge.size();
        let started = Instant::now();
        let mut group = Group::default();
        let mut next = Some(first);
        let mut jobs = 0;
        while let Some(job) = next.take() {
            self.run_one(job, &receivers, &mut group);
            jobs += 1;
            let full = jobs == GROUP_JOBS_MAX || started.elapsed() >= GROUP_TIME_MAX;
            if full || group.lost.is_some() {
                break;
            }
            next = self.try_next();
        }
        let ended = match group.lost.take() {
            Some(error) => Err(error),
            None => self.commit(size_before, &group.counters),
        };
        if ended.is_err() {
            self.roll_back();
            self.log.frontier = edge;
        }
        end_all(group.ends, ended.is_ok());
        match &ended {
            Err(error) => self.tell(Some(error)),
            Ok(()) if group.full || self.log.frontier.size() == size_before => {}
            Ok(()) => self.tell(None),
        }
        for answer in group.answers {
            answer(ended.clone());
        }
    }

    /// Leaves word of how writing goes.
    fn tell(&self, error: Option<&StoreError>) {
        let trouble = error.map(|error| Trouble {
            since: Instant::now(),
            why: error.to_string(),
        });
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn try_next(&mut self) -> Option<Box<dyn Job>> {
        match self.queue.try_recv().ok()? {
            Message::Job(job) => Some(job),
            Message::Close => {
                self.closing = true;
                None
            }
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        run(&self.db.conn, sql::BEGIN).context("beginning a write")?;
        let current = self.refresh();
        if current.is_err() {
            self.roll_back();
        }
        current
    }

    /// Takes up what another process has written to the log since.
    fn refresh(&mut self) -> Result<(), StoreError> {
        let version = data_version(&self.db.conn).context("looking for other writers")?;
        if version != self.data_version {
            self.log.reload(&self.db.conn)?;
            self.data_version = version;
        }
        Ok(())
    }

    fn run_one(&mut self, job: Box<dyn Job>, receivers: &[String], group: &mut Group) {
        if let Err(error) = run(&self.db.conn, sql::SAVEPOINT).context("beginning a job") {
            return job.refuse(error);
        }
        let edge = self.log.frontier.clone();
        let mut tx = Tx::new(&self.db, &mut self.log, receivers);
        // A panic in a job must not take down every later write with it.
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
        let ends = tx.take_ends();
        let ended = tx.end();
        let (failure, answer) = match ran {
            Ok(Ran {
                failure: Some(error),
                answer,
            }) => (Err(error), Some(answer)),
            Ok(Ran {
                failure: None,
                answer,
            }) => (ended, Some(answer)),
            // The caller's end of the answer went with the panic and reads as `Closed`.
            Err(_) => (Err(StoreError::Closed), None),
        };
        match failure.and_then(|counters| {
            run(&self.db.conn, sql::RELEASE)
                .context("ending a job")
                .map(|()| counters)
        }) {
            Ok(counters) => {
                group.answers.extend(answer);
                group.ends.extend(ends);
                group.count(counters);
            }
            Err(error) => {
                self.log.frontier = edge;
                end_all(ends, false);
                let undone = run(&self.db.conn, sql::ROLLBACK_JOB)
                    .and_then(|()| run(&self.db.conn, sql::RELEASE));
                if let Err(lost) = undone {
                    // The engine has dropped the whole transaction, other jobs included.
                    tracing::warn!("a group of writes was rolled back: {lost}");
                    group.lost = Some(error.clone());
                }
                if matches!(error, StoreError::Full { .. }) {
                    self.tell(Some(&error));
                    group.full = true;
                }
                if let Some(answer) = answer {
                    answer(Err(error));
                }
            }
        }
    }

    fn commit(
        &mut self,
        size_before: u64,
        counters: &BTreeMap<String, i64>,
    ) -> Result<(), StoreError> {
        for (name, by) in counters.iter().filter(|(_, by)| **by != 0) {
            self.db
                .conn
                .prepare_cached(sql::COUNT)
                .and_then(|mut s| s.execute((name, by)))
                .context("counting")?;
        }
        if self.log.frontier.size() != size_before {
            self.log.save(&self.db.conn)?;
        }
        run(&self.db.conn, sql::COMMIT).context("committing")
    }

    /// Undoes the open transaction, if there still is one.
    fn roll_back(&mut self) {
        if !self.db.conn.is_autocommit()
            && let Err(error) = run(&self.db.conn, sql::ROLLBACK)
        {
            tracing::error!("rolling back: {error}");
        }
        // What the log's edge is now is read again before the next write.
        self.data_version = -1;
    }

    /// Keeps a checkpoint of the log as it is.
    fn checkpoint(&mut self) {
        let kept = self.begin().and_then(|()| {
            self.log.checkpoint(&self.db.conn)?;
            run(&self.db.conn, sql::COMMIT).context("committing a checkpoint")
        });
        if let Err(error) = kept {
            tracing::warn!("no checkpoint was kept: {error}");
            self.roll_back();
            // Not before a second has passed; the log's head is signed with every commit anyway.
            self.log.postpone();
        }
    }
}

/// The jobs of one commit that are to be kept.
#[derive(Default)]
struct Group {
    answers: Vec<Answer>,
    ends: Vec<End>,
    counters: BTreeMap<String, i64>,
    /// Why the whole transaction is gone, when it is.
    lost: Option<StoreError>,
    /// Whether a job found no room.
    full: bool,
}

impl Group {
    fn count(&mut self, counters: Vec<(String, i64)>) {
        for (name, by) in counters {
            *self.counters.entry(name).or_default() += by;
        }
    }
}

/// Says whether writes stand, in the order in which they were done; of those undone, the last first.
fn end_all(mut ends: Vec<End>, stands: bool) {
    if !stands {
        ends.reverse();
    }
    for end in ends {
        // What is kept beside the database may be wrong after a panic, the database is not.
        if catch_unwind(AssertUnwindSafe(|| end(stands))).is_err() {
            tracing::error!("what follows a write has panicked: restart the server");
        }
    }
}

fn run(conn: &Connection, statement: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(statement)?.raw_execute().map(|_| ())
}

/// Changes whenever another connection has committed.
pub(crate) fn data_version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached(sql::DATA_VERSION)?
        .query_row([], |r| r.get(0))
}
