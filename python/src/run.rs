//! Runs of Dask's graphs: reads the graph, starts the run, waits for it, and gives the results back in the
//! shape of the wanted keys.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context as PollContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mobula::process::Parcel;
use mobula::{
    Callback, Canceller, Error, Node, Outputs, Placement, Plan, Request, Results, RunHandle, Value,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::clusters;
use crate::context::Context;
use crate::errors::{self, task_error_of};
use crate::hooks::{Hooks, PythonHooks};
use crate::ingest::{Ingested, Source, ingest};
use crate::interpreter::{is_worker, released};
use crate::numbers::whole;
use crate::object;
use crate::packing;
use crate::referent::object_in;
use crate::request::look_up;
use crate::task::{self, Shared};
use crate::vocabulary::Vocabulary;

/// How long a signal may go unnoticed.
const SIGNALS: Duration = Duration::from_millis(50);

/// Says how a graph is to be run.
pub(crate) struct Order<'a, 'py> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) graph: &'a Bound<'py, PyDict>,
    pub(crate) wanted: &'a Bound<'py, PyAny>,
    pub(crate) cache: Option<&'a Bound<'py, PyAny>>,
    pub(crate) retries: Option<&'a Bound<'py, PyDict>>,
    pub(crate) time_limits: Option<&'a Bound<'py, PyDict>>,
    pub(crate) pool: Option<Py<PyAny>>,
    pub(crate) keeps_calls: bool,
    pub(crate) runs_aliases: bool,
    /// The hooks around tasks that run in worker processes.
    pub(crate) hooks: Option<Py<PyList>>,
}

/// A graph that was read and ordered.
pub(crate) struct Planned {
    pub(crate) plan: Arc<Plan>,
    /// By node index: the key as Python has it.
    pub(crate) keys: Vec<Py<PyAny>>,
    /// The wanted nodes, in the order in which they are met in the wanted keys.
    pub(crate) wanted: Vec<Node>,
}

impl Order<'_, '_> {
    /// Reads and orders the graph.
    pub(crate) fn plan(self, py: Python<'_>) -> PyResult<Planned> {
        let shared = Arc::new(Shared {
            context: Context::current(py)?,
            pool: self.pool,
            reference: self.vocabulary.reference.clone_ref(py).into_any(),
            keeps_calls: self.keeps_calls,
            hooks: self.hooks,
            definitions: OnceLock::new(),
            releases: OnceLock::new(),
        });
        let source = Source {
            vocabulary: self.vocabulary,
            graph: self.graph,
            cache: self.cache,
            retries: self.retries,
            time_limits: self.time_limits,
            shared: &shared,
            runs_aliases: self.runs_aliases,
        };
        let Ingested { graph, keys, wanted } = ingest(source, self.wanted)?;
        let outputs = Outputs::List(wanted.iter().copied().map(Outputs::Node).collect());
        let plan = released(py, || Plan::new(graph, outputs));
        let plan = plan.map_err(|error| errors::exception(py, &Error::from(error)))?;
        Ok(Planned { plan: Arc::new(plan), keys, wanted })
    }
}

/// Runs what `wanted` needs of `graph`, and answers its values in the same shape, lists as tuples.
#[pyfunction]
#[pyo3(signature = (vocabulary, graph, wanted, *, workers=None, kind=None, inline=false, cache=None, pool=None, retries=None, time_limits=None, time_limit=None, keeps_calls=false, raise_exception=None, hooks=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn compute<'py>(
    py: Python<'py>,
    vocabulary: &Vocabulary,
    graph: &Bound<'py, PyDict>,
    wanted: &Bound<'py, PyAny>,
    workers: Option<&Bound<'py, PyAny>>,
    kind: Option<&Bound<'py, PyAny>>,
    inline: bool,
    cache: Option<&Bound<'py, PyAny>>,
    pool: Option<Py<PyAny>>,
    retries: Option<&Bound<'py, PyDict>>,
    time_limits: Option<&Bound<'py, PyDict>>,
    time_limit: Option<f64>,
    keeps_calls: bool,
    raise_exception: Option<&Bound<'py, PyAny>>,
    hooks: Option<&Hooks>,
) -> PyResult<Bound<'py, PyAny>> {
    let runs_aliases = hooks.is_some_and(Hooks::are_dasks);
    let workers = workers.map(|given| whole(given, "num_workers", 1)).transpose()?;
    let placement = match kind {
        Some(kind) => clusters::placement(kind)?,
        // A pool is where the tasks run.
        None if pool.is_some() => Placement::Threads,
        None => clusters::usual_placement(py),
    };
    // Where a task is called must be known to whoever calls the hooks around it.
    let has_hooks = hooks.is_some() && placement == Placement::Auto;
    let placement = if has_hooks { Placement::Threads } else { placement };
    let around = hooks.filter(|_| placement != Placement::Threads);
    let around = around.and_then(|hooks| hooks.around(py).transpose()).transpose()?;
    let order = Order {
        vocabulary,
        graph,
        wanted,
        cache,
        retries,
        time_limits,
        pool,
        keeps_calls,
        runs_aliases,
        hooks: around,
    };
    let planned = order.plan(py)?;
    let hooks = hooks.map(|hooks| hooks.of_run(py, &planned, graph, placement)).transpose()?;
    let hooks = hooks.as_deref();
    // Where the workers wait for this thread, they can do nothing else for it.
    let inline = inline
        || PythonHooks::is_calling()
        || is_worker() && hooks.is_some_and(PythonHooks::are_dasks);
    let listener = Listener { raise_exception, hooks };
    let answer = if inline {
        let cluster = clusters::inline(py)?;
        let request = cluster.client().request();
        run(py, request, &planned.plan, true, &listener)
    } else {
        let cluster = clusters::threads(py, workers)?;
        let mut request = cluster.client().request().placement(placement);
        if let Some(limit) = time_limit {
            request = request.task_time_limit(Duration::from_secs_f64(limit));
        }
        run(py, request, &planned.plan, false, &listener)
    };
    let values = answer.and_then(|results| objects(py, wanted, &results));
    drop(planned);
    object::release_elsewhere(py);
    shaped(wanted, &mut values?.into_iter())
}

/// What the caller wants to hear of a run, beside its results.
struct Listener<'a, 'py> {
    raise_exception: Option<&'a Bound<'py, PyAny>>,
    hooks: Option<&'a Arc<PythonHooks>>,
}

fn run(
    py: Python<'_>,
    request: Request,
    plan: &Arc<Plan>,
    inline: bool,
    listener: &Listener<'_, '_>,
) -> PyResult<Results> {
    let hooks = listener.hooks;
    let callbacks = hooks.map(|hooks| Arc::clone(hooks) as Arc<dyn Callback>);
    let handle = request.shared_callbacks(callbacks).run(Arc::clone(plan));
    let answer = if inline || is_worker() {
        released(py, || handle.wait())
    } else {
        wait(py, handle, hooks)?
    };
    let answer = answer.map_err(|error| (raised(py, &error, listener.raise_exception), error));
    match hooks {
        Some(hooks) => hooks.run_ended(py, answer),
        None => answer.map_err(|(raised, _)| raised),
    }
}

/// The exception to raise for an error of a run.
fn raised(py: Python<'_>, error: &Error, raise_exception: Option<&Bound<'_, PyAny>>) -> PyErr {
    let exception = errors::exception(py, error);
    let Some(task_error) = task_error_of(error) else { return exception };
    if let Some(call) = task_error.take_call() {
        // What it raises now, it raises here.
        return match task::repeat(py, call.call, call.shared, &call.inputs) {
            Ok(_) => exception,
            Err(raised) => raised,
        };
    }
    if let Some(raise_exception) = raise_exception {
        let arguments = (exception.value(py), exception.traceback(py));
        if let Err(raised) = raise_exception.call1(arguments) {
            return raised;
        }
    }
    exception
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits without the interpreter's lock, looks at signals now and then, and calls the hooks that are
/// called on this thread. If anything of that raises, the run is cancelled.
fn wait(
    py: Python<'_>,
    handle: RunHandle,
    hooks: Option<&Arc<PythonHooks>>,
) -> PyResult<Result<Results, Error>> {
    let canceller = handle.canceller();
    wait_reading(py, handle, hooks).map_err(|error| {
        canceller.cancel();
        break_off(py, &canceller).err().unwrap_or(error)
    })
}

/// Waits until the calls of a cancelled run have come to their end in worker processes, where they are
/// interrupted; another signal ends those processes.
fn break_off(py: Python<'_>, canceller: &Canceller) -> PyResult<()> {
    const LOOK: Duration = Duration::from_millis(5);
    while canceller.calls_left() > 0 {
        released(py, || std::thread::park_timeout(LOOK));
        py.check_signals().inspect_err(|_| canceller.kill())?;
    }
    Ok(())
}

/// Waits for a future without the interpreter's lock, and looks at signals now and then.
pub(crate) fn wait_for<F>(py: Python<'_>, future: F) -> PyResult<F::Output>
where
    F: Future<Output: Send> + Send,
{
    wait_reading(py, future, None)
}

fn wait_reading<F>(
    py: Python<'_>,
    future: F,
    hooks: Option<&Arc<PythonHooks>>,
) -> PyResult<F::Output>
where
    F: Future<Output: Send> + Send,
{
    let mut future = Box::pin(future);
    let is_called = || hooks.is_some_and(|hooks| hooks.has_mail());
    loop {
        if let Some(answer) = released(py, || poll_for(future.as_mut(), SIGNALS, is_called)) {
            return Ok(answer);
        }
        look_up(py)?;
        if let Some(hooks) = hooks {
            hooks.read_mail(py)?;
        }
    }
}

/// Polls a future on this thread for so long, or until there is something else to do.
fn poll_for<F: Future>(
    future: Pin<&mut F>,
    time: Duration,
    is_called: impl Fn() -> bool,
) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = PollContext::from_waker(&waker);
    let mut future = pin!(future);
    #[expect(clippy::disallowed_methods, reason = "signals are looked for at intervals")]
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if is_called() {
            return None;
        }
        let left = time.checked_sub(began.elapsed())?;
        std::thread::park_timeout(left);
    }
}

fn objects<'py>(
    py: Python<'py>,
    wanted: &Bound<'py, PyAny>,
    results: &Results,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let object = |(place, value): (usize, &Value)| {
        let Some(parcel) = value.downcast_ref::<Parcel>() else { return object_in(py, value) };
        packing::object_of(py, parcel).map_err(|error| {
            let key = key_at(wanted, &mut { place }).map(|key| key.to_string());
            let what = format!("the value of task {}", key.unwrap_or_default());
            packing::not_unpickled(py, &what, error)
        })
    };
    results.values().into_iter().enumerate().map(object).collect()
}

/// The key at a place among all that are wanted; counts the place down.
fn key_at<'py>(wanted: &Bound<'py, PyAny>, place: &mut usize) -> Option<Bound<'py, PyString>> {
    if let Ok(list) = wanted.cast::<PyList>() {
        return list.iter().find_map(|item| key_at(&item, place));
    }
    match place.checked_sub(1) {
        Some(left) => {
            *place = left;
            None
        }
        None => wanted.repr().ok(),
    }
}

/// The values in the shape of the keys: a tuple for each list.
fn shaped<'py>(
    wanted: &Bound<'py, PyAny>,
    values: &mut impl Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(list) = wanted.cast::<PyList>() {
        let items = list.iter().map(|item| shaped(&item, values)).collect::<PyResult<Vec<_>>>()?;
        return Ok(PyTuple::new(wanted.py(), items)?.into_any());
    }
    Ok(values.next().expect("there is a value for each wanted key"))
}
