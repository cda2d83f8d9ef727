//! Processes that die while their values are on disk, and processes that live beside them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mobula::ObjectRef;

use crate::site::{NOTHING, Site, block, sessions, site, value_files};
use crate::watchdog::{until, watched};

/// The directory that a child process writes to.
const BASE: &str = "MOBULA_TEST_STORE_BASE";

/// Not a test of its own: what the child process of the other tests does, until it is killed or its
/// input ends.
#[test]
fn child() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let builder = mobula::Cluster::builder().workers(2).memory_limit(NOTHING);
    let cluster = builder.spill_directory(base).start().unwrap();
    let first = cluster.put("first", block(1));
    until(|| first.is_spilled());
    println!("\nspilled");
    let client = cluster.client().clone();
    // So that it is spilling when it is killed.
    std::thread::spawn(move || {
        let mut kept: Vec<ObjectRef> = Vec::new();
        loop {
            kept.extend((0..16).map(|number| client.put("more", block(number))));
            until(|| kept.iter().all(ObjectRef::is_spilled));
            kept.clear();
        }
    });
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let values = cluster.gather_blocking(&[first]).unwrap();
    assert!(*values[0].downcast_ref::<Vec<u8>>().unwrap() == block(1));
    cluster.shutdown_blocking().unwrap();
    println!("\nended");
    std::process::exit(0);
}

/// A child process that has spilled a value and goes on spilling. Killed when it is dropped.
struct Neighbour(Child, BufReader<std::process::ChildStdout>);

impl Neighbour {
    fn start(base: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crashes::child", "--nocapture"])
            .env(BASE, base)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut neighbour = Self(child, output);
        neighbour.says("spilled");
        neighbour
    }

    fn says(&mut self, text: &str) {
        let mut lines = (&mut self.1).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == text), "the child ended before it said `{text}`");
    }

    fn session(&self, base: &Path) -> PathBuf {
        let own = format!("mobula-spill-{}-", self.0.id());
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let found = sessions(base).into_iter().find(|path| name(path).starts_with(&own));
        found.expect("the child has a directory")
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn site_in(base: &Path) -> Site {
    crate::site::site_with(2, NOTHING, |_| {
        mobula::Cluster::builder().workers(2).memory_limit(NOTHING).spill_directory(base)
    })
}

#[test]
fn the_next_cluster_removes_what_a_killed_process_left() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let mut killed = Neighbour::start(base.path());
        let living = Neighbour::start(base.path());
        let (left, kept) = (killed.session(base.path()), living.session(base.path()));
        killed.0.kill().unwrap();
        killed.0.wait().unwrap();
        assert!(left.join("0.value").exists(), "nobody cleaned up behind it");
        let site = site_in(base.path());
        until(|| !left.exists());
        assert!(kept.join("0.value").exists());
        let refs = site.spill_blocks(0..8);
        assert_eq!(sessions(base.path()).len(), 2);
        site.check_blocks(&refs, 0..8);
        drop(refs);
        site.until_empty();
        drop(site);
        assert_eq!(sessions(base.path()), [kept]);
    });
}

#[test]
fn processes_share_a_directory_and_leave_it_empty() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let mut neighbour = Neighbour::start(base.path());
        let site = site_in(base.path());
        let refs = site.spill_blocks(0..8);
        assert_eq!(sessions(base.path()).len(), 2);
        // Its first value is still what it was, and its directory goes when it ends.
        drop(neighbour.0.stdin.take());
        neighbour.says("ended");
        assert!(neighbour.0.wait().unwrap().success());
        assert_eq!(sessions(base.path()).len(), 1);
        site.check_blocks(&refs, 0..8);
        drop((refs, site));
        assert_eq!(sessions(base.path()), Vec::<PathBuf>::new());
    });
}

#[test]
fn clusters_of_one_process_share_a_directory() {
    watched(|| {
        let one = site(1, NOTHING);
        let base = one.directory.path();
        let of_one = one.spill_blocks(0..4);
        let two = site_in(base);
        let of_two = two.spill_blocks(4..8);
        assert_eq!((sessions(base).len(), value_files(base).len()), (2, 8));
        one.check_blocks(&of_one, 0..4);
        drop((of_two, two));
        assert_eq!((sessions(base).len(), value_files(base).len()), (1, 4));
        // Starting a third one cleans nothing up that is in use.
        let three = site_in(base);
        let of_three = three.spill_blocks(0..4);
        until(|| of_one.iter().all(ObjectRef::is_spilled));
        one.check_blocks(&of_one, 0..4);
        three.check_blocks(&of_three, 0..4);
    });
}
