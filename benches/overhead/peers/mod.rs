//! The subjects that Mobula is measured beside, one a file, and the table of all subjects.

use crate::subject::Entry;

mod countdown;
mod dag_exec;
mod dagrs;
mod dagx;
pub(crate) mod mobula;
mod plain;
mod rayon;
mod taskflowrs;
mod tokio;

/// The reference of `ratio_to_rayon`.
pub(crate) const RAYON: &str = "rayon";

/// The reference of the efficiency.
pub(crate) const PLAIN: &str = "plain";

/// Subjects that run graphs of any size.
pub(crate) const ENGINES: &[Entry] = &[
    Entry::here(PLAIN, plain::start),
    Entry::here(RAYON, rayon::start),
    Entry::variant("rayon_spawn", rayon::start_spawning),
    Entry::variant("rayon_split", rayon::start_splitting),
    Entry::here("mobula", mobula::start),
    Entry::variant("mobula+hooks", mobula::start_with_hooks),
    Entry::here("tokio", tokio::start),
    Entry::variant("tokio_spawn", tokio::start_spawning),
];

/// The crates for task graphs, which are measured at a size that all of them finish.
pub(crate) const CRATES: &[Entry] = &[
    Entry::child("dag_exec", dag_exec::start),
    Entry::child("taskflowrs", taskflowrs::start),
    Entry::child("dagx", dagx::start),
    Entry::child("dagrs", dagrs::start),
];

/// The subject of that name.
pub(crate) fn named(name: &str) -> Option<&'static Entry> {
    ENGINES.iter().chain(CRATES).find(|entry| entry.name == name)
}
