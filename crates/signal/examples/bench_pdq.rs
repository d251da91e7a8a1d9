//! Times the PDQ hash of decoded images; one half of `bench/pdq`, which runs the peer beside it.
//!
//! Prints the levels of instructions this processor has, then reads a request a line on standard
//! input, `LEVEL PASSES COUNT WIDTH HEIGHT FILE`, where the file holds that many images of tight RGB
//! rows, and answers with a line: nanoseconds for hashing them all as many times, then `HASH:QUALITY`
//! of each. The images are read before the clock starts; the clock is the thread's own processor time
//! where the system tells it (Linux, by milliseconds), as the peer's is.

use manara_signal::pdq::{Level, PdqError, PdqForm, PdqHash, RowHasher};
use std::io::{self, BufRead, Write};
use std::sync::LazyLock;
use std::time::Instant;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let levels: Vec<&str> = Level::available().map(Level::name).collect();
    writeln!(io::stdout().lock(), "{}", levels.join(" "))?;
    for line in io::stdin().lock().lines() {
        let answer = answer(&line?)?;
        writeln!(io::stdout().lock(), "{answer}")?;
    }
    Ok(())
}

fn answer(request: &str) -> Result<String, Error> {
    let mut words = request.splitn(6, ' ');
    let mut word = || {
        let expected = "a request is LEVEL PASSES COUNT WIDTH HEIGHT FILE";
        words.next().ok_or(expected)
    };
    let name = word()?;
    let level = Level::available().find(|level| level.name() == name);
    let level = level.ok_or("this processor has no such level")?;
    let (passes, count): (usize, usize) = (word()?.parse()?, word()?.parse()?);
    let (width, height): (usize, usize) = (word()?.parse()?, word()?.parse()?);
    let pixels = std::fs::read(word()?)?;
    let images: Vec<&[u8]> = pixels.chunks(width * height * 3).take(count).collect();
    let hash = |image: &&[u8]| -> Result<PdqHash, PdqError> {
        let mut hasher = RowHasher::at_level(level, PdqForm::Full, width, height)?;
        hasher.push(image)?;
        hasher.finish()
    };
    let mut hashes = Vec::new();
    let start = clock();
    for _ in 0..passes {
        hashes = images.iter().map(hash).collect::<Result<_, _>>()?;
    }
    let took = clock() - start;
    let hashes = hashes.iter().map(|h| format!(" {}:{}", h.hash, h.quality));
    Ok(std::iter::once(took.to_string()).chain(hashes).collect())
}

/// Nanoseconds this thread has run so far, or else since the first call.
fn clock() -> u128 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let ran = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = ran.and_then(|text| text.split(' ').next()?.parse().ok());
    ran.unwrap_or_else(|| BEGIN.elapsed().as_nanos())
}
