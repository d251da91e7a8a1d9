//! Back-off after failed logins: by login and address together, by login, and by address.
//!
//! The first few failures cost nothing; from then on each doubles the wait, up to fifteen minutes.
//! The pair of login and address is held to the strictest limit; a login alone is given more, so
//! that a stranger elsewhere cannot easily keep a reviewer out. An attempt counts as failed from
//! the moment it begins, so that many at once are no way around.

use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

const WAIT_MAX: SignedDuration = SignedDuration::from_mins(15);
/// Failures older than this are forgotten.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);
/// Most keys remembered; beyond it the oldest go first.
const KEYS_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Pair(String, Option<IpAddr>),
    Login(String),
    Address(Option<IpAddr>),
}

impl Key {
    /// Failures that cost nothing.
    fn free(&self) -> u32 {
        match self {
            Self::Pair(..) => 5,
            Self::Login(_) | Self::Address(_) => 30,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// What has failed lately.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<Key, Failures>>);

impl Throttle {
    /// Begins an attempt, or says for how long none may be made.
    pub(super) fn begin(
        &self,
        login: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), SignedDuration> {
        let mut failures = self.lock();
        let keys = keys(login, address);
        let wait = keys
            .iter()
            .filter_map(|key| wait(key, failures.get(key)?, now))
            .max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        make_room(&mut failures, now);
        for key in keys {
            let entry = failures.entry(key).or_insert(Failures {
                count: 0,
                last: now,
            });
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
        }
        Ok(())
    }

    /// The attempt was a good one: the login's failures are forgotten, the address's own stay.
    pub(super) fn succeeded(&self, login: &str, address: Option<IpAddr>) {
        let mut failures = self.lock();
        failures.remove(&Key::Pair(login.to_owned(), address));
        failures.remove(&Key::Login(login.to_owned()));
        if let Some(entry) = failures.get_mut(&Key::Address(address)) {
            entry.count = entry.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        // The map is whole after every statement, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keys(login: &str, address: Option<IpAddr>) -> [Key; 3] {
    [
        Key::Pair(login.to_owned(), address),
        Key::Login(login.to_owned()),
        Key::Address(address),
    ]
}

/// How much longer to wait, if at all.
fn wait(key: &Key, failures: &Failures, now: Timestamp) -> Option<SignedDuration> {
    let over = failures.count.checked_sub(key.free())?;
    let penalty = SignedDuration::from_secs(1_i64 << over.min(10)).min(WAIT_MAX);
    let left = penalty - now.duration_since(failures.last);
    left.is_positive().then_some(left)
}

fn make_room(failures: &mut HashMap<Key, Failures>, now: Timestamp) {
    if failures.len() + 3 <= KEYS_MAX {
        return;
    }
    failures.retain(|_, entry| now.duration_since(entry.last) < MEMORY);
    while failures.len() + 3 > KEYS_MAX {
        // A tenth at a time, so that a flood of names pays for sorting once in a thousand.
        let mut ages: Vec<Timestamp> = failures.values().map(|entry| entry.last).collect();
        ages.sort_unstable();
        let Some(oldest) = ages.get(KEYS_MAX / 10).copied() else {
            return failures.clear();
        };
        failures.retain(|_, entry| entry.last > oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }
    const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const AWAY: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn the_wait_doubles_and_ends() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.begin("noor", HOME, at(0)), Ok(()));
        }
        let mut now = 0;
        for doubled in 0..12 {
            let wait = throttle.begin("noor", HOME, at(now)).unwrap_err().as_secs();
            assert_eq!(wait, (1 << doubled).min(900));
            now += wait;
            assert_eq!(throttle.begin("noor", HOME, at(now)), Ok(()));
        }
    }

    #[test]
    fn others_are_not_kept_out() {
        let throttle = Throttle::default();
        for _ in 0..6 {
            let _ = throttle.begin("noor", HOME, at(0));
        }
        assert!(throttle.begin("noor", HOME, at(0)).is_err());
        assert_eq!(throttle.begin("noor", AWAY, at(0)), Ok(()));
        assert_eq!(throttle.begin("sami", HOME, at(0)), Ok(()));
    }

    #[test]
    fn many_addresses_against_one_login_are_slowed_as_well() {
        let throttle = Throttle::default();
        let address = |n: u8| Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, n)));
        let refused = (0..60)
            .filter(|n| throttle.begin("noor", address(*n), at(0)).is_err())
            .count();
        assert_eq!(refused, 30);
    }

    #[test]
    fn success_forgives() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            let _ = throttle.begin("noor", HOME, at(0));
        }
        throttle.succeeded("noor", HOME);
        for _ in 0..5 {
            assert_eq!(throttle.begin("noor", HOME, at(0)), Ok(()));
        }
    }

    #[test]
    fn a_flood_of_names_takes_bounded_memory() {
        let throttle = Throttle::default();
        for n in 0..20_000 {
            let _ = throttle.begin(&format!("name{n}"), None, at(n * 2000));
        }
        assert!(throttle.lock().len() <= KEYS_MAX);
        for n in 0..20_000 {
            let address = Some(IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8]));
            let _ = throttle.begin(&format!("again{n}"), address, at(90_000_000));
        }
        assert!(throttle.lock().len() <= KEYS_MAX);
    }
}
