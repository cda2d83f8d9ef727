//! The dashboard: a page that shows a cluster while it works, served on this machine.
//!
//! | file | what it holds |
//! |---|---|
//! | `server.rs` | [`Dashboard`]: the server, on a thread of its own, and where it listens |
//! | `gate.rs` | who may ask: the token, the host that was asked for, the method |
//! | `answers.rs` | what is answered on which path |
//! | `events.rs` | the stream of what happens, for pages that are open |
//! | `graph.rs` | graphs, as positions to draw |
//! | `metrics.rs` | numbers for Prometheus |
//! | `keys.rs` | keys as people write them |
//! | `page/` | the page itself |
//!
//! It is read-only: nothing that can be asked changes anything. All that it knows comes from a
//! [`Monitor`](crate::monitor::Monitor).

mod answers;
mod events;
mod gate;
mod graph;
mod keys;
mod metrics;
mod server;

pub use server::{Dashboard, DashboardError, DashboardSettings};
