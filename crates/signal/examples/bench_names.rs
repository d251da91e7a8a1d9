//! Times looking up names among a million, beside a plain hash set.
//!
//! `cargo run --release -p manara-signal --example bench_names [MEMBERS]` prints one line a figure;
//! with `--write DIR` it writes the members and the names looked up, one a line, for other programs
//! to be measured with. Names are generated from syllables. Times are of the processor where the
//! system tells them.

use manara_signal::name::{Name, NameIndex, SCORE_DEFAULT};
use std::collections::HashSet;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
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
}

const LATIN: &str =
    "ba ra mi lo ver ca po si de li no ka tor per gan du shi fe ha za ri mo ne ta su vo le ki";
const ARABIC: &str = "را با مي لو قا سا دي نو كا تر عم حب شم خي فا زه طل جو ها صب";

/// A name of two words, one in five in Arabic, one in three with a counter.
fn name(random: &mut Random) -> String {
    let arabic = random.below(5) == 0;
    let syllables: Vec<&str> = if arabic { ARABIC } else { LATIN }.split(' ').collect();
    let word = |random: &mut Random| -> String {
        let count = 2 + random.below(3);
        (0..count)
            .map(|_| syllables[random.below(syllables.len())])
            .collect()
    };
    let first = word(random);
    let second = word(random);
    let between = ["_", ".", "", "-"][random.below(4)];
    let counter = if random.below(3) == 0 {
        random.below(1000).to_string()
    } else {
        String::new()
    };
    format!("{first}{between}{second}{counter}")
}

/// Seconds this thread has been running on a processor, or else by the clock.
fn seconds() -> f64 {
    static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let ran = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = ran.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    ran.map_or_else(
        || BEGIN.elapsed().as_secs_f64(),
        |nanoseconds| nanoseconds / 1e9,
    )
}

fn resident_mb() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok());
    pages.map_or(f64::NAN, |pages| pages * 4096.0 / 1e6)
}

fn say(line: &str) {
    // A closed pipe only means that nobody reads on.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments
        .first()
        .and_then(|first| first.parse().ok())
        .unwrap_or(1_000_000);
    let mut random = Random(11);
    let members: Vec<String> = (0..count).map(|_| name(&mut random)).collect();
    let known: HashSet<&str> = members.iter().map(String::as_str).collect();
    let strangers: Vec<String> = std::iter::from_fn(|| Some(name(&mut random)))
        .filter(|name| !known.contains(name.as_str()))
        .take(100_000)
        .collect();
    if let [.., flag, folder] = arguments.as_slice()
        && flag == "--write"
    {
        write(folder, "members.txt", &members);
        write(folder, "names.txt", &strangers);
    }
    measure(&members, &strangers);
}

fn write(folder: &str, file: &str, names: &[String]) {
    let path = Path::new(folder).join(file);
    if let Err(error) = std::fs::write(&path, names.join("\n")) {
        say(&format!("{}: {error}", path.display()));
    }
}

fn measure(members: &[String], strangers: &[String]) {
    let before = resident_mb();
    let start = seconds();
    let mut index = NameIndex::new();
    for (key, text) in (0..).zip(members) {
        if let Ok(name) = Name::parse(text) {
            index.insert(key, &name);
        }
    }
    let (took, grown) = (seconds() - start, resident_mb() - before);
    let count = index.len() as f64;
    say(&format!(
        "index: {} names in {took:.1} s ({:.2} us each), {grown:.0} MB ({:.0} bytes each)",
        index.len(),
        took * 1e6 / count,
        grown * 1e6 / count
    ));
    let set: HashSet<&str> = members.iter().map(String::as_str).collect();
    let names: Vec<Name> = strangers
        .iter()
        .filter_map(|text| Name::parse(text).ok())
        .collect();
    let unlike: Vec<Name> = names
        .iter()
        .filter(|name| matches(&index, name, 0) == 0)
        .cloned()
        .collect();
    let returns: Vec<Name> = members
        .iter()
        .take(100_000)
        .enumerate()
        .filter_map(|(at, text)| Name::parse(&format!("{text}_backup{at}")).ok())
        .collect();
    say(&format!(
        "{} names looked up, {} of them like nothing in the index",
        names.len(),
        unlike.len()
    ));
    let mut rounds: Vec<[f64; 6]> = Vec::new();
    for _ in 0..5 {
        rounds.push([
            each(strangers, |text| usize::from(set.contains(text.as_str()))),
            each(strangers, |text| usize::from(Name::parse(text).is_ok())),
            each(&unlike, |name| matches(&index, name, SCORE_DEFAULT)),
            each(&unlike, |name| matches(&index, name, 70)),
            each(&names, |name| matches(&index, name, SCORE_DEFAULT)),
            each(&returns, |name| matches(&index, name, SCORE_DEFAULT)),
        ]);
    }
    let what = [
        "hash set, exact".to_owned(),
        "keys of a name".to_owned(),
        format!("lookup, score {SCORE_DEFAULT}, like nothing"),
        "lookup, score 70, like nothing".to_owned(),
        format!("lookup, score {SCORE_DEFAULT}, any stranger"),
        format!("lookup, score {SCORE_DEFAULT}, a return of a member"),
    ];
    for (at, what) in what.iter().enumerate() {
        let mut times: Vec<f64> = rounds.iter().map(|round| round[at]).collect();
        times.sort_by(f64::total_cmp);
        say(&format!(
            "{what}: {:.3} us median of 5 rounds, {:.3} best",
            times[2], times[0]
        ));
    }
}

fn matches(index: &NameIndex, name: &Name, score_min: u8) -> usize {
    let mut hits = Vec::new();
    index.find(name, score_min, &mut hits);
    hits.len()
}

/// Microseconds for each.
fn each<T>(items: &[T], mut work: impl FnMut(&T) -> usize) -> f64 {
    let start = seconds();
    black_box(items.iter().map(&mut work).sum::<usize>());
    (seconds() - start) * 1e6 / items.len().max(1) as f64
}
