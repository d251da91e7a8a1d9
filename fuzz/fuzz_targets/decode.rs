//! Any file through the decoding that a worker does: an answer or an error, within the limits.
//!
//! The modules are those of the server, which is a program and not a library.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/manara/src/media/bars.rs"]
mod bars;
#[path = "../../crates/manara/src/media/container.rs"]
mod container;
#[path = "../../crates/manara/src/media/decode.rs"]
mod decode;
#[path = "../../crates/manara/src/media/key_frames.rs"]
mod key_frames;

fuzz_target!(|data: &[u8]| {
    let limits = decode::Limits {
        pixels_max: 1_000_000,
        side_max: 4_000,
        alloc_bytes_max: 64 << 20,
    };
    let extra = decode::Extra {
        without_bars: true,
        reference_512: true,
        key_frames_max: 3,
    };
    if let Ok(signs) = decode::sign(data, &limits, extra) {
        assert!(u64::from(signs.width) * u64::from(signs.height) <= limits.pixels_max);
        assert!(signs.pdq.iter().all(|hash| hash.quality <= 100));
    }
    if let Ok(preview) = decode::preview(data, &limits) {
        assert!(preview.len() <= decode::PREVIEW_BYTES_MAX);
    }
});
