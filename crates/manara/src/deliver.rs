//! The outbox's way out: each action to each webhook, signed, retried, and at last visibly dead.
//!
//! Signed as the Standard Webhooks specification says: `webhook-id` is the action's idempotency key
//! and is the same at every attempt, so a receiver that did the work and then failed to answer can
//! tell that it is being asked again. Nothing is delivered before its commit.

use crate::clock;
use crate::config::{Delivery, Webhook};
use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use manara_store::{Attempt, OutboxItem, Store};
use reqwest::{Client, redirect};
use serde::Serialize;
use standardwebhooks::Webhook as Signer;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Most deliveries under way to one receiver at once.
const CONCURRENT_PER_RECEIVER: usize = 16;
/// How long the outbox is left alone when nothing is due and nobody calls.
const IDLE: Duration = Duration::from_millis(500);
/// The longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_hours(6);

/// Somebody who carries out actions.
struct Receiver {
    name: String,
    url: String,
    signer: Signer,
    slots: Arc<Semaphore>,
}

/// Delivers until the process ends.
pub(crate) struct Deliverer {
    store: Store,
    client: Client,
    receivers: HashMap<String, Arc<Receiver>>,
    delivery: Delivery,
    /// Rung after a commit that added to the outbox.
    bell: Arc<Notify>,
}

/// What a receiver gets.
#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    action: &'a manara_model::Action,
    decision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventRef<'a>>,
}

#[derive(Serialize)]
struct EventRef<'a> {
    source: &'a str,
    id: &'a str,
}

impl Deliverer {
    pub(crate) fn new(
        store: Store,
        webhooks: &[Webhook],
        delivery: Delivery,
        bell: Arc<Notify>,
    ) -> Result<Self> {
        let client = Client::builder()
            .timeout(Duration::from_millis(delivery.timeout_ms))
            // A redirect would carry a signed action to somebody who was not configured.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("manara/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("preparing the webhook client")?;
        let receivers = webhooks.iter().map(receiver).collect::<Result<_>>()?;
        Ok(Self {
            store,
            client,
            receivers,
            delivery,
            bell,
        })
    }

    /// Delivers what is due, waits for the bell or the next half second, and again.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            match self.round().await {
                Ok(0) => {
                    let _ = tokio::time::timeout(IDLE, self.bell.notified()).await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!("the outbox waits: {error}");
                    tokio::time::sleep(IDLE).await;
                }
            }
        }
    }

    /// Takes what is due for receivers that have room, and starts on it. Says how much it took.
    async fn round(self: &Arc<Self>) -> Result<usize> {
        let mut taken = 0;
        for receiver in self.receivers.values() {
            let room = receiver.slots.available_permits();
            if room == 0 {
                continue;
            }
            let now = clock::now();
            // Longer than any attempt can take, so a lease ends only when this process died.
            let until =
                now + SignedDuration::from_millis(self.delivery.timeout_ms as i64 * 2 + 30_000);
            let name = receiver.name.clone();
            let items = self
                .store
                .lease_outbox(&name, now, until, room)
                .await
                .context("taking from the outbox")?;
            for item in items {
                taken += 1;
                let (this, receiver) = (Arc::clone(self), Arc::clone(receiver));
                let permit = Arc::clone(&receiver.slots)
                    .acquire_owned()
                    .await
                    .context("waiting for a slot")?;
                tokio::spawn(async move {
                    this.attempt(&receiver, item).await;
                    drop(permit);
                    this.bell.notify_one();
                });
            }
        }
        Ok(taken)
    }

    async fn attempt(&self, receiver: &Receiver, item: OutboxItem) {
        let result = self.post(receiver, &item).await;
        let attempt = match &result {
            Ok(()) => Attempt::Delivered,
            Err(Failure { reason, .. }) if item.attempt >= self.delivery.attempts_max => {
                Attempt::Dead {
                    error: reason.clone(),
                }
            }
            Err(Failure { reason, wait }) => {
                let wait = wait.unwrap_or_else(|| backoff(&self.delivery, item.attempt));
                Attempt::Failed {
                    error: reason.clone(),
                    next_at: clock::now() + wait,
                }
            }
        };
        let word = match &attempt {
            Attempt::Delivered => "delivered",
            Attempt::Failed { .. } => "failed",
            Attempt::Dead { .. } => "dead",
        };
        metrics::counter!("manara_deliveries_total", "receiver" => receiver.name.clone(), "result" => word).increment(1);
        if let Err(Failure { reason, .. }) = &result {
            tracing::warn!(action.id = %item.action.id, receiver = %receiver.name, attempt = item.attempt, "delivery {word}: {reason}");
        }
        // When this cannot be written the lease runs out and the same action goes out again under
        // the same key: at least once, never under two keys.
        if let Err(error) = self
            .store
            .settle_outbox(item.token, attempt, clock::now())
            .await
        {
            tracing::warn!(action.id = %item.action.id, "recording a delivery: {error}");
        }
    }

    async fn post(&self, receiver: &Receiver, item: &OutboxItem) -> Result<(), Failure> {
        let now = clock::now();
        let data = Data {
            action: &item.action,
            decision: item.decision.to_string(),
            event: item
                .event
                .as_ref()
                .map(|(source, id)| EventRef { source, id }),
        };
        let payload = Payload {
            r#type: "action.requested",
            timestamp: item.requested_at,
            data,
        };
        let body = serde_json::to_vec(&payload)
            .map_err(|e| Failure::new(format!("writing the payload: {e}")))?;
        let id = item.action.id.as_str();
        let signature = receiver
            .signer
            .sign(id, now.as_second(), &body)
            .map_err(|e| Failure::new(format!("signing the payload: {e}")))?;
        let sent = self
            .client
            .post(&receiver.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.as_second().to_string())
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await;
        let response =
            sent.map_err(|error| Failure::new(explain(&error, self.delivery.timeout_ms)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let wait = retry_after(&response).filter(|_| matches!(status.as_u16(), 429 | 503));
        Err(Failure {
            reason: format!("the receiver answered {status}"),
            wait,
        })
    }
}

struct Failure {
    reason: String,
    /// How long the receiver asked to be left alone.
    wait: Option<Duration>,
}

impl Failure {
    fn new(reason: String) -> Self {
        Self { reason, wait: None }
    }
}

fn receiver(webhook: &Webhook) -> Result<(String, Arc<Receiver>)> {
    let signer = Signer::new(&webhook.secret)
        .map_err(|e| anyhow::anyhow!("{e}"))
        .with_context(|| format!("the secret of webhook `{}`", webhook.name))?;
    let receiver = Receiver {
        name: webhook.name.clone(),
        url: webhook.url.clone(),
        signer,
        slots: Arc::new(Semaphore::new(CONCURRENT_PER_RECEIVER)),
    };
    Ok((webhook.name.clone(), Arc::new(receiver)))
}

fn explain(error: &reqwest::Error, timeout_ms: u64) -> String {
    if error.is_timeout() {
        format!(
            "the receiver did not answer within {timeout_ms} ms; it may have done the work, and will see the same webhook-id again"
        )
    } else if error.is_connect() {
        "the receiver cannot be reached".into()
    } else {
        // The URL may hold a token, so it stays out.
        format!(
            "the request broke off: {}",
            std::error::Error::source(error)
                .map_or_else(|| "no reason given".into(), ToString::to_string)
        )
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds: u64 = response
        .headers()
        .get("retry-after")?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_MAX))
}

/// Twice as long after each failure, with up to a quarter more at random, so that a receiver that
/// comes back is not met by everything at once.
fn backoff(delivery: &Delivery, attempt: u32) -> Duration {
    let doubled = delivery.first_retry_ms.saturating_mul(
        1_u64
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u64::MAX),
    );
    let capped = doubled.min(RETRY_MAX.as_millis() as u64);
    let jitter = u64::from(u16::from_be_bytes(clock::random())) * capped / 4 / u64::from(u16::MAX);
    Duration::from_millis(capped + jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_six_hours() {
        let delivery = Delivery {
            timeout_ms: 1,
            attempts_max: 12,
            first_retry_ms: 1000,
        };
        for (attempt, at_least_ms) in [
            (1, 1000),
            (2, 2000),
            (5, 16_000),
            (40, 21_600_000),
            (200, 21_600_000),
        ] {
            let wait = backoff(&delivery, attempt).as_millis() as u64;
            assert!(
                (at_least_ms..=at_least_ms * 5 / 4).contains(&wait),
                "attempt {attempt}: {wait} ms"
            );
        }
    }
}
