//! Reports: what a [`Recording`](crate::monitor::Recording) holds, as files for people and for other programs.
//!
//! | file | what it holds |
//! |---|---|
//! | `html/` | [`write_html`]: one page that opens offline, with all that was seen |
//! | `trace/` | [`write_trace`]: a trace for Perfetto and `chrome://tracing` |
//! | `file.rs` | [`write_html_file`] and [`write_trace_file`]: the same, whole or not at all |
//! | `summary.rs` | the sums by key prefix and by worker that both show |
//! | `order.rs` | what each worker did, in order |
//!
//! A recording comes from a live cluster ([`Recorder`](crate::monitor::Recorder)) or from a journal
//! ([`Recording::read_journal`](crate::monitor::Recording::read_journal)), so a run that crashed has a report,
//! too. Nothing here knows a cluster.

mod file;
mod html;
mod order;
#[cfg(test)]
mod samples;
mod summary;
mod trace;

#[cfg(feature = "command")]
pub(crate) use file::write_file;
pub use file::{ReportError, write_html_file, write_trace_file};
pub use html::write_html;
pub use trace::write_trace;
