//! `Checkpoint` when something goes wrong: crashes, damage, directories that fail, several processes.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mobula::{Arg, Checkpoint, Cluster, Codec, Data, Func, Graph, Key, Task, graph, lit};

use crate::helpers::{add, data, files, inc, keeping_all, process, two_branches};
use crate::watchdog::{alone, watched};

/// Set in the processes that tests start: the directory.
const DIRECTORY: &str = "MOBULA_TEST_CHECKPOINT";
/// What such a process does.
const MODE: &str = "MOBULA_TEST_CHECKPOINT_MODE";

/// Its codec kills the process half-way, where that is wanted.
#[derive(Clone)]
struct Torn(Vec<u8>);

const TORN: usize = 1 << 20;

impl Data for Torn {
    fn codec() -> Option<Codec<Self>> {
        Some(Codec::new(
            |torn, out| {
                out.write_all(&torn.0[..TORN / 2])?;
                if std::env::var_os(MODE).is_some_and(|mode| mode == "tear") {
                    std::process::abort();
                }
                Ok(out.write_all(&torn.0[TORN / 2..])?)
            },
            |source| {
                let mut bytes = Vec::new();
                source.read_to_end(&mut bytes)?;
                Ok(Self(bytes))
            },
        ))
    }
}

fn tearing() -> Graph {
    fn tear(x: i64) -> Torn {
        Torn(vec![x.to_le_bytes()[0]; TORN])
    }
    fn length(torn: &Torn) -> i64 {
        torn.0.iter().map(|_| 1).sum()
    }
    graph! { "before" => (inc, 1), "torn" => (tear, "before"), "length" => (length, "torn") }
}

/// Many tasks, each of which needs two others.
fn woven() -> (Graph, Vec<Key>) {
    let mut graph = graph! { ("w", 0) => (inc, 0), ("w", 1) => (inc, 1) };
    for number in 2..40_i64 {
        let args = [number - 1, number - 2].map(|n| Arg::Key(("w", n).into()));
        graph.insert(("w", number), Task::new(Func::new(add), args));
    }
    (graph, (0..40).map(|number: i64| ("w", number).into()).collect())
}

/// Not a test of its own: what the processes do that other tests start.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    if std::env::var_os(MODE).is_some_and(|mode| mode == "tear") {
        process::<i64>(&keeping_all(&directory), tearing(), "length");
        unreachable!("writing a value kills this process");
    }
    for version in 0..5 {
        let checkpoint = keeping_all(&directory).version(version.to_string());
        let cluster = Cluster::builder().workers(2).checkpoint(checkpoint.clone()).start().unwrap();
        let (graph, keys) = woven();
        cluster.get_blocking(graph, keys).unwrap();
        let summary = checkpoint.summary();
        assert_eq!((summary.damaged, summary.failed), (0, 0), "{summary}");
        assert_eq!(summary.hits + summary.written, 40, "{summary}");
    }
}

fn start(directory: &Path, mode: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "checkpoint_faults::child", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(MODE, mode)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program can be started once more")
}

#[test]
fn a_crash_in_the_middle_of_a_write_leaves_what_was_whole() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let entries = || fs::read_dir(base.path()).unwrap().count();
        assert!(!start(base.path(), "tear").wait().unwrap().success(), "it was killed");
        assert_eq!(files(base.path()).len(), 1, "the value before it");
        assert_eq!(entries(), 2, "and a directory with half a value");

        let checkpoint = keeping_all(base.path());
        let (length, ran) = process::<i64>(&checkpoint, tearing(), "length");
        assert_eq!(usize::try_from(length), Ok(TORN));
        assert_eq!(ran, ["length", "torn"]);
        drop(checkpoint);
        assert_eq!((files(base.path()).len(), entries()), (3, 3), "nothing else is left");
        fs::remove_file(files_of(base.path(), "length").remove(0)).unwrap();
        assert_eq!(process::<i64>(&keeping_all(base.path()), tearing(), "length").1, ["length"]);
    });
}

/// The files of a key.
fn files_of(directory: &Path, key: &str) -> Vec<PathBuf> {
    let mark = format!("\0'{key}'\0");
    let holds = |path: &PathBuf| {
        let content = fs::read(path).expect("it is there");
        content.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    files(directory).into_iter().filter(holds).collect()
}

#[test]
fn two_processes_at_once_do_not_disturb_each_other() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let children = [(); 2].map(|()| start(base.path(), "work"));
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(files(base.path()).len(), 200);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 200, "nothing else is left");
        let checkpoint = keeping_all(base.path()).version("3");
        let cluster = Cluster::builder().workers(1).checkpoint(checkpoint.clone()).start().unwrap();
        let (graph, keys) = woven();
        let values: Vec<i64> = data(cluster.get_blocking(graph, keys).unwrap());
        assert_eq!((values[..6].to_vec(), values.len()), (vec![1, 2, 3, 5, 8, 13], 40));
        assert_eq!((checkpoint.summary().hits, checkpoint.summary().damaged), (40, 0));
    });
}

/// Harms the one file there is, and sees that it is noticed, removed, and made again.
#[track_caller]
fn harmed(what: &str, harm: impl FnOnce(&Path)) {
    let base = tempfile::tempdir().expect("a directory can be had");
    let graph = || {
        let text = lit("manta ".repeat(100));
        graph! { "n" => (|text: &str| text.bytes().map(|_| 1_i64).sum::<i64>(), "t"), "t" => (|t: String| t + "!", text) }
    };
    let keep = || Checkpoint::new(base.path()).prefixes(["t"]);
    assert_eq!(process::<i64>(&keep(), graph(), "n"), (601, vec!["n".into(), "t".into()]));
    let path = files(base.path()).remove(0);
    let whole = fs::read(&path).expect("it is there");
    harm(&path);

    let checkpoint = keep();
    assert_eq!(
        process::<i64>(&checkpoint, graph(), "n"),
        (601, vec!["n".into(), "t".into()]),
        "{what}"
    );
    let summary = checkpoint.summary();
    assert_eq!((summary.damaged, summary.hits, summary.written), (1, 0, 1), "{what}");
    assert_eq!(fs::read(&path).expect("it is there"), whole, "{what}");
    assert_eq!(process::<i64>(&keep(), graph(), "n").1, ["n"], "{what}");
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    watched(|| {
        let end = 800;
        for at in [0, 8, 20, 50, 58, 62, 70, 80, 100, 400, 650, 690, 700] {
            harmed(&format!("byte {at}"), |path| {
                let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
                assert!(file.metadata().unwrap().len() < end, "the places are all over it");
                file.seek(SeekFrom::Start(at)).unwrap();
                let mut byte = [0];
                file.read_exact(&mut byte).unwrap();
                file.seek(SeekFrom::Start(at)).unwrap();
                file.write_all(&[byte[0] ^ 0x10]).unwrap();
            });
        }
        for length in [0, 7, 30, 60, 100, 500, 690] {
            harmed(&format!("cut to {length}"), |path| {
                OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
            });
        }
        harmed("one byte more", |path| {
            OpenOptions::new().append(true).open(path).unwrap().write_all(&[0]).unwrap();
        });
        harmed("of somebody else", |path| fs::write(path, vec![b'x'; 10_000]).unwrap());
    });
}

#[test]
fn a_value_of_another_task_or_another_type_is_not_used() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        process::<i64>(&keeping_all(base.path()), two_branches(), "total");
        let (left, right) = (&files_of(base.path(), "left")[0], &files_of(base.path(), "right")[0]);
        fs::copy(right, left).unwrap();
        fs::remove_file(&files_of(base.path(), "total")[0]).unwrap();
        let checkpoint = keeping_all(base.path());
        assert_eq!(
            process::<i64>(&checkpoint, two_branches(), "total"),
            (14, vec!["left".to_owned(), "total".to_owned(),])
        );
        assert_eq!(checkpoint.summary().damaged, 1);

        let base = tempfile::tempdir().unwrap();
        let said = |func: Func| {
            let mut graph = Graph::new();
            graph.insert("x", Task::new(func.identified_by("x"), [] as [Arg; 0]));
            graph.insert("n", (|_: mobula::Value| 1_i64, "x"));
            graph
        };
        let keep = || Checkpoint::new(base.path()).prefixes(["x"]);
        process::<i64>(&keep(), said(Func::new(|| 1_i64)), "n");
        let checkpoint = keep();
        process::<i64>(&checkpoint, said(Func::new(|| 1_u64)), "n");
        assert_eq!((checkpoint.summary().damaged, checkpoint.summary().written), (1, 1));
    });
}

#[test]
fn a_directory_that_cannot_be_made_fails_no_run() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        let checkpoint = keeping_all(&file.join("below a file"));
        for _ in 0..2 {
            assert_eq!(process::<i64>(&checkpoint, two_branches(), "total").0, 14);
        }
        let summary = checkpoint.summary();
        assert_eq!((summary.failed, summary.written, summary.hits), (10, 0, 0));
        assert_eq!(checkpoint.clear(), 0);
        drop(checkpoint);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    });
}

#[test]
fn a_directory_that_was_removed_is_made_again() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("deep/er");
        let checkpoint = keeping_all(&directory);
        for _ in 0..2 {
            assert_eq!(process::<i64>(&checkpoint, two_branches(), "total").1.len(), 5);
            assert_eq!(files(&directory).len(), 5);
            fs::remove_dir_all(&directory).unwrap();
        }
        assert_eq!((checkpoint.summary().failed, checkpoint.summary().written), (0, 10));
    });
}

#[cfg(unix)]
#[test]
fn only_its_user_may_read() {
    use std::os::unix::fs::PermissionsExt;
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("kept");
        process::<i64>(&keeping_all(&directory), two_branches(), "total");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert!(files(&directory).iter().all(|path| mode(path) == 0o600));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn no_file_and_no_thread_is_left_open() {
    alone(|| {
        let base = tempfile::tempdir().unwrap();
        let held = || {
            let open = fs::read_dir("/proc/self/fd").unwrap().count();
            let names = fs::read_dir("/proc/self/task").unwrap().flatten();
            let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
            (open, names.filter(|name| name.starts_with("mobula-checkpo")).count())
        };
        let use_it = |version: usize| {
            let checkpoint = keeping_all(base.path()).version(version.to_string());
            for _ in 0..2 {
                process::<i64>(&checkpoint, two_branches(), "total");
            }
        };
        (0..2).for_each(use_it);
        let before = held();
        (2..8).for_each(use_it);
        crate::watchdog::until(|| held() <= before);
    });
}
