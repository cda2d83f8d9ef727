//! [`ObjectRef`]: a counted handle to a value, as hooks are given it.

use pyo3::prelude::*;

/// A handle to a value in the store.
#[pyclass(frozen, weakref, module = "mobula")]
pub(crate) struct ObjectRef(mobula::ObjectRef);

impl ObjectRef {
    pub(crate) fn of(object_ref: mobula::ObjectRef) -> Self {
        Self(object_ref)
    }
}

#[pymethods]
impl ObjectRef {
    fn __repr__(&self) -> String {
        format!("ObjectRef({})", self.0.key())
    }
}
