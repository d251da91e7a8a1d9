//! A leaf: what one entry of the log says, as canonical JSON (RFC 8785).
//!
//! ```json
//! {"author":{"id":"known_image@3","type":"rules"},"kind":"decision.made","note":"…",
//!  "records":[{"hash":"<64 hex digits>","key":"01J9Z3","table":"decisions"}],
//!  "time":"2026-11-22T10:15:00.123456Z","v":1}
//! ```
//! (on one line, without spaces; `note` only when there is one). The canonical form has exactly
//! one spelling, so the writer is a few appends and the reader accepts those bytes alone: a leaf
//! that decodes encodes to the same bytes, and nothing can hide in white space, escapes, repeated
//! or unknown members.
//!
//! No personal data belongs here. A record is a [`commit`]ment to a row, salted so that it says
//! nothing about the row once row and salt are gone.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::tree::Hash;

/// The longest encoded leaf, in bytes: what the two-byte length of an entries tile can express.
pub const MAX_LEAF_BYTES: usize = 65_535;

const MAX_KIND_BYTES: usize = 64;
const MAX_TABLE_BYTES: usize = 64;
const MAX_KEY_BYTES: usize = 1024;
const MAX_AUTHOR_BYTES: usize = 256;

/// One state change: who did what, when, and to which records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What happened: lower-case words joined by dots, `decision.made` (see [`is_kind`]).
    pub kind: String,
    /// When, in UTC: `2026-11-22T10:15:00.123456Z` (RFC 3339 with `Z`, at most nine decimals).
    pub time: String,
    /// Who did it.
    pub author: Author,
    /// The rows this wrote. Where one row is named twice, the last one counts.
    pub records: Vec<Record>,
    /// A remark, without personal data.
    pub note: Option<String>,
}

/// Who caused a state change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The sort of author, `type` in the JSON.
    pub kind: AuthorKind,
    /// Which one: a rule version, a reviewer's or a key's id. 1 to 256 bytes.
    pub id: String,
}

/// The sorts of author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthorKind {
    /// The rules, acting by themselves.
    Rules,
    /// A person in the console.
    Reviewer,
    /// A program, through its API key.
    Key,
    /// The server's own housekeeping, such as a deadline that passed.
    System,
    /// Whoever runs the command line on the server's machine.
    Operator,
}

impl AuthorKind {
    const ALL: [Self; 5] = [
        Self::Rules,
        Self::Reviewer,
        Self::Key,
        Self::System,
        Self::Operator,
    ];

    /// The word in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Reviewer => "reviewer",
            Self::Key => "key",
            Self::System => "system",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for AuthorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row the leaf vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The table: 1 to 64 of `a-z`, `0-9` and `_`, starting with a letter.
    pub table: String,
    /// The row's key as text, 1 to 1,024 bytes.
    pub key: String,
    /// The [`commit`]ment to the row as it now is, or [`Record::ERASED`].
    pub hash: Hash,
}

impl Record {
    /// The hash that says "this row was removed by this entry", for rows whose retention ended.
    /// No commitment has this value.
    pub const ERASED: Hash = Hash([0; 32]);
}

/// Why a leaf cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// A field breaks its rule.
    #[error("leaf field `{field}` is {found:?}, expected {expected}")]
    Field {
        /// The field's path, such as `records[3].table`.
        field: String,
        /// What it holds, cut after 80 characters.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The encoded form exceeds [`MAX_LEAF_BYTES`].
    #[error(
        "the leaf has {0} bytes, an entry holds at most {MAX_LEAF_BYTES}: \
         write several leaves, or one record that commits to the whole batch"
    )]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("the leaf is not UTF-8 at byte {0}")]
    Utf8(usize),
    /// Not the canonical JSON of a leaf.
    #[error("not a leaf: expected {expected} at byte {at}")]
    Syntax {
        /// The offset in bytes.
        at: usize,
        /// What belongs there.
        expected: &'static str,
    },
}

/// The commitment to a row: SHA-256(`"manara-commit-v1\0"` ‖ salt ‖ row).
///
/// The salt is 16 random bytes per row, kept beside it. Without it nobody can find out by trying
/// what the row said; erasing both leaves the log valid and silent.
///
/// ```
/// use manara_audit::commit;
/// let row = br#"{"account":"a-19"}"#;
/// assert_ne!(commit(&[1; 16], row), commit(&[2; 16], row));
/// ```
pub fn commit(salt: &[u8; 16], canonical_row: &[u8]) -> Hash {
    let digest = Sha256::new()
        .chain_update(b"manara-commit-v1\0")
        .chain_update(salt)
        .chain_update(canonical_row)
        .finalize();
    Hash(digest.into())
}

/// Whether `text` is a kind: at least two words of `a-z` and `_`, joined by dots, at most 64 bytes.
pub fn is_kind(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.len() <= MAX_KIND_BYTES && text.contains('.') && text.split('.').all(is_word)
}

impl Leaf {
    /// The canonical JSON, at most [`MAX_LEAF_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, LeafError> {
        self.check()?;
        let mut out = Vec::with_capacity(self.encoded_len_hint());
        put(&mut out, "{\"author\":{\"id\":");
        put_string(&mut out, &self.author.id);
        put(&mut out, ",\"type\":\"");
        put(&mut out, self.author.kind.as_str());
        put(&mut out, "\"},\"kind\":");
        put_string(&mut out, &self.kind);
        if let Some(note) = &self.note {
            put(&mut out, ",\"note\":");
            put_string(&mut out, note);
        }
        put(&mut out, ",\"records\":[");
        for (index, record) in self.records.iter().enumerate() {
            put(
                &mut out,
                if index == 0 {
                    "{\"hash\":\""
                } else {
                    ",{\"hash\":\""
                },
            );
            out.extend_from_slice(&record.hash.hex_bytes());
            put(&mut out, "\",\"key\":");
            put_string(&mut out, &record.key);
            put(&mut out, ",\"table\":");
            put_string(&mut out, &record.table);
            out.push(b'}');
        }
        put(&mut out, "],\"time\":");
        put_string(&mut out, &self.time);
        put(&mut out, ",\"v\":1}");
        if out.len() > MAX_LEAF_BYTES {
            Err(LeafError::TooLarge(out.len()))
        } else {
            Ok(out)
        }
    }

    /// Reads what [`Leaf::encode`] wrote, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(LeafError::TooLarge(bytes.len()));
        }
        let text = str::from_utf8(bytes).map_err(|error| LeafError::Utf8(error.valid_up_to()))?;
        let mut reader = Reader { text, rest: text };
        let leaf = reader.leaf()?;
        leaf.check()?;
        Ok(leaf)
    }

    fn check(&self) -> Result<(), LeafError> {
        expect(
            is_kind(&self.kind),
            || "kind".into(),
            &self.kind,
            "words joined by dots, `a.b`",
        )?;
        expect(
            is_time(&self.time),
            || "time".into(),
            &self.time,
            "`YYYY-MM-DDThh:mm:ss.ffffffZ`",
        )?;
        let is_author = (1..=MAX_AUTHOR_BYTES).contains(&self.author.id.len());
        expect(
            is_author,
            || "author.id".into(),
            &self.author.id,
            "1 to 256 bytes",
        )?;
        for (index, record) in self.records.iter().enumerate() {
            let field = |name| move || format!("records[{index}].{name}");
            expect(
                is_table(&record.table),
                field("table"),
                &record.table,
                "1 to 64 of a-z, 0-9 and _, a letter first",
            )?;
            let is_key = (1..=MAX_KEY_BYTES).contains(&record.key.len());
            expect(is_key, field("key"), &record.key, "1 to 1,024 bytes")?;
        }
        Ok(())
    }

    /// Exact unless something needs escaping.
    fn encoded_len_hint(&self) -> usize {
        let records: usize = self
            .records
            .iter()
            .map(|record| 98 + record.key.len() + record.table.len())
            .sum();
        let note = self.note.as_ref().map_or(0, |note| note.len() + 10);
        96 + self.author.id.len() + self.kind.len() + self.time.len() + note + records
    }
}

fn expect(
    good: bool,
    field: impl FnOnce() -> String,
    found: &str,
    expected: &'static str,
) -> Result<(), LeafError> {
    if good {
        return Ok(());
    }
    Err(LeafError::Field {
        field: field(),
        found: found.chars().take(80).collect(),
        expected,
    })
}

fn is_table(text: &str) -> bool {
    text.len() <= MAX_TABLE_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// RFC 3339 in UTC with `Z`, a date that exists, no leap second, up to nine decimals.
fn is_time(text: &str) -> bool {
    let Some((head, tail)) = text.as_bytes().split_first_chunk::<19>() else {
        return false;
    };
    let shape = head
        .iter()
        .zip(b"0000-00-00T00:00:00")
        .all(|(found, pattern)| match pattern {
            b'0' => found.is_ascii_digit(),
            separator => found == separator,
        });
    let number = |from: usize| {
        let digits = head.iter().skip(from).take_while(|b| b.is_ascii_digit());
        digits.fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'))
    };
    let decimals = match tail {
        b"Z" => true,
        [b'.', digits @ .., b'Z'] => {
            (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    shape
        && decimals
        && (1..=days_in_month(number(0), number(5))).contains(&number(8))
        && number(11) < 24
        && number(14) < 60
        && number(17) < 60
}

fn days_in_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// A JSON string as RFC 8785 §3.2.2.2 writes it: only `"`, `\` and control characters escaped, the
/// common ones by letter, the others as `\u00xx` in lower case.
fn put_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for run in text.as_bytes().split_inclusive(|byte| needs_escape(*byte)) {
        match run.split_last() {
            Some((last, plain)) if needs_escape(*last) => {
                out.extend_from_slice(plain);
                put_escape(out, *last);
            }
            _ => out.extend_from_slice(run),
        }
    }
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The escapes with a letter of their own.
const SHORT_ESCAPES: [(u8, char); 7] = [
    (b'"', '"'),
    (b'\\', '\\'),
    (0x08, 'b'),
    (b'\t', 't'),
    (b'\n', 'n'),
    (0x0c, 'f'),
    (b'\r', 'r'),
];

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    match SHORT_ESCAPES.iter().find(|(escaped, _)| *escaped == byte) {
        Some((_, letter)) => out.extend_from_slice(&[b'\\', *letter as u8]),
        None => put(out, &format!("\\u{byte:04x}")),
    }
}

/// Reads the one spelling of a leaf from the left.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn leaf(&mut self) -> Result<Leaf, LeafError> {
        self.literal("{\"author\":{\"id\":")?;
        let id = self.string()?;
        self.literal(",\"type\":")?;
        let kind = self.author_kind()?;
        self.literal("},\"kind\":")?;
        let author = Author { kind, id };
        let kind = self.string()?;
        let note = if self.skip(",\"note\":") {
            Some(self.string()?)
        } else {
            None
        };
        self.literal(",\"records\":[")?;
        let mut records = Vec::new();
        while !self.skip("]") {
            if !records.is_empty() {
                self.literal(",")?;
            }
            records.push(self.record()?);
        }
        self.literal(",\"time\":")?;
        let time = self.string()?;
        self.literal(",\"v\":1}")?;
        if self.rest.is_empty() {
            Ok(Leaf {
                kind,
                time,
                author,
                records,
                note,
            })
        } else {
            Err(self.unexpected("nothing more"))
        }
    }

    fn record(&mut self) -> Result<Record, LeafError> {
        self.literal("{\"hash\":\"")?;
        let hash = self.hash()?;
        self.literal("\",\"key\":")?;
        let key = self.string()?;
        self.literal(",\"table\":")?;
        let table = self.string()?;
        self.literal("}")?;
        Ok(Record { table, key, hash })
    }

    fn hash(&mut self) -> Result<Hash, LeafError> {
        let digits = self.rest.get(..64).and_then(|hex| Hash::from_hex(hex).ok());
        let hash = digits.ok_or_else(|| self.unexpected("64 lower-case hex digits"))?;
        self.advance(64);
        Ok(hash)
    }

    fn author_kind(&mut self) -> Result<AuthorKind, LeafError> {
        let start = self.position();
        let word = self.string()?;
        AuthorKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or(LeafError::Syntax {
                at: start,
                expected: "\"rules\", \"reviewer\", \"key\", \"system\" or \"operator\"",
            })
    }

    fn string(&mut self) -> Result<String, LeafError> {
        self.literal("\"")?;
        let mut out = String::new();
        loop {
            let stop = self.rest.bytes().position(needs_escape);
            let stop = stop.ok_or_else(|| self.unexpected("a closing `\"`"))?;
            out.push_str(self.rest.get(..stop).unwrap_or_default());
            self.advance(stop);
            if self.skip("\"") {
                return Ok(out);
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, LeafError> {
        let escape = self
            .rest
            .strip_prefix('\\')
            .and_then(|after| after.chars().next());
        let short = SHORT_ESCAPES
            .iter()
            .find(|(_, letter)| Some(*letter) == escape);
        if let Some((byte, _)) = short {
            self.advance(2);
            return Ok(char::from(*byte));
        }
        let code = self
            .rest
            .strip_prefix("\\u00")
            .and_then(|after| after.get(..2));
        let canonical = code.and_then(|hex| {
            let byte = u8::from_str_radix(hex, 16).ok()?;
            let has_letter = SHORT_ESCAPES.iter().any(|(escaped, _)| *escaped == byte);
            (byte < 0x20 && !has_letter && hex == format!("{byte:02x}")).then_some(byte)
        });
        let byte = canonical.ok_or_else(|| self.unexpected("a canonical JSON escape"))?;
        self.advance(6);
        Ok(char::from(byte))
    }

    fn literal(&mut self, expected: &'static str) -> Result<(), LeafError> {
        if self.skip(expected) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn position(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn unexpected(&self, expected: &'static str) -> LeafError {
        LeafError::Syntax {
            at: self.position(),
            expected,
        }
    }
}
