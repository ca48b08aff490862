//! A bound on what is in memory at once, shared by threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that threads may hold together.
#[derive(Debug)]
pub(super) struct Budget {
    total: u64,
    free: Mutex<u64>,
    returned: Condvar,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    amount: u64,
}

impl Budget {
    /// A budget of which nothing is taken.
    pub(super) fn new(total: u64) -> Self {
        Self {
            total,
            free: Mutex::new(total),
            returned: Condvar::new(),
        }
    }

    /// Waits until so much is free, and takes it. Who wants more than there is at all gets all
    /// of it, and is then alone.
    pub(super) fn take(&self, amount: u64) -> Share<'_> {
        let amount = amount.min(self.total);
        let mut free = self.free();
        while *free < amount {
            let woken = self.returned.wait(free);
            free = woken.unwrap_or_else(PoisonError::into_inner);
        }
        *free -= amount;
        Share {
            budget: self,
            amount,
        }
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.free() += self.amount;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn threads_never_hold_more_than_the_total() {
        let budget = Budget::new(10);
        let held = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for amount in [1, 3, 4, 7, 10, 25, 0, 10] {
                let (budget, held) = (&budget, &held);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let share = budget.take(amount);
                        let now = held.fetch_add(share.amount, Ordering::SeqCst) + share.amount;
                        assert!(now <= 10, "{now} held");
                        held.fetch_sub(share.amount, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*budget.free(), 10);
    }
}
