//! Cases: work for a reviewer, and the moves that are legal.
//!
//! ```text
//!   open ──claim──▶ claimed ──decide──▶ closed
//!    ▲                 │
//!    └────release──────┘            (deciding an open case claims it on the way)
//! ```

use crate::action::word_enum;
use crate::{Action, ActionId, ActionKind, CaseId, DecisionId, Detail, Entity, EntityType, Name};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest note on a judgement, in bytes.
const NOTE_BYTES_MAX: usize = 8 * 1024;

/// Where a case is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CaseState {
    /// Waiting in its queue.
    Open,
    /// A reviewer is looking at it.
    Claimed {
        /// Their login name.
        by: String,
        /// Since when.
        since: Timestamp,
    },
    /// Decided.
    Closed {
        /// By which decision.
        decision: DecisionId,
        /// What was decided.
        outcome: Outcome,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
}

word_enum! {
    /// What a reviewer may decide.
    Outcome, "an outcome", {
        /// It stays; what automation did to it is undone.
        Keep = "keep",
        /// The entity is removed.
        Remove = "remove",
        /// The account behind it is suspended, and the entity removed.
        Suspend = "suspend",
    }
}

/// A reviewer's judgement on a case, as entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What.
    pub outcome: Outcome,
    /// Under which policy.
    pub policy: Name,
    /// Why, in the reviewer's words, at most 8 KiB.
    pub note: String,
}

/// Why a move is not legal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else holds the case.
    #[error("this case is held by {0}: take another, or ask them to release it")]
    HeldBy(String),
    /// The case has been decided.
    #[error("this case was already decided ({outcome}) by {by}")]
    Closed {
        /// What was decided.
        outcome: Outcome,
        /// By whom.
        by: String,
    },
    /// The note is too long.
    #[error("the note is {0} bytes long, the limit is 8192: shorten it")]
    NoteTooLong(usize),
    /// There is no account to suspend.
    #[error(
        "no account is known for this case, so nothing can be suspended: choose remove or keep"
    )]
    NoAccount,
}

/// Work for a reviewer: one entity in one queue, with everything that brought it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its identifier.
    pub id: CaseId,
    /// Where it waits.
    pub queue: Name,
    /// What it is about.
    pub entity: Entity,
    /// The account behind the entity, when the event named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The policy of the rule that opened it.
    pub policy: Name,
    /// 1 (can wait) to 9 (now).
    pub priority: u8,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Where it is in its life.
    #[serde(flatten)]
    pub state: CaseState,
}

impl Case {
    /// Takes the case for `reviewer`; taking one's own case again changes nothing.
    pub fn claim(self, reviewer: &str, now: Timestamp) -> Result<Self, Refused> {
        match &self.state {
            CaseState::Open => {
                let state = CaseState::Claimed {
                    by: reviewer.to_owned(),
                    since: now,
                };
                Ok(Self { state, ..self })
            }
            CaseState::Claimed { by, .. } if by == reviewer => Ok(self),
            CaseState::Claimed { by, .. } => Err(Refused::HeldBy(by.clone())),
            CaseState::Closed { outcome, by, .. } => Err(Refused::Closed {
                outcome: *outcome,
                by: by.clone(),
            }),
        }
    }

    /// Puts the case back into its queue.
    pub fn release(self, reviewer: &str, now: Timestamp) -> Result<Self, Refused> {
        Ok(Self {
            state: CaseState::Open,
            ..self.claim(reviewer, now)?
        })
    }

    /// Closes the case with a judgement, and says what is to be done.
    ///
    /// `automatic` are the actions that rules took in this case's decisions: `keep` undoes those
    /// that can be undone, and the others do not ask again for what was already done.
    pub fn decide(
        self,
        reviewer: &str,
        judgement: &Judgement,
        automatic: &[Action],
        decision: DecisionId,
        now: Timestamp,
    ) -> Result<(Self, Vec<Action>), Refused> {
        if judgement.note.len() > NOTE_BYTES_MAX {
            return Err(Refused::NoteTooLong(judgement.note.len()));
        }
        let case = self.claim(reviewer, now)?;
        let wanted = case.wanted(judgement.outcome, automatic)?;
        let actions = wanted
            .into_iter()
            .enumerate()
            .map(|(index, (kind, target))| Action {
                id: ActionId::derive(decision, index),
                kind,
                target,
                policy: judgement.policy.clone(),
                detail: Detail::default(),
            })
            .collect();
        let state = CaseState::Closed {
            decision,
            outcome: judgement.outcome,
            by: reviewer.to_owned(),
            at: now,
        };
        Ok((Self { state, ..case }, actions))
    }

    fn wanted(
        &self,
        outcome: Outcome,
        automatic: &[Action],
    ) -> Result<Vec<(ActionKind, Entity)>, Refused> {
        let done = |kind, target: &Entity| {
            automatic
                .iter()
                .any(|a| a.kind == kind && a.target == *target)
        };
        let remove = (ActionKind::Remove, self.entity.clone());
        let mut wanted = match outcome {
            Outcome::Keep => undo(automatic),
            Outcome::Remove => vec![remove],
            Outcome::Suspend => {
                let account = match (&self.account, self.entity.r#type) {
                    (_, EntityType::Account) => self.entity.clone(),
                    (Some(id), _) => Entity {
                        r#type: EntityType::Account,
                        id: id.clone(),
                    },
                    (None, _) => return Err(Refused::NoAccount),
                };
                let suspend = (ActionKind::Suspend, account);
                if self.entity.r#type == EntityType::Account {
                    vec![suspend]
                } else {
                    vec![remove, suspend]
                }
            }
        };
        wanted.retain(|(kind, target)| !done(*kind, target));
        Ok(wanted)
    }
}

/// One `restore` for every entity that automation removed, restricted, suspended or labelled.
fn undo(automatic: &[Action]) -> Vec<(ActionKind, Entity)> {
    let mut wanted: Vec<(ActionKind, Entity)> = Vec::new();
    for action in automatic
        .iter()
        .filter(|a| a.kind.is_delivered() && a.kind != ActionKind::Restore)
    {
        let restore = (ActionKind::Restore, action.target.clone());
        if !wanted.contains(&restore) {
            wanted.push(restore);
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        Case {
            id: CaseId::new(1, 1),
            queue: "tvec".parse().unwrap(),
            entity: Entity {
                r#type: EntityType::Content,
                id: "p-1".into(),
            },
            account: Some("a-1".into()),
            policy: "tvec_known".parse().unwrap(),
            priority: 5,
            opened_at: Timestamp::UNIX_EPOCH,
            state: CaseState::Open,
        }
    }

    fn removed() -> Action {
        Action {
            id: ActionId::derive(DecisionId::new(1, 1), 0),
            kind: ActionKind::Remove,
            target: case().entity,
            policy: "tvec_known".parse().unwrap(),
            detail: Detail::default(),
        }
    }

    #[track_caller]
    fn check(outcome: Outcome, automatic: &[Action], expect: &[(ActionKind, EntityType)]) {
        let judgement = Judgement {
            outcome,
            policy: "tvec_known".parse().unwrap(),
            note: String::new(),
        };
        let (closed, actions) = case()
            .decide(
                "noor",
                &judgement,
                automatic,
                DecisionId::new(2, 2),
                Timestamp::UNIX_EPOCH,
            )
            .unwrap();
        assert!(matches!(closed.state, CaseState::Closed { .. }));
        let found: Vec<_> = actions.iter().map(|a| (a.kind, a.target.r#type)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn an_outcome_asks_only_for_what_is_not_done_yet() {
        use ActionKind::{Remove, Restore, Suspend};
        use EntityType::{Account, Content};
        check(Outcome::Keep, &[], &[]);
        check(Outcome::Keep, &[removed()], &[(Restore, Content)]);
        check(Outcome::Remove, &[removed()], &[]);
        check(Outcome::Remove, &[], &[(Remove, Content)]);
        check(Outcome::Suspend, &[removed()], &[(Suspend, Account)]);
        check(
            Outcome::Suspend,
            &[],
            &[(Remove, Content), (Suspend, Account)],
        );
    }

    #[test]
    fn a_held_or_closed_case_is_refused_to_others() {
        let now = Timestamp::UNIX_EPOCH;
        let held = case().claim("noor", now).unwrap();
        assert_eq!(
            held.clone().claim("sami", now),
            Err(Refused::HeldBy("noor".into()))
        );
        assert_eq!(held.clone().claim("noor", now), Ok(held.clone()));
        assert_eq!(
            held.clone().release("noor", now).unwrap().state,
            CaseState::Open
        );
        let judgement = Judgement {
            outcome: Outcome::Keep,
            policy: "p".parse().unwrap(),
            note: String::new(),
        };
        let (closed, _) = held
            .decide("noor", &judgement, &[], DecisionId::new(1, 1), now)
            .unwrap();
        assert!(matches!(
            closed.clone().claim("sami", now),
            Err(Refused::Closed { .. })
        ));
        assert!(matches!(
            closed.release("noor", now),
            Err(Refused::Closed { .. })
        ));
    }
}
