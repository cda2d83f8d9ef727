//! [`Outlet`]: the sending end of the socket to a child, for all threads that have something to say.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::process::wire::{Sender, ToChild, WireError};

/// The sending end of the socket to a child. Nobody waits here: what the socket does not take at once goes
/// when the worker's thread next looks at it.
#[derive(Debug)]
pub(super) struct Outlet {
    sender: Mutex<Sender>,
    /// True while something waits to be sent.
    is_full: AtomicBool,
    /// True once the child does not listen any more.
    is_closed: AtomicBool,
    /// How many calls the child has that it may not have begun. Written by the worker's thread.
    ahead: AtomicUsize,
    /// True once those were called back, until others are sent.
    is_recalled: AtomicBool,
    /// How many questions of the child are not answered.
    questions: AtomicUsize,
}

impl Outlet {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            sender: Mutex::new(sender),
            is_full: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            ahead: AtomicUsize::new(0),
            is_recalled: AtomicBool::new(false),
            questions: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sender> {
        // A message is queued as a whole or not at all.
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something. That nobody listens any more shows where the child's end is noticed.
    pub(super) fn say(&self, message: &ToChild, descriptors: &[BorrowedFd<'_>]) {
        if self.is_closed.load(Ordering::Relaxed) {
            return;
        }
        let mut sender = self.lock();
        let sent = sender.queue(message, descriptors).and_then(|()| sender.flush());
        self.note(sent);
    }

    /// A call of the child asks something.
    pub(super) fn asked(&self) {
        self.questions.fetch_add(1, Ordering::AcqRel);
    }

    /// A question of the child is answered, one of a call or of some other thread there.
    pub(super) fn answer(&self, question: u64, payload: Bytes, is_of_call: bool) {
        // First, so that nothing more is sent to be done meanwhile.
        if is_of_call {
            self.questions.fetch_sub(1, Ordering::AcqRel);
        }
        self.say(&ToChild::Answer { question, payload }, &[]);
    }

    /// True while a question of the child is not answered.
    pub(super) fn has_questions(&self) -> bool {
        self.questions.load(Ordering::Acquire) > 0
    }

    /// Says how many calls are under way.
    pub(super) fn has_calls(&self, count: usize) {
        self.ahead.store(count.saturating_sub(1), Ordering::Relaxed);
    }

    /// Calls were sent: they can be called back, too.
    pub(super) fn has_new_calls(&self) {
        self.is_recalled.store(false, Ordering::Relaxed);
    }

    /// True, once, if the child has calls that it may not have begun.
    pub(super) fn is_worth_recalling(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) > 0 && !self.is_recalled.swap(true, Ordering::Relaxed)
    }

    /// True if something waits to be sent.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Sends what waits, as far as the socket takes it.
    pub(super) fn flush(&self) {
        let sent = self.lock().flush();
        self.note(sent);
    }

    /// Says nothing any more.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.is_full.store(false, Ordering::Relaxed);
    }

    fn note(&self, sent: Result<bool, WireError>) {
        match sent {
            Ok(all) => self.is_full.store(!all, Ordering::Relaxed),
            Err(error @ WireError::TooLarge(_)) => log::error!("{error}"),
            Err(error) => {
                log::debug!("a worker process does not listen any more: {error}");
                self.close();
            }
        }
    }
}
