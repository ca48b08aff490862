//! Progress on a terminal as one bar, elsewhere as a line now and then; and the tale of stages.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::render;
use super::ui::{Tone, Ui};
use crate::progress::{Event, Progress, Silent, StageOutcome, Work};

/// How long work must last before a bar appears.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often a line appears where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Chooses how progress is told: nothing but stages if quiet or if the answer is JSON.
pub(crate) fn for_ui(ui: &Ui) -> Box<dyn Progress> {
    match ui.quiet && ui.json {
        true => Box::new(Silent),
        false => Box::new(Teller {
            ui: ui.clone(),
            state: Mutex::default(),
        }),
    }
}

struct Teller {
    ui: Ui,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// Whether stages run side by side, so that their lines need names.
    side_by_side: bool,
    running: usize,
}

struct Current {
    work: Work,
    files: (u64, u64),
    bytes: (u64, u64),
    since: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Progress for Teller {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state();
        match event {
            Event::Started { work, files, bytes } => state.start(work, files, bytes),
            Event::Advanced { files, bytes } => {
                if let Some(current) = &mut state.current {
                    current.advance(&self.ui, files, bytes);
                }
            }
            Event::Finished => {
                if let Some(Current { bar: Some(bar), .. }) = state.current.take() {
                    bar.finish_and_clear();
                }
            }
            Event::Waiting { holder } => self.ui.say(&waiting(holder)),
            Event::Planned { .. } => {}
            Event::StageStarted { stage, reason } => {
                state.running += 1;
                state.side_by_side |= state.running > 1;
                let mark = self.ui.paint(Tone::Bold, "▶");
                self.ui.say(&format!("{mark} {stage:<11} {reason}"));
            }
            Event::StageOutput {
                stage,
                line,
                stderr,
            } => self.output(&state, stage, line, stderr),
            Event::StageFinished { stage, outcome } => {
                if matches!(outcome, StageOutcome::Ran { .. } | StageOutcome::Failed) {
                    state.running = state.running.saturating_sub(1);
                }
                self.ui.say(&self.finished(stage, outcome));
            }
        }
    }
}

impl Teller {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage's lines keep their streams, unless stdout is for JSON alone.
    fn output(&self, state: &State, stage: &str, line: &[u8], stderr: bool) {
        let prefix = match state.side_by_side {
            true => format!("{stage} │ "),
            false => "  ".to_owned(),
        };
        let bytes = [prefix.as_bytes(), line, b"\n"].concat();
        self.ui.pass_on(&bytes, stderr);
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

impl State {
    fn start(&mut self, work: Work, files: u64, bytes: u64) {
        let now = Instant::now();
        self.current = Some(Current {
            work,
            files: (0, files),
            bytes: (0, bytes),
            since: now,
            told: now,
            bar: None,
        });
    }
}

impl Current {
    fn advance(&mut self, ui: &Ui, files: u64, bytes: u64) {
        self.files.0 += files;
        self.bytes.0 += bytes;
        if !ui.draws {
            self.tell_line(ui);
        } else if let Some(bar) = &self.bar {
            bar.set_position(self.bytes.0);
        } else if self.since.elapsed() >= PATIENCE {
            self.bar = Some(self.draw());
        }
    }

    fn draw(&self) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(
            Some(self.bytes.1.max(self.bytes.0)),
            ProgressDrawTarget::stderr_with_hz(20),
        );
        let template = "{msg} {bar:30} {binary_bytes} / {binary_total_bytes} · {binary_bytes_per_sec} · eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(verb(self.work));
        bar.set_position(self.bytes.0);
        bar
    }

    fn tell_line(&mut self, ui: &Ui) {
        if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let (done, total) = (render::size(self.bytes.0), render::size(self.bytes.1));
            ui.say(&format!("{}: {done} of {total}", verb(self.work)));
        }
    }
}

fn waiting(holder: Option<(u32, &str)>) -> String {
    match holder {
        Some((pid, command)) => format!("Waiting for `{command}` (pid {pid})"),
        None => "Waiting for another esker in this project".to_owned(),
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
