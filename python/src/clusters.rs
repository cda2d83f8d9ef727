//! The clusters of this process: made when they are first needed, one for each number of workers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

use mobula::dashboard::{Dashboard, DashboardSettings};
use mobula::{Client, Cluster, ClusterBuilder, Explanation, MemoryLimit, Placement};
use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::actors;
use crate::aside;
use crate::asks;
use crate::dashboard;
use crate::errors;
use crate::fork::{self, PerProcess};
use crate::ingest::name;
use crate::interpreter::{Interpreter, released};
use crate::logging;
use crate::numbers::{shown, whole};
use crate::object;
use crate::processes::{ProcessSettings, Program};
use crate::run::wait_for;
use crate::watching::{self, Looking};

/// The clusters of this process. A fork begins with none, and with the settings.
#[derive(Default)]
struct Clusters {
    settings: Settings,
    /// By number of workers; `None` is the usual number.
    threads: BTreeMap<Option<usize>, Shared>,
    /// Clusters that work in the thread which waits, and that nobody uses just now.
    inline: Vec<Cluster>,
    /// True from `init` or the first use on, until `shutdown`.
    is_initialized: bool,
    /// Those who look until `shutdown`.
    looking: Vec<Looking>,
    dashboard: Option<Dashboard>,
}

/// A cluster that several callers use.
struct Shared {
    cluster: Cluster,
    /// Held by all who use it.
    users: Arc<()>,
    /// When it was used last, counted in uses of all clusters.
    last_use: AtomicU64,
}

/// How often clusters were used.
static USES: AtomicU64 = AtomicU64::new(0);

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
        self.last_use.store(USES.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Handle { client: self.cluster.client().clone(), user: Arc::clone(&self.users) }
    }
}

/// What `init` was told; by default nothing.
#[derive(Clone, Default)]
struct Settings {
    workers: Option<usize>,
    memory_limit: Option<MemoryLimit>,
    spill_directory: Option<String>,
    max_spill: Option<u64>,
    /// Where tasks are called, unless a run says it.
    placement: Placement,
    processes: ProcessSettings,
}

/// A limit of memory, as it may be written.
#[derive(FromPyObject)]
enum Memory {
    Bytes(u64),
    Share(f64),
    Text(String),
}

fn memory_limit(given: &Bound<'_, PyAny>) -> PyResult<MemoryLimit> {
    let Ok(limit) = given.extract::<Memory>() else {
        return Err(PyTypeError::new_err(format!(
            "memory_limit must be a number of bytes, a share of the memory (0.5) or text (\"2 GiB\", \
             \"50%\", \"auto\", \"none\"), not {}",
            shown(given)
        )));
    };
    let limit = match limit {
        Memory::Bytes(bytes) => Ok(MemoryLimit::Bytes(bytes)),
        Memory::Share(share) => MemoryLimit::try_from(share),
        Memory::Text(text) => MemoryLimit::try_from(text),
    };
    limit.map_err(|error| wrong("memory_limit", given, &error))
}

/// How many bytes of values there may be on disk; none if any number.
fn max_spill(given: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if let Ok(text) = given.cast::<PyString>() {
        let limit = text.to_str()?.parse::<MemoryLimit>();
        return match limit.map_err(|error| wrong("max_spill", given, &error))? {
            MemoryLimit::Bytes(bytes) => Ok(Some(bytes)),
            MemoryLimit::Unlimited => Ok(None),
            MemoryLimit::Auto | MemoryLimit::Share(_) => {
                Err(wrong("max_spill", given, &"a size is needed, such as \"10 GiB\", or \"none\""))
            }
        };
    }
    given.extract::<u64>().map(Some).map_err(|error| {
        let message = format!(
            "max_spill must be a number of bytes, or text such as \"10 GiB\", not {}",
            shown(given)
        );
        if error.is_instance_of::<PyTypeError>(given.py()) {
            PyTypeError::new_err(message)
        } else {
            PyValueError::new_err(message)
        }
    })
}

fn wrong(name: &str, given: &Bound<'_, PyAny>, reason: &dyn Display) -> PyErr {
    PyValueError::new_err(format!("{name}={}: {reason}", shown(given)))
}

static CLUSTERS: PerProcess<Clusters> = PerProcess::new();

/// More clusters than this that nobody uses are not kept.
const MOST_INLINE: usize = 4;
const MOST_NUMBERS: usize = 4;

/// Deep recursion is what the stack of Python's main thread allows.
const STACK: usize = 16 << 20;

fn lock() -> MutexGuard<'static, Clusters> {
    CLUSTERS.lock()
}

impl Settings {
    /// For so many workers, or for the usual number.
    fn builder(&self, workers: Option<usize>) -> ClusterBuilder {
        let program = Program::new(self.processes.clone(), workers);
        let mut builder = Cluster::builder()
            .environment(Interpreter::new())
            .processes(program)
            .start_processes(self.placement == Placement::Processes)
            .stack_size(STACK)
            .states(actors::states);
        if let Some(limit) = self.memory_limit {
            builder = builder.memory_limit(limit);
        }
        if let Some(directory) = &self.spill_directory {
            builder = builder.spill_directory(directory);
        }
        if let Some(bytes) = self.max_spill {
            builder = builder.max_spill(bytes);
        }
        if let Some(workers) = workers.or(self.workers) {
            builder = builder.workers(workers);
        }
        builder
    }
}

/// Where tasks are called, by the name of the kind of workers.
pub(crate) fn placement(kind: &Bound<'_, PyAny>) -> PyResult<Placement> {
    let name = kind.cast::<PyString>().ok().and_then(|name| name.to_str().ok());
    match name {
        Some("threads") => Ok(Placement::Threads),
        Some("processes") => Ok(Placement::Processes),
        Some("auto") => Ok(Placement::Auto),
        _ => Err(PyValueError::new_err(format!(
            "workers={}: there are \"threads\", \"processes\" and \"auto\"",
            shown(kind)
        ))),
    }
}

/// What a key's task is doing, and where tasks like it are called; in words. All clusters are asked that there
/// are, for each number of workers has its own, and none is started.
#[pyfunction]
pub(crate) fn explain(py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<String> {
    let key = name(key);
    let explained = released(py, || {
        let handles: Vec<_> = lock().threads.values().map(Shared::handle).collect();
        let explain = |handle: &Handle| handle.client().explain_blocking(&key);
        handles.iter().map(explain).collect::<Result<Vec<_>, _>>()
    });
    let explained = explained.map_err(|error| errors::exception(py, &error))?;
    let told: Vec<_> =
        explained.iter().filter(|it| !it.is_empty()).map(ToString::to_string).collect();
    if told.is_empty() {
        return Ok(Explanation::nothing(key).to_string());
    }
    Ok(told.join("\n"))
}

/// The clusters that are there, but those without threads that work just now.
pub(crate) fn all() -> Vec<Client> {
    let clusters = lock();
    let inline = clusters.inline.iter().map(Cluster::client);
    let threads = clusters.threads.values().map(|shared| shared.cluster.client());
    threads.chain(inline).cloned().collect()
}

/// Where tasks are called if a run does not say it.
pub(crate) fn usual_placement(py: Python<'_>) -> Placement {
    released(py, || lock().settings.placement)
}

/// A cluster with worker threads, and with as many of them as asked for.
pub(crate) fn threads(py: Python<'_>, workers: Option<usize>) -> PyResult<Handle> {
    let found = released(py, || lock().threads.get(&workers).map(Shared::handle));
    if let Some(handle) = found {
        return Ok(handle);
    }
    if workers.is_some() {
        // As many as usual are those that are there.
        let usual = released(py, || lock().threads.get(&None).map(Shared::handle));
        if let Some(usual) = usual.filter(|usual| Some(usual.client().workers()) == workers) {
            return Ok(usual);
        }
    }
    logging::follow_level(py)?;
    aside::RELEASES.start();
    let made = released(py, || {
        let mut clusters = lock();
        if let Some(shared) = clusters.threads.get(&workers) {
            return Ok((shared.handle(), false));
        }
        let builder = clusters.settings.builder(workers);
        let is_unseen = workers.is_some() && clusters.dashboard.is_some();
        let shared = Shared {
            cluster: builder.start()?,
            users: Arc::default(),
            last_use: AtomicU64::new(0),
        };
        let handle = shared.handle();
        clusters.is_initialized = true;
        let too_many = clusters.threads.len() > MOST_NUMBERS;
        let unused = if too_many { clusters.take_unused() } else { None };
        clusters.threads.insert(workers, shared);
        drop(clusters);
        drop(unused);
        watching::show(handle.client())?;
        Ok((handle, is_unseen))
    });
    let (handle, is_unseen) = made.map_err(|error: mobula::Error| errors::exception(py, &error))?;
    if is_unseen {
        let number = handle.client().workers();
        let text = format!(
            "num_workers={number}: these workers are others than those that the dashboard shows, and it \
             shows nothing of their runs; leave num_workers out, or give mobula.init that number"
        );
        let category = py.get_type::<PyRuntimeWarning>();
        PyErr::warn(py, &category, &CString::new(text)?, 1)?;
    }
    Ok(handle)
}

impl Clusters {
    /// The cluster that nobody has used for the longest time, of those with a number of workers of their
    /// own that nobody uses just now.
    fn take_unused(&mut self) -> Option<Shared> {
        let is_unused = |(number, shared): &(&Option<usize>, &Shared)| {
            number.is_some() && Arc::strong_count(&shared.users) == 1
        };
        let unused = self.threads.iter().filter(is_unused);
        let oldest = unused.min_by_key(|(_, shared)| shared.last_use.load(Ordering::Relaxed));
        let number = *oldest?.0;
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
    let kept = released(py, || lock().inline.pop());
    if kept.is_none() {
        logging::follow_level(py)?;
    }
    aside::RELEASES.start();
    let made = released(py, || {
        let mut clusters = lock();
        clusters.is_initialized = true;
        let builder = clusters.settings.builder(None);
        drop(clusters);
        let cluster = kept.map_or_else(|| builder.inline().start(), Ok)?;
        watching::show(cluster.client())?;
        Ok(cluster)
    });
    made.map(|cluster| Inline(Some(cluster)))
        .map_err(|error: mobula::Error| errors::exception(py, &error))
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
#[pyo3(signature = (workers=None, memory_limit=None, spill_directory=None, max_spill=None, *, kind=None, preimport=None, shared_directory=None, readonly=false, log_to_driver=true, journal=None, dashboard=None, workers_name="num_cpus"))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn init(
    py: Python<'_>,
    workers: Option<&Bound<'_, PyAny>>,
    memory_limit: Option<&Bound<'_, PyAny>>,
    spill_directory: Option<String>,
    max_spill: Option<&Bound<'_, PyAny>>,
    kind: Option<&Bound<'_, PyAny>>,
    preimport: Option<Vec<String>>,
    shared_directory: Option<String>,
    readonly: bool,
    log_to_driver: bool,
    journal: Option<PathBuf>,
    dashboard: Option<&Bound<'_, PyAny>>,
    workers_name: &str,
) -> PyResult<()> {
    if asks::is_child() {
        return Err(PyRuntimeError::new_err(
            "Mobula is running already, in the parent of this process, which alone can set it up",
        ));
    }
    logging::follow_level(py)?;
    let placement = kind.map(placement).transpose()?.unwrap_or_default();
    let processes = ProcessSettings {
        preimport: preimport.unwrap_or_default(),
        shared_directory,
        readonly,
        is_quiet: !log_to_driver,
    };
    let workers = workers.map(|given| whole(given, workers_name, 1)).transpose()?;
    let memory_limit = memory_limit.map(self::memory_limit).transpose()?;
    let max_spill = max_spill.map(self::max_spill).transpose()?.flatten();
    let dashboard = dashboard.map(dashboard::settings).transpose()?.flatten();
    let old = released(py, || {
        let mut clusters = lock();
        if clusters.is_initialized {
            return Err("Mobula is running already; call `mobula.shutdown()` before `init` again");
        }
        let settings =
            Settings { workers, memory_limit, spill_directory, max_spill, placement, processes };
        Ok(std::mem::replace(&mut clusters.settings, settings))
    });
    let old = old.map_err(PyRuntimeError::new_err)?;
    // Workers that cannot be had show now, and then the settings do not hold.
    threads(py, None).map(drop).inspect_err(|_| lock().settings = old)?;
    begin_to_look(py, journal, dashboard).inspect_err(|_| drop(shutdown(py)))
}

/// Has those look who are to look until `shutdown`.
fn begin_to_look(
    py: Python<'_>,
    journal: Option<PathBuf>,
    dashboard: Option<DashboardSettings>,
) -> PyResult<()> {
    if let Some(path) = journal {
        let looking = released(py, || watching::begin_journals(path));
        let looking = looking.map_err(|error| errors::exception(py, &error))?;
        released(py, || lock().looking.push(looking));
    }
    if let Some(settings) = dashboard {
        let dashboard = dashboard::start(py, settings)?;
        released(py, || lock().dashboard = Some(dashboard));
    }
    Ok(())
}

/// Where the dashboard is to be seen, if there is one.
pub(crate) fn dashboard_url() -> Option<String> {
    lock().dashboard.as_ref().map(Dashboard::url)
}

/// True if there are workers.
#[pyfunction]
pub(crate) fn is_initialized(py: Python<'_>) -> bool {
    // There are those of the parent, of which this process is one.
    asks::is_child() || released(py, || lock().is_initialized)
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
        let witnesses = (clusters.dashboard.take(), std::mem::take(&mut clusters.looking));
        (threads, inline, witnesses)
    });
    if clusters.0.is_empty() && clusters.1.is_empty() {
        return Ok(());
    }
    let (sender, ended) = futures::channel::oneshot::channel();
    let body = move || {
        let (threads, inline, (dashboard, looking)) = clusters;
        drop((threads, inline, dashboard));
        // They hold the ends of all runs by now.
        let cut: Vec<_> = looking.into_iter().flat_map(Looking::end).collect();
        // If nobody waits any more, nobody is told.
        sender.send(cut).ok();
    };
    let ending = std::thread::Builder::new().name("mobula-ending".to_owned()).spawn(body);
    ending.map_err(|error| {
        PyRuntimeError::new_err(format!("the workers cannot be ended: {error}"))
    })?;
    let cut = wait_for(py, ended)?.unwrap_or_default();
    object::release_elsewhere(py);
    let warning = py.get_type::<PyRuntimeWarning>();
    for error in cut {
        let text = CString::new(format!("{error}; what is written ends before the end"))?;
        PyErr::warn(py, &warning, &text, 1)?;
    }
    Ok(())
}

thread_local! {
    /// What the child of a fork is told, while this thread forks.
    static INHERITED: RefCell<Option<Settings>> = const { RefCell::new(None) };
}

/// Before a fork: keeps for the child what `init` was told.
#[pyfunction]
pub(crate) fn before_fork() {
    INHERITED.set(Some(lock().settings.clone()));
}

/// In a child process after a fork there are no threads: the clusters are its parent's, and new ones are made
/// when they are needed.
#[pyfunction]
pub(crate) fn after_fork() {
    fork::in_child();
    asks::in_child();
    if let Some(settings) = INHERITED.take() {
        lock().settings = settings;
    }
}
