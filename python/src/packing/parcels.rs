//! Python values as parcels: the pickle is the first part, the buffers of its arrays are the others.

use std::sync::Arc;

use bytes::Bytes;
use mobula::Value;
use mobula::process::{Layout, Parcel, Place, Segment};
use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PySlice};

use crate::object::Object;

/// What is asked of the standard library for each value.
pub(crate) struct Pickle {
    pub(crate) dumps: Py<PyAny>,
    pub(crate) loads: Py<PyAny>,
    mmap: Py<PyAny>,
    map_options: Py<PyDict>,
}

/// The functions of Python's that make bytes of values, and values of bytes.
pub(crate) fn pickle(py: Python<'_>) -> PyResult<&'static Pickle> {
    static PICKLE: PyOnceLock<Pickle> = PyOnceLock::new();
    PICKLE.get_or_try_init(py, || {
        let (pickle, mmap) = (py.import("pickle")?, py.import("mmap")?);
        let protection = mmap.getattr("PROT_READ")?.bitor(mmap.getattr("PROT_WRITE")?)?;
        let options = PyDict::new(py);
        // Whoever writes into what he got writes into a copy of that page.
        options.set_item("flags", mmap.getattr("MAP_PRIVATE")?)?;
        options.set_item("prot", protection)?;
        Ok(Pickle {
            dumps: pickle.getattr("dumps")?.unbind(),
            loads: pickle.getattr("loads")?.unbind(),
            mmap: mmap.getattr("mmap")?.unbind(),
            map_options: options.unbind(),
        })
    })
}

/// The pickle of a value, and its buffers as flat bytes.
pub(crate) fn parts_of<'py>(
    value: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Bound<'py, PyAny>>)> {
    let py = value.py();
    let module = py.import(intern!(py, "mobula._packing"))?;
    let parts = module.getattr(intern!(py, "dumps"))?.call1((value,))?;
    parts.extract()
}

/// A parcel of a pickle and buffers, made in this process.
pub(super) fn parcel_of_parts(pickle: &[u8], buffers: &[Bound<'_, PyAny>]) -> PyResult<Parcel> {
    let copies = buffers.iter().map(|buffer| {
        let bytes = buffer.call_method0(intern!(buffer.py(), "tobytes"))?;
        Ok(bytes.cast_into::<PyBytes>()?)
    });
    let copies = copies.collect::<PyResult<Vec<_>>>()?;
    let mut parts = vec![pickle];
    parts.extend(copies.iter().map(PyBytesMethods::as_bytes));
    let bytes = parts.iter().map(|part| part.len() as u64).sum();
    Parcel::of_parts(&parts, bytes).map_err(|error| PyOSError::new_err(error.to_string()))
}

/// The parcel of a value of this process; it is made once.
pub(crate) fn parcel_of(py: Python<'_>, value: &Value) -> PyResult<Arc<Parcel>> {
    let Some(object) = value.downcast_ref::<Object>() else {
        return Err(PyTypeError::new_err(format!("a value of type {}", value.type_name())));
    };
    object.parcel(|object| {
        let (pickle, buffers) = parts_of(object.bind(py))?;
        parcel_of_parts(pickle.as_bytes(), &buffers)
    })
}

/// The object that a parcel holds. What it shows of the segment is this one's alone.
pub(crate) fn object_of<'py>(py: Python<'py>, parcel: &Parcel) -> PyResult<Bound<'py, PyAny>> {
    if let Some(segment) = parcel.segment() {
        segment.show();
    }
    object_from(py, parcel.inline(), parcel.parts(), parcel.segment(), false, &mut |_| Ok(()))
}

/// The object of these parts. `shows` is told of the map of the segment, if there is one.
pub(crate) fn object_from<'py>(
    py: Python<'py>,
    inline: &Bytes,
    parts: &[mobula::process::Part],
    segment: Option<&Arc<Segment>>,
    readonly: bool,
    shows: &mut dyn FnMut(&Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<Bound<'py, PyAny>> {
    let pickle = pickle(py)?;
    let part = |part: &mobula::process::Part| {
        let start = usize::try_from(part.offset).unwrap_or(usize::MAX);
        start..start.saturating_add(usize::try_from(part.length).unwrap_or(usize::MAX))
    };
    let damaged = || PyTypeError::new_err("a value came incomplete from another process");
    let mut map: Option<Bound<'py, PyAny>> = None;
    let mut shared = |range: std::ops::Range<usize>| -> PyResult<Bound<'py, PyAny>> {
        let view = if let Some(view) = &map {
            view.clone()
        } else {
            let segment = segment.ok_or_else(damaged)?;
            map.insert(view_of(py, pickle, segment, shows)?).clone()
        };
        let slice = PySlice::new(py, isize::try_from(range.start)?, isize::try_from(range.end)?, 1);
        let view = view.get_item(slice)?;
        if readonly { view.call_method0(intern!(py, "toreadonly")) } else { Ok(view) }
    };
    let (first, buffers) = parts.split_first().ok_or_else(damaged)?;
    let head = match first.place {
        Place::Inline => PyBytes::new(py, inline.get(part(first)).ok_or_else(damaged)?).into_any(),
        Place::Shared => shared(part(first))?,
    };
    if buffers.is_empty() {
        return pickle.loads.bind(py).call1((head,));
    }
    let list = PyList::empty(py);
    for buffer in buffers {
        match buffer.place {
            Place::Inline => {
                let bytes = inline.get(part(buffer)).ok_or_else(damaged)?;
                if readonly {
                    list.append(PyBytes::new(py, bytes))?;
                } else {
                    list.append(PyByteArray::new(py, bytes))?;
                }
            }
            Place::Shared => list.append(shared(part(buffer))?)?,
        }
    }
    let options = PyDict::new(py);
    options.set_item(intern!(py, "buffers"), list)?;
    pickle.loads.bind(py).call((head,), Some(&options))
}

/// A segment as memory that only this view sees change.
fn view_of<'py>(
    py: Python<'py>,
    pickle: &Pickle,
    segment: &Arc<Segment>,
    shows: &mut dyn FnMut(&Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<Bound<'py, PyAny>> {
    use std::os::fd::{AsFd, AsRawFd};
    let arguments = (segment.as_fd().as_raw_fd(), segment.capacity());
    let map = pickle.mmap.bind(py).call(arguments, Some(pickle.map_options.bind(py)))?;
    shows(&map)?;
    Ok(pyo3::types::PyMemoryView::from(&map)?.into_any())
}

/// Where the parts of a value lie: its pickle and its buffers.
pub(crate) fn layout_of(
    pickle: &Bound<'_, PyBytes>,
    buffers: &[Bound<'_, PyAny>],
) -> PyResult<Layout> {
    let mut lengths = vec![pickle.as_bytes().len() as u64];
    for buffer in buffers {
        lengths.push(buffer.getattr(intern!(buffer.py(), "nbytes"))?.extract()?);
    }
    Ok(Layout::of(&lengths))
}
