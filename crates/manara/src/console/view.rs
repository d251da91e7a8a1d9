//! Small things that many pages show: times, counts, bars, chips, entities, authors.

use super::text::{self, Html};
use askama::filters::HtmlSafe;
use jiff::{SignedDuration, Timestamp};
use manara_model::{ActionKind, Author, CaseState, Detail, Effect, Entity, Outcome};
use std::fmt;

/// A time, as it is best read: how long ago, or the full time, with the other on hover.
#[derive(Debug, Clone, Copy)]
pub(super) struct When {
    at: Timestamp,
    ago_at: Option<Timestamp>,
}

impl When {
    /// The full time, in UTC.
    pub(super) fn exact(at: Timestamp) -> Self {
        Self { at, ago_at: None }
    }

    /// How long before `now` it was.
    pub(super) fn ago(at: Timestamp, now: Timestamp) -> Self {
        Self {
            at,
            ago_at: Some(now),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = self.at.strftime("%-d %b %Y, %H:%M:%S UTC");
        let machine = self.at.strftime("%Y-%m-%dT%H:%M:%SZ");
        match self.ago_at {
            None => write!(f, "<time datetime=\"{machine}\">{full}</time>"),
            Some(now) => {
                let ago = span(now.duration_since(self.at));
                write!(
                    f,
                    "<time datetime=\"{machine}\" title=\"{full}\">{ago} ago</time>"
                )
            }
        }
    }
}
impl HtmlSafe for When {}

/// A length of time in its two largest units: `3 h 12 min`.
pub(super) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let pair = |large: i64, name: &str, small: i64, small_name: &str| match small {
        0 => format!("{large} {name}"),
        _ => format!("{large} {name} {small} {small_name}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => pair(hours, "h", minutes % 60, "min"),
        (1..730, ..) => pair(days, "d", hours % 24, "h"),
        _ => format!("{} years", days / 365),
    }
}

/// A count with its thousands set apart: `1,234,567`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
impl HtmlSafe for Count {}

/// `1 case`, `2 cases`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", Count(count), if count == 1 { one } else { many })
}

/// A horizontal bar, drawn without a script or a style: one or two parts of a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) first: u64,
    pub(super) second: u64,
    pub(super) whole: u64,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |part: u64| part as f64 * 100.0 / self.whole.max(1) as f64;
        let (first, second) = (width(self.first), width(self.second));
        f.write_str("<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">")?;
        write!(f, "<rect width=\"{first:.2}\" height=\"4\"/>")?;
        write!(
            f,
            "<rect class=\"second\" x=\"{first:.2}\" width=\"{second:.2}\" height=\"4\"/></svg>"
        )
    }
}
impl HtmlSafe for Bar {}

/// A word in a coloured pill; the colour only repeats what the word says.
#[derive(Debug, Clone)]
pub(super) struct Chip {
    pub(super) tone: &'static str,
    pub(super) word: &'static str,
    pub(super) rest: Option<Html>,
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"chip {}\">{}", self.tone, self.word)?;
        if let Some(rest) = &self.rest {
            write!(f, " {rest}")?;
        }
        f.write_str("</span>")
    }
}
impl HtmlSafe for Chip {}

/// Where a case is in its life.
pub(super) fn state_chip(state: &CaseState, reader: &str) -> Chip {
    match state {
        CaseState::Open => Chip {
            tone: "",
            word: "waiting",
            rest: None,
        },
        CaseState::Claimed { by, .. } if by == reader => Chip {
            tone: "go",
            word: "claimed by you",
            rest: None,
        },
        CaseState::Claimed { by, .. } => Chip {
            tone: "warn",
            word: "claimed by",
            rest: Some(text::inline(by)),
        },
        CaseState::Closed { outcome, .. } => Chip {
            tone: "good",
            word: outcome_word(*outcome),
            rest: None,
        },
    }
}

/// An outcome as something that has happened.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Keep => "kept",
        Outcome::Remove => "removed",
        Outcome::Suspend => "suspended",
    }
}

/// An entity: its type as a word, its identifier as somebody else's text.
#[derive(Debug, Clone)]
pub(super) struct EntityView {
    pub(super) kind: &'static str,
    pub(super) id: Html,
}

impl From<&Entity> for EntityView {
    fn from(entity: &Entity) -> Self {
        Self {
            kind: entity.r#type.as_str(),
            id: text::inline(&entity.id),
        }
    }
}

impl fmt::Display for EntityView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"kind\">{}</span> {}", self.kind, self.id)
    }
}
impl HtmlSafe for EntityView {}

/// Who did something.
#[derive(Debug, Clone)]
pub(super) struct By {
    words: &'static str,
    name: Option<Html>,
}

impl From<&Author> for By {
    fn from(author: &Author) -> Self {
        let (words, name) = match author {
            Author::Rules => ("by the rules", None),
            Author::Reviewer(login) => ("by", Some(login)),
            Author::Key(id) => ("by API key", Some(id)),
            Author::Operator(name) => ("at the server’s command line, by", Some(name)),
            Author::System => ("by Manara itself", None),
        };
        Self {
            words,
            name: name.map(|name| text::inline(name)),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)?;
        self.name
            .as_ref()
            .map_or(Ok(()), |name| write!(f, " {name}"))
    }
}
impl HtmlSafe for By {}

/// An action in words: `enqueue in tvec, priority 8`. Names and numbers only, nothing foreign.
pub(super) fn action_words(kind: ActionKind, detail: &Detail) -> String {
    let mut words = kind.as_str().to_owned();
    if let Some(label) = &detail.label {
        words += &format!(" {label}");
    }
    if let Some(queue) = &detail.queue {
        words += &format!(" in {queue}");
    }
    if let Some(priority) = detail.priority {
        words += &format!(", priority {priority}");
    }
    if let Some(weight) = detail.weight {
        words += &format!(", weight {weight}");
    }
    if let Some(seconds) = detail.duration_s {
        let duration = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        words += &format!(" for {}", span(duration));
    }
    words
}

/// An effect in words: `remove content`.
pub(super) fn effect_words(effect: &Effect) -> String {
    let words = action_words(effect.kind, &effect.detail);
    match effect.index {
        Some(index) => format!("{} {}: {words}", effect.target, index + 1),
        None => format!("{}: {words}", effect.target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_in_two_units() {
        for (seconds, expect) in [
            (-5, "0 s"),
            (59, "59 s"),
            (61, "1 min"),
            (3_600, "1 h"),
            (11_520, "3 h 12 min"),
            (90_000, "1 d 1 h"),
            (63_072_000, "2 years"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), expect);
        }
    }

    #[test]
    fn counts_are_grouped() {
        for (count, expect) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(Count(count).to_string(), expect);
        }
        assert_eq!(counted(1, "case", "cases"), "1 case");
        assert_eq!(counted(2_000, "case", "cases"), "2,000 cases");
    }

    #[test]
    fn times_are_machine_readable() {
        let at: Timestamp = "2026-11-22T10:15:00Z".parse().unwrap();
        let now: Timestamp = "2026-11-22T13:27:00Z".parse().unwrap();
        assert_eq!(
            When::exact(at).to_string(),
            "<time datetime=\"2026-11-22T10:15:00Z\">22 Nov 2026, 10:15:00 UTC</time>"
        );
        assert!(
            When::ago(at, now)
                .to_string()
                .ends_with(">3 h 12 min ago</time>")
        );
    }
}
