//! A task's result: type-erased, shared by pointer, and aware of its size.
//!
//! [`Value`] is what tasks hand to each other, [`Data`] the trait of the types that may travel in
//! one, [`Shared`] a typed counted pointer into one, [`Codec`] how data becomes bytes and data again.
//! This floor knows nothing of keys, graphs, actors or files, and it does not decide when a value is
//! released or leaves memory.

mod boxed;
mod codec;
mod data;
mod reviver;
mod shared;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use boxed::{Boxed, Payload};

pub use codec::{Codec, CodecError, Source};
pub use data::{Data, List, Opaque};
pub use reviver::Reviver;
pub use shared::Shared;

/// The result of a task: any type, shared by counted pointer, with a size that was taken once.
///
/// Numbers, booleans and `()` lie in the value itself, everything else behind one shared
/// allocation; so cloning a value never copies the data.
///
/// # Examples
///
/// ```
/// use mobula::Value;
///
/// let value = Value::new(vec![1.0_f64; 1000]);
/// assert_eq!(value.bytes(), 24 + 8 * 1000);
/// assert_eq!(value.downcast_ref::<Vec<f64>>().map(Vec::len), Some(1000));
/// assert!(value.downcast_ref::<String>().is_none());
/// ```
#[derive(Clone)]
pub struct Value(Repr);

/// Scalars stand in the value itself: an allocation costs more than the task that makes one.
#[derive(Clone)]
enum Repr {
    Unit(()),
    Bool(bool),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Usize(usize),
    F64(f64),
    Shared(Arc<dyn Payload>),
}

// A value is moved through every hot loop of the engine.
const _: () = assert!(size_of::<Value>() <= 24);

/// Applies a macro to each scalar that lies in the value itself.
macro_rules! each_scalar {
    ($apply:ident) => {
        $apply!(
            Unit(()),
            Bool(bool),
            I32(i32),
            U32(u32),
            I64(i64),
            U64(u64),
            Usize(usize),
            F64(f64)
        )
    };
}

impl Value {
    /// Wraps data whose size is known by its [`Data`] implementation.
    #[inline]
    pub fn new<T: Data>(data: T) -> Self {
        data.into_value()
    }

    #[inline]
    pub(crate) fn wrap<T: Data>(data: T) -> Self {
        match Repr::scalar(data) {
            Ok(repr) => Self(repr),
            Err(data) => {
                let bytes = size_of::<T>() + data.heap_bytes();
                Self(Repr::Shared(Arc::new(Boxed::new(data, bytes, T::codec()))))
            }
        }
    }

    /// Wraps data of any type and counts it as `bytes` bytes.
    ///
    /// Use it for types of other crates, where [`Data`] cannot be implemented and the plain size
    /// would be far from the truth. Such a value cannot leave memory for the disk.
    pub fn with_bytes<T: Any + Send + Sync>(data: T, bytes: usize) -> Self {
        Self(Repr::Shared(Arc::new(Boxed::new(data, bytes, None))))
    }

    /// Wraps data of any type, counts it as `bytes` bytes, and says how it goes to the disk.
    ///
    /// Use it as [`with_bytes`](Self::with_bytes), for types that may leave memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Value, value::Codec};
    /// use std::net::IpAddr;
    ///
    /// let address = IpAddr::from([127, 0, 0, 1]);
    /// let value = Value::with_codec(address, size_of::<IpAddr>(), Codec::serde());
    /// assert!(value.can_spill());
    /// ```
    pub fn with_codec<T: Any + Send + Sync>(data: T, bytes: usize, codec: Codec<T>) -> Self {
        Self(Repr::Shared(Arc::new(Boxed::new(data, bytes, Some(codec)))))
    }

    /// The shared allocation; none for a scalar, which lies in the value itself.
    #[inline]
    fn payload(&self) -> Option<&Arc<dyn Payload>> {
        if let Repr::Shared(payload) = &self.0 { Some(payload) } else { None }
    }

    /// Whether the value can be written to the disk: whether its type has a [`Codec`].
    pub fn can_spill(&self) -> bool {
        self.payload().is_none_or(|payload| payload.can_spill())
    }

    /// How many pointers to the data exist, this one included: dropping one frees memory only if it is
    /// the last.
    pub(crate) fn pointers(&self) -> usize {
        self.payload().map_or(1, Arc::strong_count)
    }

    /// Writes the data with its codec.
    ///
    /// # Errors
    ///
    /// If `out` fails, the type has no codec, or the codec refuses or panics.
    pub(crate) fn encode(&self, out: &mut dyn Write) -> Result<(), CodecError> {
        macro_rules! encode {
            ($($variant:ident($scalar:ty)),*) => {
                match &self.0 {
                    $(Repr::$variant(scalar) => codec::write_part::<$scalar>(scalar, out),)*
                    Repr::Shared(payload) => payload.encode(out),
                }
            };
        }
        each_scalar!(encode)
    }

    /// What makes the value out of its bytes again; none without a codec.
    pub(crate) fn reviver(&self) -> Option<Reviver> {
        macro_rules! reviver {
            ($($variant:ident($scalar:ty)),*) => {
                match &self.0 {
                    $(Repr::$variant(_) => Reviver::of::<$scalar>(),)*
                    Repr::Shared(payload) => payload.reviver(),
                }
            };
        }
        each_scalar!(reviver)
    }

    /// The size in bytes that the store accounts for this value.
    #[inline]
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Repr::Shared(payload) => payload.bytes(),
            Repr::Unit(()) => 0,
            Repr::Bool(_) => size_of::<bool>(),
            Repr::I32(_) | Repr::U32(_) => size_of::<u32>(),
            Repr::I64(_) | Repr::U64(_) | Repr::Usize(_) | Repr::F64(_) => size_of::<u64>(),
        }
    }

    /// The Rust name of the type inside, for messages.
    pub fn type_name(&self) -> &'static str {
        macro_rules! name {
            ($($variant:ident($scalar:ty)),*) => {
                match &self.0 {
                    $(Repr::$variant(_) => std::any::type_name::<$scalar>(),)*
                    Repr::Shared(payload) => payload.type_name(),
                }
            };
        }
        each_scalar!(name)
    }

    /// The data, if it is of type `T`.
    #[inline]
    pub fn downcast_ref<T: Any + Send + Sync>(&self) -> Option<&T> {
        macro_rules! downcast {
            ($($variant:ident($scalar:ty)),*) => {
                match &self.0 {
                    $(Repr::$variant(scalar) => (scalar as &dyn Any).downcast_ref::<T>(),)*
                    Repr::Shared(payload) => {
                        let any: &dyn Any = payload.as_ref();
                        any.downcast_ref::<Boxed<T>>().map(Boxed::get)
                    }
                }
            };
        }
        each_scalar!(downcast)
    }

    /// True if the data is of type `T`.
    pub fn is<T: Any + Send + Sync>(&self) -> bool {
        self.downcast_ref::<T>().is_some()
    }

    /// The data by value: moved out if this is the only pointer to it, cloned otherwise.
    ///
    /// Integers are widened without loss, and a [`List`] becomes a `Vec` of its elements.
    ///
    /// # Errors
    ///
    /// Gives the value back if it is of another type.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::Value;
    ///
    /// assert_eq!(Value::new(7_i64).take::<i64>().unwrap(), 7);
    /// assert_eq!(Value::new(7_i32).take::<i64>().unwrap(), 7);
    /// assert!(Value::new("seven".to_owned()).take::<i64>().is_err());
    /// ```
    #[inline]
    pub fn take<T: Data + Clone>(self) -> Result<T, Self> {
        // Scalars and shared data are copied through the reference; unique data is moved.
        if let Repr::Shared(payload) = self.0 {
            return Self::take_shared(payload);
        }
        match self.downcast_ref::<T>() {
            Some(data) => Ok(data.clone()),
            None => T::convert(&self).ok_or(self),
        }
    }

    /// The data, if it is of type `T` and this is the only pointer to it.
    fn into_unique<T: Any + Send + Sync>(self) -> Option<T> {
        let Repr::Shared(payload) = self.0 else { return None };
        let any: Arc<dyn Any + Send + Sync> = payload;
        let boxed = any.downcast::<Boxed<T>>().ok()?;
        Arc::into_inner(boxed).map(Boxed::into_inner)
    }

    fn take_shared<T: Data + Clone>(payload: Arc<dyn Payload>) -> Result<T, Self> {
        if !(payload.as_ref() as &dyn Any).is::<Boxed<T>>() {
            let value = Self(Repr::Shared(payload));
            return T::convert(&value).ok_or(value);
        }
        let any: Arc<dyn Any + Send + Sync> = payload;
        let boxed =
            any.downcast::<Boxed<T>>().unwrap_or_else(|_| unreachable!("the type was asked"));
        Ok(Boxed::take_or_clone(boxed))
    }

    /// A copy of the data: as [`take`](Self::take), for a value that stays.
    #[inline]
    pub(crate) fn copy<T: Data + Clone>(&self) -> Option<T> {
        match self.downcast_ref::<T>() {
            Some(data) => Some(data.clone()),
            None => T::convert(self),
        }
    }

    pub(crate) fn from_shared<T: Any + Send + Sync>(shared: Shared<T>) -> Self {
        Self(Repr::Shared(shared.into_boxed()))
    }

    /// A typed pointer to the data, which is not copied.
    ///
    /// # Errors
    ///
    /// Gives the value back if it is of another type.
    pub fn shared<T: Any + Send + Sync>(self) -> Result<Shared<T>, Self> {
        macro_rules! shared {
            ($($variant:ident($scalar:ty)),*) => {
                match self.0 {
                    $(Repr::$variant(scalar) => Shared::of_scalar(scalar)
                        .ok_or(Self(Repr::$variant(scalar))),)*
                    Repr::Shared(payload) => {
                        if !(payload.as_ref() as &dyn Any).is::<Boxed<T>>() {
                            return Err(Self(Repr::Shared(payload)));
                        }
                        let any: Arc<dyn Any + Send + Sync> = payload;
                        Ok(Shared::from_boxed(any.downcast().unwrap_or_else(|_| {
                            unreachable!("the type was asked")
                        })))
                    }
                }
            };
        }
        each_scalar!(shared)
    }

    /// Where the shared data lies, if there is any.
    pub(crate) fn address(&self) -> Option<usize> {
        self.payload().map(|payload| Arc::as_ptr(payload).cast::<()>().addr())
    }

    /// True if both are the same data, not merely equal data. Scalars are never the same.
    pub fn same_data(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Shared(one), Repr::Shared(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Repr {
    /// The scalar that `data` is, or the data back. Each test is decided when `T` is compiled.
    #[inline]
    fn scalar<T: Any>(data: T) -> Result<Self, T> {
        let mut data = Some(data);
        macro_rules! scalar {
            ($($variant:ident($scalar:ty)),*) => {
                $(if let Some(Some(scalar)) =
                    (&mut data as &mut dyn Any).downcast_mut::<Option<$scalar>>().map(Option::take)
                {
                    return Ok(Self::$variant(scalar));
                })*
            };
        }
        each_scalar!(scalar);
        Err(data.unwrap_or_else(|| unreachable!("only a scalar is taken")))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        macro_rules! debug {
            ($($variant:ident($scalar:ty)),*) => {
                match &self.0 {
                    $(Repr::$variant(scalar) => write!(f, "Value({scalar:?})"),)*
                    Repr::Shared(payload) => {
                        write!(f, "Value({}, {} bytes)", payload.type_name(), payload.bytes())
                    }
                }
            };
        }
        each_scalar!(debug)
    }
}

impl<T: Data> From<T> for Value {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}
