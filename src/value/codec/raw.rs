//! Codecs of numbers and of what is made of plain bytes: the memory itself is written in one piece,
//! and read straight into the memory where it stays.
//!
//! The bytes of numbers are in the order of this machine. Types that merely contain numbers are put
//! together in `compose`.

use std::any::Any;
use std::io::{Read, Write};

use bytemuck::Pod;
use bytes::Bytes;

use super::{Codec, CodecError, Source, same};

/// The first of the codecs `make::<number>()` that is one of the wanted type.
macro_rules! any_number {
    ($make:ident) => {
        any_number!($make: u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64)
    };
    ($make:ident: $($number:ty)*) => {
        $(if let Some(codec) = same($make::<$number>()) {
            return Some(codec);
        })*
    };
}

/// The codec of a number.
pub(in crate::value) fn number<N: Pod>() -> Codec<N> {
    Codec::robust(
        |number, out| Ok(out.write_all(bytemuck::bytes_of(number))?),
        |source| {
            let mut number = N::zeroed();
            source.read_exact(bytemuck::bytes_of_mut(&mut number))?;
            Ok(number)
        },
    )
}

/// The codec of a vector, if `T` is a number.
pub(in crate::value) fn raw_vec<T: Any>() -> Option<Codec<Vec<T>>> {
    fn make<N: Pod>() -> Codec<Vec<N>> {
        Codec::robust(|numbers, out| write(numbers, out), read)
    }
    any_number!(make);
    None
}

/// The codec of a boxed slice, if `T` is a number.
pub(in crate::value) fn raw_boxed_slice<T: Any>() -> Option<Codec<Box<[T]>>> {
    fn make<N: Pod>() -> Codec<Box<[N]>> {
        Codec::robust(
            |numbers, out| write(numbers, out),
            |source| Ok(read(source)?.into_boxed_slice()),
        )
    }
    any_number!(make);
    None
}

/// The codec of an array, if `T` is a number and there is one in it.
pub(in crate::value) fn raw_array<T: Any, const N: usize>() -> Option<Codec<[T; N]>> {
    fn make<T: Pod, const N: usize>() -> Codec<[T; N]> {
        Codec::robust(
            |numbers, out| Ok(out.write_all(bytemuck::cast_slice(numbers))?),
            |source| {
                let mut numbers = [T::zeroed(); N];
                source.read_exact(bytemuck::cast_slice_mut(&mut numbers))?;
                Ok(numbers)
            },
        )
    }
    macro_rules! any_array {
        ($($number:ty)*) => {
            $(if let Some(codec) = same(make::<$number, N>()) {
                return Some(codec);
            })*
        };
    }
    if N > 0 {
        any_array!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);
    }
    None
}

/// The codec of [`Bytes`].
pub(in crate::value) fn bytes() -> Codec<Bytes> {
    Codec::robust(|bytes, out| write(bytes, out), |source| Ok(read::<u8>(source)?.into()))
}

/// The codec of a string.
pub(in crate::value) fn text() -> Codec<String> {
    Codec::robust(
        |text, out| write(text.as_bytes(), out),
        |source| String::from_utf8(read(source)?).map_err(CodecError::data),
    )
}

/// Writes the length, then the memory of the slice.
pub(super) fn write<N: Pod>(numbers: &[N], out: &mut dyn Write) -> Result<(), CodecError> {
    out.write_all(&(numbers.len() as u64).to_ne_bytes())?;
    Ok(out.write_all(bytemuck::cast_slice(numbers))?)
}

/// What [`write`] has written.
pub(super) fn read<N: Pod>(source: &mut Source<'_>) -> Result<Vec<N>, CodecError> {
    let count = source.read_length(size_of::<N>())?;
    // The system hands out zeroed pages as they are first written, so this is no pass over them.
    let mut numbers = vec![N::zeroed(); count];
    source.read_exact(bytemuck::cast_slice_mut(&mut numbers))?;
    Ok(numbers)
}
