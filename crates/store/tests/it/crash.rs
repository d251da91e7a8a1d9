//! Killed in the middle: what was acknowledged is there, once, and the log agrees.
//!
//! The writer runs in a process of its own, so that it can be killed the way a power cut kills it,
//! and so that two of them can write to one file. That process is this test binary again, running
//! `the_writer_keeps_what_it_prints` on the database that [`DATABASE`] names.

use crate::fixtures::{effect, open, remove, verify, with_effects};
use manara_model::{ActionId, ActionKind, DecisionId, EntityType};
use manara_store::{NewEvent, Store};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the writer is to write; without it, it writes a little and is checked itself.
const DATABASE: &str = "MANARA_TEST_DATABASE";
/// What its event ids begin with.
const PREFIX: &str = "MANARA_TEST_PREFIX";
/// How many events it writes.
const EVENTS: &str = "MANARA_TEST_EVENTS";
/// What a line with an acknowledged id begins with; the test harness prints lines of its own.
const KEPT: &str = "kept ";
const THREADS: u32 = 3;
const GROUP: u32 = 5;

fn writer(database: &Path, prefix: &str, events: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::the_writer_keeps_what_it_prints",
            "--exact",
            "--nocapture",
        ])
        .env(DATABASE, database)
        .env(PREFIX, prefix)
        .env(EVENTS, events.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The ids it prints, each after its write was acknowledged. The last line counts only when it is
/// whole.
fn kept(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    std::iter::from_fn(move || {
        let mut line = String::new();
        (out.read_line(&mut line).unwrap() > 0).then_some(line)
    })
    .filter_map(|line| Some(line.strip_suffix('\n')?.strip_prefix(KEPT)?.to_owned()))
}

/// Asserts that every acknowledged event is there with what follows from it.
#[track_caller]
fn check(database: &Path, ids: &[String]) {
    let store = open(database);
    let is_whole = |id: &String| {
        let Some(event) = store.read(|r| r.event("forum.example", id)).unwrap() else {
            return false;
        };
        let asked = event
            .decision
            .actions
            .iter()
            .filter(|a| a.kind.is_delivered())
            .count();
        store
            .read(|r| r.deliveries(event.decision.id))
            .unwrap()
            .len()
            == asked
    };
    let missing: Vec<_> = ids.iter().filter(|id| !is_whole(id)).collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    verify(&store);
    store.close_blocking().unwrap();
}

/// Writes every `THREADS`th event, a few in each commit, and prints the id of each once it was
/// acknowledged.
fn write(store: &Store, prefix: &str, thread: u32, events: u32) {
    let mut n = thread;
    while n < events {
        let numbers = (0..GROUP).map(|i| n + i * THREADS).filter(|n| *n < events);
        let batch: Vec<NewEvent> = numbers.map(|n| event(prefix, n)).collect();
        let mut lines = String::from("\n");
        for new in &batch {
            lines.extend([KEPT, &new.event.id, "\n"]);
        }
        store
            .write_blocking(move |tx| tx.record_events(batch))
            .unwrap();
        // Straight to the pipe: the harness must not hold it back.
        let mut out = std::io::stdout().lock();
        out.write_all(lines.as_bytes()).unwrap();
        out.flush().unwrap();
        n += GROUP * THREADS;
    }
}

/// Every third event has a verdict, so that cases and the outbox are written too.
fn event(prefix: &str, n: u32) -> NewEvent {
    let strike = effect(ActionKind::Strike, EntityType::Account);
    let enqueue = effect(ActionKind::Enqueue, EntityType::Account);
    let effects = if n.is_multiple_of(3) {
        vec![remove(), strike, enqueue]
    } else {
        vec![]
    };
    let mut new = with_effects(&format!("{prefix}-{n}"), &effects);
    // The fixtures count their decision ids in each process; here several write to one file.
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap();
    let id = DecisionId::new(1_795_342_501_000, u128::from_ne_bytes(random));
    for (index, action) in new.decision.actions.iter_mut().enumerate() {
        action.id = ActionId::derive(id, index);
    }
    new.decision.id = id;
    new
}

#[test]
fn the_writer_keeps_what_it_prints() {
    let own = tempfile::tempdir().unwrap();
    let named = std::env::var_os(DATABASE);
    let database = named
        .clone()
        .map_or_else(|| own.path().join("manara.db"), Into::into);
    let prefix = std::env::var(PREFIX).unwrap_or_else(|_| "own".into());
    let events: u32 = std::env::var(EVENTS).map_or(30, |events| events.parse().unwrap());
    let store = open(&database);
    store.set_receivers(vec!["forum".into()]);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, prefix) = (&store, &prefix);
            scope.spawn(move || write(store, prefix, thread, events));
        }
    });
    store.close_blocking().unwrap();
    if named.is_none() {
        let ids: Vec<String> = (0..events).map(|n| format!("{prefix}-{n}")).collect();
        check(&database, &ids);
    }
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("manara.db");
    let mut all = Vec::new();
    for round in 0_u64..8 {
        let mut child = writer(&database, &format!("round-{round}"), u32::MAX);
        let mut ids = kept(&mut child);
        if round % 2 == 0 {
            // On a busy machine a fixed time may end before the first commit; both are worth a try.
            all.extend(ids.next());
        }
        std::thread::sleep(Duration::from_millis(20 + round * 67));
        child.kill().unwrap();
        all.extend(ids);
        child.wait().unwrap();
        check(&database, &all);
    }
    assert!(
        all.len() > 50,
        "only {} events were written, the rounds prove little",
        all.len()
    );
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}

#[test]
fn two_processes_write_one_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("manara.db");
    let mut children = [writer(&database, "a", 300), writer(&database, "b", 300)];
    let ids: Vec<String> = children.iter_mut().flat_map(kept).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(ids.len(), 600);
    check(&database, &ids);
}

#[test]
fn a_file_that_another_process_is_making_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("manara.db");
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (done, opened) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let store = open(&database);
            verify(&store);
            done.send(()).unwrap();
        });
        assert!(
            opened.recv_timeout(Duration::from_millis(300)).is_err(),
            "it was not waited for"
        );
        other.execute_batch("ROLLBACK").unwrap();
    });
    opened.recv().unwrap();
}
