//! Any file through the boxes of HEIC and AVIF: a coded stream or a reason, within the limits.
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
#[path = "../../crates/manara/src/media/heif.rs"]
mod heif;
#[path = "../../crates/manara/src/media/key_frames.rs"]
mod key_frames;

fuzz_target!(|data: &[u8]| {
    let limits = decode::Limits::default();
    if let Ok(still) = heif::still(data, &limits) {
        assert!(u64::from(still.width) * u64::from(still.height) <= limits.pixels_max);
        assert!(still.stream.len() <= 4 * data.len());
        assert!(still.columns_shown.end <= still.width && still.rows_shown.end <= still.height);
        assert!(still.tiles() >= 1 && still.frames >= 1);
    }
});
