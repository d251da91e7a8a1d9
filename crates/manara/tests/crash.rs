//! `kill -9` at random moments under load: what was acknowledged is there, and no action has two keys.
//!
//! `CRASHES=50 cargo test --release --test crash` runs the loop longer.

mod common;

use common::{Manner, Platform, Server, manara, post_event, with_slogan_rule};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CRASHES_DEFAULT: u64 = 6;

/// What the platform was told: event id to the whole answer.
type Acknowledged = Arc<Mutex<HashMap<String, Value>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_acknowledged_and_doubles_no_action() {
    let crashes =
        std::env::var("CRASHES").map_or(CRASHES_DEFAULT, |n| n.parse().expect("a number"));
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("data");
    let platform = Platform::start(Manner::Obliging).await;
    with_slogan_rule(&data);
    platform.configure(&data, "first_retry_ms = 50");
    let acknowledged: Acknowledged = Arc::default();
    let next = Arc::new(AtomicU64::new(0));

    for crash in 0..crashes {
        let server = Arc::new(Server::start(&data).await);
        let senders: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn(send_until_it_dies(
                    Arc::clone(&server),
                    Arc::clone(&acknowledged),
                    Arc::clone(&next),
                ))
            })
            .collect();
        // A spread of moments from "just started" to "in full swing"; a fixed sequence that can be repeated.
        let moment = 3 + (crash * 7919 + 13) % 400;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        kill(&server);
        for sender in senders {
            sender.await.unwrap();
        }
    }

    let server = Server::start(&data).await;
    let sent: Vec<(String, Value)> = acknowledged.lock().unwrap().clone().into_iter().collect();
    assert!(
        !sent.is_empty(),
        "nothing was acknowledged, so nothing was tested"
    );
    for batch in sent.chunks(100) {
        check_again(&server, batch).await;
    }
    let known: Vec<&str> = sent
        .iter()
        .filter_map(|(_, answer)| answer["actions"][0]["id"].as_str())
        .collect();
    let delivered = || {
        platform
            .arrived()
            .into_iter()
            .map(|(key, _)| key)
            .collect::<HashSet<String>>()
    };
    // Events that were kept and whose answer the crash cut off are delivered as well, so a count would not do.
    common::eventually("every acknowledged action is delivered", || {
        let delivered = delivered();
        known.iter().all(|id| delivered.contains(*id))
    })
    .await;
    for (request, keys) in platform.keys_by_request() {
        assert_eq!(
            keys.len(),
            1,
            "{request} was delivered under the keys {keys:?}"
        );
    }
    let removals = delivered().len();
    assert!(server.stop().success());
    let verified = manara(&["audit", "verify", "--data", data.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
    eprintln!(
        "{crashes} crashes, {} events acknowledged, {} removals delivered",
        sent.len(),
        removals
    );
}

fn kill(server: &Server) {
    let status = std::process::Command::new("kill")
        .args(["-9", &server.child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

async fn send_until_it_dies(server: Arc<Server>, acknowledged: Acknowledged, next: Arc<AtomicU64>) {
    loop {
        let events: Vec<Value> = (0..20)
            .map(|_| {
                let id = next.fetch_add(1, Ordering::Relaxed);
                let text = if id.is_multiple_of(5) {
                    "Rise under the grey banner!"
                } else {
                    "an ordinary post"
                };
                post_event(&format!("e{id}"), text)
            })
            .collect();
        let body = Value::Array(events).to_string();
        let Ok((status, text)) = server.try_post("application/json", body).await else {
            return;
        };
        assert_eq!(status, 200, "{text}");
        let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut acknowledged = acknowledged.lock().unwrap();
        for answer in answers {
            acknowledged.insert(answer["id"].as_str().unwrap().to_owned(), answer);
        }
    }
}

/// Sends acknowledged events again: each is answered as the first time.
async fn check_again(server: &Server, batch: &[(String, Value)]) {
    let events: Vec<Value> = batch
        .iter()
        .map(|(id, _)| {
            let number: u64 = id.trim_start_matches('e').parse().unwrap();
            post_event(
                id,
                if number.is_multiple_of(5) {
                    "Rise under the grey banner!"
                } else {
                    "an ordinary post"
                },
            )
        })
        .collect();
    let (status, answers) = server.events(&Value::Array(events)).await;
    assert_eq!(status, 200);
    for ((id, first), again) in batch.iter().zip(answers.as_array().unwrap()) {
        assert_eq!(
            again["duplicate"],
            json!(true),
            "{id} was acknowledged and is gone"
        );
        for part in ["decision", "actions", "verdicts"] {
            assert_eq!(again[part], first[part], "{id}: {part}");
        }
    }
}
