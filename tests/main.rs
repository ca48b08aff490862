//! The one integration binary: whole commands on real projects, by their whole output.

#![expect(
    clippy::disallowed_methods,
    reason = "tests set up files and programs as people do"
)]
#![expect(
    clippy::too_many_lines,
    reason = "whole outputs stand where they are expected"
)]

#[cfg(test)]
mod absent;
#[cfg(test)]
mod add;
#[cfg(test)]
mod azure;
#[cfg(test)]
mod check_ignore;
#[cfg(test)]
mod checkout;
#[cfg(test)]
mod cli;
#[cfg(feature = "failpoints")]
#[cfg(test)]
mod collect;
#[cfg(test)]
mod common;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod configuration;
#[cfg(feature = "failpoints")]
#[cfg(test)]
mod crash;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod dag;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod du;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod execution;
#[cfg(test)]
mod fsck;
#[cfg(test)]
mod fsck_remote;
#[cfg(feature = "failpoints")]
#[cfg(test)]
mod gc;
#[cfg(test)]
mod google;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod init;
#[cfg(feature = "failpoints")]
#[cfg(test)]
mod kills;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod links;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod ls;
#[cfg(test)]
mod model;
#[cfg(test)]
mod mv;
#[cfg(test)]
mod outputs;
mod partial;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod remote_files;
#[cfg(test)]
mod remove;
#[cfg(test)]
mod repro;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod shared_results;
#[cfg(test)]
mod shared_store;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod status;
#[cfg(feature = "failpoints")]
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tumours;
#[cfg(test)]
mod undo;
#[cfg(test)]
mod unprotect;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod why;
