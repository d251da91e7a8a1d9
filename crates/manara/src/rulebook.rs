//! The rules in force: read from a folder, checked, recorded, and swapped in whole when they change.
//!
//! ```text
//! *.rules in the folder ── watch ──┐
//!                                  ├─ check the whole set ─ record texts and versions ─ swap
//! the console ── save, approve ────┘        │                        └ the console's: then rename into place
//!                                           └ does not check: the earlier rules stay
//! ```
//!
//! The files are the truth; the store keeps every text they have had. A folder that does not check
//! leaves the rules in force as they are; the problems are kept for the console, the log and
//! `/metrics` until the folder checks again.

use crate::clock;
use crate::past::Keeper;
use crate::rule_schema;
use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use manara_model::{Author, BankName};
use manara_rules::{Diagnostic, Rule, RuleSet, Schema, Severity, Source};
use manara_store::{
    Committed, NewProposal, NewRuleFile, ProposalState, RuleText, Store, StoreError, Tx,
    rule_text_sha256,
};
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

/// Rules every server has, so that what cannot be decoded reaches a person. A rule of the same
/// name in the operator's own folder replaces it.
pub(crate) const BUILTIN: &str = include_str!("builtin.rules");
pub(crate) const BUILTIN_NAME: &str = "builtin.rules";
/// Largest rule file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most rule files in a folder.
const FILES_MAX: usize = 1000;

/// What is in force, and what is wrong with what is not.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) rules: Arc<RuleSet>,
    /// Why the folder as it is now is not in force. Empty when it is.
    pub(crate) problems: Vec<String>,
}

/// The rules in force, shared.
#[derive(Debug)]
pub(crate) struct Rulebook {
    folder: PathBuf,
    /// Whether what goes live from the console waits for a second person.
    approval: bool,
    /// The files as they were last looked at; `None` when they could not be read. Held while a file
    /// is changed, so that the watch does not record the console's change as one found on disk.
    seen: Mutex<Option<Vec<Source>>>,
    status: RwLock<Status>,
    /// What remembers for these rules, once there is one.
    keeper: OnceLock<Arc<Keeper>>,
}

/// The name of a rule file that the console may write: no folder, no surprises.
///
/// ```text
/// images.rules, new_accounts.rules, region-2.rules
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileName(String);

/// Longest such name, in bytes.
const FILE_NAME_BYTES_MAX: usize = 70;

/// A change of one rule file, by a person.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) file: FileName,
    /// The SHA-256 of the text it began from; of a file that does not exist, that of no text.
    pub(crate) base: [u8; 32],
    pub(crate) text: String,
    /// Why, in the author's words.
    pub(crate) note: String,
    pub(crate) author: Author,
    pub(crate) at: Timestamp,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saved {
    /// The file has this text as this version, and its rules are in force.
    InForce(u32),
    /// The file has this text as this version; other files do not check, so the earlier rules stay.
    Kept(u32),
    /// It waits for a second person, under this number.
    Proposed(i64),
    /// The file had this text already.
    Unchanged,
}

/// Why a change was not made. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsaved {
    /// The console cannot write the file.
    #[error("{0}")]
    ReadOnly(String),
    /// The text does not check, or breaks another file.
    #[error("the rules do not check with this text")]
    Mistakes(Vec<Diagnostic>),
    /// The file has another text than the one the change began from.
    #[error("the file was changed by somebody else meanwhile")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// The whole set of rules with one file changed.
pub(crate) struct Checked {
    /// The name the changed file goes by in diagnostics.
    pub(crate) source: String,
    /// All files, the changed one with its new text.
    pub(crate) sources: Vec<Source>,
    /// What the file holds now; `None` when there is none.
    pub(crate) before: Option<String>,
    /// The rules, or what is wrong with them.
    pub(crate) result: Result<RuleSet, Vec<Diagnostic>>,
    /// Whether something is wrong with the changed file, or with others because of it.
    pub(crate) mistaken: bool,
    /// Rules that would act, and do not act so now.
    pub(crate) going_live: Vec<String>,
}

/// A rule acts on content and accounts.
pub(crate) fn acts(rule: &Rule) -> bool {
    rule.mode.acts()
}

/// Reads all `*.rules` files of a folder (or one file), sorted by name.
pub(crate) fn read_sources(path: &Path) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.exists() {
        let entries = std::fs::read_dir(path)
            .with_context(|| format!("reading the rules folder {}", path.display()))?;
        for entry in entries {
            let file = entry
                .with_context(|| format!("reading the rules folder {}", path.display()))?
                .path();
            if file.extension().is_some_and(|e| e == "rules") {
                files.push(file);
            }
        }
    }
    if files.len() > FILES_MAX {
        bail!(
            "{} holds {} rule files, the limit is {FILES_MAX}",
            path.display(),
            files.len()
        );
    }
    files.sort();
    files.iter().map(|file| read_source(file)).collect()
}

fn read_source(file: &Path) -> Result<Source> {
    let length = std::fs::metadata(file)
        .with_context(|| format!("reading rule file {}", file.display()))?
        .len();
    if length > FILE_BYTES_MAX {
        bail!(
            "rule file {} is {length} bytes long, the limit is {FILE_BYTES_MAX}: split it",
            file.display()
        );
    }
    Ok(Source {
        name: file.display().to_string(),
        text: read_text(file)?,
    })
}

/// The text of a file, which must be UTF-8.
pub(crate) fn read_text(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        anyhow!(
            "{}:{line}: this is not UTF-8; save the file in that encoding",
            file.display()
        )
    })
}

/// The built-in rules that `sources` do not replace, then `sources`.
pub(crate) fn with_builtin(sources: Vec<Source>) -> Vec<Source> {
    let kept: Vec<&str> = BUILTIN
        .split_inclusive("\n}\n")
        .filter(|rule| !rule_name(rule).is_some_and(|name| defines(&sources, name)))
        .collect();
    let builtin = Source {
        name: BUILTIN_NAME.into(),
        text: kept.concat(),
    };
    std::iter::once(builtin).chain(sources).collect()
}

fn rule_name(text: &str) -> Option<&str> {
    text.lines()
        .find_map(|line| line.strip_prefix("rule "))?
        .split_whitespace()
        .next()
}

fn defines(sources: &[Source], name: &str) -> bool {
    let mut lines = sources.iter().flat_map(|s| s.text.lines());
    lines.any(|line| {
        line.trim_start()
            .strip_prefix("rule ")
            .is_some_and(|rest| rest.split_whitespace().next() == Some(name))
    })
}

/// Diagnostics as text, each with its place.
pub(crate) fn render(diagnostics: &[Diagnostic], sources: &[Source]) -> Vec<String> {
    diagnostics
        .iter()
        .map(|d| {
            let source = sources.iter().find(|s| s.name == d.source);
            source.map_or_else(|| d.message.clone(), |s| manara_rules::render_plain(d, s))
        })
        .collect()
}

impl Rulebook {
    /// Reads the folder for the first time. A folder that does not check is an error here, because
    /// there is nothing in force to fall back on.
    pub(crate) async fn open(folder: PathBuf, store: &Store) -> Result<Self> {
        let opened = read_folder(&folder)?;
        let sources = with_builtin(opened.clone());
        let rules = match compiled(&sources) {
            Ok(rules) => record(rules, &opened, store).await?,
            Err(diagnostics) => bail!(
                "the rules do not check, so the server does not start without them:\n{}",
                render(&diagnostics, &sources).join("\n")
            ),
        };
        let status = Status {
            rules: Arc::new(rules),
            problems: Vec::new(),
        };
        Ok(Self {
            folder,
            approval: false,
            seen: Mutex::new(Some(opened)),
            status: RwLock::new(status),
            keeper: OnceLock::new(),
        })
    }

    /// From now on `keeper` is told of rules before they are in force.
    pub(crate) fn remember_with(&self, keeper: Arc<Keeper>) {
        let _ = self.keeper.set(keeper);
    }

    /// Lets what is remembered follow the rules; their new counters are filled from the log.
    async fn adopt(&self, rules: &Arc<RuleSet>) -> Result<()> {
        let Some(keeper) = self.keeper.get().cloned() else {
            return Ok(());
        };
        let rules = Arc::clone(rules);
        tokio::task::spawn_blocking(move || keeper.adopt(&rules)).await?
    }

    /// The same, with or without a second person's approval of what goes live from the console.
    #[must_use]
    pub(crate) fn with_approval(self, approval: bool) -> Self {
        Self { approval, ..self }
    }

    /// Whether what goes live from the console waits for a second person.
    pub(crate) fn approval(&self) -> bool {
        self.approval
    }

    /// What is in force now.
    pub(crate) fn status(&self) -> Status {
        self.status
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The rules in force now.
    pub(crate) fn rules(&self) -> Arc<RuleSet> {
        self.status
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .rules
            .clone()
    }

    fn set(&self, status: Status) {
        *self.status.write().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// Looks at the folder every half second until the process ends, and puts changes in force.
    pub(crate) async fn watch(self: Arc<Self>, store: Store) {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        loop {
            tick.tick().await;
            self.look(&store).await;
        }
    }

    /// Looks at the folder once, and puts what has changed in force.
    pub(crate) async fn look(&self, store: &Store) {
        let mut seen = self.seen.lock().await;
        match read_folder(&self.folder) {
            Err(error) => {
                self.keep(vec![format!("{error:#}")]);
                *seen = None;
            }
            Ok(now) if seen.as_ref() == Some(&now) => {}
            Ok(now) => {
                let settled = self.reload(&now, store).await;
                *seen = settled.then_some(now);
            }
        }
    }

    /// Puts files in force. `false` when that is to be tried again, because it is not the files that stand in the
    /// way.
    async fn reload(&self, files: &[Source], store: &Store) -> bool {
        let sources = with_builtin(files.to_vec());
        let rules = match compiled(&sources) {
            Ok(rules) => rules,
            Err(diagnostics) => {
                self.keep(render(&diagnostics, &sources));
                return true;
            }
        };
        match record(rules, files, store).await {
            Ok(rules) => self.put_in_force(rules).await,
            Err(error) => {
                self.keep(vec![format!("{error:#}")]);
                false
            }
        }
    }

    /// What is remembered follows the rules first, so that their counters are full when they are asked. `false`
    /// when it could not.
    async fn put_in_force(&self, rules: RuleSet) -> bool {
        let rules = Arc::new(rules);
        if let Err(error) = self.adopt(&rules).await {
            self.keep(vec![format!("{error:#}")]);
            return false;
        }
        tracing::info!(rules = rules.rules().len(), "rules reloaded");
        metrics::counter!("manara_rules_reloads_total", "result" => "in_force").increment(1);
        self.set(Status {
            rules,
            problems: Vec::new(),
        });
        true
    }

    /// Keeps the rules in force and remembers why the folder is not.
    fn keep(&self, problems: Vec<String>) {
        let mut status = self.status.write().unwrap_or_else(PoisonError::into_inner);
        if status.problems != problems {
            tracing::warn!(
                "the rules folder does not check; the earlier rules stay in force:\n{}",
                problems.join("\n")
            );
            metrics::counter!("manara_rules_reloads_total", "result" => "refused").increment(1);
            status.problems = problems;
        }
    }

    /// Banks that rules ask for and nobody has made: their lookups find nothing.
    pub(crate) fn missing_banks(&self, known: impl Fn(&BankName) -> bool) -> Vec<BankName> {
        let banks = self.rules().banks();
        banks
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !known(name))
            .collect()
    }
}

/// The rules of these files, with the schema that events have here.
fn compiled(sources: &[Source]) -> Result<RuleSet, Vec<Diagnostic>> {
    rule_schema::compile_all(sources)
}

/// The files of a rules folder with the schema among them, sorted by name.
fn read_folder(path: &Path) -> Result<Vec<Source>> {
    let mut sources = read_sources(path)?;
    sources.extend(rule_schema::read(path)?);
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn texts(rules: &RuleSet) -> Vec<RuleText> {
    let text = |rule: &Rule| RuleText {
        name: rule.name.clone(),
        hash: rule.hash,
        text: rule.text.clone(),
        file: rule.source.clone(),
        mode: rule.mode,
    };
    rules.rules().iter().map(text).collect()
}

fn number(mut rules: RuleSet, versions: Vec<u32>) -> RuleSet {
    let mut versions = versions.into_iter();
    rules.set_versions(|_| versions.next().unwrap_or(0));
    rules
}

/// Records every rule and every file whose text is new, and gives each rule its version.
async fn record(rules: RuleSet, files: &[Source], store: &Store) -> Result<RuleSet> {
    let texts = texts(&rules);
    let files: Vec<(String, String)> = files
        .iter()
        .map(|file| (base_name(&file.name).to_owned(), file.text.clone()))
        .collect();
    let now = clock::now();
    let versions = store
        .write(move |tx| {
            let versions = tx.record_rules(&texts, &Author::System, now)?;
            record_found(tx, &files, now).map(|files| files.map(|_| versions.get().clone()))
        })
        .await
        .context("recording the rules' versions")?;
    Ok(number(rules, versions))
}

/// Records the files as they were found on disk, those that are gone too.
fn record_found(
    tx: &mut Tx<'_>,
    files: &[(String, String)],
    now: Timestamp,
) -> Result<Committed<Vec<u32>>, StoreError> {
    let known = tx.reader().rule_files()?;
    let found = files.iter().map(|(file, text)| NewRuleFile {
        file: file.clone(),
        text: text.clone(),
        note: if known.iter().any(|it| it.file == *file) {
            "changed on disk".into()
        } else {
            "found on disk".into()
        },
    });
    let here: BTreeSet<&str> = files.iter().map(|(file, _)| file.as_str()).collect();
    let gone = known
        .iter()
        .filter(|it| !here.contains(it.file.as_str()))
        .map(|it| NewRuleFile {
            file: it.file.clone(),
            text: String::new(),
            note: "removed from disk".into(),
        });
    let all: Vec<NewRuleFile> = found.chain(gone).collect();
    tx.record_rule_files(&all, &Author::System, now)
}

/// The name of a rule file without its folder.
pub(crate) fn base_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

impl FileName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for FileName {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stem = text.strip_suffix(".rules").unwrap_or_default();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let fits = text.len() <= FILE_NAME_BYTES_MAX
            && stem.starts_with(|c: char| c.is_ascii_lowercase())
            && stem.bytes().all(plain);
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "use a lower-case letter, then letters, digits, `_` or `-`, and `.rules` at the end, at most 70 characters",
        )
    }
}

// --- Changes from the console ---------------------------------------------------------------------

/// What is recorded of a change, in the commit before its file is renamed into place.
type Recording = Box<dyn FnOnce(&mut Tx<'_>) -> Result<Committed<u32>, StoreError> + Send>;

impl Rulebook {
    /// Why the console cannot write rule files; `None` when it can.
    pub(crate) fn read_only(&self) -> Option<String> {
        use rustix::fs::{Access, access};
        if self.folder.is_file() {
            return Some(format!(
                "`rules` in the configuration names one file, {}: name a folder, and files can be changed here.",
                self.folder.display()
            ));
        }
        let place = self.folder.ancestors().find(|place| place.exists());
        let place = place.unwrap_or(Path::new("."));
        access(place, Access::WRITE_OK).err().map(|error| {
            format!(
                "The server may not write to {} ({error}): change the files where they come from, or let the server's user write there.",
                place.display()
            )
        })
    }

    /// The rule files as they are on disk, by name.
    pub(crate) fn files(&self) -> Result<Vec<Source>> {
        read_sources(&self.folder)
    }

    /// The names that these files, and the schema if there is one, go by in diagnostics.
    pub(crate) fn file_names(&self) -> Result<Vec<String>> {
        let files = read_folder(&self.folder)?;
        Ok(files.into_iter().map(|it| it.name).collect())
    }

    /// The name that a file of the folder goes by in diagnostics.
    pub(crate) fn source_name(&self, file: &FileName) -> String {
        let whole = self.folder.display().to_string();
        if base_name(&whole) == file.as_str() && self.folder.is_file() {
            return whole;
        }
        self.folder.join(file.as_str()).display().to_string()
    }

    /// What the file holds now; `None` when there is none.
    pub(crate) fn text(&self, file: &FileName) -> Result<Option<String>> {
        let source = self.source_name(file);
        let files = self.files()?;
        Ok(files
            .into_iter()
            .find(|it| it.name == source)
            .map(|it| it.text))
    }

    /// What stands beside this file: the schema, and the other rule files with the built-in rules. A schema
    /// that has a mistake, which diagnostics name, is as none. Blocks.
    pub(crate) fn beside(&self, file: &FileName) -> Result<(Schema, Vec<Source>)> {
        let own = self.source_name(file);
        let mut files = read_folder(&self.folder)?;
        let schema = rule_schema::schema_of(&files).unwrap_or_else(|_| Schema::builtin());
        files.retain(|it| it.name != own && !rule_schema::is_schema(it));
        Ok((schema, with_builtin(files)))
    }

    /// Checks all rules as they would be with this text in this file. Blocks.
    pub(crate) fn check(&self, file: &FileName, text: String) -> Result<Checked> {
        let source = self.source_name(file);
        let mut files = read_folder(&self.folder)?;
        let at = files.binary_search_by(|it| it.name.cmp(&source));
        let before = match at {
            Ok(at) => files
                .get_mut(at)
                .map(|it| std::mem::replace(&mut it.text, text)),
            Err(at) => {
                let name = source.clone();
                files.insert(at, Source { name, text });
                None
            }
        };
        let sources = with_builtin(files);
        let result = compiled(&sources);
        let mistaken = match &result {
            Ok(_) => false,
            Err(diagnostics) => is_to_blame(&source, &sources, before.as_deref(), diagnostics),
        };
        let going_live = if mistaken {
            Vec::new()
        } else {
            self.going_live(&source, &sources, result.as_ref().ok())
        };
        Ok(Checked {
            source,
            sources,
            before,
            result,
            mistaken,
            going_live,
        })
    }

    /// Rules that would act, and do not act with this very text now. Where other files do not check,
    /// only the changed file is known.
    fn going_live(&self, source: &str, sources: &[Source], rules: Option<&RuleSet>) -> Vec<String> {
        let now = self.rules();
        let acting: BTreeSet<[u8; 32]> = now
            .rules()
            .iter()
            .filter(|it| acts(it))
            .map(|it| it.hash)
            .collect();
        let new = |rules: &RuleSet| {
            let live = rules.rules().iter().filter(|rule| acts(rule));
            let new = live.filter(|rule| !acting.contains(&rule.hash));
            new.map(|rule| rule.name.to_string()).collect()
        };
        if let Some(rules) = rules {
            return new(rules);
        }
        let alone = sources.iter();
        let alone = alone.filter(|it| it.name == source || rule_schema::is_schema(it));
        let alone: Vec<Source> = alone.cloned().collect();
        compiled(&alone).map_or_else(|_| Vec::new(), |rules| new(&rules))
    }

    /// Gives a file the text of a change; or proposes it, where something would go live and that
    /// needs a second person. What was answered is on disk, the file and its record.
    pub(crate) async fn save(
        self: &Arc<Self>,
        store: &Store,
        change: Change,
    ) -> Result<Saved, Unsaved> {
        let mut seen = self.seen.lock().await;
        let checked = self
            .ready(&change.file, change.base, change.text.clone())
            .await?;
        if checked.before.as_deref().unwrap_or("") == change.text {
            return Ok(Saved::Unchanged);
        }
        let Change {
            file,
            base,
            text,
            note,
            author,
            at,
        } = change;
        if self.approval && !checked.going_live.is_empty() {
            let new = NewProposal {
                file: file.to_string(),
                base,
                text,
                note,
            };
            let id = store
                .write(move |tx| tx.propose_rules(&new, &author, at))
                .await?;
            return Ok(Saved::Proposed(id));
        }
        let new = NewRuleFile {
            file: file.to_string(),
            text: text.clone(),
            note,
        };
        let by = author.clone();
        let recording: Recording = Box::new(move |tx| {
            let versions = tx.record_rule_files(&[new], &by, at)?;
            Ok(versions.map(|versions| versions.first().copied().unwrap_or(0)))
        });
        self.put(
            store, &mut seen, &file, text, checked, author, at, recording,
        )
        .await
    }

    /// Gives a file the text of a proposal that a second person approves.
    pub(crate) async fn approve(
        self: &Arc<Self>,
        store: &Store,
        id: i64,
        by: Author,
        answer: String,
        at: Timestamp,
    ) -> Result<Saved, Unsaved> {
        if let Some(why) = self.read_only() {
            return Err(Unsaved::ReadOnly(why));
        }
        let mut seen = self.seen.lock().await;
        let found = store.read(|reader| reader.proposal(id))?;
        let proposal = found.ok_or_else(|| StoreError::NotFound {
            what: format!("proposal {id}"),
        })?;
        if proposal.state != ProposalState::Proposed {
            let why = format!("proposal {id} is {} already", proposal.state);
            return Err(StoreError::Conflict(why).into());
        }
        let file: FileName = proposal
            .file
            .parse()
            .map_err(|why| Unsaved::ReadOnly(format!("{}: {why}", proposal.file)))?;
        let text = proposal.text;
        let checked = self.ready(&file, proposal.base, text.clone()).await?;
        let approver = by.clone();
        let recording: Recording = Box::new(move |tx| tx.approve_rules(id, &approver, &answer, at));
        self.put(store, &mut seen, &file, text, checked, by, at, recording)
            .await
    }

    /// Checks a change that begins from `base`, off the threads that answer requests.
    async fn ready(
        self: &Arc<Self>,
        file: &FileName,
        base: [u8; 32],
        text: String,
    ) -> Result<Checked, Unsaved> {
        let (book, of) = (Arc::clone(self), file.clone());
        let checked = blocking(move || book.check(&of, text)).await?;
        if rule_text_sha256(checked.before.as_deref().unwrap_or("")) != base {
            return Err(Unsaved::Changed);
        }
        match &checked.result {
            Err(diagnostics) if checked.mistaken => Err(Unsaved::Mistakes(diagnostics.clone())),
            _ => Ok(checked),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the one place where a change becomes a file, a record and rules in force"
    )]
    async fn put(
        self: &Arc<Self>,
        store: &Store,
        seen: &mut Option<Vec<Source>>,
        file: &FileName,
        text: String,
        checked: Checked,
        by: Author,
        at: Timestamp,
        recording: Recording,
    ) -> Result<Saved, Unsaved> {
        let (folder, name) = (self.folder.clone(), file.clone());
        let written = blocking(move || write_beside(&folder, &name, &text)).await;
        let written = written.map_err(|error| Unsaved::ReadOnly(format!("{error:#}")))?;
        let rules = checked.result.as_ref().ok().map(texts);
        // A text that was on disk and never in force is kept too, before it is written over.
        let before = checked.before.clone().map(|text| NewRuleFile {
            file: file.to_string(),
            text,
            note: "changed on disk".into(),
        });
        let job = move |tx: &mut Tx<'_>| {
            let versions = match &rules {
                Some(rules) => tx.record_rules(rules, &by, at)?.get().clone(),
                None => Vec::new(),
            };
            if let Some(before) = before {
                let _ = tx.record_rule_files(&[before], &Author::System, at)?;
            }
            recording(tx).map(|version| version.map(|version| (version, versions)))
        };
        let (version, versions) = store.write(job).await?;
        // Recorded first: should the server end here, the next start records what is on disk.
        let (folder, name, was) = (self.folder.clone(), file.clone(), checked.before.clone());
        if let Err(error) = blocking(move || put_in_place(written, &folder, &name, was)).await {
            let lost = NewRuleFile {
                file: file.to_string(),
                text: checked.before.unwrap_or_default(),
                note: "as it was: the new text could not be written".into(),
            };
            store
                .write(move |tx| tx.record_rule_files(&[lost], &Author::System, at))
                .await?;
            return Err(Unsaved::ReadOnly(format!("{error:#}")));
        }
        let sources = checked.sources;
        let (saved, settled) = match checked.result {
            Ok(rules) => {
                let in_force = self.put_in_force(number(rules, versions)).await;
                let saved = if in_force {
                    Saved::InForce(version)
                } else {
                    Saved::Kept(version)
                };
                (saved, in_force)
            }
            Err(diagnostics) => {
                self.keep(render(&diagnostics, &sources));
                (Saved::Kept(version), true)
            }
        };
        let mut now = sources;
        now.retain(|it| it.name != BUILTIN_NAME);
        *seen = settled.then_some(now);
        Ok(saved)
    }
}

/// Whether any of these errors is in the changed file, or was not there without the change. Others'
/// errors do not keep a person from mending this file, or two broken ones could never be mended.
fn is_to_blame(
    source: &str,
    sources: &[Source],
    before: Option<&str>,
    diagnostics: &[Diagnostic],
) -> bool {
    let errors = || diagnostics.iter().filter(|d| d.severity == Severity::Error);
    if errors().any(|error| error.source == source) {
        return true;
    }
    let mut earlier: Vec<Source> = sources.to_vec();
    match before {
        Some(before) => {
            let changed = earlier.iter_mut().filter(|it| it.name == source);
            changed.for_each(|it| before.clone_into(&mut it.text));
        }
        None => earlier.retain(|it| it.name != source),
    }
    let known = compiled(&earlier).err().unwrap_or_default();
    let is_known = |error: &&Diagnostic| {
        known.iter().any(|it| {
            (&it.source, &it.message, &it.span) == (&error.source, &error.message, &error.span)
        })
    };
    !errors().all(|error| is_known(&error))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("working on rule files")?
}

/// Writes a text beside the file it is for, synced, so that renaming it there is all that is left.
fn write_beside(folder: &Path, file: &FileName, text: &str) -> Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(file.as_str());
    let existing = std::fs::symlink_metadata(&path).ok();
    if existing.as_ref().is_some_and(|it| !it.is_file()) {
        bail!(
            "{} is a link or something else than a file: change it where it leads to",
            path.display()
        );
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("making the rules folder {}", folder.display()))?;
    let mode = existing.map_or(0o644, |it| it.permissions().mode() & 0o777);
    let made = tempfile::Builder::new()
        .prefix(".")
        .suffix(".saving")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder);
    let mut temporary =
        made.with_context(|| format!("the server may not write to {}", folder.display()))?;
    temporary
        .write_all(text.as_bytes())
        .and_then(|()| temporary.as_file().sync_all())
        .with_context(|| format!("writing {}", temporary.path().display()))?;
    Ok(temporary)
}

/// Renames a written text into place, unless the file is not any more what it `was` when it was read.
fn put_in_place(
    written: NamedTempFile,
    folder: &Path,
    file: &FileName,
    was: Option<String>,
) -> Result<()> {
    let path = folder.join(file.as_str());
    if std::fs::read_to_string(&path).ok() != was {
        bail!(
            "{} was changed on disk at this very moment: open it again",
            path.display()
        );
    }
    written
        .persist(&path)
        .with_context(|| format!("putting {} in place", path.display()))?;
    // The name has to last, too.
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("syncing {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_store::Options;

    const LIVE: &str = "rule links { policy spam reason \"Links.\" when content.links.size() > 3 then remove(content) }\n";
    const WIDER: &str = "rule links { policy spam reason \"Links.\" when content.links.size() > 1 then remove(content) }\n";
    const SHADOW: &str = "rule links { mode shadow policy spam reason \"Links.\" when content.links.size() > 1 then remove(content) }\n";
    const BROKEN: &str = "rule links { policy spam reason \"Links.\" when content.li";

    struct Desk {
        book: Arc<Rulebook>,
        store: Store,
        folder: PathBuf,
        _dir: tempfile::TempDir,
    }

    fn person(login: &str) -> Author {
        Author::Reviewer(login.into())
    }

    impl Desk {
        async fn open(files: &[(&str, &str)], approval: bool) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let options = Options {
                audit_seed: [7; 32],
                origin: "forum.example/log".into(),
                max_bytes: None,
                readers: 2,
            };
            let store = Store::open(&dir.path().join("manara.db"), options).unwrap();
            let folder = dir.path().join("rules");
            std::fs::create_dir(&folder).unwrap();
            for (file, text) in files {
                std::fs::write(folder.join(file), text).unwrap();
            }
            let book = Rulebook::open(folder.clone(), &store).await.unwrap();
            Self {
                book: Arc::new(book.with_approval(approval)),
                store,
                folder,
                _dir: dir,
            }
        }

        async fn save(&self, file: &str, base: &str, text: &str) -> Result<Saved, Unsaved> {
            let change = Change {
                file: file.parse().unwrap(),
                base: rule_text_sha256(base),
                text: text.into(),
                note: "a note".into(),
                author: person("noor"),
                at: clock::now(),
            };
            self.book.save(&self.store, change).await
        }

        async fn approve(&self, id: i64, by: &str) -> Result<Saved, Unsaved> {
            let (by, now) = (person(by), clock::now());
            self.book
                .approve(&self.store, id, by, String::new(), now)
                .await
        }

        fn put(&self, file: &str, text: &str) {
            std::fs::write(self.folder.join(file), text).unwrap();
        }

        fn on_disk(&self, file: &str) -> String {
            std::fs::read_to_string(self.folder.join(file)).unwrap_or_default()
        }

        /// The text of the rule `links` that is in force.
        fn in_force(&self) -> String {
            let rules = self.book.rules();
            let found = rules.rules().iter().find(|it| it.name.as_str() == "links");
            found.map_or_else(String::new, |it| it.text.clone() + "\n")
        }

        /// The versions of a file, oldest first: whose, and their notes.
        fn history(&self, file: &str) -> Vec<(Author, String)> {
            let read = |r: &manara_store::Reader| r.rule_file_versions(file, None, 100);
            let versions = self.store.read(read).unwrap();
            versions
                .into_iter()
                .rev()
                .map(|it| (it.author, it.note))
                .collect()
        }

        /// Nothing is left in the folder but rule files, and the log and the database agree.
        fn is_tidy(&self) {
            for entry in std::fs::read_dir(&self.folder).unwrap() {
                let name = entry.unwrap().path();
                assert!(name.extension().is_some_and(|it| it == "rules"), "{name:?}");
            }
            assert_eq!(self.store.verify(&mut |_, _| ()).unwrap().findings, []);
        }
    }

    #[test]
    fn file_names_are_plain() {
        for (name, fits) in [
            ("images.rules", true),
            ("new_accounts-2.rules", true),
            ("a.rules", true),
            (".rules", false),
            ("2.rules", false),
            ("Images.rules", false),
            ("images.txt", false),
            ("images", false),
            ("../images.rules", false),
            ("a/b.rules", false),
            ("a.b.rules", false),
            ("naïve.rules", false),
            ("a\0.rules", false),
        ] {
            assert_eq!(name.parse::<FileName>().is_ok(), fits, "{name}");
        }
        assert!(
            format!("{}.rules", "a".repeat(80))
                .parse::<FileName>()
                .is_err()
        );
    }

    #[test]
    fn other_encodings_are_named_with_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("links.rules");
        std::fs::write(&file, b"// caf\xc3\xa9\n// caf\xe9\n").unwrap();
        let problem = read_source(&file).unwrap_err().to_string();
        let says = ":2: this is not UTF-8; save the file in that encoding";
        assert_eq!(problem, format!("{}{says}", file.display()));
        std::fs::write(&file, "// café\n").unwrap();
        assert_eq!(read_source(&file).unwrap().text, "// café\n");
    }

    #[tokio::test]
    async fn a_saved_file_is_in_force_at_once_under_the_name_of_its_author() {
        let it = Desk::open(&[("links.rules", LIVE)], false).await;
        assert_eq!(
            it.save("links.rules", LIVE, WIDER).await.unwrap(),
            Saved::InForce(2)
        );
        assert_eq!(
            (it.on_disk("links.rules"), it.in_force()),
            (WIDER.into(), WIDER.into())
        );
        it.book.look(&it.store).await;
        let found = (Author::System, "found on disk".to_owned());
        let noors = (person("noor"), "a note".to_owned());
        assert_eq!(it.history("links.rules"), [found, noors.clone()]);
        assert_eq!(
            it.save("links.rules", WIDER, WIDER).await.unwrap(),
            Saved::Unchanged
        );
        assert_eq!(
            it.save("more.rules", "", "// later\n").await.unwrap(),
            Saved::InForce(1)
        );
        assert_eq!(it.history("more.rules"), [noors]);
        it.is_tidy();
    }

    #[tokio::test]
    async fn nothing_that_does_not_check_is_written() {
        let it = Desk::open(
            &[("links.rules", LIVE), ("other.rules", "// empty\n")],
            false,
        )
        .await;
        for (file, base, text) in [
            ("links.rules", LIVE, BROKEN),
            // The same rule twice is reported in the file that comes second.
            ("a.rules", "", LIVE),
            ("other.rules", "// empty\n", LIVE),
        ] {
            let refused = it.save(file, base, text).await.unwrap_err();
            assert!(matches!(refused, Unsaved::Mistakes(_)), "{file}: {refused}");
            assert_eq!(it.on_disk(file), base, "{file}");
        }
        let long = format!("// {}\n", "x".repeat(1024 * 1024));
        assert!(matches!(
            it.save("long.rules", "", &long).await,
            Err(Unsaved::Mistakes(_))
        ));
        assert_eq!(it.in_force(), LIVE);
        it.is_tidy();
    }

    #[tokio::test]
    async fn what_somebody_else_saved_is_not_written_over() {
        let it = Desk::open(&[("links.rules", LIVE)], false).await;
        it.save("links.rules", LIVE, WIDER).await.unwrap();
        let late = it.save("links.rules", LIVE, SHADOW).await;
        assert!(matches!(late, Err(Unsaved::Changed)), "{late:?}");
        let new = it.save("links.rules", "", SHADOW).await;
        assert!(matches!(new, Err(Unsaved::Changed)), "{new:?}");
        assert_eq!(it.on_disk("links.rules"), WIDER);
        assert_eq!(
            it.save("links.rules", WIDER, SHADOW).await.unwrap(),
            Saved::InForce(3)
        );
        it.is_tidy();
    }

    #[tokio::test]
    async fn of_two_at_once_one_is_saved() {
        let it = Desk::open(&[("links.rules", LIVE)], false).await;
        let (one, other) = tokio::join!(
            it.save("links.rules", LIVE, WIDER),
            it.save("links.rules", LIVE, SHADOW)
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        it.is_tidy();
    }

    #[tokio::test]
    async fn a_half_saved_file_leaves_the_earlier_rules_in_force() {
        let it = Desk::open(
            &[("links.rules", LIVE), ("other.rules", "// empty\n")],
            false,
        )
        .await;
        it.put("links.rules", BROKEN);
        it.book.look(&it.store).await;
        assert_eq!(it.in_force(), LIVE);
        assert!(
            it.book
                .status()
                .problems
                .concat()
                .contains("links.rules:1:")
        );
        assert_eq!(it.history("links.rules").len(), 1, "it was never in force");
        // Another file may be changed meanwhile, but nothing of it is in force before all checks.
        let kept = it
            .save("other.rules", "// empty\n", "// full\n")
            .await
            .unwrap();
        assert_eq!(kept, Saved::Kept(2));
        assert_eq!(it.in_force(), LIVE);
        // The broken one can be mended here; what it was is kept.
        assert_eq!(
            it.save("links.rules", BROKEN, WIDER).await.unwrap(),
            Saved::InForce(3)
        );
        assert_eq!(
            (it.in_force(), it.book.status().problems),
            (WIDER.into(), vec![])
        );
        let notes: Vec<_> = it
            .history("links.rules")
            .into_iter()
            .map(|it| it.1)
            .collect();
        assert_eq!(notes, ["found on disk", "changed on disk", "a note"]);
        it.is_tidy();
    }

    #[tokio::test]
    async fn changes_on_disk_have_a_history_too() {
        let it = Desk::open(&[("links.rules", LIVE)], true).await;
        it.put("links.rules", WIDER);
        it.book.look(&it.store).await;
        assert_eq!(it.in_force(), WIDER);
        std::fs::remove_file(it.folder.join("links.rules")).unwrap();
        it.book.look(&it.store).await;
        assert_eq!(it.in_force(), "");
        let notes: Vec<_> = it
            .history("links.rules")
            .into_iter()
            .map(|it| it.1)
            .collect();
        assert_eq!(
            notes,
            ["found on disk", "changed on disk", "removed from disk"]
        );
        it.is_tidy();
    }

    #[tokio::test]
    async fn what_goes_live_waits_for_a_second_person() {
        let it = Desk::open(&[("links.rules", LIVE)], true).await;
        let Saved::Proposed(id) = it.save("links.rules", LIVE, WIDER).await.unwrap() else {
            panic!("it went live");
        };
        assert_eq!(
            (it.on_disk("links.rules"), it.in_force()),
            (LIVE.into(), LIVE.into())
        );
        let own = it.approve(id, "noor").await;
        assert!(
            matches!(own, Err(Unsaved::Store(StoreError::Conflict(_)))),
            "{own:?}"
        );
        assert_eq!(it.on_disk("links.rules"), LIVE);
        assert_eq!(it.approve(id, "sam").await.unwrap(), Saved::InForce(2));
        assert_eq!(
            (it.on_disk("links.rules"), it.in_force()),
            (WIDER.into(), WIDER.into())
        );
        assert_eq!(it.history("links.rules")[1].0, person("noor"));
        let again = it.approve(id, "ada").await;
        assert!(
            matches!(again, Err(Unsaved::Store(StoreError::Conflict(_)))),
            "{again:?}"
        );
        it.is_tidy();
    }

    #[tokio::test]
    async fn what_does_not_go_live_does_not_wait() {
        let it = Desk::open(&[("links.rules", LIVE)], true).await;
        let steps = [
            format!("// why\n{LIVE}"),
            SHADOW.to_owned(),
            String::new(),
            SHADOW.to_owned(),
        ];
        let mut base = LIVE.to_owned();
        for text in steps {
            let saved = it.save("links.rules", &base, &text).await.unwrap();
            assert!(matches!(saved, Saved::InForce(_)), "{text}: {saved:?}");
            base = text;
        }
        let live = it.save("links.rules", SHADOW, LIVE).await.unwrap();
        assert!(matches!(live, Saved::Proposed(_)), "{live:?}");
    }

    #[tokio::test]
    async fn a_proposal_does_not_write_over_what_changed_since() {
        let it = Desk::open(&[("links.rules", LIVE)], true).await;
        let Saved::Proposed(id) = it.save("links.rules", LIVE, WIDER).await.unwrap() else {
            panic!("it went live");
        };
        it.save("links.rules", LIVE, SHADOW).await.unwrap();
        let late = it.approve(id, "sam").await;
        assert!(matches!(late, Err(Unsaved::Changed)), "{late:?}");
        assert_eq!(it.on_disk("links.rules"), SHADOW);
        it.is_tidy();
    }

    #[tokio::test]
    async fn what_cannot_be_written_says_why() {
        let it = Desk::open(&[("links.rules", LIVE)], false).await;
        assert_eq!(it.book.read_only(), None);
        std::fs::rename(it.folder.join("links.rules"), it.folder.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", it.folder.join("links.rules")).unwrap();
        let linked = it.save("links.rules", LIVE, WIDER).await;
        assert!(
            matches!(&linked, Err(Unsaved::ReadOnly(why)) if why.contains("is a link")),
            "{linked:?}"
        );
        assert_eq!(it.on_disk("elsewhere"), LIVE);
        let one = Rulebook::open(it.folder.join("elsewhere"), &it.store)
            .await
            .unwrap();
        assert!(one.read_only().unwrap().contains("names one file"));
    }

    #[tokio::test]
    async fn a_single_file_is_shown_and_not_changed() {
        let it = Desk::open(&[("links.rules", LIVE)], false).await;
        let path = it.folder.join("links.rules");
        let one = Arc::new(Rulebook::open(path, &it.store).await.unwrap());
        assert!(one.read_only().unwrap().contains("names one file"));
        let file: FileName = "links.rules".parse().unwrap();
        assert_eq!(one.text(&file).unwrap().as_deref(), Some(LIVE));
        assert_eq!(one.text(&"other.rules".parse().unwrap()).unwrap(), None);
        let change = Change {
            file,
            base: rule_text_sha256(LIVE),
            text: WIDER.into(),
            note: String::new(),
            author: person("noor"),
            at: clock::now(),
        };
        let refused = one.save(&it.store, change).await;
        assert!(matches!(refused, Err(Unsaved::ReadOnly(_))), "{refused:?}");
        assert_eq!(it.on_disk("links.rules"), LIVE);
    }

    #[tokio::test]
    async fn a_change_on_disk_at_the_last_moment_is_not_written_over() {
        let it = Desk::open(&[("links.rules", LIVE)], false).await;
        let file: FileName = "links.rules".parse().unwrap();
        let written = write_beside(&it.folder, &file, WIDER).unwrap();
        it.put("links.rules", SHADOW);
        let late = put_in_place(written, &it.folder, &file, Some(LIVE.into())).unwrap_err();
        assert!(late.to_string().contains("at this very moment"), "{late}");
        assert_eq!(it.on_disk("links.rules"), SHADOW);
        let written = write_beside(&it.folder, &file, WIDER).unwrap();
        put_in_place(written, &it.folder, &file, Some(SHADOW.into())).unwrap();
        assert_eq!(it.on_disk("links.rules"), WIDER);
        it.is_tidy();
    }

    #[tokio::test]
    async fn a_saved_file_keeps_who_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let it = Desk::open(&[("links.rules", LIVE)], false).await;
        let path = it.folder.join("links.rules");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        it.save("links.rules", LIVE, WIDER).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}
