//! `manara rules check|test|stops|reset`.

use super::{Data, Done, operator, say, say_json};
use crate::clock;
use crate::data_dir::DataDir;
use crate::rulebook::{read_sources, with_builtin};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use manara_model::Name;
use manara_rules::{Diagnostic, RuleSet, Schema, Source, compile, render_colour};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Check and test rule files.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say everything that is wrong with the rules, and where.
    #[command(after_long_help = "Example:\n  manara rules check rules/")]
    Check(Paths),
    /// Run the `test` blocks inside the rule files.
    #[command(after_long_help = "Example:\n  manara rules test rules/")]
    Test(Paths),
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
        Verb::Check(paths) => check(&paths),
        Verb::Test(paths) => test(&paths),
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
            say(format_args!(
                "{rule}  since {}  {}",
                stop.stopped_at, stop.why
            ))?;
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

fn sources(paths: &Paths) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in &paths.paths {
        if !path.exists() {
            bail!("there is no {}", path.display());
        }
        sources.extend(read_sources(path)?);
    }
    if sources.is_empty() {
        bail!("no *.rules file in the given folders");
    }
    Ok(with_builtin(sources))
}

/// Compiles, printing what is wrong; `None` when anything is.
fn compiled(paths: &Paths, sources: &[Source]) -> Result<Option<RuleSet>> {
    match compile(sources, &Schema::builtin()) {
        Ok(rules) => {
            print(rules.warnings(), sources, paths.json)?;
            Ok(Some(rules))
        }
        Err(diagnostics) => {
            print(&diagnostics, sources, paths.json)?;
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

fn check(paths: &Paths) -> Result<Done> {
    let sources = sources(paths)?;
    let Some(rules) = compiled(paths, &sources)? else {
        return Ok(Done::Nothing);
    };
    if !paths.json {
        say(format_args!(
            "{} rules in {} files are in order",
            rules.rules().len(),
            sources.len()
        ))?;
    }
    Ok(Done::Found)
}

fn test(paths: &Paths) -> Result<Done> {
    let sources = sources(paths)?;
    let Some(rules) = compiled(paths, &sources)? else {
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
