//! The HTTP API: one module per concern, all errors as RFC 9457 problem details.

pub(crate) mod auth;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod lookup;
pub(crate) mod openapi;
pub(crate) mod problem;

use crate::server::Shared;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use problem::Problem;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How much of a content type is said again in a problem, in characters.
const CONTENT_TYPE_CHARS_MAX: usize = 80;

/// The routes for programs; the console's are added beside them.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/events", post(events::post))
        .route("/api/v1/lookup", post(lookup::post))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::json))
        .route("/problems/{kind}", get(openapi::problem_page))
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not for {}", uri.path());
    Problem::method(detail, "see /openapi.json for what each address takes")
}

/// What a request says it holds, in lower case and without parameters.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|v| v.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    let essence = essence.chars().take(CONTENT_TYPE_CHARS_MAX);
    essence.collect::<String>().to_ascii_lowercase()
}

fn not_ready() -> Problem {
    Problem::unavailable(
        "the server is still loading its banks",
        "send it again after a second; /readyz says when it is ready",
    )
}

/// The whole body, within the limits of size and time; `hint` says what to do with a larger one.
async fn read_body(shared: &Shared, body: Body, hint: &str) -> Result<Bytes, Problem> {
    use http_body_util::{BodyExt, LengthLimitError, Limited};
    let limits = &shared.config.limits;
    let (bytes_max, time) = (
        limits.body_bytes,
        Duration::from_secs(limits.request_timeout_s),
    );
    let collected = tokio::time::timeout(time, Limited::new(body, bytes_max).collect())
        .await
        .map_err(|_| {
            Problem::timeout(
                format!("the body did not arrive within {} s", time.as_secs()),
                hint,
            )
        })?;
    let collected = collected.map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() {
            Problem::too_large(format!("the body is over {bytes_max} bytes"), hint)
        } else {
            Problem::malformed(format!("the body broke off: {error}"), "send it again")
        }
    })?;
    Ok(collected.to_bytes())
}

fn json_response<T: Serialize>(value: &T) -> Response {
    let json = HeaderValue::from_static("application/json");
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, json)], body).into_response(),
        Err(error) => Problem::internal(error.to_string(), "report this as a bug").into_response(),
    }
}
