//! Mobula through its public API: a graph of type-erased functions, planned once, run many times.

use std::sync::Arc;

use mobula::{
    CallError, CallbackBuilder, CallbackGuard, Client, Cluster, Func, Function, Graph, Input, Node,
    Outcome, Plan, Task, Value,
};

use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::Work;

/// Starts a cluster without callbacks.
pub(crate) fn start(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    Ok(Box::new(Mobula { cluster: cluster(workers)?, _hooks: None, plan: None }))
}

/// Starts a cluster with one `pretask`/`posttask` pair that hands a number from one to the other.
pub(crate) fn start_with_hooks(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    let cluster = cluster(workers)?;
    let pair = CallbackBuilder::new().around(|_, _| 1_u64, |_, _, _one: u64| Ok(()));
    let hooks = Some(cluster.register(pair));
    Ok(Box::new(Mobula { cluster, _hooks: hooks, plan: None }))
}

fn cluster(workers: usize) -> Result<Cluster, Failure> {
    Ok(Cluster::builder().workers(workers).start()?)
}

/// A cluster.
struct Mobula {
    _hooks: Option<CallbackGuard>,
    cluster: Cluster,
    plan: Option<Arc<Plan>>,
}

impl Subject for Mobula {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        self.plan = Some(Arc::new(plan(shape, work)?));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let plan = self.plan.as_ref().ok_or("nothing is prepared")?;
        run(&self.cluster, plan)
    }

    fn release(&mut self) {
        if let Some(plan) = &self.plan {
            wait_for_release(plan);
        }
    }

    fn clear(&mut self) {
        self.plan = None;
    }
}

/// The plan of a shape, under automatic keys.
pub(crate) fn plan(shape: &Shape, work: Work) -> Result<Plan, Failure> {
    let mut graph = Graph::with_capacity(shape.tasks() as usize);
    let mut nodes: Vec<Node> = Vec::with_capacity(shape.tasks() as usize);
    for task in shape.ids() {
        let inputs = shape.inputs(task).iter().map(|input| nodes[*input as usize]);
        let func = Func::from_function(Body { task, work });
        let node = graph.add(Task::new(func, inputs));
        nodes.push(node);
    }
    let output = nodes[shape.output() as usize];
    Ok(Plan::new(graph, output)?)
}

/// Runs a plan and answers the value of its output.
pub(crate) fn run(client: &Client, plan: &Arc<Plan>) -> Result<u64, Failure> {
    let results = client.run(Arc::clone(plan)).wait()?;
    Ok(*results.get::<u64>().ok_or("the result is no number")?)
}

/// Waits until nothing of the last run is left. Its memory is freed by whoever lets go of it last,
/// which may be a worker or the scheduler a moment after the result is there; a run holds its plan.
pub(crate) fn wait_for_release(plan: &Arc<Plan>) {
    while Arc::strong_count(plan) > 1 {
        std::thread::yield_now();
    }
}

/// The function of one task.
struct Body {
    task: u32,
    work: Work,
}

impl Function for Body {
    fn name(&self) -> &'static str {
        "body"
    }

    fn arity(&self) -> Option<usize> {
        None
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        let number = |input: &Input<'_>| {
            *input.value().downcast_ref::<u64>().expect("every task gives a u64")
        };
        Ok(Outcome::Ready(Value::new(self.work.run(self.task, inputs.iter().map(number)))))
    }
}
