//! Worker processes, without the actors: what travels between a parent and a child, and how.
//!
//! A *child* is a process that makes calls for a worker of its *parent*. The two are joined by one Unix
//! socket, over which batches of [messages](wire) go both ways; large data lies in shared
//! [segments](Segment), of which only descriptors travel, and a value that is packed for the journey is a
//! [`Parcel`]; one that is not packed has [`Stayed`]. [`serve`] is the child's side. The parent's side is a
//! matter of the workers, in `actors/worker/process`. What is called, and how calls and values become
//! bytes, nobody here knows.

mod child;
mod log;
mod parcel;
mod segment;
mod stayed;
pub mod wire;

pub use child::{Calls, Desk, Served, Setting, Unanswered, serve};
pub use log::Log;
pub use parcel::{Layout, Parcel, ParcelError, Part, Place};
pub use segment::{
    Medium, Segment, SegmentId, Segments, live_segments, raise_descriptor_limit, share_in,
};
pub use stayed::{Life, Stayed};
