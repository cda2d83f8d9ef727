//! Putting a call together and making it: the operations of a payload, worked off on a stack.

use mobula::process::wire::Call;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyTuple};

use super::{PyCalls, damaged};
use crate::packing::program::{Operation, Reader};

impl PyCalls {
    /// Works the operations off.
    pub(super) fn run<'py>(
        &self,
        py: Python<'py>,
        call: &Call,
        mut payload: Reader<'_>,
        inputs: Vec<Bound<'py, PyAny>>,
        literals: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut inputs = inputs.into_iter();
        let mut literals = literals.into_iter();
        let mut stack: Vec<Bound<'py, PyAny>> = Vec::new();
        while let Some(operation) = payload.operation() {
            let made = match operation {
                Operation::Input => inputs.next().ok_or_else(damaged)?,
                Operation::Literal => literals.next().ok_or_else(damaged)?,
                Operation::List(count) => PyList::new(py, last(&mut stack, count)?)?.into_any(),
                Operation::Tuple(count) => PyTuple::new(py, last(&mut stack, count)?)?.into_any(),
                Operation::Set(count) => PySet::new(py, last(&mut stack, count)?)?.into_any(),
                Operation::Dict(count) => dict(py, &last(&mut stack, pairs(count)?)?)?.into_any(),
                Operation::Call { function, arguments, named } => {
                    let function = self.definition(py, call.run, function)?;
                    if arguments == u32::MAX {
                        let arguments = PyTuple::new(py, inputs.by_ref().collect::<Vec<_>>())?;
                        function.call1(arguments)?
                    } else {
                        let named = last(&mut stack, pairs(named)?)?;
                        let arguments = PyTuple::new(py, last(&mut stack, arguments)?)?;
                        if named.is_empty() {
                            function.call1(arguments)?
                        } else {
                            function.call(arguments, Some(&dict(py, &named)?))?
                        }
                    }
                }
                Operation::Itself(count) => {
                    let values = dict(py, &last(&mut stack, pairs(count)?)?)?;
                    stack.pop().ok_or_else(damaged)?.call1((values,))?
                }
            };
            stack.push(made);
        }
        stack.pop().ok_or_else(damaged)
    }
}

fn last<'py>(stack: &mut Vec<Bound<'py, PyAny>>, count: u32) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let count = usize::try_from(count).map_err(|_| damaged())?;
    let at = stack.len().checked_sub(count).ok_or_else(damaged)?;
    Ok(stack.split_off(at))
}

fn pairs(count: u32) -> PyResult<u32> {
    count.checked_mul(2).ok_or_else(damaged)
}

fn dict<'py>(py: Python<'py>, items: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for pair in items.chunks_exact(2) {
        dict.set_item(&pair[0], &pair[1])?;
    }
    Ok(dict)
}
