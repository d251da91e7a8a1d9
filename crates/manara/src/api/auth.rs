//! API keys: `Authorization: Bearer mnr_<id>_<secret>`, kept only as a hash.
//!
//! A key's secret has 256 random bits, so one round of SHA-256 is enough: there is nothing to guess.
//! Keys are read into memory and read again when the database changes, so a revocation holds within
//! a second whichever process made it.

use crate::api::problem::Problem;
use crate::clock;
use axum::http::{HeaderMap, header};
use base64::Engine;
use manara_store::{ApiKey, NewApiKey};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Send events, and look signals up.
    EventsWrite,
    /// Read `/metrics`.
    MetricsRead,
}

impl Scope {
    pub(crate) const ALL: [Self; 2] = [Self::EventsWrite, Self::MetricsRead];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::MetricsRead => "metrics:read",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("`{text}` is not a scope: use one of {known}")
            })
    }
}

/// Makes a key: what is kept, and the text its holder gets once.
pub(crate) fn new_key(name: &str, scopes: &[Scope]) -> (NewApiKey, String) {
    let id = hex::encode(clock::random::<6>());
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(clock::random::<32>());
    let text = format!("mnr_{id}_{secret}");
    (kept(id, name, &text, scopes), text)
}

/// The key for a secret that an operator chose (`MANARA_API_KEY`). Its id is derived from it, so
/// the same secret seeds the same key at every start.
pub(crate) fn seeded_key(text: &str) -> Result<NewApiKey, String> {
    if text.len() < 24 || text.len() > 512 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("MANARA_API_KEY: use 24 to 512 printable ASCII characters, for example from `openssl rand -hex 32`".into());
    }
    let digest: [u8; 32] = Sha256::digest(text).into();
    let id = format!("env-{}", hex::encode(digest.get(..4).unwrap_or_default()));
    Ok(kept(id, "MANARA_API_KEY", text, &Scope::ALL))
}

fn kept(id: String, name: &str, text: &str, scopes: &[Scope]) -> NewApiKey {
    NewApiKey {
        id,
        name: name.to_owned(),
        secret_hash: Sha256::digest(text).into(),
        scopes: scopes.iter().map(|s| s.as_str().to_owned()).collect(),
    }
}

/// The keys in force.
#[derive(Debug, Default)]
pub(crate) struct Keys(RwLock<HashMap<[u8; 32], Arc<ApiKey>>>);

impl Keys {
    /// Replaces the keys by those in the store.
    pub(crate) fn set(&self, keys: Vec<ApiKey>) {
        let active = keys.into_iter().filter(|k| k.revoked_at.is_none());
        let by_hash = active.map(|k| (k.secret_hash, Arc::new(k))).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = by_hash;
    }

    /// The key of a request, if it may do what `scope` says.
    pub(crate) fn authorize(
        &self,
        headers: &HeaderMap,
        scope: Scope,
    ) -> Result<Arc<ApiKey>, Problem> {
        let text = bearer(headers)?;
        let hash: [u8; 32] = Sha256::digest(text).into();
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // The look-up is by a hash of the secret, so its timing says nothing about the secret; the
        // comparison is in constant time all the same.
        let key = keys
            .get(&hash)
            .filter(|k| bool::from(k.secret_hash.ct_eq(&hash)));
        let key = key.ok_or_else(|| {
            Problem::unauthorized(
                "this API key is unknown or revoked",
                "make one with `manara key create`",
            )
        })?;
        if key.scopes.iter().any(|s| s == scope.as_str()) {
            return Ok(key.clone());
        }
        let detail = format!(
            "key {} has the scopes {}, not {scope}",
            key.id,
            key.scopes.join(", ")
        );
        Err(Problem::forbidden(
            detail,
            format!("make a key with `manara key create --scope {scope}`"),
        ))
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        Problem::unauthorized(
            "there is no `Authorization: Bearer …` header",
            "send an API key; make one with `manara key create`",
        )
    };
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(missing)?
        .to_str()
        .map_err(|_| missing())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(missing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn keys(scopes: &[Scope]) -> (Keys, String) {
        let (new, text) = new_key("test", scopes);
        let keys = Keys::default();
        keys.set(vec![ApiKey {
            id: new.id,
            name: new.name,
            secret_hash: new.secret_hash,
            scopes: new.scopes,
            created_at: clock::now(),
            revoked_at: None,
        }]);
        (keys, text)
    }

    #[track_caller]
    fn check(keys: &Keys, header: Option<&str>, expect: Result<(), u16>) {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let found = keys
            .authorize(&headers, Scope::EventsWrite)
            .map(|_| ())
            .map_err(|p| p.status);
        assert_eq!(found, expect, "{header:?}");
    }

    #[test]
    fn only_a_known_key_with_the_scope_passes() {
        let (known, text) = keys(&[Scope::EventsWrite]);
        check(&known, Some(&format!("Bearer {text}")), Ok(()));
        check(&known, Some(&format!("bearer {text}")), Ok(()));
        check(&known, None, Err(401));
        check(&known, Some("Basic abc"), Err(401));
        check(&known, Some(&format!("Bearer {text}x")), Err(401));
        let (other, text) = keys(&[Scope::MetricsRead]);
        check(&other, Some(&format!("Bearer {text}")), Err(403));
    }

    #[test]
    fn a_seeded_key_is_long_enough_and_stable() {
        assert!(seeded_key("short").is_err());
        let secret = "0123456789abcdef0123456789abcdef";
        assert_eq!(
            seeded_key(secret).unwrap().id,
            seeded_key(secret).unwrap().id
        );
    }
}
