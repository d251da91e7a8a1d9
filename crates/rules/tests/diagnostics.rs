//! What authors are told about their mistakes: one snapshot for each family of them.

use manara_rules::{Schema, Severity, Source, Type, compile, render_colour, render_plain};

fn schema() -> Schema {
    Schema::builtin()
        .with_attribute(Some("ad.requested"), "budget", Type::Int)
        .with_attribute(None, "country", Type::String)
        .with_attribute(None, "labels", Type::map(Type::String))
        .with_attribute(None, "tags", Type::set(Type::String))
}

/// Every diagnostic of the text, as a terminal without colour shows it.
fn report(text: &str) -> String {
    let source = Source {
        name: "t.rules".into(),
        text: text.into(),
    };
    let problems = match compile(std::slice::from_ref(&source), &schema()) {
        Ok(rules) => rules.warnings().to_vec(),
        Err(problems) => {
            assert!(problems.iter().any(|p| p.severity == Severity::Error));
            problems
        }
    };
    assert!(!problems.is_empty(), "nothing is wrong with\n{text}");
    problems
        .iter()
        .map(|problem| render_plain(problem, &source))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The reports on several texts, each under the text itself.
fn reports(texts: &[impl AsRef<str>]) -> String {
    let each = |text: &str| format!("{}\n{}\n", text.trim(), report(text));
    texts
        .iter()
        .map(|text| each(text.as_ref()))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The reports on conditions, each inside an otherwise faultless rule.
fn conditions(conditions: &[&str]) -> String {
    let whole = |condition: &str| {
        format!(
            "rule r {{ policy p reason \"r\" on post.created when\n{condition}\nthen remove(content) }}"
        )
    };
    let each = |condition: &&str| format!("{condition}\n{}\n", report(&whole(condition)));
    conditions.iter().map(each).collect::<Vec<_>>().join("\n")
}

fn effects(effects: &[&str]) -> String {
    let whole = |effect: &str| {
        format!("rule r {{ policy p reason \"r\" when account.followers > 1 then\n{effect} }}")
    };
    let each = |effect: &&str| format!("{effect}\n{}\n", report(&whole(effect)));
    effects.iter().map(each).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_and_fields() {
    insta::assert_snapshot!(conditions(&[
        "content.txet.contains('x')",
        "contnet.text.contains('x')",
        "user.handle == 'x'",
        "followers > 5",
        "content.media.exists(m, m.hight > 5)",
        "m.width > 5",
        "account",
        "account == 'x'",
        "content.text.id == 'x'",
        "attributes.contry == 'xx'",
        "attributes.budget > 5",
        "content.media[0].width > 5",
        "null == account.handle",
        "bank == 5",
    ]));
}

#[test]
fn functions() {
    insta::assert_snapshot!(conditions(&[
        "content.text.startswith('x')",
        "content.text.includes('x')",
        "contains(content.text, 'x')",
        "content.text.contains()",
        "content.text.contains(5)",
        "content.text.exists(c, c == 'x')",
        "content.links.contains('x')",
        "account.followers.contains('5')",
        "size(account.followers) > 5",
        "has(5)",
        "len(content.text) > 5",
        "content.text.containsPhrase(account.handle)",
        "content.text.containsPhrase('  ')",
        "duration('24') > account.age",
        "timestamp('yesterday') > event.time",
        "not(account.age < 1h, 5)",
    ]));
}

#[test]
fn the_library() {
    insta::assert_snapshot!(conditions(&[
        "content.text.mathces('x')",
        "content.text.regex('x')",
        "content.text.zebra()",
        "content.text.matches(r'a(b')",
        "content.text.matches(r'[z-a]')",
        "content.text.matches('(a{1000}){1000}')",
        "content.text.containsPhrase('a b', 'strict')",
        "content.text.containsPhrase('a b', level: 'agressive')",
        "content.text.normalised('aggressive') == 'x'",
        "account.handle.looksLike('x')",
        "account.handle.looksLike('grey_banner', 80)",
        "account.handle.slogan('banner')",
        "event.time.getHours('Berlin') > 5",
        "event.time.hour() > 5",
        "event.time.getHours > 5",
        "account.age.getMonth() > 5",
        "lexicon('x').count(content.text) > 1",
        "lexicon(x).count(content.text) > 1",
        "lexicon('x')",
        "sample(2)",
        "sample(0.1, account.id)",
        "sample()",
        "string(content.links) == 'x'",
        "int('5') > 4",
        "content.links.filter(l, l.size())",
        "content.links.filter(l, l.isInvite())",
        "content.links['x'] == 'x'",
        "content['x'] == 'x'",
        "bank('B').matches(content, quality: 'x')",
        "bank('B').count(content)",
    ]));
}

#[test]
fn sets_and_maps() {
    insta::assert_snapshot!(conditions(&[
        "attributes.labels.colour == 'x'",
        "attributes.labels == 'x'",
        "attributes.labels",
        "attributes.labels[0] == 'x'",
        "attributes.labels[account.followers] == 'x'",
        "attributes.labels['a'] == 5",
        "5 in attributes.labels",
        "attributes.labels.contains('x')",
        "(account.followers > 1 ? attributes.labels : attributes.labels)['a'] == 'x'",
        "attributes.tags == 'x'",
        "attributes.tags['a'] == 'x'",
        "attributes.tags.contains('x')",
        "5 in attributes.tags",
        "attributes.tags",
    ]));
}

#[test]
fn types() {
    insta::assert_snapshot!(conditions(&[
        "account.age < 24",
        "account.age < '24h'",
        "account.created_at < 24h",
        "account.created_at > '2026-01-01'",
        "account.followers == '12'",
        "account.followers + 0.5 > 1.0",
        "content.text and account.followers > 5",
        "content.links",
        "!account.followers",
        "-content.text == 'x'",
        "content.links == []",
        "account.handle in 'abc'",
        "account.handle in [1, 2]",
        "['a', 1].exists(x, x == 'a')",
        "(account.followers > 5 ? 'a' : 1) == 'a'",
        "content.media.exists(m, m)",
        "account.followers / 0 > 1",
        "true < false",
        "[content.links].size() > 0",
    ]));
}

#[test]
fn banks() {
    insta::assert_snapshot!(conditions(&[
        "bank('A B').matches(content)",
        "bank(TVEC).matches(content)",
        "bank('B').match(content)",
        "bank('B')",
        "bank('B').matches()",
        "bank('B').matches(content.media, 300)",
        "bank('B').matches(content.media, -1)",
        "bank('B').matches(content.media, account.followers)",
        "bank('B').matches(content.language)",
        "bank('B').matches('text')",
        "bank('B').matches(event)",
        "bank('B').matches(content.media, radius: 5)",
        "bank('B').distance(content, 5) < 3",
        "bank('B').form(content) == 5",
        "bank('B').form(content.media) == 'rotate18'",
        "bank('B').form(content.media) in ['flip_y', 'frame_x']",
        "content.matches('B')",
        "content.media.matches(bank('B'))",
    ]));
}

#[test]
fn macros() {
    insta::assert_snapshot!(conditions(&[
        "content.media.exists(m.undecodable)",
        "content.media.exists('m', true)",
        "content.media.exists(content, true)",
        "content.media.exists(m, m.width)",
        "content.media.any(m, m.undecodable)",
        "content.links.exists(a, content.links.exists(b, content.links.exists(c, a == c)))",
        "content.links.exists(a, content.links.exists(b, a.contains(b)))",
        "content.links.exists(l, l.normalised().contains('x'))",
    ]));
}

#[test]
fn syntax_of_conditions() {
    insta::assert_snapshot!(conditions(&[
        "account.followers = 5",
        "account.followers > 5 & account.followers < 9",
        "account.followers > 5 AND account.followers < 9",
        "content.text contains 'x'",
        "5 < account.followers < 9",
        "(account.followers > 5",
        "account.followers > 5)",
        "account.followers >",
        "account.handle == “x”",
        "account.handle == \"x",
        "account.handle == 'a\\qb'",
        "account.age < 24x",
        "account.followers > 99999999999999999999",
        "attributes.country == 1e999",
        "account.handle == x ? 'a'",
        "1 + not true == 2",
        "# a comment",
        "",
    ]));
}

#[test]
fn shapes_of_rules() {
    insta::assert_snapshot!(reports(&[
        "rule r { }",
        "rule r { policy p when account.followers > 1 then remove(content) }",
        "rule r { policy p reason \"\" when account.followers > 1 then remove(content) }",
        "rul r { policy p }",
        "rule { policy p }",
        "rule Known { policy p reason \"r\" when account.followers > 1 then remove(content) }",
        "rule r { polcy p reason \"r\" when account.followers > 1 then remove(content) }",
        "rule r { policy p policy q reason \"r\" when account.followers > 1 then remove(content) }",
        "rule r { on post.craeted policy p reason \"r\" when account.followers > 1 then remove(content) }",
        "rule r { mode dry_run policy p reason \"r\" when account.followers > 1 then remove(content) }",
        "rule r { policy p reason \"r\" when account.followers > 1 then remove(content)\nrule s { policy p reason \"s\" when account.followers > 1 then remove(content) }",
        "rule r { policy p reason \"r\" when account.followers > 1 then remove(content) }\nrule r { policy p reason \"r\" when account.followers > 1 then remove(content) }",
        "rule r { policy p reason \"r\" if account.followers > 1 then remove(content) }",
        "rule a { policy p reason \"r\" when acount.age < 1h then remve(content) }\nrule b { policy p reason \"r\" when account.age < 1 then remove(content) }",
    ]));
}

#[test]
fn effects_and_their_arguments() {
    insta::assert_snapshot!(effects(&[
        "delete(content)",
        "remove()",
        "remove(post)",
        "remove(media)",
        "remove(content, 5)",
        "restrict(content, 24h)",
        "restrict(content, for: 24)",
        "restrict(content, for: -1h)",
        "suspend(content)",
        "strike(content)",
        "strike(account, 0)",
        "strike(account, followers)",
        "label(content)",
        "label(content, \"Very Bad\")",
        "enqueue()",
        "enqueue(\"q\", 8)",
        "enqueue(\"q\", priority: 10)",
        "enqueue(\"q\", urgency: 8)",
        "remove content",
        "remove(content), remove(content)",
    ]));
}

#[test]
fn warnings_do_not_fail() {
    insta::assert_snapshot!(conditions(&[
        "1 < 2",
        "account.followers > 5 or 2 > 3",
        "content.media.exists(m, account.followers > 5)",
        "event.type == 'post.craeted'",
        "content.text.normalised().contains('Grey')",
        "content.text.contains('')",
        "(9223372036854775807 + 1 > 0) or account.followers > 5",
    ]));
    assert!(conditions(&["1 < 2"]).contains("warning: "));
}

#[test]
fn tests_inside_files() {
    let rule = "rule r { policy p reason \"r\" when account.followers > 1 then remove(content) }\n";
    let texts = [
        "test \"t\" { }",
        "test t { expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" \"id\": 1 } expect nothing }",
        "test \"t\" { event { \"type\": \"post.craeted\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\", \"acount\": {} } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\", \"content\": { \"media\": [{ \"kind\": \"picture\" }] } } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" } expect verdict rr }",
        "test \"t\" { event { \"type\": \"post.created\" } expect nothing, remove(content) }",
        "test \"t\" { event { \"type\": \"post.created\" } expect delete(content) }",
        "test \"t\" { at \"noon\" event { \"type\": \"post.created\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" } match { \"bank\": \"B\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" } match { \"bank\": \"B\", \"field\": \"content.text\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\", \"content\": { \"text\": \"x\" } } match { \"bnak\": \"B\", \"field\": \"content.text\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" } members \"B\" { pdqq \"x\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" } members \"B\" { md5 \"xyz\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" } media { \"decoding\": \"undecodable\" } expect nothing }",
        "test \"t\" { event { \"type\": \"post.created\" expect nothing }",
        "test \"t\" { evnt { \"type\": \"post.created\" } expect nothing }",
    ];
    insta::assert_snapshot!(reports(&texts.map(|text| format!("{rule}{text}"))));
}

#[test]
fn a_place_is_counted_in_characters() {
    let report = report(
        "// راية\nrule r { policy p reason \"راية\" when account.x > 1 then remove(content) }",
    );
    assert!(report.contains("t.rules:2:46"), "{report}");
}

#[test]
fn the_colour_form_shows_the_line() {
    let text = "rule r {\n  policy p\n  reason \"r\"\n  when content.txet == 'x'\n  then remove(content)\n}";
    let source = Source {
        name: "t.rules".into(),
        text: text.into(),
    };
    let problems = compile(std::slice::from_ref(&source), &schema()).unwrap_err();
    let shown = render_colour(&problems[0], &source);
    assert!(
        shown.contains("when content.")
            && shown.contains("did you mean `text`?")
            && shown.contains("\u{1b}["),
        "{shown}"
    );
}

#[test]
fn every_file_is_reported_in_one_go() {
    let source = |name: &str, text: &str| Source {
        name: name.into(),
        text: text.into(),
    };
    let good = "rule shared_name { policy p reason \"r\" when account.followers > 1 then remove(content) }";
    let sources = [
        source("a.rules", good),
        source("b.rules", good),
        source("c.rules", "rule c { policy p }"),
    ];
    let problems = compile(&sources, &schema()).unwrap_err();
    let places: Vec<String> = problems
        .iter()
        .map(|p| format!("{}:{}:{} {}", p.source, p.line(), p.column(), p.message))
        .collect();
    assert_eq!(
        places,
        [
            "b.rules:1:6 rule `shared_name` exists already, at a.rules:1",
            "c.rules:1:6 rule `c` has no reason",
            "c.rules:1:6 rule `c` has no condition",
            "c.rules:1:6 rule `c` has no effect",
        ]
    );
}

#[test]
fn clauses() {
    insta::assert_snapshot!(reports(&[
        r#"rule r { mode live 0% policy p reason "r" when account.followers > 1 then remove(content) }"#,
        r#"rule r { mode live 10 policy p reason "r" when account.followers > 1 then remove(content) }"#,
        r#"rule r { mode shadow 10% policy p reason "r" when account.followers > 1 then remove(content) }"#,
        r#"rule r { policy p reason english "r" reason "a" reason "b" when account.followers > 1 then remove(content) }"#,
        r#"rule r { policy p reason "r" limit 0 per hour, 5 per week, 1 per day, 2 per day when account.followers > 1 then remove(content) }"#,
        r#"rule r { policy p reason "r" once per account.id when account.followers > 1 then remove(content) }"#,
        r#"rule r { policy p reason "r" once per content.links over account.age when account.followers > 1 then remove(content) }"#,
        r#"rule r { policy p reason "r" when account.followers > 1 then label(account, "x", for: 1h, until: timestamp("2027-01-01T00:00:00Z")) }"#,
        r#"rule r { policy p reason "r" when account.followers > 1 then notify(), refer(content), refer(content, "Hot Line") }"#,
        r#"rule r { policy p reason "r" when account.followers > 1 then demonetise(media), label(account, "x", until: 30d) }"#,
    ]));
}

#[test]
fn counters() {
    insta::assert_snapshot!(reports(&[
        "counter c = count(post.created)",
        "counter c = count(post.creatd) by account.id over 1h",
        "counter c = many(post.created) by account.id over 1h",
        "counter c = sum(content.text) by account.id over 1h",
        "counter c = distinct(content.links) by account over 10ms",
        "counter account = count() by account.id over 1h",
        "counter C-1 = count() by account.id over 1h",
        "counter c = count() by account.id over 1h counter c = count() by space.id over 1h",
        "counter a = count() by account.id over 1h counter c = distinct(a) by account.id over 1h where a > 1",
        "counter posts = count() by account.id over 1h counter c = count() by account.id over 1h where posts > 1",
        r#"counter burst = count() by account.id over 1h rule r { policy p reason "r" when brst > 3 then remove(content) }"#,
        r#"counter burst = count() by account.id over 1h rule r { policy p reason "r" when burst == "3" then remove(content) }"#,
        "counter c = count() by account.id over 1h by space.id every 3",
    ]));
}

#[test]
fn the_past() {
    insta::assert_snapshot!(conditions(&[
        "account.hasLabel(\"Not A Name\")",
        "account.hasLable(\"watched\")",
        "content.strikes() > 3",
        "account.strikes(90) > 3",
        "account.strikes(within: account.age) > 3",
        "account.id in set(trusted)",
        "account.followers in set(\"trusted\")",
        "set(\"trusted\").holds(account.id)",
        "set(\"trusted\")",
    ]));
}
