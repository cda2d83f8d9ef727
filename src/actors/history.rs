//! [`History`]: what happened to keys lately, bounded, for those who ask for the story of one.
//!
//! What is rare is always noted: failures, new attempts, moves to disk and back. A task that ended is
//! noted if it took long enough that the note costs nothing beside it, or if the cluster was asked to note
//! all. Nothing is decided by it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{RunId, WorkerId};
use crate::graph::Key;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistorySettings {
    /// How many events; the oldest ones are forgotten first.
    pub(crate) most: usize,
    /// Whether tasks are noted however short they are.
    pub(crate) every_task: bool,
}

/// What happened to a key at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, from the start of the cluster.
    pub at: Duration,
    /// To which key.
    pub key: Key,
    /// In which run, if it was one that is known.
    pub run: Option<u64>,
    /// What.
    pub what: Happening,
}

/// What can happen to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// The task ended in a worker after so long.
    Ended {
        /// The worker's number.
        worker: u32,
        /// How long it took.
        took: Duration,
    },
    /// An attempt of the task failed.
    Failed {
        /// With what.
        error: String,
    },
    /// The task is tried again.
    TriedAgain {
        /// Which attempt starts, counted from 1.
        attempt: u32,
    },
    /// The task failed for good.
    GivenUp {
        /// How often it was tried.
        attempts: u32,
    },
    /// The task was not run because something before it had failed.
    Skipped {
        /// What had failed.
        cause: String,
    },
    /// The value moved to disk.
    Spilled {
        /// Its size in memory, in bytes.
        bytes: u64,
    },
    /// The value came back into memory.
    Restored {
        /// Its size in memory, in bytes.
        bytes: u64,
    },
    /// The value could not be written to disk and stays in memory.
    NotSpilled {
        /// Why.
        reason: String,
    },
    /// The value's file cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The value is lost.
    Lost {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s: {:?} ", self.at.as_secs_f64(), self.key)?;
        match &self.what {
            Happening::Ended { worker, took } => {
                write!(f, "ended on worker {worker} after {took:?}")?;
            }
            Happening::Failed { error } => write!(f, "failed: {error}")?,
            Happening::TriedAgain { attempt } => write!(f, "is tried again, attempt {attempt}")?,
            Happening::GivenUp { attempts } => {
                write!(f, "is given up after {attempts} attempt(s)")?;
            }
            Happening::Skipped { cause } => write!(f, "was skipped: {cause}")?,
            Happening::Spilled { bytes } => write!(f, "moved to disk ({bytes} bytes)")?,
            Happening::Restored { bytes } => write!(f, "came back from disk ({bytes} bytes)")?,
            Happening::NotSpilled { reason } => write!(f, "could not move to disk: {reason}")?,
            Happening::Unreadable { reason } => {
                write!(f, "cannot be read back and is made again: {reason}")?;
            }
            Happening::Lost { reason } => write!(f, "is lost: {reason}")?,
        }
        match self.run {
            Some(run) => write!(f, " (run {run})"),
            None => Ok(()),
        }
    }
}

/// What happened to keys lately.
pub(crate) struct History {
    began: Instant,
    settings: HistorySettings,
    /// The oldest first.
    events: Mutex<VecDeque<Event>>,
}

impl History {
    pub(crate) fn new(settings: HistorySettings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the times of a story begin here")]
        let began = Instant::now();
        Self { began, settings, events: Mutex::default() }
    }

    /// True if tasks are noted however short they are.
    pub(crate) fn notes_every_task(&self) -> bool {
        self.settings.every_task && self.settings.most > 0
    }

    /// Notes a task that ended, if that is worth it.
    pub(crate) fn ended(&self, run: RunId, worker: WorkerId, took: Duration, key: &Key) {
        /// Beside this, noting it costs nothing.
        const LONG: Duration = Duration::from_micros(100);
        if took >= LONG || self.settings.every_task {
            self.note(Some(run), key, Happening::Ended { worker: worker.0, took });
        }
    }

    /// Notes what happened to a key.
    pub(crate) fn note(&self, run: Option<RunId>, key: &Key, what: Happening) {
        if self.settings.most == 0 {
            return;
        }
        let at = self.began.elapsed();
        let event = Event { at, key: key.clone(), run: run.map(|run| run.0), what };
        let mut events = self.lock();
        let oldest = if events.len() >= self.settings.most { events.pop_front() } else { None };
        events.push_back(event);
        drop(events);
        drop(oldest);
    }

    /// What is remembered of a key, the oldest first.
    pub(crate) fn story(&self, key: &Key) -> Vec<Event> {
        self.lock().iter().filter(|event| event.key == *key).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // No code of a user runs under the lock, and the queue is whole at any time.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("events", &self.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_events_are_forgotten_first() {
        let history = History::new(HistorySettings { most: 3, every_task: false });
        let (one, two) = (Key::from("one"), Key::from("two"));
        for attempt in 0..4 {
            history.note(None, &one, Happening::TriedAgain { attempt });
        }
        history.note(Some(RunId(7)), &two, Happening::Spilled { bytes: 1 });
        let attempts: Vec<Happening> =
            history.story(&one).into_iter().map(|event| event.what).collect();
        let kept = [2, 3].map(|attempt| Happening::TriedAgain { attempt });
        assert_eq!(attempts, kept);
        assert_eq!(history.story(&two)[0].run, Some(7));
    }

    #[test]
    fn only_long_tasks_are_noted_unless_all_are() {
        for (every_task, noted) in [(false, 1), (true, 2)] {
            let history = History::new(HistorySettings { most: 10, every_task });
            let key = Key::from("x");
            history.ended(RunId(1), WorkerId(0), Duration::from_micros(1), &key);
            history.ended(RunId(1), WorkerId(0), Duration::from_millis(1), &key);
            assert_eq!(history.story(&key).len(), noted);
        }
    }
}
