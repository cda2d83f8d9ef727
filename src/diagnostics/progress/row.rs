//! One row: a name, a bar, and as many numbers beside it as fit.

use super::line::{Line, Tone};
use crate::monitor::{Counts, human};

/// The widest bar, and the narrowest one that is worth its place: in a terminal of common width, and in others.
const WIDEST: usize = 40;
const NARROW: usize = 14;
const NARROWEST: usize = 8;

/// From so many columns on a terminal is of common width.
const COMMON: usize = 80;

/// Eighths of a column.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// What a row shows.
#[derive(Debug)]
pub(super) struct Row {
    /// Whose row it is.
    pub(super) name: String,
    /// How the name looks.
    pub(super) tone: Tone,
    pub(super) counts: Counts,
    /// Numbers, the most important one first.
    pub(super) notes: Vec<Note>,
}

/// A number beside a bar.
#[derive(Debug)]
pub(super) struct Note {
    text: String,
    tone: Tone,
    /// From left to right by this, if it is shown.
    place: u8,
}

impl Note {
    pub(super) fn new(place: u8, text: String, tone: Tone) -> Self {
        Self { text, tone, place }
    }
}

/// How wide the columns of some rows are that stand below each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    name: usize,
    bar: usize,
    counts: usize,
    width: usize,
}

impl Columns {
    /// For these rows in so many columns of a terminal.
    pub(super) fn of(rows: &[Row], width: usize) -> Self {
        let widest = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let counts = widest(|row| human::width(&counts(row)));
        let name = widest(|row| human::width(&row.name)).min((width / 3).max(8));
        let notes = widest(|row| row.notes.iter().map(Note::width).sum());
        // A wide bar is nice; the numbers say more, so it gives way to them down to a point.
        let left = width.saturating_sub(name + counts + 2);
        let least = if width < COMMON { NARROWEST } else { NARROW };
        let bar = left.saturating_sub(notes + 1).clamp(least, WIDEST);
        let bar = if bar + 1 > left { 0 } else { bar };
        Self { name, bar, counts, width }
    }
}

impl Note {
    /// With the space in front of it.
    fn width(&self) -> usize {
        human::width(&self.text) + 2
    }
}

impl Row {
    pub(super) fn line(&self, columns: Columns) -> Line {
        let Columns { name, bar, counts: counts_width, width } = columns;
        let shown = human::shortened(&self.name, name);
        let pad = name - human::width(&shown);
        let mut line = Line::new(format!("{shown}{:pad$}", ""), self.tone);
        if bar > 0 {
            line.push(" ", Tone::Plain);
            self.draw(&mut line, bar);
        }
        let text = counts(self);
        let pad = counts_width.saturating_sub(human::width(&text)) + 1;
        line.push(format!("{:pad$}{text}", ""), Tone::Plain);
        let mut left = width.saturating_sub(line.width());
        let mut fitting: Vec<&Note> = Vec::new();
        for note in &self.notes {
            if note.width() > left {
                break;
            }
            left -= note.width();
            fitting.push(note);
        }
        fitting.sort_by_key(|note| note.place);
        for note in fitting {
            line.push("  ", Tone::Plain);
            line.push(&note.text, note.tone);
        }
        line.cut(width)
    }

    /// The bar: what ended well, what failed or was skipped, what is left.
    fn draw(&self, line: &mut Line, width: usize) {
        let Counts { total, failed, skipped, .. } = self.counts;
        let ended =
            if total == 0 { 8 * width } else { scaled(self.counts.ended(), total, 8 * width) };
        let (mut full, mut part) = (ended / 8, EIGHTHS[ended % 8]);
        let mut bad = 0;
        if failed + skipped > 0 {
            // A failure shows however small its share is.
            bad = scaled(failed + skipped, total, width).max(1);
            full = full.max(bad);
            part = "";
        }
        line.push("█".repeat(full - bad), Tone::Good);
        line.push("█".repeat(bad), Tone::Bad);
        line.push(part, Tone::Good);
        let left = width - full - usize::from(!part.is_empty());
        line.push("░".repeat(left), Tone::Soft);
    }
}

fn counts(row: &Row) -> String {
    format!("{}/{}", human::count(row.counts.ended()), human::count(row.counts.total))
}

/// `count` of `total` as a part of `length`.
fn scaled(count: u64, total: u64, length: usize) -> usize {
    let scaled = u128::from(count) * length as u128 / u128::from(total.max(1));
    usize::try_from(scaled).unwrap_or(length).min(length)
}
