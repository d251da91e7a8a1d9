//! What a back-test found: by rule, effect, policy, language and age of account, with samples, what people had
//! decided, and how many accounts it concerns.

use super::{Judged, Trial, actions};
use jiff::{SignedDuration, Timestamp};
use manara_model::{Action, ActionKind, Event, Name, Outcome, Verdict};
use manara_rules::Opened;
use manara_store::RecentEvent;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

/// Samples kept of each thing.
const SAMPLES_MAX: usize = 20;
/// Characters of a text shown with a sample.
const EXCERPT_CHARS: usize = 200;
/// Points of the curve over time.
const POINTS_MAX: i64 = 60;

/// What a back-test found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    /// Events in that time; those before it that only filled counters are not counted.
    pub(crate) events: u64,
    /// Distinct accounts in these events.
    pub(crate) accounts: u64,
    /// Whether it was ended before all were looked at.
    pub(crate) cut: bool,
    /// How long a point of a curve is, in seconds.
    pub(crate) point_s: i64,
    /// What each rule would do; of a comparison, the new rules.
    pub(crate) rules: Vec<RuleReport>,
    /// Of a comparison: what would be done that is not done now, and what would not be done any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) difference: Option<Difference>,
    /// Circuit breakers that would have opened: which rule (`*`: all), when and why.
    pub(crate) stopped: Vec<(String, Timestamp, String)>,
    #[serde(skip)]
    seen_accounts: HashSet<u64>,
    #[serde(skip)]
    judged: Judged,
}

/// What one rule would do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RuleReport {
    pub(crate) rule: Name,
    /// As its file says.
    pub(crate) mode: String,
    pub(crate) policy: Name,
    #[serde(flatten)]
    pub(crate) fired: Tallied,
}

/// Two sides compared, action by action.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Difference {
    /// Actions that only the new rules take.
    pub(crate) added: Tallied,
    /// Actions that only the old rules take.
    pub(crate) removed: Tallied,
    /// Events on which both do the same, and something.
    pub(crate) same: u64,
}

/// Events, and how they are spread.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Tallied {
    pub(crate) events: u64,
    /// Distinct accounts.
    pub(crate) accounts: u64,
    pub(crate) by_effect: BTreeMap<String, u64>,
    pub(crate) by_policy: BTreeMap<String, u64>,
    pub(crate) by_language: BTreeMap<String, u64>,
    pub(crate) by_account_age: BTreeMap<Age, u64>,
    /// What people decided on these events, where a case of them was closed.
    pub(crate) precision: Precision,
    /// Events by time, each point [`Report::point_s`] long.
    pub(crate) over_time: Vec<u64>,
    /// At most 20, spread over all of them.
    pub(crate) samples: Vec<Sample>,
    #[serde(skip)]
    seen_accounts: HashSet<u64>,
}

/// How old an account was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) enum Age {
    #[serde(rename = "under 1 day")]
    Day,
    #[serde(rename = "1 to 7 days")]
    Week,
    #[serde(rename = "7 to 30 days")]
    Month,
    #[serde(rename = "30 to 365 days")]
    Year,
    #[serde(rename = "over 365 days")]
    Older,
    #[serde(rename = "unknown")]
    Unknown,
}

/// What people decided on events that a rule concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Precision {
    /// People removed or suspended.
    pub(crate) confirmed: u64,
    /// People let it stand.
    pub(crate) overturned: u64,
}

/// One event as an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Sample {
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) r#type: String,
    pub(crate) received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The beginning of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// What would be done, or not be done any more.
    pub(crate) actions: Vec<String>,
    /// The rules that ask for it.
    pub(crate) rules: Vec<String>,
    /// What people decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) judged: Option<Outcome>,
    /// Where it stands among all, so that samples are spread evenly and always the same.
    #[serde(skip)]
    place: u64,
}

impl Age {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "under 1 day",
            Self::Week => "1 to 7 days",
            Self::Month => "7 to 30 days",
            Self::Year => "30 to 365 days",
            Self::Older => "over 365 days",
            Self::Unknown => "unknown",
        }
    }

    fn of(event: &Event) -> Self {
        let account = event.account.as_ref();
        let Some(created_at) = account.and_then(|account| account.created_at) else {
            return Self::Unknown;
        };
        let age = event.time.duration_since(created_at);
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        match age {
            age if age < days(1) => Self::Day,
            age if age < days(7) => Self::Week,
            age if age < days(30) => Self::Month,
            age if age < days(365) => Self::Year,
            _ => Self::Older,
        }
    }
}

impl Precision {
    /// The share of confirmed ones; nothing when people decided on none.
    pub(crate) fn share(self) -> Option<f64> {
        let all = self.confirmed + self.overturned;
        (all > 0).then(|| self.confirmed as f64 / all as f64)
    }

    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Keep => self.overturned += 1,
            Outcome::Remove | Outcome::Suspend => self.confirmed += 1,
        }
    }
}

impl Report {
    pub(super) fn new(trial: &Trial, judged: Judged) -> Self {
        let span = trial.until.duration_since(trial.since).as_secs().max(1);
        let rules = trial.new.rules().iter();
        let rules = rules.map(|rule| RuleReport {
            rule: rule.name.clone(),
            mode: rule.mode.to_string(),
            policy: rule.policy.clone(),
            fired: Tallied::default(),
        });
        Self {
            since: trial.since,
            until: trial.until,
            events: 0,
            accounts: 0,
            cut: false,
            point_s: (span / POINTS_MAX).max(1),
            rules: rules.collect(),
            difference: trial.old.as_ref().map(|_| Difference::default()),
            stopped: Vec::new(),
            seen_accounts: HashSet::new(),
            judged,
        }
    }

    pub(super) fn opened(&mut self, opened: &[Opened], at: Timestamp) {
        for it in opened {
            let rule = it.rule.as_ref().map_or("*", Name::as_str);
            if !self.stopped.iter().any(|(known, ..)| known == rule) {
                self.stopped.push((rule.to_owned(), at, it.why.clone()));
            }
        }
    }

    /// What one event came to, on each side.
    pub(super) fn event(&mut self, seen: &RecentEvent, said: &[Vec<Verdict>]) {
        self.events += 1;
        if let Some(account) = &seen.event.account {
            self.seen_accounts.insert(number_of(&account.id));
        }
        if said.iter().all(Vec::is_empty) {
            return;
        }
        let about = About::of(seen, self);
        if let Some(new) = said.last() {
            for verdict in new {
                self.fired(&about, verdict);
            }
        }
        if let ([old, new], Some(difference)) = (said, &mut self.difference) {
            difference.add(&about, old, new);
        }
    }

    fn fired(&mut self, about: &About<'_>, verdict: &Verdict) {
        let mut rules = self.rules.iter_mut();
        let Some(report) = rules.find(|it| it.rule == verdict.rule) else {
            return;
        };
        let effects = verdict.effects.iter().map(|it| (it.kind, &verdict.policy));
        let shown = actions(about.seen, std::slice::from_ref(verdict));
        let rules = vec![verdict.rule.to_string()];
        report.fired.add(about, effects, || {
            (shown.iter().map(written).collect(), rules)
        });
    }

    pub(super) fn finish(&mut self, cut: bool) {
        self.cut = cut;
        self.accounts = self.seen_accounts.len() as u64;
        self.seen_accounts = HashSet::new();
        self.judged = Judged::new();
        let rules = self.rules.iter_mut().map(|it| &mut it.fired);
        let differences = self.difference.iter_mut();
        let differences = differences.flat_map(|it| [&mut it.added, &mut it.removed]);
        for tallied in rules.chain(differences) {
            tallied.finish();
        }
    }
}

/// What is needed of an event for every count it enters.
struct About<'a> {
    seen: &'a RecentEvent,
    account: Option<u64>,
    language: String,
    age: Age,
    judged: Option<Outcome>,
    point: usize,
}

impl<'a> About<'a> {
    fn of(seen: &'a RecentEvent, report: &Report) -> Self {
        let after = seen.received_at.duration_since(report.since).as_secs();
        let point = (after / report.point_s).clamp(0, POINTS_MAX);
        Self {
            seen,
            account: seen.event.account.as_ref().map(|it| number_of(&it.id)),
            language: language_of(&seen.event),
            age: Age::of(&seen.event),
            judged: report.judged.get(&seen.decision).copied(),
            point: usize::try_from(point).unwrap_or(0),
        }
    }
}

impl Difference {
    fn add(&mut self, about: &About<'_>, old: &[Verdict], new: &[Verdict]) {
        let (before, after) = (actions(about.seen, old), actions(about.seen, new));
        let added = without(&after, &before);
        let removed = without(&before, &after);
        if added.is_empty() && removed.is_empty() {
            self.same += u64::from(!after.is_empty());
            return;
        }
        for (tallied, actions) in [(&mut self.added, added), (&mut self.removed, removed)] {
            if actions.is_empty() {
                continue;
            }
            let kinds = actions.iter().map(|it| (it.kind, &it.policy));
            let rules = actions.iter().filter_map(|it| it.rule.as_ref());
            let mut rules: Vec<String> = rules.map(ToString::to_string).collect();
            rules.dedup();
            let told = || (actions.iter().map(|it| written(it)).collect(), rules);
            tallied.add(about, kinds, told);
        }
    }
}

/// The actions of one side that the other does not take in the same way.
fn without<'a>(of: &'a [Action], others: &[Action]) -> Vec<&'a Action> {
    let same = |a: &Action, b: &Action| {
        (a.kind, &a.target, &a.policy, &a.detail) == (b.kind, &b.target, &b.policy, &b.detail)
    };
    let only = of.iter().filter(|a| !others.iter().any(|b| same(a, b)));
    only.collect()
}

/// An action as a rule would write it.
fn written(action: &Action) -> String {
    let detail = &action.detail;
    let names = [&detail.label, &detail.queue, &detail.to];
    let mut arguments = vec![format!("{} {}", action.target.r#type, action.target.id)];
    arguments.extend(names.into_iter().flatten().map(|it| format!("\"{it}\"")));
    arguments.extend(detail.weight.map(|it| it.to_string()));
    arguments.extend(detail.priority.map(|it| format!("priority: {it}")));
    arguments.extend(detail.duration_s.map(|it| {
        let lasting = SignedDuration::from_secs(i64::try_from(it).unwrap_or(i64::MAX));
        format!("for: {lasting:#}")
    }));
    let until = detail.until.map(|it| format!("until: timestamp(\"{it}\")"));
    arguments.extend(until);
    format!("{}({})", action.kind, arguments.join(", "))
}

impl Tallied {
    fn add<'n>(
        &mut self,
        about: &About<'_>,
        kinds: impl Iterator<Item = (ActionKind, &'n Name)>,
        told: impl FnOnce() -> (Vec<String>, Vec<String>),
    ) {
        self.events += 1;
        self.seen_accounts.extend(about.account);
        let mut policies: Vec<&Name> = Vec::new();
        for (kind, policy) in kinds {
            *self.by_effect.entry(kind.to_string()).or_default() += 1;
            if !policies.contains(&policy) {
                policies.push(policy);
                *self.by_policy.entry(policy.to_string()).or_default() += 1;
            }
        }
        *self.by_language.entry(about.language.clone()).or_default() += 1;
        *self.by_account_age.entry(about.age).or_default() += 1;
        if let Some(outcome) = about.judged {
            self.precision.add(outcome);
        }
        if self.over_time.len() <= about.point {
            self.over_time.resize(about.point + 1, 0);
        }
        if let Some(point) = self.over_time.get_mut(about.point) {
            *point += 1;
        }
        self.sample(about, told);
    }

    /// Keeps the event as a sample if it is among the twenty whose hashes are smallest.
    fn sample(&mut self, about: &About<'_>, told: impl FnOnce() -> (Vec<String>, Vec<String>)) {
        let event = &about.seen.event;
        let place = number_of(&format!("{}\0{}", event.source, event.id));
        let at = self.samples.partition_point(|it| it.place < place);
        if at >= SAMPLES_MAX {
            return;
        }
        let (actions, rules) = told();
        let text = event.content.as_ref().and_then(|it| it.text.as_deref());
        let sample = Sample {
            source: event.source.clone(),
            id: event.id.clone(),
            r#type: event.r#type.clone(),
            received_at: about.seen.received_at,
            account: event.account.as_ref().map(|it| it.id.clone()),
            text: text.map(|text| text.chars().take(EXCERPT_CHARS).collect()),
            actions,
            rules,
            judged: about.judged,
            place,
        };
        self.samples.insert(at, sample);
        self.samples.truncate(SAMPLES_MAX);
    }

    fn finish(&mut self) {
        self.accounts = self.seen_accounts.len() as u64;
        self.seen_accounts = HashSet::new();
        self.samples.sort_by_key(|it| it.received_at);
    }
}

/// The language an event says it is in, or the one its text shows.
fn language_of(event: &Event) -> String {
    let Some(content) = &event.content else {
        return "none".to_owned();
    };
    match (&content.language, &content.text) {
        (Some(language), _) => language.clone(),
        (None, Some(text)) => manara_signal::language::identify(text).code.to_owned(),
        (None, None) => "none".to_owned(),
    }
}

/// 64 bits of a hash, to tell accounts apart without keeping their names.
fn number_of(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    u64::from_le_bytes(digest.first_chunk().copied().unwrap_or_default())
}
