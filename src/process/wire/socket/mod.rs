//! The socket between a parent and its child: whole messages in frames, file descriptors beside them.
//!
//! A frame is a header of five bytes, the length of the body (u32, little-endian) and how many descriptors
//! come with it, and the body, one MessagePack value. Descriptors ride with the first byte of their frame,
//! so they are never later than the header that counts them; they are handed out first come, first served.
//!
//! Nothing here waits for the socket unless it is asked to. Two sides that both insist on writing first
//! wait for each other for ever as soon as both have more to say than the socket holds. So each side
//! [queues](Sender::queue) what it has to say, writes what there is room for ([`Sender::flush`]), and reads
//! whenever there is something to read.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

pub use receiver::Receiver;
pub use sender::Sender;

/// The bytes of a frame before its body.
const HEADER: usize = 5;

/// The largest body of a frame. Large data lies in segments, so a longer one is no message of ours.
const LARGEST_BODY: usize = 1 << 30;

/// The most descriptors that come with one frame. No kernel that we know takes more than 253 at once.
const MOST_DESCRIPTORS: usize = 250;

/// A message, and the descriptors that came with it.
#[derive(Debug)]
pub struct Received<M> {
    /// The message.
    pub message: M,
    /// The descriptors, in the order in which they were sent. They close when they are dropped.
    pub descriptors: Vec<OwnedFd>,
}

/// Why nothing more comes through a socket, or goes into it. Only [`TooLarge`](Self::TooLarge) leaves the
/// socket as it was; after any other the two sides do not understand each other any more.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side has closed the socket, or has ended.
    #[error("the other process has closed the connection")]
    Closed,
    /// What came is no message.
    #[error("the other process sent what is no message: {0}")]
    Damaged(String),
    /// This message cannot be sent: it is too long, or too many descriptors go with it.
    #[error("a message cannot be sent: {0}")]
    TooLarge(String),
    /// A descriptor that was sent to this process is lost, because it has too many already.
    #[error(
        "this process has too many open files to take another one from the other process; raise the limit \
         of open files (`ulimit -n`), or use fewer worker processes"
    )]
    TooManyFiles,
    /// The system refuses.
    #[error("the connection to the other process failed: {0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for WireError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            Errno::MFILE | Errno::NFILE => Self::TooManyFiles,
            other => Self::Io(other.into()),
        }
    }
}

/// Two ends of a new socket. Programs that this one starts do not inherit them.
///
/// # Errors
///
/// If the process has too many open files.
///
/// # Examples
///
/// ```
/// # #[cfg(unix)]
/// # {
/// use mobula::process::wire::{Received, ToChild, pair, split};
///
/// let (parent, child) = pair()?;
/// let (mut sender, _) = split(parent);
/// let (_, mut receiver) = split(child);
/// sender.send(&ToChild::Stop, &[])?;
/// let received: Option<Received<ToChild>> = receiver.receive(None)?;
/// assert_eq!(received.map(|received| received.message), Some(ToChild::Stop));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
    UnixStream::pair()
}

/// The two directions of one end of a socket. It closes when both are dropped.
pub fn split(socket: UnixStream) -> (Sender, Receiver) {
    #[cfg(target_vendor = "apple")]
    quiet(&socket);
    let socket = Arc::new(socket);
    (Sender::new(Arc::clone(&socket)), Receiver::new(socket))
}

/// Writing to a closed socket is an error and no signal. Elsewhere each call says that for itself.
#[cfg(target_vendor = "apple")]
fn quiet(socket: &UnixStream) {
    // If it fails, a closed socket kills a process whose parent or child has just died.
    rustix::net::sockopt::set_socket_nosigpipe(socket, true).ok();
}

/// Waits until the socket can be read or written, as `events` says; false if that took too long.
pub(super) fn wait(
    socket: BorrowedFd<'_>,
    events: PollFlags,
    timeout: Option<Duration>,
) -> Result<bool, WireError> {
    wait_for(&mut [PollFd::from_borrowed_fd(socket, events)], timeout)
}

/// Waits until one of the descriptors is as it should be; false if that took too long.
pub(crate) fn wait_for(
    descriptors: &mut [PollFd<'_>],
    timeout: Option<Duration>,
) -> Result<bool, WireError> {
    let deadline = timeout.and_then(|timeout| now().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now()));
        // What is too long for the system to wait is for ever.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(descriptors, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long to wait after an interruption")]
fn now() -> Instant {
    Instant::now()
}

/// A short pause where the system has no other way to say when it will be able to.
fn pause() {
    const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000 };
    // An interruption only makes it shorter.
    poll(&mut [], Some(&PAUSE)).ok();
}

/// What can wait for both directions, and for other descriptors besides.
impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}
