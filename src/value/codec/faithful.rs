//! MessagePack through serde, for data that comes back as it was.
//!
//! MessagePack writes `Some(x)` as `x` and both `None` and `()` as nil, lets lengths wrap at 32 bits,
//! and reads no deeper than it is told to. So [`Faithful`] stands between the data and the format and
//! refuses what would come back as something else, or not at all. It cannot notice a `Serialize` that
//! does not fit the type's own `Deserialize`.

use std::io::{self, Write};

use rmp_serde::decode::Error as DecodeError;
use rmp_serde::encode::Error as EncodeError;
use serde::de::DeserializeOwned;
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{CodecError, Source};

/// How deep data may be nested. Reading recurses for each level, on a thread's usual stack.
const DEEPEST: u16 = 512;

/// Types that have a readable form, such as addresses and times, get it: serde reads untagged and
/// flattened data back in this form, whatever it was written in.
pub(super) fn encode<T: Serialize>(data: &T, out: &mut dyn Write) -> Result<(), CodecError> {
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map().with_human_readable();
    let faithful = Faithful { inner: &mut serializer, depth: 0, in_some: false };
    data.serialize(faithful).map_err(|error| {
        if let EncodeError::InvalidValueWrite(error) = error {
            io::Error::from(error).into()
        } else {
            CodecError::data(error)
        }
    })
}

pub(super) fn decode<T: DeserializeOwned>(source: &mut Source<'_>) -> Result<T, CodecError> {
    let mut deserializer = rmp_serde::Deserializer::new(source).with_human_readable();
    // What was written is not too deep, but the two sides do not count alike.
    deserializer.set_max_depth(usize::from(DEEPEST) * 4);
    T::deserialize(&mut deserializer).map_err(|error| {
        if let DecodeError::InvalidMarkerRead(error) | DecodeError::InvalidDataRead(error) = error {
            error.into()
        } else {
            CodecError::data(error)
        }
    })
}

/// A serializer, or a part of one, that refuses what `inner` could not give back.
struct Faithful<S> {
    inner: S,
    depth: u16,
    /// Nil would be read as the `None` around it.
    in_some: bool,
}

/// Data that is serialized through a [`Faithful`].
struct Inside<'a, T: ?Sized> {
    data: &'a T,
    depth: u16,
    in_some: bool,
}

impl<T: Serialize + ?Sized> Serialize for Inside<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.data.serialize(Faithful { inner, depth: self.depth, in_some: self.in_some })
    }
}

impl<S: Serializer> Faithful<S> {
    /// For the nil that is about to be written.
    fn checked_nil(&self) -> Result<(), S::Error> {
        if self.in_some {
            return Err(S::Error::custom(
                "an option holds `None` or `()`, which would be read as `None`; \
                 write a codec of your own, or another type",
            ));
        }
        Ok(())
    }

    fn checked_length(length: Option<usize>) -> Result<(), S::Error> {
        if length.is_some_and(|length| u32::try_from(length).is_err()) {
            return Err(S::Error::custom("it has more than 2^32 - 1 elements in one place"));
        }
        Ok(())
    }

    fn deeper(&self) -> Result<u16, S::Error> {
        if self.depth >= DEEPEST {
            let message = format!("it is nested deeper than {DEEPEST} levels");
            return Err(S::Error::custom(message));
        }
        Ok(self.depth + 1)
    }

    /// Goes one level down, into `begin`.
    fn part<P>(
        self,
        length: Option<usize>,
        begin: impl FnOnce(S) -> Result<P, S::Error>,
    ) -> Result<Faithful<P>, S::Error> {
        Self::checked_length(length)?;
        let depth = self.deeper()?;
        Ok(Faithful { inner: begin(self.inner)?, depth, in_some: false })
    }
}

impl<P> Faithful<P> {
    fn inside<'a, T: ?Sized>(&self, data: &'a T) -> Inside<'a, T> {
        Inside { data, depth: self.depth, in_some: false }
    }
}

macro_rules! forward {
    ($($method:ident($scalar:ty))*) => {
        $(fn $method(self, scalar: $scalar) -> Result<S::Ok, S::Error> {
            self.inner.$method(scalar)
        })*
    };
}

impl<S: Serializer> Serializer for Faithful<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Faithful<S::SerializeSeq>;
    type SerializeTuple = Faithful<S::SerializeTuple>;
    type SerializeTupleStruct = Faithful<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Faithful<S::SerializeTupleVariant>;
    type SerializeMap = Faithful<S::SerializeMap>;
    type SerializeStruct = Faithful<S::SerializeStruct>;
    type SerializeStructVariant = Faithful<S::SerializeStructVariant>;

    forward! {
        serialize_bool(bool) serialize_char(char)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_i128(i128) serialize_u128(u128) serialize_f32(f32) serialize_f64(f64)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        Self::checked_length(Some(text.len()))?;
        self.inner.serialize_str(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        Self::checked_length(Some(bytes.len()))?;
        self.inner.serialize_bytes(bytes)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.checked_nil()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, data: &T) -> Result<S::Ok, S::Error> {
        let depth = self.deeper()?;
        self.inner.serialize_some(&Inside { data, depth, in_some: true })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.checked_nil()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        data: &T,
    ) -> Result<S::Ok, S::Error> {
        let depth = self.deeper()?;
        // A newtype is written as what it holds.
        self.inner.serialize_newtype_struct(name, &Inside { data, depth, in_some: self.in_some })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        data: &T,
    ) -> Result<S::Ok, S::Error> {
        let depth = self.deeper()?;
        let data = Inside { data, depth, in_some: false };
        self.inner.serialize_newtype_variant(name, index, variant, &data)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.part(length, |inner| inner.serialize_seq(length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.part(Some(length), |inner| inner.serialize_tuple(length))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.part(Some(length), |inner| inner.serialize_tuple_struct(name, length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.part(Some(length), |inner| inner.serialize_tuple_variant(name, index, variant, length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.part(length, |inner| inner.serialize_map(length))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.part(Some(length), |inner| inner.serialize_struct(name, length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.part(Some(length), |inner| {
            inner.serialize_struct_variant(name, index, variant, length)
        })
    }
}

macro_rules! forward_elements {
    ($($part:ident $method:ident)*) => {
        $(impl<S: $part> $part for Faithful<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, data: &T) -> Result<(), S::Error> {
                let data = self.inside(data);
                self.inner.$method(&data)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

forward_elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! forward_fields {
    ($($part:ident)*) => {
        $(impl<S: $part> $part for Faithful<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                data: &T,
            ) -> Result<(), S::Error> {
                let data = self.inside(data);
                self.inner.serialize_field(name, &data)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                self.inner.skip_field(name)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

forward_fields! { SerializeStruct SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for Faithful<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        let key = self.inside(key);
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, data: &T) -> Result<(), S::Error> {
        let data = self.inside(data);
        self.inner.serialize_value(&data)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}
