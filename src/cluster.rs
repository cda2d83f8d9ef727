//! [`Cluster`]: starts the actors, wires them, and ends them in order.
//!
//! This is the only file that knows all of them. What each actor does is its own business.

use std::fmt::Display;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use actix::{Actor, Addr, AsyncContext, System};

use futures::channel::oneshot::{self, Canceled};

use crate::actors::callbacks::CallbackErrors;
use crate::actors::events::Events;
use crate::actors::store::{Links, Shelf, Store};
use crate::actors::{
    AsyncActor, CallbackRegistry, Close, Crew, Fleet, Processes, SchedulerActor, StartWorkers,
    StoreActor, Surroundings, WorkerEnvironment, WorkerSettings, block_on, is_arbiter_thread,
    is_worker_thread,
};
use crate::client::{CallbackGuard, Client};
use crate::config::Config;
use crate::diagnostics::Checkpoint;
use crate::engine::{Limits, Memory};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::monitor::Journal;
use crate::spill::{Disk, Eviction, MemoryLimit, Thresholds};

/// A scheduler with its workers and its store, in this process.
///
/// It is used through its [`Client`], to which it dereferences. It ends when it is dropped, or with
/// [`shutdown`](Self::shutdown): runs are cancelled, tasks that are running come to their end, and no
/// thread and no actor is left.
///
/// # Examples
///
/// In a plain program, with a system of its own in the background:
///
/// ```
/// use mobula::{Cluster, delayed};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
///
/// let cluster = Cluster::builder().workers(2).start()?;
/// assert_eq!(cluster.compute_blocking(&delayed(inc).call(1))?, 2);
/// # Ok::<(), mobula::Error>(())
/// ```
///
/// Inside a running actix system, beside your own actors:
///
/// ```
/// use mobula::{Cluster, delayed};
///
/// #[actix_rt::main]
/// async fn main() -> Result<(), mobula::Error> {
///     let cluster = Cluster::builder().workers(1).start()?;
///     let answer = cluster.compute(&delayed(|x: i64| x + 1).call(41)).await?;
///     assert_eq!(answer, 42);
///     cluster.shutdown().await;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Cluster {
    client: Client,
    host: Arc<Host>,
    /// Taken when the cluster ends.
    background: Option<Background>,
    scheduler: Addr<SchedulerActor>,
    settings: WorkerSettings,
    shelf: Arc<Shelf>,
    /// Registered as long as the cluster lives.
    checkpoint: Option<(Checkpoint, CallbackGuard)>,
    /// What is written and shown as long as the cluster lives.
    witnesses: Witnesses,
}

/// Those who look as long as the cluster lives.
#[derive(Debug, Default)]
struct Witnesses {
    journal: Option<Journal>,
}

/// A system of our own, in a program that has none.
#[derive(Debug)]
struct Background {
    system: System,
    thread: JoinHandle<()>,
}

/// Sets up a [`Cluster`].
#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    config: Config,
    checkpoint: Option<Checkpoint>,
    journal: Option<PathBuf>,
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

    /// How many events are remembered for [`Client::story`], 10,000 by default; the oldest ones are
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
        self.journal = Some(path.into());
        self
    }

    fn limits(&self) -> Result<Option<Limits>, Error> {
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

    /// Starts the cluster: inside the actix system of this thread if there is one, else in a system of
    /// its own in the background.
    ///
    /// # Errors
    ///
    /// [`Error`] if the number of workers is zero or out of reach, or the operating system gives no
    /// more threads.
    pub fn start(self) -> Result<Cluster, Error> {
        /// More threads than this are a mistake in a number, not a machine.
        const MOST_WORKERS: usize = 1 << 14;
        let workers = self.config.workers;
        let count = u32::try_from(workers).ok().filter(|_| (1..=MOST_WORKERS).contains(&workers));
        let Some(count) = count else {
            let reason = format!("{workers} workers were asked for; ask for 1 to {MOST_WORKERS}");
            return Err(Kind::Start(reason).into());
        };
        let limits = self.limits()?;
        try_thread(self.config.stack_size)?;
        let (system, background) = if let Some(system) = System::try_current() {
            (system, None)
        } else {
            let background = Background::start()?;
            (background.system.clone(), Some(background))
        };
        let host = Arc::new(Host::new(system));
        let (control, registry, futures) = (host.arbiter()?, host.arbiter()?, host.arbiter()?);
        let memory = Arc::new(Memory::new(workers, limits));
        let events = Arc::new(Events::new(self.config.history, workers));
        let prices = !matches!(self.config.eviction, Eviction::Lru);
        let disk = Disk::new(self.config.disk.clone());
        let values = Shelf::new(memory, workers, disk, prices, Arc::clone(&events));
        let surroundings = Surroundings::new(self.config.environment.clone());
        let inline = self.config.inline;
        let fleet = self
            .config
            .processes
            .clone()
            .map(|program| Arc::new(Fleet::new(program, self.config.start_processes)));
        let crew = Arc::new(Crew::new(Arc::clone(&events), surroundings, fleet, inline));
        let runs = Arc::clone(&crew);
        if let Some(fleet) = crew.fleet() {
            let crew = Arc::downgrade(&crew);
            fleet.wakes_by(move |worker| {
                if let Some(crew) = crew.upgrade() {
                    crew.wake(worker);
                }
            });
        }

        let store_address = StoreActor::start_in_arbiter(&control.handle(), {
            let (values, policy) = (Arc::clone(&values), self.config.eviction.policy());
            move |_| StoreActor::new(values, policy)
        });
        let store = Store::new(store_address.clone(), Arc::clone(&values));
        let registry_address = CallbackRegistry::start_in_arbiter(&registry.handle(), {
            let (errors, resources) = (self.config.callback_errors, values.resources());
            let events = Arc::clone(&events);
            move |_| CallbackRegistry::new(errors, resources, events)
        });
        // Runs of the crew hold the store; it must not hold them.
        let awake = Arc::downgrade(&crew);
        let futures_address = AsyncActor::start_in_arbiter(&futures.handle(), {
            let crew = Arc::clone(&crew);
            move |_| AsyncActor::new(crew, workers)
        });
        let threads = Arc::<Mutex<Vec<JoinHandle<()>>>>::default();
        let (sender, settings) = mpsc::channel();
        let stack_size = self.config.stack_size;
        let scheduler = SchedulerActor::start_in_arbiter(&control.handle(), {
            let (registry, memory) = (registry_address.clone(), Arc::clone(values.memory()));
            move |context| {
                let losses = context.address().recipient();
                let settings = WorkerSettings { crew, memory, stack_size, inline, threads, losses };
                // The builder waits for it, unless it gave up.
                drop(sender.send(settings.clone()));
                SchedulerActor::new(settings, registry, futures_address)
            }
        });
        host.keep([control, registry, futures]);
        let settings = settings
            .recv()
            .map_err(|_| Kind::Start("the actix system of this thread has stopped".to_owned()))?;
        values.link(Links {
            store: store_address,
            recovery: scheduler.clone().recipient(),
            spilled: registry_address.clone().recipient(),
            room: Box::new(move || {
                if let Some(crew) = awake.upgrade() {
                    crew.wake_one();
                }
            }),
        });
        if limits.is_some() {
            values.clean_leftovers();
        }
        scheduler.do_send(StartWorkers { count });
        let client = Client::new(scheduler.clone(), registry_address, store, &runs, &host);
        let checkpoint = self.checkpoint.map(|checkpoint| {
            let guard = client.register(checkpoint.clone());
            (checkpoint, guard)
        });
        let witnesses = Witnesses::default();
        let mut cluster = Cluster {
            client,
            host,
            background,
            scheduler,
            settings,
            shelf: values,
            checkpoint,
            witnesses,
        };
        if let Some(path) = self.journal {
            // For a moment, as for the actors above.
            let monitor = cluster.monitor()?;
            let journal = block_on(monitor.journal(&path), std::thread::park)?;
            cluster.witnesses.journal = Some(journal);
        }
        Ok(cluster)
    }
}

/// Sees whether there can be a thread with such a stack: workers start theirs where nobody can be
/// answered with an error.
fn try_thread(stack_size: usize) -> Result<(), Error> {
    let thread = std::thread::Builder::new().stack_size(stack_size).spawn(|| ());
    let reason = |error| {
        let of = format!("no thread with a stack of {stack_size} bytes can be had");
        Kind::Start(format!("{of}: {error}; ask for less with `stack_size`"))
    };
    // It does nothing that could panic.
    thread.map_err(reason)?.join().ok();
    Ok(())
}

impl Background {
    fn start() -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel();
        let body = move || {
            let runner = System::new();
            drop(sender.send(System::current()));
            if let Err(error) = runner.run() {
                log::error!("the background system of a cluster failed: {error}");
            }
        };
        let thread = std::thread::Builder::new()
            .name("mobula-system".to_owned())
            .spawn(body)
            .map_err(|error| Kind::Start(error.to_string()))?;
        let system =
            receiver.recv().map_err(|_| Kind::Start("its system ended at once".to_owned()))?;
        Ok(Self { system, thread })
    }
}

/// Everything that has to be ended.
struct Ending {
    host: Arc<Host>,
    background: Option<Background>,
    scheduler: Addr<SchedulerActor>,
    settings: WorkerSettings,
    shelf: Arc<Shelf>,
    witnesses: Witnesses,
}

impl Witnesses {
    fn end(self) {
        if let Some(journal) = self.journal
            && let Err(error) = journal.close_blocking()
        {
            log::error!("the journal of a cluster could not be closed: {error}");
        }
    }
}

impl Ending {
    /// Ends everything, and waits for it. Not to be called on a thread that is to be ended.
    fn end(self) {
        if block_on(self.scheduler.send(Close), std::thread::park).is_err() {
            log::debug!("the system of a cluster ended before it, and has stopped its workers");
        }
        let threads = std::mem::take(
            &mut *self.settings.threads.lock().unwrap_or_else(PoisonError::into_inner),
        );
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a worker's thread ended with a panic");
            }
        }
        // All has happened that will.
        self.witnesses.end();
        self.shelf.close();
        self.host.stop();
        if let Some(Background { system, thread }) = self.background {
            system.stop();
            if thread.join().is_err() {
                log::error!("the background system of a cluster ended with a panic");
            }
        }
    }
}

impl Cluster {
    /// Sets up a cluster.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// A client of this cluster, to be cloned and sent to where it is needed.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where values are kept for the next process, if [`ClusterBuilder::checkpoint`] was called.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref().map(|(checkpoint, _)| checkpoint)
    }

    /// Ends the cluster and waits until nothing of it is left. Runs are cancelled; a task that is
    /// running comes to its end first.
    pub async fn shutdown(mut self) {
        let Some(ending) = self.take_ending() else { return };
        let (sender, ended) = oneshot::channel::<()>();
        let body = move || {
            ending.end();
            // Dropping the sender is the signal.
            drop(sender);
        };
        match std::thread::Builder::new().name("mobula-reaper".to_owned()).spawn(body) {
            Ok(reaper) => {
                match ended.await {
                    Ok(()) | Err(Canceled) => {}
                }
                if reaper.join().is_err() {
                    log::error!("a cluster could not be ended");
                }
            }
            Err(error) => log::error!("a cluster cannot be ended: {error}"),
        }
    }

    /// As [`shutdown`](Self::shutdown), for a plain thread. Dropping the cluster there does the same.
    ///
    /// # Errors
    ///
    /// [`Error`] on an arbiter, which would be held up; the cluster ends all the same, but in its own
    /// time.
    pub fn shutdown_blocking(self) -> Result<(), Error> {
        let blocking = is_arbiter_thread() || is_worker_thread();
        drop(self);
        if blocking { Err(Kind::Blocking { call: "shutdown" }.into()) } else { Ok(()) }
    }

    fn take_ending(&mut self) -> Option<Ending> {
        self.client.close().then(|| Ending {
            host: Arc::clone(&self.host),
            background: self.background.take(),
            scheduler: self.scheduler.clone(),
            settings: self.settings.clone(),
            shelf: Arc::clone(&self.shelf),
            witnesses: std::mem::take(&mut self.witnesses),
        })
    }
}

impl Deref for Cluster {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// On a plain thread everything has ended when the drop returns. On an arbiter, or in a task, waiting
/// could last for ever, so there the cluster ends in its own time.
impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(ending) = self.take_ending() else { return };
        if !is_arbiter_thread() && !is_worker_thread() {
            return ending.end();
        }
        let reaper = std::thread::Builder::new().name("mobula-reaper".to_owned());
        if let Err(error) = reaper.spawn(|| ending.end()) {
            log::error!("a cluster cannot be ended: {error}");
        }
    }
}
