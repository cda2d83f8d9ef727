//! Tasks wait for room, and there is always one that goes on: whatever the values are, runs end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mobula::{
    Codec, Data, Delayed, Graph, Key, ObjectRef, Opaque, Outputs, Plan, Thresholds, Value, delayed,
    graph, lit,
};

use crate::gate::{Gate, gate};
use crate::logs;
use crate::site::{BLOCK, NOTHING, Site, block, blocks, site, site_with, sum, sum_of, total};
use crate::watchdog::{until, watched};

const ONE: u64 = BLOCK as u64;

/// A block that cannot leave memory.
fn staying(number: u64) -> Value {
    Value::with_bytes(number, BLOCK)
}

/// Data that says nothing of the disk.
struct Stays;

impl Data for Stays {
    fn heap_bytes(&self) -> usize {
        BLOCK
    }
}

fn add(x: u64, y: u64) -> Value {
    Value::with_bytes(x + y, BLOCK)
}

/// A tree of sums whose values all have the size of a block and cannot leave.
fn staying_tree(leaves: u64) -> Plan {
    let mut graph = Graph::new();
    let mut level: Vec<_> = (0..leaves).map(|leaf| graph.add((staying, leaf))).collect();
    while level.len() > 1 {
        let pair = |pair: &[mobula::Node]| match pair {
            [one, two] => graph.add((add, *one, *two)),
            rest => rest[0],
        };
        level = level.chunks(2).map(pair).collect();
    }
    Plan::new(graph, level[0]).expect("a tree is right")
}

#[test]
fn roots_wait_while_the_store_is_full() {
    /// Data whose way to the disk is closed by a gate.
    struct Gated(Gate);
    fn codec() -> Codec<Gated> {
        // It need not come back.
        Codec::new(
            |gated, _| {
                gated.0.pass();
                Ok(())
            },
            |_| Err(mobula::value::CodecError::data("gone")),
        )
    }
    watched(|| {
        for workers in [1, 2, 4] {
            let site = site(workers, 10 * ONE);
            let (gate, opener) = gate();
            let made = Arc::new(AtomicU64::new(0));
            let produce = {
                let (gate, made) = (gate.clone(), Arc::clone(&made));
                move || {
                    made.fetch_add(1, Ordering::Relaxed);
                    Value::with_codec(Gated(gate.clone()), BLOCK, codec())
                }
            };
            let produce = Arc::new(produce);
            let mut graph = Graph::new();
            let keys: Vec<Key> = (0..100_u64).map(|number| Key::from(("gated", number))).collect();
            for (key, number) in keys.iter().zip(0_u64..) {
                let produce = Arc::clone(&produce);
                let task = mobula::Func::new(move |_: u64| produce());
                graph.insert(key.clone(), mobula::Task::new(task, [lit(number)]));
            }
            let refs = site.persist(graph, keys).unwrap();
            // The first write has begun, so the store was over its target, and nothing gets through.
            gate.arrivals(1);
            until(|| made.load(Ordering::Relaxed) >= 7);
            assert!(made.load(Ordering::Relaxed) <= 10);
            opener.open();
            until(|| made.load(Ordering::Relaxed) == 100);
            until(|| refs.iter().all(|one| one.is_spilled() || one.value().is_some()));
            let stats = site.stats_blocking().unwrap();
            assert!(stats.holdings.peak_bytes <= 10 * ONE, "{stats:?}");
            drop(refs);
            site.until_empty();
        }
    });
}

#[test]
fn a_value_larger_than_the_limit_works_and_is_warned_of() {
    watched(|| {
        logs::keep();
        let site = site(2, 2 * ONE);
        let large = || vec![3_u8; 8 * BLOCK];
        let graph =
            graph! { "larger than the limit" => (large,), "sum" => (sum, "larger than the limit") };
        let results = site.get_blocking(graph, "sum").unwrap();
        assert_eq!(results.get::<u64>(), Some(&(3 * 8 * ONE)));
        let lines = logs::lines_with("larger than the limit");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("WARN") && lines[0].contains("memory limit"), "{lines:?}");
        site.until_empty();
    });
}

#[test]
fn a_limit_smaller_than_any_value_is_no_hindrance() {
    watched(|| {
        for workers in [1, 2, 4] {
            for limit in [1, NOTHING] {
                let site = site(workers, limit);
                let change = |block: Vec<u8>| -> Vec<u8> { block.iter().map(|b| b + 1).collect() };
                let join = |one: &Vec<u8>, two: &Vec<u8>| -> Vec<u8> {
                    one.iter().zip(two).map(|(x, y)| x + y).collect()
                };
                let mut level: Vec<Delayed<Vec<u8>>> = (0..16)
                    .map(|number| delayed(change).call(delayed(block).call(number)))
                    .collect();
                while level.len() > 1 {
                    level = level
                        .chunks(2)
                        .map(|pair| delayed(join).call((&pair[0], &pair[1])))
                        .collect();
                }
                let data = site.compute_blocking(&level[0]).unwrap();
                assert!(data == block((1..=16).sum()));
                site.until_empty();
            }
        }
    });
}

#[test]
fn values_that_do_not_tell_their_size_run_freely() {
    watched(|| {
        let site = site(2, ONE);
        let silent = |number: u64| Value::with_bytes(block(number), 0);
        let opaque = |number: u64| Opaque((block(number), number));
        let count = |bytes: &Vec<u8>, pair: &(Vec<u8>, u64)| (bytes.len() + pair.0.len()) as u64;
        let mut graph = Graph::new();
        let nodes: Vec<_> = (0..64_u64)
            .map(|number| {
                let (one, two) = (graph.add((silent, number)), graph.add((opaque, number)));
                graph.add((count, one, two))
            })
            .collect();
        let results = site.get_blocking(graph, Outputs::from(nodes)).unwrap();
        for result in results.into_list() {
            assert_eq!(result.get::<u64>(), Some(&(2 * ONE)));
        }
        assert!(site.stats_blocking().unwrap().holdings.peak_bytes < ONE);
        site.until_empty();
    });
}

#[test]
fn where_nothing_can_leave_runs_end_over_the_limit() {
    watched(|| {
        for workers in [1, 2, 4] {
            let site = site(workers, 4 * ONE);
            let mut graph = Graph::new();
            let keys: Vec<Key> = (0..32_u64).map(|number| Key::from(("staying", number))).collect();
            for (key, number) in keys.iter().zip(0_u64..) {
                let task = mobula::Task::new(mobula::Func::new(staying), [lit(number)]);
                graph.insert(key.clone(), task);
            }
            let refs = site.persist(graph, keys).unwrap();
            assert_eq!(site.gather_blocking(&refs).unwrap().len(), 32);
            let stats = site.stats_blocking().unwrap();
            assert_eq!((stats.staying.len(), stats.disk.written_values), (32, 0));
            assert_eq!(stats.holdings.bytes, 32 * ONE);
            // With all that in the way, others still get on.
            let results = site.run(staying_tree(16)).wait().unwrap();
            assert_eq!(results.get::<u64>(), Some(&120));
            site.until_spilled_run();
            drop((refs, results));
            site.until_empty();
        }
    });
}

impl Site {
    /// A run of blocks that can leave, and its results.
    fn until_spilled_run(&self) {
        let (graph, keys) = blocks(0..16);
        let refs = self.persist(graph, keys).unwrap();
        until(|| refs.iter().all(ObjectRef::is_spilled));
        self.check_blocks(&refs, 0..16);
    }
}

#[test]
fn asynchronous_tasks_end_under_a_tight_limit() {
    watched(|| {
        for workers in [1, 2] {
            for limit in [NOTHING, 4 * ONE] {
                let site = site(workers, limit);
                let later = delayed(|number: u64| async move {
                    actix_rt::task::yield_now().await;
                    block(number)
                });
                let change = delayed(|block: mobula::Shared<Vec<u8>>| async move {
                    actix_rt::task::yield_now().await;
                    sum(&block)
                });
                let sums: Vec<Delayed<u64>> =
                    (0..64).map(|number| change.call(later.call(number))).collect();
                let answer = site.compute_blocking(&delayed(total).call(sums)).unwrap();
                assert_eq!(answer, (0..64).map(sum_of).sum::<u64>());
                site.until_empty();
            }
        }
    });
}

#[test]
fn several_runs_share_one_limit() {
    watched(|| {
        let site = site(2, 8 * ONE);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let site = &site;
                scope.spawn(move || match thread % 4 {
                    0 => {
                        let refs = site.persist_blocks(thread * 16..thread * 16 + 16);
                        site.check_blocks(&refs, thread * 16..thread * 16 + 16);
                    }
                    1 => {
                        let results = site.run(staying_tree(32)).wait().unwrap();
                        assert_eq!(results.get::<u64>(), Some(&496));
                    }
                    2 => {
                        let (graph, keys) = blocks(0..16);
                        let results = site.get_blocking(graph, Outputs::from(keys)).unwrap();
                        for (result, number) in results.into_list().into_iter().zip(0..) {
                            assert!(result.into_data::<Vec<u8>>().unwrap() == block(number));
                        }
                    }
                    _ => {
                        let sums: Vec<Delayed<u64>> = (0..64)
                            .map(|number| delayed(sum).call(delayed(block).call(number)))
                            .collect();
                        let answer = site.compute_blocking(&delayed(total).call(sums)).unwrap();
                        assert_eq!(answer, (0..64).map(sum_of).sum::<u64>());
                    }
                });
            }
        });
        site.until_empty();
    });
}

#[test]
fn a_run_that_was_cancelled_and_is_still_held_takes_no_room() {
    watched(|| {
        let site = site(1, 4 * ONE);
        // So that memory is tight, and the size of a block is known.
        let kept: Vec<ObjectRef> = (0..3).map(|number| site.put(("kept", number), Stays)).collect();
        site.get_blocking(blocks(0..2).0, ("block", 0)).unwrap();
        let mut handles = Vec::new();
        for _ in 0..4 {
            let (gate, opener) = gate();
            let passing = gate.clone();
            let waits = move |number: u64| {
                passing.pass();
                block(number)
            };
            let waits = Arc::new(waits);
            let mut graph = Graph::new();
            let keys: Vec<Key> = (0..8_u64).map(|number| Key::from(("block", number))).collect();
            for (key, number) in keys.iter().zip(0_u64..) {
                let waits = Arc::clone(&waits);
                let task = mobula::Func::new(move |number: u64| waits(number));
                graph.insert(key.clone(), mobula::Task::new(task, [lit(number)]));
            }
            let handle = site.run(Plan::new(graph, Outputs::from(keys)).unwrap());
            gate.arrivals(1);
            handle.cancel();
            opener.open();
            // Kept, though nobody waits for it.
            handles.push(handle);
        }
        let refs = site.persist_blocks(0..8);
        site.check_blocks(&refs, 0..8);
        drop((handles, refs, kept));
        site.until_empty();
    });
}

#[test]
fn a_run_that_failed_and_is_still_held_takes_no_room() {
    watched(|| {
        let site = site(1, 4 * ONE);
        let kept: Vec<ObjectRef> = (0..3).map(|number| site.put(("kept", number), Stays)).collect();
        site.get_blocking(blocks(0..2).0, ("block", 0)).unwrap();
        // In a task, in a hook after it, in a hook before it.
        let refs = Arc::new(std::sync::Mutex::new(Vec::new()));
        for place in 0..4 {
            let keep = Arc::clone(&refs);
            let callback = mobula::CallbackBuilder::new()
                .postsubmit(move |_, _, _, object_ref| {
                    keep.lock().unwrap().push(object_ref.clone());
                    if place == 3 { Err("no".into()) } else { Ok(()) }
                })
                .pretask(move |_, _| if place == 2 { Err("no".into()) } else { Ok(None) })
                .posttask(move |_, _, _| if place == 1 { Err("no".into()) } else { Ok(()) });
            let make = move |number: u64| {
                if place == 0 { Err("no") } else { Ok(block(number)) }
            };
            let graph = graph! { ("block", 7) => (make, 7_u64) };
            let plan = Plan::new(graph, ("block", 7)).unwrap();
            let error = site.run_with(plan, vec![Arc::new(callback)]).wait().unwrap_err();
            assert!(error.to_string().contains("no"), "{error}");
        }
        assert_eq!(refs.lock().unwrap().len(), 4, "they hold their runs");
        let blocks = site.persist_blocks(0..8);
        site.check_blocks(&blocks, 0..8);
        refs.lock().unwrap().clear();
        drop((blocks, kept));
        site.until_empty();
    });
}

#[test]
fn thresholds_say_when_values_move() {
    watched(|| {
        // Between them, ten blocks and a little fit below the target of the first site alone.
        for (share, moves) in [(0.95, 0), (0.50, 5)] {
            let thresholds = Thresholds::new(share, share.max(0.95), 1.0).unwrap();
            let site = site_with(1, 12 * ONE, |builder| builder.thresholds(thresholds));
            let refs: Vec<ObjectRef> =
                (0..11).map(|number| site.put(("kept", number), block(number))).collect();
            until(|| site.stats_blocking().unwrap().spilled_values >= moves);
            site.check_blocks(&refs, 0..11);
            if moves == 0 {
                assert_eq!(site.stats_blocking().unwrap().disk.written_bytes, 0);
            }
            drop(refs);
            site.until_empty();
        }
    });
}
