//! Progress for people: how far runs are, as lines of a terminal and as a piece of HTML.
//!
//! | file | what it holds |
//! |---|---|
//! | `lines.rs` | [`lines`]: a snapshot as lines of text |
//! | `row.rs` | one of them: a bar and what fits beside it |
//! | `line.rs` | [`Line`]: text in pieces that have a tone each |
//! | `ending.rs` | [`ending`]: how a run ended, in one line |
//! | `bars.rs` | [`ProgressBars`]: draws the lines in a terminal, in place (feature `progress`) |
//! | `html.rs` | [`html`]: the same for notebooks |
//!
//! Nothing here but `shown.rs`, [`Monitor::progress`](crate::monitor::Monitor::progress), looks at a cluster: whoever
//! has a [`Snapshot`](crate::monitor::Snapshot) hands it in.

#[cfg(feature = "progress")]
mod bars;
mod ending;
mod html;
mod line;
mod lines;
mod row;
#[cfg(test)]
mod samples;
#[cfg(feature = "progress")]
mod shown;

#[cfg(feature = "progress")]
pub use bars::ProgressBars;
pub use ending::ending;
pub use html::html;
pub use line::{Line, Piece, Tone};
pub use lines::{Room, lines};
