//! Measures the PDQ index: build, memory and lookups, with changes going on or not.
//!
//! `cargo run --release -p manara-signal --example bench_index -- --hashes 1000000 --churn 1000`
//!
//! The hashes are random; half of the queries are planted at distance 0 to 31 from a known one, and
//! each is asked once. `--json` prints one object on one line. Other options: `--radius 31`,
//! `--queries 100000`, `--churn 0` (adds, and as many removes, in a second), `--snapshot PATH`
//! (writes one, maps it, and looks up in that), `--levels` (also looks up with each set of
//! instructions that the processor has, in turns, and gives medians), `--builds 1` (how often to
//! build; of all but the first, gives the quickest). `--write FOLDER` only writes the hashes and the first
//! queries for a peer: `hashes` and `queries` with 32 bytes each, `truth` with the row that a query
//! was planted beside, or -1, in 8 bytes.

use manara_signal::Pdq;
use manara_signal::index::{Level, PdqHit, PdqIndex};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn hash(&mut self) -> Pdq {
        let mut bytes = [0; 32];
        for chunk in bytes.as_chunks_mut::<8>().0 {
            *chunk = self.next().to_le_bytes();
        }
        Pdq(bytes)
    }
}

/// The known hash of a key: computed anew where needed, so that no copy weighs on the memory figure.
fn known(key: u64) -> Pdq {
    Random(key.wrapping_mul(0xd134_2543_de82_ef95)).hash()
}

/// Seconds this thread has been running on a processor, or else by the clock: on a machine with
/// other work the figures then are those of an idle one, but for the caches it shares.
struct Stopwatch(f64);

impl Stopwatch {
    fn start() -> Self {
        Self(Self::now())
    }
    fn seconds(&self) -> f64 {
        Self::now() - self.0
    }
    fn now() -> f64 {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let ran = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let ran = ran.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        ran.map_or_else(
            || BEGIN.elapsed().as_secs_f64(),
            |nanoseconds| nanoseconds / 1e9,
        )
    }
}

/// What was measured, for a person or for a program.
struct Figures(Vec<(String, f64)>);

impl Figures {
    fn add(&mut self, name: &str, value: f64) {
        self.0.push((name.to_owned(), value));
    }
    fn say(&self, json: bool) {
        let line = |(name, value): &(String, f64)| {
            if json {
                format!("\"{name}\":{value:.3}")
            } else {
                format!("{name:>28} {value:.3}")
            }
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        let text = if json {
            format!("{{{}}}", lines.join(","))
        } else {
            lines.join("\n")
        };
        // A closed pipe only means that nobody reads on.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

fn main() {
    let option = |name: &str| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        arguments.nth(1)
    };
    let number = |name, or| {
        let value: Option<u64> = option(name).and_then(|value| value.parse().ok());
        value.unwrap_or(or)
    };
    let hashes = number("--hashes", 1_000_000);
    let radius = number("--radius", 31) as u32;
    let count = number("--queries", 100_000);
    let churn = number("--churn", 0);
    let json = std::env::args().any(|argument| argument == "--json");

    if let Some(folder) = option("--write") {
        if let Err(problem) = write(&folder, hashes, count) {
            let _ = writeln!(std::io::stderr(), "writing to {folder}: {problem}");
            std::process::exit(2);
        }
        return;
    }

    let mut figures = Figures(Vec::new());
    figures.add("hashes", hashes as f64);
    figures.add("radius", f64::from(radius));
    // The hashes lie in memory before, as they do for the peers; what is timed ends with an index
    // that can be asked.
    let given: Vec<Pdq> = (0..hashes).map(known).collect();
    let before = in_memory("VmRSS:");
    forget_peak();
    let (start, clock) = (Stopwatch::start(), Instant::now());
    let mut index = PdqIndex::from_entries((0..).zip(given.iter().copied()));
    figures.add("build_s", start.seconds());
    figures.add("build_wall_s", clock.elapsed().as_secs_f64());
    let a_hash = |bytes: f64| (bytes - before) / hashes as f64;
    figures.add("resident_bytes_per_hash", a_hash(in_memory("VmRSS:")));
    figures.add("build_peak_bytes_per_hash", a_hash(in_memory("VmHWM:")));
    // Again, with memory that the system has given this program before.
    let mut again = Vec::new();
    for _ in 1..number("--builds", 1) {
        drop(std::mem::take(&mut index));
        let start = Stopwatch::start();
        index = PdqIndex::from_entries((0..).zip(given.iter().copied()));
        again.push(start.seconds());
    }
    if let Some(best) = again.into_iter().min_by(f64::total_cmp) {
        figures.add("build_again_s", best);
    }
    drop(given);
    figures.add(
        "allocated_bytes_per_hash",
        index.memory() as f64 / hashes as f64,
    );

    if let Some(path) = option("--snapshot") {
        match snapshot(&index, &path, &mut figures) {
            Ok(mapped) => index = mapped,
            Err(problem) => {
                let _ = writeln!(std::io::stderr(), "the snapshot at {path}: {problem}");
                return;
            }
        }
    }

    let mut random = Random(QUERIES_SEED);
    let mut ask = || -> Vec<Query> { (0..count).map(|_| query(&mut random, hashes)).collect() };
    let mut single = |figures: &mut Figures, index: &RwLock<PdqIndex>, names: [&'static str; 3]| {
        let queries = ask();
        let (mut hits, mut recalled, mut longest) = (Vec::new(), 0, Duration::ZERO);
        let (start, clock) = (Stopwatch::start(), Instant::now());
        for query in &queries {
            let asked = Instant::now();
            hits.clear();
            index.read().unwrap_or_else(PoisonError::into_inner).query(
                &query.hash,
                radius,
                &mut hits,
            );
            recalled += usize::from(query.recalled(&hits));
            longest = longest.max(asked.elapsed());
        }
        figures.add(names[0], count as f64 / start.seconds());
        figures.add(names[1], count as f64 / clock.elapsed().as_secs_f64());
        figures.add(names[2], longest.as_secs_f64() * 1e3);
        recalled as f64 / queries.iter().filter(|q| q.planted.is_some()).count() as f64
    };
    let index = RwLock::new(index);
    let names = ["single_q_s", "single_wall_q_s", "single_longest_ms"];
    let recall = single(&mut figures, &index, names);
    figures.add("single_recall", recall);
    if churn > 0 {
        let stop = AtomicBool::new(false);
        let names = ["churned_q_s", "churned_wall_q_s", "churned_longest_ms"];
        let (recall, changes) = std::thread::scope(|scope| {
            let changing = scope.spawn(|| change(&index, hashes, churn, &stop));
            let recall = single(&mut figures, &index, names);
            stop.store(true, Ordering::Relaxed);
            (recall, changing.join().unwrap_or_default())
        });
        figures.add("churned_recall", recall);
        figures.add("churn_adds_and_removes_s", changes.rate);
        figures.add("churn_longest_change_ms", changes.longest_change_ms);
        figures.add("churn_longest_install_ms", changes.longest_install_ms);
        figures.add("churn_installs", changes.installs);
    }

    let mut index = index.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut many = |figures: &mut Figures, names: [&'static str; 2], bulk: bool| {
        let queries = ask();
        let hashes: Vec<Pdq> = queries.iter().map(|query| query.hash).collect();
        let mut recalled = 0;
        let each = |at: usize, hits: &[PdqHit]| {
            recalled += usize::from(queries.get(at).is_some_and(|query| query.recalled(hits)));
        };
        let start = Stopwatch::start();
        if bulk {
            index.query_bulk(&hashes, radius, each);
        } else {
            index.query_stream(hashes.iter().copied(), radius, each);
        }
        figures.add(names[0], count as f64 / start.seconds());
        let planted = queries.iter().filter(|q| q.planted.is_some()).count();
        figures.add(names[1], recalled as f64 / planted as f64);
    };
    many(&mut figures, ["stream_q_s", "stream_recall"], false);
    many(&mut figures, ["bulk_q_s", "bulk_recall"], true);
    if std::env::args().any(|argument| argument == "--levels") {
        let queries = ask();
        levels(&mut figures, &mut index, &queries, radius);
    }
    figures.say(json);
}

/// Looks the queries up with each set of instructions, in turns, so that all meet the same weather.
fn levels(figures: &mut Figures, index: &mut PdqIndex, queries: &[Query], radius: u32) {
    let mut taken: Vec<(Level, Vec<f64>)> = Level::available().map(|l| (l, vec![])).collect();
    let mut hits = Vec::new();
    for _ in 0..5 {
        for (level, rates) in &mut taken {
            index.set_level(*level);
            let start = Stopwatch::start();
            for query in queries {
                hits.clear();
                index.query(&query.hash, radius, &mut hits);
            }
            rates.push(queries.len() as f64 / start.seconds());
        }
    }
    for (level, rates) in &mut taken {
        rates.sort_by(f64::total_cmp);
        let median = rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN);
        figures.add(&format!("{}_q_s", level.name()), median);
    }
}

const QUERIES_SEED: u64 = 99;

/// Writes what is measured with, in a form that anything can read.
fn write(folder: &str, hashes: u64, count: u64) -> std::io::Result<()> {
    let file = |name: &str| -> std::io::Result<_> {
        let path = std::path::Path::new(folder).join(name);
        Ok(std::io::BufWriter::new(std::fs::File::create(path)?))
    };
    let mut out = file("hashes")?;
    for key in 0..hashes {
        out.write_all(known(key).as_bytes())?;
    }
    out.flush()?;
    let (mut queries, mut truth) = (file("queries")?, file("truth")?);
    let mut random = Random(QUERIES_SEED);
    for _ in 0..count {
        let query = query(&mut random, hashes);
        queries.write_all(query.hash.as_bytes())?;
        truth.write_all(&query.planted.map_or(-1, |key| key as i64).to_le_bytes())?;
    }
    queries.flush()?;
    truth.flush()
}

/// Writes the index to a file and maps it from there.
fn snapshot(
    index: &PdqIndex,
    path: &str,
    figures: &mut Figures,
) -> Result<PdqIndex, Box<dyn std::error::Error>> {
    let start = Instant::now();
    index.write_snapshot(std::fs::File::create(path)?)?;
    figures.add("snapshot_write_s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let bytes = mapped::file(path)?;
    let length = bytes.as_ref().as_ref().len();
    let read = PdqIndex::from_snapshot(bytes)?;
    let seconds = start.elapsed().as_secs_f64();
    figures.add("snapshot_gb", length as f64 / 1e9);
    figures.add("snapshot_open_s", seconds);
    figures.add("snapshot_open_gb_s", length as f64 / 1e9 / seconds);
    Ok(read)
}

mod mapped {
    #![allow(
        unsafe_code,
        reason = "the file is this program's own and nobody changes it while it runs"
    )]
    use std::sync::Arc;

    pub(super) fn file(path: &str) -> std::io::Result<Arc<memmap2::Mmap>> {
        let file = std::fs::File::open(path)?;
        // SAFETY: see the module's reason.
        unsafe { memmap2::Mmap::map(&file) }.map(Arc::new)
    }
}

#[derive(Default)]
struct Changes {
    rate: f64,
    longest_change_ms: f64,
    longest_install_ms: f64,
    installs: f64,
}

/// Adds and removes so many hashes a second, evenly, with the index's work on a thread of its own.
fn change(index: &RwLock<PdqIndex>, hashes: u64, churn: u64, stop: &AtomicBool) -> Changes {
    let write = || index.write().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    let mut changes = Changes::default();
    let mut done = 0_u64;
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let (mut longest, mut installs) = (Duration::ZERO, 0);
            while !stop.load(Ordering::Relaxed) {
                let work = write().work();
                if let Some(work) = work {
                    let mut done = work.run();
                    let mut index = write();
                    let asked = Instant::now();
                    index.install(&mut done);
                    longest = longest.max(asked.elapsed());
                    drop(index);
                    installs += 1;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            (longest, installs)
        });
        while !stop.load(Ordering::Relaxed) {
            let due = (start.elapsed().as_secs_f64() * churn as f64) as u64;
            // What has come meanwhile is applied together, as a server does with a commit.
            let mut index = write();
            let asked = Instant::now();
            for key in hashes + done..hashes + due {
                // Old ones go that no query was planted beside: they were added here before, too.
                index.insert(key, known(key));
                index.remove(key.saturating_sub(5000).max(hashes));
            }
            let took = asked.elapsed().as_secs_f64() * 1e3;
            drop(index);
            changes.longest_change_ms = changes.longest_change_ms.max(took);
            done = due;
            std::thread::sleep(Duration::from_millis(10));
        }
        let (longest, installs) = working.join().unwrap_or_default();
        changes.longest_install_ms = longest.as_secs_f64() * 1e3;
        changes.installs = f64::from(installs);
    });
    changes.rate = done as f64 / start.elapsed().as_secs_f64();
    changes
}

struct Query {
    hash: Pdq,
    /// The key it is planted beside, if it is.
    planted: Option<u64>,
}

impl Query {
    fn recalled(&self, hits: &[PdqHit]) -> bool {
        self.planted
            .is_some_and(|key| hits.iter().any(|hit| hit.key == key))
    }
}

/// A hash to look up: random, or planted beside a known one.
fn query(random: &mut Random, hashes: u64) -> Query {
    if random.next().is_multiple_of(2) {
        return Query {
            hash: random.hash(),
            planted: None,
        };
    }
    let key = random.next() % hashes;
    let (from, left) = (known(key), random.next() % 32);
    let mut hash = from;
    while u64::from(hash.distance(&from)) < left {
        let bit = random.next() as usize % 256;
        hash.0[bit / 8] =
            (hash.0[bit / 8] & !(1 << (bit % 8))) | (!from.0[bit / 8] & (1 << (bit % 8)));
    }
    Query {
        hash,
        planted: Some(key),
    }
}

/// Bytes of this process in memory, now or at most, where the system tells (Linux).
fn in_memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0)
}

/// Makes the most memory in use what is in use now. Where that cannot be done, the peak includes
/// what came before.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
