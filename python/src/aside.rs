//! A thread for what needs the interpreter but comes up where its lock must not be waited for: on the
//! arbiters, and in continuations.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use crate::fork::Process;
use crate::interpreter::released;
use crate::run::wait_for;

/// Something to do in the interpreter.
type Job = Box<dyn FnOnce(Python<'_>) + Send>;

/// The way to the thread, and the process in which it lives.
static ASIDE: Mutex<Option<(Process, Sender<Job>)>> = Mutex::new(None);

/// Does something in the interpreter, soon, behind what was put aside before.
pub(crate) fn put(job: impl FnOnce(Python<'_>) + Send + 'static) {
    let mut aside = ASIDE.lock().unwrap_or_else(PoisonError::into_inner);
    let sender = match &*aside {
        Some((process, sender)) if process.is_current() => sender,
        // The thread of a parent process is not here: its jobs are not ours.
        Some(_) | None => match start() {
            Ok(sender) => {
                std::mem::forget(aside.take());
                &aside.insert((Process::current(), sender)).1
            }
            Err(error) => return log::error!("no thread to go aside can be had: {error}"),
        },
    };
    if sender.send(Box::new(job)).is_err() {
        log::debug!("the interpreter has ended, and nothing more is done in it");
    }
}

fn start() -> std::io::Result<Sender<Job>> {
    let (sender, jobs) = channel();
    std::thread::Builder::new().name("mobula-aside".to_owned()).spawn(move || run(&jobs))?;
    Ok(sender)
}

fn run(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        if Python::try_attach(job).is_none() {
            return; // The interpreter has ended.
        }
    }
}

/// Waits for what was put aside, and does so before the interpreter ends: a thread that is inside it then
/// cannot get out. A signal ends the waiting.
#[pyfunction]
pub(crate) fn end_aside(py: Python<'_>) -> PyResult<()> {
    let is_used = released(py, || {
        let aside = ASIDE.lock().unwrap_or_else(PoisonError::into_inner);
        aside.as_ref().is_some_and(|(process, _)| process.is_current())
    });
    if !is_used {
        return Ok(());
    }
    let (sender, done) = futures::channel::oneshot::channel::<()>();
    put(move |_| drop(sender));
    // That the sender is gone is what was waited for.
    wait_for(py, done)?.ok();
    Ok(())
}

/// In a child process after a fork: forgets the thread, which is not here, even if it was being used.
pub(crate) fn in_child() {
    match ASIDE.try_lock() {
        Ok(mut aside) => std::mem::forget(aside.take()),
        Err(std::sync::TryLockError::Poisoned(aside)) => {
            std::mem::forget(aside.into_inner().take());
        }
        Err(std::sync::TryLockError::WouldBlock) => {}
    }
}
