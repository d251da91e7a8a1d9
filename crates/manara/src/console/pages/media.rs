//! Media: shown only after a reviewer asked, which is recorded first.
//!
//! ```text
//! POST /cases/{id}/reveal ─ audit leaf ─▶ preview held for this session ─▶ page with one <img>
//! GET  /media/{sha256}?case={id} ─ only what this session holds; the re-encoded preview, never the upload
//! ```

use super::ConsoleState;
use super::case::{case_id, sha256_of};
use crate::console::Error;
use crate::console::session::{Sent, Session};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

#[derive(Deserialize)]
pub(in crate::console) struct RevealForm {
    #[serde(default)]
    sha256: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct MediaQuery {
    #[serde(default)]
    case: String,
}

/// `POST /cases/{id}/reveal`
pub(in crate::console) async fn reveal(
    State(state): State<ConsoleState>,
    Path(id): Path<String>,
    Sent { session, form }: Sent<RevealForm>,
) -> Result<Response, Error> {
    let (id, sha256) = (case_id(&id)?, parse_sha256(&form.sha256)?);
    let anchor = state
        .read(move |reader| {
            let detail = reader
                .case_detail(id)?
                .ok_or_else(|| Error::NotFound("case".into()))?;
            let numbered = detail.events.iter().rev().enumerate();
            let mut media = numbered.flat_map(|(number, stored)| {
                stored
                    .event
                    .media()
                    .iter()
                    .enumerate()
                    .map(move |(index, medium)| (number, index, medium))
            });
            // A hash from elsewhere would record a look at something this case does not hold.
            let found = media.find(|(_, _, medium)| sha256_of(medium) == Some(sha256));
            let (number, index, _) =
                found.ok_or_else(|| Error::NotFound("medium in this case".into()))?;
            Ok(format!("m-{}-{}", number + 1, index + 1))
        })
        .await?;
    let (login, now) = (session.login.clone(), state.now());
    let preview = state
        .store()
        .write(move |tx| tx.reveal_media(id, &sha256, &login, now))
        .await?;
    let preview = preview.ok_or_else(|| Error::NotFound("preview of this medium".into()))?;
    state.0.memory.reveal(session.hash, id, preview);
    Ok(Redirect::to(&format!(
        "/cases/{id}?show={}#{anchor}",
        hex::encode(sha256)
    ))
    .into_response())
}

/// `GET /media/{sha256}?case={id}`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Path(sha256): Path<String>,
    Query(query): Query<MediaQuery>,
) -> Result<Response, Error> {
    let (case, sha256) = (case_id(&query.case)?, parse_sha256(&sha256)?);
    let preview = state
        .0
        .memory
        .revealed(session.hash, case, sha256)
        .ok_or(Error::NotRevealed)?;
    // Previews are JPEG or PNG of our own making; anything else would be a fault to be seen as such.
    let content_type = match preview.content_type.as_str() {
        "image/jpeg" => "image/jpeg",
        "image/png" => "image/png",
        other => return Err(Error::Internal(format!("a preview of type `{other}`"))),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("inline"),
    );
    Ok((headers, preview.bytes.clone()).into_response())
}

fn parse_sha256(text: &str) -> Result<[u8; 32], Error> {
    hex::FromHex::from_hex(text).map_err(|_| Error::NotFound("medium".into()))
}
