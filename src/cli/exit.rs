//! The exit codes. They are an interface: scripts may rely on every one.

use std::process::ExitCode;

/// Done.
pub const DONE: u8 = 0;
/// The answer is no: a stage failed, unsaved bytes are in the way, `--check` found changes,
/// conflicts are left.
pub const NO: u8 = 1;
/// Could not do it: usage, an unknown name, a bad `esker.toml`, a cycle, no git, a newer version,
/// a full disk.
pub const CANNOT: u8 = 2;
/// Data is missing or corrupt, or the lock cannot be read; also when only some targets failed.
pub const DATA: u8 = 3;
/// A remote refused or could not be reached.
pub const REMOTE: u8 = 4;
/// A bug in esker.
pub const BUG: u8 = 70;
/// Interrupted by SIGINT.
pub const INTERRUPTED: u8 = 130;
/// The same by SIGTERM.
pub const TERMINATED: u8 = 143;

/// How a command ended: one of the codes above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Done.
    pub const DONE: Self = Self(DONE);

    /// The one of two that matters more to a script: a bug, then an interrupt, missing data, a
    /// remote, what could not be done, and a no.
    pub fn or_worse(self, other: Self) -> Self {
        const ORDER: [u8; 7] = [BUG, INTERRUPTED, DATA, REMOTE, CANNOT, NO, DONE];
        let rank = |exit: Self| ORDER.iter().position(|code| *code == exit.0);
        if rank(other) < rank(self) {
            other
        } else {
            self
        }
    }

    /// `code` if it holds, else done.
    pub const fn when(holds: bool, code: u8) -> Self {
        if holds { Self(code) } else { Self::DONE }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_codes_the_gravest_stays() {
        let codes = [DONE, NO, CANNOT, REMOTE, DATA, INTERRUPTED, BUG];
        for (rank, worse) in codes.iter().enumerate() {
            for better in &codes[..=rank] {
                assert_eq!(Exit(*worse).or_worse(Exit(*better)).0, *worse);
                assert_eq!(Exit(*better).or_worse(Exit(*worse)).0, *worse);
            }
        }
    }
}
