//! A run by dependency counters, as one writes it by hand on a thread pool; used on rayon and tokio.
//!
//! Each task has a counter of the inputs that are still missing and a slot for its value. Whoever
//! completes the last input makes the task ready. How ready tasks get to threads is the pool's part.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

use crate::shapes::Shape;
use crate::work::{Function, Value, Work, functions, number};

/// What outlives a run: the graph and its tasks' functions.
pub(super) struct Plan {
    shape: Arc<Shape>,
    functions: Vec<Function>,
}

impl Plan {
    /// Gets ready to run the shape any number of times.
    pub(super) fn new(shape: &Arc<Shape>, work: Work) -> Self {
        Self { shape: Arc::clone(shape), functions: functions(shape, work) }
    }

    /// The graph.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// The state of one run.
pub(super) struct Countdown {
    plan: Arc<Plan>,
    /// How many inputs of each task are still missing; whoever completes an input counts down.
    missing: Vec<AtomicU32>,
    /// The value of each task, written once by whoever runs it.
    values: Vec<OnceLock<Value>>,
}

impl Countdown {
    /// A run of which nothing has happened yet.
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        let shape = plan.shape();
        let missing =
            |task| u32::try_from(shape.inputs(task).len()).expect("fewer than 2^32 tasks");
        Self {
            plan: Arc::clone(plan),
            missing: shape.ids().map(|task| AtomicU32::new(missing(task))).collect(),
            values: shape.ids().map(|_| OnceLock::new()).collect(),
        }
    }

    /// The graph.
    pub(super) fn shape(&self) -> &Shape {
        self.plan.shape()
    }

    /// Runs a ready task and calls `ready` for each task of which this was the last input.
    pub(super) fn run(&self, task: u32, mut ready: impl FnMut(u32)) {
        let inputs: SmallVec<[&Value; 8]> =
            self.shape().inputs(task).iter().map(|&input| self.value(input)).collect();
        let value = self.plan.functions[task as usize](&inputs);
        assert!(self.values[task as usize].set(value).is_ok(), "task {task} ran twice");
        for &dependent in self.shape().dependents(task) {
            let missing = &self.missing[dependent as usize];
            // A counter that reads one is nobody else's any more: no need to write to it.
            if missing.load(Ordering::Acquire) == 1 || missing.fetch_sub(1, Ordering::AcqRel) == 1 {
                ready(dependent);
            }
        }
    }

    /// The value of the output after a run.
    pub(super) fn result(&self) -> u64 {
        number(self.value(self.shape().output()))
    }

    /// The value of a task that has run.
    fn value(&self, task: u32) -> &Value {
        self.values[task as usize].get().expect("a ready task's inputs have run")
    }
}
