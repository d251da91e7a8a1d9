//! What decoding and hashing the JPEGs of a folder takes on one thread, without anything around it:
//! the yardstick for `manara scan`. See bench/scan/run.sh.
//!
//! ```text
//! bench_decode FOLDER
//! ```

#![expect(clippy::print_stdout, reason = "the figures are its output")]

use manara_signal::pdq::dihedral_rgb;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let [mut reading, mut digesting, mut decoding, mut hashing] = [Duration::ZERO; 4];
    let mut bits = 0;
    for path in &paths {
        let started = Instant::now();
        let bytes = std::fs::read(path).expect("the file can be read");
        let read = Instant::now();
        let digests = (Sha256::digest(&bytes), Md5::digest(&bytes));
        let digested = Instant::now();
        let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes), options);
        let pixels = decoder.decode().expect("a JPEG");
        let (width, height) = decoder.dimensions().expect("it has a size");
        let decoded = Instant::now();
        let forms = dihedral_rgb(&pixels, width, height).expect("RGB pixels");
        hashing += decoded.elapsed();
        reading += read - started;
        digesting += digested - read;
        decoding += decoded - digested;
        bits += u64::from(forms[0].hash.0[0]) + u64::from(digests.0[0] ^ digests.1[0]);
    }
    let whole = reading + digesting + decoding + hashing;
    println!(
        "{} files: read {:.2} s, sha256 and md5 {:.2} s, decode {:.2} s, pdq {:.2} s; in all {:.2} s ({bits})",
        paths.len(),
        reading.as_secs_f64(),
        digesting.as_secs_f64(),
        decoding.as_secs_f64(),
        hashing.as_secs_f64(),
        whole.as_secs_f64()
    );
}
