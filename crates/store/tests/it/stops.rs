//! Labels, sets and circuit breakers: what rules may ask about later, and what people can take back.

use crate::fixtures::{
    Fixture, at, decision_id, enqueue, entity, judgement, label, name, plain, remove, stop,
    with_effects,
};
use manara_model::{Author, EntityType, Outcome};
use manara_store::{Recorded, StoreError};
use std::sync::{Arc, Mutex};

#[track_caller]
fn check_labels(it: &Fixture, post: &str, second: i64, expect: &[&str]) {
    let found = it
        .store
        .read(|r| r.labels(&entity(EntityType::Content, post), at(second)))
        .unwrap();
    let names: Vec<_> = found.iter().map(|it| it.label.as_str()).collect();
    assert_eq!(names, expect);
    for label in ["watched", "loud"] {
        let has =
            |r: &manara_store::Reader| r.has_label(EntityType::Content, post, label, at(second));
        assert_eq!(it.store.read(has).unwrap(), expect.contains(&label));
    }
}

#[test]
fn a_label_is_carried_until_its_end_or_until_a_person_takes_it_back() {
    let it = Fixture::new();
    let effects = [
        label("watched", None),
        label("loud", Some(60)),
        enqueue("tvec", 5),
    ];
    it.record(with_effects("1", &effects));
    check_labels(&it, "p-1", 1, &["watched", "loud"]);
    check_labels(&it, "p-1", 60, &["watched", "loud"]);
    check_labels(&it, "p-1", 61, &["watched"]);
    check_labels(&it, "p-2", 1, &[]);
    let case = it.open_case().id;
    let keep = judgement(Outcome::Keep);
    it.write(move |tx| tx.decide_case(case, "noor", &keep, decision_id(), at(30)));
    check_labels(&it, "p-1", 31, &[]);
    let then = it.store.read(|r| r.labels_at(at(10))).unwrap();
    assert_eq!(then.len(), 2, "what was carried then stays known");
    it.reopened().verify();
}

#[test]
fn strikes_count_within_their_time() {
    let it = Fixture::new();
    let strike = crate::fixtures::effect(manara_model::ActionKind::Strike, EntityType::Account);
    it.record(with_effects("1", &[strike]));
    let weight = |since, until| {
        let read = |r: &manara_store::Reader| r.strikes_since("a-19", at(since), at(until));
        it.store.read(read).unwrap()
    };
    assert_eq!((weight(0, 1), weight(1, 9), weight(-9, 0)), (1, 0, 0));
}

#[test]
fn a_rule_that_is_stopped_stays_so_until_a_person_resets_it() {
    let it = Fixture::new();
    let rule = name("known_image");
    let open = |it: &Fixture| {
        it.store
            .read(|r| r.open_stop(Some(&name("known_image"))))
            .unwrap()
    };
    let event = with_effects("1", &[remove()]);
    it.write(move |tx| tx.record_events_with(vec![event], |_, _, _| Ok(vec![stop("known_image")])));
    assert_eq!(open(&it).unwrap().why, "3 in an hour");
    let case = it.open_case();
    assert_eq!(case.entity, entity(EntityType::Rule, "known_image"));
    let reset = |note: &'static str| {
        let rule = rule.clone();
        it.store
            .write_blocking(move |tx| tx.reset_rule(Some(&rule), &Author::System, note, at(9)))
    };
    assert_eq!(reset("looked at it"), Ok(true));
    assert_eq!(reset("again"), Ok(false));
    assert_eq!(open(&it), None);
    let history = it.store.read(|r| r.stops_of(Some(&rule), 9)).unwrap();
    let (when, _, note) = history[0].reset.clone().unwrap();
    assert_eq!((when, note.as_str()), (at(9), "looked at it"));
    let heard = it.store.read(|r| r.case_detail(case.id)).unwrap().unwrap();
    let last = heard.trail.last().unwrap();
    assert_eq!(
        (last.what.as_str(), last.note.as_str(), last.at),
        ("rule_reset", "looked at it", at(9))
    );
    it.reopened().verify();
}

#[test]
fn what_was_reset_has_opened_before_whatever_the_clock_said_then() {
    let it = Fixture::new();
    let mut event = plain("1");
    // The clock was two days ahead when it opened.
    event.decision.at = at(2 * 24 * 60 * 60);
    it.write(move |tx| tx.record_events_with(vec![event], |_, _, _| Ok(vec![stop("known_image")])));
    let times = |second| {
        let rule = name("known_image");
        it.store
            .read(|r| r.stops_until(Some(&rule), at(second)))
            .unwrap()
    };
    assert_eq!((times(9), times(2 * 24 * 60 * 60)), (0, 1));
    let rule = name("known_image");
    it.write(move |tx| tx.reset_rule(Some(&rule), &Author::System, "the clock", at(9)));
    assert_eq!((times(8), times(9), times(10)), (0, 1, 1));
}

#[test]
fn keeping_the_case_of_a_rule_lets_it_act_again() {
    let it = Fixture::new();
    let event = plain("1");
    it.write(move |tx| tx.record_events_with(vec![event], |_, _, _| Ok(vec![stop("known_image")])));
    let case = it.open_case().id;
    let keep = judgement(Outcome::Keep);
    it.write(move |tx| tx.decide_case(case, "noor", &keep, decision_id(), at(30)));
    assert_eq!(it.store.read(manara_store::Reader::open_stops).unwrap(), []);
}

#[test]
fn what_is_remembered_beside_the_database_is_told_whether_it_stands() {
    let it = Fixture::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let write = |number: u32, fails: bool| {
        let told = Arc::clone(&told);
        it.store.write_blocking(move |tx| {
            for part in [number, number + 1] {
                let told = Arc::clone(&told);
                tx.when_ended(move |stands| told.lock().unwrap().push((part, stands)));
            }
            if fails {
                return Err(StoreError::Aborted("changed my mind".into()));
            }
            Ok(tx.unchanged(()))
        })
    };
    write(1, false).unwrap();
    write(3, true).unwrap_err();
    let told = told.lock().unwrap().clone();
    assert_eq!(told, [(1, true), (2, true), (4, false), (3, false)]);
}

#[test]
fn an_event_is_decided_on_once_in_the_order_of_the_log() {
    let it = Fixture::new();
    let events = vec![plain("1"), plain("1"), plain("2")];
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let recorded = it.write(move |tx| {
        tx.record_events_with(events, |_, index, new| {
            noted.lock().unwrap().push((index, new.event.id.clone()));
            new.decision.note = format!("decided {index}");
            Ok(Vec::new())
        })
    });
    assert_eq!(*asked.lock().unwrap(), [(0, "1".into()), (2, "2".into())]);
    assert!(matches!(&recorded[2], Recorded::New(d) if d.note == "decided 2"));
}

#[test]
fn a_set_holds_what_was_added_and_not_taken_out() {
    let it = Fixture::new();
    let add = |items: &[&str]| {
        let items: Vec<String> = items.iter().map(|it| (*it).to_owned()).collect();
        it.store.write_blocking(move |tx| {
            tx.add_to_set(&name("trusted"), &items, "", &Author::System, at(1))
        })
    };
    assert!(matches!(add(&["a"]), Err(StoreError::NotFound { .. })));
    it.write(|tx| tx.create_set(&name("trusted"), "known", &Author::System, at(0)));
    assert_eq!((add(&["a", "b", "a"]), add(&["b"])), (Ok(2), Ok(0)));
    let remove = |item: &'static str| {
        it.store.write_blocking(move |tx| {
            tx.remove_from_set(&name("trusted"), &[item.to_owned()], &Author::System, at(2))
        })
    };
    assert_eq!((remove("a"), remove("a")), (Ok(1), Ok(0)));
    assert_eq!(add(&["a"]), Ok(1), "and added again");
    let held = it.store.read(manara_store::Reader::sets).unwrap();
    assert_eq!(
        held,
        [(name("trusted"), vec!["a".to_owned(), "b".to_owned()])]
    );
    let history = it
        .store
        .read(|r| r.set_history(&name("trusted"), 9))
        .unwrap();
    assert_eq!(history.len(), 3, "what was taken out stays known");
    assert!(matches!(add(&[""]), Err(StoreError::Invalid { .. })));
    assert!(matches!(
        add(&[&"x".repeat(257)]),
        Err(StoreError::Invalid { .. })
    ));
    it.reopened().verify();
}
