//! esker versions data and pipelines for machine learning beside your git commits.

pub mod fs;
pub mod hash;
pub mod path;
pub mod progress;
