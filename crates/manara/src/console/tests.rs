//! The console as a browser meets it: requests in, pages out, against a real store.

mod banks;
mod counters;
mod reading;
mod rules;
mod sets;
mod stops;
mod tryouts;

use super::session::{SESSION_COOKIE, encode_token, hash_of};
use super::{ConsoleOptions, ConsoleState, OverviewExtra, new_reviewer, router};
use crate::recent::Recent;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use manara_model::{
    Account, ActionKind, Author, BankSettings, CaseId, CaseState, Content, Decision, DecisionId,
    Decoding, Detail, Effect, EntityType, Event, Match, MediaFacts, Medium, MediumKind, MemberId,
    Mode, Outcome, Span, Traced, Verdict, actions_of,
};
use manara_rules::{Schema, Source, compile};
use manara_signal::{Signal, SignalType};
use manara_store::{
    Attempt, CaseFilter, CaseStage, NewEvent, NewSession, Options, Preview, Role, Store,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

const PASSWORD: &str = "correct horse battery";
const SETUP: &str = "5e7f00d5e7f00d";
const MEDIUM: [u8; 32] = [0xab; 32];
const PICTURE: &[u8] = b"not really a JPEG, and never looked into";
const HANDLE: &str = "user\u{202e}gnp.nimda";
const NAME: &str = "<script>alert(1)</script>";
const TEXT: &str = "قبل\nرايــــة الرَّمادِ بعد <b>";
const PHRASE: &str = "رايــــة الرَّمادِ";

/// A clock for each test that has to move it; the first one stands still.
static CLOCKS: [AtomicI64; 4] = [const { AtomicI64::new(1_800_000_000) }; 4];

fn clock<const N: usize>() -> Timestamp {
    Timestamp::from_second(CLOCKS[N].load(Ordering::SeqCst)).unwrap()
}

fn pass<const N: usize>(time: SignedDuration) {
    CLOCKS[N].fetch_add(time.as_secs(), Ordering::SeqCst);
}

/// Different every time, which is all that the pages need of it here.
fn random() -> [u8; 32] {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    Sha256::digest(DRAWN.fetch_add(1, Ordering::SeqCst).to_be_bytes()).into()
}

struct App {
    router: Router,
    store: Store,
    _dir: tempfile::TempDir,
}

/// A browser: an application and its cookies.
struct Browser<'a> {
    app: &'a App,
    cookies: HashMap<String, String>,
    origin: Option<&'static str>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

fn app() -> App {
    app_at(clock::<0>, false)
}

fn app_at(now: fn() -> Timestamp, secure_cookies: bool) -> App {
    app_with(tempfile::tempdir().unwrap(), now, secure_cookies, |_, _| ())
}

/// The same in this directory, with other options as `change` says.
fn app_with(
    dir: tempfile::TempDir,
    now: fn() -> Timestamp,
    secure_cookies: bool,
    change: impl FnOnce(&Store, &mut ConsoleOptions),
) -> App {
    let options = Options {
        audit_seed: [7; 32],
        origin: "forum.example/log".into(),
        max_bytes: None,
        readers: 2,
    };
    let store = Store::open(&dir.path().join("manara.db"), options).unwrap();
    let rules = Arc::new(
        compile(
            &[Source {
                name: "slogans.rules".into(),
                text: "rule slogan { policy tvec_glorification reason \"A slogan.\" when content.text.contains(\"<i>\") then enqueue(\"tvec\") }".into(),
            }],
            &Schema::builtin(),
        )
        .unwrap(),
    );
    let mut options = ConsoleOptions {
        store: store.clone(),
        setup_token: Some(SETUP.into()),
        secure_cookies,
        now,
        random,
        overview: Arc::new(move || OverviewExtra {
            rules: Some(Arc::clone(&rules)),
            rule_problems: vec![
                "error: unknown signal type `pdqq`\n  --> images.rules:4:18".into(),
            ],
        }),
        rulebook: Arc::new(|| None),
        settings: Arc::new(|| None),
        counters: Arc::new(|| None),
        recent: Recent::default(),
        similar: Arc::new(banks::similar),
    };
    change(&store, &mut options);
    App {
        router: router(ConsoleState::new(options)),
        store,
        _dir: dir,
    }
}

impl App {
    fn browser(&self) -> Browser<'_> {
        Browser {
            app: self,
            cookies: HashMap::new(),
            origin: Some("http://manara.example"),
        }
    }

    fn reviewer(&self, login: &str, admin: bool) {
        let role = if admin { Role::Admin } else { Role::Reviewer };
        self.person(login, role);
    }

    fn person(&self, login: &str, role: Role) {
        let reviewer = new_reviewer(login, PASSWORD, role, [3; 16]).unwrap();
        self.store
            .write_blocking(move |tx| tx.create_reviewer(&reviewer, &Author::System, clock::<0>()))
            .unwrap();
    }

    /// A reviewer and a browser in which they are logged in, without the cost of a password.
    fn logged_in(&self, login: &str, admin: bool) -> Browser<'_> {
        self.logged_in_at(login, admin, clock::<0>())
    }

    fn logged_in_at(&self, login: &str, admin: bool, now: Timestamp) -> Browser<'_> {
        self.reviewer(login, admin);
        self.session(login, now)
    }

    /// A browser in which that person is logged in.
    fn session(&self, login: &str, now: Timestamp) -> Browser<'_> {
        let token = random();
        let session = NewSession {
            token_hash: hash_of(&token),
            login: login.to_owned(),
            csrf: csrf_of(login),
            expires_at: now + SignedDuration::from_hours(16),
        };
        self.store
            .write_blocking(move |tx| tx.open_session(&session, now))
            .unwrap();
        let mut browser = self.browser();
        browser
            .cookies
            .insert(SESSION_COOKIE.into(), encode_token(&token));
        browser
    }

    /// Keeps an event that a rule put into the queue `tvec`, with an image.
    fn seed(&self, id: &str) -> CaseId {
        self.record(event(id, TEXT));
        let filter = CaseFilter {
            queue: None,
            stage: CaseStage::Open,
            after: None,
            limit: 100,
        };
        let cases = self.store.read(|reader| reader.cases(&filter)).unwrap();
        cases
            .into_iter()
            .find(|case| case.entity.id == id)
            .unwrap()
            .id
    }

    fn record(&self, event: NewEvent) {
        self.store
            .write_blocking(move |tx| tx.record_events(vec![event]))
            .unwrap();
    }

    fn state_of(&self, id: CaseId) -> CaseState {
        self.store
            .read(|reader| reader.case(id))
            .unwrap()
            .unwrap()
            .state
    }

    fn leaf_kinds(&self) -> Vec<String> {
        let leaves = self.store.read(|reader| reader.leaves(0, 1_000)).unwrap();
        leaves.into_iter().map(|stored| stored.leaf.kind).collect()
    }
}

/// A new identifier of a decision of that time.
fn decision_at(at: Timestamp) -> DecisionId {
    let random = u128::from_be_bytes(*random().first_chunk().unwrap());
    DecisionId::new(at.as_millisecond().unsigned_abs(), random)
}

fn csrf_of(login: &str) -> String {
    format!("csrf-of-{login}")
}

fn event(id: &str, text: &str) -> NewEvent {
    let at = clock::<0>();
    let medium = Medium {
        id: "m-1".into(),
        kind: MediumKind::Image,
        url: None,
        data: None,
        path: None,
        signals: BTreeMap::from([(SignalType::Sha256, hex::encode(MEDIUM))]),
        quality: None,
    };
    let event = Event {
        id: id.into(),
        source: "forum.example".into(),
        r#type: "post.created".into(),
        time: at,
        account: Some(Account {
            id: "a-1".into(),
            handle: Some(HANDLE.into()),
            display_name: Some(NAME.into()),
            ..Account::default()
        }),
        space: None,
        content: Some(Content {
            id: id.into(),
            text: Some(text.into()),
            media: vec![medium],
            ..Content::default()
        }),
        attributes: serde_json::Map::from_iter([("note".to_owned(), "<img src=x>\u{2067}".into())]),
    };
    let start = text.find(PHRASE).unwrap_or(0);
    let effect = |kind, detail| Effect {
        kind,
        target: EntityType::Content,
        index: None,
        detail,
    };
    let queue = Detail {
        queue: Some("tvec".parse().unwrap()),
        priority: Some(8),
        ..Detail::default()
    };
    let verdicts = vec![Verdict {
        rule: "slogan".parse().unwrap(),
        version: 3,
        mode: Mode::Live,
        policy: "tvec_glorification".parse().unwrap(),
        reason: "A slogan of the <Order>.".into(),
        reasons: std::collections::BTreeMap::new(),
        held: None,
        because: vec![Match {
            signal_type: SignalType::Text,
            bank: "SLOGANS".parse().unwrap(),
            member: MemberId(1),
            distance: 0,
            field: "content.text".into(),
            quality: None,
            span: Some(Span {
                start,
                end: start + PHRASE.len(),
            }),
            how: Some("folded: tatweel 4".into()),
            form: None,
            form_hash: None,
            distance_stored: None,
            withheld: None,
        }],
        trace: vec![Traced {
            expression: "content.text.contains(\"<i>\")".into(),
            value: "true".into(),
        }],
        effects: vec![
            effect(ActionKind::Remove, Detail::default()),
            effect(ActionKind::Enqueue, queue),
        ],
    }];
    let decision = DecisionId::new(1, u128::from_be_bytes(*random().first_chunk().unwrap()));
    let actions = actions_of(decision, event.time, &verdicts, |r#type, index| {
        event.entity(r#type, index)
    });
    NewEvent {
        body: serde_json::to_string(&event).unwrap(),
        media: vec![MediaFacts {
            decoding: Decoding::Decoded,
            problem: None,
            width: 8,
            height: 8,
            quality: None,
            forms: Vec::new(),
            hashes: std::collections::BTreeMap::new(),
        }],
        fingerprint: Sha256::digest(text).into(),
        received_at: at,
        decision: Decision {
            id: decision,
            author: Author::Rules,
            at,
            event: Some((event.source.clone(), event.id.clone())),
            case: None,
            verdicts,
            actions,
            note: String::new(),
        },
        previews: vec![Preview {
            sha256: MEDIUM,
            content_type: "image/jpeg".into(),
            bytes: PICTURE.into(),
        }],
        event,
    }
}

impl Browser<'_> {
    async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.send(Method::POST, path, Some(form.finish())).await
    }

    async fn send(&mut self, method: Method, path: &str, form: Option<String>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "manara.example");
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(origin) = self.origin {
                request = request.header(header::ORIGIN, origin);
            }
        }
        let request = request.body(Body::from(form.unwrap_or_default())).unwrap();
        let response = tower::Service::call(&mut self.app.router.clone(), request)
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.into(), value.into());
        }
        self.cookies.retain(|_, value| !value.is_empty());
        let body = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// The token of the form on a page.
    async fn token_on(&mut self, path: &str) -> String {
        let page = self.get(path).await.body;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    async fn log_in(&mut self, login: &str, password: &str) -> Answer {
        let csrf = self.token_on("/login").await;
        self.post(
            "/login",
            &[
                ("csrf", &csrf),
                ("login", login),
                ("password", password),
                ("next", "/queues"),
            ],
        )
        .await
    }
}

impl Answer {
    fn to(&self) -> &str {
        self.headers
            .get(header::LOCATION)
            .map_or("", |to| to.to_str().unwrap())
    }

    #[track_caller]
    fn is(self, status: StatusCode, says: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        for text in says {
            assert!(self.body.contains(text), "`{text}` is not in {}", self.body);
        }
        self
    }

    #[track_caller]
    fn says_not(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(!self.body.contains(text), "`{text}` is in {}", self.body);
        }
        self
    }
}

const PAGES: [&str; 9] = [
    "/",
    "/banks",
    "/similar",
    "/queues",
    "/queues/tvec",
    "/dead-letters",
    "/events/conflicts",
    "/rules",
    "/audit",
];

#[tokio::test]
async fn nothing_is_shown_or_done_without_a_login() {
    let app = app();
    let id = app.seed("p-1");
    let mut nobody = app.browser();
    let own = [
        format!("/cases/{id}"),
        format!("/media/{}?case={id}", hex::encode(MEDIUM)),
        format!("/decisions/{id}"),
    ];
    for path in PAGES.into_iter().chain(own.iter().map(String::as_str)) {
        let answer = nobody.get(path).await.is(StatusCode::SEE_OTHER, &[]);
        assert!(answer.to().starts_with("/login"), "{path}");
    }
    for path in ["claim", "release", "decide", "reveal"].map(|verb| format!("/cases/{id}/{verb}")) {
        let fields = [
            ("outcome", "remove"),
            ("policy", "p"),
            ("csrf", "x"),
            ("sha256", "00"),
        ];
        let answer = nobody.post(&path, &fields).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/logout", "/dead-letters/replay"] {
        assert_eq!(
            nobody.post(path, &[("csrf", "x")]).await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    assert_eq!(app.state_of(id), CaseState::Open);
}

#[tokio::test]
async fn every_page_answers_and_carries_the_headers() {
    let app = app();
    let id = app.seed("p-1");
    let mut noor = app.logged_in("noor", true);
    let own = [
        format!("/cases/{id}"),
        "/nowhere".into(),
        "/login?next=/x".into(),
        "/cases/nonsense".into(),
    ];
    for path in PAGES.into_iter().chain(own.iter().map(String::as_str)) {
        let answer = noor.get(path).await;
        let header = |name: &str| {
            answer
                .headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        assert!(
            header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"),
            "{path}"
        );
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        if PAGES.contains(&path) {
            answer.is(StatusCode::OK, &["<main", "aria-current=\"page\"", "noor"]);
        }
    }
    noor.get("/nowhere")
        .await
        .is(StatusCode::NOT_FOUND, &["There is nothing here"]);
    noor.get("/logout")
        .await
        .is(StatusCode::METHOD_NOT_ALLOWED, &["Not this way"]);
    noor.get("/api/v2/events")
        .await
        .is(
            StatusCode::NOT_FOUND,
            &["\"detail\":\"there is nothing at /api/v2/events\""],
        )
        .says_not(&["<html"]);
    noor.get("/cases/nonsense")
        .await
        .is(StatusCode::NOT_FOUND, &["No such case"]);
    noor.get("/cases/01ARZ3NDEKTSV4RRFFQ69G5FAV")
        .await
        .is(StatusCode::NOT_FOUND, &[]);
    noor.get("/")
        .await
        .is(StatusCode::OK, &["1 case waits", "not in force"]);
    noor.get("/rules").await.is(
        StatusCode::OK,
        &["slogans.rules:1", "unknown signal type `pdqq`"],
    );
    noor.get("/audit")
        .await
        .is(StatusCode::OK, &["forum.example/log"]);
    noor.get("/queues/tvec")
        .await
        .is(StatusCode::OK, &["<mark>", "p-1"]);
}

#[tokio::test]
async fn static_files_are_kept_by_browsers_while_they_stay_the_same() {
    let app = app();
    let page = app.browser().get("/login").await.body;
    let (_, rest) = page.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let sheet = app
        .browser()
        .get(rest.split('"').next().unwrap())
        .await
        .is(StatusCode::OK, &["--paper"]);
    assert!(
        sheet.headers[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert_eq!(
        sheet.headers[header::CONTENT_TYPE],
        "text/css; charset=utf-8"
    );
    for path in [
        "/static/../mod.rs",
        "/static/%2e%2e/mod.rs",
        "/static/none.css",
    ] {
        assert_eq!(
            app.browser().get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_reviewer_logs_in_and_out() {
    let app = app();
    app.reviewer("noor", false);
    let mut browser = app.browser();
    let wrong = browser
        .log_in("noor", "wrong horse battery")
        .await
        .is(StatusCode::UNAUTHORIZED, &["Login or password is wrong"]);
    let nobody = browser
        .log_in("nobody", "wrong horse battery")
        .await
        .is(StatusCode::UNAUTHORIZED, &[]);
    assert_eq!(
        wrong.body.replace("noor", "nobody"),
        nobody.body,
        "the answer tells which logins exist"
    );
    let refused = app
        .leaf_kinds()
        .iter()
        .filter(|kind| *kind == "session.refused")
        .count();
    assert_eq!(refused, 1, "strangers' guesses do not make the log grow");

    let answer = browser
        .log_in("noor", PASSWORD)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(answer.to(), "/queues");
    let cookie = answer
        .headers
        .get(header::SET_COOKIE)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    browser.get("/queues").await.is(StatusCode::OK, &["noor"]);

    let old = browser.cookies.clone();
    let csrf = browser.token_on("/").await;
    browser
        .post("/logout", &[("csrf", "wrong")])
        .await
        .is(StatusCode::FORBIDDEN, &["too old"]);
    browser
        .post("/logout", &[("csrf", &csrf)])
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    browser.cookies = old;
    browser.get("/").await.is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(app.leaf_kinds().last().unwrap(), "session.closed");
}

#[tokio::test]
async fn failed_logins_are_slowed_down() {
    let app = app();
    app.reviewer("noor", false);
    let mut browser = app.browser();
    for _ in 0..5 {
        browser
            .log_in("noor", "wrong horse battery")
            .await
            .is(StatusCode::UNAUTHORIZED, &[]);
    }
    let answer = browser
        .log_in("noor", PASSWORD)
        .await
        .is(StatusCode::TOO_MANY_REQUESTS, &["Wait"]);
    assert_eq!(answer.headers[header::RETRY_AFTER], "2");
}

#[tokio::test]
async fn a_login_form_has_to_be_our_own() {
    let app = app();
    app.reviewer("noor", false);
    let fields = |csrf: &str| {
        [
            ("csrf", csrf.to_owned()),
            ("login", "noor".into()),
            ("password", PASSWORD.into()),
        ]
    };
    let mut browser = app.browser();
    let csrf = browser.token_on("/login").await;
    let fields = fields(&csrf);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    app.browser()
        .post("/login", &fields)
        .await
        .is(StatusCode::FORBIDDEN, &["Try again"]);
    browser.origin = Some("https://evil.example");
    browser
        .post("/login", &fields)
        .await
        .is(StatusCode::FORBIDDEN, &["did not come from the console"]);
    browser.origin = Some("null");
    browser
        .post("/login", &fields)
        .await
        .is(StatusCode::FORBIDDEN, &[]);
    browser.origin = Some("http://manara.example");
    browser
        .post("/login", &fields)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
}

#[tokio::test]
async fn over_https_cookies_insist_on_it() {
    let app = app_at(clock::<0>, true);
    app.reviewer("noor", false);
    let mut browser = app.browser();
    let answer = browser
        .log_in("noor", PASSWORD)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let cookie = answer
        .headers
        .get(header::SET_COOKIE)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        cookie.starts_with("__Host-manara_session=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    assert!(
        answer
            .headers
            .contains_key(header::STRICT_TRANSPORT_SECURITY)
    );
    browser.get("/").await.is(StatusCode::OK, &[]);
}

#[tokio::test]
async fn an_idle_session_ends() {
    let app = app_at(clock::<1>, false);
    let mut noor = app.logged_in_at("noor", false, clock::<1>());
    pass::<1>(SignedDuration::from_hours(7));
    noor.get("/").await.is(StatusCode::OK, &[]);
    pass::<1>(SignedDuration::from_hours(7));
    noor.get("/").await.is(StatusCode::OK, &[]);
    pass::<1>(SignedDuration::from_mins(119));
    noor.get("/").await.is(StatusCode::OK, &[]);
    pass::<1>(SignedDuration::from_mins(2));
    noor.get("/").await.is(StatusCode::SEE_OTHER, &[]);

    let mut sami = app.logged_in_at("sami", false, clock::<1>());
    sami.get("/").await.is(StatusCode::OK, &[]);
    pass::<1>(SignedDuration::from_hours(8));
    sami.get("/").await.is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(app.leaf_kinds().last().unwrap(), "session.closed");
}

#[tokio::test]
async fn the_setup_link_makes_one_administrator() {
    let app = app();
    let mut browser = app.browser();
    browser
        .get("/setup?token=wrong")
        .await
        .is(StatusCode::GONE, &["no longer works"]);
    browser.get("/setup").await.is(StatusCode::GONE, &[]);
    let csrf = browser.token_on(&format!("/setup?token={SETUP}")).await;
    let send = |login: &'static str, password: &'static str, again: &'static str| {
        [
            ("csrf", csrf.clone()),
            ("token", SETUP.into()),
            ("login", login.into()),
            ("password", password.into()),
            ("again", again.into()),
        ]
    };
    for (fields, says) in [
        (send("noor", "short", "short"), "at least 12"),
        (send("noor", PASSWORD, "another password!"), "differ"),
        (send("Noor <b>", PASSWORD, PASSWORD), "is not a login"),
    ] {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        browser
            .post("/setup", &fields)
            .await
            .is(StatusCode::UNPROCESSABLE_ENTITY, &[says])
            .says_not(&["<b>"]);
    }
    let good = send("noor", PASSWORD, PASSWORD);
    let good: Vec<_> = good
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    app.browser()
        .post("/setup", &good)
        .await
        .is(StatusCode::UNPROCESSABLE_ENTITY, &["Try again"]);
    browser
        .post("/setup", &good)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    browser
        .post("/setup", &good)
        .await
        .is(StatusCode::GONE, &[]);
    browser
        .get(&format!("/setup?token={SETUP}"))
        .await
        .is(StatusCode::GONE, &[]);
    browser
        .log_in("noor", PASSWORD)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
}

#[tokio::test]
async fn a_setup_link_is_void_once_there_is_a_reviewer() {
    let app = app();
    app.reviewer("noor", true);
    let mut browser = app.browser();
    let csrf = browser.token_on(&format!("/setup?token={SETUP}")).await;
    let fields = [
        ("csrf", csrf.as_str()),
        ("token", SETUP),
        ("login", "eve"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    browser
        .post("/setup", &fields)
        .await
        .is(StatusCode::GONE, &[]);
    assert!(
        app.store
            .read(|reader| reader.reviewer("eve"))
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn somebody_elses_text_is_shown_and_not_obeyed() {
    let app = app();
    let id = app.seed("p-1");
    let signal = Signal::parse(SignalType::Text, "راية الرماد").unwrap();
    let bank: manara_model::BankName = "SLOGANS".parse().unwrap();
    app.store
        .write_blocking(move |tx| {
            tx.create_bank_with(
                &bank,
                "",
                &BankSettings::default(),
                vec![(signal, "seen <u>often</u>".into()).into()],
                &Author::System,
                clock::<0>(),
            )
        })
        .unwrap();
    let mut noor = app.logged_in("noor", false);
    for path in [format!("/cases/{id}"), "/queues".into()] {
        let page = noor
            .get(&path)
            .await
            .is(StatusCode::OK, &["<mark>رايــــة الرَّمادِ</mark>"]);
        page.says_not(&[
            "<script", "<img", "\u{202e}", "\u{2067}", " style=", " onclick",
        ]);
    }
    noor.get(&format!("/cases/{id}")).await.is(
        StatusCode::OK,
        &[
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "title=\"U+202E RIGHT-TO-LEFT OVERRIDE\">⟨RLO⟩</span>",
            "<p dir=\"auto\">قبل</p>",
            "بعد &lt;b&gt;</p>",
            "A slogan of the &lt;Order&gt;.",
            "seen &lt;u&gt;often&lt;/u&gt;",
            "⟨RLI⟩",
        ],
    );
}

/// The image as posted is far from the member; turned, it is near.
#[tokio::test]
async fn the_form_that_matched_is_drawn_beside_the_image_as_stored() {
    let app = app();
    let hash = |last: &str| format!("{last:0>64}");
    let member = Signal::parse(SignalType::Pdq, &hash("0")).unwrap();
    let bank: manara_model::BankName = "SLOGANS".parse().unwrap();
    app.store
        .write_blocking(move |tx| {
            let members = vec![(member, String::new()).into()];
            let settings = BankSettings::default();
            tx.create_bank_with(&bank, "", &settings, members, &Author::System, clock::<0>())
        })
        .unwrap();
    let mut new = event("p-1", TEXT);
    let media = &mut new.event.content.as_mut().unwrap().media;
    media[0].signals.insert(SignalType::Pdq, hash("ffffffff"));
    new.body = serde_json::to_string(&new.event).unwrap();
    new.media[0].quality = Some(12);
    new.decision.verdicts[0].because = vec![Match {
        signal_type: SignalType::Pdq,
        distance: 3,
        field: "content.media[0]".into(),
        quality: Some(87),
        span: None,
        how: None,
        form: Some("rotate180".into()),
        form_hash: Some(hash("70").parse().unwrap()),
        ..new.decision.verdicts[0].because[0].clone()
    }];
    app.record(new);
    let filter = CaseFilter {
        queue: None,
        stage: CaseStage::Open,
        after: None,
        limit: 1,
    };
    let id = app.store.read(|reader| reader.cases(&filter)).unwrap()[0].id;
    let mut noor = app.logged_in("noor", false);
    noor.get(&format!("/cases/{id}"))
        .await
        .is(
            StatusCode::OK,
            &[
                "signal quality 12 of 100: too little in it for its pdq to be looked up",
                "matched turned by 180°: <b class=\"nowrap\">3 of 256 bits differ</b>, quality 87",
                "aria-label=\"3 of 256 bits differ\"",
                "as stored, for contrast: <b class=\"nowrap\">32 of 256 bits differ</b>",
                "aria-label=\"32 of 256 bits differ\"",
                &hash("70"),
                "16 16 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
            ],
        )
        .says_not(&["How it was read"]);
}

#[tokio::test]
async fn a_medium_is_not_on_a_page_before_it_was_asked_for() {
    let app = app();
    let id = app.seed("p-1");
    let other = app.seed("p-2");
    let (mut noor, mut sami) = (app.logged_in("noor", false), app.logged_in("sami", true));
    let sha256 = hex::encode(MEDIUM);
    let (page, medium) = (format!("/cases/{id}"), format!("/media/{sha256}?case={id}"));
    let shown = format!("{page}?show={sha256}");
    for path in [&page, &shown, &format!("{shown}&clear=yes")] {
        noor.get(path)
            .await
            .is(StatusCode::OK, &["Not loaded"])
            .says_not(&["<img", "/media/"]);
    }
    noor.get(&medium)
        .await
        .is(StatusCode::FORBIDDEN, &["not asked for"]);
    noor.post(&format!("{page}/reveal"), &[("sha256", &sha256)])
        .await
        .is(StatusCode::FORBIDDEN, &[]);
    let csrf = csrf_of("noor");
    let elsewhere = hex::encode([1; 32]);
    noor.post(
        &format!("{page}/reveal"),
        &[("csrf", &csrf), ("sha256", &elsewhere)],
    )
    .await
    .is(StatusCode::NOT_FOUND, &[]);
    noor.post(
        &format!("{page}/reveal"),
        &[("csrf", &csrf), ("sha256", "zz")],
    )
    .await
    .is(StatusCode::NOT_FOUND, &[]);
    assert!(!app.leaf_kinds().contains(&"media.revealed".to_owned()));

    let answer = noor
        .post(
            &format!("{page}/reveal"),
            &[("csrf", &csrf), ("sha256", &sha256)],
        )
        .await;
    let answer = answer.is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(answer.to(), format!("{shown}#m-1-1"));
    assert_eq!(app.leaf_kinds().last().unwrap(), "media.revealed");
    let blurred = noor.get(&shown).await.is(
        StatusCode::OK,
        &["seen veiled", "Show clearly", "Looked at a medium"],
    );
    assert_eq!(blurred.body.matches("<img").count(), 1);
    assert!(
        blurred
            .body
            .contains(&format!("<img src=\"/media/{sha256}?case={id}\""))
    );
    noor.get(&format!("{shown}&clear=yes"))
        .await
        .is(StatusCode::OK, &["<img", "Blur it again"])
        .says_not(&["veiled"]);
    noor.get(&page)
        .await
        .is(StatusCode::OK, &[])
        .says_not(&["<img"]);

    let picture = noor
        .get(&medium)
        .await
        .is(StatusCode::OK, &[std::str::from_utf8(PICTURE).unwrap()]);
    assert_eq!(picture.headers[header::CONTENT_TYPE], "image/jpeg");
    assert_eq!(picture.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(picture.headers[header::CACHE_CONTROL], "no-store");
    assert!(
        picture.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .contains("sandbox")
    );

    // The choice was one reviewer's, about one case.
    sami.get(&medium).await.is(StatusCode::FORBIDDEN, &[]);
    sami.get(&shown)
        .await
        .is(StatusCode::OK, &[])
        .says_not(&["<img"]);
    noor.get(&format!("/media/{sha256}?case={other}"))
        .await
        .is(StatusCode::FORBIDDEN, &[]);
    noor.post("/logout", &[("csrf", &csrf)])
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    noor.get(&medium).await.is(StatusCode::SEE_OTHER, &[]);
}

#[tokio::test]
async fn a_case_is_claimed_released_and_decided() {
    let app = app();
    app.store.set_receivers(vec!["platform".into()]);
    let id = app.seed("p-1");
    let mut noor = app.logged_in("noor", false);
    let (page, csrf) = (format!("/cases/{id}"), csrf_of("noor"));
    let answer = noor
        .post(&format!("{page}/claim"), &[("csrf", &csrf)])
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    noor.get(answer.to()).await.is(
        StatusCode::OK,
        &["The case is yours", "claimed by you", "Put it back"],
    );
    noor.post(&format!("{page}/release"), &[("csrf", &csrf)])
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(app.state_of(id), CaseState::Open);

    let fields = [
        ("csrf", csrf.as_str()),
        ("outcome", "keep"),
        ("policy", "tvec_glorification"),
        ("note", "خبر صحفي\r\n<b>"),
    ];
    let answer = noor
        .post(&format!("{page}/decide"), &fields)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let CaseState::Closed {
        decision,
        outcome,
        by,
        ..
    } = app.state_of(id)
    else {
        panic!("not closed")
    };
    assert_eq!((outcome, by.as_str()), (Outcome::Keep, "noor"));
    let decided = app
        .store
        .read(|reader| reader.decision(decision))
        .unwrap()
        .unwrap();
    assert_eq!(decided.note, "خبر صحفي\n<b>");
    assert_eq!(decided.actions[0].kind, ActionKind::Restore);
    noor.get(answer.to()).await.is(
        StatusCode::OK,
        &[
            "decision is recorded",
            "Kept by",
            "restore",
            "waiting",
            "audit leaf",
        ],
    );
    noor.get(&format!("/decisions/{decision}")).await.is(
        StatusCode::OK,
        &["<p dir=\"auto\">خبر صحفي</p>", "&lt;b&gt;", "restore"],
    );
    noor.get("/queues/tvec?state=decided")
        .await
        .is(StatusCode::OK, &["p-1", "kept"]);
    noor.get("/queues/tvec")
        .await
        .is(StatusCode::OK, &["Nothing waits here"]);
}

/// Sends a judgement and looks at how it is refused, and at whether what was typed is still there.
#[track_caller]
fn keeps_what_was_typed(answer: Answer, status: StatusCode, says: &[&str]) {
    let answer = answer
        .is(status, says)
        .is(status, &["my long &#60;note&#62;", "value=\"my_policy\""]);
    assert!(
        answer.body.contains("value=\"remove\" required checked"),
        "{}",
        answer.body
    );
}

const TYPED: [(&str, &str); 3] = [
    ("outcome", "remove"),
    ("policy", "my_policy"),
    ("note", "my long <note>"),
];

fn typed<'a>(csrf: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut fields: Vec<(&'static str, &'a str)> = vec![("csrf", csrf)];
    fields.extend(TYPED);
    fields
}

#[tokio::test]
async fn a_refused_judgement_keeps_what_was_typed() {
    let app = app();
    let id = app.seed("p-1");
    let (mut noor, mut sami) = (app.logged_in("noor", false), app.logged_in("sami", false));
    let decide = format!("/cases/{id}/decide");
    let csrf = csrf_of("noor");

    keeps_what_was_typed(
        noor.post(&decide, &typed("stale")).await,
        StatusCode::FORBIDDEN,
        &["earlier session"],
    );
    assert_eq!(app.state_of(id), CaseState::Open);

    let wrong = [
        ("csrf", csrf.as_str()),
        ("outcome", "burn"),
        ("policy", "My Policy"),
        ("note", "my long note"),
    ];
    let answer = noor.post(&decide, &wrong).await;
    answer.is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &[
            "Choose an outcome",
            "Name a policy",
            "my long note",
            "My Policy",
        ],
    );

    let long = "x".repeat(8_193);
    let fields = [
        ("csrf", csrf.as_str()),
        ("outcome", "keep"),
        ("policy", "p"),
        ("note", &long),
    ];
    noor.post(&decide, &fields).await.is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &["the limit is 8192", &long],
    );

    sami.post(&format!("/cases/{id}/claim"), &[("csrf", &csrf_of("sami"))])
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    keeps_what_was_typed(
        noor.post(&decide, &typed(&csrf)).await,
        StatusCode::CONFLICT,
        &["This case is held by sami"],
    );
    noor.post(&format!("/cases/{id}/claim"), &[("csrf", &csrf)])
        .await
        .is(StatusCode::CONFLICT, &["This case is held by sami"]);

    let keep = [
        ("csrf", csrf_of("sami")),
        ("outcome", "keep".into()),
        ("policy", "p".into()),
    ];
    let keep: Vec<_> = keep
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    sami.post(&decide, &keep)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let answer = noor.post(&decide, &typed(&csrf)).await;
    answer.is(
        StatusCode::CONFLICT,
        &[
            "This case was already decided (keep) by sami",
            "my long &#60;note&#62;",
        ],
    );
}

#[tokio::test]
async fn a_session_that_ends_in_mid_decision_loses_nothing() {
    let app = app();
    let id = app.seed("p-1");
    let mut noor = app.logged_in("noor", false);
    let decide = format!("/cases/{id}/decide");
    noor.cookies.clear();
    let answer = noor.post(&decide, &typed(&csrf_of("noor"))).await;
    let answer = answer.is(
        StatusCode::UNAUTHORIZED,
        &[
            "Nothing was decided",
            "my long &lt;note&gt;",
            "name=\"draft_note\"",
        ],
    );
    let (_, rest) = answer.body.split_once("name=\"csrf\" value=\"").unwrap();
    let csrf = rest.split('"').next().unwrap();
    let case = id.to_string();
    let fields = |password: &'static str| {
        vec![
            ("csrf", csrf),
            ("login", "noor"),
            ("password", password),
            ("draft_case", &case),
            ("draft_outcome", "remove"),
            ("draft_policy", "my_policy"),
            ("draft_note", "my long <note>"),
        ]
    };
    let answer = noor.post("/login", &fields("wrong horse battery")).await;
    answer.is(
        StatusCode::UNAUTHORIZED,
        &["name=\"draft_note\"", "my long &lt;note&gt;"],
    );
    let answer = noor
        .post("/login", &fields(PASSWORD))
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(answer.to(), format!("/cases/{id}#desk"));
    let page = noor.get(&format!("/cases/{id}")).await;
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").unwrap();
    let csrf = rest.split('"').next().unwrap().to_owned();
    keeps_what_was_typed(page, StatusCode::OK, &["You had begun to decide"]);
    noor.post(&decide, &typed(&csrf))
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let page = noor
        .get(&format!("/cases/{id}"))
        .await
        .is(StatusCode::OK, &["Removed by"]);
    page.says_not(&["You had begun"]);
}

#[tokio::test]
async fn a_case_without_an_account_suspends_nobody() {
    let app = app();
    let mut new = event("p-1", TEXT);
    new.event.account = None;
    app.record(new);
    let filter = CaseFilter {
        queue: None,
        stage: CaseStage::Open,
        after: None,
        limit: 1,
    };
    let id = app.store.read(|reader| reader.cases(&filter)).unwrap()[0].id;
    let mut noor = app.logged_in("noor", false);
    noor.get(&format!("/cases/{id}"))
        .await
        .is(StatusCode::OK, &["value=\"suspend\" required disabled"]);
    let fields = [
        ("csrf", csrf_of("noor")),
        ("outcome", "suspend".into()),
        ("policy", "p".into()),
    ];
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let answer = noor.post(&format!("/cases/{id}/decide"), &fields).await;
    answer.is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &["No account is known for this case, so"],
    );
    assert_eq!(app.state_of(id), CaseState::Open);
}

#[tokio::test]
async fn forms_are_limited_and_have_to_be_forms() {
    let app = app();
    let id = app.seed("p-1");
    let mut noor = app.logged_in("noor", false);
    let huge = "x".repeat(300 * 1024);
    let fields = [("csrf", csrf_of("noor")), ("note", huge)];
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    noor.post(&format!("/cases/{id}/decide"), &fields)
        .await
        .is(StatusCode::BAD_REQUEST, &["256 KiB"]);
    let twice = Some("csrf=a&csrf=b".to_owned());
    noor.send(Method::POST, "/logout", twice)
        .await
        .is(StatusCode::BAD_REQUEST, &["could not be read"]);
    noor.origin = Some("https://evil.example");
    let stolen = [("csrf", csrf_of("noor"))];
    let stolen: Vec<_> = stolen
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    noor.post(&format!("/cases/{id}/claim"), &stolen)
        .await
        .is(StatusCode::FORBIDDEN, &["another site"]);
    assert_eq!(app.state_of(id), CaseState::Open);
}

#[tokio::test]
async fn dead_letters_are_sent_again_by_an_administrator() {
    let app = app();
    app.store.set_receivers(vec!["platform".into()]);
    app.seed("p-1");
    let now = clock::<0>();
    let due = app
        .store
        .lease_outbox("platform", now, now + SignedDuration::from_mins(1), 10)
        .await
        .unwrap();
    let error = "HTTP 500 <html>\u{202e}".to_owned();
    app.store
        .settle_outbox(due[0].token, Attempt::Dead { error }, now)
        .await
        .unwrap();
    let letter = app
        .store
        .read(|reader| reader.dead_letters(None, 1))
        .unwrap()[0]
        .id
        .to_string();

    let (mut noor, mut sami) = (app.logged_in("noor", true), app.logged_in("sami", false));
    let page = noor.get("/dead-letters").await;
    page.is(
        StatusCode::OK,
        &["HTTP 500 &lt;html&gt;", "⟨RLO⟩", "Send again</button>"],
    )
    .says_not(&["\u{202e}"]);
    sami.get("/dead-letters")
        .await
        .is(StatusCode::OK, &["An administrator"])
        .says_not(&["Send again</button>"]);
    let of_sami = [("csrf", csrf_of("sami")), ("delivery", letter.clone())];
    let of_sami: Vec<_> = of_sami
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    sami.post("/dead-letters/replay", &of_sami)
        .await
        .is(StatusCode::FORBIDDEN, &["administrator"]);
    let of_noor = [("csrf", csrf_of("noor")), ("delivery", letter)];
    let of_noor: Vec<_> = of_noor
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    noor.post("/dead-letters/replay", &of_noor)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    noor.post("/dead-letters/replay", &of_noor)
        .await
        .is(StatusCode::NOT_FOUND, &[]);
    assert_eq!(
        app.store
            .read(manara_store::Reader::totals)
            .unwrap()
            .outbox_pending,
        1
    );
}

#[tokio::test]
async fn conflicting_events_are_shown_side_by_side() {
    let app = app();
    app.seed("p-1");
    app.record(event("p-1", "another <body>\u{202e}"));
    let mut noor = app.logged_in("noor", false);
    let page = noor.get("/events/conflicts").await;
    page.is(
        StatusCode::OK,
        &["another &lt;body&gt;<span", "بعد &lt;b&gt;", "Refused"],
    )
    .says_not(&["\u{202e}"]);
}

#[tokio::test]
async fn queues_are_paged_without_loss() {
    let app = app();
    for n in 0..60 {
        app.seed(&format!("p-{n}"));
    }
    let mut noor = app.logged_in("noor", false);
    let (mut next, mut seen) = (Some("/queues/tvec".to_owned()), Vec::new());
    while let Some(path) = next {
        let page = noor.get(&path).await.is(StatusCode::OK, &[]).body;
        let ids = page
            .split("href=\"/cases/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned());
        seen.extend(ids);
        let (before, _) = page.split_once("rel=\"next\"").unwrap_or(("", ""));
        let href = before
            .rsplit_once("href=\"")
            .map(|(_, rest)| rest.split('"').next().unwrap().replace("&#38;", "&"));
        next = href;
    }
    assert_eq!(seen.len(), 60);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 60);
}

/// The policy forbids inline script and style, and only `Html` may go onto a page unescaped.
#[test]
fn templates_hold_no_script_no_style_and_no_unescaped_text() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/templates");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // The two scripts there are, from our own address.
        let editor = "<script type=\"module\" src=\"{{ script }}\"></script>";
        let editors =
            usize::from(path.ends_with("rule_file.html") || path.ends_with("tryout.html"));
        let text = text.replacen(editor, "", editors);
        for banned in [
            "|safe",
            "| safe",
            "<script",
            "<style",
            " style=",
            "http:",
            "https:",
            "escape none",
        ] {
            assert!(!text.contains(banned), "{} has `{banned}`", path.display());
        }
        let names = text
            .split('=')
            .filter_map(|before| before.rsplit(' ').next());
        for name in
            names.filter(|name| name.len() > 2 && name.chars().all(|c| c.is_ascii_lowercase()))
        {
            assert!(
                !name.starts_with("on"),
                "{} has a handler `{name}`",
                path.display()
            );
        }
        for (tag, _) in text.match_indices("<form") {
            let form = &text[tag..tag + text[tag..].find("</form>").unwrap()];
            assert!(
                form.contains("method=\"post\"") && form.contains("name=\"csrf\""),
                "{}: {form}",
                path.display()
            );
        }
        seen += 1;
    }
    assert!(seen > 10);
}
