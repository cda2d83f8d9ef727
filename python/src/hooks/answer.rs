//! [`Answer`], `Result` in Python: what a `presubmit` hook answers where the value is `None` or a ref.

use pyo3::prelude::*;

use crate::object_ref::ObjectRef;
use crate::waiting;

/// See `mobula.dask.Result`.
#[pyclass(frozen, name = "Result", module = "mobula.dask")]
pub(crate) struct Answer {
    /// The value of the task.
    #[pyo3(get)]
    value: Py<PyAny>,
}

#[pymethods]
impl Answer {
    #[new]
    fn new(value: Py<PyAny>) -> Self {
        Self { value }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Result({})", self.value.bind(py).repr()?))
    }
}

/// The value that a hook means by its answer. That of a ref is waited for, as long as it is wanted.
pub(super) fn meant(
    answer: Bound<'_, PyAny>,
    is_wanted: impl Fn() -> bool + Send + Sync,
) -> PyResult<Bound<'_, PyAny>> {
    if let Ok(wrapped) = answer.cast::<Answer>() {
        return Ok(wrapped.get().value.bind(answer.py()).clone());
    }
    if answer.is_instance_of::<ObjectRef>() {
        return waiting::get_while(&answer, is_wanted);
    }
    Ok(answer)
}
