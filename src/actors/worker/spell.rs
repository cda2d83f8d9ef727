//! Spells of work: how a worker with an environment goes in, and when it is let in.
//!
//! Without an environment nothing of this happens: the worker takes tasks as it finds them.

use std::sync::Arc;

use super::active::ActiveRun;
use super::environment::Surroundings;
use super::thread::WorkerThread;
use crate::engine::{RunId, Watch};

impl WorkerThread {
    /// Works as long as there is something to do; false if there was nothing.
    pub(super) fn work_a_spell(&self, turn: &mut usize) -> bool {
        let surroundings = self.crew.surroundings();
        if surroundings.is_plain() {
            return self.work_on_next(turn, Watch::default(), false)
                || self.has_fleet() && self.work_on_next(turn, Watch::default(), true);
        }
        if self.has_fleet() && self.work_on_next(turn, Watch::default(), true) {
            return true;
        }
        if !self.is_welcome() {
            return false;
        }
        let mut found = false;
        surroundings.work(&mut || {
            // Who has come in takes what there is.
            while !self.is_stopped() && self.work_on_next(turn, Watch::eager(), false) {
                found = true;
                if !surroundings.goes_on() {
                    break;
                }
            }
        });
        found
    }

    /// Whether there is work, and this worker may begin a spell for it.
    pub(super) fn is_welcome(&self) -> bool {
        let (_, runs) = self.crew.runs();
        let needs_one = |active: &&Arc<ActiveRun>| !self.needs_no_spell(active);
        let mut in_spells = runs.iter().filter(needs_one);
        let has_work = in_spells.any(|active| active.run.has_work_for(self.id));
        let now = self.now();
        has_work
            && self.crew.surroundings().admits(|| {
                let watches = &mut *self.watches.borrow_mut();
                watches.retain(|(id, _)| runs.iter().any(|active| active.run.id() == *id));
                runs.iter().filter(needs_one).any(|active| {
                    let watch = watch_of(watches, active.run.id());
                    Surroundings::joining_pays(&active.run, self.id, watch, now)
                })
            })
    }
}

/// What a worker remembers of a run.
pub(super) fn watch_of(watches: &mut Vec<(RunId, Watch)>, run: RunId) -> &mut Watch {
    let at = watches.iter().position(|(id, _)| *id == run).unwrap_or_else(|| {
        watches.push((run, Watch::default()));
        watches.len() - 1
    });
    &mut watches[at].1
}
