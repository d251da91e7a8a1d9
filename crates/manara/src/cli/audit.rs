//! `manara audit verify`.

use super::{Data, Done, say, say_json};
use anyhow::{Context, Result};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

/// Verify the tamper-evident log.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check the whole log, its checkpoints, and every row of the database against it.
    #[command(
        after_long_help = "Exit code 0: everything agrees. 1: something was changed; each finding names what. 2: it could not be checked."
    )]
    Verify {
        #[command(flatten)]
        data: Data,
        /// The report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the newest signed checkpoint, to be kept somewhere else.
    Checkpoint {
        #[command(flatten)]
        data: Data,
    },
}

pub(super) fn run(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Verify { data, json } => verify(&data, json),
        Verb::Checkpoint { data } => checkpoint(&data),
    }
}

fn verify(data: &Data, json: bool) -> Result<Done> {
    let store = data.open()?;
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
            .context("progress bar")?,
    );
    bar.set_message("verifying");
    let report = store.verify(&mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let clean = report.findings.is_empty();
    if json {
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        say_json(&serde_json::json!({
            "leaves": report.leaves, "checkpoints": report.checkpoints, "records": report.records,
            "findings": findings, "ok": clean,
        }))?;
    } else {
        for finding in &report.findings {
            say(format_args!("WRONG  {finding}"))?;
        }
        let word = if clean {
            "everything agrees".to_owned()
        } else {
            format!("{} findings", report.findings.len())
        };
        say(format_args!(
            "{} leaves, {} checkpoints, {} records: {word}",
            report.leaves, report.checkpoints, report.records
        ))?;
    }
    Ok(if clean { Done::Found } else { Done::Nothing })
}

fn checkpoint(data: &Data) -> Result<Done> {
    let store = data.open()?;
    let Some(note) = store.read(|r| r.last_checkpoint())? else {
        eprintln!("the log is empty");
        return Ok(Done::Nothing);
    };
    say(note.trim_end())?;
    eprintln!("signed by {}", store.verifying_key());
    Ok(Done::Found)
}
