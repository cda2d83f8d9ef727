//! [`Tokens`]: how handles go through pickles within one process.
//!
//! A pickle holds no value and keeps nothing alive: only the number of a handle that somebody holds. So it
//! is of use in the process that made it, as long as the handle is there.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use crate::pickle;

/// What stands for a handle in a pickle: the process, by number and by chance, and the handle's number.
#[derive(FromPyObject, IntoPyObject)]
pub(crate) struct Token(u32, u64, u64);

/// The handles of one class that were pickled and still are there.
pub(crate) struct Tokens {
    /// The class, for messages.
    class: &'static str,
    /// By number.
    live: Mutex<BTreeMap<u64, Py<PyWeakrefReference>>>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// What tells this process from others that had its number before.
fn chance() -> u64 {
    static CHANCE: OnceLock<u64> = OnceLock::new();
    *CHANCE.get_or_init(|| RandomState::new().hash_one(0))
}

impl Tokens {
    pub(crate) const fn new(class: &'static str) -> Self {
        Self { class, live: Mutex::new(BTreeMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Py<PyWeakrefReference>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.lock().insert(known, reference);
        }
        Ok(Token(std::process::id(), chance(), known))
    }

    /// The handle of a token.
    pub(crate) fn revive<'py>(
        &self,
        py: Python<'py>,
        token: &Token,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class;
        if (token.0, token.1) != (std::process::id(), chance()) {
            return Err(PyRuntimeError::new_err(format!(
                "this {class} belongs to another process: pickle the value instead of the {class}"
            )));
        }
        let found = self.lock().get(&token.2).map(|reference| reference.clone_ref(py));
        found.and_then(|reference| reference.bind(py).upgrade()).ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "the {class} of this pickle is gone: a pickle does not keep it, somebody must hold it"
            ))
        })
    }

    /// A handle is gone.
    pub(crate) fn forget(&self, number: u64) {
        if number != 0 {
            let reference = self.lock().remove(&number);
            drop(reference);
        }
    }
}
