//! `POST /api/v1/events`: one event, an array, or a stream of lines; one answer each.
//!
//! | sent as | answered as |
//! |---|---|
//! | `application/json`, an object | 200 and the answer, or the problem with its own status |
//! | `application/json`, an array of at most 1,000 | 200 and an array in the same order; a bad event is a problem in its place, the others go on |
//! | `application/x-ndjson` | 200 and a stream of one line each, in the same order, each written once its event is kept |
//! | `application/cloudevents+json`, `application/cloudevents-batch+json` | as the first two |

use crate::api::auth::Scope;
use crate::api::problem::Problem;
use crate::api::{content_type, json_response, not_ready, read_body};
use crate::pipeline::{self, Answer, Pipeline, Prepared};
use crate::server::Shared;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use manara_model::Event;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most events decided on and committed together from one stream.
const STREAM_GROUP: usize = 100;
/// How long a stream's group waits to fill before it is committed.
const STREAM_WAIT: Duration = Duration::from_millis(5);

/// One item of an array or stream.
#[derive(Serialize)]
#[serde(untagged)]
enum Item {
    Answer(Box<Answer>),
    Problem { problem: Problem },
}

impl From<Result<Answer, Problem>> for Item {
    fn from(result: Result<Answer, Problem>) -> Self {
        match result {
            Ok(answer) => Self::Answer(Box::new(answer)),
            Err(problem) => {
                metrics::counter!("manara_events_refused_total", "problem" => problem.kind)
                    .increment(1);
                Self::Problem { problem }
            }
        }
    }
}

enum Form {
    Json,
    Lines,
}

/// Send events: one, an array of at most 1,000, or a stream of lines. Each is answered once it is kept.
#[utoipa::path(
    post, path = "/api/v1/events", security(("api_key" = [])),
    request_body(content((Event = "application/json"), (Event = "application/x-ndjson"), (Event = "application/cloudevents+json"))),
    responses(
        (status = 200, description = "The answer; for an array or a stream one per event, in order, a problem in place of each event that was refused", body = Answer),
        (status = 401, description = "No valid API key", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another event has this source and id", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The event is not valid", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not ready", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "No room to keep it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let started = Instant::now();
    let response = receive(shared, &headers, body)
        .await
        .unwrap_or_else(Problem::into_response);
    metrics::histogram!("manara_request_duration_seconds", "route" => "events")
        .record(started.elapsed().as_secs_f64());
    response
}

async fn receive(
    shared: Arc<Shared>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    shared.keys.authorize(headers, Scope::EventsWrite)?;
    let form = form(headers)?;
    let pipeline = shared.pipeline().ok_or_else(not_ready)?;
    match form {
        Form::Lines => Ok(lines(shared, pipeline, body)),
        Form::Json => {
            let hint = "send fewer events at once, stream them as application/x-ndjson, or give media by `url`";
            let bytes = read_body(&shared, body, hint).await?;
            json(&shared, &pipeline, &bytes).await
        }
    }
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    match content_type(headers).as_str() {
        "application/json"
        | "application/cloudevents+json"
        | "application/cloudevents-batch+json" => Ok(Form::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Form::Lines),
        other => Err(Problem::media_type(
            format!("the content type is `{other}`"),
            "send application/json or application/x-ndjson",
        )),
    }
}

async fn json(shared: &Shared, pipeline: &Pipeline, bytes: &Bytes) -> Result<Response, Problem> {
    let is_array = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    if is_array {
        let items = elements(bytes, shared.config.limits.events_per_array)?;
        return Ok(json_response(&handle(pipeline, items).await?));
    }
    let prepared = pipeline.prepare(bytes).await.inspect_err(count_refused)?;
    count_received(1);
    let answer = pipeline::commit(pipeline, vec![prepared]).await?.pop();
    let answer = answer.unwrap_or_else(|| {
        Err(Problem::internal(
            "no answer came back",
            "report this as a bug",
        ))
    });
    Ok(json_response(&answer.inspect_err(count_refused)?))
}

fn count_refused(problem: &Problem) {
    metrics::counter!("manara_events_refused_total", "problem" => problem.kind).increment(1);
}

fn count_received(events: usize) {
    metrics::counter!("manara_events_received_total").increment(events as u64);
}

/// The elements of a JSON array, each still as text: one that is wrong inside must not take the others with it.
fn elements(bytes: &Bytes, max: usize) -> Result<Vec<Bytes>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Problem::malformed(
            format!("the body is not UTF-8 from byte {}", e.valid_up_to()),
            "send JSON encoded as UTF-8",
        )
    })?;
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| {
        Problem::malformed(
            format!("the array is not JSON: {e}"),
            "nothing of it was accepted; mend it and send it again",
        )
    })?;
    if items.len() > max {
        return Err(Problem::too_large(
            format!("the array holds {} events, the limit is {max}", items.len()),
            "split it, or stream the events as application/x-ndjson",
        ));
    }
    let element = |item: &&RawValue| bytes.slice_ref(item.get().as_bytes());
    Ok(items.iter().map(element).collect())
}

/// Decides on and commits events sent together. The outer error means that none of them was kept.
async fn handle(pipeline: &Pipeline, items: Vec<Bytes>) -> Result<Vec<Item>, Problem> {
    count_received(items.len());
    let prepared = pipeline.prepare_all(items.into_iter().map(Ok).collect());
    commit_in_place(pipeline, prepared.await).await
}

/// Commits what could be prepared, and puts each answer where its event stood.
async fn commit_in_place(
    pipeline: &Pipeline,
    prepared: Vec<Result<Prepared, Problem>>,
) -> Result<Vec<Item>, Problem> {
    let mut items: Vec<Option<Item>> = Vec::with_capacity(prepared.len());
    let mut ready = Vec::with_capacity(prepared.len());
    for result in prepared {
        match result {
            Ok(event) => {
                ready.push(event);
                items.push(None);
            }
            Err(problem) => items.push(Some(Err(problem).into())),
        }
    }
    let mut answers = if ready.is_empty() {
        Vec::new()
    } else {
        pipeline::commit(pipeline, ready).await?
    }
    .into_iter();
    let missing = || {
        Err(Problem::internal(
            "no answer came back for this event",
            "report this as a bug",
        ))
    };
    Ok(items
        .into_iter()
        .map(|item| item.unwrap_or_else(|| answers.next().unwrap_or_else(missing).into()))
        .collect())
}

/// Answers a stream line by line while it is still being sent.
fn lines(shared: Arc<Shared>, pipeline: Arc<Pipeline>, body: Body) -> Response {
    let limits = &shared.config.limits;
    let reader = LineReader {
        body: body.into_data_stream().boxed(),
        buffer: BytesMut::new(),
        scanned: 0,
        line_bytes_max: limits.line_bytes,
        number: 0,
        state: Reading::Open,
        idle: Duration::from_secs(limits.request_timeout_s),
    };
    let answers = stream::unfold((reader, pipeline), |(mut reader, pipeline)| async move {
        let group = reader.group().await?;
        let text = answer_group(&pipeline, group).await;
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from(text)),
            (reader, pipeline),
        ))
    });
    let mut response = Response::new(Body::from_stream(answers));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    response
}

async fn answer_group(pipeline: &Pipeline, group: Vec<Line>) -> Vec<u8> {
    count_received(group.len());
    let count = group.len();
    let prepared = pipeline.prepare_all(group).await;
    let items = commit_in_place(pipeline, prepared)
        .await
        .unwrap_or_else(|problem| {
            // The whole group was refused by the store: every line of it says so, and can be sent again.
            (0..count)
                .map(|_| Item::Problem {
                    problem: problem.clone(),
                })
                .collect()
        });
    let mut text = Vec::with_capacity(count * 160);
    for item in &items {
        if serde_json::to_writer(&mut text, item).is_ok() {
            text.push(b'\n');
        }
    }
    text
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Open,
    /// Inside a line that is over the limit: dropped up to its end.
    Skipping,
    Ended,
}

/// Cuts a body into lines without ever holding more than one line and one chunk.
struct LineReader {
    body: stream::BoxStream<'static, Result<Bytes, axum::Error>>,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    scanned: usize,
    line_bytes_max: usize,
    number: u64,
    state: Reading,
    idle: Duration,
}

type Line = Result<Bytes, Problem>;

impl LineReader {
    /// The next lines that belong together: those already here, at most [`STREAM_GROUP`].
    async fn group(&mut self) -> Option<Vec<Line>> {
        let mut group = vec![self.next(None).await?];
        let deadline = tokio::time::Instant::now() + STREAM_WAIT;
        while group.len() < STREAM_GROUP {
            match self.next(Some(deadline)).await {
                Some(line) => group.push(line),
                None => break,
            }
        }
        Some(group)
    }

    /// The next line that is not blank; `None` at the end, or when `deadline` passes.
    async fn next(&mut self, deadline: Option<tokio::time::Instant>) -> Option<Line> {
        loop {
            if let Some(line) = self.buffered() {
                return Some(line);
            }
            if self.state == Reading::Ended {
                return self.last();
            }
            let wait = deadline.unwrap_or_else(|| tokio::time::Instant::now() + self.idle);
            match tokio::time::timeout_at(wait, self.body.next()).await {
                Err(_) if deadline.is_some() => return None,
                Err(_) => {
                    self.state = Reading::Ended;
                    self.buffer.clear();
                    return Some(Err(Problem::timeout(
                        format!(
                            "nothing arrived after line {} for {} s",
                            self.number,
                            self.idle.as_secs()
                        ),
                        "what was answered is kept; send the rest in a new request",
                    )));
                }
                Ok(None) => self.state = Reading::Ended,
                Ok(Some(Ok(chunk))) => self.buffer.extend_from_slice(&chunk),
                Ok(Some(Err(error))) => {
                    self.state = Reading::Ended;
                    self.buffer.clear();
                    return Some(Err(Problem::malformed(
                        format!("the stream broke off after line {}: {error}", self.number),
                        "what was answered is kept; send the rest again",
                    )));
                }
            }
        }
    }

    /// A whole line out of the buffer, blank ones left out.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(end) = unseen
                .iter()
                .position(|b| *b == b'\n')
                .map(|at| at + self.scanned)
            else {
                self.scanned = self.buffer.len();
                return self.overlong();
            };
            let line = self.buffer.split_to(end + 1).freeze();
            self.scanned = 0;
            self.number += 1;
            if self.state == Reading::Skipping {
                self.state = Reading::Open;
                continue;
            }
            if line.len() > self.line_bytes_max + 1 {
                return Some(Err(self.too_long()));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(Ok(line));
            }
        }
    }

    fn overlong(&mut self) -> Option<Line> {
        if self.buffer.len() <= self.line_bytes_max {
            return None;
        }
        self.buffer.clear();
        self.scanned = 0;
        if self.state == Reading::Skipping {
            return None;
        }
        self.state = Reading::Skipping;
        self.number += 1;
        let problem = self.too_long();
        self.number -= 1;
        Some(Err(problem))
    }

    fn too_long(&self) -> Problem {
        Problem::too_large(
            format!("line {} is over {} bytes", self.number, self.line_bytes_max),
            "give media by `url`, or as ready-made `signals`; the other lines go on",
        )
    }

    /// What stands after the last line end.
    fn last(&mut self) -> Option<Line> {
        let line = self.buffer.split().freeze();
        self.scanned = 0;
        self.number += 1;
        (!line.iter().all(u8::is_ascii_whitespace)).then_some(Ok(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(chunks: &[&'static str], line_bytes_max: usize) -> Vec<String> {
        let chunks: Vec<Result<Bytes, axum::Error>> = chunks
            .iter()
            .map(|c| Ok(Bytes::from_static(c.as_bytes())))
            .collect();
        let mut reader = LineReader {
            body: stream::iter(chunks).boxed(),
            buffer: BytesMut::new(),
            scanned: 0,
            line_bytes_max,
            number: 0,
            state: Reading::Open,
            idle: Duration::from_secs(1),
        };
        let mut found = Vec::new();
        while let Some(group) = reader.group().await {
            found.extend(group.into_iter().map(|line| match line {
                Ok(line) => std::str::from_utf8(&line).unwrap().trim_end().to_owned(),
                Err(problem) => format!("{}: {}", problem.status, problem.detail),
            }));
        }
        found
    }

    #[tokio::test]
    async fn lines_are_cut_wherever_the_chunks_end() {
        assert_eq!(
            read(&["{1}\n{2", "}\n", "\n \n{3}"], 100).await,
            ["{1}", "{2}", "{3}"]
        );
        assert_eq!(read(&[], 100).await, Vec::<String>::new());
        assert_eq!(read(&["\n\n"], 100).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_named_and_the_rest_goes_on() {
        let found = read(&["short\n", "aaaaaaaaaa", "aaaaaaaaaa", "aaaaa\nnext\n"], 8).await;
        assert_eq!(found, ["short", "413: line 2 is over 8 bytes", "next"]);
        let found = read(&["aaaaaaaaaaaaaaa\nnext\n"], 8).await;
        assert_eq!(found, ["413: line 1 is over 8 bytes", "next"]);
    }
}
