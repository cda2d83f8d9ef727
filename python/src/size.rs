//! How many bytes a Python object takes, for the store's account.
//!
//! Numbers, text and small tuples of them are known here; everything else is asked of `dask.sizeof`,
//! which knows arrays and data frames, and of `sys.getsizeof` where Dask is not loaded.

use std::sync::Mutex;
use std::sync::PoisonError;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};

/// What is asked for sizes; set by the adapter.
static SIZEOF: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// What an object takes of which nobody can say it.
const UNKNOWN: usize = 64;

/// Sets the function that is asked for the size of an object in bytes.
#[pyfunction]
pub(crate) fn set_sizeof(function: Py<PyAny>) {
    let old = SIZEOF.lock().unwrap_or_else(PoisonError::into_inner).replace(function);
    drop(old);
}

/// The size of an object in bytes.
pub(crate) fn of(object: &Bound<'_, PyAny>) -> usize {
    small(object).unwrap_or_else(|| asked(object))
}

/// The size of a small object of a built-in type.
fn small(object: &Bound<'_, PyAny>) -> Option<usize> {
    /// More elements than this are counted by Dask, which takes a sample.
    const FEW: usize = 8;
    /// An empty container, and a pointer to an element.
    const EMPTY: usize = 56;
    const POINTER: usize = 8;
    if let Some(size) = atom(object) {
        return Some(size);
    }
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        let atoms = (tuple.len() <= FEW).then(|| tuple.iter().map(|item| atom(&item)));
        return atoms?.try_fold(EMPTY, |sum, item| Some(sum + POINTER + item?));
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        let atoms = (list.len() <= FEW).then(|| list.iter().map(|item| atom(&item)));
        return atoms?.try_fold(EMPTY, |sum, item| Some(sum + POINTER + item?));
    }
    None
}

fn atom(object: &Bound<'_, PyAny>) -> Option<usize> {
    const NUMBER: usize = 28;
    const TEXT: usize = 49;
    if object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
    {
        return Some(NUMBER);
    }
    if object.is_exact_instance_of::<PyString>() || object.is_exact_instance_of::<PyBytes>() {
        return object.len().ok().map(|len| TEXT + len);
    }
    None
}

fn asked(object: &Bound<'_, PyAny>) -> usize {
    let py = object.py();
    let function = SIZEOF
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .map(|function| function.clone_ref(py));
    let size = match function {
        Some(function) => function.bind(py).call1((object,)),
        None => py
            .import(intern!(py, "sys"))
            .and_then(|sys| sys.call_method1(intern!(py, "getsizeof"), (object,))),
    };
    // An object whose size fails is an object all the same.
    size.and_then(|size| size.extract()).unwrap_or(UNKNOWN)
}
