//! Large graphs: a million tasks, long chains, wide fans. What is quadratic or recursive shows here.

use mobula::{Graph, Node, Outputs};

use crate::functions::{add, cluster, data, held, inc, total};
use crate::watchdog::watched;

fn many(graph: &mut Graph, count: usize, of: Node) -> Vec<Node> {
    (0..count).map(|_| graph.add((inc, of))).collect()
}

#[test]
fn a_graph_of_a_million_tasks() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::with_capacity(1_000_000);
        let mut level: Vec<Node> = (0..500_000_i64).map(|x| graph.add((inc, x))).collect();
        while level.len() > 1 {
            let pair = |pair: &[Node]| match pair {
                [one, two] => graph.add((add, *one, *two)),
                rest => rest[0],
            };
            level = level.chunks(2).map(pair).collect();
        }
        assert_eq!(graph.len(), 999_999);
        let sum: i64 = data(cluster.get_blocking(graph, level[0]).unwrap());
        assert_eq!(sum, 500_000 * 500_001 / 2);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_million_tasks_with_integer_keys() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::with_capacity(1_000_000);
        let key = |number: i64| mobula::Arg::Key(number.into());
        for number in 0..1000 {
            graph.insert(number, (inc, number));
        }
        for number in 1000..1_000_000 {
            graph.insert(number, (add, key(number - 1000), 1));
        }
        let last: Vec<i64> = (999_000..1_000_000).collect();
        let results: Vec<i64> = data(cluster.get_blocking(graph, last).unwrap());
        assert_eq!(results, (1000..2000).collect::<Vec<i64>>());
    });
}

#[test]
fn a_chain_of_a_hundred_thousand() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::new();
        let first = graph.add((inc, 0));
        let last = (1..100_000).fold(first, |last, _| graph.add((inc, last)));
        assert_eq!(data::<i64>(cluster.get_blocking(graph, last).unwrap()), 100_000);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_fan_out_and_a_fan_in_of_a_hundred_thousand() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::new();
        let root = graph.add((inc, 0));
        let parts = many(&mut graph, 100_000, root);
        let sum = graph.add((total, parts));
        assert_eq!(data::<i64>(cluster.get_blocking(graph, sum).unwrap()), 200_000);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_hundred_thousand_outputs() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::new();
        let root = graph.add((inc, 0));
        let parts = many(&mut graph, 100_000, root);
        let outputs: Outputs = parts.into();
        let values: Vec<i64> = data(cluster.get_blocking(graph, outputs).unwrap());
        assert_eq!(values, vec![2; 100_000]);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn layers_of_hundreds() {
    watched(|| {
        let cluster = cluster(4);
        let mut graph = Graph::new();
        let mut layer: Vec<Node> = (0..300_i64).map(|x| graph.add((inc, x))).collect();
        for _ in 1..300 {
            let at = |place: usize| layer[place % layer.len()];
            let next = (0..layer.len()).map(|i| graph.add((mix, at(i), at(i + 1), at(i * 7))));
            layer = next.collect();
        }
        let mut plain: Vec<i64> = (1..=300).collect();
        for _ in 1..300 {
            let at = |place: usize| plain[place % plain.len()];
            plain = (0..plain.len()).map(|i| mix(at(i), at(i + 1), at(i * 7))).collect();
        }
        let values: Vec<i64> = data(cluster.get_blocking(graph, layer).unwrap());
        assert_eq!(values, plain);
        assert_eq!(held(&cluster), 0);
    });
}

fn mix(x: i64, y: i64, z: i64) -> i64 {
    (x * 31 + y * 17 + z) % 1_000_003
}
