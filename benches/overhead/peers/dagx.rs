//! The crate `dagx`: typed async tasks with at most eight inputs, here on tokio's runtime.
//!
//! A task with more than three inputs becomes a small tree of sums; those extra tasks aren't counted
//! in the time per task.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the library hands inputs over by reference"
)]

use std::sync::Arc;

// The macro `dagx::task` names the trait without a path.
use dagx::{DagRunner, Task, TaskHandle, task};
use tokio::runtime::{Builder, Runtime};

use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::Work;

/// Starts the runtime.
pub(crate) fn start(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(workers).build()?;
    Ok(Box::new(Dagx { runtime, prepared: None, built: None }))
}

/// A runtime and what it runs next.
struct Dagx {
    runtime: Runtime,
    prepared: Option<(Arc<Shape>, Work)>,
    /// The graph and its last task; a graph runs once.
    built: Option<(DagRunner, TaskHandle<u64>)>,
}

impl Subject for Dagx {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        self.prepared = Some((Arc::clone(shape), work));
        Ok(())
    }

    fn before_run(&mut self) -> Result<(), Failure> {
        let (shape, work) = self.prepared.as_ref().ok_or("nothing is prepared")?;
        let dag = DagRunner::new();
        let mut handles = Vec::new();
        for task in shape.ids() {
            let inputs = shape.inputs(task).iter().map(|&input| handles[input as usize]);
            let handle = add(&dag, (task, *work), inputs.collect());
            handles.push(handle);
        }
        let output = handles.pop().ok_or("the shape is empty")?;
        self.built = Some((dag, output));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let (dag, output) = self.built.as_ref().ok_or("nothing is built")?;
        self.runtime.block_on(dag.run(|future| drop(tokio::spawn(future))))?;
        Ok(dag.get(*output)?)
    }

    fn release(&mut self) {
        self.built = None;
    }

    fn clear(&mut self) {
        self.prepared = None;
    }
}

/// A task's number and work.
type Job = (u32, Work);

/// Adds a task, after sums over sevens and pairs until three inputs are left.
fn add(dag: &DagRunner, job: Job, mut inputs: Vec<TaskHandle<u64>>) -> TaskHandle<u64> {
    while inputs.len() > 3 {
        let width = if inputs.len() < 7 { 2 } else { 7 };
        inputs = inputs.chunks(width).flat_map(|few| sum(dag, few)).collect();
    }
    match inputs[..] {
        [] => dag.add_task(Root(job)).into(),
        [a] => dag.add_task(One(job)).depends_on(a),
        [a, b] => dag.add_task(Two(job)).depends_on((&a, &b)),
        [a, b, c] => dag.add_task(Three(job)).depends_on((&a, &b, &c)),
        _ => unreachable!("the loop leaves at most three"),
    }
}

/// One task in the place of two or seven; other numbers are left as they are.
fn sum(dag: &DagRunner, inputs: &[TaskHandle<u64>]) -> Vec<TaskHandle<u64>> {
    if let [a, b] = inputs {
        vec![dag.add_task(Two((0, Work::Trivial))).depends_on((a, b))]
    } else if let Ok(i) = <&[TaskHandle<u64>; 7]>::try_from(inputs) {
        let all = (&i[0], &i[1], &i[2], &i[3], &i[4], &i[5], &i[6]);
        vec![dag.add_task(Seven).depends_on(all)]
    } else {
        inputs.to_vec()
    }
}

struct Root(Job);

#[task]
impl Root {
    fn run(&self) -> u64 {
        self.0.1.run(self.0.0, [].into_iter())
    }
}

struct One(Job);

#[task]
impl One {
    fn run(&self, a: &u64) -> u64 {
        self.0.1.run(self.0.0, [*a].into_iter())
    }
}

struct Two(Job);

#[task]
impl Two {
    fn run(&self, a: &u64, b: &u64) -> u64 {
        self.0.1.run(self.0.0, [*a, *b].into_iter())
    }
}

struct Three(Job);

#[task]
impl Three {
    fn run(&self, a: &u64, b: &u64, c: &u64) -> u64 {
        self.0.1.run(self.0.0, [*a, *b, *c].into_iter())
    }
}

struct Seven;

#[task]
impl Seven {
    fn run(
        first: &u64,
        second: &u64,
        third: &u64,
        fourth: &u64,
        fifth: &u64,
        sixth: &u64,
        seventh: &u64,
    ) -> u64 {
        let all = [first, second, third, fourth, fifth, sixth, seventh];
        all.into_iter().fold(0, |sum, value| sum.wrapping_add(*value))
    }
}
