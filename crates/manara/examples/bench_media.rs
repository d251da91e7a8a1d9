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
use manara_signal::pdq::{dihedral_rgb, hash_rgb};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::Worker;
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

#[path = "support/worker.rs"]
mod support;

const TURNS: usize = 300;
/// How long the cores are kept busy for a figure.
const BUSY: Duration = Duration::from_secs(3);

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
        let pixels = picture(side, side, 1);
        row(&mut [
            ("pdq of pixels, as stored", &mut || {
                black_box(hash_rgb(&pixels, side as usize, side as usize).expect("pixels"));
            }),
            ("the same, dihedral forms too", &mut || {
                black_box(dihedral_rgb(&pixels, side as usize, side as usize).expect("pixels"));
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
    busy_cores(&program);
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

/// What the cores get done when all are kept busy, by threads that decode, and by a pool of workers,
/// which are two more than cores, as the server and `scan` start them.
fn busy_cores(program: &str) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\nimages a second on {cores} cores kept busy, 3 rounds");
    for side in [256, 512, 1024] {
        let image = jpeg(&picture(side, side, 1));
        for _ in 0..3 {
            let threads = busy(cores, || {
                let image = &image;
                move || in_process(image)
            });
            let workers = busy(cores + 2, || {
                let (mut worker, image) = (Worker::start(program), &image);
                move || {
                    worker.sign(image, false, 0);
                }
            });
            println!(
                "  {side}x{side}  in process {threads:8.1}, workers {workers:8.1}, {:+5.1} %",
                (threads / workers - 1.0) * 100.0
            );
        }
    }
}

fn busy<A: FnMut()>(threads: usize, actor: impl Fn() -> A + Sync) -> f64 {
    let begin = std::sync::Barrier::new(threads);
    let work = || {
        let mut act = actor();
        act();
        begin.wait();
        let started = Instant::now();
        let mut done = 0_u32;
        while started.elapsed() < BUSY {
            act();
            done += 1;
        }
        f64::from(done) / started.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let rates = all.into_iter().map(|one| one.join().expect("a rate"));
        rates.sum()
    })
}

fn in_process(jpeg: &[u8]) {
    let mut decoder = JpegDecoder::new(ZCursor::new(jpeg));
    let rgb = decoder.decode().expect("a JPEG");
    let (width, height) = decoder.dimensions().expect("dimensions");
    black_box(dihedral_rgb(&rgb, width, height).expect("pixels"));
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
