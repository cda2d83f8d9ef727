//! What hooks see of values that move: the `spill` hook, and refs whose value is on disk.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use mobula::{CallbackBuilder, Key, Outputs, Plan, Value};

use crate::gate::gate;
use crate::site::{NOTHING, block, blocks, site, sum_of, used_on_both_sides};
use crate::watchdog::{until, watched};

#[test]
fn the_spill_hook_is_told_key_and_bytes() {
    watched(|| {
        let site = site(1, NOTHING);
        let (sender, told) = channel();
        let callback =
            CallbackBuilder::new().spill(move |key, bytes| Ok(sender.send((key.clone(), bytes))?));
        let guard = site.register(callback);
        let mut refs = site.persist_blocks(0..4);
        refs.push(site.put("put", block(4)));
        let bytes = Value::new(block(0)).bytes() as u64;
        let keys: BTreeMap<Key, u64> = told.iter().take(5).collect();
        let expected = (0..4_u64).map(|number| Key::from(("block", number)));
        let expected = expected.chain([Key::from("put")]).map(|key| (key, bytes)).collect();
        assert_eq!(keys, expected);
        // A value that comes back and leaves again is told again.
        site.check_blocks(&refs[4..], 4..5);
        until(|| refs[4].is_spilled());
        assert_eq!(told.recv().unwrap(), (Key::from("put"), bytes));
        drop(guard);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn hooks_see_refs_whose_values_are_on_disk() {
    watched(|| {
        let site = site(1, NOTHING);
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let graph = used_on_both_sides(gate);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::new(Mutex::new(None));
        let callback = CallbackBuilder::new()
            .postsubmit({
                let kept = Arc::clone(&kept);
                move |_, key, _, object_ref| {
                    if *key == Key::from("a") {
                        // It is not made yet.
                        assert!(object_ref.value().is_none() && !object_ref.is_spilled());
                        *kept.lock().unwrap() = Some(object_ref.clone());
                    }
                    Ok(())
                }
            })
            .pretask({
                let seen = Arc::clone(&seen);
                move |key, refs| {
                    // What a task takes is in memory before its hooks are called.
                    for (_, one) in refs.iter() {
                        assert!(one.value().is_some() && !one.is_spilled());
                    }
                    seen.lock().unwrap().push(key.clone());
                    Ok(None)
                }
            });
        let guard = site.register(callback);
        let handle = site.run(Plan::new(graph, "z").unwrap());
        at_gate.arrivals(1);
        until(|| site.stats_blocking().unwrap().spilled_values == 1);
        let object_ref = kept.lock().unwrap().take().unwrap();
        assert!(object_ref.is_spilled() && object_ref.value().is_none());
        // Asking changes nothing; gathering brings it back.
        assert!(object_ref.is_spilled());
        let values = site.gather_blocking(std::slice::from_ref(&object_ref)).unwrap();
        assert!(values[0].same_data(&object_ref.value().unwrap()));
        drop((values, object_ref));
        opener.open();
        assert_eq!(handle.wait().unwrap().get::<u64>(), Some(&sum_of(5)));
        assert_eq!(*seen.lock().unwrap(), ["a", "sum", "gate", "z"].map(Key::from));
        drop(guard);
        site.until_empty();
    });
}

#[test]
fn results_reach_the_finish_hook_from_disk() {
    watched(|| {
        for workers in [1, 2] {
            let site = site(workers, NOTHING);
            let (sender, finished) = channel();
            let callback = CallbackBuilder::new().finish(move |results| {
                let first = |value: &&Value| value.downcast_ref::<Vec<u8>>().map(|data| data[0]);
                Ok(sender.send(results.values().iter().filter_map(first).collect::<Vec<_>>())?)
            });
            let (graph, keys) = blocks(0..16);
            let results = site.with_callbacks([callback]).get_blocking(graph, Outputs::from(keys));
            assert_eq!(results.unwrap().into_list().len(), 16);
            assert_eq!(finished.recv().unwrap(), (0..16).collect::<Vec<u8>>());
            site.until_empty();
        }
    });
}

#[test]
fn a_spill_hook_that_fails_harms_no_value() {
    watched(|| {
        let site = site(1, NOTHING);
        let guard = site.register(CallbackBuilder::new().spill(|_, _| Err("on purpose".into())));
        let refs = site.spill_blocks(0..4);
        drop(guard);
        site.check_blocks(&refs, 0..4);
        drop(refs);
        site.until_empty();
    });
}
