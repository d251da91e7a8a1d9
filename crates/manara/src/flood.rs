//! Flood quarantine: a member that matches far more than it used to loses its effect before it has
//! done much harm, and a person is asked.
//!
//! One wrong member from a partner can match ten thousand innocent posts. What gives it away is that
//! it matches suddenly and often: so many events in an hour, and so many times as often as in the
//! seven days before. Members that a person has vouched for are left alone, and so are negative banks,
//! whose members only ever keep things from being acted on.

use jiff::Timestamp;
use manara_model::{BankName, DecisionId, Match, MemberId};
use manara_store::MemberHits;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The minutes that make the hour in which hits are counted.
const MINUTES: usize = 60;
/// Hours before that hour which make the baseline: seven days.
pub(crate) const BASELINE_HOURS: i64 = 7 * 24;
/// Fewest hours over which the baseline is taken, so that one busy hour is not what is usual.
const BASELINE_HOURS_MIN: i64 = 24;
/// Events shown with a case.
const SAMPLES_MAX: usize = 20;

/// When a member goes into quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quarantine {
    pub(crate) enabled: bool,
    /// Fewest events within an hour.
    pub(crate) hits_min: u32,
    /// How many times as many as in a usual hour.
    pub(crate) ratio: f64,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self {
            enabled: true,
            hits_min: 50,
            ratio: 10.0,
        }
    }
}

/// A member that is to go into quarantine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tripped {
    pub(crate) bank: BankName,
    pub(crate) member: MemberId,
    /// Events within the last hour.
    pub(crate) hits: u32,
    /// In a usual hour.
    pub(crate) baseline: f64,
    /// Decisions on the newest of these events.
    pub(crate) samples: Vec<DecisionId>,
}

/// How often each member matches.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    limits: Quarantine,
    members: Mutex<HashMap<MemberId, Track>>,
}

/// The hits of one member.
#[derive(Debug, Default)]
struct Track {
    /// By minute since 1970, the newest last.
    minutes: VecDeque<(i64, u32)>,
    /// By hour since 1970, the newest last.
    hours: VecDeque<(i64, u32)>,
    samples: VecDeque<DecisionId>,
    /// What is not yet kept, by hour: hits that counted, and others.
    unkept: Vec<MemberHits>,
    /// Already said to be tripped.
    tripped: bool,
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

/// Hours since 1970.
pub(crate) fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}

impl Flood {
    /// Counts from nothing.
    pub(crate) fn new(limits: Quarantine) -> Self {
        Self {
            limits,
            members: Mutex::default(),
        }
    }

    /// Takes over what an earlier run has kept.
    pub(crate) fn load(&self, kept: impl IntoIterator<Item = MemberHits>) {
        let mut members = self.lock();
        for hits in kept {
            let track = members.entry(hits.member).or_default();
            let kept = u32::try_from(hits.hits).unwrap_or(u32::MAX);
            add(&mut track.hours, hits.hour, kept);
        }
    }

    /// Counts what an event that was received `at` this time matched. Gives the members that it was too much
    /// for; each once, until [`Flood::forgive`].
    pub(crate) fn note(
        &self,
        at: Timestamp,
        decision: DecisionId,
        matches: &[Match],
    ) -> Vec<Tripped> {
        let mut tripped = Vec::new();
        if matches.is_empty() {
            return tripped;
        }
        let mut members = self.lock();
        for (number, found) in matches.iter().enumerate() {
            // A member that is found in several fields of one event is found once.
            let earlier = matches.get(..number).unwrap_or_default();
            if earlier.iter().any(|m| m.member == found.member) {
                continue;
            }
            let track = members.entry(found.member).or_default();
            track.count(at, decision, found);
            if let Some((hits, baseline)) = track.trips(at, self.limits) {
                tripped.push(Tripped {
                    bank: found.bank.clone(),
                    member: found.member,
                    hits,
                    baseline,
                    samples: track.samples.iter().rev().copied().collect(),
                });
            }
        }
        tripped
    }

    /// Counts a member from nothing again: it is not in quarantine any more, or was not to go there.
    pub(crate) fn forgive(&self, member: MemberId) {
        if let Some(track) = self.lock().get_mut(&member) {
            track.minutes.clear();
            track.samples.clear();
            track.tripped = false;
        }
    }

    /// What is to be kept, and is from now on. Members without a hit for longer than the baseline are
    /// forgotten.
    pub(crate) fn take_unkept(&self, now: Timestamp) -> Vec<MemberHits> {
        let mut unkept = Vec::new();
        let oldest = hour_of(now) - BASELINE_HOURS - 1;
        self.lock().retain(|_, track| {
            unkept.append(&mut track.unkept);
            track.hours.back().is_some_and(|(hour, _)| *hour >= oldest)
        });
        unkept
    }

    // A panic while counting leaves a count that is off by one, which is better than none.
    fn lock(&self) -> MutexGuard<'_, HashMap<MemberId, Track>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Track {
    fn count(&mut self, at: Timestamp, decision: DecisionId, found: &Match) {
        let (hour, counts) = (hour_of(at), u32::from(found.withheld.is_none()));
        add(&mut self.hours, hour, counts);
        match self.unkept.last_mut().filter(|last| last.hour == hour) {
            Some(last) => {
                last.hits += u64::from(counts);
                last.withheld += u64::from(1 - counts);
            }
            None => self.unkept.push(MemberHits {
                member: found.member,
                hour,
                hits: u64::from(counts),
                withheld: u64::from(1 - counts),
            }),
        }
        if counts == 1 {
            add(&mut self.minutes, minute_of(at), 1);
            if self.samples.len() == SAMPLES_MAX {
                self.samples.pop_front();
            }
            self.samples.push_back(decision);
        }
        let (minute, hour) = (minute_of(at), hour_of(at));
        drop_before(&mut self.minutes, minute - MINUTES as i64 + 1);
        drop_before(&mut self.hours, hour - BASELINE_HOURS);
    }

    /// The hits of the last hour and of a usual one, the first time that they are too many.
    fn trips(&mut self, at: Timestamp, limits: Quarantine) -> Option<(u32, f64)> {
        if !limits.enabled || self.tripped {
            return None;
        }
        let hits: u32 = self.minutes.iter().map(|(_, hits)| hits).sum();
        if hits < limits.hits_min.max(1) {
            return None;
        }
        let baseline = self.baseline(hour_of(at));
        self.tripped = f64::from(hits) >= limits.ratio * baseline;
        self.tripped.then_some((hits, baseline))
    }

    /// Hits in a usual hour: the mean over the hours before the one now and the one before it, from
    /// which the last sixty minutes are.
    fn baseline(&self, now: i64) -> f64 {
        let before = self.hours.iter().filter(|(hour, _)| *hour < now - 1);
        let (first, sum) = before.fold((now, 0_u64), |(first, sum), (hour, hits)| {
            (first.min(*hour), sum + u64::from(*hits))
        });
        let hours = (now - 1 - first).clamp(BASELINE_HOURS_MIN, BASELINE_HOURS);
        sum as f64 / hours as f64
    }
}

/// Adds to a count; times may come a little out of order.
fn add(counts: &mut VecDeque<(i64, u32)>, time: i64, by: u32) {
    let after = counts.iter().rposition(|(known, _)| *known <= time);
    match after.and_then(|at| counts.get_mut(at)) {
        Some((known, count)) if *known == time => *count = count.saturating_add(by),
        _ => counts.insert(after.map_or(0, |at| at + 1), (time, by)),
    }
}

fn drop_before(counts: &mut VecDeque<(i64, u32)>, oldest: i64) {
    while counts.front().is_some_and(|(time, _)| *time < oldest) {
        counts.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_model::Withheld;
    use manara_signal::SignalType;

    const MEMBER: i64 = 7;

    fn found(member: i64, field: &str, withheld: Option<Withheld>) -> Match {
        Match {
            signal_type: SignalType::Text,
            bank: "B".parse().unwrap(),
            member: MemberId(member),
            distance: 0,
            field: field.into(),
            quality: None,
            span: None,
            how: None,
            form: None,
            form_hash: None,
            distance_stored: None,
            withheld,
        }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 / 3600 * 3600 + minute * 60).unwrap()
    }

    fn flood() -> Flood {
        Flood::new(Quarantine {
            enabled: true,
            hits_min: 5,
            ratio: 10.0,
        })
    }

    fn decision(number: u128) -> DecisionId {
        DecisionId::new(1, number)
    }

    /// Plays hits at these minutes; says after which of them the member tripped.
    #[track_caller]
    fn check(flood: &Flood, minutes: impl IntoIterator<Item = i64>, expect: &[usize]) {
        let matches = [
            found(MEMBER, "content.text", None),
            found(MEMBER, "space.name", None),
        ];
        let tripped = minutes.into_iter().enumerate().filter_map(|(n, minute)| {
            let tripped = flood.note(at(minute), decision(n as u128), &matches);
            (!tripped.is_empty()).then_some(n)
        });
        assert_eq!(tripped.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn many_hits_within_an_hour_trip_once() {
        check(&flood(), 0..20, &[4]);
        check(&flood(), (0..20).map(|n| n * 20), &[]);
        // Four in an hour, then five.
        check(&flood(), [0, 1, 2, 3, 64, 65, 66, 67, 68], &[8]);
    }

    #[test]
    fn a_member_that_always_matches_much_is_left_alone() {
        let usual = |per_hour: u64| {
            let hours = (hour_of(at(0)) - 48)..hour_of(at(0));
            hours.map(move |hour| MemberHits {
                member: MemberId(MEMBER),
                hour,
                hits: per_hour,
                withheld: 0,
            })
        };
        for (per_hour, expect) in [(0, &[4][..]), (1, &[9]), (3, &[])] {
            let flood = flood();
            flood.load(usual(per_hour));
            check(&flood, std::iter::repeat_n(0, 20), expect);
        }
    }

    #[test]
    fn what_has_no_effect_does_no_harm() {
        let flood = flood();
        let shadow = [found(MEMBER, "content.text", Some(Withheld::MemberShadow))];
        for n in 0..100 {
            assert!(flood.note(at(0), decision(n), &shadow).is_empty());
        }
        check(&flood, std::iter::repeat_n(1, 6), &[4]);
    }

    #[test]
    fn the_newest_events_are_shown_and_a_forgiven_member_begins_anew() {
        let flood = Flood::new(Quarantine {
            hits_min: 30,
            ..Quarantine::default()
        });
        let matches = [
            found(MEMBER, "content.text", None),
            found(8, "content.text", None),
        ];
        let tripped: Vec<Tripped> = (0..30)
            .flat_map(|n| flood.note(at(0), decision(n), &matches))
            .collect();
        assert_eq!(tripped.len(), 2);
        let Tripped {
            hits,
            baseline,
            samples,
            ..
        } = &tripped[0];
        assert_eq!((*hits, *baseline, samples.len()), (30, 0.0, SAMPLES_MAX));
        assert_eq!(samples[0], decision(29));
        flood.forgive(MemberId(MEMBER));
        check(&flood, std::iter::repeat_n(1, 31), &[29]);
    }

    #[test]
    fn hits_are_kept_once_and_old_members_forgotten() {
        let flood = flood();
        check(&flood, [0, 1, 61], &[]);
        let shadow = [found(MEMBER, "content.text", Some(Withheld::BankShadow))];
        flood.note(at(61), decision(9), &shadow);
        let kept: Vec<(i64, u64, u64)> = flood
            .take_unkept(at(61))
            .iter()
            .map(|h| (h.hour - hour_of(at(0)), h.hits, h.withheld))
            .collect();
        assert_eq!(kept, [(0, 2, 0), (1, 1, 1)]);
        assert!(flood.take_unkept(at(61)).is_empty());
        flood.take_unkept(at(61 + 60 * (BASELINE_HOURS + 2)));
        assert!(flood.lock().is_empty());
    }
}
