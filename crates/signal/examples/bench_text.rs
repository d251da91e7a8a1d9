//! Everything that is looked up of one post and its author's name, in full banks, one core.
//!
//! `bench_text [PHRASES [OTHERS [ROUNDS]]]`: by default 100,000 phrases and 1,000,000 each of addresses, names and
//! texts, and one round of all posts. Looked up are exact and near texts (`raw_text` and `similar_text` both). Posts are 280 bytes of Arabic, English, Russian or Indonesian
//! look, made as `bench/text/lexicon_gen.py` makes messages: 12,000 words a language, drawn unevenly as
//! people do; phrases have one to three of these words, single words being few. One post in three has a
//! link, one in four a mention, and one in a hundred is a member of a bank. Prints the median, the 99th percentile
//! and the share of each part.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use manara_signal::index::{DestinationIndex, DestinationMember};
use manara_signal::name::{Name, NameIndex, SloganIndex, as_text};
use manara_signal::near::{EditIndex, RawText, ShingleIndex, Shingles};
use manara_signal::text::{PhraseIndex, normalise};
use manara_signal::url::{Destination, find_destinations};
use manara_signal::{CanonicalUrl, Phrase};
use std::time::{Duration, Instant};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
}

/// Syllables of which words of Arabic, English, Indonesian and Russian look are put together.
const SYLLABLES: [&str; 4] = [
    "ال في من على كا تا بر سا مل نا عر حب قو لي مو را هم تم شر دو جا خي طر فا بن صا يو كت درس علم مدي ية أن لى",
    "an be cor der en fi gro hal in jo ket lan ment nor ous pre quil ra st ter un ver wal xi yel zo ing tion ble less shi tho",
    "a ba ca di en ga ha ing ja ka la ma nya or per ra sa tan u wa ya meng ber kan lu mi ni pu si te yo zi",
    "а бо ва ги до ек жи за ин ка ло мы но об пер ры сто ту ум фа хо це чи ша ще эль юн ять ость ный ский ение",
];
const ENGLISH: usize = 1;
const WORDS: usize = 12_000;

/// The words of each language, and what is put together of them.
struct Language {
    words: Vec<Vec<String>>,
    random: Random,
}

impl Language {
    fn new(seed: u64) -> Self {
        // The same words for every seed.
        let mut random = Random(7);
        let words = SYLLABLES.map(|syllables| {
            let syllables: Vec<&str> = syllables.split(' ').collect();
            let mut word = || -> String {
                let length = [2, 2, 3, 3, 4][random.below(5)];
                (0..length)
                    .map(|_| syllables[random.below(syllables.len())])
                    .collect()
            };
            (0..WORDS).map(|_| word()).collect()
        });
        Self {
            words: words.into(),
            random: Random(seed),
        }
    }

    /// Any word, each as often.
    fn word(&mut self, language: usize) -> &str {
        &self.words[language][self.random.below(WORDS)]
    }

    /// A word of running text: the first are drawn most.
    fn common(&mut self, language: usize) -> &str {
        let share = self.random.below(1 << 20) as f64 / f64::from(1 << 20);
        &self.words[language][(WORDS as f64 * share.powi(3)) as usize]
    }

    fn phrase(&mut self) -> String {
        let length = match self.random.below(100) {
            0..2 => 1,
            2..77 => 2,
            _ => 3,
        };
        let language = self.random.below(4);
        let words: Vec<String> = (0..length)
            .map(|_| self.word(language).to_owned())
            .collect();
        words.join(" ")
    }

    fn link(&mut self) -> String {
        let (host, page) = (self.word(ENGLISH).to_owned(), self.word(ENGLISH).to_owned());
        format!(
            "https://{host}.example/{page}/{}",
            self.random.below(100_000)
        )
    }

    fn handle(&mut self) -> String {
        let first = self.word(ENGLISH).to_owned();
        let last = self.word(ENGLISH).to_owned();
        format!("{first}_{last}{}", self.random.below(100))
    }

    fn post(&mut self) -> String {
        let language = self.random.below(4);
        let mut text = String::new();
        let mut end = String::new();
        if self.random.below(3) == 0 {
            end = format!(" {}", self.link());
        }
        if self.random.below(4) == 0 {
            end += &format!(" @{}", self.handle());
        }
        while text.len() + end.len() < POST_BYTES {
            text += self.common(language);
            text.push_str(if self.random.below(12) == 0 {
                ". "
            } else {
                " "
            });
        }
        text + &end
    }
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
    let (mut indexes, mut language) = (Indexes::default(), Language::new(1));
    for key in 0..phrases as u64 {
        if let Ok(phrase) = Phrase::parse(&language.phrase()) {
            indexes.phrases.insert(key, &phrase);
            indexes.slogans.insert(key, &phrase);
        }
    }
    for key in 0..others as u64 {
        let url = CanonicalUrl::parse(&language.link()).expect("an address");
        indexes
            .destinations
            .insert(key, &DestinationMember::Url(url));
        if let Ok(name) = Name::parse(&language.handle()) {
            indexes.names.insert(key, &name);
        }
        // Every hundredth post is known.
        let known = posts.get(key as usize * 100).map(|(text, _)| text.clone());
        let text = known.unwrap_or_else(|| language.post());
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
    let rounds = arguments.next().unwrap_or(1);
    let mut language = Language::new(2);
    let posts: Vec<(String, String)> = (0..POSTS)
        .map(|_| (language.post(), language.handle()))
        .collect();
    let started = Instant::now();
    let indexes = fill(phrases, others, &posts);
    eprintln!("filled in {:.1} s", started.elapsed().as_secs_f64());
    let (mut all, mut parts, mut found) =
        (Vec::with_capacity(POSTS * rounds), [Duration::ZERO; 5], 0);
    for (text, name) in std::iter::repeat_n(&posts, rounds).flatten() {
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
            sum.as_nanos() as f64 / 1e3 / all.len() as f64
        );
    }
}
