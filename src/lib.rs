//! Mobula runs Dask task graphs on a system of actors.

pub mod actors;
mod client;
mod cluster;
mod config;
mod delayed;
pub mod diagnostics;
pub mod engine;
mod error;
pub mod graph;
pub mod value;

pub use actors::callbacks::{
    Callback, CallbackBuilder, CallbackErrors, HookResult, ObjectRefs, PreState, RunView, TaskView,
};
pub use actors::store::{ObjectError, ObjectRef, StoreStats};
pub use actors::{AskError, StateRef};
pub use client::{CallbackGuard, Canceller, Client, Request, RunHandle};
pub use cluster::{Cluster, ClusterBuilder};
pub use delayed::{Delayed, DelayedArg, DelayedFn, DelayedList, IntoArg, IntoArgs, delayed};
pub use diagnostics::{
    CacheCallback, CacheStats, Durations, LogCallback, SimpleCacheActor, TimerCallback,
};
pub use engine::{Cause, Failure, Holdings};
pub use error::Error;
pub use graph::{
    Arg, Args, Argument, BoxError, BoxFuture, CallError, Func, Function, Graph, GraphError, Input,
    Inputs, IntoFunc, Key, Node, Outcome, Outputs, Plan, Results, Task, TaskId, Writer, lit,
};
pub use value::{Data, List, Opaque, Shared, Value};
