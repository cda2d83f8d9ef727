//! The command `mobula`. What it does lies in the library, so that the Python package has the same one.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

fn main() -> ExitCode {
    let is_terminal = io::stdout().is_terminal();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut terminal = mobula::command::Terminal { out: &mut out, err: &mut err, is_terminal };
    ExitCode::from(mobula::command::run(std::env::args_os().skip(1), &mut terminal))
}
