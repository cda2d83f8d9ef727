//! How errors become exceptions.
//!
//! The error of a task, a hook or an actor is the user's own exception, with its traceback. Everything
//! else is one of the classes of `mobula.exceptions`, with the message of the crate.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mobula::{BoxError, Cause, Error, GraphError, Value};
use pyo3::exceptions::{PyException, PyKeyError, PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::task::{Call, Shared};

/// The exception that a task, a hook or a method of an actor has raised.
#[derive(Debug)]
pub(crate) struct TaskError {
    exception: Option<PyErr>,
    /// What the exception says, as it can be read without the interpreter.
    text: String,
    /// To repeat the call where it can be looked at; taken by who does.
    call: Mutex<Option<FailedCall>>,
}

/// A call that has failed.
pub(crate) struct FailedCall {
    pub(crate) call: Call,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inputs: Vec<Value>,
}

impl fmt::Debug for FailedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedCall").finish_non_exhaustive()
    }
}

impl TaskError {
    pub(crate) fn new(py: Python<'_>, exception: PyErr) -> Self {
        let text = says(py, &exception);
        Self { exception: Some(exception), text, call: Mutex::default() }
    }

    pub(crate) fn interpreter_ended() -> Self {
        let text = "the Python interpreter has ended".to_owned();
        Self { exception: None, text, call: Mutex::default() }
    }

    pub(crate) fn with_call(self, call: Call, shared: Arc<Shared>, inputs: Vec<Value>) -> Self {
        let call = Mutex::new(Some(FailedCall { call, shared, inputs }));
        Self { call, ..self }
    }

    pub(crate) fn take_call(&self) -> Option<FailedCall> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The exception that was raised: the very object. If it goes on being kept, raise one that was
    /// [`copied`].
    pub(crate) fn exception(&self, py: Python<'_>) -> PyErr {
        match &self.exception {
            Some(exception) => exception.clone_ref(py),
            None => PyRuntimeError::new_err(self.text.clone()),
        }
    }
}

/// The type of an exception and its message, as the last line of a traceback.
fn says(py: Python<'_>, exception: &PyErr) -> String {
    let name = exception
        .get_type(py)
        .name()
        .map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    match exception.value(py).str() {
        Ok(text) if text.is_empty().unwrap_or(false) => name,
        Ok(text) => format!("{name}: {text}"),
        Err(_) => name,
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The long form has the traceback.
        let traceback =
            self.exception.as_ref().filter(|_| f.alternate()).and_then(|exception| {
                Python::try_attach(|py| traceback(py, exception).ok()).flatten()
            });
        f.write_str(traceback.as_deref().map_or(self.text.as_str(), str::trim_end))
    }
}

/// An exception with its traceback and what it came of, as Python prints it.
fn traceback(py: Python<'_>, exception: &PyErr) -> PyResult<String> {
    // With its traceback, which older versions of Python keep beside it.
    let value = exception.clone_ref(py).into_value(py);
    let lines = py.import("traceback")?.call_method1("format_exception", (value,))?;
    Ok(lines.extract::<Vec<String>>()?.concat())
}

impl std::error::Error for TaskError {}

fn as_task_error(error: &BoxError) -> Option<&TaskError> {
    error.downcast_ref::<TaskError>()
}

/// The user's exception behind an error, if there is one.
pub(crate) fn task_error_of(error: &Error) -> Option<&TaskError> {
    if let Cause::Hook { error, .. } = &error.as_failure()?.cause {
        return as_task_error(error);
    }
    error.task_error().and_then(as_task_error)
}

/// The exception for an error.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    if let Some(raised) = task_error_of(error) {
        return raised.exception(py);
    }
    if let Some(wrong) = error.as_graph_error() {
        if let GraphError::MissingKey { .. } = wrong {
            return PyKeyError::new_err(wrong.to_string());
        }
        if let GraphError::Cycle(_) = wrong {
            return PyRuntimeError::new_err(format!("Cycle detected: {wrong}")); // Dask's words, too.
        }
        return PyRuntimeError::new_err(wrong.to_string());
    }
    let class = if error.is_cancelled() {
        "RunCancelledError"
    } else if error.is_closed() {
        "ClusterClosedError"
    } else if error.is_timeout() {
        "TaskTimeoutError"
    } else if error.is_lost() {
        "ValueLostError"
    } else if error.is_worker_lost() {
        "WorkerLostError"
    } else if error.is_journal() {
        return PyOSError::new_err(error.to_string());
    } else {
        "MobulaError"
    };
    ours(py, class, error.to_string())
}

/// A copy of an exception that is kept, to be raised: what is raised holds the frames of those whom it
/// passes, and among what these hold is whatever keeps the exception.
pub(crate) fn copied(py: Python<'_>, kept: &PyErr) -> PyErr {
    let kept = kept.clone_ref(py);
    // With its traceback, which older versions of Python keep beside it.
    let value = kept.clone_ref(py).into_value(py);
    let module = py.import("mobula._failure");
    match module.and_then(|module| module.getattr("copied")?.call1((value,))) {
        Ok(copy) => PyErr::from_value(copy),
        Err(error) if error.is_instance_of::<PyException>(py) => kept,
        Err(signal) => signal,
    }
}

/// An exception of `mobula.exceptions`.
pub(crate) fn ours(py: Python<'_>, class: &str, message: String) -> PyErr {
    let class = py.import("mobula.exceptions").and_then(|module| module.getattr(class));
    match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, message),
        Err(error) => error,
    }
}

/// Adds a line to what is shown of an exception, where Python can do that (3.11 and later).
pub(crate) fn note(py: Python<'_>, exception: &PyErr, line: &str) {
    let value = exception.value(py);
    if let Ok(add_note) = value.getattr("add_note")
        && let Err(error) = add_note.call1((line,))
    {
        log::debug!("an exception takes no note: {error}");
    }
}
