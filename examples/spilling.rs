//! Data of four times the memory limit: what nobody uses moves to disk and comes back.
//!
//! ```text
//! cargo run --release --example spilling
//! ```
//!
//! Prints, with other figures of memory:
//!
//! ```text
//! 32 blocks of 8 MiB, 256 MiB together, with a memory limit of 64 MiB
//! each read when it is made: sum 520093696, 0 bytes written to disk
//! all kept: more than 200 MiB moved to disk
//! all read again: sum 520093696, each as it was
//! files left in the spill directory: 0
//! peak_values_mib=48
//! peak_rss_mib=70
//! ```
//!
//! The order of a run frees blocks early, so data that is read when it is made never has to move. Data
//! that is kept does, as soon as it takes 60 % of the limit; and tasks that would take it over 80 % wait.

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::error::Error;

use mobula::{Cluster, Delayed, Func, Graph, Key, ObjectRef, Task, delayed, lit};

const BLOCKS: u64 = 32;
const BYTES: usize = 8 << 20;
const LIMIT: u64 = 64 << 20;

/// A block whose bytes are all its number. `Vec<u8>` knows its size and how to go to disk; types of your
/// own say so with `Data::heap_bytes` and `Data::codec`.
fn block(number: u64) -> Vec<u8> {
    vec![u8::try_from(number).unwrap_or(u8::MAX); BYTES]
}

fn sum(block: &[u8]) -> u64 {
    // What the blocks hold is so plain that the sum of some of it will do.
    block.iter().step_by(BYTES / (1 << 20)).map(|byte| u64::from(*byte)).sum()
}

#[expect(clippy::needless_pass_by_value, reason = "a task that takes a list by value")]
fn total(sums: Vec<u64>) -> u64 {
    sums.iter().sum()
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("mobula-example-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let cluster =
        Cluster::builder().workers(2).memory_limit(LIMIT).spill_directory(&directory).start()?;
    let all = (BYTES as u64 * BLOCKS) >> 20;
    let (one, limit) = (BYTES >> 20, LIMIT >> 20);
    println!(
        "{BLOCKS} blocks of {one} MiB, {all} MiB together, with a memory limit of {limit} MiB"
    );

    let sums: Vec<Delayed<u64>> =
        (0..BLOCKS).map(|number| delayed(sum).call(delayed(block).call(number))).collect();
    let result = cluster.compute_blocking(&delayed(total).call(sums))?;
    let written = cluster.stats_blocking()?.disk.written_bytes;
    println!("each read when it is made: sum {result}, {written} bytes written to disk");

    // Now all blocks are wanted, which is more than fits.
    let mut graph = Graph::new();
    let keys: Vec<Key> = (0..BLOCKS).map(|number| Key::from(("block", number))).collect();
    for (number, key) in (0..BLOCKS).zip(&keys) {
        graph.insert(key.clone(), Task::new(Func::new(block), [lit(number)]));
    }
    let blocks: Vec<ObjectRef> = cluster.persist(graph, keys)?;
    for block in &blocks {
        // Waits until it is there, wherever that is.
        cluster.gather_blocking(std::slice::from_ref(block))?;
    }
    let stats = cluster.stats_blocking()?;
    let most = if stats.disk.written_bytes > 200 << 20 { "more" } else { "no more" };
    println!("all kept: {most} than 200 MiB moved to disk");

    let mut result = 0;
    for block in &blocks {
        for value in cluster.gather_blocking(std::slice::from_ref(block))? {
            result += value.downcast_ref::<Vec<u8>>().map_or(0, |block| sum(block));
        }
    }
    println!("all read again: sum {result}, each as it was");

    let peak = cluster.stats_blocking()?.holdings.peak_bytes;
    drop(blocks);
    cluster.shutdown_blocking()?;
    let left = std::fs::read_dir(&directory)?.count();
    println!("files left in the spill directory: {left}");
    std::fs::remove_dir(&directory)?;

    println!("peak_values_mib={}", peak >> 20);
    // What Linux says of the whole process.
    let process = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = process.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse()?;
        println!("peak_rss_mib={}", kibibytes >> 10);
    }
    Ok(())
}
