//! [`Hooks`]: the hooks that callbacks have, as they were looked up at the start of a run; and [`Hook`],
//! one of them.

use std::sync::Arc;

use mobula::Placement;
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::python::{Open, PythonHooks};
use crate::errors;
use crate::object::Held;
use crate::run::Planned;

/// What a run has to call.
#[pyclass(frozen, module = "mobula._core")]
pub(crate) struct Hooks {
    pub(super) callbacks: Vec<Table>,
    /// Hears of all tasks on the thread that called `get`, for Dask's own callbacks.
    pub(super) watch: Option<Py<PyAny>>,
    /// True if no task may start before the watch was told.
    pub(super) waits: bool,
}

/// The hooks of one callback.
#[derive(FromPyObject)]
pub(super) struct Table {
    /// What the callback is called in messages.
    pub(super) name: String,
    pub(super) presubmit: Option<Py<PyAny>>,
    pub(super) postsubmit: Option<Py<PyAny>>,
    pub(super) task_start: Option<Py<PyAny>>,
    pub(super) task_end: Option<Py<PyAny>>,
    pub(super) postsubmit_all: Option<Py<PyAny>>,
    pub(super) error: Option<Py<PyAny>>,
    pub(super) retry: Option<Py<PyAny>>,
}

#[pymethods]
impl Hooks {
    #[new]
    #[pyo3(signature = (callbacks, *, watch=None, waits=false))]
    fn new(callbacks: Vec<Table>, watch: Option<Py<PyAny>>, waits: bool) -> Self {
        Self { callbacks, watch, waits }
    }
}

impl Hooks {
    /// True if there are hooks of Dask's own among them.
    pub(crate) fn are_dasks(&self) -> bool {
        self.watch.is_some()
    }

    /// The hooks around tasks, for worker processes: the name of each callback that has some, its `task_start`
    /// and its `task_end`.
    pub(crate) fn around(&self, py: Python<'_>) -> PyResult<Option<Py<PyList>>> {
        let has_any = |table: &&Table| table.task_start.is_some() || table.task_end.is_some();
        let of = |table: &Table| {
            let copy = |hook: &Option<Py<PyAny>>| hook.as_ref().map(|hook| hook.clone_ref(py));
            (table.name.clone(), copy(&table.task_start), copy(&table.task_end))
        };
        let around: Vec<_> = self.callbacks.iter().filter(has_any).map(of).collect();
        if around.is_empty() {
            return Ok(None);
        }
        Ok(Some(PyList::new(py, around)?.unbind()))
    }

    /// The hooks of a run that is about to start on this thread. They end with the guard.
    pub(crate) fn of_run(
        &self,
        py: Python<'_>,
        planned: &Planned,
        graph: &Bound<'_, PyDict>,
        placement: Placement,
    ) -> PyResult<Open> {
        PythonHooks::open(py, self, planned, graph, placement)
    }
}

/// One hook of one callback.
pub(super) struct Hook {
    function: Held<PyAny>,
    callback: Arc<str>,
    name: &'static str,
}

impl Hook {
    /// The same hook of all callbacks that have it, in their order.
    pub(super) fn all(
        py: Python<'_>,
        hooks: &Hooks,
        name: &'static str,
        of: impl Fn(&Table) -> Option<&Py<PyAny>>,
    ) -> Vec<Self> {
        hooks.callbacks.iter().filter_map(|table| Self::new(py, table, name, of(table))).collect()
    }

    pub(super) fn new(
        py: Python<'_>,
        table: &Table,
        name: &'static str,
        function: Option<&Py<PyAny>>,
    ) -> Option<Self> {
        let function = Held::new(function?.clone_ref(py));
        Some(Self { function, callback: table.name.as_str().into(), name })
    }

    /// Calls the hook. An exception is noted to be the hook's.
    pub(super) fn call<'py>(
        &self,
        key: Option<&Bound<'py, PyAny>>,
        py: Python<'py>,
        arguments: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let function = self.function.get().bind(py);
        function.call1(arguments).inspect_err(|raised| self.note(py, raised, key))
    }

    #[cold]
    fn note(&self, py: Python<'_>, raised: &PyErr, key: Option<&Bound<'_, PyAny>>) {
        let key = key.and_then(|key| key.repr().ok());
        let at = key.map_or_else(String::new, |key| format!(", task {key}"));
        let line = format!("raised in hook `{}` of callback {}{at}", self.name, self.callback);
        errors::note(py, raised, &line);
    }
}
