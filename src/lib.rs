//! esker versions data and pipelines for machine learning beside your git commits.

pub mod fs;
pub mod git;
pub mod hash;
pub mod metrics;
pub mod pack;
pub mod path;
pub mod pipeline;
pub mod progress;
pub mod project;
pub mod remote;
pub mod store;
pub mod tree;
pub mod value;
pub mod workspace;
