//! [`ending`]: how a run ended, in one line.

use super::line::{Line, Tone};
use crate::monitor::{RunSnapshot, RunStatus, human};

/// How a run ended, in what time, and with what; of one that goes on, how far it is.
///
/// # Examples
///
/// ```
/// use mobula::diagnostics::progress::ending;
/// use mobula::monitor::RunSnapshot;
///
/// let line = ending(&RunSnapshot::default(), 80);
/// assert_eq!(line.to_string(), "run 0 goes on: 0 of 0 tasks");
/// ```
pub fn ending(run: &RunSnapshot, width: usize) -> Line {
    let time = human::seconds((run.ended.unwrap_or(run.began) - run.began).max(0.0));
    let mut line = Line::new(format!("run {} ", run.id), Tone::Strong);
    let ended = human::count(run.counts.ended());
    let far = format!("{ended} of {} tasks", human::count(run.counts.total));
    match run.status {
        RunStatus::Running => {
            line.push("goes on", Tone::Plain);
            line.push(format!(": {far}"), Tone::Plain);
        }
        RunStatus::Done => {
            line.push("done", Tone::Good);
            let tasks = if run.counts.total == 1 { "task" } else { "tasks" };
            line.push(
                format!(": {} {tasks} in {time}", human::count(run.counts.total)),
                Tone::Plain,
            );
            extras(&mut line, run);
        }
        RunStatus::Failed => {
            line.push("failed", Tone::Bad);
            line.push(format!(" after {time}, {far}"), Tone::Plain);
            if let Some(error) = run.error.as_deref().and_then(|error| error.lines().next()) {
                line.push(format!(": {error}"), Tone::Plain);
            }
        }
        RunStatus::Cancelled => {
            line.push("cancelled", Tone::Bad);
            line.push(format!(" after {time}, {far}"), Tone::Plain);
        }
    }
    line.cut(width)
}

/// What else is told of a run that ended well.
fn extras(line: &mut Line, run: &RunSnapshot) {
    for (count, word, tone) in [
        (run.counts.cached, "cached", Tone::Plain),
        (run.counts.failed, "failed", Tone::Bad),
        (run.counts.skipped, "skipped", Tone::Bad),
        (run.counts.retried, "retried", Tone::Plain),
    ] {
        if count > 0 {
            line.push(", ", Tone::Plain);
            line.push(format!("{} {word}", human::count(count)), tone);
        }
    }
    if run.bytes > 0 {
        line.push(format!(", {}", human::bytes(run.bytes)), Tone::Soft);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::run;
    use super::ending;
    use crate::monitor::{RunSnapshot, RunStatus};

    fn ended(status: RunStatus, error: Option<&str>) -> RunSnapshot {
        RunSnapshot { status, ended: Some(75.0), error: error.map(str::to_owned), ..run() }
    }

    fn text(run: &RunSnapshot) -> String {
        ending(run, 120).to_string()
    }

    #[test]
    fn each_end_has_its_words() {
        let done = "run 7 done: 2,001 tasks in 1 m 05 s, 15 cached, 2 failed, 3 skipped, 3 GiB";
        assert_eq!(text(&ended(RunStatus::Done, None)), done);
        let cancelled = "run 7 cancelled after 1 m 05 s, 1,250 of 2,001 tasks";
        assert_eq!(text(&ended(RunStatus::Cancelled, None)), cancelled);
        let failed =
            "run 7 failed after 1 m 05 s, 1,250 of 2,001 tasks: task x failed: no such file";
        let error = Some("task x failed: no such file\nTraceback");
        assert_eq!(text(&ended(RunStatus::Failed, error)), failed);
        assert_eq!(text(&run()), "run 7 goes on: 1,250 of 2,001 tasks");
    }

    #[test]
    fn it_is_one_line_that_fits() {
        let failed = ended(RunStatus::Failed, Some("a very long error, which says where it was"));
        assert_eq!(
            ending(&failed, 60).to_string(),
            "run 7 failed after 1 m 05 s, 1,250 of 2,001 tasks: a very l…"
        );
    }
}
