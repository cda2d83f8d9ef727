//! [`Output`]: what a child writes, line by line, each with the task that wrote it.
//!
//! Output and error of a child are pipes. Where its program knows which call writes, it puts a mark before
//! the text: `U+001E`, the call's number in decimal, `U+001F`. What comes without a mark (from libraries
//! that write by themselves) counts as written by the last call that was named. A thread reads the pipes
//! as long as the child lives; a worker that hears that calls have ended reads what they wrote first, so
//! that a line is shown before its run ends. While the worker sleeps, that thread watches the socket, too.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::super::active::ActiveRun;
use super::fleet::Fleet;
use super::program::Stream;
use crate::engine::TaskId;
use crate::process::wire::{Done, pair};

/// What a child writes.
pub(super) struct Output {
    child: u32,
    fleet: Weak<Fleet>,
    /// The worker's end of the socket, to wait with.
    socket: OwnedFd,
    /// True while the worker sleeps.
    watches: AtomicBool,
    /// Wakes the thread when it is to watch; the other end is read by it.
    bell: (UnixStream, UnixStream),
    /// Held while lines are read and shown, so that they are shown in order. Nobody has it who holds a lock of
    /// the program's.
    showing: Mutex<()>,
    content: Mutex<Content>,
}

struct Content {
    output: Pipe<ChildStdout>,
    error: Pipe<ChildStderr>,
    /// The calls that were sent lately, oldest first: the first number of a batch, its run, its tasks.
    calls: VecDeque<(u64, Weak<ActiveRun>, Vec<TaskId>)>,
    /// The last lines.
    last: VecDeque<String>,
}

/// What becomes of a line that has no end yet.
#[derive(Clone, Copy)]
enum Begun<'a> {
    /// It waits for more.
    Kept,
    /// It is shown if these calls, or others before them, have begun it, or somebody whom nobody named.
    Ended(&'a [Done]),
    /// It is shown.
    Shown,
}

/// One of the two.
struct Pipe<P> {
    stream: Stream,
    /// None once the child has closed it.
    end: Option<P>,
    /// What was read of a line that has no end yet.
    begun: Vec<u8>,
    /// The call that was named last.
    call: Option<u64>,
    /// True if that call has ended.
    has_ended: bool,
}

/// So many lines are kept for the message of a child that dies.
const LAST: usize = 30;

/// A longer line is shown in pieces.
const LONGEST: usize = 64 << 10;

/// So long after its output a process ends itself.
const MOMENT: Duration = Duration::from_millis(10);

const MARK: u8 = 0x1e;
const MARK_END: u8 = 0x1f;

impl Output {
    /// Begins to read what a child writes.
    pub(super) fn start(
        fleet: &Arc<Fleet>,
        child: u32,
        socket: OwnedFd,
        output: Option<ChildStdout>,
        error: Option<ChildStderr>,
    ) -> io::Result<Arc<Self>> {
        for pipe in output.iter().map(AsFd::as_fd).chain(error.iter().map(AsFd::as_fd)) {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        let content = Content {
            output: Pipe::new(Stream::Output, output),
            error: Pipe::new(Stream::Error, error),
            calls: VecDeque::new(),
            last: VecDeque::new(),
        };
        let bell = pair()?;
        bell.0.set_nonblocking(true)?;
        bell.1.set_nonblocking(true)?;
        let this = Arc::new(Self {
            child,
            fleet: Arc::downgrade(fleet),
            socket,
            watches: AtomicBool::new(false),
            bell,
            showing: Mutex::new(()),
            content: Mutex::new(content),
        });
        let reader = Arc::clone(&this);
        std::thread::Builder::new()
            .name(format!("mobula-output-{child}"))
            .spawn(move || reader.read())?;
        Ok(this)
    }

    /// Says whether the worker sleeps, who otherwise hears himself what the child says.
    pub(super) fn watch(&self, watches: bool) {
        let before = self.watches.swap(watches, Ordering::AcqRel);
        if watches && !before {
            // A bell that is full of strokes is heard, too.
            drop((&self.bell.0).write(&[0]));
        }
    }

    /// Reads nothing any more: others may have the child's ends, too, and keep them open.
    pub(super) fn close(&self) {
        let mut content = self.lock();
        let ends = (content.output.end.take(), content.error.end.take());
        drop(content);
        drop(ends);
        drop((&self.bell.0).write(&[0]));
    }

    /// Reads until the child has closed both.
    fn read(&self) {
        let mut strokes = [0; 64];
        loop {
            let pipes = {
                let content = self.lock();
                let (output, error) = (content.output.copy(), content.error.copy());
                drop(content);
                [output, error]
            };
            let mut waited: Vec<PollFd<'_>> =
                pipes.iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)).collect();
            if waited.is_empty() {
                // It has ended, or will in a moment; and its worker may be asleep.
                std::thread::park_timeout(MOMENT);
                return self.wake_worker();
            }
            waited.push(PollFd::new(&self.bell.1, PollFlags::IN));
            let watches = self.watches.load(Ordering::Acquire);
            if watches {
                waited.push(PollFd::new(&self.socket, PollFlags::IN));
            }
            // A signal is as good as something to read.
            poll(&mut waited, None).ok();
            let says = watches && waited.last().is_some_and(|last| !last.revents().is_empty());
            while (&self.bell.1).read(&mut strokes).is_ok_and(|count| count == strokes.len()) {}
            if says && self.watches.swap(false, Ordering::AcqRel) {
                self.wake_worker();
            }
            self.show(Begun::Kept);
        }
    }

    fn wake_worker(&self) {
        if let Some(fleet) = self.fleet.upgrade() {
            fleet.wake_worker_of(self.child);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // A line is taken in as a whole.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which calls a batch has.
    pub(super) fn sends(&self, first: u64, active: &Arc<ActiveRun>, tasks: Vec<TaskId>) {
        /// More batches than can be under way.
        const MANY: usize = 512;
        let mut content = self.lock();
        if content.calls.len() >= MANY {
            content.calls.pop_front();
        }
        content.calls.push_back((first, Arc::downgrade(active), tasks));
    }

    /// Calls have ended, those with these numbers: reads what they wrote, and shows it. What has no end yet is a
    /// line, too, unless a call that goes on has begun it.
    pub(super) fn catch_up(&self, ended: &[Done]) {
        self.show(Begun::Ended(ended));
    }

    /// Reads what there is, and shows the lines; also what was begun and has no end, if it is one.
    fn show(&self, begun: Begun<'_>) {
        let _in_order = self.showing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.lock();
        let mut lines = Vec::new();
        content.output.read(&mut lines);
        content.error.read(&mut lines);
        content.output.end_begun(begun, &mut lines);
        content.error.end_begun(begun, &mut lines);
        let lines: Vec<_> = lines
            .into_iter()
            .map(|(stream, call, line)| {
                if content.last.len() == LAST {
                    content.last.pop_front();
                }
                content.last.push_back(line.clone());
                (stream, call.and_then(|call| content.task(call)), line)
            })
            .collect();
        drop(content);
        let Some(fleet) = self.fleet.upgrade().filter(|_| !lines.is_empty()) else { return };
        for (stream, task, line) in lines {
            // The run may go with this, and what its graph holds.
            let key = task.map(|(active, task)| active.run.plan().key(task).clone());
            fleet.program().output(self.child, key.as_ref(), stream, &line);
        }
    }

    /// The last lines that the child, which has ended, has written.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.show(Begun::Shown);
        self.lock().last.iter().cloned().collect()
    }
}

impl Content {
    fn task(&self, call: u64) -> Option<(Arc<ActiveRun>, TaskId)> {
        let (first, active, tasks) = self.calls.iter().rev().find(|(first, ..)| *first <= call)?;
        let task = tasks.get(usize::try_from(call - first).ok()?)?;
        Some((active.upgrade()?, *task))
    }
}

type Line = (Stream, Option<u64>, String);

impl<P: Read + AsFd> Pipe<P> {
    fn new(stream: Stream, pipe: Option<P>) -> Self {
        Self { stream, end: pipe, begun: Vec::new(), call: None, has_ended: true }
    }

    /// Another descriptor of the same pipe, to wait with.
    fn copy(&self) -> Option<OwnedFd> {
        self.end.as_ref()?.as_fd().try_clone_to_owned().ok()
    }

    fn read(&mut self, lines: &mut Vec<Line>) {
        let mut buffer = [0; 8192];
        while let Some(pipe) = &mut self.end {
            match pipe.read(&mut buffer) {
                Ok(0) => {
                    self.end = None;
                    self.end_line(lines);
                }
                Ok(count) => self.take_in(&buffer[..count], lines),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.end = None,
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8], lines: &mut Vec<Line>) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end_line(lines),
                MARK_END => self.take_mark(lines),
                byte => self.begun.push(byte),
            }
            if self.begun.len() >= LONGEST {
                self.end_line(lines);
            }
        }
    }

    /// A mark has come to its end: what stands before it belongs to the call before.
    fn take_mark(&mut self, lines: &mut Vec<Line>) {
        let Some(at) = self.begun.iter().rposition(|byte| *byte == MARK) else {
            return self.begun.push(MARK_END);
        };
        let number = str::from_utf8(&self.begun[at + 1..]).ok().and_then(|text| text.parse().ok());
        let Some(number) = number else { return self.begun.push(MARK_END) };
        self.begun.truncate(at);
        if !self.begun.is_empty() && self.call != Some(number) {
            self.end_line(lines);
        }
        self.call = Some(number);
        self.has_ended = false;
    }

    /// Takes what was begun for a line, if nothing more is to come.
    fn end_begun(&mut self, begun: Begun<'_>, lines: &mut Vec<Line>) {
        match begun {
            Begun::Kept => return,
            Begun::Ended(ended) => {
                self.has_ended =
                    self.has_ended || ended.iter().any(|done| Some(done.number) == self.call);
                if !self.has_ended {
                    return;
                }
            }
            Begun::Shown => {}
        }
        // The beginning of a mark is not, nor is that of a letter of several bytes.
        if !self.begun.is_empty()
            && !self.begun.contains(&MARK)
            && str::from_utf8(&self.begun).is_ok()
        {
            self.end_line(lines);
        }
    }

    fn end_line(&mut self, lines: &mut Vec<Line>) {
        let line = std::mem::take(&mut self.begun);
        if line.is_empty() && self.end.is_none() {
            return;
        }
        lines.push((self.stream, self.call, String::from_utf8_lossy(&line).into_owned()));
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("child", &self.child).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wire::End;

    fn lines_of(pieces: &[&[u8]]) -> Vec<(Option<u64>, String)> {
        let mut pipe: Pipe<ChildStdout> = Pipe::new(Stream::Output, None);
        let mut lines = Vec::new();
        for piece in pieces {
            pipe.take_in(piece, &mut lines);
        }
        lines.into_iter().map(|(_, call, line)| (call, line)).collect()
    }

    #[test]
    fn lines_belong_to_the_call_that_was_named_last() {
        let lines = lines_of(&[b"before\n\x1e7\x1fone\ntwo\n\x1e8", b"\x1fthree\n"]);
        let texts: Vec<_> = lines.iter().map(|(call, text)| (*call, text.as_str())).collect();
        assert_eq!(
            texts,
            [(None, "before"), (Some(7), "one"), (Some(7), "two"), (Some(8), "three")]
        );
    }

    #[test]
    fn a_line_that_another_call_goes_on_with_is_two_lines() {
        let lines = lines_of(&[b"\x1e1\x1fbegun\x1e2\x1fended\n"]);
        assert_eq!(lines, [(Some(1), "begun".to_owned()), (Some(2), "ended".to_owned())]);
    }

    #[test]
    fn a_line_without_end_ends_with_its_call_and_not_with_another_one() {
        let done = |number| [Done { number, elapsed: 0, end: End::NotMade }];
        let mut pipe: Pipe<ChildStdout> = Pipe::new(Stream::Output, None);
        let mut lines = Vec::new();
        pipe.take_in(b"\x1e7\x1fbegun", &mut lines);
        pipe.end_begun(Begun::Ended(&done(6)), &mut lines);
        assert_eq!(lines, []);
        pipe.end_begun(Begun::Ended(&done(7)), &mut lines);
        // A library writes, and says for nobody.
        pipe.take_in(b"more", &mut lines);
        pipe.end_begun(Begun::Ended(&done(8)), &mut lines);
        let texts: Vec<_> = lines.iter().map(|(_, call, text)| (*call, text.as_str())).collect();
        assert_eq!(texts, [(Some(7), "begun"), (Some(7), "more")]);
    }

    #[test]
    fn what_only_looks_like_a_mark_is_text() {
        let lines = lines_of(&[b"a\x1fb\x1exy\x1fc\n"]);
        assert_eq!(lines, [(None, "a\u{1f}b\u{1e}xy\u{1f}c".to_owned())]);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let long = vec![b'x'; LONGEST + 1];
        assert_eq!(lines_of(&[&long]).len(), 1);
    }
}
