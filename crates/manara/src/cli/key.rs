//! `manara key create|list|revoke`.

use super::{Data, Done, operator, say, say_json};
use crate::api::auth::{Scope, new_key};
use crate::clock;
use anyhow::{Result, bail};
use clap::Subcommand;
use comfy_table::Table;
use serde::Serialize;

/// Make, list and revoke API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a key and print it once; only its hash is kept.
    #[command(after_long_help = "Example:\n  manara key create --name forum --scope events:write")]
    Create {
        #[command(flatten)]
        data: Data,
        /// What it is for, so that you know which one to revoke.
        #[arg(long)]
        name: String,
        /// What it may do; give it several times for several.
        #[arg(long = "scope", default_value = "events:write", value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// Print the key alone as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List keys, revoked ones too.
    List {
        #[command(flatten)]
        data: Data,
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Make a key useless, at once and for good.
    Revoke {
        #[command(flatten)]
        data: Data,
        /// The key's id, as `manara key list` prints it.
        id: String,
    },
}

#[derive(Serialize)]
struct Created<'a> {
    id: &'a str,
    key: &'a str,
    scopes: &'a [String],
}

pub(super) fn run(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Create {
            data,
            name,
            scopes,
            json,
        } => create(&data, &name, &scopes, json),
        Verb::List { data, json } => list(&data, json),
        Verb::Revoke { data, id } => revoke(&data, id),
    }
}

fn create(data: &Data, name: &str, scopes: &[Scope], json: bool) -> Result<Done> {
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        bail!("--name: use 1 to 128 bytes without control characters");
    }
    let store = data.open_or_create()?;
    let (key, text) = new_key(name, scopes);
    let (id, kept_scopes) = (key.id.clone(), key.scopes.clone());
    store.write_blocking(move |tx| tx.create_key(&key, &operator(), clock::now()))?;
    if json {
        say_json(&Created {
            id: &id,
            key: &text,
            scopes: &kept_scopes,
        })?;
    } else {
        say(&text)?;
        eprintln!(
            "key {id} may {}; it is not shown again",
            kept_scopes.join(", ")
        );
    }
    Ok(Done::Found)
}

fn list(data: &Data, json: bool) -> Result<Done> {
    let keys = data.open()?.read(|r| r.api_keys())?;
    if keys.is_empty() && !json {
        eprintln!("no keys; make one with `manara key create --name NAME`");
        return Ok(Done::Nothing);
    }
    let mut table = Table::new();
    table.set_header(["id", "name", "scopes", "created", "revoked"]);
    for key in &keys {
        let revoked = key.revoked_at.map_or_else(String::new, |at| at.to_string());
        if json {
            say_json(&serde_json::json!({
                "id": key.id, "name": key.name, "scopes": key.scopes,
                "created_at": key.created_at, "revoked_at": key.revoked_at,
            }))?;
        } else {
            table.add_row([
                &key.id,
                &key.name,
                &key.scopes.join(" "),
                &key.created_at.to_string(),
                &revoked,
            ]);
        }
    }
    if !json {
        say(table)?;
    }
    Ok(Done::Found)
}

fn revoke(data: &Data, id: String) -> Result<Done> {
    let store = data.open()?;
    let wanted = id.clone();
    store.write_blocking(move |tx| tx.revoke_key(&wanted, &operator(), clock::now()))?;
    eprintln!("key {id} is revoked; a running server follows within a second");
    Ok(Done::Found)
}
