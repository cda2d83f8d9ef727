//! [`JournalFile`]: writes records as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::record::Record;
use crate::error::{Error, Kind};

/// A journal that is being written.
pub(super) struct JournalFile {
    path: PathBuf,
    out: BufWriter<File>,
    /// With what writing has failed: then nothing more is written, and that was said once.
    failure: Arc<OnceLock<io::Error>>,
}

impl JournalFile {
    /// Begins a journal; a file of that name is written anew.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 18, File::create(path)?);
        Ok(Self { path: path.to_owned(), out, failure: Arc::default() })
    }

    /// Writes records, and gives them to the system, so that they are there if this process dies.
    pub(super) fn write_all(&mut self, records: &[Record]) {
        for record in records {
            self.write(record);
        }
        self.flush();
    }

    fn write(&mut self, record: &Record) {
        if self.failure.get().is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, record).map_err(io::Error::from);
        let written = written.and_then(|()| self.out.write_all(b"\n"));
        self.see(written);
    }

    fn flush(&mut self) {
        if self.failure.get().is_none() {
            let flushed = self.out.flush();
            self.see(flushed);
        }
    }

    fn see(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            let path = self.path.display();
            log::warn!("the journal {path} ends here, as it cannot be written: {error}");
            self.failure.set(error).ok();
        }
    }

    /// Tells later, also when the journal has ended, whether all could be written.
    pub(super) fn verdict(&self) -> Verdict {
        Verdict { path: self.path.clone(), failure: Arc::clone(&self.failure) }
    }
}

/// Whether all of a journal could be written.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    path: PathBuf,
    failure: Arc<OnceLock<io::Error>>,
}

impl Verdict {
    /// An error if the file does not hold all that was to be written.
    pub(super) fn get(&self) -> Result<(), Error> {
        let path = || self.path.display().to_string();
        let journal = |error: &io::Error| Kind::Journal { path: path(), reason: error.to_string() };
        self.failure.get().map_or(Ok(()), |error| Err(journal(error).into()))
    }
}
