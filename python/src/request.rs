//! [`Request`]: something that a child process has asked for, and that is done for it on a thread of this one.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::caller::Caller;
use crate::errors;

/// Something that is done for somebody in a child process; see the stub.
#[pyclass(frozen, module = "mobula._core")]
pub(crate) struct Request {
    /// Whose calls of actors these are.
    caller: Caller,
    /// Set when nobody waits for it any more.
    is_abandoned: Arc<AtomicBool>,
}

thread_local! {
    /// Set when nobody waits any more for what this thread does.
    static IS_ABANDONED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

#[pymethods]
impl Request {
    /// The numbers of the child and of the caller in it.
    #[new]
    fn new(child: u32, caller: u32) -> Self {
        let is_abandoned = Arc::new(AtomicBool::new(false));
        Self { caller: Caller::in_child(child, caller), is_abandoned }
    }

    /// Calls a function for the caller.
    #[pyo3(signature = (function, *arguments, **keywords))]
    fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        arguments: Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _caller = self.caller.takes_over();
        let before = IS_ABANDONED.replace(Some(Arc::clone(&self.is_abandoned)));
        let answer = function.call(arguments, keywords);
        IS_ABANDONED.set(before);
        answer
    }

    /// Ends the waiting inside of the call: nobody hears its answer.
    fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
    }

    #[getter]
    fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }
}

/// To be called now and then while this thread waits: handles signals, and raises if nobody waits for it.
pub(crate) fn look_up(py: Python<'_>) -> PyResult<()> {
    py.check_signals()?;
    let is_abandoned = IS_ABANDONED
        .with_borrow(|flag| flag.as_ref().is_some_and(|flag| flag.load(Ordering::Acquire)));
    if is_abandoned {
        let message = "the process that asked for it waits no more";
        return Err(errors::ours(py, "RunCancelledError", message.to_owned()));
    }
    Ok(())
}
