//! Rule files nobody would write by hand: each ends in a report, soon, and without a panic.

use manara_rules::{Diagnostic, RuleSet, Schema, Source, compile};
use proptest::prelude::*;
use std::fmt::Write as _;

fn try_compile(text: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    compile(
        &[Source {
            name: "t.rules".into(),
            text: text.into(),
        }],
        &Schema::builtin(),
    )
}

#[track_caller]
fn refused(text: &str, says: &str) {
    let problems = try_compile(text).expect_err("refused");
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(
        shown.iter().any(|p| p.contains(says)),
        "{}",
        shown.join("\n")
    );
}

fn rule(condition: &str) -> String {
    format!("rule r {{ policy p reason \"r\" when {condition} then remove(content) }}")
}

#[test]
fn nesting_is_bounded_however_it_is_made() {
    for (open, close) in [
        ("(", ")"),
        ("!", ""),
        ("-", ""),
        ("not ", ""),
        ("[", "]"),
        ("has(", ")"),
        ("true ? true : ", ""),
        ("true ? ", " : true"),
        ("content[", "]"),
        ("string(", ")"),
    ] {
        let deep = rule(&format!(
            "{}true{}",
            open.repeat(50_000),
            close.repeat(50_000)
        ));
        refused(&deep, "nests deeper than 64");
    }
    refused(
        &rule(&format!("1{}", " + 1".repeat(100_000))),
        "nests deeper than 64",
    );
    refused(
        &rule(&format!("content{}", ".x".repeat(100_000))),
        "nests deeper than 64",
    );
    refused(
        &rule(&format!("content{}", "['x']".repeat(100_000))),
        "nests deeper than 64",
    );
    refused(&rule(&"content.x(".repeat(50_000)), "nests deeper than 64");
    refused(&rule(&"(".repeat(1_000_000)), "nests deeper than 64");
}

#[test]
fn sixty_deep_is_fine_and_long_chains_are_flat() {
    assert!(
        try_compile(&rule(&format!(
            "{}account.followers > 1{}",
            "(".repeat(60),
            ")".repeat(60)
        )))
        .is_ok()
    );
    assert!(
        try_compile(&rule(&format!(
            "account.followers > 1{}",
            " or account.followers > 2".repeat(5_000)
        )))
        .is_ok()
    );
}

#[test]
fn cost_is_bounded() {
    refused(
        &rule("content.links.exists(a, content.links.exists(b, a.contains(b)))"),
        "the limit is 100000",
    );
    refused(
        &rule(&format!(
            "account.followers > 1{}",
            " or account.followers > 2".repeat(20_000)
        )),
        "the limit is 100000",
    );
}

#[test]
fn sizes_are_bounded() {
    refused(&" ".repeat(1024 * 1024 + 1), "the limit is 1048576");
    refused(
        &rule(&format!("account.handle == \"{}\"", "x".repeat(9_000))),
        "the limit is 8192",
    );
    refused(
        &rule(&format!("account.followers in [{}]", "1,".repeat(300))),
        "the limit is 256",
    );
    let mut many = String::new();
    for i in 0..10_001 {
        writeln!(
            many,
            "rule r{i} {{policy p reason \"r\" when account.followers>1 then remove(content)}}"
        )
        .unwrap();
    }
    refused(&many, "more than 10000 rules");
}

#[test]
fn a_file_of_errors_is_not_an_avalanche() {
    let problems = try_compile(&"$ ".repeat(200_000)).unwrap_err();
    assert!(problems.len() <= 101, "{}", problems.len());
    assert!(
        problems
            .iter()
            .any(|p| p.message.contains("more than 100 errors"))
    );
    let problems = try_compile(&"rule x { when a.b.c then y( } ".repeat(20_000)).unwrap_err();
    assert!(problems.len() <= 101, "{}", problems.len());
}

/// Ten thousand rules on one line, each with a warning: counting columns must not be quadratic.
#[test]
fn one_long_line_is_read_in_time() {
    let rule = |i: u32| {
        format!(
            "rule r{i}{{policy p reason \"r\" when account.followers>1 or 1<2 then remove(content)}} "
        )
    };
    let rules = try_compile(&(0..10_000).map(rule).collect::<String>()).expect("good rules");
    assert_eq!((rules.rules().len(), rules.warnings().len()), (10_000, 101));
}

#[test]
fn halves_of_a_file_are_refused_or_whole() {
    let text = include_str!("../../../examples/rules/known_images.rules");
    for (at, _) in text.char_indices().step_by(5) {
        let _ = try_compile(&text[..at]);
    }
    assert!(try_compile(text).is_ok());
}

/// Pieces of rule files, in any order.
fn soup() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "rule",
        "test",
        "r",
        "\"t\"",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ":",
        ".",
        "?",
        "!",
        "and",
        "or",
        "not",
        "in",
        "&&",
        "||",
        "==",
        "<",
        "+",
        "-",
        "*",
        "/",
        "%",
        "on",
        "post.created",
        "mode",
        "live",
        "policy",
        "p",
        "reason",
        "when",
        "then",
        "expect",
        "event",
        "match",
        "media",
        "members",
        "at",
        "nothing",
        "verdict",
        "no",
        "account.age",
        "content.media",
        "m",
        "exists",
        "all",
        "bank(\"B\")",
        ".matches(",
        "content",
        "remove(content)",
        "enqueue(\"q\")",
        "for",
        "24h",
        "1",
        "0.5",
        "1e",
        "0x",
        "\"",
        "'",
        "\"\"\"",
        "r\"\\\"",
        "\\",
        "true",
        "null",
        "//",
        "\n",
        "راية",
        "\u{202e}",
        "{\"type\":\"post.created\"}",
        "\"\\ud800\"",
        "-9223372036854775808",
        "9223372036854775808",
        "duration(\"1h\")",
        "timestamp(\"x\")",
        "has(",
        "lexicon",
        "lexicon l {",
        "lexicon(\"l\")",
        "level",
        ".filter(",
        ".matches(r\"(\")",
        ".getHours(\"UTC\")",
        "[\"k\"]",
        "sample(0.1)",
        "attributes.x",
    ];
    prop::collection::vec((prop::sample::select(PIECES), prop::bool::ANY), 0..60).prop_map(
        |pieces| {
            pieces
                .into_iter()
                .map(|(piece, space)| {
                    if space {
                        format!("{piece} ")
                    } else {
                        piece.to_owned()
                    }
                })
                .collect()
        },
    )
}

fn survives(text: &str) {
    match try_compile(text) {
        Ok(rules) => {
            let _ = rules.run_tests();
        }
        Err(problems) => {
            for problem in problems {
                assert!(
                    text.get(problem.span.clone()).is_some(),
                    "{:?} of {text:?}",
                    problem.span
                );
                assert!(problem.line() > 0 && problem.column() > 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(1_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_soup_of_tokens_is_answered(text in soup()) {
        survives(&text);
    }

    #[test]
    fn any_condition_is_answered(condition in soup()) {
        survives(&rule(&condition));
    }

    #[test]
    fn any_test_is_answered(body in soup()) {
        survives(&format!("{}\ntest \"t\" {{ event {{\"type\":\"post.created\"}} {body} }}", rule("account.followers > 1")));
    }

    #[test]
    fn a_good_file_with_a_bad_byte_is_answered(at in 0_usize..4_000, with in any::<char>()) {
        let mut text: Vec<char> = include_str!("../../../examples/rules/unreadable_media.rules").chars().collect();
        let at = at % text.len();
        text[at] = with;
        survives(&text.into_iter().collect::<String>());
    }
}
