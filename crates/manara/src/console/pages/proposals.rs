//! Changes that wait for a second person, and what became of earlier ones.

use super::rule_diff::{DiffView, diff};
use super::rule_file::{after, book, may_change, tests_in_words};
use super::typed::{Fields, Typed, sentence};
use super::{ConsoleState, Page, PageQuery};
use crate::console::Error;
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{By, When};
use crate::rulebook::{FileName, Rulebook, Unsaved, render as rendered};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use manara_store::{Proposal, ProposalState, Reader, rule_text_sha256};

/// Decided proposals on the page.
const DECIDED_MAX: usize = 50;
/// Longest answer, in characters.
const ANSWER_CHARACTERS_MAX: usize = 1_000;

#[derive(Template)]
#[template(path = "proposals.html")]
struct ProposalsPage {
    shell: Shell,
    approval: bool,
    open: Vec<ProposalView>,
    decided: Vec<ProposalView>,
}

#[derive(Template)]
#[template(path = "proposal.html")]
struct ProposalPage {
    shell: Shell,
    csrf: String,
    it: ProposalView,
    /// What it comes to while it waits.
    standing: Option<Standing>,
    diff: DiffView,
    diff_title: &'static str,
    may_decide: bool,
    may_approve: bool,
    is_own: bool,
    typed: Typed,
}

struct ProposalView {
    id: i64,
    file: String,
    by: By,
    at: When,
    note: Html,
    has_note: bool,
    state: &'static str,
    tone: &'static str,
    decided_by: Option<By>,
    decided_at: Option<When>,
    answer: Html,
    has_answer: bool,
}

struct Standing {
    is_stale: bool,
    problems: Vec<Html>,
    goes_live: Vec<String>,
    tests: String,
}

impl From<&Proposal> for ProposalView {
    fn from(it: &Proposal) -> Self {
        Self {
            id: it.id,
            file: it.file.clone(),
            by: By::from(&it.author),
            at: When::exact(it.proposed_at),
            note: said(&it.note),
            has_note: !it.note.is_empty(),
            state: it.state.as_str(),
            tone: match it.state {
                ProposalState::Proposed => "warn",
                ProposalState::Approved => "good",
                ProposalState::Rejected => "stop",
                ProposalState::Withdrawn | ProposalState::Superseded => "",
            },
            decided_by: it.decided_by.as_ref().map(By::from),
            decided_at: it.decided_at.map(When::exact),
            answer: said(&it.answer),
            has_answer: !it.answer.is_empty(),
        }
    }
}

fn said(words: &str) -> Html {
    match words {
        "" => Html::default(),
        words => text::inline(words),
    }
}

/// `GET /rules/proposals`
pub(in crate::console) async fn list(
    State(state): State<ConsoleState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Page {
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let (open, decided) = (
            reader.open_proposals()?,
            reader.decided_proposals(DECIDED_MAX)?,
        );
        Ok(ProposalsPage {
            shell: Shell::new(&reading, reader, &session, Here::Rules, "Proposals")?
                .with(Notice::of(query.done.as_deref())),
            approval: reading.rulebook().is_some_and(|book| book.approval()),
            open: open.iter().map(ProposalView::from).collect(),
            decided: decided.iter().map(ProposalView::from).collect(),
        })
    };
    page(&state.read(read).await?)
}

/// `GET /rules/proposals/{id}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Page {
    let notice = Notice::of(query.done.as_deref());
    render(&state, session, number(&id)?, Typed::default(), notice).await
}

fn number(id: &str) -> Result<i64, Error> {
    id.parse()
        .map_err(|_| Error::NotFound("proposal of that number".into()))
}

async fn render(
    state: &ConsoleState,
    session: Session,
    id: i64,
    typed: Typed,
    notice: Option<Notice>,
) -> Page {
    let (reading, book) = (state.clone(), book(state)?);
    let (proposal, file) = proposal_of(state, id).await?;
    let is_open = proposal.state == ProposalState::Proposed;
    let standing = if is_open {
        let of = proposal.clone();
        let standing = move || standing(&book, &file, &of);
        Some(state.check_rules(standing).await?)
    } else {
        None
    };
    let read = move |reader: &Reader| {
        let base = reader.rule_file_of(&proposal.file, &proposal.base)?;
        let base = base.map(|(_, text)| text);
        let is_own = proposal.author == session.author();
        let title = format!("Proposal {id}");
        Ok(ProposalPage {
            shell: Shell::new(&reading, reader, &session, Here::Rules, title)?.with(notice),
            csrf: session.csrf.clone(),
            it: ProposalView::from(&proposal),
            diff_title: match &base {
                None if proposal.base != rule_text_sha256("") => {
                    "The proposed text; the one it began from was never in force"
                }
                _ => "What it changes",
            },
            diff: diff(base.as_deref().unwrap_or_default(), &proposal.text),
            may_decide: is_open && session.role.may_change_rules(),
            may_approve: standing
                .as_ref()
                .is_some_and(|it| !it.is_stale && it.problems.is_empty()),
            standing,
            is_own,
            typed,
        })
    };
    page(&state.read(read).await?)
}

/// The proposal of that number, and the file it is for.
async fn proposal_of(state: &ConsoleState, id: i64) -> Result<(Proposal, FileName), Error> {
    let none = || Error::NotFound(format!("proposal {id}"));
    let found = state.read(move |reader| Ok(reader.proposal(id)?)).await?;
    let proposal = found.ok_or_else(none)?;
    let file: FileName = proposal.file.parse().map_err(|_| none())?;
    Ok((proposal, file))
}

/// What a proposal would come to now.
fn standing(book: &Rulebook, file: &FileName, it: &Proposal) -> anyhow::Result<Standing> {
    let checked = book.check(file, it.text.clone())?;
    let before = checked.before.as_deref().unwrap_or_default();
    Ok(Standing {
        is_stale: rule_text_sha256(before) != it.base,
        problems: match &checked.result {
            Err(found) if checked.mistaken => rendered(found, &checked.sources)
                .iter()
                .map(|it| text::verbatim(it))
                .collect(),
            _ => Vec::new(),
        },
        tests: tests_in_words(&checked),
        goes_live: checked.going_live,
    })
}

/// `POST /rules/proposals/{id}`: approves or declines it.
pub(in crate::console) async fn decide(
    State(state): State<ConsoleState>,
    Path(id): Path<String>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let id = number(&id)?;
    let mut typed = Typed::from(form);
    if typed.value("answer").chars().count() > ANSWER_CHARACTERS_MAX {
        typed.refuse(
            "answer",
            format!("use at most {ANSWER_CHARACTERS_MAX} characters"),
        );
    } else if typed.is("do", "approve") {
        match approve(&state, &session, id, typed.value("answer").to_owned()).await? {
            Ok(to) => return Ok(Redirect::to(&to).into_response()),
            Err(why) => typed.refuse("answer", why),
        }
    } else if typed.is("do", "decline") {
        let (by, answer, now) = (
            session.author(),
            typed.value("answer").to_owned(),
            state.now(),
        );
        state
            .store()
            .write(move |tx| tx.decline_rules(id, &by, &answer, now))
            .await?;
        let to = "/rules/proposals?done=proposal_declined";
        return Ok(Redirect::to(to).into_response());
    } else {
        return Err(Error::BadForm(
            "It says neither to approve nor to decline".into(),
        ));
    }
    let page = render(&state, session, id, typed, None).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// Where to go on to, or why it was not approved.
async fn approve(
    state: &ConsoleState,
    session: &Session,
    id: i64,
    answer: String,
) -> Result<Result<String, String>, Error> {
    let (book, by, now) = (book(state)?, session.author(), state.now());
    let (proposal, file) = proposal_of(state, id).await?;
    if proposal.author == by {
        return Ok(Err(
            "Nobody approves their own proposal: ask a second person".into(),
        ));
    }
    Ok(
        match book.approve(state.store(), id, by, answer, now).await {
            Ok(saved) => Ok(after(&file, &saved).replace("rules_saved", "proposal_approved")),
            Err(Unsaved::Store(error)) => return Err(error.into()),
            Err(Unsaved::Failed(error)) => return Err(Error::Internal(format!("{error:#}"))),
            Err(unsaved) => Err(sentence(&format!("it was not approved: {unsaved}"))),
        },
    )
}
