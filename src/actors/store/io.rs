//! [`Io`]: the threads on which a cluster reads and writes its spill files.
//!
//! What somebody waits for is read first, then room is made. Threads start with the first job; nothing
//! here knows what a job does.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A piece of disk work.
type Job = Box<dyn FnOnce() + Send>;

/// What is done first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody waits for it.
    Awaited,
    /// It makes room, or tidies up.
    Background,
}

/// The I/O threads of a cluster, which take jobs from one queue.
#[derive(Debug)]
pub(super) struct Io {
    shared: Arc<Shared>,
    most_threads: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    awaited: VecDeque<Job>,
    background: VecDeque<Job>,
    /// How many threads wait for a job.
    idle: usize,
    /// True once the cluster ends: what is in the queue is still done, nothing comes any more.
    closed: bool,
}

impl Io {
    pub(super) fn new(most_threads: usize) -> Self {
        Self { shared: Arc::default(), most_threads, threads: Mutex::default() }
    }

    /// How many jobs can be worked on at once.
    pub(super) fn threads(&self) -> usize {
        self.most_threads
    }

    /// Puts a job into the queue. After `close`, and if the operating system gives no thread at all, it
    /// is done at once, here.
    pub(super) fn submit(&self, urgency: Urgency, job: impl FnOnce() + Send + 'static) {
        let job: Job = Box::new(job);
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            drop(queue);
            return job();
        }
        let needs_thread = queue.idle <= queue.awaited.len() + queue.background.len();
        match urgency {
            Urgency::Awaited => queue.awaited.push_back(job),
            Urgency::Background => queue.background.push_back(job),
        }
        drop(queue);
        self.shared.changed.notify_one();
        if needs_thread {
            self.start_thread();
        }
    }

    fn start_thread(&self) {
        let mut threads = lock(&self.threads);
        if threads.len() >= self.most_threads {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let name = format!("mobula-io-{}", threads.len());
        match std::thread::Builder::new().name(name).spawn(move || shared.work()) {
            Ok(thread) => threads.push(thread),
            Err(error) if threads.is_empty() => {
                log::error!("no thread for disk work can be had ({error}); it is done here");
                drop(threads);
                while let Some(job) = lock(&self.shared.queue).pop() {
                    job();
                }
            }
            Err(_others_do_it) => {}
        }
    }

    /// Does what is left and ends the threads.
    pub(super) fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        let this = std::thread::current().id();
        for thread in threads {
            // The last owner of a value may be a job, and the last one of a cluster such a value.
            if thread.thread().id() != this && thread.join().is_err() {
                log::error!("a thread for disk work ended with a panic");
            }
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(job) = queue.pop() {
                drop(queue);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    log::error!("a piece of disk work panicked");
                }
                queue = lock(&self.queue);
            } else if queue.closed {
                return;
            } else {
                queue.idle += 1;
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Job> {
        self.awaited.pop_front().or_else(|| self.background.pop_front())
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("awaited", &self.awaited.len())
            .field("background", &self.background.len())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No job runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_is_awaited_comes_first() {
        let io = Io::new(1);
        let (gate, opened) = mpsc::channel::<()>();
        let (began, begins) = mpsc::channel();
        let (sender, done) = mpsc::channel();
        io.submit(Urgency::Background, move || {
            began.send(()).expect("the test waits");
            opened.recv().expect("the test opens the gate");
        });
        begins.recv().expect("the thread runs");
        for (urgency, name) in [
            (Urgency::Background, "write"),
            (Urgency::Awaited, "read"),
            (Urgency::Awaited, "read too"),
        ] {
            let sender = sender.clone();
            io.submit(urgency, move || sender.send(name).expect("the test waits"));
        }
        gate.send(()).expect("the thread waits");
        io.close();
        assert_eq!(done.try_iter().collect::<Vec<_>>(), ["read", "read too", "write"]);
    }

    #[test]
    fn a_panic_costs_no_thread_and_closing_loses_no_job() {
        let io = Io::new(2);
        let (sender, done) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            io.submit(Urgency::Background, move || {
                sender.send(number).expect("the test waits");
                assert!(number % 10 > 0, "on purpose: some jobs panic");
            });
        }
        io.close();
        assert_eq!(done.try_iter().count(), 100);
        io.submit(Urgency::Awaited, move || sender.send(100).expect("the test waits"));
        assert_eq!(done.try_recv(), Ok(100));
    }
}
