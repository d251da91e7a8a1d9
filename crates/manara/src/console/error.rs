//! What can go wrong between a reviewer and the console, each with a page that says what to do.

use super::memory::Draft;
use super::shell::{Notice, Shell};
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::SignedDuration;
use manara_store::StoreError;

/// A refusal, in terms of what the person in front of it can do.
#[derive(Debug)]
pub(super) enum Error {
    /// No session; a page was asked for, and is gone to after the login.
    LogIn {
        next: String,
    },
    /// No session; something was to be done, and was not.
    Ended,
    /// The form was not made for this session, or is from before a restart.
    StaleForm,
    /// The form came from another site.
    ForeignForm,
    /// The form could not be read.
    BadForm(String),
    NotFound(String),
    /// The address is for forms, or takes none.
    WrongMethod,
    /// Media may be seen only after an audited choice.
    NotRevealed,
    /// The role does not allow it; what it needs.
    NotAllowed(&'static str),
    /// The setup link was used, or was never right.
    SetupOver,
    TooManyAttempts(SignedDuration),
    /// Rules and banks are still being loaded.
    Loading,
    Store(StoreError),
    /// A fault of ours; the log has the detail.
    Internal(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what } => Self::NotFound(what),
            other => Self::Store(other),
        }
    }
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Internal(format!("a page could not be made: {error}"))
    }
}

pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) href: &'static str,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    heading: &'static str,
    problem: String,
    draft: Option<Draft>,
    links: Vec<Link>,
}

const OVERVIEW: Link = Link {
    name: "To the overview",
    href: "/",
};
const QUEUES: Link = Link {
    name: "To the queues",
    href: "/queues",
};
const LOGIN: Link = Link {
    name: "Log in",
    href: "/login",
};

impl Error {
    fn page(&self) -> (StatusCode, &'static str, String, Vec<Link>) {
        match self {
            Self::LogIn { .. } | Self::Ended => (
                StatusCode::UNAUTHORIZED,
                "Your session has ended",
                "Nothing was changed. Log in again and repeat what you did.".into(),
                vec![LOGIN],
            ),
            Self::StaleForm => (
                StatusCode::FORBIDDEN,
                "This form is too old",
                "It was made for another session, so nothing was changed. Open the page again and send the form from there.".into(),
                vec![OVERVIEW, QUEUES],
            ),
            Self::ForeignForm => (
                StatusCode::FORBIDDEN,
                "This did not come from the console",
                "The browser says that another site sent this form, so nothing was changed. If you came through a proxy, it has to pass on the `Host` header.".into(),
                vec![OVERVIEW],
            ),
            Self::BadForm(why) => (
                StatusCode::BAD_REQUEST,
                "The form could not be read",
                format!("{why}. Nothing was changed."),
                vec![OVERVIEW],
            ),
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                format!("No such {what}."),
                vec![OVERVIEW, QUEUES],
            ),
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Not this way",
                "This address belongs to a button on another page. Nothing was changed.".into(),
                vec![OVERVIEW],
            ),
            Self::NotRevealed => (
                StatusCode::FORBIDDEN,
                "This medium was not asked for",
                "Media are sent to the browser only after you press “Show” on a case’s page, which is recorded.".into(),
                vec![QUEUES],
            ),
            Self::NotAllowed(why) => (
                StatusCode::FORBIDDEN,
                "Your role does not allow this",
                format!("{why} Nothing was changed."),
                vec![OVERVIEW, QUEUES],
            ),
            Self::SetupOver => (
                StatusCode::GONE,
                "This setup link no longer works",
                "It works once, until the server restarts. If somebody else set up the administrator, ask them for a login; \
                 otherwise start the server again, or use `manara user add` on its machine."
                    .into(),
                vec![LOGIN],
            ),
            Self::TooManyAttempts(wait) => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many attempts",
                format!("Wait {} and try again.", super::view::span(*wait + SignedDuration::from_secs(1))),
                vec![LOGIN],
            ),
            Self::Loading => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not yet",
                "The server is still loading its rules and banks. Try again in a moment.".into(),
                vec![OVERVIEW],
            ),
            Self::Store(error @ (StoreError::Busy | StoreError::Full { .. } | StoreError::Closed)) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                format!("Nothing was changed: {error}."),
                vec![OVERVIEW],
            ),
            Self::Store(error @ (StoreError::Refused(_) | StoreError::Conflict(_))) => (
                StatusCode::CONFLICT,
                "Somebody was faster",
                format!("Nothing was changed: {error}."),
                vec![OVERVIEW, QUEUES],
            ),
            Self::Store(_) | Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The console failed",
                "Nothing was changed. The server’s log says why; ask whoever runs it.".into(),
                vec![OVERVIEW],
            ),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Self::LogIn { next } = &self {
            return Redirect::to(&super::login::login_href(next)).into_response();
        }
        if let Self::Internal(why) = &self {
            tracing::error!("console: {why}");
        }
        if let Self::Store(error) = &self {
            tracing::warn!("console: {error}");
        }
        let (status, heading, problem, links) = self.page();
        let mut response = refusal(status, heading, problem, None, links);
        if let Self::TooManyAttempts(wait) = self
            && let Ok(value) = HeaderValue::try_from((wait.as_secs() + 1).to_string())
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// A page for a refusal that carries what had been typed.
pub(super) fn refusal_keeping(error: &Error, draft: Draft) -> Response {
    let (status, heading, problem, links) = error.page();
    refusal(status, heading, problem, Some(draft), links)
}

fn refusal(
    status: StatusCode,
    heading: &'static str,
    problem: String,
    draft: Option<Draft>,
    links: Vec<Link>,
) -> Response {
    let shell = Shell::alone(heading, None::<Notice>);
    match (ErrorPage {
        shell,
        heading,
        problem,
        draft,
        links,
    })
    .render()
    {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => {
            tracing::error!("console: the error page could not be made: {error}");
            (status, heading).into_response()
        }
    }
}
