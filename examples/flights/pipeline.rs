//! The job as a graph, and as the plain loop that it is compared with.

use mobula::{BoxError, Graph, Node};

use crate::flights::{Month, load, split};
use crate::report::{Report, arrivals, carriers, report, worst_route};
use crate::summary::{Summary, aggregate, merge};

/// The key of the end of the graph.
pub(crate) const REPORT: &str = "report";

/// Into how many parts a month is split, so that no worker waits long for another one.
const PARTS: usize = 4;

/// load, split and aggregate each month; merge by twos until one summary is left; report.
///
/// ```text
/// load 2013-01 ─┬─ split 0 ─ aggregate 0 ─┐
///               ├─ split 1 ─ aggregate 1 ─┴─ merge ─┐             ┌─ carriers ────┐
///               ├─ split 2 ─ aggregate 2 ─┐         ├─ … merge … ─┼─ worst_route ─┼─ report
///               └─ split 3 ─ aggregate 3 ─┴─ merge ─┘             └─ arrivals ────┘
/// ```
///
/// As long as the program runs, each key means the same, so a cache may go by the keys.
pub(crate) fn graph(months: &[Month]) -> Graph {
    let mut graph = Graph::new();
    let mut summaries: Vec<Node> = Vec::new();
    for Month { name, path } in months {
        let (name, path) = (name.as_str(), path.clone());
        let text = graph.insert(("load", name), (move || load(&path),));
        for part in 0..PARTS {
            let rows = graph.insert(("split", name, part), (split, text, part, PARTS));
            summaries.push(graph.insert(("aggregate", name, part), (aggregate, rows)));
        }
    }
    let all = merge_tree(&mut graph, summaries);
    graph.insert("carriers", (carriers, all));
    graph.insert("worst_route", (worst_route, all));
    graph.insert("arrivals", (arrivals, all));
    graph.insert(REPORT, (report, "carriers", "worst_route", "arrivals"));
    graph
}

/// A tree of merges over some summaries.
fn merge_tree(graph: &mut Graph, mut nodes: Vec<Node>) -> Node {
    let mut level = 0;
    while nodes.len() > 1 {
        let pairs = nodes.chunks(2).enumerate();
        let merged = pairs.map(|(place, pair)| match *pair {
            [left, right] => graph.insert(("merge", level, place), (merge, left, right)),
            _ => pair[0],
        });
        nodes = merged.collect();
        level += 1;
    }
    nodes[0]
}

/// The same without tasks: one loop over all flights, on one thread.
pub(crate) fn plain(months: &[Month]) -> Result<Report, BoxError> {
    let mut all = Summary::default();
    for month in months {
        all.add_all(&split(&load(&month.path)?, 0, 1))?;
    }
    Ok(report(carriers(&all), worst_route(&all), arrivals(&all)))
}
