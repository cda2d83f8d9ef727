//! [`Shared`]: a typed, counted pointer to the data of a value.
//!
//! It never gives mutable access: the same data may be an input of other tasks.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{Boxed, Data};

/// A typed, counted pointer to the data of a [`Value`](super::Value).
///
/// A task that takes `Shared<T>` gets its input by value without a copy, for any `T`: to keep it,
/// to send it on, or to use it across an `await`.
///
/// # Examples
///
/// ```
/// use mobula::{Shared, Value};
///
/// let shared: Shared<String> = Value::new("manta".to_owned()).shared().unwrap();
/// assert_eq!(shared.len(), 5);
/// ```
pub struct Shared<T>(Arc<Boxed<T>>);

impl<T: Any + Send + Sync> Shared<T> {
    pub(super) fn from_boxed(boxed: Arc<Boxed<T>>) -> Self {
        Self(boxed)
    }

    pub(super) fn into_boxed(self) -> Arc<Boxed<T>> {
        self.0
    }

    /// A pointer to a copy of `scalar`, if `T` is its type.
    pub(super) fn of_scalar<S: Data + Copy>(scalar: S) -> Option<Self> {
        if !(&scalar as &dyn Any).is::<T>() {
            return None;
        }
        let boxed: Arc<dyn Any + Send + Sync> =
            Arc::new(Boxed::new(scalar, size_of::<S>(), S::codec()));
        boxed.downcast().ok().map(Self)
    }

    /// The data by value: moved out if this is the only pointer to it, cloned otherwise.
    pub fn into_inner(self) -> T
    where
        T: Clone,
    {
        Boxed::take_or_clone(self.0)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.get()
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get().fmt(f)
    }
}
