//! Tasks that wait: `async` functions are awaited beside each other and hold up no worker, so a
//! thousand timers take about as long as one. They mix freely with other tasks.
//!
//! ```text
//! cargo run --release --example async_tasks
//! ```
//!
//! Prints, with another time:
//!
//! ```text
//! 1000 timers of 200 ms ended after 203 ms, with one worker
//! timers=1000
//! total=500500
//! one_timer_ms=200
//! elapsed_ms=203
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its results")]
#![expect(clippy::disallowed_methods, reason = "this example measures time")]

use std::time::{Duration, Instant};

use mobula::{Cluster, Delayed, Error, delayed};

const TIMERS: i64 = 1_000;
const ONE_TIMER: Duration = Duration::from_millis(200);

/// Stands for a request that is answered after a while.
async fn fetch(number: i64) -> i64 {
    actix_rt::time::sleep(ONE_TIMER).await;
    number
}

fn inc(x: i64) -> i64 {
    x + 1
}

fn total(items: &[i64]) -> i64 {
    items.iter().sum()
}

#[actix_rt::main]
async fn main() -> Result<(), Error> {
    let cluster = Cluster::builder().workers(1).start()?;

    // fetch -> inc for each number, and the total of all: async, plain, plain.
    let (fetch, inc, total) = (delayed(fetch), delayed(inc), delayed(total));
    let numbers: Vec<Delayed<i64>> = (0..TIMERS).map(|n| inc.call(fetch.call(n))).collect();
    let start = Instant::now();
    let total = cluster.compute(&total.call(&numbers)).await?;
    let elapsed = start.elapsed();
    cluster.shutdown().await;

    let (one, all) = (ONE_TIMER.as_millis(), elapsed.as_millis());
    println!("{TIMERS} timers of {one} ms ended after {all} ms, with one worker");
    assert_eq!(total, (1..=TIMERS).sum::<i64>());
    assert!(elapsed >= ONE_TIMER);
    assert!(elapsed < 10 * ONE_TIMER, "one after the other they take {:?}", ONE_TIMER * 1_000);
    println!("timers={TIMERS}");
    println!("total={total}");
    println!("one_timer_ms={one}");
    println!("elapsed_ms={all}");
    Ok(())
}
