//! Times near-duplicate lookups; `bench/text/near.sh` runs it beside its peers.
//!
//! `bench_near edit DIR TEXTS QUERIES [PERCENT]` and the like read `DIR/bank` and `DIR/queries`, one
//! text a line, and print one JSON line: building, memory, the median and 99th percentile of a
//! lookup in microseconds, of those that find nothing, and a digest of all answers.

use manara_signal::digest::sha256;
use manara_signal::near::{EditIndex, RawText};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: usize| args.get(at).and_then(|n| n.parse().ok()).unwrap_or(or);
    let (Some(what), Some(folder)) = (args.first(), args.get(1)) else {
        let _ = writeln!(
            std::io::stderr(),
            "usage: bench_near edit DIR [TEXTS] [QUERIES] [PERCENT]"
        );
        return;
    };
    let bank = lines(folder, "bank", number(2, usize::MAX));
    let queries = lines(folder, "queries", number(3, usize::MAX));
    let line = match what.as_str() {
        "edit" => edit(&bank, &queries, number(4, 5) as u32),
        other => format!("no benchmark `{other}`"),
    };
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn lines(folder: &str, name: &str, count: usize) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
    text.lines().take(count).map(str::to_owned).collect()
}

/// What a run of lookups took and found.
#[derive(Default)]
struct Run {
    all_us: Vec<f64>,
    nothing_us: Vec<f64>,
    hits: usize,
    answers: String,
}

impl Run {
    fn note(&mut self, us: f64, hits: usize) {
        self.all_us.push(us);
        self.hits += hits;
        if hits == 0 {
            self.nothing_us.push(us);
        }
    }

    fn json(mut self, engine: &str, texts: usize, build_s: f64, bytes: usize) -> String {
        let digest = sha256(self.answers.as_bytes()).to_string();
        let [all, all_99] = quantiles(&mut self.all_us);
        let [nothing, nothing_99] = quantiles(&mut self.nothing_us);
        format!(
            "{{\"engine\": \"{engine}\", \"texts\": {texts}, \"queries\": {}, \"build_s\": {build_s:.2}, \"bytes_per_text\": {}, \
             \"median_us\": {all:.2}, \"p99_us\": {all_99:.2}, \"nothing_median_us\": {nothing:.2}, \"nothing_p99_us\": {nothing_99:.2}, \
             \"hits\": {}, \"answers\": \"{}\"}}",
            self.all_us.len(),
            bytes / texts.max(1),
            self.hits,
            digest.get(..16).unwrap_or_default(),
        )
    }
}

/// The median and the 99th percentile.
fn quantiles(times: &mut [f64]) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    [50, 99].map(|percent| times.get(times.len() * percent / 100).copied().unwrap_or(0.0))
}

fn edit(bank: &[String], queries: &[String], percent: u32) -> String {
    let began = Instant::now();
    let mut index = EditIndex::new();
    for (text, key) in bank.iter().zip(0..) {
        if let Ok(text) = RawText::parse(text) {
            index.insert(key, &text);
        }
    }
    let build_s = began.elapsed().as_secs_f64();
    let mut run = Run::default();
    let mut hits = Vec::new();
    for (number, text) in queries.iter().enumerate() {
        hits.clear();
        let began = Instant::now();
        if let Ok(text) = RawText::of_content(text) {
            index.query(&text, percent, &mut hits);
        }
        run.note(began.elapsed().as_secs_f64() * 1e6, hits.len());
        for hit in &hits {
            let _ = writeln!(run.answers, "{number} {} {}", hit.key, hit.edits);
        }
    }
    run.json("manara edit", bank.len(), build_s, index.memory_bytes())
}
