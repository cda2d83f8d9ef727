//! Calls that would hold up an arbiter are refused at once; awaiting the same call works there.

use std::sync::mpsc::channel;

use mobula::{CallbackBuilder, Client, Cluster, delayed, graph};

use crate::functions::{cluster, inc};
use crate::watchdog::watched;

/// Makes every blocking call that a client has; answers the names of those that were not refused.
fn not_refused(client: &Client) -> Vec<&'static str> {
    let value = delayed(inc).call(1);
    let plan = value.plan().expect("the plan is right");
    let put = client.put("put", 1_i64);
    let request = client.with_callbacks([CallbackBuilder::new()]);
    let graph = || graph! { "x" => (inc, 1) };
    let calls = [
        ("get", client.get_blocking(graph(), "x").err()),
        ("compute", client.compute_blocking(&value).err()),
        ("compute_all", client.compute_all_blocking((&value, &value)).err()),
        ("gather", client.gather_blocking(&[put]).err()),
        ("wait", client.run(plan).wait().err()),
        ("stats", client.stats_blocking().err()),
        ("request get", request.get_blocking(graph(), "x").err()),
        ("request compute", request.compute_blocking(&value).err()),
    ];
    let refused = |error: &Option<mobula::Error>| {
        let error = error.as_ref();
        error.is_some_and(|e| e.is_blocking() && e.to_string().contains("hold up this arbiter"))
    };
    calls.iter().filter(|(_, error)| !refused(error)).map(|(name, _)| *name).collect()
}

#[test]
fn in_an_actix_system() {
    watched(|| {
        actix_rt::System::new().block_on(async {
            let cluster = Cluster::builder().workers(1).start().unwrap();
            assert_eq!(not_refused(&cluster), [""; 0]);
            // The same calls awaited.
            assert_eq!(cluster.compute(&delayed(inc).call(1)).await.unwrap(), 2);
            let put = cluster.put("put", 1_i64);
            assert_eq!(cluster.gather(&[put]).await.unwrap().len(), 1);
            cluster.shutdown().await;
        });
    });
}

#[test]
fn in_an_asynchronous_task() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let task = delayed(move || {
            let client = client.clone();
            async move { not_refused(&client).join(", ") }
        });
        assert_eq!(cluster.compute_blocking(&task.call(())).unwrap(), "");
    });
}

#[test]
fn in_a_hook_of_a_whole_run() {
    watched(|| {
        let cluster = cluster(1);
        let (sender, answers) = channel();
        let (client, other) = (cluster.client().clone(), sender.clone());
        let again = client.clone();
        let callback = CallbackBuilder::new()
            .graph_start(move |_| Ok(other.send(not_refused(&client))?))
            .finish(move |_| Ok(sender.send(not_refused(&again))?));
        let request = cluster.with_callbacks([callback]);
        request.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        assert_eq!(answers.recv().unwrap(), [""; 0]);
        assert_eq!(answers.recv().unwrap(), [""; 0]);
    });
}

#[test]
fn in_a_task_and_in_a_hook_of_a_task_they_work() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let task = move || client.compute_blocking(&delayed(inc).call(1));
        let (sender, answers) = channel();
        let client = cluster.client().clone();
        let callback = CallbackBuilder::new().pretask(move |_, _| {
            sender.send(client.compute_blocking(&delayed(inc).call(2)))?;
            Ok(None)
        });
        let graph = graph! { "x" => (task,) };
        let result = cluster.with_callbacks([callback]).get_blocking(graph, "x").unwrap();
        assert_eq!(result.get::<i64>(), Some(&2));
        assert_eq!(answers.recv().unwrap().unwrap(), 3);
    });
}

#[test]
fn shutting_down_an_arbiters_own_cluster_is_refused_but_happens() {
    watched(|| {
        actix_rt::System::new().block_on(async {
            let cluster = Cluster::builder().workers(1).start().unwrap();
            let client = cluster.client().clone();
            let error = cluster.shutdown_blocking().unwrap_err();
            assert!(error.is_blocking(), "{error}");
            // It ends in its own time; whoever asks for something then hears that it has ended.
            while client.stats().await.is_ok() {
                actix_rt::task::yield_now().await;
            }
            let error = client.get(graph! { "x" => (inc, 1) }, "x").await.unwrap_err();
            assert!(error.is_closed(), "{error}");
        });
    });
}
