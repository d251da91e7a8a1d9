//! What the words of the language mean: one table, read by completion, hover and the reference.
//!
//! Functions are described in [`library`](crate::library) and fields in [`schema`](crate::schema);
//! here is the rest: items, clauses, parts of tests, effects, modes and operators.

/// A word of the language, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordDoc {
    /// The word itself: `when`.
    pub name: &'static str,
    /// Where it may stand.
    pub place: WordPlace,
    /// How it is written: `when condition`.
    pub form: &'static str,
    /// What it does, in a sentence without a full stop.
    pub doc: &'static str,
    /// What completion writes, with places to fill in as `${1:name}`.
    pub insert: &'static str,
}

/// Where a word may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordPlace {
    /// At the top of a file.
    Item,
    /// A clause of a rule.
    Rule,
    /// A part of a counter.
    Counter,
    /// What a counter makes of events.
    CounterFunction,
    /// A part of a test.
    Test,
    /// After `given`.
    Given,
    /// After `expect`.
    Expect,
    /// After `then`, and after `expect`.
    Effect,
    /// A named argument of an effect.
    Argument,
    /// After `mode`.
    Mode,
    /// Between or before values.
    Operator,
    /// What an expression may begin with.
    Root,
    /// The level of a lexicon or of a text.
    Level,
    /// An event type that comes with Manara.
    EventType,
}

/// Every word of the language that is neither a field nor a function.
///
/// ```
/// use manara_rules::assist::{WordPlace, words};
/// let then = words().find(|word| word.name == "then").unwrap();
/// assert_eq!((then.place, then.form), (WordPlace::Rule, "then effect, …"));
/// ```
pub fn words() -> impl Iterator<Item = &'static WordDoc> {
    WORDS.iter()
}

/// The words of one place, in the order of the reference.
pub(super) fn words_of(place: WordPlace) -> impl Iterator<Item = &'static WordDoc> {
    words().filter(move |word| word.place == place)
}

/// The word of this name in this place.
pub(super) fn word_of(place: WordPlace, name: &str) -> Option<&'static WordDoc> {
    words_of(place).find(|word| word.name == name)
}

const fn word(
    place: WordPlace,
    name: &'static str,
    form: &'static str,
    insert: &'static str,
    doc: &'static str,
) -> WordDoc {
    WordDoc {
        name,
        place,
        form,
        doc,
        insert,
    }
}

use WordPlace::{
    Argument, Counter, CounterFunction, Effect, EventType, Expect, Given, Item, Level, Mode,
    Operator, Root, Rule, Test,
};

static WORDS: &[WordDoc] = &[
    // ---- items ----
    word(
        Item,
        "rule",
        "rule name { … }",
        "rule ${1:name} {\n  on ${2:post.created}\n  mode shadow\n  policy ${3:policy}\n  reason \"${4:Why, for the person it concerns.}\"\n  when ${5:condition}\n  then ${6:enqueue(\"queue\")}\n}",
        "what is to be done when an event looks a certain way, under which policy, and why",
    ),
    word(
        Item,
        "test",
        "test \"…\" { … }",
        "test \"${1:what is to happen}\" {\n  event { \"type\": \"${2:post.created}\", \"content\": { \"text\": \"${3:text}\" } }\n  expect ${4:nothing}\n}",
        "an event played against the rules of this file, and what they are to do",
    ),
    word(
        Item,
        "counter",
        "counter name = count(…) by … over …",
        "counter ${1:name} = count(${2:post.created}) by ${3:account.id} over ${4:1h}",
        "what is kept of past events, for conditions to ask",
    ),
    word(
        Item,
        "lexicon",
        "lexicon name level folded { \"…\", … }",
        "lexicon ${1:name} level ${2:folded} { \"${3:phrase}\" }",
        "phrases that rules ask for with `lexicon(\"…\")`",
    ),
    // ---- clauses of a rule ----
    word(
        Rule,
        "on",
        "on type, …",
        "on ${1:post.created}",
        "the event types it is about, at most 64; without it, every event",
    ),
    word(
        Rule,
        "mode",
        "mode live|shadow|draft|off",
        "mode ${1:shadow}",
        "whether it acts: `live` (without `mode`), `live 10%` on a share of the events, `shadow`, `draft` or `off`",
    ),
    word(
        Rule,
        "policy",
        "policy name",
        "policy ${1:name}",
        "the policy it enforces; required",
    ),
    word(
        Rule,
        "reason",
        "reason [language] \"…\"",
        "reason \"${1:Why, for the person it concerns.}\"",
        "why, for the person it concerns; required. Once without a language, and once in each of up to 64 languages, named by their BCP 47 tags (`ar`, `pt-BR`). All go with the action, the one without a language as `und`; if only reasons with a language are given, the first also stands for every other language",
    ),
    word(
        Rule,
        "once",
        "once per field, … over duration",
        "once per ${1:account.id} over ${2:24h}",
        "fires once for each value of the fields (at most four) within that time; does not fire when one of them is unknown",
    ),
    word(
        Rule,
        "limit",
        "limit number per hour|day, …",
        "limit ${1:100} per ${2:hour}",
        "its own circuit breaker, per hour, per day or both: a rule that acts more often goes into shadow until a person resets it; without it, as the server is configured",
    ),
    word(
        Rule,
        "when",
        "when condition",
        "when ${1:condition}",
        "the condition; a condition that ends unknown does not fire; required",
    ),
    word(
        Rule,
        "then",
        "then effect, …",
        "then ${1:enqueue(\"queue\")}",
        "the effects, one or several; required",
    ),
    // ---- parts of a counter ----
    word(
        Counter,
        "on",
        "on type, …",
        "on ${1:post.created}",
        "which event types, for `distinct`, `sum` and `last`; without it, every type",
    ),
    word(
        Counter,
        "by",
        "by field, …",
        "by ${1:account.id}",
        "one count for each value of these, at most four; required",
    ),
    word(
        Counter,
        "over",
        "over duration",
        "over ${1:1h}",
        "how long: from a second to 366 days; required",
    ),
    word(
        Counter,
        "where",
        "where condition",
        "where ${1:condition}",
        "only events of which this is true; it may ask banks, lexicons and sets",
    ),
    word(
        CounterFunction,
        "count",
        "count(type, …)",
        "count(${1:post.created})",
        "how many events of these types, of every type when none is named",
    ),
    word(
        CounterFunction,
        "distinct",
        "distinct(value)",
        "distinct(${1:content.text_key})",
        "how many different values",
    ),
    word(
        CounterFunction,
        "sum",
        "sum(number)",
        "sum(${1:1})",
        "the sum of a number",
    ),
    word(
        CounterFunction,
        "last",
        "last(value)",
        "last(${1:content.text_key})",
        "the value of the last event before this one",
    ),
    // ---- parts of a test ----
    word(
        Test,
        "at",
        "at \"time\"",
        "at \"${1:2026-11-22T10:15:00Z}\"",
        "the clock: when Manara received the event; when left out, the event's time",
    ),
    word(
        Test,
        "before",
        "before [number] { … }",
        "before ${1:3} { \"type\": \"${2:post.created}\" }",
        "events that came before, of the same form as `event`, so many times: once when left out, at most 10,000. They go through the same rules and fill counters, labels, strikes and `once per`. Without a `time` of their own they come at the time of the test",
    ),
    word(
        Test,
        "given",
        "given …",
        "given ${1:strikes = 3}",
        "what is taken for granted of the past: a counter's value, a label, strikes, what a set holds",
    ),
    word(
        Test,
        "event",
        "event { … }",
        "event { \"type\": \"${1:post.created}\", \"content\": { \"text\": \"${2:text}\" } }",
        "the event as a platform sends it (JSON); `id`, `source`, `time` and the ids of the account, space, content and media may be left out; required",
    ),
    word(
        Test,
        "media",
        "media { … }",
        "media { \"quality\": ${1:90}, \"width\": ${2:640}, \"height\": ${3:480} }",
        "what is known of the event's media, one block each, in order: `decoding` (`decoded`, `undecodable`, `unavailable`, `signals_only`), `width`, `height`, `quality`; without it a medium was read without trouble and its size and quality are unknown",
    ),
    word(
        Test,
        "match",
        "match { … }",
        "match { \"bank\": \"${1:BANK}\", \"field\": \"${2:content.text}\" }",
        "a find you assert: `bank` and `field`, and if you like `distance`, `signal_type`, `member`, `form`",
    ),
    word(
        Test,
        "members",
        "members \"bank\" { … }",
        "members \"${1:BANK}\" { text \"${2:phrase}\" }",
        "members that are really looked for in the event, as the server would: `text \"…\"`, `url \"…\"`, and `pdq`, `sha256` or `md5` for media given with `\"signals\": { … }`",
    ),
    word(
        Test,
        "expect",
        "expect …",
        "expect ${1:nothing}",
        "what the rules are to do: exactly these actions, of rules that are `live` on all events or a share (details left out may be anything), or what is listed below",
    ),
    word(
        Given,
        "counter",
        "counter name = value",
        "counter ${1:name} = ${2:12}",
        "what a counter reads, whatever came before",
    ),
    word(
        Given,
        "label",
        "label account|space|content \"name\"",
        "label ${1:account} \"${2:watched}\"",
        "a label that the event's account, space or content carries",
    ),
    word(
        Given,
        "strikes",
        "strikes = weight",
        "strikes = ${1:3}",
        "the weight of the account's strikes",
    ),
    word(
        Given,
        "set",
        "set \"name\" { \"…\", … }",
        "set \"${1:trusted}\" { \"${2:a-19}\" }",
        "what a set holds; sets that are not given are unknown",
    ),
    word(
        Expect,
        "nothing",
        "nothing",
        "nothing",
        "no rule fires, not even in shadow",
    ),
    word(
        Expect,
        "verdict",
        "verdict name",
        "verdict ${1:rule}",
        "the rule fires, in whatever mode",
    ),
    word(
        Expect,
        "no verdict",
        "no verdict name",
        "no verdict ${1:rule}",
        "the rule does not fire",
    ),
    // ---- effects ----
    word(
        Effect,
        "remove",
        "remove(T)",
        "remove(${1:content})",
        "takes it down",
    ),
    word(
        Effect,
        "restrict",
        "restrict(T, for: 24h)",
        "restrict(${1:content}, for: ${2:24h})",
        "limits who sees it; without `for` or `until`, until undone",
    ),
    word(
        Effect,
        "label",
        "label(T, \"name\", for: 30d)",
        "label(${1:content}, \"${2:name}\")",
        "marks it; rules ask for it with `account.hasLabel(\"name\")`; without `for` or `until`, until undone",
    ),
    word(
        Effect,
        "demonetise",
        "demonetise(T, for: 30d)",
        "demonetise(${1:account}, for: ${2:30d})",
        "takes away what it earns; without `for` or `until`, until undone",
    ),
    word(
        Effect,
        "suspend",
        "suspend(T, for: 7d)",
        "suspend(${1:account}, for: ${2:7d})",
        "suspends the account or space; without `for` or `until`, until undone",
    ),
    word(
        Effect,
        "strike",
        "strike(account, 2)",
        "strike(account)",
        "adds to what the account has accumulated; 1 to 100, 1 when left out; rules ask for it with `account.strikes(within: 90d)`",
    ),
    word(
        Effect,
        "enqueue",
        "enqueue([T,] \"queue\", priority: 8)",
        "enqueue(\"${1:queue}\", priority: ${2:5})",
        "asks a person: a case in a queue; 1 (can wait) to 9 (now), 5 when left out",
    ),
    word(
        Effect,
        "refer",
        "refer(T, \"receiver\", message: \"…\")",
        "refer(${1:content}, \"${2:receiver}\")",
        "passes it on to somebody outside: a hotline, an authority",
    ),
    word(
        Effect,
        "notify",
        "notify([T,] \"receiver\", message: \"…\")",
        "notify(\"${1:receiver}\", message: \"${2:Look at this.}\")",
        "tells somebody; without a target, about what the event is about",
    ),
    word(
        Argument,
        "for",
        "for: duration",
        "for: ${1:24h}",
        "how long it lasts, from one second to ten years",
    ),
    word(
        Argument,
        "until",
        "until: timestamp(\"…\")",
        "until: timestamp(\"${1:2027-01-01T00:00:00Z}\")",
        "until when it lasts",
    ),
    word(
        Argument,
        "priority",
        "priority: number",
        "priority: ${1:5}",
        "how soon the case is to be looked at: 1 (can wait) to 9 (now)",
    ),
    word(
        Argument,
        "message",
        "message: \"…\"",
        "message: \"${1:Look at this.}\"",
        "what the receiver is told",
    ),
    word(
        Argument,
        "weight",
        "weight: number",
        "weight: ${1:1}",
        "how much the strike weighs, 1 to 100",
    ),
    // ---- modes ----
    word(
        Mode,
        "shadow",
        "mode shadow",
        "shadow",
        "evaluated and recorded in full, without effect",
    ),
    word(
        Mode,
        "live",
        "mode live",
        "live",
        "in effect; `live 10%` on a share of the events, in shadow on the rest",
    ),
    word(
        Mode,
        "draft",
        "mode draft",
        "draft",
        "checked and tested, not evaluated by the server",
    ),
    word(Mode, "off", "mode off", "off", "not evaluated"),
    // ---- operators ----
    word(
        Operator,
        "and",
        "a and b",
        "and",
        "both; unknown and false is false",
    ),
    word(
        Operator,
        "or",
        "a or b",
        "or",
        "at least one; unknown or true is true",
    ),
    word(
        Operator,
        "in",
        "x in list",
        "in",
        "whether a list or set holds a value, or a map has a key",
    ),
    word(
        Operator,
        "not",
        "not a",
        "not",
        "the contrary of the comparison that follows; unknown stays unknown",
    ),
    word(Operator, "true", "true", "true", "true"),
    word(Operator, "false", "false", "false", "false"),
    // ---- what an expression begins with ----
    word(
        Root,
        "account",
        "account",
        "account",
        "who did it: the event's account",
    ),
    word(
        Root,
        "content",
        "content",
        "content",
        "what it is about: the event's post, message or advertisement",
    ),
    word(
        Root,
        "space",
        "space",
        "space",
        "where it happened: the event's channel, group or page",
    ),
    word(
        Root,
        "event",
        "event",
        "event",
        "what happened: id, source, type and time",
    ),
    word(
        Root,
        "attributes",
        "attributes",
        "attributes",
        "what the platform adds, as declared in the schema",
    ),
    // ---- levels ----
    word(
        Level,
        "folded",
        "level folded",
        "folded",
        "sees through accents, vowel signs, look-alikes and letters set apart",
    ),
    word(
        Level,
        "strict",
        "level strict",
        "strict",
        "sees through case, width and invisible characters",
    ),
    word(
        Level,
        "aggressive",
        "level aggressive",
        "aggressive",
        "sees also through digits for letters and Arabic in Latin letters",
    ),
    // ---- event types ----
    word(
        EventType,
        "post.created",
        "on post.created",
        "post.created",
        "a post was made",
    ),
    word(
        EventType,
        "post.updated",
        "on post.updated",
        "post.updated",
        "a post was changed",
    ),
    word(
        EventType,
        "post.shared",
        "on post.shared",
        "post.shared",
        "a post was passed on",
    ),
    word(
        EventType,
        "account.created",
        "on account.created",
        "account.created",
        "an account was made",
    ),
    word(
        EventType,
        "account.updated",
        "on account.updated",
        "account.updated",
        "an account was changed",
    ),
    word(
        EventType,
        "space.created",
        "on space.created",
        "space.created",
        "a channel, group or page was made",
    ),
    word(
        EventType,
        "space.updated",
        "on space.updated",
        "space.updated",
        "a channel, group or page was changed",
    ),
    word(
        EventType,
        "content.reported",
        "on content.reported",
        "content.reported",
        "somebody reported a post",
    ),
    word(
        EventType,
        "message.reported",
        "on message.reported",
        "message.reported",
        "somebody reported a private message",
    ),
    word(
        EventType,
        "ad.requested",
        "on ad.requested",
        "ad.requested",
        "somebody asks for an advertisement to be shown",
    ),
    word(
        EventType,
        "payout.requested",
        "on payout.requested",
        "payout.requested",
        "somebody asks to be paid",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::EFFECTS;
    use crate::parser::{COUNTER_CLAUSES, COUNTER_FUNCTIONS, ITEMS, RULE_CLAUSES, TEST_PARTS};
    use crate::schema::{EVENT_TYPES, ROOTS};
    use manara_model::RuleMode;

    #[track_caller]
    fn check(place: WordPlace, known: &[&str]) {
        let mut described: Vec<&str> = words_of(place).map(|word| word.name).collect();
        let mut known = known.to_vec();
        described.sort_unstable();
        known.sort_unstable();
        assert_eq!(described, known, "{place:?}");
    }

    #[test]
    fn every_word_of_the_parser_and_the_checker_is_described_once() {
        check(Item, ITEMS);
        check(Rule, RULE_CLAUSES);
        check(Counter, COUNTER_CLAUSES);
        check(CounterFunction, COUNTER_FUNCTIONS);
        check(Test, TEST_PARTS);
        check(Effect, EFFECTS);
        check(Mode, &RuleMode::WORDS);
        check(EventType, EVENT_TYPES);
        let roots = ROOTS.iter().copied();
        // That one is a field.
        check(
            Root,
            &roots
                .filter(|root| *root != "received_at")
                .collect::<Vec<_>>(),
        );
    }

    #[test]
    fn descriptions_are_sentences_without_a_full_stop() {
        for word in words() {
            assert!(!word.doc.ends_with('.') && !word.doc.is_empty(), "{word:?}");
            let first = word.name.split(' ').next().unwrap_or_default();
            assert!(word.form.contains(first), "{word:?}");
        }
    }
}
