//! [`Memory`]: what a cluster's values may take, what they take, and what running tasks will add.
//!
//! The levels decide two things. Whether there is *room* for a task that adds to what is held: if not,
//! the task waits until something is released or has moved to disk. And how much has to be moved. Which
//! values move is the keeper's business; which tasks wait is the [`Run`](super::Run)'s.
//!
//! Nothing is decided as long as memory is not *tight*: then no task could take the store over its
//! target, and the one thing a task pays is to read that flag.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::ledger::Ledger;

/// How many bytes the values of a cluster may take, and what happens on the way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The memory limit itself, which the levels below are shares of.
    pub limit: u64,
    /// Above this, values that nobody uses move to disk.
    pub target: u64,
    /// Above this, they move as fast as they can.
    pub spill: u64,
    /// A task that would take the store above this waits.
    pub pause: u64,
}

/// What the values of a cluster take, and may take.
#[derive(Debug)]
pub struct Memory {
    ledger: Ledger,
    limits: Option<Limits>,
    workers: u64,
    /// True if running tasks could take the store over its target. Written by `refresh` alone.
    tight: AtomicBool,
    /// What the running tasks are expected to add, as far as they asked for room.
    reserved: AtomicU64,
    /// What is reserved by tasks that wait for others and add nothing meanwhile.
    lent: AtomicU64,
    /// Bytes on their way to disk.
    leaving: AtomicU64,
    /// True while the keeper was asked to make room and has not decided yet.
    pressed: AtomicBool,
    /// True while the keeper decides what moves.
    deciding: AtomicBool,
    /// How many moves the keeper has not heard the end of.
    moves: AtomicU64,
    sizes: Mutex<Sizes>,
    /// The greatest mean in `sizes`, as far as it is not long ago.
    largest: AtomicU64,
}

/// After so many results what they were expected to be at most is a third of what it was.
const FORGETTING: u64 = 128;

/// The right of a task to add so many bytes, counted in pages so that a ticket stays small. It is given
/// back when the task has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reserved(u32);

impl Reserved {
    const PAGE: u64 = 4096;
    /// No right to add anything.
    pub(super) const NONE: Self = Self(0);

    /// At least so many bytes.
    fn of(bytes: u64) -> Self {
        Self(u32::try_from(bytes.div_ceil(Self::PAGE)).unwrap_or(u32::MAX))
    }

    #[inline]
    pub(super) fn from_pages(pages: u32) -> Self {
        Self(pages)
    }

    #[inline]
    pub(super) fn pages(self) -> u32 {
        self.0
    }

    pub(super) fn bytes(self) -> u64 {
        u64::from(self.0) * Self::PAGE
    }
}

/// The sizes of results, as they came, by the prefix of their keys.
#[derive(Debug, Default)]
struct Sizes {
    by_prefix: HashMap<Box<str>, Mean>,
    overall: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    count: u64,
    bytes: u64,
}

impl Mean {
    /// Takes a size in. The first few count alike, then each new one counts an eighth.
    fn take_in(&mut self, bytes: u64) {
        self.count = (self.count + 1).min(8);
        self.bytes = self.bytes - self.bytes / self.count + bytes / self.count;
    }
}

impl Memory {
    /// Memory for the values of so many workers.
    pub fn new(workers: usize, limits: Option<Limits>) -> Self {
        Self {
            ledger: Ledger::new(workers),
            limits,
            workers: workers as u64,
            tight: AtomicBool::new(false),
            reserved: AtomicU64::new(0),
            lent: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            pressed: AtomicBool::new(false),
            deciding: AtomicBool::new(false),
            moves: AtomicU64::new(0),
            sizes: Mutex::default(),
            largest: AtomicU64::new(0),
        }
    }

    /// What is held.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The limits, if there are any.
    pub fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref()
    }

    /// True if tasks have to ask for room.
    #[inline]
    pub fn is_tight(&self) -> bool {
        self.tight.load(Ordering::Relaxed)
    }

    /// Looks at what is held; to be called when large values came or went, and now and then.
    pub fn refresh(&self) {
        let bytes = self.ledger.sample();
        let Some(limits) = &self.limits else { return };
        let may_come = self.workers * self.largest.load(Ordering::Relaxed);
        let most = bytes + self.reserved.load(Ordering::Relaxed).max(may_come);
        let tight = most >= limits.target;
        if tight != self.is_tight() {
            self.tight.store(tight, Ordering::Relaxed);
        }
    }

    /// True if so many bytes more are over the pause, and the keeper has not decided yet what leaves.
    pub fn is_about_to_make_room_for(&self, bytes: u64) -> bool {
        let is_full =
            self.limits.as_ref().is_some_and(|limits| self.ledger.bytes() + bytes > limits.pause);
        is_full && (self.pressed.load(Ordering::SeqCst) || self.deciding.load(Ordering::SeqCst))
    }

    /// How many bytes are over the target, without those that are on their way to disk already.
    pub fn excess(&self) -> u64 {
        let Some(limits) = &self.limits else { return 0 };
        let staying = self.ledger.bytes().saturating_sub(self.leaving());
        staying.saturating_sub(limits.target)
    }

    /// True if values have to move to disk as fast as they can.
    pub fn is_urgent(&self) -> bool {
        self.limits.as_ref().is_some_and(|limits| self.ledger.bytes() > limits.spill)
    }

    /// Bytes on their way to disk.
    pub fn leaving(&self) -> u64 {
        self.leaving.load(Ordering::Acquire)
    }

    /// Notes that so many bytes are on their way to disk.
    pub fn starts_leaving(&self, bytes: u64) {
        self.leaving.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Ends `starts_leaving`, when they have left, or stay.
    pub fn ends_leaving(&self, bytes: u64) {
        self.leaving.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Notes that the keeper is asked to make room. Answers whether it is to be told: not if it was
    /// and has not decided yet, nor if there is nothing to move.
    pub fn press(&self) -> bool {
        self.excess() > 0 && !self.pressed.swap(true, Ordering::AcqRel)
    }

    /// Notes that something moves, after whose end the keeper decides what moves next.
    pub fn begins_move(&self) {
        self.moves.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends `begins_move`, when the keeper has heard of the end and has decided.
    pub fn ends_move(&self) {
        self.moves.fetch_sub(1, Ordering::SeqCst);
    }

    /// The keeper begins to decide what moves. Until the end no task takes it that nothing will.
    pub fn begins_deciding(&self) {
        self.deciding.store(true, Ordering::SeqCst);
    }

    /// Ends `begins_deciding`, when what moves is on its way.
    pub fn has_decided(&self) {
        self.deciding.store(false, Ordering::SeqCst);
    }

    /// The keeper is about to decide what moves: what comes from now on it may miss.
    pub fn is_heard(&self) {
        self.pressed.store(false, Ordering::Release);
    }

    /// Remembers what a task with such a key made.
    pub fn learn(&self, prefix: &str, bytes: u64) {
        let mut sizes = self.sizes();
        let mean = sizes.take_in(prefix, bytes);
        drop(sizes);
        let largest = self.largest.load(Ordering::Relaxed);
        // What was large once is forgotten by and by: one such value must not make memory tight for ever.
        // Two workers that write at once may lose a step, no more.
        let faded = largest - largest / FORGETTING;
        self.largest.store(mean.max(faded), Ordering::Relaxed);
    }

    /// What a task with such a key is expected to make; what tasks make on the whole, if none with such
    /// a key has ended yet.
    pub fn expected(&self, prefix: &str) -> u64 {
        let sizes = self.sizes();
        sizes.by_prefix.get(prefix).unwrap_or(&sizes.overall).bytes
    }

    /// Asks for room for a task that adds `bytes`. The answer is to be given back to `unreserve` when
    /// the task has ended.
    ///
    /// A task for which there never will be room runs when nothing is on its way to disk and no other
    /// task adds anything: alone, over the limit. So there is always one that goes on.
    pub(super) fn reserve(&self, bytes: u64) -> Option<Reserved> {
        let Some(limits) = &self.limits else { return Some(Reserved::NONE) };
        let room = Reserved::of(bytes.max(1));
        let bytes = room.bytes();
        let fits = |reserved: u64| {
            let most = self.ledger.bytes() + reserved + bytes;
            let alone = || {
                let others = reserved.saturating_sub(self.lent.load(Ordering::Acquire));
                // In this order: between being told and having decided there is no gap to be seen.
                others == 0
                    && !self.pressed.load(Ordering::SeqCst)
                    && !self.deciding.load(Ordering::SeqCst)
                    && self.moves.load(Ordering::SeqCst) == 0
                    && self.leaving() == 0
            };
            (most <= limits.pause || alone()).then_some(reserved + bytes)
        };
        self.reserved.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).ok()?;
        Some(room)
    }

    /// Gives a reservation back.
    pub(super) fn unreserve(&self, bytes: u64) {
        self.reserved.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Notes that tasks with so much room wait for other tasks, for which there must be a way on.
    pub fn lend(&self, room: u64) {
        self.lent.fetch_add(room, Ordering::AcqRel);
    }

    /// Ends `lend`.
    pub fn take_back(&self, room: u64) {
        self.lent.fetch_sub(room, Ordering::AcqRel);
    }

    /// What the running tasks are expected to add, as far as they asked for room.
    pub fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        // No code of a user runs under the lock, and a mean is changed as a whole.
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sizes {
    /// Takes a size in and answers the new mean of its prefix.
    fn take_in(&mut self, prefix: &str, bytes: u64) -> u64 {
        /// Programs have a few dozen prefixes; keys without groups must not fill the memory.
        const MOST: usize = 4096;
        self.overall.take_in(bytes);
        if let Some(mean) = self.by_prefix.get_mut(prefix) {
            mean.take_in(bytes);
            return mean.bytes;
        }
        if self.by_prefix.len() >= MOST {
            return self.overall.bytes;
        }
        let mut mean = Mean::default();
        mean.take_in(bytes);
        self.by_prefix.insert(prefix.into(), mean);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pages, as rights are.
    const LIMITS: Limits = Limits {
        limit: 1000 * Reserved::PAGE,
        target: 600 * Reserved::PAGE,
        spill: 700 * Reserved::PAGE,
        pause: 800 * Reserved::PAGE,
    };

    /// So many pages are held.
    fn memory(held: u32) -> Memory {
        let memory = Memory::new(2, Some(LIMITS));
        memory.ledger().add(1, Reserved(held).bytes().cast_signed());
        memory.refresh();
        memory
    }

    #[test]
    fn sizes_are_learned_by_prefix() {
        let memory = Memory::new(1, None);
        assert_eq!(memory.expected("load"), 0);
        memory.learn("load", 100);
        assert_eq!((memory.expected("load"), memory.expected("sum")), (100, 100));
        memory.learn("sum", 20);
        assert_eq!((memory.expected("load"), memory.expected("sum")), (100, 20));
        (0..100).for_each(|_| memory.learn("load", 300));
        assert!((295..=300).contains(&memory.expected("load")));
    }

    #[test]
    fn memory_is_tight_when_running_tasks_could_pass_the_target() {
        assert!(!memory(599).is_tight());
        assert!(memory(600).is_tight());
        let memory = memory(400);
        memory.learn("load", 100 * Reserved::PAGE);
        memory.refresh();
        assert!(memory.is_tight(), "two workers may add 100 pages each");
    }

    fn reserve(memory: &Memory, pages: u32) -> Option<u32> {
        memory.reserve(Reserved(pages).bytes()).map(Reserved::pages)
    }

    #[test]
    fn there_is_room_up_to_the_pause() {
        let memory = memory(500);
        assert_eq!(reserve(&memory, 200), Some(200));
        assert_eq!(reserve(&memory, 100), Some(100));
        assert_eq!(memory.reserve(1).map(Reserved::pages), None);
        memory.unreserve(Reserved(100).bytes());
        assert_eq!(memory.reserve(1).map(Reserved::pages), Some(1), "room comes in pages");
        assert_eq!(memory.reserved(), Reserved(201).bytes());
    }

    #[test]
    fn what_never_fits_runs_alone_when_nothing_leaves() {
        let memory = memory(700);
        memory.starts_leaving(100);
        assert_eq!(reserve(&memory, 5000), None, "room is being made");
        memory.ends_leaving(100);
        assert!(memory.press());
        assert_eq!(reserve(&memory, 5000), None, "nobody has decided yet what leaves");
        memory.is_heard();
        assert_eq!(reserve(&memory, 5000), Some(5000));
        assert_eq!(reserve(&memory, 5000), None, "one is alone");
        memory.lend(Reserved(5000).bytes());
        assert_eq!(reserve(&memory, 10), Some(10), "the one that is alone waits for this one");
    }

    #[test]
    fn one_large_value_does_not_make_memory_tight_for_ever() {
        let memory = memory(1);
        memory.learn("load", 400 * Reserved::PAGE);
        memory.refresh();
        assert!(memory.is_tight());
        for _ in 0..10 * FORGETTING {
            memory.learn("sum", 8);
        }
        memory.refresh();
        assert!(!memory.is_tight());
    }

    #[test]
    fn the_keeper_is_told_once() {
        let memory = memory(650);
        assert_eq!((memory.excess(), memory.is_urgent()), (50 * Reserved::PAGE, false));
        assert!(memory.press());
        assert!(!memory.press());
        memory.is_heard();
        memory.starts_leaving(50 * Reserved::PAGE);
        assert!(!memory.press(), "enough is on its way");
    }
}
