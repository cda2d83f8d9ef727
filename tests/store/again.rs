//! Files that cannot be read: the value is made again, or the error says which value is lost.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mobula::value::CodecError;
use mobula::{
    CallbackBuilder, Codec, Delayed, Key, ObjectRef, Outputs, Plan, Value, delayed, graph,
};

use crate::gate::gate;
use crate::site::{
    BLOCK, NOTHING, Site, block, blocks, site, sum, sum_of, total, used_on_both_sides,
};
use crate::watchdog::{until, watched};

const DAMAGES: [fn(&Path); 3] = [cut, flip, delete];

/// Leaves the first half of a file.
fn cut(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

/// Changes one bit in the middle of a file.
fn flip(path: &Path) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.seek(SeekFrom::Start(middle)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(middle)).unwrap();
    file.write_all(&[byte[0] ^ 4]).unwrap();
}

fn delete(path: &Path) {
    fs::remove_file(path).unwrap();
}

impl Site {
    pub(crate) fn damage(&self, count: usize, damage: fn(&Path)) {
        // A value that was made again has two for a moment.
        until(|| self.files().len() == count);
        for file in self.files() {
            damage(&file);
        }
    }
}

#[test]
fn persisted_values_are_made_again_after_their_run() {
    watched(|| {
        for damage in DAMAGES {
            for workers in [1, 2] {
                let site = site(workers, NOTHING);
                let refs = site.spill_blocks(0..6);
                site.damage(6, damage);
                site.check_blocks(&refs, 0..6);
                // They leave again, to new files, and come back from there.
                until(|| refs.iter().all(ObjectRef::is_spilled));
                site.check_blocks(&refs, 0..6);
                let stats = site.stats_blocking().unwrap();
                assert_eq!((stats.recomputed, stats.lost), (6, 0));
                assert_eq!((stats.holdings.values, stats.disk.files), (6, 6));
                drop(refs);
                site.until_empty();
            }
        }
    });
}

#[test]
fn inputs_are_made_again_while_their_run_goes_on() {
    watched(|| {
        for damage in DAMAGES {
            for workers in [1, 2] {
                let site = site(workers, NOTHING);
                let (gate, opener) = gate();
                let at_gate = gate.clone();
                // Each block is made of another one, which is gone by then and is made again, too.
                let same = |block: &Vec<u8>| block.clone();
                let all: Vec<Delayed<Vec<u8>>> =
                    (0..8).map(|number| delayed(same).call(delayed(block).call(number))).collect();
                let first: Vec<Delayed<u64>> =
                    all.iter().map(|block| delayed(sum).call(block)).collect();
                let passed = delayed(move |_: Vec<u64>| gate.pass()).call(first);
                let both = |block: &Vec<u8>, (): ()| sum(block);
                let second: Vec<Delayed<u64>> =
                    all.iter().map(|block| delayed(both).call((block, &passed))).collect();
                let handle = site.run(delayed(total).call(second).plan().unwrap());
                at_gate.arrivals(1);
                until(|| site.stats_blocking().unwrap().spilled_values == 8);
                site.damage(8, damage);
                opener.open();
                let answer: u64 = handle.wait().unwrap().into_data().unwrap();
                assert_eq!(answer, (0..8).map(sum_of).sum::<u64>());
                let stats = site.stats_blocking().unwrap();
                assert_eq!((stats.recomputed, stats.lost), (8, 0));
                site.until_empty();
            }
        }
    });
}

#[test]
fn results_are_made_again_before_they_are_gathered() {
    watched(|| {
        let site = site(1, NOTHING);
        let (graph, keys) = blocks(0..5);
        let plan = Plan::new(graph, Outputs::from(keys)).unwrap();
        let handle = site.run(plan);
        until(|| site.stats_blocking().unwrap().spilled_values == 5);
        site.damage(5, delete);
        for (result, number) in handle.wait().unwrap().into_list().into_iter().zip(0..) {
            assert!(result.into_data::<Vec<u8>>().unwrap() == block(number));
        }
        assert_eq!(site.stats_blocking().unwrap().recomputed, 5);
        site.until_empty();
    });
}

#[test]
fn data_that_nobody_makes_is_lost_with_its_file() {
    watched(|| {
        for damage in DAMAGES {
            let site = site(1, NOTHING);
            let refs = [site.put("precious", block(1)), site.put("other", block(2))];
            until(|| refs.iter().all(ObjectRef::is_spilled));
            site.damage(2, damage);
            // The first one that asks and every later one are told the same.
            for _ in 0..2 {
                let error = site.gather_blocking(&refs[..1]).unwrap_err();
                assert!(error.is_lost() && !error.is_task_error(), "{error}");
                assert_eq!(error.key(), Some(&Key::from("precious")));
                let text = error.to_string();
                assert!(text.contains("precious") && text.contains("lost"), "{text}");
                assert!(!text.contains("never made"), "{text}");
            }
            assert!(refs[0].value().is_none());
            assert!(!refs[0].is_spilled(), "it is nowhere");
            let after = delayed(sum).call(Delayed::<Vec<u8>>::from_ref(refs[1].clone()));
            let error = site.compute_blocking(&after).unwrap_err();
            assert!(error.to_string().contains("other"), "{error}");
            let stats = site.stats_blocking().unwrap();
            assert_eq!((stats.recomputed, stats.lost, stats.spilled_values), (0, 2, 0));
            assert_eq!((stats.spilled_bytes, stats.holdings.bytes), (0, 0));
            drop((refs, after));
            site.until_empty();
        }
    });
}

/// A function that makes a block the first time and fails from then on.
fn once() -> impl Fn() -> Result<Vec<u8>, &'static str> + Send + Sync {
    let calls = AtomicU64::new(0);
    move || match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(block(1)),
        _ => Err("once only"),
    }
}

#[test]
fn what_cannot_be_made_again_fails_with_the_failure_of_its_task() {
    watched(|| {
        let site = site(1, NOTHING);
        let refs = site.persist(graph! { "fickle" => (once(),) }, ["fickle"]).unwrap();
        until(|| refs[0].is_spilled());
        site.damage(1, flip);
        for _ in 0..2 {
            let error = site.gather_blocking(&refs).unwrap_err();
            assert!(error.is_task_error(), "{error}");
            assert_eq!(error.as_failure().unwrap().key, Some(Key::from("fickle")));
            assert!(error.to_string().contains("once only"), "{error}");
        }
        let stats = site.stats_blocking().unwrap();
        assert_eq!((stats.recomputed, stats.lost), (1, 1));
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_run_whose_input_cannot_be_made_again_fails_with_that() {
    watched(|| {
        let site = site(1, NOTHING);
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let pass = move |_: u64| gate.pass();
        let both = |block: &Vec<u8>, (): ()| sum(block);
        let graph = graph! {
            "fickle" => (once(),),
            "first" => (sum, "fickle"),
            "gate" => (pass, "first"),
            "last" => (both, "fickle", "gate"),
        };
        let handle = site.run(Plan::new(graph, "last").unwrap());
        at_gate.arrivals(1);
        until(|| site.stats_blocking().unwrap().spilled_values == 1);
        site.damage(1, delete);
        opener.open();
        let error = handle.wait().unwrap_err();
        assert!(error.is_task_error() && error.to_string().contains("once only"), "{error}");
        assert_eq!(error.key(), Some(&Key::from("fickle")));
        site.until_empty();
    });
}

#[test]
fn a_value_that_is_made_again_with_another_size_is_counted_right() {
    watched(|| {
        let site = site(1, NOTHING);
        let calls = AtomicU64::new(0);
        let grows = move || {
            let calls = calls.fetch_add(1, Ordering::Relaxed);
            vec![1_u8; BLOCK << calls]
        };
        let refs = site.persist(graph! { "grows" => (grows,) }, ["grows"]).unwrap();
        until(|| refs[0].is_spilled());
        for round in 1..3 {
            site.damage(1, cut);
            let values = site.gather_blocking(&refs).unwrap();
            assert_eq!(values[0].downcast_ref::<Vec<u8>>().unwrap().len(), BLOCK << round);
            // What made it again may be on its way out.
            until(|| site.stats_blocking().unwrap().spilled_values == 0);
            assert_eq!(site.stats_blocking().unwrap().spilled_bytes, 0);
            let held = || site.stats_blocking().unwrap().holdings.bytes;
            until(|| held() == values[0].bytes() as u64);
            drop(values);
            until(|| refs[0].is_spilled());
            until(|| held() == 0);
        }
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_codec_that_cannot_read_what_it_wrote_costs_time_and_no_value() {
    struct Careless(u64);
    fn careless(number: u64) -> Value {
        let codec =
            Codec::new(|_: &Careless, _| Ok(()), |_| Err(CodecError::data("nothing was written")));
        Value::with_codec(Careless(number), BLOCK, codec)
    }
    watched(|| {
        let site = site(1, NOTHING);
        let refs = site.persist(graph! { "careless" => (careless, 7_u64) }, ["careless"]).unwrap();
        for round in 0..3 {
            until(|| refs[0].is_spilled());
            // It may leave, and be lost, once more before anybody has it.
            assert!(site.stats_blocking().unwrap().recomputed >= round);
            let values = site.gather_blocking(&refs).unwrap();
            assert_eq!(values[0].downcast_ref::<Careless>().unwrap().0, 7);
        }
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_value_is_made_again_although_the_task_that_waits_for_it_has_taken_the_room() {
    watched(|| {
        let site = site(1, 4 * BLOCK as u64);
        // Half of the room is taken for good, so that there is none for two more blocks.
        let stays = || Value::with_bytes((), BLOCK);
        let graph = graph! { "s" => (stays,), "t" => (stays,) };
        let staying = site.persist(graph, ["s", "t"]).unwrap();
        site.gather_blocking(&staying).unwrap();
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let pass = move |_: u64| gate.pass();
        let change = |block: &Vec<u8>, (): ()| block.iter().map(|byte| byte + 1).collect();
        let change = move |block: &Vec<u8>, passed: ()| -> Vec<u8> { change(block, passed) };
        let graph = graph! {
            "a" => (block, 5_u64),
            "sum" => (sum, "a"),
            "gate" => (pass, "sum"),
            "b" => (change, "a", "gate"),
        };
        let refs = site.persist(graph, ["a", "b"]).unwrap();
        at_gate.arrivals(1);
        until(|| site.stats_blocking().unwrap().spilled_values == 1);
        site.damage(1, delete);
        opener.open();
        let values = site.gather_blocking(&refs).unwrap();
        assert!(*values[0].downcast_ref::<Vec<u8>>().unwrap() == block(5));
        assert!(*values[1].downcast_ref::<Vec<u8>>().unwrap() == block(6));
        assert_eq!(site.stats_blocking().unwrap().recomputed, 1);
        drop((values, refs, staying));
        site.until_empty();
    });
}

#[test]
fn a_task_gathers_what_is_made_again_on_the_only_worker() {
    watched(|| {
        let site = site(1, NOTHING);
        let refs = Arc::new(site.spill_blocks(0..3));
        let client = site.client().clone();
        let inner = Arc::clone(&refs);
        site.damage(3, delete);
        let gather = move || -> Result<u64, mobula::Error> {
            let values = client.gather_blocking(&inner)?;
            Ok(values.iter().filter_map(|value| value.downcast_ref()).map(sum).sum())
        };
        let answer = site.compute_blocking(&delayed(gather).call(())).unwrap();
        assert_eq!(answer, (0..3).map(sum_of).sum::<u64>());
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_hook_gathers_what_is_made_again_on_the_only_worker() {
    watched(|| {
        let site = site(1, NOTHING);
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let graph = used_on_both_sides(gate);
        let kept = Arc::new(Mutex::new(None));
        let callback = CallbackBuilder::new()
            .postsubmit({
                let kept = Arc::clone(&kept);
                move |_, key, _, object_ref| {
                    if *key == Key::from("a") {
                        *kept.lock().unwrap() = Some(object_ref.clone());
                    }
                    Ok(())
                }
            })
            .posttask({
                let (kept, client) = (Arc::clone(&kept), site.client().clone());
                move |key, _, _| {
                    if *key == Key::from("gate") {
                        let object_ref = kept.lock().unwrap().take().ok_or("it was kept")?;
                        let values = client.gather_blocking(&[object_ref])?;
                        let data = values[0].downcast_ref::<Vec<u8>>().ok_or("it is a block")?;
                        assert!(*data == block(5));
                    }
                    Ok(())
                }
            });
        let guard = site.register(callback);
        let handle = site.run(Plan::new(graph, "z").unwrap());
        at_gate.arrivals(1);
        until(|| site.stats_blocking().unwrap().spilled_values == 1);
        site.damage(1, delete);
        opener.open();
        assert_eq!(handle.wait().unwrap().get::<u64>(), Some(&sum_of(5)));
        drop(guard);
        site.until_empty();
    });
}

#[test]
fn a_value_may_be_lost_again_while_it_is_made_again() {
    watched(|| {
        let site = site(1, NOTHING);
        let refs = site.spill_blocks(3..4);
        // While a hook of another run blocks the registry, nobody takes the value that was made again,
        // so that it moves to disk once more.
        let (gate, opener) = gate();
        let waits = gate.clone();
        let callback = CallbackBuilder::new().graph_start(move |_| {
            waits.pass();
            Ok(())
        });
        let plan = Plan::new(graph! { "x" => (sum_of, 1_u64) }, "x").unwrap();
        let handle = site.run_with(plan, vec![Arc::new(callback)]);
        gate.arrivals(1);
        site.damage(1, delete);
        std::thread::scope(|scope| {
            let gather = scope.spawn(|| site.check_blocks(&refs, 3..4));
            until(|| site.stats_blocking().unwrap().spilled_values == 2);
            site.damage(1, delete);
            opener.open();
            gather.join().unwrap();
        });
        handle.wait().unwrap();
        assert_eq!(site.stats_blocking().unwrap().recomputed, 2);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn what_a_hook_answered_is_not_made_again_by_the_task() {
    watched(|| {
        let site = site(1, NOTHING);
        let same = |block: &Vec<u8>| block.clone();
        let graph = graph! { "a" => (block, 1_u64), "b" => (same, "a") };
        let callback = CallbackBuilder::new()
            .presubmit(|_, key, _| Ok((*key == Key::from("a")).then(|| Value::new(block(42)))));
        let guard = site.register(callback);
        let refs = site.persist(graph, ["a", "b"]).unwrap();
        until(|| refs.iter().all(ObjectRef::is_spilled));
        drop(guard);
        site.check_blocks(&refs[..1], 42..43);
        until(|| refs.iter().all(ObjectRef::is_spilled));
        site.damage(2, delete);
        for (at, key) in ["a", "b"].into_iter().enumerate() {
            let error = site.gather_blocking(&refs[at..=at]).unwrap_err();
            assert!(error.is_lost() && error.to_string().contains(key), "{error}");
        }
        drop(refs);
        site.until_empty();
    });
}
