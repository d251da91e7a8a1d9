//! Letters that look like others, by Unicode's table of confusable characters (UTS 39).

use std::collections::HashMap;
use std::sync::LazyLock;
use unicode_security::confusable_detection::skeleton;

/// The letters of host names by their skeletons, which may be longer: `m` has the skeleton `rn`.
static PLAIN: LazyLock<HashMap<String, char>> = LazyLock::new(|| {
    // The digits last, and the letters in reverse: where two share a skeleton, the letter is meant.
    let letters = ('0'..='9').chain(('a'..='z').rev()).chain(['-', 'l', 'o']);
    letters
        .map(|c| (skeleton(c.encode_utf8(&mut [0; 4])).collect(), c))
        .collect()
});

/// The ASCII letter or digit that another character looks like.
pub(super) fn imitated(c: char) -> Option<char> {
    if c.is_ascii() {
        return None;
    }
    let whole: String = skeleton(c.encode_utf8(&mut [0; 4])).collect();
    // The table leads some letters to capitals, which host names do not have.
    PLAIN
        .get(&whole)
        .or_else(|| PLAIN.get(&whole.to_ascii_lowercase()))
        .copied()
}

/// The skeleton of a text: two texts that look alike have the same.
pub(super) fn skeleton_of(text: &str) -> String {
    skeleton(text).collect()
}
