//! What a layout promises, for graphs of many shapes.

use super::Layout;
use super::{cycles, layers, strata::Strata};

const SIZE: (f32, f32) = (80.0, 24.0);

fn layout(nodes: usize, edges: &[(u32, u32)]) -> Layout {
    let layout = Layout::of(&vec![SIZE; nodes], edges);
    check(&layout, edges);
    layout
}

/// Nothing overlaps, everything is inside, each edge goes from its start to its end.
fn check(layout: &Layout, edges: &[(u32, u32)]) {
    let inside = |(x, y): (f32, f32)| {
        (0.0..=layout.width).contains(&x) && (0.0..=layout.height).contains(&y)
    };
    for (at, one) in layout.nodes.iter().enumerate() {
        let apart = |other: &&(f32, f32)| {
            (one.0 - other.0).abs() >= SIZE.0 || (one.1 - other.1).abs() >= SIZE.1
        };
        let over = layout.nodes[at + 1..].iter().find(|other| !apart(other));
        assert_eq!(over, None, "is on top of {one:?}");
    }
    for (x, y) in &layout.nodes {
        assert!(inside((x - SIZE.0 / 2.0, y - SIZE.1 / 2.0)), "({x}, {y}) is outside");
        assert!(inside((x + SIZE.0 / 2.0, y + SIZE.1 / 2.0)), "({x}, {y}) is outside");
    }
    assert_eq!(layout.edges.len(), edges.len());
    for ((from, to), points) in edges.iter().zip(&layout.edges) {
        assert!(points.iter().all(|point| inside(*point)), "{points:?} leaves the picture");
        if from != to {
            let (first, last) = (points[0], points[points.len() - 1]);
            assert!((first.1 - layout.nodes[*from as usize].1).abs() <= SIZE.1 / 2.0 + 0.01);
            assert!((last.1 - layout.nodes[*to as usize].1).abs() <= SIZE.1 / 2.0 + 0.01);
        }
    }
}

/// The same numbers for the same seed: the generator of Marsaglia, "Xorshift RNGs" (2003).
fn random(state: &mut u32, below: u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state % below
}

fn random_graph(nodes: u32, edges: u32, seed: u32) -> Vec<(u32, u32)> {
    let mut state = seed;
    let edge = |_| {
        let to = 1 + random(&mut state, nodes - 1);
        (random(&mut state, to), to)
    };
    (0..edges).map(edge).collect()
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(layout(0, &[]).nodes, []);
    assert_eq!(layout(1, &[]).nodes.len(), 1);
}

#[test]
fn a_diamond_has_three_rows() {
    let layout = layout(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    let [top, left, right, bottom] = layout.nodes[..] else { panic!("four nodes") };
    assert!(top.1 < left.1 && left.1 < bottom.1 && (left.1 - right.1).abs() < 0.01);
    assert!((top.0 - bottom.0).abs() < 0.01);
    assert!((f32::midpoint(left.0, right.0) - top.0).abs() < 0.01);
}

#[test]
fn an_edge_that_passes_a_row_goes_round_its_nodes() {
    let layout = layout(3, &[(0, 1), (1, 2), (0, 2)]);
    let passing = &layout.edges[2];
    let (x, y) = layout.nodes[1];
    let beside = passing.iter().filter(|point| (point.1 - y).abs() <= SIZE.1 / 2.0 + 0.01);
    assert!(passing.len() >= 4, "{passing:?}");
    assert!(
        beside.clone().count() == 2 && beside.into_iter().all(|point| (point.0 - x).abs() > 40.0)
    );
}

#[test]
fn edges_point_down() {
    for seed in 1..20 {
        let edges = random_graph(60, 120, seed);
        let layout = layout(60, &edges);
        for (from, to) in edges {
            assert!(layout.nodes[from as usize].1 < layout.nodes[to as usize].1);
        }
    }
}

#[test]
fn one_edge_of_a_cycle_points_up() {
    let layout = layout(3, &[(0, 1), (1, 2), (2, 0), (1, 1)]);
    let up = layout
        .edges
        .iter()
        .filter(|points| points.first().is_some_and(|first| first.1 > points[points.len() - 1].1));
    assert_eq!(up.count(), 1);
    assert_eq!(layout.edges[3], []);
}

#[test]
fn a_long_chain_is_folded() {
    let edges: Vec<(u32, u32)> = (1..2000).map(|node| (node - 1, node)).collect();
    let layout = layout(2000, &edges);
    assert!(layout.width < 6000.0 && layout.height < 6000.0, "{}, {}", layout.width, layout.height);
    assert!(layout.edges.iter().filter(|points| points.len() > 2).count() > 5);
}

#[test]
fn a_wide_fan_in_is_wrapped() {
    let edges: Vec<(u32, u32)> = (0..2000).map(|node| (node, 2000)).collect();
    let layout = layout(2001, &edges);
    assert!(layout.width < 9000.0 && layout.height < 6000.0, "{}, {}", layout.width, layout.height);
    let points: usize = layout.edges.iter().map(Vec::len).sum();
    assert!(points < 10_000, "{points} points");
}

#[test]
fn graphs_of_all_densities_hold_their_promises() {
    for (nodes, edges) in [(300, 100), (300, 300), (300, 900), (40, 600), (600, 5000)] {
        let edges = random_graph(nodes, edges, 7);
        assert_eq!(layout(nodes as usize, &edges), layout(nodes as usize, &edges));
    }
}

#[test]
fn two_thousand_nodes_are_little_work() {
    // All later steps go through entries and links a fixed number of times.
    for seed in 1..6 {
        let edges = random_graph(2000, 5000, seed);
        let graph = cycles::directed(2000, &edges);
        let strata = Strata::of(layers::rows(2000, &graph, 62), &graph.edges);
        assert!(strata.row_of.len() <= 7 * 7000, "{} entries", strata.row_of.len());
        assert!(strata.links.len() <= 8 * 7000, "{} links", strata.links.len());
    }
}
