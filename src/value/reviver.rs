//! [`Reviver`]: what remains of a value's type while the value itself is not in memory.
//!
//! It does not know where the bytes are, and trusts them as far as the codec does.

use std::any::Any;
use std::fmt;

use super::codec::{Codec, CodecError, Source, contained};
use super::{Data, Value};

/// Makes a value of one type out of its bytes.
///
/// A [`Function`](crate::Function) that you write yourself names the type of its values with it, so that
/// what it has computed in a process that crashed can be used by the next one.
///
/// # Examples
///
/// ```
/// use mobula::{List, value::Reviver};
///
/// assert!(Reviver::of::<Vec<f64>>().is_some());
/// assert!(Reviver::of::<List>().is_none()); // it has no codec
/// ```
pub struct Reviver(Box<dyn Revive>);

/// A [`Reviver`] without the type.
trait Revive: Send + Sync {
    fn decode(&self, source: &mut Source<'_>) -> Result<Value, CodecError>;
    fn type_name(&self) -> &'static str;
    fn is_robust(&self) -> bool;
}

struct Typed<T> {
    codec: Codec<T>,
    /// What the value counted, which the estimate of the data that comes back may miss.
    bytes: usize,
    wrap: fn(T, usize, Codec<T>) -> Value,
}

impl Reviver {
    /// For data behind a shared allocation.
    pub(super) fn boxed<T: Any + Send + Sync>(codec: Codec<T>, bytes: usize) -> Self {
        Self(Box::new(Typed { codec, bytes, wrap: Value::with_codec }))
    }

    /// For data of type `T` of which no value has been seen, such as what an earlier process wrote. `None`
    /// if the type has no [`Codec`].
    pub fn of<T: Data>() -> Option<Self> {
        let wrap = |data, _bytes, _codec| Value::new(data);
        T::codec().map(|codec| Self(Box::new(Typed { codec, bytes: 0, wrap })))
    }

    /// The value whose bytes these are.
    ///
    /// # Errors
    ///
    /// [`CodecError::Data`] if they are not the bytes of one such value, to the last of them, or the
    /// codec panicked.
    pub(crate) fn decode(&self, source: &mut Source<'_>) -> Result<Value, CodecError> {
        let value = self.0.decode(source)?;
        match source.remaining() {
            0 => Ok(value),
            more => Err(CodecError::data(format!("{more} bytes too many"))),
        }
    }

    /// The Rust name of the type, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        self.0.type_name()
    }

    /// Whether bytes that may be damaged can be decoded without harm.
    pub(crate) fn is_robust(&self) -> bool {
        self.0.is_robust()
    }
}

impl fmt::Debug for Reviver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reviver({})", self.type_name())
    }
}

impl<T: Any + Send + Sync> Revive for Typed<T> {
    fn decode(&self, source: &mut Source<'_>) -> Result<Value, CodecError> {
        let data = contained(|| (self.codec.decode)(source))?;
        Ok((self.wrap)(data, self.bytes, self.codec))
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }

    fn is_robust(&self) -> bool {
        self.codec.robust
    }
}
