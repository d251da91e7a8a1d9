//! PDQ against the reference: hash and quality of some two thousand generated images, and the
//! dihedral hashes of some, equal to those of PyPI `pdqhash` bit for bit.
//!
//! The images are drawn here again from the description in each line of `vectors/pdq.ndjson`, by
//! the same integer arithmetic as in `vectors/make_pdq_vectors.py`, which made the file. Those in
//! `vectors/pdq_reference512.ndjson` are of the form that picks 512x512 pixels first.

use manara_signal::pdq::{PdqForm, dihedral_rgb_as, hash_rgb_as};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    content: String,
    mode: String,
    width: usize,
    height: usize,
    seed: i64,
    hash: String,
    quality: u8,
    #[serde(default)]
    dihedral: Vec<String>,
    dihedral_quality: Option<u8>,
    form: Option<String>,
}

fn mix(seed: i64, x: i64, y: i64, channel: i64) -> i64 {
    let place = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
    let mut h = place ^ ((channel * 0xC2B2_AE3D + seed * 0x27D4_EB2F) & 0xFFFF_FFFF) as u32;
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    i64::from(h ^ (h >> 15))
}

/// One channel of one pixel, 0 to 255.
fn value(
    content: &str,
    seed: i64,
    (width, height): (i64, i64),
    (x, y): (i64, i64),
    channel: i64,
) -> i64 {
    match content {
        "noise" => mix(seed, x, y, channel) & 255,
        "gradient" => {
            let (a, b) = (1 + seed % 3, 1 + (seed / 3 + channel) % 3);
            (a * x * 255 / width + b * y * 255 / height) / (a + b)
        }
        "flat" => mix(seed, 0, 0, channel) & 255,
        "low_texture" => {
            100 + (mix(seed, 0, 0, channel) & 63) + (mix(seed, x / 3, y / 3, channel) & 3)
        }
        "shapes" => shapes(seed, (width, height), (x, y), channel),
        "bars" => {
            let (line, word) = (height / 14 + 1, width / 30 + 1);
            let ink = mix(seed, x / word, y / line, 9) % 4 != 0 && y % line * 3 < line * 2;
            if ink { 20 + channel } else { 235 - seed % 40 }
        }
        "checkers" => {
            let cell = 1 + seed % 37;
            if (x / cell + y / cell) % 2 == 0 {
                250 - 20 * channel
            } else {
                10 + seed % 50
            }
        }
        "patches" => patches(seed, (width, height), (x, y), channel),
        "grain" => {
            let smooth = patches(seed, (width, height), (x, y), channel);
            (smooth + (mix(seed, x, y, channel) & 31) - 16).clamp(0, 255)
        }
        other => panic!("unknown content {other}"),
    }
}

fn shapes(seed: i64, (width, height): (i64, i64), (x, y): (i64, i64), channel: i64) -> i64 {
    let mut out = 40 + seed % 100;
    for k in 0..8 {
        let (cx, cy) = (mix(seed, k, 1, 9) % width, mix(seed, k, 2, 9) % height);
        let r = 1 + mix(seed, k, 3, 9) % (width.min(height) / 2 + 1);
        let inside = if k % 2 == 1 {
            (x - cx).pow(2) + (y - cy).pow(2) <= r * r
        } else {
            (x - cx).abs() <= r && (y - cy).abs() * 2 <= r
        };
        if inside {
            out = mix(seed, k, 4, channel) & 255;
        }
    }
    out
}

fn patches(seed: i64, (width, height): (i64, i64), (x, y): (i64, i64), channel: i64) -> i64 {
    let cells = 5 + seed % 9;
    let (fx, fy) = (x * cells * 256 / width, y * cells * 256 / height);
    let (ix, iy, tx, ty) = (fx / 256, fy / 256, fx % 256, fy % 256);
    let corner = |dx, dy| mix(seed, ix + dx, iy + dy, channel) & 255;
    let top = corner(0, 0) * (256 - tx) + corner(1, 0) * tx;
    let bottom = corner(0, 1) * (256 - tx) + corner(1, 1) * tx;
    (top * (256 - ty) + bottom * ty) / 65536
}

fn picture(v: &Vector) -> Vec<u8> {
    let size = (v.width as i64, v.height as i64);
    let places = (0..size.1).flat_map(|y| (0..size.0).map(move |x| (x, y)));
    let value = |at, channel| value(&v.content, v.seed, size, at, channel);
    let pixel = |at: (i64, i64)| -> [i64; 3] {
        match v.mode.as_str() {
            "L" => [value(at, 0); 3],
            "P" => std::array::from_fn(|c| mix(v.seed, value(at, 0) / 16, 77, c as i64) & 255),
            "RGB" => std::array::from_fn(|c| value(at, c as i64)),
            "RGBA" => {
                let alpha = patches(v.seed + 1, size, at, 3);
                std::array::from_fn(|c| {
                    (value(at, c as i64) * alpha + 255 * (255 - alpha) + 127) / 255
                })
            }
            other => panic!("unknown mode {other}"),
        }
    };
    places.flat_map(pixel).map(|v| v as u8).collect()
}

fn check(line: &str) {
    let v: Vector = serde_json::from_str(line).unwrap();
    let pixels = picture(&v);
    let named = |form: &PdqForm| v.form.as_deref() == Some(form.name());
    let form = PdqForm::ALL.into_iter().find(named).unwrap_or_default();
    let name = format!(
        "{} {} {}x{} seed {}",
        v.content, v.mode, v.width, v.height, v.seed
    );
    let ours = hash_rgb_as(form, &pixels, v.width, v.height).unwrap();
    assert_eq!(
        (ours.hash.to_hex(), ours.quality),
        (v.hash.clone(), v.quality),
        "{name}"
    );
    if let Some(quality) = v.dihedral_quality {
        let forms = dihedral_rgb_as(form, &pixels, v.width, v.height).unwrap();
        assert_eq!(forms[0], ours, "{name}");
        let hashes: Vec<String> = forms.iter().map(|form| form.hash.to_hex()).collect();
        assert_eq!(hashes[1..], v.dihedral[1..], "{name}");
        if (v.width, v.height) != (64, 64) {
            assert_eq!(
                (&hashes[0], forms[0].quality),
                (&v.dihedral[0], quality),
                "{name}"
            );
        }
    }
}

/// Checks every line, on two threads, and gives their number.
fn check_all(lines: &str) -> usize {
    let lines: Vec<&str> = lines.lines().collect();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let lines = &lines;
            scope.spawn(move || {
                lines
                    .iter()
                    .skip(half)
                    .step_by(2)
                    .for_each(|line| check(line));
            });
        }
    });
    lines.len()
}

#[test]
fn hashes_are_the_references() {
    assert!(check_all(include_str!("vectors/pdq.ndjson")) >= 2000);
}

#[test]
fn hashes_of_picked_pixels_are_the_references() {
    let lines = include_str!("vectors/pdq_reference512.ndjson");
    assert!(lines.lines().all(|line| line.contains("reference-512")));
    assert!(check_all(lines) >= 140);
}

/// Further vectors, from a file named in the environment: see `vectors/make_pdq_vectors.py`.
#[test]
fn hashes_of_other_images_are_the_references() {
    if let Some(path) = std::env::var_os("PDQ_VECTORS") {
        let checked = check_all(&std::fs::read_to_string(path).unwrap());
        assert!(checked > 0, "the file has no vectors");
    }
}
