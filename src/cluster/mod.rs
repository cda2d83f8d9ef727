//! [`Cluster`]: starts the actors, wires them, and ends them in order.
//!
//! `builder` has the settings, `starting` starts everything, and here it ends. Nobody else knows all actors.

mod builder;
mod starting;
mod witnesses;

use std::ops::Deref;
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::JoinHandle;

use actix::{Addr, System};
use futures::channel::oneshot::{self, Canceled};

use crate::actors::store::Shelf;
use crate::actors::{
    Close, SchedulerActor, WorkerSettings, block_on, is_arbiter_thread, is_worker_thread,
};
use crate::client::{CallbackGuard, Client};
use crate::diagnostics::Checkpoint;
use crate::error::{Error, Kind};
use crate::host::Host;
use witnesses::Witnesses;

pub use builder::ClusterBuilder;

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

/// A system of our own, in a program that has none.
#[derive(Debug)]
struct Background {
    system: System,
    thread: JoinHandle<()>,
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
