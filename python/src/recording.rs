//! [`PyRecording`]: what was recorded, and what can be made of it.

use std::error::Error;
use std::path::PathBuf;

use mobula::drawing::Drawing;
use mobula::monitor::{JournalError, Recording, RunStatus};
use mobula::report::{ReportError, write_html_file, write_trace_file};
use pyo3::exceptions::{PyFileNotFoundError, PyIndexError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::drawing;
use crate::interpreter::released;

/// What was recorded of the clusters of this process, or read from a journal.
#[pyclass(module = "mobula._core", name = "Recording", frozen)]
pub(crate) struct PyRecording {
    recording: Recording,
}

impl PyRecording {
    pub(crate) fn new(recording: Recording) -> Self {
        Self { recording }
    }
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Done => "done",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}

#[pymethods]
impl PyRecording {
    /// Writes the report, one HTML file that opens offline.
    fn report(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        released(py, || write_html_file(&self.recording, path))
            .map_err(|error| report_error(&error))
    }

    /// Writes a trace for Perfetto and `chrome://tracing`.
    fn trace(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        released(py, || write_trace_file(&self.recording, path))
            .map_err(|error| report_error(&error))
    }

    /// Draws the graph of a run, of the last one if not said; a negative number counts from that.
    #[pyo3(signature = (run=None, *, color="time", filename=None, grouped_above=2000))]
    fn visualize<'py>(
        &self,
        py: Python<'py>,
        run: Option<isize>,
        color: &str,
        filename: Option<PathBuf>,
        grouped_above: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (color, run) = (drawing::color(color)?, run.unwrap_or(-1));
        let runs = self.recording.runs.len();
        let place = if run < 0 { runs.checked_add_signed(run) } else { usize::try_from(run).ok() };
        let Some(place) = place.filter(|place| *place < runs) else {
            return Err(PyIndexError::new_err(format!(
                "run {run}: there are {runs} in the recording"
            )));
        };
        let svg = released(py, || {
            let drawing = Drawing::of_run(&self.recording, place);
            drawing.colored(color).grouped_above(grouped_above).to_svg()
        });
        let picture = py.import("mobula._drawing")?.getattr("Picture")?.call1((svg,))?;
        if let Some(path) = filename {
            picture.call_method1("save", (path,))?;
        }
        Ok(picture)
    }

    /// The runs, each a dictionary: number, how it ended, how many tasks ended how, how long it took.
    #[getter]
    fn runs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let runs = PyList::empty(py);
        for run in &self.recording.runs {
            let told = PyDict::new(py);
            told.set_item("id", run.id)?;
            told.set_item("status", status(run.status))?;
            told.set_item("error", run.error.as_deref())?;
            told.set_item("tasks", run.tasks)?;
            told.set_item("done", run.done)?;
            told.set_item("cached", run.cached.len())?;
            told.set_item("failed", run.failed)?;
            told.set_item("skipped", run.skipped)?;
            let seconds = run.ended.map(|ended| seconds(ended.saturating_sub(run.began)));
            told.set_item("seconds", seconds)?;
            runs.append(told)?;
        }
        Ok(runs)
    }

    /// What workers did: run, key, worker, begin and end in seconds, bytes of the value, whether it failed.
    #[getter]
    fn tasks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let spans = self.recording.spans.iter().map(|span| {
            let run = &self.recording.runs[span.run as usize];
            let (from, to) = (seconds(span.from), seconds(span.to));
            (run.id, run.key_of(span.task), span.worker, from, to, span.bytes, span.failed)
        });
        PyList::new(py, spans.collect::<Vec<_>>())
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn report_error(error: &ReportError) -> PyErr {
    PyOSError::new_err(error.to_string())
}

/// Reads a journal.
#[pyfunction]
pub(crate) fn read_journal(py: Python<'_>, path: PathBuf) -> PyResult<PyRecording> {
    let recording = released(py, move || Recording::read_journal(path));
    let recording = recording.map_err(|error| journal_error(&error))?;
    Ok(PyRecording::new(recording))
}

fn journal_error(error: &JournalError) -> PyErr {
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    match io.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::NotFound) => PyFileNotFoundError::new_err(error.to_string()),
        Some(_) => PyOSError::new_err(error.to_string()),
        None => PyValueError::new_err(error.to_string()),
    }
}
