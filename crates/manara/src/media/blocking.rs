//! The pool for code without an async runtime: the command line's `scan` and `hash`.

use super::pool::{NoPreview, Pool, PoolOptions, Preview, SignedMedia};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// A [`Pool`] with a runtime of its own. Its methods block, and may be called from many threads, but
/// not from async code.
#[derive(Debug)]
pub(crate) struct BlockingPool {
    pool: Pool,
    runtime: Runtime,
    workers: usize,
}

impl BlockingPool {
    /// Starts the workers.
    pub(crate) fn start(options: PoolOptions) -> io::Result<Self> {
        let workers = options.workers.max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers.min(4))
            .thread_name("media")
            .enable_all()
            .build()?;
        let pool = {
            let _inside = runtime.enter();
            Pool::start(options)
        };
        Ok(Self {
            pool,
            runtime,
            workers,
        })
    }

    /// See [`Pool::sign`].
    pub(crate) fn sign(&self, bytes: Bytes) -> SignedMedia {
        self.runtime.block_on(self.pool.sign(bytes))
    }

    /// See [`Pool::preview`].
    pub(crate) fn preview(&self, bytes: Bytes) -> Result<Preview, NoPreview> {
        self.runtime.block_on(self.pool.preview(bytes))
    }

    /// See [`Pool::thumbnail`].
    pub(crate) fn thumbnail(&self, bytes: Bytes) -> Result<Preview, NoPreview> {
        self.runtime.block_on(self.pool.thumbnail(bytes))
    }

    /// Signs many media on all workers at once and hands each over as it is ready, in any order.
    ///
    /// Media are taken from the iterator on this thread, only as fast as workers are free: twice as
    /// many as there are workers are held at a time, so memory stays flat however many there are.
    pub(crate) fn sign_all<T>(
        &self,
        media: impl IntoIterator<Item = (T, Bytes)>,
        mut done: impl FnMut(T, SignedMedia),
    ) {
        let mut media = media.into_iter().fuse();
        self.runtime.block_on(async {
            let mut signing = JoinSet::new();
            let mut owners = HashMap::new();
            loop {
                while signing.len() < self.workers * 2 {
                    let Some((owner, bytes)) = media.next() else {
                        break;
                    };
                    let pool = self.pool.clone();
                    let task = signing.spawn(async move { pool.sign(bytes).await });
                    owners.insert(task.id(), owner);
                }
                match signing.join_next_with_id().await {
                    None => return,
                    Some(Ok((id, signed))) => {
                        if let Some(owner) = owners.remove(&id) {
                            done(owner, signed);
                        }
                    }
                    // A task of ours is never cancelled; should it panic, so does its caller, whose item it was.
                    Some(Err(error)) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(error) => tracing::error!("signing a medium ended early: {error}"),
                    },
                }
            }
        });
    }
}
