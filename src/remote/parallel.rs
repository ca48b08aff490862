//! Blocking work on several threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::progress::Interrupt;

use super::{Error, Result};

/// Does `work` to every item on at most `jobs` threads; the results have the order of the items.
/// The first error stops the rest, and so does an interrupt.
pub(super) fn map<T: Send, R: Send>(
    items: Vec<T>,
    jobs: usize,
    interrupt: &Interrupt,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let threads = jobs.clamp(1, items.len().max(1));
    let queue = Mutex::new(items.into_iter().enumerate());
    let failed = AtomicBool::new(false);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || -> Result<Vec<(usize, R)>> {
        let mut done = Vec::new();
        while !failed.load(Ordering::SeqCst)
            && let Some((position, item)) = next()
        {
            let result = match interrupt.is_requested() {
                true => Err(Error::Interrupted),
                false => work(item),
            };
            let result = result.inspect_err(|_| failed.store(true, Ordering::SeqCst));
            done.push((position, result?));
        }
        Ok(done)
    };
    if threads == 1 {
        return run().map(in_order);
    }
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let results = workers.into_iter().map(|worker| worker.join());
        results.collect::<Vec<_>>()
    });
    let mut done = Vec::new();
    for result in results {
        match result {
            Ok(part) => done.extend(part?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(in_order(done))
}

fn in_order<R>(mut done: Vec<(usize, R)>) -> Vec<R> {
    done.sort_unstable_by_key(|(position, _)| *position);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn results_have_the_order_of_the_items() {
        for jobs in [0, 1, 3, 200] {
            let items: Vec<u32> = (0..100).collect();
            let doubled = map(items, jobs, &Interrupt::new(), |n| Ok(n * 2)).unwrap();
            assert_eq!(doubled, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        }
        let nothing = map(Vec::<u32>::new(), 4, &Interrupt::new(), Ok).unwrap();
        assert!(nothing.is_empty());
    }

    #[test]
    fn an_error_stops_the_rest() {
        let tried = AtomicUsize::new(0);
        let result = map((0..10_000).collect(), 2, &Interrupt::new(), |n: u32| {
            tried.fetch_add(1, Ordering::SeqCst);
            if n == 5 {
                Err(Error::Interrupted)
            } else {
                Ok(n)
            }
        });
        assert!(matches!(result, Err(Error::Interrupted)));
        assert!(tried.into_inner() <= 10_000);
    }

    #[test]
    fn an_interrupt_stops_before_the_first() {
        let interrupt = Interrupt::new();
        interrupt.request();
        let result = map(vec![1], 1, &interrupt, |_: u32| -> Result<()> {
            panic!("nothing may be tried")
        });
        assert!(matches!(result, Err(Error::Interrupted)));
    }
}
