//! [`ActorHandle`] and [`ActorMethod`]: an actor, as Python programs have it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::actor::CallMethod;
use crate::actors::{self, Named};
use crate::arguments::Arguments;
use crate::interpreter::{holding, released};
use crate::mailroom::Mailroom;
use crate::numbers::whole;
use crate::object::Object;
use crate::object_ref::ObjectRef;
use crate::referent::Referent;
use crate::tokens::{Token, Tokens};

/// A handle to an actor; see the stub.
#[pyclass(frozen, weakref, module = "mobula")]
pub(crate) struct ActorHandle {
    /// There until the handle is dropped.
    mailroom: Option<Arc<Mailroom>>,
    /// The user's class.
    class: Arc<Py<PyAny>>,
    /// By what a pickle names it; zero if there is none.
    token: AtomicU64,
}

/// The handles that were pickled.
static PICKLED: Tokens = Tokens::new("ActorHandle");

impl ActorHandle {
    fn new(mailroom: Arc<Mailroom>, class: Arc<Py<PyAny>>) -> Self {
        Self { mailroom: Some(mailroom), class, token: AtomicU64::new(0) }
    }

    fn mailroom(&self) -> &Arc<Mailroom> {
        self.mailroom.as_ref().expect("only `drop` takes it")
    }
}

impl Drop for ActorHandle {
    fn drop(&mut self) {
        PICKLED.forget(self.token.load(Ordering::Acquire));
        let mailroom = self.mailroom.take();
        Python::attach(|py| holding(py, || drop(mailroom)));
    }
}

/// The names of a class that its handles offer.
fn offered(class: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut names = Vec::new();
    for name in class.dir()? {
        let name = name.extract::<String>()?;
        if !name.starts_with('_') && class.getattr(&*name)?.is_callable() {
            names.push(name);
        }
    }
    Ok(names.join(", "))
}

#[pymethods]
impl ActorHandle {
    fn __getattr__(&self, name: Bound<'_, PyString>) -> PyResult<ActorMethod> {
        let class = self.class.bind(name.py());
        let text = name.to_str()?;
        let is_special = text.starts_with("__") && text.ends_with("__");
        if !is_special && class.getattr_opt(&name)?.is_some_and(|method| method.is_callable()) {
            let mailroom = Arc::clone(self.mailroom());
            return Ok(ActorMethod { mailroom, name: name.unbind(), returns: 1 });
        }
        let actor = self.mailroom().state().class();
        let offered = if is_special { String::new() } else { offered(class)? };
        Err(PyAttributeError::new_err(format!(
            "the actor {actor} has no method {text:?}; it has: {offered}"
        )))
    }

    fn __repr__(&self) -> String {
        let state = self.mailroom().state();
        let dead = if state.is_dead() { ", dead" } else { "" };
        format!("ActorHandle({}{dead})", state.class())
    }

    fn __eq__(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.mailroom(), other.mailroom())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Arc::as_ptr(self.mailroom()).hash(&mut hasher);
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
        let revive = py.import("mobula._core")?.getattr("revive_actor_handle")?;
        PyTuple::new(py, [revive, (token,).into_pyobject(py)?.into_any()])
    }
}

/// The handle that was pickled in this process.
#[pyfunction]
pub(crate) fn revive_actor_handle(py: Python<'_>, token: Token) -> PyResult<Py<PyAny>> {
    PICKLED.revive(py, token).map(Bound::unbind)
}

/// A method of an actor, to be called with `remote`; see the stub.
#[pyclass(frozen, module = "mobula")]
pub(crate) struct ActorMethod {
    mailroom: Arc<Mailroom>,
    name: Py<PyString>,
    /// How many results there are.
    returns: usize,
}

#[pymethods]
impl ActorMethod {
    /// Calls the method, behind the caller's earlier calls of the actor.
    #[pyo3(signature = (*args, **kwargs))]
    fn remote<'py>(
        &self,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let state = self.mailroom.state();
        if !self.mailroom.is_in_reach() {
            state.die("lives in the parent of this process");
        }
        let (number, promises) = state.promise(self.name.to_str(py)?, self.returns);
        let call = CallMethod {
            number,
            method: self.name.clone_ref(py),
            arguments: Arguments::new(args, kwargs),
            given: Vec::new(),
            returns: self.returns,
        };
        if !state.is_dead() {
            self.mailroom.post(call);
        }
        let mut refs =
            promises.into_iter().map(|promise| ObjectRef::to(Referent::Promised(promise)));
        match self.returns {
            0 => Ok(py.None().into_bound(py)),
            1 => {
                let only = refs.next().expect("there is one");
                Ok(Bound::new(py, only)?.into_any())
            }
            _ => Ok(refs.collect::<Vec<_>>().into_pyobject(py)?.into_any()),
        }
    }

    /// The same method with other options.
    #[pyo3(signature = (*, num_returns=None))]
    fn options(&self, py: Python<'_>, num_returns: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let returns = num_returns.map_or(Ok(1), |given| whole(given, "num_returns", 0))?;
        let (mailroom, name) = (Arc::clone(&self.mailroom), self.name.clone_ref(py));
        Ok(Self { mailroom, name, returns })
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let name = self.name.to_str(py)?;
        Err(PyTypeError::new_err(format!(
            "the method of an actor is called with `.{name}.remote(...)`, which answers an ObjectRef"
        )))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("ActorMethod({}.{})", self.mailroom.state().class(), self.name.to_str(py)?))
    }
}

/// Starts an actor; see `mobula.remote`.
#[pyfunction]
#[pyo3(signature = (class, arguments, named, *, class_name, name, get_if_exists, is_asynchronous))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn start_actor(
    py: Python<'_>,
    class: Py<PyAny>,
    arguments: Bound<'_, PyTuple>,
    named: Option<Bound<'_, PyDict>>,
    class_name: &str,
    name: Option<&str>,
    get_if_exists: bool,
    is_asynchronous: bool,
) -> PyResult<ActorHandle> {
    if let Some(name) = name.filter(|_| get_if_exists)
        && let Ok(Named { mailroom, class }) = actors::find(name)
    {
        return Ok(ActorHandle::new(mailroom, class));
    }
    let mailroom = actors::start(py, class_name, is_asynchronous)?;
    let made = Object::new(class.clone_ref(py));
    let new = Named { mailroom, class: Arc::new(class) };
    if let Some(name) = name
        && let Some(Named { mailroom, class }) = actors::name(name, &new)
    {
        if get_if_exists {
            return Ok(ActorHandle::new(mailroom, class));
        }
        let message = format!("there is an actor with the name {name:?} already");
        return Err(PyValueError::new_err(message));
    }
    new.mailroom.construct(made, Arguments::new(arguments, named));
    Ok(ActorHandle::new(new.mailroom, new.class))
}

/// The actor with a name; see `mobula.get_actor`.
#[pyfunction]
pub(crate) fn get_actor(name: &str) -> PyResult<ActorHandle> {
    let Named { mailroom, class } = actors::find(name)?;
    Ok(ActorHandle::new(mailroom, class))
}

/// Ends an actor now; see `mobula.kill`.
#[pyfunction]
pub(crate) fn kill(py: Python<'_>, actor: &ActorHandle) {
    let mailroom = Arc::clone(actor.mailroom());
    released(py, || {
        actors::forget(&mailroom);
        mailroom.kill("was killed");
    });
}
