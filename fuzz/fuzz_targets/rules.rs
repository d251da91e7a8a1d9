//! Any schema and rule file: diagnostics or rules, whose own tests run and which look at an event part by part.
//! A line of `---` ends the schema; without one the schema is the built-in one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_model::{Event, Facts, Origin};
use manara_rules::{Diagnostic, Schema, Source, compile, render_plain};
use std::sync::LazyLock;

const EVENT: &str = r#"{
    "id": "e-1", "source": "forum.example", "type": "post.created", "time": "2026-11-22T10:15:00Z",
    "account": { "id": "a-19", "handle": "grey_banner_17", "created_at": "2026-11-22T10:01:00Z", "followers": 12 },
    "space": { "id": "c-7", "kind": "channel", "name": "راية الرماد", "members": 41000 },
    "content": { "id": "p-1", "text": "Rise under the g r e y banner, https://shop.example/a", "links": ["https://a.example/x", "b"],
        "media": [{ "id": "m-1", "kind": "image", "url": "https://a.example/1" }] },
    "attributes": { "n": -3, "f": 2.5, "s": "x", "tags": ["a", "b", "a"], "m": { "k": "v" } }
}"#;

static SEEN: LazyLock<Event> = LazyLock::new(|| {
    let (event, _) = Event::from_json(EVENT.as_bytes(), Origin::Http).expect("an event");
    event
});

fn shown(diagnostics: &[Diagnostic], source: &Source) {
    for diagnostic in diagnostics {
        assert!(!render_plain(diagnostic, source).is_empty());
    }
}

fuzz_target!(|text: &str| {
    let (schema, rules) = text.split_once("\n---\n").unwrap_or(("", text));
    let source = |name: &str, text: &str| Source {
        name: name.into(),
        text: text.into(),
    };
    let file = source("schema.toml", schema);
    let schema = match Schema::from_source(&file) {
        Ok(schema) => schema,
        Err(diagnostics) => {
            shown(&diagnostics, &file);
            Schema::builtin()
        }
    };
    let source = source("fuzzed.rules", rules);
    let rules = match compile(std::slice::from_ref(&source), &schema) {
        Ok(rules) => rules,
        Err(diagnostics) => return shown(&diagnostics, &source),
    };
    drop(rules.run_tests());
    let facts = Facts {
        event: &SEEN,
        media: &[],
        matches: &[],
        received_at: SEEN.time,
    };
    let fired = rules.evaluate(&facts);
    for rule in rules.rules() {
        let explained = rules.explain(&facts, rule.name.as_str()).expect("a rule of the set");
        let fires = fired.iter().any(|verdict| verdict.rule == rule.name);
        if rule.mode.runs() && explained.sees_event {
            assert_eq!(explained.value == Some(true), fires, "{}", rule.text);
        }
    }
});
