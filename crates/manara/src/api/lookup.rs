//! `POST /api/v1/lookup`: what do the banks hold of these signals? Nothing is decided, nothing kept.
//!
//! ```text
//! {"signals": [{"type": "pdq", "value": "…", "quality": 87}, {"type": "url", "value": "https://…"}], "distance": 20}
//! ─► {"results": [{"matches": [{"signal_type": "pdq", "bank": "TVEC_IMAGES", "member": 12, "distance": 6}]}, {"matches": []}]}
//! ```
//! One result for each signal, in the same order. A request with a signal that is not as it should be
//! is refused as a whole, and the problem names it.

use crate::api::auth::Scope;
use crate::api::problem::Problem;
use crate::api::{content_type, json_response, not_ready, read_body};
use crate::matcher::{Asked, PDQ_DISTANCE_MAX, PDQ_QUALITY_MIN};
use crate::server::Shared;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use manara_model::{BankName, Match, MemberId, Span, Withheld};
use manara_signal::pdq::PdqHash;
use manara_signal::text::TEXT_MAX;
use manara_signal::{Signal, SignalType};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;
use utoipa::ToSchema;

/// Most signals in one request.
const SIGNALS_MAX: usize = 1000;
/// Longest address, in bytes, as in an event.
const URL_BYTES_MAX: usize = 8 * 1024;
/// Longest path of a field in a problem, in characters.
const FIELD_CHARS_MAX: usize = 80;

/// Signals to look up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    /// At most 1,000.
    signals: Vec<LookupSignal>,
    /// In how many of 256 bits a `pdq` may differ from a member and still match, 0 to 31. A bank that
    /// allows less stays with less.
    #[serde(default)]
    distance: Option<u32>,
}

/// One signal to look up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupSignal {
    /// `pdq`, `sha256`, `md5`, `url`, or `text`: a text in which phrases and links are looked for.
    #[schema(value_type = String, example = "pdq")]
    r#type: SignalType,
    /// The hash in hexadecimal digits of either case, the address, or the text.
    value: String,
    /// Of a `pdq`, 0 to 100. Under 50 it is not looked up; without it, it counts as good.
    #[serde(default)]
    quality: Option<u8>,
}

/// One result for each signal, in the same order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LookupAnswer {
    results: Vec<LookupResult>,
}

/// What the banks hold of one signal.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct LookupResult {
    /// The nearest 64 and the nearest of every further bank, nearest first.
    matches: Vec<LookupMatch>,
    /// How many more matches there are.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
    /// Why it was not looked up: `quality`, when there is too little in the image to tell it from others.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_looked_up: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// A member of a bank that is near enough.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LookupMatch {
    /// The member's type: in a text there may be links.
    #[schema(value_type = String)]
    signal_type: SignalType,
    #[schema(value_type = String)]
    bank: BankName,
    #[schema(value_type = i64)]
    member: MemberId,
    /// In bits for `pdq`, 0 for the others.
    distance: u32,
    /// Where in the text it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<Span>,
    /// What was undone in the text to find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
    /// Why it has no effect, if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Withheld>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Look signals up in all enabled banks. Read only: no rules, no decision, nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/lookup", security(("api_key" = [])),
    request_body(content = Lookup, content_type = "application/json"),
    responses(
        (status = 200, description = "One result for each signal, in order", body = LookupAnswer),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The key lacks the scope `events:write`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A signal is not valid; `field` says which", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not ready", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let started = Instant::now();
    let response = look_up(&shared, &headers, body)
        .await
        .unwrap_or_else(Problem::into_response);
    metrics::histogram!("manara_request_duration_seconds", "route" => "lookup")
        .record(started.elapsed().as_secs_f64());
    response
}

async fn look_up(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    // Whoever may send events learns from the answers what the banks hold; this tells them no more.
    shared.keys.authorize(headers, Scope::EventsWrite)?;
    let content_type = content_type(headers);
    if content_type != "application/json" {
        return Err(Problem::media_type(
            format!("the content type is `{content_type}`"),
            "send application/json",
        ));
    }
    let pipeline = shared.pipeline().ok_or_else(not_ready)?;
    let bytes = read_body(shared, body, "look up fewer signals at once").await?;
    // Beside the async threads: a thousand long texts take a while.
    let answer = tokio::task::spawn_blocking(move || -> Result<LookupAnswer, Problem> {
        let (asked, distance_max) = asked(parse(&bytes)?)?;
        metrics::counter!("manara_signals_looked_up_total").increment(asked.len() as u64);
        let found = pipeline.matcher.look_up(&asked, distance_max);
        let results = asked.iter().zip(found);
        Ok(LookupAnswer {
            results: results
                .map(|(asked, found)| LookupResult::of(asked, found))
                .collect(),
        })
    });
    let answer = answer.await.map_err(|error| {
        tracing::error!("looking signals up: {error}");
        Problem::internal(
            "the signals could not be looked up",
            "send them again; the server's log says more",
        )
    })?;
    Ok(json_response(&answer?))
}

/// Reads the request; a problem names the field.
fn parse(bytes: &Bytes) -> Result<Lookup, Problem> {
    let malformed = |error: &dyn std::fmt::Display| {
        Problem::malformed(
            format!("the body is not JSON: {error}"),
            "nothing was looked up; mend it and send it again",
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
    // Fields would also be taken from an array, in order, which nobody means.
    if !text.trim_start().starts_with('{') {
        return Err(invalid(
            String::new(),
            "a lookup is a JSON object, and this is not one".to_owned(),
            "send {\"signals\": [{\"type\": \"pdq\", \"value\": \"…\"}]}",
        ));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let lookup: Lookup = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let field = path.trim_matches(['.', '?']);
        let error = error.into_inner();
        if error.is_data() {
            let field = field.chars().take(FIELD_CHARS_MAX).collect();
            invalid(
                field,
                error.to_string(),
                "the reference is at /openapi.json",
            )
        } else {
            malformed(&error)
        }
    })?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(lookup)
}

fn invalid(field: String, detail: String, hint: &str) -> Problem {
    Problem {
        field,
        ..Problem::invalid_lookup(detail, hint)
    }
}

/// Checks the signals; gives them with the distance up to which images match.
fn asked(lookup: Lookup) -> Result<(Vec<Asked>, u32), Problem> {
    let Lookup { signals, distance } = lookup;
    if signals.len() > SIGNALS_MAX {
        return Err(Problem {
            field: "signals".to_owned(),
            ..Problem::too_large(
                format!("{} signals, the limit is {SIGNALS_MAX}", signals.len()),
                "split them over several requests",
            )
        });
    }
    let distance = distance.unwrap_or(PDQ_DISTANCE_MAX);
    if distance > PDQ_DISTANCE_MAX {
        return Err(invalid(
            "distance".to_owned(),
            format!("{distance} is over {PDQ_DISTANCE_MAX}"),
            "send 0 to 31, or leave it out; images are looked up no further than 31 bits",
        ));
    }
    let signals = signals.into_iter().enumerate();
    let asked = signals.map(|(index, signal)| {
        ask(signal).map_err(|(part, detail, hint)| {
            invalid(format!("signals[{index}].{part}"), detail, hint)
        })
    });
    Ok((asked.collect::<Result<_, _>>()?, distance))
}

/// Which part of a signal is wrong, what about it, and what to do.
type Wrong = (&'static str, String, &'static str);

fn ask(signal: LookupSignal) -> Result<Asked, Wrong> {
    let LookupSignal {
        r#type: signal_type,
        value,
        quality,
    } = signal;
    match quality {
        Some(_) if signal_type != SignalType::Pdq => {
            let detail = format!("a {signal_type} has no quality");
            return Err(("quality", detail, "leave it out; it belongs to `pdq`"));
        }
        Some(quality) if quality > 100 => {
            let detail = format!("{quality} is over 100");
            return Err(("quality", detail, "send 0 to 100"));
        }
        _ => {}
    }
    let bytes_max = match signal_type {
        SignalType::Text => TEXT_MAX,
        _ => URL_BYTES_MAX,
    };
    if value.len() > bytes_max {
        let detail = format!("{} bytes long, the limit is {bytes_max}", value.len());
        return Err(("value", detail, "send less of it"));
    }
    // Phrases are looked for in a text, so it need not be a phrase itself.
    if signal_type == SignalType::Text {
        return Ok(Asked::Text(value));
    }
    let hint = match signal_type {
        SignalType::Url => "send an address with its scheme, such as https://",
        _ => "send it as `manara hash` prints it",
    };
    match Signal::parse(signal_type, &value) {
        Ok(Signal::Pdq(hash)) => Ok(Asked::Image(PdqHash {
            hash,
            quality: quality.unwrap_or(100),
        })),
        Ok(exact) => Ok(Asked::Exact(exact)),
        Err(error) => Err(("value", error.to_string(), hint)),
    }
}

impl LookupResult {
    fn of(asked: &Asked, (matches, left_out): (Vec<Match>, usize)) -> Self {
        match asked {
            Asked::Image(PdqHash { quality, .. }) if *quality < PDQ_QUALITY_MIN => Self {
                not_looked_up: Some("quality"),
                detail: Some(format!(
                    "not looked up: quality {quality} is under {PDQ_QUALITY_MIN}, there is too little in the image to tell it from others"
                )),
                ..Self::default()
            },
            _ => Self {
                matches: matches.into_iter().map(LookupMatch::from).collect(),
                left_out,
                ..Self::default()
            },
        }
    }
}

impl From<Match> for LookupMatch {
    fn from(found: Match) -> Self {
        Self {
            signal_type: found.signal_type,
            bank: found.bank,
            member: found.member,
            distance: found.distance,
            span: found.span,
            how: found.how,
            withheld: found.withheld,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(json: &str, status: u16, field: &str, says: &str) {
        let parsed = parse(&Bytes::copy_from_slice(json.as_bytes())).and_then(asked);
        let problem = parsed.unwrap_err();
        assert_eq!(
            (problem.status, &*problem.field),
            (status, field),
            "{problem:?}"
        );
        assert!(problem.detail.contains(says), "{problem:?}");
        assert!(!problem.hint.is_empty(), "{problem:?}");
    }

    /// A request with one good signal before this one.
    fn second(signal: &str) -> String {
        format!(r#"{{"signals":[{{"type":"text","value":"x"}},{signal}]}}"#)
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |signal: &str, part: &str, says: &str| {
            check_refused(&second(signal), 422, &format!("signals[1]{part}"), says);
        };
        refused(
            r#"{"type":"pdq","value":"00ff"}"#,
            ".value",
            "64 hexadecimal digits, this has 4",
        );
        let not_hex = format!(r#"{{"type":"pdq","value":"{}g"}}"#, "0".repeat(63));
        refused(&not_hex, ".value", "`g` at byte 63");
        refused(
            &format!(r#"{{"type":"sha256","value":"{}"}}"#, "0".repeat(40)),
            ".value",
            "SHA-1",
        );
        refused(r#"{"type":"url","value":"not an address"}"#, ".value", "");
        refused(r#"{"type":"pdqq","value":""}"#, ".type", "pdqq");
        refused(r#"{"type":"text"}"#, "", "missing field `value`");
        refused(
            r#"{"type":"text","value":"x","valeu":1}"#,
            ".valeu",
            "unknown field",
        );
        refused(
            r#"{"type":"text","value":17}"#,
            ".value",
            "expected a string",
        );
        refused(
            r#"{"type":"md5","value":"x","quality":50}"#,
            ".quality",
            "has no quality",
        );
        refused(
            r#"{"type":"pdq","value":"x","quality":101}"#,
            ".quality",
            "over 100",
        );
        refused(
            r#"{"type":"pdq","value":"x","quality":-1}"#,
            ".quality",
            "-1",
        );
        let long = "x".repeat(TEXT_MAX + 1);
        refused(
            &format!(r#"{{"type":"text","value":"{long}"}}"#),
            ".value",
            "65537 bytes",
        );
        refused(
            &format!(r#"{{"type":"url","value":"{long}"}}"#),
            ".value",
            "8192",
        );

        check_refused(
            r#"{"signals":[],"distance":32}"#,
            422,
            "distance",
            "32 is over 31",
        );
        check_refused(r#"{"signals":[],"distance":-1}"#, 422, "distance", "-1");
        check_refused("{}", 422, "", "missing field `signals`");
        check_refused("[]", 422, "", "");
        check_refused("{", 400, "", "not JSON");
        check_refused(r#"{"signals":[]} x"#, 400, "", "not JSON");
        let many = vec![r#"{"type":"text","value":"x"}"#; SIGNALS_MAX + 1].join(",");
        check_refused(
            &format!(r#"{{"signals":[{many}]}}"#),
            413,
            "signals",
            "1001 signals",
        );
        assert_eq!(parse(&Bytes::from_static(b"\xff")).unwrap_err().status, 400);
    }

    #[test]
    fn hashes_are_read_in_either_case() {
        let of = |value: &str| {
            ask(LookupSignal {
                r#type: SignalType::Pdq,
                value: value.to_owned(),
                quality: None,
            })
        };
        let (lower, upper) = ("ab".repeat(32), "AB".repeat(32));
        assert_eq!(of(&lower), of(&upper));
        assert!(of(&lower).is_ok());
    }

    #[test]
    fn a_request_is_an_object() {
        for json in ["[1]", "[]", "17", "\"signals\"", ""] {
            check_refused(json, 422, "", "is a JSON object");
        }
        check_refused("{", 400, "", "not JSON");
    }
}
