//! Counters beside a model that keeps every event; undo, snapshots and eviction at random.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const START_MS: i64 = 1_790_000_000_000;
const KINDS: [Kind; 5] = [
    Kind::Count,
    Kind::Distinct,
    Kind::SumInt,
    Kind::SumFloat,
    Kind::Last,
];

fn window(span_ms: i64) -> Window {
    Window::of(SignedDuration::from_millis(span_ms)).unwrap()
}

fn key(n: u64) -> Key {
    KeyHasher::new([3; 16]).key(&[&n.to_le_bytes()])
}

fn value(n: u64) -> u64 {
    KeyHasher::new([4; 16]).value(&[&n.to_le_bytes()])
}

fn snapshot(counter: &Counter) -> Vec<u8> {
    let mut out = Vec::new();
    counter.encode(&mut out);
    out
}

/// Every event of every key, in the order they were added.
#[derive(Debug, Clone)]
struct Model {
    kind: Kind,
    window: Window,
    events: BTreeMap<Key, Vec<(i64, Input)>>,
}

type Buckets<'a> = BTreeMap<i64, Vec<&'a (i64, Input)>>;

#[derive(Debug, Clone, PartialEq)]
enum Said {
    Number(u64),
    Int(i64),
    Float(f64),
    Value(Option<Value>),
}

impl Model {
    fn newest(&self, key: Key) -> Option<i64> {
        let events = self.events.get(&key)?;
        events
            .iter()
            .map(|(at, _)| self.window.bucket_of(*at))
            .max()
    }

    fn add(&mut self, key: Key, at_ms: i64, input: Input) {
        let oldest = self.newest(key).unwrap_or(i64::MIN / 2) - i64::from(self.window.reach());
        if self.window.bucket_of(at_ms) >= oldest {
            self.events.entry(key).or_default().push((at_ms, input));
        }
    }

    /// The events of each bucket covered, oldest bucket first.
    fn covered(&self, key: Key, at_ms: i64) -> (Buckets<'_>, i64) {
        let mut buckets: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        let Some(newest) = self.newest(key) else {
            return (buckets, at_ms);
        };
        let (cover, late) = (
            i64::from(self.window.reach() - self.window.late()),
            i64::from(self.window.late()),
        );
        let asked = self.window.bucket_of(at_ms);
        let bucket = asked.max(newest - late);
        for event in &self.events[&key] {
            let own = self.window.bucket_of(event.0);
            if own >= bucket - cover && own <= bucket {
                buckets.entry(own).or_default().push(event);
            }
        }
        let latest_ms = if asked < bucket {
            self.window.end_of(bucket)
        } else {
            at_ms
        };
        (buckets, latest_ms)
    }

    fn read(&self, key: Key, at_ms: i64) -> Said {
        let (buckets, latest_ms) = self.covered(key, at_ms);
        let all = || buckets.values().flatten().map(|event| &event.1);
        match self.kind {
            Kind::Count => Said::Number(all().count() as u64),
            Kind::Distinct => Said::Number(
                all()
                    .map(|input| format!("{input:?}"))
                    .collect::<BTreeSet<_>>()
                    .len() as u64,
            ),
            Kind::SumInt => {
                let sum: i128 = all()
                    .map(|input| {
                        if let Input::Int(n) = input {
                            i128::from(*n)
                        } else {
                            0
                        }
                    })
                    .sum();
                Said::Int(sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
            }
            Kind::SumFloat => {
                let float = |input: &Input| if let Input::Float(n) = input { *n } else { 0.0 };
                let plus = |sum: f64, n: f64| (sum + n).clamp(f64::MIN, f64::MAX);
                let sums = buckets
                    .values()
                    .map(|events| events.iter().map(|event| float(&event.1)).fold(0.0, plus));
                Said::Float(sums.fold(0.0, plus))
            }
            Kind::Last => {
                // Of equal times `max_by_key` takes the last.
                let mut newest = buckets
                    .values()
                    .filter_map(|events| events.iter().max_by_key(|event| event.0));
                let last = newest.rfind(|event| event.0 <= latest_ms);
                Said::Value(last.map(|event| match &event.1 {
                    Input::Last(value) => value.clone(),
                    _ => Value::Bool(false),
                }))
            }
        }
    }
}

fn said(reading: Reading<'_>) -> Said {
    match reading {
        Reading::Count(n) => Said::Number(n),
        Reading::Distinct { value, exact } => {
            assert!(exact, "this test stays below the bound");
            Said::Number(value)
        }
        Reading::SumInt(n) => Said::Int(n),
        Reading::SumFloat(n) => Said::Float(n),
        Reading::Last(value) => Said::Value(value.cloned()),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add {
        key: u64,
        at: i64,
        value: u64,
        times: u64,
    },
    Read {
        key: u64,
        at: i64,
    },
    Begin,
    Commit,
    Rollback,
    Reload,
    Sweep,
}

/// Times as ten-thousandths of a window before or after the newest so far.
fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..300_i64,
        3 => -300..0_i64,
        2 => -2_600..0_i64,
        1 => -14_000..0_i64,
        1 => 0..13_000_i64,
        1 => Just(0_i64),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let times_added = prop_oneof![8 => Just(1_u64), 2 => 2..100_u64, 1 => 250..300_u64];
    let add = (0..4_u64, times(), any::<u64>(), times_added).prop_map(|(key, at, value, times)| {
        Step::Add {
            key,
            at,
            value,
            times,
        }
    });
    let read = (0..4_u64, times()).prop_map(|(key, at)| Step::Read { key, at });
    let step = prop_oneof![
        20 => add,
        10 => read,
        2 => Just(Step::Begin),
        1 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reload),
        1 => Just(Step::Sweep),
    ];
    prop::collection::vec(step, 1..120)
}

fn input(kind: Kind, n: u64, nth: u64) -> Input {
    match kind {
        Kind::Count => Input::Event,
        // Mostly values that come again, now and then many new ones.
        Kind::Distinct => Input::Distinct(value(if n.is_multiple_of(8) {
            n.wrapping_add(nth)
        } else {
            n % 24 + nth % 3
        })),
        Kind::SumInt if n.is_multiple_of(16) => Input::Int(if n.is_multiple_of(32) {
            i64::MAX
        } else {
            i64::MIN
        }),
        Kind::SumInt => Input::Int(n as i64 >> (n % 63)),
        Kind::SumFloat if n.is_multiple_of(16) => Input::Float(if n.is_multiple_of(32) {
            f64::MAX
        } else {
            f64::MIN
        }),
        Kind::SumFloat => Input::Float(n as i64 as f64 / 1e6),
        Kind::Last => Input::Last(match n.wrapping_add(nth) % 6 {
            0 => Value::Int(n as i64),
            1 => Value::Float(n as f64),
            2 => Value::Bool(n % 12 < 6),
            3 => Value::Text(format!("text {n}").into()),
            4 => Value::Duration(n as i64),
            _ => Value::Time(n as i64),
        }),
    }
}

/// The narrow door: the same steps on the counter and on the model. Keys are only ever swept when
/// times stay within the lateness of the newest of all, as the caller's watermark makes sure.
fn check(kind: Kind, span_ms: i64, clamped: bool, steps: &[Step]) {
    let window = window(span_ms);
    let mut counter = Counter::new(kind, window, 1_000);
    let mut model = Model {
        kind,
        window,
        events: BTreeMap::new(),
    };
    let mut open: Vec<(Undo, Model, Option<Vec<u8>>)> = Vec::new();
    let mut newest_ms = START_MS;
    let lateness_ms = window.lateness().as_millis() as i64;
    let time = |newest_ms: i64, at: i64| {
        let at_ms = newest_ms + at * (span_ms / 100) / 100;
        if clamped {
            at_ms.max(newest_ms - lateness_ms)
        } else {
            at_ms
        }
    };
    for step in steps {
        match step {
            Step::Add {
                key: n,
                at,
                value,
                times,
            } => {
                let at_ms = time(newest_ms, *at);
                newest_ms = newest_ms.max(at_ms);
                for nth in 0..*times {
                    let input = input(kind, *value, nth);
                    let mut none = Undo::none();
                    let undo = open.last_mut().map_or(&mut none, |open| &mut open.0);
                    counter.add(key(*n), at_ms, input.clone(), undo).unwrap();
                    model.add(key(*n), at_ms, input);
                }
                assert_eq!(
                    said(counter.read(key(*n), at_ms)),
                    model.read(key(*n), at_ms)
                );
            }
            Step::Read { key: n, at } => {
                let at_ms = time(newest_ms, *at);
                assert_eq!(
                    said(counter.read(key(*n), at_ms)),
                    model.read(key(*n), at_ms),
                    "{step:?}"
                );
            }
            Step::Begin => open.push((counter.begin(), model.clone(), Some(snapshot(&counter)))),
            Step::Commit => open.clear(),
            Step::Rollback => {
                if let Some((undo, before, bytes)) = open.pop() {
                    counter.undo(undo);
                    model = before;
                    assert!(bytes.is_none_or(|bytes| bytes == snapshot(&counter)));
                }
            }
            Step::Reload => {
                let bytes = snapshot(&counter);
                let heap_before = counter.memory_bytes();
                counter = Counter::decode(&bytes).unwrap();
                assert_eq!(snapshot(&counter), bytes);
                assert!(counter.memory_bytes() <= 2 * heap_before);
            }
            Step::Sweep if clamped => {
                counter.sweep(newest_ms, 1);
                for open in &mut open {
                    open.2 = None;
                }
            }
            Step::Sweep => {}
        }
    }
    for n in 0..4 {
        for at in [-2_000, -100, 0, 5_000, 20_000] {
            let at_ms = time(newest_ms, at);
            assert_eq!(said(counter.read(key(n), at_ms)), model.read(key(n), at_ms));
        }
    }
}

fn spans() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(1_000_i64),
        Just(1_004_i64),
        Just(60_000_i64),
        Just(3_600_000_i64),
        Just(86_400_000_i64),
        Just(366 * 86_400_000_i64),
        1_000..10_000_000_i64,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn they_say_what_a_model_that_keeps_every_event_says(
        kind in prop::sample::select(&KINDS[..]),
        span_ms in spans(),
        clamped in any::<bool>(),
        steps in steps(),
    ) {
        check(kind, span_ms, clamped, &steps);
    }

    /// Also when keys are evicted, and wherever a snapshot is taken and read back.
    #[test]
    fn a_transaction_undone_never_was(
        kind in prop::sample::select(&KINDS[..]),
        keys_max in 1..12_usize,
        transactions in prop::collection::vec(
            (any::<bool>(), any::<bool>(), prop::collection::vec((0..30_u64, times(), any::<u64>()), 1..12)),
            1..20,
        ),
    ) {
        let window = window(60_000);
        let mut counter = Counter::new(kind, window, keys_max);
        let mut plain = counter.clone();
        let mut now_ms = START_MS;
        for (stays, reloaded, adds) in transactions {
            let mut undo = counter.begin();
            for (n, at, value) in &adds {
                let at_ms = now_ms + at * 6;
                counter.add(key(*n), at_ms, input(kind, *value, 0), &mut undo).unwrap();
                if stays {
                    plain.add(key(*n), at_ms, input(kind, *value, 0), &mut Undo::none()).unwrap();
                    now_ms = now_ms.max(at_ms);
                }
            }
            prop_assert!(counter.len() <= keys_max);
            if reloaded {
                counter = Counter::decode(&snapshot(&counter)).unwrap();
            }
            if !stays {
                counter.undo(undo);
            }
            prop_assert_eq!(snapshot(&counter), snapshot(&plain));
        }
    }

    /// Bytes changed, cut and added: read or refused, and what is read can be used.
    #[test]
    fn damaged_snapshots_do_no_harm(
        kind in prop::sample::select(&KINDS[..]),
        adds in prop::collection::vec((0..6_u64, times(), any::<u64>()), 0..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut counter = Counter::new(kind, window(60_000), 100);
        for (n, at, value) in adds {
            counter.add(key(n), START_MS + at * 6, input(kind, value, 0), &mut Undo::none()).unwrap();
        }
        let mut bytes = snapshot(&counter);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(mut read) = Counter::decode(&bytes) {
            let mut again = read.begin();
            for n in 0..6 {
                for at_ms in [i64::MIN, START_MS, i64::MAX] {
                    let _ = read.read(key(n), at_ms);
                    if read.kind() == kind {
                        read.add(key(n), at_ms, input(kind, 5, 0), &mut again).unwrap();
                    }
                }
            }
            read.sweep(START_MS, 10);
            read.undo(again);
            prop_assert!(read.memory_bytes() < 400_000);
        }
    }
}

#[test]
fn heads_of_snapshots_are_checked() {
    let counter = Counter::new(Kind::Last, window(60_000), 10);
    let bytes = snapshot(&counter);
    assert_eq!(counter.parts().flatten().collect::<Vec<_>>(), bytes);
    let check = |at: usize, byte: u8, expect: DecodeError| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        assert_eq!(Counter::decode(&bytes).unwrap_err(), expect);
    };
    check(0, b'X', DecodeError::NotACounter);
    check(4, 9, DecodeError::Version(9));
    check(5, 5, DecodeError::Kind(5));
    check(6, 1, DecodeError::Window(WindowError::TooShort));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        Counter::decode(&longer).unwrap_err(),
        DecodeError::Damaged("something follows its end")
    );
    assert_eq!(Counter::decode(&bytes[..3]).unwrap_err(), DecodeError::Cut);
}

#[test]
fn a_head_that_promises_much_takes_no_memory() {
    let mut counter = Counter::new(Kind::Count, window(60_000), usize::MAX);
    counter
        .add(key(1), START_MS, Input::Event, &mut Undo::none())
        .unwrap();
    let mut counter = Counter::decode(&snapshot(&counter)).unwrap();
    counter
        .add(key(2), START_MS, Input::Event, &mut Undo::none())
        .unwrap();
    assert!(counter.memory_bytes() < 200_000);
}

#[test]
fn what_does_not_fit_is_refused() {
    let check = |kind, input: Input, expect| {
        let mut counter = Counter::new(kind, window(60_000), 10);
        let mut undo = counter.begin();
        assert_eq!(counter.add(key(1), 0, input, &mut undo), Err(expect));
        assert!(counter.is_empty() && undo.is_empty());
    };
    check(Kind::Count, Input::Int(1), Refused::WrongKind(Kind::Count));
    check(Kind::SumFloat, Input::Float(f64::NAN), Refused::NotFinite);
    check(
        Kind::Last,
        Input::Last(Value::Float(f64::INFINITY)),
        Refused::NotFinite,
    );
    check(
        Kind::Last,
        Input::Last(Value::Text("x".repeat(257).into())),
        Refused::TextTooLong,
    );
    let mut counts = Counter::new(Kind::Count, window(60_000), 10);
    let mut other = Counter::new(Kind::Last, window(60_000), 10).begin();
    assert_eq!(
        counts.add(key(1), 0, Input::Event, &mut other),
        Err(Refused::WrongKind(Kind::Count))
    );
}

#[test]
fn the_ends_of_time_are_times() {
    for kind in KINDS {
        for span_ms in [1_000, 366 * 86_400_000] {
            let mut counter = Counter::new(kind, window(span_ms), 10);
            for at_ms in [i64::MIN, i64::MAX, 0, i64::MIN] {
                counter
                    .add(key(1), at_ms, input(kind, 3, 0), &mut Undo::none())
                    .unwrap();
                let _ = counter.read(key(1), at_ms);
            }
            assert_eq!(
                snapshot(&Counter::decode(&snapshot(&counter)).unwrap()),
                snapshot(&counter)
            );
            assert_eq!(counter.stats().dropped_late, 2);
        }
    }
}

#[test]
fn counts_grow_through_every_form_and_back() {
    let mut counter = Counter::new(Kind::Count, window(3_600_000), 10);
    let mut total = 0;
    for minute in 0..61_i64 {
        for _ in 0..(if minute == 30 { 66_000 } else { 3 }) {
            counter
                .add(
                    key(1),
                    START_MS + minute * 60_000,
                    Input::Event,
                    &mut Undo::none(),
                )
                .unwrap();
            total += 1;
        }
    }
    let now_ms = START_MS + 60 * 60_000;
    assert_eq!(counter.read(key(1), now_ms), Reading::Count(total));
    let wide = counter.memory_bytes();
    counter.sweep(now_ms, 10);
    assert_eq!(
        counter.memory_bytes(),
        wide,
        "66,000 events in a bucket need the widest form"
    );
    counter
        .add(
            key(1),
            now_ms + 74 * 60_000,
            Input::Event,
            &mut Undo::none(),
        )
        .unwrap();
    counter.sweep(now_ms + 74 * 60_000, 10);
    assert!(
        counter.memory_bytes() < wide,
        "two buckets fit into the entry"
    );
    assert_eq!(counter.sweep(now_ms + 200 * 60_000, 10), 1);
    assert!(counter.is_empty());
}

/// Heavy hitters outlive fifty times as many keys as there is room for. (`counter_speed` does the same with
/// five million.)
#[test]
fn many_keys_that_come_once_do_not_drive_out_those_that_come_often() {
    let mut counter = Counter::new(Kind::Count, window(3_600_000), 20_000);
    let heavy: Vec<Key> = (0..100).map(|n| key(1 << 40 | n)).collect();
    let mut undo = counter.begin();
    for n in 0..1_000_000_u64 {
        // Odd multipliers spread keys over all 64 bits, as the hasher does, in less time.
        let once = Key::from_hash((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        counter
            .add(once, START_MS + n as i64 / 2_000, Input::Event, &mut undo)
            .unwrap();
        if n.is_multiple_of(50) {
            undo.clear();
            let at = heavy[(n / 50 % 100) as usize];
            counter
                .add(at, START_MS + n as i64 / 2_000, Input::Event, &mut undo)
                .unwrap();
        }
    }
    let now_ms = START_MS + 500;
    let kept = heavy
        .iter()
        .filter(|key| counter.read(**key, now_ms) == Reading::Count(200))
        .count();
    let stats = counter.stats();
    assert!(
        counter.len() <= 20_016 && counter.len() > 19_000,
        "{}",
        counter.len()
    );
    assert!(stats.evicted >= 980_000, "{stats:?}");
    assert!(
        kept == 100 && stats.largest_lost == 1,
        "{kept} kept, {stats:?}"
    );
}

#[test]
fn expired_keys_go_before_others() {
    let mut counter = Counter::new(Kind::Count, window(60_000), 64);
    let day_ms = 86_400_000;
    for n in 0..32 {
        counter
            .add(key(n), START_MS, Input::Event, &mut Undo::none())
            .unwrap();
    }
    for n in 32..96 {
        counter
            .add(key(n), START_MS + day_ms, Input::Event, &mut Undo::none())
            .unwrap();
    }
    assert_eq!((counter.len(), counter.stats().evicted), (64, 0));
    counter
        .add(key(96), START_MS + day_ms, Input::Event, &mut Undo::none())
        .unwrap();
    assert_eq!((counter.len(), counter.stats().evicted), (64, 1));
}

fn distinct(counter: &Counter, at_ms: i64) -> (u64, bool) {
    match counter.read(key(1), at_ms) {
        Reading::Distinct { value, exact } => (value, exact),
        other => unreachable!("{other:?}"),
    }
}

fn seeded(seed: u64) -> KeyHasher {
    KeyHasher::new([seed as u8; 16])
}

/// Relative errors of so many distinct values, for each seed.
fn errors(values: u64, seeds: std::ops::Range<u64>) -> Vec<f64> {
    let error = |seed| {
        let mut counter = Counter::new(Kind::Distinct, window(3_600_000), 1);
        let hasher = seeded(seed);
        for n in 0..values {
            let hash = hasher.value(&[&n.to_le_bytes()]);
            let at_ms = START_MS + (n % 3_600_000) as i64;
            counter
                .add(key(1), at_ms, Input::Distinct(hash), &mut Undo::none())
                .unwrap();
        }
        assert!(
            counter.memory_bytes() < 100_000,
            "{}",
            counter.memory_bytes()
        );
        let (value, exact) = distinct(&counter, START_MS + values.min(3_599_999) as i64);
        assert_eq!(exact, values <= DISTINCT_EXACT_MAX as u64);
        value as f64 / values as f64 - 1.0
    };
    seeds.map(error).collect()
}

#[track_caller]
fn check_errors(values: u64, seeds: std::ops::Range<u64>) {
    let sigma = 1.20 / (DISTINCT_EXACT_MAX as f64).sqrt();
    let errors = errors(values, seeds);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(
        errors.iter().all(|error| error.abs() <= 4.0 * sigma),
        "{errors:?}"
    );
    assert!(
        mean.abs() <= 4.0 * sigma / (errors.len() as f64).sqrt(),
        "mean {mean}"
    );
}

#[test]
fn distinct_values_are_exact_up_to_the_bound() {
    assert_eq!(errors(DISTINCT_EXACT_MAX as u64, 0..1), [0.0]);
}

#[test]
fn estimates_stay_within_four_standard_errors() {
    check_errors(4_097, 0..20);
    check_errors(20_000, 0..40);
    check_errors(100_000, 0..10);
    check_errors(1_000_000, 0..2);
}

/// Traffic of an hour's window that rises fifty-fold and falls again: every estimate on the way is
/// within four standard errors, together they are not biased, and in the end they are exact.
#[test]
fn estimates_follow_a_window_that_slides() {
    let runs: Vec<f64> = (0..16).map(mean_error_of_a_slide).collect();
    // Minutes of one run share their sample; runs with another hash are independent.
    let mean = runs.iter().sum::<f64>() / runs.len() as f64;
    assert!(
        mean.abs() <= 4.0 / (runs.len() as f64).sqrt(),
        "{mean} of {runs:?}"
    );
}

/// The mean of the errors of one run's estimates, each in standard errors.
fn mean_error_of_a_slide(seed: u64) -> f64 {
    let (mut counter, hasher) = (
        Counter::new(Kind::Distinct, window(3_600_000), 1),
        seeded(seed),
    );
    let start_ms = START_MS / 60_000 * 60_000;
    // The minute each value was last seen in, and how many values each minute is the last for.
    let (mut last_seen, mut lasts) = (Vec::new(), [0_i64; 340]);
    let mut errors = Vec::new();
    let mut fresh = 0;
    for minute in 0..340 {
        let at_ms = start_ms + minute as i64 * 60_000;
        let many = match minute {
            0..60 => 40_u32,
            60..100 => 1_000,
            100..180 => 200,
            _ => 20,
        };
        for n in 0..many {
            // Every third value is one seen before.
            let value: usize = if n.is_multiple_of(3) {
                fresh / 2
            } else {
                fresh
            };
            fresh += 1;
            last_seen.resize(fresh, None);
            if let Some(before) = last_seen[value].replace(minute) {
                lasts[before] -= 1;
            }
            lasts[minute] += 1;
            let hash = hasher.value(&[&value.to_le_bytes()]);
            counter
                .add(key(1), at_ms, Input::Distinct(hash), &mut Undo::none())
                .unwrap();
        }
        let since = |age: usize| {
            lasts[minute.saturating_sub(age)..=minute]
                .iter()
                .sum::<i64>() as f64
        };
        let (said, exact) = distinct(&counter, at_ms);
        if exact {
            assert!(
                (said as f64 - since(60)).abs() < 0.5,
                "minute {minute}: {said}, {}",
                since(60)
            );
            continue;
        }
        // The sample is at least half full of the most there were within reach lately.
        let scale = (since(140) / (DISTINCT_EXACT_MAX as f64 / 2.0)).max(1.0);
        let error = (said as f64 - since(60)) / (since(60) * scale).sqrt();
        assert!(
            error.abs() <= 4.0,
            "minute {minute}: {said}, {}, {error}",
            since(60)
        );
        errors.push(error);
    }
    assert!(
        distinct(&counter, start_ms + 339 * 60_000).1,
        "quiet for long enough to be exact"
    );
    assert!(errors.len() > 100, "{}", errors.len());
    errors.iter().sum::<f64>() / errors.len() as f64
}

#[test]
fn a_large_sample_is_undone_and_read_back_to_the_byte() {
    let mut counter = Counter::new(Kind::Distinct, window(3_600_000), 4);
    let mut plain = counter.clone();
    for round in 0..60_u64 {
        let (stays, at_ms) = (round % 3 != 1, START_MS + round as i64 * 150_000);
        let mut undo = counter.begin();
        for n in 0..(if round < 20 { 900 } else { 40 }) {
            let hash = value(round * 600 + n);
            let at_ms = at_ms - (n % 7) as i64 * 100_000;
            counter
                .add(key(n % 2), at_ms, Input::Distinct(hash), &mut undo)
                .unwrap();
            if stays {
                plain
                    .add(key(n % 2), at_ms, Input::Distinct(hash), &mut Undo::none())
                    .unwrap();
            }
        }
        if !stays {
            counter.undo(undo);
        }
        counter = Counter::decode(&snapshot(&counter)).unwrap();
        assert_eq!(snapshot(&counter), snapshot(&plain), "round {round}");
    }
}

#[test]
fn a_key_that_is_ahead_of_the_clock_begins_anew_and_can_be_put_back() {
    for kind in KINDS {
        let mut counter = Counter::new(kind, window(3_600_000), 1_000);
        for value in 0..200 {
            let input = input(kind, value, 0);
            counter
                .add(key(1), START_MS, input, &mut Undo::none())
                .unwrap();
        }
        let (before, bytes) = (snapshot(&counter), counter.memory_bytes());
        let late_ms = START_MS - 15 * 60_000;
        let mut alone = Counter::new(kind, window(3_600_000), 1_000);
        for (now_ms, begins_anew) in [(late_ms, false), (late_ms - 60_000, true)] {
            let mut undo = counter.begin();
            let one = input(kind, 3, 0);
            counter
                .add_by_clock(key(1), now_ms, now_ms, one.clone(), &mut undo)
                .unwrap();
            if begins_anew {
                alone.add(key(1), now_ms, one, &mut Undo::none()).unwrap();
                assert_eq!(snapshot(&counter), snapshot(&alone), "{kind:?}");
                assert!(counter.memory_bytes() <= alone.memory_bytes(), "{kind:?}");
            } else {
                let begun = START_MS - START_MS % 60_000;
                assert_eq!(counter.newest_ms(key(1)), Some(begun), "{kind:?}");
            }
            counter.undo(undo);
            assert_eq!(snapshot(&counter), before, "{kind:?}");
            assert!(counter.memory_bytes() <= bytes, "{kind:?}");
        }
    }
}
