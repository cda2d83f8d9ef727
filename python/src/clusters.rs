//! The clusters of this process: made when they are first needed, one for each number of workers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mobula::{Client, Cluster, ClusterBuilder};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::actors;
use crate::aside;
use crate::errors;
use crate::fork;
use crate::interpreter::{Interpreter, released};
use crate::object;
use crate::remote;
use crate::run::wait_for;

/// The clusters of this process.
struct Clusters {
    settings: Settings,
    /// By number of workers; `None` is the usual number.
    threads: BTreeMap<Option<usize>, Shared>,
    /// Clusters that work in the thread which waits, and that nobody uses just now.
    inline: Vec<Cluster>,
    /// True from `init` or the first use on, until `shutdown`.
    is_initialized: bool,
}

/// A cluster that several callers use.
struct Shared {
    cluster: Cluster,
    /// Held by all who use it.
    users: Arc<()>,
}

/// The right to use a cluster. It does not keep the cluster from being shut down.
#[derive(Clone)]
pub(crate) struct Handle {
    client: Client,
    #[expect(dead_code, reason = "it is counted")]
    user: Arc<()>,
}

impl Handle {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Shared {
    fn handle(&self) -> Handle {
        Handle { client: self.cluster.client().clone(), user: Arc::clone(&self.users) }
    }
}

/// What `init` was told.
#[derive(Clone, Default)]
struct Settings {
    workers: Option<usize>,
    memory_limit: Option<Memory>,
    spill_directory: Option<String>,
    max_spill: Option<u64>,
}

/// A limit of memory, as it may be written.
#[derive(Clone, FromPyObject)]
pub(crate) enum Memory {
    Bytes(u64),
    Share(f64),
    Text(String),
}

static CLUSTERS: Mutex<Clusters> = Mutex::new(Clusters {
    settings: Settings {
        workers: None,
        memory_limit: None,
        spill_directory: None,
        max_spill: None,
    },
    threads: BTreeMap::new(),
    inline: Vec::new(),
    is_initialized: false,
});

/// More clusters than this that nobody uses are not kept.
const MOST_INLINE: usize = 4;
const MOST_NUMBERS: usize = 4;

/// Deep recursion is what the stack of Python's main thread allows.
const STACK: usize = 16 << 20;

fn lock() -> MutexGuard<'static, Clusters> {
    CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Settings {
    fn builder(&self) -> ClusterBuilder {
        let mut builder = Cluster::builder().environment(Interpreter::new()).stack_size(STACK);
        if let Some(limit) = &self.memory_limit {
            builder = match limit {
                Memory::Bytes(bytes) => builder.memory_limit(*bytes),
                Memory::Share(share) => builder.memory_limit(*share),
                Memory::Text(text) => builder.memory_limit(text.as_str()),
            };
        }
        if let Some(directory) = &self.spill_directory {
            builder = builder.spill_directory(directory);
        }
        if let Some(bytes) = self.max_spill {
            builder = builder.max_spill(bytes);
        }
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        builder
    }
}

/// A cluster with worker threads, and with as many of them as asked for.
pub(crate) fn threads(py: Python<'_>, workers: Option<usize>) -> PyResult<Handle> {
    if workers == Some(0) {
        return Err(PyValueError::new_err("the number of workers must be 1 or more"));
    }
    let found = released(py, || lock().threads.get(&workers).map(Shared::handle));
    if let Some(handle) = found {
        return Ok(handle);
    }
    aside::RELEASES.start();
    let made = released(py, || {
        let mut clusters = lock();
        if let Some(shared) = clusters.threads.get(&workers) {
            return Ok(shared.handle());
        }
        let mut builder = clusters.settings.builder();
        if let Some(workers) = workers {
            builder = builder.workers(workers);
        }
        let shared = Shared { cluster: builder.start()?, users: Arc::default() };
        let handle = shared.handle();
        clusters.is_initialized = true;
        let too_many = clusters.threads.len() > MOST_NUMBERS;
        let unused = if too_many { clusters.take_unused() } else { None };
        clusters.threads.insert(workers, shared);
        drop(clusters);
        drop(unused);
        Ok(handle)
    });
    made.map_err(|error: mobula::Error| errors::exception(py, &error))
}

impl Clusters {
    /// Some cluster with a number of workers of its own that nobody uses just now.
    fn take_unused(&mut self) -> Option<Shared> {
        let is_unused = |(number, shared): (&Option<usize>, &Shared)| {
            (number.is_some() && Arc::strong_count(&shared.users) == 1).then_some(*number)
        };
        let number = self.threads.iter().find_map(is_unused)?;
        self.threads.remove(&number)
    }
}

/// A cluster without threads, for one thread's use.
pub(crate) struct Inline(Option<Cluster>);

impl Inline {
    pub(crate) fn client(&self) -> &Client {
        self.0.as_ref().expect("only `drop` takes the cluster").client()
    }
}

pub(crate) fn inline(py: Python<'_>) -> PyResult<Inline> {
    aside::RELEASES.start();
    let made = released(py, || {
        let mut clusters = lock();
        if let Some(cluster) = clusters.inline.pop() {
            return Ok(cluster);
        }
        clusters.is_initialized = true;
        let builder = clusters.settings.builder();
        drop(clusters);
        builder.inline().start()
    });
    made.map(|cluster| Inline(Some(cluster))).map_err(|error| errors::exception(py, &error))
}

impl Drop for Inline {
    fn drop(&mut self) {
        let mut clusters = lock();
        if clusters.is_initialized && clusters.inline.len() < MOST_INLINE {
            clusters.inline.extend(self.0.take());
        }
        drop(clusters);
    }
}

/// Sets up the workers and the store; without it, the first use does. See `mobula.init`.
#[pyfunction]
#[pyo3(signature = (workers=None, memory_limit=None, spill_directory=None, max_spill=None))]
pub(crate) fn init(
    py: Python<'_>,
    workers: Option<usize>,
    memory_limit: Option<Memory>,
    spill_directory: Option<String>,
    max_spill: Option<u64>,
) -> PyResult<()> {
    if workers == Some(0) {
        return Err(PyValueError::new_err("the number of workers must be 1 or more"));
    }
    let old = released(py, || {
        let mut clusters = lock();
        if clusters.is_initialized {
            return Err("Mobula is running already; call `mobula.shutdown()` before `init` again");
        }
        let settings = Settings { workers, memory_limit, spill_directory, max_spill };
        Ok(std::mem::replace(&mut clusters.settings, settings))
    });
    let old = old.map_err(PyRuntimeError::new_err)?;
    // What is wrong with the settings shows now, and then they do not hold.
    threads(py, None).map(drop).inspect_err(|_| lock().settings = old)
}

/// True if there are workers.
#[pyfunction]
pub(crate) fn is_initialized(py: Python<'_>) -> bool {
    released(py, || lock().is_initialized)
}

/// Cancels what runs, waits for the tasks that are running, and ends all workers. A signal ends the
/// waiting, and the workers end when they can.
#[pyfunction]
pub(crate) fn shutdown(py: Python<'_>) -> PyResult<()> {
    let clusters = released(py, || {
        let mut clusters = lock();
        let threads = std::mem::take(&mut clusters.threads);
        let inline = std::mem::take(&mut clusters.inline);
        clusters.settings = Settings::default();
        clusters.is_initialized = false;
        (threads, inline)
    });
    if clusters.0.is_empty() && clusters.1.is_empty() {
        return Ok(());
    }
    let (sender, ended) = futures::channel::oneshot::channel::<()>();
    let body = move || {
        drop(clusters);
        drop(sender); // The signal.
    };
    let ending = std::thread::Builder::new().name("mobula-ending".to_owned()).spawn(body);
    ending.map_err(|error| {
        PyRuntimeError::new_err(format!("the workers cannot be ended: {error}"))
    })?;
    // That the sender is gone is what was waited for.
    wait_for(py, ended)?.ok();
    object::release_elsewhere(py);
    Ok(())
}

/// In a child process after a fork there are no threads: the clusters are forgotten, and new ones are
/// made when they are needed.
#[pyfunction]
pub(crate) fn after_fork() {
    fork::in_child();
    actors::in_child();
    aside::in_child();
    remote::in_child();
    let mut clusters = match CLUSTERS.try_lock() {
        Ok(clusters) => clusters,
        Err(std::sync::TryLockError::Poisoned(clusters)) => clusters.into_inner(),
        // Held by a thread that is not here any more.
        Err(std::sync::TryLockError::WouldBlock) => return,
    };
    // Their ends would wait for threads that are not here.
    std::mem::forget(std::mem::take(&mut clusters.threads));
    std::mem::forget(std::mem::take(&mut clusters.inline));
    clusters.is_initialized = false;
}
