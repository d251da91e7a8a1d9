//! The keys of a name, by which it is looked up, each with the steps that led to it.

use super::fold::fold;
use super::stem::{Stem, WEIGHT_MIN, stems, weight};
use super::translit::{Spoken, spoken};
use std::fmt;

/// What a name is compared by.
///
/// ```
/// use manara_signal::name::Name;
/// let name = Name::parse("@Gr3y_Bannеr_18")?; // The second е is Cyrillic.
/// assert_eq!(name.keys().folded(), "gr3ybanner18");
/// assert_eq!(name.keys().stem(), Some("greybaner"));
/// let steps: Vec<String> = name.keys().steps().iter().map(ToString::to_string).collect();
/// assert_eq!(
///     steps,
///     ["letters: gr3ybanner18", "counter: 18", "stem: greybaner (i as l, doubled letters once)", "sounds: krbnr"]
/// );
/// # Ok::<(), manara_signal::name::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameKeys {
    text: Box<str>,
    folded: String,
    /// What is written for the folded letters, where letters of other scripts are.
    written: Option<String>,
    stems: Vec<(Stem, Option<Spoken>)>,
}

/// One step from a name to its keys, for people to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStep {
    /// What was done.
    pub name: &'static str,
    /// What came of it.
    pub result: String,
}

impl fmt::Display for KeyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.result)
    }
}

impl NameKeys {
    pub(super) fn of(text: &str) -> Self {
        let folded = fold(text);
        let stems = stems(&folded).into_iter().map(|stem| {
            let spoken = spoken(&stem.words);
            (stem, spoken)
        });
        Self {
            text: text.into(),
            folded: folded.letters(),
            written: folded.written(),
            stems: stems.collect(),
        }
    }

    /// The name without `@` before it and space around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its letters and digits in the normaliser's folded key, without separators.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// What is left without counters and added words, look-alikes and digits inside words read as
    /// letters, doubled letters once, `i` as `l`; none when that is under four letters.
    pub fn stem(&self) -> Option<&str> {
        let (first, _) = self.stems.first()?;
        (weight(&first.letters) >= WEIGHT_MIN).then_some(first.key.as_str())
    }

    /// The consonants it is said with, for names in Arabic or Latin letters, of every reading.
    pub fn sounds(&self) -> impl Iterator<Item = &str> {
        let spoken = self.stems.iter().filter_map(|(_, spoken)| spoken.as_ref());
        spoken.flat_map(|spoken| spoken.readings.iter().map(|r| r.consonants.as_str()))
    }

    /// How the keys came about, in order.
    pub fn steps(&self) -> Vec<KeyStep> {
        let step = |name, result: &str| KeyStep {
            name,
            result: result.to_owned(),
        };
        let mut steps = vec![step("letters", &self.folded)];
        if let Some((stem, _)) = self.stems.first() {
            steps.extend(stem.counters.iter().map(|counter| step("counter", counter)));
            for added in &stem.added {
                steps.push(step(
                    "added word",
                    &format!("{} ({})", added.word, added.kind),
                ));
            }
        }
        if let Some(stem) = self.stem() {
            steps.push(step(
                "stem",
                &format!("{stem} (i as l, doubled letters once)"),
            ));
        }
        steps.extend(self.sounds().map(|sounds| step("sounds", sounds)));
        steps
    }

    /// What is written for [`NameKeys::folded`], letter by letter.
    pub(super) fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.folded)
    }

    pub(super) fn stems(&self) -> &[(Stem, Option<Spoken>)] {
        &self.stems
    }
}
