//! Caching results: a state actor that holds them, and the callback that asks it and feeds it.
//!
//! Both are made of the public parts, callbacks and state actors, that a program of yours can use in the
//! same way; `examples/simple_cache.rs` writes a small pair by hand.

mod actor;
mod callback;

pub use actor::{CacheStats, Clear, Get, Lookup, Missed, Put, ReadStats, SimpleCacheActor, Used};
pub use callback::CacheCallback;
