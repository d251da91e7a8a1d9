//! Event files: each line one event, as `POST /api/v1/events` takes it, and media also by `path`.
//!
//! A path is relative to the event file's folder and may not lead out of it, so that an event file
//! from somebody else cannot have other files of this machine read. Nothing is fetched: a scan
//! makes no network requests.

use super::excerpt::Excerpt;
use super::sniff::Kind;
use super::{Hit, IMAGE_BYTES_MAX, Item, Outcome, Scanner};
use crate::matcher::MediaSignals;
use base64::Engine;
use bytes::Bytes;
use manara_model::{Event, Match, Medium, Origin};
use std::io::{self, BufRead};
use std::path::{Component, Path};

/// Longest line of an event file: a few images in base64.
const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Lines that are worked on together: so many, or until so many bytes.
const BATCH_LINES: usize = 256;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Events are looked up together until so many bytes of their media are in memory.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// Longer than [`LINE_BYTES_MAX`], and read past.
    TooLong,
}

/// Consecutive lines of an event file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// With their numbers, from 1.
    pub(super) lines: Vec<(u64, Line)>,
    bytes: usize,
}

/// Reads an event file in batches of bounded size until `take` says to stop by returning `false`.
pub(super) fn batches(
    mut reader: impl BufRead,
    take: &mut dyn FnMut(Batch) -> bool,
) -> io::Result<()> {
    let mut batch = Batch::default();
    let mut number = 0;
    while let Some(line) = next_line(&mut reader)? {
        number += 1;
        if let Line::Whole(bytes) = &line {
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            batch.bytes += bytes.len();
        }
        batch.lines.push((number, line));
        if (batch.lines.len() >= BATCH_LINES || batch.bytes >= BATCH_BYTES)
            && !take(std::mem::take(&mut batch))
        {
            return Ok(());
        }
    }
    if !batch.lines.is_empty() {
        take(batch);
    }
    Ok(())
}

fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let limit = LINE_BYTES_MAX as u64 + 1;
    if io::Read::take(&mut *reader, limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 == limit {
        reader.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Whole(line)))
}

/// Matches the events of a batch from `file`.
pub(super) fn scan_batch(scanner: &Scanner<'_>, file: &Path, batch: Batch) -> Vec<Outcome> {
    let (mut outcomes, mut waiting, mut held) = (Vec::new(), Vec::new(), 0);
    for (line, json) in batch.lines {
        match signed(scanner, file, line, json) {
            Ok(signed) => {
                held += signed
                    .contents
                    .iter()
                    .flatten()
                    .map(Bytes::len)
                    .sum::<usize>();
                waiting.push(signed);
            }
            Err(problem) => {
                // In the order of the lines: those before it first.
                outcomes.extend(matched(scanner, std::mem::take(&mut waiting)));
                outcomes.push(Outcome::Failed {
                    path: file.to_owned(),
                    line: Some(line),
                    problem,
                });
            }
        }
        if held > HELD_BYTES_MAX {
            outcomes.extend(matched(scanner, std::mem::take(&mut waiting)));
            held = 0;
        }
    }
    outcomes.extend(matched(scanner, waiting));
    outcomes
}

/// An event whose media have been signed.
struct SignedEvent {
    item: Item,
    event: Event,
    signals: Vec<MediaSignals>,
    /// The media's bytes, for a thumbnail.
    contents: Vec<Option<Bytes>>,
}

/// Reads a line and signs the media of its event.
fn signed(
    scanner: &Scanner<'_>,
    file: &Path,
    line: u64,
    json: Line,
) -> Result<SignedEvent, String> {
    let Line::Whole(json) = json else {
        return Err(format!(
            "the line is over {LINE_BYTES_MAX} bytes; send large media by `path`"
        ));
    };
    // The mark of UTF-8 may stand at the beginning of a file.
    let text = if line == 1 {
        json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&json)
    } else {
        &json
    };
    // An error in the line as a whole names no field.
    let (event, _warnings) = Event::from_json(text, Origin::CommandLine)
        .map_err(|error| error.to_string().trim_start_matches(": ").to_owned())?;
    let mut item = Item::new(file.to_owned(), Kind::Event, json.len() as u64);
    item.line = Some(line);
    item.event = Some(format!("{}/{}", event.source, event.id));
    let mut signals = Vec::with_capacity(event.media().len());
    let mut contents = Vec::with_capacity(event.media().len());
    for (index, medium) in event.media().iter().enumerate() {
        let (of_medium, content) = sign(scanner, file, medium);
        if let Some(problem) = &of_medium.facts.problem {
            item.problem(format!("content.media[{index}]: {problem}"));
        }
        item.note_quality(&of_medium);
        signals.push(of_medium);
        contents.push(content.filter(|_| scanner.may_picture()));
    }
    Ok(SignedEvent {
        item,
        event,
        signals,
        contents,
    })
}

/// Looks up signed events together.
fn matched(scanner: &Scanner<'_>, signed: Vec<SignedEvent>) -> impl Iterator<Item = Outcome> {
    let now = crate::clock::now();
    let events = signed.iter().map(|it| (&it.event, &it.signals[..], now));
    let matches = scanner.matcher.matches_of_events(events);
    signed.into_iter().zip(matches).map(|(signed, matches)| {
        let SignedEvent {
            mut item,
            event,
            mut contents,
            ..
        } = signed;
        let matches = scanner.near_enough(matches);
        for found in &matches {
            if let Some(content) =
                media_index(&found.field).and_then(|index| contents.get_mut(index)?.take())
            {
                scanner.picture(&mut item, content);
            }
        }
        item.matches = matches
            .into_iter()
            .map(|found| hit(&event, found))
            .collect();
        item.set_aside(scanner.matcher);
        Outcome::Item(Box::new(item))
    })
}

fn hit(event: &Event, found: Match) -> Hit {
    let excerpt = event.text_at(&found.field).map(|text| match found.span {
        Some(span) => Excerpt::of(text, span),
        None => Excerpt::whole(text),
    });
    Hit {
        found,
        line: None,
        excerpt,
    }
}

fn media_index(field: &str) -> Option<usize> {
    field
        .strip_prefix("content.media[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// What can be compared in a medium, and its bytes where there are any.
fn sign(scanner: &Scanner<'_>, file: &Path, medium: &Medium) -> (MediaSignals, Option<Bytes>) {
    let bytes = if let Some(data) = &medium.data {
        base64::engine::general_purpose::STANDARD
            .decode(data)
            .map(Bytes::from)
            .map_err(|error| format!("`data` is not base64: {error}"))
    } else if let Some(path) = &medium.path {
        read_below(file, path)
    } else if medium.url.is_some() {
        Err("not fetched: a scan makes no network requests; give the medium by `path`".to_owned())
    } else {
        return (MediaSignals::sent(medium), None);
    };
    match bytes {
        Ok(bytes) => (scanner.sign(bytes.clone()), Some(bytes)),
        Err(problem) => (MediaSignals::unavailable(problem), None),
    }
}

/// Reads a file that an event names, which has to lie in or below the event file's folder.
fn read_below(event_file: &Path, path: &str) -> Result<Bytes, String> {
    let folder = match event_file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let outside = || format!("`path` {path:?} leads out of the event file's folder");
    if !Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(outside());
    }
    let refused = |error: io::Error| format!("`path` {path:?}: {error}");
    let root = folder.canonicalize().map_err(refused)?;
    // Links are followed here, and then have to have stayed inside.
    let file = folder.join(path).canonicalize().map_err(refused)?;
    if !file.starts_with(&root) {
        return Err(outside());
    }
    let metadata = file.metadata().map_err(refused)?;
    if !metadata.is_file() {
        return Err(format!("`path` {path:?} is not a regular file"));
    }
    if metadata.len() > IMAGE_BYTES_MAX {
        return Err(format!(
            "`path` {path:?} has {} bytes, the limit is {IMAGE_BYTES_MAX}",
            metadata.len()
        ));
    }
    std::fs::read(&file).map(Bytes::from).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(input: &[u8], expect: &[(u64, &str)]) {
        let mut lines = Vec::new();
        let taken = batches(input, &mut |batch| {
            lines.extend(batch.lines);
            true
        });
        taken.unwrap();
        let expect: Vec<_> = expect
            .iter()
            .map(|(n, l)| (*n, Line::Whole(l.as_bytes().to_vec())))
            .collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn lines_keep_their_numbers() {
        check_lines(b"a\n\n  \r\nb\r\nc", &[(1, "a"), (4, "b\r"), (5, "c")]);
        check_lines(b"", &[]);
    }

    #[test]
    fn a_line_without_end_is_passed_over() {
        let endless = io::Read::take(io::repeat(b'x'), 3 * LINE_BYTES_MAX as u64);
        let mut reader = io::BufReader::new(io::Read::chain(endless, &b"\nb"[..]));
        assert_eq!(next_line(&mut reader).unwrap(), Some(Line::TooLong));
        assert_eq!(
            next_line(&mut reader).unwrap(),
            Some(Line::Whole(b"b".to_vec()))
        );
        assert_eq!(next_line(&mut reader).unwrap(), None);
    }

    #[track_caller]
    fn check_path(event_file: &Path, path: &str, expect: Result<&[u8], &str>) {
        let read = read_below(event_file, path);
        match expect {
            Ok(bytes) => assert_eq!(read.unwrap(), bytes),
            Err(part) => assert!(read.as_ref().is_err_and(|e| e.contains(part)), "{read:?}"),
        }
    }

    #[test]
    fn a_path_stays_in_the_folder_of_the_event_file() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("in");
        std::fs::create_dir_all(folder.join("images")).unwrap();
        std::fs::write(folder.join("images/a"), b"inside").unwrap();
        std::fs::write(temporary.path().join("secret"), b"outside").unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("link")).unwrap();
        std::os::unix::fs::symlink("images/a", folder.join("alias")).unwrap();
        let file = folder.join("events.ndjson");
        check_path(&file, "images/a", Ok(b"inside"));
        check_path(&file, "./images/a", Ok(b"inside"));
        check_path(&file, "alias", Ok(b"inside"));
        check_path(&file, "link", Err("leads out"));
        check_path(&file, "../secret", Err("leads out"));
        check_path(&file, "/etc/passwd", Err("leads out"));
        check_path(&file, "images", Err("not a regular file"));
        check_path(&file, "missing", Err("No such file"));
        check_path(&file, "a\0b", Err("`path`"));
    }
}
