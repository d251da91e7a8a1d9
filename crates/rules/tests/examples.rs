//! Every example rule file compiles without warnings, and its tests pass and are not empty.

use manara_rules::{RuleSet, Schema, Source, compile, render_plain};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rules")
}

fn sources() -> Vec<Source> {
    let mut sources: Vec<Source> = std::fs::read_dir(folder())
        .expect("examples/rules exists")
        .map(|entry| entry.expect("readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "rules"))
        .map(|path| Source {
            name: format!(
                "examples/rules/{}",
                path.file_name().expect("a file").to_string_lossy()
            ),
            text: std::fs::read_to_string(&path).expect("a readable file"),
        })
        .collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}

fn compiled(sources: &[Source]) -> RuleSet {
    compile(sources, &Schema::builtin()).unwrap_or_else(|problems| {
        let shown: Vec<String> = problems
            .iter()
            .map(|p| {
                render_plain(
                    p,
                    sources
                        .iter()
                        .find(|s| s.name == p.source)
                        .expect("its source"),
                )
            })
            .collect();
        panic!("{}", shown.join("\n"))
    })
}

#[test]
fn each_file_compiles_by_itself_and_its_tests_pass() {
    let sources = sources();
    assert!(sources.len() >= 5, "{} example files", sources.len());
    for source in sources {
        let rules = compiled(std::slice::from_ref(&source));
        assert_eq!(rules.warnings(), [], "{}", source.name);
        let outcomes = rules.run_tests();
        assert!(
            outcomes.len() >= 3,
            "{} has {} tests",
            source.name,
            outcomes.len()
        );
        for outcome in outcomes {
            assert!(
                outcome.passed,
                "{}:{} {}\n{}",
                outcome.source, outcome.line, outcome.name, outcome.detail
            );
        }
    }
}

#[test]
fn together_they_pass_too() {
    let sources = sources();
    let rules = compiled(&sources);
    let failed: Vec<_> = rules
        .run_tests()
        .into_iter()
        .filter(|outcome| !outcome.passed)
        .collect();
    assert_eq!(failed, []);
    let banks: Vec<String> = rules
        .banks()
        .iter()
        .map(|(bank, distance)| format!("{bank} {distance}"))
        .collect();
    assert_eq!(
        banks,
        [
            "LINKS 31",
            "NAMES 31",
            "NEWS_IMAGES 31",
            "SLOGANS 31",
            "TVEC_IMAGES 31"
        ]
    );
}

/// A test that cannot fail tests nothing: with its rules gone, each file must have failing tests.
#[test]
fn without_its_rules_each_files_tests_fail() {
    for source in sources() {
        let text = source
            .text
            .replace("when ", "when event.id == \"never\" and (")
            .replace("\n  then", ")\n  then");
        let rules = compiled(&[Source { text, ..source }]);
        assert!(
            rules
                .run_tests()
                .iter()
                .any(|outcome| !outcome.passed && !outcome.detail.is_empty())
        );
    }
}

/// The reference is true: each of its rule files compiles and passes its tests, and each mistake in
/// its last table is one.
#[test]
fn the_reference_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let page = std::fs::read_to_string(page).expect("docs/rules.md");
    let blocks: Vec<&str> = page
        .split("```rules\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .collect();
    assert!(blocks.len() >= 6, "{} rule files on the page", blocks.len());
    for block in blocks {
        let rules = compiled(&[Source {
            name: "docs/rules.md".into(),
            text: block.into(),
        }]);
        assert_eq!(rules.warnings(), []);
        let failed: Vec<_> = rules
            .run_tests()
            .into_iter()
            .filter(|o| !o.passed)
            .collect();
        assert_eq!(failed, []);
    }
    let (_, table) = page
        .split_once("| instead of | write |\n|---|---|\n")
        .expect("the table of mistakes");
    for row in table.lines() {
        let cells: Vec<&str> = row.split('`').collect();
        let (wrong, right) = (cells[1], cells[3]);
        assert!(!in_order(wrong), "{wrong}");
        assert!(in_order(right), "{right}");
    }
}

fn in_order(part: &str) -> bool {
    let text = if part.ends_with(')') && !part.contains('.') {
        format!("rule r {{ policy p reason \"r\" when account.followers > 1 then {part} }}")
    } else {
        format!("rule r {{ policy p reason \"r\" when {part} then remove(content) }}")
    };
    compile(
        &[Source {
            name: "t".into(),
            text,
        }],
        &Schema::builtin(),
    )
    .is_ok()
}
