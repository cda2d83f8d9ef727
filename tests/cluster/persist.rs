//! Values that outlive their run: persist, put, gather, and handles to them.

use std::collections::HashSet;

use futures::FutureExt;
use mobula::{CallbackBuilder, Delayed, Graph, Key, delayed, graph, wait_blocking};

use crate::functions::{add, cluster, data, held, inc};
use crate::gate::gate;
use crate::watchdog::watched;

#[test]
fn persisted_values_stay_as_long_as_their_refs() {
    watched(|| {
        let cluster = cluster(2);
        let graph = graph! { "x" => (inc, 1), "y" => (inc, "x"), "z" => (add, "x", "y") };
        let refs = cluster.persist(graph, ["z", "x"]).unwrap();
        let values = cluster.gather_blocking(&refs).unwrap();
        assert_eq!(values[0].downcast_ref::<i64>(), Some(&5));
        assert_eq!(values[1].downcast_ref::<i64>(), Some(&2));
        let stats = cluster.stats_blocking().unwrap();
        assert_eq!((stats.holdings.values, stats.holdings.bytes), (2, 16));
        assert_eq!(stats.objects, [Key::from("z"), Key::from("x")]);
        let copy = refs[0].clone();
        drop(refs);
        assert_eq!(cluster.stats_blocking().unwrap().objects, [Key::from("z")]);
        assert_eq!(copy.value().unwrap().downcast_ref::<i64>(), Some(&5));
        assert_eq!(held(&cluster), 1);
        drop(copy);
        assert_eq!(held(&cluster), 0);
        assert!(cluster.stats_blocking().unwrap().objects.is_empty());
    });
}

#[test]
fn refs_are_answered_before_their_values_are_there() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let wait = move |x: i64| {
            gate.pass();
            x
        };
        let refs = cluster.persist(graph! { "x" => (wait, 7) }, ["x"]).unwrap();
        assert!(refs[0].value().is_none());
        assert_eq!(refs[0].key(), &Key::from("x"));
        // A run that uses the value waits for it beside the only worker.
        let next = delayed(inc).call(Delayed::<i64>::from_ref(refs[0].clone()));
        let handle = cluster.run(next.plan().unwrap());
        opener.open();
        assert_eq!(data::<i64>(handle.wait().unwrap()), 8);
        assert_eq!(cluster.gather_blocking(&refs).unwrap()[0].downcast_ref::<i64>(), Some(&7));
    });
}

#[test]
fn data_is_put_and_used_by_runs() {
    watched(|| {
        let cluster = cluster(2);
        let items = cluster.put("items", vec![1_i64, 2, 3]);
        assert_eq!(items.value().unwrap().downcast_ref::<Vec<i64>>().unwrap().len(), 3);
        assert_eq!(cluster.stats_blocking().unwrap().holdings.bytes, 48);
        let first = delayed(|items: &[i64]| items[0]).call(Delayed::from_ref(items.clone()));
        let length = delayed(|items: &Vec<i64>| items.len()).call(Delayed::from_ref(items.clone()));
        assert_eq!(cluster.compute_all_blocking((&first, &length)).unwrap(), (1, 3));
        drop((items, first, length));
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_persisted_run_that_fails_tells_whoever_gathers() {
    watched(|| {
        let cluster = cluster(1);
        let fails = || Err::<i64, _>("no data");
        let graph = graph! { "x" => (fails,), "y" => (inc, "x"), "z" => 1 };
        let refs = cluster.persist(graph, ["y", "z"]).unwrap();
        let error = cluster.gather_blocking(&refs[..1]).unwrap_err();
        assert!(error.is_task_error());
        assert_eq!(error.as_failure().unwrap().key, Some(Key::from("x")));
        assert!(
            error.to_string().contains("'y'") && error.to_string().contains("no data"),
            "{error}"
        );
        assert!(refs[0].value().is_none());
        let after = delayed(inc).call(Delayed::<i64>::from_ref(refs[0].clone()));
        let error = cluster.compute_blocking(&after).unwrap_err();
        assert!(error.is_task_error() && error.to_string().contains("no data"), "{error}");
        drop(refs);
        drop(after);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_wrong_graph_is_told_at_once() {
    watched(|| {
        let cluster = cluster(1);
        let error = cluster.persist(graph! { "x" => (inc, "x") }, ["x"]).unwrap_err();
        assert!(error.as_graph_error().is_some());
        assert!(cluster.stats_blocking().unwrap().objects.is_empty());
    });
}

#[test]
fn literals_and_nothing_can_be_persisted() {
    watched(|| {
        let cluster = cluster(1);
        let refs = cluster.persist(graph! { "x" => 5_i64, "y" => "x" }, ["y"]).unwrap();
        assert_eq!(cluster.gather_blocking(&refs).unwrap()[0].downcast_ref::<i64>(), Some(&5));
        assert!(cluster.persist(Graph::new(), Vec::<Key>::new()).unwrap().is_empty());
        assert!(cluster.gather_blocking(&[]).unwrap().is_empty());
    });
}

#[test]
fn hooks_see_persisted_runs() {
    watched(|| {
        let cluster = cluster(1);
        let (sender, finished) = std::sync::mpsc::channel();
        let callback =
            CallbackBuilder::new().finish(move |results| Ok(sender.send(results.values().len())?));
        let _guard = cluster.register(callback);
        let refs =
            cluster.persist(graph! { "x" => (inc, 1), "y" => (inc, 2) }, ["x", "y"]).unwrap();
        assert_eq!(finished.recv().unwrap(), 2);
        assert_eq!(cluster.gather_blocking(&refs).unwrap().len(), 2);
        drop(refs);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn many_threads_gather_the_same_refs() {
    watched(|| {
        let cluster = cluster(2);
        let (gate, opener) = gate();
        let wait = move |x: i64| {
            gate.pass();
            x
        };
        let refs = cluster.persist(graph! { "x" => (wait, 7), "y" => (inc, "x") }, ["y"]).unwrap();
        std::thread::scope(|scope| {
            let gather =
                || cluster.gather_blocking(&refs).unwrap()[0].clone().take::<i64>().unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(gather)).collect();
            opener.open();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 8);
            }
        });
    });
}

#[test]
fn refs_are_equal_if_they_are_to_the_same_value() {
    watched(|| {
        let cluster = cluster(1);
        let (one, two) = (cluster.put("same", 1_i64), cluster.put("same", 1_i64));
        assert_eq!(one, one.clone());
        assert_ne!(one, two);
        #[expect(clippy::mutable_key_type, reason = "which value it is to never changes")]
        let distinct: HashSet<_> = [one.clone(), one, two].into_iter().collect();
        assert_eq!(distinct.len(), 2);
    });
}

#[test]
fn a_ref_is_waited_for_without_a_client() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let wait = move |x: i64| {
            gate.pass();
            x
        };
        let refs = cluster.persist(graph! { "x" => (wait, 1) }, ["x"]).unwrap();
        assert!(refs[0].made().now_or_never().is_none());
        drop(opener);
        let value = wait_blocking(refs[0].wait(), || None).unwrap().unwrap();
        assert_eq!(value.downcast_ref::<i64>(), Some(&1));
        assert!(refs[0].made().now_or_never().unwrap().is_ok());
    });
}
