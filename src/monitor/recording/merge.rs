//! Puts recordings of several clusters together: of one program, with one clock on the wall.

use super::Recording;

impl Recording {
    /// Takes in what was recorded of another cluster of this process in the same time. Its times become those
    /// of this recording's cluster, and its workers get numbers behind this one's.
    pub fn merge(&mut self, other: Self) {
        if self.runs.is_empty() && self.spans.is_empty() && self.incidents.is_empty() {
            *self = other;
            return;
        }
        // The moment at which both began to record, on either clock.
        #[expect(clippy::cast_possible_truncation, reason = "no program runs for three centuries")]
        let later = ((other.unix_time - self.unix_time) * 1e9).round() as i64;
        let (here, there) = (self.began, other.began);
        let at = |time: u64| {
            let since = i64::try_from(time).unwrap_or(i64::MAX).saturating_sub_unsigned(there);
            let shifted = since.saturating_add(later).saturating_add_unsigned(here);
            u64::try_from(shifted).unwrap_or(0)
        };
        let first_worker = self.workers.iter().map(|(worker, _)| worker + 1).max().unwrap_or(0);
        let first_run = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        self.ended = self.ended.max(at(other.ended));
        self.unseen += other.unseen;
        self.unseen_incidents += other.unseen_incidents;
        let workers = other.workers.into_iter();
        self.workers.extend(workers.map(|(worker, process)| (worker + first_worker, process)));
        self.runs.extend(other.runs.into_iter().map(|mut run| {
            run.began = at(run.began);
            run.ended = run.ended.map(at);
            run
        }));
        self.spans.extend(other.spans.into_iter().map(|mut span| {
            span.run += first_run;
            span.worker += first_worker;
            (span.from, span.to) = (at(span.from), at(span.to));
            span
        }));
        self.spans.sort_by_key(|span| span.to);
        self.incidents.extend(other.incidents.into_iter().map(|mut incident| {
            incident.at = at(incident.at);
            incident
        }));
        self.incidents.sort_by_key(|incident| incident.at);
        // Both have measured the memory of the one process that they are in; values are this cluster's.
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RecordedRun, Span};
    use super::*;

    fn recording(began: u64, unix_time: f64, id: u64) -> Recording {
        let run = RecordedRun { id, began: began + 10, ..RecordedRun::default() };
        let span = Span { from: began + 20, to: began + 30, ..Span::default() };
        Recording {
            began,
            ended: began + 40,
            unix_time,
            workers: vec![(0, None), (1, None)],
            runs: vec![run],
            spans: vec![span],
            ..Recording::default()
        }
    }

    #[test]
    fn the_other_ones_times_workers_and_runs_are_moved() {
        let mut merged = recording(1_000, 5.0, 1);
        // Its cluster is younger by 900 ns, and it began to record 500 ns later.
        merged.merge(recording(100, 5.000_000_5, 2));
        assert_eq!(merged.runs[1].began, 1_000 + 500 + 10);
        let span = merged.spans[1];
        assert_eq!((span.run, span.worker, span.from, span.to), (1, 2, 1_520, 1_530));
        assert_eq!(merged.workers, [(0, None), (1, None), (2, None), (3, None)]);
        assert_eq!(merged.ended, 1_540);
    }

    #[test]
    fn nothing_merged_with_something_is_that() {
        let mut nothing = Recording::default();
        nothing.merge(recording(7, 1.0, 3));
        assert_eq!(nothing, recording(7, 1.0, 3));
    }
}
