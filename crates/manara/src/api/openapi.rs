//! The API's description, OpenAPI 3.1 at `/openapi.json`, and a page for each kind of problem.

use crate::api::lookup::{Lookup, LookupAnswer, LookupMatch, LookupResult, LookupSignal};
use crate::api::problem::Problem;
use crate::api::{events, lookup};
use crate::pipeline::{Answer, AnsweredVerdict};
use axum::Json;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use manara_model::{Account, Action, Content, Event, Match, Medium, Space};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(title = "Manara", description = "Send what happens on your platform; get back what to do about it, and why."),
    paths(events::post, lookup::post, healthz, readyz, metrics),
    components(schemas(Event, Account, Space, Content, Medium, Answer, AnsweredVerdict, Action, Match, Lookup, LookupSignal, LookupAnswer, LookupResult, LookupMatch, Problem)),
    modifiers(&Keys)
)]
struct Api;

struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("api_key", scheme);
    }
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It does", body = String)))]
#[expect(
    dead_code,
    reason = "only its description is used; the handler is in `health`"
)]
fn healthz() {}

/// Whether events can be accepted.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "They can", body = String),
    (status = 503, description = "Not yet, and why", body = Problem, content_type = "application/problem+json")))]
#[expect(
    dead_code,
    reason = "only its description is used; the handler is in `health`"
)]
fn readyz() {}

/// Counts for Prometheus. Needs the scope `metrics:read` unless the server listens on loopback.
#[utoipa::path(get, path = "/metrics", security((), ("api_key" = [])), responses((status = 200, description = "Prometheus text", body = String)))]
#[expect(
    dead_code,
    reason = "only its description is used; the handler is in `health`"
)]
fn metrics() {}

pub(crate) async fn json() -> Response {
    Json(Api::openapi()).into_response()
}

/// What stands behind the `type` of a problem.
pub(crate) async fn problem_page(Path(kind): Path<String>) -> Result<Response, Problem> {
    let unknown = || {
        Problem::not_found(
            format!(
                "there is no kind of problem `{}`",
                kind.chars().take(64).collect::<String>()
            ),
            "",
        )
    };
    let (title, text) = Problem::kinds()
        .into_iter()
        .find(|(known, ..)| known.ends_with(&format!("/{kind}")))
        .map(|(_, title, status)| (title, status))
        .ok_or_else(unknown)?;
    let body = format!(
        "{title}\n\nHTTP status {text}. Each such problem says in `detail` what was wrong and in `hint` what to do.\n"
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_every_route_and_schema() {
        let api = serde_json::to_value(Api::openapi()).unwrap();
        assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
        for path in [
            "/api/v1/events",
            "/api/v1/lookup",
            "/healthz",
            "/readyz",
            "/metrics",
        ] {
            assert!(api["paths"].get(path).is_some(), "{path}");
        }
        let event = &api["components"]["schemas"]["Event"];
        assert_eq!(event["properties"]["time"]["format"], "date-time");
    }
}
