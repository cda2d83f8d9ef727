//! [`ObjectRef`]: the handle to a value, as Python programs have it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use mobula::Value;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::aside;
use crate::fork::Process;
use crate::interpreter::holding;
use crate::promise::{Broken, drive};
use crate::referent::{Condition, Referent, object_in};
use crate::tokens::{Token, Tokens};

/// A handle to a value that is there or will be; see the stub.
#[pyclass(frozen, weakref, module = "mobula")]
pub(crate) struct ObjectRef {
    /// There until the handle is dropped.
    referent: Option<Referent>,
    process: Process,
    /// By what a pickle names it; zero if there is none.
    token: AtomicU64,
}

/// The refs that were pickled.
static PICKLED: Tokens = Tokens::new("ObjectRef");

impl ObjectRef {
    /// A handle to a value of a run, or to an object in the store.
    pub(crate) fn of(object: mobula::ObjectRef) -> Self {
        Self::to(Referent::Object(object))
    }

    pub(crate) fn to(referent: Referent) -> Self {
        let process = Process::current();
        Self { referent: Some(referent), process, token: AtomicU64::new(0) }
    }

    pub(crate) fn referent(&self) -> &Referent {
        self.referent.as_ref().expect("only `drop` takes it")
    }
}

impl Drop for ObjectRef {
    fn drop(&mut self) {
        PICKLED.forget(self.token.load(Ordering::Acquire));
        let referent = self.referent.take();
        if !self.process.is_current() {
            // Who would hear of it lives in the parent of this process.
            return std::mem::forget(referent);
        }
        // Else there would be no Python object to be dropped.
        Python::attach(|py| holding(py, || drop(referent)));
    }
}

/// Gives a `concurrent.futures.Future` its result.
fn settle(py: Python<'_>, future: &Py<PyAny>, settled: &Result<Value, Broken>) -> PyResult<()> {
    let future = future.bind(py);
    let object = match settled {
        Ok(value) => object_in(py, value),
        Err(broken) => Err(broken.to_raise(py)),
    };
    match object {
        Ok(object) => future.call_method1(intern!(py, "set_result"), (object,))?,
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error.into_value(py),))?,
    };
    Ok(())
}

#[pymethods]
impl ObjectRef {
    /// The key of the task that makes the value, or the name of the call, as text.
    #[getter]
    fn key(&self) -> String {
        self.referent().name()
    }

    /// A `concurrent.futures.Future` of the value.
    fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = py.import("concurrent.futures")?.getattr("Future")?.call0()?;
        // It is being made, and nobody can cancel that.
        future.call_method0("set_running_or_notify_cancel")?;
        let referent = self.referent().clone();
        let shared = future.clone().unbind();
        let fetched = async move { referent.fetch().await };
        drive(fetched, move |settled| {
            aside::FUTURES.put(move |py| {
                if let Err(error) = settle(py, &shared, &settled) {
                    error.write_unraisable(py, Some(shared.bind(py)));
                }
            });
        });
        Ok(future)
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let wrap = py.import("asyncio")?.getattr("wrap_future")?;
        wrap.call1((self.future(py)?,))?.call_method0("__await__")
    }

    fn __repr__(&self) -> String {
        let condition = match self.referent().condition() {
            Condition::Pending => "pending",
            Condition::Ready => "ready",
            Condition::Spilled => "ready, on disk",
            Condition::Failed => "failed",
        };
        format!("ObjectRef({}, {condition})", self.referent().name())
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.referent() == other.referent()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.referent().hash(&mut hasher);
        hasher.finish()
    }

    fn __copy__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __deepcopy__<'py>(this: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        this
    }

    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = this.py();
        let token = PICKLED.token(this.as_any(), &this.get().token)?;
        let revive = py.import("mobula._core")?.getattr("revive_object_ref")?;
        PyTuple::new(py, [revive, (token,).into_pyobject(py)?.into_any()])
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let alias = class.py().import("types")?.getattr("GenericAlias")?;
        alias.call1((class, value))
    }
}

/// The ref that was pickled in this process.
#[pyfunction]
pub(crate) fn revive_object_ref(py: Python<'_>, token: Token) -> PyResult<Py<PyAny>> {
    PICKLED.revive(py, token).map(Bound::unbind)
}
