//! Functions of handles and display names: how alike two are, and slogans run together in one.

use super::{Answer, Given, Input, Prepared, Refused, Workshop};
use manara_signal::Phrase;
use manara_signal::name::{Name, SCORE_DEFAULT, SLOGAN_MIN, SloganHit, SloganIndex, compare};
use std::sync::Arc;

pub(super) fn known_name(given: &Given<'_>, _: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    let name = Name::parse(given.text(0).unwrap_or_default()).map_err(|error| {
        let text = error.to_string();
        let (message, hint) = text
            .split_once(": ")
            .unwrap_or((&text, "give another name"));
        Refused::new(0, message, hint)
    })?;
    let score = given.number(1).unwrap_or(f64::from(SCORE_DEFAULT));
    if !(1.0..=100.0).contains(&score) || score.fract() != 0.0 {
        let hint = "80 is usual; higher is stricter";
        let message = "a score is a whole number from 1 to 100";
        return Err(Refused::new(1, message, hint));
    }
    let score_min = score as u8;
    Ok(Prepared::Name { name, score_min })
}

fn score(input: &Input<'_, '_>) -> Answer<(i64, u8)> {
    const NO_NAME: &str = "this is no name that can be compared";
    let Prepared::Name { name, score_min } = input.prepared else {
        return Err(NO_NAME);
    };
    let parsed;
    let given = if let Some(memo) = input.ctx.text_memo(input.origin) {
        memo.name()
    } else {
        parsed = Name::parse(input.text()).ok();
        parsed.as_ref()
    };
    let found = compare(name, given.ok_or(NO_NAME)?);
    Ok((found.map_or(0, |found| i64::from(found.score)), *score_min))
}

pub(super) fn name_score(input: Input<'_, '_>) -> Answer<i64> {
    score(&input).map(|(score, _)| score)
}

pub(super) fn looks_like(input: Input<'_, '_>) -> Answer<bool> {
    score(&input).map(|(score, min)| score >= i64::from(min))
}

pub(super) fn known_slogan(given: &Given<'_>, _: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    let phrase = Phrase::parse(given.text(0).unwrap_or_default()).map_err(|problem| {
        let message = format!("this is not a slogan that can be looked for: {problem}");
        Refused::new(0, message, "write whole words, as they would be typed")
    })?;
    let mut index = SloganIndex::new();
    if !index.insert(0, &phrase) {
        let message = format!("a slogan has two words or more, and {SLOGAN_MIN} letters or more");
        let hint = "shorter ones are found inside other names; ask `looksLike` or `containsPhrase`";
        return Err(Refused::new(0, message, hint));
    }
    Ok(Prepared::Slogan(Arc::new(index)))
}

pub(super) fn slogan(input: Input<'_, '_>) -> Answer<bool> {
    let Prepared::Slogan(index) = input.prepared else {
        return Err("there is no slogan");
    };
    let mut hits: Vec<SloganHit> = Vec::new();
    index.find(input.text(), &mut hits);
    Ok(!hits.is_empty())
}
