//! [`Source`]: the bytes of one value, of which it is known how many are left.
//!
//! It does not check what the bytes say, only that nobody reads, or takes memory for, more than there
//! are.

use std::fmt;
use std::io::{self, Read};

use super::CodecError;

/// The least number of elements for which a container may take memory at once.
const FEW: usize = 16;

/// What a codec reads from: the bytes of one value, and nothing of what follows them.
///
/// It is a [`Read`] that also knows how much is left, so that a length that was read can be checked
/// before memory is taken for it.
pub struct Source<'a> {
    reader: &'a mut dyn Read,
    remaining: u64,
}

impl<'a> Source<'a> {
    /// The next `length` bytes of a reader, which should be a buffered one.
    pub fn new(reader: &'a mut dyn Read, length: u64) -> Self {
        Self { reader, remaining: length }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Reads a length that was written as `u64`, of items that took at least `bytes_each`.
    ///
    /// # Errors
    ///
    /// [`CodecError::Data`] if there are not that many bytes left.
    pub fn read_length(&mut self, bytes_each: usize) -> Result<usize, CodecError> {
        let mut length = [0; size_of::<u64>()];
        self.read_exact(&mut length)?;
        let length = u64::from_ne_bytes(length);
        let remaining = self.remaining;
        usize::try_from(length)
            .ok()
            .filter(|_| {
                length.checked_mul(bytes_each as u64).is_some_and(|bytes| bytes <= remaining)
            })
            .ok_or_else(|| {
                let each = format!("{length} items of {bytes_each} bytes or more");
                CodecError::data(format!("{each} are told of, {remaining} bytes are left"))
            })
    }

    /// For how many of `count` items of type `T` memory may be taken before they were read.
    pub fn capacity<T>(&self, count: usize) -> usize {
        let fitting = self.remaining / size_of::<T>().max(1) as u64;
        count.min(usize::try_from(fitting).unwrap_or(usize::MAX).max(FEW))
    }

    /// One byte.
    pub(super) fn read_byte(&mut self) -> Result<u8, CodecError> {
        let mut byte = [0];
        self.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..most])?;
        self.remaining -= read as u64;
        Ok(read)
    }

    /// In one step, which matters to codecs of many small items.
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if buffer.len() as u64 > self.remaining {
            let message = format!("{} bytes are missing", buffer.len() as u64 - self.remaining);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.reader.read_exact(buffer)?;
        self.remaining -= buffer.len() as u64;
        Ok(())
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
