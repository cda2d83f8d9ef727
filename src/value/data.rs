//! [`Data`]: the types that tasks exchange, and the size each of them has.
//!
//! The sizes are estimates for the store's accounting, not a memory profiler: spare capacity is
//! counted, the allocator's own overhead is not.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::codec::{self, Codec};
use super::{Shared, Value};

/// A type that tasks may return and take by value.
///
/// The types of the standard library have it. For your own type one line is enough; say what it
/// holds on the heap if that is much, so that the store's accounting tells the truth. For a type of
/// another crate return [`Opaque`] instead. A task that takes its argument by reference needs
/// neither: `&T` works for every `T`.
///
/// # Examples
///
/// ```
/// use mobula::{Data, Value};
///
/// #[derive(Clone)]
/// struct Image {
///     pixels: Vec<u8>,
/// }
///
/// impl Data for Image {
///     fn heap_bytes(&self) -> usize {
///         self.pixels.heap_bytes()
///     }
/// }
///
/// let value = Value::new(Image { pixels: vec![0; 4096] });
/// assert_eq!(value.bytes(), 24 + 4096);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result or a by-value argument of a task",
    label = "not task data",
    note = "for your own type write `impl mobula::Data for {Self} {{}}`",
    note = "for a type of another crate return `mobula::Opaque(..)` and take `&{Self}` or `mobula::Shared<{Self}>`"
)]
pub trait Data: Any + Send + Sync {
    /// What the data holds on the heap, in bytes; `size_of::<Self>()` is added by the value.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// How the data goes to the disk and comes back; without it a value of this type stays in memory.
    ///
    /// With serde one line is enough; see [`Codec`] for another way. The types of the standard library
    /// have a codec if what they hold has one, except for counted pointers: two of them to the same
    /// data would come back as two copies.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::value::{Codec, Data};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Delays {
    ///     minutes: Vec<f64>,
    /// }
    ///
    /// impl Data for Delays {
    ///     fn heap_bytes(&self) -> usize {
    ///         self.minutes.heap_bytes()
    ///     }
    ///
    ///     fn codec() -> Option<Codec<Self>> {
    ///         Some(Codec::serde())
    ///     }
    /// }
    /// ```
    fn codec() -> Option<Codec<Self>>
    where
        Self: Sized,
    {
        None
    }

    /// The value that holds the data; a pointer into a value answers with that value.
    #[doc(hidden)]
    fn into_value(self) -> Value
    where
        Self: Sized,
    {
        Value::wrap(self)
    }

    /// Makes the type from a value of another type, without loss; `None` if there is no such way.
    #[doc(hidden)]
    fn convert(_value: &Value) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// A result of any type, for types that do not implement [`Data`]; the value holds the `T` itself.
///
/// It is counted with its plain size. A task takes it back as `&T` or [`Shared<T>`](super::Shared).
/// `Opaque(result)` is also the way to return a `Result` as data instead of failing the task.
///
/// # Examples
///
/// ```
/// use mobula::{Opaque, delayed};
/// use std::net::IpAddr;
///
/// fn resolve() -> Opaque<IpAddr> {
///     Opaque(IpAddr::from([127, 0, 0, 1]))
/// }
/// fn is_local(address: &IpAddr) -> bool {
///     address.is_loopback()
/// }
///
/// let local = delayed(is_local).call(delayed(resolve).call(()));
/// # let client = mobula::Cluster::builder().workers(1).start().unwrap();
/// assert!(client.compute_blocking(&local).unwrap());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Opaque<T>(pub T);

/// Several values as one: what a list of keys evaluates to.
///
/// A task that takes `Vec<T>` gets the elements in order. The elements are shared, so the list
/// counts only its pointers.
#[derive(Clone, Debug)]
pub struct List(pub Vec<Value>);

/// Lists of lists may be nested to any depth, which must not overflow the stack.
impl Drop for List {
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.0);
        while let Some(value) = left.pop() {
            if let Some(mut inner) = value.into_unique::<Self>() {
                left.append(&mut inner.0);
            }
        }
    }
}

impl Data for List {
    fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Value>()
    }
}

impl<T: Any + Send + Sync> Data for Shared<T> {
    fn into_value(self) -> Value {
        Value::from_shared(self)
    }

    fn convert(value: &Value) -> Option<Self> {
        value.clone().shared().ok()
    }
}

/// Implements `Data` for types without heap memory.
macro_rules! flat {
    ($($flat:ty: $codec:expr),* $(,)?) => {
        $(impl Data for $flat {
            fn codec() -> Option<Codec<Self>> {
                Some($codec)
            }
        })*
    };
}

flat! {
    (): codec::unit(),
    bool: codec::boolean(),
    char: codec::character(),
    f32: codec::number(),
    u128: codec::number(),
    Duration: codec::duration(),
    SystemTime: codec::system_time(),
}

/// An instant means something only to the process that took it, so it has no codec.
impl Data for Instant {}

/// Implements `Data` for integers, which widen to each other where nothing is lost.
macro_rules! integer {
    ($($int:ty),*) => {
        $(impl Data for $int {
            fn convert(value: &Value) -> Option<Self> {
                Self::try_from(integer(value)?).ok()
            }

            fn codec() -> Option<Codec<Self>> {
                Some(codec::number())
            }
        })*
    };
}

integer!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, usize);

impl Data for f64 {
    /// Integers of up to 53 bits and `f32` are exact in an `f64`.
    fn convert(value: &Value) -> Option<Self> {
        if let Some(single) = value.downcast_ref::<f32>() {
            return Some(Self::from(*single));
        }
        let integer = integer(value)?;
        #[expect(clippy::cast_precision_loss, reason = "the range was checked")]
        (integer.unsigned_abs() <= 1 << 53).then_some(integer as Self)
    }

    fn codec() -> Option<Codec<Self>> {
        Some(codec::number())
    }
}

fn integer(value: &Value) -> Option<i128> {
    macro_rules! any {
        ($($int:ty),*) => {
            $(if let Some(number) = value.downcast_ref::<$int>() {
                return i128::try_from(*number).ok();
            })*
        };
    }
    any!(i64, i32, usize, u64, u32, i8, i16, u8, u16, isize, i128, u128);
    None
}

impl Data for String {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }

    fn codec() -> Option<Codec<Self>> {
        Some(codec::text())
    }
}

impl Data for PathBuf {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }

    fn codec() -> Option<Codec<Self>> {
        Some(codec::path())
    }
}

impl Data for Bytes {
    fn heap_bytes(&self) -> usize {
        self.len()
    }

    fn codec() -> Option<Codec<Self>> {
        Some(codec::bytes())
    }
}

fn each_heap<'a, T: Data + 'a>(items: impl IntoIterator<Item = &'a T>) -> usize {
    items.into_iter().map(Data::heap_bytes).sum()
}

impl<T: Data + Clone> Data for Vec<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + each_heap(self)
    }

    fn convert(value: &Value) -> Option<Self> {
        value.downcast_ref::<List>()?.0.iter().map(Value::copy).collect()
    }

    fn codec() -> Option<Codec<Self>> {
        codec::raw_vec().or_else(codec::vector)
    }
}

impl<T: Data, const N: usize> Data for [T; N] {
    fn heap_bytes(&self) -> usize {
        each_heap(self)
    }

    fn codec() -> Option<Codec<Self>> {
        codec::raw_array().or_else(codec::array)
    }
}

impl<T: Data> Data for Box<T> {
    fn heap_bytes(&self) -> usize {
        size_of::<T>() + (**self).heap_bytes()
    }

    fn codec() -> Option<Codec<Self>> {
        codec::boxed()
    }
}

impl<T: Data> Data for Box<[T]> {
    fn heap_bytes(&self) -> usize {
        size_of_val::<[T]>(self) + each_heap(self.iter())
    }

    fn codec() -> Option<Codec<Self>> {
        codec::raw_boxed_slice().or_else(codec::boxed_slice)
    }
}

/// Data behind an `Arc` may be in other values, too, so it has no codec: it would come back as a copy.
impl<T: Data> Data for Arc<T> {
    fn heap_bytes(&self) -> usize {
        size_of::<T>() + (**self).heap_bytes()
    }
}

impl<T: Data> Data for Option<T> {
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, Data::heap_bytes)
    }

    fn codec() -> Option<Codec<Self>> {
        codec::option()
    }
}

impl<T: Data> Data for VecDeque<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + each_heap(self)
    }

    fn codec() -> Option<Codec<Self>> {
        codec::sequence::<Self, T>()
    }
}

impl<K: Data + Ord, V: Data> Data for BTreeMap<K, V> {
    fn heap_bytes(&self) -> usize {
        self.len() * size_of::<(K, V)>() + each_heap(self.keys()) + each_heap(self.values())
    }

    fn codec() -> Option<Codec<Self>> {
        codec::mapping::<Self, K, V>()
    }
}

impl<K: Data + Ord> Data for BTreeSet<K> {
    fn heap_bytes(&self) -> usize {
        self.len() * size_of::<K>() + each_heap(self)
    }

    fn codec() -> Option<Codec<Self>> {
        codec::sequence::<Self, K>()
    }
}

impl<K, V, S> Data for HashMap<K, V, S>
where
    K: Data + Eq + Hash,
    V: Data,
    S: BuildHasher + Default + Any + Send + Sync,
{
    fn heap_bytes(&self) -> usize {
        self.capacity() * (size_of::<(K, V)>() + 1)
            + each_heap(self.keys())
            + each_heap(self.values())
    }

    fn codec() -> Option<Codec<Self>> {
        codec::mapping::<Self, K, V>()
    }
}

impl<K, S> Data for HashSet<K, S>
where
    K: Data + Eq + Hash,
    S: BuildHasher + Default + Any + Send + Sync,
{
    fn heap_bytes(&self) -> usize {
        self.capacity() * (size_of::<K>() + 1) + each_heap(self)
    }

    fn codec() -> Option<Codec<Self>> {
        codec::sequence::<Self, K>()
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: Data),*> Data for ($($name,)*) {
            fn heap_bytes(&self) -> usize {
                #[expect(non_snake_case, reason = "one name for the type and its field")]
                let ($($name,)*) = self;
                0 $(+ $name.heap_bytes())*
            }

            fn codec() -> Option<Codec<Self>> {
                $($name::codec()?;)*
                Some(Codec::new(
                    |tuple, out| {
                        #[expect(non_snake_case, reason = "one name for the type and its field")]
                        let ($($name,)*) = tuple;
                        $(codec::write_part($name, out)?;)*
                        Ok(())
                    },
                    |source| Ok(($(codec::read_part::<$name>(source)?,)*)),
                ))
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
