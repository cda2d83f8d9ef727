//! [`Stream`]: all that happens in a cluster, on its way from the threads where it happens to the one that
//! listens.
//!
//! Tasks that end are by far the most of it. A worker gathers them on its own, two numbers a task, until it
//! next looks at the clock, and then puts them down in one piece, in a place of its own, behind a lock that
//! only the listener ever takes besides. So a short task costs two stores, and a long one a lock that is free.
//!
//! The stream is bounded: whoever finds a place full counts what it cannot put down. What is lost so are times,
//! never counts: how many tasks have ended, and how, is read off the run itself ([`Tally`]).
//!
//! One listens at a time. Whoever begins to listen hears what happens from then on, and nothing more is told to
//! the one before, who may not have stopped yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Event, HookTimes};
use crate::engine::{Failure, RunId, Tally, TaskId, WorkerId, spares};
use crate::graph::Plan;

/// So many tasks may lie in the place of one worker: 16 MiB.
const MOST_TASKS: usize = 1 << 20;

/// So many notes may lie there.
const MOST_NOTES: usize = 1 << 16;

/// What happens, while somebody listens.
pub(crate) struct Stream {
    /// The number of the listener, or 0. It changes while the notes are locked.
    listener: AtomicU64,
    /// By worker's number; that of tasks that end outside of any worker among them.
    places: Box<[Mutex<Place>]>,
    notes: Mutex<Notes>,
}

/// What a worker has put down.
#[derive(Debug, Default)]
struct Place {
    batches: Vec<Batch>,
    /// The tasks of all batches, one after the other.
    tasks: Vec<Seen>,
    /// By run: how many tasks there was no room for.
    unseen: Vec<(RunId, u64)>,
}

/// A task that has ended, with the bytes of its value.
pub(crate) type Seen = (TaskId, u64);

/// Tasks of a run that ended in a worker, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) run: RunId,
    pub(crate) worker: WorkerId,
    /// When the first one began, by the cluster's clock.
    pub(crate) from: Duration,
    /// When the last one ended.
    pub(crate) to: Duration,
    /// How many tasks it is about.
    pub(crate) tasks: usize,
    /// True if the (only) task failed.
    pub(crate) failed: bool,
}

#[derive(Debug, Default)]
struct Notes {
    kept: Vec<Note>,
    /// How many there was no room for.
    lost: u64,
    /// How many have listened until now.
    listeners: u64,
}

/// Who listens to a stream.
#[derive(Debug)]
pub(crate) struct Listener(u64);

/// Something rare.
#[derive(Debug)]
pub(crate) struct Note {
    /// When, by the cluster's clock.
    pub(crate) at: Duration,
    pub(crate) what: Noted,
}

/// What can be noted beside tasks that end.
#[derive(Debug)]
pub(crate) enum Noted {
    /// Something happened to a key.
    Event {
        event: Event,
        /// The number of the key's task, where it is known.
        task: Option<TaskId>,
        /// All that is known of it.
        details: String,
    },
    /// A run begins.
    RunBegan {
        run: RunId,
        /// When, by the cluster's clock.
        began: Duration,
        plan: Arc<Plan>,
        tally: Tally,
        hooks: Option<Arc<HookTimes>>,
    },
    /// A run is over.
    RunEnded { run: RunId, end: End },
    /// A worker is there.
    WorkerUp { worker: WorkerId },
    /// A worker's child process is there.
    Child { worker: WorkerId, process: u32 },
    /// A worker is in a task that takes longer than it may, and another one is in its place.
    WorkerStuck { worker: WorkerId },
    /// A worker's thread or process has died.
    WorkerDown { worker: WorkerId, why: String },
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    Done,
    Cancelled,
    /// With what it failed; and the task with which it ended, which its tally does not show. The words are found
    /// by who listens: an error of a user's finds its own.
    Failed {
        failures: Vec<Failure>,
        task: Option<TaskId>,
    },
}

/// What has come since the last look.
#[derive(Debug, Default)]
pub(crate) struct Caught {
    /// By worker: batches, and their tasks one after the other.
    pub(crate) places: Vec<(Vec<Batch>, Vec<Seen>)>,
    pub(crate) notes: Vec<Note>,
    /// By run: how many tasks ended of which nothing else is known.
    pub(crate) unseen: Vec<(RunId, u64)>,
    /// How many notes are lost.
    pub(crate) lost_notes: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of a user runs under these locks, and no change under them can be left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    pub(super) fn new(workers: usize) -> Self {
        let places = workers + 1 + spares(workers).len();
        Self {
            listener: AtomicU64::new(0),
            places: (0..places).map(|_| Mutex::default()).collect(),
            notes: Mutex::default(),
        }
    }

    /// True while somebody listens.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.listener.load(Ordering::Relaxed) != 0
    }

    /// Somebody begins to listen, in place of who did before.
    pub(crate) fn listen(&self) -> Listener {
        let mut notes = lock(&self.notes);
        notes.listeners += 1;
        let listener = notes.listeners;
        self.listener.store(listener, Ordering::Release);
        let before = self.take(&mut notes);
        drop(notes);
        drop(before);
        Listener(listener)
    }

    /// Somebody has listened enough.
    pub(crate) fn listen_no_more(&self, Listener(listener): Listener) {
        let mut notes = lock(&self.notes);
        if self.listener.load(Ordering::Relaxed) != listener {
            return;
        }
        self.listener.store(0, Ordering::Release);
        let rest = self.take(&mut notes);
        drop(notes);
        drop(rest);
    }

    /// Puts down tasks that have ended in a worker, and takes them out of `seen`.
    pub(crate) fn put(&self, batch: Batch, seen: &mut Vec<Seen>) {
        let place = &self.places[batch.worker.index().min(self.places.len() - 1)];
        let mut place = lock(place);
        if place.tasks.len() + seen.len() <= MOST_TASKS {
            place.tasks.append(seen);
            place.batches.push(batch);
            return;
        }
        let tasks = seen.len() as u64;
        match place.unseen.iter_mut().find(|(run, _)| *run == batch.run) {
            Some((_, unseen)) => *unseen += tasks,
            None => place.unseen.push((batch.run, tasks)),
        }
        drop(place);
        seen.clear();
    }

    pub(super) fn note(&self, at: Duration, what: Noted) {
        let mut notes = lock(&self.notes);
        // Those of runs are few, and without them nothing else can be told.
        let is_of_run = matches!(what, Noted::RunBegan { .. } | Noted::RunEnded { .. });
        if notes.kept.len() < MOST_NOTES || is_of_run {
            notes.kept.push(Note { at, what });
        } else {
            notes.lost += 1;
        }
    }

    /// Takes what has come since the last look; nothing if somebody else listens by now.
    pub(crate) fn catch(&self, listener: &Listener) -> Caught {
        let mut notes = lock(&self.notes);
        if self.listener.load(Ordering::Relaxed) != listener.0 {
            return Caught::default();
        }
        self.take(&mut notes)
    }

    /// Takes all that there is. While the notes are locked no run begins, so that if a task is there, the
    /// beginning of its run is, too.
    fn take(&self, notes: &mut Notes) -> Caught {
        let mut caught = Caught::default();
        for place in &self.places {
            let Place { batches, tasks, unseen } = std::mem::take(&mut *lock(place));
            caught.unseen.extend(unseen);
            if !batches.is_empty() {
                caught.places.push((batches, tasks));
            }
        }
        caught.notes = std::mem::take(&mut notes.kept);
        caught.lost_notes = std::mem::take(&mut notes.lost);
        caught
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("listener", &self.listener).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(run: u64, tasks: usize) -> Batch {
        let (from, to) = (Duration::ZERO, Duration::from_micros(1));
        Batch { run: RunId(run), worker: WorkerId(0), from, to, tasks, failed: false }
    }

    #[test]
    fn what_was_put_down_is_caught_once() {
        let stream = Stream::new(2);
        let listener = stream.listen();
        let mut seen = vec![(TaskId(3), 8), (TaskId(4), 16)];
        stream.put(batch(1, 2), &mut seen);
        assert!(seen.is_empty());
        let caught = stream.catch(&listener);
        let of_worker = (vec![batch(1, 2)], vec![(TaskId(3), 8), (TaskId(4), 16)]);
        assert_eq!(caught.places, [of_worker]);
        assert!(stream.catch(&listener).places.is_empty());
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let stream = Stream::new(1);
        let listener = stream.listen();
        for _ in 0..3 {
            stream.put(batch(1, MOST_TASKS / 2), &mut vec![(TaskId(0), 0); MOST_TASKS / 2]);
        }
        stream.put(batch(2, 1), &mut vec![(TaskId(0), 0)]);
        let caught = stream.catch(&listener);
        assert_eq!(caught.places[0].0.len(), 2);
        assert_eq!(caught.unseen, [(RunId(1), (MOST_TASKS / 2) as u64), (RunId(2), 1)]);
    }

    #[test]
    fn who_begins_to_listen_hears_nothing_of_before_and_who_did_before_nothing_more() {
        let stream = Stream::new(1);
        let first = stream.listen();
        stream.put(batch(1, 1), &mut vec![(TaskId(0), 0)]);
        let second = stream.listen();
        assert!(stream.catch(&second).places.is_empty());
        stream.put(batch(2, 1), &mut vec![(TaskId(0), 0)]);
        assert!(stream.catch(&first).places.is_empty());
        stream.listen_no_more(first);
        assert!(stream.is_heard());
        assert_eq!(stream.catch(&second).places[0].0, [batch(2, 1)]);
        stream.listen_no_more(second);
        assert!(!stream.is_heard());
    }
}
