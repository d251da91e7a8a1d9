//! Nothing is allocated for an event on which no rule fires: most events, at every large host.

#[path = "speed/mod.rs"]
mod speed;

use manara_model::{Event, Facts, Match, Origin};
use manara_rules::{Schema, Source, Type, compile};

/// How often an evaluation allocates, the first time it is done.
fn allocations(condition: &str, expect_fired: usize) -> u64 {
    allocations_of(condition, expect_fired, false)
}

/// The same once tables that all events share have been made.
fn steady_allocations(condition: &str) -> u64 {
    allocations_of(condition, 0, true)
}

fn allocations_of(condition: &str, expect_fired: usize, warm: bool) -> u64 {
    let text = format!(
        "rule r {{ policy p reason \"r\" on post.created when {condition} then enqueue(\"q\") }}"
    );
    let schema = Schema::builtin()
        .with_attribute(None, "tags", Type::list(Type::String))
        .with_attribute(None, "set", Type::set(Type::String))
        .with_attribute(None, "map", Type::map(Type::String))
        .with_attribute(None, "t", Type::Time);
    let rules = compile(
        &[Source {
            name: "t".into(),
            text,
        }],
        &schema,
    )
    .expect(condition);
    let json = r#"{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z",
        "account":{"id":"a","handle":"river_walker","followers":12,"created_at":"2026-11-22T10:01:00Z"},
        "content":{"id":"c","text":"a quiet day","links":["https://a.example"],
            "media":[{"id":"m","kind":"image","url":"https://example.com/1"}]},
        "attributes":{"tags":["a","b"],"set":["a","b","a"],"map":{"k":"v"},"t":"2026-11-22T10:01:00Z"}}"#;
    let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
    let matches: Vec<Match> = serde_json::from_str(
        r#"[{"signal_type":"pdq","bank":"B","member":1,"distance":12,"field":"content.media[0]"}]"#,
    )
    .unwrap();
    let facts = Facts {
        event: &event,
        media: &[],
        matches: &matches,
        received_at: event.time,
    };
    let mut fired = 0;
    if warm {
        rules.evaluate(&facts);
    }
    let counted = allocation_counter::measure(|| fired = rules.evaluate(&facts).len());
    assert_eq!(fired, expect_fired, "{condition}");
    counted.count_total
}

#[test]
fn nothing_is_allocated_when_nothing_fires() {
    for condition in [
        "account.followers > 100 or account.age > 24h",
        "content.text.contains('banner') or content.text.lower().startsWith('x')",
        "content.media.exists(m, bank('B').matches(m, 11) or m.kind == 'video')",
        "content.links.all(l, content.media.exists(m, m.url == l))",
        "[account.handle, account.display_name].exists(n, n.endsWith('_17'))",
        "'c' in attributes.tags or attributes.tags.exists(t, t == account.handle)",
        "account.handle in ['x', 'y'] or content.links.size() > 3 or attributes.t > event.time",
        "bank('C').matches(account) or bank('C').distance(content) < 5",
        "bank('B').count(content.text) > 1 or bank('B').matches(content.text, quality: 50)",
        "'c' in attributes.set or attributes.set.size() > 2",
        "attributes.map['k'] == 'x' or 'x' in attributes.map or has(attributes.map['x'])",
        "content.links.filter(l, l.endsWith('e')).size() > 1",
        "content.media.filter(m, m.kind == 'image').exists(m, m.kind == 'video')",
        "event.time.getHours() > 22 or account.age.getHours() > 5 or event.time.getHours('Europe/Berlin') < 5",
        "account.handle.trim() == 'x' or float(account.followers) > 100.0",
        "sample(0.0) or sample(0, by: account.id)",
    ] {
        assert_eq!(allocations(condition, 0), 0, "{condition}");
    }
}

/// What costs something is allocated once for an event, and not again for a second question.
#[test]
fn what_is_kept_is_made_once() {
    for (once, twice) in [
        (
            "content.text.normalised() == 'x'",
            "content.text.normalised() == 'x' or content.text.normalised('strict') == 'y'",
        ),
        (
            "content.text.language() == 'xx'",
            "content.text.language() == 'xx' or content.detected_language == 'yy'",
        ),
        (
            "content.links.exists(l, l.isShortener())",
            "content.links.exists(l, l.isShortener()) or content.links.exists(l, l.isIp())",
        ),
        (
            "content.found_links.size() > 5",
            "content.found_links.size() > 5 or content.found_links.exists(l, l == 'x')",
        ),
    ] {
        let (first, both) = (steady_allocations(once), steady_allocations(twice));
        assert!(first > 0 && first == both, "{twice}: {first} and {both}");
    }
}

/// Two hundred varied rules on every kind of event, but for those that ask for another form of a
/// text: phrases, and lower case where a text has capitals.
#[test]
fn nothing_is_allocated_for_two_hundred_rules() {
    let text = speed::rules(Some(speed::About::Phrases));
    let plain: Vec<&str> = text
        .lines()
        .filter(|rule| !rule.contains(".lower()"))
        .collect();
    assert!(plain.len() > 150);
    let source = Source {
        name: "t".into(),
        text: plain.join("\n"),
    };
    let rules = compile(&[source], &Schema::builtin()).expect("the rules check");
    let mut quiet = 0;
    for number in 0..500 {
        let case = speed::case(number);
        let facts = Facts {
            event: &case.event,
            media: &case.media,
            matches: &case.matches,
            received_at: case.event.time,
        };
        let mut fired = 0;
        let counted = allocation_counter::measure(|| fired = rules.evaluate(&facts).len());
        if fired == 0 {
            quiet += 1;
            assert_eq!(counted.count_total, 0, "event {number}");
        }
    }
    assert!(quiet > 400, "{quiet}");
}

/// The counter counts: a rule that fires has a verdict to allocate.
#[test]
fn a_verdict_is_allocated() {
    assert!(allocations("account.followers == 12", 1) > 0);
}
