//! Writes events and prints the id of each once it was acknowledged: for the tests that kill it.
//!
//! `crash_writer DATABASE PREFIX EVENTS`

use manara_model::{
    ActionKind, Author, Decision, DecisionId, Detail, Effect, EntityType, Event, Mode, Origin,
    Verdict, actions_of,
};
use manara_store::{NewEvent, Options, Store};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

const THREADS: u32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .ok_or("usage: crash_writer DATABASE PREFIX EVENTS")
    };
    let (database, prefix) = (PathBuf::from(next()?), next()?);
    let events: u32 = next()?.parse()?;
    let options = Options {
        audit_seed: [7; 32],
        origin: "forum.example/log".into(),
        max_bytes: None,
        readers: 1,
    };
    let store = Store::open(&database, options)?;
    store.set_receivers(vec!["forum".into()]);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, prefix) = (store.clone(), &prefix);
                scope
                    .spawn(move || write(&store, prefix, thread, events).map_err(|e| e.to_string()))
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
    .map_err(|error: String| error.into())
}

/// Writes every `THREADS`th event, a few in each commit.
fn write(store: &Store, prefix: &str, thread: u32, events: u32) -> Result<(), Box<dyn Error>> {
    let mut n = thread;
    while n < events {
        let numbers: Vec<u32> = (0..5)
            .map(|i| n + i * THREADS)
            .filter(|n| *n < events)
            .collect();
        let batch = numbers
            .iter()
            .map(|n| event(prefix, *n))
            .collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<String> = batch.iter().map(|new| new.event.id.clone()).collect();
        store.write_blocking(move |tx| tx.record_events(batch))?;
        let mut out = std::io::stdout().lock();
        for id in ids {
            writeln!(out, "{id}")?;
        }
        out.flush()?;
        n += 5 * THREADS;
    }
    Ok(())
}

/// Every third event has a verdict, so that cases and the outbox are written too.
fn event(prefix: &str, n: u32) -> Result<NewEvent, Box<dyn Error>> {
    let json = format!(
        r#"{{"id":"{prefix}-{n}","source":"crash.example","type":"post.created","time":"2026-11-22T10:15:00Z","account":{{"id":"a-{}"}},"content":{{"id":"p-{prefix}-{n}","text":"ash and banner"}}}}"#,
        n % 7
    );
    let (event, _) = Event::from_json(json.as_bytes(), Origin::Http)?;
    let effect = |kind, target| Effect {
        kind,
        target,
        index: None,
        detail: Detail::default(),
    };
    let verdict = Verdict {
        rule: "slogan".parse()?,
        version: 1,
        mode: Mode::Live,
        policy: "tvec".parse()?,
        reason: "a slogan".into(),
        because: vec![],
        trace: vec![],
        effects: vec![
            effect(ActionKind::Remove, EntityType::Content),
            effect(ActionKind::Strike, EntityType::Account),
            effect(ActionKind::Enqueue, EntityType::Account),
        ],
    };
    let verdicts = if n.is_multiple_of(3) {
        vec![verdict]
    } else {
        vec![]
    };
    let at = "2026-11-22T10:15:01Z".parse()?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    let id = DecisionId::new(1_795_342_501_000, u128::from_ne_bytes(random));
    let actions = actions_of(id, &verdicts, |r#type, index| event.entity(r#type, index));
    Ok(NewEvent {
        body: json,
        media: vec![],
        fingerprint: [(n % 251) as u8; 32],
        received_at: at,
        decision: Decision {
            id,
            author: Author::Rules,
            at,
            event: Some((event.source.clone(), event.id.clone())),
            case: None,
            verdicts,
            actions,
            note: String::new(),
        },
        previews: vec![],
        event,
    })
}
