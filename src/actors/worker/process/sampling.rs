//! Finding out, for runs that leave open where their tasks are called, who holds the program's lock.
//!
//! A thread knocks at the lock now and then while such runs go on, and tells the [`Chooser`] how long it had
//! to wait, and what ran meanwhile. It ends with the last of these runs.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::active::ActiveRun;
use super::super::crew::Crew;
use super::fleet::Fleet;
use crate::engine::Placement;

/// How far apart looks are. Each costs who holds the lock a switch.
const BETWEEN: Duration = Duration::from_millis(4);

/// The same when all that runs is decided.
const SELDOM: Duration = Duration::from_millis(50);

impl Fleet {
    /// Watches the runs that leave open where their tasks are called, from now on and until there are none.
    pub(crate) fn sample(self: &Arc<Self>, crew: &Arc<Crew>) {
        if self.is_sampling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (fleet, crew) = (Arc::downgrade(self), Arc::downgrade(crew));
        let thread = std::thread::Builder::new().name("mobula-sampler".to_owned());
        if let Err(error) = thread.spawn(move || sample(&fleet, &crew)) {
            log::warn!("nobody can watch who holds the interpreter's lock: {error}");
            self.is_sampling.store(false, Ordering::Release);
        }
    }

    /// True if the tasks with this prefix are called in processes.
    pub(super) fn sends(&self, prefix: &str) -> bool {
        self.chooser().is_elsewhere(prefix)
    }

    /// A task with this prefix was called in a thread, and took so long.
    pub(in super::super) fn took(&self, prefix: &str, time: Duration) {
        self.chooser().took(prefix, time);
    }

    /// Tasks with this prefix cannot be called in processes.
    pub(super) fn refuses(&self, prefix: &str, reason: &str) {
        self.chooser().refuses(prefix, reason);
    }

    /// Where tasks with this prefix are called and why, in words.
    pub(crate) fn explain(&self, prefix: &str) -> Option<String> {
        self.chooser().explain(prefix)
    }

    /// True if some task of a run, of those that are looked at, is called in a process.
    pub(crate) fn sends_any_of(&self, active: &ActiveRun) -> bool {
        /// Tasks of a kind mostly come many at a time.
        const LOOKS: usize = 64;
        let plan = active.run.plan();
        let step = (plan.len() / LOOKS).max(1);
        let chooser = self.chooser();
        plan.tasks().step_by(step).any(|task| chooser.is_elsewhere(&plan.key(task).prefix()))
    }
}

fn sample(fleet: &Weak<Fleet>, crew: &Weak<Crew>) {
    let mut pause = BETWEEN;
    loop {
        std::thread::park_timeout(pause);
        let (Some(fleet), Some(crew)) = (fleet.upgrade(), crew.upgrade()) else { return };
        let (_, runs) = crew.runs();
        let is_open = |active: &&Arc<ActiveRun>| active.run.policy().placement == Placement::Auto;
        let open: Vec<_> = runs.iter().filter(is_open).cloned().collect();
        drop(runs);
        if open.is_empty() {
            fleet.is_sampling.store(false, Ordering::Release);
            // One that has begun meanwhile has found somebody sampling.
            let (_, runs) = crew.runs();
            if !runs.iter().any(|active| is_open(&active)) {
                return;
            }
            if fleet.is_sampling.swap(true, Ordering::AcqRel) {
                return;
            }
            continue;
        }
        pause = if look(&fleet, &crew, &open) { BETWEEN } else { SELDOM };
    }
}

/// Looks once; false if there was nothing to be learned.
fn look(fleet: &Fleet, crew: &Crew, open: &[Arc<ActiveRun>]) -> bool {
    let prefixes_in = |active: &Arc<ActiveRun>| -> Vec<String> {
        let plan = active.run.plan();
        active.run.running().map(|task| plan.key(task).prefix().into_owned()).collect()
    };
    let all = || open.iter().flat_map(&prefixes_in).collect::<BTreeSet<String>>();
    let before = all();
    let undecided = |prefix: &String| !fleet.chooser().is_decided(prefix);
    if !before.iter().any(undecided) {
        return before.is_empty();
    }
    let Some(waited) = fleet.program().knock() else { return false };
    // What has ended or begun meanwhile may be to blame or not.
    let running: Vec<String> = all().intersection(&before).cloned().collect();
    for prefix in &running {
        fleet.chooser().knocked(prefix, waited);
    }
    let workers = open.first().map_or(1, |active| active.run.workers_in_all());
    let is_warm = fleet.is_warm();
    for active in open {
        let left = active.run.tasks().saturating_sub(active.run.started());
        let mut sends = false;
        for prefix in prefixes_in(active) {
            sends |= fleet.chooser().decide(&prefix, left, workers, is_warm);
        }
        if sends {
            active.is_elsewhere.store(true, Ordering::Release);
            (0..workers).for_each(|_| crew.wake_one());
        }
    }
    true
}
