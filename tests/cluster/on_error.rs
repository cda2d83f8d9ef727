//! Runs that go on when a task fails for good: what is skipped, what is answered, what hooks hear.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::{
    CallbackBuilder, Graph, Key, Missing, ObjectError, OnError, Request, delayed, graph, keys,
};

use crate::bomb::{ON_PURPOSE, explode, quiet};
use crate::functions::{add, cluster, data, held, inc};
use crate::watchdog::watched;

fn fails(x: i64) -> Result<i64, String> {
    Err(format!("no {x}"))
}

fn skipping(client: &mobula::Client) -> Request {
    client.request().on_error(OnError::Skip)
}

#[test]
fn in_a_diamond_what_needs_the_failure_is_skipped_and_the_rest_is_computed() {
    watched(|| {
        for workers in [1, 4] {
            let cluster = cluster(workers);
            let graph = graph! {
                "a" => (inc, 1), "b" => (fails, "a"), "c" => (inc, "a"), "d" => (add, "b", "c"),
                "e" => (inc, "d"), "f" => (inc, "c"),
            };
            let results =
                skipping(&cluster).get_blocking(graph, keys!["e", ["c", "f"], "b"]).unwrap();
            let missing: Vec<String> = results.missing().iter().map(ToString::to_string).collect();
            let failed = "task 'b' failed: no 2";
            assert_eq!(missing, [format!("task 'e' was skipped: {failed}"), failed.to_owned()]);
            let causes = results.missing().into_iter().map(|missing| missing.failure.key.clone());
            assert!(causes.eq([Some(Key::from("b")), Some(Key::from("b"))]));
            let skipped = results.missing().into_iter().map(Missing::is_skipped);
            assert!(skipped.eq([true, false]));
            let [e, others, _] = <[_; 3]>::try_from(results.into_list()).unwrap();
            assert_eq!(e.get::<i64>(), None);
            assert_eq!(data::<Vec<i64>>(others), [3, 4]);
            let error = e.into_data::<i64>().unwrap_err();
            let told = format!("there is no result: task 'e' was skipped: {failed}");
            assert_eq!(error.to_string(), told);
            assert!(mobula::Error::from(error).is_task_error());
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn a_panic_a_misfit_and_a_dead_worker_are_skipped_too() {
    watched(|| {
        quiet();
        let cluster = cluster(2);
        let panics = |_: i64| -> i64 { panic!("{ON_PURPOSE}") };
        let graph = graph! {
            "text" => (|| "one".to_owned(),), "misfit" => (inc, "text"), "panics" => (panics, 1),
            "deadly" => (|| -> i64 { explode() },), "later" => (|| async { Err::<i64, _>("late") },),
            "good" => (inc, 1), "none" => (add, "misfit", "panics"),
        };
        let wanted = ["misfit", "panics", "deadly", "later", "none", "good"];
        let results = skipping(&cluster).get_blocking(graph, wanted).unwrap();
        assert_eq!(results.missing().len(), 5);
        let told: Vec<String> = results.missing().iter().map(ToString::to_string).collect();
        assert_eq!(told[1], "task 'panics' panicked: on purpose");
        assert_eq!(told[2], "the worker of task 'deadly' was lost (after 3 attempts)");
        assert_eq!(told[3], "task 'later' failed: late");
        assert_eq!(results.into_list()[5].get::<i64>(), Some(&2));
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_long_chain_and_a_wide_layer_are_skipped() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::new();
        let first = graph.insert("first", (fails, 0));
        let mut last = first;
        for _ in 0..50_000 {
            last = graph.add((inc, last));
        }
        let mut wanted: Vec<_> = (0..20_000_i64).map(|x| graph.add((add, first, x))).collect();
        wanted.push(last);
        let good: Vec<_> = (0..1000_i64).map(|x| graph.add((inc, x))).collect();
        wanted.extend(good);
        let results = skipping(&cluster).get_blocking(graph, wanted).unwrap();
        assert_eq!(results.missing().len(), 20_001);
        let values = results.values();
        let good = values.into_iter().filter_map(|value| value.downcast_ref::<i64>().copied());
        assert!(good.eq(1..=1000));
        drop(results);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn collecting_runs_everything_and_fails_with_all_failures() {
    watched(|| {
        for hooked in [false, true] {
            let cluster = cluster(1);
            let _log = hooked.then(|| cluster.register(mobula::LogCallback::new()));
            let after = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&after);
            let count = move |x: i64| {
                counted.fetch_add(1, Ordering::Relaxed);
                x
            };
            let graph = || {
                graph! {
                    "a" => (fails, 1), "b" => (fails, 2), "ab" => (add, "a", "b"),
                    "good" => (count.clone(), 3), "better" => (count.clone(), "good"),
                }
            };
            let request = cluster.request().on_error(OnError::Collect);
            let error = request.get_blocking(graph(), ["ab", "better"]).unwrap_err();
            assert_eq!(after.load(Ordering::Relaxed), 2);
            assert!(error.is_task_error() && error.failures().len() == 2);
            let mut told: Vec<String> = error.failures().iter().map(ToString::to_string).collect();
            let whole = format!("2 tasks failed: {}; {}", told[0], told[1]);
            assert_eq!(error.to_string(), whole);
            told.sort();
            assert_eq!(told, ["task 'a' failed: no 1", "task 'b' failed: no 2"]);
            let one = request.get_blocking(graph(), "a").unwrap_err();
            assert_eq!((one.to_string(), one.failures().len()), (told[0].clone(), 1));
            let results = request.get_blocking(graph(), "better").unwrap();
            assert_eq!(data::<i64>(results), 3);
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn a_failure_is_final_only_after_the_retries() {
    watched(|| {
        let cluster = cluster(2);
        let calls = AtomicUsize::new(0);
        let flaky = move || match calls.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err("not yet"),
            _ => Ok(7_i64),
        };
        let graph = graph! { "x" => (flaky,), "y" => (fails, 1), "z" => (inc, "y") };
        let results = skipping(&cluster).retries(2).get_blocking(graph, ["x", "z"]).unwrap();
        assert_eq!(
            results.missing()[0].to_string(),
            "task 'z' was skipped: task 'y' failed: no 1 (after 3 attempts)"
        );
        assert_eq!(results.into_list()[0].get::<i64>(), Some(&7));
    });
}

#[test]
fn hooks_hear_of_each_failure_and_of_nothing_that_is_skipped() {
    watched(|| {
        for on_error in [OnError::Skip, OnError::Collect] {
            let cluster = cluster(2);
            let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
            let hear = |name: &'static str| {
                let heard = Arc::clone(&heard);
                move |detail: &str| heard.lock().unwrap().push(format!("{name} {detail}"))
            };
            let (submit, pre, post) = (hear("presubmit"), hear("pretask"), hear("posttask"));
            let (error, all, finish) =
                (hear("error"), hear("postsubmit_all"), hear("graph_finish"));
            let callback = CallbackBuilder::new()
                .presubmit(move |_, key, _| {
                    submit(&key.to_string());
                    Ok(None)
                })
                .pretask(move |key, _| {
                    pre(&key.to_string());
                    Ok(None)
                })
                .posttask(move |key, _, _| {
                    post(&key.to_string());
                    Ok(())
                })
                .error(move |key, _| {
                    error(&key.to_string());
                    Ok(())
                })
                .postsubmit_all(move |_, _| {
                    all("");
                    Ok(())
                })
                .graph_finish(move |_, _, errored| {
                    finish(&errored.to_string());
                    Ok(())
                });
            let graph = graph! {
                "a" => (fails, 1), "b" => (inc, "a"), "c" => (fails, 2), "d" => (add, "b", "c"),
                "e" => (inc, 1),
            };
            let request = cluster.request().on_error(on_error).callbacks([callback]);
            let answer = request.get_blocking(graph, ["d", "e"]);
            assert_eq!(answer.is_ok(), on_error == OnError::Skip);
            let mut heard = heard.lock().unwrap().clone();
            let last = heard.pop();
            let errored = if answer.is_ok() { "graph_finish false" } else { "graph_finish true" };
            assert_eq!(last.as_deref(), Some(errored));
            heard.sort();
            let mut expected = vec!["error a", "error c", "postsubmit_all ", "posttask e"];
            for key in ["a", "c", "e"] {
                expected.extend([format!("presubmit {key}"), format!("pretask {key}")].map(
                    |line| {
                        let line: &'static str = line.leak();
                        line
                    },
                ));
            }
            expected.sort_unstable();
            assert_eq!(heard, expected);
        }
    });
}

#[test]
fn a_hook_that_fails_ends_the_run_all_the_same() {
    watched(|| {
        let cluster = cluster(2);
        let callback = CallbackBuilder::new().pretask(|_, _| Err("no".into()));
        let request = skipping(&cluster).callbacks([callback]);
        assert!(request.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap_err().is_hook());
    });
}

#[test]
fn typed_values_and_objects_say_what_failed() {
    watched(|| {
        let cluster = cluster(2);
        let request = skipping(&cluster);
        let (bad, good) = (delayed(fails).call(1), delayed(inc).call(1));
        let sum = delayed(add).call((&bad, &good));
        let error = request.compute_blocking(&sum).unwrap_err();
        assert!(error.is_task_error());
        assert_eq!(error.key(), Some(bad.key()));
        assert!(request.compute_all_blocking((&good, &sum)).unwrap_err().is_task_error());
        assert_eq!(request.compute_blocking(&good).unwrap(), 2);
        let graph = graph! { "bad" => (fails, 1), "sum" => (add, "bad", 1), "good" => (inc, 1) };
        let refs = request.persist(graph, ["sum", "good"]).unwrap();
        let values = cluster.gather_blocking(&refs[1..]).unwrap();
        assert_eq!(values[0].downcast_ref::<i64>(), Some(&2));
        let error = cluster.gather_blocking(&refs).unwrap_err();
        let told = "object 'sum' was never made: task 'bad' failed: no 1";
        assert_eq!((error.to_string().as_str(), error.key()), (told, Some(&Key::from("sum"))));
        let failed = |key: &ObjectError| matches!(key, ObjectError::Failed { .. });
        assert!(!failed(&ObjectError::Cancelled { key: "x".into() }));
        drop((refs, values));
        assert_eq!(held(&cluster), 0);
    });
}
