//! Values on a real disk, in temporary directories, and the file form under faults.

use std::cell::Cell;
use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{ReadError, WriteError, read_value, write_value};
use super::{Disk, DiskSettings, SpillError, SpillFile};
use crate::value::{Codec, CodecError, List, Source, Value};

const GO_ON: &dyn Fn() -> bool = &|| false;

fn disk(base: &Path) -> Disk {
    disks(&[base])
}

fn disks(bases: &[&Path]) -> Disk {
    let directories = bases.iter().map(PathBuf::from).collect();
    Disk::new(DiskSettings { directories, ..DiskSettings::default() })
}

/// Everything below a directory.
fn listed(base: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![base.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

fn values() -> Vec<Value> {
    let numbers: Vec<f64> = (0..100_000).map(f64::from).collect();
    vec![
        Value::new(numbers.clone()),
        Value::with_codec(numbers, 800_024, Codec::serde()),
        Value::new("text".repeat(50_000)),
        Value::new(vec!["a".to_owned(), "b".to_owned()]),
        Value::new(Vec::<u8>::new()),
        Value::new(7_i64),
        Value::new(()),
    ]
}

fn written(value: &Value, compress: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = write_value(value, &mut bytes, compress, GO_ON).unwrap();
    assert_eq!(count, bytes.len() as u64);
    bytes
}

fn read(value: &Value, bytes: &[u8]) -> Result<Value, ReadError> {
    read_value(&mut Cursor::new(bytes), &value.reviver().unwrap())
}

/// Same type, same size, same bytes when written again.
#[track_caller]
fn assert_same(back: &Value, value: &Value) {
    assert_eq!(back.type_name(), value.type_name());
    assert_eq!(back.bytes(), value.bytes());
    assert_eq!(written(back, false), written(value, false));
}

#[test]
fn values_come_back_from_their_files() {
    for compress in [false, true] {
        let base = tempfile::tempdir().unwrap();
        let directories = vec![base.path().to_owned()];
        let disk = Disk::new(DiskSettings { directories, max_bytes: None, compress });
        let mut files = Vec::new();
        for value in values() {
            let file = disk.write(&value, GO_ON).unwrap();
            assert_eq!(fs::metadata(file.path()).unwrap().len(), file.bytes());
            assert_same(&disk.read(&file).unwrap(), &value);
            files.push(file);
        }
        let usage = disk.usage();
        let bytes = files.iter().map(SpillFile::bytes).sum();
        assert_eq!((usage.files, usage.bytes), (files.len() as u64, bytes));
        assert_eq!((usage.written_values, usage.written_bytes), (usage.files, bytes));
        assert_eq!((usage.read_values, usage.read_bytes), (usage.files, bytes));
        for file in files {
            disk.remove(file);
        }
        let usage = disk.usage();
        assert_eq!((usage.files, usage.bytes, usage.written_bytes), (0, 0, bytes));
    }
}

#[test]
fn compression_makes_files_smaller() {
    let value = Value::new("text".repeat(50_000));
    assert!(written(&value, true).len() < written(&value, false).len() / 10);
}

#[test]
fn a_file_that_was_cut_short_is_noticed() {
    for compress in [false, true] {
        for value in values() {
            let bytes = written(&value, compress);
            let around = [0, 1, 7, 8, 23, 24, 25, 32, 63, 64, 65, 100];
            let lengths =
                around.iter().flat_map(|&near| [Some(near), bytes.len().checked_sub(near)]);
            for length in lengths.flatten().filter(|&length| length < bytes.len()) {
                let error = read(&value, &bytes[..length]).expect_err("it was cut short");
                assert!(matches!(error, ReadError::Damaged(_)), "{length}: {error:?}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(matches!(read(&value, &longer), Err(ReadError::Damaged(_))));
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    for compress in [false, true] {
        for value in values() {
            let bytes = written(&value, compress);
            let step = (bytes.len() / 97).max(1);
            let ends = (0..bytes.len().min(90)).chain(bytes.len().saturating_sub(90)..bytes.len());
            for position in ends.chain((0..bytes.len()).step_by(step)) {
                let mut flipped = bytes.clone();
                flipped[position] ^= 1 << (position % 8);
                let error = read(&value, &flipped).expect_err("a bit was flipped");
                assert!(matches!(error, ReadError::Damaged(_)), "{position}: {error:?}");
            }
        }
    }
}

#[test]
fn a_value_of_another_type_is_noticed() {
    let bytes = written(&Value::new(vec![1_u64, 2]), false);
    let error = read(&Value::new(vec![1.0_f64, 2.0]), &bytes).expect_err("another type");
    assert!(
        matches!(&error, ReadError::Damaged(what) if what.contains("another type")),
        "{error:?}"
    );
}

#[test]
fn a_users_codec_never_sees_damaged_bytes() {
    struct Strict;
    fn encode(_: &Strict, out: &mut dyn Write) -> Result<(), CodecError> {
        Ok(out.write_all(&[7; 1000])?)
    }
    fn decode(source: &mut Source<'_>) -> Result<Strict, CodecError> {
        let mut bytes = [0; 1000];
        io::Read::read_exact(source, &mut bytes)?;
        // A panic would be contained, but not this.
        if bytes != [7; 1000] {
            std::process::abort()
        }
        Ok(Strict)
    }
    let value = Value::with_codec(Strict, 0, Codec::new(encode, decode));
    for compress in [false, true] {
        let mut bytes = written(&value, compress);
        assert!(read(&value, &bytes).is_ok());
        bytes[40] ^= 1;
        assert!(matches!(read(&value, &bytes), Err(ReadError::Damaged(_))));
    }
}

#[test]
fn a_codec_that_cannot_read_what_it_wrote_is_told_from_damage() {
    let codec = Codec::new(
        |_: &u16, out| Ok(out.write_all(&[1, 2, 3])?),
        |source| {
            let mut bytes = [0; 2];
            io::Read::read_exact(source, &mut bytes)?;
            Ok(u16::from_ne_bytes(bytes))
        },
    );
    let base = tempfile::tempdir().unwrap();
    let disk = disk(base.path());
    let file = disk.write(&Value::with_codec(1_u16, 2, codec), GO_ON).unwrap();
    let error = disk.read(&file).expect_err("a byte was left over");
    assert!(matches!(error, SpillError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("1 bytes too many"), "{error}");
}

/// Takes `room` bytes, then is full.
struct Quota {
    room: usize,
}

impl Write for Quota {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_noticed_wherever_it_gets_full() {
    for compress in [false, true] {
        for value in values() {
            let length = written(&value, compress).len();
            for room in [0, 10, 24, 30, length / 2, length - 40, length - 1] {
                let error = write_value(&value, &mut Quota { room }, compress, GO_ON)
                    .expect_err("there is no room");
                let WriteError::Io(error) = error else { panic!("{room}: {error:?}") };
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            }
            write_value(&value, &mut Quota { room: length }, compress, GO_ON).unwrap();
        }
    }
}

#[test]
fn a_codec_that_hides_a_full_disk_is_found_out() {
    let codec = Codec::new(
        |_: &u16, out| {
            let _lost = out.write_all(&vec![0; 1 << 20]);
            Ok(())
        },
        |_| Ok(0),
    );
    let value = Value::with_codec(0_u16, 2, codec);
    let error = write_value(&value, &mut Quota { room: 1000 }, false, GO_ON);
    assert!(matches!(error, Err(WriteError::Io(_))), "{error:?}");
}

#[test]
fn a_write_can_be_cancelled_between_its_pieces() {
    let base = tempfile::tempdir().unwrap();
    let disk = disk(base.path());
    let value = Value::new(vec![0_u8; 16 << 20]);
    let asked = Cell::new(0);
    let after_some = || {
        asked.set(asked.get() + 1);
        asked.get() > 5
    };
    let error = disk.write(&value, &after_some).expect_err("it was cancelled");
    assert!(matches!(error, SpillError::Cancelled), "{error}");
    assert_eq!(asked.get(), 6, "it ends at once");
    assert!(matches!(disk.write(&Value::new(1_i64), &|| true), Err(SpillError::Cancelled)));
    assert_eq!(listed(base.path()).len(), 2, "only the lock is left: {:?}", listed(base.path()));
    assert_eq!(disk.usage().bytes, 0);
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let base = tempfile::tempdir().unwrap();
    let disk = disk(base.path());
    let error = disk.write(&Value::new(List(vec![])), GO_ON).expect_err("it has no codec");
    assert!(error.to_string().contains("its type has no codec"), "{error}");
    assert!(listed(base.path()).is_empty(), "nothing was made");
    let refused = Value::with_codec(Some(None::<u8>), 2, Codec::serde());
    let error = disk.write(&refused, GO_ON).expect_err("its codec refuses it");
    assert!(matches!(error, SpillError::Unspillable { source: Some(_), .. }), "{error}");
    assert_eq!(listed(base.path()).len(), 2);
    assert_eq!(disk.usage().bytes, 0);
}

#[test]
fn no_more_is_written_than_allowed() {
    let base = tempfile::tempdir().unwrap();
    let directories = vec![base.path().to_owned()];
    let disk = Disk::new(DiskSettings { directories, max_bytes: Some(3000), compress: false });
    let value = Value::new(vec![0_u8; 2000]);
    let file = disk.write(&value, GO_ON).unwrap();
    let error = disk.write(&value, GO_ON).expect_err("there is no room for two");
    assert!(matches!(error, SpillError::OverMax { limit: 3000 }), "{error}");
    // It counts as little, and takes more than is left.
    let larger = Value::with_codec(vec![0_u8; 2000], 10, Codec::serde());
    assert!(matches!(disk.write(&larger, GO_ON), Err(SpillError::OverMax { .. })));
    assert_eq!(disk.usage().bytes, file.bytes());
    assert_eq!(listed(base.path()).len(), 3, "one value, the lock, the directory");
    disk.remove(file);
    assert!(disk.write(&value, GO_ON).is_ok());
}

#[test]
fn a_directory_that_somebody_removed_is_made_again() {
    let base = tempfile::tempdir().unwrap();
    let disk = disk(base.path());
    let value = Value::new("text".to_owned());
    let lost = disk.write(&value, GO_ON).unwrap();
    fs::remove_dir_all(lost.path().parent().unwrap()).unwrap();
    let error = disk.read(&lost).expect_err("the file is gone");
    assert!(matches!(error, SpillError::Io { what: "open", .. }), "{error}");
    disk.remove(lost);
    let file = disk.write(&value, GO_ON).unwrap();
    assert_same(&disk.read(&file).unwrap(), &value);
}

#[test]
fn a_base_that_is_missing_is_made() {
    let base = tempfile::tempdir().unwrap();
    let inner = base.path().join("a/b");
    let disk = disk(&inner);
    let _file = disk.write(&Value::new(1_i64), GO_ON).unwrap();
    drop(disk);
    assert_eq!(listed(&inner).len(), 0);
}

#[test]
fn when_a_directory_fails_another_is_used() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    let (broken, good) = (file.join("below a file"), base.path().join("good"));
    let disk = disks(&[&broken, &good]);
    for _ in 0..4 {
        let written = disk.write(&Value::new(1_i64), GO_ON).unwrap();
        assert!(written.path().starts_with(&good));
    }
    let disk = disks(&[&broken, &broken]);
    for _ in 0..2 {
        let error = disk.write(&Value::new(1_i64), GO_ON).expect_err("no directory works");
        assert!(matches!(error, SpillError::Io { .. }), "{error}");
        assert!(error.to_string().contains("below a file"), "{error}");
        assert_eq!(disk.usage().bytes, 0);
    }
}

#[test]
fn directories_are_used_in_turn() {
    let base = tempfile::tempdir().unwrap();
    let (one, two) = (base.path().join("one"), base.path().join("two"));
    let disk = disks(&[&one, &two]);
    let files: Vec<_> = (0..4).map(|_| disk.write(&Value::new(1_i64), GO_ON).unwrap()).collect();
    for (index, file) in files.iter().enumerate() {
        assert!(file.path().starts_with([&one, &two][index % 2]), "{file:?}");
    }
}

#[test]
fn nothing_is_left_after_the_end() {
    let base = tempfile::tempdir().unwrap();
    let dropped = disk(base.path());
    assert!(listed(base.path()).is_empty(), "nothing is made in advance");
    let _file = dropped.write(&Value::new(1_i64), GO_ON).unwrap();
    drop(dropped);
    let closed = disk(base.path());
    let file = closed.write(&Value::new(1_i64), GO_ON).unwrap();
    closed.close();
    assert!(listed(base.path()).is_empty());
    assert!(matches!(closed.write(&Value::new(1_i64), GO_ON), Err(SpillError::Cancelled)));
    closed.read(&file).expect_err("it is gone");
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;

    let base = tempfile::tempdir().unwrap();
    let disk = disk(base.path());
    let file = disk.write(&Value::new("secret".to_owned()), GO_ON).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(file.path().parent().unwrap()), 0o700);
    assert_eq!(mode(file.path()), 0o600);
}

#[test]
fn many_threads_may_write_and_read() {
    let base = tempfile::tempdir().unwrap();
    let disk = Arc::new(disks(&[&base.path().join("a"), &base.path().join("b")]));
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let disk = Arc::clone(&disk);
            scope.spawn(move || {
                for _ in 0..20 {
                    let value = Value::new(vec![thread; 10_000]);
                    let file = disk.write(&value, GO_ON).unwrap();
                    assert_same(&disk.read(&file).unwrap(), &value);
                    disk.remove(file);
                }
            });
        }
    });
    let usage = disk.usage();
    assert_eq!((usage.files, usage.bytes, usage.written_values), (0, 0, 80));
}

mod leftovers {
    //! Directories of processes that are gone, and of others that are not.

    use std::fs::{self, FileTimes, OpenOptions};
    use std::io::{BufRead, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::{GO_ON, disk, listed};
    use crate::value::Value;

    const BASE: &str = "MOBULA_TEST_SPILL_BASE";

    /// Not a test of its own: what the child process of the next test does, until it is killed.
    #[test]
    fn child() {
        let Some(base) = std::env::var_os(BASE) else { return };
        let disk = disk(Path::new(&base));
        let file = disk.write(&Value::new(vec![0_u8; 1000]), GO_ON).unwrap();
        println!("\nwritten {}", file.path().display());
        // The test kills it; if that fails, it ends when its input does.
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    }

    #[test]
    fn of_a_killed_process_are_removed_and_of_a_living_one_kept() {
        let base = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spill::tests::leftovers::child", "--nocapture"])
            .env(BASE, base.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.map(Result::unwrap).find(|line| line.starts_with("written ")).unwrap();
        let path = PathBuf::from(&line["written ".len()..]);

        let disk = disk(base.path());
        let own = disk.write(&Value::new(1_i64), GO_ON).unwrap();
        assert_eq!(disk.clean_leftovers(), 0);
        assert!(path.exists(), "its process lives");

        child.kill().unwrap();
        child.wait().unwrap();
        assert!(path.exists(), "nobody cleaned up behind it");
        assert_eq!(disk.clean_leftovers(), 1);
        assert!(!path.parent().unwrap().exists());
        assert!(disk.read(&own).is_ok());
    }

    #[test]
    fn two_disks_on_one_base_do_not_disturb_each_other() {
        let base = tempfile::tempdir().unwrap();
        let (one, two) = (disk(base.path()), disk(base.path()));
        let file = one.write(&Value::new(1_i64), GO_ON).unwrap();
        let other = two.write(&Value::new(2_i64), GO_ON).unwrap();
        assert_eq!((one.clean_leftovers(), two.clean_leftovers()), (0, 0));
        drop(one);
        assert!(!file.path().exists());
        assert_eq!(two.read(&other).unwrap().take::<i64>().unwrap(), 2);
    }

    fn grow_old(path: &Path) {
        let directory = OpenOptions::new().read(true).open(path).unwrap();
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        let earlier = modified - Duration::from_secs(2 * 60 * 60);
        directory.set_times(FileTimes::new().set_modified(earlier)).unwrap();
    }

    #[test]
    fn what_is_half_made_goes_when_it_is_old() {
        let base = tempfile::tempdir().unwrap();
        let half_made = base.path().join("mobula-spill-1-0123.new");
        let without_lock = base.path().join("mobula-spill-1-4567");
        for directory in [&half_made, &without_lock] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(half_made.join("lock"), "").unwrap();
        assert_eq!(disk(base.path()).clean_leftovers(), 0, "somebody may be making them");
        grow_old(&half_made);
        grow_old(&without_lock);
        assert_eq!(disk(base.path()).clean_leftovers(), 2);
        assert!(listed(base.path()).is_empty());
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        for name in ["other", "mobula", "mobula-spill"] {
            fs::create_dir(base.path().join(name)).unwrap();
            fs::write(base.path().join(name).join("lock"), "").unwrap();
        }
        fs::write(base.path().join("mobula-spill-1-file"), "").unwrap();
        let before = listed(base.path()).len();
        assert_eq!(disk(base.path()).clean_leftovers(), 0);
        assert_eq!(listed(base.path()).len(), before);
        assert_eq!(disk(&base.path().join("missing")).clean_leftovers(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;

        let (base, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let precious = elsewhere.path().join("precious");
        fs::write(&precious, "").unwrap();
        fs::write(elsewhere.path().join("lock"), "").unwrap();
        symlink(elsewhere.path(), base.path().join("mobula-spill-1-link")).unwrap();
        let dead = base.path().join("mobula-spill-1-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        symlink(elsewhere.path(), dead.join("link")).unwrap();
        assert_eq!(disk(base.path()).clean_leftovers(), 1);
        assert!(!dead.exists());
        assert!(precious.exists());
    }
}
