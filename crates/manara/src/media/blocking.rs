//! The pool for code without an async runtime: the command line's `scan` and `hash`.

use super::ffmpeg::Ffmpeg;
use super::pool::{NoPreview, Pool, PoolOptions, Preview, SignedMedia};
use super::sandbox::Layers;
use bytes::Bytes;
use std::io;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long ffmpeg may take to say what it is.
const TELLING_TIME: Duration = Duration::from_secs(10);

/// A [`Pool`] with a runtime of its own. Its methods block, so not for async code.
///
/// To keep all workers busy, call it from as many threads as there are workers, or a few more: a call
/// waits until a worker is free, so memory stays flat however many media there are.
#[derive(Debug)]
pub(crate) struct BlockingPool {
    pool: Pool,
    runtime: Runtime,
}

impl BlockingPool {
    /// Starts the workers.
    pub(crate) fn start(options: PoolOptions) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.workers.clamp(1, 4))
            .thread_name("media")
            .enable_all()
            .build()?;
        let pool = {
            let _inside = runtime.enter();
            Pool::start(options)
        };
        Ok(Self { pool, runtime })
    }

    /// See [`Pool::sign`].
    pub(crate) fn sign(&self, bytes: Bytes) -> SignedMedia {
        self.runtime.block_on(self.pool.sign(bytes))
    }

    /// See [`Pool::layers`].
    pub(crate) fn layers(&self) -> Result<Layers, String> {
        self.runtime.block_on(self.pool.layers())
    }

    /// See [`Pool::ffmpeg`].
    pub(crate) fn ffmpeg(&self) -> &Ffmpeg {
        self.pool.ffmpeg()
    }

    /// See [`Ffmpeg::version`].
    pub(crate) fn ffmpeg_version(&self) -> Result<String, String> {
        self.runtime.block_on(self.ffmpeg().version(TELLING_TIME))
    }

    /// See [`Ffmpeg::layers`].
    pub(crate) fn ffmpeg_layers(&self) -> Result<Layers, String> {
        self.runtime.block_on(self.ffmpeg().layers(TELLING_TIME))
    }

    /// See [`Pool::thumbnail`].
    pub(crate) fn thumbnail(&self, bytes: Bytes) -> Result<Preview, NoPreview> {
        self.runtime.block_on(self.pool.thumbnail(bytes))
    }
}
