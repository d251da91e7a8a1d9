//! The files that are checked together: those of a folder on disk, with what is open laid over them.

use super::document::Document;
use crate::rulebook::with_builtin;
use manara_rules::{Diagnostic, Schema, Source, compile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use url::Url;

/// The schema of a folder.
pub(super) const SCHEMA: &str = "schema.toml";
/// Most files of a folder.
const FILES_MAX: usize = 1_000;
/// Largest file that is read from disk, in bytes; one beyond the limit of rule files is reported.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most bytes of all files of a folder; what lies beyond is left out.
const FOLDER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which files belong together: those of a folder, or a text that is kept nowhere by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Folder(PathBuf),
    Alone(String),
}

/// One file as it is now.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) uri: String,
    pub(super) source: Source,
    /// The version in the editor, if it is open.
    pub(super) version: Option<i64>,
}

/// The files of a group as they were when last looked at, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) files: Vec<File>,
    pub(super) schema_file: Option<File>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The schema as it was when last in order.
    pub(super) schema: Schema,
}

/// Files on disk, read again only when they have changed.
#[derive(Debug, Default)]
pub(super) struct Disk(BTreeMap<PathBuf, (SystemTime, u64, String)>);

/// The group a document belongs to.
pub(super) fn group_of(uri: &str, document: &Document) -> Group {
    let folder = document.path.as_ref().and_then(|path| path.parent());
    folder.map_or_else(
        || Group::Alone(uri.to_owned()),
        |folder| Group::Folder(folder.to_owned()),
    )
}

/// The path of a `file:` address.
pub(super) fn path_of(uri: &str) -> Option<PathBuf> {
    Url::parse(uri).ok()?.to_file_path().ok()
}

/// Looks at the files of a group and checks them together.
pub(super) fn check(
    group: &Group,
    documents: &BTreeMap<String, Document>,
    disk: &mut Disk,
    before: Option<Checked>,
) -> Checked {
    let schema_file = match group {
        Group::Folder(folder) => schema_file(&folder.join(SCHEMA), documents, disk),
        Group::Alone(_) => None,
    };
    let files = match group {
        Group::Folder(folder) => files_of(folder, documents, disk),
        Group::Alone(uri) => documents
            .get(uri)
            .map(|d| alone(uri, d))
            .into_iter()
            .collect(),
    };
    let (schema, mut diagnostics) = match &schema_file {
        None => (Schema::builtin(), Vec::new()),
        Some(file) => match Schema::from_source(&file.source) {
            Ok(schema) => (schema, Vec::new()),
            // Rules are checked against the schema as it was, so that one slip is one mistake.
            Err(found) => (
                before.map_or_else(Schema::builtin, |before| before.schema),
                found,
            ),
        },
    };
    let sources = files.iter().map(|file| file.source.clone()).collect();
    diagnostics.extend(match compile(&with_builtin(sources), &schema) {
        Ok(rules) => rules.warnings().to_vec(),
        Err(found) => found,
    });
    Checked {
        files,
        schema_file,
        diagnostics,
        schema,
    }
}

fn alone(uri: &str, document: &Document) -> File {
    File {
        uri: uri.to_owned(),
        source: Source {
            name: uri.to_owned(),
            text: document.text.clone(),
        },
        version: document.version,
    }
}

fn open_at<'d>(
    path: &Path,
    documents: &'d BTreeMap<String, Document>,
) -> Option<(&'d String, &'d Document)> {
    documents
        .iter()
        .find(|(_, document)| document.path.as_deref() == Some(path))
}

fn file_of(path: &Path, documents: &BTreeMap<String, Document>, disk: &mut Disk) -> Option<File> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    if let Some((uri, document)) = open_at(path, documents) {
        let text = document.text.clone();
        return Some(File {
            uri: uri.clone(),
            source: Source { name, text },
            version: document.version,
        });
    }
    let text = disk.read(path)?;
    Some(File {
        uri: Url::from_file_path(path).ok()?.to_string(),
        source: Source { name, text },
        version: None,
    })
}

fn schema_file(
    path: &Path,
    documents: &BTreeMap<String, Document>,
    disk: &mut Disk,
) -> Option<File> {
    file_of(path, documents, disk)
}

/// The rule files of a folder, on disk or only open, by name.
fn files_of(folder: &Path, documents: &BTreeMap<String, Document>, disk: &mut Disk) -> Vec<File> {
    let is_rules = |path: &PathBuf| path.extension().is_some_and(|e| e == "rules");
    let on_disk = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = on_disk.flatten().map(|entry| entry.path()).collect();
    let open = documents
        .values()
        .filter_map(|document| document.path.clone());
    paths.extend(open.filter(|path| path.parent() == Some(folder)));
    // An open file counts as rules by its language, whatever its name; not so the schema.
    paths.retain(|path| {
        let is_open = open_at(path, documents).is_some();
        is_rules(path) || (is_open && path.file_name().is_none_or(|name| name != SCHEMA))
    });
    paths.sort();
    paths.dedup();
    paths.truncate(FILES_MAX);
    let mut room = FOLDER_BYTES_MAX;
    let files = paths
        .iter()
        .filter_map(|path| file_of(path, documents, disk));
    files
        .take_while(|file| {
            let left = room.checked_sub(file.source.text.len());
            room = left.unwrap_or(0);
            left.is_some()
        })
        .collect()
}

impl Disk {
    /// The text of a file; nothing when it is not there, not UTF-8, or far too large.
    fn read(&mut self, path: &Path) -> Option<String> {
        let metadata = std::fs::metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_file)?;
        let (modified, length) = (metadata.modified().ok()?, metadata.len());
        if length > FILE_BYTES_MAX {
            return None;
        }
        if let Some((at, of, text)) = self.0.get(path)
            && (*at, *of) == (modified, length)
        {
            return Some(text.clone());
        }
        let text = std::fs::read_to_string(path).ok()?;
        self.0
            .insert(path.to_owned(), (modified, length, text.clone()));
        Some(text)
    }
}
