//! [`Tokens`]: how handles go through pickles within one process.
//!
//! A pickle holds no value and keeps nothing alive: only the number of a handle that somebody holds. So it
//! is of use in the process that made it, as long as the handle is there; and in a child of that process,
//! which gets something that is [lent](crate::lent). Who pickles for another process [gathers](gather) the
//! handles that go into the pickle, to hold them until they have arrived.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyWeakrefMethods, PyWeakrefReference};

use crate::pickle;

/// What stands for a handle in a pickle: the process, by number and by chance, and the handle's number.
#[derive(Clone, Copy, FromPyObject, IntoPyObject)]
pub(crate) struct Token(u32, u64, u64);

impl Token {
    /// True if the handle was pickled in this process.
    pub(crate) fn is_own(self) -> bool {
        (self.0, self.1) == (std::process::id(), chance())
    }

    /// The number of the process.
    pub(crate) fn process(self) -> u32 {
        self.0
    }

    /// The number of the handle, among all handles of its process.
    pub(crate) fn number(self) -> u64 {
        self.2
    }
}

/// Handles by number, as they go into pickles.
pub(crate) type Gathered = Vec<(u64, Py<PyAny>)>;

thread_local! {
    /// What was pickled on this thread, while somebody gathers it.
    static GATHERED: RefCell<Option<Gathered>> = const { RefCell::new(None) };
}

/// True while this thread pickles for another process that has a line to this one.
pub(crate) fn is_gathering() -> bool {
    GATHERED.with_borrow(Option::is_some)
}

/// Notes that a handle goes into a pickle.
pub(crate) fn gathers(number: u64, handle: &Bound<'_, PyAny>) {
    GATHERED.with_borrow_mut(|gathered| {
        if let Some(gathered) = gathered {
            gathered.push((number, handle.clone().unbind()));
        }
    });
}

/// Does something that pickles for another process; answers the handles that went into the pickles, too.
pub(crate) fn gathering<R>(body: impl FnOnce() -> R) -> (R, Gathered) {
    let before = GATHERED.replace(Some(Vec::new()));
    let answer = body();
    let gathered = GATHERED.replace(before);
    (answer, gathered.unwrap_or_default())
}

/// Calls a function that pickles for another process; answers what it returns, and the handles that went
/// into the pickle, each with its number.
#[pyfunction]
#[pyo3(signature = (function, *arguments))]
pub(crate) fn gather<'py>(
    function: &Bound<'py, PyAny>,
    arguments: Bound<'py, PyTuple>,
) -> PyResult<(Bound<'py, PyAny>, Gathered)> {
    let (answer, gathered) = gathering(|| function.call1(arguments));
    Ok((answer?, gathered))
}

/// The handles of one class that were pickled.
pub(crate) struct Tokens {
    /// The class, for messages.
    class: &'static str,
}

/// The handles that were pickled and still are there, by number.
static LIVE: Mutex<BTreeMap<u64, Py<PyWeakrefReference>>> = Mutex::new(BTreeMap::new());

fn live() -> MutexGuard<'static, BTreeMap<u64, Py<PyWeakrefReference>>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// What tells this process from others that had its number before.
fn chance() -> u64 {
    static CHANCE: OnceLock<u64> = OnceLock::new();
    *CHANCE.get_or_init(|| RandomState::new().hash_one(0))
}

impl Tokens {
    pub(crate) const fn new(class: &'static str) -> Self {
        Self { class }
    }

    /// The token of a handle, whose own number is kept in `number`: zero for none.
    ///
    /// Refused for values on their way to disk: the handles in them would be gone when they come back.
    pub(crate) fn token(&self, handle: &Bound<'_, PyAny>, number: &AtomicU64) -> PyResult<Token> {
        if pickle::is_spilling() {
            let message = format!("a value that holds an {} stays in memory", self.class);
            let class = handle.py().import("pickle")?.getattr("PicklingError")?;
            return Err(PyErr::from_value(class.call1((message,))?));
        }
        let mut known = number.load(Ordering::Acquire);
        if known == 0 {
            let reference = PyWeakrefReference::new(handle)?.unbind();
            known = NEXT.fetch_add(1, Ordering::Relaxed);
            // The interpreter's lock is held, so nobody else is here for the same handle.
            number.store(known, Ordering::Release);
            live().insert(known, reference);
        }
        let token = Token(std::process::id(), chance(), known);
        gathers(known, handle);
        Ok(token)
    }

    /// The handle of a token.
    pub(crate) fn revive<'py>(&self, py: Python<'py>, token: Token) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class;
        if !token.is_own() {
            return Err(PyRuntimeError::new_err(format!(
                "this {class} belongs to another process: pickle the value instead of the {class}"
            )));
        }
        find_handle(py, token).ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "the {class} of this pickle is gone: a pickle does not keep it, somebody must hold it"
            ))
        })
    }

    /// A handle is gone.
    pub(crate) fn forget(number: u64) {
        if number != 0 {
            let reference = live().remove(&number);
            drop(reference);
        }
    }
}

/// The handle of a token of this process, if it is still there.
#[pyfunction]
pub(crate) fn find_handle(py: Python<'_>, token: Token) -> Option<Bound<'_, PyAny>> {
    if !token.is_own() {
        return None;
    }
    let found = live().get(&token.2).map(|reference| reference.clone_ref(py));
    found.and_then(|reference| reference.bind(py).upgrade())
}
