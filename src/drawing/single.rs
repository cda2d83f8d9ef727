//! A diagram with a node for each task, and for each datum of the graph that tasks take.

use std::collections::BTreeMap;

use super::diagram::{Diagram, DiagramEdge, DiagramNode, NodeKind};
use super::source::{Measured, Prefixes, Source};
use crate::graph::{Plan, TaskId};

/// One node a task.
pub(super) fn single(source: &Source<'_>) -> Diagram {
    let mut prefixes = source.prefixes();
    let measured = source.measured();
    let tasks = u32::try_from(source.len()).expect("a run has at most 2^32 tasks");
    let mut diagram = Diagram { tasks: u64::from(tasks), ..Diagram::default() };
    let mut needs = Vec::new();
    for task in 0..tasks {
        let measured = measured.get(task as usize).copied().unwrap_or_default();
        diagram.nodes.push(node(source, task, prefixes.of[task as usize], measured));
        source.find_needs(task, &mut needs);
        let edges = needs.iter().map(|needed| DiagramEdge { from: *needed, to: task, count: 1 });
        diagram.edges.extend(edges);
    }
    if let Source::Plan(plan) = source {
        add_data(&mut diagram, plan, &mut prefixes);
    }
    diagram.prefixes = prefixes.names;
    diagram
}

fn node(source: &Source<'_>, task: u32, prefix: u32, measured: Measured) -> DiagramNode {
    DiagramNode {
        kind: NodeKind::Task,
        label: source.key(task),
        prefix,
        function: source.function(task),
        order: Some(task),
        tasks: 1,
        seconds: measured.seconds,
        bytes: measured.bytes,
        failed: u64::from(measured.has_failed),
        cached: u64::from(measured.is_cached),
        wanted: u64::from(source.is_wanted(task)),
        within: 0,
    }
}

/// Adds the keys that stand for data, with arrows to the tasks that take them.
fn add_data(diagram: &mut Diagram, plan: &Plan, prefixes: &mut Prefixes) {
    let mut known = BTreeMap::new();
    let mut taken = Vec::new();
    for task in plan.tasks() {
        for (datum, key) in plan.data_of(task) {
            let from = *known.entry(datum).or_insert_with(|| {
                diagram.nodes.push(DiagramNode {
                    kind: NodeKind::Data,
                    label: key.to_string(),
                    prefix: prefixes.find_or_add(&key.prefix()),
                    ..DiagramNode::default()
                });
                u32::try_from(diagram.nodes.len() - 1).expect("a graph has at most 2^32 keys")
            });
            taken.push(from);
        }
        taken.sort_unstable();
        taken.dedup();
        let TaskId(to) = task;
        diagram.edges.extend(taken.drain(..).map(|from| DiagramEdge { from, to, count: 1 }));
    }
}
