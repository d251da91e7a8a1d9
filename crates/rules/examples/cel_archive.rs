//! Asks the `cel` crate conditions of an archive of events, on as many threads as there are cores: the peer of
//! back-tests. `cargo run --release -p manara-rules --example cel_archive -- EVENTS.ndjson CONDITIONS`.
#![expect(
    clippy::print_stdout,
    reason = "a measuring program prints what it measured"
)]

use cel::{Context, Program, Value};
use std::io::{BufRead, BufReader};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Lines given to a thread together.
const TOGETHER: usize = 512;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(events), Some(conditions)) = (arguments.next(), arguments.next()) else {
        println!("give a file of events and one of conditions");
        return;
    };
    let conditions = std::fs::read_to_string(conditions).expect("the conditions");
    let programs: Vec<Program> = conditions
        .lines()
        .map(|line| Program::compile(line).expect("a condition"))
        .collect();
    let file = BufReader::new(std::fs::File::open(events).expect("the events"));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let started = Instant::now();
    let (give, lines) = sync_channel::<Vec<String>>(4 * threads);
    let lines = Arc::new(Mutex::new(lines));
    let (mut seen, mut fired) = (0_usize, 0_usize);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&lines, &programs)))
            .collect();
        let mut page = Vec::with_capacity(TOGETHER);
        for line in file.lines() {
            page.push(line.expect("a line"));
            seen += 1;
            if page.len() == TOGETHER {
                give.send(std::mem::take(&mut page)).expect("a worker");
            }
        }
        give.send(page).expect("a worker");
        drop(give);
        fired = workers
            .into_iter()
            .map(|it| it.join().expect("a worker"))
            .sum();
    });
    let took = started.elapsed().as_secs_f64();
    println!(
        "{took:.1} s ({:.0} a second), {fired} fired",
        seen as f64 / took
    );
}

fn work(lines: &Mutex<std::sync::mpsc::Receiver<Vec<String>>>, programs: &[Program]) -> usize {
    let mut fired = 0;
    loop {
        let Ok(page) = lines.lock().expect("no panic").recv() else {
            return fired;
        };
        for line in page {
            let event: serde_json::Value = serde_json::from_str(&line).expect("an event");
            let mut context = Context::default();
            for root in ["account", "space", "content"] {
                if let Some(value) = event.get(root) {
                    context.add_variable(root, value).expect("a value");
                }
            }
            let holds = |it: &&Program| matches!(it.execute(&context), Ok(Value::Bool(true)));
            fired += programs.iter().filter(holds).count();
        }
    }
}
