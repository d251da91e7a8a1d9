//! Sets that rules ask: which there are, what is in each, who put it there; and changing them.

use super::bank_words::said_at;
use super::typed::{Fields, Typed};
use super::{ConsoleState, Page, PageQuery};
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{By, Count, When};
use crate::console::{Error, OverviewExtra};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use manara_model::Name;
use manara_store::{Committed, KeptSet, Reader, SetItem, StoreError, Tx};
use std::collections::BTreeSet;

/// Items shown, the newest; those that were taken out are among them.
const SHOWN_MAX: usize = 200;

#[derive(Template)]
#[template(path = "sets.html")]
struct SetsPage {
    shell: Shell,
    csrf: String,
    may_change: bool,
    missing: Vec<Html>,
    sets: Vec<SetRow>,
    typed: Typed,
}

struct SetRow {
    name: String,
    description: Option<Html>,
    items: Count,
    created: When,
    /// Whether a rule in force asks it.
    asked: bool,
}

#[derive(Template)]
#[template(path = "set.html")]
struct SetPage {
    shell: Shell,
    csrf: String,
    may_change: bool,
    set: SetRow,
    items: Vec<ItemRow>,
    is_cut: bool,
    adding: Typed,
    removing: Typed,
}

struct ItemRow {
    item: Html,
    /// In the name of its button.
    label: String,
    /// As the form sends it.
    value: String,
    note: Option<Html>,
    by: By,
    at: When,
    removed: Option<(When, By)>,
}

/// Sets that the rules in force ask and nobody keeps.
pub(super) fn missing(extra: &OverviewExtra, reader: &Reader) -> Result<Vec<Html>, Error> {
    let kept = reader.set_list()?;
    let asked = asked(extra);
    let missing = asked
        .iter()
        .filter(|asked| !kept.iter().any(|set| set.name.as_str() == **asked));
    Ok(missing.map(|name| text::inline(name)).collect())
}

fn asked(extra: &OverviewExtra) -> BTreeSet<&str> {
    let rules = extra.rules.iter();
    rules.flat_map(|rules| rules.sets()).collect()
}

fn set_row(set: &KeptSet, asked: &BTreeSet<&str>) -> SetRow {
    SetRow {
        description: (!set.description.is_empty()).then(|| text::inline(&set.description)),
        items: Count(set.items),
        created: When::exact(set.created_at),
        asked: asked.contains(set.name.as_str()),
        name: set.name.to_string(),
    }
}

/// `GET /sets`
pub(in crate::console) async fn list(State(state): State<ConsoleState>, session: Session) -> Page {
    render_list(state, session, Typed::default()).await
}

async fn render_list(state: ConsoleState, session: Session, typed: Typed) -> Page {
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let extra = reading.overview();
        let asked = asked(&extra);
        let sets = reader.set_list()?;
        Ok(SetsPage {
            shell: Shell::new(&reading, reader, &session, Here::Rules, "Sets")?,
            csrf: session.csrf.clone(),
            may_change: session.role.may_change_rules(),
            missing: missing(&extra, reader)?,
            sets: sets.iter().map(|set| set_row(set, &asked)).collect(),
            typed,
        })
    };
    page(&state.read(read).await?)
}

/// `POST /sets`
pub(in crate::console) async fn create(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let mut typed = Typed::from(form);
    if !typed.has("name") {
        typed.refuse("name", "give the set a name");
    }
    if let Some(name) = typed.parsed::<Name>("name") {
        let (by, now) = (session.author(), state.now());
        let (of, description) = (name.clone(), typed.value("description").to_owned());
        let write = move |tx: &mut Tx<'_>| tx.create_set(&of, &description, &by, now);
        match state.store().write(write).await {
            Ok(()) => {
                let to = format!("/sets/{name}?done=set_made");
                return Ok(Redirect::to(&to).into_response());
            }
            Err(error) => {
                let field = match error {
                    StoreError::Invalid { .. } => "description",
                    _ => "name",
                };
                said_at(&mut typed, field, error)?;
            }
        }
    }
    let page = render_list(state, session, typed).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

fn may_change(session: &Session) -> Result<(), Error> {
    if session.role.may_change_rules() {
        return Ok(());
    }
    Err(Error::NotAllowed(
        "Only people with the role policy or admin change sets.",
    ))
}

fn set_name(name: &str) -> Result<Name, Error> {
    name.parse().map_err(|_| Error::NotFound("set".into()))
}

/// `GET /sets/{name}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Page {
    let notice = Notice::of(query.done.as_deref());
    let (adding, removing) = (Typed::default(), Typed::default());
    render(state, session, set_name(&name)?, notice, adding, removing).await
}

async fn render(
    state: ConsoleState,
    session: Session,
    name: Name,
    notice: Option<Notice>,
    adding: Typed,
    removing: Typed,
) -> Page {
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let set = reader.set(&name)?;
        let set = set.ok_or_else(|| Error::NotFound(format!("set {name}")))?;
        let mut items = reader.set_history(&name, SHOWN_MAX + 1)?;
        let is_cut = items.len() > SHOWN_MAX;
        items.truncate(SHOWN_MAX);
        let extra = reading.overview();
        Ok(SetPage {
            shell: Shell::new(
                &reading,
                reader,
                &session,
                Here::Rules,
                format!("Set {name}"),
            )?
            .with(notice),
            csrf: session.csrf.clone(),
            may_change: session.role.may_change_rules(),
            set: set_row(&set, &asked(&extra)),
            items: items.into_iter().map(item_row).collect(),
            is_cut,
            adding,
            removing,
        })
    };
    page(&state.read(read).await?)
}

fn item_row(it: SetItem) -> ItemRow {
    ItemRow {
        item: text::inline(&it.item),
        label: text::plain(&it.item),
        note: (!it.note.is_empty()).then(|| text::inline(&it.note)),
        by: By::from(&it.author),
        at: When::exact(it.added_at),
        removed: it
            .removed
            .as_ref()
            .map(|(at, by)| (When::exact(*at), By::from(by))),
        value: it.item,
    }
}

/// The items of a form, one a line; empty lines are left out.
fn items(typed: &mut Typed) -> Vec<String> {
    let lines = typed.value("items").lines().map(str::trim);
    let items: BTreeSet<String> = lines
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect();
    if items.is_empty() {
        typed.refuse("items", "write one item a line");
    }
    items.into_iter().collect()
}

/// `POST /sets/{name}/add`
pub(in crate::console) async fn add(
    State(state): State<ConsoleState>,
    Path(name): Path<String>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let name = set_name(&name)?;
    let mut typed = Typed::from(form);
    let items = items(&mut typed);
    let (of, by, now) = (name.clone(), session.author(), state.now());
    let note = typed.value("note").to_owned();
    let write = move |tx: &mut Tx<'_>| tx.add_to_set(&of, &items, &note, &by, now);
    if let Some(answer) = changed(&state, &name, &mut typed, write).await? {
        return Ok(answer);
    }
    let page = render(state, session, name, None, typed, Typed::default()).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// `POST /sets/{name}/remove`
pub(in crate::console) async fn remove(
    State(state): State<ConsoleState>,
    Path(name): Path<String>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let name = set_name(&name)?;
    let mut typed = Typed::from(form);
    let items = items(&mut typed);
    let (of, by, now) = (name.clone(), session.author(), state.now());
    let write = move |tx: &mut Tx<'_>| tx.remove_from_set(&of, &items, &by, now);
    if let Some(answer) = changed(&state, &name, &mut typed, write).await? {
        return Ok(answer);
    }
    let page = render(state, session, name, None, Typed::default(), typed).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// Changes a set, unless the form has mistakes; what the store refuses is said at its field.
async fn changed(
    state: &ConsoleState,
    name: &Name,
    typed: &mut Typed,
    write: impl FnOnce(&mut Tx<'_>) -> Result<Committed<u64>, StoreError> + Send + 'static,
) -> Result<Option<Response>, Error> {
    if typed.is_refused() {
        return Ok(None);
    }
    let done = match state.store().write(write).await {
        Ok(0) => "unchanged",
        Ok(_) => "set_changed",
        Err(StoreError::NotFound { what }) => return Err(Error::NotFound(what)),
        Err(error) => {
            let field = match &error {
                StoreError::Invalid { what: "note", .. } => "note",
                _ => "items",
            };
            said_at(typed, field, error)?;
            return Ok(None);
        }
    };
    let to = format!("/sets/{name}?done={done}");
    Ok(Some(Redirect::to(&to).into_response()))
}
