//! [`Answer`], `Result` in Python: what a `presubmit` hook answers where `None` is a value.

use pyo3::prelude::*;

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

/// The value that a hook has answered with, if it has answered.
pub(super) fn answered(answer: Bound<'_, PyAny>) -> Option<Bound<'_, PyAny>> {
    if let Ok(wrapped) = answer.cast::<Answer>() {
        return Some(wrapped.get().value.bind(answer.py()).clone());
    }
    (!answer.is_none()).then_some(answer)
}
