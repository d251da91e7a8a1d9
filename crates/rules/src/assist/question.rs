//! Questions and answers in JSON, counted as editors in a browser count: in UTF-16 units.

use super::{Around, Offsets, complete, definition, hover, outline};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A question about a text. Offsets are in UTF-16 units.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// What may be written here?
    Complete {
        /// The whole file.
        text: String,
        /// Where the cursor is.
        offset: usize,
    },
    /// What is this?
    Hover {
        /// The whole file.
        text: String,
        /// Where the pointer is.
        offset: usize,
    },
    /// Where is this declared?
    Definition {
        /// The whole file.
        text: String,
        /// Where the name is.
        offset: usize,
    },
    /// What items are there?
    Outline {
        /// The whole file.
        text: String,
    },
}

/// The answer to a question, with every range in UTF-16 units: a list of [`Completion`](super::Completion)s
/// or [`Symbol`](super::Symbol)s, a [`Hover`](super::Hover) or [`Definition`](super::Definition), or null.
///
/// ```
/// use manara_rules::assist::{Around, answer};
/// let schema = manara_rules::Schema::builtin();
/// let around = Around { schema: &schema, banks: &[], sets: &[], other_sources: &[] };
/// let question = r#"{ "ask": "complete", "text": "// «راية»\nrule r { when account.ag", "offset": 34 }"#;
/// let answer = answer(&serde_json::from_str(question).unwrap(), &around);
/// assert_eq!(answer[0]["label"], "age");
/// assert_eq!(answer[0]["replace"], serde_json::json!({ "start": 32, "end": 34 }));
/// ```
pub fn answer(question: &Question, around: &Around<'_>) -> Value {
    match question {
        Question::Complete { text, offset } => {
            let offsets = Offsets::of(text);
            let mut found = complete(text, offsets.to_byte(*offset), around);
            for completion in &mut found {
                completion.replace = offsets.range(&completion.replace);
            }
            value(&found)
        }
        Question::Hover { text, offset } => {
            let offsets = Offsets::of(text);
            let found = hover(text, offsets.to_byte(*offset), around).map(|mut hover| {
                hover.range = offsets.range(&hover.range);
                hover
            });
            value(&found)
        }
        Question::Definition { text, offset } => {
            let offsets = Offsets::of(text);
            let found = definition(text, offsets.to_byte(*offset), around).map(|mut found| {
                let other = around
                    .other_sources
                    .iter()
                    .find(|source| found.source.as_ref() == Some(&source.name));
                found.range = match other {
                    Some(other) => Offsets::of(&other.text).range(&found.range),
                    None => offsets.range(&found.range),
                };
                found
            });
            value(&found)
        }
        Question::Outline { text } => {
            let offsets = Offsets::of(text);
            let mut found = outline(text);
            for symbol in &mut found {
                symbol.range = offsets.range(&symbol.range);
                symbol.name_range = offsets.range(&symbol.name_range);
            }
            value(&found)
        }
    }
}

fn value(found: &impl Serialize) -> Value {
    // These are texts, numbers and lists, which JSON has.
    serde_json::to_value(found).unwrap_or(Value::Null)
}
