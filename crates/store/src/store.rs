//! The store: one writer thread, a few readers, one file.

use crate::error::{OpenError, StoreError};
use crate::log::{self, Log};
use crate::open;
use crate::reader::{Reader, Readers};
use crate::tx::{Committed, Tx};
use crate::verify::{VerifyReport, verify_file};
use crate::writer::{Message, Trouble, Work, Writer, data_version};
use manara_audit::{SigningKey, VerifyingKey};
use rusqlite::Connection;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;
use tokio::sync::{Semaphore, TryAcquireError, oneshot};

/// Most writes waiting at once; the next ones wait outside, or are told [`StoreError::Busy`].
const QUEUE_MAX: usize = 1024;
/// How long a failed write counts as trouble. Whoever holds back writes because of it has to try
/// again some time, or would never learn that it is over.
const TROUBLE_LASTS: Duration = Duration::from_secs(5);

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// The seed of the Ed25519 key that signs the audit log. Kept outside the database.
    pub audit_seed: [u8; 32],
    /// The log's name in its checkpoints, for example `forum.example/log`.
    pub origin: String,
    /// The size the database may reach, in bytes, its write-ahead log not counted. At the limit
    /// writes answer [`StoreError::Full`].
    pub max_bytes: Option<u64>,
    /// Most reads at the same time.
    pub readers: usize,
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    queue: Mutex<Option<Sender<Message>>>,
    places: Arc<Semaphore>,
    receivers: Arc<RwLock<Vec<String>>>,
    readers: Readers,
    trouble: Arc<Mutex<Option<Trouble>>>,
    key: VerifyingKey,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the database at `path`, making it if there is none and migrating it if it is older.
    ///
    /// Several processes may have the same file open; their writes take turns.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let Options {
            audit_seed,
            origin,
            max_bytes,
            readers,
        } = options;
        let key = SigningKey::from_seed(audit_seed, &origin)
            .map_err(|error| OpenError::Options(format!("audit log origin: {error}")))?;
        let public = key.verifying_key();
        let conn = open::for_writing(path, max_bytes, |conn| log::write_empty(conn, &key))?;
        let log = Log::load(path, &conn, key)?;
        let (queue, jobs) = mpsc::channel();
        let receivers = Arc::new(RwLock::new(Vec::new()));
        let trouble = Arc::new(Mutex::new(None));
        let writer = Writer::new(
            conn,
            log,
            jobs,
            Arc::clone(&receivers),
            Arc::clone(&trouble),
        );
        let thread = thread::Builder::new()
            .name("manara-store".into())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Io {
                path: path.into(),
                why: error.to_string(),
            })?;
        Ok(Self(Arc::new(Inner {
            path: path.into(),
            queue: Mutex::new(Some(queue)),
            places: Arc::new(Semaphore::new(QUEUE_MAX)),
            receivers,
            readers: Readers::new(path.into(), readers),
            trouble,
            key: public,
            writer: Mutex::new(Some(thread)),
        })))
    }

    /// Runs `job` in the next commit and gives its value once that commit is on disk.
    ///
    /// When it ends in an error nothing of the job was kept, and other jobs are not affected.
    /// Waits while the queue is full. Dropping the future does not take back a queued job. A job
    /// must not wait for another write of the same store: they are done by one thread.
    pub async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<Committed<T>, StoreError> + Send + 'static,
    {
        let places = Arc::clone(&self.0.places);
        let permit = places
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let (answer, answered) = oneshot::channel();
        self.send(Message::Job(Box::new(Work {
            run: job,
            answer,
            permit,
        })))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// As [`Store::write`], and [`StoreError::Busy`] at once when the queue is full.
    pub async fn try_write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<Committed<T>, StoreError> + Send + 'static,
    {
        let places = Arc::clone(&self.0.places);
        let permit = places.try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => StoreError::Busy,
            TryAcquireError::Closed => StoreError::Closed,
        })?;
        let (answer, answered) = oneshot::channel();
        self.send(Message::Job(Box::new(Work {
            run: job,
            answer,
            permit,
        })))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// As [`Store::write`], for threads without an async runtime: blocks until it is on disk.
    pub fn write_blocking<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<Committed<T>, StoreError> + Send + 'static,
    {
        block_on(self.write(job))
    }

    /// Runs `read` on a consistent snapshot of what is committed. Blocks; keep it short, because
    /// there are only [`Options::readers`] connections.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.0.readers.read(read)
    }

    /// Sets the names of the webhook receivers that delivered actions go to from now on.
    pub fn set_receivers(&self, receivers: Vec<String>) {
        *self
            .0
            .receivers
            .write()
            .unwrap_or_else(PoisonError::into_inner) = receivers;
    }

    /// A watcher that tells when anybody, this process or another, has committed something.
    pub fn watch(&self) -> Result<Watch, StoreError> {
        Watch::open(&self.0.path)
    }

    /// Why something could not be written in the last few seconds; `None` when all goes well, or
    /// when it is time to try again.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self
            .0
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let recent = trouble
            .as_ref()
            .filter(|trouble| trouble.since.elapsed() < TROUBLE_LASTS);
        recent.map(|trouble| trouble.why.clone())
    }

    /// The public key of the audit log, to be published.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.0.key
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Bytes on disk: the database and its write-ahead log.
    pub fn size_on_disk(&self) -> u64 {
        let mut wal = self.0.path.clone().into_os_string();
        wal.push("-wal");
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        size(&self.0.path) + size(Path::new(&wal))
    }

    /// How many more writes the queue takes before it is full.
    pub fn queue_free(&self) -> usize {
        self.0.places.available_permits()
    }

    /// Checks the whole audit log against the whole database, on a snapshot; writes go on.
    /// `progress` is told how many leaves and members are done, and how many there are.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, StoreError> {
        verify_file(&self.0.path, std::slice::from_ref(&self.0.key), progress)
    }

    /// Finishes the queued writes, signs the last checkpoint and lets go of the file. Later writes
    /// through other clones answer [`StoreError::Closed`]. Dropping the last clone does the same.
    pub async fn close(self) -> Result<(), StoreError> {
        // Waiting for the writer blocks, so it is done on a thread of its own.
        let (answer, answered) = oneshot::channel();
        let inner = self.0;
        let closing = thread::Builder::new().name("manara-store-close".into());
        let started = closing.spawn(move || {
            let _ = answer.send(inner.close());
        });
        started.map_err(|error| StoreError::Aborted(format!("starting a thread: {error}")))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// As [`Store::close`], for threads without an async runtime.
    pub fn close_blocking(self) -> Result<(), StoreError> {
        self.0.close()
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue
            .as_ref()
            .and_then(|queue| queue.send(message).ok())
            .ok_or(StoreError::Closed)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn close(&self) -> Result<(), StoreError> {
        self.places.close();
        if let Some(queue) = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            // Without a writer there is nothing left to close.
            let _ = queue.send(Message::Close);
        }
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match writer {
            // The last clone lived in a job, which ends before its thread does.
            Some(writer) if writer.thread().id() == thread::current().id() => Ok(()),
            Some(writer) => writer.join().map_err(|_| StoreError::Closed),
            None => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("the store's writer ended by a panic: {error}");
        }
    }
}

/// Tells whether the database has changed since it was last asked.
pub struct Watch {
    conn: Connection,
    seen: i64,
}

impl Watch {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let conn = open::for_reading(path).map_err(|error| StoreError::Sql {
            context: "opening a watch",
            why: error.to_string(),
        })?;
        let seen = version(&conn)?;
        Ok(Self { conn, seen })
    }

    /// Whether anybody has committed since the last call, or since the watch was made. Costs
    /// microseconds. When it cannot tell it says yes, so that whoever asks looks and finds out why.
    pub fn poll(&mut self) -> bool {
        match version(&self.conn) {
            Ok(now) => std::mem::replace(&mut self.seen, now) != now,
            Err(error) => {
                tracing::warn!("{error}");
                true
            }
        }
    }
}

fn version(conn: &Connection) -> Result<i64, StoreError> {
    data_version(conn).map_err(|error| StoreError::sql("watching for changes", &error))
}

/// Runs a future on this thread. The futures here wait for the writer thread only, which needs no
/// runtime to make progress.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    // Outside the cooperative budget: on a runtime's thread it would never be refilled while we wait.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
