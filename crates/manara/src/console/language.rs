//! What the editor of rules is told: what is wrong with a text, and what may stand at a place.
//!
//! Everything an editor asks goes through [`diagnostics`] and [`complete`], so that a better answer
//! replaces one function. Offsets are in UTF-16 units, as browsers and language servers count.

use manara_rules::{Diagnostic, Severity};
use serde::Serialize;

/// Most items offered at once.
const ITEMS_MAX: usize = 200;
/// How far back from the cursor is looked, in bytes.
const LOOK_BACK_BYTES: usize = 400;

/// One thing that is wrong, for the editor.
#[derive(Debug, Serialize)]
pub(super) struct Marked {
    /// Where, in UTF-16 units of the text.
    from: usize,
    to: usize,
    severity: &'static str,
    message: String,
    hint: Option<String>,
    line: u32,
    column: u32,
}

/// What may stand at a place.
#[derive(Debug, Serialize)]
pub(super) struct Completions {
    /// Where what was typed of it begins, in UTF-16 units.
    pub(super) from: usize,
    pub(super) items: Vec<Item>,
}

/// One thing that may stand there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) label: String,
    /// `keyword`, `property`, `method`, `function`, `constant` or `text`.
    pub(super) kind: &'static str,
    /// Its type or form, in a few characters.
    pub(super) detail: String,
    pub(super) doc: &'static str,
}

/// The names that this server knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) rules: Vec<String>,
    pub(super) policies: Vec<String>,
    pub(super) banks: Vec<String>,
}

/// The diagnostics of one file, with their places as browsers count.
pub(super) fn diagnostics<'a>(
    text: &str,
    found: impl IntoIterator<Item = &'a Diagnostic>,
) -> Vec<Marked> {
    let mut found: Vec<&Diagnostic> = found.into_iter().collect();
    found.sort_by_key(|it| it.span.start);
    // Counted on from one to the next: the text is walked once, however many there are.
    let (mut bytes, mut units) = (0, 0);
    found
        .into_iter()
        .map(|it| {
            let start = floor(text, it.span.start);
            units += utf16(text.get(bytes..start).unwrap_or_default());
            bytes = start;
            let end = floor(text, it.span.end).max(start);
            Marked {
                from: units,
                to: units + utf16(text.get(start..end).unwrap_or_default()),
                severity: match it.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                message: it.message.clone(),
                hint: it.hint.clone(),
                line: it.line(),
                column: it.column(),
            }
        })
        .collect()
}

/// What may stand at `offset`, given in UTF-16 units.
pub(super) fn complete(known: &Known, text: &str, offset: usize) -> Completions {
    let at = byte_of(text, offset);
    let start = floor(text, at.saturating_sub(LOOK_BACK_BYTES));
    let before = text.get(start..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let word = ending(line, |c| c.is_ascii_alphanumeric() || c == '_');
    let rest = line.strip_suffix(word).unwrap_or(line);
    let from = offset_of(text, at) - utf16(word);
    let mut items = candidates(known, line, rest);
    let typed = word.to_ascii_lowercase();
    items.retain(|it| it.label.to_ascii_lowercase().contains(&typed));
    items.truncate(ITEMS_MAX);
    Completions { from, items }
}

fn candidates(known: &Known, line: &str, rest: &str) -> Vec<Item> {
    let quoted = line.matches('"').count() % 2 == 1;
    if quoted {
        let asks_for_bank = ["bank(\"", "members \""]
            .iter()
            .any(|it| rest.ends_with(it));
        return if asks_for_bank {
            names(&known.banks, "constant", "bank")
        } else {
            Vec::new()
        };
    }
    if line.contains("//") {
        return Vec::new();
    }
    if let Some(owner) = rest.strip_suffix('.') {
        return after_dot(owner);
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    match words.as_slice() {
        [.., "mode"] => table(MODES, "keyword"),
        [.., "policy"] => names(&known.policies, "constant", "policy"),
        [.., "verdict"] => names(&known.rules, "constant", "rule"),
        ["on", ..] => table(EVENT_TYPES, "constant"),
        _ => [
            table(KEYWORDS, "keyword"),
            table(FUNCTIONS, "function"),
            table(EFFECTS, "function"),
            FIELDS
                .iter()
                .map(|(root, name, ty, doc)| item(&format!("{root}.{name}"), "property", ty, doc))
                .collect(),
        ]
        .concat(),
    }
}

/// What may follow `owner.`: the fields of an entity; of anything else, what a medium has and what
/// texts, lists and banks can be asked.
fn after_dot(owner: &str) -> Vec<Item> {
    let root = ending(owner, |c| c.is_ascii_alphanumeric() || c == '_');
    let whole = !owner.strip_suffix(root).unwrap_or_default().ends_with('.');
    let fields: Vec<Item> = FIELDS
        .iter()
        .filter(|(of, ..)| whole && *of == root)
        .map(|(_, name, ty, doc)| item(name, "property", ty, doc))
        .collect();
    if !fields.is_empty() {
        return fields;
    }
    if owner.ends_with("\")") {
        return table(OF_BANK, "method");
    }
    let of_medium = if whole && !root.is_empty() {
        table(OF_MEDIUM, "property")
    } else {
        Vec::new()
    };
    [of_medium, table(METHODS, "method")].concat()
}

fn table(rows: &[(&str, &str, &'static str)], kind: &'static str) -> Vec<Item> {
    rows.iter()
        .map(|(label, detail, doc)| item(label, kind, detail, doc))
        .collect()
}

fn names(names: &[String], kind: &'static str, detail: &str) -> Vec<Item> {
    names.iter().map(|it| item(it, kind, detail, "")).collect()
}

fn item(label: &str, kind: &'static str, detail: &str, doc: &'static str) -> Item {
    Item {
        label: label.to_owned(),
        kind,
        detail: detail.to_owned(),
        doc,
    }
}

/// The longest end of a text that consists of such characters.
fn ending(text: &str, of: impl Fn(char) -> bool) -> &str {
    let at = text.trim_end_matches(of).len();
    text.get(at..).unwrap_or_default()
}

fn utf16(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The nearest place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

fn offset_of(text: &str, byte: usize) -> usize {
    utf16(text.get(..byte).unwrap_or_default())
}

fn byte_of(text: &str, offset: usize) -> usize {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        if units >= offset {
            return at;
        }
        units += c.len_utf16();
    }
    text.len()
}

const MODES: &[(&str, &str, &str)] = &[
    ("live", "", "It acts. What a rule without `mode` does."),
    (
        "shadow",
        "",
        "It is evaluated and recorded, and does nothing.",
    ),
];

const KEYWORDS: &[(&str, &str, &str)] = &[
    ("rule", "rule NAME { … }", "A rule."),
    (
        "test",
        "test \"…\" { … }",
        "An event, and what is expected of it.",
    ),
    (
        "on",
        "on post.created",
        "The event types the rule is about; without it, every event.",
    ),
    ("mode", "mode shadow", "Whether it acts or only records."),
    ("policy", "policy NAME", "The policy it enforces."),
    ("reason", "reason \"…\"", "Why, for the person it concerns."),
    ("when", "when CONDITION", "The condition."),
    ("then", "then EFFECT, …", "What is done."),
    ("and", "a and b", "Both."),
    ("or", "a or b", "One of them at least."),
    ("not", "not a", "The contrary."),
    ("in", "x in [1, 2]", "Whether a list holds a value."),
    ("true", "bool", ""),
    ("false", "bool", ""),
    (
        "event",
        "event { … }",
        "Of a test: the event as a platform sends it.",
    ),
    (
        "media",
        "media { … }",
        "Of a test: what is known of a medium.",
    ),
    ("match", "match { … }", "Of a test: a find you assert."),
    (
        "members",
        "members \"BANK\" { … }",
        "Of a test: members that are looked for.",
    ),
    ("at", "at \"TIME\"", "Of a test: when it was received."),
    ("expect", "expect …", "Of a test: what is to come of it."),
    ("nothing", "expect nothing", "No rule fires."),
    ("verdict", "expect verdict NAME", "That rule fires."),
];

const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("has", "has(x): bool", "Whether the event carries it."),
    (
        "bank",
        "bank(\"B\")",
        "A bank, to ask what was found in it.",
    ),
    (
        "duration",
        "duration(\"24h\")",
        "A length of time; `24h` for short.",
    ),
    ("timestamp", "timestamp(\"…\")", "A point in time."),
];

const EFFECTS: &[(&str, &str, &str)] = &[
    ("remove", "remove(content)", "Takes it down."),
    (
        "restrict",
        "restrict(content, for: 24h)",
        "Limits who sees it.",
    ),
    ("label", "label(content, \"name\")", "Marks it."),
    (
        "suspend",
        "suspend(account, for: 7d)",
        "Suspends the account or space.",
    ),
    (
        "strike",
        "strike(account, 2)",
        "Adds to what the account has accumulated.",
    ),
    (
        "enqueue",
        "enqueue(\"queue\", priority: 5)",
        "Asks a person.",
    ),
];

const EVENT_TYPES: &[(&str, &str, &str)] = &[
    ("account.created", "", ""),
    ("account.updated", "", ""),
    ("space.created", "", ""),
    ("space.updated", "", ""),
    ("post.created", "", ""),
    ("post.updated", "", ""),
    ("post.shared", "", ""),
    ("content.reported", "", ""),
    ("message.reported", "", ""),
    ("ad.requested", "", ""),
    ("payout.requested", "", ""),
];

const FIELDS: &[(&str, &str, &str, &str)] = &[
    ("event", "id", "string", ""),
    ("event", "source", "string", "The platform it happened on."),
    ("event", "type", "string", ""),
    ("event", "time", "time", "When it happened on the platform."),
    ("account", "id", "string", ""),
    ("account", "handle", "string", ""),
    ("account", "display_name", "string", ""),
    ("account", "created_at", "time", ""),
    (
        "account",
        "age",
        "duration",
        "event.time - account.created_at",
    ),
    ("account", "followers", "int", ""),
    ("space", "id", "string", ""),
    ("space", "kind", "string", ""),
    ("space", "name", "string", ""),
    ("space", "members", "int", ""),
    ("space", "admission", "string", ""),
    ("content", "id", "string", ""),
    ("content", "text", "string", ""),
    ("content", "language", "string", ""),
    (
        "content",
        "links",
        "list of string",
        "Those listed in the event.",
    ),
    ("content", "media", "list of media", ""),
];

const OF_MEDIUM: &[(&str, &str, &str)] = &[
    ("id", "string", ""),
    ("kind", "string", "image, video, audio or file"),
    ("url", "string", ""),
    (
        "quality",
        "int",
        "How much there is to compare in an image, 0 to 100.",
    ),
    ("width", "int", "In pixels."),
    ("height", "int", "In pixels."),
    ("undecodable", "bool", "Its bytes could not be read."),
    ("unavailable", "bool", "It could not be fetched."),
];

const METHODS: &[(&str, &str, &str)] = &[
    (
        "contains",
        "t.contains(\"x\"): bool",
        "Exactly these characters.",
    ),
    ("startsWith", "t.startsWith(\"x\"): bool", ""),
    ("endsWith", "t.endsWith(\"x\"): bool", ""),
    (
        "containsPhrase",
        "t.containsPhrase(\"join us\"): bool",
        "Whole words in any disguise.",
    ),
    ("lower", "t.lower(): string", "In lower case."),
    ("lowerAscii", "t.lowerAscii(): string", ""),
    (
        "normalised",
        "t.normalised(): string",
        "With every disguise taken off.",
    ),
    (
        "size",
        "size(): int",
        "Characters of a text, elements of a list.",
    ),
    (
        "exists",
        "list.exists(x, …): bool",
        "Whether some element fulfils it.",
    ),
    ("all", "list.all(x, …): bool", "Whether every element does."),
    ("count", "list.count(x, …): int", "How many do."),
];

const OF_BANK: &[(&str, &str, &str)] = &[
    (
        "matches",
        "matches(content): bool",
        "Whether something was found there.",
    ),
    ("distance", "distance(m): int", "Of the nearest find."),
    (
        "form",
        "form(m): string",
        "The form in which the nearest image was found.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use manara_rules::{Schema, Source, compile};

    fn rule(when: &str, then: &str) -> String {
        format!("rule r {{ policy p reason \"R.\" when {when} then {then} }}")
    }

    #[track_caller]
    fn compiles(text: String) {
        let source = Source {
            name: "r.rules".into(),
            text,
        };
        let found = compile(std::slice::from_ref(&source), &Schema::builtin());
        assert!(found.is_ok(), "{}: {:?}", source.text, found.err());
    }

    #[test]
    fn everything_offered_is_part_of_the_language() {
        for (root, name, ..) in FIELDS {
            compiles(rule(&format!("has({root}.{name})"), "remove(content)"));
        }
        for (name, ty, _) in OF_MEDIUM {
            let is = match *ty {
                _ if *name == "kind" => "== \"image\"",
                "string" => "== \"x\"",
                "int" => "> 1",
                _ => "== true",
            };
            compiles(rule(
                &format!("content.media.exists(m, m.{name} {is})"),
                "remove(content)",
            ));
        }
        for (_, form, _) in EFFECTS {
            compiles(rule("account.followers > 1", form));
        }
        for (event_type, ..) in EVENT_TYPES {
            let text = rule("account.followers > 1", "remove(content)");
            compiles(text.replace("{ policy", &format!("{{ on {event_type} policy")));
        }
        for (mode, ..) in MODES {
            let text = rule("account.followers > 1", "remove(content)");
            compiles(text.replace("{ policy", &format!("{{ mode {mode} policy")));
        }
        for (name, form, _) in METHODS {
            let call = form.split(')').next().unwrap();
            let call = match (call.split_once('.'), *name) {
                (Some(("t", call)), _) => format!("content.text.{call})"),
                (Some(("list", _)), _) => format!("content.links.{name}(x, x == \"y\")"),
                _ => format!("content.text.{call})"),
            };
            let is = match form.rsplit(": ").next().unwrap() {
                "int" => " > 1",
                "string" => " == \"y\"",
                _ => "",
            };
            compiles(rule(&format!("{call}{is}"), "remove(content)"));
        }
        for (name, form, _) in OF_BANK {
            let is = match *name {
                "matches" => "",
                "distance" => " < 3",
                _ => " == \"original\"",
            };
            let (call, _) = form.split_once(':').unwrap();
            let when = if call.contains("(m)") {
                format!("content.media.exists(m, bank(\"B\").{call}{is})")
            } else {
                format!("bank(\"B\").{call}{is}")
            };
            compiles(rule(&when, "remove(content)"));
        }
    }

    /// What is offered at `|`, and where what was typed of it begins.
    #[track_caller]
    fn check(text: &str, from: usize, some: &[&str], none: &[&str]) {
        let known = Known {
            rules: vec!["links".into()],
            policies: vec!["spam".into()],
            banks: vec!["SLOGANS".into()],
        };
        let (before, after) = text.split_once('|').unwrap();
        let found = complete(&known, &format!("{before}{after}"), utf16(before));
        assert_eq!(found.from, from, "{text}");
        let labels: Vec<&str> = found.items.iter().map(|it| it.label.as_str()).collect();
        for label in some {
            assert!(labels.contains(label), "{label} at {text}: {labels:?}");
        }
        for label in none {
            assert!(!labels.contains(label), "{label} at {text}: {labels:?}");
        }
    }

    #[test]
    fn what_fits_is_offered() {
        check("ru|", 0, &["rule"], &["account.age"]);
        check("when acc|", 5, &["account.age"], &["remove"]);
        check(
            "when account.|",
            13,
            &["age", "handle"],
            &["contains", "members"],
        );
        check("when account.a|ge > 1", 13, &["age"], &["contains"]);
        check(
            "when content.text.con|",
            18,
            &["contains", "containsPhrase"],
            &["media"],
        );
        check(
            "content.media.exists(m, m.|",
            26,
            &["quality", "contains"],
            &[],
        );
        check("bank(\"|", 6, &["SLOGANS"], &["rule"]);
        check("bank(\"SL|", 6, &["SLOGANS"], &[]);
        check(
            "bank(\"SLOGANS\").|",
            16,
            &["matches", "form"],
            &["contains"],
        );
        check("content.text.contains(\"acc|", 23, &[], &["account.age"]);
        check("// acc|", 3, &[], &["account.age"]);
        check("policy |", 7, &["spam"], &["rule"]);
        check("expect verdict li|", 15, &["links"], &[]);
        check("on post.created, |", 17, &["post.updated"], &["rule"]);
        check("mode |", 5, &["shadow"], &["rule"]);
        // 🏴 is two units of UTF-16, and four bytes.
        check("// 🏴\nru|", 6, &["rule"], &[]);
    }

    #[test]
    fn a_place_outside_the_text_is_its_end() {
        let known = Known::default();
        assert_eq!(complete(&known, "ru", 99).from, 0);
        assert_eq!(complete(&known, "", 0).from, 0);
    }

    #[test]
    fn places_are_counted_as_browsers_count() {
        let text = "// 🏴\nrule r { policy p reason \"é\" when content.txt == \"x\" and content.lnk == \"y\" then remove(content) }";
        let source = Source {
            name: "r.rules".into(),
            text: text.into(),
        };
        let found = compile(std::slice::from_ref(&source), &Schema::builtin()).unwrap_err();
        let marked = diagnostics(text, &found);
        let units: Vec<u16> = text.encode_utf16().collect();
        let parts: Vec<String> = marked
            .iter()
            .map(|it| String::from_utf16(&units[it.from..it.to]).unwrap())
            .collect();
        assert_eq!(parts, ["txt", "lnk"]);
        assert!(
            marked[0].hint.as_ref().unwrap().contains("text"),
            "{marked:?}"
        );
    }
}
