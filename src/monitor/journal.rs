//! [`JournalFile`]: writes records as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::record::Record;
use crate::error::{Error, Kind};

/// A journal that is being written.
pub(super) struct JournalFile {
    path: PathBuf,
    out: BufWriter<File>,
    /// With what writing has failed: then nothing more is written, and that was said once.
    failure: Option<io::Error>,
}

impl JournalFile {
    /// Begins a journal; a file of that name is written anew.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 18, File::create(path)?);
        Ok(Self { path: path.to_owned(), out, failure: None })
    }

    /// Writes records, and gives them to the system, so that they are there if this process dies.
    pub(super) fn write_all(&mut self, records: &[Record]) {
        for record in records {
            self.write(record);
        }
        self.flush();
    }

    fn write(&mut self, record: &Record) {
        if self.failure.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, record).map_err(io::Error::from);
        let written = written.and_then(|()| self.out.write_all(b"\n"));
        self.see(written);
    }

    fn flush(&mut self) {
        if self.failure.is_none() {
            let flushed = self.out.flush();
            self.see(flushed);
        }
    }

    fn see(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            let path = self.path.display();
            log::warn!("the journal {path} ends here, as it cannot be written: {error}");
            self.failure = Some(error);
        }
    }

    /// Ends the journal; an error if it does not hold all that was to be written.
    pub(super) fn close(mut self) -> Result<(), Error> {
        self.flush();
        match self.failure {
            None => Ok(()),
            Some(error) => Err(Kind::Journal {
                path: self.path.display().to_string(),
                reason: error.to_string(),
            }
            .into()),
        }
    }
}
