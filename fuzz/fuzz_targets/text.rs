//! Any text: its keys lead back to it, and the strict key is settled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::text::normalise;
use manara_signal::url::find_links;

fuzz_target!(|text: &str| {
    let once = normalise(text);
    for (at, c) in once.folded().char_indices() {
        let span = once.folded.original_span(at, at + c.len_utf8());
        assert!(text.get(span).is_some_and(|part| !part.is_empty()));
    }
    if !once.truncated {
        assert_eq!(normalise(once.strict()).strict(), once.strict());
    }
    for link in find_links(text) {
        assert!(text.get(link.original).is_some());
    }
});
