//! Whether the server lives, is ready, and how it is doing.

use crate::api::auth::Scope;
use crate::api::problem::Problem;
use crate::server::Shared;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The process answers. Says nothing about whether it can accept events.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Banks and rules are loaded and the last write reached the disk.
pub(crate) async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.not_ready() {
        None => "ready\n".into_response(),
        Some(reason) => {
            Problem::unavailable(reason, "wait; the server's log says more").into_response()
        }
    }
}

/// Prometheus text. Holds counts only; from other machines it needs a key with `metrics:read`.
pub(crate) async fn metrics(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !shared.listens_on_loopback {
        shared.keys.authorize(&headers, Scope::MetricsRead)?;
    }
    shared.gauges();
    let text = shared.prometheus.render();
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response())
}
