//! Who sent a request: the session cookie, the proof that a form is ours, the address.
//!
//! A form is accepted when the browser does not say that it came from elsewhere (`Origin`,
//! `Sec-Fetch-Site`) *and* it carries the session's own token. The cookie is `HttpOnly` and
//! `SameSite=Lax`, its value is random, and only its hash is stored.

use super::memory::SessionHash;
use super::{ConsoleState, Error};
use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use manara_store::Role;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use subtle::ConstantTimeEq;

/// A reviewer who is logged in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) hash: SessionHash,
    pub(super) login: String,
    pub(super) role: Role,
    pub(super) csrf: String,
}

/// The cookie that carries a session.
pub(super) const SESSION_COOKIE: &str = "manara_session";
/// The cookie that forms before a login are bound to.
pub(super) const FORM_COOKIE: &str = "manara_form";

/// The session a request belongs to, if it has one that is in force.
pub(super) async fn session_of(
    state: &ConsoleState,
    headers: &HeaderMap,
) -> Result<Option<Session>, Error> {
    let Some(token) = cookie(headers, &cookie_name(state, SESSION_COOKIE)).and_then(decode_token)
    else {
        return Ok(None);
    };
    let hash = hash_of(&token);
    let now = state.now();
    let stored = state
        .read(move |reader| Ok(reader.session(&hash, now)?))
        .await?;
    let Some(stored) = stored else {
        return Ok(None);
    };
    if !state.0.memory.use_session(hash, now) {
        state
            .store()
            .write(move |tx| tx.close_session(&hash, now))
            .await?;
        state.0.memory.forget(hash);
        return Ok(None);
    }
    Ok(Some(Session {
        hash,
        login: stored.login,
        role: stored.role,
        csrf: stored.csrf,
    }))
}

/// 32 random bytes as text for a cookie or a form.
pub(super) fn encode_token(token: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(token)
}

fn decode_token(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// What is stored of a token.
pub(super) fn hash_of(token: &[u8; 32]) -> SessionHash {
    Sha256::digest(token).into()
}

/// Over HTTPS the prefix makes browsers refuse the cookie from anything but this very host.
fn cookie_name(state: &ConsoleState, name: &str) -> String {
    if state.secure_cookies() {
        format!("__Host-{name}")
    } else {
        name.to_owned()
    }
}

/// A `Set-Cookie` value: kept until the browser closes, or taken back when `value` is `None`.
pub(super) fn set_cookie(state: &ConsoleState, name: &str, value: Option<&str>) -> HeaderValue {
    let name = cookie_name(state, name);
    let (value, age) = value.map_or(("", "; Max-Age=0"), |value| (value, ""));
    let secure = if state.secure_cookies() {
        "; Secure"
    } else {
        ""
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}");
    // Names and base64 make a valid header; an empty one would only leave the browser without a cookie.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

impl FromRequestParts<ConsoleState> for Session {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, Error> {
        match session_of(state, &parts.headers).await? {
            Some(session) => Ok(session),
            None if matches!(parts.method, Method::GET | Method::HEAD) => {
                let next = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                Err(Error::LogIn {
                    next: next.to_owned(),
                })
            }
            None => Err(Error::Ended),
        }
    }
}

/// A form that did not come from another site. Whose it is, is not checked yet.
pub(super) struct OwnForm<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<ConsoleState> for OwnForm<T> {
    type Rejection = Error;
    async fn from_request(request: Request, state: &ConsoleState) -> Result<Self, Error> {
        if is_foreign(request.headers(), request.uri()) {
            return Err(Error::ForeignForm);
        }
        let Form(form) = Form::from_request(request, state)
            .await
            .map_err(|error| unreadable(&error))?;
        Ok(Self(form))
    }
}

fn unreadable(error: &FormRejection) -> Error {
    let too_large = error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE;
    Error::BadForm(if too_large {
        format!(
            "It is larger than {} KiB, or than {} MiB with a rule file in it; shorten what you typed",
            super::FORM_BYTES_MAX / 1024,
            super::pages::rule_file::FILE_FORM_BYTES_MAX / 1024 / 1024
        )
    } else {
        "Its fields are not those of a form of this console".to_owned()
    })
}

/// A form together with the session it was made for.
pub(super) struct Sent<T> {
    pub(super) session: Session,
    pub(super) form: T,
}

/// Any form: its token, and what else it holds.
#[derive(Deserialize)]
pub(super) struct WithCsrf<T> {
    #[serde(default)]
    pub(super) csrf: String,
    #[serde(flatten)]
    pub(super) form: T,
}

impl<T: DeserializeOwned> FromRequest<ConsoleState> for Sent<T> {
    type Rejection = Error;
    async fn from_request(request: Request, state: &ConsoleState) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let OwnForm(WithCsrf { csrf, form }) = OwnForm::from_request(request, state).await?;
        if !session.owns(&csrf) {
            return Err(Error::StaleForm);
        }
        Ok(Self { session, form })
    }
}

impl Session {
    /// Whether a form's token is this session's.
    pub(super) fn owns(&self, csrf: &str) -> bool {
        same(&self.csrf, csrf)
    }
}

/// The token of a form on a page without a session, bound to the visitor's cookie.
pub(super) fn form_token(state: &ConsoleState, cookie: &[u8; 32]) -> String {
    let digest = Sha256::new()
        .chain_update(state.0.form_secret)
        .chain_update(cookie)
        .finalize();
    hex::encode(digest)
}

/// The visitor's cookie, from which [`form_token`] is made.
pub(super) fn visitor(state: &ConsoleState, headers: &HeaderMap) -> Option<[u8; 32]> {
    cookie(headers, &cookie_name(state, FORM_COOKIE)).and_then(decode_token)
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub(super) fn same(known: &str, given: &str) -> bool {
    bool::from(known.as_bytes().ct_eq(given.as_bytes()))
}

/// Whether the browser says that the request was made by another site's page.
fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
    };
    if text(header::HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| !matches!(site, "same-origin" | "none"))
    {
        return true;
    }
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let host = text(header::HOST)
        .or_else(|| uri.authority().map(|a| a.as_str()))
        .unwrap_or("");
    // The scheme is left out: a proxy that ends TLS passes on the host, and http where https was.
    let origin = origin
        .split_once("://")
        .map_or("", |(_, authority)| authority);
    host.is_empty() || !origin.eq_ignore_ascii_case(host)
}

/// Where a request came from; for IPv6 the network of 64 bits that one subscriber has.
pub(super) struct Address(pub(super) Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map(|ConnectInfo(peer)| subscriber(peer.ip()))))
    }
}

fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], foreign: bool) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        assert_eq!(
            is_foreign(&headers, &Uri::from_static("/login")),
            foreign,
            "{headers:?}"
        );
    }

    #[test]
    fn forms_of_other_sites_are_told_apart() {
        check(&[("host", "manara.example")], false);
        check(
            &[
                ("host", "manara.example"),
                ("origin", "https://manara.example"),
            ],
            false,
        );
        check(
            &[
                ("host", "manara.example:8080"),
                ("origin", "http://MANARA.example:8080"),
            ],
            false,
        );
        check(
            &[
                ("host", "manara.example"),
                ("origin", "https://evil.example"),
            ],
            true,
        );
        check(
            &[
                ("host", "manara.example"),
                ("origin", "https://manara.example.evil.example"),
            ],
            true,
        );
        check(
            &[
                ("host", "manara.example"),
                ("origin", "https://manara.example:444"),
            ],
            true,
        );
        check(&[("host", "manara.example"), ("origin", "null")], true);
        check(&[("origin", "null")], true);
        check(
            &[("host", "manara.example"), ("sec-fetch-site", "cross-site")],
            true,
        );
        check(
            &[("host", "manara.example"), ("sec-fetch-site", "same-site")],
            true,
        );
        check(
            &[
                ("host", "manara.example"),
                ("sec-fetch-site", "same-origin"),
            ],
            false,
        );
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; xmanara_session=2"),
        );
        assert_eq!(cookie(&headers, SESSION_COOKIE), None);
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("manara_session=3; b=4"),
        );
        assert_eq!(cookie(&headers, SESSION_COOKIE), Some("3"));
    }

    #[test]
    fn addresses_of_one_subscriber_are_one() {
        let of = |text: &str| subscriber(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
