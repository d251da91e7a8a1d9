//! The tables of `docs/text-links.md` are true: each row is read and compared with what comes of it.

use manara_signal::url::{Destination, find_destinations};
use manara_signal::{CanonicalUrl, Domain, Invite, UrlPrefix, Wallet};
use std::collections::BTreeMap;

/// The rows of all tables by the name of their first column.
fn tables() -> BTreeMap<String, Vec<Vec<String>>> {
    let mut tables: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let mut name = String::new();
    for line in include_str!("../../../docs/text-links.md").lines() {
        let Some(row) = line.strip_prefix("| ") else {
            if !line.starts_with("|---") {
                name.clear();
            }
            continue;
        };
        let cells = row.trim_end_matches('|').split('|');
        let cells: Vec<String> = cells
            .map(|cell| cell.trim().replace("‹U+200B›", "\u{200b}"))
            .collect();
        if name.is_empty() {
            name.clone_from(&cells[0]);
        } else {
            tables.entry(name.clone()).or_default().push(cells);
        }
    }
    tables
}

fn code(cell: &str) -> &str {
    cell.strip_prefix('`')
        .and_then(|c| c.strip_suffix('`'))
        .unwrap_or(cell)
}

#[track_caller]
fn check<T: ToString, E: ToString>(table: &str, parse: impl Fn(&str) -> Result<T, E>) {
    let rows = &tables()[table];
    assert!(rows.len() > 3, "{table}");
    for row in rows {
        let found = match parse(code(&row[0])) {
            Ok(value) => format!("`{}`", value.to_string()),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, row[1], "{}", row[0]);
    }
}

#[test]
fn addresses_and_members_become_what_the_page_says() {
    check("address", CanonicalUrl::parse);
    check("invite", Invite::parse);
    check("wallet", Wallet::parse);
    check("prefix", UrlPrefix::parse);
    check("domain", Domain::parse);
}

#[test]
fn texts_lead_where_the_page_says() {
    let rows = &tables()["text"];
    assert!(rows.len() > 20);
    for row in rows {
        let text = code(&row[0]);
        let found = find_destinations(text);
        let shown = found.iter().map(|found| match &found.what {
            Destination::Link(url) => format!("`{url}`"),
            Destination::Invite(invite) => format!("`{invite}`"),
            Destination::Wallet(wallet) => format!("`{wallet}`"),
            Destination::Mention(handle) => format!("`@{handle}`"),
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), row[1], "{text}");
        let undone = found.first().map(|found| found.undone.names());
        let undone: Vec<_> = undone
            .into_iter()
            .flatten()
            .map(|n| format!("`{n}`"))
            .collect();
        assert_eq!(undone.join(" "), row[2], "{text}");
    }
}
