//! [`CallbackRegistry`]: who wants to hear of runs, in order of registration; and the hooks of whole
//! runs, which it calls itself.
//!
//! It has an arbiter of its own, because hooks may block. A run takes a snapshot of the registered
//! callbacks when it begins. The hooks of single tasks are called in the workers, from the snapshot.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResult, Recipient};

use super::super::block_on;
use super::super::events::Events;
use super::super::panic_message;
use super::super::store::{ObjectRef, Spilled};
use super::callback::Callback;
use super::hooks::{CallbackErrors, HookSet};
use crate::engine::{Failure, Policy, Resources, Run, RunId};
use crate::graph::{Plan, Results};
use crate::value::Value;

/// Holds the registered callbacks and calls the hooks of whole runs.
pub struct CallbackRegistry {
    /// In order of registration.
    callbacks: Vec<(CallbackId, Arc<dyn Callback>)>,
    errors: CallbackErrors,
    /// What the runs need that begin here.
    resources: Resources,
    /// Where it is told what happens.
    events: Arc<Events>,
    /// The callbacks of the runs that go on.
    active: HashMap<RunId, HookSet>,
    /// Hooks of whole runs that failed while their run went on; taken by `EndRun`.
    failed: HashMap<RunId, Failure>,
}

/// The number of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallbackId(pub(crate) u64);

impl CallbackRegistry {
    pub(crate) fn new(errors: CallbackErrors, resources: Resources, events: Arc<Events>) -> Self {
        Self {
            callbacks: Vec::new(),
            errors,
            resources,
            events,
            active: HashMap::new(),
            failed: HashMap::new(),
        }
    }
}

impl std::fmt::Debug for CallbackRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackRegistry")
            .field("callbacks", &self.callbacks.len())
            .finish_non_exhaustive()
    }
}

impl Actor for CallbackRegistry {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // Keeps the order of messages, and refuses none.
    }
}

/// Adds a callback behind the others.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Register {
    pub(crate) id: CallbackId,
    pub(crate) callback: Arc<dyn Callback>,
}

impl Handler<Register> for CallbackRegistry {
    type Result = ();

    fn handle(&mut self, Register { id, callback }: Register, _: &mut Self::Context) {
        self.callbacks.push((id, callback));
    }
}

/// Removes a callback. Runs that began before keep it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unregister {
    pub(crate) id: CallbackId,
}

impl Handler<Unregister> for CallbackRegistry {
    type Result = ();

    fn handle(&mut self, Unregister { id }: Unregister, _: &mut Self::Context) {
        self.callbacks.retain(|(other, _)| *other != id);
    }
}

/// Do something that may run code of a user and must not be done on the scheduler's arbiter: values
/// are dropped in it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DoAside(pub(crate) Box<dyn FnOnce() + Send>);

impl Handler<DoAside> for CallbackRegistry {
    type Result = ();

    fn handle(&mut self, DoAside(task): DoAside, _: &mut Self::Context) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(task)) {
            log::error!("a value panicked when it was dropped: {}", panic_message(panic));
        }
    }
}

/// A run begins: take the snapshot, call the starting hooks, ask who knows values, build the state.
#[derive(Message)]
#[rtype(result = "Result<(Arc<Run>, HookSet), Failure>")]
pub(crate) struct BeginRun {
    pub(crate) run: RunId,
    pub(crate) plan: Arc<Plan>,
    /// Callbacks of this run alone; they come behind the registered ones.
    pub(crate) callbacks: Vec<Arc<dyn Callback>>,
    pub(crate) policy: Policy,
}

impl Handler<BeginRun> for CallbackRegistry {
    type Result = MessageResult<BeginRun>;

    fn handle(&mut self, message: BeginRun, _: &mut Self::Context) -> Self::Result {
        let BeginRun { run, plan, callbacks, policy } = message;
        let begun = self.begin(run, &plan, self.hooks(callbacks), policy);
        if let Ok((_, hooks)) = &begun {
            self.active.insert(run, hooks.clone());
        }
        MessageResult(begun)
    }
}

impl CallbackRegistry {
    /// The registered callbacks, and others behind them.
    fn hooks(&self, others: Vec<Arc<dyn Callback>>) -> HookSet {
        let registered = self.callbacks.iter().map(|(_, callback)| Arc::clone(callback));
        let measures = self.events.stream().is_heard();
        HookSet::new(registered.chain(others).collect(), self.errors, measures)
    }

    fn begin(
        &self,
        id: RunId,
        plan: &Arc<Plan>,
        mut hooks: HookSet,
        policy: Policy,
    ) -> Result<(Arc<Run>, HookSet), Failure> {
        let begun = hooks.graph_start(plan).and_then(|()| {
            let found = hooks.lookup(plan)?;
            let owners: Vec<_> = found.iter().map(|(task, _, who)| (*task, *who)).collect();
            let answers = found.into_iter().map(|(task, value, _)| (task, value)).collect();
            let run = Run::new(id, Arc::clone(plan), &self.resources, answers).under(policy);
            let used = |(task, _): &(_, usize)| run.is_needed(*task);
            let used: Vec<_> = owners.into_iter().filter(used).collect();
            hooks.lookup_used(plan, &used)?;
            hooks.set_answered(used);
            hooks.graph_start_state(&run)?;
            Ok(Arc::new(run))
        });
        match begun {
            Ok(run) => Ok((run, hooks)),
            Err(failure) => {
                // The run's state is needed to say that it ended; nothing of it ever started.
                let run = Run::new(id, Arc::clone(plan), &self.resources, Vec::new());
                drop(hooks.graph_finish(plan, &run, true));
                Err(failure)
            }
        }
    }
}

/// The last task of a run was taken on by a worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AllSubmitted {
    pub(crate) run: Arc<Run>,
    pub(crate) hooks: HookSet,
    /// Hears of a hook that failed.
    pub(crate) failures: Recipient<RunHookFailed>,
}

/// A hook of a whole run failed while the run went on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RunHookFailed {
    pub(crate) run: RunId,
}

impl Handler<AllSubmitted> for CallbackRegistry {
    type Result = ();

    fn handle(&mut self, message: AllSubmitted, _: &mut Self::Context) {
        let AllSubmitted { run, hooks, failures } = message;
        if let Err(failure) = hooks.postsubmit_all(&run) {
            self.note_failure(run.id(), failure, &failures);
        }
    }
}

impl CallbackRegistry {
    fn note_failure(&mut self, run: RunId, failure: Failure, hearer: &Recipient<RunHookFailed>) {
        self.failed.entry(run).or_insert(failure);
        // If the scheduler is gone, so is the run.
        hearer.do_send(RunHookFailed { run });
    }
}

/// A task is tried again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TellRetry {
    pub(crate) run: Arc<Run>,
    pub(crate) hooks: HookSet,
    pub(crate) task: crate::engine::TaskId,
    pub(crate) attempt: u32,
    pub(crate) failures: Recipient<RunHookFailed>,
}

impl Handler<TellRetry> for CallbackRegistry {
    type Result = ();

    fn handle(&mut self, message: TellRetry, _: &mut Self::Context) {
        let TellRetry { run, hooks, task, attempt, failures } = message;
        if let Err(failure) = hooks.retry(run.plan().key(task), attempt) {
            self.note_failure(run.id(), failure, &failures);
        }
    }
}

/// A task failed for good, and its run goes on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TellError {
    pub(crate) hooks: HookSet,
    pub(crate) failure: Failure,
}

impl Handler<TellError> for CallbackRegistry {
    type Result = ();

    fn handle(&mut self, TellError { hooks, failure }: TellError, _: &mut Self::Context) {
        if let Some(key) = &failure.key {
            hooks.error(key, &failure);
        }
    }
}

/// A value of a run that goes on, or of one that is over, has moved to disk.
impl Handler<Spilled> for CallbackRegistry {
    type Result = ();

    fn handle(&mut self, Spilled { run, key, bytes }: Spilled, _: &mut Self::Context) {
        match run.and_then(|run| self.active.get(&run)) {
            Some(hooks) => hooks.spill(&key, bytes),
            None if self.callbacks.is_empty() => {}
            None => self.hooks(Vec::new()).spill(&key, bytes),
        }
    }
}

/// A run is over: call the ending hooks and give its results, unless only refs to them are wanted.
#[derive(Message)]
#[rtype(result = "Result<Option<Results>, Ending>")]
pub(crate) struct EndRun {
    pub(crate) run: Arc<Run>,
    pub(crate) hooks: HookSet,
    pub(crate) ending: Result<(), Ending>,
    pub(crate) wanted: Wanted,
}

/// What the caller of a run wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The results themselves.
    Values,
    /// Refs to the results, which may stay where they are.
    Refs,
}

/// Why a run has no results.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Failed(Failure),
    /// These tasks failed while the run went on; `error` was called for each of them.
    AllFailed(Arc<[Failure]>),
    /// A hook of the whole run failed; which one, `EndRun` knows.
    HookFailed,
    Cancelled,
}

impl Handler<EndRun> for CallbackRegistry {
    type Result = MessageResult<EndRun>;

    fn handle(&mut self, message: EndRun, _: &mut Self::Context) -> Self::Result {
        let EndRun { run, hooks, ending, wanted } = message;
        self.active.remove(&run.id());
        let hook_failure = self.failed.remove(&run.id()).map(Ending::Failed);
        let ending = match (ending, hook_failure) {
            (Ok(()) | Err(Ending::HookFailed | Ending::AllFailed(_)), Some(failure)) => {
                Err(failure)
            }
            (ending, _) => ending,
        };
        let results = ending.and_then(|()| {
            if run.tasks() == 0 {
                // There was no last task after which this could have been called.
                hooks.postsubmit_all(&run).map_err(Ending::Failed)?;
            }
            let results = match wanted {
                Wanted::Values => {
                    block_on(run.gather(), std::thread::park).map_err(Ending::Failed)?
                }
                Wanted::Refs => run.plan().gather(|task| {
                    Value::with_bytes(ObjectRef::in_run(&run, task), size_of::<ObjectRef>())
                }),
            };
            hooks.finish(&results).map_err(Ending::Failed)?;
            Ok((wanted == Wanted::Values).then_some(results))
        });
        if let Err(Ending::Failed(failure)) = &results
            && let Some(key) = &failure.key
        {
            hooks.error(key, failure);
        }
        let finished = hooks.graph_finish(run.plan(), &run, results.is_err());
        MessageResult(results.and_then(|results| match finished {
            Ok(()) => Ok(results),
            Err(failure) => Err(Ending::Failed(failure)),
        }))
    }
}
