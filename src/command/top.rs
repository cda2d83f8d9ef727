//! `mobula top`: what a cluster does, in a terminal.

use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use super::frame::frame;
use super::page::{Page, VARIABLE};
use super::{Failed, Terminal, say, unparsed, wrong};
use crate::diagnostics::progress::{Line, Room};
use crate::monitor::Snapshot;

const HELP: &str = "\
Show in this terminal what a cluster does: runs, workers, memory, errors.

Usage: mobula top [URL] [--once] [--interval SECONDS]

  URL                 the dashboard's URL, as its program has printed it; by default what stands in the
                      variable MOBULA_DASHBOARD
  --once              show it once, and end; so it is also where the output is no terminal
  --interval SECONDS  how often it is drawn anew, 0.5 if not said
  -h, --help          tell this

Ctrl-C ends it.
";

/// What is no terminal has no end.
const PAPER: Room = Room { width: 100, lines: usize::MAX };

/// Moves to the upper left corner, and clears what is there.
const ANEW: &str = "\x1b[H\x1b[J";

pub(super) fn run(parser: &mut Parser, terminal: &mut Terminal<'_>) -> Result<(), Failed> {
    let (mut url, mut once, mut interval) = (None, false, Duration::from_millis(500));
    while let Some(argument) = parser.next().map_err(unparsed(HELP))? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return say(terminal, HELP),
            Arg::Long("once") => once = true,
            Arg::Long("interval") => {
                let seconds = parser.value().map_err(unparsed(HELP))?;
                interval = seconds_of(&seconds.to_string_lossy())?;
            }
            Arg::Value(value) if url.is_none() => {
                url = Some(value.string().map_err(unparsed(HELP))?);
            }
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(wrong(&argument, HELP)),
        }
    }
    let Some(url) = url.or_else(|| std::env::var(VARIABLE).ok()) else {
        let what = format!("name the dashboard's URL, here or in the variable {VARIABLE}");
        return Err(Failed::Usage(what, HELP));
    };
    let page = Page::at(&url)?;
    let is_drawn_anew = terminal.is_terminal && !once;
    let is_colored =
        terminal.is_terminal && std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty());
    loop {
        let snapshot: Snapshot = page.get("/api/snapshot", None)?;
        let room = if terminal.is_terminal { room() } else { PAPER };
        let line = |line: Line| {
            let text = if is_colored { line.colored() } else { line.to_string() };
            text + "\n"
        };
        let text: String = frame(&snapshot, room).into_iter().map(line).collect();
        if !is_drawn_anew {
            return say(terminal, &text);
        }
        say(terminal, &format!("{ANEW}{text}"))?;
        // This is what a thread without anything to hear from waits with; nobody unparks it.
        std::thread::park_timeout(interval);
    }
}

fn seconds_of(text: &str) -> Result<Duration, Failed> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.05..=3600.0).contains(seconds));
    let wrong = || {
        let what = format!("--interval must be a number of seconds, 0.05 to 3600, not `{text}`");
        Failed::Usage(what, HELP)
    };
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

/// How much room a terminal has now; one line is left to the cursor, and a column, as one that is full makes some
/// terminals begin another line.
fn room() -> Room {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
        && size.ws_col > 0
        && size.ws_row > 0
    {
        return Room { width: usize::from(size.ws_col) - 1, lines: usize::from(size.ws_row) - 1 };
    }
    Room { width: 79, lines: 23 }
}
