//! [`Source`]: what a plan and a recorded run tell of their tasks, in one form.

use std::collections::BTreeMap;

use crate::graph::{Plan, TaskId};
use crate::monitor::{RecordedRun, Span};

/// Where tasks come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Plan(&'a Plan),
    /// A run, if there is one, with what workers did in all runs and the place of this one among them.
    Run(Option<&'a RecordedRun>, &'a [Span], usize),
}

/// What is known of a task after a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    pub(super) seconds: Option<f64>,
    pub(super) bytes: Option<u64>,
    pub(super) has_failed: bool,
    pub(super) is_cached: bool,
}

/// Key prefixes: their names, and by task the place of its prefix among them.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    pub(super) names: Vec<String>,
    pub(super) of: Vec<u32>,
}

impl<'a> Source<'a> {
    fn run(&self) -> Option<&'a RecordedRun> {
        match self {
            Source::Plan(_) => None,
            Source::Run(run, ..) => *run,
        }
    }

    /// How many tasks there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Source::Plan(plan) => plan.len(),
            Source::Run(..) => self.run().map_or(0, |run| run.graph.keys.len()),
        }
    }

    pub(super) fn key(&self, task: u32) -> String {
        match self {
            Source::Plan(plan) => plan.key(TaskId(task)).to_string(),
            Source::Run(..) => {
                self.run().map_or_else(String::new, |run| run.graph.keys[task as usize].clone())
            }
        }
    }

    pub(super) fn function(&self, task: u32) -> Option<String> {
        match self {
            Source::Plan(plan) => Some(plan.func(TaskId(task)).name().to_owned()),
            Source::Run(..) => None,
        }
    }

    pub(super) fn is_wanted(&self, task: u32) -> bool {
        match self {
            Source::Plan(plan) => plan.is_wanted(TaskId(task)),
            Source::Run(..) => false,
        }
    }

    /// The tasks that a task needs, ascending, each once.
    pub(super) fn find_needs(&self, task: u32, needs: &mut Vec<u32>) {
        needs.clear();
        match self {
            Source::Plan(plan) => {
                needs.extend(plan.dependencies(TaskId(task)).iter().map(|needed| needed.0));
            }
            Source::Run(..) => {
                // A recording may come from a file: what it says of tasks that are not there is left out.
                let known = |needed: &&u32| (**needed as usize) < self.len();
                let needed = self.run().map_or(&[][..], |run| run.needs_of(task));
                needs.extend(needed.iter().filter(known));
            }
        }
        needs.sort_unstable();
        needs.dedup();
    }

    pub(super) fn prefixes(&self) -> Prefixes {
        match self {
            Source::Plan(plan) => {
                let mut prefixes = Prefixes::default();
                let mut known = BTreeMap::new();
                for task in plan.tasks() {
                    let name = plan.key(task).prefix();
                    let number = prefixes.number(&mut known, &name);
                    prefixes.of.push(number);
                }
                prefixes
            }
            Source::Run(..) => {
                let Some(run) = self.run() else { return Prefixes::default() };
                let mut names = run.graph.prefix_names.clone();
                let last = run.graph.prefixes.iter().max().map_or(0, |last| *last as usize + 1);
                names.resize(names.len().max(last.max(1)), String::new());
                let mut of = run.graph.prefixes.clone();
                of.resize(run.graph.keys.len(), 0);
                Prefixes { names, of }
            }
        }
    }

    /// By task: what was measured. Empty if nothing was.
    pub(super) fn measured(&self) -> Vec<Measured> {
        let Source::Run(Some(run), spans, place) = self else { return Vec::new() };
        let mut all = vec![Measured::default(); run.graph.keys.len()];
        let own = spans.iter().filter(|span| span.run as usize == *place);
        for span in own {
            let Some(task) = all.get_mut(span.task as usize) else { continue };
            task.seconds =
                Some(task.seconds.unwrap_or(0.0) + seconds(span.to.saturating_sub(span.from)));
            // The last attempt says how it ended.
            task.has_failed = span.failed;
            task.bytes = if span.failed { None } else { Some(span.bytes) };
        }
        for task in &run.cached {
            if let Some(task) = all.get_mut(*task as usize) {
                task.is_cached = true;
            }
        }
        all
    }
}

impl Prefixes {
    /// The place of a prefix; one that is new is added.
    fn number(&mut self, known: &mut BTreeMap<String, u32>, name: &str) -> u32 {
        if let Some(number) = known.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("a plan has at most 2^32 tasks");
        known.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    /// The place of a prefix that a datum of the graph has.
    pub(super) fn find_or_add(&mut self, name: &str) -> u32 {
        let found = self.names.iter().position(|other| other == name);
        let place = found.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        u32::try_from(place).expect("a graph has at most 2^32 keys")
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a run takes less than 2^53 nanoseconds, a hundred days"
)]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
