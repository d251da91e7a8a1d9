//! Events: what happened on the platform, checked once at the edge.
//!
//! ```
//! use manara_model::{Event, Origin};
//! let json = br#"{"id":"post-1","source":"forum.example","type":"post.created",
//!   "time":"2026-11-22T10:15:00Z","account":{"id":"a-19"},"content":{"id":"p-1","text":"hello"}}"#;
//! let (event, warnings) = Event::from_json(json, Origin::Http).unwrap();
//! assert_eq!(event.content.unwrap().text.unwrap(), "hello");
//! assert!(warnings.is_empty());
//! ```

use crate::action::word_enum;
use crate::{Entity, EntityType};
use jiff::{SignedDuration, Timestamp};
use manara_signal::{Signal, SignalType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

/// Longest identifier, source or event type, in bytes.
const ID_BYTES_MAX: usize = 256;
/// Longest handle, display name or space name, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// Longest text, in bytes of UTF-8: what the normaliser reads.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Longest link, in bytes.
const LINK_BYTES_MAX: usize = 8 * 1024;
/// Most links in one event.
const LINKS_MAX: usize = 256;
/// Most media in one event.
const MEDIA_MAX: usize = 32;
/// Most bytes of attributes, as JSON.
const ATTRIBUTES_BYTES_MAX: usize = 64 * 1024;
/// Longest path of a field in an error, in characters.
const FIELD_CHARS_MAX: usize = 80;
/// How far ahead of Manara's clock an event may lie.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Event types that come with a schema of their own. Others are accepted, with a warning.
pub(crate) const KNOWN_TYPES: &[&str] = &[
    "account.created",
    "account.updated",
    "space.created",
    "space.updated",
    "post.created",
    "post.updated",
    "post.shared",
    "content.reported",
    "message.reported",
    "ad.requested",
    "payout.requested",
];

/// Where an event came from, which decides how its media may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Over HTTP: a medium's `path` is refused, because it would name a file of the server.
    Http,
    /// From a file on the command line.
    CommandLine,
}

/// What is wrong with an event: which field, what about it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {hint}")]
pub struct EventError {
    /// The field, as a path: `content.media[0].url`. Empty for the event as a whole.
    pub field: String,
    /// What was wrong with it.
    pub problem: String,
    /// What to do about it.
    pub hint: String,
}

impl EventError {
    fn new(field: impl Into<String>, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
            hint: hint.into(),
        }
    }
}

/// Something accepted that its sender may not have meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning(
    /// The warning in words.
    pub String,
);

/// Something that happened on the platform. `(source, id)` is its idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The platform's identifier, unique within the source.
    pub id: String,
    /// Which platform or part of it.
    pub source: String,
    /// What happened, as `noun.verb`.
    pub r#type: String,
    /// When it happened there.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub time: Timestamp,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
    /// What was said or shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The operator's own data.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub attributes: Map<String, Value>,
}

/// A person or bot of the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The platform's identifier.
    pub id: String,
    /// The name it is addressed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// The name it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub created_at: Option<Timestamp>,
    /// How many follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followers: Option<u64>,
}

/// A channel, group or page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// The platform's identifier.
    pub id: String,
    /// `channel`, `group`, `page`, or the platform's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    /// How one gets in: `automatic`, `approval`, `invite`, or the platform's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<String>,
}

/// A post, message or comment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The platform's identifier.
    pub id: String,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its language, as a BCP 47 tag, if the platform knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Links it carries besides those in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Images, video, audio and files it carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Medium>,
}

word_enum! {
    /// What a medium is.
    MediumKind, "a kind of medium", {
        /// A still or animated picture.
        Image = "image",
        /// A moving picture.
        Video = "video",
        /// A sound recording.
        Audio = "audio",
        /// Anything else.
        File = "file",
    }
}

/// One image, video, sound or file, given in exactly one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Medium {
    /// The platform's identifier.
    pub id: String,
    /// What it is.
    pub kind: MediumKind,
    /// Where it can be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its bytes in base64. Never stored with the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// A file (command line only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Ready-made signals, by type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>))]
    pub signals: BTreeMap<SignalType, String>,
    /// Quality of the ready-made `pdq` signal, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
}

/// The envelope of CloudEvents 1.0 in JSON; what is Manara's own travels in `data`.
#[derive(Deserialize)]
struct CloudEvent<'a> {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    time: Option<Timestamp>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloudEventData {
    account: Option<Account>,
    space: Option<Space>,
    content: Option<Content>,
    #[serde(default)]
    attributes: Map<String, Value>,
}

impl Event {
    /// Parses and checks one event, plain or wrapped as CloudEvents 1.0 JSON.
    pub fn from_json(json: &[u8], origin: Origin) -> Result<(Self, Vec<Warning>), EventError> {
        // UTF-8 is checked once for the whole text, so that the parser need not look at each string.
        let json = std::str::from_utf8(json).map_err(|e| {
            EventError::new(
                "",
                format!("not UTF-8 from byte {}", e.valid_up_to()),
                "send JSON encoded as UTF-8",
            )
        })?;
        let json = json.trim();
        if !json.starts_with('{') {
            return Err(EventError::new(
                "",
                "an event is a JSON object, and this is not one",
                "send one JSON object, an array of them, or one object a line as application/x-ndjson",
            ));
        }
        let event = if looks_like_cloud_event(json) {
            unwrap_cloud_event(json)?
        } else {
            parse("", json)?
        };
        let warnings = event.check(origin)?;
        Ok((event, warnings))
    }

    /// Refuses an event from the future: more than ten minutes ahead of `now`.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), EventError> {
        if self.time.duration_since(now) > AHEAD_MAX {
            return Err(EventError::new(
                "time",
                format!(
                    "{} is more than 10 minutes ahead of this server's clock, {now}",
                    self.time
                ),
                "send the time at which it happened, and check both clocks",
            ));
        }
        Ok(())
    }

    fn check(&self, origin: Origin) -> Result<Vec<Warning>, EventError> {
        check_id("id", &self.id)?;
        check_id("source", &self.source)?;
        check_type(&self.r#type)?;
        if let Some(account) = &self.account {
            check_id("account.id", &account.id)?;
            check_len("account.handle", account.handle.as_deref(), NAME_BYTES_MAX)?;
            check_len(
                "account.display_name",
                account.display_name.as_deref(),
                NAME_BYTES_MAX,
            )?;
        }
        if let Some(space) = &self.space {
            check_id("space.id", &space.id)?;
            check_len("space.name", space.name.as_deref(), NAME_BYTES_MAX)?;
            check_len("space.kind", space.kind.as_deref(), ID_BYTES_MAX)?;
            check_len("space.admission", space.admission.as_deref(), ID_BYTES_MAX)?;
        }
        if let Some(content) = &self.content {
            content.check(origin)?;
        }
        let mut warnings = Vec::new();
        if !self.attributes.is_empty() {
            let bytes = serde_json::to_string(&self.attributes).map_or(usize::MAX, |s| s.len());
            if bytes > ATTRIBUTES_BYTES_MAX {
                return Err(too_long("attributes", bytes, ATTRIBUTES_BYTES_MAX));
            }
        }
        if !KNOWN_TYPES.contains(&self.r#type.as_str()) {
            let near = nearest(&self.r#type, KNOWN_TYPES)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            warnings.push(Warning(format!(
                "type: `{}` is not a built-in event type, so only rules that name it see this event{near}",
                self.r#type
            )));
        }
        Ok(warnings)
    }

    /// The event's entity of this type; for media, the `index`th, or the only one.
    pub fn entity(&self, r#type: EntityType, index: Option<usize>) -> Option<Entity> {
        let id = match r#type {
            EntityType::Account => &self.account.as_ref()?.id,
            EntityType::Space => &self.space.as_ref()?.id,
            EntityType::Content => &self.content.as_ref()?.id,
            EntityType::Media => {
                let media = &self.content.as_ref()?.media;
                let index = index.or((media.len() == 1).then_some(0))?;
                &media.get(index)?.id
            }
            EntityType::Destination | EntityType::Payee | EntityType::Member | EntityType::Rule => {
                return None;
            }
        };
        Some(Entity {
            r#type,
            id: id.clone(),
        })
    }

    /// Every text of the event in which phrases and links are looked for, with its field's path.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let account = self.account.as_ref();
        let space = self.space.as_ref();
        [
            ("account.handle", account.and_then(|a| a.handle.as_deref())),
            (
                "account.display_name",
                account.and_then(|a| a.display_name.as_deref()),
            ),
            ("space.name", space.and_then(|s| s.name.as_deref())),
            (
                "content.text",
                self.content.as_ref().and_then(|c| c.text.as_deref()),
            ),
        ]
        .into_iter()
        .filter_map(|(field, text)| Some((field, text?)))
    }

    /// The original text at a field path of [`Event::texts`] or a link's path.
    pub fn text_at(&self, field: &str) -> Option<&str> {
        if let Some((_, text)) = self.texts().find(|(known, _)| *known == field) {
            return Some(text);
        }
        let index: usize = field
            .strip_prefix("content.links[")?
            .strip_suffix(']')?
            .parse()
            .ok()?;
        self.content.as_ref()?.links.get(index).map(String::as_str)
    }

    /// The event's media, none when it has no content.
    pub fn media(&self) -> &[Medium] {
        self.content.as_ref().map_or(&[], |content| &content.media)
    }
}

impl Content {
    fn check(&self, origin: Origin) -> Result<(), EventError> {
        check_id("content.id", &self.id)?;
        check_len("content.text", self.text.as_deref(), TEXT_BYTES_MAX)?;
        check_len("content.language", self.language.as_deref(), ID_BYTES_MAX)?;
        if self.links.len() > LINKS_MAX {
            return Err(too_many("content.links", self.links.len(), LINKS_MAX));
        }
        for (i, link) in self.links.iter().enumerate() {
            check_len_at(|| format!("content.links[{i}]"), link, LINK_BYTES_MAX)?;
        }
        if self.media.len() > MEDIA_MAX {
            return Err(too_many("content.media", self.media.len(), MEDIA_MAX));
        }
        self.media
            .iter()
            .enumerate()
            .try_for_each(|(i, medium)| medium.check(i, origin))
    }
}

impl Medium {
    fn check(&self, index: usize, origin: Origin) -> Result<(), EventError> {
        let at = |part: &str| format!("content.media[{index}]{part}");
        check_id(&at(".id"), &self.id)?;
        check_len(&at(".url"), self.url.as_deref(), LINK_BYTES_MAX)?;
        if self.path.is_some() && origin == Origin::Http {
            return Err(EventError::new(
                at(".path"),
                "a path names a file of the server, which clients may not read",
                "send the medium as `url`, `data` or `signals`",
            ));
        }
        let given = [
            self.url.is_some(),
            self.data.is_some(),
            self.path.is_some(),
            !self.signals.is_empty(),
        ];
        if given.iter().filter(|g| **g).count() != 1 {
            return Err(EventError::new(
                at(""),
                "a medium is given in exactly one way",
                "send one of `url`, `data` (base64) or `signals`",
            ));
        }
        for (signal_type, value) in &self.signals {
            Signal::parse(*signal_type, value).map_err(|e| {
                EventError::new(
                    at(&format!(".signals.{signal_type}")),
                    e.to_string(),
                    "send it as `manara hash` prints it",
                )
            })?;
        }
        match self.quality {
            Some(quality) if quality > 100 => Err(EventError::new(
                at(".quality"),
                format!("{quality} is over 100"),
                "send 0 to 100",
            )),
            _ => Ok(()),
        }
    }
}

fn looks_like_cloud_event(json: &str) -> bool {
    // A cheap test first: a post that merely talks of `specversion` is caught by the parse below.
    json.contains("\"specversion\"")
        && serde_json::from_str::<CloudEvent<'_>>(json).is_ok_and(|e| !e.specversion.is_empty())
}

fn unwrap_cloud_event(json: &str) -> Result<Event, EventError> {
    let outer: CloudEvent<'_> = parse_lax("", json)?;
    if outer.specversion != "1.0" {
        return Err(EventError::new(
            "specversion",
            format!("`{}` is not a version Manara reads", outer.specversion),
            "send CloudEvents 1.0",
        ));
    }
    let time = outer.time.ok_or_else(|| {
        EventError::new(
            "time",
            "missing",
            "send the time at which it happened, in RFC 3339",
        )
    })?;
    let data: CloudEventData = match outer.data {
        Some(raw) => parse("data", raw.get())?,
        None => CloudEventData::default(),
    };
    Ok(Event {
        id: outer.id,
        source: outer.source,
        r#type: outer.r#type,
        time,
        account: data.account,
        space: data.space,
        content: data.content,
        attributes: data.attributes,
    })
}

/// Parses at full speed; only when that fails, again with the path of the failing field.
fn parse<'a, T: Deserialize<'a>>(prefix: &str, json: &'a str) -> Result<T, EventError> {
    serde_json::from_str(json).or_else(|_| parse_lax(prefix, json))
}

fn parse_lax<'a, T: Deserialize<'a>>(prefix: &str, json: &'a str) -> Result<T, EventError> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        // `?` and `.` are the path's own words for "the value as a whole".
        let path = path.strip_suffix('?').unwrap_or(&path).trim_matches('.');
        let mut field = [prefix, path]
            .iter()
            .filter(|p| !p.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(".");
        if field.len() > FIELD_CHARS_MAX {
            field = field.chars().take(FIELD_CHARS_MAX).chain(['…']).collect();
        }
        let problem = error.into_inner().to_string();
        let hint = hint_for(&problem);
        EventError::new(field, in_words(problem), hint)
    })?;
    reader.end().map_err(|e| {
        EventError::new(
            "",
            e.to_string(),
            "send one JSON object, an array of them, or one object a line as application/x-ndjson",
        )
    })?;
    Ok(value)
}

fn hint_for(problem: &str) -> &'static str {
    if problem.starts_with("unknown field") {
        "check the spelling, and put data of your own under `attributes`"
    } else if problem.starts_with("missing field") {
        "add it; the reference is at /openapi.json"
    } else if problem.starts_with("recursion limit") {
        "nest at most 127 levels deep"
    } else if problem.starts_with("unknown variant") {
        "use one of the values named"
    } else if is_half_a_pair(problem) {
        "write the character as UTF-8, or as both of its escapes"
    } else {
        "see the event's schema at /openapi.json"
    }
}

/// Whether the parser has met an escape such as `\ud800` without its other half: no character.
fn is_half_a_pair(problem: &str) -> bool {
    problem.contains("surrogate") || problem.starts_with("unexpected end of hex escape")
}

/// What the parser said, where it does not say what is wrong.
fn in_words(problem: String) -> String {
    if !is_half_a_pair(&problem) {
        return problem;
    }
    let place = problem.find(" at line ").and_then(|at| problem.get(at..));
    format!(
        "an escape from \\ud800 to \\udfff stands alone{}",
        place.unwrap_or_default()
    )
}

fn check_id(field: &str, id: &str) -> Result<(), EventError> {
    if id.is_empty() {
        return Err(EventError::new(
            field,
            "empty",
            "send the platform's own identifier",
        ));
    }
    if id.len() > ID_BYTES_MAX {
        return Err(too_long(field, id.len(), ID_BYTES_MAX));
    }
    if id.chars().any(char::is_control) {
        return Err(EventError::new(
            field,
            "holds a control character",
            "send printable characters only",
        ));
    }
    Ok(())
}

fn check_type(r#type: &str) -> Result<(), EventError> {
    let part = |p: &str| {
        p.starts_with(|c: char| c.is_ascii_lowercase())
            && p.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if r#type.len() <= ID_BYTES_MAX && r#type.contains('.') && r#type.split('.').all(part) {
        return Ok(());
    }
    Err(EventError::new(
        "type",
        format!(
            "`{}` is not an event type",
            r#type.chars().take(80).collect::<String>()
        ),
        "write it as `noun.verb` in lower case, for example `post.created`",
    ))
}

fn check_len(field: &str, text: Option<&str>, max: usize) -> Result<(), EventError> {
    text.map_or(Ok(()), |text| check_len_at(|| field.to_owned(), text, max))
}

fn check_len_at(field: impl FnOnce() -> String, text: &str, max: usize) -> Result<(), EventError> {
    if text.len() > max {
        Err(too_long(&field(), text.len(), max))
    } else {
        Ok(())
    }
}

fn too_long(field: &str, bytes: usize, max: usize) -> EventError {
    EventError::new(
        field,
        format!("{bytes} bytes long, the limit is {max}"),
        "shorten it, or split it into several events",
    )
}

fn too_many(field: &str, count: usize, max: usize) -> EventError {
    EventError::new(
        field,
        format!("{count} entries, the limit is {max}"),
        "split them into several events",
    )
}

/// The known word nearest to `word`, when it is near enough to be a slip.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), *k))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str =
        r#""id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z""#;

    #[track_caller]
    fn refused(json: &str, field: &str, says: &str) {
        let error = Event::from_json(json.as_bytes(), Origin::Http).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn a_wrong_field_is_named_with_what_to_do() {
        refused("{", "", "EOF");
        refused("[]", "", "an event is a JSON object");
        refused("", "", "an event is a JSON object");
        refused("{\"id\":\n", "id", "line 1 column 6");
        refused(
            &format!("{{{BASE},\"acount\":{{}}}}"),
            "acount",
            "`attributes`",
        );
        refused(
            &format!("{{{BASE},\"account\":{{\"id\":\"\"}}}}"),
            "account.id",
            "empty",
        );
        refused(
            &format!("{{{BASE},\"account\":{{\"id\":7}}}}"),
            "account.id",
            "invalid type",
        );
        refused(
            &BASE
                .replace("post.created", "Post")
                .replace("\"id\"", "{\"id\"")
                .replace("00Z\"", "00Z\"}"),
            "type",
            "noun.verb",
        );
        refused(
            &format!(
                "{{{BASE},\"content\":{{\"id\":\"p\",\"media\":[{{\"id\":\"m\",\"kind\":\"image\",\"path\":\"/etc/passwd\"}}]}}}}"
            ),
            "content.media[0].path",
            "may not read",
        );
        refused(
            &format!(
                "{{{BASE},\"content\":{{\"id\":\"p\",\"media\":[{{\"id\":\"m\",\"kind\":\"image\"}}]}}}}"
            ),
            "content.media[0]",
            "exactly one way",
        );
        refused(
            &format!(
                "{{{BASE},\"content\":{{\"id\":\"p\",\"media\":[{{\"id\":\"m\",\"kind\":\"image\",\"signals\":{{\"pdq\":\"zz\"}}}}]}}}}"
            ),
            "content.media[0].signals.pdq",
            "manara hash",
        );
        refused(
            &format!(
                "{{{BASE},\"content\":{{\"id\":\"p\",\"text\":\"{}\"}}}}",
                "x".repeat(70_000)
            ),
            "content.text",
            "70000 bytes",
        );
    }

    #[test]
    fn deep_json_is_refused_and_not_a_crash() {
        let deep = format!(
            "{{{BASE},\"attributes\":{{\"a\":{}1{}}}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        let error = Event::from_json(deep.as_bytes(), Origin::Http).unwrap_err();
        assert!(
            error.field.starts_with("attributes.a[0]") && error.field.len() < 100,
            "{error}"
        );
        assert!(error.problem.starts_with("recursion limit"), "{error}");
    }

    #[test]
    fn non_utf8_is_refused() {
        let error = Event::from_json(b"{\"id\":\"\xff\"}", Origin::Http).unwrap_err();
        assert!(
            error.to_string().contains("not UTF-8 from byte 7"),
            "{error}"
        );
    }

    #[test]
    fn half_a_pair_of_escapes_is_named() {
        for half in ["\\ud800", "\\ud800 x", "\\udc00", "\\ud800\\ud800"] {
            let json = format!(r#"{{{BASE},"content":{{"id":"c","text":"a {half}"}}}}"#);
            let error = Event::from_json(json.as_bytes(), Origin::Http).unwrap_err();
            assert_eq!(error.field, "content.text");
            let words = "an escape from \\ud800 to \\udfff stands alone at line 1";
            assert!(error.to_string().contains(words), "{half}: {error}");
        }
        let json = format!(r#"{{{BASE},"content":{{"id":"c","text":"\ud83d\ude00"}}}}"#);
        assert!(Event::from_json(json.as_bytes(), Origin::Http).is_ok());
    }

    #[test]
    fn unknown_types_are_accepted_with_a_warning() {
        let json = format!("{{{}}}", BASE.replace("post.created", "post.craeted"));
        let (_, warnings) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
        assert!(
            warnings[0].0.contains("did you mean `post.created`"),
            "{warnings:?}"
        );
    }

    #[test]
    fn cloud_events_are_unwrapped() {
        let json = format!(r#"{{"specversion":"1.0",{BASE},"data":{{"account":{{"id":"a"}}}}}}"#);
        let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
        assert_eq!(event.account.unwrap().id, "a");
        refused(
            &format!(r#"{{"specversion":"0.3",{BASE}}}"#),
            "specversion",
            "CloudEvents 1.0",
        );
        refused(
            &format!(r#"{{"specversion":"1.0",{BASE},"data":{{"acount":1}}}}"#),
            "data.acount",
            "attributes",
        );
    }

    #[test]
    fn an_event_from_the_future_is_refused() {
        let (event, _) = Event::from_json(format!("{{{BASE}}}").as_bytes(), Origin::Http).unwrap();
        let at = |text: &str| text.parse().unwrap();
        assert!(event.check_clock(at("2026-11-22T10:06:00Z")).is_ok());
        let error = event.check_clock(at("2026-11-22T10:04:00Z")).unwrap_err();
        assert_eq!(error.field, "time");
    }

    #[test]
    fn an_event_reads_back_as_written() {
        let json = format!(
            r#"{{{BASE},"content":{{"id":"p","links":["https://example.com"],"media":[{{"id":"m","kind":"image","data":"AA=="}}]}},"attributes":{{"k":[1,"x"]}}}}"#
        );
        let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
        let again = serde_json::to_vec(&event).unwrap();
        assert_eq!(Event::from_json(&again, Origin::Http).unwrap().0, event);
        assert_eq!(
            event.text_at("content.links[0]"),
            Some("https://example.com")
        );
        assert_eq!(event.entity(EntityType::Media, None).unwrap().id, "m");
    }
}
