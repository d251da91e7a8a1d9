//! The data directory: the database, the audit key, the rules, and the lock that keeps two servers apart.
//!
//! ```text
//! DATA/manara.db      the database (SQLite, WAL)
//! DATA/audit.key      32 bytes in hex: signs the audit log's checkpoints; back it up apart from the database
//! DATA/pdq.index      the image index as it was, to start faster; may be deleted
//! DATA/counters.state what counters hold, to start faster; may be deleted
//! DATA/manara.lock    held by the running server, and says which
//! DATA/rules/*.rules  the rules, unless `rules` in the configuration says otherwise
//! DATA/manara.toml    the configuration, if there is one
//! ```

use crate::clock;
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// How often, and how far apart, a lock that somebody holds is tried again.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// A data directory that exists.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

/// Held for as long as the server runs; the operating system lets go of it however the process ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl DataDir {
    /// Opens `path`, making it (readable by its owner only) when it is missing.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path);
        made.with_context(|| format!("making the data directory {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// Opens `path`, which has to hold a database already.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let dir = Self(path.to_owned());
        if !dir.database().exists() {
            bail!(
                "{} holds no Manara database; give the directory of an earlier `manara serve --data DIR`, or make a bank there with `manara bank create --data DIR NAME`",
                path.display()
            );
        }
        Ok(dir)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("manara.db")
    }
    pub(crate) fn index(&self) -> PathBuf {
        self.0.join(crate::snapshot::NAME)
    }
    pub(crate) fn counters(&self) -> PathBuf {
        self.0.join("counters.state")
    }
    pub(crate) fn rules(&self) -> PathBuf {
        self.0.join("rules")
    }
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("manara.toml")
    }

    /// Takes the server's lock, or says who holds it.
    pub(crate) fn lock(&self, listen: &str) -> Result<Lock> {
        let path = self.0.join("manara.lock");
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = opened.with_context(|| format!("opening {}", path.display()))?;
        // A server that was killed a moment ago may have been starting a media worker, which has the lock until it
        // has begun; that takes milliseconds.
        let mut locked = file.try_lock();
        for _ in 0..LOCK_TRIES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)
                    .context("reading who holds the lock")?;
                bail!(
                    "{} is in use by another Manara server: {}. Stop that one first, or give this one a --data directory of its own",
                    self.0.display(),
                    holder.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        let holder = format!(
            "process {}, listening on {listen}, since {}\n",
            std::process::id(),
            clock::now()
        );
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(holder.as_bytes())
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(Lock(file))
    }

    /// The seed of the audit log's signing key, made on first use.
    ///
    /// Several processes may do so at once: all get the seed of the one that was first.
    pub(crate) fn audit_seed(&self) -> Result<[u8; 32]> {
        let path = self.0.join("audit.key");
        // Looked at before the key: whoever makes a database has made its key first.
        let has_database = self.database().exists();
        if let Some(seed) = read_seed(&path)? {
            return Ok(seed);
        }
        if has_database {
            bail!(
                "{} is missing, but the database has a log signed with it: put it back from your backup",
                path.display()
            );
        }
        write_seed(&path).with_context(|| format!("writing {}", path.display()))?;
        read_seed(&path)?.with_context(|| format!("{} is gone again", path.display()))
    }
}

impl Lock {
    /// Says where the server really listens, once it is known.
    pub(crate) fn announce(&mut self, listen: &str) -> Result<()> {
        let holder = format!(
            "process {}, listening on {listen}, since {}\n",
            std::process::id(),
            clock::now()
        );
        self.0.set_len(0)?;
        self.0.rewind()?;
        Ok(self.0.write_all(holder.as_bytes())?)
    }
}

fn read_seed(path: &Path) -> Result<Option<[u8; 32]>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_seed(&text).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
    .with_context(|| format!("reading {}", path.display()))
}

fn parse_seed(text: &str) -> Result<[u8; 32]> {
    let bytes = hex::decode(text.trim()).context("not hexadecimal")?;
    bytes
        .try_into()
        .map_err(|b: Vec<u8>| anyhow::anyhow!("{} bytes long, expected 32", b.len()))
}

/// Writes a new seed, unless there is one, so that a crash leaves either none or a whole one.
fn write_seed(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let seed: [u8; 32] = clock::random();
    // Each process writes a file of its own, and the first to link it under the name has made the key.
    let own = hex::encode(clock::random::<8>());
    let temporary = path.with_extension(format!("key.{own}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(format!("{}\n", hex::encode(seed)).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&temporary, path));
    std::fs::remove_file(&temporary)?;
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }?;
    // The name has to last as long as what is signed with the key.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_seed_is_made_once_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open_or_create(&temporary.path().join("data")).unwrap();
        let seed = dir.audit_seed().unwrap();
        assert_eq!(dir.audit_seed().unwrap(), seed);
        let mode = std::fs::metadata(dir.0.join("audit.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn several_at_once_agree_on_one_audit_seed() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open_or_create(temporary.path()).unwrap();
        let start = std::sync::Barrier::new(8);
        let seeds: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        dir.audit_seed().unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(seeds.iter().all(|seed| *seed == seeds[0]));
        let left = std::fs::read_dir(temporary.path()).unwrap().count();
        assert_eq!(left, 1, "the key and nothing else");
    }

    #[test]
    fn a_missing_key_beside_a_database_is_not_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open_or_create(temporary.path()).unwrap();
        std::fs::write(dir.database(), b"x").unwrap();
        let error = dir.audit_seed().unwrap_err().to_string();
        assert!(error.contains("put it back"), "{error}");
    }

    #[test]
    fn the_second_server_is_told_who_holds_the_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open_or_create(temporary.path()).unwrap();
        let _held = dir.lock("127.0.0.1:1").unwrap();
        let error = dir.lock("127.0.0.1:2").unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        assert!(error.contains("listening on 127.0.0.1:1"), "{error}");
    }
}
