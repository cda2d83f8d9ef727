//! What each worker did, in order, and in lanes in which spans nest.
//!
//! A worker is in one task after the other, with two exceptions: a task that waits for a run may let its
//! thread do other tasks meanwhile, whose spans then lie inside of its own; and tasks whose futures are awaited
//! overlap in any way.

use std::cmp::Reverse;

use crate::monitor::{Recording, Span};

/// The spans of all workers: by worker, then by start; what lies inside comes after what is around it.
pub(super) fn by_worker(recording: &Recording) -> Vec<u32> {
    let spans = &recording.spans;
    let count = u32::try_from(spans.len()).expect("a recording holds fewer than 2^32 spans");
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_by_key(|place| {
        let span = &spans[*place as usize];
        (span.worker, span.from, Reverse(span.to))
    });
    order
}

/// The spans of one worker at a time: its number, and its part of what [`by_worker`] says.
pub(super) fn each_worker<'a>(
    recording: &'a Recording,
    order: &'a [u32],
) -> impl Iterator<Item = (u32, &'a [u32])> {
    let worker = |place: &u32| recording.spans[*place as usize].worker;
    order.chunk_by(move |a, b| worker(a) == worker(b)).map(move |part| (worker(&part[0]), part))
}

/// Puts the spans of one worker, which come by start, into lanes: in each, two spans are apart or one lies in
/// the other.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// By lane: the ends of the spans that the last one lies in, the innermost last.
    open: Vec<Vec<u64>>,
}

impl Lanes {
    /// The lane of the next span.
    pub(super) fn place(&mut self, span: &Span) -> usize {
        for (lane, open) in self.open.iter_mut().enumerate() {
            while open.last().is_some_and(|end| *end <= span.from) {
                open.pop();
            }
            if open.last().is_none_or(|end| *end >= span.to) {
                open.push(span.to);
                return lane;
            }
        }
        self.open.push(vec![span.to]);
        self.open.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::{Lanes, by_worker, each_worker};
    use crate::monitor::{Recording, Span};

    fn span(worker: u32, from: u64, to: u64) -> Span {
        Span { worker, from, to, ..Span::default() }
    }

    #[test]
    fn spans_come_by_worker_and_start() {
        let spans = vec![span(1, 5, 6), span(0, 7, 8), span(0, 2, 3), span(0, 2, 9)];
        let recording = Recording { spans, ..Recording::default() };
        let order = by_worker(&recording);
        let workers: Vec<_> = each_worker(&recording, &order).collect();
        assert_eq!(workers, [(0, &[3, 2, 1][..]), (1, &[0][..])]);
    }

    #[test]
    fn what_overlaps_goes_to_another_lane() {
        let mut lanes = Lanes::default();
        let spans = [(0, 10), (1, 5), (5, 5), (5, 10), (8, 12), (10, 11), (11, 20), (12, 13)];
        let placed = spans.map(|(from, to)| lanes.place(&span(0, from, to)));
        assert_eq!(placed, [0, 0, 0, 0, 1, 0, 0, 0]);
    }
}
