//! Near-duplicate texts against HMA's `raw_text`: vectors made by `vectors/make_near_vectors.py`
//! with `threatexchange` 1.2.17 and `RapidFuzz` 3.14.6.

use manara_signal::near::{EditIndex, RawText};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    signal: String,
    text: String,
    normalised: String,
    edits: u32,
    matches: bool,
}

/// `threatexchange` keeps tatweel and the letter form of a final sigma; here both are folded.
#[test]
fn as_hma_normalises_and_matches() {
    let vectors = include_str!("vectors/raw_text.ndjson");
    let mut matched = 0;
    for line in vectors.lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let signal = RawText::parse(&vector.signal).unwrap();
        let normalised = vector.normalised.replace('ـ', "");
        assert_eq!(signal.normalised(), normalised, "{line}");

        let mut index = EditIndex::new();
        index.insert(1, &signal);
        let mut hits = Vec::new();
        let text = RawText::of_content(&vector.text).unwrap();
        index.query(&text, EditIndex::DISTANCE, &mut hits);
        assert_eq!(!hits.is_empty(), vector.matches, "{line}");
        if let [hit] = hits[..] {
            assert_eq!(hit.edits, vector.edits, "{line}");
            matched += 1;
        }
    }
    assert!(matched >= 70 && vectors.lines().count() - matched >= 70);
}
