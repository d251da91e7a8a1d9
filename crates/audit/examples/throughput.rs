//! How fast one core writes and checks a log in memory: `cargo run --release --example throughput`.
//!
//! Writing is what one event costs: encode the leaf, hash it, push it onto the frontier. Checking
//! is what `audit verify` costs: hash, push, decode, and take note of the record.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use manara_audit::{
    Author, AuthorKind, Checkpoint, Frontier, Leaf, LogVerifier, Record, Records, SigningKey,
    commit, leaf_hash, open_checkpoint, sign_checkpoint,
};

const LEAVES: u64 = 1_000_000;
const ORIGIN: &str = "forum.example/log";

fn main() -> Result<(), Box<dyn Error>> {
    let leaves: Vec<Leaf> = (0..LEAVES).map(leaf).collect();
    let mut log = Vec::new();
    let mut frontier = Frontier::new();
    timed("encode + hash + push", || {
        for leaf in &leaves {
            let data = leaf.encode()?;
            let hash = leaf_hash(&data);
            frontier.push(hash);
            log.push((data, hash));
        }
        Ok(())
    })?;
    let (mut verifier, mut records) = (LogVerifier::new(), Records::new());
    timed("verify + note records", || {
        for (index, (data, hash)) in (0..).zip(&log) {
            for record in verifier.push(index, data, *hash)?.records {
                records.logged(index, &record);
            }
        }
        Ok(())
    })?;
    timed("commit to a row", || {
        for leaf in &leaves {
            for record in &leaf.records {
                std::hint::black_box(commit(&[7; 16], record.key.as_bytes()));
            }
        }
        Ok(())
    })?;
    let key = SigningKey::from_seed([42; 32], ORIGIN)?;
    let note = sign_checkpoint(&Checkpoint::new(ORIGIN, LEAVES, frontier.root()), &key)?;
    verifier.check_checkpoint(&open_checkpoint(&note, &key.verifying_key())?)?;
    let bytes: usize = log.iter().map(|(data, _)| data.len()).sum();
    writeln!(
        std::io::stdout(),
        "{} bytes per leaf; the checkpoint holds",
        bytes / log.len()
    )?;
    Ok(())
}

fn timed(
    what: &str,
    work: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    work()?;
    let seconds = start.elapsed().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{what:>22}: {:>9.0} leaves/s",
        LEAVES as f64 / seconds
    )?;
    Ok(())
}

/// A decision with the two records the hot path writes.
fn leaf(number: u64) -> Leaf {
    let record = |table: &str| {
        let key = format!("01J{number:023}");
        Record {
            table: table.into(),
            hash: commit(&[7; 16], key.as_bytes()),
            key,
        }
    };
    Leaf {
        kind: "decision.made".into(),
        time: "2026-11-22T10:15:00.123456Z".into(),
        author: Author {
            kind: AuthorKind::Rules,
            id: "known_image@3".into(),
        },
        records: vec![record("events"), record("decisions")],
        note: None,
    }
}
