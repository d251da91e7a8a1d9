//! Random expressions, evaluated by us and by another implementation of CEL.
//!
//! ```text
//! cargo run --release -p manara-rules --example cel_differential -- [--count N] [--seed S]
//!     --only NUMBER       one expression of the seed, with both answers
//!     --oracle COMMAND    asks the process COMMAND (several workers) and not the `cel` crate
//!     --workers N         so many of them at once (default 1)
//!     --emit              only writes {"number", "scene", "expr", "bindings", "ours"} lines
//!     --library           with `filter`, `matches`, maps and the parts of times too
//!     --refused           shows what our checker refuses
//!     --go-on             counts disagreements, showing the first ten, instead of stopping at one
//! ```
//!
//! An oracle process reads such lines (`bindings` only where a `scene` is new to it) and writes one
//! line for each: a value with its type, such as `{"int": 3}`, `{"failed": "…"}` for an error at run
//! time, or `{"unreadable": "…"}`. `scripts/cel-differential` runs PyPI `cel-python` that way.
#![expect(clippy::print_stdout, reason = "it prints what it compared")]

#[path = "../tests/cel/mod.rs"]
mod cel_tests;

use cel_tests::compare::{
    Answer, CelCrate, EXCEPTIONS, Ended, Oracle, Ours, Tally, compare, declared,
};
use cel_tests::generator::{Dialect, Node, Options, Scene, Value, generate};
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// How many events the expressions of a run are evaluated on.
const SCENES: usize = 256;
/// How many expressions go to a process at once.
const CHUNK: u64 = 200;

struct Args {
    count: u64,
    seed: u64,
    first: u64,
    oracle: Option<String>,
    workers: u64,
    emit: bool,
    options: Options,
    go_on: bool,
    refused: bool,
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("{problem}: see the top of examples/cel_differential.rs");
            return ExitCode::from(2);
        }
    };
    let scenes: Arc<Vec<Scene>> = Arc::new(
        (0..SCENES)
            .map(|number| Scene::new(args.seed, number))
            .collect(),
    );
    if args.emit {
        emit(&args, &scenes);
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let run = Run {
        next: AtomicU64::new(args.first),
        end: args.first + args.count,
        tally: Mutex::new(Tally::default()),
        args,
    };
    std::thread::scope(|scope| {
        for _ in 0..run.args.workers {
            scope.spawn(|| work(&run, &scenes));
        }
    });
    let tally = run.tally.into_inner().expect("no worker panicked");
    show(&tally, &run.args, began);
    ExitCode::from(u8::from(
        tally.disagreed > 0 || !tally.unexpected_refusals().is_empty(),
    ))
}

fn args() -> Result<Args, String> {
    let mut args = Args {
        count: 100_000,
        seed: 1,
        first: 0,
        oracle: None,
        workers: 1,
        emit: false,
        options: Options::default(),
        go_on: false,
        refused: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{flag} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
        match flag.as_str() {
            "--count" => args.count = number(value()?)?,
            "--seed" => args.seed = number(value()?)?,
            "--only" => (args.first, args.count) = (number(value()?)?, 1),
            "--workers" => args.workers = number(value()?)?.max(1),
            "--oracle" => args.oracle = Some(value()?),
            "--emit" => args.emit = true,
            "--library" => args.options.library = true,
            "--refused" => args.refused = true,
            "--go-on" => args.go_on = true,
            _ => return Err(format!("unknown argument {flag}")),
        }
    }
    Ok(args)
}

struct Run {
    next: AtomicU64,
    end: u64,
    tally: Mutex<Tally>,
    args: Args,
}

/// Takes chunks of expressions until there are no more, or two answers differ.
fn work(run: &Run, scenes: &[Scene]) {
    let Args { seed, options, .. } = run.args;
    let schema = declared();
    let mut process = run.args.oracle.as_deref().map(Process::start);
    let mut in_process = CelCrate::default();
    loop {
        let first = run.next.fetch_add(CHUNK, Ordering::Relaxed);
        if first >= run.end {
            return;
        }
        let numbers = first..(first + CHUNK).min(run.end);
        let nodes: Vec<(u64, Node, &Scene)> = numbers
            .map(|n| (n, generate(seed, n, options), &scenes[scene_of(seed, n)]))
            .collect();
        let answers: Vec<Answer> = match &mut process {
            Some(process) => process.answers(&nodes),
            None => nodes
                .iter()
                .map(|(_, node, scene)| in_process.answer(&node.text(Dialect::Cel), scene))
                .collect(),
        };
        let mut tally = Tally::default();
        for ((number, node, scene), theirs) in nodes.iter().zip(answers) {
            let oracle: &mut dyn Oracle = match &mut process {
                Some(process) => process,
                None => &mut in_process,
            };
            let shown = (run.args.count == 1).then(|| theirs.clone());
            let ended = compare(node, theirs, scene, &schema, oracle);
            if let Some(theirs) = shown {
                show_one(node, &theirs, &ended);
            }
            if let Ended::Refused(reason) = &ended
                && run.args.refused
            {
                println!(
                    "refused: --seed {seed} --only {number}\n{}\n{reason}\n",
                    node.text(Dialect::Ours)
                );
            }
            if let Some(disagreement) = tally.add(node, ended) {
                let before = run.tally.lock().map(|t| t.disagreed).unwrap_or_default();
                if before + tally.disagreed <= 10 {
                    println!("DISAGREEMENT: --seed {seed} --only {number}\n{disagreement}\n");
                }
                if !run.args.go_on {
                    run.next.store(u64::MAX / 2, Ordering::Relaxed);
                }
            }
        }
        if let Ok(mut all) = run.tally.lock() {
            all.merge(tally);
        }
    }
}

/// Which event an expression is evaluated on.
fn scene_of(seed: u64, number: u64) -> usize {
    cel_tests::generator::Rng::new(!seed, number).below(SCENES)
}

fn show_one(node: &Node, theirs: &Answer, ended: &Ended) {
    println!(
        "ours:   {}\nin CEL: {}\ntheirs: {theirs:?}",
        node.text(Dialect::Ours),
        node.text(Dialect::Cel)
    );
    match ended {
        Ended::Agreed { ours, exceptions } => {
            println!("ours:   {ours:?}, exceptions {exceptions:?}\n");
        }
        Ended::Refused(reason) => println!("refused: {reason}\n"),
        Ended::Disagreed(_) => {}
    }
}

fn show(tally: &Tally, args: &Args, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let percent = |n: u64| format!("{:.1} %", 100.0 * n as f64 / tally.compared.max(1) as f64);
    let oracle = if args.oracle.is_some() {
        "the oracle process"
    } else {
        "the cel crate"
    };
    println!(
        "seed {}, compared with {oracle}: {} expressions in {seconds:.0} s",
        args.seed, tally.compared
    );
    println!("  true {} ({})", tally.yes, percent(tally.yes));
    println!("  false {} ({})", tally.no, percent(tally.no));
    println!("  another value {} ({})", tally.value, percent(tally.value));
    println!("  unknown {} ({})", tally.unknown, percent(tally.unknown));
    println!("disagreements: {}", tally.disagreed);
    println!(
        "exceptions, in {} expressions ({}):",
        tally.with_exceptions,
        percent(tally.with_exceptions)
    );
    for exception in EXCEPTIONS {
        let used = tally
            .exceptions
            .get(exception.name)
            .copied()
            .unwrap_or_default();
        println!("  {used:>8}  {}: {}", exception.name, exception.reason);
    }
    println!("refused by our checker, and not compared:");
    for (reason, n) in &tally.refused {
        println!("  {n:>8}  {reason}");
    }
    println!("made of:");
    for (kind, n) in &tally.kinds {
        println!("  {n:>8}  {kind}");
    }
}

// ---- lines ----

fn line(number: u64, node: &Node, scene: &Scene, with_bindings: bool) -> Json {
    let mut line =
        json!({ "number": number, "scene": scene.number, "expr": node.text(Dialect::Cel) });
    if with_bindings {
        line["bindings"] = Value::Map(scene.bindings.clone()).tagged();
    }
    line
}

/// Writes expressions with our answers. For values of other types than bool, ours is found by
/// comparing with what the `cel` crate says.
fn emit(args: &Args, scenes: &[Scene]) {
    let (schema, mut oracle) = (declared(), CelCrate::default());
    let mut out = BufWriter::new(std::io::stdout().lock());
    for number in args.first..args.first + args.count {
        let (node, scene) = (
            generate(args.seed, number, args.options),
            &scenes[scene_of(args.seed, number)],
        );
        let theirs = oracle.answer(&node.text(Dialect::Cel), scene);
        let Ended::Agreed { ours, .. } = compare(&node, theirs, scene, &schema, &mut oracle) else {
            continue;
        };
        let mut line = line(number, &node, scene, true);
        line["ours"] = match ours {
            Ours::Known(Value::Bool(value)) => json!(value),
            Ours::Known(value) => value.tagged(),
            Ours::Other(shown) => json!({ "other": shown }),
            Ours::Unknown => json!("unknown"),
        };
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}

/// An oracle in another process, asked line by line.
struct Process {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    known: HashSet<usize>,
}

impl Process {
    fn start(command: &str) -> Self {
        let mut words = command.split_whitespace();
        let mut child = Command::new(words.next().unwrap_or_default())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("starting `{command}`: {e}"));
        let (input, output) = (
            child.stdin.take().expect("piped"),
            child.stdout.take().expect("piped"),
        );
        Self {
            child,
            input: Some(BufWriter::new(input)),
            output: BufReader::new(output),
            known: HashSet::new(),
        }
    }

    fn ask(&mut self, number: u64, node: &Node, scene: &Scene) {
        let line = line(number, node, scene, self.known.insert(scene.number));
        self.write(&line.to_string());
    }

    fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open until the end");
        writeln!(input, "{line}").expect("the oracle process reads");
    }

    fn flush(&mut self) {
        self.input
            .as_mut()
            .expect("open until the end")
            .flush()
            .expect("the oracle process reads");
    }

    fn read(&mut self) -> Answer {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the oracle process answers");
        let json: Json = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("{e}: the oracle wrote {line:?}"));
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        if let Some(problem) = text("failed") {
            return Answer::Failed(problem);
        }
        Value::from_tagged(&json).map_or_else(
            || Answer::Unreadable(text("unreadable").unwrap_or(line)),
            Answer::Known,
        )
    }

    fn answers(&mut self, nodes: &[(u64, Node, &Scene)]) -> Vec<Answer> {
        for (number, node, scene) in nodes {
            self.ask(*number, node, scene);
        }
        self.flush();
        nodes.iter().map(|_| self.read()).collect()
    }
}

impl Oracle for Process {
    fn name(&self) -> &'static str {
        "cel-python"
    }

    fn answer(&mut self, expression: &str, scene: &Scene) -> Answer {
        let mut line = json!({ "scene": scene.number, "expr": expression });
        if self.known.insert(scene.number) {
            line["bindings"] = Value::Map(scene.bindings.clone()).tagged();
        }
        self.write(&line.to_string());
        self.flush();
        self.read()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input = None;
        let _ = self.child.wait();
    }
}
