//! [`Outbox`]: what a child has to say to its parent, and when it says it.
//!
//! Results wait for each other, so that a thousand short calls do not cost a thousand messages: until
//! nothing more is to be done, until a millisecond has passed since the last ones were sent, or until they are
//! many. If then a long call comes, what was left behind is sent by the reader's thread.
//!
//! Why nobody waits for anybody for ever:
//!
//! - All writing is done under the lock of the outbox, and never waits: what the socket has no room for stays
//!   in the queue of the [`Sender`], and is written by the reader's thread when there is room. So whoever
//!   wants the lock gets it after a copy into the socket at most, and the main thread never waits for the
//!   parent to read.
//! - The reader's thread waits for the socket, or for its bell, and for no thread. It reads whatever it
//!   finds, before and after it writes. So a parent's writing always comes to an end, however much the parent
//!   has left unread, and a parent that reads in between hears all that is queued here.
//! - What is queued here is the results of calls that the parent has sent and hears of, so it is bounded by
//!   what the parent sends ahead.

use std::io::{self, Read, Write};
use std::mem::take;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::wire::{Done, End, Failed, Sender, ToParent, WireError, pair};
use super::lock;

/// How old the last sending must be for the next result to be sent at once.
const SHORT: Duration = Duration::from_millis(1);

/// So many bytes of results wait for no others.
const FULL: usize = 64 << 10;

/// How long a result may be left behind.
const LEFT_BEHIND: Duration = Duration::from_millis(10);

/// What a result weighs beside its bytes.
const WEIGHT: usize = 32;

#[derive(Debug)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    /// Told when all is written, or nothing will be any more.
    written: Condvar,
    /// Wakes the reader's thread.
    bell: UnixStream,
}

#[derive(Debug)]
struct Inner {
    sender: Sender,
    /// Results that are in no message yet.
    done: Vec<Done>,
    /// What those weigh.
    weight: usize,
    /// Since when something waits that nobody has tried to write.
    since: Option<Instant>,
    /// When something was sent last.
    sent: Instant,
    /// The socket had no room for all; whose turn it is to write the rest is the reader's.
    blocked: bool,
    attention: Attention,
    broken: Broken,
}

/// What the reader's thread looks after at the moment. If it must do more, the bell is rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attention {
    /// It waits for the parent only.
    Reading,
    /// It will look in time at what may be left behind.
    Watching,
    /// It waits for room in the socket, too.
    Writing,
}

#[derive(Debug)]
enum Broken {
    No,
    /// Writing has failed; the reader has not heard of it.
    Because(WireError),
    Known,
}

impl Outbox {
    /// Also answers the end of the bell at which the reader's thread listens.
    pub(super) fn new(sender: Sender, now: Instant) -> io::Result<(Self, UnixStream)> {
        let (bell, heard) = pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        let inner = Inner {
            sender,
            done: Vec::new(),
            weight: 0,
            since: None,
            sent: now,
            blocked: false,
            attention: Attention::Reading,
            broken: Broken::No,
        };
        Ok((Self { inner: Mutex::new(inner), written: Condvar::new(), bell }, heard))
    }

    /// A call has come to its end. `last` says that nothing more is to be done at the moment.
    pub(super) fn done(&self, done: Done, last: bool, now: Instant) {
        let mut inner = lock(&self.inner);
        inner.weight += weight(&done);
        inner.done.push(done);
        inner.since.get_or_insert(now);
        if last || inner.weight >= FULL || now.saturating_duration_since(inner.sent) >= SHORT {
            inner.send(now);
        }
        self.call_on_reader(inner);
    }

    /// Sends a message, and before it what waits.
    pub(super) fn say(&self, message: &ToParent, now: Instant) -> Result<(), WireError> {
        let mut inner = lock(&self.inner);
        inner.pack();
        let queued = inner.queue(message, &[]);
        inner.send(now);
        self.call_on_reader(inner);
        queued
    }

    /// Takes a message and its descriptor, for which the results that come next are time enough.
    pub(super) fn announce(
        &self,
        message: &ToParent,
        descriptor: BorrowedFd<'_>,
        now: Instant,
    ) -> Result<(), WireError> {
        let mut inner = lock(&self.inner);
        inner.queue(message, &[descriptor])?;
        inner.since.get_or_insert(now);
        self.call_on_reader(inner);
        Ok(())
    }

    /// Sends what waits.
    pub(super) fn send(&self, now: Instant) {
        let mut inner = lock(&self.inner);
        if inner.since.is_some() {
            inner.send(now);
        }
        self.call_on_reader(inner);
    }

    /// Sends what waits, and waits until the parent has taken it; false if it does not.
    pub(super) fn drain(&self, patience: Duration, now: Instant) -> bool {
        self.send(now);
        let blocked = |inner: &mut Inner| inner.blocked && matches!(inner.broken, Broken::No);
        let waited = self.written.wait_timeout_while(lock(&self.inner), patience, blocked);
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !inner.blocked
    }

    /// Nothing can be written any more, as the reader knows already.
    pub(super) fn close(&self) {
        lock(&self.inner).broken = Broken::Known;
        self.written.notify_all();
    }

    /// Wakes the reader's thread.
    pub(super) fn ring(&self) {
        // If the bell is full of strokes, the reader hears it, too.
        drop((&self.bell).write(&[0]));
    }

    /// Wakes the reader's thread if it must look after more than it does.
    fn call_on_reader(&self, mut inner: MutexGuard<'_, Inner>) {
        let needed = inner.needed();
        let is_broken = matches!(inner.broken, Broken::Because(_));
        if needed > inner.attention || is_broken {
            inner.attention = needed;
            drop(inner);
            self.ring();
        }
    }

    /// For the reader's thread, before it waits: sends what has been left behind. Answers for how long it
    /// may wait because of what waits here, and whether for room in the socket, too.
    pub(super) fn attend(&self, now: Instant) -> Result<(Option<Duration>, bool), WireError> {
        let mut inner = lock(&self.inner);
        let due = |since: Instant| LEFT_BEHIND.saturating_sub(now.saturating_duration_since(since));
        if inner.blocked || inner.since.is_some_and(|since| due(since).is_zero()) {
            inner.send(now);
        }
        if let Broken::Because(_) = inner.broken
            && let Broken::Because(error) = std::mem::replace(&mut inner.broken, Broken::Known)
        {
            return Err(error);
        }
        if !inner.blocked {
            self.written.notify_all();
        }
        inner.attention = inner.needed();
        Ok((inner.since.map(due), inner.blocked))
    }
}

impl Inner {
    fn needed(&self) -> Attention {
        if self.blocked {
            Attention::Writing
        } else if self.since.is_some() {
            Attention::Watching
        } else {
            Attention::Reading
        }
    }

    /// Packs what waits and writes what there is room for.
    fn send(&mut self, now: Instant) {
        self.pack();
        self.since = None;
        self.sent = now;
        match self.sender.flush() {
            Ok(all) => self.blocked = !all,
            Err(error) => {
                self.blocked = false;
                if matches!(self.broken, Broken::No) {
                    self.broken = Broken::Because(error);
                }
            }
        }
    }

    fn queue(
        &mut self,
        message: &ToParent,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), WireError> {
        match self.broken {
            Broken::No => self.sender.queue(message, descriptors),
            Broken::Because(_) | Broken::Known => Err(WireError::Closed),
        }
    }

    /// Makes one message of the results that wait.
    fn pack(&mut self) {
        self.weight = 0;
        if self.done.is_empty() || !matches!(self.broken, Broken::No) {
            self.done.clear();
            return;
        }
        let batch = ToParent::Done(take(&mut self.done));
        if let Err(WireError::TooLarge(_)) = self.queue(&batch, &[])
            && let ToParent::Done(batch) = batch
        {
            for done in batch {
                self.pack_alone(done);
            }
        }
    }

    /// One of the results is too large for any message, so each gets one of its own.
    fn pack_alone(&mut self, done: Done) {
        let (number, elapsed) = (done.number, done.elapsed);
        if let Err(WireError::TooLarge(why)) = self.queue(&ToParent::Done(vec![done]), &[]) {
            let end = End::Failed(Failed::Misfit(format!("what the call came to is lost: {why}")));
            let told = self.queue(&ToParent::Done(vec![Done { number, elapsed, end }]), &[]);
            debug_assert!(!matches!(told, Err(WireError::TooLarge(_))), "a line is not too large");
        }
    }
}

/// Hears the bell out.
pub(super) fn hear(mut bell: &UnixStream) {
    let mut strokes = [0; 64];
    while bell.read(&mut strokes).is_ok_and(|count| count == strokes.len()) {}
}

/// What a result takes in a message, roughly.
fn weight(done: &Done) -> usize {
    let bytes = match &done.end {
        End::Value { packed, .. } => packed.inline.len() + WEIGHT * packed.parts.len(),
        End::Failed(
            Failed::Raised(raised) | Failed::Unreadable(raised) | Failed::Hook { raised, .. },
        ) => raised.len(),
        End::Failed(Failed::Misfit(why)) => why.len(),
        End::Stayed { reason, .. } => reason.as_ref().map_or(0, String::len),
        End::NotMade => 0,
    };
    WEIGHT + bytes
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::wire::{Receiver, split};
    use super::super::now;
    use super::*;

    /// An outbox that has sent something just now.
    fn outbox() -> (Outbox, UnixStream, Receiver, Instant) {
        let (ours, theirs) = pair().unwrap();
        let now = now();
        let (outbox, bell) = Outbox::new(split(ours).0, now).unwrap();
        (outbox, bell, split(theirs).1, now)
    }

    fn done(number: u64, bytes: usize) -> Done {
        let raised = Bytes::from(vec![0; bytes]);
        Done { number, elapsed: 0, end: End::Failed(Failed::Raised(raised)) }
    }

    /// The calls whose ends have come since the last look.
    fn came(receiver: &mut Receiver) -> Vec<u64> {
        let mut came = Vec::new();
        while let Some(received) = receiver.receive(Some(Duration::ZERO)).unwrap() {
            let ToParent::Done(ends) = received.message else { panic!("no end") };
            came.extend(ends.iter().map(|done| done.number));
        }
        came
    }

    fn rang(mut bell: &UnixStream) -> bool {
        bell.read(&mut [0; 64]).is_ok()
    }

    #[test]
    fn results_wait_for_each_other_until_it_is_the_last_or_time_or_too_much() {
        let (outbox, _bell, mut receiver, now) = outbox();
        let soon = now + SHORT / 2;
        outbox.done(done(1, 0), false, soon);
        assert!(came(&mut receiver).is_empty());
        outbox.done(done(2, 0), true, soon);
        assert_eq!(came(&mut receiver), [1, 2]);
        outbox.done(done(3, 0), false, soon + SHORT);
        assert_eq!(came(&mut receiver), [3]);
        outbox.done(done(4, FULL / 2), false, soon + SHORT);
        assert!(came(&mut receiver).is_empty());
        outbox.done(done(5, FULL / 2), false, soon + SHORT);
        assert_eq!(came(&mut receiver), [4, 5]);
    }

    #[test]
    fn what_is_left_behind_the_reader_sends_in_time() {
        let (outbox, bell, mut receiver, now) = outbox();
        assert_eq!(outbox.attend(now).unwrap(), (None, false));
        outbox.done(done(1, 0), false, now);
        assert!(rang(&bell), "the reader waited for nothing but the parent");
        assert_eq!(outbox.attend(now).unwrap(), (Some(LEFT_BEHIND), false));
        outbox.done(done(2, 0), false, now);
        assert!(!rang(&bell), "the reader looks in time");
        let (left, _) = outbox.attend(now + LEFT_BEHIND / 2).unwrap();
        assert_eq!((left, came(&mut receiver)), (Some(LEFT_BEHIND / 2), vec![]));
        assert_eq!(outbox.attend(now + LEFT_BEHIND).unwrap(), (None, false));
        assert_eq!(came(&mut receiver), [1, 2]);
    }

    #[test]
    fn what_there_is_no_room_for_the_reader_writes() {
        let (outbox, bell, mut receiver, now) = outbox();
        outbox.done(done(1, 4 << 20), false, now);
        assert!(rang(&bell));
        assert_eq!(outbox.attend(now).unwrap(), (None, true));
        outbox.done(done(2, 0), true, now);
        assert!(!rang(&bell), "the reader writes as soon as there is room");
        let mut all = Vec::new();
        while all.len() < 2 {
            all.extend(came(&mut receiver));
            outbox.attend(now).unwrap();
        }
        assert_eq!(all, [1, 2]);
        assert_eq!(outbox.attend(now).unwrap(), (None, false));
        assert!(outbox.drain(Duration::ZERO, now));
    }

    #[test]
    fn a_parent_that_is_gone_is_told_of_once_and_nothing_piles_up() {
        let (outbox, bell, receiver, now) = outbox();
        drop(receiver);
        outbox.done(done(1, 0), true, now);
        assert!(rang(&bell));
        assert!(matches!(outbox.attend(now), Err(WireError::Closed)));
        outbox.close();
        outbox.done(done(2, 0), true, now);
        assert!(matches!(outbox.say(&ToParent::Ready, now), Err(WireError::Closed)));
        let inner = lock(&outbox.inner);
        assert!(inner.sender.is_empty() && inner.done.is_empty());
    }
}
