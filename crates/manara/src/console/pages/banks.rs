//! All banks: how they take part, who vetoes whom, how often they match; and the form for a new one.

use super::bank_words::{bank_state, said_at, unusual};
use super::typed::{Fields, Typed};
use super::{ConsoleState, Page, PageQuery};
use crate::console::Error;
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::Count;
use crate::flood::hour_of;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use manara_model::{Bank, BankMode, BankName, BankSettings, Entity, MemberMode};
use manara_store::{CaseFilter, CaseStage, MemberHits, Reader, Role};
use std::collections::{BTreeMap, HashMap};

/// Most members whose hits are added up, those that match most first.
const MEMBERS_COUNTED_MAX: usize = 2_000;
/// Most cases about members that are looked at.
const CASES_MAX: usize = 1_000;
/// The queue of cases about members.
pub(super) const QUEUE: &str = "banks";

#[derive(Template)]
#[template(path = "banks.html")]
struct BanksPage {
    shell: Shell,
    csrf: String,
    may_change: bool,
    banks: Vec<BankRow>,
    quarantined: Count,
    typed: Typed,
}

struct BankRow {
    name: String,
    description: Option<Html>,
    members: Count,
    tone: &'static str,
    state: &'static str,
    vetoes: Vec<String>,
    vetoed_by: Vec<String>,
    unusual: Vec<Html>,
    today: HitsView,
    week: HitsView,
    quarantined: u64,
}

/// How often something matched.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hits {
    pub(super) live: u64,
    pub(super) withheld: u64,
}

impl Hits {
    pub(super) fn add(&mut self, hits: &MemberHits) {
        self.live += hits.hits;
        self.withheld += hits.withheld;
    }
}

pub(super) struct HitsView {
    pub(super) live: Count,
    pub(super) withheld: u64,
}

impl From<Hits> for HitsView {
    fn from(hits: Hits) -> Self {
        Self {
            live: Count(hits.live),
            withheld: hits.withheld,
        }
    }
}

/// `GET /banks`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Page {
    let notice = Notice::of(query.done.as_deref());
    let mut typed = Typed::default();
    typed.set("mode", BankMode::Live.as_str());
    render(state, session, typed, notice).await
}

async fn render(
    state: ConsoleState,
    session: Session,
    typed: Typed,
    notice: Option<Notice>,
) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session, typed, notice))
            .await?,
    )
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    typed: Typed,
    notice: Option<Notice>,
) -> Result<BanksPage, Error> {
    let banks = reader.banks()?;
    let hits = hits_by_bank(state, reader)?;
    let quarantined = quarantined(reader)?;
    let row = |bank: &Bank| {
        let (today, week) = hits.get(&bank.name).copied().unwrap_or_default();
        let (tone, word) = bank_state(bank, state.now());
        let by = banks
            .iter()
            .filter(|other| other.settings.vetoes.contains(&bank.name));
        BankRow {
            name: bank.name.to_string(),
            description: (!bank.description.is_empty()).then(|| text::inline(&bank.description)),
            members: Count(bank.members),
            tone,
            state: word,
            vetoes: bank
                .settings
                .vetoes
                .iter()
                .map(ToString::to_string)
                .collect(),
            vetoed_by: by.map(|other| other.name.to_string()).collect(),
            unusual: unusual(&bank.settings),
            today: today.into(),
            week: week.into(),
            quarantined: quarantined.get(&bank.name).copied().unwrap_or(0),
        }
    };
    Ok(BanksPage {
        shell: Shell::new(state, reader, session, Here::Banks, "Banks")?.with(notice),
        csrf: session.csrf.clone(),
        may_change: session.role == Role::Admin,
        quarantined: Count(quarantined.values().sum()),
        banks: banks.iter().map(row).collect(),
        typed,
    })
}

/// How often each bank matched within a day and within seven.
fn hits_by_bank(
    state: &ConsoleState,
    reader: &Reader,
) -> Result<HashMap<BankName, (Hits, Hits)>, Error> {
    let now = hour_of(state.now());
    let mut members: BTreeMap<i64, (Hits, Hits)> = BTreeMap::new();
    for hits in reader.hits_since(now - 7 * 24 + 1)? {
        let (today, week) = members.entry(hits.member.0).or_default();
        week.add(&hits);
        if hits.hour > now - 24 {
            today.add(&hits);
        }
    }
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_by_key(|(_, (_, week))| std::cmp::Reverse(week.live + week.withheld));
    let mut banks: HashMap<BankName, (Hits, Hits)> = HashMap::new();
    for (member, (today, week)) in members.into_iter().take(MEMBERS_COUNTED_MAX) {
        let Some((bank, ..)) = reader.member(manara_model::MemberId(member))? else {
            continue;
        };
        let (of_today, of_week) = banks.entry(bank).or_default();
        of_today.live += today.live;
        of_today.withheld += today.withheld;
        of_week.live += week.live;
        of_week.withheld += week.withheld;
    }
    Ok(banks)
}

/// How many members of each bank wait in quarantine for a person.
fn quarantined(reader: &Reader) -> Result<HashMap<BankName, u64>, Error> {
    let mut found: HashMap<BankName, u64> = HashMap::new();
    for stage in [CaseStage::Open, CaseStage::Claimed] {
        let filter = CaseFilter {
            queue: QUEUE.parse().ok(),
            stage,
            after: None,
            limit: CASES_MAX,
        };
        for case in reader.cases(&filter)? {
            let member = Entity::member(&case.entity);
            let member = member.map(|member| reader.member(member)).transpose()?;
            if let Some((bank, member, false)) = member.flatten()
                && member.settings.mode == MemberMode::Quarantine
            {
                *found.entry(bank).or_default() += 1;
            }
        }
    }
    Ok(found)
}

/// Only administrators change banks.
pub(super) fn may_change(session: &Session) -> Result<(), Error> {
    if session.role == Role::Admin {
        return Ok(());
    }
    Err(Error::NotAllowed(
        "Only an administrator may change banks and their members.",
    ))
}

/// `POST /banks`
pub(in crate::console) async fn create(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let mut typed = Typed::from(form);
    if typed.value("name").is_empty() {
        typed.refuse("name", "give the bank a name");
    }
    let name = typed.parsed::<BankName>("name");
    let mode = typed.parsed("mode").unwrap_or(BankMode::Live);
    if let (Some(name), false) = (name, typed.is_refused()) {
        let (author, now) = (session.author(), state.now());
        let description = typed.value("description").to_owned();
        let settings = BankSettings {
            mode,
            ..BankSettings::default()
        };
        let of = name.clone();
        let made = state
            .store()
            .write(move |tx| tx.create_bank(&of, &description, &settings, &author, now))
            .await;
        match made {
            Ok(()) => {
                let to = format!("/banks/{name}?done=bank_made");
                return Ok(Redirect::to(&to).into_response());
            }
            Err(error) => {
                let field = match error {
                    manara_store::StoreError::Invalid { .. } => "description",
                    _ => "name",
                };
                said_at(&mut typed, field, error)?;
            }
        }
    }
    let page = render(state, session, typed, None).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
