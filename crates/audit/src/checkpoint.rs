//! Checkpoints: a log's size and root at one moment, signed (C2SP `tlog-checkpoint`).
//!
//! The note's text is the origin (which log this is), the number of leaves, the root in base64,
//! and any extension lines. The specification says a log's key name *should* equal its origin;
//! here it must, so that a key used for two logs cannot be made to speak for the wrong one.

use crate::note::{self, NoteError, SigningKey, VerifyingKey};
use crate::tree::{Hash, MAX_SIZE};

/// What a log's operator signs: that its first `size` leaves have this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log this is; equal to the name of the key that signs.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Hash,
    /// Further lines, opaque; best none, since no monitor can check them.
    pub extensions: Vec<String>,
}

/// Why a checkpoint cannot be signed or is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it does not hold.
    #[error("the checkpoint's note is not accepted: {0}")]
    Note(#[from] NoteError),
    /// A line of the text is not what stands there in a checkpoint.
    #[error("line {line} of the checkpoint is not {expected}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// The origin is not the name of the key.
    #[error("the checkpoint is for log {origin:?}, the key is for {key:?}")]
    Origin {
        /// The origin in the checkpoint.
        origin: String,
        /// The name of the key.
        key: String,
    },
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Self {
        Self {
            origin: origin.into(),
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// The text that is signed.
    fn text(&self) -> Result<String, CheckpointError> {
        check_line(1, !self.origin.is_empty(), ORIGIN)?;
        check_line(2, self.size <= MAX_SIZE, SIZE)?;
        let mut text = format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            self.root.to_base64()
        );
        for (index, line) in self.extensions.iter().enumerate() {
            check_line(4 + index, note::is_note_line(line), EXTENSION)?;
            text.push_str(line);
            text.push('\n');
        }
        Ok(text)
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split_terminator('\n');
        let mut next =
            |line, expected| lines.next().ok_or(CheckpointError::Line { line, expected });
        let (origin, size, root) = (next(1, ORIGIN)?, next(2, SIZE)?, next(3, ROOT)?);
        check_line(1, !origin.is_empty(), ORIGIN)?;
        let size = parse_decimal(size).filter(|size| *size <= MAX_SIZE);
        let size = size.ok_or(CheckpointError::Line {
            line: 2,
            expected: SIZE,
        })?;
        let root = Hash::from_base64(root).map_err(|_| CheckpointError::Line {
            line: 3,
            expected: ROOT,
        })?;
        let mut checkpoint = Self::new(origin, size, root);
        for (index, line) in lines.enumerate() {
            check_line(4 + index, !line.is_empty(), EXTENSION)?;
            checkpoint.extensions.push(line.into());
        }
        Ok(checkpoint)
    }

    fn check_origin(&self, key: &str) -> Result<(), CheckpointError> {
        if self.origin == key {
            return Ok(());
        }
        Err(CheckpointError::Origin {
            origin: self.origin.clone(),
            key: key.into(),
        })
    }
}

const ORIGIN: &str = "an origin (text, not empty)";
const SIZE: &str = "a number of leaves in decimal";
const ROOT: &str = "a root hash in base64";
const EXTENSION: &str = "an extension (text without control characters, not empty)";

fn check_line(line: usize, good: bool, expected: &'static str) -> Result<(), CheckpointError> {
    if good {
        Ok(())
    } else {
        Err(CheckpointError::Line { line, expected })
    }
}

/// A decimal without sign or leading zeros, so that a number has one spelling.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || text.starts_with(|first| ('1'..='9').contains(&first));
    if canonical { text.parse().ok() } else { None }
}

/// The signed note of a checkpoint. The key's name has to be the checkpoint's origin.
pub fn sign_checkpoint(
    checkpoint: &Checkpoint,
    key: &SigningKey,
) -> Result<String, CheckpointError> {
    checkpoint.check_origin(key.name())?;
    let note = note::sign(&checkpoint.text()?, key);
    if note.len() > note::MAX_NOTE_BYTES {
        return Err(NoteError::TooLarge(note.len()).into());
    }
    Ok(note)
}

/// The checkpoint in `note`, once the signature by `key` was found and holds.
pub fn open_checkpoint(note: &str, key: &VerifyingKey) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = Checkpoint::parse(note::open(note, key)?)?;
    checkpoint.check_origin(key.name())?;
    Ok(checkpoint)
}
