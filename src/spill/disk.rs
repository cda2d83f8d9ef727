//! [`Disk`]: values in private files, in one directory or several.
//!
//! It chooses directories, counts bytes against their bound, and turns failures into [`SpillError`]s.
//! All of its methods block, so they are called on threads for that, from several at once. It does not
//! decide which value goes, and it does not wait for the disk to have written: a file need not outlive its
//! process.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use super::SpillError;
use super::format::{ReadError, WriteError, read_value, write_value};
use super::place::Place;
use super::session;
use crate::value::{Reviver, Value};

/// Where spilled values go.
#[derive(Clone, Debug, Default)]
pub struct DiskSettings {
    /// The directories, which are used in turn and made where they are missing. None stands for the
    /// system's temporary directory. Name one on a disk if that lies in memory, as it does on some systems.
    pub directories: Vec<PathBuf>,
    /// How many bytes the files may take together; `None` for as many as there is room.
    pub max_bytes: Option<u64>,
    /// Whether files are compressed, with LZ4: less to write, more to compute.
    pub compress: bool,
}

/// Private files for values that have left memory.
///
/// Nothing is made on the disk before the first value is written, and everything goes when this is
/// dropped. Files of values whose process was killed go when
/// [`clean_leftovers`](Self::clean_leftovers) is called by another one.
///
/// # Examples
///
/// ```
/// use mobula::{Value, spill::{Disk, DiskSettings}};
///
/// let disk = Disk::new(DiskSettings::default());
/// let value = Value::new(vec![1.5_f64; 1000]);
/// let file = disk.write(&value, &|| false)?;
/// drop(value);
/// assert_eq!(disk.usage().files, 1);
///
/// let value = disk.read(&file)?;
/// assert_eq!(value.take::<Vec<f64>>().unwrap().len(), 1000);
/// disk.remove(file);
/// assert_eq!(disk.usage().bytes, 0);
/// # Ok::<(), mobula::spill::SpillError>(())
/// ```
#[derive(Debug)]
pub struct Disk {
    /// The directories in the order of the settings; never none.
    places: Vec<Place>,
    max_bytes: Option<u64>,
    compress: bool,
    /// Counts writes: the next one tries the directories from this one on.
    next_place: AtomicUsize,
    /// The next file's name.
    next_file: AtomicU64,
    /// What the files take, and what was set aside for those that are being written.
    bytes: AtomicU64,
    files: AtomicU64,
    written_bytes: AtomicU64,
    written_values: AtomicU64,
    read_bytes: AtomicU64,
    read_values: AtomicU64,
}

/// A value on the disk, and how it comes back.
///
/// It is made by [`Disk::write`] and given back to [`Disk::remove`]; dropped, it leaves its file there until
/// the [`Disk`] goes.
#[must_use = "dropped, it leaves its file on the disk until the `Disk` goes"]
pub struct SpillFile {
    path: PathBuf,
    bytes: u64,
    reviver: Reviver,
}

/// What a [`Disk`] holds, and what it has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskUsage {
    /// How many values are on the disk.
    pub files: u64,
    /// What their files take in bytes, with what was set aside for values that are being written.
    pub bytes: u64,
    /// What was written to files so far, in bytes.
    pub written_bytes: u64,
    /// How many values were written so far.
    pub written_values: u64,
    /// What was read from files so far, in bytes.
    pub read_bytes: u64,
    /// How many values were read so far.
    pub read_values: u64,
}

impl Disk {
    /// Files by these settings; nothing is touched yet.
    pub fn new(settings: DiskSettings) -> Self {
        let DiskSettings { mut directories, max_bytes, compress } = settings;
        if directories.is_empty() {
            directories.push(std::env::temp_dir());
        }
        // The process may go to another directory while its values lie here.
        let absolute = |directory| std::path::absolute(&directory).unwrap_or(directory);
        Self {
            places: directories.into_iter().map(absolute).map(Place::new).collect(),
            max_bytes,
            compress,
            next_place: AtomicUsize::new(0),
            next_file: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            written_values: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            read_values: AtomicU64::new(0),
        }
    }

    /// Removes what processes of this user that were killed have left in the directories, and tells how
    /// many directories that were. What belongs to living processes or to other users is left alone.
    pub fn clean_leftovers(&self) -> usize {
        self.places.iter().map(|place| session::clean_leftovers(place.base())).sum()
    }

    /// Writes a value to a file of its own.
    ///
    /// `is_cancelled` is asked now and then. After an error there is no file. The directories are tried in
    /// turn; one that has failed is left out for a second, then two, up to a minute.
    ///
    /// # Errors
    ///
    /// If the value has no codec or its codec refuses it, if the write was cancelled, if there would be
    /// more bytes on the disk than allowed, or if all directories fail: then what the last of them said.
    pub fn write(
        &self,
        value: &Value,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<SpillFile, SpillError> {
        let type_name = value.type_name();
        let unspillable = || SpillError::Unspillable { type_name, source: None };
        let reviver = value.reviver().ok_or_else(unspillable)?;
        let mut room = self.reserve(value.bytes() as u64)?;
        let (path, bytes) = self.write_somewhere(value, is_cancelled)?;
        if let Err(error) = room.resize(bytes) {
            remove_file(&path);
            return Err(error);
        }
        room.keep();
        self.files.fetch_add(1, Relaxed);
        self.written_values.fetch_add(1, Relaxed);
        self.written_bytes.fetch_add(bytes, Relaxed);
        Ok(SpillFile { path, bytes, reviver })
    }

    /// Reads a value, and checks that it is what was written. The file stays.
    ///
    /// # Errors
    ///
    /// If the file is gone, cannot be read, or is damaged, or the codec cannot read what it has written.
    pub fn read(&self, file: &SpillFile) -> Result<Value, SpillError> {
        let path = &file.path;
        let failed = |what| move |source| SpillError::Io { path: path.clone(), what, source };
        let mut opened = session::open(path).map_err(failed("open"))?;
        let value = read_value(&mut opened, &file.reviver).map_err(|error| match error {
            ReadError::Io(source) => failed("read")(source),
            ReadError::Damaged(what) => SpillError::Damaged { path: path.clone(), what },
            ReadError::Codec(source) => {
                SpillError::Unreadable { type_name: file.type_name(), source }
            }
        })?;
        self.read_values.fetch_add(1, Relaxed);
        self.read_bytes.fetch_add(file.bytes, Relaxed);
        Ok(value)
    }

    /// Removes the file of a value. If that fails, a warning is logged, and its bytes stay counted.
    pub fn remove(&self, file: SpillFile) {
        let SpillFile { path, bytes, reviver: _ } = file;
        self.files.fetch_sub(1, Relaxed);
        if remove_file(&path) {
            self.bytes.fetch_sub(bytes, Relaxed);
        }
    }

    /// What is on the disk now, and what was done so far.
    pub fn usage(&self) -> DiskUsage {
        DiskUsage {
            files: self.files.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            written_values: self.written_values.load(Relaxed),
            read_bytes: self.read_bytes.load(Relaxed),
            read_values: self.read_values.load(Relaxed),
        }
    }

    /// Removes everything from the disk; writes that go on have their directory until they end, later ones
    /// are cancelled. Dropping the [`Disk`] does the same.
    pub fn close(&self) {
        for place in &self.places {
            place.close();
        }
    }

    fn write_somewhere(
        &self,
        value: &Value,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(PathBuf, u64), SpillError> {
        let first = self.next_place.fetch_add(1, Relaxed);
        let mut result = Err(SpillError::Cancelled);
        for turn in 0..self.places.len() {
            let place = &self.places[first.wrapping_add(turn) % self.places.len()];
            result = self.write_in(place, value, is_cancelled);
            match &result {
                Ok(_) => place.worked(),
                Err(error) if error.is_of_place() => {
                    place.failed(error, now());
                    continue;
                }
                Err(_) => {}
            }
            break;
        }
        result
    }

    fn write_in(
        &self,
        place: &Place,
        value: &Value,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(PathBuf, u64), SpillError> {
        // Held while it is written: a directory that is closed meanwhile goes afterwards.
        let session = place.session(now())?;
        let (path, mut file) = session.create(self.next_file.fetch_add(1, Relaxed))?;
        match write_value(value, &mut file, self.compress, is_cancelled) {
            Ok(bytes) => Ok((path, bytes)),
            Err(error) => {
                drop(file);
                remove_file(&path);
                Err(match error {
                    WriteError::Cancelled => SpillError::Cancelled,
                    WriteError::Io(error) => SpillError::io(place.base(), &path, "write to", error),
                    WriteError::Codec(source) => {
                        let type_name = value.type_name();
                        SpillError::Unspillable { type_name, source: Some(source) }
                    }
                })
            }
        }
    }

    /// Sets bytes aside, if there may be so many.
    fn reserve(&self, bytes: u64) -> Result<Room<'_>, SpillError> {
        let limit = self.max_bytes.unwrap_or(u64::MAX);
        self.bytes
            .fetch_update(Relaxed, Relaxed, |taken| {
                taken.checked_add(bytes).filter(|&sum| sum <= limit)
            })
            .map(|_| Room { disk: self, bytes })
            .map_err(|_| SpillError::OverMax { limit })
    }
}

/// Bytes that were set aside for a file, and are given back unless they are kept.
struct Room<'a> {
    disk: &'a Disk,
    bytes: u64,
}

impl Room<'_> {
    /// Takes what the file has really taken.
    fn resize(&mut self, bytes: u64) -> Result<(), SpillError> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.disk.reserve(more)?.keep(),
            None => {
                self.disk.bytes.fetch_sub(self.bytes - bytes, Relaxed);
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The bytes stay counted.
    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.disk.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

impl SpillFile {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file takes on the disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The Rust name of the value's type, for messages.
    pub fn type_name(&self) -> &'static str {
        self.reviver.type_name()
    }
}

impl fmt::Debug for SpillFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, bytes, reviver } = self;
        write!(f, "SpillFile({}, {bytes} bytes, {reviver:?})", path.display())
    }
}

fn remove_file(path: &Path) -> bool {
    session::remove_file(path)
        .inspect_err(|error| {
            let path = path.display();
            log::warn!("could not remove `{path}`, a spilled value: {error}");
        })
        .is_ok()
}

#[expect(clippy::disallowed_methods, reason = "how long a disk is left alone is a matter of time")]
fn now() -> Instant {
    Instant::now()
}
