//! What the environment asks of the fail points of `fs`: for tests alone.
//!
//! `ESKER_FAIL_AT=N` makes the N-th step that changes the disk fail, 0 none; `ESKER_FAIL_HOW` is
//! `abort`, `error`, `enospc`, or `pause`, which stops the process until somebody continues it;
//! `ESKER_FAIL_ROOM` is how many bytes the disk seems to have left; `ESKER_FAIL_COUNT` is a file to
//! which the number of steps is written at the end.
//! `ESKER_CLOCK_AHEAD` puts the clock forward by so many seconds. `ESKER_NO_VALIDATION` breaks the
//! rule of pushes that a collection at the same time relies on, to show that it is needed.

use std::io::Write;

use super::variable;
use crate::fs::{FailHow, arm_fail_points, count_steps, put_clock_forward};
use crate::ops::push::stop_validating;

/// Reads what is asked for, before anything is done.
pub(super) fn arm() {
    let number = |name| variable(name).and_then(|text| text.parse().ok());
    let how = match variable("ESKER_FAIL_HOW").as_deref() {
        Some("error") => FailHow::Error,
        Some("enospc") => FailHow::Full,
        Some("pause") => FailHow::Pause,
        _ => FailHow::Abort,
    };
    let at = number("ESKER_FAIL_AT").unwrap_or(0);
    arm_fail_points(at, how, number("ESKER_FAIL_ROOM"));
    put_clock_forward(number("ESKER_CLOCK_AHEAD").unwrap_or(0));
    if variable("ESKER_NO_VALIDATION").is_some() {
        stop_validating();
    }
}

/// Tells how many steps there were.
pub(super) fn tell() {
    let Some(path) = variable("ESKER_FAIL_COUNT") else {
        return;
    };
    // Not through `fs`, which would count it, or fail.
    let told = std::fs::File::create(path)
        .and_then(|mut file| file.write_all(count_steps().to_string().as_bytes()));
    drop(told);
}
