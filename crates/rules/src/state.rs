//! State: what is remembered from event to event, in the order of the log.
//!
//! Counters, what fired once, and how often rules have acted. It lives in memory, follows from the log
//! alone, and every change can be undone as long as its [`Undo`] is held, so that it never knows of an
//! event that was not kept.
//!
//! ```text
//!   Begun ── count ──▶ Readings ── judge ──▶ Judged ── settle ──▶ verdicts, breakers that open
//!            adds the    what counters        which rules   once per, share,
//!            event       read                 fire          circuit breakers
//! ```
//! Live evaluation and a back-test go through the same three steps.

use crate::counters::{self, Input, Key, KeyHasher, Kind, Reading, Value, Window};
use crate::env::{Ctx, Memo};
use crate::evaluation::Begun;
use crate::memory::{Memory, Remembered};
use crate::ruleset::{Counter, CounterFunction, Program, Rule, RuleSet};
use crate::types::Type;
use jiff::{SignedDuration, Timestamp};
use manara_model::{EntityType, Event, Facts, Held, Mode, Name, RuleMode, Verdict};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;

/// How often rules may act before a circuit breaker opens; 0: as often as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakers {
    /// Events within an hour, for a rule that removes, suspends, restricts or demonetises.
    pub rule_hour: u32,
    /// The same within a day.
    pub rule_day: u32,
    /// Events within an hour, for a rule that does none of these.
    pub mild_rule_hour: u32,
    /// The same within a day.
    pub mild_rule_day: u32,
    /// Verdicts within an hour that remove, suspend, restrict or demonetise, of all rules together.
    pub server_hour: u32,
    /// The same within a day.
    pub server_day: u32,
}

impl Breakers {
    /// None ever opens, unless a rule names a limit of its own.
    pub const NONE: Self = Self {
        rule_hour: 0,
        rule_day: 0,
        mild_rule_hour: 0,
        mild_rule_day: 0,
        server_hour: 0,
        server_day: 0,
    };
}

impl Default for Breakers {
    fn default() -> Self {
        Self {
            rule_hour: 500,
            rule_day: 2_000,
            mild_rule_hour: 5_000,
            mild_rule_day: 20_000,
            server_hour: 2_000,
            server_day: 10_000,
        }
    }
}

/// What a [`State`] is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Makes the keys of counters, so that nobody outside can make two of them collide.
    pub keys: KeyHasher,
    /// Most keys of one counter.
    pub keys_max: usize,
    /// How often rules may act.
    pub breakers: Breakers,
}

/// Whether a circuit breaker is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Whether it is open now.
    pub is_open: bool,
    /// How often it had opened. What was counted before a reset does not count again.
    pub times: u64,
}

/// What is remembered elsewhere: by the store of a server, or by a back-test. `None` where it is not known.
pub trait Past: fmt::Debug {
    /// Whether an entity carries a label at that time.
    fn has_label(&self, entity: EntityType, id: &str, label: &str, at: Timestamp) -> Option<bool>;
    /// The weight of an account's strikes up to `until` that nobody took back, since a time or all.
    fn strikes(&self, account: &str, since: Option<Timestamp>, until: Timestamp) -> Option<u64>;
    /// Whether a set kept by operators holds a text.
    fn in_set(&self, set: &str, item: &str) -> Option<bool>;
    /// The circuit breaker of a rule, or, with `None`, of all: whether it is open now, and how often it had opened
    /// up to a time.
    fn stopped(&self, rule: Option<&Name>, at: Timestamp) -> Stopped;
}

/// A rule that fires, before it is known whether it may act.
#[derive(Debug, Clone)]
pub struct Judged {
    rule: usize,
    once: Option<Key>,
    /// What it says.
    pub verdict: Verdict,
}

/// A circuit breaker that opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The rule; without one, all rules.
    pub rule: Option<Name>,
    /// The policy of the rule whose verdict was one too many.
    pub policy: Name,
    /// In words: how often it acted, and how often it may.
    pub why: String,
}

/// What counters read for one event, by their numbers.
#[derive(Debug, Clone, Default)]
pub struct Readings(Vec<(usize, Option<Remembered>)>);

impl Readings {
    /// Says what a counter reads, whatever was counted.
    pub(crate) fn set(&mut self, number: usize, value: Remembered) {
        self.0.insert(0, (number, Some(value)));
    }
}

/// What it takes to undo the changes of one event or several: for each counter, what it had before the first.
#[derive(Debug, Default)]
pub struct Undo {
    changes: Vec<Change>,
    forgets: bool,
}

impl Undo {
    /// Remembers nothing, for changes that stay whatever happens: those of a log that is read again.
    pub fn none() -> Self {
        Self {
            changes: Vec::new(),
            forgets: true,
        }
    }

    /// Where to note what is before in one counter.
    fn of(&mut self, what: What, counter: &counters::Counter) -> Option<&mut counters::Undo> {
        if self.forgets {
            return None;
        }
        let known = self.changes.iter().position(|it| it.what == what);
        let at = known.unwrap_or_else(|| {
            self.changes.push(Change {
                what,
                undo: counter.begin(),
            });
            self.changes.len() - 1
        });
        self.changes.get_mut(at).map(|it| &mut it.undo)
    }
}

#[derive(Debug)]
struct Change {
    what: What,
    undo: counters::Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Declared(usize),
    Once(usize),
    Hour,
    Day,
}

/// What begins empty with other rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fresh {
    /// Declared counters, by number.
    pub counters: Vec<usize>,
    /// Rules that fire once per something, by number.
    pub once: Vec<usize>,
}

impl Fresh {
    /// Whether all is as before.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.once.is_empty()
    }
}

/// What is remembered from event to event.
#[derive(Debug)]
pub struct State {
    /// The rules it remembers for, as [`RuleSet::fingerprint`] tells them apart.
    adopted: [u8; 32],
    settings: Settings,
    /// One for each declared counter, in their order.
    declared: Vec<Kept>,
    /// For rules that fire once per something, by the rule's number.
    once: HashMap<usize, Kept>,
    /// Events on which rules acted, by rule.
    hour: counters::Counter,
    day: counters::Counter,
    /// When the newest event counted, in milliseconds since 1970: what lies a window before it has expired,
    /// whatever a clock says, so that an archive that is sent late is counted like anything else.
    newest: i64,
}

/// A counter, and what it counts.
#[derive(Debug, Clone)]
struct Kept {
    hash: [u8; 32],
    counter: counters::Counter,
}

/// How far back circuit breakers count, and an hour more for clocks that were set.
const BREAKERS_REACH: SignedDuration = SignedDuration::from_hours(25);
/// Rules that circuit breakers count; there are never as many.
const BREAKER_KEYS_MAX: usize = 100_000;
/// In which states are kept: what they begin with, and in which form the rest is.
const MAGIC: &[u8; 8] = b"MSTATE01";

/// When an event counts: when it happened, or when it came if it claims to be of the future.
pub(crate) fn counted_at(event: &Event, received_at: Timestamp) -> i64 {
    event.time.min(received_at).as_millisecond()
}

impl State {
    /// Nothing has happened yet.
    pub fn new(rules: &RuleSet, settings: Settings) -> Self {
        let count = |window| counters::Counter::new(Kind::Count, window, BREAKER_KEYS_MAX);
        let mut state = Self {
            adopted: rules.fingerprint(),
            settings,
            declared: Vec::new(),
            once: HashMap::new(),
            hour: count(Window::HOUR),
            day: count(Window::DAY),
            newest: i64::MIN,
        };
        state.adopt(rules);
        state
    }

    /// Whether these are the rules it remembers for. It must be asked with no others.
    pub fn is_for(&self, rules: &RuleSet) -> bool {
        self.adopted == rules.fingerprint()
    }

    /// The hasher that events are begun with.
    pub fn keys(&self) -> &KeyHasher {
        &self.settings.keys
    }

    /// Goes on with other rules. Counters that are declared as before stay as they are; those that are new
    /// begin empty and are answered, so that they can be filled from the log.
    pub fn adopt(&mut self, rules: &RuleSet) -> Fresh {
        let mut earlier: HashMap<[u8; 32], counters::Counter> = HashMap::new();
        let kept = self
            .declared
            .drain(..)
            .chain(self.once.drain().map(|(_, it)| it));
        earlier.extend(kept.map(|it| (it.hash, it.counter)));
        let mut fresh = Fresh::default();
        for (number, declared) in rules.counters.iter().enumerate() {
            let kind = kind_of(declared);
            let counter = earlier.remove(&declared.hash).unwrap_or_else(|| {
                fresh.counters.push(number);
                counters::Counter::new(kind, declared.window, self.settings.keys_max)
            });
            self.declared.push(Kept {
                hash: declared.hash,
                counter,
            });
        }
        for number in 0..rules.rules().len() {
            let Some((hash, window)) = rules.rule(number).and_then(once_of) else {
                continue;
            };
            let counter = earlier.remove(&hash).unwrap_or_else(|| {
                fresh.once.push(number);
                counters::Counter::new(Kind::Count, window, self.settings.keys_max)
            });
            self.once.insert(number, Kept { hash, counter });
        }
        self.adopted = rules.fingerprint();
        fresh
    }

    /// Takes over what is new from a state that was filled for the same rules.
    pub fn take(&mut self, from: &Self, fresh: &Fresh) {
        for rule in &fresh.once {
            if let (Some(to), Some(from)) = (self.once.get_mut(rule), from.once.get(rule))
                && to.hash == from.hash
            {
                to.counter = from.counter.clone();
            }
        }
        for number in &fresh.counters {
            let (Some(to), Some(from)) =
                (self.declared.get_mut(*number), from.declared.get(*number))
            else {
                continue;
            };
            if to.hash == from.hash {
                to.counter = from.counter.clone();
            }
        }
    }

    /// Brings near what these events will add to and read, so that the waits for memory overlap. Changes
    /// nothing.
    pub fn warm<'b>(&self, events: impl IntoIterator<Item = &'b Begun>) {
        for begun in events {
            let added = begun.inputs.iter().map(|(number, key, _)| (*number, *key));
            for (number, key) in added.chain(begun.reads.iter().copied()) {
                if let Some(kept) = self.declared.get(number) {
                    kept.counter.warm([key]);
                }
            }
        }
    }

    /// Adds the event to the counters that count it, and reads those that its rules ask for. A count,
    /// a number of different values and a sum have the event in them; what was last has not.
    pub fn count(
        &mut self,
        rules: &RuleSet,
        begun: &Begun,
        event: &Event,
        received_at: Timestamp,
        undo: &mut Undo,
    ) -> Readings {
        let (at, now) = (counted_at(event, received_at), received_at.as_millisecond());
        self.newest = self.newest.max(at).min(now);
        let mut readings = Vec::with_capacity(begun.reads.len());
        for (number, key) in &begun.reads {
            if is_last(rules, *number) {
                readings.push((*number, self.read(rules, *number, *key, at)));
            }
        }
        for (number, key, input) in &begun.inputs {
            self.add(
                What::Declared(*number),
                *key,
                (at, now),
                input.clone(),
                undo,
            );
        }
        for (number, key) in &begun.reads {
            if !is_last(rules, *number) {
                readings.push((*number, self.read(rules, *number, *key, at)));
            }
        }
        Readings(readings)
    }

    /// Which rules fire, in their order, now that it is known what happened before. Changes nothing.
    pub fn judge(
        &self,
        rules: &RuleSet,
        facts: &Facts<'_>,
        begun: Begun,
        readings: &Readings,
        past: &dyn Past,
    ) -> Vec<Judged> {
        let Begun {
            fired,
            waiting,
            once,
            ..
        } = begun;
        let mut judged: Vec<Judged> = fired
            .into_iter()
            .map(|(rule, verdict)| Judged {
                rule,
                once: None,
                verdict,
            })
            .collect();
        if waiting.is_empty() {
            return judged;
        }
        let memory = OfEvent {
            facts,
            readings,
            past,
        };
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &rules.shared, &memo).remembering(&memory);
        for rule in waiting {
            let key = once.iter().find(|(of, _)| *of == rule).map(|(_, key)| *key);
            if !self.may_fire(rule, key, facts.event, facts.received_at) {
                continue;
            }
            if let Some(verdict) = rules.judged(rule, &ctx) {
                judged.push(Judged {
                    rule,
                    once: key,
                    verdict,
                });
            }
        }
        judged.sort_by_key(|it| it.rule);
        judged
    }

    /// Decides which of the verdicts act: remembers what fires once, leaves out what is outside a rule's
    /// share, and opens circuit breakers. What may not act is in shadow and says why.
    pub fn settle(
        &mut self,
        rules: &RuleSet,
        judged: Vec<Judged>,
        event: &Event,
        received_at: Timestamp,
        past: &dyn Past,
        undo: &mut Undo,
    ) -> (Vec<Verdict>, Vec<Opened>) {
        let (mut verdicts, mut opened) = (Vec::with_capacity(judged.len()), Vec::new());
        for Judged {
            rule,
            once,
            mut verdict,
        } in judged
        {
            if let Some(key) = once {
                self.fired(rule, key, event, received_at, undo);
            }
            if verdict.mode == Mode::Live {
                verdict.held = self.held(
                    rules,
                    rule,
                    &verdict,
                    event,
                    received_at,
                    past,
                    &mut opened,
                    undo,
                );
                if verdict.held.is_some() {
                    verdict.mode = Mode::Shadow;
                }
            }
            verdicts.push(verdict);
        }
        (verdicts, opened)
    }

    /// Remembers an event that was decided on earlier, with the verdicts as they were then.
    pub fn replay(
        &mut self,
        rules: &RuleSet,
        facts: &Facts<'_>,
        begun: &Begun,
        verdicts: &[Verdict],
        past: &dyn Past,
    ) {
        let mut undo = Undo::none();
        self.count(rules, begun, facts.event, facts.received_at, &mut undo);
        for verdict in verdicts {
            self.replay_verdict(rules, facts, verdict, past, &mut undo);
        }
    }

    fn replay_verdict(
        &mut self,
        rules: &RuleSet,
        facts: &Facts<'_>,
        verdict: &Verdict,
        past: &dyn Past,
        undo: &mut Undo,
    ) {
        let mut known = rules.rules().iter();
        let Some(rule) = known.position(|rule| rule.name == verdict.rule) else {
            return;
        };
        if let Some(key) = rules.once_key(rule, facts, &self.settings.keys) {
            self.fired(rule, key, facts.event, facts.received_at, undo);
        }
        if verdict.mode == Mode::Live {
            let received_at = facts.received_at;
            self.acted(&verdict.rule, is_severe(verdict), received_at, past, undo);
        }
    }

    /// Puts back what was before. Of several undos the newest goes first.
    pub fn undo(&mut self, undo: Undo) {
        for change in undo.changes {
            if let Some(counter) = self.counter_mut(change.what) {
                counter.undo(change.undo);
            }
        }
    }

    /// Gives back memory of what has expired, a few parts of each counter at a time.
    pub fn sweep(&mut self) {
        let now = self.newest;
        for kept in self.declared.iter_mut().chain(self.once.values_mut()) {
            kept.counter.sweep(now, 4);
        }
    }

    /// Each declared counter with what it holds.
    pub fn declared<'a>(
        &'a self,
        rules: &'a RuleSet,
    ) -> impl Iterator<Item = (&'a Counter, &'a counters::Counter)> {
        let kept = self.declared.iter().map(|kept| &kept.counter);
        rules.counters.iter().zip(kept)
    }

    /// Memory taken by all that is remembered, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let kept = self.declared.iter().chain(self.once.values());
        kept.map(|it| it.counter.memory_bytes()).sum()
    }

    // ---- counters ----

    fn read(&self, rules: &RuleSet, number: usize, key: Key, at: i64) -> Option<Remembered> {
        let (kept, declared) = (self.declared.get(number)?, rules.counters.get(number)?);
        match kept.counter.read(key, at) {
            Reading::Count(n) | Reading::Distinct { value: n, .. } => {
                Some(Remembered::Int(i64::try_from(n).unwrap_or(i64::MAX)))
            }
            Reading::SumInt(sum) => Some(Remembered::Int(sum)),
            Reading::SumFloat(sum) => Some(Remembered::Float(sum)),
            Reading::Last(value) => value.and_then(|value| recalled(value, &declared.ty)),
        }
    }

    /// Adds what counts at a time when the clock says another.
    fn add(&mut self, what: What, key: Key, (at, now): (i64, i64), input: Input, undo: &mut Undo) {
        let Some(counter) = self.counter_mut(what) else {
            return;
        };
        let mut none = counters::Undo::none();
        let undo = undo.of(what, counter).unwrap_or(&mut none);
        // A number that is not finite and a text that is too long were left out when the event was begun.
        let _refused = counter.add_by_clock(key, at, now, input, undo);
    }

    fn counter_mut(&mut self, what: What) -> Option<&mut counters::Counter> {
        match what {
            What::Declared(number) => self.declared.get_mut(number).map(|it| &mut it.counter),
            What::Once(rule) => self.once.get_mut(&rule).map(|it| &mut it.counter),
            What::Hour => Some(&mut self.hour),
            What::Day => Some(&mut self.day),
        }
    }

    // ---- once per, shares and circuit breakers ----

    /// Whether a rule has not fired for this key yet. One whose key is unknown never fires.
    fn may_fire(
        &self,
        rule: usize,
        key: Option<Key>,
        event: &Event,
        received_at: Timestamp,
    ) -> bool {
        match (self.once.get(&rule), key) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(kept), Some(key)) => {
                let at = fired_at(&kept.counter, key, event, received_at);
                kept.counter.read(key, at) == Reading::Count(0)
            }
        }
    }

    /// Remembers that a rule that fires once has fired.
    fn fired(
        &mut self,
        rule: usize,
        key: Key,
        event: &Event,
        received_at: Timestamp,
        undo: &mut Undo,
    ) {
        if let Some(kept) = self.once.get(&rule) {
            let at = fired_at(&kept.counter, key, event, received_at);
            self.add(What::Once(rule), key, (at, at), Input::Event, undo);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what decides over a verdict comes from as many places"
    )]
    fn held(
        &mut self,
        rules: &RuleSet,
        rule: usize,
        verdict: &Verdict,
        event: &Event,
        received_at: Timestamp,
        past: &dyn Past,
        opened: &mut Vec<Opened>,
        undo: &mut Undo,
    ) -> Option<Held> {
        let (rule, _) = rules.rule(rule)?;
        if let RuleMode::Share(share) = rule.mode
            && !in_share(&rule.name, event, share)
        {
            return Some(Held::Share);
        }
        let has_opened =
            |opened: &[Opened], of: Option<&Name>| opened.iter().any(|it| it.rule.as_ref() == of);
        let is_severe = is_severe(verdict);
        if is_severe && (past.stopped(None, received_at).is_open || has_opened(opened, None)) {
            return Some(Held::ServerLimit);
        }
        if past.stopped(Some(&rule.name), received_at).is_open
            || has_opened(opened, Some(&rule.name))
        {
            return Some(Held::RuleLimit);
        }
        let of_rule = (
            Some(&rule.name),
            rule_limits(rule, is_severe, self.settings.breakers),
        );
        let breakers = self.settings.breakers;
        let of_server = is_severe.then_some((None, [breakers.server_hour, breakers.server_day]));
        for (name, limits) in std::iter::once(of_rule).chain(of_server) {
            if let Some(why) = self.over(name, limits, received_at, past) {
                opened.push(Opened {
                    rule: name.cloned(),
                    policy: rule.policy.clone(),
                    why,
                });
                return Some(name.map_or(Held::ServerLimit, |_| Held::RuleLimit));
            }
        }
        self.acted(&rule.name, is_severe, received_at, past, undo);
        None
    }

    /// Why one more would be too many, if it would.
    fn over(
        &self,
        rule: Option<&Name>,
        limits: [u32; 2],
        received_at: Timestamp,
        past: &dyn Past,
    ) -> Option<String> {
        let key = self.breaker_key(rule, received_at, past);
        let windows = [(&self.hour, "hour"), (&self.day, "day")];
        for ((counter, span), limit) in windows.into_iter().zip(limits) {
            let Reading::Count(acted) = counter.read(key, acted_at(counter, key, received_at))
            else {
                continue;
            };
            if limit > 0 && acted >= u64::from(limit) {
                let who = rule.map_or("all rules together".to_owned(), |it| format!("rule {it}"));
                return Some(format!(
                    "{who} acted on {acted} events within the last {span}, and may act on {limit}"
                ));
            }
        }
        None
    }

    /// Remembers that a rule has acted.
    fn acted(
        &mut self,
        rule: &Name,
        is_severe: bool,
        received_at: Timestamp,
        past: &dyn Past,
        undo: &mut Undo,
    ) {
        let rule = Some(Some(rule));
        for who in rule.into_iter().chain(is_severe.then_some(None)) {
            let key = self.breaker_key(who, received_at, past);
            let hour = acted_at(&self.hour, key, received_at);
            self.add(What::Hour, key, (hour, hour), Input::Event, undo);
            let day = acted_at(&self.day, key, received_at);
            self.add(What::Day, key, (day, day), Input::Event, undo);
        }
    }

    fn breaker_key(&self, rule: Option<&Name>, at: Timestamp, past: &dyn Past) -> Key {
        let times = past.stopped(rule, at).times.to_le_bytes();
        let rule = rule.map_or("*", Name::as_str);
        self.settings
            .keys
            .key(&[b"breaker", rule.as_bytes(), &times])
    }

    // ---- snapshots ----

    /// A snapshot in parts, without a checksum. It can be read back for rules that declare the same counters,
    /// or some of them.
    pub fn parts(&self) -> impl Iterator<Item = Vec<u8>> {
        let kept = self.declared.iter().chain(self.once.values());
        let kept = kept.map(|it| (it.hash, &it.counter));
        let breakers = [([1; 32], &self.hour), ([2; 32], &self.day)];
        let parts = kept.chain(breakers).map(|(hash, counter)| {
            let mut counted = Vec::new();
            counter.encode(&mut counted);
            let mut part = hash.to_vec();
            part.extend((counted.len() as u64).to_le_bytes());
            part.extend(counted);
            part
        });
        std::iter::once(MAGIC.to_vec()).chain(parts)
    }

    /// Takes over from a snapshot what these rules still declare. `false` when it holds not all of it: then
    /// the log has to be read from further back.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<bool, counters::DecodeError> {
        let Some(mut rest) = snapshot.strip_prefix(MAGIC) else {
            return Err(counters::DecodeError::NotACounter);
        };
        let mut found: HashMap<[u8; 32], counters::Counter> = HashMap::new();
        while let Some((head, after)) = rest.split_at_checked(40) {
            let (hash, length) = head.split_at(32);
            let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some((counted, after)) = after.split_at_checked(length) else {
                return Err(counters::DecodeError::NotACounter);
            };
            let counter = counters::Counter::decode(counted)?;
            found.insert(hash.try_into().unwrap_or_default(), counter);
            rest = after;
        }
        let mut is_whole = true;
        let kept = self.declared.iter_mut().chain(self.once.values_mut());
        for it in kept {
            match found.remove(&it.hash) {
                Some(counter) => it.counter = counter,
                None => is_whole = false,
            }
        }
        for (hash, place) in [([1; 32], &mut self.hour), ([2; 32], &mut self.day)] {
            match found.remove(&hash) {
                Some(counter) => *place = counter,
                None => is_whole = false,
            }
        }
        Ok(is_whole)
    }

    /// How far back the log matters for these rules.
    pub fn reach(&self) -> SignedDuration {
        let kept = self.declared.iter().chain(self.once.values());
        let windows = kept.map(|it| it.counter.window());
        let reaches = windows.map(|window| window.span() + window.lateness() + window.bucket());
        reaches.fold(BREAKERS_REACH, SignedDuration::max)
    }
}

impl RuleSet {
    /// Under which key a rule fires once, if it says so and the key is known.
    fn once_key(&self, rule: usize, facts: &Facts<'_>, keys: &KeyHasher) -> Option<Key> {
        let (_, program) = self.rule(rule)?;
        let once = program.once.as_ref()?;
        let memo = Memo::default();
        let ctx = Ctx::new(facts, &self.shared, &memo);
        crate::evaluation::key(&once.by, &ctx, keys, &mut Vec::new())
    }
}

/// What is remembered, as one event sees it.
#[derive(Debug)]
pub(crate) struct OfEvent<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) readings: &'a Readings,
    pub(crate) past: &'a dyn Past,
}

impl OfEvent<'_> {
    /// Labels and strikes are what they are when the event comes, whenever it says that it happened.
    fn at(&self) -> Timestamp {
        self.facts.received_at
    }
}

impl Memory for OfEvent<'_> {
    fn counter(&self, counter: usize) -> Option<Remembered> {
        let mut readings = self.readings.0.iter();
        let (_, value) = readings.find(|(number, _)| *number == counter)?;
        value.clone()
    }

    fn has_label(&self, entity: EntityType, label: &str) -> Option<bool> {
        let entity = self.facts.event.entity(entity, None)?;
        self.past
            .has_label(entity.r#type, &entity.id, label, self.at())
    }

    fn strikes(&self, within: Option<SignedDuration>) -> Option<i64> {
        let account = self.facts.event.account.as_ref()?;
        let since = within.map(|within| {
            let since = self.at().checked_sub(within);
            since.unwrap_or(Timestamp::MIN)
        });
        let weight = self.past.strikes(&account.id, since, self.at())?;
        Some(i64::try_from(weight).unwrap_or(i64::MAX))
    }

    fn in_set(&self, set: &str, item: &str) -> Option<bool> {
        self.past.in_set(set, item)
    }
}

fn is_last(rules: &RuleSet, number: usize) -> bool {
    let declared = rules.counters.get(number);
    declared.is_some_and(|it| it.function == CounterFunction::Last)
}

fn recalled(value: &Value, ty: &Type) -> Option<Remembered> {
    Some(match (value, ty) {
        (Value::Int(v), Type::Int) => Remembered::Int(*v),
        (Value::Float(v), Type::Float) => Remembered::Float(*v),
        (Value::Bool(v), Type::Bool) => Remembered::Bool(*v),
        (Value::Text(v), Type::String) => Remembered::Text(v.to_string()),
        (Value::Duration(v), Type::Duration) => {
            Remembered::Duration(SignedDuration::from_nanos(*v))
        }
        (Value::Time(v), Type::Time) => {
            Remembered::Time(Timestamp::from_nanosecond((*v).into()).ok()?)
        }
        _ => return None,
    })
}

fn kind_of(declared: &Counter) -> Kind {
    match (declared.function, &declared.ty) {
        (CounterFunction::Count, _) => Kind::Count,
        (CounterFunction::Distinct, _) => Kind::Distinct,
        (CounterFunction::Sum, Type::Float) => Kind::SumFloat,
        (CounterFunction::Sum, _) => Kind::SumInt,
        (CounterFunction::Last, _) => Kind::Last,
    }
}

/// When it counts that a rule that fires once has fired. Where a clock that was ahead then has been set back, it
/// still has.
fn fired_at(counter: &counters::Counter, key: Key, event: &Event, received_at: Timestamp) -> i64 {
    let at = counted_at(event, received_at);
    match counter.newest_ms(key) {
        Some(newest) if newest > received_at.as_millisecond() => newest,
        _ => at,
    }
}

/// When what a rule does counts, in milliseconds since 1970. By the server's own clock: a platform's cannot open
/// or close a breaker. And never before what it did earlier: where the clock was ahead and is set back, a breaker
/// opens too early rather than not at all.
fn acted_at(counter: &counters::Counter, key: Key, received_at: Timestamp) -> i64 {
    let newest = counter.newest_ms(key).unwrap_or(i64::MIN);
    received_at.as_millisecond().max(newest)
}

/// What tells one `once per` from another: the rule and what it says.
fn once_of((rule, program): (&Rule, &Program)) -> Option<([u8; 32], Window)> {
    let once = program.once.as_ref()?;
    let mut hasher = Sha256::new();
    for part in ["once", rule.name.as_str(), &once.text] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Some((hasher.finalize().into(), once.window))
}

fn is_severe(verdict: &Verdict) -> bool {
    verdict.effects.iter().any(|effect| effect.kind.is_severe())
}

fn rule_limits(rule: &Rule, is_severe: bool, breakers: Breakers) -> [u32; 2] {
    let (hour, day) = if is_severe {
        (breakers.rule_hour, breakers.rule_day)
    } else {
        (breakers.mild_rule_hour, breakers.mild_rule_day)
    };
    match (rule.limits.per_hour, rule.limits.per_day) {
        (None, None) => [hour, day],
        // A rule that names a limit of its own has no other.
        (own_hour, own_day) => [own_hour.unwrap_or(0), own_day.unwrap_or(0)],
    }
}

/// Whether an event is in the share for which a rule is live: always the same for one account (or, without
/// one, for one event), and independent from rule to rule.
fn in_share(rule: &Name, event: &Event, share: u16) -> bool {
    let mut hasher = Sha256::new();
    let (source, id) = match &event.account {
        Some(account) => ("account", account.id.as_str()),
        None => (event.source.as_str(), event.id.as_str()),
    };
    for part in ["share", rule.as_str(), source, id] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash: [u8; 32] = hasher.finalize().into();
    let start: [u8; 8] = hash.first_chunk().copied().unwrap_or_default();
    // The remainder of 64 bits favours some shares by less than one part in 10^15.
    u64::from_le_bytes(start) % 10_000 < u64::from(share)
}
