//! The files around the code agree with each other: manifest, Makefile, README, changelog.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::Command;

use serde_json::Value;

use crate::source::read;

/// A Rust version: major, minor, patch.
type Version = [u64; 3];

fn version(text: &str) -> Version {
    let mut parts = text.split('.').map(|part| part.parse().expect("a version is made of numbers"));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

/// What Cargo answers.
fn cargo(arguments: &[&str]) -> Option<String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo runs where its tests run");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("cargo writes UTF-8"))
}

/// The resolved packages of this host: those of other systems may not have been downloaded.
fn metadata() -> Value {
    let verbose = cargo(&["-vV"]).expect("cargo tells its version");
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.expect("cargo tells its host");
    let common = ["metadata", "--format-version=1", "--locked", "--filter-platform", host];
    // Everything was downloaded to build this test; the network is only a second try.
    let offline = cargo(&[common.as_slice(), &["--offline"]].concat());
    let json = offline.or_else(|| cargo(&common)).expect("cargo describes the locked packages");
    serde_json::from_str(&json).expect("cargo writes JSON")
}

/// How many packages the members of the workspace need to be built (tests and benches left out), and
/// those among them that need a newer Rust than the members promise.
fn too_new(metadata: &Value) -> (usize, Vec<String>) {
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).map(|package| (text(&package["id"]), package)).collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
    let members: Vec<&str> = list(&metadata["workspace_members"]).map(text).collect();
    let promised = members.iter().map(|id| version(text(&packages[id]["rust_version"]))).min();
    let promised = promised.expect("a workspace has members");

    let mut needed = BTreeSet::new();
    let mut waiting = members;
    while let Some(id) = waiting.pop() {
        if needed.insert(id) {
            let shipped = list(&nodes[id]["deps"]).filter(|dependency| is_shipped(dependency));
            waiting.extend(shipped.map(|dependency| text(&dependency["pkg"])));
        }
    }
    let newer = needed.iter().map(|id| packages[id]).filter(|package| {
        package["rust_version"].as_str().is_some_and(|minimum| version(minimum) > promised)
    });
    let shown = |package: &Value| format!("{} {}", package["name"], package["rust_version"]);
    (needed.len(), newer.map(shown).collect())
}

/// Whether a dependency is there for more than tests and benches.
fn is_shipped(dependency: &Value) -> bool {
    list(&dependency["dep_kinds"]).any(|kind| kind["kind"].as_str() != Some("dev"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo's metadata holds a string here")
}

/// The targets that a Makefile defines.
fn targets(makefile: &str) -> BTreeSet<&str> {
    let rules = makefile.lines().filter(|line| !line.starts_with(['\t', ' ', '#', '.']));
    let names =
        rules.filter_map(|line| line.split_once(':')).filter(|(_, rest)| !rest.starts_with('='));
    names.flat_map(|(names, _)| names.split_whitespace()).collect()
}

/// The targets that a page tells its reader to make, in code blocks and between backticks.
fn commands(page: &str) -> BTreeSet<&str> {
    let mut in_block = false;
    let mut code = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            code.push(line);
        } else {
            code.extend(line.split('`').skip(1).step_by(2));
        }
    }
    let told = code.into_iter().filter_map(|code| code.trim().strip_prefix("make "));
    told.filter_map(|told| told.split_whitespace().next()).collect()
}

/// The lines of a shell script that do something.
fn script_lines(script: &str) -> Vec<&str> {
    let lines = script.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The first heading of a changelog that stands for a version.
fn newest_heading(changelog: &str) -> Option<&str> {
    let heading = changelog.lines().find_map(|line| line.strip_prefix("## "))?;
    Some(heading.trim().trim_start_matches('[').trim_end_matches(']'))
}

#[test]
fn no_dependency_needs_a_newer_rust_than_promised() {
    let (packages, newer) = too_new(&metadata());
    assert!(packages >= 20, "only {packages} packages were read");
    assert!(newer.is_empty(), "these packages need more than `rust-version`: {newer:#?}");
}

#[test]
fn pages_tell_commands_that_exist() {
    let pages = ["README.md", "CONTRIBUTING.md"].map(|path| (path, read(path)));
    let makefile = read("Makefile");
    let defined = targets(&makefile);
    for (path, page) in &pages {
        let told = commands(page);
        let both = BTreeSet::from(["demo", "test"]);
        assert!(told.is_superset(&both), "{path} tells only {told:?}");
        let missing: Vec<_> = told.difference(&defined).collect();
        assert!(missing.is_empty(), "{path} tells commands the Makefile lacks: {missing:?}");
    }
}

#[test]
fn continuous_integration_runs_the_test_command_and_nothing_else() {
    assert_eq!(script_lines(&read(".ci/run")), ["make test"]);
}

#[test]
fn the_changelog_opens_with_what_is_unreleased() {
    assert_eq!(newest_heading(&read("CHANGELOG.md")), Some("Unreleased"));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::{commands, newest_heading, script_lines, targets, too_new, version};

    /// A workspace of one member with a normal, a development and a deeper build dependency.
    fn workspace(normal: &str, development: &str, deeper: &str) -> Value {
        let package =
            |id: &str, minimum: Value| json!({"id": id, "name": id, "rust_version": minimum});
        let needs = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        json!({
            "workspace_members": ["member"],
            "packages": [
                package("member", json!("1.88")),
                package("normal", json!(normal)),
                package("development", json!(development)),
                package("deeper", json!(deeper)),
                package("silent", Value::Null),
            ],
            "resolve": {"nodes": [
                {"id": "member", "deps": [
                    needs("normal", Value::Null),
                    needs("development", json!("dev")),
                    needs("silent", Value::Null),
                ]},
                {"id": "normal", "deps": [needs("deeper", json!("build"))]},
                {"id": "development", "deps": []},
                {"id": "deeper", "deps": []},
                {"id": "silent", "deps": []},
            ]},
        })
    }

    #[test]
    fn a_newer_rust_is_caught() {
        assert_eq!(too_new(&workspace("1.88.0", "1.99", "1.9")), (4, vec![]));
        assert_eq!(too_new(&workspace("1.89", "1.80", "1.80")).1.len(), 1);
        assert_eq!(too_new(&workspace("1.80", "1.80", "1.88.1")).1.len(), 1);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(version("1.100") > version("1.88.2"));
        assert_eq!(version("1.88"), version("1.88.0"));
    }

    #[test]
    fn targets_and_commands_are_found() {
        let makefile =
            "# a: b\nX := y\n.PHONY: z\ndemo: ## Run.\n\tcargo run: x\ntest lint: demo\n";
        assert_eq!(targets(makefile), BTreeSet::from(["demo", "lint", "test"]));
        let page = "Run `make demo`, and\nmake sure of it:\n\n```sh\nmake test  # all\n```\n";
        assert_eq!(commands(page), BTreeSet::from(["demo", "test"]));
    }

    #[test]
    fn a_script_that_does_more_is_caught() {
        assert_eq!(script_lines("#!/usr/bin/env bash\n# Why.\nmake test\n"), ["make test"]);
        assert_ne!(script_lines("#!/bin/sh\nmake lint\nmake test\n"), ["make test"]);
    }

    #[test]
    fn a_changelog_without_unreleased_on_top_is_caught() {
        assert_eq!(
            newest_heading("# Changelog\n\n## [Unreleased]\n\n## [0.1.0]"),
            Some("Unreleased")
        );
        assert_eq!(newest_heading("# Changelog\n\n## [0.1.0]\n\n## Unreleased"), Some("0.1.0"));
        assert_eq!(newest_heading("# Changelog\n\n### Added\n"), None);
    }
}
