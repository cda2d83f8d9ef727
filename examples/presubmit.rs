//! Callbacks before submission: made of closures and of a trait, several at once, one of which
//! answers for a task, so that the task does not run.
//!
//! ```text
//! cargo run --release --example presubmit
//! ```
//!
//! Prints:
//!
//! ```text
//! logger: about to submit task x
//! oracle: I don't know x
//! worker: x runs
//! logger: about to submit task y
//! oracle: I know y
//! latecomer: I know y, too
//! logger: about to submit task z
//! oracle: I don't know z
//! worker: z runs
//! z = 102
//! tasks=3
//! tasks_run=2
//! z=102
//! ```
//!
//! The hooks are called in the order in which the callbacks were registered. All are asked, and the
//! first answer counts.

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::sync::mpsc::{self, Sender};

use mobula::{
    BoxError, Callback, CallbackBuilder, Cluster, Key, ObjectRefs, TaskView, Value, graph,
};

fn inc(x: i64) -> i64 {
    x + 1
}

fn add(x: i64, y: i64) -> i64 {
    x + y
}

/// A callback by trait: implement the hooks that you want. This one knows what "y" is.
struct Oracle(Sender<String>);

impl Callback for Oracle {
    fn presubmit(
        &self,
        _task: &TaskView<'_>,
        key: &Key,
        _deps: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        if *key == Key::from("y") {
            self.0.send(format!("oracle: I know {key}"))?;
            return Ok(Some(Value::new(100_i64)));
        }
        self.0.send(format!("oracle: I don't know {key}"))?;
        Ok(None)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One worker, so that the tasks come in their order: x, y, z.
    let cluster = Cluster::builder().workers(1).start()?;
    let (says, said) = mpsc::channel();

    // Callbacks by closures. Each guard keeps its callback registered until it is dropped.
    let tell = says.clone();
    let _logger = cluster.register(CallbackBuilder::new().presubmit(move |_task, key, _deps| {
        tell.send(format!("logger: about to submit task {key}"))?;
        Ok(None)
    }));
    let _oracle = cluster.register(Oracle(says.clone()));
    let tell = says.clone();
    let latecomer = CallbackBuilder::new().presubmit(move |_task, key, _deps| {
        if *key != Key::from("y") {
            return Ok(None);
        }
        tell.send(format!("latecomer: I know {key}, too"))?;
        Ok(Some(Value::new(-1_i64)))
    });
    let watcher = CallbackBuilder::new().pretask(move |key, _object_refs| {
        says.send(format!("worker: {key} runs"))?;
        Ok(None)
    });

    // These two are for one run only; they come behind the registered ones.
    let graph = graph! { "x" => (inc, 1), "y" => (inc, 2), "z" => (add, "x", "y") };
    let z = cluster.with_callbacks([latecomer, watcher]).get_blocking(graph, "z")?;

    let said: Vec<String> = said.try_iter().collect();
    for line in &said {
        println!("{line}");
    }
    let z: i64 = z.into_data().map_err(|_| "z is a number")?;
    println!("z = {z}");
    let submitted = said.iter().filter(|line| line.starts_with("logger")).count();
    let run = said.iter().filter(|line| line.starts_with("worker")).count();
    assert_eq!((z, submitted, run), (102, 3, 2), "x + y = (1 + 1) + 100, and y did not run");
    println!("tasks={submitted}");
    println!("tasks_run={run}");
    println!("z={z}");
    Ok(())
}
