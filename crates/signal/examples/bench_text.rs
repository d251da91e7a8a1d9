//! Everything that is looked up of one post and its author's name, in full banks, one core.
//!
//! `bench_text [PHRASES] [OTHERS]`: by default 100,000 phrases and 1,000,000 each of addresses, names and
//! texts (`raw_text` and `similar_text` both). Posts are 280 bytes of mixed Arabic, English, Russian and
//! Indonesian made of syllables, one in three with a link, one in four with a mention; one in a hundred
//! is a member of a bank. Prints the median, the 99th percentile and the share of each part.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use manara_signal::index::{DestinationIndex, DestinationMember};
use manara_signal::name::{Name, NameIndex, SloganIndex, as_text};
use manara_signal::near::{EditIndex, RawText, ShingleIndex, Shingles};
use manara_signal::text::{PhraseIndex, normalise};
use manara_signal::url::{Destination, find_destinations};
use manara_signal::{CanonicalUrl, Phrase};
use std::time::{Duration, Instant};

const POSTS: usize = 20_000;
const POST_BYTES: usize = 280;

/// `SplitMix64`, so that every run sees the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const LATIN: [&str; 24] = [
    "ba", "ner", "gre", "sta", "lin", "mo", "ther", "ing", "pro", "ven", "ka", "ri", "so", "den",
    "ul", "tra", "men", "ter", "ya", "di", "per", "gi", "nya", "lah",
];
const ARABIC: [&str; 20] = [
    "را", "ية", "ال", "رم", "اد", "كت", "اب", "مد", "ين", "سل", "طر", "يق", "نو", "ور", "حد", "يث",
    "عم", "قل", "بي", "ست",
];
const RUSSIAN: [&str; 20] = [
    "ста", "ро", "пра", "ви", "ло", "но", "сти", "ре", "ка", "мо", "ле", "ны", "да", "ва", "ти",
    "по", "ше", "бу", "гра", "вна",
];

fn word(random: &mut Random, syllables: &[&str]) -> String {
    (0..2 + random.below(3))
        .map(|_| random.of(syllables))
        .collect()
}

fn words(random: &mut Random, bytes: usize) -> String {
    let syllables: &[&str] = match random.below(4) {
        0 => &ARABIC,
        1 => &RUSSIAN,
        _ => &LATIN,
    };
    let mut text = String::new();
    while text.len() < bytes {
        text += &word(random, syllables);
        text.push(if random.below(12) == 0 { '.' } else { ' ' });
    }
    text
}

fn link(random: &mut Random) -> String {
    format!(
        "https://{}.example/{}/{}",
        word(random, &LATIN),
        word(random, &LATIN),
        random.below(100_000)
    )
}

fn handle(random: &mut Random) -> String {
    format!(
        "{}_{}{}",
        word(random, &LATIN),
        word(random, &LATIN),
        random.below(100)
    )
}

fn post(random: &mut Random) -> String {
    let mut text = words(random, POST_BYTES - 60);
    if random.below(3) == 0 {
        text += &link(random);
    }
    if random.below(4) == 0 {
        text += &format!(" @{}", handle(random));
    }
    while text.len() < POST_BYTES {
        text += " ";
        text += &word(random, &LATIN);
    }
    text
}

#[derive(Default)]
struct Indexes {
    phrases: PhraseIndex,
    slogans: SloganIndex,
    destinations: DestinationIndex,
    names: NameIndex,
    raw_texts: EditIndex,
    similar_texts: ShingleIndex,
}

fn fill(phrases: usize, others: usize, posts: &[(String, String)]) -> Indexes {
    let (mut indexes, mut random) = (Indexes::default(), Random(1));
    for key in 0..phrases as u64 {
        let bytes = 8 + random.below(16);
        if let Ok(phrase) = Phrase::parse(&words(&mut random, bytes)) {
            indexes.phrases.insert(key, &phrase);
            indexes.slogans.insert(key, &phrase);
        }
    }
    for key in 0..others as u64 {
        let url = CanonicalUrl::parse(&link(&mut random)).expect("an address");
        indexes
            .destinations
            .insert(key, &DestinationMember::Url(url));
        if let Ok(name) = Name::parse(&handle(&mut random)) {
            indexes.names.insert(key, &name);
        }
        // Every hundredth post is known.
        let known = posts.get(key as usize * 100).map(|(text, _)| text.clone());
        let text = known.unwrap_or_else(|| post(&mut random));
        if let Ok(text) = RawText::parse(&text) {
            indexes.raw_texts.insert(key, &text);
        }
        if let Ok(shingles) = Shingles::of(&text) {
            indexes.similar_texts.insert(key, &shingles);
        }
    }
    indexes
}

const PARTS: [&str; 5] = [
    "normalise and phrases",
    "destinations and mentions",
    "raw_text",
    "similar_text",
    "name and slogans in it",
];

/// Looks everything up; how long each part took, and how much was found.
fn look_up(indexes: &Indexes, text: &str, name: &str) -> ([Duration; 5], usize) {
    let (mut took, mut found) = ([Duration::ZERO; 5], 0);
    let mut lap = Instant::now();
    let normalised = normalise(text);
    let mut hits = Vec::new();
    indexes.phrases.find(&normalised, &mut hits);
    found += hits.len();
    took[0] = since(&mut lap);

    for destination in find_destinations(text) {
        if let Destination::Mention(name) = &destination.what {
            found += names(indexes, name);
        } else {
            let mut hits = Vec::new();
            indexes.destinations.find(&destination.what, &mut hits);
            found += hits.len();
        }
    }
    took[1] = since(&mut lap);

    if let Ok(raw) = RawText::of_content(text) {
        let mut hits = Vec::new();
        indexes
            .raw_texts
            .query(&raw, EditIndex::DISTANCE, &mut hits);
        found += hits.len();
    }
    took[2] = since(&mut lap);

    if let Ok(shingles) = Shingles::of_folded(normalised.folded()) {
        let mut hits = Vec::new();
        indexes
            .similar_texts
            .query(&shingles, ShingleIndex::DISTANCE, &mut hits);
        found += hits.len();
    }
    took[3] = since(&mut lap);

    found += names(indexes, name);
    let (mut in_words, mut run) = (Vec::new(), Vec::new());
    as_text(name).find(&indexes.phrases, &mut in_words);
    indexes.slogans.find(name, &mut run);
    found += in_words.len() + run.len();
    took[4] = since(&mut lap);
    (took, found)
}

/// The time since then, which is now from then on.
fn since(lap: &mut Instant) -> Duration {
    let took = lap.elapsed();
    *lap = Instant::now();
    took
}

fn names(indexes: &Indexes, name: &str) -> usize {
    let mut hits = Vec::new();
    if let Ok(name) = Name::parse(name) {
        indexes.names.find(&name, 80, &mut hits);
    }
    hits.len()
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|it| it.parse().expect("a number"));
    let phrases = arguments.next().unwrap_or(100_000);
    let others = arguments.next().unwrap_or(1_000_000);
    let mut random = Random(7);
    let posts: Vec<(String, String)> = (0..POSTS)
        .map(|_| (post(&mut random), handle(&mut random)))
        .collect();
    let started = Instant::now();
    let indexes = fill(phrases, others, &posts);
    eprintln!("filled in {:.1} s", started.elapsed().as_secs_f64());
    let (mut all, mut parts, mut found) = (Vec::with_capacity(POSTS), [Duration::ZERO; 5], 0);
    for (text, name) in &posts {
        let (took, hits) = look_up(&indexes, text, name);
        found += hits;
        all.push(took.iter().sum::<Duration>());
        parts
            .iter_mut()
            .zip(took)
            .for_each(|(sum, took)| *sum += took);
    }
    all.sort_unstable();
    let at = |share: usize| all[all.len() * share / 100].as_nanos() as f64 / 1e3;
    println!(
        "{phrases} phrases, {others} addresses, names and texts; {POSTS} posts of {POST_BYTES} bytes"
    );
    println!(
        "median {:.1} µs, 99th percentile {:.1} µs, {found} found",
        at(50),
        at(99)
    );
    for (name, sum) in PARTS.iter().zip(parts) {
        println!(
            "{name}: {:.1} µs on average",
            sum.as_nanos() as f64 / 1e3 / POSTS as f64
        );
    }
}
