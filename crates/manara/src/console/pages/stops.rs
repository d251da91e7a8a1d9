//! Circuit breakers that have opened: what the list of rules and a case about a rule say of them, and
//! letting a rule act again.

use super::ConsoleState;
use super::typed::Typed;
use crate::console::Error;
use crate::console::session::{Sent, Session};
use crate::console::text::{self, Html};
use crate::console::view::{By, When};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use manara_model::{Case, EntityType, Name};
use manara_store::{CaseFilter, CaseStage, Reader, RuleStop};
use serde::Deserialize;

/// What stands for all rules in a form and in a case.
const ALL_RULES: &str = "*";
/// The queue of cases about rules.
const QUEUE: &str = "rules";
/// Most cases of that queue that are looked at.
const CASES_MAX: usize = 1_000;
/// Most times shown that a circuit breaker has opened, the newest.
const SHOWN_MAX: usize = 20;
/// Longest note, in bytes, as the store keeps it.
const NOTE_BYTES_MAX: usize = 1024;

/// A circuit breaker that is open.
pub(super) struct OpenStop {
    /// The rule as the form names it, `*` for all.
    pub(super) rule: String,
    pub(super) is_server: bool,
    pub(super) since: When,
    pub(super) why: Html,
    pub(super) decision: String,
    pub(super) case: Option<String>,
    /// For the form that lets it act again.
    pub(super) typed: Typed,
}

/// A time that a circuit breaker has opened.
pub(super) struct StopView {
    pub(super) at: When,
    pub(super) why: Html,
    pub(super) decision: String,
    pub(super) reset: Option<ResetView>,
}

pub(super) struct ResetView {
    pub(super) at: When,
    pub(super) by: By,
    pub(super) note: Html,
}

/// What a case about a rule shows besides.
pub(super) struct AboutRule {
    pub(super) heading: Html,
    /// As rules name it; nothing for all rules.
    pub(super) rule: Option<String>,
    /// Where it stands, if it is in force and can be opened.
    pub(super) place: Option<super::rules::Place>,
    pub(super) mode: Option<String>,
    pub(super) why: Option<Html>,
    pub(super) is_open: bool,
    pub(super) stops: Vec<StopView>,
}

/// Every circuit breaker that is open; what was typed for one of them, and what is wrong with that, with it.
pub(super) fn open_stops(
    reader: &Reader,
    mut typed: Option<Typed>,
    now: Timestamp,
) -> Result<Vec<OpenStop>, Error> {
    let stops = reader.open_stops()?;
    if stops.is_empty() {
        return Ok(Vec::new());
    }
    let cases = cases(reader)?;
    let view = |stop: RuleStop| {
        let rule = form_name(stop.rule.as_ref()).to_owned();
        let case = cases.iter().find(|case| case.entity.id == rule);
        OpenStop {
            is_server: stop.rule.is_none(),
            since: When::ago(stop.stopped_at, now),
            why: text::inline(&stop.why),
            decision: stop.decision.to_string(),
            case: case.map(|case| case.id.to_string()),
            typed: typed
                .take_if(|typed| typed.value("rule") == rule)
                .unwrap_or_default(),
            rule,
        }
    };
    Ok(stops.into_iter().map(view).collect())
}

/// The cases about rules that are not decided.
fn cases(reader: &Reader) -> Result<Vec<Case>, Error> {
    let mut found = Vec::new();
    for stage in [CaseStage::Open, CaseStage::Claimed] {
        found.extend(reader.cases(&CaseFilter {
            queue: QUEUE.parse().ok(),
            stage,
            after: None,
            limit: CASES_MAX,
        })?);
    }
    found.retain(|case| case.entity.r#type == EntityType::Rule);
    Ok(found)
}

fn form_name(rule: Option<&Name>) -> &str {
    rule.map_or(ALL_RULES, Name::as_str)
}

/// When the circuit breaker of a rule (or, with `None`, of the server) has opened, newest first.
pub(super) fn stops_of(reader: &Reader, rule: Option<&Name>) -> Result<Vec<StopView>, Error> {
    let stops = reader.stops_of(rule, SHOWN_MAX)?;
    let view = |stop: RuleStop| StopView {
        at: When::exact(stop.stopped_at),
        why: text::inline(&stop.why),
        decision: stop.decision.to_string(),
        reset: stop.reset.map(|(at, by, note)| ResetView {
            at: When::exact(at),
            by: By::from(&by),
            note: text::inline(&note),
        }),
    };
    Ok(stops.into_iter().map(view).collect())
}

/// What a case about a rule shows of it.
pub(super) fn about_rule(
    state: &ConsoleState,
    reader: &Reader,
    case: &Case,
) -> Result<Option<AboutRule>, Error> {
    if case.entity.r#type != EntityType::Rule {
        return Ok(None);
    }
    let name: Option<Name> = match case.entity.id.as_str() {
        ALL_RULES => None,
        id => match id.parse() {
            Ok(name) => Some(name),
            Err(_) => return Ok(None),
        },
    };
    let stops = stops_of(reader, name.as_ref())?;
    let newest = reader.stops_of(name.as_ref(), 1)?.pop();
    let is_open = newest.as_ref().is_some_and(|stop| stop.reset.is_none());
    let extra = state.overview();
    let rule = extra
        .rules()
        .iter()
        .find(|it| Some(&it.name) == name.as_ref());
    let heading = match (&name, is_open) {
        (Some(name), true) => format!("Rule {name} was stopped"),
        (Some(name), false) => format!("Rule {name} was stopped, and may act again"),
        (None, true) => "All rules were stopped".to_owned(),
        (None, false) => "All rules were stopped, and may act again".to_owned(),
    };
    Ok(Some(AboutRule {
        heading: text::inline(&heading),
        place: rule.and_then(|it| super::rules::place(&it.source, it.line)),
        mode: rule.map(|it| it.mode.to_string()),
        why: newest.map(|stop| text::inline(&super::typed::sentence(&stop.why))),
        rule: name.map(Into::into),
        is_open,
        stops,
    }))
}

#[derive(Deserialize)]
pub(in crate::console) struct ResetForm {
    #[serde(default)]
    rule: String,
    #[serde(default)]
    note: String,
}

/// `POST /rules/reset`: a rule whose circuit breaker has opened acts again.
pub(in crate::console) async fn reset(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<ResetForm>,
) -> Result<Response, Error> {
    super::rule_file::may_change(&session)?;
    let rule: Option<Name> = match form.rule.as_str() {
        ALL_RULES => None,
        name => Some(
            name.parse()
                .map_err(|_| Error::BadForm("It names no rule to let act again".into()))?,
        ),
    };
    let mut typed = Typed::default();
    typed.set("rule", form.rule.as_str());
    typed.set("note", form.note.trim());
    if !typed.has("note") {
        typed.refuse("note", "say why it may act again");
    } else if form.note.trim().len() > NOTE_BYTES_MAX {
        typed.refuse(
            "note",
            format!("use at most {NOTE_BYTES_MAX} bytes: a letter takes one to four"),
        );
    }
    if typed.is_refused() {
        return again(state, session, typed).await;
    }
    let (by, now) = (session.author(), state.now());
    let note = typed.value("note").to_owned();
    let write = move |tx: &mut manara_store::Tx<'_>| tx.reset_rule(rule.as_ref(), &by, &note, now);
    let was_open = state.store().write(write).await?;
    let done = if was_open { "rule_reset" } else { "unchanged" };
    Ok(Redirect::to(&format!("/rules?done={done}")).into_response())
}

async fn again(state: ConsoleState, session: Session, typed: Typed) -> Result<Response, Error> {
    let page = super::rules::with_stop(state, session, typed).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
