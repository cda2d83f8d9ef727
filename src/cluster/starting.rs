//! Starts the actors and wires them.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use actix::{Actor, AsyncContext, System};

use super::witnesses::Witnesses;
use super::{Background, Cluster, ClusterBuilder};
use crate::actors::events::Events;
use crate::actors::store::{Links, Shelf, Store};
use crate::actors::{
    AsyncActor, CallbackRegistry, Crew, Fleet, SchedulerActor, StartWorkers, StoreActor,
    Surroundings, WorkerSettings,
};
use crate::client::Client;
use crate::engine::Memory;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::spill::{Disk, Eviction};

impl ClusterBuilder {
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
        let host = Arc::new(Host::new(system, self.config.states.clone()));
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
        let_fleet_wake(&crew);
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
        let mut cluster = Cluster {
            client,
            host,
            background,
            scheduler,
            settings,
            shelf: values,
            checkpoint,
            witnesses: Witnesses::default(),
        };
        cluster.witnesses = self.wishes.witnesses(&cluster)?;
        Ok(cluster)
    }
}

/// Lets the children of workers wake these.
fn let_fleet_wake(crew: &Arc<Crew>) {
    if let Some(fleet) = crew.fleet() {
        let crew = Arc::downgrade(crew);
        fleet.wakes_by(move |worker| {
            if let Some(crew) = crew.upgrade() {
                crew.wake(worker);
            }
        });
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
