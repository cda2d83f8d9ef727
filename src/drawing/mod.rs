//! Pictures of graphs, before and after a run, without a program or a library that draws.
//!
//! | file | what it holds |
//! |---|---|
//! | `face.rs` | [`Drawing`]: what is drawn, and how |
//! | `diagram.rs` | [`Diagram`]: nodes and edges to be drawn, whatever they come from |
//! | `source.rs` | what a plan and a recorded run tell of their tasks |
//! | `single.rs`, `groups.rs` | diagrams with a node for each task, and for each key prefix |
//! | `color.rs` | [`Color`]: what colours mean; scales |
//! | `layout/` | [`Layout`]: where nodes stand and how edges run |
//! | `svg/` | a diagram as one SVG element |
//!
//! Everything here is a function of its arguments: no clock, no disk, no thread.

mod color;
mod diagram;
mod face;
mod groups;
mod layout;
mod single;
mod source;
mod svg;
#[cfg(test)]
mod tests;

pub use color::Color;
pub use diagram::{Diagram, DiagramEdge, DiagramNode, NodeKind};
pub use face::Drawing;
pub use layout::Layout;
