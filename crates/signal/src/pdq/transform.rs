//! From the 64x64 thumbnail to quality and bits: gradients, cosine transform, median.
//!
//! Everything is in `f32` and every sum runs in the reference's order.

use super::{Dihedral, Pdq, SIDE, Thumbnail};
use std::f64::consts::PI;
use std::sync::LazyLock;

/// Coefficients kept per axis: frequencies 1 to 16 of 64.
const KEPT: usize = 16;

pub(super) type Coefficients = [[f32; KEPT]; KEPT];

/// Row `i` is the cosine of frequency `i + 1` at the 64 sample points, scaled by `sqrt(2/64)`.
static COSINES: LazyLock<[[f32; SIDE]; KEPT]> = LazyLock::new(|| {
    // The reference rounds the scale to f32 first, multiplies in f64, and rounds again.
    let scale = f64::from((2.0_f64 / SIDE as f64).sqrt() as f32);
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let angle = PI / 2.0 / SIDE as f64 * (i + 1) as f64 * (2 * j + 1) as f64;
            (scale * angle.cos()) as f32
        })
    })
});

/// Sum of neighbours' differences, each truncated to whole hundredths of the range so that only
/// visible steps count; scaled and capped to 0..=100.
pub(super) fn quality(thumbnail: &Thumbnail) -> u8 {
    let step = |(u, v): (&f32, &f32)| (((u - v) * 100.0) / 255.0) as i32;
    let down = thumbnail.iter().zip(thumbnail.iter().skip(1));
    let down: i32 = down
        .flat_map(|(row, next)| row.iter().zip(next))
        .map(|pair| step(pair).abs())
        .sum();
    let right = thumbnail
        .iter()
        .flat_map(|row| row.iter().zip(row.iter().skip(1)));
    let right: i32 = right.map(|pair| step(pair).abs()).sum();
    ((down + right) / 90).min(100) as u8
}

/// `D A Dt` with `D` the 16x64 cosine matrix: the low frequencies of the thumbnail.
pub(super) fn dct(thumbnail: &Thumbnail) -> Coefficients {
    let cosines = &*COSINES;
    let mut down = [[0.0_f32; SIDE]; KEPT];
    for (out, waves) in down.iter_mut().zip(cosines) {
        for (row, wave) in thumbnail.iter().zip(waves) {
            for (sum, pixel) in out.iter_mut().zip(row) {
                *sum += wave * pixel;
            }
        }
    }
    // Transposed once so that the inner loop runs over independent sums and not along one.
    let waves_at: [[f32; KEPT]; SIDE] =
        std::array::from_fn(|k| std::array::from_fn(|j| cosines[j][k]));
    let mut both = [[0.0_f32; KEPT]; KEPT];
    for (out, row) in both.iter_mut().zip(&down) {
        for (value, waves) in row.iter().zip(&waves_at) {
            for (sum, wave) in out.iter_mut().zip(waves) {
                *sum += value * wave;
            }
        }
    }
    both
}

/// Bit `16 i + j` is set where coefficient (i, j) is above the lower median.
pub(super) fn bits(coefficients: &Coefficients) -> Pdq {
    let median = lower_median(coefficients);
    let mut bytes = [0_u8; 32];
    for (k, _) in coefficients
        .as_flattened()
        .iter()
        .enumerate()
        .filter(|(_, c)| **c > median)
    {
        bytes[31 - k / 8] |= 1 << (k % 8);
    }
    Pdq(bytes)
}

fn lower_median(coefficients: &Coefficients) -> f32 {
    let mut sorted = [0.0; KEPT * KEPT];
    sorted.copy_from_slice(coefficients.as_flattened());
    let (_, median, _) = sorted.select_nth_unstable_by(KEPT * KEPT / 2 - 1, f32::total_cmp);
    *median
}

/// The coefficients of the turned or mirrored image: turning the image transposes them and changes
/// the signs of the odd frequencies (index 0 is frequency 1).
pub(super) fn turned(a: &Coefficients, form: Dihedral) -> Coefficients {
    let odd = |i: usize| i % 2 == 1;
    let signed = |value: f32, keep: bool| if keep { value } else { -value };
    let kept = |i: usize, j: usize| match form {
        Dihedral::Original => a[i][j],
        Dihedral::Rotate180 => signed(a[i][j], !odd(i + j)),
        Dihedral::FlipX => signed(a[i][j], odd(i)),
        Dihedral::FlipY => signed(a[i][j], odd(j)),
        Dihedral::Rotate90 => signed(a[j][i], odd(i)),
        Dihedral::Rotate270 => signed(a[j][i], odd(j)),
        Dihedral::FlipPlus => a[j][i],
        Dihedral::FlipMinus => signed(a[j][i], !odd(i + j)),
    };
    std::array::from_fn(|i| std::array::from_fn(|j| kept(i, j)))
}
