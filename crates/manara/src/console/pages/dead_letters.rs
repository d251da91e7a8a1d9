//! Dead letters: actions that a receiver would not take, and the button that sends them again.

use super::{ConsoleState, Page, PageQuery};
use crate::console::Error;
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{EntityView, When, action_words};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use manara_store::{Delivery, Reader, Role};
use serde::Deserialize;

const PAGE_LETTERS: usize = 50;

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLetters {
    shell: Shell,
    csrf: String,
    may_replay: bool,
    letters: Vec<Letter>,
    shown: &'static str,
    next: Option<String>,
}

struct Letter {
    id: i64,
    what: String,
    action: String,
    decision: String,
    target: EntityView,
    receiver: Html,
    attempts: u32,
    error: Html,
    at: When,
}

/// `GET /dead-letters`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session, &query))
            .await?,
    )
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    query: &PageQuery,
) -> Result<DeadLetters, Error> {
    let before = query.after.as_deref().and_then(|after| after.parse().ok());
    let mut found = reader.dead_letters(before, PAGE_LETTERS + 1)?;
    let more = found.len() > PAGE_LETTERS;
    found.truncate(PAGE_LETTERS);
    Ok(DeadLetters {
        shell: Shell::new(state, reader, session, Here::DeadLetters, "Dead letters")?
            .with(Notice::of(query.done.as_deref())),
        csrf: session.csrf.clone(),
        may_replay: session.role == Role::Admin,
        next: found
            .last()
            .filter(|_| more)
            .map(|last| format!("/dead-letters?after={}", last.id)),
        letters: found.iter().map(letter).collect(),
        shown: if found.is_empty() { "" } else { "Newest first" },
    })
}

fn letter(delivery: &Delivery) -> Letter {
    Letter {
        id: delivery.id,
        what: action_words(delivery.action.kind, &delivery.action.detail),
        action: delivery.action.id.to_string(),
        decision: delivery.decision.to_string(),
        target: EntityView::from(&delivery.action.target),
        receiver: text::inline(&delivery.receiver),
        attempts: delivery.attempts,
        error: text::inline(delivery.error.as_deref().unwrap_or("no answer was kept")),
        at: When::exact(delivery.finished_at.unwrap_or(delivery.requested_at)),
    }
}

#[derive(Deserialize)]
pub(in crate::console) struct ReplayForm {
    #[serde(default)]
    delivery: String,
}

/// `POST /dead-letters/replay`
pub(in crate::console) async fn replay(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<ReplayForm>,
) -> Result<Response, Error> {
    if session.role != Role::Admin {
        return Err(Error::NotAllowed(
            "Only an administrator may send dead letters again.",
        ));
    }
    let id: i64 = form
        .delivery
        .parse()
        .map_err(|_| Error::NotFound("dead letter".into()))?;
    let (author, now) = (session.author(), state.now());
    state
        .store()
        .write(move |tx| tx.replay_dead(id, &author, now))
        .await?;
    Ok(Redirect::to("/dead-letters?done=replayed").into_response())
}
