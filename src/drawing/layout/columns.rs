//! Where each entry stands from left to right: chains straight, nothing on top of anything else.
//!
//! The method is that of Brandes and Köpf, "Fast and simple horizontal coordinate assignment" (2001): entries
//! are joined with a median neighbour into blocks that stand in one line, each block as far to one side as its
//! neighbours let it; this is done from above and from below, to the left and to the right, and each entry gets
//! the mean of the two middle places. Bends of one trunk are joined first, so that trunks are straight.
//! Blocks are placed by longest paths over the graph of blocks, not by recursion, as in the program dagre.

use super::lists::{Lists, number};
use super::relaxed::relaxed;
use super::strata::Strata;

/// The least distance between two nodes, and between a bend and what is beside it.
const NODE_GAP: f32 = 18.0;
const BEND_GAP: f32 = 12.0;

/// Straight lines may make a picture so many times as wide as its widest row; see `relaxed.rs`.
const WIDER: f32 = 1.15;

/// What a picture may be wider in any case.
const LITTLE: f32 = 400.0;

/// By entry: the place of its middle. `widths` are those of the nodes.
pub(super) fn columns(strata: &Strata, widths: &[f32]) -> Vec<f32> {
    let mut columns = Columns {
        strata,
        widths,
        place: vec![0; strata.row_of.len()],
        barred: vec![false; strata.links.len()],
    };
    let straight = columns.straight();
    let (left, right) = reach(&straight);
    if right - left <= WIDER * columns.widest_row() + LITTLE {
        straight
    } else {
        relaxed(strata, |one, other| columns.distance(one, other))
    }
}

struct Columns<'a> {
    strata: &'a Strata,
    widths: &'a [f32],
    /// By entry: which one it is in its row, from the side that is asked about.
    place: Vec<u32>,
    /// By link: whether it crosses a trunk, and so joins nothing.
    barred: Vec<bool>,
}

impl Columns<'_> {
    /// Places where chains and trunks are straight.
    fn straight(&mut self) -> Vec<f32> {
        let strata = self.strata;
        for row in &strata.rows {
            self.note_places(row);
        }
        self.bar_links();
        let mut all = Vec::new();
        for from_above in [true, false] {
            for to_left in [true, false] {
                all.push(self.places(from_above, to_left));
            }
        }
        balanced(&all)
    }

    /// From the middle of the first to the middle of the last entry of the widest row, if all stand as near as
    /// can be.
    fn widest_row(&self) -> f32 {
        let widths = self
            .strata
            .rows
            .iter()
            .map(|row| row.windows(2).map(|pair| self.distance(pair[0], pair[1])).sum::<f32>());
        widths.fold(0.0, f32::max)
    }

    fn note_places(&mut self, row: &[u32]) {
        for (entry, at) in row.iter().zip(0..) {
            self.place[*entry as usize] = at;
        }
    }

    fn is_trunk(&self, link: u32) -> bool {
        let (upper, lower) = self.strata.links[link as usize];
        self.strata.is_bend(upper) && self.strata.is_bend(lower)
    }

    /// Finds the links that cross a link of a trunk.
    fn bar_links(&mut self) {
        for rows in self.strata.rows.windows(2) {
            let last = number(rows[0].len());
            let (mut from, mut first) = (0, 0);
            for (at, entry) in rows[1].iter().enumerate() {
                let links = self.strata.above.get(*entry);
                let trunk = links.iter().find(|link| self.is_trunk(**link));
                if trunk.is_none() && at + 1 < rows[1].len() {
                    continue;
                }
                let upper = |link: &u32| self.place[self.strata.links[*link as usize].0 as usize];
                let to = trunk.map_or(last, upper);
                for passed in &rows[1][first..=at] {
                    for link in self.strata.above.get(*passed) {
                        let place = upper(link);
                        if (place < from || place > to) && !self.is_trunk(*link) {
                            self.barred[*link as usize] = true;
                        }
                    }
                }
                (from, first) = (to, at + 1);
            }
        }
    }

    /// The places if blocks are made from one side and pushed to one side.
    fn places(&mut self, from_above: bool, to_left: bool) -> Vec<f32> {
        let strata = self.strata;
        let mut rows: Vec<Vec<u32>> = strata.rows.clone();
        if !to_left {
            for row in &mut rows {
                row.reverse();
            }
        }
        for row in &rows {
            self.note_places(row);
        }
        if !from_above {
            rows.reverse();
        }
        let blocks = self.blocks(&rows, from_above);
        let mut places = self.pushed(&rows, &blocks);
        if !to_left {
            for place in &mut places {
                *place = -*place;
            }
        }
        places
    }

    /// By entry: the first entry of its block.
    fn blocks(&self, rows: &[Vec<u32>], from_above: bool) -> Vec<u32> {
        let strata = self.strata;
        let mut root: Vec<u32> = (0..number(strata.row_of.len())).collect();
        let mut is_joined = vec![false; root.len()];
        let mut neighbours = Vec::new();
        for row in rows {
            // The place in the row before up to which blocks go on already: they must not cross.
            let mut used = None;
            for entry in row {
                self.find_neighbours(*entry, from_above, &mut neighbours);
                let Some(last) = neighbours.len().checked_sub(1) else { continue };
                for middle in [last / 2, last.div_ceil(2)] {
                    let (place, other, link) = neighbours[middle];
                    let free = used.is_none_or(|used| used < place) && !is_joined[other as usize];
                    if free && !self.barred[link as usize] {
                        is_joined[other as usize] = true;
                        root[*entry as usize] = root[other as usize];
                        used = Some(place);
                        break;
                    }
                }
            }
        }
        root
    }

    /// The neighbours in the row before: place, entry, link. Of a bend of a trunk only the bend before it.
    fn find_neighbours(&self, entry: u32, from_above: bool, found: &mut Vec<(u32, u32, u32)>) {
        let strata = self.strata;
        let links = if from_above { &strata.above } else { &strata.below }.get(entry);
        let trunk = links.iter().position(|link| self.is_trunk(*link));
        let links = trunk.map_or(links, |at| &links[at..=at]);
        found.clear();
        found.extend(links.iter().map(|link| {
            let (upper, lower) = strata.links[*link as usize];
            let other = if from_above { upper } else { lower };
            (self.place[other as usize], other, *link)
        }));
        found.sort_unstable();
    }

    /// Pushes each block as far to the left as the blocks there let it, then back towards those on its right.
    fn pushed(&self, rows: &[Vec<u32>], root: &[u32]) -> Vec<f32> {
        let pairs = || {
            rows.iter().flat_map(|row| row.windows(2)).map(|pair| {
                let (left, right) = (root[pair[0] as usize], root[pair[1] as usize]);
                (left, right, self.distance(pair[0], pair[1]))
            })
        };
        let distances: Vec<f32> = pairs().map(|(_, _, distance)| distance).collect();
        let ends: Vec<(u32, u32)> = pairs().map(|(left, right, _)| (left, right)).collect();
        let numbered = || ends.iter().zip(0..);
        let right_of = Lists::of(root.len(), numbered().map(|(&(left, _), pair)| (left, pair)));
        let left_of = Lists::of(root.len(), numbered().map(|(&(_, right), pair)| (right, pair)));

        let order = sorted(root, &right_of, &left_of, &ends);
        let mut places = vec![0.0_f32; root.len()];
        for block in &order {
            let least = left_of
                .get(*block)
                .iter()
                .map(|pair| places[ends[*pair as usize].0 as usize] + distances[*pair as usize]);
            places[*block as usize] = least.fold(0.0, f32::max);
        }
        for block in order.iter().rev() {
            let most = right_of
                .get(*block)
                .iter()
                .map(|pair| places[ends[*pair as usize].1 as usize] - distances[*pair as usize]);
            let most = most.fold(f32::INFINITY, f32::min);
            if most.is_finite() {
                places[*block as usize] = places[*block as usize].max(most);
            }
        }
        root.iter().map(|root| places[*root as usize]).collect()
    }

    /// How far apart the middles of two entries are that stand side by side.
    fn distance(&self, left: u32, right: u32) -> f32 {
        let width = |entry: u32| self.widths.get(entry as usize).copied().unwrap_or(0.0);
        let bend = self.strata.is_bend(left) || self.strata.is_bend(right);
        let gap = if bend { BEND_GAP } else { NODE_GAP };
        f32::midpoint(width(left), width(right)) + gap
    }
}

/// The blocks from left to right, each behind all that stand left of one of its entries.
fn sorted(root: &[u32], right_of: &Lists, left_of: &Lists, ends: &[(u32, u32)]) -> Vec<u32> {
    let mut missing: Vec<usize> =
        (0..number(root.len())).map(|block| left_of.get(block).len()).collect();
    let blocks = root.iter().zip(0..).filter(|(root, entry)| *root == entry);
    let mut order: Vec<u32> =
        blocks.map(|(root, _)| *root).filter(|block| missing[*block as usize] == 0).collect();
    let mut next = 0;
    while let Some(block) = order.get(next) {
        next += 1;
        for pair in right_of.get(*block) {
            let right = ends[*pair as usize].1 as usize;
            missing[right] -= 1;
            if missing[right] == 0 {
                order.push(number(right));
            }
        }
    }
    order
}

/// The least and the greatest place.
fn reach(places: &[f32]) -> (f32, f32) {
    let least = places.iter().copied().fold(f32::INFINITY, f32::min);
    let most = places.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (least, most)
}

/// Moves the four onto the narrowest one and takes the mean of the two in the middle.
fn balanced(all: &[Vec<f32>]) -> Vec<f32> {
    let reaches: Vec<(f32, f32)> = all.iter().map(|places| reach(places)).collect();
    let narrowest = reaches
        .iter()
        .copied()
        .min_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
    let Some(narrowest) = narrowest else { return Vec::new() };
    // Those pushed to the left are moved to its left end, the others to its right end.
    let shifts: Vec<f32> = reaches
        .iter()
        .enumerate()
        .map(|(at, reach)| if at % 2 == 0 { narrowest.0 - reach.0 } else { narrowest.1 - reach.1 })
        .collect();
    let middle = |entry: usize| {
        let mut places: Vec<f32> =
            all.iter().zip(&shifts).map(|(places, shift)| places[entry] + shift).collect();
        places.sort_by(f32::total_cmp);
        f32::midpoint(places[1], places[2])
    };
    (0..all[0].len()).map(middle).collect()
}

#[cfg(test)]
mod tests {
    use super::columns;
    use crate::drawing::layout::strata::Strata;

    #[test]
    fn a_chain_is_straight() {
        let strata = Strata::of(vec![0, 1, 2, 3], &[(0, 1), (1, 2), (2, 3)]);
        let places = columns(&strata, &[10.0, 50.0, 20.0, 90.0]);
        assert!(places.iter().all(|place| (place - places[0]).abs() < 0.01), "{places:?}");
    }

    #[test]
    fn a_node_stands_in_the_middle_of_what_it_needs() {
        let strata = Strata::of(vec![0, 0, 0, 1], &[(0, 3), (1, 3), (2, 3)]);
        let places = columns(&strata, &[40.0; 4]);
        let steps = [places[1] - places[0], places[2] - places[1], places[3] - places[1]];
        let wrong = steps
            .iter()
            .zip([58.0, 58.0, 0.0])
            .find(|(step, wanted)| (*step - wanted).abs() > 0.01);
        assert_eq!(wrong, None, "{places:?}");
    }

    #[test]
    fn a_trunk_is_straight() {
        let row_of: Vec<u32> = (0..12).map(|node| node / 3).chain([4]).collect();
        let edges: Vec<(u32, u32)> = (0..12).map(|node| (node, 12)).collect();
        let strata = Strata::of(row_of, &edges);
        let places = columns(&strata, &[30.0; 13]);
        let bends = &places[13..];
        assert_eq!(bends.len(), 3);
        assert!(bends.iter().all(|place| (place - bends[0]).abs() < 0.01), "{places:?}");
    }
}
