//! [`Medium`]: where segments lie, and how a file without a name comes to be there with all its pages.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::{Errno, retry_on_intr};
use serde::{Deserialize, Serialize};

/// Where segments lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// In memory that no file system shows (`memfd`), where the system has it. Its size is not limited by
    /// that of `/dev/shm`.
    Anonymous,
    /// In a directory, as files without names.
    Directory(PathBuf),
}

impl Medium {
    /// A file of this size without a name, whose pages are reserved.
    pub(super) fn make(&self, capacity: u64) -> io::Result<File> {
        match self {
            Self::Anonymous => anonymous(capacity),
            Self::Directory(directory) => {
                let file = nameless(directory)?;
                reserve(&file, capacity)?;
                Ok(file)
            }
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("shared memory (memfd)"),
            Self::Directory(directory) => write!(f, "`{}`", directory.display()),
        }
    }
}

#[cfg(target_os = "linux")]
fn anonymous(capacity: u64) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    check_memory(capacity)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("mobula", flags)?);
    reserve(&file, capacity)?;
    // Nobody can make it smaller, or forbid to write into it.
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn anonymous(_: u64) -> io::Result<File> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no memory of that kind"))
}

/// True if the file is memory that could be made smaller: one which is not sealed against that, but could
/// be. In a directory in memory there are files that can never be sealed; those are not meant.
pub(super) fn is_unsealed(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{SealFlags, fcntl_get_seals};
        // An error says that there are no seals in that kind of file.
        let sealed = SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_get_seals(file).is_ok_and(|seals| !seals.intersects(sealed))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

/// The system gives memory until there is none left at all, and then it ends processes. So what can never
/// fit is refused before. What other processes take at the same moment is not seen, nor are the limits
/// of control groups: keeping to those is the affair of whoever decides how much is made.
#[cfg(target_os = "linux")]
fn check_memory(capacity: u64) -> io::Result<()> {
    /// Asking takes tens of microseconds, which is nothing beside taking so many bytes.
    const WORTH_ASKING: u64 = 16 << 20;
    if capacity < WORTH_ASKING {
        return Ok(());
    }
    let Some(available) = available_memory() else { return Ok(()) };
    if capacity <= available {
        return Ok(());
    }
    let text = format!("there are {} MiB left", available >> 20);
    Err(io::Error::new(io::ErrorKind::StorageFull, text))
}

/// Memory that can be had without much trouble, and free swap; `None` if the system does not say.
#[cfg(target_os = "linux")]
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    let available = kibibytes("MemAvailable:")?;
    available.checked_add(kibibytes("SwapFree:")?)?.checked_mul(1 << 10)
}

/// A file in a directory, without a name.
fn nameless(directory: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Mode, OFlags};

        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR) {
            Ok(descriptor) => return Ok(File::from(descriptor)),
            // The file system, or the kernel, cannot do that.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    unlinked(directory)
}

/// The same where a file must have a name first: for a moment there is one.
pub(super) fn unlinked(directory: &Path) -> io::Result<File> {
    // Each `RandomState` has keys of its own.
    let random = RandomState::new().hash_one(std::process::id());
    let path = directory.join(format!(".mobula-{random:016x}"));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Takes the pages of a new file now.
fn reserve(file: &File, capacity: u64) -> io::Result<()> {
    let reserved = match allocate(file, 0, capacity) {
        // A signal came. What was done may be undone, and the next signal may come as soon.
        Err(Errno::INTR) => in_pieces(capacity, |offset, length| {
            retry_on_intr(|| allocate(file, offset, length as u64))
        }),
        reserved => reserved,
    };
    match reserved {
        // The file system cannot do that.
        Err(Errno::OPNOTSUPP) => write_zeros(file, capacity),
        reserved => Ok(reserved?),
    }
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
))]
fn allocate(file: &File, offset: u64, length: u64) -> rustix::io::Result<()> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), offset, length)
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
)))]
fn allocate(_: &File, _: u64, _: u64) -> rustix::io::Result<()> {
    Err(Errno::OPNOTSUPP)
}

/// Reserves pages where the file system has no other way: it cannot know that they are empty.
pub(super) fn write_zeros(file: &File, capacity: u64) -> io::Result<()> {
    let zeros = vec![0; PIECE];
    in_pieces(capacity, |offset, length| file.write_all_at(&zeros[..length], offset))
}

/// So much is reserved at once where it cannot be all: a millisecond's work or less.
const PIECE: usize = 1 << 20;

/// Calls `piece` with the offset and the length of each piece.
pub(super) fn in_pieces<E>(
    capacity: u64,
    mut piece: impl FnMut(u64, usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut offset = 0;
    while offset < capacity {
        let length = usize::try_from(capacity - offset).unwrap_or(usize::MAX).min(PIECE);
        piece(offset, length)?;
        offset += length as u64;
    }
    Ok(())
}
