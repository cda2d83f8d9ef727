//! [`Object`]: a Python object as the value of a task.
//!
//! A value may be dropped anywhere: in a worker that is inside the interpreter, or on a thread that never
//! was. Dropping a Python object can call any code of a user, which must not happen while the scheduler
//! holds a lock of its own. So no object is released where its value is dropped: it goes onto a list,
//! and the list is emptied where nothing is held: by the worker before its next call, or by a thread
//! that does nothing else.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use mobula::Value;
use mobula::process::Parcel;
use mobula::value::Codec;
use pyo3::prelude::*;

use crate::fork::PerProcess;
use crate::{aside, interpreter, pickle, size};

/// A Python object that tasks hand to each other.
///
/// The object is there until the value is dropped.
pub(crate) struct Object {
    /// Only `drop` takes it.
    object: Option<Py<PyAny>>,
    /// The same for worker processes; made when the first one needs it.
    parcel: OnceLock<Arc<Parcel>>,
}

thread_local! {
    /// What was dropped on this worker's thread since its last call.
    static DROPPED_HERE: RefCell<Vec<Py<PyAny>>> = const { RefCell::new(Vec::new()) };
}

/// What was dropped elsewhere.
static DROPPED: PerProcess<Vec<Py<PyAny>>> = PerProcess::new();

impl Object {
    pub(crate) fn new(object: Py<PyAny>) -> Self {
        Self { object: Some(object), parcel: OnceLock::new() }
    }

    /// The object for worker processes; `pack` makes it the first time.
    pub(crate) fn parcel(
        &self,
        pack: impl FnOnce(&Py<PyAny>) -> PyResult<Parcel>,
    ) -> PyResult<Arc<Parcel>> {
        if let Some(parcel) = self.parcel.get() {
            return Ok(Arc::clone(parcel));
        }
        let parcel = Arc::new(pack(self.get())?);
        Ok(Arc::clone(self.parcel.get_or_init(|| parcel)))
    }

    /// The object as a value, with the size that it says it has.
    pub(crate) fn value(object: Bound<'_, PyAny>) -> Value {
        let bytes = size::of(&object);
        Self::value_of_size(object.unbind(), bytes)
    }

    /// The object as a value that counts as nothing: it is not the scheduler's alone.
    pub(crate) fn literal(object: Py<PyAny>) -> Value {
        Value::with_bytes(Self::new(object), 0)
    }

    pub(crate) fn value_of_size(object: Py<PyAny>, bytes: usize) -> Value {
        Value::with_codec(Self::new(object), bytes, Codec::new(pickle::encode, pickle::decode))
    }

    pub(crate) fn get(&self) -> &Py<PyAny> {
        self.object.as_ref().expect("only `drop` takes the object")
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        if interpreter::is_in_spell() {
            // Without the list the thread is ending, and the object stays.
            let put = DROPPED_HERE.try_with(|list| match list.try_borrow_mut() {
                Ok(mut list) => list.push(object),
                Err(_) => put_elsewhere(object),
            });
            if let Err(error) = put {
                log::debug!("an object outlives its thread: {error}");
            }
        } else {
            put_elsewhere(object);
        }
    }
}

/// A Python object that the binding itself holds, and that may be dropped where a value may.
pub(crate) struct Held<T>(Option<Py<T>>);

impl<T> Held<T> {
    pub(crate) fn new(object: Py<T>) -> Self {
        Self(Some(object))
    }

    pub(crate) fn get(&self) -> &Py<T> {
        self.0.as_ref().expect("only `drop` takes the object")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        drop(self.0.take().map(|object| Object::new(object.into_any())));
    }
}

fn put_elsewhere(object: Py<PyAny>) {
    let mut dropped = DROPPED.lock();
    let is_first = dropped.is_empty();
    dropped.push(object);
    drop(dropped);
    if is_first {
        aside::RELEASES.put(release_elsewhere);
    }
}

/// Releases what was dropped on this worker's thread. Nothing of the scheduler may be locked.
pub(crate) fn release_here(_: Python<'_>) {
    // What is released may drop more.
    while let Some(object) = DROPPED_HERE.with_borrow_mut(Vec::pop) {
        drop(object);
    }
}

/// Releases what was dropped where the interpreter was not.
pub(crate) fn release_elsewhere(_: Python<'_>) {
    loop {
        let dropped = std::mem::take(&mut *DROPPED.lock());
        if dropped.is_empty() {
            return;
        }
        drop(dropped);
    }
}
