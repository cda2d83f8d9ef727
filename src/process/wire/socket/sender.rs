//! [`Sender`]: one direction of a socket. Holds what there is no room for yet.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Serialize;

use super::{HEADER, LARGEST_BODY, MOST_DESCRIPTORS, WireError, pause, wait};

/// Never waits, and a closed socket is an error and no signal.
#[cfg(not(target_vendor = "apple"))]
const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
const FLAGS: SendFlags = SendFlags::DONTWAIT;

/// A buffer that has grown beyond this is given back when it is empty.
const KEPT: usize = 1 << 20;

/// Sends messages, one after the other.
///
/// Who must not wait while the other side waits, too, uses [`queue`](Self::queue) and
/// [`flush`](Self::flush); [`send`](Self::send) is for those who have nothing else to do.
#[derive(Debug)]
pub struct Sender {
    socket: Arc<UnixStream>,
    /// The frames that were not written yet, from `written` on.
    bytes: Vec<u8>,
    /// How much of `bytes` was written.
    written: usize,
    /// Where in `bytes` the frames begin that descriptors ride with, and those.
    riders: VecDeque<(usize, Vec<OwnedFd>)>,
}

impl Sender {
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        Self { socket, bytes: Vec::new(), written: 0, riders: VecDeque::new() }
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Sends a message and what was queued before it; waits until all is written.
    ///
    /// # Errors
    ///
    /// As for [`queue`](Self::queue) and [`flush`](Self::flush).
    pub fn send<M: Serialize>(
        &mut self,
        message: &M,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), WireError> {
        self.queue(message, descriptors)?;
        while !self.flush()? {
            wait(self.socket.as_fd(), PollFlags::OUT, None)?;
        }
        Ok(())
    }

    /// Takes a message to be sent, without writing anything. It has descriptors of its own, so the ones
    /// given may be closed at once.
    ///
    /// # Errors
    ///
    /// If the message is too large, or there are too many open files. Then it is as if it had never
    /// been given.
    pub fn queue<M: Serialize>(
        &mut self,
        message: &M,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), WireError> {
        let riders = Self::own(descriptors)?;
        let begin = self.bytes.len();
        // At most `MOST_DESCRIPTORS`, see `own`.
        let count = u8::try_from(riders.len()).unwrap_or(u8::MAX);
        self.bytes.extend_from_slice(&[0, 0, 0, 0, count]);
        let written = rmp_serde::encode::write(&mut self.bytes, message);
        let body = self.bytes.len() - begin - HEADER;
        let length = u32::try_from(body).ok().filter(|_| body <= LARGEST_BODY);
        match (written, length) {
            (Ok(()), Some(length)) => {
                self.bytes[begin..][..4].copy_from_slice(&length.to_le_bytes());
                if !riders.is_empty() {
                    self.riders.push_back((begin, riders));
                }
                Ok(())
            }
            (written, _) => {
                self.bytes.truncate(begin);
                let why = match written {
                    Ok(()) => format!("it has {body} bytes, {LARGEST_BODY} are allowed"),
                    Err(error) => error.to_string(),
                };
                Err(WireError::TooLarge(why))
            }
        }
    }

    fn own(descriptors: &[BorrowedFd<'_>]) -> Result<Vec<OwnedFd>, WireError> {
        if descriptors.len() > MOST_DESCRIPTORS {
            return Err(WireError::TooLarge(format!(
                "{} descriptors go with it, {MOST_DESCRIPTORS} are allowed",
                descriptors.len()
            )));
        }
        let owned = |descriptor: &BorrowedFd<'_>| {
            rustix::io::fcntl_dupfd_cloexec(descriptor, 0).map_err(WireError::from)
        };
        descriptors.iter().map(owned).collect()
    }

    /// True if nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes what there is room for, without waiting; true if nothing is left. If something is, call this
    /// again when the socket [can be written](AsFd).
    ///
    /// # Errors
    ///
    /// If the other side has closed the socket. What was queued is dropped.
    pub fn flush(&mut self) -> Result<bool, WireError> {
        let result = self.write();
        if !matches!(result, Ok(false)) {
            self.bytes.clear();
            self.written = 0;
            self.riders.clear();
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
        }
        result
    }

    fn write(&mut self) -> Result<bool, WireError> {
        while self.written < self.bytes.len() {
            match self.write_once() {
                Ok(0) | Err(Errno::AGAIN) => return Ok(self.make_room()),
                Ok(bytes) => self.written += bytes,
                Err(Errno::INTR) => {}
                // So many descriptors are on their way that the system takes no more before some have been
                // received, or it has no memory. The socket counts as writable meanwhile, so that who
                // polls it would never rest.
                Err(Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => {
                    pause();
                    return Ok(self.make_room());
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(true)
    }

    /// Writes up to the next frame that descriptors ride with.
    fn write_once(&mut self) -> Result<usize, Errno> {
        let rides_now = self.riders.front().is_some_and(|(begin, _)| *begin == self.written);
        let next =
            self.riders.get(usize::from(rides_now)).map_or(self.bytes.len(), |(end, _)| *end);
        let bytes = [IoSlice::new(&self.bytes[self.written..next])];
        if !rides_now {
            return sendmsg(&self.socket, &bytes, &mut SendAncillaryBuffer::default(), FLAGS);
        }
        let riders = self.riders.front().map(|(_, riders)| riders.as_slice()).unwrap_or_default();
        let riders: Vec<_> = riders.iter().map(AsFd::as_fd).collect();
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(riders.len()))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = control.push(SendAncillaryMessage::ScmRights(&riders));
        debug_assert!(fits, "the space was made for them");
        let sent = sendmsg(&self.socket, &bytes, &mut control, FLAGS)?;
        if sent > 0 {
            // They are on their way with the first byte.
            self.riders.pop_front();
        }
        Ok(sent)
    }

    /// Gives up the part of the buffer that was written, if it is most of it. Answers that something is left.
    fn make_room(&mut self) -> bool {
        if self.written > self.bytes.len() / 2 {
            let written = std::mem::take(&mut self.written);
            self.bytes.drain(..written);
            self.riders.iter_mut().for_each(|(begin, _)| *begin -= written);
        }
        false
    }
}
