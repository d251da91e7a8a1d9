//! Banks and their members.
//!
//! Members are append-only rows. Those added together form a batch: a run of consecutive ids whose
//! digest is one audited row, so that a million members cost one leaf. A removal is a row of its
//! own, and so is a change of its settings (`members.rs`). Whoever keeps an index in memory follows
//! all three with a [`BankCursor`].

use crate::error::{Context, StoreError};
use crate::reader::{Reader, damaged, from_json, get, parsed, time};
use crate::sql;
use crate::tables::{
    BANKS, MEMBER_BATCHES, MEMBER_REMOVALS, MEMBERS, Table, blob, int, maybe_text, text,
};
use crate::tx::{Committed, Tx, author_json, json};
use jiff::Timestamp;
use manara_model::{
    Author, Bank, BankName, BankSettings, Member, MemberId, MemberSettings, NewMember,
    SettingsError, Tag,
};
use manara_signal::{Md5, Pdq, Sha256, Signal, SignalType};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use sha2::Digest;
use std::collections::{BTreeSet, HashMap};

/// Longest note of a member, in bytes.
pub(crate) const NOTE_BYTES_MAX: usize = 1024;
/// Most characters that an audit leaf says of what was changed.
const DIFFERENCES_CHARS_MAX: usize = 4096;
/// Longest description of a bank, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 4096;
/// Longest text or address kept as a member, in bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// How often an import tells its progress, in rows.
const PROGRESS_EVERY: u64 = 4096;

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Members added.
    pub added: u64,
    /// Rows whose signal was a member already.
    pub already: u64,
}

/// Where a follower of banks has got to. The default is before everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BankCursor {
    batch: i64,
    member: i64,
    removal: i64,
    #[serde(default)]
    change: i64,
}

impl BankCursor {
    /// Whether a follower that has got here knows all that one knows who has got to `other`.
    pub fn reaches(&self, other: &Self) -> bool {
        self.batch >= other.batch
            && self.member >= other.member
            && self.removal >= other.removal
            && self.change >= other.change
    }
}

/// Something a follower of banks has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BankChange {
    /// There is this bank. Told of every bank, every time, before its members.
    Bank {
        /// Its name.
        name: BankName,
        /// Whether it takes part in matching.
        enabled: bool,
        /// How its members match.
        settings: BankSettings,
    },
    /// A member was added.
    Member {
        /// To this bank.
        bank: BankName,
        /// Its number.
        member: MemberId,
        /// What it is.
        signal: Signal,
        /// How it matches now.
        settings: MemberSettings,
        /// When it was added.
        added_at: Timestamp,
    },
    /// A member that was told of before matches in another way now.
    Settings {
        /// In this bank.
        bank: BankName,
        /// Its number.
        member: MemberId,
        /// What it is.
        signal: Signal,
        /// How it matches now.
        settings: MemberSettings,
    },
    /// A member that was told of before was removed.
    Removed {
        /// From this bank.
        bank: BankName,
        /// Its number.
        member: MemberId,
        /// The type of its signal.
        signal_type: SignalType,
    },
}

impl Tx<'_> {
    /// Makes an empty, enabled bank. Audit: one `bank.created` leaf.
    pub fn create_bank(
        &mut self,
        name: &BankName,
        description: &str,
        settings: &BankSettings,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        check_description(description)?;
        if self.reader().bank(name)?.is_some() {
            return Err(StoreError::Conflict(format!(
                "there is a bank {name} already"
            )));
        }
        self.reader().check_settings(name, settings)?;
        self.begin("bank.created", by, now)?;
        let id = self.next_id(&BANKS)?;
        let bank = Bank {
            name: name.clone(),
            description: description.to_owned(),
            enabled: true,
            settings: settings.clone(),
            created_at: now,
            members: 0,
        };
        self.put_bank(id, &bank, Self::insert_row)?;
        self.seal(None).map(|_| Committed(()))
    }

    /// Makes a bank that holds these members. Audit: `bank.created` and, when there are members,
    /// `bank.imported`.
    pub fn create_bank_with(
        &mut self,
        name: &BankName,
        description: &str,
        settings: &BankSettings,
        members: Vec<NewMember>,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<Imported>, StoreError> {
        let _: Committed<()> = self.create_bank(name, description, settings, by, now)?;
        self.import(name, members.into_iter().map(Ok), by, now, |_| ())
    }

    /// Lets a bank take part in matching, or not. Says whether that was a change.
    /// Audit: one `bank.enabled` or `bank.disabled` leaf, none when it was so already.
    pub fn set_bank_enabled(
        &mut self,
        name: &BankName,
        enabled: bool,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<bool>, StoreError> {
        let (id, mut bank) = self.reader().expect_bank(name)?;
        if bank.enabled == enabled {
            return Ok(Committed(false));
        }
        self.begin(
            if enabled {
                "bank.enabled"
            } else {
                "bank.disabled"
            },
            by,
            now,
        )?;
        bank.enabled = enabled;
        self.put_bank(id, &bank, Self::update)?;
        self.seal(None).map(|_| Committed(true))
    }

    /// Changes how a bank's members match. Says whether that was a change.
    ///
    /// A bank can veto others only if none of them vetoes any, and only while no bank vetoes it.
    /// Audit: one `bank.settings_set` leaf that notes what was changed, none when all was so already.
    pub fn set_bank(
        &mut self,
        name: &BankName,
        change: impl FnOnce(&mut BankSettings),
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<bool>, StoreError> {
        let (id, mut bank) = self.reader().expect_bank(name)?;
        let before = bank.settings.clone();
        change(&mut bank.settings);
        if bank.settings == before {
            return Ok(Committed(false));
        }
        self.reader().check_settings(name, &bank.settings)?;
        self.begin("bank.settings_set", by, now)?;
        self.put_bank(id, &bank, Self::update)?;
        let note = format!("{name}: {}", differences(&before, &bank.settings)?);
        self.seal(Some(note)).map(|_| Committed(true))
    }

    /// Says anew what a bank holds and why. Says whether that was a change.
    /// Audit: one `bank.description_set` leaf, none when it was so already.
    pub fn set_bank_description(
        &mut self,
        name: &BankName,
        description: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<bool>, StoreError> {
        check_description(description)?;
        let (id, mut bank) = self.reader().expect_bank(name)?;
        if bank.description == description {
            return Ok(Committed(false));
        }
        self.begin("bank.description_set", by, now)?;
        description.clone_into(&mut bank.description);
        self.put_bank(id, &bank, Self::update)?;
        self.seal(None).map(|_| Committed(true))
    }

    fn put_bank(
        &mut self,
        id: i64,
        bank: &Bank,
        put: impl FnOnce(&mut Self, &'static Table, &[ValueRef<'_>]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let settings = json("settings", &bank.settings)?;
        put(
            self,
            &BANKS,
            &[
                int(id),
                text(bank.name.as_str()),
                text(&bank.description),
                int(bank.enabled.into()),
                text(&settings),
                int(bank.created_at.as_microsecond()),
            ],
        )
    }

    /// Adds one member, and gives its number; that of the member there is when it is one already,
    /// which stays as it is: its settings are changed with [`Tx::set_member`].
    /// Audit: one `member.added` leaf, none when nothing was added.
    pub fn add_member(
        &mut self,
        bank: &BankName,
        member: NewMember,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<(MemberId, Imported)>, StoreError> {
        let signal = member.signal.clone();
        let row = std::iter::once(Ok(member));
        let imported = self.append("member.added", bank, row, by, now, |_| ())?;
        let (member, _) = self
            .reader()
            .find_member(bank, &signal)?
            .ok_or_else(|| StoreError::not_found(format!("member in bank {bank}")))?;
        Ok(Committed((member, imported)))
    }

    /// Adds many members. A row that is an error ends the write, and nothing of it is kept. A row
    /// whose signal is a member already changes nothing, whatever else it says.
    ///
    /// `progress` is told the rows read so far, now and then. Other writes wait meanwhile: about
    /// two seconds for a million rows. Audit: one `bank.imported` leaf over all of them, none when
    /// every row was a member already.
    pub fn import(
        &mut self,
        bank: &BankName,
        rows: impl Iterator<Item = Result<NewMember, StoreError>>,
        by: &Author,
        now: Timestamp,
        progress: impl FnMut(u64),
    ) -> Result<Committed<Imported>, StoreError> {
        self.append("bank.imported", bank, rows, by, now, progress)
            .map(Committed)
    }

    fn append(
        &mut self,
        kind: &str,
        bank: &BankName,
        rows: impl Iterator<Item = Result<NewMember, StoreError>>,
        by: &Author,
        now: Timestamp,
        mut progress: impl FnMut(u64),
    ) -> Result<Imported, StoreError> {
        let (bank, _) = self.reader().expect_bank(bank)?;
        let first = self.next_id(&MEMBERS)?;
        // Before the first row: should a later one fail, the open leaf keeps the job from ending well.
        self.begin(kind, by, now)?;
        let mut batch = Batch::new(first);
        let mut done = Imported::default();
        for row in rows {
            if self.append_one(bank, &mut batch, &row?)? {
                done.added += 1;
            } else {
                done.already += 1;
            }
            let read = done.added + done.already;
            if read.is_multiple_of(PROGRESS_EVERY) {
                progress(read);
            }
        }
        progress(done.added + done.already);
        if done.added == 0 {
            self.abandon();
            return Ok(done);
        }
        self.insert_batch(bank, &batch, by, now)?;
        self.count(&format!("bank.{bank}"), done.added as i64);
        self.seal(None)?;
        Ok(done)
    }

    /// Writes a member's row unless the bank has it. The row is covered by its batch.
    fn append_one(
        &self,
        bank: i64,
        batch: &mut Batch,
        member: &NewMember,
    ) -> Result<bool, StoreError> {
        const CONTEXT: &str = "adding a member";
        let note = &member.note;
        if note.len() > NOTE_BYTES_MAX {
            return Err(too_long("note", note.len(), NOTE_BYTES_MAX));
        }
        let value = Value::of(&member.signal);
        if value.bytes().len() > VALUE_BYTES_MAX {
            return Err(too_long("signal", value.bytes().len(), VALUE_BYTES_MAX));
        }
        let settings = written(&member.settings, &member.signal)?;
        let exchange = member.exchange.as_ref().map(Tag::as_str);
        let signal_type = member.signal.signal_type().name();
        let lookup = lookup(signal_type.as_bytes(), value.bytes());
        if same_signal(
            self.reader(),
            bank,
            batch.first,
            lookup,
            signal_type,
            value.bytes(),
        )?
        .is_some()
        {
            return Ok(false);
        }
        let id = batch.next();
        let digest8 = batch.add([
            int(id),
            text(signal_type),
            blob(value.bytes()),
            text(note),
            maybe_text(exchange),
            text(&settings),
        ]);
        let row = (
            id,
            signal_type,
            value.bytes(),
            note,
            exchange,
            settings,
            lookup,
            digest8,
        );
        self.conn
            .prepare_cached(sql::ADD_MEMBER)
            .and_then(|mut s| s.execute(row))
            .context(CONTEXT)?;
        Ok(true)
    }

    fn insert_batch(
        &mut self,
        bank: i64,
        batch: &Batch,
        by: &Author,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, author) = (self.next_id(&MEMBER_BATCHES)?, author_json(by)?);
        let digest = batch.digest();
        let values = [
            int(id),
            int(bank),
            int(batch.first),
            int(batch.count),
            blob(&digest),
            text(&author),
            int(now.as_microsecond()),
        ];
        self.insert_row(&MEMBER_BATCHES, &values)
    }

    /// Takes a member out of its bank for good. Audit: one `member.removed` leaf.
    pub fn remove_member(
        &mut self,
        bank: &BankName,
        member: MemberId,
        reason: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        check_reason(reason)?;
        let (bank_id, _) = self.reader().expect_live_member(bank, member)?;
        self.begin("member.removed", by, now)?;
        self.insert_removal(bank_id, member, reason, by, now)?;
        self.seal(None).map(|_| Committed(()))
    }

    pub(crate) fn insert_removal(
        &mut self,
        bank: i64,
        member: MemberId,
        reason: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, author) = (self.next_id(&MEMBER_REMOVALS)?, author_json(by)?);
        self.insert_row(
            &MEMBER_REMOVALS,
            &[
                int(id),
                int(member.0),
                int(bank),
                text(reason),
                text(&author),
                int(now.as_microsecond()),
            ],
        )?;
        self.count(&format!("bank.{bank}"), -1);
        Ok(())
    }
}

fn check_description(description: &str) -> Result<(), StoreError> {
    let bytes = description.len();
    if bytes > DESCRIPTION_BYTES_MAX {
        return Err(too_long("description", bytes, DESCRIPTION_BYTES_MAX));
    }
    Ok(())
}

pub(crate) fn check_reason(reason: &str) -> Result<(), StoreError> {
    if reason.len() > NOTE_BYTES_MAX {
        return Err(too_long("reason", reason.len(), NOTE_BYTES_MAX));
    }
    Ok(())
}

/// A member's settings as they are stored beside its signal; nothing for the default,
/// which is that of nearly all.
pub(crate) fn written(settings: &MemberSettings, signal: &Signal) -> Result<String, StoreError> {
    if *settings == MemberSettings::default() {
        return Ok(String::new());
    }
    settings.check(signal).map_err(|error| unfit(&error))?;
    json("settings", settings)
}

/// Settings as they are stored, read back.
pub(crate) fn settings_of(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<MemberSettings, StoreError> {
    let text = row.get_ref(column).context(context)?;
    let text = text.as_str().map_err(|error| damaged(context, error))?;
    if text.is_empty() {
        return Ok(MemberSettings::default());
    }
    serde_json::from_str(text).map_err(|error| damaged(context, error))
}

fn unfit(error: &SettingsError) -> StoreError {
    StoreError::Invalid {
        what: "settings",
        problem: error.to_string(),
    }
}

/// What was changed from what to what, in words: `mode: live to shadow, tags: none to a b`.
pub(crate) fn differences(
    before: &impl serde::Serialize,
    after: &impl serde::Serialize,
) -> Result<String, StoreError> {
    let fields = |settings: Result<serde_json::Value, _>| match settings {
        Ok(serde_json::Value::Object(fields)) => Ok(fields),
        other => Err(damaged("settings", format!("{other:?}"))),
    };
    let before = fields(serde_json::to_value(before))?;
    let after = fields(serde_json::to_value(after))?;
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = names.into_iter().filter_map(|name| {
        let (was, is) = (before.get(name), after.get(name));
        let words = |value| in_words(name, value);
        (was != is).then(|| format!("{name}: {} to {}", words(was), words(is)))
    });
    let all = changed.collect::<Vec<_>>().join(", ");
    Ok(all.chars().take(DIFFERENCES_CHARS_MAX).collect())
}

fn in_words(name: &str, value: Option<&serde_json::Value>) -> String {
    use serde_json::Value;
    match (name, value) {
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(Value::Array(items))) => {
            let items = items.iter().map(|item| in_words(name, Some(item)));
            items.collect::<Vec<_>>().join(" ")
        }
        (_, Some(Value::Object(fields))) => {
            let fields = fields.iter().map(|(key, value)| format!("{key} {value}"));
            fields.collect::<Vec<_>>().join(" ")
        }
        (_, Some(value)) => value.to_string(),
        // What is not written is the default.
        ("mode", None) => "live".into(),
        ("vouched", None) => "false".into(),
        ("distance" | "quality_min", None) => "default".into(),
        ("expires_at", None) => "never".into(),
        (_, None) => "none".into(),
    }
}

pub(crate) fn too_long(what: &'static str, bytes: usize, max: usize) -> StoreError {
    StoreError::Invalid {
        what,
        problem: format!("{bytes} bytes long, the limit is {max}: shorten it"),
    }
}

/// A run of members being written, or read again to be checked.
pub(crate) struct Batch {
    pub(crate) first: i64,
    pub(crate) count: i64,
    rows: sha2::Sha256,
    canonical: Vec<u8>,
}

impl Batch {
    pub(crate) fn new(first: i64) -> Self {
        Self {
            first,
            count: 0,
            rows: sha2::Sha256::new(),
            canonical: Vec::new(),
        }
    }

    fn next(&self) -> i64 {
        self.first + self.count
    }

    /// Takes a member's columns in order, and gives the beginning of its own digest.
    pub(crate) fn add(&mut self, columns: [ValueRef<'_>; 6]) -> [u8; 8] {
        MEMBERS.canonical(columns, &mut self.canonical);
        let digest: [u8; 32] = sha2::Sha256::digest(&self.canonical).into();
        self.rows.update(digest);
        self.count += 1;
        digest.first_chunk().copied().unwrap_or_default()
    }

    /// The digest over the members so far: SHA-256 over their own digests.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.rows.clone().finalize().into()
    }
}

/// Under which number a signal is looked up: 64 bits of a SHA-256 over its type and value.
pub(crate) fn lookup(signal_type: &[u8], value: &[u8]) -> i64 {
    let digest: [u8; 32] = sha2::Sha256::new()
        .chain_update(signal_type)
        .chain_update([0])
        .chain_update(value)
        .finalize()
        .into();
    i64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
}

/// The live member of a bank with this signal. Members from `first` on are of that bank, though
/// their batch is not yet written.
fn same_signal(
    reader: &Reader,
    bank: i64,
    first: i64,
    lookup: i64,
    signal_type: &str,
    value: &[u8],
) -> Result<Option<MemberId>, StoreError> {
    const CONTEXT: &str = "looking for a member";
    let mut statement = reader
        .conn
        .prepare_cached(sql::SAME_SIGNAL)
        .context(CONTEXT)?;
    let mut rows = statement
        .query((lookup, signal_type, value))
        .context(CONTEXT)?;
    while let Some(row) = rows.next().context(CONTEXT)? {
        let id: i64 = get(row, 0, CONTEXT)?;
        let of: Option<i64> = get(row, 1, CONTEXT)?;
        let removed: bool = get(row, 2, CONTEXT)?;
        if !removed && (id >= first || of == Some(bank)) {
            return Ok(Some(MemberId(id)));
        }
    }
    Ok(None)
}

/// A signal's value in its compact form: the bytes of a hash, the UTF-8 of a text or address.
enum Value<'a> {
    Bytes(&'a [u8]),
    Text(String),
}

impl<'a> Value<'a> {
    fn of(signal: &'a Signal) -> Self {
        match signal {
            Signal::Sha256(hash) => Self::Bytes(hash.as_bytes()),
            Signal::Md5(hash) => Self::Bytes(hash.as_bytes()),
            Signal::Pdq(hash) => Self::Bytes(hash.as_bytes()),
            other => Self::Text(other.encode()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

/// A signal from its compact form.
fn signal_of(signal_type: SignalType, value: &[u8]) -> Result<Signal, StoreError> {
    let hash = || damaged(MEMBER, format!("{} bytes for a {signal_type}", value.len()));
    Ok(match signal_type {
        SignalType::Sha256 => Signal::Sha256(Sha256(value.try_into().map_err(|_| hash())?)),
        SignalType::Md5 => Signal::Md5(Md5(value.try_into().map_err(|_| hash())?)),
        SignalType::Pdq => Signal::Pdq(Pdq(value.try_into().map_err(|_| hash())?)),
        _ => {
            let text = std::str::from_utf8(value).map_err(|error| damaged(MEMBER, error))?;
            Signal::parse(signal_type, text).map_err(|error| damaged(MEMBER, error))?
        }
    })
}

impl Reader {
    /// All banks, by name.
    pub fn banks(&self) -> Result<Vec<Bank>, StoreError> {
        self.all(BANK, sql::BANKS, [], |row| bank(row).map(|(_, bank)| bank))
    }

    /// One bank.
    pub fn bank(&self, name: &BankName) -> Result<Option<Bank>, StoreError> {
        let found = self.first(BANK, sql::BANK, [name.as_str()], bank)?;
        Ok(found.map(|(_, bank)| bank))
    }

    /// Whether a bank of that name can have these settings beside the other banks there are.
    fn check_settings(&self, name: &BankName, settings: &BankSettings) -> Result<(), StoreError> {
        settings.check(name).map_err(|error| unfit(&error))?;
        if !settings.is_negative() {
            return Ok(());
        }
        let banks = self.banks()?;
        for vetoed in &settings.vetoes {
            let other = banks.iter().find(|bank| bank.name == *vetoed);
            let other =
                other.ok_or_else(|| StoreError::not_found(format!("bank {vetoed} to veto")))?;
            if other.settings.is_negative() {
                return Err(negative_vetoed(name, other));
            }
        }
        match banks
            .iter()
            .find(|bank| bank.settings.vetoes.contains(name))
        {
            None => Ok(()),
            Some(by) => Err(StoreError::Conflict(format!(
                "{name} is vetoed by {}, so it cannot veto others: the matches of a negative bank \
                 lead to nothing that could be vetoed",
                by.name
            ))),
        }
    }

    /// A member that has not been removed from that bank, and the bank's number.
    pub(crate) fn expect_live_member(
        &self,
        bank: &BankName,
        member: MemberId,
    ) -> Result<(i64, Member), StoreError> {
        let (bank_id, found, removed) = self.expect_member(bank, member)?;
        if removed {
            return Err(StoreError::not_found(format!(
                "member {member} in bank {bank}"
            )));
        }
        Ok((bank_id, found))
    }

    /// A member of that bank, its bank's number, and whether it was removed.
    pub(crate) fn expect_member(
        &self,
        bank: &BankName,
        member: MemberId,
    ) -> Result<(i64, Member, bool), StoreError> {
        let (bank_id, _) = self.expect_bank(bank)?;
        let found = self.member_row(member)?;
        let found = found.filter(|(of, _, _)| *of == bank_id);
        found.ok_or_else(|| StoreError::not_found(format!("member {member} in bank {bank}")))
    }

    fn expect_bank(&self, name: &BankName) -> Result<(i64, Bank), StoreError> {
        let found = self.first(BANK, sql::BANK, [name.as_str()], bank)?;
        found.ok_or_else(|| StoreError::not_found(format!("bank {name}")))
    }

    /// The members of a bank in the order in which they were added, after that number; removed
    /// ones left out.
    pub fn members(
        &self,
        bank: &BankName,
        after: Option<MemberId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let mut members = Vec::new();
        self.each_member_after(bank, after, limit as i64, |member| {
            members.push(member);
            Ok(())
        })?;
        Ok(members)
    }

    /// Every member of a bank, one after the other, in flat memory. An error from `each` ends it.
    pub fn each_member(
        &self,
        bank: &BankName,
        each: impl FnMut(Member) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_member_after(bank, None, i64::MAX, each)
    }

    fn each_member_after(
        &self,
        bank: &BankName,
        after: Option<MemberId>,
        limit: i64,
        mut each: impl FnMut(Member) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (bank, _) = self.expect_bank(bank)?;
        let params = (bank, after.map_or(0, |after| after.0), limit);
        self.each(MEMBER, sql::MEMBERS, params, |row| each(member(row)?))
    }

    /// A member by its number, with its bank and whether it was removed since.
    pub fn member(&self, id: MemberId) -> Result<Option<(BankName, Member, bool)>, StoreError> {
        let Some((bank, member, removed)) = self.member_row(id)? else {
            return Ok(None);
        };
        let names = self.bank_names()?;
        Ok(Some((bank_name(&names, bank)?, member, removed)))
    }

    pub(crate) fn member_row(
        &self,
        id: MemberId,
    ) -> Result<Option<(i64, Member, bool)>, StoreError> {
        let found = self.first(MEMBER, sql::MEMBER, [id.0], |row| {
            Ok((get::<i64>(row, 5, MEMBER)?, member(row)?))
        })?;
        let Some((bank, member)) = found else {
            return Ok(None);
        };
        let removal = self.first(MEMBER, sql::REMOVAL, [id.0], |_| Ok(()))?;
        Ok(Some((bank, member, removal.is_some())))
    }

    /// The member of a bank that has this signal, with its note.
    pub fn find_member(
        &self,
        bank: &BankName,
        signal: &Signal,
    ) -> Result<Option<(MemberId, Member)>, StoreError> {
        let (bank, _) = self.expect_bank(bank)?;
        let (signal_type, value) = (signal.signal_type().name(), Value::of(signal));
        let lookup = lookup(signal_type.as_bytes(), value.bytes());
        match same_signal(self, bank, i64::MAX, lookup, signal_type, value.bytes())? {
            Some(id) => Ok(self.member_row(id)?.map(|(_, member, _)| (id, member))),
            None => Ok(None),
        }
    }

    /// Tells `each` what has changed in all banks since `since`, and gives the cursor for the next
    /// time. From the default cursor on: every bank and every member.
    pub fn bank_changes(
        &self,
        since: &BankCursor,
        each: &mut dyn FnMut(BankChange),
    ) -> Result<BankCursor, StoreError> {
        self.changes(since, None, each)
    }

    /// The same for a follower that has forgotten all but the signals of one signal type: members of
    /// the other types are told of from the beginning, and of that type all settings that are or
    /// were not the default.
    pub fn bank_changes_knowing(
        &self,
        since: &BankCursor,
        known: SignalType,
        each: &mut dyn FnMut(BankChange),
    ) -> Result<BankCursor, StoreError> {
        self.changes(since, Some(known), each)
    }

    /// A digest of all members that were told of up to a cursor, without their settings, or nothing if this database has not come
    /// that far. Two databases agree in it only if they hold the same members under the same numbers.
    pub fn bank_state(&self, until: &BankCursor) -> Result<Option<[u8; 32]>, StoreError> {
        let mut digest = sha2::Sha256::new();
        let (mut batch, mut removal) = (0_i64, 0_i64);
        self.each(MEMBER, sql::BATCHES_UNTIL, [until.batch], |row| {
            batch = get(row, 0, MEMBER)?;
            for column in 0..4 {
                digest.update(get::<i64>(row, column, MEMBER)?.to_le_bytes());
            }
            digest.update(get::<Vec<u8>>(row, 4, MEMBER)?);
            Ok(())
        })?;
        self.each(MEMBER, sql::REMOVALS_UNTIL, [until.removal], |row| {
            removal = get(row, 0, MEMBER)?;
            digest.update(removal.to_le_bytes());
            digest.update(get::<i64>(row, 1, MEMBER)?.to_le_bytes());
            Ok(())
        })?;
        let reached = (batch, removal) == (until.batch, until.removal);
        Ok(reached.then(|| digest.finalize().into()))
    }

    fn changes(
        &self,
        since: &BankCursor,
        known: Option<SignalType>,
        each: &mut dyn FnMut(BankChange),
    ) -> Result<BankCursor, StoreError> {
        let mut names = HashMap::new();
        self.each(BANK, sql::BANKS_BY_ID, [], |row| {
            let name: BankName = parsed(row, 1, BANK)?;
            names.insert(get::<i64>(row, 0, BANK)?, name.clone());
            each(BankChange::Bank {
                name,
                enabled: get(row, 2, BANK)?,
                settings: from_json(row, 3, BANK)?,
            });
            Ok(())
        })?;
        let member = |row: &Row<'_>| {
            let signal = stored_signal(row)?;
            let bank = bank_name(&names, get(row, 5, MEMBER)?)?;
            each(BankChange::Member {
                bank,
                member: MemberId(get(row, 0, MEMBER)?),
                signal,
                settings: settings_of(row, 8, MEMBER)?,
                added_at: time(row, 4, MEMBER)?,
            });
            Ok(())
        };
        match known {
            None => self.each(MEMBER, sql::MEMBERS_SINCE_BATCH, [since.batch], member)?,
            Some(known) => self.each(
                MEMBER,
                sql::MEMBERS_SINCE_OR_OTHER,
                (since.batch, known.name()),
                member,
            )?,
        }
        let settings = |row: &Row<'_>| {
            each(BankChange::Settings {
                signal: stored_signal(row)?,
                member: MemberId(get(row, 0, MEMBER)?),
                settings: settings_of(row, 3, MEMBER)?,
                bank: bank_name(&names, get(row, 4, MEMBER)?)?,
            });
            Ok(())
        };
        match known {
            None => self.each(
                MEMBER,
                sql::SETTINGS_SINCE,
                (since.change, since.member),
                settings,
            )?,
            Some(known) => self.each(
                MEMBER,
                sql::SETTINGS_OF_TYPE,
                (since.member, known.name()),
                settings,
            )?,
        }
        self.each(
            MEMBER,
            sql::REMOVALS_SINCE,
            (since.removal, since.member),
            |row| {
                let bank = bank_name(&names, get(row, 2, MEMBER)?)?;
                let (member, signal_type) =
                    (MemberId(get(row, 1, MEMBER)?), parsed(row, 3, MEMBER)?);
                each(BankChange::Removed {
                    bank,
                    member,
                    signal_type,
                });
                Ok(())
            },
        )?;
        self.bank_cursor()
    }

    /// The cursor of a follower that has seen everything.
    pub fn bank_cursor(&self) -> Result<BankCursor, StoreError> {
        let newest = self.first(MEMBER, sql::NEWEST_BATCH, [], |row| {
            Ok((get(row, 0, MEMBER)?, get(row, 1, MEMBER)?))
        })?;
        let (batch, member) = newest.unwrap_or((0, 0));
        let removal = self.number(MEMBER, sql::NEWEST_REMOVAL, [])? as i64;
        Ok(BankCursor {
            batch,
            member,
            removal,
            change: self.number(MEMBER, sql::NEWEST_CHANGE, [])? as i64,
        })
    }

    fn bank_names(&self) -> Result<HashMap<i64, BankName>, StoreError> {
        let names = self.all(BANK, sql::BANKS_BY_ID, [], |row| {
            Ok((get::<i64>(row, 0, BANK)?, parsed::<BankName>(row, 1, BANK)?))
        })?;
        Ok(names.into_iter().collect())
    }
}

const BANK: &str = "a bank";
const MEMBER: &str = "a member of a bank";

fn bank_name(names: &HashMap<i64, BankName>, id: i64) -> Result<BankName, StoreError> {
    names
        .get(&id)
        .cloned()
        .ok_or_else(|| damaged(MEMBER, format!("bank {id} is missing")))
}

fn negative_vetoed(name: &BankName, other: &Bank) -> StoreError {
    let vetoes: Vec<&str> = other.settings.vetoes.iter().map(BankName::as_str).collect();
    let mutual = if other.settings.vetoes.contains(name) {
        "; two banks cannot veto each other"
    } else {
        ""
    };
    StoreError::Conflict(format!(
        "{} is a negative bank itself (it vetoes {}): its matches lead to nothing that could be vetoed{mutual}",
        other.name,
        vetoes.join(", "),
    ))
}

fn bank(row: &Row<'_>) -> Result<(i64, Bank), StoreError> {
    let bank = Bank {
        name: parsed(row, 1, BANK)?,
        description: get(row, 2, BANK)?,
        enabled: get(row, 3, BANK)?,
        settings: from_json(row, 4, BANK)?,
        created_at: time(row, 5, BANK)?,
        members: get::<i64>(row, 6, BANK)?.max(0) as u64,
    };
    Ok((get(row, 0, BANK)?, bank))
}

fn stored_signal(row: &Row<'_>) -> Result<Signal, StoreError> {
    let value = row
        .get_ref(2)
        .context(MEMBER)?
        .as_blob()
        .map_err(|error| damaged(MEMBER, error))?;
    signal_of(parsed(row, 1, MEMBER)?, value)
}

/// The name of an exchange, if there is one.
pub(crate) fn maybe_tag(
    row: &Row<'_>,
    column: usize,
    context: &'static str,
) -> Result<Option<Tag>, StoreError> {
    let text: Option<String> = get(row, column, context)?;
    text.map(|text| {
        text.parse()
            .map_err(|error: String| damaged(context, error))
    })
    .transpose()
}

fn member(row: &Row<'_>) -> Result<Member, StoreError> {
    Ok(Member {
        id: MemberId(get(row, 0, MEMBER)?),
        signal: stored_signal(row)?,
        note: get(row, 3, MEMBER)?,
        exchange: maybe_tag(row, 6, MEMBER)?,
        added_by: from_json(row, 7, MEMBER)?,
        added_at: time(row, 4, MEMBER)?,
        settings: settings_of(row, 8, MEMBER)?,
    })
}
