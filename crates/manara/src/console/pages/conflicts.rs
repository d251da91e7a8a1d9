//! Events that came under the source and id of another: both bodies, side by side.

use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::Session;
use crate::console::shell::{Here, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Count, When, counted};
use askama::Template;
use axum::extract::State;
use manara_store::{ConflictingEvent, Reader};

const CONFLICTS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "conflicts.html")]
struct Conflicts {
    shell: Shell,
    conflicts: Vec<ConflictView>,
    shown: String,
}

struct ConflictView {
    id: Html,
    source: Html,
    at: When,
    leaf: Count,
    first: Html,
    second: Html,
}

/// `GET /events/conflicts`
pub(in crate::console) async fn show(State(state): State<ConsoleState>, session: Session) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session))
            .await?,
    )
}

fn read(state: &ConsoleState, reader: &Reader, session: &Session) -> Result<Conflicts, Error> {
    let found = reader.recent_conflicts(CONFLICTS_MAX)?;
    let all = reader.totals()?.conflicts;
    Ok(Conflicts {
        shell: Shell::new(
            state,
            reader,
            session,
            Here::Conflicts,
            "Conflicting events",
        )?,
        shown: match found.len() as u64 {
            0 => String::new(),
            shown if shown < all => format!(
                "The newest {shown} of {}",
                counted(all, "conflict", "conflicts")
            ),
            _ => "Newest first".to_owned(),
        },
        conflicts: found
            .iter()
            .map(|c| conflict_view(reader, c))
            .collect::<Result<_, _>>()?,
    })
}

fn conflict_view(reader: &Reader, conflict: &ConflictingEvent) -> Result<ConflictView, Error> {
    let first = reader.event(&conflict.source, &conflict.id)?;
    let first = first.map_or_else(String::new, |stored| {
        serde_json::to_string(&stored.event).unwrap_or_default()
    });
    Ok(ConflictView {
        id: text::inline(&conflict.id),
        source: text::inline(&conflict.source),
        at: When::exact(conflict.received_at),
        leaf: Count(conflict.leaf),
        first: pretty(&first),
        second: pretty(&conflict.body),
    })
}

/// JSON over several lines; what is not JSON, as it is.
fn pretty(json: &str) -> Html {
    let value = serde_json::from_str::<serde_json::Value>(json);
    match value.and_then(|value| serde_json::to_string_pretty(&value)) {
        Ok(pretty) => text::verbatim(&pretty),
        Err(_) => text::verbatim(json),
    }
}
