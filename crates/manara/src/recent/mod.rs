//! Recently seen: the events of the last days, looked at again with other banks than there were.
//!
//! ```text
//! a change that is only thought of ── preview ──▶ what it would have matched, with samples
//! members that were added ─────────── later ────▶ cases of what was uploaded before them
//! nothing in particular ───────────── similar ──▶ uploads that are nearly the same
//! ```
//! Events are kept with all forms of their images, so looking again needs no medium. All three read
//! the same stream, newest first, no further back than the [`Window`].

pub(crate) mod later;
pub(crate) mod preview;
pub(crate) mod similar;

use crate::clock;
use crate::forms;
use crate::matcher::{Matcher, MediaSignals};
use jiff::{SignedDuration, Timestamp};
use manara_model::{Match, MediaFacts, Medium};
use manara_signal::pdq::PdqHash;
use manara_store::{Reader, RecentEvent, StoreError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Events looked up together.
const TOGETHER: usize = 256;

/// How far back "recently" goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recent {
    /// 0: nothing was seen recently.
    pub(crate) days: u32,
    pub(crate) events_max: usize,
    /// Most cases that are opened for what was uploaded before the members that were added together.
    pub(crate) cases_max: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            days: 7,
            events_max: 1_000_000,
            cases_max: 100,
        }
    }
}

impl Recent {
    /// The window that ends now.
    pub(crate) fn window(self) -> Window {
        let length = SignedDuration::from_hours(24 * i64::from(self.days));
        let now = clock::now();
        Window {
            since: now.checked_sub(length).unwrap_or(Timestamp::UNIX_EPOCH),
            events_max: if self.days == 0 { 0 } else { self.events_max },
        }
    }
}

/// Which events count as recently seen: those received since then, and the newest so many of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) since: Timestamp,
    pub(crate) events_max: usize,
}

/// Looks up what was recently seen, newest first, and tells `each` of every event with its matches.
/// Says how many events there were.
pub(crate) fn sweep(
    reader: &Reader,
    matcher: &Matcher,
    window: Window,
    mut each: impl FnMut(RecentEvent, Vec<Match>),
) -> Result<u64, StoreError> {
    let mut seen = 0;
    let mut waiting: Vec<RecentEvent> = Vec::with_capacity(TOGETHER);
    let mut look = |waiting: &mut Vec<RecentEvent>| {
        let signals: Vec<Vec<MediaSignals>> = waiting.iter().map(signals_of).collect();
        let events = waiting.iter().zip(&signals);
        let matches = matcher
            .matches_of_events(events.map(|(it, media)| (&it.event, &media[..], it.received_at)));
        for (event, matches) in waiting.drain(..).zip(matches) {
            each(event, matches);
        }
    };
    reader.recent_events(window.since, None, window.events_max, &mut |event| {
        seen += 1;
        waiting.push(event);
        if waiting.len() == TOGETHER {
            look(&mut waiting);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    look(&mut waiting);
    Ok(seen)
}

/// What was looked up of an event's media when it came.
pub(crate) fn signals_of(event: &RecentEvent) -> Vec<MediaSignals> {
    let media = event.event.media().iter().zip(&event.media);
    media
        .map(|(medium, facts)| of_medium(medium, facts))
        .collect()
}

fn of_medium(medium: &Medium, facts: &MediaFacts) -> MediaSignals {
    let sent = MediaSignals::sent(medium);
    let forms = facts.forms.iter().map(|form| {
        let hash = PdqHash {
            hash: form.hash,
            quality: form.quality,
        };
        (hash, Cow::Owned(form.form.clone()))
    });
    let pdq = if facts.forms.is_empty() {
        sent.pdq
    } else {
        forms.collect()
    };
    MediaSignals {
        facts: facts.clone(),
        exact: sent.exact,
        pdq,
    }
}

/// The name of the form that is the image as stored.
const STORED: &str = forms::STORED;
