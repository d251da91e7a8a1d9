//! Pixels of any size: no panic, and turning twice by half is not turning at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::pdq::{dihedral_rgb, hash_rgb};

fuzz_target!(|data: &[u8]| {
    let [width, height, pixels @ ..] = data else {
        return;
    };
    let (width, height) = (usize::from(*width), usize::from(*height));
    // Any length is refused but the right one.
    let _ = hash_rgb(pixels, width, height);
    if width == 0 || height == 0 || pixels.is_empty() {
        return;
    }
    let whole: Vec<u8> = pixels
        .iter()
        .copied()
        .cycle()
        .take(3 * width * height)
        .collect();
    let hash = hash_rgb(&whole, width, height).expect("the length is right");
    let forms = dihedral_rgb(&whole, width, height).expect("the length is right");
    assert_eq!(hash, forms[0]);
    assert!(forms.iter().all(|form| form.quality <= 100));
});
