//! The part of a text around a match, cut out when the match is found, so that the text itself need
//! not be kept.

use manara_model::Span;
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// How many bytes are kept before and after the match.
const AROUND_BYTES: usize = 160;
/// How many bytes of the match itself are kept: a disguise may be arbitrarily long.
const MATCH_BYTES_MAX: usize = 480;

/// A match with its surroundings, in the original text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// Where in `text` the match is.
    pub(crate) span: Span,
    /// Whether text was left out before and after.
    pub(crate) cut: (bool, bool),
}

impl Excerpt {
    /// Cuts out what is around `span`; a span that does not fit the text is narrowed until it does.
    pub(crate) fn of(text: &str, span: Span) -> Self {
        let start = floor(text, span.start);
        let end = ceil(text, span.end.clamp(start, start + MATCH_BYTES_MAX));
        // The byte order mark of a file is not part of what it says.
        let mark = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let from = ceil(text, start.saturating_sub(AROUND_BYTES).max(mark)).min(start);
        let to = floor(text, end + AROUND_BYTES).max(end);
        Self {
            text: text.get(from..to).unwrap_or_default().to_owned(),
            span: Span {
                start: start - from,
                end: end - from,
            },
            cut: (from > mark, to < text.len()),
        }
    }

    /// All of a short text, as the match.
    pub(crate) fn whole(text: &str) -> Self {
        Self::of(
            text,
            Span {
                start: 0,
                end: text.len(),
            },
        )
    }

    /// What stands before the match, the match, and what stands after it.
    pub(crate) fn parts(&self) -> [&str; 3] {
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        [
            part(0, self.span.start),
            part(self.span.start, self.span.end),
            part(self.span.end, self.text.len()),
        ]
    }
}

/// As `{"before":…,"match":…,"after":…}`.
impl Serialize for Excerpt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [before, matched, after] = self.parts();
        let mut parts = serializer.serialize_struct("Excerpt", 3)?;
        parts.serialize_field("before", before)?;
        parts.serialize_field("match", matched)?;
        parts.serialize_field("after", after)?;
        parts.end()
    }
}

/// The nearest character boundary at or before `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// The nearest character boundary at or after `at`.
pub(super) fn ceil(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, start: usize, end: usize, expect: [&str; 3]) {
        assert_eq!(Excerpt::of(text, Span { start, end }).parts(), expect);
    }

    #[test]
    fn a_span_is_narrowed_to_the_text_and_to_whole_characters() {
        check("say راية now", 4, 12, ["say ", "راية", " now"]);
        check("say راية now", 5, 11, ["say ", "راية", " now"]);
        check("short", 2, 99, ["sh", "ort", ""]);
        check("short", 99, 2, ["short", "", ""]);
        check("", 0, 1, ["", "", ""]);
        check("\u{feff}now", 3, 6, ["", "now", ""]);
    }

    #[test]
    fn long_surroundings_and_long_matches_are_cut() {
        let text = format!("{}X{}", "ا".repeat(400), "b".repeat(4000));
        let excerpt = Excerpt::of(
            &text,
            Span {
                start: 800,
                end: 4801,
            },
        );
        let [before, matched, after] = excerpt.parts();
        assert_eq!((before.len(), matched.len(), after.len()), (160, 480, 160));
        assert_eq!(excerpt.cut, (true, true));
    }
}
