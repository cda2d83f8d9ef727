//! The hooks that are called in the workers: [`PythonHooks`] as a callback of the crate.
//!
//! A worker may be the thread that called `get`, which then calls itself what others write to it.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use mobula::{
    BoxError, Callback, HookResult, Key, ObjectRefs, Plan, PreState, TaskId, TaskView, Value,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use smallvec::SmallVec;

use super::answer::meant;
use super::mailbox::Letter;
use super::python::{Around, PythonHooks};
use crate::errors::TaskError;
use crate::interpreter::released;
use crate::object::Object;
use crate::object_ref::ObjectRef;
use crate::referent::object_in;

thread_local! {
    /// `threading.get_ident()` of this thread.
    static IDENT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What is known of a task between its `task_start` and its `task_end` hooks.
struct Started {
    task: TaskId,
    /// By callback: what `task_start` has answered. Empty if no callback has that hook.
    states: SmallVec<[Option<Object>; 1]>,
}

impl PythonHooks {
    fn is_caller(&self) -> bool {
        std::thread::current().id() == self.mailbox.reader()
    }

    /// Tells the watch of a task that is about to run, and waits until it knows, if somebody wants that.
    fn starts(&self, task: TaskId) -> HookResult {
        if self.is_caller() {
            return attached(|py| {
                self.read_mail(py)?;
                self.before(py, task)
            });
        }
        let number = self.mailbox.write(Letter::Starts(task));
        if self.waits {
            attached(|py| {
                released(py, || self.mailbox.wait(number));
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Tells the watch of a task that has ended.
    fn ended(&self, task: TaskId, value: &Value) -> HookResult {
        let thread = match IDENT.get() {
            Some(thread) => thread,
            None => attached(|py| {
                let ident = py.import(intern!(py, "threading"))?.call_method0("get_ident")?;
                let ident = ident.extract()?;
                IDENT.set(Some(ident));
                Ok(ident)
            })?,
        };
        if self.is_caller() {
            return attached(|py| self.after(py, task, value, thread));
        }
        self.mailbox.write(Letter::Ended(task, value.clone(), thread));
        Ok(())
    }

    /// On the thread that called `get`, calls what nobody else can call while it works itself.
    fn read_own_mail(&self) -> HookResult {
        if self.mailbox.has_mail() && self.is_caller() {
            return attached(|py| self.read_mail(py));
        }
        Ok(())
    }

    /// By key: the refs of the inputs.
    fn dependencies<'py>(
        &self,
        py: Python<'py>,
        inputs: &ObjectRefs<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dependencies = PyDict::new(py);
        for (task, object_ref) in inputs.by_task() {
            dependencies.set_item(self.key(py, task)?, ObjectRef::of(object_ref))?;
        }
        Ok(dependencies)
    }

    /// What stands in the graph under a key.
    fn task<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.graph.get().bind(key.py()).get_item(key)
    }

    /// True if the hooks around a task are called where it is, in a worker process.
    fn is_around_elsewhere(&self, task: TaskId) -> bool {
        self.around_is_elsewhere && self.plan.func(task).as_any().is_some()
    }

    /// The first answer of a callback, all of which are asked.
    fn answer(
        &self,
        py: Python<'_>,
        task: TaskId,
        inputs: &ObjectRefs<'_>,
    ) -> PyResult<Option<Value>> {
        let key = self.key(py, task)?;
        let (task, dependencies) = (self.task(&key)?, self.dependencies(py, inputs)?);
        let mut first = None;
        for hook in &self.presubmit {
            let answer = hook.call(Some(&key), py, (&task, &key, &dependencies))?;
            first = first.or((!answer.is_none()).then_some(answer));
        }
        let Some(first) = first else { return Ok(None) };
        match meant(first, || !self.mailbox.is_over()) {
            Err(_) if self.mailbox.is_over() => Ok(None),
            value => Ok(Some(Object::value(value?))),
        }
    }

    /// Counts the start of a task, and tells of it if it is not the first one.
    fn tell_retry(&self, task: TaskId) -> HookResult {
        let Some(attempts) = self.attempts.get(task.index()) else { return Ok(()) };
        // Whoever hands the task on from one worker to another sees to the order.
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if attempt == 1 {
            return Ok(());
        }
        attached(|py| {
            let key = self.key(py, task)?;
            for hook in &self.retry {
                hook.call(Some(&key), py, (&key, attempt))?;
            }
            Ok(())
        })
    }

    fn states(
        &self,
        py: Python<'_>,
        task: TaskId,
        inputs: &ObjectRefs<'_>,
    ) -> PyResult<SmallVec<[Option<Object>; 1]>> {
        let key = self.key(py, task)?;
        let refs = inputs.by_task().map(|(_, object_ref)| ObjectRef::of(object_ref));
        let refs = PyList::new(py, refs.collect::<SmallVec<[_; 8]>>())?;
        let start = |around: &Around| {
            let Some(start) = &around.start else { return Ok(None) };
            let state = start.call(Some(&key), py, (&key, &refs))?;
            Ok((!state.is_none()).then(|| Object::new(state.unbind())))
        };
        self.around.iter().map(start).collect()
    }

    fn ends(&self, py: Python<'_>, started: &Started, value: &Value) -> PyResult<()> {
        let (key, value) = (self.key(py, started.task)?, object_in(py, value)?);
        for (place, around) in self.around.iter().enumerate() {
            if let Some(end) = &around.end {
                let state = started.states.get(place).and_then(Option::as_ref);
                end.call(Some(&key), py, (&key, &value, state.map(Object::get)))?;
            }
        }
        Ok(())
    }
}

/// Calls something of Python in a hook.
fn attached<R>(body: impl FnOnce(Python<'_>) -> PyResult<R>) -> Result<R, BoxError> {
    let failed = |error| BoxError::from(error);
    let answer =
        Python::try_attach(|py| body(py).map_err(|error| failed(TaskError::new(py, error))));
    answer.unwrap_or_else(|| Err(failed(TaskError::interpreter_ended())))
}

impl Callback for PythonHooks {
    fn name(&self) -> &str {
        &self.name
    }

    fn presubmit(
        &self,
        task: &TaskView<'_>,
        _: &Key,
        inputs: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        if self.mailbox.is_over() {
            return Ok(None);
        }
        if self.watch.is_some() {
            self.starts(task.id())?;
        }
        if self.presubmit.is_empty() {
            return Ok(None);
        }
        let answer = attached(|py| self.answer(py, task.id(), inputs))?;
        if let Some(value) = &answer
            && self.watch.is_some()
        {
            self.ended(task.id(), value)?;
        }
        Ok(answer)
    }

    fn postsubmit(
        &self,
        task: &TaskView<'_>,
        _: &Key,
        inputs: &ObjectRefs<'_>,
        object_ref: &mobula::ObjectRef,
    ) -> HookResult {
        if self.postsubmit.is_empty() || self.mailbox.is_over() {
            return Ok(());
        }
        attached(|py| {
            let key = self.key(py, task.id())?;
            let (task, dependencies) = (self.task(&key)?, self.dependencies(py, inputs)?);
            let object_ref = Bound::new(py, ObjectRef::of(object_ref.clone()))?;
            for hook in &self.postsubmit {
                hook.call(Some(&key), py, (&task, &key, &dependencies, &object_ref))?;
            }
            Ok(())
        })
    }

    fn pretask(&self, _: &Key, inputs: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        self.read_own_mail()?;
        if self.mailbox.is_over() {
            return Ok(None);
        }
        let task = inputs.task().id();
        self.tell_retry(task)?;
        if self.around.is_empty() && self.watch.is_none() {
            return Ok(None);
        }
        let is_here = !self.is_around_elsewhere(task);
        let states = if is_here && self.around.iter().any(|around| around.start.is_some()) {
            attached(|py| self.states(py, task, inputs))?
        } else {
            SmallVec::new()
        };
        Ok(Some(Box::new(Started { task, states })))
    }

    fn posttask(&self, _: &Key, result: &Value, pre_state: PreState) -> HookResult {
        let started = pre_state.and_then(|state| state.downcast::<Started>().ok());
        let Some(started) = started.filter(|_| !self.mailbox.is_over()) else { return Ok(()) };
        let is_here = !self.is_around_elsewhere(started.task);
        if is_here && self.around.iter().any(|around| around.end.is_some()) {
            attached(|py| self.ends(py, &started, result))?;
        }
        if self.watch.is_some() {
            self.ended(started.task, result)?;
        }
        Ok(())
    }

    fn postsubmit_all(&self, refs: &[mobula::ObjectRef], _: &Plan) -> HookResult {
        if !self.postsubmit_all.is_empty() {
            self.mailbox.write(Letter::AllSubmitted(refs.to_vec()));
        }
        Ok(())
    }
}
