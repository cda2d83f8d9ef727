//! Remote functions: each call is a task of its own, in a run of its own, as soon as its arguments are
//! there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mobula::{
    Argument, CallError, Client, Failure, Func, Function, Graph, Input, Key, Node, Outcome,
    TaskOptions, Writer,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::actor_state::ActorState;
use crate::arguments::Arguments;
use crate::asks;
use crate::caller::Caller;
use crate::clusters;
use crate::context::Context;
use crate::errors::TaskError;
use crate::interpreter::is_worker;
use crate::object::{self, Object};
use crate::object_ref::ObjectRef;
use crate::promise::{Broken, Given, Keeper, Needs, Promise, drive};
use crate::queue::Queue;
use crate::referent::Referent;

/// The calls that were not begun yet. Those of the parent of a fork are carried out there.
static QUEUE: Queue<Call> = Queue::new();

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A call of a remote function.
struct Call {
    number: u64,
    task: Task,
    /// How often it may be tried again, and after which classes of exceptions.
    retries: u32,
    retried: Option<Object>,
    /// The results that were promised.
    keepers: Vec<Keeper>,
    client: Client,
    /// True if it came from inside of a task or an actor: those may wait for it, so it does not queue.
    is_nested: bool,
}

/// The function of the task.
struct Task {
    name: Arc<str>,
    function: Object,
    arguments: Arguments,
    /// What was made for the refs among the arguments.
    given: Vec<Given>,
    context: Context,
    /// How many results there are: the function returns one object, or so many of them.
    returns: usize,
}

/// Calls a remote function; see `mobula.remote`.
#[pyfunction]
#[pyo3(signature = (function, arguments, named, *, name, num_returns, max_retries, retried))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn submit<'py>(
    py: Python<'py>,
    function: Py<PyAny>,
    arguments: Bound<'py, PyTuple>,
    named: Option<Bound<'py, PyDict>>,
    name: &str,
    num_returns: usize,
    max_retries: u32,
    retried: Option<Py<PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(parent) = asks::parent(py)? {
        let options = PyDict::new(py);
        options.set_item("name", name)?;
        options.set_item("num_returns", num_returns)?;
        options.set_item("max_retries", max_retries)?;
        options.set_item("retried", retried)?;
        return parent.call_method1("submit", (function, arguments, named, options));
    }
    let cluster = clusters::threads(py, None)?;
    let arguments = Arguments::new(arguments, named);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let needs = Needs::Arguments(Arc::clone(arguments.refs()));
    let promise = |place: usize| {
        let name = match num_returns {
            1 => format!("{name}-{number}"),
            _ => format!("{name}-{number}[{place}]"),
        };
        Promise::new(name.into(), needs.clone())
    };
    let promises: Vec<Arc<Promise>> = (0..num_returns).map(promise).collect();
    let task = Task {
        name: name.into(),
        function: Object::new(function),
        arguments,
        given: Vec::new(),
        context: Context::current(py)?,
        returns: num_returns,
    };
    let call = Call {
        number,
        task,
        retries: max_retries,
        retried: retried.map(|classes| Object::new(classes.into_any())),
        keepers: promises.iter().map(|promise| Keeper::new(Arc::clone(promise))).collect(),
        client: cluster.client().clone(),
        is_nested: is_worker() || ActorState::current().is_some(),
    };
    call.when_ready();
    let refs = promises.into_iter().map(|promise| ObjectRef::to(Referent::Promised(promise)));
    refs.collect::<Vec<_>>().into_pyobject(py)
}

impl Call {
    /// Begins, or queues, as soon as the arguments are there.
    fn when_ready(mut self) {
        // The refs are looked at through a pointer of their own.
        let refs = Arc::clone(self.task.arguments.refs());
        Arguments::made(&refs, move |given| match given {
            Err(broken) => self.settle(&Err(broken)),
            Ok(given) => {
                self.task.given = given;
                if self.is_nested {
                    return self.begin(|| ());
                }
                let number = self.number;
                if let Some(call) = QUEUE.admit(number, self) {
                    call.begin(move || begin_next(number));
                }
            }
        });
    }

    fn settle(&self, settled: &Result<Given, Broken>) {
        for keeper in &self.keepers {
            keeper.promise().settle(settled.clone());
        }
    }

    /// Starts the run, and does `then` when it is over.
    fn begin(self, then: impl FnOnce() + Send + 'static) {
        let Self { number, task, retries, retried, keepers, client, .. } = self;
        let mut graph = Graph::new();
        let key = Key::numbered(Arc::clone(&task.name), number);
        let returns = task.returns;
        let whole = graph.insert(key.clone(), Written(Func::from_function(task), None));
        if retries > 0 {
            let options = TaskOptions::new().retries(retries).retry_if(condition(retried));
            graph.set_options(whole, options);
        }
        let mut keys = vec![key.clone()];
        if returns > 1 {
            keys = (0..returns).map(|at| Key::from(vec![key.clone(), Key::from(at)])).collect();
            for (at, key) in keys.iter().enumerate() {
                graph.insert(key.clone(), Written(Func::from_function(Item(at)), Some(whole)));
            }
        }
        let objects = match client.persist(graph, keys) {
            Ok(objects) => objects,
            Err(error) => {
                for keeper in &keepers {
                    keeper.promise().settle(Err(Broken::Failed(error.clone())));
                }
                return then();
            }
        };
        for (keeper, object) in keepers.iter().zip(&objects) {
            keeper.promise().now_needs(Needs::Run(object.clone()));
        }
        let all = async move {
            let mut made = Vec::with_capacity(objects.len());
            for object in objects {
                made.push(object.made().await.map(|()| object));
            }
            made
        };
        drive(all, move |made| {
            for (keeper, made) in keepers.iter().zip(made) {
                let given = made.map(Given::Stored);
                keeper.promise().settle(given.map_err(|error| Broken::Failed(error.into())));
            }
            then();
        });
    }
}

/// A call is over: begins those that may begin now.
fn begin_next(number: u64) {
    if let Some((next, call)) = QUEUE.is_over(number) {
        // Behind what this thread is doing, so that calls that end at once do not nest.
        crate::promise::later(Box::new(move || call.begin(move || begin_next(next))));
    }
}

/// Whether a failure is one of the exceptions after which a call is tried again.
fn condition(retried: Option<Object>) -> impl Fn(&Failure) -> bool + Send + Sync + 'static {
    move |failure| {
        let Some(classes) = &retried else { return false };
        let raised = failure.task_error().and_then(|error| error.downcast_ref::<TaskError>());
        let matches = raised.and_then(|raised| {
            Python::try_attach(|py| raised.exception(py).matches(py, classes.get()).ok())
        });
        matches.flatten().unwrap_or(false)
    }
}

/// The kind of the tasks that are written here.
struct Ready;

/// A task, and the other one that it needs.
struct Written(Func, Option<Node>);

impl Argument<Ready> for Written {
    fn write(self, to: &mut Writer<'_>) {
        if let Some(node) = self.1 {
            to.node(node);
        }
        to.call(self.0, usize::from(self.1.is_some()));
    }
}

impl Task {
    fn run<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Broken> {
        let (arguments, named) = self.arguments.filled(py, &self.given)?;
        let _caller = Caller::another();
        let function = self.function.get().bind(py);
        let arguments = arguments.iter().collect();
        let answer = self.context.call(function, arguments, named.as_ref());
        answer.and_then(|answer| results(answer, self.returns)).map_err(|e| Broken::raised(py, e))
    }
}

/// What a call has returned, as one object or as a tuple of so many.
pub(crate) fn results(answer: Bound<'_, PyAny>, returns: usize) -> PyResult<Bound<'_, PyAny>> {
    let py = answer.py();
    match returns {
        0 => Ok(py.None().into_bound(py)),
        1 => Ok(answer),
        _ => {
            let Ok(items) = answer.try_iter() else {
                let class = answer.get_type();
                let message =
                    format!("{returns} results were announced, and {class} is no sequence");
                return Err(PyTypeError::new_err(message));
            };
            let items = items.collect::<PyResult<Vec<_>>>()?;
            if items.len() != returns {
                let message = format!("{returns} results were announced, and {} came", items.len());
                return Err(PyValueError::new_err(message));
            }
            Ok(PyTuple::new(py, items)?.into_any())
        }
    }
}

fn failed(error: TaskError) -> CallError {
    CallError::Failed(Box::new(error))
}

impl Function for Task {
    fn name(&self) -> &str {
        &self.name
    }

    fn arity(&self) -> Option<usize> {
        Some(0)
    }

    fn holds_values(&self) -> bool {
        true
    }

    fn call(&self, _: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        let answer = Python::try_attach(|py| {
            object::release_here(py);
            let answer = self.run(py).map_err(|broken| failed(broken.into_task_error(py)))?;
            Ok(Outcome::Ready(Object::value(answer)))
        });
        answer.unwrap_or_else(|| Err(failed(TaskError::interpreter_ended())))
    }
}

/// The function of a task that takes one of several results.
struct Item(usize);

impl Function for Item {
    fn name(&self) -> &'static str {
        "item"
    }

    fn arity(&self) -> Option<usize> {
        Some(1)
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        let answer = Python::try_attach(|py| {
            let all = crate::referent::object_in(py, inputs[0].value());
            let item = all.and_then(|all| all.cast_into::<PyTuple>()?.get_item(self.0));
            let item = item.map_err(|error| failed(TaskError::new(py, error)))?;
            Ok(Outcome::Ready(Object::value(item)))
        });
        answer.unwrap_or_else(|| Err(failed(TaskError::interpreter_ended())))
    }
}
