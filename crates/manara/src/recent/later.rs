//! Retroactive matches: what was uploaded before the member that it matches was known.
//!
//! When members are added, or begin to count, the recently seen events are looked up in these members
//! alone. Those that match are evaluated as if they came now, and where a rule would have fired on one of
//! the members, people get a case. Nothing is done by itself: the post may be old, and what was answered
//! then was right with what was known.

use super::{Recent, events_of, matches_in, sweep};
use crate::banks::Followed;
use crate::clock;
use crate::evaluate::{Subject, verdicts};
use crate::matcher::{Change, Matcher};
use crate::past::StoredPast;
use anyhow::Context;
use manara_model::{
    Action, ActionKind, Author, BankMode, BankName, Decision, Detail, Effect, Event, Match,
    MemberId, MemberMode, Mode, Verdict,
};
use manara_rules::{RuleSet, Sets};
use manara_store::{BankChange, BankCursor, Later, RecentEvent, RecentRow, Store, StoreError};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

/// How many times as many events are kept as cases may come of them, since not every match makes a
/// rule fire.
const SPARE: usize = 10;

/// What came of looking again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Members that were new, or count now and did not before.
    pub(crate) members: u64,
    /// Events that were looked at.
    pub(crate) seen: u64,
    /// Events that match one of these members.
    pub(crate) matched: u64,
    /// Cases opened, or added to.
    pub(crate) cases: u64,
    /// Events for which there was no room.
    pub(crate) left_out: u64,
}

/// What decides on events as they come.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a> {
    pub(crate) matcher: &'a Matcher,
    pub(crate) followed: &'a Followed,
    pub(crate) rules: &'a RuleSet,
    pub(crate) sets: &'a Sets,
}

/// Looks for what was uploaded before the members that came since `cursor`. Says what came of it,
/// and where to go on the next time; `None` while the matcher does not know all of them yet, so that what
/// they match would be missed.
pub(crate) fn look(
    store: &Store,
    live: Live<'_>,
    recent: Recent,
    cursor: &BankCursor,
) -> anyhow::Result<Option<(Looked, BankCursor)>> {
    let (alone, members, next) = members_since(store, cursor)?;
    if !live.followed.reaches(&next) {
        return Ok(None);
    }
    let mut looked = Looked {
        members: members.len() as u64,
        ..Looked::default()
    };
    if members.is_empty() || recent.days == 0 {
        return Ok(Some((looked, next)));
    }
    // By what matters most; of those that matter alike, the newest.
    let mut candidates: BTreeMap<(Reverse<u8>, Reverse<u64>), RecentEvent> = BTreeMap::new();
    let room = recent.cases_max.saturating_mul(SPARE);
    let media_only = alone.asks_for_media_only();
    let look = |rows: &[RecentRow]| {
        let events = events_of(rows, media_only)?;
        let nearest = matches_in(&alone, &events).into_iter().map(|matches| {
            let mut counting = matches.into_iter().filter(|m| m.withheld.is_none());
            counting.next()
        });
        let found = events.into_iter().zip(nearest);
        Ok(found
            .filter_map(|(event, nearest)| Some((event, nearest?)))
            .collect())
    };
    looked.seen = sweep(
        store,
        recent.window(),
        look,
        |found: Vec<(RecentEvent, Match)>| {
            for (event, nearest) in found {
                looked.matched += 1;
                let priority = priority(&event.event, &nearest);
                candidates.insert((Reverse(priority), Reverse(event.leaf)), event);
                if candidates.len() > room {
                    candidates.pop_last();
                }
            }
        },
    )?;
    let kept = candidates.len() as u64;
    let mut tried = 0;
    for ((Reverse(priority), _), event) in candidates {
        if looked.cases >= recent.cases_max as u64 {
            break;
        }
        tried += 1;
        if let Some(later) = evaluate(store, live, &event, &members, priority)? {
            let opened = store.write_blocking(move |tx| tx.record_later(later));
            looked.cases += u64::from(opened.context("opening a case")?);
        }
    }
    looked.left_out = looked.matched - kept + (kept - tried);
    Ok(Some((looked, next)))
}

/// Numbers of members, which no two banks share.
type Members = HashSet<MemberId>;

/// Changes that are applied together, so that a million members are not in memory twice.
const BATCH: usize = 4096;

/// The members that came, or began to count, since `cursor`, in a matcher of their own.
fn members_since(
    store: &Store,
    cursor: &BankCursor,
) -> Result<(Matcher, Members, BankCursor), StoreError> {
    let (alone, mut members, mut changes) =
        (Matcher::for_many_events(), Members::new(), Vec::new());
    let mut live: HashSet<BankName> = HashSet::new();
    let next = store.read(|reader| {
        let next = reader.bank_changes(cursor, &mut |change| {
            if changes.len() >= BATCH {
                alone.apply(changes.drain(..));
            }
            match change {
                BankChange::Bank {
                    name,
                    enabled,
                    settings,
                } => {
                    let counts =
                        enabled && settings.mode == BankMode::Live && !settings.is_negative();
                    alone.set_bank(&name, counts, settings);
                    if counts {
                        live.insert(name);
                    }
                }
                BankChange::Member {
                    bank,
                    member,
                    signal,
                    settings,
                    ..
                } => {
                    if settings.mode == MemberMode::Live && live.contains(&bank) {
                        members.insert(member);
                        changes.push(Change::Add {
                            bank,
                            member,
                            signal,
                            settings,
                        });
                    }
                }
                BankChange::Settings {
                    bank,
                    member,
                    signal,
                    settings,
                } => {
                    let counts = settings.mode == MemberMode::Live && live.contains(&bank);
                    if counts && members.insert(member) {
                        changes.push(Change::Add {
                            bank,
                            member,
                            signal,
                            settings,
                        });
                    }
                }
                BankChange::Removed {
                    bank,
                    member,
                    signal_type,
                } => {
                    members.remove(&member);
                    changes.push(Change::Remove {
                        bank,
                        member,
                        signal_type,
                    });
                }
            }
        })?;
        Ok::<_, StoreError>(next)
    })?;
    alone.apply(changes);
    alone.tend();
    Ok((alone, members, next))
}

/// How much it matters, 1 to 9: 5, more for what many see, less for what is only just near.
fn priority(event: &Event, nearest: &Match) -> u8 {
    let members = event.space.as_ref().and_then(|space| space.members);
    let followers = event.account.as_ref().and_then(|account| account.followers);
    let reach = members.max(followers).unwrap_or(0);
    let widest = nearest.signal_type.widest_distance();
    let far = u8::from(nearest.distance * 2 > widest);
    let seen = match reach {
        0..1_000 => 0,
        1_000..10_000 => 1,
        10_000..100_000 => 2,
        _ => 3,
    };
    5 + seen - far
}

/// What the rules would say now, if it is something new that rests on one of the members.
fn evaluate(
    store: &Store,
    live: Live<'_>,
    event: &RecentEvent,
    members: &Members,
    priority: u8,
) -> Result<Option<Later>, StoreError> {
    let matches = live.matcher.matches_of_recent(event);
    let subject = Subject {
        event: &event.event,
        media: &event.media,
        received_at: event.received_at,
    };
    let mut verdicts = store.read(|reader| {
        let past = StoredPast::new(reader, live.sets);
        let verdicts = verdicts(live.rules, subject, &matches, &past);
        past.ended().map(|()| verdicts)
    })?;
    verdicts.retain(|v| {
        let is_new = |m: &Match| members.contains(&m.member);
        v.mode == Mode::Live && v.because.iter().any(is_new)
    });
    if verdicts.is_empty() {
        return Ok(None);
    }
    let Some(stored) = store.read(|reader| reader.decision(event.decision))? else {
        return Ok(None);
    };
    let fired = |rule: &Verdict| {
        let same = |v: &Verdict| v.rule == rule.rule && v.mode == Mode::Live;
        stored.verdicts.iter().any(same)
    };
    verdicts.retain(|v| !fired(v));
    let decision = decision_on(event, verdicts, priority);
    Ok(decision.map(|decision| Later {
        event_decision: event.decision,
        decision,
    }))
}

/// A decision that asks people, and nothing else.
fn decision_on(event: &RecentEvent, verdicts: Vec<Verdict>, priority: u8) -> Option<Decision> {
    let now = clock::now();
    let id = clock::decision_id(now);
    let first = verdicts.first()?;
    let effects = || verdicts.iter().flat_map(|v| &v.effects);
    let enqueue = effects().find(|effect| effect.kind == ActionKind::Enqueue);
    let detail = enqueue.map_or_else(Detail::default, |effect| effect.detail.clone());
    let target_of = |effect: &Effect| event.event.entity(effect.target, effect.index);
    let target = enqueue
        .and_then(target_of)
        .or_else(|| effects().find_map(target_of))?;
    let action = Action {
        id: manara_model::ActionId::derive(id, 0),
        kind: ActionKind::Enqueue,
        target,
        policy: first.policy.clone(),
        rule: Some(first.rule.clone()),
        reasons: first.all_reasons(),
        detail: Detail {
            queue: detail.queue,
            priority: Some(priority.max(detail.priority.unwrap_or(1))),
            ..Detail::default()
        },
    };
    Some(Decision {
        id,
        author: Author::System,
        at: now,
        event: Some((event.event.source.clone(), event.event.id.clone())),
        case: None,
        verdicts,
        actions: vec![action],
        note: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banks::{Follower, load};
    use manara_model::{DecisionId, Origin};
    use manara_rules::{Schema, Source, compile};
    use manara_signal::{Signal, SignalType};
    use manara_store::{NewEvent, Options};
    use std::sync::Arc;

    const RULES: &str = r#"
        rule slogan {
          on post.created
          policy tvec_known
          reason "A slogan."
          when bank("SLOGANS").matches(content.text)
          then enqueue("tvec")
        }"#;

    fn seen(text: &str) -> NewEvent {
        let now = clock::now();
        let body = format!(
            r#"{{"id":"1","source":"s","type":"post.created","time":"{now}","content":{{"id":"c","text":"{text}"}}}}"#
        );
        let (event, _) = Event::from_json(body.as_bytes(), Origin::Http).unwrap();
        NewEvent {
            media: Vec::new(),
            fingerprint: [1; 32],
            received_at: now,
            decision: Decision {
                id: DecisionId::new(1, 1),
                author: Author::Rules,
                at: now,
                event: Some((event.source.clone(), event.id.clone())),
                case: None,
                verdicts: Vec::new(),
                actions: Vec::new(),
                note: String::new(),
            },
            previews: Vec::new(),
            event,
            body,
        }
    }

    /// The server's matcher follows the banks by itself, so that looking again can come before it has.
    #[test]
    fn a_member_that_the_matcher_does_not_know_yet_is_looked_for_later() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            audit_seed: [7; 32],
            origin: "manara.example/audit".into(),
            max_bytes: None,
            readers: 2,
        };
        let store = Store::open(&dir.path().join("m.db"), options).unwrap();
        let (bank, phrase): (BankName, _) = (
            "SLOGANS".parse().unwrap(),
            Signal::parse(SignalType::Text, "the grey banner rises").unwrap(),
        );
        let name = bank.clone();
        let settings = manara_model::BankSettings::default();
        store
            .write_blocking(move |tx| {
                tx.create_bank_with(
                    &name,
                    "",
                    &settings,
                    Vec::new(),
                    &Author::System,
                    clock::now(),
                )
            })
            .unwrap();
        store
            .write_blocking(|tx| tx.record_events(vec![seen("The grey banner rises again.")]))
            .unwrap();
        let matcher = Arc::new(Matcher::default());
        let cursor = load(&store, &matcher).unwrap();
        let index = dir.path().join("pdq.index");
        let mut follower = Follower::new(store.clone(), Arc::clone(&matcher), cursor, index);
        let source = Source {
            name: "t.rules".into(),
            text: RULES.into(),
        };
        let rules = compile(&[source], &Schema::builtin()).unwrap();
        let followed = follower.followed.clone();
        let look = || {
            let live = Live {
                matcher: &matcher,
                followed: &followed,
                rules: &rules,
                sets: &Sets::default(),
            };
            look(&store, live, Recent::default(), &cursor).unwrap()
        };

        store
            .write_blocking(move |tx| {
                let member = (phrase, String::new()).into();
                tx.add_member(&bank, member, &Author::System, clock::now())
            })
            .unwrap();
        assert_eq!(look(), None);
        follower.follow(false).unwrap();
        let (looked, next) = look().unwrap();
        assert_eq!((looked.matched, looked.cases), (1, 1));
        assert!(followed.reaches(&next));
    }
}
