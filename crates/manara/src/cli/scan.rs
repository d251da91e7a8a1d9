//! `manara scan PATH…`: what in these folders is in a bank? No server needed.

use super::bank::table;
use super::{Data, Done, say, say_json};
use crate::bankfile::{BankFile, ReadError};
use crate::config::{Config, Overrides};
use crate::console::text::plain;
use crate::data_dir::DataDir;
use crate::matcher::{Change, Matcher, PDQ_DISTANCE_MAX, PDQ_QUALITY_MIN};
use crate::media::Variants;
use crate::scan::report::{About, Findings, Known, THUMBNAILS_MAX, counted, how, place};
use crate::scan::{Excerpt, Hit, Item, LeftOut, Outcome, Scanner, decoders};
use crate::{banks, clock, forms};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressStyle};
use manara_model::{BankName, BankSettings, MemberId, MemberSettings};
use manara_signal::Signal;
use manara_store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// How many unreadable, and how many undecodable things are named on stderr.
const NAMED_MAX: u64 = 20;
/// Members added to the matcher at a time.
const BATCH: usize = 65_536;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Folders are looked through to the bottom, hidden files included; symbolic links are not followed.
Images are told by their content. Files named *.ndjson or *.jsonl hold events, one a line, as the
API takes them; their media may be given by `path`, relative to the file.

Exit code 0: something matched. 1: nothing did. 2: something could not be looked at.

Examples:
  manara scan --bank SLOGANS=slogans.csv uploads/
  manara scan --data manara-data --html report.html uploads/ events.ndjson")]
pub(crate) struct Arguments {
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Compare with the banks of this data directory.
    #[arg(long, env = "MANARA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Compare with a bank file, CSV or NDJSON, under this name; may be given several times.
    #[arg(long = "bank", value_name = "NAME=FILE", value_parser = parse_bank)]
    banks: Vec<(BankName, PathBuf)>,
    /// Count PDQ matches up to this distance only, 0 to 31 bits.
    #[arg(long, value_name = "N", default_value_t = PDQ_DISTANCE_MAX, value_parser = clap::value_parser!(u32).range(0..=i64::from(PDQ_DISTANCE_MAX)))]
    max_distance: u32,
    /// Print every file and event as one JSON object a line, matched or not.
    #[arg(long)]
    json: bool,
    /// Also write a page for colleagues: one file, thumbnails blurred.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn parse_bank(text: &str) -> Result<(BankName, PathBuf), String> {
    let (name, file) = text
        .split_once('=')
        .ok_or("write NAME=FILE, for example SLOGANS=slogans.csv")?;
    Ok((name.parse()?, PathBuf::from(file)))
}

pub(super) fn run(arguments: &Arguments) -> Result<Done> {
    let started = Instant::now();
    let config = configuration(arguments)?;
    let banks = Banks::load(arguments)?;
    let variants = Variants::from(&config.media);
    let pool = decoders(&config.media, variants.extra)?;
    let scanner = Scanner {
        matcher: &banks.matcher,
        pool: &pool,
        variants,
        shown: forms::STORED,
        events: true,
        distance_max: arguments.max_distance,
        thumbnails: AtomicUsize::new(if arguments.html.is_some() {
            THUMBNAILS_MAX
        } else {
            0
        }),
    };
    let findings = scan(&scanner, arguments)?;
    if !arguments.json {
        print_table(&findings)?;
    }
    let took = started.elapsed();
    if let Some(file) = &arguments.html {
        let (members, number) = banks.matcher.size();
        let paths = arguments
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let known = banks.known(&findings.members().collect())?;
        let about = About {
            made: clock::now(),
            took,
            paths,
            members,
            banks: number,
            known,
        };
        findings.write(&about, file)?;
        eprintln!("the report is {}", file.display());
    }
    end(&findings, took)
}

fn configuration(arguments: &Arguments) -> Result<Config> {
    match &arguments.data {
        Some(data) => {
            crate::config::load(&DataDir::open(data)?.config(), false, &Overrides::default())
        }
        None => Ok(Config::default()),
    }
}

/// The banks that are compared with, and where their members are.
struct Banks {
    matcher: Matcher,
    store: Option<Store>,
    files: Vec<(BankName, PathBuf)>,
}

impl Banks {
    fn load(arguments: &Arguments) -> Result<Self> {
        if arguments.data.is_none() && arguments.banks.is_empty() {
            bail!("there is nothing to compare with: give --bank NAME=FILE, or --data DIR");
        }
        let matcher = Matcher::default();
        let store = match &arguments.data {
            Some(data) => {
                let store = Data { data: data.clone() }.open()?;
                banks::load(&store, &matcher)
                    .with_context(|| format!("loading the banks of {}", data.display()))?;
                Some(store)
            }
            None => None,
        };
        let banks = Self {
            matcher,
            store,
            files: arguments.banks.clone(),
        };
        banks.load_files()?;
        let (members, number) = banks.matcher.size();
        eprintln!(
            "comparing with {} in {}",
            counted(members, "member"),
            counted(number as u64, "bank")
        );
        if members == 0 {
            eprintln!("warning: the banks are empty, so nothing can match");
        }
        Ok(banks)
    }

    fn load_files(&self) -> Result<()> {
        let (mut hashes, mut special) = (Vec::new(), Vec::new());
        for (name, file) in &self.files {
            if self.matcher.knows(name) {
                bail!(
                    "there are two banks {name}; give {} another name",
                    file.display()
                );
            }
            self.matcher.set_bank(name, true, BankSettings::default());
            let mut others = Vec::new();
            for row in BankFile::open(file)? {
                let row = row?;
                let member = MemberId(row.line as i64);
                let settings = row.more.settings;
                match row.signal {
                    // Many times faster all at once, which an index that already holds members cannot do.
                    Signal::Pdq(hash) if self.store.is_none() => {
                        if settings != MemberSettings::default() {
                            special.push(Change::Set {
                                bank: name.clone(),
                                member,
                                signal: Signal::Pdq(hash),
                                settings,
                            });
                        }
                        hashes.push((name.clone(), member, hash));
                    }
                    signal => others.push(Change::Add {
                        bank: name.clone(),
                        member,
                        signal,
                        settings,
                    }),
                }
                if others.len() >= BATCH {
                    self.matcher.apply(others.drain(..));
                }
            }
            self.matcher.apply(others);
        }
        if !hashes.is_empty() {
            self.matcher.load_pdq(hashes);
        }
        self.matcher.apply(special);
        Ok(())
    }

    /// What a report says of these members, from the database, or from the bank files read once more.
    fn known(
        &self,
        wanted: &BTreeSet<(BankName, MemberId)>,
    ) -> Result<BTreeMap<(BankName, MemberId), Known>> {
        let mut known = BTreeMap::new();
        for (bank, file) in &self.files {
            let lines: BTreeSet<i64> = wanted
                .iter()
                .filter(|(name, _)| name == bank)
                .map(|(_, id)| id.0)
                .collect();
            if lines.is_empty() {
                continue;
            }
            for row in BankFile::open(file)? {
                match row {
                    Ok(row) if lines.contains(&(row.line as i64)) => {
                        let member = (bank.clone(), MemberId(row.line as i64));
                        known.insert(member, Known::new(&row.signal, row.note));
                    }
                    // It was read without error a moment ago; a note is not worth failing for.
                    Ok(_) | Err(ReadError::Row(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let Some(store) = &self.store else {
            return Ok(known);
        };
        let in_files = |bank: &BankName| self.files.iter().any(|(name, _)| name == bank);
        store.read(|reader| {
            for (bank, id) in wanted.iter().filter(|(bank, _)| !in_files(bank)) {
                if let Some((_, member, _)) = reader.member(*id)? {
                    let about = Known::new(&member.signal, member.note);
                    known.insert((bank.clone(), *id), about);
                }
            }
            Ok(())
        })?;
        Ok(known)
    }
}

/// Scans with a progress bar, printing JSON on the way when it was asked for.
fn scan(scanner: &Scanner<'_>, arguments: &Arguments) -> Result<Findings> {
    let mut left_out = LeftOut::default();
    let own = arguments
        .banks
        .iter()
        .map(|(_, file)| file)
        .chain(&arguments.html)
        .chain(&arguments.data);
    own.for_each(|path| left_out.add(path));
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template("scanning  {wide_bar} {human_pos}/{human_len} {msg}")
            .context("progress bar")?,
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    let progress = |met, done| {
        bar.set_length(met);
        bar.set_position(done);
    };
    let mut findings = Findings::default();
    let scanned = scanner.run(&arguments.paths, &left_out, &progress, &mut |outcome| {
        if arguments.json {
            print_json(&outcome)?;
        }
        name_failure(&outcome, findings.totals.failed, &bar);
        findings.add(outcome);
        if findings.totals.matched > 0 {
            bar.set_message(format!("{} matched", HumanCount(findings.totals.matched)));
        }
        Ok(())
    });
    bar.finish_and_clear();
    scanned?;
    Ok(findings)
}

/// What could not be looked at is said at once.
fn name_failure(outcome: &Outcome, failed: u64, bar: &ProgressBar) {
    let Outcome::Failed {
        path,
        line,
        problem,
    } = outcome
    else {
        return;
    };
    if failed < NAMED_MAX {
        bar.suspend(|| eprintln!("error: {}: {}", plain(&place(path, *line)), plain(problem)));
    }
}

#[derive(Serialize)]
struct SkippedJson<'a> {
    path: String,
    skipped: &'a str,
}

#[derive(Serialize)]
struct FailedJson<'a> {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    error: &'a str,
}

fn print_json(outcome: &Outcome) -> Result<()> {
    match outcome {
        Outcome::Item(item) => say_json(item),
        Outcome::Skipped { path, why } => say_json(&SkippedJson {
            path: path.display().to_string(),
            skipped: why,
        }),
        Outcome::Failed {
            path,
            line,
            problem,
        } => say_json(&FailedJson {
            path: path.display().to_string(),
            line: *line,
            error: problem,
        }),
        Outcome::EventFile { .. } => Ok(()),
    }
}

fn print_table(findings: &Findings) -> Result<()> {
    if findings.matched.is_empty() {
        return Ok(());
    }
    let mut table = table([
        "path",
        "bank",
        "member",
        "type",
        "distance",
        "quality",
        "what matched",
    ]);
    for item in &findings.matched {
        for hit in &item.matches {
            table.add_row(cells(item, hit));
        }
    }
    say(table)?;
    let more = findings.totals.matched - findings.matched.len() as u64;
    if more > 0 {
        eprintln!("… and {more} more files and events that matched; --json prints all");
    }
    Ok(())
}

fn cells(item: &Item, hit: &Hit) -> [String; 7] {
    let found = &hit.found;
    let what = match &hit.excerpt {
        Some(excerpt) => [in_brackets(excerpt), how(hit)]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" · "),
        None => how(hit),
    };
    [
        plain(&place(&item.path, item.line)),
        found.bank.to_string(),
        found.member.to_string(),
        found.signal_type.to_string(),
        found.distance.to_string(),
        found
            .quality
            .map_or_else(String::new, |quality| quality.to_string()),
        what,
    ]
}

/// The match within its surroundings, marked so that it is seen without colour.
pub(super) fn in_brackets(excerpt: &Excerpt) -> String {
    const AROUND: usize = 30;
    let [before, matched, after] = excerpt.parts().map(plain);
    let skip = before.chars().count().saturating_sub(AROUND);
    let (start, from) = if skip > 0 || excerpt.cut.0 {
        ("…", skip)
    } else {
        ("", 0)
    };
    let before: String = before.chars().skip(from).collect();
    let cut = after.chars().count() > AROUND || excerpt.cut.1;
    let after: String = after.chars().take(AROUND).collect();
    format!(
        "{start}{before}⟦{matched}⟧{after}{}",
        if cut { "…" } else { "" }
    )
}

/// Says in numbers what was met, and how the command ends.
fn end(findings: &Findings, took: Duration) -> Result<Done> {
    let totals = &findings.totals;
    for (path, why) in findings.undecodable.iter().take(NAMED_MAX as usize) {
        eprintln!("undecodable: {}: {}", plain(path), plain(why));
    }
    if totals.undecodable > NAMED_MAX {
        eprintln!(
            "… and {} more undecodable; --json names all",
            HumanCount(totals.undecodable - NAMED_MAX)
        );
    }
    if totals.withheld > 0 {
        eprintln!(
            "{} had no effect, because a bank or member is in shadow or a negative bank forbids it: --json says which",
            counted(totals.withheld, "further match")
        );
    }
    if totals.quality_too_low > 0 {
        eprintln!(
            "{} with an image of quality under {PDQ_QUALITY_MIN}: too little in it for its pdq to be looked up; its sha256 and md5 were",
            counted(totals.quality_too_low, "item")
        );
    }
    let mut words = vec![counted(totals.files, "file")];
    if totals.events > 0 {
        words.push(counted(totals.events, "event"));
    }
    words.extend([
        BinaryBytes(totals.bytes).to_string(),
        format!("{} matched", HumanCount(totals.matched)),
        format!("{} undecodable", HumanCount(totals.undecodable)),
        format!("{} skipped", HumanCount(totals.skipped)),
        format!("{:.1} s", took.as_secs_f64()),
    ]);
    eprintln!("{}", words.join(", "));
    match (totals.failed, totals.matched) {
        (1.., _) => bail!(
            "{} of the files, folders and events could not be looked at",
            HumanCount(totals.failed)
        ),
        (0, 0) => Ok(Done::Nothing),
        (0, _) => Ok(Done::Found),
    }
}
