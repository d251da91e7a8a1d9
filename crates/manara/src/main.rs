//! `manara`: the one binary. Command line, HTTP API, console, workers.
//!
//! Exit codes: 0 done; 1 found nothing, or refused; 2 error.

mod api;
mod backtest;
mod bankfile;
mod banks;
mod bits;
mod cli;
mod clock;
mod config;
mod console;
mod data_dir;
mod deliver;
mod demo;
mod evaluate;
mod flood;
mod forms;
mod guard;
mod lsp;
mod matcher;
mod media;
mod past;
mod pipeline;
mod recent;
mod rule_schema;
mod rulebook;
mod scan;
mod server;
mod snapshot;

use anyhow::{Context, Result};
use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The decoder is this same program, and must set its limits before anything else happens.
    let (first, rest) = (std::env::args_os().nth(1), std::env::args_os().skip(2));
    if first
        .as_ref()
        .is_some_and(|arg| arg == media::WORKER_COMMAND)
    {
        return exit_code(media::worker::run(rest).map(|()| cli::Done::Found));
    }
    if first
        .as_ref()
        .is_some_and(|arg| arg == media::FFMPEG_COMMAND)
    {
        return exit_code(media::confined::run(rest).map(|()| cli::Done::Found));
    }
    let arguments = cli::Arguments::parse();
    log_to_stderr(arguments.verbose);
    exit_code(cli::run(arguments))
}

fn exit_code(result: Result<cli::Done>) -> ExitCode {
    match result {
        Ok(cli::Done::Found) => ExitCode::SUCCESS,
        Ok(cli::Done::Nothing) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The reader of our output has seen enough (`manara … | head`): not an error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn log_to_stderr(verbose: bool) {
    use tracing_subscriber::{EnvFilter, fmt};
    let default = if verbose {
        "manara=debug,info"
    } else {
        "manara=info,warn"
    };
    let filter = EnvFilter::try_from_env("MANARA_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
}

/// Opens the database of a data directory, with the key that signs its log.
pub(crate) fn open_store(
    dir: &data_dir::DataDir,
    config: &config::Config,
) -> Result<manara_store::Store> {
    let options = manara_store::Options {
        audit_seed: dir.audit_seed()?,
        origin: config.origin.clone(),
        max_bytes: (config.limits.database_bytes > 0).then_some(config.limits.database_bytes),
        readers: 4,
    };
    let path = dir.database();
    manara_store::Store::open(&path, options).with_context(|| format!("opening {}", path.display()))
}
