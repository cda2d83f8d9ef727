//! The messages between a parent and its child, and the socket over which they go.
//!
//! A message is one frame; large data is never in one. File descriptors travel beside the frame that
//! tells of them.

mod message;
mod socket;

pub use message::{Call, Definition, Done, End, Failed, InputRef, Keep, Packed, ToChild, ToParent};
pub(crate) use socket::wait_for;
pub use socket::{Received, Receiver, Sender, WireError, pair, split};
