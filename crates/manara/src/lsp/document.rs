//! A text that is open in an editor, and positions in it.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::PathBuf;

/// Largest text that is kept, in bytes: larger than a rule file may be, so that its author is told.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How an editor counts within a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16,
}

/// A line from 0, and how far into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) character: u32,
}

/// From one place to another, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) start: Position,
    pub(super) end: Position,
}

/// A change of a text; without a range, all of it.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    range: Option<Span>,
    text: String,
}

/// An open text.
#[derive(Debug)]
pub(super) struct Document {
    /// Where it is kept, unless it is in memory only.
    pub(super) path: Option<PathBuf>,
    pub(super) version: Option<i64>,
    pub(super) text: String,
    /// Whether it was too large to keep, so that changes to parts of it mean nothing.
    pub(super) lost: bool,
}

impl Document {
    /// Takes a change in.
    pub(super) fn apply(&mut self, change: Change, encoding: Encoding) {
        match change.range {
            None => (self.text, self.lost) = (change.text, false),
            Some(_) if self.lost => {}
            Some(span) => {
                let range = Lines::of(&self.text).bytes(span, encoding);
                self.text.replace_range(range, &change.text);
            }
        }
        if self.text.len() > TEXT_BYTES_MAX {
            (self.text, self.lost) = (String::new(), true);
        }
    }
}

/// The lines of a text.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// A line ends with `\n`, `\r\n` or `\r`.
    pub(super) fn of(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends = |at: &usize| match bytes.get(*at) {
            Some(b'\n') => true,
            Some(b'\r') => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let after = (0..bytes.len()).filter(ends).map(|at| at + 1);
        let starts = std::iter::once(0).chain(after).collect();
        Self { text, starts }
    }

    /// The text of a line, without its end.
    fn line(&self, line: usize) -> (usize, &'t str) {
        let Some(start) = self.starts.get(line).copied() else {
            return (self.text.len(), "");
        };
        let end = self
            .starts
            .get(line + 1)
            .copied()
            .unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or_default();
        (start, text.trim_end_matches(['\n', '\r']))
    }

    /// In bytes; beyond the end of a line, its end.
    pub(super) fn byte(&self, position: Position, encoding: Encoding) -> usize {
        let (start, line) = self.line(position.line as usize);
        let mut units = 0;
        for (at, c) in line.char_indices() {
            units += length(c, encoding);
            if units > position.character as usize {
                return start + at;
            }
        }
        start + line.len()
    }

    fn bytes(&self, span: Span, encoding: Encoding) -> Range<usize> {
        let start = self.byte(span.start, encoding);
        start..self.byte(span.end, encoding).max(start)
    }

    pub(super) fn position(&self, byte: usize, encoding: Encoding) -> Position {
        let line = self
            .starts
            .partition_point(|start| *start <= byte)
            .saturating_sub(1);
        let (start, text) = self.line(line);
        let before = text.char_indices().take_while(|(at, _)| start + at < byte);
        let character: usize = before.map(|(_, c)| length(c, encoding)).sum();
        Position {
            line: line as u32,
            character: character as u32,
        }
    }

    pub(super) fn span(&self, bytes: &Range<usize>, encoding: Encoding) -> Span {
        Span {
            start: self.position(bytes.start, encoding),
            end: self.position(bytes.end, encoding),
        }
    }
}

fn length(c: char, encoding: Encoding) -> usize {
    match encoding {
        Encoding::Utf8 => c.len_utf8(),
        Encoding::Utf16 => c.len_utf16(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\n«راية» 😀x\r\nb\rc";

    #[test]
    fn positions_lead_back_to_where_they_came_from() {
        let lines = Lines::of(TEXT);
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            for (at, c) in TEXT.char_indices().filter(|(_, c)| !"\r\n".contains(*c)) {
                let position = lines.position(at, encoding);
                assert_eq!(lines.byte(position, encoding), at, "{c} {position:?}");
            }
        }
        let x = TEXT.find('x').unwrap();
        let character = |encoding| lines.position(x, encoding).character;
        assert_eq!(
            (character(Encoding::Utf16), character(Encoding::Utf8)),
            (9, 17)
        );
    }

    #[test]
    fn what_is_beyond_a_line_is_its_end() {
        let lines = Lines::of(TEXT);
        let byte = |line, character| lines.byte(Position { line, character }, Encoding::Utf16);
        assert_eq!(byte(0, 9), 1);
        assert_eq!(byte(1, 99), TEXT.find("\r\n").unwrap());
        assert_eq!(
            (byte(3, 0), byte(3, 9), byte(9, 9)),
            (TEXT.len() - 1, TEXT.len(), TEXT.len())
        );
    }

    #[test]
    fn changes_are_taken_in_one_after_another() {
        let mut document = Document {
            path: None,
            version: None,
            text: TEXT.into(),
            lost: false,
        };
        let at = |line, character| Position { line, character };
        let change = |start, end, text: &str| Change {
            range: Some(Span { start, end }),
            text: text.into(),
        };
        document.apply(change(at(1, 7), at(1, 9), "y"), Encoding::Utf16);
        document.apply(change(at(0, 0), at(0, 1), ""), Encoding::Utf16);
        assert_eq!(document.text, "\n«راية» yx\r\nb\rc");
        // From behind to before is nothing but an insertion.
        document.apply(change(at(0, 5), at(0, 0), "z"), Encoding::Utf16);
        assert_eq!(document.text, "z\n«راية» yx\r\nb\rc");
        let text = "x".repeat(TEXT_BYTES_MAX + 1);
        document.apply(Change { range: None, text }, Encoding::Utf16);
        assert!(document.lost && document.text.is_empty());
        document.apply(change(at(0, 0), at(0, 0), "z"), Encoding::Utf16);
        assert_eq!(document.text, "");
        let text = "new".into();
        document.apply(Change { range: None, text }, Encoding::Utf16);
        assert_eq!((document.text.as_str(), document.lost), ("new", false));
    }
}
