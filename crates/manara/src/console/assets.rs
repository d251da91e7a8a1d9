//! Style sheet, icon and the editor of rules, embedded in the binary.

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "src/console/static"]
struct Files;

/// Where pages find the style sheet. The address changes with its content, so that browsers may
/// keep it for good and still see the next one.
pub(super) static STYLESHEET: LazyLock<String> = LazyLock::new(|| address("console.css"));

/// The same for the editor of rules, which `scripts/editor-bundle` makes.
pub(super) static EDITOR: LazyLock<String> = LazyLock::new(|| address("editor.js"));

/// What keeps the page of a back-test up to date.
pub(super) static TRYOUT: LazyLock<String> = LazyLock::new(|| address("tryout.js"));

fn address(name: &str) -> String {
    let version = Files::get(name).map_or_else(String::new, |file| version_of(&file));
    format!("/static/{name}?v={version}")
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    v: Option<String>,
}

pub(super) async fn serve(Path(path): Path<String>, Query(version): Query<Version>) -> Response {
    let Some(file) = Files::get(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kept = match version.v {
        Some(v) if v == version_of(&file) => "public, max-age=31536000, immutable",
        _ => "public, max-age=3600",
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type(&path)),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    (headers, file.data).into_response()
}

fn version_of(file: &rust_embed::EmbeddedFile) -> String {
    hex::encode(
        file.metadata
            .sha256_hash()
            .first_chunk::<8>()
            .copied()
            .unwrap_or_default(),
    )
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("js") => "text/javascript; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_editor_is_made_from_the_sources_beside_it() {
        let digest = Sha256::new()
            .chain_update(include_str!("editor/editor.mjs"))
            .chain_update(include_str!("editor/package-lock.json"))
            .finalize();
        let bundle = Files::get("editor.js").unwrap().data;
        let begins = String::from_utf8_lossy(&bundle[..300]).into_owned();
        let says = format!("Sources: {}", hex::encode(digest));
        assert!(
            begins.contains(&says),
            "run scripts/editor-bundle: {begins}"
        );
    }
}
