//! Thousands of runs that spill leave nothing behind: no thread, no open file, no file, no byte.

use std::fs;

use mobula::{Delayed, delayed};

use crate::process::{cluster_threads, resident_bytes, until_no_more_threads_than};
use crate::site::{NOTHING, sessions, site};
use crate::watchdog::{alone, until};

/// Just large enough to move.
fn small(number: u64) -> Vec<u64> {
    vec![number; 2 << 10]
}

fn first(numbers: &[u64]) -> u64 {
    numbers[0]
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("the tests that count run on Linux").count()
}

#[test]
fn thousands_of_runs_leave_nothing_behind() {
    alone(|| {
        let before = (cluster_threads(), open_files());
        let site = site(2, NOTHING);
        let round = |number: u64| {
            let kept = site.put("kept", small(number));
            let made = delayed(small).call(number + 1);
            let sums = [
                delayed(first).call(&made),
                delayed(first).call(Delayed::<Vec<u64>>::from_ref(kept.clone())),
            ];
            let total = delayed(crate::site::total).call(&sums);
            let (graph, _) = total.graph();
            let keys = [made.key().clone(), total.key().clone()];
            let refs = site.persist(graph, keys).unwrap();
            if number.is_multiple_of(5) {
                // Cancelled, wherever it is.
                return;
            }
            if number % 5 == 1 {
                until(|| refs[0].is_spilled() && kept.is_spilled());
            }
            let values = site.gather_blocking(&refs).unwrap();
            assert_eq!(values[1].downcast_ref::<u64>(), Some(&(2 * number + 1)));
            assert!(*values[0].downcast_ref::<Vec<u64>>().unwrap() == small(number + 1));
        };
        (0..500).for_each(round);
        site.until_empty();
        let warm = (cluster_threads(), open_files(), resident_bytes());
        (500..3000).for_each(round);
        site.until_empty();
        assert_eq!(cluster_threads(), warm.0);
        assert_eq!(open_files(), warm.1);
        let grown = resident_bytes().saturating_sub(warm.2);
        assert!(grown < 32 << 20, "{grown} bytes more than after the first runs");
        let stats = site.stats_blocking().unwrap();
        assert!(stats.disk.written_values > 500, "{stats:?}");
        assert_eq!((stats.failed_writes, stats.recomputed, stats.lost), (0, 0, 0));
        let directory = site.directory.path().to_owned();
        assert_eq!(sessions(&directory).len(), 1);
        drop(site);
        assert!(!directory.exists());
        until_no_more_threads_than(&before.0);
        assert_eq!(open_files(), before.1);
    });
}
