//! One member of a bank: what it is, where it comes from, how it matches, what people hold of it,
//! what it matched, and what an administrator can do about it.

use super::bank::{bank_name, expect_bank};
use super::bank_words::{
    SignalView, can_match_more, member_differences, member_set_to, member_settings, member_state,
    member_words, said_at, stance_words, typed_member,
};
use super::banks::{Hits, HitsView, may_change};
use super::radius::{
    Crumb, RadiusPage, RadiusView, SampleView, carried, look, looked_at, seal, unit, window,
};
use super::typed::{Fields, Typed};
use super::{ConsoleState, Page, PageQuery};
use crate::console::Error;
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Bar, By, Count, When};
use crate::flood::hour_of;
use crate::matcher::{Change, Matcher};
use crate::recent::preview::{Sample, Thought};
use crate::recent::{Window, sweep_few};
use crate::scan::Excerpt;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use manara_model::{
    Bank, BankMode, BankName, BankSettings, Member, MemberId, MemberMode, MemberSettings, Opinion,
    Ratio, Stance,
};
use manara_store::{MemberChange, Reader, Role, StoreError, standing_opinions};

/// Newest events that are looked up in a member.
const EVENTS_LOOKED_UP_MAX: usize = 2_000;
/// Events shown of those.
const EVENTS_SHOWN_MAX: usize = 10;
/// Days of which the hits are shown.
const DAYS: i64 = 7;

#[derive(Template)]
#[template(path = "member.html")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a part of the page that is there or not"
)]
struct MemberPage {
    shell: Shell,
    csrf: String,
    may_change: bool,
    member: MemberView,
    typed: Typed,
    opinion: Typed,
    removal: Typed,
    distance: Option<DistanceRange>,
    has_quality: bool,
    is_phrase: bool,
    in_quarantine: bool,
}

struct DistanceRange {
    max: u32,
    of_bank: u32,
    unit: &'static str,
}

/// A member as its page and a case about it show it.
pub(super) struct MemberView {
    pub(super) bank: String,
    pub(super) id: MemberId,
    pub(super) signal: SignalView,
    pub(super) note: Option<Html>,
    pub(super) exchange: Option<Html>,
    pub(super) by: By,
    pub(super) at: When,
    pub(super) tone: &'static str,
    pub(super) state: &'static str,
    pub(super) removed: bool,
    pub(super) bank_mode: Option<&'static str>,
    pub(super) vetoes: Vec<String>,
    pub(super) words: Vec<Html>,
    pub(super) history: Vec<ChangeView>,
    pub(super) opinions: Vec<OpinionView>,
    pub(super) days: Vec<DayView>,
    pub(super) hits: HitsView,
    pub(super) events: Vec<SampleView>,
    pub(super) events_found: u64,
    pub(super) events_looked: Count,
}

pub(super) struct ChangeView {
    pub(super) what: Vec<Html>,
    pub(super) reason: Option<Html>,
    pub(super) by: By,
    pub(super) at: When,
}

pub(super) struct OpinionView {
    pub(super) stance: &'static str,
    pub(super) word: &'static str,
    pub(super) tone: &'static str,
    pub(super) note: Option<Html>,
    pub(super) exchange: Option<Html>,
    pub(super) by: By,
    pub(super) at: When,
    pub(super) stands: bool,
}

pub(super) struct DayView {
    pub(super) day: String,
    pub(super) hits: HitsView,
    pub(super) bar: Bar,
}

/// What a page shows besides the member itself.
#[derive(Default)]
struct With {
    notice: Option<Notice>,
    typed: Option<Typed>,
    opinion: Typed,
    removal: Typed,
}

/// Which member an address means.
#[derive(Debug, Clone)]
struct Which {
    bank: BankName,
    id: MemberId,
}

impl Which {
    fn of((bank, id): (String, String)) -> Result<Self, Error> {
        let bank = bank_name(&bank)?;
        let id = id.parse().map_err(|_| Error::NotFound("member".into()))?;
        Ok(Self {
            bank,
            id: MemberId(id),
        })
    }

    fn href(&self) -> String {
        format!("/banks/{}/members/{}", self.bank, self.id)
    }

    fn find(&self, reader: &Reader) -> Result<(Bank, Member, bool), Error> {
        let bank = expect_bank(reader, &self.bank)?;
        let found = reader.member(self.id)?;
        let found = found.filter(|(of, ..)| *of == self.bank);
        let (_, member, removed) =
            found.ok_or_else(|| Error::NotFound("member in this bank".into()))?;
        Ok((bank, member, removed))
    }
}

/// `GET /banks/{name}/members/{id}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(path): Path<(String, String)>,
    Query(query): Query<PageQuery>,
) -> Page {
    let with = With {
        notice: Notice::of(query.done.as_deref()),
        ..With::default()
    };
    render(state, session, Which::of(path)?, with).await
}

async fn render(state: ConsoleState, session: Session, which: Which, with: With) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| read(&reading, reader, &session, &which, with))
            .await?,
    )
}

async fn refused(
    state: ConsoleState,
    session: Session,
    which: Which,
    with: With,
) -> Result<Response, Error> {
    let page = render(state, session, which, with).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    which: &Which,
    with: With,
) -> Result<MemberPage, Error> {
    let (bank, member, removed) = which.find(reader)?;
    let signal_type = member.signal.signal_type();
    let title = format!("Member {} of {}", which.id, which.bank);
    Ok(MemberPage {
        shell: Shell::new(state, reader, session, Here::Banks, title)?.with(with.notice),
        csrf: session.csrf.clone(),
        may_change: session.role == Role::Admin,
        typed: with.typed.unwrap_or_else(|| typed_member(&member.settings)),
        opinion: with.opinion,
        removal: with.removal,
        distance: (signal_type.widest_distance() > 0).then(|| DistanceRange {
            max: signal_type.widest_distance(),
            of_bank: bank.settings.distance(signal_type),
            unit: unit(signal_type),
        }),
        has_quality: signal_type == manara_signal::SignalType::Pdq,
        is_phrase: signal_type == manara_signal::SignalType::Text,
        in_quarantine: member.settings.mode == MemberMode::Quarantine,
        member: member_view(state, reader, &bank, &member, removed)?,
    })
}

/// A member with all that is known of it.
pub(super) fn member_view(
    state: &ConsoleState,
    reader: &Reader,
    bank: &Bank,
    member: &Member,
    removed: bool,
) -> Result<MemberView, Error> {
    let (tone, word) = member_state(&member.settings, removed, state.now());
    let (days, hits) = hits(state, reader, member.id)?;
    let (events, events_found, looked) = last_events(state, reader, bank, member)?;
    let opinions = reader.opinions(member.id)?;
    let standing = standing_opinions(&opinions);
    let stands = |it: &Opinion| standing.iter().any(|stands| std::ptr::eq(*stands, it));
    Ok(MemberView {
        bank: bank.name.to_string(),
        id: member.id,
        signal: SignalView::from(&member.signal),
        note: (!member.note.is_empty()).then(|| text::inline(&member.note)),
        exchange: member.exchange.as_ref().map(|it| text::inline(it.as_str())),
        by: By::from(&member.added_by),
        at: When::exact(member.added_at),
        tone,
        state: word,
        removed,
        bank_mode: match bank.settings.mode {
            _ if !bank.enabled => Some("off, so nothing in it matches"),
            BankMode::Shadow => Some("in shadow, so nothing in it has an effect"),
            BankMode::Live => None,
        },
        vetoes: bank
            .settings
            .vetoes
            .iter()
            .map(ToString::to_string)
            .collect(),
        words: member_words(&member.settings),
        history: changes(&reader.member_history(member.id)?),
        opinions: opinions
            .iter()
            .rev()
            .map(|it| opinion_view(it, stands(it)))
            .collect(),
        days,
        hits: hits.into(),
        events,
        events_found,
        events_looked: Count(looked),
    })
}

/// The changes of a member's settings, the newest first. What it was added with is not kept apart,
/// so that of the first change only what it led to can be said.
fn changes(history: &[MemberChange]) -> Vec<ChangeView> {
    let usual = MemberSettings::default();
    let before = std::iter::once(&usual).chain(history.iter().map(|it| &it.settings));
    let views = before
        .zip(history)
        .zip(0..)
        .map(|((before, change), at)| ChangeView {
            what: match at {
                0 => member_set_to(&change.settings),
                _ => member_differences(before, &change.settings),
            },
            reason: (!change.reason.is_empty()).then(|| text::inline(&change.reason)),
            by: By::from(&change.author),
            at: When::exact(change.at),
        });
    let mut views: Vec<_> = views.collect();
    views.reverse();
    views
}

fn opinion_view(opinion: &Opinion, stands: bool) -> OpinionView {
    OpinionView {
        stance: stance_words(opinion.stance),
        word: opinion.stance.as_str(),
        tone: match opinion.stance {
            Stance::PositiveClass => "good",
            Stance::NegativeClass => "stop",
            Stance::InvestigationSeed => "warn",
        },
        note: (!opinion.note.is_empty()).then(|| text::inline(&opinion.note)),
        exchange: opinion
            .exchange
            .as_ref()
            .map(|it| text::inline(it.as_str())),
        by: By::from(&opinion.author),
        at: When::exact(opinion.at),
        stands,
    }
}

/// A member's hits by day, the newest first, and all of them together.
fn hits(
    state: &ConsoleState,
    reader: &Reader,
    member: MemberId,
) -> Result<(Vec<DayView>, Hits), Error> {
    let today = hour_of(state.now()).div_euclid(24);
    let first = today - DAYS + 1;
    let mut days = vec![Hits::default(); DAYS as usize];
    let mut all = Hits::default();
    for hits in reader.hits_of(member, first * 24)? {
        let day = usize::try_from(hits.hour.div_euclid(24) - first).ok();
        if let Some(day) = day.and_then(|day| days.get_mut(day)) {
            day.add(&hits);
        }
        all.add(&hits);
    }
    let most = days
        .iter()
        .map(|day| day.live + day.withheld)
        .max()
        .unwrap_or(0);
    let named = days.iter().zip(first..).map(|(hits, day)| DayView {
        day: day_name(day),
        hits: (*hits).into(),
        bar: Bar {
            first: hits.live,
            second: hits.withheld,
            whole: most,
        },
    });
    let mut named: Vec<_> = named.collect();
    named.reverse();
    Ok((named, all))
}

fn day_name(day: i64) -> String {
    let at = Timestamp::from_second(day * 86_400).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%a %-d %b").to_string()
}

/// The newest events that the member matches as it is set now, how many there are, and how many
/// were looked at. Whether the match has an effect does not count.
fn last_events(
    state: &ConsoleState,
    reader: &Reader,
    bank: &Bank,
    member: &Member,
) -> Result<(Vec<SampleView>, u64, u64), Error> {
    let matcher = Matcher::default();
    let settings = BankSettings {
        mode: BankMode::Live,
        enable_ratio: Ratio::ALL,
        expires_at: None,
        ..bank.settings.clone()
    };
    matcher.set_bank(&bank.name, true, settings);
    matcher.apply([Change::Add {
        bank: bank.name.clone(),
        member: member.id,
        signal: member.signal.clone(),
        settings: MemberSettings {
            mode: MemberMode::Live,
            expires_at: None,
            ..member.settings.clone()
        },
    }]);
    let recent = window(state);
    let newest = Window {
        events_max: recent.events_max.min(EVENTS_LOOKED_UP_MAX),
        ..recent
    };
    let (mut events, mut found) = (Vec::new(), 0);
    let looked = sweep_few(reader, &matcher, newest, |seen, matches| {
        let Some(first) = matches.first() else { return };
        found += 1;
        if events.len() == EVENTS_SHOWN_MAX {
            return;
        }
        let excerpt = seen.event.text_at(&first.field);
        let sample = Sample {
            source: seen.event.source.clone(),
            id: seen.event.id.clone(),
            decision: seen.decision,
            received_at: seen.received_at,
            account: seen
                .event
                .account
                .as_ref()
                .map(|account| account.id.clone()),
            field: first.field.clone(),
            distance: first.distance,
            excerpt: excerpt.map(|text| match first.span {
                Some(span) => Excerpt::of(text, span),
                None => Excerpt::whole(text),
            }),
        };
        events.push(SampleView::from(&sample));
    })?;
    Ok((events, found, looked))
}

/// `POST /banks/{name}/members/{id}/settings`: a change that can match more is looked at first.
pub(in crate::console) async fn set(
    State(state): State<ConsoleState>,
    Path(path): Path<(String, String)>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let which = Which::of(path)?;
    let mut typed = Typed::from(form);
    let back = |typed| With {
        typed: Some(typed),
        ..With::default()
    };
    if typed.is("do", "back") {
        return Ok(render(state, session, which, back(typed))
            .await?
            .into_response());
    }
    let of = which.clone();
    let (bank, member, removed) = state.read(move |reader| of.find(reader)).await?;
    if removed {
        typed.refuse(
            "mode",
            "it was taken out of its bank; add its signal anew if it is wanted",
        );
    }
    let after = member_settings(Some(&member.signal), &mut typed, state.now());
    check_mode(&member, &after, &mut typed);
    check_reason(&mut typed);
    if typed.is_refused() {
        return refused(state, session, which, back(typed)).await;
    }
    let path = format!("{}/settings", which.href());
    let wide = looked_at(&state, &session, &path, &typed);
    let is_free = wide.is_some() || !can_match_more(&member.settings, &after);
    if is_free && (wide != Some(true) || typed.has("read")) {
        return change(state, session, which, after, typed).await;
    }
    preview(state, session, &bank, &member, after, typed, wide.is_some()).await
}

/// Quarantine comes with a case, which is opened by itself and closed by deciding it.
fn check_mode(member: &Member, after: &MemberSettings, typed: &mut Typed) {
    let quarantine = MemberMode::Quarantine;
    if after.mode == quarantine && member.settings.mode != quarantine {
        typed.refuse(
            "mode",
            "choose live or shadow: a member goes into quarantine by itself",
        );
    }
}

fn check_reason(typed: &mut Typed) {
    /// As many bytes as the store keeps.
    const MAX: usize = 1_024;
    let len = typed.value("reason").len();
    match len {
        0 => typed.refuse("reason", "say why, for whoever reads this later"),
        1..=MAX => {}
        _ => typed.refuse(
            "reason",
            format!("it is {len} bytes long, the limit is {MAX}: shorten it"),
        ),
    }
}

async fn change(
    state: ConsoleState,
    session: Session,
    which: Which,
    after: MemberSettings,
    mut typed: Typed,
) -> Result<Response, Error> {
    let (of, author, now) = (which.clone(), session.author(), state.now());
    let reason = typed.value("reason").to_owned();
    let changed = state
        .store()
        .write(move |tx| tx.set_member(&of.bank, of.id, |it| *it = after, &reason, &author, now))
        .await;
    match changed {
        Ok(changed) => {
            let done = if changed {
                "member_changed"
            } else {
                "unchanged"
            };
            Ok(Redirect::to(&format!("{}?done={done}", which.href())).into_response())
        }
        Err(error) => {
            said_at(&mut typed, "mode", error)?;
            let with = With {
                typed: Some(typed),
                ..With::default()
            };
            refused(state, session, which, with).await
        }
    }
}

async fn preview(
    state: ConsoleState,
    session: Session,
    bank: &Bank,
    member: &Member,
    after: MemberSettings,
    typed: Typed,
    unread: bool,
) -> Result<Response, Error> {
    let (name, id) = (bank.name.clone(), member.id);
    let what = member_differences(&member.settings, &after);
    let found = look(&state, name.clone(), Thought::Member(id, after)).await?;
    let radius = RadiusView::from(&found);
    let path = format!("/banks/{name}/members/{id}/settings");
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
                crumbs: vec![
                    Crumb::banks(),
                    Crumb::bank(&name),
                    Crumb {
                        href: format!("/banks/{name}/members/{id}"),
                        name: format!("Member {id}"),
                    },
                ],
                heading: text::inline(&format!("Change member {id} of {name}")),
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

/// `POST /banks/{name}/members/{id}/opinions`: any reviewer may.
pub(in crate::console) async fn opine(
    State(state): State<ConsoleState>,
    Path(path): Path<(String, String)>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    let which = Which::of(path)?;
    let mut typed = Typed::from(form);
    if typed.value("stance").is_empty() {
        typed.refuse("stance", "choose what you hold of it");
    }
    let stance = typed.parsed::<Stance>("stance");
    if let Some(stance) = stance {
        let (of, author, now) = (which.clone(), session.author(), state.now());
        let note = typed.value("note").to_owned();
        let added = state
            .store()
            .write(move |tx| tx.add_opinion(&of.bank, of.id, stance, &note, None, &author, now))
            .await;
        match added {
            Ok(()) => {
                let to = format!("{}?done=opinion_added", which.href());
                return Ok(Redirect::to(&to).into_response());
            }
            Err(error @ StoreError::NotFound { .. }) => return Err(error.into()),
            Err(error) => said_at(&mut typed, "note", error)?,
        }
    }
    let with = With {
        opinion: typed,
        ..With::default()
    };
    refused(state, session, which, with).await
}

/// `POST /banks/{name}/members/{id}/remove`
pub(in crate::console) async fn remove(
    State(state): State<ConsoleState>,
    Path(path): Path<(String, String)>,
    Sent { session, form }: Sent<Fields>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let which = Which::of(path)?;
    let mut typed = Typed::from(form);
    check_reason(&mut typed);
    if !typed.is_refused() {
        let (of, author, now) = (which.clone(), session.author(), state.now());
        let reason = typed.value("reason").to_owned();
        let removed = state
            .store()
            .write(move |tx| tx.remove_member(&of.bank, of.id, &reason, &author, now));
        match removed.await {
            Ok(()) => {
                let to = format!("{}?done=member_removed", which.href());
                return Ok(Redirect::to(&to).into_response());
            }
            Err(error @ StoreError::NotFound { .. }) => return Err(error.into()),
            Err(error) => said_at(&mut typed, "reason", error)?,
        }
    }
    let with = With {
        removal: typed,
        ..With::default()
    };
    refused(state, session, which, with).await
}

/// The heading of a case about a member.
pub(super) fn quarantine_heading(
    bank: &BankName,
    id: MemberId,
    settings: &MemberSettings,
) -> String {
    match settings.mode {
        MemberMode::Quarantine => format!("Member {id} of bank {bank} is in quarantine"),
        _ => format!("Member {id} of bank {bank}"),
    }
}
