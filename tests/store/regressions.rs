//! What a reader found: values that were counted twice, room that was never given back, failures that took
//! too much with them.

use std::time::Duration;

use mobula::{Delayed, ObjectRef, OnError, delayed, graph, keys};

use crate::gate::gate;
use crate::site::{BLOCK, NOTHING, block, site, sum, sum_of, total};
use crate::watchdog::{until, watched};

#[test]
fn persisted_data_that_a_run_uses_twice_can_leave_meanwhile() {
    watched(|| {
        const BLOCKS: u64 = 32;
        let site = site(2, 8 * BLOCK as u64);
        let refs = site.persist_blocks(0..BLOCKS);
        site.check_blocks(&refs, 0..BLOCKS);
        // Each block is used at the start, and once more at the end.
        let fetched: Vec<Delayed<Vec<u8>>> =
            refs.iter().map(|one| Delayed::from_ref(one.clone())).collect();
        let first: Vec<Delayed<u64>> = fetched.iter().map(|one| delayed(sum).call(one)).collect();
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let passed = delayed(move |_: Vec<u64>| gate.pass()).call(first);
        let both = |block: &Vec<u8>, (): ()| sum(block);
        let second: Vec<Delayed<u64>> =
            fetched.iter().map(|one| delayed(both).call((one, &passed))).collect();
        let handle = site.run(delayed(total).call(second).plan().unwrap());
        at_gate.arrivals(1);
        // All blocks are inputs of tasks that have not run, and most of them have left.
        until(|| site.stats_blocking().unwrap().spilled_values >= BLOCKS - 8);
        opener.open();
        let result: u64 = handle.wait().unwrap().into_data().unwrap();
        assert_eq!(result, (0..BLOCKS).map(sum_of).sum::<u64>());
        drop((fetched, passed));
        // What is counted is counted once: the refs alone hold values now.
        until(|| site.stats_blocking().unwrap().holdings.values == BLOCKS);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_call_that_is_over_its_time_holds_up_no_other_run() {
    watched(|| {
        let site = site(2, 4 * BLOCK as u64);
        // It is known how much blocks take, and that is more than there is.
        let large = |_: i64| vec![1_u8; 8 * BLOCK];
        let known = delayed(large).call(1).with_key(("large", 1));
        assert_eq!(site.compute_blocking(&known).unwrap().len(), 8 * BLOCK);
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let stuck = move |_: i64| {
            gate.pass();
            vec![1_u8; 8 * BLOCK]
        };
        let late = delayed(stuck).call(2).with_key(("large", 2));
        let (graph, outputs) = late.graph();
        let request = site.request().time_limit(Duration::from_millis(50));
        let error = request.get_blocking(graph, outputs).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        at_gate.arrivals(1);
        // It still sits in there, and had room for it.
        let next = delayed(large).call(3).with_key(("large", 3));
        assert_eq!(site.compute_blocking(&next).unwrap().len(), 8 * BLOCK);
        opener.open();
        site.until_empty();
    });
}

#[test]
fn a_lost_input_is_a_failure_like_others() {
    watched(|| {
        let site = site(1, NOTHING);
        let precious = site.put("precious", block(1));
        until(|| precious.is_spilled());
        site.damage(1, |path| std::fs::remove_file(path).expect("it is there"));
        let input = Delayed::<Vec<u8>>::from_ref(precious);
        let (lost, other) = (delayed(sum).call(&input), delayed(sum).call(delayed(block).call(2)));
        let (lost, other) = (lost.with_key("lost"), other.with_key("other"));
        let mut graph = lost.graph().0;
        graph.insert("other", (|| sum(&block(2)),));
        let request = site.request().on_error(OnError::Skip);
        let results = request.get_blocking(graph, keys!["lost", "other"]).unwrap();
        assert_eq!(results.missing().len(), 1);
        assert_eq!(results.into_list()[1].get::<u64>(), Some(&sum_of(2)));
        drop((input, lost, other));
        site.until_empty();
    });
}

#[test]
fn small_values_are_counted_by_themselves() {
    watched(|| {
        let site = site(1, NOTHING);
        let refs: Vec<ObjectRef> =
            (0..10_u64).map(|number| site.put(("small", number), vec![0_u8; 1000])).collect();
        let large = site.put("large", block(1));
        until(|| large.is_spilled());
        let stats = site.stats_blocking().unwrap();
        assert_eq!((stats.small_values, stats.small_bytes), (10, 10 * 1024));
        assert_eq!((stats.holdings.values, stats.spilled_values), (11, 1));
        drop((refs, large));
        site.until_empty();
    });
}

#[test]
fn a_value_that_is_made_again_is_tried_as_often_as_its_run_allows() {
    watched(|| {
        let site = site(1, NOTHING);
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let flaky = move |number: i64| {
            // Every second call fails, so the first attempt to make it again does.
            let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if call.is_multiple_of(2) {
                Err("on purpose")
            } else {
                Ok(block(number.unsigned_abs()))
            }
        };
        let refs =
            site.request().retries(3).persist(graph! { "flaky" => (flaky, 7) }, ["flaky"]).unwrap();
        until(|| refs[0].is_spilled());
        site.damage(1, |path| std::fs::remove_file(path).expect("it is there"));
        let values = site.gather_blocking(&refs).unwrap();
        assert!(values[0].downcast_ref::<Vec<u8>>() == Some(&block(7)));
        drop((refs, values));
        site.until_empty();
    });
}
