//! Few crossings: in which order the entries of a row stand.
//!
//! Sweeps down and up sort each row by the mean place of what its entries are linked to in the row before, the
//! barycenter method of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
//! structures" (1981). The order with the fewest crossings is kept; they are counted as Barth, Mutzel and
//! Jünger say in "Simple and efficient bilayer cross counting" (2004).

use super::lists::{Lists, length};
use super::strata::Strata;

/// How often the rows are gone through, at most.
const SWEEPS: usize = 8;

/// So many sweeps are made even if nothing crosses.
const LEAST: usize = 2;

/// After so many sweeps without a better order it ends.
const PATIENCE: usize = 3;

/// Sorts the rows.
pub(super) fn sort_rows(strata: &mut Strata) {
    let mut sorter = Sorter { place: vec![0.0; strata.row_of.len()], order: Vec::new() };
    sorter.note_all(strata);
    let mut best = (crossings(strata), strata.rows.clone());
    let mut without = 0;
    for sweep in 0..SWEEPS {
        if (best.0 == 0 && sweep >= LEAST) || without == PATIENCE {
            break;
        }
        sorter.sweep(strata, sweep % 2 == 0);
        let count = crossings(strata);
        without = if count < best.0 { 0 } else { without + 1 };
        // Of two that are as good the later one: a trunk is in the middle of its edges by then.
        if count <= best.0 {
            best = (count, strata.rows.clone());
        }
    }
    strata.rows = best.1;
}

struct Sorter {
    /// By entry: where it stands in its row, from 0 to 1, so that rows of different lengths can be compared.
    place: Vec<f32>,
    /// Used by each row in its turn.
    order: Vec<(f32, u32)>,
}

impl Sorter {
    fn note_all(&mut self, strata: &Strata) {
        for row in &strata.rows {
            self.note(row);
        }
    }

    fn note(&mut self, row: &[u32]) {
        for (at, entry) in row.iter().enumerate() {
            self.place[*entry as usize] = (length(at) + 0.5) / length(row.len());
        }
    }

    fn sweep(&mut self, strata: &mut Strata, down: bool) {
        let Strata { rows, links, above, below, .. } = strata;
        let mut sort = |row: &mut Vec<u32>| {
            let order =
                row.iter().map(|entry| (self.wish(links, above, below, *entry, down), *entry));
            self.order = order.collect();
            // A stable sort: what wishes for the same place keeps its order.
            self.order.sort_by(|one, other| one.0.total_cmp(&other.0));
            row.clear();
            row.extend(self.order.iter().map(|(_, entry)| *entry));
            self.note(row);
        };
        if down {
            rows.iter_mut().for_each(&mut sort);
        } else {
            rows.iter_mut().rev().for_each(&mut sort);
        }
    }

    /// The mean place of what an entry is linked to, or its own if there is nothing.
    fn wish(
        &self,
        links: &[(u32, u32)],
        above: &Lists,
        below: &Lists,
        entry: u32,
        down: bool,
    ) -> f32 {
        let linked = if down { above.get(entry) } else { below.get(entry) };
        if linked.is_empty() {
            return self.place[entry as usize];
        }
        let place = |link: &u32| {
            let (upper, lower) = links[*link as usize];
            self.place[if down { upper } else { lower } as usize]
        };
        linked.iter().map(place).sum::<f32>() / length(linked.len())
    }
}

/// How many pairs of links cross.
pub(super) fn crossings(strata: &Strata) -> u64 {
    let mut place = vec![0_usize; strata.row_of.len()];
    for row in &strata.rows {
        for (at, entry) in row.iter().enumerate() {
            place[*entry as usize] = at;
        }
    }
    let mut all = 0;
    let mut ends = Vec::new();
    let mut tree = Vec::new();
    for (upper, row) in strata.rows.iter().enumerate() {
        let Some(next) = strata.rows.get(upper + 1) else { break };
        tree.clear();
        tree.resize(next.len(), 0_u64);
        let mut passed = 0;
        for entry in row {
            ends.clear();
            let below = strata.below.get(*entry).iter();
            ends.extend(below.map(|link| place[strata.links[*link as usize].1 as usize]));
            // Links out of one entry do not cross each other: count first, add then.
            all += ends.iter().map(|end| passed - up_to(&tree, *end)).sum::<u64>();
            for end in &ends {
                add(&mut tree, *end);
            }
            passed += ends.len() as u64;
        }
    }
    all
}

/// How many links end at this place or before it; `tree` is a binary indexed tree of counts.
fn up_to(tree: &[u64], place: usize) -> u64 {
    let mut at = place + 1;
    let mut sum = 0;
    while at > 0 {
        sum += tree[at - 1];
        at &= at - 1;
    }
    sum
}

fn add(tree: &mut [u64], place: usize) {
    let mut at = place + 1;
    while at <= tree.len() {
        tree[at - 1] += 1;
        at += at & at.wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use super::{crossings, sort_rows};
    use crate::drawing::layout::strata::Strata;

    #[test]
    fn crossings_are_counted() {
        let mut strata = Strata::of(vec![0, 0, 1, 1], &[(0, 2), (0, 3), (1, 2), (1, 3)]);
        assert_eq!(crossings(&strata), 1);
        strata = Strata::of(vec![0, 0, 0, 1, 1, 1], &[(0, 5), (1, 4), (2, 3)]);
        strata.rows = vec![vec![0, 1, 2], vec![3, 4, 5]];
        assert_eq!(crossings(&strata), 3);
    }

    #[test]
    fn crossings_that_need_not_be_go_away() {
        let mut strata = Strata::of(
            vec![0, 0, 0, 1, 1, 1, 2, 2, 2],
            &[(0, 5), (1, 4), (2, 3), (3, 8), (4, 7), (5, 6)],
        );
        strata.rows = vec![vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]];
        assert_ne!(crossings(&strata), 0);
        sort_rows(&mut strata);
        assert_eq!(crossings(&strata), 0);
    }
}
