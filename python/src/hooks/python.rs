//! [`PythonHooks`]: the callbacks of one run. What is called where is told by `caller` and `worker`.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use mobula::{Placement, Plan, TaskId};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::calls::{Hook, Hooks, Table};
use super::mailbox::Mailbox;
use crate::object::Held;
use crate::run::Planned;

/// The hooks of one run, in order of the registration of their callbacks.
pub(crate) struct PythonHooks {
    /// The names of the callbacks: they are timed together.
    pub(super) name: String,
    pub(super) plan: Arc<Plan>,
    /// By node index: the key as Python has it.
    pub(super) keys: Held<PyList>,
    /// The graph that runs.
    pub(super) graph: Held<PyDict>,
    /// The indices of the wanted nodes, in the order in which they were wanted.
    pub(super) wanted: Vec<usize>,
    pub(super) presubmit: Vec<Hook>,
    pub(super) postsubmit: Vec<Hook>,
    pub(super) around: Vec<Around>,
    /// True if those are called where the tasks are, in worker processes.
    pub(super) around_is_elsewhere: bool,
    pub(super) postsubmit_all: Vec<Hook>,
    pub(super) error: Vec<Hook>,
    pub(super) retry: Vec<Hook>,
    /// By task: how often it was started, counted by the workers. Empty if no callback hears of retries.
    pub(super) attempts: Vec<AtomicU32>,
    pub(super) watch: Option<Held<PyAny>>,
    pub(super) waits: bool,
    pub(super) mailbox: Mailbox,
}

/// The hooks of one callback before and after a task's call.
pub(super) struct Around {
    pub(super) start: Option<Hook>,
    pub(super) end: Option<Hook>,
}

/// The hooks of a run whose caller listens, until this is dropped.
pub(crate) struct Open(Arc<PythonHooks>);

impl Deref for Open {
    type Target = Arc<PythonHooks>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.mailbox.close();
    }
}

impl PythonHooks {
    pub(super) fn open(
        py: Python<'_>,
        hooks: &Hooks,
        planned: &Planned,
        graph: &Bound<'_, PyDict>,
        placement: Placement,
    ) -> PyResult<Open> {
        let all = |hook, of: fn(&Table) -> Option<&Py<PyAny>>| Hook::all(py, hooks, hook, of);
        let around = hooks.callbacks.iter().map(|table| Around {
            start: Hook::new(py, table, "task_start", table.task_start.as_ref()),
            end: Hook::new(py, table, "task_end", table.task_end.as_ref()),
        });
        let has_any = |around: &Around| around.start.is_some() || around.end.is_some();
        let retry = all("retry", |table| table.retry.as_ref());
        let counted = if retry.is_empty() { 0 } else { planned.plan.len() };
        let keys = PyList::new(py, planned.keys.iter().map(|key| key.bind(py)))?;
        let watched = hooks.watch.as_ref().map(|_| "Dask's own callbacks");
        let names = hooks.callbacks.iter().map(|table| table.name.as_str()).chain(watched);
        let this = Self {
            name: names.collect::<Vec<_>>().join(", "),
            plan: Arc::clone(&planned.plan),
            keys: Held::new(keys.unbind()),
            graph: Held::new(graph.clone().unbind()),
            wanted: planned.wanted.iter().map(|node| node.index()).collect(),
            presubmit: all("presubmit", |table| table.presubmit.as_ref()),
            postsubmit: all("postsubmit", |table| table.postsubmit.as_ref()),
            around: around.filter(has_any).collect(),
            around_is_elsewhere: placement != Placement::Threads,
            postsubmit_all: all("postsubmit_all", |table| table.postsubmit_all.as_ref()),
            error: all("error", |table| table.error.as_ref()),
            retry,
            attempts: (0..counted).map(|_| AtomicU32::new(0)).collect(),
            watch: hooks.watch.as_ref().map(|watch| Held::new(watch.clone_ref(py))),
            waits: hooks.waits,
            mailbox: Mailbox::new(),
        };
        this.begin(py)?;
        Ok(Open(Arc::new(this)))
    }

    /// Tells the watch in which order the tasks would run one after the other.
    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let order = PyDict::new(py);
        for task in self.plan.tasks() {
            order.set_item(self.key(py, task)?, task.index())?;
        }
        watch.get().bind(py).call_method1(intern!(py, "begin"), (order,))?;
        Ok(())
    }

    /// The key of a task, as Python has it.
    pub(super) fn key<'py>(&self, py: Python<'py>, task: TaskId) -> PyResult<Bound<'py, PyAny>> {
        self.keys.get().bind(py).get_item(self.plan.node(task).index())
    }
}
