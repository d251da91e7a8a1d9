//! Two names: they read back, compare alike both ways, and the index agrees with the comparison.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::Phrase;
use manara_signal::name::{Name, NameIndex, SloganIndex, as_text, compare};

fuzz_target!(|texts: (&str, &str)| {
    let (a, b) = texts;
    slogans(a, b);
    let (Ok(a), Ok(b)) = (Name::parse(a), Name::parse(b)) else {
        return;
    };
    assert_eq!(Name::parse(a.original()).as_ref(), Ok(&a));
    let there = compare(&a, &b);
    let back = compare(&b, &a).map(|comparison| comparison.score);
    assert_eq!(there.as_ref().map(|comparison| comparison.score), back);
    let mut index = NameIndex::new();
    index.insert(1, &a);
    let mut hits = Vec::new();
    index.find(&b, 0, &mut hits);
    let found = hits.pop().map(|hit| (hit.score, hit.reasons));
    assert_eq!(found, there.map(|comparison| (comparison.score, comparison.reasons)));
    assert!(index.remove(1) && index.is_empty());
});

fn slogans(name: &str, phrase: &str) {
    let text = as_text(name);
    for (at, c) in text.text().char_indices().filter(|(_, c)| *c != ' ') {
        let span = text.original_span(at..at + c.len_utf8());
        assert_eq!(name.get(span).map(str::len), Some(c.len_utf8()));
    }
    let Ok(phrase) = Phrase::parse(phrase) else {
        return;
    };
    let mut index = SloganIndex::new();
    index.insert(1, &phrase);
    let mut hits = Vec::new();
    index.find(name, &mut hits);
    for hit in hits {
        assert!(name.get(hit.original).is_some_and(|part| !part.is_empty()));
    }
}
