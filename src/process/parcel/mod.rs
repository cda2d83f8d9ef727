//! [`Parcel`]: a value as bytes, on its way between processes.
//!
//! A parcel has parts: what a program makes of a value, the buffers of arrays apart from the rest, say. Small
//! parts come along with whatever names the parcel; large ones lie in one segment, which whoever gets
//! the parcel reads where it is. Nobody here knows what the parts mean.

mod codec;
mod layout;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::Segment;
use super::segment::of_this_process;
use super::wire::Packed;
use crate::value::{Codec, Data};

pub use layout::Layout;

/// Where a part of a parcel lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// With the parcel.
    Inline,
    /// In the parcel's segment.
    Shared,
}

/// A part of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it lies.
    pub place: Place,
    /// Where it begins there, in bytes.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// A value as bytes. Cheap to clone.
///
/// # Examples
///
/// ```
/// use mobula::process::Parcel;
///
/// let numbers = vec![7; 1 << 20];
/// let parcel = Parcel::of_parts(&[b"an array", &numbers], numbers.len() as u64)?;
/// assert_eq!(parcel.inline(), &b"an array"[..]);
/// assert!(parcel.segment().is_some());
/// assert_eq!(parcel.read_part(1)?, numbers);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Parcel {
    inline: Bytes,
    parts: Vec<Part>,
    /// There is one only if a part lies in it.
    segment: Option<Arc<Segment>>,
    /// What the value weighs in memory, as its maker says.
    bytes: u64,
}

/// Why something is no parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    /// The part of this number does not lie within what there is.
    #[error("part {0} of a parcel lies outside of it")]
    Outside(usize),
    /// The segment is not there that parts lie in, or is another one.
    #[error("a parcel came without the segment that it needs, or with another one")]
    Segment,
}

impl Parcel {
    /// A parcel of a value that weighs so many bytes in memory. A segment in which no part lies is let go.
    ///
    /// # Errors
    ///
    /// If a part does not lie where it should.
    pub fn new(
        inline: Bytes,
        parts: Vec<Part>,
        segment: Option<Arc<Segment>>,
        bytes: u64,
    ) -> Result<Self, ParcelError> {
        let segment = segment.filter(|_| parts.iter().any(|part| part.place == Place::Shared));
        for (number, part) in parts.iter().enumerate() {
            let size = match (part.place, &segment) {
                (Place::Inline, _) => inline.len() as u64,
                (Place::Shared, Some(segment)) => segment.capacity(),
                (Place::Shared, None) => return Err(ParcelError::Segment),
            };
            if part.offset.checked_add(part.length).is_none_or(|end| end > size) {
                return Err(ParcelError::Outside(number));
            }
        }
        Ok(Self { inline, parts, segment, bytes })
    }

    /// The parcel that came in a message, with its segment if it has one.
    ///
    /// # Errors
    ///
    /// If the segment is another one, or a part does not lie where it should.
    pub fn unpack(
        packed: Packed,
        bytes: u64,
        segment: Option<Arc<Segment>>,
    ) -> Result<Self, ParcelError> {
        let Packed { inline, parts, segment: id } = packed;
        if id != segment.as_ref().map(|segment| segment.id()) {
            return Err(ParcelError::Segment);
        }
        Self::new(inline, parts, segment, bytes)
    }

    /// A parcel of these parts, of a value that weighs so many bytes in memory: small, or in a new segment of
    /// this process, which must be a parent.
    ///
    /// # Errors
    ///
    /// If there is no room for the segment.
    pub fn of_parts(parts: &[&[u8]], bytes: u64) -> io::Result<Self> {
        let lengths: Vec<u64> = parts.iter().map(|part| part.len() as u64).collect();
        let layout = Layout::of(&lengths);
        let segment = room(&layout)?;
        let mut inline = BytesMut::with_capacity(index(layout.inline));
        for (bytes, part) in parts.iter().zip(&layout.parts) {
            match (&segment, part.place) {
                (Some(segment), Place::Shared) => segment.write_at(bytes, part.offset)?,
                (None, _) | (Some(_), Place::Inline) => inline.extend_from_slice(bytes),
            }
        }
        let segment = segment.map(Arc::new);
        Self::new(inline.freeze(), layout.parts, segment, bytes).map_err(io::Error::other)
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What comes along.
    pub fn inline(&self) -> &Bytes {
        &self.inline
    }

    /// Where the large parts lie.
    pub fn segment(&self) -> Option<&Arc<Segment>> {
        self.segment.as_ref()
    }

    /// What the value weighs in memory, as its maker said. What the parcel weighs is another matter.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The parcel as it travels. Its segment must be made known by other means.
    pub fn packed(&self) -> Packed {
        Packed {
            inline: self.inline.clone(),
            parts: self.parts.clone(),
            segment: self.segment.as_ref().map(|segment| segment.id()),
        }
    }

    /// The bytes of the part of this number, copied if they lie in the segment.
    ///
    /// # Errors
    ///
    /// If there is no such part, or the segment cannot be read.
    pub fn read_part(&self, number: usize) -> io::Result<Bytes> {
        let Some(part) = self.parts.get(number) else {
            let text = format!("a parcel of {} parts has no part {number}", self.parts.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        match (&self.segment, part.place) {
            (Some(segment), Place::Shared) => {
                let mut bytes = BytesMut::zeroed(index(part.length));
                segment.read_at(&mut bytes, part.offset)?;
                Ok(bytes.freeze())
            }
            (None, _) | (Some(_), Place::Inline) => {
                Ok(self.inline.slice(index(part.offset)..index(part.offset + part.length)))
            }
        }
    }
}

impl Data for Parcel {
    fn heap_bytes(&self) -> usize {
        let shared = self.parts.iter().filter(|part| part.place == Place::Shared);
        // Parts may lie one over the other, so that the sum has no limit.
        let shared = shared.fold(0_u64, |sum, part| sum.saturating_add(part.length));
        self.inline.len().saturating_add(index(shared))
    }

    fn codec() -> Option<Codec<Self>> {
        Some(codec::parcel())
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("bytes", &self.bytes)
            .field("parts", &self.parts.len())
            .field("segment", &self.segment.as_ref().map(|segment| segment.id()))
            .finish_non_exhaustive()
    }
}

/// The segment that a layout needs.
fn room(layout: &Layout) -> io::Result<Option<Segment>> {
    if layout.shared == 0 {
        return Ok(None);
    }
    let (segment, fallback) = of_this_process().create(layout.shared)?;
    if let Some(line) = fallback {
        log::warn!("{line}");
    }
    Ok(Some(segment))
}

/// Offsets within a parcel are checked when it is made. What is longer than this machine has memory is
/// refused by whoever takes memory for it.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
