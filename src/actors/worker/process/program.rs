//! [`Processes`]: what a program says of its worker processes.

use std::any::Any;
use std::io;
use std::process::Command;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;

use super::outlet::Outlet;
use super::packing::{PackError, Packing};
use crate::graph::{BoxError, Key};
use crate::process::{Medium, Parcel};
use crate::value::Value;

/// What a program says of its worker processes: how they are started, and how calls and values become
/// bytes for them.
///
/// A worker process runs [`process::serve`](crate::process::serve) on its standard input. It is started
/// when a run is first placed there ([`Placement::Processes`](crate::Placement::Processes)), and serves all
/// further runs; one that dies is replaced. All methods may be called from several threads at once.
pub trait Processes: std::fmt::Debug + Send + Sync + 'static {
    /// The command that starts a worker process. Its standard input is the socket; input, output and
    /// process group are set here and not by the program.
    ///
    /// # Errors
    ///
    /// If there is no such command.
    fn command(&self) -> io::Result<Command>;

    /// What each worker process is told first.
    fn greeting(&self) -> Vec<u8>;

    /// Where large values lie that are shared between processes, the best place first.
    fn media(&self) -> Vec<Medium> {
        vec![Medium::Anonymous, Medium::Directory(std::env::temp_dir())]
    }

    /// Around several calls of [`pack`](Self::pack), which it must call exactly once: to take a lock for
    /// all of them.
    fn packing(&self, body: &mut dyn FnMut()) {
        body();
    }

    /// Packs a call of `function` (see [`Function::as_any`](crate::Function::as_any)) with these arguments.
    ///
    /// # Errors
    ///
    /// If the call is made in the worker's thread instead, or cannot be packed.
    fn pack(
        &self,
        function: &dyn Any,
        arguments: &[Value],
        packing: &mut Packing<'_>,
    ) -> Result<(), PackError>;

    /// The value of a parcel in which something of this process's own is. Worker processes hand all other
    /// parcels to each other as they are; what lives only as long as somebody here holds it must be held by a
    /// value that the program knows.
    ///
    /// # Errors
    ///
    /// If the parcel cannot be read: its task has failed.
    fn received(&self, parcel: Parcel) -> Result<Value, BoxError> {
        Ok(Value::new(parcel))
    }

    /// The error that a function has raised in a worker process.
    fn raised(&self, raised: &[u8]) -> BoxError;

    /// The error of a task whose function or inputs a worker process could not read, because of this.
    fn unreadable(&self, key: &Key, raised: &[u8]) -> BoxError {
        let _ = key;
        self.raised(raised)
    }

    /// True if the value of this function may stay in the process that made it while only the next task needs
    /// it. False, if somebody may want to have it here when that task fails.
    fn may_stay(&self, function: &dyn Any) -> bool {
        let _ = function;
        true
    }

    /// As [`raised`](Self::raised), with the function and what it was called with: whoever wants to look at
    /// the failure may have the call repeated here.
    fn raised_by(&self, function: &dyn Any, arguments: &[Value], raised: &[u8]) -> BoxError {
        let _ = (function, arguments);
        self.raised(raised)
    }

    /// The error of a task whose value is wanted but cannot leave the worker process that made it, for
    /// this reason.
    fn cannot_leave(&self, key: &Key, reason: &str) -> BoxError {
        format!("the value of {key:?} cannot leave its worker process: {reason}").into()
    }

    /// A task in a worker process asks something. It is to be answered from some other thread: the worker
    /// waits for nobody.
    fn ask(&self, question: Question) {
        drop(question);
    }

    /// A worker process has been started that has this number, which no other one ever has.
    fn started(&self, process: u32) {
        let _ = process;
    }

    /// A worker process has ended that had this number.
    fn ended(&self, process: u32) {
        let _ = process;
    }

    /// Waits for the lock that functions hold while they run in the workers' threads, gives it back at once,
    /// and answers how long that took; `None`, which is the default, if there is no such lock.
    /// [`Placement::Auto`](crate::Placement::Auto) learns from it who would gain by running elsewhere.
    fn knock(&self) -> Option<Duration> {
        None
    }

    /// Something that the user should know, in one line; by default it is logged.
    fn warn(&self, line: &str) {
        log::warn!("{line}");
    }

    /// A line that a worker process has written, in the task of this key, if it was in one.
    fn output(&self, process: u32, key: Option<&Key>, stream: Stream, line: &str) {
        let key = key.map_or_else(|| "-".to_owned(), ToString::to_string);
        log::info!("({key}, process {process}, {stream:?}) {line}");
    }
}

/// Where a process writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Something that a task in a worker process asks, and for whose answer it waits. One that is dropped is
/// never answered; the process waits until it is ended.
#[derive(Debug)]
pub struct Question {
    pub(super) outlet: Weak<Outlet>,
    pub(super) number: u64,
    pub(super) payload: Bytes,
    pub(super) process: u32,
    /// True if a call waits for the answer, and not some other thread of the process.
    pub(super) is_of_call: bool,
}

impl Question {
    /// What is asked.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The number of the worker process, among all that the cluster has had.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// The bytes that an answer has at most.
    pub const LONGEST_ANSWER: usize = 1 << 29;

    /// Answers it. If the process is gone, nobody hears it.
    ///
    /// # Errors
    ///
    /// If the answer is [longer](Self::LONGEST_ANSWER) than can be sent. The question is still to be answered.
    pub fn answer(self, payload: Bytes) -> Result<(), Self> {
        if payload.len() > Self::LONGEST_ANSWER {
            return Err(self);
        }
        if let Some(outlet) = self.outlet.upgrade() {
            outlet.answer(self.number, payload, self.is_of_call);
        }
        Ok(())
    }
}
