//! Edges that run against the others are turned round, so that a graph with cycles has layers, too.
//!
//! Tasks have no cycles; groups of tasks may have some. The order is that of Eades, Lin and Smyth, "A fast and
//! effective heuristic for the feedback arc set problem" (1993): what nobody feeds goes first, what feeds
//! nobody goes last, and if neither is there, the node that gives most more than it takes goes first. Without
//! a cycle it is a topological order.

use std::collections::{BTreeSet, VecDeque};

use super::lists::{Lists, number};

/// Edges that all run from a smaller to a greater place in an order.
#[derive(Debug)]
pub(super) struct Directed {
    /// All nodes, each behind those that its edges come from.
    pub(super) order: Vec<u32>,
    /// Each edge, turned round where that was necessary. Loops are still there.
    pub(super) edges: Vec<(u32, u32)>,
    /// By edge: whether it was turned round.
    pub(super) turned: Vec<bool>,
}

/// Turns round what must be turned round.
pub(super) fn directed(nodes: usize, edges: &[(u32, u32)]) -> Directed {
    let order = Sorter::new(nodes, edges).sorted();
    let mut place = vec![0; nodes];
    for (at, node) in order.iter().enumerate() {
        place[*node as usize] = number(at);
    }
    let is_turned = |&(from, to): &(u32, u32)| place[from as usize] > place[to as usize];
    let turned: Vec<bool> = edges.iter().map(is_turned).collect();
    let straight = |(edge, turned): (&(u32, u32), &bool)| {
        if *turned { (edge.1, edge.0) } else { *edge }
    };
    let edges = edges.iter().zip(&turned).map(straight).collect();
    Directed { order, edges, turned }
}

/// Takes one node after the other out of a graph.
struct Sorter {
    into: Lists,
    out_of: Lists,
    /// By node: how many edges come from nodes, and go to nodes, that are still there.
    coming: Vec<i64>,
    going: Vec<i64>,
    gone: Vec<bool>,
    sources: VecDeque<u32>,
    sinks: VecDeque<u32>,
    /// The nodes that are neither, by what they take more than they give, then by number.
    others: BTreeSet<(i64, u32)>,
}

impl Sorter {
    fn new(nodes: usize, edges: &[(u32, u32)]) -> Self {
        let edges = edges.iter().filter(|(from, to)| from != to);
        let into = Lists::of(nodes, edges.clone().map(|&(from, to)| (to, from)));
        let out_of = Lists::of(nodes, edges.copied());
        let counts = |lists: &Lists| {
            let count = |node| i64::from(number(lists.get(node).len()));
            (0..number(nodes)).map(count).collect::<Vec<_>>()
        };
        let (coming, going) = (counts(&into), counts(&out_of));
        let mut sorter = Self {
            into,
            out_of,
            coming,
            going,
            gone: vec![false; nodes],
            sources: VecDeque::new(),
            sinks: VecDeque::new(),
            others: BTreeSet::new(),
        };
        for node in 0..number(nodes) {
            sorter.file(node);
        }
        sorter
    }

    /// Puts a node where it belongs by its edges.
    fn file(&mut self, node: u32) {
        let (coming, going) = (self.coming[node as usize], self.going[node as usize]);
        if coming == 0 {
            self.sources.push_back(node);
        } else if going == 0 {
            self.sinks.push_back(node);
        } else {
            self.others.insert((coming - going, node));
        }
    }

    fn sorted(mut self) -> Vec<u32> {
        let (mut first, mut last) = (Vec::new(), Vec::new());
        loop {
            if let Some(node) = self.sources.pop_front() {
                self.take(node, &mut first);
            } else if let Some(node) = self.sinks.pop_front() {
                self.take(node, &mut last);
            } else if let Some((_, node)) = self.others.pop_first() {
                self.take(node, &mut first);
            } else {
                break;
            }
        }
        first.extend(last.into_iter().rev());
        first
    }

    fn take(&mut self, node: u32, list: &mut Vec<u32>) {
        // A node that has lost all of its edges was filed twice.
        if std::mem::replace(&mut self.gone[node as usize], true) {
            return;
        }
        list.push(node);
        for position in 0..self.out_of.get(node).len() {
            self.lose(self.out_of.get(node)[position], true);
        }
        for position in 0..self.into.get(node).len() {
            self.lose(self.into.get(node)[position], false);
        }
    }

    /// A node loses an edge that comes, or goes.
    fn lose(&mut self, node: u32, coming: bool) {
        let index = node as usize;
        if self.gone[index] {
            return;
        }
        let was_other = self.others.remove(&(self.coming[index] - self.going[index], node));
        let count = if coming { &mut self.coming } else { &mut self.going };
        count[index] -= 1;
        if was_other || (count[index] == 0 && coming) {
            self.file(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::directed;

    #[test]
    fn without_a_cycle_nothing_is_turned() {
        let directed = directed(4, &[(3, 2), (2, 1), (3, 1), (1, 0)]);
        assert_eq!(directed.order, [3, 2, 1, 0]);
        assert_eq!(directed.turned, [false; 4]);
    }

    #[test]
    fn one_edge_of_a_cycle_is_turned() {
        let edges = [(0, 1), (1, 2), (2, 0), (2, 3)];
        let directed = directed(4, &edges);
        assert_eq!(directed.turned.iter().filter(|turned| **turned).count(), 1);
        assert_eq!(directed.order.len(), 4);
    }

    #[test]
    fn two_that_feed_each_other_and_a_loop_have_an_order() {
        let directed = directed(2, &[(0, 1), (1, 0), (1, 1)]);
        assert_eq!(directed.order, [0, 1]);
        assert_eq!(directed.edges, [(0, 1), (0, 1), (1, 1)]);
        assert_eq!(directed.turned, [false, true, false]);
    }
}
