//! [`Lent`]: what stands in a child process for a handle of its parent, which keeps the handle meanwhile.
//!
//! The parent counts how often it has lent a handle to the child, and the child counts the same for each
//! number; when nothing in the child refers to the handle any more, it gives all of that back at once. A
//! handle in an answer is lent by the answer. One that came otherwise, in a call, is nobody's debt at first:
//! the parent keeps what is in a call until that is over, and most are gone by then. Those that are not are
//! [held](take_unheld) before the child says that the call has ended.

use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pyo3::prelude::*;

use crate::fork::{PerProcess, Process};
use crate::interpreter::released;
use crate::tokens::Token;
use crate::{aside, asks};

/// A handle of the parent. Clones stand for the same one.
pub(crate) struct Lent {
    token: Token,
    process: Process,
}

/// What is known of one handle of the parent.
struct Entry {
    token: Token,
    /// How many there are here.
    here: usize,
    /// How often the parent has lent it, and counts on getting it back.
    owed: u64,
    /// True if the parent was asked to hold it.
    was_asked: bool,
}

/// The handles that this process has of its parent's.
#[derive(Default)]
struct Shelf {
    /// By number.
    entries: BTreeMap<u64, Entry>,
    /// By number: how often each is given back that nobody here needs any more.
    returned: BTreeMap<u64, u64>,
}

static SHELF: PerProcess<Shelf> = PerProcess::new();

/// How many entries nobody has lent and nobody was asked to hold. Changed under the lock of the shelf.
static UNHELD: AtomicUsize = AtomicUsize::new(0);

/// So long others are waited for that may be given back together with the first one.
const GATHERING: Duration = Duration::from_millis(5);

fn lock() -> MutexGuard<'static, Shelf> {
    // Nothing of Python's is touched under this lock.
    SHELF.lock()
}

impl Entry {
    fn is_unheld(&self) -> bool {
        self.owed == 0 && !self.was_asked
    }
}

impl Shelf {
    /// Gives a handle back; true if somebody should be told.
    fn give_back(&mut self, number: u64, times: u64) -> bool {
        let is_first = self.returned.is_empty();
        *self.returned.entry(number).or_default() += times;
        is_first
    }
}

impl Lent {
    pub(crate) fn new(token: Token) -> Self {
        let mut handles = lock();
        let entry = handles.entries.entry(token.number()).or_insert_with(|| {
            UNHELD.fetch_add(1, Ordering::Relaxed);
            Entry { token, here: 0, owed: 0, was_asked: false }
        });
        entry.here += 1;
        Self { token, process: Process::current() }
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }
}

impl Clone for Lent {
    fn clone(&self) -> Self {
        Self::new(self.token)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.process.is_current() {
            return; // What was lent to a process is not given back by a fork of it.
        }
        let number = self.token.number();
        let mut handles = lock();
        let Some(entry) = handles.entries.get_mut(&number) else { return };
        entry.here -= 1;
        if entry.here > 0 {
            return;
        }
        let (owed, is_unheld) = (entry.owed, entry.is_unheld());
        handles.entries.remove(&number);
        if is_unheld {
            UNHELD.fetch_sub(1, Ordering::Relaxed);
        }
        let is_first = owed > 0 && handles.give_back(number, owed);
        drop(handles);
        if is_first {
            aside::RETURNS.put(tell);
        }
    }
}

/// Tells the parent what is given back, unless a question has told it meanwhile.
fn tell(py: Python<'_>) {
    if !asks::is_child() {
        return;
    }
    released(py, || std::thread::park_timeout(GATHERING));
    if lock().returned.is_empty() {
        return;
    }
    let told = asks::session(py).and_then(|session| session.call_method0("give_back"));
    if let Err(error) = told {
        log::debug!("the parent does not hear what is given back: {error}");
    }
}

/// Counts handles that the parent has lent, each as often as it is named.
#[pyfunction]
pub(crate) fn count_lent(numbers: Vec<u64>) {
    let mut handles = lock();
    let mut is_first = false;
    for number in numbers {
        match handles.entries.get_mut(&number) {
            Some(entry) => {
                if entry.is_unheld() {
                    UNHELD.fetch_sub(1, Ordering::Relaxed);
                }
                entry.owed += 1;
            }
            None => is_first |= handles.give_back(number, 1),
        }
    }
    drop(handles);
    if is_first {
        aside::RETURNS.put(tell);
    }
}

/// By number: how often handles are given back. Each is answered once.
#[pyfunction]
pub(crate) fn take_returned() -> Vec<(u64, u64)> {
    std::mem::take(&mut lock().returned).into_iter().collect()
}

/// True if there is a handle of the parent's here that it may let go of at the end of a call.
pub(crate) fn is_any_unheld() -> bool {
    UNHELD.load(Ordering::Relaxed) > 0
}

/// The handles that the parent is to be asked to hold. Each is answered once.
#[pyfunction]
pub(crate) fn take_unheld() -> Vec<Token> {
    if !is_any_unheld() {
        return Vec::new();
    }
    let mut handles = lock();
    let unheld = handles.entries.values_mut().filter(|entry| entry.is_unheld());
    let tokens = unheld.map(|entry| {
        entry.was_asked = true;
        entry.token
    });
    let tokens = tokens.collect();
    UNHELD.store(0, Ordering::Relaxed);
    tokens
}
