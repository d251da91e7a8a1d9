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
use manara_signal::Signal;
use manara_signal::pdq::PdqHash;
use manara_store::{Reader, RecentEvent, RecentRow, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

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

/// Shows `look` everything that was recently seen, a few hundred events at a time and on several
/// threads, and gives `each` what it made of them, the newest first. Says how many events there were.
///
/// A million events take seconds of every core that is given to them. So half of the cores are left to
/// the events that come meanwhile, and no snapshot is held for longer than a few thousand events are
/// read. (To let these threads run at a low priority is worse: they hold locks of the allocator and of
/// SQLite for moments, and whoever has none of the processor's time holds them long.)
pub(crate) fn sweep<T: Send>(
    store: &Store,
    window: Window,
    look: impl Fn(&[RecentRow]) -> Result<T, StoreError> + Sync,
    mut each: impl FnMut(T),
) -> Result<u64, StoreError> {
    let look = &look;
    thread::scope(|scope| {
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..threads() {
            let (give, rows) = sync_channel(WAITING_MAX);
            let (tell, told) = sync_channel(WAITING_MAX);
            given.push(give);
            taken.push(told);
            scope.spawn(move || looking(&rows, &tell, look));
        }
        scope.spawn(move || reading(store, window, &given));
        let mut seen = 0;
        // The pages went out in turn, so they are taken back in turn; who has none ends it.
        for told in taken.iter().cycle() {
            let Ok(told) = told.recv() else { break };
            let (events, told) = told?;
            seen += events;
            each(told);
        }
        Ok(seen)
    })
}

/// Pages that wait before or behind each thread.
const WAITING_MAX: usize = 2;
/// Most threads that look.
const THREADS_MAX: usize = 8;
/// Pages read on one snapshot.
const PAGES: usize = 16;

fn threads() -> usize {
    thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, THREADS_MAX))
}

type Page = Result<Vec<RecentRow>, StoreError>;

/// Reads page after page, for one thread after the other, until there are no more or nobody listens.
fn reading(store: &Store, window: Window, given: &[SyncSender<Page>]) {
    let (mut left, mut before) = (window.events_max, None);
    let mut given = given.iter().cycle();
    let mut give = |page| given.next().is_some_and(|to| to.send(page).is_ok());
    loop {
        let room = left.min(PAGES * TOGETHER);
        let (mut rows, more) = match store.read(|r| r.recent_page(window.since, before, room)) {
            Ok((rows, more)) => (rows.into_iter().peekable(), more),
            Err(error) => {
                give(Err(error));
                return;
            }
        };
        left -= rows.len();
        while rows.peek().is_some() {
            if !give(Ok(rows.by_ref().take(TOGETHER).collect())) {
                return;
            }
        }
        if more.is_none() || left == 0 {
            return;
        }
        before = more;
    }
}

/// Looks at page after page, and tells how many events there were and what came of them.
fn looking<T>(
    pages: &Receiver<Page>,
    tell: &SyncSender<Result<(u64, T), StoreError>>,
    look: &impl Fn(&[RecentRow]) -> Result<T, StoreError>,
) {
    for page in pages {
        let told = page.and_then(|rows| Ok((rows.len() as u64, look(&rows)?)));
        let failed = told.is_err();
        if tell.send(told).is_err() || failed {
            return;
        }
    }
}

/// These events, without those in which a matcher that asks for media only could find nothing.
pub(crate) fn events_of(
    rows: &[RecentRow],
    media_only: bool,
) -> Result<Vec<RecentEvent>, StoreError> {
    let wanted = rows.iter().filter(|row| row.has_media() || !media_only);
    wanted.map(RecentRow::event).collect()
}

/// What a matcher finds in each of these events, images together.
pub(crate) fn matches_in(matcher: &Matcher, events: &[RecentEvent]) -> Vec<Vec<Match>> {
    let signals: Vec<Vec<MediaSignals>> = events.iter().map(signals_of).collect();
    let events = events.iter().zip(&signals);
    matcher.matches_of_events(events.map(|(it, media)| (&it.event, &media[..], it.received_at)))
}

/// Looks up the newest few events, newest first, and tells `each` of every one with its matches. Says
/// how many events there were. Unlike [`sweep`] on the thread and the snapshot of whoever asks.
pub(crate) fn sweep_few(
    reader: &Reader,
    matcher: &Matcher,
    window: Window,
    mut each: impl FnMut(RecentEvent, Vec<Match>),
) -> Result<u64, StoreError> {
    let (rows, _) = reader.recent_page(window.since, None, window.events_max)?;
    for rows in rows.chunks(TOGETHER) {
        let events = events_of(rows, matcher.asks_for_media_only())?;
        let matches = matches_in(matcher, &events);
        for (event, matches) in events.into_iter().zip(matches) {
            each(event, matches);
        }
    }
    Ok(rows.len() as u64)
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
    let hashes = facts.hashes.iter();
    let read: Vec<Signal> = hashes
        .filter_map(|(of, hash)| Signal::parse(*of, hash).ok())
        .collect();
    MediaSignals {
        facts: facts.clone(),
        exact: if read.is_empty() { sent.exact } else { read },
        pdq,
    }
}

/// The name of the form that is the image as stored.
const STORED: &str = forms::STORED;

#[cfg(test)]
mod tests {
    use super::*;
    use manara_model::{Author, Decision, DecisionId, Event, Origin};
    use manara_store::{NewEvent, Options};

    const EVENTS: u64 = 1500;

    fn store(folder: &std::path::Path) -> Store {
        let options = Options {
            audit_seed: [7; 32],
            origin: "t.example/log".into(),
            max_bytes: None,
            readers: 1,
        };
        let store = Store::open(&folder.join("t.db"), options).unwrap();
        let events = (0..EVENTS).map(event).collect();
        store
            .write_blocking(move |tx| tx.record_events(events))
            .unwrap();
        store
    }

    fn event(number: u64) -> NewEvent {
        let json = format!(
            r#"{{"id":"{number}","source":"t.example","type":"post.created","time":"2026-11-22T10:15:00Z","content":{{"id":"p"}}}}"#
        );
        let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&number.to_le_bytes());
        NewEvent {
            body: json,
            media: Vec::new(),
            fingerprint,
            received_at: event.time,
            decision: Decision {
                id: DecisionId::new(1, number.into()),
                author: Author::Rules,
                at: event.time,
                event: Some((event.source.clone(), event.id.clone())),
                case: None,
                verdicts: Vec::new(),
                actions: Vec::new(),
                note: String::new(),
            },
            previews: Vec::new(),
            event,
        }
    }

    fn window(events_max: usize) -> Window {
        Window {
            since: Timestamp::UNIX_EPOCH,
            events_max,
        }
    }

    /// Asserts that the newest so many events are seen, the newest first.
    #[track_caller]
    fn check(store: &Store, events_max: usize, expect: u64) {
        let ids = |rows: &[RecentRow]| -> Result<Vec<u64>, StoreError> {
            let events = events_of(rows, false)?;
            Ok(events
                .iter()
                .map(|it| it.event.id.parse().unwrap())
                .collect())
        };
        let mut all = Vec::new();
        let seen = sweep(store, window(events_max), ids, |ids| all.extend(ids)).unwrap();
        assert_eq!(seen, expect);
        assert!(all.iter().copied().eq((EVENTS - expect..EVENTS).rev()));
    }

    #[test]
    fn all_that_was_seen_is_looked_at_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        check(&store, usize::MAX, EVENTS);
        check(&store, 1024, 1024);
        check(&store, 700, 700);
        check(&store, 1, 1);
        check(&store, 0, 0);
    }

    #[test]
    fn what_goes_wrong_on_any_thread_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let fails = |rows: &[RecentRow]| match rows.first().map(RecentRow::event) {
            Some(Ok(first)) if first.event.id == "987" => Err(StoreError::Aborted("no".into())),
            _ => Ok(()),
        };
        let mut pages = 0;
        let ended = sweep(&store, window(usize::MAX), fails, |()| pages += 1);
        assert_eq!((ended, pages), (Err(StoreError::Aborted("no".into())), 2));
    }
}
