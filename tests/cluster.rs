//! Whole clusters through the public API, compared with plain evaluation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::{CallbackBuilder, Cluster, Delayed, Graph, Node, delayed, graph, keys, lit};

fn inc(x: i64) -> i64 {
    x + 1
}

fn add(x: i64, y: i64) -> i64 {
    x + y
}

fn total(items: Vec<i64>) -> i64 {
    items.iter().sum()
}

fn cluster(workers: usize) -> Cluster {
    Cluster::builder().workers(workers).start().unwrap()
}

#[test]
fn a_graph_runs() {
    let cluster = cluster(2);
    let graph = graph! { "x" => 1, "y" => (inc, "x"), "z" => (add, "x", "y") };
    let results = cluster.get_blocking(graph, keys!["z", ["x", "y"]]).unwrap();
    assert_eq!(
        format!("{results:?}"),
        "List([Value(Value(3)), List([Value(Value(1)), Value(Value(2))])])"
    );
}

#[test]
fn large_shapes_run() {
    let cluster = cluster(2);
    let mut chain = Graph::new();
    let mut last = chain.add((inc, 0));
    for _ in 1..100_000 {
        last = chain.add((inc, last));
    }
    assert_eq!(cluster.get_blocking(chain, last).unwrap().into_data::<i64>().unwrap(), 100_000);

    let mut fan = Graph::new();
    let x = fan.add((inc, 0));
    let parts: Vec<Node> = (0..100_000).map(|_| fan.add((inc, x))).collect();
    let sum = fan.add((total, parts));
    assert_eq!(cluster.get_blocking(fan, sum).unwrap().into_data::<i64>().unwrap(), 200_000);
    assert_eq!(cluster.stats_blocking().unwrap().holdings.values, 0);
}

#[test]
fn nested_runs_five_deep_with_one_worker() {
    let cluster = cluster(1);
    let client = cluster.client().clone();
    fn deep(client: &mobula::Client, depth: i64) -> i64 {
        if depth == 0 {
            return 0;
        }
        let inner = client.clone();
        let task = delayed(move |depth: i64| deep(&inner, depth - 1) + 1).call(depth);
        let other = delayed(inc).call(&task);
        client.compute_blocking(&delayed(add).call((&task, &other))).unwrap() / 2
    }
    assert_eq!(deep(&client, 5), 5);
}

#[test]
fn async_tasks_do_not_hold_up_a_worker() {
    let cluster = cluster(1);
    async fn slow(x: i64) -> i64 {
        actix_rt::time::sleep(std::time::Duration::from_millis(20)).await;
        x + 1
    }
    let slow = delayed(slow);
    let parts: Vec<Delayed<i64>> = (0..100).map(|i| slow.call(i)).collect();
    let sum = delayed(total).call(&parts);
    assert_eq!(cluster.compute_blocking(&sum).unwrap(), 5050);
}

#[test]
fn hooks_are_called() {
    let cluster = cluster(2);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let callback = CallbackBuilder::new().around(
        |_, _| 7_usize,
        move |_, _, seven| {
            counted.fetch_add(seven, Ordering::Relaxed);
            Ok(())
        },
    );
    let _guard = cluster.register(callback);
    let graph = graph! { "x" => (inc, 1), "y" => (inc, "x") };
    assert_eq!(cluster.get_blocking(graph, "y").unwrap().into_data::<i64>().unwrap(), 3);
    assert_eq!(count.load(Ordering::Relaxed), 14);
}

#[test]
fn a_failure_names_its_task() {
    let cluster = cluster(2);
    let error =
        cluster.get_blocking(graph! { "y" => (inc, lit("one".to_owned())) }, "y").unwrap_err();
    assert!(error.is_wrong_type(), "{error}");
    let graph = graph! { "y" => (|_x: i64| -> i64 { panic!("boom") }, 1) };
    let error = cluster.get_blocking(graph, "y").unwrap_err();
    assert_eq!(error.to_string(), "task 'y' panicked: boom");
}
