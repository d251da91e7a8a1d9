//! The pool for code without an async runtime: the command line's `scan`, `hash`, `compare` and `doctor`.

use super::ffmpeg::Ffmpeg;
use super::pool::{NoPreview, Pool, PoolOptions, Preview, SignedMedia};
use super::sandbox::Layers;
use bytes::Bytes;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long ffmpeg may take to say what it is.
const TELLING_TIME: Duration = Duration::from_secs(10);

/// A [`Pool`] whose methods block.
///
/// A thread talks to a worker without any other thread between them, for waking one costs more than
/// hashing a small image. To keep every core busy call it from [`Self::threads`] threads: a call waits
/// until a worker is free, so memory stays flat however many media there are.
#[derive(Debug)]
pub(crate) struct BlockingPool {
    lanes: usize,
    ffmpeg: Ffmpeg,
    idle: Mutex<Vec<Lane>>,
    freed: Condvar,
}

/// One worker, and what waits for it.
#[derive(Debug)]
struct Lane {
    // Dropped first, which ends the worker.
    pool: Pool,
    runtime: Runtime,
}

impl Lane {
    /// The worker itself is started by the first job.
    fn prepare(options: PoolOptions) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let pool = Pool::start(PoolOptions {
            workers: 1,
            ..options
        });
        Ok(Self { pool, runtime })
    }
}

impl BlockingPool {
    /// Makes ready for [`PoolOptions::workers`] workers.
    pub(crate) fn start(options: &PoolOptions) -> io::Result<Self> {
        let lanes = options.workers.max(1);
        let idle = (0..lanes).map(|_| Lane::prepare(options.clone()));
        Ok(Self {
            lanes,
            ffmpeg: options.ffmpeg.clone(),
            idle: Mutex::new(idle.collect::<io::Result<_>>()?),
            freed: Condvar::new(),
        })
    }

    /// How many threads keep every worker busy.
    pub(crate) fn threads(&self) -> usize {
        self.lanes
    }

    /// See [`Pool::sign`].
    pub(crate) fn sign(&self, bytes: Bytes) -> SignedMedia {
        self.on_a_lane(|lane| lane.runtime.block_on(lane.pool.sign(bytes)))
    }

    /// See [`Pool::layers`].
    pub(crate) fn layers(&self) -> Result<Layers, String> {
        self.on_a_lane(|lane| lane.runtime.block_on(lane.pool.layers()))
    }

    /// See [`Pool::ffmpeg`].
    pub(crate) fn ffmpeg(&self) -> &Ffmpeg {
        &self.ffmpeg
    }

    /// See [`Ffmpeg::version`].
    pub(crate) fn ffmpeg_version(&self) -> Result<String, String> {
        self.on_a_lane(|lane| lane.runtime.block_on(self.ffmpeg.version(TELLING_TIME)))
    }

    /// See [`Ffmpeg::layers`].
    pub(crate) fn ffmpeg_layers(&self) -> Result<Layers, String> {
        self.on_a_lane(|lane| lane.runtime.block_on(self.ffmpeg.layers(TELLING_TIME)))
    }

    /// See [`Pool::thumbnail`].
    pub(crate) fn thumbnail(&self, bytes: Bytes) -> Result<Preview, NoPreview> {
        self.on_a_lane(|lane| lane.runtime.block_on(lane.pool.thumbnail(bytes)))
    }

    fn on_a_lane<T>(&self, work: impl FnOnce(&Lane) -> T) -> T {
        let lane = self.take();
        // A thread that panics must not leave the others waiting for its lane.
        let done = panic::catch_unwind(AssertUnwindSafe(|| work(&lane)));
        self.idle().push(lane);
        self.freed.notify_one();
        done.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    fn take(&self) -> Lane {
        let mut idle = self.idle();
        loop {
            if let Some(lane) = idle.pop() {
                return lane;
            }
            idle = self
                .freed
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Lane>> {
        // The list is whole after every single change, so a panic elsewhere cannot have broken it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
