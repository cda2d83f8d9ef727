//! Mobula runs Dask task graphs on a system of actors.

pub mod engine;
pub mod graph;
pub mod value;

pub use graph::{
    Arg, Args, Argument, BoxError, BoxFuture, CallError, Func, Function, Graph, GraphError, Input,
    Inputs, IntoFunc, Key, Node, Outcome, Outputs, Plan, Results, Task, TaskId, lit,
};
pub use value::{Data, List, Opaque, Shared, Value};
