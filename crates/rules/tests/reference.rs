//! The tables of clauses, fields, functions, effects and parts of tests in `docs/rules.md` are what the
//! language has.
//! `UPDATE_DOCS=1 cargo test -p manara-rules --test reference` writes them anew.

use manara_model::{Event, Facts, Origin};
use manara_rules::assist::{WordPlace, words};
use manara_rules::{Schema, Source, Type, compile, fields, functions};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")
}

/// What stands in a cell of a table, where a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn field_table() -> String {
    let mut table = String::from("| field | type | |\n|---|---|---|\n");
    for field in fields() {
        writeln!(
            table,
            "| `{}` | `{}` | {} |",
            field.path,
            field.ty,
            cell(field.doc)
        )
        .unwrap();
    }
    table
}

fn function_tables() -> String {
    let headings = [
        ("", "by themselves"),
        ("text", "of a text"),
        ("list", "of a list or set"),
        ("map", "of a map"),
        ("time", "of a time"),
        ("duration", "of a duration"),
        ("bank(\"B\")", "of a bank"),
        ("account", "of an account, a space or content"),
        ("set(\"S\")", "of a set kept by operators"),
        ("lexicon(\"L\")", "of a lexicon"),
    ];
    let mut tables = Vec::new();
    for (on, heading) in headings {
        let mut table = format!("| {heading} | | | for example |\n|---|---|---|---|\n");
        for function in functions().filter(|function| function.on == on) {
            writeln!(
                table,
                "| `{}` | `{}` | {} | `{}` |",
                cell(&function.signature),
                function.result,
                cell(function.doc),
                cell(function.example)
            )
            .unwrap();
        }
        tables.push(table);
    }
    tables.join("\n")
}

/// The words of some places, as a table each.
fn word_tables(places: &[(WordPlace, &str)]) -> String {
    let mut tables = Vec::new();
    for (place, heading) in places {
        let mut table = format!("| {heading} | |\n|---|---|\n");
        for word in words().filter(|word| word.place == *place) {
            writeln!(table, "| `{}` | {} |", cell(word.form), cell(word.doc)).unwrap();
        }
        tables.push(table);
    }
    tables.join("\n")
}

/// The page with what stands between the two markers replaced.
fn with(page: &str, marker: &str, table: &str) -> String {
    let (open, close) = (
        format!("<!-- {marker} -->\n"),
        format!("<!-- /{marker} -->"),
    );
    let (before, rest) = page.split_once(&open).expect("the opening marker");
    let (_, after) = rest.split_once(&close).expect("the closing marker");
    format!("{before}{open}\n{table}\n{close}{after}")
}

#[test]
fn the_tables_are_fresh() {
    let found = std::fs::read_to_string(page()).expect("docs/rules.md");
    let fresh = with(&found, "fields", &field_table());
    let fresh = with(&fresh, "functions", &function_tables());
    let clauses = [(WordPlace::Rule, "part")];
    let fresh = with(&fresh, "clauses", &word_tables(&clauses));
    let counters = [
        (WordPlace::CounterFunction, "write"),
        (WordPlace::Counter, "then"),
    ];
    let fresh = with(&fresh, "counters", &word_tables(&counters));
    let effects = [(WordPlace::Effect, "write")];
    let fresh = with(&fresh, "effects", &word_tables(&effects));
    let parts = [
        (WordPlace::Test, "part of a test"),
        (WordPlace::Given, "after `given`"),
        (WordPlace::Expect, "after `expect`"),
    ];
    let fresh = with(&fresh, "parts", &word_tables(&parts));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page(), &fresh).expect("docs/rules.md can be written");
        return;
    }
    assert!(
        found == fresh,
        "the tables of docs/rules.md are stale: UPDATE_DOCS=1 cargo test -p manara-rules --test reference"
    );
}

#[test]
fn every_function_is_listed_once() {
    let mut seen: Vec<(&str, &str)> = functions().map(|f| (f.on, f.name)).collect();
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), all > 60), (all, true));
}

/// The examples are rules: each compiles, is evaluated without trouble, and uses its function.
#[test]
fn the_example_of_every_function_is_in_order() {
    let schema = Schema::builtin().with_attribute(None, "labels", Type::map(Type::String));
    let (event, _) = Event::from_json(
        br#"{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z"}"#,
        Origin::Http,
    )
    .unwrap();
    for function in functions() {
        assert!(function.example.contains(&format!("{}(", function.name)));
        assert!(!function.doc.ends_with('.'), "{}", function.doc);
        let example = function.example;
        let text = format!(
            "lexicon shop_words {{ \"buy now\" }}
             rule r {{ policy p reason \"r\" when {example} then label(account, \"x\") }}"
        );
        let source = Source {
            name: "t".into(),
            text,
        };
        let rules = compile(&[source], &schema).unwrap_or_else(|problems| {
            panic!("{example}: {}", problems[0]);
        });
        assert_eq!(rules.warnings(), [], "{example}");
        let facts = Facts {
            event: &event,
            media: &[],
            matches: &[],
            received_at: event.time,
        };
        let fired = !rules.evaluate(&facts).is_empty();
        let explained = rules.explain(&facts, "r").unwrap();
        assert_eq!(fired, explained.value == Some(true), "{example}");
    }
}
