//! Each test shows a text with `|` where the cursor is, and what is answered.

use super::*;
use proptest::prelude::*;

const OTHER: &str = r#"
counter bursts = count(post.created) by account.id over 1h
lexicon shop_words level folded { "buy now", "cheap watches" }
rule known_links {
  on post.created
  mode shadow
  policy spam
  reason "Links like these are spam."
  when content.links.exists(l, bank("LINKS").matches(l)) and bursts > 3
  then enqueue("links"), label(content, "link_spam")
}
"#;

fn schema() -> Schema {
    let text = r#"
        [events."listing.created"]
        description = "A listing was put up for sale"
        [attributes]
        tags = "set<string>"
        [attributes.risk_score]
        type = "float"
        description = "How risky the seller is"
        on = "listing.created"
    "#;
    Schema::from_toml(text).unwrap()
}

/// The text without its cursor, where the cursor was, and the answer around it.
fn ask<T>(text: &str, answer: impl FnOnce(&str, usize, &Around<'_>) -> T) -> T {
    let (before, after) = text.split_once('|').expect("a cursor");
    let (schema, others) = (
        schema(),
        [Source {
            name: "other.rules".into(),
            text: OTHER.into(),
        }],
    );
    let around = Around {
        schema: &schema,
        banks: &["SLOGANS".into()],
        sets: &["trusted".into()],
        other_sources: &others,
    };
    answer(&format!("{before}{after}"), before.len(), &around)
}

/// The first labels of a completion, as one line.
fn labels(text: &str, most: usize) -> String {
    let found = ask(text, complete);
    let labels: Vec<&str> = found.iter().take(most).map(|c| c.label.as_str()).collect();
    labels.join(" ")
}

/// What is completed, all of it.
#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(labels(text, usize::MAX), expect, "{text}");
}

/// What is completed first.
#[track_caller]
fn first(text: &str, expect: &str) {
    let found = format!("{} ", labels(text, usize::MAX));
    assert!(found.starts_with(&format!("{expect} ")), "{text}: {found}");
}

#[track_caller]
fn hovers(text: &str, expect: &str) {
    let found = ask(text, hover).map_or_else(|| "nothing".to_owned(), |h| h.markdown);
    assert_eq!(found, expect, "{text}");
}

#[test]
fn at_the_top_are_items() {
    check("|", "rule test counter lexicon");
    check("ru|", "rule");
    check("rule a { when true } |", "rule test counter lexicon");
    check("rule |", "");
    check("rule a|", "");
    check("// rule a { when |", "");
    check("lexicon a |", "level");
    check("lexicon a level |", "folded strict aggressive");
    check("lexicon a level strict { |", "");
}

#[test]
fn a_rule_has_the_clauses_it_does_not_have_yet() {
    check("rule r { |", "on mode policy reason once limit when then");
    check(
        "rule r { on post.created policy p |",
        "mode reason once limit when then",
    );
    check(
        "rule r { on post.created reason \"x\" | then remove(content) }",
        "mode policy reason once limit when",
    );
    check("rule r { wh|", "when");
    check(
        "rule r { mode shadow | }",
        "on policy reason once limit when then",
    );
}

#[test]
fn every_clause_has_its_words() {
    first("rule r { on |", "post.created post.updated");
    check("rule r { on post.cr|", "post.created");
    check(
        "rule r { on post.|",
        "post.created post.updated post.shared",
    );
    check("rule r { on post.created, list|", "listing.created");
    check("rule r { mode |", "shadow live draft off");
    check("rule r { policy |", "spam");
    check("rule r { reason d|", "de id");
    check("rule r { once |", "per");
    first(
        "rule r { once per |",
        "account content space event attributes",
    );
    check("rule r { once per account.id |", "over");
    first("rule r { once per account.id over |", "24h 1h 7d");
    check("rule r { limit 10 |", "per");
    check("rule r { limit 10 per |", "hour day");
}

#[test]
fn after_a_dot_are_fields_and_functions_of_what_is_before_it() {
    check(
        "rule r { when account.|",
        "id handle display_name created_at age followers hasLabel strikes",
    );
    check("rule r { when account.cr|", "created_at");
    check("rule r { when event.|", "id source type time");
    first("rule r { when content.|", "id text language");
    check(
        "rule r { when account.age.|",
        "getHours getMinutes getSeconds",
    );
    check(
        "rule r { when content.text.lo|",
        "lower lowerAscii looksLike slogan invitePlatform",
    );
    check(
        "rule r { when content.links.|",
        "exists all count filter size",
    );
    check(
        "rule r { when content.text.words().|",
        "exists all count filter size",
    );
    check("rule r { when bank(\"B\").|", "matches count distance form");
    check("rule r { when set(\"S\").|", "contains");
    check("rule r { when lexicon(\"L\").|", "count distinct matches");
    check(
        "rule r { when [account.handle, \"x\"].|",
        "exists all count filter size",
    );
    check(
        "rule r { when account.|\n  then remove(content)\n}",
        "id handle display_name created_at age followers hasLabel strikes",
    );
    check(
        "rule r { when account.|\n\ntest \"x\" { }",
        "id handle display_name created_at age followers hasLabel strikes",
    );
}

#[test]
fn attributes_are_those_of_the_events_the_rule_is_about() {
    check("rule r { when attributes.|", "tags");
    check(
        "rule r { on listing.created when attributes.|",
        "risk_score tags",
    );
    check(
        "rule r { when attributes.tags.|",
        "exists all count filter size",
    );
}

#[test]
fn names_bound_by_macros_are_known() {
    first("rule r { when content.media.exists(m, |", "m account");
    check("rule r { when content.media.exists(|", "");
    check("rule r { when content.media.exists(m, m.wi|", "width");
    check(
        "rule r { when content.media.exists(m, m.kind.star|",
        "startsWith",
    );
    check(
        "rule r { when content.media.exists(m, content.links.all(l, l.ho|",
        "host isShortener hasUserInfo",
    );
    first(
        "rule r { when content.media.exists(m, content.links.all(l, |",
        "m l",
    );
    first(
        "rule r { when content.media.exists(m, true) and m.|",
        "contains startsWith",
    );
    first(
        "rule r { when content.media.exists(m, true) and m.wid|",
        "width",
    );
}

#[test]
fn where_a_value_is_wanted_are_values_and_behind_it_operators() {
    first(
        "rule r { when |",
        "account content space event attributes bursts has",
    );
    first("rule r { when bu|", "bursts");
    first("rule r { when ag|", "account.age");
    check(
        "rule r { when account.age < 1h |",
        "and or in on mode policy reason once limit then",
    );
    check("rule r { when (true |", "and or in");
    first("rule r { when account.age > |", "24h 1h");
    first("rule r { when not |", "account content");
    check(
        "rule r { when content.text.containsPhrase(\"x\", lev|",
        "level",
    );
    check("rule r { when account.strikes(with|", "within");
    first("rule r { when account.strikes(within: |", "24h 1h");
}

#[test]
fn between_quotes_are_the_names_there_are() {
    check("rule r { when bank(\"|", "LINKS SLOGANS");
    check("rule r { when bank(\"SL|\").matches(content)", "SLOGANS");
    check("rule r { when lexicon(\"|\")", "shop_words");
    check("rule r { when account.id in set(\"|\")", "trusted");
    check("rule r { when account.hasLabel(\"|\")", "link_spam");
    check("rule r { then enqueue(\"|\")", "links");
    check("rule r { then enqueue(account, \"|\")", "links");
    check("rule r { then label(content, \"|\")", "link_spam");
    check("rule r { when content.text == \"|\"", "");
    check(
        "rule r { when content.media.exists(m, m.kind == \"|\")",
        "image video audio file",
    );
    check("rule r { when event.type in [\"post.sh|\"]", "post.shared");
    check(
        "rule r { when content.text.containsPhrase(\"x\", level: \"|\"",
        "folded strict aggressive",
    );
    check("rule r { reason \"|\"", "");
}

#[test]
fn a_name_between_quotes_is_replaced_whole_and_nothing_else() {
    let replaced = |text: &str| {
        let found = ask(text, complete);
        let range = found[0].replace.clone();
        text.replacen('|', "", 1)[range].to_owned()
    };
    assert_eq!(
        replaced("rule r { when bank(\"SL|O\").matches(content)"),
        "SLO"
    );
    assert_eq!(replaced("rule r { when bank(\"SL|).matches(content)"), "SL");
    assert_eq!(replaced("rule r { when acc|ount.age"), "account");
    assert_eq!(replaced("rule r { on post.cr|eated"), "post.created");
    assert_eq!(replaced("rule r { when |"), "");
}

#[test]
fn effects_have_their_targets_and_arguments() {
    check(
        "rule r { then |",
        "remove restrict label demonetise suspend strike enqueue refer notify",
    );
    check(
        "rule r { then remove(content), en|",
        "enqueue demonetise suspend",
    );
    check("rule r { then suspend(|", "account space for until");
    check("rule r { then strike(|", "account weight");
    check("rule r { then restrict(content, |", "for until");
    first("rule r { then restrict(content, for: |", "24h 1h");
    check("rule r { then enqueue(\"q\", pr|", "priority");
    check(
        "rule r { on post.created then remove(content) |",
        "mode policy reason once limit when",
    );
}

#[test]
fn tests_have_their_parts() {
    check(
        "test \"x\" { |",
        "at before given event media match members expect",
    );
    check(
        "test \"x\" { event { \"type\": \"x\" } |",
        "at before given media match members expect",
    );
    check("test \"x\" { event { |", "");
    check("test \"x\" { event { \"type\": \"post.sh|", "post.shared");
    check("test \"x\" { match { \"bank\": \"|\" }", "LINKS SLOGANS");
    check("test \"x\" { members \"|\"", "LINKS SLOGANS");
    check("test \"x\" { members \"B\" { |", "text url pdq sha256 md5");
    check("test \"x\" { given |", "counter label strikes set");
    check("test \"x\" { given counter |", "bursts");
    check(
        "test \"x\" { given counter bursts = 3 |",
        "at before given event media match members expect",
    );
    first("test \"x\" { expect |", "nothing verdict no verdict");
    check("test \"x\" { expect verdict |", "known_links");
    check("test \"x\" { expect no |", "verdict");
    check("test \"x\" { expect no verdict kn|", "known_links");
    check(
        "test \"x\" { expect remove(|",
        "account space content media",
    );
}

#[test]
fn counters_have_their_parts() {
    check("counter a = |", "count distinct sum last");
    check("counter a = count(post.s|", "post.shared");
    first("counter a = distinct(|", "account content");
    check("counter a = distinct(account.han|", "handle");
    check(
        "counter a = count() |",
        "on by over where rule test counter lexicon",
    );
    check(
        "counter a = count() by account.id |",
        "and or in on over where rule test counter lexicon",
    );
    first("counter a = count() by account.id over |", "24h");
    assert!(!labels("counter a = count() where |", 200).contains("bursts"));
}

#[test]
fn completions_say_what_they_are_and_fill_in_places() {
    let found = ask("rule r { when content.text.contains|", complete);
    let shown = |c: &Completion| format!("{} [{}] {}", c.label, c.detail, c.plain());
    assert_eq!(
        found.iter().map(shown).collect::<Vec<_>>(),
        [
            "contains [text.contains(part: string) → bool] contains(part)",
            "containsPhrase [text.containsPhrase(phrase: \"…\", [level: \"…\"]) → bool] containsPhrase(\"phrase\")"
        ]
    );
    let counter = ask("rule r { when burs|", complete).remove(0);
    assert_eq!(
        (counter.kind, counter.detail.as_str()),
        (CompletionKind::Counter, "int")
    );
}

#[test]
fn at_most_two_hundred_are_offered() {
    let counter = |n| format!("counter c{n} = count() by account.id over 1h\n");
    let many: Vec<String> = (0..500).map(counter).collect();
    let many = many.concat();
    let found = ask(&format!("{many}rule r {{ when |"), complete);
    assert_eq!(found.len(), COMPLETIONS_MAX);
}

#[test]
fn fields_functions_and_attributes_are_explained() {
    hovers(
        "rule r { when account.a|ge < 24h",
        "`account.age`: `duration`\n\n`event.time - account.created_at`",
    );
    hovers(
        "rule r { when content.media.exists(m, m.wi|dth > 3)",
        "`m.width`: `int`\n\nin pixels",
    );
    hovers(
        "rule r { when content.media.exists(m, |m.width > 3)",
        "`m`: `medium`\n\nAn element of `content.media`.",
    );
    hovers(
        "rule r { when account.age.getHours|() < 3",
        "`duration.getHours() → int`\n\nall of it in whole hours\n\n```rules\naccount.age.getHours() < 36\n```",
    );
    hovers(
        "rule r { when ha|s(account.age)",
        "`has(field: field) → bool`\n\nwhether the event carries a field, an entity or an entry of a map; for lists, sets and maps, whether it holds something; never unknown\n\n```rules\nhas(account.created_at)\n```",
    );
    hovers(
        "rule r { on listing.created when attributes.risk_|score > 0.5",
        "`attributes.risk_score`: `float` on `listing.created`\n\nHow risky the seller is",
    );
    hovers(
        "rule r { when account|.age",
        "`account`\n\nWho did it: the event's account.",
    );
    hovers(
        "rule r { when received_|at > event.time",
        "`received_at`: `time`\n\nwhen Manara received it",
    );
    hovers(
        "rule r { when account.age < 3|6h",
        "`1d12h`\n\nA duration: 129600 seconds.",
    );
}

#[test]
fn words_are_explained_where_they_stand() {
    hovers(
        "ru|le r { }",
        "`rule name { … }`\n\nWhat is to be done when an event looks a certain way, under which policy, and why.",
    );
    hovers(
        "rule r { o|n post.created }",
        "`on type, …`\n\nThe event types it is about, at most 64; without it, every event.",
    );
    hovers(
        "rule r { on post.cre|ated }",
        "`post.created`\n\nEvent type: a post was made.",
    );
    hovers(
        "rule r { on listing.cre|ated }",
        "`listing.created`\n\nEvent type: A listing was put up for sale.",
    );
    hovers(
        "rule r { mode sha|dow }",
        "`mode shadow`\n\nEvaluated and recorded in full, without effect.",
    );
    hovers(
        "rule r { when true the|n remove(content) }",
        "`then effect, …`\n\nThe effects, one or several; required.",
    );
    hovers(
        "rule r { when true then rem|ove(content) }",
        "`remove(T)`\n\nTakes it down.",
    );
    hovers(
        "rule r { then restrict(content, fo|r: 3h) }",
        "`for: duration`\n\nHow long it lasts, from one second to ten years.",
    );
    hovers(
        "rule r { when true an|d true }",
        "`a and b`\n\nBoth; unknown and false is false.",
    );
    hovers(
        "test \"x\" { ex|pect nothing }",
        "`expect …`\n\nWhat the rules are to do: exactly these actions, of rules that are `live` on all events or a share (details left out may be anything), or what is listed below.",
    );
    hovers("rule r { // wh|en", "nothing");
    hovers("rule r { reason \"wh|en\" }", "nothing");
}

#[test]
fn names_of_other_files_are_explained() {
    hovers(
        "rule r { when burs|ts > 3",
        "```rules\ncounter bursts = count(post.created) by account.id over 1h\n```\n\n`int`: events over 1h, in buckets of 1m: up to 1m more than was asked for is counted. Events may come 15m late in `other.rules`",
    );
    hovers(
        "test \"x\" { expect verdict known_|links }",
        "rule `known_links` in `other.rules`\n\n- mode: `shadow`\n- policy: `spam`\n- reason: Links like these are spam.\n- cost: up to 2770 for one event",
    );
    hovers(
        "rule r { when lexicon(\"shop_|words\").matches(content.text)",
        "lexicon `shop_words` in `other.rules`\n\nLevel `folded`, 2 phrases: “buy now”, “cheap watches”",
    );
    hovers(
        "rule r { when bank(\"SLO|GANS\").matches(content)",
        "`SLOGANS`\n\nA bank: known images, files, phrases and addresses. It exists.",
    );
    hovers(
        "rule r { when bank(\"SLO|GAN\").matches(content)",
        "`SLOGAN`\n\nA bank: known images, files, phrases and addresses. There is none of this name.",
    );
    hovers(
        "rule bro|ken { mode draft policy p when account. }",
        "rule `broken`\n\n- mode: `draft`\n- policy: `p`\n- not in order yet",
    );
}

#[test]
fn names_lead_to_where_they_are_declared() {
    let check = |text: &str, expect: &str| {
        let whole = text.replacen('|', "", 1);
        let found = ask(text, definition).map_or_else(
            || "nothing".to_owned(),
            |found| match &found.source {
                Some(source) => format!("{source}: {}", &OTHER[found.range]),
                None => format!("{:?} {}", found.range, &whole[found.range.clone()]),
            },
        );
        assert_eq!(found, expect, "{text}");
    };
    check("rule r { when burs|ts > 3", "other.rules: bursts");
    check(
        "rule r { when lexicon(\"shop_|words\")",
        "other.rules: shop_words",
    );
    check(
        "test \"x\" { expect no verdict known|_links }",
        "other.rules: known_links",
    );
    check(
        "rule r { when true } test \"x\" { expect verdict |r }",
        "5..6 r",
    );
    check(
        "test \"x\" { given counter bu|rsts = 3 }",
        "other.rules: bursts",
    );
    check(
        "counter a = count() by account.id over 1h rule r { when a| > 1 }",
        "8..9 a",
    );
    check("rule r { when account.bursts| > 3", "nothing");
    check("rule r { when |true", "nothing");
}

#[test]
fn the_outline_holds_every_item_however_broken() {
    let text =
        "rule a { when account.\nrule b { } }\ncounter c = count(\ntest \"d\" { event {\nlexicon e";
    let shown: Vec<String> = outline(text)
        .iter()
        .map(|s| {
            format!(
                "{:?} {} {:?}",
                s.kind,
                &text[s.name_range.clone()],
                &text[s.range.clone()]
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "Rule a \"rule a { when account.\"",
            "Rule b \"rule b { }\"",
            "Counter c \"counter c = count(\"",
            "Test \"d\" \"test \\\"d\\\" { event {\"",
            "Lexicon e \"lexicon e\"",
        ]
    );
}

#[test]
fn what_is_larger_than_a_rule_file_has_no_answer() {
    let text = format!("|{}", " ".repeat(1024 * 1024 + 1));
    assert_eq!(ask(&text, complete), []);
    assert_eq!(ask(&text, hover), None);
    assert_eq!(outline(&text), []);
}

/// Rule files that ship with Manara, and the other file of these tests.
const EXAMPLES: &[&str] = &[
    OTHER,
    include_str!("../../../../examples/rules/goods_and_invites.rules"),
    include_str!("../../../../examples/rules/known_images.rules"),
    include_str!("../../../../examples/rules/links.rules"),
    include_str!("../../../../examples/rules/names.rules"),
    include_str!("../../../../examples/rules/new_accounts.rules"),
    include_str!("../../../../examples/rules/slogans.rules"),
    include_str!("../../../../examples/rules/unreadable_media.rules"),
    include_str!("../../../../examples/demo/images.rules"),
    include_str!("../../../../examples/demo/links.rules"),
    include_str!("../../../../examples/demo/names.rules"),
    include_str!("../../../../examples/demo/slogans.rules"),
];

fn nothing_panics(text: &str, offset: usize) {
    let schema = schema();
    let others = [Source {
        name: "other.rules".into(),
        text: text.chars().rev().collect(),
    }];
    let around = Around {
        schema: &schema,
        banks: &[],
        sets: &[],
        other_sources: &others,
    };
    for completion in complete(text, offset, &around) {
        assert!(text.get(completion.replace).is_some());
        assert!(!completion.label.is_empty());
    }
    if let Some(hover) = hover(text, offset, &around) {
        assert!(text.get(hover.range).is_some_and(|found| !found.is_empty()));
    }
    for symbol in outline(text) {
        assert!(text.get(symbol.range.clone()).is_some());
        assert!(text.get(symbol.name_range.clone()).is_some());
        assert!(
            symbol.range.start <= symbol.name_range.start
                && symbol.name_range.end <= symbol.range.end
        );
    }
    if let Some(found) = definition(text, offset, &around) {
        let of = if found.source.is_some() {
            &others[0].text
        } else {
            text
        };
        assert!(of.get(found.range).is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn cut_examples_do_no_harm(
        which in any::<prop::sample::Index>(),
        (from, to, at) in (0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.1_f64),
        between in "[ -~«ر😀\n\"{}().|]{0,8}",
    ) {
        let text = *which.get(EXAMPLES);
        let cut = |share: f64| {
            let mut at = (share * text.len() as f64) as usize;
            while !text.is_char_boundary(at) { at -= 1; }
            at
        };
        let cut = format!("{}{between}{}", &text[..cut(from)], &text[cut(to)..]);
        nothing_panics(&cut, (at * cut.len() as f64) as usize);
        // Where the two parts meet is where something is wrong.
        nothing_panics(&cut, cut.len().min(((from * text.len() as f64) as usize) + 1));
    }

    #[test]
    fn any_text_does_no_harm(text in "(rule|test|counter|lexicon|when|then|on|exists|bank|a|=|[ .,:(){}\\[\\]\"'«ر#/0-9<]){0,40}", at in 0..200_usize) {
        nothing_panics(&text, at);
    }
}
