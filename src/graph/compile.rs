//! From a graph to a plan: resolve, cull, order, number. Every pass is linear but the ordering's.

use std::sync::{Arc, OnceLock};

use super::dag::{Entry, Graph, Kind, Op};
use super::error::GraphError;
use super::key::Key;
use super::order::{Edges, Shape, static_order};
use super::outputs::Outputs;
use super::plan::{Adjacency, Flags, Plan, TaskId, Wanted};
use crate::value::Value;

/// Marks a node that has no number.
const NONE: u32 = u32::MAX;

/// Marks a call that is needed and has no number yet.
const NEEDED: u32 = u32::MAX - 1;

impl Graph {
    /// Checks the whole graph.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if there is a cycle, a key given twice or a key that is missing.
    pub fn validate(&self) -> Result<(), GraphError> {
        self.check_defined()?;
        let everything = (0..index_of(self.nodes.len())).collect::<Vec<_>>();
        let compiled = Compiled::new(self, &everything);
        static_order(&compiled.shape(&compiled.dependents()), |_, _| std::cmp::Ordering::Equal)
            .map(drop)
            .map_err(|cyclic| compiled.cycle(self, cyclic.task))
    }

    /// The first mistake of building, a key that is named but not there, or aliases in a circle.
    fn check_defined(&self) -> Result<(), GraphError> {
        if let Some(mistake) = self.mistake() {
            return Err(mistake.clone());
        }
        for (index, kind) in self.kinds.iter().enumerate() {
            match kind {
                Kind::Undefined => return Err(self.missing(index_of(index))),
                Kind::Alias => self.check_alias(index_of(index))?,
                Kind::Literal | Kind::Call => {}
            }
        }
        Ok(())
    }

    fn missing(&self, index: u32) -> GraphError {
        let needs = |other: &usize| match &self.nodes[*other] {
            Entry::Alias(target) => *target == index,
            Entry::Call { .. } => self.arguments(index_of(*other)).contains(&Op::Node(index)),
            Entry::Undefined | Entry::Literal(_) => false,
        };
        let needed_by = (0..self.nodes.len()).find(needs).map(|other| self.keys[other].clone());
        GraphError::MissingKey { key: self.keys[index as usize].clone(), needed_by }
    }

    /// Follows an alias with a second, slower reader behind: in a circle they meet (Floyd's method).
    fn check_alias(&self, index: u32) -> Result<(), GraphError> {
        let (mut slow, mut fast) = (index, index);
        while let Entry::Alias(one) = self.nodes[fast as usize]
            && let Entry::Alias(two) = self.nodes[one as usize]
            && let Entry::Alias(next) = self.nodes[slow as usize]
        {
            (slow, fast) = (next, two);
            if slow == fast {
                return Err(self.alias_cycle(slow));
            }
        }
        Ok(())
    }

    fn alias_cycle(&self, start: u32) -> GraphError {
        let mut path = vec![self.keys[start as usize].clone()];
        let mut at = start;
        while let Entry::Alias(next) = self.nodes[at as usize] {
            path.push(self.keys[next as usize].clone());
            at = next;
            if at == start {
                break;
            }
        }
        GraphError::Cycle(path)
    }

    /// The node that an alias finally names, or the node itself.
    #[inline]
    pub(super) fn target(&self, mut node: u32) -> u32 {
        while self.kinds[node as usize] == Kind::Alias
            && let Entry::Alias(next) = self.nodes[node as usize]
        {
            node = next;
        }
        node
    }

    /// The literal that a node is or names, if it is one.
    #[inline]
    pub(super) fn literal_of(&self, node: u32) -> Option<&Value> {
        match &self.nodes[self.target(node) as usize] {
            Entry::Literal(number) => Some(&self.literals[*number as usize]),
            Entry::Call { .. } | Entry::Undefined | Entry::Alias(_) => None,
        }
    }

    /// The postfix program of a node's arguments; empty if it is not a call.
    #[inline]
    pub(super) fn arguments(&self, node: u32) -> &[Op] {
        match &self.nodes[node as usize] {
            Entry::Call { start, end, .. } => &self.ops[*start as usize..*end as usize],
            Entry::Undefined | Entry::Literal(_) | Entry::Alias(_) => &[],
        }
    }

    fn is_call(&self, node: u32) -> bool {
        self.kinds[node as usize] == Kind::Call
    }
}

/// The needed calls of a graph with their dependencies, numbered as they stand in the graph.
pub(super) struct Compiled {
    /// Local number to node index.
    nodes: Vec<u32>,
    /// The dependencies of all calls in the order of their arguments, as local numbers.
    starts: Vec<u32>,
    dependencies: Vec<u32>,
    /// Local numbers of the wanted calls.
    outputs: Vec<u32>,
    /// By local number: each argument is the value of a call, so nothing has to be evaluated.
    simple: Vec<bool>,
}

impl Compiled {
    pub(super) fn plan(graph: Arc<Graph>, outputs: &Outputs) -> Result<Plan, GraphError> {
        graph.check_defined()?;
        let mut wanted_nodes = Vec::new();
        let wanted = resolve(&graph, outputs, &mut wanted_nodes)?;
        let compiled = Self::new(&graph, &wanted_nodes);
        if compiled.nodes.len() < (0..index_of(graph.len())).filter(|n| graph.is_call(*n)).count() {
            graph.validate()?;
        }
        let dependents = compiled.dependents();
        let order = static_order(&compiled.shape(&dependents), |one, two| {
            let key = |local: u32| &graph.keys[compiled.nodes[local as usize] as usize];
            key(one).cmp(key(two))
        })
        .map_err(|cyclic| compiled.cycle(&graph, cyclic.task))?;
        drop(dependents);
        Ok(compiled.number(graph, &order, wanted))
    }

    /// Collects the calls that `wanted` needs, with their dependencies.
    fn new(graph: &Graph, wanted: &[u32]) -> Self {
        let mut local = Self::mark(graph, wanted);
        let mut nodes = Vec::with_capacity(local.len());
        for (node, number) in local.iter_mut().enumerate() {
            if *number == NEEDED {
                *number = index_of(nodes.len());
                nodes.push(index_of(node));
            }
        }
        let mut starts = Vec::with_capacity(nodes.len() + 1);
        let mut dependencies = Vec::with_capacity(graph.ops.len());
        let mut simple = Vec::with_capacity(nodes.len());
        starts.push(0);
        for node in &nodes {
            let (program, before) = (graph.arguments(*node), dependencies.len());
            for op in program {
                if let Op::Node(dependency) = op {
                    let dependency = local[graph.target(*dependency) as usize];
                    if dependency != NONE {
                        dependencies.push(dependency);
                    }
                }
            }
            starts.push(index_of(dependencies.len()));
            // As many values of calls as there are operations: each operation is one.
            simple.push(dependencies.len() - before == program.len());
        }
        let outputs = wanted.iter().map(|node| local[graph.target(*node) as usize]);
        let outputs = outputs.filter(|number| *number != NONE).collect();
        Self { nodes, starts, dependencies, outputs, simple }
    }

    /// Marks the calls that `wanted` needs with `NEEDED`. Tasks mostly stand behind what they need, so
    /// one pass from the end finds nearly all, and reads memory in order; the stack takes the others.
    fn mark(graph: &Graph, wanted: &[u32]) -> Vec<u32> {
        let mut local = vec![NONE; graph.nodes.len()];
        let mut left: Vec<u32> = Vec::new();
        let need = |node: u32, local: &mut Vec<u32>| {
            let node = graph.target(node);
            let is_new = local[node as usize] == NONE && graph.is_call(node);
            if is_new {
                local[node as usize] = NEEDED;
            }
            is_new.then_some(node)
        };
        for node in wanted {
            need(*node, &mut local);
        }
        for node in (0..index_of(graph.nodes.len())).rev() {
            if local[node as usize] == NONE {
                continue;
            }
            left.push(node);
            while let Some(at) = left.pop() {
                for op in graph.arguments(at) {
                    if let Op::Node(dependency) = op
                        && let Some(found) = need(*dependency, &mut local)
                        && found > node
                    {
                        // The pass has been there already.
                        left.push(found);
                    }
                }
            }
        }
        local
    }

    fn dependents(&self) -> (Vec<u32>, Vec<u32>) {
        transpose(&self.starts, &self.dependencies)
    }

    fn shape<'a>(&'a self, dependents: &'a (Vec<u32>, Vec<u32>)) -> Shape<'a> {
        Shape {
            dependencies: Edges { starts: &self.starts, targets: &self.dependencies },
            dependents: Edges { starts: &dependents.0, targets: &dependents.1 },
            outputs: &self.outputs,
        }
    }

    /// A cycle as keys, found by walking from a task that can never start to one more that it waits
    /// for until a task comes twice.
    fn cycle(&self, graph: &Graph, start: u32) -> GraphError {
        let key = |local: &u32| -> Key { graph.keys[self.nodes[*local as usize] as usize].clone() };
        let stuck = self.stuck();
        let mut seen_at = vec![NONE; self.nodes.len()];
        let (mut path, mut at) = (Vec::new(), start);
        while seen_at[at as usize] == NONE {
            seen_at[at as usize] = index_of(path.len());
            path.push(at);
            let range = self.starts[at as usize] as usize..self.starts[at as usize + 1] as usize;
            at = *self.dependencies[range]
                .iter()
                .find(|dependency| stuck[**dependency as usize])
                .expect("a task that can never start waits for another such task");
        }
        path.push(at);
        GraphError::Cycle(path[seen_at[at as usize] as usize..].iter().map(key).collect())
    }

    /// The tasks that are on a cycle or behind one (what Kahn's algorithm leaves over).
    fn stuck(&self) -> Vec<bool> {
        let (starts, targets) = self.dependents();
        let mut waits: Vec<u32> = self.starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut ready: Vec<usize> = (0..waits.len()).filter(|task| waits[*task] == 0).collect();
        while let Some(task) = ready.pop() {
            for target in &targets[starts[task] as usize..starts[task + 1] as usize] {
                waits[*target as usize] -= 1;
                if waits[*target as usize] == 0 {
                    ready.push(*target as usize);
                }
            }
        }
        waits.into_iter().map(|count| count > 0).collect()
    }

    /// Renumbers everything by the static order.
    fn number(&self, graph: Arc<Graph>, order: &[u32], wanted: Unnumbered) -> Plan {
        let mut rank = vec![NONE; order.len()];
        for (position, local) in order.iter().enumerate() {
            rank[*local as usize] = index_of(position);
        }
        let mut nodes = Vec::with_capacity(order.len());
        let mut starts = Vec::with_capacity(order.len() + 1);
        let mut targets = Vec::with_capacity(self.dependencies.len());
        let mut roots = Vec::new();
        starts.push(0);
        for (position, local) in order.iter().enumerate() {
            let local = *local as usize;
            nodes.push(self.nodes[local]);
            let range = self.starts[local] as usize..self.starts[local + 1] as usize;
            if range.is_empty() {
                roots.push(TaskId(index_of(position)));
            }
            targets.extend(self.dependencies[range].iter().map(|d| rank[*d as usize]));
            starts.push(index_of(targets.len()));
        }
        let (dependent_starts, dependents) = transpose(&starts, &targets);
        let is_only_input = |task: u32| starts[task as usize + 1] - starts[task as usize] == 1;
        let flags = order
            .iter()
            .zip(dependent_starts.windows(2))
            .map(|(local, range)| Flags {
                simple: self.simple[*local as usize],
                chained: match &dependents[range[0] as usize..range[1] as usize] {
                    [next] => is_only_input(*next),
                    _ => false,
                },
            })
            .collect();

        let rank_of_node = |node: u32| {
            let local = self.nodes.binary_search(&node).expect("a wanted call is in the plan");
            TaskId(rank[local])
        };
        let mut options: Vec<_> = graph
            .options
            .iter()
            .filter(|(node, _)| self.nodes.binary_search(node).is_ok())
            .map(|(node, options)| (rank_of_node(*node), options.clone()))
            .collect();
        options.sort_unstable_by_key(|(task, _)| *task);
        let shortest_limit = options.iter().filter_map(|(_, options)| options.time_limit).min();
        let mut outputs: Vec<_> = self.outputs.iter().map(|o| TaskId(rank[*o as usize])).collect();
        outputs.sort_unstable();
        outputs.dedup();
        let wanted = wanted.number(&rank_of_node);
        let ids = |numbers: Vec<u32>| numbers.into_iter().map(TaskId).collect();
        Plan {
            graph,
            nodes: nodes.into(),
            dependencies: Adjacency { starts: starts.into(), targets: ids(targets) },
            dependents: Adjacency { starts: dependent_starts.into(), targets: ids(dependents) },
            flags,
            roots: roots.into(),
            options: options.into(),
            shortest_limit,
            wanted,
            outputs: outputs.into(),
            fingerprints: OnceLock::new(),
            prefixes: OnceLock::new(),
        }
    }
}

/// The wanted shape with nodes of the graph instead of tasks of a plan.
enum Unnumbered {
    Call(u32),
    Literal(Value),
    List(Vec<Unnumbered>),
}

impl Unnumbered {
    fn number(self, rank_of_node: &impl Fn(u32) -> TaskId) -> Wanted {
        match self {
            Unnumbered::Call(node) => Wanted::Task(rank_of_node(node)),
            Unnumbered::Literal(value) => Wanted::Literal(value),
            Unnumbered::List(items) => {
                Wanted::List(items.into_iter().map(|item| item.number(rank_of_node)).collect())
            }
        }
    }
}

/// Finds the wanted keys; the shape is nested only as deep as the caller wrote it.
fn resolve(
    graph: &Graph,
    outputs: &Outputs,
    nodes: &mut Vec<u32>,
) -> Result<Unnumbered, GraphError> {
    let node = match outputs {
        Outputs::List(items) => {
            let items = items.iter().map(|item| resolve(graph, item, nodes));
            return Ok(Unnumbered::List(items.collect::<Result<_, _>>()?));
        }
        Outputs::Key(key) => graph
            .find(key)
            .ok_or_else(|| GraphError::MissingKey { key: key.clone(), needed_by: None })?,
        Outputs::Node(node) => graph.own(*node)?,
    };
    nodes.push(node);
    Ok(match graph.literal_of(node) {
        Some(value) => Unnumbered::Literal(value.clone()),
        None => Unnumbered::Call(graph.target(node)),
    })
}

/// Turns the edges around. The lists of the result are ascending.
fn transpose(starts: &[u32], targets: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let tasks = starts.len() - 1;
    let mut turned_starts = vec![0_u32; tasks + 1];
    for target in targets {
        turned_starts[*target as usize + 1] += 1;
    }
    for task in 0..tasks {
        turned_starts[task + 1] += turned_starts[task];
    }
    let mut next = turned_starts.clone();
    let mut turned = vec![0_u32; targets.len()];
    for task in 0..tasks {
        for target in &targets[starts[task] as usize..starts[task + 1] as usize] {
            let slot = &mut next[*target as usize];
            turned[*slot as usize] = index_of(task);
            *slot += 1;
        }
    }
    (turned_starts, turned)
}

/// Counts of a graph fit in 32 bits: `Graph` reports `TooLarge` before one does not.
fn index_of(number: usize) -> u32 {
    u32::try_from(number).expect("a graph that is too large was refused")
}
