//! The state in which a run starts: all of a plan, or what is left of it when some values are known.

use super::TaskId;
use crate::graph::Plan;
use crate::value::Value;

/// What a task has that does not run in this run: its value was answered, or nobody needs it.
pub(super) const SKIPPED: u32 = u32::MAX - 1;

/// The starting state of a run's arrays.
pub(super) struct Start {
    /// By task: how many of its inputs are not there yet, or `SKIPPED`.
    pub(super) pending: Vec<u32>,
    /// By task: how often its value will be used.
    pub(super) uses: Vec<u32>,
    /// The tasks that can start at once, if they are not the plan's roots.
    pub(super) roots: Option<Box<[TaskId]>>,
    /// How many tasks run.
    pub(super) tasks: u32,
    /// How many completions the end of the run takes.
    pub(super) ends: u32,
}

fn count(items: usize) -> u32 {
    u32::try_from(items).expect("a plan has at most 2^32 tasks")
}

impl Start {
    /// All tasks of the plan run.
    pub(super) fn whole(plan: &Plan) -> Self {
        let pending = plan.tasks().map(|task| count(plan.dependencies(task).len())).collect();
        let mut uses: Vec<u32> =
            plan.tasks().map(|task| count(plan.dependents(task).len())).collect();
        let ends = count(uses.iter().filter(|uses| **uses == 0).count());
        for output in plan.outputs() {
            uses[output.index()] += 1;
        }
        Self { pending, uses, roots: None, tasks: count(plan.len()), ends }
    }

    /// Some tasks were answered: they do not run, nor does what only they need.
    pub(super) fn without(plan: &Plan, answers: &[(TaskId, Value)]) -> Self {
        let mut answered = vec![false; plan.len()];
        for (task, _) in answers {
            answered[task.index()] = true;
        }
        let mut pending = vec![SKIPPED; plan.len()];
        let mut uses = vec![0; plan.len()];
        let (mut roots, mut tasks) = (Vec::new(), 0);
        let mut left: Vec<TaskId> = Vec::new();
        for output in plan.outputs() {
            uses[output.index()] += 1;
            if !answered[output.index()] {
                left.push(*output);
            }
        }
        while let Some(task) = left.pop() {
            if pending[task.index()] != SKIPPED {
                continue;
            }
            tasks += 1;
            pending[task.index()] = 0;
            for dependency in plan.dependencies(task) {
                uses[dependency.index()] += 1;
                if !answered[dependency.index()] {
                    pending[task.index()] += 1;
                    left.push(*dependency);
                }
            }
            if pending[task.index()] == 0 {
                roots.push(task);
            }
        }
        roots.sort_unstable();
        Self { pending, uses, roots: Some(roots.into()), tasks, ends: tasks }
    }
}
