//! How long rules take: `bench/rules/run.sh`, which explains the lines it prints.
//!
//! One rule of the size "three numbers, one `contains`, one `exists`" beside the `cel` crate and
//! beside Rust closures written by hand, turn by turn in one process; and two hundred rules on two
//! thousand events.
#![expect(
    clippy::print_stdout,
    reason = "a measuring program prints what it measured"
)]

#[path = "../tests/speed/mod.rs"]
mod speed;

use jiff::SignedDuration;
use manara_model::{Event, Facts, Origin};
use manara_rules::{RuleSet, Schema, Source, compile};
use speed::{About, Case};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

const EVENT: &str = r#"{
    "id": "e-1", "source": "forum.example", "type": "post.created", "time": "2026-11-22T10:15:00Z",
    "account": { "id": "a-19", "handle": "river_walker", "created_at": "2021-03-02T10:01:00Z", "followers": 1200 },
    "content": { "id": "p-1",
        "text": "We walked along the harbour until the lamps came on, and then we took the last tram home through the rain. Tomorrow there is a market in the old town, with music and a bakery that opens at six.",
        "links": ["https://tram.example/line/7", "https://market.example/"] }
}"#;
const OURS: &str = "account.followers > 1000 and account.followers < 5000 and account.age > 30d
    and !content.text.contains(\"grey banner\") and content.links.exists(l, l.startsWith(\"https://archive.example\"))";
const IN_CEL: &str = "account.followers > 1000 && account.followers < 5000 && account.age > duration('720h')
    && !content.text.contains('grey banner') && content.links.exists(l, l.startsWith('https://archive.example'))";

fn main() {
    one_rule();
    two_hundred("200 rules", None);
    two_hundred("the same without phrases", Some(About::Phrases));
    diagnosed();
}

fn compiled(text: String) -> RuleSet {
    let source = Source {
        name: "speed.rules".into(),
        text,
    };
    compile(&[source], &Schema::builtin()).unwrap_or_else(|problems| {
        panic!(
            "{}",
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    })
}

fn line(what: &str, value: String) {
    println!("{what:<58}{value:>14}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

// ---- one rule ----

/// The median and the fastest of a thousand rounds for each contestant, the rounds taken in turns: on
/// a busy machine the first moves, and the second hardly does.
fn in_turns(contestants: &mut [&mut dyn FnMut()]) -> Vec<[Duration; 2]> {
    const CALLS: u32 = 300;
    let mut times: Vec<Vec<Duration>> = contestants.iter().map(|_| Vec::new()).collect();
    for _ in 0..1_000 {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            let began = Instant::now();
            for _ in 0..CALLS {
                contestant();
            }
            times.push(began.elapsed() / CALLS);
        }
    }
    let both = |times: Vec<Duration>| {
        let fastest = times.iter().min().copied().unwrap_or_default();
        [median(times), fastest]
    };
    times.into_iter().map(both).collect()
}

type Closure = Box<dyn Fn(&Event) -> bool>;

/// The same rule as a tree of boxed closures, as one would write it for this rule alone: every value
/// is taken for granted, and nothing is ever unknown.
fn closures() -> Closure {
    let followers = |e: &Event| e.account.as_ref().and_then(|a| a.followers).unwrap_or(0);
    let age = |e: &Event| {
        let created = e.account.as_ref().and_then(|a| a.created_at);
        created.map_or(SignedDuration::ZERO, |created| {
            e.time.duration_since(created)
        })
    };
    let limit = SignedDuration::from_hours(30 * 24);
    let all: Vec<Closure> = vec![
        Box::new(move |e| followers(e) > 1000),
        Box::new(move |e| followers(e) < 5000),
        Box::new(move |e| age(e) > limit),
        Box::new(|e| {
            e.content
                .as_ref()
                .and_then(|c| c.text.as_deref())
                .is_some_and(|t| !t.contains("grey banner"))
        }),
        Box::new(|e| {
            e.content.as_ref().is_some_and(|c| {
                c.links
                    .iter()
                    .any(|l| l.starts_with("https://archive.example"))
            })
        }),
    ];
    Box::new(move |event| all.iter().all(|part| part(event)))
}

/// The variables of a CEL program, made of an event: what has to be done for each event anew.
fn context(event: &Event) -> cel::Context<'static, 'static> {
    let map = |fields: Vec<(&str, cel::Value)>| -> cel::Value {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        fields.collect::<HashMap<String, cel::Value>>().into()
    };
    let (account, content) = (
        event.account.clone().unwrap_or_default(),
        event.content.as_ref(),
    );
    let links = content.map_or(Vec::new(), |c| {
        c.links
            .iter()
            .map(|link| cel::Value::from(link.clone()))
            .collect()
    });
    let text = content.and_then(|c| c.text.clone()).unwrap_or_default();
    let mut context = cel::Context::default();
    let followers = i64::try_from(account.followers.unwrap_or(0)).unwrap_or(i64::MAX);
    let age = account
        .created_at
        .map_or(0, |created| event.time.duration_since(created).as_secs());
    context.add_variable_from_value(
        "account",
        map(vec![("followers", followers.into()), ("age", seconds(age))]),
    );
    context.add_variable_from_value(
        "content",
        map(vec![("text", text.into()), ("links", links.into())]),
    );
    context
}

/// A duration as the crate has it; made by the crate, from the one it makes of `1s`.
fn seconds(seconds: i64) -> cel::Value {
    thread_local! {
        static SECOND: cel::Value = cel::Program::compile("duration('1s')")
            .expect("CEL reads it")
            .execute(&cel::Context::default())
            .expect("a duration");
    }
    SECOND.with(|second| match second {
        cel::Value::Duration(second) => {
            cel::Value::Duration(*second * i32::try_from(seconds).unwrap_or(i32::MAX))
        }
        other => other.clone(),
    })
}

fn one_rule() {
    let (event, _) = Event::from_json(EVENT.as_bytes(), Origin::Http).expect("a valid event");
    let facts = Facts {
        event: &event,
        media: &[],
        matches: &[],
        received_at: event.time,
    };
    let rules = compiled(format!(
        "rule one {{ on post.created policy p reason \"r\" when {OURS} then enqueue(\"q\") }}"
    ));
    let program = cel::Program::compile(IN_CEL).expect("CEL reads it");
    let (ready, by_hand) = (context(&event), closures());
    assert!(rules.evaluate(&facts).is_empty() && !by_hand(&event));
    assert_eq!(program.execute(&ready).ok(), Some(cel::Value::Bool(false)));

    let mut ours = || {
        let facts = Facts {
            event: black_box(&event),
            media: &[],
            matches: &[],
            received_at: event.time,
        };
        drop(black_box(rules.evaluate(&facts)));
    };
    let mut hand = || {
        black_box(by_hand(black_box(&event)));
    };
    let mut prepared = || drop(black_box(program.execute(black_box(&ready))));
    let mut whole = || drop(black_box(program.execute(&context(black_box(&event)))));
    let times = in_turns(&mut [&mut ours, &mut hand, &mut prepared, &mut whole]);
    let shown = |[median, fastest]: [Duration; 2]| {
        let ratio = median.as_secs_f64() / times[0][0].as_secs_f64();
        format!("{median:>9.1?} {fastest:>9.1?} {ratio:>7.2} x")
    };
    line("", "   median   fastest  median of ours".to_owned());
    for (what, time) in [
        "one rule: ours, with the facts of the event",
        "one rule: closures by hand, nothing ever unknown",
        "one rule: the cel crate, its context made beforehand",
        "one rule: the cel crate, its context made of the event",
    ]
    .into_iter()
    .zip(&times)
    {
        line(what, shown(*time));
    }
}

// ---- two hundred rules ----

fn two_hundred(what: &str, without: Option<About>) {
    let rules = compiled(speed::rules(without));
    let cases: Vec<Case> = (0..2_000).map(speed::case).collect();
    let facts_of = |case: &Case, run: &mut dyn FnMut(&Facts<'_>)| {
        run(&Facts {
            event: &case.event,
            media: &case.media,
            matches: &case.matches,
            received_at: case.event.time,
        });
    };
    let mut fired = 0;
    for case in &cases {
        facts_of(case, &mut |facts| {
            fired += usize::from(!rules.evaluate(facts).is_empty());
        });
    }
    // Of each event the median of nine times, so that a percentile is about events, not interruptions.
    let mut times: Vec<Duration> = cases
        .iter()
        .map(|case| {
            let once = || {
                let began = Instant::now();
                facts_of(case, &mut |facts| drop(black_box(rules.evaluate(facts))));
                began.elapsed()
            };
            median((0..9).map(|_| once()).collect())
        })
        .collect();
    times.sort_unstable();
    let at = |percent: usize| format!("{:.1?}", times[(times.len() - 1) * percent / 100]);
    line(
        &format!(
            "{what}: median over {} events, {fired} fired on",
            cases.len()
        ),
        at(50),
    );
    line(&format!("{what}: 99th percentile"), at(99));
    line(&format!("{what}: slowest event"), at(100));
}

/// From text to rules that run, or to what is wrong with them.
fn diagnosed() {
    let text = speed::rules(None);
    let bytes = text.len();
    let compile = || drop(black_box(compiled(text.clone())));
    let times = (0..50).map(|_| {
        let began = Instant::now();
        compile();
        began.elapsed()
    });
    line(
        &format!("200 rules read, checked and compiled, {bytes} bytes"),
        format!("{:.1?}", median(times.collect())),
    );
}
