//! [`Directory`]: the files of a checkpoint, one a value, `<fingerprint>.ckpt`.
//!
//! A file is written under another name in a private directory beside the others, which belongs to one
//! living process, and gets its name when all of it is on the disk: under its name a file is whole, or was
//! damaged later. It begins with what it is for, and goes on in the form of a spilled value:
//!
//! ```text
//! magic 8 | bytes of what follows 8 | fingerprint | 0 | key | 0 | version | 0 | value
//! ```
//!
//! It does not decide what is kept, and all of its methods block.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::graph::{Fingerprint, Key};
use crate::spill::{
    Place, ReadError, SpillError, WriteError, clean_leftovers, read_value, write_value,
};
use crate::value::{Reviver, Value};

const MAGIC: [u8; 8] = *b"MOBCKPT1";
const ENDING: &str = ".ckpt";

/// What a value is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'a> {
    pub(super) fingerprint: Fingerprint,
    pub(super) key: &'a Key,
    pub(super) version: &'a str,
}

/// Why a value did not come back.
#[derive(Debug)]
pub(super) enum Unread {
    /// Somebody has removed the file.
    Gone,
    /// The file is not what was written, or of another type; it will never do.
    Damaged(String),
    Io(io::Error),
}

#[derive(Debug)]
pub(super) struct Directory {
    place: Place,
    /// Leftovers are removed once.
    cleaned: Once,
    /// The next temporary file's name.
    next: AtomicU64,
    /// What the files take, as far as is known: taken anew with each list, added to by writes.
    bytes: AtomicU64,
}

impl Directory {
    /// Nothing is touched yet.
    pub(super) fn new(path: &Path) -> Self {
        // The process may change its own directory later.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            place: Place::new(path),
            cleaned: Once::new(),
            next: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.place.base()
    }

    /// What the files take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Whose values are there; a directory that cannot be read holds none.
    pub(super) fn list(&self) -> BTreeMap<Fingerprint, PathBuf> {
        self.clean();
        let mut bytes = 0;
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.path()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let fingerprint = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            if let Some(fingerprint) = fingerprint.and_then(Fingerprint::parse)
                // This does not follow links.
                && let Ok(data) = entry.metadata()
                && data.is_file()
            {
                bytes += data.len();
                found.insert(fingerprint, entry.path());
            }
        }
        self.bytes.store(bytes, Relaxed);
        found
    }

    /// Reads a value, and checks all there is to check; with it what was read, in bytes.
    pub(super) fn read(
        path: &Path,
        label: Label<'_>,
        reviver: &Reviver,
    ) -> Result<(Value, u64), Unread> {
        let mut file = File::open(path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound { Unread::Gone } else { Unread::Io(error) }
        })?;
        let header = label.header();
        let mut read = Vec::with_capacity(header.len());
        Read::take(&mut file, header.len() as u64).read_to_end(&mut read).map_err(Unread::Io)?;
        if read != header {
            return Err(Unread::Damaged("it does not begin as a value of this task does".into()));
        }
        let start = header.len() as u64;
        let value = read_value(&mut Rest { file: &mut file, start }, reviver);
        let value = value.map_err(|error| match error {
            ReadError::Io(error) => Unread::Io(error),
            ReadError::Damaged(what) => Unread::Damaged(what),
            ReadError::Codec(error) => Unread::Damaged(format!("its codec says: {error}")),
        })?;
        let bytes = file.metadata().map_or(0, |data| data.len());
        Ok((value, bytes))
    }

    /// Writes a value, and tells how many bytes that took. It is there after a crash if
    /// [`settle`](Self::settle) was called since. A directory that fails is left alone for a while, with a
    /// warning.
    pub(super) fn write(&self, label: Label<'_>, value: &Value) -> Result<u64, SpillError> {
        self.clean();
        let result = self.try_write(label, value);
        match &result {
            Ok(written) => {
                self.place.worked();
                self.bytes.fetch_add(*written, Relaxed);
            }
            Err(error) if error.is_of_place() => self.place.failed(error, now()),
            Err(_) => {}
        }
        result
    }

    fn try_write(&self, label: Label<'_>, value: &Value) -> Result<u64, SpillError> {
        let failed = |what, path: &Path, error| SpillError::io(self.path(), path, what, error);
        // Somebody may have removed it.
        self.make().map_err(|error| failed("make the directory", self.path(), error))?;
        let session = self.place.session(now())?;
        let (temporary, mut file) = session.create(self.next.fetch_add(1, Relaxed))?;
        let header = label.header();
        let written = file.write_all(&header).map_err(WriteError::Io);
        let written = written.and_then(|()| write_value(value, &mut file, false, &|| false));
        let written = written.and_then(|bytes| {
            file.sync_all().map_err(WriteError::Io)?;
            fs::rename(&temporary, self.file(label.fingerprint)).map_err(WriteError::Io)?;
            Ok(bytes + header.len() as u64)
        });
        written.map_err(|error| {
            drop(file);
            // If that fails as well, it goes with its directory.
            drop(fs::remove_file(&temporary));
            match error {
                WriteError::Io(error) => failed("write to", &temporary, error),
                WriteError::Cancelled => SpillError::Cancelled,
                WriteError::Codec(error) => {
                    SpillError::Unspillable { type_name: value.type_name(), source: Some(error) }
                }
            }
        })
    }

    /// Waits until the names of all files are on the disk.
    pub(super) fn settle(&self) {
        // Elsewhere a directory is no file that could be opened, and needs none of this.
        #[cfg(unix)]
        if let Err(error) = File::open(self.path()).and_then(|directory| directory.sync_all()) {
            log::warn!("`{}` may lose values in a crash: {error}", self.path().display());
        }
    }

    /// Removes a file.
    pub(super) fn remove(path: &Path) -> bool {
        let removed = fs::remove_file(path);
        if let Err(error) = &removed
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("could not remove `{}`, a kept value: {error}", path.display());
        }
        removed.is_ok()
    }

    fn file(&self, fingerprint: Fingerprint) -> PathBuf {
        self.path().join(format!("{fingerprint}{ENDING}"))
    }

    fn make(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(self.path())
    }

    /// Removes what crashed processes were about to write, once.
    fn clean(&self) {
        self.cleaned.call_once(|| {
            clean_leftovers(self.path());
        });
    }
}

impl Label<'_> {
    /// What a file of this value begins with. All of it is known beforehand, so it is only compared.
    fn header(&self) -> Vec<u8> {
        let text = format!("{}\0{:?}\0{}\0", self.fingerprint, self.key, self.version);
        let length = (text.len() as u64).to_le_bytes();
        [&MAGIC, length.as_slice(), text.as_bytes()].concat()
    }
}

/// A file without its first bytes.
struct Rest<'a> {
    file: &'a mut File,
    start: u64,
}

impl Read for Rest<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Rest<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(position) => SeekFrom::Start(self.start.saturating_add(position)),
            SeekFrom::End(_) | SeekFrom::Current(_) => to,
        };
        let position = self.file.seek(to)?;
        position.checked_sub(self.start).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a disk is left alone is a matter of time")]
fn now() -> Instant {
    Instant::now()
}
