//! Values on the disk: how much memory there is, what leaves it first, and the files in between.
//!
//! [`MemoryLimit`] and [`Thresholds`] say how much is too much, [`EvictionPolicy`] who goes first,
//! [`Disk`] writes values to private files and reads them back, and notices when one was damaged.
//! `session` is the only file here that touches the disk; `memory` reads what the system tells of memory.
//! Checkpoints, which are made of the same pieces, stand in [`diagnostics`](crate::diagnostics).
//! This floor knows values only. It starts no thread, and it does not decide when a value is written:
//! the store does.

mod disk;
mod error;
mod format;
mod limit;
mod memory;
mod place;
mod policy;
mod session;
#[cfg(test)]
mod tests;
mod thresholds;

pub use disk::{Disk, DiskSettings, DiskUsage, SpillFile};
pub use error::{SettingError, SpillError};
pub(crate) use format::{ReadError, WriteError, read_value, write_value};
pub use limit::MemoryLimit;
pub(crate) use place::Place;
pub use policy::{CostPolicy, Eviction, EvictionPolicy, Item, LruPolicy};
pub(crate) use session::clean_leftovers;
pub use thresholds::Thresholds;
