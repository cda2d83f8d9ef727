//! Graphs of runs, as positions to draw.

use serde::Serialize;

use crate::drawing::{Drawing, Layout};
use crate::monitor::{LiveGraph, PREFIXES_SHOWN};

/// Each of so many tasks is drawn; of more, groups.
const MOST_TASKS: usize = 2_000;

/// A graph to be drawn.
#[derive(Serialize)]
pub(super) struct Graph {
    run: u64,
    /// How many tasks there are.
    tasks: u64,
    /// True if a node stands for all tasks with one key prefix.
    grouped: bool,
    width: f32,
    height: f32,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Serialize)]
struct Node {
    /// The middle of the box.
    x: f32,
    y: f32,
    w: f32,
    h: f32,
    label: String,
    prefix: String,
    /// The number of the task, if it is one.
    task: Option<u32>,
    /// How many tasks it stands for.
    tasks: u64,
    /// How it stands, as in [`LiveGraph::states`].
    state: u8,
}

#[derive(Serialize)]
struct Edge {
    from: u32,
    to: u32,
    points: Vec<(f32, f32)>,
}

/// How the tasks of a run stand, one digit a task.
#[derive(Serialize)]
pub(super) struct States {
    run: u64,
    states: String,
}

pub(super) fn states_of(live: &LiveGraph) -> States {
    let states = live.states.iter().map(|state| char::from(b'0' + state.min(&9)));
    States { run: live.run.id, states: states.collect() }
}

/// The size of a box: wide enough for the beginning of its label.
#[expect(clippy::cast_precision_loss, reason = "a label has few characters")]
fn size(label: &str) -> (f32, f32) {
    const LONGEST: usize = 22;
    (24.0 + 7.0 * label.chars().count().min(LONGEST) as f32, 34.0)
}

pub(super) fn graph_of(live: &LiveGraph) -> Graph {
    let drawing = Drawing::of_tasks(&live.run);
    let is_large = live.run.graph.keys.len() > MOST_TASKS;
    let drawing = if is_large { drawing.grouped_above(PREFIXES_SHOWN) } else { drawing };
    let diagram = drawing.diagram();
    let sizes: Vec<_> = diagram.nodes.iter().map(|node| size(&node.label)).collect();
    let ends: Vec<_> = diagram.edges.iter().map(|edge| (edge.from, edge.to)).collect();
    let layout = Layout::of(&sizes, &ends);
    let state = |task: Option<u32>| task.and_then(|task| live.states.get(task as usize).copied());
    let nodes =
        diagram.nodes.into_iter().zip(&layout.nodes).zip(sizes).map(|((node, at), size)| {
            let task = node.order.filter(|_| !diagram.is_grouped);
            Node {
                x: at.0,
                y: at.1,
                w: size.0,
                h: size.1,
                prefix: diagram.prefixes.get(node.prefix as usize).cloned().unwrap_or_default(),
                label: node.label,
                task,
                tasks: node.tasks,
                state: state(task).unwrap_or(0),
            }
        });
    let nodes = nodes.collect();
    let edges = ends.iter().zip(layout.edges);
    let edges = edges.map(|((from, to), points)| Edge { from: *from, to: *to, points });
    Graph {
        run: live.run.id,
        tasks: diagram.tasks,
        grouped: diagram.is_grouped,
        width: layout.width,
        height: layout.height,
        nodes,
        edges: edges.collect(),
    }
}
