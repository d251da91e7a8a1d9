//! The console: where people decide.
//!
//! Server-rendered pages that are complete without JavaScript. The address bar, the back button and a
//! text browser all work, and the content security policy allows no script but on two pages: that of a
//! rule file, whose text area becomes an editor, and that of a back-test, which follows how far it is.
//!
//! ```text
//! request ─ headers ─┬─ static files
//!                    ├─ login, setup ── throttle ── password
//!                    └─ session ── csrf ── pages ── view + text ── templates/
//! ```
//!
//! | file | what |
//! |---|---|
//! | `pages/` | one file for each page of the navigation: what it reads, shows and does |
//! | `text` | how somebody else's text is put on a page; the only way to print it |
//! | `view` `shell` `error` | times, counts, bars; the frame; what is said when something fails |
//! | `session` `login` `password` `throttle` `memory` | who is here, and what is remembered of them |
//! | `language` `did` | what the editor of rules is told; what each rule did |
//! | `tryouts` | back-tests in the background |
//! | `headers` `assets` | what the browser may do; the style sheet and the editor |
//!
//! Media are never part of a page until the reviewer asks: the reveal is a form, its audit leaf is
//! written first, and only then does a page hold an `<img>`.

mod assets;
mod did;
mod error;
mod headers;
mod language;
mod login;
mod memory;
mod pages;
mod password;
mod session;
mod shell;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod throttle;
mod tryouts;
mod view;

use crate::past::CounterStatus;
use crate::recent::Recent;
use crate::rulebook::Rulebook;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use error::Error;
use jiff::Timestamp;
use manara_model::DecisionId;
use manara_rules::{Rule, RuleSet, Settings, TestOutcome};
use manara_store::{Reader, Store};
use memory::Memory;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq;
use throttle::Throttle;
use tokio::sync::Semaphore;
use tryouts::Tryouts;

pub(crate) use pages::similar::SimilarCluster;
pub(crate) use password::new_reviewer;

/// Largest form, in bytes: a note of 8 KiB in which every byte is percent-encoded, ten times over.
const FORM_BYTES_MAX: usize = 256 * 1024;

/// What the console needs from the server.
pub(crate) struct ConsoleOptions {
    /// The database.
    pub(crate) store: Store,
    /// The secret of the link that makes the first administrator, while there is none.
    pub(crate) setup_token: Option<String>,
    /// Whether reviewers come over HTTPS, so that cookies may insist on it.
    pub(crate) secure_cookies: bool,
    /// The clock.
    pub(crate) now: fn() -> Timestamp,
    /// 32 bytes from the operating system's generator.
    pub(crate) random: fn() -> [u8; 32],
    /// What the database does not know.
    pub(crate) overview: Arc<dyn Fn() -> OverviewExtra + Send + Sync>,
    /// The rules as they are kept and changed; `None` while they are being loaded.
    pub(crate) rulebook: Arc<dyn Fn() -> Option<Arc<Rulebook>> + Send + Sync>,
    /// How rules count and how often they may act, for back-tests; `None` while they are being loaded.
    pub(crate) settings: Arc<dyn Fn() -> Option<Settings> + Send + Sync>,
    /// What each counter holds; `None` while rules are being loaded.
    pub(crate) counters: Arc<dyn Fn() -> Option<Vec<CounterStatus>> + Send + Sync>,
    /// How far back "recently seen" goes.
    pub(crate) recent: Recent,
    /// Near-identical uploads among what was recently seen, the largest clusters first. Takes seconds.
    pub(crate) similar: Arc<Similar>,
}

/// Gives the clusters of near-identical uploads.
pub(crate) type Similar = dyn Fn() -> anyhow::Result<Vec<SimilarCluster>> + Send + Sync;

/// What the pages show that is not in the database.
#[derive(Default)]
pub(crate) struct OverviewExtra {
    /// The rules in force; `None` while they are being loaded.
    pub(crate) rules: Option<Arc<RuleSet>>,
    /// Why the rule files as they are now are not in force. Empty when they are.
    pub(crate) rule_problems: Vec<String>,
}

impl OverviewExtra {
    fn rules(&self) -> &[Rule] {
        self.rules.as_ref().map_or(&[], |rules| rules.rules())
    }
}

/// What requests to the console share. Clones are cheap.
#[derive(Clone)]
pub(crate) struct ConsoleState(Arc<Inner>);

struct Inner {
    options: ConsoleOptions,
    /// The hash of the setup link's secret, until it is used.
    setup: Mutex<Option<[u8; 32]>>,
    /// What forms on pages without a session are bound to. A restart makes them stale.
    form_secret: [u8; 32],
    throttle: Throttle,
    memory: Memory,
    /// How many passwords are checked at once: each takes 19 MiB for some tens of milliseconds.
    checking: Arc<Semaphore>,
    /// Who may read all that was recently seen: one at a time.
    looking: Semaphore,
    /// How many texts of rules are checked at once.
    checking_rules: Semaphore,
    tryouts: Tryouts,
    /// What the tests of these rules came to.
    tested: Mutex<Option<Tested>>,
}

/// Rules, and what their tests came to.
type Tested = (Arc<RuleSet>, Arc<Vec<TestOutcome>>);

impl ConsoleState {
    pub(crate) fn new(options: ConsoleOptions) -> Self {
        let setup = options
            .setup_token
            .as_deref()
            .map(|token| Sha256::digest(token).into());
        Self(Arc::new(Inner {
            setup: Mutex::new(setup),
            form_secret: (options.random)(),
            throttle: Throttle::default(),
            memory: Memory::default(),
            checking: Arc::new(Semaphore::new(2)),
            looking: Semaphore::new(1),
            checking_rules: Semaphore::new(2),
            tryouts: Tryouts::default(),
            tested: Mutex::default(),
            options,
        }))
    }

    fn now(&self) -> Timestamp {
        (self.0.options.now)()
    }

    fn random(&self) -> [u8; 32] {
        (self.0.options.random)()
    }

    fn secure_cookies(&self) -> bool {
        self.0.options.secure_cookies
    }

    fn store(&self) -> &Store {
        &self.0.options.store
    }

    fn overview(&self) -> OverviewExtra {
        (self.0.options.overview)()
    }

    fn rulebook(&self) -> Option<Arc<Rulebook>> {
        (self.0.options.rulebook)()
    }

    fn settings(&self) -> Option<Settings> {
        (self.0.options.settings)()
    }

    fn counters(&self) -> Option<Vec<CounterStatus>> {
        (self.0.options.counters)()
    }

    /// Works on texts of rules without holding up other requests, a few at a time.
    async fn check_rules<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.0.checking_rules.acquire().await;
        let _turn = turn.map_err(|error| Error::Internal(format!("checking rules: {error}")))?;
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| Error::Internal(format!("checking rules: {error}")))?;
        done.map_err(|error| Error::Internal(format!("{error:#}")))
    }

    /// What the tests of the rules in force come to, played once for each set of rules. Blocks.
    fn test_outcomes(&self, extra: &OverviewExtra) -> Arc<Vec<TestOutcome>> {
        let Some(rules) = &extra.rules else {
            return Arc::default();
        };
        let mut tested = self.0.tested.lock().unwrap_or_else(PoisonError::into_inner);
        match &*tested {
            Some((of, outcomes)) if Arc::ptr_eq(of, rules) => Arc::clone(outcomes),
            _ => {
                let outcomes = Arc::new(rules.run_tests());
                *tested = Some((Arc::clone(rules), Arc::clone(&outcomes)));
                outcomes
            }
        }
    }

    fn decision_id(&self, now: Timestamp) -> DecisionId {
        let random = self
            .random()
            .first_chunk()
            .copied()
            .map_or(0, u128::from_be_bytes);
        DecisionId::new(u64::try_from(now.as_millisecond()).unwrap_or(0), random)
    }

    /// Whether this is the secret of a setup link that was not used yet.
    fn is_setup_token(&self, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let setup = self.0.setup.lock().unwrap_or_else(PoisonError::into_inner);
        setup.is_some_and(|known| bool::from(known.ct_eq(&hash)))
    }

    /// The setup link was used.
    fn end_setup(&self) {
        *self.0.setup.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads from the database without holding up other requests.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store().clone();
        let reading = tokio::task::spawn_blocking(move || store.read(|reader| Ok(read(reader))));
        reading
            .await
            .map_err(|error| Error::Internal(format!("a read failed: {error}")))??
    }
}

/// The console's routes. Serve with `into_make_service_with_connect_info`, or the back-off after
/// failed logins cannot tell addresses apart.
pub(crate) fn router(state: ConsoleState) -> Router {
    let files = DefaultBodyLimit::max(pages::rule_file::FILE_FORM_BYTES_MAX);
    Router::new()
        .route("/", get(pages::overview::show))
        .route("/setup", get(login::setup_form).post(login::set_up))
        .route("/login", get(login::form).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/queues", get(pages::queues::all))
        .route("/queues/{queue}", get(pages::queues::one))
        .route("/cases/{id}", get(pages::case::show))
        .route("/cases/{id}/claim", post(pages::case::claim))
        .route("/cases/{id}/release", post(pages::case::release))
        .route("/cases/{id}/decide", post(pages::case::decide))
        .route("/cases/{id}/reveal", post(pages::media::reveal))
        .route("/media/{sha256}", get(pages::media::show))
        .route("/decisions/{id}", get(pages::decision::show))
        .route("/dead-letters", get(pages::dead_letters::show))
        .route("/dead-letters/replay", post(pages::dead_letters::replay))
        .route("/events/conflicts", get(pages::conflicts::show))
        .route("/banks", get(pages::banks::show).post(pages::banks::create))
        .route("/banks/{name}", get(pages::bank::show))
        .route("/banks/{name}/find", post(pages::bank::find))
        .route("/banks/{name}/settings", post(pages::bank::set))
        .route("/banks/{name}/members/{id}", get(pages::member::show))
        .route(
            "/banks/{name}/members/{id}/settings",
            post(pages::member::set),
        )
        .route(
            "/banks/{name}/members/{id}/opinions",
            post(pages::member::opine),
        )
        .route(
            "/banks/{name}/members/{id}/remove",
            post(pages::member::remove),
        )
        .route(
            "/members/new",
            get(pages::add_member::form).post(pages::add_member::add),
        )
        .route("/similar", get(pages::similar::show))
        .route("/rules", get(pages::rules::show))
        .route("/rules/find", post(pages::rules::find))
        .route("/rules/files", post(pages::rules::make))
        .route("/rules/tryouts", get(pages::tryouts::list))
        .route("/rules/tryouts/{id}", get(pages::tryouts::show))
        .route(
            "/rules/tryouts/{id}/progress",
            get(pages::tryouts::progress),
        )
        .route("/rules/tryouts/{id}/cancel", post(pages::tryouts::cancel))
        .route("/rules/tryouts/{id}/again", post(pages::tryouts::again))
        .route("/rules/files/{file}/try", post(pages::tryouts::try_file))
        .route("/rules/counters", get(pages::counters::show))
        .route("/sets", get(pages::sets::list).post(pages::sets::create))
        .route("/sets/{name}", get(pages::sets::show))
        .route("/sets/{name}/add", post(pages::sets::add))
        .route("/sets/{name}/remove", post(pages::sets::remove))
        .route("/rules/reset", post(pages::stops::reset))
        .route(
            "/rules/files/{file}",
            get(pages::rule_file::show)
                .post(pages::rule_file::save)
                .layer(files),
        )
        .route(
            "/rules/files/{file}/history",
            get(pages::rule_history::show),
        )
        .route(
            "/rules/files/{file}/versions/{version}",
            get(pages::rule_history::version),
        )
        .route(
            "/rules/files/{file}/return",
            post(pages::rule_file::go_back),
        )
        .route("/rules/check", post(pages::rule_file::check).layer(files))
        .route(
            "/rules/complete",
            post(pages::rule_file::complete).layer(files),
        )
        .route("/rules/test", post(pages::rule_file::test).layer(files))
        .route("/rules/proposals", get(pages::proposals::list))
        .route(
            "/rules/proposals/{id}",
            get(pages::proposals::show).post(pages::proposals::decide),
        )
        .route("/audit", get(pages::audit::show))
        .route("/static/{*path}", get(assets::serve))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            headers::secure,
        ))
        .with_state(state)
}

/// Every address that neither the console nor the API knows; programs get it in their own form.
async fn nothing_here(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let path = text::plain(&path);
    if uri.path().starts_with("/api/") {
        let problem = serde_json::json!({
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": format!("there is nothing at {path}"),
            "hint": "see /openapi.json for the addresses there are",
        });
        let json = [(header::CONTENT_TYPE, "application/problem+json")];
        return (StatusCode::NOT_FOUND, json, problem.to_string()).into_response();
    }
    Error::NotFound(format!("page {path}")).into_response()
}

async fn wrong_method() -> Response {
    Error::WrongMethod.into_response()
}
