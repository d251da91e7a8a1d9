//! Rule files as they were changed, and changes that wait for a second person.
//!
//! The files themselves lie in the rules folder; what is kept here is every text they have had, who
//! gave it to them and why. A proposal is a text that takes effect when somebody else approves it.

use crate::error::StoreError;
use crate::reader::{Reader, bytes32, from_json, get, maybe_time, parsed, time};
use crate::sql;
use crate::tables::{RULE_FILES, RULE_PROPOSALS, blob, int, maybe, maybe_text, text};
use crate::tx::{Committed, Tx, author_json};
use jiff::Timestamp;
use manara_model::Author;
use rusqlite::Row;
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Longest text of one rule file, in bytes.
pub const RULE_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Longest name of a rule file, in bytes.
const FILE_NAME_BYTES_MAX: usize = 255;
/// Longest note with a change, in bytes.
const NOTE_BYTES_MAX: usize = 8 * 1024;

/// The SHA-256 of a rule file's text; a file that does not exist has that of no text.
pub fn rule_text_sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A text that a rule file has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRuleFile {
    /// The file's name, without a folder.
    pub file: String,
    /// Its text; empty when the file was removed.
    pub text: String,
    /// Why, in the author's words.
    pub note: String,
}

/// One version of a rule file, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFileVersion {
    /// The file's name, without a folder.
    pub file: String,
    /// 1 for the first text under this name, and so on.
    pub version: u32,
    /// The SHA-256 of its text.
    pub sha256: [u8; 32],
    /// Who gave it this text: whoever proposed it, where it was proposed.
    pub author: Author,
    /// Why, in the author's words.
    pub note: String,
    /// Since when.
    pub at: Timestamp,
    /// The proposal by which it came.
    pub proposal: Option<i64>,
}

/// Where a proposal is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProposalState {
    /// It waits for a second person.
    Proposed,
    /// Somebody else approved it; it took effect.
    Approved,
    /// Somebody declined it.
    Rejected,
    /// Its author took it back.
    Withdrawn,
    /// Its author proposed another text for the same file.
    Superseded,
}

impl ProposalState {
    /// The word in the database and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for ProposalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ProposalState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [
            Self::Proposed,
            Self::Approved,
            Self::Rejected,
            Self::Withdrawn,
            Self::Superseded,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| format!("`{text}` is not a state of a proposal"))
    }
}

/// A change that is to take effect when a second person approves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProposal {
    /// The file's name, without a folder.
    pub file: String,
    /// The SHA-256 of the text it began from.
    pub base: [u8; 32],
    /// The text the file is to have.
    pub text: String,
    /// Why, in the author's words.
    pub note: String,
}

/// A proposal as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its number.
    pub id: i64,
    /// The file's name, without a folder.
    pub file: String,
    /// The SHA-256 of the text it began from.
    pub base: [u8; 32],
    /// The text the file is to have.
    pub text: String,
    /// Who proposed it.
    pub author: Author,
    /// Why, in the author's words.
    pub note: String,
    /// When.
    pub proposed_at: Timestamp,
    /// What became of it.
    pub state: ProposalState,
    /// Who decided on it.
    pub decided_by: Option<Author>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// What they said to it.
    pub answer: String,
}

impl Tx<'_> {
    /// Keeps the texts that differ from the newest version under their name, and gives each file's
    /// version. Audit: one `rules.file_saved` leaf over the new versions, none when there are none.
    pub fn record_rule_files(
        &mut self,
        files: &[NewRuleFile],
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<Vec<u32>>, StoreError> {
        self.begin("rules.file_saved", by, now)?;
        let mut new = 0;
        let mut versions = Vec::with_capacity(files.len());
        for file in files {
            let sha256 = rule_text_sha256(&file.text);
            let newest = self.reader().newest_rule_file(&file.file)?;
            versions.push(match newest {
                Some(newest) if newest.sha256 == sha256 => newest.version,
                _ => {
                    new += 1;
                    self.insert_rule_file(file, by, now, None)?
                }
            });
        }
        if new == 0 {
            self.abandon();
        } else {
            self.seal(None)?;
        }
        Ok(Committed(versions))
    }

    fn insert_rule_file(
        &mut self,
        new: &NewRuleFile,
        by: &Author,
        now: Timestamp,
        proposal: Option<i64>,
    ) -> Result<u32, StoreError> {
        check(&new.file, &new.text, &new.note)?;
        let newest = self.reader().newest_rule_file(&new.file)?;
        let version = newest.map_or(1, |newest| newest.version.saturating_add(1));
        let id = self.next_id(&RULE_FILES)?;
        let author = author_json(by)?;
        self.insert_row(
            &RULE_FILES,
            &[
                int(id),
                text(&new.file),
                int(version.into()),
                blob(&rule_text_sha256(&new.text)),
                text(&author),
                text(&new.note),
                int(now.as_microsecond()),
                maybe(proposal, int),
                text(&new.text),
            ],
        )?;
        Ok(version)
    }

    /// Keeps a proposal and gives its number. An open one of the same author for the same file is
    /// superseded by it. Audit: one `rules.proposed` leaf over both.
    pub fn propose_rules(
        &mut self,
        new: &NewProposal,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<i64>, StoreError> {
        check(&new.file, &new.text, &new.note)?;
        self.begin("rules.proposed", by, now)?;
        for earlier in self.reader().open_proposals()? {
            if earlier.file == new.file && earlier.author == *by {
                self.close_proposal(earlier, ProposalState::Superseded, by, "", now)?;
            }
        }
        let id = self.next_id(&RULE_PROPOSALS)?;
        let proposal = Proposal {
            id,
            file: new.file.clone(),
            base: new.base,
            text: new.text.clone(),
            author: by.clone(),
            note: new.note.clone(),
            proposed_at: now,
            state: ProposalState::Proposed,
            decided_by: None,
            decided_at: None,
            answer: String::new(),
        };
        self.put_proposal(&proposal, true)?;
        self.seal(None).map(|_| Committed(id))
    }

    /// Approves a proposal: its text is the file's next version, under its author's name. Refused
    /// for the author, and when it was decided on before. Audit: one `rules.approved` leaf over the
    /// proposal and the version.
    pub fn approve_rules(
        &mut self,
        id: i64,
        by: &Author,
        answer: &str,
        now: Timestamp,
    ) -> Result<Committed<u32>, StoreError> {
        let proposal = self.reader().open_proposal(id)?;
        if proposal.author == *by {
            return Err(StoreError::Conflict(
                "nobody approves their own proposal: ask a second person".into(),
            ));
        }
        check_note(answer)?;
        self.begin("rules.approved", by, now)?;
        let new = NewRuleFile {
            file: proposal.file.clone(),
            text: proposal.text.clone(),
            note: proposal.note.clone(),
        };
        let version = self.insert_rule_file(&new, &proposal.author, now, Some(id))?;
        self.close_proposal(proposal, ProposalState::Approved, by, answer, now)?;
        self.seal(None).map(|_| Committed(version))
    }

    /// Ends a proposal without effect: its author takes it back, anybody else declines it. Audit:
    /// one `rules.withdrawn` or `rules.rejected` leaf.
    pub fn decline_rules(
        &mut self,
        id: i64,
        by: &Author,
        answer: &str,
        now: Timestamp,
    ) -> Result<Committed<ProposalState>, StoreError> {
        let proposal = self.reader().open_proposal(id)?;
        check_note(answer)?;
        let (kind, state) = if proposal.author == *by {
            ("rules.withdrawn", ProposalState::Withdrawn)
        } else {
            ("rules.rejected", ProposalState::Rejected)
        };
        self.begin(kind, by, now)?;
        self.close_proposal(proposal, state, by, answer, now)?;
        self.seal(None).map(|_| Committed(state))
    }

    fn close_proposal(
        &mut self,
        proposal: Proposal,
        state: ProposalState,
        by: &Author,
        answer: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let closed = Proposal {
            state,
            decided_by: Some(by.clone()),
            decided_at: Some(now),
            answer: answer.to_owned(),
            ..proposal
        };
        self.put_proposal(&closed, false)
    }

    fn put_proposal(&mut self, it: &Proposal, is_new: bool) -> Result<(), StoreError> {
        let author = author_json(&it.author)?;
        let decided_by = it.decided_by.as_ref().map(author_json).transpose()?;
        let values = [
            int(it.id),
            text(&it.file),
            blob(&it.base),
            text(&author),
            text(&it.note),
            int(it.proposed_at.as_microsecond()),
            text(it.state.as_str()),
            maybe_text(decided_by.as_deref()),
            maybe(it.decided_at, |at| int(at.as_microsecond())),
            text(&it.answer),
            text(&it.text),
        ];
        if is_new {
            self.insert_row(&RULE_PROPOSALS, &values)
        } else {
            self.update(&RULE_PROPOSALS, &values)
        }
    }
}

fn check(file: &str, text: &str, note: &str) -> Result<(), StoreError> {
    let what = "rule file";
    if file.is_empty() || file.len() > FILE_NAME_BYTES_MAX || file.contains(['/', '\0']) {
        let problem =
            format!("its name has to be 1 to {FILE_NAME_BYTES_MAX} bytes long, without `/`");
        return Err(StoreError::Invalid { what, problem });
    }
    if text.len() > RULE_FILE_BYTES_MAX {
        let problem = format!(
            "{} bytes long, the limit is {RULE_FILE_BYTES_MAX}: split it",
            text.len()
        );
        return Err(StoreError::Invalid { what, problem });
    }
    check_note(note)
}

fn check_note(note: &str) -> Result<(), StoreError> {
    if note.len() <= NOTE_BYTES_MAX {
        return Ok(());
    }
    let problem = format!(
        "{} bytes long, the limit is {NOTE_BYTES_MAX}: shorten it",
        note.len()
    );
    Err(StoreError::Invalid {
        what: "note",
        problem,
    })
}

impl Reader {
    /// The newest version of every rule file there has been, by name.
    pub fn rule_files(&self) -> Result<Vec<RuleFileVersion>, StoreError> {
        self.all(FILE, sql::RULE_FILES, [], file_version)
    }

    /// The newest version of a rule file.
    pub fn newest_rule_file(&self, file: &str) -> Result<Option<RuleFileVersion>, StoreError> {
        self.first(
            FILE,
            sql::RULE_FILE_VERSIONS,
            (file, i64::MAX, 1),
            file_version,
        )
    }

    /// At most `limit` versions of a rule file, newest first, older than `before`.
    pub fn rule_file_versions(
        &self,
        file: &str,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<RuleFileVersion>, StoreError> {
        let before = before.map_or(i64::MAX, i64::from);
        let params = (file, before, limit as i64);
        self.all(FILE, sql::RULE_FILE_VERSIONS, params, file_version)
    }

    /// One version of a rule file, with its text.
    pub fn rule_file(
        &self,
        file: &str,
        version: u32,
    ) -> Result<Option<(RuleFileVersion, String)>, StoreError> {
        self.first(FILE, sql::RULE_FILE, (file, version), file_with_text)
    }

    /// The newest version of a rule file that had the text with this SHA-256, with that text.
    pub fn rule_file_of(
        &self,
        file: &str,
        sha256: &[u8; 32],
    ) -> Result<Option<(RuleFileVersion, String)>, StoreError> {
        self.first(FILE, sql::RULE_FILE_OF, (file, sha256), file_with_text)
    }

    /// The proposals that wait for a second person, oldest first.
    pub fn open_proposals(&self) -> Result<Vec<Proposal>, StoreError> {
        self.all(PROPOSAL, sql::OPEN_PROPOSALS, [], proposal)
    }

    /// How many proposals wait for a second person.
    pub fn count_open_proposals(&self) -> Result<u64, StoreError> {
        self.number(PROPOSAL, sql::COUNT_OPEN_PROPOSALS, [])
    }

    /// The proposals that were decided on, at most `limit`, newest first.
    pub fn decided_proposals(&self, limit: usize) -> Result<Vec<Proposal>, StoreError> {
        self.all(PROPOSAL, sql::DECIDED_PROPOSALS, [limit as i64], proposal)
    }

    /// One proposal.
    pub fn proposal(&self, id: i64) -> Result<Option<Proposal>, StoreError> {
        self.first(PROPOSAL, sql::PROPOSAL, [id], proposal)
    }

    fn open_proposal(&self, id: i64) -> Result<Proposal, StoreError> {
        let found = self.proposal(id)?;
        let proposal = found.ok_or_else(|| StoreError::not_found(format!("proposal {id}")))?;
        match proposal.state {
            ProposalState::Proposed => Ok(proposal),
            state => Err(StoreError::Conflict(format!(
                "proposal {id} is {state} already"
            ))),
        }
    }
}

const FILE: &str = "a rule file's version";
const PROPOSAL: &str = "a proposal";

fn file_version(row: &Row<'_>) -> Result<RuleFileVersion, StoreError> {
    Ok(RuleFileVersion {
        file: get(row, 0, FILE)?,
        version: get(row, 1, FILE)?,
        sha256: bytes32(row, 2, FILE)?,
        author: from_json(row, 3, FILE)?,
        note: get(row, 4, FILE)?,
        at: time(row, 5, FILE)?,
        proposal: get(row, 6, FILE)?,
    })
}

fn file_with_text(row: &Row<'_>) -> Result<(RuleFileVersion, String), StoreError> {
    Ok((file_version(row)?, get(row, 7, FILE)?))
}

fn proposal(row: &Row<'_>) -> Result<Proposal, StoreError> {
    let decided_by: Option<String> = get(row, 7, PROPOSAL)?;
    Ok(Proposal {
        id: get(row, 0, PROPOSAL)?,
        file: get(row, 1, PROPOSAL)?,
        base: bytes32(row, 2, PROPOSAL)?,
        author: from_json(row, 3, PROPOSAL)?,
        note: get(row, 4, PROPOSAL)?,
        proposed_at: time(row, 5, PROPOSAL)?,
        state: parsed(row, 6, PROPOSAL)?,
        decided_by: match decided_by {
            Some(_) => Some(from_json(row, 7, PROPOSAL)?),
            None => None,
        },
        decided_at: maybe_time(row, 8, PROPOSAL)?,
        answer: get(row, 9, PROPOSAL)?,
        text: get(row, 10, PROPOSAL)?,
    })
}
