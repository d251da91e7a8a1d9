//! Reading what a test gives: its event, what is known of its media, matches and bank members.
//!
//! Identifiers, the source, the time and whatever else a test does not care about may be left out.

use crate::ast::{Json, Members};
use crate::diagnostic::{Problems, Span};
use crate::env::medium_of;
use crate::lexer::shown;
use crate::schema::Schema;
use crate::suggest::{did_you_mean, did_you_mean_or_list};
use jiff::Timestamp;
use manara_model::{BankName, Decoding, Event, Match, MediaFacts, Medium, MemberId, Origin};
use manara_signal::{Signal, SignalType};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most members of one test.
const MEMBERS_MAX: usize = 1_000;

pub(super) struct TestEvent {
    pub(super) event: Event,
}

/// The JSON object, or a report of where it stops being one.
fn object(json: &Json, problems: &mut Problems<'_>) -> Option<Map<String, Value>> {
    match serde_json::from_str(&json.text) {
        Ok(map) => Some(map),
        Err(error) => {
            let at = json.span.start + offset_of(&json.text, error.line(), error.column());
            let full = error.to_string();
            let message = full.split(" at line ").next().unwrap_or(&full);
            let shown_len = json
                .text
                .get(at - json.span.start..)
                .and_then(|rest| rest.chars().next())
                .map_or(0, char::len_utf8);
            let span = Span {
                start: at,
                end: at + shown_len,
            };
            problems.error_hint(
                span,
                format!("this is not JSON: {message}"),
                "names and texts stand in double quotes, with commas between fields",
            );
            None
        }
    }
}

/// The byte a line and column, both from 1, stand for.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let mut at = (before + column.saturating_sub(1)).min(text.len().saturating_sub(1));
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where the last part of a field's path is written, or the whole object.
fn place_of(field: &str, json: &Json) -> Span {
    let last = field.rsplit('.').next().unwrap_or_default();
    let name = last.split('[').next().unwrap_or_default();
    let quoted = format!("\"{name}\"");
    match json.text.find(&quoted) {
        Some(at) if !name.is_empty() => Span {
            start: json.span.start + at,
            end: json.span.start + at + quoted.len(),
        },
        _ => json.span,
    }
}

fn known_keys(
    map: &Map<String, Value>,
    known: &[&str],
    json: &Json,
    problems: &mut Problems<'_>,
) -> bool {
    let unknown = map.keys().find(|key| !known.contains(&key.as_str()));
    if let Some(key) = unknown {
        let hint = did_you_mean_or_list(key, known);
        problems.error_hint(
            place_of(key, json),
            format!("unknown field `{}`", shown(key)),
            hint,
        );
    }
    unknown.is_none()
}

fn set_default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    map.entry(key).or_insert_with(|| value.into());
}

/// The test's event, checked as a server would check it.
pub(super) fn read_event(
    json: &Json,
    time: Timestamp,
    schema: &Schema,
    problems: &mut Problems<'_>,
) -> Option<TestEvent> {
    let mut map = object(json, problems)?;
    set_default(&mut map, "id", "test");
    set_default(&mut map, "source", "test");
    set_default(&mut map, "time", time.to_string());
    for (root, id) in [("account", "a-1"), ("space", "s-1"), ("content", "c-1")] {
        if let Some(Value::Object(entity)) = map.get_mut(root) {
            set_default(entity, "id", id);
        }
    }
    if let Some(Value::Array(media)) = map.get_mut("content").and_then(|c| c.get_mut("media")) {
        for (i, medium) in media.iter_mut().enumerate() {
            if let Value::Object(medium) = medium {
                complete_medium(medium, i);
            }
        }
    }
    if let Some(Value::String(event_type)) = map.get("type")
        && !schema.knows_event_type(event_type)
    {
        let hint = did_you_mean(event_type, schema.event_types())
            .unwrap_or_else(|| "declare it in the schema, or use a built-in event type".to_owned());
        problems.error_hint(
            place_of("type", json),
            format!("unknown event type `{}`", shown(event_type)),
            hint,
        );
        return None;
    }
    let text = Value::Object(map).to_string();
    match Event::from_json(text.as_bytes(), Origin::CommandLine) {
        Ok((event, _)) => Some(TestEvent { event }),
        Err(error) => {
            let field = if error.field.is_empty() {
                String::new()
            } else {
                format!("{}: ", error.field)
            };
            let problem = error.problem.split(" at line ").next().unwrap_or_default();
            let (message, hint) = with_choices(problem, error.hint);
            problems.error_hint(
                place_of(&error.field, json),
                format!("in this event, {field}{message}"),
                hint,
            );
            None
        }
    }
}

/// Turns "unknown …, expected one of `a`, `b`" into the problem and a hint that picks one.
fn with_choices(problem: &str, hint: String) -> (String, String) {
    let Some((message, choices)) = problem.split_once(", expected one of ") else {
        return (problem.to_owned(), hint);
    };
    let known: Vec<&str> = choices.split('`').skip(1).step_by(2).collect();
    let word = message.split('`').nth(1).unwrap_or_default();
    (message.to_owned(), did_you_mean_or_list(word, &known))
}

fn complete_medium(medium: &mut Map<String, Value>, index: usize) {
    set_default(medium, "id", format!("m-{}", index + 1));
    set_default(medium, "kind", "image");
    if !["url", "data", "path", "signals"]
        .iter()
        .any(|given| medium.contains_key(*given))
    {
        set_default(
            medium,
            "url",
            format!("https://example.com/m-{}", index + 1),
        );
    }
}

/// What is known of each of the event's media: as given, else read without trouble.
pub(super) fn read_media(
    given: &[Json],
    event: &Event,
    problems: &mut Problems<'_>,
) -> Vec<MediaFacts> {
    let media = event.media();
    if let Some(over) = given.get(media.len()) {
        let message = format!(
            "the event has {} media, this describes one more",
            media.len()
        );
        problems.error_hint(
            over.span,
            message,
            "each `media` block describes one medium, in order",
        );
    }
    let describe = |(i, medium): (usize, &Medium)| {
        if let Some(json) = given.get(i) {
            return read_media_facts(json, problems);
        }
        let decoding = if medium.signals.is_empty() {
            Decoding::Decoded
        } else {
            Decoding::SignalsOnly
        };
        Some(MediaFacts {
            decoding,
            problem: None,
            width: 0,
            height: 0,
            quality: medium.quality,
            forms: Vec::new(),
            hashes: BTreeMap::new(),
        })
    };
    media.iter().enumerate().filter_map(describe).collect()
}

fn read_media_facts(json: &Json, problems: &mut Problems<'_>) -> Option<MediaFacts> {
    let mut map = object(json, problems)?;
    if !known_keys(
        &map,
        &["decoding", "problem", "width", "height", "quality"],
        json,
        problems,
    ) {
        return None;
    }
    set_default(&mut map, "decoding", "decoded");
    set_default(&mut map, "width", 0);
    set_default(&mut map, "height", 0);
    match serde_json::from_value(Value::Object(map)) {
        Ok(facts) => Some(facts),
        Err(error) => {
            problems.error_hint(
                json.span,
                format!("this does not describe a medium: {error}"),
                "for example `media { \"decoding\": \"undecodable\" }`",
            );
            None
        }
    }
}

/// A match as the server would have found it; all but its bank and field may be left out.
pub(super) fn read_match(json: &Json, event: &Event, problems: &mut Problems<'_>) -> Option<Match> {
    const KNOWN: &[&str] = &[
        "signal_type",
        "bank",
        "member",
        "distance",
        "field",
        "quality",
        "span",
        "how",
        "form",
        "form_hash",
        "distance_stored",
    ];
    let mut map = object(json, problems)?;
    if !known_keys(&map, KNOWN, json, problems) {
        return None;
    }
    let Some(field) = map.get("field").and_then(Value::as_str).map(str::to_owned) else {
        problems.error_hint(
            json.span,
            "this match has no field",
            "add `\"field\": \"content.text\"` or `\"content.media[0]\"`",
        );
        return None;
    };
    let is_there = match medium_of(&field) {
        Some(index) => event.media().get(index).is_some(),
        None => event.text_at(&field).is_some(),
    };
    if !is_there {
        let message = format!("the event has no `{}` that could match", shown(&field));
        problems.error_hint(
            place_of("field", json),
            message,
            "add it to the event, or name a field that it has",
        );
        return None;
    }
    let signal_type = match () {
        () if medium_of(&field).is_some() => SignalType::Pdq,
        () if field.starts_with("content.links[") => SignalType::Url,
        () => SignalType::Text,
    };
    if let Some(given) = map.get("signal_type").and_then(Value::as_str) {
        parse_signal_type(given, place_of("signal_type", json), problems)?;
    }
    set_default(&mut map, "signal_type", signal_type.name());
    set_default(&mut map, "member", 1);
    set_default(&mut map, "distance", 0);
    match serde_json::from_value(Value::Object(map)) {
        Ok(found) => Some(found),
        Err(error) => {
            let example =
                json!({"bank": "TVEC_IMAGES", "distance": 12, "field": "content.media[0]"});
            problems.error_hint(
                json.span,
                format!("this is not a match: {error}"),
                format!("for example `match {example}`"),
            );
            None
        }
    }
}

fn parse_signal_type(word: &str, span: Span, problems: &mut Problems<'_>) -> Option<SignalType> {
    if let Ok(signal_type) = word.parse() {
        return Some(signal_type);
    }
    let known = SignalType::ALL.map(SignalType::name);
    let hint = did_you_mean_or_list(word, &known);
    problems.error_hint(span, format!("unknown signal type `{}`", shown(word)), hint);
    None
}

/// The bank members a test gives, numbered in order.
pub(super) fn read_members(
    given: &[Members],
    problems: &mut Problems<'_>,
) -> Vec<(BankName, MemberId, Signal)> {
    let mut members: Vec<(BankName, MemberId, Signal)> = Vec::new();
    for block in given {
        let bank = match block.bank.node.parse::<BankName>() {
            Ok(bank) => Some(bank),
            Err(problem) => {
                problems.refused(block.bank.span, "", &problem);
                None
            }
        };
        for (word, value) in &block.members {
            let signal_type = parse_signal_type(&word.node, word.span, problems);
            let signal =
                signal_type.and_then(
                    |signal_type| match Signal::parse(signal_type, &value.node) {
                        Ok(signal) => Some(signal),
                        Err(error) => {
                            problems.refused(value.span, "", &error.to_string());
                            None
                        }
                    },
                );
            if members.len() == MEMBERS_MAX {
                problems.error_hint(
                    word.span,
                    format!("more than {MEMBERS_MAX} members in one test"),
                    "keep those that the test is about",
                );
                return members;
            }
            if let (Some(bank), Some(signal)) = (&bank, signal) {
                members.push((bank.clone(), MemberId(members.len() as i64 + 1), signal));
            }
        }
    }
    members
}
