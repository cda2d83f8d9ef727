//! The graphs of runs as drawings in the page.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::words::{Escaped, counted};
use crate::drawing::Drawing;
use crate::monitor::Recording;
use crate::report::summary::Summary;

/// How many graphs are drawn.
const GRAPHS: usize = 6;

/// The graphs of the largest runs, the largest first, coloured by time: up to 2,000 tasks one by one, more by
/// key prefix.
pub(super) fn write(recording: &Recording, _: &Summary, out: &mut impl Write) -> io::Result<()> {
    let mut runs: Vec<usize> = (0..recording.runs.len())
        .filter(|place| !recording.runs[*place].graph.keys.is_empty())
        .collect();
    runs.sort_by_key(|place| Reverse(recording.runs[*place].graph.keys.len()));
    let all = runs.len();
    for (n, place) in runs.into_iter().take(GRAPHS).enumerate() {
        let run = &recording.runs[place];
        let open = if n == 0 { " open" } else { "" };
        let name = format!("Run {}, {}", run.id, counted(run.graph.keys.len() as u64, "task"));
        writeln!(
            out,
            "<details{open}><summary>{name}</summary>\n\
             <div class=\"scroll graph\" tabindex=\"0\" role=\"group\" aria-label=\"Graph of {name}\">\n{}</div>\n\
             </details>",
            Drawing::of_run(recording, place).to_svg(),
            name = Escaped(&name),
        )?;
    }
    if all > GRAPHS {
        let more = counted((all - GRAPHS) as u64, "smaller graph");
        writeln!(out, "<p class=\"note\">And {more}.</p>")?;
    }
    Ok(())
}
