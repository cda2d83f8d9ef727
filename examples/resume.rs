//! A process crashes half-way; the next one goes on from the values that it had kept.
//!
//! ```text
//! cargo run --release --example resume
//! ```
//!
//! Prints:
//!
//! ```text
//! first process: part 0
//! first process: part 1
//! first process: part 2
//! first process: part 3
//! first process: part 4
//! first process: part 5 crashes
//! values on disk: 5
//! second process: part 5
//! second process: part 6
//! second process: part 7
//! second process: total
//! checkpoint: 5 resumed, 3 written
//! total: 140, as it should be
//! tasks_ran=4
//! ```
//!
//! The first process is this program once more, started by itself; it aborts in the middle of a task, as
//! if it had been killed.

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::{Checkpoint, Cluster, Func, Graph, Key, Task, lit};

/// Set for the process that is to crash; tells where its values are kept.
const CRASHING: &str = "MOBULA_EXAMPLE_CRASHES_IN";
const PARTS: i64 = 8;
const CRASH_AT: i64 = 5;

static TASKS_RAN: AtomicUsize = AtomicUsize::new(0);

/// Says what runs, and in which process.
fn tell(what: &str) {
    let process = if std::env::var_os(CRASHING).is_some() { "first" } else { "second" };
    println!("{process} process: {what}");
    TASKS_RAN.fetch_add(1, Ordering::Relaxed);
}

fn part(number: i64) -> i64 {
    if let Some(directory) = std::env::var_os(CRASHING)
        && number == CRASH_AT
    {
        // Values are written beside the run. So that this program prints the same each time, it crashes
        // only when all that was computed is on the disk.
        while values_in(Path::new(&directory)) < CRASH_AT.unsigned_abs() {
            std::thread::yield_now();
        }
        tell(&format!("part {number} crashes"));
        std::process::abort();
    }
    tell(&format!("part {number}"));
    number * number
}

fn total(parts: &[i64]) -> i64 {
    tell("total");
    parts.iter().sum()
}

fn graph() -> Graph {
    let mut graph = Graph::new();
    let mut parts = Vec::new();
    for number in 0..PARTS {
        let key = Key::from(("part", number));
        parts.push(graph.insert(key, Task::new(Func::new(part), [lit(number)])));
    }
    graph.insert("total", (total, parts));
    graph
}

/// Runs the graph and keeps the values of its parts.
fn run(directory: &Path) -> Result<(i64, Checkpoint), Box<dyn Error>> {
    let checkpoint = Checkpoint::new(directory).prefixes(["part"]);
    let cluster = Cluster::builder().workers(1).checkpoint(checkpoint.clone()).start()?;
    let total = cluster.get_blocking(graph(), "total")?.into_data::<i64>()?;
    Ok((total, checkpoint))
}

fn values_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_value = |path: PathBuf| path.extension().is_some_and(|ending| ending == "ckpt");
    entries.filter(|entry| is_value(entry.path())).count() as u64
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(directory) = std::env::var_os(CRASHING) {
        run(Path::new(&directory))?;
        return Err("it should have crashed".into());
    }
    let directory = std::env::temp_dir().join(format!("mobula-example-{}", std::process::id()));
    let first = Command::new(std::env::current_exe()?).env(CRASHING, &directory).status()?;
    assert!(!first.success(), "it crashed");
    println!("values on disk: {}", values_in(&directory));

    let (total, checkpoint) = run(&directory)?;
    let summary = checkpoint.summary();
    println!("checkpoint: {} resumed, {} written", summary.hits, summary.written);
    let expected: i64 = (0..PARTS).map(|number| number * number).sum();
    assert_eq!(total, expected);
    println!("total: {total}, as it should be");
    checkpoint.clear();
    fs::remove_dir_all(&directory)?;
    println!("tasks_ran={}", TASKS_RAN.load(Ordering::Relaxed));
    Ok(())
}
