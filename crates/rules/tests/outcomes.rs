//! What a `test` block says when it fails.

use manara_rules::{Schema, Source, TestOutcome, compile};

const RULES: &str = r#"
rule slogan {
  on post.created
  policy p
  reason "r"
  when bank("SLOGANS").matches(content.text) and account.age < 24h
  then restrict(content, for: 36h), enqueue("slogans", priority: 6)
}
rule quiet {
  mode shadow
  policy p
  reason "r"
  when content.text.contains("grey")
  then remove(content)
}
"#;

#[track_caller]
fn outcome(test: &str) -> TestOutcome {
    let text = format!("{RULES}test \"t\" {{ {test} }}");
    let other = "rule elsewhere { policy p reason \"r\" when has(event.id) then remove(account) }";
    let source = |name: &str, text: &str| Source {
        name: name.into(),
        text: text.into(),
    };
    let rules = compile(
        &[source("a.rules", &text), source("b.rules", other)],
        &Schema::builtin(),
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
    });
    rules.run_tests().remove(0)
}

#[track_caller]
fn failed(test: &str) -> String {
    let outcome = outcome(test);
    assert!(!outcome.passed);
    assert_eq!(
        (outcome.name.as_str(), outcome.source.as_str(), outcome.line),
        ("t", "a.rules", 16)
    );
    outcome.detail
}

const OLD: &str = r#"event { "type": "post.created", "account": { "created_at": "2020-01-01T00:00:00Z" }, "content": { "text": "rise under the grey banner" } }"#;
const NEW: &str = r#"at "2020-01-01T03:00:00Z" event { "type": "post.created", "account": { "created_at": "2020-01-01T00:00:00Z" }, "content": { "text": "Rise under the GREY banner" } }"#;
const MEMBER: &str = r#"members "SLOGANS" { text "rise under the grey banner" }"#;

#[test]
fn rules_of_other_files_do_not_take_part() {
    assert!(
        outcome(&format!(
            "{NEW} {MEMBER} expect restrict(content), enqueue(\"slogans\")"
        ))
        .passed
    );
}

#[test]
fn a_missing_and_an_unexpected_action_are_named() {
    insta::assert_snapshot!(failed(&format!(
        "{NEW} {MEMBER} expect remove(content), restrict(content, for: 24h), enqueue(\"slogans\")"
    )));
}

#[test]
fn the_values_of_a_condition_that_did_not_hold_are_shown() {
    insta::assert_snapshot!(failed(&format!(
        "{OLD} {MEMBER} expect restrict(content), enqueue(\"slogans\")"
    )));
}

#[test]
fn a_missing_field_is_shown() {
    insta::assert_snapshot!(failed(&format!(
        "event {{ \"type\": \"post.created\", \"content\": {{ \"text\": \"Rise under the grey banner\" }} }} {MEMBER} expect verdict slogan"
    )));
}

#[test]
fn nothing_means_that_no_rule_fires_not_even_in_shadow() {
    insta::assert_snapshot!(failed(&format!("{OLD} expect nothing")));
    assert_eq!(
        failed(&format!("{OLD} expect no verdict quiet"))
            .lines()
            .next(),
        Some("expected rule quiet not to fire; it did")
    );
    assert!(outcome(&format!("{OLD} expect verdict quiet, no verdict slogan")).passed);
}

#[test]
fn details_that_a_test_leaves_open_may_be_anything() {
    let with = |expect: &str| outcome(&format!("{NEW} {MEMBER} expect {expect}")).passed;
    assert!(with(
        "restrict(content, for: 36h), enqueue(content, \"slogans\", priority: 6)"
    ));
    assert!(!with("restrict(content, for: 35h), enqueue(\"slogans\")"));
    assert!(!with(
        "restrict(content), enqueue(\"slogans\", priority: 5)"
    ));
    assert!(!with("restrict(content), enqueue(\"other\")"));
    assert!(!with("restrict(account), enqueue(\"slogans\")"));
    assert!(!with("restrict(content)"));
}
