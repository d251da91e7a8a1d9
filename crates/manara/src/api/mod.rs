//! The HTTP API: one module per concern, all errors as RFC 9457 problem details.

pub(crate) mod auth;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod openapi;
pub(crate) mod problem;

use crate::server::Shared;
use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::{get, post};
use problem::Problem;
use std::sync::Arc;

/// The routes for programs; the console's are added beside them.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/events", post(events::post))
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
