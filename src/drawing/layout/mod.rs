//! [`Layout`]: where the nodes of a graph stand and how its edges run.
//!
//! Layers, as Sugiyama, Tagawa and Toda draw them, in steps that are each (nearly) linear and never recurse:
//!
//! | file | step |
//! |---|---|
//! | `cycles.rs` | edges that run against the others are turned round |
//! | `layers.rs` | each node gets a row; rows that would be too wide are wrapped |
//! | `strata.rs` | edges that pass rows get bends there, shared by those with a common end |
//! | `crossings.rs` | rows are sorted so that few edges cross |
//! | `columns.rs` | places from left to right, chains and trunks straight |
//! | `relaxed.rs` | the same where straight lines would make it too wide |
//! | `bands.rs` | places from top to bottom; what is much too high is folded |
//! | `routes.rs` | edges as points |
//!
//! `lists.rs` holds lists of numbers in one array.

mod bands;
mod columns;
mod crossings;
mod cycles;
mod layers;
mod lists;
mod relaxed;
mod routes;
mod strata;
#[cfg(test)]
mod tests;

use serde::Serialize;

use bands::Bands;
use strata::Strata;

/// The fewest nodes in the rows of a picture whose rows are wrapped.
const WIDE: usize = 40;

/// Where the nodes of a graph stand and how its edges run, in the units of the nodes' sizes.
///
/// The origin is at the top left. Edges run down, from the lower side of a node to the upper side of another
/// one; in a graph with cycles some run up. Nodes never overlap.
///
/// A graph with a row of more than 64 nodes is wrapped: its rows are filled in the order of the nodes' numbers, up
/// to 40 nodes in each, or in a large graph to 1.1 times the square root of their number. A picture that is more
/// than four times as high as wide is folded into columns that stand side by side.
///
/// The same graph gives the same layout.
///
/// # Examples
///
/// ```
/// use mobula::drawing::Layout;
///
/// let layout = Layout::of(&[(80.0, 24.0); 3], &[(0, 2), (1, 2)]);
/// let [x, y, sum] = layout.nodes[..] else { panic!("three nodes") };
/// assert!(x.0 < sum.0 && sum.0 < y.0); // the sum stands between the two
/// assert!(x.1 == y.1 && y.1 < sum.1); // and below them
/// assert_eq!(layout.edges[0].first(), Some(&(x.0, x.1 + 12.0)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Layout {
    /// From the left to the right margin.
    pub width: f32,
    /// From the upper to the lower margin.
    pub height: f32,
    /// By node: the place of its middle.
    pub nodes: Vec<(f32, f32)>,
    /// By node: its width and its height.
    pub sizes: Vec<(f32, f32)>,
    /// By edge: its points, from start to end. Where two points differ in both directions, a curve that begins
    /// and ends upright looks best. An edge from a node to itself has no points.
    pub edges: Vec<Vec<(f32, f32)>>,
    /// By edge: whether it runs up, against the others, because there is a cycle. (In a folded picture, one that
    /// passes to the next column may also end higher than it begins.)
    pub turned: Vec<bool>,
}

impl Layout {
    /// Lays a graph out. `sizes` says how wide and how high each node is, `edges` which node leads to which.
    ///
    /// Numbers of nodes should follow the order in which they run; a wide graph is wrapped by them. It takes
    /// time in proportion to nodes and edges, and some more for sorting: 2,000 nodes with 5,000 edges are
    /// ready in a few hundredths of a second.
    ///
    /// # Panics
    ///
    /// If an edge names a node that is not there.
    pub fn of(sizes: &[(f32, f32)], edges: &[(u32, u32)]) -> Self {
        if sizes.is_empty() {
            return Self::default();
        }
        let widest = WIDE.max(lists::number(sizes.len()).isqrt() as usize * 11 / 10);
        let graph = cycles::directed(sizes.len(), edges);
        let rows = layers::rows(sizes.len(), &graph, widest);
        let mut strata = Strata::of(rows, &graph.edges);
        crossings::sort_rows(&mut strata);
        let widths: Vec<f32> = sizes.iter().map(|size| size.0).collect();
        let bands = Bands::of(&strata, columns::columns(&strata, &widths), sizes);
        let edges = routes::routes(&strata, &bands, &graph, sizes);
        let middle = |node: usize| {
            let (top, bottom) = bands.rows[strata.row_of[node] as usize];
            (bands.x[node], f32::midpoint(top, bottom))
        };
        let nodes = (0..sizes.len()).map(middle).collect();
        Self {
            width: bands.width,
            height: bands.height,
            nodes,
            sizes: sizes.to_vec(),
            edges,
            turned: graph.turned,
        }
    }
}
