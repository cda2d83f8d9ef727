//! How Python values go to the disk: pickle, protocol 5, with their buffers beside the stream.
//!
//! The file holds the number of parts, then each part with its length; the first part is the pickle, the
//! others are the buffers of arrays, in the order in which the pickle wants them. Buffers are written a
//! piece at a time, so that saving memory does not take a copy of it, and come back writable.

use std::cell::Cell;
use std::io::{Read, Write};

use mobula::value::{CodecError, Source};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList};

use crate::object::Object;

thread_local! {
    /// True while a value is pickled on its way to disk.
    static IS_SPILLING: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread pickles a value on its way to disk.
pub(crate) fn is_spilling() -> bool {
    IS_SPILLING.get()
}

/// So much of a buffer is copied at once.
const PIECE: usize = 1 << 20;

/// The most parts that a value may have: more are damage, not data.
const MOST_PARTS: u64 = 1 << 24;

fn ended() -> CodecError {
    CodecError::data("the Python interpreter has ended")
}

fn failed(error: &PyErr) -> CodecError {
    CodecError::data(error.to_string())
}

fn write_length(length: usize, out: &mut dyn Write) -> Result<(), CodecError> {
    Ok(out.write_all(&(length as u64).to_le_bytes())?)
}

fn read_length(source: &mut Source<'_>) -> Result<u64, CodecError> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Writes an object. The interpreter's lock is not held while the disk is waited for.
pub(crate) fn encode(object: &Object, out: &mut dyn Write) -> Result<(), CodecError> {
    let parts = Python::try_attach(|py| parts(py, object)).ok_or_else(ended)??;
    write_length(parts.len(), out)?;
    for (part, length) in parts {
        write_length(length, out)?;
        let mut start = 0;
        while start < length {
            let end = (start + PIECE).min(length);
            let piece = Python::try_attach(|py| piece(part.bind(py), start, end));
            out.write_all(&piece.ok_or_else(ended)?.map_err(|error| failed(&error))?)?;
            start = end;
        }
    }
    Ok(())
}

/// The pickle and its buffers, each with its length in bytes.
fn parts(py: Python<'_>, object: &Object) -> Result<Vec<(Py<PyAny>, usize)>, CodecError> {
    let parts = || -> PyResult<Vec<(Py<PyAny>, usize)>> {
        let buffers = PyList::empty(py);
        let options = PyDict::new(py);
        options.set_item("protocol", 5)?;
        options.set_item("buffer_callback", buffers.getattr("append")?)?;
        let dumps = pickler(py)?;
        IS_SPILLING.set(true);
        let pickle = dumps.call((object.get(),), Some(&options));
        IS_SPILLING.set(false);
        let pickle = pickle?;
        let mut parts = vec![(pickle.clone().unbind(), pickle.len()?)];
        for buffer in buffers {
            // Flat bytes, whatever the array's shape; without a copy.
            let bytes = buffer.call_method0(intern!(py, "raw"))?;
            let length = bytes.getattr(intern!(py, "nbytes"))?.extract()?;
            parts.push((bytes.unbind(), length));
        }
        Ok(parts)
    };
    parts().map_err(|error| failed(&error))
}

/// The standard library's pickle first; what it cannot write (functions and classes made in a session)
/// `cloudpickle` can, which Dask brings along.
fn pickler(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("mobula._pickle")?.getattr("dumps")
}

fn piece(part: &Bound<'_, PyAny>, start: usize, end: usize) -> PyResult<Vec<u8>> {
    let slice =
        pyo3::types::PySlice::new(part.py(), isize::try_from(start)?, isize::try_from(end)?, 1);
    let piece = part.get_item(slice)?;
    if let Ok(bytes) = piece.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    piece.call_method0("tobytes")?.extract()
}

/// Reads an object.
pub(crate) fn decode(source: &mut Source<'_>) -> Result<Object, CodecError> {
    let parts = read_length(source)?;
    if !(1..=MOST_PARTS).contains(&parts) {
        return Err(CodecError::data(format!("a pickle of {parts} parts")));
    }
    let length = read_length(source)?;
    let mut pickle = Vec::new();
    source.take(length).read_to_end(&mut pickle)?;
    let mut buffers = Vec::new();
    for _ in 1..parts {
        let length = read_length(source)?;
        let mut buffer = Vec::new();
        source.take(length).read_to_end(&mut buffer)?;
        let array = Python::try_attach(|py| PyByteArray::new(py, &buffer).unbind());
        buffers.push(array.ok_or_else(ended)?);
    }
    Python::try_attach(|py| {
        let object = || -> PyResult<Object> {
            let options = PyDict::new(py);
            options.set_item("buffers", buffers)?;
            let loads = py.import("pickle")?.getattr("loads")?;
            let object = loads.call((PyBytes::new(py, &pickle),), Some(&options))?;
            Ok(Object::new(object.unbind()))
        };
        object().map_err(|error| failed(&error))
    })
    .ok_or_else(ended)?
}
