//! Times near-duplicate lookups; `bench/text/near.sh` runs it beside its peers.
//!
//! `bench_near edit DIR TEXTS QUERIES [PERCENT]` and the like read `DIR/bank` and `DIR/queries`, one
//! text a line, and print one JSON line: building, memory, the median and 99th percentile of a
//! lookup in microseconds, of those that find nothing, and a digest of all answers.
//! `bench_near confusion FILE` tables what languages the sentences of a file are taken for.

use manara_signal::digest::sha256;
use manara_signal::language::identify;
use manara_signal::near::{EditIndex, RawText, ShingleIndex, Shingles, Tlsh, TlshIndex};
use manara_signal::text::normalise;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: usize| args.get(at).and_then(|n| n.parse().ok()).unwrap_or(or);
    let (Some(what), Some(folder)) = (args.first(), args.get(1)) else {
        let _ = writeln!(
            std::io::stderr(),
            "usage: bench_near edit|shingle|tlsh|language DIR [TEXTS] [QUERIES] [PERCENT]"
        );
        return;
    };
    let bank = lines(folder, "bank", number(2, usize::MAX));
    let queries = lines(folder, "queries", number(3, usize::MAX));
    let line = match what.as_str() {
        "edit" => edit(&bank, &queries, number(4, 5) as u32),
        "shingle" => shingle(&bank, &queries, number(4, 30) as u32),
        "tlsh" => tlsh(&bank, &queries, number(4, 30) as u32),
        "language" => language(&queries),
        "confusion" => confusion(folder),
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
    [50, 99].map(|percent| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or(0.0)
    })
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

/// Lookups by shingles; what normalising takes is not counted, for the phrases need it all the same.
fn shingle(bank: &[String], queries: &[String], distance_max: u32) -> String {
    let began = Instant::now();
    let mut index = ShingleIndex::new();
    for (text, key) in bank.iter().zip(0..) {
        if let Ok(shingles) = Shingles::of(text) {
            index.insert(key, &shingles);
        }
    }
    let build_s = began.elapsed().as_secs_f64();
    let mut run = Run::default();
    let mut hits = Vec::new();
    for (number, text) in queries.iter().enumerate() {
        let normalised = normalise(text);
        hits.clear();
        let began = Instant::now();
        if let Ok(shingles) = Shingles::of_folded(normalised.folded()) {
            index.query(&shingles, distance_max, &mut hits);
        }
        run.note(began.elapsed().as_secs_f64() * 1e6, hits.len());
        for hit in &hits {
            let _ = writeln!(run.answers, "{number} {} {}", hit.key, hit.distance);
        }
    }
    run.json("manara shingle", bank.len(), build_s, index.memory_bytes())
}

/// Hashing of the bank, then lookups that compare with all of it.
fn tlsh(bank: &[String], queries: &[String], distance_max: u32) -> String {
    let bytes: usize = bank.iter().map(String::len).sum();
    let began = Instant::now();
    let hashes: Vec<Tlsh> = bank.iter().filter_map(|text| Tlsh::of(text).ok()).collect();
    let hash_s = began.elapsed().as_secs_f64();
    let mut index = TlshIndex::new();
    for (hash, key) in hashes.iter().zip(0..) {
        index.insert(key, hash);
    }
    let mut run = Run::default();
    let mut hits = Vec::new();
    for (number, text) in queries.iter().enumerate() {
        hits.clear();
        let Ok(hash) = Tlsh::of(text) else { continue };
        let began = Instant::now();
        index.query(&hash, distance_max, &mut hits);
        run.note(began.elapsed().as_secs_f64() * 1e6, hits.len());
        for hit in &hits {
            let _ = writeln!(run.answers, "{number} {} {}", hit.key, hit.distance);
        }
    }
    let total_s = run.all_us.iter().sum::<f64>() / 1e6;
    let compared = index.len() as f64 * run.all_us.len() as f64 / total_s / 1e6;
    let line = run.json("manara tlsh", hashes.len(), hash_s, index.memory_bytes());
    format!(
        "{}, \"hash_mb_s\": {:.1}, \"million_comparisons_s\": {compared:.1}}}",
        line.trim_end_matches('}'),
        bytes as f64 / 1e6 / hash_s
    )
}

fn language(queries: &[String]) -> String {
    identify("warm, and the tables made");
    let mut times: Vec<f64> = Vec::new();
    for text in queries {
        let began = Instant::now();
        std::hint::black_box(identify(text));
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let [median, most] = quantiles(&mut times);
    format!(
        "{{\"engine\": \"manara language\", \"median_us\": {median:.2}, \"p99_us\": {most:.2}}}"
    )
}

/// A line for each language of a file of `code TAB sentence`: how often it was given which answer.
fn confusion(file: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut answers: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (code, sentence) in text.lines().filter_map(|line| line.split_once('\t')) {
        let answer = identify(sentence).code;
        *answers.entry(code).or_default().entry(answer).or_default() += 1;
    }
    let lines = answers
        .iter()
        .map(|(code, answers)| format!("{code}: {answers:?}"));
    lines.collect::<Vec<_>>().join("\n")
}
