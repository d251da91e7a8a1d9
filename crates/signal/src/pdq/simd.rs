//! Sixteen `f32` side by side, in whatever registers the processor has, and the choice between them.
//!
//! The `unsafe` code here is needed for one reason: the compiler may assume SSE2 (on x86-64) or NEON (on
//! `AArch64`) only, so that wider instructions must be asked for by name, and calling one on a processor
//! without it would be undefined; by name, it wants that for every instruction. Nothing here
//! touches memory through a pointer: arrays are turned into registers and back by value.
//!
//! An operation acts on each lane alone and rounds as IEEE 754 demands, in registers of any width
//! alike; nothing is fused or reordered. So every [`Level`] gives the same bits.

#![expect(
    unsafe_code,
    reason = "see above: instructions that not every processor has"
)]
#![expect(
    clippy::inline_always,
    reason = "only inlined code is compiled for the caller's level"
)]

use super::blur::{Blur, STRIP, luma_of};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use bytemuck::must_cast;
#[cfg(target_arch = "aarch64")]
#[allow(
    clippy::wildcard_imports,
    reason = "some twenty instructions; the lint is silent in test builds"
)]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::wildcard_imports,
    reason = "half a hundred instructions; the lint is silent in test builds"
)]
use std::arch::x86_64::*;

/// Sixteen values.
///
/// # Safety
///
/// A type is used only where its instructions exist: see [`Level::strip`], which picks it.
pub(super) trait Lanes: Copy {
    /// From memory.
    fn load(values: &[f32; STRIP]) -> Self;
    /// To memory.
    fn store(self, values: &mut [f32; STRIP]);
    /// The same value sixteen times.
    fn splat(value: f32) -> Self;
    /// Four values from each of four places.
    fn gather(quarters: [&[f32; 4]; 4]) -> Self;
    /// Gives the first quarters of all four, then the second, third and last.
    fn quarters(four: [Self; 4]) -> [Self; 4];
    /// Takes the four quarters for the columns of 4x4 squares, and turns each square.
    fn turned(four: [Self; 4]) -> [Self; 4];
    /// Luminance of the four pixels in the first twelve bytes of each of four places.
    fn luma(pixels: [&[u8; 16]; 4]) -> Self;
    /// Lane by lane.
    fn add(self, other: Self) -> Self;
    /// Lane by lane.
    fn subtract(self, other: Self) -> Self;
    /// Lane by lane.
    fn times(self, other: Self) -> Self;
    /// Lane by lane.
    fn over(self, other: Self) -> Self;
}

/// What any processor can do.
#[derive(Clone, Copy)]
pub(super) struct Portable([[f32; 4]; 4]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let f = &f;
        Self(std::array::from_fn(|i| {
            std::array::from_fn(|j| f(self.0[i][j], other.0[i][j]))
        }))
    }
}

impl Lanes for Portable {
    #[inline(always)]
    fn load(values: &[f32; STRIP]) -> Self {
        let quarters = values.as_chunks().0;
        Self(std::array::from_fn(|i| quarters[i]))
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; STRIP]) {
        values.copy_from_slice(self.0.as_flattened());
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([[value; 4]; 4])
    }

    #[inline(always)]
    fn gather([a, b, c, d]: [&[f32; 4]; 4]) -> Self {
        Self([*a, *b, *c, *d])
    }

    #[inline(always)]
    fn quarters([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        std::array::from_fn(|i| Self([a.0[i], b.0[i], c.0[i], d.0[i]]))
    }

    #[inline(always)]
    fn turned(four: [Self; 4]) -> [Self; 4] {
        let [a, b, c, d] = four;
        let turned = |q: usize, i: usize| [a.0[q][i], b.0[q][i], c.0[q][i], d.0[q][i]];
        std::array::from_fn(|i| Self([turned(0, i), turned(1, i), turned(2, i), turned(3, i)]))
    }

    #[inline(always)]
    fn luma([a, b, c, d]: [&[u8; 16]; 4]) -> Self {
        Self([
            luma_of_four(a),
            luma_of_four(b),
            luma_of_four(c),
            luma_of_four(d),
        ])
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

#[inline(always)]
fn luma_of_four(p: &[u8; 16]) -> [f32; 4] {
    let word = |i: usize| luma_of(u32::from_le_bytes([p[i], p[i + 1], p[i + 2], p[i + 3]]));
    [word(0), word(3), word(6), word(9)]
}

/// Registers, as many as it takes for sixteen values.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! registers {
    ($name:ident, $register:ty, $count:literal, quarter: $quarter:ty, gather: $gather:expr, quarters: $quarters:expr, luma: $luma:expr,
     $splat:ident, $add:ident, $subtract:ident, $times:ident, $over:ident,
     $low:ident, $high:ident, $shuffle:ident) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name([$register; $count]);

        impl $name {
            #[inline(always)]
            fn zip(self, other: Self, f: impl Fn($register, $register) -> $register) -> Self {
                Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
            }
        }

        // SAFETY: the type is used only where its instructions exist, as the trait asks; none of
        // them reads or writes memory.
        impl Lanes for $name {
            #[inline(always)]
            fn load(values: &[f32; STRIP]) -> Self {
                Self(must_cast(*values))
            }

            #[inline(always)]
            fn store(self, values: &mut [f32; STRIP]) {
                *values = must_cast(self.0);
            }

            #[inline(always)]
            fn splat(value: f32) -> Self {
                Self([unsafe { $splat(value) }; $count])
            }

            #[inline(always)]
            fn gather(quarters: [&[f32; 4]; 4]) -> Self {
                let quarters: [$quarter; 4] = quarters.map(|quarter| must_cast(*quarter));
                Self(unsafe { $gather(quarters) })
            }

            #[inline(always)]
            fn quarters(four: [Self; 4]) -> [Self; 4] {
                let [a, b, c, d] = four;
                let quarters = $quarters;
                let [a, b, c, d] = unsafe { quarters([a.0, b.0, c.0, d.0]) };
                [Self(a), Self(b), Self(c), Self(d)]
            }

            #[inline(always)]
            fn turned([a, b, c, d]: [Self; 4]) -> [Self; 4] {
                let low = |a: Self, b: Self| a.zip(b, |a, b| unsafe { $low(a, b) });
                let high = |a: Self, b: Self| a.zip(b, |a, b| unsafe { $high(a, b) });
                let firsts = |a: Self, b: Self| a.zip(b, |a, b| unsafe { $shuffle::<0x44>(a, b) });
                let lasts = |a: Self, b: Self| a.zip(b, |a, b| unsafe { $shuffle::<0xee>(a, b) });
                let (ab, cd) = (low(a, b), low(c, d));
                let (ab_high, cd_high) = (high(a, b), high(c, d));
                [
                    firsts(ab, cd),
                    lasts(ab, cd),
                    firsts(ab_high, cd_high),
                    lasts(ab_high, cd_high),
                ]
            }

            #[inline(always)]
            fn luma(pixels: [&[u8; 16]; 4]) -> Self {
                let luma = $luma;
                Self(luma(pixels))
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.zip(other, |a, b| unsafe { $add(a, b) })
            }

            #[inline(always)]
            fn subtract(self, other: Self) -> Self {
                self.zip(other, |a, b| unsafe { $subtract(a, b) })
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.zip(other, |a, b| unsafe { $times(a, b) })
            }

            #[inline(always)]
            fn over(self, other: Self) -> Self {
                self.zip(other, |a, b| unsafe { $over(a, b) })
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
registers!(Sse2, __m128, 4, quarter: __m128, gather: gather_sse2, quarters: quarters_sse2,
    luma: |[a, b, c, d]: [&[u8; 16]; 4]| {
        unsafe { [luma_sse2(a), luma_sse2(b), luma_sse2(c), luma_sse2(d)] }
    },
    _mm_set1_ps, _mm_add_ps, _mm_sub_ps, _mm_mul_ps, _mm_div_ps,
    _mm_unpacklo_ps, _mm_unpackhi_ps, _mm_shuffle_ps);

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn gather_sse2(quarters: [__m128; 4]) -> [__m128; 4] {
    quarters
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn quarters_sse2([a, b, c, d]: [[__m128; 4]; 4]) -> [[__m128; 4]; 4] {
    [0, 1, 2, 3].map(|i| [a[i], b[i], c[i], d[i]])
}

#[cfg(target_arch = "x86_64")]
registers!(Avx2, __m256, 2, quarter: __m128,
    gather: |[a, b, c, d]: [__m128; 4]| [_mm256_set_m128(b, a), _mm256_set_m128(d, c)],
    quarters: quarters_avx2,
    luma: |pixels: [&[u8; 16]; 4]| {
        let [a, b, c, d] = pixels.map(|four| must_cast::<_, __m128i>(*four));
        unsafe { [luma_avx2(_mm256_set_m128i(b, a)), luma_avx2(_mm256_set_m128i(d, c))] }
    },
    _mm256_set1_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps,
    _mm256_unpacklo_ps, _mm256_unpackhi_ps, _mm256_shuffle_ps);

#[cfg(target_arch = "x86_64")]
registers!(Avx512, __m512, 1, quarter: __m128,
    gather: |[a, b, c, d]: [__m128; 4]| {
        let ab = _mm512_insertf32x4::<1>(_mm512_castps128_ps512(a), b);
        [_mm512_insertf32x4::<3>(_mm512_insertf32x4::<2>(ab, c), d)]
    },
    quarters: quarters_avx512,
    luma: |pixels: [&[u8; 16]; 4]| {
        let [a, b, c, d] = pixels.map(|four| must_cast::<_, __m128i>(*four));
        unsafe { [luma_avx512(a, b, c, d)] }
    },
    _mm512_set1_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps,
    _mm512_unpacklo_ps, _mm512_unpackhi_ps, _mm512_shuffle_ps);

#[cfg(target_arch = "aarch64")]
registers!(Neon, float32x4_t, 4, quarter: float32x4_t, gather: gather_neon, quarters: quarters_neon,
    luma: |pixels: [&[u8; 16]; 4]| pixels.map(|four| unsafe { luma_neon(must_cast(*four)) }),
    vdupq_n_f32, vaddq_f32, vsubq_f32, vmulq_f32, vdivq_f32,
    vzip1q_f32, vzip2q_f32, halves_neon);

#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
fn gather_neon(quarters: [float32x4_t; 4]) -> [float32x4_t; 4] {
    quarters
}

#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
fn quarters_neon([a, b, c, d]: [[float32x4_t; 4]; 4]) -> [[float32x4_t; 4]; 4] {
    [0, 1, 2, 3].map(|i| [a[i], b[i], c[i], d[i]])
}

/// The first halves of both, or the last, named as x86-64 does.
#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
fn halves_neon<const WHICH: i32>(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    let (a, b) = (vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b));
    vreinterpretq_f32_f64(match WHICH {
        0x44 => vzip1q_f64(a, b),
        _ => vzip2q_f64(a, b),
    })
}

#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
fn luma_neon(pixels: uint8x16_t) -> float32x4_t {
    // Every third byte, as a number of four.
    let colour = |first: u8| {
        let places: [[u8; 4]; 4] = [0, 3, 6, 9].map(|pixel| [first + pixel, 255, 255, 255]);
        vreinterpretq_u32_u8(vqtbl1q_u8(pixels, must_cast(places)))
    };
    let thousandths = vmulq_n_u32(colour(0), 299);
    let thousandths = vmlaq_n_u32(thousandths, colour(1), 587);
    let thousandths = vmlaq_n_u32(thousandths, colour(2), 114);
    vdivq_f32(vcvtq_f32_u32(thousandths), vdupq_n_f32(1000.0))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn luma_sse2(p: &[u8; 16]) -> __m128 {
    let word = |i: usize| i32::from_le_bytes([p[i], p[i + 1], p[i + 2], p[i + 3]]);
    let pixels = _mm_setr_epi32(word(0), word(3), word(6), word(9));
    let red_blue = _mm_and_si128(pixels, _mm_set1_epi32(0x00ff_00ff));
    let green = _mm_and_si128(_mm_srli_epi32::<8>(pixels), _mm_set1_epi32(0xff));
    let weights = |low: i32, high: i32| _mm_set1_epi32(high << 16 | low);
    let thousandths = _mm_add_epi32(
        _mm_madd_epi16(red_blue, weights(299, 114)),
        _mm_madd_epi16(green, weights(587, 0)),
    );
    _mm_div_ps(_mm_cvtepi32_ps(thousandths), _mm_set1_ps(1000.0))
}

/// Where red and green of four pixels of three bytes are, each as a number of two bytes.
#[cfg(target_arch = "x86_64")]
const RED_GREEN: [i8; 16] = [0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1];

/// Where blue is, followed by nothing.
#[cfg(target_arch = "x86_64")]
const BLUE: [i8; 16] = [2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1];

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn quarters_avx2([a, b, c, d]: [[__m256; 2]; 4]) -> [[__m256; 2]; 4] {
    let low = |a, b| _mm256_permute2f128_ps::<0x20>(a, b);
    let high = |a, b| _mm256_permute2f128_ps::<0x31>(a, b);
    [
        [low(a[0], b[0]), low(c[0], d[0])],
        [high(a[0], b[0]), high(c[0], d[0])],
        [low(a[1], b[1]), low(c[1], d[1])],
        [high(a[1], b[1]), high(c[1], d[1])],
    ]
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters_avx512([[a], [b], [c], [d]]: [[__m512; 1]; 4]) -> [[__m512; 1]; 4] {
    let firsts = |a, b| _mm512_shuffle_f32x4::<0x44>(a, b);
    let lasts = |a, b| _mm512_shuffle_f32x4::<0xee>(a, b);
    let even = |a, b| [_mm512_shuffle_f32x4::<0x88>(a, b)];
    let odd = |a, b| [_mm512_shuffle_f32x4::<0xdd>(a, b)];
    let (ab, cd) = (firsts(a, b), firsts(c, d));
    let (ab_last, cd_last) = (lasts(a, b), lasts(c, d));
    [
        even(ab, cd),
        odd(ab, cd),
        even(ab_last, cd_last),
        odd(ab_last, cd_last),
    ]
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn luma_avx2(pixels: __m256i) -> __m256 {
    let places = |places: [i8; 16]| _mm256_broadcastsi128_si256(must_cast(places));
    let red_green = _mm256_shuffle_epi8(pixels, places(RED_GREEN));
    let blue = _mm256_shuffle_epi8(pixels, places(BLUE));
    let weights = |low: i32, high: i32| _mm256_set1_epi32(high << 16 | low);
    let thousandths = _mm256_add_epi32(
        _mm256_madd_epi16(red_green, weights(299, 587)),
        _mm256_madd_epi16(blue, weights(114, 0)),
    );
    _mm256_div_ps(_mm256_cvtepi32_ps(thousandths), _mm256_set1_ps(1000.0))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn luma_avx512(a: __m128i, b: __m128i, c: __m128i, d: __m128i) -> __m512 {
    let ab = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
    let pixels = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(ab, c), d);
    let places = |places: [i8; 16]| _mm512_broadcast_i32x4(must_cast(places));
    let red_green = _mm512_shuffle_epi8(pixels, places(RED_GREEN));
    let blue = _mm512_shuffle_epi8(pixels, places(BLUE));
    let weights = |low: i32, high: i32| _mm512_set1_epi32(high << 16 | low);
    let thousandths = _mm512_add_epi32(
        _mm512_madd_epi16(red_green, weights(299, 587)),
        _mm512_madd_epi16(blue, weights(114, 0)),
    );
    _mm512_div_ps(_mm512_cvtepi32_ps(thousandths), _mm512_set1_ps(1000.0))
}

/// Which instructions are used; all give the same bits.
///
/// There is a value only for what this processor has: that is what makes calling its instructions sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Level {
    /// Those of this processor, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let kinds = {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            let avx2 = is_x86_feature_detected!("avx2");
            let wide = [(avx512 && avx2, Kind::Avx512), (avx2, Kind::Avx2)];
            let wide = wide.into_iter().filter(|(has, _)| *has);
            wide.map(|(_, kind)| kind)
                .chain([Kind::Sse2, Kind::Portable])
        };
        #[cfg(target_arch = "aarch64")]
        let kinds = [Kind::Neon, Kind::Portable].into_iter();
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let kinds = [Kind::Portable].into_iter();
        kinds.map(Self)
    }

    /// The fastest of this processor.
    pub(super) fn best() -> Self {
        Self::available().next().unwrap_or(Self(Kind::Portable))
    }

    /// How it is called in benchmarks.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => "sse2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }

    /// [`Blur::strip`] with these instructions.
    pub(super) fn strip(self, blur: &mut Blur, pixels: &[u8]) {
        match self.0 {
            Kind::Portable => blur.strip::<Portable>(pixels),
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => blur.strip::<Sse2>(pixels),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => blur.strip::<Neon>(pixels),
            // SAFETY: `available`, where every level comes from, has seen that the processor has it.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { strip_avx2(blur, pixels) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { strip_avx512(blur, pixels) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn strip_avx2(blur: &mut Blur, pixels: &[u8]) {
    blur.strip::<Avx2>(pixels);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
fn strip_avx512(blur: &mut Blur, pixels: &[u8]) {
    blur.strip::<Avx512>(pixels);
}
