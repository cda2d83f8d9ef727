//! Keeps what different threads write in different cache lines. It has no other meaning.

use std::ops::Deref;

/// A value alone in its pair of cache lines (processors fetch lines in pairs of 64 bytes).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
