//! Two hundred rules and the events they are measured on: for the example `rule_speed` and the test
//! `allocations`.
//!
//! The rules are those of `examples/rules`, varied: other banks, words, numbers and ages, as a policy
//! team has them after a year. The events are ordinary posts, accounts and channels of every size.
#![allow(dead_code, reason = "the test and the example each use a part")]

use manara_model::{Event, Match, MediaFacts, Origin};

/// What a condition asks for, mostly: how the two hundred are made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Lookups in banks, whose work was done before rules are evaluated.
    Banks,
    Numbers,
    /// Plain searches in texts.
    Texts,
    /// Conditions on each link or medium.
    Lists,
    /// Texts with every disguise taken off, which allocates once for each text of an event.
    Phrases,
}

/// Conditions in which `#` is the number of the variation and `$` a word of its own.
const CONDITIONS: &[(About, &str, &str)] = &[
    (
        About::Banks,
        "post.created, post.updated",
        r#"content.media.exists(m, bank("IMAGES_#").matches(m, 24))"#,
    ),
    (
        About::Banks,
        "post.created",
        r#"content.media.exists(m, m.quality >= 70 and bank("IMAGES_#").matches(m, 31)) and not content.media.exists(m, bank("IMAGES_#").matches(m, 24))"#,
    ),
    (
        About::Banks,
        "post.shared",
        r#"bank("IMAGES_#").matches(content.media) and not bank("NEWS_#").matches(content.media)"#,
    ),
    (
        About::Banks,
        "post.created, post.updated, post.shared",
        r#"bank("LINKS_#").matches(content)"#,
    ),
    (
        About::Banks,
        "post.created, post.updated",
        r#"bank("SLOGANS_#").matches(content.text)"#,
    ),
    (
        About::Banks,
        "post.created",
        r#"bank("SLOGANS_#").matches(content.text) and account.age < 24h and account.followers < 5#"#,
    ),
    (
        About::Banks,
        "account.created, account.updated",
        r#"bank("NAMES_#").matches(account)"#,
    ),
    (
        About::Banks,
        "space.created, space.updated",
        r#"bank("NAMES_#").matches(space.name) and space.members > 1# and space.admission == "automatic""#,
    ),
    (
        About::Numbers,
        "post.created",
        "account.age < #h and content.links.size() > 4",
    ),
    (
        About::Numbers,
        "",
        "account.age < 0s or received_at - event.time > 2d",
    ),
    (
        About::Numbers,
        "post.created",
        "account.followers > 1# * 1000000 and account.age > #d and content.media.size() > 6",
    ),
    (
        About::Numbers,
        "space.created, space.updated",
        "account.age < 1h and (has(space.members) ? space.members > 10# : true)",
    ),
    (
        About::Texts,
        "post.created, post.updated",
        r#"content.text.contains("$ offer") or account.handle.startsWith("$_")"#,
    ),
    (
        About::Texts,
        "post.created",
        r#"content.text.lower().contains("buy $ now") and account.followers < 2#"#,
    ),
    (
        About::Texts,
        "account.created",
        r#"account.handle.lower().startsWith("$_banner_") and account.handle.size() <= 15 and account.followers < 100"#,
    ),
    (
        About::Texts,
        "post.created",
        r#"content.language in ["xa", "xb", "xc"] and content.text.endsWith("$!")"#,
    ),
    (
        About::Lists,
        "post.created",
        r#"content.links.size() >= 3 and content.links.all(l, !l.startsWith("https://$.example/")) and content.text.size() < 20 and account.followers < #"#,
    ),
    (
        About::Lists,
        "post.created, post.shared",
        r#"content.links.exists(l, l.startsWith("https://$.example/") or l.endsWith("/$"))"#,
    ),
    (
        About::Lists,
        "post.created",
        r#"content.media.exists(m, m.undecodable and m.kind in ["image", "video"]) and account.age < #m"#,
    ),
    (
        About::Lists,
        "post.created",
        r#"[account.handle, account.display_name].exists(n, n.endsWith("_$"))"#,
    ),
    (
        About::Lists,
        "post.created",
        "content.media.size() >= 3 and content.media.count(m, m.unavailable) * 2 > content.media.size()",
    ),
    (
        About::Phrases,
        "post.created",
        r#"content.text.containsPhrase("join the $ order")"#,
    ),
    (
        About::Phrases,
        "post.created, post.updated",
        r#"content.text.containsPhrase("$ rises") and not content.text.normalised().contains("chess")"#,
    ),
];

const WORDS: &[&str] = &[
    "grey", "ember", "harbour", "lantern", "cobalt", "marrow", "tundra", "velvet", "quartz",
    "saffron",
];

/// The rule file: two hundred rules, or those of them that are not `without`.
pub(crate) fn rules(without: Option<About>) -> String {
    let mut text = String::new();
    for number in 0..200 {
        let (about, on, condition) = CONDITIONS[number % CONDITIONS.len()];
        if Some(about) == without {
            continue;
        }
        let variation = number / CONDITIONS.len() + 1;
        let condition = condition
            .replace('#', &variation.to_string())
            .replace('$', WORDS[variation % WORDS.len()]);
        let on = if on.is_empty() {
            String::new()
        } else {
            format!("on {on} ")
        };
        text += &format!(
            "rule r_{number} {{ {on}policy p reason \"r\" when {condition} then enqueue(\"q\") }}\n"
        );
    }
    text
}

/// An event with what was found in it.
pub(crate) struct Case {
    pub(crate) event: Event,
    pub(crate) media: Vec<MediaFacts>,
    pub(crate) matches: Vec<Match>,
}

const SENTENCES: &[&str] = &[
    "We walked along the harbour until the lamps came on.",
    "Tomorrow there is a market in the old town, with music.",
    "مساء الخير يا أصدقاء، السوق مفتوح غدا.",
    "Кто-нибудь знает, когда откроется пекарня?",
    "The last tram home was full, and it rained the whole way.",
    "Selamat pagi semuanya, apa kabar hari ini?",
];

/// The event of this number: posts mostly, of one sentence to forty.
pub(crate) fn case(number: usize) -> Case {
    // A fixed scramble, so that lengths, links and media vary independently.
    let roll = |of: usize, salt: usize| {
        (number
            .wrapping_mul(2_654_435_761)
            .wrapping_add(salt * 40_503)
            >> 7)
            % of
    };
    let types = [
        "post.created",
        "post.created",
        "post.created",
        "post.updated",
        "post.shared",
        "account.created",
        "space.updated",
    ];
    let event_type = types[roll(types.len(), 1)];
    let sentences = 1 + roll(10, 2) * roll(5, 3);
    let text: Vec<&str> = (0..sentences)
        .map(|at| SENTENCES[(at + number) % SENTENCES.len()])
        .collect();
    let links: Vec<String> = (0..roll(4, 4))
        .map(|at| format!("https://site{at}.example/page/{number}"))
        .collect();
    let media: Vec<serde_json::Value> =
        (0..roll(4, 5)).map(|at| serde_json::json!({ "id": format!("m{at}"), "kind": "image", "url": "https://example.com/1" })).collect();
    let facts: Vec<MediaFacts> = media
        .iter()
        .map(|_| serde_json::json!({ "decoding": "decoded", "width": 640, "height": 480, "quality": 90 }))
        .map(|json| serde_json::from_value(json).expect("media facts"))
        .collect();
    let found = !media.is_empty() && roll(100, 6) < 3;
    let matches = if found {
        let bank = format!("IMAGES_{}", 1 + roll(8, 7));
        let found = serde_json::json!([{ "signal_type": "pdq", "bank": bank, "member": 7, "distance": 12, "field": "content.media[0]" }]);
        serde_json::from_value(found).expect("a match")
    } else {
        Vec::new()
    };
    let mut json = serde_json::json!({
        "id": format!("e-{number}"), "source": "forum.example", "type": event_type, "time": "2026-11-22T10:15:00Z",
        "account": { "id": "a", "handle": format!("walker_{number}"), "display_name": "River Walker",
            "created_at": format!("20{:02}-03-02T10:01:00Z", 10 + roll(16, 8)), "followers": roll(3000, 9) },
    });
    if event_type.starts_with("post") {
        json["content"] = serde_json::json!({ "id": "c", "text": text.join(" "), "language": "en", "links": links, "media": media });
    } else if event_type.starts_with("space") {
        json["space"] = serde_json::json!({ "id": "s", "name": "Harbour news", "members": roll(100, 10), "admission": "approved" });
    }
    let (event, _) =
        Event::from_json(json.to_string().as_bytes(), Origin::Http).expect("a valid event");
    Case {
        event,
        media: facts,
        matches,
    }
}
