//! What the console remembers for a session and may forget: a judgement that was typed when the
//! session ended, and which media its reviewer has asked to see.
//!
//! Both live in this process only. A revealed preview is held here for its session, because the
//! store gives one out only together with the audited choice to see it; forgetting it costs another
//! press of "Show".

use super::text::{self, Html};
use jiff::{SignedDuration, Timestamp};
use manara_model::{CaseId, Outcome};
use manara_store::Preview;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most drafts kept; the oldest go first.
const DRAFTS_MAX: usize = 256;
/// Most revealed previews kept, each at most 512 KiB; the oldest go first.
const REVEALS_MAX: usize = 128;
/// Most sessions whose last use is remembered.
const SESSIONS_MAX: usize = 10_000;
/// A session that is not used for this long is over.
pub(super) const IDLE_MAX: SignedDuration = SignedDuration::from_hours(8);

/// Identifies a session without being able to open it: the hash of its token.
pub(super) type SessionHash = [u8; 32];

/// A judgement as typed, not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) case: String,
    pub(super) outcome: String,
    pub(super) policy: String,
    pub(super) note: String,
}

impl Draft {
    pub(super) fn outcome_word(&self) -> &'static str {
        match self.outcome.parse() {
            Ok(Outcome::Keep) => "Keep",
            Ok(Outcome::Remove) => "Remove",
            Ok(Outcome::Suspend) => "Suspend the account",
            Err(_) => "No outcome",
        }
    }

    pub(super) fn policy_shown(&self) -> Html {
        text::inline(&self.policy)
    }

    pub(super) fn note_shown(&self) -> Html {
        text::block(&self.note, &[])
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    drafts: VecDeque<(SessionHash, Draft)>,
    reveals: VecDeque<Reveal>,
    last_used: HashMap<SessionHash, Timestamp>,
}

#[derive(Debug)]
struct Reveal {
    session: SessionHash,
    case: CaseId,
    preview: Arc<Preview>,
}

impl Memory {
    /// Keeps a draft for a session, in place of an earlier one.
    pub(super) fn keep_draft(&self, session: SessionHash, draft: Draft) {
        let mut remembered = self.lock();
        remembered.drafts.retain(|(of, _)| *of != session);
        remembered.drafts.push_back((session, draft));
        while remembered.drafts.len() > DRAFTS_MAX {
            remembered.drafts.pop_front();
        }
    }

    /// The session's draft on that case.
    pub(super) fn draft(&self, session: SessionHash, case: CaseId) -> Option<Draft> {
        let remembered = self.lock();
        let drafts = remembered.drafts.iter();
        drafts
            .filter(|(of, d)| *of == session && d.case == case.to_string())
            .map(|(_, d)| d.clone())
            .next()
    }

    /// Forgets the session's draft, because it was decided.
    pub(super) fn drop_draft(&self, session: SessionHash) {
        self.lock().drafts.retain(|(of, _)| *of != session);
    }

    /// Holds a preview for the session whose reviewer asked to see that medium of that case.
    pub(super) fn reveal(&self, session: SessionHash, case: CaseId, preview: Preview) {
        let mut remembered = self.lock();
        remembered
            .reveals
            .retain(|r| r.session != session || r.preview.sha256 != preview.sha256);
        remembered.reveals.push_back(Reveal {
            session,
            case,
            preview: Arc::new(preview),
        });
        while remembered.reveals.len() > REVEALS_MAX {
            remembered.reveals.pop_front();
        }
    }

    /// The preview of that medium of that case, if the session's reviewer asked to see it.
    pub(super) fn revealed(
        &self,
        session: SessionHash,
        case: CaseId,
        sha256: [u8; 32],
    ) -> Option<Arc<Preview>> {
        let remembered = self.lock();
        let mut reveals = remembered.reveals.iter();
        let found =
            reveals.find(|r| r.session == session && r.case == case && r.preview.sha256 == sha256);
        found.map(|reveal| Arc::clone(&reveal.preview))
    }

    /// Notes that a session is used now, and says whether it was idle for too long before. A session
    /// that was last used before this process started counts from its first use here.
    pub(super) fn use_session(&self, session: SessionHash, now: Timestamp) -> bool {
        let mut remembered = self.lock();
        let fresh = |last: &Timestamp| now.duration_since(*last) < IDLE_MAX;
        if remembered
            .last_used
            .get(&session)
            .is_some_and(|last| !fresh(last))
        {
            return false;
        }
        if remembered.last_used.len() >= SESSIONS_MAX {
            remembered.last_used.retain(|_, last| fresh(last));
        }
        remembered.last_used.insert(session, now);
        true
    }

    /// Forgets everything of a session that ended.
    pub(super) fn forget(&self, session: SessionHash) {
        let mut remembered = self.lock();
        remembered.drafts.retain(|(of, _)| *of != session);
        remembered
            .reveals
            .retain(|reveal| reveal.session != session);
        remembered.last_used.remove(&session);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Whole after every statement, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(sha256: u8) -> Preview {
        Preview {
            sha256: [sha256; 32],
            content_type: "image/jpeg".into(),
            bytes: vec![sha256],
        }
    }

    #[test]
    fn a_reveal_holds_for_one_session_case_and_medium() {
        let memory = Memory::default();
        let (case, other) = (CaseId::new(1, 1), CaseId::new(1, 2));
        memory.reveal([1; 32], case, preview(9));
        assert_eq!(memory.revealed([1; 32], case, [9; 32]).unwrap().bytes, [9]);
        for (session, case, sha256) in [(2, case, 9), (1, other, 9), (1, case, 8)] {
            assert!(memory.revealed([session; 32], case, [sha256; 32]).is_none());
        }
        memory.forget([1; 32]);
        assert!(memory.revealed([1; 32], case, [9; 32]).is_none());
    }

    #[test]
    fn a_session_ends_when_it_is_idle_for_eight_hours() {
        let memory = Memory::default();
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap();
        for hours in [0, 7, 14, 21] {
            assert!(memory.use_session([1; 32], at(hours)));
        }
        assert!(!memory.use_session([1; 32], at(29)));
        assert!(
            !memory.use_session([1; 32], at(30)),
            "asking again does not revive it"
        );
        assert!(memory.use_session([2; 32], at(29)));
    }

    #[test]
    fn memory_is_bounded() {
        let memory = Memory::default();
        for n in 0..=255_u8 {
            memory.reveal([n; 32], CaseId::new(1, 1), preview(n));
            memory.keep_draft([n; 32], Draft::default());
            memory.keep_draft([n; 32], Draft::default());
        }
        assert_eq!(memory.lock().reveals.len(), REVEALS_MAX);
        assert_eq!(memory.lock().drafts.len(), 256);
        memory.keep_draft([7; 32], Draft::default());
        assert!(memory.lock().drafts.len() <= DRAFTS_MAX);
    }
}
