//! What went wrong, in the page: notices on top, the errors with all that is known of them, the other incidents.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::sections::{cell, left_out, name_cell, table};
use super::words::{Escaped, count, counted, time};
use crate::monitor::{Incident, RecordedRun, Recording, RunStatus};
use crate::report::summary::Summary;

/// How many notices stand on top.
const NOTICES: usize = 5;

/// How many errors are shown.
const ERRORS: usize = 200;

/// How many incidents are shown.
const ROWS: usize = 500;

/// How many characters of an error's message are shown.
const MESSAGE: usize = 400;

/// How many characters of the details of an error are shown.
const DETAILS: usize = 32_000;

/// How many of them once a page holds a million characters of details.
const LATE_DETAILS: usize = 2000;

/// Says on top which runs failed, and which never ended.
pub(super) fn notices(recording: &Recording, out: &mut impl Write) -> io::Result<()> {
    let bad: Vec<&RecordedRun> = recording.runs.iter().filter(|run| is_bad(run)).collect();
    for run in bad.iter().take(NOTICES) {
        if run.status == RunStatus::Failed {
            let error = run.error.as_deref().unwrap_or("one of its tasks failed");
            let has_details = recording.incidents.iter().any(|incident| incident.kind == "failed");
            let link = if has_details { " <a href=\"#errors\">See the errors.</a>" } else { "" };
            writeln!(
                out,
                "<p class=\"notice notice-failed\" role=\"note\"><strong>Run {} failed:</strong> \
                 <span class=\"message\">{}</span>{link}</p>",
                run.id,
                Escaped(&shortened(error, MESSAGE)),
            )?;
        } else {
            writeln!(
                out,
                "<p class=\"notice notice-warning\" role=\"note\"><strong>Run {} has no end:</strong> it went on \
                 when the recording ended. If that was a journal, its process may have died.</p>",
                run.id,
            )?;
        }
    }
    if bad.len() > NOTICES {
        let more = counted((bad.len() - NOTICES) as u64, "other run");
        writeln!(out, "<p class=\"note\">And {more} that failed or have no end.</p>")?;
    }
    Ok(())
}

/// The first characters of a text, and dots if there are more.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

fn is_bad(run: &RecordedRun) -> bool {
    matches!(run.status, RunStatus::Failed | RunStatus::Running)
}

/// Each attempt that failed, with all that is known of it.
pub(super) fn errors(recording: &Recording, _: &Summary, out: &mut impl Write) -> io::Result<()> {
    let all = || recording.incidents.iter();
    let given_up = all().filter(|incident| incident.kind == "given up");
    // By run and key: when it was given up, and after how many attempts.
    let given_up: HashMap<(Option<u64>, &str), &Incident> =
        given_up.map(|incident| ((incident.run, &*incident.about), incident)).collect();
    // The last attempt is the one after which the task was given up.
    let mut last: HashMap<(Option<u64>, &str), usize> = HashMap::new();
    let failures: Vec<&Incident> = all().filter(|incident| incident.kind == "failed").collect();
    for (place, incident) in failures.iter().enumerate() {
        last.insert((incident.run, &incident.about), place);
    }
    // After as many of its first failures a task was tried again.
    let mut retries: HashMap<(Option<u64>, &str), usize> = HashMap::new();
    for incident in all().filter(|incident| incident.kind == "retried") {
        *retries.entry((incident.run, &incident.about)).or_default() += 1;
    }
    let end_of = |place: usize| {
        let task = (failures[place].run, &*failures[place].about);
        given_up.get(&task).filter(|_| last.get(&task) == Some(&place))
    };
    // One is open: the first that mattered.
    let opened = (0..failures.len()).find(|place| end_of(*place).is_some()).unwrap_or_default();
    let mut shown = 0;
    for (place, incident) in failures.iter().enumerate().take(ERRORS) {
        let end = end_of(place);
        let retries = retries.get_mut(&(incident.run, &*incident.about));
        let is_retried = retries.filter(|left| **left > 0).map(|left| *left -= 1).is_some();
        let end = match end {
            Some(end) => format!("given up {}", end.text),
            None if is_retried => "tried again".to_owned(),
            None => "its run ended".to_owned(),
        };
        let run = incident.run.map_or_else(String::new, |run| format!("run {run}, "));
        let at = time(incident.at.saturating_sub(recording.began));
        let open = if place == opened { " open" } else { "" };
        let details = incident.details.trim();
        let details = if details.is_empty() { &*incident.text } else { details };
        let most = if shown < 1_000_000 { DETAILS } else { LATE_DETAILS };
        let details = shortened(details, most);
        shown += details.len();
        writeln!(
            out,
            "<details class=\"failure\"{open}><summary><code>{}</code> <span class=\"message\">{}</span> \
             <span class=\"note\">{run}at {at}, {end}</span></summary>\n\
             <pre tabindex=\"0\">{}</pre></details>",
            Escaped(&incident.about),
            Escaped(&shortened(&incident.text, MESSAGE)),
            Escaped(&details),
        )?;
    }
    if failures.len() > ERRORS {
        let more = counted((failures.len() - ERRORS) as u64, "other attempt");
        writeln!(out, "<p class=\"note\">And {more} that failed.</p>")?;
    }
    Ok(())
}

/// How many incidents of each kind there were, and the first ones of those that are no errors.
pub(super) fn incidents(
    recording: &Recording,
    _: &Summary,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for incident in &recording.incidents {
        *kinds.entry(incident.kind).or_default() += 1;
    }
    out.write_all(b"<ul class=\"kinds\">")?;
    for (kind, number) in kinds {
        write!(out, "<li><strong>{}</strong> {kind}</li>", count(number))?;
    }
    out.write_all(b"</ul>\n")?;
    let rows: Vec<&Incident> =
        recording.incidents.iter().filter(|incident| incident.kind != "failed").collect();
    if rows.is_empty() {
        return Ok(());
    }
    let open = if rows.len() <= 20 { " open" } else { "" };
    writeln!(out, "<details{open}><summary>{}</summary>", counted(rows.len() as u64, "incident"))?;
    let columns =
        [("At", "number"), ("What", "text"), ("About", "text"), ("Run", "number"), ("How", "text")];
    table(out, "Incidents", &columns, |out| {
        for incident in rows.iter().take(ROWS) {
            let at = incident.at.saturating_sub(recording.began);
            let run = incident.run.map_or_else(|| cell(-1, "–"), |run| cell(run, run));
            writeln!(
                out,
                "<tr>{}<td>{}</td><td><code>{}</code></td>{run}<td>{}</td></tr>",
                name_cell(at, time(at)),
                incident.kind,
                Escaped(&incident.about),
                Escaped(&incident.text),
            )?;
        }
        Ok(())
    })?;
    left_out(out, rows.len(), "other incident")?;
    out.write_all(b"</details>\n")?;
    if recording.unseen_incidents > 0 {
        let more = counted(recording.unseen_incidents, "other incident");
        writeln!(out, "<p class=\"note\">{more} were not kept.</p>")?;
    }
    Ok(())
}
