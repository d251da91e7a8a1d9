//! Frames of the Language Server Protocol: a length, an empty line, and JSON of that length.
//!
//! A frame that is broken costs only itself: whatever comes next is searched for the next length.

use serde_json::Value;
use std::io::{self, BufRead, Read, Write};

/// Largest message, in bytes: a rule file of the largest size, escaped in the widest way.
pub(super) const MESSAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Longest line of a header, in bytes.
const LINE_BYTES_MAX: u64 = 4 * 1024;

/// What came in.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    Message(Value),
    /// A whole frame that holds no JSON.
    NotJson(String),
    /// A frame of so many bytes, which were skipped.
    TooLarge(u64),
    /// Nothing more comes.
    End,
}

/// Reads the next frame.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Frame> {
    let Some(length) = header(input)? else {
        return Ok(Frame::End);
    };
    if length > MESSAGE_BYTES_MAX {
        let skipped = io::copy(&mut input.by_ref().take(length), &mut io::sink())?;
        return Ok(Frame::TooLarge(skipped));
    }
    let mut body = Vec::new();
    input.by_ref().take(length).read_to_end(&mut body)?;
    if (body.len() as u64) < length {
        return Ok(Frame::End);
    }
    Ok(match serde_json::from_slice(&body) {
        Ok(message) => Frame::Message(message),
        Err(error) => Frame::NotJson(error.to_string()),
    })
}

/// Reads to the end of a header that names a length; `None` at the end of the input.
fn header(input: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut length = None;
    loop {
        let mut line = Vec::new();
        let read = input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        match (line.trim(), length) {
            ("", Some(length)) => return Ok(Some(length)),
            ("", None) => {}
            (line, _) => length = length_in(line).or(length),
        }
    }
}

/// The length a line names. What is left of a broken frame may stand before it.
fn length_in(line: &str) -> Option<u64> {
    let line = line.to_ascii_lowercase();
    let (_, number) = line.rsplit_once("content-length:")?;
    number.trim().parse().ok()
}

/// Writes a message.
pub(super) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(input: &[u8], expect: &[Frame]) {
        let mut input = io::BufReader::new(input);
        for expect in expect {
            assert_eq!(&read(&mut input).unwrap(), expect);
        }
        assert_eq!(read(&mut input).unwrap(), Frame::End);
    }

    #[test]
    fn what_was_written_is_read() {
        let mut bytes = Vec::new();
        write(&mut bytes, &json!({ "a": "راية" })).unwrap();
        write(&mut bytes, &json!([])).unwrap();
        check(
            &bytes,
            &[
                Frame::Message(json!({ "a": "راية" })),
                Frame::Message(json!([])),
            ],
        );
    }

    #[test]
    fn a_broken_frame_costs_only_itself() {
        let good = b"Content-Length: 2\r\nContent-Type: x\r\n\r\n[]";
        let broken = b"Content-Length: 3\r\n\r\n{x}rest of it";
        let mut bytes = broken.to_vec();
        bytes.extend(good);
        let why = serde_json::from_str::<Value>("{x}")
            .unwrap_err()
            .to_string();
        check(&bytes, &[Frame::NotJson(why), Frame::Message(json!([]))]);
        check(
            b"\r\n\r\nnonsense\r\n\r\nContent-Length: 2\r\n\r\n[]",
            &[Frame::Message(json!([]))],
        );
    }

    #[test]
    fn half_a_frame_is_the_end() {
        check(b"Content-Length: 20\r\n\r\n{\"a\":", &[]);
        check(b"Content-Len", &[]);
        check(b"Content-Length: 20\r\n", &[]);
        check(b"Content-Length: nothing\r\n\r\n{}", &[]);
    }

    #[test]
    fn what_is_too_large_is_skipped_without_being_kept() {
        let length = MESSAGE_BYTES_MAX + 1;
        let mut bytes = format!("Content-Length: {length}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + length as usize, b' ');
        bytes.extend(b"Content-Length: 2\r\n\r\n[]");
        check(
            &bytes,
            &[Frame::TooLarge(length), Frame::Message(json!([]))],
        );
    }
}
