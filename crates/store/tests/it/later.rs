//! Events that are looked at again when members were added since.

use crate::fixtures::{
    Fixture, at, decision_id, effect, enqueue, judgement, later, plain, remove, with_effects,
};
use manara_model::{ActionKind, Decoding, EntityType, MediaFacts, MediaForm, Outcome};
use manara_signal::Pdq;
use manara_store::{Later, NewEvent, StoreError};

fn received(id: &str, second: i64) -> NewEvent {
    NewEvent {
        received_at: at(second),
        ..plain(id)
    }
}

/// Asserts which events are given, in one page and in several.
#[track_caller]
fn check(it: &Fixture, since: i64, before: Option<u64>, limit: usize, expect: &[&str]) {
    let page = it.store.read(|r| r.recent_page(at(since), before, limit));
    let rows = page.unwrap().0.into_iter();
    let ids: Vec<String> = rows.map(|row| row.event().unwrap().event.id).collect();
    assert_eq!(ids, expect);
    assert_eq!(paged(it, since, before, limit), expect);
}

/// The ids of the same events, read two at a time, each time on a snapshot of its own.
fn paged(it: &Fixture, since: i64, before: Option<u64>, limit: usize) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), Some(before));
    while let Some(before) = next {
        let room = (limit - ids.len()).min(2);
        let page = it.store.read(|r| r.recent_page(at(since), before, room));
        let (rows, more) = page.unwrap();
        for row in &rows {
            let event = row.event().unwrap();
            assert_eq!(row.has_media(), !event.media.is_empty());
            ids.push(event.event.id);
        }
        next = more.map(Some);
    }
    ids
}

#[test]
fn recent_events_come_newest_first_and_a_straggler_does_not_end_them() {
    let it = Fixture::new();
    for (id, second) in [("old", 1), ("b", 10), ("c", 11), ("slow", 2), ("d", 12)] {
        it.record(received(id, second));
    }
    let all = usize::MAX;
    check(&it, 5, None, all, &["d", "c", "b"]);
    check(&it, 0, None, all, &["d", "slow", "c", "b", "old"]);
    check(&it, 12, None, all, &["d"]);
    check(&it, 13, None, all, &[]);
    check(&it, 0, None, 0, &[]);
    check(&it, 5, None, 2, &["d", "c"]);
    check(&it, 5, Some(2), 2, &["b"]);
    check(&it, 5, Some(0), all, &[]);
}

#[test]
fn the_reading_ends_at_a_thousand_older_ones_in_a_row() {
    let it = Fixture::new();
    // Received in time, but behind so many older ones that nobody looks.
    it.record(received("far", 50));
    let older = (0..1000)
        .map(|n| received(&format!("older-{n}"), 1))
        .collect();
    it.write(move |tx| tx.record_events(older));
    check(&it, 40, None, usize::MAX, &[]);
    it.record(received("near", 45));
    check(&it, 40, None, usize::MAX, &["near"]);
    check(&it, 40, Some(1000), usize::MAX, &["far"]);
}

#[test]
fn the_forms_of_media_are_kept_with_the_event() {
    let it = Fixture::new();
    let mut event = plain("post-1");
    event.media.push(MediaFacts {
        decoding: Decoding::Decoded,
        problem: None,
        width: 640,
        height: 480,
        quality: Some(90),
        hashes: std::collections::BTreeMap::new(),
        forms: vec![MediaForm {
            form: "original".into(),
            hash: Pdq([7; 32]),
            quality: 90,
        }],
    });
    it.record(event.clone());
    it.store
        .read(|r| {
            assert_eq!(
                r.event("forum.example", "post-1")?.unwrap().media,
                event.media
            );
            let (rows, _) = r.recent_page(at(0), None, 10)?;
            let recent = rows[0].event()?;
            assert_eq!(
                (recent.media, recent.event, recent.decision, recent.leaf),
                (
                    event.media.clone(),
                    event.event.clone(),
                    event.decision.id,
                    0
                )
            );
            Ok(())
        })
        .unwrap();
}

fn record(it: &Fixture, found: Later) -> Result<bool, StoreError> {
    it.store.write_blocking(move |tx| tx.record_later(found))
}

#[test]
fn what_is_found_later_opens_a_case_with_the_event_once() {
    let it = Fixture::new();
    it.store.set_receivers(vec!["forum".into()]);
    let event = plain("post-1");
    let of = event.decision.id;
    it.record(event);
    let found = later(of, "post-1", 7, at(100));
    assert_eq!(record(&it, found.clone()), Ok(true));
    let case = it.open_case();
    let detail = it.store.read(|r| r.case_detail(case.id)).unwrap().unwrap();
    assert_eq!(case.account.as_deref(), Some("a-19"));
    assert_eq!(detail.events.len(), 1);
    assert_eq!(detail.events[0].decision.id, of);
    assert_eq!(
        detail.events[0].later,
        std::slice::from_ref(&found.decision)
    );
    let trail: Vec<_> = detail
        .trail
        .iter()
        .map(|t| (t.what.as_str(), t.note.as_str()))
        .collect();
    assert_eq!(
        trail,
        [("found_later", "rule known_image, member 7 of SLOGANS")]
    );
    let kept = it.store.read(|r| r.decision(found.decision.id)).unwrap();
    assert_eq!(kept, Some(found.decision));

    // The same again, under another decision id.
    assert_eq!(record(&it, later(of, "post-1", 7, at(101))), Ok(false));
    // Another member: the pending case hears of it, the event stays linked once.
    assert_eq!(record(&it, later(of, "post-1", 8, at(102))), Ok(true));
    let detail = it.store.read(|r| r.case_detail(case.id)).unwrap().unwrap();
    assert_eq!((detail.events.len(), detail.trail.len()), (1, 2));
    assert_eq!(detail.events[0].later.len(), 2);
    let totals = it.store.read(|r| r.totals()).unwrap();
    assert_eq!(
        (totals.decisions_with_verdicts, totals.outbox_pending),
        (0, 0)
    );
    it.verify();

    // Decided, and found once more because of the first member: nothing is opened again.
    it.write(move |tx| {
        let made = decision_id();
        tx.decide_case(case.id, "noor", &judgement(Outcome::Remove), made, at(110))
    });
    assert_eq!(record(&it, later(of, "post-1", 7, at(111))), Ok(false));
    assert_eq!(it.store.read(|r| r.totals()).unwrap().open_cases, 0);
    assert_eq!(record(&it, later(of, "post-1", 9, at(112))), Ok(true));
    assert_ne!(it.open_case().id, detail.case.id);
    it.verify();
}

#[test]
fn what_was_found_at_once_is_not_found_later() {
    let it = Fixture::new();
    let mut event = with_effects("post-1", &[remove(), enqueue("tvec", 5)]);
    let found = later(event.decision.id, "post-1", 7, at(100));
    event.decision.verdicts[0].because = found.decision.verdicts[0].because.clone();
    it.record(event);
    assert_eq!(record(&it, found), Ok(false));
}

#[test]
fn a_later_decision_may_only_ask_a_person() {
    let it = Fixture::new();
    let event = plain("post-1");
    let of = event.decision.id;
    it.record(event);
    it.record(plain("post-2"));
    let refused = |found: Later, expect: &str| {
        let error = record(&it, found).unwrap_err().to_string();
        assert_eq!(error, expect);
    };
    let mut removing = later(of, "post-1", 7, at(100));
    let removal = effect(ActionKind::Remove, EntityType::Content);
    removing.decision.actions[0].kind = removal.kind;
    refused(
        removing,
        "later decision: it asks for remove, and may only ask a person (enqueue)",
    );
    refused(
        later(of, "post-2", 7, at(100)),
        "later decision: it names another event than post-1 from forum.example",
    );
    let nobody = decision_id();
    refused(
        later(nobody, "post-1", 7, at(100)),
        &format!("no such event of decision {nobody}"),
    );
    let mut by_rules = later(of, "post-1", 7, at(100));
    by_rules.decision.author = manara_model::Author::Rules;
    refused(
        by_rules,
        "later decision: it is the system's, and of no case",
    );
    it.verify();
}
