//! How large values move in a world: when the keeper hears, what leaves, how long it takes, what fails.
//!
//! This is the part of a cluster's store that decides, with chance in the place of a policy and of a
//! disk.

use std::sync::{Arc, Weak};

use crate::keeper::{Parcel, Wish, Written};
use crate::scenario::Bounds;
use crate::world::{What, World};

/// What happens to large values.
pub(super) enum Move {
    /// The keeper hears that it is to make room, or looks whether there is more to do.
    Hear,
    /// A write of so many bytes ends.
    EndWrite(Weak<Parcel>, u64),
    /// The disk is tried again.
    TryDisk,
    EndRead(Weak<Parcel>),
}

impl World<'_> {
    fn bounds(&self) -> &Bounds {
        self.scenario.bounds.as_ref().expect("without a limit nothing moves")
    }

    /// Arranges what the keeper wishes.
    pub(super) fn arrange_moves(&mut self) {
        let Some(keeper) = self.keeper.clone() else { return };
        for wish in keeper.take_wishes() {
            match wish {
                Wish::Hear => self.send(What::Move(Move::Hear)),
                Wish::Read(parcel) => {
                    let delay = self.rng.between(1, self.bounds().read);
                    self.arrange(delay, What::Move(Move::EndRead(parcel)));
                }
            }
        }
    }

    pub(super) fn make_move(&mut self, what: Move) {
        match what {
            Move::Hear => self.make_room(),
            Move::EndWrite(parcel, bytes) => self.end_write(&parcel, bytes),
            Move::TryDisk => {
                self.disk.suspended = false;
                self.make_room();
            }
            Move::EndRead(parcel) => self.end_read(&parcel),
        }
    }

    /// Lets values leave until the store is back at its target, or nothing more can leave just now.
    fn make_room(&mut self) {
        /// How many values are written at a time at most.
        const MOST: usize = 4;
        let keeper = self.keeper.clone().expect("without a limit nothing moves");
        let memory = Arc::clone(&self.resources.memory);
        keeper.hears();
        if self.disk.suspended {
            return;
        }
        let mut parcels = keeper.parcels();
        if self.bounds().shuffled {
            self.rng.shuffle(&mut parcels);
        }
        for parcel in parcels {
            let most = if memory.is_urgent() { MOST } else { 1 };
            if memory.excess() == 0 || self.disk.writing >= most {
                break;
            }
            if !parcel.can_leave() {
                continue;
            }
            if parcel.leaves() {
                self.history.counts.left_again += 1;
                self.progress = self.now;
            } else {
                self.disk.writing += 1;
                let delay = self.rng.between(1, self.bounds().write);
                let end = Move::EndWrite(Arc::downgrade(&parcel), parcel.bytes());
                self.arrange(delay, What::Move(end));
            }
        }
    }

    fn end_write(&mut self, parcel: &Weak<Parcel>, bytes: u64) {
        self.disk.writing -= 1;
        self.resources.memory.ends_leaving(bytes);
        let Bounds { disk_full, suspension, .. } = *self.bounds();
        let fails = disk_full.is_some_and(|(from, until)| (from..until).contains(&self.now));
        let counts = &mut self.history.counts;
        match parcel.upgrade() {
            None => counts.released_in_write += 1,
            Some(parcel) if fails => {
                counts.failed_writes += 1;
                parcel.is_not_written();
                if !std::mem::replace(&mut self.disk.suspended, true) {
                    self.arrange(suspension, What::Move(Move::TryDisk));
                }
            }
            Some(parcel) => match parcel.is_written() {
                Written::Overtaken => counts.pinned_in_write += 1,
                Written::Left => {
                    counts.spilled += 1;
                    self.progress = self.now;
                }
            },
        }
        self.resources.memory.refresh();
        // There is room now, or it is clear that there is not.
        self.wake_one();
        self.send(What::Move(Move::Hear));
    }

    fn end_read(&mut self, parcel: &Weak<Parcel>) {
        self.progress = self.now;
        if let Some(parcel) = parcel.upgrade() {
            if self.rng.chance(self.bounds().unreadable) {
                self.history.counts.lost += 1;
                parcel.is_lost();
            } else {
                self.history.counts.restored += 1;
                parcel.comes_back();
            }
        }
        self.look_at_inputs();
        self.look_at_gatherings();
    }
}
