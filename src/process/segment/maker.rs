//! [`Segments`]: who makes segments, and of which sizes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use rustix::io::Errno;

use super::{Medium, Segment, SegmentId};

/// The segments that this process makes for itself, as a parent: in memory, or else in the directory for
/// temporary files. A child makes those that are to be known to its parent by [`Desk`](super::super::Desk).
pub(in super::super) fn of_this_process() -> &'static Segments {
    static SEGMENTS: OnceLock<Segments> = OnceLock::new();
    SEGMENTS.get_or_init(|| {
        Segments::new(0, vec![Medium::Anonymous, Medium::Directory(std::env::temp_dir())])
    })
}

/// Says where the segments lie that this process makes as a parent: what it sends to its children, and what
/// comes back from the disk. Those that are there stay where they are.
pub fn share_in(media: Vec<Medium>) {
    let segments = of_this_process();
    *segments.media.write().unwrap_or_else(PoisonError::into_inner) = media;
}

/// Makes segments.
///
/// # Examples
///
/// ```
/// use mobula::process::{Medium, Segments};
///
/// let media = vec![Medium::Anonymous, Medium::Directory(std::env::temp_dir())];
/// let (segment, fallback) = Segments::new(0, media).create(100_000)?;
/// assert!(segment.capacity() >= 100_000);
/// if let Some(line) = fallback {
///     eprintln!("{line}");
/// }
///
/// segment.write_at(b"manta", 4096)?;
/// let mut bytes = [0; 5];
/// segment.read_at(&mut bytes, 4096)?;
/// assert_eq!(&bytes, b"manta");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Segments {
    maker: u32,
    /// Best first.
    media: RwLock<Vec<Medium>>,
    /// The number of the next segment.
    next: AtomicU64,
    /// Which media were told to be of no use, and for what kind of reason.
    told: Mutex<Vec<(usize, io::ErrorKind)>>,
}

impl Segments {
    /// Makes segments under the name of this maker, in the first of these places that has room.
    pub fn new(maker: u32, media: Vec<Medium>) -> Self {
        Self { maker, media: RwLock::new(media), next: AtomicU64::new(0), told: Mutex::default() }
    }

    /// Makes a segment for so many bytes, whose pages are reserved. Beside it comes one line for the user if it
    /// does not lie in the first place and the reason was not told before: once for each place and kind of
    /// reason.
    ///
    /// # Errors
    ///
    /// If there is room nowhere, or there are too many open files; it says what was tried and what to do.
    pub fn create(&self, bytes: u64) -> io::Result<(Segment, Option<String>)> {
        let Some(capacity) = size_class(bytes) else {
            let text = format!("{bytes} bytes are more than a segment can have");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let mut failures = Vec::new();
        let media = self.media.read().unwrap_or_else(PoisonError::into_inner);
        for (place, medium) in media.iter().enumerate() {
            match medium.make(capacity) {
                Ok(file) => {
                    let number = self.next.fetch_add(1, Ordering::Relaxed);
                    let segment = Segment::new(SegmentId::new(self.maker, number), capacity, file);
                    return Ok((segment, self.fallback(&media, &failures, capacity, medium)));
                }
                // It would be so everywhere.
                Err(error) if is_too_many_files(&error) => return Err(too_many_files(&error)),
                Err(error) => failures.push((place, error)),
            }
        }
        let kind = failures.last().map_or(io::ErrorKind::Unsupported, |(_, error)| error.kind());
        let tried = match Self::reasons(&media, &failures, capacity) {
            reasons if reasons.is_empty() => "no place was named".to_owned(),
            reasons => reasons,
        };
        let size = in_words(capacity);
        let text = format!(
            "there is no room for {size} that processes share: {tried}; free some, or name a \
             directory with more room"
        );
        Err(io::Error::new(kind, text))
    }

    /// Why a segment does not lie where it should, as far as that was not told.
    fn fallback(
        &self,
        media: &[Medium],
        failures: &[(usize, io::Error)],
        capacity: u64,
        used: &Medium,
    ) -> Option<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = failures.iter().any(|(place, error)| !told.contains(&(*place, error.kind())));
        if !is_new {
            return None;
        }
        told.extend(failures.iter().map(|(place, error)| (*place, error.kind())));
        told.sort_unstable();
        told.dedup();
        let reasons = Self::reasons(media, failures, capacity);
        Some(format!("{reasons}; values lie in {used} instead"))
    }

    fn reasons(media: &[Medium], failures: &[(usize, io::Error)], capacity: u64) -> String {
        let size = in_words(capacity);
        let reason = |(place, error): &(usize, io::Error)| {
            let medium = &media[*place];
            if is_full(error) {
                format!("{medium} has no room for {size}: {error}")
            } else {
                format!("{medium} cannot be used: {error}")
            }
        };
        failures.iter().map(reason).collect::<Vec<_>>().join("; ")
    }
}

/// True if there might be room for less, or later.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | OutOfMemory | QuotaExceeded | FileTooLarge)
}

fn is_too_many_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

fn too_many_files(error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!(
            "there are too many open files for one more shared value: {error}; allow more \
             (`ulimit -n`), or hold fewer values"
        ),
    )
}

fn in_words(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes < MIB {
        return format!("{} KiB", bytes.div_ceil(1 << 10));
    }
    format!("{} MiB", bytes.div_ceil(MIB))
}

/// The size that a segment for so many bytes has, in steps of a quarter of a power of two, so that one that
/// is free fits many values. `None` if no file can be so large.
pub(super) fn size_class(bytes: u64) -> Option<u64> {
    const PAGE: u64 = 4096;
    const MOST: u64 = i64::MAX.unsigned_abs();
    let bytes = bytes.max(PAGE);
    let step = (1 << bytes.ilog2()) / 4;
    let size = bytes.checked_next_multiple_of(step.max(PAGE))?;
    Some(size).filter(|&size| size <= MOST)
}

/// True if a free segment of this capacity may be used for so many bytes: they have room in it, and fill two
/// thirds of it, or as much as they would of a new one.
pub(in super::super) fn fits(capacity: u64, bytes: u64) -> bool {
    let most = size_class(bytes).unwrap_or(0).max(bytes.saturating_add(bytes / 2));
    (bytes..=most).contains(&capacity)
}
