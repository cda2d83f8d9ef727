//! What is shown: runs, workers, memory, errors, in as many lines as there are.

use crate::diagnostics::progress::{Line, Room, Tone, ending, lines};
use crate::monitor::{
    MemorySnapshot, RunStatus, Snapshot, Totals, WorkerKind, WorkerSnapshot, WorkerState, human,
};

/// How many runs that have ended are told of, and how many errors.
const ENDED: usize = 3;
const ERRORS: usize = 3;

/// How things stand, as lines.
pub(super) fn frame(snapshot: &Snapshot, room: Room) -> Vec<Line> {
    let width = room.width;
    let mut head =
        vec![headline(snapshot), memory_line(&snapshot.memory), totals_line(&snapshot.totals)];
    head.retain(|line| line.width() > 0);
    let mut foot = error_lines(snapshot);
    foot.truncate(room.lines / 3);

    let left = room.lines.saturating_sub(head.len() + foot.len() + 2);
    let runs = run_lines(snapshot, Room { width, lines: left.div_ceil(2) });
    let left = left.saturating_sub(runs.len());
    let workers = worker_lines(snapshot, Room { width, lines: left });

    let mut frame = head;
    for part in [runs, workers, foot] {
        if !part.is_empty() {
            frame.push(Line::default());
            frame.extend(part);
        }
    }
    frame.truncate(room.lines);
    frame.into_iter().map(|line| line.cut(width)).collect()
}

fn headline(snapshot: &Snapshot) -> Line {
    let mut line = Line::new(format!("Mobula {}", snapshot.version), Tone::Strong);
    let up = human::seconds(snapshot.at.max(0.0));
    line.push(format!("  process {}  up {up}", snapshot.pid), Tone::Plain);
    let busy = snapshot.workers.iter().filter(|worker| worker.state != WorkerState::Idle).count();
    line.push(format!("  {busy} of {} workers busy", snapshot.workers.len()), Tone::Plain);
    line
}

fn memory_line(memory: &MemorySnapshot) -> Line {
    let mut line = Line::new("memory", Tone::Soft);
    let of = memory.limit.map(|limit| format!(" of {}", human::bytes(limit))).unwrap_or_default();
    let values = counted(memory.values, "value");
    let is_full = memory.limit.is_some_and(|limit| memory.bytes > limit);
    let tone = if is_full { Tone::Bad } else { Tone::Plain };
    line.push(format!("  {}{of} in {values}", human::bytes(memory.bytes)), tone);
    if memory.spilled_values > 0 {
        let spilled = counted(memory.spilled_values, "value");
        let (bytes, disk) = (human::bytes(memory.spilled_bytes), human::bytes(memory.disk_bytes));
        line.push(format!("  {spilled} on disk ({bytes}, {disk} of files)"), Tone::Plain);
    }
    if memory.resident > 0 {
        line.push(format!("  process {}", human::bytes(memory.resident)), Tone::Soft);
    }
    if memory.resident_workers > 0 {
        line.push(
            format!("  worker processes {}", human::bytes(memory.resident_workers)),
            Tone::Soft,
        );
    }
    line
}

/// What has happened; nothing if nothing has.
fn totals_line(totals: &Totals) -> Line {
    let parts = [
        (totals.runs, "run", Tone::Plain),
        (totals.tasks, "task", Tone::Plain),
        (totals.cached, "cached", Tone::Plain),
        (totals.failed, "failed", Tone::Bad),
        (totals.retried, "retried", Tone::Plain),
        (totals.spilled, "spilled", Tone::Plain),
        (totals.restored, "restored", Tone::Plain),
        (totals.workers_lost, "lost worker", Tone::Bad),
    ];
    let mut line = Line::default();
    for (count, word, tone) in parts.into_iter().filter(|(count, ..)| *count > 0) {
        if line.width() == 0 {
            line.push("so far", Tone::Soft);
        }
        let is_noun = matches!(word, "run" | "task" | "lost worker");
        let text =
            if is_noun { counted(count, word) } else { format!("{} {word}", human::count(count)) };
        line.push(format!("  {text}"), tone);
    }
    line
}

/// Bars of the runs that go on, and a line for each of the last ones that have ended.
fn run_lines(snapshot: &Snapshot, room: Room) -> Vec<Line> {
    let ended: Vec<_> =
        snapshot.runs.iter().filter(|run| run.status != RunStatus::Running).collect();
    let shown = ended.len().min(ENDED).min(room.lines);
    let mut all = lines(snapshot, Room { lines: room.lines - shown, ..room });
    all.extend(ended[ended.len() - shown..].iter().map(|run| ending(run, room.width)));
    if snapshot.runs.is_empty() && room.lines > 0 {
        all.push(Line::new("no run yet", Tone::Soft));
    }
    all
}

/// A line for each worker: the busy ones if not all fit.
fn worker_lines(snapshot: &Snapshot, room: Room) -> Vec<Line> {
    let all = &snapshot.workers;
    let shown = if all.len() > room.lines { room.lines.saturating_sub(1) } else { all.len() };
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|worker| (all[*worker].state == WorkerState::Idle, *worker));
    let (first, rest) = order.split_at(shown);
    let mut first = first.to_vec();
    first.sort_unstable();
    let digits = all.iter().map(|worker| worker.id.to_string().len()).max().unwrap_or(1);
    let tasks = all.iter().map(|worker| human::count(worker.tasks).len()).max().unwrap_or(1);
    let mut lines: Vec<Line> =
        first.iter().map(|worker| worker_line(&all[*worker], digits, tasks)).collect();
    if !rest.is_empty() && room.lines > 0 {
        let busy = rest.iter().filter(|worker| all[**worker].state != WorkerState::Idle).count();
        let text =
            format!("and {}, {busy} of them busy", counted(rest.len() as u64, "more worker"));
        lines.push(Line::new(text, Tone::Soft));
    }
    lines
}

fn worker_line(worker: &WorkerSnapshot, digits: usize, tasks: usize) -> Line {
    let mut line = Line::new(format!("worker {:>digits$}", worker.id), Tone::Strong);
    let busy = format!("{:.0} %", (worker.busy * 100.0).clamp(0.0, 100.0));
    line.push(format!("  {busy:>5}"), Tone::Plain);
    line.push(format!("  {:>tasks$} tasks", human::count(worker.tasks)), Tone::Soft);
    match worker.state {
        WorkerState::Idle => line.push("  idle", Tone::Soft),
        WorkerState::Stuck => line.push("  stuck", Tone::Bad),
        WorkerState::Busy => line.push("  busy", Tone::Good),
    }
    if let Some(task) = &worker.task {
        line.push(format!(" in {}", human::shortened(task, 48)), Tone::Plain);
    }
    if let Some(run) = worker.run {
        line.push(format!("  run {run}"), Tone::Soft);
    }
    if worker.kind == WorkerKind::Process
        && let Some(pid) = worker.pid
    {
        line.push(format!("  process {pid}"), Tone::Soft);
    }
    if let Some(resident) = worker.resident {
        line.push(format!("  {}", human::bytes(resident)), Tone::Soft);
    }
    line
}

/// The last errors, the newest first.
fn error_lines(snapshot: &Snapshot) -> Vec<Line> {
    let line = |error: &crate::monitor::ErrorSnapshot| {
        let ago = human::seconds((snapshot.at - error.at).max(0.0));
        let mut line = Line::new(format!("{ago} ago"), Tone::Bad);
        if !error.is_final {
            line.push(", tried again", Tone::Soft);
        }
        let text = error.error.lines().next().unwrap_or_default();
        // Most errors name the key themselves.
        if !text.contains(&error.key) {
            line.push(format!("  {}", human::shortened(&error.key, 40)), Tone::Strong);
        }
        line.push(format!("  {text}"), Tone::Plain);
        line
    };
    snapshot.errors.iter().rev().take(ERRORS).map(line).collect()
}

fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", human::count(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::frame;
    use crate::command::tests::samples::snapshot;
    use crate::diagnostics::progress::Room;
    use crate::monitor::{Snapshot, WorkerSnapshot};

    fn texts(snapshot: &Snapshot, width: usize, lines: usize) -> Vec<String> {
        let frame = frame(snapshot, Room { width, lines });
        assert!(frame.len() <= lines && frame.iter().all(|line| line.width() <= width));
        frame.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_has_its_line() {
        assert_eq!(
            texts(&snapshot(), 100, 40),
            [
                "Mobula 0.1.0  process 4242  up 2 m 05 s  2 of 3 workers busy",
                "memory  300 MiB of 1 GiB in 500 values  20 values on disk (50 MiB, 30 MiB of files)  process 900 MiB",
                "so far  2 runs  609 tasks  1 failed",
                "",
                "run 2   ████████████████████████░░░░░░░░░░░░░░░░ 600/1,000  2 running  5 MiB  120 /s  3.3 s left",
                "  load  ████████████████████████████████████████   500/500",
                "  clean ████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   100/500  2 running",
                "run 1 failed after 2.5 s, 10 of 10 tasks: task bad failed: no such file",
                "",
                "worker 0   97 %  1,300 tasks  busy in ('clean', 101)  run 2",
                "worker 1   97 %  1,300 tasks  busy in ('clean', 101)  run 2  process 77  80 MiB",
                "worker 2    0 %      7 tasks  idle",
                "",
                "1 m 53 s ago  bad  no such file",
            ]
        );
    }

    #[test]
    fn it_fits_into_every_terminal() {
        let mut many = snapshot();
        many.workers =
            (0..200).map(|id| WorkerSnapshot { id, ..WorkerSnapshot::default() }).collect();
        for (width, lines) in [(0, 0), (1, 1), (20, 5), (40, 10), (80, 24), (200, 60), (500, 500)] {
            texts(&many, width, lines);
            texts(&Snapshot::default(), width, lines);
        }
        let texts = texts(&many, 80, 24);
        assert!(texts.iter().any(|line| line.starts_with("and ") && line.ends_with("busy")));
    }
}
