//! What a call, or another thread of this process, asks the parent.

use bytes::Bytes;
use mobula::process::{Desk, Unanswered};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::fork::PerProcess;

/// What this process asks its parent with, if it is a child. A fork of it has no line to that parent.
static DESK: PerProcess<Option<Desk>> = PerProcess::new();

pub(super) fn desk() -> Option<Desk> {
    DESK.lock().clone()
}

/// This process has a parent from now on.
pub(super) fn sits_at(desk: Desk) {
    *DESK.lock() = Some(desk);
}

/// Asks the parent of this process something, and waits for the answer; other calls are made meanwhile.
#[pyfunction]
pub(crate) fn ask<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let Some(desk) = desk() else {
        return Err(PyRuntimeError::new_err("this is no worker process: there is nobody to ask"));
    };
    let payload = Bytes::copy_from_slice(payload);
    loop {
        let answer = {
            let (desk, payload) = (desk.clone(), payload.clone());
            // What waits on the main thread gives the lock back by itself, around the waiting alone.
            if is_main(py)? { desk.ask(payload) } else { py.detach(|| desk.ask_aside(payload)) }
        };
        match answer {
            Ok(answer) => return Ok(PyBytes::new(py, &answer)),
            Err(Unanswered::NotAsked) => py.check_signals()?,
            Err(Unanswered::Interrupted) => {
                py.check_signals()?;
                return Err(PyKeyboardInterrupt::new_err("the run was cancelled"));
            }
            Err(error) => return Err(PyRuntimeError::new_err(error.to_string())),
        }
    }
}

fn is_main(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    Ok(main.is(&threading.call_method0(intern!(py, "current_thread"))?))
}

/// Says, in a child, in which call the main thread is.
#[pyclass(frozen, module = "mobula._core")]
pub(crate) struct WorkingCall;

#[pymethods]
impl WorkingCall {
    #[expect(clippy::unused_self, reason = "Python calls it so")]
    fn __call__(&self) -> Option<u64> {
        desk().and_then(|desk| desk.current_call())
    }
}
