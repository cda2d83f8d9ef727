//! [`Reader`]: the thread of a child that hears the parent, whatever the main thread does.
//!
//! It waits for the socket and for the bell of the outbox, never for another thread, and never to write (see
//! `outbox.rs`). Calls, and what must come before or after them, it queues. What cannot wait for a call that
//! goes on, it does at once: it takes calls out of the queue that were cancelled or called back, interrupts the
//! one that is being made, takes in answers and segments, and notices that the parent is gone.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, getppid};

use super::super::wire::{Received, Receiver, ToChild, ToParent, WireError, wait_for};
use super::super::{Log, Segment};
use super::outbox::hear;
use super::queue::{Greeting, Item};
use super::{Shared, lock, now};

/// How often to look whether the parent is still there. Mostly the socket says so at once, but a copy of the
/// parent's end may live on in another process that the parent has started.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How many messages are taken in before the outbox has its turn.
const IN_A_ROW: usize = 64;

pub(super) struct Reader {
    shared: Arc<Shared>,
    receiver: Receiver,
    bell: UnixStream,
    ending: Box<dyn FnOnce(&WireError) + Send>,
    /// The process that started this one.
    parent: Option<Pid>,
    looked: Instant,
    greeted: bool,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        receiver: Receiver,
        bell: UnixStream,
        ending: Box<dyn FnOnce(&WireError) + Send>,
    ) -> Self {
        let parent = getppid();
        Self { shared, receiver, bell, ending, parent, looked: now(), greeted: false }
    }

    /// Hears the parent until the main thread has finished.
    ///
    /// # Errors
    ///
    /// If no more can come from the parent, and the process goes on all the same.
    pub(super) fn run(mut self) -> Result<(), WireError> {
        let Err(error) = self.hear_parent() else { return Ok(()) };
        // A parent that has said that it is enough may go; the main thread is about to end by itself.
        let queue = lock(&self.shared.queue);
        let is_expected = queue.stopping && queue.current().is_none();
        drop(queue);
        if !is_expected {
            (self.ending)(&error);
        }
        lock(&self.shared.queue).closed = true;
        self.shared.changed.notify_all();
        self.shared.answered.notify_all();
        self.shared.outbox.close();
        Err(error)
    }

    fn hear_parent(&mut self) -> Result<(), WireError> {
        let mut more = false;
        while !lock(&self.shared.queue).finished {
            let (left_behind, write) = self.shared.outbox.attend(now())?;
            let timeout = left_behind.unwrap_or(BETWEEN_LOOKS).min(BETWEEN_LOOKS);
            let timeout = if more { Duration::ZERO } else { timeout };
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, write);
            let socket = PollFd::new(&self.receiver, events);
            let mut both = [socket, PollFd::new(&self.bell, PollFlags::IN)];
            wait_for(&mut both, Some(timeout))?;
            let [came, rang] = both.map(|descriptor| !descriptor.revents().is_empty());
            if rang {
                hear(&self.bell);
            }
            if came || more {
                more = self.take_in()?;
            }
            self.look_for_parent()?;
        }
        Ok(())
    }

    /// Takes in what has come; true if there may be more.
    fn take_in(&mut self) -> Result<bool, WireError> {
        for _ in 0..IN_A_ROW {
            match self.receiver.receive(Some(Duration::ZERO))? {
                Some(received) => self.take(received)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn look_for_parent(&mut self) -> Result<(), WireError> {
        let now = now();
        if now.saturating_duration_since(self.looked) < BETWEEN_LOOKS {
            return Ok(());
        }
        self.looked = now;
        if getppid() == self.parent { Ok(()) } else { Err(WireError::Closed) }
    }

    fn take(&mut self, received: Received<ToChild>) -> Result<(), WireError> {
        let Received { message, descriptors } = received;
        let is_greeting = matches!(message, ToChild::Greet { .. });
        if is_greeting == self.greeted {
            let why =
                if is_greeting { "a second greeting" } else { "something before the greeting" };
            return Err(WireError::Damaged(why.to_owned()));
        }
        match message {
            ToChild::Greet { number, media, greeting } => {
                self.greeted = true;
                let log = Log::from_fd(one(descriptors)?);
                self.queue([Item::Greet(Greeting { number, media, words: greeting, log })]);
            }
            ToChild::Know { segment, capacity } => {
                let adopted = Segment::adopt(segment, capacity, one(descriptors)?);
                let adopted = adopted.map_err(|error| {
                    WireError::Damaged(format!(
                        "segment {segment} is not what it should be: {error}"
                    ))
                })?;
                self.shared.rooms.know(Arc::new(adopted));
            }
            ToChild::Call(calls) => self.queue(calls.into_iter().map(Item::Call)),
            ToChild::Define { run, definitions } => {
                self.queue([Item::Define { run, definitions }]);
            }
            ToChild::ForgetRun { run } => self.queue([Item::ForgetRun(run)]),
            ToChild::Forget { segments } => self.queue([Item::Forget(segments)]),
            ToChild::Reuse { segments } => self.queue([Item::Reuse(segments)]),
            ToChild::Release { values } => self.queue([Item::Release(values)]),
            ToChild::Cancel { run } => self.cancel(run),
            ToChild::Recall { keep } => {
                let keep = usize::try_from(keep).unwrap_or(usize::MAX);
                let calls = lock(&self.shared.queue).recall(keep);
                self.give_back(calls);
            }
            ToChild::Answer { question, payload } => {
                lock(&self.shared.queue).answer(question, payload);
                self.shared.changed.notify_all();
                self.shared.answered.notify_all();
            }
            ToChild::Stop => {
                lock(&self.shared.queue).stopping = true;
                self.shared.changed.notify_all();
                self.shared.answered.notify_all();
            }
        }
        Ok(())
    }

    fn queue(&self, items: impl IntoIterator<Item = Item>) {
        let mut queue = lock(&self.shared.queue);
        let was_empty = queue.is_empty();
        items.into_iter().for_each(|item| queue.add(item));
        drop(queue);
        // Who waits does so only as long as there is nothing.
        if was_empty {
            self.shared.changed.notify_all();
        }
    }

    fn cancel(&self, run: u64) {
        let mut queue = lock(&self.shared.queue);
        let (calls, interrupt) = queue.cancel(run);
        if interrupt {
            // Still locked: the call cannot come to its end meanwhile.
            (self.shared.interrupt)();
        }
        drop(queue);
        self.shared.changed.notify_all();
        if !calls.is_empty() {
            self.give_back(calls);
        }
    }

    /// Gives calls back. If the parent is gone, reading says so.
    fn give_back(&self, calls: Vec<u64>) {
        if let Err(error @ WireError::TooLarge(_)) =
            self.shared.outbox.say(&ToParent::Returned { calls }, now())
        {
            log::error!("{error}");
        }
    }
}

/// The one descriptor that comes with a message.
fn one(descriptors: Vec<OwnedFd>) -> Result<OwnedFd, WireError> {
    let count = descriptors.len();
    let mut descriptors = descriptors.into_iter();
    match (descriptors.next(), descriptors.next()) {
        (Some(descriptor), None) => Ok(descriptor),
        _ => Err(WireError::Damaged(format!("{count} descriptors came with a message, not one"))),
    }
}
