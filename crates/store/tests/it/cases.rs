//! Cases: opened by rules, moved by reviewers, with a trail.

use crate::fixtures::{
    Fixture, at, decision_id, effect, enqueue, entity, judgement, kinds, name, remove, with_effects,
};
use manara_model::{ActionKind, Author, CaseId, CaseState, EntityType, Outcome, Refused};
use manara_store::{CaseFilter, CaseStage, DeliveryState, Preview, StoreError};

fn with_case() -> (Fixture, CaseId) {
    let it = Fixture::new();
    it.store.set_receivers(vec!["forum".into()]);
    it.record(with_effects("post-1", &[remove(), enqueue("tvec", 5)]));
    let case = it.open_case().id;
    (it, case)
}

fn trail(it: &Fixture, case: CaseId) -> Vec<(String, Author)> {
    let detail = it.store.read(|r| r.case_detail(case)).unwrap().unwrap();
    detail
        .trail
        .into_iter()
        .map(|entry| (entry.what, entry.author))
        .collect()
}

#[test]
fn a_second_event_on_the_same_entity_joins_the_case_and_may_raise_it() {
    let it = Fixture::new();
    let first = with_effects("post-1", &[enqueue("tvec", 5)]);
    let mut second = with_effects("post-2", &[enqueue("tvec", 9)]);
    let content = first.event.content.clone();
    second.decision.actions[0].target = entity(EntityType::Content, &content.unwrap().id);
    it.record(first);
    it.record(second);
    let case = it.open_case();
    assert_eq!((case.priority, case.account.as_deref()), (9, Some("a-19")));
    let detail = it.store.read(|r| r.case_detail(case.id)).unwrap().unwrap();
    assert_eq!((detail.events.len(), detail.events_total), (2, 2));
    assert_eq!(
        trail(&it, case.id)
            .iter()
            .map(|(what, _)| what.as_str())
            .collect::<Vec<_>>(),
        ["opened", "event_added"]
    );
    it.verify();
}

#[test]
fn a_decided_case_is_closed_and_the_next_event_opens_another() {
    let (it, case) = with_case();
    it.write(move |tx| {
        tx.decide_case(
            case,
            "noor",
            &judgement(Outcome::Keep),
            decision_id(),
            at(9),
        )
    });
    let mut next = with_effects("post-2", &[enqueue("tvec", 5)]);
    next.decision.actions[0].target = entity(EntityType::Content, "p-post-1");
    it.record(next);
    let second = it.open_case();
    assert_ne!(second.id, case);
    let detail = it
        .store
        .read(|r| r.case_detail(second.id))
        .unwrap()
        .unwrap();
    assert_eq!(
        detail.related.iter().map(|c| c.id).collect::<Vec<_>>(),
        [case]
    );
    it.verify();
}

#[test]
fn a_judgement_undoes_what_automation_did_and_leaves_a_trail() {
    let (it, case) = with_case();
    let decision = decision_id();
    it.write(move |tx| tx.claim_case(case, "noor", at(10)));
    it.write(move |tx| tx.claim_case(case, "noor", at(11)));
    let (closed, made) = it
        .write(move |tx| tx.decide_case(case, "noor", &judgement(Outcome::Keep), decision, at(12)));
    assert_eq!(
        kinds(&made.actions),
        [(ActionKind::Restore, EntityType::Content)]
    );
    assert!(matches!(
        closed.state,
        CaseState::Closed {
            outcome: Outcome::Keep,
            ..
        }
    ));
    let detail = it.store.read(|r| r.case_detail(case)).unwrap().unwrap();
    assert_eq!(detail.case, closed);
    assert_eq!(detail.judgement, Some(made.clone()));
    assert_eq!(it.store.read(|r| r.decision(decision)).unwrap(), Some(made));
    let asked: Vec<_> = detail
        .deliveries
        .iter()
        .map(|d| (d.action.kind, d.state))
        .collect();
    let pending = DeliveryState::Pending;
    assert_eq!(
        asked,
        [
            (ActionKind::Remove, pending),
            (ActionKind::Restore, pending)
        ]
    );
    let noor = || Author::Reviewer("noor".into());
    let expect = [
        ("opened", Author::Rules),
        ("claimed", noor()),
        ("decided", noor()),
    ];
    assert_eq!(
        trail(&it, case),
        expect.map(|(what, author)| (what.to_owned(), author))
    );
    it.verify();
}

#[test]
fn keeping_takes_a_strike_back_once() {
    let it = Fixture::new();
    let on_account = |kind| effect(kind, EntityType::Account);
    it.record(with_effects(
        "post-1",
        &[
            on_account(ActionKind::Strike),
            enqueue("tvec", 5),
            on_account(ActionKind::Enqueue),
        ],
    ));
    let filter = CaseFilter {
        queue: None,
        stage: CaseStage::Open,
        after: None,
        limit: 10,
    };
    let cases = it.store.read(|r| r.cases(&filter)).unwrap();
    assert_eq!(cases.len(), 2, "one of the post, one of the account");
    let weight = || it.store.read(|r| r.strikes_weight("a-19")).unwrap();
    assert_eq!(weight(), 1);
    let mut made = Vec::new();
    for case in cases {
        let (id, decision) = (case.id, decision_id());
        let (_, decision) = it.write(move |tx| {
            tx.decide_case(id, "noor", &judgement(Outcome::Keep), decision, at(9))
        });
        made.push(kinds(&decision.actions));
        assert_eq!(weight(), 0);
    }
    assert_eq!(
        made,
        [
            vec![(ActionKind::WithdrawStrike, EntityType::Account)],
            vec![]
        ]
    );
    assert!(it.store.read(|r| r.strikes("a-19", 9)).unwrap().is_empty());
    it.verify();
}

#[test]
fn what_one_reviewer_put_back_the_next_can_remove_again() {
    let it = Fixture::new();
    it.store.set_receivers(vec!["forum".into()]);
    it.record(with_effects(
        "post-1",
        &[
            remove(),
            enqueue("tvec", 5),
            effect(ActionKind::Enqueue, EntityType::Account),
        ],
    ));
    let open = || {
        it.store.read(|r| {
            r.cases(&CaseFilter {
                queue: None,
                stage: CaseStage::Open,
                after: None,
                limit: 10,
            })
        })
    };
    let of = |r#type| {
        open()
            .unwrap()
            .into_iter()
            .find(|case| case.entity.r#type == r#type)
            .unwrap()
            .id
    };
    let (account, content) = (of(EntityType::Account), of(EntityType::Content));
    let decision = decision_id();
    let (_, kept) = it.write(move |tx| {
        tx.decide_case(account, "noor", &judgement(Outcome::Keep), decision, at(9))
    });
    assert_eq!(
        kinds(&kept.actions),
        [(ActionKind::Restore, EntityType::Content)]
    );
    let decision = decision_id();
    let (_, removed) = it.write(move |tx| {
        tx.decide_case(
            content,
            "sami",
            &judgement(Outcome::Remove),
            decision,
            at(10),
        )
    });
    assert_eq!(
        kinds(&removed.actions),
        [(ActionKind::Remove, EntityType::Content)]
    );
    it.verify();
}

#[test]
fn an_illegal_move_is_refused_and_changes_nothing() {
    let (it, case) = with_case();
    it.write(move |tx| tx.claim_case(case, "noor", at(10)));
    let held = Err(StoreError::Refused(Refused::HeldBy("noor".into())));
    assert_eq!(
        it.store
            .write_blocking(move |tx| tx.claim_case(case, "sami", at(11))),
        held
    );
    let decided = it.store.write_blocking(move |tx| {
        tx.decide_case(
            case,
            "sami",
            &judgement(Outcome::Remove),
            decision_id(),
            at(11),
        )
    });
    assert!(
        matches!(decided, Err(StoreError::Refused(Refused::HeldBy(_)))),
        "{decided:?}"
    );
    it.write(move |tx| tx.release_case(case, "noor", at(12)));
    it.write(move |tx| tx.claim_case(case, "sami", at(13)));
    let nobody = CaseId::new(1, 1);
    let missing = it
        .store
        .write_blocking(move |tx| tx.claim_case(nobody, "sami", at(14)));
    assert_eq!(
        missing.unwrap_err().to_string(),
        format!("no such case {nobody}")
    );
    it.verify();
}

#[test]
fn a_revealed_preview_leaves_a_trace() {
    let it = Fixture::new();
    let mut event = with_effects("post-1", &[enqueue("tvec", 5)]);
    let preview = Preview {
        sha256: [9; 32],
        content_type: "image/jpeg".into(),
        bytes: vec![5; 600],
    };
    event.previews.push(preview.clone());
    it.record(event);
    let case = it.open_case().id;
    let shown = it.write(move |tx| tx.reveal_media(case, &[9; 32], "noor", at(9)));
    assert_eq!(shown, Some(preview));
    assert_eq!(
        it.write(move |tx| tx.reveal_media(case, &[8; 32], "noor", at(9))),
        None
    );
    assert_eq!(trail(&it, case).last().unwrap().0, "media_revealed");
    it.verify();
}

#[test]
fn a_preview_that_is_too_large_is_refused() {
    let it = Fixture::new();
    let mut event = with_effects("post-1", &[enqueue("tvec", 5)]);
    event.previews.push(Preview {
        sha256: [9; 32],
        content_type: "image/jpeg".into(),
        bytes: vec![5; 512 * 1024 + 1],
    });
    let refused = it
        .store
        .write_blocking(move |tx| tx.record_events(vec![event]));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "preview: 524289 bytes long, the limit is 524288: make it smaller"
    );
}

#[test]
fn queues_are_listed_by_priority_then_age_a_page_at_a_time() {
    let it = Fixture::new();
    for (n, priority) in [(1, 5), (2, 9), (3, 5), (4, 1)] {
        let mut event = with_effects(&format!("post-{n}"), &[enqueue("tvec", priority)]);
        event.received_at = at(n);
        event.decision.at = at(n);
        it.record(event);
    }
    it.record(with_effects("post-5", &[enqueue("spam", 7)]));
    let page = |after, limit| {
        let filter = CaseFilter {
            queue: Some(name("tvec")),
            stage: CaseStage::Open,
            after,
            limit,
        };
        it.store.read(|r| r.cases(&filter)).unwrap()
    };
    let ids = |cases: &[manara_model::Case]| {
        cases
            .iter()
            .map(|c| c.entity.id.clone())
            .collect::<Vec<_>>()
    };
    let first = page(None, 3);
    assert_eq!(ids(&first), ["p-post-2", "p-post-1", "p-post-3"]);
    assert_eq!(ids(&page(first.last().cloned(), 3)), ["p-post-4"]);
    let all = CaseFilter {
        queue: None,
        stage: CaseStage::Open,
        after: None,
        limit: 10,
    };
    assert_eq!(
        ids(&it.store.read(|r| r.cases(&all)).unwrap())[..2],
        ["p-post-2", "p-post-5"]
    );
    let queues = it.store.read(manara_store::Reader::queues).unwrap();
    let seen: Vec<_> = queues
        .iter()
        .map(|q| (q.queue.as_str(), q.open, q.priority_max, q.oldest))
        .collect();
    assert_eq!(
        seen,
        [("spam", 1, 7, Some(at(1))), ("tvec", 4, 9, Some(at(1)))]
    );
}

#[test]
fn an_enqueued_account_is_a_case_of_its_own() {
    let it = Fixture::new();
    it.record(with_effects(
        "post-1",
        &[effect(ActionKind::Enqueue, EntityType::Account)],
    ));
    let case = it.open_case();
    assert_eq!(
        (case.entity, case.queue, case.priority),
        (entity(EntityType::Account, "a-19"), name("review"), 5)
    );
}
