//! Hooks that fail or panic: the run fails with callback, hook and key, or a warning is logged.

use mobula::{
    BoxError, Callback, CallbackErrors, Cause, Cluster, Failure, Graph, HookResult, Key, ObjectRef,
    ObjectRefs, Plan, PreState, Results, RunView, TaskView, Value, graph,
};

use super::recorder::Recorder;
use crate::bomb::{ON_PURPOSE, explode, quiet};
use crate::functions::{data, held, inc};
use crate::logs;
use crate::watchdog::{until, watched};

/// The hooks, each with what it is called for in the graph of [`run`].
const HOOKS: [(&str, &str); 15] = [
    ("graph_start", "the run"),
    ("lookup", "the run"),
    ("lookup_used", "the run"),
    ("graph_start_state", "the run"),
    ("graph_pretask", "'x'"),
    ("presubmit", "'x'"),
    ("postsubmit", "'x'"),
    ("graph_posttask", "'x'"),
    ("pretask", "'x'"),
    ("posttask", "'x'"),
    ("retry", "'x'"),
    ("postsubmit_all", "the run"),
    ("finish", "the run"),
    ("graph_finish", "the run"),
    // The run has failed already when this one is called.
    ("error", ""),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Fails,
    Panics,
    /// Panics with a payload that panics when it is dropped.
    Explodes,
}

/// Fails in one hook.
struct Failing {
    name: String,
    hook: &'static str,
    how: How,
}

impl Failing {
    fn meet(&self, hook: &str) -> Result<(), BoxError> {
        match self.how {
            _ if self.hook != hook => Ok(()),
            How::Fails => Err("no memory left".into()),
            How::Panics => panic!("{ON_PURPOSE}: no memory left"),
            How::Explodes => explode(),
        }
    }
}

impl Callback for Failing {
    fn name(&self) -> &str {
        &self.name
    }
    fn lookup(&self, keys: &[&Key]) -> Result<Vec<Option<Value>>, BoxError> {
        self.meet("lookup")?;
        let is_known = |key: &&Key| key.as_str().as_deref() == Some("known");
        Ok(keys.iter().map(|key| is_known(key).then(|| Value::new(40_i64))).collect())
    }
    fn lookup_used(&self, _: &[&Key]) -> HookResult {
        self.meet("lookup_used")
    }
    fn presubmit(
        &self,
        _: &TaskView<'_>,
        _: &Key,
        _: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        self.meet("presubmit").map(|()| None)
    }
    fn postsubmit(
        &self,
        _: &TaskView<'_>,
        _: &Key,
        _: &ObjectRefs<'_>,
        _: &ObjectRef,
    ) -> HookResult {
        self.meet("postsubmit")
    }
    fn pretask(&self, _: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        self.meet("pretask").map(|()| None)
    }
    fn posttask(&self, _: &Key, _: &Value, _: PreState) -> HookResult {
        self.meet("posttask")
    }
    fn postsubmit_all(&self, _: &[ObjectRef], _: &Plan) -> HookResult {
        self.meet("postsubmit_all")
    }
    fn finish(&self, _: &Results) -> HookResult {
        self.meet("finish")
    }
    fn graph_start(&self, _: &Plan) -> HookResult {
        self.meet("graph_start")
    }
    fn graph_start_state(&self, _: &Plan, _: &RunView<'_>) -> HookResult {
        self.meet("graph_start_state")
    }
    fn graph_pretask(&self, _: &Key, _: &Plan, _: &RunView<'_>) -> HookResult {
        self.meet("graph_pretask")
    }
    fn graph_posttask(&self, _: &Key, _: &Plan, _: &RunView<'_>) -> HookResult {
        self.meet("graph_posttask")
    }
    fn graph_finish(&self, _: &Plan, _: &RunView<'_>, _: bool) -> HookResult {
        self.meet("graph_finish")
    }
    fn error(&self, _: &Key, _: &Failure) -> HookResult {
        self.meet("error")
    }
    fn retry(&self, _: &Key, _: u32) -> HookResult {
        self.meet("retry")
    }
}

/// Runs a graph that gives every hook something to do, with a failing callback and a recorder.
fn run(
    cluster: &Cluster,
    (hook, how): (&'static str, How),
    name: &str,
    recorder: &Recorder,
) -> Result<i64, mobula::Error> {
    quiet();
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let flaky = move |x: i64| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Err("the first call fails"),
        _ => Ok(x + 1),
    };
    let mut graph = graph! { "known" => (inc, 39) };
    let node = graph.insert("x", (flaky, (inc, 39)));
    graph.set_retries(node, u32::from(hook != "error"));
    let failing = Failing { name: name.to_owned(), hook, how };
    let request = cluster.with_callbacks([failing]).callbacks([recorder.clone()]);
    let results = request.get_blocking(graph, ["x", "known"]);
    results.map(|results| data::<Vec<i64>>(results)[0])
}

/// After the run the cluster is as it was.
fn assert_sound(cluster: &Cluster) {
    let next = cluster.get_blocking(graph! { "x" => (inc, 1) }, "x");
    assert_eq!(data::<i64>(next.expect("the cluster goes on")), 2);
    let hooked =
        cluster.with_callbacks([Recorder::new()]).get_blocking(graph! { "x" => (inc, 1) }, "x");
    assert_eq!(data::<i64>(hooked.expect("hooks go on")), 2);
    until(|| held(cluster) == 0);
}

fn start(errors: CallbackErrors) -> Cluster {
    Cluster::builder().workers(2).callback_errors(errors).start().expect("a cluster starts")
}

#[test]
fn a_hook_that_fails_or_panics_fails_the_run_by_name() {
    watched(|| {
        let cluster = start(CallbackErrors::Fail);
        for (hook, key) in HOOKS {
            for how in [How::Fails, How::Panics] {
                let recorder = Recorder::new();
                let error = run(&cluster, (hook, how), "fragile", &recorder).unwrap_err();
                if hook == "error" {
                    assert!(error.is_task_error(), "{error}");
                } else {
                    let said = match how {
                        How::Fails => "no memory left",
                        How::Panics | How::Explodes => "panicked: on purpose: no memory left",
                    };
                    let told = format!("hook {hook} of callback fragile failed for {key}: {said}");
                    // Hooks behind the first attempt add how often the task was tried.
                    let message = error.to_string();
                    assert_eq!(message.trim_end_matches(" (after 2 attempts)"), told);
                    assert!(error.is_hook() && !error.is_task_error());
                    let cause = &error.as_failure().unwrap().cause;
                    assert!(matches!(cause, Cause::Hook { hook: name, .. } if *name == hook));
                    assert_eq!(error.key().is_some(), key.starts_with('\''));
                }
                let errored =
                    if hook == "graph_finish" { "graph_finish false" } else { "graph_finish true" };
                assert_eq!(recorder.lines_with("graph_finish"), [errored], "{hook}");
                assert_sound(&cluster);
            }
        }
    });
}

#[test]
fn a_hook_that_fails_or_panics_is_logged_if_so_configured() {
    watched(|| {
        logs::keep();
        let cluster = start(CallbackErrors::Log);
        for (hook, _) in HOOKS {
            for how in [How::Fails, How::Panics] {
                let name = format!("logged-{hook}-{how:?}");
                let recorder = Recorder::new();
                let answer = run(&cluster, (hook, how), &name, &recorder);
                if hook == "error" {
                    assert!(answer.unwrap_err().is_task_error());
                } else {
                    assert_eq!(answer.unwrap(), 41, "{hook}");
                    assert_eq!(recorder.lines_with("graph_finish"), ["graph_finish false"]);
                }
                let lines = logs::lines_with(&name);
                let told = format!("WARN: hook {hook} of callback {name} failed for ");
                assert!(
                    !lines.is_empty() && lines.iter().all(|line| line.starts_with(&told)),
                    "{lines:?}"
                );
                assert_sound(&cluster);
            }
        }
    });
}

#[test]
fn a_hook_with_a_deadly_panic_hangs_nothing() {
    watched(|| {
        for (hook, _) in HOOKS {
            let cluster = start(CallbackErrors::Fail);
            let error =
                run(&cluster, (hook, How::Explodes), "deadly", &Recorder::new()).unwrap_err();
            let told = error.to_string();
            assert!(error.is_hook() || error.is_worker_lost() || hook == "error", "{hook}: {told}");
            assert_sound(&cluster);
        }
    });
}

#[test]
fn the_callbacks_behind_one_that_fails_are_not_asked_any_more() {
    watched(|| {
        let cluster = start(CallbackErrors::Fail);
        let recorder = Recorder::new();
        let failing = Failing { name: "fragile".to_owned(), hook: "pretask", how: How::Fails };
        let before = recorder.beside("before");
        let request = cluster
            .with_callbacks([before])
            .callbacks([failing])
            .callbacks([recorder.beside("behind")]);
        request.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap_err();
        let lines = recorder.lines();
        let of_pretask: Vec<_> = lines.iter().filter(|line| line.contains(" pretask x")).collect();
        assert_eq!(of_pretask, ["before pretask x"]);
        assert!(recorder.lines_with("posttask").is_empty());
        // Each of them hears how it ended.
        let told = "error x: hook pretask of callback fragile failed for 'x': no memory left";
        let end = ["before", "behind"].map(|name| format!("{name} {told}"));
        assert_eq!(recorder.lines_with("error"), end);
        assert_eq!(recorder.lines_with("graph_finish").len(), 2);
    });
}

#[test]
fn a_failure_of_a_hook_is_not_tried_again() {
    watched(|| {
        let cluster = start(CallbackErrors::Fail);
        let recorder = Recorder::new();
        let mut graph = Graph::new();
        let node = graph.insert("x", (inc, 1));
        graph.set_retries(node, 5);
        let failing = Failing { name: "fragile".to_owned(), hook: "posttask", how: How::Panics };
        quiet();
        let request = cluster.with_callbacks([recorder.clone()]).callbacks([failing]);
        let error = request.get_blocking(graph, "x").unwrap_err();
        assert_eq!(error.as_failure().unwrap().attempts, 1);
        assert!(recorder.lines_with("retry").is_empty());
    });
}

#[test]
fn hooks_of_asynchronous_tasks_fail_as_others() {
    watched(|| {
        let cluster = start(CallbackErrors::Fail);
        for hook in ["pretask", "posttask"] {
            let failing = Failing { name: "fragile".to_owned(), hook, how: How::Fails };
            let later = |x: i64| async move { x };
            let request = cluster.with_callbacks([failing]);
            let error = request.get_blocking(graph! { "x" => (later, 1) }, "x").unwrap_err();
            let told = format!("hook {hook} of callback fragile failed for 'x': no memory left");
            assert_eq!(error.to_string(), told);
            assert_sound(&cluster);
        }
    });
}
