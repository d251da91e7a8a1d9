//! Schema files: what they declare, and what their authors are told about mistakes.

use manara_model::{Event, Facts, Origin};
use manara_rules::{Schema, Source, compile};
use proptest::prelude::*;

/// Every diagnostic of the file, as a terminal without colour shows it.
fn report(text: &str) -> String {
    let problems = Schema::from_toml(text).expect_err(text);
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    shown.join("\n")
}

fn example() -> Schema {
    Schema::from_toml(include_str!("../../../examples/schema.toml"))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[track_caller]
fn check(rule_on: &str, condition: &str, expect: Result<(), &str>) {
    let text = format!(
        "rule r {{ {rule_on} policy p reason \"r\" when {condition} then remove(content) }}"
    );
    let source = Source {
        name: "t.rules".into(),
        text,
    };
    match (compile(&[source], &example()), expect) {
        (Ok(_), Ok(())) => {}
        (Err(problems), Err(says)) => {
            let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(shown.join("\n").contains(says), "{}", shown.join("\n"));
        }
        (Ok(_), Err(says)) => panic!("{condition} is in order, though it should say: {says}"),
        (Err(problems), Ok(())) => panic!("{condition}: {problems:?}"),
    }
}

#[test]
fn the_example_declares_what_it_says() {
    let schema = example();
    let shown: Vec<String> = schema
        .attributes()
        .map(|a| {
            let on = a.on.as_deref().unwrap_or("every event");
            format!("{} {} {on}: {}", a.name, a.ty, a.description)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    let own: Vec<_> = schema.events().filter(|(_, d)| !d.is_empty()).collect();
    assert_eq!(own.len(), 2);
    check("on listing.created", "attributes.risk_score > 0.5", Ok(()));
    check("", "'sale' in attributes.tags", Ok(()));
    check("", "attributes.labels['colour'] == 'grey'", Ok(()));
    check("on ad.requested", "attributes.budget > 100", Ok(()));
    check("on payout.requested", "attributes.budget > 0.5", Ok(()));
    check("", "attributes.risk_score > 0.5", Err("say with `on`"));
    check(
        "on listing.created",
        "attributes.risk > 0.5",
        Err("write `attributes.risk_score`"),
    );
    check(
        "on listing.craeted",
        "attributes.trusted",
        Err("did you mean `listing.created`?"),
    );
}

#[test]
fn old_events_are_read_under_the_new_name() {
    let text = "rule r { on post.created policy p reason \"r\" when attributes.risk_score > 0.5 then remove(content) }";
    let source = Source {
        name: "t.rules".into(),
        text: text.into(),
    };
    let rules = compile(&[source], &example()).unwrap();
    let fires = |attributes: &str| {
        let json = format!(
            r#"{{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z","attributes":{attributes}}}"#
        );
        let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
        let facts = Facts {
            event: &event,
            media: &[],
            matches: &[],
            received_at: event.time,
        };
        !rules.evaluate(&facts).is_empty()
    };
    assert!(fires(r#"{"risk_score": 0.9}"#) && fires(r#"{"risk": 0.9}"#));
    assert!(!fires(r#"{"risk_score": 0.1, "risk": 0.9}"#) && !fires("{}"));
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let cases = [
        "[attributes]\nrisk = \"flaot\"",
        "[attributes]\nrisk = \"list<list<int>>\"",
        "[attributes]\nrisk = 5",
        "[attributes]\nrisk = { description = \"x\" }",
        "[attributes.risk]\ntyp = \"int\"",
        "[attributes.risk]\ntype = \"int\"\non = [\"post.craeted\"]",
        "[attributes.risk]\ntype = \"int\"\non = [5]",
        "[attributes.risk]\ntype = \"int\"\ndescription = 5",
        "[attributes.risk]\ntype = \"int\"\nrenamed_from = [\"risk\"]",
        "[attributes]\na = { type = \"int\", renamed_from = \"old\" }\nb = { type = \"int\", renamed_from = \"old\" }",
        "[attributes]\n\"risk-score\" = \"int\"",
        "[[attributes.a]]\ntype = \"int\"\n[[attributes.a]]\ntype = \"float\"",
        "[attribute]\nrisk = \"int\"",
        "[events.listing]\ndescription = \"x\"",
        "[events.\"Listing.created\"]\ndescription = \"x\"",
        "[events.\"listing.created\"]\ndesc = \"x\"",
        "events = 5",
        "[attributes\nrisk = \"int\"",
        "[attributes]\nrisk = \"int\"\nrisk = \"float\"",
    ];
    let each = |text: &str| format!("{text}\n{}\n", report(text));
    insta::assert_snapshot!(cases.map(each).join("\n"));
}

#[test]
fn sizes_are_bounded() {
    assert!(report(&" ".repeat(1024 * 1024 + 1)).contains("the limit is 1048576"));
    let many: Vec<String> = (0..1_001).map(|n| format!("a{n} = \"int\"")).collect();
    let text = format!("[attributes]\n{}", many.join("\n"));
    assert!(report(&text).contains("1001 attributes, the limit is 1000"));
    let many: Vec<String> = (0..1_001).map(|n| format!("[events.\"a.b{n}\"]")).collect();
    assert!(report(&many.join("\n")).contains("1001 event types, the limit is 1000"));
    let deep = format!("a = {}1{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(report(&deep).contains("not TOML"), "{}", report(&deep));
    let long = format!(
        "[attributes.a]\ntype = \"int\"\ndescription = \"{}\"",
        "x".repeat(3_000)
    );
    assert!(report(&long).contains("3000 bytes long"));
}

proptest! {
    #[test]
    fn no_file_is_a_panic(text in "[\\[\\]a-c.=\"{} \n,5]{0,60}", typed in "(int|set<string>|list<|map<int>|x){1,2}") {
        let whole = format!("[attributes]\na = \"{typed}\"\n{text}");
        for text in [&text, &whole] {
            if let Err(problems) = Schema::from_toml(text) {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(text.get(problem.span.clone()).is_some(), "{:?} of {text:?}", problem.span);
                }
            }
        }
    }
}
