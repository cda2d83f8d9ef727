//! Values over the limit move to disk and come back as they were; what fits never moves.

use std::collections::BTreeMap;

use bytes::Bytes;
use mobula::value::CodecError;
use mobula::{Codec, Data, Delayed, Key, ObjectRef, Outputs, Results, Value, delayed, graph};
use serde::{Deserialize, Serialize};

use crate::gate::gate;
use crate::site::{BLOCK, NOTHING, block, blocks, sessions, site, site_with, sum, sum_of, total};
use crate::watchdog::{until, watched};

const MIB: u64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Delays {
    city: String,
    minutes: Vec<f64>,
}

impl Data for Delays {
    fn heap_bytes(&self) -> usize {
        self.city.heap_bytes() + self.minutes.heap_bytes()
    }

    fn codec() -> Option<Codec<Self>> {
        Some(Codec::serde())
    }
}

fn numbers() -> Vec<f64> {
    (0..8192_u32).map(f64::from).collect()
}

#[test]
fn every_kind_of_data_comes_back_equal() {
    fn check<T: Data + PartialEq>(values: &mut impl Iterator<Item = Value>, expected: &T) {
        let value = values.next().unwrap();
        assert!(value.downcast_ref::<T>() == Some(expected), "{}", std::any::type_name::<T>());
    }
    watched(|| {
        for compress in [false, true] {
            let site = site_with(2, NOTHING, |builder| builder.spill_compression(compress));
            let floats: Vec<f64> = numbers();
            let odd = [f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE].repeat(4096);
            let text = "Grüße, Mánta! ".repeat(3000);
            let bytes = Bytes::from(block(7));
            let nested = vec![vec!["a".repeat(9000), String::new()], vec!["b".repeat(9000)]];
            let map: BTreeMap<i64, String> = (0..2000).map(|n| (n, n.to_string())).collect();
            let pair = (vec![1_i32; 8000], Some(String::from("end")));
            let delays = Delays { city: "Ōsaka".to_owned(), minutes: numbers() };
            let refs = [
                site.put("floats", floats.clone()),
                site.put("odd", odd.clone()),
                site.put("bytes", block(3)),
                site.put("text", text.clone()),
                site.put("counted", bytes.clone()),
                site.put("nested", nested.clone()),
                site.put("map", map.clone()),
                site.put("pair", pair.clone()),
                site.put("delays", delays.clone()),
            ];
            until(|| refs.iter().all(ObjectRef::is_spilled));
            let stats = site.stats_blocking().unwrap();
            assert_eq!(stats.spilled_values, 9);
            assert_eq!((stats.holdings.values, stats.holdings.bytes), (9, 0));
            assert_eq!(stats.disk.files, 9);
            let mut values = site.gather_blocking(&refs).unwrap().into_iter();
            check(&mut values, &floats);
            check(&mut values, &odd);
            check(&mut values, &block(3));
            check(&mut values, &text);
            check(&mut values, &bytes);
            check(&mut values, &nested);
            check(&mut values, &map);
            check(&mut values, &pair);
            check(&mut values, &delays);
            drop((values, refs));
            site.until_empty();
        }
    });
}

#[test]
fn a_sum_that_fits_moves_nothing() {
    watched(|| {
        let site = site(2, 4 * MIB);
        let sums: Vec<Delayed<u64>> = (0..256)
            .map(|number| {
                let same = |block: Vec<u8>| block;
                delayed(sum).call(delayed(same).call(delayed(block).call(number)))
            })
            .collect();
        let mut level: Vec<Delayed<u64>> = sums;
        while level.len() > 1 {
            level = level.chunks(4).map(|sums| delayed(total).call(sums.to_vec())).collect();
        }
        let sum = site.compute_blocking(&level[0]).unwrap();
        assert_eq!(sum, (0..256).map(sum_of).sum::<u64>());
        let stats = site.stats_blocking().unwrap();
        assert_eq!((stats.disk.written_bytes, stats.failed_writes), (0, 0));
        assert!(stats.holdings.peak_bytes <= 4 * MIB, "{}", stats.holdings.peak_bytes);
        site.until_empty();
        assert_eq!(sessions(site.directory.path()), Vec::<std::path::PathBuf>::new());
    });
}

#[test]
fn what_is_kept_stays_under_the_limit() {
    watched(|| {
        let site = site(2, 2 * MIB);
        // Eight times the limit.
        let refs = site.persist_blocks(0..256);
        until(|| {
            let holdings = site.stats_blocking().unwrap().holdings;
            holdings.values == 256 && holdings.bytes <= 2 * MIB * 6 / 10
        });
        // Before anything is read: what comes back does not ask for room.
        let peak = site.stats_blocking().unwrap().holdings.peak_bytes;
        assert!(peak <= 2 * MIB, "{peak}");
        site.check_blocks(&refs, 0..256);
        // And once more, now that what comes back pushes others out.
        site.check_blocks(&refs, 0..256);
        let stats = site.stats_blocking().unwrap();
        assert!(stats.disk.written_bytes > 14 * MIB, "{:?}", stats.disk);
        // A value that came back keeps its file: it is written once, however often it leaves.
        assert!(stats.disk.written_values <= 256, "{:?}", stats.disk);
        assert_eq!((stats.failed_writes, stats.recomputed, stats.lost), (0, 0, 0));
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn results_that_exceed_the_limit_are_right() {
    watched(|| {
        for limit in [NOTHING, MIB] {
            let site = site(2, limit);
            let (graph, keys) = blocks(0..64);
            let results = site.get_blocking(graph, Outputs::from(keys)).unwrap();
            for (result, number) in results.into_list().into_iter().zip(0..) {
                let data: Vec<u8> = result.into_data().unwrap();
                assert!(data == block(number), "{number}");
            }
            site.until_empty();
        }
    });
}

#[test]
fn spilled_inputs_come_back_for_tasks() {
    watched(|| {
        for (workers, retries) in [(1, 0), (2, 0), (2, 1)] {
            let site = site(workers, NOTHING);
            let (gate, opener) = gate();
            let all: Vec<Delayed<Vec<u8>>> =
                (0..16).map(|number| delayed(block).call(number)).collect();
            let at_gate = gate.clone();
            let last = delayed(move |_: Vec<u64>| gate.pass());
            let first: Vec<Delayed<u64>> =
                all.iter().map(|block| delayed(sum).call(block)).collect();
            // The blocks are used before and after the gate, and have left while it is closed.
            let passed = last.call(first);
            let second: Vec<Delayed<u64>> = all
                .iter()
                .map(|block| {
                    let both = |block: &Vec<u8>, (): ()| sum(block);
                    delayed(both).retries(retries).call((block, &passed))
                })
                .collect();
            let handle = site.run(delayed(total).call(second).plan().unwrap());
            at_gate.arrivals(1);
            until(|| site.stats_blocking().unwrap().spilled_values == 16);
            opener.open();
            let answer: u64 = handle.wait().unwrap().into_data().unwrap();
            assert_eq!(answer, (0..16).map(sum_of).sum::<u64>());
            site.until_empty();
        }
    });
}

#[test]
fn a_value_given_by_value_can_be_changed_after_it_came_back() {
    watched(|| {
        let site = site(1, NOTHING);
        let kept = site.spill_blocks(0..1);
        let change = |mut block: Vec<u8>| {
            block[0] = 99;
            block
        };
        let changed = delayed(change).call(Delayed::from_ref(kept[0].clone()));
        let data = site.compute_blocking(&changed).unwrap();
        assert_eq!((data[0], data[1]), (99, 0));
        site.check_blocks(&kept, 0..1);
        drop((kept, changed));
        site.until_empty();
    });
}

#[test]
fn what_cannot_leave_is_named() {
    struct Plain;
    impl Data for Plain {
        fn heap_bytes(&self) -> usize {
            3 * BLOCK
        }
    }
    struct Refuses;
    fn refuses() -> Value {
        let encode = |_: &Refuses, _: &mut dyn std::io::Write| Err(CodecError::data("I stay"));
        Value::with_codec(Refuses, BLOCK, Codec::new(encode, |_| Ok(Refuses)))
    }
    struct Panics;
    fn panics() -> Value {
        let encode = |_: &Panics, _: &mut dyn std::io::Write| panic!("on purpose: I stay, too");
        Value::with_codec(Panics, BLOCK, Codec::new(encode, |_| Ok(Panics)))
    }
    watched(|| {
        let site = site(2, NOTHING);
        let graph = graph! {
            "plain" => (|| Plain,),
            "sized" => (|| Value::with_bytes(7_u16, 2 * BLOCK),),
            "refuses" => (refuses,),
            "panics" => (panics,),
            "block" => (|| block(1),),
        };
        let keys = ["plain", "sized", "refuses", "panics", "block"];
        let refs = site.persist(graph, keys).unwrap();
        until(|| {
            let stats = site.stats_blocking().unwrap();
            stats.staying.len() == 4 && stats.spilled_values == 1
        });
        let stats = site.stats_blocking().unwrap();
        let names: Vec<(&Key, u64)> =
            stats.staying.iter().map(|one| (&one.key, one.bytes / BLOCK as u64)).collect();
        let keys = keys.map(Key::from);
        assert_eq!(names[..2], [(&keys[0], 3), (&keys[1], 2)]);
        assert_eq!(names[2..], [(&keys[3], 1), (&keys[2], 1)]);
        assert!(stats.staying[0].type_name.ends_with("Plain"), "{:?}", stats.staying[0]);
        assert_eq!(stats.staying[1].type_name, "u16");
        assert!(stats.staying[3].type_name.ends_with("Refuses"), "{:?}", stats.staying[3]);
        assert_eq!(stats.failed_writes, 2);
        assert!(site.gather_blocking(&refs).unwrap()[1].is::<u16>());
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn the_statistics_tell_the_truth() {
    watched(|| {
        let site = site(1, NOTHING);
        let refs = site.spill_blocks(0..4);
        let small = site.put("small", 7_i64);
        let stats = site.stats_blocking().unwrap();
        let bytes = Value::new(block(0)).bytes() as u64;
        assert_eq!(stats.memory_limit, Some(NOTHING));
        assert_eq!((stats.holdings.values, stats.holdings.bytes), (5, 8));
        assert_eq!((stats.spilled_values, stats.spilled_bytes), (4, 4 * bytes));
        assert_eq!(stats.disk.files, 4);
        let on_disk: u64 = site.files().iter().map(|file| file.metadata().unwrap().len()).sum();
        assert_eq!((stats.disk.bytes, stats.disk.written_bytes), (on_disk, on_disk));
        assert_eq!((stats.disk.written_values, stats.disk.read_values), (4, 0));
        // Pinned by the test, the value stays, and is counted where it is.
        let pinned = site.gather_blocking(&refs[1..2]).unwrap();
        assert!(!refs[1].is_spilled() && refs[0].is_spilled());
        assert!(refs[1].value().is_some() && refs[0].value().is_none());
        let stats = site.stats_blocking().unwrap();
        assert_eq!((stats.holdings.values, stats.holdings.bytes), (5, bytes + 8));
        assert_eq!((stats.spilled_values, stats.spilled_bytes), (3, 3 * bytes));
        // It may have left again before it was there for the test.
        assert!(stats.disk.read_values >= 1);
        assert_eq!(stats.disk.read_bytes, stats.disk.read_values * on_disk / 4);
        assert_eq!(stats.disk.files, 4, "a value that came back keeps its file");
        drop(refs);
        until(|| site.stats_blocking().unwrap().disk.files == 0);
        drop((pinned, small));
        site.until_empty();
    });
}

#[test]
fn nothing_is_left_when_the_cluster_goes_first() {
    watched(|| {
        let site = site(2, NOTHING);
        let refs = site.spill_blocks(0..8);
        let pinned = site.gather_blocking(&refs[..1]).unwrap();
        assert_eq!(sessions(site.directory.path()).len(), 1);
        let crate::site::Site { cluster, directory } = site;
        let client = cluster.client().clone();
        drop(cluster);
        assert_eq!(sessions(directory.path()), Vec::<std::path::PathBuf>::new());
        // What is in memory stays, what was on disk is gone, and says so.
        assert!(refs[0].value().unwrap().same_data(&pinned[0]));
        assert!(client.stats_blocking().unwrap_err().is_closed());
        drop(refs);
    });
}

#[test]
fn without_a_limit_nothing_moves() {
    watched(|| {
        let site = site_with(2, 0, |builder| builder.memory_limit("none"));
        let refs = site.persist_blocks(0..64);
        site.check_blocks(&refs, 0..64);
        let stats = site.stats_blocking().unwrap();
        assert_eq!((stats.memory_limit, stats.disk.written_bytes), (None, 0));
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_shape_of_results_is_kept_when_they_come_back() {
    watched(|| {
        let site = site(1, NOTHING);
        let (graph, _) = blocks(0..3);
        let key = |number: u64| Outputs::from(Key::from(("block", number)));
        let outputs =
            Outputs::List(vec![key(2), Outputs::List(vec![key(0), key(2)]), Outputs::List(vec![])]);
        let results = site.get_blocking(graph, outputs).unwrap();
        let Results::List(outer) = results else { panic!("a list was wanted") };
        let first = |results: &Results| results.get::<Vec<u8>>().map(|data| data[0]);
        assert_eq!(first(&outer[0]), Some(2));
        let Results::List(inner) = &outer[1] else { panic!("a list was wanted") };
        assert_eq!(inner.iter().map(first).collect::<Vec<_>>(), [Some(0), Some(2)]);
        drop(outer);
        site.until_empty();
    });
}
