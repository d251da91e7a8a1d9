//! Counters in the console: what is in memory, in words.

use super::*;
use crate::past::CounterStatus;

fn counting(counters: Vec<CounterStatus>) -> App {
    app_with(
        tempfile::tempdir().unwrap(),
        clock::<0>,
        false,
        |_, options| {
            options.counters = Arc::new(move || Some(counters.clone()));
        },
    )
}

fn status(name: &str) -> CounterStatus {
    CounterStatus {
        name: name.into(),
        text: "counter links <by account>".into(),
        keys: 1_200,
        keys_max: 100_000,
        bytes: 3 << 20,
        evicted: 0,
        largest_lost: 0,
        dropped_late: 0,
    }
}

#[tokio::test]
async fn what_counters_hold_and_lost_is_said_in_words() {
    let lossy = CounterStatus {
        evicted: 1_234,
        largest_lost: 7,
        dropped_late: 1,
        ..status("lossy")
    };
    let app = counting(vec![status("exact"), lossy]);
    let mut noor = app.logged_in("noor", false);
    noor.get("/rules/counters").await.is(
        StatusCode::OK,
        &[
            "exact",
            "&lt;by account&gt;",
            "1,200",
            "of 100,000",
            "3.0 MiB",
            "6.0 MiB",
            "nothing lost",
            "1,234 keys were put out",
            "too low by up to 7",
            "1 event came too late",
        ],
    );
    app.browser()
        .get("/rules/counters")
        .await
        .is(StatusCode::SEE_OTHER, &[]);
}

#[tokio::test]
async fn without_counters_the_page_says_so() {
    let app = counting(Vec::new());
    let mut noor = app.logged_in("noor", false);
    noor.get("/rules/counters")
        .await
        .is(StatusCode::OK, &["count nothing"]);
    let loading = super::app();
    let mut sam = loading.logged_in("sam", false);
    sam.get("/rules/counters")
        .await
        .is(StatusCode::SERVICE_UNAVAILABLE, &["still loading"]);
}
