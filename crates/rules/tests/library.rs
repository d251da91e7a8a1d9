//! What each function of the library comes to, with and without the values it asks for.

use manara_model::{Event, Facts, Match, MediaFacts, Origin, Verdict};
use manara_rules::{Diagnostic, RuleSet, Schema, Source, Type, compile};
use proptest::prelude::*;
use std::fmt::Write as _;

const EVENT: &str = r#"{
    "id": "e-1", "source": "forum.example", "type": "post.created", "time": "2026-11-22T22:15:30.250Z",
    "account": { "id": "a-19", "handle": "gr3y_b4nner_17", "display_name": " Rise Under The Grey Banner ",
        "created_at": "2026-11-21T10:01:00Z", "followers": 12 },
    "content": {
        "id": "p-1",
        "text": "BUY now, the cheap watches and buy nоw again: https://u@bit.ly/x?utm_source=a and t.me/+AbCdEfGh1234",
        "links": ["https://Shop.Example/a", "no link", "https://exаmple.com:8443/", "http://127.0.0.1/", "https://shop.example/a"],
        "media": [
            { "id": "m-1", "kind": "image", "url": "https://example.com/1" },
            { "id": "m-2", "kind": "image", "signals": { "md5": "D41D8CD98F00B204E9800998ECF8427E" } },
            { "id": "m-3", "kind": "video", "url": "https://example.com/3" }
        ]
    },
    "attributes": { "tags": ["a", "b", "a"], "mixed": ["a", 1], "labels": { "lang": "en", "n": 1 }, "empty": {},
        "scores": { "spam": 0.5 }, "ns": [1, 12, 40], "old_risk": 7, "not_a_map": [1], "s": "" }
}"#;

const LEXICONS: &str = r#"
    lexicon shop_words level folded { "buy now", "cheap watches", "cheap" }
    lexicon exact level strict { "buy now" }
    lexicon loose level aggressive { "grey banner" }
"#;

fn media() -> Vec<MediaFacts> {
    let hash = "0f".repeat(32);
    let json = format!(
        r#"[
        {{"decoding":"decoded","width":640,"height":480,"quality":90,"forms":[{{"form":"original","hash":"{hash}","quality":90}}]}},
        {{"decoding":"signals_only","width":0,"height":0}},
        {{"decoding":"decoded","width":320,"height":200,"quality":20,"hashes":{{"sha256":"{hash}"}}}}
    ]"#
    );
    serde_json::from_str(&json).unwrap()
}

fn matches() -> Vec<Match> {
    let json = r#"[
        {"signal_type":"pdq","bank":"IMAGES","member":7,"distance":12,"field":"content.media[0]","quality":90},
        {"signal_type":"pdq","bank":"IMAGES","member":7,"distance":12,"field":"content.media[2]","quality":20},
        {"signal_type":"pdq","bank":"IMAGES","member":8,"distance":20,"field":"content.media[2]","quality":20},
        {"signal_type":"md5","bank":"FILES","member":9,"distance":0,"field":"content.media[1]"},
        {"signal_type":"url","bank":"LINKS","member":2,"distance":0,"field":"content.links[0]"}
    ]"#;
    serde_json::from_str(json).unwrap()
}

fn schema() -> Schema {
    Schema::builtin()
        .with_attribute(None, "tags", Type::set(Type::String))
        .with_attribute(None, "mixed", Type::set(Type::String))
        .with_attribute(None, "labels", Type::map(Type::String))
        .with_attribute(None, "empty", Type::map(Type::String))
        .with_attribute(None, "scores", Type::map(Type::Float))
        .with_attribute(None, "absent", Type::map(Type::String))
        .with_attribute(None, "not_a_map", Type::map(Type::String))
        .with_attribute(None, "missing_set", Type::set(Type::String))
        .with_attribute(None, "ns", Type::list(Type::Int))
        .with_attribute(None, "s", Type::String)
        .with_attribute(None, "f", Type::Float)
        .with_attribute(None, "risk", Type::Int)
        .with_renamed("old_risk", "risk")
}

fn try_compile(text: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    let source = Source {
        name: "t.rules".into(),
        text: text.into(),
    };
    compile(&[source], &schema())
}

#[track_caller]
fn compiled(text: &str) -> RuleSet {
    try_compile(text).unwrap_or_else(|problems| {
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n"))
    })
}

fn verdicts(rules: &RuleSet, event: &str) -> Vec<Verdict> {
    with_facts(event, |facts| rules.evaluate(facts))
}

fn with_facts<T>(event: &str, look: impl FnOnce(&Facts<'_>) -> T) -> T {
    let (event, _) = Event::from_json(event.as_bytes(), Origin::Http).unwrap();
    let facts = Facts {
        event: &event,
        media: &media(),
        matches: &matches(),
        received_at: event.time,
    };
    look(&facts)
}

fn rule(name: &str, condition: &str) -> String {
    format!("rule {name} {{ policy p reason \"r\" when {condition} then label(account, \"x\") }}\n")
}

/// The condition's value: a condition is unknown when neither it nor its contrary fires.
#[track_caller]
fn value(condition: &str, event: &str) -> Option<bool> {
    let text =
        LEXICONS.to_owned() + &rule("yes", condition) + &rule("no", &format!("!({condition})"));
    let fired = verdicts(&compiled(&text), event);
    match fired.iter().map(|v| v.rule.as_str()).collect::<Vec<_>>()[..] {
        ["yes"] => Some(true),
        ["no"] => Some(false),
        [] => None,
        _ => panic!("{condition} is both true and false"),
    }
}

#[track_caller]
fn check(condition: &str, expect: impl Into<Option<bool>>) {
    assert_eq!(value(condition, EVENT), expect.into(), "{condition}");
}

/// What a trace says of a part of a condition.
#[track_caller]
fn shown(part: &str) -> String {
    let condition = format!("has(account) or {part} == {part}");
    let rules = compiled(&(LEXICONS.to_owned() + &rule("r", &condition)));
    let full = with_facts(EVENT, |facts| rules.explain(facts, "r")).unwrap();
    let line = full.lines.iter().find(|line| line.expression == part);
    line.unwrap_or_else(|| panic!("no line for {part}"))
        .value
        .clone()
}

#[track_caller]
fn refused(condition: &str, says: &str) {
    let problems =
        try_compile(&(LEXICONS.to_owned() + &rule("r", condition))).expect_err(condition);
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(
        all.iter().any(|p| p.contains(says)),
        "{condition}: {}",
        all.join("\n")
    );
}

#[test]
fn sets_hold_each_element_once() {
    check(
        "'a' in attributes.tags and not ('c' in attributes.tags)",
        true,
    );
    check("attributes.tags.size() == 2", true);
    check("attributes.tags.count(t, t == 'a') == 1", true);
    check("attributes.tags.exists(t, t == 'b')", true);
    check("attributes.tags.all(t, t.size() == 1)", true);
    check("attributes.tags.filter(t, t != 'a').size() == 1", true);
    check(
        "has(attributes.tags) and not has(attributes.missing_set)",
        true,
    );
    check("'a' in attributes.missing_set", None);
    check("'a' in attributes.mixed", true);
    check("'z' in attributes.mixed", None);
    check("attributes.mixed.size() == 2", None);
}

#[test]
fn of_a_long_set_the_size_is_not_known() {
    let tags = |n: usize| {
        let all: Vec<String> = (0..n).map(|i| format!("\"t{i}\"")).collect();
        EVENT.replace("[\"a\", \"b\", \"a\"]", &format!("[{}]", all.join(",")))
    };
    let size = |n| value(&format!("attributes.tags.size() == {n}"), &tags(n));
    assert_eq!((size(256), size(257)), (Some(true), None));
    assert_eq!(value("'t3' in attributes.tags", &tags(400)), Some(true));
    assert_eq!(value("'t300' in attributes.tags", &tags(400)), None);
}

#[test]
fn maps_are_asked_by_key() {
    check("attributes.labels['lang'] == 'en'", true);
    check("attributes.labels['la' + 'ng'] == 'en'", true);
    check("attributes.labels['other'] == 'en'", None);
    check("attributes.labels['n'] == '1'", None);
    check("attributes.scores['spam'] > 0.4", true);
    check(
        "'lang' in attributes.labels and not ('other' in attributes.labels)",
        true,
    );
    check(
        "'n' in attributes.labels and not has(attributes.labels['n'])",
        true,
    );
    check(
        "has(attributes.labels['lang']) and not has(attributes.labels['other'])",
        true,
    );
    check(
        "attributes.labels.size() == 2 and size(attributes.empty) == 0",
        true,
    );
    check(
        "has(attributes.labels) and not has(attributes.empty) and not has(attributes.absent)",
        true,
    );
    check("'a' in attributes.absent", None);
    check("'a' in attributes.not_a_map", None);
    check("attributes.labels[account.display_name] == 'en'", None);
    assert_eq!(
        shown("attributes.labels['x']"),
        "unknown (attributes.labels[\"x\"] is missing)"
    );
    assert_eq!(
        shown("attributes.not_a_map['x']"),
        "unknown (attributes.not_a_map is not of type map<string>)"
    );
}

#[test]
fn a_renamed_attribute_is_read_under_either_name() {
    check("attributes.risk == 7", true);
    let both = EVENT.replace("\"old_risk\": 7", "\"old_risk\": 7, \"risk\": 8");
    assert_eq!(value("attributes.risk == 8", &both), Some(true));
    refused("attributes.old_risk == 7", "write `attributes.risk`");
}

#[test]
fn filters_keep_what_holds() {
    check("attributes.ns.filter(n, n > 5).size() == 2", true);
    check("attributes.ns.filter(n, n > 5).all(n, n % 2 == 0)", true);
    check("attributes.ns.filter(n, n > 5).exists(n, n == 1)", false);
    check("12 in attributes.ns.filter(n, n > 5)", true);
    check(
        "attributes.ns.filter(n, n > 5).filter(n, n > 12).count(n, n > 0) == 1",
        true,
    );
    check(
        "content.media.filter(m, m.kind == 'image').size() == 2",
        true,
    );
    // The second medium has no quality, so it may or may not be one of them.
    check("content.media.filter(m, m.quality > 50).size() == 1", None);
    check(
        "content.media.filter(m, m.quality > 50).exists(m, m.width == 640)",
        true,
    );
    check(
        "content.media.filter(m, m.quality > 50).exists(m, m.width == 641)",
        None,
    );
    check(
        "content.links.filter(l, bank('LINKS').matches(l)).all(l, bank('LINKS').matches(l))",
        true,
    );
}

#[test]
fn media_are_those_of_the_last_condition() {
    let text = "rule r { policy p reason \"r\" when content.media.filter(m, m.kind == 'image').exists(m, m.width > 1)
        then label(media, \"x\") }";
    let found = verdicts(&compiled(text), EVENT);
    let media: Vec<_> = found[0].effects.iter().map(|effect| effect.index).collect();
    assert_eq!(media, [Some(0)]);
    let sized = text.replace(".exists(m, m.width > 1)", ".size() == 2");
    let found = verdicts(&compiled(&sized), EVENT);
    let media: Vec<_> = found[0].effects.iter().map(|effect| effect.index).collect();
    assert_eq!(media, [Some(0), Some(1)]);
}

#[test]
fn phrases_are_found_at_a_level() {
    check("account.handle.containsPhrase('grey banner')", false);
    check(
        "account.handle.containsPhrase('grey banner', level: 'aggressive')",
        true,
    );
    check(
        "content.text.containsPhrase('buy now', level: 'strict')",
        true,
    );
    check(
        "account.display_name.containsPhrase('under the grey', level: 'folded')",
        true,
    );
    check("content.text.normalised().startsWith('buy now')", true);
    check(
        "content.text.normalised('strict').contains('buy nоw')",
        true,
    );
    check(
        "content.text.normalised('folded').contains('buy nоw')",
        false,
    );
    refused(
        "content.text.normalised('aggressive') == 'x'",
        "no text has an aggressive form",
    );
    refused(
        "content.text.containsPhrase('a b', level: 'loose')",
        "`loose` is not a level",
    );
    refused(
        "content.text.containsPhrase('a b', levle: 'strict')",
        "did you mean `level`?",
    );
}

#[test]
fn patterns() {
    check(r"content.text.matches(r'(?i)\bbuy\s+now\b')", true);
    check("content.text.matches('^buy')", false);
    check("account.handle.matches('[0-9]{2}$')", true);
    check("account.handle.matches('^[a-z]+$')", false);
    check("attributes.absent['x'].matches('x')", None);
}

#[test]
fn patterns_that_cannot_be_used_are_refused_at_once() {
    refused(
        "content.text.matches('(a{1000}){1000}')",
        "once it is prepared",
    );
    refused(
        r"content.text.matches(r'(\w{50}){50}')",
        "once it is prepared",
    );
    refused("content.text.matches('a(b')", "unclosed group");
    refused("content.text.matches('')", "the empty pattern");
    refused(
        "content.text.matches(account.handle)",
        "takes a pattern in quotes",
    );
    refused(
        r"content.text.matches(r'(a)\1')",
        "backreferences are not supported",
    );
    refused(
        &format!("content.text.matches('{}')", "x".repeat(5_000)),
        "5000 bytes long",
    );
    refused(
        &format!("content.text.matches('{}')", "(".repeat(3_000)),
        "cannot be read",
    );
    let long = format!("content.text.matches('''{}''')", "x".repeat(1_000_000));
    refused(&long, "the limit is");
    let mut many = String::new();
    for n in 0..1_001 {
        many += &rule(&format!("r{n}"), &format!("content.text.matches('a{n}')"));
    }
    let problems = try_compile(&many).unwrap_err();
    assert!(
        problems[0].message.contains("more than 1000 patterns"),
        "{}",
        problems[0]
    );
}

/// The place is in the pattern itself, where its text is written as it is meant.
#[test]
fn a_wrong_pattern_is_shown_where_it_is_wrong() {
    let place = |condition: &str| {
        let text = rule("r", condition);
        let problem = try_compile(&text).unwrap_err().remove(0);
        text[problem.span].to_owned()
    };
    assert_eq!(place(r#"content.text.matches(r"abc[z-a]d")"#), "z-a");
    assert_eq!(place(r#"content.text.matches("""ab**(c""")"#), "(");
    assert_eq!(
        place(r#"content.text.matches("\x61[z-a]")"#),
        r#""\x61[z-a]""#
    );
}

#[test]
fn texts() {
    check(
        "account.display_name.trim().startsWith('Rise') and account.display_name.trim().size() == 26",
        true,
    );
    check(
        "content.text.words().size() > 8 and 'watches' in content.text.words()",
        true,
    );
    check(
        "account.display_name.words().filter(w, w.size() > 4).size() == 2",
        true,
    );
    check("attributes.s.words().size() == 0", true);
    check(
        "content.text.language() == 'en' or content.detected_language == 'en'",
        true,
    );
    check("account.handle.language() == 'en'", None);
    check(
        "'Latn' in content.text.scripts() and 'Cyrl' in content.text.scripts()",
        true,
    );
    assert_eq!(
        shown("account.handle.language()"),
        "unknown (the language cannot be told)"
    );
}

#[test]
fn of_many_words_only_the_first_256_are_known() {
    let words: Vec<String> = (0..400).map(|n| format!("w{n}")).collect();
    let event = EVENT.replace("BUY now", &words.join(" "));
    assert_eq!(
        value("content.text.words().size() > 400", &event),
        Some(true)
    );
    assert_eq!(value("'w3' in content.text.words()", &event), Some(true));
    assert_eq!(value("'w300' in content.text.words()", &event), None);
}

#[test]
fn conversions_are_those_of_cel() {
    check("float(account.followers) / 5.0 == 2.4", true);
    check("int(2.9) == 2 and int(-2.9) == -2 and has(account)", true);
    check("int(attributes.scores['spam'] * 1e300) > 0", None);
    check("int(account.followers) == 12", true);
    check(
        "string(account.followers) + string(true) + string(1.0) + string(2.5) == '12true12.5'",
        true,
    );
    check("string(attributes.f) == 'x'", None);
    refused(
        "int('5') == 5",
        "`int` takes a float or an int, this is a string",
    );
    assert_eq!(
        shown("int(attributes.scores['spam'] * 1e300)"),
        "unknown (out of range of whole numbers)"
    );
}

#[test]
fn parts_of_times() {
    check(
        "event.time.getFullYear() == 2026 and event.time.getMonth() == 10",
        true,
    );
    check(
        "event.time.getDate() == 22 and event.time.getDayOfMonth() == 21",
        true,
    );
    check(
        "event.time.getDayOfWeek() == 0 and event.time.getDayOfYear() == 325",
        true,
    );
    check(
        "event.time.getHours() == 22 and event.time.getMinutes() == 15",
        true,
    );
    check(
        "event.time.getSeconds() == 30 and event.time.getMilliseconds() == 250",
        true,
    );
    // Half past one on Monday in Riyadh, a quarter past eleven in Berlin.
    check(
        "event.time.getHours('Asia/Riyadh') == 1 and event.time.getDayOfWeek('Asia/Riyadh') == 1",
        true,
    );
    check(
        "event.time.getHours('Europe/Berlin') == 23 and event.time.getHours('+03:00') == 1",
        true,
    );
    check(
        "event.time.getMinutes('-03:30') == 45 and event.time.getDate('-03:30') == 22",
        true,
    );
    check("(event.time - 180d).getHours('Europe/Berlin') == 0", true);
    check(
        "account.age.getHours() == 36 and account.age.getMinutes() == 2174 and account.age.getSeconds() == 130470",
        true,
    );
    check("(event.time - received_at - 90s).getMinutes() == -1", true);
    for zone in ["Europe/Atlantis", "+3", "+25:00", "", "CEST!"] {
        refused(
            &format!("event.time.getHours('{zone}') == 1"),
            "is not a time zone",
        );
    }
    refused(
        "event.time.getHours('Berlin') == 1",
        "did you mean \"Europe/Berlin\"?",
    );
    refused(
        "event.time.getHours('Europe/Berln') == 1",
        "did you mean \"Europe/Berlin\"?",
    );
    refused(
        "event.time.getHours(account.handle) == 1",
        "takes a time zone in quotes",
    );
    refused(
        "account.age.getFullYear() == 1",
        "has no function `getFullYear`",
    );
}

/// The examples of CEL's own conformance tests.
#[test]
fn parts_of_times_are_those_of_cel() {
    for (part, expect) in [
        ("getFullYear()", 2009),
        ("getMonth()", 1),
        ("getDate()", 13),
        ("getDate('Australia/Sydney')", 14),
        ("getDayOfMonth()", 12),
        ("getDayOfMonth('US/Central')", 12),
        ("getDayOfMonth('+11:00')", 13),
        ("getDayOfMonth('-02:30')", 12),
        ("getDayOfWeek('America/St_Johns')", 5),
        ("getDayOfYear('-09:00')", 43),
        ("getHours('02:00')", 1),
        ("getMinutes('Asia/Kathmandu')", 16),
        ("getSeconds('-00:00')", 30),
    ] {
        let time = "timestamp('2009-02-13T23:31:30Z')";
        check(&format!("{time}.{part} == {expect} and has(account)"), true);
    }
}

#[test]
fn many_matches_are_counted_as_few_are() {
    let found = |n: u32| {
        let json = |i: u32| {
            format!(
                r#"{{"signal_type":"text","bank":"B","member":{},"distance":0,"field":"content.text"}}"#,
                i % 7
            )
        };
        let all: Vec<String> = (0..n).map(json).collect();
        serde_json::from_str::<Vec<Match>>(&format!("[{}]", all.join(","))).unwrap()
    };
    let (event, _) = Event::from_json(EVENT.as_bytes(), Origin::Http).unwrap();
    let rules = compiled(&rule("r", "bank('B').count(content.text) == 7"));
    for (n, expect) in [
        (6, false),
        (7, true),
        (14, true),
        (16, true),
        (17, true),
        (400, true),
    ] {
        let facts = Facts {
            event: &event,
            media: &[],
            matches: &found(n),
            received_at: event.time,
        };
        assert_eq!(
            rules.explain(&facts, "r").unwrap().value,
            Some(expect),
            "{n}"
        );
        assert_eq!(rules.evaluate(&facts).len(), usize::from(expect), "{n}");
    }
}

#[test]
fn links_say_what_they_are() {
    let found = "content.found_links";
    check("content.found_links.size() == 5", true);
    check(
        &format!("{found}.exists(l, l == 'https://shop.example/a')"),
        true,
    );
    check(&format!("{found}.exists(l, l == 'no link')"), false);
    check(
        &format!("{found}.exists(l, l.host() == 'bit.ly' and l.isShortener() and l.hasUserInfo())"),
        true,
    );
    check(&format!("{found}.count(l, l.isInvite()) == 1"), true);
    check(
        &format!("{found}.filter(l, l.matches('^[a-z]+:')).count(l, l.isInvite()) == 1"),
        true,
    );
    check(
        &format!(
            "{found}.exists(l, l.invitePlatform() == 'telegram' and l.inviteCode() == '+AbCdEfGh1234')"
        ),
        true,
    );
    check(
        &format!("{found}.exists(l, l.isIp() and l.scheme() == 'http' and l.port() == 80)"),
        true,
    );
    check(
        &format!("{found}.exists(l, l.imitates() == 'example.com' and l.port() == 8443)"),
        true,
    );
    check(&format!("{found}.exists(l, l.isOnion())"), false);
    check(
        "'shop.example' in content.link_domains and 'bit.ly' in content.link_domains",
        true,
    );
    check("content.link_domains.size() == 4", true);
    check(
        "content.links.exists(l, l.domain() == 'shop.example')",
        true,
    );
    check(
        "content.media.exists(m, m.url.host() == 'example.com')",
        true,
    );
    check("content.links.exists(l, l.isOnion())", None);
    check("account.handle.host() == 'x'", None);
    check(
        "'https://a.b.shop.example/x'.domain() == 'shop.example' and has(account)",
        true,
    );
    assert_eq!(
        shown("account.handle.host()"),
        "unknown (this is no web address)"
    );
    assert_eq!(
        shown("'http://127.0.0.1/'.domain()"),
        "unknown (the host has no registrable domain)"
    );
    assert_eq!(
        shown("'https://a.example/'.imitates()"),
        "unknown (the host looks like no other)"
    );
    assert_eq!(
        shown("'https://a.example/'.inviteCode()"),
        "unknown (this link invites to no group)"
    );
}

#[test]
fn without_content_there_are_no_links_to_ask() {
    let event = r#"{"id":"1","source":"s","type":"account.created","time":"2026-11-22T10:15:00Z","account":{"id":"a"}}"#;
    assert_eq!(value("content.found_links.size() == 0", event), None);
    assert_eq!(value("content.text_key == ''", event), None);
    assert_eq!(value("has(content.link_domains)", event), Some(false));
}

#[test]
fn names_are_compared() {
    check(
        "account.handle.nameScore('grey_banner') >= 80 and account.handle.nameScore('grey_banner') < 100",
        true,
    );
    check("account.handle.nameScore('river_walker') == 0", true);
    check("account.handle.looksLike('grey_banner')", true);
    check("account.handle.looksLike('grey_banner', score: 100)", false);
    check(
        "account.display_name.slogan('rise under the grey banner')",
        true,
    );
    check(
        "'xriseunderthegr3ybanner17'.slogan('rise under the grey banner') and has(account)",
        true,
    );
    check("account.handle.slogan('rise under the grey banner')", false);
    check("attributes.s.looksLike('grey_banner')", None);
    refused("account.handle.looksLike('v2')", "nothing but a counter");
    refused(
        "account.handle.looksLike('grey_banner', score: 101)",
        "from 1 to 100",
    );
    refused("account.handle.slogan('banner')", "two words or more");
    refused(
        "account.handle.looksLike(account.id)",
        "takes a name in quotes",
    );
    assert_eq!(
        shown("attributes.s.nameScore('grey_banner')"),
        "unknown (this is no name that can be compared)"
    );
}

#[test]
fn lexicons_are_counted() {
    check("lexicon('shop_words').count(content.text) == 3", true);
    check("lexicon('shop_words').distinct(content.text) == 2", true);
    check("lexicon('shop_words').matches(content.text)", true);
    check("lexicon('shop_words').matches(account.handle)", false);
    check("lexicon('exact').count(content.text) == 1", true);
    check("lexicon('loose').matches(account.handle)", true);
    check(
        "lexicon('shop_words').count(attributes.labels['x']) > 0",
        None,
    );
    refused(
        "lexicon('shop_wrods').matches(content.text)",
        "did you mean `shop_words`?",
    );
    refused(
        "lexicon('shop_words').has(content.text)",
        "a lexicon has no function `has`",
    );
    refused(
        "lexicon('shop_words').count(account.followers) > 0",
        "takes a string",
    );
    refused("lexicon('shop_words')", "not a value by itself");
}

#[test]
fn a_trace_names_the_phrases_found() {
    let condition = "lexicon('shop_words').count(content.text) > 0 and not lexicon('shop_words').matches(account.id)";
    let rules = compiled(&(LEXICONS.to_owned() + &rule("r", condition)));
    let full = with_facts(EVENT, |facts| rules.explain(facts, "r")).unwrap();
    let found = |it: &&str| it.starts_with("lexicon(\"");
    let lines = full.lines.iter();
    let lines: Vec<&str> = lines
        .map(|it| it.expression.as_str())
        .filter(found)
        .collect();
    assert_eq!(lines, ["lexicon(\"shop_words\")"]);
    let trace = &verdicts(&rules, EVENT)[0].trace;
    let line = trace
        .iter()
        .find(|it| found(&it.expression.as_str()))
        .unwrap();
    assert_eq!(line.value, "[\"buy now\", \"cheap watches\"]");
}

#[test]
fn a_lexicon_may_stand_in_another_file() {
    let source = |name: &str, text: &str| Source {
        name: name.into(),
        text: text.into(),
    };
    let rule = rule("r", "lexicon('later').matches(content.text)");
    let with = |phrases: &str| {
        let later = format!("lexicon later {{ {phrases} }}");
        compile(
            &[source("a.rules", &rule), source("b.rules", &later)],
            &schema(),
        )
        .unwrap()
    };
    let rules = with("\"cheap watches\"");
    assert_eq!(verdicts(&rules, EVENT).len(), 1);
    // Other phrases make another version of the rule; another layout does not.
    let hash = |phrases: &str| with(phrases).rules()[0].hash;
    assert_eq!(rules.rules()[0].hash, hash(" 'cheap watches' ,"));
    assert_ne!(
        rules.rules()[0].hash,
        hash("\"cheap watches\", \"buy now\"")
    );
}

#[test]
fn faulty_lexicons_are_refused() {
    let refused = |text: &str, says: &str| {
        let problems = try_compile(text).unwrap_err();
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(all.join("\n").contains(says), "{}", all.join("\n"));
    };
    refused(
        "lexicon a { \"x y\", \"X  Y\" }",
        "is in this lexicon already",
    );
    refused("lexicon a { \"...\" }", "not a phrase");
    refused("lexicon a { }", "no phrases");
    refused(
        "lexicon a level folden { \"x y\" }",
        "did you mean `folded`?",
    );
    refused(
        "lexicon a { \"x y\" } lexicon a { \"x y\" }",
        "exists already",
    );
    refused("lexicon A { \"x y\" }", "as the lexicon's name");
    refused("lexicon a { \"x y\" word }", "a phrase in quotes, or `}`");
    let mut long = String::from("lexicon a {");
    for n in 0..10_001 {
        write!(long, " \"word{n}\"").unwrap();
    }
    refused(&(long + "}"), "more than 10000 phrases");
    let many: Vec<String> = (0..1_001)
        .map(|n| format!("lexicon l{n} {{ \"x y\" }}"))
        .collect();
    refused(&many.join("\n"), "more than 1000 lexicons");
}

#[test]
fn banks_are_asked_strictly() {
    check("bank('IMAGES').matches(content, quality: 60)", true);
    check("bank('IMAGES').matches(content.media, distance: 11)", false);
    check(
        "content.media.exists(m, m.quality < 50 and bank('IMAGES').matches(m, 31, quality: 60))",
        false,
    );
    check(
        "content.media.filter(m, m.kind == 'video').exists(m, bank('IMAGES').matches(m, 31, quality: 60))",
        false,
    );
    // What is equal to the byte has no quality, and needs none.
    check("bank('FILES').matches(content.media, quality: 100)", true);
    check(
        "bank('IMAGES').count(content) == 2 and bank('IMAGES').count(content.media, 15) == 1",
        true,
    );
    check(
        "bank('IMAGES').count(content, quality: 60) == 1 and bank('NONE').count(content) == 0",
        true,
    );
    refused(
        "bank('B').matches(content, quality: 101)",
        "a quality is a whole number from 0 to 100",
    );
    refused(
        "bank('B').matches(content, 3, distance: 3)",
        "`distance` is given twice",
    );
    refused(
        "bank('B').matches(content, 3, 3)",
        "write the quality as `quality: 60`",
    );
    refused(
        "bank('B').matches(content, qualty: 3)",
        "did you mean `quality`?",
    );
}

#[test]
fn what_is_not_read_makes_a_count_unknown() {
    let unread: Vec<MediaFacts> =
        vec![serde_json::from_str(r#"{"decoding":"unavailable","width":0,"height":0}"#).unwrap()];
    let (event, _) = Event::from_json(EVENT.as_bytes(), Origin::Http).unwrap();
    let rules = compiled(&rule("r", "bank('IMAGES').count(content) > 0"));
    let facts = Facts {
        event: &event,
        media: &unread,
        matches: &matches(),
        received_at: event.time,
    };
    assert_eq!(rules.explain(&facts, "r").unwrap().value, None);
}

#[test]
fn hashes_of_the_event() {
    check(
        "content.media.exists(m, m.md5 == 'd41d8cd98f00b204e9800998ecf8427e')",
        true,
    );
    check(
        &format!("content.media.exists(m, m.pdq == '{}')", "0f".repeat(32)),
        true,
    );
    check(
        &format!(
            "content.media.count(m, m.sha256 == '{}') == 1",
            "0f".repeat(32)
        ),
        None,
    );
    check("content.media.count(m, has(m.sha256)) == 1", true);
    check("content.text_key.size() == 32", true);
    let key = |text: &str| {
        let event = format!(
            r#"{{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z","content":{{"id":"c","text":"{text}"}}}}"#
        );
        // SHA-256 of `grey banner`, its first half.
        value(
            "content.text_key == 'f4d5ee29b6bec29df52b759e70e48b59'",
            &event,
        )
    };
    assert_eq!(
        (key("GREY b\u{430}nner"), key(" \u{200b} ")),
        (Some(true), None)
    );
}

#[test]
fn a_sample_is_always_the_same() {
    // The places of some keys are golden in the library's own tests.
    let inside = |condition: &str| {
        let rules = compiled(&rule("r", condition));
        let fired = |n: u32| {
            let event = EVENT.replace("\"e-1\"", &format!("\"e-{n}\""));
            !verdicts(&rules, &event).is_empty()
        };
        (1..=40).filter(|n| fired(*n)).collect::<Vec<_>>()
    };
    assert_eq!(inside("sample(0)"), Vec::<u32>::new());
    assert_eq!(inside("sample(1)").len(), 40);
    let (few, more) = (inside("sample(0.2)"), inside("sample(0.5)"));
    assert!(few.iter().all(|n| more.contains(n)) && few.len() < more.len());
    assert_eq!(few, inside("sample(0.2)"));
    assert!([0, 40].contains(&inside("sample(0.5, by: account.id)").len()));
    check("sample(0.5, by: attributes.labels['x'])", None);
    refused("sample(1.5)", "a number from 0 to 1");
    refused("sample(account.followers)", "written out");
    refused("sample(0.5, account.id)", "takes 1 argument, 2 given");
    refused("sample(0.5, by: account.followers)", "takes a string");
}

#[test]
fn a_full_trace_shows_every_part() {
    let condition =
        "(account.followers > 100 and has(space)) or content.media.exists(m, m.kind == 'video')";
    let rules = compiled(&rule("r", condition));
    let full = with_facts(EVENT, |facts| rules.explain(facts, "r")).unwrap();
    let lines: Vec<String> = full
        .lines
        .iter()
        .map(|line| {
            let indent = "  ".repeat(usize::from(line.depth));
            format!("{indent}{} = {}", line.expression, line.value)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(
        (full.value, full.sees_event, full.cut),
        (Some(true), true, false)
    );
    assert_eq!(
        with_facts(EVENT, |facts| rules.explain(facts, "other")),
        None
    );
}

#[test]
fn a_full_trace_is_cut() {
    let long: Vec<String> = (0..256).map(|n| n.to_string()).collect();
    let list = format!("[{}]", long.join(", "));
    let condition = format!(
        "{list}.exists(a, [1, 2, 3, 4, 5, 6, 7, 8, 9].exists(b, a + b < 0 - account.followers))"
    );
    let rules = compiled(&rule("r", &condition));
    let full = with_facts(EVENT, |facts| rules.explain(facts, "r")).unwrap();
    assert_eq!((full.lines.len(), full.cut), (10_000, true));
}

proptest! {
    /// Whatever stands in a pattern, it is used or refused, at a place in the file.
    #[test]
    fn no_pattern_is_a_panic(pattern in r"[a-cä(){}\[\]|*+?^$.\\,0-9:<=!-]{0,24}") {
        let text = rule("r", &format!("content.text.matches(r\"{pattern}\")"));
        match try_compile(&text) {
            Ok(rules) => {
                let _ = verdicts(&rules, EVENT);
            }
            Err(problems) => {
                for problem in problems {
                    prop_assert!(text.get(problem.span.clone()).is_some(), "{problem}");
                }
            }
        }
    }
}
