//! The command `mobula`: reports of journals, and a dashboard read from a terminal.
//!
//! | file | what it holds |
//! |---|---|
//! | `report.rs` | `mobula report`: a report of a journal |
//! | `top.rs`, `frame.rs` | `mobula top`: what a cluster does, in a terminal |
//! | `explain.rs` | `mobula explain`: what is known of a key |
//! | `page.rs` | asking a dashboard |
//!
//! What it prints goes where it is told, so that the command of the Python package is this one.

mod explain;
mod frame;
mod page;
mod report;
mod top;

use std::ffi::OsString;
use std::io::Write;

use lexopt::{Arg, Parser};

/// Where a command writes.
pub struct Terminal<'a> {
    /// Answers.
    pub out: &'a mut dyn Write,
    /// Errors.
    pub err: &'a mut dyn Write,
    /// True if somebody sees the answers at once, and can see them drawn anew.
    pub is_terminal: bool,
}

impl std::fmt::Debug for Terminal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}

const HELP: &str = "\
See what a Mobula cluster does, and has done.

Usage: mobula COMMAND ...

Commands:
  report JOURNAL      make a report of a journal, also of one that ends in the middle
  top URL             show in this terminal what a dashboard shows
  explain KEY         tell what a task is doing, and what happened to it

`mobula COMMAND --help` tells more. --version tells the version.
";

/// Why a command came to nothing.
enum Failed {
    /// It was called in a wrong way: what is wrong, and the help of the command.
    Usage(String, &'static str),
    /// It could not do what it was asked for.
    Reason(String),
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

/// Runs the command with these arguments, without its own name. Answers the exit code: 0 if all went well, 1 if
/// not, 2 if the arguments are wrong.
///
/// # Examples
///
/// ```
/// let (mut out, mut err) = (Vec::new(), Vec::new());
/// let mut terminal =
///     mobula::command::Terminal { out: &mut out, err: &mut err, is_terminal: false };
/// let code = mobula::command::run(["report".into(), "none.jsonl".into()], &mut terminal);
/// assert_eq!(code, 1);
/// let told = String::from_utf8(err)?;
/// assert!(told.starts_with("mobula report: `none.jsonl` cannot be read: "));
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
pub fn run(arguments: impl IntoIterator<Item = OsString>, terminal: &mut Terminal<'_>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = arguments.first().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let mut parser = Parser::from_args(arguments.into_iter().skip(1));
    let done = match command.as_str() {
        "report" => report::run(&mut parser, terminal),
        "top" => top::run(&mut parser, terminal),
        "explain" => explain::run(&mut parser, terminal),
        "--help" | "-h" | "help" => say(terminal, HELP),
        "--version" | "-V" => say(terminal, concat!("mobula ", env!("CARGO_PKG_VERSION"), "\n")),
        "" => Err(Failed::Usage("say what to do".to_owned(), HELP)),
        other => Err(Failed::Usage(format!("there is no command `{other}`"), HELP)),
    };
    let (code, told) = match done {
        Ok(()) => return 0,
        Err(Failed::Reason(reason)) => (1, format!("mobula {command}: {reason}\n")),
        Err(Failed::Usage(what, help)) => {
            let name = if command.starts_with('-') { String::new() } else { format!(" {command}") };
            (2, format!("mobula{}: {what}\n\n{help}", name.trim_end()))
        }
    };
    // Whoever does not read errors does not miss this one.
    terminal.err.write_all(harmless(&told).as_bytes()).ok();
    code
}

/// Writes an answer.
fn say(terminal: &mut Terminal<'_>, text: &str) -> Result<(), Failed> {
    let written = terminal.out.write_all(text.as_bytes()).and_then(|()| terminal.out.flush());
    match written {
        // Whoever reads has read enough: `mobula ... | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failed::Reason(format!("cannot write: {error}"))),
    }
}

/// Text that cannot move the cursor: keys, errors and answers may hold anything.
fn harmless(text: &str) -> String {
    let is_harmful = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    text.replace(is_harmful, "\u{fffd}")
}

/// What is wrong with an argument.
fn wrong(argument: &Arg<'_>, help: &'static str) -> Failed {
    let what = match argument {
        Arg::Value(value) => format!("`{}` is one argument too many", value.to_string_lossy()),
        Arg::Long(name) => format!("there is no option --{name}"),
        Arg::Short(name) => format!("there is no option -{name}"),
    };
    Failed::Usage(what, help)
}

/// What the parser finds wrong.
fn unparsed(help: &'static str) -> impl Fn(lexopt::Error) -> Failed {
    move |error| Failed::Usage(error.to_string(), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &[&str]) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal { out: &mut out, err: &mut err, is_terminal: false };
        let code = run(arguments.iter().map(OsString::from), &mut terminal);
        (
            code,
            String::from_utf8_lossy(&out).into_owned(),
            String::from_utf8_lossy(&err).into_owned(),
        )
    }

    #[test]
    fn each_command_tells_how_it_is_used() {
        for command in ["report", "top", "explain"] {
            let (code, out, err) = told(&[command, "--help"]);
            assert_eq!((code, err.as_str()), (0, ""), "{command}");
            assert!(out.contains(&format!("Usage: mobula {command}")), "{out}");
        }
        assert_eq!(told(&["--help"]), (0, HELP.to_owned(), String::new()));
        assert!(told(&["--version"]).1.starts_with("mobula 0."));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_help() {
        for (arguments, what) in [
            (&[][..], "mobula: say what to do\n"),
            (&["tpo"], "mobula tpo: there is no command `tpo`\n"),
            (&["report"], "mobula report: name the journal\n"),
            (&["report", "a", "b"], "mobula report: `b` is one argument too many\n"),
            (&["top", "--fast"], "mobula top: there is no option --fast\n"),
            (
                &["top", "url", "--interval"],
                "mobula top: missing argument for option '--interval'\n",
            ),
            (
                &["top", "url", "--interval", "-1"],
                "mobula top: --interval must be a number of seconds",
            ),
            (&["explain"], "mobula explain: name the key\n"),
            (&["\x1b[2J"], "mobula \u{fffd}[2J: there is no command `\u{fffd}[2J`\n"),
        ] {
            let (code, out, err) = told(arguments);
            assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
            assert!(err.starts_with(what), "{err}");
            assert!(err.contains("\nUsage: mobula "), "{err}");
        }
    }
}
