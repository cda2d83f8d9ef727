//! [`Failure`]: what can go wrong, in words that say what to do.

use std::io;

use crate::monitor::JournalError;
use crate::report::ReportError;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments make no sense.
    #[error("{message}\nTry `{command} --help`.")]
    Usage { command: &'static str, message: String },
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("{journal}: no run is in it, so there is no graph to draw")]
    NoRun { journal: String },
    #[error("{journal}: run {run} is not in it; there are {known}")]
    UnknownRun { journal: String, run: u64, known: String },
    #[error(
        "`{text}` is not the URL of a dashboard; that looks like http://127.0.0.1:8787/?token=…, as the program \
         prints it"
    )]
    NotAnAddress { text: String },
    #[error(
        "`mobula` speaks http only, not {scheme}; a dashboard of another machine can be brought here with \
         `ssh -L 8787:127.0.0.1:8787 MACHINE`"
    )]
    Scheme { scheme: String },
    #[error(
        "which dashboard? Give its URL, as the program prints it, or put it into the environment variable \
         MOBULA_DASHBOARD"
    )]
    NoAddress,
    #[error(
        "nothing answers at {address}: {source}; is the program with the dashboard still there?"
    )]
    Unreachable { address: String, source: io::Error },
    #[error(
        "the dashboard at {address} does not take the token; give the whole URL that the program has printed, in \
         quotes"
    )]
    Token { address: String },
    #[error("what answers at {address} is not a Mobula dashboard: {why}")]
    Stranger { address: String, why: String },
    #[error("the dashboard at {address} says: {text}")]
    Refused { address: String, text: String },
    /// What the command has to say cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code: 2 for arguments that make no sense, as programs do, and 1 for the rest.
    pub(super) fn code(&self) -> u8 {
        match self {
            Failure::Usage { .. }
            | Failure::NoAddress
            | Failure::NotAnAddress { .. }
            | Failure::Scheme { .. } => 2,
            Failure::Journal(_)
            | Failure::Report(_)
            | Failure::NoRun { .. }
            | Failure::UnknownRun { .. }
            | Failure::Unreachable { .. }
            | Failure::Token { .. }
            | Failure::Stranger { .. }
            | Failure::Refused { .. }
            | Failure::Output(_) => 1,
        }
    }

    /// True if nobody reads the output any more, as in `mobula top | head`: that is no mistake.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
