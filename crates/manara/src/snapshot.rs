//! The PDQ index between two runs: a file that is mapped into memory at start instead of building
//! the index from the database again.
//!
//! ```text
//! DATA/pdq.index   magic, length and SHA-256 of the head │ head (JSON) │ padding │ the index
//! ```
//!
//! The head says up to where in the database the index goes and what stood there, so a file that does
//! not belong to this database, an older one put back from a backup for example, is not used. Nothing
//! depends on the file: what is missing, damaged or foreign is built again from the database, and said.

use anyhow::{Context, Result, bail, ensure};
use manara_model::BankName;
use manara_signal::index::PdqIndex;
use manara_store::BankCursor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

/// Fewer hashes than this are built as quickly as they are read.
pub(crate) const HASHES_MIN: usize = 50_000;

/// The file's name in the data directory.
pub(crate) const NAME: &str = "pdq.index";

const MAGIC: &[u8; 8] = b"MNRindex";
/// Magic, length and digest.
const START: usize = 8 + 8 + 32;
const HEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The index begins at a multiple of this.
const ALIGNMENT: usize = 4096;

/// What an index is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Up to where in the database.
    pub(crate) cursor: BankCursor,
    /// The database's digest of all up to there, in hexadecimal.
    pub(crate) state: String,
    /// The banks in the order of the index's keys, each with the number of its hashes.
    pub(crate) banks: Vec<(BankName, u64)>,
}

/// Writes the file in the place of an earlier one; a crash leaves one or the other.
pub(crate) fn write(path: &Path, head: &Head, index: &PdqIndex) -> Result<()> {
    let temporary = path.with_extension("index.new");
    let written = write_to(&temporary, head, index)
        .and_then(|()| std::fs::rename(&temporary, path).map_err(Into::into));
    if written.is_err() {
        // What is half written is of no use; the error that matters is the first.
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("writing {}", path.display()))
}

fn write_to(path: &Path, head: &Head, index: &PdqIndex) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let json = serde_json::to_vec(head)?;
    out.write_all(MAGIC)?;
    out.write_all(&(json.len() as u64).to_le_bytes())?;
    out.write_all(&Sha256::digest(&json))?;
    out.write_all(&json)?;
    let padding = (START + json.len()).next_multiple_of(ALIGNMENT) - START - json.len();
    out.write_all(&vec![0; padding])?;
    index.write_snapshot(&mut out)?;
    out.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    Ok(())
}

/// Opens the file; `None` when there is none.
pub(crate) fn open(path: &Path) -> Result<Option<(Head, PdqIndex)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
    };
    let opened = mapped(&file).map_err(Into::into).and_then(read);
    opened
        .with_context(|| format!("reading {}", path.display()))
        .map(Some)
}

fn read(bytes: Mapped) -> Result<(Head, PdqIndex)> {
    let whole: &[u8] = bytes.as_ref();
    let Some((start, rest)) = whole.split_at_checked(START) else {
        bail!("it is too short");
    };
    let (magic, start) = start.split_at(8);
    ensure!(magic == MAGIC, "it is not an index of Manara's");
    let (length, digest) = start.split_at(8);
    let length = u64::from_le_bytes(length.try_into()?);
    ensure!(length <= HEAD_BYTES_MAX, "its head is too long");
    let json = rest
        .get(..length as usize)
        .context("it ends within its head")?;
    ensure!(
        Sha256::digest(json).as_slice() == digest,
        "its head is damaged"
    );
    let head = serde_json::from_slice(json).context("its head is of another version")?;
    let at = (START + json.len()).next_multiple_of(ALIGNMENT);
    ensure!(at <= whole.len(), "it ends before its index");
    let index = PdqIndex::from_snapshot(Arc::new(From { bytes, at }))?;
    Ok((head, index))
}

/// Mapped bytes from some place on.
struct From {
    bytes: Mapped,
    at: usize,
}

impl AsRef<[u8]> for From {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref().get(self.at..).unwrap_or_default()
    }
}

type Mapped = memmap2::Mmap;

#[expect(
    unsafe_code,
    reason = "a mapped file may be changed by others while it is read, which nothing can rule out in the language"
)]
fn mapped(file: &File) -> std::io::Result<Mapped> {
    // SAFETY: the file is private to the server's user and is never written again once it has its name:
    // `write` makes a new one and renames it. Should somebody cut it all the same, the process gets
    // SIGBUS and ends; it reads nothing it should not.
    unsafe { memmap2::MmapOptions::new().map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_signal::Pdq;

    fn head() -> Head {
        Head {
            cursor: BankCursor::default(),
            state: "00".repeat(32),
            banks: vec![("IMAGES".parse().unwrap(), 200)],
        }
    }

    fn index() -> PdqIndex {
        let hash = |n: u64| {
            let mut hash = Pdq([0; 32]);
            hash.0[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            hash
        };
        PdqIndex::from_entries((0..200).map(|n| (n, hash(n))))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        assert!(open(&path).unwrap().is_none());
        write(&path, &head(), &index()).unwrap();
        write(&path, &head(), &index()).unwrap();
        let (found, opened) = open(&path).unwrap().unwrap();
        assert_eq!(found, head());
        assert_eq!(opened.len(), 200);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        write(&path, &head(), &index()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let json = serde_json::to_vec(&head()).unwrap().len();
        let padding = START + json..(START + json).next_multiple_of(ALIGNMENT);
        // The index checks each of its bytes itself, and has its own test.
        for byte in (0..padding.start).chain((padding.end..whole.len()).step_by(113)) {
            let mut bytes = whole.clone();
            bytes[byte] ^= 1 << (byte % 8);
            std::fs::write(&path, bytes).unwrap();
            assert!(open(&path).is_err(), "byte {byte} of {}", whole.len());
        }
        for length in (0..whole.len()).step_by(97) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(open(&path).is_err(), "cut to {length} bytes");
        }
    }
}
