//! The queues: cases by priority, then age, a page at a time.

use super::parts::{CaseRow, case_row};
use super::{ConsoleState, Page, PageQuery};
use crate::console::Error;
use crate::console::session::Session;
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::view::{Count, counted};
use askama::Template;
use axum::extract::{Path, Query, State};
use manara_model::{Case, CaseId, Name};
use manara_store::{CaseFilter, CaseStage, QueueSummary, Reader};

/// Cases on a page.
const PAGE_CASES: usize = 25;

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    shell: Shell,
    heading: String,
    lead: String,
    chosen: Option<String>,
    waiting: Count,
    queues: Vec<QueueTab>,
    states: Vec<StateTab>,
    cases: Vec<CaseRow>,
    empty: &'static str,
    shown: String,
    first: Option<String>,
    next: Option<String>,
}

struct QueueTab {
    name: String,
    waiting: Count,
    chosen: bool,
}

struct StateTab {
    name: &'static str,
    href: String,
    chosen: bool,
}

/// The parts of a case's life, with the word in the address and that on the page.
const STAGES: [(CaseStage, &str, &str); 3] = [
    (CaseStage::Open, "waiting", "Waiting"),
    (CaseStage::Claimed, "claimed", "Claimed"),
    (CaseStage::Closed, "decided", "Decided"),
];

/// `GET /queues`
pub(in crate::console) async fn all(
    State(state): State<ConsoleState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Page {
    show(state, session, None, query).await
}

/// `GET /queues/{queue}`
pub(in crate::console) async fn one(
    State(state): State<ConsoleState>,
    session: Session,
    Path(queue): Path<String>,
    Query(query): Query<PageQuery>,
) -> Page {
    let queue: Name = queue.parse().map_err(|_| Error::NotFound("queue".into()))?;
    show(state, session, Some(queue), query).await
}

async fn show(
    state: ConsoleState,
    session: Session,
    queue: Option<Name>,
    query: PageQuery,
) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session, queue, &query))
            .await?,
    )
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    queue: Option<Name>,
    query: &PageQuery,
) -> Result<QueuePage, Error> {
    let now = state.now();
    let (stage, word, _) = stage_of(query.state.as_deref());
    let after = cursor(reader, query.after.as_deref())?;
    let is_first = after.is_none();
    let filter = CaseFilter {
        queue: queue.clone(),
        stage,
        after,
        limit: PAGE_CASES + 1,
    };
    let mut found = reader.cases(&filter)?;
    let more = found.len() > PAGE_CASES;
    found.truncate(PAGE_CASES);
    let base = queue
        .as_ref()
        .map_or_else(|| "/queues".to_owned(), |queue| format!("/queues/{queue}"));
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| format!("{base}?state={word}&after={}", last.id));
    let rows = found
        .iter()
        .map(|case| case_row(reader, case, &session.login, now));
    let queues = reader.queues()?;
    let heading = queue
        .as_ref()
        .map_or_else(|| "All queues".to_owned(), |queue| format!("Queue {queue}"));
    Ok(QueuePage {
        shell: Shell::new(state, reader, session, Here::Queues, heading.clone())?
            .with(Notice::of(query.done.as_deref())),
        heading,
        lead: lead(&queues, queue.as_ref()),
        waiting: Count(queues.iter().map(|queue| queue.open).sum()),
        queues: queue_tabs(&queues, queue.as_ref()),
        states: state_tabs(&base, stage),
        cases: rows.collect::<Result<_, _>>()?,
        empty: match stage {
            CaseStage::Open => "Nothing waits here.",
            CaseStage::Claimed => "Nobody holds a case here.",
            CaseStage::Closed => "Nothing has been decided here yet.",
        },
        shown: match stage {
            CaseStage::Open | CaseStage::Claimed => {
                "Most urgent first, then longest waiting".into()
            }
            CaseStage::Closed => "By priority, then age".into(),
        },
        first: (!is_first).then(|| format!("{base}?state={word}")),
        chosen: queue.map(Into::into),
        next,
    })
}

fn stage_of(word: Option<&str>) -> (CaseStage, &'static str, &'static str) {
    STAGES
        .into_iter()
        .find(|(_, known, _)| Some(*known) == word)
        .unwrap_or(STAGES[0])
}

/// The case that the page before ended with; a page after nothing known is the first.
fn cursor(reader: &Reader, after: Option<&str>) -> Result<Option<Case>, Error> {
    match after.and_then(|after| after.parse::<CaseId>().ok()) {
        Some(id) => Ok(reader.case(id)?),
        None => Ok(None),
    }
}

fn lead(queues: &[QueueSummary], chosen: Option<&Name>) -> String {
    let of = |queue: &&QueueSummary| chosen.is_none_or(|chosen| *chosen == queue.queue);
    let (open, claimed) = queues
        .iter()
        .filter(of)
        .fold((0, 0), |(o, c), q| (o + q.open, c + q.claimed));
    format!(
        "{} waiting, {} claimed.",
        counted(open, "case", "cases"),
        Count(claimed)
    )
}

fn queue_tabs(queues: &[QueueSummary], chosen: Option<&Name>) -> Vec<QueueTab> {
    let tab = |queue: &QueueSummary| QueueTab {
        name: queue.queue.to_string(),
        waiting: Count(queue.open),
        chosen: chosen == Some(&queue.queue),
    };
    let mut tabs: Vec<QueueTab> = queues.iter().map(tab).collect();
    if let Some(empty) = chosen.filter(|_| !tabs.iter().any(|tab| tab.chosen)) {
        tabs.push(QueueTab {
            name: empty.to_string(),
            waiting: Count(0),
            chosen: true,
        });
    }
    tabs
}

fn state_tabs(base: &str, chosen: CaseStage) -> Vec<StateTab> {
    let tab = |(stage, word, name)| StateTab {
        name,
        href: format!("{base}?state={word}"),
        chosen: stage == chosen,
    };
    STAGES.into_iter().map(tab).collect()
}
