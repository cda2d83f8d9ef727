//! What hooks are given: values behind refs, states between hooks, views of tasks and runs.

use std::sync::{Arc, Mutex};

use mobula::{CallbackBuilder, Key, ObjectRef, Value, delayed, graph};

use crate::functions::{add, cluster, data, held, inc, total};
use crate::watchdog::watched;

#[test]
fn the_values_of_dependencies_are_readable() {
    watched(|| {
        let cluster = cluster(2);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let [before, within] = [&seen, &seen].map(Arc::clone);
        let read = |object_ref: &ObjectRef| object_ref.value().and_then(|v| v.take::<i64>().ok());
        let callback = CallbackBuilder::new()
            .presubmit(move |_, key, deps| {
                for (dep, object_ref) in deps.iter() {
                    before.lock().unwrap().push((key.clone(), dep.clone(), read(&object_ref)));
                }
                Ok(None)
            })
            .pretask(move |key, deps| {
                for (dep, object_ref) in deps.iter() {
                    within.lock().unwrap().push((key.clone(), dep.clone(), read(&object_ref)));
                }
                assert!(deps.get(&"nobody".into()).is_none());
                Ok(None)
            });
        let graph = graph! { "x" => (inc, 1), "y" => (inc, "x"), "z" => (add, "x", "y") };
        cluster.with_callbacks([callback]).get_blocking(graph, "z").unwrap();
        let seen = seen.lock().unwrap();
        let of = |key: &str, dep: &str, x: i64| (Key::from(key), Key::from(dep), Some(x));
        let (of_y, of_z) = ([of("y", "x", 2)], [of("z", "x", 2), of("z", "y", 3)]);
        assert_eq!(*seen, [&of_y[..], &of_y, &of_z, &of_z].concat());
        drop(seen);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn each_input_is_given_once_however_many_there_are() {
    watched(|| {
        for inputs in [3_i64, 50_000] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let sees = Arc::clone(&seen);
            let callback = CallbackBuilder::new().pretask(move |key, deps| {
                if *key == Key::from("all") {
                    let named = deps.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
                    let plan = deps.task().plan();
                    let numbered = deps.by_task().map(|(task, _)| plan.key(task).clone());
                    assert!(numbered.eq(named.iter().cloned()));
                    sees.lock().unwrap().extend(named);
                }
                Ok(None)
            });
            let each: Vec<_> = (0..inputs).map(|x| delayed(inc).call(x).with_key(x)).collect();
            let twice: Vec<_> = each.iter().chain(&each).cloned().collect();
            let all = delayed(total).call(&twice).with_key("all");
            cluster(2).with_callbacks([callback]).compute_blocking(&all).unwrap();
            let expected: Vec<Key> = (0..inputs).map(Key::from).collect();
            assert_eq!(*seen.lock().unwrap(), expected);
        }
    });
}

#[test]
fn a_value_that_a_hook_keeps_survives_its_run() {
    watched(|| {
        let cluster = cluster(2);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeps = Arc::clone(&kept);
        let callback = CallbackBuilder::new().postsubmit(move |_, _, _, object_ref| {
            assert!(object_ref.value().is_none(), "the task has not run yet");
            keeps.lock().unwrap().push(object_ref.clone());
            Ok(())
        });
        let make = |x: i64| vec![x; 1000];
        let push = |mut items: Vec<i64>| {
            items.push(7);
            items
        };
        let graph = graph! { "x" => (make, 1), "y" => (push, "x"), "z" => (push, "y") };
        cluster.with_callbacks([callback]).get_blocking(graph, "z").unwrap();
        assert_eq!(held(&cluster), 3);
        let refs = std::mem::take(&mut *kept.lock().unwrap());
        let lengths =
            refs.iter().map(|r| r.value().unwrap().downcast_ref::<Vec<i64>>().unwrap().len());
        assert_eq!(lengths.collect::<Vec<_>>(), [1000, 1001, 1002]);
        assert_eq!(cluster.gather_blocking(&refs).unwrap().len(), 3);
        drop(refs);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_ref_of_a_run_that_failed_has_no_value() {
    watched(|| {
        let cluster = cluster(1);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeps = Arc::clone(&kept);
        let callback = CallbackBuilder::new().postsubmit(move |_, _, _, object_ref| {
            keeps.lock().unwrap().push(object_ref.clone());
            Ok(())
        });
        let fails = |_: i64| Err::<i64, _>("no data");
        let graph = graph! { "x" => (inc, 1), "y" => (fails, "x") };
        cluster.with_callbacks([callback]).get_blocking(graph, "y").unwrap_err();
        let refs = std::mem::take(&mut *kept.lock().unwrap());
        assert_eq!(refs[0].value().unwrap().downcast_ref::<i64>(), Some(&2));
        assert!(refs[1].value().is_none());
        assert!(cluster.gather_blocking(&refs).unwrap_err().is_cancelled());
        drop(refs);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn the_state_of_pretask_reaches_the_same_callbacks_posttask_only() {
    watched(|| {
        let cluster = cluster(4);
        let sums = Arc::new(Mutex::new([0_i64; 2]));
        let adds = |place: usize, factor: i64| {
            let sums = Arc::clone(&sums);
            CallbackBuilder::new().around(
                move |key, _| factor * key.as_int().unwrap_or(0),
                move |_, _, state: i64| {
                    sums.lock().unwrap()[place] += state;
                    Ok(())
                },
            )
        };
        let stateless = CallbackBuilder::new().posttask(|_, _, state| {
            assert!(state.is_none(), "it has no pretask");
            Ok(())
        });
        let request =
            cluster.with_callbacks([adds(0, 1)]).callbacks([stateless]).callbacks([adds(1, 1000)]);
        let mut graph = mobula::Graph::new();
        for number in 0..500 {
            graph.insert(number, (inc, number));
        }
        let later = |x: i64| async move { x };
        graph.insert(500, (later, 1));
        request.get_blocking(graph, (0..=500).map(Key::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(*sums.lock().unwrap(), [125_250, 125_250_000]);
    });
}

#[test]
fn views_tell_of_task_and_run() {
    watched(|| {
        let cluster = cluster(1);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (tasks, runs) = (Arc::clone(&seen), Arc::clone(&seen));
        let callback = CallbackBuilder::new()
            .presubmit(move |task, _, _| {
                let (name, place) = (task.func().name().to_owned(), task.priority());
                tasks.lock().unwrap().push(format!("{name} is {place} of {}", task.plan().len()));
                Ok(None)
            })
            .graph_pretask(move |_, _, run| {
                let ended = ["x", "y"].map(|key| run.has_ended(&key.into()));
                let line = format!("{} of {} started, {ended:?}", run.started(), run.tasks());
                runs.lock().unwrap().push(line);
                Ok(())
            });
        let graph = graph! { "x" => (inc, 1), "y" => (add, "x", "x") };
        cluster.with_callbacks([callback]).get_blocking(graph, "y").unwrap();
        let expected = [
            "1 of 2 started, [false, false]",
            "inc is 0 of 2",
            "2 of 2 started, [true, false]",
            "add is 1 of 2",
        ];
        assert_eq!(*seen.lock().unwrap(), expected);
    });
}

#[test]
fn finish_sees_the_final_result() {
    watched(|| {
        let cluster = cluster(1);
        let seen = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&seen);
        let callback = CallbackBuilder::new().finish(move |results| {
            *kept.lock().unwrap() = Some(results.clone());
            Ok(())
        });
        let text = |x: i64| vec![x; 3];
        let graph = graph! { "x" => (text, 1) };
        let answer = cluster.with_callbacks([callback]).get_blocking(graph, "x").unwrap();
        let seen = seen.lock().unwrap().take().unwrap();
        assert!(seen.into_value().same_data(&answer.into_value()));
    });
}

#[test]
fn a_hook_may_answer_with_the_value_of_another_task() {
    watched(|| {
        let cluster = cluster(1);
        let callback = CallbackBuilder::new().presubmit(|_, key, deps| {
            let is_copy = key.as_str().as_deref() == Some("copy");
            Ok(deps
                .iter()
                .next()
                .filter(|_| is_copy)
                .and_then(|(_, object_ref)| object_ref.value()))
        });
        let never = |_: Vec<i64>| -> Vec<i64> { unreachable!("its value is known") };
        let graph = graph! { "x" => (|| vec![1_i64, 2],), "copy" => (never, "x") };
        let request = cluster.with_callbacks([callback]);
        let results = request.get_blocking(graph, ["x", "copy"]).unwrap().into_list();
        let values: Vec<Value> = results.into_iter().map(mobula::Results::into_value).collect();
        assert!(values[0].same_data(&values[1]));
        assert_eq!(data::<i64>(request.get_blocking(graph! { "y" => (inc, 1) }, "y").unwrap()), 2);
        assert_eq!(held(&cluster), 0);
    });
}
