//! How long rules take: `cargo run --release -p manara-rules --example rule_speed`.
//!
//! One rule of the size "three numbers, one `contains`, one `exists`", and twenty rules of several
//! kinds on one event, both where nothing fires and where one fires with its explanation. The first
//! is also asked of the `cel` crate, in the same run.
#![expect(
    clippy::print_stdout,
    reason = "a measuring program prints what it measured"
)]

use manara_model::{Decoding, Event, Facts, Match, MediaFacts, Origin};
use manara_rules::{RuleSet, Schema, Source, Type, compile};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

const EVENT: &str = r#"{
    "id": "e-1", "source": "forum.example", "type": "post.created", "time": "2026-11-22T10:15:00Z",
    "account": { "id": "a-19", "handle": "river_walker", "created_at": "2021-03-02T10:01:00Z", "followers": 1200 },
    "content": { "id": "p-1",
        "text": "We walked along the harbour until the lamps came on, and then we took the last tram home through the rain. Tomorrow there is a market in the old town, with music and a bakery that opens at six.",
        "links": ["https://tram.example/line/7", "https://market.example/"],
        "media": [{ "id": "m-1", "kind": "image", "url": "https://example.com/1" }] },
    "attributes": { "reports": 1 }
}"#;

fn compiled(text: &str) -> RuleSet {
    let schema = Schema::builtin().with_attribute(None, "reports", Type::Int);
    compile(
        &[Source {
            name: "speed.rules".into(),
            text: text.into(),
        }],
        &schema,
    )
    .unwrap_or_else(|problems| {
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

fn rule(name: &str, condition: &str) -> String {
    format!(
        "rule {name} {{ policy p reason \"r\" on post.created when {condition} then enqueue(\"q\") }}\n"
    )
}

/// The fastest of many short rounds, per call: the machine's other work only ever adds to a round.
fn per_call(mut call: impl FnMut()) -> Duration {
    let round = |call: &mut dyn FnMut()| {
        let (calls, begin) = (2_000_u32, Instant::now());
        (0..calls).for_each(|_| call());
        begin.elapsed() / calls
    };
    (0..1_000)
        .map(|_| round(&mut call))
        .min()
        .unwrap_or_default()
}

fn main() {
    let (event, _) = Event::from_json(EVENT.as_bytes(), Origin::Http).expect("a valid event");
    let media = [MediaFacts {
        decoding: Decoding::Decoded,
        problem: None,
        width: 640,
        height: 480,
        quality: Some(90),
        forms: Vec::new(),
    }];
    let matches: Vec<Match> = serde_json::from_str(
        r#"[{"signal_type":"pdq","bank":"IMAGES","member":7,"distance":12,"field":"content.media[0]"}]"#,
    )
    .expect("a match");
    let facts = Facts {
        event: &event,
        media: &media,
        matches: &matches,
        received_at: event.time,
    };
    let quiet = Facts {
        matches: &[],
        ..facts.clone()
    };

    let one = compiled(&rule(
        "one",
        "account.followers > 1000 and attributes.reports < 5 and account.age > 30d
           and !content.text.contains(\"grey banner\") and content.links.exists(l, l.startsWith(\"https://archive.example\"))",
    ));
    assert!(one.evaluate(&quiet).is_empty());
    let plain = compiled(&rule(
        "one",
        "account.followers > 1000 and account.followers < 5000 and account.age > 30d
           and !content.text.contains(\"grey banner\") and content.links.exists(l, l.startsWith(\"https://archive.example\"))",
    ));

    let mut twenty = String::new();
    for i in 0..5 {
        twenty += &rule(
            &format!("images_{i}"),
            &format!("content.media.exists(m, bank(\"B{i}\").matches(m, 31))"),
        );
        twenty += &rule(
            &format!("slogans_{i}"),
            &format!("bank(\"S{i}\").matches(content.text) and account.age < 24h"),
        );
        twenty += &rule(
            &format!("words_{i}"),
            &format!(
                "content.text.contains(\"word number {i}\") or account.handle.startsWith(\"x{i}\")"
            ),
        );
        twenty += &rule(
            &format!("links_{i}"),
            &format!(
                "content.links.size() > {} and account.followers < 10",
                i + 2
            ),
        );
    }
    let phrases: String = (0..20)
        .map(|i| {
            rule(
                &format!("p_{i}"),
                &format!("content.text.containsPhrase(\"phrase number {i}\")"),
            )
        })
        .collect();
    let (twenty, phrases) = (compiled(&twenty), compiled(&phrases));
    let fires = compiled(&rule(
        "known",
        "content.media.exists(m, bank(\"IMAGES\").matches(m, 31))",
    ));
    assert_eq!(
        (
            twenty.evaluate(&facts).len(),
            phrases.evaluate(&facts).len(),
            fires.evaluate(&facts).len()
        ),
        (0, 0, 1)
    );

    let run = |rules: &RuleSet, facts: &Facts<'_>| {
        per_call(|| drop(black_box(rules.evaluate(black_box(facts)))))
    };
    println!(
        "one rule, 3 numbers, contains, exists         {:>9.1?}",
        run(&plain, &quiet)
    );
    println!(
        "the same with an attribute among the numbers  {:>9.1?}",
        run(&one, &quiet)
    );
    println!(
        "20 rules, nothing fires                       {:>9.1?}",
        run(&twenty, &facts)
    );
    println!(
        "20 phrases of one text, nothing fires         {:>9.1?}",
        run(&phrases, &facts)
    );
    println!(
        "one rule that fires, explained                {:>9.1?}",
        run(&fires, &facts)
    );
    println!(
        "the first, as the cel crate runs it          {:>9.1?}",
        cel_peer()
    );
}

/// The same question, asked of the `cel` crate with everything prepared beforehand.
fn cel_peer() -> Duration {
    let map = |fields: Vec<(&str, cel::Value)>| -> cel::Value {
        let fields: HashMap<String, cel::Value> = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        fields.into()
    };
    let (event, _) = Event::from_json(EVENT.as_bytes(), Origin::Http).expect("a valid event");
    let content = event.content.unwrap_or_default();
    let links: Vec<cel::Value> = content.links.into_iter().map(cel::Value::from).collect();
    let mut context = cel::Context::default();
    let account = map(vec![
        ("followers", 1200_i64.into()),
        ("age_s", 180_000_000_i64.into()),
    ]);
    let text = content.text.unwrap_or_default();
    let content = map(vec![("text", text.into()), ("links", links.into())]);
    context.add_variable_from_value("account", account);
    context.add_variable_from_value("content", content);
    let program = cel::Program::compile(
        "account.followers > 1000 && account.followers < 5000 && account.age_s > 2592000
           && !content.text.contains('grey banner') && content.links.exists(l, l.startsWith('https://archive.example'))",
    )
    .expect("CEL reads it");
    assert_eq!(
        program.execute(&context).ok(),
        Some(cel::Value::Bool(false))
    );
    per_call(|| drop(black_box(program.execute(black_box(&context)))))
}
