//! `manara demo`: a day on an invented platform, and what the server made of it.

mod ledger;
#[cfg(test)]
mod offline;
mod play;
pub(crate) mod score;
pub(crate) mod world;

pub(crate) use play::{Arguments, run};
