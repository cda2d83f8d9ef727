//! What a segment is sure to have, what is refused, and where segments lie.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::{tempdir, tempfile};

use super::maker::{fits, size_class};
use super::medium::{in_pieces, unlinked, write_zeros};
use super::{Medium, Segment, SegmentId, Segments, live_segments, raise_descriptor_limit};

const MIB: u64 = 1 << 20;

fn made(media: Vec<Medium>, bytes: u64) -> Segment {
    let (segment, fallback) = Segments::new(3, media).create(bytes).unwrap();
    assert_eq!(fallback, None);
    segment
}

fn in_directory(directory: &Path) -> Vec<Medium> {
    vec![Medium::Directory(directory.to_owned())]
}

fn descriptor(segment: &Segment) -> OwnedFd {
    segment.as_fd().try_clone_to_owned().unwrap()
}

/// The file of a segment, as whoever has a descriptor of it has it.
fn file(segment: &Segment) -> File {
    descriptor(segment).into()
}

/// Runs a test in a process of its own: what it looks at is the whole process's.
fn alone(name: &str, test: impl FnOnce()) {
    const ALONE: &str = "MOBULA_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("process::segment::tests::{name}");
    let output = command.args(["--exact", &name]).env(ALONE, "1").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
}

#[test]
fn a_name_tells_the_maker() {
    let id = SegmentId::new(7, 3);
    assert_eq!((id.maker(), id.to_string().as_str()), (7, "7.3"));
    assert!(id.is_made_by(7) && !id.is_made_by(8) && !id.is_made_by(0));
    let many = u32::MAX - 1;
    assert!(SegmentId::new(many, 0).is_made_by(many), "the last bits of large numbers tell");
    assert_ne!(SegmentId::new(7, 3), SegmentId::new(7, 4));
    let (first, second) = (SegmentId::new(1, (1 << 40) - 1), SegmentId::new(2, 0));
    assert!(first < second && first.is_made_by(1));
}

#[test]
fn makers_count_their_segments() {
    let segments = Segments::new(5, in_directory(&std::env::temp_dir()));
    let ids = [0, 1].map(|_| segments.create(1).unwrap().0.id());
    assert_eq!(ids, [SegmentId::new(5, 0), SegmentId::new(5, 1)]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_written_is_read_by_who_has_the_descriptor() {
    let directory = tempdir().unwrap();
    for media in [vec![Medium::Anonymous], in_directory(directory.path())] {
        let segment = made(media, 100_000);
        let capacity = segment.capacity();
        assert!(capacity >= 100_000);
        let other = Segment::adopt(segment.id(), capacity, descriptor(&segment)).unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
        segment.write_at(&bytes, 7).unwrap();
        drop(segment);
        let mut read = vec![0; bytes.len()];
        other.read_at(&mut read, 7).unwrap();
        assert!(read == bytes);
    }
}

#[test]
fn nobody_reads_or_writes_beyond_the_capacity() {
    let directory = tempdir().unwrap();
    let file = tempfile().unwrap();
    file.set_len(200).unwrap();
    let adopted = Segment::adopt(SegmentId::new(1, 0), 100, file.into()).unwrap();
    for segment in [adopted, made(in_directory(directory.path()), 1)] {
        let capacity = segment.capacity();
        segment.write_at(&[1; 4], capacity - 4).unwrap();
        segment.read_at(&mut [0; 4], capacity - 4).unwrap();
        for offset in [capacity - 3, capacity, u64::MAX - 3, u64::MAX] {
            let written = segment.write_at(&[1; 4], offset).unwrap_err();
            let read = segment.read_at(&mut [0; 4], offset).unwrap_err();
            assert_eq!([written.kind(), read.kind()], [ErrorKind::InvalidInput; 2], "{offset}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn all_pages_are_there_from_the_start() {
    let directory = tempdir().unwrap();
    for media in [vec![Medium::Anonymous], in_directory(directory.path())] {
        let segment = made(media, 3 * MIB);
        let metadata = file(&segment).metadata().unwrap();
        assert_eq!(metadata.len(), segment.capacity());
        assert!(metadata.blocks() * 512 >= segment.capacity(), "{metadata:?}");
    }
}

#[test]
fn pages_are_written_where_they_cannot_be_reserved() {
    let directory = tempdir().unwrap();
    let file = unlinked(directory.path()).unwrap();
    let length = 2 * MIB + 4096;
    write_zeros(&file, length).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), length);
    assert!(metadata.blocks() * 512 >= length, "{metadata:?}");

    let mut pieces = Vec::new();
    let count = |offset, size| -> Result<(), ()> {
        pieces.push((offset, size));
        Ok(())
    };
    in_pieces(length, count).unwrap();
    assert_eq!(pieces, [(0, 1 << 20), (MIB, 1 << 20), (2 * MIB, 4096)]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_can_neither_shrink_nor_grow() {
    let segment = made(vec![Medium::Anonymous], MIB);
    let file = file(&segment);
    for length in [0, MIB - 1, segment.capacity() + 4096] {
        let refused = file.set_len(length).expect_err("it is sealed");
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
    }
    let seal = rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::WRITE);
    assert_eq!(seal, Err(rustix::io::Errno::PERM), "nobody can forbid to use it again");
}

#[test]
fn nothing_named_is_left_in_a_directory() {
    let directory = tempdir().unwrap();
    let segment = made(in_directory(directory.path()), MIB);
    let files = [file(&segment), unlinked(directory.path()).unwrap()];
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    for file in files {
        let metadata = file.metadata().unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, metadata.nlink()), (0o600, 0));
        let flags = fcntl_getfd(&file).unwrap();
        assert!(flags.contains(FdFlags::CLOEXEC), "children inherit nothing");
    }
}

#[track_caller]
fn refused(capacity: u64, descriptor: OwnedFd, why: &str) {
    let error = Segment::adopt(SegmentId::new(2, 9), capacity, descriptor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.to_string(), format!("segment 2.9 {why}"));
}

#[test]
fn what_is_no_file_of_that_size_is_not_taken_over() {
    let file = tempfile().unwrap();
    file.set_len(4095).unwrap();
    refused(4096, file.try_clone().unwrap().into(), "has 4095 bytes instead of 4096");
    refused(u64::MAX, file.into(), "has 4095 bytes instead of 18446744073709551615");
    refused(1, io::pipe().unwrap().0.into(), "is no file");
    refused(0, File::open("/").unwrap().into(), "is no file");
    refused(0, File::open("/dev/zero").unwrap().into(), "is no file");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_could_shrink_is_not_taken_over() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let memory = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let file = File::from(memory);
    file.set_len(4096).unwrap();
    let copy = || OwnedFd::from(file.try_clone().unwrap());
    refused(4096, copy(), "is memory that is not sealed against shrinking");
    fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
    Segment::adopt(SegmentId::new(2, 9), 4096, copy()).unwrap();
}

/// Their files cannot be sealed, and there is no other kind there.
#[cfg(target_os = "linux")]
#[test]
fn files_of_a_directory_in_memory_are_taken_over() {
    let directory = Path::new("/dev/shm");
    if directory.is_dir() {
        let segment = made(in_directory(directory), 4096);
        Segment::adopt(segment.id(), segment.capacity(), descriptor(&segment)).unwrap();
    }
}

#[test]
fn a_place_that_fails_is_told_once_for_each_kind_of_reason() {
    let directory = tempdir().unwrap();
    let (missing, late) = (directory.path().join("missing"), directory.path().join("late"));
    let good = directory.path().join("good");
    std::fs::create_dir(&good).unwrap();
    let media = [&missing, &late, &good].map(|path| Medium::Directory(path.clone()));
    let segments = Segments::new(0, media.to_vec());

    let (segment, told) = segments.create(4096).unwrap();
    segment.write_at(&[1], 0).unwrap();
    let absent = "No such file or directory (os error 2)";
    let line = format!(
        "`{}` cannot be used: {absent}; `{}` cannot be used: {absent}; values lie in `{}` instead",
        missing.display(),
        late.display(),
        good.display()
    );
    assert_eq!(told, Some(line));
    assert_eq!(segments.create(100_000).unwrap().1, None, "it was told");

    std::fs::write(&missing, "").unwrap();
    let told = segments.create(4096).unwrap().1.expect("this is another reason");
    assert!(told.contains("Not a directory"), "{told}");
    assert_eq!(segments.create(4096).unwrap().1, None);

    std::fs::remove_file(&missing).unwrap();
    std::fs::create_dir(&missing).unwrap();
    assert_eq!(segments.create(4096).unwrap().1, None, "the first place can be used now");
    std::fs::remove_dir(&missing).unwrap();
    assert_eq!(segments.create(4096).unwrap().1, None, "each reason was told");
}

#[test]
fn no_room_anywhere_says_what_was_tried_and_what_to_do() {
    let directory = tempdir().unwrap();
    let media = ["a", "b"].map(|name| Medium::Directory(directory.path().join(name)));
    let error = Segments::new(0, media.to_vec()).create(100_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let path = directory.path().display();
    let absent = "cannot be used: No such file or directory (os error 2)";
    assert_eq!(
        error.to_string(),
        format!(
            "there is no room for 112 KiB that processes share: `{path}/a` {absent}; `{path}/b` \
             {absent}; free some, or name a directory with more room"
        )
    );
    let error = Segments::new(0, vec![]).create(1).unwrap_err();
    assert!(error.to_string().contains("no place was named"), "{error}");
    let error = Segments::new(0, in_directory(directory.path())).create(u64::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[cfg(target_os = "linux")]
#[test]
fn more_memory_than_there_is_is_never_taken() {
    alone("more_memory_than_there_is_is_never_taken", || {
        // Should it be taken all the same, this process ends, and not whatever else runs here.
        let limit = Rlimit { current: Some(1 << 30), ..getrlimit(Resource::Fsize) };
        setrlimit(Resource::Fsize, limit).unwrap();
        let directory = tempdir().unwrap();
        let missing = Medium::Directory(directory.path().join("missing"));
        let segments = Segments::new(0, vec![Medium::Anonymous, missing]);
        let error = segments.create(1 << 50).unwrap_err().to_string();
        let full = "shared memory (memfd) has no room for 1073741824 MiB: there are ";
        assert!(error.contains(full) && error.contains("missing"), "{error}");
    });
}

#[test]
fn sizes_come_in_few_classes() {
    let classes = [
        (0, 4096),
        (1, 4096),
        (4097, 8192),
        (65_536, 65_536),
        (65_537, 81_920),
        (MIB, MIB),
        (MIB + 1, MIB + MIB / 4),
        (2 * MIB - 1, 2 * MIB),
        (1 << 62, 1 << 62),
    ];
    for (bytes, class) in classes {
        assert_eq!(size_class(bytes), Some(class), "{bytes}");
    }
    assert_eq!((size_class(u64::MAX), size_class(1 << 63)), (None, None));
}

proptest! {
    #[test]
    fn a_class_holds_what_it_is_for_and_wastes_little(bytes in 1_u64..1 << 40) {
        let class = size_class(bytes).unwrap();
        prop_assert!(class >= bytes && class.is_multiple_of(4096));
        prop_assert!(class - bytes <= 4096.max(bytes / 4));
        prop_assert_eq!(size_class(class), Some(class), "a class is its own");
        prop_assert!(fits(class, bytes));
    }

    #[test]
    fn a_free_segment_is_used_for_what_fills_two_thirds_of_it(
        bytes in 1_u64 << 16..1 << 40,
        capacity in 1_u64 << 16..1 << 40,
    ) {
        let is_good = capacity >= bytes && capacity - bytes <= capacity / 3;
        let is_as_new = size_class(bytes) == Some(capacity);
        prop_assert_eq!(fits(capacity, bytes), is_good || is_as_new);
    }
}

#[test]
fn a_segment_is_used_again_only_if_not_much_of_it_is_wasted() {
    let segment = size_class(MIB).unwrap();
    for (bytes, does_fit) in
        [(MIB + 1, false), (MIB, true), (700_000, true), (690_000, false), (0, false)]
    {
        assert_eq!(fits(segment, bytes), does_fit, "{bytes}");
    }
    assert!(fits(4096, 1) && !fits(8192, 1) && !fits(0, u64::MAX));
}

#[test]
fn who_wants_to_know_hears_that_a_segment_goes() {
    let directory = tempdir().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    for is_shown in [false, true] {
        let mut segment = made(in_directory(directory.path()), 1);
        let hear = Arc::clone(&told);
        segment.when_dropped(move |id, shown| hear.lock().unwrap().push((id, shown)));
        if is_shown {
            segment.show();
        }
        assert_eq!(told.lock().unwrap().len(), usize::from(is_shown));
        drop(segment);
    }
    let id = SegmentId::new(3, 0);
    assert_eq!(*told.lock().unwrap(), [(id, false), (id, true)]);
}

#[test]
fn live_segments_are_counted() {
    alone("live_segments_are_counted", || {
        let directory = tempdir().unwrap();
        assert_eq!(live_segments(), (0, 0));
        let made = made(in_directory(directory.path()), MIB);
        let adopted = Segment::adopt(made.id(), 5000, descriptor(&made)).unwrap();
        assert_eq!(live_segments(), (2, MIB + 5000));
        drop(made);
        assert_eq!(live_segments(), (1, 5000));
        Segment::adopt(adopted.id(), MIB + 1, descriptor(&adopted)).unwrap_err();
        drop(adopted);
        assert_eq!(live_segments(), (0, 0));
    });
}

#[test]
fn too_many_open_files_are_no_fault_of_a_place() {
    alone("too_many_open_files_are_no_fault_of_a_place", || {
        let directory = tempdir().unwrap();
        let media = [in_directory(directory.path()), in_directory("/".as_ref())].concat();
        let segments = Segments::new(0, media);
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..limit }).unwrap();
        let error = segments.create(1).unwrap_err();
        setrlimit(Resource::Nofile, limit).unwrap();
        let text = error.to_string();
        assert!(text.starts_with("there are too many open files") && text.contains("ulimit"));
    });
}

#[test]
fn as_many_files_as_are_allowed_may_be_open() {
    alone("as_many_files_as_are_allowed_may_be_open", || {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
        let raised = raise_descriptor_limit();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
        assert!(raised > 64);
        assert_eq!(raise_descriptor_limit(), raised);
    });
}
