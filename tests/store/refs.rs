//! Handles to values that move: dropped, cloned and gathered at any moment, also after the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, LazyLock, OnceLock};

use mobula::value::CodecError;
use mobula::{Codec, Delayed, ObjectRef, Outputs, Plan, Value, delayed, graph};

use crate::gate::{Gate, Opener, gate};
use crate::site::{BLOCK, NOTHING, Site, block, blocks, site, sum, sum_of};
use crate::watchdog::{until, watched};

#[test]
fn a_hundred_threads_get_and_drop_refs_at_once() {
    watched(|| {
        let site = site(2, 4 * BLOCK as u64);
        let refs = site.persist_blocks(0..16);
        let start = Barrier::new(100);
        std::thread::scope(|scope| {
            for thread in 0..100_usize {
                let (site, start, refs) = (&site, &start, refs.clone());
                scope.spawn(move || {
                    start.wait();
                    for (turn, number) in (thread..thread + 16).map(|n| n % 16).enumerate() {
                        let one = refs[number].clone();
                        if (thread + turn) % 3 == 0 {
                            drop(one);
                            continue;
                        }
                        let values = site.gather_blocking(&[one]).unwrap();
                        let data = values[0].downcast_ref::<Vec<u8>>().unwrap();
                        assert_eq!(data.len(), BLOCK);
                        assert!(data.iter().all(|byte| usize::from(*byte) == number));
                    }
                });
            }
        });
        site.check_blocks(&refs, 0..16);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn refs_are_dropped_while_others_gather() {
    watched(|| {
        let site = site(2, NOTHING);
        for round in 0..20 {
            let refs = site.persist_blocks(0..8);
            std::thread::scope(|scope| {
                for (thread, one) in refs.into_iter().enumerate() {
                    let site = &site;
                    scope.spawn(move || {
                        if (thread + round) % 2 == 0 {
                            assert_eq!(site.gather_blocking(&[one]).unwrap().len(), 1);
                        }
                    });
                }
            });
        }
        site.until_empty();
    });
}

/// Data that can be held up on its way to the disk and back.
struct Slow {
    writes: Gate,
    number: u64,
}

/// What reading waits for; there is one for all, as it is not part of the data.
static READS: LazyLock<Gate> = LazyLock::new(|| {
    let (gate, opener) = gate();
    READS_OPENER.set(opener).expect("this is done once");
    gate
});
static READS_OPENER: OnceLock<Opener> = OnceLock::new();

fn slow(writes: &Gate, number: u64) -> Value {
    let encode = |slow: &Slow, out: &mut dyn std::io::Write| {
        slow.writes.pass();
        Ok(out.write_all(&slow.number.to_ne_bytes())?)
    };
    let decode = |source: &mut mobula::value::Source<'_>| {
        let mut number = [0; 8];
        std::io::Read::read_exact(source, &mut number)?;
        READS.pass();
        let (writes, opener) = gate();
        opener.open();
        Ok::<_, CodecError>(Slow { writes, number: u64::from_ne_bytes(number) })
    };
    Value::with_codec(Slow { writes: writes.clone(), number }, BLOCK, Codec::new(encode, decode))
}

fn persist_slow(site: &Site, writes: &Gate) -> ObjectRef {
    let writes = writes.clone();
    let make = move || slow(&writes, 7);
    site.persist(graph! { "slow" => (make,) }, ["slow"]).unwrap().remove(0)
}

#[test]
fn a_ref_is_dropped_while_its_value_is_written() {
    watched(|| {
        let site = site(1, NOTHING);
        let (gate, opener) = gate();
        let one = persist_slow(&site, &gate);
        gate.arrivals(1);
        assert!(!one.is_spilled());
        drop(one);
        opener.open();
        site.until_empty();
        assert_eq!(site.stats_blocking().unwrap().failed_writes, 0);
    });
}

#[test]
fn a_value_is_used_while_it_is_written() {
    watched(|| {
        let site = site(1, NOTHING);
        let (gate, opener) = gate();
        let one = persist_slow(&site, &gate);
        gate.arrivals(1);
        let values = site.gather_blocking(std::slice::from_ref(&one)).unwrap();
        assert_eq!(values[0].downcast_ref::<Slow>().unwrap().number, 7);
        opener.open();
        until(|| site.stats_blocking().unwrap().disk.files == 1);
        // It was written, but has not left; once nobody uses it, it does, without another write.
        assert!(!one.is_spilled());
        assert_eq!(site.stats_blocking().unwrap().spilled_values, 0);
        drop(values);
        let other = site.put("other", block(1));
        until(|| one.is_spilled() && other.is_spilled());
        assert_eq!(site.stats_blocking().unwrap().disk.written_values, 2);
        drop((one, other));
        site.until_empty();
    });
}

#[test]
fn a_ref_is_dropped_while_its_value_is_read() {
    watched(|| {
        let site = site(1, NOTHING);
        let (gate, opener) = gate();
        opener.open();
        let one = persist_slow(&site, &gate);
        until(|| one.is_spilled());
        let client = site.client().clone();
        let gathers = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&gathers);
        let copy = one.clone();
        let gathering = std::thread::spawn(move || {
            flag.store(true, Ordering::Relaxed);
            let values = client.gather_blocking(&[copy]).unwrap();
            values[0].downcast_ref::<Slow>().unwrap().number
        });
        READS.arrivals(1);
        assert!(gathers.load(Ordering::Relaxed));
        // Neither here nor lost: it is on its way, and counted as away.
        assert!(one.is_spilled());
        assert_eq!(site.stats_blocking().unwrap().spilled_values, 1);
        drop(one);
        READS_OPENER.get().unwrap().open();
        assert_eq!(gathering.join().unwrap(), 7);
        site.until_empty();
    });
}

#[test]
fn a_run_is_cancelled_while_its_values_are_written() {
    watched(|| {
        for workers in [1, 2] {
            let site = site(workers, NOTHING);
            let (gate, opener) = gate();
            let writes = gate.clone();
            let make = move |number: u64| slow(&writes, number);
            let graph = graph! {
                "a" => (make.clone(), 1_u64),
                "b" => (make.clone(), 2_u64),
                "c" => (make.clone(), 3_u64),
                "d" => (make, 4_u64),
            };
            let handle = site.run(Plan::new(graph, Outputs::from(["a", "b", "c", "d"])).unwrap());
            gate.arrivals(1);
            handle.cancel();
            assert!(handle.wait().unwrap_err().is_cancelled());
            opener.open();
            site.until_empty();
            // Refs that are dropped before their run is over cancel it, too.
            let (other, opener) = crate::gate::gate();
            let one = persist_slow(&site, &other);
            other.arrivals(1);
            drop(one);
            opener.open();
            site.until_empty();
        }
    });
}

#[test]
fn the_end_of_a_cluster_is_an_error_that_says_so() {
    watched(|| {
        let site = site(1, NOTHING);
        let refs = site.spill_blocks(0..2);
        let Site { cluster, directory: _directory } = site;
        let client = cluster.client().clone();
        cluster.shutdown_blocking().unwrap();
        for _ in 0..2 {
            let error = client.gather_blocking(&refs).unwrap_err();
            assert!(error.is_closed(), "{error}");
            assert!(error.to_string().contains("the cluster has ended"), "{error}");
            assert!(refs[0].value().is_none());
        }
        let (graph, keys) = blocks(0..2);
        let graph = Arc::new(graph);
        assert!(client.persist(Arc::clone(&graph), keys).unwrap_err().is_closed());
        assert!(client.get_blocking(graph, ("block", 0)).unwrap_err().is_closed());
        assert!(client.stats_blocking().unwrap_err().is_closed());
        // What is put then lives as long as its ref.
        let put = client.put("late", block(3));
        assert!(put.value().is_some());
        assert!(client.gather_blocking(&[put]).unwrap_err().is_closed());
        drop(refs);
    });
}

#[test]
fn a_cluster_ends_while_values_move() {
    watched(|| {
        for round in 0..10 {
            let site = site(2, NOTHING);
            let refs = site.persist_blocks(0..32);
            let client = site.client().clone();
            let copies = refs.clone();
            let gathering = std::thread::spawn(move || {
                for one in copies {
                    // Which of them are still there is a matter of time; that each is answered is not.
                    match client.gather_blocking(&[one]) {
                        Ok(values) => assert_eq!(values.len(), 1),
                        Err(error) => assert!(
                            error.is_lost() || error.is_cancelled() || error.is_closed(),
                            "{error}"
                        ),
                    }
                }
            });
            until(|| site.stats_blocking().unwrap().disk.written_values > round);
            let Site { cluster, directory } = site;
            cluster.shutdown_blocking().unwrap();
            gathering.join().unwrap();
            assert_eq!(crate::site::sessions(directory.path()).len(), 0);
        }
    });
}

#[test]
fn runs_share_values_that_are_on_disk() {
    watched(|| {
        let site = site(2, NOTHING);
        let refs = site.spill_blocks(0..4);
        let sums = || -> Vec<Delayed<u64>> {
            let blocks = refs.iter().map(|one| Delayed::<Vec<u8>>::from_ref(one.clone()));
            blocks.map(|block| delayed(sum).call(block)).collect()
        };
        let (one, two) = (sums(), sums());
        let handles = [&one, &two]
            .map(|sums| site.run(delayed(crate::site::total).call(sums).plan().unwrap()));
        for handle in handles {
            let answer: u64 = handle.wait().unwrap().into_data().unwrap();
            assert_eq!(answer, (0..4).map(sum_of).sum::<u64>());
        }
        drop((one, two));
        until(|| refs.iter().all(ObjectRef::is_spilled));
        let stats = site.stats_blocking().unwrap();
        assert_eq!((stats.holdings.values, stats.disk.files), (4, 4));
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn what_a_run_fetches_is_counted_once() {
    watched(|| {
        let site = site(1, 64 * BLOCK as u64);
        let refs = site.persist_blocks(0..1);
        let bytes = site.gather_blocking(&refs).unwrap()[0].bytes() as u64;
        let (gate, opener) = gate();
        let waiting = gate.clone();
        let wait = move |block: &Vec<u8>| {
            waiting.pass();
            sum(block)
        };
        let fetched = Delayed::<Vec<u8>>::from_ref(refs[0].clone());
        let handle = site.run(delayed(wait).call(&fetched).plan().unwrap());
        gate.arrivals(1);
        assert_eq!(site.stats_blocking().unwrap().holdings.bytes, bytes);
        opener.open();
        handle.wait().unwrap();
        drop((refs, fetched));
        site.until_empty();
    });
}

#[test]
fn a_program_that_goes_on_from_its_own_results_frees_the_old_ones() {
    watched(|| {
        fn next(mut block: Vec<u8>) -> Vec<u8> {
            block[0] += 1;
            block
        }
        let site = site(2, 16 << 20);
        let mut latest = site.put("first", vec![0_u8; 64 << 10]);
        for step in 0..20_i64 {
            let input = Delayed::<Vec<u8>>::from_ref(latest);
            let made = delayed(next).call(input).with_key(("step", step));
            let (graph, _) = made.graph();
            latest = site.persist(graph, [made.key().clone()]).unwrap().remove(0);
            site.gather_blocking(std::slice::from_ref(&latest)).unwrap();
        }
        until(|| site.stats_blocking().unwrap().holdings.values == 1);
        let value = latest.value().unwrap();
        assert_eq!(value.downcast_ref::<Vec<u8>>().unwrap()[0], 20);
    });
}
