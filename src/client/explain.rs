//! [`Client::story`] and [`Client::explain`]: what happened to a key, and why it does not get on.

use std::fmt;

use super::Client;
use super::calls::refuse_on_arbiter;
use crate::actors::block_on;
use crate::actors::events::Event;
use crate::actors::store::StoredValue;
use crate::actors::worker::ActiveRun;
use crate::engine::{TaskId, TaskState};
use crate::error::Error;
use crate::graph::Key;

/// What is known of a key right now; see [`Client::explain`]. It prints itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The key.
    pub key: Key,
    /// What its task is doing, in each run that goes on and has it.
    pub runs: Vec<TaskExplanation>,
    /// Its large values in the store.
    pub values: Vec<StoredValue>,
    /// Where tasks with its prefix are called and why, in words, if a run has left that open
    /// ([`Placement::Auto`](crate::Placement::Auto)).
    pub placement: Option<String>,
}

/// What a task is doing in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskExplanation {
    /// The run's number.
    pub run: u64,
    /// What the task is doing.
    pub state: TaskState,
    /// The first few of the inputs that it waits for, with what they are doing.
    pub waits_for: Vec<(Key, TaskState)>,
}

impl Explanation {
    /// Of a key of which nothing is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Explanation, Key};
    ///
    /// let explanation = Explanation::nothing(Key::from("x"));
    /// assert!(explanation.is_empty());
    /// assert_eq!(explanation.to_string(), "'x': no run that goes on has such a task");
    /// ```
    pub fn nothing(key: Key) -> Self {
        Self { key, runs: Vec::new(), values: Vec::new(), placement: None }
    }

    /// True if nothing is known of the key.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.values.is_empty() && self.placement.is_none()
    }
}

impl Client {
    /// What happened to a key lately, the oldest first: failures, new attempts, moves to disk and back,
    /// and tasks that took 100 µs or more, or all of them
    /// ([`history_of_every_task`](crate::ClusterBuilder::history_of_every_task)). How much is remembered
    /// is set by [`history`](crate::ClusterBuilder::history).
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, Key, graph};
    ///
    /// fn fail(_: i64) -> Result<i64, &'static str> {
    ///     Err("on purpose")
    /// }
    ///
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// cluster.request().retries(1).get_blocking(graph! { "x" => (fail, 1) }, "x").unwrap_err();
    /// let story = cluster.story(&Key::from("x"));
    /// let told: Vec<String> = story.iter().map(ToString::to_string).collect();
    /// assert!(told[0].contains("'x' failed: task 'x' failed: on purpose"));
    /// assert!(told[1].contains("'x' is tried again, attempt 2"));
    /// assert!(told[3].contains("'x' is given up after 2 attempt(s)"));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub fn story(&self, key: &Key) -> Vec<Event> {
        self.events().story(key)
    }

    /// What a key's task is doing right now, and if it waits, for what: which inputs, how many bytes,
    /// or a worker. Also where its large values are.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use mobula::{Cluster, Key, graph};
    ///
    /// let (open, gate) = channel::<()>();
    /// let gate = std::sync::Mutex::new(gate);
    /// let slow = move |x: i64| {
    ///     gate.lock().unwrap().recv().ok();
    ///     x
    /// };
    ///
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let graph = graph! { "x" => (slow, 1), "y" => (|x: i64| x + 1, "x") };
    /// let run = cluster.run(mobula::Plan::new(graph, "y")?);
    /// while !cluster.explain_blocking(&Key::from("x"))?.to_string().contains("running") {}
    /// let explanation = cluster.explain_blocking(&Key::from("y"))?;
    /// assert_eq!(
    ///     explanation.to_string(),
    ///     format!("'y' in run {}: waits for 1 input\n  'x': is running on worker 0", run.id())
    /// );
    /// open.send(()).unwrap();
    /// assert_eq!(run.wait()?.get::<i64>(), Some(&2));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub async fn explain(&self, key: &Key) -> Result<Explanation, Error> {
        let values = self.stored(key).await?;
        let runs = self.active_runs();
        let runs = runs.iter().filter_map(|active| explain_in(active, key)).collect();
        let placement = self.explain_placement(&key.prefix());
        Ok(Explanation { key: key.clone(), runs, values, placement })
    }

    /// As [`explain`](Self::explain), and waits on this thread.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended; and on an arbiter.
    pub fn explain_blocking(&self, key: &Key) -> Result<Explanation, Error> {
        refuse_on_arbiter("explain")?;
        block_on(self.explain(key), std::thread::park)
    }
}

fn explain_in(active: &ActiveRun, key: &Key) -> Option<TaskExplanation> {
    /// Who waits for thousands of inputs is explained by a few.
    const MOST: usize = 8;
    let run = &active.run;
    let task = run.plan().task(key)?;
    let state = run.state_of(task);
    let input = |input: TaskId| (run.plan().key(input).clone(), run.state_of(input));
    let waits_for = run.missing_inputs(task).take(MOST).map(input).collect();
    Some(TaskExplanation { run: run.id().0, state, waits_for })
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        if self.is_empty() {
            lines.push(format!("{:?}: no run that goes on has such a task", self.key));
        }
        for TaskExplanation { run, state, waits_for } in &self.runs {
            lines.push(format!("{:?} in run {run}: {}", self.key, Doing(*state)));
            for (input, state) in waits_for {
                lines.push(format!("  {input:?}: {}", Doing(*state)));
            }
        }
        for value in &self.values {
            let place = if value.in_memory { "in memory" } else { "on disk" };
            lines.push(format!("{:?}: a value of {} bytes is {place}", self.key, value.bytes));
        }
        lines.extend(self.placement.clone());
        f.write_str(&lines.join("\n"))
    }
}

/// A state in words.
struct Doing(TaskState);

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TaskState::NotNeeded => f.write_str("is not needed, a value was known at the start"),
            TaskState::Waiting { missing: 1 } => f.write_str("waits for 1 input"),
            TaskState::Waiting { missing } => write!(f, "waits for {missing} inputs"),
            TaskState::Ready => f.write_str("is ready and waits for a worker"),
            TaskState::HeldBack { adds, held, pause } => write!(
                f,
                "waits for room in memory: it makes about {adds} bytes; {held} are held or promised, and \
                 tasks start up to {pause}"
            ),
            TaskState::Running { worker } => write!(f, "is running on worker {worker}"),
            TaskState::Started => f.write_str(
                "has started: its future is awaited, or it failed and waits for its next attempt",
            ),
            TaskState::Ended => f.write_str("has ended"),
        }
    }
}
