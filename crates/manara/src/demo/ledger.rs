//! The platform's side of the demo: a webhook receiver that checks signatures and keeps count.

use crate::clock;
use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use serde_json::Value;
use standardwebhooks::Webhook;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the platform was asked to do.
pub(super) struct Ledger {
    pub(super) url: String,
    pub(super) secret: String,
    state: Arc<Receiving>,
}

struct Receiving {
    signer: Webhook,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// For each idempotency key, what it asked for.
    by_key: HashMap<String, Value>,
    /// For each thing asked for, under which key.
    by_request: HashMap<String, String>,
    problems: Vec<String>,
}

impl Ledger {
    /// Listens on a free port of this machine.
    pub(super) async fn start() -> Result<Self> {
        let key = base64::engine::general_purpose::STANDARD.encode(clock::random::<32>());
        let secret = format!("whsec_{key}");
        let signer =
            Webhook::new(&secret).map_err(|e| anyhow::anyhow!("the demo's webhook secret: {e}"))?;
        let state = Arc::new(Receiving {
            signer,
            book: Mutex::default(),
        });
        let app = Router::new()
            .route("/hook", post(receive))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .context("listening for webhooks")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the demo's webhook receiver: {error}");
            }
        });
        Ok(Self { url, secret, state })
    }

    /// Number of different actions delivered.
    pub(super) fn delivered(&self) -> usize {
        self.state
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_key
            .len()
    }

    /// What is wrong with what arrived, when `expected` actions should have.
    pub(super) fn problems(&self, expected: u64) -> Vec<String> {
        let book = self
            .state
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut problems = book.problems.clone();
        if book.by_key.len() as u64 != expected {
            problems.push(format!(
                "{expected} actions are marked delivered and {} arrived",
                book.by_key.len()
            ));
        }
        problems
    }
}

async fn receive(
    State(state): State<Arc<Receiving>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut book = state.book.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = state.signer.verify(&body, &headers) {
        book.problems
            .push(format!("a webhook was not signed as it should be: {error}"));
        return StatusCode::UNAUTHORIZED;
    }
    let key = headers
        .get("webhook-id")
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let payload: Value = serde_json::from_slice(&body).unwrap_or_default();
    book.note(key, payload);
    StatusCode::NO_CONTENT
}

impl Book {
    /// The same key may come again with the same request; the same request under two keys may not.
    fn note(&mut self, key: String, payload: Value) {
        let request = format!(
            "{} {} {}",
            payload["data"]["event"],
            payload["data"]["action"]["kind"],
            payload["data"]["action"]["target"]
        );
        let request = format!("{request} {}", payload["data"]["action"]["label"]);
        if let Some(other) = self
            .by_request
            .insert(request.clone(), key.clone())
            .filter(|other| *other != key)
        {
            self.problems.push(format!(
                "{request} arrived under two keys, {other} and {key}"
            ));
        }
        if self
            .by_key
            .insert(key.clone(), payload.clone())
            .is_some_and(|earlier| earlier["data"] != payload["data"])
        {
            self.problems
                .push(format!("{key} arrived with two different contents"));
        }
    }
}
