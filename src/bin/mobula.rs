//! The command `mobula`; see [`mobula::command`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mobula::command::run_in_terminal(std::env::args_os().skip(1)))
}
