//! Results that stay: computed in the background, held by refs, used by other runs, freed with their
//! last ref.
//!
//! ```text
//! cargo run --release --example persist
//! ```
//!
//! Prints:
//!
//! ```text
//! two refs at once: 'clean' and 'mean'
//! the run is over: mean = 24.5
//! a second run used 'clean': max = 49
//! held: 'clean', 'mean'
//! held after 'clean' was dropped: 'mean'
//! put by the program: 'offset'
//! a third run used it: 34.5
//! held after all were dropped: nothing
//! after the end: the cluster has ended; start a new one with `Cluster::builder().start()`
//! values_left=0
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::error::Error;

use mobula::{Cluster, Delayed, delayed, graph};

fn load() -> Vec<f64> {
    (0..50).chain([-1, -2]).map(f64::from).collect()
}

fn clean(measured: Vec<f64>) -> Vec<f64> {
    measured.into_iter().filter(|number| *number >= 0.0).collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / 50.0
}

fn max(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn add(x: f64, y: f64) -> f64 {
    x + y
}

/// The keys that somebody holds a ref to.
fn held(cluster: &Cluster) -> Result<String, mobula::Error> {
    let keys = cluster.stats_blocking()?.objects;
    let names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    Ok(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::builder().workers(2).start()?;
    let graph = graph! { "load" => (load,), "clean" => (clean, "load"), "mean" => (mean, "clean") };

    // The run goes on in the background; the refs are there at once.
    let refs = cluster.persist(graph, ["clean", "mean"])?;
    let [clean_ref, mean_ref] = &refs[..] else { return Err("two refs were asked for".into()) };
    println!("two refs at once: {:?} and {:?}", clean_ref.key(), mean_ref.key());
    let mean_value = cluster.gather_blocking(std::slice::from_ref(mean_ref))?;
    let mean_value: f64 = mean_value[0].clone().take().map_err(|_| "a mean is a number")?;
    println!("the run is over: mean = {mean_value}");

    // A ref is an input like any other: nothing is computed twice.
    let clean = Delayed::<Vec<f64>>::from_ref(clean_ref.clone());
    let highest = cluster.compute_blocking(&delayed(max).call(&clean))?;
    println!("a second run used {:?}: max = {highest}", clean_ref.key());
    drop(clean);

    println!("held: {}", held(&cluster)?);
    let mean_ref = mean_ref.clone();
    drop(refs);
    // A run that is over lets go of its inputs in its own time.
    while held(&cluster)? != "'mean'" {
        std::thread::yield_now();
    }
    println!("held after 'clean' was dropped: {}", held(&cluster)?);

    let offset_ref = cluster.put("offset", 10.0_f64);
    println!("put by the program: {:?}", offset_ref.key());
    let (mean, offset) = (Delayed::<f64>::from_ref(mean_ref), Delayed::<f64>::from_ref(offset_ref));
    println!(
        "a third run used it: {}",
        cluster.compute_blocking(&delayed(add).call((&mean, &offset)))?
    );
    drop((mean, offset));
    while held(&cluster)? != "nothing" {
        std::thread::yield_now();
    }
    println!("held after all were dropped: {}", held(&cluster)?);
    let left = cluster.stats_blocking()?.holdings.values;

    // A ref that is held longer than its cluster is of no use any more, and says so.
    let late = cluster.put("late", 1.0_f64);
    let client = cluster.client().clone();
    cluster.shutdown_blocking()?;
    match client.gather_blocking(&[late]) {
        Ok(_) => return Err("the cluster has ended".into()),
        Err(error) => println!("after the end: {error}"),
    }
    println!("values_left={left}");
    Ok(())
}
