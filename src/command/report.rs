//! `mobula report`: a journal as a page, a trace, a picture.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::arguments::Report;
use super::failure::Failure;
use crate::drawing::Drawing;
use crate::monitor::Recording;
use crate::report::{write_file, write_html, write_html_file, write_trace, write_trace_file};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let recording = Recording::read_journal(&report.journal)?;
    let mut beside = report.journal.with_extension("html");
    if beside == report.journal {
        // A journal of an odd name must not be replaced by its report.
        beside.set_extension("report.html");
    }
    let is_said = report.page.is_some() || report.trace.is_some() || report.picture.is_some();
    let page = report.page.as_deref().or((!is_said).then_some(&*beside));
    if let Some(path) = page {
        if is_output(path) {
            buffered(out, |out| write_html(&recording, out))?;
        } else {
            write_html_file(&recording, path)?;
            wrote(report, out, path)?;
        }
    }
    if let Some(path) = &report.trace {
        if is_output(path) {
            buffered(out, |out| write_trace(&recording, out))?;
        } else {
            write_trace_file(&recording, path)?;
            wrote(report, out, path)?;
        }
    }
    if let Some(path) = &report.picture {
        let svg =
            Drawing::of_run(&recording, place(report, &recording)?).colored(report.color).to_svg();
        if is_output(path) {
            out.write_all(svg.as_bytes())?;
        } else {
            write_file("the picture", path, |out| out.write_all(svg.as_bytes()))?;
            wrote(report, out, path)?;
        }
    }
    Ok(())
}

/// The place of the run whose graph is drawn.
fn place(report: &Report, recording: &Recording) -> Result<usize, Failure> {
    let journal = || report.journal.display().to_string();
    let runs = || recording.runs.iter().enumerate();
    let Some(number) = report.run else {
        // Of several that are as large, the last one.
        let largest = runs().max_by_key(|(_, run)| run.keys.len());
        return largest
            .map(|(place, _)| place)
            .ok_or_else(|| Failure::NoRun { journal: journal() });
    };
    let found = runs().find(|(_, run)| run.id == number).map(|(place, _)| place);
    found.ok_or_else(|| Failure::UnknownRun {
        journal: journal(),
        run: number,
        known: known(recording),
    })
}

/// Which runs there are, in words.
fn known(recording: &Recording) -> String {
    const SHOWN: usize = 12;
    let ids: Vec<String> =
        recording.runs.iter().take(SHOWN).map(|run| run.id.to_string()).collect();
    match recording.runs.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", ids.join(", "), count - SHOWN),
        _ => ids.join(", "),
    }
}

/// Says what was written, unless the output is what was written.
fn wrote(report: &Report, out: &mut dyn Write, path: &Path) -> io::Result<()> {
    let paths = [&report.page, &report.trace, &report.picture];
    if paths.into_iter().flatten().any(|path| is_output(path)) {
        return Ok(());
    }
    writeln!(out, "wrote {}", path.display())
}

fn is_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn buffered(
    out: &mut dyn Write,
    write: impl FnOnce(&mut BufWriter<&mut dyn Write>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, out);
    write(&mut out)?;
    out.flush()
}
