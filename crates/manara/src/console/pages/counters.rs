//! Counters: what each that the rules declare holds, and what it had to forget.

use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::Session;
use crate::console::shell::{Here, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Bar, Count, counted};
use crate::past::CounterStatus;
use askama::Template;
use axum::extract::State;
use manara_store::Reader;

#[derive(Template)]
#[template(path = "counters.html")]
struct CountersPage {
    shell: Shell,
    memory: String,
    counters: Vec<CounterView>,
}

struct CounterView {
    name: Html,
    text: Html,
    keys: Count,
    keys_max: Count,
    bar: Bar,
    memory: String,
    tone: &'static str,
    word: &'static str,
    words: Vec<String>,
}

/// `GET /rules/counters`
pub(in crate::console) async fn show(State(state): State<ConsoleState>, session: Session) -> Page {
    let counters = state.counters().ok_or(Error::Loading)?;
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let all: usize = counters.iter().map(|it| it.bytes).sum();
        Ok(CountersPage {
            shell: Shell::new(&reading, reader, &session, Here::Rules, "Counters")?,
            memory: bytes(all),
            counters: counters.iter().map(counter).collect(),
        })
    };
    page(&state.read(read).await?)
}

fn counter(it: &CounterStatus) -> CounterView {
    let is_exact = it.evicted == 0 && it.dropped_late == 0;
    CounterView {
        name: text::inline(&it.name),
        text: text::verbatim(&it.text),
        keys: Count(it.keys as u64),
        keys_max: Count(it.keys_max as u64),
        bar: Bar {
            first: it.keys as u64,
            second: 0,
            whole: it.keys_max as u64,
        },
        memory: bytes(it.bytes),
        tone: if is_exact { "good" } else { "warn" },
        word: if is_exact {
            "nothing lost"
        } else {
            "may be too low"
        },
        words: lost(it),
    }
}

/// What a counter had to forget, in sentences.
fn lost(it: &CounterStatus) -> Vec<String> {
    let mut words = Vec::new();
    if it.evicted > 0 {
        let keys = counted(it.evicted, "key was put out", "keys were put out");
        words.push(format!(
            "{keys} because there was no more room. What is read of a key may be too low by up to {}; it is never too high for that.",
            Count(it.largest_lost)
        ));
    }
    if it.dropped_late > 0 {
        let events = counted(it.dropped_late, "event", "events");
        words.push(format!(
            "{events} came too late for the window they belong to, and were not counted."
        ));
    }
    words
}

/// Bytes in the unit that reads best.
fn bytes(bytes: usize) -> String {
    let (kib, mib) = (bytes as f64 / 1024.0, bytes as f64 / (1024.0 * 1024.0));
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{kib:.1} KiB"),
        _ => format!("{mib:.1} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_said_in_the_unit_that_reads_best() {
        for (of, expect) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
        ] {
            assert_eq!(bytes(of), expect);
        }
    }
}
