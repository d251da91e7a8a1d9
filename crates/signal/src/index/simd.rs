//! Comparing many fingerprints at once, with the widest instructions that this processor has.
//!
//! Work is written once, as a [`Job`] over an [`Isa`]; [`Level::run`] compiles and runs it for the
//! processor found.
#![allow(
    unsafe_code,
    reason = "instructions beyond the baseline and prefetching can only be called from unsafe code"
)]

/// Fingerprints compared together.
pub(super) const BLOCK: usize = 32;

/// Instructions to compare with.
pub(super) trait Isa: Copy {
    /// Bit `k` says whether `block[k]` differs from `from` in at most `most` bits (up to 16).
    fn near(self, block: &[u16; BLOCK], from: u16, most: u32) -> u32;
}

/// Something to be run with the best instructions. `run` should be `#[inline(always)]`, so that all
/// of it is compiled with them.
pub(super) trait Job {
    type Out;
    fn run<I: Isa>(self, isa: I) -> Self::Out;
}

/// Which instructions are compared with; all give the same answers.
///
/// There is a value only for what this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Level {
    /// Those of this processor, the widest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [
            x86::Avx512::detect().map(Kind::Avx512),
            x86::Avx2::detect().map(Kind::Avx2),
        ];
        #[cfg(target_arch = "aarch64")]
        let wide = [Some(Kind::Neon)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let wide: [Option<Kind>; 0] = [];
        let wide = wide.into_iter().flatten();
        wide.chain([Kind::Portable]).map(Self)
    }

    /// How it is called in benchmarks.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            Kind::Portable => "portable",
        }
    }

    /// Runs the job with these instructions.
    #[inline]
    pub(super) fn run<J: Job>(self, job: J) -> J::Out {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(isa) => isa.run(job),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(isa) => isa.run(job),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => job.run(arm::Neon),
            Kind::Portable => job.run(Portable),
        }
    }
}

/// The widest of this processor.
impl Default for Level {
    fn default() -> Self {
        Self::available().next().unwrap_or(Self(Kind::Portable))
    }
}

/// Asks for the cache line of `slice[at]`; nothing happens if there is none.
#[inline(always)]
pub(super) fn prefetch<T>(slice: &[T], at: usize) {
    let line = slice.as_ptr().wrapping_add(at);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint that never faults, whatever the address; the pointer is computed
    // by wrapping and is not read through.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the library has no stable function for it. It changes no register or memory.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = line;
}

/// What every processor can do.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Isa for Portable {
    #[inline(always)]
    fn near(self, block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
        let bit = |value: u16| u32::from((value ^ from).count_ones() <= most);
        (0..).zip(block).fold(0, |near, (k, v)| near | bit(*v) << k)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(
        clippy::wildcard_imports,
        clippy::cast_ptr_alignment,
        reason = "intrinsics are named so that they clash with nothing; these loads need no alignment"
    )]
    use super::{BLOCK, Isa, Job};
    use std::arch::x86_64::*;

    /// AVX-512 with its population count. A value of this type proves that the processor has it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Avx512(());

    impl Avx512 {
        #[inline]
        pub(super) fn detect() -> Option<Self> {
            let has = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bitalg")
                && is_x86_feature_detected!("avx512vpopcntdq")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            has.then_some(Self(()))
        }

        #[inline]
        pub(super) fn run<J: Job>(self, job: J) -> J::Out {
            #[target_feature(
                enable = "avx512f,avx512bw,avx512vl,avx512bitalg,avx512vpopcntdq,popcnt,bmi1,bmi2"
            )]
            fn run<J: Job>(isa: Avx512, job: J) -> J::Out {
                job.run(isa)
            }
            // SAFETY: `self` was made by `detect`, which found every feature that is enabled here.
            unsafe { run(self, job) }
        }
    }

    impl Isa for Avx512 {
        #[inline(always)]
        fn near(self, block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
            #[target_feature(enable = "avx512f,avx512bw,avx512bitalg")]
            #[inline]
            fn near(block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
                // SAFETY: 32 values of two bytes are the 64 bytes read; the load needs no alignment.
                let block = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
                let differ = _mm512_xor_si512(block, _mm512_set1_epi16(from as i16));
                let most = _mm512_set1_epi16(most as i16);
                _mm512_cmple_epu16_mask(_mm512_popcnt_epi16(differ), most)
            }
            // SAFETY: `self` was made by `detect`, which found every feature that is enabled here.
            unsafe { near(block, from, most) }
        }
    }

    /// AVX2. A value of this type proves that the processor has it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Avx2(());

    impl Avx2 {
        #[inline]
        pub(super) fn detect() -> Option<Self> {
            let has = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            has.then_some(Self(()))
        }

        #[inline]
        pub(super) fn run<J: Job>(self, job: J) -> J::Out {
            #[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
            fn run<J: Job>(isa: Avx2, job: J) -> J::Out {
                job.run(isa)
            }
            // SAFETY: `self` was made by `detect`, which found every feature that is enabled here.
            unsafe { run(self, job) }
        }
    }

    impl Isa for Avx2 {
        #[inline(always)]
        fn near(self, block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
            /// All ones in each of 16 values that is too far.
            #[target_feature(enable = "avx2")]
            #[inline]
            fn far(block: __m256i, from: __m256i, most: __m256i) -> __m256i {
                let bits_of_nibble = _mm256_broadcastsi128_si256(_mm_setr_epi8(
                    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                ));
                let low = _mm256_set1_epi8(0x0f);
                let differ = _mm256_xor_si256(block, from);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(differ), low);
                let bytes = _mm256_add_epi8(
                    _mm256_shuffle_epi8(bits_of_nibble, _mm256_and_si256(differ, low)),
                    _mm256_shuffle_epi8(bits_of_nibble, high),
                );
                let sums = _mm256_add_epi8(bytes, _mm256_slli_epi16::<8>(bytes));
                _mm256_cmpgt_epi16(_mm256_srli_epi16::<8>(sums), most)
            }
            #[target_feature(enable = "avx2")]
            #[inline]
            fn near(block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
                let at = block.as_ptr().cast::<__m256i>();
                // SAFETY: 32 values of two bytes are the two times 32 bytes read; the loads need no
                // alignment.
                let (first, second) =
                    unsafe { (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))) };
                let (from, most) = (
                    _mm256_set1_epi16(from as i16),
                    _mm256_set1_epi16(most as i16),
                );
                let far = _mm256_packs_epi16(far(first, from, most), far(second, from, most));
                // Packing works within halves of a register; this puts the quarters in order.
                !(_mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(far)) as u32)
            }
            // SAFETY: `self` was made by `detect`, which found every feature that is enabled here.
            unsafe { near(block, from, most) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    #![allow(
        clippy::wildcard_imports,
        reason = "intrinsics are named so that they clash with nothing"
    )]
    use super::{BLOCK, Isa};
    use bytemuck::must_cast;
    use std::arch::aarch64::*;

    /// NEON, which every processor of this architecture has.
    #[derive(Clone, Copy)]
    pub(super) struct Neon;

    /// For each lane of eight, its bit.
    const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

    impl Isa for Neon {
        #[inline(always)]
        fn near(self, block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
            #[target_feature(enable = "neon")]
            #[inline]
            fn near(block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
                let eights: [uint16x8_t; 4] = must_cast(*block);
                let (from, most) = (vdupq_n_u16(from), vdupq_n_u16(most as u16));
                let near = |eight| {
                    let differ = vreinterpretq_u8_u16(veorq_u16(eight, from));
                    vmovn_u16(vcleq_u16(vpaddlq_u8(vcntq_u8(differ)), most))
                };
                let bits = |a, b| vandq_u8(vcombine_u8(near(a), near(b)), must_cast(BITS));
                let [a, b, c, d] = eights;
                // Eight bits are added up to a byte in three steps.
                let twos = vpaddq_u8(bits(a, b), bits(c, d));
                let fours = vpaddq_u8(twos, twos);
                vgetq_lane_u32::<0>(vreinterpretq_u32_u8(vpaddq_u8(fours, fours)))
            }
            // SAFETY: NEON is part of the architecture.
            unsafe { near(block, from, most) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The portable answer, and that of every set of instructions which this processor has.
    fn all(block: &[u16; BLOCK], from: u16, most: u32) -> Vec<u32> {
        struct Near<'a>(&'a [u16; BLOCK], u16, u32);
        impl Job for Near<'_> {
            type Out = u32;
            #[inline(always)]
            fn run<I: Isa>(self, isa: I) -> u32 {
                isa.near(self.0, self.1, self.2)
            }
        }
        let job = || Near(block, from, most);
        Level::available().map(|level| level.run(job())).collect()
    }

    #[test]
    fn there_is_a_level_for_every_processor() {
        let names: Vec<&str> = Level::available().map(Level::name).collect();
        assert_eq!(names.last(), Some(&"portable"));
        assert_eq!(Level::default().name(), names[0]);
        #[cfg(target_arch = "aarch64")]
        assert_eq!(names[0], "neon");
    }

    fn expected(block: &[u16; BLOCK], from: u16, most: u32) -> u32 {
        let far = |value: u16| (0..16).filter(|k| (value ^ from) >> k & 1 == 1).count() as u32;
        (0..BLOCK)
            .filter(|k| far(block[*k]) <= most)
            .fold(0, |near, k| near | 1 << k)
    }

    proptest! {
        #[test]
        fn all_instructions_agree(block: [u16; BLOCK], flips in proptest::collection::vec(0_u32..16, BLOCK), from: u16, most in 0_u32..=16) {
            // Half of the values near, so that both answers come up at each bound.
            let block: [u16; BLOCK] = std::array::from_fn(|k| {
                if k % 2 == 0 { block[k] } else { (0..flips[k]).fold(from, |v, bit| v ^ 1 << bit) }
            });
            for answer in all(&block, from, most) {
                prop_assert_eq!(answer, expected(&block, from, most));
            }
        }
    }
}
