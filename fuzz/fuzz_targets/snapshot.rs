//! A snapshot of the index with bytes changed, cut or added: the same index, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::Pdq;
use manara_signal::index::PdqIndex;
use std::sync::{Arc, LazyLock};

struct Aligned(Vec<u64>, usize);

impl Aligned {
    fn of(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        Self(bytes.chunks(8).map(word).collect(), bytes.len())
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.0)[..self.1]
    }
}

fn hash(n: u64) -> Pdq {
    let mut hash = Pdq([0; 32]);
    for (word, salt) in hash.0.chunks_exact_mut(8).zip(1_u64..) {
        let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (salt << 17));
        word.copy_from_slice(&mixed.to_le_bytes());
    }
    hash
}

static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut index = PdqIndex::from_entries((0..40).map(|n| (n, hash(n))));
    index.remove(7);
    let mut bytes = Vec::new();
    index.write_snapshot(&mut bytes).expect("memory can be written");
    bytes
});

fuzz_target!(|edits: Vec<(u32, u8)>| {
    let mut bytes = WHOLE.clone();
    for (at, value) in edits {
        match at as usize % (WHOLE.len() + 64) {
            at if at < bytes.len() => bytes[at] ^= value,
            at => bytes.resize(at.min(WHOLE.len()) / 2 + usize::from(value), value),
        }
    }
    let changed = bytes != *WHOLE;
    match PdqIndex::from_snapshot(Arc::new(Aligned::of(&bytes))) {
        Err(_) => assert!(changed, "an unchanged snapshot is refused"),
        Ok(index) => {
            assert!(!changed, "a changed snapshot is accepted");
            let mut hits = Vec::new();
            index.query(&hash(3), 31, &mut hits);
            assert_eq!(hits.len(), 1);
        }
    }
});
