//! What can go wrong, and the messages that a user sees: each names the key and says what to do.
//!
//! ```text
//! cargo run --release --example errors
//! ```
//!
//! Prints:
//!
//! ```text
//! a task returns an error:
//!     task 'cost' failed: the price "12 euros" is no number
//!     caused by: invalid digit found in string
//! a task panics:
//!     task 'ratio' panicked: attempt to divide by zero
//! a cycle:
//!     the graph has a cycle, so none of these tasks could ever start: 'a' -> 'b' -> 'c' -> 'a'
//! a missing key:
//!     key 'yy' is not in the graph, but task 'z' needs it; add it to the graph or correct the name
//! a value of the wrong type:
//!     task 'y' cannot be called: argument 1 of `inc` must be i64, found alloc::string::String
//! a missing argument:
//!     task 'y' cannot be called: `divide` takes 2 arguments, not 1
//! a hook fails:
//!     hook pretask of callback quota failed for 'y': no time left today
//! a blocking call inside an arbiter:
//!     `compute_blocking` would hold up this arbiter and all actors in it; await `compute` instead
//! errors=8
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::error::Error as _;

use actix::System;
use mobula::{CallbackBuilder, Cluster, Error, Graph, delayed, graph, lit};

fn inc(x: i64) -> i64 {
    x + 1
}

fn divide(x: i64, y: i64) -> i64 {
    x / y
}

/// An error with a cause.
#[derive(Debug, thiserror::Error)]
#[error("the price {text:?} is no number")]
struct PriceError {
    text: String,
    source: std::num::ParseIntError,
}

fn price(text: &str) -> Result<i64, PriceError> {
    text.parse().map_err(|source| PriceError { text: text.to_owned(), source })
}

/// Prints an error and its chain of causes, as `anyhow` and others do.
fn show(what: &str, error: &Error) {
    println!("{what}:");
    println!("    {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        println!("    caused by: {error}");
        cause = error.source();
    }
}

fn main() -> Result<(), Error> {
    // The panic below is meant; its trace on the screen would only distract.
    std::panic::set_hook(Box::new(|_| {}));
    let cluster = Cluster::builder().workers(1).start()?;
    let fails = |graph: Graph, key: &str| {
        cluster.get_blocking(graph, key).expect_err("each of these graphs is wrong")
    };

    let error = fails(graph! { "cost" => (price, lit("12 euros".to_owned())) }, "cost");
    show("a task returns an error", &error);
    assert!(error.is_task_error() && error.key().is_some_and(|key| *key == "cost".into()));
    assert!(error.task_error().is_some_and(|error| error.is::<PriceError>()));

    let error = fails(graph! { "ratio" => (divide, 1, 0) }, "ratio");
    show("a task panics", &error);
    assert!(error.is_panic());

    let error = fails(graph! { "a" => (inc, "b"), "b" => (inc, "c"), "c" => (inc, "a") }, "a");
    show("a cycle", &error);
    assert!(error.as_graph_error().is_some());

    let error = fails(graph! { "z" => (inc, "yy") }, "z");
    show("a missing key", &error);
    assert!(error.as_graph_error().is_some());

    let error = fails(graph! { "x" => lit("one".to_owned()), "y" => (inc, "x") }, "y");
    show("a value of the wrong type", &error);
    assert!(error.is_wrong_type());

    let error = fails(graph! { "y" => (divide, 1) }, "y");
    show("a missing argument", &error);
    assert!(error.is_wrong_arity());

    let quota = CallbackBuilder::new()
        .named("quota")
        .pretask(|_key, _object_refs| Err("no time left today".into()));
    let request = cluster.with_callbacks([quota]);
    let error = request.get_blocking(graph! { "y" => (inc, 1) }, "y").expect_err("the hook fails");
    show("a hook fails", &error);
    assert!(error.is_hook());

    let y = delayed(inc).call(1);
    let (blocking, awaited) =
        System::new().block_on(async { (cluster.compute_blocking(&y), cluster.compute(&y).await) });
    let error = blocking.expect_err("this would hold up the system's arbiter");
    show("a blocking call inside an arbiter", &error);
    assert!(error.is_blocking());

    assert_eq!(awaited?, 2, "the cluster works on after all that");
    println!("errors=8");
    Ok(())
}
