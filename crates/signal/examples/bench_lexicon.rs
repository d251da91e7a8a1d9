//! Finding the phrases of a lexicon in messages, beside the daachorse crate (charwise) in the same process.
//!
//! `bench_lexicon FOLDER [ROUNDS [ENGINE]]`, with what `bench/text/lexicon_gen.py` wrote there; prints a table, of
//! the engines whose names contain `ENGINE` and of daachorse.
//! The peer looks for the letters of the phrases anywhere in a message (`find_overlapping_iter`); whole words, letter
//! case and all that normalising undoes are nothing to it. Engines take turns, and medians of the rounds are printed.

use daachorse::CharwiseDoubleArrayAhoCorasick;
use manara_signal::Phrase;
use manara_signal::text::{PhraseHit, PhraseIndex, Scope, TermOptions, normalise};
use std::io::Write;
use std::time::Instant;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Peer = CharwiseDoubleArrayAhoCorasick<u32>;

fn say(line: &str) {
    // A closed pipe only means that nobody reads on.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One engine and the texts it is given.
struct Engine<'a> {
    name: &'static str,
    texts: &'a [&'a str],
    work: Work<'a>,
    seconds: Vec<f64>,
    found: usize,
}

enum Work<'a> {
    /// How many hits there are in a text; the list is for reuse.
    Text(Hits<'a>),
    /// The same where normalising is done beforehand and not counted.
    Normalised(&'a PhraseIndex),
}

type Hits<'a> = Box<dyn Fn(&str, &mut Vec<PhraseHit>) -> usize + 'a>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("the folder of the generator");
    let rounds = arguments
        .next()
        .map_or(3, |rounds| rounds.parse().expect("a number of rounds"));
    let only = arguments.next().unwrap_or_default();
    let messages = std::fs::read_to_string(format!("{folder}/messages")).expect("messages");
    let folded: String = messages
        .lines()
        .map(|line| normalise(line).folded().to_owned() + "\n")
        .collect();
    say("| phrases | engine | MB/s | beside daachorse | hits |");
    say("|---|---|---|---|---|");
    for size in [10_000, 100_000] {
        let lexicon =
            std::fs::read_to_string(format!("{folder}/lexicon-{size}")).expect("a lexicon");
        let phrases: Vec<Phrase> = lexicon
            .lines()
            .map(|line| Phrase::parse(line).expect("a phrase"))
            .collect();
        lexicon_of(&phrases, &messages, &folded, (rounds, &only));
    }
}

fn lexicon_of(phrases: &[Phrase], messages: &str, folded: &str, (rounds, only): (usize, &str)) {
    let (words, words_took, words_bytes) = built(|| index(phrases, Scope::Words));
    let (inside, inside_took, inside_bytes) = built(|| index(phrases, Scope::Substring));
    let (peer, peer_took, _) = built(|| peer(phrases.iter().map(Phrase::original)));
    let folded_peer = self::peer(phrases.iter().map(Phrase::folded));
    let raw: Vec<&str> = messages.lines().collect();
    let folded: Vec<&str> = folded.lines().collect();
    let engine = |name, texts, work| Engine {
        name,
        texts,
        work,
        seconds: Vec::new(),
        found: 0,
    };
    let mut engines = [
        engine(PEERS[0], &raw, overlapping(&peer)),
        engine(PEERS[1], &folded, overlapping(&folded_peer)),
        engine("raw: normalise alone", &raw, normalising()),
        engine("raw: normalise, find words", &raw, normalised(&words)),
        engine("raw: find_in, words", &raw, found_in(&words)),
        engine("folded: find_in, words", &folded, found_in(&words)),
        engine(
            "folded: find of normalised, words",
            &folded,
            Work::Normalised(&words),
        ),
        engine("raw: find_in, inside words", &raw, found_in(&inside)),
        engine("folded: find_in, inside words", &folded, found_in(&inside)),
        engine(
            "folded: find of normalised, inside words",
            &folded,
            Work::Normalised(&inside),
        ),
    ];
    let asked = |engine: &Engine<'_>| PEERS.contains(&engine.name) || engine.name.contains(only);
    for _ in 0..rounds {
        let of_round = engines.iter_mut().filter(|engine| asked(engine));
        of_round.for_each(Engine::run);
    }
    let of_peers = [engines[0].median(), engines[1].median()];
    for engine in engines.iter().filter(|engine| asked(engine)) {
        let peer = of_peers[usize::from(engine.name.starts_with("folded"))];
        let (speed, ratio) = (
            messages.len() as f64 / 1e6 / engine.median(),
            peer / engine.median(),
        );
        let (count, name, found) = (phrases.len(), engine.name, engine.found);
        say(&format!(
            "| {count} | {name} | {speed:.1} | {ratio:.2} | {found} |"
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

/// The engines that others are compared with: on the messages as they are, and folded.
const PEERS: [&str; 2] = ["raw: daachorse", "folded: daachorse"];

impl Engine<'_> {
    fn run(&mut self) {
        let mut hits = Vec::new();
        let (seconds, found) = match &self.work {
            Work::Text(find) => timed(|| self.texts.iter().map(|text| find(text, &mut hits)).sum()),
            Work::Normalised(index) => in_normalised(index, self.texts),
        };
        self.seconds.push(seconds);
        self.found = found;
    }

    fn median(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    }
}

fn timed(work: impl FnOnce() -> usize) -> (f64, usize) {
    let start = Instant::now();
    let found = work();
    (start.elapsed().as_secs_f64(), found)
}

fn in_normalised(index: &PhraseIndex, texts: &[&str]) -> (f64, usize) {
    let (mut hits, mut seconds, mut found) = (Vec::new(), 0.0, 0);
    for texts in texts.chunks(1000) {
        let texts: Vec<_> = texts.iter().map(|text| normalise(text)).collect();
        let (took, count) = timed(|| {
            let of_one = |text| {
                hits.clear();
                index.find(text, &mut hits);
                hits.len()
            };
            texts.iter().map(of_one).sum()
        });
        seconds += took;
        found += count;
    }
    (seconds, found)
}

fn overlapping(peer: &Peer) -> Work<'_> {
    Work::Text(Box::new(|text, _| peer.find_overlapping_iter(text).count()))
}

fn normalising<'a>() -> Work<'a> {
    Work::Text(Box::new(|text, _| usize::from(normalise(text).truncated)))
}

fn normalised(index: &PhraseIndex) -> Work<'_> {
    Work::Text(Box::new(|text, hits| {
        hits.clear();
        index.find(&normalise(text), hits);
        hits.len()
    }))
}

fn found_in(index: &PhraseIndex) -> Work<'_> {
    Work::Text(Box::new(|text, hits| {
        hits.clear();
        index.find_in(text, hits);
        hits.len()
    }))
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
    index
}

fn peer<'p>(phrases: impl Iterator<Item = &'p str>) -> Peer {
    // It refuses the same pattern twice, as folding makes of some.
    let once: std::collections::BTreeSet<&str> = phrases.collect();
    Peer::with_values(once.into_iter().zip(0..)).expect("patterns")
}
