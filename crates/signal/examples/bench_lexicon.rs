//! Finding the phrases of a lexicon in messages, beside the daachorse crate (charwise) in the same process.
//!
//! `bench_lexicon FOLDER [ROUNDS]`, with what `bench/text/lexicon_gen.py` wrote there; prints a table.
//! The peer looks for the letters of the phrases anywhere in a message (`find_overlapping_iter`); whole words, letter
//! case and all that normalising undoes are nothing to it. Engines take turns, and medians of the rounds are printed.

use daachorse::CharwiseDoubleArrayAhoCorasick;
use manara_signal::Phrase;
use manara_signal::text::{PhraseHit, PhraseIndex, Scope, TermOptions, normalise};
use std::io::Write;
use std::time::Instant;

type Peer = CharwiseDoubleArrayAhoCorasick<u32>;

fn say(line: &str) {
    // A closed pipe only means that nobody reads on.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One engine and the texts it is given.
struct Engine<'a> {
    name: &'static str,
    texts: &'a [&'a str],
    /// How many hits there are in a text; the list is for reuse.
    hits: Hits<'a>,
    seconds: Vec<f64>,
    found: usize,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the folder of the generator");
    let rounds = arguments
        .next()
        .map_or(3, |rounds| rounds.parse().expect("a number of rounds"));
    let messages = std::fs::read_to_string(format!("{folder}/messages")).expect("messages");
    let folded: String = messages
        .lines()
        .map(|line| normalise(line).folded().to_owned() + "\n")
        .collect();
    say("| phrases | engine | MB/s | hits |");
    say("|---|---|---|---|");
    for size in [10_000, 100_000] {
        let lexicon =
            std::fs::read_to_string(format!("{folder}/lexicon-{size}")).expect("a lexicon");
        let phrases: Vec<Phrase> = lexicon
            .lines()
            .map(|line| Phrase::parse(line).expect("a phrase"))
            .collect();
        lexicon_of(&phrases, &messages, &folded, rounds);
    }
}

fn lexicon_of(phrases: &[Phrase], messages: &str, folded: &str, rounds: usize) {
    let (words, words_took, words_bytes) = built(|| index(phrases, Scope::Words));
    let (inside, inside_took, inside_bytes) = built(|| index(phrases, Scope::Substring));
    let (peer, peer_took, _) = built(|| peer(phrases.iter().map(Phrase::original)));
    let folded_peer = self::peer(phrases.iter().map(Phrase::folded));
    let raw: Vec<&str> = messages.lines().collect();
    let folded: Vec<&str> = folded.lines().collect();
    let engine = |name, texts, hits| Engine {
        name,
        texts,
        hits,
        seconds: Vec::new(),
        found: 0,
    };
    let mut engines = [
        engine("daachorse, raw", &raw, overlapping(&peer)),
        engine("daachorse, folded", &folded, overlapping(&folded_peer)),
        engine(
            "normalise alone, raw",
            &raw,
            Box::new(|text, _| usize::from(normalise(text).truncated)),
        ),
        engine("words: normalise and find, raw", &raw, normalised(&words)),
        engine("words: find_in, raw", &raw, found_in(&words)),
        engine("words: find_in, folded", &folded, found_in(&words)),
        engine("inside: find_in, raw", &raw, found_in(&inside)),
        engine("inside: find_in, folded", &folded, found_in(&inside)),
    ];
    for _ in 0..rounds {
        engines.iter_mut().for_each(Engine::run);
    }
    for engine in &mut engines {
        engine.seconds.sort_by(f64::total_cmp);
        let median = engine.seconds[engine.seconds.len() / 2];
        let speed = messages.len() as f64 / 1e6 / median;
        say(&format!(
            "| {} | {} | {speed:.1} | {} |",
            phrases.len(),
            engine.name,
            engine.found
        ));
    }
    let each = |bytes: usize| bytes / phrases.len();
    say(&format!(
        "\n{} phrases, built in: words {words_took:.3} s, {} bytes a phrase; inside words {inside_took:.3} s, {} bytes a phrase; daachorse {peer_took:.3} s, {} bytes a phrase\n",
        phrases.len(),
        each(words_bytes),
        each(inside_bytes),
        each(peer.heap_bytes()),
    ));
}

impl Engine<'_> {
    fn run(&mut self) {
        let (start, mut hits) = (Instant::now(), Vec::new());
        self.found = self
            .texts
            .iter()
            .map(|text| (self.hits)(text, &mut hits))
            .sum();
        self.seconds.push(start.elapsed().as_secs_f64());
    }
}

type Hits<'a> = Box<dyn Fn(&str, &mut Vec<PhraseHit>) -> usize + 'a>;

fn overlapping(peer: &Peer) -> Hits<'_> {
    Box::new(|text, _| peer.find_overlapping_iter(text).count())
}

fn normalised(index: &PhraseIndex) -> Hits<'_> {
    Box::new(|text, hits| {
        hits.clear();
        index.find(&normalise(text), hits);
        hits.len()
    })
}

fn found_in(index: &PhraseIndex) -> Hits<'_> {
    Box::new(|text, hits| {
        hits.clear();
        index.find_in(text, hits);
        hits.len()
    })
}

/// What was built, in how many seconds, and by how many bytes the process has grown.
fn built<T>(build: impl FnOnce() -> T) -> (T, f64, usize) {
    let (before, start) = (resident(), Instant::now());
    let made = build();
    (
        made,
        start.elapsed().as_secs_f64(),
        resident().saturating_sub(before),
    )
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or(0_usize) * 1024
}

fn index(phrases: &[Phrase], scope: Scope) -> PhraseIndex {
    let mut index = PhraseIndex::new();
    let options = TermOptions {
        scope,
        ..TermOptions::default()
    };
    for (key, phrase) in (0..).zip(phrases) {
        index.insert_with(key, phrase, &options).expect("a term");
    }
    index.prepare();
    index
}

fn peer<'p>(phrases: impl Iterator<Item = &'p str>) -> Peer {
    // It refuses the same pattern twice, as folding makes of some.
    let once: std::collections::BTreeSet<&str> = phrases.collect();
    Peer::with_values(once.into_iter().zip(0..)).expect("patterns")
}
