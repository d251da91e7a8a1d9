//! Two texts side by side of each other: what was taken out, what was put in.

use crate::console::text::{self, Html};
use similar::{ChangeTag, TextDiff};
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
    pub(super) added: usize,
    pub(super) removed: usize,
    /// How many lines there are beyond those shown.
    pub(super) more: usize,
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
