//! [`PythonHooks`]: the callbacks of one run, as a callback of the crate.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use mobula::{
    BoxError, Callback, Error, HookResult, Key, ObjectRefs, Plan, PreState, Results, TaskId,
    TaskView, Value,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use smallvec::SmallVec;

use super::answer::answered;
use super::calls::{Hook, Hooks};
use super::mailbox::{Letter, Mailbox};
use crate::errors::TaskError;
use crate::interpreter::released;
use crate::object::{Held, Object};
use crate::object_ref::ObjectRef;
use crate::referent::object_in;
use crate::run::Planned;

/// The hooks of one run, in order of the registration of their callbacks.
pub(crate) struct PythonHooks {
    plan: Arc<Plan>,
    /// By node index: the key as Python has it.
    keys: Held<PyList>,
    /// The graph that runs.
    graph: Held<PyDict>,
    /// The indices of the wanted nodes, in the order in which they were wanted.
    wanted: Vec<usize>,
    presubmit: Vec<Hook>,
    postsubmit: Vec<Hook>,
    around: Vec<Around>,
    postsubmit_all: Vec<Hook>,
    error: Vec<Hook>,
    retry: Vec<Hook>,
    watch: Option<Held<PyAny>>,
    waits: bool,
    mailbox: Mailbox,
}

/// The hooks of one callback before and after a task's call.
struct Around {
    start: Option<Hook>,
    end: Option<Hook>,
}

/// What is known of a task between its `task_start` and its `task_end` hooks.
struct Started {
    task: TaskId,
    /// By callback: what `task_start` has answered. Empty if no callback has that hook.
    states: SmallVec<[Option<Object>; 1]>,
}

thread_local! {
    /// True while this thread calls hooks for workers, which may be waiting for it.
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
    /// `threading.get_ident()` of this thread.
    static IDENT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Resets what it holds when it is dropped.
struct Calling(bool);

impl Drop for Calling {
    fn drop(&mut self) {
        IS_CALLING.set(self.0);
    }
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

// On the thread that called `get`.
impl PythonHooks {
    pub(super) fn open(
        py: Python<'_>,
        hooks: &Hooks,
        planned: &Planned,
        graph: &Bound<'_, PyDict>,
    ) -> PyResult<Open> {
        let all = |hook, of: fn(&super::calls::Table) -> &Option<Py<PyAny>>| {
            Hook::all(py, hooks, hook, of)
        };
        let around = hooks.callbacks.iter().map(|table| Around {
            start: Hook::new(py, table, "task_start", &table.task_start),
            end: Hook::new(py, table, "task_end", &table.task_end),
        });
        let has_any = |around: &Around| around.start.is_some() || around.end.is_some();
        let keys = PyList::new(py, planned.keys.iter().map(|key| key.bind(py)))?;
        let this = Self {
            plan: Arc::clone(&planned.plan),
            keys: Held::new(keys.unbind()),
            graph: Held::new(graph.clone().unbind()),
            wanted: planned.wanted.iter().map(|node| node.index()).collect(),
            presubmit: all("presubmit", |table| &table.presubmit),
            postsubmit: all("postsubmit", |table| &table.postsubmit),
            around: around.filter(has_any).collect(),
            postsubmit_all: all("postsubmit_all", |table| &table.postsubmit_all),
            error: all("error", |table| &table.error),
            retry: all("retry", |table| &table.retry),
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
                Letter::Retried(task, attempt) => {
                    let key = self.key(py, task)?;
                    for hook in &self.retry {
                        hook.call(Some(&key), py, (&key, attempt))?;
                    }
                }
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
            if let Letter::Ended(task, value, thread) = letter {
                self.after(py, task, &value, thread)?;
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

    fn before(&self, py: Python<'_>, task: TaskId) -> PyResult<()> {
        if let Some(watch) = &self.watch {
            let key = self.key(py, task)?;
            watch.get().bind(py).call_method1(intern!(py, "before"), (key,))?;
        }
        Ok(())
    }

    fn after(&self, py: Python<'_>, task: TaskId, value: &Value, thread: u64) -> PyResult<()> {
        if let Some(watch) = &self.watch {
            let arguments = (self.key(py, task)?, object_in(py, value)?, thread);
            watch.get().bind(py).call_method1(intern!(py, "after"), arguments)?;
        }
        Ok(())
    }
}

// In a worker, which may be the thread that called `get`.
impl PythonHooks {
    fn key<'py>(&self, py: Python<'py>, task: TaskId) -> PyResult<Bound<'py, PyAny>> {
        self.keys.get().bind(py).get_item(self.plan.node(task).index())
    }

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
            let answer = answered(hook.call(Some(&key), py, (&task, &key, &dependencies))?);
            first = first.or(answer);
        }
        Ok(first.map(Object::value))
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
    let answer = Python::try_attach(|py| body(py).map_err(|error| TaskError::new(py, error)));
    answer.unwrap_or_else(|| Err(TaskError::interpreter_ended())).map_err(Into::into)
}

impl Callback for PythonHooks {
    fn name(&self) -> &'static str {
        "mobula.dask.Callback"
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
        if self.around.is_empty() && self.watch.is_none() || self.mailbox.is_over() {
            return Ok(None);
        }
        let task = inputs.task().id();
        let states = if self.around.iter().any(|around| around.start.is_some()) {
            attached(|py| self.states(py, task, inputs))?
        } else {
            SmallVec::new()
        };
        Ok(Some(Box::new(Started { task, states })))
    }

    fn posttask(&self, _: &Key, result: &Value, pre_state: PreState) -> HookResult {
        let started = pre_state.and_then(|state| state.downcast::<Started>().ok());
        let Some(started) = started.filter(|_| !self.mailbox.is_over()) else { return Ok(()) };
        if self.around.iter().any(|around| around.end.is_some()) {
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

    fn retry(&self, key: &Key, attempt: u32) -> HookResult {
        if !self.retry.is_empty()
            && let Some(task) = self.plan.task(key)
        {
            self.mailbox.write(Letter::Retried(task, attempt));
        }
        Ok(())
    }
}
