//! `LogCallback`: its lines, caught by a logger that keeps them.
//!
//! The log is one for the whole process, so each test looks for keys that only it uses.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once};

use log::{Level, LevelFilter, Log, Metadata, Record};
use mobula::{CallbackBuilder, Graph, LogCallback, Value, graph};

use crate::helpers::{cluster, inc};
use crate::watchdog::watched;

/// Keeps level and text of the callback's lines.
struct Kept(Mutex<Vec<(Level, String)>>);

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

impl Kept {
    fn lines(&self) -> MutexGuard<'_, Vec<(Level, String)>> {
        self.0.lock().expect("nobody panics under the lock")
    }
}

impl Log for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "mobula::diagnostics::log" && metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.lines().push((record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&KEPT).expect("nobody else logs here");
        log::set_max_level(LevelFilter::Debug);
    });
}

/// The kept lines that contain `text`, without what differs from time to time.
fn lines_with(text: &str) -> Vec<(Level, String)> {
    let lines = KEPT.lines();
    let lines = lines.iter().filter(|(_, line)| line.contains(text));
    lines
        .map(|(level, line)| {
            let line = line.split_once(" after ").map_or(line.as_str(), |(start, _)| start);
            (*level, line.to_owned())
        })
        .collect()
}

fn line(level: Level, text: impl Into<String>) -> (Level, String) {
    (level, text.into())
}

#[test]
fn a_run_and_its_tasks_are_logged() {
    watched(|| {
        keep();
        let cluster = cluster(1);
        let _logging = cluster.register(LogCallback::new());
        let _knowing = cluster.register(CallbackBuilder::new().lookup(|keys| {
            let known = |key: &&mobula::Key| key.as_str().as_deref() == Some("plain-known");
            Ok(keys.iter().map(|key| known(key).then(|| Value::new(1_i64))).collect())
        }));
        let graph = graph! {
            "plain-unneeded" => (inc, 1),
            "plain-known" => (inc, "plain-unneeded"),
            "plain-x" => (inc, "plain-known"),
        };
        let plan = mobula::Plan::new(graph, "plain-x").unwrap();
        let run = cluster.run(plan);
        let name = format!("run {}", run.id());
        run.wait().unwrap();
        assert_eq!(
            lines_with("'plain-"),
            [
                line(Level::Debug, "task 'plain-x' is submitted"),
                line(Level::Debug, "task 'plain-x' starts"),
                line(Level::Debug, "task 'plain-x' has ended"),
            ]
        );
        assert_eq!(
            lines_with(&format!("{name} ")),
            [
                line(
                    Level::Info,
                    format!(
                        "{name} starts: 1 tasks to run, 2 answered or not needed; 1 from callback"
                    )
                ),
                line(Level::Info, format!("{name} has ended")),
            ]
        );
    });
}

#[test]
fn errors_and_retries_are_warnings() {
    watched(|| {
        keep();
        let cluster = cluster(1);
        let _logging = cluster.register(LogCallback::new().tasks(None));
        let calls = Arc::new(AtomicUsize::new(0));
        let flaky = move || -> Result<i64, String> {
            Err(format!("no {}", calls.fetch_add(1, Ordering::Relaxed)))
        };
        let mut graph = Graph::new();
        let node = graph.insert("failing", (flaky,));
        graph.set_retries(node, 1);
        let run = cluster.run(mobula::Plan::new(graph, "failing").unwrap());
        let name = format!("run {} ", run.id());
        run.wait().unwrap_err();
        assert_eq!(
            lines_with("'failing'"),
            [
                line(Level::Warn, "task 'failing' is tried again: attempt 2"),
                line(Level::Warn, "task 'failing' failed: no 1 (after 2 attempts)"),
            ]
        );
        let last = lines_with(&name).pop().unwrap();
        assert_eq!(last, line(Level::Info, format!("{name}failed or was cancelled")));
    });
}

#[test]
fn levels_can_be_chosen() {
    watched(|| {
        keep();
        let cluster = cluster(1);
        let logging = LogCallback::new().tasks(Level::Error).runs(Level::Trace);
        let plan = mobula::Plan::new(graph! { "chosen" => (inc, 1) }, "chosen").unwrap();
        let _logging = cluster.register(logging);
        let run = cluster.run(plan);
        let name = format!("run {} ", run.id());
        run.wait().unwrap();
        assert_eq!(
            lines_with("'chosen'"),
            [
                line(Level::Error, "task 'chosen' is submitted"),
                line(Level::Error, "task 'chosen' starts"),
                line(Level::Error, "task 'chosen' has ended"),
            ]
        );
        assert_eq!(lines_with(&name), [], "the logger does not want traces");
    });
}

#[test]
fn a_run_whose_start_fails_is_logged() {
    watched(|| {
        keep();
        let cluster = cluster(1);
        let _failing = cluster
            .register(CallbackBuilder::new().graph_start_state(|_, _| Err("not today".into())));
        let _logging = cluster.register(LogCallback::new());
        let run = cluster.run(mobula::Plan::new(graph! { "x" => (inc, 1) }, "x").unwrap());
        let name = format!("run {} ", run.id());
        run.wait().unwrap_err();
        assert_eq!(lines_with(&name), [line(Level::Info, format!("{name}did not start"))]);
    });
}
