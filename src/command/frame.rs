//! What `mobula top` shows at one moment, as text.

use crate::diagnostics::progress::{Line, Tone};
use crate::monitor::{Counts, RunSnapshot, RunStatus, Snapshot, human};

/// So many key prefixes of a run have a line.
const MOST_PREFIXES: usize = 8;

/// So many errors have a line.
const MOST_ERRORS: usize = 3;

/// The state of a cluster in lines of at most `width` columns, fewer than `height` of them. Whatever stands in a key
/// or an error, it stays on its line.
pub(super) fn frame(snapshot: &Snapshot, width: usize, height: usize) -> String {
    let errors = errors(snapshot);
    let room = height.saturating_sub(1 + errors.len()).max(1);
    let mut lines = head(snapshot);
    for run in snapshot.runs.iter().rev() {
        lines.push(String::new());
        lines.extend(run_lines(run, width));
        if lines.len() > room / 2 {
            break;
        }
    }
    lines.push(String::new());
    for worker in &snapshot.workers {
        let what = worker.task.as_deref().unwrap_or("idle");
        let resident = worker.resident.map(|bytes| format!(" {}", human::bytes(bytes)));
        lines.push(format!(
            "worker {:<3} {:>5} busy  {:>9} tasks{}  {what}",
            worker.id,
            format!("{:.0} %", worker.busy * 100.0),
            human::count(worker.tasks),
            resident.unwrap_or_default(),
        ));
    }
    if lines.len() > room {
        let more = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(format!("… and {more} more lines"));
    }
    lines.extend(errors);
    lines.truncate(height.saturating_sub(1).max(1));
    let fit = |line: &String| Line::new(line, Tone::Plain).cut(width).to_string();
    let mut text = lines.iter().map(fit).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

/// The last errors, the first line of each.
fn errors(snapshot: &Snapshot) -> Vec<String> {
    let errors = snapshot.errors.iter().rev().take(MOST_ERRORS);
    errors
        .map(|error| {
            let kind = if error.is_final { "failed" } else { "failed, is tried again" };
            let first = error.error.lines().next().unwrap_or_default();
            format!("{} {kind}: {first}", error.key)
        })
        .collect()
}

fn head(snapshot: &Snapshot) -> Vec<String> {
    let (memory, totals) = (&snapshot.memory, &snapshot.totals);
    let limit =
        memory.limit.map_or_else(String::new, |limit| format!(" of {}", human::bytes(limit)));
    vec![
        format!(
            "Mobula {}, process {}, up {}: {} runs, {} tasks, {} failed, {} retried",
            snapshot.version,
            snapshot.pid,
            human::seconds(snapshot.at),
            human::count(totals.runs),
            human::count(totals.tasks),
            human::count(totals.failed),
            human::count(totals.retried),
        ),
        format!(
            "values {}{limit}, on disk {}; the process has {}, its workers {}",
            human::bytes(memory.bytes),
            human::bytes(memory.spilled_bytes),
            human::bytes(memory.resident),
            human::bytes(memory.resident_workers),
        ),
    ]
}

fn run_lines(run: &RunSnapshot, width: usize) -> Vec<String> {
    let status = match run.status {
        RunStatus::Running => match run.seconds_left {
            Some(left) => format!("{}, about {} left", human::rate(run.rate), human::seconds(left)),
            None => "begins".to_owned(),
        },
        RunStatus::Done => format!("done in {}", took(run)),
        RunStatus::Failed => format!("failed after {}", took(run)),
        RunStatus::Cancelled => format!("cancelled after {}", took(run)),
    };
    let name = format!("run {}", run.id);
    let mut lines = vec![format!("{}  {status}", line(&name, &run.counts, width))];
    let error = run.error.as_deref().and_then(|error| error.lines().next());
    lines.extend(error.map(ToOwned::to_owned));
    if run.prefixes.len() > 1 {
        for prefix in run.prefixes.iter().take(MOST_PREFIXES) {
            lines.push(format!("  {}", line(&prefix.name, &prefix.counts, width)));
        }
        let others = run.prefixes.len().saturating_sub(MOST_PREFIXES) as u64 + run.more_prefixes;
        if others > 0 {
            lines.push(format!("  and {others} more key prefixes"));
        }
    }
    lines
}

fn took(run: &RunSnapshot) -> String {
    human::seconds(run.ended.unwrap_or(run.began) - run.began)
}

/// Name, bar and numbers.
fn line(name: &str, counts: &Counts, width: usize) -> String {
    let room = (width / 4).clamp(6, 24);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a short bar"
    )]
    let full = (counts.share() * room as f64) as usize;
    let bar = format!("[{}{}]", "#".repeat(full.min(room)), ".".repeat(room - full.min(room)));
    let mut told = format!("{:<14.14} {bar} {}/{}", name, counts.ended(), counts.total);
    for (count, word) in [
        (counts.running, "running"),
        (counts.cached, "cached"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.retried, "retried"),
    ] {
        if count > 0 {
            told.extend([", ", &human::count(count), " ", word]);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{ErrorSnapshot, PrefixSnapshot, WorkerSnapshot};

    fn snapshot() -> Snapshot {
        let counts =
            Counts { total: 10, done: 4, cached: 1, running: 2, waiting: 3, ..Counts::default() };
        let prefix =
            |name: &str| PrefixSnapshot { name: name.to_owned(), counts, ..Default::default() };
        let run = RunSnapshot {
            id: 7,
            counts,
            prefixes: vec![prefix("load"), prefix("sum")],
            rate: 12.0,
            seconds_left: Some(65.0),
            ..RunSnapshot::default()
        };
        let worker = WorkerSnapshot {
            busy: 0.5,
            task: Some("('load', 3)".to_owned()),
            ..Default::default()
        };
        Snapshot { runs: vec![run], workers: vec![worker], ..Snapshot::default() }
    }

    #[test]
    fn runs_prefixes_and_workers_have_their_lines() {
        let text = frame(&snapshot(), 120, usize::MAX);
        let bar = format!("[{}{}]", "#".repeat(12), ".".repeat(12));
        for line in [
            format!("run 7          {bar} 5/10, 2 running, 1 cached  12 /s, about 1 m 05 s left"),
            format!("  load           {bar} 5/10, 2 running, 1 cached"),
            "worker 0    50 % busy          0 tasks  ('load', 3)".to_owned(),
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\nin\n{text}");
        }
    }

    #[test]
    fn what_stands_in_keys_and_errors_stays_on_its_line() {
        let mut hostile = snapshot();
        let evil = "\u{1b}[2J\u{1b}]0;title\u{7}\nline\r漢字漢字漢字漢字漢字漢字";
        hostile.runs[0].prefixes[0].name = evil.to_owned();
        hostile.runs[0].error = Some(evil.to_owned());
        hostile.workers = (0..100)
            .map(|id| WorkerSnapshot { id, task: Some(evil.to_owned()), ..Default::default() })
            .collect();
        hostile.errors = vec![ErrorSnapshot {
            key: evil.to_owned(),
            error: "the first line\nthe second".to_owned(),
            ..Default::default()
        }];
        for (width, height) in [(30, 12), (60, 24)] {
            let text = frame(&hostile, width, height);
            assert_eq!(text.lines().count(), height - 1, "{text}");
            assert!(text.lines().all(|line| human::width(line) <= width), "{text}");
            assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
            assert!(text.lines().any(|line| line.starts_with("… and")), "{text}");
        }
        let wide = frame(&hostile, 200, 24);
        assert!(wide.lines().last().unwrap().ends_with("failed, is tried again: the first line"));
    }

    #[test]
    fn nothing_is_wider_or_higher_than_the_terminal() {
        for (width, height) in [(20, 8), (40, 10), (200, 100)] {
            let text = frame(&snapshot(), width, height);
            assert!(text.lines().count() < height, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        }
    }
}
