//! [`Plan`]: what a run follows; the wanted part of a graph, checked, in order, as flat arrays.
//!
//! Making a plan validates the whole graph, follows aliases, leaves out what nobody wants, puts the
//! tasks into their static order and numbers them by it. So a task's number *is* its priority, every
//! dependency has a smaller number than its dependents, and a worker that goes through its tasks in
//! order goes through memory in order. A plan holds nothing of a run and can be run many times.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use smallvec::SmallVec;

use super::compile::Compiled;
use super::dag::{Entry, Graph, Node, Op};
use super::error::GraphError;
use super::fingerprint::{Fingerprint, fingerprints};
use super::function::{CallError, Func, Input, Outcome};
use super::key::Key;
use super::options::TaskOptions;
use super::outputs::{Outputs, Results};
use super::prefixes::Prefixes;
use crate::value::{List, Value};

/// A task's number in its plan: its place in the static order, and so its priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u32);

impl TaskId {
    /// The number as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// Lists of task numbers, one list a task, in one flat array.
pub(super) struct Adjacency {
    /// List `i` is `targets[starts[i]..starts[i + 1]]`.
    pub(super) starts: Box<[u32]>,
    pub(super) targets: Box<[TaskId]>,
}

impl Adjacency {
    #[inline]
    fn of(&self, task: TaskId) -> &[TaskId] {
        let index = task.index();
        &self.targets[self.starts[index] as usize..self.starts[index + 1] as usize]
    }
}

/// The arguments of one call, in order.
pub type Inputs<'a> = SmallVec<[Input<'a>; 4]>;

/// The wanted part of a graph, ready to run.
///
/// # Examples
///
/// ```
/// use mobula::{Plan, graph};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
///
/// let plan = Plan::new(graph! { "x" => 1, "y" => (inc, "x"), "unused" => (inc, "y") }, "y")?;
/// assert_eq!(plan.len(), 1); // "x" is a literal, "unused" is not wanted
/// # Ok::<(), mobula::GraphError>(())
/// ```
pub struct Plan {
    pub(super) graph: Arc<Graph>,
    /// Task to node index in the graph.
    pub(super) nodes: Box<[u32]>,
    /// The tasks whose values a task needs, in the order of its arguments, with repetitions.
    pub(super) dependencies: Adjacency,
    /// The tasks that need a task's value, ascending, once for each time they need it.
    pub(super) dependents: Adjacency,
    pub(super) flags: Box<[Flags]>,
    /// The tasks that need no other task, ascending.
    pub(super) roots: Box<[TaskId]>,
    /// What is said of tasks beside their calls, for the few of which something is; sorted by task.
    pub(super) options: Box<[(TaskId, TaskOptions)]>,
    /// The shortest time limit among them.
    pub(super) shortest_limit: Option<Duration>,
    pub(super) wanted: Wanted,
    /// The tasks among the wanted keys, ascending, each once.
    pub(super) outputs: Box<[TaskId]>,
    /// By task; made when the first one is asked for.
    pub(super) fingerprints: OnceLock<Box<[Option<Fingerprint>]>>,
    /// Made when they are asked for.
    pub(super) prefixes: OnceLock<Arc<Prefixes>>,
}

/// What is true of a task in every run.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    /// Each argument is the value of a task: nothing has to be evaluated.
    pub(super) simple: bool,
    /// The only dependent of this task has only this dependency: the two are one chain.
    pub(super) chained: bool,
}

/// What a wanted key means.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'a> {
    /// The value of a task.
    Task(TaskId),
    /// A value that stands in the graph.
    Literal(&'a Value),
}

/// The wanted keys, resolved.
pub(super) enum Wanted {
    Task(TaskId),
    Literal(Value),
    List(Vec<Wanted>),
}

impl Plan {
    /// Checks `graph` and plans what `outputs` need of it.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if the graph has a cycle, a key given twice or a key that is missing, also in a
    /// part that is not wanted.
    pub fn new(
        graph: impl Into<Arc<Graph>>,
        outputs: impl Into<Outputs>,
    ) -> Result<Self, GraphError> {
        Compiled::plan(graph.into(), &outputs.into())
    }

    /// The number of tasks.
    #[inline]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if nothing has to run: only literals are wanted.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All tasks in their static order.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = TaskId> + use<> {
        (0..u32::try_from(self.len()).expect("a plan has at most 2^32 tasks")).map(TaskId)
    }

    /// The graph the plan was made of.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The task's key.
    pub fn key(&self, task: TaskId) -> &Key {
        &self.graph.keys[self.nodes[task.index()] as usize]
    }

    /// The task's node in the graph.
    pub fn node(&self, task: TaskId) -> Node {
        self.graph.node_at(self.nodes[task.index()])
    }

    /// The task of a key, if the plan runs one for it.
    pub fn task(&self, key: &Key) -> Option<TaskId> {
        let node = self.graph.find(key)?;
        let at = self.nodes.iter().position(|other| *other == node)?;
        Some(TaskId(u32::try_from(at).expect("a plan has at most 2^32 tasks")))
    }

    /// The tasks whose values the task needs, in the order of its arguments, with repetitions.
    #[inline]
    pub fn dependencies(&self, task: TaskId) -> &[TaskId] {
        self.dependencies.of(task)
    }

    /// The tasks that need the task's value, ascending, once for each time they need it.
    #[inline]
    pub fn dependents(&self, task: TaskId) -> &[TaskId] {
        self.dependents.of(task)
    }

    /// True if the task's only dependent needs nothing else: the two run one after the other in one
    /// worker, as one, and each is still seen by every hook.
    #[inline]
    pub fn is_chained(&self, task: TaskId) -> bool {
        self.flags[task.index()].chained
    }

    /// The tasks that need no other task, ascending.
    #[inline]
    pub fn roots(&self) -> &[TaskId] {
        &self.roots
    }

    /// The tasks among the wanted keys, ascending, each once.
    #[inline]
    pub fn outputs(&self) -> &[TaskId] {
        &self.outputs
    }

    /// What is said of the task beside its call, if anything is.
    #[inline]
    pub fn options(&self, task: TaskId) -> Option<&TaskOptions> {
        if self.options.is_empty() {
            return None;
        }
        let found = self.options.binary_search_by_key(&task, |(other, _)| *other).ok()?;
        Some(&self.options[found].1)
    }

    /// How often the task may be tried again when it fails, if the plan says so.
    pub fn retries(&self, task: TaskId) -> Option<u32> {
        self.options(task)?.retries
    }

    /// The shortest time limit of a task, if one has any.
    pub fn shortest_limit(&self) -> Option<Duration> {
        self.shortest_limit
    }

    /// The keys that stand for data and that the task takes, in the order of its arguments, each with a number
    /// that tells it from the others.
    pub(crate) fn data_of(&self, task: TaskId) -> impl Iterator<Item = (u32, &Key)> {
        let graph = &*self.graph;
        graph.arguments(self.nodes[task.index()]).iter().filter_map(|op| match *op {
            Op::Node(node) => {
                let target = graph.target(node);
                graph.literal_of(target).map(|_| (target, &graph.keys[target as usize]))
            }
            Op::Literal(_) | Op::List(_) | Op::Collect(_) | Op::Apply(_) => None,
        })
    }

    /// True if a function of the plan holds values of a store. This looks at all tasks.
    pub(crate) fn holds_values(&self) -> bool {
        self.tasks().any(|task| self.func(task).holds_values())
    }

    /// All that the task's value depends on, as one number; `None` if something of it has no form that
    /// is the same in every process. Asking first looks at the whole plan, literals included.
    pub fn fingerprint(&self, task: TaskId) -> Option<Fingerprint> {
        self.fingerprints.get_or_init(|| fingerprints(self))[task.index()]
    }

    /// The key prefixes of the tasks. Asking first looks at the whole plan.
    pub(crate) fn prefixes(&self) -> &Arc<Prefixes> {
        self.prefixes.get_or_init(|| Arc::new(Prefixes::new(self)))
    }

    /// The task's function.
    #[inline]
    pub fn func(&self, task: TaskId) -> &Func {
        match &self.graph.nodes[self.nodes[task.index()] as usize] {
            Entry::Call { func, .. } => func,
            Entry::Undefined | Entry::Literal(_) | Entry::Alias(_) => {
                unreachable!("only calls become tasks")
            }
        }
    }

    /// Calls the task's function. `input` answers the `i`-th of the task's
    /// [`dependencies`](Self::dependencies).
    ///
    /// # Errors
    ///
    /// What the call answers, or the error of a call nested in the task's arguments.
    #[inline]
    pub fn call<'a>(
        &'a self,
        task: TaskId,
        mut input: impl FnMut(usize, TaskId) -> Input<'a>,
    ) -> Result<Outcome, CallError> {
        if self.flags[task.index()].simple {
            let dependencies = self.dependencies(task).iter().enumerate();
            let inputs = dependencies.map(|(i, dependency)| input(i, *dependency));
            return self.func(task).call(&mut inputs.collect::<Inputs<'a>>());
        }
        self.func(task).call(&mut self.arguments(task, input)?)
    }

    /// Puts the arguments of a task together, nested calls included, without calling its function. `input`
    /// as for [`call`](Self::call).
    ///
    /// # Errors
    ///
    /// The error of a call nested in the task's arguments.
    pub fn arguments<'a>(
        &'a self,
        task: TaskId,
        mut input: impl FnMut(usize, TaskId) -> Input<'a>,
    ) -> Result<Inputs<'a>, CallError> {
        let dependencies = self.dependencies(task);
        let mut next = 0;
        self.evaluate(task, || {
            next += 1;
            input(next - 1, dependencies[next - 1])
        })
    }

    /// True if the task's value is wanted.
    pub fn is_wanted(&self, task: TaskId) -> bool {
        self.outputs.binary_search(&task).is_ok()
    }

    /// Runs the postfix program of a task's arguments.
    fn evaluate<'a>(
        &'a self,
        task: TaskId,
        mut next_dependency: impl FnMut() -> Input<'a>,
    ) -> Result<Inputs<'a>, CallError> {
        let graph = &*self.graph;
        let mut stack = Inputs::new();
        for op in graph.arguments(self.nodes[task.index()]) {
            match *op {
                Op::Literal(number) => stack.push(Input::Shared(&graph.literals[number as usize])),
                Op::Node(node) => stack.push(match graph.literal_of(node) {
                    Some(literal) => Input::Shared(literal),
                    None => next_dependency(),
                }),
                Op::List(count) => {
                    let list = List(pop(&mut stack, count));
                    stack.push(Input::Owned(Value::new(list)));
                }
                Op::Collect(number) => {
                    let (collect, count) = graph.collects[number as usize];
                    let items = pop(&mut stack, count);
                    let list = collect(items).ok_or_else(|| CallError::List {
                        function: self.func(task).name().to_owned(),
                    })?;
                    stack.push(Input::Owned(list));
                }
                Op::Apply(number) => {
                    let (func, count) = &graph.calls[number as usize];
                    let at = stack.len() - *count as usize;
                    let outcome = func.call(&mut stack[at..])?;
                    stack.truncate(at);
                    match outcome {
                        Outcome::Ready(value) => stack.push(Input::Owned(value)),
                        Outcome::Later(_) => {
                            return Err(CallError::NestedAsync {
                                function: func.name().to_owned(),
                            });
                        }
                    }
                }
            }
        }
        Ok(stack)
    }

    /// What each wanted key means, in order, without the shape.
    pub fn wanted(&self) -> Vec<Meaning<'_>> {
        let mut meanings = Vec::new();
        let mut left = vec![&self.wanted];
        while let Some(next) = left.pop() {
            match next {
                Wanted::Task(task) => meanings.push(Meaning::Task(*task)),
                Wanted::Literal(literal) => meanings.push(Meaning::Literal(literal)),
                Wanted::List(items) => left.extend(items.iter().rev()),
            }
        }
        meanings
    }

    /// The results in the wanted shape. `value` answers the value of an output.
    pub fn gather(&self, mut value: impl FnMut(TaskId) -> Value) -> Results {
        // The shape is as deep as its caller wrote it, so this is not recursive either.
        enum Step<'a> {
            Visit(&'a Wanted),
            Close(usize),
        }
        let mut steps = vec![Step::Visit(&self.wanted)];
        let mut done: Vec<Results> = Vec::new();
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit(Wanted::Task(task)) => done.push(Results::Value(value(*task))),
                Step::Visit(Wanted::Literal(literal)) => {
                    done.push(Results::Value(literal.clone()));
                }
                Step::Visit(Wanted::List(items)) => {
                    steps.push(Step::Close(items.len()));
                    steps.extend(items.iter().rev().map(Step::Visit));
                }
                Step::Close(count) => {
                    let items = done.split_off(done.len() - count);
                    done.push(Results::List(items));
                }
            }
        }
        done.pop().expect("the wanted shape has exactly one root")
    }
}

fn pop(stack: &mut Inputs<'_>, count: u32) -> Vec<Value> {
    let at = stack.len() - count as usize;
    stack.drain(at..).map(|mut input| input.take()).collect()
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("tasks", &self.len()).finish_non_exhaustive()
    }
}
