//! A stretch of text as links are read in it: what hides them undone, with the way back to the text.

use super::find::is_outside_links;
use std::borrow::Cow;
use std::ops::Range;

/// What was undone to read a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Undone(u8);

impl Undone {
    /// Written so that nobody clicks it: `hxxps://`, `[.]`, `(dot)`, `[:]`.
    pub const DEFANGED: Self = Self(1);
    /// A dot spelt as a word between spaces: `example dot com`, also in Arabic, Russian, Indonesian.
    pub const SPELT: Self = Self(2);
    /// Characters that are not seen: zero-width spaces, soft hyphens, direction marks.
    pub const HIDDEN: Self = Self(4);
    /// Full-width letters and dots.
    pub const WIDE: Self = Self(8);

    /// Whether all of these were undone.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing had to be.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One word for each.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (Self::DEFANGED, "defanged"),
            (Self::SPELT, "spelt"),
            (Self::HIDDEN, "hidden"),
            (Self::WIDE, "wide"),
        ];
        all.into_iter()
            .filter_map(move |(one, name)| self.has(one).then_some(name))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A place where the view differs from the text.
struct Edit {
    /// Where in the view, and how many bytes there.
    at: usize,
    len: usize,
    /// Behind which byte of the text it goes on.
    original_end: usize,
    undone: Undone,
}

/// A stretch of text with the edits made in it.
pub(super) struct View<'t> {
    pub(super) text: Cow<'t, str>,
    start: usize,
    edits: Vec<Edit>,
}

impl<'t> View<'t> {
    /// The view of a stretch of the text.
    pub(super) fn of(text: &'t str, range: Range<usize>) -> Self {
        let part = text.get(range.clone()).unwrap_or_default();
        if is_plain(part) {
            return Self {
                text: part.into(),
                start: range.start,
                edits: Vec::new(),
            };
        }
        let mut view = Self {
            text: String::with_capacity(part.len()).into(),
            start: range.start,
            edits: Vec::new(),
        };
        view.push(part);
        view
    }

    /// Copies a part, undoing what hides links in it.
    fn push(&mut self, part: &str) {
        let (mut rest, mut at) = (part, self.start);
        let mut before = ' ';
        while let Some(c) = rest.chars().next() {
            let (with, len, undone) = undo(rest, c, before);
            let copied = rest.get(..len).unwrap_or_default();
            at += copied.len();
            if undone.is_empty() {
                self.text.to_mut().push(c);
                before = c;
            } else {
                self.edit(with, at, undone);
                before = with.chars().next().unwrap_or(before);
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }

    fn edit(&mut self, with: &str, original_end: usize, undone: Undone) {
        self.edits.push(Edit {
            at: self.text.len(),
            len: with.len(),
            original_end,
            undone,
        });
        self.text.to_mut().push_str(with);
    }

    /// The bytes of the text behind a range of the view that is not empty.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        let begun = self.edits.partition_point(|e| e.at + e.len <= range.start);
        let ended = self.edits.partition_point(|e| e.at < range.end);
        // An edit that the range ends inside of belongs to it whole.
        self.behind(begun, range.start)..self.behind(ended, range.end)
    }

    fn behind(&self, edits: usize, at: usize) -> usize {
        match edits.checked_sub(1).and_then(|last| self.edits.get(last)) {
            Some(e) => e.original_end + at.saturating_sub(e.at + e.len),
            None => self.start + at,
        }
    }

    /// What was undone in a range of the view.
    pub(super) fn undone(&self, range: Range<usize>) -> Undone {
        let first = self.edits.partition_point(|e| e.at + e.len <= range.start);
        let last = self.edits.partition_point(|e| e.at < range.end);
        let edits = self.edits.get(first..last).unwrap_or_default();
        edits
            .iter()
            .fold(Undone::default(), |all, e| all.and(e.undone))
    }
}

/// Whether nothing in a stretch can be something to undo.
fn is_plain(part: &str) -> bool {
    let suspicious = |b: u8| matches!(b, b'[' | b'(' | b' ' | 0xc2 | 0xcd | 0xd8 | 0xe1..=0xef);
    !part.bytes().any(suspicious)
}

/// What a stretch that begins with `c` begins with in the view, for how many of its bytes.
fn undo(rest: &str, c: char, before: char) -> (&'static str, usize, Undone) {
    let kept = ("", c.len_utf8(), Undone::default());
    match c {
        '[' | '(' => defanged(rest).unwrap_or(kept),
        ' ' => match spelt_dot(rest) {
            Some(len) => (".", len, Undone::SPELT),
            None => kept,
        },
        _ if c.is_ascii() => kept,
        _ if is_hidden(c) => ("", c.len_utf8(), Undone::HIDDEN),
        '。' | '｡' | '．' if before.is_alphanumeric() && goes_on(rest, c) => {
            (".", c.len_utf8(), Undone::WIDE)
        }
        _ => match narrow(c) {
            Some(narrow) => (narrow, c.len_utf8(), Undone::WIDE),
            None => kept,
        },
    }
}

/// Whether a Latin letter or digit follows, hidden characters aside: before others a `。` ends a sentence.
fn goes_on(rest: &str, c: char) -> bool {
    let after = rest.get(c.len_utf8()..).unwrap_or_default();
    let next = after.chars().take(8).find(|c| !is_hidden(*c));
    next.is_some_and(|c| narrow(c).is_some() || c.is_ascii_alphanumeric())
}

const DEFANGED: [(&str, &str); 8] = [
    ("[.]", "."),
    ("(.)", "."),
    ("[:]", ":"),
    ("[://]", "://"),
    ("[dot]", "."),
    ("(dot)", "."),
    ("[DOT]", "."),
    ("(DOT)", "."),
];

fn defanged(rest: &str) -> Option<(&'static str, usize, Undone)> {
    let found = DEFANGED.iter().find(|(form, _)| rest.starts_with(form))?;
    Some((found.1, found.0.len(), Undone::DEFANGED))
}

/// Characters that are not seen and that links do not need.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// ASCII of a full-width letter, digit or mark that addresses are made of.
fn narrow(c: char) -> Option<&'static str> {
    const ASCII: &str = "-./0123456789:@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    let code = (c as u32).checked_sub(0xfee0).filter(|code| *code < 0x7f)?;
    let at = ASCII.find(char::from(code as u8)).filter(|_| code > 0x20)?;
    // A full-width dot is read as one only between letters.
    ASCII.get(at..=at).filter(|ascii| *ascii != ".")
}

/// Words that stand for a dot between the parts of a host.
pub(super) const DOT_WORDS: [&str; 8] = [
    "dot",
    "DOT",
    "(dot)",
    "[dot]",
    "[.]",
    "نقطة",
    "точка",
    "titik",
];

/// Endings before which a word is read as a dot. They are no words of their own, for `the dot me`
/// is not an address; those that are need a path behind them.
const SPELT_ENDINGS: [&str; 11] = [
    "com", "org", "net", "io", "gg", "ly", "xyz", "tv", "onion", "example", "ru",
];

/// At a space: the length of a word that stands for a dot, with the spaces around it, when the
/// ending of a host follows.
pub(super) fn spelt_dot(rest: &str) -> Option<usize> {
    let mut at = 0;
    // As in `a dot b dot com`.
    for _ in 0..4 {
        let word = rest.get(at..)?.strip_prefix(' ')?;
        let dot = DOT_WORDS.iter().find(|dot| word.starts_with(**dot))?;
        let next = word.get(dot.len()..)?.strip_prefix(' ')?;
        let first = dot.len() + 2;
        let label = next
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .unwrap_or(next.len());
        let (label, tail) = next.split_at_checked(label)?;
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        let known = SPELT_ENDINGS.iter().any(|e| e.eq_ignore_ascii_case(label));
        let path = tail
            .strip_prefix('/')
            .is_some_and(|t| !t.starts_with(is_outside_links));
        if path || known && !tail.starts_with(['.', '\'']) || known && ends_sentence(tail) {
            let whole = dot_len(rest)?;
            return Some(whole);
        }
        at += first + label.len();
        if !tail.starts_with(' ') {
            return None;
        }
    }
    None
}

fn ends_sentence(tail: &str) -> bool {
    tail.strip_prefix('.')
        .is_some_and(|after| after.is_empty() || after.starts_with(char::is_whitespace))
}

/// The length of a space, a word for a dot and a space.
fn dot_len(rest: &str) -> Option<usize> {
    let word = rest.strip_prefix(' ')?;
    let dot = DOT_WORDS.iter().find(|dot| word.starts_with(**dot))?;
    Some(dot.len() + 2)
}
