//! The schema: which events there are and what a rule may ask of them.
//!
//! The built-in part is the [`Event`](manara_model::Event) itself; an operator adds event types and
//! typed attributes of their own.

use crate::types::Type;
use manara_model::EntityType;
use std::collections::{BTreeMap, BTreeSet};

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
#[derive(Debug, Clone, Default)]
pub struct Schema {
    event_types: BTreeSet<String>,
    /// By name, for one event type or for all.
    attributes: BTreeMap<String, BTreeMap<Option<String>, Type>>,
}

/// What a schema says about an attribute for the event types of one rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Declared<'s> {
    Yes(&'s Type),
    /// Declared, but not for this event type (or, `None`, not for all of them).
    NotFor(Option<String>),
    /// Declared with two types for two of the rule's event types.
    Differs(&'s Type, &'s Type),
    No,
}

impl Schema {
    /// The event types and fields that come with Manara, without attributes.
    pub fn builtin() -> Self {
        let event_types = EVENT_TYPES.iter().map(|t| (*t).to_owned()).collect();
        Self {
            event_types,
            attributes: BTreeMap::new(),
        }
    }

    /// Adds `attributes.name` of type `ty`, for one event type or, with `None`, for all.
    ///
    /// A value of another type in an event, and every value of a type that JSON has no form for
    /// (entities, lists of lists), is treated as missing.
    #[must_use]
    pub fn with_attribute(mut self, event_type: Option<&str>, name: &str, ty: Type) -> Self {
        let by_type = self.attributes.entry(name.to_owned()).or_default();
        by_type.insert(event_type.map(str::to_owned), ty);
        self
    }

    /// Adds an event type of the operator's own, such as `listing.created`.
    #[must_use]
    pub fn with_event_type(mut self, name: &str) -> Self {
        self.event_types.insert(name.to_owned());
        self
    }

    pub(crate) fn knows_event_type(&self, name: &str) -> bool {
        self.event_types.contains(name)
    }

    pub(crate) fn event_types(&self) -> Vec<&str> {
        self.event_types.iter().map(String::as_str).collect()
    }

    pub(crate) fn attribute_names(&self) -> Vec<&str> {
        self.attributes.keys().map(String::as_str).collect()
    }

    /// The attribute as a rule on these event types (all of them, when empty) may use it.
    pub(crate) fn attribute(&self, name: &str, on: &[String]) -> Declared<'_> {
        let Some(by_type) = self.attributes.get(name) else {
            return Declared::No;
        };
        let everywhere = by_type.get(&None);
        if on.is_empty() {
            return everywhere.map_or(Declared::NotFor(None), Declared::Yes);
        }
        let mut found: Option<&Type> = None;
        for event_type in on {
            let Some(ty) = by_type.get(&Some(event_type.clone())).or(everywhere) else {
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
}

/// What `root.field` names.
const FIELDS: &[(&str, &str, Field)] = &[
    ("event", "id", Field::EventId),
    ("event", "source", Field::EventSource),
    ("event", "type", Field::EventType),
    ("event", "time", Field::EventTime),
    ("account", "id", Field::AccountId),
    ("account", "handle", Field::AccountHandle),
    ("account", "display_name", Field::AccountDisplayName),
    ("account", "created_at", Field::AccountCreatedAt),
    ("account", "followers", Field::AccountFollowers),
    ("account", "age", Field::AccountAge),
    ("space", "id", Field::SpaceId),
    ("space", "kind", Field::SpaceKind),
    ("space", "name", Field::SpaceName),
    ("space", "members", Field::SpaceMembers),
    ("space", "admission", Field::SpaceAdmission),
    ("content", "id", Field::ContentId),
    ("content", "text", Field::ContentText),
    ("content", "language", Field::ContentLanguage),
    ("content", "links", Field::ContentLinks),
    ("content", "media", Field::ContentMedia),
];

const MEDIUM_FIELDS: &[(&str, MediumField)] = &[
    ("id", MediumField::Id),
    ("kind", MediumField::Kind),
    ("url", MediumField::Url),
    ("quality", MediumField::Quality),
    ("width", MediumField::Width),
    ("height", MediumField::Height),
    ("undecodable", MediumField::Undecodable),
    ("unavailable", MediumField::Unavailable),
];

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
        .find(|(r, n, _)| *r == root && *n == name)
        .map(|(_, _, field)| *field)
}

/// The fields of `account`, `space`, `content` or `event`.
pub(crate) fn field_names(root: &str) -> Vec<&'static str> {
    FIELDS
        .iter()
        .filter(|(r, _, _)| *r == root)
        .map(|(_, name, _)| *name)
        .collect()
}

/// The field of a medium.
pub(crate) fn medium_field(name: &str) -> Option<MediumField> {
    MEDIUM_FIELDS
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, field)| *field)
}

/// The fields of a medium.
pub(crate) fn medium_field_names() -> Vec<&'static str> {
    MEDIUM_FIELDS.iter().map(|(name, _)| *name).collect()
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
    /// Its path, as in an event and as in a rule.
    pub(crate) fn path(self) -> String {
        let found = FIELDS.iter().find(|(_, _, field)| *field == self);
        found.map_or_else(
            || "received_at".to_owned(),
            |(root, name, _)| format!("{root}.{name}"),
        )
    }

    pub(crate) fn ty(self) -> Type {
        match self {
            Self::EventTime | Self::ReceivedAt | Self::AccountCreatedAt => Type::Time,
            Self::AccountAge => Type::Duration,
            Self::AccountFollowers | Self::SpaceMembers => Type::Int,
            Self::ContentLinks => Type::list(Type::String),
            Self::ContentMedia => Type::list(Type::Entity(EntityType::Media)),
            _ => Type::String,
        }
    }
}

impl MediumField {
    pub(crate) fn name(self) -> &'static str {
        MEDIUM_FIELDS
            .iter()
            .find(|(_, field)| *field == self)
            .map_or("", |(name, _)| *name)
    }

    pub(crate) fn ty(self) -> Type {
        match self {
            Self::Id | Self::Kind | Self::Url => Type::String,
            Self::Quality | Self::Width | Self::Height => Type::Int,
            Self::Undecodable | Self::Unavailable => Type::Bool,
        }
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
