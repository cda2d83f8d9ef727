//! Runs of Dask's graphs: reads the graph, starts the run, waits for it, and gives the results back in the
//! shape of the wanted keys.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as PollContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mobula::{Client, Error, Outputs, Plan, Results, RunHandle};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::clusters;
use crate::context::Context;
use crate::errors::{self, task_error_of};
use crate::ingest::{Ingested, Source, ingest};
use crate::interpreter::{is_worker, released};
use crate::object::{self, Object};
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
    pub(crate) pool: Option<Py<PyAny>>,
    pub(crate) keeps_calls: bool,
}

impl Order<'_, '_> {
    /// Reads and orders the graph.
    pub(crate) fn plan(self, py: Python<'_>) -> PyResult<(Arc<Plan>, Vec<Py<PyAny>>)> {
        let shared = Arc::new(Shared {
            context: Context::current(py)?,
            pool: self.pool,
            reference: self.vocabulary.reference.clone_ref(py).into_any(),
            keeps_calls: self.keeps_calls,
        });
        let source = Source {
            vocabulary: self.vocabulary,
            graph: self.graph,
            cache: self.cache,
            retries: self.retries,
            shared: &shared,
            runs_aliases: false,
        };
        let Ingested { graph, keys, wanted } = ingest(source, self.wanted)?;
        let outputs = Outputs::List(wanted.into_iter().map(Outputs::Node).collect());
        let plan = released(py, || Plan::new(graph, outputs));
        let plan = plan.map_err(|error| errors::exception(py, &Error::from(error)))?;
        Ok((Arc::new(plan), keys))
    }
}

/// Runs what `wanted` needs of `graph`, and answers its values in the same shape, lists as tuples.
#[pyfunction]
#[pyo3(signature = (vocabulary, graph, wanted, *, workers=None, inline=false, cache=None, pool=None, retries=None, keeps_calls=false, raise_exception=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn compute<'py>(
    py: Python<'py>,
    vocabulary: &Vocabulary,
    graph: &Bound<'py, PyDict>,
    wanted: &Bound<'py, PyAny>,
    workers: Option<usize>,
    inline: bool,
    cache: Option<&Bound<'py, PyAny>>,
    pool: Option<Py<PyAny>>,
    retries: Option<&Bound<'py, PyDict>>,
    keeps_calls: bool,
    raise_exception: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let order = Order { vocabulary, graph, wanted, cache, retries, pool, keeps_calls };
    let (plan, keys) = order.plan(py)?;
    let answer = if inline {
        let cluster = clusters::inline(py)?;
        run(py, cluster.client(), &plan, true, raise_exception)
    } else {
        let cluster = clusters::threads(py, workers)?;
        run(py, cluster.client(), &plan, false, raise_exception)
    };
    let values = answer.and_then(|results| objects(py, &results));
    drop((plan, keys));
    object::release_elsewhere(py);
    shaped(wanted, &mut values?.into_iter())
}

fn run(
    py: Python<'_>,
    client: &Client,
    plan: &Arc<Plan>,
    inline: bool,
    raise_exception: Option<&Bound<'_, PyAny>>,
) -> PyResult<Results> {
    let handle = client.run(Arc::clone(plan));
    let answer =
        if inline || is_worker() { released(py, || handle.wait()) } else { wait(py, handle)? };
    answer.map_err(|error| raised(py, &error, raise_exception))
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

/// Waits without the interpreter's lock, and looks at signals now and then. If one of them raises, the
/// run is cancelled.
fn wait(py: Python<'_>, handle: RunHandle) -> PyResult<Result<Results, Error>> {
    let canceller = handle.canceller();
    wait_for(py, handle).inspect_err(|_| canceller.cancel())
}

/// Waits for a future without the interpreter's lock, and looks at signals now and then.
pub(crate) fn wait_for<F>(py: Python<'_>, future: F) -> PyResult<F::Output>
where
    F: Future<Output: Send> + Send,
{
    let mut future = Box::pin(future);
    loop {
        if let Some(answer) = released(py, || poll_for(future.as_mut(), SIGNALS)) {
            return Ok(answer);
        }
        py.check_signals()?;
    }
}

/// Polls a future on this thread for so long.
fn poll_for<F: Future>(future: std::pin::Pin<&mut F>, time: Duration) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = PollContext::from_waker(&waker);
    let mut future = pin!(future);
    #[expect(clippy::disallowed_methods, reason = "signals are looked for at intervals")]
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = time.checked_sub(began.elapsed())?;
        std::thread::park_timeout(left);
    }
}

fn objects<'py>(py: Python<'py>, results: &Results) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let object = |value: &mobula::Value| {
        let object = value.downcast_ref::<Object>().map(|object| object.get().bind(py).clone());
        object.ok_or_else(|| {
            let text = format!("a result of type {} is no Python object", value.type_name());
            pyo3::exceptions::PyTypeError::new_err(text)
        })
    };
    results.values().into_iter().map(object).collect()
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
