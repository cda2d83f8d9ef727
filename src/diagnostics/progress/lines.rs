//! [`lines`]: how far the runs of a cluster are, as lines of text.

use super::line::{Line, Tone};
use super::row::{Columns, Note, Row};
use crate::monitor::{Counts, PrefixSnapshot, RunSnapshot, RunStatus, Snapshot, human};

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many columns.
    pub width: usize,
    /// How many lines.
    pub lines: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { width: 80, lines: 12 }
    }
}

/// The runs that go on: a line for each, and below it a line for each key prefix, as many as fit.
///
/// If not all prefixes fit, the most active ones are shown, and the rest is summed up in one line. They stand in
/// the order of the plan, so that no line jumps. Numbers that do not fit beside a bar are left out, the least
/// important ones first.
///
/// # Examples
///
/// ```
/// use mobula::diagnostics::progress::{Room, lines};
/// use mobula::monitor::Snapshot;
///
/// let idle = Snapshot::default();
/// assert!(lines(&idle, Room::default()).is_empty());
/// ```
pub fn lines(snapshot: &Snapshot, room: Room) -> Vec<Line> {
    let running = || snapshot.runs.iter().filter(|run| run.status == RunStatus::Running);
    let runs: Vec<&RunSnapshot> = running().take(room.lines).collect();
    let hidden = running().count() - runs.len();
    let mut left = room.lines.saturating_sub(runs.len());
    let mut rows = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        rows.push(run_row(run, snapshot.at));
        let share = left / (runs.len() - at);
        let prefixes = prefix_rows(run, share);
        left -= prefixes.len();
        rows.extend(prefixes);
    }
    let columns = Columns::of(&rows, room.width);
    let mut lines: Vec<Line> = rows.iter().map(|row| row.line(columns)).collect();
    if hidden > 0 && lines.pop().is_some() {
        let text = format!("and {} more runs", human::count(hidden as u64 + 1));
        lines.push(Line::new(text, Tone::Soft).cut(room.width));
    }
    lines
}

/// The row of a run.
pub(super) fn run_row(run: &RunSnapshot, now: f64) -> Row {
    let elapsed = run.ended.unwrap_or(now) - run.began;
    let time = match (run.ended, run.seconds_left) {
        (None, Some(left)) => format!("{} left", human::seconds(left)),
        (Some(_), _) | (None, None) => human::seconds(elapsed.max(0.0)),
    };
    let mut notes = vec![Note::new(8, time, Tone::Strong)];
    notes.extend(trouble(&run.counts));
    notes.extend(some(3, run.counts.running, "running"));
    if run.rate > 0.0 {
        notes.push(Note::new(7, human::rate(run.rate), Tone::Plain));
    }
    notes.extend(some(4, run.counts.cached, "cached"));
    notes.extend(some(5, run.counts.retried, "retried"));
    notes.extend(size(run.bytes));
    Row { name: format!("run {}", run.id), tone: Tone::Strong, counts: run.counts, notes }
}

/// The rows of the key prefixes of a run, in so many lines.
fn prefix_rows(run: &RunSnapshot, room: usize) -> Vec<Row> {
    let all = run.prefixes.len();
    let fits = all <= room && run.more_prefixes == 0;
    let shown = if fits { all } else { all.min(room.saturating_sub(1)) };
    let mut by_activity: Vec<usize> = (0..all).collect();
    by_activity.sort_by_key(|prefix| activity(&run.prefixes[*prefix].counts));
    let mut first = by_activity[..shown].to_vec();
    first.sort_unstable();
    let mut rows: Vec<Row> =
        first.iter().map(|prefix| prefix_row(&run.prefixes[*prefix])).collect();
    if !fits && room > 0 {
        rows.push(rest(run, &first));
    }
    rows
}

/// Smaller is more active: what runs, then what has begun, then what is to come, then what is over.
fn activity(counts: &Counts) -> (u8, std::cmp::Reverse<u64>) {
    let stage = if counts.running > 0 {
        0
    } else if counts.ended() == counts.total {
        3
    } else if counts.ended() > 0 {
        1
    } else {
        2
    };
    (stage, std::cmp::Reverse(counts.running))
}

fn prefix_row(prefix: &PrefixSnapshot) -> Row {
    let PrefixSnapshot { name, counts, task_seconds, bytes, .. } = prefix;
    let mut notes: Vec<Note> = trouble(counts).collect();
    notes.extend(some(3, counts.running, "running"));
    notes.extend(some(4, counts.cached, "cached"));
    notes.extend(size(*bytes));
    if *task_seconds > 0.0 {
        notes.push(Note::new(7, human::seconds(*task_seconds), Tone::Soft));
    }
    Row { name: format!("  {name}"), tone: Tone::Plain, counts: *counts, notes }
}

/// One row for all prefixes but these: what they leave of the run, as the snapshot does not tell of each.
fn rest(run: &RunSnapshot, shown: &[usize]) -> Row {
    let mut rest = PrefixSnapshot {
        counts: run.counts,
        bytes: run.bytes,
        task_seconds: run.task_seconds,
        ..PrefixSnapshot::default()
    };
    for prefix in shown.iter().map(|prefix| &run.prefixes[*prefix]) {
        rest.counts = rest.counts.without(&prefix.counts);
        rest.bytes = rest.bytes.saturating_sub(prefix.bytes);
        rest.task_seconds -= prefix.task_seconds;
    }
    if rest.task_seconds < 1e-9 {
        // What sums leave behind in their last digits is no time.
        rest.task_seconds = 0.0;
    }
    let hidden = (run.prefixes.len() - shown.len()) as u64 + run.more_prefixes;
    rest.name = format!("{} more", human::count(hidden));
    Row { tone: Tone::Soft, ..prefix_row(&rest) }
}

fn trouble(counts: &Counts) -> impl Iterator<Item = Note> + use<> {
    let note = |place, count, word: &str| {
        (count > 0).then(|| Note::new(place, format!("{} {word}", human::count(count)), Tone::Bad))
    };
    [note(1, counts.failed, "failed"), note(2, counts.skipped, "skipped")].into_iter().flatten()
}

fn some(place: u8, count: u64, word: &str) -> Option<Note> {
    (count > 0).then(|| Note::new(place, format!("{} {word}", human::count(count)), Tone::Plain))
}

fn size(bytes: u64) -> Option<Note> {
    (bytes > 0).then(|| Note::new(6, human::bytes(bytes), Tone::Soft))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{counts, prefix, run, snapshot};
    use super::{Room, lines};
    use crate::monitor::{RunSnapshot, RunStatus, Snapshot, human};

    fn texts(snapshot: &Snapshot, width: usize, most: usize) -> Vec<String> {
        let lines = lines(snapshot, Room { width, lines: most });
        assert!(lines.len() <= most);
        assert!(lines.iter().all(|line| line.width() <= width), "{lines:#?}");
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        assert_eq!(
            texts(&snapshot(), 120, 9),
            [
                "run 7   ████████████████░░░░░░░░░░░ 1,250/2,001  2 failed  3 skipped  8 running  15 cached  3 GiB  12.3 k/s  4.2 s left",
                "  load  ███████████████████████████ 1,000/1,000  3 GiB  1 m 05 s",
                "  clean ██████░░░░░░░░░░░░░░░░░░░░░   250/1,000  2 failed  3 skipped  8 running  15 cached  1 MiB",
                "  total ░░░░░░░░░░░░░░░░░░░░░░░░░░░         0/1",
            ]
        );
    }

    #[test]
    fn what_matters_less_is_left_out_first() {
        assert_eq!(
            texts(&snapshot(), 80, 9)[0],
            "run 7   ████████░░░░░░ 1,250/2,001  2 failed  3 skipped  8 running  4.2 s left",
        );
        assert_eq!(
            texts(&snapshot(), 40, 9),
            [
                "run 7   ████░░░░ 1,250/2,001  4.2 s left",
                "  load  ████████ 1,000/1,000  3 GiB",
                "  clean ██░░░░░░   250/1,000  2 failed",
                "  total ░░░░░░░░         0/1",
            ]
        );
        assert_eq!(texts(&snapshot(), 20, 9)[..2], ["run 7   1,250/2,001", "  load  1,000/1,000"]);
        for width in 0..200 {
            texts(&snapshot(), width, 9);
        }
    }

    /// What stands in front of the bars.
    fn names(texts: &[String]) -> Vec<&str> {
        texts.iter().filter_map(|text| text.split(['█', '░']).next()).map(str::trim).collect()
    }

    #[test]
    fn the_most_active_prefixes_are_shown_and_the_rest_is_summed_up() {
        for (most, shown) in [
            (4, &["run 7", "load", "clean", "total"][..]),
            (3, &["run 7", "clean", "2 more"]),
            (2, &["run 7", "3 more"]),
            (1, &["run 7"]),
            (0, &[]),
        ] {
            assert_eq!(names(&texts(&snapshot(), 60, most)), shown);
        }
    }

    #[test]
    fn the_rows_add_up_to_the_run_though_the_snapshot_leaves_prefixes_out() {
        let mut many = snapshot();
        let run = &mut many.runs[0];
        run.more_prefixes = 800;
        run.counts.total += 8000;
        run.counts.waiting += 8000;
        let texts = texts(&many, 80, 9);
        assert_eq!(names(&texts), ["run 7", "load", "clean", "total", "800 more"]);
        assert!(texts[4].ends_with("     0/8,000"), "{}", texts[4]);
        assert_eq!(names(&self::texts(&many, 80, 3)), ["run 7", "clean", "802 more"]);
    }

    #[test]
    fn lines_are_shared_out_to_runs() {
        let runs = (1..=5).map(|id| RunSnapshot { id, ..run() }).collect();
        let many = Snapshot { runs, ..snapshot() };
        assert_eq!(names(&texts(&many, 60, 3)), ["run 1", "run 2", "and 3 more runs"]);
        let seven = ["run 1", "run 2", "run 3", "run 4", "3 more", "run 5", "3 more"];
        assert_eq!(names(&texts(&many, 60, 7)), seven);
        assert_eq!(texts(&many, 60, 40).len(), 20);
    }

    #[test]
    fn runs_that_have_ended_are_not_shown() {
        let done = RunSnapshot { status: RunStatus::Done, ended: Some(20.0), ..run() };
        assert_eq!(texts(&Snapshot { runs: vec![done], ..snapshot() }, 80, 9), [""; 0]);
    }

    #[test]
    fn a_run_of_nothing_is_over() {
        let empty = RunSnapshot { id: 1, began: 29.0, ..RunSnapshot::default() };
        assert_eq!(
            texts(&Snapshot { runs: vec![empty], ..snapshot() }, 50, 9),
            ["run 1 ██████████████████████████████████ 0/0  1 s"]
        );
    }

    #[test]
    fn names_cannot_move_the_cursor_and_wide_ones_fit() {
        let mut odd = snapshot();
        odd.runs[0].prefixes = vec![
            prefix("\x1b[2Jevil", counts(4, 1, 1)),
            prefix("データ処理データ処理データ処理", counts(4, 0, 0)),
        ];
        let lines = texts(&odd, 60, 9);
        assert!(lines.iter().all(|line| !line.contains('\x1b')));
        assert!(lines[2].contains('…') && human::width(&lines[2]) <= 60);
    }
}
