//! Any lexicon and text: hits lie in the text and are the same without normalising all of it, a term is found in
//! itself, what is removed is not found, and the explanation of the text ends with its keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::Phrase;
use manara_signal::text::{
    EXPLAINED_MAX, Level, PhraseHit, PhraseIndex, Scope, TermOptions, explain, normalise,
};

/// Options from a byte, with two of the phrases as company.
fn options(bits: u8, near: Option<&Phrase>, not_near: Option<&Phrase>) -> TermOptions {
    let level = [Level::Strict, Level::Folded, Level::Aggressive, Level::Folded];
    let wanted = |bit: u8, phrase: Option<&Phrase>| phrase.filter(|_| bits & bit != 0).cloned();
    TermOptions {
        level: level[usize::from(bits & 3)],
        scope: if bits & 4 == 0 { Scope::Words } else { Scope::Substring },
        near: wanted(8, near).into_iter().collect(),
        not_near: wanted(16, not_near).into_iter().collect(),
        within: u16::from(bits >> 5) + 1,
    }
}

fn find(index: &PhraseIndex, text: &str) -> Vec<PhraseHit> {
    let mut hits = Vec::new();
    index.find(&normalise(text), &mut hits);
    let mut same = Vec::new();
    index.find_in(text, &mut same);
    assert_eq!(hits, same);
    for hit in &hits {
        assert!(text.get(hit.original.clone()).is_some_and(|part| !part.is_empty()), "{hit:?}");
    }
    hits
}

fuzz_target!(|input: (Vec<(u8, &str)>, &str)| {
    let (terms, text) = input;
    if text.len() <= EXPLAINED_MAX {
        assert_eq!(explain(text).last().map(|step| step.after.as_str()), Some(normalise(text).folded()));
    }
    let phrases: Vec<(u8, Phrase)> = terms
        .into_iter()
        .take(12)
        .filter_map(|(bits, phrase)| Some((bits, Phrase::parse(phrase).ok()?)))
        .collect();
    let mut index = PhraseIndex::new();
    let mut known = Vec::new();
    for ((bits, phrase), key) in phrases.iter().zip(0_u64..) {
        let options = options(*bits, phrases.first().map(|p| &p.1), phrases.last().map(|p| &p.1));
        if index.insert_with(key, phrase, &options).is_ok() {
            known.push((key, phrase, options));
        }
    }
    assert_eq!(index.len(), known.len());
    for hit in find(&index, text) {
        let known = known.iter().find(|(key, ..)| *key == hit.key).expect("a key that is there");
        assert!(hit.level <= known.2.level, "{hit:?}");
    }
    for (key, phrase, options) in &known {
        if options.near.is_empty() && options.not_near.is_empty() {
            let hits = find(&index, phrase.original());
            let said = hits.iter().any(|hit| hit.key == *key && hit.level == Level::Strict);
            assert!(said, "{phrase:?} {options:?} {hits:?}");
        }
    }
    while let Some((key, phrase, _)) = known.pop() {
        assert!(index.remove(key) && !index.remove(key));
        assert!(find(&index, phrase.original()).iter().all(|hit| hit.key != key));
    }
    assert!(index.is_empty() && find(&index, text).is_empty());
});
