//! What the arguments mean.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};

use super::failure::Failure;
use super::help;
use crate::drawing::Color;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// Show a text.
    Tell(&'static str),
    Report(Report),
    Top(Top),
    Explain(Explain),
}

/// `mobula report`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) journal: PathBuf,
    pub(super) page: Option<PathBuf>,
    pub(super) trace: Option<PathBuf>,
    pub(super) picture: Option<PathBuf>,
    /// Whose graph; if it is not said, that of the largest run.
    pub(super) run: Option<u64>,
    pub(super) color: Color,
}

/// `mobula top`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Top {
    pub(super) url: Option<String>,
    pub(super) once: bool,
    pub(super) interval: Duration,
}

/// `mobula explain`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Explain {
    pub(super) key: String,
    pub(super) url: Option<String>,
}

/// The version, as a line.
const VERSION: &str = concat!("mobula ", env!("CARGO_PKG_VERSION"), "\n");

/// Reads the arguments, without the name of the program.
pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, Failure> {
    let arguments: Vec<OsString> = arguments.collect();
    let mut parser = Parser::from_args(arguments);
    let usage = |error: lexopt::Error| usage("mobula", &error.to_string());
    match parser.next().map_err(usage)? {
        None => Err(self::usage("mobula", "say what to do: report, top or explain")),
        Some(Short('h') | Long("help")) => Ok(Command::Tell(help::ALL)),
        Some(Short('V') | Long("version")) => Ok(Command::Tell(VERSION)),
        Some(Value(name)) => match name.to_str() {
            Some("report") => report(&mut parser),
            Some("top") => top(&mut parser),
            Some("explain") => explain(&mut parser),
            Some("help") => Ok(Command::Tell(help::ALL)),
            Some(_) | None => {
                let name = name.to_string_lossy();
                Err(self::usage(
                    "mobula",
                    &format!("there is no command `{name}`; there are report, top and explain"),
                ))
            }
        },
        Some(other @ (Short(_) | Long(_))) => Err(usage(other.unexpected())),
    }
}

fn report(parser: &mut Parser) -> Result<Command, Failure> {
    let failed = |error: lexopt::Error| usage("mobula report", &error.to_string());
    let (mut journal, mut page, mut trace, mut picture) = (None, None, None, None);
    let (mut run, mut color) = (None, Color::Time);
    while let Some(argument) = parser.next().map_err(failed)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Tell(help::REPORT)),
            Short('o') | Long("output") => page = Some(path(parser).map_err(failed)?),
            Long("trace") => trace = Some(path(parser).map_err(failed)?),
            Long("svg") => picture = Some(path(parser).map_err(failed)?),
            Long("run") => {
                run = Some(parser.value().and_then(|value| value.parse()).map_err(failed)?);
            }
            Long("color" | "colour") => {
                color =
                    parser.value().and_then(|value| value.parse_with(color_of)).map_err(failed)?;
            }
            Value(value) if journal.is_none() => journal = Some(PathBuf::from(value)),
            other @ (Short(_) | Long(_) | Value(_)) => return Err(failed(other.unexpected())),
        }
    }
    let Some(journal) = journal else {
        return Err(usage("mobula report", "say which journal: `mobula report JOURNAL`"));
    };
    Ok(Command::Report(Report { journal, page, trace, picture, run, color }))
}

fn top(parser: &mut Parser) -> Result<Command, Failure> {
    let failed = |error: lexopt::Error| usage("mobula top", &error.to_string());
    let mut top = Top { url: None, once: false, interval: Duration::from_millis(500) };
    while let Some(argument) = parser.next().map_err(failed)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Tell(help::TOP)),
            Long("once") => top.once = true,
            Long("interval") => {
                let interval = parser.value().and_then(|value| value.parse_with(seconds));
                top.interval = interval.map_err(failed)?;
            }
            Long("url") => top.url = Some(text(parser).map_err(failed)?),
            Value(value) if top.url.is_none() => top.url = Some(value.string().map_err(failed)?),
            other @ (Short(_) | Long(_) | Value(_)) => return Err(failed(other.unexpected())),
        }
    }
    Ok(Command::Top(top))
}

fn explain(parser: &mut Parser) -> Result<Command, Failure> {
    let failed = |error: lexopt::Error| usage("mobula explain", &error.to_string());
    let (mut key, mut url) = (None, None);
    while let Some(argument) = parser.next().map_err(failed)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Tell(help::EXPLAIN)),
            Long("url") => url = Some(text(parser).map_err(failed)?),
            Value(value) if key.is_none() => key = Some(value.string().map_err(failed)?),
            other @ (Short(_) | Long(_) | Value(_)) => return Err(failed(other.unexpected())),
        }
    }
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Err(usage("mobula explain", "say which key: `mobula explain KEY`"));
    };
    Ok(Command::Explain(Explain { key, url }))
}

fn path(parser: &mut Parser) -> Result<PathBuf, lexopt::Error> {
    parser.value().map(PathBuf::from)
}

fn text(parser: &mut Parser) -> Result<String, lexopt::Error> {
    parser.value().and_then(ValueExt::string)
}

fn color_of(name: &str) -> Result<Color, &'static str> {
    match name {
        "time" => Ok(Color::Time),
        "memory" => Ok(Color::Memory),
        "order" => Ok(Color::Order),
        "prefix" => Ok(Color::Prefix),
        _ => Err("it is one of time, memory, order, prefix"),
    }
}

/// A time between a twentieth of a second and an hour.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "it is a number of seconds")?;
    if (0.05..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("it is between 0.05 and 3600 seconds")
    }
}

fn usage(command: &'static str, message: &str) -> Failure {
    Failure::Usage { command, message: message.to_owned() }
}
