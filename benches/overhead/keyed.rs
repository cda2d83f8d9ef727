//! Graphs as a user of Mobula writes them: plain Rust functions under keys of each kind, or handles.
//!
//! All namings build the same graph of a shape: a task without inputs is 1, the others are one more
//! than the sum of their inputs. What a naming costs the user (making the text of a key, keeping the
//! handles) is part of building it, except where its description says otherwise.

use std::sync::Arc;

use mobula::graph::argument::kind::Named;
use mobula::{Argument, Graph, Key, Node};

use crate::shapes::Shape;

/// How the tasks of a graph are named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Strings that the program has already, given as `&str`.
    Text,
    /// Strings that are put together wherever a key is named, also as an input: `format!("x-{i}")`.
    Format,
    /// Tuples such as `("x", 3, 14)`, as Dask's collections have.
    Tuple,
    /// Integers.
    Integer,
    /// No keys: the handles that `Graph::add` answers.
    Handle,
}

impl Naming {
    /// All namings, in the order of the tables.
    pub(crate) const ALL: [Self; 5] =
        [Self::Text, Self::Format, Self::Tuple, Self::Integer, Self::Handle];

    /// The name that stands in the tables and is given on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Format => "string+format",
            Self::Tuple => "tuple",
            Self::Integer => "integer",
            Self::Handle => "handle",
        }
    }

    /// A graph of that shape, and its output.
    pub(crate) fn build(self, shape: &Shape, texts: &[String]) -> (Graph, Node) {
        match self {
            Self::Text => keyed(shape, |task| texts[task as usize].as_str()),
            Self::Format => keyed(shape, text),
            Self::Tuple => keyed(shape, tuple),
            Self::Integer => keyed(shape, Key::from),
            Self::Handle => by_handles(shape),
        }
    }

    /// The keys of that graph by themselves, to be weighed; behind handles stand automatic ones, which
    /// share their text.
    pub(crate) fn keys(self, shape: &Shape) -> Vec<Key> {
        let mut keys = Vec::with_capacity(shape.tasks() as usize);
        match self {
            Self::Text | Self::Format => keys.extend(shape.ids().map(|task| Key::from(text(task)))),
            Self::Tuple => keys.extend(shape.ids().map(|task| Key::from(tuple(task)))),
            Self::Integer => keys.extend(shape.ids().map(Key::from)),
            Self::Handle => {
                let name: Arc<str> = "add".into();
                let numbered = |task: u32| Key::numbered(Arc::clone(&name), u64::from(task));
                keys.extend(shape.ids().map(numbered));
            }
        }
        keys
    }
}

/// The texts of all keys, for a program that has them already.
pub(crate) fn texts(shape: &Shape) -> Vec<String> {
    shape.ids().map(text).collect()
}

fn text(task: u32) -> String {
    format!("x-{task}")
}

fn tuple(task: u32) -> (&'static str, u32, u32) {
    ("x", task / 1000, task % 1000)
}

/// A task for each number of inputs.
fn one() -> u64 {
    1
}

fn next(a: u64) -> u64 {
    a.wrapping_add(1)
}

fn add_two(a: u64, b: u64) -> u64 {
    next(a).wrapping_add(b)
}

fn add_three(a: u64, b: u64, c: u64) -> u64 {
    add_two(a, b).wrapping_add(c)
}

fn add_all(values: &[u64]) -> u64 {
    values.iter().copied().fold(1, u64::wrapping_add)
}

/// The graph under keys.
fn keyed<K: Argument<Named> + Into<Key>>(shape: &Shape, key: impl Fn(u32) -> K) -> (Graph, Node) {
    let mut graph = Graph::new();
    let mut output = None;
    for task in shape.ids() {
        let name = key(task);
        output = Some(match *shape.inputs(task) {
            [] => graph.insert(name, (one,)),
            [a] => graph.insert(name, (next, key(a))),
            [a, b] => graph.insert(name, (add_two, key(a), key(b))),
            [a, b, c] => graph.insert(name, (add_three, key(a), key(b), key(c))),
            ref many => {
                let inputs: Vec<K> = many.iter().map(|&input| key(input)).collect();
                graph.insert(name, (add_all, inputs))
            }
        });
    }
    (graph, output.expect("every shape has a task"))
}

/// The graph without keys of the user's.
fn by_handles(shape: &Shape) -> (Graph, Node) {
    let mut graph = Graph::new();
    let mut nodes: Vec<Node> = Vec::new();
    for task in shape.ids() {
        let node = |input: u32| nodes[input as usize];
        let node = match *shape.inputs(task) {
            [] => graph.add((one,)),
            [a] => graph.add((next, node(a))),
            [a, b] => graph.add((add_two, node(a), node(b))),
            [a, b, c] => graph.add((add_three, node(a), node(b), node(c))),
            ref many => {
                let inputs: Vec<Node> = many.iter().map(|&input| node(input)).collect();
                graph.add((add_all, inputs))
            }
        };
        nodes.push(node);
    }
    let output = *nodes.last().expect("every shape has a task");
    (graph, output)
}
