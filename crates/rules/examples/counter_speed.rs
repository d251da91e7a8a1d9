//! How long counters take and what they keep: `cargo run --release -p manara-rules --example counter_speed`.
//!
//! Counts of random keys beside the plain way to do it, a `HashMap<String, VecDeque<i64>>` that keeps
//! every time; distinct values beside the `hyperloglogplus` crate; memory for a key; heavy hitters
//! among millions of keys that come once. Arguments: the numbers of keys
//! (default 10000 1000000 10000000); or `memory KEYS BUCKETS` for one row of the table of memory.
#![expect(
    clippy::print_stdout,
    reason = "a measuring program prints what it measured"
)]

use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use jiff::SignedDuration;
use manara_rules::counters::{Counter, Input, Key, KeyHasher, Kind, Reading, Undo, Window};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;
use std::time::Instant;

const HOUR_MS: i64 = 3_600_000;
const START_MS: i64 = 1_790_000_000_000 / HOUR_MS * HOUR_MS;
const ROUNDS: usize = 9;
const ROUND_OPS: usize = 200_000;
/// Additions between two transactions.
const TRANSACTION: usize = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, keys, active] = arguments.as_slice()
        && word == "memory"
    {
        return memory(
            keys.parse().expect("keys"),
            active.parse().expect("buckets"),
        );
    }
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .map(|n| n.parse().expect("a number of keys"))
        .collect();
    let sizes = if sizes.is_empty() {
        vec![10_000, 1_000_000, 10_000_000]
    } else {
        sizes
    };
    println!(
        "counts over 1h; ns for one operation, median of {ROUNDS} rounds of {ROUND_OPS} in turn"
    );
    println!("with an undo for every {TRANSACTION} additions\n");
    println!(
        "| keys | new key | add | add and read | warmed in batches of 16 | the same from text | HashMap of VecDeque, from text | ratio | ours, bytes a key (RSS) | HashMap, bytes a key (RSS) |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for keys in &sizes {
        counts(*keys);
    }
    distinct();
    heavy_hitters();
}

fn hour() -> Window {
    Window::of(SignedDuration::from_hours(1)).expect("a window")
}

/// Resident memory of this process in bytes.
fn rss() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// Numbers that look random, the same in every run (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) as u128 * end as u128) >> 64) as usize
    }
}

/// The key of a number, spread over all bits at next to no cost: hashing is measured on its own.
fn spread(n: usize) -> Key {
    Key::from_hash((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn named(text: &mut String, n: usize) {
    text.clear();
    let _ = write!(text, "account-{n:010}");
}

fn ns(ops: usize, mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    run();
    begin.elapsed().as_nanos() as f64 / ops as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The plain way: every time of every key.
#[derive(Default)]
struct Plain(HashMap<String, VecDeque<i64>>);

impl Plain {
    fn add_and_read(&mut self, name: &str, at_ms: i64) -> usize {
        let times = match self.0.get_mut(name) {
            Some(times) => times,
            None => self.0.entry(name.into()).or_default(),
        };
        times.push_back(at_ms);
        while times.front().is_some_and(|first| *first < at_ms - HOUR_MS) {
            times.pop_front();
        }
        times.len()
    }
}

fn counts(keys: usize) {
    let hasher = KeyHasher::new([7; 16]);
    let before = rss();
    let mut ours = Counter::new(Kind::Count, hour(), keys * 2 + 1_000);
    let mut by_name = Counter::new(Kind::Count, hour(), keys * 2 + 1_000);
    let mut undo = ours.begin();
    let fill = ns(keys, || {
        for n in 0..keys {
            add(&mut ours, spread(n), n, START_MS, &mut undo);
        }
    });
    let filled = rss();
    let mut text = String::new();
    for n in 0..keys {
        named(&mut text, n);
        add(
            &mut by_name,
            hasher.key(&[text.as_bytes()]),
            n,
            START_MS,
            &mut undo,
        );
    }
    let named_filled = rss();
    let mut plain = Plain::default();
    for n in 0..keys {
        named(&mut text, n);
        plain.add_and_read(&text, START_MS);
    }
    let plain_filled = rss();
    let (mut adds, mut reads, mut warms, mut texts, mut plains) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut numbers = Numbers(1);
    for round in 0..ROUNDS {
        let now = |op: usize| START_MS + ((round * ROUND_OPS + op) / 10_000) as i64 * 1_000;
        adds.push(ns(ROUND_OPS, || {
            for op in 0..ROUND_OPS {
                add(
                    &mut ours,
                    spread(numbers.below(keys)),
                    op,
                    now(op),
                    &mut undo,
                );
            }
        }));
        reads.push(ns(ROUND_OPS, || {
            for op in 0..ROUND_OPS {
                let key = spread(numbers.below(keys));
                add(&mut ours, key, op, now(op), &mut undo);
                black_box(ours.read(key, now(op)));
            }
        }));
        warms.push(ns(ROUND_OPS, || {
            for batch in 0..ROUND_OPS / TRANSACTION {
                let keys: [Key; TRANSACTION] = std::array::from_fn(|_| spread(numbers.below(keys)));
                black_box(ours.warm(keys));
                for (op, key) in keys.into_iter().enumerate() {
                    let at_ms = now(batch * TRANSACTION + op);
                    add(&mut ours, key, op, at_ms, &mut undo);
                    black_box(ours.read(key, at_ms));
                }
            }
        }));
        texts.push(ns(ROUND_OPS, || {
            for op in 0..ROUND_OPS {
                named(&mut text, numbers.below(keys));
                let key = hasher.key(&[text.as_bytes()]);
                add(&mut by_name, key, op, now(op), &mut undo);
                black_box(by_name.read(key, now(op)));
            }
        }));
        plains.push(ns(ROUND_OPS, || {
            for op in 0..ROUND_OPS {
                named(&mut text, numbers.below(keys));
                black_box(plain.add_and_read(&text, now(op)));
            }
        }));
    }
    let (add, read, warm) = (median(adds), median(reads), median(warms));
    let (text, plain) = (median(texts), median(plains));
    println!(
        "| {keys} | {fill:.0} | {add:.0} | {read:.0} | {warm:.0} | {text:.0} | {plain:.0} | {:.1} | {} | {} |",
        plain / text,
        (filled - before) / keys,
        (plain_filled - named_filled) / keys
    );
}

fn add(counter: &mut Counter, key: Key, op: usize, at_ms: i64, undo: &mut Undo) {
    if op.is_multiple_of(TRANSACTION) {
        undo.clear();
    }
    counter
        .add(key, at_ms, Input::Event, undo)
        .expect("a count");
}

/// Bytes for a key with events in so many buckets. A process of its own: freed memory stays resident.
fn memory(keys: usize, active: i64) {
    let before = rss();
    let mut counter = Counter::new(Kind::Count, hour(), keys * 2);
    for bucket in 0..active {
        for n in 0..keys {
            let at_ms = START_MS + bucket * 60_000;
            counter
                .add(spread(n), at_ms, Input::Event, &mut Undo::none())
                .expect("a count");
        }
    }
    let counted = counter.memory_bytes() as f64 / keys as f64;
    let resident = rss() - before;
    let snapshot: usize = counter.parts().map(|part| part.len()).sum();
    println!(
        "| {active} | {keys} | {counted:.1} | {:.1} | {:.2} | {:.1} |",
        resident as f64 / keys as f64,
        resident as f64 / 1e9,
        snapshot as f64 / keys as f64
    );
}

/// Different values of one key, ours sliding and the peer's not.
fn distinct() {
    println!(
        "\n| different values | ours: ns to add | HyperLogLog++ (p = 12): ns to add | ours: ns to read | HyperLogLog++: ns to read | ours: error % | HyperLogLog++: error % | ours: bytes |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let hasher = KeyHasher::new([7; 16]);
    for values in [1_000_usize, 100_000, 1_000_000] {
        let mut ours = Counter::new(Kind::Distinct, hour(), 10);
        let mut peer: HyperLogLogPlus<u64, BuildHasherDefault<DefaultHasher>> =
            HyperLogLogPlus::new(12, BuildHasherDefault::default()).expect("a precision");
        let key = hasher.key(&[b"space"]);
        let at = |n: usize| START_MS + (n as i64 * HOUR_MS) / values as i64;
        let ours_add = ns(values, || {
            for n in 0..values {
                let hash = hasher.value(&[&n.to_le_bytes()]);
                ours.add(key, at(n), Input::Distinct(hash), &mut Undo::none())
                    .expect("a value");
            }
        });
        let peer_add = ns(values, || {
            for n in 0..values {
                peer.insert(&hasher.value(&[&n.to_le_bytes()]));
            }
        });
        let (mut said, mut estimate) = (0, 0.0);
        let ours_read = ns(1_000, || {
            for _ in 0..1_000 {
                if let Reading::Distinct { value, .. } = black_box(&ours).read(key, at(values)) {
                    said = black_box(value);
                }
            }
        });
        let peer_read = ns(1_000, || {
            for _ in 0..1_000 {
                estimate = black_box(black_box(&mut peer).count());
            }
        });
        let error = |value: f64| (value / values as f64 - 1.0) * 100.0;
        println!(
            "| {values} | {ours_add:.0} | {peer_add:.0} | {ours_read:.0} | {peer_read:.0} | {:+.2} | {:+.2} | {} |",
            error(said as f64),
            error(estimate),
            ours.memory_bytes()
        );
    }
}

/// A hundred keys that come again and again among five million that come once, room for 100,000.
fn heavy_hitters() {
    let hasher = KeyHasher::new([7; 16]);
    let mut counter = Counter::new(Kind::Count, hour(), 100_000);
    let heavy: Vec<Key> = (0..100_u8).map(|n| hasher.key(&[&[n]])).collect();
    let at = |n: usize| START_MS + (n / 10_000) as i64;
    let each = ns(5_000_000, || {
        for n in 0..5_000_000 {
            counter
                .add(spread(n), at(n), Input::Event, &mut Undo::none())
                .expect("a count");
            if n.is_multiple_of(250)
                && let Some(key) = heavy.get(n / 250 % 100)
            {
                counter
                    .add(*key, at(n), Input::Event, &mut Undo::none())
                    .expect("a count");
            }
        }
    });
    let kept = heavy
        .iter()
        .filter(|key| counter.read(**key, at(5_000_000)) == Reading::Count(200));
    println!(
        "\n5,000,000 keys that come once, room for 100,000: {each:.0} ns each; of 100 keys that come 200 times {} counted in full; {:?}",
        kept.count(),
        counter.stats()
    );
}
