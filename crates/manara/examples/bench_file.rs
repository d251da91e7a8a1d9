//! Times the way from the bytes of a JPEG to its PDQ hash; one half of `bench/pdq/files.sh`, which runs
//! the peer beside it.
//!
//! ```text
//! bench_file PROGRAM      the built manara, whose media worker is asked
//! ```
//! Reads a request a line on standard input, `WAY PASSES FILE`, and answers with a line: nanoseconds for
//! hashing the file as many times, then `HASH:QUALITY`. The ways are `process`, decoding and hashing in
//! this process, and `worker`, asking a sandboxed worker, which also hashes the seven other dihedral
//! forms and looks for bars. The file is in memory before the clock starts; the clock is processor time,
//! of the worker and of this thread together, as the peer's is of its thread.

use manara_signal::pdq::hash_rgb;
use std::io::{self, BufRead, Write};
use support::Worker;
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

#[path = "support/worker.rs"]
mod support;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let program = std::env::args().nth(1).ok_or("the manara program")?;
    let mut worker = Worker::start(&program);
    for line in io::stdin().lock().lines() {
        let answer = answer(&line?, &mut worker)?;
        writeln!(io::stdout().lock(), "{answer}")?;
    }
    Ok(())
}

fn answer(request: &str, worker: &mut Worker) -> Result<String, Error> {
    let mut words = request.splitn(3, ' ');
    let mut word = || words.next().ok_or("a request is WAY PASSES FILE");
    let (way, passes) = (word()?, word()?.parse()?);
    let jpeg = std::fs::read(word()?)?;
    let by_worker = way == "worker";
    let clock = |worker: &Worker| -> Result<u64, Error> {
        let here = ran("/proc/thread-self/schedstat")?;
        let there = ran(&format!("/proc/{}/schedstat", worker.id()))?;
        Ok(if by_worker { here + there } else { here })
    };
    let start = clock(worker)?;
    let mut found = String::new();
    for _ in 0..passes {
        found = if by_worker {
            said_by(&worker.sign(&jpeg, true, 0))
        } else {
            hashed(&jpeg)?
        };
    }
    Ok(format!("{} {found}", clock(worker)? - start))
}

fn hashed(jpeg: &[u8]) -> Result<String, Error> {
    let mut decoder = JpegDecoder::new(ZCursor::new(jpeg));
    let rgb = decoder.decode()?;
    let (width, height) = decoder.dimensions().ok_or("a picture without a size")?;
    let found = hash_rgb(&rgb, width, height)?;
    Ok(format!("{}:{}", found.hash, found.quality))
}

/// The hash as stored, from the answer's body: twelve bytes of size, four of flags and quality, hashes.
fn said_by(body: &[u8]) -> String {
    let hash = manara_signal::Pdq(body[16..48].try_into().expect("32 bytes"));
    format!("{hash}:{}", body[15])
}

/// Nanoseconds that a thread has run.
fn ran(schedstat: &str) -> Result<u64, Error> {
    let text = std::fs::read_to_string(schedstat)?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}
