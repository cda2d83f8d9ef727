//! [`Checkpoint`]: keeps values on disk, and answers for their tasks in the next process.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::{Directory, Label, Unread};
use super::summary::{CheckpointSummary, Counts};
use super::writer::{Work, Writer};
use crate::actors::callbacks::{Callback, HookResult, ObjectRefs, PreState, RunView};
use crate::graph::{BoxError, Fingerprint, Key, Plan, TaskId};
use crate::spill::SpillError;
use crate::value::Value;

/// What a task must have taken for its value to be kept, unless something else is said.
const WORTH_KEEPING: Duration = Duration::from_millis(100);

/// Keeps finished values on disk, so that a process that runs the same graph after a crash goes on from
/// there.
///
/// Give it to [`ClusterBuilder::checkpoint`](crate::ClusterBuilder::checkpoint), or register it as any
/// callback. Which values are kept is said by [`min_time`](Self::min_time) and
/// [`prefixes`](Self::prefixes); by default those of tasks that took 100 milliseconds or more. When a run is
/// over, also by failure, all that it was to keep is on the disk. At the start of a run, what is wanted is
/// looked for first, and only where nothing is found, what that needs: a run whose results are there reads
/// those and nothing else. Clones are the same checkpoint.
///
/// # What is the same task
///
/// A value is found by the [`Fingerprint`] of its task: key, function, arguments, and the same of
/// everything upstream. A literal that changed makes all that depends on it run again and nothing else. So:
///
/// - **The code of a function is not seen.** When you edit one, change the [`version`](Self::version), or
///   the old values are used.
/// - A build of another package version, profile or compiler has other fingerprints, unless functions say
///   what they are, too.
/// - Keys must be the same in each process. Automatic keys are, if the program makes its tasks in the
///   same order; [`Delayed::with_key`](crate::Delayed::with_key) gives one by name.
/// - A task whose function reads files or the clock is not known to have changed when those do: name what
///   it read, its date say, among the arguments.
/// - A closure that captures something has no identity of its own, and neither it nor what depends on it
///   is kept; [`Func::identified_by`](crate::Func::identified_by) and
///   [`DelayedFn::identified_by`](crate::DelayedFn::identified_by) give one.
/// - Values come back only by a [`Codec`](crate::Codec) of the type that the function returns: not those
///   of functions that return [`Value`], [`Opaque`](crate::Opaque) or [`Shared`](crate::Shared).
///
/// # The files
///
/// Each value is a file of its own in the directory, which only its user can read. A file is written
/// aside and renamed when it is whole; a checksum covers all of it. One that is damaged, cut short or of
/// another type is removed with a warning, and its task runs. Several processes may use one directory at
/// the same time. If the directory cannot be written, a warning is logged and the run goes on without.
/// Files stay until [`clear`](Self::clear) is called or somebody removes them; the values are for this kind
/// of machine. Writing has a thread of its own; when 256 MiB of values wait for it, tasks wait, too.
///
/// # Examples
///
/// ```
/// use mobula::{Checkpoint, Cluster, graph};
///
/// fn load(part: i64) -> Vec<i64> {
///     (part..part + 3).collect()
/// }
/// fn sum(items: Vec<i64>) -> i64 {
///     items.iter().sum()
/// }
///
/// # let directory = std::env::temp_dir().join(format!("mobula-doc-checkpoint-{}", std::process::id()));
/// let resumed = || -> Result<u64, mobula::Error> {
///     // As in a process of its own.
///     let checkpoint = Checkpoint::new(&directory).prefixes(["load"]);
///     let cluster = Cluster::builder().workers(1).checkpoint(checkpoint.clone()).start()?;
///     let graph = graph! { ("load", 0) => (load, 5), "sum" => (sum, ("load", 0)) };
///     assert_eq!(cluster.get_blocking(graph, "sum")?.get::<i64>(), Some(&18));
///     Ok(checkpoint.summary().hits)
/// };
/// assert_eq!(resumed()?, 0);
/// assert_eq!(resumed()?, 1); // `load` did not run again
/// # std::fs::remove_dir_all(directory).unwrap();
/// # Ok::<(), mobula::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Values of these are kept, whatever they took.
    prefixes: Option<Arc<BTreeSet<String>>>,
    /// Values of tasks that took so long are kept; `None` for what [`WORTH_KEEPING`] says.
    min_time: Option<Duration>,
    version: Arc<str>,
    max_bytes: Option<u64>,
    inner: Arc<Inner>,
}

/// What clones share.
#[derive(Debug)]
struct Inner {
    files: Arc<Files>,
    writer: Writer<Job>,
}

/// What the writer's thread shares with the others.
#[derive(Debug)]
struct Files {
    directory: Directory,
    counts: Counts,
}

/// A value that is to be written.
#[derive(Debug)]
struct Job {
    fingerprint: Fingerprint,
    key: Key,
    version: Arc<str>,
    max_bytes: u64,
    value: Value,
}

/// From `pretask` to `posttask`.
struct Started {
    at: Instant,
    fingerprint: Option<Fingerprint>,
    /// Of the values that can be read again.
    type_name: Option<&'static str>,
}

impl Checkpoint {
    /// A checkpoint in a directory, which is made when it is needed.
    pub fn new(directory: impl AsRef<Path>) -> Self {
        let files =
            Files { directory: Directory::new(directory.as_ref()), counts: Counts::default() };
        Self {
            prefixes: None,
            min_time: None,
            version: "".into(),
            max_bytes: None,
            inner: Arc::new(Inner { files: Arc::new(files), writer: Writer::new() }),
        }
    }

    /// Keeps the values of keys with these prefixes (see [`Key::prefix`]), whatever they took; others only
    /// if [`min_time`](Self::min_time) was said, too.
    #[must_use]
    pub fn prefixes(mut self, prefixes: impl IntoIterator<Item: Into<String>>) -> Self {
        self.prefixes = Some(Arc::new(prefixes.into_iter().map(Into::into).collect()));
        self
    }

    /// Keeps the values of tasks that took at least so long.
    ///
    /// Choose more than a value costs to keep: two waits for the disk, some milliseconds, and its bytes.
    #[must_use]
    pub fn min_time(mut self, time: Duration) -> Self {
        self.min_time = Some(time);
        self
    }

    /// A part of every fingerprint. Change it when the code of a function has changed.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into().into();
        self
    }

    /// Keeps no more values when the files take so many bytes together; by default they may take what
    /// there is room for.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// What was done so far.
    pub fn summary(&self) -> CheckpointSummary {
        self.inner.files.counts.summary()
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        self.inner.files.directory.path()
    }

    /// Removes all kept values, of every graph and every version, and tells how many that were. Use it
    /// when the work is done. Blocks.
    pub fn clear(&self) -> usize {
        self.inner.writer.wait();
        let files = self.inner.files.directory.list();
        let removed = files.values().filter(|path| Directory::remove(path)).count();
        // Counts anew what is left.
        self.inner.files.directory.list();
        removed
    }

    fn has_prefix(&self, key: &Key) -> bool {
        self.prefixes.as_ref().is_some_and(|prefixes| match key.prefix() {
            Cow::Borrowed(prefix) => prefixes.contains(prefix),
            Cow::Owned(prefix) => prefixes.contains(&prefix),
        })
    }

    /// Whether time alone can be a reason to keep a value, and how much.
    fn enough_time(&self) -> Option<Duration> {
        self.min_time.or_else(|| self.prefixes.is_none().then_some(WORTH_KEEPING))
    }

    fn fingerprint(&self, plan: &Plan, task: TaskId) -> Option<Fingerprint> {
        plan.fingerprint(task).map(|fingerprint| fingerprint.with(&self.version))
    }

    /// Hands a value to the writer.
    fn keep(&self, job: Job) {
        let files = &self.inner.files;
        let make = || -> Work<Job> {
            let (writing, settling) = (Arc::clone(files), Arc::clone(files));
            (
                Box::new(move |job| writing.write(&job)),
                Box::new(move || settling.directory.settle()),
            )
        };
        match self.inner.writer.start(make) {
            Ok(()) => {
                let bytes = job.value.bytes();
                self.inner.writer.push(job, bytes);
            }
            Err(error) => {
                files.counts.change(|counts| counts.failed += 1);
                log::warn!("no thread to keep the value of {:?} can be had: {error}", job.key);
            }
        }
    }
}

impl Files {
    fn write(&self, job: &Job) {
        let limit = job.max_bytes;
        if self.directory.bytes().saturating_add(job.value.bytes() as u64) > limit {
            let place = self.directory.path().display();
            return self.counts.skipped("max_bytes", || {
                format!("`{place}` holds its {limit} bytes of values; others are not kept")
            });
        }
        let label = Label { fingerprint: job.fingerprint, key: &job.key, version: &job.version };
        match self.directory.write(label, &job.value) {
            Ok(bytes) => self.counts.written(&job.key, bytes),
            Err(error @ SpillError::Unspillable { type_name, .. }) => {
                self.counts.skipped(type_name, || format!("{:?} is not kept: {error}", job.key));
            }
            Err(error) => {
                // The directory warns by itself, and not for each value.
                log::debug!("the value of {:?} is not kept: {error}", job.key);
                self.counts.change(|counts| counts.failed += 1);
            }
        }
    }

    /// The value in a file, if it is what it should be.
    fn read(&self, path: &Path, label: Label<'_>, plan: &Plan, task: TaskId) -> Option<Value> {
        let reviver = plan.func(task).reviver()?;
        let (key, place) = (label.key, path.display());
        match Directory::read(path, label, &reviver) {
            Ok((value, bytes)) => {
                self.counts.change(|counts| counts.bytes_read += bytes);
                return Some(value);
            }
            Err(Unread::Gone) => {}
            Err(Unread::Damaged(what)) => {
                log::warn!("the value of {key:?} in `{place}` is not used, and removed: {what}");
                self.counts.change(|counts| counts.damaged += 1);
                Directory::remove(path);
            }
            Err(Unread::Io(error)) => {
                log::warn!("the value of {key:?} in `{place}` cannot be read: {error}");
                self.counts.change(|counts| counts.failed += 1);
            }
        }
        None
    }
}

impl Callback for Checkpoint {
    fn name(&self) -> &'static str {
        "Checkpoint"
    }

    fn graph_lookup(
        &self,
        graph: &Plan,
        is_answered: &dyn Fn(TaskId) -> bool,
    ) -> Result<Vec<(TaskId, Value)>, BoxError> {
        let files = self.inner.files.directory.list();
        let mut found = Vec::new();
        if files.is_empty() {
            return Ok(found);
        }
        // From what is wanted to what that needs, each task once.
        let mut seen = vec![false; graph.len()];
        let mut left = graph.outputs().to_vec();
        while let Some(task) = left.pop() {
            if std::mem::replace(&mut seen[task.index()], true) || is_answered(task) {
                continue;
            }
            let file = self
                .fingerprint(graph, task)
                .and_then(|fingerprint| files.get(&fingerprint).map(|path| (path, fingerprint)));
            let value = file.and_then(|(path, fingerprint)| {
                let label = Label { fingerprint, key: graph.key(task), version: &self.version };
                self.inner.files.read(path, label, graph, task)
            });
            match value {
                Some(value) => found.push((task, value)),
                None => left.extend_from_slice(graph.dependencies(task)),
            }
        }
        Ok(found)
    }

    fn lookup_used(&self, keys: &[&Key]) -> HookResult {
        for key in keys {
            self.inner.files.counts.hit(key);
        }
        Ok(())
    }

    fn pretask(&self, key: &Key, object_refs: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        if self.enough_time().is_none() && !self.has_prefix(key) {
            return Ok(None);
        }
        let (task, plan) = (object_refs.task().id(), object_refs.task().plan());
        let fingerprint = self.fingerprint(plan, task);
        let type_name = plan.func(task).reviver().map(|reviver| reviver.type_name());
        #[expect(clippy::disallowed_methods, reason = "what a task took is a matter of time")]
        let at = Instant::now();
        Ok(Some(Box::new(Started { at, fingerprint, type_name })))
    }

    fn posttask(&self, key: &Key, result: &Value, state: PreState) -> HookResult {
        let started = state.and_then(|state| state.downcast::<Started>().ok());
        let Some(Started { at, fingerprint, type_name }) = started.map(|started| *started) else {
            return Ok(());
        };
        let took_enough = self.enough_time().is_some_and(|enough| at.elapsed() >= enough);
        if !took_enough && !self.has_prefix(key) {
            return Ok(());
        }
        let counts = &self.inner.files.counts;
        let Some(fingerprint) = fingerprint else {
            counts.skipped("fingerprint", || {
                format!(
                    "the value of {key:?} is not kept, and maybe others: its function, one before it, \
                     or a literal cannot be recognized by another process; see `Func::identified_by` \
                     and `Data::codec`"
                )
            });
            return Ok(());
        };
        let name = result.type_name();
        if !result.can_spill() || type_name != Some(name) {
            counts.skipped(name, || {
                format!(
                    "the value of {key:?} is not kept, nor are others of type `{name}`: there is no \
                     codec, or the function does not say that it returns this type"
                )
            });
            return Ok(());
        }
        self.keep(Job {
            fingerprint,
            key: key.clone(),
            version: Arc::clone(&self.version),
            max_bytes: self.max_bytes.unwrap_or(u64::MAX),
            value: result.clone(),
        });
        Ok(())
    }

    fn graph_finish(&self, _: &Plan, _: &RunView<'_>, _: bool) -> HookResult {
        self.inner.writer.wait();
        Ok(())
    }
}

macro_rules! from_paths {
    ($($path:ty),*) => {
        $(
            /// A checkpoint in that directory.
            impl From<$path> for Checkpoint {
                fn from(directory: $path) -> Self {
                    Self::new(directory)
                }
            }
        )*
    };
}

from_paths!(&str, String, &Path, PathBuf, &PathBuf);
