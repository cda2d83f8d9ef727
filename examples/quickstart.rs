//! The first graph: `z = inc(1) + inc(2)`, written with handles and written with keys, waited for in
//! a plain program and awaited in an actix system.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! Prints:
//!
//! ```text
//! plain program: z = 5 with handles, z = 5 with keys
//! actix system:  z = 5 with handles, z = 5 with keys
//! runs=4
//! z=5
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use actix::System;
use mobula::{Client, Cluster, Delayed, Error, Graph, delayed, graph};

fn inc(x: i64) -> i64 {
    x + 1
}

fn add(x: i64, y: i64) -> i64 {
    x + y
}

/// The typed face: functions become delayed, calls give handles, and the compiler checks arguments.
fn with_handles() -> Delayed<i64> {
    let (inc, add) = (delayed(inc), delayed(add));
    let x = inc.call(1);
    let y = inc.call(2);
    add.call((&x, &y))
}

/// The low-level face: keys and what they stand for, as Dask writes a graph.
fn with_keys() -> Graph {
    graph! {
        "x" => (inc, 1),
        "y" => (inc, 2),
        "z" => (add, "x", "y"),
    }
}

/// Waits for the results on this thread.
fn wait_for_both(client: &Client) -> Result<[i64; 2], Error> {
    let typed = client.compute_blocking(&with_handles())?;
    let results = client.get_blocking(with_keys(), "z")?;
    Ok([typed, results.into_data().expect("`add` makes an i64")])
}

/// Awaits the results; the thread is free for other actors meanwhile.
async fn await_both(client: &Client) -> Result<[i64; 2], Error> {
    let typed = client.compute(&with_handles()).await?;
    let results = client.get(with_keys(), "z").await?;
    Ok([typed, results.into_data().expect("`add` makes an i64")])
}

fn main() -> Result<(), Error> {
    // In a plain program the cluster starts an actix system in the background, and ends with it.
    let cluster = Cluster::builder().start()?;
    let plain = wait_for_both(&cluster)?;
    drop(cluster);

    // Inside a running system (`#[actix_rt::main]` makes one, too) it starts its actors there.
    let awaited = System::new().block_on(async {
        let cluster = Cluster::builder().start()?;
        let awaited = await_both(&cluster).await;
        cluster.shutdown().await;
        awaited
    })?;

    println!("plain program: z = {} with handles, z = {} with keys", plain[0], plain[1]);
    println!("actix system:  z = {} with handles, z = {} with keys", awaited[0], awaited[1]);
    assert_eq!([plain, awaited], [[5, 5]; 2]);
    println!("runs={}", plain.len() + awaited.len());
    println!("z={}", plain[0]);
    Ok(())
}
