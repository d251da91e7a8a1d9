//! Texts of any length, looked through in overlapping windows.
//!
//! ```text
//! file ─ bytes ─┬─ sha256, md5
//!               └─ UTF-8 / UTF-16 ─ windows of 16 KiB, 4 KiB shared ─ find ─ first hit of each member
//! ```
//! A match that touches an edge which is only the window's is dropped: the neighbouring window sees
//! it whole, and a word cut in two must not match as if it ended there.

use super::Hit;
use super::excerpt::{Excerpt, ceil, floor};
use super::sniff::starts_with_utf16_mark;
use manara_model::{BankName, Match, MemberId, Span};
use std::collections::HashSet;
use std::io::{self, Read};

const WINDOW_BYTES: usize = 16 * 1024;
/// The longest disguised phrase that is found wherever it stands.
const OVERLAP_BYTES: usize = 4 * 1024;
/// The finder keeps at most so many matches of one window; from there on, smaller windows are looked at.
const MATCHES_FULL: usize = 64;
/// The smallest window: as many phrases as are kept do not fit into less.
const WINDOW_BYTES_MIN: usize = 256;
/// Most members reported for one file.
const HITS_MAX: usize = 1000;

/// What was found in a text.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// Why not all of it could be read as text.
    pub(super) problem: Option<String>,
}

/// Looks through a text with `find`, which finds matches in a piece of it.
pub(super) fn look_through(
    mut reader: impl Read,
    find: &dyn Fn(&str) -> Vec<Match>,
) -> io::Result<Found> {
    let mut decoder = Decoder::default();
    let mut windows = Windows {
        find,
        text: String::new(),
        base: 0,
        line: 1,
        seen: HashSet::new(),
        hits: Vec::new(),
    };
    let mut block = vec![0; WINDOW_BYTES];
    loop {
        let read = match reader.read(&mut block) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if read == 0 {
            break;
        }
        decoder.decode(block.get(..read).unwrap_or_default(), &mut windows.text);
        windows.look_at_full_ones();
    }
    decoder.finish(&mut windows.text);
    windows.look_at_full_ones();
    windows.look(0..windows.text.len(), (windows.base == 0, true));
    Ok(Found {
        hits: windows.hits,
        problem: decoder.problem,
    })
}

struct Windows<'a> {
    find: &'a dyn Fn(&str) -> Vec<Match>,
    text: String,
    /// Where in the whole text `text` begins.
    base: usize,
    /// The line on which `text` begins.
    line: u64,
    seen: HashSet<(BankName, MemberId)>,
    hits: Vec<Hit>,
}

impl Windows<'_> {
    fn look_at_full_ones(&mut self) {
        while self.text.len() > WINDOW_BYTES {
            let cut = floor(&self.text, WINDOW_BYTES);
            self.look(0..cut, (self.base == 0, false));
            let done = floor(&self.text, cut - OVERLAP_BYTES);
            self.line += newlines(self.text.get(..done).unwrap_or_default());
            self.base += done;
            self.text.drain(..done);
        }
    }

    /// Looks at a part of the text; `whole` says whether it begins and ends where the text does.
    fn look(&mut self, part: std::ops::Range<usize>, whole: (bool, bool)) {
        let window = self.text.get(part.clone()).unwrap_or_default();
        let found = (self.find)(window);
        if found.len() >= MATCHES_FULL && window.len() > WINDOW_BYTES_MIN {
            let (middle, shared) = (part.start + window.len() / 2, window.len() / 8);
            let left_end = ceil(&self.text, middle + shared);
            let right_start = floor(&self.text, middle - shared);
            self.look(part.start..left_end, (whole.0, false));
            self.look(right_start..part.end, (false, whole.1));
        }
        for found in found {
            let span = found.span.unwrap_or(Span { start: 0, end: 0 });
            let is_cut = span.start == 0 && !whole.0 || span.end >= part.len() && !whole.1;
            if !is_cut && self.hits.len() < HITS_MAX {
                self.add(
                    found,
                    Span {
                        start: part.start + span.start,
                        end: part.start + span.end,
                    },
                );
            }
        }
    }

    fn add(&mut self, mut found: Match, span: Span) {
        if !self.seen.insert((found.bank.clone(), found.member)) {
            return;
        }
        let line = self.line
            + newlines(
                self.text
                    .get(..floor(&self.text, span.start))
                    .unwrap_or_default(),
            );
        let excerpt = Excerpt::of(&self.text, span);
        found.span = Some(Span {
            start: self.base + span.start,
            end: self.base + span.end,
        });
        self.hits.push(Hit {
            found,
            line: Some(line),
            excerpt: Some(excerpt),
        });
    }
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|b| *b == b'\n').count() as u64
}

/// Bytes to text, block by block; what cannot be decoded becomes U+FFFD and is remembered.
#[derive(Default)]
struct Decoder {
    encoding: Option<Encoding>,
    rest: Vec<u8>,
    done: u64,
    problem: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Utf16 { big_endian: bool },
}

impl Decoder {
    fn decode(&mut self, block: &[u8], into: &mut String) {
        self.rest.extend_from_slice(block);
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            // Too little to tell UTF-16 from UTF-32 by.
            None if self.rest.len() < 4 => return,
            None => self.tell(),
        };
        match encoding {
            Encoding::Utf8 => self.utf8(into, false),
            Encoding::Utf16 { big_endian } => self.utf16(big_endian, into, false),
        }
    }

    fn tell(&mut self) -> Encoding {
        let encoding = if starts_with_utf16_mark(&self.rest) {
            self.problem = Some(
                "UTF-16, not UTF-8; it was converted, so positions are those of the converted text"
                    .to_owned(),
            );
            Encoding::Utf16 {
                big_endian: self.rest.first() == Some(&0xfe),
            }
        } else {
            Encoding::Utf8
        };
        *self.encoding.insert(encoding)
    }

    fn finish(&mut self, into: &mut String) {
        match self.encoding.unwrap_or_else(|| self.tell()) {
            Encoding::Utf8 => self.utf8(into, true),
            Encoding::Utf16 { big_endian } => self.utf16(big_endian, into, true),
        }
    }

    fn utf8(&mut self, into: &mut String, at_end: bool) {
        let bytes = std::mem::take(&mut self.rest);
        let mut rest = bytes.as_slice();
        loop {
            let (good, bad, after) = match std::str::from_utf8(rest) {
                Ok(text) => (text, 0, &[][..]),
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    let length = error.error_len().unwrap_or(bad.len());
                    if error.error_len().is_none() && !at_end {
                        self.rest = bad.to_vec();
                    }
                    let good = std::str::from_utf8(good).unwrap_or_default();
                    (good, length, bad.get(length..).unwrap_or_default())
                }
            };
            into.push_str(good);
            self.done += good.len() as u64;
            if bad == 0 || !self.rest.is_empty() {
                return;
            }
            if self.problem.is_none() {
                self.problem = Some(format!(
                    "not UTF-8 from byte {}; the rest was read with gaps",
                    self.done
                ));
            }
            into.push(char::REPLACEMENT_CHARACTER);
            self.done += bad as u64;
            rest = after;
        }
    }

    fn utf16(&mut self, big_endian: bool, into: &mut String, at_end: bool) {
        let bytes = std::mem::take(&mut self.rest);
        let (pairs, odd) = bytes.as_chunks::<2>();
        let mut units: Vec<u16> = pairs
            .iter()
            .map(|pair| {
                if big_endian {
                    u16::from_be_bytes(*pair)
                } else {
                    u16::from_le_bytes(*pair)
                }
            })
            .collect();
        // Half of a surrogate pair waits for its other half.
        let waiting = units
            .last()
            .is_some_and(|unit| matches!(unit, 0xd800..=0xdbff))
            && !at_end;
        if waiting {
            units.pop();
            self.rest.extend(pairs.last().into_iter().flatten());
        }
        self.rest.extend_from_slice(odd);
        into.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        if at_end && !odd.is_empty() {
            into.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_signal::SignalType;

    /// Finds the words `needle0`, `needle1`, … as whole words.
    fn find(text: &str) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        for (start, word) in text.match_indices("needle") {
            let digits: String = text[start + word.len()..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let end = start + word.len() + digits.len();
            let is_word = !text[..start].ends_with(char::is_alphanumeric)
                && !text[end..].starts_with(char::is_alphanumeric);
            let member = MemberId(digits.parse().unwrap_or(-1));
            if is_word && found.len() < MATCHES_FULL && !found.iter().any(|m| m.member == member) {
                found.push(Match {
                    signal_type: SignalType::Text,
                    bank: "B".parse().unwrap(),
                    member,
                    distance: 0,
                    field: "text".to_owned(),
                    quality: None,
                    span: Some(Span { start, end }),
                    how: None,
                    form: None,
                    form_hash: None,
                    distance_stored: None,
                    withheld: None,
                });
            }
        }
        found
    }

    /// Each hit as `member@line:start matched`, and the problem.
    #[track_caller]
    fn check(bytes: &[u8], expect: &[&str], problem: Option<&str>) {
        let found = look_through(bytes, &find).unwrap();
        let hits: Vec<String> = found
            .hits
            .iter()
            .map(|hit| {
                let [_, matched, _] = hit.excerpt.as_ref().unwrap().parts();
                format!(
                    "{}@{}:{} {matched}",
                    hit.found.member,
                    hit.line.unwrap(),
                    hit.found.span.unwrap().start
                )
            })
            .collect();
        assert_eq!(hits, expect);
        assert_eq!(found.problem.as_deref(), problem);
    }

    #[test]
    fn the_first_hit_of_each_member_is_kept_with_its_line() {
        check(
            b"a needle1\nb needle2 needle1\n",
            &["1@1:2 needle1", "2@2:12 needle2"],
            None,
        );
        check(b"", &[], None);
    }

    #[test]
    fn a_hit_is_found_wherever_the_windows_fall() {
        for shift in 0..40 {
            let at = WINDOW_BYTES - 20 + shift;
            let text = format!("{} needle7 {}", "é\n".repeat(at / 3), "x".repeat(40_000));
            let start = at / 3 * 3 + 1;
            check(
                text.as_bytes(),
                &[&format!("7@{}:{start} needle7", at / 3 + 1)],
                None,
            );
        }
    }

    #[test]
    fn a_word_cut_by_a_window_does_not_match() {
        for shift in 0..40 {
            let text = format!(
                "{} needle7x {}",
                "y".repeat(WINDOW_BYTES - 20 + shift),
                "z ".repeat(9000)
            );
            check(text.as_bytes(), &[], None);
        }
    }

    #[test]
    fn more_hits_than_one_window_gives_are_all_found() {
        let text: String = (0..900).fold(String::new(), |text, n| text + &format!("needle{n} "));
        let found = look_through(text.as_bytes(), &find).unwrap();
        let members: HashSet<i64> = found.hits.iter().map(|hit| hit.found.member.0).collect();
        assert_eq!(members.len(), 900);
    }

    #[test]
    fn other_encodings_are_read_as_far_as_possible_and_named() {
        check(
            b"caf\xe9 needle1",
            &["1@1:7 needle1"],
            Some("not UTF-8 from byte 3; the rest was read with gaps"),
        );
        let utf16: Vec<u8> = "\u{feff}a\nneedle3 😀"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let told =
            "UTF-16, not UTF-8; it was converted, so positions are those of the converted text";
        check(&utf16, &["3@2:5 needle3"], Some(told));
        check(&utf16[..utf16.len() - 1], &["3@2:5 needle3"], Some(told));
    }

    #[test]
    fn characters_split_between_reads_stay_whole() {
        struct Slowly<'a>(&'a [u8]);
        impl Read for Slowly<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else {
                    return Ok(0);
                };
                self.0 = rest;
                into[0] = *first;
                Ok(1)
            }
        }
        for text in ["راية needle1 😀", "\u{feff}é"] {
            let found = look_through(Slowly(text.as_bytes()), &find).unwrap();
            assert_eq!(
                (found.problem, found.hits.len()),
                (None, usize::from(text.contains("needle")))
            );
        }
        let found = look_through(Slowly(b"\xd8\xb1\xd8"), &find).unwrap();
        assert_eq!(
            found.problem.unwrap(),
            "not UTF-8 from byte 2; the rest was read with gaps"
        );
    }
}
