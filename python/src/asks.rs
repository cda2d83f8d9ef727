//! What a child process asks of its parent: whether this is one, and who does the asking.
//!
//! In a child all workers, actors and stored values are its parent's. So each function that needs them begins
//! with [`parent`], and goes on with `mobula._child_session` if there is an answer.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

/// True in a process that makes calls for its parent. A fork of it does not.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Says that this process makes calls for its parent, from now on.
#[pyfunction]
pub(crate) fn become_child() {
    IS_CHILD.store(true, Ordering::Release);
}

/// True in a process that makes calls for its parent.
#[pyfunction]
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Acquire)
}

/// What asks the parent of this process, if it is a child.
pub(crate) fn parent(py: Python<'_>) -> PyResult<Option<Bound<'_, PyModule>>> {
    if is_child() { session(py).map(Some) } else { Ok(None) }
}

/// What asks the parent of this process, for handles of the parent.
pub(crate) fn session(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("mobula._child_session")
}

/// After a fork of this process: it has no line to the parent of the one it came from.
pub(crate) fn in_child() {
    IS_CHILD.store(false, Ordering::Release);
}
