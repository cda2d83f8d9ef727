//! [`ObjectRef`]: the handle to a value, as Python programs have it.
//!
//! In a child process the same class stands for the refs of its parent, too. So what a user sees of a ref is
//! the same in both; whoever wants the value of one that is [lent](crate::lent) asks the parent.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use mobula::Value;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::fork::Process;
use crate::interpreter::holding;
use crate::lent::Lent;
use crate::object::Object;
use crate::promise::{Broken, Given, Needs, Promise, drive};
use crate::referent::{Condition, Referent, object_in};
use crate::tokens::{self, Token, Tokens};
use crate::{aside, asks};

/// A handle to a value that is there or will be; see the stub.
#[pyclass(frozen, weakref, module = "mobula")]
pub(crate) struct ObjectRef {
    /// There until the handle is dropped.
    place: Option<Place>,
    process: Process,
    /// By what a pickle names it; zero if there is none.
    token: AtomicU64,
}

/// Where the value is that a ref refers to.
pub(crate) enum Place {
    /// In this process.
    Here(Referent),
    /// In the parent of this process.
    Parent(InParent),
}

/// A ref of the parent, as far as it is known here.
pub(crate) struct InParent {
    lent: Lent,
    name: String,
    /// What the ref hashes to in the parent, by where its value lies. So refs to different values have
    /// different ones, but for a chance of one to 2^64.
    identity: u64,
}

/// The refs that were pickled.
static PICKLED: Tokens = Tokens::new("ObjectRef");

impl ObjectRef {
    /// A handle to a value of a run, or to an object in the store.
    pub(crate) fn of(object: mobula::ObjectRef) -> Self {
        Self::to(Referent::Object(object))
    }

    pub(crate) fn to(referent: Referent) -> Self {
        Self::at(Place::Here(referent))
    }

    fn at(place: Place) -> Self {
        Self { place: Some(place), process: Process::current(), token: AtomicU64::new(0) }
    }

    pub(crate) fn place(&self) -> &Place {
        self.place.as_ref().expect("only `drop` takes it")
    }

    /// What it refers to, if that is in this process.
    pub(crate) fn referent(&self) -> Option<&Referent> {
        match self.place() {
            Place::Here(referent) => Some(referent),
            Place::Parent(_) => None,
        }
    }

    fn name(&self) -> String {
        match self.place() {
            Place::Here(referent) => referent.name(),
            Place::Parent(parent) => parent.name.clone(),
        }
    }

    fn identity(&self) -> u64 {
        match self.place() {
            Place::Here(referent) => {
                let mut hasher = DefaultHasher::new();
                referent.hash(&mut hasher);
                hasher.finish()
            }
            Place::Parent(parent) => parent.identity,
        }
    }
}

/// The same value, not merely equal values.
impl PartialEq for ObjectRef {
    fn eq(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Place::Here(one), Place::Here(two)) => one == two,
            (Place::Parent(one), Place::Parent(two)) => one.identity == two.identity,
            (Place::Here(_), Place::Parent(_)) | (Place::Parent(_), Place::Here(_)) => false,
        }
    }
}

impl Eq for ObjectRef {}

impl Hash for ObjectRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl Drop for ObjectRef {
    fn drop(&mut self) {
        Tokens::forget(self.token.load(Ordering::Acquire));
        let place = self.place.take();
        if !self.process.is_current() {
            // Who would hear of it lives in the parent of this process.
            return std::mem::forget(place);
        }
        // Else there would be no Python object to be dropped.
        Python::attach(|py| holding(py, || drop(place)));
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
        self.name()
    }

    /// A `concurrent.futures.Future` of the value.
    fn future<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let Some(referent) = this.get().referent().cloned() else {
            return asks::session(py)?.call_method1("future", (this,));
        };
        let future = py.import("concurrent.futures")?.getattr("Future")?.call0()?;
        // It is being made, and nobody can cancel that.
        future.call_method0("set_running_or_notify_cancel")?;
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

    fn __await__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let wrap = this.py().import("asyncio")?.getattr("wrap_future")?;
        wrap.call1((Self::future(this)?,))?.call_method0("__await__")
    }

    fn __repr__(&self) -> String {
        let condition = match self.referent().map(Referent::condition) {
            Some(Condition::Pending) => "pending",
            Some(Condition::Ready) => "ready",
            Some(Condition::Spilled) => "ready, on disk",
            Some(Condition::Failed) => "failed",
            None => "in the parent of this process",
        };
        format!("ObjectRef({}, {condition})", self.name())
    }

    fn __eq__(&self, other: &Self) -> bool {
        self == other
    }

    fn __hash__(&self) -> u64 {
        self.identity()
    }

    fn __copy__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __deepcopy__<'py>(this: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        this
    }

    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = this.py();
        let token = match this.get().place() {
            Place::Parent(parent) => {
                tokens::gathers(parent.lent.token().number(), this);
                parent.lent.token()
            }
            Place::Here(referent) if asks::is_child() && tokens::is_gathering() => {
                // It has no number in the parent, but is no plain data either.
                tokens::gathers(0, this);
                return put_there(py, referent);
            }
            Place::Here(_) => PICKLED.token(this, &this.get().token)?,
        };
        let revive = py.import("mobula._core")?.getattr("revive_object_ref")?;
        let known = (token, this.get().name(), this.get().identity());
        PyTuple::new(py, [revive, known.into_pyobject(py)?.into_any()])
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

/// How a ref to a value of a child process becomes one of its parent: the value is put there.
fn put_there<'py>(py: Python<'py>, referent: &Referent) -> PyResult<Bound<'py, PyTuple>> {
    let object = match referent.fetch().now_or_never() {
        Some(Ok(value)) => object_in(py, &value)?,
        Some(Err(broken)) => return Err(broken.to_raise(py)),
        None => {
            let text = referent.name();
            let message = format!("{text} is still being made here: nobody else can wait for it");
            let class = py.import("pickle")?.getattr("PicklingError")?;
            return Err(PyErr::from_value(class.call1((message,))?));
        }
    };
    let put = py.import("mobula._core")?.getattr("put")?;
    PyTuple::new(py, [put, (object,).into_pyobject(py)?.into_any()])
}

/// The ref that was pickled in this process; in a child of that process, one that stands for it.
#[pyfunction]
pub(crate) fn revive_object_ref(
    py: Python<'_>,
    token: Token,
    name: String,
    identity: u64,
) -> PyResult<Py<PyAny>> {
    if asks::is_child() && !token.is_own() {
        let parent = InParent { lent: Lent::new(token), name, identity };
        let object_ref = Bound::new(py, ObjectRef::at(Place::Parent(parent)))?;
        return Ok(object_ref.into_any().unbind());
    }
    PICKLED.revive(py, token).map(Bound::unbind)
}

/// A ref to a value that is here, in a child process: what hooks are given there.
#[pyfunction]
pub(crate) fn ref_here(name: &str, object: Bound<'_, PyAny>) -> ObjectRef {
    let promise = Promise::new(name.into(), Needs::Nothing);
    promise.settle(Ok(Given::Value(Object::value(object))));
    ObjectRef::to(Referent::Promised(promise))
}

/// True if what a ref refers to is in this process, and not in its parent.
#[pyfunction]
pub(crate) fn is_here(object_ref: &Bound<'_, ObjectRef>) -> bool {
    object_ref.get().referent().is_some()
}
