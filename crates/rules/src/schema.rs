//! The schema: which events there are and what a rule may ask of them.
//!
//! The built-in part is the [`Event`](manara_model::Event) itself; an operator adds event types and
//! typed attributes of their own.

use crate::diagnostic::{Diagnostic, Source};
use crate::types::{Shape, Type};
use manara_model::EntityType;
use std::collections::BTreeMap;

/// Event types every Manara knows.
pub(crate) const EVENT_TYPES: &[&str] = &[
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

/// What rules are checked against.
///
/// ```
/// use manara_rules::{Schema, Type};
/// let schema = Schema::from_toml(
///     r#"
///     [events."listing.created"]
///     description = "A listing was put up for sale"
///     [attributes]
///     tags = "set<string>"
///     "#,
/// )
/// .unwrap();
/// let tags = schema.attributes().next().unwrap();
/// assert_eq!((tags.name.as_str(), tags.ty), ("tags", Type::set(Type::String)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// With the operator's own description, empty for those that come with Manara.
    event_types: BTreeMap<String, String>,
    /// By name, for one event type or for all.
    attributes: BTreeMap<String, BTreeMap<Option<String>, Attribute>>,
    /// Attributes by the names they had before.
    renamed: BTreeMap<String, String>,
}

/// One attribute, for one event type or for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) ty: Type,
    pub(crate) description: String,
}

/// An attribute, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeDoc {
    /// Its name, which stands after `attributes.` in a rule.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// The event type it is declared for; `None` for every event.
    pub on: Option<String>,
    /// What the operator says it means; may be empty.
    pub description: String,
}

/// What a schema says about an attribute for the event types of one rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Declared<'s> {
    Yes(&'s Type),
    /// Declared, but not for this event type (or, `None`, not for all of them).
    NotFor(Option<String>),
    /// Declared with two types for two of the rule's event types.
    Differs(&'s Type, &'s Type),
    /// Known under another name by now.
    Renamed(&'s str),
    No,
}

impl Schema {
    /// The event types and fields that come with Manara, without attributes.
    pub fn builtin() -> Self {
        let event_types = EVENT_TYPES.iter().map(|t| ((*t).to_owned(), String::new()));
        Self {
            event_types: event_types.collect(),
            ..Self::default()
        }
    }

    /// Reads a schema file: the built-in part with the event types and attributes it declares. The
    /// format is described in `docs/rules.md`; `examples/schema.toml` is one to begin from.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::from_source(&Source {
            name: "schema.toml".to_owned(),
            text: text.to_owned(),
        })
    }

    /// As [`from_toml`](Self::from_toml), with the file's name for its diagnostics.
    pub fn from_source(source: &Source) -> Result<Self, Vec<Diagnostic>> {
        crate::schema_file::read(source)
    }

    /// Adds `attributes.name` of type `ty`, for one event type or, with `None`, for all.
    ///
    /// A value of another type in an event, and every value of a type that JSON has no form for
    /// (entities, lists of lists), is treated as missing.
    #[must_use]
    pub fn with_attribute(mut self, event_type: Option<&str>, name: &str, ty: Type) -> Self {
        let description = String::new();
        self.declare(event_type, name, Attribute { ty, description });
        self
    }

    /// Lets `attributes.name` be read from events that carry it under its old name.
    #[must_use]
    pub fn with_renamed(mut self, old: &str, name: &str) -> Self {
        self.renamed.insert(old.to_owned(), name.to_owned());
        self
    }

    /// Adds an event type of the operator's own, such as `listing.created`.
    #[must_use]
    pub fn with_event_type(mut self, name: &str) -> Self {
        self.declare_event(name, "");
        self
    }

    /// Declares an attribute; false when it was declared for these events already.
    pub(crate) fn declare(&mut self, on: Option<&str>, name: &str, attribute: Attribute) -> bool {
        let by_type = self.attributes.entry(name.to_owned()).or_default();
        by_type.insert(on.map(str::to_owned), attribute).is_none()
    }

    pub(crate) fn declare_event(&mut self, name: &str, description: &str) {
        self.event_types
            .insert(name.to_owned(), description.to_owned());
    }

    /// Says what an attribute was called before; false when the old name is taken.
    pub(crate) fn rename(&mut self, old: &str, name: &str) -> bool {
        let taken = self.attributes.contains_key(old) || self.renamed.contains_key(old);
        if !taken {
            self.renamed.insert(old.to_owned(), name.to_owned());
        }
        !taken
    }

    /// Every attribute, by name, one entry for each event type it is declared for.
    pub fn attributes(&self) -> impl Iterator<Item = AttributeDoc> {
        let doc = |name: &String, on: &Option<String>, attribute: &Attribute| AttributeDoc {
            name: name.clone(),
            ty: attribute.ty.clone(),
            on: on.clone(),
            description: attribute.description.clone(),
        };
        self.attributes
            .iter()
            .flat_map(move |(name, by_type)| by_type.iter().map(move |(on, a)| doc(name, on, a)))
    }

    /// Every event type with its description, which is empty for those that come with Manara.
    pub fn events(&self) -> impl Iterator<Item = (&str, &str)> {
        self.event_types
            .iter()
            .map(|(name, description)| (name.as_str(), description.as_str()))
    }

    /// The names an attribute had before.
    pub(crate) fn old_names(&self, name: &str) -> Vec<Box<str>> {
        let old = self.renamed.iter().filter(|(_, new)| *new == name);
        old.map(|(old, _)| old.as_str().into()).collect()
    }

    pub(crate) fn knows_event_type(&self, name: &str) -> bool {
        self.event_types.contains_key(name)
    }

    pub(crate) fn event_types(&self) -> Vec<&str> {
        self.event_types.keys().map(String::as_str).collect()
    }

    pub(crate) fn attribute_names(&self) -> Vec<&str> {
        self.attributes.keys().map(String::as_str).collect()
    }

    /// The attribute as a rule on these event types (all of them, when empty) may use it.
    pub(crate) fn attribute(&self, name: &str, on: &[String]) -> Declared<'_> {
        let Some(by_type) = self.attributes.get(name) else {
            let renamed = self.renamed.get(name);
            return renamed.map_or(Declared::No, |new| Declared::Renamed(new));
        };
        let everywhere = by_type.get(&None).map(|attribute| &attribute.ty);
        if on.is_empty() {
            return everywhere.map_or(Declared::NotFor(None), Declared::Yes);
        }
        let mut found: Option<&Type> = None;
        for event_type in on {
            let Some(ty) = by_type
                .get(&Some(event_type.clone()))
                .map(|attribute| &attribute.ty)
                .or(everywhere)
            else {
                return Declared::NotFor(Some(event_type.clone()));
            };
            match found {
                Some(other) if other != ty => return Declared::Differs(other, ty),
                _ => found = Some(ty),
            }
        }
        found.map_or(Declared::No, Declared::Yes)
    }
}

/// A value that every event has or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    EventId,
    EventSource,
    EventType,
    EventTime,
    ReceivedAt,
    AccountId,
    AccountHandle,
    AccountDisplayName,
    AccountCreatedAt,
    AccountFollowers,
    AccountAge,
    SpaceId,
    SpaceKind,
    SpaceName,
    SpaceMembers,
    SpaceAdmission,
    ContentId,
    ContentText,
    ContentLanguage,
    ContentLinks,
    ContentMedia,
    ContentFoundLinks,
    ContentLinkDomains,
    ContentDetectedLanguage,
    ContentTextKey,
}

/// A value that a medium has or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MediumField {
    Id,
    Kind,
    Url,
    Quality,
    Width,
    Height,
    Undecodable,
    Unavailable,
    Sha256,
    Md5,
    Pdq,
}

/// A field: what it is part of, its name, its type, and what it means.
#[derive(Debug)]
struct Entry<F> {
    root: &'static str,
    name: &'static str,
    field: F,
    shape: Shape,
    doc: &'static str,
}

/// What `root.field` names.
const FIELDS: &[Entry<Field>] = &[
    Entry {
        root: "event",
        name: "id",
        field: Field::EventId,
        shape: Shape::Text,
        doc: "the platform's identifier of what happened",
    },
    Entry {
        root: "event",
        name: "source",
        field: Field::EventSource,
        shape: Shape::Text,
        doc: "which platform or part of it",
    },
    Entry {
        root: "event",
        name: "type",
        field: Field::EventType,
        shape: Shape::Text,
        doc: "what happened, as `noun.verb`",
    },
    Entry {
        root: "event",
        name: "time",
        field: Field::EventTime,
        shape: Shape::Time,
        doc: "when it happened on the platform",
    },
    Entry {
        root: "",
        name: "received_at",
        field: Field::ReceivedAt,
        shape: Shape::Time,
        doc: "when Manara received it",
    },
    Entry {
        root: "account",
        name: "id",
        field: Field::AccountId,
        shape: Shape::Text,
        doc: "the platform's identifier of the account",
    },
    Entry {
        root: "account",
        name: "handle",
        field: Field::AccountHandle,
        shape: Shape::Text,
        doc: "the name it is addressed by",
    },
    Entry {
        root: "account",
        name: "display_name",
        field: Field::AccountDisplayName,
        shape: Shape::Text,
        doc: "the name it shows",
    },
    Entry {
        root: "account",
        name: "created_at",
        field: Field::AccountCreatedAt,
        shape: Shape::Time,
        doc: "when it was made",
    },
    Entry {
        root: "account",
        name: "age",
        field: Field::AccountAge,
        shape: Shape::Duration,
        doc: "`event.time - account.created_at`",
    },
    Entry {
        root: "account",
        name: "followers",
        field: Field::AccountFollowers,
        shape: Shape::Int,
        doc: "how many follow it",
    },
    Entry {
        root: "space",
        name: "id",
        field: Field::SpaceId,
        shape: Shape::Text,
        doc: "the platform's identifier of the channel, group or page",
    },
    Entry {
        root: "space",
        name: "kind",
        field: Field::SpaceKind,
        shape: Shape::Text,
        doc: "`channel`, `group`, `page`, or the platform's own word",
    },
    Entry {
        root: "space",
        name: "name",
        field: Field::SpaceName,
        shape: Shape::Text,
        doc: "the name it shows",
    },
    Entry {
        root: "space",
        name: "members",
        field: Field::SpaceMembers,
        shape: Shape::Int,
        doc: "how many are in it",
    },
    Entry {
        root: "space",
        name: "admission",
        field: Field::SpaceAdmission,
        shape: Shape::Text,
        doc: "how one gets in: `automatic`, `approval`, `invite`, or the platform's own word",
    },
    Entry {
        root: "content",
        name: "id",
        field: Field::ContentId,
        shape: Shape::Text,
        doc: "the platform's identifier of the post",
    },
    Entry {
        root: "content",
        name: "text",
        field: Field::ContentText,
        shape: Shape::Text,
        doc: "what it says",
    },
    Entry {
        root: "content",
        name: "language",
        field: Field::ContentLanguage,
        shape: Shape::Text,
        doc: "its language as the platform knows it, a BCP 47 tag",
    },
    Entry {
        root: "content",
        name: "detected_language",
        field: Field::ContentDetectedLanguage,
        shape: Shape::Text,
        doc: "the language of its text as Manara tells it: `en`, `ar`, `ar-Latn`, …; unknown when it cannot be told",
    },
    Entry {
        root: "content",
        name: "text_key",
        field: Field::ContentTextKey,
        shape: Shape::Text,
        doc: "a short key of its text, the same for every disguise that `normalised` takes off: 32 hexadecimal digits",
    },
    Entry {
        root: "content",
        name: "links",
        field: Field::ContentLinks,
        shape: Shape::Texts,
        doc: "the links listed in the event",
    },
    Entry {
        root: "content",
        name: "found_links",
        field: Field::ContentFoundLinks,
        shape: Shape::Texts,
        doc: "the web addresses among those and the ones written in the text, in canonical form, each once, at most 256",
    },
    Entry {
        root: "content",
        name: "link_domains",
        field: Field::ContentLinkDomains,
        shape: Shape::Texts,
        doc: "the registrable domains of `content.found_links`, each once",
    },
    Entry {
        root: "content",
        name: "media",
        field: Field::ContentMedia,
        shape: Shape::Media,
        doc: "images, video, audio and files",
    },
];

/// What `m.field` names, of a medium `m`.
const MEDIUM_FIELDS: &[Entry<MediumField>] = &[
    Entry {
        root: "m",
        name: "id",
        field: MediumField::Id,
        shape: Shape::Text,
        doc: "the platform's identifier of the medium",
    },
    Entry {
        root: "m",
        name: "kind",
        field: MediumField::Kind,
        shape: Shape::Text,
        doc: "`image`, `video`, `audio` or `file`",
    },
    Entry {
        root: "m",
        name: "url",
        field: MediumField::Url,
        shape: Shape::Text,
        doc: "where it can be fetched",
    },
    Entry {
        root: "m",
        name: "quality",
        field: MediumField::Quality,
        shape: Shape::Int,
        doc: "how much there is to compare in an image, 0 to 100",
    },
    Entry {
        root: "m",
        name: "width",
        field: MediumField::Width,
        shape: Shape::Int,
        doc: "in pixels",
    },
    Entry {
        root: "m",
        name: "height",
        field: MediumField::Height,
        shape: Shape::Int,
        doc: "in pixels",
    },
    Entry {
        root: "m",
        name: "undecodable",
        field: MediumField::Undecodable,
        shape: Shape::Bool,
        doc: "its bytes could not be read",
    },
    Entry {
        root: "m",
        name: "unavailable",
        field: MediumField::Unavailable,
        shape: Shape::Bool,
        doc: "it could not be fetched",
    },
    Entry {
        root: "m",
        name: "sha256",
        field: MediumField::Sha256,
        shape: Shape::Text,
        doc: "SHA-256 of its bytes in lower-case hexadecimal",
    },
    Entry {
        root: "m",
        name: "md5",
        field: MediumField::Md5,
        shape: Shape::Text,
        doc: "MD5 of its bytes in lower-case hexadecimal",
    },
    Entry {
        root: "m",
        name: "pdq",
        field: MediumField::Pdq,
        shape: Shape::Text,
        doc: "PDQ hash of the image as stored, in lower-case hexadecimal",
    },
];

/// A field, as people see it: for completion, hover and generated reference pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDoc {
    /// How a rule writes it: `account.age`, or `m.width` of a medium `m`.
    pub path: String,
    /// Its type.
    pub ty: Type,
    /// What it means, in a few words.
    pub doc: &'static str,
}

/// Every field that rules may use, attributes aside.
///
/// ```
/// let age = manara_rules::fields().find(|field| field.path == "account.age").unwrap();
/// assert_eq!(age.ty.to_string(), "duration");
/// ```
pub fn fields() -> impl Iterator<Item = FieldDoc> {
    let of_media = MEDIUM_FIELDS.iter().map(doc_of);
    FIELDS.iter().map(doc_of).chain(of_media)
}

fn doc_of<F>(entry: &Entry<F>) -> FieldDoc {
    let path = match entry.root {
        "" => entry.name.to_owned(),
        root => format!("{root}.{}", entry.name),
    };
    FieldDoc {
        path,
        ty: entry.shape.ty(),
        doc: entry.doc,
    }
}

/// The words an expression may begin with.
pub(crate) const ROOTS: &[&str] = &[
    "event",
    "received_at",
    "account",
    "space",
    "content",
    "attributes",
];

/// `root.name`, when there is such a field.
pub(crate) fn field(root: &str, name: &str) -> Option<Field> {
    FIELDS
        .iter()
        .find(|entry| !root.is_empty() && entry.root == root && entry.name == name)
        .map(|entry| entry.field)
}

/// The fields of `account`, `space`, `content` or `event`.
pub(crate) fn field_names(root: &str) -> Vec<&'static str> {
    FIELDS
        .iter()
        .filter(|entry| entry.root == root)
        .map(|entry| entry.name)
        .collect()
}

/// The field of a medium.
pub(crate) fn medium_field(name: &str) -> Option<MediumField> {
    MEDIUM_FIELDS
        .iter()
        .find(|entry| entry.name == name)
        .map(|entry| entry.field)
}

/// The fields of a medium.
pub(crate) fn medium_field_names() -> Vec<&'static str> {
    MEDIUM_FIELDS.iter().map(|entry| entry.name).collect()
}

/// The entity a root names.
pub(crate) fn root_entity(root: &str) -> Option<EntityType> {
    match root {
        "account" => Some(EntityType::Account),
        "space" => Some(EntityType::Space),
        "content" => Some(EntityType::Content),
        _ => None,
    }
}

impl Field {
    fn entry(self) -> Option<&'static Entry<Self>> {
        FIELDS.iter().find(|entry| entry.field == self)
    }

    /// Its path, as in an event and as in a rule.
    pub(crate) fn path(self) -> String {
        self.entry()
            .map(|entry| doc_of(entry).path)
            .unwrap_or_default()
    }

    pub(crate) fn ty(self) -> Type {
        self.entry().map_or(Type::Never, |entry| entry.shape.ty())
    }

    /// Upper bound of the work to compute it, in units of roughly a nanosecond; it is kept, so that
    /// other rules pay less.
    pub(crate) fn cost(self) -> u64 {
        match self {
            Self::ContentTextKey => 700,
            Self::ContentFoundLinks | Self::ContentLinkDomains => 2_000,
            Self::ContentDetectedLanguage => 4_000,
            _ => 2,
        }
    }
}

impl MediumField {
    fn entry(self) -> Option<&'static Entry<Self>> {
        MEDIUM_FIELDS.iter().find(|entry| entry.field == self)
    }

    pub(crate) fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name)
    }

    pub(crate) fn ty(self) -> Type {
        self.entry().map_or(Type::Never, |entry| entry.shape.ty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_model::{Event, Origin};

    #[test]
    fn the_built_in_event_types_are_those_of_the_model() {
        for event_type in EVENT_TYPES {
            let json = format!(
                r#"{{"id":"1","source":"s","type":"{event_type}","time":"2026-11-22T10:15:00Z"}}"#
            );
            let (_, warnings) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
            assert_eq!(warnings, [], "{event_type}");
        }
    }

    #[test]
    fn an_attribute_counts_only_where_it_is_declared() {
        let schema = Schema::builtin()
            .with_attribute(Some("ad.requested"), "budget", Type::Int)
            .with_attribute(Some("payout.requested"), "budget", Type::Float)
            .with_attribute(None, "country", Type::String);
        let on = |types: &[&str]| types.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            schema.attribute("country", &[]),
            Declared::Yes(&Type::String)
        );
        assert_eq!(
            schema.attribute("budget", &on(&["ad.requested"])),
            Declared::Yes(&Type::Int)
        );
        assert_eq!(schema.attribute("budget", &[]), Declared::NotFor(None));
        assert_eq!(
            schema.attribute("budget", &on(&["post.created"])),
            Declared::NotFor(Some("post.created".into()))
        );
        assert_eq!(
            schema.attribute("budget", &on(&["ad.requested", "payout.requested"])),
            Declared::Differs(&Type::Int, &Type::Float)
        );
        assert_eq!(schema.attribute("colour", &[]), Declared::No);
    }
}
