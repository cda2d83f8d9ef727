//! [`HookSet`]: the callbacks of one run, and how each hook is called for all of them.
//!
//! Order is the order of registration. User code runs under `catch_unwind`; what it answers or throws
//! becomes a [`Failure`] that names callback, hook and key.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::super::contained_panic_message;
use super::super::events::HookTimes;
use super::super::store::ObjectRef;
use super::callback::{Callback, HookResult, ObjectRefs, PreState, RunView, TaskView};
use crate::engine::{Cause, Failure, Run, TaskId};
use crate::graph::{BoxError, Key, Plan, Results};
use crate::value::Value;

/// What happens when a hook fails or panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallbackErrors {
    /// The run fails with an error that names callback, hook and key.
    #[default]
    Fail,
    /// A warning is logged, and the run goes on as if the hook had answered nothing.
    Log,
}

/// The callbacks of one run, in order of registration.
#[derive(Clone)]
pub(crate) struct HookSet {
    callbacks: Arc<[Arc<dyn Callback>]>,
    errors: CallbackErrors,
    /// How long they take, while somebody wants to know.
    times: Option<Arc<HookTimes>>,
    /// Tasks that were answered for at the start of the run, by callback; set once, by the registry.
    answered: Arc<[(TaskId, usize)]>,
}

/// What the `pretask` hooks of a task handed on, by callback.
pub(crate) type PreStates = SmallVec<[PreState; 2]>;

impl HookSet {
    /// If `measures`, it is noted how long the hooks take.
    pub(super) fn new(
        callbacks: Vec<Arc<dyn Callback>>,
        errors: CallbackErrors,
        measures: bool,
    ) -> Self {
        let names = || callbacks.iter().map(|callback| callback.name().to_owned());
        let times = measures.then(|| Arc::new(HookTimes::new(names())));
        Self { callbacks: callbacks.into(), errors, times, answered: Arc::default() }
    }

    /// How long the callbacks take, if that is measured.
    pub(crate) fn times(&self) -> Option<&Arc<HookTimes>> {
        self.times.as_ref()
    }

    /// Notes how long a hook has taken, if that is wanted.
    fn measured<T>(&self, callback: usize, call: impl FnOnce() -> T) -> T {
        let Some(times) = &self.times else { return call() };
        #[expect(clippy::disallowed_methods, reason = "measures the hooks")]
        let began = Instant::now();
        let answer = call();
        times.took(callback, began.elapsed());
        answer
    }

    /// Calls one hook of one callback.
    fn guarded<T>(
        &self,
        who: usize,
        hook: &'static str,
        key: Option<&Key>,
        call: impl FnOnce(&dyn Callback) -> Result<T, BoxError>,
    ) -> Result<Option<T>, Failure> {
        let callback = &self.callbacks[who];
        let guarded = || catch_unwind(AssertUnwindSafe(|| call(callback.as_ref())));
        let error = match self.measured(who, guarded) {
            Ok(Ok(answer)) => return Ok(Some(answer)),
            Ok(Err(error)) => error,
            Err(panic) => format!("panicked: {}", contained_panic_message(panic)).into(),
        };
        let cause =
            Cause::Hook { callback: callback.name().to_owned(), hook, error: Arc::new(error) };
        let failure = Failure { key: key.cloned(), cause, attempts: 1 };
        match self.errors {
            CallbackErrors::Fail => Err(failure),
            CallbackErrors::Log => {
                log::warn!("{failure}");
                Ok(None)
            }
        }
    }

    /// Calls one hook of all callbacks.
    fn each(
        &self,
        hook: &'static str,
        key: Option<&Key>,
        call: impl Fn(&dyn Callback) -> HookResult,
    ) -> Result<(), Failure> {
        for who in 0..self.callbacks.len() {
            self.guarded(who, hook, key, &call)?;
        }
        Ok(())
    }

    /// What the callbacks know at the start of a run, with the callback that knew it.
    pub(super) fn lookup(&self, plan: &Plan) -> Result<Vec<(TaskId, Value, usize)>, Failure> {
        let keys: Vec<&Key> = plan.tasks().map(|task| plan.key(task)).collect();
        let mut answers: Vec<Option<(Value, usize)>> = Vec::new();
        for who in 0..self.callbacks.len() {
            let known = self.guarded(who, "lookup", None, |hooks| hooks.lookup(&keys))?;
            let known = known.into_iter().flatten().enumerate();
            for (at, value) in known.take(keys.len()) {
                note(&mut answers, keys.len(), at, value.map(|value| (value, who)));
            }
            let is_answered = |task: TaskId| answers.get(task.index()).is_some_and(Option::is_some);
            let known = self.guarded(who, "graph_lookup", None, |hooks| {
                hooks.graph_lookup(plan, &is_answered)
            })?;
            for (task, value) in known.into_iter().flatten() {
                if task.index() < keys.len() {
                    note(&mut answers, keys.len(), task.index(), Some((value, who)));
                }
            }
        }
        let answered = plan.tasks().zip(answers);
        Ok(answered.filter_map(|(task, answer)| answer.map(|(v, who)| (task, v, who))).collect())
    }

    /// Remembers whose answers are used.
    pub(super) fn set_answered(&mut self, used: Vec<(TaskId, usize)>) {
        self.answered = used.into();
    }

    pub(super) fn answered(&self) -> &[(TaskId, usize)] {
        &self.answered
    }

    pub(super) fn callback_name(&self, who: usize) -> &str {
        self.callbacks[who].name()
    }

    /// Tells each callback which of its answers are used.
    pub(super) fn lookup_used(&self, plan: &Plan, used: &[(TaskId, usize)]) -> Result<(), Failure> {
        for who in 0..self.callbacks.len() {
            let its = used.iter().filter(|(_, owner)| *owner == who);
            let keys: Vec<&Key> = its.map(|(task, _)| plan.key(*task)).collect();
            if !keys.is_empty() {
                self.guarded(who, "lookup_used", None, |hooks| hooks.lookup_used(&keys))?;
            }
        }
        Ok(())
    }

    /// All that is called when a worker takes a task on. `Some(value)` answers for the task. No hook is
    /// called any more once the run is over.
    pub(crate) fn submit(&self, run: &Arc<Run>, task: TaskId) -> Result<Option<Value>, Failure> {
        let (plan, state) = (&**run.plan(), RunView { run, hooks: self });
        let (view, deps) = (TaskView { run, task }, ObjectRefs { run, task });
        let key = view.key();
        self.each("graph_pretask", Some(key), |hooks| hooks.graph_pretask(key, plan, &state))?;
        let mut answer = None;
        for who in 0..self.callbacks.len() {
            if !run.is_running() {
                return Ok(None);
            }
            let ask = |hooks: &dyn Callback| hooks.presubmit(&view, key, &deps);
            let given = self.guarded(who, "presubmit", Some(key), ask)?.flatten();
            answer = answer.or(given);
        }
        if answer.is_none() && run.is_running() {
            let object_ref = ObjectRef::in_run(run, task);
            self.each("postsubmit", Some(key), |hooks| {
                hooks.postsubmit(&view, key, &deps, &object_ref)
            })?;
        }
        if run.is_running() {
            self.each("graph_posttask", Some(key), |hooks| {
                hooks.graph_posttask(key, plan, &state)
            })?;
        }
        Ok(answer)
    }

    pub(crate) fn pretask(&self, run: &Arc<Run>, task: TaskId) -> Result<PreStates, Failure> {
        let (key, inputs) = (run.plan().key(task), ObjectRefs { run, task });
        let mut states = PreStates::new();
        for who in 0..self.callbacks.len() {
            let pretask = |hooks: &dyn Callback| hooks.pretask(key, &inputs);
            states.push(self.guarded(who, "pretask", Some(key), pretask)?.flatten());
        }
        Ok(states)
    }

    pub(crate) fn posttask(
        &self,
        key: &Key,
        result: &Value,
        states: PreStates,
    ) -> Result<(), Failure> {
        for (who, state) in states.into_iter().enumerate().take(self.callbacks.len()) {
            let post = |hooks: &dyn Callback| hooks.posttask(key, result, state);
            self.guarded(who, "posttask", Some(key), post)?;
        }
        Ok(())
    }

    pub(super) fn graph_start(&self, plan: &Plan) -> Result<(), Failure> {
        self.each("graph_start", None, |hooks| hooks.graph_start(plan))
    }

    pub(super) fn graph_start_state(&self, run: &Run) -> Result<(), Failure> {
        let view = RunView { run, hooks: self };
        self.each("graph_start_state", None, |hooks| hooks.graph_start_state(run.plan(), &view))
    }

    pub(super) fn postsubmit_all(&self, run: &Arc<Run>) -> Result<(), Failure> {
        let outputs = run.plan().outputs().iter();
        let refs: Vec<ObjectRef> = outputs.map(|task| ObjectRef::in_run(run, *task)).collect();
        self.each("postsubmit_all", None, |hooks| hooks.postsubmit_all(&refs, run.plan()))
    }

    pub(super) fn finish(&self, results: &Results) -> Result<(), Failure> {
        self.each("finish", None, |hooks| hooks.finish(results))
    }

    /// Called for every callback, also if one fails; the first failure is answered.
    pub(super) fn graph_finish(
        &self,
        plan: &Plan,
        run: &Run,
        errored: bool,
    ) -> Result<(), Failure> {
        let view = RunView { run, hooks: self };
        let mut first = Ok(());
        for who in 0..self.callbacks.len() {
            let finish = |hooks: &dyn Callback| hooks.graph_finish(plan, &view, errored);
            let answer = self.guarded(who, "graph_finish", None, finish);
            first = first.and(answer.map(drop));
        }
        first
    }

    /// Called for every callback, also if one fails: the run has failed already.
    pub(super) fn error(&self, key: &Key, failure: &Failure) {
        for who in 0..self.callbacks.len() {
            let tell = |hooks: &dyn Callback| hooks.error(key, failure);
            if let Err(failure) = self.guarded(who, "error", Some(key), tell) {
                log::warn!("{failure}");
            }
        }
    }

    /// Called for every callback, also if one fails: a value has moved, and no run is to blame.
    pub(super) fn spill(&self, key: &Key, bytes: u64) {
        for who in 0..self.callbacks.len() {
            let tell = |hooks: &dyn Callback| hooks.spill(key, bytes);
            if let Err(failure) = self.guarded(who, "spill", Some(key), tell) {
                log::warn!("{failure}");
            }
        }
    }

    pub(super) fn retry(&self, key: &Key, attempt: u32) -> Result<(), Failure> {
        self.each("retry", Some(key), |hooks| hooks.retry(key, attempt))
    }
}

/// Takes an answer, unless there is one already. Without any there is no memory for them.
fn note(
    answers: &mut Vec<Option<(Value, usize)>>,
    tasks: usize,
    at: usize,
    answer: Option<(Value, usize)>,
) {
    if answer.is_some() {
        answers.resize(tasks, None);
        answers[at] = answers[at].take().or(answer);
    }
}

impl std::fmt::Debug for HookSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.callbacks.iter().map(Callback::name)).finish()
    }
}
