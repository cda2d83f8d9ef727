//! [`Rooms`]: the segments that a child knows, and those of its own making that are free.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use super::super::segment::fits;
use super::super::{Segment, SegmentId, Segments};
use super::lock;

#[derive(Debug, Default)]
pub(super) struct Rooms {
    /// There is none before the greeting.
    maker: OnceLock<Segments>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<SegmentId, Known>,
    free: Vec<Arc<Segment>>,
}

#[derive(Debug)]
struct Known {
    segment: Arc<Segment>,
    /// How often the parent has told of it, less how often it said to forget it. A segment is known as soon as
    /// the parent tells of it, but forgotten in order with the calls, so that it may be told of anew before it
    /// is forgotten.
    told: u32,
}

impl Rooms {
    pub(super) fn open(&self, maker: Segments) {
        // A second greeting is an error, so there is no second maker.
        drop(self.maker.set(maker));
    }

    pub(super) fn get(&self, segment: SegmentId) -> Option<Arc<Segment>> {
        lock(&self.inner).known.get(&segment).map(|known| Arc::clone(&known.segment))
    }

    /// The parent, or this child, has made a segment.
    pub(super) fn know(&self, segment: Arc<Segment>) {
        let mut inner = lock(&self.inner);
        let known = inner.known.entry(segment.id()).or_insert(Known { segment, told: 0 });
        known.told += 1;
    }

    /// Forgets a segment; false if it was told of anew meanwhile.
    pub(super) fn forget(&self, segment: SegmentId) -> bool {
        let mut inner = lock(&self.inner);
        if let Some(known) = inner.known.get_mut(&segment)
            && known.told > 1
        {
            known.told -= 1;
            return false;
        }
        let forgotten = inner.known.remove(&segment);
        inner.free.retain(|free| free.id() != segment);
        drop(inner);
        // It may go with this, and the system takes a while to give its pages back.
        drop(forgotten);
        true
    }

    /// Nobody needs the value any more that lies in a segment. It is kept for the next values, if not too much
    /// is kept for them: answers whether it is.
    pub(super) fn reuse(&self, segment: SegmentId) -> bool {
        /// So many bytes are kept; what is more costs others memory.
        const MOST: u64 = 64 << 20;
        let mut inner = lock(&self.inner);
        let kept: u64 = inner.free.iter().map(|free| free.capacity()).sum();
        let new = inner.known.get(&segment).map_or(0, |known| known.segment.capacity());
        if kept + new > MOST {
            drop(inner);
            self.forget(segment);
            return false;
        }
        let is_free = inner.free.iter().any(|free| free.id() == segment);
        if !is_free && let Some(known) = inner.known.get(&segment) {
            let segment = Arc::clone(&known.segment);
            inner.free.push(segment);
        }
        true
    }

    /// A free segment for so many bytes: the smallest that is large enough, and not much too large.
    pub(super) fn take(&self, bytes: u64) -> Option<Arc<Segment>> {
        let mut inner = lock(&self.inner);
        let free = inner.free.iter().enumerate();
        let found = free.filter(|(_, segment)| fits(segment.capacity(), bytes));
        let (place, _) = found.min_by_key(|(_, segment)| segment.capacity())?;
        Some(inner.free.swap_remove(place))
    }

    /// A new segment, and why it does not lie where it should.
    pub(super) fn make(&self, bytes: u64) -> io::Result<(Arc<Segment>, Option<String>)> {
        let maker = self.maker.get().ok_or_else(|| {
            io::Error::other("the parent has not said yet where segments may lie")
        })?;
        let (segment, fallback) = maker.create(bytes)?;
        let segment = Arc::new(segment);
        self.know(Arc::clone(&segment));
        Ok((segment, fallback))
    }
}
