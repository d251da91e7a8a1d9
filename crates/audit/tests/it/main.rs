//! The tests, as one program.

mod common;
mod formats;
mod interop;
mod tree;
mod verify;
