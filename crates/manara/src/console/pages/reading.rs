//! How a text was read where it matched: the passage with the part that matched, what each step made of
//! it, and beside it what the member says. Worked out when the page is asked for, of a short passage.

use crate::console::text::{self, Html};
use crate::matcher::explain::{self, Keys, MarkedKeys};
use crate::scan::Excerpt;
use manara_model::{Event, Match, Member, Span};
use manara_signal::language::identify;
use manara_signal::text::{Level, NormalisationStep, Phrase, PhraseHit, normalise};
use manara_signal::{CanonicalUrl, Signal, SignalType, Wallet};

/// Longest value of a step or fact, in characters.
const VALUE_CHARACTERS: usize = 400;
/// Bytes shown of a text that matched as a whole.
const WHOLE_BYTES: usize = 320;

/// How a match came about, step by step.
pub(super) struct ReadingView {
    pub(super) rows: Vec<StepRow>,
    pub(super) hint: &'static str,
}

/// A step, and what it made of the event and of the member.
pub(super) struct StepRow {
    pub(super) name: String,
    /// Which key this is, if it is one.
    pub(super) key: &'static str,
    pub(super) here: Option<Html>,
    pub(super) member: Option<Html>,
}

impl StepRow {
    fn new(name: impl Into<String>, here: Html) -> Self {
        Self {
            name: name.into(),
            key: "",
            here: Some(here),
            member: None,
        }
    }

    fn beside(self, member: Html) -> Self {
        Self {
            member: Some(member),
            ..self
        }
    }
}

/// How the text of a match was read; `None` for media, which nobody sees unasked.
pub(super) fn reading(event: &Event, found: &Match, member: &Member) -> Option<ReadingView> {
    let text = event.text_at(&found.field)?;
    let mut view = match &member.signal {
        Signal::Text(phrase) if found.signal_type == SignalType::Text => {
            of_phrase(text, found, member, phrase)
        }
        signal => of_signal(text, found, signal),
    };
    let is_of_text = matches!(
        found.signal_type,
        SignalType::Text | SignalType::RawText | SignalType::SimilarText | SignalType::TextTlsh
    );
    if is_of_text && found.field == "content.text" {
        let language = text::inline(&language_words(text));
        view.rows
            .push(StepRow::new("Language of the text", language));
    }
    Some(view)
}

fn of_phrase(text: &str, found: &Match, member: &Member, phrase: &Phrase) -> ReadingView {
    let passage = passage(text, found.span);
    let normalised = normalise(&passage.text);
    let marked = MarkedKeys::of(&normalised, passage.span);
    let steps = Keys::of(&passage.text, &normalised).steps;
    let mut rows = vec![as_posted(&passage, true).beside(short(phrase.original()))];
    rows.extend(steps.iter().map(|step| {
        let name = step_words(step.name);
        StepRow::new(name, text::cut(&step.after, &[], passage.cut))
    }));
    if steps.is_empty() {
        let (key, part) = &marked.folded;
        let here = text::cut(key, &[*part], passage.cut);
        let row = StepRow::new("Nothing had to be undone", here);
        rows.push(StepRow {
            key: "strict and folded key",
            ..row.beside(short(phrase.folded()))
        });
    } else {
        name_keys(&mut rows, &steps, &marked, &passage, phrase);
    }
    let hit = hit_at(phrase, member, &normalised, passage.span);
    if let Some(read) = hit.as_ref().and_then(|hit| hit.read.as_deref()) {
        rows.push(StepRow::new(
            "The marked part was read as",
            text::inline(read),
        ));
    }
    ReadingView {
        rows,
        hint: hit.map_or("", |hit| level_words(hit.level)),
    }
}

/// Says at which steps the keys were done, with the part that matched marked in them.
fn name_keys(
    rows: &mut [StepRow],
    steps: &[NormalisationStep],
    marked: &MarkedKeys,
    passage: &Excerpt,
    phrase: &Phrase,
) {
    let strict = steps.iter().filter(|step| step.level == Level::Strict);
    for (at, key, (value, part), of_member) in [
        (
            strict.count(),
            "strict key",
            &marked.strict,
            phrase.strict(),
        ),
        (steps.len(), "folded key", &marked.folded, phrase.folded()),
    ] {
        let Some(row) = rows.get_mut(at) else {
            continue;
        };
        row.key = match row.key {
            "" => key,
            _ => "strict and folded key",
        };
        // The first row stays as it was posted, which is what the key is then.
        if at > 0 {
            row.here = Some(text::cut(value, &[*part], passage.cut));
            row.member = Some(short(of_member));
        }
    }
}

/// The hit of a phrase in a passage that stands where the match does.
fn hit_at(
    phrase: &Phrase,
    member: &Member,
    passage: &manara_signal::text::Normalised,
    part: Span,
) -> Option<PhraseHit> {
    let hits = explain::phrase_hits(phrase, &member.settings.term, passage);
    let here = |hit: &PhraseHit| hit.original.start < part.end && part.start < hit.original.end;
    hits.into_iter().find(here)
}

fn of_signal(text: &str, found: &Match, signal: &Signal) -> ReadingView {
    let passage = passage(text, found.span);
    let encoded = short(&signal.encode());
    let mut rows = vec![as_posted(&passage, found.span.is_some()).beside(encoded)];
    let here = explain::written(text, found.span, found.signal_type);
    if let Some((_, undone)) = here.as_ref().filter(|(_, undone)| !undone.is_empty()) {
        rows.push(StepRow::new("Undone", text::inline(&undone_words(undone))));
    }
    let facts = here.map_or_else(Vec::new, |(signal, _)| explain::facts(&signal));
    rows.extend(side_by_side(&facts, &explain::facts(signal)));
    ReadingView { rows, hint: "" }
}

/// Facts of both, those of one name in one row.
fn side_by_side(here: &[(String, String)], member: &[(String, String)]) -> Vec<StepRow> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in here.iter().chain(member) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let of = |facts: &[(String, String)], name: &str| {
        let own = facts.iter().filter(|(known, _)| known == name);
        let values: Vec<&str> = own.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| short(&values.join("; ")))
    };
    let row = |name: &str| StepRow {
        name: fact_words(name),
        key: "",
        here: of(here, name),
        member: of(member, name),
    };
    names.into_iter().map(row).collect()
}

/// The passage in which a match stands, or the beginning of a text that matched as a whole.
fn passage(text: &str, part: Option<Span>) -> Excerpt {
    let beginning = Span {
        start: 0,
        end: WHOLE_BYTES,
    };
    Excerpt::of(text, part.unwrap_or(beginning))
}

fn as_posted(passage: &Excerpt, is_part: bool) -> StepRow {
    let marks = [passage.span];
    let marks = if is_part { &marks[..] } else { &[] };
    StepRow::new("As posted", text::cut(&passage.text, marks, passage.cut))
}

fn short(value: &str) -> Html {
    text::excerpt(value, &[], VALUE_CHARACTERS)
}

/// What a signal is compared as, and what its form tells.
pub(super) fn fact_rows(signal: &Signal) -> Vec<(String, Html)> {
    let facts = explain::facts(signal).into_iter();
    facts
        .map(|(name, value)| (fact_words(&name), short(&value)))
        .collect()
}

/// What an address says about itself, in a line each.
pub(super) fn link_words(link: &str) -> Vec<Html> {
    let url = match CanonicalUrl::parse(link) {
        Ok(url) => url,
        Err(_) if Wallet::parse(link).is_ok() => return Vec::new(),
        Err(error) => return vec![text::inline(&format!("Not compared with banks: {error}."))],
    };
    let facts = explain::link_facts(&url.facts());
    let line = |(name, value): &(String, String)| match name.as_str() {
        "fact" => text::inline(&super::typed::sentence(value)),
        name => text::inline(&format!("{}: {value}", fact_words(name))),
    };
    facts.iter().map(line).collect()
}

/// The language of a text in words, and when it cannot be told, why.
pub(super) fn language_words(text: &str) -> String {
    let language = identify(text);
    match language_name(language.code) {
        Some(name) => name.to_owned(),
        None if language.code == "und" => format!("not told with certainty: {}", language.why),
        None => language.code.to_owned(),
    }
}

fn language_name(code: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 34] = [
        ("ar", "Arabic"),
        ("ar-Latn", "Arabic in Latin letters"),
        ("be", "Belarusian"),
        ("bg", "Bulgarian"),
        ("ckb", "Central Kurdish"),
        ("de", "German"),
        ("el", "Greek"),
        ("en", "English"),
        ("es", "Spanish"),
        ("fa", "Persian"),
        ("fr", "French"),
        ("he", "Hebrew"),
        ("hi", "Hindi"),
        ("id", "Indonesian or Malay"),
        ("it", "Italian"),
        ("ja", "Japanese"),
        ("kk", "Kazakh"),
        ("ko", "Korean"),
        ("mk", "Macedonian"),
        ("mr", "Marathi"),
        ("ne", "Nepali"),
        ("nl", "Dutch"),
        ("pl", "Polish"),
        ("ps", "Pashto"),
        ("pt", "Portuguese"),
        ("ro", "Romanian"),
        ("ru", "Russian"),
        ("sd", "Sindhi"),
        ("sr", "Serbian"),
        ("sv", "Swedish"),
        ("th", "Thai"),
        ("tr", "Turkish"),
        ("uk", "Ukrainian"),
        ("ur", "Urdu"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == code);
    known.map(|(_, name)| *name)
}

/// What a step of normalising does, for people.
fn step_words(name: &str) -> String {
    match name {
        "invisible characters" => "Invisible characters taken out",
        "NFKC" => "Styled letters and ligatures made plain",
        "case folding" => "Capitals made small",
        "tatweel" => "Stretched Arabic words (tatweel) closed up",
        "digits" => "Digits of every script as 0 to 9",
        "marks" => "Vowel signs and accents taken off",
        "interchangeable letters" => "Letters that writers interchange made one",
        "look-alikes" => "Look-alikes read as the letters they imitate",
        "spacing" => "Letters set apart joined",
        "elongation" => "Repeated letters once",
        "settled" => "What these steps left over",
        other => other,
    }
    .to_owned()
}

fn fact_words(name: &str) -> String {
    match name {
        "canonical" => "In canonical form",
        "compared" => "Compared as",
        "registrable domain" => "Registered domain",
        "imitates" => "Looks like",
        "invitation" => "Invitation to",
        "port" => "Unusual port",
        "fact" => "What it shows",
        "letters" => "Letters",
        "different pieces of six letters" => "Different pieces of six letters",
        "chain" => "Chain",
        "checksum" => "Checksum",
        "counter" => "Counter, left out",
        "added word" => "Added word, left out",
        "stem" => "Stem",
        "sounds" => "Consonants as spoken",
        other => other,
    }
    .to_owned()
}

fn undone_words(undone: &str) -> String {
    let words = undone.split(", ").map(|name| match name {
        "defanged" => "written so that nobody clicks it, as hxxps or [.]",
        "spelt" => "a dot spelt as a word",
        "hidden" => "invisible characters",
        "wide" => "full-width letters",
        other => other,
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What a level means, as a sentence.
pub(super) fn level_words(level: Level) -> &'static str {
    match level {
        Level::Strict => "Strict: only what no reader sees, or what is typography, was undone.",
        Level::Folded => {
            "Folded: what changes how a word looks, not how it reads, was undone as well."
        }
        Level::Aggressive => {
            "Aggressive: a reading was tried, such as digits as letters, pieces as one word or Latin letters as Arabic. It finds more and is wrong more often."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_language(text: &str, expect: &str) {
        assert_eq!(language_words(text), expect);
    }

    #[test]
    fn languages_are_named() {
        check_language(
            "The ferry leaves at noon and comes back before dark.",
            "English",
        );
        check_language(
            "ana ray7 3al be7r ma3 ashabi bokra",
            "Arabic in Latin letters",
        );
        check_language("ok 👍", "not told with certainty: too few letters to tell");
    }
}
