//! [`History`]: what happened to keys lately, bounded, for those who ask for the story of one.
//!
//! What is rare is always noted: failures, new attempts, moves to disk and back. A task that ended is
//! noted if it took long enough that the note costs nothing beside it, or if the cluster was asked to note
//! all. Nothing is decided by it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Event;
use crate::graph::Key;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistorySettings {
    /// How many events; the oldest ones are forgotten first.
    pub(crate) most: usize,
    /// Whether tasks are noted however short they are.
    pub(crate) every_task: bool,
}

/// What happened to keys lately.
pub(super) struct History {
    settings: HistorySettings,
    /// The oldest first.
    events: Mutex<VecDeque<Event>>,
}

impl History {
    pub(super) fn new(settings: HistorySettings) -> Self {
        Self { settings, events: Mutex::default() }
    }

    /// True if tasks are noted however short they are.
    pub(super) fn notes_every_task(&self) -> bool {
        self.settings.every_task && self.settings.most > 0
    }

    /// True if a task that took so long is noted.
    pub(super) fn is_worth_noting(&self, took: Duration) -> bool {
        /// Beside this, noting it costs nothing.
        const LONG: Duration = Duration::from_micros(100);
        self.settings.most > 0 && (took >= LONG || self.settings.every_task)
    }

    /// Notes what happened to a key.
    pub(super) fn note(&self, event: Event) {
        if self.settings.most == 0 {
            return;
        }
        let mut events = self.lock();
        let oldest = if events.len() >= self.settings.most { events.pop_front() } else { None };
        events.push_back(event);
        drop(events);
        drop(oldest);
    }

    /// What is remembered of a key, the oldest first.
    pub(super) fn story(&self, key: &Key) -> Vec<Event> {
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
    use super::super::Happening;
    use super::*;

    #[test]
    fn the_oldest_events_are_forgotten_first() {
        let history = History::new(HistorySettings { most: 3, every_task: false });
        let (one, two) = (Key::from("one"), Key::from("two"));
        let event =
            |key: &Key, run, what| Event { at: Duration::ZERO, key: key.clone(), run, what };
        for attempt in 0..4 {
            history.note(event(&one, None, Happening::TriedAgain { attempt }));
        }
        history.note(event(&two, Some(7), Happening::Spilled { bytes: 1 }));
        let attempts: Vec<Happening> =
            history.story(&one).into_iter().map(|event| event.what).collect();
        let kept = [2, 3].map(|attempt| Happening::TriedAgain { attempt });
        assert_eq!(attempts, kept);
        assert_eq!(history.story(&two)[0].run, Some(7));
    }

    #[test]
    fn only_long_tasks_are_noted_unless_all_are() {
        for (every_task, short) in [(false, false), (true, true)] {
            let history = History::new(HistorySettings { most: 10, every_task });
            assert_eq!(history.is_worth_noting(Duration::from_micros(1)), short);
            assert!(history.is_worth_noting(Duration::from_millis(1)));
        }
    }
}
