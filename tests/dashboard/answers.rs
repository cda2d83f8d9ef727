//! What is answered is what the cluster has done.

use mobula::graph;
use mobula::monitor::{RunStatus, Snapshot};
use serde_json::Value;

use crate::asking::shown;
use crate::watchdog::watched;

fn inc(x: i64) -> i64 {
    x + 1
}

fn fail(_: i64) -> Result<i64, String> {
    Err("no luck".to_owned())
}

#[test]
fn the_snapshot_and_the_metrics_count_the_same() {
    watched(|| {
        let shown = shown();
        let graph =
            graph! { ("x", 0) => (inc, 1), ("x", 1) => (inc, ("x", 0)), "y" => (inc, ("x", 1)) };
        shown.cluster.get_blocking(graph, "y").unwrap();
        shown.cluster.get_blocking(graph! { "z" => (fail, 1) }, "z").unwrap_err();
        shown.dashboard.monitor().look_blocking().unwrap();

        let snapshot: Snapshot = serde_json::from_str(&shown.get("/api/snapshot").body).unwrap();
        let statuses: Vec<_> = snapshot.runs.iter().map(|run| run.status).collect();
        assert_eq!(statuses, [RunStatus::Done, RunStatus::Failed]);
        assert_eq!(snapshot.runs[0].counts.done, 3);
        let metrics = shown.get("/metrics");
        assert!(
            metrics
                .head
                .contains(&"content-type: text/plain; version=0.0.4; charset=utf-8".to_owned())
        );
        for line in [
            "mobula_tasks_ended_total{state=\"done\"} 3",
            "mobula_tasks_ended_total{state=\"failed\"} 1",
            "mobula_runs_ended_total{status=\"failed\"} 1",
            "mobula_runs_running 0",
        ] {
            assert!(metrics.body.lines().any(|told| told == line), "{line} in {}", metrics.body);
        }
    });
}

#[test]
fn a_key_is_explained_with_its_story() {
    watched(|| {
        let shown = shown();
        let graph = graph! { ("z", 0) => (fail, 1) };
        shown.cluster.get_blocking(graph, [("z", 0)]).unwrap_err();
        let answer = shown.get("/api/explain?key=%28%27z%27%2C+0%29");
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(told["key"], "('z', 0)");
        let story = told["story"].as_array().unwrap();
        assert!(story[0].as_str().unwrap().contains("no luck"), "{story:?}");
        assert_eq!(told["explanation"], "\"('z', 0)\": no run that goes on has such a task");
        assert_eq!(shown.get("/api/explain").status, 400);
    });
}

#[test]
fn the_graph_of_a_run_has_its_tasks_where_they_are_drawn() {
    watched(|| {
        let shown = shown();
        let graph = graph! { "a" => (inc, 1), "b" => (inc, "a"), "c" => (inc, "b") };
        let run = shown.cluster.run(mobula::Plan::new(graph, "c").unwrap());
        let number = run.id();
        run.wait().unwrap();
        let drawn: Value =
            serde_json::from_str(&shown.get(&format!("/api/graph?run={number}")).body).unwrap();
        assert_eq!((&drawn["run"], &drawn["grouped"]), (&Value::from(number), &Value::from(false)));
        let nodes = drawn["nodes"].as_array().unwrap();
        let labels: Vec<_> = nodes.iter().map(|node| node["label"].as_str().unwrap()).collect();
        assert_eq!(labels, ["a", "b", "c"]);
        assert!(nodes.iter().all(|node| node["state"] == 2), "{nodes:?}");
        assert_eq!(drawn["edges"].as_array().unwrap().len(), 2);
        let states: Value =
            serde_json::from_str(&shown.get(&format!("/api/states?run={number}")).body).unwrap();
        assert_eq!(states["states"], "222");
        let unknown = shown.get("/api/graph?run=99999999");
        assert_eq!((unknown.status, unknown.body.as_str()), (200, "null"));
        assert_eq!(shown.get("/api/graph?run=x").status, 400);
    });
}

#[test]
fn everybody_may_ask_whether_it_is_there() {
    watched(|| {
        let shown = shown();
        let health = shown.ask("GET", "/health", &shown.address().to_string());
        assert_eq!(
            (health.status, health.body),
            (200, format!("ok, Mobula {}\n", env!("CARGO_PKG_VERSION")))
        );
        assert_eq!(shown.get("/nothing").status, 404);
    });
}
