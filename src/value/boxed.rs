//! The shared allocation of a value: the data behind its size and its codec.
//!
//! It is reached only through [`Value`](super::Value) and [`Shared`](super::Shared).

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::codec::{Codec, CodecError, contained};
use super::reviver::Reviver;

/// What the shared allocation of a [`Value`](super::Value) answers without knowing its type.
pub(super) trait Payload: Any + Send + Sync {
    fn bytes(&self) -> usize;
    fn type_name(&self) -> &'static str;
    fn can_spill(&self) -> bool;
    fn encode(&self, out: &mut dyn Write) -> Result<(), CodecError>;
    fn reviver(&self) -> Option<Reviver>;
}

/// The shared allocation: the data behind the size that was taken when it became a value.
pub(super) struct Boxed<T> {
    bytes: usize,
    /// How the data goes to the disk, if it can; chosen when it became a value.
    codec: Option<Codec<T>>,
    data: Kept<T>,
}

impl<T> Boxed<T> {
    pub(super) fn new(data: T, bytes: usize, codec: Option<Codec<T>>) -> Self {
        Self { bytes, codec, data: Kept(Some(data)) }
    }

    #[inline]
    pub(super) fn get(&self) -> &T {
        self.data.get()
    }

    #[inline]
    pub(super) fn into_inner(self) -> T {
        self.data.into_inner()
    }

    /// The data: moved out if this is the only pointer to it, cloned otherwise.
    pub(super) fn take_or_clone(boxed: Arc<Self>) -> T
    where
        T: Clone,
    {
        match Arc::try_unwrap(boxed) {
            Ok(unique) => unique.into_inner(),
            Err(shared) => shared.get().clone(),
        }
    }
}

/// Data that may panic when it is dropped. That must not harm whoever happens to drop the last pointer
/// to it, which may be a worker, an actor or another user, so the panic ends here; the panic hook has
/// told of it.
struct Kept<T>(Option<T>);

impl<T> Kept<T> {
    #[inline]
    fn get(&self) -> &T {
        self.0.as_ref().expect("data is taken only together with its box")
    }

    #[inline]
    fn into_inner(mut self) -> T {
        self.0.take().expect("data is taken only once")
    }
}

impl<T> Drop for Kept<T> {
    #[inline]
    fn drop(&mut self) {
        if std::mem::needs_drop::<T>()
            && let Some(data) = self.0.take()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(data)))
        {
            // Dropping this as well could panic once more.
            std::mem::forget(panic);
        }
    }
}

impl<T: Any + Send + Sync> Payload for Boxed<T> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }

    fn can_spill(&self) -> bool {
        self.codec.is_some()
    }

    fn encode(&self, out: &mut dyn Write) -> Result<(), CodecError> {
        let missing = || CodecError::data("the type has no codec");
        let codec = self.codec.ok_or_else(missing)?;
        contained(|| (codec.encode)(self.get(), out))
    }

    fn reviver(&self) -> Option<Reviver> {
        self.codec.map(|codec| Reviver::boxed(codec, self.bytes))
    }
}
