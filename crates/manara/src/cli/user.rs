//! `manara user add|list`: reviewers, from the command line of the server's machine.

use super::{Data, Done, operator, say, say_json};
use crate::clock;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use comfy_table::Table;
use manara_store::Role;
use std::io::{BufRead, IsTerminal};

/// Add and list reviewers.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a reviewer; the password is read from the first line of stdin.
    #[command(
        after_long_help = "Example:\n  openssl rand -base64 18 | tee noor.password | manara user add noor"
    )]
    Add {
        #[command(flatten)]
        data: Data,
        /// The name to log in with.
        login: String,
        /// What they may do: reviewer, policy or admin.
        #[arg(long, default_value = "reviewer")]
        role: Role,
        /// The same as `--role admin`.
        #[arg(long, conflicts_with = "role")]
        admin: bool,
    },
    /// List reviewers.
    List {
        #[command(flatten)]
        data: Data,
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Add {
            data,
            login,
            role,
            admin,
        } => add(&data, &login, if admin { Role::Admin } else { role }),
        Verb::List { data, json } => list(&data, json),
    }
}

fn add(data: &Data, login: &str, role: Role) -> Result<Done> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!(
            "password for {login} (at least 12 characters; it is shown as you type), then Enter:"
        );
    }
    let mut password = String::new();
    std::io::Read::take(stdin.lock(), 2048)
        .read_line(&mut password)
        .context("reading the password from stdin")?;
    let password = password.trim_end_matches(['\r', '\n']);
    let reviewer = crate::console::new_reviewer(login, password, role, clock::random::<16>())
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let store = data.open_or_create()?;
    if store.read(|r| r.reviewer(login))?.is_some() {
        bail!("there is a reviewer {login} already");
    }
    store.write_blocking(move |tx| tx.create_reviewer(&reviewer, &operator(), clock::now()))?;
    eprintln!("{login} can log in");
    Ok(Done::Found)
}

fn list(data: &Data, json: bool) -> Result<Done> {
    let reviewers = data.open()?.read(|r| r.reviewers())?;
    if reviewers.is_empty() && !json {
        eprintln!(
            "no reviewers; `manara serve` prints the link that makes the first, or use `manara user add`"
        );
        return Ok(Done::Nothing);
    }
    let mut table = Table::new();
    table.set_header(["login", "role", "created"]);
    for reviewer in &reviewers {
        if json {
            say_json(
                &serde_json::json!({ "login": reviewer.login, "role": reviewer.role, "created_at": reviewer.created_at }),
            )?;
        } else {
            table.add_row([
                &reviewer.login,
                &reviewer.role.to_string(),
                &reviewer.created_at.to_string(),
            ]);
        }
    }
    if !json {
        say(table)?;
    }
    Ok(Done::Found)
}
