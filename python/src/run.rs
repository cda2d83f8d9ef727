//! Runs of Dask's graphs: reads the graph, starts the run, waits for it, and gives the results back in the
//! shape of the wanted keys.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as PollContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mobula::{Callback, Client, Error, Outputs, Plan, Results, RunHandle};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::clusters;
use crate::context::Context;
use crate::errors::{self, task_error_of};
use crate::hooks::{Hooks, PythonHooks};
use crate::ingest::{Ingested, Source, ingest};
use crate::interpreter::{is_worker, released};
use crate::object;
use crate::task::{self, Shared};
use crate::vocabulary::Vocabulary;

/// How long a signal may go unnoticed.
const SIGNALS: Duration = Duration::from_millis(50);

/// Runs what `wanted` needs of `graph`, and answers its values in the same shape, lists as tuples.
#[pyfunction]
#[pyo3(signature = (vocabulary, graph, wanted, *, workers=None, inline=false, cache=None, pool=None, retries=None, keeps_calls=false, hooks=None))]
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
    hooks: Option<&Hooks>,
) -> PyResult<Bound<'py, PyAny>> {
    let shared = Arc::new(Shared {
        context: Context::current(py)?,
        pool,
        reference: vocabulary.reference.clone_ref(py).into_any(),
        keeps_calls,
    });
    let dsk = graph;
    let source = Source {
        vocabulary,
        graph,
        cache,
        retries,
        shared: &shared,
        runs_aliases: hooks.is_some_and(Hooks::are_dasks),
    };
    let ingested = ingest(source, wanted)?;
    let Ingested { graph, keys, wanted: nodes } = ingested;
    let wanted_nodes = hooks.map(|_| nodes.clone());
    let outputs = Outputs::List(nodes.into_iter().map(Outputs::Node).collect());
    let plan = released(py, || Plan::new(graph, outputs))
        .map_err(|error| errors::exception(py, &Error::from(error)))?;
    let plan = Arc::new(plan);
    let hooks = match hooks.zip(wanted_nodes) {
        Some((hooks, nodes)) => Some(hooks.of_run(py, &plan, &keys, dsk, &nodes)?),
        None => None,
    };
    let hooks = hooks.as_deref();
    // Where the workers wait for this thread, they can do nothing else for it.
    let inline = inline
        || PythonHooks::is_calling()
        || is_worker() && hooks.is_some_and(PythonHooks::are_dasks);
    let answer = if inline {
        let cluster = clusters::inline(py)?;
        run(py, cluster.client(), &plan, true, hooks)
    } else {
        let cluster = clusters::threads(py, workers)?;
        run(py, cluster.client(), &plan, false, hooks)
    };
    let values = match answer {
        Ok(results) => {
            let values = objects(py, &results);
            drop(results);
            values
        }
        Err(error) => Err(error),
    };
    drop(plan);
    drop(keys);
    object::release_elsewhere(py);
    shaped(wanted, &mut values?.into_iter())
}

fn run(
    py: Python<'_>,
    client: &Client,
    plan: &Arc<Plan>,
    inline: bool,
    hooks: Option<&Arc<PythonHooks>>,
) -> PyResult<Results> {
    let callbacks = hooks.map(|hooks| Arc::clone(hooks) as Arc<dyn Callback>);
    let handle = client.run_with(Arc::clone(plan), callbacks.into_iter().collect());
    let answer = if inline || is_worker() {
        released(py, || handle.wait())
    } else {
        wait(py, handle, hooks)?
    };
    let answer = answer.map_err(|error| {
        let raised = raised(py, &error);
        (raised, error)
    });
    match hooks {
        Some(hooks) => hooks.run_ended(py, answer),
        None => answer.map_err(|(raised, _)| raised),
    }
}

/// The exception for an error of a run.
fn raised(py: Python<'_>, error: &Error) -> PyErr {
    if let Some(call) = task_error_of(error).and_then(errors::TaskError::take_call) {
        // What it raises now, it raises here.
        return match task::repeat(py, call.call, call.shared, &call.inputs) {
            Ok(_) => errors::exception(py, error),
            Err(raised) => raised,
        };
    }
    errors::exception(py, error)
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
    let mut handle = Box::pin(handle);
    let is_called = || hooks.is_some_and(|hooks| hooks.has_mail());
    loop {
        if let Some(answer) = released(py, || poll_for(handle.as_mut(), SIGNALS, is_called)) {
            return Ok(answer);
        }
        py.check_signals()
            .and_then(|()| hooks.map_or(Ok(()), |hooks| hooks.read_mail(py)))
            .inspect_err(|_| handle.cancel())?;
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

fn objects<'py>(py: Python<'py>, results: &Results) -> PyResult<Vec<Bound<'py, PyAny>>> {
    results.values().into_iter().map(|value| object::of(py, value)).collect()
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
