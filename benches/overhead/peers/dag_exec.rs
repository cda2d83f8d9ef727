//! The crate `dag_exec`: a scheduler thread that hands tasks to workers through bounded queues.

use std::convert::Infallible;
use std::sync::Arc;

use dag_exec::{Dag, DagBuilder, Executor, ExecutorConfig};

use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::Work;

/// Tasks that may wait for each worker; the default of two makes wide graphs ten times slower.
const QUEUE: usize = 1_000;

/// Starts the executor; its threads start anew in each run.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of all subjects")]
pub(crate) fn start(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    let config = ExecutorConfig {
        max_workers: workers,
        max_in_flight: workers * QUEUE,
        worker_queue_cap: QUEUE,
    };
    Ok(Box::new(DagExec { executor: Executor::new(config), prepared: None }))
}

/// An executor and its compiled graph.
struct DagExec {
    executor: Executor,
    /// The graph, which may run many times, and its last task.
    prepared: Option<(Dag<u32, u64, Infallible>, u32)>,
}

impl Subject for DagExec {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        let mut builder = DagBuilder::new();
        for task in shape.ids() {
            builder.add_task(task, shape.inputs(task).to_vec(), move |inputs: &[Arc<u64>]| {
                Ok(work.run(task, inputs.iter().map(|input| **input)))
            })?;
        }
        self.prepared = Some((builder.build()?, shape.output()));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let (dag, output) = self.prepared.as_ref().ok_or("nothing is prepared")?;
        let results = self.executor.run_parallel(dag, [*output])?;
        Ok(**results.get(output).ok_or("the output is missing")?)
    }

    // The library frees values and threads before it answers.
    fn release(&mut self) {}

    fn clear(&mut self) {
        self.prepared = None;
    }
}
