//! Persisted values: results that stay in the store, and a handle to each that stands in graphs.

use std::sync::atomic::{AtomicU64, Ordering};

use mobula::{ObjectRef, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::clusters::{self, Handle};
use crate::errors;
use crate::interpreter::{is_worker, released};
use crate::numbers::whole;
use crate::object::Object;
use crate::run::{Order, wait_for};
use crate::vocabulary::Vocabulary;

/// A value in the store, or one that is still being made. It is released when its last handle is gone.
#[pyclass(frozen, module = "mobula._core")]
#[derive(Clone)]
pub(crate) struct Persisted {
    object: ObjectRef,
    cluster: Handle,
    /// Distinguishes the handle from all others of this process.
    number: u64,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Persisted {
    fn new(object: ObjectRef, cluster: &Handle) -> Self {
        Self { object, cluster: cluster.clone(), number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The value; waits for it.
    pub(crate) fn value(&self, py: Python<'_>) -> PyResult<Value> {
        let refs = std::slice::from_ref(&self.object);
        let values = if is_worker() {
            released(py, || self.cluster.client().gather_blocking(refs))
        } else {
            wait_for(py, self.cluster.client().gather(refs))?
        };
        // The error stays with the value.
        let raised = |error| errors::copied(py, &errors::exception(py, &error));
        let mut values = values.map_err(raised)?;
        Ok(values.pop().expect("one value was asked for"))
    }

    /// The object; waits for it.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = self.value(py)?;
        let object = value.downcast_ref::<Object>().map(|object| object.get().bind(py).clone());
        object.ok_or_else(|| PyTypeError::new_err("the value is no Python object"))
    }
}

#[pymethods]
impl Persisted {
    /// The value; waits for it.
    fn fetch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.object(py)
    }

    /// True if the value is on disk just now.
    fn is_spilled(&self) -> bool {
        self.object.is_spilled()
    }

    /// Another process gets the value itself.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let restore = py.import("mobula.dask._persist")?.getattr("Value")?;
        (restore, (self.object(py)?,)).into_pyobject(py)
    }

    fn __dask_tokenize__(&self) -> (&'static str, u32, u64) {
        ("mobula.Persisted", std::process::id(), self.number)
    }

    fn __repr__(&self) -> String {
        format!("<persisted value of {:?}>", self.object.key())
    }
}

/// Starts to run what `wanted`, a flat list of keys, needs of `graph`, and answers a handle for each.
#[pyfunction]
#[pyo3(signature = (vocabulary, graph, wanted, *, workers=None, cache=None, pool=None, retries=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn persist<'py>(
    py: Python<'py>,
    vocabulary: &Vocabulary,
    graph: &Bound<'py, PyDict>,
    wanted: &Bound<'py, PyAny>,
    workers: Option<&Bound<'py, PyAny>>,
    cache: Option<&Bound<'py, PyAny>>,
    pool: Option<Py<PyAny>>,
    retries: Option<&Bound<'py, PyDict>>,
) -> PyResult<Vec<Persisted>> {
    let workers = workers.map(|given| whole(given, "num_workers", 1)).transpose()?;
    let order = Order {
        vocabulary,
        graph,
        wanted,
        cache,
        retries,
        pool,
        keeps_calls: false,
        runs_aliases: false,
    };
    let plan = order.plan(py)?.plan;
    let cluster = clusters::threads(py, workers)?;
    let refs = released(py, || cluster.client().request().persist_plan(plan));
    let refs = refs.map_err(|error| errors::exception(py, &error))?;
    Ok(refs.into_iter().map(|object| Persisted::new(object, &cluster)).collect())
}
