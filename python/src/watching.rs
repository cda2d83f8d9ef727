//! Who looks at the clusters of this process: at those that are there, and at those that come.
//!
//! A program has one cluster for each number of workers, and which of them a compute uses shows only then. So
//! whoever wants to look is remembered, and is shown each cluster once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mobula::diagnostics::progress::html;
use mobula::monitor::{Journal, LiveRecording, Monitor, Recording, Snapshot, Watch};
use mobula::{Client, Error};
use pyo3::prelude::*;

use crate::clusters;
use crate::errors;
use crate::fork::PerProcess;
use crate::interpreter::released;
use crate::recording::PyRecording;

/// Somebody who looks at clusters.
pub(crate) trait Witness: Send + Sync {
    /// Looks at a cluster from now on, if it does not yet.
    fn attend(&self, client: &Client) -> Result<(), Error>;
}

#[derive(Default)]
struct Witnesses {
    next: u64,
    by_number: BTreeMap<u64, Arc<dyn Witness>>,
}

static WITNESSES: PerProcess<Witnesses> = PerProcess::new();

/// Shows a cluster to all who look.
pub(crate) fn show(client: &Client) -> Result<(), Error> {
    let witnesses: Vec<_> = WITNESSES.lock().by_number.values().cloned().collect();
    witnesses.iter().try_for_each(|witness| witness.attend(client))
}

/// Remembers somebody who looks, and shows him the clusters that are there. Answers his number.
pub(crate) fn join(witness: &Arc<dyn Witness>) -> Result<u64, Error> {
    let number = {
        let mut witnesses = WITNESSES.lock();
        witnesses.next += 1;
        let number = witnesses.next;
        witnesses.by_number.insert(number, Arc::clone(witness));
        number
    };
    let shown = clusters::all().iter().try_for_each(|client| witness.attend(client));
    shown.inspect_err(|_| leave(number)).map(|()| number)
}

/// Forgets somebody who has looked enough.
pub(crate) fn leave(number: u64) {
    let gone = WITNESSES.lock().by_number.remove(&number);
    drop(gone);
}

/// By cluster: what somebody has there.
pub(crate) struct PerCluster<T>(Mutex<Vec<(Client, T)>>);

impl<T> Default for PerCluster<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> PerCluster<T> {
    /// Makes what is to be there for a cluster, unless it is there.
    pub(crate) fn add(
        &self,
        client: &Client,
        make: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(), Error> {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !items.iter().any(|(other, _)| other.is_of_same_cluster(client)) {
            items.push((client.clone(), make()?));
        }
        Ok(())
    }

    /// What there is of each.
    pub(crate) fn read<R>(&self, read: impl Fn(&T) -> R) -> Vec<R> {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.iter().map(|(_, item)| read(item)).collect()
    }

    pub(crate) fn take(&self) -> Vec<T> {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *items).into_iter().map(|(_, item)| item).collect()
    }
}

/// A recording of all clusters that goes on.
#[pyclass(module = "mobula._core", frozen)]
pub(crate) struct Recorder {
    number: u64,
    recordings: Arc<Recordings>,
}

#[derive(Default)]
struct Recordings(PerCluster<LiveRecording>);

impl Witness for Recordings {
    fn attend(&self, client: &Client) -> Result<(), Error> {
        self.0.add(client, || client.monitor()?.record_blocking())
    }
}

#[pymethods]
impl Recorder {
    /// Begins to record.
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let recordings = Arc::<Recordings>::default();
        let witness = Arc::clone(&recordings) as Arc<dyn Witness>;
        let number = released(py, || join(&witness));
        let number = number.map_err(|error| errors::exception(py, &error))?;
        Ok(Self { number, recordings })
    }

    /// Ends the recording; the second time there is nothing in it.
    fn finish(&self, py: Python<'_>) -> PyResult<PyRecording> {
        let recording = released(py, || {
            leave(self.number);
            let mut all = Recording::default();
            for recording in self.recordings.0.take() {
                all.merge(recording.finish_blocking()?);
            }
            Ok(all)
        });
        let recording = recording.map_err(|error: Error| errors::exception(py, &error))?;
        Ok(PyRecording::new(recording))
    }
}

/// Journals of all clusters, each in a file of its own.
struct Journals {
    path: PathBuf,
    open: PerCluster<Journal>,
    /// How many there have been.
    count: AtomicUsize,
}

impl Witness for Journals {
    fn attend(&self, client: &Client) -> Result<(), Error> {
        self.open.add(client, || {
            let path = match self.count.fetch_add(1, Ordering::Relaxed) {
                0 => self.path.clone(),
                others => numbered(&self.path, others + 1),
            };
            client.monitor()?.journal_blocking(path)
        })
    }
}

/// `journal.jsonl` becomes `journal-2.jsonl`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Begins to write journals of all clusters. What ends them is that nobody has the answer any more.
pub(crate) fn begin_journals(path: PathBuf) -> Result<Looking, Error> {
    let (open, count) = (PerCluster::default(), AtomicUsize::new(0));
    let journals = Arc::new(Journals { path, open, count });
    let witness = Arc::clone(&journals) as Arc<dyn Witness>;
    Ok(Looking { number: join(&witness)?, journals })
}

/// Somebody who writes journals until this is dropped.
pub(crate) struct Looking {
    number: u64,
    journals: Arc<Journals>,
}

impl Looking {
    /// Ends the journals; tells of those that do not hold all that has happened.
    pub(crate) fn end(self) -> Vec<Error> {
        let open = self.journals.open.take();
        open.into_iter().filter_map(|journal| journal.close_blocking().err()).collect()
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        leave(self.number);
    }
}

/// The progress of all clusters: drawn in the terminal, or kept to be asked for.
#[pyclass(module = "mobula._core", frozen)]
pub(crate) struct Progress {
    number: u64,
    progresses: Arc<Progresses>,
    /// The runs up to this number had begun before.
    after: u64,
}

struct Progresses {
    is_drawn: bool,
    of_clusters: PerCluster<(Monitor, Option<Watch>)>,
}

impl Witness for Progresses {
    fn attend(&self, client: &Client) -> Result<(), Error> {
        self.of_clusters.add(client, || {
            let monitor = client.monitor()?;
            let watch = self.is_drawn.then(|| monitor.progress_blocking()).transpose()?;
            Ok((monitor, watch))
        })
    }
}

#[pymethods]
impl Progress {
    /// Begins to draw, or only to look.
    #[new]
    fn new(py: Python<'_>, is_drawn: bool) -> PyResult<Self> {
        let progresses = Arc::new(Progresses { is_drawn, of_clusters: PerCluster::default() });
        let witness = Arc::clone(&progresses) as Arc<dyn Witness>;
        let number = released(py, || join(&witness));
        let number = number.map_err(|error| errors::exception(py, &error))?;
        let after = released(py, || {
            let snapshots = progresses.snapshots(true);
            snapshots.iter().flat_map(|snapshot| &snapshot.runs).map(|run| run.id).max()
        });
        Ok(Self { number, progresses, after: after.unwrap_or(0) })
    }

    /// The runs since then as a piece of HTML: as they were at the last look, or as they are now.
    #[pyo3(signature = (*, now=false))]
    fn html(&self, py: Python<'_>, now: bool) -> String {
        released(py, || {
            let snapshots = self.progresses.snapshots(now);
            let at = snapshots.iter().map(|snapshot| snapshot.at).fold(0.0, f64::max);
            let mut all = Snapshot::default();
            all.at = at;
            for snapshot in snapshots {
                // Each cluster has a clock of its own.
                let later = at - snapshot.at;
                for run in snapshot.runs.iter().filter(|run| run.id > self.after) {
                    let mut run = run.clone();
                    run.began += later;
                    run.ended = run.ended.map(|ended| ended + later);
                    all.runs.push(run);
                }
            }
            all.runs.sort_by_key(|run| run.id);
            html(&all)
        })
    }

    /// Ends it, with a line that stays for each run.
    fn finish(&self, py: Python<'_>) {
        released(py, || {
            leave(self.number);
            for (_, watch) in self.progresses.of_clusters.take() {
                if let Some(Err(error)) = watch.map(Watch::close_blocking) {
                    log::debug!("progress ends by itself: {error}");
                }
            }
        });
    }
}

impl Progresses {
    /// How all clusters stand now, or stood at the last look; of one that has ended, how it stood last.
    fn snapshots(&self, now: bool) -> Vec<Arc<Snapshot>> {
        let monitors = self.of_clusters.read(|(monitor, _)| monitor.clone());
        let look = |monitor: Monitor| {
            let looked = if now { monitor.look_blocking().ok() } else { None };
            looked.unwrap_or_else(|| monitor.snapshot())
        };
        monitors.into_iter().map(look).collect()
    }
}

/// How things stand in each cluster that is there, as JSON.
#[pyfunction]
pub(crate) fn snapshots(py: Python<'_>) -> PyResult<Vec<String>> {
    let snapshots = released(py, || {
        let look = |client: &Client| client.monitor()?.look_blocking();
        clusters::all().iter().map(look).collect::<Result<Vec<_>, Error>>()
    });
    let snapshots = snapshots.map_err(|error| errors::exception(py, &error))?;
    let text = |snapshot: &Arc<_>| serde_json::to_string(&**snapshot);
    let texts = snapshots.iter().map(text).collect::<Result<Vec<_>, _>>();
    texts.map_err(|error| pyo3::exceptions::PyRuntimeError::new_err(error.to_string()))
}
