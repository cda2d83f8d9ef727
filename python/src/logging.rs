//! What the crate logs, handed to Python's `logging`, under the logger `mobula`.
//!
//! A record may come up where the interpreter's lock must not be waited for, so it is put aside; handlers of
//! users are called by a thread of their own, a moment later and in order. Records of other crates stay away.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::intern;
use pyo3::prelude::*;

use crate::aside::LOGS;

/// So many records may wait for their handlers; what is beyond them is counted.
const MOST_WAITING: usize = 10_000;

static WAITING: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// True while this thread puts a record aside: what is logged by that would not end.
    static IS_PUTTING: Cell<bool> = const { Cell::new(false) };
}

struct ToPython;

/// What a record says, without what it borrows.
struct Owned {
    level: u8,
    logger: String,
    file: String,
    line: u32,
    text: String,
}

/// The logger of Python's for a target of the crate or of the binding, if it is of one of them.
fn logger(target: &str) -> Option<String> {
    let (root, rest) = target.split_once("::").unwrap_or((target, ""));
    let is_ours = matches!(root, "mobula" | "_core");
    let rest =
        if rest.is_empty() { String::new() } else { format!(".{}", rest.replace("::", ".")) };
    is_ours.then(|| format!("mobula{rest}"))
}

/// The number that Python gives a level.
const fn number(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

/// The levels that a logger of Python's lets through from this number on.
const fn filter(number: u64) -> LevelFilter {
    match number {
        0..=5 => LevelFilter::Trace,
        6..=10 => LevelFilter::Debug,
        11..=20 => LevelFilter::Info,
        21..=30 => LevelFilter::Warn,
        31..=40 => LevelFilter::Error,
        _ => LevelFilter::Off,
    }
}

impl Log for ToPython {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let Some(logger) = logger(record.target()) else { return };
        if IS_PUTTING.replace(true) {
            return;
        }
        if WAITING.fetch_add(1, Ordering::Relaxed) < MOST_WAITING {
            let owned = Owned {
                level: number(record.level()),
                logger,
                file: record.file().unwrap_or_default().to_owned(),
                line: record.line().unwrap_or_default(),
                text: record.args().to_string(),
            };
            LOGS.put(move |py| {
                WAITING.fetch_sub(1, Ordering::Relaxed);
                if let Err(error) = owned.handle(py) {
                    error.write_unraisable(py, None);
                }
            });
        } else {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        IS_PUTTING.set(false);
    }

    fn flush(&self) {}
}

impl Owned {
    /// Gives the record to its logger.
    fn handle(mut self, py: Python<'_>) -> PyResult<()> {
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.text = format!("{} (and {lost} records before it are lost)", self.text);
        }
        let logging = py.import(intern!(py, "logging"))?;
        let logger = logging.call_method1(intern!(py, "getLogger"), (&self.logger,))?;
        if !logger.call_method1(intern!(py, "isEnabledFor"), (self.level,))?.is_truthy()? {
            return Ok(());
        }
        let (arguments, no_error) = ((), py.None());
        let made = (self.logger, self.level, self.file, self.line, self.text, arguments, no_error);
        let record = logger.call_method1(intern!(py, "makeRecord"), made)?;
        logger.call_method1(intern!(py, "handle"), (record,))?;
        Ok(())
    }
}

/// From here on, what is logged goes to Python: warnings and errors, until [`follow_level`] says otherwise.
pub(crate) fn begin(py: Python<'_>) -> PyResult<()> {
    // Now, and not by one of several threads: a fork in the midst of an import could never import it.
    py.import(intern!(py, "logging"))?;
    if log::set_logger(&ToPython).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
    Ok(())
}

/// Lets as much through as the logger `mobula` does now.
pub(crate) fn follow_level(py: Python<'_>) -> PyResult<()> {
    let logging = py.import(intern!(py, "logging"))?;
    let logger = logging.call_method1(intern!(py, "getLogger"), ("mobula",))?;
    let level: i64 = logger.call_method0(intern!(py, "getEffectiveLevel"))?.extract()?;
    log::set_max_level(filter(u64::try_from(level).unwrap_or(0)));
    Ok(())
}
