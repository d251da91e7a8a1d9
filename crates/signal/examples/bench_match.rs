//! Times looking things up: phrases in posts, PDQ hashes within 31 bits, exact values.
//!
//! `cargo run --release -p manara-signal --example bench_match` prints one line a figure. The data
//! are generated: words of syllables in four languages, random hashes, random digests. Times are of
//! the processor where the system tells them (Linux), so that a busy machine disturbs them less.

use manara_signal::index::{ExactIndex, PdqIndex};
use manara_signal::text::{PhraseIndex, normalise};
use manara_signal::url::find_links;
use manara_signal::{Pdq, Phrase, Sha256, Signal};
use std::hint::black_box;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Instant;

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .for_each(|chunk| *chunk = self.next().to_le_bytes());
        bytes
    }
}

/// Seconds this thread has been running on a processor, or else by the clock.
struct Stopwatch(f64);

impl Stopwatch {
    fn start() -> Self {
        Self(Self::now())
    }
    fn seconds(&self) -> f64 {
        Self::now() - self.0
    }
    fn now() -> f64 {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let ran = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let ran = ran.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        ran.map_or_else(
            || BEGIN.elapsed().as_secs_f64(),
            |nanoseconds| nanoseconds / 1e9,
        )
    }
}

const SYLLABLES: [&str; 4] = [
    "th er in re on an ti es st al le ing tion ment pro con dis ma lo ver ca po si de li no ra tor per",
    "ال من في على مع كا تا بر سا مل نا عر حب قو لي مو را هم تم شر دو جا خي طر فا بن",
    "по на ст ен ра то ко ни ро не во ли но ть ре пре ка ла ва та ри ся го ло ми де",
    "me ng kan pe ber di ter an se ka la ma sa ta ra na ya ku mu nya lah pun",
];

fn words(random: &mut Random, language: usize) -> Vec<String> {
    let syllables: Vec<&str> = SYLLABLES[language].split(' ').collect();
    let word = |random: &mut Random| {
        (0..2 + random.below(3))
            .map(|_| syllables[random.below(syllables.len())])
            .collect()
    };
    (0..12_000).map(|_| word(random)).collect()
}

fn say(line: &str) {
    // A closed pipe only means that nobody reads on.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() {
    let mut random = Random(7);
    texts(&mut random);
    hashes(&mut random);
    exact(&mut random);
}

fn texts(random: &mut Random) {
    let languages: Vec<Vec<String>> = (0..4).map(|language| words(random, language)).collect();
    let mut index = PhraseIndex::new();
    let phrases: Vec<Phrase> = (0..100_000)
        .filter_map(|_| {
            let language = &languages[random.below(4)];
            let count = [1, 2, 2, 2, 3][random.below(5)];
            let words: Vec<&str> = (0..count)
                .map(|_| language[random.below(language.len())].as_str())
                .collect();
            Phrase::parse(&words.join(" "))
                .ok()
                .filter(|_| count > 1 || random.below(10) == 0)
        })
        .collect();
    let before = resident_mb();
    let start = Stopwatch::start();
    for (key, phrase) in (0..).zip(&phrases) {
        index.insert(key, phrase);
    }
    let grown = resident_mb()
        .zip(before)
        .map_or(f64::NAN, |(after, before)| after - before);
    say(&format!("phrases: resident memory grew by {grown:.0} MB"));
    say(&format!(
        "phrases: {} inserted in {:.0} ms",
        index.len(),
        start.seconds() * 1e3
    ));
    for (name, language) in [("English", 0), ("Arabic", 1), ("Russian", 2)] {
        let posts: Vec<String> = (0..5000)
            .map(|_| post(random, &languages[language]))
            .collect();
        measure_posts(name, &index, &posts);
    }
    let sentences: Vec<String> = (0..5000)
        .map(|_| post(random, &languages[0]) + "Read it. https://files.example/a/b?c=d now.")
        .collect();
    let start = Stopwatch::start();
    let links: usize = sentences.iter().map(|text| find_links(text).len()).sum();
    let each = start.seconds() * 1e6 / sentences.len() as f64;
    say(&format!(
        "links: {each:.2} us a post with a link, {links} found in {}",
        sentences.len()
    ));
    let vowelled: Vec<String> = (0..5000)
        .map(|_| {
            post(random, &languages[1])
                .chars()
                .flat_map(|c| [c, if c == ' ' { ' ' } else { '\u{64e}' }])
                .collect()
        })
        .collect();
    measure_posts("Arabic with vowel signs", &index, &vowelled);
    let spaced: Vec<String> = (0..5000)
        .map(|_| {
            post(random, &languages[0])
                .chars()
                .flat_map(|c| [c, ' '])
                .take(200)
                .collect()
        })
        .collect();
    measure_posts("English set apart", &index, &spaced);
}

/// Some 200 bytes.
fn post(random: &mut Random, words: &[String]) -> String {
    let mut post = String::new();
    while post.len() < 200 {
        post.push_str(&words[random.below(words.len())]);
        post.push(' ');
    }
    post
}

fn measure_posts(name: &str, index: &PhraseIndex, posts: &[String]) {
    let bytes: usize = posts.iter().map(String::len).sum();
    let mut best = (f64::MAX, f64::MAX);
    let mut hits = Vec::new();
    for _ in 0..7 {
        hits.clear();
        let start = Stopwatch::start();
        let normalised: Vec<_> = posts.iter().map(|post| normalise(post)).collect();
        let middle = start.seconds();
        for text in &normalised {
            index.find(text, &mut hits);
        }
        let end = start.seconds();
        best = (best.0.min(middle), best.1.min(end - middle));
    }
    let each = |seconds: f64| seconds * 1e6 / posts.len() as f64;
    say(&format!(
        "{name}: {} bytes a post, normalise {:.2} us, find {:.2} us, {:.0} MB/s in all, {} hits in {} posts",
        bytes / posts.len(),
        each(best.0),
        each(best.1),
        bytes as f64 / (best.0 + best.1) / 1e6,
        hits.len(),
        posts.len()
    ));
}

fn hashes(random: &mut Random) {
    let entries: Vec<(u64, Pdq)> = (0..1_000_000)
        .map(|key| (key, Pdq(random.bytes())))
        .collect();
    let start = Stopwatch::start();
    let mut index = PdqIndex::from_entries(entries.iter().copied());
    say(&format!(
        "PDQ: {} built in {:.2} s",
        index.len(),
        start.seconds()
    ));
    let queries: Vec<Pdq> = (0..20_000)
        .map(|i| {
            let mut hash = if i % 2 == 0 {
                entries[random.below(entries.len())].1
            } else {
                Pdq(random.bytes())
            };
            (0..random.below(32)).for_each(|_| hash.0[random.below(32)] ^= 1 << random.below(8));
            hash
        })
        .collect();
    let mut hits = Vec::new();
    for round in 0..3 {
        hits.clear();
        let start = Stopwatch::start();
        for query in &queries {
            index.query(query, 31, &mut hits);
        }
        let each = start.seconds() * 1e6 / queries.len() as f64;
        say(&format!(
            "PDQ: {each:.1} us a query at radius 31, each query once, round {round}, {} hits",
            hits.len()
        ));
    }
    let start = Stopwatch::start();
    for key in 0..100_000 {
        index.insert(2_000_000 + key, Pdq(random.bytes()));
    }
    say(&format!(
        "PDQ: {:.1} us an insert, over 100,000",
        start.seconds() * 10.0
    ));
    let start = Stopwatch::start();
    for query in &queries {
        index.query(query, 31, &mut hits);
    }
    let each = start.seconds() * 1e6 / queries.len() as f64;
    say(&format!("PDQ: {each:.1} us a query after them"));
    let start = Stopwatch::start();
    for query in queries.iter().take(200) {
        index.query(query, 32, &mut hits);
    }
    say(&format!(
        "PDQ: {:.2} ms a query at radius 32 (linear)",
        start.seconds() * 1e3 / 200.0
    ));
    black_box(hits);
}

fn exact(random: &mut Random) {
    let before = resident_mb();
    let mut index = ExactIndex::new();
    let seed = random.next();
    let signal = |i: u64| Signal::Sha256(Sha256(Random(seed ^ i << 20).bytes()));
    let start = Stopwatch::start();
    (0..1_000_000).for_each(|i| index.insert(i, &signal(i)));
    let took = start.seconds();
    let grown = resident_mb().zip(before).map_or_else(
        || "unknown".to_owned(),
        |(after, before)| format!("{:.0}", after - before),
    );
    say(&format!(
        "SHA-256: {} inserted in {took:.2} s, resident memory grew by {grown} MB",
        index.len()
    ));
    let mut keys = Vec::new();
    let start = Stopwatch::start();
    (500_000..1_500_000).for_each(|i| index.find(&signal(i), &mut keys));
    say(&format!(
        "SHA-256: {:.2} us a lookup, {} found of 1000000",
        start.seconds(),
        keys.len()
    ));
}

fn resident_mb() -> Option<f64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<f64>().ok()? * 4096.0 / 1e6)
}
