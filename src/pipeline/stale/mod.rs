//! When a stage is stale, and why: one walk over what is and what was recorded.
//!
//! A stage is fresh when the block that would be written now equals the recorded one. So the
//! block and the reasons must never disagree: [`walk`] visits everything that enters a block,
//! once, in one order, and has two listeners. One writes the block ([`Stage::record`]); the other
//! compares with the recorded block and writes [`Reason`]s ([`assess`]). What one of them sees,
//! the other sees.
//!
//! | part | in the block | in the key of the run cache | why |
//! |---|---|---|---|
//! | the stage's name | as the header | no | renaming a stage reruns nothing |
//! | `cmd`, `wdir`, `env`, expressions filled in | yes | yes | they decide what is done |
//! | what a variable of `[env] pass` holds | no | no | it may be a secret, or this machine's own; its expression stays in `cmd` and `env` |
//! | deps: path, hash, execute bit | yes | yes | they are what is read |
//! | params: file, key, value | yes | yes | only the keys asked for, so others may change freely; of what looks like a secret its hash |
//! | outs: which paths | yes | yes | another list of outputs is another result |
//! | outs: hash and size | yes | no | they are what comes out |
//! | metrics | yes | no | they are read from the outputs |
//! | `run` | yes | no | it binds a block together; a block that two branches mixed does not match |
//! | `adopted` | yes | no | says who wrote the outputs, not what they are |
//! | outs: `store` | yes | no | says where the bytes are, not what they are; a fresh stage gets its block anew |
//! | `desc`, `frozen`, `always`, `needs`, `timeout`, `mutex`, other options of outputs, order and comments | no | no | they change nothing that is read or written |
//! | `[env] run`, shell, caller's environment, time, machine | no | no | run records tell them; they never rerun anything |

mod compare;
mod params;
mod reason;
mod walk;

#[cfg(test)]
mod tests;

pub use compare::assess;
pub(super) use params::keys_of;
pub use params::{MissingParam, collect_params, is_secret, why_lost, without_secrets};
pub use reason::{Reason, ReasonKind, describe};
pub use walk::Facts;
