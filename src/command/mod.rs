//! The command `mobula`: reports of journals, a view of a cluster in the terminal, and why a task ran or did not.
//!
//! | file | what it holds |
//! |---|---|
//! | `program.rs` | [`run`] and [`run_in_terminal`]: from arguments to an exit code |
//! | `arguments.rs` | what the arguments mean |
//! | `help.rs` | what is told of them |
//! | `report.rs` | `mobula report`: a journal as a page, a trace, a picture |
//! | `explain.rs` | `mobula explain`: what is known of a key |
//! | `top/` | `mobula top`: a cluster while it works |
//! | `address.rs` | where a dashboard is |
//! | `http.rs` | asking it |
//! | `failure.rs` | what can go wrong, in words |
//!
//! It needs the feature `command`. Everything that it shows comes from a file or from a dashboard, so it can look
//! at programs in which it does not run.

mod address;
mod arguments;
mod explain;
mod failure;
mod help;
mod http;
mod program;
mod report;
#[cfg(test)]
mod tests;
mod top;

pub use program::{run, run_in_terminal};
