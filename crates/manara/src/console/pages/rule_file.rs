//! One rule file: its editor, what is wrong with what is typed, its tests, and saving it.
//!
//! The page is complete without JavaScript: a text area, and buttons that answer with the page. With
//! it, the text area becomes an editor that asks [`check`], [`complete`] and [`test()`] as one types.

use super::ConsoleState;
use super::rule_diff::{DiffView, diff, merged};
use super::tryouts::{self, Started, Wanted};
use super::typed::{Fields, Typed, sentence};
use crate::console::assets::EDITOR;
use crate::console::headers;
use crate::console::language::{self, Completions, Marked};
use crate::console::session::{OwnForm, Sent, Session, WithCsrf, session_of};
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{By, When, counted};
use crate::console::{Error, OverviewExtra};
use crate::rulebook::{Change, Checked, FileName, Rulebook, Saved, Unsaved, base_name};
use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use manara_rules::assist::Around;
use manara_rules::{Diagnostic, Severity, TestOutcome};
use manara_store::{Proposal, Reader, RuleFileVersion, rule_text_sha256};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Largest form with a rule file in it, in bytes: 1 MiB in which every byte is percent-encoded.
pub(in crate::console) const FILE_FORM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most diagnostics shown on a page; there may be hundreds.
const DIAGNOSTICS_MAX: usize = 100;
/// Longest note, in characters.
const NOTE_CHARACTERS_MAX: usize = 1_000;

#[derive(Template)]
#[template(path = "rule_file.html")]
struct FilePage {
    shell: Shell,
    csrf: String,
    script: &'static str,
    file: String,
    exists: bool,
    newest: Option<VersionView>,
    may_change: bool,
    read_only: Option<String>,
    approval: bool,
    not_in_force: Option<&'static str>,
    base: String,
    text: String,
    plain: Html,
    line: Option<u32>,
    marks: String,
    diagnostics: Vec<DiagnosticView>,
    goes_live: Option<String>,
    tests: Option<TestsView>,
    conflict: Option<ConflictView>,
    typed: Typed,
}

#[derive(Template)]
#[template(path = "rule_kept.html")]
struct KeptPage {
    shell: Shell,
    heading: &'static str,
    file: String,
    text: String,
    note: String,
}

/// A version of a file, in words.
pub(super) struct VersionView {
    pub(super) version: u32,
    pub(super) at: When,
    pub(super) by: By,
    pub(super) note: Html,
    pub(super) has_note: bool,
    pub(super) proposal: Option<i64>,
    pub(super) is_now: bool,
}

impl From<&RuleFileVersion> for VersionView {
    fn from(it: &RuleFileVersion) -> Self {
        Self {
            version: it.version,
            at: When::exact(it.at),
            by: By::from(&it.author),
            note: text::inline(&it.note),
            has_note: !it.note.is_empty(),
            proposal: it.proposal,
            is_now: false,
        }
    }
}

struct DiagnosticView {
    tone: &'static str,
    severity: String,
    message: Html,
    hint: Option<Html>,
    place: Html,
}

struct TestsView {
    summary: String,
    rows: Vec<TestRow>,
}

struct TestRow {
    tone: &'static str,
    word: &'static str,
    name: Html,
    line: u32,
    detail: Option<Html>,
}

/// What two people did to one text.
struct ConflictView {
    heading: &'static str,
    who: String,
    /// Whether the text both began from is known.
    has_base: bool,
    /// Whether the editor holds both people's changes.
    merged: bool,
    theirs: DiffView,
    yours: Option<DiffView>,
    text: String,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::console) struct FileQuery {
    done: Option<String>,
    line: Option<u32>,
    proposal: Option<i64>,
    /// A back-test whose text is to be edited.
    tried: Option<String>,
}

/// Who may change rules.
pub(super) fn may_change(session: &Session) -> Result<(), Error> {
    if session.role.may_change_rules() {
        return Ok(());
    }
    Err(Error::NotAllowed(
        "Only people with the role policy or admin change rules.",
    ))
}

/// The name in an address.
pub(super) fn file_name(file: &str) -> Result<FileName, Error> {
    file.parse()
        .map_err(|why| Error::NotFound(format!("rule file {}: {why}", text::plain(file))))
}

/// The rules, unless they are still being loaded.
pub(super) fn book(state: &ConsoleState) -> Result<Arc<Rulebook>, Error> {
    state.rulebook().ok_or(Error::Loading)
}

/// A text as a form sends it: browsers end lines with CR LF whatever was typed.
fn typed_text(fields: &mut Fields) -> String {
    let text = fields.remove("text").unwrap_or_default();
    let text = text.replace("\r\n", "\n");
    match text.as_str() {
        "" => text,
        it if it.ends_with('\n') => text,
        _ => text + "\n",
    }
}

/// What a page about a file starts from.
struct Asked {
    book: Arc<Rulebook>,
    session: Session,
    file: FileName,
    typed: Typed,
    notice: Option<Notice>,
    line: Option<u32>,
}

/// What is in the editor.
enum Text {
    /// What the file holds.
    AsItIs,
    /// What somebody typed, begun from the text with this hash.
    Typed { text: String, base: [u8; 32] },
    /// The same, and its tests.
    Played { text: String, base: [u8; 32] },
}

/// `GET /rules/files/{file}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(file): Path<String>,
    Query(query): Query<FileQuery>,
) -> Result<Response, Error> {
    let asked = Asked {
        book: book(&state)?,
        file: file_name(&file)?,
        typed: Typed::default(),
        notice: Notice::of(query.done.as_deref()),
        line: query.line,
        session,
    };
    let proposal = match query.proposal {
        None => None,
        Some(id) => {
            let found = state.read(move |reader| Ok(reader.proposal(id)?)).await?;
            Some(found.ok_or_else(|| Error::NotFound(format!("proposal {id}")))?)
        }
    };
    let mut text = proposal.map_or(Text::AsItIs, |Proposal { text, base, .. }| Text::Typed {
        text,
        base,
    });
    if let Some(id) = query.tried {
        let (tried, base) = super::tryouts::tried(&state, &asked.file, &id)?;
        text = Text::Typed { text: tried, base };
    }
    render(&state, asked, text, StatusCode::OK).await
}

/// `POST /rules/files/{file}`: saves the text, or says what is wrong with it and what its tests come to.
pub(in crate::console) async fn save(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    Path(file): Path<String>,
    OwnForm(WithCsrf { csrf, form }): OwnForm<WithCsrf<Fields>>,
) -> Result<Response, Error> {
    let mut fields: Fields = form;
    let file = file_name(&file)?;
    let text = typed_text(&mut fields);
    let mut typed = Typed::from(fields);
    let session = match session_of(&state, &headers).await? {
        Some(session) if session.owns(&csrf) => session,
        // Whoever logs in again must not find an empty page where an hour's work was.
        other => return kept(&file, text, &typed, other.is_some()),
    };
    may_change(&session)?;
    let base = hex::decode(typed.value("base")).ok();
    let base: [u8; 32] = base
        .and_then(|base| base.try_into().ok())
        .ok_or_else(|| Error::BadForm("It does not say which text it began from".into()))?;
    if typed.value("note").chars().count() > NOTE_CHARACTERS_MAX {
        typed.refuse(
            "note",
            format!("use at most {NOTE_CHARACTERS_MAX} characters"),
        );
    }
    let play = typed.is("do", "test");
    let asked = Asked {
        book: book(&state)?,
        file,
        typed,
        notice: None,
        line: None,
        session,
    };
    if asked.typed.is("do", "try") {
        return try_out(&state, asked, text, base).await;
    }
    if play {
        return render(&state, asked, Text::Played { text, base }, StatusCode::OK).await;
    }
    if asked.typed.is_refused() {
        let text = Text::Typed { text, base };
        return render(&state, asked, text, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let note = asked.typed.value("note").to_owned();
    put(&state, asked, text, base, note).await
}

/// Starts a back-test of what was typed, or says why not, with the text still in place.
async fn try_out(
    state: &ConsoleState,
    mut asked: Asked,
    text: String,
    base: [u8; 32],
) -> Result<Response, Error> {
    let until = state.now();
    let wanted = Wanted {
        file: asked.file.clone(),
        text: text.clone(),
        base,
        since: until - tryouts::length(asked.typed.value("span"))?,
        until,
    };
    let book = Arc::clone(&asked.book);
    let (status, done) = match tryouts::start(state, &asked.session, book, wanted).await? {
        Started::Running(id) => {
            return Ok(Redirect::to(&format!("/rules/tryouts/{id}")).into_response());
        }
        Started::Mistakes => (StatusCode::UNPROCESSABLE_ENTITY, "not_tried"),
        Started::Busy => (StatusCode::CONFLICT, "tryout_busy"),
    };
    asked.notice = Notice::of(Some(done));
    render(state, asked, Text::Typed { text, base }, status).await
}

/// Saves, and goes on to what came of it.
async fn put(
    state: &ConsoleState,
    asked: Asked,
    text: String,
    base: [u8; 32],
    note: String,
) -> Result<Response, Error> {
    let change = Change {
        file: asked.file.clone(),
        base,
        text: text.clone(),
        note,
        author: asked.session.author(),
        at: state.now(),
    };
    match asked.book.save(state.store(), change).await {
        Ok(saved) => Ok(Redirect::to(&after(&asked.file, &saved)).into_response()),
        Err(unsaved) => refused(state, asked, text, base, unsaved).await,
    }
}

/// Where a person goes after saving.
pub(super) fn after(file: &FileName, saved: &Saved) -> String {
    let done = match saved {
        Saved::Proposed(id) => return format!("/rules/proposals/{id}?done=proposed"),
        Saved::InForce(_) => "rules_saved",
        Saved::Kept(_) => "rules_kept",
        Saved::Unchanged => "unchanged",
    };
    format!("/rules/files/{file}?done={done}")
}

/// The page again, with what was typed and why it was not saved.
async fn refused(
    state: &ConsoleState,
    mut asked: Asked,
    text: String,
    base: [u8; 32],
    unsaved: Unsaved,
) -> Result<Response, Error> {
    let status = match unsaved {
        Unsaved::Store(error) => return Err(error.into()),
        Unsaved::Failed(error) => return Err(Error::Internal(format!("{error:#}"))),
        Unsaved::Changed => StatusCode::CONFLICT,
        Unsaved::Mistakes(_) => {
            asked.notice = Some(Notice {
                tone: "stop",
                text: "Nothing was saved: the rules do not check with this text. What is wrong is listed under it.",
            });
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Unsaved::ReadOnly(why) => {
            asked
                .typed
                .refuse("note", sentence(&format!("nothing was saved: {why}")));
            StatusCode::UNPROCESSABLE_ENTITY
        }
    };
    render(state, asked, Text::Typed { text, base }, status).await
}

fn kept(file: &FileName, text: String, typed: &Typed, stale: bool) -> Result<Response, Error> {
    let kept = KeptPage {
        shell: Shell::alone("Your text", None),
        heading: if stale {
            "This form is too old"
        } else {
            "Your session has ended"
        },
        file: file.to_string(),
        text,
        note: text::plain(typed.value("note")),
    };
    let status = if stale {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::UNAUTHORIZED
    };
    Ok((status, page(&kept)?).into_response())
}

/// A file as it is and as it would be, found out before the database is asked: checking takes time.
struct Looked {
    /// What the file holds; `None` when there is none.
    now: Option<String>,
    /// What the editor shows.
    text: String,
    /// What was typed, where the file has changed since.
    late: Option<Late>,
    checked: Checked,
    tests: Option<TestsView>,
}

/// A text that began from another one than the file has now.
struct Late {
    yours: String,
    /// The text it began from, if that was ever in force.
    base: Option<String>,
    /// Whether what the editor shows has both changes in it.
    merged: bool,
}

fn look(
    book: &Rulebook,
    file: &FileName,
    text: Text,
    began_from: Option<String>,
) -> anyhow::Result<Looked> {
    let now = book.text(file)?;
    let is = now.as_deref().unwrap_or_default();
    let play = matches!(text, Text::Played { .. });
    let (text, late) = match text {
        Text::AsItIs => (is.to_owned(), None),
        Text::Typed { text, base } | Text::Played { text, base } => {
            if base == rule_text_sha256(is) {
                (text, None)
            } else {
                let both = began_from.as_deref();
                let both = both.and_then(|base| merged(base, is, &text));
                let late = Late {
                    yours: text,
                    base: began_from,
                    merged: both.is_some(),
                };
                (both.unwrap_or_else(|| is.to_owned()), Some(late))
            }
        }
    };
    let checked = book.check(file, text.clone())?;
    Ok(Looked {
        tests: play.then(|| tests(&checked)),
        now,
        text,
        late,
        checked,
    })
}

async fn render(
    state: &ConsoleState,
    asked: Asked,
    text: Text,
    status: StatusCode,
) -> Result<Response, Error> {
    let is_new = matches!(text, Text::AsItIs);
    let began_from = match text {
        Text::AsItIs => None,
        Text::Typed { base, .. } | Text::Played { base, .. } => {
            let file = asked.file.clone();
            let read = move |reader: &Reader| Ok(reader.rule_file_of(file.as_str(), &base)?);
            let found = state.read(read).await?.map(|(_, text)| text);
            // Before its first text, a file has none.
            found.or((base == rule_text_sha256("")).then(String::new))
        }
    };
    let looked = {
        let (book, file) = (Arc::clone(&asked.book), asked.file.clone());
        let looking = move || look(&book, &file, text, began_from);
        state.check_rules(looking).await?
    };
    if is_new && looked.now.is_none() {
        may_change(&asked.session)
            .map_err(|_| Error::NotFound(format!("rule file {}", asked.file)))?;
    }
    let reading = state.clone();
    let read = move |reader: &Reader| read(&reading, reader, asked, looked);
    let page = page(&state.read(read).await?)?;
    let policy = [(header::CONTENT_SECURITY_POLICY, headers::WITH_EDITOR)];
    Ok((status, policy, page).into_response())
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    asked: Asked,
    looked: Looked,
) -> Result<FilePage, Error> {
    let Asked {
        book,
        session,
        file,
        typed,
        notice,
        line,
    } = asked;
    let Looked {
        now,
        text,
        late,
        checked,
        tests,
    } = looked;
    let newest = reader.newest_rule_file(file.as_str())?;
    let is = now.clone().unwrap_or_default();
    let conflict = late.map(|late| conflict(late, &is, newest.as_ref()));
    let marks = language::diagnostics(&text, of_file(&checked));
    Ok(FilePage {
        shell: Shell::new(state, reader, &session, Here::Rules, file.as_str())?.with(notice),
        csrf: session.csrf.clone(),
        script: EDITOR.as_str(),
        exists: now.is_some(),
        newest: newest.as_ref().map(VersionView::from),
        may_change: session.role.may_change_rules(),
        read_only: book.read_only(),
        approval: book.approval(),
        not_in_force: not_in_force(&state.overview(), newest.as_ref(), now.as_deref()),
        base: hex::encode(rule_text_sha256(&is)),
        plain: text::verbatim(&text),
        line,
        marks: serde_json::to_string(&marks).unwrap_or_default(),
        diagnostics: all(&checked)
            .take(DIAGNOSTICS_MAX)
            .map(diagnostic)
            .collect(),
        goes_live: goes_live(&checked, book.approval()),
        tests,
        conflict,
        typed,
        file: file.to_string(),
        text,
    })
}

/// Why the file as it is on disk is not what works.
fn not_in_force(
    extra: &OverviewExtra,
    newest: Option<&RuleFileVersion>,
    now: Option<&str>,
) -> Option<&'static str> {
    if extra.rule_problems.is_empty() {
        return None;
    }
    let is_new = |now| newest.is_none_or(|it| it.sha256 != rule_text_sha256(now));
    let changed = now.is_some_and(is_new);
    Some(if changed {
        "This file as it is on disk is not in force: somebody changed it outside the console, or saved it half-way, and the rules do not check. What it held before goes on working; it is in the history."
    } else {
        "Another file does not check, so changes of this one are not in force before that is mended. The list of rules says which."
    })
}

fn conflict(late: Late, theirs: &str, newest: Option<&RuleFileVersion>) -> ConflictView {
    let Late {
        yours,
        base,
        merged,
    } = late;
    let base = base.as_deref();
    let by = newest.filter(|it| it.sha256 == rule_text_sha256(theirs));
    let who = by.map_or_else(
        || "It was changed on disk.".to_owned(),
        |it| {
            let by = match &it.author {
                manara_model::Author::Reviewer(login) => text::plain(login),
                _ => "somebody outside the console".to_owned(),
            };
            let note = match it.note.as_str() {
                "" => String::new(),
                note => format!(" (“{}”)", text::plain(note)),
            };
            format!("{by} saved version {}{note}.", it.version)
        },
    );
    ConflictView {
        heading: "Somebody else changed this file meanwhile",
        who,
        has_base: base.is_some(),
        merged,
        theirs: diff(
            base.unwrap_or(theirs),
            base.map_or(yours.as_str(), |_| theirs),
        ),
        yours: base.map(|base| diff(base, &yours)),
        text: yours,
    }
}

/// All that is wrong, or probably wrong, with the rules as they would be: this file's first.
fn all(checked: &Checked) -> impl Iterator<Item = &Diagnostic> {
    let found: &[Diagnostic] = match &checked.result {
        Ok(rules) => rules.warnings(),
        Err(found) => found,
    };
    let here = found.iter().filter(|it| it.source == checked.source);
    let elsewhere = found
        .iter()
        .filter(|it| it.source != checked.source && it.severity == Severity::Error);
    here.chain(elsewhere)
}

fn of_file(checked: &Checked) -> impl Iterator<Item = &Diagnostic> {
    all(checked).filter(|it| it.source == checked.source)
}

fn diagnostic(it: &Diagnostic) -> DiagnosticView {
    let place = format!("{}:{}:{}", base_name(&it.source), it.line(), it.column());
    DiagnosticView {
        tone: match it.severity {
            Severity::Error => "stop",
            Severity::Warning => "warn",
        },
        severity: it.severity.to_string(),
        message: text::inline(&it.message),
        hint: it.hint.as_deref().map(text::inline),
        place: text::inline(&place),
    }
}

/// What would act that does not act so now, in words.
fn goes_live(checked: &Checked, approval: bool) -> Option<String> {
    let rules = &checked.going_live;
    let changed = checked.before.as_deref().is_none_or(|before| {
        let after = checked.sources.iter().find(|it| it.name == checked.source);
        after.is_none_or(|after| after.text != before)
    });
    if rules.is_empty() || checked.mistaken || !changed {
        return None;
    }
    let some: Vec<&str> = rules.iter().take(20).map(String::as_str).collect();
    let more = match rules.len() - some.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let then = if approval {
        "Saving it proposes it to a second person."
    } else {
        "They act as soon as it is saved."
    };
    let count = counted(rules.len() as u64, "rule goes", "rules go");
    Some(format!(
        "{count} live with this: {}{more}. {then}",
        some.join(", ")
    ))
}

/// The outcomes of the tests of one file.
fn outcomes(checked: &Checked) -> Vec<TestOutcome> {
    let Ok(rules) = &checked.result else {
        return Vec::new();
    };
    let mut outcomes = rules.run_tests();
    outcomes.retain(|it| it.source == checked.source);
    outcomes
}

fn summary(checked: &Checked, outcomes: &[TestOutcome]) -> String {
    let passed = outcomes.iter().filter(|it| it.passed).count();
    match (&checked.result, outcomes.len()) {
        (Err(_), _) => "The tests were not run: the rules do not check.".to_owned(),
        (_, 0) => "This file has no test: a rule without one is a guess.".to_owned(),
        (_, all) if all == passed => {
            format!("{} passed.", counted(all as u64, "test", "tests"))
        }
        (_, all) => format!(
            "{passed} of {} passed.",
            counted(all as u64, "test", "tests")
        ),
    }
}

/// What the tests of one file come to, in a sentence.
pub(super) fn tests_in_words(checked: &Checked) -> String {
    summary(checked, &outcomes(checked))
}

fn tests(checked: &Checked) -> TestsView {
    let outcomes = outcomes(checked);
    TestsView {
        summary: summary(checked, &outcomes),
        rows: outcomes
            .iter()
            .map(|it| TestRow {
                tone: if it.passed { "good" } else { "stop" },
                word: if it.passed { "passed" } else { "failed" },
                name: text::inline(&it.name),
                line: it.line,
                detail: (!it.detail.is_empty()).then(|| text::verbatim(&it.detail)),
            })
            .collect(),
    }
}

// --- What the editor asks ---------------------------------------------------------------------------

#[derive(Deserialize)]
pub(in crate::console) struct Edited {
    file: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    offset: String,
}

#[derive(Serialize)]
pub(in crate::console) struct CheckAnswer {
    diagnostics: Vec<Marked>,
    /// Errors in other files, as text.
    elsewhere: Vec<String>,
    goes_live: Option<String>,
}

/// `POST /rules/check`: what is wrong with all rules as they would be with this text.
pub(in crate::console) async fn check(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<Edited>,
) -> Result<Json<CheckAnswer>, Error> {
    let text = form.text.clone();
    let (checked, approval) = checked(&state, &session, form).await?;
    let found: Vec<&Diagnostic> = of_file(&checked).collect();
    let elsewhere = all(&checked).filter(|it| it.source != checked.source);
    Ok(Json(CheckAnswer {
        diagnostics: language::diagnostics(&text, found),
        elsewhere: elsewhere
            .take(DIAGNOSTICS_MAX)
            .map(|it| {
                let file = base_name(&it.source);
                format!("{file}:{}:{}: {}", it.line(), it.column(), it.message)
            })
            .collect(),
        goes_live: goes_live(&checked, approval),
    }))
}

#[derive(Serialize)]
pub(in crate::console) struct TestAnswer {
    summary: String,
    tests: Vec<TestJson>,
}

#[derive(Serialize)]
struct TestJson {
    name: String,
    line: u32,
    passed: bool,
    detail: String,
}

/// `POST /rules/test`: what the tests of this text come to.
pub(in crate::console) async fn test(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<Edited>,
) -> Result<Json<TestAnswer>, Error> {
    let (checked, _) = checked(&state, &session, form).await?;
    let playing = move || {
        let outcomes = outcomes(&checked);
        Ok(TestAnswer {
            summary: summary(&checked, &outcomes),
            tests: outcomes
                .into_iter()
                .map(|it| TestJson {
                    name: text::plain(&it.name),
                    line: it.line,
                    passed: it.passed,
                    detail: it.detail,
                })
                .collect(),
        })
    };
    state.check_rules(playing).await.map(Json)
}

async fn checked(
    state: &ConsoleState,
    session: &Session,
    form: Edited,
) -> Result<(Checked, bool), Error> {
    may_change(session)?;
    let (book, file) = (book(state)?, file_name(&form.file)?);
    let approval = book.approval();
    let checking = move || book.check(&file, form.text.replace("\r\n", "\n"));
    Ok((state.check_rules(checking).await?, approval))
}

/// `POST /rules/complete`: what may stand at a place of this text.
pub(in crate::console) async fn complete(
    State(state): State<ConsoleState>,
    Sent { session, form }: Sent<Edited>,
) -> Result<Json<Completions>, Error> {
    may_change(&session)?;
    let offset = form.offset.parse();
    let offset: usize =
        offset.map_err(|_| Error::BadForm("`offset` is not a whole number".into()))?;
    let (book, file) = (book(&state)?, file_name(&form.file)?);
    let read = |reader: &Reader| Ok((reader.banks()?, reader.set_list()?));
    let (banks, sets) = state.read(read).await?;
    let completing = move || {
        let (schema, other_sources) = book.beside(&file)?;
        let banks: Vec<String> = banks.iter().map(|it| it.name.to_string()).collect();
        let sets: Vec<String> = sets.iter().map(|it| it.name.to_string()).collect();
        let around = Around {
            schema: &schema,
            banks: &banks,
            sets: &sets,
            other_sources: &other_sources,
        };
        Ok(language::complete(&form.text, offset, &around))
    };
    state.check_rules(completing).await.map(Json)
}

// --- Returning to an earlier version ----------------------------------------------------------------

#[derive(Deserialize)]
pub(in crate::console) struct ReturnForm {
    #[serde(default)]
    version: String,
    #[serde(default)]
    base: String,
}

/// `POST /rules/files/{file}/return`: the text of an earlier version becomes the newest one.
pub(in crate::console) async fn go_back(
    State(state): State<ConsoleState>,
    Path(file): Path<String>,
    Sent { session, form }: Sent<ReturnForm>,
) -> Result<Response, Error> {
    may_change(&session)?;
    let file = file_name(&file)?;
    let version = form.version.parse();
    let version: u32 =
        version.map_err(|_| Error::BadForm("It names no version to return to".into()))?;
    let of = file.clone();
    let found = state
        .read(move |reader| Ok(reader.rule_file(of.as_str(), version)?))
        .await?;
    let (_, text) = found.ok_or_else(|| Error::NotFound(format!("version {version} of {file}")))?;
    let base = hex::decode(&form.base).ok();
    let base: [u8; 32] = base
        .and_then(|base| base.try_into().ok())
        .ok_or_else(|| Error::BadForm("It does not say which text it began from".into()))?;
    let asked = Asked {
        book: book(&state)?,
        session,
        file,
        typed: Typed::default(),
        notice: None,
        line: None,
    };
    put(
        &state,
        asked,
        text,
        base,
        format!("return to version {version}"),
    )
    .await
}
