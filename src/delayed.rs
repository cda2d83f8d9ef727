//! The typed face: [`delayed`] functions and the values that they will have.
//!
//! `delayed(f).call(args)` makes a [`Delayed<T>`], a handle to a value of type `T` that is not computed
//! yet; the compiler checks the arguments. Handles know what they need, so there is no graph to be
//! written; it is made when something is computed.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::actors::store::ObjectRef;
use crate::client::typed;
use crate::error::Error;
use crate::graph::{
    Argument, CallError, Collect, Func, Function, Graph, GraphError, Input, IntoFunc, Key, Outcome,
    Outputs, Plan, Writer,
};
use crate::value::{Data, Shared, Value};

/// Makes a function delayed: calling it gives a [`Delayed`] value instead of running it.
///
/// Takes functions and closures of 0 to 12 arguments, by value (`T: Clone +` [`Data`]) or by reference
/// (`&T` of any type, `&[T]`, `&str`), returning [`Data`], a `Result` of it, or a future of either.
/// `async` functions take their arguments by value, also as [`Shared<T>`](Shared).
///
/// # Examples
///
/// ```
/// use mobula::{Cluster, delayed};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
/// fn total(items: &[i64]) -> i64 {
///     items.iter().sum()
/// }
/// async fn twice(x: i64) -> Result<i64, std::num::TryFromIntError> {
///     Ok(i64::from(i32::try_from(x)?) * 2)
/// }
///
/// let x = delayed(inc).call(1);
/// let y = delayed(twice).call(&x);
/// let sum = delayed(total).call(vec![x, y]);
///
/// let cluster = Cluster::builder().workers(2).start()?;
/// assert_eq!(cluster.compute_blocking(&sum)?, 6);
/// # Ok::<(), mobula::Error>(())
/// ```
///
/// A wrong argument does not compile:
///
/// ```compile_fail
/// mobula::delayed(|x: i64| x + 1).call("one");
/// ```
pub fn delayed<S, F: IntoFunc<S>>(function: F) -> DelayedFn<F::Params, F::Target> {
    DelayedFn { func: function.into_func(), name: None, retries: 0, signature: PhantomData }
}

/// A delayed function with parameters `P`, a tuple, and results of type `T`.
pub struct DelayedFn<P, T> {
    func: Func,
    name: Option<Arc<str>>,
    retries: u32,
    signature: PhantomData<fn(P) -> T>,
}

impl<P, T> DelayedFn<P, T> {
    /// Uses `name` in the keys of its calls, instead of the function's name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets each call be tried again up to `retries` times when it fails. Its arguments are then kept
    /// until it has succeeded.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Calls it: one argument as it is, several as a tuple, none as `()`. An argument is a value, a
    /// handle, or for a `Vec` or slice parameter a list of handles.
    pub fn call(&self, args: impl IntoArgs<P>) -> Delayed<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = self.name.clone().unwrap_or_else(|| self.func.name().into());
        let content = Content::Call { func: self.func.clone(), args: args.into_args() };
        Delayed::new(Key::numbered(name, number), content, self.retries)
    }
}

impl<P, T> Clone for DelayedFn<P, T> {
    fn clone(&self) -> Self {
        Self { func: self.func.clone(), name: self.name.clone(), ..*self }
    }
}

impl<P, T> std::fmt::Debug for DelayedFn<P, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DelayedFn({})", self.func.name())
    }
}

/// A value of type `T` that is not computed yet.
///
/// Cloning is cheap and makes another handle to the same value, which a run computes only once.
pub struct Delayed<T> {
    node: Arc<DelayedNode>,
    value: PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct DelayedNode {
    key: Key,
    content: Content,
    retries: u32,
}

#[derive(Debug)]
enum Content {
    Literal(Value),
    Call { func: Func, args: Vec<DelayedArg> },
}

/// An argument of a delayed call.
#[derive(Debug)]
pub struct DelayedArg(ArgKind);

#[derive(Debug)]
enum ArgKind {
    Value(Value),
    Node(Arc<DelayedNode>),
    List { nodes: Vec<Arc<DelayedNode>>, collect: Collect },
}

impl<T> Delayed<T> {
    fn new(key: Key, content: Content, retries: u32) -> Self {
        Self { node: Arc::new(DelayedNode { key, content, retries }), value: PhantomData }
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
        Self::new(key, Content::Literal(value), 0)
    }

    /// A handle to a value in the store, which may still be in the making. `T` is what the value is
    /// taken for; if it is not, the task that uses it fails.
    pub fn from_ref(object_ref: ObjectRef) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = Key::numbered("fetch", NEXT.fetch_add(1, Ordering::Relaxed));
        let func = Func::from_function(Fetch(object_ref));
        Self::new(key, Content::Call { func, args: Vec::new() }, 0)
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
        Self::new(key.into(), content, self.node.retries)
    }

    /// What has to run for this value.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if two different handles have the same key.
    pub fn plan(&self) -> Result<Plan, GraphError> {
        plan_of(&[&self.node], Outputs::Key(self.node.key.clone()))
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

fn plan_of(wanted: &[&Arc<DelayedNode>], outputs: Outputs) -> Result<Plan, GraphError> {
    let mut graph = Graph::new();
    let mut seen: HashSet<*const DelayedNode> = HashSet::new();
    let mut left: Vec<&Arc<DelayedNode>> = wanted.to_vec();
    while let Some(node) = left.pop() {
        if !seen.insert(Arc::as_ptr(node)) {
            continue;
        }
        let inserted = graph.insert(node.key.clone(), Written(node));
        if node.retries > 0 {
            graph.set_retries(inserted, node.retries);
        }
        if let Content::Call { args, .. } = &node.content {
            left.extend(args.iter().flat_map(DelayedArg::nodes));
        }
    }
    Plan::new(graph, outputs)
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

    fn call(&self, _: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        if let Some(value) = self.0.value() {
            return Ok(Outcome::Ready(value));
        }
        let object_ref = self.0.clone();
        Ok(Outcome::Later(Box::pin(async move { Ok(object_ref.wait().await?) })))
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

/// What may be passed where a delayed function takes a `P`: a value, a handle, or a list of handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed to a delayed function as `{P}`",
    label = "expected `{P}`, `Delayed<{P}>` or `&Delayed<{P}>`"
)]
pub trait IntoArg<P> {
    /// The argument.
    fn into_arg(self) -> DelayedArg;
}

impl<T: Data> IntoArg<T> for T {
    fn into_arg(self) -> DelayedArg {
        DelayedArg(ArgKind::Value(Value::new(self)))
    }
}

impl IntoArg<String> for &str {
    fn into_arg(self) -> DelayedArg {
        self.to_owned().into_arg()
    }
}

impl<T> IntoArg<T> for &Delayed<T> {
    fn into_arg(self) -> DelayedArg {
        DelayedArg(ArgKind::Node(Arc::clone(&self.node)))
    }
}

impl<T> IntoArg<Shared<T>> for &Delayed<T> {
    fn into_arg(self) -> DelayedArg {
        DelayedArg(ArgKind::Node(Arc::clone(&self.node)))
    }
}

impl<T, P> IntoArg<P> for Delayed<T>
where
    for<'a> &'a Self: IntoArg<P>,
{
    fn into_arg(self) -> DelayedArg {
        (&self).into_arg()
    }
}

fn collect<T: Data + Clone>(values: Vec<Value>) -> Option<Value> {
    let items = values.into_iter().map(|value| value.take::<T>().ok());
    Some(Value::new(items.collect::<Option<Vec<T>>>()?))
}

impl<T: Data + Clone> IntoArg<Vec<T>> for &[Delayed<T>] {
    fn into_arg(self) -> DelayedArg {
        let nodes = self.iter().map(|delayed| Arc::clone(&delayed.node)).collect();
        DelayedArg(ArgKind::List { nodes, collect: collect::<T> })
    }
}

impl<T: std::any::Any + Send + Sync> IntoArg<Vec<Shared<T>>> for &[Delayed<T>] {
    fn into_arg(self) -> DelayedArg {
        let nodes = self.iter().map(|delayed| Arc::clone(&delayed.node)).collect();
        DelayedArg(ArgKind::List { nodes, collect: collect::<Shared<T>> })
    }
}

macro_rules! lists {
    ($([$($param:tt)*] $list:ty),*) => {
        $(impl<T, P, $($param)*> IntoArg<P> for $list
        where
            for<'a> &'a [Delayed<T>]: IntoArg<P>,
        {
            fn into_arg(self) -> DelayedArg {
                self[..].into_arg()
            }
        })*
    };
}

lists!([] Vec<Delayed<T>>, [] &Vec<Delayed<T>>, [const N: usize] [Delayed<T>; N],
    [const N: usize] &[Delayed<T>; N]);

/// What may be passed to a delayed function with parameters `P`, a tuple.
#[diagnostic::on_unimplemented(
    message = "these arguments do not fit a delayed function that takes `{P}`",
    note = "pass one argument as it is, several as a tuple, none as `()`"
)]
pub trait IntoArgs<P> {
    /// The arguments in order.
    fn into_args(self) -> Vec<DelayedArg>;
}

impl IntoArgs<()> for () {
    fn into_args(self) -> Vec<DelayedArg> {
        Vec::new()
    }
}

impl<A: IntoArg<P>, P> IntoArgs<(P,)> for A {
    fn into_args(self) -> Vec<DelayedArg> {
        vec![self.into_arg()]
    }
}

macro_rules! args {
    ($($arg:ident $param:ident),*) => {
        impl<$($arg: IntoArg<$param>, $param),*> IntoArgs<($($param,)*)> for ($($arg,)*) {
            fn into_args(self) -> Vec<DelayedArg> {
                #[expect(non_snake_case, reason = "one name for the type and its field")]
                let ($($arg,)*) = self;
                vec![$($arg.into_arg()),*]
            }
        }
    };
}

args!(A PA, B PB);
args!(A PA, B PB, C PC);
args!(A PA, B PB, C PC, D PD);
args!(A PA, B PB, C PC, D PD, E PE);
args!(A PA, B PB, C PC, D PD, E PE, F PF);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK, L PL);

/// Several delayed values that are computed in one run: tuples of up to eight handles, or lists of one
/// type.
pub trait DelayedList {
    /// The values, in the shape of the handles.
    type Values;

    /// What has to run for all of them.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if two different handles have the same key.
    fn plan(&self) -> Result<Plan, GraphError>;

    /// The values from the results of the run, which are in the order of the handles.
    ///
    /// # Errors
    ///
    /// [`Error`] if one is of another type.
    fn values(self, results: Vec<Value>) -> Result<Self::Values, Error>;
}

fn plan_of_all(nodes: &[&Arc<DelayedNode>]) -> Result<Plan, GraphError> {
    let keys = nodes.iter().map(|node| Outputs::Key(node.key.clone()));
    plan_of(nodes, Outputs::List(keys.collect()))
}

impl<T: Data + Clone> DelayedList for &[Delayed<T>] {
    type Values = Vec<T>;

    fn plan(&self) -> Result<Plan, GraphError> {
        plan_of_all(&self.iter().map(|delayed| &delayed.node).collect::<Vec<_>>())
    }

    fn values(self, results: Vec<Value>) -> Result<Vec<T>, Error> {
        self.iter().zip(results).map(|(delayed, value)| typed(value, delayed.key())).collect()
    }
}

impl<T: Data + Clone> DelayedList for &Vec<Delayed<T>> {
    type Values = Vec<T>;

    fn plan(&self) -> Result<Plan, GraphError> {
        self.as_slice().plan()
    }

    fn values(self, results: Vec<Value>) -> Result<Vec<T>, Error> {
        self.as_slice().values(results)
    }
}

macro_rules! delayed_tuples {
    ($($name:ident)*) => {
        impl<$($name: Data + Clone),*> DelayedList for ($(&Delayed<$name>,)*) {
            type Values = ($($name,)*);

            #[expect(non_snake_case, reason = "one name for the type and its field")]
            fn plan(&self) -> Result<Plan, GraphError> {
                let ($($name,)*) = self;
                plan_of_all(&[$(&$name.node),*])
            }

            #[expect(non_snake_case, reason = "one name for the type and its field")]
            fn values(self, results: Vec<Value>) -> Result<Self::Values, Error> {
                let ($($name,)*) = self;
                let mut results = results.into_iter();
                Ok(($(typed(
                    results.next().expect("a run answers for each wanted key"),
                    $name.key(),
                )?,)*))
            }
        }
    };
}

delayed_tuples!(A);
delayed_tuples!(A B);
delayed_tuples!(A B C);
delayed_tuples!(A B C D);
delayed_tuples!(A B C D E);
delayed_tuples!(A B C D E F);
delayed_tuples!(A B C D E F G);
delayed_tuples!(A B C D E F G H);
