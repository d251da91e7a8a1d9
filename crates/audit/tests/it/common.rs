//! A naive Merkle tree, straight from the text of RFC 6962 §2.1, to hold the real one against; and
//! made-up leaves.

use manara_audit::{Author, AuthorKind, Hash, Leaf, Record, commit, leaf_hash, node_hash};

/// MTH(D[n]): recursive, over all leaf hashes.
pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::from_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
            .expect("SHA-256 of nothing"),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(largest_power_of_two_below(leaves.len()));
            node_hash(naive_root(left), naive_root(right))
        }
    }
}

/// PATH(m, D[n]).
pub(crate) fn naive_inclusion(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = largest_power_of_two_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if index < k {
        (naive_inclusion(index, left), right)
    } else {
        (naive_inclusion(index - k, right), left)
    };
    proof.push(naive_root(sibling));
    proof
}

/// SUBPROOF(m, D[n], whole); PROOF(m, D[n]) is `naive_consistency(m, leaves, true)`.
pub(crate) fn naive_consistency(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole {
            Vec::new()
        } else {
            vec![naive_root(leaves)]
        };
    }
    let k = largest_power_of_two_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if old <= k {
        (naive_consistency(old, left, whole), right)
    } else {
        (naive_consistency(old - k, right, false), left)
    };
    proof.push(naive_root(sibling));
    proof
}

fn largest_power_of_two_below(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// The node a proof asks for, from all leaf hashes; `None` beyond the right edge.
pub(crate) fn node_of(leaves: &[Hash]) -> impl Fn(u8, u64) -> Option<Hash> {
    move |level, index| {
        let (first, width) = ((index as usize) << level, 1 << level);
        leaves.get(first..first + width).map(naive_root)
    }
}

/// Leaf hashes that differ.
pub(crate) fn leaf_hashes(count: u64) -> Vec<Hash> {
    (0..count)
        .map(|number| leaf_hash(&number.to_be_bytes()))
        .collect()
}

/// A decision about one record, told apart by its number.
pub(crate) fn decision(number: u64) -> Leaf {
    let key = format!("01J{number:023}");
    let (minute, second) = (number / 60 % 60, number % 60);
    Leaf {
        kind: "decision.made".into(),
        time: format!("2026-11-22T10:{minute:02}:{second:02}.123456Z"),
        author: Author {
            kind: AuthorKind::Rules,
            id: "known_image@3".into(),
        },
        records: vec![Record {
            table: "decisions".into(),
            hash: commit(&[7; 16], key.as_bytes()),
            key,
        }],
        note: None,
    }
}
