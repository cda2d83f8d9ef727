//! The hooks that are called on the thread that called `get`: Dask's own, and those of the whole run.

use std::cell::Cell;
use std::sync::Arc;

use mobula::{Error, Results, TaskId, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::mailbox::Letter;
use super::python::PythonHooks;
use crate::object_ref::ObjectRef;
use crate::referent::object_in;

thread_local! {
    /// True while this thread calls hooks for workers, which may be waiting for it.
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Resets what it holds when it is dropped.
struct Calling(bool);

impl Drop for Calling {
    fn drop(&mut self) {
        IS_CALLING.set(self.0);
    }
}

impl PythonHooks {
    /// True while this thread calls hooks for workers, which may be waiting for it.
    pub(crate) fn is_calling() -> bool {
        IS_CALLING.get()
    }

    /// True if there are hooks of Dask's own among them.
    pub(crate) fn are_dasks(self: &Arc<Self>) -> bool {
        self.watch.is_some()
    }

    pub(crate) fn has_mail(&self) -> bool {
        self.mailbox.has_mail()
    }

    /// Calls the hooks that are called on this thread.
    pub(crate) fn read_mail(&self, py: Python<'_>) -> PyResult<()> {
        let _before = Calling(IS_CALLING.replace(true));
        while let Some(letter) = self.mailbox.read() {
            match letter {
                Letter::Starts(task) => {
                    self.before(py, task)?;
                    self.mailbox.let_go();
                }
                Letter::Ended(task, value, thread) => self.after(py, task, &value, thread)?,
                Letter::AllSubmitted(refs) => self.all_submitted(py, &refs)?,
            }
        }
        Ok(())
    }

    /// Calls what is left to call when a run is over. The answer is the run's, unless a hook raises.
    pub(crate) fn run_ended(
        &self,
        py: Python<'_>,
        answer: Result<Results, (PyErr, Error)>,
    ) -> PyResult<Results> {
        let (raised, error) = match answer {
            Ok(results) => return self.read_mail(py).map(|()| results),
            Err(failed) => failed,
        };
        let task = error.key().and_then(|key| self.plan.task(key));
        match self.read_last_mail(py).and_then(|()| self.failed(py, task, &raised)) {
            Ok(()) => Err(raised),
            Err(hooks) => {
                hooks.value(py).setattr(intern!(py, "__context__"), raised.value(py))?;
                Err(hooks)
            }
        }
    }

    /// As `read_mail`, after a run that did not come to its end: tasks that wait will not run.
    fn read_last_mail(&self, py: Python<'_>) -> PyResult<()> {
        if !self.waits {
            return self.read_mail(py);
        }
        while let Some(letter) = self.mailbox.read() {
            match letter {
                Letter::Starts(_) => {}
                Letter::Ended(task, value, thread) => self.after(py, task, &value, thread)?,
                Letter::AllSubmitted(refs) => self.all_submitted(py, &refs)?,
            }
        }
        Ok(())
    }

    fn failed(&self, py: Python<'_>, task: Option<TaskId>, raised: &PyErr) -> PyResult<()> {
        let Some(task) = task else { return Ok(()) };
        let key = self.key(py, task)?;
        for hook in &self.error {
            hook.call(Some(&key), py, (&key, raised.value(py)))?;
        }
        Ok(())
    }

    fn all_submitted(&self, py: Python<'_>, refs: &[mobula::ObjectRef]) -> PyResult<()> {
        let place = |task: TaskId| {
            let node = self.plan.node(task).index();
            self.wanted.iter().position(|wanted| *wanted == node).unwrap_or(usize::MAX)
        };
        let mut refs: Vec<_> = self.plan.outputs().iter().zip(refs).collect();
        refs.sort_by_cached_key(|(task, _)| place(**task));
        let refs = refs.into_iter().map(|(_, object_ref)| ObjectRef::of(object_ref.clone()));
        let refs = PyList::new(py, refs.collect::<Vec<_>>())?;
        for hook in &self.postsubmit_all {
            hook.call(None, py, (&refs, self.graph.get()))?;
        }
        Ok(())
    }

    pub(super) fn before(&self, py: Python<'_>, task: TaskId) -> PyResult<()> {
        if let Some(watch) = &self.watch {
            let key = self.key(py, task)?;
            watch.get().bind(py).call_method1(intern!(py, "before"), (key,))?;
        }
        Ok(())
    }

    pub(super) fn after(
        &self,
        py: Python<'_>,
        task: TaskId,
        value: &Value,
        thread: u64,
    ) -> PyResult<()> {
        if let Some(watch) = &self.watch {
            let arguments = (self.key(py, task)?, object_in(py, value)?, thread);
            watch.get().bind(py).call_method1(intern!(py, "after"), arguments)?;
        }
        Ok(())
    }
}
