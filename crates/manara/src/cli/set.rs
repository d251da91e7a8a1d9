//! `manara set create|list|show|add|remove`: sets that rules ask, kept by operators.

use super::{Data, Done, operator, say, say_json};
use crate::clock;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use comfy_table::Table;
use manara_model::Name;
use std::io::{BufRead, Read};

/// Largest list of items read at once, in bytes.
const INPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Items that were taken out, as far back as they are shown.
const HISTORY_MAX: usize = 1_000;

/// Keep sets that rules ask: trusted accounts, partners' domains.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an empty set.
    #[command(
        after_long_help = "Example:\n  manara set create trusted --description 'accounts we know'\n\nA rule asks it with `account.id in set(\"trusted\")`."
    )]
    Create {
        #[command(flatten)]
        data: Data,
        /// Its name, as rules write it.
        name: Name,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List sets.
    List {
        #[command(flatten)]
        data: Data,
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show what a set holds and what was taken out of it.
    Show {
        #[command(flatten)]
        data: Data,
        name: Name,
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Add items; a running server asks for them within a second.
    #[command(
        after_long_help = "Examples:\n  manara set add trusted a-19 a-20 --note 'city council'\n  manara set add partners - < domains.txt"
    )]
    Add {
        #[command(flatten)]
        data: Data,
        name: Name,
        /// The items; `-` reads one a line from stdin.
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<String>,
        /// Why they are there.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Take items out. That they were there stays known.
    Remove {
        #[command(flatten)]
        data: Data,
        name: Name,
        /// The items; `-` reads one a line from stdin.
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<String>,
    },
}

pub(super) fn run(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Create {
            data,
            name,
            description,
        } => {
            let made = name.clone();
            data.open_or_create()?.write_blocking(move |tx| {
                tx.create_set(&name, &description, &operator(), clock::now())
            })?;
            eprintln!("set {made} holds nothing yet: `manara set add {made} ITEM…`");
            Ok(Done::Found)
        }
        Verb::List { data, json } => list(&data, json),
        Verb::Show { data, name, json } => show(&data, &name, json),
        Verb::Add {
            data,
            name,
            items,
            note,
        } => {
            let items = items_of(items)?;
            let added = data.open()?.write_blocking(move |tx| {
                tx.add_to_set(&name, &items, &note, &operator(), clock::now())
            })?;
            eprintln!("{added} added");
            Ok(done(added))
        }
        Verb::Remove { data, name, items } => {
            let items = items_of(items)?;
            let removed = data.open()?.write_blocking(move |tx| {
                tx.remove_from_set(&name, &items, &operator(), clock::now())
            })?;
            eprintln!("{removed} taken out");
            Ok(done(removed))
        }
    }
}

fn done(changed: u64) -> Done {
    if changed == 0 {
        Done::Nothing
    } else {
        Done::Found
    }
}

/// The items given, or one a line from stdin; empty lines are left out.
fn items_of(items: Vec<String>) -> Result<Vec<String>> {
    if items != ["-"] {
        return Ok(items);
    }
    let stdin = std::io::stdin();
    let mut read = Vec::new();
    let mut left = stdin.lock().take(INPUT_BYTES_MAX + 1);
    let mut bytes = 0;
    let mut line = String::new();
    while left
        .read_line(&mut line)
        .context("reading items from stdin")?
        > 0
    {
        bytes += line.len() as u64;
        if bytes > INPUT_BYTES_MAX {
            bail!("more than {INPUT_BYTES_MAX} bytes of items: send them in parts");
        }
        let item = line.trim();
        if !item.is_empty() {
            read.push(item.to_owned());
        }
        line.clear();
    }
    Ok(read)
}

fn list(data: &Data, json: bool) -> Result<Done> {
    let sets = data.open()?.read(manara_store::Reader::set_list)?;
    if sets.is_empty() && !json {
        eprintln!("no sets; make one with `manara set create NAME`");
        return Ok(Done::Nothing);
    }
    let mut table = Table::new();
    table.set_header(["set", "items", "since", "description"]);
    for set in &sets {
        if json {
            say_json(&serde_json::json!({
                "name": set.name, "items": set.items, "created_at": set.created_at,
                "description": set.description,
            }))?;
        } else {
            table.add_row([
                set.name.to_string(),
                set.items.to_string(),
                set.created_at.to_string(),
                set.description.clone(),
            ]);
        }
    }
    if !json {
        say(table)?;
    }
    Ok(Done::Found)
}

fn show(data: &Data, name: &Name, json: bool) -> Result<Done> {
    let store = data.open()?;
    if store.read(|reader| reader.set(name))?.is_none() {
        bail!("there is no set {name}");
    }
    let items = store.read(|reader| reader.set_history(name, HISTORY_MAX))?;
    let mut table = Table::new();
    table.set_header(["item", "added", "taken out", "note"]);
    for item in &items {
        let removed = item.removed.as_ref().map(|(at, _)| at.to_string());
        if json {
            say_json(&serde_json::json!({
                "item": item.item, "note": item.note, "author": item.author,
                "added_at": item.added_at, "removed_at": removed,
            }))?;
        } else {
            table.add_row([
                item.item.clone(),
                item.added_at.to_string(),
                removed.unwrap_or_default(),
                item.note.clone(),
            ]);
        }
    }
    if !json {
        say(table)?;
    }
    Ok(if items.is_empty() {
        Done::Nothing
    } else {
        Done::Found
    })
}
