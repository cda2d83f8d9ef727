//! Places from left to right where straight lines would cost too much width.
//!
//! Blocks that stand in one line push each other aside; in a tangled graph each a little further than the last
//! one, and the picture gets many times as wide as its widest row. Then each row is placed as near as can be to
//! the mean of what it is linked to, in turns, down and up: that is the convex problem of least squares of
//! Gansner, Koutsofios, North and Vo, "A technique for drawing directed graphs" (1993), with squares in place of
//! absolute values, solved row by row. A row alone is an isotonic regression, which pooling adjacent violators
//! solves in one pass: Ayer and others, "An empirical distribution function for sampling with incomplete
//! information" (1955).

use super::strata::Strata;

/// How often all rows are gone through, down and up.
const TURNS: usize = 12;

/// How much links want to be straight: between nodes, at the ends of a trunk, in a trunk. From the program dot.
const NODES: f32 = 1.0;
const ENDS: f32 = 2.0;
const TRUNK: f32 = 8.0;

/// How much each entry wants to be in the middle of the picture. Parts of it that few links hold together would
/// stand in a long staircase otherwise.
const MIDDLE: f32 = 0.4;

/// By entry: the place of its middle. `distance` says how far apart two neighbours must be.
pub(super) fn relaxed(strata: &Strata, distance: impl Fn(u32, u32) -> f32) -> Vec<f32> {
    let mut relaxation = Relaxation { strata, distance, x: vec![0.0; strata.row_of.len()] };
    relaxation.pack();
    for turn in 0..TURNS {
        // At first from one side only: what the other side says is not worth much yet.
        let both = turn > 0;
        for row in &strata.rows {
            relaxation.place(row, true, both);
        }
        for row in strata.rows.iter().rev() {
            relaxation.place(row, both, true);
        }
    }
    relaxation.x
}

struct Relaxation<'a, D> {
    strata: &'a Strata,
    distance: D,
    /// By entry: where it is now.
    x: Vec<f32>,
}

/// Entries that touch each other, and so move as one.
struct Pool {
    /// Where the first one wants to be, on the mean.
    wish: f32,
    weight: f32,
    entries: usize,
}

impl<D: Fn(u32, u32) -> f32> Relaxation<'_, D> {
    /// Each row as narrow as can be, around the middle.
    fn pack(&mut self) {
        for row in &self.strata.rows {
            let mut at = 0.0;
            for pair in row.windows(2) {
                self.x[pair[0] as usize] = at;
                at += (self.distance)(pair[0], pair[1]);
            }
            if let Some(last) = row.last() {
                self.x[*last as usize] = at;
            }
            for entry in row {
                self.x[*entry as usize] -= at / 2.0;
            }
        }
    }

    /// Places a row as near as can be to what its entries wish for.
    fn place(&mut self, row: &[u32], above: bool, below: bool) {
        let mut pools: Vec<Pool> = Vec::new();
        let mut offset = 0.0;
        let mut previous = None;
        for entry in row {
            offset += previous.map_or(0.0, |previous| (self.distance)(previous, *entry));
            previous = Some(*entry);
            let (wish, weight) = self.wish(*entry, above, below);
            let mut pool = Pool { wish: wish - offset, weight, entries: 1 };
            while let Some(last) = pools.pop_if(|last| last.wish > pool.wish) {
                let weight = last.weight + pool.weight;
                pool.wish = (last.wish * last.weight + pool.wish * pool.weight) / weight;
                pool.weight = weight;
                pool.entries += last.entries;
            }
            pools.push(pool);
        }
        let wishes = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.wish, pool.entries));
        let (mut offset, mut previous) = (0.0, None);
        for (entry, wish) in row.iter().zip(wishes) {
            offset += previous.map_or(0.0, |previous| (self.distance)(previous, *entry));
            previous = Some(*entry);
            self.x[*entry as usize] = wish + offset;
        }
    }

    /// The mean place of what an entry is linked to, and how much that weighs.
    fn wish(&self, entry: u32, above: bool, below: bool) -> (f32, f32) {
        let (mut sum, mut all) = (0.0, MIDDLE);
        let mut add = |links: &[u32]| {
            for link in links {
                let (upper, lower) = self.strata.links[*link as usize];
                let weight = match (self.strata.is_bend(upper), self.strata.is_bend(lower)) {
                    (false, false) => NODES,
                    (true, true) => TRUNK,
                    (true, false) | (false, true) => ENDS,
                };
                let other = if upper == entry { lower } else { upper };
                sum += weight * self.x[other as usize];
                all += weight;
            }
        };
        if above {
            add(self.strata.above.get(entry));
        }
        if below {
            add(self.strata.below.get(entry));
        }
        (sum / all, all)
    }
}

#[cfg(test)]
mod tests {
    use super::relaxed;
    use crate::drawing::layout::strata::Strata;

    #[test]
    fn rows_keep_their_order_and_distances() {
        let strata = Strata::of(vec![0, 0, 0, 1, 1], &[(0, 3), (1, 3), (2, 3), (2, 4)]);
        let x = relaxed(&strata, |_, _| 10.0);
        assert!(x[1] - x[0] >= 9.99 && x[2] - x[1] >= 9.99 && x[4] - x[3] >= 9.99, "{x:?}");
        assert!((x[3] - x[1]).abs() < 6.0, "{x:?}");
    }

    #[test]
    fn a_chain_is_straight() {
        let strata = Strata::of(vec![0, 1, 2], &[(0, 1), (1, 2)]);
        let x = relaxed(&strata, |_, _| 10.0);
        assert!(x.iter().all(|place| place.abs() < 0.01), "{x:?}");
    }
}
