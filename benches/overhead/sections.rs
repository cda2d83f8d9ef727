//! The sections of the report: which subjects run which graphs, and how their figures are laid out.

use std::time::Duration;

use crate::arguments::{Arguments, Extent};
use crate::figures::{efficiency, heap, row};
use crate::measure::{Match, Measured, Outcome};
use crate::peers::{CRATES, ENGINES};
use crate::report::{Row, Section};
use crate::shapes::{Kind, Scale};
use crate::subject::Entry;
use crate::table::pivot;
use crate::work::Work;

/// How long a busy task lasts.
const BUSY: Duration = Duration::from_micros(20);

/// What a section is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Trivial tasks in large graphs.
    Overhead,
    /// Trivial tasks in graphs that every crate for task graphs can finish.
    Crates,
    /// Tasks that keep a core busy.
    Efficiency,
}

impl Topic {
    /// All sections, in the order of the report.
    pub(crate) const ALL: [Self; 3] = [Self::Overhead, Self::Crates, Self::Efficiency];

    /// The name that stands in the rows and is given on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overhead => "overhead",
            Self::Crates => "crates",
            Self::Efficiency => "efficiency",
        }
    }

    /// Measures everything of this section that is wanted.
    pub(crate) fn run(self, arguments: &Arguments, workers: usize) -> Section {
        let entries: Vec<Entry> = self
            .entries()
            .into_iter()
            .filter(|entry| arguments.wants_subject(entry.name))
            .collect();
        let (mut rows, mut notes) = (Vec::new(), Vec::new());
        let work = self.work();
        for &kind in self.kinds().iter().filter(|&&kind| arguments.wants_kind(kind)) {
            println!("{}: {}", self.name(), kind.name());
            let scale = self.scale(arguments.extent);
            let rounds = arguments.rounds;
            let outcome = Match { kind, scale, work, entries: &entries, rounds, workers }.run();
            rows.extend(outcome.measured.iter().map(|one| self.row(one, &outcome, workers)));
            notes.extend(outcome.notes);
        }
        Section { text: self.text(&rows), rows, notes }
    }

    /// The subjects.
    fn entries(self) -> Vec<Entry> {
        let without_variants = ENGINES.iter().filter(|entry| !entry.variant).copied();
        match self {
            Self::Overhead => ENGINES.to_vec(),
            Self::Crates => without_variants.chain(CRATES.iter().copied()).collect(),
            Self::Efficiency => without_variants.collect(),
        }
    }

    /// The shapes.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Overhead | Self::Crates => &Kind::ALL,
            Self::Efficiency => &[Kind::Independent, Kind::Chain, Kind::Tree, Kind::Layers],
        }
    }

    /// The size of the graphs.
    fn scale(self, extent: Extent) -> Scale {
        match (self, extent) {
            (Self::Crates, _) | (_, Extent::Smoke) | (Self::Efficiency, Extent::Quick) => {
                Scale::Small
            }
            (Self::Overhead, Extent::Quick) | (Self::Efficiency, Extent::Whole) => Scale::Tenth,
            (Self::Overhead, Extent::Whole) => Scale::Full,
        }
    }

    /// What the tasks do.
    fn work(self) -> Work {
        match self {
            Self::Overhead | Self::Crates => Work::Trivial,
            Self::Efficiency => Work::lasting(BUSY),
        }
    }

    /// The row of one subject on one shape.
    fn row(self, measured: &Measured, outcome: &Outcome, workers: usize) -> Row {
        let name = measured.entry.name;
        let is_engine = ENGINES.iter().any(|entry| entry.name == name);
        let mut row = row(measured, outcome);
        row.bench = self.name();
        match self {
            Self::Overhead => row.figures.extend(heap(measured, outcome)),
            // The engines' figures at the crates' size must not pass for those of large graphs.
            Self::Crates if is_engine => row.subject += "@2000",
            Self::Crates => {}
            Self::Efficiency => {
                row.shape += "_20us";
                row.figures.extend(efficiency(measured, outcome, workers));
            }
        }
        row
    }

    /// The section as it stands in the report.
    fn text(self, rows: &[Row]) -> String {
        match self {
            Self::Overhead => format!(
                "### Trivial tasks: µs a task (ratio to rayon)\n\n{}\n\
                 ### The same until the result is there, before the run's memory is freed\n\n{}\n\
                 ### Heap bytes a task: the prepared graph (the peak of a run)\n\n{}",
                pivot(rows, |row| Some(time_and_ratio(row))),
                pivot(rows, |row| pair(row, ("us_until_result", 3), ("until_result_to_rayon", 2))),
                pivot(rows, |row| pair(
                    row,
                    ("graph_bytes_per_task", 0),
                    ("run_bytes_per_task", 0)
                )),
            ),
            Self::Crates => format!(
                "### Crates for task graphs, at 2,000 tasks: µs a task (ratio to rayon there)\n\n{}",
                pivot(rows, |row| Some(time_and_ratio(row))),
            ),
            Self::Efficiency => format!(
                "### Tasks of 20 µs: parallel efficiency (time in plain loops)\n\n{}",
                pivot(rows, |row| pair(row, ("efficiency", 3), ("ratio_to_plain", 3))),
            ),
        }
    }
}

/// A cell with the time and, if known, its ratio to rayon's.
fn time_and_ratio(row: &Row) -> String {
    match row.ratio_to_rayon {
        Some(ratio) => format!("{:.3} ({ratio:.2})", row.us_per_task),
        None => format!("{:.3}", row.us_per_task),
    }
}

/// A cell with two figures, each given by its name and its number of decimals.
fn pair(row: &Row, first: (&str, usize), second: (&str, usize)) -> Option<String> {
    let figure = |(name, decimals): (&str, usize)| {
        row.figures.get(name).map(|figure| format!("{figure:.decimals$}"))
    };
    let first = figure(first)?;
    Some(figure(second).map_or(first.clone(), |second| format!("{first} ({second})")))
}
