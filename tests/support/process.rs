//! What the whole process holds, as Linux tells it: threads by name, and memory.

use std::collections::BTreeMap;
use std::fs;

use crate::watchdog::until;

/// How the threads of clusters are called: workers, the background system, arbiters.
const OURS: [&str; 2] = ["mobula-", "actix-rt"];

/// The threads that belong to clusters, with their names, by number.
pub(crate) fn cluster_threads() -> BTreeMap<u32, String> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task").expect("the tests that count run on Linux") {
        let path = entry.expect("a thread's entry can be read").path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        // A thread that ends meanwhile has no name any more.
        if let (Some(number), Ok(name)) = (number, fs::read_to_string(path.join("comm")))
            && OURS.iter().any(|start| name.starts_with(start))
        {
            threads.insert(number, name.trim_end().to_owned());
        }
    }
    threads
}

/// Waits until the clusters that were started since `before` have no thread left. A thread that was
/// joined stays listed for a moment, and clusters that end in their own time tell nobody.
pub(crate) fn until_no_more_threads_than(before: &BTreeMap<u32, String>) {
    until(|| cluster_threads().keys().all(|thread| before.contains_key(thread)));
}

/// The memory that the process uses, in bytes.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the tests run on Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.expect("the status names the memory in KiB") * 1024
}
