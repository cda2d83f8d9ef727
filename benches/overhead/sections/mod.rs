//! The sections of the report, and what each of them is about.
//!
//! | file | what it measures |
//! |---|---|
//! | `races` | Mobula beside its peers: trivial tasks, small graphs, busy tasks |
//! | `frontend` | building and planning a graph |
//! | `million` | a million tasks: time and bytes of everything |
//! | `hooks` | what callbacks add to a task |
//! | `watching` | what looking at a cluster costs its tasks |
//! | `startup` | from nothing to the first result, and the round trip of small graphs |
//! | `store` | data larger than memory, and what keeping account of it costs |
//! | `engine` | the engine alone: events and decisions a second |

mod engine;
mod frontend;
mod hooks;
mod million;
mod races;
mod startup;
mod store;
mod watching;

use crate::arguments::Arguments;
use crate::peers::{CRATES, ENGINES};
use crate::report::Section;
use races::Race;

pub(crate) use startup::{FLAG as STARTUP_FLAG, serve as serve_startup};
pub(crate) use store::{FLAG as STORE_FLAG, serve as serve_store};

/// What a section is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Graphs run by Mobula and its peers.
    Race(Race),
    /// Building and planning a graph.
    Frontend,
    /// A million tasks.
    Million,
    /// What callbacks cost.
    Hooks,
    /// What looking costs.
    Watching,
    /// The first result, and small graphs.
    Startup,
    /// Data larger than memory.
    Store,
    /// The engine alone.
    Engine,
}

impl Topic {
    /// All sections, in the order of the report.
    pub(crate) const ALL: [Self; 11] = [
        Self::Race(Race::Overhead),
        Self::Race(Race::Crates),
        Self::Race(Race::LargerCrates),
        Self::Race(Race::Efficiency),
        Self::Frontend,
        Self::Million,
        Self::Hooks,
        Self::Watching,
        Self::Startup,
        Self::Store,
        Self::Engine,
    ];

    /// The name that stands in the rows and is given on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Race(race) => race.name(),
            Self::Frontend => frontend::NAME,
            Self::Million => million::NAME,
            Self::Hooks => hooks::NAME,
            Self::Watching => watching::NAME,
            Self::Startup => startup::NAME,
            Self::Store => store::NAME,
            Self::Engine => engine::NAME,
        }
    }

    /// The names of the subjects that can be selected on the command line.
    pub(crate) fn subjects(self) -> Vec<&'static str> {
        match self {
            Self::Race(_) => ENGINES.iter().chain(CRATES).map(|entry| entry.name).collect(),
            Self::Frontend | Self::Million => frontend::subjects(),
            Self::Hooks => hooks::SUBJECTS.to_vec(),
            Self::Watching => watching::SUBJECTS.to_vec(),
            Self::Startup => startup::SUBJECTS.to_vec(),
            Self::Store => store::SUBJECTS.to_vec(),
            Self::Engine => engine::SUBJECTS.to_vec(),
        }
    }

    /// Measures everything of this section that is wanted.
    pub(crate) fn run(self, arguments: &Arguments, workers: usize) -> Section {
        match self {
            Self::Race(race) => race.run(arguments, workers),
            Self::Frontend => frontend::run(arguments),
            Self::Million => million::run(arguments, workers),
            Self::Hooks => hooks::run(arguments, workers),
            Self::Watching => watching::run(arguments, workers),
            Self::Startup => startup::run(arguments, workers),
            Self::Store => store::run(arguments, workers),
            Self::Engine => engine::run(arguments),
        }
    }
}
