//! The settings of banks and members as flags, and `manara bank member|member-set|opinion`.

use super::bank::{Switch, known, table};
use super::radius::Radius;
use super::{Data, Done, operator, say, say_json};
use crate::clock;
use crate::console::text::plain;
use crate::recent::preview::Thought;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use manara_model::{
    Author, Bank, BankMode, BankName, BankSettings, Exchange, MemberId, MemberMode, MemberSettings,
    Opinion, Ratio, Stance, Tag,
};
use manara_signal::text::{Level, Phrase, Scope, TermOptions};
use manara_signal::{Signal, SignalType};
use manara_store::{MemberChange, MemberHits};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// The days of hits that are shown with a member.
const DAYS_SHOWN: i64 = 7;
const HOURS: i64 = 24;

/// How the members of a bank match.
#[derive(Debug, Default, Args)]
pub(crate) struct BankFlags {
    /// Whether rules see its matches (live) or they are only recorded (shadow).
    #[arg(long, value_name = "live|shadow")]
    mode: Option<BankMode>,
    /// How far a signal may be from a member and still match: BITS of 256 for images, or of a type, as in `raw_text=3`.
    #[arg(long, value_name = "[TYPE=]BITS")]
    distance: Vec<Reach>,
    /// Lowest quality of an image that is compared, 0 to 100.
    #[arg(long, value_name = "QUALITY")]
    quality_min: Option<u8>,
    /// Whether an image also matches when it is mirrored or turned.
    #[arg(long, value_name = "ON|OFF", value_enum)]
    dihedral: Option<Switch>,
    /// The share of events for which its matches count, 0 to 1, always the same ones.
    #[arg(long, value_name = "SHARE")]
    enable_ratio: Option<Ratio>,
    /// Banks whose matches those of this one forbid, separated by commas; `none` for none.
    #[arg(long, value_name = "BANK,BANK", value_delimiter = ',')]
    vetoes: Vec<BankName>,
    /// Whether a member that suddenly matches far more than before is held back until a person looks.
    #[arg(long, value_name = "ON|OFF", value_enum)]
    quarantine: Option<Switch>,
    /// From when on it matches no more: a time, a while from now (30d, 12h), or never.
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// A word to find it by; may be given again.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// A tag to take away; may be given again.
    #[arg(long = "untag", value_name = "TAG")]
    untags: Vec<Tag>,
}

impl BankFlags {
    /// Whether none is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.mode.is_none()
            && self.distance.is_empty()
            && self.quality_min.is_none()
            && self.dihedral.is_none()
            && self.enable_ratio.is_none()
            && self.vetoes.is_empty()
            && self.quarantine.is_none()
            && self.expires.is_none()
            && self.tags.is_empty()
            && self.untags.is_empty()
    }

    pub(crate) fn apply(&self, to: &mut BankSettings, now: Timestamp) {
        set(&mut to.mode, self.mode);
        for Reach { of, distance } in &self.distance {
            if *distance == of.default_distance() {
                to.distance.remove(of);
            } else {
                to.distance.insert(*of, *distance);
            }
        }
        set(&mut to.quality_min, self.quality_min);
        set(&mut to.dihedral, self.dihedral.map(Switch::is_on));
        set(&mut to.enable_ratio, self.enable_ratio);
        if !self.vetoes.is_empty() {
            let named = self.vetoes.iter().filter(|name| name.as_str() != "none");
            to.vetoes = named.cloned().collect();
        }
        set(&mut to.quarantine, self.quarantine.map(Switch::is_on));
        set(&mut to.expires_at, self.expires.map(|it| it.from(now)));
        retag(&mut to.tags, &self.tags, &self.untags);
    }
}

/// How one member matches, where it is not as its bank says.
#[derive(Debug, Default, Args)]
pub(crate) struct MemberFlags {
    /// Whether its matches count (live), are only recorded (shadow), or are held back (quarantine).
    #[arg(long, value_name = "live|shadow|quarantine")]
    mode: Option<MemberMode>,
    /// How far it matches, never farther than the bank says; `bank` for as far.
    #[arg(long, value_name = "BITS")]
    distance: Option<OrBank<u32>>,
    /// Lowest quality of an image that is compared with it, 0 to 100; `bank` for what the bank says.
    #[arg(long, value_name = "QUALITY")]
    quality_min: Option<OrBank<u8>>,
    /// From when on it matches no more: a time, a while from now (30d, 12h), or never.
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// A word to find it by; may be given again.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// A tag to take away; may be given again.
    #[arg(long = "untag", value_name = "TAG")]
    untags: Vec<Tag>,
    /// Whether a person vouches for it, so that it does not go into quarantine by itself.
    #[arg(long, value_name = "ON|OFF", value_enum)]
    vouched: Option<Switch>,
    /// How much may be undone for a phrase to be found: strict, folded or aggressive.
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,
    /// Whether a phrase is found as whole words, or inside words too.
    #[arg(long, value_name = "words|substring")]
    scope: Option<Scope>,
    /// A phrase counts only near one of these; may be given again, `none` for none.
    #[arg(long, value_name = "PHRASE")]
    near: Vec<String>,
    /// A phrase does not count near any of these; may be given again, `none` for none.
    #[arg(long, value_name = "PHRASE")]
    not_near: Vec<String>,
    /// How many words at most lie between for that to be near, 1 to 64.
    #[arg(long, value_name = "WORDS")]
    within: Option<u16>,
}

impl MemberFlags {
    fn is_empty(&self) -> bool {
        self.mode.is_none()
            && self.distance.is_none()
            && self.quality_min.is_none()
            && self.expires.is_none()
            && self.tags.is_empty()
            && self.untags.is_empty()
            && self.vouched.is_none()
            && !self.has_term()
    }

    /// Whether something is said of how a phrase is looked for.
    fn has_term(&self) -> bool {
        self.level.is_some()
            || self.scope.is_some()
            || !self.near.is_empty()
            || !self.not_near.is_empty()
            || self.within.is_some()
    }

    /// Says that the phrases that stand nearby cannot be used, if they cannot.
    pub(crate) fn check(&self) -> Result<()> {
        let _ = (phrases(&self.near)?, phrases(&self.not_near)?);
        Ok(())
    }

    pub(crate) fn apply(&self, to: &mut MemberSettings, now: Timestamp) {
        set(&mut to.mode, self.mode);
        set(&mut to.distance, self.distance.map(|it| it.0));
        set(&mut to.quality_min, self.quality_min.map(|it| it.0));
        set(&mut to.expires_at, self.expires.map(|it| it.from(now)));
        retag(&mut to.tags, &self.tags, &self.untags);
        set(&mut to.vouched, self.vouched.map(Switch::is_on));
        set(&mut to.term.level, self.level);
        set(&mut to.term.scope, self.scope);
        set(&mut to.term.within, self.within);
        for (given, to) in [
            (&self.near, &mut to.term.near),
            (&self.not_near, &mut to.term.not_near),
        ] {
            if let Some(phrases) = phrases(given).ok().filter(|_| !given.is_empty()) {
                *to = phrases;
            }
        }
    }
}

/// Phrases as typed; `none` stands for none.
fn phrases(given: &[String]) -> Result<Vec<Phrase>> {
    let given = given.iter().filter(|text| *text != "none");
    let parse =
        |text: &String| Phrase::parse(text).map_err(|error| anyhow!("`{}`: {error}", plain(text)));
    given.map(parse).collect()
}

fn set<T>(to: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *to = given;
    }
}

fn retag(tags: &mut BTreeSet<Tag>, more: &[Tag], fewer: &[Tag]) {
    tags.extend(more.iter().cloned());
    tags.retain(|tag| !fewer.contains(tag));
}

/// How far signals of a type match: `20` of images, `raw_text=3` of texts.
#[derive(Debug, Clone, Copy)]
struct Reach {
    of: SignalType,
    distance: u32,
}

impl FromStr for Reach {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (of, bits) = match text.split_once('=') {
            Some((of, bits)) => (of.parse().map_err(|error| format!("{error}"))?, bits),
            None => (SignalType::Pdq, text),
        };
        let wrong = |_| format!("`{bits}` is not a whole number: write 20, or raw_text=3");
        let distance = bits.parse().map_err(wrong)?;
        let max = of.widest_distance();
        if distance > max {
            return Err(format!(
                "the distance of {of} signals is 0 to {max}, not {distance}"
            ));
        }
        Ok(Self { of, distance })
    }
}

/// A value, or `bank` for what the bank says.
#[derive(Debug, Clone, Copy)]
struct OrBank<T>(Option<T>);

impl<T: FromStr> FromStr for OrBank<T> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "bank" {
            return Ok(Self(None));
        }
        let wrong = |_| format!("`{text}` is not a whole number in range, nor `bank`");
        text.parse().map(|value| Self(Some(value))).map_err(wrong)
    }
}

/// When something ends.
#[derive(Debug, Clone, Copy)]
enum Expiry {
    Never,
    At(Timestamp),
    In(SignedDuration),
}

impl Expiry {
    fn from(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::At(at) => Some(at),
            // Parsed durations are short enough for every clock.
            Self::In(while_) => now.checked_add(while_).ok(),
        }
    }
}

impl FromStr for Expiry {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        const HOURS_MAX: i64 = 100 * 366 * HOURS;
        if text == "never" {
            return Ok(Self::Never);
        }
        let hours = |unit, hours_each: i64| {
            let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
            let hours = count.checked_mul(hours_each)?;
            (1..=HOURS_MAX).contains(&hours).then_some(hours)
        };
        if let Some(hours) = hours('d', HOURS).or_else(|| hours('h', 1)) {
            return Ok(Self::In(SignedDuration::from_hours(hours)));
        }
        let wrong = |_| {
            format!(
                "`{text}` is not a time: write 2027-01-31T00:00:00Z, a while from now (30d, 12h), or never"
            )
        };
        text.parse().map(Self::At).map_err(wrong)
    }
}

/// What of a bank's settings is not as in a new bank, in words.
pub(crate) fn bank_words(bank: &Bank, banks: &[Bank]) -> String {
    let it = &bank.settings;
    let plainly = BankSettings::default();
    let mut words = Vec::new();
    if it.mode != plainly.mode {
        words.push(it.mode.to_string());
    }
    words.extend(
        it.distance
            .iter()
            .map(|(of, n)| format!("{of} distance {n}")),
    );
    if it.quality_min != plainly.quality_min {
        words.push(format!("quality {} and up", it.quality_min));
    }
    if !it.dihedral {
        words.push("dihedral off".into());
    }
    if it.enable_ratio != plainly.enable_ratio {
        words.push(format!("enable ratio {}", it.enable_ratio));
    }
    if it.is_negative() {
        words.push(format!("vetoes {}", listed(&it.vetoes)));
    }
    let by = banks
        .iter()
        .filter(|by| by.settings.vetoes.contains(&bank.name));
    let by: Vec<&BankName> = by.map(|by| &by.name).collect();
    if !by.is_empty() {
        words.push(format!("vetoed by {}", listed(by)));
    }
    if !it.quarantine {
        words.push("quarantine off".into());
    }
    words.extend(it.expires_at.map(|at| format!("expires {at}")));
    if !it.tags.is_empty() {
        words.push(format!("tags {}", listed(&it.tags)));
    }
    words.join("; ")
}

/// What of a member is not as its bank says, in words.
pub(crate) fn member_words(settings: &MemberSettings, exchange: Option<&Exchange>) -> String {
    let mut words = Vec::new();
    if settings.mode != MemberMode::Live {
        words.push(settings.mode.to_string());
    }
    words.extend(settings.distance.map(|n| format!("distance {n}")));
    words.extend(settings.quality_min.map(|n| format!("quality {n} and up")));
    words.extend(settings.expires_at.map(|at| format!("expires {at}")));
    if !settings.tags.is_empty() {
        words.push(format!("tags {}", listed(&settings.tags)));
    }
    if settings.vouched {
        words.push("vouched".into());
    }
    words.extend(term_words(&settings.term));
    words.extend(exchange.map(|name| format!("from {name}")));
    plain(&words.join("; "))
}

/// How a phrase is looked for, where it is not as usual.
fn term_words(term: &TermOptions) -> Vec<String> {
    let usual = TermOptions::default();
    let mut words = Vec::new();
    if term.level != usual.level {
        words.push(format!("level {}", term.level));
    }
    if term.scope != usual.scope {
        words.push(format!("scope {}", term.scope));
    }
    for (name, phrases) in [("near", &term.near), ("not near", &term.not_near)] {
        if !phrases.is_empty() {
            words.push(format!("{name} {} within {}", listed(phrases), term.within));
        }
    }
    words
}

fn listed(names: impl IntoIterator<Item = impl ToString>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.join(", ")
}

#[derive(Serialize)]
struct MemberJson<'a> {
    bank: &'a BankName,
    id: MemberId,
    #[serde(flatten)]
    signal: &'a Signal,
    note: &'a str,
    exchange: Option<&'a Exchange>,
    added_by: &'a Author,
    added_at: Timestamp,
    removed: bool,
    settings: &'a MemberSettings,
    history: &'a [MemberChange],
    opinions: &'a [Opinion],
    days: Vec<Day>,
}

/// The hits of one day, in UTC.
#[derive(Serialize)]
struct Day {
    day: String,
    hits: u64,
    withheld: u64,
}

fn days(hits: &[MemberHits]) -> Vec<Day> {
    let mut days: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for it in hits {
        let (hits, withheld) = days.entry(it.hour.div_euclid(HOURS)).or_default();
        *hits += it.hits;
        *withheld += it.withheld;
    }
    let day = |(day, (hits, withheld)): (i64, (u64, u64))| Day {
        day: Timestamp::from_second(day.saturating_mul(HOURS * 3600))
            .map_or_else(|_| day.to_string(), |at| at.strftime("%F").to_string()),
        hits,
        withheld,
    };
    days.into_iter().map(day).collect()
}

/// `manara bank member`.
pub(super) fn show(data: &Data, name: &BankName, id: MemberId, json: bool) -> Result<Done> {
    let store = data.open()?;
    known(&store, name)?;
    let today = clock::now().as_second().div_euclid(HOURS * 3600);
    let since = (today - DAYS_SHOWN + 1) * HOURS;
    let (found, history, opinions, hits) = store.read(|r| {
        Ok((
            r.member(id)?,
            r.member_history(id)?,
            r.opinions(id)?,
            r.hits_of(id, since)?,
        ))
    })?;
    let Some((_, member, removed)) = found.filter(|(bank, _, _)| bank == name) else {
        bail!("there is no member {id} in bank {name}; `manara bank show {name}` lists them");
    };
    let days = days(&hits);
    if json {
        say_json(&MemberJson {
            bank: name,
            id,
            signal: &member.signal,
            note: &member.note,
            exchange: member.exchange.as_ref(),
            added_by: &member.added_by,
            added_at: member.added_at,
            removed,
            settings: &member.settings,
            history: &history,
            opinions: &opinions,
            days,
        })?;
        return Ok(Done::Found);
    }
    let mut sheet = table(["member", &id.to_string()]);
    let state = if removed { "removed" } else { "in its bank" };
    let words = member_words(&member.settings, None);
    let settings = if words.is_empty() {
        "as the bank says"
    } else {
        &words
    };
    for (what, value) in [
        ("bank", name.to_string()),
        ("type", member.signal.signal_type().to_string()),
        ("signal", plain(&member.signal.encode())),
        ("note", plain(&member.note)),
        (
            "exchange",
            member
                .exchange
                .map_or_else(String::new, |it| it.to_string()),
        ),
        (
            "added",
            format!("{} by {}", member.added_at, who(&member.added_by)),
        ),
        ("state", state.to_owned()),
        ("settings", settings.to_owned()),
    ] {
        sheet.add_row([what, &value]);
    }
    for it in &history {
        let words = member_words(&it.settings, None);
        let words = if words.is_empty() {
            "as the bank says"
        } else {
            &words
        };
        let by = format!(
            "{} by {}: {words}. {}",
            it.at,
            who(&it.author),
            plain(&it.reason)
        );
        sheet.add_row(["changed", &by]);
    }
    for it in &opinions {
        let from = it
            .exchange
            .as_ref()
            .map_or_else(String::new, |it| format!(" from {it}"));
        let by = format!(
            "{} by {}{from}: {}. {}",
            it.at,
            who(&it.author),
            it.stance,
            plain(&it.note)
        );
        sheet.add_row(["opinion", &by]);
    }
    for it in &days {
        let hits = format!(
            "{}: {} matches, {} without effect",
            it.day, it.hits, it.withheld
        );
        sheet.add_row(["matched", &hits]);
    }
    say(sheet)?;
    Ok(Done::Found)
}

fn who(author: &Author) -> String {
    plain(&match author {
        Author::Rules => "the rules".to_owned(),
        Author::Reviewer(id) => format!("reviewer {id}"),
        Author::Key(id) => format!("key {id}"),
        Author::Operator(id) => format!("operator {id}"),
        Author::System => "Manara".to_owned(),
    })
}

/// `manara bank member-set`.
pub(super) fn change(
    data: &Data,
    name: &BankName,
    id: MemberId,
    flags: MemberFlags,
    reason: String,
    radius: Radius,
) -> Result<Done> {
    flags.check()?;
    if flags.is_empty() {
        bail!(
            "nothing to change: give a setting, such as --mode shadow; `manara bank member-set --help` lists them"
        );
    }
    let store = data.open()?;
    let in_bank = known(&store, name)?;
    if let Some((_, member, false)) = store.read(|r| r.member(id))? {
        let mut settings = member.settings.clone();
        flags.apply(&mut settings, clock::now());
        let counts = settings.mode == MemberMode::Live
            && in_bank.settings.mode == BankMode::Live
            && settings != member.settings;
        let thought = Thought::Member(id, settings);
        if let Some(done) = radius.check(data, &store, name, &thought, false, counts)? {
            return Ok(done);
        }
    }
    let bank = name.clone();
    let changed = store
        .write_blocking(move |tx| {
            let now = clock::now();
            let change = |settings: &mut MemberSettings| flags.apply(settings, now);
            tx.set_member(&bank, id, change, &reason, &operator(), now)
        })
        .map_err(|error| anyhow!("{error}"))?;
    let member = store.read(|r| r.member(id))?.map(|(_, member, _)| member);
    let words = member.map_or_else(String::new, |it| member_words(&it.settings, None));
    let words = if words.is_empty() {
        "as the bank says"
    } else {
        &words
    };
    if changed {
        eprintln!(
            "member {id} of {name} is set: {words}; a running server follows within a second"
        );
    } else {
        eprintln!("member {id} of {name} was set so already: {words}");
    }
    Ok(Done::Found)
}

/// `manara bank opinion`.
pub(super) fn opinion(
    data: &Data,
    name: &BankName,
    id: MemberId,
    stance: Stance,
    note: String,
) -> Result<Done> {
    let store = data.open()?;
    known(&store, name)?;
    let bank = name.clone();
    store.write_blocking(move |tx| {
        tx.add_opinion(&bank, id, stance, &note, None, &operator(), clock::now())
    })?;
    eprintln!(
        "the opinion that member {id} of {name} is {stance} is kept; `manara bank member {name} {id}` shows all"
    );
    Ok(Done::Found)
}
