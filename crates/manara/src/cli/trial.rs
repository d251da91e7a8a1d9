//! `manara rules eval|backtest|diff`: what rules make of events before they act.

use super::{Data, Done, say, say_json};
use crate::backtest::{self, Difference, Precision, Report, RuleReport, Sample, Tallied, Trial};
use crate::clock;
use crate::console::text::plain;
use crate::data_dir::DataDir;
use crate::matcher::MediaSignals;
use crate::past::counters_secret;
use crate::rulebook::BUILTIN_NAME;
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use manara_model::{Event, Facts, Match, MediaFacts, Origin};
use manara_rules::{Explained, Readings, Recollection, Rule, RuleSet, Settings};
use manara_store::Store;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Largest event read, in bytes.
const EVENT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Values of a group shown; the rest is in `--json`.
const ROWS_MAX: usize = 12;
/// Samples are shown of so many rules at once; of more, each is asked for with `--rule`.
const SAMPLED_MAX: usize = 3;
/// How wide lines are.
const COLUMNS: usize = 100;
/// Characters of a sample's text shown, so that they fit a line with what stands around them.
const EXCERPT_CHARS: usize = COLUMNS - 8;

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
    /// Samples shown of each thing, at most 20; `--json` has all of them.
    #[arg(long, default_value_t = 20, value_name = "N")]
    samples: usize,
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
    let (mut fired, mut shown, mut quiet) = (0, 0, 0);
    for rule in rules.rules() {
        let only = eval.rule.as_deref();
        if only.is_some_and(|only| only != rule.name.as_str()) {
            continue;
        }
        let Some(explained) =
            rules.explain_with(&facts, rule.name.as_str(), &subject.readings, &subject.past)
        else {
            continue;
        };
        if !explained.sees_event && only.is_none() {
            continue;
        }
        let fires = explained.sees_event && explained.value == Some(true);
        shown += 1;
        fired += u32::from(fires);
        if eval.json {
            say_json(&explained)?;
        } else if !fires && only.is_none() && rule.source == BUILTIN_NAME {
            quiet += 1;
        } else {
            say(in_words(rule, &explained))?;
        }
    }
    if quiet > 0 {
        eprintln!("the built-in rules that do not fire are left out ({quiet})");
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

/// What a rule makes of the event: a line, and under it the value of every part of the condition.
fn in_words(rule: &Rule, explained: &Explained) -> String {
    let outcome = match (explained.sees_event, explained.value) {
        (false, _) => "is not about events of this type",
        (true, Some(true)) => "fires",
        (true, Some(false)) => "does not fire",
        (true, None) => "does not fire: its condition is unknown",
    };
    let mut out = format!("rule {} ({}) {outcome}", rule.name, rule.mode);
    // Whether it has is a question to the log of decisions, which this is not about.
    if let (true, Some(true), Some(once)) = (explained.sees_event, explained.value, &explained.once)
    {
        let _ = write!(out, ", unless it has already: {once}");
    }
    for line in &explained.lines {
        let indent = "  ".repeat(usize::from(line.depth) + 1);
        let _ = write!(out, "\n{indent}{} = {}", line.expression, line.value);
    }
    if explained.cut {
        out.push_str("\n  …");
    }
    out
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
        say_json(&report)?;
    } else {
        say(head(&report, took))?;
        let rules = report.rules.iter();
        let rules: Vec<_> = rules.filter(|it| wanted(it.rule.as_str())).collect();
        let (acting, idle): (Vec<&RuleReport>, Vec<&RuleReport>) =
            rules.into_iter().partition(|it| it.fired.events > 0);
        for rule in &acting {
            let title = format!("rule {} ({})", rule.rule, rule.mode);
            let samples_max = if acting.len() > SAMPLED_MAX {
                0
            } else {
                it.span.samples
            };
            say(tallied(
                &title,
                &rule.fired,
                report.events,
                samples_max,
                false,
            ))?;
        }
        stopped(&report)?;
        if acting.len() > SAMPLED_MAX {
            say("\nwith `--rule NAME`, samples of one of them")?;
        }
        let named = |it: &&RuleReport| {
            let off = if it.mode == "off" { " (off)" } else { "" };
            format!("{}{off}", it.rule)
        };
        let idle: Vec<_> = idle.iter().map(named).collect();
        if !idle.is_empty() {
            say(format_args!("\nfires on no event: {}", at_most(&idle)))?;
        }
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
        say_json(&report)?;
    } else {
        say(head(&report, took))?;
        let (added, removed) = (&difference.added, &difference.removed);
        say(tallied(
            "+ would be done",
            added,
            report.events,
            it.span.samples,
            true,
        ))?;
        let title = "- would no longer be done";
        say(tallied(
            title,
            removed,
            report.events,
            it.span.samples,
            true,
        ))?;
        let same = many(difference.same, "event");
        say(format_args!("\n= both do the same: on {same}"))?;
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
    let took = match took.as_secs_f64() {
        ..0.1 => "under 0.1 s".to_owned(),
        seconds if seconds < 1.0 => format!("{seconds:.1} s"),
        seconds => {
            let rate = report.events as f64 / seconds;
            format!("{seconds:.1} s, {} a second", HumanCount(rate as u64))
        }
    };
    format!(
        "{} of {}, received {} to {} UTC{} ({took})",
        many(report.events, "event"),
        many(report.accounts, "account"),
        minute(report.since),
        minute(report.until),
        if report.cut { ", ended early" } else { "" }
    )
}

fn many(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {what}{ending}", HumanCount(number))
}

/// A time as people read it; times in full are in `--json`.
fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

fn stopped(report: &Report) -> Result<()> {
    for (rule, at, why) in &report.stopped {
        let rule = if rule == "*" { "all rules" } else { rule };
        say(format_args!(
            "\nthe circuit breaker of {rule} would have opened at {} UTC: {why}",
            minute(*at)
        ))?;
    }
    Ok(())
}

/// A heading with the number of events, how they are spread, and samples.
fn tallied(
    title: &str,
    tallied: &Tallied,
    of: u64,
    samples_max: usize,
    names_rules: bool,
) -> String {
    if tallied.events == 0 {
        return format!("\n{title}: nothing");
    }
    let mut out = format!(
        "\n{title}: on {} of {}, of {}\n",
        HumanCount(tallied.events),
        many(of, "event"),
        many(tallied.accounts, "account")
    );
    let ages = tallied.by_account_age.iter();
    let groups: [(&str, Vec<(String, u64)>); 4] = [
        ("effect", sorted(&tallied.by_effect)),
        ("policy", sorted(&tallied.by_policy)),
        ("language", sorted(&tallied.by_language)),
        // Ages stay in the order of age.
        (
            "account age",
            ages.map(|(age, n)| (age.as_str().to_owned(), *n)).collect(),
        ),
    ];
    for (name, group) in groups {
        let counted = group.iter().map(|(what, n)| {
            let what = if what == "und" { "undetermined" } else { what };
            format!("{what} {}", HumanCount(*n))
        });
        let counted: Vec<String> = counted.collect();
        let _ = writeln!(out, "  {name:<11}  {}", at_most(&counted));
    }
    if let Some(precision) = precision(tallied.precision) {
        let _ = writeln!(out, "  {:<11}  {precision}", "people");
    }
    let shown = tallied.samples.iter().take(samples_max);
    let shown: String = shown.map(|it| sample(it, names_rules)).collect();
    if !shown.is_empty() {
        let _ = write!(out, "\n{shown}");
    }
    out.truncate(out.trim_end().len());
    out
}

/// The first of many, on one line.
fn at_most(shown: &[String]) -> String {
    let rest = match shown.len().saturating_sub(ROWS_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let first: Vec<_> = shown.iter().take(ROWS_MAX).map(|it| plain(it)).collect();
    format!("{}{rest}", first.join(", "))
}

/// Most first, of equal ones in the order of the alphabet.
fn sorted(map: &std::collections::BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut pairs: Vec<_> = map.iter().map(|(what, n)| (what.clone(), *n)).collect();
    pairs.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    pairs
}

fn precision(precision: Precision) -> Option<String> {
    let share = precision.share()?;
    Some(format!(
        "decided on {}, confirmed {:.0} %",
        HumanCount(precision.confirmed + precision.overturned),
        share * 100.0
    ))
}

/// A line with when, which event, what people decided, what would be done and, if wanted, by which rules; then its
/// text. What does not fit the line has one of its own.
fn sample(it: &Sample, names_rules: bool) -> String {
    let event = plain(&format!("{} {}", it.source, it.id));
    let judged = it
        .judged
        .map_or(String::new(), |it| format!("  people: {it}"));
    let mut out = format!("  {}  {event}{judged}", minute(it.received_at));
    let mut width = out.chars().count();
    let mut parts: Vec<String> = it.actions.iter().map(|it| plain(it)).collect();
    if names_rules && !it.rules.is_empty() {
        parts.push(format!("by {}", plain(&it.rules.join(", "))));
    }
    for part in parts {
        width += 2 + part.chars().count();
        if width <= COLUMNS {
            let _ = write!(out, "  {part}");
        } else {
            let _ = write!(out, "\n    {part}");
        }
    }
    out.push('\n');
    if let Some(text) = &it.text {
        let _ = writeln!(out, "    “{}”", excerpt(text));
    }
    out
}

/// The beginning of a text, safe to print: nothing in it is obeyed by a terminal.
fn excerpt(text: &str) -> String {
    // What is hidden is named, which takes more room than it did.
    let shown: String = text.chars().take(EXCERPT_CHARS).collect();
    let named = plain(&shown);
    let fits: String = named.chars().take(EXCERPT_CHARS).collect();
    let is_cut = shown.len() < text.len() || fits.len() < named.len();
    format!("{fits}{}", if is_cut { "…" } else { "" })
}
