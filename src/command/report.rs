//! `mobula report`: a report of a journal.

use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser};

use super::{Failed, Terminal, say, unparsed, wrong};
use crate::drawing::Drawing;
use crate::monitor::{Recording, RunStatus, human};
use crate::report::{write_file, write_html_file, write_trace_file};

const HELP: &str = "\
Make a report of a journal, also of one that ends in the middle because its program has crashed.

Usage: mobula report JOURNAL [--output FILE.html] [--trace FILE.json] [--svg FILE.svg]

  -o, --output FILE   the report, one page that opens offline; by default the journal's name with .html
  --trace FILE        also a trace for Perfetto and chrome://tracing
  --svg FILE          also the graph of the last run, coloured by time
  -h, --help          tell this
";

pub(super) fn run(parser: &mut Parser, terminal: &mut Terminal<'_>) -> Result<(), Failed> {
    let (mut journal, mut output, mut trace, mut svg) = (None, None, None, None);
    let file = |parser: &mut Parser| parser.value().map(PathBuf::from).map_err(unparsed(HELP));
    while let Some(argument) = parser.next().map_err(unparsed(HELP))? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return say(terminal, HELP),
            Arg::Short('o') | Arg::Long("output") => output = Some(file(parser)?),
            Arg::Long("trace") => trace = Some(file(parser)?),
            Arg::Long("svg") => svg = Some(file(parser)?),
            Arg::Value(path) if journal.is_none() => journal = Some(PathBuf::from(path)),
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(wrong(&argument, HELP)),
        }
    }
    let Some(journal) = journal else {
        return Err(Failed::Usage("name the journal".to_owned(), HELP));
    };
    let recording = Recording::read_journal(&journal).map_err(|error| error.to_string())?;
    let output = output.unwrap_or_else(|| journal.with_extension("html"));
    write_html_file(&recording, &output).map_err(|error| error.to_string())?;
    say(terminal, &format!("{}: {}\n", output.display(), summary(&recording)))?;
    if let Some(path) = trace {
        write_trace_file(&recording, &path).map_err(|error| error.to_string())?;
        say(terminal, &told(&path))?;
    }
    if let Some(path) = svg {
        let Some(last) = recording.runs.len().checked_sub(1) else {
            return Err(Failed::Reason("there is no graph to draw: no run has begun".to_owned()));
        };
        let picture = Drawing::of_run(&recording, last).to_svg();
        write_file("the picture", &path, |out| std::io::Write::write_all(out, picture.as_bytes()))
            .map_err(|error| error.to_string())?;
        say(terminal, &told(&path))?;
    }
    Ok(())
}

fn told(path: &Path) -> String {
    format!("{}\n", path.display())
}

/// What the report is about, in a line.
fn summary(recording: &Recording) -> String {
    let tasks: u64 = recording.runs.iter().map(|run| run.done).sum();
    let count = |status| recording.runs.iter().filter(|run| run.status == status).count();
    let runs = recording.runs.len();
    let mut told = format!(
        "{} run{}, {} task{}",
        human::count(runs as u64),
        if runs == 1 { "" } else { "s" },
        human::count(tasks),
        if tasks == 1 { "" } else { "s" },
    );
    for (status, words) in [
        (RunStatus::Failed, "failed"),
        (RunStatus::Cancelled, "cancelled"),
        (RunStatus::Running, "without an end"),
    ] {
        if count(status) > 0 {
            told.extend([", ", &count(status).to_string(), " ", words]);
        }
    }
    told
}
