//! Small plans by their shape, of tasks that add whole numbers, and workers that run them by hand.
//!
//! A [`Bench`] is a run with what a test wants to do to it, without a cluster around.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use mobula::engine::{Completion, Memory, Pins, Policy, Resources, Run, RunId, Ticket, WorkerId};
use mobula::{Arg, Func, Graph, Key, Outcome, Outputs, Plan, Results, Task, TaskId, Value};

/// One more than all inputs together, so every task tells in how many ways it is reached.
fn one_more(items: Vec<i64>) -> i64 {
    items.into_iter().sum::<i64>() + 1
}

/// A plan of tasks 0, 1, .. with these inputs each; the last one is wanted.
pub(crate) fn plan<const N: usize>(inputs: [&[i64]; N]) -> Arc<Plan> {
    let last = i64::try_from(N).expect("it is small") - 1;
    plan_for(inputs, last)
}

/// The same for other wanted keys.
pub(crate) fn plan_for<const N: usize>(
    inputs: [&[i64]; N],
    outputs: impl Into<Outputs>,
) -> Arc<Plan> {
    plan_of(&inputs, outputs)
}

/// The same for any number of tasks.
pub(crate) fn plan_of(inputs: &[impl AsRef<[i64]>], outputs: impl Into<Outputs>) -> Arc<Plan> {
    let mut graph = Graph::new();
    for (key, inputs) in (0_i64..).zip(inputs) {
        let inputs = inputs.as_ref().iter().map(|input| Arg::Key(Key::from(*input)));
        graph.insert(key, Task::new(Func::new(one_more), [Arg::List(inputs.collect())]));
    }
    Arc::new(Plan::new(graph, outputs).expect("the plan of a test is good"))
}

/// So many tasks, all wanted, that do not need each other.
pub(crate) fn independent(tasks: i64) -> Arc<Plan> {
    let mut graph = Graph::new();
    for key in 0..tasks {
        graph.insert(key, Task::new(Func::new(move || key), [] as [Arg; 0]));
    }
    let outputs: Vec<i64> = (0..tasks).collect();
    Arc::new(Plan::new(graph, outputs).expect("the plan of a test is good"))
}

/// What runs need whose values all stay in memory, however much they take.
pub(crate) fn plain_resources(workers: usize) -> Resources {
    Resources { workers, memory: Arc::new(Memory::new(workers, None)), keeper: None }
}

/// The results of a run that is done and whose values are in memory.
pub(crate) fn gather(run: &Arc<Run>) -> Results {
    let gathered = run.gather().now_or_never().expect("all values are in memory");
    gathered.expect("no value is lost")
}

/// A run and the memory in which its values are counted.
pub(crate) struct Bench {
    pub(crate) run: Arc<Run>,
    pub(crate) memory: Arc<Memory>,
}

impl Bench {
    /// A run of a plan by so many workers.
    pub(crate) fn new(plan: Arc<Plan>, workers: usize) -> Self {
        Self::with_answers(plan, workers, &[])
    }

    /// The same, where the values of some tasks are known at the start.
    pub(crate) fn with_answers(plan: Arc<Plan>, workers: usize, answers: &[(u32, i64)]) -> Self {
        Self::any(1, plan, workers, answers)
    }

    /// A run with this number.
    pub(crate) fn numbered(id: u64, plan: Arc<Plan>, workers: usize) -> Self {
        Self::any(id, plan, workers, &[])
    }

    fn any(id: u64, plan: Arc<Plan>, workers: usize, answers: &[(u32, i64)]) -> Self {
        Self::with_resources(id, plan, plain_resources(workers), answers)
    }

    /// A run whose values may have to leave memory.
    pub(crate) fn with_resources(
        id: u64,
        plan: Arc<Plan>,
        resources: Resources,
        answers: &[(u32, i64)],
    ) -> Self {
        let answers = answers.iter().map(|(task, value)| (TaskId(*task), Value::new(*value)));
        let run = Arc::new(Run::new(RunId(id), plan, &resources, answers.collect()));
        Self { run, memory: resources.memory }
    }

    /// The same run with another policy. To be said before anybody else has a pointer to it.
    pub(crate) fn under(self, policy: Policy) -> Self {
        let run = Arc::into_inner(self.run).expect("nobody else has a pointer to the run");
        Self { run: Arc::new(run.under(policy)), memory: self.memory }
    }

    /// The results of the run, which is done.
    pub(crate) fn gather(&self) -> Results {
        gather(&self.run)
    }

    /// What the worker takes by itself.
    pub(crate) fn next(&self, worker: u32) -> Option<Ticket> {
        self.run.next(WorkerId(worker))
    }

    /// Starts a task and calls it. Its inputs are given away where nobody else needs them.
    pub(crate) fn call(&self, worker: u32, ticket: &Ticket) -> Value {
        self.run.start(WorkerId(worker), ticket);
        match self
            .run
            .call(WorkerId(worker), ticket, false, &mut Pins::default())
            .expect("the call is good")
        {
            Outcome::Ready(value) => value,
            Outcome::Later(_) => unreachable!("no task is asynchronous"),
        }
    }

    /// Runs a task from its start to its end.
    pub(crate) fn do_task(&self, worker: u32, ticket: Ticket) -> Completion {
        let value = self.call(worker, &ticket);
        let completion = self.run.complete(WorkerId(worker), ticket, value);
        self.run.check_invariants();
        completion
    }

    /// One worker alone runs whatever is left. Answers the tasks in the order of their starts.
    pub(crate) fn finish(&self, worker: u32) -> Vec<u32> {
        let mut order = Vec::new();
        let mut next = self.next(worker);
        while let Some(ticket) = next {
            order.push(ticket.task().0);
            next = self.do_task(worker, ticket).next;
        }
        order
    }

    /// How many values the ledger counts.
    pub(crate) fn values(&self) -> u64 {
        self.memory.ledger().holdings().values
    }

    /// Tells the run how long a task takes.
    pub(crate) fn tasks_take(&self, time: Duration) {
        self.run.measured(1, time);
        assert_eq!(self.run.task_time(), Some(time));
    }
}

/// The tasks of some tickets, which are dropped.
pub(crate) fn numbers(tickets: impl IntoIterator<Item = Ticket>) -> Vec<u32> {
    tickets.into_iter().map(|ticket| ticket.task().0).collect()
}
