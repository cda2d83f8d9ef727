//! [`ProgressBars`]: draws progress in a terminal, in place.
//!
//! The lines come from `lines.rs`; what is left to do here is the terminal's: indicatif moves the cursor, clears
//! what was drawn, and draws nothing where there is no terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ending::ending;
use super::line::{Line, Tone};
use super::lines::{Room, lines};
use crate::monitor::{RunSnapshot, RunStatus, Snapshot, Totals, human};

/// No more lines than these, and two lines of the terminal are left to others.
const MOST_LINES: usize = 12;

/// How far the runs of a cluster are, drawn on the standard error output.
///
/// Call [`update`](Self::update) at the start, and as often as there is something new; ten times a second is enough.
/// Each run that was seen has a line that stays when it ends: how, in what time, with what error. Runs that began
/// and ended between two updates are told at the end, in one line if they were many. Where the standard error is
/// no terminal nothing is written at all. On a terminal that cannot move its cursor (`TERM=dumb`) only the lines
/// that stay are written. `NO_COLOR` is heeded.
///
/// # Examples
///
/// ```
/// use mobula::diagnostics::progress::ProgressBars;
/// use mobula::{Cluster, graph};
///
/// let cluster = Cluster::builder().workers(1).start()?;
/// let monitor = cluster.monitor()?;
/// let mut bars = ProgressBars::new();
/// bars.update(&*monitor.look_blocking()?);
/// cluster.get_blocking(graph! { "x" => (|x: i64| x + 1, 1) }, "x")?;
/// bars.update(&*monitor.look_blocking()?);
/// bars.finish();
/// # Ok::<(), mobula::Error>(())
/// ```
pub struct ProgressBars {
    screen: MultiProgress,
    /// What is drawn now, all lines as one; none while no run goes on.
    drawn: Option<ProgressBar>,
    /// The runs that were seen and have not ended, as they were last.
    running: BTreeMap<u64, RunSnapshot>,
    /// Of the runs that the last snapshot had, those that were told or had ended before the first update: they are
    /// still there, and none of them has ended unseen.
    known: BTreeSet<u64>,
    /// What had happened before the first update.
    before: Option<Totals>,
    /// How many runs have a line that stays, and how many of these failed.
    told: (u64, u64),
    /// The last run that ended without having been seen, and all that had happened by the last update.
    last: (Option<RunSnapshot>, Totals),
    terminal: Terminal,
}

/// What is known of the terminal.
#[derive(Debug)]
enum Terminal {
    /// It can move its cursor.
    Full { term: Term, is_colored: bool },
    /// It cannot.
    Dumb { term: Term },
    /// There is none, and nothing is written.
    None,
    /// One of this size that is only pretended.
    #[cfg(test)]
    Pretended(Room),
}

impl ProgressBars {
    /// Bars on the standard error output.
    pub fn new() -> Self {
        let term = Term::stderr();
        let is_dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        let terminal = match (term.is_term(), is_dumb) {
            (false, _) => Terminal::None,
            (true, true) => Terminal::Dumb { term },
            (true, false) => Terminal::Full { term, is_colored: console::colors_enabled_stderr() },
        };
        let target = match terminal {
            Terminal::Full { .. } => ProgressDrawTarget::stderr(),
            #[cfg(test)]
            Terminal::Pretended(_) => ProgressDrawTarget::hidden(),
            Terminal::Dumb { .. } | Terminal::None => ProgressDrawTarget::hidden(),
        };
        Self::on(target, terminal)
    }

    fn on(target: ProgressDrawTarget, terminal: Terminal) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        Self {
            screen,
            drawn: None,
            running: BTreeMap::new(),
            known: BTreeSet::new(),
            before: None,
            told: (0, 0),
            last: (None, Totals::default()),
            terminal,
        }
    }

    /// Draws how things stand.
    pub fn update(&mut self, snapshot: &Snapshot) {
        let Some(room) = self.room() else { return };
        for run in &snapshot.runs {
            if run.status == RunStatus::Running {
                self.running.insert(run.id, run.clone());
            } else if self.running.remove(&run.id).is_some() {
                self.keep(&ending(run, room.width));
                self.told.0 += 1;
                self.told.1 += u64::from(run.status == RunStatus::Failed);
                self.known.insert(run.id);
            } else if self.before.is_none() {
                self.known.insert(run.id);
            } else if !self.known.contains(&run.id) {
                self.last.0 = Some(run.clone());
            }
        }
        self.before.get_or_insert(snapshot.totals);
        self.last.1 = snapshot.totals;
        // A run that is not told of any more has ended long ago.
        let is_there = |id: &u64| snapshot.runs.iter().any(|run| run.id == *id);
        self.running.retain(|id, _| is_there(id));
        self.known.retain(is_there);
        if let Terminal::Dumb { .. } = self.terminal {
            return;
        }
        let lines: Vec<String> = lines(snapshot, room).iter().map(|line| self.text(line)).collect();
        if lines.is_empty() {
            self.clear();
        } else {
            let bar = self.drawn.get_or_insert_with(|| {
                let bar = ProgressBar::new_spinner();
                self.screen
                    .add(bar.with_style(ProgressStyle::with_template("{msg}").expect("it is one")))
            });
            bar.set_message(lines.join("\n"));
            bar.tick();
        }
    }

    /// Lets something else write on the terminal: what is drawn goes away before, and comes back after.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.screen.suspend(write)
    }

    /// Ends the drawing. Of runs that still go on it is told how far they are.
    pub fn finish(mut self) {
        self.clear();
        if let Some(room) = self.room() {
            for run in std::mem::take(&mut self.running).into_values() {
                self.keep(&ending(&run, room.width));
            }
            if let Some(line) = self.unseen(room) {
                self.keep(&line);
            }
        }
    }

    /// What is told of the runs that ended without having been seen.
    fn unseen(&self, room: Room) -> Option<Line> {
        let before = self.before.unwrap_or_default();
        let ended = |totals: Totals| totals.runs_done + totals.runs_failed + totals.runs_cancelled;
        let (last, now) = &self.last;
        let count = ended(*now).saturating_sub(ended(before) + self.told.0);
        match (count, last) {
            (0, _) => None,
            (1, Some(run)) => Some(ending(run, room.width)),
            _ => {
                let runs = if count == 1 { "run" } else { "runs" };
                let text = format!("{} short {runs} ended", human::count(count));
                let mut line = Line::new(text, Tone::Plain);
                let failed = now.runs_failed.saturating_sub(before.runs_failed + self.told.1);
                if failed > 0 {
                    line.push(format!(", {} of them failed", human::count(failed)), Tone::Bad);
                }
                Some(line)
            }
        }
    }

    /// Writes a line that stays.
    fn keep(&self, line: &Line) {
        let text = self.text(line);
        // A terminal that is gone is no reason to stop a program. indicatif's own `println` fills the line with
        // spaces, without an end of line behind it.
        match &self.terminal {
            Terminal::Full { term, .. } => self.screen.suspend(|| term.write_line(&text)).ok(),
            Terminal::Dumb { term } => term.write_line(&text).ok(),
            Terminal::None => None,
            #[cfg(test)]
            Terminal::Pretended(_) => self.screen.println(text).ok(),
        };
    }

    fn clear(&mut self) {
        if let Some(bar) = self.drawn.take() {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    fn text(&self, line: &Line) -> String {
        match self.terminal {
            Terminal::Full { is_colored: true, .. } => line.colored(),
            Terminal::Full { .. } | Terminal::Dumb { .. } | Terminal::None => line.to_string(),
            #[cfg(test)]
            Terminal::Pretended(_) => line.to_string(),
        }
    }

    /// How much room there is; none if nothing is written.
    fn room(&self) -> Option<Room> {
        let term = match &self.terminal {
            Terminal::Full { term, .. } | Terminal::Dumb { term } => term,
            Terminal::None => return None,
            #[cfg(test)]
            Terminal::Pretended(room) => return Some(*room),
        };
        let (height, width) = term.size();
        // A line that fills the last column makes some terminals begin another one.
        let width = usize::from(width).saturating_sub(1);
        Some(Room { width, lines: usize::from(height).saturating_sub(2).clamp(1, MOST_LINES) })
    }
}

impl Default for ProgressBars {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for ProgressBars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressBars").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl Drop for ProgressBars {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};

    use super::super::samples::{run, snapshot};
    use super::{ProgressBars, Room, Terminal};
    use crate::monitor::{RunSnapshot, RunStatus, Snapshot, Totals};

    fn pretended() -> (InMemoryTerm, ProgressBars) {
        let term = InMemoryTerm::new(10, 81);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let terminal = Terminal::Pretended(Room { width: 80, lines: 8 });
        (term, ProgressBars::on(target, terminal))
    }

    #[test]
    fn lines_are_drawn_in_place_and_the_end_stays() {
        let (term, mut bars) = pretended();
        bars.update(&snapshot());
        bars.update(&snapshot());
        let drawn = term.contents();
        assert_eq!(drawn.lines().count(), 4, "{drawn}");
        assert!(drawn.starts_with("run 7 ") && drawn.contains("\n  load"), "{drawn}");
        let done = RunSnapshot { status: RunStatus::Done, ended: Some(12.0), ..run() };
        bars.update(&Snapshot { runs: vec![done], ..snapshot() });
        let end = "run 7 done: 2,001 tasks in 2 s, 15 cached, 2 failed, 3 skipped, 3 GiB";
        assert_eq!(term.contents(), end);
        bars.finish();
        assert_eq!(term.contents(), end);
    }

    #[test]
    fn a_run_that_goes_on_is_told_at_the_end() {
        let (term, mut bars) = pretended();
        bars.update(&snapshot());
        bars.finish();
        assert_eq!(term.contents(), "run 7 goes on: 1,250 of 2,001 tasks");
    }

    #[test]
    fn runs_that_had_ended_before_are_not_told() {
        let (term, mut bars) = pretended();
        let done = RunSnapshot { status: RunStatus::Done, ended: Some(12.0), ..run() };
        bars.update(&Snapshot { runs: vec![done], ..snapshot() });
        drop(bars);
        assert_eq!(term.contents(), "");
    }

    #[test]
    fn runs_between_two_updates_are_told_at_the_end() {
        let short = |id, runs_done, runs_failed| Snapshot {
            runs: vec![RunSnapshot { id, status: RunStatus::Done, ended: Some(12.0), ..run() }],
            totals: Totals { runs_done, runs_failed, ..Totals::default() },
            ..snapshot()
        };
        for (id, done, failed, told) in [
            (6, 7, 1, ""),
            (7, 8, 1, "run 7 done: 2,001 tasks in 2 s, 15 cached, 2 failed, 3 skipped, 3 GiB"),
            (7, 17, 3, "12 short runs ended, 2 of them failed"),
        ] {
            let (term, mut bars) = pretended();
            bars.update(&short(6, 7, 1));
            bars.update(&short(id, done, failed));
            bars.finish();
            assert_eq!(term.contents(), told);
        }
    }

    #[test]
    fn the_run_that_nobody_saw_is_told_and_not_one_that_was_told_before() {
        let (term, mut bars) = pretended();
        let going_on = |id| RunSnapshot { id, ..run() };
        let done = |id| RunSnapshot { status: RunStatus::Done, ended: Some(12.0), ..going_on(id) };
        let update = |runs, runs_done| Snapshot {
            runs,
            totals: Totals { runs_done, ..Totals::default() },
            ..snapshot()
        };
        bars.update(&update(vec![done(0)], 1));
        bars.update(&update(vec![done(0), done(1), going_on(2)], 2));
        for _ in 0..2 {
            bars.update(&update(vec![done(0), done(1), done(2)], 3));
        }
        bars.finish();
        let told = term.contents();
        let runs: Vec<&str> = told.lines().filter_map(|line| line.split(" done").next()).collect();
        assert_eq!(runs, ["run 2", "run 1"], "{told}");
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn() {
        let term = InMemoryTerm::new(10, 81);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let mut bars = ProgressBars::on(target, Terminal::None);
        bars.update(&snapshot());
        bars.finish();
        assert_eq!(term.contents(), "");
    }
}
