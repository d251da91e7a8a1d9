//! What conditions come to, on events with and without the values they ask for.

use jiff::Timestamp;
use manara_model::{Decoding, Event, Facts, Match, MediaFacts, Origin, Verdict};
use manara_rules::{RuleSet, Schema, Source, Type, compile};

const EVENT: &str = r#"{
    "id": "e-1", "source": "forum.example", "type": "post.created", "time": "2026-11-22T10:15:00Z",
    "account": { "id": "a-19", "handle": "Grey_Banner_17", "created_at": "2026-11-22T10:01:00Z", "followers": 12 },
    "content": {
        "id": "p-1", "text": "Rise under the GREY banner! رايـة",
        "links": ["https://a.example/x", "https://b.example/y"],
        "media": [
            { "id": "m-1", "kind": "image", "url": "https://example.com/1" },
            { "id": "m-2", "kind": "video", "url": "https://example.com/2" },
            { "id": "m-3", "kind": "image", "url": "https://example.com/3" }
        ]
    },
    "attributes": { "country": "xx", "score": 0.5, "reports": 3, "tags": ["a", "b"], "wait": "90m", "mixed": ["a", 1], "no_numbers": [] }
}"#;

fn media() -> Vec<MediaFacts> {
    let medium = |decoding, width, quality| MediaFacts {
        decoding,
        problem: None,
        width,
        height: 0,
        quality,
        forms: vec![],
        hashes: std::collections::BTreeMap::new(),
    };
    vec![
        medium(Decoding::Decoded, 640, Some(90)),
        medium(Decoding::Undecodable, 0, None),
        medium(Decoding::SignalsOnly, 0, Some(40)),
    ]
}

fn matches() -> Vec<Match> {
    let json = r#"[
        {"signal_type":"pdq","bank":"IMAGES","member":7,"distance":12,"field":"content.media[0]"},
        {"signal_type":"pdq","bank":"IMAGES","member":8,"distance":40,"field":"content.media[2]"},
        {"signal_type":"pdq","bank":"TURNED","member":9,"distance":9,"field":"content.media[0]"},
        {"signal_type":"pdq","bank":"TURNED","member":10,"distance":2,"field":"content.media[0]","form":"rotate180"},
        {"signal_type":"text","bank":"SLOGANS","member":1,"distance":0,"field":"content.text"},
        {"signal_type":"url","bank":"LINKS","member":2,"distance":0,"field":"content.links[1]"},
        {"signal_type":"text","bank":"NAMES","member":3,"distance":0,"field":"account.handle"}
    ]"#;
    serde_json::from_str(json).unwrap()
}

fn schema() -> Schema {
    Schema::builtin()
        .with_attribute(None, "country", Type::String)
        .with_attribute(None, "score", Type::Float)
        .with_attribute(None, "reports", Type::Int)
        .with_attribute(None, "absent", Type::Int)
        .with_attribute(None, "no_numbers", Type::list(Type::Int))
        .with_attribute(None, "tags", Type::list(Type::String))
        .with_attribute(None, "mixed", Type::list(Type::String))
        .with_attribute(None, "wait", Type::Duration)
        .with_event_type("listing.created")
}

#[track_caller]
fn compiled(text: &str) -> RuleSet {
    let source = Source {
        name: "t.rules".into(),
        text: text.into(),
    };
    compile(&[source], &schema()).unwrap_or_else(|problems| {
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

fn verdicts_on(rules: &RuleSet, json: &str) -> Vec<Verdict> {
    let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
    let media = if event.media().is_empty() {
        vec![]
    } else {
        media()
    };
    let received_at: Timestamp = "2026-11-22T10:16:00Z".parse().unwrap();
    rules.evaluate(&Facts {
        event: &event,
        media: &media,
        matches: &matches(),
        received_at,
    })
}

fn rule(name: &str, condition: &str) -> String {
    format!("rule {name} {{ policy p reason \"r\" when {condition} then label(account, \"x\") }}\n")
}

/// The condition's value: a condition is unknown when neither it nor its contrary fires.
#[track_caller]
fn value(condition: &str, event: &str) -> Option<bool> {
    let rules = compiled(&(rule("yes", condition) + &rule("no", &format!("!({condition})"))));
    let fired: Vec<String> = verdicts_on(&rules, event)
        .iter()
        .map(|v| v.rule.to_string())
        .collect();
    match fired.iter().map(String::as_str).collect::<Vec<_>>()[..] {
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

#[test]
fn fields_and_comparisons() {
    check(
        "event.type == 'post.created' and event.source != \"x\"",
        true,
    );
    check("account.followers >= 12 && account.followers < 13", true);
    check("account.age == 14m", true);
    check("account.age < 24h", true);
    check("received_at - event.time == duration('1m')", true);
    check(
        "account.created_at > timestamp('2026-11-22T10:00:59Z')",
        true,
    );
    check(
        "event.time + 24h == timestamp('2026-11-23T10:15:00Z')",
        true,
    );
    check("account.handle < 'H'", true);
}

#[test]
fn numbers() {
    check("1 + 2 * 3 == 7 and account.followers > 0", true);
    check("-7 / 2 == -3 and -7 % 2 == -1 and has(account)", true);
    check("account.followers / (account.followers - 12) > 0", None);
    check("account.followers + 9223372036854775807 > 0", None);
    check("attributes.score * 2.0 == 1.0", true);
    check("attributes.score < 1", true);
    check("attributes.reports == 3.0", true);
    check("-9223372036854775808 < account.followers", true);
    check("0x10 == account.followers + 4", true);
    check("account.followers > 9000000000000000000.5", false);
}

#[test]
fn texts() {
    check("content.text.contains('under the GREY')", true);
    check("content.text.contains('grey')", false);
    check("content.text.lower().contains('grey banner')", true);
    check("content.text.lowerAscii().startsWith('rise')", true);
    check("content.text.endsWith('رايـة')", true);
    check("content.text.normalised().contains('رايه')", true);
    check("content.text.containsPhrase('Under the grey')", true);
    check("content.text.containsPhrase('er the gr')", false);
    check("content.text.lower().containsPhrase('grey banner')", true);
    check("account.handle.containsPhrase('grey banner')", true);
    check("account.handle.size() == 14 and size('رايـة') == 5", true);
    check("account.handle + '!' == 'Grey_Banner_17!'", true);
    check("(account.followers > 5 ? 'many' : 'few') == 'many'", true);
    check(
        r#"content.text.contains("\u0631\x61") or account.id == r"a-19""#,
        true,
    );
}

#[test]
fn lists() {
    check("account.id in ['a-18', 'a-19']", true);
    check("account.followers in [1, 2]", false);
    check("attributes.country in []", false);
    check("attributes.absent in []", None);
    check("attributes.absent in attributes.no_numbers", None);
    check("'b' in attributes.tags and !('c' in attributes.tags)", true);
    check("'https://b.example/y' in content.links", true);
    check("content.links.exists(l, l.endsWith('/y'))", true);
    check("content.links.all(l, l.startsWith('https://'))", true);
    check(
        "content.links.count(l, l.contains('.example')) == 2 and content.links.size() == 2",
        true,
    );
    check(
        "[account.handle, account.display_name].exists(n, n.startsWith('Grey'))",
        true,
    );
    check(
        "[account.handle, account.display_name].exists(n, n.startsWith('Red'))",
        None,
    );
    check(
        "content.links.exists(l, content.media.exists(m, m.url == l))",
        false,
    );
    check(
        "[1, 2, 3].exists(n, [2, 4].exists(k, k == n and account.followers > k))",
        true,
    );
    check(
        "(account.followers > 5 ? content.links : []).size() == 2",
        true,
    );
    check("[true, account.followers > 100].all(b, b)", false);
    check(
        "[1.5, 2.5].exists(f, f > attributes.score) and 2 in [1.0, 2.0] and has(account)",
        true,
    );
    check("[24h, account.age].exists(d, d < 1h)", true);
    check("[event.time, received_at].all(t, t >= event.time)", true);
}

#[test]
fn media_of_the_event() {
    check(
        "content.media.exists(m, m.kind == 'video' and m.undecodable)",
        true,
    );
    check(
        "content.media.exists(m, m.quality >= 90 and m.width == 640)",
        true,
    );
    // The second has no quality, so it is not known whether all reach it.
    check("content.media.all(m, m.quality >= 30)", None);
    check("content.media.all(m, m.quality >= 50)", false);
    check("content.media.count(m, m.quality > 0) == 2", None);
    check("content.media.exists(m, m.unavailable)", false);
    check("content.media.exists(m, has(m.height))", false);
}

#[test]
fn banks() {
    check("bank('IMAGES').matches(content.media)", true);
    check(
        "content.media.exists(m, bank('IMAGES').matches(m, 11))",
        None,
    );
    check(
        "content.media.exists(m, bank('IMAGES').matches(m, 12))",
        true,
    );
    check(
        "content.media.count(m, !m.undecodable and bank('IMAGES').matches(m, 31)) == 1",
        true,
    );
    check(
        "content.media.exists(m, m.id == 'm-3' and bank('IMAGES').matches(m))",
        false,
    );
    check(
        "content.media.exists(m, bank('IMAGES').distance(m) <= 12)",
        true,
    );
    check("bank('TURNED').form(content.media) == 'rotate180'", true);
    check("bank('IMAGES').form(content.media) == 'original'", true);
    check(
        "content.media.exists(m, bank('TURNED').form(m) in ['flip_x', 'rotate180', 'frame_12'])",
        true,
    );
    check(
        "bank('TURNED').form(content.media).startsWith('frame_')",
        false,
    );
    check("bank('NONE').form(content.media) == 'original'", None);
    check("bank('SLOGANS').form(content.text) == 'original'", None);
    check(
        "bank('SLOGANS').matches(content.text) and bank('SLOGANS').matches(content)",
        true,
    );
    check("bank('SLOGANS').matches(account)", false);
    check(
        "bank('NAMES').matches(account) and bank('NAMES').matches(account.handle)",
        true,
    );
    check("bank('NAMES').matches(account.display_name)", false);
    check("bank('LINKS').matches(content.links)", true);
    check(
        "content.links.exists(l, l.contains('b.example') and bank('LINKS').matches(l))",
        true,
    );
    check(
        "content.links.exists(l, l.contains('a.example') and bank('LINKS').matches(l))",
        false,
    );
    check(
        "bank('SLOGANS').matches(space.name) or bank('SLOGANS').matches(space)",
        false,
    );
}

#[test]
fn an_unreadable_medium_is_never_clean() {
    check("bank('OTHER').matches(content)", None);
    check(
        "content.media.exists(m, m.undecodable and !bank('OTHER').matches(m))",
        None,
    );
    check(
        "content.media.exists(m, m.kind == 'image' and !bank('OTHER').matches(m))",
        true,
    );
}

#[test]
fn what_is_missing_is_unknown() {
    check("account.display_name == 'x'", None);
    check(
        "account.display_name == 'x' or account.followers == 12",
        true,
    );
    check(
        "account.display_name == 'x' and account.followers == 13",
        false,
    );
    check("not (account.display_name == 'x')", None);
    check("space.members > 5", None);
    check("attributes.absent > 5 or attributes.absent <= 5", None);
    check("(has(space.name) ? space.name : 'none') == 'none'", true);
    check("has(account.display_name)", false);
    check(
        "has(account) and !has(space) and has(content.text) and has(attributes.country)",
        true,
    );
    check("has(content.links) and !has(attributes.absent)", true);
}

#[test]
fn an_attribute_of_another_type_is_missing() {
    check("attributes.wait == 90m", true);
    check("attributes.mixed.exists(t, t == 'a')", true);
    check("attributes.mixed.exists(t, t == 'z')", None);
    check("attributes.mixed.size() == 2", true);
    let wrong = EVENT.replace("\"reports\": 3", "\"reports\": \"3\"");
    assert_eq!(value("attributes.reports == 3", &wrong), None);
    assert_eq!(value("has(attributes.reports)", &wrong), Some(false));
}

#[test]
fn of_a_long_list_only_the_first_256_are_known() {
    let tags = |n: usize| {
        format!(
            "[{}]",
            (0..n)
                .map(|i| format!("\"t{i}\""))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let event = |n| EVENT.replace("[\"a\", \"b\"]", &tags(n));
    assert_eq!(value("'t300' in attributes.tags", &event(256)), Some(false));
    assert_eq!(value("'t300' in attributes.tags", &event(400)), None);
    assert_eq!(value("'t3' in attributes.tags", &event(400)), Some(true));
    assert_eq!(
        value("attributes.tags.size() == 400", &event(400)),
        Some(true)
    );
}

#[test]
fn operators_bind_as_in_cel() {
    check("true or false and false or account.id == ''", true);
    check("!false && !(account.id == '')", true);
    check("not account.id == ''", true);
    check("account.followers == 12 ? true : false", true);
    check("1 - 1 - 1 == -1 and has(account)", true);
}

fn names(verdicts: &[Verdict]) -> Vec<&str> {
    verdicts.iter().map(|v| v.rule.as_str()).collect()
}

#[test]
fn rules_see_the_events_they_name() {
    let on = |name: &str, on: &str| {
        rule(name, "has(event.id)").replace("{ policy", &format!("{{ {on} policy"))
    };
    let rules = compiled(
        &(on("posts", "on post.created, post.updated")
            + &on("every", "")
            + &on("lists", "on listing.created")),
    );
    let seen = |event_type: &str| {
        let json = EVENT.replace("post.created", event_type);
        names(&verdicts_on(&rules, &json)).join(" ")
    };
    assert_eq!(seen("post.created"), "posts every");
    assert_eq!(seen("listing.created"), "every lists");
    assert_eq!(seen("account.created"), "every");
    assert_eq!(seen("never.heard_of"), "every");
}

#[test]
fn a_verdict_carries_its_rule_and_its_evidence() {
    let mut rules = compiled(
        "rule copy { on post.created mode shadow policy tvec_known reason \"A copy.\"
           when content.media.exists(m, bank('IMAGES').matches(m, 20)) and account.age < 1h
           then remove(content), strike(account, 2), enqueue('tvec', priority: 8), restrict(media, for: 1d) }",
    );
    rules.set_versions(|rule| u32::from(rule.name.as_str() == "copy") * 7);
    let verdicts = verdicts_on(&rules, EVENT);
    insta::assert_snapshot!(serde_json::to_string_pretty(&verdicts).unwrap());
}

#[test]
fn evidence_is_what_helped_and_nothing_else() {
    let because = |condition: &str| {
        let verdicts = verdicts_on(&compiled(&rule("r", condition)), EVENT);
        let members = verdicts
            .iter()
            .flat_map(|v| &v.because)
            .map(|m| m.member.to_string());
        members.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        because("bank('SLOGANS').matches(content.text) or bank('LINKS').matches(content.links)"),
        "1 2"
    );
    // The link matched, but the part it stands in failed.
    assert_eq!(
        because(
            "bank('SLOGANS').matches(content.text) or (bank('LINKS').matches(content.links) and account.followers > 99)"
        ),
        "1"
    );
    assert_eq!(
        because(
            "bank('SLOGANS').matches(content.text) and not (bank('NAMES').matches(account) and account.followers > 99)"
        ),
        "1"
    );
    assert_eq!(because("not not bank('NAMES').matches(account)"), "3");
    assert_eq!(
        because("content.media.exists(m, bank('IMAGES').matches(m, 31))"),
        "7"
    );
    assert_eq!(because("bank('IMAGES').distance(content.media) < 31"), "7");
    assert_eq!(
        because("bank('TURNED').form(content.media) != 'original'"),
        "10"
    );
    assert_eq!(because("account.followers == 12"), "");
}

#[test]
fn the_trace_shows_values_and_what_is_missing() {
    let rules = compiled(&rule(
        "r",
        "(account.display_name == 'x' or account.followers * 2 > 10) and content.links.exists(l, l.endsWith('/y')) and account.id in ['a-19']",
    ));
    let trace: Vec<String> = verdicts_on(&rules, EVENT)[0]
        .trace
        .iter()
        .map(|t| format!("{} = {}", t.expression, t.value))
        .collect();
    assert_eq!(
        trace,
        [
            "account.display_name = unknown (account.display_name is missing)",
            "account.display_name == 'x' = unknown",
            "account.followers = 12",
            "account.followers * 2 = 24",
            "account.followers * 2 > 10 = true",
            "content.links = [\"https://a.example/x\", \"https://b.example/y\"]",
            "l = \"https://b.example/y\"",
            "l.endsWith('/y') = true",
            "content.links.exists(l, l.endsWith('/y')) = true",
            "account.id = \"a-19\"",
            "account.id in ['a-19'] = true",
        ]
    );
}

#[test]
fn a_long_text_is_cut_in_the_trace() {
    let rules = compiled(&rule("r", "content.text.contains('x')"));
    let json = EVENT.replace("Rise under", &"x".repeat(500));
    let trace = &verdicts_on(&rules, &json)[0].trace;
    assert_eq!(trace[0].value, format!("\"{}\"…", "x".repeat(200)));
}

#[test]
fn the_subject_of_an_event_is_what_its_type_is_named_after() {
    let rules = compiled("rule r { policy p reason \"r\" when has(event.id) then enqueue('q') }");
    let target = |event_type: &str, parts: &str| {
        let json = format!(
            r#"{{"id":"1","source":"s","type":"{event_type}","time":"2026-11-22T10:15:00Z"{parts}}}"#
        );
        let effect = verdicts_on(&rules, &json).remove(0).effects.remove(0);
        assert_eq!(effect.detail.priority, Some(5));
        effect.target.to_string()
    };
    let (account, space, content) = (
        r#","account":{"id":"a"}"#,
        r#","space":{"id":"s"}"#,
        r#","content":{"id":"c"}"#,
    );
    let all = format!("{account}{space}{content}");
    assert_eq!(target("post.created", &all), "content");
    assert_eq!(target("account.updated", &all), "account");
    assert_eq!(target("space.created", &all), "space");
    assert_eq!(target("payout.requested", &all), "account");
    assert_eq!(
        target("post.created", &format!("{account}{space}")),
        "space"
    );
    assert_eq!(target("space.created", account), "account");
}

#[test]
fn only_what_a_rule_says_changes_its_hash() {
    let hash = |text: &str| compiled(text).rules()[0].hash;
    let plain = rule("r", "account.followers > 1");
    assert_eq!(
        hash(&plain),
        hash(&format!(
            "// a comment\n{}",
            plain.replace(' ', "\n  ").replace("\n  >", " > // why\n")
        ))
    );
    assert_ne!(hash(&plain), hash(&plain.replace("> 1", "> 2")));
    assert_ne!(hash(&plain), hash(&plain.replace("\"r\"", "\"s\"")));
}

#[test]
fn a_rule_keeps_its_text_and_place() {
    let text = format!("\n// first\n{}", rule("r", "account.followers > 1"));
    let rules = compiled(&text);
    let rule = &rules.rules()[0];
    assert_eq!((rule.line, rule.source.as_str()), (3, "t.rules"));
    assert!(
        rule.text.starts_with("rule r {") && rule.text.ends_with('}'),
        "{}",
        rule.text
    );
    assert!(rule.cost > 0 && rule.cost < 100, "{}", rule.cost);
}
