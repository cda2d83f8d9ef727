//! Random graphs that know their own answers.
//!
//! A [`Blueprint`] is a graph as plain data: it can be written down as a [`Graph`] and planned by the
//! crate, and it can be evaluated right here, without plan, engine or order. What the two come to must
//! be the same. [`shapes`](super::shapes) makes blueprints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mobula::{
    Arg, Backoff, CallError, Func, Function, Graph, Input, Key, List, Missing, Outcome, Outputs,
    Plan, Results, Task, TaskOptions, Value, lit,
};

use crate::keeper::Pinned;
use crate::rng::Rng;

/// A graph and what is wanted from it.
#[derive(Debug, Default)]
pub(crate) struct Blueprint {
    /// In an order in which each needs only earlier ones.
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: Wanted,
}

/// A key and what it stands for.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    pub(crate) script: Script,
}

/// What a key stands for.
#[derive(Debug)]
pub(crate) enum Kind {
    Literal(i64),
    Alias(usize),
    Call(Vec<Part>),
    List(Vec<Part>),
}

/// A part of an argument.
#[derive(Debug)]
pub(crate) enum Part {
    Node(usize),
    Literal(i64),
    List(Vec<Part>),
    /// A nested call, with what makes it different from others.
    Call(i64, Vec<Part>),
}

/// What happens when a task runs. Times are in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// How long a call takes.
    pub(crate) duration: u64,
    /// For how long the future of an asynchronous task is awaited.
    pub(crate) awaited: Option<u64>,
    /// How many attempts fail before one succeeds.
    pub(crate) fails: u32,
    /// How often it may be tried again.
    pub(crate) retries: u32,
    /// How long it waits before it is tried again for the first time; twice that for the second.
    pub(crate) backoff: u64,
    /// What a callback answers when the task is to start.
    pub(crate) answer: Option<i64>,
    /// What the value weighs; 0 for a plain number.
    pub(crate) bytes: usize,
}

/// The wanted nodes.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    One(usize),
    Many(Vec<Wanted>),
}

impl Default for Wanted {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// A value as the plain evaluation knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Datum {
    Number(i64),
    List(Vec<Datum>),
    /// There is none, because the task of this key failed for good.
    Missing(Key),
}

/// A number that weighs more than a number does.
#[derive(Debug)]
struct Heavy(i64);

/// What every task of a blueprint calls: it mixes its inputs and what makes it different from others.
struct Mix {
    salt: i64,
    bytes: usize,
    asynchronous: bool,
}

impl Function for Mix {
    fn name(&self) -> &'static str {
        "mix"
    }

    fn arity(&self) -> Option<usize> {
        None
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        let digests = inputs.iter().map(|input| datum(input.value()).digest());
        let value = weighed(mix(self.salt, digests), self.bytes);
        if self.asynchronous {
            return Ok(Outcome::Later(Box::pin(async { Ok(value) })));
        }
        Ok(Outcome::Ready(value))
    }
}

fn weighed(number: i64, bytes: usize) -> Value {
    if bytes == 0 { Value::new(number) } else { Value::with_bytes(Heavy(number), bytes) }
}

fn mix(salt: i64, digests: impl Iterator<Item = i64>) -> i64 {
    digests.fold(salt, |mixed, digest| mixed.wrapping_mul(31).wrapping_add(digest ^ (mixed >> 7)))
}

/// A value as the plain evaluation would have it.
fn datum(value: &Value) -> Datum {
    if let Some(pinned) = value.downcast_ref::<Pinned>() {
        assert!(pinned.is_here(), "law: nothing pinned leaves");
        return datum(&pinned.value);
    }
    if let Some(Missing { failure, .. }) = value.downcast_ref() {
        return Datum::Missing(failure.key.clone().expect("a task failed"));
    }
    if let Some(List(items)) = value.downcast_ref() {
        return Datum::List(items.iter().map(datum).collect());
    }
    let heavy = value.downcast_ref().map(|Heavy(number)| *number);
    let number = heavy.or_else(|| value.downcast_ref().copied());
    Datum::Number(number.expect("tasks make numbers and lists"))
}

impl Datum {
    fn digest(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::List(items) => mix(-1, items.iter().map(Self::digest)),
            Self::Missing(_) => unreachable!("law: what needs a missing value is not called"),
        }
    }

    /// The results of a run as the plain evaluation would have them.
    pub(crate) fn of(results: &Results) -> Self {
        match results {
            Results::Value(value) => datum(value),
            Results::List(items) => Self::List(items.iter().map(Self::of).collect()),
        }
    }
}

impl Kind {
    /// True if a task runs for it.
    pub(crate) fn is_task(&self) -> bool {
        matches!(self, Self::Call(_) | Self::List(_))
    }

    fn parts(&self) -> &[Part] {
        match self {
            Self::Call(parts) | Self::List(parts) => parts,
            Self::Literal(_) | Self::Alias(_) => &[],
        }
    }
}

impl Blueprint {
    /// Writes the graph down, its keys in any order, and plans it.
    pub(crate) fn plan(&self, rng: &mut Rng) -> Arc<Plan> {
        let mut graph = Graph::new();
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        rng.shuffle(&mut order);
        for at in order {
            let node = &self.nodes[at];
            let defined = graph.insert(&node.key, self.argument(at));
            if node.kind.is_task() && node.script.retries > 0 {
                let backoff = Backoff::exponential(Duration::from_nanos(node.script.backoff));
                let options = TaskOptions::new().retries(node.script.retries).backoff(backoff);
                graph.set_options(defined, options);
            }
        }
        Arc::new(Plan::new(graph, self.wanted(&self.outputs)).expect("a blueprint is a good graph"))
    }

    fn argument(&self, at: usize) -> Arg {
        let Node { kind, script, .. } = &self.nodes[at];
        match kind {
            Kind::Literal(number) => lit(*number),
            Kind::Alias(target) => Arg::Key(self.nodes[*target].key.clone()),
            Kind::List(parts) => Arg::List(parts.iter().map(|part| self.part(part)).collect()),
            Kind::Call(parts) => {
                let asynchronous = script.awaited.is_some();
                self.call(Mix { salt: salt(at), bytes: script.bytes, asynchronous }, parts)
            }
        }
    }

    fn call(&self, function: Mix, parts: &[Part]) -> Arg {
        let args = parts.iter().map(|part| self.part(part));
        Arg::Task(Task::new(Func::from_function(function), args))
    }

    fn part(&self, part: &Part) -> Arg {
        match part {
            Part::Node(at) => Arg::Key(self.nodes[*at].key.clone()),
            Part::Literal(number) => lit(*number),
            Part::List(parts) => Arg::List(parts.iter().map(|part| self.part(part)).collect()),
            Part::Call(salt, parts) => {
                self.call(Mix { salt: *salt, bytes: 0, asynchronous: false }, parts)
            }
        }
    }

    fn wanted(&self, wanted: &Wanted) -> Outputs {
        match wanted {
            Wanted::One(at) => Outputs::Key(self.nodes[*at].key.clone()),
            Wanted::Many(items) => {
                Outputs::List(items.iter().map(|item| self.wanted(item)).collect())
            }
        }
    }

    /// The plain evaluation of what is wanted, where some nodes have an answer of their own and some
    /// fail for good.
    pub(crate) fn evaluate(
        &self,
        answers: &BTreeMap<usize, i64>,
        failed: &BTreeSet<usize>,
    ) -> Datum {
        let mut values: Vec<Datum> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if node.kind.is_task()
                && !answers.contains_key(&at)
                && let Some(cause) = self.missing(at, failed, &values)
            {
                values.push(Datum::Missing(cause));
                continue;
            }
            let value = match (&node.kind, answers.get(&at).copied().or(node.script.answer)) {
                (Kind::Literal(number), _) => Datum::Number(*number),
                (Kind::Alias(target), _) => values[*target].clone(),
                (Kind::Call(_) | Kind::List(_), Some(answer)) => Datum::Number(answer),
                (Kind::Call(parts), None) => Datum::Number(mixed(salt(at), parts, &values)),
                (Kind::List(parts), None) => {
                    Datum::List(parts.iter().map(|part| evaluate(part, &values)).collect())
                }
            };
            values.push(value);
        }
        shaped(&self.outputs, &values)
    }

    /// Why a node's task has no value, if it has none: the first cause in the order of its arguments.
    fn missing(&self, at: usize, failed: &BTreeSet<usize>, values: &[Datum]) -> Option<Key> {
        if failed.contains(&at) {
            return Some(self.nodes[at].key.clone());
        }
        self.inputs(at).into_iter().find_map(|input| match &values[input] {
            Datum::Missing(cause) => Some(cause.clone()),
            Datum::Number(_) | Datum::List(_) => None,
        })
    }

    /// The nodes whose tasks have to run, where some nodes have an answer at the start.
    pub(crate) fn needed(&self, answers: &BTreeMap<usize, i64>) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut left = self.outputs();
        while let Some(at) = left.pop() {
            if !answers.contains_key(&at) && !std::mem::replace(&mut needed[at], true) {
                left.extend(self.inputs(at));
            }
        }
        needed
    }

    /// The nodes that run as tasks among the wanted ones.
    pub(crate) fn outputs(&self) -> Vec<usize> {
        let (mut outputs, mut left) = (Vec::new(), vec![&self.outputs]);
        while let Some(wanted) = left.pop() {
            match wanted {
                Wanted::One(at) => outputs.extend(self.task_of(*at)),
                Wanted::Many(items) => left.extend(items),
            }
        }
        outputs
    }

    /// The nodes that run as tasks among the inputs of a node, each as often as it is used.
    pub(crate) fn inputs(&self, at: usize) -> Vec<usize> {
        let mut inputs = Vec::new();
        let mut left: Vec<&Part> = self.nodes[at].kind.parts().iter().rev().collect();
        while let Some(part) = left.pop() {
            match part {
                Part::Node(input) => inputs.extend(self.task_of(*input)),
                Part::Literal(_) => {}
                Part::List(parts) | Part::Call(_, parts) => left.extend(parts.iter().rev()),
            }
        }
        inputs
    }

    /// The node that a name finally stands for, if it runs as a task.
    fn task_of(&self, mut at: usize) -> Option<usize> {
        while let Kind::Alias(target) = self.nodes[at].kind {
            at = target;
        }
        self.nodes[at].kind.is_task().then_some(at)
    }
}

/// What makes the task of a node different from others.
fn salt(at: usize) -> i64 {
    i64::try_from(at).expect("a blueprint is small")
}

fn mixed(salt: i64, parts: &[Part], values: &[Datum]) -> i64 {
    mix(salt, parts.iter().map(|part| evaluate(part, values).digest()))
}

fn evaluate(part: &Part, values: &[Datum]) -> Datum {
    match part {
        Part::Node(at) => values[*at].clone(),
        Part::Literal(number) => Datum::Number(*number),
        Part::List(parts) => Datum::List(parts.iter().map(|part| evaluate(part, values)).collect()),
        Part::Call(salt, parts) => Datum::Number(mixed(*salt, parts, values)),
    }
}

fn shaped(wanted: &Wanted, values: &[Datum]) -> Datum {
    match wanted {
        Wanted::One(at) => values[*at].clone(),
        Wanted::Many(items) => Datum::List(items.iter().map(|item| shaped(item, values)).collect()),
    }
}
