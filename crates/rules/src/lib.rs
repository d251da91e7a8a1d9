//! Rules: rule text to diagnostics; event, matches and facts to verdicts. No I/O, no clock, no
//! randomness, and no panic whatever the text or the event.
//!
//! ```text
//!   *.rules ── lexer ── parser ──▶ ast ── check ──▶ typed ──┬─ compile ──▶ closures ─▶ does it fire?
//!      │                  │                │     (schema)   │                              │ yes
//!      └── spans ─────────┴── Diagnostic ──┘                └─ explain ◀───────────────────┘
//!                                                               └──▶ Verdict { because, trace, effects }
//! ```
//!
//! The language is described in `docs/rules.md`. Its expressions are a subset of the syntax of
//! [CEL](https://github.com/google/cel-spec), typed, bounded in cost, and three-valued: a missing
//! value is *unknown*, and a condition that ends unknown does not fire.
//!
//! ```
//! use manara_model::{Event, Facts, Origin};
//! use manara_rules::{Schema, Source, compile};
//!
//! let text = r#"
//!     rule empty_promise {
//!       on post.created
//!       policy spam
//!       reason "This post was held back because it looks like spam."
//!       when content.text.lower().contains("free money") and account.age < 7d
//!       then restrict(content, for: 24h), enqueue("spam", priority: 3)
//!     }"#;
//! let source = Source { name: "spam.rules".into(), text: text.into() };
//! let rules = compile(&[source], &Schema::builtin()).unwrap();
//!
//! let json = br#"{"id":"1","source":"forum.example","type":"post.created","time":"2026-11-22T10:15:00Z",
//!   "account":{"id":"a","created_at":"2026-11-22T09:00:00Z"},"content":{"id":"p","text":"FREE money!"}}"#;
//! let (event, _) = Event::from_json(json, Origin::Http).unwrap();
//! let facts = Facts { event: &event, media: &[], matches: &[], received_at: event.time };
//!
//! let verdicts = rules.evaluate(&facts);
//! assert_eq!(verdicts[0].rule.as_str(), "empty_promise");
//! assert_eq!(verdicts[0].effects.len(), 2);
//! assert!(verdicts[0].trace.iter().any(|t| t.expression == "account.age" && t.value == "1h15m"));
//! ```
#![warn(missing_docs)]

#[cfg(test)]
mod agree;
pub mod assist;
mod ast;
mod check;
mod compile;
pub mod counters;
mod diagnostic;
mod env;
mod eval;
mod evaluation;
mod explain;
mod lexer;
mod lexicon;
mod library;
mod literal;
mod memo;
mod memory;
mod ops;
mod parser;
mod recollection;
mod ruleset;
mod schema;
mod schema_file;
mod state;
mod suggest;
mod testing;
mod typed;
mod types;

pub use check::RULE_COST_MAX as COST_MAX;
pub use diagnostic::{Diagnostic, Severity, Source, render_colour, render_plain};
pub use eval::{Explained, ExplainedLine};
pub use evaluation::Begun;
pub use library::{FunctionDoc, functions};
pub use memory::{Memory, Remembered, Sets};
pub use recollection::Recollection;
pub use ruleset::{Counter, CounterFunction, Limits, Rule, RuleSet, compile};
pub use schema::{AttributeDoc, FieldDoc, Schema, fields};
pub use state::{Breakers, Fresh, Judged, Opened, Past, Readings, Settings, State, Stopped, Undo};
pub use testing::TestOutcome;
pub use types::Type;

/// Reads a length of time as rules write it: `24h`, `1h30m`, `7d`.
///
/// ```
/// assert_eq!(manara_rules::duration("7d"), Some(jiff::SignedDuration::from_hours(168)));
/// assert_eq!(manara_rules::duration("7 days"), None);
/// ```
pub fn duration(text: &str) -> Option<jiff::SignedDuration> {
    literal::parse_duration(text)
}
