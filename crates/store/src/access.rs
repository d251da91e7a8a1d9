//! Who may do what: API keys, reviewers and their sessions. Secrets are kept as hashes only.

use crate::error::StoreError;
use crate::reader::{Reader, bytes32, from_json, get, maybe_time, parsed, time};
use crate::sql;
use crate::tables::{API_KEYS, REVIEWERS, SESSIONS, Table, blob, int, maybe, text};
use crate::tx::{Committed, Tx, json};
use jiff::Timestamp;
use manara_model::Author;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest name, login or scope, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// An API key to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Its id, not secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
}

/// An API key as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, not secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is void.
    pub revoked_at: Option<Timestamp>,
}

/// What a reviewer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Decide cases, and read everything.
    Reviewer,
    /// That, and change rules, and approve what others propose.
    Policy,
    /// That, and manage reviewers, dead letters and everything else the console offers.
    Admin,
}

impl Role {
    /// Whether it may change rules, and approve what others propose.
    pub fn may_change_rules(self) -> bool {
        matches!(self, Self::Policy | Self::Admin)
    }

    /// The word in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reviewer => "reviewer",
            Self::Policy => "policy",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "reviewer" => Ok(Self::Reviewer),
            "policy" => Ok(Self::Policy),
            "admin" => Ok(Self::Admin),
            _ => Err(format!(
                "`{}` is not a role: use reviewer, policy or admin",
                text.chars().take(64).collect::<String>()
            )),
        }
    }
}

/// A reviewer to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReviewer {
    /// The name to log in with.
    pub login: String,
    /// The password's hash as a PHC string (argon2).
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
}

/// A reviewer as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewer {
    id: i64,
    /// The name to log in with.
    pub login: String,
    /// The password's hash as a PHC string (argon2).
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created_at: Timestamp,
    /// Since when they may not log in any more.
    pub disabled_at: Option<Timestamp>,
}

/// A login to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// SHA-256 of the token in the cookie.
    pub token_hash: [u8; 32],
    /// Whose.
    pub login: String,
    /// What forms carry to show that they come from our pages.
    pub csrf: String,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A login in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    id: i64,
    token_hash: [u8; 32],
    /// Whose.
    pub login: String,
    /// What they may do.
    pub role: Role,
    /// What forms carry to show that they come from our pages.
    pub csrf: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    ended_at: Option<Timestamp>,
}

impl Tx<'_> {
    /// Keeps a key. Audit: one `key.created` leaf.
    pub fn create_key(
        &mut self,
        key: &NewApiKey,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        check_name("key id", &key.id)?;
        check_name("key name", &key.name)?;
        if self.reader().api_key(&key.id)?.is_some() {
            return Err(StoreError::Conflict(format!(
                "there is a key {} already",
                key.id
            )));
        }
        self.begin("key.created", by, now)?;
        let kept = ApiKey {
            id: key.id.clone(),
            name: key.name.clone(),
            secret_hash: key.secret_hash,
            scopes: key.scopes.clone(),
            created_at: now,
            revoked_at: None,
        };
        self.put_key(&kept, Self::insert_row)?;
        self.seal(None).map(|_| Committed(()))
    }

    /// Keeps a key unless there is one of that id, revoked or not. Audit: as [`Tx::create_key`].
    pub fn seed_key(
        &mut self,
        key: &NewApiKey,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        match self.reader().api_key(&key.id)? {
            Some(_) => Ok(Committed(())),
            None => self.create_key(key, by, now),
        }
    }

    /// Makes a key void for good. Audit: one `key.revoked` leaf, none when it was void already.
    pub fn revoke_key(
        &mut self,
        id: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        let found = self.reader().api_key(id)?;
        let key = found.ok_or_else(|| StoreError::not_found(format!("key {id}")))?;
        if key.revoked_at.is_some() {
            return Ok(Committed(()));
        }
        self.begin("key.revoked", by, now)?;
        self.put_key(
            &ApiKey {
                revoked_at: Some(now),
                ..key
            },
            Self::update,
        )?;
        self.seal(None).map(|_| Committed(()))
    }

    fn put_key(&mut self, key: &ApiKey, put: Put<Self>) -> Result<(), StoreError> {
        let scopes = json("scopes", &key.scopes)?;
        let values = [
            text(&key.id),
            text(&key.name),
            blob(&key.secret_hash),
            text(&scopes),
            int(key.created_at.as_microsecond()),
            maybe(key.revoked_at, |at| int(at.as_microsecond())),
        ];
        put(self, &API_KEYS, &values)
    }

    /// Adds a reviewer. Audit: one `reviewer.created` leaf.
    pub fn create_reviewer(
        &mut self,
        reviewer: &NewReviewer,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        check_name("login", &reviewer.login)?;
        if self.reader().reviewer(&reviewer.login)?.is_some() {
            return Err(StoreError::Conflict(format!(
                "there is a reviewer {} already",
                reviewer.login
            )));
        }
        self.begin("reviewer.created", by, now)?;
        let kept = Reviewer {
            id: self.next_id(&REVIEWERS)?,
            login: reviewer.login.clone(),
            password_hash: reviewer.password_hash.clone(),
            role: reviewer.role,
            created_at: now,
            disabled_at: None,
        };
        self.put_reviewer(&kept, Self::insert_row)?;
        self.seal(None).map(|_| Committed(()))
    }

    /// Adds the first reviewer, and refuses when there is one: two people with the same set-up link
    /// cannot both use it. Audit: one `reviewer.created` leaf.
    pub fn create_first_reviewer(
        &mut self,
        reviewer: &NewReviewer,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        if self.reader().has_reviewers()? {
            return Err(StoreError::Conflict(
                "the first administrator has been made already: log in".into(),
            ));
        }
        self.create_reviewer(reviewer, &Author::System, now)
    }

    /// Gives a reviewer another password, and ends their sessions. Audit: one
    /// `reviewer.password_changed` leaf.
    pub fn set_password(
        &mut self,
        login: &str,
        password_hash: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        let reviewer = self.reader().expect_reviewer(login)?;
        self.begin("reviewer.password_changed", by, now)?;
        let changed = Reviewer {
            password_hash: password_hash.to_owned(),
            ..reviewer
        };
        self.put_reviewer(&changed, Self::update)?;
        self.end_sessions_of(login, now)?;
        self.seal(None).map(|_| Committed(()))
    }

    /// Shuts a reviewer out, and ends their sessions. Audit: one `reviewer.disabled` leaf, none when
    /// they were shut out already.
    pub fn disable_reviewer(
        &mut self,
        login: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        let reviewer = self.reader().expect_reviewer(login)?;
        if reviewer.disabled_at.is_some() {
            return Ok(Committed(()));
        }
        self.begin("reviewer.disabled", by, now)?;
        self.end_sessions_of(login, now)?;
        self.put_reviewer(
            &Reviewer {
                disabled_at: Some(now),
                ..reviewer
            },
            Self::update,
        )?;
        self.seal(None).map(|_| Committed(()))
    }

    fn put_reviewer(&mut self, reviewer: &Reviewer, put: Put<Self>) -> Result<(), StoreError> {
        let values = [
            int(reviewer.id),
            text(&reviewer.login),
            text(&reviewer.password_hash),
            text(reviewer.role.as_str()),
            int(reviewer.created_at.as_microsecond()),
            maybe(reviewer.disabled_at, |at| int(at.as_microsecond())),
        ];
        put(self, &REVIEWERS, &values)
    }

    /// Logs a reviewer in. Audit: one `session.opened` leaf.
    pub fn open_session(
        &mut self,
        session: &NewSession,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        let reviewer = self.reader().expect_reviewer(&session.login)?;
        if reviewer.disabled_at.is_some() {
            return Err(StoreError::not_found(format!("reviewer {}", session.login)));
        }
        self.begin(
            "session.opened",
            &Author::Reviewer(session.login.clone()),
            now,
        )?;
        let kept = Session {
            id: self.next_id(&SESSIONS)?,
            token_hash: session.token_hash,
            login: session.login.clone(),
            role: reviewer.role,
            csrf: session.csrf.clone(),
            created_at: now,
            expires_at: session.expires_at,
            ended_at: None,
        };
        self.put_session(&kept, Self::insert_row)?;
        self.seal(None).map(|_| Committed(()))
    }

    /// Logs a reviewer out. Audit: one `session.closed` leaf, none when there was no such session.
    pub fn close_session(
        &mut self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        let Some(session) = self.reader().session_row(token_hash)? else {
            return Ok(Committed(()));
        };
        self.begin(
            "session.closed",
            &Author::Reviewer(session.login.clone()),
            now,
        )?;
        self.put_session(
            &Session {
                ended_at: Some(now),
                ..session
            },
            Self::update,
        )?;
        self.seal(None).map(|_| Committed(()))
    }

    /// Ends a reviewer's sessions within the open leaf.
    fn end_sessions_of(&mut self, login: &str, now: Timestamp) -> Result<(), StoreError> {
        let sessions = self
            .reader()
            .all(SESSION, sql::SESSIONS_OF, [login], session)?;
        sessions.into_iter().try_for_each(|session| {
            self.put_session(
                &Session {
                    ended_at: Some(now),
                    ..session
                },
                Self::update,
            )
        })
    }

    fn put_session(&mut self, session: &Session, put: Put<Self>) -> Result<(), StoreError> {
        let values = [
            int(session.id),
            blob(&session.token_hash),
            text(&session.login),
            text(&session.csrf),
            int(session.created_at.as_microsecond()),
            int(session.expires_at.as_microsecond()),
            maybe(session.ended_at, |at| int(at.as_microsecond())),
        ];
        put(self, &SESSIONS, &values)
    }
}

/// Adds a row, or changes it.
type Put<T> = fn(&mut T, &'static Table, &[ValueRef<'_>]) -> Result<(), StoreError>;

fn check_name(what: &'static str, name: &str) -> Result<(), StoreError> {
    let problem = if name.is_empty() {
        "it is empty: give one".into()
    } else if name.len() > NAME_BYTES_MAX {
        format!(
            "{} bytes long, the limit is {NAME_BYTES_MAX}: shorten it",
            name.len()
        )
    } else if name.chars().any(char::is_control) {
        "it has control characters: leave them out".into()
    } else {
        return Ok(());
    };
    Err(StoreError::Invalid { what, problem })
}

impl Reader {
    /// All keys, revoked ones too, oldest first.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.all(KEY, sql::API_KEYS, [], api_key)
    }

    /// The key of this id.
    pub fn api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.first(KEY, sql::API_KEY, [id], api_key)
    }

    /// All reviewers, by login.
    pub fn reviewers(&self) -> Result<Vec<Reviewer>, StoreError> {
        self.all(REVIEWER, sql::REVIEWERS, [], reviewer)
    }

    /// The reviewer of this login.
    pub fn reviewer(&self, login: &str) -> Result<Option<Reviewer>, StoreError> {
        self.first(REVIEWER, sql::REVIEWER, [login], reviewer)
    }

    /// Whether there is any reviewer.
    pub fn has_reviewers(&self) -> Result<bool, StoreError> {
        self.number(REVIEWER, sql::COUNT_REVIEWERS, [])
            .map(|count| count > 0)
    }

    /// The session of a token, if it is in force at `now`.
    pub fn session(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let session = self.session_row(token_hash)?;
        Ok(session.filter(|session| session.expires_at > now))
    }

    fn session_row(&self, token_hash: &[u8; 32]) -> Result<Option<Session>, StoreError> {
        self.first(SESSION, sql::SESSION, [token_hash], session)
    }

    fn expect_reviewer(&self, login: &str) -> Result<Reviewer, StoreError> {
        self.reviewer(login)?
            .ok_or_else(|| StoreError::not_found(format!("reviewer {login}")))
    }
}

const KEY: &str = "an API key";
const REVIEWER: &str = "a reviewer";
const SESSION: &str = "a session";

fn api_key(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: get(row, 0, KEY)?,
        name: get(row, 1, KEY)?,
        secret_hash: bytes32(row, 2, KEY)?,
        scopes: from_json(row, 3, KEY)?,
        created_at: time(row, 4, KEY)?,
        revoked_at: maybe_time(row, 5, KEY)?,
    })
}

fn reviewer(row: &Row<'_>) -> Result<Reviewer, StoreError> {
    Ok(Reviewer {
        id: get(row, 0, REVIEWER)?,
        login: get(row, 1, REVIEWER)?,
        password_hash: get(row, 2, REVIEWER)?,
        role: parsed(row, 3, REVIEWER)?,
        created_at: time(row, 4, REVIEWER)?,
        disabled_at: maybe_time(row, 5, REVIEWER)?,
    })
}

fn session(row: &Row<'_>) -> Result<Session, StoreError> {
    Ok(Session {
        id: get(row, 0, SESSION)?,
        token_hash: bytes32(row, 1, SESSION)?,
        login: get(row, 2, SESSION)?,
        csrf: get(row, 3, SESSION)?,
        created_at: time(row, 4, SESSION)?,
        expires_at: time(row, 5, SESSION)?,
        ended_at: maybe_time(row, 6, SESSION)?,
        role: parsed(row, 7, SESSION)?,
    })
}
