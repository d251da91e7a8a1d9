//! The rules in force: what each did today, what is wrong with the files that are not in force, and
//! the way to change them.

use super::stops::{OpenStop, StopView, open_stops, stops_of};
use super::typed::Typed;
use super::{ConsoleState, Page};
use crate::console::did::{Days, Did, did};
use crate::console::session::{Sent, Session};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Count, When, counted};
use crate::console::{Error, OverviewExtra};
use crate::rule_schema;
use crate::rulebook::{BUILTIN_NAME, FileName, base_name};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use manara_model::RuleMode;
use manara_rules::{Rule, TestOutcome};
use manara_store::{Reader, RuleFileVersion};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Longest text to look for, in bytes.
const FIND_BYTES_MAX: usize = 200;

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    shell: Shell,
    csrf: String,
    lead: String,
    may_change: bool,
    read_only: Option<String>,
    approval: bool,
    proposals: u64,
    problems: Vec<ProblemView>,
    stops: Vec<OpenStop>,
    server_stopped: Vec<StopView>,
    missing_sets: Vec<Html>,
    tests: TestsView,
    tabs: Vec<Tab>,
    typed: Typed,
    rules: Vec<RuleRow>,
    files: Vec<FileRow>,
}

/// Why the files are not in force, and where.
struct ProblemView {
    text: Html,
    place: Option<Place>,
}

/// A line of a file that can be opened.
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u32,
}

struct TestsView {
    passed: String,
    failed: Vec<FailedTest>,
}

struct FailedTest {
    name: Html,
    place: Place,
}

/// A choice of rules by mode.
struct Tab {
    name: String,
    href: String,
    count: Count,
    current: bool,
}

struct RuleRow {
    name: String,
    version: u32,
    mode: String,
    tone: &'static str,
    policy: String,
    reason: Html,
    on: String,
    place: Option<Place>,
    file: Html,
    line: u32,
    cost: Count,
    text: Html,
    live: Count,
    shadow: Count,
    held: Count,
    days: Days,
    stopped: Vec<StopView>,
    actions: Vec<(String, Count)>,
    last: Option<When>,
}

struct FileRow {
    name: String,
    editable: bool,
    /// It has a history, and is not in the folder any more.
    /// Whether it is the schema, and no file of rules.
    schema: bool,
    gone: bool,
    rules: usize,
    version: Option<u32>,
    changed: Option<When>,
    by: Option<crate::console::view::By>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::console) struct RulesQuery {
    done: Option<String>,
    text: Option<String>,
    mode: Option<String>,
}

/// `GET /rules`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Query(query): Query<RulesQuery>,
) -> Page {
    render(state, session, query, Typed::default(), None).await
}

/// The page again, with what is wrong with a form that was to let a rule act again.
pub(super) async fn with_stop(state: ConsoleState, session: Session, stop: Typed) -> Page {
    let (query, typed) = (RulesQuery::default(), Typed::default());
    render(state, session, query, typed, Some(stop)).await
}

/// What the page shows of the folder, found out before the database is asked.
struct Gathered {
    extra: OverviewExtra,
    outcomes: Arc<Vec<TestOutcome>>,
    /// The files by the names they go by in diagnostics; `None` while that is not known.
    files: Option<Vec<String>>,
    read_only: Option<String>,
    approval: bool,
}

fn gather(state: &ConsoleState) -> Gathered {
    let (extra, book) = (state.overview(), state.rulebook());
    // A folder that cannot be read is among the problems already.
    let files = book.as_ref().and_then(|book| book.file_names().ok());
    Gathered {
        outcomes: state.test_outcomes(&extra),
        files,
        read_only: book.as_ref().and_then(|book| book.read_only()),
        approval: book.is_some_and(|book| book.approval()),
        extra,
    }
}

async fn render(
    state: ConsoleState,
    session: Session,
    query: RulesQuery,
    typed: Typed,
    stop: Option<Typed>,
) -> Page {
    let gathering = state.clone();
    let gathered = state.check_rules(move || Ok(gather(&gathering))).await?;
    let reading = state.clone();
    let read = move |reader: &Reader| {
        let stops = open_stops(reader, stop, reading.now())?;
        read(&reading, reader, &session, gathered, &query, typed, stops)
    };
    page(&state.read(read).await?)
}

/// `POST /rules/find`: on to the list of those that fit.
pub(in crate::console) async fn find(
    Sent { form, .. }: Sent<super::typed::Fields>,
) -> Result<Response, Error> {
    let typed = Typed::from(form);
    let to = address(typed.value("text"), typed.value("mode"));
    Ok(Redirect::to(&to).into_response())
}

/// The list of the rules that fit.
fn address(find: &str, mode: &str) -> String {
    let find = find.get(..find.floor_char_boundary(FIND_BYTES_MAX));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("text", find.unwrap_or_default()), ("mode", mode)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => "/rules".to_owned(),
        query => format!("/rules?{query}"),
    }
}

#[derive(Deserialize)]
pub(in crate::console) struct NewFile {
    #[serde(default)]
    name: String,
}

/// `POST /rules/files`: on to the editor of a file that is to be made.
pub(in crate::console) async fn make(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<NewFile>,
) -> Result<Response, Error> {
    super::rule_file::may_change(&session)?;
    let mut typed = Typed::default();
    let name = form.name.trim();
    typed.set("name", name);
    let name = if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.rules")
    };
    match name.parse::<FileName>() {
        Ok(name) => Ok(Redirect::to(&format!("/rules/files/{name}")).into_response()),
        Err(why) => {
            typed.refuse("name", why);
            let page = render(state, session, RulesQuery::default(), typed, None).await?;
            Ok((axum::http::StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    gathered: Gathered,
    query: &RulesQuery,
    mut typed: Typed,
    stops: Vec<OpenStop>,
) -> Result<RulesPage, Error> {
    let extra = gathered.extra;
    let now = state.now();
    let all = did(reader, now)?;
    let none = Did::default();
    let row = |rule: &Rule| {
        let did = all.get(&rule.name).unwrap_or(&none);
        Ok(row(rule, did, stops_of(reader, Some(&rule.name))?, now))
    };
    let find = query.text.as_deref().unwrap_or_default().trim();
    let mode = query.mode.as_deref().unwrap_or_default();
    typed.set("text", find);
    typed.set("mode", mode);
    let fits: Vec<&Rule> = extra.rules().iter().filter(|it| fits(it, find)).collect();
    let shown = fits
        .iter()
        .filter(|it| mode.is_empty() || it.mode.to_string() == mode);
    let proposals = reader.count_open_proposals()?;
    Ok(RulesPage {
        shell: Shell::new(state, reader, session, Here::Rules, "Rules")?
            .with(Notice::of(query.done.as_deref())),
        csrf: session.csrf.clone(),
        lead: lead(&extra),
        may_change: session.role.may_change_rules(),
        read_only: gathered.read_only,
        approval: gathered.approval,
        proposals,
        problems: extra.rule_problems.iter().map(|it| problem(it)).collect(),
        stops,
        server_stopped: stops_of(reader, None)?,
        missing_sets: super::sets::missing(&extra, reader)?,
        tests: tests(&gathered.outcomes),
        tabs: tabs(&fits, find, mode),
        typed,
        rules: shown.map(|rule| row(rule)).collect::<Result<_, Error>>()?,
        files: match &gathered.files {
            Some(names) => files(names, &extra, &reader.rule_files()?, now),
            None => Vec::new(),
        },
    })
}

fn lead(extra: &OverviewExtra) -> String {
    let rules = extra.rules();
    let of = |is: &dyn Fn(&Rule) -> bool| rules.iter().filter(|rule| is(rule)).count() as u64;
    let live = of(&|rule| crate::rulebook::acts(rule));
    let shadow = of(&|rule| rule.mode == RuleMode::Shadow);
    let idle = of(&|rule| matches!(rule.mode, RuleMode::Draft | RuleMode::Off));
    let all = counted(rules.len() as u64, "rule", "rules");
    let live = counted(live, "acts", "act");
    let mut out = format!("{all}: {live}");
    if shadow > 0 {
        let is = if shadow == 1 { "is" } else { "are" };
        let _ = write!(out, ", {shadow} {is} evaluated and recorded without effect");
    }
    if idle > 0 {
        let are = if idle == 1 {
            "is a draft"
        } else {
            "are drafts"
        };
        let _ = write!(out, ", {idle} {are} or off and not evaluated");
    }
    out.push('.');
    out
}

fn fits(rule: &Rule, find: &str) -> bool {
    let find = find.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&find);
    has(rule.name.as_str())
        || has(rule.policy.as_str())
        || has(&rule.reason)
        || has(base_name(&rule.source))
}

fn tabs(rules: &[&Rule], find: &str, mode: &str) -> Vec<Tab> {
    let mut modes: BTreeMap<String, u64> = BTreeMap::new();
    for rule in rules {
        *modes.entry(rule.mode.to_string()).or_default() += 1;
    }
    let tab = |name: &str, of: &str, count| Tab {
        name: name.to_owned(),
        href: address(find, of),
        count: Count(count),
        current: of == mode,
    };
    let all = tab("All", "", rules.len() as u64);
    let each = modes.iter().map(|(of, count)| tab(of, of, *count));
    std::iter::once(all).chain(each).collect()
}

/// What is wrong, with the place that it names, if that can be opened.
fn problem(said: &str) -> ProblemView {
    let place = said.lines().find_map(|line| {
        let mut parts = line.trim_start().strip_prefix("--> ")?.rsplitn(3, ':');
        let (_, line, path) = (parts.next()?, parts.next()?, parts.next()?);
        place(path, line.parse().ok()?)
    });
    ProblemView {
        text: text::verbatim(said),
        place,
    }
}

/// A line of a rule file, if its name is one that the editor opens.
pub(super) fn place(source: &str, line: u32) -> Option<Place> {
    let file = base_name(source).parse::<FileName>().ok()?;
    (source != BUILTIN_NAME).then(|| Place {
        file: file.to_string(),
        line,
    })
}

fn tests(outcomes: &[TestOutcome]) -> TestsView {
    let failed = outcomes.iter().filter(|it| !it.passed);
    let passed = outcomes.len() - failed.clone().count();
    TestsView {
        passed: match outcomes.len() {
            0 => "There is no test: a rule without one is a guess.".to_owned(),
            all if all == passed => format!("{} passed.", counted(passed as u64, "test", "tests")),
            all => format!(
                "{passed} of {} passed.",
                counted(all as u64, "test", "tests")
            ),
        },
        failed: failed
            .filter_map(|it| {
                Some(FailedTest {
                    name: text::inline(&it.name),
                    place: place(&it.source, it.line)?,
                })
            })
            .collect(),
    }
}

fn row(rule: &Rule, did: &Did, stopped: Vec<StopView>, now: Timestamp) -> RuleRow {
    RuleRow {
        name: rule.name.to_string(),
        version: rule.version,
        mode: rule.mode.to_string(),
        tone: if crate::rulebook::acts(rule) {
            "good"
        } else {
            "warn"
        },
        policy: rule.policy.to_string(),
        reason: text::inline(&rule.reason),
        on: if rule.on.is_empty() {
            "every event".to_owned()
        } else {
            rule.on.join(", ")
        },
        place: place(&rule.source, rule.line),
        file: text::inline(base_name(&rule.source)),
        line: rule.line,
        cost: Count(rule.cost.into()),
        text: text::verbatim(&rule.text),
        live: Count(did.live),
        shadow: Count(did.shadow),
        held: Count(did.held),
        days: did.days,
        stopped,
        actions: did
            .actions
            .iter()
            .map(|(kind, count)| (kind.clone(), Count(*count)))
            .collect(),
        last: did.last.map(|at| When::ago(at, now)),
    }
}

/// The files there are, then those that there were.
fn files(
    files: &[String],
    extra: &OverviewExtra,
    known: &[RuleFileVersion],
    now: Timestamp,
) -> Vec<FileRow> {
    let row = |name: &str, rules, newest: Option<&RuleFileVersion>| FileRow {
        name: name.to_owned(),
        editable: name.parse::<FileName>().is_ok(),
        schema: name == rule_schema::FILE,
        gone: false,
        rules,
        version: newest.map(|it| it.version),
        changed: newest.map(|it| When::ago(it.at, now)),
        by: newest.map(|it| (&it.author).into()),
    };
    let here = files.iter().map(|file| {
        let name = base_name(file);
        let rules = extra.rules().iter().filter(|it| it.source == *file);
        row(name, rules.count(), known.iter().find(|it| it.file == name))
    });
    let is_here = |it: &RuleFileVersion| files.iter().any(|file| base_name(file) == it.file);
    let gone = known.iter().filter(|it| !is_here(it)).map(|it| FileRow {
        gone: true,
        ..row(&it.file, 0, Some(it))
    });
    here.chain(gone).collect()
}
