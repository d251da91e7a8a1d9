//! The pages, one file each: what it reads, what it shows, what it does.

pub(super) mod add_member;
pub(super) mod audit;
pub(super) mod bank;
pub(super) mod banks;
pub(super) mod case;
pub(super) mod conflicts;
pub(super) mod counters;
pub(super) mod dead_letters;
pub(super) mod decision;
pub(super) mod media;
pub(super) mod member;
pub(super) mod overview;
pub(super) mod proposals;
pub(super) mod queues;
pub(super) mod rule_file;
pub(super) mod rule_history;
pub(super) mod rules;
pub(super) mod sets;
pub(super) mod similar;
pub(super) mod stops;
pub(super) mod tryouts;

mod bank_words;
mod parts;
mod radius;
mod reading;
mod rule_diff;
mod typed;

use super::{ConsoleState, Error};
use axum::response::Html;

/// What comes after the `?` of a page that is one of several, or that follows on something done.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct PageQuery {
    /// What has just been done, as a word.
    pub(super) done: Option<String>,
    /// The last thing of the page before.
    pub(super) after: Option<String>,
    /// The part of a case's life to list.
    pub(super) state: Option<String>,
}

type Page = Result<Html<String>, Error>;
