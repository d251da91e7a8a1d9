//! The settings of banks and members: in plain words, as they are typed, and as they were meant.

use super::reading::fact_rows;
use super::typed::{Fields, Typed, typed_tags, typed_time};
use crate::console::text::{self, Html};
use jiff::Timestamp;
use manara_model::{
    Bank, BankMode, BankName, BankSettings, Member, MemberMode, MemberSettings, Ratio,
    SettingsError, Stance,
};
use manara_signal::text::{Level, TermError, TermOptions, WITHIN_MAX};
use manara_signal::{Phrase, Signal, SignalType};
use manara_store::StoreError;
use std::collections::{BTreeMap, BTreeSet};

/// The types of signal that can match at a distance.
pub(super) fn with_distance() -> impl Iterator<Item = SignalType> {
    let all = SignalType::ALL.into_iter();
    all.filter(|signal_type| signal_type.widest_distance() > 0)
}

/// The name of the field in which the distance of a type is typed.
pub(super) fn distance_field(signal_type: SignalType) -> &'static str {
    match signal_type {
        SignalType::Pdq => "distance_pdq",
        SignalType::RawText => "distance_raw_text",
        SignalType::SimilarText => "distance_similar_text",
        SignalType::TextTlsh => "distance_text_tlsh",
        SignalType::Name => "distance_name",
        // The others are equal or not.
        _ => "distance",
    }
}

/// How a bank takes part, as one word.
pub(super) fn bank_state(bank: &Bank, now: Timestamp) -> (&'static str, &'static str) {
    let expired = bank.settings.expires_at.is_some_and(|at| at <= now);
    match bank.settings.mode {
        _ if !bank.enabled => ("warn", "off"),
        _ if expired => ("warn", "expired"),
        BankMode::Shadow => ("warn", "shadow"),
        BankMode::Live => ("good", "live"),
    }
}

/// How a member takes part, as one word.
pub(super) fn member_state(
    settings: &MemberSettings,
    removed: bool,
    now: Timestamp,
) -> (&'static str, &'static str) {
    let expired = settings.expires_at.is_some_and(|at| at <= now);
    match settings.mode {
        _ if removed => ("stop", "taken out"),
        MemberMode::Quarantine => ("stop", "quarantine"),
        _ if expired => ("warn", "expired"),
        MemberMode::Shadow => ("warn", "shadow"),
        MemberMode::Live => ("good", "live"),
    }
}

/// What is not as in a new bank, in plain words.
pub(super) fn unusual(settings: &BankSettings) -> Vec<Html> {
    let usual = BankSettings::default();
    let mut words = Vec::new();
    for (signal_type, distance) in &settings.distance {
        words.push(format!(
            "{signal_type} matches up to a distance of {distance}"
        ));
    }
    if settings.quality_min != usual.quality_min {
        let floor = settings.quality_min;
        words.push(format!("images of quality {floor} or better are compared"));
    }
    if !settings.dihedral {
        words.push("mirrored and turned images do not match".into());
    }
    if settings.enable_ratio != usual.enable_ratio {
        words.push(format!(
            "counts for {} of all events",
            share(settings.enable_ratio)
        ));
    }
    if !settings.quarantine {
        words.push("no quarantine by itself".into());
    }
    if let Some(at) = settings.expires_at {
        words.push(format!("matches until {}", day(at)));
    }
    if !settings.tags.is_empty() {
        words.push(format!("tags: {}", typed_tags(&settings.tags)));
    }
    words.iter().map(|words| text::inline(words)).collect()
}

/// A member's own settings, in plain words.
pub(super) fn member_words(settings: &MemberSettings) -> Vec<Html> {
    let mut words = Vec::new();
    if let Some(distance) = settings.distance {
        words.push(format!(
            "distance up to {distance}, never farther than its bank"
        ));
    }
    if let Some(quality) = settings.quality_min {
        words.push(format!("image quality {quality} or better"));
    }
    if let Some(at) = settings.expires_at {
        words.push(format!("matches until {}", day(at)));
    }
    if settings.vouched {
        words.push("vouched for: no quarantine by itself".into());
    }
    words.extend(term_words(&settings.term));
    if !settings.tags.is_empty() {
        words.push(format!("tags: {}", typed_tags(&settings.tags)));
    }
    words.iter().map(|words| text::inline(words)).collect()
}

/// A share in percent, as short as it can be.
pub(super) fn share(ratio: Ratio) -> String {
    format!("{} %", percent(ratio))
}

fn percent(ratio: Ratio) -> f64 {
    // To a ten-thousandth of a percent, which is as fine as a share is.
    (ratio.as_f64() * 1e6).round() / 1e4
}

/// A time in words, in UTC.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// An opinion in words.
pub(super) fn stance_words(stance: Stance) -> &'static str {
    match stance {
        Stance::PositiveClass => "It is what the bank is for",
        Stance::NegativeClass => "It is not what the bank is for",
        Stance::InvestigationSeed => "It is worth looking into",
    }
}

/// A bank as it would be typed.
pub(super) fn typed_bank(bank: &Bank) -> Typed {
    let settings = &bank.settings;
    let mut typed = Typed::from(Fields::new());
    typed.set("description", bank.description.as_str());
    typed.set("mode", settings.mode.as_str());
    typed.set("quality_min", settings.quality_min.to_string());
    typed.set("enable_percent", percent(settings.enable_ratio).to_string());
    typed.set("expires", typed_time(settings.expires_at));
    typed.set("tags", typed_tags(&settings.tags));
    for signal_type in with_distance() {
        let own = settings.distance.get(&signal_type);
        let own = own.map_or_else(String::new, ToString::to_string);
        typed.set(distance_field(signal_type), own);
    }
    for vetoed in &settings.vetoes {
        typed.set(&format!("veto:{vetoed}"), "on");
    }
    let boxes = [
        ("on", bank.enabled),
        ("dihedral", settings.dihedral),
        ("quarantine", settings.quarantine),
    ];
    for (name, _) in boxes.into_iter().filter(|(_, ticked)| *ticked) {
        typed.set(name, "on");
    }
    typed
}

/// Settings of a bank as they were typed; what is wrong is said at the fields.
pub(super) fn bank_settings(name: &BankName, typed: &mut Typed, now: Timestamp) -> BankSettings {
    let mut distance = BTreeMap::new();
    for signal_type in with_distance() {
        let max = signal_type.widest_distance();
        let value = typed.value(distance_field(signal_type)).to_owned();
        match value.parse::<u32>() {
            _ if value.is_empty() => {}
            Ok(own) if own <= max => {
                distance.insert(signal_type, own);
            }
            _ => typed.refuse(
                distance_field(signal_type),
                format!("use a whole number from 0 to {max}, or leave it empty"),
            ),
        }
    }
    let settings = BankSettings {
        mode: typed.parsed("mode").unwrap_or(BankMode::Live),
        distance,
        quality_min: quality(typed).unwrap_or(BankSettings::QUALITY_MIN),
        dihedral: typed.has("dihedral"),
        enable_ratio: enable_ratio(typed),
        vetoes: vetoes(typed),
        quarantine: typed.has("quarantine"),
        expires_at: typed.time("expires", now),
        tags: typed.tags("tags"),
    };
    if let Err(error) = settings.check(name) {
        typed.refuse(bank_field(&error), error);
    }
    settings
}

fn quality(typed: &mut Typed) -> Option<u8> {
    let quality = typed.number("quality_min", 0, 100)?;
    u8::try_from(quality).ok()
}

fn enable_ratio(typed: &mut Typed) -> Ratio {
    let value = typed.value("enable_percent").replace(',', ".");
    let value = value.trim_end_matches(['%', ' ']);
    if value.is_empty() {
        return Ratio::ALL;
    }
    let share = value.parse::<f64>().ok();
    let ratio = share.and_then(|percent| Ratio::try_from(percent / 100.0).ok());
    ratio.unwrap_or_else(|| {
        typed.refuse("enable_percent", "use a number from 0 to 100");
        Ratio::ALL
    })
}

fn vetoes(typed: &mut Typed) -> BTreeSet<BankName> {
    let (mut vetoes, mut wrong) = (BTreeSet::new(), None);
    for name in typed.ticked("veto") {
        match name.parse::<BankName>() {
            Ok(name) => {
                vetoes.insert(name);
            }
            Err(problem) => wrong = Some(problem),
        }
    }
    if let Some(problem) = wrong {
        typed.refuse("vetoes", problem);
    }
    vetoes
}

fn bank_field(error: &SettingsError) -> &'static str {
    match error {
        SettingsError::Distance { .. } | SettingsError::Foreign { .. } => "distance",
        SettingsError::Quality(_) => "quality_min",
        SettingsError::Tags(_) => "tags",
        SettingsError::VetoesItself(_) => "vetoes",
        SettingsError::Term(_) => "level",
    }
}

/// A member's settings as they would be typed.
pub(super) fn typed_member(settings: &MemberSettings) -> Typed {
    let mut typed = Typed::from(Fields::new());
    let number = |it: Option<String>| it.unwrap_or_default();
    typed.set("mode", settings.mode.as_str());
    typed.set(
        "distance",
        number(settings.distance.map(|it| it.to_string())),
    );
    typed.set(
        "quality_min",
        number(settings.quality_min.map(|it| it.to_string())),
    );
    typed.set("expires", typed_time(settings.expires_at));
    typed.set("tags", typed_tags(&settings.tags));
    if settings.vouched {
        typed.set("vouched", "on");
    }
    let (term, usual) = (&settings.term, TermOptions::default());
    typed.set("level", term.level.to_string());
    typed.set("scope", term.scope.to_string());
    typed.set("near", typed_phrases(&term.near));
    typed.set("not_near", typed_phrases(&term.not_near));
    if term.within != usual.within {
        typed.set("within", term.within.to_string());
    }
    typed
}

/// Phrases as they are typed: one after the other, with `;` between.
fn typed_phrases(phrases: &[Phrase]) -> String {
    let typed: Vec<&str> = phrases.iter().map(Phrase::original).collect();
    typed.join("; ")
}

/// How a phrase is looked for, as it was typed; what is wrong is said at the fields.
fn term(typed: &mut Typed) -> TermOptions {
    let usual = TermOptions::default();
    TermOptions {
        level: typed.parsed("level").unwrap_or(usual.level),
        scope: typed.parsed("scope").unwrap_or(usual.scope),
        near: phrases(typed, "near"),
        not_near: phrases(typed, "not_near"),
        within: typed
            .number("within", 1, u32::from(WITHIN_MAX))
            .and_then(|within| u16::try_from(within).ok())
            .unwrap_or(usual.within),
    }
}

/// Of other types than phrases nothing of that can be meant.
fn no_term(signal_type: SignalType, typed: &mut Typed) -> TermOptions {
    let usual = TermOptions::default();
    for (name, usual) in [
        ("level", usual.level.to_string()),
        ("scope", usual.scope.to_string()),
        ("near", String::new()),
        ("not_near", String::new()),
        ("within", String::new()),
    ] {
        let value = typed.value(name);
        if !value.is_empty() && value != usual {
            typed.refuse(
                name,
                format!("only a phrase is looked for in this way, and this is a {signal_type}: leave it as it was"),
            );
        }
    }
    usual
}

fn phrases(typed: &mut Typed, name: &'static str) -> Vec<Phrase> {
    let value = typed.value(name).to_owned();
    let given = value.split(';').map(str::trim).filter(|it| !it.is_empty());
    let mut phrases = Vec::new();
    for text in given {
        match Phrase::parse(text) {
            Ok(phrase) => phrases.push(phrase),
            Err(error) => typed.refuse(name, error),
        }
    }
    phrases
}

/// How a phrase is looked for, where it is not as usual.
fn term_words(term: &TermOptions) -> impl Iterator<Item = String> {
    let usual = TermOptions::default();
    let level = (term.level != usual.level).then(|| {
        let meaning = match term.level {
            Level::Strict => "only what no reader sees may be undone",
            Level::Folded => "what changes how a word looks may be undone",
            Level::Aggressive => {
                "digits are also read as letters, pieces as one word, Latin letters as Arabic; it finds more and is wrong more often"
            }
        };
        format!("looked for at the level {}: {meaning}", term.level)
    });
    let inside = (term.scope != usual.scope).then(|| "looked for inside words, too".to_owned());
    let context = |words: &str, phrases: &[Phrase]| {
        let within = term.within;
        let listed = typed_phrases(phrases);
        (!phrases.is_empty()).then(|| format!("only {words} within {within} words of: {listed}"))
    };
    let near = context("when it stands", &term.near);
    let not_near = context("when it does not stand", &term.not_near);
    [level, inside, near, not_near].into_iter().flatten()
}

/// Settings of a member as they were typed; what is wrong is said at the fields.
pub(super) fn member_settings(
    signal: Option<&Signal>,
    typed: &mut Typed,
    now: Timestamp,
) -> MemberSettings {
    // What was typed as the signal may be wrong, and its type right.
    let chosen = || typed.value("signal_type").parse().ok();
    let signal_type = signal.map(Signal::signal_type).or_else(chosen);
    let max = signal_type.map_or(u32::MAX, SignalType::widest_distance);
    let settings = MemberSettings {
        mode: typed.parsed("mode").unwrap_or_default(),
        distance: match max {
            0 => typed.parsed("distance"),
            max => typed.number("distance", 0, max),
        },
        quality_min: quality(typed),
        expires_at: typed.time("expires", now),
        tags: typed.tags("tags"),
        vouched: typed.has("vouched"),
        term: match signal_type {
            Some(SignalType::Text) | None => term(typed),
            Some(other) => no_term(other, typed),
        },
    };
    if let Some(signal) = signal
        && let Err(error) = settings.check(signal)
    {
        typed.refuse(member_field(&error), error);
    }
    settings
}

fn member_field(error: &SettingsError) -> &'static str {
    match error {
        SettingsError::Foreign { setting, .. } if *setting != "distance" => "quality_min",
        SettingsError::Quality(_) => "quality_min",
        SettingsError::Tags(_) => "tags",
        SettingsError::Term(error) => term_field(error),
        SettingsError::Distance { .. }
        | SettingsError::Foreign { .. }
        | SettingsError::VetoesItself(_) => "distance",
    }
}

fn term_field(error: &TermError) -> &'static str {
    match error {
        TermError::ShortSubstring { .. }
        | TermError::NumericSubstring { .. }
        | TermError::AggressiveSubstring => "scope",
        TermError::Within { .. } => "within",
        TermError::Contradiction { .. } => "not_near",
        TermError::ManyInContext { list, .. } | TermError::ContextInTerm { list, .. } => list,
    }
}

/// Whether a phrase may be found where it is not with `before`: unless all that changed is a lower level, a
/// company that is asked for, or more that forbids it.
fn can_be_found_more(before: &TermOptions, after: &TermOptions) -> bool {
    let has = |phrases: &[Phrase], phrase: &Phrase| {
        phrases.iter().any(|it| it.folded() == phrase.folded())
    };
    let asks_less = !before.near.is_empty()
        && (after.near.is_empty() || after.near.iter().any(|it| !has(&before.near, it)));
    let forbids_less = before.not_near.iter().any(|it| !has(&after.not_near, it));
    let within =
        before.within != after.within && !(before.near.is_empty() && before.not_near.is_empty());
    after.level > before.level || after.scope != before.scope || asks_less || forbids_less || within
}

/// Whether a member may match something with `after` that it does not with `before`.
pub(super) fn can_match_more(before: &MemberSettings, after: &MemberSettings) -> bool {
    let counts = |settings: &MemberSettings| settings.mode == MemberMode::Live;
    let farther = |before: Option<u32>, after: Option<u32>| match (before, after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    };
    let worse = match (before.quality_min, after.quality_min) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after < before,
    };
    let longer = match (before.expires_at, after.expires_at) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    };
    counts(after)
        && (!counts(before)
            || farther(before.distance, after.distance)
            || worse
            || longer
            || can_be_found_more(&before.term, &after.term))
}

/// What was changed between two settings of a member, in words.
pub(super) fn member_differences(before: &MemberSettings, after: &MemberSettings) -> Vec<Html> {
    let (was, is) = (typed_member(before), typed_member(after));
    let fields = MEMBER_FIELDS.map(|(field, name)| (field.to_owned(), name.to_owned()));
    differences(&was, &is, fields)
}

/// What the first change of a member led to, where it is not as usual. What was there before is not known
/// but for how it took part, which is nearly always as usual.
pub(super) fn member_set_to(after: &MemberSettings) -> Vec<Html> {
    let (was, is) = (
        typed_member(&MemberSettings::default()),
        typed_member(after),
    );
    let (known, unknown) = MEMBER_FIELDS.split_at(2);
    let names = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        let named = fields.iter();
        named
            .map(|(field, name)| ((*field).to_owned(), (*name).to_owned()))
            .collect()
    };
    let mut words = differences(&was, &is, names(known));
    let others = unknown
        .iter()
        .filter(|(field, _)| was.value(field) != is.value(field));
    words.extend(others.map(|(field, name)| text::inline(&format!("{name}: {}", is.value(field)))));
    words
}

/// The settings of a member by field, with their names; what can be told of a first change first.
const MEMBER_FIELDS: [(&str, &str); 11] = [
    ("mode", "mode"),
    ("vouched", "vouched for"),
    ("distance", "distance"),
    ("quality_min", "image quality"),
    ("expires", "matches until"),
    ("tags", "tags"),
    ("level", "level"),
    ("scope", "where"),
    ("near", "only near"),
    ("not_near", "never near"),
    ("within", "near means within"),
];

/// What was changed between two sets of a bank's settings, in words.
pub(super) fn bank_differences(before: &Bank, after: &Bank) -> Vec<Html> {
    let (was, is) = (typed_bank(before), typed_bank(after));
    let mut names = vec![
        ("description".to_owned(), "description".to_owned()),
        ("on".to_owned(), "in use".to_owned()),
        ("mode".to_owned(), "mode".to_owned()),
    ];
    for signal_type in with_distance() {
        names.push((
            distance_field(signal_type).to_owned(),
            format!("distance of {signal_type}"),
        ));
    }
    for (field, name) in [
        ("quality_min", "lowest image quality"),
        ("dihedral", "mirrored and turned images match"),
        ("enable_percent", "percent of events"),
        ("quarantine", "quarantine by itself"),
        ("expires", "matches until"),
        ("tags", "tags"),
    ] {
        names.push((field.to_owned(), name.to_owned()));
    }
    let vetoes = before.settings.vetoes.union(&after.settings.vetoes);
    for vetoed in vetoes {
        names.push((format!("veto:{vetoed}"), format!("vetoes {vetoed}")));
    }
    differences(&was, &is, names)
}

fn differences(
    was: &Typed,
    is: &Typed,
    names: impl IntoIterator<Item = (String, String)>,
) -> Vec<Html> {
    let shown = |typed: &Typed, field: &str| match typed.value(field) {
        "" if is_box(field) => "no".to_owned(),
        "" if field == "within" => TermOptions::default().within.to_string(),
        "" => "none".to_owned(),
        "on" if is_box(field) => "yes".to_owned(),
        value => value.to_owned(),
    };
    let changed = names
        .into_iter()
        .filter(|(field, _)| was.value(field) != is.value(field));
    changed
        .map(|(field, name)| {
            let (was, is) = (shown(was, &field), shown(is, &field));
            text::inline(&format!("{name}: {was} → {is}"))
        })
        .collect()
}

fn is_box(field: &str) -> bool {
    field.starts_with("veto:") || matches!(field, "on" | "dihedral" | "quarantine" | "vouched")
}

/// A member's signal as it is shown.
pub(super) struct SignalView {
    pub(super) signal_type: &'static str,
    pub(super) value: Html,
    pub(super) is_hash: bool,
    /// Beneath it: as what it is compared, and what its form tells.
    pub(super) keys: Vec<(String, Html)>,
}

impl From<&manara_signal::Signal> for SignalView {
    fn from(signal: &manara_signal::Signal) -> Self {
        use manara_signal::Signal;
        let signal_type = signal.signal_type();
        Self {
            signal_type: signal_type.name(),
            value: text::inline(&signal.encode()),
            is_hash: matches!(
                signal_type,
                SignalType::Sha256 | SignalType::Md5 | SignalType::Pdq
            ),
            keys: match signal {
                Signal::Text(phrase) => vec![
                    ("Strict key".to_owned(), text::inline(phrase.strict())),
                    ("Folded key".to_owned(), text::inline(phrase.folded())),
                ],
                other => fact_rows(other),
            },
        }
    }
}

/// A member in one line: its note, or the beginning of its signal.
pub(super) fn member_excerpt(member: &Member) -> Html {
    text::excerpt(&member.signal.encode(), &[], 80)
}

/// What the store found wrong with what was typed, said at a field; other errors as they are.
pub(super) fn said_at(
    typed: &mut Typed,
    field: &'static str,
    error: StoreError,
) -> Result<(), StoreError> {
    match error {
        StoreError::Conflict(_) | StoreError::Invalid { .. } | StoreError::NotFound { .. } => {
            typed.refuse(field, error);
            Ok(())
        }
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> MemberSettings {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check_more(before: &str, after: &str, expect: bool) {
        assert_eq!(
            can_match_more(&settings(before), &settings(after)),
            expect,
            "{before} {after}"
        );
    }

    #[test]
    fn only_what_can_match_more_is_looked_at_first() {
        check_more("{}", "{}", false);
        check_more(r#"{"mode":"shadow"}"#, "{}", true);
        check_more(r#"{"mode":"quarantine"}"#, r#"{"vouched":true}"#, true);
        check_more("{}", r#"{"mode":"shadow"}"#, false);
        check_more("{}", r#"{"distance":4}"#, false);
        check_more(r#"{"distance":4}"#, r#"{"distance":5}"#, true);
        check_more(r#"{"distance":4}"#, "{}", true);
        check_more(r#"{"quality_min":80}"#, r#"{"quality_min":70}"#, true);
        check_more(r#"{"quality_min":80}"#, r#"{"quality_min":90}"#, false);
        check_more(r#"{"expires_at":"2027-01-01T00:00:00Z"}"#, "{}", true);
        check_more("{}", r#"{"expires_at":"2027-01-01T00:00:00Z"}"#, false);
        check_more(r#"{"distance":4}"#, r#"{"mode":"shadow"}"#, false);
    }

    #[test]
    fn a_phrase_that_is_looked_for_otherwise_is_looked_at_first_where_it_is_found_more() {
        let check = |before: &str, after: &str, expect| {
            let of = |term: &str| format!(r#"{{"term":{term}}}"#);
            check_more(&of(before), &of(after), expect);
        };
        check("{}", r#"{"level":"aggressive"}"#, true);
        check("{}", r#"{"level":"strict"}"#, false);
        check("{}", r#"{"scope":"substring"}"#, true);
        check("{}", r#"{"near":["rise"]}"#, false);
        check(r#"{"near":["rise"]}"#, "{}", true);
        check(r#"{"near":["rise"]}"#, r#"{"near":["rise","join"]}"#, true);
        check(r#"{"near":["rise","join"]}"#, r#"{"near":["Rise"]}"#, false);
        check("{}", r#"{"not_near":["museum"]}"#, false);
        check(r#"{"not_near":["museum"]}"#, "{}", true);
        check("{}", r#"{"within":3}"#, false);
        check(
            r#"{"near":["rise"]}"#,
            r#"{"near":["rise"],"within":3}"#,
            true,
        );
    }

    #[test]
    fn settings_are_typed_and_read_back_as_they_were() {
        let json = r#"{"mode":"shadow","distance":{"pdq":20},"quality_min":60,"dihedral":false,"enable_ratio":0.125,
            "vetoes":["A","B"],"quarantine":false,"expires_at":"2027-01-31T00:00:00Z","tags":["x","y"]}"#;
        let mut bank = Bank {
            name: "C".parse().unwrap(),
            description: String::new(),
            enabled: true,
            settings: serde_json::from_str(json).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            members: 0,
        };
        for _ in 0..2 {
            let mut typed = typed_bank(&bank);
            let read = bank_settings(&bank.name, &mut typed, Timestamp::UNIX_EPOCH);
            assert!(!typed.is_refused());
            assert_eq!(read, bank.settings);
            bank.settings = BankSettings::default();
        }
        let json = r#"{"mode":"quarantine","distance":9,"quality_min":80,"expires_at":"2027-01-31T00:00:00Z","tags":["x"],"vouched":true}"#;
        let member = settings(json);
        let mut typed = typed_member(&member);
        let pdq = Signal::parse(SignalType::Pdq, &"0f".repeat(32)).unwrap();
        let read = member_settings(Some(&pdq), &mut typed, Timestamp::UNIX_EPOCH);
        assert_eq!(read, member);
        let json = r#"{"term":{"level":"aggressive","near":["rise","راية"],"not_near":["museum"],"within":5}}"#;
        let phrase = settings(json);
        let mut typed = typed_member(&phrase);
        let text = Signal::parse(SignalType::Text, "grey banner").unwrap();
        let read = member_settings(Some(&text), &mut typed, Timestamp::UNIX_EPOCH);
        assert_eq!(read, phrase);
    }
}
