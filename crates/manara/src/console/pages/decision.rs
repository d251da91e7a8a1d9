//! One decision: who made it, why, what was asked for and what became of it.

use super::parts::{
    ActionRow, LaterView, VerdictView, action_row, later_verdict_views, later_views, verdict_views,
};
use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::Session;
use crate::console::shell::{Here, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{By, Count, When, outcome_word};
use askama::Template;
use axum::extract::{Path, State};
use manara_model::{Author, CaseState, DecisionId};
use manara_store::Reader;

#[derive(Template)]
#[template(path = "decision.html")]
struct DecisionPage {
    shell: Shell,
    id: String,
    by: By,
    at: When,
    about: &'static str,
    event: Option<EventRef>,
    case: Option<String>,
    outcome: Option<&'static str>,
    leaf: Option<Count>,
    note: Option<Html>,
    verdicts: Vec<VerdictView>,
    without_verdicts: &'static str,
    later: Vec<LaterView>,
    actions: Vec<ActionRow>,
}

struct EventRef {
    id: Html,
    source: Html,
}

/// `GET /decisions/{id}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(id): Path<String>,
) -> Page {
    let id: DecisionId = id.parse().map_err(|_| Error::NotFound("decision".into()))?;
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session, id))
            .await?,
    )
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    id: DecisionId,
) -> Result<DecisionPage, Error> {
    let decision = reader
        .decision(id)?
        .ok_or_else(|| Error::NotFound("decision".into()))?;
    let deliveries = reader.deliveries(id)?;
    let stored = reader.event_of(id)?;
    // What was found later is about an event that another decision was made on when it came.
    let found_later = stored.is_none() && decision.author == Author::System;
    let about = match &decision.event {
        Some((source, id)) if found_later => reader.event(source, id)?,
        _ => None,
    };
    let event = stored.as_ref().or(about.as_ref());
    let case = decision
        .case
        .map(|case| reader.case_detail(case))
        .transpose()?
        .flatten();
    let in_trail = case.as_ref().and_then(|case| {
        case.trail
            .iter()
            .rev()
            .find(|entry| entry.what == "decided")
    });
    let by_person = matches!(decision.author, Author::Reviewer(_));
    Ok(DecisionPage {
        shell: Shell::new(state, reader, session, Here::Elsewhere, "Decision")?,
        id: id.to_string(),
        by: By::from(&decision.author),
        at: When::exact(decision.at),
        about: if by_person {
            "A person’s judgement on a case."
        } else if found_later {
            "Found later in an event, because a member was added to a bank."
        } else {
            "All verdicts on one event."
        },
        event: decision.event.as_ref().map(|(source, id)| EventRef {
            id: text::inline(id),
            source: text::inline(source),
        }),
        case: decision.case.map(|case| case.to_string()),
        outcome: case.as_ref().and_then(|detail| match &detail.case.state {
            CaseState::Closed { outcome, .. } => Some(outcome_word(*outcome)),
            CaseState::Open | CaseState::Claimed { .. } => None,
        }),
        leaf: match in_trail {
            Some(entry) => Some(Count(entry.leaf)),
            None => stored.as_ref().map(|stored| Count(stored.leaf)),
        },
        note: (!decision.note.is_empty()).then(|| text::block(&decision.note, &[])),
        verdicts: if found_later {
            later_verdict_views(reader, event.map(|it| &it.event), &decision.verdicts)?
        } else {
            verdict_views(reader, event.map(|it| &it.event), &decision.verdicts)?
        },
        without_verdicts: if by_person {
            "None: a person judged."
        } else {
            "None: the event passed."
        },
        later: stored
            .as_ref()
            .map(|stored| later_views(reader, stored))
            .transpose()?
            .unwrap_or_default(),
        actions: decision
            .actions
            .iter()
            .map(|a| action_row(a, &decision.author, &deliveries))
            .collect(),
    })
}
