//! One case: everything that brought it about, what was done, and the desk where it is decided.
//!
//! A move that is refused (somebody else holds the case, it was decided meanwhile, the form is from
//! an earlier session) comes back as this same page with what was typed still in place.

use super::member::{MemberView, member_view, quarantine_heading};
use super::parts::{
    self, ActionRow, CaseRow, LaterView, VerdictView, action_row, bare_case_row, later_views,
    spans, verdict_views, verdicts_of,
};
use super::reading::{language_words, link_words};
use super::stops::{AboutRule, about_rule};
use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::login::login_keeping;
use crate::console::memory::Draft;
use crate::console::session::{OwnForm, Sent, Session, WithCsrf, session_of};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{By, Chip, Count, EntityView, When, span, state_chip};
use crate::matcher::PDQ_QUALITY_MIN;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use manara_model::{
    Action, ActionKind, Case, CaseId, CaseState, Decoding, EntityType, Judgement, MediaFacts,
    Medium, MemberMode, Name, Outcome, Refused,
};
use manara_signal::{Signal, SignalType};
use manara_store::{
    CaseDetail, CaseFilter, CaseStage, Reader, StoreError, StoredEvent, TrailEntry,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most events shown in full; the newest are.
const EVENTS_MAX: usize = 20;
/// Most other cases listed; the newest are.
const OTHERS_MAX: usize = 10;

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage {
    shell: Shell,
    csrf: String,
    case: CaseHead,
    closed: bool,
    mine: bool,
    held_by: Option<Html>,
    banner: Option<Banner>,
    about: Option<AboutMember>,
    rule: Option<AboutRule>,
    events: Vec<EventView>,
    more_events: u64,
    actions: Vec<ActionRow>,
    trail: Vec<Step>,
    others: Vec<CaseRow>,
    more_others: usize,
    judged: Option<Judged>,
    next: Option<String>,
    draft: Option<Draft>,
    choices: Vec<Choice>,
    policies: BTreeSet<String>,
    policy: String,
    note: String,
    outcome_problem: Option<String>,
    policy_problem: Option<String>,
    note_problem: Option<String>,
}

struct CaseHead {
    id: String,
    queue: String,
    entity: EntityView,
    account: Option<Html>,
    policy: String,
    priority: u8,
    opened: When,
    state: Chip,
}

/// What a case about a member of a bank shows besides.
struct AboutMember {
    heading: Html,
    why: Option<Html>,
    member: MemberView,
}

/// What became of a move that was refused.
#[derive(Debug)]
struct Banner {
    tone: &'static str,
    text: Html,
    kept: bool,
}

struct EventView {
    number: usize,
    event_type: Html,
    source: Html,
    time: When,
    decision: String,
    account: Option<AccountView>,
    space: Option<SpaceView>,
    text: Option<Html>,
    marked: bool,
    language: Option<Html>,
    links: Vec<LinkView>,
    media: Vec<MediumView>,
    attributes: Option<Html>,
    verdicts: Vec<VerdictView>,
    later: Vec<LaterView>,
}

/// An address that was posted, and what it says about itself.
struct LinkView {
    text: Html,
    facts: Vec<Html>,
}

struct AccountView {
    id: Html,
    handle: Option<Html>,
    display_name: Option<Html>,
    age: Option<String>,
    followers: Option<Count>,
    strikes: usize,
    strike_weight: u64,
}

struct SpaceView {
    id: Html,
    kind: Html,
    name: Option<Html>,
    members: Option<Count>,
    admission: Option<Html>,
}

struct MediumView {
    number: usize,
    anchor: String,
    id: Html,
    kind: &'static str,
    matched: bool,
    facts: Html,
    /// The SHA-256 to ask for, where there is something to show.
    reveal: Option<String>,
    without: &'static str,
    shown: Option<ShownView>,
}

struct ShownView {
    src: String,
    clear: bool,
    clear_href: String,
    blurred_href: String,
    hide_href: String,
}

struct Step {
    what: &'static str,
    by: By,
    at: When,
    note: Option<Html>,
    leaf: Count,
}

struct Judged {
    outcome: &'static str,
    by: Html,
    at: When,
    decision: String,
}

struct Choice {
    value: &'static str,
    name: &'static str,
    hint: Html,
    chosen: bool,
    disabled: bool,
}

/// What comes after the `?` of a case's page.
#[derive(Debug, Default, Deserialize)]
pub(in crate::console) struct CaseQuery {
    done: Option<String>,
    /// The SHA-256 of the one medium to show, if it was asked for.
    show: Option<String>,
    /// Whether to show it without blur.
    #[serde(default)]
    clear: String,
}

/// What a page shows besides the case itself.
#[derive(Debug, Default)]
struct With {
    query: CaseQuery,
    banner: Option<Banner>,
    draft: Option<Draft>,
    outcome_problem: Option<String>,
    policy_problem: Option<String>,
    note_problem: Option<String>,
}

/// `GET /cases/{id}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<CaseQuery>,
) -> Page {
    let id = case_id(&id)?;
    let draft = state.0.memory.draft(session.hash, id);
    let banner = draft.is_some().then(|| Banner {
        tone: "warn",
        text: text::inline("You had begun to decide this case. Nothing was recorded yet."),
        kept: true,
    });
    render(
        state,
        session,
        id,
        With {
            query,
            banner,
            draft,
            ..With::default()
        },
    )
    .await
}

/// A case's identifier from an address.
pub(super) fn case_id(text: &str) -> Result<CaseId, Error> {
    text.parse().map_err(|_| Error::NotFound("case".into()))
}

async fn render(state: ConsoleState, session: Session, id: CaseId, with: With) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session, id, with))
            .await?,
    )
}

async fn refuse(
    state: ConsoleState,
    session: Session,
    id: CaseId,
    status: StatusCode,
    with: With,
) -> Result<Response, Error> {
    Ok((status, render(state, session, id, with).await?).into_response())
}

#[derive(Deserialize)]
pub(in crate::console) struct Nothing {}

/// `POST /cases/{id}/claim`
pub(in crate::console) async fn claim(
    State(state): State<ConsoleState>,
    Path(id): Path<String>,
    Sent { session, .. }: Sent<Nothing>,
) -> Result<Response, Error> {
    let (id, login, now) = (case_id(&id)?, session.login.clone(), state.now());
    let claimed = state
        .store()
        .write(move |tx| tx.claim_case(id, &login, now))
        .await;
    moved(state, session, id, claimed.map(|_| ()), "claimed").await
}

/// `POST /cases/{id}/release`
pub(in crate::console) async fn release(
    State(state): State<ConsoleState>,
    Path(id): Path<String>,
    Sent { session, .. }: Sent<Nothing>,
) -> Result<Response, Error> {
    let (id, login, now) = (case_id(&id)?, session.login.clone(), state.now());
    let released = state
        .store()
        .write(move |tx| tx.release_case(id, &login, now))
        .await;
    moved(state, session, id, released.map(|_| ()), "released").await
}

async fn moved(
    state: ConsoleState,
    session: Session,
    id: CaseId,
    moved: Result<(), StoreError>,
    done: &str,
) -> Result<Response, Error> {
    match moved {
        Ok(()) => Ok(Redirect::to(&format!("/cases/{id}?done={done}")).into_response()),
        Err(StoreError::Refused(refused)) => {
            let banner = Banner {
                tone: "stop",
                text: text::inline(&sentence(&refused)),
                kept: false,
            };
            refuse(
                state,
                session,
                id,
                StatusCode::CONFLICT,
                With {
                    banner: Some(banner),
                    ..With::default()
                },
            )
            .await
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct DecideForm {
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    policy: String,
    #[serde(default)]
    note: String,
}

/// `POST /cases/{id}/decide`
pub(in crate::console) async fn decide(
    State(state): State<ConsoleState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    OwnForm(WithCsrf { csrf, form }): OwnForm<WithCsrf<DecideForm>>,
) -> Result<Response, Error> {
    let id = case_id(&id)?;
    let draft = Draft {
        case: id.to_string(),
        outcome: form.outcome,
        policy: form.policy.trim().to_owned(),
        // Browsers send line ends as CR LF whatever was typed.
        note: form.note.replace("\r\n", "\n"),
    };
    let Some(session) = session_of(&state, &headers).await? else {
        return login_keeping(&state, &headers, draft);
    };
    if !session.owns(&csrf) {
        let banner = Banner {
            tone: "warn",
            text: text::inline(
                "This form was from an earlier session, so nothing was recorded. Check it and send it again.",
            ),
            kept: true,
        };
        let with = With {
            banner: Some(banner),
            draft: Some(draft),
            ..With::default()
        };
        return refuse(state, session, id, StatusCode::FORBIDDEN, with).await;
    }
    let judgement = match judgement(draft) {
        Ok(judgement) => judgement,
        Err(with) => {
            return refuse(state, session, id, StatusCode::UNPROCESSABLE_ENTITY, *with).await;
        }
    };
    let now = state.now();
    let (decision, login, judged) = (
        state.decision_id(now),
        session.login.clone(),
        judgement.clone(),
    );
    let decided = state
        .store()
        .write(move |tx| tx.decide_case(id, &login, &judged, decision, now))
        .await;
    match decided {
        Ok((case, _)) => {
            state.0.memory.drop_draft(session.hash);
            let done = done_word(&case);
            Ok(Redirect::to(&format!("/cases/{id}?done={done}")).into_response())
        }
        Err(StoreError::Refused(refused)) => {
            let (status, with) = refusal(&refused, draft_of(id, judgement));
            refuse(state, session, id, status, with).await
        }
        // A member was taken out of its bank meanwhile, and cannot be let match again.
        Err(StoreError::Conflict(problem)) => {
            let with = With {
                outcome_problem: Some(super::typed::sentence(&problem)),
                draft: Some(draft_of(id, judgement)),
                ..With::default()
            };
            refuse(state, session, id, StatusCode::CONFLICT, with).await
        }
        Err(error @ StoreError::NotFound { .. }) => Err(error.into()),
        Err(error) => Ok(crate::console::error::refusal_keeping(
            &error.into(),
            draft_of(id, judgement),
        )),
    }
}

/// What a decision has done, as the word of a notice.
fn done_word(case: &Case) -> &'static str {
    match &case.state {
        CaseState::Closed { outcome, .. } if case.entity.r#type == EntityType::Rule => {
            match outcome {
                Outcome::Keep => "rule_let_act",
                Outcome::Remove | Outcome::Suspend => "rule_left",
            }
        }
        _ if case.entity.member().is_none() => "decided",
        CaseState::Closed {
            outcome: Outcome::Keep,
            ..
        } => "member_kept",
        _ => "member_taken_out",
    }
}

fn draft_of(case: CaseId, judgement: Judgement) -> Draft {
    Draft {
        case: case.to_string(),
        outcome: judgement.outcome.to_string(),
        policy: judgement.policy.into(),
        note: judgement.note,
    }
}

/// What was typed as a judgement, or what is wrong with each field.
fn judgement(draft: Draft) -> Result<Judgement, Box<With>> {
    let outcome = draft.outcome.parse::<Outcome>();
    let policy = draft.policy.parse::<Name>();
    match (outcome, policy) {
        (Ok(outcome), Ok(policy)) => Ok(Judgement { outcome, policy, note: draft.note }),
        (outcome, policy) => Err(Box::new(With {
            outcome_problem: outcome.is_err().then(|| "Choose an outcome.".to_owned()),
            policy_problem: policy.is_err().then(|| {
                "Name a policy: a lower-case letter, then letters, digits, `_`, `.` or `-`, at most 64.".to_owned()
            }),
            draft: Some(draft),
            ..With::default()
        })),
    }
}

/// What a refusal says, as a sentence of the page.
fn sentence(refused: &Refused) -> String {
    let said = refused.to_string();
    let mut rest = said.chars();
    rest.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), rest.as_str())
    })
}

/// The status and the page for a judgement that the case does not allow.
fn refusal(refused: &Refused, draft: Draft) -> (StatusCode, With) {
    let said = sentence(refused);
    let with = With {
        draft: Some(draft),
        ..With::default()
    };
    match refused {
        Refused::HeldBy(_) | Refused::Closed { .. } => {
            let banner = Banner {
                tone: "stop",
                text: text::inline(&said),
                kept: true,
            };
            (
                StatusCode::CONFLICT,
                With {
                    banner: Some(banner),
                    ..with
                },
            )
        }
        Refused::NoteTooLong(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            With {
                note_problem: Some(said),
                ..with
            },
        ),
        Refused::NoAccount | Refused::MemberSuspended => (
            StatusCode::UNPROCESSABLE_ENTITY,
            With {
                outcome_problem: Some(said),
                ..with
            },
        ),
    }
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    id: CaseId,
    with: With,
) -> Result<CasePage, Error> {
    let now = state.now();
    let detail = reader
        .case_detail(id)?
        .ok_or_else(|| Error::NotFound("case".into()))?;
    let case = &detail.case;
    let me = session.login.as_str();
    let shown = with
        .query
        .show
        .as_deref()
        .map(|sha256| (sha256, with.query.clear == "yes"));
    let events = detail.events.iter().rev().take(EVENTS_MAX).enumerate();
    let events = events
        .map(|(number, stored)| event_view(state, reader, session, &detail, number, stored, shown));
    let title = format!("{} {}", case.entity.r#type, text::plain(&case.entity.id));
    let next = match &case.state {
        CaseState::Closed { .. } => next_case(reader, &case.queue)?,
        _ => None,
    };
    let (outcome, policy, note) = match &with.draft {
        Some(draft) => (
            draft.outcome.clone(),
            draft.policy.clone(),
            draft.note.clone(),
        ),
        None => (String::new(), case.policy.to_string(), String::new()),
    };
    Ok(CasePage {
        shell: Shell::new(state, reader, session, Here::Queues, title)?
            .with(Notice::of(with.query.done.as_deref())),
        csrf: session.csrf.clone(),
        closed: matches!(case.state, CaseState::Closed { .. }),
        mine: matches!(&case.state, CaseState::Claimed { by, .. } if by == me),
        held_by: match &case.state {
            CaseState::Claimed { by, .. } if by != me => Some(text::inline(by)),
            _ => None,
        },
        banner: with.banner,
        about: about_member(state, reader, case)?,
        rule: about_rule(state, reader, case)?,
        events: events.collect::<Result<_, _>>()?,
        more_events: detail.events_total.saturating_sub(EVENTS_MAX as u64),
        actions: actions(&detail),
        trail: detail.trail.iter().map(step).collect(),
        others: detail
            .related
            .iter()
            .take(OTHERS_MAX)
            .map(|other| bare_case_row(other, me, now))
            .collect(),
        more_others: detail.related.len().saturating_sub(OTHERS_MAX),
        judged: judged(case),
        next,
        choices: choices(&detail, &outcome),
        policies: policies(state, &case.policy),
        policy,
        note,
        draft: with.draft,
        outcome_problem: with.outcome_problem,
        policy_problem: with.policy_problem,
        note_problem: with.note_problem,
        case: CaseHead {
            id: case.id.to_string(),
            queue: case.queue.to_string(),
            entity: EntityView::from(&case.entity),
            account: case.account.as_deref().map(text::inline),
            policy: case.policy.to_string(),
            priority: case.priority,
            opened: When::ago(case.opened_at, now),
            state: state_chip(&case.state, me),
        },
    })
}

/// The member that a case is about, and why it is in quarantine.
fn about_member(
    state: &ConsoleState,
    reader: &Reader,
    case: &Case,
) -> Result<Option<AboutMember>, Error> {
    let Some(id) = case.entity.member() else {
        return Ok(None);
    };
    let Some((name, member, removed)) = reader.member(id)? else {
        return Ok(None);
    };
    let Some(bank) = reader.bank(&name)? else {
        return Ok(None);
    };
    let history = reader.member_history(id)?;
    let mut changes = history.iter().rev();
    let why = changes.find(|it| it.settings.mode == MemberMode::Quarantine);
    let heading = if removed {
        format!("Member {id} of bank {name} was taken out")
    } else {
        quarantine_heading(&name, id, &member.settings)
    };
    Ok(Some(AboutMember {
        heading: text::inline(&heading),
        why: why.map(|it| text::inline(&super::typed::sentence(&it.reason))),
        member: member_view(state, reader, &bank, &member, removed)?,
    }))
}

/// The most urgent case that waits in the same queue.
fn next_case(reader: &Reader, queue: &Name) -> Result<Option<String>, Error> {
    let filter = CaseFilter {
        queue: Some(queue.clone()),
        stage: CaseStage::Open,
        after: None,
        limit: 1,
    };
    Ok(reader
        .cases(&filter)?
        .first()
        .map(|case| case.id.to_string()))
}

fn actions(detail: &CaseDetail) -> Vec<ActionRow> {
    let automatic = detail
        .events
        .iter()
        .flat_map(|stored| std::iter::once(&stored.decision).chain(&stored.later));
    let decisions = automatic.chain(&detail.judgement);
    decisions
        .flat_map(|decision| {
            decision
                .actions
                .iter()
                .map(move |action| (action, &decision.author))
        })
        .map(|(action, author)| action_row(action, author, &detail.deliveries))
        .collect()
}

fn step(entry: &TrailEntry) -> Step {
    let what = match entry.what.as_str() {
        "opened" => "Opened",
        "event_added" => "Another event added",
        "found_later" => "Found later",
        "claimed" => "Claimed",
        "released" => "Put back",
        "decided" => "Decided",
        "media_revealed" => "Looked at a medium",
        "rule_reset" => "Rule reset",
        _ => "Changed",
    };
    Step {
        what,
        by: By::from(&entry.author),
        at: When::exact(entry.at),
        note: match entry.what.as_str() {
            _ if entry.note.is_empty() => None,
            "media_revealed" => Some(text::inline(&format!("SHA-256 {}", entry.note))),
            _ => Some(text::inline(&entry.note)),
        },
        leaf: Count(entry.leaf),
    }
}

fn judged(case: &Case) -> Option<Judged> {
    let of_member = case.entity.member().is_some();
    let of_rule = case.entity.r#type == EntityType::Rule;
    match &case.state {
        CaseState::Closed {
            decision,
            outcome,
            by,
            at,
        } => Some(Judged {
            outcome: match outcome {
                Outcome::Keep if of_member => "Let match again and vouched for",
                Outcome::Remove if of_member => "Taken out of the bank",
                Outcome::Keep if of_rule => "Let act again",
                Outcome::Remove if of_rule => "Left without effect",
                Outcome::Keep => "Kept",
                Outcome::Remove => "Removed",
                Outcome::Suspend => "Suspended",
            },
            by: text::inline(by),
            at: When::exact(*at),
            decision: decision.to_string(),
        }),
        CaseState::Open | CaseState::Claimed { .. } => None,
    }
}

fn policies(state: &ConsoleState, own: &Name) -> BTreeSet<String> {
    let extra = state.overview();
    let rules = extra.rules().iter().map(|rule| rule.policy.to_string());
    rules.chain([own.to_string()]).collect()
}

/// An outcome of a case about something of Manara's own, which is always open to choice.
fn own_choice(outcome: Outcome, name: &'static str, hint: &str, chosen: &str) -> Choice {
    Choice {
        value: outcome.as_str(),
        name,
        hint: text::inline(hint),
        chosen: chosen == outcome.as_str(),
        disabled: false,
    }
}

/// The outcomes of a case about a rule whose circuit breaker has opened.
fn rule_choices(chosen: &str) -> Vec<Choice> {
    let choice = |outcome, name, hint| own_choice(outcome, name, hint, chosen);
    vec![
        choice(
            Outcome::Keep,
            "It may act again",
            "From the next event on. What it was kept from doing meanwhile is not made up for.",
        ),
        choice(
            Outcome::Remove,
            "Leave it without effect",
            "It goes on being evaluated and recorded in shadow. What it did before is not undone by this.",
        ),
    ]
}

/// The outcomes of a case about a member of a bank, which is not somebody who could be suspended.
fn member_choices(chosen: &str) -> Vec<Choice> {
    let choice = |outcome, name, hint| own_choice(outcome, name, hint, chosen);
    vec![
        choice(
            Outcome::Keep,
            "It may match again; I vouch for it",
            "It does not go into quarantine by itself any more.",
        ),
        choice(
            Outcome::Remove,
            "Take it out of the bank",
            "For good. What was done because of it is not undone by this.",
        ),
    ]
}

fn choices(detail: &CaseDetail, chosen: &str) -> Vec<Choice> {
    let (case, history) = (&detail.case, &detail.history);
    if case.entity.member().is_some() {
        return member_choices(chosen);
    }
    if case.entity.r#type == EntityType::Rule {
        return rule_choices(chosen);
    }
    let asks = |outcome, kind| {
        case.consequences(outcome, history)
            .is_ok_and(|asked| asked.iter().any(|one| one.kind == kind))
    };
    let undone: Vec<_> = case
        .consequences(Outcome::Keep, history)
        .unwrap_or_default();
    let restored = |action: &&Action| {
        undone.iter().any(|one| {
            one.target == action.target
                && match one.kind {
                    ActionKind::WithdrawStrike => action.kind == ActionKind::Strike,
                    _ => action.is_delivered(),
                }
        })
    };
    let kinds: BTreeSet<&str> = history
        .automatic
        .iter()
        .filter(restored)
        .map(|action| action.kind.as_str())
        .collect();
    let keep = if kinds.is_empty() {
        "It stays as it is.".to_owned()
    } else {
        let list: Vec<&str> = kinds.into_iter().collect();
        format!("What the rules did is undone: {}.", list.join(", "))
    };
    let kind = case.entity.r#type;
    let remove = if asks(Outcome::Remove, ActionKind::Remove) {
        format!("The {kind} is taken down.")
    } else {
        format!("The {kind} stays removed.")
    };
    let account = match kind {
        EntityType::Account => Some(case.entity.id.as_str()),
        _ => case.account.as_deref(),
    };
    let becomes = if asks(Outcome::Suspend, ActionKind::Suspend) {
        "is suspended"
    } else {
        "stays suspended"
    };
    let suspend = match account {
        Some(id) if kind == EntityType::Account => format!("Account {id} {becomes}."),
        Some(id) if asks(Outcome::Suspend, ActionKind::Remove) => {
            format!("Account {id} {becomes} and the {kind} taken down.")
        }
        Some(id) => format!("Account {id} {becomes}; the {kind} stays removed."),
        None => "No account is known for this case.".to_owned(),
    };
    let choice = |outcome: Outcome, name, hint: &str, disabled: bool| Choice {
        value: outcome.as_str(),
        name,
        hint: text::inline(hint),
        chosen: chosen == outcome.as_str() && !disabled,
        disabled,
    };
    vec![
        choice(Outcome::Keep, "Keep", &keep, false),
        choice(Outcome::Remove, "Remove", &remove, false),
        choice(
            Outcome::Suspend,
            "Suspend the account",
            &suspend,
            account.is_none(),
        ),
    ]
}

fn event_view(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    detail: &CaseDetail,
    number: usize,
    stored: &StoredEvent,
    shown: Option<(&str, bool)>,
) -> Result<EventView, Error> {
    let StoredEvent {
        event, decision, ..
    } = stored;
    let marks = |field: &str| spans(verdicts_of(stored), field);
    let content = event.content.as_ref();
    let body = content
        .and_then(|content| content.text.as_deref())
        .filter(|text| !text.is_empty());
    let links = content.map_or(&[][..], |content| &content.links);
    let link = |(index, link): (usize, &String)| LinkView {
        text: text::inline_marked(link, &marks(&format!("content.links[{index}]"))),
        facts: link_words(link),
    };
    let no_facts = MediaFacts {
        forms: Vec::new(),
        hashes: BTreeMap::new(),
        decoding: Decoding::Unavailable,
        problem: None,
        width: 0,
        height: 0,
        quality: None,
    };
    let mut media = Vec::with_capacity(event.media().len());
    for (index, medium) in event.media().iter().enumerate() {
        let facts = stored.media.get(index).unwrap_or(&no_facts);
        let mut view = medium_view(reader, medium, facts, number, index)?;
        let field = format!("content.media[{index}]");
        view.matched = verdicts_of(stored)
            .flat_map(|v| &v.because)
            .any(|m| m.field == field);
        view.shown = shown_view(state, session, detail.case.id, &view, shown);
        media.push(view);
    }
    Ok(EventView {
        number: number + 1,
        event_type: text::inline(&event.r#type),
        source: text::inline(&event.source),
        time: When::exact(event.time),
        decision: decision.id.to_string(),
        account: account_view(reader, stored)?,
        space: event.space.as_ref().map(|space| SpaceView {
            id: text::inline(&space.id),
            kind: text::inline(space.kind.as_deref().unwrap_or("space")),
            name: space
                .name
                .as_deref()
                .map(|name| text::inline_marked(name, &marks("space.name"))),
            members: space.members.map(Count),
            admission: space.admission.as_deref().map(text::inline),
        }),
        text: body.map(|body| text::block(body, &marks("content.text"))),
        language: body.map(|body| text::inline(&language_words(body))),
        marked: !marks("content.text").is_empty(),
        links: links.iter().enumerate().map(link).collect(),
        media,
        attributes: parts::attributes(event)?,
        verdicts: verdict_views(reader, Some(event), &decision.verdicts)?,
        later: later_views(reader, stored)?,
    })
}

fn account_view(reader: &Reader, stored: &StoredEvent) -> Result<Option<AccountView>, Error> {
    /// Most strikes counted one by one.
    const STRIKES_MAX: usize = 1_000;
    let Some(account) = &stored.event.account else {
        return Ok(None);
    };
    let marked = |text: &str, field| text::inline_marked(text, &spans(verdicts_of(stored), field));
    Ok(Some(AccountView {
        id: text::inline(&account.id),
        handle: account
            .handle
            .as_deref()
            .map(|handle| marked(handle, "account.handle")),
        display_name: account
            .display_name
            .as_deref()
            .map(|name| marked(name, "account.display_name")),
        age: account.created_at.map(|created| {
            format!(
                "{} at the time",
                span(stored.event.time.duration_since(created))
            )
        }),
        followers: account.followers.map(Count),
        strikes: reader.strikes(&account.id, STRIKES_MAX)?.len(),
        strike_weight: reader.strikes_weight(&account.id)?,
    }))
}

fn medium_view(
    reader: &Reader,
    medium: &Medium,
    facts: &MediaFacts,
    event: usize,
    index: usize,
) -> Result<MediumView, Error> {
    let sha256 = sha256_of(medium);
    let kept = match &sha256 {
        Some(sha256) => reader.has_preview(sha256)?,
        None => false,
    };
    Ok(MediumView {
        number: index + 1,
        anchor: format!("{}-{}", event + 1, index + 1),
        id: text::inline(&medium.id),
        kind: medium.kind.as_str(),
        matched: false,
        facts: text::inline(&facts_words(facts)),
        reveal: sha256.filter(|_| kept).map(hex::encode),
        without: match facts.decoding {
            Decoding::Decoded => "No preview was kept of it.",
            Decoding::Undecodable => "It could not be read, so there is nothing to show.",
            Decoding::Unavailable => "It could not be fetched, so there is nothing to show.",
            Decoding::SignalsOnly => "Only its signals were sent, so there is nothing to show.",
        },
        shown: None,
    })
}

/// The SHA-256 that a medium's bytes had, by which its preview is kept.
pub(super) fn sha256_of(medium: &Medium) -> Option<[u8; 32]> {
    let value = medium.signals.get(&SignalType::Sha256)?;
    match Signal::parse(SignalType::Sha256, value) {
        Ok(Signal::Sha256(hash)) => Some(hash.0),
        _ => None,
    }
}

fn quality_words(quality: u8) -> String {
    let words = format!(", signal quality {quality} of 100");
    if quality < PDQ_QUALITY_MIN {
        words + ": too little in it for its pdq to be looked up"
    } else {
        words
    }
}

fn facts_words(facts: &MediaFacts) -> String {
    let quality = facts.quality.map_or_else(String::new, quality_words);
    let problem = facts.problem.as_deref().unwrap_or("no reason is known");
    match facts.decoding {
        Decoding::Decoded => format!("{} × {} px{quality}", facts.width, facts.height),
        Decoding::Undecodable => format!("Undecodable: {problem}"),
        Decoding::Unavailable => format!("Unavailable: {problem}"),
        Decoding::SignalsOnly => format!("Signals only{quality}"),
    }
}

/// The picture, when it is the one to show and this session's reviewer asked to see it.
fn shown_view(
    state: &ConsoleState,
    session: &Session,
    case: CaseId,
    medium: &MediumView,
    shown: Option<(&str, bool)>,
) -> Option<ShownView> {
    let (sha256, clear) = shown?;
    let own = medium.reveal.as_deref()?;
    let bytes = hex::FromHex::from_hex(own).ok()?;
    if own != sha256 || state.0.memory.revealed(session.hash, case, bytes).is_none() {
        return None;
    }
    let anchor = &medium.anchor;
    Some(ShownView {
        src: format!("/media/{own}?case={case}"),
        clear,
        clear_href: format!("/cases/{case}?show={own}&clear=yes#m-{anchor}"),
        blurred_href: format!("/cases/{case}?show={own}#m-{anchor}"),
        hide_href: format!("/cases/{case}#m-{anchor}"),
    })
}
