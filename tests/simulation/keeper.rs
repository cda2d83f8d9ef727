//! [`PretendKeeper`]: where the large values of a world lie, in memory or on a pretend disk.
//!
//! It is what the store is in a cluster, without disk, threads or time: it says what is to be done next
//! and changes a value's place when it is told. When that happens, and what goes wrong, is decided by the
//! world, in [`moving`](super::moving).
//!
//! Whoever pins a value gets a pointer of his own, a [`Pinned`], which is counted here: so the simulation
//! sees pins without being told of them, and a call sees whether its inputs really stayed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use mobula::engine::{Keeper, Kept, Made, Memory, RunId, WorkerId};
use mobula::{Cause, Failure, Key, TaskId, Value};

use crate::rng::Rng;

/// The large values of a world.
#[derive(Debug)]
pub(crate) struct PretendKeeper {
    memory: Arc<Memory>,
    /// Decides which values can never leave.
    seed: u64,
    /// So many of a hundred values can never leave.
    unspillable: u64,
    desk: Mutex<Desk>,
    this: Weak<Self>,
}

/// What lies on the keeper's desk.
#[derive(Debug, Default)]
struct Desk {
    /// By number: all values, oldest first; some of them may be gone.
    parcels: BTreeMap<u64, Weak<Parcel>>,
    /// By run and task: the number of the value that it made.
    numbers: BTreeMap<(RunId, TaskId), u64>,
    next: u64,
    /// True while the keeper was told to make room and has not heard it yet.
    pressed: bool,
    wishes: Vec<Wish>,
    /// How many bytes somebody needs, wherever they are.
    kept: i64,
    /// How many of them are not in memory.
    away: i64,
}

/// What is to be done soon.
#[derive(Debug)]
pub(crate) enum Wish {
    /// The keeper is to make room.
    Hear,
    /// A value is to be read back.
    Read(Weak<Parcel>),
}

/// One large value.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// Who made it.
    made: (RunId, TaskId),
    key: Key,
    bytes: u64,
    /// True if it can never leave.
    stays: bool,
    place: Mutex<Place>,
    keeper: Arc<PretendKeeper>,
    this: Weak<Self>,
}

#[derive(Debug)]
enum Place {
    Here {
        value: Value,
        mark: Arc<Mark>,
        has_file: bool,
        leaving: bool,
    },
    Away(Value),
    Coming(Value),
    Lost,
    /// Nobody needs it any more.
    Gone,
}

/// A stay of a value in memory.
#[derive(Debug)]
pub(crate) struct Mark(AtomicBool);

/// A pointer to a value, as long as which lives the value stays in memory.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) value: Value,
    mark: Arc<Mark>,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Left,
    /// Somebody pinned it meanwhile; the file is kept.
    Overtaken,
}

impl Pinned {
    /// True if the value has not left, as it must not.
    pub(crate) fn is_here(&self) -> bool {
        self.mark.0.load(Ordering::Relaxed)
    }
}

impl PretendKeeper {
    pub(crate) fn new(memory: Arc<Memory>, seed: u64, unspillable: u64) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            memory,
            seed,
            unspillable,
            desk: Mutex::default(),
            this: Weak::clone(this),
        })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done, in the order in which it was wished.
    pub(crate) fn take_wishes(&self) -> Vec<Wish> {
        std::mem::take(&mut self.desk().wishes)
    }

    /// True while the keeper was told to make room and has not heard it yet.
    pub(crate) fn is_pressed(&self) -> bool {
        self.desk().pressed
    }

    /// The keeper hears that it is to make room.
    pub(crate) fn hears(&self) {
        self.desk().pressed = false;
        self.memory.is_heard();
    }

    /// How many bytes of what somebody needs are not in memory.
    pub(crate) fn away(&self) -> i64 {
        self.desk().away
    }

    /// How many bytes of large values are in memory.
    pub(crate) fn here(&self) -> u64 {
        let desk = self.desk();
        u64::try_from(desk.kept - desk.away).expect("what is away is kept")
    }

    /// The values that somebody needs, oldest first.
    pub(crate) fn parcels(&self) -> Vec<Arc<Parcel>> {
        self.desk().parcels.values().filter_map(Weak::upgrade).collect()
    }

    /// True if a value is in memory and somebody keeps it there.
    pub(crate) fn is_pinned(&self, run: RunId, task: TaskId) -> bool {
        let desk = self.desk();
        let number = desk.numbers.get(&(run, task));
        let parcel = number.and_then(|number| desk.parcels.get(number)).and_then(Weak::upgrade);
        drop(desk);
        parcel.is_some_and(|parcel| parcel.is_pinned())
    }

    fn press(&self) {
        if self.memory.press() {
            let mut desk = self.desk();
            assert!(!desk.pressed, "law: the keeper is told once");
            desk.pressed = true;
            desk.wishes.push(Wish::Hear);
        }
    }

    fn counts_away(&self, bytes: i64) {
        self.desk().away += bytes;
    }
}

impl Keeper for PretendKeeper {
    fn keep(&self, _: Option<WorkerId>, made: Made<'_>, value: Value) -> Arc<dyn Kept> {
        let bytes = value.bytes() as u64;
        self.memory.ledger().add(1, bytes.cast_signed());
        let number = u64::from(made.task.0) ^ (made.run.0 << 32);
        let stays = Rng::new(self.seed ^ number).chance(self.unspillable);
        let mark = Arc::new(Mark(AtomicBool::new(true)));
        let parcel = Arc::new_cyclic(|this| Parcel {
            made: (made.run, made.task),
            key: made.plan.key(made.task).clone(),
            bytes,
            stays,
            place: Mutex::new(Place::Here { value, mark, has_file: false, leaving: false }),
            keeper: self.this.upgrade().expect("a run holds its keeper"),
            this: Weak::clone(this),
        });
        let mut desk = self.desk();
        desk.next += 1;
        desk.kept += bytes.cast_signed();
        let number = desk.next;
        desk.parcels.insert(number, Arc::downgrade(&parcel));
        desk.numbers.insert((made.run, made.task), number);
        drop(desk);
        // The engine looks at what is held when it has the answer.
        self.press();
        parcel
    }

    fn make_room(&self) {
        self.press();
    }
}

impl Parcel {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn is_pinned(&self) -> bool {
        match &*self.place() {
            Place::Here { mark, .. } => Arc::strong_count(mark) > 1,
            Place::Away(_) | Place::Coming(_) | Place::Lost | Place::Gone => false,
        }
    }

    /// True if it could leave now.
    pub(crate) fn can_leave(&self) -> bool {
        match &*self.place() {
            Place::Here { mark, leaving, .. } => {
                !self.stays && !leaving && Arc::strong_count(mark) == 1
            }
            Place::Away(_) | Place::Coming(_) | Place::Lost | Place::Gone => false,
        }
    }

    /// Lets a value leave that can. True if it has left, for it was written before; otherwise it is to
    /// be written now.
    pub(crate) fn leaves(&self) -> bool {
        let mut place = self.place();
        let Place::Here { has_file, leaving, .. } = &mut *place else {
            unreachable!("it was asked whether it can leave")
        };
        if *has_file {
            self.left(&mut place);
        } else {
            *leaving = true;
            self.keeper.memory.starts_leaving(self.bytes);
        }
        matches!(*place, Place::Away(_))
    }

    fn left(&self, place: &mut Place) {
        let Place::Here { value, mark, .. } = std::mem::replace(place, Place::Gone) else {
            unreachable!("what leaves is here")
        };
        assert_eq!(Arc::strong_count(&mark), 1, "law: nothing pinned leaves ({:?})", self.key);
        mark.0.store(false, Ordering::Relaxed);
        *place = Place::Away(value);
        self.keeper.counts_away(self.bytes.cast_signed());
        self.keeper.memory.ledger().add(0, -self.bytes.cast_signed());
        self.keeper.memory.refresh();
    }

    /// The write has ended well.
    pub(crate) fn is_written(&self) -> Written {
        let mut place = self.place();
        let Place::Here { mark, has_file, leaving, .. } = &mut *place else {
            unreachable!("a value that is being written is here")
        };
        (*has_file, *leaving) = (true, false);
        if Arc::strong_count(mark) > 1 {
            return Written::Overtaken;
        }
        self.left(&mut place);
        Written::Left
    }

    /// The write has failed: the value stays.
    pub(crate) fn is_not_written(&self) {
        if let Place::Here { leaving, .. } = &mut *self.place() {
            *leaving = false;
        }
    }

    /// The value was read back.
    pub(crate) fn comes_back(&self) {
        let mut place = self.place();
        let Place::Coming(value) = std::mem::replace(&mut *place, Place::Gone) else {
            unreachable!("it was coming")
        };
        let mark = Arc::new(Mark(AtomicBool::new(true)));
        *place = Place::Here { value, mark, has_file: true, leaving: false };
        drop(place);
        self.keeper.counts_away(-self.bytes.cast_signed());
        self.keeper.memory.ledger().add(0, self.bytes.cast_signed());
        self.keeper.memory.refresh();
        self.keeper.press();
    }

    /// The value cannot be read back.
    pub(crate) fn is_lost(&self) {
        *self.place() = Place::Lost;
    }

    fn pinned(value: &Value, mark: &Arc<Mark>) -> Value {
        let pinned = Pinned { value: value.clone(), mark: Arc::clone(mark) };
        Value::with_bytes(pinned, value.bytes())
    }
}

impl Kept for Parcel {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn pin(&self) -> Option<Value> {
        match &*self.place() {
            Place::Here { value, mark, .. } => Some(Self::pinned(value, mark)),
            Place::Away(_) | Place::Coming(_) | Place::Lost | Place::Gone => None,
        }
    }

    fn poll_pin(&self, _: &mut Context<'_>) -> Poll<Result<Value, Failure>> {
        let mut place = self.place();
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Here { value, mark, has_file, leaving } => {
                let pinned = Self::pinned(&value, &mark);
                *place = Place::Here { value, mark, has_file, leaving };
                Poll::Ready(Ok(pinned))
            }
            Place::Away(value) => {
                *place = Place::Coming(value);
                self.keeper.desk().wishes.push(Wish::Read(Weak::clone(&self.this)));
                Poll::Pending
            }
            Place::Coming(value) => {
                *place = Place::Coming(value);
                Poll::Pending
            }
            Place::Lost => {
                *place = Place::Lost;
                let lost = Cause::Lost("its file is unreadable".into());
                Poll::Ready(Err(Failure::new(self.key.clone(), lost)))
            }
            Place::Gone => unreachable!("somebody needs it who asks for it"),
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let bytes = self.bytes.cast_signed();
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner);
        let is_here = matches!(place, Place::Here { .. });
        let mut desk = self.keeper.desk();
        desk.kept -= bytes;
        if let Some(number) = desk.numbers.remove(&self.made) {
            desk.parcels.remove(&number);
        }
        drop(desk);
        if !is_here {
            self.keeper.counts_away(-bytes);
        }
        self.keeper.memory.ledger().add(-1, if is_here { -bytes } else { 0 });
        self.keeper.memory.refresh();
    }
}
