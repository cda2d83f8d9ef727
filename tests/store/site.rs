//! [`Site`]: a cluster with a spill directory of its own; and the blocks of data that tests move about.

use std::fs;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use mobula::{Cluster, ClusterBuilder, Func, Graph, Key, ObjectRef, Task, lit};
use tempfile::TempDir;

use crate::gate::Gate;
use crate::watchdog::until;

/// The size of a block in bytes.
pub(crate) const BLOCK: usize = 64 << 10;

/// Less than any block: every block that nobody uses moves to disk.
pub(crate) const NOTHING: u64 = 16 << 10;

/// A cluster whose spill directory goes with it. The fields are dropped in this order.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    pub(crate) directory: TempDir,
}

/// A cluster with a memory limit in bytes.
pub(crate) fn site(workers: usize, limit: u64) -> Site {
    site_with(workers, limit, |builder| builder)
}

/// A cluster with more settings than that.
pub(crate) fn site_with(
    workers: usize,
    limit: u64,
    more: impl FnOnce(ClusterBuilder) -> ClusterBuilder,
) -> Site {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let builder = Cluster::builder().workers(workers).memory_limit(limit);
    let builder = more(builder.spill_directory(directory.path()));
    Site { cluster: builder.start().expect("a cluster starts"), directory }
}

impl Deref for Site {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Site {
    /// The files of the values that are on disk.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        value_files(self.directory.path())
    }

    /// Refs to blocks of these numbers, which tasks make.
    pub(crate) fn persist_blocks(&self, numbers: Range<u64>) -> Vec<ObjectRef> {
        let (graph, keys) = blocks(numbers);
        self.persist(graph, keys).expect("the graph is right")
    }

    /// As `persist_blocks`, and waits until all of them have moved to disk.
    pub(crate) fn spill_blocks(&self, numbers: Range<u64>) -> Vec<ObjectRef> {
        let refs = self.persist_blocks(numbers);
        until(|| refs.iter().all(ObjectRef::is_spilled));
        refs
    }

    /// Waits until nothing is left: no value, no byte, no file.
    pub(crate) fn until_empty(&self) {
        until(|| {
            let stats = self.stats_blocking().expect("the cluster is there");
            let held = (stats.holdings.values, stats.holdings.bytes, stats.objects.len());
            let disk = (stats.spilled_values, stats.spilled_bytes, stats.disk.files);
            (held, disk, stats.disk.bytes) == ((0, 0, 0), (0, 0, 0), 0)
        });
        assert_eq!(self.files(), Vec::<PathBuf>::new());
        assert_eq!(self.stats_blocking().unwrap().staying, []);
    }

    /// Reads the blocks one after the other and compares each with what it was.
    #[track_caller]
    pub(crate) fn check_blocks(&self, refs: &[ObjectRef], numbers: Range<u64>) {
        assert_eq!(refs.len() as u64, numbers.end - numbers.start);
        for (object_ref, number) in refs.iter().zip(numbers) {
            let values = self.gather_blocking(std::slice::from_ref(object_ref)).unwrap();
            let data = values[0].downcast_ref::<Vec<u8>>().expect("it is a block");
            assert!(*data == block(number), "{number} is not what it was");
        }
    }
}

/// The files of values below a directory, of whatever process, in order.
pub(crate) fn value_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = sessions(directory)
        .iter()
        // A session may go while it is looked at.
        .filter_map(|session| fs::read_dir(session).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "value"))
        .collect();
    files.sort();
    files
}

/// The private directories of clusters in a directory.
pub(crate) fn sessions(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the spill directory is there");
    entries.map(|entry| entry.expect("an entry can be read").path()).collect()
}

/// A block whose bytes are all its number.
pub(crate) fn block(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % 256).expect("it is a byte"); BLOCK]
}

/// A graph of blocks, and their keys.
pub(crate) fn blocks(numbers: Range<u64>) -> (Graph, Vec<Key>) {
    let keys: Vec<Key> = numbers.clone().map(|number| Key::from(("block", number))).collect();
    let mut graph = Graph::new();
    for (number, key) in numbers.zip(&keys) {
        graph.insert(key.clone(), Task::new(Func::new(block), [lit(number)]));
    }
    (graph, keys)
}

/// The sum of a block's bytes.
#[expect(clippy::ptr_arg, reason = "a value is taken as what it is")]
pub(crate) fn sum(block: &Vec<u8>) -> u64 {
    block.iter().map(|byte| u64::from(*byte)).sum()
}

/// What `sum` says of the block of this number.
pub(crate) fn sum_of(number: u64) -> u64 {
    (number % 256) * BLOCK as u64
}

/// A sum of sums.
pub(crate) fn total(sums: Vec<u64>) -> u64 {
    sums.into_iter().sum()
}

/// A graph whose block "a" is used before a gate ("sum") and behind it ("z").
pub(crate) fn used_on_both_sides(gate: Gate) -> Graph {
    let pass = move |_: u64| gate.pass();
    let both = |block: &Vec<u8>, (): ()| sum(block);
    mobula::graph! {
        "a" => (block, 5_u64),
        "sum" => (sum, "a"),
        "gate" => (pass, "sum"),
        "z" => (both, "a", "gate"),
    }
}
