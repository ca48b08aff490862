//! esker versions data and pipelines for machine learning beside your git commits.

pub mod fs;
pub mod hash;
pub mod pack;
pub mod path;
pub mod progress;
pub mod tree;
pub mod value;
