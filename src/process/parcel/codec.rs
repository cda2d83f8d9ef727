//! How a [`Parcel`] goes to the disk and comes back: into a segment of its own, if it is large.
//!
//! Neither way is all of it in the memory of this process at any time.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::BytesMut;

use super::{Layout, Parcel, Part, Place, index, room};
use crate::value::{Codec, CodecError, Source};

/// So much of a segment is copied at once.
pub(super) const PIECE: u64 = 1 << 20;

/// What the bytes of a parcel are: its weight, the number of its parts, their lengths, their contents.
pub(super) fn parcel() -> Codec<Parcel> {
    Codec::new(encode, decode)
}

fn encode(parcel: &Parcel, out: &mut dyn Write) -> Result<(), CodecError> {
    let mut number = |number: u64| out.write_all(&number.to_ne_bytes());
    number(parcel.bytes)?;
    number(parcel.parts.len() as u64)?;
    parcel.parts.iter().try_for_each(|part| number(part.length))?;
    let mut buffer = Vec::new();
    for (place, part) in parcel.parts.iter().enumerate() {
        let (Place::Shared, Some(segment)) = (part.place, &parcel.segment) else {
            out.write_all(&parcel.read_part(place)?)?;
            continue;
        };
        in_pieces(part, &mut buffer, |piece, offset| {
            segment.read_at(piece, offset)?;
            Ok(out.write_all(piece)?)
        })?;
    }
    Ok(())
}

fn decode(source: &mut Source<'_>) -> Result<Parcel, CodecError> {
    let bytes = read_number(source)?;
    let count = source.read_length(size_of::<u64>())?;
    let lengths = (0..count).map(|_| read_number(source)).collect::<Result<Vec<u64>, _>>()?;
    let all = lengths.iter().try_fold(0_u64, |all, length| all.checked_add(*length));
    if all.is_none_or(|all| all > source.remaining()) {
        return Err(CodecError::data("a parcel is longer than the bytes that are left"));
    }
    let layout = Layout::of(&lengths);
    let segment = room(&layout)?;
    let mut inline = BytesMut::zeroed(index(layout.inline));
    let mut buffer = Vec::new();
    for part in &layout.parts {
        let (Place::Shared, Some(segment)) = (part.place, &segment) else {
            let range = index(part.offset)..index(part.offset + part.length);
            source.read_exact(&mut inline[range])?;
            continue;
        };
        in_pieces(part, &mut buffer, |piece, offset| {
            source.read_exact(piece)?;
            Ok(segment.write_at(piece, offset)?)
        })?;
    }
    let segment = segment.map(Arc::new);
    Parcel::new(inline.freeze(), layout.parts, segment, bytes).map_err(CodecError::data)
}

fn read_number(source: &mut Source<'_>) -> Result<u64, CodecError> {
    let mut bytes = [0; size_of::<u64>()];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Calls `copy` for one piece of a part after the other, with room for it and where it lies in the segment.
fn in_pieces(
    part: &Part,
    buffer: &mut Vec<u8>,
    mut copy: impl FnMut(&mut [u8], u64) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let most = index(part.length.min(PIECE));
    if buffer.len() < most {
        buffer.resize(most, 0);
    }
    let mut done = 0;
    while done < part.length {
        let length = (part.length - done).min(PIECE);
        copy(&mut buffer[..index(length)], part.offset + done)?;
        done += length;
    }
    Ok(())
}
