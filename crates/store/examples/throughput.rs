//! How fast the store is on this machine: events with and without verdicts, imports, loading,
//! verifying. One writer, groups as given, everything synced.
//!
//! `cargo run --release -p manara-store --example throughput -- [DIRECTORY] [EVENTS] [GROUP]`

use manara_model::{
    ActionKind, Author, BankName, BankSettings, Decision, DecisionId, Detail, Effect, EntityType,
    Event, Mode, Origin, Verdict, actions_of,
};
use manara_signal::{Pdq, Signal};
use manara_store::{BankCursor, NewEvent, Options, Store};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

const MEMBERS: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let events: usize = arguments.next().map_or(Ok(200_000), |n| n.parse())?;
    let group: usize = arguments.next().map_or(Ok(100), |n| n.parse())?;
    let path = directory.join("throughput.db");
    for end in ["", "-wal", "-shm"] {
        // What an earlier run left behind; there may be nothing.
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    let options = Options {
        audit_seed: [7; 32],
        origin: "bench.example/log".into(),
        max_bytes: None,
        readers: 2,
    };
    let store = Store::open(&path, options.clone())?;
    run_events(&store, "without verdicts", (0..events).map(event), group)?;
    store.set_receivers(vec!["forum".into()]);
    run_events(
        &store,
        "with a verdict",
        (events..events + events / 10).map(judged),
        group,
    )?;
    run_banks(&store)?;
    run_verify(&store)?;
    store.close_blocking()?;
    let started = start();
    let store = Store::open(&path, options)?;
    say("open again", 1, started);
    store.close_blocking()?;
    Ok(())
}

type Prepared = Result<NewEvent, Box<dyn Error>>;

fn run_events(
    store: &Store,
    what: &str,
    events: impl Iterator<Item = Prepared>,
    group: usize,
) -> Result<(), Box<dyn Error>> {
    let events = events.collect::<Result<Vec<_>, _>>()?;
    let count = events.len() as u64;
    let batches: Vec<Vec<NewEvent>> = events.chunks(group).map(<[NewEvent]>::to_vec).collect();
    let started = start();
    for batch in batches {
        store.write_blocking(move |tx| tx.record_events(batch))?;
    }
    say(&format!("events {what}, groups of {group}"), count, started);
    let started = start();
    let totals = store.read(manara_store::Reader::totals)?;
    say(&format!("totals ({} events)", totals.events), 1, started);
    Ok(())
}

fn run_banks(store: &Store) -> Result<(), Box<dyn Error>> {
    let bank: BankName = "BENCH".parse()?;
    let now = "2026-11-22T10:15:00Z".parse()?;
    let name = bank.clone();
    store.write_blocking(move |tx| {
        tx.create_bank(&name, "", &BankSettings::default(), &Author::System, now)
    })?;
    let started = start();
    let rows =
        (0..MEMBERS).map(|n| Ok((Signal::Pdq(Pdq(scrambled(n))), format!("row {n}")).into()));
    store.write_blocking(move |tx| tx.import(&bank, rows, &Author::System, now, |_| ()))?;
    say("members imported", MEMBERS, started);
    let started = start();
    let mut loaded = 0;
    let cursor =
        store.read(|reader| reader.bank_changes(&BankCursor::default(), &mut |_| loaded += 1))?;
    say("members loaded", loaded - 1, started);
    let started = start();
    store.read(|reader| reader.bank_changes(&cursor, &mut |_| ()))?;
    say("no change found", 1, started);
    Ok(())
}

fn run_verify(store: &Store) -> Result<(), Box<dyn Error>> {
    let started = start();
    let report = store.verify(&mut |_, _| ())?;
    assert_eq!(report.findings, []);
    say(
        &format!("verified: {} leaves, records", report.leaves),
        report.records,
        started,
    );
    Ok(())
}

/// 32 bytes that look random and are the same in every run.
fn scrambled(n: u64) -> [u8; 32] {
    let mut out = [0; 32];
    let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for chunk in out.chunks_exact_mut(8) {
        state = (state ^ (state >> 30))
            .wrapping_mul(0xBF58_476D_1CE4_E5B9)
            .wrapping_add(n | 1);
        chunk.copy_from_slice(&(state ^ (state >> 27)).to_le_bytes());
    }
    out
}

fn event(n: usize) -> Result<NewEvent, Box<dyn Error>> {
    let json = format!(
        r#"{{"id":"post-{n}","source":"forum.example","type":"post.created","time":"2026-11-22T10:15:00Z","account":{{"id":"a-{}","handle":"user_{}"}},"content":{{"id":"p-{n}","text":"An ordinary post about nothing in particular, number {n}, of the length that posts have."}}}}"#,
        n % 5000,
        n % 5000
    );
    let (event, _) = Event::from_json(json.as_bytes(), Origin::Http)?;
    let received_at = "2026-11-22T10:15:01Z".parse()?;
    Ok(NewEvent {
        body: serde_json::to_string(&event)?,
        media: Vec::new(),
        fingerprint: scrambled(n as u64),
        received_at,
        decision: Decision {
            id: DecisionId::new(
                1_795_342_501_000 + n as u64 / 50,
                u128::from(n as u64) * 0x9E37_79B9_7F4A_7C15,
            ),
            author: Author::Rules,
            at: received_at,
            event: Some((event.source.clone(), event.id.clone())),
            case: None,
            verdicts: Vec::new(),
            actions: Vec::new(),
            note: String::new(),
        },
        previews: Vec::new(),
        event,
    })
}

/// The same with a rule that fired: a removal, a strike, and a case for the account.
fn judged(n: usize) -> Result<NewEvent, Box<dyn Error>> {
    let mut new = event(n)?;
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
        reason: "This post holds a slogan that a partner confirmed.".into(),
        reasons: std::collections::BTreeMap::new(),
        held: None,
        because: vec![],
        trace: vec![],
        effects: vec![
            effect(ActionKind::Remove, EntityType::Content),
            effect(ActionKind::Strike, EntityType::Account),
            effect(ActionKind::Enqueue, EntityType::Account),
        ],
    };
    new.decision.verdicts = vec![verdict];
    new.decision.actions = actions_of(
        new.decision.id,
        new.decision.at,
        &new.decision.verdicts,
        |r#type, index| new.event.entity(r#type, index),
    );
    Ok(new)
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn say(what: &str, count: u64, started: Started) {
    let (took, cpu) = (
        started.clock.elapsed().as_secs_f64(),
        cpu_seconds() - started.cpu,
    );
    let rate = |seconds: f64| count as f64 / seconds.max(0.01);
    println!(
        "{what}: {count} in {took:.3} s, {:.0}/s; {cpu:.2} s of processor time, {:.0}/s",
        rate(took),
        rate(cpu)
    );
}

#[derive(Clone, Copy)]
struct Started {
    clock: Instant,
    cpu: f64,
}

fn start() -> Started {
    Started {
        clock: Instant::now(),
        cpu: cpu_seconds(),
    }
}

/// What this process has used of the processor, which on a shared machine says more than the
/// clock does. 0 where there is no `/proc`.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    // Fields 14 and 15 of proc(5), in hundredths of a second; the first two are before the `)`.
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}
