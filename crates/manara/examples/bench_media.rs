//! What signing an image costs: in this process, through a worker, and with each variant switched on.
//!
//! ```text
//! cargo build --release -p manara && cargo run --release -p manara --example bench_media -- target/release/manara
//! ```
//! The worker is asked over its pipes as the server asks it. Rows of one image are measured in turns,
//! so that a busy machine disturbs them alike; the median of all turns is printed.

#![expect(
    clippy::print_stdout,
    reason = "a measuring program prints its measurements"
)]

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Frame, GenericImage, Rgb, RgbImage};
use manara_signal::pdq::dihedral_rgb;
use std::hint::black_box;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

const TURNS: usize = 300;

fn main() {
    let program = std::env::args().nth(1).expect("the manara program");
    let mut worker = Worker::start(&program);
    println!("median ms an image, {TURNS} turns");
    for side in [256, 512, 1024, 2048] {
        let plain = jpeg(&picture(side, side, 1));
        let mut framed = RgbImage::new(side, side * 4 / 3);
        framed
            .copy_from(&picture(side, side, 1), 0, side / 6)
            .expect("it fits");
        let framed = jpeg(&framed);
        println!("\n{side}x{side} JPEG, {} KiB", plain.len() / 1024);
        row(&mut [
            ("in process", &mut || {
                in_process(&plain);
            }),
            ("worker", &mut || {
                worker.sign(&plain, false, 0);
            }),
        ]);
        let mut other = Worker::start(&program);
        row(&mut [
            ("without_bars off, no bars", &mut || {
                worker.sign(&plain, false, 0);
            }),
            ("without_bars on, no bars", &mut || {
                other.sign(&plain, true, 0);
            }),
        ]);
        row(&mut [
            ("without_bars off, bars", &mut || {
                worker.sign(&framed, false, 0);
            }),
            ("without_bars on, bars", &mut || {
                other.sign(&framed, true, 0);
            }),
        ]);
    }
    let animation = gif();
    println!("\n256x192 GIF of 40 frames, {} KiB", animation.len() / 1024);
    let mut other = Worker::start(&program);
    row(&mut [
        ("key_frames_max 0", &mut || {
            worker.sign(&animation, false, 0);
        }),
        ("key_frames_max 8", &mut || {
            other.sign(&animation, false, 8);
        }),
    ]);
}

type Act<'a> = (&'static str, &'a mut dyn FnMut());

fn row(acts: &mut [Act]) {
    let mut times = vec![Vec::with_capacity(TURNS); acts.len()];
    for _ in 0..TURNS {
        for ((_, act), times) in acts.iter_mut().zip(&mut times) {
            let started = Instant::now();
            act();
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let mut first = None;
    for ((name, _), mut times) in acts.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let median = times[TURNS / 2];
        let than = *first.get_or_insert(median);
        println!(
            "  {name:<28} {median:8.3}  {:+6.1} %",
            (median / than - 1.0) * 100.0
        );
    }
}

fn in_process(jpeg: &[u8]) {
    let mut decoder = JpegDecoder::new(ZCursor::new(jpeg));
    let rgb = decoder.decode().expect("a JPEG");
    let (width, height) = decoder.dimensions().expect("dimensions");
    black_box(dihedral_rgb(&rgb, width, height).expect("pixels"));
}

struct Worker(Child);

impl Worker {
    fn start(program: &str) -> Self {
        let child = Command::new(program)
            .arg("media-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starting the worker");
        let stdin = child.stdin.as_ref().expect("stdin");
        rustix::pipe::fcntl_setpipe_size(stdin, 1024 * 1024).expect("a large pipe");
        Self(child)
    }

    fn sign(&mut self, medium: &[u8], without_bars: bool, key_frames_max: u8) {
        let mut request = vec![0];
        request.extend(50_000_000_u64.to_le_bytes());
        request.extend(12_000_u32.to_le_bytes());
        request.extend((256_u64 * 1024 * 1024).to_le_bytes());
        request.extend(10_000_u32.to_le_bytes());
        request.extend((medium.len() as u32).to_le_bytes());
        request.extend([u8::from(without_bars), key_frames_max]);
        // A file, not pixels.
        request.extend([0; 13]);
        request.extend_from_slice(medium);
        let stdin = self.0.stdin.as_mut().expect("stdin");
        stdin.write_all(&request).expect("asking");
        let stdout = self.0.stdout.as_mut().expect("stdout");
        let mut head = [0; 6];
        stdout.read_exact(&mut head).expect("an answer");
        let [status, _, length @ ..] = head;
        assert_eq!(status, 0, "the worker could not sign it");
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        stdout.read_exact(&mut body).expect("a body");
        black_box(body);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("the worker ends with its input");
    }
}

/// Patches under waves: it compresses about as well as a photograph.
fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: u32, b: u32| (f64::from(x * a + y * b) / 37.0).sin() * 50.0;
        let patch = (x * 17 / width * 31 + y * 13 / height * 57 + seed * 91) % 150;
        let grain = (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)) % 13;
        Rgb([(3, 1), (1, 4), (2, 2)]
            .map(|(a, b)| (f64::from(patch + grain) + 50.0 + wave(a, b)) as u8))
    })
}

fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 85)
        .encode_image(image)
        .expect("encoding into memory");
    bytes
}

fn gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    for seed in 0..40 {
        let frame = DynamicImage::ImageRgb8(picture(256, 192, seed / 4)).into_rgba8();
        encoder
            .encode_frame(Frame::new(frame))
            .expect("encoding into memory");
    }
    drop(encoder);
    bytes
}
