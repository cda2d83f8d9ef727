//! A keeper without disks or threads: values leave, come back and get lost when a test says so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use mobula::engine::{Cause, Failure, Keeper, Kept, Made, Memory, Resources, WorkerId};
use mobula::{Key, Value};

/// The large values of the runs of a test, in the order in which they came.
pub(crate) struct Attic {
    memory: Arc<Memory>,
    boxes: Mutex<Vec<Weak<Parcel>>>,
    /// How often a task found no room.
    pub(crate) calls_for_room: AtomicUsize,
}

/// One large value.
struct Parcel {
    key: Key,
    bytes: u64,
    place: Mutex<Place>,
    memory: Arc<Memory>,
}

enum Place {
    Here(Value),
    /// The value lies where only the test can bring it back from.
    Away(Value),
    Lost,
}

impl Attic {
    pub(crate) fn new(memory: Arc<Memory>) -> Arc<Self> {
        let calls_for_room = AtomicUsize::new(0);
        Arc::new(Self { memory, boxes: Mutex::default(), calls_for_room })
    }

    pub(crate) fn resources(self: &Arc<Self>, workers: usize) -> Resources {
        let keeper = Some(Arc::clone(self) as Arc<dyn Keeper>);
        Resources { workers, memory: Arc::clone(&self.memory), keeper }
    }

    fn living(&self) -> Vec<Arc<Parcel>> {
        self.boxes
            .lock()
            .expect("no test fails under the lock")
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Lets every value leave that nobody uses. Answers their keys.
    pub(crate) fn send_away(&self) -> Vec<String> {
        let gone = self.living().into_iter().filter(|kept| kept.leaves());
        gone.map(|kept| kept.key.to_string()).collect()
    }

    /// Brings every value back.
    pub(crate) fn bring_back(&self) {
        self.living().iter().for_each(|kept| kept.comes());
    }

    /// Loses every value that has left.
    pub(crate) fn lose(&self) {
        for kept in self.living() {
            let mut place = kept.place.lock().expect("no test fails under the lock");
            if let Place::Away(_) = *place {
                *place = Place::Lost;
            }
        }
    }
}

impl Keeper for Attic {
    fn keep(&self, _: Option<WorkerId>, made: Made<'_>, value: Value) -> Arc<dyn Kept> {
        let bytes = value.bytes() as u64;
        self.memory.ledger().add(1, bytes.cast_signed());
        let kept = Arc::new(Parcel {
            key: made.plan.key(made.task).clone(),
            bytes,
            place: Mutex::new(Place::Here(value)),
            memory: Arc::clone(&self.memory),
        });
        self.boxes.lock().expect("no test fails under the lock").push(Arc::downgrade(&kept));
        kept
    }

    fn make_room(&self) {
        self.calls_for_room.fetch_add(1, Ordering::Relaxed);
    }
}

impl Parcel {
    fn leaves(&self) -> bool {
        let mut place = self.place.lock().expect("no test fails under the lock");
        let Place::Here(value) = &*place else { return false };
        *place = Place::Away(value.clone());
        self.memory.ledger().add(0, -self.bytes.cast_signed());
        self.memory.refresh();
        true
    }

    fn comes(&self) {
        let mut place = self.place.lock().expect("no test fails under the lock");
        if let Place::Away(value) = &*place {
            *place = Place::Here(value.clone());
            self.memory.ledger().add(0, self.bytes.cast_signed());
            self.memory.refresh();
        }
    }
}

impl Kept for Parcel {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn pin(&self) -> Option<Value> {
        match &*self.place.lock().expect("no test fails under the lock") {
            Place::Here(value) => Some(value.clone()),
            Place::Away(_) | Place::Lost => None,
        }
    }

    fn poll_pin(&self, _: &mut Context<'_>) -> Poll<Result<Value, Failure>> {
        match &*self.place.lock().expect("no test fails under the lock") {
            Place::Here(value) => Poll::Ready(Ok(value.clone())),
            Place::Away(_) => Poll::Pending,
            Place::Lost => {
                let lost = Cause::Lost("a moth ate it".into());
                Poll::Ready(Err(Failure::new(self.key.clone(), lost)))
            }
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let here =
            matches!(self.place.get_mut().expect("no test fails under the lock"), Place::Here(_));
        let bytes = if here { -self.bytes.cast_signed() } else { 0 };
        self.memory.ledger().add(-1, bytes);
        self.memory.refresh();
    }
}
