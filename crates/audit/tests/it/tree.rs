//! The tree and its proofs: the known answers every RFC 6962 implementation shares, and agreement
//! with a naive tree at every size up to 600.

use crate::common::{leaf_hashes, naive_consistency, naive_inclusion, naive_root, node_of};
use manara_audit::{
    Frontier, FrontierError, Hash, HashError, ProofError, consistency_proof, inclusion_proof,
    leaf_hash, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;

/// The eight leaves of the Certificate Transparency reference tests.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// The roots over the first 0 to 8 of them.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn known_leaves() -> Vec<Hash> {
    LEAVES.iter().map(|data| leaf_hash(data)).collect()
}

fn frontier(leaves: &[Hash]) -> Frontier {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier
}

fn hashes(hex: &[&str]) -> Vec<Hash> {
    hex.iter()
        .map(|hex| Hash::from_hex(hex).expect("hex"))
        .collect()
}

#[test]
fn roots_are_the_known_ones() {
    let leaves = known_leaves();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(
            frontier(&leaves[..size]).root().to_string(),
            *root,
            "size {size}"
        );
    }
}

#[track_caller]
fn check_inclusion(index: u64, size: usize, proof: &[&str]) {
    let leaves = known_leaves();
    let found = inclusion_proof(index, size as u64, node_of(&leaves)).expect("a proof");
    assert_eq!(found, hashes(proof));
    let root = Hash::from_hex(ROOTS[size]).expect("hex");
    assert_eq!(
        verify_inclusion(leaves[index as usize], index, size as u64, &found, root),
        Ok(())
    );
}

#[test]
fn inclusion_proofs_are_the_known_ones() {
    check_inclusion(0, 1, &[]);
    check_inclusion(
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    check_inclusion(
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
    check_inclusion(2, 3, &[ROOTS[2]]);
    check_inclusion(
        1,
        5,
        &[
            ROOTS[1],
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    );
}

#[track_caller]
fn check_consistency(old: usize, new: usize, proof: &[&str]) {
    let leaves = known_leaves();
    let found = consistency_proof(old as u64, new as u64, node_of(&leaves)).expect("a proof");
    assert_eq!(found, hashes(proof));
    let root = |size: usize| Hash::from_hex(ROOTS[size]).expect("hex");
    assert_eq!(
        verify_consistency(old as u64, new as u64, &found, root(old), root(new)),
        Ok(())
    );
}

#[test]
fn consistency_proofs_are_the_known_ones() {
    check_consistency(1, 1, &[]);
    check_consistency(
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    check_consistency(
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            ROOTS[4],
        ],
    );
    check_consistency(
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    );
    check_consistency(0, 5, &[]);
}

#[test]
fn every_size_has_the_naive_root_and_survives_storage() {
    let leaves = leaf_hashes(600);
    let mut growing = Frontier::new();
    for size in 0..=leaves.len() {
        assert_eq!(growing.root(), naive_root(&leaves[..size]), "size {size}");
        assert_eq!(
            Frontier::decode(&growing.encode()),
            Ok(growing.clone()),
            "size {size}"
        );
        if let Some(leaf) = leaves.get(size) {
            growing.push(*leaf);
        }
    }
}

#[test]
fn a_push_shows_every_subtree_it_completes() {
    let leaves = leaf_hashes(300);
    let mut shown = std::collections::BTreeMap::new();
    let mut frontier = Frontier::new();
    for leaf in &leaves {
        frontier.push_with(*leaf, |level, index, hash| {
            assert_eq!(shown.insert((level, index), hash), None, "shown twice");
        });
    }
    let expected = (0..9).flat_map(|level| (0..300 >> level).map(move |index| (level, index)));
    assert_eq!(shown.len(), expected.clone().count());
    for (level, index) in expected {
        assert_eq!(
            shown.get(&(level, index)).copied(),
            node_of(&leaves)(level, index)
        );
    }
}

/// The stored form of a frontier; a change here strands every database.
#[test]
fn the_stored_frontier_keeps_its_form() {
    let stored = frontier(&known_leaves()[..5]).encode();
    let mut expected = vec![0, 0, 0, 0, 0, 0, 0, 5];
    expected.extend(hashes(&[ROOTS[4]])[0].0);
    expected.extend(leaf_hash(b"\x30\x31").0);
    assert_eq!(stored, expected);
}

#[test]
fn a_broken_frontier_is_refused() {
    let check = |bytes: &[u8], expect| assert_eq!(Frontier::decode(bytes), Err(expect));
    check(&[], FrontierError::NoSize(0));
    check(&[0; 7], FrontierError::NoSize(7));
    check(&u64::MAX.to_be_bytes(), FrontierError::TooLarge(u64::MAX));
    let three = 3_u64.to_be_bytes();
    check(
        &three,
        FrontierError::Length {
            size: 3,
            expected: 72,
            found: 8,
        },
    );
    check(
        &[0; 40],
        FrontierError::Length {
            size: 0,
            expected: 8,
            found: 40,
        },
    );
}

#[test]
fn hashes_have_one_spelling() {
    let hash = leaf_hash(b"");
    assert_eq!(Hash::from_hex(&hash.to_string()), Ok(hash));
    assert_eq!(Hash::from_base64(&hash.to_base64()), Ok(hash));
    assert_eq!(hash.hex_bytes().as_slice(), hash.to_string().as_bytes());
    let (hex, base64) = (hash.to_string(), hash.to_base64());
    for wrong in [
        &hex[1..],
        &hex.to_uppercase(),
        &hex.replace('6', "g"),
        &format!("{hex}0"),
        "",
    ] {
        assert_eq!(Hash::from_hex(wrong), Err(HashError::Hex), "{wrong}");
    }
    let loose = format!("{}9=", &base64[..42]);
    let url = "_".repeat(43) + "=";
    for wrong in [
        &base64[..43],
        &format!("{base64}="),
        &loose,
        &url,
        "",
        &"=".repeat(44),
    ] {
        assert_eq!(Hash::from_base64(wrong), Err(HashError::Base64), "{wrong}");
    }
}

#[test]
fn a_question_without_answer_says_why() {
    let none = |_, _| None;
    assert_eq!(
        inclusion_proof(8, 8, none),
        Err(ProofError::IndexBeyondTree { index: 8, size: 8 })
    );
    assert_eq!(
        inclusion_proof(0, u64::MAX, none),
        Err(ProofError::TooLarge(u64::MAX))
    );
    assert_eq!(
        consistency_proof(9, 8, none),
        Err(ProofError::SizesReversed { old: 9, new: 8 })
    );
    let missing = ProofError::NodeMissing {
        level: 2,
        index: 1,
        first: 4,
        end: 8,
    };
    assert_eq!(inclusion_proof(0, 8, none), Err(missing.clone()));
    assert_eq!(
        missing.to_string(),
        "the node over leaves 4..8 is missing (level 2, index 1)"
    );
    let zero = Hash([0; 32]);
    assert_eq!(
        verify_inclusion(zero, 0, 0, &[], zero),
        Err(ProofError::IndexBeyondTree { index: 0, size: 0 })
    );
    assert_eq!(
        verify_consistency(0, 5, &[zero], zero, zero),
        Err(ProofError::WrongLength(1))
    );
    assert!(matches!(
        verify_consistency(0, 5, &[], zero, zero),
        Err(ProofError::OldRootDiffers { .. })
    ));
    assert!(matches!(
        verify_consistency(5, 5, &[], zero, leaf_hash(b"")),
        Err(ProofError::OldRootDiffers { .. })
    ));
}

/// All pairs up to 70, which covers every shape of right edge up to seven levels.
#[test]
fn all_small_proofs_are_the_naive_ones_and_hold() {
    let leaves = leaf_hashes(70);
    for new in 1..=leaves.len() {
        let (tree, size) = (&leaves[..new], new as u64);
        let root = naive_root(tree);
        for (index, leaf) in tree.iter().enumerate() {
            let proof = inclusion_proof(index as u64, size, node_of(tree)).expect("a proof");
            assert_eq!(proof, naive_inclusion(index, tree), "leaf {index} of {new}");
            assert_eq!(
                verify_inclusion(*leaf, index as u64, size, &proof, root),
                Ok(())
            );
        }
        for old in 1..=new {
            let proof = consistency_proof(old as u64, size, node_of(tree)).expect("a proof");
            assert_eq!(proof, naive_consistency(old, tree, true), "{old} to {new}");
            let old_root = naive_root(&tree[..old]);
            assert_eq!(
                verify_consistency(old as u64, size, &proof, old_root, root),
                Ok(())
            );
        }
    }
}

fn flip(hash: Hash, bit: usize) -> Hash {
    let mut bytes = hash.0;
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash(bytes)
}

/// Every bit of every hash that enters the check.
#[test]
fn no_flipped_bit_passes() {
    let leaves = leaf_hashes(13);
    let (root, size) = (naive_root(&leaves), 13);
    for index in [0, 7, 8, 12] {
        let proof = naive_inclusion(index, &leaves);
        let (leaf, index) = (leaves[index], index as u64);
        for bit in 0..256 {
            assert!(verify_inclusion(flip(leaf, bit), index, size, &proof, root).is_err());
            assert!(verify_inclusion(leaf, index, size, &proof, flip(root, bit)).is_err());
            for position in 0..proof.len() {
                let mut proof = proof.clone();
                proof[position] = flip(proof[position], bit);
                assert!(verify_inclusion(leaf, index, size, &proof, root).is_err());
            }
        }
    }
    for old in [1, 4, 6, 12, 13] {
        let proof = naive_consistency(old, &leaves, true);
        let (old_root, old) = (naive_root(&leaves[..old]), old as u64);
        for bit in 0..256 {
            let (bad_old, bad_new) = (flip(old_root, bit), flip(root, bit));
            assert!(verify_consistency(old, size, &proof, bad_old, root).is_err());
            assert!(verify_consistency(old, size, &proof, old_root, bad_new).is_err());
            for position in 0..proof.len() {
                let mut proof = proof.clone();
                proof[position] = flip(proof[position], bit);
                assert!(verify_consistency(old, size, &proof, old_root, root).is_err());
            }
        }
    }
}

proptest! {
    #[test]
    fn proofs_hold_for_their_place_and_no_other(
        size in 1_u64..600, index in any::<u64>(), other in any::<u64>(), bit in 0_usize..256,
    ) {
        let leaves = leaf_hashes(size);
        let (index, other) = (index % size, other % size);
        let root = naive_root(&leaves);
        let proof = inclusion_proof(index, size, node_of(&leaves)).expect("a proof");
        let leaf = leaves[index as usize];
        prop_assert_eq!(verify_inclusion(leaf, index, size, &proof, root), Ok(()));
        if other != index {
            prop_assert!(verify_inclusion(leaf, other, size, &proof, root).is_err());
            let moved = leaves[other as usize];
            prop_assert!(verify_inclusion(moved, index, size, &proof, root).is_err());
        }
        let mut longer = proof.clone();
        longer.push(flip(root, bit));
        prop_assert!(verify_inclusion(leaf, index, size, &longer, root).is_err());
        if let Some((_, shorter)) = proof.split_last() {
            prop_assert!(verify_inclusion(leaf, index, size, shorter, root).is_err());
        }
    }

    #[test]
    fn consistency_holds_for_its_sizes_and_no_other_log(
        new in 1_u64..600, old in any::<u64>(), changed in any::<u64>(), bit in 0_usize..256,
    ) {
        let (old, leaves) = (old % (new + 1), leaf_hashes(new));
        let (old_root, root) = (naive_root(&leaves[..old as usize]), naive_root(&leaves));
        let proof = consistency_proof(old, new, node_of(&leaves)).expect("a proof");
        prop_assert_eq!(verify_consistency(old, new, &proof, old_root, root), Ok(()));
        // A log whose past was rewritten has no proof from the signed root: its own does not do.
        if old > 0 {
            let changed = (changed % old) as usize;
            let mut rewritten = leaves.clone();
            rewritten[changed] = flip(rewritten[changed], bit);
            let root = naive_root(&rewritten);
            let proof = consistency_proof(old, new, node_of(&rewritten)).expect("a proof");
            prop_assert!(verify_consistency(old, new, &proof, old_root, root).is_err());
        }
    }

    #[test]
    fn verifying_any_numbers_never_panics(
        a in any::<u64>(), b in any::<u64>(), count in 0_usize..70, small in any::<bool>(),
    ) {
        let (a, b) = if small { (a % 100, b % 100) } else { (a, b) };
        let proof = vec![Hash([1; 32]); count];
        let zero = Hash([0; 32]);
        prop_assert!(verify_inclusion(zero, a, b, &proof, zero).is_err());
        prop_assert!(verify_consistency(a, b, &proof, zero, Hash([2; 32])).is_err());
    }

    #[test]
    fn any_bytes_are_a_frontier_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(frontier) = Frontier::decode(&bytes) {
            prop_assert_eq!(frontier.encode(), bytes);
        }
    }
}
