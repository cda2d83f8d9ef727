//! The child's side: a Python process that makes calls for its parent.
//!
//! [`serve`] runs on the main thread, with the interpreter's lock, which it gives back while it waits. What
//! [`PyCalls`] holds: the definitions of runs, the values that have stayed, and which maps of segments
//! somebody may still look at. How a call is put together stands in `operations`, what becomes of its
//! value in `values`, the hooks around it in `hooks`, what it asks of the parent in `asking`.

mod asking;
mod hooks;
mod operations;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use bytes::Bytes;
use mobula::process::wire::{Call, Definition, End, Failed, InputRef, Packed};
use mobula::process::{Calls, Desk, SegmentId, Served, Setting};
use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySet};
use send_wrapper::SendWrapper;

pub(crate) use asking::{WorkingCall, ask};

use crate::asks;
use crate::lent;
use crate::packing::program::{HAS_KEY, LITERALS_ARE_AN_INPUT, Reader};
use crate::packing::{HOOKS, SETTINGS, not_unpickled, object_from, pickle};

/// Makes the calls that come through the socket that is the standard input of this process, until the parent
/// wants no more.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>) -> PyResult<Option<String>> {
    let packing = py.import("mobula._packing")?;
    let module = py.import("mobula._child")?;
    let child = PyCalls {
        runs: RefCell::default(),
        stayed: RefCell::default(),
        maps: RefCell::default(),
        leaving: RefCell::default(),
        readonly: Cell::new(false),
        unreadable: Cell::new(false),
        packing: packing.unbind().into_any(),
        unflushed: module.getattr("unflushed")?.cast_into()?.unbind(),
        child: module.unbind().into_any(),
    };
    let socket: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let interrupt = || {
        // A signal reaches the main thread also where it sleeps.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).ok();
    };
    let served = mobula::process::serve(socket, Rc::new(child), Setting::new(interrupt));
    match served {
        Ok(Served::Stopped) => Ok(None),
        Ok(Served::Refused(reason)) => Ok(Some(reason)),
        Err(error) => Err(PyOSError::new_err(error.to_string())),
    }
}

/// The hooks of one callback around calls: its name, `task_start`, `task_end`.
type Around = (String, Option<Py<PyAny>>, Option<Py<PyAny>>);

/// What a run has told of itself.
#[derive(Default)]
struct Told {
    /// By number: the pickle of a definition, until it is needed.
    pickled: HashMap<u32, Bytes>,
    /// By number: the definition.
    objects: Option<Py<PyDict>>,
    /// The hooks around calls: name, `task_start`, `task_end`.
    hooks: Option<Vec<Around>>,
}

struct PyCalls {
    runs: RefCell<HashMap<u64, Told>>,
    /// By call: the values that have stayed.
    stayed: RefCell<HashMap<u64, Py<PyAny>>>,
    /// By segment: weak references to the maps that were made of it.
    maps: RefCell<HashMap<SegmentId, Vec<Py<PyAny>>>>,
    /// The handles of the parent's in values that are on their way there.
    leaving: RefCell<Vec<Py<PyAny>>>,
    /// True if tasks cannot write into their inputs.
    readonly: Cell<bool>,
    /// True while what a call failed with is that it could not be unpickled.
    unreadable: Cell<bool>,
    /// `mobula._packing`.
    packing: Py<PyAny>,
    /// `mobula._child`.
    child: Py<PyAny>,
    /// The streams of that module which were written to and not flushed.
    unflushed: Py<PySet>,
}

/// Why a call gave no value.
enum Broken {
    Raised(PyErr),
    Hook(String, PyErr),
}

impl From<PyErr> for Broken {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

fn damaged() -> PyErr {
    PyTypeError::new_err("a call came incomplete from the parent of this process")
}

impl PyCalls {
    fn input<'py>(
        &self,
        py: Python<'py>,
        input: &InputRef,
        desk: &Desk,
    ) -> PyResult<Bound<'py, PyAny>> {
        match input {
            InputRef::Stayed { number, .. } => {
                let stayed = self.stayed.borrow();
                let value = stayed.get(number).ok_or_else(damaged)?;
                Ok(value.bind(py).clone())
            }
            InputRef::Packed(packed) => self
                .unpacked(py, packed, desk)
                .map_err(|error| self.unreadable(py, "an input of the task", error)),
        }
    }

    fn unpacked<'py>(
        &self,
        py: Python<'py>,
        packed: &Packed,
        desk: &Desk,
    ) -> PyResult<Bound<'py, PyAny>> {
        let segment = match packed.segment {
            Some(id) => Some(desk.segment(id).ok_or_else(damaged)?),
            None => None,
        };
        let mut shows = |map: &Bound<'py, PyAny>| {
            let weak =
                py.import(intern!(py, "weakref"))?.call_method1(intern!(py, "ref"), (map,))?;
            if let Some(id) = packed.segment {
                self.maps.borrow_mut().entry(id).or_default().push(weak.unbind());
            }
            Ok(())
        };
        let readonly = self.readonly.get();
        object_from(py, &packed.inline, &packed.parts, segment.as_ref(), readonly, &mut shows)
    }

    /// A definition of a run; it is made when it is first needed.
    fn definition<'py>(
        &self,
        py: Python<'py>,
        run: u64,
        number: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let objects = self.definitions(py, run);
        if let Some(found) = objects.get_item(number)? {
            return Ok(found);
        }
        let bytes =
            self.runs.borrow().get(&run).and_then(|told| told.pickled.get(&number).cloned());
        let bytes = bytes.ok_or_else(damaged)?;
        let read = || self.loads(py, run, &bytes);
        let object = asking::desk().map_or_else(read, |desk| desk.reading(read))?;
        objects.set_item(number, &object)?;
        if let Some(told) = self.runs.borrow_mut().get_mut(&run) {
            told.pickled.remove(&number);
        }
        Ok(object)
    }

    fn definitions<'py>(&self, py: Python<'py>, run: u64) -> Bound<'py, PyDict> {
        let mut runs = self.runs.borrow_mut();
        let told = runs.entry(run).or_default();
        told.objects.get_or_insert_with(|| PyDict::new(py).unbind()).bind(py).clone()
    }

    /// Unpickles what may refer to definitions.
    fn loads<'py>(&self, py: Python<'py>, run: u64, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        self.refers_to(py, run)?;
        let object = pickle(py)?.loads.bind(py).call1((PyBytes::new(py, bytes),));
        object.map_err(|error| self.unreadable(py, "what the task calls or is given", error))
    }

    fn unreadable(&self, py: Python<'_>, what: &str, error: PyErr) -> PyErr {
        self.unreadable.set(true);
        not_unpickled(py, what, error)
    }

    /// Makes all definitions of a run known to what is unpickled next.
    fn refers_to(&self, py: Python<'_>, run: u64) -> PyResult<()> {
        let module = self.packing.bind(py);
        module.call_method1(intern!(py, "definitions_of"), (self.definitions(py, run),))?;
        Ok(())
    }

    fn literals<'py>(
        &self,
        py: Python<'py>,
        call: &Call,
        flags: u8,
        pickled: &[u8],
        desk: &Desk,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        if flags & LITERALS_ARE_AN_INPUT == 0 && pickled.is_empty() {
            return Ok(Vec::new());
        }
        // What the literals refer to was defined before; all of it is made now, as the pickle may name any.
        let unmade: Vec<u32> = {
            let runs = self.runs.borrow();
            let told = runs.get(&call.run);
            told.map(|told| {
                told.pickled.keys().copied().filter(|number| *number != HOOKS).collect()
            })
            .unwrap_or_default()
        };
        for number in unmade {
            self.definition(py, call.run, number)?;
        }
        let list = if flags & LITERALS_ARE_AN_INPUT == 0 {
            self.loads(py, call.run, pickled)?
        } else {
            self.refers_to(py, call.run)?;
            self.input(py, call.inputs.first().ok_or_else(damaged)?, desk)?
        };
        Ok(list.cast_into::<PyList>()?.iter().collect())
    }

    /// Puts the call together, makes it, and answers its value.
    fn value<'py>(
        &self,
        py: Python<'py>,
        call: &Call,
        desk: &Desk,
    ) -> Result<Bound<'py, PyAny>, Broken> {
        let mut payload = Reader(&call.payload);
        let flags = payload.byte().ok_or_else(damaged)?;
        let key = match flags & HAS_KEY {
            0 => None,
            _ => Some(payload.bytes().ok_or_else(damaged)?),
        };
        let pickled = payload.bytes().ok_or_else(damaged)?;
        let skipped = usize::from(flags & LITERALS_ARE_AN_INPUT);
        let inputs = call.inputs.iter().skip(usize::from(skipped > 0));
        let read = || -> PyResult<_> {
            let literals = self.literals(py, call, flags, pickled, desk)?;
            let inputs =
                inputs.map(|input| self.input(py, input, desk)).collect::<PyResult<Vec<_>>>()?;
            Ok((literals, inputs))
        };
        let (literals, inputs) = desk.reading(read)?;
        let Some(key) = key else {
            return Ok(self.run(py, call, payload, inputs, literals)?);
        };
        let key = pickle(py)?.loads.bind(py).call1((PyBytes::new(py, key),))?;
        self.run_with_hooks(py, call, payload, inputs, literals, &key)
    }

    /// Passes on what a call has written, so that it is there before the end of the call is.
    fn flush(&self, py: Python<'_>) {
        // Most calls write nothing, and this is all that they pay.
        if self.unflushed.bind(py).is_empty() {
            return;
        }
        if let Err(error) = self.child.bind(py).call_method0(intern!(py, "flush")) {
            log::debug!("what a call has written is not passed on: {error}");
        }
    }

    fn failed(&self, py: Python<'_>, broken: Broken) -> Failed {
        let bytes = |error: &PyErr| -> PyResult<Bytes> {
            // With its traceback, which older versions of Python keep beside it.
            let value = error.clone_ref(py).into_value(py);
            let dumped = self.packing.bind(py).call_method1("dumps_exception", (value,))?;
            Ok(Bytes::copy_from_slice(dumped.cast::<PyBytes>()?.as_bytes()))
        };
        let (hook, error) = match broken {
            Broken::Raised(error) => (None, error),
            Broken::Hook(hook, error) => (Some(hook), error),
        };
        match (hook, bytes(&error)) {
            (None, Ok(raised)) if self.unreadable.get() => Failed::Unreadable(raised),
            (None, Ok(raised)) => Failed::Raised(raised),
            (Some(hook), Ok(raised)) => Failed::Hook { hook, raised },
            (_, Err(second)) => Failed::Misfit(format!("{error} (which cannot be sent: {second})")),
        }
    }
}

impl Calls for PyCalls {
    fn greet(&self, greeting: &[u8], desk: &Desk) -> Result<(), String> {
        asks::become_child();
        asking::sits_at(desk.clone());
        Python::attach(|py| {
            let greet = || -> PyResult<bool> {
                let begin = self.child.bind(py).getattr("begin")?;
                begin.call1((PyBytes::new(py, greeting), WorkingCall))?.extract()
            };
            let readonly = greet().map_err(|error| error.to_string())?;
            self.readonly.set(readonly);
            Ok(())
        })
    }

    fn define(&self, run: u64, definition: Definition) {
        let Definition { number, bytes } = definition;
        if number == SETTINGS {
            return Python::attach(|py| {
                let settings = PyBytes::new(py, &bytes);
                let hold =
                    self.child.bind(py).call_method1(intern!(py, "settings_hold"), (settings,));
                if let Err(error) = hold {
                    log::warn!("the settings of Dask do not hold in a worker process: {error}");
                }
            });
        }
        self.runs.borrow_mut().entry(run).or_default().pickled.insert(number, bytes);
    }

    fn forget_run(&self, run: u64) {
        let told = self.runs.borrow_mut().remove(&run);
        Python::attach(|_| drop(told));
    }

    fn call(&self, call: &Call, desk: &Desk) -> End {
        Python::attach(|py| {
            drop(self.leaving.take()); // All that was said before is on its way.
            self.unreadable.set(false);
            let ended = self.value(py, call, desk).and_then(|value| {
                let end = self.end(&value, call, desk)?;
                Ok(end)
            });
            let ended = ended.and_then(|end| {
                // What came with the call is the parent's to let go of when this is said.
                if lent::is_any_unheld() {
                    asks::session(py)?.call_method0("call_ended")?;
                }
                Ok(end)
            });
            self.flush(py);
            match ended {
                Ok(end) => {
                    for input in &call.inputs {
                        if let InputRef::Stayed { number, last: true } = input {
                            self.release(*number);
                        }
                    }
                    end
                }
                Err(broken) => End::Failed(self.failed(py, broken)),
            }
        })
    }

    fn release(&self, value: u64) {
        let value = self.stayed.borrow_mut().remove(&value);
        Python::attach(|_| drop(value));
    }

    fn forget_segment(&self, segment: SegmentId) -> bool {
        let Some(maps) = self.maps.borrow_mut().remove(&segment) else { return true };
        Python::attach(|py| {
            maps.iter().all(|map| map.bind(py).call0().is_ok_and(|map| map.is_none()))
        })
    }

    fn waiting(&self, body: &mut dyn FnMut()) {
        let mut body = SendWrapper::new(body);
        Python::attach(|py| {
            drop(self.leaving.take()); // All that was said before is on its way.
            py.detach(|| call(&mut body));
        });
    }

    fn clear_interrupt(&self) {
        Python::attach(|py| {
            // The handler of the signal raises what nobody is there to hear any more.
            if let Err(late) = py.check_signals() {
                log::debug!("an interrupt came after its call: {late}");
            }
        });
    }
}

/// Calls what stays on its thread.
fn call(body: &mut SendWrapper<&mut dyn FnMut()>) {
    (***body)();
}
