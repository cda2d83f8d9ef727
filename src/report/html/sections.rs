//! The sections of the page from top to bottom: how it ended, the figures, the tables.

use std::fmt::Display;
use std::io::{self, Write};

use super::words::{Escaped, bytes, count, counted, moment, part, share, time};
use super::{graph, trouble};
use crate::monitor::{RecordedRun, Recording, RunStatus};
use crate::report::summary::Summary;

/// How many rows a table has at most.
const ROWS: usize = 500;

/// How many colours there are for key prefixes; see `page/theme.css`.
const COLOURS: usize = 12;

type Section<W> = fn(&Recording, &Summary, &mut W) -> io::Result<()>;

pub(super) fn write<W: Write>(
    recording: &Recording,
    summary: &Summary,
    out: &mut W,
) -> io::Result<()> {
    let is_there =
        |there: bool, section: (&'static str, &'static str, Section<W>)| there.then_some(section);
    let has_failures = recording.incidents.iter().any(|incident| incident.kind == "failed");
    let has_graph = recording.runs.iter().any(|run| !run.graph.keys.is_empty());
    let sections: Vec<(&str, &str, Section<W>)> = [
        is_there(true, ("stream", "Task stream", stream)),
        is_there(true, ("runs", "Runs", runs)),
        is_there(true, ("prefixes", "Key prefixes", prefixes)),
        is_there(true, ("memory", "Memory", memory)),
        is_there(true, ("workers", "Workers", workers)),
        is_there(has_graph, ("graph", "Graph", graph::write)),
        is_there(has_failures, ("errors", "Errors", trouble::errors)),
        is_there(!recording.incidents.is_empty(), ("incidents", "Incidents", trouble::incidents)),
        is_there(true, ("callbacks", "Callbacks", callbacks)),
    ]
    .into_iter()
    .flatten()
    .collect();
    top(recording, summary, out)?;
    out.write_all(b"<nav aria-label=\"Sections\"><ul>")?;
    for (id, name, _) in &sections {
        write!(out, "<li><a href=\"#{id}\">{name}</a></li>")?;
    }
    out.write_all(b"</ul></nav>\n")?;
    for (id, name, write) in sections {
        writeln!(
            out,
            "<section class=\"card\" id=\"{id}\" aria-labelledby=\"{id}-name\">\n\
             <h2 id=\"{id}-name\">{name}</h2>"
        )?;
        write(recording, summary, out)?;
        out.write_all(b"</section>\n")?;
    }
    Ok(())
}

/// What the page is called.
pub(super) fn title(recording: &Recording, summary: &Summary) -> String {
    let runs = counted(recording.runs.len() as u64, "run");
    let status = status_name(Summary::status(recording));
    format!("Mobula report: {runs}, {}, {status}", counted(summary.tasks, "task"))
}

fn status_name(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "not ended",
        RunStatus::Done => "done",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}

fn status(status: RunStatus) -> String {
    let class = match status {
        RunStatus::Running => "running",
        RunStatus::Done => "done",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    };
    format!("<span class=\"status status-{class}\">{}</span>", status_name(status))
}

/// The name of the page, how it ended, and the figures.
fn top(recording: &Recording, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let ended = Summary::status(recording);
    let status = if recording.runs.is_empty() { String::new() } else { status(ended) };
    writeln!(
        out,
        "<header class=\"top\">\n<h1>Mobula report {status}</h1>\n\
         <p class=\"note\">Begun {} · Mobula {}</p>\n</header>",
        moment(recording.unix_time),
        Escaped(&recording.version),
    )?;
    trouble::notices(recording, out)?;
    let elapsed = time(summary.elapsed);
    let peak = recording.memory.iter().map(|sample| sample.memory.bytes).max();
    let resident = |sample: &crate::monitor::MemorySample| {
        sample.memory.resident + sample.memory.resident_workers
    };
    let resident = recording.memory.iter().map(resident).max();
    let ways = [
        (summary.failed, "failed"),
        (summary.skipped, "skipped"),
        (summary.cached, "from callbacks"),
    ];
    let ways = ways.iter().filter(|(number, _)| *number > 0);
    let ways: Vec<String> = ways.map(|(number, way)| format!("{} {way}", count(*number))).collect();
    let of = format!("of {}", count(summary.tasks));
    let busy = format!("{} busy", share(summary.busy_share()));
    let figures = [
        ("Runs", count(recording.runs.len() as u64), String::new()),
        ("Tasks done", count(summary.done), [vec![of], ways].concat().join(", ")),
        ("Time", elapsed, format!("{} in tasks", time(summary.task_time))),
        ("Workers", count(summary.workers.len() as u64), busy),
        (
            "Most in values",
            peak.map_or_else(|| "–".to_owned(), bytes),
            resident.map_or_else(String::new, |most| format!("{} resident", bytes(most))),
        ),
    ];
    out.write_all(b"<section class=\"card\" aria-label=\"Summary\">\n<dl class=\"figures\">\n")?;
    for (name, figure, more) in figures {
        let more = if more.is_empty() { more } else { format!("<small>{more}</small>") };
        writeln!(out, "<div><dt>{name}</dt><dd>{figure}{more}</dd></div>")?;
    }
    out.write_all(b"</dl>\n</section>\n")
}

/// A table with sortable columns: name, and how it sorts. `rows` writes the body.
pub(super) fn table<W: Write>(
    out: &mut W,
    name: &str,
    columns: &[(&str, &str)],
    rows: impl FnOnce(&mut W) -> io::Result<()>,
) -> io::Result<()> {
    write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{name}\">\n\
         <table class=\"sortable\">\n<caption class=\"unseen\">{name}</caption>\n<thead><tr>"
    )?;
    for (place, (column, kind)) in columns.iter().enumerate() {
        // The first column names the rows.
        let is_figure = *kind == "number" && place > 0;
        let class = if is_figure { " class=\"number\"" } else { "" };
        write!(out, "<th scope=\"col\" data-sort=\"{kind}\"{class}>{column}</th>")?;
    }
    out.write_all(b"</tr></thead>\n<tbody>\n")?;
    rows(out)?;
    out.write_all(b"</tbody>\n</table>\n</div>\n")
}

/// A cell with a number: what it is, and how it is shown.
pub(super) fn cell(value: impl Display, shown: impl Display) -> String {
    format!("<td class=\"number\" data-value=\"{value}\">{shown}</td>")
}

/// The first cell of a row, which names it by a number.
pub(super) fn name_cell(value: impl Display, shown: impl Display) -> String {
    format!("<th scope=\"row\" data-value=\"{value}\">{shown}</th>")
}

/// A cell with a share from 0 to 1, and a bar.
fn bar_cell(value: f64, colour: &str) -> String {
    let percent = (value * 100.0).clamp(0.0, 100.0);
    format!(
        "<td class=\"number\" data-value=\"{value:.6}\">{}<span class=\"bar\" aria-hidden=\"true\">\
         <i style=\"width:{percent:.1}%;background:{colour}\"></i></span></td>",
        share(value),
    )
}

/// Says how many rows a table lacks.
pub(super) fn left_out(out: &mut impl Write, all: usize, what: &str) -> io::Result<()> {
    if all <= ROWS {
        return Ok(());
    }
    writeln!(out, "<p class=\"note\">And {}.</p>", counted((all - ROWS) as u64, what))
}

fn runs(recording: &Recording, _: &Summary, out: &mut impl Write) -> io::Result<()> {
    if recording.runs.is_empty() {
        return out.write_all(b"<p class=\"note\">No run was seen.</p>\n");
    }
    let columns = [
        ("Run", "number"),
        ("Ended", "text"),
        ("Begun at", "number"),
        ("Time", "number"),
        ("Tasks", "number"),
        ("Done", "number"),
        ("From callbacks", "number"),
        ("Failed", "number"),
        ("Skipped", "number"),
    ];
    table(out, "Runs", &columns, |out| {
        // What failed is shown in any case.
        let mut shown: Vec<&RecordedRun> = recording.runs.iter().collect();
        shown.sort_by_key(|run| run.status == RunStatus::Done);
        shown.truncate(ROWS);
        shown.sort_by_key(|run| run.began);
        for run in shown {
            let took = run.ended.unwrap_or(recording.ended).saturating_sub(run.began);
            let began = run.began.saturating_sub(recording.began);
            writeln!(
                out,
                "<tr>{}<td>{}</td>{}{}{}{}{}{}{}</tr>",
                name_cell(run.id, run.id),
                status(run.status),
                cell(began, time(began)),
                cell(took, time(took)),
                cell(run.tasks, count(run.tasks)),
                cell(run.done, count(run.done)),
                cell(run.cached.len(), count(run.cached.len() as u64)),
                cell(run.failed, count(run.failed)),
                cell(run.skipped, count(run.skipped)),
            )?;
        }
        Ok(())
    })?;
    left_out(out, recording.runs.len(), "other run")
}

fn stream(recording: &Recording, _: &Summary, out: &mut impl Write) -> io::Result<()> {
    if recording.spans.is_empty() {
        return out.write_all(b"<p class=\"note\">No task was seen.</p>\n");
    }
    out.write_all(
        b"<p class=\"note\">A row for each worker, a rectangle for each task. Where tasks are narrower than a \
          pixel, their colours are stacked by the time they take. Click it, then the wheel zooms.</p>\n\
          <div id=\"stream-drawing\"><p class=\"note\" id=\"stream-state\">Being drawn \xe2\x80\xa6</p></div>\n\
          <noscript><p class=\"note\">It is drawn by a script, which this browser does not run.</p></noscript>\n",
    )?;
    if recording.unseen > 0 {
        let tasks = counted(recording.unseen, "task");
        writeln!(out, "<p class=\"note\">{tasks} ended of which the time is not known.</p>")?;
    }
    Ok(())
}

fn prefixes(recording: &Recording, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let columns = [
        ("Prefix", "text"),
        ("Tasks", "number"),
        ("Failed", "number"),
        ("Time", "number"),
        ("Mean", "number"),
        ("Longest", "number"),
        ("Bytes", "number"),
        ("Share of time", "number"),
    ];
    let mut rows: Vec<usize> = (0..summary.prefixes.len()).collect();
    rows.sort_by_key(|place| std::cmp::Reverse(summary.prefixes[*place].time));
    rows.truncate(ROWS);
    table(out, "Tasks by key prefix", &columns, |out| {
        for place in rows {
            let sum = &summary.prefixes[place];
            let colour = format!("var(--prefix-{})", place % COLOURS);
            writeln!(
                out,
                "<tr><th scope=\"row\"><span class=\"swatch\" style=\"background:{colour}\"></span>{}</th>\
                 {}{}{}{}{}{}{}</tr>",
                Escaped(&sum.name),
                cell(sum.tasks, count(sum.tasks)),
                cell(sum.failed, count(sum.failed)),
                cell(sum.time, time(sum.time)),
                cell(sum.mean(), time(sum.mean())),
                cell(sum.longest, time(sum.longest)),
                cell(sum.bytes, bytes(sum.bytes)),
                bar_cell(part(sum.time, summary.task_time), &colour),
            )?;
        }
        Ok(())
    })?;
    left_out(out, summary.prefixes.len(), "other prefix of less time")?;
    let note =
        "Tasks that were seen and ended with a value; attempts that failed; the time of both.";
    let batches = " Tasks of less than 20 µs share looks at the clock.";
    let batches = if recording.spans.is_empty() { "" } else { batches };
    writeln!(out, "<p class=\"note\">{note}{batches}</p>")
}

fn memory(recording: &Recording, _: &Summary, out: &mut impl Write) -> io::Result<()> {
    if recording.memory.is_empty() {
        return out.write_all(b"<p class=\"note\">Nobody looked at the memory.</p>\n");
    }
    out.write_all(b"<div id=\"memory-drawing\"></div>\n")
}

fn workers(_: &Recording, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let columns = [
        ("Worker", "number"),
        ("Process", "number"),
        ("Tasks", "number"),
        ("Failed", "number"),
        ("Busy", "number"),
        ("Share of time", "number"),
    ];
    table(out, "Workers", &columns, |out| {
        for worker in summary.workers.iter().take(ROWS) {
            let process = worker.pid.map_or_else(|| cell(0, "–"), |pid| cell(pid, pid));
            writeln!(
                out,
                "<tr>{}{process}{}{}{}{}</tr>",
                name_cell(worker.id, worker.id),
                cell(worker.tasks, count(worker.tasks)),
                cell(worker.failed, count(worker.failed)),
                cell(worker.busy, time(worker.busy)),
                bar_cell(part(worker.busy, summary.elapsed), "var(--accent)"),
            )?;
        }
        Ok(())
    })?;
    left_out(out, summary.workers.len(), "other worker")
}

fn callbacks(_: &Recording, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    if summary.callbacks.is_empty() {
        return out
            .write_all(b"<p class=\"note\">No callback was called, or no run has ended.</p>\n");
    }
    let columns = [
        ("Callback", "text"),
        ("Calls", "number"),
        ("Time", "number"),
        ("Share of time", "number"),
    ];
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let in_tasks = summary.task_time as f64 / 1e9;
    let all: f64 = in_tasks + summary.callbacks.iter().map(|sum| sum.seconds).sum::<f64>();
    table(out, "Callbacks", &columns, |out| {
        for sum in summary.callbacks.iter().take(ROWS) {
            writeln!(
                out,
                "<tr><th scope=\"row\">{}</th>{}{}{}</tr>",
                Escaped(&sum.name),
                cell(sum.calls, count(sum.calls)),
                cell(sum.seconds, time(nanoseconds(sum.seconds))),
                bar_cell(if all > 0.0 { sum.seconds / all } else { 0.0 }, "var(--accent)"),
            )?;
        }
        Ok(())
    })?;
    out.write_all(
        b"<p class=\"note\">The share is that of the time in tasks and callbacks together.</p>\n",
    )
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are positive")]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
