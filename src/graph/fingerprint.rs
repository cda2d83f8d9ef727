//! [`Fingerprint`]: all that a task's value depends on, as one number that is the same in every process.
//!
//! It is a Merkle hash: of the task's key, its function's identity, the structure of its arguments, the
//! content of its literals, and the fingerprints of its inputs. A change anywhere upstream changes all
//! that stands downstream of it and nothing else. It sees no code, so a function whose body was edited
//! keeps its identity, and it is no defence against forgery.

use std::fmt;
use std::hash::{Hash, Hasher as StdHasher};
use std::io::{self, Write};
use std::num::NonZero;

use twox_hash::xxhash3_128::Hasher;

use super::dag::{Entry, Op};
use super::function::Func;
use super::plan::{Plan, TaskId};
use crate::value::{List, Value};

/// Changes whenever what is hashed does.
const FORM: &[u8] = b"mobula fingerprint 1";

// One stands before each part of what is hashed, so that no two parts can be taken for each other.
const LITERAL: u8 = 1;
const INPUT: u8 = 2;
const LIST: u8 = 3;
const COLLECT: u8 = 4;
const APPLY: u8 = 5;
const ENCODED: u8 = 6;

/// All that a task's value depends on, as a number of 128 bits: [`Plan::fingerprint`] gives it.
///
/// Equal fingerprints mean: the same key, the same functions, the same arguments, all the way up. They
/// are the same in every process that runs the same program. What has no such form has no fingerprint,
/// and neither has anything that depends on it:
///
/// - functions with captured state, unless they say what they are
///   ([`Func::identified_by`](super::Func::identified_by)), and hand-written ones without
///   [`identity`](super::Function::identity);
/// - literals of types without a [codec](crate::Codec), and hash maps and hash sets, whose order is
///   another one in each process. (Of one inside a type with a codec of its own nobody knows; its
///   fingerprint is another one each time.)
///
/// The *code* of a function is not part of it. Functions and closures are known by their full path and the
/// compiler's id of their type, so that two closures in one place are not taken for each other. The id
/// outlives a change of code elsewhere, but not another version of the package or the compiler, nor
/// another build profile; a function that must be recognized across those says what it is, too.
///
/// # Examples
///
/// ```
/// use mobula::{Fingerprint, Plan, graph};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
///
/// let of_y = |start: i64| -> Option<Fingerprint> {
///     let plan = Plan::new(graph! { "x" => (inc, start), "y" => (inc, "x") }, "y").unwrap();
///     plan.fingerprint(plan.outputs()[0])
/// };
/// assert_eq!(of_y(1), of_y(1));
/// assert_ne!(of_y(1), of_y(2)); // what "x" starts with has changed
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(NonZero<u128>);

impl Fingerprint {
    fn of(bytes: &[u8]) -> Self {
        Self(NonZero::new(Hasher::oneshot(bytes)).unwrap_or(NonZero::<u128>::MAX))
    }

    /// A fingerprint that depends on this one and on `text`.
    #[must_use]
    pub fn with(self, text: &str) -> Self {
        let mut bytes = self.0.get().to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        Self::of(&bytes)
    }

    /// The fingerprint that prints as `text`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fingerprint = Self(NonZero::new(u128::from_str_radix(text, 16).ok()?)?);
        (fingerprint.to_string() == text).then_some(fingerprint)
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The fingerprints of all tasks. Inputs come before what needs them, so one pass will do.
pub(super) fn fingerprints(plan: &Plan) -> Box<[Option<Fingerprint>]> {
    let literals = vec![Literal::Unseen; plan.graph.literals.len()];
    let mut maker =
        Maker { plan, literals, done: Vec::with_capacity(plan.len()), bytes: Vec::new() };
    for task in plan.tasks() {
        let fingerprint = maker.task(task);
        maker.done.push(fingerprint);
    }
    maker.done.into()
}

struct Maker<'a> {
    plan: &'a Plan,
    /// By number of a literal.
    literals: Vec<Literal>,
    /// The fingerprints of the tasks so far.
    done: Vec<Option<Fingerprint>>,
    /// What is hashed for the task at hand; kept for its memory.
    bytes: Vec<u8>,
}

/// What is known of a literal, which many tasks may share.
#[derive(Clone, Copy)]
enum Literal {
    Unseen,
    /// It has no form that is the same in every process.
    Nameless,
    Hash(u128),
}

impl Maker<'_> {
    fn task(&mut self, task: TaskId) -> Option<Fingerprint> {
        self.bytes.clear();
        self.bytes.extend_from_slice(FORM);
        self.plan.key(task).hash(&mut Bytes(&mut self.bytes));
        self.function(self.plan.func(task))?;
        let graph = &self.plan.graph;
        let mut inputs = self.plan.dependencies(task).iter();
        for op in graph.arguments(self.plan.nodes[task.index()]) {
            match *op {
                Op::Literal(number) => self.literal(number)?,
                Op::Node(node) => match graph.nodes[graph.target(node) as usize] {
                    Entry::Literal(number) => self.literal(number)?,
                    Entry::Call { .. } | Entry::Undefined | Entry::Alias(_) => {
                        let input =
                            inputs.next().expect("each call among the arguments is an input");
                        let fingerprint = self.done[input.index()]?;
                        self.bytes.push(INPUT);
                        self.bytes.extend_from_slice(&fingerprint.0.get().to_le_bytes());
                    }
                },
                Op::List(count) => self.counted(LIST, count),
                // Into which vector, the function that takes it says.
                Op::Collect(number) => self.counted(COLLECT, graph.collects[number as usize].1),
                Op::Apply(number) => {
                    let (func, count) = &graph.calls[number as usize];
                    self.counted(APPLY, *count);
                    self.function(func)?;
                }
            }
        }
        Some(Fingerprint::of(&self.bytes))
    }

    fn counted(&mut self, part: u8, count: u32) {
        self.bytes.push(part);
        self.bytes.extend_from_slice(&count.to_le_bytes());
    }

    fn function(&mut self, func: &Func) -> Option<()> {
        let identity = func.identity()?;
        self.bytes.extend_from_slice(&(identity.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(identity.as_bytes());
        Some(())
    }

    fn literal(&mut self, number: u32) -> Option<()> {
        let known = &mut self.literals[number as usize];
        if matches!(known, Literal::Unseen) {
            let value = &self.plan.graph.literals[number as usize];
            *known = content(value).map_or(Literal::Nameless, Literal::Hash);
        }
        let Literal::Hash(content) = *known else { return None };
        self.bytes.push(LITERAL);
        self.bytes.extend_from_slice(&content.to_le_bytes());
        Some(())
    }
}

/// The hash of a literal's type and content. Lists hold values, which may be lists themselves.
fn content(value: &Value) -> Option<u128> {
    let (mut bytes, mut left) = (Vec::new(), vec![value]);
    while let Some(value) = left.pop() {
        if let Some(List(items)) = value.downcast_ref::<List>() {
            bytes.push(LIST);
            bytes.extend_from_slice(&(items.len() as u64).to_le_bytes());
            left.extend(items.iter().rev());
            continue;
        }
        let name = value.type_name();
        if !value.can_spill() || name.contains("HashMap<") || name.contains("HashSet<") {
            return None;
        }
        let mut encoded = Encoded(Hasher::new());
        encoded.0.write(name.as_bytes());
        // No text contains this byte.
        encoded.0.write(&[0xff]);
        value.encode(&mut encoded).ok()?;
        bytes.push(ENCODED);
        bytes.extend_from_slice(&encoded.0.finish_128().to_le_bytes());
    }
    Some(Hasher::oneshot(&bytes))
}

/// Takes what a key says of itself to a hasher.
struct Bytes<'a>(&'a mut Vec<u8>);

impl StdHasher for Bytes<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("bytes are only collected")
    }
}

/// Takes what a codec writes.
struct Encoded(Hasher);

impl Write for Encoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
// Named, because `self_named_module_files` takes an unnamed one for a part of the module.
#[path = "fingerprint/tests.rs"]
mod tests;
