//! Images for tests: ordinary ones, and ones that no honest program writes.

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{Frame, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// A picture with enough in it to be told from another `seed`'s: patches of colour under a soft wave.
pub(super) fn drawing(width: u32, height: u32, seed: u32) -> RgbImage {
    let mut next = noise(seed.into());
    let patches: Vec<[u8; 3]> = (0..18 * 18)
        .map(|_| std::array::from_fn(|_| (next() % 180) as u8))
        .collect();
    RgbImage::from_fn(width, height, |x, y| {
        let (column, row) = (x * 18 / width, y * 18 / height);
        let wave = (37.0
            + 37.0 * (f64::from(x * 9 + y * 7 + seed) / f64::from(width + height)).sin())
            as u8;
        Rgb(patches[(row * 18 + column) as usize].map(|colour| colour + wave))
    })
}

pub(super) fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, format)
        .expect("encoding into memory");
    bytes.into_inner()
}

pub(super) fn jpeg(width: u32, height: u32, seed: u32) -> Vec<u8> {
    jpeg_of(&drawing(width, height, seed), 85)
}

pub(super) fn jpeg_of(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(image)
        .expect("encoding into memory");
    bytes
}

/// An EXIF segment with nothing but an orientation, put behind the start of a JPEG.
pub(super) fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif =
        b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

/// A GIF of many frames of one pixel.
pub(super) fn gif_of_frames(count: usize) -> Vec<u8> {
    let mut gif = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff".to_vec();
    for _ in 0..count {
        gif.extend_from_slice(b"\x21\xf9\x04\x00\x0a\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00");
    }
    gif.push(0x3b);
    gif
}

pub(super) fn animated_gif(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    let frame = image::DynamicImage::ImageRgb8(image.clone()).into_rgba8();
    encoder
        .encode_frames([Frame::new(frame.clone()), Frame::new(frame)])
        .expect("encoding into memory");
    drop(encoder);
    bytes
}

/// An animation in which every third frame shows another drawing.
pub(super) fn animation(frames: u32) -> Vec<RgbImage> {
    (0..frames).map(|i| drawing(120, 90, 7 + i / 3)).collect()
}

pub(super) fn animation_gif(frames: u32) -> Vec<u8> {
    gif_of(&animation(frames))
}

pub(super) fn gif_of(frames: &[RgbImage]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    for frame in frames {
        let frame = image::DynamicImage::ImageRgb8(frame.clone()).into_rgba8();
        encoder
            .encode_frame(Frame::new(frame))
            .expect("encoding into memory");
    }
    drop(encoder);
    bytes
}

/// An APNG of whole frames, put together from PNGs of one frame each.
pub(super) fn animation_png(frames: u32) -> Vec<u8> {
    let frames = animation(frames);
    let idat = |frame: &RgbImage| -> Vec<u8> {
        let png = encoded(frame, ImageFormat::Png);
        let (mut data, mut at) = (Vec::new(), 8);
        while at < png.len() {
            let length = u32::from_be_bytes(png[at..at + 4].try_into().expect("4")) as usize;
            if &png[at + 4..at + 8] == b"IDAT" {
                data.extend_from_slice(&png[at + 8..at + 8 + length]);
            }
            at += 12 + length;
        }
        data
    };
    let (width, height) = frames[0].dimensions();
    let be =
        |numbers: &[u32]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
    let mut sequence = 0..;
    let mut number = || sequence.next().expect("numbers go on");
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(
        *b"IHDR",
        &[&be(&[width, height])[..], &[8, 2, 0, 0, 0]].concat(),
    ));
    out.extend(chunk(*b"acTL", &be(&[frames.len() as u32, 0])));
    for (i, frame) in frames.iter().enumerate() {
        let control = be(&[number(), width, height, 0, 0]);
        out.extend(chunk(
            *b"fcTL",
            &[&control[..], &[0, 1, 0, 10, 0, 0]].concat(),
        ));
        if i == 0 {
            out.extend(chunk(*b"IDAT", &idat(frame)));
        } else {
            out.extend(chunk(*b"fdAT", &[be(&[number()]), idat(frame)].concat()));
        }
    }
    out.extend(chunk(*b"IEND", &[]));
    out
}

/// A PNG chunk.
pub(super) fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = (body.len() as u32).to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(body);
    let crc = crc32(&chunk[4..]);
    chunk.extend(crc.to_be_bytes());
    chunk
}

/// A PNG by its parts: `zlib` is the stream of its IDAT.
pub(super) fn png(
    width: u32,
    height: u32,
    depth: u8,
    colour: u8,
    extra: &[u8],
    zlib: &[u8],
) -> Vec<u8> {
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([depth, colour, 0, 0, 0]);
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(*b"IHDR", &head),
        extra.to_vec(),
        chunk(*b"IDAT", zlib),
        chunk(*b"IEND", &[]),
    ]
    .concat()
}

/// A zlib stream of zero bytes, 258 of them for each 13 bits: fixed Huffman codes, one literal, then
/// matches of the greatest length at distance 1 (RFC 1951).
pub(super) fn zlib_of_zeros(count: u64) -> Vec<u8> {
    let mut bits = Bits(vec![0x78, 0x01], 0, 0);
    bits.put(0b011, 3);
    bits.put(0b0000_1100, 8);
    for _ in 0..count / 258 {
        bits.put(0b1010_0011, 8);
        bits.put(0, 5);
    }
    bits.put(0, 7);
    bits.put(0, 7);
    let Bits(mut stream, ..) = bits;
    stream.extend([0; 4]);
    stream
}

struct Bits(Vec<u8>, u32, u32);

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.1 |= value << self.2;
        self.2 += count;
        while self.2 >= 8 {
            self.0.push(self.1 as u8);
            self.1 >>= 8;
            self.2 -= 8;
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

/// A small generator of numbers that look random, the same in every run.
pub(super) fn noise(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
