//! Near-duplicate texts: lookups answer what comparing with every member would, whatever is removed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::language::identify;
use manara_signal::near::{EditHit, EditIndex, RawText, ShingleIndex, Shingles, Tlsh};

/// The table of the textbook, row by row.
fn edits(a: &str, b: &str) -> u32 {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<u32> = (0..=b.len() as u32).collect();
    for c in a.chars() {
        let mut diagonal = row[0];
        row[0] += 1;
        for (at, other) in b.iter().enumerate() {
            let best = (diagonal + u32::from(c != *other)).min(row[at].min(row[at + 1]) + 1);
            diagonal = std::mem::replace(&mut row[at + 1], best);
        }
    }
    row[b.len()]
}

fuzz_target!(|input: (u8, u8, &str)| {
    let (percent, removed, text) = input;
    let parts: Vec<&str> = text.split('\n').take(12).collect();
    let (mut index, mut shingled) = (EditIndex::new(), ShingleIndex::new());
    let mut members = Vec::new();
    for (part, key) in parts.iter().zip(0_u64..) {
        assert!((0.0..=1.0).contains(&identify(part).confidence));
        let _ = Tlsh::of(part).map(|hash| assert_eq!(hash.distance(&hash), 0));
        if let Ok(shingles) = Shingles::of(part) {
            shingled.insert(key, &shingles);
        }
        if let Ok(text) = RawText::parse(part) {
            index.insert(key, &text);
            members.push((key, text));
        }
    }
    let removed = u64::from(removed % 12);
    index.remove(removed);
    shingled.remove(removed);
    members.retain(|(key, _)| *key != removed);
    let percent = u32::from(percent % 40);
    for part in parts {
        if let Ok(shingles) = Shingles::of(part) {
            let mut hits = Vec::new();
            shingled.query(&shingles, percent, &mut hits);
            assert!(hits.iter().all(|hit| hit.distance <= percent && hit.key != removed));
        }
        let Ok(text) = RawText::parse(part) else { continue };
        let mut hits = Vec::new();
        index.query(&text, percent, &mut hits);
        let expect = members.iter().filter_map(|(key, member)| {
            let (length, edits) = (member.letters(), edits(member.normalised(), text.normalised()));
            (edits * 100 <= percent.min(30) * length).then_some(EditHit {
                key: *key,
                edits,
                length,
                distance: (100 * edits).div_ceil(length),
            })
        });
        assert_eq!(hits, expect.collect::<Vec<_>>());
    }
});
