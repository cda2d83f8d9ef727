//! [`PyTask`]: a Python call as the function of a task.
//!
//! Arguments are put together here, from the values of other tasks and from what stands in the graph,
//! and the function is called directly; Dask's own task objects are not called. So a traceback begins
//! with the user's function.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use mobula::{CallError, Function, Input, Outcome};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyTuple};

use crate::aside;
use crate::context::Context;
use crate::errors::TaskError;
use crate::interpreter::is_in_spell;
use crate::object::{self, Object};
use crate::packing::Definitions;
use crate::persist::Stored;
use crate::referent::object_in;

/// What the tasks of one run have in common.
pub(crate) struct Shared {
    pub(crate) context: Context,
    /// Runs the calls, if the caller has given one: a function of a callable and its arguments.
    pub(crate) pool: Option<Py<PyAny>>,
    /// The type of a reference to another task, as it stands among arguments.
    pub(crate) reference: Py<PyAny>,
    /// True if an error brings its call along, to be repeated where it can be looked at.
    pub(crate) keeps_calls: bool,
    /// The hooks around the tasks, for those that run in worker processes: a list of the name of each callback,
    /// its `task_start` and its `task_end`.
    pub(crate) hooks: Option<Py<PyList>>,
    /// What is known to worker processes by number; made when it is first needed.
    pub(crate) definitions: OnceLock<Definitions>,
    /// The last field, there with the definitions.
    pub(crate) releases: OnceLock<Releases>,
}

/// A call, with what is known of it before the run.
pub(crate) struct PyTask {
    pub(crate) call: Call,
    /// The key as Python has it, if hooks in a worker process want to hear it.
    pub(crate) key: Option<Py<PyAny>>,
    /// The last field: it is dropped behind the others.
    pub(crate) shared: Arc<Shared>,
}

/// What is called with what.
pub(crate) enum Call {
    /// The function, with the values of other tasks alone.
    Plain(Py<PyAny>),
    /// The function, with arguments of which some are references to other tasks.
    Flat { function: Py<PyAny>, arguments: Py<PyTuple> },
    /// The function, with arguments that must be put together, and keywords.
    Nested(Box<Nested>),
    /// The value of another task under a name of its own.
    Same,
    /// A value that was persisted.
    Fetch(Stored),
}

/// A call whose arguments are put together from parts.
pub(crate) struct Nested {
    pub(crate) function: Py<PyAny>,
    pub(crate) arguments: Vec<Part>,
    pub(crate) keywords: Vec<(Py<PyAny>, Part)>,
}

/// Something among the arguments of a call.
pub(crate) enum Part {
    /// The value of the next task among those that the call needs.
    Input,
    Literal(Py<PyAny>),
    List(Vec<Part>),
    Tuple(Vec<Part>),
    Set(Vec<Part>),
    /// Keys and values in turn.
    Dict(Vec<Part>),
    Call(Box<Nested>),
    /// An object that evaluates itself, given a dictionary of the values that it needs; the keys of
    /// which, in the order of the inputs.
    Itself(Py<PyAny>, Vec<Py<PyAny>>),
}

/// The values of the tasks that a call needs, in order.
struct Values<'a, 'i, 'py> {
    py: Python<'py>,
    left: std::slice::Iter<'a, Input<'i>>,
}

impl<'py> Values<'_, '_, 'py> {
    fn next(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let input = self.left.next().expect("a call was given what it asked for");
        object_in(self.py, input.value())
    }
}

/// A call that is ready to be made.
struct Ready<'py> {
    function: Bound<'py, PyAny>,
    arguments: Vec<Bound<'py, PyAny>>,
    keywords: Option<Bound<'py, PyDict>>,
}

impl Nested {
    /// Puts the arguments together.
    fn ready<'py>(&self, values: &mut Values<'_, '_, 'py>) -> PyResult<Ready<'py>> {
        let arguments = all(&self.arguments, values)?;
        let mut keywords = None;
        if !self.keywords.is_empty() {
            let named = PyDict::new(values.py);
            for (name, part) in &self.keywords {
                named.set_item(name, part.value(values)?)?;
            }
            keywords = Some(named);
        }
        Ok(Ready { function: self.function.bind(values.py).clone(), arguments, keywords })
    }
}

fn all<'py>(parts: &[Part], values: &mut Values<'_, '_, 'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    parts.iter().map(|part| part.value(values)).collect()
}

impl Part {
    fn value<'py>(&self, values: &mut Values<'_, '_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = values.py;
        match self {
            Self::Input => values.next(),
            Self::Literal(literal) => Ok(literal.bind(py).clone()),
            Self::List(parts) => Ok(PyList::new(py, all(parts, values)?)?.into_any()),
            Self::Tuple(parts) => Ok(PyTuple::new(py, all(parts, values)?)?.into_any()),
            Self::Set(parts) => Ok(PySet::new(py, all(parts, values)?)?.into_any()),
            Self::Dict(parts) => {
                let dict = PyDict::new(py);
                for pair in parts.chunks_exact(2) {
                    let key = pair[0].value(values)?;
                    dict.set_item(key, pair[1].value(values)?)?;
                }
                Ok(dict.into_any())
            }
            Self::Call(nested) => {
                let Ready { function, arguments, keywords } = nested.ready(values)?;
                function.call(PyTuple::new(py, arguments)?, keywords.as_ref())
            }
            Self::Itself(object, keys) => {
                let needed = PyDict::new(py);
                for key in keys {
                    needed.set_item(key, values.next()?)?;
                }
                object.bind(py).call1((needed,))
            }
        }
    }
}

impl PyTask {
    /// True if the call can be made in a worker process.
    pub(crate) fn can_go_elsewhere(&self) -> bool {
        let is_call = !matches!(self.call, Call::Same | Call::Fetch(_));
        is_call && self.shared.pool.is_none()
    }

    /// The key as Python has it, for hooks.
    pub(crate) fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let key = self.key.as_ref().map(|key| key.bind(py).clone());
        key.ok_or_else(|| PyRuntimeError::new_err("a task with hooks has its key"))
    }

    fn evaluate<'py>(&self, py: Python<'py>, inputs: &[Input<'_>]) -> PyResult<Bound<'py, PyAny>> {
        let mut values = Values { py, left: inputs.iter() };
        let ready = match &self.call {
            Call::Same => return values.next(),
            Call::Fetch(persisted) => return persisted.object(py),
            Call::Plain(function) => {
                let arguments = inputs.iter().map(|input| object_in(py, input.value()));
                let arguments = arguments.collect::<PyResult<Vec<_>>>()?;
                Ready { function: function.bind(py).clone(), arguments, keywords: None }
            }
            Call::Flat { function, arguments } => {
                let arguments = self.filled(arguments.bind(py), &mut values)?;
                Ready { function: function.bind(py).clone(), arguments, keywords: None }
            }
            Call::Nested(nested) => nested.ready(&mut values)?,
        };
        self.shared.call(ready)
    }

    /// The arguments, with the values of other tasks in place of the references to them.
    fn filled<'py>(
        &self,
        arguments: &Bound<'py, PyTuple>,
        values: &mut Values<'_, '_, 'py>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let reference = self.shared.reference.bind(values.py);
        let fill = |argument: Bound<'py, PyAny>| {
            if argument.get_type().is(reference) { values.next() } else { Ok(argument) }
        };
        arguments.iter().map(fill).collect()
    }

    /// The error of the task; with what is needed to repeat its call, if somebody wants to.
    #[cold]
    fn error(&self, py: Python<'_>, error: PyErr, inputs: &[Input<'_>]) -> TaskError {
        let error = TaskError::new(py, error);
        if !self.shared.keeps_calls {
            return error;
        }
        let inputs: Vec<_> = inputs.iter().map(|input| input.value().clone()).collect();
        self.keeping_call(py, error, &inputs)
    }

    /// The error of the task, with what is needed to repeat its call, if somebody wants to.
    #[cold]
    pub(crate) fn keeping_call(
        &self,
        py: Python<'_>,
        error: TaskError,
        inputs: &[mobula::Value],
    ) -> TaskError {
        if !self.shared.keeps_calls {
            return error;
        }
        error.with_call(self.call.clone_ref(py), Arc::clone(&self.shared), inputs.to_vec())
    }
}

/// Has released what was dropped without the interpreter's lock, when this is dropped behind it.
///
/// Who waits for worker processes does not hold the lock, and what is dropped then would stay until somebody
/// takes it next.
pub(crate) struct Releases;

impl Drop for Releases {
    fn drop(&mut self) {
        if !is_in_spell() {
            aside::RELEASES.put(object::release_elsewhere);
        }
    }
}

impl Shared {
    /// What is known to worker processes by number.
    pub(crate) fn definitions(&self, py: Python<'_>) -> PyResult<&Definitions> {
        if let Some(definitions) = self.definitions.get() {
            return Ok(definitions);
        }
        let hooks = self.hooks.as_ref().map(|hooks| hooks.bind(py));
        let definitions = Definitions::new(py, hooks)?;
        self.releases.get_or_init(|| Releases);
        Ok(self.definitions.get_or_init(|| definitions))
    }

    fn call<'py>(&self, ready: Ready<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Ready { function, arguments, keywords } = ready;
        let Some(pool) = &self.pool else {
            return self.context.call(&function, arguments, keywords.as_ref());
        };
        let py = function.py();
        let keywords = keywords.unwrap_or_else(|| PyDict::new(py));
        pool.bind(py).call1((function, PyTuple::new(py, arguments)?, keywords))
    }
}

impl Function for PyTask {
    fn name(&self) -> &'static str {
        "a Python function"
    }

    fn arity(&self) -> Option<usize> {
        None
    }

    fn holds_values(&self) -> bool {
        matches!(self.call, Call::Fetch(_))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        self.can_go_elsewhere().then_some(self)
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        let failed = |error: TaskError| CallError::Failed(Box::new(error));
        match &self.call {
            Call::Same => return Ok(Outcome::Ready(inputs[0].take())),
            // The value itself, not a copy of its account.
            Call::Fetch(persisted) => {
                let value = Python::try_attach(|py| {
                    persisted.value(py).map_err(|error| failed(TaskError::new(py, error)))
                });
                let value = value.unwrap_or_else(|| Err(failed(TaskError::interpreter_ended())));
                return value.map(Outcome::Ready);
            }
            Call::Plain(_) | Call::Flat { .. } | Call::Nested(_) => {}
        }
        let answer = Python::try_attach(|py| {
            object::release_here(py);
            match self.evaluate(py, inputs) {
                Ok(answer) => Ok(Outcome::Ready(Object::value(answer))),
                Err(error) => Err(failed(self.error(py, error, inputs))),
            }
        });
        answer.unwrap_or_else(|| Err(failed(TaskError::interpreter_ended())))
    }
}

impl Call {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Plain(function) => Self::Plain(function.clone_ref(py)),
            Self::Flat { function, arguments } => {
                Self::Flat { function: function.clone_ref(py), arguments: arguments.clone_ref(py) }
            }
            Self::Nested(nested) => Self::Nested(Box::new(nested.clone_ref(py))),
            Self::Same => Self::Same,
            Self::Fetch(persisted) => Self::Fetch(persisted.clone()),
        }
    }
}

impl Nested {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let copies = |parts: &[Part]| parts.iter().map(|part| part.clone_ref(py)).collect();
        let keywords = self.keywords.iter();
        Self {
            function: self.function.clone_ref(py),
            arguments: copies(&self.arguments),
            keywords: keywords
                .map(|(name, part)| (name.clone_ref(py), part.clone_ref(py)))
                .collect(),
        }
    }
}

impl Part {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let copies = |parts: &[Self]| parts.iter().map(|part| part.clone_ref(py)).collect();
        match self {
            Self::Input => Self::Input,
            Self::Literal(literal) => Self::Literal(literal.clone_ref(py)),
            Self::List(parts) => Self::List(copies(parts)),
            Self::Tuple(parts) => Self::Tuple(copies(parts)),
            Self::Set(parts) => Self::Set(copies(parts)),
            Self::Dict(parts) => Self::Dict(copies(parts)),
            Self::Call(nested) => Self::Call(Box::new(nested.clone_ref(py))),
            Self::Itself(object, keys) => Self::Itself(
                object.clone_ref(py),
                keys.iter().map(|key| key.clone_ref(py)).collect(),
            ),
        }
    }
}

/// Calls once more what has failed, on this thread.
pub(crate) fn repeat(
    py: Python<'_>,
    call: Call,
    shared: Arc<Shared>,
    inputs: &[mobula::Value],
) -> PyResult<Py<PyAny>> {
    let inputs: Vec<Input<'_>> = inputs.iter().map(Input::Shared).collect();
    let task = PyTask { call, shared, key: None };
    task.evaluate(py, &inputs).map(Bound::unbind)
}
