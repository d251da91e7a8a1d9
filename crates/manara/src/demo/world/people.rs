//! Who is on the invented platform, and since when.

use super::naming;
use super::prng::Prng;
use jiff::{SignedDuration, Timestamp};
use manara_model::{Account, Space};

/// Accounts that were there before the day began.
const RESIDENTS: usize = 640;
/// Accounts of the Order's followers, made in the days before.
const FOLLOWERS: usize = 46;
const CHANNELS: usize = 70;

/// Everybody, and the channels they talk in.
#[derive(Debug)]
pub(crate) struct People {
    residents: Vec<Account>,
    followers: Vec<Account>,
    /// In the order in which they join during the day.
    newcomers: Vec<Account>,
    spaces: Vec<Space>,
}

impl People {
    /// Settles the platform; `joining` are the times at which newcomers make their accounts.
    pub(crate) fn settle(day_start: Timestamp, joining: &[Timestamp], prng: &Prng) -> Self {
        let mut prng = prng.fork(5);
        let mut number = 0;
        let mut account = |created_at: Timestamp, followers_max: i64, prng: &mut Prng| {
            number += 1;
            Account {
                id: format!("a-{number}"),
                handle: Some(naming::everyday_handle(number, prng)),
                display_name: prng
                    .chance(0.7)
                    .then(|| naming::everyday_display_name(prng)),
                created_at: Some(created_at),
                followers: Some(prng.int(0..followers_max) as u64),
            }
        };
        let ago = |hours: i64| before(day_start, SignedDuration::from_hours(hours));
        let residents = (0..RESIDENTS)
            .map(|_| account(ago(prng.int(24 * 30..24 * 3000)), 4000, &mut prng))
            .collect();
        let followers = (0..FOLLOWERS)
            .map(|_| account(ago(prng.int(1..24 * 5)), 60, &mut prng))
            .collect();
        let newcomers = joining
            .iter()
            .map(|at| account(*at, 5, &mut prng))
            .collect();
        let spaces = (0..CHANNELS)
            .map(|i| everyday_space(i, &mut prng))
            .collect();
        Self {
            residents,
            followers,
            newcomers,
            spaces,
        }
    }

    /// Anybody who has an account at that time.
    pub(crate) fn anybody(&self, at: Timestamp, prng: &mut Prng) -> Account {
        let joined = self
            .newcomers
            .partition_point(|a| a.created_at.is_some_and(|c| c < at));
        match self.newcomers.get(prng.below(joined)) {
            Some(newcomer) if joined > 0 && prng.chance(0.15) => newcomer.clone(),
            _ => self.resident(prng),
        }
    }

    /// Somebody who has been here for a month or longer.
    pub(crate) fn resident(&self, prng: &mut Prng) -> Account {
        prng.pick(&self.residents).clone()
    }

    /// Who posts for the Order: mostly young accounts of its own, sometimes somebody who was here before.
    pub(crate) fn follower(&self, prng: &mut Prng) -> Account {
        if prng.chance(0.75) {
            prng.pick(&self.followers).clone()
        } else {
            self.resident(prng)
        }
    }

    /// One of the accounts made during the day.
    pub(crate) fn newcomer(&self, index: usize) -> Option<&Account> {
        self.newcomers.get(index)
    }

    pub(crate) fn space(&self, prng: &mut Prng) -> Space {
        prng.pick(&self.spaces).clone()
    }
}

/// An account that is only seen once, made moments before `at`.
pub(crate) fn fresh_account(
    id: String,
    handle: String,
    display_name: Option<String>,
    at: Timestamp,
) -> Account {
    Account {
        id,
        handle: Some(handle),
        display_name,
        created_at: Some(at),
        followers: Some(0),
    }
}

/// An everyday channel; `number` tells it from others of the same name.
pub(crate) fn everyday_space(number: usize, prng: &mut Prng) -> Space {
    Space {
        id: format!("c-{number}"),
        kind: Some("channel".into()),
        name: Some(naming::everyday_space(number, prng)),
        members: Some(prng.int(3..9000) as u64),
        admission: Some((*prng.pick(&["automatic", "approval", "invite"])).to_owned()),
    }
}

/// `at` less `span`; the same time when the calendar does not reach back that far.
pub(crate) fn before(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_sub(span).unwrap_or(at)
}
