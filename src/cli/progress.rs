//! Progress on a terminal as one bar, elsewhere as a line now and then; and the tale of stages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::render;
use super::ui::{Tone, Ui};
use crate::progress::{Event, Progress, Silent, StageOutcome, Work};

/// How long work must last before a bar appears.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often a bar is drawn anew.
const FRAME: Duration = Duration::from_millis(50);
/// How often a line appears where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How far back the pace is measured: what comes first is often faster or slower than the rest.
const PACE: Duration = Duration::from_secs(20);

/// Chooses how progress is told: nothing but stages if quiet or if the answer is JSON.
pub(crate) fn for_ui(ui: &Ui) -> Box<dyn Progress> {
    match ui.quiet && ui.json {
        true => Box::new(Silent),
        false => Box::new(Teller {
            ui: ui.clone(),
            state: Arc::default(),
        }),
    }
}

struct Teller {
    ui: Ui,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// Whether a thread shows what is under way.
    shown: bool,
    /// Whether stages may run side by side, so that their lines need names.
    side_by_side: bool,
}

struct Current {
    work: Work,
    files: (u64, u64),
    bytes: (u64, u64),
    since: Instant,
    lines: u32,
    bar: Option<ProgressBar>,
    /// How much was done when, as far back as the pace is measured.
    pace: VecDeque<(Duration, u64)>,
}

impl Progress for Teller {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state();
        match event {
            Event::Started { work, files, bytes } => {
                state.start(work, files, bytes);
                self.ui.say_now();
                self.show(&mut state);
            }
            Event::Advanced { files, bytes } => {
                if let Some(current) = &mut state.current {
                    current.files.0 += files;
                    current.bytes.0 += bytes;
                }
            }
            Event::Finished => state.finish(),
            Event::Waiting { holder, what } => self.say(&state, &waiting(holder, what)),
            Event::Doubling { bytes } => self.warn(&state, &doubling(bytes)),
            Event::ObjectEdited { path, object } => self.warn(&state, &edited(path, object)),
            Event::ProjectInside { path } => self.warn(&state, &left_out(path)),
            Event::NoSharedResults { reason } => {
                self.warn(&state, &format!("no results of others: {reason}"));
            }
            Event::ParamSet { what, file } => self.say(&state, &format!("set {what} ({file})")),
            Event::Planned { stages, jobs } => state.side_by_side = stages.min(jobs) > 1,
            Event::Stopping { stages, killed } => self.say(&state, &stopping(stages, killed)),
            Event::StageStarted { stage, reason } => {
                let mark = self.ui.paint(Tone::Bold, "▶");
                self.say(&state, &format!("{mark} {stage:<11} {reason}"));
            }
            Event::StageOutput {
                stage,
                line,
                stderr,
            } => self.output(&state, stage, line, stderr),
            Event::StageFinished { stage, outcome } => {
                let line = self.finished(stage, outcome);
                match outcome {
                    StageOutcome::Unchanged => state.aside(|| self.ui.say_soon(&line)),
                    _ => self.say(&state, &line),
                }
            }
        }
    }
}

impl Teller {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Shows what is under way from now and then, whether or not it tells anything: a large file is
    /// one event. One thread does it for one piece of work after the other, since there may be
    /// hundreds of small ones.
    fn show(&self, state: &mut State) {
        if self.ui.quiet || self.ui.json || std::mem::replace(&mut state.shown, true) {
            return;
        }
        let (ui, state) = (self.ui.clone(), Arc::clone(&self.state));
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(FRAME);
                let mut state = locked(&state);
                let Some(current) = &mut state.current else {
                    state.shown = false;
                    return;
                };
                current.show(&ui);
            }
        });
    }

    /// Says a line above the bar, if there is one.
    fn say(&self, state: &State, line: &str) {
        state.aside(|| self.ui.say(line));
    }

    /// Warns above the bar.
    fn warn(&self, state: &State, line: &str) {
        state.aside(|| self.ui.warn(line));
    }

    /// A stage's lines keep their streams, unless stdout is for JSON alone.
    fn output(&self, state: &State, stage: &str, line: &[u8], stderr: bool) {
        let prefix = match state.side_by_side {
            true => format!("{stage} │ "),
            false => "  ".to_owned(),
        };
        let bytes = [prefix.as_bytes(), line, b"\n"].concat();
        state.aside(|| self.ui.pass_on(&bytes, stderr));
    }

    fn finished(&self, stage: &str, outcome: StageOutcome<'_>) -> String {
        let (mark, detail) = match outcome {
            StageOutcome::Unchanged => (self.ui.paint(Tone::Dim, "·"), "unchanged".to_owned()),
            StageOutcome::Ran { seconds, outs } => {
                let outs = outs
                    .iter()
                    .map(|(path, bytes)| format!("{path} {}", render::size(*bytes)));
                let outs: Vec<String> = outs.collect();
                let detail = format!("{:<7} {}", render::duration(seconds), outs.join(", "));
                (self.ui.paint(Tone::Good, "✓"), detail)
            }
            StageOutcome::Restored { saved_seconds } => {
                let saved = saved_seconds.map(render::duration);
                let saved = saved
                    .map(|saved| format!(" ({saved} saved)"))
                    .unwrap_or_default();
                let detail = format!("same inputs as before: restored from the run cache{saved}");
                (self.ui.paint(Tone::Good, "↺"), detail)
            }
            StageOutcome::Failed => (self.ui.paint(Tone::Bad, "✗"), "failed".to_owned()),
            StageOutcome::Skipped => (self.ui.paint(Tone::Dim, "-"), "not tried".to_owned()),
        };
        format!("{mark} {stage:<11} {detail}").trim_end().to_owned()
    }
}

fn stopping(stages: usize, killed: bool) -> String {
    let stages = render::count(stages as u64, "stage");
    match killed {
        true => format!("Killed {stages}"),
        false => format!("Stopping: asked {stages} to end (Ctrl-C again kills)"),
    }
}

impl State {
    fn start(&mut self, work: Work, files: u64, bytes: u64) {
        self.finish();
        self.current = Some(Current {
            work,
            files: (0, files),
            bytes: (0, bytes),
            since: Instant::now(),
            lines: 0,
            bar: None,
            pace: VecDeque::new(),
        });
    }

    fn finish(&mut self) {
        if let Some(Current { bar: Some(bar), .. }) = self.current.take() {
            bar.finish_and_clear();
        }
    }

    /// Writes to the screen while the bar is out of the way.
    fn aside(&self, write: impl FnOnce()) {
        match &self.current {
            Some(Current { bar: Some(bar), .. }) => bar.suspend(write),
            _ => write(),
        }
    }
}

impl Current {
    fn show(&mut self, ui: &Ui) {
        let elapsed = self.since.elapsed();
        self.note(elapsed);
        if !ui.draws {
            if let Some(line) = self.line(elapsed) {
                ui.say(&line);
            }
        } else if elapsed >= PATIENCE {
            let (work, (done, total)) = (self.work, self.measure());
            let counts = self.counts(elapsed);
            let bar = self
                .bar
                .get_or_insert_with(|| bar(work, total, counts.clone()));
            bar.set_position(done);
            bar.set_message(counts);
        }
    }

    /// The line that is due where no bar can be drawn, once.
    fn line(&mut self, elapsed: Duration) -> Option<String> {
        if elapsed < LINE_EVERY * (self.lines + 1) {
            return None;
        }
        self.lines += 1;
        Some(format!("{}: {}", verb(self.work), self.counts(elapsed)))
    }

    /// Remembers how much is done now.
    fn note(&mut self, elapsed: Duration) {
        self.pace.push_back((elapsed, self.measure().0));
        let is_old = |(at, _): &(Duration, u64)| elapsed.saturating_sub(*at) > PACE;
        while self.pace.front().is_some_and(is_old) {
            self.pace.pop_front();
        }
    }

    /// How much is done in a second, lately; in all, if nothing was.
    fn rate(&self, elapsed: Duration) -> f64 {
        let done = self.measure().0;
        let since = match self.pace.front() {
            Some((at, before)) if elapsed > PACE && done > *before => (*at, *before),
            _ => (Duration::ZERO, 0),
        };
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let lately = (done - since.1) as f64;
        lately / elapsed.saturating_sub(since.0).as_secs_f64()
    }

    /// What the bar measures: bytes, or files where bytes are not known.
    fn measure(&self) -> (u64, u64) {
        match self.bytes.1 {
            0 => self.files,
            _ => self.bytes,
        }
    }

    /// How much is done, how fast, and how long the rest will take.
    fn counts(&self, elapsed: Duration) -> String {
        let (done, total) = self.measure();
        let text = |n| match self.bytes.1 {
            0 => render::count(n, "file"),
            _ => render::size(n),
        };
        let mut counts = match total {
            0 => text(done),
            _ => format!("{} / {}", text(done), text(total)),
        };
        let rate = self.rate(elapsed);
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let left = total.saturating_sub(done) as f64;
        if done > 0 && self.bytes.1 > 0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rates are positive, and saturate"
            )]
            let per_second = render::size(rate as u64);
            counts.push_str(&format!(" · {per_second}/s"));
        }
        if done > 0 && total > 0 {
            counts.push_str(&format!(" · eta {}", render::duration(left / rate)));
        }
        counts
    }
}

fn bar(work: Work, total: u64, counts: String) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(20));
    let bar = bar.with_prefix(verb(work)).with_message(counts);
    match ProgressStyle::with_template("{prefix} {bar:20} {msg}") {
        Ok(style) => bar.with_style(style.progress_chars("━╸─")),
        Err(_) => bar,
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `what` is the path or mutex that both want; empty is the whole project.
fn waiting(holder: Option<(u32, &str)>, what: &str) -> String {
    let has = match what {
        "" => String::new(),
        what => format!(", which has `{what}`"),
    };
    match holder {
        Some((pid, command)) => format!("Waiting for `{command}` (pid {pid}){has}"),
        None if what == "the store" => "Waiting for another esker that uses the store".to_owned(),
        None => format!("Waiting for another esker in this project{has}"),
    }
}

fn verb(work: Work) -> &'static str {
    match work {
        Work::Hash => "Hashing",
        Work::Checkout => "Checking out",
        Work::Pack => "Packing",
        Work::Upload => "Uploading",
        Work::Download => "Downloading",
        Work::Verify => "Checking",
    }
}

fn doubling(bytes: u64) -> String {
    format!(
        "copying {} into the store: this file system cannot share blocks, so they take their space twice (`[store] links` in esker's config can make them links instead)",
        render::size(bytes)
    )
}

fn left_out(path: &str) -> String {
    format!("`{path}` is left out: it is a project of its own, with an `esker.toml`")
}

fn edited(path: &str, object: &str) -> String {
    format!(
        "`{path}` is a link into the store and was edited in place: what the file holds is kept, but {object} is gone from the store (`esker fetch` brings it back from a remote; `esker unprotect` before the next edit)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(files: (u64, u64), bytes: (u64, u64)) -> Current {
        Current {
            work: Work::Hash,
            files,
            bytes,
            since: Instant::now(),
            lines: 0,
            bar: None,
            pace: VecDeque::new(),
        }
    }

    #[test]
    fn the_pace_is_that_of_late() {
        const MIB: u64 = 1 << 20;
        let mut work = work((0, 1), (0, 900 * MIB));
        let mut done = 0;
        for second in 0..=60 {
            let elapsed = Duration::from_secs(second);
            work.bytes.0 = done;
            work.note(elapsed);
            let counts = work.counts(elapsed);
            match second {
                10 => assert_eq!(counts, "200 MiB / 900 MiB · 20.0 MiB/s · eta 35s"),
                60 => assert_eq!(counts, "450 MiB / 900 MiB · 5.00 MiB/s · eta 1m 30s"),
                _ => {}
            }
            done += MIB * if second < 10 { 20 } else { 5 };
        }
        assert!(work.pace.len() < 30, "what is old is forgotten");
        // A large object that is told of only when it is done.
        for second in 61..=90 {
            work.note(Duration::from_secs(second));
        }
        let counts = work.counts(Duration::from_secs(90));
        assert_eq!(counts, "450 MiB / 900 MiB · 5.00 MiB/s · eta 1m 30s");
    }

    #[test]
    fn a_bar_says_how_much_how_fast_and_how_long() {
        const MIB: u64 = 1 << 20;
        for (files, bytes, text) in [
            ((0, 1), (0, 600 * MIB), "0 B / 600 MiB"),
            (
                (3, 9),
                (200 * MIB, 600 * MIB),
                "200 MiB / 600 MiB · 50.0 MiB/s · eta 8.0s",
            ),
            (
                (9, 9),
                (600 * MIB, 600 * MIB),
                "600 MiB / 600 MiB · 150 MiB/s · eta 0.0s",
            ),
            ((2, 4), (0, 0), "2 files / 4 files · eta 4.0s"),
            ((2, 0), (0, 0), "2 files"),
        ] {
            let counts = work(files, bytes).counts(Duration::from_secs(4));
            assert_eq!(counts, text);
        }
    }

    #[test]
    fn where_there_is_no_bar_a_line_is_due_every_ten_seconds() {
        let mut work = work((0, 4), (0, 0));
        for (at, files, line) in [
            (250, 0, None),
            (9_999, 1, None),
            (10_000, 1, Some("Hashing: 1 file / 4 files · eta 30s")),
            (10_050, 2, None),
            (20_000, 2, Some("Hashing: 2 files / 4 files · eta 20s")),
            (20_050, 3, None),
        ] {
            work.files.0 = files;
            let found = work.line(Duration::from_millis(at));
            assert_eq!(found.as_deref(), line, "{at}");
        }
    }
}
