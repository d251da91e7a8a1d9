//! `manara rules check|test|stops|reset`.

use super::{Data, Done, operator, say, say_json, trial};
use crate::clock;
use crate::data_dir::DataDir;
use crate::rule_schema::{self, compile_all};
use crate::rulebook::{BUILTIN_NAME, read_sources, with_builtin};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use indicatif::HumanCount;
use manara_model::Name;
use manara_rules::{COST_MAX, Diagnostic, RuleSet, Source, render_colour};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Check and test rule files.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say everything that is wrong with the rules, and where.
    #[command(after_long_help = "Example:\n  manara rules check rules/")]
    Check(Check),
    /// Run the `test` blocks inside the rule files.
    #[command(after_long_help = "Example:\n  manara rules test rules/")]
    Test(Paths),
    /// Say what each rule makes of one event, with the value of every part of its condition.
    #[command(
        after_long_help = "Examples:\n  manara rules eval event.json --rules rules/\n  manara rules eval --data /var/lib/manara --source forum.example post-81723"
    )]
    Eval(Box<trial::Eval>),
    /// Say what rules would have done with the events that are kept.
    #[command(
        after_long_help = "Examples:\n  manara rules backtest --since 7d\n  manara rules backtest new.rules --since 7d --json\n\nRules in draft and in shadow are taken as if they were live. Without PATH, the rules of the data directory."
    )]
    Backtest(trial::Backtest),
    /// Say what other rules would do differently with the events that are kept.
    #[command(
        after_long_help = "Example:\n  manara rules diff rules/ new-rules/ --since 7d\n\nModes count: a rule in shadow does nothing on either side."
    )]
    Diff(trial::Diff),
    /// List the circuit breakers that are open: rules that acted too often and are in shadow.
    Stops {
        #[command(flatten)]
        data: Data,
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Serve an editor over the Language Server Protocol on stdin and stdout: mistakes, completion, hover.
    #[command(after_long_help = "Editors start this command themselves: see docs/editors.md")]
    Lsp {
        /// A rule folder that is checked even while none of its files is open.
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
        /// A data directory, read for the names of its banks and sets; nothing in it is changed.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Let a rule act again whose circuit breaker has opened. What it did not do meanwhile is not made up for.
    #[command(
        after_long_help = "Example:\n  manara rules reset known_image --note 'the bank was cleaned'"
    )]
    Reset {
        #[command(flatten)]
        data: Data,
        /// The rule's name; `*` for the circuit breaker of the whole server.
        rule: String,
        /// Why it may act again.
        #[arg(long)]
        note: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    paths: Paths,
    /// List what each rule may cost for one event, the dearest first; with `--json`, always.
    #[arg(long)]
    costs: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// Rule files or folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Check(asked) => check(&asked),
        Verb::Test(paths) => test(&paths),
        Verb::Eval(eval) => trial::eval(&eval),
        Verb::Backtest(backtest) => trial::backtest(&backtest),
        Verb::Diff(diff) => trial::diff(&diff),
        Verb::Stops { data, json } => stops(&data, json),
        Verb::Lsp { path, data } => lsp(path, data),
        Verb::Reset { data, rule, note } => reset(&data, &rule, note),
    }
}

fn lsp(path: Option<PathBuf>, data: Option<PathBuf>) -> Result<Done> {
    let mut options = crate::lsp::Options::default();
    if let Some(path) = path {
        let path = std::path::absolute(path)?;
        let folder = path.parent().filter(|_| path.is_file()).map(Path::to_owned);
        options.folder = Some(folder.unwrap_or(path));
    }
    if let Some(data) = data {
        let database = DataDir::open(&data)?.database();
        let reader = manara_store::Reader::open(&database)?;
        let banks = reader
            .banks()?
            .into_iter()
            .map(|bank| bank.name.to_string());
        options.banks = banks.collect();
        let sets = reader
            .set_list()?
            .into_iter()
            .map(|set| set.name.to_string());
        options.sets = sets.collect();
    }
    // The protocol has two exit codes: 0 when the editor said goodbye, 1 when it did not.
    Ok(if crate::lsp::serve(options)? {
        Done::Found
    } else {
        Done::Nothing
    })
}

fn stops(data: &Data, json: bool) -> Result<Done> {
    let stops = data.open()?.read(manara_store::Reader::open_stops)?;
    for stop in &stops {
        let rule = stop.rule.as_ref().map_or("*", Name::as_str);
        if json {
            say_json(&serde_json::json!({
                "rule": rule, "stopped_at": stop.stopped_at, "why": stop.why,
                "decision": stop.decision.to_string(),
            }))?;
        } else {
            let since = stop.stopped_at.strftime("%Y-%m-%d %H:%M");
            let subject = format!("rule {rule} ");
            let why = stop.why.strip_prefix(&subject).unwrap_or(&stop.why);
            say(format_args!("{rule}  since {since} UTC  {why}"))?;
        }
    }
    if stops.is_empty() && !json {
        eprintln!("no rule is stopped");
    }
    Ok(if stops.is_empty() {
        Done::Nothing
    } else {
        Done::Found
    })
}

fn reset(data: &Data, rule: &str, note: String) -> Result<Done> {
    let name: Option<Name> = match rule {
        "*" => None,
        name => Some(name.parse().map_err(anyhow::Error::msg)?),
    };
    let was_open = data
        .open()?
        .write_blocking(move |tx| tx.reset_rule(name.as_ref(), &operator(), &note, clock::now()))?;
    if was_open {
        eprintln!("{rule} may act again");
        return Ok(Done::Found);
    }
    eprintln!("{rule} is not stopped; `manara rules stops` lists those that are");
    Ok(Done::Nothing)
}

pub(super) fn sources(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut schema: Option<Source> = None;
    for path in paths {
        if !path.exists() {
            bail!("there is no {}", path.display());
        }
        sources.extend(read_sources(path)?);
        if let Some(found) = rule_schema::read(path)? {
            match &schema {
                Some(first) if first.name != found.name => bail!(
                    "there are two schemas, {} and {}: keep one",
                    first.name,
                    found.name
                ),
                _ => schema = Some(found),
            }
        }
    }
    if sources.is_empty() {
        bail!("no *.rules file in the given folders");
    }
    Ok(with_builtin(sources).into_iter().chain(schema).collect())
}

/// Compiles, printing what is wrong; `None` when anything is.
pub(super) fn compiled(sources: &[Source], json: bool) -> Result<Option<RuleSet>> {
    match compile_all(sources) {
        Ok(rules) => {
            print(rules.warnings(), sources, json)?;
            Ok(Some(rules))
        }
        Err(diagnostics) => {
            print(&diagnostics, sources, json)?;
            Ok(None)
        }
    }
}

fn print(diagnostics: &[Diagnostic], sources: &[Source], json: bool) -> Result<()> {
    for diagnostic in diagnostics {
        let Some(source) = sources.iter().find(|s| s.name == diagnostic.source) else {
            continue;
        };
        let (line, column) = (diagnostic.line(), diagnostic.column());
        if json {
            say_json(&serde_json::json!({
                "severity": diagnostic.severity.to_string(), "message": diagnostic.message, "file": diagnostic.source,
                "line": line, "column": column, "hint": diagnostic.hint,
            }))?;
        } else if std::io::stderr().is_terminal() {
            eprintln!("{}", render_colour(diagnostic, source));
        } else {
            eprintln!("{}", manara_rules::render_plain(diagnostic, source));
        }
    }
    Ok(())
}

fn check(asked: &Check) -> Result<Done> {
    let paths = &asked.paths;
    let sources = sources(&paths.paths)?;
    let Some(rules) = compiled(&sources, paths.json)? else {
        return Ok(Done::Nothing);
    };
    if !paths.json {
        // What comes with Manara and the schema are not what was asked about.
        let own = rules.rules().iter().filter(|it| it.source != BUILTIN_NAME);
        let files = sources.iter().filter(|it| !rule_schema::is_schema(it));
        let files = files.filter(|it| it.name != BUILTIN_NAME);
        say(match (own.count(), files.count()) {
            (1, 1) => "1 rule in 1 file is in order".to_owned(),
            (rules, 1) => format!("{rules} rules in 1 file are in order"),
            (rules, files) => format!("{rules} rules in {files} files are in order"),
        })?;
    }
    if asked.costs || paths.json {
        costs(&rules, paths.json)?;
    }
    Ok(Done::Found)
}

/// What each rule may cost for one event, in units of roughly a nanosecond.
fn costs(rules: &RuleSet, json: bool) -> Result<()> {
    let mut own: Vec<_> = rules.rules().iter().collect();
    own.retain(|rule| rule.source != BUILTIN_NAME);
    own.sort_by_key(|rule| std::cmp::Reverse(rule.cost));
    for rule in own {
        if json {
            say_json(&serde_json::json!({
                "rule": rule.name, "mode": rule.mode, "cost": rule.cost, "cost_max": COST_MAX,
                "file": rule.source, "line": rule.line,
            }))?;
        } else {
            let cost = HumanCount(rule.cost.into()).to_string();
            say(format_args!(
                "{cost:>8} of {}  {} ({}:{})",
                HumanCount(u64::from(COST_MAX)),
                rule.name,
                rule.source,
                rule.line
            ))?;
        }
    }
    Ok(())
}

fn test(paths: &Paths) -> Result<Done> {
    let sources = sources(&paths.paths)?;
    let Some(rules) = compiled(&sources, paths.json)? else {
        return Ok(Done::Nothing);
    };
    let outcomes = rules.run_tests();
    let failed = outcomes.iter().filter(|o| !o.passed).count();
    for outcome in &outcomes {
        if paths.json {
            say_json(&serde_json::json!({
                "test": outcome.name, "file": outcome.source, "line": outcome.line,
                "passed": outcome.passed, "detail": outcome.detail,
            }))?;
        } else if outcome.passed {
            say(format_args!("ok      {}", outcome.name))?;
        } else {
            say(format_args!(
                "FAILED  {} ({}:{})\n{}",
                outcome.name, outcome.source, outcome.line, outcome.detail
            ))?;
        }
    }
    if !paths.json {
        say(format_args!(
            "{} passed, {failed} failed",
            outcomes.len() - failed
        ))?;
    }
    if outcomes.is_empty() {
        eprintln!("there are no `test` blocks: a rule without one is a guess");
    }
    Ok(if failed == 0 && !outcomes.is_empty() {
        Done::Found
    } else {
        Done::Nothing
    })
}
