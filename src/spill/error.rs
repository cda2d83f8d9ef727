//! What can go wrong on this floor: a setting that makes no sense, a value that does not reach the disk
//! or does not come back.
//!
//! It does not say what follows for a run; who asked decides.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Text that is no amount of memory.
    #[error(
        "`{text}` is no memory limit: {reason}; write a size such as \"2 GiB\", a share such as \
         \"50%\", \"auto\" or \"none\""
    )]
    Limit {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Thresholds out of order.
    #[error(
        "thresholds must be 0 < target <= spill <= pause <= 1, not target {target}, spill {spill}, \
         pause {pause}; the defaults are 0.6, 0.7 and 0.8"
    )]
    Thresholds {
        /// The target that was given.
        target: f64,
        /// The spill threshold that was given.
        spill: f64,
        /// The pause threshold that was given.
        pause: f64,
    },
}

/// Why a value was not written to the disk, or did not come back from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpillError {
    /// It was not needed any more while it was being written, or the files were closed.
    #[error("writing a value to the disk was cancelled")]
    Cancelled,
    /// The files would take more than was allowed.
    #[error(
        "the values on the disk would take more than the allowed {limit} bytes; allow more, or let \
         fewer values live at a time"
    )]
    OverMax {
        /// What was allowed, in bytes.
        limit: u64,
    },
    /// The value has no codec, or its codec refuses it.
    #[error(
        "a value of type `{type_name}` cannot be written to the disk: {}; implement \
         `mobula::Data::codec` for it, or let it stay in memory",
        .source.as_ref().map_or_else(|| "its type has no codec".to_owned(), ToString::to_string)
    )]
    Unspillable {
        /// The Rust name of the type.
        type_name: &'static str,
        /// What the codec says, if there is one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// There is no room left.
    #[error(
        "no room is left in `{}`; free some, or name another directory for values",
        .directory.display()
    )]
    Full {
        /// Where there is no room.
        directory: PathBuf,
    },
    /// The disk failed.
    #[error(
        "could not {what} `{}`: {source}; check the directory, or name another one for values",
        .path.display()
    )]
    Io {
        /// Where.
        path: PathBuf,
        /// What was being done, as a verb.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The file is as it was written, but the codec cannot read it.
    #[error(
        "a value of type `{type_name}` was written to the disk, but its codec cannot read it back: \
         {source}; `decode` must read just what `encode` has written"
    )]
    Unreadable {
        /// The Rust name of the type.
        type_name: &'static str,
        /// What the codec says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A file is not what was written: it was cut short, or changed.
    #[error(
        "the spilled value in `{}` is damaged: {what}; check the disk, and that nobody else writes \
         there",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl SpillError {
    /// The same once more, for one who asks later. (An `io::Error` cannot be cloned.)
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full { directory } => Self::Full { directory: directory.clone() },
            Self::Io { path, what, source } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::Io { path: path.clone(), what, source }
            }
            Self::OverMax { limit } => Self::OverMax { limit: *limit },
            Self::Cancelled => Self::Cancelled,
            Self::Unspillable { type_name, source } => {
                let source = source.as_ref().map(|source| source.to_string().into());
                Self::Unspillable { type_name, source }
            }
            Self::Unreadable { type_name, source } => {
                Self::Unreadable { type_name, source: source.to_string().into() }
            }
            Self::Damaged { path, what } => {
                Self::Damaged { path: path.clone(), what: what.clone() }
            }
        }
    }

    /// Whether another directory may do better.
    pub(crate) fn is_of_place(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Io { .. } => true,
            Self::Cancelled
            | Self::OverMax { .. }
            | Self::Unspillable { .. }
            | Self::Unreadable { .. }
            | Self::Damaged { .. } => false,
        }
    }

    /// What failed at a path of the directory `base`.
    pub(crate) fn io(base: &Path, path: &Path, what: &'static str, source: io::Error) -> Self {
        if is_full(&source) {
            Self::Full { directory: base.to_owned() }
        } else {
            Self::Io { path: path.to_owned(), what, source }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
