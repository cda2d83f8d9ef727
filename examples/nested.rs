//! Tasks that run graphs themselves, on the same cluster: five deep, with a single worker. A task
//! that waits for a nested run works on it meanwhile, so nothing can deadlock.
//!
//! ```text
//! cargo run --release --example nested
//! ```
//!
//! Prints:
//!
//! ```text
//! a tree of depth 5 has 32 leaves; one worker counted them in 32 runs
//! depth=5
//! leaves=32
//! runs=32
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::{CallbackBuilder, Client, Cluster, Delayed, Error, delayed};

const DEPTH: u32 = 5;

/// A task that counts the leaves of a binary tree: those of its two halves, by a run of its own.
fn leaves(client: &Client, depth: u32) -> Delayed<u64> {
    let client = client.clone();
    let count = move || -> Result<u64, Error> {
        if depth == 0 {
            return Ok(1);
        }
        let halves = (&leaves(&client, depth - 1), &leaves(&client, depth - 1));
        client.compute_blocking(&delayed(|left: u64, right: u64| left + right).call(halves))
    };
    delayed(count).named("leaves").call(())
}

fn main() -> Result<(), Error> {
    let cluster = Cluster::builder().workers(1).start()?;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let _counting = cluster.register(CallbackBuilder::new().graph_start(move |_plan| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }));

    let leaves = cluster.compute_blocking(&leaves(&cluster, DEPTH))?;

    let runs = runs.load(Ordering::Relaxed);
    println!("a tree of depth {DEPTH} has {leaves} leaves; one worker counted them in {runs} runs");
    assert_eq!(leaves, 1 << DEPTH);
    assert_eq!(runs, 1 << DEPTH, "one run for each inner node of the tree, and the outermost one");
    println!("depth={DEPTH}");
    println!("leaves={leaves}");
    println!("runs={runs}");
    Ok(())
}
