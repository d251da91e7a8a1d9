//! Literals: reading the escapes, numbers and durations of rule text, and writing values back.

use jiff::{SignedDuration, Timestamp};

/// Units of a duration, longest first, in nanoseconds. A day is 24 hours and a week 7 days.
const UNITS: &[(&str, i128)] = &[
    ("w", 7 * 24 * 3_600 * 1_000_000_000),
    ("d", 24 * 3_600 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads `24h`, `1h30m`, `1.5h`, `-90s`; units are `w d h m s ms us ns`.
pub(crate) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let mut total: i128 = 0;
    if rest.is_empty() || rest.len() > 64 {
        return None;
    }
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_len);
        let unit_len = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, *nanos)?)?;
        rest = after;
    }
    let total = if negative { -total } else { total };
    let seconds = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
    let nanos = i64::try_from(total.rem_euclid(1_000_000_000)).ok()?;
    SignedDuration::from_secs(seconds).checked_add(SignedDuration::from_nanos(nanos))
}

/// A decimal number of units, in nanoseconds, without rounding through a float.
fn scaled(number: &str, unit_nanos: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: i128 = whole.parse::<u64>().ok()?.into();
    let digits = u32::try_from(fraction.len()).ok().filter(|d| *d <= 9)?;
    let fraction: i128 = fraction.parse::<u64>().ok()?.into();
    whole
        .checked_mul(unit_nanos)?
        .checked_add(fraction * unit_nanos / 10_i128.pow(digits))
}

/// Writes a duration as the rule language reads it: `1d2h`, `-90s` as `-1m30s`, `0s`.
pub(crate) fn show_duration(duration: SignedDuration) -> String {
    let mut nanos = duration.as_nanos().unsigned_abs();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut out = String::from(if duration.is_negative() { "-" } else { "" });
    for (unit, size) in UNITS.iter().filter(|(unit, _)| *unit != "w") {
        let size = size.unsigned_abs();
        if nanos >= size {
            out.extend([&(nanos / size).to_string(), *unit]);
            nanos %= size;
        }
    }
    out
}

/// Reads a whole number, decimal or `0x…`.
pub(crate) fn parse_int(text: &str, negative: bool) -> Option<i64> {
    let magnitude = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i128::from_str_radix(hex, 16).ok()?,
        None => text.parse::<i128>().ok()?,
    };
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Reads RFC 3339.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Writes a text as a literal of the rule language, cut after `max` characters.
pub(crate) fn show_string(text: &str, max: usize) -> String {
    let mut out = String::from("\"");
    for c in text.chars().take(max) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}

/// Why a string literal cannot be read: where in it, in bytes, and why.
pub(crate) struct BadEscape {
    pub(crate) at: usize,
    pub(crate) len: usize,
}

/// The text a string literal stands for, with CEL's escapes.
pub(crate) fn decode(literal: &str) -> Result<String, BadEscape> {
    let raw = literal.starts_with(['r', 'R']);
    let from = usize::from(raw);
    let quoted = literal.get(from..).unwrap_or_default();
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|q| quoted.starts_with(q))
        .map_or(0, str::len);
    // An unclosed literal was reported by the lexer; whatever it holds is good enough from here on.
    let body = quoted
        .get(quote..quoted.len().saturating_sub(quote))
        .unwrap_or_default();
    if raw || !body.contains('\\') {
        return Ok(body.to_owned());
    }
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(backslash) = rest.find('\\') {
        let (before, escape) = rest.split_at(backslash);
        out.push_str(before);
        let (c, len) = unescape(escape).ok_or(BadEscape {
            at: from + quote + (body.len() - escape.len()),
            len: escape.chars().take(2).map(char::len_utf8).sum(),
        })?;
        out.push(c);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// The character an escape (with its backslash) stands for, and the escape's length.
fn unescape(escape: &str) -> Option<(char, usize)> {
    let code = |from: usize, digits: usize, radix: u32| {
        let text = escape.get(from..from + digits)?;
        // `from_str_radix` would take a sign.
        let number = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric())
            .then(|| u32::from_str_radix(text, radix).ok())??;
        Some((char::from_u32(number)?, from + digits))
    };
    let simple = |c: char| Some((c, 2));
    match escape.as_bytes().get(1)? {
        b'a' => simple('\u{7}'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\u{b}'),
        c @ (b'\\' | b'?' | b'"' | b'\'' | b'`') => simple(char::from(*c)),
        b'x' | b'X' => code(2, 2, 16),
        b'u' => code(2, 4, 16),
        b'U' => code(2, 8, 16),
        b'0'..=b'3' => code(1, 3, 8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn duration(text: &str, expect: Option<i64>) {
        assert_eq!(parse_duration(text).map(|d| d.as_secs()), expect, "{text}");
    }

    #[test]
    fn durations_are_exact() {
        duration("24h", Some(86_400));
        duration("1h30m", Some(5_400));
        duration("1.5h", Some(5_400));
        duration("2w", Some(1_209_600));
        duration("-90s", Some(-90));
        for wrong in [
            "",
            "h",
            "1",
            "1x",
            "1h2",
            "1.h.",
            "99999999999999999999h",
            "-",
            "1e3s",
        ] {
            duration(wrong, None);
        }
    }

    #[test]
    fn escapes_are_those_of_cel() {
        let check = |literal: &str, expect: &str| {
            assert_eq!(decode(literal).ok().as_deref(), Some(expect), "{literal}");
        };
        check(
            r#""a\n\"\x41\u0628\U0001F600\101""#,
            "a\n\"A\u{628}\u{1F600}A",
        );
        check(r#"r"\n""#, r"\n");
        check("'''it's'''", "it's");
        for wrong in [
            r#""\q""#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\U00110000""#,
            r#""\400""#,
            r#""\u+123""#,
        ] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_back(nanos in any::<i64>()) {
            let duration = SignedDuration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        #[test]
        fn a_shown_string_reads_back(text in any::<String>()) {
            prop_assert_eq!(decode(&show_string(&text, usize::MAX)).ok(), Some(text));
        }
        #[test]
        fn decoding_never_panics(text in "[\"'rR\\\\ux0-9a-f\u{628}]{0,24}") {
            let _ = decode(&text);
        }
    }
}
