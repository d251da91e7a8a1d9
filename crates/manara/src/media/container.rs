//! What a file says about itself before any pixel is decoded: its format, how many frames it holds,
//! whether a JPEG reaches its end.
//!
//! Everything here walks lengths inside a byte slice, allocates nothing and visits each byte at most
//! once, so it is safe to run on hostile bytes in the server's own process.

/// An image format Manara decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Gif,
    WebP,
    Bmp,
}

impl Format {
    /// The format's usual name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
        }
    }

    /// The format by the first bytes of a file; 16 of them are enough. The file's name and the type a
    /// server claims for it are worth nothing here: uploads lie.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Self::WebP),
            [b'B', b'M', ..] => Some(Self::Bmp),
            _ => None,
        }
    }
}

/// What a file that is not one of our formats seems to be, for the explanation.
pub(super) fn known_as(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(match heif(bytes) {
            Some("AVIF") => "an AVIF image",
            Some(_) => "a HEIC image",
            None => "a video (MP4)",
        }),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some("a video (WebM or Matroska)"),
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF"),
        [b'I', b'I', 0x2a, 0, ..] | [b'M', b'M', 0, 0x2a, ..] => Some("a TIFF image"),
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', ..] => Some("a JPEG XL image"),
        [b'<', b's', b'v', b'g', ..] => Some("an SVG drawing"),
        [b'P', b'K', 3, 4, ..] => Some("a ZIP archive"),
        _ => None,
    }
}

/// Brands a file's type box may list.
const BRANDS_MAX: usize = 64;

/// `HEIC` or `AVIF`, when the file's type box names a brand of still pictures or of sequences of them
/// (ISO/IEC 23008-12, annex B). A video may name none of these.
pub(crate) fn heif(bytes: &[u8]) -> Option<&'static str> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let [a, b, c, d, b'f', b't', b'y', b'p'] = *head else {
        return None;
    };
    let length = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(8);
    let (words, _) = rest.get(..length).unwrap_or(rest).as_chunks::<4>();
    // The second word is a version, which looks like no brand.
    let mut found = None;
    for brand in words.iter().take(BRANDS_MAX) {
        match brand {
            b"avif" | b"avis" => return Some("AVIF"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs"
            | b"mif1" | b"mif2" | b"msf1" | b"miaf" => found = Some("HEIC"),
            _ => {}
        }
    }
    found
}

/// How many frames the file holds by its structure, at least 1. No frame is decoded.
pub(super) fn frames(format: Format, bytes: &[u8]) -> u32 {
    let counted = match format {
        Format::Gif => gif_frames(bytes),
        Format::Png => png_chunks(bytes).filter(|kind| kind == b"fcTL").count(),
        Format::WebP => webp_chunks(bytes).filter(|kind| kind == b"ANMF").count(),
        Format::Jpeg | Format::Bmp => 1,
    };
    u32::try_from(counted).unwrap_or(u32::MAX).max(1)
}

/// GIF (`GIF89a`, sections 18 to 25): a header, a global colour table, then blocks made of sub-blocks.
fn gif_frames(bytes: &[u8]) -> usize {
    let mut frames = 0;
    let mut at = 13 + bytes.get(10).map_or(0, |flags| colour_table_bytes(*flags));
    while let Some(introducer) = bytes.get(at) {
        at = match introducer {
            0x21 => at + 2,
            0x2c => {
                frames += 1;
                at + 11
                    + bytes
                        .get(at + 9)
                        .map_or(0, |flags| colour_table_bytes(*flags))
            }
            _ => break,
        };
        at = after_sub_blocks(bytes, at);
    }
    frames
}

/// Sub-blocks: a length, as many bytes, until a length of zero.
fn after_sub_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(length) = bytes.get(at) {
        at += 1 + usize::from(*length);
        if *length == 0 {
            break;
        }
    }
    at
}

fn colour_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    chunks(bytes, 8, |length, _| u32::from_be_bytes(length), 4, false)
}

fn webp_chunks(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    chunks(bytes, 12, |_, length| u32::from_le_bytes(length), 0, true)
}

/// The kinds of chunks that are two four-byte words (kind and length, in either order), a body and a trailer.
fn chunks(
    bytes: &[u8],
    start: usize,
    length_of: fn([u8; 4], [u8; 4]) -> u32,
    trailer: usize,
    little: bool,
) -> impl Iterator<Item = [u8; 4]> {
    let mut at = start;
    std::iter::from_fn(move || {
        let first: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let second: [u8; 4] = bytes.get(at + 4..at.checked_add(8)?)?.try_into().ok()?;
        let length = length_of(first, second) as usize;
        // RIFF pads bodies to an even length; PNG follows them with a checksum.
        let padding = if little { length & 1 } else { 0 };
        at = at
            .checked_add(8)?
            .checked_add(length)?
            .checked_add(padding + trailer)?;
        Some(if little { first } else { second })
    })
}

/// The place of a GIF's first frame on its canvas, and what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GifFrame {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// The colour Pillow gives to the rest of the canvas: the transparent one, or the palette's first.
    pub(super) behind: [u8; 3],
}

/// Finds the first frame without decoding it; `None` when there is none, or no palette for it.
pub(super) fn gif_first_frame(bytes: &[u8]) -> Option<GifFrame> {
    let global = 13;
    let mut at = global + colour_table_bytes(*bytes.get(10)?);
    let mut transparent = None;
    while *bytes.get(at)? == 0x21 {
        // A graphic control extension: four bytes, of which flags first and the transparent index last.
        if let Some([0xf9, 4, flags, _, _, index]) = bytes.get(at + 1..at + 7) {
            transparent = (flags & 1 == 1).then_some(usize::from(*index));
        }
        at = after_sub_blocks(bytes, at + 2);
    }
    let &[0x2c, x0, x1, y0, y1, w0, w1, h0, h1, flags] = bytes.get(at..at + 10)? else {
        return None;
    };
    let word = |low: u8, high: u8| usize::from(u16::from_le_bytes([low, high]));
    let palette = if flags & 0x80 == 0 { global } else { at + 10 };
    let entry = palette + 3 * transparent.unwrap_or(0);
    let behind = bytes.get(entry..entry + 3)?.try_into().ok()?;
    Some(GifFrame {
        left: word(x0, x1),
        top: word(y0, y1),
        width: word(w0, w1),
        height: word(h0, h1),
        behind,
    })
}

/// Whether a JPEG has its end-of-image marker, outside any segment's body (ITU-T T.81, annex B).
pub(super) fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(offset) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|b| *b == 0xff))
    {
        at += offset;
        let Some(marker) = bytes.get(at + 1) else {
            break;
        };
        at += match marker {
            0xff => 1,
            // A stuffed byte of entropy-coded data, restart markers, TEM, a second start.
            0x00 | 0x01 | 0xd0..=0xd8 => 2,
            0xd9 => return true,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else {
                    break;
                };
                2 + usize::from(u16::from_be_bytes([high, low])).max(2)
            }
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_format(bytes: &[u8], expect: Option<Format>, called: Option<&str>) {
        assert_eq!(Format::of(bytes), expect);
        assert_eq!(known_as(bytes), called);
    }

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        check_format(b"\xff\xd8\xff\xe0", Some(Format::Jpeg), None);
        check_format(b"\x89PNG\r\n\x1a\n", Some(Format::Png), None);
        check_format(b"GIF89a", Some(Format::Gif), None);
        check_format(b"RIFF\x00\x00\x00\x00WEBPVP8 ", Some(Format::WebP), None);
        check_format(b"RIFF\x00\x00\x00\x00WAVEfmt ", None, None);
        check_format(b"BM", Some(Format::Bmp), None);
        check_format(b"", None, None);
        check_format(b"\xff\xd8", None, None);
        check_format(b"\0\0\0\x18ftypheic", None, Some("a HEIC image"));
        check_format(b"\0\0\0\x18ftypavif", None, Some("an AVIF image"));
        check_format(
            b"\0\0\0\x14ftypmif1\0\0\0\0heic",
            None,
            Some("a HEIC image"),
        );
        check_format(
            b"\0\0\0\x14ftypmif1\0\0\0\0avif",
            None,
            Some("an AVIF image"),
        );
        check_format(b"\0\0\0\x18ftypisom", None, Some("a video (MP4)"));
        // What stands behind the box is no brand of it.
        check_format(
            b"\0\0\0\x10ftypisom\0\0\0\0avif",
            None,
            Some("a video (MP4)"),
        );
        check_format(b"%PDF-1.7", None, Some("a PDF"));
    }

    #[track_caller]
    fn check_frames(format: Format, bytes: &[u8], expect: u32) {
        assert_eq!(frames(format, bytes), expect);
    }

    #[test]
    fn gif_frames_are_counted_without_decoding() {
        let head = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff";
        let control = b"\x21\xf9\x04\x00\x0a\x00\x00\x00";
        let frame = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00";
        let gif = |count: usize| {
            let mut bytes = head.to_vec();
            (0..count).for_each(|_| {
                bytes.extend_from_slice(control);
                bytes.extend_from_slice(frame);
            });
            bytes.push(0x3b);
            bytes
        };
        check_frames(Format::Gif, &gif(1), 1);
        check_frames(Format::Gif, &gif(3), 3);
        check_frames(Format::Gif, &gif(100_000), 100_000);
        check_frames(Format::Gif, head, 1);
        check_frames(Format::Gif, b"GIF89a", 1);
    }

    #[test]
    fn chunked_frames_are_counted_and_absurd_lengths_end_the_walk() {
        let chunk =
            |kind: &[u8; 4], length: u32| [&length.to_be_bytes()[..], kind, &[0; 4]].concat();
        let png = |chunks: &[Vec<u8>]| [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat();
        check_frames(
            Format::Png,
            &png(&[chunk(b"IHDR", 0), chunk(b"IDAT", 0)]),
            1,
        );
        check_frames(
            Format::Png,
            &png(&[chunk(b"fcTL", 0), chunk(b"IDAT", 0), chunk(b"fcTL", 0)]),
            2,
        );
        check_frames(
            Format::Png,
            &png(&[chunk(b"junk", u32::MAX), chunk(b"fcTL", 0)]),
            1,
        );
        let webp = b"RIFF\0\0\0\0WEBPANMF\x01\0\0\0x\0ANMF\0\0\0\0";
        check_frames(Format::WebP, webp, 2);
    }

    #[test]
    fn the_first_frame_of_a_gif_is_placed_on_its_canvas() {
        let canvas = b"GIF89a\x05\x00\x04\x00\x80\x01\x00\x01\x02\x03\x04\x05\x06";
        let control = b"\x21\xf9\x04\x01\x0a\x00\x01\x00";
        let frame = b"\x2c\x02\x00\x01\x00\x03\x00\x02\x00\x00";
        let placed = |behind| {
            Some(GifFrame {
                left: 2,
                top: 1,
                width: 3,
                height: 2,
                behind,
            })
        };
        assert_eq!(
            gif_first_frame(&[&canvas[..], frame].concat()),
            placed([1, 2, 3])
        );
        assert_eq!(
            gif_first_frame(&[&canvas[..], control, frame].concat()),
            placed([4, 5, 6])
        );
        assert_eq!(gif_first_frame(&[&canvas[..], control].concat()), None);
        assert_eq!(gif_first_frame(b"GIF89a"), None);
    }

    #[track_caller]
    fn check_jpeg(bytes: &[u8], ends: bool) {
        assert_eq!(jpeg_ends(bytes), ends);
    }

    #[test]
    fn the_end_of_a_jpeg_is_found_outside_segments_only() {
        check_jpeg(b"\xff\xd8\xff\xd9", true);
        // An end marker inside a segment belongs to an embedded thumbnail.
        check_jpeg(b"\xff\xd8\xff\xe1\x00\x06\xff\xd9ab", false);
        check_jpeg(
            b"\xff\xd8\xff\xda\x00\x02ab\xff\x00\xff\xd0cd\xff\xd9",
            true,
        );
        check_jpeg(b"\xff\xd8\xff\xda\x00\x02ab\xff\x00\xff\xd0cd", false);
        check_jpeg(b"\xff\xd8\xff\xe0\x00", false);
        check_jpeg(b"\xff", false);
    }
}
