//! [`Log`]: the call that a child is in, written where it outlives the child.
//!
//! A child that is killed says nothing any more, but what it has written into a file stays. The parent makes
//! the file, hands it to its child, and looks into it when the child has died: that call is to blame.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// What stands in the file between calls.
const NONE: u64 = u64::MAX;

/// A file of eight bytes without a name: the number of a call, little-endian. It goes when both processes
/// have closed it.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// A new one, for a child that is in no call. To be called by the parent.
    ///
    /// # Errors
    ///
    /// If the process has too many open files, or the system has no room for eight bytes.
    pub fn create() -> io::Result<Self> {
        let log = Self { file: unnamed()? };
        log.ends()?;
        Ok(log)
    }

    /// The one that came from the parent.
    pub fn from_fd(descriptor: OwnedFd) -> Self {
        Self { file: File::from(descriptor) }
    }

    /// Notes that a call begins, or goes on after one inside of it has ended.
    ///
    /// # Errors
    ///
    /// If the descriptor that came from the parent cannot be written.
    pub fn begins(&self, number: u64) -> io::Result<()> {
        self.file.write_all_at(&number.to_le_bytes(), 0)
    }

    /// Notes that the child is in no call.
    ///
    /// # Errors
    ///
    /// As for [`begins`](Self::begins).
    pub fn ends(&self) -> io::Result<()> {
        self.begins(NONE)
    }

    /// The call that the child is in, or was in when it died; `None` if in no call, or if the file says
    /// nothing.
    pub fn read(&self) -> Option<u64> {
        let mut number = [0; 8];
        self.file.read_exact_at(&mut number, 0).ok()?;
        Some(u64::from_le_bytes(number)).filter(|&number| number != NONE)
    }
}

impl AsFd for Log {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn unnamed() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create("mobula-log", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn unnamed() -> io::Result<File> {
    use std::hash::{BuildHasher, RandomState};
    // Each `RandomState` has keys of its own.
    let name = format!("mobula-log-{:016x}", RandomState::new().hash_one(std::process::id()));
    let path = std::env::temp_dir().join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_reads_what_the_child_wrote_last() {
        let parent = Log::create().unwrap();
        assert_eq!(parent.read(), None);
        let child = Log::from_fd(parent.as_fd().try_clone_to_owned().unwrap());
        child.begins(7).unwrap();
        child.begins(1 << 40).unwrap();
        assert_eq!(parent.read(), Some(1 << 40));
        child.ends().unwrap();
        assert_eq!(parent.read(), None);
        child.begins(8).unwrap();
        drop(child);
        assert_eq!(parent.read(), Some(8), "what is written outlives who wrote it");
    }

    #[test]
    fn a_file_that_says_nothing_blames_nobody() {
        let (end, start) = io::pipe().unwrap();
        let log = Log::from_fd(start.into());
        assert_eq!(log.read(), None);
        drop(end);
        assert!(log.begins(1).is_err());
        let log = Log::create().unwrap();
        log.file.set_len(3).unwrap();
        assert_eq!(log.read(), None);
    }
}
