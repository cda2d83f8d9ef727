//! Graphs of runs, as positions to draw.

use serde::Serialize;

use crate::monitor::LiveGraph;

/// A graph to be drawn.
#[derive(Serialize)]
pub(super) struct Graph {
    run: u64,
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

pub(super) fn graph_of(live: &LiveGraph) -> Graph {
    Graph {
        run: live.run.id,
        grouped: false,
        width: 0.0,
        height: 0.0,
        nodes: Vec::<Node>::new(),
        edges: Vec::<Edge>::new(),
    }
}
