//! What follows when a child has ended: whose fault it was, and what becomes of the calls that it had.

use std::sync::Arc;
use std::time::Duration;

use super::super::super::events::Noted;
use super::super::active::Report;
use super::super::failing::fail_task;
use super::super::thread::WorkerThread;
use super::station::{FAILED_STARTS, Flight, give_back};
use crate::engine::Cause;
use crate::process::wire::WireError;

/// Why a child is lost.
pub(super) enum Loss {
    /// It has ended, or does not speak as it should, in the way that is said here.
    Died(Option<String>),
    /// A call takes longer than it may.
    Overdue { call: u64, limit: Duration },
    /// A call goes on though its run is over.
    Stuck,
}

impl WorkerThread {
    /// The child has ended, or is ended now.
    pub(super) fn lose_child(&self, loss: Loss) {
        let Some(fleet) = self.crew.fleet() else { return };
        let (mut link, flights, suspended) = {
            let mut station = self.station.borrow_mut();
            let Some(link) = station.link.take() else { return };
            let suspended = station.suspended();
            station.failed_starts += 1;
            (link, station.take_all(), suspended)
        };
        // Whoever is in the child when it is ended because of another one is not at fault.
        let has_died = matches!(loss, Loss::Died(_));
        let (why, overdue) = match loss {
            Loss::Died(why) => (why, None),
            Loss::Overdue { call, limit } => {
                (Some("a task took longer than it may".to_owned()), Some((call, limit)))
            }
            Loss::Stuck => (Some("a task did not end when its run was over".to_owned()), None),
        };
        let is_over = |(_, flight): &(u64, Flight)| !flight.active.run.is_running();
        if why.is_some() || flights.iter().any(is_over) {
            link.kill();
        }
        let current = link.current_call();
        let end = Arc::new(link.end(fleet, why));
        let early = self.station.borrow_mut().forget_all_early();
        drop(early);
        let never_begun = self.station.borrow().failed_starts >= FAILED_STARTS;
        let first = flights.first().map(|(number, _)| *number);
        for (number, flight) in flights {
            let Flight { active, ticket, .. } = flight;
            fleet.is_busy_with(active.run.id(), -1);
            let Some(mut ticket) = ticket else { continue };
            let run = &active.run;
            if !run.is_running() {
                run.give_room_back(&mut ticket);
                continue;
            }
            if let Some((_, limit)) = overdue.filter(|(call, _)| *call == number) {
                run.give_room_back(&mut ticket);
                fail_task(&active, ticket, self.id, Cause::TimedOut { limit });
            } else if has_died
                && (Some(number) == current
                    || suspended.contains(&number)
                    || never_begun && Some(number) == first)
            {
                let report = Report::TaskLost {
                    run: run.id(),
                    ticket,
                    worker: self.id,
                    end: Arc::clone(&end),
                };
                active.report(report);
            } else {
                give_back(&active, ticket, self.id);
            }
        }
        let why = || format!("its process {end}");
        self.crew.events().tell(|| Noted::WorkerDown { worker: self.id, why: why() });
        log::warn!("a worker process {end}; another one takes its place");
    }
}

/// Why a child is not listened to any more; none if it has just ended.
pub(super) fn why(error: &WireError) -> Option<String> {
    match error {
        WireError::Closed => None,
        WireError::Damaged(_)
        | WireError::TooLarge(_)
        | WireError::TooManyFiles
        | WireError::Io(_) => Some(error.to_string()),
    }
}
