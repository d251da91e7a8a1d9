//! What watches over banks while a server runs: members that match too much go into quarantine, and
//! members that are new find what was uploaded before them.

use crate::banks::Followed;
use crate::clock;
use crate::flood::{BASELINE_HOURS, Flood, Quarantine, Tripped, hour_of};
use crate::matcher::Matcher;
use crate::past::Keeper;
use crate::recent::{Recent, later};
use crate::rulebook::Rulebook;
use manara_model::{Author, Decision, Match, Name};
use manara_store::{BankCursor, Store, StoreError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often hits are kept.
const KEPT_EVERY: Duration = Duration::from_secs(5);
/// How often new members are looked for.
const LOOKED_EVERY: Duration = Duration::from_millis(500);
/// Looking again may take so much of the time: one part in three.
const REST: u32 = 2;
/// The queue of cases about members.
const QUEUE: &str = "banks";
/// Their policy.
const POLICY: &str = "bank_quality";
/// A person should look at once: either much is acted on wrongly, or an attack goes on and the
/// member has no effect.
const PRIORITY: u8 = 9;
/// Under which name the place is kept up to which members were looked for.
const PROGRESS: &str = "recently_seen";

/// Counts hits, and takes members out of effect that match too much.
#[derive(Debug)]
pub(crate) struct Guard {
    flood: Arc<Flood>,
    tripped: mpsc::UnboundedSender<Tripped>,
}

impl Guard {
    /// Goes on where an earlier run has stopped. What it asks for is done by [`Guarding::run`].
    pub(crate) fn new(store: &Store, limits: Quarantine) -> Result<(Self, Guarding), StoreError> {
        let flood = Arc::new(Flood::new(limits));
        let since = hour_of(clock::now()) - BASELINE_HOURS;
        flood.load(store.read(|reader| reader.hits_since(since))?);
        let (tripped, asked) = mpsc::unbounded_channel();
        let guarding = Guarding {
            store: store.clone(),
            flood: Arc::clone(&flood),
            asked,
        };
        Ok((Self { flood, tripped }, guarding))
    }

    /// Counts what an event matched. A member for which it was too much has no effect from the next
    /// lookup on.
    pub(crate) fn note(&self, matcher: &Matcher, decision: &Decision, matches: &[Match]) {
        for withheld in matches.iter().filter_map(|m| m.withheld.as_ref()) {
            metrics::counter!("manara_matches_withheld_total", "why" => withheld.word())
                .increment(1);
        }
        for tripped in self.flood.note(decision.at, decision.id, matches) {
            self.flood.forgive(tripped.member);
            if matcher.quarantine(&tripped.bank, tripped.member) {
                metrics::counter!("manara_quarantined_total").increment(1);
                tracing::warn!(
                    bank = %tripped.bank, member = %tripped.member, hits = tripped.hits,
                    "member {} of bank {} goes into quarantine: {} events within an hour, {:.1} in a usual one",
                    tripped.member, tripped.bank, tripped.hits, tripped.baseline
                );
                // The other end lives as long as the server.
                let _ = self.tripped.send(tripped);
            }
        }
    }
}

/// The part of the guard that writes.
pub(crate) struct Guarding {
    store: Store,
    flood: Arc<Flood>,
    asked: mpsc::UnboundedReceiver<Tripped>,
}

impl Guarding {
    /// Keeps hits, and opens cases about members in quarantine.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(KEPT_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => self.keep_hits().await,
                tripped = self.asked.recv() => match tripped {
                    Some(tripped) => self.quarantine(tripped).await,
                    None => return self.keep_hits().await,
                },
            }
        }
    }

    async fn keep_hits(&self) {
        let now = clock::now();
        let unkept = self.flood.take_unkept(now);
        if unkept.is_empty() {
            return;
        }
        let oldest = hour_of(now) - BASELINE_HOURS - 1;
        let kept = self.store.write(move |tx| {
            let _ = tx.drop_hits_before(oldest)?;
            tx.add_hits(&unkept)
        });
        // They only make up the baseline, so that what is lost costs nothing but precision.
        if let Err(error) = kept.await {
            tracing::warn!("the hits of the last seconds were not kept: {error}");
        }
    }

    async fn quarantine(&self, tripped: Tripped) {
        let Tripped {
            bank,
            member,
            hits,
            baseline,
            samples,
        } = tripped;
        let reason = format!(
            "matched {hits} events within an hour, and {baseline:.1} in a usual hour of the last seven days"
        );
        let (Ok(queue), Ok(policy)) = (QUEUE.parse::<Name>(), POLICY.parse::<Name>()) else {
            return;
        };
        let name = bank.clone();
        let written = self.store.write(move |tx| {
            let now = clock::now();
            tx.quarantine(
                &name,
                member,
                &reason,
                &samples,
                &queue,
                &policy,
                PRIORITY,
                &Author::System,
                now,
            )
        });
        if let Err(error) = written.await {
            tracing::error!(
                "member {member} of bank {bank} has no effect until the server is restarted, and no case was opened: {error}"
            );
        }
    }
}

/// Looks for what was uploaded before the members that come.
pub(crate) struct Looking {
    pub(crate) store: Store,
    pub(crate) matcher: Arc<Matcher>,
    pub(crate) followed: Followed,
    pub(crate) rulebook: Arc<Rulebook>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) recent: Recent,
}

impl Looking {
    /// Follows the banks as long as the server runs.
    pub(crate) async fn run(self) {
        let this = Arc::new(self);
        let mut cursor = match this.start().await {
            Ok(cursor) => cursor,
            Err(error) => {
                tracing::error!("nothing will be looked for among what was seen recently: {error}");
                return;
            }
        };
        let mut rest = LOOKED_EVERY;
        loop {
            tokio::time::sleep(rest).await;
            let started = Instant::now();
            let looking = Arc::clone(&this);
            let looked = tokio::task::spawn_blocking(move || looking.look(&cursor));
            match looked.await {
                Ok(Ok(next)) => cursor = next,
                Ok(Err(error)) => {
                    tracing::warn!("looking again at what was seen recently: {error:#}");
                }
                Err(error) => {
                    tracing::error!("looking again at what was seen recently has ended: {error}");
                    return;
                }
            }
            rest = LOOKED_EVERY.max(started.elapsed() * REST);
        }
    }

    /// Where an earlier run has stopped; at the end, if there was none.
    async fn start(&self) -> Result<BankCursor, StoreError> {
        if let Some(kept) = self.store.read(|reader| reader.progress(PROGRESS))? {
            return Ok(kept);
        }
        let now = self.store.read(manara_store::Reader::bank_cursor)?;
        self.keep(now).await?;
        Ok(now)
    }

    async fn keep(&self, cursor: BankCursor) -> Result<(), StoreError> {
        let write = self
            .store
            .write(move |tx| tx.set_progress(PROGRESS, &cursor));
        write.await
    }

    fn look(&self, cursor: &BankCursor) -> anyhow::Result<BankCursor> {
        let now = self.store.read(manara_store::Reader::bank_cursor)?;
        // Of a large import the members are read once the matcher has them, and not at each look before.
        if now == *cursor || !self.followed.reaches(&now) {
            return Ok(*cursor);
        }
        let (rules, sets) = (self.rulebook.rules(), self.keeper.sets());
        let live = later::Live {
            matcher: &self.matcher,
            followed: &self.followed,
            rules: &rules,
            sets: &sets,
        };
        let Some((looked, next)) = later::look(&self.store, live, self.recent, cursor)? else {
            return Ok(*cursor);
        };
        if looked.matched > 0 {
            metrics::counter!("manara_found_later_total").increment(looked.matched);
            tracing::info!(
                "{} new members match {} of {} events seen recently: {} cases, {} left out",
                looked.members,
                looked.matched,
                looked.seen,
                looked.cases,
                looked.left_out
            );
        }
        self.store
            .write_blocking(move |tx| tx.set_progress(PROGRESS, &next))?;
        Ok(next)
    }
}
