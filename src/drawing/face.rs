//! [`Drawing`]: what is drawn, and how.

use super::color::Color;
use super::diagram::Diagram;
use super::groups::grouped;
use super::single::single;
use super::source::Source;
use crate::graph::Plan;
use crate::monitor::{RecordedRun, Recording};

/// Above so many tasks a picture shows groups.
const GROUPED_ABOVE: usize = 2000;

/// A picture of a graph, to be drawn.
///
/// A graph of more than 2,000 tasks is drawn by key prefix: one node for all tasks with one prefix, with their
/// number.
///
/// # Examples
///
/// ```
/// use mobula::drawing::{Color, Drawing};
/// use mobula::{Plan, graph};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
///
/// let plan = Plan::new(graph! { ("inc", 0) => (inc, 1), ("inc", 1) => (inc, ("inc", 0)) }, ("inc", 1))?;
/// let svg = Drawing::of_plan(&plan).to_svg();
/// assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
/// let by_prefix = Drawing::of_plan(&plan).colored(Color::Prefix).grouped_above(1).to_svg();
/// assert!(by_prefix.contains("2 tasks in one group"));
/// # Ok::<(), mobula::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it draws nothing before `to_svg`"]
pub struct Drawing<'a> {
    source: Source<'a>,
    color: Color,
    grouped_above: usize,
}

impl<'a> Drawing<'a> {
    /// A picture of what will be run: the tasks, and the data of the graph that they take, coloured by the
    /// static order.
    pub fn of_plan(plan: &'a Plan) -> Self {
        Self::new(Source::Plan(plan), Color::Order)
    }

    /// A picture of what was run: the tasks of the run at a place in [`Recording::runs`], coloured by the time
    /// that they took. It is empty if there is no such run.
    pub fn of_run(recording: &'a Recording, run: usize) -> Self {
        Self::new(Source::Run(recording.runs.get(run), &recording.spans, run), Color::Time)
    }

    /// A picture of the tasks of a run of which it is not known what they took, such as one that still goes on;
    /// coloured by the static order.
    pub fn of_tasks(run: &'a RecordedRun) -> Self {
        Self::new(Source::Run(Some(run), &[], 0), Color::Order)
    }

    fn new(source: Source<'a>, color: Color) -> Self {
        Self { source, color, grouped_above: GROUPED_ABOVE }
    }

    /// Says what the colours mean. Nodes of which that is not known have none; a plan has no times.
    pub fn colored(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// Says from how many tasks on groups are drawn. More groups than that are not drawn either: the smallest
    /// ones become one.
    pub fn grouped_above(self, tasks: usize) -> Self {
        Self { grouped_above: tasks, ..self }
    }

    /// What there is to draw, for those who draw it themselves.
    pub fn diagram(&self) -> Diagram {
        if self.source.len() > self.grouped_above {
            grouped(&self.source, self.grouped_above)
        } else {
            single(&self.source)
        }
    }

    /// The picture as one SVG element: it needs nothing else, shows keys, times and sizes when the pointer rests
    /// on a node, and follows the reader's choice of light or dark. The same graph gives the same bytes.
    pub fn to_svg(&self) -> String {
        self.diagram().to_svg(self.color)
    }
}
