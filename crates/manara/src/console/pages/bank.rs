//! One bank: how it matches, the form to change that, and its members.

use super::bank_words::{
    SignalView, bank_differences, bank_settings, bank_state, distance_field, member_state, said_at,
    typed_bank, unusual, with_distance,
};
use super::banks::may_change;
use super::radius::{Crumb, RadiusPage, RadiusView, carried, look, looked_at, seal, unit};
use super::typed::{Fields, Typed};
use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Count, When, counted};
use crate::recent::preview::Thought;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use manara_model::{
    Author, Bank, BankMode, BankName, BankSettings, Member, MemberId, MemberMode, Tag,
};
use manara_signal::{Signal, SignalType};
use manara_store::{Committed, Reader, Role, StoreError, Tx};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Members on a page.
const PAGE_MEMBERS: usize = 50;
/// Most members looked at for a page of those that a filter lets through.
const LOOKED_MAX: usize = 20_000;

#[derive(Template)]
#[template(path = "bank.html")]
struct BankPage {
    shell: Shell,
    csrf: String,
    may_change: bool,
    bank: BankHead,
    typed: Typed,
    distances: Vec<DistanceField>,
    others: Vec<VetoChoice>,
    find: Typed,
    types: Vec<&'static str>,
    members: Vec<MemberRow>,
    filtered: bool,
    shown: String,
    first: Option<String>,
    next: Option<String>,
}

struct BankHead {
    name: String,
    description: Option<Html>,
    tone: &'static str,
    state: &'static str,
    members: String,
    created: When,
    vetoes: Vec<String>,
    vetoed_by: Vec<String>,
    unusual: Vec<Html>,
    distances: Vec<String>,
    quality_min: u8,
    dihedral: bool,
    quarantine: bool,
}

struct DistanceField {
    name: &'static str,
    signal_type: &'static str,
    usual: u32,
    max: u32,
    unit: &'static str,
    value: String,
}

struct VetoChoice {
    name: String,
    ticked: bool,
}

struct MemberRow {
    id: MemberId,
    signal: SignalView,
    short: Html,
    note: Option<Html>,
    tone: &'static str,
    state: &'static str,
    tags: Vec<Html>,
    exchange: Option<Html>,
    added: When,
}

/// What comes after the `?` of a bank's page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct BankQuery {
    done: Option<String>,
    after: Option<String>,
    signal_type: String,
    mode: String,
    tag: String,
    exchange: String,
}

/// Which members are listed.
#[derive(Debug, Default)]
struct Filter {
    signal_type: Option<SignalType>,
    mode: Option<MemberMode>,
    tag: Option<Tag>,
    exchange: Option<Tag>,
}

impl Filter {
    fn of(query: &BankQuery) -> Self {
        Self {
            signal_type: query.signal_type.parse().ok(),
            mode: query.mode.parse().ok(),
            tag: query.tag.parse().ok(),
            exchange: query.exchange.parse().ok(),
        }
    }

    fn lets_through(&self, member: &Member) -> bool {
        let settings = &member.settings;
        self.signal_type
            .is_none_or(|it| member.signal.signal_type() == it)
            && self.mode.is_none_or(|it| settings.mode == it)
            && self
                .tag
                .as_ref()
                .is_none_or(|it| settings.tags.contains(it))
            && self
                .exchange
                .as_ref()
                .is_none_or(|it| member.exchange.as_ref() == Some(it))
    }

    fn is_any(&self) -> bool {
        self.signal_type.is_some()
            || self.mode.is_some()
            || self.tag.is_some()
            || self.exchange.is_some()
    }

    /// The same as in an address, without the `?`.
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        };
        add("signal_type", self.signal_type.map(SignalType::name));
        add("mode", self.mode.map(MemberMode::as_str));
        add("tag", self.tag.as_ref().map(Tag::as_str));
        add("exchange", self.exchange.as_ref().map(Tag::as_str));
        query.finish()
    }
}

/// What a page shows besides the bank itself.
#[derive(Default)]
struct With {
    query: BankQuery,
    typed: Option<Typed>,
    find: Option<Typed>,
}

/// `GET /banks/{name}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(name): Path<String>,
    Query(query): Query<BankQuery>,
) -> Page {
    let name = bank_name(&name)?;
    let with = With {
        query,
        ..With::default()
    };
    render(state, session, name, with).await
}

/// A bank's name from an address.
pub(super) fn bank_name(text: &str) -> Result<BankName, Error> {
    text.parse().map_err(|_| Error::NotFound("bank".into()))
}

/// A bank that has to exist.
pub(super) fn expect_bank(reader: &Reader, name: &BankName) -> Result<Bank, Error> {
    let found = reader.bank(name)?;
    found.ok_or_else(|| Error::NotFound("bank".into()))
}

async fn render(state: ConsoleState, session: Session, name: BankName, with: With) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session, &name, with))
            .await?,
    )
}

async fn refused(
    state: ConsoleState,
    session: Session,
    name: BankName,
    with: With,
) -> Result<Response, Error> {
    let page = render(state, session, name, with).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    name: &BankName,
    with: With,
) -> Result<BankPage, Error> {
    let now = state.now();
    let bank = expect_bank(reader, name)?;
    let banks = reader.banks()?;
    let typed = with.typed.unwrap_or_else(|| typed_bank(&bank));
    let filter = Filter::of(&with.query);
    let after = with
        .query
        .after
        .as_deref()
        .and_then(|it| it.parse().ok())
        .map(MemberId);
    let listed = members(reader, name, after, &filter)?;
    let base = format!("/banks/{name}");
    let (tone, word) = bank_state(&bank, now);
    let by = banks
        .iter()
        .filter(|other| other.settings.vetoes.contains(name));
    let others = banks.iter().filter(|other| other.name != *name);
    let find = with.find.unwrap_or_else(|| typed_filter(&with.query));
    Ok(BankPage {
        shell: Shell::new(state, reader, session, Here::Banks, format!("Bank {name}"))?
            .with(Notice::of(with.query.done.as_deref())),
        csrf: session.csrf.clone(),
        may_change: session.role == Role::Admin,
        bank: BankHead {
            name: name.to_string(),
            description: (!bank.description.is_empty())
                .then(|| text::block(&bank.description, &[])),
            tone,
            state: word,
            members: counted(bank.members, "member", "members"),
            created: When::exact(bank.created_at),
            vetoes: bank
                .settings
                .vetoes
                .iter()
                .map(ToString::to_string)
                .collect(),
            vetoed_by: by.map(|other| other.name.to_string()).collect(),
            unusual: unusual(&bank.settings),
            distances: with_distance()
                .map(|it| distance_words(&bank.settings, it))
                .collect(),
            quality_min: bank.settings.quality_min,
            dihedral: bank.settings.dihedral,
            quarantine: bank.settings.quarantine,
        },
        distances: with_distance()
            .map(|signal_type| DistanceField {
                value: typed.value(distance_field(signal_type)).to_owned(),
                name: distance_field(signal_type),
                signal_type: signal_type.name(),
                usual: signal_type.default_distance(),
                max: signal_type.widest_distance(),
                unit: unit(signal_type),
            })
            .collect(),
        others: others
            .map(|other| VetoChoice {
                ticked: typed.has(&format!("veto:{}", other.name)),
                name: other.name.to_string(),
            })
            .collect(),
        find,
        types: SignalType::ALL.iter().map(|it| it.name()).collect(),
        filtered: filter.is_any(),
        first: after
            .is_some()
            .then(|| format!("{base}?{}#members", filter.query())),
        next: listed
            .next
            .map(|after| format!("{base}?{}&after={after}#members", filter.query())),
        shown: listed.words(&bank),
        members: listed
            .members
            .iter()
            .map(|member| row(state, member))
            .collect(),
        typed,
    })
}

fn typed_filter(query: &BankQuery) -> Typed {
    let mut typed = Typed::default();
    typed.set("signal_type", query.signal_type.as_str());
    typed.set("mode", query.mode.as_str());
    typed.set("tag", query.tag.as_str());
    typed.set("exchange", query.exchange.as_str());
    typed
}

fn distance_words(settings: &BankSettings, signal_type: SignalType) -> String {
    let distance = settings.distance(signal_type);
    format!("{signal_type} up to {distance} {}", unit(signal_type))
}

fn row(state: &ConsoleState, member: &Member) -> MemberRow {
    let (tone, word) = member_state(&member.settings, false, state.now());
    MemberRow {
        id: member.id,
        short: super::bank_words::member_excerpt(member),
        signal: SignalView::from(&member.signal),
        note: (!member.note.is_empty()).then(|| text::excerpt(&member.note, &[], 140)),
        tone,
        state: word,
        tags: member
            .settings
            .tags
            .iter()
            .map(|tag| text::inline(tag.as_str()))
            .collect(),
        exchange: member.exchange.as_ref().map(|it| text::inline(it.as_str())),
        added: When::ago(member.added_at, state.now()),
    }
}

/// A page of members, as far as they were looked at.
struct Listed {
    members: Vec<Member>,
    looked: usize,
    next: Option<MemberId>,
}

impl Listed {
    fn words(&self, bank: &Bank) -> String {
        let shown = self.members.len() as u64;
        let all = counted(bank.members, "member", "members");
        if self.looked == LOOKED_MAX {
            let looked = Count(self.looked as u64);
            return format!("{shown} among {looked} members that were looked at; go on for more");
        }
        match self.next {
            Some(_) => format!(
                "{} of {all}, in the order in which they were added",
                Count(shown)
            ),
            None => format!("{} shown; the bank has {all}", Count(shown)),
        }
    }
}

fn members(
    reader: &Reader,
    bank: &BankName,
    after: Option<MemberId>,
    filter: &Filter,
) -> Result<Listed, Error> {
    let (mut members, mut looked, mut last) = (Vec::new(), 0, after);
    loop {
        let step = if filter.is_any() {
            1_000
        } else {
            PAGE_MEMBERS + 1
        };
        let step = step.min(LOOKED_MAX - looked);
        let found = reader.members(bank, last, step)?;
        let is_end = found.len() < step;
        for member in found {
            looked += 1;
            if filter.lets_through(&member) {
                if members.len() == PAGE_MEMBERS {
                    return Ok(Listed {
                        members,
                        looked,
                        next: last,
                    });
                }
                last = Some(member.id);
                members.push(member);
            } else {
                last = Some(member.id);
            }
        }
        if is_end {
            return Ok(Listed {
                members,
                looked,
                next: None,
            });
        }
        if looked >= LOOKED_MAX {
            return Ok(Listed {
                members,
                looked,
                next: last,
            });
        }
    }
}

/// `POST /banks/{name}/find`
pub(in crate::console) async fn find(
    State(state): State<ConsoleState>,
    Path(name): Path<String>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    let name = bank_name(&name)?;
    let mut typed = Typed::from(form);
    let filter = Filter {
        signal_type: typed.parsed("signal_type"),
        mode: typed.parsed("mode"),
        tag: typed.parsed("tag"),
        exchange: typed.parsed("exchange"),
    };
    let value = typed.value("signal").to_owned();
    if !value.is_empty() && !typed.is_refused() {
        let (of, signal_type) = (name.clone(), filter.signal_type);
        let found = state
            .read(move |reader| with_signal(reader, &of, signal_type, &value))
            .await?;
        match found {
            Ok(member) => {
                let to = format!("/banks/{name}/members/{member}");
                return Ok(Redirect::to(&to).into_response());
            }
            Err(problem) => typed.refuse("signal", problem),
        }
    }
    if typed.is_refused() {
        let with = With {
            find: Some(typed),
            ..With::default()
        };
        return refused(state, session, name, with).await;
    }
    let to = format!("/banks/{name}?{}#members", filter.query());
    Ok(Redirect::to(&to).into_response())
}

/// The member with exactly this signal, or why there is none.
fn with_signal(
    reader: &Reader,
    bank: &BankName,
    signal_type: Option<SignalType>,
    value: &str,
) -> Result<Result<MemberId, String>, Error> {
    let types: Vec<SignalType> = match signal_type {
        Some(signal_type) => match Signal::parse(signal_type, value) {
            Ok(_) => vec![signal_type],
            Err(error) => return Ok(Err(error.to_string())),
        },
        None => SignalType::ALL.to_vec(),
    };
    for signal_type in types {
        let Ok(signal) = Signal::parse(signal_type, value) else {
            continue;
        };
        if let Some((member, _)) = reader.find_member(bank, &signal)? {
            return Ok(Ok(member));
        }
    }
    Ok(Err("no member of this bank has this signal".into()))
}

/// `POST /banks/{name}/settings`: looks at a change first; then, with its seal, makes it.
pub(in crate::console) async fn set(
    State(state): State<ConsoleState>,
    Path(name): Path<String>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let name = bank_name(&name)?;
    let mut typed = Typed::from(form);
    let back = |typed| With {
        typed: Some(typed),
        ..With::default()
    };
    if typed.is("do", "back") {
        return Ok(render(state, session, name, back(typed))
            .await?
            .into_response());
    }
    let of = name.clone();
    let before = state.read(move |reader| expect_bank(reader, &of)).await?;
    let after = Bank {
        description: typed.value("description").to_owned(),
        enabled: typed.has("on"),
        settings: bank_settings(&name, &mut typed, state.now()),
        ..before.clone()
    };
    if !typed.is_refused() {
        try_out(&state, &session, &after, &mut typed).await?;
    }
    if typed.is_refused() {
        return refused(state, session, name, back(typed)).await;
    }
    let path = format!("/banks/{name}/settings");
    let wide = looked_at(&state, &session, &path, &typed);
    let is_free = wide.is_some() || !matches_otherwise(&before, &after);
    if is_free && (wide != Some(true) || typed.has("read")) {
        return change(&state, &session, after).await;
    }
    preview(state, session, path, &before, &after, typed, wide.is_some()).await
}

/// Whether matching changes at all.
fn matches_otherwise(before: &Bank, after: &Bank) -> bool {
    let bare = |bank: &Bank| BankSettings {
        tags: BTreeSet::new(),
        quarantine: false,
        ..bank.settings.clone()
    };
    before.enabled != after.enabled || bare(before) != bare(after)
}

fn counts(bank: &Bank) -> bool {
    bank.enabled && bank.settings.mode == BankMode::Live
}

fn write(
    tx: &mut Tx<'_>,
    bank: &Bank,
    author: &Author,
    now: jiff::Timestamp,
) -> Result<Committed<bool>, StoreError> {
    let said = tx.set_bank_description(&bank.name, &bank.description, author, now)?;
    let set = tx.set_bank(&bank.name, |it| it.clone_from(&bank.settings), author, now)?;
    let enabled = tx.set_bank_enabled(&bank.name, bank.enabled, author, now)?;
    Ok(enabled.map(|enabled| enabled || *said.get() || *set.get()))
}

/// Whether the store would take the change. Nothing of it is kept.
async fn try_out(
    state: &ConsoleState,
    session: &Session,
    after: &Bank,
    typed: &mut Typed,
) -> Result<(), Error> {
    let (bank, author, now) = (after.clone(), session.author(), state.now());
    let tried = state.store().write(move |tx| {
        let _ = write(tx, &bank, &author, now)?;
        Err::<Committed<()>, _>(StoreError::Aborted("only tried".into()))
    });
    match tried.await {
        Ok(()) | Err(StoreError::Aborted(_)) => Ok(()),
        Err(error) => {
            let field = match &error {
                StoreError::Invalid {
                    what: "description",
                    ..
                } => "description",
                _ => "vetoes",
            };
            Ok(said_at(typed, field, error)?)
        }
    }
}

async fn change(state: &ConsoleState, session: &Session, after: Bank) -> Result<Response, Error> {
    let (name, author, now) = (after.name.clone(), session.author(), state.now());
    let changed = state
        .store()
        .write(move |tx| write(tx, &after, &author, now))
        .await?;
    let done = if changed { "bank_changed" } else { "unchanged" };
    Ok(Redirect::to(&format!("/banks/{name}?done={done}")).into_response())
}

async fn preview(
    state: ConsoleState,
    session: Session,
    path: String,
    before: &Bank,
    after: &Bank,
    typed: Typed,
    unread: bool,
) -> Result<Response, Error> {
    let mut what = bank_differences(before, after);
    // A bank that is off does not count, whatever its mode.
    let mode = if counts(after) {
        BankMode::Live
    } else {
        BankMode::Shadow
    };
    let thought = Thought::Bank(BankSettings {
        mode,
        ..after.settings.clone()
    });
    if before.settings.vetoes != after.settings.vetoes {
        what.push(text::inline(
            "What other banks match more or less because of the vetoes is not counted here.",
        ));
    }
    let found = look(&state, before.name.clone(), thought).await?;
    let mut radius = RadiusView::from(&found);
    radius.wide = radius.wide && counts(after);
    let name = before.name.clone();
    let reading = state.clone();
    let page = state
        .read(move |reader| {
            Ok(RadiusPage {
                shell: Shell::new(
                    &reading,
                    reader,
                    &session,
                    Here::Banks,
                    "Before it is changed",
                )?,
                csrf: session.csrf.clone(),
                crumbs: vec![Crumb::banks(), Crumb::bank(&name)],
                heading: text::inline(&format!("Change bank {name}")),
                what,
                seal: seal(&reading, &session, &path, &typed, radius.wide),
                carried: carried(&typed),
                action: path,
                shadow: false,
                read_problem: (unread && radius.wide)
                    .then(|| "Tick that you have read the samples.".to_owned()),
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
