//! [`Timers`]: what is due later, in order, behind one timer of the actor's.
//!
//! A timer of actix each would be polled with every message; thousands of tasks that wait to be tried
//! again must not cost every message that much.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{AsyncContext, Context, SpawnHandle};

use super::SchedulerActor;
use crate::actors::worker::ActiveRun;
use crate::engine::{RunId, TaskId, WorkerId};

/// What is due later.
#[derive(Default)]
pub(super) struct Timers {
    /// By time, and then by the order in which it was said.
    due: BTreeMap<(Duration, u64), Due>,
    said: u64,
    /// The timer that is set, and when it goes off.
    set: Option<(SpawnHandle, Duration)>,
}

/// Something that is due.
pub(super) enum Due {
    /// A task that failed may be tried again.
    EndDelay { run: RunId, task: TaskId },
    /// A run reaches its time limit.
    EndRun { run: RunId },
    /// Tasks of a run may be over their time.
    LookAtTasks { run: RunId, active: Weak<ActiveRun> },
    /// A worker was in this task of a run that reached its limit; if it still is, it is stuck.
    LookAtWorker { active: Weak<ActiveRun>, worker: WorkerId, started: u32 },
}

/// The clock of the runtime cannot say times that are ages away.
const LONGEST: Duration = Duration::from_secs(3600);

impl Due {
    /// True if it is about this run and means nothing once that is over; `busy` if there still are
    /// workers in its tasks.
    fn ends_with(&self, over: RunId, busy: bool) -> bool {
        match self {
            Due::EndDelay { run, .. } | Due::EndRun { run } => *run == over,
            Due::LookAtTasks { run, .. } => *run == over && !busy,
            Due::LookAtWorker { .. } => false,
        }
    }
}

impl Timers {
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Forgets what a run that is over was still waiting for.
    pub(super) fn forget(&mut self, run: RunId, busy: bool) {
        // Hardly any run waits for anything, so this is hardly ever long.
        self.due.retain(|_, due| !due.ends_with(run, busy));
    }

    /// The runs that are still looked at, some perhaps twice.
    pub(super) fn watched(&self) -> Vec<Arc<ActiveRun>> {
        let watched = self.due.values().filter_map(|due| match due {
            Due::LookAtTasks { active, .. } | Due::LookAtWorker { active, .. } => active.upgrade(),
            Due::EndDelay { .. } | Due::EndRun { .. } => None,
        });
        watched.collect()
    }

    /// Takes out what is due by now, one after the other.
    fn pop(&mut self, now: Duration) -> Option<Due> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

impl SchedulerActor {
    /// Lets something happen after some time.
    pub(super) fn wait(&mut self, delay: Duration, due: Due, context: &mut Context<Self>) {
        let at = self.settings.crew.now().saturating_add(delay);
        self.timers.said += 1;
        self.timers.due.insert((at, self.timers.said), due);
        self.set_timer(context);
    }

    /// Sets the timer to what comes first, unless it is set to that or earlier.
    fn set_timer(&mut self, context: &mut Context<Self>) {
        let Some(((first, _), _)) = self.timers.due.first_key_value() else { return };
        let first = *first;
        if let Some((timer, at)) = self.timers.set {
            if at <= first {
                return;
            }
            context.cancel_future(timer);
        }
        let delay = first.saturating_sub(self.settings.crew.now()).min(LONGEST);
        let timer = context.run_later(delay, |actor, context| {
            actor.timers.set = None;
            let now = actor.settings.crew.now();
            while let Some(due) = actor.timers.pop(now) {
                actor.is_due(due, context);
            }
            actor.set_timer(context);
        });
        self.timers.set = Some((timer, first));
    }
}
