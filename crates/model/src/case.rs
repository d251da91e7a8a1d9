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
use std::collections::BTreeMap;
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
    /// A member of a bank is not somebody.
    #[error(
        "a member of a bank cannot be suspended: choose keep to let it match again, or remove to take it out of its bank"
    )]
    MemberSuspended,
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
    pub fn decide(
        self,
        reviewer: &str,
        judgement: &Judgement,
        history: &History,
        decision: DecisionId,
        now: Timestamp,
    ) -> Result<(Self, Vec<Action>), Refused> {
        if judgement.note.len() > NOTE_BYTES_MAX {
            return Err(Refused::NoteTooLong(judgement.note.len()));
        }
        let case = self.claim(reviewer, now)?;
        let asked = case.consequences(judgement.outcome, history)?;
        let actions = asked
            .into_iter()
            .enumerate()
            .map(|(index, asked)| Action {
                id: ActionId::derive(decision, index),
                kind: asked.kind,
                target: asked.target,
                rule: None,
                reasons: BTreeMap::new(),
                policy: judgement.policy.clone(),
                detail: Detail {
                    weight: asked.weight,
                    ..Detail::default()
                },
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

    /// What an outcome would ask for.
    ///
    /// `keep` undoes what the rules did because of this case's events, unless a person has decided
    /// elsewhere that it shall be so. The other outcomes do not ask again for what is so already; a
    /// person's suspension has no end, so one that a rule made for a time is asked for again.
    ///
    /// Of a member of a bank, `keep` means that it may match again and that the reviewer vouches for
    /// it, `remove` that it is taken out of its bank; what was done because of it stays. Of a rule whose
    /// circuit breaker has opened, `keep` means that it may act again, and `remove` leaves it in shadow.
    pub fn consequences(
        &self,
        outcome: Outcome,
        history: &History,
    ) -> Result<Vec<Consequence>, Refused> {
        if self.entity.r#type == EntityType::Member {
            return self.consequence_on_member(outcome).map(|it| vec![it]);
        }
        if self.entity.r#type == EntityType::Rule {
            return self.consequence_on_rule(outcome);
        }
        let remove = (ActionKind::Remove, self.entity.clone());
        let wanted = match outcome {
            Outcome::Keep => return Ok(history.undo()),
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
        let missing = wanted
            .into_iter()
            .filter(|(kind, target)| !history.holds(*kind, target));
        let asked = missing.map(|(kind, target)| Consequence {
            kind,
            target,
            weight: None,
        });
        Ok(asked.collect())
    }

    /// Of a rule whose circuit breaker has opened, `keep` means that it may act again; `remove` leaves it in
    /// shadow.
    fn consequence_on_rule(&self, outcome: Outcome) -> Result<Vec<Consequence>, Refused> {
        match outcome {
            Outcome::Keep => Ok(vec![Consequence {
                kind: ActionKind::Restore,
                target: self.entity.clone(),
                weight: None,
            }]),
            Outcome::Remove => Ok(Vec::new()),
            Outcome::Suspend => Err(Refused::NoAccount),
        }
    }

    fn consequence_on_member(&self, outcome: Outcome) -> Result<Consequence, Refused> {
        let kind = match outcome {
            Outcome::Keep => ActionKind::Restore,
            Outcome::Remove => ActionKind::Remove,
            Outcome::Suspend => return Err(Refused::MemberSuspended),
        };
        let target = self.entity.clone();
        Ok(Consequence {
            kind,
            target,
            weight: None,
        })
    }
}

/// One thing that deciding a case brings about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consequence {
    /// What is to be done.
    pub kind: ActionKind,
    /// To what.
    pub target: Entity,
    /// How much of a strike is taken back, for `withdraw_strike`.
    pub weight: Option<u32>,
}

/// What has been done so far to the entities that a case may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// What the rules did because of this case's events; of strikes, those not taken back since.
    pub automatic: Vec<Action>,
    /// What people did when they decided cases of the same entity or account.
    pub judged: Vec<Action>,
}

impl History {
    /// Actions on `target` since it was last restored, and whether a person took them.
    fn standing<'a>(&'a self, target: &'a Entity) -> impl Iterator<Item = (&'a Action, bool)> {
        let automatic = self.automatic.iter().map(|action| (action, false));
        let judged = self.judged.iter().map(|action| (action, true));
        let on_target =
            move |(action, _): &(&Action, bool)| action.target == *target && action.lasts();
        // Identifiers of decisions begin with their time, and those of actions with the decision's.
        let restored = self
            .judged
            .iter()
            .filter(|action| action.target == *target && action.kind == ActionKind::Restore)
            .map(|action| &action.id)
            .max();
        automatic
            .chain(judged)
            .filter(on_target)
            .filter(move |(action, _)| Some(&action.id) > restored)
    }

    /// Whether `target` is in this state already, until somebody changes it.
    fn holds(&self, kind: ActionKind, target: &Entity) -> bool {
        self.standing(target)
            .any(|(action, _)| action.kind == kind && !action.detail.has_end())
    }

    /// Whether something has been done to `target` since it was last restored, by the rules only.
    fn is_up_to_rules(&self, target: &Entity) -> bool {
        let mut standing = self.standing(target).peekable();
        standing.peek().is_some() && standing.all(|(_, by_person)| !by_person)
    }

    /// One `restore` for every entity to which only the rules have done something, and each strike
    /// taken back.
    fn undo(&self) -> Vec<Consequence> {
        let mut undone: Vec<Consequence> = Vec::new();
        for action in &self.automatic {
            let (kind, weight) = match action.kind {
                ActionKind::Strike => (ActionKind::WithdrawStrike, action.detail.weight),
                _ if action.lasts() => (ActionKind::Restore, None),
                _ => continue,
            };
            let target = action.target.clone();
            let undo = Consequence {
                kind,
                target,
                weight,
            };
            let needless = kind == ActionKind::Restore
                && (undone.contains(&undo) || !self.is_up_to_rules(&undo.target));
            if !needless {
                undone.push(undo);
            }
        }
        undone
    }
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
            rule: None,
            reasons: BTreeMap::new(),
            policy: "tvec_known".parse().unwrap(),
            detail: Detail::default(),
        }
    }

    #[track_caller]
    fn check(outcome: Outcome, automatic: &[Action], expect: &[(ActionKind, EntityType)]) {
        check_after(outcome, automatic, &[], expect);
    }

    #[track_caller]
    fn check_after(
        outcome: Outcome,
        automatic: &[Action],
        judged: &[Action],
        expect: &[(ActionKind, EntityType)],
    ) {
        let history = History {
            automatic: automatic.to_vec(),
            judged: judged.to_vec(),
        };
        let judgement = Judgement {
            outcome,
            policy: "tvec_known".parse().unwrap(),
            note: String::new(),
        };
        let (closed, actions) = case()
            .decide(
                "noor",
                &judgement,
                &history,
                DecisionId::new(9, 9),
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

    /// What decision number `n` did to the account, or to the content.
    fn did(n: u64, kind: ActionKind, r#type: EntityType) -> Action {
        let target = match r#type {
            EntityType::Account => Entity {
                r#type,
                id: "a-1".into(),
            },
            _ => case().entity,
        };
        Action {
            id: ActionId::derive(DecisionId::new(n, 1), 0),
            kind,
            target,
            ..removed()
        }
    }

    fn for_a_week(mut action: Action) -> Action {
        action.detail.duration_s = Some(7 * 86_400);
        action
    }

    #[test]
    fn a_suspension_by_a_person_outlasts_that_of_a_rule() {
        use ActionKind::{Remove, Suspend};
        use EntityType::Account;
        let week = for_a_week(did(1, Suspend, Account));
        check(Outcome::Suspend, &[removed(), week], &[(Suspend, Account)]);
        check(
            Outcome::Suspend,
            &[removed(), did(1, Suspend, Account)],
            &[],
        );
        check(Outcome::Remove, &[did(1, Remove, EntityType::Content)], &[]);
    }

    #[test]
    fn what_another_case_decided_counts() {
        use ActionKind::{Remove, Restore, Suspend};
        use EntityType::{Account, Content};
        let restored = did(2, Restore, Content);
        // Somebody else put it back, so removing it has to be asked for again, and keeping it not.
        check_after(
            Outcome::Remove,
            &[removed()],
            std::slice::from_ref(&restored),
            &[(Remove, Content)],
        );
        check_after(Outcome::Keep, &[removed()], &[restored], &[]);
        // A later event's removal stands.
        check_after(
            Outcome::Keep,
            &[removed(), did(3, Remove, Content)],
            &[did(2, Restore, Content)],
            &[(Restore, Content)],
        );
        // Keeping one post does not lift a suspension that a person decided on because of another.
        check_after(
            Outcome::Keep,
            &[removed(), for_a_week(did(1, Suspend, Account))],
            &[did(2, Suspend, Account)],
            &[(Restore, Content)],
        );
        check_after(
            Outcome::Suspend,
            &[removed()],
            &[did(2, Suspend, Account)],
            &[],
        );
    }

    #[test]
    fn keeping_takes_every_strike_back() {
        use ActionKind::{Restore, Strike, WithdrawStrike};
        use EntityType::{Account, Content};
        let strikes = [did(1, Strike, Account), did(2, Strike, Account)];
        let [first, second] = strikes;
        check(
            Outcome::Keep,
            &[removed(), first, second],
            &[
                (Restore, Content),
                (WithdrawStrike, Account),
                (WithdrawStrike, Account),
            ],
        );
    }

    #[test]
    fn a_member_is_kept_or_taken_out_and_nothing_else_is_undone() {
        let of_member = Case {
            entity: crate::MemberId(7).into(),
            account: None,
            ..case()
        };
        assert_eq!(of_member.entity.member(), Some(crate::MemberId(7)));
        assert_eq!(case().entity.member(), None);
        let history = History {
            // What its sample events led to, and an earlier judgement on the same member.
            automatic: vec![removed(), did(1, ActionKind::Strike, EntityType::Account)],
            judged: vec![Action {
                target: of_member.entity.clone(),
                ..removed()
            }],
        };
        assert!(!history.judged[0].is_delivered() && history.automatic[0].is_delivered());
        let asked = |outcome| {
            let asked = of_member.consequences(outcome, &history)?;
            Ok(asked.into_iter().map(|it| (it.kind, it.target)).collect())
        };
        let entity = of_member.entity.clone();
        let expect: Result<Vec<_>, Refused> = Ok(vec![(ActionKind::Restore, entity.clone())]);
        assert_eq!(asked(Outcome::Keep), expect);
        assert_eq!(
            asked(Outcome::Remove),
            Ok(vec![(ActionKind::Remove, entity)])
        );
        assert_eq!(asked(Outcome::Suspend), Err(Refused::MemberSuspended));
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
            .decide(
                "noor",
                &judgement,
                &History::default(),
                DecisionId::new(1, 1),
                now,
            )
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
