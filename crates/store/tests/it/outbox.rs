//! The outbox: leased, reported on once, given up visibly, replayed.

use crate::fixtures::{Fixture, at, remove, with_effects};
use jiff::Timestamp;
use manara_model::Author;
use manara_store::{Attempt, DeliveryState, OutboxItem};

fn with_delivery() -> Fixture {
    let it = Fixture::new();
    it.store.set_receivers(vec!["forum".into()]);
    it.record(with_effects("post-1", &[remove()]));
    it
}

fn lease(it: &Fixture, now: Timestamp, until: Timestamp) -> Vec<OutboxItem> {
    it.write(move |tx| tx.lease_outbox("forum", now, until, 10))
}

fn settle(it: &Fixture, item: &OutboxItem, attempt: Attempt) -> bool {
    let token = item.token;
    it.write(move |tx| tx.settle_outbox(vec![(token, attempt)], at(20))) == 1
}

fn failed(next_at: Timestamp) -> Attempt {
    Attempt::Failed {
        error: "the receiver answered 500".into(),
        next_at,
    }
}

#[test]
fn a_leased_delivery_is_not_given_twice_until_the_lease_runs_out() {
    let it = with_delivery();
    let first = lease(&it, at(2), at(30));
    assert_eq!((first.len(), first[0].attempt), (1, 1));
    assert_eq!(
        first[0].event,
        Some(("forum.example".into(), "post-1".into()))
    );
    assert_eq!(lease(&it, at(29), at(60)), []);
    let second = lease(&it, at(30), at(60));
    assert_eq!(
        (second[0].attempt, &second[0].action),
        (2, &first[0].action)
    );
    assert!(
        !settle(&it, &first[0], Attempt::Delivered),
        "the first lease is void"
    );
    assert!(settle(&it, &second[0], Attempt::Delivered));
    assert!(
        !settle(&it, &second[0], Attempt::Delivered),
        "reported on once"
    );
    assert_eq!(lease(&it, at(999), at(1000)), []);
    let totals = it.store.read(manara_store::Reader::totals).unwrap();
    assert_eq!(
        (
            totals.outbox_pending,
            totals.outbox_delivered,
            totals.leaves
        ),
        (0, 1, 2)
    );
    it.verify();
}

#[test]
fn a_failed_delivery_comes_back_when_it_is_due() {
    let it = with_delivery();
    let first = lease(&it, at(2), at(30));
    assert!(settle(&it, &first[0], failed(at(100))));
    assert_eq!(lease(&it, at(99), at(120)), []);
    assert_eq!(lease(&it, at(100), at(120))[0].attempt, 2);
    let shown = it.store.read(|r| r.deliveries(first[0].decision)).unwrap();
    assert_eq!(shown[0].error.as_deref(), Some("the receiver answered 500"));
    it.verify();
}

#[test]
fn a_dead_delivery_is_listed_and_can_be_replayed_under_its_key() {
    let it = with_delivery();
    let first = lease(&it, at(2), at(30));
    assert!(settle(
        &it,
        &first[0],
        Attempt::Dead {
            error: "x".repeat(600)
        }
    ));
    let dead = it.store.read(|r| r.dead_letters(None, 10)).unwrap();
    assert_eq!(
        (dead.len(), dead[0].state, dead[0].finished_at),
        (1, DeliveryState::Dead, Some(at(20)))
    );
    assert_eq!(dead[0].error.as_ref().unwrap().len(), 500);
    assert_eq!(lease(&it, at(999), at(1000)), []);
    let by_receiver = it
        .store
        .read(manara_store::Reader::outbox_by_receiver)
        .unwrap();
    assert_eq!((by_receiver[0].pending, by_receiver[0].dead), (0, 1));
    let id = dead[0].id;
    it.write(move |tx| tx.replay_dead(id, &Author::Reviewer("noor".into()), at(50)));
    let again = lease(&it, at(50), at(60));
    assert_eq!(
        (again[0].attempt, &again[0].action.id),
        (1, &first[0].action.id)
    );
    let gone = it
        .store
        .write_blocking(move |tx| tx.replay_dead(id, &Author::System, at(51)));
    assert_eq!(
        gone.unwrap_err().to_string(),
        format!("no such dead delivery {id}")
    );
    it.verify();
}

#[test]
fn many_deliveries_are_settled_under_few_leaves() {
    let it = Fixture::new();
    it.store.set_receivers(vec!["forum".into()]);
    let events: Vec<_> = (0..1000)
        .map(|n| with_effects(&format!("post-{n}"), &[remove()]))
        .collect();
    it.write(move |tx| tx.record_events(events));
    let items = it.write(|tx| tx.lease_outbox("forum", at(2), at(30), 1000));
    let attempts = items
        .into_iter()
        .map(|item| (item.token, Attempt::Delivered))
        .collect();
    assert_eq!(it.write(move |tx| tx.settle_outbox(attempts, at(3))), 1000);
    let totals = it.store.read(manara_store::Reader::totals).unwrap();
    assert!(
        totals.leaves > 1001 && totals.leaves < 1010,
        "{} leaves",
        totals.leaves
    );
    it.verify();
}
