//! [`Desk`]: what the calls of a child see of their parent.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::super::wire::{ToParent, WireError};
use super::super::{Segment, SegmentId};
use super::queue::Waiting;
use super::server::Server;
use super::{Shared, lock, now};

/// A handle to what the calls of a child need of their parent, for any thread of it. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    shared: Arc<Shared>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The call was interrupted before it asked, and nothing was asked. The program may have noticed that
    /// already, and may not: it looks now. If nothing is under way any more, it asks again; this is said once.
    #[error("the call was interrupted before it asked")]
    NotAsked,
    /// The call was interrupted while it waited. The answer, when it comes, is dropped.
    #[error("the call was interrupted while it waited for an answer")]
    Interrupted,
    /// The process is to end.
    #[error("this process is to end")]
    Stopped,
    /// The parent is gone.
    #[error("the parent of this process is gone")]
    Closed,
    /// The question is longer than a message can be.
    #[error("the question cannot be sent: {0}")]
    TooLarge(String),
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A segment that the parent has told of, or that this process has made.
    pub fn segment(&self, segment: SegmentId) -> Option<Arc<Segment>> {
        self.shared.rooms.get(segment)
    }

    /// A segment of at least so many bytes to write a value into: a used one that nobody needs any more, or a
    /// new one. Of a used one the old contents are still there.
    ///
    /// If no value comes to lie in it, [`vacate`](Self::vacate) it.
    ///
    /// # Errors
    ///
    /// If there is no room in any of the places where segments may lie, or there are too many open files.
    pub fn room(&self, bytes: u64) -> io::Result<Arc<Segment>> {
        // The parent has closed its descriptor of a used one, so that is announced like a new one.
        let (segment, fallback) = match self.shared.rooms.take(bytes) {
            Some(free) => (free, None),
            None => self.shared.rooms.make(bytes)?,
        };
        let (id, capacity) = (segment.id(), segment.capacity());
        let share = ToParent::Share { segment: id, capacity, fallback };
        // Before the result that refers to it, because that goes the same way later.
        self.shared.outbox.announce(&share, segment.as_fd(), now()).map_err(|error| {
            self.shared.rooms.forget(id);
            match error {
                WireError::Io(error) => error,
                error @ (WireError::Closed
                | WireError::Damaged(_)
                | WireError::TooLarge(_)
                | WireError::TooManyFiles) => io::Error::other(error),
            }
        })?;
        Ok(segment)
    }

    /// Gives a room back in which no value came to lie.
    pub fn vacate(&self, room: &Segment) {
        if !self.shared.rooms.reuse(room.id()) {
            let empty = ToParent::Forgotten { segments: vec![(room.id(), false)] };
            // If the parent is gone, the reader's thread sees to that.
            self.shared.outbox.say(&empty, now()).ok();
        }
    }

    /// Asks the parent something, and waits for the answer.
    ///
    /// On the main thread, in a call, other calls are made meanwhile; the ones that had come already are given
    /// back to the parent first, because they may be what is waited for, and somebody else may be free. On any
    /// other thread this is [`ask_aside`](Self::ask_aside).
    ///
    /// # Errors
    ///
    /// If no answer comes.
    pub fn ask(&self, payload: Bytes) -> Result<Bytes, Unanswered> {
        match Server::of_this_thread(&self.shared) {
            Some(server) => server.ask(payload),
            None => self.ask_aside(payload),
        }
    }

    /// Asks the parent something, and does nothing but wait for the answer. The program's lock must not be held,
    /// or the main thread waits, too.
    ///
    /// # Errors
    ///
    /// If no answer comes. Cancelling a run interrupts nobody who asks aside.
    pub fn ask_aside(&self, payload: Bytes) -> Result<Bytes, Unanswered> {
        let question = lock(&self.shared.queue).ask();
        let ask = ToParent::Ask { question, call: None, payload };
        if let Err(WireError::TooLarge(why)) = self.shared.outbox.say(&ask, now()) {
            lock(&self.shared.queue).waited_aside(question);
            return Err(Unanswered::TooLarge(why));
        }
        let mut queue = lock(&self.shared.queue);
        loop {
            let end = match (queue.take_answer(question), queue.state()) {
                (Some(answer), _) => Ok(answer),
                (None, Waiting::Closed) => Err(Unanswered::Closed),
                (None, Waiting::Stopped) => Err(Unanswered::Stopped),
                (None, Waiting::GoesOn | Waiting::Interrupt) => {
                    let waited = self.shared.answered.wait(queue);
                    queue = waited.unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            };
            queue.waited_aside(question);
            return end;
        }
    }

    /// Does something that must not be interrupted half-way, for the innermost call on the main thread: what
    /// reads functions and values may load libraries, of which some cannot be loaded again after that. If the
    /// run of the call is cancelled meanwhile, it is interrupted behind this.
    pub fn reading<T>(&self, body: impl FnOnce() -> T) -> T {
        let reads = lock(&self.shared.queue).reads();
        let answer = body();
        if reads {
            let mut queue = lock(&self.shared.queue);
            if queue.has_read() {
                // Still locked, as where a message interrupts.
                (self.shared.interrupt)();
            }
        }
        answer
    }

    /// The call that the main thread is in, the innermost one.
    pub fn current_call(&self) -> Option<u64> {
        lock(&self.shared.queue).current()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("current_call", &self.current_call()).finish_non_exhaustive()
    }
}
