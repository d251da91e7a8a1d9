//! The nouns of trust and safety and their legal moves. This page is the glossary.
//!
//! | word | meaning | where |
//! |---|---|---|
//! | **event** | something that happened on the platform | [`Event`] |
//! | **entity** | what it happened to: `account`, `space`, `content`, `media`, `destination`, `payee`, `member` | [`Entity`], [`EntityType`] |
//! | **signal** | a comparable value taken from content, of a signal type | [`manara_signal::Signal`] |
//! | **bank** | a named set of members (signals with provenance) | [`Bank`], [`Member`] |
//! | **negative bank** | one whose matches forbid those of other banks | [`BankSettings::vetoes`] |
//! | **opinion** | what somebody holds of a member | [`Opinion`] |
//! | **match** | signal × member × distance | [`Match`] |
//! | **facts** | everything a rule may look at | [`Facts`] |
//! | **verdict** | a rule that fired, with its evidence | [`Verdict`] |
//! | **decision** | all verdicts on one event, or one human's judgement | [`Decision`] |
//! | **action** | what is to be done to one entity: data, never code per entity type | [`Action`] |
//! | **case**, **queue** | work for a reviewer, and where it waits | [`Case`] |
//!
//! Nothing here reads a clock, a file or the network; times and identifiers enter as arguments.
#![warn(missing_docs)]

mod action;
mod bank;
mod case;
mod decision;
mod event;
mod facts;
mod ids;

pub use action::{Action, ActionKind, Detail, Entity, EntityType};
pub use bank::{
    Bank, BankMode, BankName, BankSettings, Exchange, Member, MemberId, MemberMode, MemberSettings,
    NewMember, Opinion, Ratio, SettingsError, Stance, TAGS_MAX, Tag,
};
pub use case::{Case, CaseState, Consequence, History, Judgement, Outcome, Refused};
pub use decision::{Author, Decision, Effect, Held, Mode, RuleMode, Traced, Verdict, actions_of};
pub use event::{Account, Content, Event, EventError, Medium, MediumKind, Origin, Space, Warning};
pub use facts::{Decoding, Facts, Match, MediaFacts, MediaForm, Span, Withheld};
pub use ids::{ActionId, CaseId, DecisionId, IdError, Name};
