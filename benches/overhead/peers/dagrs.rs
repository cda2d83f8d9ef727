//! The crate `dagrs`: async nodes that send their values through channels, on tokio's runtime.

use std::sync::Arc;

use dagrs::async_trait::async_trait;
use dagrs::{
    Action, Content, DefaultNode, EnvVar, Graph, InChannels, Node, NodeId, NodeTable, OutChannels,
    Output,
};
use tokio::runtime::{Builder, Runtime};

use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::Work;

/// Starts the runtime.
pub(crate) fn start(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    Ok(Box::new(Dagrs { runtime, prepared: None, built: None }))
}

/// A runtime and what it runs next.
struct Dagrs {
    runtime: Runtime,
    prepared: Option<(Arc<Shape>, Work)>,
    /// The graph and its last node; a graph runs once.
    built: Option<(Graph, NodeId)>,
}

impl Subject for Dagrs {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        self.prepared = Some((Arc::clone(shape), work));
        Ok(())
    }

    fn before_run(&mut self) -> Result<(), Failure> {
        let (shape, work) = self.prepared.as_ref().ok_or("nothing is prepared")?;
        let (mut table, mut graph, mut ids) = (NodeTable::new(), Graph::new(), Vec::new());
        for task in shape.ids() {
            let action = Job { task, work: *work };
            let node = DefaultNode::with_action(task.to_string(), action, &mut table);
            ids.push(node.id());
            graph.add_node(node).map_err(|error| error.to_string())?;
        }
        for task in shape.ids() {
            let dependents: Vec<NodeId> =
                shape.dependents(task).iter().map(|&dependent| ids[dependent as usize]).collect();
            graph.add_edge(ids[task as usize], dependents).map_err(|error| error.to_string())?;
        }
        graph.set_env(EnvVar::new(table));
        self.built = Some((graph, ids.pop().ok_or("the shape is empty")?));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let (graph, output) = self.built.as_mut().ok_or("nothing is built")?;
        self.runtime.block_on(graph.async_start()).map_err(|error| error.to_string())?;
        let outputs = graph.get_outputs();
        let content = outputs.get(output).and_then(Output::get_out);
        Ok(*content.as_ref().and_then(Content::get).ok_or("the output has no value")?)
    }

    fn release(&mut self) {
        self.built = None;
    }

    fn clear(&mut self) {
        self.prepared = None;
    }
}

/// The action of one node.
struct Job {
    task: u32,
    work: Work,
}

#[async_trait]
impl Action for Job {
    async fn run(
        &self,
        inputs: &mut InChannels,
        outputs: &mut OutChannels,
        _environment: Arc<EnvVar>,
    ) -> Output {
        let received = inputs.map(|content| content.ok()?.get::<u64>().copied()).await;
        let Some(received) = received.into_iter().collect::<Option<Vec<u64>>>() else {
            return Output::execution_failed("an input is missing");
        };
        let value = Content::new(self.work.run(self.task, received.into_iter()));
        outputs.broadcast(value.clone()).await;
        Output::Out(Some(value))
    }
}
