//! The expressions of rules mean what they mean in CEL: compared with an implementation that is not
//! ours, on generated expressions of the part both languages share.
//!
//! Left out on purpose, because the two differ: dividing floats by zero (infinite in CEL, unknown
//! here), mixing ints and floats in arithmetic (refused here), durations and times (other literals).

use cel::{Context, Program, Value};
use manara_model::{Event, Facts, Origin};
use manara_rules::{Schema, Source, Type, compile};
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::HashMap;

const EVENT: &str = r#"{
    "id": "e-1", "source": "forum.example", "type": "post.created", "time": "2026-11-22T10:15:00Z",
    "account": { "id": "a-19", "handle": "Grey_Banner", "followers": 12 },
    "content": { "id": "p-1", "text": "Rise, رايـة!", "links": ["https://a.example/x", "b"] },
    "attributes": { "n": -3, "f": 2.5, "yes": true, "tags": ["a", "Rise", ""], "ns": [1, 12, -3], "m": {"a": "Rise", "b": ""} }
}"#;

fn schema() -> Schema {
    Schema::builtin()
        .with_attribute(None, "n", Type::Int)
        .with_attribute(None, "f", Type::Float)
        .with_attribute(None, "yes", Type::Bool)
        .with_attribute(None, "absent", Type::Int)
        .with_attribute(None, "tags", Type::list(Type::String))
        .with_attribute(None, "ns", Type::list(Type::Int))
        .with_attribute(None, "m", Type::map(Type::String))
}

fn map(fields: Vec<(&str, Value)>) -> Value {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<HashMap<String, Value>>()
        .into()
}

/// The event as CEL sees it.
fn context() -> Context<'static, 'static> {
    let text = |t: &str| Value::from(t.to_owned());
    let texts = |items: &[&str]| Value::from(items.iter().map(|t| text(t)).collect::<Vec<Value>>());
    let mut context = Context::default();
    let account = map(vec![
        ("id", text("a-19")),
        ("handle", text("Grey_Banner")),
        ("followers", 12_i64.into()),
    ]);
    let content = map(vec![
        ("id", text("p-1")),
        ("text", text("Rise, رايـة!")),
        ("links", texts(&["https://a.example/x", "b"])),
    ]);
    let numbers = Value::from(vec![Value::from(1_i64), 12_i64.into(), (-3_i64).into()]);
    let attributes = map(vec![
        ("n", (-3_i64).into()),
        ("f", 2.5.into()),
        ("yes", true.into()),
        ("tags", texts(&["a", "Rise", ""])),
        ("ns", numbers),
        ("m", map(vec![("a", text("Rise")), ("b", text(""))])),
    ]);
    context.add_variable_from_value("account", account);
    context.add_variable_from_value("content", content);
    context.add_variable_from_value("attributes", attributes);
    context
}

/// Ours: true, false, or unknown. `None` when the checker refuses the expression.
#[expect(
    clippy::option_option,
    reason = "refused, unknown, or a value: the three are compared as such"
)]
fn ours(condition: &str) -> Option<Option<bool>> {
    let rule = |name: &str, condition: &str| {
        format!(
            "rule {name} {{ policy p reason \"r\" when {condition} then label(account, \"x\") }}\n"
        )
    };
    let text = rule("yes", condition) + &rule("no", &format!("!({condition})"));
    let rules = compile(
        &[Source {
            name: "t".into(),
            text,
        }],
        &schema(),
    )
    .ok()?;
    let (event, _) = Event::from_json(EVENT.as_bytes(), Origin::Http).unwrap();
    let facts = Facts {
        event: &event,
        media: &[],
        matches: &[],
        received_at: event.time,
    };
    let fired: Vec<bool> = rules
        .evaluate(&facts)
        .iter()
        .map(|v| v.rule.as_str() == "yes")
        .collect();
    assert!(fired.len() <= 1, "{condition} is both true and false");
    Some(fired.first().copied())
}

fn theirs(condition: &str) -> Option<bool> {
    let program =
        Program::compile(condition).unwrap_or_else(|e| panic!("CEL cannot read {condition}: {e}"));
    match program.execute(&context()) {
        Ok(Value::Bool(value)) => Some(value),
        Ok(other) => panic!("{condition} is {other:?} in CEL"),
        Err(_) => None,
    }
}

fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(texts).prop_map(str::to_owned).boxed()
}

fn binary(
    left: BoxedStrategy<String>,
    ops: &'static [&'static str],
    right: BoxedStrategy<String>,
) -> BoxedStrategy<String> {
    // Without parentheses half of the time, so that precedence is compared too.
    (left, prop::sample::select(ops), right, any::<bool>())
        .prop_map(|(a, op, b, bare)| {
            if bare {
                format!("{a} {op} {b}")
            } else {
                format!("({a} {op} {b})")
            }
        })
        .boxed()
}

fn int(depth: u32) -> BoxedStrategy<String> {
    let leaf = one_of(&[
        "0",
        "1",
        "7",
        "-2",
        "0x10",
        "9223372036854775807",
        "account.followers",
        "attributes.n",
        "attributes.absent",
        "size(content.links)",
    ]);
    if depth == 0 {
        return leaf;
    }
    let d = depth - 1;
    prop_oneof![
        2 => leaf,
        3 => binary(int(d), &["+", "-", "*", "/", "%"], int(d)),
        1 => text(d).prop_map(|t| format!("size({t})")),
        1 => filtered().prop_map(|l| format!("size({l})")),
        1 => one_of(&["size(attributes.m)", "int(2.9)", "int(-2.5e1)", "int(attributes.f)", "int(1e300)"]),
        1 => (condition(d), int(d), int(d)).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
    ]
    .boxed()
}

fn text(depth: u32) -> BoxedStrategy<String> {
    let leaf = one_of(&[
        "'a'",
        "\"Rise\"",
        "''",
        "'\\u0631\\x61'",
        "r'\\n'",
        "account.handle",
        "content.text",
        "account.id",
    ]);
    if depth == 0 {
        return leaf;
    }
    let d = depth - 1;
    prop_oneof![
        6 => leaf,
        2 => binary(text(d), &["+"], text(d)).prop_map(|t| format!("({t})")),
        1 => text(d).prop_map(|t| format!("attributes.m[{t}]")),
        1 => prop_oneof![int(d), one_of(&["attributes.f", "2.5", "-0.25"]), text(d)].prop_map(|v| format!("string({v})")),
    ]
    .boxed()
}

fn filtered() -> BoxedStrategy<String> {
    one_of(&[
        "attributes.ns.filter(x, x > 1)",
        "attributes.ns.filter(x, x != attributes.n)",
        "[1, account.followers].filter(x, x % 2 == 0)",
        "attributes.tags.filter(x, size(x) > 0)",
        "content.links.filter(x, x.contains('a')).filter(x, x != 'b')",
    ])
}

fn condition(depth: u32) -> BoxedStrategy<String> {
    let leaf = one_of(&[
        "attributes.yes",
        "true",
        "false",
        "has(account.handle)",
        "has(account.display_name)",
        "attributes.absent > 0",
    ]);
    if depth == 0 {
        return leaf;
    }
    let d = depth - 1;
    let compare = |a: BoxedStrategy<String>, b: BoxedStrategy<String>| {
        binary(a, &["==", "!=", "<", "<=", ">", ">="], b).prop_map(|c| format!("({c})"))
    };
    prop_oneof![
        1 => leaf,
        3 => binary(condition(d), &["&&", "||"], condition(d)),
        1 => condition(d).prop_map(|c| format!("!({c})")),
        2 => compare(int(d), int(d)),
        1 => compare(text(d), text(d)),
        1 => compare(one_of(&["attributes.f", "1.5", "-2.5e1"]), one_of(&["2.5", "0.0", "attributes.f"])),
        1 => (text(d), one_of(&["contains", "startsWith", "endsWith"]), text(d)).prop_map(|(t, f, u)| format!("{t}.{f}({u})")),
        1 => (text(d), one_of(&["attributes.tags", "content.links", "['a', 'Rise']"])).prop_map(|(t, l)| format!("({t} in {l})")),
        1 => (int(d), one_of(&["attributes.ns", "[1, 7, 12]"])).prop_map(|(n, l)| format!("({n} in {l})")),
        1 => (one_of(&["attributes.ns", "[1, account.followers]"]), one_of(&["exists", "all"]), one_of(&["x > 1", "x == attributes.n", "x % 2 == 0 || x > 5", "10 / (x - 1) > 0"]))
            .prop_map(|(l, f, b)| format!("{l}.{f}(x, {b})")),
        1 => (one_of(&["attributes.tags", "content.links", "['a', account.handle]"]), one_of(&["exists", "all"]), one_of(&["x == 'a'", "size(x) > 1", "x.contains('e')", "x in attributes.tags"]))
            .prop_map(|(l, f, b)| format!("{l}.{f}(x, {b})")),
        1 => text(d).prop_map(|t| format!("({t} in attributes.m)")),
        1 => (filtered(), one_of(&["exists", "all"])).prop_map(|(l, f)| format!("{l}.{f}(y, y == y)")),
        1 => (int(d), one_of(&["attributes.ns.filter(x, x > 1)", "[1, 7].filter(x, x < 5)"])).prop_map(|(n, l)| format!("({n} in {l})")),
        1 => (condition(d), condition(d), condition(d)).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
    ]
    .boxed()
}

#[test]
fn generated_expressions_mean_the_same() {
    let (compared, unknown) = (Cell::new(0), Cell::new(0));
    // `PROPTEST_CASES` asks for more.
    let cases = ProptestConfig::default().cases.max(3_000);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(condition in condition(3))| {
        // Refused here are only expressions that CEL lets fail at run time.
        if let Some(ours) = ours(&condition) {
            compared.set(compared.get() + 1);
            unknown.set(unknown.get() + u32::from(ours.is_none()));
            prop_assert_eq!(ours, theirs(&condition), "{}", condition);
        }
    });
    let (compared, unknown) = (compared.get(), unknown.get());
    assert!(
        compared > cases / 2 && unknown > cases / 50 && unknown < compared / 2,
        "{compared} compared, {unknown} unknown"
    );
}
