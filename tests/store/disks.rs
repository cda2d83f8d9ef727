//! Disks that do not do what they should: values stay in memory, results are right, runs end.

use std::fs;
use std::path::Path;
use std::process::Command;

use mobula::{Delayed, ObjectRef, delayed};

use crate::logs;
use crate::site::{BLOCK, NOTHING, Site, block, site, site_with, sum, sum_of, total};
use crate::watchdog::{until, watched};

/// A run with blocks that are used twice, so that they should move in between.
#[track_caller]
fn check_run(site: &Site) {
    let blocks: Vec<Delayed<Vec<u8>>> = (0..32).map(|number| delayed(block).call(number)).collect();
    let sums = |blocks: &[Delayed<Vec<u8>>]| -> Delayed<u64> {
        let sums: Vec<Delayed<u64>> = blocks.iter().map(|block| delayed(sum).call(block)).collect();
        delayed(total).call(sums)
    };
    let (one, two) = site.compute_all_blocking((&sums(&blocks), &sums(&blocks))).unwrap();
    let expected: u64 = (0..32).map(sum_of).sum();
    assert_eq!((one, two), (expected, expected));
}

#[test]
fn what_may_not_go_to_disk_stays() {
    watched(|| {
        let most = 8 * BLOCK as u64;
        let site = site_with(2, 4 * BLOCK as u64, |builder| builder.max_spill(most));
        let refs = site.persist_blocks(0..32);
        site.check_blocks(&refs, 0..32);
        let stats = site.stats_blocking().unwrap();
        assert!(stats.failed_writes > 0 && stats.disk.bytes <= most, "{stats:?}");
        assert!(stats.disk.files > 0 && stats.spilled_values <= 8, "{stats:?}");
        check_run(&site);
        drop(refs);
        site.until_empty();
        // Room on the disk is found again, when the store has got over its failure.
        let refs = site.persist_blocks(0..8);
        until(|| site.stats_blocking().unwrap().spilled_values >= 5);
        site.check_blocks(&refs, 0..8);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_full_disk_is_survived() {
    watched(|| {
        let mount = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=512k", "mobula-test"]).arg(mount.path());
        if !command.output().is_ok_and(|output| output.status.success()) {
            // Loud, but no failure: `what_may_not_go_to_disk_stays` tests the same without a mount.
            println!("SKIPPED: a_full_disk_is_survived, because nothing can be mounted here");
            return;
        }
        let path = mount.path().to_owned();
        let result = std::panic::catch_unwind(|| {
            let site = site_with(2, 2 * BLOCK as u64, |_| {
                let builder = mobula::Cluster::builder().workers(2);
                builder.memory_limit(2 * BLOCK as u64).spill_directory(&path)
            });
            let refs = site.persist_blocks(0..32);
            site.check_blocks(&refs, 0..32);
            let stats = site.stats_blocking().unwrap();
            assert!(stats.failed_writes > 0 && stats.spilled_values < 8, "{stats:?}");
            check_run(&site);
            drop(refs);
            site.until_empty();
        });
        let unmounted = Command::new("umount").arg("-l").arg(mount.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
        result.unwrap();
    });
}

#[test]
fn a_directory_that_was_removed_before_is_made_again() {
    watched(|| {
        let site = site(1, NOTHING);
        fs::remove_dir(site.directory.path()).unwrap();
        let refs = site.spill_blocks(0..4);
        site.check_blocks(&refs, 0..4);
        assert_eq!(site.stats_blocking().unwrap().failed_writes, 0);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn values_whose_directory_was_removed_are_made_again() {
    watched(|| {
        let site = site(1, NOTHING);
        let mut refs = site.spill_blocks(0..4);
        let put = site.put("put before", block(9));
        until(|| put.is_spilled());
        fs::remove_dir_all(site.directory.path()).unwrap();
        // New values go to a new directory.
        refs.extend(site.spill_blocks(4..8));
        site.check_blocks(&refs, 0..8);
        let error = site.gather_blocking(std::slice::from_ref(&put)).unwrap_err();
        assert!(error.is_lost() && error.to_string().contains("put before"), "{error}");
        let stats = site.stats_blocking().unwrap();
        assert_eq!((stats.recomputed, stats.lost, stats.failed_writes), (4, 1, 0));
        drop((refs, put));
        site.until_empty();
    });
}

fn site_at(directory: &Path, workers: usize) -> Site {
    // The directory that comes with it stays empty.
    site_with(workers, NOTHING, |_| {
        let builder = mobula::Cluster::builder().workers(workers).memory_limit(NOTHING);
        builder.spill_directory(directory)
    })
}

#[test]
fn without_a_directory_values_stay_until_there_is_one() {
    watched(|| {
        logs::keep();
        let base = tempfile::tempdir().unwrap();
        let parent = base.path().join("occupied by a file");
        fs::write(&parent, "no directory").unwrap();
        let site = site_at(&parent.join("spill"), 2);
        let refs = site.persist_blocks(0..8);
        site.check_blocks(&refs, 0..8);
        check_run(&site);
        until(|| site.stats_blocking().unwrap().failed_writes > 0);
        assert_eq!(site.stats_blocking().unwrap().spilled_values, 0);
        assert!(!logs::lines_with("occupied by a file").is_empty());
        fs::remove_file(&parent).unwrap();
        until(|| refs.iter().all(ObjectRef::is_spilled));
        site.check_blocks(&refs, 0..8);
        drop(refs);
        until(|| site.stats_blocking().unwrap().disk.files == 0);
        site.until_empty();
    });
}

#[test]
fn one_of_two_directories_is_enough() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "no directory").unwrap();
        let good = base.path().join("made/by/the/cluster");
        let site = site_with(2, NOTHING, |_| {
            let builder = mobula::Cluster::builder().workers(2).memory_limit(NOTHING);
            builder.spill_directory(file.join("bad")).spill_directory(&good)
        });
        let refs = site.spill_blocks(0..8);
        site.check_blocks(&refs, 0..8);
        assert_eq!(site.stats_blocking().unwrap().failed_writes, 0);
        assert_eq!(crate::site::value_files(&good).len(), 8);
        drop(refs);
        site.until_empty();
        drop(site);
        assert_eq!(fs::read_dir(&good).unwrap().count(), 0);
    });
}
