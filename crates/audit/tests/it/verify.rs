//! The verifier names exactly what was changed: a log is written, altered in one way, and checked.

use manara_audit::verify::read_checkpoint;
use manara_audit::{
    Checkpoint, CheckpointError, Finding, Frontier, Hash, LogVerifier, NoteError, Record, Records,
    SigningKey, leaf_hash, sign_checkpoint,
};
use proptest::prelude::*;

use crate::common::{decision, leaf_hashes, naive_root};

const ORIGIN: &str = "forum.example/log";
const SIZE: u64 = 60;

/// A log as a store keeps it: numbered leaves with their hash beside them, and checkpoints.
#[derive(Clone)]
struct Log {
    leaves: Vec<(u64, Vec<u8>, Hash)>,
    checkpoints: Vec<Checkpoint>,
}

/// Sixty leaves, a checkpoint after every twenty.
fn log() -> Log {
    let mut log = Log {
        leaves: Vec::new(),
        checkpoints: Vec::new(),
    };
    let mut frontier = Frontier::new();
    for index in 0..SIZE {
        let data = decision(index).encode().expect("a leaf");
        let hash = leaf_hash(&data);
        frontier.push(hash);
        log.leaves.push((index, data, hash));
        if frontier.size().is_multiple_of(20) {
            log.checkpoints
                .push(Checkpoint::new(ORIGIN, frontier.size(), frontier.root()));
        }
    }
    log
}

fn findings(log: &Log) -> Vec<Finding> {
    let mut verifier = LogVerifier::new();
    for checkpoint in &log.checkpoints {
        verifier.expect_checkpoint(checkpoint.clone());
    }
    let mut findings = Vec::new();
    for (index, data, hash) in &log.leaves {
        match verifier.push(*index, data, *hash) {
            Ok(leaf) => assert_eq!(leaf.encode().as_ref(), Ok(data)),
            Err(finding) => findings.push(finding),
        }
        findings.append(&mut verifier.take_findings());
    }
    findings.append(&mut verifier.finish());
    findings
}

/// Alters the log and compares the messages, of which the hashes are cut out.
#[track_caller]
fn check(alter: impl FnOnce(&mut Log), expect: &[&str]) {
    let mut log = log();
    alter(&mut log);
    let messages: Vec<String> = findings(&log)
        .iter()
        .map(|finding| without_hashes(&finding.to_string()))
        .collect();
    assert_eq!(messages, expect);
}

fn without_hashes(message: &str) -> String {
    let is_hash = |word: &str| Hash::from_hex(word.trim_end_matches([',', ';'])).is_ok();
    let words = message
        .split(' ')
        .map(|word| if is_hash(word) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn rewrite(log: &mut Log, index: usize) {
    let data = decision(999).encode().expect("a leaf");
    log.leaves[index] = (index as u64, data.clone(), leaf_hash(&data));
}

const ALTERED_33: &str = "leaf 33 was altered: its bytes hash to # the hash kept beside them is #";

#[test]
fn an_untouched_log_has_no_findings() {
    check(|_| (), &[]);
    check(|log| log.checkpoints.clear(), &[]);
    check(
        |log| {
            let empty = Checkpoint::new(ORIGIN, 0, naive_root(&[]));
            log.checkpoints.insert(0, empty);
        },
        &[],
    );
    check(|log| log.checkpoints.extend_from_within(..), &[]);
}

/// The other reading of the leaf leads to the signed root, so nothing else is wrong.
#[test]
fn an_altered_leaf_is_named_and_the_rest_still_checked() {
    check(|log| log.leaves[33].1[100] ^= 4, &[ALTERED_33]);
    check(|log| log.leaves[33].2.0[7] ^= 4, &[ALTERED_33]);
    check(|log| log.leaves[33].1.clear(), &[ALTERED_33]);
    let mixed = |log: &mut Log| {
        log.leaves[33].1[100] ^= 4;
        for index in [21, 25, 39] {
            log.leaves[index].2.0[7] ^= 4;
        }
        log.leaves[50].1[0] ^= 1;
    };
    let named = |index| ALTERED_33.replace("33", index);
    let expect = [
        named("21"),
        named("25"),
        named("33"),
        named("39"),
        named("50"),
    ];
    check(mixed, &expect.each_ref().map(String::as_str));
}

#[test]
fn a_rewritten_leaf_is_found_between_its_checkpoints() {
    let root = |size, range| format!("root at size {size} is # checkpoint signed # {range}");
    let in_middle = "the difference is in one of leaves 20 to 39";
    let later = "the difference is in one of leaves 20 to 59";
    check(
        |log| rewrite(log, 33),
        &[&root(40, in_middle), &root(60, later)],
    );
    let at_start = "the difference is in one of leaves 0 to 19";
    check(
        |log| {
            rewrite(log, 0);
            log.checkpoints.truncate(1);
        },
        &[&root(20, at_start)],
    );
    // A checkpoint after each leaf narrows it down to one.
    check(
        |log| {
            log.checkpoints.truncate(1);
            let hashes: Vec<Hash> = log
                .leaves
                .iter()
                .take(21)
                .map(|(_, _, hash)| *hash)
                .collect();
            log.checkpoints
                .push(Checkpoint::new(ORIGIN, 21, naive_root(&hashes)));
            rewrite(log, 20);
        },
        &[&root(21, "the difference is in leaf 20")],
    );
}

#[test]
fn a_rewritten_checkpoint_differs_alone() {
    check(
        |log| log.checkpoints[1].root.0[0] ^= 1,
        &["root at size 40 is # checkpoint signed # the difference is in one of leaves 20 to 39"],
    );
}

#[test]
fn missing_leaves_are_named() {
    let uncheckable =
        |size, leaf| format!("checkpoint at size {size} cannot be checked, leaf {leaf} is missing");
    check(
        |log| drop(log.leaves.remove(33)),
        &[
            "leaf 33 is missing",
            &uncheckable(40, 33),
            &uncheckable(60, 33),
        ],
    );
    check(
        |log| drop(log.leaves.drain(30..45)),
        &[
            "leaves 30 to 44 are missing",
            &uncheckable(40, 30),
            &uncheckable(60, 30),
        ],
    );
    // Two gaps, and a leaf altered right after the second.
    check(
        |log| {
            log.leaves[51].1[9] ^= 1;
            log.leaves.remove(50);
            log.leaves.remove(0);
        },
        &[
            "leaf 0 is missing",
            &uncheckable(20, 0),
            &uncheckable(40, 0),
            "leaf 50 is missing",
            &ALTERED_33.replace("33", "51"),
            &uncheckable(60, 0),
        ],
    );
}

#[test]
fn a_shortened_log_is_noticed() {
    check(
        |log| log.leaves.truncate(59),
        &["the log ends after 59 leaves, a checkpoint was signed for 60"],
    );
    check(
        |log| log.leaves.clear(),
        &["the log ends after 0 leaves, a checkpoint was signed for 60"],
    );
}

#[test]
fn leaves_out_of_order_are_noticed() {
    check(
        |log| log.leaves.insert(34, log.leaves[33].clone()),
        &["leaf 33 is there twice or out of order: leaf 34 was next"],
    );
    let mut log = log();
    log.leaves.swap(33, 34);
    log.checkpoints.clear();
    assert_eq!(
        findings(&log),
        [
            Finding::LeafMissing { first: 33, end: 34 },
            Finding::LeafRepeated {
                index: 33,
                expected: 35
            },
        ]
    );
    let mut verifier = LogVerifier::new();
    for index in [u64::MAX, u64::MAX, 0] {
        assert!(verifier.push(index, b"", leaf_hash(b"")).is_err());
    }
}

#[test]
fn an_intact_leaf_that_says_nothing_is_named() {
    check(
        |log| {
            log.checkpoints.clear();
            log.leaves[3] = (3, b"{}".to_vec(), leaf_hash(b"{}"));
        },
        &["leaf 3 does not decode: not a leaf: expected {\"author\":{\"id\": at byte 0"],
    );
}

#[test]
fn checkpoints_can_be_checked_when_reached() {
    let log = log();
    let mut verifier = LogVerifier::new();
    assert_eq!(verifier.root(), Some(naive_root(&[])));
    for (index, data, hash) in &log.leaves {
        verifier.push(*index, data, *hash).expect("a leaf");
        for checkpoint in log.checkpoints.iter().filter(|c| c.size == index + 1) {
            assert_eq!(verifier.check_checkpoint(checkpoint), Ok(()));
            assert_eq!(verifier.check_checkpoint(checkpoint), Ok(()));
        }
    }
    assert_eq!(
        (verifier.size(), verifier.root()),
        (60, Some(log.checkpoints[2].root))
    );
    assert_eq!(
        verifier.check_checkpoint(&log.checkpoints[0]),
        Err(Finding::CheckpointLate { size: 20 })
    );
    let ahead = Checkpoint::new(ORIGIN, 61, leaf_hash(b""));
    assert_eq!(
        verifier.check_checkpoint(&ahead),
        Err(Finding::LogTooShort {
            size: 60,
            signed: 61
        })
    );
    // The root of the empty log does not depend on what follows, nor may what follows stand for it.
    let empty = Checkpoint::new(ORIGIN, 0, naive_root(&[]));
    assert_eq!(verifier.check_checkpoint(&empty), Ok(()));
    let forged = Checkpoint::new(ORIGIN, 0, log.checkpoints[2].root);
    assert!(matches!(
        verifier.check_checkpoint(&forged),
        Err(Finding::RootDiffers { size: 0, .. })
    ));
}

proptest! {
    /// Many altered leaves at once: each is named, none besides, and time and memory stay bounded.
    #[test]
    fn every_altered_leaf_is_named(marks in proptest::collection::vec(0_u8..6, SIZE as usize)) {
        let mut log = log();
        log.checkpoints.clear();
        let mut expected = Vec::new();
        for ((index, data, hash), mark) in log.leaves.iter_mut().zip(&marks) {
            match mark {
                0 => data[20] ^= 1,
                1 => hash.0[20] ^= 1,
                _ => continue,
            }
            expected.push(*index);
        }
        let named: Vec<u64> = findings(&log)
            .iter()
            .filter_map(|finding| match finding {
                Finding::LeafAltered { index, .. } => Some(*index),
                _ => None,
            })
            .collect();
        prop_assert_eq!(named, expected);
    }

    /// One bit anywhere in what is stored of a leaf names that leaf and nothing else.
    #[test]
    fn one_flipped_bit_names_its_leaf(index in 0..SIZE, at in any::<usize>(), bit in 0..8_u8) {
        let mut log = log();
        let (_, data, hash) = &mut log.leaves[index as usize];
        let at = at % (data.len() + 32);
        match data.get_mut(at) {
            Some(byte) => *byte ^= 1 << bit,
            None => hash.0[at % 32] ^= 1 << bit,
        }
        let found = findings(&log);
        prop_assert!(
            matches!(found[..], [Finding::LeafAltered { index: found, .. }] if found == index),
            "{found:?}"
        );
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32], ORIGIN).expect("a key")
}

#[test]
fn a_stored_checkpoint_is_read_with_any_of_the_keys() {
    let checkpoint = Checkpoint::new(ORIGIN, 5, leaf_hash(b""));
    let note = sign_checkpoint(&checkpoint, &key(1)).expect("a note");
    let (old, new) = (key(1).verifying_key(), key(2).verifying_key());
    assert_eq!(
        read_checkpoint(5, &note, &[new.clone(), old.clone()]),
        Ok(checkpoint)
    );
    let not_signed = |found: Result<Checkpoint, Finding>| found.expect_err("refused").to_string();
    assert_eq!(
        not_signed(read_checkpoint(5, &note, std::slice::from_ref(&new))),
        format!(
            "checkpoint at size 5 is not signed by key {new}: \
             the checkpoint's note is not accepted: no signature is by key {new}"
        )
    );
    assert!(matches!(
        read_checkpoint(5, "no note", &[old.clone(), new]),
        Err(Finding::CheckpointNotSigned {
            size: 5,
            reason: CheckpointError::Note(NoteError::Unsigned),
            ..
        })
    ));
    assert!(matches!(
        read_checkpoint(5, &note, &[]),
        Err(Finding::CheckpointNotSigned { size: 5, .. })
    ));
    assert_eq!(
        read_checkpoint(6, &note, &[old]),
        Err(Finding::CheckpointMisplaced { size: 6, signed: 5 })
    );
}

#[test]
fn rows_are_compared_with_their_last_leaf() {
    let [first, second, third] = leaf_hashes(3)[..] else {
        panic!("three hashes")
    };
    let record = |table: &str, key: &str, hash| Record {
        table: table.into(),
        key: key.into(),
        hash,
    };
    let mut records = Records::new();
    records.logged(4, &record("cases", "c-1", first));
    records.logged(4, &record("cases", "c-2", first));
    records.logged(5, &record("cases", "c-1", second));
    records.logged(6, &record("cases", "c-3", first));
    records.logged(7, &record("cases", "c-3", Record::ERASED));
    records.logged(8, &record("cases", "c-4", Record::ERASED));
    records.logged(9, &record("banks", "c-1", third));
    records.logged(9, &record("banks", "gone", third));

    let message = |found: Result<(), Finding>| found.expect_err("a finding").to_string();
    assert_eq!(records.found("cases", "c-1", second), Ok(()));
    assert_eq!(
        message(records.found("cases", "c-1", first)),
        format!(
            "record cases/c-1 does not match leaf 5: \
             it commits to {first}, the leaf says {second}"
        )
    );
    assert_eq!(records.found("banks", "c-1", third), Ok(()));
    assert_eq!(
        message(records.found("cases", "c-9", first)),
        "record cases/c-9 has no leaf"
    );
    assert_eq!(
        message(records.found("cases", "«راية»\u{1b}[2J\u{202e}", first)),
        r"record cases/«راية»\u{1b}[2J\u{202e} has no leaf"
    );
    assert_eq!(
        message(records.found("keys", "c-1", first)),
        "record keys/c-1 has no leaf"
    );
    assert_eq!(
        message(records.found("cases", "c-3", first)),
        "record cases/c-3 was erased by leaf 7 and is there"
    );
    let left: Vec<String> = records
        .finish()
        .map(|finding| finding.to_string())
        .collect();
    assert_eq!(
        left,
        [
            "record banks/gone named by leaf 9 is gone",
            "record cases/c-2 named by leaf 4 is gone"
        ]
    );
}
