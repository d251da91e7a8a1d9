//! The pool of warm workers, from the side of the server.
//!
//! A job takes a free worker, or starts one; there are never more than [`PoolOptions::workers`], and
//! further jobs wait their turn in order. A worker that answers goes back. One that dies, hangs or talks
//! nonsense is killed and its job gets the reason; the next job gets a new worker. Nothing else notices.
//!
//! A job is given a second worker only when the first was ended from outside (an operator, the kernel
//! short of memory) or before it could read the medium: that says nothing about the medium.

use super::Variants;
use super::container;
use super::decode::{self, Extra, Form, Limits, Pixels, Signs};
use super::ffmpeg::Ffmpeg;
use super::protocol::{ANSWER_HEAD, Answer, Kind, MEDIUM_BYTES_MAX, RequestHead, Unbelievable};
use super::sandbox::Layers;
use crate::config;
use bytes::{Buf, Bytes};
use manara_model::Decoding;
use manara_signal::pdq::{Dihedral, PdqHash};
use manara_signal::{Md5, Sha256, digest};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, io};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Above this many bytes, digests are computed off the async threads.
const INLINE_DIGEST_BYTES_MAX: usize = 256 * 1024;
/// How much of what a worker says on stderr is kept.
const STDERR_BYTES_MAX: usize = 2048;
/// How much of a medium is on its way at a time; what Linux allows everybody.
pub(super) const PIPE_BYTES: usize = 1024 * 1024;
/// How long a worker that closed its pipes may take to end by itself, so that its exit status tells why.
pub(super) const END_TIME: Duration = Duration::from_secs(1);

/// Memory is kept from one picture to the next, in huge pages: getting it anew from the kernel takes up
/// to a third of the time of a large one. What is free beyond 128 MiB goes back. Other C libraries look
/// past this.
const GLIBC_TUNABLES: &str = "glibc.malloc.mmap_threshold=1073741824:\
    glibc.malloc.trim_threshold=134217728:glibc.malloc.hugetlb=1";

// Signal numbers of Linux, from signal(7).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
pub(super) const SIGKILL: i32 = 9;
pub(super) const SIGTERM: i32 = 15;
pub(super) const SIGXCPU: i32 = 24;

/// How a pool is set up.
#[derive(Debug, Clone)]
pub(crate) struct PoolOptions {
    /// Most workers at a time, at least 1. Two more than cores keep all cores busy: they decode while
    /// others wait for their next medium.
    pub(crate) workers: usize,
    /// The program that is started as a worker.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// How long one job may take, by the clock on the wall.
    pub(crate) job_timeout: Duration,
    /// What one image may cost.
    pub(crate) limits: Limits,
    /// What is hashed beside the image as stored.
    pub(crate) extra: Extra,
    /// What decodes HEIC and AVIF.
    pub(crate) ffmpeg: Ffmpeg,
}

impl PoolOptions {
    /// As configured, with this program itself as the workers.
    pub(crate) fn configured(media: &config::Media) -> io::Result<Self> {
        let mut options = Self::of_this_program()?;
        if media.workers > 0 {
            options.workers = media.workers;
        }
        options.job_timeout = Duration::from_millis(media.decode_timeout_ms);
        options.extra = Variants::from(media).extra;
        Ok(options.with_ffmpeg(&media.ffmpeg))
    }

    /// Workers that are this program itself, enough of them to keep all cores busy, and no ffmpeg.
    pub(crate) fn of_this_program() -> io::Result<Self> {
        // The link leads to the program that runs, even after its file was replaced by a newer version.
        let running = Path::new("/proc/self/exe");
        let program = if running.exists() {
            running.to_owned()
        } else {
            env::current_exe()?
        };
        Ok(Self {
            ffmpeg: Ffmpeg::by_setting("", program.clone()),
            workers: std::thread::available_parallelism().map_or(1, usize::from) + 2,
            program,
            args: vec![super::WORKER_COMMAND.into()],
            job_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            extra: Extra::NONE,
        })
    }

    /// With the ffmpeg that the setting `media.ffmpeg` names.
    pub(crate) fn with_ffmpeg(mut self, setting: &str) -> Self {
        self.ffmpeg = Ffmpeg::by_setting(setting, self.program.clone());
        self
    }
}

/// What is known of one medium after it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedMedia {
    /// Of the bytes as they came.
    pub(crate) sha256: Sha256,
    /// Of the bytes as they came.
    pub(crate) md5: Md5,
    /// `Decoded` or `Undecodable`.
    pub(crate) decoding: Decoding,
    /// Why it is undecodable.
    pub(crate) problem: Option<String>,
    /// Width in pixels as stored, 0 when unknown.
    pub(crate) width: u32,
    /// Height in pixels as stored, 0 when unknown.
    pub(crate) height: u32,
    /// How many frames the file holds; 1 for a still, 0 when unknown.
    pub(crate) frames: u32,
    /// The PDQ hash in all dihedral forms, in the order of `pdq::Dihedral`. A truncated image has one,
    /// too, of what could be read, though it counts as undecodable.
    pub(crate) pdq: Option<[PdqHash; 8]>,
    /// Which of these is the image as displayed.
    pub(crate) displayed: Dihedral,
    /// The hashes of its other forms, as far as the pool was to make them.
    pub(crate) extra: Vec<(Form, PdqHash)>,
}

impl SignedMedia {
    fn of(signs: Result<Signs, String>, sha256: Sha256, md5: Md5) -> Self {
        let (signs, problem) = match signs {
            Ok(signs) => {
                let problem = match &signs {
                    signs if signs.truncated => Some(decode::Problem::Truncated.to_string()),
                    signs if signs.lacks_frames => Some(decode::Problem::LaterFrame.to_string()),
                    _ => None,
                };
                (Some(signs), problem)
            }
            Err(problem) => (None, Some(problem)),
        };
        let decoding = if problem.is_none() {
            Decoding::Decoded
        } else {
            Decoding::Undecodable
        };
        let (width, height, frames) = signs
            .as_ref()
            .map_or((0, 0, 0), |s| (s.width, s.height, s.frames));
        Self {
            sha256,
            md5,
            decoding,
            problem,
            width,
            height,
            frames,
            pdq: signs.as_ref().map(|s| s.pdq),
            displayed: signs.as_ref().map_or(Dihedral::Original, |s| s.displayed),
            extra: signs.map(|s| s.extra).unwrap_or_default(),
        }
    }

    /// As a worker would sign it, without one.
    #[cfg(test)]
    pub(crate) fn of_file(file: &[u8], extra: Extra) -> Self {
        let signs = decode::sign(file, &Limits::default(), extra);
        let signs = signs.map_err(|problem| problem.to_string());
        Self::of(signs, digest::sha256(file), digest::md5(file))
    }
}

/// An image made from a medium, safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Preview {
    /// Always `image/jpeg`.
    pub(crate) content_type: String,
    /// At most 512 KiB.
    pub(crate) bytes: Vec<u8>,
}

/// Why no preview could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoPreview(String);

/// Workers that decode. Cloning is cheap and gives the same pool.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: PoolOptions,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

impl Pool {
    /// Makes a pool; inside an async runtime its workers are started at once, in the background.
    pub(crate) fn start(options: PoolOptions) -> Self {
        let workers = options.workers.clamp(1, Semaphore::MAX_PERMITS);
        let pool = Self(Arc::new(Shared {
            options,
            slots: Semaphore::new(workers),
            idle: Mutex::default(),
        }));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let warming = pool.clone();
            runtime.spawn(async move { warming.warm() });
        }
        pool
    }

    /// Digests and hashes of one medium. Always answers; what cannot be decoded says why.
    pub(crate) async fn sign(&self, bytes: Bytes) -> SignedMedia {
        let (answer, (sha256, md5)) = tokio::join!(self.ask(Kind::Sign, &bytes), digests(&bytes));
        let signs = match answer {
            Ok(Answer::Signs(signs)) => Ok(*signs),
            Ok(Answer::Problem(problem)) | Err(problem) => Err(problem),
            Ok(Answer::Jpeg(_) | Answer::Layers(_)) => Err(nonsense(Unbelievable("its kind"))),
        };
        SignedMedia::of(signs, sha256, md5)
    }

    /// A re-encoded JPEG of at most 768 pixels a side, turned as its EXIF orientation says. This and
    /// never the upload itself is what a reviewer's browser gets.
    pub(crate) async fn preview(&self, bytes: Bytes) -> Result<Preview, NoPreview> {
        self.jpeg(Kind::Preview, &bytes).await
    }

    /// A grey, blurred JPEG of at most 96 pixels a side: enough to tell the items of a report apart.
    pub(crate) async fn thumbnail(&self, bytes: Bytes) -> Result<Preview, NoPreview> {
        self.jpeg(Kind::Thumbnail, &bytes).await
    }

    /// Which layers of the sandbox a worker managed to switch on.
    pub(crate) async fn layers(&self) -> Result<Layers, String> {
        match self.ask_in_turn(Kind::Layers, None, &Bytes::new()).await? {
            Answer::Layers(layers) => Ok(layers),
            Answer::Problem(problem) => Err(problem),
            Answer::Jpeg(_) | Answer::Signs(_) => Err(nonsense(Unbelievable("its kind"))),
        }
    }

    async fn jpeg(&self, kind: Kind, bytes: &Bytes) -> Result<Preview, NoPreview> {
        match self.ask(kind, bytes).await {
            Ok(Answer::Jpeg(bytes)) => Ok(Preview {
                content_type: "image/jpeg".to_owned(),
                bytes,
            }),
            Ok(Answer::Problem(problem)) | Err(problem) => Err(NoPreview(problem)),
            Ok(Answer::Signs(_) | Answer::Layers(_)) => {
                Err(NoPreview(nonsense(Unbelievable("its kind"))))
            }
        }
    }

    /// What decodes HEIC and AVIF.
    pub(crate) fn ffmpeg(&self) -> &Ffmpeg {
        &self.0.options.ffmpeg
    }

    /// Asks a worker about a medium that may be one.
    async fn ask(&self, kind: Kind, bytes: &Bytes) -> Result<Answer, String> {
        let heif = container::heif(bytes);
        if heif.is_none() {
            decode::format_of(bytes).map_err(|problem| problem.to_string())?;
        }
        if bytes.len() > MEDIUM_BYTES_MAX {
            return Err(format!(
                "{} bytes, the limit is {MEDIUM_BYTES_MAX}",
                bytes.len()
            ));
        }
        self.ask_in_turn(kind, heif, bytes).await
    }

    /// Asks a worker, and a second one if the first was lost through no fault of the medium. HEIC and AVIF
    /// are brought to pixels before; as that happens in turn, too, there are never more of them than workers.
    async fn ask_in_turn(
        &self,
        kind: Kind,
        heif: Option<&'static str>,
        bytes: &Bytes,
    ) -> Result<Answer, String> {
        let _slot = self
            .0
            .slots
            .acquire()
            .await
            .map_err(|_| "the media pool is closed".to_owned())?;
        let (pixels, bytes) = match heif {
            Some(format) => {
                let PoolOptions { ffmpeg, limits, .. } = &self.0.options;
                let time = self.0.options.job_timeout;
                let (pixels, rgb) = ffmpeg.decode(format, bytes, limits, time).await?;
                (Some(pixels), &rgb.clone())
            }
            None => (None, bytes),
        };
        match self.ask_one(kind, pixels, bytes).await {
            Err(Lost { innocent: true, .. }) => self.ask_one(kind, pixels, bytes).await,
            answered => answered,
        }
        .map_err(|lost| lost.problem)
    }

    async fn ask_one(
        &self,
        kind: Kind,
        pixels: Option<Pixels>,
        bytes: &Bytes,
    ) -> Result<Answer, Lost> {
        let mut worker = match self.idle().pop() {
            Some(worker) => worker,
            None => Worker::start(&self.0.options).map_err(|error| Lost::never_started(&error))?,
        };
        let options = &self.0.options;
        let time = options.job_timeout;
        let head = RequestHead {
            kind,
            limits: options.limits,
            extra: options.extra,
            time,
            pixels,
            length: bytes.len(),
        };
        let asked = worker.ask(head, bytes);
        match timeout(time, asked).await.unwrap_or(Err(Failure::TimedOut)) {
            Ok((answer, retire)) => {
                // A worker that retires is dropped here, which ends it.
                if !retire {
                    self.take_back(worker);
                }
                Ok(answer)
            }
            Err(failure) => {
                let lost = worker.bury(failure, time).await;
                tracing::warn!(
                    innocent = lost.innocent,
                    "a media worker was lost: {}",
                    lost.problem
                );
                Err(lost)
            }
        }
    }

    /// Starts all workers at once, unless a job has come first. Jobs that come meanwhile wait.
    fn warm(&self) {
        let workers = self.0.slots.available_permits();
        let all = u32::try_from(workers)
            .ok()
            .and_then(|all| self.0.slots.try_acquire_many(all).ok());
        if all.is_none() || workers < self.0.options.workers {
            return;
        }
        for _ in 0..workers {
            match Worker::start(&self.0.options) {
                Ok(worker) => self.take_back(worker),
                Err(error) => {
                    tracing::error!(
                        "a media worker cannot be started, so media will be undecodable: {error}"
                    );
                    break;
                }
            }
        }
    }

    /// Called with a slot in hand, so there are never more workers than slots.
    fn take_back(&self, worker: Worker) {
        self.idle().push(worker);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        // The list is whole after every single change, so a panic elsewhere cannot have broken it.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Digests of the bytes, while a worker decodes them.
async fn digests(bytes: &Bytes) -> (Sha256, Md5) {
    if bytes.len() > INLINE_DIGEST_BYTES_MAX {
        let bytes = bytes.clone();
        let digesting =
            tokio::task::spawn_blocking(move || (digest::sha256(&bytes), digest::md5(&bytes)));
        // Only a runtime that is shutting down refuses, and then nobody reads the answer.
        if let Ok(digests) = digesting.await {
            return digests;
        }
    }
    (digest::sha256(bytes), digest::md5(bytes))
}

fn nonsense(Unbelievable(part): Unbelievable) -> String {
    format!("the decoder gave an answer that cannot be right ({part})")
}

/// Why a job has no answer.
#[derive(Debug)]
enum Failure {
    TimedOut,
    /// The worker was gone before it had read the medium.
    Unread,
    /// The worker was gone before it answered.
    Unanswered,
    Nonsense(Unbelievable),
}

/// A worker that is gone, with its job.
#[derive(Debug)]
struct Lost {
    problem: String,
    /// Whether the medium had nothing to do with it.
    innocent: bool,
}

impl Lost {
    fn never_started(error: &io::Error) -> Self {
        Self {
            problem: format!("no decoder could be started: {error}"),
            innocent: false,
        }
    }
}

/// One worker process.
#[derive(Debug)]
struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Collects the end of what it says on stderr, to tell why it died.
    last_words: JoinHandle<Vec<u8>>,
}

impl Worker {
    fn start(options: &PoolOptions) -> io::Result<Self> {
        let mut child = Command::new(&options.program)
            .arg0("manara")
            .args(&options.args)
            // A decoder that was taken over finds no secrets around it.
            .env_clear()
            .env("GLIBC_TUNABLES", GLIBC_TUNABLES)
            .current_dir("/")
            // Ctrl-C is for the server, which still wants answers while it shuts down.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("its pipes are missing"));
        };
        // Most images then fit as a whole, which saves waking the worker for each part. Where the
        // system has no more room for pipes, the usual size serves as well.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdin, PIPE_BYTES);
        Ok(Self {
            child,
            stdin,
            stdout,
            last_words: tokio::spawn(read_last_words(stderr)),
        })
    }

    async fn ask(
        &mut self,
        request: RequestHead,
        bytes: &Bytes,
    ) -> Result<(Answer, bool), Failure> {
        let (kind, head) = (request.kind, request.encode());
        let mut request = Buf::chain(&head[..], &bytes[..]);
        self.stdin
            .write_all_buf(&mut request)
            .await
            .map_err(|_| Failure::Unread)?;
        let mut head = [0; ANSWER_HEAD];
        self.stdout
            .read_exact(&mut head)
            .await
            .map_err(|_| Failure::Unanswered)?;
        let (length, retire) = Answer::decode_head(kind, head).map_err(Failure::Nonsense)?;
        let mut body = vec![0; length];
        self.stdout
            .read_exact(&mut body)
            .await
            .map_err(|_| Failure::Unanswered)?;
        let [status, ..] = head;
        Ok((
            Answer::decode(kind, status, body).map_err(Failure::Nonsense)?,
            retire,
        ))
    }

    /// Ends the worker and tells why it failed.
    async fn bury(mut self, failure: Failure, time: Duration) -> Lost {
        let guilty = |problem: String| Lost {
            problem,
            innocent: false,
        };
        let unread = match failure {
            Failure::TimedOut => return guilty(took_over(time)),
            Failure::Nonsense(part) => return guilty(nonsense(part)),
            Failure::Unread => true,
            Failure::Unanswered => false,
        };
        let Ok(Ok(status)) = timeout(END_TIME, self.child.wait()).await else {
            return guilty("the decoder closed its pipes without an answer".to_owned());
        };
        let last_words = timeout(END_TIME, self.last_words).await;
        let last_words = last_words.ok().and_then(Result::ok).unwrap_or_default();
        let mut lost = cause_of_death(status, &String::from_utf8_lossy(&last_words), time);
        lost.innocent |= unread;
        lost
    }
}

/// Why a worker ended, from its exit status and what it said last.
fn cause_of_death(status: ExitStatus, last_words: &str, time: Duration) -> Lost {
    let guilty = |problem: String| Lost {
        problem,
        innocent: false,
    };
    // What Rust's runtime prints before it aborts.
    if last_words.contains("memory allocation of") {
        return guilty("the decoder ran out of memory".to_owned());
    }
    if last_words.contains("overflowed its stack") {
        return guilty("the decoder ran out of stack".to_owned());
    }
    match status.signal() {
        Some(SIGXCPU) => guilty(took_over(time)),
        Some(signal @ (SIGHUP | SIGINT | SIGKILL | SIGTERM)) => {
            let problem = format!(
                "the decoder was ended from outside (signal {signal}), perhaps because the machine ran out of memory"
            );
            Lost {
                problem,
                innocent: true,
            }
        }
        Some(signal) => guilty(format!("the decoder crashed on it (signal {signal})")),
        None => guilty(format!("the decoder ended on it ({status})")),
    }
}

pub(super) fn took_over(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("took over {} s", time.as_secs())
    } else {
        format!("took over {} ms", time.as_millis())
    }
}

/// Reads stderr to its end and keeps the last part.
pub(super) async fn read_last_words(mut stderr: ChildStderr) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut part = [0; 512];
    while let Ok(count @ 1..) = stderr.read(&mut part).await {
        kept.extend_from_slice(part.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(STDERR_BYTES_MAX);
        kept.drain(..over);
    }
    kept
}

#[cfg(test)]
pub(super) mod tests;
