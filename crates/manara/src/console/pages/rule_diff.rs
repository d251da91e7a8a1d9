//! What differs between two texts, and what two people's changes of one text come to together.

use crate::console::text::{self, Html};
use crate::console::view::{Count, counted};
use similar::{ChangeTag, DiffTag, TextDiff};
use std::ops::Range;
use std::time::Duration;

/// Most lines of a difference that are shown.
const LINES_MAX: usize = 1_500;
/// Lines shown around each change.
const AROUND: usize = 3;
/// How long is looked for a short difference; after that a longer one has to do.
const LOOKING_TIME: Duration = Duration::from_millis(300);

/// What differs between two texts.
pub(super) struct DiffView {
    pub(super) lines: Vec<DiffLine>,
    added: usize,
    removed: usize,
    /// How many lines there are beyond those shown.
    pub(super) more: usize,
}

impl DiffView {
    /// How much there is, in words.
    pub(super) fn summary(&self) -> String {
        let added = counted(self.added as u64, "line", "lines");
        format!("{added} in, {} out", Count(self.removed as u64))
    }
}

/// A line of a difference, or a gap between two places.
pub(super) struct DiffLine {
    pub(super) kind: &'static str,
    pub(super) sign: &'static str,
    pub(super) old: Option<usize>,
    pub(super) new: Option<usize>,
    pub(super) text: Html,
}

/// How `old` becomes `new`.
pub(super) fn diff(old: &str, new: &str) -> DiffView {
    let diff = TextDiff::configure()
        .timeout(LOOKING_TIME)
        .diff_lines(old, new);
    let mut view = DiffView {
        lines: Vec::new(),
        added: 0,
        removed: 0,
        more: 0,
    };
    for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if index > 0 {
            view.lines.push(gap());
        }
        for op in group {
            for change in diff.iter_changes(op) {
                let (kind, sign) = match change.tag() {
                    ChangeTag::Equal => ("same", ""),
                    ChangeTag::Delete => ("out", "−"),
                    ChangeTag::Insert => ("in", "+"),
                };
                view.added += usize::from(kind == "in");
                view.removed += usize::from(kind == "out");
                if view.lines.len() >= LINES_MAX {
                    view.more += 1;
                    continue;
                }
                view.lines.push(DiffLine {
                    kind,
                    sign,
                    old: change.old_index().map(|line| line + 1),
                    new: change.new_index().map(|line| line + 1),
                    text: text::verbatim(change.value().trim_end_matches(['\n', '\r'])),
                });
            }
        }
    }
    view
}

/// Both people's changes of `base` in one text, where none of them touches one of the other's;
/// `None` where a person has to put them together.
pub(super) fn merged(base: &str, theirs: &str, yours: &str) -> Option<String> {
    let lines: Vec<&str> = base.split_inclusive('\n').collect();
    let mut changes = changes(base, theirs);
    changes.extend(self::changes(base, yours));
    changes.sort_by_key(|change| (change.of.start, change.of.end));
    // What both have done in the same way is done once.
    changes.dedup();
    let mut out = String::with_capacity(theirs.len().max(yours.len()));
    let mut at = 0;
    for (index, change) in changes.iter().enumerate() {
        // Two changes side by side are seldom two thoughts, so they count as touching.
        if index > 0 && change.of.start <= at {
            return None;
        }
        out.extend(lines.get(at..change.of.start)?.iter().copied());
        out.push_str(&change.to);
        at = change.of.end;
    }
    out.extend(lines.get(at..)?.iter().copied());
    Some(out)
}

/// Lines of a text, and what stands in their place.
#[derive(Debug, PartialEq, Eq)]
struct Replaced {
    of: Range<usize>,
    to: String,
}

fn changes(old: &str, new: &str) -> Vec<Replaced> {
    let lines: Vec<&str> = new.split_inclusive('\n').collect();
    let diff = TextDiff::configure()
        .timeout(LOOKING_TIME)
        .diff_lines(old, new);
    let changed = diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal);
    changed
        .map(|op| Replaced {
            of: op.old_range(),
            to: lines.get(op.new_range()).unwrap_or_default().concat(),
        })
        .collect()
}

fn gap() -> DiffLine {
    DiffLine {
        kind: "gap",
        sign: "",
        old: None,
        new: None,
        text: text::verbatim("⋯"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &str, new: &str, expect: &[&str]) {
        let view = diff(old, new);
        let lines: Vec<String> = view
            .lines
            .iter()
            .map(|it| format!("{}{}", it.sign, it.text))
            .collect();
        assert_eq!(lines, expect);
    }

    fn numbers(count: usize) -> String {
        let lines: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        lines.join("\n") + "\n"
    }

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        check("a\nb\nc\n", "a\nB\nc\n", &["a", "−b", "+B", "c"]);
        check("", "a\n", &["+a"]);
        check("a\n", "a\n", &[]);
        check("a<b\n", "", &["−a&lt;b"]);
        let long = numbers(30);
        let other = long.replace("\n2\n", "\ntwo\n").replace("\n27\n", "\n");
        let view = diff(&long, &other);
        assert_eq!(view.lines.iter().filter(|it| it.kind == "gap").count(), 1);
        assert_eq!((view.added, view.removed, view.more), (1, 2, 0));
    }

    #[track_caller]
    fn check_merged(base: &str, theirs: &str, yours: &str, expect: Option<&str>) {
        let text = |words: &str| words.replace(' ', "\n") + "\n";
        let found = merged(&text(base), &text(theirs), &text(yours));
        assert_eq!(found, expect.map(text), "{base} / {theirs} / {yours}");
        let other = merged(&text(base), &text(yours), &text(theirs));
        assert_eq!(found, other, "whose is whose makes no difference");
    }

    #[test]
    fn changes_that_do_not_touch_come_together() {
        check_merged("a b c d e", "A b c d e", "a b c d E", Some("A b c d E"));
        check_merged("a b c d e", "b c d e", "a b c x d e", Some("b c x d e"));
        check_merged("a b c", "a b c", "a x c", Some("a x c"));
        check_merged("a b c", "a x c", "a x c", Some("a x c"));
        check_merged("a b c d e", "a x c d E", "a x c d e", Some("a x c d E"));
    }

    #[test]
    fn changes_that_touch_are_a_persons_work() {
        check_merged("a b c", "a x c", "a y c", None);
        check_merged("a b c", "a x c", "a c", None);
        check_merged("a b c", "x b c", "a y c", None);
        check_merged("a b", "x a b", "y a b", None);
        check_merged("a b", "a b x", "a b y", None);
        check_merged("a b c d", "a d", "a b x c d", None);
    }

    #[test]
    fn a_text_that_nobody_began_from_comes_together_only_if_it_is_the_same() {
        assert_eq!(merged("", "a\n", "a\n").as_deref(), Some("a\n"));
        assert_eq!(merged("", "a\n", "b\n"), None);
        assert_eq!(merged("", "", "b\n").as_deref(), Some("b\n"));
    }

    #[test]
    fn a_large_difference_is_cut() {
        let old = numbers(4_000);
        let view = diff(&old, "");
        assert_eq!(
            (view.lines.len(), view.more, view.removed),
            (1_500, 2_500, 4_000)
        );
    }
}
