//! Which row a node stands in.
//!
//! A node's row is the length of the longest path to it; then nodes that give more than they take move down
//! to those that need them, which makes edges shorter. If a row would be much too wide, rows are filled up to a
//! width instead, in the order of the nodes' numbers, each node as early as its inputs allow: the list
//! schedule of Coffman and Graham, "Optimal scheduling for two-processor systems" (1972), with the order of the
//! graph in place of theirs. As tasks are numbered in the order in which they run, the rows of such a picture
//! are what so many workers would do at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cycles::Directed;
use super::lists::{Lists, number};

/// By node: its row. Rows are wrapped if one of them has three fifths more nodes than `widest`: to cut a row in two
/// halves is not worth the edges that pass them.
pub(super) fn rows(nodes: usize, graph: &Directed, widest: usize) -> Vec<u32> {
    let edges = graph.edges.iter().filter(|(from, to)| from != to);
    let into = Lists::of(nodes, edges.clone().map(|&(from, to)| (to, from)));
    let out_of = Lists::of(nodes, edges.copied());
    let mut rows = longest_paths(graph, &into);
    compact(graph, &into, &out_of, &mut rows);
    let mut sizes = vec![0; nodes];
    for row in &rows {
        sizes[*row as usize] += 1;
    }
    if sizes.iter().any(|size| *size > widest + widest * 3 / 5) {
        filled(graph, &into, &out_of, widest)
    } else {
        rows
    }
}

fn longest_paths(graph: &Directed, into: &Lists) -> Vec<u32> {
    let mut rows = vec![0; graph.order.len()];
    for node in &graph.order {
        let above = into.get(*node).iter().map(|other| rows[*other as usize] + 1);
        rows[*node as usize] = above.max().unwrap_or(0);
    }
    rows
}

/// Moves nodes down where that makes edges shorter.
fn compact(graph: &Directed, into: &Lists, out_of: &Lists, rows: &mut [u32]) {
    for node in graph.order.iter().rev() {
        let (above, below) = (into.get(*node), out_of.get(*node));
        if below.len() > above.len() {
            let nearest = below.iter().map(|other| rows[*other as usize]).min();
            rows[*node as usize] = nearest.expect("it has more than none") - 1;
        }
    }
}

/// Rows of at most `widest` nodes.
fn filled(graph: &Directed, into: &Lists, out_of: &Lists, widest: usize) -> Vec<u32> {
    let nodes = graph.order.len();
    let mut missing: Vec<usize> = (0..number(nodes)).map(|node| into.get(node).len()).collect();
    let mut ready = BinaryHeap::new();
    ready.extend((0..number(nodes)).filter(|node| missing[*node as usize] == 0).map(Reverse));
    let mut rows = vec![0; nodes];
    let mut row = 0;
    while !ready.is_empty() {
        let taken: Vec<u32> =
            std::iter::from_fn(|| ready.pop()).map(|Reverse(node)| node).take(widest).collect();
        for node in taken {
            rows[node as usize] = row;
            for other in out_of.get(node) {
                missing[*other as usize] -= 1;
                if missing[*other as usize] == 0 {
                    // It is ready for the next row: this one has its nodes already.
                    ready.push(Reverse(*other));
                }
            }
        }
        row += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::cycles::directed;
    use super::rows;

    #[test]
    fn rows_are_longest_paths() {
        let graph = directed(5, &[(0, 1), (1, 2), (0, 2), (2, 3), (2, 4)]);
        assert_eq!(rows(5, &graph, 10), [0, 1, 2, 3, 3]);
    }

    #[test]
    fn what_is_needed_late_stands_near_its_use() {
        let graph = directed(5, &[(0, 1), (1, 2), (3, 2), (4, 4)]);
        assert_eq!(rows(5, &graph, 10), [0, 1, 2, 1, 0]);
    }

    #[test]
    fn a_wide_row_is_filled_in_the_order_of_numbers() {
        let pairs: Vec<(u32, u32)> = (0..4).map(|pair| (2 * pair, 2 * pair + 1)).collect();
        let graph = directed(8, &pairs);
        assert_eq!(rows(8, &graph, 2), [0, 1, 0, 1, 2, 3, 2, 3]);
        assert_eq!(rows(8, &graph, 3), [0, 1, 0, 1, 0, 1, 0, 1]);
    }
}
