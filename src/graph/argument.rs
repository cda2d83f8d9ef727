//! What may stand in a graph: keys, literals, lists and calls, nested in each other.
//!
//! [`Argument`] is the trait of everything that can be written in a graph, as the value of a key or
//! as an argument of a task; [`Arg`] and [`Task`] are the same as plain data, for programs that make
//! graphs from other graphs. Everything is written in postfix order into the graph's flat arrays, so
//! nothing here recurses over what the user nested.

use std::fmt;

use super::dag::{Node, Writer};
use super::function::Func;
use super::key::Key;
use super::options::{TaskOptions, task_options};
use super::typed::IntoFunc;
use crate::value::{Data, Value};

/// Something that may stand in a graph, as the value of a key or as an argument of a task.
///
/// | in Rust | in the graph |
/// |---|---|
/// | `"x"`, `String`, [`Key`], `("x", 0)`, [`Node`] | the value of that key |
/// | numbers, `bool`, `()` | themselves |
/// | [`lit`]`(data)` | any data, also text |
/// | arrays, slices, `Vec` | a list, element by element |
/// | `(function, argument, ..)` | a call: a task, or a nested task inside another one |
/// | [`Arg`], [`Task`] | the same, made at run time |
///
/// `M` is inferred and tells the kinds apart; it never needs to be written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a graph",
    note = "write data as `mobula::lit(data)`, a call as `(function, argument, ..)`",
    note = "the parameter types of a closure must be written out: `|x: i64| x + 1`"
)]
pub trait Argument<M> {
    /// Writes it into a graph.
    fn write(self, to: &mut Writer<'_>);
}

/// Kinds of [`Argument`]. They exist only as types.
pub mod kind {
    /// The name of a key.
    #[derive(Debug)]
    pub struct Named;
    /// Data that stands for itself.
    #[derive(Debug)]
    pub struct Literal;
    /// Several arguments as one.
    #[derive(Debug)]
    pub struct Listed<M>(std::marker::PhantomData<M>);
    /// A function with its arguments.
    #[derive(Debug)]
    pub struct Called<S>(std::marker::PhantomData<S>);
    /// An argument that was made at run time.
    #[derive(Debug)]
    pub struct Built;
}

use kind::{Built, Called, Listed, Literal, Named};

/// Data as an argument, where a plain Rust value would be taken for a key or is not a number.
///
/// # Examples
///
/// ```
/// use mobula::{graph, lit};
///
/// fn length(text: &str) -> usize {
///     text.len()
/// }
///
/// let graph = graph! { "n" => (length, lit("manta".to_owned())) };
/// # let client = mobula::Cluster::builder().workers(1).start().unwrap();
/// # assert_eq!(client.get_blocking(graph, "n").unwrap().into_data::<usize>().unwrap(), 5);
/// ```
pub fn lit(data: impl Data) -> Arg {
    Arg::Literal(Value::new(data))
}

/// An argument as plain data.
#[derive(Debug)]
pub enum Arg {
    /// The value of that key.
    Key(Key),
    /// The value of that node of the same graph.
    Node(Node),
    /// The value itself.
    Literal(Value),
    /// A list of arguments.
    List(Args),
    /// A call, made as part of the outer task.
    Task(Task),
}

/// Several arguments as plain data. They may be nested to any depth.
#[derive(Default)]
pub struct Args(Vec<Arg>);

impl<A: Into<Arg>> FromIterator<A> for Args {
    fn from_iter<I: IntoIterator<Item = A>>(items: I) -> Self {
        Self(items.into_iter().map(Into::into).collect())
    }
}

impl From<Key> for Arg {
    fn from(key: Key) -> Self {
        Self::Key(key)
    }
}

impl From<Node> for Arg {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

impl From<Task> for Arg {
    fn from(task: Task) -> Self {
        Self::Task(task)
    }
}

/// Deep nesting must not overflow the stack when it is dropped.
impl Drop for Args {
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.0);
        while let Some(arg) = left.pop() {
            match arg {
                Arg::List(mut items) => left.append(&mut items.0),
                Arg::Task(mut task) => left.append(&mut task.args.0),
                Arg::Key(_) | Arg::Node(_) | Arg::Literal(_) => {}
            }
        }
    }
}

/// For the same reason only the count is shown.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} arguments", self.0.len())
    }
}

/// A function and its arguments as plain data.
///
/// # Examples
///
/// ```
/// use mobula::{Arg, Func, Graph, Task, lit};
///
/// fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// let mut graph = Graph::new();
/// graph.insert("x", 1);
/// graph.insert("z", Task::new(Func::new(add), [Arg::Key("x".into()), lit(2_i64)]));
/// assert!(graph.validate().is_ok());
/// ```
///
/// What is said beside the call, such as [`retries`](Self::retries), counts for a task that stands for
/// a key; of a call that is nested in another task nothing can be said alone.
#[derive(Debug)]
pub struct Task {
    func: Func,
    args: Args,
    /// What is said beside the call, if anything is. It counts where the task stands for a key.
    options: Option<Box<TaskOptions>>,
}

impl Task {
    /// A call of `func` with `args`.
    pub fn new<A: Into<Arg>>(func: Func, args: impl IntoIterator<Item = A>) -> Self {
        Self { func, args: args.into_iter().collect(), options: None }
    }

    task_options! {}

    fn options_mut(&mut self) -> &mut TaskOptions {
        self.options.get_or_insert_default()
    }

    /// The function.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// The arguments.
    pub fn args(&self) -> &[Arg] {
        &self.args.0
    }
}

/// What is left to write of nested arguments.
enum Step {
    Arg(Arg),
    EndList(usize),
    EndCall(Func, usize),
}

fn write_all(first: Arg, to: &mut Writer<'_>) {
    let mut steps = vec![Step::Arg(first)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Arg(Arg::Key(key)) => to.key(key),
            Step::Arg(Arg::Node(node)) => to.node(node),
            Step::Arg(Arg::Literal(value)) => to.literal(value),
            Step::Arg(Arg::List(mut items)) => {
                steps.push(Step::EndList(items.0.len()));
                steps.extend(items.0.drain(..).rev().map(Step::Arg));
            }
            Step::Arg(Arg::Task(mut task)) => {
                steps.push(Step::EndCall(task.func, task.args.0.len()));
                steps.extend(task.args.0.drain(..).rev().map(Step::Arg));
            }
            Step::EndList(count) => to.list(count),
            Step::EndCall(func, count) => to.call(func, count),
        }
    }
}

impl Argument<Built> for Arg {
    fn write(self, to: &mut Writer<'_>) {
        match self {
            Self::Task(task) => task.write(to),
            arg @ (Self::Key(_) | Self::Node(_) | Self::Literal(_) | Self::List(_)) => {
                write_all(arg, to);
            }
        }
    }
}

impl Argument<Built> for Task {
    fn write(mut self, to: &mut Writer<'_>) {
        let (options, start) = (self.options.take(), to.written());
        write_all(Arg::Task(self), to);
        if let Some(options) = options {
            to.say(start, options);
        }
    }
}

impl Argument<Built> for Value {
    fn write(self, to: &mut Writer<'_>) {
        to.literal(self);
    }
}

impl Argument<Named> for Node {
    fn write(self, to: &mut Writer<'_>) {
        to.node(self);
    }
}

macro_rules! named {
    ($([$($param:ident)*] $name:ty),* $(,)?) => {
        $(impl<$($param: Into<Key>),*> Argument<Named> for $name {
            #[inline]
            fn write(self, to: &mut Writer<'_>) {
                to.key(self.into());
            }
        })*
    };
}

named!([] &str, [] String, [] Key, [] &Key);
named!([A B] (A, B), [A B C] (A, B, C), [A B C D] (A, B, C, D), [A B C D E] (A, B, C, D, E));

macro_rules! literal {
    ($($scalar:ty),*) => {
        $(impl Argument<Literal> for $scalar {
            fn write(self, to: &mut Writer<'_>) {
                to.literal(Value::new(self));
            }
        })*
    };
}

literal!((), bool, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64);

fn write_list<M>(items: impl ExactSizeIterator<Item: Argument<M>>, to: &mut Writer<'_>) {
    let count = items.len();
    for item in items {
        item.write(to);
    }
    to.list(count);
}

impl<Item: Argument<M>, M> Argument<Listed<M>> for Vec<Item> {
    fn write(self, to: &mut Writer<'_>) {
        write_list(self.into_iter(), to);
    }
}

impl<A: Argument<M>, M, const N: usize> Argument<Listed<M>> for [A; N] {
    fn write(self, to: &mut Writer<'_>) {
        write_list(self.into_iter(), to);
    }
}

impl<A: Argument<M> + Clone, M> Argument<Listed<M>> for &[A] {
    fn write(self, to: &mut Writer<'_>) {
        write_list(self.iter().cloned(), to);
    }
}

macro_rules! calls {
    ($count:literal; $($arg:ident $marker:ident $field:ident),*) => {
        impl<Function, Signature, $($arg, $marker),*>
            Argument<Called<(Signature, $($marker,)*)>> for (Function, $($arg,)*)
        where
            Function: IntoFunc<Signature>,
            $($arg: Argument<$marker>,)*
        {
            #[inline]
            fn write(self, to: &mut Writer<'_>) {
                let (function, $($field,)*) = self;
                $($field.write(to);)*
                to.call(function.into_func(), $count);
            }
        }
    };
}

calls!(0;);
calls!(1; A MA a);
calls!(2; A MA a, B MB b);
calls!(3; A MA a, B MB b, C MC c);
calls!(4; A MA a, B MB b, C MC c, D MD d);
calls!(5; A MA a, B MB b, C MC c, D MD d, E ME e);
calls!(6; A MA a, B MB b, C MC c, D MD d, E ME e, F MF f);
calls!(7; A MA a, B MB b, C MC c, D MD d, E ME e, F MF f, G MG g);
calls!(8; A MA a, B MB b, C MC c, D MD d, E ME e, F MF f, G MG g, H MH h);
calls!(9; A MA a, B MB b, C MC c, D MD d, E ME e, F MF f, G MG g, H MH h, I MI i);
calls!(10; A MA a, B MB b, C MC c, D MD d, E ME e, F MF f, G MG g, H MH h, I MI i, J MJ j);
calls!(11; A MA a, B MB b, C MC c, D MD d, E ME e, F MF f, G MG g, H MH h, I MI i, J MJ j, K MK k);
calls!(12; A MA a, B MB b, C MC c, D MD d, E ME e, F MF f, G MG g, H MH h, I MI i, J MJ j, K MK k,
    L ML l);

/// A call with a [`Func`] and arguments as plain data.
impl Argument<Called<Func>> for (Func, Args) {
    fn write(self, to: &mut Writer<'_>) {
        write_all(Arg::Task(Task { func: self.0, args: self.1, options: None }), to);
    }
}
