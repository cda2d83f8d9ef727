//! [`Program`]: the worker processes of a cluster, each a Python of its own.

use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mobula::process::{Medium, Parcel, Stayed};
use mobula::{BoxError, Key, PackError, Packing, Processes, Question, Stream, Value};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyTuple};

use crate::errors::TaskError;
use crate::object::Object;
use crate::packing;
use crate::task::PyTask;

/// What was said of worker processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessSettings {
    /// Modules that each process imports at its start.
    pub(crate) preimport: Vec<String>,
    /// Where shared values lie instead of in anonymous memory.
    pub(crate) shared_directory: Option<String>,
    /// True if tasks cannot write into their inputs.
    pub(crate) readonly: bool,
    /// True if what tasks print is not shown.
    pub(crate) is_quiet: bool,
}

/// The worker processes of a cluster.
#[derive(Debug)]
pub(crate) struct Program {
    settings: ProcessSettings,
    /// How many workers the cluster has, if that was said.
    workers: Option<usize>,
    /// Distinguishes the cluster from all others of this process.
    cluster: u64,
}

impl Program {
    /// Of a cluster with so many workers, if that was said.
    pub(crate) fn new(settings: ProcessSettings, workers: Option<usize>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { settings, workers, cluster: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Tells those who answer the questions of worker processes of one.
    fn tell(&self, what: &str, process: u32, settings: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        Python::attach(|py| {
            let told = py.import("mobula._requests")?.getattr(what)?;
            told.call(((self.cluster, process),), settings).map(drop)
        })
    }
}

fn ended() -> io::Error {
    io::Error::other("the Python interpreter has ended")
}

/// Asks the module that knows how processes are started.
fn ask<R: for<'a, 'py> FromPyObject<'a, 'py, Error: Into<PyErr>>>(
    function: &str,
    keywords: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
) -> io::Result<R> {
    let asked = Python::try_attach(|py| -> PyResult<R> {
        let named = PyDict::new(py);
        keywords(&named)?;
        let answer = py.import("mobula._processes")?.getattr(function)?.call((), Some(&named))?;
        answer.extract().map_err(Into::into)
    });
    asked.ok_or_else(ended)?.map_err(|error| io::Error::other(error.to_string()))
}

impl Processes for Program {
    fn command(&self) -> io::Result<Command> {
        let arguments: Vec<String> = ask("command", |_| Ok(()))?;
        let environment: Vec<(String, String)> = ask("environment", |_| Ok(()))?;
        let [program, arguments @ ..] = arguments.as_slice() else {
            return Err(io::Error::other("there is no Python to start"));
        };
        let mut command = Command::new(program);
        command.args(arguments).envs(environment);
        Ok(command)
    }

    fn greeting(&self) -> Vec<u8> {
        let settings = &self.settings;
        let greeting = ask("greeting", |named| {
            named.set_item("preimport", &settings.preimport)?;
            named.set_item("readonly", settings.readonly)
        });
        greeting.unwrap_or_else(|error| {
            log::error!("worker processes cannot be told how to begin: {error}");
            Vec::new()
        })
    }

    fn media(&self) -> Vec<Medium> {
        let fallback = Medium::Directory(std::env::temp_dir());
        match &self.settings.shared_directory {
            Some(directory) => vec![Medium::Directory(directory.into()), fallback],
            None => vec![Medium::Anonymous, fallback],
        }
    }

    fn packing(&self, body: &mut dyn FnMut()) {
        let mut body = send_wrapper::SendWrapper::new(body);
        if Python::try_attach(|_| (**body)()).is_none() {
            (**body)();
        }
    }

    fn pack(
        &self,
        function: &dyn std::any::Any,
        arguments: &[Value],
        packing: &mut Packing<'_>,
    ) -> Result<(), PackError> {
        let Some(task) = function.downcast_ref::<PyTask>() else { return Err(PackError::Here) };
        let packed = Python::try_attach(|py| packing::pack(py, task, arguments, packing));
        packed.unwrap_or_else(|| Err(PackError::Failed(TaskError::interpreter_ended().into())))
    }

    fn received(&self, parcel: Parcel) -> Result<Value, BoxError> {
        let received = Python::try_attach(|py| {
            let object = packing::object_of(py, &parcel)
                .map_err(|error| packing::not_unpickled(py, "the value of the task", error));
            object.map(Object::value).map_err(|error| TaskError::new(py, error).into())
        });
        received.unwrap_or_else(|| Err(TaskError::interpreter_ended().into()))
    }

    fn raised(&self, raised: &[u8]) -> BoxError {
        let error = Python::try_attach(|py| packing::raised(py, raised));
        error.unwrap_or_else(TaskError::interpreter_ended).into()
    }

    fn unreadable(&self, key: &Key, raised: &[u8]) -> BoxError {
        let error = Python::try_attach(|py| packing::unreadable(py, key, raised));
        error.unwrap_or_else(TaskError::interpreter_ended).into()
    }

    fn may_stay(&self, function: &dyn std::any::Any) -> bool {
        function.downcast_ref::<PyTask>().is_none_or(|task| !task.shared.keeps_calls)
    }

    fn raised_by(
        &self,
        function: &dyn std::any::Any,
        arguments: &[Value],
        raised: &[u8],
    ) -> BoxError {
        // What has stayed in the process cannot be had here.
        let is_here = !arguments.iter().any(Value::is::<Stayed>);
        let task = function.downcast_ref::<PyTask>().filter(|_| is_here);
        let Some(task) = task else { return self.raised(raised) };
        let error =
            Python::try_attach(|py| task.keeping_call(py, packing::raised(py, raised), arguments));
        error.unwrap_or_else(TaskError::interpreter_ended).into()
    }

    fn cannot_leave(&self, key: &Key, reason: &str) -> BoxError {
        let error = Python::try_attach(|py| {
            let exception = crate::errors::ours(
                py,
                "NotPicklableError",
                format!(
                    "the value of task {key:?} cannot leave its worker process: {reason}; let the task return \
                     plain data (a list instead of a generator, say), or run it with workers=\"threads\""
                ),
            );
            TaskError::new(py, exception)
        });
        error.unwrap_or_else(TaskError::interpreter_ended).into()
    }

    fn ask(&self, question: Question) {
        let mut question = Some(question);
        let asked = Python::try_attach(|py| -> PyResult<()> {
            let question = question.take().expect("it is asked once");
            let (payload, process) = (question.payload().clone(), question.process());
            let question = std::sync::Mutex::new(Some(question));
            let answer = PyCFunction::new_closure(
                py,
                Some(c"answer"),
                None,
                move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                    let payload = arguments.get_item(0)?.cast_into::<PyBytes>()?;
                    let bytes = Bytes::copy_from_slice(payload.as_bytes());
                    let mut question =
                        question.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let Some(asked) = question.take() else { return PyResult::Ok(()) };
                    if let Err(asked) = arguments.py().detach(|| asked.answer(bytes)) {
                        *question = Some(asked);
                        return Err(PyOverflowError::new_err("the answer is too long to be sent"));
                    }
                    Ok(())
                },
            )?;
            let handle = py.import("mobula._requests")?.getattr(intern!(py, "handle"))?;
            handle.call1((PyBytes::new(py, &payload), answer, (self.cluster, process)))?;
            Ok(())
        });
        if let Some(Err(error)) = asked {
            log::error!("what a worker process asks cannot be answered: {error}");
        }
    }

    fn started(&self, process: u32) {
        // What a task in a process computes, it computes in processes.
        let told = Python::try_attach(|py| -> PyResult<()> {
            let settings = PyDict::new(py);
            settings.set_item("workers", "processes")?;
            settings.set_item("num_workers", self.workers)?;
            self.tell("child_started", process, Some(&settings))
        });
        if let Some(Err(error)) = told {
            log::error!("the start of a worker process cannot be told: {error}");
        }
    }

    fn ended(&self, process: u32) {
        let told = Python::try_attach(|_| self.tell("child_ended", process, None));
        if let Some(Err(error)) = told {
            log::error!("the end of a worker process cannot be told: {error}");
        }
    }

    fn knock(&self) -> Option<Duration> {
        #[expect(clippy::disallowed_methods, reason = "the time for which the lock is held")]
        let began = Instant::now();
        Python::try_attach(|_| began.elapsed())
    }

    fn warn(&self, line: &str) {
        let warned = Python::try_attach(|py| -> PyResult<()> {
            py.import("mobula._processes")?.getattr("warn")?.call1((line,))?;
            Ok(())
        });
        if let Some(Err(error)) = warned {
            log::warn!("{line} (and this cannot be shown: {error})");
        }
    }

    fn output(&self, process: u32, key: Option<&Key>, stream: Stream, line: &str) {
        if self.settings.is_quiet {
            return;
        }
        let key = key.map(|key| format!("{key:?}"));
        let is_error = stream == Stream::Error;
        let shown = Python::try_attach(|py| -> PyResult<()> {
            let show = py.import("mobula._processes")?.getattr("show")?;
            show.call1((process, key, is_error, line))?;
            Ok(())
        });
        if let Some(Err(error)) = shown {
            log::debug!("a line of a worker process cannot be shown: {error}");
        }
    }
}
