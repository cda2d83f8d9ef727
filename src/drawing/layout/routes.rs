//! The way of each edge, as points from its start to its end.

use super::bands::Bands;
use super::cycles::Directed;
use super::strata::Strata;

/// A place: from left to right, from top to bottom.
pub(super) type Point = (f32, f32);

/// How far an edge that was turned round stands off its nodes' middles, so that it does not lie on one that
/// runs the other way.
const TURNED: f32 = 10.0;

/// By edge: its points. A loop has none.
pub(super) fn routes(
    strata: &Strata,
    bands: &Bands,
    graph: &Directed,
    sizes: &[(f32, f32)],
) -> Vec<Vec<Point>> {
    let router = Router { strata, bands, sizes };
    let route = |edge: usize| {
        let (from, to) = graph.edges[edge];
        if from == to {
            return Vec::new();
        }
        let mut points = router.route(edge, from, to);
        if graph.turned[edge] {
            let aside = TURNED.min(sizes[from as usize].0 / 4.0).min(sizes[to as usize].0 / 4.0);
            for point in &mut points {
                point.0 += aside;
            }
            points.reverse();
        }
        points
    };
    (0..graph.edges.len()).map(route).collect()
}

struct Router<'a> {
    strata: &'a Strata,
    bands: &'a Bands,
    sizes: &'a [(f32, f32)],
}

impl Router<'_> {
    fn route(&self, edge: usize, from: u32, to: u32) -> Vec<Point> {
        let mut points = Vec::new();
        add(&mut points, (self.bands.x[from as usize], self.end(from, 0.5)));
        let bends = self.strata.bends[edge];
        let mut upper = from;
        for bend in bends.first..bends.first + bends.count {
            self.pass(&mut points, upper, bend);
            let (top, bottom) = self.bands.rows[self.strata.row_of[bend as usize] as usize];
            add(&mut points, (self.bands.x[bend as usize], top));
            add(&mut points, (self.bands.x[bend as usize], bottom));
            upper = bend;
        }
        self.pass(&mut points, upper, to);
        add(&mut points, (self.bands.x[to as usize], self.end(to, -0.5)));
        points
    }

    /// From one band to the next, if there the entries are.
    fn pass(&self, points: &mut Vec<Point>, upper: u32, lower: u32) {
        let band = |entry: u32| self.bands.band_of[self.strata.row_of[entry as usize] as usize];
        if band(upper) == band(lower) {
            return;
        }
        let link = self.strata.links.binary_search(&(upper, lower)).ok();
        let passage = link.and_then(|link| self.bands.passage(super::lists::number(link)));
        if let Some(passage) = passage {
            add(points, (self.bands.x[upper as usize], passage.foot));
            add(points, (passage.gutter, passage.foot));
            add(points, (passage.gutter, passage.head));
            add(points, (self.bands.x[lower as usize], passage.head));
        }
    }

    /// The upper or the lower side of a node.
    fn end(&self, node: u32, side: f32) -> f32 {
        let (top, bottom) = self.bands.rows[self.strata.row_of[node as usize] as usize];
        f32::midpoint(top, bottom) + side * self.sizes[node as usize].1
    }
}

/// Adds a point; one that a straight line passes through anyway goes.
fn add(points: &mut Vec<Point>, point: Point) {
    let is_same = |one: f32, other: f32| (one - other).abs() < 0.01;
    if let [.., before, last] = points.as_slice() {
        let down = is_same(before.0, last.0) && is_same(last.0, point.0);
        let aside = is_same(before.1, last.1) && is_same(last.1, point.1);
        if down || aside {
            points.pop();
        }
    }
    points.push(point);
}
