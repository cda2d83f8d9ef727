//! [`ActorHandle`] and [`ActorMethod`]: an actor, as Python programs have it.
//!
//! In a child process all actors are its parent's, and the same classes stand for those: what they are asked
//! for, the parent is asked for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::actor::CallMethod;
use crate::actors::{self, Named};
use crate::arguments::Arguments;
use crate::asks;
use crate::interpreter::{holding, released};
use crate::lent::Lent;
use crate::mailroom::Mailroom;
use crate::numbers::whole;
use crate::object::Object;
use crate::object_ref::ObjectRef;
use crate::referent::Referent;
use crate::tokens::{self, Token, Tokens};

/// A handle to an actor; see the stub.
#[pyclass(frozen, weakref, module = "mobula")]
pub(crate) struct ActorHandle {
    /// There until the handle is dropped.
    place: Option<Place>,
    /// By what a pickle names it; zero if there is none.
    token: AtomicU64,
}

/// Where the actor is.
enum Place {
    /// In this process.
    Here {
        mailroom: Arc<Mailroom>,
        /// The user's class.
        class: Arc<Py<PyAny>>,
    },
    /// In the parent of this process.
    Parent(InParent),
}

/// An actor of the parent, as far as it is known here.
struct InParent {
    lent: Lent,
    /// The name of its class.
    class: String,
    /// The names of its methods.
    methods: Vec<String>,
    /// What the handle hashes to in the parent, by where the actor lies.
    identity: u64,
}

/// The handles that were pickled.
static PICKLED: Tokens = Tokens::new("ActorHandle");

impl ActorHandle {
    fn new(mailroom: Arc<Mailroom>, class: Arc<Py<PyAny>>) -> Self {
        Self::at(Place::Here { mailroom, class })
    }

    fn at(place: Place) -> Self {
        Self { place: Some(place), token: AtomicU64::new(0) }
    }

    fn place(&self) -> &Place {
        self.place.as_ref().expect("only `drop` takes it")
    }

    /// The way to the actor, if it is in this process.
    fn mailroom(&self) -> Option<&Arc<Mailroom>> {
        match self.place() {
            Place::Here { mailroom, .. } => Some(mailroom),
            Place::Parent(_) => None,
        }
    }

    /// The name of the actor's class.
    fn class_name(&self) -> &str {
        match self.place() {
            Place::Here { mailroom, .. } => mailroom.state().class(),
            Place::Parent(parent) => &parent.class,
        }
    }

    fn has_method(&self, name: &Bound<'_, PyString>) -> PyResult<bool> {
        match self.place() {
            Place::Here { class, .. } => {
                let method = class.bind(name.py()).getattr_opt(name)?;
                Ok(method.is_some_and(|method| method.is_callable()))
            }
            Place::Parent(parent) => {
                let name = name.to_str()?;
                Ok(parent.methods.iter().any(|method| method == name))
            }
        }
    }

    /// The names of its methods, those for its own use included.
    fn methods(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        match self.place() {
            Place::Here { class, .. } => methods(class.bind(py)),
            Place::Parent(parent) => Ok(parent.methods.clone()),
        }
    }

    fn identity(&self) -> u64 {
        match self.place() {
            Place::Here { mailroom, .. } => {
                let mut hasher = DefaultHasher::new();
                Arc::as_ptr(mailroom).hash(&mut hasher);
                hasher.finish()
            }
            Place::Parent(parent) => parent.identity,
        }
    }
}

impl Drop for ActorHandle {
    fn drop(&mut self) {
        Tokens::forget(self.token.load(Ordering::Acquire));
        let place = self.place.take();
        Python::attach(|py| holding(py, || drop(place)));
    }
}

/// The names of a class that its handles offer, without those that Python calls itself.
fn methods(class: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let mut names = Vec::new();
    for name in class.dir()? {
        let name = name.extract::<String>()?;
        if !is_special(&name) && class.getattr(&*name)?.is_callable() {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_special(name: &str) -> bool {
    name.starts_with("__") && name.ends_with("__")
}

#[pymethods]
impl ActorHandle {
    fn __getattr__(this: &Bound<'_, Self>, name: Bound<'_, PyString>) -> PyResult<ActorMethod> {
        let py = this.py();
        let text = name.to_str()?;
        if !is_special(text) && this.get().has_method(&name)? {
            let handle = this.clone().unbind();
            return Ok(ActorMethod { handle, name: name.unbind(), returns: 1 });
        }
        let mut offered = Vec::new();
        if !is_special(text) {
            offered = this.get().methods(py)?;
            offered.retain(|name| !name.starts_with('_'));
        }
        Err(PyAttributeError::new_err(format!(
            "the actor {} has no method {text:?}; it has: {}",
            this.get().class_name(),
            offered.join(", ")
        )))
    }

    fn __repr__(&self) -> String {
        let is_dead = self.mailroom().is_some_and(|mailroom| mailroom.state().is_dead());
        let dead = if is_dead { ", dead" } else { "" };
        format!("ActorHandle({}{dead})", self.class_name())
    }

    fn __eq__(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Place::Here { mailroom: one, .. }, Place::Here { mailroom: two, .. }) => {
                Arc::ptr_eq(one, two)
            }
            (Place::Parent(one), Place::Parent(two)) => one.identity == two.identity,
            (Place::Here { .. }, Place::Parent(_)) | (Place::Parent(_), Place::Here { .. }) => {
                false
            }
        }
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
        let handle = this.get();
        let token = match handle.place() {
            Place::Here { .. } => PICKLED.token(this, &handle.token)?,
            Place::Parent(parent) => {
                tokens::gathers(parent.lent.token().number(), this);
                parent.lent.token()
            }
        };
        let known = (token, handle.class_name(), handle.methods(py)?, handle.identity());
        let revive = py.import("mobula._core")?.getattr("revive_actor_handle")?;
        PyTuple::new(py, [revive, known.into_pyobject(py)?.into_any()])
    }
}

/// The handle that was pickled in this process; in a child of that process, one that stands for it.
#[pyfunction]
pub(crate) fn revive_actor_handle(
    py: Python<'_>,
    token: Token,
    class: String,
    methods: Vec<String>,
    identity: u64,
) -> PyResult<Py<PyAny>> {
    if asks::is_child() && !token.is_own() {
        let parent = InParent { lent: Lent::new(token), class, methods, identity };
        let handle = Bound::new(py, ActorHandle::at(Place::Parent(parent)))?;
        return Ok(handle.into_any().unbind());
    }
    PICKLED.revive(py, token).map(Bound::unbind)
}

/// A method of an actor, to be called with `remote`; see the stub.
#[pyclass(frozen, module = "mobula")]
pub(crate) struct ActorMethod {
    handle: Py<ActorHandle>,
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
        let Some(mailroom) = self.handle.get().mailroom() else {
            let call = (&self.handle, &self.name, self.returns, args, kwargs);
            return asks::session(py)?.call_method1("call", call);
        };
        let state = mailroom.state();
        if !mailroom.is_in_reach() {
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
            mailroom.post(call);
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
        let (handle, name) = (self.handle.clone_ref(py), self.name.clone_ref(py));
        Ok(Self { handle, name, returns })
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
        Ok(format!("ActorMethod({}.{})", self.handle.get().class_name(), self.name.to_str(py)?))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let revive = py.import("mobula._core")?.getattr("revive_actor_method")?;
        (revive, (&self.handle, &self.name, self.returns)).into_pyobject(py)
    }
}

/// The method that was pickled.
#[pyfunction]
pub(crate) fn revive_actor_method(
    handle: Py<ActorHandle>,
    name: Py<PyString>,
    returns: usize,
) -> ActorMethod {
    ActorMethod { handle, name, returns }
}

/// Starts an actor; see `mobula.remote`.
#[pyfunction]
#[pyo3(signature = (class, arguments, named, *, class_name, name, get_if_exists, is_asynchronous))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn start_actor<'py>(
    py: Python<'py>,
    class: Py<PyAny>,
    arguments: Bound<'py, PyTuple>,
    named: Option<Bound<'py, PyDict>>,
    class_name: &str,
    name: Option<&str>,
    get_if_exists: bool,
    is_asynchronous: bool,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(parent) = asks::parent(py)? {
        let options = PyDict::new(py);
        options.set_item("class_name", class_name)?;
        options.set_item("name", name)?;
        options.set_item("get_if_exists", get_if_exists)?;
        options.set_item("is_asynchronous", is_asynchronous)?;
        return parent.call_method1("start_actor", (class, arguments, named, options));
    }
    let handle = |Named { mailroom, class }| {
        Ok(Bound::new(py, ActorHandle::new(mailroom, class))?.into_any())
    };
    if let Some(name) = name.filter(|_| get_if_exists)
        && let Ok(named) = actors::find(name)
    {
        return handle(named);
    }
    let mailroom = actors::start(py, class_name, is_asynchronous)?;
    let made = Object::new(class.clone_ref(py));
    let new = Named { mailroom, class: Arc::new(class) };
    if let Some(name) = name
        && let Some(named) = actors::name(name, &new)
    {
        if get_if_exists {
            return handle(named);
        }
        let message = format!("there is an actor with the name {name:?} already");
        return Err(PyValueError::new_err(message));
    }
    new.mailroom.construct(made, Arguments::new(arguments, named));
    handle(new)
}

/// The actor with a name; see `mobula.get_actor`.
#[pyfunction]
pub(crate) fn get_actor<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    if let Some(parent) = asks::parent(py)? {
        return parent.call_method1("get_actor", (name,));
    }
    let Named { mailroom, class } = actors::find(name)?;
    Ok(Bound::new(py, ActorHandle::new(mailroom, class))?.into_any())
}

/// Ends an actor now; see `mobula.kill`.
#[pyfunction]
pub(crate) fn kill(actor: &Bound<'_, ActorHandle>) -> PyResult<()> {
    let py = actor.py();
    let Some(mailroom) = actor.get().mailroom() else {
        return asks::session(py)?.call_method1("kill", (actor,)).map(drop);
    };
    let mailroom = Arc::clone(mailroom);
    released(py, || {
        actors::forget(&mailroom);
        mailroom.kill("was killed");
    });
    Ok(())
}
