//! Cases: how they come about, and the moves of reviewers, each with its trace.
//!
//! Which moves are legal is `manara_model::Case`'s business; here they are made once and for good:
//! case row, trail row, decision and outbox rows under one leaf.

use crate::error::StoreError;
use crate::events::StoredEvent;
use crate::evidence::Preview;
use crate::members::OwnCase;
use crate::outbox::Delivery;
use crate::reader::{Reader, damaged, from_json, get, maybe_time, parsed, time};
use crate::sql;
use crate::tables::{CASE_EVENTS, CASE_TRAIL, CASES, Table, int, maybe, maybe_text, text};
use crate::tx::{Committed, Tx, author_json};
use jiff::Timestamp;
use manara_model::{
    Action, ActionKind, Author, Case, CaseId, CaseState, Decision, DecisionId, Entity, EntityType,
    Event, History, Judgement, Name, Outcome,
};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::Serialize;

/// The queue of a case whose rule named none.
const DEFAULT_QUEUE: &str = "review";
/// The priority of a case whose rule gave none.
const DEFAULT_PRIORITY: u8 = 5;
/// Most events, deliveries and trail entries shown with one case.
const SHOWN_MAX: usize = 200;
/// Most other cases shown with one case.
const RELATED_MAX: usize = 50;
/// Most events shown with a case about a member.
const SAMPLES_MAX: usize = 20;
/// Newest judgements on the same entity or account that count when the next one is made.
const JUDGEMENTS_MAX: usize = 500;

/// The part of a case's life to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseStage {
    /// Waiting.
    Open,
    /// With a reviewer.
    Claimed,
    /// Decided.
    Closed,
}

impl CaseStage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Closed => "closed",
        }
    }
}

/// Which cases to list: by priority, then age.
#[derive(Debug, Clone)]
pub struct CaseFilter {
    /// Only of this queue.
    pub queue: Option<Name>,
    /// In this part of their life.
    pub stage: CaseStage,
    /// Only those that come after this one; take the last case of the page before.
    pub after: Option<Case>,
    /// Most cases to give.
    pub limit: usize,
}

/// A queue at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueSummary {
    /// Its name.
    pub queue: Name,
    /// Cases waiting.
    pub open: u64,
    /// Cases with a reviewer.
    pub claimed: u64,
    /// When the oldest waiting one was opened.
    pub oldest: Option<Timestamp>,
    /// The highest priority among them.
    pub priority_max: u8,
}

/// Something that happened to a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrailEntry {
    /// `opened`, `event_added`, `found_later`, `claimed`, `released`, `decided`, `media_revealed` or
    /// `rule_reset`.
    pub what: String,
    /// Who did it.
    pub author: Author,
    /// When.
    pub at: Timestamp,
    /// More about it, in words.
    pub note: String,
    /// The audit leaf that covers it.
    pub leaf: u64,
}

/// A case with everything a reviewer needs to see.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseDetail {
    /// The case.
    pub case: Case,
    /// The audit leaf that newest covers it.
    pub leaf: u64,
    /// The events that brought it about with the decisions on them, oldest first; at most 200.
    pub events: Vec<StoredEvent>,
    /// How many events there are.
    pub events_total: u64,
    /// The reviewer's decision, once there is one.
    pub judgement: Option<Decision>,
    /// What was asked of the platform and how that went; at most 200.
    pub deliveries: Vec<Delivery>,
    /// What happened, oldest first; at most 200.
    pub trail: Vec<TrailEntry>,
    /// Other cases of the same entity or account, newest first; at most 50.
    pub related: Vec<Case>,
    /// What was done so far, from which follows what each outcome would ask for.
    pub history: History,
}

/// A case to be opened.
struct NewCase {
    queue: Name,
    entity: Entity,
    account: Option<String>,
    policy: Name,
    priority: u8,
}

impl Tx<'_> {
    /// Opens a case for an `enqueue` action, or adds the event to the one that is pending.
    pub(crate) fn enqueue(
        &mut self,
        action: &Action,
        event: &Event,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let (case, opened) = self.case_for(action, event, decision)?;
        if !self.link(case.id, decision.id, decision.at)? {
            return Ok(());
        }
        let what = if opened { "opened" } else { "event_added" };
        let note = format!("event {} from {}", event.id, event.source);
        self.trail(case.id, what, &decision.author, decision.at, &note)
    }

    /// The same for an `enqueue` action of a decision that came after the one on the event. That it
    /// was found later is said even if the case has the event already.
    pub(crate) fn enqueue_later(
        &mut self,
        action: &Action,
        event: &StoredEvent,
        decision: &Decision,
        note: &str,
    ) -> Result<(), StoreError> {
        let (case, _) = self.case_for(action, &event.event, decision)?;
        self.link(case.id, event.decision.id, decision.at)?;
        self.trail(case.id, "found_later", &decision.author, decision.at, note)
    }

    /// The case in which an `enqueue` action puts its target, and whether it was opened for that.
    fn case_for(
        &mut self,
        action: &Action,
        event: &Event,
        decision: &Decision,
    ) -> Result<(Case, bool), StoreError> {
        let queue = match &action.detail.queue {
            Some(queue) => queue.clone(),
            None => DEFAULT_QUEUE
                .parse()
                .map_err(|e| damaged("the default queue", e))?,
        };
        let priority = action.detail.priority.unwrap_or(DEFAULT_PRIORITY);
        let target = &action.target;
        let params = (queue.as_str(), target.r#type.as_str(), &target.id);
        if let Some(case) = self.reader().first(CASE, sql::CASE_PENDING, params, case)? {
            return Ok((self.raise(case, priority)?, false));
        }
        let new = NewCase {
            queue,
            entity: target.clone(),
            account: event.account.as_ref().map(|account| account.id.clone()),
            policy: action.policy.clone(),
            priority,
        };
        Ok((self.open_case(new, decision.at)?, true))
    }

    /// Opens a case about something of Manara's own, a member of a bank or a rule, or adds to the one that
    /// is pending in whichever queue.
    pub(crate) fn own_case(
        &mut self,
        of: OwnCase<'_>,
        by: &Author,
        now: Timestamp,
    ) -> Result<CaseId, StoreError> {
        let params = (of.entity.r#type.as_str(), &of.entity.id);
        let pending = self
            .reader()
            .first(CASE, sql::CASE_PENDING_ANYWHERE, params, case)?;
        let (case, opened) = if let Some(case) = pending {
            (self.raise(case, of.priority)?, false)
        } else {
            let new = NewCase {
                queue: of.queue.clone(),
                entity: of.entity,
                account: None,
                policy: of.policy.clone(),
                priority: of.priority,
            };
            (self.open_case(new, now)?, true)
        };
        let shown = self
            .reader()
            .number(CASE, sql::CASE_EVENTS_COUNT, [case.id.to_string()])?;
        let space = SAMPLES_MAX.saturating_sub(shown as usize);
        let mut linked = 0;
        for sample in of.samples {
            if linked == space {
                break;
            }
            if self.reader().event_of(*sample)?.is_none() {
                return Err(StoreError::not_found(format!("event of decision {sample}")));
            }
            linked += usize::from(self.link(case.id, *sample, now)?);
        }
        if opened || linked > 0 {
            let what = if opened { "opened" } else { "event_added" };
            self.trail(case.id, what, by, now, &of.note)?;
        }
        Ok(case.id)
    }

    /// Says in the case that is pending about something of Manara's own, if there is one, what was done about
    /// it elsewhere.
    pub(crate) fn own_case_heard(
        &mut self,
        r#type: EntityType,
        id: &str,
        what: &str,
        by: &Author,
        now: Timestamp,
        note: &str,
    ) -> Result<(), StoreError> {
        let params = (r#type.as_str(), id);
        let pending = self
            .reader()
            .first(CASE, sql::CASE_PENDING_ANYWHERE, params, case)?;
        match pending {
            Some(case) => self.trail(case.id, what, by, now, note),
            None => Ok(()),
        }
    }

    /// Gives a pending case that priority if it is a higher one.
    fn raise(&mut self, case: Case, priority: u8) -> Result<Case, StoreError> {
        let priority = priority.clamp(1, 9);
        if priority <= case.priority {
            return Ok(case);
        }
        let case = Case { priority, ..case };
        self.put_case(&case, Self::update)?;
        Ok(case)
    }

    /// Puts an event under a case. `false` when it is there.
    fn link(
        &mut self,
        case: CaseId,
        decision: DecisionId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (case, decision) = (case.to_string(), decision.to_string());
        let linked = self
            .reader()
            .number(CASE, sql::CASE_LINKED, (&case, &decision))?;
        if linked != 0 {
            return Ok(false);
        }
        let link = self.next_id(&CASE_EVENTS)?;
        self.insert_row(
            &CASE_EVENTS,
            &[
                int(link),
                text(&case),
                text(&decision),
                int(at.as_microsecond()),
            ],
        )?;
        Ok(true)
    }

    fn open_case(&mut self, new: NewCase, now: Timestamp) -> Result<Case, StoreError> {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let case = Case {
            id: CaseId::new(millis, self.random()?),
            queue: new.queue,
            entity: new.entity,
            account: new.account,
            policy: new.policy,
            priority: new.priority.clamp(1, 9),
            opened_at: now,
            state: CaseState::Open,
        };
        self.put_case(&case, Self::insert_row)?;
        self.count("cases", 1);
        Ok(case)
    }

    /// Takes a case for a reviewer. Audit: one `case.claimed` leaf, none when they hold it already.
    pub fn claim_case(
        &mut self,
        id: CaseId,
        reviewer: &str,
        now: Timestamp,
    ) -> Result<Committed<Case>, StoreError> {
        let before = self.reader().expect_case(id)?;
        let case = before.clone().claim(reviewer, micros(now))?;
        if case == before {
            return Ok(Committed(case));
        }
        self.move_case("case.claimed", &case, "claimed", reviewer, now, "")?;
        Ok(Committed(case))
    }

    /// Puts a case back into its queue. Audit: one `case.released` leaf.
    pub fn release_case(
        &mut self,
        id: CaseId,
        reviewer: &str,
        now: Timestamp,
    ) -> Result<Committed<Case>, StoreError> {
        let before = self.reader().expect_case(id)?;
        let case = before.clone().release(reviewer, micros(now))?;
        if case == before {
            return Ok(Committed(case));
        }
        self.move_case("case.released", &case, "released", reviewer, now, "")?;
        Ok(Committed(case))
    }

    /// Closes a case with a judgement and sends out what follows from it. A case about a member of a
    /// bank is carried out here: `keep` lets it match again, vouched for, `remove` takes it out, and
    /// both are kept as the reviewer's opinion of it. Audit: one `case.decided` leaf over the case,
    /// the decision, its outbox rows, what was done to the member, and the trail.
    pub fn decide_case(
        &mut self,
        id: CaseId,
        reviewer: &str,
        judgement: &Judgement,
        decision: DecisionId,
        now: Timestamp,
    ) -> Result<Committed<(Case, Decision)>, StoreError> {
        let now = micros(now);
        let before = self.reader().expect_case(id)?;
        let history = self.reader().history(&before)?;
        let (case, actions) = before.decide(reviewer, judgement, &history, decision, now)?;
        let author = Author::Reviewer(reviewer.to_owned());
        let decision = Decision {
            id: decision,
            author: author.clone(),
            at: now,
            event: None,
            case: Some(id),
            verdicts: Vec::new(),
            actions,
            note: judgement.note.clone(),
        };
        self.begin("case.decided", &author, now)?;
        self.put_case(&case, Self::update)?;
        self.insert_decision(&decision, None)?;
        self.insert_deliveries(&decision)?;
        if let Some(member) = case.entity.member() {
            self.settle_member(member, judgement.outcome, &judgement.note, &author, now)?;
        } else if judgement.outcome == Outcome::Keep {
            self.settle_restored(&decision)?;
            for of in self.reader().decisions_of_case(id)? {
                self.withdraw_strikes(of.id, decision.id)?;
            }
        }
        let note = format!("{} under {}", judgement.outcome, judgement.policy);
        self.trail(id, "decided", &author, now, &note)?;
        self.count("decisions.reviewed", 1);
        self.seal(None)?;
        Ok(Committed((case, decision)))
    }

    /// Gives the preview of a medium of a case to a reviewer who asked to see it; `None` when none
    /// is kept. Audit: one `media.revealed` leaf.
    pub fn reveal_media(
        &mut self,
        case: CaseId,
        sha256: &[u8; 32],
        reviewer: &str,
        now: Timestamp,
    ) -> Result<Committed<Option<Preview>>, StoreError> {
        self.reader().expect_case(case)?;
        let Some(preview) = self.reader().preview(sha256)? else {
            return Ok(Committed(None));
        };
        let author = Author::Reviewer(reviewer.to_owned());
        self.begin("media.revealed", &author, now)?;
        self.trail(case, "media_revealed", &author, now, &hex::encode(sha256))?;
        self.seal(None)?;
        Ok(Committed(Some(preview)))
    }

    fn move_case(
        &mut self,
        kind: &str,
        case: &Case,
        what: &str,
        reviewer: &str,
        now: Timestamp,
        note: &str,
    ) -> Result<(), StoreError> {
        let author = Author::Reviewer(reviewer.to_owned());
        self.begin(kind, &author, now)?;
        self.put_case(case, Self::update)?;
        self.trail(case.id, what, &author, now, note)?;
        self.seal(None).map(|_| ())
    }

    fn trail(
        &mut self,
        case: CaseId,
        what: &str,
        author: &Author,
        at: Timestamp,
        note: &str,
    ) -> Result<(), StoreError> {
        let id = self.next_id(&CASE_TRAIL)?;
        let author = author_json(author)?;
        self.insert_row(
            &CASE_TRAIL,
            &[
                int(id),
                text(&case.to_string()),
                text(what),
                text(&author),
                int(at.as_microsecond()),
                text(note),
            ],
        )
    }

    fn put_case(
        &mut self,
        case: &Case,
        put: impl FnOnce(&mut Self, &'static Table, &[ValueRef<'_>]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let id = case.id.to_string();
        let (state, by, at, decided) = match &case.state {
            CaseState::Open => ("open", None, None, None),
            CaseState::Claimed { by, since } => ("claimed", Some(by), Some(*since), None),
            CaseState::Closed {
                decision,
                outcome,
                by,
                at,
            } => (
                "closed",
                Some(by),
                Some(*at),
                Some((decision.to_string(), *outcome)),
            ),
        };
        let decision = decided.as_ref().map(|(decision, _)| decision.as_str());
        let outcome = decided.as_ref().map(|(_, outcome)| outcome.as_str());
        put(
            self,
            &CASES,
            &[
                text(&id),
                text(case.queue.as_str()),
                text(case.entity.r#type.as_str()),
                text(&case.entity.id),
                maybe_text(case.account.as_deref()),
                text(case.policy.as_str()),
                int(case.priority.into()),
                int(case.opened_at.as_microsecond()),
                text(state),
                maybe_text(by.map(String::as_str)),
                maybe(at, |at| int(at.as_microsecond())),
                maybe_text(decision),
                maybe_text(outcome),
            ],
        )
    }
}

/// A time as it will read back.
fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

impl Reader {
    /// Queues that have something pending.
    pub fn queues(&self) -> Result<Vec<QueueSummary>, StoreError> {
        self.all(QUEUE, sql::QUEUES, [], |row| {
            Ok(QueueSummary {
                queue: parsed(row, 0, QUEUE)?,
                open: get::<i64>(row, 1, QUEUE)? as u64,
                claimed: get::<i64>(row, 2, QUEUE)? as u64,
                oldest: maybe_time(row, 3, QUEUE)?,
                priority_max: get(row, 4, QUEUE)?,
            })
        })
    }

    /// Cases by priority, then age, a page at a time.
    pub fn cases(&self, filter: &CaseFilter) -> Result<Vec<Case>, StoreError> {
        let after = filter.after.as_ref();
        let stage = filter.stage.as_str();
        let limit = filter.limit as i64;
        let priority = after.map_or(i64::MAX, |case| case.priority.into());
        let opened_at = after.map_or(i64::MIN, |case| case.opened_at.as_microsecond());
        let id = after.map_or_else(String::new, |case| case.id.to_string());
        if let Some(queue) = &filter.queue {
            let params = (stage, limit, priority, opened_at, id, queue.as_str());
            self.all(CASE, sql::CASES_BY_QUEUE, params, case)
        } else {
            self.all(
                CASE,
                sql::CASES_BY_STATE,
                (stage, limit, priority, opened_at, id),
                case,
            )
        }
    }

    /// A case by itself.
    pub fn case(&self, id: CaseId) -> Result<Option<Case>, StoreError> {
        self.first(CASE, sql::CASE, [id.to_string()], case)
    }

    /// A case with everything that belongs to it.
    pub fn case_detail(&self, id: CaseId) -> Result<Option<CaseDetail>, StoreError> {
        let Some(case) = self.case(id)? else {
            return Ok(None);
        };
        let key = id.to_string();
        let limit = SHOWN_MAX as i64;
        let judgement = match &case.state {
            CaseState::Closed { decision, .. } => self.decision(*decision)?,
            CaseState::Open | CaseState::Claimed { .. } => None,
        };
        Ok(Some(CaseDetail {
            leaf: self.number(CASE, sql::CASE_LEAF, [&key])?,
            events: self.stored_events(sql::EVENTS_OF_CASE, (&key, limit))?,
            events_total: self.number(CASE, sql::CASE_EVENTS_COUNT, [&key])?,
            judgement,
            deliveries: self.deliveries_of_case(id, SHOWN_MAX)?,
            trail: self.all(TRAIL, sql::CASE_TRAIL, (&key, limit), trail_entry)?,
            related: self.related(&case)?,
            history: self.history(&case)?,
            case,
        }))
    }

    fn related(&self, of: &Case) -> Result<Vec<Case>, StoreError> {
        let Entity { r#type, id } = &of.entity;
        // Without an account nothing equals this, since no identifier is empty.
        let account = of.account.as_deref().unwrap_or("");
        let params = (
            of.id.to_string(),
            r#type.as_str(),
            id,
            account,
            RELATED_MAX as i64,
        );
        self.all(CASE, sql::CASES_RELATED, params, case)
    }

    fn expect_case(&self, id: CaseId) -> Result<Case, StoreError> {
        self.case(id)?
            .ok_or_else(|| StoreError::not_found(format!("case {id}")))
    }

    /// The decisions on the events that belong to a case, oldest first.
    fn decisions_of_case(&self, id: CaseId) -> Result<Vec<Decision>, StoreError> {
        self.all(DECISIONS_OF, sql::CASE_DECISIONS, [id.to_string()], |row| {
            from_json(row, 0, DECISIONS_OF)
        })
    }

    /// What was done so far to the entities that a judgement on `case` may touch.
    fn history(&self, case: &Case) -> Result<History, StoreError> {
        let mut history = History::default();
        for decision in self.decisions_of_case(case.id)? {
            let withdrawn = self
                .strikes_of(decision.id)?
                .iter()
                .any(|(_, strike)| strike.withdrawn.is_some());
            let actions = decision
                .actions
                .into_iter()
                .filter(|action| action.kind != ActionKind::Strike || !withdrawn);
            history.automatic.extend(actions);
        }
        let Entity { r#type, id } = &case.entity;
        let account = match r#type {
            EntityType::Account => id,
            // Without an account nothing equals this, since no identifier is empty.
            _ => case.account.as_deref().unwrap_or(""),
        };
        let params = (r#type.as_str(), id, account, JUDGEMENTS_MAX as i64);
        self.each(DECISIONS_OF, sql::CASE_JUDGEMENTS, params, |row| {
            let decision: Decision = from_json(row, 0, DECISIONS_OF)?;
            history.judged.extend(decision.actions);
            Ok(())
        })?;
        Ok(history)
    }
}

const DECISIONS_OF: &str = "decisions of a case";
const CASE: &str = "a case";
const QUEUE: &str = "a queue";
const TRAIL: &str = "a case's trail";

fn case(row: &Row<'_>) -> Result<Case, StoreError> {
    let by = || get::<String>(row, 9, CASE);
    let state = match get::<String>(row, 8, CASE)?.as_str() {
        "open" => CaseState::Open,
        "claimed" => CaseState::Claimed {
            by: by()?,
            since: time(row, 10, CASE)?,
        },
        "closed" => CaseState::Closed {
            decision: parsed(row, 11, CASE)?,
            outcome: parsed::<Outcome>(row, 12, CASE)?,
            by: by()?,
            at: time(row, 10, CASE)?,
        },
        other => return Err(damaged(CASE, format!("its state is `{other}`"))),
    };
    Ok(Case {
        id: parsed(row, 0, CASE)?,
        queue: parsed(row, 1, CASE)?,
        entity: Entity {
            r#type: parsed(row, 2, CASE)?,
            id: get(row, 3, CASE)?,
        },
        account: get(row, 4, CASE)?,
        policy: parsed(row, 5, CASE)?,
        priority: get(row, 6, CASE)?,
        opened_at: time(row, 7, CASE)?,
        state,
    })
}

fn trail_entry(row: &Row<'_>) -> Result<TrailEntry, StoreError> {
    Ok(TrailEntry {
        what: get(row, 0, TRAIL)?,
        author: from_json(row, 1, TRAIL)?,
        at: time(row, 2, TRAIL)?,
        note: get(row, 3, TRAIL)?,
        leaf: get::<i64>(row, 4, TRAIL)? as u64,
    })
}
