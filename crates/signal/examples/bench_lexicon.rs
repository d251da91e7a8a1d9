//! Times finding the phrases of a lexicon in messages, beside `daachorse`.
//!
//! `bench_lexicon LEXICON MESSAGES [ROUNDS]`: two files of lines, such as `bench/text/generate.py`
//! writes. Each round times every engine once, message by message; the figures are medians of the
//! rounds. The peer searches for the phrases as substrings of the text as it is; ours normalise the
//! text and find whole words at two levels.

use manara_signal::Phrase;
use manara_signal::text::{PhraseIndex, normalise};
use std::io::Write;
use std::time::Instant;

fn say(line: &str) {
    // A closed pipe only means that nobody reads on.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let lexicon = std::fs::read_to_string(&arguments[1]).unwrap();
    let text = std::fs::read_to_string(&arguments[2]).unwrap();
    let messages: Vec<&str> = text.lines().collect();
    let mut index = PhraseIndex::new();
    let start = Instant::now();
    for (key, phrase) in (0..).zip(lexicon.lines()) {
        index.insert(key, &Phrase::parse(phrase).unwrap());
    }
    say(&format!("build {:.3}", start.elapsed().as_secs_f64()));
    for _ in 0..3 {
        let start = Instant::now();
        for m in &messages {
            std::hint::black_box(normalise(m));
        }
        let t1 = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut n = 0;
        let mut hits = Vec::new();
        for m in &messages {
            hits.clear();
            index.find(&normalise(m), &mut hits);
            n += hits.len();
        }
        let t2 = start.elapsed().as_secs_f64();
        say(&format!(
            "normalise {:.1} MB/s, all {:.1} MB/s, hits {n}",
            text.len() as f64 / 1e6 / t1,
            text.len() as f64 / 1e6 / t2
        ));
    }
}
