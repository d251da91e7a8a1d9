//! What the editor of rules is told: what is wrong with a text, and what may stand at a place.
//!
//! Both come from the language itself: the compiler and [`manara_rules::assist`], as `manara rules lsp`
//! uses them. Offsets are in UTF-16 units, as browsers and language servers count.

use manara_rules::assist::{self, Around, Completion, CompletionKind};
use manara_rules::{Diagnostic, Severity};
use serde::Serialize;

/// Most items offered at once.
const ITEMS_MAX: usize = 200;

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
    /// Where what it replaces begins, in UTF-16 units.
    pub(super) from: usize,
    /// Where that ends; not before the cursor.
    pub(super) to: usize,
    pub(super) items: Vec<Item>,
}

/// One thing that may stand there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) label: String,
    /// `keyword`, `property`, `function`, `variable`, `type`, `constant` or `text`.
    pub(super) kind: &'static str,
    /// Its type or form, in a few characters.
    pub(super) detail: String,
    pub(super) doc: String,
    /// What is written, with places to fill in as `${1:name}`.
    pub(super) insert: String,
    /// What is written where places cannot be filled in.
    pub(super) plain: String,
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
            let start = text.floor_char_boundary(it.span.start);
            units += utf16(text.get(bytes..start).unwrap_or_default());
            bytes = start;
            let end = text.floor_char_boundary(it.span.end).max(start);
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
pub(super) fn complete(text: &str, offset: usize, around: &Around<'_>) -> Completions {
    let at = byte_of(text, offset);
    let mut found = assist::complete(text, at, around);
    // They all replace the same.
    let replace = found.first().map_or(at..at, |best| best.replace.clone());
    found.truncate(ITEMS_MAX);
    Completions {
        from: offset_of(text, replace.start),
        to: offset_of(text, replace.end),
        items: found.into_iter().map(item).collect(),
    }
}

fn item(found: Completion) -> Item {
    Item {
        kind: icon(found.kind),
        plain: found.plain(),
        label: found.label,
        detail: found.detail,
        doc: found.doc,
        insert: found.insert,
    }
}

/// The editor's name for a kind of thing.
fn icon(kind: CompletionKind) -> &'static str {
    match kind {
        CompletionKind::Keyword => "keyword",
        CompletionKind::Field => "property",
        CompletionKind::Function | CompletionKind::Effect | CompletionKind::Counter => "function",
        CompletionKind::Variable | CompletionKind::Argument => "variable",
        CompletionKind::EventType => "type",
        CompletionKind::Snippet => "text",
        CompletionKind::Bank
        | CompletionKind::Set
        | CompletionKind::Lexicon
        | CompletionKind::Policy
        | CompletionKind::Label
        | CompletionKind::Queue
        | CompletionKind::Receiver
        | CompletionKind::Rule
        | CompletionKind::Value => "constant",
    }
}

fn utf16(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
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

#[cfg(test)]
mod tests {
    use super::*;
    use manara_rules::{Schema, Source, compile};

    /// What is offered at `|`, and what it replaces.
    #[track_caller]
    fn offered(text: &str) -> (String, Vec<Item>) {
        let (before, after) = text.split_once('|').unwrap();
        let text = format!("{before}{after}");
        let schema = Schema::builtin();
        let banks = ["SLOGANS".to_owned()];
        let around = Around {
            schema: &schema,
            banks: &banks,
            sets: &[],
            other_sources: &[],
        };
        let found = complete(&text, utf16(before), &around);
        let units: Vec<u16> = text.encode_utf16().collect();
        let replaced = String::from_utf16(&units[found.from..found.to]).unwrap();
        (replaced, found.items)
    }

    #[test]
    fn what_fits_is_offered_with_what_it_replaces() {
        // 🏴 is two units of UTF-16, and four bytes.
        for (text, replaced, label) in [
            ("// 🏴\nru|", "ru", "rule"),
            ("// 🏴\nrule r { when account.a|ge > 1d", "age", "age"),
            ("rule r { when bank(\"SL|", "SL", "SLOGANS"),
            ("rule r { mode |", "", "shadow"),
        ] {
            let (found, items) = offered(text);
            assert_eq!(found, replaced, "{text}");
            assert!(
                items.iter().any(|it| it.label == label),
                "{text}: {items:?}"
            );
        }
        assert_eq!(offered("// acc|"), (String::new(), Vec::new()));
    }

    #[test]
    fn places_to_fill_in_come_with_what_stands_there_without() {
        let (_, items) = offered("rule r { when h|");
        let has = items.iter().find(|it| it.label == "has").unwrap();
        assert_eq!(
            (has.insert.as_str(), has.plain.as_str()),
            ("has(${1:field})", "has(field)")
        );
    }

    #[test]
    fn a_place_outside_the_text_is_its_end() {
        let schema = Schema::builtin();
        let around = Around {
            schema: &schema,
            banks: &[],
            sets: &[],
            other_sources: &[],
        };
        assert_eq!(complete("ru", 99, &around).from, 0);
        assert_eq!(complete("", 0, &around).from, 0);
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
