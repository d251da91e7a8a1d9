//! The frames that pass between the pool and a worker, over the worker's stdin and stdout.
//!
//! ```text
//! request   kind u8 · pixels_max u64 · side_max u32 · alloc_bytes_max u64 · time_ms u32 · length u32 ·
//!           forms u8 (1 without bars, 2 reference-512) · key_frames_max u8 · orientation u8 · width u32 · height u32 · frames u32 ·
//!           bytes
//! answer    status u8 · retire u8 · length u32 · body
//! signs     width u32 · height u32 · frames u32 · truncated u8 · lacks_frames u8 · displayed u8 ·
//!           quality u8 · 8 × 32 bytes of PDQ · any number of extras
//! extra     form u32 (0 without bars, 1 reference-512, n+2 frame n) · quality u8 · 32 bytes of PDQ
//! layers    rlimit u8 · no_new_privs u8 · landlock_abi u8 · seccomp u8
//! ```
//! Orientation 0 means that the bytes are a file; 1 to 8, as in EXIF, that they are RGB samples of that width and
//! height, which ffmpeg has decoded (see `ffmpeg`).
//!
//! Numbers are little-endian. A worker may have been taken over by what it decoded, so the pool
//! believes no answer: every length has a limit, every body a fixed shape. The same program is always
//! on both ends, so the protocol has no versions.

use super::decode::{Extra, Form, Limits, PREVIEW_BYTES_MAX, Pixels, Signs, THUMBNAIL_BYTES_MAX};
use super::sandbox::Layers;
use image::metadata::Orientation;
use manara_signal::Pdq;
use manara_signal::pdq::{Dihedral, PdqHash};
use std::io::{self, Read};
use std::time::Duration;

/// Most bytes of one medium. The pool refuses more before asking a worker.
pub(super) const MEDIUM_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Length of a request without its bytes.
pub(super) const REQUEST_HEAD: usize = 44;
/// Length of an answer without its body.
pub(super) const ANSWER_HEAD: usize = 6;
const SIGNS_BYTES: usize = 16 + 8 * 32;
const EXTRA_BYTES: usize = 5 + 32;
/// Three ways to cut bars off, reference-512, and as many frames as can be asked for.
const EXTRAS_MAX: usize = 4 + u8::MAX as usize;
// Bits of `forms` in a request.
const WITHOUT_BARS: u8 = 1;
const REFERENCE_512: u8 = 2;
const LAYERS_BYTES: usize = 4;
const PROBLEM_BYTES_MAX: usize = 1024;

/// What a worker is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sign,
    Preview,
    Thumbnail,
    /// Says which layers of its sandbox are on; there is no medium.
    Layers,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Sign, Self::Preview, Self::Thumbnail, Self::Layers];

    fn answer_bytes_max(self) -> usize {
        match self {
            Self::Sign => SIGNS_BYTES + EXTRAS_MAX * EXTRA_BYTES,
            Self::Preview => PREVIEW_BYTES_MAX,
            Self::Thumbnail => THUMBNAIL_BYTES_MAX,
            Self::Layers => LAYERS_BYTES,
        }
    }
}

/// A request, without the medium's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) kind: Kind,
    pub(super) limits: Limits,
    pub(super) extra: Extra,
    /// How long the pool waits before it kills the worker.
    pub(super) time: Duration,
    /// What the bytes are if they are not a file.
    pub(super) pixels: Option<Pixels>,
    pub(super) length: usize,
}

impl RequestHead {
    pub(super) fn encode(&self) -> [u8; REQUEST_HEAD] {
        let mut head = [0; REQUEST_HEAD];
        let mut forms = 0;
        if self.extra.without_bars {
            forms |= WITHOUT_BARS;
        }
        if self.extra.reference_512 {
            forms |= REFERENCE_512;
        }
        let millis = u32::try_from(self.time.as_millis()).unwrap_or(u32::MAX);
        let pixels = self.pixels.unwrap_or(NO_PIXELS);
        let orientation = self.pixels.map_or(0, |p| p.orientation.to_exif());
        let fields: [&[u8]; 11] = [
            &[self.kind as u8],
            &self.limits.pixels_max.to_le_bytes(),
            &self.limits.side_max.to_le_bytes(),
            &self.limits.alloc_bytes_max.to_le_bytes(),
            &millis.to_le_bytes(),
            &(self.length as u32).to_le_bytes(),
            &[forms, self.extra.key_frames_max],
            &[orientation],
            &pixels.width.to_le_bytes(),
            &pixels.height.to_le_bytes(),
            &pixels.frames.to_le_bytes(),
        ];
        let mut rest = &mut head[..];
        for field in fields {
            let (here, after) = rest.split_at_mut(field.len());
            here.copy_from_slice(field);
            rest = after;
        }
        head
    }

    /// Reads the next request's head, `None` when the pool has closed its end.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if input.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let kind = *Kind::ALL
            .get(usize::from(kind[0]))
            .ok_or_else(|| bad("an unknown kind of request"))?;
        let limits = Limits {
            pixels_max: u64::from_le_bytes(take(input)?),
            side_max: u32::from_le_bytes(take(input)?),
            alloc_bytes_max: u64::from_le_bytes(take(input)?),
        };
        let time = Duration::from_millis(u32::from_le_bytes(take(input)?).into());
        let length = u32::from_le_bytes(take(input)?) as usize;
        let [forms, key_frames_max] = take(input)?;
        let pixels = read_pixels(input)?;
        if length > MEDIUM_BYTES_MAX {
            return Err(bad("a request over the size limit"));
        }
        Ok(Some(Self {
            kind,
            limits,
            extra: Extra {
                without_bars: forms & WITHOUT_BARS != 0,
                reference_512: forms & REFERENCE_512 != 0,
                key_frames_max,
            },
            time,
            pixels,
            length,
        }))
    }
}

const NO_PIXELS: Pixels = Pixels {
    width: 0,
    height: 0,
    frames: 0,
    orientation: Orientation::NoTransforms,
};

fn read_pixels(input: &mut impl Read) -> io::Result<Option<Pixels>> {
    let [orientation] = take(input)?;
    let mut number = || take(input).map(u32::from_le_bytes);
    let (width, height, frames) = (number()?, number()?, number()?);
    if orientation == 0 {
        return Ok(None);
    }
    let orientation =
        Orientation::from_exif(orientation).ok_or_else(|| bad("an unknown orientation"))?;
    Ok(Some(Pixels {
        width,
        height,
        frames,
        orientation,
    }))
}

/// What a worker answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To [`Kind::Sign`].
    Signs(Box<Signs>),
    /// A JPEG, to [`Kind::Preview`] and [`Kind::Thumbnail`].
    Jpeg(Vec<u8>),
    /// To [`Kind::Layers`].
    Layers(Layers),
    /// Why there is nothing.
    Problem(String),
}

impl Answer {
    /// The whole frame. `retire` tells the pool to send no more to this worker.
    pub(super) fn encode(&self, retire: bool) -> Vec<u8> {
        let (status, body) = match self {
            Self::Signs(signs) => (0, encode_signs(signs)),
            Self::Jpeg(jpeg) => (1, jpeg.clone()),
            Self::Layers(layers) => (3, encode_layers(*layers).to_vec()),
            Self::Problem(text) => (
                2,
                text.as_bytes()
                    .get(..PROBLEM_BYTES_MAX)
                    .unwrap_or(text.as_bytes())
                    .to_vec(),
            ),
        };
        let mut frame = vec![status, u8::from(retire)];
        frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
        frame.extend_from_slice(&body);
        frame
    }

    /// The body's length and whether the worker retires, if the head is one that `kind` may get.
    pub(super) fn decode_head(
        kind: Kind,
        head: [u8; ANSWER_HEAD],
    ) -> Result<(usize, bool), Unbelievable> {
        let [status, retire, a, b, c, d] = head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let length_max = if status == 2 {
            PROBLEM_BYTES_MAX
        } else {
            kind.answer_bytes_max()
        };
        if retire > 1 || length > length_max {
            return Err(Unbelievable("its head"));
        }
        Ok((length, retire == 1))
    }

    /// Reads a body whose head was accepted.
    pub(super) fn decode(kind: Kind, status: u8, body: Vec<u8>) -> Result<Self, Unbelievable> {
        match (status, kind) {
            (0, Kind::Sign) => decode_signs(&body)
                .map(|signs| Self::Signs(Box::new(signs)))
                .ok_or(Unbelievable("its signs")),
            (1, Kind::Preview | Kind::Thumbnail) if is_jpeg(&body) => Ok(Self::Jpeg(body)),
            (3, Kind::Layers) => decode_layers(&body)
                .map(Self::Layers)
                .ok_or(Unbelievable("its layers")),
            (2, _) => match String::from_utf8(body) {
                Ok(text) if !text.is_empty() && !text.contains(char::is_control) => {
                    Ok(Self::Problem(text))
                }
                _ => Err(Unbelievable("its explanation")),
            },
            _ => Err(Unbelievable("its status")),
        }
    }
}

/// An answer that no worker in its right mind gives; names the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unbelievable(pub(super) &'static str);

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff]) && bytes.ends_with(&[0xff, 0xd9])
}

fn encode_signs(signs: &Signs) -> Vec<u8> {
    let mut body = Vec::with_capacity(SIGNS_BYTES);
    for number in [signs.width, signs.height, signs.frames] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    let [first, ..] = &signs.pdq;
    body.extend_from_slice(&[
        u8::from(signs.truncated),
        u8::from(signs.lacks_frames),
        signs.displayed as u8,
        first.quality,
    ]);
    for form in &signs.pdq {
        body.extend_from_slice(&form.hash.0);
    }
    for (form, hash) in signs.extra.iter().take(EXTRAS_MAX) {
        let form = match form {
            Form::WithoutBars => 0,
            Form::Reference512 => 1,
            Form::Frame(number) => number.saturating_add(2),
        };
        body.extend_from_slice(&form.to_le_bytes());
        body.push(hash.quality);
        body.extend_from_slice(&hash.hash.0);
    }
    body
}

fn decode_signs(mut body: &[u8]) -> Option<Signs> {
    if body.len() < SIGNS_BYTES || !(body.len() - SIGNS_BYTES).is_multiple_of(EXTRA_BYTES) {
        return None;
    }
    let body = &mut body;
    let [width, height, frames] = [number(body)?, number(body)?, number(body)?];
    let [truncated, lacks_frames, displayed, quality] = take(body).ok()?;
    let mut pdq = [PdqHash {
        hash: Pdq([0; 32]),
        quality,
    }; 8];
    for form in &mut pdq {
        form.hash = Pdq(take(body).ok()?);
    }
    let mut extra = Vec::with_capacity(body.len() / EXTRA_BYTES);
    while !body.is_empty() {
        extra.push(decode_extra(body, frames)?);
    }
    let displayed = *Dihedral::ALL.get(usize::from(displayed))?;
    let flags = truncated <= 1 && lacks_frames <= 1;
    let sane = width > 0 && height > 0 && frames > 0 && quality <= 100 && flags;
    sane.then_some(Signs {
        width,
        height,
        frames,
        truncated: truncated == 1,
        lacks_frames: lacks_frames == 1,
        displayed,
        pdq,
        extra,
    })
}

fn decode_extra(body: &mut &[u8], frames: u32) -> Option<(Form, PdqHash)> {
    let form = match number(body)? {
        0 => Form::WithoutBars,
        1 => Form::Reference512,
        number if number - 2 < frames => Form::Frame(number - 2),
        _ => return None,
    };
    let [quality] = take(body).ok().filter(|[quality]| *quality <= 100)?;
    let hash = Pdq(take(body).ok()?);
    Some((form, PdqHash { hash, quality }))
}

pub(super) fn encode_layers(layers: Layers) -> [u8; LAYERS_BYTES] {
    let Layers {
        rlimit,
        no_new_privs,
        landlock_abi,
        seccomp,
    } = layers;
    [
        rlimit.into(),
        no_new_privs.into(),
        landlock_abi,
        seccomp.into(),
    ]
}

pub(super) fn decode_layers(body: &[u8]) -> Option<Layers> {
    let &[
        rlimit @ 0..=1,
        no_new_privs @ 0..=1,
        landlock_abi,
        seccomp @ 0..=1,
    ] = body
    else {
        return None;
    };
    Some(Layers {
        rlimit: rlimit == 1,
        no_new_privs: no_new_privs == 1,
        landlock_abi,
        seccomp: seccomp == 1,
    })
}

fn number(body: &mut &[u8]) -> Option<u32> {
    take(body).ok().map(u32::from_le_bytes)
}

fn take<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs() -> Signs {
        let pdq = std::array::from_fn(|i| PdqHash {
            hash: Pdq([i as u8; 32]),
            quality: 97,
        });
        Signs {
            width: 640,
            height: 480,
            frames: 3,
            truncated: true,
            lacks_frames: false,
            displayed: Dihedral::Rotate270,
            pdq,
            extra: vec![
                (Form::WithoutBars, pdq[1]),
                (Form::Reference512, pdq[3]),
                (Form::Frame(2), pdq[2]),
            ],
        }
    }

    const EXTRA: Extra = Extra {
        without_bars: true,
        reference_512: true,
        key_frames_max: 8,
    };
    const LAYERS: Layers = Layers {
        rlimit: true,
        no_new_privs: false,
        landlock_abi: 6,
        seccomp: true,
    };

    #[test]
    fn a_request_reads_back_as_written() {
        for kind in Kind::ALL {
            let head = RequestHead {
                kind,
                limits: Limits::default(),
                extra: EXTRA,
                time: Duration::from_secs(10),
                pixels: None,
                length: 77,
            };
            let mut bytes = &head.encode()[..];
            assert_eq!(RequestHead::read(&mut bytes).unwrap(), Some(head));
            assert!(bytes.is_empty());
        }
        assert_eq!(RequestHead::read(&mut &b""[..]).unwrap(), None);
    }

    #[test]
    fn a_request_that_no_pool_sends_ends_the_worker() {
        let head = RequestHead {
            kind: Kind::Sign,
            limits: Limits::default(),
            extra: EXTRA,
            time: Duration::ZERO,
            pixels: None,
            length: MEDIUM_BYTES_MAX + 1,
        };
        assert!(RequestHead::read(&mut &head.encode()[..]).is_err());
        assert!(RequestHead::read(&mut &[9; REQUEST_HEAD][..]).is_err());
        assert!(RequestHead::read(&mut &head.encode()[..20]).is_err());
    }

    /// Reads a frame as the pool does.
    fn read(kind: Kind, frame: &[u8]) -> Result<(Answer, bool), Unbelievable> {
        let (head, body) = frame.split_at(ANSWER_HEAD);
        let (length, retire) = Answer::decode_head(kind, head.try_into().unwrap())?;
        assert_eq!(length, body.len());
        Ok((Answer::decode(kind, head[0], body.to_vec())?, retire))
    }

    #[test]
    fn an_answer_reads_back_as_written() {
        let jpeg = Answer::Jpeg(b"\xff\xd8\xff\xff\xd9".to_vec());
        assert_eq!(
            read(Kind::Sign, &Answer::Signs(Box::new(signs())).encode(true)),
            Ok((Answer::Signs(Box::new(signs())), true))
        );
        assert_eq!(read(Kind::Preview, &jpeg.encode(false)), Ok((jpeg, false)));
        assert_eq!(
            read(Kind::Layers, &Answer::Layers(LAYERS).encode(false)),
            Ok((Answer::Layers(LAYERS), false))
        );
        let problem = || Answer::Problem("truncated".into());
        assert_eq!(
            read(Kind::Sign, &problem().encode(false)),
            Ok((problem(), false))
        );
    }

    #[track_caller]
    fn unbelievable(kind: Kind, frame: &[u8], part: &'static str) {
        assert_eq!(read(kind, frame), Err(Unbelievable(part)));
    }

    #[test]
    fn answers_are_not_believed() {
        unbelievable(Kind::Sign, &[0, 0, 0xff, 0xff, 0xff, 0xff], "its head");
        unbelievable(Kind::Preview, &[1, 0, 1, 0, 8, 0], "its head");
        unbelievable(Kind::Sign, &[2, 7, 0, 0, 0, 0], "its head");
        unbelievable(
            Kind::Sign,
            &Answer::Jpeg(b"\xff\xd8\xff\xff\xd9".to_vec()).encode(false),
            "its status",
        );
        unbelievable(
            Kind::Preview,
            &Answer::Jpeg(b"<html>".to_vec()).encode(false),
            "its status",
        );
        unbelievable(
            Kind::Preview,
            &Answer::Signs(Box::new(signs())).encode(false),
            "its status",
        );
        unbelievable(
            Kind::Sign,
            &Answer::Problem("a\nb".into()).encode(false),
            "its explanation",
        );
        unbelievable(Kind::Sign, &[2, 0, 1, 0, 0, 0, 0xff], "its explanation");
        unbelievable(Kind::Sign, &[0, 0, 1, 0, 0, 0, 0], "its signs");
        let impossible = Signs {
            width: 0,
            ..signs()
        };
        unbelievable(
            Kind::Sign,
            &Answer::Signs(Box::new(impossible)).encode(false),
            "its signs",
        );
        let no_such_frame = Signs {
            extra: vec![(Form::Frame(3), signs().pdq[0])],
            ..signs()
        };
        unbelievable(
            Kind::Sign,
            &Answer::Signs(Box::new(no_such_frame)).encode(false),
            "its signs",
        );
        unbelievable(Kind::Layers, &[3, 0, 4, 0, 0, 0, 1, 1, 6, 2], "its layers");
        unbelievable(
            Kind::Sign,
            &Answer::Layers(LAYERS).encode(false),
            "its status",
        );
    }
}
