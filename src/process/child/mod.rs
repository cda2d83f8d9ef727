//! The child's side: what a process does that makes calls for its parent.
//!
//! Two threads. The main thread makes the calls, one after the other ([`server`]): many programs insist on
//! the main thread, and some languages deliver interrupts there only. The reader's thread ([`reader`]) hears
//! the parent at any time, also while a call goes on for hours or holds the program's lock: it queues what is
//! to be done, and does at once what cannot wait. Between them stand the [`queue`] of what is to be done,
//! the [`outbox`] of what is to be said, and the [`rooms`] in which large values lie. [`Desk`] is what calls
//! see of all this.
//!
//! Locks: the queue's, the outbox's and the rooms' are taken one at a time, and nothing waits and no program's
//! code runs while one is held, with one exception: a call is interrupted under the queue's lock, so that
//! it cannot end meanwhile and the interrupt reach the next one.

mod desk;
mod outbox;
mod queue;
mod reader;
mod rooms;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::{Signal, getpid, kill_process};

pub use desk::{Desk, Unanswered};

use super::SegmentId;
use super::wire::{Call, Definition, End, WireError, split};
use outbox::Outbox;
use queue::Queue;
use reader::Reader;
use rooms::Rooms;
use server::Server;

/// What a program does with what its parent sends. All of it is called on the main thread, and again while a
/// call waits for the answer to a question.
pub trait Calls {
    /// Prepares for the calls: the first thing that is said.
    ///
    /// # Errors
    ///
    /// If it cannot. The parent is told why, and the child ends.
    fn greet(&self, greeting: &[u8], desk: &Desk) -> Result<(), String>;

    /// Learns what calls of a run refer to.
    fn define(&self, run: u64, definition: Definition);

    /// Forgets what was defined for a run.
    fn forget_run(&self, run: u64);

    /// Makes a call. A panic in it is a failure of that call.
    fn call(&self, call: &Call, desk: &Desk) -> End;

    /// Lets go of a value that has stayed, by the number of the call that made it.
    fn release(&self, value: u64);

    /// Lets go of what it has of a segment; true if nothing in this process shows it any more.
    fn forget_segment(&self, segment: SegmentId) -> bool;

    /// Calls `body`, which waits. A program with a lock of its own gives that back around it.
    fn waiting(&self, body: &mut dyn FnMut());

    /// A call that was [interrupted](Setting::new) has ended: gets rid of the interrupt, if it came too late for the
    /// call to notice. Nothing is interrupted while this runs.
    fn clear_interrupt(&self);
}

/// How [`serve`] came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// The parent said so.
    Stopped,
    /// The greeting was refused, and the parent was told why.
    Refused(String),
}

/// What a child needs beside its socket and its calls.
pub struct Setting {
    interrupt: Box<dyn Fn() + Send + Sync>,
    ending: Box<dyn FnOnce(&WireError) + Send>,
}

impl Setting {
    /// The setting of a process that is nothing but a child.
    ///
    /// `interrupt` makes the call that is being made come to an early end, if it can. It is called on any
    /// thread while the queue of calls is locked: it must neither wait for anything, the program's lock
    /// least of all, nor use a [`Desk`].
    pub fn new(interrupt: impl Fn() + Send + Sync + 'static) -> Self {
        Self { interrupt: Box::new(interrupt), ending: Box::new(end_process) }
    }

    /// What to do, instead of ending the process, when nothing more can come from the parent. It is called on
    /// the reader's thread; when it has returned, [`serve`] returns the error as soon as the call is over
    /// that is being made.
    #[must_use]
    pub fn ending(mut self, ending: impl FnOnce(&WireError) + Send + 'static) -> Self {
        self.ending = Box::new(ending);
        self
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").finish_non_exhaustive()
    }
}

/// Makes the calls that come through a socket, on this thread, until the parent says that it is enough. What
/// was said is sent before this returns.
///
/// When the parent is gone the process ends at once, in the middle of a call, unless the setting says otherwise.
///
/// # Errors
///
/// If no more can come from the parent, or the system has no thread or descriptor for this.
pub fn serve(socket: OwnedFd, calls: Rc<dyn Calls>, setting: Setting) -> Result<Served, WireError> {
    let (sender, receiver) = split(UnixStream::from(socket));
    let (outbox, bell) = Outbox::new(sender, now())?;
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        changed: Condvar::new(),
        answered: Condvar::new(),
        outbox,
        rooms: Rooms::default(),
        interrupt: setting.interrupt,
    });
    let reader = Reader::new(Arc::clone(&shared), receiver, bell, setting.ending);
    let thread = std::thread::Builder::new().name("mobula-reader".into());
    let thread = thread.spawn(move || reader.run())?;
    let served = Server::new(Arc::clone(&shared), calls).run();
    lock(&shared.queue).finished = true;
    shared.outbox.ring();
    let read = thread.join().unwrap_or_else(|_| {
        Err(WireError::Io(std::io::Error::other("the thread that reads from the parent died")))
    });
    served.map_or_else(|| Err(read.err().unwrap_or(WireError::Closed)), Ok)
}

/// What the threads of a child share.
struct Shared {
    queue: Mutex<Queue>,
    /// Told when there is something new for the main thread.
    changed: Condvar,
    /// Told when there is something new for other threads that have asked.
    answered: Condvar,
    outbox: Outbox,
    rooms: Rooms,
    /// Makes the call that is being made end early. Called with the queue locked, see there.
    interrupt: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Ends this process now: the main thread may be anywhere, and will not be waited for.
///
/// `std::process::exit` would run what libraries have registered for the end, on this thread, while the main
/// thread is in the middle of using them: that crashes some and hangs others, and a child that hangs here is
/// left for ever. `_exit` has no safe form. So the process kills itself, which nothing can hold up. Nobody
/// looks at how it ended: its parent is gone. One that is still there, whose messages are not understood,
/// sees a process that has aborted, and the line.
fn end_process(error: &WireError) {
    if !matches!(error, WireError::Closed) {
        // Where nobody listens any more there is nobody to tell.
        drop(writeln!(std::io::stderr(), "mobula: a worker process ends: {error}"));
        std::process::abort();
    }
    kill_process(getpid(), Signal::KILL).ok();
    std::process::abort();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the time of calls, and for how long results wait")]
fn now() -> Instant {
    Instant::now()
}
