//! [`Monitor`]: the handle of those who look at a cluster.

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use futures::Stream;
use futures::channel::mpsc::{Receiver, channel};

use super::actor::{
    AddSink, Latest, Leave, LookNow, MonitorActor, ReadGraph, Sink, Subscribe, TakeSink,
};
use super::blocks::Block;
use super::journal::{JournalFile, Verdict};
use super::recording::{RecordedRun, Recorder, Recording};
use super::snapshot::Snapshot;
use super::sources::Sources;
use crate::actors::{StateRef, block_on, is_arbiter_thread};
use crate::engine::RunId;
use crate::error::{Error, Kind};
use crate::host::Host;

/// A look at a cluster: cloning is cheap, and it goes on until the last clone is dropped.
///
/// See [`Client::monitor`](crate::Client::monitor).
#[derive(Clone, Debug)]
pub struct Monitor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    actor: StateRef<MonitorActor>,
    latest: Latest,
    /// The number of the next one who records.
    next_sink: AtomicU64,
}

/// A [`Monitor`] that does not go on by itself.
#[derive(Debug, Default)]
pub(crate) struct WeakMonitor(Weak<Shared>);

impl WeakMonitor {
    pub(crate) fn upgrade(&self) -> Option<Monitor> {
        self.0.upgrade().map(|shared| Monitor { shared })
    }
}

/// How things stand, and what workers did since the update before.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Update {
    /// How things stand.
    pub snapshot: Arc<Snapshot>,
    /// What workers did; those of one worker are in order.
    pub blocks: Arc<[Block]>,
}

/// The graph of a run, and how its tasks stand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveGraph {
    /// The graph; of what happened in the run, nothing.
    pub run: Arc<RecordedRun>,
    /// By task: 0 waiting, 1 running, 2 done, 3 cached, 4 failed, 5 skipped, 6 not needed.
    pub states: Vec<u8>,
}

/// Updates as they come; see [`Monitor::updates`].
#[derive(Debug)]
pub struct Updates {
    receiver: Receiver<Arc<Update>>,
    /// Who is subscribed to goes on looking.
    _monitor: Monitor,
}

impl Stream for Updates {
    type Item = Arc<Update>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(context)
    }
}

impl Monitor {
    pub(crate) fn start(host: &Host, sources: Sources) -> Result<Self, Error> {
        let latest = Latest::default();
        let actor = host.start_state(MonitorActor::new(sources, Arc::clone(&latest)))?;
        Ok(Self { shared: Arc::new(Shared { actor, latest, next_sink: AtomicU64::new(0) }) })
    }

    pub(crate) fn downgrade(&self) -> WeakMonitor {
        WeakMonitor(Arc::downgrade(&self.shared))
    }

    /// The last snapshot, which is a tenth of a second old at most while the monitor gets some time.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks now.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    pub async fn look(&self) -> Result<Arc<Snapshot>, Error> {
        Ok(self.shared.actor.send(LookNow).await.map_err(|_| Kind::Closed)?)
    }

    /// As [`look`](Self::look), and waits on this thread.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended; and on an arbiter.
    pub fn look_blocking(&self) -> Result<Arc<Snapshot>, Error> {
        refuse_on_arbiter("look")?;
        block_on(self.look(), std::thread::park)
    }

    /// What happens from now on, ten times a second while something does, and once a second else. Who reads
    /// too slowly misses updates, but never the last one.
    pub fn updates(&self) -> Updates {
        let (sender, receiver) = channel(8);
        // If nobody looks any more, the cluster has ended, and so does the stream.
        self.shared.actor.tell(Subscribe(sender)).ok();
        Updates { receiver, _monitor: self.clone() }
    }

    /// The graph of a run, with how its tasks stand; `None` if it is not known any more. That of a run of
    /// up to 2,000 tasks is kept when it is over.
    pub async fn graph(&self, run: u64) -> Option<LiveGraph> {
        self.shared.actor.send(ReadGraph(RunId(run))).await.ok().flatten()
    }

    /// Writes all that happens from now on into a file, as lines of JSON ([`Record`](super::Record)).
    ///
    /// # Errors
    ///
    /// [`Error`] if the file cannot be written, or the cluster has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, graph};
    ///
    /// # let path = std::env::temp_dir().join(format!("mobula-doc-{}.jsonl", std::process::id()));
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let journal = cluster.monitor()?.journal_blocking(&path)?;
    /// cluster.get_blocking(graph! { "x" => (|x: i64| x + 1, 1) }, "x")?;
    /// journal.close_blocking()?;
    /// let lines = std::fs::read_to_string(&path)?;
    /// assert!(lines.starts_with(r#"{"t":"journal","version":1,"#));
    /// assert!(lines.contains(r#""keys":["x"]"#) && lines.contains(r#""status":"done""#));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn journal(&self, path: impl AsRef<Path>) -> Result<Journal, Error> {
        let file = create(path.as_ref())?;
        let verdict = file.verdict();
        Ok(Journal { sink: self.add(Sink::Journal(file)).await?, verdict })
    }

    /// As [`journal`](Self::journal), and waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`journal`](Self::journal); and on an arbiter.
    pub fn journal_blocking(&self, path: impl AsRef<Path>) -> Result<Journal, Error> {
        refuse_on_arbiter("journal")?;
        block_on(self.journal(path), std::thread::park)
    }

    /// Records all that happens from now on, in memory.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, graph};
    ///
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let recording = cluster.monitor()?.record_blocking()?;
    /// cluster.get_blocking(graph! { "x" => (|x: i64| x + 1, 1), "y" => (|x: i64| x, "x") }, "y")?;
    /// let recording = recording.finish_blocking()?;
    /// assert_eq!((recording.runs[0].done, recording.spans.len()), (2, 2));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub async fn record(&self) -> Result<LiveRecording, Error> {
        let recorder = Arc::new(Mutex::new(Recorder::default()));
        let sink = self.add(Sink::Recorder(Arc::clone(&recorder))).await?;
        Ok(LiveRecording { sink, recorder })
    }

    /// As [`record`](Self::record), and waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record); and on an arbiter.
    pub fn record_blocking(&self) -> Result<LiveRecording, Error> {
        refuse_on_arbiter("record")?;
        block_on(self.record(), std::thread::park)
    }

    /// Has `watch` called with each snapshot, on the monitor's own thread.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    pub async fn watch(
        &self,
        watch: impl FnMut(&Snapshot) + Send + 'static,
    ) -> Result<Watch, Error> {
        Ok(Watch { sink: self.add(Sink::Watch(Box::new(watch))).await? })
    }

    async fn add(&self, sink: Sink) -> Result<SinkGuard, Error> {
        let number = self.shared.next_sink.fetch_add(1, Ordering::Relaxed);
        self.shared.actor.send(AddSink { number, sink }).await.map_err(|_| Kind::Closed)?;
        Ok(SinkGuard { monitor: self.clone(), number: Some(number) })
    }
}

fn create(path: &Path) -> Result<JournalFile, Error> {
    let refused = |error: std::io::Error| Kind::Journal {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    Ok(JournalFile::create(path).map_err(refused)?)
}

impl Drop for Shared {
    fn drop(&mut self) {
        // If it is gone, so is the cluster.
        self.actor.tell(Leave).ok();
    }
}

pub(crate) fn refuse_on_arbiter(call: &'static str) -> Result<(), Error> {
    if is_arbiter_thread() { Err(Kind::Blocking { call }.into()) } else { Ok(()) }
}

/// Somebody who records, until it is dropped.
#[derive(Debug)]
struct SinkGuard {
    monitor: Monitor,
    number: Option<u64>,
}

impl SinkGuard {
    /// The sink, with all that has happened until now.
    async fn take(&mut self) -> Option<Sink> {
        let number = self.number.take()?;
        self.monitor.shared.actor.send(TakeSink(number)).await.ok().flatten()
    }
}

impl Drop for SinkGuard {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // What is written is flushed there. If the actor is gone, it has done so before.
            self.monitor.shared.actor.tell(TakeSink(number)).ok();
        }
    }
}

/// A journal that is being written, until it is dropped or [closed](Self::close).
#[derive(Debug)]
#[must_use = "the journal ends when this is dropped"]
pub struct Journal {
    sink: SinkGuard,
    verdict: Verdict,
}

impl Journal {
    /// Ends the journal; when this returns, all that has happened is in the file.
    ///
    /// # Errors
    ///
    /// [`Error`] if not all could be written, as on a full disk; and on an arbiter, where the journal ends in its
    /// own time.
    pub fn close_blocking(self) -> Result<(), Error> {
        refuse_on_arbiter("close")?;
        block_on(self.close(), std::thread::park)
    }

    /// As [`close_blocking`](Self::close_blocking), to be awaited.
    ///
    /// # Errors
    ///
    /// [`Error`] if not all could be written.
    pub async fn close(mut self) -> Result<(), Error> {
        // If nobody is there to answer, the cluster has ended, and the journal with it.
        drop(self.sink.take().await);
        self.verdict.get()
    }
}

/// Somebody who is shown each snapshot, until it is dropped.
#[derive(Debug)]
#[must_use = "nothing is shown any more when this is dropped"]
pub struct Watch {
    sink: SinkGuard,
}

impl Watch {
    /// Shows the last snapshot, and ends. When this returns, nothing is shown any more.
    pub async fn close(mut self) {
        drop(self.sink.take().await);
    }

    /// As [`close`](Self::close), and waits on this thread.
    ///
    /// # Errors
    ///
    /// [`Error`] on an arbiter, where it ends in its own time.
    pub fn close_blocking(self) -> Result<(), Error> {
        refuse_on_arbiter("close")?;
        block_on(self.close(), std::thread::park);
        Ok(())
    }
}

/// A recording that goes on until it is [finished](Self::finish), or until its cluster ends.
#[derive(Debug)]
#[must_use = "what was recorded is lost when this is dropped"]
pub struct LiveRecording {
    sink: SinkGuard,
    recorder: Arc<Mutex<Recorder>>,
}

impl LiveRecording {
    /// Ends the recording, with all that has happened until now.
    pub async fn finish(mut self) -> Recording {
        // If nobody is there to answer, the cluster has ended, and all of it was recorded.
        drop(self.sink.take().await);
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *recorder).finish()
    }

    /// As [`finish`](Self::finish), and waits on this thread.
    ///
    /// # Errors
    ///
    /// [`Error`] on an arbiter.
    pub fn finish_blocking(self) -> Result<Recording, Error> {
        refuse_on_arbiter("finish")?;
        Ok(block_on(self.finish(), std::thread::park))
    }
}
