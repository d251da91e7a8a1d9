//! Checking the clauses of a rule that are neither condition nor effect: mode, reasons, limits, once per.

use super::expr::Checker;
use crate::ast::{self, ExprKind, Spanned};
use crate::compile::{EncodeFn, encode_fn};
use crate::counters::Window;
use crate::diagnostic::{Problems, Source, Span};
use crate::env::Shared;
use crate::lexer::shown;
use crate::ruleset::{Limits, Once};
use crate::suggest::did_you_mean_or_list;
use crate::typed::{Kind, Literal, Typed};
use crate::types::Type;
use manara_model::RuleMode;
use std::collections::BTreeMap;

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 2 * 1024;
/// Most languages of one reason.
const LANGUAGES_MAX: usize = 64;
/// Most parts of a key.
const KEY_PARTS_MAX: usize = 4;
/// Largest limit of a circuit breaker.
const LIMIT_MAX: i64 = 1_000_000_000;

pub(super) fn mode(mode: &ast::Mode, problems: &mut Problems<'_>) -> Option<RuleMode> {
    let word = mode.word.node.as_str();
    if !RuleMode::WORDS.contains(&word) {
        let hint = did_you_mean_or_list(word, &RuleMode::WORDS);
        let message = format!("unknown mode `{}`", shown(word));
        problems.error_hint(mode.word.span, message, hint);
        return None;
    }
    let Some(share) = &mode.share else {
        return word.parse().ok();
    };
    if word != "live" {
        let message = format!("`{word}` takes no share of the events");
        problems.error_hint(share.span, message, "only `live` does: `mode live 10%`");
        return None;
    }
    let found = RuleMode::of_percent(share.node);
    if found.is_none() {
        problems.error_hint(
            share.span,
            "a share is more than 0% and less than 100%, in steps of 0.01%",
            "write `live` for all events, `shadow` for none",
        );
    }
    found
}

/// The reason for whoever's language is not among the others, and those.
pub(super) fn reasons(
    given: &[(Option<Spanned<String>>, Spanned<String>)],
    problems: &mut Problems<'_>,
) -> (String, BTreeMap<String, String>) {
    let (mut plain, mut others) = (None, BTreeMap::new());
    if let Some((_, extra)) = given.get(LANGUAGES_MAX) {
        let message = format!("more than {LANGUAGES_MAX} reasons");
        problems.error(extra.span, message);
    }
    for (language, reason) in given {
        check_reason(reason, problems);
        let twice = match language {
            None => plain.replace(reason.node.clone()).is_some(),
            Some(language) => {
                check_language(language, problems);
                others
                    .insert(language.node.clone(), reason.node.clone())
                    .is_some()
            }
        };
        if twice {
            let at = language.as_ref().map_or(reason.span, |it| it.span);
            let hint = "give each in a language of its own: `reason de \"…\"`";
            problems.error_hint(at, "this reason is given twice", hint);
        }
    }
    let first = given.first().map(|(_, reason)| reason.node.clone());
    (plain.or(first).unwrap_or_default(), others)
}

fn check_reason(reason: &Spanned<String>, problems: &mut Problems<'_>) {
    let hint = "write a sentence for the person it concerns";
    if reason.node.trim().is_empty() {
        problems.error_hint(reason.span, "the reason is empty", hint);
    } else if reason.node.len() > REASON_BYTES_MAX {
        let message = format!(
            "the reason is {} bytes long, the limit is {REASON_BYTES_MAX}",
            reason.node.len()
        );
        problems.error_hint(reason.span, message, hint);
    }
}

/// A tag of BCP 47 as far as its form goes: `ar`, `pt-BR`, `zh-Hant`.
fn check_language(language: &Spanned<String>, problems: &mut Problems<'_>) {
    let mut parts = language.node.split('-');
    let first = parts.next().unwrap_or_default();
    let is_primary =
        (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase());
    let is_part = |part: &str| {
        (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !(is_primary && parts.all(is_part)) {
        let message = format!("`{}` is not the tag of a language", shown(&language.node));
        problems.error_hint(language.span, message, "for example `en`, `ar` or `pt-BR`");
    }
}

pub(super) fn limits(given: &[ast::Limit], problems: &mut Problems<'_>) -> Limits {
    let mut limits = Limits::default();
    for limit in given {
        let number = match limit.number.kind {
            ExprKind::Int(number) if (1..=LIMIT_MAX).contains(&number) => {
                u32::try_from(number).ok()
            }
            _ => {
                let hint = "for example `limit 100 per hour, 1000 per day`";
                let message = "a limit is a whole number of at least 1";
                problems.error_hint(limit.number.span, message, hint);
                None
            }
        };
        let place = match limit.per.node.as_str() {
            "hour" => &mut limits.per_hour,
            "day" => &mut limits.per_day,
            other => {
                let message = format!("a limit is per hour or per day, not per `{}`", shown(other));
                let hint = did_you_mean_or_list(other, &["hour", "day"]);
                problems.error_hint(limit.per.span, message, hint);
                continue;
            }
        };
        if place.is_some() {
            let message = format!("the limit per {} is given twice", limit.per.node);
            problems.error_hint(limit.per.span, message, "keep one of the two");
        }
        *place = number;
    }
    limits
}

/// A checked `once per`.
pub(super) struct CheckedOnce {
    by: Vec<Typed>,
    window: Window,
}

pub(super) fn once(once: &ast::Once, checker: &mut Checker<'_, '_>) -> Option<CheckedOnce> {
    let by = key_parts(&once.by, once.span, checker);
    let window = window(&once.over, checker);
    Some(CheckedOnce {
        by: by?,
        window: window?,
    })
}

pub(super) fn compile_once(
    once: CheckedOnce,
    rule: &ast::Rule,
    source: &Source,
    shared: &mut Shared,
) -> Once {
    let span = rule.once.as_ref().map_or(Span::default(), |once| once.span);
    Once {
        by: once.by.iter().map(|part| encode_fn(part, shared)).collect(),
        window: once.window,
        text: span.of(&source.text).to_owned(),
    }
}

/// What is counted by, or fired once per: texts, numbers, times or truth, and nothing of the past.
pub(super) fn key_parts(
    by: &[ast::Expr],
    span: Span,
    checker: &mut Checker<'_, '_>,
) -> Option<Vec<Typed>> {
    if by.len() > KEY_PARTS_MAX {
        let message = format!(
            "a key has at most {KEY_PARTS_MAX} parts, this has {}",
            by.len()
        );
        checker.problems.error(span, message);
    }
    let mut parts = Vec::with_capacity(by.len());
    for part in by {
        let typed = checker.expr(part);
        parts.push(plain(typed, "a key", checker)?);
    }
    (by.len() <= KEY_PARTS_MAX).then_some(parts)
}

/// The expression, if it is a single value that does not depend on the past.
pub(super) fn plain(typed: Typed, noun: &str, checker: &mut Checker<'_, '_>) -> Option<Typed> {
    if typed.is_wrong() {
        return None;
    }
    let is_single = matches!(
        typed.ty,
        Type::Bool | Type::Int | Type::Float | Type::String | Type::Duration | Type::Time
    );
    if !is_single {
        let message = format!(
            "{noun} is made of texts, numbers or times, this is a {}",
            typed.ty
        );
        let hint = "name a field: `account.id`";
        checker.problems.error_hint(typed.span, message, hint);
        return None;
    }
    if typed.looks_back() {
        let message = format!("{noun} cannot depend on what happened before");
        let hint = "use what the event itself says";
        checker.problems.error_hint(typed.span, message, hint);
        return None;
    }
    Some(typed)
}

/// A length of time that is written out.
pub(super) fn window(over: &ast::Expr, checker: &mut Checker<'_, '_>) -> Option<Window> {
    let typed = checker.expr(over);
    let hint = "for example `over 24h`";
    match typed.kind {
        Kind::Wrong => None,
        Kind::Literal(Literal::Duration(span)) => match Window::of(span) {
            Ok(window) => Some(window),
            Err(problem) => {
                checker
                    .problems
                    .error_hint(typed.span, problem.to_string(), hint);
                None
            }
        },
        _ => {
            let message = "this is a length of time, written out";
            checker.problems.error_hint(typed.span, message, hint);
            None
        }
    }
}

/// Parts of a key, ready to be computed.
pub(super) fn compile_key(by: &[Typed], shared: &mut Shared) -> Vec<EncodeFn> {
    by.iter().map(|part| encode_fn(part, shared)).collect()
}
