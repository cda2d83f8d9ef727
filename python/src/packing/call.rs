//! Packing the calls of tasks: the parent's side.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use mobula::Packing;
use mobula::process::Parcel;
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::program::{HAS_KEY, LITERALS_ARE_AN_INPUT, Operation, write_bytes};
use super::{HOOKS, SETTINGS};
use crate::task::{Call, Nested, Part, PyTask, Shared};
use crate::tokens::{self, Gathered};

/// What the calls of one run refer to by number.
pub(crate) struct Definitions {
    /// The object that numbers and pickles them; it holds what it has numbered.
    object: Py<PyAny>,
    /// By address: the number of a function that was met before.
    numbers: Mutex<HashMap<usize, u32>>,
    /// The hooks around the tasks of the run, pickled, if it has some.
    hooks: Option<Bytes>,
    /// Dask's settings, pickled.
    settings: Bytes,
    /// Refs and actors that are in what was pickled, and that nobody else holds.
    kept: Mutex<Vec<Py<PyAny>>>,
}

impl Definitions {
    /// For a run with these hooks: a list of the name, `task_start` and `task_end` of each callback.
    pub(crate) fn new(py: Python<'_>, hooks: Option<&Bound<'_, PyList>>) -> PyResult<Self> {
        let module = py.import(intern!(py, "mobula._packing"))?;
        let object = module.getattr(intern!(py, "Definitions"))?.call0()?;
        let pickled = |hooks| bytes_of(&object.call_method1("pickled_hooks", (hooks,))?);
        let (hooks, handles) = tokens::gathering(|| hooks.map(pickled).transpose());
        let hooks = hooks?;
        let settings = bytes_of(&py.import("mobula.dask._settings")?.call_method0("packed")?)?;
        let (numbers, kept) = (Mutex::default(), Mutex::default());
        let this = Self { object: object.unbind(), numbers, hooks, settings, kept };
        this.keep(py, handles)?;
        Ok(this)
    }

    /// Keeps the handles that went into a pickle until the run is over, if that is left to us: a task holds
    /// what it is called with until its call has ended, but some objects make a handle for their pickle.
    pub(super) fn keep(&self, py: Python<'_>, handles: Gathered) -> PyResult<()> {
        /// What counts is this hold of it, and that of who counts.
        const ONLY_OURS: usize = 2;
        if handles.is_empty() {
            return Ok(());
        }
        let count = py.import(intern!(py, "sys"))?.getattr(intern!(py, "getrefcount"))?;
        let mut kept = Vec::new();
        for (_, handle) in handles {
            if count.call1((&handle,))?.extract::<usize>()? <= ONLY_OURS {
                kept.push(handle);
            }
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).append(&mut kept);
        Ok(())
    }

    fn number(&self, py: Python<'_>, function: &Py<PyAny>) -> PyResult<u32> {
        let address = function.as_ptr().addr();
        let known = |numbers: &HashMap<usize, u32>| numbers.get(&address).copied();
        if let Some(number) = known(&self.numbers.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(number);
        }
        let number: u32 =
            self.object.bind(py).call_method1(intern!(py, "number"), (function,))?.extract()?;
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).insert(address, number);
        Ok(number)
    }

    /// Makes a definition known to the process to which a call goes.
    fn define(&self, py: Python<'_>, number: u32, packing: &mut Packing<'_>) -> PyResult<()> {
        let mut failed = None;
        packing.define(number, || {
            let bytes = self.object.bind(py).call_method1(intern!(py, "bytes_of"), (number,));
            bytes.and_then(|bytes| bytes_of(&bytes)).unwrap_or_else(|error| {
                failed = Some(error);
                Bytes::new()
            })
        });
        failed.map_or(Ok(()), Err)
    }
}

fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    Ok(Bytes::copy_from_slice(object.cast::<PyBytes>()?.as_bytes()))
}

/// A call as it is packed.
struct Packed<'a, 'py> {
    py: Python<'py>,
    shared: &'a Shared,
    operations: Vec<u8>,
    literals: Vec<Bound<'py, PyAny>>,
    functions: Vec<u32>,
}

/// Packs the call of a task, without its inputs.
pub(super) fn pack(
    py: Python<'_>,
    task: &PyTask,
    definitions: &Definitions,
    packing: &mut Packing<'_>,
) -> PyResult<()> {
    let mut packed = Packed {
        py,
        shared: &task.shared,
        operations: Vec::new(),
        literals: Vec::new(),
        functions: Vec::new(),
    };
    packed.call(&task.call, definitions)?;
    let Packed { operations, literals, functions, .. } = packed;
    let too_long = || PyOverflowError::new_err("its arguments have more than 4 GiB");
    packing.define(SETTINGS, || definitions.settings.clone());
    let mut flags = 0;
    let mut head = Vec::new();
    if let Some(hooks) = &definitions.hooks {
        packing.define(HOOKS, || hooks.clone());
        flags |= HAS_KEY;
        let key = definitions.object.bind(py).call_method1("pickled", (task.key(py)?,))?;
        write_bytes(key.cast::<PyBytes>()?.as_bytes(), &mut head).ok_or_else(too_long)?;
    }
    if literals.is_empty() {
        write_bytes(&[], &mut head).ok_or_else(too_long)?;
    } else {
        flags |= pack_literals(py, definitions, &literals, &mut head, packing)?;
    }
    for number in functions {
        definitions.define(py, number, packing)?;
    }
    let payload = packing.payload();
    payload.reserve(1 + head.len() + operations.len());
    payload.push(flags);
    payload.extend_from_slice(&head);
    payload.extend_from_slice(&operations);
    Ok(())
}

/// Pickles what stands in the graph; what is large goes as the first input.
fn pack_literals(
    py: Python<'_>,
    definitions: &Definitions,
    literals: &[Bound<'_, PyAny>],
    head: &mut Vec<u8>,
    packing: &mut Packing<'_>,
) -> PyResult<u8> {
    let list = PyList::new(py, literals)?;
    let too_long = || PyOverflowError::new_err("its arguments have more than 4 GiB");
    if literals.iter().all(is_plain) {
        let pickle = super::parcels::pickle(py)?.dumps.bind(py).call1((list, 5))?;
        write_bytes(pickle.cast::<PyBytes>()?.as_bytes(), head).ok_or_else(too_long)?;
        return Ok(0);
    }
    let answer = definitions.object.bind(py).call_method1(intern!(py, "dumps"), (list,))?;
    let (pickle, buffers, used): (Bound<'_, PyBytes>, Vec<Bound<'_, PyAny>>, Vec<u32>) =
        answer.extract()?;
    for number in used {
        definitions.define(py, number, packing)?;
    }
    if buffers.is_empty() {
        write_bytes(pickle.as_bytes(), head).ok_or_else(too_long)?;
        return Ok(0);
    }
    let parcel: Parcel = super::parcels::parcel_of_parts(pickle.as_bytes(), &buffers)?;
    packing.parcel(&parcel);
    write_bytes(&[], head).ok_or_else(too_long)?;
    Ok(LITERALS_ARE_AN_INPUT)
}

/// True for what the standard pickle writes as it is, without asking anybody.
fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
        || object
            .cast_exact::<PyTuple>()
            .is_ok_and(|tuple| tuple.len() <= 8 && tuple.iter().all(|item| is_plain(&item)))
}

impl<'py> Packed<'_, 'py> {
    fn call(&mut self, call: &Call, definitions: &Definitions) -> PyResult<()> {
        match call {
            Call::Plain(function) => {
                // Everything that it gets is an input; how many, the child sees.
                self.end(function, u32::MAX, 0, definitions)
            }
            Call::Flat { function, arguments } => {
                let reference = self.shared.reference.bind(self.py);
                let arguments = arguments.bind(self.py);
                for argument in arguments.iter() {
                    if argument.get_type().is(reference) {
                        Operation::Input.write(&mut self.operations);
                    } else {
                        self.literal(argument);
                    }
                }
                self.end(function, count(arguments.len())?, 0, definitions)
            }
            Call::Nested(nested) => self.nested(nested, definitions),
            Call::Same | Call::Fetch(_) => Ok(()),
        }
    }

    fn literal(&mut self, literal: Bound<'py, PyAny>) {
        Operation::Literal.write(&mut self.operations);
        self.literals.push(literal);
    }

    fn end(
        &mut self,
        function: &Py<PyAny>,
        arguments: u32,
        named: u32,
        definitions: &Definitions,
    ) -> PyResult<()> {
        let function = definitions.number(self.py, function)?;
        self.functions.push(function);
        Operation::Call { function, arguments, named }.write(&mut self.operations);
        Ok(())
    }

    fn nested(&mut self, nested: &Nested, definitions: &Definitions) -> PyResult<()> {
        self.parts(&nested.arguments, definitions)?;
        for (name, part) in &nested.keywords {
            self.literal(name.bind(self.py).clone());
            self.part(part, definitions)?;
        }
        let (arguments, named) = (count(nested.arguments.len())?, count(nested.keywords.len())?);
        self.end(&nested.function, arguments, named, definitions)
    }

    fn parts(&mut self, parts: &[Part], definitions: &Definitions) -> PyResult<()> {
        parts.iter().try_for_each(|part| self.part(part, definitions))
    }

    fn part(&mut self, part: &Part, definitions: &Definitions) -> PyResult<()> {
        let (operation, parts) = match part {
            Part::Input => {
                Operation::Input.write(&mut self.operations);
                return Ok(());
            }
            Part::Literal(literal) => {
                self.literal(literal.bind(self.py).clone());
                return Ok(());
            }
            Part::Call(nested) => return self.nested(nested, definitions),
            Part::Itself(object, keys) => {
                self.literal(object.bind(self.py).clone());
                for key in keys {
                    self.literal(key.bind(self.py).clone());
                    Operation::Input.write(&mut self.operations);
                }
                Operation::Itself(count(keys.len())?).write(&mut self.operations);
                return Ok(());
            }
            Part::List(parts) => (Operation::List(count(parts.len())?), parts),
            Part::Tuple(parts) => (Operation::Tuple(count(parts.len())?), parts),
            Part::Set(parts) => (Operation::Set(count(parts.len())?), parts),
            Part::Dict(parts) => (Operation::Dict(count(parts.len() / 2)?), parts),
        };
        self.parts(parts, definitions)?;
        operation.write(&mut self.operations);
        Ok(())
    }
}

fn count(length: usize) -> PyResult<u32> {
    u32::try_from(length).map_err(|_| PyOverflowError::new_err("it has too many arguments"))
}
