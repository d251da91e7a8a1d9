//! Which files a scan looks at: every regular file below the given paths, hidden ones too, by name.
//!
//! Symbolic links are not followed (a link out of the folder, or a loop, would make the scan look
//! at what nobody named); a path named on the command line is followed, because somebody named it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was met on the way.
#[derive(Debug)]
pub(crate) enum Met {
    /// A regular file.
    File(PathBuf),
    /// Something that is left out on purpose.
    Skipped(PathBuf, &'static str),
    /// Something that could not be looked at.
    Failed(PathBuf, io::Error),
}

/// Files and folders that belong to the scan itself, by canonical path.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(HashSet<PathBuf>);

impl LeftOut {
    /// Leaves out `path`, if it exists.
    pub(crate) fn add(&mut self, path: &Path) {
        // A path that does not resolve cannot be met either.
        if let Ok(path) = fs::canonicalize(path) {
            self.0.insert(path);
        }
    }

    fn holds(&self, path: &Path) -> bool {
        !self.0.is_empty() && fs::canonicalize(path).is_ok_and(|path| self.0.contains(&path))
    }
}

/// Visits everything below `paths`; stops early when `visit` says so by returning `false`.
pub(crate) fn walk(paths: &[PathBuf], left_out: &LeftOut, visit: &mut dyn FnMut(Met) -> bool) {
    for path in paths {
        // Depth first, and a folder's entries in reverse on the stack, so that files come by name.
        let mut stack = vec![(path.clone(), true)];
        while let Some((path, named)) = stack.pop() {
            let met = look_at(path, named, left_out, &mut stack);
            if !met.into_iter().all(&mut *visit) {
                return;
            }
        }
    }
}

fn look_at(
    path: PathBuf,
    named: bool,
    left_out: &LeftOut,
    stack: &mut Vec<(PathBuf, bool)>,
) -> Vec<Met> {
    let metadata = if named {
        fs::metadata(&path)
    } else {
        fs::symlink_metadata(&path)
    };
    let kind = match metadata {
        Ok(metadata) => metadata.file_type(),
        Err(error) => return vec![Met::Failed(path, error)],
    };
    if kind.is_symlink() {
        return vec![Met::Skipped(path, "symbolic link")];
    }
    if !kind.is_file() && !kind.is_dir() {
        return vec![Met::Skipped(path, "not a regular file")];
    }
    if left_out.holds(&path) {
        return vec![Met::Skipped(
            path,
            "belongs to this scan: its bank, report or data directory",
        )];
    }
    if kind.is_file() {
        vec![Met::File(path)]
    } else {
        enter(path, stack)
    }
}

/// Puts the entries of a folder on the stack.
fn enter(path: PathBuf, stack: &mut Vec<(PathBuf, bool)>) -> Vec<Met> {
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) => return vec![Met::Failed(path, error)],
    };
    let mut failed = Vec::new();
    let mut below = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => below.push((entry.path(), false)),
            Err(error) => failed.push(Met::Failed(path.clone(), error)),
        }
    }
    below.sort_unstable_by(|a, b| b.cmp(a));
    stack.append(&mut below);
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(root: &Path, paths: &[PathBuf], left_out: &LeftOut) -> Vec<String> {
        let mut names = Vec::new();
        walk(paths, left_out, &mut |met| {
            let relative = |path: &Path| {
                path.strip_prefix(root)
                    .unwrap_or(path)
                    .display()
                    .to_string()
            };
            names.push(match met {
                Met::File(path) => relative(&path),
                Met::Skipped(path, why) => format!("{} skipped: {why}", relative(&path)),
                Met::Failed(path, error) => {
                    format!("{} failed: {:?}", relative(&path), error.kind())
                }
            });
            true
        });
        names
    }

    #[test]
    fn everything_regular_is_met_once_and_in_order() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        fs::create_dir_all(root.join("b/.hidden")).unwrap();
        for file in ["a.txt", "b/z.txt", "b/.hidden/c", "bank.csv"] {
            fs::write(root.join(file), "x").unwrap();
        }
        symlink(root, root.join("b/loop")).unwrap();
        symlink("/etc", root.join("c")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("d")).unwrap();
        let mut left_out = LeftOut::default();
        left_out.add(&root.join("b/../bank.csv"));
        assert_eq!(
            names(root, &[root.to_owned(), root.join("missing")], &left_out),
            [
                "a.txt",
                "b/.hidden/c",
                "b/loop skipped: symbolic link",
                "b/z.txt",
                "bank.csv skipped: belongs to this scan: its bank, report or data directory",
                "c skipped: symbolic link",
                "d skipped: not a regular file",
                "missing failed: NotFound",
            ]
        );
    }

    #[test]
    fn a_named_link_is_followed_and_the_walk_can_be_ended() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/a"), "x").unwrap();
        fs::write(root.join("real/b"), "x").unwrap();
        symlink(root.join("real"), root.join("link")).unwrap();
        assert_eq!(
            names(root, &[root.join("link")], &LeftOut::default()),
            ["link/a", "link/b"]
        );
        let mut seen = 0;
        walk(&[root.to_owned()], &LeftOut::default(), &mut |_| {
            seen += 1;
            false
        });
        assert_eq!(seen, 1);
    }
}
