//! [`Callback`]: the hooks into a run. Implement the ones you want.
//!
//! Nothing here calls a hook; that is the hook set's part.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::store::ObjectRef;
use super::hooks::HookSet;
use crate::engine::{Failure, Run, TaskId};
use crate::graph::{BoxError, Func, Key, Plan, Results};
use crate::value::Value;

/// What a `pretask` hook hands to the `posttask` hook of the same callback.
pub type PreState = Option<Box<dyn Any + Send>>;

/// What a hook answers that only looks on. An error fails the run.
pub type HookResult = Result<(), BoxError>;

/// A set of hooks into runs.
///
/// All methods have defaults that do nothing. Several callbacks can be active at once; each hook is
/// called for all of them in the order of their registration. A hook that fails or panics fails the run
/// with an error that names callback, hook and key, unless the cluster logs such errors
/// (`CallbackErrors::Log`). Hooks of tasks are called in the worker that runs the task, so several may
/// run at once; they may block, and may ask state actors.
///
/// The `posttask` hooks of an asynchronous task are called on the thread that awaits all futures, so they
/// should not block for long there.
///
/// A task meets its hooks in this order: `graph_pretask`, `presubmit`, `postsubmit`, `graph_posttask`,
/// `pretask`, the function, `posttask`.
///
/// # Examples
///
/// ```
/// use mobula::{BoxError, Callback, Cluster, HookResult, Key, ObjectRefs, PreState, Value, graph};
/// use std::time::Instant;
///
/// struct Timer;
///
/// impl Callback for Timer {
///     fn pretask(&self, _: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
///         Ok(Some(Box::new(Instant::now())))
///     }
///     fn posttask(&self, key: &Key, _: &Value, start: PreState) -> HookResult {
///         let start = start.and_then(|state| state.downcast::<Instant>().ok());
///         println!("{key} took {:?}", start.map(|start| start.elapsed()));
///         Ok(())
///     }
/// }
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
///
/// let cluster = Cluster::builder().workers(1).start()?;
/// let _timing = cluster.register(Timer); // until the guard is dropped
/// cluster.get_blocking(graph! { "x" => (inc, 1) }, "x")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Callback: Send + Sync + 'static {
    /// The callback's name in errors; the type's name unless you say otherwise.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }

    /// At the start of a run: answers for keys whose values are known. `None` for a key, and an empty
    /// answer as a whole, mean "not known". Tasks that were answered for do not run, nor do tasks that
    /// only they need; no other hook is called for either. The first answer in order of registration
    /// wins.
    ///
    /// # Errors
    ///
    /// Any error fails the run before it starts.
    fn lookup(&self, keys: &[&Key]) -> Result<Vec<Option<Value>>, BoxError> {
        let _ = keys;
        Ok(Vec::new())
    }

    /// At the start of a run, after this callback's `lookup`: the same, for those who want to see how the
    /// tasks hang together, so as to look only for what is needed. `is_answered` tells what is known
    /// already, by callbacks before this one or by its own `lookup`.
    ///
    /// # Errors
    ///
    /// Any error fails the run before it starts.
    fn graph_lookup(
        &self,
        graph: &Plan,
        is_answered: &dyn Fn(TaskId) -> bool,
    ) -> Result<Vec<(TaskId, Value)>, BoxError> {
        let (_, _) = (graph, is_answered);
        Ok(Vec::new())
    }

    /// At the start of a run, after `lookup` and `graph_lookup`: which of the answers are used. The others
    /// belong to keys that nobody needed.
    ///
    /// # Errors
    ///
    /// Any error fails the run before it starts.
    fn lookup_used(&self, keys: &[&Key]) -> HookResult {
        let _ = keys;
        Ok(())
    }

    /// Before a task is taken on by a worker. `Some(value)` answers for the task: it is not run, the
    /// value is its result, and `postsubmit`, `pretask` and `posttask` are not called for it. All
    /// callbacks are asked; the first answer in order of registration wins.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn presubmit(
        &self,
        task: &TaskView<'_>,
        key: &Key,
        deps: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        let _ = (task, key, deps);
        Ok(None)
    }

    /// After a task was taken on. `object_ref` will hold its value.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn postsubmit(
        &self,
        task: &TaskView<'_>,
        key: &Key,
        deps: &ObjectRefs<'_>,
        object_ref: &ObjectRef,
    ) -> HookResult {
        let _ = (task, key, deps, object_ref);
        Ok(())
    }

    /// In the worker, just before the function is called. What it answers goes to this callback's own
    /// `posttask`.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn pretask(&self, key: &Key, object_refs: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        let _ = (key, object_refs);
        Ok(None)
    }

    /// In the worker, just after the function succeeded.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn posttask(&self, key: &Key, result: &Value, pre_state: PreState) -> HookResult {
        let _ = (key, result, pre_state);
        Ok(())
    }

    /// Once a run, after its last task was taken on: the refs of the wanted values, and the graph.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn postsubmit_all(&self, object_refs: &[ObjectRef], graph: &Plan) -> HookResult {
        let _ = (object_refs, graph);
        Ok(())
    }

    /// Once a run, after it succeeded, with the final result: for `persist`, with an
    /// [`ObjectRef`] in place of each task's value.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn finish(&self, result: &Results) -> HookResult {
        let _ = result;
        Ok(())
    }

    /// Dask's `start`: at the very start of a run.
    ///
    /// # Errors
    ///
    /// Any error fails the run before it starts.
    fn graph_start(&self, graph: &Plan) -> HookResult {
        let _ = graph;
        Ok(())
    }

    /// Dask's `start_state`: when the run's state was built, before its first task.
    ///
    /// # Errors
    ///
    /// Any error fails the run before it starts.
    fn graph_start_state(&self, graph: &Plan, state: &RunView<'_>) -> HookResult {
        let _ = (graph, state);
        Ok(())
    }

    /// Dask's `pretask`: before a task is submitted.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn graph_pretask(&self, key: &Key, graph: &Plan, state: &RunView<'_>) -> HookResult {
        let _ = (key, graph, state);
        Ok(())
    }

    /// Dask's `posttask`: after a task was submitted, or was answered for by `presubmit`.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn graph_posttask(&self, key: &Key, graph: &Plan, state: &RunView<'_>) -> HookResult {
        let _ = (key, graph, state);
        Ok(())
    }

    /// Dask's `finish`: at the end of every run that `graph_start` was called for; `errored` says
    /// whether it failed or was cancelled.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn graph_finish(&self, graph: &Plan, state: &RunView<'_>, errored: bool) -> HookResult {
        let _ = (graph, state, errored);
        Ok(())
    }

    /// A task failed for good, and its run with it; or, with [`OnError::Skip`](crate::OnError::Skip) and
    /// `Collect`, one of those that the run goes on without. Tasks that are skipped are not told of.
    ///
    /// # Errors
    ///
    /// An error is logged; what could fail has failed already.
    fn error(&self, key: &Key, failure: &Failure) -> HookResult {
        let _ = (key, failure);
        Ok(())
    }

    /// A task failed or lost its worker, and is tried again, after its back-off if it has one. `attempt`
    /// is the one that starts, counted from 1.
    ///
    /// # Errors
    ///
    /// Any error fails the run.
    fn retry(&self, key: &Key, attempt: u32) -> HookResult {
        let _ = (key, attempt);
        Ok(())
    }

    /// A value of `bytes` bytes has moved from memory to disk. Called on the registry's thread while the
    /// value's run goes on, and after that as long as the callback is registered.
    ///
    /// # Errors
    ///
    /// An error is logged; no run depends on it.
    fn spill(&self, key: &Key, bytes: u64) -> HookResult {
        let _ = (key, bytes);
        Ok(())
    }
}

/// Passes every hook on to what the pointer points to.
macro_rules! pass_on {
    ($($hook:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// A callback that its owner keeps a pointer to.
        impl<C: Callback + ?Sized> Callback for Arc<C> {
            fn name(&self) -> &str {
                (**self).name()
            }

            $(fn $hook(&self, $($argument: $type),*) -> $answer {
                (**self).$hook($($argument),*)
            })*
        }
    };
}

pass_on! {
    lookup(keys: &[&Key]) -> Result<Vec<Option<Value>>, BoxError>;
    graph_lookup(graph: &Plan, is_answered: &dyn Fn(TaskId) -> bool) -> Result<Vec<(TaskId, Value)>, BoxError>;
    lookup_used(keys: &[&Key]) -> HookResult;
    presubmit(task: &TaskView<'_>, key: &Key, deps: &ObjectRefs<'_>) -> Result<Option<Value>, BoxError>;
    postsubmit(task: &TaskView<'_>, key: &Key, deps: &ObjectRefs<'_>, object_ref: &ObjectRef) -> HookResult;
    pretask(key: &Key, object_refs: &ObjectRefs<'_>) -> Result<PreState, BoxError>;
    posttask(key: &Key, result: &Value, pre_state: PreState) -> HookResult;
    postsubmit_all(object_refs: &[ObjectRef], graph: &Plan) -> HookResult;
    finish(result: &Results) -> HookResult;
    graph_start(graph: &Plan) -> HookResult;
    graph_start_state(graph: &Plan, state: &RunView<'_>) -> HookResult;
    graph_pretask(key: &Key, graph: &Plan, state: &RunView<'_>) -> HookResult;
    graph_posttask(key: &Key, graph: &Plan, state: &RunView<'_>) -> HookResult;
    graph_finish(graph: &Plan, state: &RunView<'_>, errored: bool) -> HookResult;
    error(key: &Key, failure: &Failure) -> HookResult;
    retry(key: &Key, attempt: u32) -> HookResult;
    spill(key: &Key, bytes: u64) -> HookResult;
}

/// What a hook may know of a task.
#[derive(Clone, Copy, Debug)]
pub struct TaskView<'a> {
    pub(super) run: &'a Arc<Run>,
    pub(super) task: TaskId,
}

impl<'a> TaskView<'a> {
    /// The task's number in its plan.
    pub fn id(&self) -> TaskId {
        self.task
    }

    /// The task's key.
    pub fn key(&self) -> &'a Key {
        self.run.plan().key(self.task)
    }

    /// The task's function.
    pub fn func(&self) -> &'a Func {
        self.run.plan().func(self.task)
    }

    /// The task's place in the static order, which is its priority; 0 comes first.
    pub fn priority(&self) -> u32 {
        self.task.0
    }

    /// The plan that the task belongs to.
    pub fn plan(&self) -> &'a Plan {
        self.run.plan()
    }
}

/// The inputs of a task: keys and object refs, in the order of its arguments, each key once.
///
/// A ref is made when it is asked for, so a hook that does not look pays nothing.
#[derive(Clone, Copy, Debug)]
pub struct ObjectRefs<'a> {
    pub(super) run: &'a Arc<Run>,
    pub(super) task: TaskId,
}

impl<'a> ObjectRefs<'a> {
    /// The task whose inputs these are.
    pub fn task(&self) -> TaskView<'a> {
        TaskView { run: self.run, task: self.task }
    }

    /// The inputs.
    pub fn iter(&self) -> impl Iterator<Item = (&'a Key, ObjectRef)> + use<'a> {
        let run = self.run;
        self.by_task().map(move |(task, object_ref)| (run.plan().key(task), object_ref))
    }

    /// The inputs, with the numbers of the tasks that make them.
    pub fn by_task(&self) -> impl Iterator<Item = (TaskId, ObjectRef)> + use<'a> {
        /// As many are compared with each other faster than they are looked up.
        const FEW: usize = 32;
        let (run, inputs) = (self.run, self.tasks());
        let mut seen = BTreeSet::new();
        let first = move |(place, task): &(usize, &TaskId)| match inputs.len() {
            0..=FEW => !inputs[..*place].contains(task),
            _ => seen.insert(**task),
        };
        let inputs = inputs.iter().enumerate().filter(first);
        inputs.map(move |(_, task)| (*task, ObjectRef::in_run(run, *task)))
    }

    /// The ref of one input.
    pub fn get(&self, key: &Key) -> Option<ObjectRef> {
        let is_key = |task: &&TaskId| self.run.plan().key(**task) == key;
        let task = self.tasks().iter().find(is_key)?;
        Some(ObjectRef::in_run(self.run, *task))
    }

    fn tasks(&self) -> &'a [TaskId] {
        self.run.plan().dependencies(self.task)
    }
}

/// What a hook may know of the state of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunView<'a> {
    pub(super) run: &'a Run,
    pub(super) hooks: &'a HookSet,
}

impl<'a> RunView<'a> {
    /// How many tasks the run has; those that were answered for at its start are not among them.
    pub fn tasks(&self) -> usize {
        self.run.tasks()
    }

    /// How many tasks have started.
    pub fn started(&self) -> usize {
        self.run.started()
    }

    /// True if the value of `key` is there.
    pub fn has_ended(&self, key: &Key) -> bool {
        self.run.plan().task(key).is_some_and(|task| self.run.has_ended(task))
    }

    /// The keys that were answered for at the start of the run, each with the name of the callback whose
    /// answer is used.
    pub fn answered(&self) -> impl ExactSizeIterator<Item = (&'a Key, &'a str)> + use<'a> {
        let (plan, hooks) = (self.run.plan(), self.hooks);
        hooks.answered().iter().map(|(task, who)| (plan.key(*task), hooks.callback_name(*who)))
    }

    /// The run's number.
    pub fn id(&self) -> u64 {
        self.run.id().0
    }
}
