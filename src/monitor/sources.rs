//! [`Sources`]: what the monitor looks at.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use actix::Recipient;

use super::model::Look;
use super::snapshot::{MemorySnapshot, StateSnapshot};
use super::system::resident;
use crate::actors::callbacks::DoAside;
use crate::actors::events::Events;
use crate::actors::store::Shelf;
use crate::actors::worker::ActiveRun;
use crate::actors::{Crew, Fleet};
use crate::engine::{WorkerId, spares};
use crate::host::Host;

/// What the monitor looks at. It keeps no run, and not the cluster.
pub(crate) struct Sources {
    crew: Weak<Crew>,
    shelf: Arc<Shelf>,
    host: Weak<Host>,
    pub(super) events: Arc<Events>,
    /// Where code of users may run: destructors of what plans hold.
    pub(super) aside: Recipient<DoAside>,
    workers: usize,
}

impl Sources {
    pub(crate) fn new(
        crew: &Arc<Crew>,
        shelf: &Arc<Shelf>,
        host: &Arc<Host>,
        aside: Recipient<DoAside>,
        workers: usize,
    ) -> Self {
        Self {
            events: Arc::clone(crew.events()),
            crew: Arc::downgrade(crew),
            shelf: Arc::clone(shelf),
            host: Arc::downgrade(host),
            aside,
            workers,
        }
    }

    /// The runs that go on.
    pub(super) fn runs(&self) -> Arc<Vec<Arc<ActiveRun>>> {
        self.crew.upgrade().map(|crew| crew.runs().1).unwrap_or_default()
    }

    /// Looks what workers do and what memory is taken.
    pub(super) fn look(&self) -> Look {
        let mut look = Look { workers: self.workers, ..Look::default() };
        let seats = self.workers + spares(self.workers).len() + 1;
        for active in self.runs().iter().filter(|active| active.run.is_running()) {
            let run = active.run.id();
            for worker in (0..u32::try_from(seats).unwrap_or(u32::MAX)).map(WorkerId) {
                if let Some(task) = active.run.running_in(worker) {
                    look.inside.insert(worker, (run, task));
                }
            }
            let awaited = active.awaited.load(std::sync::atomic::Ordering::Relaxed);
            if awaited > 0 {
                look.awaited.push((run, awaited as u64));
            }
        }
        let crew = self.crew.upgrade();
        if let Some(fleet) = crew.as_ref().and_then(|crew| crew.fleet()) {
            look_at_children(fleet, &mut look);
        }
        look.memory = self.memory(&look.processes);
        let states = self.host.upgrade().map(|host| host.states()).unwrap_or_default();
        look.states = states
            .into_iter()
            .map(|(name, messages, is_alive)| StateSnapshot { name, messages, is_alive })
            .collect();
        look
    }

    fn memory(&self, processes: &BTreeMap<WorkerId, (u32, u64)>) -> MemorySnapshot {
        let memory = self.shelf.memory();
        let holdings = memory.ledger().holdings();
        let (spilled_values, spilled_bytes) = self.shelf.away();
        MemorySnapshot {
            limit: memory.limits().map(|limits| limits.limit),
            values: holdings.values.saturating_sub(spilled_values),
            bytes: holdings.bytes,
            spilled_values,
            spilled_bytes,
            disk_bytes: self.shelf.disk_usage().bytes,
            resident: resident(None),
            resident_workers: processes.values().map(|(_, resident)| resident).sum(),
        }
    }
}

fn look_at_children(fleet: &Fleet, look: &mut Look) {
    for (worker, child) in fleet.children() {
        look.processes.insert(worker, (child.process, resident(Some(child.process))));
        if let Some(task) = child.task {
            look.inside.insert(worker, task);
        }
    }
}
