//! [`Shelf`]: what all threads share of the store; where large values are put down and picked up.
//!
//! Workers put values here without waiting for anybody; the [`StoreActor`](super::StoreActor) takes in
//! what is new, decides what leaves, and hands it to the I/O threads. Nothing is decided here.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix::{Addr, Recipient};

use super::super::events::{Events, Happening};
use super::buffer::{Buffer, Lineage, Place, Written};
use super::io::{Io, Urgency};
use super::trim;
use super::{Pressed, Recover, Spilled, StoreActor, TakeIn, Wrote};
use crate::engine::{
    Failure, Held, Keeper, Kept, LARGE, Made, Memory, Padded, Policy, Resources, Run, WorkerId,
};
use crate::graph::{Key, Plan};
use crate::spill::{Disk, DiskUsage, SpillFile};
use crate::value::Value;

thread_local! {
    /// When this thread began what it is doing: a worker, its task.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The worker whose thread this is, and where the memory of its cluster lies.
    static SEAT: Cell<Option<(usize, WorkerId)>> = const { Cell::new(None) };
}

/// Says that this thread is that of a worker, for as long as it lives: what it releases is counted where
/// the worker counts.
pub(crate) fn sits_at(memory: &Arc<Memory>, worker: WorkerId) {
    SEAT.set(Some((Arc::as_ptr(memory).addr(), worker)));
}

/// Notes that this thread begins something new, for the price of what it makes.
pub(crate) fn begins_at(now: Instant) {
    BEGAN.set(Some(now));
}

/// Buffers that the actor has not seen yet.
type Intake = Mutex<Vec<Weak<Buffer>>>;

/// What all threads share of the store.
pub(crate) struct Shelf {
    memory: Arc<Memory>,
    disk: Disk,
    io: Io,
    workers: usize,
    /// The number of the next buffer; also the time by which uses of buffers are ordered.
    next_id: AtomicU64,
    /// Buffers that the actor has not seen yet: by worker, and the last one for everybody else.
    intake: Box<[Padded<Intake>]>,
    counts: Counts,
    /// Buffers whose values were fetched for runs, by where the value lay then.
    fetched: Mutex<HashMap<usize, Weak<Buffer>>>,
    /// True if the policy wants to know what values cost.
    prices: bool,
    events: Arc<Events>,
    /// Bytes of the values that were freed because they moved to disk.
    freed: AtomicU64,
    /// True once the cluster ends.
    closed: AtomicBool,
    /// Whom to tell; set when the actors are there.
    links: OnceLock<Links>,
    this: Weak<Self>,
}

/// Whom the store tells what.
pub(crate) struct Links {
    pub(crate) store: Addr<StoreActor>,
    /// Makes values again.
    pub(crate) recovery: Recipient<Recover>,
    /// Hears of values that have moved to disk.
    pub(crate) spilled: Recipient<Spilled>,
    /// Called when there is room again for a task that was held back.
    pub(crate) room: Box<dyn Fn() + Send + Sync>,
}

/// What happened to large values.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Values that are on disk and not in memory, and their bytes in memory.
    pub(super) away: AtomicU64,
    pub(super) away_bytes: AtomicU64,
    pub(super) recomputed: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) failed_writes: AtomicU64,
}

impl Shelf {
    pub(crate) fn new(
        memory: Arc<Memory>,
        workers: usize,
        disk: Disk,
        prices: bool,
        events: Arc<Events>,
    ) -> Arc<Self> {
        /// More threads than these only make a disk seek.
        const MOST_THREADS: usize = 4;
        Arc::new_cyclic(|this| Self {
            memory,
            disk,
            io: Io::new(workers.clamp(1, MOST_THREADS)),
            workers,
            next_id: AtomicU64::new(0),
            intake: (0..=workers).map(|_| Padded::default()).collect(),
            counts: Counts::default(),
            fetched: Mutex::default(),
            prices,
            events,
            freed: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            links: OnceLock::new(),
            this: Weak::clone(this),
        })
    }

    /// Says whom to tell. To be called once, before the first value comes.
    pub(crate) fn link(&self, links: Links) {
        let is_first = self.links.set(links).is_ok();
        debug_assert!(is_first, "a cluster links its store once");
    }

    /// What runs need that keep their values here.
    pub(crate) fn resources(&self) -> Resources {
        // Without a limit nothing ever has to leave, and nobody has to look after it.
        let limited = self.this.upgrade().filter(|_| self.memory.limits().is_some());
        let keeper = limited.map(|this| this as Arc<dyn Keeper>);
        Resources { workers: self.workers, memory: Arc::clone(&self.memory), keeper }
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn io(&self) -> &Io {
        &self.io
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many values are on disk and not in memory, and what they take when they are there.
    pub(crate) fn away(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.counts.away), read(&self.counts.away_bytes))
    }

    /// What the files of values take.
    pub(crate) fn disk_usage(&self) -> DiskUsage {
        self.disk.usage()
    }

    /// The time by which uses are ordered: how many buffers there have been.
    pub(super) fn now(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Removes what crashed processes left behind, on an I/O thread.
    pub(crate) fn clean_leftovers(&self) {
        let Some(this) = self.this.upgrade() else { return };
        self.io.submit(Urgency::Background, move || {
            let removed = this.disk.clean_leftovers();
            if removed > 0 {
                log::info!("{removed} spill directories of processes that are gone were removed");
            }
        });
    }

    /// Ends all disk work and removes the files. Values on disk are lost, those in memory stay with
    /// who holds them.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.io.close();
        self.disk.close();
    }

    /// Notes that a value is fetched for a run: if it comes back as what a task has made, it is known.
    pub(super) fn is_fetched(&self, buffer: &Buffer, value: &Value) {
        const MANY: usize = 1024;
        let Some(address) = value.address() else { return };
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.len() >= MANY {
            fetched.retain(|_, buffer| buffer.strong_count() > 0);
        }
        fetched.insert(address, buffer.weak());
    }

    /// Puts down a value that outlives every run.
    pub(super) fn put(self: &Arc<Self>, key: &Key, value: Value) -> Held {
        if value.bytes() < LARGE {
            return Held::Plain(value);
        }
        self.memory.ledger().add(1, crate::engine::signed_bytes(&value));
        let buffer = self.shelve(None, key.clone(), value, Duration::MAX, None);
        self.memory.refresh();
        Held::Kept(buffer)
    }

    fn shelve(
        self: &Arc<Self>,
        worker: Option<WorkerId>,
        key: Key,
        value: Value,
        cost: Duration,
        lineage: Option<Lineage>,
    ) -> Arc<Buffer> {
        /// The actor looks at what is new before it gets more than this.
        const MANY: usize = 4096;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let bytes = value.bytes() as u64;
        let buffer = Buffer::new(id, key, value, cost, lineage, self);
        let new = self.take_note(worker, &buffer);
        if let Some(links) = self.links.get() {
            // If the store is gone, the cluster ends and nothing has to leave any more.
            if new.is_multiple_of(MANY) {
                links.store.do_send(TakeIn);
            }
            if self.memory.limits().is_some_and(|limits| bytes > limits.limit) {
                let key = buffer.key();
                log::warn!("{key:?} has {bytes} bytes, more than the memory limit of the cluster");
            }
            self.press(links);
        }
        buffer
    }

    fn press(&self, links: &Links) {
        if self.memory.press() {
            // As above.
            links.store.do_send(Pressed);
        }
    }

    /// Lets the actor see a buffer when it looks next. Answers how many it has not seen yet of those
    /// that came in the same way.
    fn take_note(&self, worker: Option<WorkerId>, buffer: &Arc<Buffer>) -> usize {
        let last = self.intake.len() - 1;
        let at = worker.map_or(last, |worker| worker.index().min(last));
        let mut intake = self.intake[at].lock().unwrap_or_else(PoisonError::into_inner);
        intake.push(Arc::downgrade(buffer));
        intake.len()
    }

    /// The buffers that the actor has not seen yet.
    pub(super) fn take_in(&self) -> Vec<Weak<Buffer>> {
        let take = |intake: &Padded<Intake>| {
            std::mem::take(&mut *intake.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.intake.iter().flat_map(take).collect()
    }

    /// Writes a buffer out on an I/O thread; the actor hears what came of it.
    pub(super) fn write_out(&self, buffer: Arc<Buffer>) {
        let Some(this) = self.this.upgrade() else { return };
        let bytes = buffer.bytes();
        self.memory.begins_move();
        self.memory.starts_leaving(bytes);
        self.io.submit(Urgency::Background, move || {
            let written = buffer.write_out();
            this.memory.ends_leaving(bytes);
            this.memory.refresh();
            if matches!(written, Written::Left) {
                this.tell_spilled(&buffer);
            }
            let weak = Arc::downgrade(&buffer);
            drop(buffer);
            if let Some(links) = this.links.get() {
                (links.room)();
                // If the store is gone, the cluster ends.
                links.store.do_send(Wrote { buffer: weak, written });
            }
        });
    }

    /// Wakes a task that waits for room, so that it asks again.
    pub(super) fn wake_waiting(&self) {
        if let Some(links) = self.links.get() {
            (links.room)();
        }
    }

    /// Drops a value on an I/O thread: its destructor may be a user's, and freeing takes time.
    pub(super) fn drop_aside(&self, value: Value) {
        let Some(this) = self.this.upgrade() else { return };
        // Before what is read next, which takes memory again.
        self.io.submit(Urgency::Awaited, move || {
            let bytes = value.bytes() as u64;
            drop(value);
            this.freed(bytes);
        });
    }

    /// Values of so many bytes were freed on this I/O thread because they moved to disk. Now and then
    /// the memory is given back to the operating system.
    pub(super) fn freed(&self, bytes: u64) {
        /// Giving back takes some milliseconds, as long as writing so many bytes.
        const SOME: u64 = 32 << 20;
        let before = self.freed.fetch_add(bytes, Ordering::Relaxed);
        if before / SOME != (before + bytes) / SOME {
            trim::give_free_memory_back();
        }
    }

    /// Tells that a value has moved to disk.
    pub(super) fn tell_spilled(&self, buffer: &Buffer) {
        self.note(buffer, Happening::Spilled { bytes: buffer.bytes() });
        if let Some(links) = self.links.get() {
            let key = buffer.key().clone();
            let spilled = Spilled { run: buffer.run(), key, bytes: buffer.bytes() };
            // If nobody is there to hear it, the cluster ends.
            links.spilled.do_send(spilled);
        }
    }

    /// A value has left memory.
    pub(super) fn left(&self, bytes: u64) {
        self.memory.ledger().add(0, -signed(bytes));
        self.counts.away.fetch_add(1, Ordering::Relaxed);
        self.counts.away_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.memory.refresh();
    }

    /// Notes what happened to a value.
    pub(super) fn note(&self, buffer: &Buffer, what: Happening) {
        self.events.note(buffer.run(), None, buffer.key(), what, String::new);
    }

    /// Waits on this I/O thread, before a value of so many bytes comes back, until the actor has decided
    /// what leaves for it, if there is no room: else values could come back faster than it sees them.
    pub(super) fn let_decide(&self, bytes: u64) {
        /// The actor waits for nobody, so it decides long before; this is for one that is gone.
        const MOST_LOOKS: u32 = 2000;
        const BETWEEN_LOOKS: Duration = Duration::from_micros(100);
        for _ in 0..MOST_LOOKS {
            if self.is_closed() || !self.memory.is_about_to_make_room_for(bytes) {
                return;
            }
            std::thread::park_timeout(BETWEEN_LOOKS);
        }
    }

    /// A value has come back.
    pub(super) fn came_back(&self, buffer: &Buffer, bytes_away: u64, bytes: u64) {
        self.note(buffer, Happening::Restored { bytes });
        self.is_no_longer_away(bytes_away);
        self.memory.ledger().add(0, signed(bytes));
        self.memory.refresh();
    }

    /// A value that came back is there, so that it can leave again.
    pub(super) fn can_leave(&self, buffer: &Arc<Buffer>) {
        self.take_note(None, buffer);
        if let Some(links) = self.links.get() {
            self.press(links);
        }
    }

    /// A value is lost that was on disk.
    pub(super) fn is_lost(&self, buffer: &Buffer, failure: &Failure) {
        self.note(buffer, Happening::Lost { reason: failure.to_string() });
        self.is_no_longer_away(buffer.bytes());
        self.counts.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn is_no_longer_away(&self, bytes: u64) {
        self.counts.away.fetch_sub(1, Ordering::Relaxed);
        self.counts.away_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A value is gone that nobody needs any more.
    pub(super) fn released(&self, bytes: u64, place: Place, file: Option<SpillFile>) {
        let in_memory = if place == Place::Here { -signed(bytes) } else { 0 };
        if place == Place::Away {
            self.is_no_longer_away(bytes);
        }
        let here = Arc::as_ptr(&self.memory).addr();
        match SEAT.get().filter(|(memory, _)| *memory == here) {
            Some((_, worker)) => self.memory.ledger().count(worker, -1, in_memory),
            None => self.memory.ledger().add(-1, in_memory),
        }
        // What goes can only end that memory is tight.
        if self.memory.is_tight() {
            self.memory.refresh();
        }
        if let Some(file) = file
            && let Some(this) = self.this.upgrade()
        {
            self.io.submit(Urgency::Background, move || this.disk.remove(file));
        }
    }

    /// Lets a value be made again that is gone for this reason: its file cannot be read, or its worker
    /// process has ended. Called on an I/O thread.
    pub(super) fn make_again(&self, buffer: &Arc<Buffer>, reason: &str) {
        self.note(buffer, Happening::Unreadable { reason: reason.to_owned() });
        let lost = || buffer.made_again(Err(buffer.lost(reason)));
        let lineage = buffer.lineage().filter(|lineage| lineage.by_tasks_alone);
        let (Some(Lineage { plan, task, options, placement, .. }), Some(links)) =
            (lineage, self.links.get())
        else {
            return lost();
        };
        if self.is_closed() {
            return lost();
        }
        // The graph was planned before, with more outputs.
        let Ok(plan) = Plan::new(Arc::clone(plan.graph()), plan.key(task).clone()) else {
            return lost();
        };
        log::warn!("{:?} is made again, with what it depends on", buffer.key());
        self.counts.recomputed.fetch_add(1, Ordering::Relaxed);
        let tasks = options.map(|options| *options).unwrap_or_default();
        let run = Run::new(super::next_run(), Arc::new(plan), &self.resources(), Vec::new())
            .under(Policy { tasks, placement, outputs_may_stay: true, ..Policy::default() });
        let buffer = Arc::clone(buffer);
        // If the scheduler is gone, what waits for the buffer hears of it when the message is dropped.
        links.recovery.do_send(Recover { run: Arc::new(run), buffer: Recovering(Some(buffer)) });
    }
}

/// A buffer whose value is being made again. Dropping it unsettled tells who waits that there will be
/// no value.
pub(crate) struct Recovering(Option<Arc<Buffer>>);

impl Recovering {
    /// The value was made again, or cannot be had.
    pub(crate) fn settle(mut self, value: Result<Value, Failure>) {
        if let Some(buffer) = self.0.take() {
            buffer.made_again(value);
        }
    }
}

impl Drop for Recovering {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            let ended = buffer.closed();
            buffer.made_again(Err(ended));
        }
    }
}

impl Keeper for Shelf {
    fn keep(&self, worker: Option<WorkerId>, made: Made<'_>, value: Value) -> Arc<dyn Kept> {
        match worker {
            Some(worker) => self.memory.ledger().came(worker, &value),
            None => self.memory.ledger().add(1, crate::engine::signed_bytes(&value)),
        }
        let began = BEGAN.get().filter(|_| self.prices);
        let cost = began.map_or(Duration::ZERO, |began| began.elapsed());
        let Made { run, plan, task, options, placement, by_tasks_alone } = made;
        let options = (!options.say_nothing()).then(|| Box::new(options.clone()));
        let plan_of = Arc::clone(plan);
        let lineage = Lineage { run, plan: plan_of, task, options, placement, by_tasks_alone };
        let this = self.this.upgrade().expect("a run holds its keeper");
        this.shelve(worker, plan.key(task).clone(), value, cost, Some(lineage))
    }

    fn recognise(&self, value: &Value) -> Option<Arc<dyn Kept>> {
        let address = value.address()?;
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = fetched.get(&address)?.upgrade();
        drop(fetched);
        // What lay there then may have moved, and something else may lie there now.
        let buffer = buffer.filter(|buffer| buffer.holds(value))?;
        Some(buffer)
    }

    fn make_room(&self) {
        if let Some(links) = self.links.get() {
            self.press(links);
        }
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// When the last value or handle goes, so do the threads and the files.
impl Drop for Shelf {
    fn drop(&mut self) {
        self.close();
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
