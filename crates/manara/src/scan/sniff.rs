//! What a file is, from its first bytes; its name is not believed.

use crate::media;

/// What a scan does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A picture of a format that Manara decodes, HEIC and AVIF with the help of ffmpeg.
    Image,
    /// Text: looked through for phrases and links.
    Text,
    /// A line of an event file.
    Event,
    /// Anything else: compared by its exact hashes only.
    Other,
}

/// How many bytes [`sniff`] wants to see.
pub(crate) const SNIFF_BYTES: usize = 8 * 1024;

/// Tells what a file is by its first [`SNIFF_BYTES`].
pub(crate) fn sniff(start: &[u8]) -> Kind {
    if is_image(start) {
        Kind::Image
    } else if starts_with_utf16_mark(start) || !start.contains(&0) && !is_binary(start) {
        Kind::Text
    } else {
        Kind::Other
    }
}

/// A file that begins with the byte order mark of UTF-16.
pub(crate) fn starts_with_utf16_mark(start: &[u8]) -> bool {
    matches!(start, [0xff, 0xfe, rest @ ..] if !rest.starts_with(&[0, 0]))
        || start.starts_with(&[0xfe, 0xff])
}

fn is_image(start: &[u8]) -> bool {
    start.starts_with(b"\xff\xd8\xff")
        || start.starts_with(b"\x89PNG\r\n\x1a\n")
        || start.starts_with(b"GIF87a")
        || start.starts_with(b"GIF89a")
        || start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP")
        || is_bmp(start)
        || media::heif(start).is_some()
}

/// "BM" also begins ordinary words, so the header's own size has to be one that exists.
fn is_bmp(start: &[u8]) -> bool {
    let header = start
        .get(14..18)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    start.starts_with(b"BM") && matches!(header, Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// Formats that are known not to be text although their first bytes may hold no zero.
fn is_binary(start: &[u8]) -> bool {
    const MAGIC: [&[u8]; 10] = [
        b"%PDF-",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"\xfd7zXZ",
        b"7z\xbc\xaf",
        b"Rar!\x1a",
        b"ID3",
        b"OggS",
        b"fLaC",
        b"\x28\xb5\x2f\xfd",
    ];
    MAGIC.iter().any(|magic| start.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: &[u8], expect: Kind) {
        assert_eq!(sniff(start), expect);
    }

    #[test]
    fn images_are_told_by_their_magic() {
        check(b"\xff\xd8\xff\xe0\0\x10JFIF", Kind::Image);
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Kind::Image);
        check(b"GIF89a\x01\0", Kind::Image);
        check(b"RIFF\x10\0\0\0WEBPVP8 ", Kind::Image);
        check(b"\0\0\0\x10ftypavif\0\0\0\0", Kind::Image);
        check(b"BM\x10\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", Kind::Image);
    }

    #[test]
    fn text_is_what_holds_no_zero_bytes() {
        check(b"", Kind::Text);
        check("BMW رايات".as_bytes(), Kind::Text);
        check(b"caf\xe9 in Latin-1", Kind::Text);
        check(b"\xff\xfet\0e\0", Kind::Text);
        check(b"RIFF\x10\0\0\0WAVEfmt ", Kind::Other);
        check(b"\0\0\0\x18ftypmp42", Kind::Other);
        check(b"%PDF-1.7\n%\xe2\xe3", Kind::Other);
    }
}
