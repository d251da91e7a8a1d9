//! Adding a member: a form, what it would have matched, and only then the member.

use super::bank::bank_name;
use super::bank_words::{member_settings, member_words, said_at};
use super::banks::may_change;
use super::radius::{Crumb, RadiusPage, RadiusView, carried, look, looked_at, seal};
use super::reading::link_words;
use super::typed::{Fields, Typed};
use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Shell, page};
use crate::console::text;
use crate::recent::preview::Thought;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use manara_model::{BankName, MemberMode, NewMember};
use manara_signal::{Signal, SignalType};
use manara_store::{Reader, StoreError};

/// Where the form and its preview go.
const PATH: &str = "/members/new";

#[derive(Template)]
#[template(path = "member_new.html")]
struct NewPage {
    shell: Shell,
    csrf: String,
    may_add: bool,
    banks: Vec<String>,
    types: Vec<&'static str>,
    typed: Typed,
}

/// `GET /members/new`
pub(in crate::console) async fn form(
    State(state): State<ConsoleState>,
    session: Session,
    Query(fields): Query<Fields>,
) -> Page {
    render(state, session, Typed::from(fields)).await
}

async fn render(state: ConsoleState, session: Session, mut typed: Typed) -> Page {
    if typed.value("mode").is_empty() {
        typed.set("mode", MemberMode::Live.as_str());
    }
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let banks = reader.banks()?;
        Ok(NewPage {
            shell: Shell::new(&reading, reader, &session, Here::Banks, "Add a member")?,
            csrf: session.csrf.clone(),
            may_add: may_change(&session).is_ok(),
            banks: banks.iter().map(|bank| bank.name.to_string()).collect(),
            types: SignalType::ALL.iter().map(|it| it.name()).collect(),
            typed,
        })
    };
    page(&state.read(read).await?)
}

/// `POST /members/new`: looks at the member first; then, with the seal of that, adds it.
pub(in crate::console) async fn add(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    let mut typed = Typed::from(form);
    if typed.is("do", "back") {
        return Ok(render(state, session, typed).await?.into_response());
    }
    may_change(&session)?;
    let Some((bank, mut member)) = new_member(&state, &session, &mut typed).await? else {
        let page = render(state, session, typed).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    let wide = looked_at(&state, &session, PATH, &typed);
    if wide.is_some() && typed.is("do", "shadow") {
        member.settings.mode = MemberMode::Shadow;
    }
    let is_live = member.settings.mode == MemberMode::Live;
    match wide {
        Some(wide) if !wide || !is_live || typed.has("read") => {
            keep(&state, &session, bank, member).await
        }
        unread => preview(state, session, bank, member, typed, unread.is_some()).await,
    }
}

/// The member as typed, or nothing, with what is wrong said at the fields.
async fn new_member(
    state: &ConsoleState,
    session: &Session,
    typed: &mut Typed,
) -> Result<Option<(BankName, NewMember)>, Error> {
    if typed.value("bank").is_empty() {
        typed.refuse("bank", "choose a bank");
    }
    if typed.value("signal_type").is_empty() {
        typed.refuse("signal_type", "choose what kind of signal it is");
    }
    let bank = typed.parsed::<BankName>("bank");
    let signal_type = typed.parsed::<SignalType>("signal_type");
    let value = typed.value("signal").to_owned();
    if value.is_empty() {
        typed.refuse("signal", "give the signal");
    }
    let signal = signal_type
        .filter(|_| !value.is_empty())
        .and_then(|signal_type| {
            let signal = Signal::parse(signal_type, &value);
            signal.map_err(|error| typed.refuse("signal", error)).ok()
        });
    let settings = member_settings(signal.as_ref(), typed, state.now());
    if settings.mode == MemberMode::Quarantine {
        typed.refuse("mode", "a new member is live or in shadow");
    }
    let exchange = typed.parsed("exchange");
    let (Some(bank), Some(signal), false) = (bank, signal, typed.is_refused()) else {
        return Ok(None);
    };
    let member = NewMember {
        signal,
        note: typed.value("note").to_owned(),
        exchange,
        settings,
    };
    try_out(state, session, &bank, &member, typed).await?;
    Ok((!typed.is_refused()).then_some((bank, member)))
}

/// Whether the store would take the member, and as a new one. Nothing of it is kept.
async fn try_out(
    state: &ConsoleState,
    session: &Session,
    bank: &BankName,
    member: &NewMember,
    typed: &mut Typed,
) -> Result<(), Error> {
    let (of, new) = (bank.clone(), member.clone());
    let (author, now) = (session.author(), state.now());
    let tried = state.store().write(move |tx| {
        let (id, imported) = *tx.add_member(&of, new, &author, now)?.get();
        Err::<manara_store::Committed<()>, _>(StoreError::Aborted(match imported.already {
            0 => String::new(),
            _ => format!("bank {of} has this signal already: it is its member {id}"),
        }))
    });
    match tried.await {
        Ok(()) => Ok(()),
        Err(StoreError::Aborted(already)) => {
            if !already.is_empty() {
                typed.refuse("signal", already);
            }
            Ok(())
        }
        Err(error) => {
            let field = match &error {
                StoreError::Invalid { what: "note", .. } => "note",
                StoreError::NotFound { .. } => "bank",
                _ => "signal",
            };
            Ok(said_at(typed, field, error)?)
        }
    }
}

async fn keep(
    state: &ConsoleState,
    session: &Session,
    bank: BankName,
    member: NewMember,
) -> Result<Response, Error> {
    let (of, author, now) = (bank.clone(), session.author(), state.now());
    let shadow = member.settings.mode == MemberMode::Shadow;
    let (id, imported) = state
        .store()
        .write(move |tx| tx.add_member(&of, member, &author, now))
        .await?;
    let done = match (imported.added, shadow) {
        (0, _) => "member_already",
        (_, true) => "member_added_in_shadow",
        (_, false) => "member_added",
    };
    Ok(Redirect::to(&format!("/banks/{bank}/members/{id}?done={done}")).into_response())
}

async fn preview(
    state: ConsoleState,
    session: Session,
    bank: BankName,
    member: NewMember,
    typed: Typed,
    unread: bool,
) -> Result<Response, Error> {
    let signal_type = member.signal.signal_type();
    let shadow = member.settings.mode == MemberMode::Shadow;
    let mut what = vec![text::inline(&format!(
        "{signal_type}: {}",
        member.signal.encode()
    ))];
    if matches!(member.signal, Signal::Url(_)) {
        what.extend(link_words(typed.value("signal")));
    }
    what.extend(member_words(&member.settings));
    if shadow {
        what.push(text::inline(
            "In shadow: its matches are recorded and have no effect.",
        ));
    }
    let found = look(&state, bank.clone(), Thought::Add(vec![member])).await?;
    let mut radius = RadiusView::from(&found);
    radius.wide = radius.wide && !shadow;
    let reading = state.clone();
    let page = state
        .read(move |reader| {
            Ok(RadiusPage {
                shell: Shell::new(
                    &reading,
                    reader,
                    &session,
                    Here::Banks,
                    "Before it is added",
                )?,
                csrf: session.csrf.clone(),
                crumbs: vec![Crumb::banks(), Crumb::bank(&bank)],
                heading: text::inline(&format!("Add a member to {bank}")),
                what,
                seal: seal(&reading, &session, PATH, &typed, radius.wide),
                carried: carried(&typed),
                action: PATH.to_owned(),
                shadow: !shadow,
                read_problem: (unread && radius.wide).then(|| {
                    "Tick that you have read the samples, or add it in shadow.".to_owned()
                }),
                radius,
            })
        })
        .await?;
    let status = match page.read_problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    Ok((status, crate::console::shell::page(&page)?).into_response())
}

/// The address of the form for a member of that bank.
pub(super) fn form_href(bank: Option<&str>, signal_type: SignalType, signal: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(bank) = bank.filter(|bank| bank_name(bank).is_ok()) {
        query.append_pair("bank", bank);
    }
    query.append_pair("signal_type", signal_type.name());
    query.append_pair("signal", signal);
    format!("{PATH}?{}", query.finish())
}
