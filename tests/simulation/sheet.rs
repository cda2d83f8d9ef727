//! [`Sheet`]: the account that the laws keep of one run.
//!
//! It is made from the blueprint, not from the plan: of the plan only the numbers of the tasks are used.

use std::collections::{BTreeMap, BTreeSet};

use mobula::engine::{LARGE, RunOutcome, WorkerId};
use mobula::{Key, OnError, Plan, TaskId, Value};

use crate::plan::Blueprint;
use crate::scenario::Submission;

/// The account of one run.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) tasks: Vec<Entry>,
    pub(crate) on_error: OnError,
    /// True if no task of the run is asynchronous.
    pub(crate) synchronous: bool,
    /// How many tasks have to run.
    pub(crate) needed: usize,
    pub(crate) ended: usize,
    /// How many tasks could start now.
    pub(crate) ready: usize,
    /// In the order of their starts.
    pub(crate) starts: Vec<TaskId>,
    pub(crate) published: bool,
    /// Who was told last to start the run, as long as it is there.
    pub(crate) starter: Option<WorkerId>,
    /// Reasons for the end of the run, in the order in which the engine heard of them.
    pub(crate) reasons: Vec<RunOutcome>,
    pub(crate) outcome: Option<RunOutcome>,
    /// Values and bytes that the run holds.
    pub(crate) held: (i64, i64),
}

/// The account of one task.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The node of the blueprint.
    pub(crate) node: usize,
    /// As often as they are used.
    inputs: Vec<TaskId>,
    dependents: Vec<TaskId>,
    pub(crate) missing: usize,
    /// How many uses of the value are left.
    uses: usize,
    wanted: bool,
    /// What the value weighs, while it is held.
    weight: Option<i64>,
    /// True if inputs were given away to the call that goes on, or to one that was lost.
    pub(crate) gave_away: bool,
    pub(crate) state: State,
    pub(crate) retries: u32,
    pub(crate) failures: u32,
    pub(crate) losses: u32,
    /// The same as far as the engine has heard.
    pub(crate) heard_failures: u32,
    pub(crate) heard_losses: u32,
    pub(crate) fate: Fate,
    /// True if it has ended without a value.
    pub(crate) is_missing: bool,
}

/// Whether a task is to have a value, in a run that goes on when one fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Open,
    /// The engine has heard that it failed for good.
    Failed,
    /// The engine has said so.
    Condemned,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is not needed, or its value was known at the start.
    Skipped,
    Waiting,
    Running,
    /// It failed or lost its worker, and the engine has not decided yet.
    Troubled,
    Ended,
}

impl Sheet {
    pub(crate) fn new(submission: &Submission) -> Self {
        let Submission { blueprint, plan, answers, .. } = submission;
        let number_of = numbers(blueprint, plan);
        let mut tasks: Vec<Entry> = Vec::new();
        let needed = blueprint.needed(answers);
        for task in plan.tasks() {
            let node = number_of.node(task);
            let inputs = if needed[node] { blueprint.inputs(node) } else { Vec::new() };
            let missing = inputs.iter().filter(|input| !answers.contains_key(input)).count();
            let inputs = inputs.into_iter().map(|input| number_of.tasks[&input]).collect();
            tasks.push(Entry::new(node, inputs, missing, needed[node], blueprint));
        }
        for output in blueprint.outputs() {
            tasks[number_of.tasks[&output].index()].wanted = true;
        }
        for task in plan.tasks() {
            for input in tasks[task.index()].inputs.clone() {
                tasks[input.index()].dependents.push(task);
            }
        }
        let synchronous = |node: &crate::plan::Node| node.script.awaited.is_none();
        let mut sheet = Self {
            on_error: submission.on_error,
            synchronous: blueprint.nodes.iter().all(synchronous),
            needed: needed.iter().filter(|needed| **needed).count(),
            ended: 0,
            ready: tasks.iter().filter(|task| task.is_ready()).count(),
            starts: Vec::new(),
            published: false,
            starter: None,
            reasons: Vec::new(),
            outcome: None,
            held: (0, 0),
            tasks,
        };
        for entry in &mut sheet.tasks {
            entry.uses = entry.dependents.len() + usize::from(entry.wanted);
            if entry.state == State::Skipped && entry.uses > 0 {
                let number = answers[&entry.node];
                entry.weight = Some(weight(&Value::new(number)));
            }
        }
        let weights = sheet.tasks.iter().filter_map(|task| task.weight);
        sheet.held = weights.fold((0, 0), |(values, bytes), weight| (values + 1, bytes + weight));
        sheet
    }

    /// The task with the best place in the static order among those that could start now.
    pub(crate) fn best_ready(&self) -> Option<TaskId> {
        let ready = self.tasks.iter().position(Entry::is_ready)?;
        Some(TaskId(u32::try_from(ready).expect("a world is small")))
    }

    /// True if the task makes one chain with the task that started last: neither has to do with others.
    pub(crate) fn follows(&self, task: TaskId) -> bool {
        let chained = |last: &TaskId| self.tasks[last.index()].dependents == [task];
        self.tasks[task.index()].inputs.len() == 1 && self.starts.last().is_some_and(chained)
    }

    /// True if the task must not be called: it failed for good, or an input of it is missing.
    pub(crate) fn is_doomed(&self, task: TaskId) -> bool {
        let entry = &self.tasks[task.index()];
        entry.fate == Fate::Condemned
            || entry.inputs.iter().any(|input| self.tasks[input.index()].is_missing)
    }

    /// The engine has heard that a task failed for good.
    pub(crate) fn fails(&mut self, task: TaskId, worker_lost: bool) {
        let entry = &mut self.tasks[task.index()];
        match self.on_error {
            OnError::Raise => self.reasons.push(RunOutcome::Failed {
                task,
                attempts: entry.heard_failures + entry.heard_losses,
                worker_lost,
            }),
            OnError::Skip | OnError::Collect => entry.fate = entry.fate.max(Fate::Failed),
        }
    }

    /// The engine has heard that an input of a task is lost.
    pub(crate) fn loses_input(&mut self, task: TaskId) {
        let entry = &mut self.tasks[task.index()];
        entry.heard_failures += 1;
        let attempts = entry.heard_failures + entry.heard_losses;
        self.reasons.push(RunOutcome::Failed { task, attempts, worker_lost: false });
    }

    /// The nodes whose tasks failed for good.
    pub(crate) fn failed(&self) -> BTreeSet<usize> {
        self.tasks.iter().filter(|task| task.is_condemned()).map(|task| task.node).collect()
    }

    /// Takes a step of a task down in the account.
    pub(crate) fn change(&mut self, task: TaskId, from: State, to: State) {
        let state = &mut self.tasks[task.index()].state;
        assert_eq!(*state, from, "law: each task ends once, step by step ({task:?} to {to:?})");
        *state = to;
    }

    /// The call of a task takes the inputs that only it still needs. Answers what is held less.
    pub(crate) fn gives_inputs_away(&mut self, task: TaskId) -> (i64, i64) {
        let mut change = (0, 0);
        for input in self.tasks[task.index()].inputs.clone() {
            let entry = &mut self.tasks[input.index()];
            if entry.uses == 1 {
                entry.uses = 0;
                add(&mut change, entry.goes());
                self.tasks[task.index()].gave_away = true;
            }
        }
        self.holds(change)
    }

    /// A task has its value; what only it needed goes. Answers the change of what is held.
    pub(crate) fn ends(&mut self, task: TaskId, value: &Value) -> (i64, i64) {
        let entry = &mut self.tasks[task.index()];
        entry.weight = Some(weight(value));
        let mut change = (1, weight(value));
        for input in entry.inputs.clone() {
            let entry = &mut self.tasks[input.index()];
            let before = entry.uses;
            entry.uses = before.saturating_sub(1);
            if before == 1 {
                add(&mut change, entry.goes());
            }
        }
        self.ended += 1;
        for dependent in self.tasks[task.index()].dependents.clone() {
            let entry = &mut self.tasks[dependent.index()];
            entry.missing -= 1;
            self.ready += usize::from(entry.is_ready());
        }
        self.holds(change)
    }

    /// What goes when the task ends, in bytes.
    pub(crate) fn ends_with(&self, task: TaskId) -> u64 {
        let inputs = self.tasks[task.index()].inputs.iter().map(|input| &self.tasks[input.index()]);
        let last = inputs.filter(|input| input.uses == 1).filter_map(|input| input.weight);
        last.map(i64::cast_unsigned).sum()
    }

    /// The inputs of a task that a keeper has, if there is one.
    pub(crate) fn large_inputs(&self, task: TaskId) -> impl Iterator<Item = TaskId> {
        let is_large = |input: &&TaskId| self.tasks[input.index()].is_large();
        self.tasks[task.index()].inputs.iter().filter(is_large).copied()
    }

    /// The caller takes the outputs: first those in their slots, then those that the keeper has, if
    /// there is one. Answers the change of what is held.
    pub(crate) fn hands_over(&mut self, kept: bool) -> (i64, i64) {
        let mut change = (0, 0);
        let outputs = self.tasks.iter_mut().filter(|entry| entry.wanted);
        for entry in outputs.filter(|entry| entry.is_large() == kept) {
            add(&mut change, entry.goes());
        }
        self.holds(change)
    }

    fn holds(&mut self, change: (i64, i64)) -> (i64, i64) {
        add(&mut self.held, change);
        change
    }
}

impl Entry {
    fn new(
        node: usize,
        inputs: Vec<TaskId>,
        missing: usize,
        needed: bool,
        blueprint: &Blueprint,
    ) -> Self {
        Self {
            node,
            inputs,
            dependents: Vec::new(),
            missing,
            uses: 0,
            wanted: false,
            weight: None,
            gave_away: false,
            state: if needed { State::Waiting } else { State::Skipped },
            retries: blueprint.nodes[node].script.retries,
            failures: 0,
            losses: 0,
            heard_failures: 0,
            heard_losses: 0,
            fate: Fate::Open,
            is_missing: false,
        }
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.fate == Fate::Condemned
    }

    fn is_ready(&self) -> bool {
        self.state == State::Waiting && self.missing == 0
    }

    fn is_large(&self) -> bool {
        self.weight.is_some_and(|weight| weight >= LARGE.cast_signed() as i64)
    }

    /// The value goes. Answers what is held less.
    fn goes(&mut self) -> (i64, i64) {
        self.weight.take().map_or((0, 0), |weight| (-1, -weight))
    }
}

/// Which task stands for which node.
struct Numbers {
    nodes: Vec<usize>,
    tasks: BTreeMap<usize, TaskId>,
}

impl Numbers {
    fn node(&self, task: TaskId) -> usize {
        self.nodes[task.index()]
    }
}

fn numbers(blueprint: &Blueprint, plan: &Plan) -> Numbers {
    let keys = blueprint.nodes.iter().enumerate();
    let keys: BTreeMap<&Key, usize> = keys.map(|(at, node)| (&node.key, at)).collect();
    let nodes: Vec<usize> = plan.tasks().map(|task| keys[plan.key(task)]).collect();
    let tasks: BTreeMap<usize, TaskId> =
        plan.tasks().map(|task| (nodes[task.index()], task)).collect();
    let needed = blueprint.needed(&BTreeMap::new());
    let planned = (0..needed.len()).map(|node| tasks.contains_key(&node));
    assert!(planned.eq(needed), "law: just what is wanted is planned, each once");
    Numbers { nodes, tasks }
}

fn weight(value: &Value) -> i64 {
    i64::try_from(value.bytes()).expect("a world is small")
}

fn add(sum: &mut (i64, i64), change: (i64, i64)) {
    sum.0 += change.0;
    sum.1 += change.1;
}
