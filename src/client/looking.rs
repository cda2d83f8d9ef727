//! What a client can ask of a cluster as a whole: what the store holds, how the workers are, and who looks.

use std::sync::{Arc, PoisonError};

use super::Client;
use super::calls::refuse_on_arbiter;
use crate::actors::store::StoreStats;
use crate::actors::{ReadWorkerStats, WorkerStats, block_on};
use crate::error::{Error, Kind};
use crate::monitor::{Monitor, Sources};

impl Client {
    /// True if both are clients of one cluster.
    pub fn is_of_same_cluster(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    pub async fn stats(&self) -> Result<StoreStats, Error> {
        self.shared.store.stats().await.ok_or_else(|| Kind::Closed.into())
    }

    /// As [`stats`](Self::stats), and waits on this thread.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended; and on an arbiter.
    pub fn stats_blocking(&self) -> Result<StoreStats, Error> {
        refuse_on_arbiter("stats")?;
        block_on(self.stats(), std::thread::park)
    }

    /// What is known of the workers: how many there are, how many threads are stuck in calls that are
    /// over their time limit, and how many were replaced.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// let cluster = mobula::Cluster::builder().workers(2).start()?;
    /// let stats = cluster.worker_stats_blocking()?;
    /// assert_eq!((stats.workers, stats.stuck, stats.replaced), (2, 0, 0));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub async fn worker_stats(&self) -> Result<WorkerStats, Error> {
        let stats = self.shared.scheduler.send(ReadWorkerStats).await;
        stats.ok().filter(|_| !self.is_closed()).ok_or_else(|| Kind::Closed.into())
    }

    /// As [`worker_stats`](Self::worker_stats), and waits on this thread.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended; and on an arbiter.
    pub fn worker_stats_blocking(&self) -> Result<WorkerStats, Error> {
        refuse_on_arbiter("worker_stats")?;
        block_on(self.worker_stats(), std::thread::park)
    }

    /// Begins to look at the cluster: how far runs are, what workers do, what memory is taken. As long as
    /// nobody looks, nothing of that costs anything.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended, or the operating system gives no thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, graph};
    ///
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let monitor = cluster.monitor()?;
    /// cluster.get_blocking(graph! { "x" => (|x: i64| x + 1, 1), "y" => (|x: i64| x, "x") }, "y")?;
    /// let snapshot = monitor.look_blocking()?;
    /// assert_eq!(snapshot.runs[0].counts.done, 2);
    /// assert_eq!(snapshot.runs[0].prefixes[0].name, "x");
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub fn monitor(&self) -> Result<Monitor, Error> {
        let closed = || Error::from(Kind::Closed);
        let host = self.shared.host.upgrade().filter(|_| !self.is_closed()).ok_or_else(closed)?;
        let mut monitor = self.shared.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = monitor.upgrade() {
            return Ok(there);
        }
        let Some(crew) = self.shared.crew.upgrade() else { return Err(closed()) };
        let registry = self.shared.registry.clone().recipient();
        let workers = self.workers();
        let sources = Sources::new(&crew, self.shared.store.shelf(), &host, registry, workers);
        let started = Monitor::start(&host, sources)?;
        *monitor = started.downgrade();
        Ok(started)
    }
}
