//! [`Session`]: the private directory of one process on one base directory, and what dead processes
//! left behind. This is the only file of the floor that touches the disk.
//!
//! It knows no values and counts nothing. Directories belong to whoever holds the lock in them:
//!
//! - `<base>/mobula-spill-<process>-<random>` holds a file `lock`, which its process keeps locked as long
//!   as it lives, whatever it dies of.
//! - It is made under a name with `.new` at its end, locked, and then renamed. So one under its final
//!   name that is not locked belongs to nobody any more.
//! - What is half made, or has lost its lock file, goes when it is an hour old.
//!
//! This was made for Unix, where a directory can be renamed while a file in it is open. Elsewhere making
//! one may fail, which is an error like that of any directory that cannot be used.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use fs4::FileExt;

use super::SpillError;

const PREFIX: &str = "mobula-spill-";
const HALF_MADE: &str = ".new";
const LOCK: &str = "lock";

/// Nobody takes that long to make a directory.
const OLD: Duration = Duration::from_secs(60 * 60);

/// A directory of this process, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    base: PathBuf,
    directory: PathBuf,
    /// Held, not read: closing the file ends the lock.
    _lock: File,
    /// The directory itself, with a lock by which `systemd-tmpfiles` knows that it is in use.
    _kept: Option<File>,
    /// A forked child has a copy of this, but the directory belongs to its parent.
    process: u32,
}

impl Session {
    /// Makes a new directory, and the base if it is not there.
    pub(crate) fn make(base: &Path) -> Result<Self, SpillError> {
        let failed = |what, path: &Path| {
            let (base, path) = (base.to_owned(), path.to_owned());
            move |error| SpillError::io(&base, &path, what, error)
        };
        fs::create_dir_all(base).map_err(failed("make the directory", base))?;
        let process = process::id();
        // Each `RandomState` has keys of its own.
        let random = RandomState::new().hash_one(process);
        let directory = base.join(format!("{PREFIX}{process}-{random:016x}"));
        let mut half_made = directory.clone().into_os_string();
        half_made.push(HALF_MADE);
        let half_made = PathBuf::from(half_made);

        private_directory(&half_made).map_err(failed("make the directory", &half_made))?;
        let lock = lock(&half_made.join(LOCK)).and_then(|lock| {
            fs::rename(&half_made, &directory)?;
            Ok(lock)
        });
        let lock = lock.map_err(|error| {
            remove(&half_made);
            failed("lock the directory", &half_made)(error)
        })?;
        let kept =
            File::open(&directory).ok().filter(|file| FileExt::try_lock_shared(file).is_ok());
        Ok(Self { base: base.to_owned(), directory, _lock: lock, _kept: kept, process })
    }

    /// A new file for one value.
    pub(crate) fn create(&self, number: u64) -> Result<(PathBuf, File), SpillError> {
        let path = self.directory.join(format!("{number}.value"));
        match private_file(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(SpillError::io(&self.base, &path, "make the file", error)),
        }
    }

    /// Whether the directory is still there: somebody may have tidied up.
    pub(crate) fn exists(&self) -> bool {
        self.directory.is_dir()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if process::id() == self.process {
            remove(&self.directory);
        }
    }
}

/// Opens the file of a value.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Removes the file of a value. One that is gone already is no error.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what dead processes left in a base directory, and tells how many directories that were.
///
/// What belongs to other users is left alone, and so is what cannot be read, opened or locked.
pub(crate) fn clean_leftovers(base: &Path) -> usize {
    let Ok(entries) = fs::read_dir(base) else { return 0 };
    entries.flatten().filter(|entry| is_ours(entry) && clean(&entry.path())).count()
}

/// A directory, not a link to one, with our kind of name, of this user.
fn is_ours(entry: &fs::DirEntry) -> bool {
    let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
    // This does not follow links.
    named && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && is_mine(&metadata))
}

/// Removes a directory if its process is gone.
fn clean(directory: &Path) -> bool {
    let half_made = directory.to_string_lossy().ends_with(HALF_MADE);
    let path = directory.join(LOCK);
    let has_lock = !half_made && fs::symlink_metadata(&path).is_ok_and(|file| file.is_file());
    if !has_lock {
        return is_old(directory) && remove(directory);
    }
    let Ok(lock) = OpenOptions::new().write(true).open(&path) else { return false };
    // Held while the directory goes, so that nobody else cleans it at the same time.
    FileExt::try_lock(&lock).is_ok() && remove(directory)
}

fn is_old(directory: &Path) -> bool {
    let modified = fs::symlink_metadata(directory).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > OLD))
}

/// Removes a directory with all that is in it; links in it go, what they lead to stays.
fn remove(directory: &Path) -> bool {
    match fs::remove_dir_all(directory) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            log::warn!(
                "could not remove `{}`, a directory of spilled values: {error}",
                directory.display()
            );
            false
        }
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = private_file(path)?;
    // By its full name: newer versions of the standard library have a method of the same name.
    FileExt::try_lock(&file)?;
    Ok(file)
}

fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_mine(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(metadata) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_mine(_metadata: &Metadata) -> bool {
    true
}
