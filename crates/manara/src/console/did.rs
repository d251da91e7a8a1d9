//! What each rule did: today, on each of the last two weeks' days, and when last.
//!
//! The store counts verdicts by day as it keeps decisions, so that this is a few short reads however
//! much was decided.

use crate::console::Error;
use crate::console::view::Count;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use manara_model::Name;
use manara_store::{Reader, Tally};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Days that are drawn, today the last of them.
pub(super) const DAYS: usize = 14;
/// How far back "last fired" looks, in days.
pub(super) const LAST_DAYS: i64 = 90;
const DAY_S: i64 = 86_400;

/// What one rule did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Did {
    /// On how many events it fired today and had its effect.
    pub(super) live: u64,
    /// On how many it fired without effect: in shadow, or on matches that are withheld.
    pub(super) shadow: u64,
    /// On how many it was kept from acting: by its share or a circuit breaker.
    pub(super) held: u64,
    /// What it asked for today where it had its effect, by kind: on how many events.
    pub(super) actions: BTreeMap<String, u64>,
    /// When it fired last, within [`LAST_DAYS`].
    pub(super) last: Option<Timestamp>,
    pub(super) days: Days,
}

/// On how many events something fired on each day, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Days([(u64, u64); DAYS]);

/// What all rules did up to now. Those that did nothing are left out.
pub(super) fn did(reader: &Reader, now: Timestamp) -> Result<HashMap<Name, Did>, Error> {
    let today = now.as_second().div_euclid(DAY_S);
    let mut all: HashMap<Name, Did> = HashMap::new();
    for tally in reader.tallies(today - LAST_DAYS + 1, today)? {
        let did = all.entry(tally.rule).or_default();
        did.last = did.last.max(Some(tally.last_at));
    }
    for (place, day) in (today - DAYS as i64 + 1..=today).enumerate() {
        for tally in reader.tallies(day, day)? {
            let did = all.entry(tally.rule.clone()).or_default();
            did.days.add(place, &tally);
            if day == today {
                did.add(tally);
            }
        }
    }
    Ok(all)
}

impl Did {
    fn add(&mut self, tally: Tally) {
        match tally.what.as_str() {
            "live" => self.live += tally.n,
            "shadow" => self.shadow += tally.n,
            "held" => self.held += tally.n,
            _ => *self.actions.entry(tally.what).or_default() += tally.n,
        }
    }
}

impl Days {
    fn add(&mut self, place: usize, tally: &Tally) {
        let Some((acted, without)) = self.0.get_mut(place) else {
            return;
        };
        match tally.what.as_str() {
            "live" => *acted += tally.n,
            "shadow" | "held" => *without += tally.n,
            _ => (),
        }
    }

    /// Whether there is anything to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|day| *day == (0, 0))
    }
}

/// Bars side by side, those with effect at the foot; the figures stand in its label.
impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let highest = self.0.iter().map(|(acted, without)| acted + without).max();
        let highest = highest.unwrap_or_default().max(1) as f64;
        f.write_str("<svg class=\"spark\" viewBox=\"0 0 70 20\" role=\"img\" aria-label=\"Events a day, oldest first:")?;
        for (acted, without) in self.0 {
            write!(f, " {}", Count(acted + without))?;
        }
        f.write_str("\">")?;
        for (place, (acted, without)) in self.0.into_iter().enumerate() {
            let x = place * 5;
            let low = acted as f64 * 19.0 / highest;
            let high = without as f64 * 19.0 / highest;
            write!(
                f,
                "<rect x=\"{x}\" y=\"{:.2}\" width=\"4\" height=\"{low:.2}\"/>",
                19.0 - low
            )?;
            write!(
                f,
                "<rect class=\"second\" x=\"{x}\" y=\"{:.2}\" width=\"4\" height=\"{high:.2}\"/>",
                19.0 - low - high
            )?;
        }
        f.write_str("<path d=\"M0 19.5H69\"/></svg>")
    }
}
impl HtmlSafe for Days {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_drawn_with_their_figures() {
        let mut days = Days::default();
        assert!(days.is_empty());
        let tally = |what: &str, n| Tally {
            rule: "links".parse().unwrap(),
            what: what.into(),
            n,
            last_at: Timestamp::UNIX_EPOCH,
        };
        days.add(0, &tally("live", 1_000));
        days.add(13, &tally("held", 300));
        days.add(13, &tally("shadow", 200));
        days.add(13, &tally("remove", 9));
        days.add(14, &tally("live", 9));
        let drawn = days.to_string();
        assert!(
            drawn.contains("oldest first: 1,000 0 0 0 0 0 0 0 0 0 0 0 0 500\""),
            "{drawn}"
        );
        assert!(drawn.contains("<rect x=\"0\" y=\"0.00\" width=\"4\" height=\"19.00\"/>"));
        assert!(
            drawn.contains("class=\"second\" x=\"65\" y=\"9.50\" width=\"4\" height=\"9.50\"/>")
        );
    }
}
