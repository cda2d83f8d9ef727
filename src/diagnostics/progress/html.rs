//! [`html`]: how far the runs of a cluster are, as a piece of HTML for notebooks.
//!
//! Styles are inline and take the colours of the page, so that it reads on light and on dark ones: a notebook
//! keeps styles, but neither scripts nor style sheets.

use std::fmt::Write as _;

use super::ending::ending;
use super::line::Tone;
use crate::markup::Escaped;
use crate::monitor::{Counts, RunSnapshot, RunStatus, Snapshot, human};

/// No more runs than these are shown, and no more key prefixes of each.
const RUNS: usize = 6;
const PREFIXES: usize = 12;

/// Colours that stand out from white and from black.
const GOOD: &str = "#2f9e6e";
const BUSY: &str = "#3b82c4";
const BAD: &str = "#e5484d";

/// The runs of a snapshot as HTML: a bar for each run and each of its key prefixes, which a screen reader
/// understands, too. Runs that have ended are told in a line.
///
/// # Examples
///
/// ```
/// use mobula::diagnostics::progress::html;
/// use mobula::monitor::Snapshot;
///
/// assert!(html(&Snapshot::default()).contains("No run yet"));
/// ```
pub fn html(snapshot: &Snapshot) -> String {
    let mut html = String::from(
        "<div class=\"mobula-progress\" style=\"font:13px/1.5 system-ui,sans-serif;max-width:60em\">",
    );
    let last = snapshot.runs.len().saturating_sub(RUNS);
    if last > 0 {
        note(&mut html, &format!("{} earlier runs", human::count(last as u64)));
    }
    if snapshot.runs.is_empty() {
        note(&mut html, "No run yet");
    }
    for run in &snapshot.runs[last..] {
        write_run(&mut html, run, snapshot.at);
    }
    html.push_str("</div>");
    html
}

fn write_run(html: &mut String, run: &RunSnapshot, now: f64) {
    if run.status != RunStatus::Running {
        html.push_str("<div>");
        for piece in &ending(run, 400).pieces {
            let style = match piece.tone {
                Tone::Strong => "font-weight:600".to_owned(),
                Tone::Soft => "opacity:.7".to_owned(),
                Tone::Good => format!("color:{GOOD}"),
                Tone::Bad => format!("color:{BAD}"),
                Tone::Plain => String::new(),
            };
            add(html, format_args!("<span style=\"{style}\">{}</span>", Escaped(&piece.text)));
        }
        html.push_str("</div>");
        return;
    }
    let time = match run.seconds_left {
        Some(left) => format!("{} left", human::seconds(left)),
        None => human::seconds((now - run.began).max(0.0)),
    };
    let mut notes = notes(&run.counts, run.bytes);
    if run.rate > 0.0 {
        notes.push(human::rate(run.rate));
    }
    notes.push(time);
    let name = format!("Run {}", run.id);
    bar(html, &name, "font-weight:600", &run.counts, &notes.join(" · "));
    for prefix in run.prefixes.iter().take(PREFIXES) {
        let notes = self::notes(&prefix.counts, prefix.bytes).join(" · ");
        bar(html, &prefix.name, "padding-left:1em", &prefix.counts, &notes);
    }
    let more = run.prefixes.len().saturating_sub(PREFIXES) as u64 + run.more_prefixes;
    if more > 0 {
        note(html, &format!("and {} more key prefixes", human::count(more)));
    }
}

fn notes(counts: &Counts, bytes: u64) -> Vec<String> {
    let all = [
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.running, "running"),
        (counts.cached, "cached"),
    ];
    let some = all.into_iter().filter(|(count, _)| *count > 0);
    let mut notes: Vec<String> =
        some.map(|(count, word)| format!("{} {word}", human::count(count))).collect();
    if bytes > 0 {
        notes.push(human::bytes(bytes));
    }
    notes
}

/// A name, a bar, numbers: the bar grows, the numbers wrap below where it is narrow.
fn bar(html: &mut String, name: &str, style: &str, counts: &Counts, notes: &str) {
    let share = counts.share() * 100.0;
    let bad = share_of(counts.failed + counts.skipped, counts.total);
    let good = (share - bad).max(0.0);
    let color = if counts.ended() == counts.total { GOOD } else { BUSY };
    let far = format!("{} of {}", human::count(counts.ended()), human::count(counts.total));
    let spoken = if notes.is_empty() { far.clone() } else { format!("{far}, {notes}") };
    let name = Escaped(name);
    add(
        html,
        format_args!(
            "<div style=\"display:flex;flex-wrap:wrap;align-items:center;gap:0 .75em\">\
             <span style=\"flex:0 0 11em;box-sizing:border-box;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;{style}\" \
             title=\"{name}\">{name}</span>\
             <span role=\"progressbar\" aria-label=\"{name}\" aria-valuemin=\"0\" aria-valuemax=\"{}\" \
             aria-valuenow=\"{}\" aria-valuetext=\"{}\" style=\"flex:1 1 10em;display:flex;height:.6em;\
             border-radius:.3em;overflow:hidden;background:rgba(128,128,128,.3)\">\
             <span style=\"width:{good:.2}%;background:{color}\"></span>\
             <span style=\"width:{bad:.2}%;background:{BAD}\"></span></span>\
             <span style=\"flex:0 1 27em;font-variant-numeric:tabular-nums\">{} \
             <span style=\"opacity:.7\">{}</span></span></div>",
            counts.total,
            counts.ended(),
            Escaped(&spoken),
            Escaped(&far),
            Escaped(notes),
        ),
    );
}

fn note(html: &mut String, text: &str) {
    add(html, format_args!("<div style=\"opacity:.7\">{}</div>", Escaped(text)));
}

fn add(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to a string does not fail");
}

#[expect(clippy::cast_precision_loss, reason = "for a bar")]
fn share_of(count: u64, total: u64) -> f64 {
    count as f64 / total.max(1) as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use super::super::samples::{counts, prefix, snapshot};
    use super::{PREFIXES, RUNS, html};
    use crate::monitor::{RunSnapshot, RunStatus, Snapshot};

    #[test]
    fn a_run_has_a_bar_for_each_prefix() {
        let html = html(&snapshot());
        assert_eq!(html.matches("role=\"progressbar\"").count(), 4);
        assert!(html.contains("aria-valuemax=\"2001\" aria-valuenow=\"1250\""));
        assert!(html.contains("aria-label=\"load\"") && html.contains("4.2 s left"));
        assert!(!html.contains("<script") && !html.contains("<style"));
    }

    #[test]
    fn names_are_escaped() {
        let mut snapshot = snapshot();
        snapshot.runs[0].prefixes[0].name = "<b onclick='x'>".to_owned();
        let html = html(&snapshot);
        assert!(html.contains("&lt;b onclick=&#39;x&#39;&gt;") && !html.contains("<b "));
    }

    #[test]
    fn it_stays_small() {
        let prefixes = (0..100).map(|n| prefix(&format!("p{n}"), counts(1, 0, 0))).collect();
        let run = RunSnapshot { prefixes, more_prefixes: 800, ..RunSnapshot::default() };
        let done =
            RunSnapshot { status: RunStatus::Done, ended: Some(1.0), ..RunSnapshot::default() };
        let runs = std::iter::repeat_n(done, 20).chain([run]).collect();
        let html = html(&Snapshot { runs, ..Snapshot::default() });
        assert_eq!(html.matches("role=\"progressbar\"").count(), 1 + PREFIXES);
        assert!(html.contains("and 888 more key prefixes") && html.contains("15 earlier runs"));
        assert_eq!(html.matches(">done<").count(), RUNS - 1);
    }
}
