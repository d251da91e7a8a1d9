//! Group commit: jobs that share a commit do not share a fate, and what was answered is kept.

use crate::fixtures::{Fixture, at, bank, open, options, plain, plainly, slogan, verify};
use manara_model::Author;
use manara_store::{Committed, Options, Recorded, Store, StoreError};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Holds the writer until the sender is dropped, so that what is queued meanwhile forms one group.
fn hold(store: &Store) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (began, beginning) = mpsc::channel();
    let store = store.clone();
    thread::spawn(move || {
        store.write_blocking(move |tx| {
            began.send(()).unwrap();
            // Ends when the other side is dropped.
            let _ = held.recv();
            Ok(tx.unchanged(()))
        })
    });
    beginning.recv().unwrap();
    release
}

fn names(store: &Store) -> Vec<String> {
    store
        .read(|r| {
            Ok(r.banks()?
                .into_iter()
                .map(|bank| bank.name.to_string())
                .collect())
        })
        .unwrap()
}

#[test]
fn a_job_that_fails_or_panics_is_undone_alone() {
    let it = Fixture::new();
    let release = hold(&it.store);
    let (free, queue) = (it.store.queue_free(), &it.store);
    let ended: Vec<Result<(), StoreError>> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..9)
            .map(|n| {
                scope.spawn(move || {
                    queue.write_blocking(move |tx| {
                        let made = tx.create_bank(
                            &bank(&format!("B{n}")),
                            "",
                            &plainly(),
                            &Author::System,
                            at(n),
                        )?;
                        match n % 3 {
                            0 => Ok(made),
                            1 => Err(StoreError::Aborted("changed my mind".into())),
                            _ => panic!("a bug in the job, on purpose"),
                        }
                    })
                })
            })
            .collect();
        while it.store.queue_free() > free - 9 {
            thread::yield_now();
        }
        drop(release);
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    let aborted = || Err(StoreError::Aborted("changed my mind".into()));
    for (n, ended) in ended.into_iter().enumerate() {
        assert_eq!(
            ended,
            [Ok(()), aborted(), Err(StoreError::Closed)][n % 3],
            "job {n}"
        );
    }
    assert_eq!(names(&it.store), ["B0", "B3", "B6"]);
    assert_eq!(
        it.store.read(manara_store::Reader::totals).unwrap().leaves,
        3
    );
    it.verify();
    it.reopened().verify();
}

#[test]
fn a_step_that_failed_cannot_be_swallowed() {
    let it = Fixture::new();
    it.write(|tx| tx.create_bank(&bank("A"), "", &plainly(), &Author::System, at(0)));
    let swallowed = |step: &str| {
        Err(StoreError::Aborted(format!(
            "the step `{step}` of this write failed and was not passed on"
        )))
    };
    let no_author = || Author::Reviewer(String::new());
    let ended = it.store.write_blocking(move |tx| {
        // Fails when its leaf is sealed, after the row was written: no author is that short.
        assert!(
            tx.set_bank_enabled(&bank("A"), false, &no_author(), at(0))
                .is_err()
        );
        Ok(tx.unchanged(()))
    });
    assert_eq!(ended, swallowed("bank.disabled"));
    let ended = it.store.write_blocking(|tx| {
        let rows = [
            Ok(slogan("ash", "")),
            Err(StoreError::Aborted("bad row".into())),
        ];
        assert!(
            tx.import(&bank("A"), rows.into_iter(), &Author::System, at(0), |_| ())
                .is_err()
        );
        Ok(tx.unchanged(()))
    });
    assert_eq!(ended, swallowed("bank.imported"));
    let ended = it.store.write_blocking(|tx| {
        let missing = tx.remove_member(
            &bank("A"),
            manara_model::MemberId(1),
            "",
            &Author::System,
            at(0),
        );
        assert!(missing.is_err());
        Ok(tx.unchanged(()))
    });
    assert_eq!(ended, Ok(()), "this one failed before it wrote anything");
    assert!(it.store.read(manara_store::Reader::banks).unwrap()[0].enabled);
    it.verify();
}

#[test]
fn a_full_queue_says_so_at_once() {
    let it = Fixture::new();
    let release = hold(&it.store);
    let queued: Vec<_> = std::iter::repeat_with(|| {
        let store = it.store.clone();
        let mut write = Box::pin(async move { store.try_write(|tx| Ok(tx.unchanged(()))).await });
        let polled = poll_once(write.as_mut());
        (write, polled)
    })
    .take(5000)
    .collect();
    let busy = queued
        .iter()
        .filter(|(_, polled)| *polled == Some(Err(StoreError::Busy)))
        .count();
    assert!(busy > 3000 && busy < 5000, "{busy} of 5000 were refused");
    drop(release);
    assert_eq!(it.store.write_blocking(|tx| Ok(tx.unchanged(1))), Ok(1));
}

fn poll_once<T>(future: std::pin::Pin<&mut dyn Future<Output = T>>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn writes_from_many_threads_are_all_kept() {
    let it = Fixture::new();
    thread::scope(|scope| {
        for t in 0..8 {
            let store = &it.store;
            scope.spawn(move || {
                for n in 0..50 {
                    let event = plain(&format!("post-{t}-{n}"));
                    let recorded = store
                        .write_blocking(move |tx| tx.record_events(vec![event]))
                        .unwrap();
                    assert!(matches!(recorded[..], [Recorded::New(_)]));
                }
            });
        }
    });
    assert_eq!(
        it.store.read(manara_store::Reader::totals).unwrap().events,
        400
    );
    it.verify();
}

#[test]
fn after_close_writes_say_so() {
    let it = Fixture::new();
    let other = it.store.clone();
    it.store.close_blocking().unwrap();
    assert_eq!(
        other.write_blocking(|tx| Ok(tx.unchanged(()))),
        Err(StoreError::Closed)
    );
    verify(&other);
}

#[test]
fn a_store_dropped_by_its_last_job_does_not_hang() {
    let it = Fixture::new();
    let (done, wait) = mpsc::channel();
    let last = it.store.clone();
    let path = it.path();
    let writing = it.store.clone();
    thread::spawn(move || {
        let _: Result<(), _> = writing.write_blocking(move |tx| {
            drop(last);
            Ok(tx.unchanged(()))
        });
        drop(writing);
        done.send(()).unwrap();
    });
    drop(it.store);
    wait.recv_timeout(Duration::from_secs(20)).unwrap();
    verify(&open(&path));
}

#[test]
fn two_stores_on_one_file_take_turns_in_one_log() {
    let it = Fixture::new();
    let other = open(&it.path());
    thread::scope(|scope| {
        for (name, store) in [("a", &it.store), ("b", &other)] {
            scope.spawn(move || {
                for n in 0..40 {
                    let events = (0..5)
                        .map(|m| plain(&format!("post-{name}-{n}-{m}")))
                        .collect();
                    store
                        .write_blocking(move |tx| tx.record_events(events))
                        .unwrap();
                }
            });
        }
    });
    let totals = it.store.read(manara_store::Reader::totals).unwrap();
    assert_eq!((totals.events, totals.leaves), (400, 400));
    other.close_blocking().unwrap();
    it.verify();
}

#[test]
fn a_full_database_loses_nothing_it_acknowledged_and_goes_on_when_it_may_grow() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("manara.db");
    let limited = Options {
        max_bytes: Some(1024 * 1024),
        ..options()
    };
    let store = Store::open(&path, limited).unwrap();
    let mut kept = 0;
    let full = loop {
        let events = (0..20)
            .map(|n| plain(&format!("post-{}", kept + n)))
            .collect();
        match store.write_blocking(move |tx| tx.record_events(events)) {
            Ok(recorded) => kept += recorded.len(),
            Err(error) => break error,
        }
        assert!(kept < 100_000, "the limit does not hold");
    };
    assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
    assert!(
        store
            .trouble()
            .is_some_and(|why| why.contains("cannot grow"))
    );
    assert!(kept > 100, "{kept}");
    let count = |store: &Store| store.read(manara_store::Reader::totals).unwrap().events;
    assert_eq!(count(&store), kept as u64);
    // Reading goes on, and so does what needs no room.
    let again = plain("post-0");
    assert!(
        store
            .read(|r| r.event("forum.example", "post-0"))
            .unwrap()
            .is_some()
    );
    assert!(store.write_blocking(|tx| Ok(tx.unchanged(()))).is_ok());
    verify(&store);
    store.close_blocking().unwrap();

    let store = open(&path);
    assert_eq!(count(&store), kept as u64);
    let recorded = store
        .write_blocking(move |tx| tx.record_events(vec![again, plain("post-new")]))
        .unwrap();
    assert!(
        matches!(recorded[..], [Recorded::Duplicate(_), Recorded::New(_)]),
        "{recorded:?}"
    );
    assert_eq!(store.trouble(), None);
    verify(&store);
}

#[test]
fn many_records_are_spread_over_several_leaves() {
    let it = Fixture::new();
    it.store
        .set_receivers((0..40).map(|n| format!("receiver-{n}")).collect());
    let effects: Vec<_> = (0..20)
        .map(|n| {
            let mut effect = crate::fixtures::effect(
                manara_model::ActionKind::Label,
                manara_model::EntityType::Content,
            );
            effect.detail.label = Some(format!("label_{n}").parse().unwrap());
            effect
        })
        .collect();
    it.record(crate::fixtures::with_effects("post-1", &effects));
    let totals = it.store.read(manara_store::Reader::totals).unwrap();
    assert_eq!(totals.outbox_pending, 800);
    assert!(totals.leaves > 1, "{} leaves", totals.leaves);
    it.verify();
}

#[test]
fn a_value_can_be_carried_from_step_to_step() {
    let it = Fixture::new();
    let (first, second) = it.write(|tx| {
        let first: Committed<u64> = tx.note("a.note", &Author::System, at(0), None)?;
        let second = tx.note("a.note", &Author::System, at(1), None)?;
        Ok(second.map(|second| (*first.get(), second)))
    });
    assert_eq!((first, second), (0, 1));
}
