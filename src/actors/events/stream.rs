//! [`Stream`]: all that happens in a cluster, on its way from the threads where it happens to the one that
//! listens.
//!
//! Tasks that end are by far the most of it. A worker gathers them on its own, those whose numbers follow each
//! other as one stretch, until it next looks at the clock, and then puts them down in one piece, in a place of
//! its own, behind a lock that only the listener ever takes besides. So a short task costs a few instructions,
//! and a long one a lock that is free.
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

/// So many stretches of tasks may lie in the place of one worker: 16 MiB.
const MOST_STRETCHES: usize = 1 << 20;

/// So many batches may lie there: 16 MiB.
const MOST_BATCHES: usize = 1 << 18;

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
    tasks: Vec<Stretch>,
    /// By run: how many tasks there was no room for.
    unseen: Vec<(RunId, u64)>,
}

/// Tasks that have ended one after the other, as their numbers follow each other, with values of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) first: TaskId,
    pub(crate) count: u32,
    /// What the value of each takes.
    pub(crate) bytes: u64,
}

impl Stretch {
    /// One task.
    pub(crate) fn new(task: TaskId, bytes: u64) -> Self {
        Self { first: task, count: 1, bytes }
    }

    /// The tasks.
    pub(crate) fn tasks(self) -> impl Iterator<Item = TaskId> {
        (self.first.0..self.first.0 + self.count).map(TaskId)
    }

    /// Takes in the task that ended next, if it can.
    #[inline]
    pub(crate) fn takes_in(&mut self, task: TaskId, bytes: u64) -> bool {
        let follows = task.0.wrapping_sub(self.first.0) == self.count && bytes == self.bytes;
        self.count += u32::from(follows);
        follows
    }
}

/// Tasks of a run that ended in a worker, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) run: RunId,
    pub(crate) worker: WorkerId,
    /// When the first one began, by the cluster's clock.
    pub(crate) from: Duration,
    /// When the last one ended.
    pub(crate) to: Duration,
    /// In how many stretches its tasks are.
    pub(crate) stretches: usize,
    /// How many tasks it is about.
    pub(crate) tasks: u32,
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

/// What has come since the last look. Who looks again gives it back, for the memory in it: fresh memory costs
/// workers more than what they write there.
#[derive(Debug, Default)]
pub(crate) struct Caught {
    places: Vec<Place>,
    pub(crate) notes: Vec<Note>,
    /// How many notes are lost.
    pub(crate) lost_notes: u64,
}

impl Caught {
    /// By place: batches, and their tasks one after the other.
    pub(crate) fn batches(&self) -> impl Iterator<Item = (&[Batch], &[Stretch])> {
        self.places.iter().map(|place| (&place.batches[..], &place.tasks[..]))
    }

    /// By run: how many tasks ended of which nothing else is known.
    pub(crate) fn unseen(&self) -> impl Iterator<Item = (RunId, u64)> {
        self.places.iter().flat_map(|place| place.unseen.iter().copied())
    }

    /// True if a task has ended.
    pub(crate) fn has_tasks(&self) -> bool {
        self.places.iter().any(|place| !place.batches.is_empty())
    }
}

impl Place {
    /// Forgets all, and keeps as much memory as it was in use.
    fn clear(&mut self) {
        /// So much is always kept.
        const FEW: usize = 1 << 10;
        let (batches, tasks) = (self.batches.len(), self.tasks.len());
        self.batches.clear();
        self.tasks.clear();
        self.unseen.clear();
        self.batches.shrink_to(2 * batches.max(FEW));
        self.tasks.shrink_to(2 * tasks.max(FEW));
    }
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
        let mut before = Caught::default();
        self.take(&mut notes, &mut before);
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
        let mut rest = Caught::default();
        self.take(&mut notes, &mut rest);
        drop(notes);
        drop(rest);
    }

    /// Puts down tasks that have ended in a worker, and takes them out of `seen`.
    pub(crate) fn put(&self, batch: Batch, seen: &mut Vec<Stretch>) {
        let place = &self.places[batch.worker.index().min(self.places.len() - 1)];
        let mut place = lock(place);
        let has_room = place.tasks.len() + seen.len() <= MOST_STRETCHES;
        if has_room && place.batches.len() < MOST_BATCHES {
            place.tasks.append(seen);
            place.batches.push(batch);
            return;
        }
        let tasks = u64::from(batch.tasks);
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

    /// Takes what has come since the last look; nothing if somebody else listens by now. What was caught at the
    /// last look is forgotten.
    pub(crate) fn catch(&self, listener: &Listener, caught: &mut Caught) {
        caught.lost_notes = 0;
        caught.notes.clear();
        caught.places.iter_mut().for_each(Place::clear);
        let mut notes = lock(&self.notes);
        if self.listener.load(Ordering::Relaxed) == listener.0 {
            self.take(&mut notes, caught);
        }
    }

    /// Takes all that there is. While the notes are locked no run begins, so that if a task is there, the
    /// beginning of its run is, too.
    fn take(&self, notes: &mut Notes, empty: &mut Caught) {
        empty.places.resize_with(self.places.len(), Place::default);
        for (place, empty) in self.places.iter().zip(&mut empty.places) {
            std::mem::swap(&mut *lock(place), empty);
        }
        empty.notes = std::mem::take(&mut notes.kept);
        empty.lost_notes = std::mem::take(&mut notes.lost);
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

    fn catch(stream: &Stream, listener: &Listener) -> Caught {
        let mut caught = Caught::default();
        stream.catch(listener, &mut caught);
        caught
    }

    /// What was put down, place by place.
    fn told(caught: &Caught) -> Vec<(&[Batch], &[Stretch])> {
        caught.batches().filter(|(batches, _)| !batches.is_empty()).collect()
    }

    fn batch(run: u64, tasks: u32) -> Batch {
        let (from, to) = (Duration::ZERO, Duration::from_micros(1));
        let stretches = tasks as usize;
        Batch { run: RunId(run), worker: WorkerId(0), from, to, stretches, tasks, failed: false }
    }

    #[test]
    fn a_stretch_takes_in_who_follows_with_a_value_of_the_same_size() {
        let mut stretch = Stretch::new(TaskId(3), 8);
        let taken = [(3, 8), (5, 8), (4, 9), (4, 8), (2, 8), (5, 8), (6, 0)]
            .map(|(task, bytes)| stretch.takes_in(TaskId(task), bytes));
        assert_eq!(taken, [false, false, false, true, false, true, false]);
        assert_eq!(stretch, Stretch { first: TaskId(3), count: 3, bytes: 8 });
        assert!(stretch.tasks().eq([3, 4, 5].map(TaskId)));
    }

    #[test]
    fn what_was_put_down_is_caught_once() {
        let stream = Stream::new(2);
        let listener = stream.listen();
        let mut seen = vec![Stretch::new(TaskId(3), 8), Stretch::new(TaskId(4), 16)];
        stream.put(batch(1, 2), &mut seen);
        assert!(seen.is_empty());
        let mut caught = catch(&stream, &listener);
        let tasks = [Stretch::new(TaskId(3), 8), Stretch::new(TaskId(4), 16)];
        assert_eq!(told(&caught), [(&[batch(1, 2)][..], &tasks[..])]);
        // What was caught is given back, and nothing of it is caught again.
        stream.catch(&listener, &mut caught);
        assert!(!caught.has_tasks());
        stream.put(batch(1, 1), &mut vec![Stretch::new(TaskId(5), 8)]);
        stream.catch(&listener, &mut caught);
        assert_eq!(told(&caught), [(&[batch(1, 1)][..], &[Stretch::new(TaskId(5), 8)][..])]);
    }

    #[test]
    fn memory_is_kept_as_far_as_it_is_used() {
        let tasks = vec![Stretch::new(TaskId(0), 0); 1 << 16];
        let mut place = Place { tasks, ..Place::default() };
        place.clear();
        assert!(place.tasks.is_empty() && place.tasks.capacity() >= 1 << 16);
        place.clear();
        assert!(place.tasks.capacity() < 1 << 12);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let stream = Stream::new(1);
        let listener = stream.listen();
        let half = MOST_STRETCHES / 2;
        let tasks = u32::try_from(half).expect("it is small");
        for _ in 0..3 {
            stream.put(batch(1, tasks), &mut vec![Stretch::new(TaskId(0), 0); half]);
        }
        stream.put(batch(2, 1), &mut vec![Stretch::new(TaskId(0), 0)]);
        let caught = catch(&stream, &listener);
        assert_eq!(told(&caught)[0].0.len(), 2);
        assert!(caught.unseen().eq([(RunId(1), half as u64), (RunId(2), 1)]));
        for _ in 0..MOST_BATCHES + 3 {
            stream.put(batch(3, 1), &mut vec![Stretch::new(TaskId(0), 0)]);
        }
        assert!(catch(&stream, &listener).unseen().eq([(RunId(3), 3)]));
    }

    #[test]
    fn who_begins_to_listen_hears_nothing_of_before_and_who_did_before_nothing_more() {
        let stream = Stream::new(1);
        let first = stream.listen();
        stream.put(batch(1, 1), &mut vec![Stretch::new(TaskId(0), 0)]);
        let second = stream.listen();
        assert!(!catch(&stream, &second).has_tasks());
        stream.put(batch(2, 1), &mut vec![Stretch::new(TaskId(0), 0)]);
        assert!(!catch(&stream, &first).has_tasks());
        stream.listen_no_more(first);
        assert!(stream.is_heard());
        assert_eq!(told(&catch(&stream, &second))[0].0, [batch(2, 1)]);
        stream.listen_no_more(second);
        assert!(!stream.is_heard());
    }
}
