//! Random expressions compared with other implementations of CEL: shared by the test `cel` and the
//! example `cel_differential`.
#![allow(dead_code, reason = "the test and the example each use a part")]

pub(crate) mod compare;
pub(crate) mod generator;
