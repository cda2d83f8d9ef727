//! What `mobula top` shows at one moment: runs, workers, memory, errors, in as many lines as there are.
//!
//! Keys and errors may hold anything: they become pieces of a [`Line`], which cannot move the cursor.

use crate::diagnostics::progress::{Line, Room, Tone, ending, lines};
use crate::monitor::{
    ErrorSnapshot, MemorySnapshot, RunStatus, Snapshot, Totals, WorkerKind, WorkerSnapshot,
    WorkerState, human,
};

/// How many runs that have ended are told of, and how many errors.
const ENDED: usize = 3;
const ERRORS: usize = 3;

/// How things stand, as lines. Up to a third of them is kept for errors, however many
/// workers there are.
pub(super) fn frame(snapshot: &Snapshot, room: Room) -> Vec<Line> {
    let width = room.width;
    let mut head =
        vec![headline(snapshot), memory_line(&snapshot.memory), totals_line(&snapshot.totals)];
    head.retain(|line| line.width() > 0);
    let mut foot = error_lines(snapshot);
    foot.truncate(room.lines / 3);
    head.truncate(room.lines.saturating_sub(foot.len() + 1).max(1));

    // An empty line stands in front of each part.
    let left = room.lines.saturating_sub(head.len() + foot.len() + 3);
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
    let line = |error: &ErrorSnapshot| {
        let ago = human::seconds((snapshot.at - error.at).max(0.0));
        let mut line = Line::new(format!("{ago} ago"), Tone::Bad);
        if error.is_retried {
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
    use crate::diagnostics::progress::Room;
    use crate::monitor::{
        Counts, ErrorSnapshot, MemorySnapshot, PrefixSnapshot, RunSnapshot, RunStatus, Snapshot,
        Totals, WorkerKind, WorkerSnapshot, WorkerState,
    };

    /// What drives a terminal: sequences of both kinds, a title, a new line, a way back, letters of two columns.
    const HOSTILE: &str = "\x1b[2J\u{9b}31m\x1b]0;evil\x07\r\n\tデータ\u{7f}";

    fn counts(total: u64, done: u64, running: u64) -> Counts {
        Counts { total, done, running, waiting: total - done - running, ..Counts::default() }
    }

    fn prefix(name: &str, counts: Counts) -> PrefixSnapshot {
        PrefixSnapshot { name: name.to_owned(), counts, ..PrefixSnapshot::default() }
    }

    fn error(key: &str, error: &str) -> ErrorSnapshot {
        ErrorSnapshot {
            at: 12.0,
            key: key.to_owned(),
            error: error.to_owned(),
            is_final: true,
            ..ErrorSnapshot::default()
        }
    }

    fn worker(id: u32, task: &str) -> WorkerSnapshot {
        WorkerSnapshot {
            id,
            state: WorkerState::Busy,
            task: Some(task.to_owned()),
            run: Some(2),
            tasks: 1300,
            busy: 0.97,
            ..WorkerSnapshot::default()
        }
    }

    /// A cluster of three workers in the middle of its second run.
    fn snapshot() -> Snapshot {
        let before = RunSnapshot {
            id: 1,
            status: RunStatus::Failed,
            began: 10.0,
            ended: Some(12.5),
            counts: Counts { failed: 1, ..counts(10, 9, 0) },
            error: Some("task bad failed: no such file".to_owned()),
            ..RunSnapshot::default()
        };
        let now = RunSnapshot {
            id: 2,
            began: 120.0,
            counts: counts(1000, 600, 2),
            prefixes: vec![
                prefix("load", counts(500, 500, 0)),
                prefix("clean", counts(500, 100, 2)),
            ],
            rate: 120.0,
            seconds_left: Some(3.3),
            bytes: 5 << 20,
            ..RunSnapshot::default()
        };
        let child = WorkerSnapshot {
            kind: WorkerKind::Process,
            pid: Some(77),
            resident: Some(80 << 20),
            ..worker(1, "('clean', 102)")
        };
        let idle = WorkerSnapshot { id: 2, tasks: 7, ..WorkerSnapshot::default() };
        Snapshot {
            at: 125.0,
            version: "0.1.0".to_owned(),
            pid: 4242,
            workers: vec![worker(0, "('clean', 101)"), child, idle],
            runs: vec![before, now],
            memory: MemorySnapshot {
                limit: Some(1 << 30),
                values: 500,
                bytes: 300 << 20,
                spilled_values: 20,
                spilled_bytes: 50 << 20,
                disk_bytes: 30 << 20,
                resident: 900 << 20,
                resident_workers: 80 << 20,
            },
            totals: Totals { runs: 2, tasks: 609, failed: 1, ..Totals::default() },
            errors: vec![error("bad", "no such file")],
            ..Snapshot::default()
        }
    }

    fn texts(snapshot: &Snapshot, width: usize, lines: usize) -> Vec<String> {
        let frame = frame(snapshot, Room { width, lines });
        assert!(frame.len() <= lines && frame.iter().all(|line| line.width() <= width));
        frame.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_has_its_line() {
        assert_eq!(
            texts(&snapshot(), 120, usize::MAX),
            [
                "Mobula 0.1.0  process 4242  up 2 m 05 s  2 of 3 workers busy",
                "memory  300 MiB of 1 GiB in 500 values  20 values on disk (50 MiB, 30 MiB of files)  process 900 MiB  worker processes …",
                "so far  2 runs  609 tasks  1 failed",
                "",
                "run 2   ████████████████████████░░░░░░░░░░░░░░░░ 600/1,000  2 running  5 MiB  120 /s  3.3 s left",
                "  load  ████████████████████████████████████████   500/500",
                "  clean ████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   100/500  2 running",
                "run 1 failed after 2.5 s, 10 of 10 tasks: task bad failed: no such file",
                "",
                "worker 0   97 %  1,300 tasks  busy in ('clean', 101)  run 2",
                "worker 1   97 %  1,300 tasks  busy in ('clean', 102)  run 2  process 77  80 MiB",
                "worker 2    0 %      7 tasks  idle",
                "",
                "1 m 53 s ago  bad  no such file",
            ]
        );
    }

    #[test]
    fn it_fits_into_every_terminal_and_errors_have_their_lines() {
        let mut many = snapshot();
        many.workers = (0..200).map(|id| worker(id, "x")).collect();
        for (width, lines) in [(0, 0), (1, 1), (20, 5), (40, 10), (80, 24), (200, 60), (500, 500)] {
            texts(&many, width, lines);
            texts(&Snapshot::default(), width, lines);
        }
        for lines in 3..30 {
            let last = texts(&many, 80, lines).pop();
            assert_eq!(last.as_deref(), Some("1 m 53 s ago  bad  no such file"), "{lines}");
        }
        let texts = texts(&many, 80, 24);
        assert!(texts.iter().any(|line| line.starts_with("and ") && line.ends_with("busy")));
    }

    #[test]
    fn what_keys_and_errors_hold_does_not_drive_the_terminal() {
        let mut odd = snapshot();
        let hostile = |text: &str| format!("{HOSTILE}{text}{HOSTILE}");
        odd.workers = vec![worker(0, &hostile("key"))];
        odd.errors = vec![error(&hostile("key"), "first\nsecond\nthird"); 9];
        odd.errors.push(error("k", &hostile("error")));
        odd.runs[0].error = Some(hostile("error"));
        odd.runs[1].prefixes[0].name = hostile("prefix");
        for (width, lines) in [(30, 12), (80, 24), (400, 100)] {
            let texts = texts(&odd, width, lines);
            assert!(!texts.iter().any(|line| line.contains(char::is_control)), "{texts:?}");
        }
        let texts = texts(&odd, 200, 24);
        let first = texts.iter().filter(|line| line.ends_with("  first")).count();
        assert_eq!(first, 2, "{texts:#?}");
        assert!(!texts.iter().any(|line| line.contains("second")));
    }
}
