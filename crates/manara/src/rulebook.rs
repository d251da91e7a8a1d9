//! The rules in force: read from a folder, checked, recorded, and swapped in whole when they change.
//!
//! A folder that does not check leaves the rules in force as they are; the problems are kept for the
//! console, the log and `/metrics` until the folder checks again.

use crate::clock;
use crate::past::Keeper;
use anyhow::{Context, Result, bail};
use manara_model::{Author, BankName};
use manara_rules::{Diagnostic, RuleSet, Schema, Source, compile};
use manara_store::{RuleText, Store};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

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
    /// The files as they were when the server started: what the watch compares the folder with first.
    opened: Vec<Source>,
    status: RwLock<Status>,
    /// What remembers for these rules, once there is one.
    keeper: OnceLock<Arc<Keeper>>,
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
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading rule file {}", file.display()))?;
    Ok(Source {
        name: file.display().to_string(),
        text,
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
        let opened = read_sources(&folder)?;
        let sources = with_builtin(opened.clone());
        let rules = match compile(&sources, &Schema::builtin()) {
            Ok(rules) => record(rules, store).await?,
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
            opened,
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
        let mut seen: Option<Vec<Source>> = Some(self.opened.clone());
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        loop {
            tick.tick().await;
            let now = match read_sources(&self.folder) {
                Ok(now) => now,
                Err(error) => {
                    self.keep(vec![format!("{error:#}")]);
                    seen = None;
                    continue;
                }
            };
            let unchanged = seen.as_ref().is_some_and(|seen| same(seen, &now));
            if unchanged {
                continue;
            }
            self.reload(now.clone(), &store).await;
            seen = Some(now);
        }
    }

    async fn reload(&self, sources: Vec<Source>, store: &Store) {
        let sources = with_builtin(sources);
        match compile(&sources, &Schema::builtin()) {
            Err(diagnostics) => self.keep(render(&diagnostics, &sources)),
            Ok(rules) => match record(rules, store).await {
                Ok(rules) => {
                    let rules = Arc::new(rules);
                    if let Err(error) = self.adopt(&rules).await {
                        return self.keep(vec![format!("{error:#}")]);
                    }
                    tracing::info!(rules = rules.rules().len(), "rules reloaded");
                    metrics::counter!("manara_rules_reloads_total", "result" => "in_force")
                        .increment(1);
                    self.set(Status {
                        rules,
                        problems: Vec::new(),
                    });
                }
                Err(error) => self.keep(vec![format!("{error:#}")]),
            },
        }
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

fn same(a: &[Source], b: &[Source]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.name == b.name && a.text == b.text)
}

/// Records every rule whose text is new, and gives each its version.
async fn record(mut rules: RuleSet, store: &Store) -> Result<RuleSet> {
    let texts: Vec<RuleText> = rules
        .rules()
        .iter()
        .map(|rule| RuleText {
            name: rule.name.clone(),
            hash: rule.hash,
            text: rule.text.clone(),
            file: rule.source.clone(),
            mode: rule.mode,
        })
        .collect();
    let now = clock::now();
    let versions = store
        .write(move |tx| tx.record_rules(&texts, &Author::System, now))
        .await
        .context("recording the rules' versions")?;
    let mut versions = versions.into_iter();
    rules.set_versions(|_| versions.next().unwrap_or(0));
    Ok(rules)
}
