//! Diagnostics: what is wrong with a rule text, where, and what to do about it.
//!
//! A mistake in a rule is data for its author, never an `Err` of the program. Every diagnostic has
//! the place it is about and, where there is one, a hint:
//!
//! ```text
//! error: unknown signal type `pdqq`
//!   --> rules/images.rules:4:18
//! hint: did you mean `pdq`?
//! ```

use std::fmt;
use std::ops::Range;

/// Most errors, and most warnings, reported for one file; a file with more is not a rule file with
/// mistakes in it.
const REPORTED_MAX: usize = 100;

/// One rule file, as read by whoever may read files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path as shown in diagnostics.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The rules cannot be used.
    Error,
    /// The rules can be used, but their author probably meant something else.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem of a rule text. Its `Display` is the plain form shown above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the rules can be used all the same.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The [`Source::name`] it is in.
    pub source: String,
    /// Where, in bytes of the source's text, end exclusive.
    pub span: Range<usize>,
    /// What to do about it.
    pub hint: Option<String>,
    line: u32,
    column: u32,
}

impl Diagnostic {
    /// The line it begins on, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }
    /// The character of that line it begins at, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.message)?;
        write!(f, "\n  --> {}:{}:{}", self.source, self.line, self.column)?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

/// The diagnostic in plain text: three lines at most, for logs, pipes and tests.
pub fn render_plain(diagnostic: &Diagnostic, source: &Source) -> String {
    debug_assert_eq!(
        diagnostic.source, source.name,
        "a diagnostic is shown with its own source"
    );
    diagnostic.to_string()
}

/// The diagnostic with the lines it is about, underlined and in colour, for a terminal.
pub fn render_colour(diagnostic: &Diagnostic, source: &Source) -> String {
    let report = Report {
        diagnostic,
        text: miette::NamedSource::new(&source.name, source.text.clone()),
    };
    let mut out = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode());
    match handler.render_report(&mut out, &report) {
        Ok(()) => out,
        // Drawing into a string can only fail on a span outside the text; the plain form needs none.
        Err(fmt::Error) => diagnostic.to_string(),
    }
}

/// What miette needs to draw a diagnostic: the diagnostic and the text it is about.
#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    text: miette::NamedSource<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.diagnostic
            .hint
            .as_ref()
            .map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.text)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let span = self.diagnostic.span.clone();
        Some(Box::new(std::iter::once(miette::LabeledSpan::underline(
            span,
        ))))
    }
}

/// A part of one source's text, in bytes, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// From the start of this to the end of `other`.
    pub(crate) fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end.max(self.end),
        }
    }
    /// The text it covers; empty when it is not a part of `text`.
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// The problems of one source, gathered while it is read.
#[derive(Debug)]
pub(crate) struct Problems<'s> {
    source: &'s Source,
    line_starts: Vec<usize>,
    found: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl<'s> Problems<'s> {
    pub(crate) fn of(source: &'s Source) -> Self {
        let after_newlines = source.text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Self {
            source,
            line_starts,
            found: Vec::new(),
            errors: 0,
            warnings: 0,
        }
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.add(Severity::Error, span, message.into(), None);
    }

    pub(crate) fn error_hint(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Error, span, message.into(), Some(hint.into()));
    }

    /// An error whose hint may be missing: a "did you mean" that found nothing near.
    pub(crate) fn error_maybe(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Error, span, message.into(), hint);
    }

    /// An error in the words of another part of Manara, which end in `: ` and what to do.
    pub(crate) fn refused(&mut self, span: Span, before: &str, problem: &str) {
        match problem.split_once(": ") {
            Some((message, hint)) => self.error_hint(span, format!("{before}{message}"), hint),
            None => self.error(span, format!("{before}{problem}")),
        }
    }

    pub(crate) fn warn(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Warning, span, message.into(), Some(hint.into()));
    }

    /// What is written at a place.
    pub(crate) fn text_at(&self, span: Span) -> &'s str {
        span.of(&self.source.text)
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Everything found, in the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| (d.span.start, d.span.end));
        self.found
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, at: usize) -> u32 {
        let line = self.line_starts.partition_point(|start| *start <= at);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The line of a place, from 1, and the character in it, from 1.
    pub(crate) fn line_column(&self, at: usize) -> (u32, u32) {
        let line = self.line(at);
        let start = self
            .line_starts
            .get((line as usize).saturating_sub(1))
            .copied();
        let column = self
            .source
            .text
            .get(start.unwrap_or(0)..at)
            .map_or(0, |before| before.chars().count());
        (line, u32::try_from(column + 1).unwrap_or(u32::MAX))
    }

    fn add(&mut self, severity: Severity, span: Span, message: String, hint: Option<String>) {
        let seen = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *seen += 1;
        let (message, hint) = match *seen {
            ..=REPORTED_MAX => (message, hint),
            n if n == REPORTED_MAX + 1 => {
                let rest = format!(
                    "more than {REPORTED_MAX} {severity}s: the rest of this file's are not shown"
                );
                (rest, None)
            }
            _ => return,
        };
        let (line, column) = self.line_column(span.start);
        let source = self.source.name.clone();
        let span = span.start..span.end.max(span.start);
        self.found.push(Diagnostic {
            severity,
            message,
            source,
            span,
            hint,
            line,
            column,
        });
    }
}
