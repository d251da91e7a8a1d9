//! Events: idempotent by source and id, and what follows from a decision.

use crate::fixtures::{
    Fixture, again, at, effect, enqueue, kinds, other_body, plain, remove, with_effects,
};
use manara_model::{ActionKind, Decoding, EntityType, MediaFacts};
use manara_store::{NewEvent, Recorded};

#[track_caller]
fn check_sent_twice(event: &NewEvent) {
    let it = Fixture::new();
    let decided = event.decision.clone();
    assert_eq!(it.record(event.clone()), Recorded::New(decided.clone()));
    assert_eq!(
        it.record(again(event)),
        Recorded::Duplicate(decided.clone())
    );
    let it = it.reopened();
    assert_eq!(it.record(again(event)), Recorded::Duplicate(decided));
    let totals = it.store.read(manara_store::Reader::totals).unwrap();
    assert_eq!((totals.events, totals.leaves), (1, 1));
    it.verify();
}

#[test]
fn an_event_sent_twice_is_answered_the_same_and_done_once() {
    check_sent_twice(&plain("post-1"));
    check_sent_twice(&with_effects(
        "post-1",
        &[remove(), effect(ActionKind::Strike, EntityType::Account)],
    ));
}

#[test]
fn an_event_sent_twice_in_one_write_is_done_once() {
    let it = Fixture::new();
    let event = with_effects("post-1", &[remove()]);
    let twice = vec![event.clone(), again(&event)];
    let recorded = it.write(move |tx| tx.record_events(twice));
    let decided = event.decision;
    assert_eq!(
        recorded,
        [Recorded::New(decided.clone()), Recorded::Duplicate(decided)]
    );
}

#[test]
fn another_body_under_the_same_id_is_refused_and_kept_visible() {
    let it = Fixture::new();
    let event = plain("post-1");
    it.record(event.clone());
    let conflict = Recorded::Conflict {
        id: "post-1".into(),
        first_received_at: at(1),
    };
    for _ in 0..3 {
        assert_eq!(it.record(other_body(&event)), conflict);
    }
    let (first, others, totals) = it
        .store
        .read(|r| {
            Ok((
                r.event("forum.example", "post-1")?,
                r.conflicts("forum.example", "post-1")?,
                r.totals()?,
            ))
        })
        .unwrap();
    assert_eq!(first.unwrap().event, event.event);
    assert_eq!(others.len(), 1, "the same other body is kept once");
    assert!(others[0].body.contains("goodbye"));
    assert_eq!((totals.events, totals.conflicts, totals.leaves), (1, 1, 2));
    it.verify();
}

#[test]
fn an_event_reads_back_as_it_was_written() {
    let it = Fixture::new();
    let mut event = with_effects("post-1", &[remove(), enqueue("tvec", 8)]);
    event.media.push(MediaFacts {
        decoding: Decoding::Undecodable,
        problem: Some("truncated".into()),
        width: 0,
        height: 0,
        quality: None,
        forms: vec![],
        hashes: std::collections::BTreeMap::new(),
    });
    it.record(event.clone());
    it.record(plain("post-2"));
    let (stored, by_decision, recent, decisions) = it
        .store
        .read(|r| {
            let stored = r.event("forum.example", "post-1")?.unwrap();
            Ok((
                stored.clone(),
                r.decision(stored.decision.id)?,
                r.newest_events(None, 10)?,
                r.recent_decisions(10)?,
            ))
        })
        .unwrap();
    assert_eq!((stored.event, stored.media), (event.event, event.media));
    assert_eq!((stored.received_at, stored.leaf), (at(1), 0));
    assert_eq!(stored.decision, event.decision);
    assert_eq!(by_decision, Some(event.decision.clone()));
    assert_eq!(
        recent
            .iter()
            .map(|e| e.event.id.as_str())
            .collect::<Vec<_>>(),
        ["post-2", "post-1"]
    );
    assert_eq!(
        decisions,
        [event.decision],
        "a decision without verdicts is not listed"
    );
}

#[test]
fn what_follows_from_a_decision_is_written_with_it() {
    let it = Fixture::new();
    it.store
        .set_receivers(vec!["forum".into(), "archive".into()]);
    let strike = effect(ActionKind::Strike, EntityType::Account);
    let event = with_effects("post-1", &[remove(), strike, enqueue("tvec", 8)]);
    let decision = event.decision.id;
    it.record(event);
    let (deliveries, strikes, weight, totals) = it
        .store
        .read(|r| {
            Ok((
                r.deliveries(decision)?,
                r.strikes("a-19", 10)?,
                r.strikes_weight("a-19")?,
                r.totals()?,
            ))
        })
        .unwrap();
    let receivers: Vec<_> = deliveries.iter().map(|d| d.receiver.as_str()).collect();
    assert_eq!(
        receivers,
        ["forum", "archive"],
        "the removal once to each, the others to nobody"
    );
    assert!(
        deliveries
            .iter()
            .all(|d| kinds(std::slice::from_ref(&d.action))
                == [(ActionKind::Remove, EntityType::Content)])
    );
    assert_eq!(
        (strikes.len(), strikes[0].decision, weight),
        (1, decision, 1)
    );
    assert_eq!(
        (
            totals.open_cases,
            totals.outbox_pending,
            totals.decisions_with_verdicts
        ),
        (1, 2, 1)
    );
    assert_eq!(totals.actions.get("remove"), Some(&1));
    it.verify();
}
