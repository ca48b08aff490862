//! esker versions data and pipelines for machine learning beside your git commits.
//!
//! Data flows one way. A command gathers values (the lock, what is on disk, what the store has),
//! computes a plan from values alone, applies it through one place that may write, and returns a
//! report that the edge renders. The rooms, lowest first:
//!
//! - words: [`hash`], [`path`], [`fs`], [`progress`]
//! - shapes: [`value`], [`pack`], [`tree`]
//! - places: [`project`], [`store`], [`git`], [`metrics`]
//! - acts: [`workspace`], [`pipeline`], [`remote`]
//! - verbs: [`ops`]
//! - edge: [`cli`]
//!
//! A room uses rooms of lower levels only; `tests/layering.rs` keeps the table of
//! `docs/architecture.md`.

pub mod cli;
pub mod fs;
pub mod git;
pub mod hash;
pub mod metrics;
pub mod ops;
pub mod pack;
pub mod path;
pub mod pipeline;
pub mod progress;
pub mod project;
pub mod remote;
pub mod store;
pub mod suggest;
pub mod tree;
pub mod value;
pub mod workspace;
