//! [`Witnesses`]: who looks at a cluster as long as it lives.

use std::path::PathBuf;

use crate::actors::block_on;
use crate::client::Client;
use crate::error::Error;
use crate::monitor::Journal;
#[cfg(feature = "progress")]
use crate::monitor::Watch;

/// Who is to look at a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// The file into which all that happens is written.
    pub(super) journal: Option<PathBuf>,
    /// Whether progress is shown in the terminal.
    #[cfg(feature = "progress")]
    pub(super) progress: bool,
}

/// Those who look as long as the cluster lives.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    journal: Option<Journal>,
    #[cfg(feature = "progress")]
    progress: Option<Watch>,
}

impl Wishes {
    /// Has them look. It waits a moment for them, as the start of a cluster does for its actors.
    pub(super) fn witnesses(self, client: &Client) -> Result<Witnesses, Error> {
        let mut witnesses = Witnesses::default();
        if let Some(path) = self.journal {
            let monitor = client.monitor()?;
            witnesses.journal = Some(block_on(monitor.journal(&path), std::thread::park)?);
        }
        #[cfg(feature = "progress")]
        if self.progress {
            let monitor = client.monitor()?;
            witnesses.progress = Some(block_on(monitor.progress(), std::thread::park)?);
        }
        Ok(witnesses)
    }
}

impl Witnesses {
    /// All has happened that will.
    pub(super) fn end(self) {
        #[cfg(feature = "progress")]
        if let Some(progress) = self.progress
            && let Err(error) = progress.close_blocking()
        {
            log::error!("the progress of a cluster could not be ended: {error}");
        }
        if let Some(journal) = self.journal
            && let Err(error) = journal.close_blocking()
        {
            log::error!("the journal of a cluster could not be closed: {error}");
        }
    }
}
