//! What follows when a child has ended: whose fault it was, and what becomes of the calls that it had.

use std::sync::Arc;
use std::time::Duration;

use super::super::active::Report;
use super::super::failing::fail_task;
use super::super::thread::WorkerThread;
use super::station::{FAILED_STARTS, Flight, give_back};
use crate::engine::Cause;
use crate::process::wire::WireError;

impl WorkerThread {
    /// The child has ended, or is ended now: because of `why`, or because a call takes longer than it may.
    pub(super) fn lose_child(&self, why: Option<String>, overdue: Option<(u64, Duration)>) {
        let Some(fleet) = self.crew.fleet() else { return };
        let (link, flights, suspended) = {
            let mut station = self.station.borrow_mut();
            let Some(link) = station.link.take() else { return };
            let suspended = station.suspended();
            station.failed_starts += 1;
            (link, station.take_all(), suspended)
        };
        let mut link = link;
        let is_over = |(_, flight): &(u64, Flight)| !flight.active.run.is_running();
        if overdue.is_some() || why.is_some() || flights.iter().any(is_over) {
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
            } else if Some(number) == current
                || suspended.contains(&number)
                || never_begun && Some(number) == first
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
