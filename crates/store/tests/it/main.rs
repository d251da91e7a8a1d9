//! The store from outside: everything through its public interface, and the file behind its back.

mod access;
mod banks;
mod cases;
mod crash;
mod events;
mod fixtures;
mod later;
mod members;
mod opening;
mod outbox;
mod rulefiles;
mod stops;
mod tamper;
mod writing;
