//! Counters: a model that keeps every event says the same, undone or read back; any bytes decode or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_rules::counters::{Counter, Input, Key, Kind, Reading, Undo, Window};
use std::time::Duration;

const SPAN_MS: i64 = 60_000;
const PART_MS: i64 = 1_000;
/// 60 parts of the window and 15 for late events.
const REACH: i64 = 75;

fn snapshot(counter: &Counter) -> Vec<u8> {
    let mut out = Vec::new();
    counter.encode(&mut out);
    out
}

fuzz_target!(|input: (Vec<(u8, u8, i16)>, &[u8])| {
    let (steps, bytes) = input;
    if let Ok(counter) = Counter::decode(bytes) {
        assert_eq!(
            snapshot(&Counter::decode(&snapshot(&counter)).expect("its own snapshot")),
            snapshot(&counter)
        );
    }
    let window = Window::of(
        Duration::from_millis(SPAN_MS as u64)
            .try_into()
            .expect("a minute"),
    )
    .expect("a window");
    let mut counter = Counter::new(Kind::Count, window, 1_000);
    let mut events: [Vec<i64>; 4] = Default::default();
    let mut now_ms = 0_i64;
    let mut open: Option<(Undo, [Vec<i64>; 4], Vec<u8>)> = None;
    for (step, n, at) in steps {
        let (n, at_ms) = (usize::from(n % 4), now_ms + i64::from(at));
        let key = Key::from_hash((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let newest = |events: &[i64]| events.iter().map(|at| at.div_euclid(PART_MS)).max();
        match step % 8 {
            0 => open = Some((counter.begin(), events.clone(), snapshot(&counter))),
            1 => {
                if let Some((undo, before, bytes)) = open.take() {
                    counter.undo(undo);
                    events = before;
                    assert_eq!(snapshot(&counter), bytes);
                }
            }
            2 => counter = Counter::decode(&snapshot(&counter)).expect("its own snapshot"),
            _ => {
                let mut none = Undo::none();
                let undo = open.as_mut().map_or(&mut none, |open| &mut open.0);
                counter
                    .add(key, at_ms, Input::Event, undo)
                    .expect("a count");
                let part = at_ms.div_euclid(PART_MS);
                if newest(&events[n]).is_none_or(|newest| part >= newest - REACH) {
                    events[n].push(at_ms);
                }
                now_ms = now_ms.max(at_ms);
            }
        }
        let last = newest(&events[n]).unwrap_or(0);
        let part = at_ms.div_euclid(PART_MS).max(last - 15);
        let covered = |at: &&i64| (part - 60..=part).contains(&at.div_euclid(PART_MS));
        let count = events[n].iter().filter(covered).count() as u64;
        assert_eq!(counter.read(key, at_ms), Reading::Count(count));
    }
});
