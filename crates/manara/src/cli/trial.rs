//! `manara rules eval|backtest|diff`: what rules make of events before they act.

use super::{Data, Done, say, say_json};
use crate::backtest::{self, Difference, Precision, Report, Sample, Tallied, Trial};
use crate::clock;
use crate::console::text::plain;
use crate::data_dir::DataDir;
use crate::matcher::MediaSignals;
use crate::past::counters_secret;
use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::Table;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use manara_model::{Event, Facts, Match, MediaFacts, Origin};
use manara_rules::{Readings, Recollection, RuleSet, Settings};
use manara_store::Store;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Largest event read, in bytes.
const EVENT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Rows of a table shown; the rest is in `--json`.
const ROWS_MAX: usize = 12;

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// A file with one event as JSON, `-` for stdin; with `--source`, the id of an event that is kept.
    #[arg(value_name = "EVENT")]
    event: String,
    /// The source of an event that is kept in the data directory.
    #[arg(long)]
    source: Option<String>,
    /// Rule files or folders; without, the rules of the data directory.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Only this rule.
    #[arg(long)]
    rule: Option<String>,
    #[command(flatten)]
    data: Data,
    /// One object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Span {
    #[command(flatten)]
    data: Data,
    /// How far back: a duration (`7d`, `36h`), or a time (`2026-11-22T00:00:00Z`).
    #[arg(long, default_value = "7d")]
    since: String,
    /// Up to when; now, when left out.
    #[arg(long)]
    until: Option<Timestamp>,
    /// One object.
    #[arg(long)]
    json: bool,
    /// Threads; as many as there are cores, when left out.
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Backtest {
    /// Rule files or folders.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only this rule.
    #[arg(long)]
    rule: Option<String>,
    #[command(flatten)]
    span: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The rules as they are: a file or folder.
    old: PathBuf,
    /// The rules as they might be: a file or folder.
    new: PathBuf,
    #[command(flatten)]
    span: Span,
}

// ---- eval ----

pub(super) fn eval(eval: &Eval) -> Result<Done> {
    let Some(rules) = rules_of(&eval.rules, &eval.data)? else {
        return Ok(Done::Nothing);
    };
    let subject = subject(eval, &rules)?;
    let facts = Facts {
        event: &subject.event,
        media: &subject.media,
        matches: &subject.matches,
        received_at: subject.received_at,
    };
    let mut fired = 0;
    let mut shown = 0;
    for rule in rules.rules() {
        if eval
            .rule
            .as_deref()
            .is_some_and(|only| only != rule.name.as_str())
        {
            continue;
        }
        let Some(explained) =
            rules.explain_with(&facts, rule.name.as_str(), &subject.readings, &subject.past)
        else {
            continue;
        };
        if !explained.sees_event && eval.rule.is_none() {
            continue;
        }
        shown += 1;
        fired += u32::from(explained.sees_event && explained.value == Some(true));
        if eval.json {
            say_json(&serde_json::to_value(&explained)?)?;
            continue;
        }
        let outcome = match (explained.sees_event, explained.value) {
            (false, _) => "is not about events of this type",
            (true, Some(true)) => "fires",
            (true, Some(false)) => "does not fire",
            (true, None) => "does not fire: its condition is unknown",
        };
        say(format_args!("rule {} ({}) {outcome}", rule.name, rule.mode))?;
        for line in &explained.lines {
            let indent = "  ".repeat(usize::from(line.depth) + 1);
            say(format_args!("{indent}{} = {}", line.expression, line.value))?;
        }
        if explained.cut {
            say("  …")?;
        }
    }
    if shown == 0 {
        match &eval.rule {
            Some(rule) => bail!("there is no rule {rule}"),
            None => eprintln!("no rule is about events of type {}", subject.event.r#type),
        }
    }
    Ok(if fired > 0 {
        Done::Found
    } else {
        Done::Nothing
    })
}

struct Subject {
    event: Event,
    media: Vec<MediaFacts>,
    matches: Vec<Match>,
    received_at: Timestamp,
    /// What counters read for it.
    readings: Readings,
    past: Recollection,
}

/// The event, with what the banks of the data directory say of it, if there is one.
fn subject(eval: &Eval, rules: &RuleSet) -> Result<Subject> {
    let store = match (&eval.source, eval.data.data.exists()) {
        (Some(_), _) => Some(eval.data.open()?),
        (None, true) => eval.data.open().ok(),
        (None, false) => None,
    };
    let (event, media, received_at) = if let (Some(source), Some(store)) = (&eval.source, &store) {
        let found = store.read(|reader| reader.event(source, &eval.event))?;
        let found = found.with_context(|| format!("there is no event {source} {}", eval.event))?;
        (found.event, found.media, found.received_at)
    } else {
        let event = read_event(&eval.event)?;
        let media = event.media().iter();
        let media = media.map(|it| MediaSignals::sent(it).facts).collect();
        let received_at = event.time;
        (event, media, received_at)
    };
    let Some(store) = store else {
        eprintln!("no data directory: banks, sets, labels and strikes are empty");
        return Ok(Subject {
            event,
            media,
            matches: Vec::new(),
            received_at,
            readings: Readings::default(),
            past: Recollection::default(),
        });
    };
    let matcher = crate::matcher::Matcher::default();
    let asked: Vec<_> = rules.banks().into_iter().map(|(name, _)| name).collect();
    crate::banks::load_for(&store, &matcher, &asked)?;
    let seen = manara_store::RecentEvent {
        leaf: 0,
        decision: manara_model::DecisionId::new(0, 0),
        received_at,
        event,
        media,
    };
    let mut matches = matcher.matches_of_recent(&seen);
    matches.retain(|it| it.withheld.is_none());
    let dir = DataDir::open(&eval.data.data)?;
    let config = eval.data.config()?;
    let settings = config
        .breakers
        .settings(config.counters, counters_secret(&dir.audit_seed()?));
    let (readings, past) = backtest::before(&store, rules, &matcher, &seen, &matches, settings)?;
    Ok(Subject {
        event: seen.event,
        media: seen.media,
        matches,
        received_at,
        readings,
        past,
    })
}

fn read_event(path: &str) -> Result<Event> {
    let mut text = Vec::new();
    let read = if path == "-" {
        std::io::stdin()
            .lock()
            .take(EVENT_BYTES_MAX + 1)
            .read_to_end(&mut text)
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("opening {path}"))?;
        file.take(EVENT_BYTES_MAX + 1).read_to_end(&mut text)
    };
    read.with_context(|| format!("reading {path}"))?;
    if text.len() as u64 > EVENT_BYTES_MAX {
        bail!("{path} is longer than {EVENT_BYTES_MAX} bytes");
    }
    let (event, warnings) = Event::from_json(&text, Origin::CommandLine).map_err(|error| {
        let field = if error.field.is_empty() {
            "the event"
        } else {
            error.field.as_str()
        };
        anyhow::anyhow!("{path}: {field}: {}: {}", error.problem, error.hint)
    })?;
    for warning in warnings {
        eprintln!("{}", warning.0);
    }
    Ok(event)
}

// ---- back-tests ----

pub(super) fn backtest(it: &Backtest) -> Result<Done> {
    let Some(rules) = rules_of(&it.paths, &it.span.data)? else {
        return Ok(Done::Nothing);
    };
    if let Some(only) = &it.rule
        && !rules.rules().iter().any(|rule| rule.name.as_str() == only)
    {
        bail!("there is no rule {only} in these files");
    }
    let (report, took) = try_rules(None, rules, true, &it.span)?;
    let wanted = |name: &str| it.rule.as_deref().is_none_or(|only| only == name);
    let fired = report
        .rules
        .iter()
        .any(|rule| wanted(rule.rule.as_str()) && rule.fired.events > 0);
    if it.span.json {
        say_json(&serde_json::to_value(&report)?)?;
    } else {
        say(head(&report, took))?;
        for rule in report
            .rules
            .iter()
            .filter(|rule| wanted(rule.rule.as_str()))
        {
            let title = format!("rule {} ({}, {})", rule.rule, rule.mode, rule.policy);
            say(tallied(
                &title,
                &rule.fired,
                it.rule.is_some() || report.rules.len() <= 3,
            ))?;
        }
        stopped(&report)?;
    }
    Ok(if fired { Done::Found } else { Done::Nothing })
}

pub(super) fn diff(it: &Diff) -> Result<Done> {
    let (old, new) = (std::slice::from_ref(&it.old), std::slice::from_ref(&it.new));
    let Some(old) = rules_of(old, &it.span.data)? else {
        return Ok(Done::Nothing);
    };
    let Some(new) = rules_of(new, &it.span.data)? else {
        return Ok(Done::Nothing);
    };
    let (report, took) = try_rules(Some(old), new, false, &it.span)?;
    let nothing = Difference::default();
    let difference = report.difference.as_ref().unwrap_or(&nothing);
    if it.span.json {
        say_json(&serde_json::to_value(&report)?)?;
    } else {
        say(head(&report, took))?;
        say(tallied("would be done besides", &difference.added, true))?;
        say(tallied(
            "would not be done any more",
            &difference.removed,
            true,
        ))?;
        say(format_args!(
            "the same on {} events",
            HumanCount(difference.same)
        ))?;
        stopped(&report)?;
    }
    let differs = difference.added.events + difference.removed.events > 0;
    Ok(if differs { Done::Found } else { Done::Nothing })
}

/// The rules in these files; without any, those of the data directory. `None` after reports of mistakes.
fn rules_of(paths: &[PathBuf], data: &Data) -> Result<Option<Arc<RuleSet>>> {
    let paths = if paths.is_empty() {
        let dir = DataDir::open(&data.data)?;
        let configured = data.config()?.rules;
        vec![configured.unwrap_or_else(|| dir.rules())]
    } else {
        paths.to_vec()
    };
    let sources = super::rules::sources(&paths)?;
    Ok(super::rules::compiled(&sources, false)?.map(Arc::new))
}

fn try_rules(
    old: Option<Arc<RuleSet>>,
    new: Arc<RuleSet>,
    as_if_live: bool,
    span: &Span,
) -> Result<(Report, std::time::Duration)> {
    let dir = DataDir::open(&span.data.data)?;
    let store: Store = span.data.open()?;
    let until = span.until.unwrap_or_else(clock::now);
    let config = span.data.config()?;
    let secret = counters_secret(&dir.audit_seed()?);
    let settings: Settings = config.breakers.settings(config.counters, secret);
    let trial = Trial {
        old,
        new,
        since: since(&span.since, until)?,
        until,
        settings,
        threads: span.threads.unwrap_or_else(cores).clamp(1, 64),
        as_if_live,
    };
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events  {per_sec}  {eta}")
    {
        bar.set_style(style);
    }
    let started = Instant::now();
    let cancelled = AtomicBool::new(false);
    let report = backtest::run(&store, &trial, &cancelled, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok((report?, started.elapsed()))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A time, or so long before `until`.
pub(crate) fn since(text: &str, until: Timestamp) -> Result<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wrong = || {
        format!(
            "`{text}` is neither a duration nor a time: write `7d`, `36h` or `2026-11-22T00:00:00Z`"
        )
    };
    let back = manara_rules::duration(text)
        .filter(SignedDuration::is_positive)
        .with_context(wrong)?;
    until.checked_sub(back).with_context(wrong)
}

fn head(report: &Report, took: std::time::Duration) -> String {
    let rate = report.events as f64 / took.as_secs_f64().max(1e-9);
    format!(
        "{} events of {} accounts from {} to {}, looked at in {:.1} s ({} a second){}",
        HumanCount(report.events),
        HumanCount(report.accounts),
        report.since,
        report.until,
        took.as_secs_f64(),
        HumanCount(rate as u64),
        if report.cut { ", ended early" } else { "" }
    )
}

fn stopped(report: &Report) -> Result<()> {
    for (rule, at, why) in &report.stopped {
        say(format_args!(
            "circuit breaker of {rule} would have opened at {at}: {why}"
        ))?;
    }
    Ok(())
}

fn tallied(title: &str, tallied: &Tallied, with_samples: bool) -> String {
    let mut out = format!("\n{title}: {} events", HumanCount(tallied.events));
    if tallied.events == 0 {
        return out;
    }
    let _ = write!(out, " of {} accounts", HumanCount(tallied.accounts));
    if let Some(precision) = precision(tallied.precision) {
        let _ = write!(out, "; {precision}");
    }
    out.push('\n');
    let ages = tallied
        .by_account_age
        .iter()
        .map(|(age, n)| (age.as_str().to_owned(), *n));
    let groups: [(&str, Vec<(String, u64)>); 4] = [
        ("effect", pairs(&tallied.by_effect)),
        ("policy", pairs(&tallied.by_policy)),
        ("language", pairs(&tallied.by_language)),
        ("account age", ages.collect()),
    ];
    for (name, mut group) in groups {
        if name != "account age" {
            group.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        }
        let more = group.len().saturating_sub(ROWS_MAX);
        let shown = group.iter().take(ROWS_MAX);
        let shown: Vec<String> = shown
            .map(|(what, n)| format!("{what} {}", HumanCount(*n)))
            .collect();
        let rest = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        let _ = writeln!(out, "  by {name}: {}{rest}", shown.join(", "));
    }
    if with_samples {
        let _ = writeln!(out, "{}", samples(&tallied.samples));
    }
    out
}

fn pairs(map: &std::collections::BTreeMap<String, u64>) -> Vec<(String, u64)> {
    map.iter().map(|(what, n)| (what.clone(), *n)).collect()
}

fn precision(precision: Precision) -> Option<String> {
    let share = precision.share()?;
    Some(format!(
        "of {} that people decided on they confirmed {:.0} %",
        HumanCount(precision.confirmed + precision.overturned),
        share * 100.0
    ))
}

fn samples(samples: &[Sample]) -> Table {
    let mut table = Table::new();
    table.set_header(["received", "event", "what", "text", "people"]);
    for it in samples {
        table.add_row([
            it.received_at.to_string(),
            format!("{} {}", it.source, it.id),
            it.actions.join("\n"),
            excerpt(it.text.as_deref().unwrap_or_default()),
            it.judged.map(|it| it.to_string()).unwrap_or_default(),
        ]);
    }
    table
}

/// The beginning of a text, safe to print: nothing in it is obeyed by a terminal.
fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    plain(&shown)
}
