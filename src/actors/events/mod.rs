//! [`Events`]: what happens in a cluster, for those who want to know.
//!
//! | file | what it holds |
//! |---|---|
//! | `happening.rs` | [`Event`], [`Happening`]: what happened to a key |
//! | `history.rs` | the last of them, for those who ask for the story of a key |
//! | `stream.rs` | all that happens, while somebody listens |
//! | `hook_times.rs` | how long the callbacks of a run take |
//!
//! Whatever happens is told here once. Nothing is decided by it.

mod happening;
mod history;
mod hook_times;
mod stream;

use std::time::{Duration, Instant};

pub use happening::{Event, Happening};
pub(crate) use history::HistorySettings;
pub(crate) use hook_times::HookTimes;
pub(crate) use stream::{Batch, Caught, End, Listener, Note, Noted, Stream, Stretch};

use crate::engine::{RunId, TaskId, WorkerId};
use crate::graph::Key;
use history::History;

/// So many bytes of an error's details are kept for those who listen: a message may hold an array.
const MOST_DETAILS: usize = 32 << 10;

/// What happens in a cluster.
#[derive(Debug)]
pub(crate) struct Events {
    /// The origin of the clock by which all of it is told.
    began: Instant,
    history: History,
    stream: Stream,
}

impl Events {
    pub(crate) fn new(settings: HistorySettings, workers: usize) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the times of a story begin here")]
        let began = Instant::now();
        Self { began, history: History::new(settings), stream: Stream::new(workers) }
    }

    /// How long the cluster has been there.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long the cluster had been there at some moment.
    pub(crate) fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.began)
    }

    /// What goes to those who listen.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// True if tasks are noted for the story of their key however short they are.
    pub(crate) fn notes_every_task(&self) -> bool {
        self.history.notes_every_task()
    }

    /// Notes a task that ended for the story of its key, if that is worth it.
    pub(crate) fn ended(&self, run: RunId, worker: WorkerId, took: Duration, key: &Key) {
        if self.history.is_worth_noting(took) {
            self.history.note(Event {
                at: self.now(),
                key: key.clone(),
                run: Some(run.0),
                what: Happening::Ended { worker: worker.0, took },
            });
        }
    }

    /// Notes what happened to a key. `task` is its number, where that is known; `details` are asked for
    /// only if somebody listens.
    pub(crate) fn note(
        &self,
        run: Option<RunId>,
        task: Option<TaskId>,
        key: &Key,
        what: Happening,
        details: impl FnOnce() -> String,
    ) {
        let at = self.now();
        let event = Event { at, key: key.clone(), run: run.map(|run| run.0), what };
        if self.stream.is_heard() {
            let details = shortened(details(), MOST_DETAILS);
            self.stream.note(at, Noted::Event { event: event.clone(), task, details });
        }
        self.history.note(event);
    }

    /// Notes something that is not about a key, for those who listen.
    pub(crate) fn tell(&self, noted: impl FnOnce() -> Noted) {
        if self.stream.is_heard() {
            self.stream.note(self.now(), noted());
        }
    }

    /// What is remembered of a key, the oldest first.
    pub(crate) fn story(&self, key: &Key) -> Vec<Event> {
        self.history.story(key)
    }
}

/// A text of at most about so many bytes: its beginning, and how much is left out. Of a traceback the end is what
/// matters, so that is kept, too.
fn shortened(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let (head, tail) = (most / 2, text.len() - most / 2);
    let head = (0..=head).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let tail = (tail..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let left_out = tail - head;
    format!("{}\n… {left_out} bytes are left out …\n{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_beginning_and_end_are_kept() {
        assert_eq!(shortened("short".to_owned(), 5), "short");
        assert_eq!(
            shortened("begin-middle-end".to_owned(), 8),
            "begi\n… 8 bytes are left out …\n-end"
        );
        // Letters stay whole.
        assert_eq!(shortened("äöüäöü".to_owned(), 6), "ä\n… 8 bytes are left out …\nü");
    }
}
