//! The audit log: how long it is, what was signed last, and how anybody can check it.

use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::Session;
use crate::console::shell::{Here, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Count, counted};
use askama::Template;
use axum::extract::State;
use manara_store::Reader;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    shell: Shell,
    leaves: Count,
    covered: String,
    key: String,
    note: Option<Html>,
}

/// `GET /audit`
pub(in crate::console) async fn show(State(state): State<ConsoleState>, session: Session) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session))
            .await?,
    )
}

fn read(state: &ConsoleState, reader: &Reader, session: &Session) -> Result<Audit, Error> {
    let note = reader.last_checkpoint()?;
    let size = note.as_deref().and_then(size_of).unwrap_or(0);
    Ok(Audit {
        shell: Shell::new(state, reader, session, Here::Audit, "Audit log")?,
        leaves: Count(reader.totals()?.leaves),
        covered: counted(size, "leaf", "leaves"),
        key: state.store().verifying_key().encode(),
        note: note.as_deref().map(text::verbatim),
    })
}

/// How many leaves a checkpoint covers: the second line of its note.
pub(super) fn size_of(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}
