//! A diagram with a node for each key prefix: what is left to see of a graph with more tasks than can be drawn.
//!
//! Groups may need each other in a circle, as tasks do not: `load` feeds `merge`, and another `load` takes what
//! was merged. What a group needs of itself is counted, not drawn.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::diagram::{Diagram, DiagramEdge, DiagramNode, NodeKind};
use super::source::{Prefixes, Source};
use crate::monitor::human;

/// One node a prefix; beyond `most` of them, the smallest become one.
pub(super) fn grouped(source: &Source<'_>, most: usize) -> Diagram {
    let mut prefixes = source.prefixes();
    let tasks = prefixes.of.len() as u64;
    let others = merge_small(&mut prefixes, most.max(1));
    let mut nodes: Vec<DiagramNode> = prefixes.names.iter().zip(0..).map(empty).collect();
    add_tasks(&mut nodes, source, &prefixes);
    let mut edges = Vec::new();
    for ((from, to), count) in count_needs(source, &prefixes) {
        if from == to {
            nodes[to as usize].within = count;
        } else {
            edges.push(DiagramEdge { from, to, count });
        }
    }
    if let (Some(count), Some(last)) = (others, nodes.last_mut()) {
        let more = if most > 1 { " more" } else { "" };
        last.label = format!("{}{more} prefixes", human::count(count));
    }
    Diagram { nodes, edges, prefixes: prefixes.names, tasks, is_grouped: true }
}

fn empty((name, prefix): (&String, u32)) -> DiagramNode {
    DiagramNode { kind: NodeKind::Group, label: name.clone(), prefix, ..DiagramNode::default() }
}

/// Leaves at most `most` prefixes; answers how many the last one stands for if it stands for several.
fn merge_small(prefixes: &mut Prefixes, most: usize) -> Option<u64> {
    let count = prefixes.names.len();
    if count <= most {
        return None;
    }
    let mut sizes = vec![0_u64; count];
    for prefix in &prefixes.of {
        sizes[*prefix as usize] += 1;
    }
    let mut by_size: Vec<usize> = (0..count).collect();
    by_size.sort_by_key(|prefix| (Reverse(sizes[*prefix]), *prefix));
    let mut kept = by_size[..most - 1].to_vec();
    kept.sort_unstable();
    let last = u32::try_from(kept.len()).expect("a plan has at most 2^32 tasks");
    let mut new = vec![last; count];
    for (old, number) in kept.iter().zip(0..) {
        new[*old] = number;
    }
    for prefix in &mut prefixes.of {
        *prefix = new[*prefix as usize];
    }
    let first_other = by_size[most - 1..].iter().min().expect("there are more than the kept ones");
    prefixes.names =
        kept.iter().chain([first_other]).map(|old| prefixes.names[*old].clone()).collect();
    Some((count - most + 1) as u64)
}

/// Sums up what is known of tasks.
fn add_tasks(nodes: &mut [DiagramNode], source: &Source<'_>, prefixes: &Prefixes) {
    let measured = source.measured();
    let mut places = vec![0_u64; nodes.len()];
    for (prefix, task) in prefixes.of.iter().zip(0_u32..) {
        let node = &mut nodes[*prefix as usize];
        node.tasks += 1;
        node.wanted += u64::from(source.is_wanted(task));
        places[*prefix as usize] += u64::from(task);
        let Some(measured) = measured.get(task as usize) else { continue };
        if let Some(seconds) = measured.seconds {
            node.seconds = Some(node.seconds.unwrap_or(0.0) + seconds);
        }
        if let Some(bytes) = measured.bytes {
            node.bytes = Some(node.bytes.unwrap_or(0) + bytes);
        }
        node.failed += u64::from(measured.has_failed);
        node.cached += u64::from(measured.is_cached);
    }
    for (node, sum) in nodes.iter_mut().zip(places) {
        let mean = sum.checked_div(node.tasks);
        node.order = mean.map(|mean| u32::try_from(mean).expect("a mean of such numbers is one"));
    }
}

/// How often tasks of a group need tasks of a group.
fn count_needs(source: &Source<'_>, prefixes: &Prefixes) -> BTreeMap<(u32, u32), u64> {
    let mut counts = BTreeMap::new();
    let mut needs = Vec::new();
    for (to, task) in prefixes.of.iter().zip(0_u32..) {
        source.find_needs(task, &mut needs);
        for needed in &needs {
            *counts.entry((prefixes.of[*needed as usize], *to)).or_default() += 1;
        }
    }
    counts
}
