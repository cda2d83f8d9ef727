//! [`Graph`]: keys and what each of them stands for, with dense ids and flat arrays inside.
//!
//! A key is hashed once where it is defined and once where it is used; after that only numbers are
//! left. A graph does not know what is wanted from it: that is the [`Plan`](super::Plan)'s part.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::argument::Argument;
use super::error::GraphError;
use super::function::{Func, Function, Input, Outcome};
use super::key::Key;
use super::options::TaskOptions;
use crate::value::{List, Value};

/// A set of keys, each of them a task, a literal, a list or another name of a key.
///
/// Build it with the [`graph!`](crate::graph!) macro or key by key. A mistake that shows while it is
/// built (a key given twice) is kept and reported by [`validate`](Self::validate) and by every run.
///
/// # Examples
///
/// ```
/// use mobula::Graph;
///
/// fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// let mut graph = Graph::new();
/// graph.insert("x", 1);
/// let y = graph.insert("y", (add, "x", 10));
/// graph.insert(("sum", 0), (add, "x", y));
/// assert_eq!(graph.len(), 3);
/// graph.validate()?;
/// # Ok::<(), mobula::GraphError>(())
/// ```
#[derive(Default)]
pub struct Graph {
    /// Node index to key.
    pub(super) keys: Vec<Key>,
    /// Key to node index; the automatic keys of `add` are not in it, see `find`.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Node index to what the key stands for.
    pub(super) nodes: Vec<Entry>,
    /// Node index to the kind of its entry: the same once more, small enough to be read at random.
    pub(super) kinds: Vec<Kind>,
    /// The arguments of all tasks, one behind the other, in postfix order.
    pub(super) ops: Vec<Op>,
    /// Literals, by the numbers in `Op::Literal` and `Entry::Literal`.
    pub(super) literals: Vec<Value>,
    /// Nested calls, by the numbers in `Op::Apply`: function and number of arguments.
    pub(super) calls: Vec<(Func, u32)>,
    /// Typed lists, by the numbers in `Op::Collect`: how to make the vector, number of elements.
    pub(super) collects: Vec<(Collect, u32)>,
    /// What is said of tasks beside their calls, for the few of which something is; sorted by node
    /// index.
    pub(super) options: Vec<(u32, TaskOptions)>,
    /// True once `add` made an automatic key.
    automatic: bool,
    /// The name in the last automatic key, which is most often that of the next one too.
    last_name: Arc<str>,
    /// True if keys were declared that are not in the index.
    unindexed: bool,
    /// Distinguishes this graph's nodes from those of others; given out on first use.
    tag: Option<u32>,
    /// The first mistake.
    mistake: Option<GraphError>,
}

/// Makes one value, a typed vector, from the values of a list.
pub(crate) type Collect = fn(Vec<Value>) -> Option<Value>;

/// What a key stands for.
#[derive(Clone)]
pub(super) enum Entry {
    /// Named as an argument, not (yet) defined.
    Undefined,
    Literal(u32),
    /// Another name for a node.
    Alias(u32),
    /// A function; its arguments are `ops[start..end]`.
    Call {
        func: Func,
        start: u32,
        end: u32,
    },
}

/// The kind of an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Undefined,
    Literal,
    Alias,
    Call,
}

impl Entry {
    fn kind(&self) -> Kind {
        match self {
            Entry::Undefined => Kind::Undefined,
            Entry::Literal(_) => Kind::Literal,
            Entry::Alias(_) => Kind::Alias,
            Entry::Call { .. } => Kind::Call,
        }
    }
}

/// One step of the postfix program that makes the arguments of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// The value of that node.
    Node(u32),
    Literal(u32),
    /// The last so many values become a list.
    List(u32),
    /// As `List`, made into a typed vector.
    Collect(u32),
    /// A nested call.
    Apply(u32),
}

/// A handle to a key of one graph: an argument that needs no look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub(super) graph: u32,
    pub(super) index: u32,
}

impl Node {
    /// The node's number in its graph: nodes are numbered in the order in which their keys are first named.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

static NEXT_TAG: AtomicU32 = AtomicU32::new(0);

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty graph with room for `tasks` keys.
    pub fn with_capacity(tasks: usize) -> Self {
        Self {
            keys: Vec::with_capacity(tasks),
            index: HashTable::with_capacity(tasks),
            nodes: Vec::with_capacity(tasks),
            kinds: Vec::with_capacity(tasks),
            ops: Vec::with_capacity(tasks * 2),
            ..Self::default()
        }
    }

    /// Defines what `key` stands for. The keys that it needs may be defined later.
    pub fn insert<M>(&mut self, key: impl Into<Key>, node: impl Argument<M>) -> Node {
        let key = key.into();
        let hash = self.hasher.hash_one(&key);
        if self.automatic && self.find_automatic(&key).is_some() {
            self.remember(GraphError::DuplicateKey(key.clone()));
        }
        let index = self.intern(hash, key);
        self.define_at(index, node)
    }

    /// Adds a task, literal or list under an automatic key: the function's name and a number.
    ///
    /// This is the quickest way to build a large graph: nothing is hashed.
    pub fn add<M>(&mut self, node: impl Argument<M>) -> Node {
        self.automatic = true;
        let number = self.nodes.len() as u64;
        let index = self.push(Key::from(number), Entry::Undefined);
        let node = self.define_at(index, node);
        let name = match &self.nodes[index as usize] {
            Entry::Call { func, .. } => func.name(),
            Entry::Literal(_) | Entry::Alias(_) | Entry::Undefined => "value",
        };
        if *self.last_name != *name {
            self.last_name = name.into();
        }
        self.keys[index as usize] = Key::numbered(Arc::clone(&self.last_name), number);
        node
    }

    /// Gives a key a place in the graph, where [`define`](Self::define) says later what it stands for.
    ///
    /// For programs that number their keys themselves: nothing is hashed. The key must not be in the
    /// graph yet, which is not checked. Nodes are numbered in the order in which their keys are first
    /// named ([`Node::index`]).
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Arg, Func, Graph, Plan, Task, Value};
    ///
    /// let mut graph = Graph::new();
    /// let (x, y) = (graph.declare("x"), graph.declare("y"));
    /// graph.define(y, Task::new(Func::new(|x: i64| x + 1), [Arg::from(x)]));
    /// graph.define(x, Arg::Literal(Value::new(1_i64)));
    /// assert_eq!((x.index(), y.index()), (0, 1));
    /// let plan = Plan::new(graph, y)?;
    /// assert_eq!(plan.node(plan.outputs()[0]), y);
    /// # Ok::<(), mobula::GraphError>(())
    /// ```
    pub fn declare(&mut self, key: impl Into<Key>) -> Node {
        self.unindexed = true;
        let index = self.push(key.into(), Entry::Undefined);
        Node { graph: self.tag(), index }
    }

    /// Defines what a declared key stands for.
    pub fn define<M>(&mut self, node: Node, what: impl Argument<M>) {
        match self.own(node) {
            Ok(index) => {
                self.define_at(index, what);
            }
            Err(mistake) => self.remember(mistake),
        }
    }

    fn define_at<M>(&mut self, index: u32, node: impl Argument<M>) -> Node {
        let start = self.ops.len();
        let mut writer = Writer { graph: self, task: index, said: None };
        node.write(&mut writer);
        let said = writer.said.take();
        if let Some((range, options)) = said
            && range == (start..self.ops.len())
        {
            self.put_options(index, *options);
        }
        let entry = self.entry_from_ops(start);
        let slot = &mut self.nodes[index as usize];
        if matches!(slot, Entry::Undefined) {
            self.kinds[index as usize] = entry.kind();
            *slot = entry;
        } else {
            self.remember(GraphError::DuplicateKey(self.keys[index as usize].clone()));
        }
        Node { graph: self.tag(), index }
    }

    /// Takes the outermost operation of what was written off again: it says what the entry is.
    fn entry_from_ops(&mut self, start: usize) -> Entry {
        let written = self.ops.len() - start;
        let Ok(first) = u32::try_from(start) else {
            self.remember(GraphError::TooLarge);
            return Entry::Undefined;
        };
        let call = |func: Func, ops: &[Op]| match u32::try_from(ops.len()) {
            Ok(end) => Entry::Call { func, start: first, end },
            Err(_) => Entry::Undefined,
        };
        match self.ops.pop() {
            Some(Op::Literal(literal)) if written == 1 => Entry::Literal(literal),
            Some(Op::Node(node)) if written == 1 => Entry::Alias(node),
            Some(Op::Apply(number)) if number as usize + 1 == self.calls.len() => {
                let (func, _) = self.calls.pop().expect("the call was just written");
                call(func, &self.ops)
            }
            Some(Op::List(_)) => call(Func::from_function(MakeList), &self.ops),
            Some(op) => {
                self.ops.push(op);
                call(Func::from_function(Same), &self.ops)
            }
            None => Entry::Undefined,
        }
    }

    /// Lets the task of `node` be tried again up to `retries` times when it fails.
    pub fn set_retries(&mut self, node: Node, retries: u32) {
        let at = self.options_at(node.index);
        self.options[at].1.retries = Some(retries);
    }

    /// Says how the task of `node` is tried again, and how long it may take; in place of what was said
    /// before.
    pub fn set_options(&mut self, node: Node, options: TaskOptions) {
        self.put_options(node.index, options);
    }

    fn put_options(&mut self, index: u32, options: TaskOptions) {
        let at = self.options_at(index);
        self.options[at].1 = options;
    }

    /// The place of a node in the list of options, where it gets one if it has none.
    fn options_at(&mut self, index: u32) -> usize {
        self.options.binary_search_by_key(&index, |(other, _)| *other).unwrap_or_else(|at| {
            self.options.insert(at, (index, TaskOptions::default()));
            at
        })
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if the graph has no key.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All keys, in the order in which they were first named.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.keys.iter()
    }

    /// The key of a node.
    pub fn key(&self, node: Node) -> &Key {
        &self.keys[node.index as usize]
    }

    /// The node of a key, if the graph has it.
    pub fn node(&self, key: &Key) -> Option<Node> {
        let index = self.find(key)?;
        Some(Node { graph: self.tag?, index })
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let found = self.index.find(hash, |index| self.keys[*index as usize] == *key);
        let found = found.copied().or_else(|| self.find_automatic(key));
        if found.is_some() || !self.unindexed {
            return found;
        }
        let declared = self.keys.iter().position(|declared| declared == key)?;
        u32::try_from(declared).ok()
    }

    /// Puts the declared keys into the index.
    fn index_declared(&mut self) {
        let (keys, hasher) = (&self.keys, &self.hasher);
        for (at, key) in keys.iter().enumerate() {
            let hash = hasher.hash_one(key);
            if self.index.find(hash, |other| keys[*other as usize] == *key).is_none() {
                let index = u32::try_from(at).expect("a graph has fewer than 2^32 keys");
                self.index
                    .insert_unique(hash, index, |other| hasher.hash_one(&keys[*other as usize]));
            }
        }
        self.unindexed = false;
    }

    /// An automatic key ends with its own node index, so it is found without a table.
    fn find_automatic(&self, key: &Key) -> Option<u32> {
        if !self.automatic {
            return None;
        }
        let text = key.as_str()?;
        let index: u32 = text.rsplit_once('-')?.1.parse().ok()?;
        (self.keys.get(index as usize)? == key).then_some(index)
    }

    /// The index of a node of this graph.
    pub(super) fn own(&self, node: Node) -> Result<u32, GraphError> {
        let own = self.tag == Some(node.graph) && (node.index as usize) < self.nodes.len();
        own.then_some(node.index).ok_or_else(|| GraphError::ForeignNode("the wanted keys".into()))
    }

    /// The handle of a node of which there is one.
    pub(super) fn node_at(&self, index: u32) -> Node {
        Node { graph: self.tag.unwrap_or(u32::MAX), index }
    }

    pub(super) fn mistake(&self) -> Option<&GraphError> {
        self.mistake.as_ref()
    }

    fn remember(&mut self, mistake: GraphError) {
        self.mistake.get_or_insert(mistake);
    }

    fn tag(&mut self) -> u32 {
        *self.tag.get_or_insert_with(|| NEXT_TAG.fetch_add(1, Ordering::Relaxed))
    }

    /// The node index of a key; a key that is new becomes an undefined node.
    fn intern(&mut self, hash: u64, key: Key) -> u32 {
        if self.unindexed {
            self.index_declared();
        }
        let keys = &self.keys;
        if let Some(index) = self.index.find(hash, |index| keys[*index as usize] == key) {
            return *index;
        }
        if let Some(index) = self.find_automatic(&key) {
            return index;
        }
        let index = self.push(key, Entry::Undefined);
        let (keys, hasher) = (&self.keys, &self.hasher);
        self.index.insert_unique(hash, index, |index| hasher.hash_one(&keys[*index as usize]));
        index
    }

    fn push(&mut self, key: Key, entry: Entry) -> u32 {
        let index = u32::try_from(self.nodes.len()).unwrap_or_else(|_| {
            self.mistake.get_or_insert(GraphError::TooLarge);
            0
        });
        self.keys.push(key);
        self.kinds.push(entry.kind());
        self.nodes.push(entry);
        index
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("keys", &self.len()).finish_non_exhaustive()
    }
}

/// Writes the arguments of one task into a graph. [`Argument`] implementations use it.
#[derive(Debug)]
pub struct Writer<'a> {
    graph: &'a mut Graph,
    /// The node that is being defined, for messages.
    task: u32,
    /// What was said last of a task, with the operations that it was written as: it counts if these are
    /// all that was written.
    said: Option<(Range<usize>, Box<TaskOptions>)>,
}

impl Writer<'_> {
    /// The value of a key.
    #[inline]
    pub fn key(&mut self, key: Key) {
        let hash = self.graph.hasher.hash_one(&key);
        let index = self.graph.intern(hash, key);
        self.graph.ops.push(Op::Node(index));
    }

    /// The value of a node of the same graph.
    #[inline]
    pub fn node(&mut self, node: Node) {
        if self.graph.tag != Some(node.graph) {
            let task = self.graph.keys[self.task as usize].clone();
            self.graph.remember(GraphError::ForeignNode(task));
            return;
        }
        self.graph.ops.push(Op::Node(node.index));
    }

    /// A value that stands for itself.
    pub fn literal(&mut self, value: Value) {
        let number = self.count(self.graph.literals.len());
        self.graph.literals.push(value);
        self.graph.ops.push(Op::Literal(number));
    }

    /// Makes a list of the last `count` values that were written.
    pub fn list(&mut self, count: usize) {
        let count = self.count(count);
        self.graph.ops.push(Op::List(count));
    }

    /// As [`list`](Self::list), for values of a known type.
    pub(crate) fn collect(&mut self, collect: Collect, count: usize) {
        let (number, count) = (self.count(self.graph.collects.len()), self.count(count));
        self.graph.collects.push((collect, count));
        self.graph.ops.push(Op::Collect(number));
    }

    /// Calls `func` with the last `count` values that were written.
    #[inline]
    pub fn call(&mut self, func: Func, count: usize) {
        let (number, count) = (self.count(self.graph.calls.len()), self.count(count));
        self.graph.calls.push((func, count));
        self.graph.ops.push(Op::Apply(number));
    }

    /// How many operations were written so far.
    pub(super) fn written(&self) -> usize {
        self.graph.ops.len()
    }

    /// What is said of the task that was written as the operations from `start` on.
    pub(super) fn say(&mut self, start: usize, options: Box<TaskOptions>) {
        self.said = Some((start..self.written(), options));
    }

    fn count(&mut self, count: usize) -> u32 {
        u32::try_from(count).unwrap_or_else(|_| {
            self.graph.remember(GraphError::TooLarge);
            0
        })
    }
}

/// The function of a key that stands for a list.
struct MakeList;

impl Function for MakeList {
    fn name(&self) -> &'static str {
        "list"
    }

    fn arity(&self) -> Option<usize> {
        None
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, super::CallError> {
        Ok(Outcome::Ready(Value::new(List(inputs.iter_mut().map(Input::take).collect()))))
    }

    fn identity(&self) -> Option<Cow<'_, str>> {
        Some("mobula list".into())
    }
}

/// The function of a key that stands for one made argument.
struct Same;

impl Function for Same {
    fn name(&self) -> &'static str {
        "same"
    }

    fn arity(&self) -> Option<usize> {
        Some(1)
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, super::CallError> {
        match inputs {
            [only] => Ok(Outcome::Ready(only.take())),
            _ => Err(super::CallError::Arity {
                function: self.name().to_owned(),
                expected: 1,
                found: inputs.len(),
            }),
        }
    }

    fn identity(&self) -> Option<Cow<'_, str>> {
        Some("mobula same".into())
    }
}

/// Writes a graph as Dask writes one: `key => value`, where the value is a literal, a key, a list or
/// a call `(function, argument, ..)`; see [`Argument`] for what may stand where.
///
/// # Examples
///
/// ```
/// use mobula::{Cluster, graph};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
/// fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// let graph = graph! {
///     "x" => 1,
///     "y" => (inc, "x"),
///     ("z", 0) => (add, "y", (inc, 10)),
/// };
/// # let client = Cluster::builder().workers(1).start().unwrap();
/// let answer = client.get_blocking(graph, ("z", 0)).unwrap();
/// assert_eq!(answer.into_data::<i64>().unwrap(), 13);
/// ```
#[macro_export]
macro_rules! graph {
    () => { $crate::Graph::new() };
    ($($key:expr => $node:expr),+ $(,)?) => {{
        let mut graph = $crate::Graph::new();
        $(graph.insert($key, $node);)+
        graph
    }};
}
