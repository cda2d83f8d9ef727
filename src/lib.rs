//! Mobula runs Dask task graphs on a system of actors.
//!
//! A *graph* gives each *key* a meaning: a literal, another key, or a *task*, which is a function with
//! its arguments. A [`Cluster`] runs the part of a graph that is wanted, many tasks at a time, and answers
//! the values. It lives in the actix system of your program, or in one of its own.
//!
//! # Examples
//!
//! ```
//! use mobula::{Cluster, TimerCallback, delayed, graph};
//!
//! fn inc(x: i64) -> i64 {
//!     x + 1
//! }
//! fn add(x: i64, y: i64) -> i64 {
//!     x + y
//! }
//!
//! let cluster = Cluster::builder().workers(2).start()?;
//! let timer = TimerCallback::new();
//! let _timing = cluster.register(timer.clone());
//!
//! // With handles, whose types the compiler checks.
//! let x = delayed(inc).call(1);
//! let z = delayed(add).call((&x, 10));
//! assert_eq!(cluster.compute_blocking(&z)?, 12);
//!
//! // With keys, as Dask writes a graph.
//! let graph = graph! { "x" => (inc, 1), "y" => (inc, "x"), "z" => (add, "x", "y") };
//! assert_eq!(cluster.get_blocking(graph, "z")?.get::<i64>(), Some(&5));
//!
//! // A callback has seen every task of both runs.
//! assert_eq!(timer.by_prefix().iter().map(|group| group.tasks).sum::<usize>(), 5);
//! # Ok::<(), mobula::Error>(())
//! ```
//!
//! # A tour, in reading order
//!
//! 1. **What tasks exchange** ([`value`]): [`Value`], any data behind one pointer; [`Data`], the types that
//!    tasks may return and take; [`Shared`], a typed pointer into a value.
//! 2. **What is to be done** ([`graph`](mod@graph)): [`Key`], [`Graph`] and the [`graph!`] macro; what may stand
//!    in a graph ([`Argument`]); [`Outputs`] and [`keys!`], what is wanted of it; [`Plan`], the wanted part,
//!    checked and in order, which can be run many times.
//! 3. **The typed face**: [`delayed`](fn@delayed) and [`Delayed`], graphs that need no keys.
//! 4. **Running it**: [`Cluster`] starts and ends everything; [`Client`] runs graphs from anywhere, and
//!    [`RunHandle`] is one run. Each call can be awaited, or waited for with its `_blocking` twin. [`ObjectRef`]
//!    holds a value in the store.
//! 5. **What went wrong**: [`Error`] and its predicates.
//! 6. **Looking in** ([`actors::callbacks`]): [`Callback`], the hooks of a run and of its tasks;
//!    [`CallbackBuilder`], the same from closures. [`StateRef`] is the handle to a state actor, an actix
//!    actor of yours that hooks and tasks talk to.
//! 7. **Ready-made callbacks** ([`diagnostics`]): [`TimerCallback`], [`CacheCallback`] over
//!    [`SimpleCacheActor`], [`Checkpoint`], which lets the next process go on where this one crashed,
//!    [`LogCallback`].
//! 8. **Memory** ([`spill`]): [`MemoryLimit`] and [`Thresholds`], how much is too much; [`EvictionPolicy`], who
//!    goes first; [`Codec`], how a type goes to the disk and comes back.
//! 9. **Worker processes** ([`process`](mod@process)), on Unix: [`Processes`], what a program says of them, and
//!    [`Placement`], which runs are called there; [`serve`](process::serve), what such a process does, and
//!    [`Parcel`](process::Parcel), how a value gets there and back.
//! 10. **How it works** ([`engine`], [`actors`]): the decisions, as a machine without clock, thread or actor,
//!     which can be used and tested alone; and the actors that carry them out.
//!
//! The repository's `README.md` has the table of hooks and the names for those who come from Dask on Ray,
//! `ARCHITECTURE.md` the life of a task and what holds everywhere.

pub mod actors;
mod client;
mod cluster;
#[cfg(feature = "command")]
pub mod command;
mod config;
#[cfg(feature = "dashboard")]
pub mod dashboard;
mod delayed;
pub mod diagnostics;
pub mod drawing;
pub mod engine;
mod error;
pub mod graph;
mod host;
mod markup;
pub mod monitor;
pub mod process;
pub mod report;
pub mod spill;
pub mod value;

pub use actors::callbacks::{
    Callback, CallbackBuilder, CallbackErrors, HookResult, ObjectRefs, PreState, RunView, TaskView,
};
pub use actors::events::{Event, Happening};
pub use actors::store::{ObjectError, ObjectRef, Staying, StoreStats, StoredValue};
pub use actors::{
    AskError, PackError, Packing, Processes, Question, StateRef, Stream, WorkerEnvironment,
    WorkerStats,
};
pub use client::{
    CallbackGuard, Canceller, Client, Explanation, Request, RunHandle, TaskExplanation,
    wait_blocking,
};
pub use cluster::{Cluster, ClusterBuilder};
pub use delayed::{Delayed, DelayedArg, DelayedFn, DelayedList, IntoArg, IntoArgs, delayed};
pub use diagnostics::{
    CacheCallback, CacheStats, Checkpoint, CheckpointCounts, CheckpointSummary, Durations,
    LogCallback, SimpleCacheActor, TimerCallback,
};
pub use engine::{Holdings, OnError, Placement, TaskState};
pub use error::Error;
pub use graph::{
    Arg, Args, Argument, Backoff, BoxError, BoxFuture, CallError, Cause, Failure, Fingerprint,
    Func, Function, Graph, GraphError, Input, Inputs, IntoFunc, Key, Missing, Node, Outcome,
    Outputs, Plan, ProcessEnd, ProcessExit, Results, RetryOn, Task, TaskId, TaskOptions, Writer,
    WrongType, lit,
};
pub use spill::{Eviction, EvictionPolicy, MemoryLimit, Thresholds};
pub use value::{Codec, Data, List, Opaque, Shared, Value};

/// The examples of the README are tested with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
