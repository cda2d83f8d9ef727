//! From Python calls and values to bytes, and back: for worker processes.
//!
//! A call is packed as a small [program](program) that puts the arguments together, with what stands in the
//! graph (literals) pickled beside it. Functions are pickled once a run and then named by number. A value is
//! a parcel: its pickle, and the buffers of its arrays apart.

mod call;
mod parcels;
pub(crate) mod program;

use mobula::{BoxError, Key, PackError, Packing, Value};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pub(crate) use call::Definitions;
pub(crate) use parcels::{layout_of, object_from, object_of, parcel_of, parts_of, pickle};

use crate::errors::TaskError;
use crate::task::PyTask;
use crate::tokens;

/// The number under which the hooks of a run are defined.
pub(crate) const HOOKS: u32 = 0;

/// The number under which Dask's settings are defined, as they hold for a run.
pub(crate) const SETTINGS: u32 = u32::MAX;

/// Packs a call.
pub(crate) fn pack(
    py: Python<'_>,
    task: &PyTask,
    arguments: &[Value],
    packing: &mut Packing<'_>,
) -> Result<(), PackError> {
    let failed = |error| PackError::Failed(BoxError::from(TaskError::new(py, error)));
    if !task.can_go_elsewhere() {
        return Err(PackError::Here);
    }
    // That is the business of the run, whichever of its tasks comes first.
    let definitions = task.shared.definitions(py).map_err(failed)?;
    let (packed, handles) = tokens::gathering(|| {
        call::pack(py, task, definitions, packing)?;
        for argument in arguments {
            if !packing.value(argument) {
                packing.parcel(&*parcel_of(py, argument)?);
            }
        }
        Ok(())
    });
    let keeps = |()| definitions.keep(py, handles);
    packed.and_then(keeps).map_err(|error| failed(refused(py, packing, &error)))
}

/// Says which task cannot go to a worker process, and why.
fn refused(py: Python<'_>, packing: &Packing<'_>, error: &PyErr) -> PyErr {
    let exception = crate::errors::ours(
        py,
        "NotPicklableError",
        format!(
            "task {:?} cannot go to a worker process: {}; run it with workers=\"threads\", or make what it needs \
             within the task",
            packing.key(),
            error.value(py)
        ),
    );
    exception.set_cause(py, Some(error.clone_ref(py)));
    exception
}

/// Says what came from another process and cannot be made an object here, and why.
pub(crate) fn not_unpickled(py: Python<'_>, what: &str, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyException>(py) {
        // Somebody was interrupted.
        return error;
    }
    let exception = crate::errors::ours(
        py,
        "NotPicklableError",
        format!(
            "{what} came from another process, and cannot be unpickled in this one: {}: {}",
            error.get_type(py).name().map_or_else(|_| "error".to_owned(), |name| name.to_string()),
            error.value(py)
        ),
    );
    exception.set_cause(py, Some(error));
    exception
}

/// The exception of a task that could not be unpickled in a worker process, with the task's key.
pub(crate) fn unreadable(py: Python<'_>, key: &Key, raised: &[u8]) -> TaskError {
    let error = exception_of(py, raised);
    let says = format!("task {key:?}: {}", error.value(py));
    let exception = crate::errors::ours(py, "NotPicklableError", says);
    exception.set_cause(py, error.cause(py));
    TaskError::new(py, exception)
}

/// The exception that was raised in a worker process.
pub(crate) fn raised(py: Python<'_>, raised: &[u8]) -> TaskError {
    TaskError::new(py, exception_of(py, raised))
}

fn exception_of(py: Python<'_>, raised: &[u8]) -> PyErr {
    let exception = py
        .import("mobula._packing")
        .and_then(|module| module.getattr("loads_exception")?.call1((PyBytes::new(py, raised),)))
        .map(PyErr::from_value);
    exception.unwrap_or_else(|error| error)
}
