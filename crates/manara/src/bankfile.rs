//! Bank files: signals with their notes, one a row, in CSV or NDJSON; read as a stream.
//!
//! ```text
//! signal_type,signal,note                 {"signal_type":"text","signal":"rise, rise","note":"slogan"}
//! text,"rise, rise",slogan                {"signal_type":"url","signal":"https://a.example/x"}
//! ```
//! - Further columns (fields) say how a member matches and where it comes from, and are left empty
//!   where it is as its bank says: `exchange`, `mode`, `distance`, `quality_min`, `expires_at`,
//!   `tags` (separated by `;`; in NDJSON an array), `vouched` and, of phrases, `level`, `scope`, `near`,
//!   `not_near` (both separated by `;`) and `within`.
//! - CSV is that of RFC 4180. The header may be left out: then the columns are type, signal, note.
//!   With a header they may stand in any order, and columns of other names are kept at the end of the note
//!   as `name=value`, so that provenance is not lost: `slogan; source=partner list; seen=2026-11-02`.
//!   NDJSON fields besides these are kept in the same way.
//! - A byte order mark, CRLF line ends and empty lines are tolerated. Everything has to be UTF-8.
//! - A row has at most 64 KiB and its note 1,024 bytes; memory does not grow with the file.
//! - A row that is wrong does not end the reading: the caller decides whether to go on.

use jiff::Timestamp;
use manara_model::{Exchange, Member, MemberSettings, NewMember, SettingsError, Tag};
use manara_signal::text::{Level, Phrase, Scope, TermError, TermOptions};
use manara_signal::{Signal, SignalType, UnknownSignalType};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;

/// Longest row, in bytes.
pub(crate) const ROW_BYTES_MAX: usize = 64 * 1024;
/// Longest note, in bytes, extra columns included.
pub(crate) const NOTE_BYTES_MAX: usize = 1024;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
const HEADER: &str = "signal_type,signal,note";

/// How a bank file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// One signal with its note.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    pub(crate) signal: Signal,
    pub(crate) note: String,
    pub(crate) more: More,
}

impl From<Row> for NewMember {
    fn from(row: Row) -> Self {
        Self {
            signal: row.signal,
            note: row.note,
            exchange: row.more.exchange,
            settings: row.more.settings,
        }
    }
}

/// What the optional columns say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct More {
    pub(crate) exchange: Option<Exchange>,
    pub(crate) settings: MemberSettings,
}

impl From<&Member> for More {
    fn from(member: &Member) -> Self {
        Self {
            exchange: member.exchange.clone(),
            settings: member.settings.clone(),
        }
    }
}

/// An optional column: how it is read and written. Of an array, the items are separated by `;`.
struct Column {
    name: &'static str,
    read: fn(&mut More, &str) -> Result<(), String>,
    /// Nothing where it is as the bank says.
    write: fn(&More) -> Option<serde_json::Value>,
}

/// The optional columns.
static COLUMNS: [Column; 12] = [
    Column {
        name: "exchange",
        read: |it, text| text.parse().map(|name| it.exchange = Some(name)),
        write: |it| it.exchange.as_ref().map(|name| name.as_str().into()),
    },
    Column {
        name: "mode",
        read: |it, text| text.parse().map(|mode| it.settings.mode = mode),
        write: |it| {
            let mode = it.settings.mode;
            (mode != manara_model::MemberMode::default()).then(|| mode.as_str().into())
        },
    },
    Column {
        name: "distance",
        read: |it, text| number(text).map(|distance| it.settings.distance = Some(distance)),
        write: |it| it.settings.distance.map(Into::into),
    },
    Column {
        name: "quality_min",
        read: |it, text| number(text).map(|quality| it.settings.quality_min = Some(quality)),
        write: |it| it.settings.quality_min.map(Into::into),
    },
    Column {
        name: "expires_at",
        read: |it, text| time(text).map(|at| it.settings.expires_at = Some(at)),
        write: |it| it.settings.expires_at.map(|at| at.to_string().into()),
    },
    Column {
        name: "tags",
        read: |it, text| tags(text).map(|tags| it.settings.tags = tags),
        write: |it| {
            let tags: Vec<&str> = it.settings.tags.iter().map(Tag::as_str).collect();
            (!tags.is_empty()).then(|| tags.into())
        },
    },
    Column {
        name: "vouched",
        read: |it, text| yes(text).map(|vouched| it.settings.vouched = vouched),
        write: |it| it.settings.vouched.then(|| true.into()),
    },
    Column {
        name: "level",
        read: |it, text| word(text).map(|level| it.settings.term.level = level),
        write: |it| {
            let level = it.settings.term.level;
            (level != Level::default()).then(|| level.to_string().into())
        },
    },
    Column {
        name: "scope",
        read: |it, text| word(text).map(|scope| it.settings.term.scope = scope),
        write: |it| {
            let scope = it.settings.term.scope;
            (scope != Scope::default()).then(|| scope.to_string().into())
        },
    },
    Column {
        name: "near",
        read: |it, text| phrases(text).map(|near| it.settings.term.near = near),
        write: |it| typed(&it.settings.term.near),
    },
    Column {
        name: "not_near",
        read: |it, text| phrases(text).map(|not_near| it.settings.term.not_near = not_near),
        write: |it| typed(&it.settings.term.not_near),
    },
    Column {
        name: "within",
        read: |it, text| number(text).map(|within| it.settings.term.within = within),
        write: |it| {
            let within = it.settings.term.within;
            (within != TermOptions::default().within).then(|| within.into())
        },
    },
];

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn phrases(text: &str) -> Result<Vec<Phrase>, String> {
    let phrases = text.split(';').map(str::trim).filter(|it| !it.is_empty());
    phrases.map(word).collect()
}

fn typed(phrases: &[Phrase]) -> Option<serde_json::Value> {
    let typed: Vec<&str> = phrases.iter().map(Phrase::original).collect();
    (!typed.is_empty()).then(|| typed.into())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let wrong = |_| format!("`{}` is not a whole number in range", shown(text));
    text.parse().map_err(wrong)
}

fn time(text: &str) -> Result<Timestamp, String> {
    let wrong = |_| {
        format!(
            "`{}` is not a time such as 2027-01-31T00:00:00Z",
            shown(text)
        )
    };
    text.parse().map_err(wrong)
}

fn tags(text: &str) -> Result<std::collections::BTreeSet<Tag>, String> {
    let words = text.split(';').map(str::trim);
    words
        .filter(|tag| !tag.is_empty())
        .map(str::parse)
        .collect()
}

fn yes(text: &str) -> Result<bool, String> {
    let wrong = |_| format!("`{}` is neither true nor false", shown(text));
    text.parse().map_err(wrong)
}

/// The column whose value an error is about.
fn column_of(error: &SettingsError) -> &'static str {
    match error {
        SettingsError::Foreign {
            setting: "term", ..
        } => "level",
        SettingsError::Foreign { setting, .. } => setting,
        SettingsError::Quality(_) => "quality_min",
        SettingsError::Tags(_) => "tags",
        SettingsError::Term(TermError::Within { .. }) => "within",
        SettingsError::Term(_) => "near",
        _ => "distance",
    }
}

/// A row that cannot be used: where, what was wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}\n  --> {file}:{line}:{column}\nhint: {hint}")]
pub(crate) struct BadRow {
    pub(crate) file: Arc<str>,
    pub(crate) line: u64,
    /// The byte of the line at which the wrong value begins, from 1.
    pub(crate) column: u64,
    pub(crate) problem: String,
    pub(crate) hint: String,
}

impl BadRow {
    /// The same in one line, for lists.
    pub(crate) fn in_one_line(&self) -> String {
        format!(
            "{}:{}:{}: {}; {}",
            self.file, self.line, self.column, self.problem, self.hint
        )
    }
}

/// Why a row could not be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// This row is wrong; the rows after it can still be read.
    #[error(transparent)]
    Row(BadRow),
    /// The file as a whole cannot be read as a bank file; nothing follows.
    #[error(transparent)]
    File(BadRow),
    /// The system refused; nothing follows.
    #[error("reading {file}")]
    Io { file: Arc<str>, source: io::Error },
}

/// A bank file being read: an iterator over its rows.
pub(crate) struct BankFile {
    lines: Lines,
    file: Arc<str>,
    format: Option<Format>,
    named_format: Option<Format>,
    columns: Columns,
    row: Vec<u8>,
    ended: bool,
}

impl BankFile {
    /// Opens a file, whose format its extension or else its first bytes tell.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let name: Arc<str> = path.display().to_string().into();
        let opened = || -> io::Result<File> {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(io::Error::new(
                    io::ErrorKind::IsADirectory,
                    "it is a directory: name the file in it",
                ));
            }
            Ok(file)
        };
        let file = opened().map_err(|source| ReadError::Io {
            file: name.clone(),
            source,
        })?;
        Ok(Self::from_reader(
            &name,
            format_of(path),
            Box::new(BufReader::with_capacity(1 << 16, file)),
        ))
    }

    /// Reads from anywhere; `name` stands in error messages.
    pub(crate) fn from_reader(
        name: &str,
        format: Option<Format>,
        reader: Box<dyn BufRead + Send>,
    ) -> Self {
        Self {
            lines: Lines {
                reader,
                number: 0,
                bytes: 0,
                ahead: VecDeque::new(),
            },
            file: name.into(),
            format: None,
            named_format: format,
            columns: Columns::default(),
            row: Vec::new(),
            ended: false,
        }
    }

    /// How far into the file the reading is, in bytes.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.lines.bytes
    }

    fn bad(
        &self,
        line: u64,
        offset: usize,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> BadRow {
        BadRow {
            file: self.file.clone(),
            line,
            column: offset as u64 + 1,
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// Looks at the first bytes: byte order marks, and the format when the name did not tell.
    fn begin(&mut self) -> Result<Format, ReadError> {
        let start = self.lines.peek().map_err(|source| ReadError::Io {
            file: self.file.clone(),
            source,
        })?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(ReadError::File(self.bad(
                1,
                0,
                "the file is UTF-16",
                "save it as UTF-8",
            )));
        }
        let text = start.strip_prefix(UTF8_BOM).unwrap_or(start);
        let first = text.iter().copied().find(|b| !b.is_ascii_whitespace());
        let has_bom = text.len() < start.len();
        if first == Some(b'[') && self.named_format != Some(Format::Csv) {
            let hint = "write one object a line, for example with `jq -c '.[]'`";
            return Err(ReadError::File(self.bad(
                1,
                0,
                "the file is a JSON array",
                hint,
            )));
        }
        if has_bom {
            self.lines.skip(UTF8_BOM.len());
        }
        let seen = if first == Some(b'{') {
            Format::Ndjson
        } else {
            Format::Csv
        };
        Ok(*self.format.insert(self.named_format.unwrap_or(seen)))
    }

    fn next_row(&mut self) -> Result<Option<Row>, ReadError> {
        let format = match self.format {
            Some(format) => format,
            None => self.begin()?,
        };
        loop {
            self.row.clear();
            let mut row = std::mem::take(&mut self.row);
            let read = self.lines.next(&mut row);
            let line = self.lines.number;
            let parsed = match read {
                Err(source) => Err(ReadError::Io {
                    file: self.file.clone(),
                    source,
                }),
                Ok(None) => return Ok(None),
                Ok(Some(length)) if length > ROW_BYTES_MAX as u64 => {
                    Err(self.too_long(line, length))
                }
                Ok(Some(_)) if is_blank(&row) => Ok(None),
                Ok(Some(_)) => match format {
                    Format::Csv => self.csv_row(&mut row, line),
                    Format::Ndjson => self
                        .ndjson_row(&row, line)
                        .map(Some)
                        .map_err(ReadError::Row),
                },
            };
            self.row = row;
            match parsed {
                Ok(None) => {}
                parsed => return parsed,
            }
        }
    }

    fn too_long(&self, line: u64, length: u64) -> ReadError {
        let problem = format!("the line is {length} bytes long, the limit is {ROW_BYTES_MAX}");
        ReadError::Row(self.bad(
            line,
            0,
            problem,
            "check that the file is a bank file, one row a line",
        ))
    }

    fn utf8<'a>(&self, row: &'a [u8], line: u64) -> Result<&'a str, BadRow> {
        std::str::from_utf8(row).map_err(|error| {
            let at = error.valid_up_to();
            let byte = row.get(at).copied().unwrap_or_default();
            let (below, offset) = place(row, at);
            self.bad(
                line + below,
                offset,
                format!("byte 0x{byte:02x} is not UTF-8"),
                "save the file as UTF-8",
            )
        })
    }

    /// Checks and puts together what either format gave.
    fn finish(
        &self,
        at: impl Fn(usize) -> (u64, usize),
        parts: Parts<'_>,
        line: u64,
    ) -> Result<Row, BadRow> {
        let Parts {
            signal_type,
            signal,
            note,
            columns,
            extra,
        } = parts;
        let bad = |offset: usize, problem: String, hint: &str| {
            let (below, column) = at(offset);
            self.bad(line + below, column, problem, hint)
        };
        let ty: SignalType = signal_type
            .text
            .trim()
            .parse()
            .map_err(|e: UnknownSignalType| {
                let known = "use one of sha256, md5, pdq, text, url";
                let hint = e.nearest.map_or_else(
                    || known.to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                bad(
                    signal_type.at,
                    format!("unknown signal type `{}`", shown(signal_type.text.trim())),
                    &hint,
                )
            })?;
        // In a phrase, spaces at the ends are the author's; around a hash or address they are slips.
        let text = if ty == SignalType::Text {
            &*signal.text
        } else {
            signal.text.trim()
        };
        let parsed = Signal::parse(ty, text).map_err(|e| {
            bad(
                signal.at,
                e.to_string(),
                "correct the signal, or leave bad rows out with --skip-bad",
            )
        })?;
        let note_at = note.as_ref().map_or(signal.at, |n| n.at);
        let mut text = note.map_or_else(String::new, |n| n.text.into_owned());
        for (name, value) in extra.iter().filter(|(_, value)| !value.is_empty()) {
            let separator = if text.is_empty() { "" } else { "; " };
            text.extend([separator, name, "=", value]);
        }
        if text.len() > NOTE_BYTES_MAX {
            let with = if extra.is_empty() {
                ""
            } else {
                " with its extra columns"
            };
            let problem = format!(
                "the note{with} is {} bytes long, the limit is {NOTE_BYTES_MAX}",
                text.len()
            );
            return Err(bad(note_at, problem, "shorten it, or leave columns out"));
        }
        let more = more(&columns, &parsed).map_err(|(at, problem)| {
            bad(
                at,
                problem,
                "correct it, or leave it empty for what the bank says",
            )
        })?;
        Ok(Row {
            line,
            signal: parsed,
            note: text,
            more,
        })
    }

    // ---- CSV ----

    /// `None` for a header.
    fn csv_row(&mut self, row: &mut Vec<u8>, line: u64) -> Result<Option<Row>, ReadError> {
        self.complete_quotes(row).map_err(|source| ReadError::Io {
            file: self.file.clone(),
            source,
        })?;
        if row.last() == Some(&b'\r') {
            row.pop();
        }
        let text = self.utf8(row, line).map_err(ReadError::Row)?;
        let values = match split(text) {
            Ok(values) => values,
            Err(wrong) => {
                // Its first line alone is wrong as well, with a quote too many, and that is what is told.
                let first = text.split('\n').next().unwrap_or_default();
                let wrong = split(first).err().unwrap_or(wrong);
                self.lines.put_back(lines_below_the_first(text));
                return Err(ReadError::Row(self.quoting(line, &wrong)));
            }
        };
        if !self.columns.known {
            self.columns.known = true;
            if values
                .iter()
                .any(|v| v.text.trim().eq_ignore_ascii_case("signal_type"))
            {
                self.columns = self.header(&values, line).map_err(ReadError::File)?;
                return Ok(None);
            }
        }
        self.csv_values(text, values, line)
            .map(Some)
            .map_err(ReadError::Row)
    }

    /// Reads on while a quote is open: a quoted value may hold line ends. A quote that is never
    /// closed leaves the row as it was, for [`split`] to refuse.
    fn complete_quotes(&mut self, row: &mut Vec<u8>) -> io::Result<()> {
        let first_line = row.len();
        let mut quotes = count_quotes(row);
        let mut taken = VecDeque::new();
        while quotes % 2 == 1 {
            let mut next = Vec::new();
            let Some(length) = self.lines.next(&mut next)? else {
                self.undo(row, first_line, taken);
                break;
            };
            let fits = row.len() as u64 + 1 + length <= ROW_BYTES_MAX as u64
                && std::str::from_utf8(&next).is_ok();
            if fits {
                quotes += count_quotes(&next);
                row.push(b'\n');
                row.extend_from_slice(&next);
            }
            taken.push_back((next, length));
            if !fits {
                self.undo(row, first_line, taken);
                break;
            }
        }
        Ok(())
    }

    /// Lines read in vain may well be good rows of their own.
    fn undo(&mut self, row: &mut Vec<u8>, first_line: usize, taken: VecDeque<(Vec<u8>, u64)>) {
        self.lines.put_back(taken);
        row.truncate(first_line);
    }

    fn quoting(&self, line: u64, wrong: &WrongQuote) -> BadRow {
        let double = "double quotes inside a value (\"\")";
        let (problem, hint) = match wrong.kind {
            QuoteKind::Unclosed => (
                "the quote that begins this value is never closed",
                format!("close it, and {double}"),
            ),
            QuoteKind::After => (
                "text follows the closing quote of this value",
                format!("{double}, and put a comma after it"),
            ),
            QuoteKind::Inside => (
                "this value holds a quote but does not begin with one",
                format!("put the whole value in quotes and {double}"),
            ),
        };
        self.bad(line, wrong.at, problem, hint)
    }

    fn header(&self, values: &[Value<'_>], line: u64) -> Result<Columns, BadRow> {
        let mut columns = Columns {
            known: true,
            header: true,
            note: None,
            count: values.len(),
            ..Columns::default()
        };
        let (mut signal_type, mut signal) = (None, None);
        let mut optional = [None; COLUMNS.len()];
        for (index, value) in values.iter().enumerate() {
            let name = value.text.trim();
            let slot = match name.to_ascii_lowercase().as_str() {
                "signal_type" => &mut signal_type,
                "signal" => &mut signal,
                "note" => &mut columns.note,
                "" => {
                    return Err(self.bad(
                        line,
                        value.at,
                        format!("column {} has no name", index + 1),
                        "name every column in the header",
                    ));
                }
                other => {
                    let known = COLUMNS.iter().zip(&mut optional);
                    let mut known = known.filter(|(column, _)| column.name == other);
                    let Some((_, slot)) = known.next() else {
                        columns.extra.push((index, name.to_owned()));
                        continue;
                    };
                    slot
                }
            };
            if slot.replace(index).is_some() {
                return Err(self.bad(
                    line,
                    value.at,
                    format!("the header names `{name}` twice"),
                    "keep one of the two",
                ));
            }
        }
        let missing = || {
            self.bad(
                line,
                0,
                "the header has no column `signal`",
                format!("name the columns `{HEADER}`"),
            )
        };
        columns.signal_type = signal_type.unwrap_or_default();
        columns.signal = signal.ok_or_else(missing)?;
        let optional = optional.into_iter().zip(&COLUMNS);
        columns.optional = optional
            .filter_map(|(index, column)| Some((index?, column)))
            .collect();
        Ok(columns)
    }

    fn csv_values(&self, row: &str, mut values: Vec<Value<'_>>, line: u64) -> Result<Row, BadRow> {
        let columns = &self.columns;
        let at = |offset| place(row.as_bytes(), offset);
        if let Some(surplus) = values.get(columns.count) {
            let (below, column) = at(surplus.at);
            let known = if columns.header {
                "the header names"
            } else {
                "without a header there are at most"
            };
            let problem = format!(
                "this row has {} columns, {known} {}",
                values.len(),
                columns.count
            );
            let hint = "put values that hold commas in quotes, or name every column in a header";
            return Err(self.bad(line + below, column, problem, hint));
        }
        let mut take = |index: usize| {
            values.get_mut(index).map(|v| Value {
                at: v.at,
                text: std::mem::take(&mut v.text),
            })
        };
        let signal_type = take(columns.signal_type);
        let signal = take(columns.signal);
        let (Some(signal_type), Some(signal)) = (signal_type, signal) else {
            let problem = "this row has no signal: it ends before that column";
            return Err(self.bad(
                line,
                row.len(),
                problem,
                format!("give at least a signal type and a signal, as in `{HEADER}`"),
            ));
        };
        let note = columns.note.and_then(&mut take);
        let extra = columns
            .extra
            .iter()
            .filter_map(|(index, name)| Some((Cow::Borrowed(name.as_str()), take(*index)?.text)))
            .collect();
        let optional = columns.optional.iter();
        let parts = Parts {
            signal_type,
            signal,
            note,
            columns: optional
                .filter_map(|(index, column)| Some((*column, take(*index)?)))
                .collect(),
            extra,
        };
        self.finish(at, parts, line)
    }

    // ---- NDJSON ----

    fn ndjson_row(&self, row: &[u8], line: u64) -> Result<Row, BadRow> {
        let text = self.utf8(row, line)?;
        let object: Object<'_> = serde_json::from_str(text).map_err(|error| {
            let problem = error.to_string();
            // serde's messages may quote the whole value.
            let problem = cut(problem.split(" at line ").next().unwrap_or_default(), 200);
            let hint = r#"write {"signal_type":"…","signal":"…","note":"…"} on one line"#;
            self.bad(line, error.column().saturating_sub(1), problem, hint)
        })?;
        let start = text.as_ptr() as usize;
        let offset = |raw: &RawValue| (raw.get().as_ptr() as usize).saturating_sub(start);
        let mut known: [Option<Value<'_>>; 3] = [const { None }; 3];
        let mut extra = Vec::new();
        let mut columns: Vec<(&Column, Value<'_>)> = Vec::new();
        let twice = |name: &str, at| {
            let problem = format!("`{name}` is given twice");
            self.bad(line, at, problem, "keep one of the two")
        };
        for (name, raw) in object.0 {
            let at = offset(raw);
            if let Some(column) = COLUMNS.iter().find(|column| column.name == name) {
                if columns.iter().any(|(before, _)| before.name == name) {
                    return Err(twice(&name, at));
                }
                let text = joined(raw).ok_or_else(|| {
                    let problem = format!("`{name}` is not a single value or an array of strings");
                    self.bad(line, at, problem, "write it as in an export")
                })?;
                columns.push((column, Value { at, text }));
                continue;
            }
            let Some(slot) = ["signal_type", "signal", "note"]
                .iter()
                .position(|k| *k == name)
            else {
                extra.push((name, plain(raw)));
                continue;
            };
            let value: Text<'_> = serde_json::from_str(raw.get()).map_err(|_| {
                // A string that the parser took for one before holds an escape that is no character.
                let (problem, hint) = if raw.get().starts_with('"') {
                    (
                        "holds an escape from \\ud800 to \\udfff that stands alone",
                        "write the character as UTF-8, or as both of its escapes",
                    )
                } else {
                    ("is not a string", "put it in quotes")
                };
                self.bad(line, at, format!("`{name}` {problem}"), hint)
            })?;
            if let Some(before) = known.get_mut(slot)
                && before.replace(Value { at, text: value.0 }).is_some()
            {
                return Err(twice(&name, at));
            }
        }
        let [signal_type, signal, note] = known;
        let missing = |name: &str| {
            self.bad(
                line,
                0,
                format!("`{name}` is missing"),
                r#"write {"signal_type":"…","signal":"…","note":"…"}"#,
            )
        };
        let signal_type = signal_type.ok_or_else(|| missing("signal_type"))?;
        let signal = signal.ok_or_else(|| missing("signal"))?;
        let parts = Parts {
            signal_type,
            signal,
            note,
            columns,
            extra,
        };
        self.finish(|offset| (0, offset), parts, line)
    }
}

impl Iterator for BankFile {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.next_row().transpose();
        self.ended = !matches!(row, Some(Ok(_) | Err(ReadError::Row(_))));
        row
    }
}

/// Which of the optional columns rows have.
#[derive(Default)]
pub(crate) struct Used([bool; COLUMNS.len()]);

impl Used {
    /// Takes note of what a row has.
    pub(crate) fn by(&mut self, more: &More) {
        if *more == More::default() {
            return;
        }
        for (used, column) in self.0.iter_mut().zip(&COLUMNS) {
            *used |= (column.write)(more).is_some();
        }
    }
}

/// Writes rows so that [`BankFile`] reads back the same ones.
pub(crate) struct BankWriter<W> {
    out: W,
    format: Format,
    columns: Vec<&'static Column>,
}

impl<W: Write> BankWriter<W> {
    /// Begins a file; CSV gets its header, with the optional columns that are used.
    pub(crate) fn new(mut out: W, format: Format, used: &Used) -> io::Result<Self> {
        let columns = COLUMNS.iter().zip(used.0);
        let columns: Vec<_> = columns
            .filter_map(|(column, used)| used.then_some(column))
            .collect();
        if format == Format::Csv {
            write!(out, "{HEADER}")?;
            for column in &columns {
                write!(out, ",{}", column.name)?;
            }
            writeln!(out)?;
        }
        Ok(Self {
            out,
            format,
            columns,
        })
    }

    pub(crate) fn row(&mut self, signal: &Signal, note: &str, more: &More) -> io::Result<()> {
        let (signal_type, value) = (signal.signal_type(), signal.encode());
        match self.format {
            Format::Csv => {
                let (value, note) = (quoted(&value), quoted(note));
                write!(self.out, "{signal_type},{value},{note}")?;
                for column in &self.columns {
                    let text = (column.write)(more).map(in_csv).unwrap_or_default();
                    write!(self.out, ",{}", quoted(&text))?;
                }
                writeln!(self.out)
            }
            Format::Ndjson => {
                let columns = COLUMNS.iter();
                let row = Written {
                    signal_type,
                    signal: &value,
                    note,
                    more: columns
                        .filter_map(|column| Some((column.name, (column.write)(more)?)))
                        .collect(),
                };
                serde_json::to_writer(&mut self.out, &row)?;
                self.out.write_all(b"\n")
            }
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[derive(serde::Serialize)]
struct Written<'a> {
    signal_type: SignalType,
    signal: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    #[serde(flatten)]
    more: std::collections::BTreeMap<&'static str, serde_json::Value>,
}

fn in_csv(value: serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => text,
        Value::Array(items) => {
            let items: Vec<String> = items.into_iter().map(in_csv).collect();
            items.join(";")
        }
        other => other.to_string(),
    }
}

fn quoted(value: &str) -> Cow<'_, str> {
    if value.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", value.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(value)
    }
}

/// The format a file's name tells.
pub(crate) fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(Format::Csv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ => None,
    }
}

/// Where the values stand.
struct Columns {
    /// Whether the first row has been looked at.
    known: bool,
    header: bool,
    signal_type: usize,
    signal: usize,
    note: Option<usize>,
    optional: Vec<(usize, &'static Column)>,
    extra: Vec<(usize, String)>,
    count: usize,
}

/// Without a header.
impl Default for Columns {
    fn default() -> Self {
        Self {
            known: false,
            header: false,
            signal_type: 0,
            signal: 1,
            note: Some(2),
            optional: Vec::new(),
            extra: Vec::new(),
            count: 3,
        }
    }
}

/// A value and the byte of the row at which it begins.
#[derive(Debug)]
struct Value<'a> {
    at: usize,
    text: Cow<'a, str>,
}

/// The values of a row, of either format.
struct Parts<'a> {
    signal_type: Value<'a>,
    signal: Value<'a>,
    note: Option<Value<'a>>,
    columns: Vec<(&'static Column, Value<'a>)>,
    extra: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// What the optional columns say of a signal, or at which byte they are wrong.
fn more(columns: &[(&Column, Value<'_>)], signal: &Signal) -> Result<More, (usize, String)> {
    let mut more = More::default();
    for (column, value) in columns {
        let text = value.text.trim();
        if !text.is_empty() {
            (column.read)(&mut more, text)
                .map_err(|problem| (value.at, format!("{}: {problem}", column.name)))?;
        }
    }
    more.settings.check(signal).map_err(|error| {
        let name = column_of(&error);
        let about = columns.iter().find(|(column, _)| column.name == name);
        (about.map_or(0, |(_, value)| value.at), error.to_string())
    })?;
    Ok(more)
}

/// A JSON object whose values are not looked at yet.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::with_capacity(3);
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    fields.push((name.0, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// An optional field's value as it would stand in a CSV column; nothing for what cannot.
fn joined(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get().as_bytes().first() {
        Some(b'{') => None,
        Some(b'[') => {
            let items: Vec<Text<'_>> = serde_json::from_str(raw.get()).ok()?;
            let items: Vec<_> = items.iter().map(|item| &*item.0).collect();
            Some(Cow::Owned(items.join(";")))
        }
        _ => Some(plain(raw)),
    }
}

/// An extra field's value for the note: strings as they are, nothing for null, else its JSON.
fn plain(raw: &RawValue) -> Cow<'_, str> {
    match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(text) => text.0,
        Err(_) if raw.get() == "null" => Cow::Borrowed(""),
        Err(_) => Cow::Borrowed(raw.get()),
    }
}

/// What is wrong with the quotes of a row, and at which byte.
struct WrongQuote {
    at: usize,
    kind: QuoteKind,
}

enum QuoteKind {
    Unclosed,
    After,
    Inside,
}

/// The values of a CSV row.
fn split(row: &str) -> Result<Vec<Value<'_>>, WrongQuote> {
    let mut values = Vec::with_capacity(4);
    let mut at = 0;
    loop {
        let rest = row.get(at..).unwrap_or_default();
        let (value, next) = if rest.starts_with('"') {
            quoted_value(row, at)?
        } else {
            plain_value(row, at)?
        };
        values.push(value);
        match row.as_bytes().get(next) {
            Some(_comma) => at = next + 1,
            None => return Ok(values),
        }
    }
}

/// A value without quotes, and where it ends.
fn plain_value(row: &str, at: usize) -> Result<(Value<'_>, usize), WrongQuote> {
    let rest = row.get(at..).unwrap_or_default();
    let text = rest.split(',').next().unwrap_or_default();
    if text.contains('"') {
        return Err(WrongQuote {
            at,
            kind: QuoteKind::Inside,
        });
    }
    Ok((
        Value {
            at,
            text: Cow::Borrowed(text),
        },
        at + text.len(),
    ))
}

/// A value in quotes, and where it ends.
fn quoted_value(row: &str, at: usize) -> Result<(Value<'_>, usize), WrongQuote> {
    let start = at + 1;
    let mut close = start;
    let mut doubled = false;
    loop {
        let rest = row.get(close..).unwrap_or_default();
        let Some(quote) = rest.find('"') else {
            return Err(WrongQuote {
                at,
                kind: QuoteKind::Unclosed,
            });
        };
        close += quote;
        if row.as_bytes().get(close + 1) != Some(&b'"') {
            break;
        }
        doubled = true;
        close += 2;
    }
    if !matches!(row.as_bytes().get(close + 1), None | Some(b',')) {
        return Err(WrongQuote {
            at,
            kind: QuoteKind::After,
        });
    }
    let text = row.get(start..close).unwrap_or_default();
    let text = if doubled {
        Cow::Owned(text.replace("\"\"", "\""))
    } else {
        Cow::Borrowed(text)
    };
    Ok((Value { at, text }, close + 1))
}

fn count_quotes(bytes: &[u8]) -> usize {
    bytes.split(|b| *b == b'"').count() - 1
}

/// What followed the first line was taken in because of a quote that is wrong: it gets its own chance.
fn lines_below_the_first(row: &str) -> VecDeque<(Vec<u8>, u64)> {
    row.split('\n')
        .skip(1)
        .map(|line| (line.as_bytes().to_vec(), line.len() as u64))
        .collect()
}

/// The byte `at` of a row that may span lines: how many lines below the first, and at which byte of that line.
fn place(row: &[u8], at: usize) -> (u64, usize) {
    let before = row.get(..at).unwrap_or(row);
    let below = before.split(|b| *b == b'\n').count() as u64 - 1;
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |newline| newline + 1);
    (below, at - start)
}

fn is_blank(row: &[u8]) -> bool {
    row.iter().all(u8::is_ascii_whitespace)
}

fn shown(value: &str) -> String {
    cut(&value.escape_debug().to_string(), 40)
}

fn cut(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Lines of bounded length, counted, some of which may be put back.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// The number of the line last given.
    number: u64,
    bytes: u64,
    /// Lines put back, each with its true length.
    ahead: VecDeque<(Vec<u8>, u64)>,
}

impl Lines {
    fn peek(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.reader.fill_buf()
    }

    fn skip(&mut self, bytes: usize) {
        self.reader.consume(bytes);
        self.bytes += bytes as u64;
    }

    /// Appends the next line without its `\n`, at most [`ROW_BYTES_MAX`] bytes of it, and gives its true length.
    fn next(&mut self, into: &mut Vec<u8>) -> io::Result<Option<u64>> {
        if let Some((line, length)) = self.ahead.pop_front() {
            into.extend_from_slice(&line);
            self.number += 1;
            return Ok(Some(length));
        }
        let (mut length, mut any) = (0_u64, false);
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let newline = buffer.iter().position(|b| *b == b'\n');
            let part = buffer
                .get(..newline.unwrap_or(buffer.len()))
                .unwrap_or_default();
            let room = ROW_BYTES_MAX.saturating_sub(into.len());
            into.extend_from_slice(part.get(..room).unwrap_or(part));
            length += part.len() as u64;
            let used = part.len() + usize::from(newline.is_some());
            self.reader.consume(used);
            self.bytes += used as u64;
            if newline.is_some() {
                break;
            }
        }
        self.number += u64::from(any);
        Ok(any.then_some(length))
    }

    /// Gives lines back, the last ones read, in their order.
    fn put_back(&mut self, mut lines: VecDeque<(Vec<u8>, u64)>) {
        self.number -= lines.len() as u64;
        lines.append(&mut self.ahead);
        self.ahead = lines;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads everything; good rows as `line type signal | note`, bad ones as `line:column problem`.
    fn read(format: Option<Format>, input: &[u8]) -> Vec<String> {
        let file = BankFile::from_reader("bank", format, Box::new(io::Cursor::new(input.to_vec())));
        file.map(|row| match row {
            Ok(Row {
                line, signal, note, ..
            }) => format!(
                "{line} {} {} | {note}",
                signal.signal_type(),
                signal.encode()
            ),
            Err(ReadError::Row(bad)) => format!("{}:{} {}", bad.line, bad.column, bad.problem),
            Err(ReadError::File(bad)) => {
                format!("the file: {}:{} {}", bad.line, bad.column, bad.problem)
            }
            Err(ReadError::Io { source, .. }) => format!("io: {source}"),
        })
        .collect()
    }

    #[track_caller]
    fn check(input: impl AsRef<[u8]>, expect: &[&str]) {
        assert_eq!(read(None, input.as_ref()), expect);
    }

    #[test]
    fn csv_with_and_without_its_header() {
        check(
            "signal_type,signal,note\ntext,grey banner,slogan\n",
            &["2 text grey banner | slogan"],
        );
        check(
            "text,grey banner,slogan\n",
            &["1 text grey banner | slogan"],
        );
        check("text,grey banner", &["1 text grey banner | "]);
        check(
            "note,Signal,SIGNAL_TYPE\nslogan,grey banner,text\n",
            &["2 text grey banner | slogan"],
        );
        check("signal_type,signal,note\n", &[]);
        check("", &[]);
    }

    #[test]
    fn further_columns_go_into_the_note() {
        let csv = "signal_type,signal,note,source,seen\ntext,grey banner,slogan,partner,2026\ntext,grey tower,,,2025\ntext,ash\n";
        check(
            csv,
            &[
                "2 text grey banner | slogan; source=partner; seen=2026",
                "3 text grey tower | seen=2025",
                "4 text ash | ",
            ],
        );
        let json = r#"{"note":"slogan","source":"part\u006eer","n":3,"x":null,"signal_type":"text","signal":"ash"}"#;
        check(json, &["1 text ash | slogan; source=partner; n=3"]);
        check(
            "text,ash,slogan,partner\n",
            &["1:17 this row has 4 columns, without a header there are at most 3"],
        );
    }

    #[test]
    fn quoting_follows_rfc_4180() {
        check(
            "text,\"a \"\"b\"\", c\",\"two\r\nlines\"\r\ntext,ash,x\r\n",
            &["1 text a \"b\", c | two\r\nlines", "3 text ash | x"],
        );
    }

    #[test]
    fn wrong_quotes_are_named_and_cost_no_other_row() {
        check(
            "text,\"never\ntext,ash,x\ntext,fog,y\n",
            &[
                "1:6 the quote that begins this value is never closed",
                "2 text ash | x",
                "3 text fog | y",
            ],
        );
        check(
            "text,ash,5\" wide\ntext,fog,y\n",
            &[
                "1:10 this value holds a quote but does not begin with one",
                "2 text fog | y",
            ],
        );
        check(
            "text,\"ash\"x,\ntext,fog,y\n",
            &[
                "1:6 text follows the closing quote of this value",
                "2 text fog | y",
            ],
        );
        check(
            "text,\"one\ntext,\"two\ntext,fog,y\n",
            &[
                "1:6 the quote that begins this value is never closed",
                "2:6 the quote that begins this value is never closed",
                "3 text fog | y",
            ],
        );
        let far = format!(
            "text,\"one\n{}text,fog,\"y\"\n",
            "text,ash,x\n".repeat(10_000)
        );
        let rows = read(None, far.as_bytes());
        assert_eq!(
            (rows.len(), rows[0].as_str()),
            (
                10_002,
                "1:6 the quote that begins this value is never closed"
            )
        );
        assert_eq!(rows[10_001], "10002 text fog | y");
    }

    #[test]
    fn marks_and_line_ends_of_other_systems_are_tolerated() {
        check(
            "\u{feff}signal_type,signal,note\r\n\r\ntext,ash,x\r\n",
            &["3 text ash | x"],
        );
        check(
            "\u{feff}{\"signal_type\":\"text\",\"signal\":\"ash\"}\r\n\r\n",
            &["1 text ash | "],
        );
        check(b"\xff\xfet\0e\0", &["the file: 1:1 the file is UTF-16"]);
    }

    #[test]
    fn bad_rows_are_named_by_line_and_byte() {
        check(
            "signal_type,signal,note\npdqq,00,x\n",
            &["2:1 unknown signal type `pdqq`"],
        );
        check(
            "text,ash,x\nmd5,00,\n",
            &[
                "1 text ash | x",
                "2:5 an md5 signal is 32 hexadecimal digits, this has 2: check that it was copied whole",
            ],
        );
        check(
            b"text,ash,x\ntext,\xff\xfe,x\ntext,fog,y",
            &[
                "1 text ash | x",
                "2:6 byte 0xff is not UTF-8",
                "3 text fog | y",
            ],
        );
        check(
            "text\n",
            &["1:5 this row has no signal: it ends before that column"],
        );
        check(
            "signal_type,value\ntext,ash\n",
            &["the file: 1:1 the header has no column `signal`"],
        );
        check(
            "signal_type,signal,signal\n",
            &["the file: 1:20 the header names `signal` twice"],
        );
        check(
            format!("text,ash,{}\n", "n".repeat(1025)),
            &["1:10 the note is 1025 bytes long, the limit is 1024"],
        );
    }

    #[test]
    fn bad_json_is_named_by_line_and_byte() {
        check(
            "{\"signal_type\":\"text\",\"signal\":\"ash\"}\n{\"signal_type\":\"text\"\n",
            &["1 text ash | ", "2:21 EOF while parsing an object"],
        );
        check(
            "{\"signal_type\":\"txt\",\"signal\":\"ash\"}",
            &["1:16 unknown signal type `txt`"],
        );
        check(
            "{\"signal_type\":\"text\",\"signal\":5}",
            &["1:32 `signal` is not a string"],
        );
        check(
            "{\"signal_type\":\"text\",\"signal\":\"a \\ud800\"}\n{\"signal_type\":\"text\",\"signal\":\"ash\"}",
            &[
                "1:32 `signal` holds an escape from \\ud800 to \\udfff that stands alone",
                "2 text ash | ",
            ],
        );
        check("{\"signal_type\":\"text\"}", &["1:1 `signal` is missing"]);
        check(
            "{\"signal\":\"a\",\"signal\":\"b\"}",
            &["1:24 `signal` is given twice"],
        );
        check(
            "[{\"signal\":\"a\"}]",
            &["the file: 1:1 the file is a JSON array"],
        );
    }

    #[test]
    fn a_hint_comes_with_each() {
        let mut rows = BankFile::from_reader("a.csv", None, Box::new(io::Cursor::new("pdqq,00")));
        let error = rows.next().unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown signal type `pdqq`\n  --> a.csv:1:1\nhint: did you mean `pdq`?"
        );
    }

    #[test]
    fn lines_without_end_cost_no_memory_and_no_other_row() {
        let endless = io::Read::take(io::repeat(b'x'), 200 << 20);
        let reader = io::Read::chain(endless, io::Cursor::new("\ntext,ash,x\n"));
        let mut rows = BankFile::from_reader("big", None, Box::new(BufReader::new(reader)));
        let error = rows.next().unwrap().unwrap_err().to_string();
        assert!(
            error
                .starts_with("the line is 209715200 bytes long, the limit is 65536\n  --> big:1:1"),
            "{error}"
        );
        assert!(rows.row.capacity() <= 2 * ROW_BYTES_MAX);
        assert_eq!(rows.next().unwrap().unwrap().line, 2);
    }

    #[test]
    fn the_name_decides_the_format_before_the_content() {
        let as_csv = read(
            Some(Format::Csv),
            b"{\"signal_type\":\"text\",\"signal\":\"ash\"}",
        );
        assert_eq!(
            as_csv,
            ["1:1 this value holds a quote but does not begin with one"]
        );
        assert_eq!(format_of(Path::new("a/b.CSV")), Some(Format::Csv));
        assert_eq!(format_of(Path::new("a/b.jsonl")), Some(Format::Ndjson));
        assert_eq!(format_of(Path::new("a/csv")), None);
    }

    /// Files made of the bytes that matter: reading always ends, tells of every line at most once and
    /// in order, and of no line that is not there.
    #[test]
    fn any_bytes_are_read_to_their_end() {
        const PIECES: [&[u8]; 12] = [
            b"\"",
            b"\"\"",
            b",",
            b"\n",
            b"\r\n",
            b"text,ash,x\n",
            b"text,\"a",
            b"{\"signal\":",
            b"\xff",
            b"}",
            b"signal_type,signal,n\n",
            b" ",
        ];
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let input: Vec<u8> = (0..next(24))
                .flat_map(|_| PIECES[next(PIECES.len())])
                .copied()
                .collect();
            let format = [None, Some(Format::Csv), Some(Format::Ndjson)][next(3)];
            let lines = input.split(|b| *b == b'\n').count() as u64;
            let mut last = 0;
            for row in
                BankFile::from_reader("bank", format, Box::new(io::Cursor::new(input.clone())))
            {
                let line = match row {
                    Ok(row) => row.line,
                    Err(ReadError::Row(bad) | ReadError::File(bad)) => bad.line,
                    Err(ReadError::Io { source, .. }) => panic!("{source}"),
                };
                assert!(
                    last < line && line <= lines,
                    "{line} after {last}: {:?}",
                    input.escape_ascii().to_string()
                );
                last = line;
            }
        }
    }

    #[track_caller]
    fn check_round_trip(rows: &[(SignalType, &str, &str)]) {
        for format in [Format::Csv, Format::Ndjson] {
            let mut out = Vec::new();
            let mut writer = BankWriter::new(&mut out, format, &Used::default()).unwrap();
            for (signal_type, value, note) in rows {
                writer
                    .row(
                        &Signal::parse(*signal_type, value).unwrap(),
                        note,
                        &More::default(),
                    )
                    .unwrap();
            }
            writer.finish().unwrap();
            let file = BankFile::from_reader("bank", Some(format), Box::new(io::Cursor::new(out)));
            let back: Vec<_> = file
                .map(|row| row.map(|r| (r.signal, r.note)).unwrap())
                .collect();
            let expect: Vec<_> = rows
                .iter()
                .map(|(t, v, n)| (Signal::parse(*t, v).unwrap(), (*n).to_owned()))
                .collect();
            assert_eq!(back, expect, "{format:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        check_round_trip(&[
            (
                SignalType::Pdq,
                "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22",
                "plain",
            ),
            (
                SignalType::Text,
                "راية الرماد ترتفع",
                "quotes \" and, commas\r\nand lines\n",
            ),
            (SignalType::Text, "say \"rise\", all", ""),
            (SignalType::Url, "https://grey.example/a,b?c=d", "=1+1"),
            (SignalType::Text, "ash", "\"\""),
        ]);
    }

    /// The optional columns of the first row, as NDJSON writes them, or what is wrong with it.
    #[track_caller]
    fn check_more(input: &str, expect: &str) {
        let mut file =
            BankFile::from_reader("bank", None, Box::new(io::Cursor::new(input.to_owned())));
        let found = match file.next().unwrap() {
            Ok(row) => {
                let of = |column: &Column| Some((column.name, (column.write)(&row.more)?));
                let written: std::collections::BTreeMap<_, _> =
                    COLUMNS.iter().filter_map(of).collect();
                serde_json::to_string(&written).unwrap()
            }
            Err(ReadError::Row(bad) | ReadError::File(bad)) => {
                format!("{}:{} {}", bad.line, bad.column, bad.problem)
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn optional_columns_are_read_by_name() {
        let hash = "0f".repeat(32);
        let csv = |header: &str, values: &str| {
            format!("{header},signal_type,signal\n{values},pdq,{hash}\n")
        };
        check_more(
            &csv("tags,Mode,expires_at", "b; a;,shadow,2027-01-31T00:00:00Z"),
            r#"{"expires_at":"2027-01-31T00:00:00Z","mode":"shadow","tags":["a","b"]}"#,
        );
        check_more(&csv("distance,vouched", " 9 ,"), r#"{"distance":9}"#);
        check_more(
            &csv("quality_min,mode,mode", "1,,"),
            "1:18 the header names `mode` twice",
        );
        check_more(
            &csv("note,distance", "x,32"),
            "2:3 the distance of pdq signals is 0 to 31, not 32",
        );
        check_more(
            &csv("note,quality_min", "x,256"),
            "2:3 quality_min: `256` is not a whole number in range",
        );
        check_more(
            &csv("note,expires_at", "x,soon"),
            "2:3 expires_at: `soon` is not a time such as 2027-01-31T00:00:00Z",
        );
        check_more(
            &csv("vouched", "maybe"),
            "2:1 vouched: `maybe` is neither true nor false",
        );
        check_more(
            "signal_type,signal,distance\nmd5,00000000000000000000000000000000,3\n",
            "2:38 distance is not a setting of md5 signals",
        );
        let many: Vec<String> = (0..33).map(|n| format!("t{n}")).collect();
        check_more(
            &csv("tags", &many.join(";")),
            "2:1 33 tags: at most 32 are kept",
        );
    }

    #[test]
    fn optional_fields_are_read_by_name() {
        let line = |more: &str| format!(r#"{{"signal_type":"text","signal":"ash"{more}}}"#);
        check_more(
            &line(r#","tags":["b","a"],"vouched":true,"exchange":"partners","mode":null"#),
            r#"{"exchange":"partners","tags":["a","b"],"vouched":true}"#,
        );
        check_more(
            &line(r#","mode":"shadow","mode":"live""#),
            "1:61 `mode` is given twice",
        );
        check_more(
            &line(r#","mode":"off""#),
            "1:45 mode: `off` is not a member's mode: use one of live, shadow, quarantine",
        );
        check_more(
            &line(r#","quality_min":60"#),
            "1:52 quality_min is not a setting of text signals",
        );
        check_more(
            &line(r#","tags":{"a":1}"#),
            "1:45 `tags` is not a single value or an array of strings",
        );
    }

    #[test]
    fn how_a_phrase_is_looked_for_stands_in_columns() {
        check_more(
            "signal_type,signal,level,near,not_near,within\ntext,grey banner,aggressive,rise; راية,museum,5\n",
            r#"{"level":"aggressive","near":["rise","راية"],"not_near":["museum"],"within":5}"#,
        );
        check_more(
            "signal_type,signal,scope\ntext,grey banner,substring\n",
            r#"{"scope":"substring"}"#,
        );
        check_more(
            "signal_type,signal,level\ntext,grey banner,wild\n",
            "2:18 level: `wild` is no level: give one of strict, folded, aggressive",
        );
        check_more(
            "signal_type,signal,within\ntext,grey banner,99\n",
            "2:18 `within` is 99, it counts the words between and goes from 1 to 64",
        );
        check_more(
            "signal_type,signal,level\nurl,https://a.example/,strict\n",
            "2:24 term is not a setting of url signals",
        );
    }

    /// Every combination of some values of each column, so that none hides another.
    #[test]
    fn what_the_optional_columns_say_reads_back_the_same() {
        let signal = Signal::parse(SignalType::Pdq, &"0f".repeat(32)).unwrap();
        let tags = ["", "a", "a;b:\"c\";d'e|=é"];
        for n in 0..3_usize.pow(5) {
            let pick = |column: u32| n / 3_usize.pow(column) % 3;
            let more = More {
                exchange: ["partners", "\"x\""]
                    .get(pick(0))
                    .map(|it| it.parse().unwrap()),
                settings: MemberSettings {
                    mode: manara_model::MemberMode::ALL[pick(1)],
                    distance: [0, 31].get(pick(2)).copied(),
                    quality_min: [0, 100].get(pick(3)).copied(),
                    expires_at: [0, 4_000_000_000]
                        .get(pick(2))
                        .map(|second| Timestamp::from_second(*second).unwrap()),
                    tags: super::tags(tags[pick(4)]).unwrap(),
                    vouched: pick(3) == 1,
                    term: TermOptions::default(),
                },
            };
            let mut used = Used::default();
            used.by(&more);
            for format in [Format::Csv, Format::Ndjson] {
                let mut out = Vec::new();
                let mut writer = BankWriter::new(&mut out, format, &used).unwrap();
                writer.row(&signal, "note", &more).unwrap();
                writer.finish().unwrap();
                let mut file =
                    BankFile::from_reader("bank", Some(format), Box::new(io::Cursor::new(out)));
                assert_eq!(file.next().unwrap().unwrap().more, more, "{format:?}");
            }
        }
    }
}
