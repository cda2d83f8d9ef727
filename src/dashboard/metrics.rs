//! Numbers for Prometheus, in its text format, version 0.0.4.

use std::fmt::Write;

use crate::monitor::{Counts, RunStatus, Snapshot, WorkerState};

/// The prefix under which those tasks are counted whose own one the snapshot leaves out.
const OTHERS: &str = "(other)";

/// A family of samples that is being written.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            write!(self.0, "{open}{label}=\"{}\"", escaped(text)).ok();
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{close} {value}").ok();
    }

    /// A family with one sample.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// The value of a label, as it is written.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// How things stand in a cluster.
pub(super) fn metrics(snapshot: &Snapshot) -> String {
    let mut page = Page(String::new());
    page.family("mobula_info", "gauge", "The version of Mobula.");
    page.sample("mobula_info", &[("version", &snapshot.version)], 1);
    page.single(
        "mobula_uptime_seconds",
        "gauge",
        "How long the cluster has been there.",
        snapshot.at,
    );
    runs(&mut page, snapshot);
    tasks(&mut page, snapshot);
    memory(&mut page, snapshot);
    workers(&mut page, snapshot);
    states(&mut page, snapshot);
    page.0
}

fn runs(page: &mut Page, snapshot: &Snapshot) {
    let totals = &snapshot.totals;
    let running = snapshot.runs.iter().filter(|run| run.status == RunStatus::Running).count();
    page.single("mobula_runs_running", "gauge", "Runs that go on.", running);
    page.single("mobula_runs_started_total", "counter", "Runs that have begun.", totals.runs);
    page.family("mobula_runs_ended_total", "counter", "Runs that have ended, by how.");
    for (status, runs) in [
        ("done", totals.runs_done),
        ("failed", totals.runs_failed),
        ("cancelled", totals.runs_cancelled),
    ] {
        page.sample("mobula_runs_ended_total", &[("status", status)], runs);
    }
}

fn tasks(page: &mut Page, snapshot: &Snapshot) {
    let totals = &snapshot.totals;
    page.family("mobula_tasks_ended_total", "counter", "Tasks that have ended, by how.");
    for (state, tasks) in
        [("done", totals.tasks), ("cached", totals.cached), ("failed", totals.failed)]
    {
        page.sample("mobula_tasks_ended_total", &[("state", state)], tasks);
    }
    page.single(
        "mobula_task_retries_total",
        "counter",
        "Attempts that were made again.",
        totals.retried,
    );
    let help = "Tasks that have ended and are counted, but whose times are not known.";
    page.single("mobula_tasks_unseen_total", "counter", help, totals.unseen);
    page.family("mobula_tasks", "gauge", "Tasks of the runs that go on, by key prefix and state.");
    let going_on = snapshot.runs.iter().filter(|run| run.status == RunStatus::Running);
    let mut by_prefix: std::collections::BTreeMap<&str, Counts> = std::collections::BTreeMap::new();
    for run in going_on {
        let mut others = run.counts;
        for prefix in &run.prefixes {
            let sum = by_prefix.entry(&prefix.name).or_default();
            *sum = sum.and(&prefix.counts);
            others = others.without(&prefix.counts);
        }
        if run.more_prefixes > 0 {
            let sum = by_prefix.entry(OTHERS).or_default();
            *sum = sum.and(&others);
        }
    }
    for (prefix, counts) in by_prefix {
        for (state, tasks) in [
            ("waiting", counts.waiting),
            ("running", counts.running),
            ("done", counts.done),
            ("cached", counts.cached),
            ("failed", counts.failed),
            ("skipped", counts.skipped),
        ] {
            page.sample("mobula_tasks", &[("prefix", prefix), ("state", state)], tasks);
        }
    }
}

fn memory(page: &mut Page, snapshot: &Snapshot) {
    let (memory, totals) = (&snapshot.memory, &snapshot.totals);
    page.single("mobula_values", "gauge", "Values in memory.", memory.values);
    page.single("mobula_values_bytes", "gauge", "What the values in memory take.", memory.bytes);
    if let Some(limit) = memory.limit {
        page.single("mobula_memory_limit_bytes", "gauge", "What values may take.", limit);
    }
    page.single("mobula_spilled_values", "gauge", "Values on disk only.", memory.spilled_values);
    let help = "What the values on disk take when they are in memory.";
    page.single("mobula_spilled_bytes", "gauge", help, memory.spilled_bytes);
    page.single("mobula_disk_bytes", "gauge", "What the files of values take.", memory.disk_bytes);
    page.single("mobula_spills_total", "counter", "Values that moved to disk.", totals.spilled);
    let help = "What the values that moved to disk took in memory.";
    page.single("mobula_spill_bytes_total", "counter", help, totals.spilled_bytes);
    page.single("mobula_restores_total", "counter", "Values that came back.", totals.restored);
    let help = "What the values that came back take in memory.";
    page.single("mobula_restore_bytes_total", "counter", help, totals.restored_bytes);
    page.family("mobula_resident_bytes", "gauge", "What processes have in memory, by process.");
    page.sample("mobula_resident_bytes", &[("process", "cluster")], memory.resident);
    page.sample("mobula_resident_bytes", &[("process", "workers")], memory.resident_workers);
}

fn workers(page: &mut Page, snapshot: &Snapshot) {
    page.family("mobula_workers", "gauge", "Workers, by what they do.");
    for (name, state) in
        [("idle", WorkerState::Idle), ("busy", WorkerState::Busy), ("stuck", WorkerState::Stuck)]
    {
        let count = snapshot.workers.iter().filter(|worker| worker.state == state).count();
        page.sample("mobula_workers", &[("state", name)], count);
    }
    page.family("mobula_worker_tasks_total", "counter", "Tasks that a worker has ended.");
    for worker in &snapshot.workers {
        let number = worker.id.to_string();
        page.sample("mobula_worker_tasks_total", &[("worker", &number)], worker.tasks);
    }
    page.family(
        "mobula_worker_busy_ratio",
        "gauge",
        "The share of the last seconds spent in tasks.",
    );
    for worker in &snapshot.workers {
        let number = worker.id.to_string();
        page.sample("mobula_worker_busy_ratio", &[("worker", &number)], worker.busy);
    }
    let lost = snapshot.totals.workers_lost;
    page.single("mobula_workers_lost_total", "counter", "Threads and processes that died.", lost);
}

fn states(page: &mut Page, snapshot: &Snapshot) {
    page.family("mobula_state_messages_total", "counter", "Messages to state actors, by type.");
    let mut by_name: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for state in &snapshot.states {
        *by_name.entry(&state.name).or_default() += state.messages;
    }
    for (name, messages) in by_name {
        page.sample("mobula_state_messages_total", &[("actor", name)], messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{MemorySnapshot, RunSnapshot, Totals};

    #[test]
    fn tasks_add_up_to_the_run_though_the_snapshot_leaves_prefixes_out() {
        let mut run = RunSnapshot { more_prefixes: 2, ..RunSnapshot::default() };
        run.counts = Counts { total: 9, waiting: 4, done: 5, ..Counts::default() };
        run.prefixes.push(crate::monitor::PrefixSnapshot::default());
        run.prefixes[0].name = "x".to_owned();
        run.prefixes[0].counts = Counts { total: 5, waiting: 3, done: 2, ..Counts::default() };
        let page = metrics(&Snapshot { runs: vec![run.clone(), run], ..Snapshot::default() });
        let tasks = page.lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix("mobula_tasks{")?.split_once("} ")?;
            value.parse::<u64>().ok().filter(|tasks| *tasks > 0).map(|tasks| (labels, tasks))
        });
        let wanted = [
            ("prefix=\"(other)\",state=\"waiting\"", 2),
            ("prefix=\"(other)\",state=\"done\"", 6),
            ("prefix=\"x\",state=\"waiting\"", 6),
            ("prefix=\"x\",state=\"done\"", 4),
        ];
        assert_eq!(tasks.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn each_sample_stands_behind_its_family() {
        let mut snapshot = Snapshot {
            totals: Totals { runs: 3, tasks: 7, ..Totals::default() },
            memory: MemorySnapshot { limit: Some(10), ..MemorySnapshot::default() },
            ..Snapshot::default()
        };
        let mut run = RunSnapshot::default();
        run.prefixes.push(crate::monitor::PrefixSnapshot::default());
        run.prefixes[0].name = "a \"quoted\"\\ name\n".to_owned();
        run.prefixes[0].counts.waiting = 2;
        run.prefixes[0].counts.done = 5;
        snapshot.runs.push(run);
        let page = metrics(&snapshot);
        let mut family = "";
        for line in page.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                let (name, kind) = told.split_once(' ').expect("a name and a kind");
                family = name;
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            } else if !line.starts_with("# HELP ") {
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                assert_eq!(name, family, "{line}");
                assert!(
                    line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok())
                );
            }
        }
        assert!(page.contains("mobula_tasks_ended_total{state=\"done\"} 7\n"));
        assert!(page.contains("prefix=\"a \\\"quoted\\\"\\\\ name\\n\",state=\"waiting\"} 2\n"));
        assert!(page.contains("name\\n\",state=\"done\"} 5\n"));
        assert!(page.contains("mobula_memory_limit_bytes 10\n"));
    }
}
