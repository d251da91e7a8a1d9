//! Previews: small pictures of media in cases, kept so that a reviewer can see what was decided on.
//!
//! They leave the store on request only, and each request of a reviewer leaves a trace
//! ([`Tx::reveal_media`](crate::Tx::reveal_media)).

use crate::error::StoreError;
use crate::reader::{Reader, get};
use crate::sql;
use crate::tables::{PREVIEWS, blob, int, text};
use crate::tx::{Committed, Tx};
use jiff::Timestamp;
use manara_model::{Author, DecisionId};

/// Largest preview, in bytes.
pub const PREVIEW_BYTES_MAX: usize = 512 * 1024;

/// A small picture of a medium.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// SHA-256 of the medium it shows (not of the preview), by which it is asked for.
    pub sha256: [u8; 32],
    /// Its media type, `image/jpeg` for example.
    pub content_type: String,
    /// Its bytes, at most [`PREVIEW_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Preview {
    /// Without the picture: it has no place in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Preview({}, {}, {} bytes)",
            hex::encode(self.sha256),
            self.content_type,
            self.bytes.len()
        )
    }
}

impl Tx<'_> {
    /// Keeps a preview within the open leaf, unless there is one of that medium.
    pub(crate) fn insert_preview(
        &mut self,
        preview: &Preview,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let bytes = preview.bytes.len();
        if bytes > PREVIEW_BYTES_MAX {
            let problem =
                format!("{bytes} bytes long, the limit is {PREVIEW_BYTES_MAX}: make it smaller");
            return Err(StoreError::Invalid {
                what: "preview",
                problem,
            });
        }
        let sha256 = hex::encode(preview.sha256);
        let values = [
            text(&sha256),
            text(&preview.content_type),
            int(now.as_microsecond()),
            blob(&preview.bytes),
        ];
        self.insert(&PREVIEWS, &values).map(|_| ())
    }
}

impl Tx<'_> {
    /// Keeps previews for a decision that was kept before them. Audit: one `previews.added` leaf, none when there
    /// is one of each medium already.
    pub fn add_previews(
        &mut self,
        decision: DecisionId,
        previews: &[Preview],
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        self.begin("previews.added", &Author::System, now)?;
        for preview in previews {
            self.insert_preview(preview, now)?;
        }
        if !self.abandon() {
            self.seal(Some(decision.to_string()))?;
        }
        Ok(Committed(()))
    }
}

impl Reader {
    /// The preview of the medium with this SHA-256.
    pub(crate) fn preview(&self, sha256: &[u8; 32]) -> Result<Option<Preview>, StoreError> {
        const CONTEXT: &str = "a preview";
        self.first(CONTEXT, sql::PREVIEW, [hex::encode(sha256)], |row| {
            Ok(Preview {
                sha256: *sha256,
                content_type: get(row, 0, CONTEXT)?,
                bytes: get(row, 1, CONTEXT)?,
            })
        })
    }

    /// Whether there is a preview of the medium with this SHA-256.
    pub fn has_preview(&self, sha256: &[u8; 32]) -> Result<bool, StoreError> {
        self.number("a preview", sql::HAS_PREVIEW, [hex::encode(sha256)])
            .map(|found| found != 0)
    }
}
