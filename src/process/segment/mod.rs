//! [`Segment`]: memory that processes share, as a file without a name.
//!
//! A segment is an anonymous file of the system's (`memfd`), or one in a directory whose name was taken
//! away at once. Only its descriptor travels, so nothing of it is left when those who have one are gone,
//! whatever they die of. Its pages are reserved when it is made, and none of them can be taken away, so
//! that a place that is full is an error then, and never a signal to somebody who reads. Where segments lie
//! is the affair of [`medium`], who makes them is [`maker`]. Nothing here maps anything: who wants to see
//! a segment as memory maps it by himself.

mod maker;
mod medium;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

pub use maker::Segments;
pub use maker::share_in;
pub(super) use maker::{fits, of_this_process};
pub use medium::Medium;

/// The name of a segment: who made it, and a number among those that he made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId(u64);

/// The bits of the number; the others are the maker.
const NUMBER: u32 = 40;

impl SegmentId {
    /// The segment of this number by this maker: 0 is the parent, others are children by their numbers.
    pub fn new(maker: u32, number: u64) -> Self {
        Self((u64::from(maker) << NUMBER) | (number & ((1 << NUMBER) - 1)))
    }

    /// Who made it. Of children, the last 16 million are distinguished.
    pub fn maker(self) -> u32 {
        u32::try_from(self.0 >> NUMBER).unwrap_or(u32::MAX)
    }

    /// True if this child made it.
    pub fn is_made_by(self, child: u32) -> bool {
        self == Self::new(child, self.0)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.maker(), self.0 & ((1 << NUMBER) - 1))
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {self}")
    }
}

/// How many segments this process has, and their bytes.
static LIVE: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));

/// What is told when a segment goes.
type Hook = Box<dyn FnOnce(SegmentId, bool) + Send + Sync>;

/// Shared memory of a fixed size. [`Segments`] makes new ones.
pub struct Segment {
    id: SegmentId,
    capacity: u64,
    file: File,
    /// True once this process shows it to somebody as memory: then it must not be used again.
    is_shown: AtomicBool,
    when_dropped: Option<Hook>,
}

impl Segment {
    fn new(id: SegmentId, capacity: u64, file: File) -> Self {
        LIVE.0.fetch_add(1, Ordering::Relaxed);
        LIVE.1.fetch_add(capacity, Ordering::Relaxed);
        Self { id, capacity, file, is_shown: AtomicBool::new(false), when_dropped: None }
    }

    /// Takes over a segment that another process made.
    ///
    /// # Errors
    ///
    /// If the descriptor is not that of a file, if the file is smaller than it should be, or if it is one
    /// that could be made smaller though it need not be: whoever had mapped it would be hit by a signal.
    pub fn adopt(id: SegmentId, capacity: u64, descriptor: OwnedFd) -> io::Result<Self> {
        let file = File::from(descriptor);
        let wrong = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        // Before its size is looked at, which could change otherwise.
        let is_unsealed = medium::is_unsealed(&file);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return wrong(format!("{id:?} is no file"));
        }
        if is_unsealed {
            return wrong(format!("{id:?} is memory that is not sealed against shrinking"));
        }
        if metadata.len() < capacity {
            return wrong(format!("{id:?} has {} bytes instead of {capacity}", metadata.len()));
        }
        Ok(Self::new(id, capacity, file))
    }

    /// Its name.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Its size in bytes.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Reads as many bytes as there is room for.
    ///
    /// # Errors
    ///
    /// If they do not lie within the segment, or the system fails.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.check(bytes.len(), offset)?;
        self.file.read_exact_at(bytes, offset)
    }

    /// Writes these bytes.
    ///
    /// # Errors
    ///
    /// If they would not lie within the segment, or the system fails.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(bytes.len(), offset)?;
        self.file.write_all_at(bytes, offset)
    }

    fn check(&self, length: usize, offset: u64) -> io::Result<()> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.capacity) {
            let text = format!("{length} bytes at {offset} do not lie within {self:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(())
    }

    /// Notes that this process shows the segment to somebody as memory, for who knows how long: it must
    /// not be used for anything else.
    pub fn show(&self) {
        self.is_shown.store(true, Ordering::Relaxed);
    }

    /// Has `hook` called when the segment goes: with its name, and whether it was [shown](Self::show).
    /// An earlier hook is forgotten.
    pub fn when_dropped(&mut self, hook: impl FnOnce(SegmentId, bool) + Send + Sync + 'static) {
        self.when_dropped = Some(Box::new(hook));
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        LIVE.0.fetch_sub(1, Ordering::Relaxed);
        LIVE.1.fetch_sub(self.capacity, Ordering::Relaxed);
        if let Some(hook) = self.when_dropped.take() {
            hook(self.id, *self.is_shown.get_mut());
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.id, self.capacity)
    }
}

/// How many segments this process has, made by itself or by others, and how many bytes they have.
pub fn live_segments() -> (u64, u64) {
    (LIVE.0.load(Ordering::Relaxed), LIVE.1.load(Ordering::Relaxed))
}

/// Lets this process have as many open files as the system allows: each segment is one. Answers how many
/// that are.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current.unwrap_or(u64::MAX);
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Some systems allow fewer than they say; then it stays as it was.
    let raised = setrlimit(Resource::Nofile, raised).is_ok();
    if raised { limit.maximum } else { limit.current }.unwrap_or(u64::MAX)
}
