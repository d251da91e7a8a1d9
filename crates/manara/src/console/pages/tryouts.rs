//! Back-tests in the console: what a rule file would have done with what is kept, and what would be
//! different from the rules in force.

use super::rule_file::{book, file_name, may_change};
use super::typed::Typed;
use super::{ConsoleState, Page, PageQuery};
use crate::backtest::{Precision, Sample, Tallied};
use crate::console::assets::TRYOUT;
use crate::console::headers;
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::tryouts::{Asked, Ended, Found, Job, KEPT_MAX, Progress, Tryout};
use crate::console::view::{Bar, Count, When, counted, outcome_word, span};
use crate::console::{Error, text::plain};
use crate::rulebook::{FileName, Rulebook};
use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use manara_rules::RuleSet;
use manara_store::{Reader, rule_text_sha256};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rows of a spread that are shown; the rest is one row.
const ROWS_MAX: usize = 8;
/// Characters of a text shown with a sample.
const EXCERPT_CHARACTERS: usize = 200;

#[derive(Template)]
#[template(path = "tryouts.html")]
struct ListPage {
    shell: Shell,
    kept_max: usize,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    file: String,
    by: Html,
    at: When,
    over: String,
    tone: &'static str,
    word: &'static str,
}

#[derive(Template)]
#[template(path = "tryout.html")]
struct TryoutPage {
    shell: Shell,
    csrf: String,
    script: &'static str,
    may_change: bool,
    id: String,
    file: String,
    edited: bool,
    by: Html,
    at: When,
    since: When,
    until: When,
    /// Where it is, while it runs.
    running: Option<ProgressView>,
    cancelled: bool,
    failed: Option<Html>,
    found: Option<FoundView>,
    plain: Html,
    typed: Typed,
}

struct ProgressView {
    progress: Progress,
    words: String,
}

struct FoundView {
    took: String,
    events: Count,
    accounts: Count,
    rules: Vec<RuleView>,
    server_stopped: Option<StopView>,
    same: Count,
    is_same: bool,
    sides: Vec<TalliedView>,
}

struct RuleView {
    name: String,
    mode: String,
    tone: &'static str,
    policy: String,
    stopped: Option<StopView>,
    fired: TalliedView,
}

struct StopView {
    at: When,
    why: Html,
}

/// Events, and how they are spread.
struct TalliedView {
    /// Of headings within it.
    anchor: String,
    title: &'static str,
    none: &'static str,
    is_empty: bool,
    events: Count,
    accounts: Count,
    share: String,
    precision: PrecisionView,
    spreads: Vec<SpreadView>,
    curve: Curve,
    samples: Vec<SampleView>,
}

struct PrecisionView {
    share: String,
    words: String,
}

struct SpreadView {
    title: &'static str,
    rows: Vec<(Html, Count, Bar)>,
}

/// Events over time, drawn and as rows.
struct Curve {
    bars: Vec<u64>,
    words: String,
    rows: Vec<(When, Count)>,
}

struct SampleView {
    at: When,
    id: Html,
    source: Html,
    kind: Html,
    account: Option<Html>,
    excerpt: Option<Html>,
    actions: Vec<Html>,
    rules: Vec<String>,
    judged: Option<&'static str>,
    decision: Option<String>,
}

impl std::fmt::Display for Curve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let highest = self.bars.iter().copied().max().unwrap_or_default().max(1) as f64;
        let width = self.bars.len() * 10;
        write!(
            f,
            "<svg class=\"curve\" viewBox=\"0 0 {width} 62\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
            self.words
        )?;
        for (place, events) in self.bars.iter().enumerate().filter(|(_, n)| **n > 0) {
            let height = (*events as f64 * 60.0 / highest).max(1.0);
            let (x, y) = (place * 10, 60.0 - height);
            write!(
                f,
                "<rect x=\"{x}\" y=\"{y:.2}\" width=\"9\" height=\"{height:.2}\"/>"
            )?;
        }
        write!(f, "<path d=\"M0 61H{width}\"/></svg>")
    }
}
impl askama::filters::HtmlSafe for Curve {}

/// What became of starting a back-test.
pub(super) enum Started {
    /// It runs, under this identifier.
    Running(String),
    /// The rules do not check with this text.
    Mistakes,
    /// Another one runs.
    Busy,
}

/// A text that somebody wants to try.
pub(super) struct Wanted {
    pub(super) file: FileName,
    pub(super) text: String,
    pub(super) base: [u8; 32],
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

/// How far back `1d`, `7d` and `30d` are; a week, when nothing is chosen.
pub(super) fn length(span: &str) -> Result<SignedDuration, Error> {
    let days = match span {
        "1d" => 1,
        "" | "7d" => 7,
        "30d" => 30,
        _ => return Err(Error::BadForm("`span` is none of 1d, 7d, 30d".into())),
    };
    Ok(SignedDuration::from_hours(24 * days))
}

/// Starts a back-test of a text, as whoever may change rules.
pub(super) async fn start(
    state: &ConsoleState,
    session: &Session,
    book: Arc<Rulebook>,
    wanted: Wanted,
) -> Result<Started, Error> {
    may_change(session)?;
    let settings = state.settings().ok_or(Error::Loading)?;
    let old = book.rules();
    let (file, text) = (wanted.file.clone(), wanted.text.clone());
    let checked = state.check_rules(move || book.check(&file, text)).await?;
    let edited = checked.before.as_deref() != Some(wanted.text.as_str());
    let Ok(new) = checked.result else {
        return Ok(Started::Mistakes);
    };
    let asked = Asked {
        file: wanted.file,
        text: wanted.text,
        base: wanted.base,
        edited,
        since: wanted.since,
        until: wanted.until,
    };
    let id = hex::encode(state.random().get(..8).unwrap_or_default());
    let tryout = Tryout::new(id.clone(), asked, &session.login, state.now());
    let job = Job {
        store: state.store().clone(),
        author: session.author(),
        now: state.0.options.now,
        old,
        new: Arc::<RuleSet>::new(new),
        source: checked.source,
        settings,
    };
    Ok(match state.0.tryouts.start(&Arc::new(tryout), job) {
        Ok(()) => Started::Running(id),
        Err(_) => Started::Busy,
    })
}

/// Where a person goes after asking for one from a list.
fn after(file: &FileName, started: &Started) -> String {
    match started {
        Started::Running(id) => format!("/rules/tryouts/{id}"),
        Started::Mistakes => format!("/rules/files/{file}?done=not_tried"),
        Started::Busy => "/rules/tryouts?done=tryout_busy".to_owned(),
    }
}

#[derive(Deserialize)]
pub(in crate::console) struct TryForm {
    #[serde(default)]
    span: String,
    #[serde(default)]
    until: String,
}

/// `POST /rules/files/{file}/try`: the file as it is on disk.
pub(in crate::console) async fn try_file(
    State(state): State<ConsoleState>,
    Path(file): Path<String>,
    Sent { session, form }: Sent<TryForm>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let (file, book) = (file_name(&file)?, book(&state)?);
    let (of, reading) = (file.clone(), Arc::clone(&book));
    let text = state.check_rules(move || reading.text(&of)).await?;
    let text = text.ok_or_else(|| Error::NotFound(format!("rule file {file}")))?;
    let until = state.now();
    let wanted = Wanted {
        file: file.clone(),
        base: rule_text_sha256(&text),
        text,
        since: until - length(&form.span)?,
        until,
    };
    let started = start(&state, &session, book, wanted).await?;
    Ok(Redirect::to(&after(&file, &started)).into_response())
}

/// `GET /rules/tryouts`
pub(in crate::console) async fn list(
    State(state): State<ConsoleState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Page {
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let now = reading.now();
        let all = reading.0.tryouts.all();
        Ok(ListPage {
            shell: Shell::new(&reading, reader, &session, Here::Rules, "Back-tests")?
                .with(Notice::of(query.done.as_deref())),
            kept_max: KEPT_MAX,
            rows: all.iter().map(|it| row(it, now)).collect(),
        })
    };
    page(&state.read(read).await?)
}

fn row(it: &Tryout, now: Timestamp) -> Row {
    let (tone, word) = match it.ended().as_ref().map(|(_, how)| &**how) {
        None => ("go", "running"),
        Some(Ended::Found(_)) => ("good", "done"),
        Some(Ended::Cancelled) => ("", "cancelled"),
        Some(Ended::Failed(_)) => ("stop", "failed"),
    };
    Row {
        id: it.id.clone(),
        file: it.asked.file.to_string(),
        by: text::inline(&it.by),
        at: When::ago(it.started, now),
        over: over(&it.asked),
        tone,
        word,
    }
}

fn over(asked: &Asked) -> String {
    let of = if asked.edited { ", as edited" } else { "" };
    let length = span(asked.until.duration_since(asked.since));
    format!(
        "{length} up to {}{of}",
        asked.until.strftime("%-d %b %Y, %H:%M UTC")
    )
}

fn find(state: &ConsoleState, id: &str) -> Result<Arc<Tryout>, Error> {
    let found = state.0.tryouts.find(id);
    found.ok_or_else(|| {
        Error::NotFound(format!(
            "back-test: the last {KEPT_MAX} are remembered, until the server starts again"
        ))
    })
}

/// The text that a back-test was about, and the hash of the one that it began from.
pub(super) fn tried(
    state: &ConsoleState,
    file: &FileName,
    id: &str,
) -> Result<(String, [u8; 32]), Error> {
    let it = find(state, id)?;
    if it.asked.file != *file {
        return Err(Error::NotFound("back-test of this file".into()));
    }
    Ok((it.asked.text.clone(), it.asked.base))
}

/// `GET /rules/tryouts/{id}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Error> {
    let it = find(&state, &id)?;
    let notice = Notice::of(query.done.as_deref());
    render(
        &state,
        session,
        it,
        Typed::default(),
        notice,
        StatusCode::OK,
    )
    .await
}

async fn render(
    state: &ConsoleState,
    session: Session,
    it: Arc<Tryout>,
    typed: Typed,
    notice: Option<Notice>,
    status: StatusCode,
) -> Result<Response, Error> {
    let reading = state.clone();
    let read = move |reader: &Reader| read(&reading, reader, &session, &it, typed, notice);
    let page = page(&state.read(read).await?)?;
    let policy = [(header::CONTENT_SECURITY_POLICY, headers::WITH_EDITOR)];
    Ok((status, policy, page).into_response())
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    it: &Tryout,
    mut typed: Typed,
    notice: Option<Notice>,
) -> Result<TryoutPage, Error> {
    let ended = it.ended();
    let how = ended.as_ref().map(|(_, how)| &**how);
    let found = match (&ended, how) {
        (Some((at, _)), Some(Ended::Found(found))) => Some(found_view(
            reader,
            it,
            found,
            at.duration_since(it.started),
        )?),
        _ => None,
    };
    if !typed.has("span") {
        typed.set("span", "7d");
    }
    let file = it.asked.file.to_string();
    let title = format!("Back-test of {file}");
    Ok(TryoutPage {
        shell: Shell::new(state, reader, session, Here::Rules, title)?.with(notice),
        csrf: session.csrf.clone(),
        script: TRYOUT.as_str(),
        may_change: session.role.may_change_rules(),
        id: it.id.clone(),
        file,
        edited: it.asked.edited,
        by: text::inline(&it.by),
        at: When::exact(it.started),
        since: When::exact(it.asked.since),
        until: When::exact(it.asked.until),
        running: how.is_none().then(|| {
            let progress = it.progress();
            ProgressView {
                progress,
                words: words(progress),
            }
        }),
        cancelled: matches!(how, Some(Ended::Cancelled)),
        failed: match how {
            Some(Ended::Failed(why)) => Some(text::inline(why)),
            _ => None,
        },
        found,
        plain: text::verbatim(&it.asked.text),
        typed,
    })
}

fn words(progress: Progress) -> String {
    let step = if progress.is_second {
        "Step 2 of 2, what would be different"
    } else {
        "Step 1 of 2, what each rule would do"
    };
    match progress.total {
        0 => format!("{step}: banks and counters are made ready."),
        total => format!(
            "{step}: {} of {} looked at.",
            Count(progress.seen),
            counted(total, "event", "events")
        ),
    }
}

fn found_view(
    reader: &Reader,
    it: &Tryout,
    found: &Found,
    took: SignedDuration,
) -> Result<FoundView, Error> {
    let Found { each, whole } = found;
    let stop = |of: &[(String, Timestamp, String)], rule: &str| {
        let mut stopped = of.iter().filter(|(name, ..)| name == rule);
        stopped.next().map(|(_, at, why)| StopView {
            at: When::exact(*at),
            why: text::inline(why),
        })
    };
    let scale = Scale {
        since: it.asked.since,
        point: SignedDuration::from_secs(each.point_s),
        events: each.events,
    };
    let mut rules = Vec::with_capacity(each.rules.len());
    for (place, rule) in each.rules.iter().enumerate() {
        rules.push(RuleView {
            name: rule.rule.to_string(),
            tone: if rule.mode == "live" { "good" } else { "warn" },
            mode: rule.mode.clone(),
            policy: rule.policy.to_string(),
            stopped: stop(&each.stopped, rule.rule.as_str()),
            fired: tallied(
                reader,
                &rule.fired,
                &scale,
                ("", "It would have fired on nothing."),
                format!("rule-{place}"),
            )?,
        });
    }
    let nothing = crate::backtest::Difference::default();
    let difference = whole.difference.as_ref().unwrap_or(&nothing);
    let added = (
        "Done besides",
        "Nothing would be done that is not done now.",
    );
    let removed = (
        "Not done any more",
        "Everything that is done now would still be done.",
    );
    Ok(FoundView {
        took: match took.as_secs() {
            0 => "less than a second".to_owned(),
            _ => span(took),
        },
        events: Count(each.events),
        accounts: Count(each.accounts),
        rules,
        server_stopped: stop(&whole.stopped, "*"),
        same: Count(difference.same),
        is_same: difference.added.events + difference.removed.events == 0,
        sides: vec![
            tallied(reader, &difference.added, &scale, added, "added".into())?,
            tallied(
                reader,
                &difference.removed,
                &scale,
                removed,
                "removed".into(),
            )?,
        ],
    })
}

/// What a tally is seen against.
struct Scale {
    since: Timestamp,
    /// How long a point of a curve is.
    point: SignedDuration,
    /// All events of the time.
    events: u64,
}

fn tallied(
    reader: &Reader,
    it: &Tallied,
    scale: &Scale,
    (title, none): (&'static str, &'static str),
    anchor: String,
) -> Result<TalliedView, Error> {
    let spread = |title, rows: Vec<(String, u64)>| spread(title, rows, it.events);
    let named = |map: &std::collections::BTreeMap<String, u64>| {
        let mut rows: Vec<_> = map.iter().map(|(name, n)| (name.clone(), *n)).collect();
        rows.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        rows
    };
    let languages = named(&it.by_language).into_iter().map(|(code, n)| {
        let words = match code.as_str() {
            "und" => "not known",
            "none" => "no text",
            code => code,
        };
        (words.to_owned(), n)
    });
    let languages = languages.collect();
    // Ages keep their order: it is what the eye looks for.
    let ages = it.by_account_age.iter();
    let ages = ages.map(|(age, n)| (age.as_str().to_owned(), *n)).collect();
    let mut samples = Vec::with_capacity(it.samples.len());
    for sample in &it.samples {
        samples.push(sample_view(reader, sample)?);
    }
    Ok(TalliedView {
        anchor,
        title,
        none,
        is_empty: it.events == 0,
        events: Count(it.events),
        accounts: Count(it.accounts),
        share: share(it.events, scale.events),
        precision: precision(it.precision),
        spreads: vec![
            spread("Effects", named(&it.by_effect)),
            spread("Policies", named(&it.by_policy)),
            spread("Languages", languages),
            spread("Ages of accounts", ages),
        ],
        curve: curve(&it.over_time, scale),
        samples,
    })
}

/// A part of a whole in percent, with as many digits as it takes to tell it from nothing.
fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".to_owned(),
        _ => {
            let percent = part as f64 * 100.0 / whole as f64;
            if percent < 0.01 {
                "under 0.01 %".to_owned()
            } else if percent < 10.0 {
                format!("{percent:.2} %")
            } else {
                format!("{percent:.0} %")
            }
        }
    }
}

fn precision(it: Precision) -> PrecisionView {
    let all = it.confirmed + it.overturned;
    PrecisionView {
        share: it
            .share()
            .map_or_else(|| "unknown".to_owned(), |of| format!("{:.0} %", of * 100.0)),
        words: match all {
            0 => "people decided on none of these".to_owned(),
            _ => format!("{} of {} people decided", Count(it.confirmed), Count(all)),
        },
    }
}

fn spread(title: &'static str, mut rows: Vec<(String, u64)>, whole: u64) -> SpreadView {
    if rows.len() > ROWS_MAX {
        let rest = rows.split_off(ROWS_MAX - 1);
        let more = rest.len();
        rows.push((format!("{more} others"), rest.iter().map(|(_, n)| n).sum()));
    }
    let bar = |count| Bar {
        first: count,
        second: 0,
        whole: whole.max(count),
    };
    let rows = rows.into_iter();
    SpreadView {
        title,
        rows: rows
            .map(|(name, n)| (text::inline(&name), Count(n), bar(n)))
            .collect(),
    }
}

fn curve(over_time: &[u64], scale: &Scale) -> Curve {
    let mut at = scale.since;
    let mut rows = Vec::new();
    for events in over_time {
        if *events > 0 {
            rows.push((When::exact(at), Count(*events)));
        }
        at = at.saturating_add(scale.point).unwrap_or(at);
    }
    let mut bars = over_time.to_vec();
    bars.resize(over_time.len().max(61), 0);
    let highest = over_time.iter().copied().max().unwrap_or_default();
    Curve {
        words: format!(
            "Events over time: {} at most within {}",
            Count(highest),
            span(scale.point)
        ),
        bars,
        rows,
    }
}

fn sample_view(reader: &Reader, it: &Sample) -> Result<SampleView, Error> {
    let stored = reader.event(&it.source, &it.id)?;
    let excerpt = it.text.as_deref().filter(|text| !text.is_empty());
    Ok(SampleView {
        at: When::exact(it.received_at),
        id: text::inline(&it.id),
        source: text::inline(&it.source),
        kind: text::inline(&it.r#type),
        account: it.account.as_deref().map(text::inline),
        excerpt: excerpt.map(|words| text::excerpt(words, &[], EXCERPT_CHARACTERS)),
        actions: it.actions.iter().map(|it| text::inline(it)).collect(),
        rules: it.rules.clone(),
        judged: it.judged.map(outcome_word),
        decision: stored.map(|stored| stored.decision.id.to_string()),
    })
}

#[derive(Serialize)]
pub(in crate::console) struct ProgressAnswer {
    running: bool,
    seen: u64,
    total: u64,
    words: String,
}

/// `GET /rules/tryouts/{id}/progress`: how far it is, for the page's script.
pub(in crate::console) async fn progress(
    State(state): State<ConsoleState>,
    _session: Session,
    Path(id): Path<String>,
) -> Result<Json<ProgressAnswer>, Error> {
    let it = find(&state, &id)?;
    let progress = it.progress();
    Ok(Json(ProgressAnswer {
        running: it.ended().is_none(),
        seen: progress.seen,
        total: progress.total,
        words: words(progress),
    }))
}

#[derive(Deserialize)]
pub(in crate::console) struct Nothing {}

/// `POST /rules/tryouts/{id}/cancel`
pub(in crate::console) async fn cancel(
    State(state): State<ConsoleState>,
    Path(id): Path<String>,
    Sent { session, .. }: Sent<Nothing>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let it = find(&state, &plain(&id))?;
    it.cancel();
    Ok(Redirect::to(&format!("/rules/tryouts/{}", it.id)).into_response())
}

/// `POST /rules/tryouts/{id}/again`: the same text over another time.
pub(in crate::console) async fn again(
    State(state): State<ConsoleState>,
    Path(id): Path<String>,
    Sent { session, form }: Sent<TryForm>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let it = find(&state, &id)?;
    let length = length(&form.span)?;
    let mut typed = Typed::default();
    typed.set("span", form.span.as_str());
    typed.set("until", form.until.trim());
    let now = state.now();
    let until = typed.time("until", now).unwrap_or(now);
    if until > now {
        typed.refuse("until", "choose a time that is past");
    }
    let since = until.checked_sub(length);
    if since.is_err() {
        typed.refuse("until", "choose a later time");
    }
    let (Ok(since), false) = (since, typed.is_refused()) else {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return render(&state, session, it, typed, None, status).await;
    };
    let wanted = Wanted {
        file: it.asked.file.clone(),
        text: it.asked.text.clone(),
        base: it.asked.base,
        since,
        until,
    };
    let started = start(&state, &session, book(&state)?, wanted).await?;
    Ok(Redirect::to(&after(&it.asked.file, &started)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_not_nothing() {
        for (part, whole, expect) in [
            (0, 0, "0 %"),
            (0, 9, "0 %"),
            (1, 1_000_000, "under 0.01 %"),
            (1, 300, "0.33 %"),
            (1, 3, "33 %"),
        ] {
            assert_eq!(share(part, whole), expect);
        }
    }

    #[test]
    fn long_spreads_end_in_one_row() {
        let rows = (0..20).map(|n| (format!("l{n}"), 20 - n)).collect();
        let spread = spread("Languages", rows, 210);
        assert_eq!(spread.rows.len(), ROWS_MAX);
        let (name, count, _) = spread.rows.last().unwrap();
        assert!(name.to_string().contains("13 others"), "{name}");
        assert_eq!(count.0, 91);
    }
}
