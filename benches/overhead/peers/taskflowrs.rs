//! The crate `taskflowrs`: closures without values, ordered by edges; values go through slots.

use std::sync::{Arc, OnceLock};

use taskflowrs::{Executor, Taskflow};

use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::Work;

/// Starts the executor; its threads start anew in each run.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of all subjects")]
pub(crate) fn start(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    Ok(Box::new(Flow { executor: Executor::new(workers), prepared: None, built: None }))
}

/// An executor and what it runs next.
struct Flow {
    executor: Executor,
    prepared: Option<(Arc<Shape>, Work)>,
    /// A flow and its tasks' values; a flow runs once.
    built: Option<(Taskflow, Values)>,
}

/// The value of each task, written once by its closure.
type Values = Arc<[OnceLock<u64>]>;

impl Subject for Flow {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        self.prepared = Some((Arc::clone(shape), work));
        Ok(())
    }

    fn before_run(&mut self) -> Result<(), Failure> {
        let (shape, work) = self.prepared.as_ref().ok_or("nothing is prepared")?;
        self.built = Some(build(shape, *work));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let (flow, values) = self.built.as_ref().ok_or("nothing is built")?;
        self.executor.run(flow).wait();
        let output = values.last().and_then(OnceLock::get);
        Ok(*output.ok_or("the output has not run")?)
    }

    fn release(&mut self) {
        self.built = None;
    }

    fn clear(&mut self) {
        self.prepared = None;
    }
}

/// The flow of a shape.
fn build(shape: &Arc<Shape>, work: Work) -> (Taskflow, Values) {
    let values: Values = shape.ids().map(|_| OnceLock::new()).collect();
    let mut flow = Taskflow::new();
    let mut handles = Vec::new();
    for task in shape.ids() {
        let (shape_of_task, values_of_run) = (Arc::clone(shape), Arc::clone(&values));
        let handle = flow.emplace(move || {
            let inputs = shape_of_task
                .inputs(task)
                .iter()
                .map(|&input| *values_of_run[input as usize].get().expect("edges order the tasks"));
            let value = work.run(task, inputs);
            assert!(values_of_run[task as usize].set(value).is_ok(), "task {task} ran twice");
        });
        for &input in shape.inputs(task) {
            handle.succeed(&handles[input as usize]);
        }
        handles.push(handle);
    }
    (flow, values)
}
