//! Arrows point down only: which module of `src/` may name which.
//!
//! `src/lib.rs` is exempt: it declares the modules and re-exports their names.

use crate::paths::{Modules, NamedPath, named_paths};
use crate::source::{Code, Source, rust_sources, shipped};

/// The floor of each module of the crate's root.
const FLOORS: [(&str, usize); 20] = [
    ("value", 0),
    ("graph", 1),
    ("engine", 2),
    ("process", 2),
    ("spill", 2),
    ("actors", 3),
    ("client", FACADE),
    ("cluster", FACADE),
    ("config", FACADE),
    ("delayed", FACADE),
    ("drawing", FACADE),
    ("diagnostics", FACADE),
    ("error", FACADE),
    ("host", FACADE),
    ("markup", FACADE),
    ("monitor", FACADE),
    ("report", FACADE),
    ("command", 5),
    ("dashboard", 5),
    ("bin", 6),
];

/// On this floor modules may name each other; on the others a neighbour is not below.
const FACADE: usize = 4;

/// Modules of the façade that stand alone: everybody there may name them, they name nobody there.
const ALONE: [&str; 3] = ["config", "error", "markup"];

/// The modules of `actors`, from the lowest; one never names a later one. `actors/mod.rs` is their
/// table of contents and names them all.
///
/// `blocking` is what all of them wait with.
const ACTORS: [&str; 7] =
    ["blocking", "events", "state", "store", "callbacks", "worker", "scheduler"];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|&(_, floor)| floor)
}

fn actor_rank(module: &[String]) -> Option<usize> {
    let [_, actor, ..] = module else { return None };
    ACTORS.iter().position(|name| name == actor)
}

/// What the guard read, so that it can tell when that was too little.
#[derive(Debug, Default)]
struct Findings {
    files: usize,
    /// Paths that lead into the crate.
    paths: usize,
    violations: Vec<String>,
}

fn inspect(sources: &[Source]) -> Findings {
    let codes = shipped(sources);
    let modules = Modules::of(&codes);
    let mut findings = Findings::default();
    for code in codes.iter().filter(|code| !code.module.is_empty()) {
        findings.files += 1;
        findings.violations.extend(place(code));
        for path in named_paths(code) {
            let leads = modules.lead(&path);
            findings.paths += usize::from(!leads.is_empty());
            if let Some(reason) = objection(&path, &leads) {
                findings.violations.push(format!("{}:{}: {reason}", code.path, path.line));
            }
        }
    }
    findings
}

/// Every file has a place: its module a floor, and in `actors` a rank.
fn place(code: &Code) -> Option<String> {
    let top = &code.module[0];
    if floor(top).is_none() {
        return Some(format!("{}: `{top}` has no floor; give it one here", code.path));
    }
    if top == "actors" && code.module.len() > 1 && actor_rank(&code.module).is_none() {
        return Some(format!("{}: has no rank among the actors; give it one here", code.path));
    }
    None
}

/// Why a path must not stand where it stands.
fn objection(path: &NamedPath, leads: &[Vec<String>]) -> Option<String> {
    let last = leads.last()?;
    let shown = path.segments.join("::");
    if path.is_glob() && leads[0].len() == 1 {
        return Some(format!("`{shown}` takes all names of the crate's root; name what is used"));
    }
    if path.is_glob() && path.module == ["actors"] {
        return Some(format!("`{shown}` hides what it names; re-export by name"));
    }
    if floor(&last[0]).is_none() {
        return Some(format!("`{shown}` leads to `{}`, which has no floor", last[0]));
    }
    let reason = leads.iter().find_map(|lead| upward(&path.module, lead))?;
    Some(format!("`{shown}`: {reason}"))
}

fn upward(from: &[String], to: &[String]) -> Option<String> {
    let (from_top, to_top) = (&from[0], &to[0]);
    if from_top == to_top {
        let (low, high) = (actor_rank(from)?, actor_rank(to)?);
        let actors = from_top == "actors" && low < high;
        return actors.then(|| format!("{} stands below {}", ACTORS[low], ACTORS[high]));
    }
    let (low, high) = (floor(from_top)?, floor(to_top)?);
    let neighbours = low == FACADE && !ALONE.contains(&from_top.as_str());
    let allowed = high < low || (high == low && neighbours);
    (!allowed).then(|| format!("{from_top} (floor {low}) may not name {to_top} (floor {high})"))
}

#[test]
fn arrows_point_down_only() {
    let findings = inspect(&rust_sources("src"));
    assert!(findings.files >= 15, "only {} files of src/ were read", findings.files);
    assert!(findings.paths >= 50, "only {} paths into the crate were found", findings.paths);
    assert!(findings.violations.is_empty(), "\n{}", findings.violations.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::{Findings, inspect};
    use crate::source::tests::sources;

    const ROOT: (&str, &str) = (
        "src/lib.rs",
        "pub mod actors; pub mod client; pub mod error; pub mod graph; pub use error::Error;",
    );
    const ERROR: (&str, &str) = ("src/error.rs", "pub struct Error;");

    fn with(path: &str, text: &str) -> Findings {
        let scheduler = "pub use scheduler::SchedulerActor;";
        let actors = [("src/actors/mod.rs", scheduler), ("src/actors/scheduler.rs", "")];
        inspect(&sources(&[ROOT, ERROR, actors[0], actors[1], (path, text)]))
    }

    #[track_caller]
    fn caught(path: &str, text: &str, reason: &str) {
        let violations = with(path, text).violations;
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].starts_with(path), "{violations:?}");
        assert!(violations[0].contains(reason), "{violations:?}");
    }

    #[track_caller]
    fn allowed(path: &str, text: &str) {
        let violations = with(path, text).violations;
        assert!(violations.is_empty(), "{violations:?}");
    }

    #[test]
    fn a_higher_floor_is_caught() {
        let reason = "graph (floor 1) may not name engine (floor 2)";
        caught("src/graph/key.rs", "use crate::engine::TaskId;", reason);
        caught("src/graph/key.rs", "use crate::{value::Value,\n engine::{\nTaskId}};", reason);
        caught("src/graph/key.rs", "fn f() -> super::super::engine::TaskId {}", reason);
        caught("src/graph/mod.rs", "pub use super::engine::TaskId;", reason);
        caught("src/graph/mod.rs", "macro_rules! g { () => { $crate::engine::X } }", reason);
        caught("src/value.rs", "mod inner { use crate::graph::Key; }", "may not name graph");
        caught("src/client.rs", "use crate::dashboard::Page;", "may not name dashboard");
    }

    #[test]
    fn the_line_is_told() {
        let violations = with("src/value.rs", "//! Doc.\n\nuse crate::graph::Key;").violations;
        assert!(violations[0].starts_with("src/value.rs:3: `crate::graph::Key`"), "{violations:?}");
    }

    #[test]
    fn a_lower_floor_is_allowed() {
        allowed("src/graph/key.rs", "use crate::value::Value; use super::task; use std::fs;");
        allowed("src/engine/mod.rs", "use crate::graph::Key; use crate::value::Value;");
        allowed("src/dashboard/mod.rs", "use crate::client::Client; use crate::Error;");
        allowed(
            "src/graph/key.rs",
            "// crate::engine\n/// [`crate::engine`]\nconst X: &str = \"\";",
        );
    }

    #[test]
    fn test_code_may_name_any_floor() {
        allowed("src/graph/key.rs", "#[cfg(test)] mod tests { use crate::engine::TaskId; }");
        caught("src/graph/key.rs", "mod tests { use crate::engine::X; }", "may not name engine");
    }

    #[test]
    fn a_detour_over_the_root_is_caught() {
        caught("src/graph/key.rs", "use crate::Error;", "may not name error");
        caught("src/graph/key.rs", "use crate::*;", "all names of the crate's root");
        caught("src/graph/mod.rs", "use super::*;", "all names of the crate's root");
        caught("src/graph/key.rs", "use crate::Unheard;", "`Unheard`, which has no floor");
    }

    #[test]
    fn neighbours_below_the_facade_are_caught() {
        caught("src/engine/mod.rs", "use crate::spill::Lru;", "may not name spill");
        caught("src/spill/mod.rs", "use crate::engine::TaskId;", "may not name engine");
    }

    #[test]
    fn the_facade_stands_on_config_and_error() {
        allowed("src/client.rs", "use crate::cluster::Cluster; use crate::error::Error;");
        allowed("src/cluster.rs", "use crate::client::Client; use crate::config::Config;");
        caught("src/config.rs", "use crate::error::Error;", "config (floor 4) may not name error");
        caught("src/error.rs", "use crate::client::Client;", "may not name client");
    }

    #[test]
    fn a_higher_actor_is_caught() {
        let reason = "store stands below scheduler";
        caught("src/actors/store.rs", "use super::scheduler::SchedulerActor;", reason);
        caught("src/actors/store.rs", "use crate::actors::SchedulerActor;", reason);
        caught("src/actors/store.rs", "use super::*;", reason);
        caught("src/actors/store/shelf.rs", "use super::super::scheduler::X;", reason);
        caught("src/actors/state.rs", "use crate::actors::store::X;", "state stands below store");
        allowed("src/actors/worker.rs", "use super::{callbacks::X, state::X, store::X};");
        allowed("src/actors/mod.rs", "mod scheduler; pub use scheduler::SchedulerActor;");
        caught("src/actors/mod.rs", "pub use scheduler::*;", "re-export by name");
    }

    #[test]
    fn a_file_without_a_place_is_caught() {
        caught("src/helpers.rs", "", "`helpers` has no floor");
        caught("src/actors/helpers.rs", "", "no rank among the actors");
    }

    #[test]
    fn what_was_read_is_counted() {
        let findings = with("src/client.rs", "use crate::{Error, graph::Key}; use std::fmt;");
        assert_eq!((findings.files, findings.paths), (4, 3));
        assert_eq!(inspect(&[]).files, 0);
    }
}
