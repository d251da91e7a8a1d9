//! How long the language service takes in a large file:
//! `cargo run --release -p manara-rules --example assist_speed -- 200`.
//!
//! Each question is asked in the middle and at the end of a file of so many kilobytes (default 200), with
//! another file of the same size beside it. Beside them stands a whole check of both files, the time that an
//! editor would need without a language service of its own.
#![expect(
    clippy::print_stdout,
    reason = "a measuring program prints what it measured"
)]

use manara_rules::assist::{Around, complete, definition, hover, outline};
use manara_rules::{Schema, Source, compile};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 15;

fn main() {
    let argument = std::env::args().nth(1);
    let kilobytes: usize = argument.map_or(200, |n| n.parse().expect("a number of kilobytes"));
    let (mine, others) = (file("a", kilobytes), file("b", kilobytes));
    let schema = Schema::builtin();
    let other_sources = [source("others.rules", &others)];
    let around = Around {
        schema: &schema,
        banks: &[],
        sets: &[],
        other_sources: &other_sources,
    };
    let sources = [source("mine.rules", &mine), source("others.rules", &others)];
    println!("{} KB, and another file of as many", mine.len() / 1024);
    let middle = mine[..mine.len() / 2].rfind("account.age").expect("a rule") + "account.a".len();
    for (place, offset) in [
        ("middle", middle),
        ("end", mine.rfind("content.text").expect("a rule") + 8),
    ] {
        measure(&format!("complete, {place}"), || {
            complete(&mine, offset, &around).len()
        });
        measure(&format!("hover, {place}"), || {
            hover(&mine, offset, &around).is_some() as usize
        });
    }
    let counter = mine.rfind("_burst >").expect("a counter");
    measure("hover on a counter", || {
        hover(&mine, counter, &around).is_some() as usize
    });
    measure("complete a value", || {
        complete(&mine, counter, &around).len()
    });
    let rule = mine.rfind("rule a").expect("a rule") + 6;
    measure("hover on a rule", || {
        hover(&mine, rule, &around).is_some() as usize
    });
    measure("definition", || {
        definition(&mine, counter, &around).is_some() as usize
    });
    measure("outline", || outline(&mine).len());
    measure("check both files", || {
        compile(&sources, &schema).expect("in order").rules().len()
    });
}

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.into(),
        text: text.into(),
    }
}

/// Rules, tests and counters as people write them.
fn file(prefix: &str, kilobytes: usize) -> String {
    let mut text = String::new();
    for n in 0.. {
        if text.len() >= kilobytes * 1024 {
            break;
        }
        if n % 10 == 0 {
            text +=
                &format!("counter {prefix}{n}_burst = count(post.created) by account.id over 1h\n");
        }
        let counter = n / 10 * 10;
        text += &format!(
            r#"
// راية الرماد: a made-up phrase of a made-up group.
rule {prefix}{n} {{
  on post.created, post.updated
  mode shadow
  policy tvec_slogan
  reason "This post holds a slogan of an organisation that is banned here."
  when account.age < 24h and {prefix}{counter}_burst > 3
    and content.text.normalised().contains("grey banner {n}")
  then restrict(content, for: 24h), enqueue("slogans", priority: 7)
}}

test "{prefix}{n} fires" {{
  event {{ "type": "post.created", "account": {{ "handle": "river_walker" }}, "content": {{ "text": "grey banner {n}" }} }}
  expect nothing
}}
"#
        );
    }
    text
}

fn measure(what: &str, mut work: impl FnMut() -> usize) {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(work());
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!(
        "{what:<20} median {:>9.3?}  worst {:>9.3?}",
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
}
