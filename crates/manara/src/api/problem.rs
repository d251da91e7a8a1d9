//! What a client can do about it: RFC 9457 problem details.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use manara_model::EventError;
use serde::Serialize;
use utoipa::ToSchema;

/// A problem as RFC 9457 writes it, with the field and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A stable identifier for this kind of problem, for programs.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid-event")]
    pub(crate) kind: &'static str,
    /// The kind of problem in words.
    pub(crate) title: &'static str,
    /// The HTTP status; inside an array or stream, that of this item alone.
    pub(crate) status: u16,
    /// What was wrong this time.
    pub(crate) detail: String,
    /// The field it is about, as a path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) field: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) hint: String,
    /// The event's id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

macro_rules! problems {
    ($($(#[$meta:meta])* $name:ident = $status:ident, $kind:literal, $title:literal;)+) => {
        impl Problem {
            $($(#[$meta])* pub(crate) fn $name(detail: impl Into<String>, hint: impl Into<String>) -> Self {
                Self {
                    kind: concat!("/problems/", $kind),
                    title: $title,
                    status: StatusCode::$status.as_u16(),
                    detail: detail.into(),
                    field: String::new(),
                    hint: hint.into(),
                    id: None,
                }
            })+

            /// Every kind of problem: type, title, status.
            pub(crate) fn kinds() -> Vec<(&'static str, &'static str, u16)> {
                vec![$((concat!("/problems/", $kind), $title, StatusCode::$status.as_u16())),+]
            }
        }
    };
}

problems! {
    /// The request as a whole cannot be read.
    malformed = BAD_REQUEST, "malformed-request", "The request cannot be read";
    /// One event is not as it should be.
    invalid = UNPROCESSABLE_ENTITY, "invalid-event", "The event is not valid";
    /// One signal to be looked up is not as it should be.
    invalid_lookup = UNPROCESSABLE_ENTITY, "invalid-lookup", "The lookup is not valid";
    /// No key, or one that is unknown or revoked.
    unauthorized = UNAUTHORIZED, "unauthorized", "An API key is needed";
    /// The key may not do this.
    forbidden = FORBIDDEN, "forbidden", "The API key may not do this";
    /// The idempotency key was used with another body.
    conflict = CONFLICT, "conflicting-duplicate", "Another event has this source and id";
    /// The request is larger than its limit.
    too_large = PAYLOAD_TOO_LARGE, "too-large", "The request is too large";
    /// The content type is not one of ours.
    media_type = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The content type is not supported";
    /// There is nothing at this address.
    not_found = NOT_FOUND, "not-found", "There is nothing here";
    /// The method is not for this address.
    method = METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not for this address";
    /// Not ready yet, or too busy: try again.
    unavailable = SERVICE_UNAVAILABLE, "unavailable", "Not now";
    /// The disk is full: nothing can be accepted.
    full = INSUFFICIENT_STORAGE, "storage-full", "There is no room to keep this";
    /// The request did not arrive in time.
    timeout = REQUEST_TIMEOUT, "timeout", "The request took too long";
    /// Our fault.
    internal = INTERNAL_SERVER_ERROR, "internal", "Something is wrong on this server";
}

impl Problem {
    pub(crate) fn with_id(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    fn retry_after(&self) -> Option<HeaderValue> {
        matches!(self.status, 503 | 507).then(|| HeaderValue::from_static("1"))
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        Self {
            field: error.field,
            ..Self::invalid(error.problem, error.hint)
        }
    }
}

impl From<manara_store::StoreError> for Problem {
    fn from(error: manara_store::StoreError) -> Self {
        use manara_store::StoreError;
        match error {
            StoreError::Full { .. } => Self::full(
                "the database cannot grow: the disk or the configured limit is full",
                "nothing of this was accepted; free space on the server, then send it again",
            ),
            StoreError::Busy => Self::unavailable(
                "too much is waiting to be written",
                "send it again after a second",
            ),
            other => {
                // The client learns that it failed and that a retry is safe; the operator learns why.
                tracing::error!("writing to the store: {other}");
                Self::internal(
                    "the event could not be kept, and was not accepted",
                    "send it again; the server's log says more",
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, value);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
