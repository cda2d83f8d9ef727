//! Pictures of plans and of recorded runs.

use std::sync::Arc;

use super::{Color, Drawing, NodeKind};
use crate::graph::{Graph, Key, Plan};
use crate::monitor::{RecordedGraph, RecordedRun, Recording, Span};

fn inc(x: i64) -> i64 {
    x + 1
}

fn add(x: i64, y: i64) -> i64 {
    x + y
}

/// `count` tasks of each of two prefixes, in pairs, and one that needs the last of them.
fn pairs(count: i64) -> Plan {
    let mut graph = Graph::new();
    for number in 0..count {
        graph.insert(("load", number), (inc, number));
        graph.insert(("clean", number), (inc, Key::from(("load", number))));
    }
    let ends: Vec<Key> = (0..count).map(|number| Key::from(("clean", number))).collect();
    Plan::new(graph, ends).expect("the graph has no mistake")
}

/// A run of four tasks: `a` and `b` feed `c`, which feeds `d`.
fn recording() -> Recording {
    let graph = RecordedGraph {
        keys: ["a-1", "b-1", "c-1", "d-<1>"].map(str::to_owned).to_vec(),
        prefixes: vec![0, 1, 2, 3],
        prefix_names: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        needs_starts: vec![0, 0, 0, 2, 3],
        needs: vec![0, 1, 2],
    };
    let run = RecordedRun { graph: Arc::new(graph), cached: vec![1], ..RecordedRun::default() };
    let span =
        |task, from, to, bytes, failed| Span { task, from, to, bytes, failed, ..Span::default() };
    let spans = vec![
        span(0, 0, 2_000_000, 2048, false),
        span(2, 0, 1_000_000, 0, true),
        span(2, 2_000_000, 5_000_000, 10, false),
        span(3, 5_000_000, 6_000_000, 0, true),
        Span { run: 1, ..span(0, 0, 9, 9, false) },
    ];
    Recording { runs: vec![run], spans, ..Recording::default() }
}

#[test]
fn a_plan_shows_tasks_and_data() {
    let plan =
        Plan::new(crate::graph! { "x" => 1, "y" => (add, "x", "x"), "z" => (inc, "y") }, "z");
    let plan = plan.expect("the graph has no mistake");
    let diagram = Drawing::of_plan(&plan).diagram();
    let nodes: Vec<_> = diagram.nodes.iter().map(|node| (node.label.as_str(), node.kind)).collect();
    assert_eq!(nodes, [("y", NodeKind::Task), ("z", NodeKind::Task), ("x", NodeKind::Data)]);
    let edges: Vec<_> = diagram.edges.iter().map(|edge| (edge.from, edge.to, edge.count)).collect();
    assert_eq!(edges, [(0, 1, 1), (2, 0, 1)]);
    assert_eq!((diagram.nodes[1].wanted, diagram.nodes[1].order), (1, Some(1)));
}

#[test]
fn a_run_shows_what_was_measured() {
    let recording = recording();
    let diagram = Drawing::of_run(&recording, 0).diagram();
    let [a, b, c, d] = &diagram.nodes[..] else { panic!("four nodes") };
    assert_eq!((a.seconds, a.bytes, a.failed), (Some(0.002), Some(2048), 0));
    assert_eq!((b.seconds, b.bytes, b.cached), (None, None, 1));
    assert_eq!((c.seconds, c.bytes, c.failed), (Some(0.004), Some(10), 0));
    assert_eq!((d.seconds, d.bytes, d.failed), (Some(0.001), None, 1));
    assert_eq!(diagram.edges.len(), 3);
}

#[test]
fn a_run_that_goes_on_shows_its_tasks() {
    let recording = recording();
    let diagram = Drawing::of_tasks(&recording.runs[0]).diagram();
    assert_eq!((diagram.nodes.len(), diagram.nodes[0].seconds), (4, None));
    assert_eq!(diagram.nodes[1].cached, 1);
    let layout = diagram.layout(Color::Order);
    assert_eq!(layout.sizes.len(), 4);
}

#[test]
fn text_is_escaped_and_frames_have_a_legend() {
    let recording = recording();
    let svg = Drawing::of_run(&recording, 0).to_svg();
    assert!(svg.contains("d-&lt;1&gt;") && !svg.contains("d-<1>"));
    assert!(svg.contains("time: 4 ms") && svg.contains("value: 2 KiB"));
    assert!(svg.contains(">failed<") && svg.contains(">answered by a callback<"));
    assert!(svg.contains("Colour: time in tasks"));
}

#[test]
fn a_run_that_is_not_there_is_an_empty_picture() {
    let recording = recording();
    let svg = Drawing::of_run(&recording, 7).to_svg();
    assert!(svg.contains("No tasks"));
}

#[test]
fn a_recording_that_names_unknown_tasks_is_drawn() {
    let mut recording = recording();
    let graph = Arc::make_mut(&mut recording.runs[0].graph);
    graph.needs = vec![0, 99, 2];
    graph.prefixes = vec![9];
    recording.runs[0].cached = vec![99];
    recording.spans[0].task = 99;
    assert_eq!(Drawing::of_run(&recording, 0).diagram().edges.len(), 2);
    assert!(Drawing::of_run(&recording, 0).grouped_above(1).to_svg().ends_with("</svg>\n"));
}

#[test]
fn above_the_limit_prefixes_are_shown() {
    let plan = pairs(1001);
    let diagram = Drawing::of_plan(&plan).diagram();
    let groups: Vec<_> = diagram.nodes.iter().map(|node| (&*node.label, node.tasks)).collect();
    assert_eq!(groups, [("load", 1001), ("clean", 1001)]);
    assert_eq!((diagram.edges.len(), diagram.edges[0].count), (1, 1001));
    let svg = Drawing::of_plan(&plan).to_svg();
    assert!(svg.contains("2,002 tasks in 2 groups by key prefix"));
    assert!(!Drawing::of_plan(&plan).grouped_above(2002).diagram().is_grouped);
}

#[test]
fn prefixes_that_need_each_other_and_themselves_are_drawn() {
    let mut graph = Graph::new();
    graph.insert(("a", 0), (inc, 1));
    graph.insert(("b", 0), (inc, Key::from(("a", 0))));
    graph.insert(("a", 1), (inc, Key::from(("b", 0))));
    graph.insert(("a", 2), (inc, Key::from(("a", 1))));
    let plan = Plan::new(graph, ("a", 2)).expect("the graph has no mistake");
    let drawing = Drawing::of_plan(&plan).grouped_above(1).grouped_above(2);
    let diagram = drawing.diagram();
    let edges: Vec<_> = diagram.edges.iter().map(|edge| (edge.from, edge.to, edge.count)).collect();
    assert_eq!(edges, [(0, 1, 1), (1, 0, 1)]);
    assert_eq!((diagram.nodes[0].within, diagram.nodes[1].within), (1, 0));
    assert_eq!(drawing.to_svg().matches("class=\"edge back\"").count(), 1);
}

#[test]
fn the_smallest_of_too_many_prefixes_become_one() {
    let mut graph = Graph::new();
    let mut keys = Vec::new();
    for prefix in 0..30 {
        for number in 0..=(prefix % 3) {
            let key =
                Key::from((format!("prefix_{}", char::from(b'A' + prefix)), i64::from(number)));
            graph.insert(key.clone(), (inc, 1));
            keys.push(key);
        }
    }
    let plan = Plan::new(graph, keys).expect("the graph has no mistake");
    let diagram = Drawing::of_plan(&plan).grouped_above(11).diagram();
    assert_eq!(diagram.nodes.len(), 11);
    assert_eq!(diagram.nodes[10].label, "20 more prefixes");
    assert_eq!(diagram.nodes.iter().map(|node| node.tasks).sum::<u64>(), 60);
}

#[test]
fn the_same_graph_gives_the_same_bytes() {
    for color in [Color::Order, Color::Time, Color::Memory, Color::Prefix] {
        let picture = || Drawing::of_plan(&pairs(40)).colored(color).to_svg();
        assert_eq!(picture(), picture());
    }
}

#[test]
fn a_diagram_goes_as_json_and_comes_back() {
    let diagram = Drawing::of_plan(&pairs(3)).diagram();
    let json = serde_json::to_string(&diagram).expect("it is plain data");
    assert_eq!(serde_json::from_str::<super::Diagram>(&json).expect("it was written"), diagram);
}
