//! Every example runs, asserts what it asserts, and prints what its header says.
//!
//! The header of an example shows its output in the block behind the line that begins with "Prints". A
//! line `…` there stands for any lines; times, and figures that are measured, may differ.

use std::collections::BTreeSet;
use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::SystemTime;

macro_rules! examples {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

examples! {
    async_tasks errors flights nested persist presubmit quickstart report resume retry simple_cache spilling
    timer
}

#[test]
fn no_example_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("there is a folder of examples") {
        let path = entry.expect("the folder can be read").path();
        if path.extension() == Some(OsStr::new("rs")) || path.join("main.rs").exists() {
            found.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
        }
    }
    let run: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, run, "these examples exist, and those are run");
}

/// Runs an example and compares what it prints with its header.
fn check(name: &str) {
    let output = Command::new(binary(name)).output().expect("the example can be started");
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{printed}\n{errors}", output.status);

    let documented = documented_output(name);
    let expected: Vec<&str> = documented.iter().map(String::as_str).collect();
    let found: Vec<&str> = printed.lines().collect();
    assert!(
        lines_match(&expected, &found),
        "the header of {name} promises\n\n{}\n\nbut it prints\n\n{printed}",
        expected.join("\n"),
    );
    let last = found.last().and_then(|line| line.split_once('='));
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(last.is_some_and(|(name, _)| is_name(name)), "{name} must end with name=value");
}

/// The block behind "Prints" in the header of an example.
fn documented_output(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let file = folder.join(name).with_extension("rs");
    let file = if file.exists() { file } else { folder.join(name).join("main.rs") };
    let source = fs::read_to_string(file).expect("the example's source can be read");
    let header = source.lines().map_while(|line| line.strip_prefix("//!"));
    let output: Vec<String> = header
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .skip_while(|line| !line.starts_with("Prints"))
        .skip_while(|line| *line != "```text")
        .skip(1)
        .take_while(|line| *line != "```")
        // The one figure that only Linux tells.
        .filter(|line| cfg!(target_os = "linux") || !line.starts_with("peak_rss_mib="))
        .map(str::to_owned)
        .collect();
    assert!(!output.is_empty(), "the header of {name} does not show what it prints");
    output
}

fn lines_match(expected: &[&str], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((&"…", rest)) => (0..=found.len()).any(|skip| lines_match(rest, &found[skip..])),
        Some((first, rest)) => found.split_first().is_some_and(|(line, others)| {
            without_measures(first) == without_measures(line) && lines_match(rest, others)
        }),
    }
}

/// A line with `#` for each time and each measured figure, and one space between words.
fn without_measures(line: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', '.']);
        let unit = bare.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let is_time = ["s", "ms", "µs", "ns"].contains(&unit);
        match (is_time, unit == bare, word.split_once('=')) {
            // The number stands in the word before.
            (true, true, _) if words.last().is_some_and(|word| word.parse::<f64>().is_ok()) => {
                words.pop();
                words.push("#");
            }
            (true, false, _) => words.push("#"),
            (_, _, Some((name, _))) if is_measured(name) => words.extend([name, "#"]),
            _ => words.push(word),
        }
    }
    words.join(" ")
}

fn is_measured(name: &str) -> bool {
    name.ends_with("_ms")
        || ["speedup", "peak_rss_mib", "peak_values_mib", "workers"].contains(&name)
}

/// The program of an example, which `cargo test` has built. `cargo test --test examples` has not, so
/// what is missing or older than its sources is built here.
fn binary(name: &str) -> PathBuf {
    static BUILD: Once = Once::new();
    let test = std::env::current_exe().expect("this program has a path");
    let profile = test.ancestors().nth(2).expect("it is target/<profile>/deps/examples-…");
    let binary = profile.join("examples").join(format!("{name}{EXE_SUFFIX}"));
    if !is_fresh(&binary) {
        BUILD.call_once(|| build_examples(profile));
    }
    assert!(binary.exists(), "build the examples first: cargo build --examples");
    binary
}

/// Cargo writes down beside each program what it was made of, also of this library.
fn is_fresh(binary: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let Ok(sources) = fs::read_to_string(binary.with_extension("d")) else { return false };
    let Some((_, sources)) = sources.trim().split_once(": ") else { return false };
    let built: Option<SystemTime> = changed(binary);
    let mut sources = sources.split(' ').map(|source| changed(Path::new(source)));
    built.is_some() && sources.all(|source| source.is_some() && source <= built)
}

fn build_examples(profile: &Path) {
    let name = profile.file_name().and_then(OsStr::to_str).unwrap_or("debug");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--examples", "--profile", if name == "debug" { "dev" } else { name }])
        .arg("--target-dir")
        .arg(profile.parent().expect("a profile lies in the target directory"))
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the examples cannot be built");
}

#[test]
fn what_is_measured_may_differ_and_nothing_else() {
    let same = |one, other| without_measures(one) == without_measures(other);
    assert!(same("x took 0.5s, y 7 ms", "x took 12s, y   1.5 ms"));
    assert!(same("in 1.2µs", "in 50ns") && same("plain_ms=1", "plain_ms=2.5"));
    assert!(!same("3 tasks", "4 tasks") && !same("flights=1", "flights=2") && !same("1s", "1"));
    assert!(lines_match(&["a", "…", "z"], &["a", "b", "c", "z"]));
    assert!(!lines_match(&["a", "…", "z"], &["a", "b"]) && !lines_match(&["a"], &["a", "b"]));
}
