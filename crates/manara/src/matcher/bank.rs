//! Which matches a bank takes, and what they are worth.

use super::{bank_and_member, key_of};
use crate::clock;
use crate::forms;
use jiff::Timestamp;
use manara_model::{
    BankMode, BankName, BankSettings, Event, MemberId, MemberMode, MemberSettings, Withheld,
};
use manara_signal::SignalType;
use rapidhash::v3::rapidhash_v3;
use std::collections::HashMap;

/// What a lookup is for: expiry and enable ratio depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion {
    at: Timestamp,
    /// A hash of the event; what is looked up outside of any event is in every share.
    number: Option<u64>,
}

impl Occasion {
    /// An event that was received at this time.
    pub(crate) fn of_event(event: &Event, received_at: Timestamp) -> Self {
        let number = rapidhash_v3(event.source.as_bytes())
            ^ rapidhash_v3(event.id.as_bytes()).rotate_left(1);
        Self {
            at: received_at,
            number: Some(number),
        }
    }

    /// A question asked now.
    pub(crate) fn now() -> Self {
        Self {
            at: clock::now(),
            number: None,
        }
    }
}

/// A signal that was found near a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near<'a> {
    pub(super) key: u64,
    pub(super) signal_type: SignalType,
    pub(super) distance: u32,
    /// Of an image hash.
    pub(super) quality: Option<u8>,
    pub(super) form: &'a str,
}

/// One bank, without its members.
#[derive(Debug)]
pub(super) struct BankEntry {
    pub(super) name: BankName,
    pub(super) enabled: bool,
    pub(super) settings: BankSettings,
    /// Members by type of their signal.
    members: [u64; SignalType::ALL.len()],
    salt: u64,
}

impl BankEntry {
    fn new(name: BankName) -> Self {
        Self {
            salt: rapidhash_v3(name.as_str().as_bytes()),
            name,
            enabled: true,
            settings: BankSettings::default(),
            members: [0; SignalType::ALL.len()],
        }
    }

    /// How many members it has.
    pub(super) fn members(&self) -> u64 {
        self.members.iter().sum()
    }

    /// How many of them are of this type.
    pub(super) fn members_of(&self, signal_type: SignalType) -> u64 {
        self.members.get(signal_type as usize).copied().unwrap_or(0)
    }

    /// Whether the event is in the share for which the bank counts.
    fn counts_for(&self, occasion: Occasion) -> bool {
        let mixed = |number: u64| rapidhash_v3(&(number ^ self.salt).to_le_bytes());
        let includes = |number| self.settings.enable_ratio.includes(mixed(number));
        occasion.number.is_none_or(includes)
    }
}

/// All banks by their place, which keys of the indexes begin with, and the members that are not as
/// their bank says.
#[derive(Debug, Default)]
pub(super) struct Banks {
    entries: Vec<BankEntry>,
    special: HashMap<u64, MemberSettings>,
}

impl Banks {
    /// The bank's place, made on first mention.
    pub(super) fn place(&mut self, name: &BankName) -> usize {
        if let Some(at) = self.entries.iter().position(|b| b.name == *name) {
            return at;
        }
        self.entries.push(BankEntry::new(name.clone()));
        self.entries.len() - 1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &BankEntry> {
        self.entries.iter()
    }

    pub(super) fn set(&mut self, name: &BankName, enabled: bool, settings: BankSettings) {
        let at = self.place(name);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.enabled = enabled;
            entry.settings = settings;
        }
    }

    /// Says how a member matches.
    pub(super) fn set_member(&mut self, bank: usize, member: MemberId, settings: MemberSettings) {
        let key = key_of(bank, member);
        if settings == MemberSettings::default() {
            self.special.remove(&key);
        } else {
            self.special.insert(key, settings);
        }
    }

    pub(super) fn forget_member(&mut self, key: u64) {
        self.special.remove(&key);
    }

    pub(super) fn count(&mut self, bank: usize, signal_type: SignalType, by: i64) {
        let entry = self.entries.get_mut(bank);
        if let Some(members) = entry.and_then(|it| it.members.get_mut(signal_type as usize)) {
            *members = members.saturating_add_signed(by);
        }
    }

    fn with(&self, signal_type: SignalType) -> impl Iterator<Item = &BankEntry> {
        let has = move |b: &&BankEntry| b.enabled && b.members_of(signal_type) > 0;
        self.entries.iter().filter(has)
    }

    fn with_images(&self) -> impl Iterator<Item = &BankEntry> {
        self.with(SignalType::Pdq)
    }

    /// How far signals of this type have to be looked up, so that no bank misses one; nothing if no
    /// bank has any.
    pub(super) fn reach(&self, signal_type: SignalType) -> Option<u32> {
        let distances = self
            .with(signal_type)
            .map(|b| b.settings.distance(signal_type));
        distances.max()
    }

    /// Whether mirrored and turned images could match at all.
    pub(super) fn want_dihedral(&self) -> bool {
        self.with_images().any(|b| b.settings.dihedral)
    }

    /// The lowest quality at which an image could match.
    pub(super) fn quality_floor(&self) -> u8 {
        let floors = self.with_images().map(|b| b.settings.quality_min);
        floors.min().unwrap_or(BankSettings::QUALITY_MIN)
    }

    /// The bank and member that were found, if the bank takes a match like this one, and why the
    /// match has no effect if it has none.
    pub(super) fn takes(
        &self,
        near: Near<'_>,
        occasion: Occasion,
    ) -> Option<(&BankEntry, MemberId, Option<Withheld>)> {
        let (bank, member) = bank_and_member(near.key);
        let bank = self.entries.get(bank)?;
        let own = self.special.get(&near.key);
        let settings = &bank.settings;
        let is_past = |end: Option<Timestamp>| end.is_some_and(|end| end <= occasion.at);
        if !bank.enabled || is_past(settings.expires_at) || is_past(own.and_then(|o| o.expires_at))
        {
            return None;
        }
        let narrower = own.and_then(|own| own.distance).unwrap_or(u32::MAX);
        let distance_max = settings.distance(near.signal_type).min(narrower);
        let stricter = own.and_then(|own| own.quality_min).unwrap_or(0);
        let quality_min = settings.quality_min.max(stricter);
        let is_near = near.distance <= distance_max;
        let is_clear = near.quality.is_none_or(|quality| quality >= quality_min);
        let is_asked_for = settings.dihedral || !forms::is_dihedral(near.form);
        if !(is_near && is_clear && is_asked_for) {
            return None;
        }
        let withheld = match (settings.mode, own.map(|own| own.mode)) {
            (BankMode::Shadow, _) => Some(Withheld::BankShadow),
            (_, Some(MemberMode::Shadow)) => Some(Withheld::MemberShadow),
            (_, Some(MemberMode::Quarantine)) => Some(Withheld::Quarantine),
            _ if !bank.counts_for(occasion) => Some(Withheld::EnableRatio),
            _ => None,
        };
        Some((bank, member, withheld))
    }

    /// Takes a member out of effect, if its bank lets it and nobody has vouched for it.
    pub(super) fn quarantine(&mut self, bank: &BankName, member: MemberId) -> bool {
        let Some(at) = self.entries.iter().position(|b| b.name == *bank) else {
            return false;
        };
        let settings = self.entries.get(at).map(|b| &b.settings);
        let lets = settings.is_some_and(|s| s.quarantine && !s.is_negative());
        let own = self.special.get(&key_of(at, member)).cloned();
        let own = own.unwrap_or_default();
        let may = lets && !own.vouched && own.mode == MemberMode::Live;
        if may {
            let mode = MemberMode::Quarantine;
            self.set_member(at, member, MemberSettings { mode, ..own });
        }
        may
    }

    /// Whether matches of this bank forbid those of others.
    pub(super) fn is_negative(&self, key: u64) -> bool {
        let bank = self.entries.get(bank_and_member(key).0);
        bank.is_some_and(|bank| bank.settings.is_negative())
    }

    /// Whether a match of the first member's bank forbids one of the second's.
    pub(super) fn vetoes(&self, negative: u64, other: u64) -> bool {
        let bank = |key| self.entries.get(bank_and_member(key).0);
        let (Some(negative), Some(other)) = (bank(negative), bank(other)) else {
            return false;
        };
        negative.settings.vetoes.contains(&other.name)
    }
}
