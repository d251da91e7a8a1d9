//! One index for each way of comparing, over all banks.

use super::bank::Banks;
use super::{Change, key_of};
use manara_model::{BankName, MemberId, MemberSettings};
use manara_signal::index::{DestinationIndex, DestinationMember, ExactIndex, PdqIndex};
use manara_signal::name::{NameIndex, SloganIndex};
use manara_signal::near::{EditIndex, ShingleIndex, TlshIndex};
use manara_signal::text::PhraseIndex;
use manara_signal::{Signal, SignalType};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All banks in memory.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    pub(super) banks: Banks,
    pub(super) pdq: PdqIndex,
    /// Hashes of whole files.
    pub(super) exact: ExactIndex,
    pub(super) phrases: PhraseIndex,
    /// The phrases again, to be found in names, where words run together.
    pub(super) slogans: SloganIndex,
    pub(super) raw_texts: EditIndex,
    pub(super) similar_texts: ShingleIndex,
    pub(super) tlsh: TlshIndex,
    /// Addresses, prefixes, domains, invitations and wallets.
    pub(super) destinations: DestinationIndex,
    pub(super) names: NameIndex,
    /// Kept where the same names are looked up again and again.
    pub(super) blank: Option<Blank>,
}

/// Names in which nothing was found. The same accounts post again and again, in the same groups, and
/// their names need not be read each time.
#[derive(Debug, Default)]
pub(super) struct Blank {
    /// Keyed with secrets of its own, or somebody could choose a name that passes for another.
    hasher: RandomState,
    names: Mutex<HashSet<u64>>,
}

impl Blank {
    /// Most names that are kept, some 20 MB.
    const NAMES_MAX: usize = 1 << 20;

    pub(super) fn has(&self, name: &str) -> bool {
        self.names().contains(&self.hasher.hash_one(name))
    }

    pub(super) fn add(&self, name: &str) {
        let mut names = self.names();
        if names.len() >= Self::NAMES_MAX {
            names.clear();
        }
        names.insert(self.hasher.hash_one(name));
    }

    pub(super) fn clear(&self) {
        self.names().clear();
    }

    // It is whole after every statement under its lock.
    fn names(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Indexes {
    /// Whether nothing but images and whole files is in them.
    pub(super) fn ask_for_media_only(&self) -> bool {
        self.phrases.is_empty()
            && self.raw_texts.is_empty()
            && self.similar_texts.is_empty()
            && self.tlsh.is_empty()
            && self.destinations.is_empty()
            && self.names.is_empty()
    }

    /// For when anything changes.
    pub(super) fn forget_blank(&self) {
        if let Some(blank) = &self.blank {
            blank.clear();
        }
    }

    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Add {
                bank,
                member,
                signal,
                settings,
            } => self.add(&bank, member, signal, settings),
            Change::Set {
                bank,
                member,
                signal,
                settings,
            } => {
                let place = self.banks.place(&bank);
                if let Signal::Text(_) = &signal {
                    // How it is looked for may have changed.
                    self.insert(key_of(place, member), signal, &settings);
                }
                self.banks.set_member(place, member, settings);
            }
            Change::Remove {
                bank,
                member,
                signal_type,
            } => {
                let bank = self.banks.place(&bank);
                let key = key_of(bank, member);
                self.banks.forget_member(key);
                if self.remove(key, signal_type) {
                    self.banks.count(bank, signal_type, -1);
                }
            }
        }
    }

    fn add(&mut self, bank: &BankName, member: MemberId, signal: Signal, settings: MemberSettings) {
        let (bank, signal_type) = (self.banks.place(bank), signal.signal_type());
        self.insert(key_of(bank, member), signal, &settings);
        self.banks.set_member(bank, member, settings);
        self.banks.count(bank, signal_type, 1);
    }

    fn insert(&mut self, key: u64, signal: Signal, settings: &MemberSettings) {
        let destination = match signal {
            Signal::Pdq(hash) => return self.pdq.insert(key, hash),
            Signal::Sha256(_) | Signal::Md5(_) => return self.exact.insert(key, &signal),
            Signal::Text(phrase) => {
                // Options that do not fit their phrase are refused before they come here; should some
                // come from a newer version's database, the phrase is looked for as by default.
                if self
                    .phrases
                    .insert_with(key, &phrase, &settings.term)
                    .is_err()
                {
                    self.phrases.insert(key, &phrase);
                }
                self.slogans.insert(key, &phrase);
                return;
            }
            Signal::RawText(text) => return self.raw_texts.insert(key, &text),
            Signal::SimilarText(text) => return self.similar_texts.insert(key, text.shingles()),
            Signal::TextTlsh(hash) => return self.tlsh.insert(key, &hash),
            Signal::Name(name) => return self.names.insert(key, &name),
            Signal::Url(url) => DestinationMember::Url(url),
            Signal::UrlPrefix(prefix) => DestinationMember::UrlPrefix(prefix),
            Signal::Domain(domain) => DestinationMember::Domain(domain),
            Signal::Invite(invite) => DestinationMember::Invite(invite),
            Signal::Wallet(wallet) => DestinationMember::Wallet(wallet),
        };
        self.destinations.insert(key, &destination);
    }

    fn remove(&mut self, key: u64, signal_type: SignalType) -> bool {
        match signal_type {
            SignalType::Pdq => self.pdq.remove(key),
            SignalType::Sha256 | SignalType::Md5 => self.exact.remove(key),
            SignalType::Text => {
                self.slogans.remove(key);
                self.phrases.remove(key)
            }
            SignalType::RawText => self.raw_texts.remove(key),
            SignalType::SimilarText => self.similar_texts.remove(key),
            SignalType::TextTlsh => self.tlsh.remove(key),
            SignalType::Name => self.names.remove(key),
            SignalType::Url
            | SignalType::UrlPrefix
            | SignalType::Domain
            | SignalType::Invite
            | SignalType::Wallet => self.destinations.remove(key),
        }
    }
}
