//! How workers share the interpreter: who holds its lock, and how many may want it at once.
//!
//! A worker takes the lock around a spell of work, so a short task costs no switch. A second worker that
//! joins makes things faster if tasks give the lock back while they compute, and slower if they hold it:
//! then the two only take turns, and each turn costs. [`Interpreter`] lets others join, measures what
//! came of it, and keeps them away for a while if it was nothing.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mobula::WorkerEnvironment;
use pyo3::prelude::*;
use send_wrapper::SendWrapper;

use crate::object;

thread_local! {
    /// True while this thread is inside the interpreter for a spell of work.
    static IN_SPELL: Cell<bool> = const { Cell::new(false) };
    /// True on a thread that works for a cluster.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
    /// True while this thread is in a spell that somebody else had begun before.
    static HAS_JOINED: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread is inside the interpreter for a spell of work.
pub(crate) fn is_in_spell() -> bool {
    IN_SPELL.try_with(Cell::get).unwrap_or(false)
}

/// True on a thread that works for a cluster.
pub(crate) fn is_worker() -> bool {
    IS_WORKER.get() || IN_SPELL.get()
}

/// True on a thread that works for a run: in a task, or in a hook of one.
#[pyfunction]
pub(crate) fn is_in_task() -> bool {
    is_worker()
}

/// Sets a flag of this thread until the guard is dropped.
struct Flag(&'static std::thread::LocalKey<Cell<bool>>, bool);

impl Flag {
    fn set(flag: &'static std::thread::LocalKey<Cell<bool>>, to: bool) -> Self {
        Self(flag, flag.replace(to))
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs `body` without the interpreter's lock, which it may wait in.
pub(crate) fn released<R: Send>(py: Python<'_>, body: impl FnOnce() -> R + Send) -> R {
    let _outside = Flag::set(&IN_SPELL, false);
    py.detach(body)
}

/// Calls what stays on its thread.
fn call(body: &mut SendWrapper<&mut dyn FnMut()>) {
    (***body)();
}

/// The interpreter, for the workers of one cluster.
#[derive(Debug)]
pub(crate) struct Interpreter {
    began: Instant,
    /// How many workers are in a spell.
    inside: AtomicUsize,
    /// True while somebody waits for the lock to join.
    is_waited_for: AtomicBool,
    /// Until when nobody may join, in microseconds since `began`.
    closed_until: AtomicU64,
    /// For how long to close the next time, in microseconds.
    next_closure: AtomicU64,
}

/// Waiting this long for the lock means that it is held without a pause: the interpreter takes it away
/// from its holder after five milliseconds.
const HELD: Duration = Duration::from_millis(3);
const SHORTEST_CLOSURE: Duration = Duration::from_millis(25);
const LONGEST_CLOSURE: Duration = Duration::from_millis(400);

impl Interpreter {
    pub(crate) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the origin of this clock")]
        let began = Instant::now();
        Self {
            began,
            inside: AtomicUsize::new(0),
            is_waited_for: AtomicBool::new(false),
            closed_until: AtomicU64::new(0),
            next_closure: AtomicU64::new(micros(SHORTEST_CLOSURE)),
        }
    }

    fn is_open(&self) -> bool {
        micros(self.began.elapsed()) >= self.closed_until.load(Ordering::Relaxed)
    }

    /// Keeps others away: joining has led to nothing.
    fn close(&self) {
        let closure = self.next_closure.load(Ordering::Relaxed);
        self.closed_until.store(micros(self.began.elapsed()) + closure, Ordering::Relaxed);
        self.next_closure.store((closure * 2).min(micros(LONGEST_CLOSURE)), Ordering::Relaxed);
    }

    fn joined_after(&self, waited: Duration) {
        if waited >= HELD {
            self.close();
        } else {
            self.next_closure.store(micros(SHORTEST_CLOSURE), Ordering::Relaxed);
        }
    }

    fn spell(&self, py: Python<'_>, began: Duration, body: &mut dyn FnMut()) {
        let others = self.inside.fetch_add(1, Ordering::AcqRel);
        self.is_waited_for.store(false, Ordering::Relaxed);
        if others > 0 {
            self.joined_after(self.began.elapsed().saturating_sub(began));
        }
        let _left = Left(&self.inside);
        let _joined = Flag::set(&HAS_JOINED, others > 0);
        {
            let _inside = Flag::set(&IN_SPELL, true);
            body();
        }
        object::release_here(py);
    }
}

struct Left<'a>(&'a AtomicUsize);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Back<'a>(&'a AtomicUsize);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl WorkerEnvironment for Interpreter {
    /// Python keeps what belongs to a thread (`threading.local`) as long as somebody is attached, so the
    /// thread is attached for its whole life, without the lock.
    fn thread(&self, body: &mut dyn FnMut()) {
        let _worker = Flag::set(&IS_WORKER, true);
        // It stays on this thread.
        let mut body = SendWrapper::new(body);
        if Python::try_attach(|py| py.detach(|| call(&mut body))).is_none() {
            log::debug!("the interpreter ended before a worker began");
        }
    }

    fn work(&self, body: &mut dyn FnMut()) {
        let began = self.began.elapsed();
        if self.inside.load(Ordering::Relaxed) > 0 {
            self.is_waited_for.store(true, Ordering::Relaxed);
        }
        if Python::try_attach(|py| self.spell(py, began, body)).is_none() {
            body(); // Each task will find that the interpreter has ended.
        }
    }

    fn wait(&self, body: &mut dyn FnMut()) {
        self.inside.fetch_sub(1, Ordering::AcqRel);
        let _back = Back(&self.inside);
        if !is_in_spell() {
            return body(); // A task that waits has given the lock back itself.
        }
        let mut body = SendWrapper::new(body);
        Python::attach(|py| {
            object::release_here(py);
            released(py, || call(&mut body));
        });
    }

    fn admits(&self) -> bool {
        self.is_open() && !self.is_waited_for.load(Ordering::Relaxed)
    }

    fn goes_on(&self) -> bool {
        !HAS_JOINED.get() || self.is_open()
    }
}
