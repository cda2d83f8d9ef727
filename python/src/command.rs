//! The command `mobula`: the crate's own.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};

use mobula::command::{Terminal, run};
use pyo3::prelude::*;

use crate::interpreter::released;

/// Runs the command with these arguments, and answers its exit code.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    released(py, || {
        let is_terminal = stdout().is_terminal();
        let (mut out, mut err) = (stdout(), stderr());
        run(arguments, &mut Terminal { out: &mut out, err: &mut err, is_terminal })
    })
}
