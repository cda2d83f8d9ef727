//! Codecs of containers, put together from those of their elements.
//!
//! Each asks the element's type for its codec and is none without one. Memory is taken as elements
//! arrive, never on the word of a count alone. A map may come back in another order if its order is
//! that of hashes, which nobody may rely on.

use std::io::Write;

use super::{Codec, CodecError, Source, plain, required};
use crate::value::Data;

/// The codec of what iterates over references to its elements and can be extended by elements.
pub(in crate::value) fn sequence<C, T>() -> Option<Codec<C>>
where
    C: Default + Extend<T>,
    T: Data,
    for<'a> &'a C: IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
{
    T::codec()?;
    Some(Codec::new(
        |elements, out| {
            let mut elements = elements.into_iter();
            write_count(elements.len(), out)?;
            let codec = required::<T>()?;
            elements.try_for_each(|element| (codec.encode)(element, out))
        },
        |source| {
            let count = source.read_length(0)?;
            let codec = required::<T>()?;
            let mut elements = C::default();
            for _ in 0..count {
                elements.extend(Some((codec.decode)(source)?));
            }
            Ok(elements)
        },
    ))
}

/// The codec of a map.
pub(in crate::value) fn mapping<C, K, V>() -> Option<Codec<C>>
where
    C: Default + Extend<(K, V)>,
    K: Data,
    V: Data,
    for<'a> &'a C: IntoIterator<Item = (&'a K, &'a V), IntoIter: ExactSizeIterator>,
{
    K::codec()?;
    V::codec()?;
    Some(Codec::new(
        |map, out| {
            let pairs = map.into_iter();
            write_count(pairs.len(), out)?;
            let (keys, values) = (required::<K>()?, required::<V>()?);
            for (key, value) in pairs {
                (keys.encode)(key, out)?;
                (values.encode)(value, out)?;
            }
            Ok(())
        },
        |source| {
            let count = source.read_length(0)?;
            let (keys, values) = (required::<K>()?, required::<V>()?);
            let mut map = C::default();
            for _ in 0..count {
                let key = (keys.decode)(source)?;
                map.extend(Some((key, (values.decode)(source)?)));
            }
            Ok(map)
        },
    ))
}

/// The codec of a vector.
pub(in crate::value) fn vector<T: Data>() -> Option<Codec<Vec<T>>> {
    T::codec()?;
    Some(Codec::new(|elements, out| write(elements, out), read))
}

/// The codec of a boxed slice.
pub(in crate::value) fn boxed_slice<T: Data>() -> Option<Codec<Box<[T]>>> {
    T::codec()?;
    Some(Codec::new(
        |elements, out| write(elements, out),
        |source| Ok(read(source)?.into_boxed_slice()),
    ))
}

/// The codec of an array; an empty one is one byte, as no item may be none.
pub(in crate::value) fn array<T: Data, const N: usize>() -> Option<Codec<[T; N]>> {
    T::codec()?;
    Some(Codec::new(
        |elements, out| {
            if N == 0 {
                out.write_all(&[0])?;
            }
            let codec = required::<T>()?;
            elements.iter().try_for_each(|element| (codec.encode)(element, out))
        },
        |source| {
            if N == 0 {
                plain::flag(source, &[()])?;
            }
            let codec = required::<T>()?;
            let mut elements = [const { None }; N];
            for element in &mut elements {
                *element = Some((codec.decode)(source)?);
            }
            Ok(elements.map(|element| element.expect("every element was read")))
        },
    ))
}

/// The codec of a box.
pub(in crate::value) fn boxed<T: Data>() -> Option<Codec<Box<T>>> {
    T::codec()?;
    Some(Codec::new(
        |inner, out| write_part(&**inner, out),
        |source| read_part(source).map(Box::new),
    ))
}

/// The codec of an option.
pub(in crate::value) fn option<T: Data>() -> Option<Codec<Option<T>>> {
    T::codec()?;
    Some(Codec::new(
        |option, out| {
            out.write_all(&[u8::from(option.is_some())])?;
            option.as_ref().map_or(Ok(()), |inner| write_part(inner, out))
        },
        |source| {
            let is_some = plain::flag(source, &[false, true])?;
            is_some.then(|| read_part(source)).transpose()
        },
    ))
}

/// Writes a part, whose type must have a codec.
pub(in crate::value) fn write_part<T: Data>(
    part: &T,
    out: &mut dyn Write,
) -> Result<(), CodecError> {
    (required::<T>()?.encode)(part, out)
}

/// Reads a part, whose type must have a codec.
pub(in crate::value) fn read_part<T: Data>(source: &mut Source<'_>) -> Result<T, CodecError> {
    (required::<T>()?.decode)(source)
}

fn write_count(count: usize, out: &mut dyn Write) -> Result<(), CodecError> {
    Ok(out.write_all(&(count as u64).to_ne_bytes())?)
}

fn write<T: Data>(elements: &[T], out: &mut dyn Write) -> Result<(), CodecError> {
    write_count(elements.len(), out)?;
    let codec = required::<T>()?;
    elements.iter().try_for_each(|element| (codec.encode)(element, out))
}

fn read<T: Data>(source: &mut Source<'_>) -> Result<Vec<T>, CodecError> {
    let count = source.read_length(0)?;
    let codec = required::<T>()?;
    let mut elements = Vec::with_capacity(source.capacity::<T>(count));
    for _ in 0..count {
        elements.push((codec.decode)(source)?);
    }
    // The bytes of small elements may be fewer than their memory; then the vector has grown too far.
    elements.shrink_to_fit();
    Ok(elements)
}
