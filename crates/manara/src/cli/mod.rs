//! The command line: `manara <noun> <verb>`. Data on stdout, talk on stderr.

mod audit;
mod bank;
mod compare;
mod config;
mod doctor;
mod hash;
mod key;
mod member;
mod radius;
mod rules;
mod scan;
mod serve;
mod set;
mod trial;
mod user;

use crate::data_dir::DataDir;
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use manara_model::Author;
use manara_store::Store;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;

/// How a command ended, for its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It did what was asked.
    Found,
    /// It found nothing, or refused.
    Nothing,
}

/// Find terrorist and violent extremist content, decide on it fairly, and prove what was done.
#[derive(Debug, Parser)]
#[command(
    name = "manara",
    version,
    max_term_width = 100,
    propagate_version = true,
    after_help = "Start with `manara demo`, or with `manara scan --bank NAME=FILE PATH…`."
)]
pub(crate) struct Arguments {
    /// Say more on stderr.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a day on an invented platform through a throwaway server, and count what was found.
    Demo(crate::demo::Arguments),
    /// Run the server: API, console, delivery.
    Serve(serve::Arguments),
    /// Look through folders, images, texts and event files for members of banks. Needs no server.
    Scan(scan::Arguments),
    /// Print the signals of files.
    Hash(hash::Arguments),
    /// Compare two files or signals: distance, quality, differing bits.
    Compare(compare::Arguments),
    /// Make, fill and change banks.
    #[command(subcommand)]
    Bank(bank::Verb),
    /// Check and test rules, and let those act again that were stopped.
    #[command(subcommand)]
    Rules(rules::Verb),
    /// Keep sets that rules ask: trusted accounts, partners' domains.
    #[command(subcommand)]
    Set(set::Verb),
    /// Verify the tamper-evident log.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Key(key::Verb),
    /// Add and list reviewers.
    #[command(subcommand)]
    User(user::Verb),
    /// Say what this machine lacks for a safe and fast Manara.
    Doctor(doctor::Arguments),
    /// Show and check the configuration.
    #[command(subcommand)]
    Config(config::Verb),
}

/// Runs a command to its end.
pub(crate) fn run(arguments: Arguments) -> Result<Done> {
    match arguments.command {
        Command::Demo(arguments) => crate::demo::run(&arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Scan(arguments) => scan::run(&arguments),
        Command::Hash(arguments) => hash::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Bank(verb) => bank::run(verb),
        Command::Rules(verb) => rules::run(verb),
        Command::Set(verb) => set::run(verb),
        Command::Audit(verb) => audit::run(verb),
        Command::Key(verb) => key::run(verb),
        Command::User(verb) => user::run(verb),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Config(verb) => config::run(verb),
    }
}

/// Which data directory a command works on.
#[derive(Debug, Clone, Args)]
pub(crate) struct Data {
    /// The data directory, as given to `manara serve`.
    #[arg(
        long,
        env = "MANARA_DATA",
        default_value = "manara-data",
        value_name = "DIR"
    )]
    pub(crate) data: PathBuf,
}

impl Data {
    /// Opens the database, which has to exist.
    pub(crate) fn open(&self) -> Result<Store> {
        store_in(&DataDir::open(&self.data)?)
    }

    /// The configuration in the data directory, with what the environment says.
    pub(crate) fn config(&self) -> Result<crate::config::Config> {
        let dir = DataDir::open(&self.data)?;
        crate::config::load(&dir.config(), false, &crate::config::Overrides::default())
    }

    /// Opens the database, making it when it is missing.
    pub(crate) fn open_or_create(&self) -> Result<Store> {
        store_in(&DataDir::open_or_create(&self.data)?)
    }
}

fn store_in(dir: &DataDir) -> Result<Store> {
    let config = crate::config::load(&dir.config(), false, &crate::config::Overrides::default())?;
    crate::open_store(dir, &config)
}

/// Who is at the command line, for the audit log: the operating system's user name.
pub(crate) fn operator() -> Author {
    let name = std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .or_else(|_| std::env::var("LOGNAME"));
    Author::Operator(
        name.unwrap_or_else(|_| "unknown".into())
            .chars()
            .take(64)
            .collect(),
    )
}

/// Runs asynchronous work to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    runtime()?.block_on(work)
}

/// The runtime of a command.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// Writes a line to stdout.
pub(crate) fn say(text: impl std::fmt::Display) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").context("writing to stdout")
}

/// Writes a value to stdout as one line of JSON.
pub(crate) fn say_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value).context("writing JSON")?;
    say(text)
}
