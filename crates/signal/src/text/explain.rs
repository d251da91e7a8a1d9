//! What each step of normalising made of a text, for people who ask why a phrase was found.
//!
//! [`normalise`] takes all steps at once, character by character. Here they are taken one after the
//! other over the whole text, slowly and plainly; what the strict and folded keys are at the end is
//! what [`normalise`] says.

use super::chars::{self, Kind, TATWEEL, entry};
use super::key::Evasion;
use super::normalise::{MARKS_MAX, Normalised, normalise};
use super::term::Level;
use icu_casemap::CaseMapper;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

/// Bytes of a text that [`explain`] looks at, at most; it stops at a character boundary.
pub const EXPLAINED_MAX: usize = 4 * 1024;

/// A step of normalising that changed a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NormalisationStep {
    /// Which step, in the words of the table in the [module](crate::text).
    pub name: &'static str,
    /// The level whose key it belongs to: [`Level::Strict`] or [`Level::Folded`].
    pub level: Level,
    /// The text after it.
    pub after: String,
}

/// The steps that change the first [`EXPLAINED_MAX`] bytes of a text, in order. The first, `as
/// written`, is always there; the last of level strict has the strict key and the last of all the
/// folded key, as [`normalise`] gives them.
///
/// Steps work into each other's hands in rare places, such as a mark that a letter takes in only once
/// the tatweel between them is gone. What a key has then beyond the steps named before is a last step
/// `settled`.
///
/// ```
/// use manara_signal::text::explain;
/// let steps = explain("Ｇr\u{200b}èy b a n n e r!");
/// let said: Vec<_> = steps.iter().map(|step| (step.name, step.after.as_str())).collect();
/// assert_eq!(
///     said,
///     [
///         ("as written", "Ｇr\u{200b}èy b a n n e r!"),
///         ("invisible characters", "Ｇrèy b a n n e r!"),
///         ("NFKC", "Grèy b a n n e r!"),
///         ("case folding", "grèy b a n n e r!"),
///         ("marks", "grey b a n n e r!"),
///         ("spacing", "grey banner!"),
///     ]
/// );
/// ```
pub fn explain(text: &str) -> Vec<NormalisationStep> {
    let end = text.floor_char_boundary(EXPLAINED_MAX);
    let text = text.get(..end).unwrap_or_default();
    let normalised = normalise(text);
    let mut steps = Steps(vec![NormalisationStep {
        name: "as written",
        level: Level::Strict,
        after: text.to_owned(),
    }]);
    steps.strict(&normalised);
    steps.folded(&normalised);
    steps.0
}

struct Steps(Vec<NormalisationStep>);

impl Steps {
    fn strict(&mut self, normalised: &Normalised) {
        self.add("invisible characters", Level::Strict, visible);
        self.add("NFKC", Level::Strict, compatible);
        self.add("case folding", Level::Strict, case_folded);
        self.add("tatweel", Level::Strict, without_tatweel);
        self.add("digits", Level::Strict, ascii_digits);
        self.add("settled", Level::Strict, |_| normalised.strict().to_owned());
    }

    fn folded(&mut self, normalised: &Normalised) {
        let plain = normalised.plain().text();
        self.add("marks", Level::Folded, without_marks);
        self.add("interchangeable letters", Level::Folded, interchanged);
        // Before a look-alike is read as another letter, there is nothing but this to compare with.
        let name = if has_look_alikes(normalised) {
            "look-alikes"
        } else {
            "settled"
        };
        self.add(name, Level::Folded, |_| plain.to_owned());
        self.add("spacing", Level::Folded, |_| joined(normalised));
        self.add("elongation", Level::Folded, |_| {
            normalised.folded().to_owned()
        });
    }

    /// Adds what a step makes of the text so far, if that is another.
    fn add(&mut self, name: &'static str, level: Level, step: impl FnOnce(&str) -> String) {
        let before = self.0.last().map_or("", |last| last.after.as_str());
        let after = step(before);
        if after != before {
            self.0.push(NormalisationStep { name, level, after });
        }
    }
}

fn has_look_alikes(normalised: &Normalised) -> bool {
    normalised.evasions.look_alikes > 0
}

/// Without what nobody sees, but with the joiners inside emoji; tatweel is seen.
fn visible(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut after_emoji = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let hidden = entry(c).kind == Kind::Hidden && !is_tatweel(c);
        let joins =
            c == chars::JOINER && after_emoji && chars.peek().is_some_and(|next| is_emoji(*next));
        if !hidden || joins {
            kept.push(c);
            after_emoji = is_emoji(c);
        }
    }
    kept
}

fn is_emoji(c: char) -> bool {
    entry(c).kind == Kind::Emoji
}

fn is_tatweel(c: char) -> bool {
    matches!(c, TATWEEL | '\u{7fa}')
}

fn compatible(text: &str) -> String {
    let mut spelt = String::with_capacity(text.len());
    for c in text.chars() {
        match chars::isolated_mark(c).or_else(|| chars::spelt_out(c)) {
            Some(text) => spelt.push_str(text),
            None => spelt.push(c),
        }
    }
    // What is removed as invisible includes what some characters stand for.
    visible(&spelt.nfkc().collect::<String>())
}

fn case_folded(text: &str) -> String {
    let folded = CaseMapper::new().fold_string(text);
    visible(&folded.nfkc().collect::<String>())
}

fn without_tatweel(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !is_tatweel(*c)).collect();
    if kept.len() == text.len() {
        return kept;
    }
    // What it parted comes together.
    kept.nfkc().collect()
}

fn ascii_digits(text: &str) -> String {
    text.chars().map(|c| chars::digit(c).unwrap_or(c)).collect()
}

fn without_marks(text: &str) -> String {
    let mut in_a_row = 0;
    let kept = text.chars().filter_map(|c| {
        let entry = entry(c);
        if matches!(entry.kind, Kind::Mark | Kind::Vowel) {
            in_a_row += 1;
            return (!chars::is_dropped_mark(c) && in_a_row <= MARKS_MAX).then_some(c);
        }
        in_a_row = 0;
        let accented = entry.folding == Some(Evasion::Diacritic);
        Some(if accented { chars::unaccented(c) } else { c })
    });
    kept.collect()
}

fn interchanged(text: &str) -> String {
    let plain = |c: char| match entry(c).kind {
        Kind::Letter | Kind::Alone => entry(c).plain,
        _ => c,
    };
    text.chars().map(plain).collect()
}

/// The plain key without what parts letters set apart.
fn joined(normalised: &Normalised) -> String {
    let plain = normalised.plain();
    let mut text = String::with_capacity(plain.text().len());
    let mut from = 0;
    for group in normalised.spaced() {
        let letters = normalised.buffered(group.text);
        let words = normalised.words().iter().skip(group.from as usize);
        let mut words = words.take(letters.chars().count()).peekable();
        while let (Some(word), Some(next)) = (words.next(), words.peek()) {
            text.push_str(plain.slice((from, word.plain.1)));
            from = next.plain.0;
        }
    }
    text.push_str(plain.slice((from, plain.len())));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The names of the steps, without the first.
    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let steps = explain(text);
        let names: Vec<&str> = steps.iter().skip(1).map(|step| step.name).collect();
        assert_eq!(names, expect, "{steps:#?}");
        check_ends(text).unwrap();
    }

    fn check_ends(text: &str) -> Result<(), TestCaseError> {
        let steps = explain(text);
        let normalised = normalise(&text[..text.floor_char_boundary(EXPLAINED_MAX)]);
        let strict = steps.iter().rfind(|step| step.level == Level::Strict);
        let folded = steps.last();
        prop_assert_eq!(
            strict.map(|step| step.after.as_str()),
            Some(normalised.strict())
        );
        prop_assert_eq!(
            folded.map(|step| step.after.as_str()),
            Some(normalised.folded())
        );
        for pair in steps.windows(2) {
            prop_assert!(pair[0].level <= pair[1].level && pair[0].after != pair[1].after);
        }
        Ok(())
    }

    #[test]
    fn each_step_has_its_name() {
        check("plain words", &[]);
        check("", &[]);
        check("gr\u{200b}ey", &["invisible characters"]);
        check("gr\u{202e}ey", &["invisible characters"]);
        check("ｇｒｅｙ", &["NFKC"]);
        check("ﷺ", &["NFKC", "interchangeable letters"]);
        check("\u{fdfd}", &["NFKC"]);
        check("GREY", &["case folding"]);
        check("Straße", &["case folding"]);
        check("رايـــه", &["tatweel"]);
        check("٣٤", &["digits"]);
        check("الرَّماد", &["marks"]);
        check("grèy йё", &["marks"]);
        check("راية الأعلى", &["interchangeable letters"]);
        check("ɢʀᴇʏ łow", &["interchangeable letters"]);
        check("grеу banner", &["look-alikes"]);
        check("j.o.i.n us", &["spacing"]);
        check("bannnner", &["elongation"]);
        check("j o i n nowwww", &["spacing", "elongation"]);
        check("👨\u{200d}👩 \u{2764}\u{fe0f}", &["invisible characters"]);
        check("👨\u{200d}👩", &[]);
    }

    #[test]
    fn a_long_text_is_explained_from_its_beginning() {
        let text = "Ab".repeat(EXPLAINED_MAX);
        let steps = explain(&text);
        assert_eq!(steps[1].after, "ab".repeat(EXPLAINED_MAX / 2));
        check_ends(&"ب".repeat(EXPLAINED_MAX)).unwrap();
        check_ends(&format!("a{}", "ب".repeat(EXPLAINED_MAX))).unwrap();
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => "[a-zA-Z0-9]{1,4}",
            2 => "[ا-يأإآةى]{1,4}",
            1 => "[а-яА-Я]{1,3}",
            1 => "[α-ωΑ-Ω]{1,3}",
            2 => "[ .,_*|-]{1,2}",
            2 => "([a-zб] ){3,6}|o{3,5}",
            1 => "[\u{200b}-\u{200f}\u{640}\u{64b}-\u{655}\u{300}-\u{310}\u{fe0f}]{1,3}",
            1 => "[ﭐ-ﷻﹰ-ﻼ！-ﾟ]{1,2}",
            1 => "[旗あア한\u{1100}\u{1161}\u{11a8}ไ🏴👨👩🇪🏿]{1,2}",
            1 => "\\PC{1,3}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn the_last_steps_have_the_keys(text in hostile(), any: String) {
            check_ends(&text)?;
            check_ends(&any)?;
        }

        // Words and marks as people write them never need the step that has no name of its own.
        #[test]
        fn ordinary_words_are_explained_in_full(text in "([a-zA-Zéèüñçß]{1,6}|[ا-غف-ي]{1,6}[\u{64b}-\u{652}]?|[а-яёА-ЯЁ]{1,6}|[ｇ-ｚ]{1,3}|[ﹰ-ﻼ]|[0-9٠-٩۰-۹]{1,3}|[ .,!]|\u{200b}){0,12}") {
            let names: Vec<&str> = explain(&text).iter().map(|step| step.name).collect();
            prop_assert!(!names.contains(&"settled"), "{names:?}");
        }
    }
}
