//! Coming in and going out: the first administrator's link, login, logout.

use super::memory::Draft;
use super::password::{self, LOGIN_BYTES_MAX, Refusal, new_reviewer};
use super::session::{
    Address, FORM_COOKIE, OwnForm, SESSION_COOKIE, Sent, Session, encode_token, form_token,
    hash_of, same, session_of, set_cookie, visitor,
};
use super::shell::{Notice, Shell, page};
use super::{ConsoleState, Error};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use manara_model::{Author, CaseId};
use manara_store::{NewSession, Role, StoreError};
use serde::Deserialize;

/// A session ends after this long however much it is used: two shifts.
const SESSION_MAX: SignedDuration = SignedDuration::from_hours(16);
/// Longest address to go on to after a login, in bytes.
const NEXT_BYTES_MAX: usize = 512;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    csrf: String,
    next: String,
    login: String,
    lead: &'static str,
    problem: Option<&'static str>,
    draft: Option<Draft>,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    shell: Shell,
    csrf: String,
    token: String,
    login: String,
    login_problem: Option<String>,
    password_problem: Option<String>,
    again_problem: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    next: String,
    done: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    draft_case: String,
    #[serde(default)]
    draft_outcome: String,
    #[serde(default)]
    draft_policy: String,
    #[serde(default)]
    draft_note: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct SetupQuery {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
pub(super) struct SetupForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// The login page that leads on to `next`.
pub(super) fn login_href(next: &str) -> String {
    match local(next) {
        "/" => "/login".to_owned(),
        next => format!("/login?next={}", percent_encode(next)),
    }
}

fn percent_encode(text: &str) -> String {
    let plain = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~')
    };
    text.bytes()
        .map(|byte| {
            if plain(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// An address within the console, or its front page.
fn local(next: &str) -> &str {
    let fits = next.len() <= NEXT_BYTES_MAX
        && next
            .bytes()
            .all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let leads_somewhere =
        !matches!(path, "/login" | "/logout" | "/setup") && !path.starts_with("/media/");
    if fits && next.starts_with('/') && !next.starts_with("//") && leads_somewhere {
        next
    } else {
        "/"
    }
}

/// `GET /login`
pub(super) async fn form(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
) -> Result<Response, Error> {
    if session_of(&state, &headers).await?.is_some() {
        return Ok(Redirect::to(local(&query.next)).into_response());
    }
    let asked = LoginForm {
        next: local(&query.next).to_owned(),
        ..LoginForm::empty()
    };
    login_page(
        &state,
        &headers,
        StatusCode::OK,
        asked,
        None,
        Notice::of(query.done.as_deref()),
    )
}

/// A login page in the middle of a decision: what was typed goes through it.
pub(super) fn login_keeping(
    state: &ConsoleState,
    headers: &HeaderMap,
    draft: Draft,
) -> Result<Response, Error> {
    let asked = LoginForm {
        next: format!("/cases/{}", draft.case),
        draft_case: draft.case,
        draft_outcome: draft.outcome,
        draft_policy: draft.policy,
        draft_note: draft.note,
        ..LoginForm::empty()
    };
    let ended = Notice {
        tone: "warn",
        text: "Your session has ended. Nothing was decided, and nothing you typed is lost.",
    };
    login_page(
        state,
        headers,
        StatusCode::UNAUTHORIZED,
        asked,
        None,
        Some(ended),
    )
}

impl LoginForm {
    fn empty() -> Self {
        Self {
            csrf: String::new(),
            login: String::new(),
            password: String::new(),
            next: "/".into(),
            draft_case: String::new(),
            draft_outcome: String::new(),
            draft_policy: String::new(),
            draft_note: String::new(),
        }
    }

    fn draft(&self) -> Option<Draft> {
        self.draft_case.parse::<CaseId>().ok().map(|case| Draft {
            case: case.to_string(),
            outcome: self.draft_outcome.clone(),
            policy: self.draft_policy.clone(),
            note: self.draft_note.clone(),
        })
    }
}

fn login_page(
    state: &ConsoleState,
    headers: &HeaderMap,
    status: StatusCode,
    asked: LoginForm,
    problem: Option<&'static str>,
    notice: Option<Notice>,
) -> Result<Response, Error> {
    let visitor = visitor(state, headers).unwrap_or_else(|| state.random());
    let page = page(&LoginPage {
        shell: Shell::alone("Log in", notice),
        csrf: form_token(state, &visitor),
        draft: asked.draft(),
        next: asked.next,
        login: asked.login,
        lead: "For reviewers of this platform. Everything you do here is recorded.",
        problem,
    })?;
    let cookie = set_cookie(state, FORM_COOKIE, Some(&encode_token(&visitor)));
    Ok((status, [(header::SET_COOKIE, cookie)], page).into_response())
}

/// `POST /login`
pub(super) async fn log_in(
    State(state): State<ConsoleState>,
    Address(address): Address,
    headers: HeaderMap,
    OwnForm(form): OwnForm<LoginForm>,
) -> Result<Response, Error> {
    let made_here = visitor(&state, &headers)
        .is_some_and(|visitor| same(&form_token(&state, &visitor), &form.csrf));
    if !made_here {
        let stale = "This page was open for too long, or the browser sends no cookies. Try again.";
        return login_page(
            &state,
            &headers,
            StatusCode::FORBIDDEN,
            form,
            Some(stale),
            None,
        );
    }
    let login: String = form.login.trim().chars().take(LOGIN_BYTES_MAX).collect();
    let now = state.now();
    if let Err(wait) = state.0.throttle.begin(&login, address, now) {
        return match form.draft() {
            Some(draft) => Ok(super::error::refusal_keeping(
                &Error::TooManyAttempts(wait),
                draft,
            )),
            None => Err(Error::TooManyAttempts(wait)),
        };
    }
    let asked = login.clone();
    let reviewer = state
        .read(move |reader| Ok(reader.reviewer(&asked)?))
        .await?;
    let enabled = reviewer.filter(|reviewer| reviewer.disabled_at.is_none());
    let known = enabled.is_some();
    let hash = enabled.map(|reviewer| reviewer.password_hash);
    if !password::verify(&state.0.checking, hash, form.password.clone()).await? {
        // Only for logins that exist: a stranger's guesses must not make the audit log grow.
        if known {
            let note = Some(format!("login {login}"));
            state
                .store()
                .write(move |tx| tx.note("session.refused", &Author::System, now, note))
                .await?;
        }
        let wrong = "Login or password is wrong.";
        return login_page(
            &state,
            &headers,
            StatusCode::UNAUTHORIZED,
            form,
            Some(wrong),
            None,
        );
    }
    state.0.throttle.succeeded(&login, address);
    let (hash, cookie) = open_session(&state, login, now).await?;
    let next = match form.draft() {
        Some(draft) => {
            let next = format!("/cases/{}#desk", draft.case);
            state.0.memory.keep_draft(hash, draft);
            next
        }
        None => local(&form.next).to_owned(),
    };
    Ok(going_on(&state, cookie, &next))
}

async fn open_session(
    state: &ConsoleState,
    login: String,
    now: Timestamp,
) -> Result<([u8; 32], HeaderValue), Error> {
    let token = state.random();
    let hash = hash_of(&token);
    let session = NewSession {
        token_hash: hash,
        login,
        csrf: encode_token(&state.random()),
        expires_at: now.checked_add(SESSION_MAX).unwrap_or(now),
    };
    state
        .store()
        .write(move |tx| tx.open_session(&session, now))
        .await?;
    Ok((
        hash,
        set_cookie(state, SESSION_COOKIE, Some(&encode_token(&token))),
    ))
}

/// On to the next page with a session cookie, and without the one that login forms use.
fn going_on(state: &ConsoleState, session: HeaderValue, next: &str) -> Response {
    let mut response = Redirect::to(next).into_response();
    response.headers_mut().append(header::SET_COOKIE, session);
    response
        .headers_mut()
        .append(header::SET_COOKIE, set_cookie(state, FORM_COOKIE, None));
    response
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

/// `POST /logout`
pub(super) async fn log_out(
    State(state): State<ConsoleState>,
    Sent { session, .. }: Sent<Nothing>,
) -> Result<Response, Error> {
    let (hash, now) = (session.hash, state.now());
    state
        .store()
        .write(move |tx| tx.close_session(&hash, now))
        .await?;
    state.0.memory.forget(hash);
    Ok(going_on(
        &state,
        set_cookie(&state, SESSION_COOKIE, None),
        "/login?done=logged_out",
    ))
}

/// `GET /setup?token=…`
pub(super) async fn setup_form(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    Query(query): Query<SetupQuery>,
) -> Result<Response, Error> {
    if !state.is_setup_token(&query.token) {
        return Err(Error::SetupOver);
    }
    let page = SetupPage::new(&state, &headers, query.token);
    setup_page(&state, StatusCode::OK, page)
}

impl SetupPage {
    fn new(state: &ConsoleState, headers: &HeaderMap, token: String) -> (Self, [u8; 32]) {
        let visitor = visitor(state, headers).unwrap_or_else(|| state.random());
        let page = Self {
            shell: Shell::alone("First administrator", None),
            csrf: form_token(state, &visitor),
            token,
            login: String::new(),
            login_problem: None,
            password_problem: None,
            again_problem: None,
        };
        (page, visitor)
    }
}

fn setup_page(
    state: &ConsoleState,
    status: StatusCode,
    (setup, visitor): (SetupPage, [u8; 32]),
) -> Result<Response, Error> {
    let cookie = set_cookie(state, FORM_COOKIE, Some(&encode_token(&visitor)));
    Ok((status, [(header::SET_COOKIE, cookie)], page(&setup)?).into_response())
}

/// `POST /setup`
pub(super) async fn set_up(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
    OwnForm(form): OwnForm<SetupForm>,
) -> Result<Response, Error> {
    if !state.is_setup_token(&form.token) {
        return Err(Error::SetupOver);
    }
    let made_here = visitor(&state, &headers)
        .is_some_and(|visitor| same(&form_token(&state, &visitor), &form.csrf));
    let (setup, visitor) = SetupPage::new(&state, &headers, form.token);
    let setup = SetupPage {
        login: form.login.clone(),
        ..setup
    };
    let refused =
        |setup: SetupPage| setup_page(&state, StatusCode::UNPROCESSABLE_ENTITY, (setup, visitor));
    if !made_here {
        let stale = "This page was open for too long, or the browser sends no cookies. Try again.";
        return refused(SetupPage {
            login_problem: Some(stale.into()),
            ..setup
        });
    }
    if form.password != form.again {
        let differ = "The two passwords differ.";
        return refused(SetupPage {
            again_problem: Some(differ.into()),
            ..setup
        });
    }
    let salt = state.random().first_chunk().copied().unwrap_or_default();
    let login = form.login.trim().to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        new_reviewer(&login, &form.password, Role::Admin, salt)
    });
    let reviewer = match hashing
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
    {
        Ok(reviewer) => reviewer,
        Err(refusal @ Refusal::Login(_)) => {
            return refused(SetupPage {
                login_problem: Some(super::text::plain(&refusal.to_string())),
                ..setup
            });
        }
        Err(refusal @ Refusal::Password(_)) => {
            return refused(SetupPage {
                password_problem: Some(refusal.to_string()),
                ..setup
            });
        }
        Err(Refusal::Hashing(why)) => return Err(Error::Internal(why)),
    };
    let now = state.now();
    match state
        .store()
        .write(move |tx| tx.create_first_reviewer(&reviewer, now))
        .await
    {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => {
            state.end_setup();
            return Err(Error::SetupOver);
        }
        Err(error) => return Err(error.into()),
    }
    state.end_setup();
    Ok(Redirect::to("/login?done=set_up").into_response())
}

impl Session {
    /// Who they are in the audit log.
    pub(super) fn author(&self) -> Author {
        Author::Reviewer(self.login.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_on_within_the_console_only() {
        for (next, expect) in [
            ("/cases/01?show=1", "/cases/01?show=1"),
            ("", "/"),
            ("//evil.example/x", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nSet-Cookie: x=1", "/"),
            ("/logout", "/"),
            ("/login?next=/", "/"),
            ("/media/00", "/"),
        ] {
            assert_eq!(local(next), expect, "{next:?}");
        }
        assert_eq!(
            login_href("/cases/1?a=b&c"),
            "/login?next=/cases/1%3Fa%3Db%26c"
        );
    }
}
