//! Where the rows are from top to bottom, and how a picture that is much too high is folded.
//!
//! A graph that is a long chain would be a picture of one column, a hundred times as high as wide. Such a
//! picture is cut into *bands*, which stand side by side as the columns of a newspaper do; it is cut where few
//! edges pass. Those that do run through the *gutter* between two bands, from the foot of one to the head of
//! the next.

use super::lists::{length, number};
use super::strata::Strata;

/// The distance between two rows; it grows with the way that edges make sideways there.
const ROW_GAP: f32 = 34.0;
const WIDEST_ROW_GAP: f32 = 96.0;
const SLOPE: f32 = 0.03;

/// Around the picture.
const MARGIN: f32 = 16.0;

/// A picture is folded if it is so many times as high as wide, and higher than this.
const TOO_HIGH: f32 = 4.0;
const HIGH: f32 = 1600.0;

/// How wide a folded picture is to its height.
const ASPECT: f32 = 1.6;

/// No more edges than these may pass a fold.
const PASSING: usize = 24;

/// Between lines in a gutter, and beside them.
const TRACK: f32 = 7.0;
const GUTTER: f32 = 22.0;

/// Rows, in bands, with the places of what stands in them.
#[derive(Debug, Default)]
pub(super) struct Bands {
    /// By entry: where its middle is from left to right.
    pub(super) x: Vec<f32>,
    /// By row: where it begins and ends from top to bottom.
    pub(super) rows: Vec<(f32, f32)>,
    /// By row: its band.
    pub(super) band_of: Vec<u32>,
    /// By link that passes from a band to the next: how it gets there. Sorted by link.
    pub(super) passages: Vec<(u32, Passage)>,
    pub(super) width: f32,
    pub(super) height: f32,
}

/// The way of a link from the foot of a band to the head of the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage {
    /// How low it leaves the band.
    pub(super) foot: f32,
    /// Where it runs in the gutter.
    pub(super) gutter: f32,
    /// How high it comes into the next band.
    pub(super) head: f32,
}

impl Bands {
    /// Rows of entries whose places from left to right are known; `sizes` are those of the nodes.
    pub(super) fn of(strata: &Strata, x: Vec<f32>, sizes: &[(f32, f32)]) -> Self {
        let mut bands = Self { x, ..Self::default() };
        let gaps = bands.stack(strata, sizes);
        let firsts = bands.folds(strata, sizes);
        bands.arrange(strata, sizes, &gaps, &firsts);
        bands
    }

    /// Puts all rows below each other; answers the distances below them.
    fn stack(&mut self, strata: &Strata, sizes: &[(f32, f32)]) -> Vec<f32> {
        let mut gaps = Vec::new();
        let mut top = 0.0;
        for row in &strata.rows {
            let heights = row.iter().filter_map(|entry| sizes.get(*entry as usize));
            let height = heights.map(|size| size.1).fold(0.0, f32::max);
            let links = row.iter().flat_map(|entry| strata.below.get(*entry));
            let sideways = links.map(|link| {
                let (upper, lower) = strata.links[*link as usize];
                (self.x[upper as usize] - self.x[lower as usize]).abs()
            });
            let sideways = sideways.fold(0.0, f32::max);
            let gap = (ROW_GAP + SLOPE * sideways).min(WIDEST_ROW_GAP);
            self.rows.push((top, top + height));
            gaps.push(gap);
            top += height + gap;
        }
        gaps
    }

    /// The first row of each band.
    fn folds(&self, strata: &Strata, sizes: &[(f32, f32)]) -> Vec<usize> {
        let mut firsts = vec![0];
        let Some(&(_, height)) = self.rows.last() else { return firsts };
        let (left, right) = self.reach(strata, sizes, 0, self.rows.len());
        let width = right - left + 2.0 * GUTTER;
        if height < HIGH || height < TOO_HIGH * width {
            return firsts;
        }
        let bands = (ASPECT * height / width).sqrt();
        let each = height / bands.round().max(2.0);
        let passing = |row: &usize| -> usize {
            strata.rows[row - 1].iter().map(|entry| strata.below.get(*entry).len()).sum()
        };
        let mut from = 0.0;
        while height - from > 1.3 * each {
            // Within a tenth of where the fold would be best, where the fewest edges pass.
            let row_at = |y: f32| self.rows.partition_point(|(top, _)| *top < y);
            let near = row_at(from + 0.9 * each)..=row_at(from + 1.1 * each);
            let possible = near.filter(|row| *row < self.rows.len());
            let middle = from + each;
            let rank = |row: &usize| (passing(row), (self.rows[*row].0 - middle).abs());
            let best = possible
                .map(|row| (rank(&row), row))
                .min_by(|(one, _), (other, _)| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
            match best {
                Some(((count, _), row)) if count <= PASSING => {
                    firsts.push(row);
                    from = self.rows[row].0;
                }
                Some(_) | None => from += 0.2 * each,
            }
        }
        firsts
    }

    /// The left and the right end of what stands in rows.
    fn reach(&self, strata: &Strata, sizes: &[(f32, f32)], from: usize, to: usize) -> (f32, f32) {
        let entries = strata.rows[from..to].iter().flatten();
        entries.fold((f32::INFINITY, f32::NEG_INFINITY), |(left, right), entry| {
            let width = sizes.get(*entry as usize).map_or(0.0, |size| size.0);
            let x = self.x[*entry as usize];
            (left.min(x - width / 2.0), right.max(x + width / 2.0))
        })
    }

    /// Moves the bands beside each other.
    fn arrange(&mut self, strata: &Strata, sizes: &[(f32, f32)], gaps: &[f32], firsts: &[usize]) {
        let passing: Vec<Vec<u32>> =
            firsts[1..].iter().map(|first| self.links_below(strata, *first - 1)).collect();
        let tracks = passing.iter().map(Vec::len).max().unwrap_or(0);
        let head = MARGIN + if tracks == 0 { 0.0 } else { TRACK * length(tracks + 1) };
        let mut left = MARGIN;
        for (band, &first) in firsts.iter().enumerate() {
            let end = firsts.get(band + 1).copied().unwrap_or(self.rows.len());
            let (from, to) = self.reach(strata, sizes, first, end);
            for entry in strata.rows[first..end].iter().flatten() {
                self.x[*entry as usize] += left - from;
            }
            let mut top = head;
            for (row, gap) in self.rows[first..end].iter_mut().zip(&gaps[first..end]) {
                let height = row.1 - row.0;
                *row = (top, top + height);
                self.band_of.push(number(band));
                top += height + gap;
            }
            let foot = self.rows[end - 1].1;
            self.height = self.height.max(foot + MARGIN);
            left += to - from;
            self.width = self.width.max(left + MARGIN);
            let Some(links) = passing.get(band) else { continue };
            // The first link leaves lowest, runs farthest to the right and comes in lowest: none cross.
            for (track, link) in links.iter().rev().enumerate() {
                let away = TRACK * length(track + 1);
                let passage = Passage {
                    foot: foot + away,
                    gutter: left + GUTTER / 2.0 + away,
                    head: MARGIN + away,
                };
                self.height = self.height.max(foot + away + MARGIN);
                self.passages.push((*link, passage));
            }
            left += GUTTER + TRACK * length(links.len() + 1);
        }
        self.passages.sort_by_key(|(link, _)| *link);
    }

    /// The links below a row, from left to right.
    fn links_below(&self, strata: &Strata, row: usize) -> Vec<u32> {
        let links = strata.rows[row].iter().flat_map(|entry| strata.below.get(*entry));
        let mut links: Vec<u32> = links.copied().collect();
        links.sort_by(|one, other| {
            let ends = |link: &u32| {
                let (upper, lower) = strata.links[*link as usize];
                (self.x[upper as usize], self.x[lower as usize])
            };
            let (one, other) = (ends(one), ends(other));
            one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
        });
        links
    }

    /// How a link passes to the next band, if it does.
    pub(super) fn passage(&self, link: u32) -> Option<Passage> {
        let found = self.passages.binary_search_by_key(&link, |(link, _)| *link).ok()?;
        Some(self.passages[found].1)
    }
}
