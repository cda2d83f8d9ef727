//! [`Layout`]: which parts of a parcel come along, and where the others lie.

use super::{Part, Place};

/// Up to so many bytes in all, everything comes along: a segment costs more than copying them twice.
const SMALL: u64 = 64 << 10;

/// A part below this comes along in any case.
const SMALL_PART: u64 = 4 << 10;

/// Parts in a segment begin at multiples of this: a cache line, and what vector instructions like.
pub(super) const ALIGNMENT: u64 = 64;

/// Where the parts of a parcel are to lie.
///
/// # Examples
///
/// ```
/// use mobula::process::{Layout, Place};
///
/// let layout = Layout::of(&[100, 1 << 20]);
/// assert_eq!(layout.parts.iter().map(|part| part.place).collect::<Vec<_>>(), [
///     Place::Inline,
///     Place::Shared,
/// ]);
/// assert_eq!((layout.inline, layout.shared), (100, 1 << 20));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The parts, in the order of their lengths.
    pub parts: Vec<Part>,
    /// How many bytes come along.
    pub inline: u64,
    /// How many bytes the segment must have; 0 if there is none.
    pub shared: u64,
}

impl Layout {
    /// The layout of parts of these lengths. Lengths that nothing can have make a layout for which there
    /// is no room.
    pub fn of(lengths: &[u64]) -> Self {
        let all = lengths.iter().fold(0_u64, |all, length| all.saturating_add(*length));
        let (mut inline, mut shared) = (0_u64, 0_u64);
        let place = |&length: &u64| {
            if all <= SMALL || length < SMALL_PART {
                let part = Part { place: Place::Inline, offset: inline, length };
                inline += length;
                return part;
            }
            let offset = shared.checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX);
            shared = offset.saturating_add(length);
            Part { place: Place::Shared, offset, length }
        };
        let parts = lengths.iter().map(place).collect();
        Self { parts, inline, shared }
    }
}
