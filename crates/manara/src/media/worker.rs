//! The worker: `manara media-worker`, a process that decodes and can do nothing else.
//!
//! Before it reads a byte it takes from itself what decoding does not need (see `sandbox`). Then it
//! answers requests (see `protocol`) until its stdin closes, so it never outlives the pool for longer
//! than one job.
//!
//! A decoder that panics costs one answer; one that overflows its stack, runs out of memory or spins
//! costs the process, which the pool replaces. Processor time has a limit per job: the soft limit is
//! moved ahead before each one. So even with the pool gone a spinning decoder ends soon.

use super::decode::{self, Picture, Pixels, Problem};
use super::protocol::{Answer, Kind, RequestHead};
use super::sandbox::{self, LIFE_S, Layer, Layers};
use anyhow::Context;
use rlimit::Resource;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

/// Jobs after which a worker asks to be replaced: whatever a decoder leaks or fragments ends there.
const JOBS_MAX: u32 = 20_000;

/// Decodes for the pool until stdin closes. The arguments name layers of the sandbox to go without.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let withheld = arguments
        .map(|argument| {
            let layer = argument.to_str().and_then(Layer::named);
            layer.with_context(|| {
                format!("no layer of the sandbox is called `{}`", argument.display())
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    if input.is_terminal() {
        anyhow::bail!(
            "`manara {}` is started by manara itself; there is nothing to type here",
            super::WORKER_COMMAND
        );
    }
    note_panics();
    let layers = sandbox::enter(&withheld).context("limiting what the media worker may do")?;
    serve(input, output, layers).context("answering the media pool")
}

/// The loop itself, over any input and output.
pub(super) fn serve(
    mut input: impl Read,
    mut output: impl Write,
    layers: Layers,
) -> io::Result<()> {
    let mut busy = Busy::default();
    let mut bytes = Vec::new();
    while let Some(request) = RequestHead::read(&mut input)? {
        read_medium(&mut input, request.length, &mut bytes)?;
        let started = Instant::now();
        busy.allow(request.time)?;
        let answer = answer(&request, &bytes, layers);
        busy.worked(started.elapsed());
        let sent = output
            .write_all(&answer.encode(busy.is_over()))
            .and_then(|()| output.flush());
        match sent {
            // The pool gave up waiting, or is gone.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            sent => sent?,
        }
    }
    Ok(())
}

/// The buffer keeps its memory between jobs, unless one was unusually large.
fn read_medium(input: &mut impl Read, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    const KEPT: usize = 4 * 1024 * 1024;
    bytes.clear();
    bytes.shrink_to(KEPT.max(length));
    bytes.reserve_exact(length);
    if input.take(length as u64).read_to_end(bytes)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn answer(request: &RequestHead, bytes: &[u8], layers: Layers) -> Answer {
    let limits = &request.limits;
    let work = || -> Result<Answer, Problem> {
        #[cfg(test)]
        faults::strike(bytes)?;
        if let Some(pixels) = request.pixels {
            return answer_pixels(request, pixels, bytes, layers);
        }
        match request.kind {
            Kind::Sign => decode::sign(bytes, limits, request.extra)
                .map(|signs| Answer::Signs(Box::new(signs))),
            Kind::Preview => decode::preview(bytes, limits).map(Answer::Jpeg),
            Kind::Thumbnail => decode::thumbnail(bytes, limits).map(Answer::Jpeg),
            Kind::Layers => Ok(Answer::Layers(layers)),
        }
    };
    // The closure borrows bytes and limits only, so nothing can be left half changed.
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => Answer::Problem(problem.to_string()),
        Err(_) => Answer::Problem(format!("the decoder failed on it{}", PANICKED_AT.take())),
    }
}

/// The same of pixels that ffmpeg has decoded.
fn answer_pixels(
    request: &RequestHead,
    pixels: Pixels,
    rgb: &[u8],
    layers: Layers,
) -> Result<Answer, Problem> {
    let limits = &request.limits;
    let picture = || Picture::of_pixels(pixels, rgb, limits);
    match request.kind {
        Kind::Sign => decode::sign_pixels(pixels, rgb, limits, request.extra)
            .map(|signs| Answer::Signs(Box::new(signs))),
        Kind::Preview => decode::preview_of(picture()?).map(Answer::Jpeg),
        Kind::Thumbnail => decode::thumbnail_of(picture()?).map(Answer::Jpeg),
        Kind::Layers => Ok(Answer::Layers(layers)),
    }
}

thread_local! {
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes where a decoder panicked, for the answer, in place of printing the panic: its message may
/// hold parts of the medium.
pub(super) fn note_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| {
            let file = at.file().rsplit('/').take(3).collect::<Vec<_>>();
            let file = file.into_iter().rev().collect::<Vec<_>>().join("/");
            format!(" (a bug, at {file}:{})", at.line())
        });
        PANICKED_AT.set(place);
    }));
}

/// How long the worker has worked, which is at least the processor time it has used.
#[derive(Default)]
struct Busy {
    total: Duration,
    jobs: u32,
    allowed_s: u64,
}

impl Busy {
    /// Moves the soft limit of processor time far enough ahead for one more job.
    fn allow(&mut self, job: Duration) -> io::Result<()> {
        let until_s = (self.total + job).as_secs() + 2;
        if until_s <= self.allowed_s {
            return Ok(());
        }
        let (_, hard) = Resource::CPU.get()?;
        self.allowed_s = until_s.min(hard);
        Resource::CPU.set(self.allowed_s, hard)
    }

    fn worked(&mut self, time: Duration) {
        self.total += time;
        self.jobs += 1;
    }

    fn is_over(&self) -> bool {
        self.jobs >= JOBS_MAX || self.total.as_secs() >= LIFE_S / 2
    }
}

/// Ways for a test to break a worker from inside, as a hostile file might.
#[cfg(test)]
mod faults {
    use super::super::decode::Problem;
    use std::fs::{self, File};
    use std::io;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::process::Command;
    use std::time::Duration;

    #[expect(clippy::infinite_loop, reason = "that is the fault")]
    pub(super) fn strike(bytes: &[u8]) -> Result<(), Problem> {
        // Faults hide behind the first bytes of a JPEG, for the pool sends nothing else to a worker.
        let Some(fault) = bytes.strip_prefix(b"\xff\xd8\xffFAULT:") else {
            return Ok(());
        };
        match fault {
            b"read" => return tried(File::open("/etc/passwd")),
            b"list" => return tried(fs::read_dir("/")),
            b"write" => return tried(File::create("/tmp/manara-was-here")),
            b"listen" => return tried(TcpListener::bind("127.0.0.1:0")),
            b"udp" => return tried(UdpSocket::bind("127.0.0.1:0")),
            b"pair" => return tried(UnixStream::pair()),
            b"execute" => return tried(Command::new("/bin/true").status()),
            b"thread" => return tried(std::thread::Builder::new().spawn(|| ())),
            b"pipe" => return tried(io::pipe()),
            b"spin" => loop {
                std::hint::spin_loop();
            },
            b"sleep" => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            b"nap" => std::thread::sleep(Duration::from_millis(300)),
            b"panic" => panic!("with parts of the medium"),
            b"abort" => std::process::abort(),
            b"exit" => std::process::exit(3),
            b"memory" => {
                let hoard: Vec<Vec<u8>> = (0..64).map(|i| vec![i; 64 * 1024 * 1024]).collect();
                std::hint::black_box(hoard);
            }
            b"stack" => {
                std::hint::black_box(deeper(0));
            }
            other => panic!("no fault called {other:?}"),
        }
        Ok(())
    }

    /// What came of it, as the answer.
    fn tried<T>(result: io::Result<T>) -> Result<(), Problem> {
        let detail = match result {
            Ok(_) => "done".to_owned(),
            Err(error) => format!("errno {}", error.raw_os_error().unwrap_or_default()),
        };
        Err(Problem::Damaged {
            format: "worker",
            detail,
        })
    }

    #[expect(unconditional_recursion, reason = "that is the fault")]
    fn deeper(depth: u64) -> u64 {
        std::hint::black_box(deeper(std::hint::black_box(depth) + 1)) + 1
    }
}
