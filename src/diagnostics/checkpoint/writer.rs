//! [`Writer`]: a thread that values are handed to, so that no worker waits for the disk.
//!
//! It bounds the bytes that wait: who hands over more than that waits for room. It knows no files; what is
//! done with a value is told by whoever makes it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How many bytes may wait. A single value may be larger.
const MOST_WAITING: usize = 256 << 20;

/// The thread, from the first value on.
#[derive(Debug)]
pub(super) struct Writer<T: Send + 'static> {
    queue: Arc<Queue<T>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What is done with each value, and whenever there is none left.
pub(super) type Work<T> = (Box<dyn FnMut(T) + Send>, Box<dyn FnMut() + Send>);

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
    /// Told of everything that somebody may wait for.
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// What waits, each with its bytes.
    waiting: VecDeque<(T, usize)>,
    /// Of what waits, and of what is being written.
    bytes: usize,
    /// How many values were handed over so far.
    pushed: u64,
    /// How many of them were written, and how many settled after that; never more than `pushed`.
    written: u64,
    settled: u64,
    /// How many somebody waits for to be settled.
    awaited: u64,
    /// True once nothing will come any more.
    closed: bool,
}

impl<T: Send> Writer<T> {
    pub(super) fn new() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            pushed: 0,
            written: 0,
            settled: 0,
            awaited: 0,
            closed: false,
        };
        let queue = Queue { state: Mutex::new(state), changed: Condvar::new() };
        Self { queue: Arc::new(queue), thread: Mutex::new(None) }
    }

    /// Starts the thread if it does not run.
    pub(super) fn start(&self, make: impl FnOnce() -> Work<T>) -> std::io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (queue, (write, settle)) = (Arc::clone(&self.queue), make());
            let body = move || queue.work(write, settle);
            *thread =
                Some(thread::Builder::new().name("mobula-checkpoint".to_owned()).spawn(body)?);
        }
        Ok(())
    }

    /// Hands a value of so many bytes over, once there is room. The thread must have been started.
    pub(super) fn push(&self, value: T, bytes: usize) {
        let is_full = |state: &mut State<T>| {
            state.bytes > 0 && state.bytes.saturating_add(bytes) > MOST_WAITING
        };
        let mut state = self.queue.wait_while(is_full);
        state.bytes = state.bytes.saturating_add(bytes);
        state.pushed += 1;
        state.waiting.push_back((value, bytes));
        drop(state);
        self.queue.changed.notify_all();
    }

    /// Waits until all that was handed over before is written and settled.
    pub(super) fn wait(&self) {
        let mut state = self.queue.lock();
        let all = state.pushed;
        state.awaited = state.awaited.max(all);
        drop(state);
        drop(self.queue.wait_while(|state| state.settled < all));
    }
}

/// What waits is written first.
impl<T: Send + 'static> Drop for Writer<T> {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A value that holds the last pointer to this may be dropped by the thread itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            log::error!("the thread of a checkpoint ended with a panic");
        }
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics under the lock; were it poisoned, the content would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, is_so: impl FnMut(&mut State<T>) -> bool) -> MutexGuard<'_, State<T>> {
        self.changed.wait_while(self.lock(), is_so).unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does.
    fn work(&self, mut write: impl FnMut(T), mut settle: impl FnMut()) {
        let mut state = self.lock();
        loop {
            if state.must_settle() {
                let written = state.written;
                drop(state);
                guarded(&mut settle);
                state = self.lock();
                state.settled = written;
            } else if let Some((value, bytes)) = state.waiting.pop_front() {
                drop(state);
                guarded(|| write(value));
                state = self.lock();
                state.bytes -= bytes;
                state.written += 1;
            } else if state.closed {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            self.changed.notify_all();
        }
    }
}

impl<T> State<T> {
    /// Settling is dear, so it is done when there is nothing else to do, or somebody waits for no more than
    /// what was written; who hands over more meanwhile must not hold them up.
    fn must_settle(&self) -> bool {
        let is_awaited = (self.settled + 1..=self.written).contains(&self.awaited);
        self.settled < self.written && (self.waiting.is_empty() || is_awaited)
    }
}

/// Who waits for the thread must not wait for ever.
fn guarded(body: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        log::error!("writing a value of a checkpoint panicked");
        // Dropping the payload could panic once more.
        std::mem::forget(panic);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::{Arc, Mutex};

    use super::{MOST_WAITING, Writer};

    fn noting(writer: &Writer<usize>, notes: &Arc<Mutex<Vec<usize>>>) {
        let (one, two) = (Arc::clone(notes), Arc::clone(notes));
        let note = move |value| {
            assert_ne!(value, 13, "it panics now and then");
            one.lock().unwrap().push(value);
        };
        let settle = move || two.lock().unwrap().push(0);
        writer.start(|| (Box::new(note), Box::new(settle))).unwrap();
    }

    #[test]
    fn all_is_written_in_order_and_settled_in_the_end() {
        let (writer, notes) = (Writer::new(), Arc::default());
        writer.wait();
        noting(&writer, &notes);
        for value in [1, 2, 13, 3] {
            writer.push(value, MOST_WAITING + value);
        }
        writer.wait();
        let mut done = notes.lock().unwrap().clone();
        assert_eq!(done.pop(), Some(0));
        done.retain(|value| *value > 0);
        assert_eq!(done, [1, 2, 3]);
    }

    #[test]
    fn who_waits_is_not_held_up_by_who_hands_over_more() {
        let (writer, notes) = (Writer::new(), Arc::default());
        noting(&writer, &notes);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    writer.push(1, MOST_WAITING / 4);
                }
            });
            for value in 100..110 {
                writer.push(value, 1);
                writer.wait();
                let notes = notes.lock().unwrap();
                let at = notes.iter().position(|note| *note == value).expect("it was written");
                assert!(notes[at..].contains(&0), "and settled");
            }
            stop.store(true, Relaxed);
        });
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        let (writer, notes) = (Writer::new(), Arc::default());
        noting(&writer, &notes);
        for value in 100..200 {
            writer.push(value, 1);
        }
        drop(writer);
        let notes = notes.lock().unwrap();
        assert_eq!(notes.iter().filter(|value| **value > 0).count(), 100);
        assert_eq!(notes.last(), Some(&0));
    }
}
