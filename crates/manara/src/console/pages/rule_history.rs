//! What a rule file held, since when and by whom, and the way back.

use super::rule_diff::{DiffView, diff};
use super::rule_file::{VersionView, book, file_name};
use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::Session;
use crate::console::shell::{Here, Shell, page};
use crate::console::text::{self, Html};
use crate::rulebook::{FileName, Rulebook};
use askama::Template;
use axum::extract::{Path, Query, State};
use manara_store::{Reader, rule_text_sha256};
use serde::Deserialize;
use std::sync::Arc;

/// Versions on one page.
const VERSIONS: usize = 50;

#[derive(Template)]
#[template(path = "rule_history.html")]
struct HistoryPage {
    shell: Shell,
    file: String,
    versions: Vec<VersionView>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "rule_version.html")]
struct VersionPage {
    shell: Shell,
    csrf: String,
    file: String,
    it: VersionView,
    changed: DiffView,
    /// What returning to it would change; nothing if it is how the file is.
    back: Option<DiffView>,
    /// The hash of the text it would replace, for those who may.
    base: Option<String>,
    approval: bool,
    text: Html,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::console) struct HistoryQuery {
    before: Option<u32>,
}

/// `GET /rules/files/{file}/history`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(file): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Page {
    let (book, file) = (book(&state)?, file_name(&file)?);
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let found = reader.rule_file_versions(file.as_str(), query.before, VERSIONS)?;
        if found.is_empty() && query.before.is_none() {
            return Err(Error::NotFound(format!("rule file {file}")));
        }
        let now = text_now(&book, &file)?;
        let last = found
            .last()
            .filter(|it| found.len() == VERSIONS && it.version > 1);
        let title = format!("History of {file}");
        Ok(HistoryPage {
            shell: Shell::new(&reading, reader, &session, Here::Rules, title)?,
            next: last.map(|it| format!("/rules/files/{file}/history?before={}", it.version)),
            versions: found
                .iter()
                .enumerate()
                .map(|(index, it)| VersionView {
                    is_now: index == 0
                        && query.before.is_none()
                        && it.sha256 == rule_text_sha256(&now),
                    ..VersionView::from(it)
                })
                .collect(),
            file: file.to_string(),
        })
    };
    page(&state.read(read).await?)
}

/// `GET /rules/files/{file}/versions/{version}`
pub(in crate::console) async fn version(
    State(state): State<ConsoleState>,
    session: Session,
    Path((file, version)): Path<(String, String)>,
) -> Page {
    let (book, file) = (book(&state)?, file_name(&file)?);
    let none = || Error::NotFound(format!("version of {file}"));
    let version: u32 = version.parse().map_err(|_| none())?;
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let none = || Error::NotFound(format!("version {version} of {file}"));
        let (it, kept) = reader.rule_file(file.as_str(), version)?.ok_or_else(none)?;
        let before = reader.rule_file(file.as_str(), version.saturating_sub(1))?;
        let before = before.map_or_else(String::new, |(_, text)| text);
        let now = text_now(&book, &file)?;
        let may = session.role.may_change_rules() && book.read_only().is_none();
        let title = format!("{file}, version {version}");
        Ok(VersionPage {
            shell: Shell::new(&reading, reader, &session, Here::Rules, title)?,
            csrf: session.csrf.clone(),
            it: VersionView::from(&it),
            changed: diff(&before, &kept),
            back: (now != kept).then(|| diff(&now, &kept)),
            base: may.then(|| hex::encode(rule_text_sha256(&now))),
            approval: book.approval(),
            text: text::verbatim(&kept),
            file: file.to_string(),
        })
    };
    page(&state.read(read).await?)
}

fn text_now(book: &Arc<Rulebook>, file: &FileName) -> Result<String, Error> {
    let now = book.text(file);
    let now = now.map_err(|error| Error::Internal(format!("{error:#}")))?;
    Ok(now.unwrap_or_default())
}
