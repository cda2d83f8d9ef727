//! [`Receiver`]: the other direction of a socket. Holds what has come and was not asked for yet.

use std::collections::VecDeque;
use std::io::{Cursor, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use serde::de::DeserializeOwned;

use super::{HEADER, LARGEST_BODY, MOST_DESCRIPTORS, Received, WireError, wait};

/// Never waits; programs that this one starts do not inherit what comes.
#[cfg(not(target_vendor = "apple"))]
const FLAGS: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::CMSG_CLOEXEC);
#[cfg(target_vendor = "apple")]
const FLAGS: RecvFlags = RecvFlags::DONTWAIT;

/// The buffer that serves most frames, many at a time.
const BUFFER: usize = 256 << 10;

/// A buffer that has grown beyond this for a frame is given back after it.
const KEPT: usize = 4 << 20;

/// Receives messages, one after the other.
#[derive(Debug)]
pub struct Receiver {
    socket: Arc<UnixStream>,
    /// What was read is in `begin..end`.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// The descriptors that came and whose frames were not handed out yet.
    descriptors: VecDeque<OwnedFd>,
    /// What control messages are read into.
    control: Vec<MaybeUninit<u8>>,
}

impl Receiver {
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        // One more than the other side sends at once.
        let control = rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS + 1));
        Self {
            socket,
            buffer: Vec::new(),
            begin: 0,
            end: 0,
            descriptors: VecDeque::new(),
            control: vec![MaybeUninit::uninit(); control],
        }
    }

    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// The next message, `None` if it did not come in time; without a limit, waits for it.
    ///
    /// One read may bring many messages. Before waiting for the [descriptor](AsFd) to become readable, call
    /// this with a limit of zero until it answers `None`.
    ///
    /// # Errors
    ///
    /// If the other side has closed the socket, when all that it sent before has been handed out; if what it
    /// sent is no message.
    pub fn receive<M: DeserializeOwned>(
        &mut self,
        timeout: Option<Duration>,
    ) -> Result<Option<Received<M>>, WireError> {
        loop {
            if let Some(received) = self.take()? {
                return Ok(Some(received));
            }
            if self.read()? {
                continue;
            }
            // A message that comes in pieces gets the whole limit for each of them, which is no harm: the
            // other side writes them as fast as they are read.
            if timeout == Some(Duration::ZERO)
                || !wait(self.socket.as_fd(), PollFlags::IN, timeout)?
            {
                return Ok(None);
            }
        }
    }

    /// Takes the first frame out of the buffer, if it is complete.
    fn take<M: DeserializeOwned>(&mut self) -> Result<Option<Received<M>>, WireError> {
        let Some((length, count)) = self.header()? else { return Ok(None) };
        let Some(body) = self.buffer[self.begin + HEADER..self.end].get(..length) else {
            return Ok(None);
        };
        let damaged = |why: &dyn std::fmt::Display| WireError::Damaged(why.to_string());
        let mut reader = rmp_serde::Deserializer::new(Cursor::new(body));
        let message = M::deserialize(&mut reader).map_err(|error| damaged(&error))?;
        let rest = (length as u64).saturating_sub(reader.position());
        if rest > 0 {
            return Err(damaged(&format_args!("{rest} bytes are behind its end")));
        }
        if count > self.descriptors.len() {
            return Err(damaged(&format_args!(
                "{count} descriptors should have come, not {}",
                self.descriptors.len()
            )));
        }
        self.begin += HEADER + length;
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
            if self.buffer.len() > KEPT {
                self.buffer = Vec::new();
            }
        }
        Ok(Some(Received { message, descriptors: self.descriptors.drain(..count).collect() }))
    }

    /// The length of the first frame's body, and how many descriptors come with it.
    fn header(&self) -> Result<Option<(usize, usize)>, WireError> {
        let Some(&[a, b, c, d, count]) = self.buffer[self.begin..self.end].first_chunk::<HEADER>()
        else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > LARGEST_BODY {
            let why = format!("it would have {length} bytes, {LARGEST_BODY} are allowed");
            return Err(WireError::Damaged(why));
        }
        Ok(Some((length, usize::from(count))))
    }

    /// Reads what has come; false if nothing has.
    fn read(&mut self) -> Result<bool, WireError> {
        self.make_room();
        let mut control = RecvAncillaryBuffer::new(&mut self.control);
        let room = &mut [IoSliceMut::new(&mut self.buffer[self.end..])];
        let read = loop {
            match recvmsg(&self.socket, room, &mut control, FLAGS) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(errno.into()),
                Ok(read) => break read,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        #[cfg(target_vendor = "apple")]
        for descriptor in &self.descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
        if read.flags.contains(ReturnFlags::CTRUNC) {
            return Err(WireError::TooManyFiles);
        }
        if read.bytes == 0 {
            return Err(WireError::Closed);
        }
        self.end += read.bytes;
        Ok(true)
    }

    /// Makes room in the buffer for at least some of what comes next. A large frame's buffer grows with what
    /// has come of it, never by what its header claims.
    fn make_room(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        }
        if self.begin > 0 && self.end > self.buffer.len() / 2 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        if self.end > self.buffer.len() / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}
