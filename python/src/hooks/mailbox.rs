//! [`Mailbox`]: what workers tell the thread that called `get`, where Dask's own hooks are called.
//!
//! A worker that is about to run a task can wait until that thread has let it go on. Letters are read in
//! the order in which they were written, so the end of a task is read before the start of those that
//! need it. No lock is held while anything of Python is called.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Thread, ThreadId};

use mobula::{ObjectRef, TaskId, Value};

/// What a run tells the thread that waits for it.
pub(super) enum Letter {
    /// A worker has taken the task on; if starts are waited for, it waits.
    Starts(TaskId),
    /// The task has ended, on the thread with this `threading.get_ident()`.
    Ended(TaskId, Value, u64),
    /// The last task was taken on; the refs of the wanted values.
    AllSubmitted(Vec<ObjectRef>),
}

/// The letters of one run to the thread that waits for it.
pub(super) struct Mailbox {
    content: Mutex<Content>,
    /// Woken when `Content::let_go` grows, and at the end.
    may_go: Condvar,
    reader: Thread,
    /// False if there are no letters; set by writers, cleared by the reader.
    has_mail: AtomicBool,
    /// True once the reader reads no more. Changed under the lock of the content.
    is_over: AtomicBool,
}

#[derive(Default)]
struct Content {
    letters: VecDeque<Letter>,
    /// How many starts were written, and how many of them may go on.
    started: u64,
    let_go: u64,
}

impl Mailbox {
    /// A mailbox that this thread reads.
    pub(super) fn new() -> Self {
        Self {
            content: Mutex::default(),
            may_go: Condvar::new(),
            reader: std::thread::current(),
            has_mail: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // The content is whole at any time.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reader(&self) -> ThreadId {
        self.reader.id()
    }

    pub(super) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// True once nobody listens any more: the run is over for its caller.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Writes a letter, and answers its number among those that tell of a start.
    pub(super) fn write(&self, letter: Letter) -> u64 {
        let mut content = self.lock();
        let number = content.started;
        content.started += u64::from(matches!(letter, Letter::Starts(_)));
        content.letters.push_back(letter);
        self.has_mail.store(true, Ordering::Release);
        drop(content);
        self.reader.unpark();
        number
    }

    /// Waits until the reader has let a start go on, or reads no more.
    pub(super) fn wait(&self, number: u64) {
        let mut content = self.lock();
        while content.let_go <= number && !self.is_over() {
            content = self.may_go.wait(content).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next letter.
    pub(super) fn read(&self) -> Option<Letter> {
        let mut content = self.lock();
        let letter = content.letters.pop_front();
        self.has_mail.store(!content.letters.is_empty(), Ordering::Release);
        letter
    }

    /// Lets the next start go on.
    pub(super) fn let_go(&self) {
        self.lock().let_go += 1;
        self.may_go.notify_all();
    }

    /// Nothing is read any more. Who waits goes on.
    pub(super) fn close(&self) {
        let mut content = self.lock();
        self.is_over.store(true, Ordering::Release);
        let unread = std::mem::take(&mut content.letters);
        drop(content);
        self.may_go.notify_all();
        drop(unread);
    }
}
