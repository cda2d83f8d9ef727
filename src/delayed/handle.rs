//! [`Delayed`]: a handle to a value that is not computed yet, and the graph behind it.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::actors::store::ObjectRef;
use crate::actors::wait_for;
use crate::graph::{
    Argument, CallError, Collect, Func, Function, Graph, GraphError, Input, Key, Outcome, Outputs,
    Plan, TaskOptions, Writer,
};
use crate::value::{Data, Value};

/// A value of type `T` that is not computed yet.
///
/// Cloning is cheap and makes another handle to the same value, which a run computes only once.
pub struct Delayed<T> {
    pub(super) node: Arc<DelayedNode>,
    value: PhantomData<fn() -> T>,
}

/// One value: its key, and where it comes from.
#[derive(Debug)]
pub(super) struct DelayedNode {
    pub(super) key: Key,
    content: Content,
    /// What is said of the call, if anything is.
    options: Option<Arc<TaskOptions>>,
}

#[derive(Debug)]
pub(super) enum Content {
    Literal(Value),
    Call { func: Func, args: Vec<DelayedArg> },
}

/// An argument of a delayed call.
pub struct DelayedArg(pub(super) ArgKind);

/// Only the keys are shown, not what is behind them, which may be a long chain.
impl std::fmt::Debug for DelayedArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            ArgKind::Value(value) => value.fmt(f),
            ArgKind::Node(_) | ArgKind::List { .. } => {
                f.debug_list().entries(self.nodes().iter().map(|node| &node.key)).finish()
            }
        }
    }
}

pub(super) enum ArgKind {
    Value(Value),
    Node(Arc<DelayedNode>),
    List { nodes: Vec<Arc<DelayedNode>>, collect: Collect },
}

impl<T> Delayed<T> {
    pub(super) fn new(key: Key, content: Content, options: Option<Arc<TaskOptions>>) -> Self {
        Self { node: Arc::new(DelayedNode { key, content, options }), value: PhantomData }
    }

    /// A handle to data that is there already.
    pub fn literal(data: T) -> Self
    where
        T: Data,
    {
        Self::literal_value(Value::new(data))
    }

    fn literal_value(value: Value) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = Key::numbered("literal", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::new(key, Content::Literal(value), None)
    }

    /// A handle to a value in the store, which may still be in the making. `T` is what the value is
    /// taken for; if it is not, the task that uses it fails.
    pub fn from_ref(object_ref: ObjectRef) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = Key::numbered("fetch", NEXT.fetch_add(1, Ordering::Relaxed));
        let func = Func::from_function(Fetch(object_ref));
        Self::new(key, Content::Call { func, args: Vec::new() }, None)
    }

    /// The key of the value.
    pub fn key(&self) -> &Key {
        &self.node.key
    }

    /// The same value under a key of your choice. A key that is used twice in one run is an error.
    #[must_use]
    pub fn with_key(self, key: impl Into<Key>) -> Self {
        let content = match &self.node.content {
            Content::Literal(value) => Content::Literal(value.clone()),
            Content::Call { func, args } => Content::Call {
                func: func.clone(),
                args: args.iter().map(DelayedArg::copy).collect(),
            },
        };
        Self::new(key.into(), content, self.node.options.clone())
    }

    /// What has to run for this value.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if two different handles have the same key.
    pub fn plan(&self) -> Result<Plan, GraphError> {
        let (graph, outputs) = self.graph();
        Plan::new(graph, outputs)
    }

    /// The graph behind this value, with the value as what is wanted of it.
    pub fn graph(&self) -> (Graph, Outputs) {
        (graph_of(&[&self.node]), Outputs::Key(self.node.key.clone()))
    }

    /// The tasks behind this value in the DOT language; see [`Plan::to_dot`].
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan).
    pub fn to_dot(&self) -> Result<String, GraphError> {
        Ok(self.plan()?.to_dot())
    }

    /// Writes the tasks behind this value to a file in the DOT language, to be drawn by `GraphViz`
    /// (`dot -Tsvg graph.dot`).
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan), and if the file cannot be written.
    pub fn visualize(&self, path: impl AsRef<Path>) -> std::io::Result<()> {
        let dot = self.to_dot().map_err(std::io::Error::other)?;
        std::fs::write(path, dot)
    }
}

impl DelayedArg {
    fn copy(&self) -> Self {
        Self(match &self.0 {
            ArgKind::Value(value) => ArgKind::Value(value.clone()),
            ArgKind::Node(node) => ArgKind::Node(Arc::clone(node)),
            ArgKind::List { nodes, collect } => {
                ArgKind::List { nodes: nodes.iter().map(Arc::clone).collect(), collect: *collect }
            }
        })
    }

    fn nodes(&self) -> &[Arc<DelayedNode>] {
        match &self.0 {
            ArgKind::Value(_) => &[],
            ArgKind::Node(node) => std::slice::from_ref(node),
            ArgKind::List { nodes, .. } => nodes,
        }
    }
}

/// A long chain of handles must not overflow the stack when it is dropped.
impl Drop for DelayedNode {
    fn drop(&mut self) {
        let mut left: Vec<Arc<Self>> = Vec::new();
        let take = |content: &mut Content, left: &mut Vec<Arc<Self>>| {
            let Content::Call { args, .. } = content else { return };
            for DelayedArg(kind) in args.drain(..) {
                match kind {
                    ArgKind::Value(_) => {}
                    ArgKind::Node(node) => left.push(node),
                    ArgKind::List { nodes, .. } => left.extend(nodes),
                }
            }
        };
        take(&mut self.content, &mut left);
        while let Some(node) = left.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                take(&mut node.content, &mut left);
            }
        }
    }
}

/// One node, written into a graph: what it needs is named by key.
struct Written<'a>(&'a DelayedNode);

/// The kind of [`Written`].
struct Handle;

impl Argument<Handle> for Written<'_> {
    fn write(self, to: &mut Writer<'_>) {
        let (func, args) = match &self.0.content {
            Content::Literal(value) => return to.literal(value.clone()),
            Content::Call { func, args } => (func, args),
        };
        for DelayedArg(kind) in args {
            match kind {
                ArgKind::Value(value) => to.literal(value.clone()),
                ArgKind::Node(node) => to.key(node.key.clone()),
                ArgKind::List { nodes, collect } => {
                    for node in nodes {
                        to.key(node.key.clone());
                    }
                    to.collect(*collect, nodes.len());
                }
            }
        }
        to.call(func.clone(), args.len());
    }
}

/// The graph of everything that the wanted nodes need.
pub(super) fn graph_of(wanted: &[&Arc<DelayedNode>]) -> Graph {
    let mut graph = Graph::new();
    let mut seen: HashSet<*const DelayedNode> = HashSet::new();
    let mut left: Vec<&Arc<DelayedNode>> = wanted.to_vec();
    while let Some(node) = left.pop() {
        if !seen.insert(Arc::as_ptr(node)) {
            continue;
        }
        let inserted = graph.insert(node.key.clone(), Written(node));
        if let Some(options) = &node.options {
            graph.set_options(inserted, TaskOptions::clone(options));
        }
        if let Content::Call { args, .. } = &node.content {
            left.extend(args.iter().flat_map(DelayedArg::nodes));
        }
    }
    graph
}

/// Answers a value of the store, and waits for it beside the workers if it is not there yet.
struct Fetch(ObjectRef);

impl Function for Fetch {
    fn name(&self) -> &'static str {
        "fetch"
    }

    fn arity(&self) -> Option<usize> {
        Some(0)
    }

    fn holds_values(&self) -> bool {
        true
    }

    fn call(&self, _: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        if let Some(value) = self.0.fetch_now() {
            return Ok(Outcome::Ready(value));
        }
        if self.0.is_spilled() {
            // Here, so that no more come back at once than there are workers to use them.
            let value = wait_for(None, self.0.fetch());
            return Ok(Outcome::Ready(value.map_err(|error| CallError::Failed(error.into()))?));
        }
        let object_ref = self.0.clone();
        Ok(Outcome::Later(Box::pin(async move { Ok(object_ref.fetch().await?) })))
    }
}

impl<T> Clone for Delayed<T> {
    fn clone(&self) -> Self {
        Self { node: Arc::clone(&self.node), value: PhantomData }
    }
}

impl<T> std::fmt::Debug for Delayed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delayed({:?})", self.node.key)
    }
}
