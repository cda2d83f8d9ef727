//! Settings of a cluster, with their defaults. Plain data.

use std::num::NonZero;
use std::sync::Arc;

use crate::actors::callbacks::CallbackErrors;
use crate::actors::events::HistorySettings;
use crate::actors::{Processes, WorkerEnvironment};
use crate::spill::{DiskSettings, Eviction, MemoryLimit, Thresholds};

/// What tells of the state actors that a program keeps itself: by actor its name, how many messages it was sent,
/// and whether it is there.
#[derive(Clone)]
pub(crate) struct StateSource(pub(crate) Arc<dyn Fn() -> Vec<(String, u64, bool)> + Send + Sync>);

impl std::fmt::Debug for StateSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateSource")
    }
}

/// How a cluster is set up.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// How many worker threads; by default one for each core that this process may use (affinity and
    /// container limits are respected).
    pub(crate) workers: usize,
    /// True if there is one worker without a thread: whoever waits for a run works on it.
    pub(crate) inline: bool,
    /// What is around the work of a worker's thread.
    pub(crate) environment: Option<Arc<dyn WorkerEnvironment>>,
    /// The processes in which tasks can be called.
    pub(crate) processes: Option<Arc<dyn Processes>>,
    /// True if those are started with the workers.
    pub(crate) start_processes: bool,
    /// What happens when a hook fails.
    pub(crate) callback_errors: CallbackErrors,
    /// The stack of a worker's thread, in bytes: 8 MiB by default, as on the main thread. Memory is
    /// used only for what a task really needs of it.
    pub(crate) stack_size: usize,
    /// What the values in memory may take, as it was asked for: an error is told at the start.
    pub(crate) memory_limit: Result<MemoryLimit, String>,
    /// From which shares of the limit on what happens.
    pub(crate) thresholds: Thresholds,
    /// Which values move to disk first.
    pub(crate) eviction: Eviction,
    /// What is remembered of what happened.
    pub(crate) history: HistorySettings,
    /// Tells of state actors that the program keeps itself.
    pub(crate) states: Option<StateSource>,
    /// Where values move to, and how.
    pub(crate) disk: DiskSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, NonZero::get),
            inline: false,
            environment: None,
            processes: None,
            start_processes: false,
            callback_errors: CallbackErrors::default(),
            stack_size: 8 << 20,
            memory_limit: Ok(MemoryLimit::default()),
            thresholds: Thresholds::default(),
            eviction: Eviction::default(),
            history: HistorySettings { most: 10_000, every_task: false },
            states: None,
            disk: DiskSettings::default(),
        }
    }
}
