//! Functions of texts: phrases, patterns, words, language, lexicons.
#![expect(
    clippy::unnecessary_wraps,
    reason = "functions of one table have one signature, also those that always have an answer"
)]

use super::{Answer, EachText, Given, Input, Prepared, Refused, Workshop};
use crate::lexer::shown;
use crate::memo::LexiconHits;
use crate::suggest::did_you_mean_or_list;
use manara_signal::Phrase;
use manara_signal::language::identify;
use manara_signal::text::{Level, normalise};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4 * 1024;
/// Most memory one compiled pattern may take, in bytes.
const PATTERN_SIZE_MAX: usize = 256 * 1024;
/// Most patterns in all rules.
const PATTERNS_MAX: usize = 1_000;

const LEVELS: &[&str] = &["strict", "folded", "aggressive"];

pub(super) fn nothing(_: &Given<'_>, _: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    Ok(Prepared::Nothing)
}

/// The level in words, `folded` when none is given.
pub(crate) fn level(text: Option<&str>, param: usize) -> Result<Level, Refused> {
    let text = text.unwrap_or("folded");
    text.parse().map_err(|_| {
        let message = format!("`{}` is not a level", shown(text));
        Refused::new(param, message, did_you_mean_or_list(text, LEVELS))
    })
}

// ---- phrases ----

pub(super) fn phrase(given: &Given<'_>, shop: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    let unreadable = |problem: &dyn std::fmt::Display| {
        let message = format!("this is not a phrase that can be looked for: {problem}");
        Refused::new(0, message, "write whole words, as they would be typed")
    };
    let level = level(given.text(1), 1)?;
    let phrase = Phrase::parse(given.text(0).unwrap_or_default()).map_err(|e| unreadable(&e))?;
    let number = shop.shared.add_phrase(&phrase, level);
    number.map(Prepared::Phrase).map_err(|e| unreadable(&e))
}

pub(super) fn contains_phrase(input: Input<'_, '_>) -> Answer<bool> {
    let Prepared::Phrase(number) = input.prepared else {
        return Err("there is no phrase");
    };
    Ok(input
        .ctx
        .contains_phrase(input.origin, input.text(), *number))
}

// ---- forms ----

pub(super) fn form(given: &Given<'_>, _: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    let level = level(given.text(0), 0)?;
    if level == Level::Aggressive {
        let message = "no text has an aggressive form: that reading depends on what is looked for";
        let hint =
            "ask `containsPhrase(\"…\", level: \"aggressive\")`, or use `strict` or `folded`";
        return Err(Refused::new(0, message, hint));
    }
    Ok(Prepared::Level(level))
}

pub(super) fn normalised<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    let strict = matches!(input.prepared, Prepared::Level(Level::Strict));
    if let Some(memo) = input.ctx.text_memo(input.origin) {
        let normalised = memo.normalised();
        return Ok(Cow::Borrowed(if strict {
            normalised.strict()
        } else {
            normalised.folded()
        }));
    }
    let normalised = normalise(input.text());
    let form = if strict {
        normalised.strict()
    } else {
        normalised.folded()
    };
    Ok(Cow::Owned(form.to_owned()))
}

pub(super) fn trim<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    Ok(match input.into_text() {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    })
}

pub(super) fn words(input: Input<'_, '_>, each: &mut EachText<'_>) -> Answer<()> {
    for word in input.text().unicode_words() {
        if each(word).is_break() {
            break;
        }
    }
    Ok(())
}

// ---- patterns ----

pub(super) fn pattern(given: &Given<'_>, shop: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    let text = given.text(0).unwrap_or_default();
    shop.shared.patterns += 1;
    if shop.shared.patterns > PATTERNS_MAX {
        let message = format!("more than {PATTERNS_MAX} patterns in all rules");
        let hint = "join some with `|`, or ask `contains`, a lexicon or a bank";
        return Err(Refused::new(0, message, hint));
    }
    if text.is_empty() {
        let hint = "write what is looked for, or ask `has(…)`";
        return Err(Refused::new(0, "the empty pattern is in every text", hint));
    }
    if text.len() > PATTERN_BYTES_MAX {
        let message = format!(
            "this pattern is {} bytes long, the limit is {PATTERN_BYTES_MAX}",
            text.len()
        );
        let hint = "keep the phrases in a lexicon or a bank";
        return Err(Refused::new(0, message, hint));
    }
    parse_pattern(text)?;
    build_pattern(text).map(Prepared::Pattern)
}

/// Reads the pattern by itself first, since only its parser says where it is wrong.
fn parse_pattern(text: &str) -> Result<(), Refused> {
    use regex_syntax::Error;
    let Err(error) = regex_syntax::ParserBuilder::new()
        .nest_limit(64)
        .build()
        .parse(text)
    else {
        return Ok(());
    };
    let (span, problem) = match &error {
        Error::Parse(error) => (Some(error.span()), error.kind().to_string()),
        Error::Translate(error) => (Some(error.span()), error.kind().to_string()),
        _ => (None, error.to_string()),
    };
    let hint =
        "write a `\\` before a character that is meant as itself, and begin the text with `r\"`";
    Err(Refused {
        at: span.map(|span| span.start.offset..span.end.offset),
        ..Refused::new(0, format!("this pattern cannot be read: {problem}"), hint)
    })
}

fn build_pattern(text: &str) -> Result<Regex, Refused> {
    let built = RegexBuilder::new(text)
        .size_limit(PATTERN_SIZE_MAX)
        .dfa_size_limit(PATTERN_SIZE_MAX)
        .nest_limit(64)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            let message = format!(
                "this pattern takes more than {PATTERN_SIZE_MAX} bytes once it is prepared"
            );
            let hint =
                "repeat less often, write `[a-z]` for `\\w` and `[0-9]` for `\\d`, or split it";
            Refused::new(0, message, hint)
        }
        other => Refused::new(
            0,
            format!("this pattern cannot be used: {other}"),
            "simplify it",
        ),
    })
}

pub(super) fn matches(input: Input<'_, '_>) -> Answer<bool> {
    match input.prepared {
        Prepared::Pattern(pattern) => Ok(pattern.is_match(input.text())),
        _ => Err("there is no pattern"),
    }
}

// ---- language ----

pub(super) fn language<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    const UNSURE: &str = "the language cannot be told";
    let code = match input.ctx.text_memo(input.origin) {
        Some(memo) => memo.language_code(),
        None => Some(identify(input.text()).code).filter(|code| *code != "und"),
    };
    code.map(Cow::Borrowed).ok_or(UNSURE)
}

pub(super) fn scripts(input: Input<'_, '_>, each: &mut EachText<'_>) -> Answer<()> {
    let visit = |scripts: &[(&'static str, u32)], each: &mut EachText<'_>| {
        for (script, _) in scripts {
            if each(script).is_break() {
                break;
            }
        }
    };
    match input.ctx.text_memo(input.origin) {
        Some(memo) => visit(&memo.language().scripts, each),
        None => visit(&identify(input.text()).scripts, each),
    }
    Ok(())
}

// ---- lexicons ----

fn hits(input: &Input<'_, '_>) -> Answer<LexiconHits> {
    const GONE: &str = "there is no such lexicon";
    let Prepared::Lexicon(number) = input.prepared else {
        return Err(GONE);
    };
    let lexicons = &input.ctx.shared.lexicons;
    if let Some(memo) = input.ctx.text_memo(input.origin) {
        return memo.lexicon(lexicons, *number).ok_or(GONE);
    }
    let lexicon = lexicons.get(*number).ok_or(GONE)?;
    Ok(LexiconHits::of(lexicon, &normalise(input.text())))
}

/// The lexicon that was asked, and which of its phrases are in the text, for a trace.
pub(crate) fn lexicon_found<'a>(input: &Input<'a, '_>) -> Option<(&'a str, Vec<&'a str>)> {
    let Prepared::Lexicon(number) = input.prepared else {
        return None;
    };
    let shared = input.ctx.shared;
    let (name, phrases) = shared.lexicon_texts.get(*number)?;
    let mut hits = Vec::new();
    let lexicon = shared.lexicons.get(*number)?;
    lexicon.find_leftmost_longest(&normalise(input.text()), &mut hits);
    let mut found: Vec<u64> = hits.iter().map(|hit| hit.key).collect();
    found.sort_unstable();
    found.dedup();
    let phrase = |key: &u64| Some(phrases.get(usize::try_from(*key).ok()?)?.as_str());
    Some((name, found.iter().filter_map(phrase).collect()))
}

pub(super) fn lexicon_count(input: Input<'_, '_>) -> Answer<i64> {
    hits(&input).map(|hits| hits.count)
}

pub(super) fn lexicon_distinct(input: Input<'_, '_>) -> Answer<i64> {
    hits(&input).map(|hits| hits.distinct)
}

pub(super) fn lexicon_matches(input: Input<'_, '_>) -> Answer<bool> {
    hits(&input).map(|hits| hits.count > 0)
}
