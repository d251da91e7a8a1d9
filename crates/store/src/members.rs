//! What becomes of single members: their settings, what people hold of them, how often they match,
//! and quarantine.
//!
//! Settings and opinions are append-only rows, so that who changed what and why stays. A quarantine
//! is a change of settings together with a case about the member; deciding that case lets it match
//! again or takes it out (`cases.rs`). Hits are counters that no leaf vouches for.

use crate::banks::{
    NOTE_BYTES_MAX, check_reason, differences, maybe_tag, settings_of, too_long, written,
};
use crate::error::{Context, StoreError};
use crate::reader::{Reader, from_json, get, parsed, time};
use crate::sql;
use crate::tables::{MEMBER_CHANGES, OPINIONS, int, maybe_text, text};
use crate::tx::{Committed, Tx, author_json};
use jiff::Timestamp;
use manara_model::{
    Author, BankName, CaseId, DecisionId, Entity, Exchange, Member, MemberId, MemberMode,
    MemberSettings, Name, Opinion, Outcome, Stance, Tag,
};
use rusqlite::Row;
use serde::Serialize;

/// Newest changes and opinions of one member that are read.
const SHOWN_MAX: i64 = 200;

/// A change of a member's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberChange {
    /// How it matched from then on.
    pub settings: MemberSettings,
    /// Why.
    pub reason: String,
    /// By whom.
    pub author: Author,
    /// When.
    pub at: Timestamp,
}

/// How often a member matched in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemberHits {
    /// Which member.
    pub member: MemberId,
    /// In which hour: hours since 1970.
    pub hour: i64,
    /// How often in all.
    pub hits: u64,
    /// How often of these the match had no effect.
    pub withheld: u64,
}

/// Why and how a member goes into quarantine.
#[derive(Debug, Clone)]
pub(crate) struct OwnCase<'a> {
    pub(crate) entity: Entity,
    pub(crate) queue: &'a Name,
    pub(crate) policy: &'a Name,
    pub(crate) priority: u8,
    pub(crate) samples: &'a [DecisionId],
    pub(crate) note: String,
}

/// The opinions that count: of one author and exchange, the newest. In the order given.
pub fn standing_opinions(opinions: &[Opinion]) -> Vec<&Opinion> {
    let of = |opinion: &Opinion| (opinion.author.clone(), opinion.exchange.clone());
    let standing = opinions.iter().enumerate().filter(|(index, opinion)| {
        let mut later = opinions.iter().skip(index + 1);
        !later.any(|later| of(later) == of(opinion) && later.member == opinion.member)
    });
    standing.map(|(_, opinion)| opinion).collect()
}

impl Tx<'_> {
    /// Changes how a member matches, and says whether that was a change. `reason` is free text, at
    /// most 1,024 bytes.
    /// Audit: one `member.settings_set` leaf that notes what was changed, none when all was so already.
    pub fn set_member(
        &mut self,
        bank: &BankName,
        member: MemberId,
        change: impl FnOnce(&mut MemberSettings),
        reason: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<bool>, StoreError> {
        check_reason(reason)?;
        let (bank_id, before) = self.reader().expect_live_member(bank, member)?;
        let mut settings = before.settings.clone();
        change(&mut settings);
        if settings == before.settings {
            return Ok(Committed(false));
        }
        let note = differences(&before.settings, &settings)?;
        self.begin("member.settings_set", by, now)?;
        self.insert_change(bank_id, &before, &settings, reason, by, now)?;
        self.seal(Some(format!("{bank} {member}: {note}")))
            .map(|_| Committed(true))
    }

    fn insert_change(
        &mut self,
        bank: i64,
        member: &Member,
        settings: &MemberSettings,
        reason: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let settings = written(settings, &member.signal)?;
        let (id, author) = (self.next_id(&MEMBER_CHANGES)?, author_json(by)?);
        self.insert_row(
            &MEMBER_CHANGES,
            &[
                int(id),
                int(member.id.0),
                int(bank),
                text(&settings),
                text(reason),
                text(&author),
                int(now.as_microsecond()),
            ],
        )
    }

    /// Keeps what somebody holds of a member, be it removed since. All opinions are kept; of one
    /// author and exchange the newest counts ([`standing_opinions`]). `note` is at most 1,024 bytes.
    /// Audit: one `member.opinion_added` leaf.
    #[expect(
        clippy::too_many_arguments,
        reason = "an opinion has that many parts, and `Opinion` has some that are not given"
    )]
    pub fn add_opinion(
        &mut self,
        bank: &BankName,
        member: MemberId,
        stance: Stance,
        note: &str,
        exchange: Option<Exchange>,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<()>, StoreError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(too_long("note", note.len(), NOTE_BYTES_MAX));
        }
        let (bank, _, _) = self.reader().expect_member(bank, member)?;
        self.begin("member.opinion_added", by, now)?;
        let opinion = Opinion {
            member,
            stance,
            note: note.to_owned(),
            exchange,
            author: by.clone(),
            at: now,
        };
        self.insert_opinion(bank, &opinion)?;
        self.seal(None).map(|_| Committed(()))
    }

    fn insert_opinion(&mut self, bank: i64, opinion: &Opinion) -> Result<(), StoreError> {
        let (id, author) = (self.next_id(&OPINIONS)?, author_json(&opinion.author)?);
        self.insert_row(
            &OPINIONS,
            &[
                int(id),
                int(opinion.member.0),
                int(bank),
                text(opinion.stance.as_str()),
                text(&opinion.note),
                maybe_text(opinion.exchange.as_ref().map(Tag::as_str)),
                text(&author),
                int(opinion.at.as_microsecond()),
            ],
        )
    }

    /// Holds a member's matches back and asks a person how it goes on: a case about the member is
    /// opened in `queue`, or the one that is pending in any queue is added to. At most 20 of the
    /// events that `samples` decided on are shown with the case. Gives the case.
    ///
    /// A member in shadow is refused, since nothing of it has an effect; so is, for anybody but a
    /// person, one that a person has vouched for.
    /// Audit: one `member.quarantined` leaf over the change, the case and its trail; none when the
    /// member is in quarantine with a pending case that shows these events already.
    #[expect(
        clippy::too_many_arguments,
        reason = "which member, why, and where its case goes"
    )]
    pub fn quarantine(
        &mut self,
        bank: &BankName,
        member: MemberId,
        reason: &str,
        samples: &[DecisionId],
        queue: &Name,
        policy: &Name,
        priority: u8,
        by: &Author,
        now: Timestamp,
    ) -> Result<Committed<CaseId>, StoreError> {
        check_reason(reason)?;
        let (bank_id, found) = self.reader().expect_live_member(bank, member)?;
        check_quarantine(bank, &found, by)?;
        self.begin("member.quarantined", by, now)?;
        if found.settings.mode != MemberMode::Quarantine {
            let settings = MemberSettings {
                mode: MemberMode::Quarantine,
                ..found.settings.clone()
            };
            self.insert_change(bank_id, &found, &settings, reason, by, now)?;
        }
        let case = OwnCase {
            entity: member.into(),
            queue,
            policy,
            priority,
            samples,
            note: format!("member {member} of {bank} in quarantine: {reason}"),
        };
        let case = self.own_case(case, by, now)?;
        if !self.abandon() {
            self.seal(Some(format!("{bank} {member}: {reason}")))?;
        }
        Ok(Committed(case))
    }

    /// Does to a member what a reviewer decided on its case, within the leaf of that.
    pub(crate) fn settle_member(
        &mut self,
        member: MemberId,
        outcome: Outcome,
        note: &str,
        by: &Author,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let gone = || StoreError::not_found(format!("member {member}"));
        let (bank, found, removed) = self.reader().member_row(member)?.ok_or_else(gone)?;
        let reason = shortened(note);
        let stance = match (outcome, removed) {
            (Outcome::Keep, true) => {
                return Err(StoreError::Conflict(format!(
                    "member {member} was taken out of its bank meanwhile, so it cannot match again: \
                     choose remove, and add its signal to the bank anew if it is wanted"
                )));
            }
            (Outcome::Keep, false) => {
                let settings = MemberSettings {
                    mode: MemberMode::Live,
                    vouched: true,
                    ..found.settings.clone()
                };
                if settings != found.settings {
                    self.insert_change(bank, &found, &settings, reason, by, now)?;
                }
                Stance::PositiveClass
            }
            (Outcome::Remove, removed) => {
                if !removed {
                    self.insert_removal(bank, member, reason, by, now)?;
                }
                Stance::NegativeClass
            }
            (Outcome::Suspend, _) => {
                return Err(manara_model::Refused::MemberSuspended.into());
            }
        };
        let opinion = Opinion {
            member,
            stance,
            note: reason.to_owned(),
            exchange: None,
            author: by.clone(),
            at: now,
        };
        self.insert_opinion(bank, &opinion)
    }

    /// Adds to what is known of how often members matched; the same member and hour may come again.
    /// Audit: none; hits are not part of what is vouched for.
    pub fn add_hits(&mut self, hits: &[MemberHits]) -> Result<Committed<()>, StoreError> {
        let mut add = self.conn.prepare_cached(sql::ADD_HITS).context(HITS)?;
        for it in hits {
            add.execute((it.hour, it.member.0, it.hits as i64, it.withheld as i64))
                .context(HITS)?;
        }
        Ok(Committed(()))
    }

    /// Forgets the hits of hours before that one, and says how many rows these were. Audit: none.
    pub fn drop_hits_before(&mut self, hour: i64) -> Result<Committed<usize>, StoreError> {
        let dropped = self
            .conn
            .prepare_cached(sql::DROP_HITS)
            .and_then(|mut s| s.execute([hour]));
        dropped.context(HITS).map(Committed)
    }
}

fn check_quarantine(bank: &BankName, member: &Member, by: &Author) -> Result<(), StoreError> {
    let id = member.id;
    if member.settings.mode == MemberMode::Shadow {
        return Err(StoreError::Conflict(format!(
            "member {id} of {bank} is in shadow: its matches have no effect that could be held back"
        )));
    }
    let by_person = matches!(by, Author::Reviewer(_) | Author::Operator(_));
    if member.settings.vouched && !by_person {
        return Err(StoreError::Conflict(format!(
            "a person has vouched for member {id} of {bank}: it does not go into quarantine by itself"
        )));
    }
    Ok(())
}

/// As much of a judgement's note as a member keeps; the whole note stays with the decision.
fn shortened(note: &str) -> &str {
    note.get(..note.floor_char_boundary(NOTE_BYTES_MAX))
        .unwrap_or(note)
}

impl Reader {
    /// The newest changes of a member's settings, oldest of these first; at most 200. What it was
    /// added with is not among them.
    pub fn member_history(&self, member: MemberId) -> Result<Vec<MemberChange>, StoreError> {
        self.all(
            CHANGE,
            sql::MEMBER_HISTORY,
            (member.0, SHOWN_MAX),
            member_change,
        )
    }

    /// The newest opinions of a member, oldest of these first; at most 200. Which of them count,
    /// [`standing_opinions`] says.
    pub fn opinions(&self, member: MemberId) -> Result<Vec<Opinion>, StoreError> {
        self.all(OPINION, sql::OPINIONS, (member.0, SHOWN_MAX), opinion)
    }

    /// How often members matched from that hour on, by hour, then member.
    pub fn hits_since(&self, hour: i64) -> Result<Vec<MemberHits>, StoreError> {
        self.all(HITS, sql::HITS_SINCE, [hour], member_hits)
    }

    /// How often one member matched from that hour on, by hour.
    pub fn hits_of(
        &self,
        member: MemberId,
        since_hour: i64,
    ) -> Result<Vec<MemberHits>, StoreError> {
        self.all(HITS, sql::HITS_OF, (member.0, since_hour), member_hits)
    }
}

const CHANGE: &str = "a change of a member's settings";
const OPINION: &str = "an opinion";
const HITS: &str = "hits of members";

fn member_change(row: &Row<'_>) -> Result<MemberChange, StoreError> {
    Ok(MemberChange {
        settings: settings_of(row, 0, CHANGE)?,
        reason: get(row, 1, CHANGE)?,
        author: from_json(row, 2, CHANGE)?,
        at: time(row, 3, CHANGE)?,
    })
}

fn opinion(row: &Row<'_>) -> Result<Opinion, StoreError> {
    Ok(Opinion {
        member: MemberId(get(row, 0, OPINION)?),
        stance: parsed(row, 1, OPINION)?,
        note: get(row, 2, OPINION)?,
        exchange: maybe_tag(row, 3, OPINION)?,
        author: from_json(row, 4, OPINION)?,
        at: time(row, 5, OPINION)?,
    })
}

fn member_hits(row: &Row<'_>) -> Result<MemberHits, StoreError> {
    Ok(MemberHits {
        member: MemberId(get(row, 0, HITS)?),
        hour: get(row, 1, HITS)?,
        hits: get::<i64>(row, 2, HITS)?.max(0) as u64,
        withheld: get::<i64>(row, 3, HITS)?.max(0) as u64,
    })
}
