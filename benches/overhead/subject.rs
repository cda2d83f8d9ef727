//! The seam between the harness and whatever runs graphs: a trait of five steps, two of them timed.
//!
//! The harness knows nothing of pools, runtimes or keys; a subject knows nothing of rounds, clocks
//! or tables.

use std::sync::Arc;

use crate::shapes::Shape;
use crate::work::Work;

/// Why a subject could not do its part; ends up as a note under the table.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Something that runs task graphs.
pub(crate) trait Subject {
    /// Takes a shape on: builds the graph and whatever else outlives a run. Once a shape, not timed.
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure>;

    /// Replaces what the last run used up; for libraries whose graphs run once. Not timed.
    fn before_run(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Runs the prepared graph once and answers the value of its output. Timed.
    fn run(&mut self) -> Result<u64, Failure>;

    /// Gives back what belonged to that run only, and returns when nothing of it goes on in the
    /// background, where it would slow the next subject down. Timed by itself.
    fn release(&mut self);

    /// Forgets the prepared graph. Once a shape, not timed.
    fn clear(&mut self);
}

/// Where a subject runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this process.
    Here,
    /// In a process of its own that is ended when it takes too long.
    Child,
}

/// A subject by name, not yet started.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The name that stands in the tables and is given on the command line.
    pub(crate) name: &'static str,
    /// Where to run it.
    pub(crate) place: Place,
    /// Whether it only varies another subject; variants are left out of the later sections.
    pub(crate) variant: bool,
    /// Starts it with that many workers.
    pub(crate) start: Start,
}

/// Starts a subject with that many workers.
type Start = fn(workers: usize) -> Result<Box<dyn Subject>, Failure>;

impl Entry {
    /// A subject that runs in this process.
    pub(crate) const fn here(name: &'static str, start: Start) -> Self {
        Self { name, place: Place::Here, variant: false, start }
    }

    /// A variant of a subject, in this process.
    pub(crate) const fn variant(name: &'static str, start: Start) -> Self {
        Self { name, place: Place::Here, variant: true, start }
    }

    /// A subject that might hang or die.
    pub(crate) const fn child(name: &'static str, start: Start) -> Self {
        Self { name, place: Place::Child, variant: false, start }
    }
}
