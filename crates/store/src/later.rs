//! What is found in events after they were decided on, when a member was added since.
//!
//! The first decision stays what it was. The later one is kept beside it and may only ask a person:
//! whatever else was to be done would come to the platform long after the fact, with nobody looking.

use crate::error::StoreError;
use crate::events::StoredEvent;
use crate::tx::{Committed, Tx};
use manara_model::{ActionKind, Author, BankName, Decision, DecisionId, MemberId, Name};
use std::collections::BTreeSet;

/// Something found later.
#[derive(Debug, Clone)]
pub struct Later {
    /// The decision that was made on the event when it came.
    pub event_decision: DecisionId,
    /// What was found: by [`Author::System`], its actions `enqueue` only. [`Decision::event`] is
    /// the event's.
    pub decision: Decision,
}

/// What makes two findings in one event the same.
type Finding = (Name, Option<(BankName, MemberId)>);

impl Tx<'_> {
    /// Keeps what was found in an event later, and opens cases for it as its `enqueue` actions say,
    /// or adds to those that are pending. Says whether there was anything new: a rule that has
    /// fired on this event because of the same member before is not.
    ///
    /// Audit: one `decision.later` leaf over the decision, the cases and their trails; none when
    /// nothing was new.
    pub fn record_later(&mut self, found: Later) -> Result<Committed<bool>, StoreError> {
        let Later {
            event_decision,
            decision,
        } = found;
        let event = self
            .reader()
            .event_of(event_decision)?
            .ok_or_else(|| StoreError::not_found(format!("event of decision {event_decision}")))?;
        check(&event, &decision)?;
        let later = self.reader().later_decisions(event_decision, i64::MAX)?;
        let known: BTreeSet<Finding> = std::iter::once(&event.decision)
            .chain(&later)
            .flat_map(findings)
            .collect();
        let Some(new) = findings(&decision).find(|finding| !known.contains(finding)) else {
            return Ok(Committed(false));
        };
        self.begin("decision.later", &decision.author, decision.at)?;
        self.insert_decision(&decision, Some(event_decision))?;
        let note = note(&new);
        for action in &decision.actions {
            self.enqueue_later(action, &event, &decision, &note)?;
        }
        self.seal(None).map(|_| Committed(true))
    }
}

fn check(event: &StoredEvent, decision: &Decision) -> Result<(), StoreError> {
    let refused = |problem: String| {
        Err(StoreError::Invalid {
            what: "later decision",
            problem,
        })
    };
    let other = |action: &&manara_model::Action| action.kind != ActionKind::Enqueue;
    if let Some(action) = decision.actions.iter().find(other) {
        return refused(format!(
            "it asks for {}, and may only ask a person (enqueue)",
            action.kind
        ));
    }
    if decision.author != Author::System || decision.case.is_some() {
        return refused("it is the system's, and of no case".into());
    }
    if decision.event != event.decision.event {
        return refused(format!(
            "it names another event than {} from {}",
            event.event.id, event.event.source
        ));
    }
    Ok(())
}

/// Each rule that fired with each member it fired because of.
fn findings(decision: &Decision) -> impl Iterator<Item = Finding> + '_ {
    decision.verdicts.iter().flat_map(|verdict| {
        let members = verdict
            .because
            .iter()
            .map(|it| (it.bank.clone(), it.member));
        let mut members: Vec<_> = members.map(Some).collect();
        if members.is_empty() {
            members.push(None);
        }
        let rule = &verdict.rule;
        members.into_iter().map(|member| (rule.clone(), member))
    })
}

/// A finding in words.
fn note((rule, member): &Finding) -> String {
    match member {
        Some((bank, member)) => format!("rule {rule}, member {member} of {bank}"),
        None => format!("rule {rule}"),
    }
}
