//! How much memory this process may use: what the machine has, or less where its control group says so.
//!
//! It reads what Linux tells in `/proc` and `/sys`, and knows nothing of other systems. It does not ask
//! how much is free at the moment.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The memory that this process may use, in bytes, on the system whose files lie under `root`.
pub(super) fn usable_memory(root: &Path) -> Option<u64> {
    total(root).into_iter().chain(group_limits(root)).min()
}

fn total(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// The limits of all control groups that this process is in, and of the groups around them.
fn group_limits(root: &Path) -> Vec<u64> {
    let Ok(text) = fs::read_to_string(root.join("proc/self/cgroup")) else { return vec![] };
    // A line is `number:controllers:path`; the one of version 2 names no controllers.
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let mut limits = Vec::new();
    for (controllers, path) in lines {
        if controllers.is_empty() {
            for mount in ["sys/fs/cgroup", "sys/fs/cgroup/unified"] {
                let names = ["memory.max", "memory.high"];
                limits.extend(limits_upward(&root.join(mount), path, &names));
            }
        } else if controllers.split(',').any(|controller| controller == "memory") {
            let names = ["memory.limit_in_bytes"];
            limits.extend(limits_upward(&root.join("sys/fs/cgroup/memory"), path, &names));
        }
    }
    limits
}

/// What the files of these names say in a group and in all groups around it, up to the mount point.
///
/// In a container the path may be that of the host, where the group itself is what is mounted; then only
/// the mount point is there to be read.
fn limits_upward(mount: &Path, path: &str, names: &[&str]) -> Vec<u64> {
    let mut inside = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            // The group lies outside of what this namespace shows.
            Component::ParentDir => {
                inside.clear();
                break;
            }
        }
    }
    let groups = inside.ancestors().map(|group| mount.join(group));
    let files = groups.flat_map(|group| names.iter().map(move |name| group.join(name)));
    files.filter_map(|file| limit(&file)).collect()
}

/// The number in a file; "max", which stands for no limit, is none. Version 1 writes a huge number
/// instead, which does no harm beside the machine's memory.
fn limit(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::usable_memory;

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemFree:  12 kB\nMemTotal:       16384 kB\nSwapTotal: 0 kB\n");
    const TOTAL: Option<u64> = Some(16 << 20);

    fn usable(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        usable_memory(root.path())
    }

    #[test]
    fn without_groups_it_is_what_the_machine_has() {
        assert_eq!(usable(&[MEMINFO]), TOTAL);
        assert_eq!(usable(&[]), None);
        assert_eq!(usable(&[("proc/meminfo", "MemTotal: lots\n")]), None);
    }

    #[test]
    fn a_group_of_version_two_and_its_parents_count() {
        let group = ("proc/self/cgroup", "0::/user.slice/job\n");
        let parent = ("sys/fs/cgroup/user.slice/memory.max", "5000000\n");
        let own = ("sys/fs/cgroup/user.slice/job/memory.max", "6000000\n");
        let unlimited = ("sys/fs/cgroup/user.slice/job/memory.max", "max\n");
        let high = ("sys/fs/cgroup/user.slice/job/memory.high", "4000000\n");
        assert_eq!(usable(&[MEMINFO, group, own]), Some(6_000_000));
        assert_eq!(usable(&[MEMINFO, group, own, parent]), Some(5_000_000));
        assert_eq!(usable(&[MEMINFO, group, own, parent, high]), Some(4_000_000));
        assert_eq!(usable(&[MEMINFO, group, unlimited]), TOTAL);
        assert_eq!(usable(&[group, own]), Some(6_000_000));
    }

    #[test]
    fn a_group_of_version_one_counts() {
        let group = ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/a/b\n0::/\n");
        let own = ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "7000000\n");
        let parent = ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000000\n");
        let none = ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(usable(&[MEMINFO, group, own]), Some(7_000_000));
        assert_eq!(usable(&[MEMINFO, group, own, parent]), Some(3_000_000));
        assert_eq!(usable(&[MEMINFO, group, none]), TOTAL);
    }

    #[test]
    fn in_a_container_the_mount_point_is_the_group() {
        let two = ("sys/fs/cgroup/memory.max", "2000000\n");
        for path in ["/", "/docker/0123", "/../../elsewhere"] {
            let line = format!("0::{path}\n");
            let limit = usable(&[MEMINFO, ("proc/self/cgroup", &line), two]);
            assert_eq!(limit, Some(2_000_000), "{path}");
        }
        let one = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n");
        let group = ("proc/self/cgroup", "4:memory:/docker/0123\n");
        assert_eq!(usable(&[MEMINFO, group, one]), Some(2_000_000));
        let hybrid = ("sys/fs/cgroup/unified/memory.max", "1000000\n");
        assert_eq!(usable(&[MEMINFO, ("proc/self/cgroup", "0::/\n"), hybrid]), Some(1_000_000));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells_how_much_it_has() {
        let usable = usable_memory("/".as_ref()).unwrap();
        assert!(usable > 1 << 20, "{usable} bytes");
    }
}
