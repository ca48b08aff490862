//! Tells how far a transfer is while an object is still on its way. A pack is one request that may take
//! minutes; what has gone over the line says how much of it is done.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fs;
use crate::progress::{Event, Progress};

use super::transport::Traffic;

/// How often the line is looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// Which way the bytes go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Up,
    Down,
}

/// What is told of the content of objects under way.
pub(super) struct Meter<'a> {
    progress: &'a dyn Progress,
    /// `None` if the transport does not count: then an object is told when it is done.
    traffic: Option<&'a Traffic>,
    way: Way,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The length of all that is under way, and of the content in it.
    wire: u64,
    content: u64,
    /// What had gone over the line before what is under way.
    before: u64,
    /// How much was told that is not done yet.
    ahead: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(progress: &'a dyn Progress, traffic: Option<&'a Traffic>, way: Way) -> Self {
        Self {
            progress,
            traffic,
            way,
            state: Mutex::default(),
        }
    }

    /// Does work, and looks at the line meanwhile.
    pub(super) fn during<R>(&self, work: impl FnOnce() -> R) -> R {
        if self.traffic.is_none() {
            return work();
        }
        let look = || {
            self.look();
            None::<()>
        };
        fs::meanwhile(GLANCE, look, work).0
    }

    /// Does what takes an object, or a part of one, over the line. What of it is done,
    /// [`Meter::advance`] says.
    pub(super) fn under_way<R>(&self, wire: u64, content: u64, act: impl FnOnce() -> R) -> R {
        self.begin(wire, content);
        let result = act();
        self.end(wire, content);
        result
    }

    fn begin(&self, wire: u64, content: u64) {
        let mut state = self.state();
        if state.wire == 0 {
            state.before = self.moved();
        }
        state.wire += wire;
        state.content += content;
    }

    /// It has arrived, or is given up.
    fn end(&self, wire: u64, content: u64) {
        let mut state = self.state();
        state.wire = state.wire.saturating_sub(wire);
        state.content = state.content.saturating_sub(content);
        state.before = (state.before + wire).min(self.moved());
    }

    /// So much is done; what was told of it already is not told again.
    pub(super) fn advance(&self, files: u64, bytes: u64) {
        let mut state = self.state();
        let told = state.ahead.min(bytes);
        state.ahead -= told;
        self.tell(files, bytes - told);
    }

    /// Tells what has moved since the last look.
    fn look(&self) {
        let mut state = self.state();
        let moved = self.moved().saturating_sub(state.before).min(state.wire);
        let share = u128::from(state.content) * u128::from(moved);
        let done = share.checked_div(u128::from(state.wire)).unwrap_or(0);
        let done = u64::try_from(done).unwrap_or(u64::MAX);
        if done > state.ahead {
            let more = done - state.ahead;
            state.ahead = done;
            self.tell(0, more);
        }
    }

    fn tell(&self, files: u64, bytes: u64) {
        if files > 0 || bytes > 0 {
            self.progress.event(Event::Advanced { files, bytes });
        }
    }

    fn moved(&self) -> u64 {
        match (self.traffic, self.way) {
            (None, _) => 0,
            (Some(traffic), Way::Up) => traffic.sent(),
            (Some(traffic), Way::Down) => traffic.received(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds up what it is told.
    #[derive(Default)]
    struct Told(Mutex<(u64, u64)>);

    impl Progress for Told {
        fn event(&self, event: Event<'_>) {
            if let Event::Advanced { files, bytes } = event {
                let mut told = self.0.lock().unwrap();
                *told = (told.0 + files, told.1 + bytes);
            }
        }
    }

    #[test]
    fn what_moves_is_told_once_and_in_the_measure_of_the_content() {
        let (told, traffic) = (Told::default(), Traffic::default());
        let meter = Meter::new(&told, Some(&traffic), Way::Up);
        let expect = |files, bytes| assert_eq!(*told.0.lock().unwrap(), (files, bytes));
        traffic.count_sent(999);
        meter.look();
        expect(0, 0);
        // Half as long on the way as the content, two at once.
        meter.begin(100, 200);
        meter.begin(300, 600);
        traffic.count_sent(50);
        meter.look();
        meter.look();
        expect(0, 100);
        traffic.count_sent(250);
        meter.end(100, 200);
        meter.advance(3, 200);
        expect(3, 200);
        meter.look();
        expect(3, 600);
        // A try that failed is counted, and no more than all is told.
        traffic.count_sent(1_000_000);
        meter.look();
        expect(3, 800);
        meter.end(300, 600);
        meter.advance(1, 600);
        expect(4, 800);
        // What was there already.
        meter.advance(0, 5);
        expect(4, 805);
    }

    #[test]
    fn without_a_count_of_the_line_a_thing_is_told_when_it_is_done() {
        let told = Told::default();
        let meter = Meter::new(&told, None, Way::Down);
        meter.begin(10, 20);
        meter.during(|| meter.look());
        assert_eq!(*told.0.lock().unwrap(), (0, 0));
        meter.end(10, 20);
        meter.advance(1, 20);
        assert_eq!(*told.0.lock().unwrap(), (1, 20));
    }
}
