//! [`Diagram`]: nodes and edges to be drawn, whatever they come from. Plain data, which goes as JSON to pages.

use serde::{Deserialize, Serialize};

use super::color::Color;
use super::layout::Layout;
use super::svg;

/// Nodes and edges to be drawn.
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
/// let plan = Plan::new(graph! { "x" => 1, "y" => (inc, "x"), "z" => (inc, "y") }, "z")?;
/// let diagram = Drawing::of_plan(&plan).diagram();
/// assert_eq!(diagram.nodes.len(), 3); // two tasks and the datum "x"
/// assert_eq!(diagram.edges.len(), 2);
/// assert_eq!(diagram.layout(Color::Order).nodes.len(), 3);
/// # Ok::<(), mobula::GraphError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Diagram {
    /// What is drawn as a box.
    pub nodes: Vec<DiagramNode>,
    /// What is drawn as an arrow.
    pub edges: Vec<DiagramEdge>,
    /// The key prefixes, in the order in which they come.
    pub prefixes: Vec<String>,
    /// How many tasks there are.
    pub tasks: u64,
    /// True if a node stands for all tasks with one key prefix.
    pub is_grouped: bool,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A call.
    #[default]
    Task,
    /// A value that stands in the graph.
    Data,
    /// Tasks with one key prefix.
    Group,
}

/// A box of a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DiagramNode {
    /// What it is.
    pub kind: NodeKind,
    /// The key as text, or the prefix of a group.
    pub label: String,
    /// The key prefix, as a place in [`Diagram::prefixes`]. In a group of several prefixes that of the first.
    pub prefix: u32,
    /// The name of the function, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The place in the static order; in a group the mean of the places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// How many tasks it stands for.
    pub tasks: u64,
    /// The time that workers spent in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The bytes of its value, or values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How many of its tasks failed.
    pub failed: u64,
    /// How many of its tasks a callback has answered for.
    pub cached: u64,
    /// How many of its values are wanted.
    pub wanted: u64,
    /// In a group, how many times one of its tasks needs another one of them.
    pub within: u64,
}

/// An arrow of a picture, from what is needed to who needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DiagramEdge {
    /// The node that is needed.
    pub from: u32,
    /// The node that needs it.
    pub to: u32,
    /// How often tasks of the one need tasks of the other.
    pub count: u64,
}

impl Diagram {
    /// Where everything stands in a picture that is coloured by `color` (which is also what nodes tell in words,
    /// and so bears on their sizes). A page that draws the diagram itself takes the sizes of its own to
    /// [`Layout::of`].
    pub fn layout(&self, color: Color) -> Layout {
        svg::layout(self, color)
    }

    /// The picture, coloured by `color`; see [`Drawing::to_svg`](super::Drawing::to_svg).
    pub fn to_svg(&self, color: Color) -> String {
        svg::write(self, color)
    }

    /// The ends of the edges.
    pub(super) fn ends(&self) -> Vec<(u32, u32)> {
        self.edges.iter().map(|edge| (edge.from, edge.to)).collect()
    }
}
