//! What was typed into a form, and what is wrong with it: both go back to the page together.
//!
//! Fields are kept by name, so that a page that asks once more ("is this what you want?") can carry
//! all of them on unchanged.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use manara_model::Tag;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

/// The fields of a form as sent, without its token.
pub(in crate::console) type Fields = BTreeMap<String, String>;

/// Fields that belong to a preview's buttons and not to what was typed before it.
const OF_PREVIEW: [&str; 3] = ["do", "seal", "read"];

/// The fields of a form with what is wrong with them.
#[derive(Debug, Clone, Default)]
pub(super) struct Typed {
    fields: Fields,
    problems: BTreeMap<&'static str, String>,
}

impl From<Fields> for Typed {
    fn from(mut fields: Fields) -> Self {
        for value in fields.values_mut() {
            // Browsers send line ends as CR LF whatever was typed.
            let unified = value.replace("\r\n", "\n");
            unified.trim().clone_into(value);
        }
        Self {
            fields,
            problems: BTreeMap::new(),
        }
    }
}

impl Typed {
    /// A field's value; empty if it was not sent.
    pub(super) fn value(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    /// Whether a box was ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.value(name).is_empty()
    }

    /// The names of the ticked boxes of a group: `veto:SAFE` is `SAFE` of the group `veto`.
    pub(super) fn ticked<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.keys();
        named.filter_map(move |name| name.strip_prefix(group)?.strip_prefix(':'))
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// What was typed, without what a preview asks for.
    pub(super) fn carried(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.fields.iter();
        let fields = fields.map(|(name, value)| (name.as_str(), value.as_str()));
        fields.filter(|(name, _)| !OF_PREVIEW.contains(name))
    }

    /// Says what is wrong with a field; the first thing said stays.
    pub(super) fn refuse(&mut self, name: &'static str, problem: impl Display) {
        let said = sentence(&problem.to_string());
        self.problems.entry(name).or_insert(said);
    }

    pub(super) fn problem(&self, name: &str) -> Option<&str> {
        self.problems.get(name).map(String::as_str)
    }

    pub(super) fn is_refused(&self) -> bool {
        !self.problems.is_empty()
    }

    /// A field's value as it is meant; nothing if it is empty or wrong, which is said at the field.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.parsed_as(name, |value| value.parse::<T>().map_err(|e| e.to_string()))
    }

    /// The same for a number that is `min` to `max`.
    pub(super) fn number(&mut self, name: &'static str, min: u32, max: u32) -> Option<u32> {
        self.parsed_as(name, |value| {
            let number = value.parse::<u32>().ok();
            let fits = number.filter(|number| (min..=max).contains(number));
            fits.ok_or_else(|| format!("use a whole number from {min} to {max}, or leave it empty"))
        })
    }

    /// The same for a time: a day, a full time, or `now`.
    pub(super) fn time(&mut self, name: &'static str, now: Timestamp) -> Option<Timestamp> {
        self.parsed_as(name, |value| {
            if value == "now" {
                return Ok(now);
            }
            // A full time reads as a day, too, which would drop its hours.
            let day = (value.len() == 10)
                .then(|| value.parse::<Date>().ok())
                .flatten();
            let day = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
            day.map(|day| day.timestamp())
                .or_else(|| value.parse::<Timestamp>().ok())
                .ok_or_else(|| {
                    "write a day as 2027-01-31 (it begins at 00:00 UTC), `now`, or nothing"
                        .to_owned()
                })
        })
    }

    /// The same for tags, which are set apart by commas or spaces.
    pub(super) fn tags(&mut self, name: &'static str) -> BTreeSet<Tag> {
        let parsed = self.parsed_as(name, |value| {
            let words = value
                .split([',', ' ', '\n', '\t'])
                .filter(|word| !word.is_empty());
            words.map(str::parse).collect::<Result<BTreeSet<Tag>, _>>()
        });
        parsed.unwrap_or_default()
    }

    fn parsed_as<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(name);
        if value.is_empty() {
            return None;
        }
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(problem) => {
                self.refuse(name, problem);
                None
            }
        }
    }
}

/// A problem as a sentence of the page.
pub(super) fn sentence(said: &str) -> String {
    let mut rest = said.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    let stop = if said.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{}{}{stop}", first.unwrap_or_default(), rest.as_str())
}

/// A time as it is typed: the day alone if it begins then.
pub(super) fn typed_time(at: Option<Timestamp>) -> String {
    let Some(at) = at else { return String::new() };
    let midnight = at.as_microsecond() % (86_400 * 1_000_000) == 0;
    let shape = if midnight {
        "%Y-%m-%d"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    at.strftime(shape).to_string()
}

/// Tags as they are typed.
pub(super) fn typed_tags(tags: &BTreeSet<Tag>) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(value: &str) -> Typed {
        Typed::from(Fields::from([("f".to_owned(), value.to_owned())]))
    }

    #[track_caller]
    fn check_time(value: &str, expect: Result<Option<&str>, &str>) {
        let mut typed = typed(value);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let time = typed.time("f", now).map(|at| at.to_string());
        let found = match typed.problem("f") {
            Some(problem) => Err(problem),
            None => Ok(time.as_deref()),
        };
        assert_eq!(found, expect, "{value}");
    }

    #[test]
    fn times_are_days_or_moments() {
        let wrong = "Write a day as 2027-01-31 (it begins at 00:00 UTC), `now`, or nothing.";
        check_time("", Ok(None));
        check_time("2027-01-31", Ok(Some("2027-01-31T00:00:00Z")));
        check_time(
            "2027-01-31T10:00:00+02:00",
            Ok(Some("2027-01-31T08:00:00Z")),
        );
        check_time("now", Ok(Some("2027-01-15T08:00:00Z")));
        for bad in ["31.1.2027", "2027-02-30", "soon", "2027"] {
            check_time(bad, Err(wrong));
        }
    }

    #[test]
    fn a_time_is_typed_as_it_was_meant() {
        for text in ["2027-01-31", "2027-01-31T08:00:01Z", ""] {
            let mut typed = typed(text);
            assert_eq!(typed_time(typed.time("f", Timestamp::UNIX_EPOCH)), text);
        }
    }

    #[test]
    fn numbers_keep_to_their_range() {
        for (text, expect) in [
            ("", None),
            ("0", Some(0)),
            ("31", Some(31)),
            ("32", None),
            ("x", None),
            ("-1", None),
        ] {
            let mut typed = typed(text);
            assert_eq!(typed.number("f", 0, 31), expect, "{text}");
            assert_eq!(
                typed.is_refused(),
                expect.is_none() && !text.is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn tags_are_words() {
        let mut two = typed("b, a\nb");
        assert_eq!(typed_tags(&two.tags("f")), "a b");
        let mut bad = typed("a;b");
        assert!(bad.tags("f").is_empty());
        assert!(bad.problem("f").unwrap().contains("is not a tag"));
    }

    #[test]
    fn the_first_problem_stays_and_is_a_sentence() {
        let mut typed = Typed::default();
        typed.refuse("f", "no such bank");
        typed.refuse("f", "another");
        assert_eq!(typed.problem("f"), Some("No such bank."));
    }
}
