//! What a task sees of the thread that asked for it: the context variables of the caller.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The context in which the tasks of a run are called.
pub(crate) struct Context {
    /// None if the caller has set no variable.
    context: Option<Py<PyAny>>,
}

impl Context {
    /// The context of this thread, as it is now.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Self> {
        let context = py.import("contextvars")?.call_method0("copy_context")?;
        let is_empty = context.len()? == 0;
        Ok(Self { context: (!is_empty).then(|| context.unbind()) })
    }

    /// Calls a function. Each call has a copy of the context of its own, so that what one task sets no
    /// other one sees.
    pub(crate) fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        arguments: Vec<Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let Some(context) = &self.context else {
            return function.call(PyTuple::new(py, arguments)?, keywords);
        };
        let copy = context.bind(py).call_method0(intern!(py, "copy"))?;
        let all = PyTuple::new(
            py,
            std::iter::once(function.clone()).chain(arguments).collect::<Vec<_>>(),
        )?;
        copy.call_method(intern!(py, "run"), all, keywords)
    }
}
