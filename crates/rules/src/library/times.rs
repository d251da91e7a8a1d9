//! Parts of times and durations, as in CEL: months, days of the month, week and year from 0, but
//! `getDate` from 1; weeks begin on Sunday.

use super::{Answer, Given, Input, Operand, Prepared, Refused, Workshop};
use crate::lexer::shown;
use crate::suggest::nearest;
use jiff::Zoned;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

const NO_TIME: &str = "this is no time";

/// The time zone of a literal: a name of the IANA database, or `+03:00`; UTC when none is given. The
/// database is the bundled one, so that the machine's own has no part in it.
pub(super) fn zone(given: &Given<'_>, _: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    let Some(text) = given.text(0) else {
        return Ok(Prepared::Zone(TimeZone::UTC));
    };
    let zone = match fixed_offset(text) {
        Some(zone) => Some(zone),
        None => TimeZoneDatabase::bundled().get(text).ok(),
    };
    zone.map(Prepared::Zone).ok_or_else(|| {
        let message = format!("`{}` is not a time zone", shown(text));
        let hint = nearest_zone(text).map_or_else(
            || "write a name such as \"Europe/Berlin\" or \"Asia/Riyadh\", or an offset such as \"+03:00\"".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        Refused::new(0, message, hint)
    })
}

/// The time zone of a city, for authors who leave out the continent.
fn nearest_zone(text: &str) -> Option<String> {
    let city = text.replace(' ', "_");
    let last = |zone: &str| zone.rsplit('/').next().unwrap_or_default().to_owned();
    let zones = TimeZoneDatabase::bundled();
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let same = names
        .iter()
        .find(|name| last(name).eq_ignore_ascii_case(&city));
    let near = || did_you_mean_zone(text, &names);
    same.cloned().or_else(near)
}

fn did_you_mean_zone(text: &str, names: &[String]) -> Option<String> {
    // Names are long; a text that is no name at all is near none of them.
    let is_name = text.contains('/') && text.len() <= 64;
    let found = is_name.then(|| nearest(text, names.iter().map(String::as_str)))?;
    found.map(str::to_owned)
}

/// Reads `+03:00`, `-08:30`, and `03:00`, which CEL takes as well.
fn fixed_offset(text: &str) -> Option<TimeZone> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |digits: &str, max: i32| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        let number = plain.then(|| digits.parse::<i32>().ok())??;
        (number <= max).then_some(number)
    };
    let seconds = number(hours, 23)? * 3600 + number(minutes, 59)? * 60;
    Some(Offset::from_seconds(sign * seconds).ok()?.to_time_zone())
}

fn local(input: &Input<'_, '_>) -> Answer<Zoned> {
    match (&input.value, input.prepared) {
        (Operand::Time(time), Prepared::Zone(zone)) => Ok(time.to_zoned(zone.clone())),
        _ => Err(NO_TIME),
    }
}

pub(super) fn full_year(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.year()))
}

pub(super) fn month(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.month()) - 1)
}

pub(super) fn day_of_month(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.day()) - 1)
}

pub(super) fn date(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.day()))
}

pub(super) fn day_of_week(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.weekday().to_sunday_zero_offset()))
}

pub(super) fn day_of_year(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.day_of_year()) - 1)
}

pub(super) fn hours(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.hour()))
}

pub(super) fn minutes(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.minute()))
}

pub(super) fn seconds(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.second()))
}

pub(super) fn milliseconds(input: Input<'_, '_>) -> Answer<i64> {
    Ok(i64::from(local(&input)?.millisecond()))
}

fn whole(input: &Input<'_, '_>, seconds: i64) -> Answer<i64> {
    match input.value {
        Operand::Duration(duration) => Ok(duration.as_secs() / seconds),
        _ => Err("this is no duration"),
    }
}

pub(super) fn whole_hours(input: Input<'_, '_>) -> Answer<i64> {
    whole(&input, 3600)
}

pub(super) fn whole_minutes(input: Input<'_, '_>) -> Answer<i64> {
    whole(&input, 60)
}

pub(super) fn whole_seconds(input: Input<'_, '_>) -> Answer<i64> {
    whole(&input, 1)
}
