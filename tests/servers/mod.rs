//! Small servers on the loopback address.

pub(crate) mod amazon;
pub(crate) mod bearer;
pub(crate) mod google;
pub(crate) mod serving;
pub(crate) mod signature;

use crate::common::Sandbox;

/// Who takes tokens, and at some time no longer those that it has seen.
pub(crate) struct Tokens<'a> {
    /// How many requests there were.
    pub(crate) served: &'a dyn Fn() -> usize,
    /// How many tokens there were.
    pub(crate) seen: &'a dyn Fn() -> usize,
    /// Revokes all of them after so many more requests.
    pub(crate) revoke_after: &'a dyn Fn(usize),
}

impl Tokens<'_> {
    /// Revokes the token of a push at each of its requests but the first: it asks for one more, once.
    /// Yields how many requests such a push takes.
    pub(crate) fn are_renewed(&self, sandbox: &Sandbox) -> usize {
        change(sandbox, 1000);
        let before = (self.served)();
        sandbox.ok("push");
        let requests = (self.served)() - before;
        for after in 1..requests {
            change(sandbox, after);
            let before = (self.seen)();
            (self.revoke_after)(after);
            sandbox.ok("push");
            let seen = (self.seen)() - before;
            assert_eq!(
                seen, 2,
                "{after}: the token that it began with, and one more"
            );
        }
        requests
    }
}

/// There is something new to push.
pub(crate) fn change(sandbox: &Sandbox, number: usize) {
    sandbox.write("data/raw.txt", format!("text {number}\n"));
    sandbox.ok("add data/raw.txt");
    sandbox.ok("repro");
    sandbox.commit("Change");
}
