//! Graphs: keys, tasks, and the plan that a run follows.
//!
//! | file | what it holds |
//! |---|---|
//! | `key` | [`Key`], a task's name |
//! | `function`, `typed` | what a task calls, erased ([`Func`]) and typed ([`IntoFunc`]) |
//! | `argument` | what may stand in a graph: keys, literals, lists, calls |
//! | `dag` | [`Graph`], keys and what they stand for |
//! | `outputs` | what a caller wants and gets, in one nested shape |
//! | `order` | the static order, which frees memory early |
//! | `compile`, `plan` | [`Plan`], the wanted part as flat arrays, numbered by the order |
//! | `options`, `failure` | what is said of a task beside its call; why one failed |
//! | `fingerprint` | all that a value depends on, as one number |
//! | `dot` | a graph as `GraphViz` text |
//!
//! This floor runs nothing and knows neither workers nor time.

pub mod argument;
mod compile;
mod dag;
mod dot;
mod error;
mod failure;
mod fingerprint;
pub mod function;
mod key;
mod options;
mod order;
mod outputs;
mod plan;
mod prefixes;
mod process_end;
#[cfg(test)]
mod tests;
pub mod typed;

pub use argument::{Arg, Args, Argument, Task, lit};
pub(crate) use dag::Collect;
pub use dag::{Graph, Node, Writer};
pub use error::GraphError;
pub use failure::{Cause, Failure, Missing};
pub use fingerprint::Fingerprint;
pub use function::{BoxError, BoxFuture, CallError, Func, Function, Input, Outcome};
pub use key::Key;
pub(crate) use options::task_options;
pub use options::{Backoff, RetryOn, TaskOptions};
pub use outputs::{Outputs, Results, WrongType};
pub use plan::{Inputs, Meaning, Plan, TaskId};
pub(crate) use prefixes::Prefixes;
pub use process_end::{ProcessEnd, ProcessExit};
pub use typed::IntoFunc;
