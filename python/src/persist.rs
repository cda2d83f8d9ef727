//! Persisted values: results that stay in the store, and a handle to each that stands in graphs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mobula::{ObjectRef, Placement, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::clusters::{self, Handle};
use crate::fork::Process;
use crate::interpreter::{is_worker, released};
use crate::lent::Lent;
use crate::numbers::whole;
use crate::object::Object;
use crate::referent::object_in;
use crate::run::{Order, wait_for};
use crate::tokens::{self, Token, Tokens};
use crate::vocabulary::Vocabulary;
use crate::{asks, errors};

/// A value in the store, or one that is still being made. It is released when its last handle is gone.
#[pyclass(frozen, weakref, module = "mobula._core")]
pub(crate) struct Persisted {
    stored: Stored,
    /// By what a pickle names it; zero if there is none.
    token: AtomicU64,
}

/// What a handle holds.
#[derive(Clone)]
pub(crate) struct Stored {
    place: Place,
    /// Distinguishes the handle from all others of its process.
    number: u64,
}

#[derive(Clone)]
enum Place {
    /// In the store of this process, or of the one of which this is a fork.
    Here { object: ObjectRef, cluster: Handle, process: Process },
    /// In the store of the parent of this process, under this key.
    Parent { lent: Lent, key: String },
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The handles that were pickled.
static PICKLED: Tokens = Tokens::new("handle of a persisted value");

impl Stored {
    fn key(&self) -> String {
        match &self.place {
            Place::Here { object, .. } => format!("{:?}", object.key()),
            Place::Parent { key, .. } => key.clone(),
        }
    }

    /// The value; waits for it.
    pub(crate) fn value(&self, py: Python<'_>) -> PyResult<Value> {
        let (object, cluster) = match &self.place {
            Place::Parent { .. } => {
                let handle = Bound::new(py, Persisted::new(self.clone()))?;
                let object = asks::session(py)?.call_method1("fetch", (handle,))?;
                return Ok(Object::value(object));
            }
            Place::Here { object, cluster, process } if process.is_current() => (object, cluster),
            Place::Here { object, .. } => {
                // A child has what was there when it was forked; who makes the rest is not here.
                return object.value().ok_or_else(|| {
                    let text =
                        format!("{:?} was not there when this process was forked", object.key());
                    errors::ours(
                        py,
                        "ClusterClosedError",
                        format!("{text}: it is made in its parent"),
                    )
                });
            }
        };
        let refs = std::slice::from_ref(object);
        let values = if is_worker() {
            released(py, || cluster.client().gather_blocking(refs))
        } else {
            wait_for(py, cluster.client().gather(refs))?
        };
        // The error stays with the value.
        let raised = |error| errors::copied(py, &errors::exception(py, &error));
        let mut values = values.map_err(raised)?;
        Ok(values.pop().expect("one value was asked for"))
    }

    /// The object; waits for it.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        object_in(py, &self.value(py)?)
    }
}

impl Persisted {
    fn new(stored: Stored) -> Self {
        Self { stored, token: AtomicU64::new(0) }
    }

    fn of(object: ObjectRef, cluster: &Handle) -> Self {
        let process = Process::current();
        let place = Place::Here { object, cluster: cluster.clone(), process };
        Self::new(Stored { place, number: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    pub(crate) fn stored(&self) -> &Stored {
        &self.stored
    }
}

impl Drop for Persisted {
    fn drop(&mut self) {
        Tokens::forget(self.token.load(Ordering::Acquire));
    }
}

#[pymethods]
impl Persisted {
    /// The value; waits for it.
    fn fetch<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let stored = this.get().stored();
        match &stored.place {
            Place::Here { .. } => stored.object(this.py()),
            Place::Parent { .. } => asks::session(this.py())?.call_method1("fetch", (this,)),
        }
    }

    /// True if the value is on disk just now.
    fn is_spilled(this: &Bound<'_, Self>) -> PyResult<bool> {
        match &this.get().stored.place {
            Place::Here { object, .. } => Ok(object.is_spilled()),
            Place::Parent { .. } => {
                asks::session(this.py())?.call_method1("is_spilled", (this,))?.extract()
            }
        }
    }

    /// A child process, or its parent, gets a handle; any other process the value itself.
    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = this.py();
        let stored = this.get().stored();
        if !tokens::is_gathering() {
            let restore = py.import("mobula.dask._persist")?.getattr("Value")?;
            return (restore, (Self::fetch(this)?,)).into_pyobject(py);
        }
        let token = match &stored.place {
            Place::Here { .. } => PICKLED.token(this, &this.get().token)?,
            Place::Parent { lent, .. } => {
                tokens::gathers(lent.token().number(), this);
                lent.token()
            }
        };
        let revive = py.import("mobula._core")?.getattr("revive_persisted")?;
        (revive, (token, stored.number, stored.key())).into_pyobject(py)
    }

    fn __dask_tokenize__(&self) -> (&'static str, u32, u64) {
        let process = match &self.stored.place {
            Place::Here { .. } => std::process::id(),
            Place::Parent { lent, .. } => lent.token().process(),
        };
        ("mobula.Persisted", process, self.stored.number)
    }

    fn __repr__(&self) -> String {
        format!("<persisted value of {}>", self.stored.key())
    }
}

/// The handle that was pickled in this process; in a child of that process, one that stands for it.
#[pyfunction]
pub(crate) fn revive_persisted(
    py: Python<'_>,
    token: Token,
    number: u64,
    key: String,
) -> PyResult<Py<PyAny>> {
    if asks::is_child() && !token.is_own() {
        let place = Place::Parent { lent: Lent::new(token), key };
        let handle = Bound::new(py, Persisted::new(Stored { place, number }))?;
        return Ok(handle.into_any().unbind());
    }
    PICKLED.revive(py, token).map(Bound::unbind)
}

/// Starts to run what `wanted`, a flat list of keys, needs of `graph`, and answers a handle for each.
#[pyfunction]
#[pyo3(signature = (vocabulary, graph, wanted, *, workers=None, kind=None, cache=None, pool=None, retries=None, time_limits=None, time_limit=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn persist<'py>(
    py: Python<'py>,
    vocabulary: &Vocabulary,
    graph: &Bound<'py, PyDict>,
    wanted: &Bound<'py, PyAny>,
    workers: Option<&Bound<'py, PyAny>>,
    kind: Option<&Bound<'py, PyAny>>,
    cache: Option<&Bound<'py, PyAny>>,
    pool: Option<Py<PyAny>>,
    retries: Option<&Bound<'py, PyDict>>,
    time_limits: Option<&Bound<'py, PyDict>>,
    time_limit: Option<f64>,
) -> PyResult<Vec<Persisted>> {
    let workers = workers.map(|given| whole(given, "num_workers", 1)).transpose()?;
    let placement = match kind {
        Some(kind) => clusters::placement(kind)?,
        None if pool.is_some() => Placement::Threads,
        None => clusters::usual_placement(py),
    };
    let order = Order {
        vocabulary,
        graph,
        wanted,
        cache,
        retries,
        time_limits,
        pool,
        keeps_calls: false,
        runs_aliases: false,
        hooks: None,
    };
    let plan = order.plan(py)?.plan;
    let cluster = clusters::threads(py, workers)?;
    let mut request = cluster.client().request().placement(placement);
    if let Some(limit) = time_limit {
        request = request.task_time_limit(Duration::from_secs_f64(limit));
    }
    let refs = released(py, || request.persist_plan(plan));
    let refs = refs.map_err(|error| errors::exception(py, &error))?;
    Ok(refs.into_iter().map(|object| Persisted::of(object, &cluster)).collect())
}
