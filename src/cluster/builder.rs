//! [`ClusterBuilder`]: the settings of a cluster.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use super::witnesses::Wishes;
use crate::actors::callbacks::CallbackErrors;
use crate::actors::{Processes, WorkerEnvironment};
use crate::config::{Config, StateSource};
use crate::diagnostics::Checkpoint;
use crate::engine::Limits;
use crate::error::{Error, Kind};
use crate::spill::{Eviction, MemoryLimit, Thresholds};

/// Sets up a [`Cluster`](super::Cluster).
#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    pub(super) config: Config,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) wishes: Wishes,
}

impl ClusterBuilder {
    /// How many worker threads there are; by default one for each core that this process may use.
    #[must_use]
    pub fn workers(mut self, count: usize) -> Self {
        self.config.workers = count;
        self
    }

    /// Has no worker threads at all: the thread that waits for a run, in a `_blocking` call, works on it
    /// meanwhile, one task after the other. For debugging, and for tasks that must stay on their caller's
    /// thread. What nobody waits for does not go on.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, graph};
    ///
    /// let cluster = Cluster::builder().inline().start()?;
    /// let graph = graph! { "here" => (|| format!("{:?}", std::thread::current().id()),) };
    /// let here = cluster.get_blocking(graph, "here")?.into_data::<String>().unwrap();
    /// assert_eq!(here, format!("{:?}", std::thread::current().id()));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.config.inline = true;
        self.config.workers = 1;
        self
    }

    /// What is to be around the work of each worker's thread: the lock of another language's
    /// interpreter, for instance. By default nothing.
    #[must_use]
    pub fn environment(mut self, environment: impl WorkerEnvironment) -> Self {
        self.config.environment = Some(Arc::new(environment));
        self
    }

    /// What the worker processes are, in which the tasks of runs can be called that are placed there
    /// ([`Placement::Processes`](crate::Placement::Processes)). Each worker has one, which it starts when it
    /// first needs it. By default there are none, and everything is called in the workers' threads.
    #[must_use]
    pub fn processes(mut self, processes: impl Processes) -> Self {
        self.config.processes = Some(Arc::new(processes));
        self
    }

    /// Starts the worker processes at once, and not when they are first needed.
    #[must_use]
    pub fn start_processes(mut self, at_once: bool) -> Self {
        self.config.start_processes = at_once;
        self
    }

    /// What happens when a hook of a callback fails; by default its run fails.
    #[must_use]
    pub fn callback_errors(mut self, errors: CallbackErrors) -> Self {
        self.config.callback_errors = errors;
        self
    }

    /// The stack of each worker's thread in bytes, 8 MiB by default. Deep recursion in a task, or deep
    /// nesting of runs on one worker, may need more.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.config.stack_size = bytes;
        self
    }

    /// How much memory the values of tasks may take: bytes (`2 << 30`, `"2 GiB"`), a share of the
    /// memory that this process may use (`0.5`, `"50%"`), `"auto"` (the default, three quarters of it)
    /// or `"none"`. Limits of containers are respected.
    ///
    /// Near the limit values that nobody uses move to disk and come back when they are needed, and tasks
    /// that would add to what is held wait; see [`thresholds`](Self::thresholds). Values of less than
    /// 16 KiB never move; `StoreStats::small_bytes` counts them.
    ///
    /// # Examples
    ///
    /// ```
    /// let cluster = mobula::Cluster::builder().workers(1).memory_limit("512 MiB").start()?;
    /// assert_eq!(cluster.stats_blocking()?.memory_limit, Some(512 << 20));
    ///
    /// let half = mobula::Cluster::builder().workers(1).memory_limit(0.5).start()?;
    /// assert!(half.stats_blocking()?.memory_limit > Some(2 << 20));
    /// let bytes = mobula::Cluster::builder().workers(1).memory_limit(2 << 30).start()?;
    /// assert_eq!(bytes.stats_blocking()?.memory_limit, Some(2 << 30));
    ///
    /// let error = mobula::Cluster::builder().memory_limit("512 elephants").start().unwrap_err();
    /// assert!(error.to_string().contains("elephants"));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    #[must_use]
    pub fn memory_limit<L>(mut self, limit: L) -> Self
    where
        L: TryInto<MemoryLimit, Error: Display>,
    {
        self.config.memory_limit = limit.try_into().map_err(|error| error.to_string());
        self
    }

    /// From which shares of the memory limit on what happens: values start to move to disk (`target`,
    /// 0.60), move as fast as the disk allows (`spill`, 0.70), and tasks that would take the store above
    /// it wait (`pause`, 0.80). The shares are of what values say they hold, not of the whole process.
    #[must_use]
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.config.thresholds = thresholds;
        self
    }

    /// Which values move to disk first: by default those that were not used for the longest time.
    #[must_use]
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.config.eviction = eviction;
        self
    }

    /// Adds a directory into which values may move; by default there is one, that of the operating
    /// system for temporary files. In each, the cluster makes a directory of its own that only its user
    /// can read, and removes it at the end; what a crashed process has left there is removed at the
    /// start.
    #[must_use]
    pub fn spill_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.config.disk.directories.push(directory.into());
        self
    }

    /// How many bytes the files of moved values may take; by default as many as there is room for.
    /// Beyond that, values stay in memory.
    #[must_use]
    pub fn max_spill(mut self, bytes: u64) -> Self {
        self.config.disk.max_bytes = Some(bytes);
        self
    }

    /// How many events are remembered for [`Client::story`](crate::Client::story), 10,000 by default; the oldest ones are
    /// forgotten first.
    #[must_use]
    pub fn history(mut self, events: usize) -> Self {
        self.config.history.most = events;
        self
    }

    /// Remembers the end of every task, however short; by default that of tasks that took 100 µs or
    /// more. Each short task then costs a look at the clock and a short lock.
    #[must_use]
    pub fn history_of_every_task(mut self, every_task: bool) -> Self {
        self.config.history.every_task = every_task;
        self
    }

    /// Whether values are compressed (LZ4) on their way to disk; by default they are not.
    #[must_use]
    pub fn spill_compression(mut self, compress: bool) -> Self {
        self.config.disk.compress = compress;
        self
    }

    /// Keeps finished values on disk, by default those of tasks that took 100 milliseconds or more, so
    /// that a process that runs the same graph after a crash goes on from there. Takes a directory, or a
    /// [`Checkpoint`] with settings, whose documentation says what is the same graph.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, delayed};
    ///
    /// # let directory = std::env::temp_dir().join(format!("mobula-doc-builder-{}", std::process::id()));
    /// # let directory = directory.as_path();
    /// let cluster = Cluster::builder().workers(1).checkpoint(directory).start()?;
    /// cluster.compute_blocking(&delayed(|x: i64| x + 1).call(1))?;
    /// let checkpoint = cluster.checkpoint().expect("it was given");
    /// assert_eq!(checkpoint.summary().written, 0); // that was too quick to be kept
    /// # std::fs::remove_dir_all(directory).ok();
    /// # Ok::<(), mobula::Error>(())
    /// ```
    #[must_use]
    pub fn checkpoint(mut self, checkpoint: impl Into<Checkpoint>) -> Self {
        self.checkpoint = Some(checkpoint.into());
        self
    }

    /// Writes all that happens in the cluster into a file, as lines of JSON; see
    /// [`Monitor::journal`](crate::monitor::Monitor::journal). The file is written anew.
    #[must_use]
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.wishes.journal = Some(path.into());
        self
    }

    /// Shows the progress of all runs in the terminal, on the standard error output; where that is no terminal,
    /// nothing. For a part of a program there is [`Monitor::progress`](crate::monitor::Monitor::progress).
    #[cfg(feature = "progress")]
    #[must_use]
    pub fn progress(mut self, is_shown: bool) -> Self {
        self.wishes.progress = is_shown;
        self
    }

    /// Shows those who look also state actors that the program keeps itself, beside those of
    /// [`start_state`](crate::Client::start_state): `states` answers, by actor, its name, how many messages it was
    /// sent, and whether it is there. It is asked ten times a second while somebody looks, and must not wait.
    #[must_use]
    pub fn states(
        mut self,
        states: impl Fn() -> Vec<(String, u64, bool)> + Send + Sync + 'static,
    ) -> Self {
        self.config.states = Some(StateSource(Arc::new(states)));
        self
    }

    pub(super) fn limits(&self) -> Result<Option<Limits>, Error> {
        let start = |reason: String| Error::from(Kind::Start(reason));
        if self.config.disk.directories.iter().any(|directory| directory.as_os_str().is_empty()) {
            return Err(start("a spill directory has no name; give a path".to_owned()));
        }
        let limit = self.config.memory_limit.as_ref().map_err(|reason| start(reason.clone()))?;
        let thresholds = self.config.thresholds;
        Ok(limit.resolve().map(|limit| Limits {
            limit,
            target: thresholds.target_bytes(limit),
            spill: thresholds.spill_bytes(limit),
            pause: thresholds.pause_bytes(limit),
        }))
    }
}
