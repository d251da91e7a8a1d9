//! Actions: what is to be done to one entity. Data, never code per entity type.

use crate::{ActionId, MemberId, Name};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

macro_rules! word_enum {
    ($(#[$meta:meta])* $name:ident, $noun:literal, { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }
        impl $name {
            /// Every value, in precedence order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word used in API, rules and log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }
        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!("`{}` is not {}: use one of {}", text.chars().take(64).collect::<String>(), $noun, known.join(", "))
                })
            }
        }
    };
}
pub(crate) use word_enum;

word_enum! {
    /// What an event happened to.
    EntityType, "an entity type", {
        /// A person or bot of the platform.
        Account = "account",
        /// A channel, group or page.
        Space = "space",
        /// A post, message or comment.
        Content = "content",
        /// An image, video, audio or file.
        Media = "media",
        /// A URL, invite or wallet.
        Destination = "destination",
        /// Who is paid.
        Payee = "payee",
        /// A member of a bank.
        Member = "member",
        /// A rule of the platform's policy, for cases about it; its name is its identifier.
        Rule = "rule",
    }
}

word_enum! {
    /// What is to be done.
    ActionKind, "an action", {
        /// Take the entity down.
        Remove = "remove",
        /// Suspend the account or space.
        Suspend = "suspend",
        /// Limit who sees it.
        Restrict = "restrict",
        /// Mark it.
        Label = "label",
        /// Stop paying for it, and stop showing advertisements beside it.
        Demonetise = "demonetise",
        /// Add to what the account has accumulated.
        Strike = "strike",
        /// Ask a person: open (or add to) a case in a queue.
        Enqueue = "enqueue",
        /// Pass it on to somebody outside, such as an authority or a partner platform.
        Refer = "refer",
        /// Tell people, and nothing else.
        Notify = "notify",
        /// Undo an earlier `remove`, `restrict`, `suspend`, `demonetise` or `label`.
        Restore = "restore",
        /// Take back an earlier `strike`.
        WithdrawStrike = "withdraw_strike",
    }
}

impl ActionKind {
    /// Whether the platform has to do something, so that actions of this kind leave through the
    /// outbox; of a single one, [`Action::is_delivered`] says it.
    ///
    /// `strike`, `withdraw_strike` and `enqueue` are Manara's own and are complete once committed.
    pub fn is_delivered(self) -> bool {
        !matches!(self, Self::Strike | Self::WithdrawStrike | Self::Enqueue)
    }

    /// Whether it changes what somebody can see, say or earn, so that a mistake does harm at once.
    pub fn is_severe(self) -> bool {
        matches!(
            self,
            Self::Remove | Self::Suspend | Self::Restrict | Self::Demonetise
        )
    }

    /// Whether an action of this kind makes `other` on the same entity needless: what is removed
    /// need not be restricted too.
    pub fn covers(self, other: Self) -> bool {
        match self {
            Self::Remove => matches!(other, Self::Suspend | Self::Restrict),
            Self::Suspend => other == Self::Restrict,
            _ => false,
        }
    }
}

/// One thing an action or a case is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entity {
    /// Its type.
    pub r#type: EntityType,
    /// The platform's own identifier for it; of a member, its number.
    pub id: String,
}

impl Entity {
    /// The member of a bank that this is: its identifier is its number there.
    pub fn member(&self) -> Option<MemberId> {
        if self.r#type != EntityType::Member {
            return None;
        }
        self.id.parse().ok().map(MemberId)
    }
}

impl From<MemberId> for Entity {
    fn from(member: MemberId) -> Self {
        Self {
            r#type: EntityType::Member,
            id: member.to_string(),
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.r#type, self.id)
    }
}

/// What an action carries besides its kind and target. Absent parts are left out of the JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Detail {
    /// The label to set, for `label`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub label: Option<Name>,
    /// The queue, for `enqueue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub queue: Option<Name>,
    /// 1 (can wait) to 9 (now), for `enqueue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// How much a strike weighs, for `strike` and `withdraw_strike`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// How long it lasts in seconds, for `suspend`, `restrict`, `demonetise` and `label`; without it,
    /// until undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u64>,
    /// Until when it lasts, for the same kinds, where a rule names the time itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub until: Option<Timestamp>,
    /// To whom, for `refer` and `notify`: a name the platform knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub to: Option<Name>,
    /// What they are told, for `refer` and `notify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Detail {
    /// Whether it ends by itself.
    pub fn has_end(&self) -> bool {
        self.duration_s.is_some() || self.until.is_some()
    }

    /// When an action of this kind that was decided on at `at` ends by itself; `None`: only when undone.
    pub fn ends_at(&self, at: Timestamp) -> Option<Timestamp> {
        let lasting = self
            .duration_s
            .map(|seconds| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
        lasting
            .map(|lasting| at.saturating_add(lasting).unwrap_or(Timestamp::MAX))
            .or(self.until)
    }
}

/// One action on one entity, as answered to the platform, delivered to webhooks and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Action {
    /// Its idempotency key.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ActionId,
    /// What is to be done.
    pub kind: ActionKind,
    /// To what.
    pub target: Entity,
    /// Under which policy.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub policy: Name,
    /// The rule that asked for it; without one, a person or Manara itself did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub rule: Option<Name>,
    /// Why, for the person it concerns, by language; the language a rule gives none for is `und`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    /// The parts that only some kinds have.
    #[serde(flatten)]
    pub detail: Detail,
}

impl Action {
    /// Whether the platform has to do something, so that the action leaves through the outbox.
    /// What is done to a member of a bank or to a rule is Manara's own; people are told of a rule all
    /// the same.
    pub fn is_delivered(&self) -> bool {
        let own = match self.target.r#type {
            EntityType::Member => true,
            EntityType::Rule => self.kind != ActionKind::Notify,
            _ => false,
        };
        self.kind.is_delivered() && !own
    }

    /// Whether it puts its target, which is the platform's, into a state that can be undone.
    pub fn lasts(&self) -> bool {
        let is_message = matches!(
            self.kind,
            ActionKind::Refer | ActionKind::Notify | ActionKind::Restore
        );
        self.is_delivered() && !is_message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_wrong_ones_are_explained() {
        for kind in ActionKind::ALL {
            assert_eq!(kind.as_str().parse::<ActionKind>().as_ref(), Ok(kind));
        }
        let wrong = "delete".parse::<ActionKind>().unwrap_err();
        assert!(
            wrong.contains("`delete` is not an action") && wrong.contains("remove"),
            "{wrong}"
        );
    }
}
