//! [`run`] and [`run_in_terminal`]: from arguments to an exit code.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};

use super::address::Address;
use super::arguments::{Command, parse};
use super::failure::Failure;
use super::{explain, report, top};

/// Where the URL of a dashboard stands if it is not said.
const VARIABLE: &str = "MOBULA_DASHBOARD";

/// What is around a command.
pub(super) struct Surroundings<'a> {
    pub(super) out: &'a mut dyn Write,
    /// What [`VARIABLE`] says.
    pub(super) dashboard: Option<OsString>,
    /// Whether `out` is a terminal, which can be drawn on.
    pub(super) is_terminal: bool,
}

/// Does what the arguments say, without the name of the program in front of them, and answers the exit code: 0 if it
/// went well, 1 if not, 2 if the arguments make no sense.
///
/// What is told goes to `out`, what went wrong to `err`; `out` is taken for no terminal, so that `top` shows how things
/// stand once. The environment variable `MOBULA_DASHBOARD` is read where no URL is given.
///
/// # Examples
///
/// ```
/// let (mut out, mut err) = (Vec::new(), Vec::new());
/// let code = mobula::command::run(["--version".into()].into_iter(), &mut out, &mut err);
/// assert_eq!(code, 0);
/// assert!(out.starts_with(b"mobula ") && err.is_empty());
/// ```
pub fn run(
    arguments: impl Iterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let dashboard = std::env::var_os(VARIABLE);
    run_in(arguments, Surroundings { out, dashboard, is_terminal: false }, err)
}

/// As [`run`], on the standard output and error of this process: on a terminal `top` goes on until it is ended.
pub fn run_in_terminal(arguments: impl Iterator<Item = OsString>) -> u8 {
    let is_terminal = io::stdout().is_terminal();
    let dashboard = std::env::var_os(VARIABLE);
    let surroundings = Surroundings { out: &mut io::stdout(), dashboard, is_terminal };
    run_in(arguments, surroundings, &mut io::stderr())
}

pub(super) fn run_in(
    arguments: impl Iterator<Item = OsString>,
    mut surroundings: Surroundings<'_>,
    err: &mut dyn Write,
) -> u8 {
    let done = carry_out(arguments, &mut surroundings);
    let done = done.and_then(|()| Ok(surroundings.out.flush()?));
    let Err(failure) = done else { return 0 };
    if failure.is_closed_pipe() {
        return 0;
    }
    // If the message cannot be written either, the exit code tells.
    writeln!(err, "mobula: {failure}").ok();
    failure.code()
}

fn carry_out(
    arguments: impl Iterator<Item = OsString>,
    surroundings: &mut Surroundings<'_>,
) -> Result<(), Failure> {
    match parse(arguments)? {
        Command::Tell(text) => Ok(surroundings.out.write_all(text.as_bytes())?),
        Command::Report(what) => report::write(&what, surroundings.out),
        Command::Explain(what) => {
            let address = address(what.url.as_deref(), surroundings.dashboard.as_deref())?;
            explain::tell(&address, &what.key, surroundings.out)
        }
        Command::Top(what) => {
            let address = address(what.url.as_deref(), surroundings.dashboard.as_deref())?;
            if surroundings.is_terminal && !what.once {
                top::watch(&address, what.interval, surroundings.out)
            } else {
                top::show(&address, surroundings.out)
            }
        }
    }
}

/// Where the dashboard is, as the arguments or the environment say.
fn address(url: Option<&str>, variable: Option<&OsStr>) -> Result<Address, Failure> {
    if let Some(url) = url {
        return Address::parse(url);
    }
    match variable.filter(|url| !url.is_empty()) {
        Some(url) => Address::parse(&url.to_string_lossy()),
        None => Err(Failure::NoAddress),
    }
}
