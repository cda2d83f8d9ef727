//! [`ProcessEnd`]: how a worker process ended, for messages. What follows from it is decided elsewhere.

use std::fmt;

/// How a worker process ended, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEnd {
    /// The number that the system gave the process; `None` if it could not be started.
    pub process: Option<u32>,
    /// How it ended.
    pub exit: ProcessExit,
    /// The most memory that it has used, in bytes, as the system tells it. Linux also counts what its parent
    /// had used when it started the process, so it is at least that.
    pub peak_bytes: Option<u64>,
    /// True if the system has ended it because memory ran out.
    pub out_of_memory: bool,
    /// The last lines that it wrote.
    pub output: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessExit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It could not be started, or did not do what a worker process does; in words.
    Unfit(String),
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.exit {
            ProcessExit::Code(code) => write!(f, "ended with exit code {code}")?,
            ProcessExit::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "was ended by signal {signal} ({name})")?,
                None => write!(f, "was ended by signal {signal}")?,
            },
            ProcessExit::Unfit(reason) => write!(f, "cannot be used: {reason}")?,
        }
        if self.out_of_memory {
            f.write_str(", because the system had no memory left")?;
        }
        if let Some(peak) = self.peak_bytes {
            write!(f, ", peak memory {} MiB", peak >> 20)?;
        }
        if let Some(process) = self.process {
            write!(f, ", process {process}")?;
        }
        Ok(())
    }
}

/// The names of those signals that end processes.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return None,
    })
}
