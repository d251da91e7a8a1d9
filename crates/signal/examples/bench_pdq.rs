//! Times the PDQ hash of decoded images; one half of `bench/pdq`, which runs the peer beside it.
//!
//! Reads a request a line on standard input, `COUNT WIDTH HEIGHT FILE`, where the file holds that
//! many images of tight RGB rows, and answers with a line: nanoseconds for hashing them all, then
//! `HASH:QUALITY` of each. The images are read before the clock starts; the clock is the thread's
//! own processor time where the system tells it (Linux), as the peer's is.

use manara_signal::pdq::hash_rgb;
use std::io::{self, BufRead, Write};
use std::sync::LazyLock;
use std::time::Instant;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    for line in io::stdin().lock().lines() {
        let answer = answer(&line?)?;
        writeln!(io::stdout().lock(), "{answer}")?;
    }
    Ok(())
}

fn answer(request: &str) -> Result<String, Error> {
    let mut words = request.splitn(4, ' ');
    let mut word = || words.next().ok_or("a request is COUNT WIDTH HEIGHT FILE");
    let (count, width, height): (usize, usize, usize) =
        (word()?.parse()?, word()?.parse()?, word()?.parse()?);
    let pixels = std::fs::read(word()?)?;
    let images: Vec<&[u8]> = pixels.chunks(width * height * 3).take(count).collect();
    let start = clock();
    let hashes: Vec<_> = images
        .iter()
        .map(|image| hash_rgb(image, width, height))
        .collect::<Result<_, _>>()?;
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
