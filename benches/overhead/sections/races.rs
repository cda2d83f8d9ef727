//! The sections in which whole graphs are run by Mobula and its peers: the cost of trivial tasks in
//! large graphs and in small ones, and the efficiency with busy tasks.

use std::time::Duration;

use crate::arguments::{Arguments, Extent};
use crate::figures::{efficiency, heap, row};
use crate::measure::{Match, Measured, Outcome};
use crate::peers::{CRATES, ENGINES};
use crate::report::{Row, Section};
use crate::shapes::{Kind, Scale};
use crate::subject::Entry;
use crate::table::pivot;
use crate::target::Target;
use crate::work::Work;

/// How long a busy task lasts.
const BUSY: Duration = Duration::from_micros(20);

/// What the subjects race over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Race {
    /// Trivial tasks in large graphs.
    Overhead,
    /// Trivial tasks in small graphs, with the crates for task graphs.
    Crates,
    /// The same in graphs of the largest size that all of these crates finish within seconds.
    LargerCrates,
    /// Tasks that keep a core busy.
    Efficiency,
}

impl Race {
    /// The name that stands in the rows and is given on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overhead => "overhead",
            Self::Crates => "crates",
            Self::LargerCrates => "crates_10k",
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
            let rounds = self.rounds(arguments);
            let outcome = Match { kind, scale, work, entries: &entries, rounds, workers }.run();
            rows.extend(outcome.measured.iter().map(|one| self.row(one, &outcome, workers)));
            notes.extend(outcome.notes);
        }
        self.judge(&mut rows);
        Section { text: self.text(&rows), rows, notes }
    }

    /// The subjects.
    fn entries(self) -> Vec<Entry> {
        let without_variants = ENGINES.iter().filter(|entry| !entry.variant).copied();
        match self {
            Self::Overhead => ENGINES.to_vec(),
            Self::Crates | Self::LargerCrates => {
                without_variants.chain(CRATES.iter().copied()).collect()
            }
            Self::Efficiency => without_variants.collect(),
        }
    }

    /// The shapes.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Overhead | Self::Crates | Self::LargerCrates => &Kind::ALL,
            Self::Efficiency => &[Kind::Independent, Kind::Chain, Kind::Tree, Kind::Layers],
        }
    }

    /// The size of the graphs.
    fn scale(self, extent: Extent) -> Scale {
        match (self, extent) {
            (Self::Crates, _) | (_, Extent::Smoke) | (Self::Efficiency, Extent::Quick) => {
                Scale::Small
            }
            (Self::LargerCrates, _)
            | (Self::Overhead, Extent::Quick)
            | (Self::Efficiency, Extent::Whole) => Scale::Tenth,
            (Self::Overhead, Extent::Whole) => Scale::Full,
        }
    }

    /// The number of timed rounds; some crates take a third of a second for one of the larger graphs.
    fn rounds(self, arguments: &Arguments) -> usize {
        match self {
            Self::Overhead | Self::Crates | Self::Efficiency => arguments.rounds,
            Self::LargerCrates => arguments.rounds.min(5),
        }
    }

    /// What the tasks do.
    fn work(self) -> Work {
        match self {
            Self::Overhead | Self::Crates | Self::LargerCrates => Work::Trivial,
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
            Self::LargerCrates => row.subject += "@10000",
            Self::Efficiency => {
                row.shape += "_20us";
                row.figures.extend(efficiency(measured, outcome, workers));
            }
        }
        row
    }

    /// Adds to Mobula's rows what was promised for them.
    fn judge(self, rows: &mut [Row]) {
        let cost = |rows: &[Row], shape: &str, subject: &str| {
            let row = rows.iter().find(|row| row.shape == shape && row.subject == subject);
            row.and_then(Row::us_per_task)
        };
        for at in 0..rows.len() {
            let (row, shape) = (&rows[at], rows[at].shape.clone());
            let promised = |what: String| format!("{}: {shape}, {what}", self.name());
            let mut targets = Vec::new();
            match (self, row.subject.as_str(), row.us_per_task()) {
                (Self::Overhead, "mobula", Some(own)) => {
                    if let Some(ratio) = row.ratio_to_rayon() {
                        let promise = promised("times rayon".to_owned());
                        targets.push(Target::at_most(promise, ratio, 1.5, ""));
                    }
                    if let Some(tokio) = cost(rows, &shape, "tokio") {
                        let promise = promised("times tokio".to_owned());
                        targets.push(Target::at_most(promise, own / tokio, 1.0, ""));
                    }
                }
                (Self::Crates, "mobula@2000", Some(own))
                | (Self::LargerCrates, "mobula@10000", Some(own)) => {
                    let size = if self == Self::Crates { "" } else { "@10000" };
                    for peer in ["dag_exec", "taskflowrs", "dagrs"] {
                        if let Some(its) = cost(rows, &shape, &format!("{peer}{size}")) {
                            let promise = promised(format!("times faster than {peer}"));
                            targets.push(Target::at_least(promise, its / own, 5.0, ""));
                        }
                    }
                }
                (Self::Efficiency, "mobula", Some(_)) if row.figures.contains_key("efficiency") => {
                    let efficiency = |bound| {
                        let promise = promised("parallel efficiency".to_owned());
                        Target::at_least(promise, row.figure("efficiency"), bound, "")
                    };
                    targets.push(match shape.as_str() {
                        "chain_20us" => {
                            let promise = promised("times the plain loop".to_owned());
                            Target::at_most(promise, row.figure("ratio_to_plain"), 1.03, "")
                        }
                        "layers_20us" => efficiency(0.8),
                        _ => efficiency(0.9),
                    });
                }
                _ => {}
            }
            rows[at].targets = targets;
        }
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
            Self::LargerCrates => format!(
                "### The same at 10,000 tasks\n\n{}",
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
    let cost = row.us_per_task().unwrap_or(f64::NAN);
    match row.ratio_to_rayon() {
        Some(ratio) => format!("{cost:.3} ({ratio:.2})"),
        None => format!("{cost:.3}"),
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
