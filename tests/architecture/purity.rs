//! What the pure floors may not name, and where `unsafe` may stand.

use crate::paths::{NamedPath, named_paths};
use crate::source::{Source, rust_sources, shipped};
use crate::tokens::tokenize;

/// The floors that decide: no actor, thread, clock, random number, disk, network or log in them.
const PURE: [&str; 2] = ["engine", "graph"];

/// Crates and modules out of reach for the pure floors.
const FORBIDDEN: [&str; 10] = [
    "actix",
    "actix_rt",
    "log",
    "rand",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
];

/// The types that read a clock, wherever they were imported from.
const CLOCKS: [&str; 2] = ["Instant", "SystemTime"];

/// The only files that may hold `unsafe`, each with the measured need beside it.
const UNSAFE_FILES: [&str; 3] =
    ["src/engine/slots.rs", "src/engine/run/values.rs", "src/actors/store/trim.rs"];

/// The files that were read, and what is wrong in them.
fn impurities(sources: &[Source]) -> (usize, Vec<String>) {
    let mut codes = shipped(sources);
    codes.retain(|code| code.module.first().is_some_and(|top| PURE.contains(&top.as_str())));
    let violations = codes.iter().flat_map(|code| {
        let named = named_paths(code).into_iter().filter(is_impure);
        let shown = |path: NamedPath| (path.line, path.segments.join("::"));
        named.map(shown).map(|(line, path)| format!("{}:{line}: names `{path}`", code.path))
    });
    (codes.len(), violations.collect())
}

fn is_impure(path: &NamedPath) -> bool {
    if path.segments.iter().any(|segment| CLOCKS.contains(&segment.as_str())) {
        return true;
    }
    // A lone word outside of a `use` is a variable or a field, not a crate.
    let names_crate = path.segments.len() > 1 || path.import.is_some();
    let begins = |forbidden: &&str| {
        let mut segments = path.segments.iter();
        forbidden.split("::").all(|part| segments.next().is_some_and(|segment| segment == part))
    };
    names_crate && FORBIDDEN.iter().any(begins)
}

/// Where `unsafe` stands outside of the files that may hold it; test code counts, too.
fn stray_unsafe(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| !UNSAFE_FILES.contains(&source.path.as_str()));
    let words = others.flat_map(|source| {
        let tokens = tokenize(&source.text).into_iter().filter(|token| token.is("unsafe"));
        tokens.map(|token| format!("{}:{}: holds `unsafe`", source.path, token.line))
    });
    words.collect()
}

#[test]
fn engine_and_graph_are_pure() {
    let (files, violations) = impurities(&rust_sources("src"));
    assert!(files >= 8, "only {files} files of the pure floors were read");
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn unsafe_code_stays_in_its_files() {
    let sources = rust_sources("src");
    assert!(sources.len() >= 15, "only {} files of src/ were read", sources.len());
    let violations = stray_unsafe(&sources);
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::{impurities, stray_unsafe};
    use crate::source::tests::sources;

    fn impure(text: &str) -> usize {
        let (files, violations) = impurities(&sources(&[("src/engine/ready.rs", text)]));
        assert_eq!(files, 1);
        violations.len()
    }

    #[test]
    fn impure_names_are_caught() {
        for text in [
            "use actix::prelude::*;",
            "use std::{collections::BTreeMap, thread};",
            "use std::time::{Duration, Instant};",
            "fn f(now: Instant) {}",
            "std::time::SystemTime::now()",
            "fn f() { std::fs::read(path); }",
            "log::info!(\"\")",
            "use log;",
            "use rand::Rng as _;",
            "::tokio::spawn(x)",
        ] {
            assert_eq!(impure(text), 1, "{text}");
        }
    }

    #[test]
    fn pure_names_are_allowed() {
        for text in [
            "use std::time::Duration;",
            "use std::sync::atomic::AtomicU32;",
            "self.log.push(entry); rand(1)",
            "// std::thread\n/// [`Instant`]\n",
            "#[cfg(test)] mod tests { use rand::Rng; }",
        ] {
            assert_eq!(impure(text), 0, "{text}");
        }
    }

    #[test]
    fn other_floors_may_name_them() {
        let (files, violations) =
            impurities(&sources(&[("src/actors/worker.rs", "use actix::A;")]));
        assert_eq!((files, violations.len()), (0, 0));
    }

    #[test]
    fn stray_unsafe_is_caught() {
        let text = "#![expect(unsafe_code)]\n// unsafe\nunsafe { x }";
        let found =
            stray_unsafe(&sources(&[("src/value.rs", text), ("src/engine/slots.rs", text)]));
        assert_eq!(found, ["src/value.rs:3: holds `unsafe`"]);
    }
}
