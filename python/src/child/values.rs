//! What becomes of the value of a call: it goes to the parent, or it stays.

use std::os::fd::{AsFd, AsRawFd};

use bytes::{Bytes, BytesMut};
use mobula::process::wire::{Call, End, Keep, Packed};
use mobula::process::{Desk, Place};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

use super::PyCalls;
use crate::packing::{layout_of, parts_of, pickle};
use crate::tokens;

/// From this weight on a value that may stay does so.
const LARGE: u64 = 64 << 10;

impl PyCalls {
    /// What becomes of the value of a call.
    pub(super) fn end(&self, value: &Bound<'_, PyAny>, call: &Call, desk: &Desk) -> PyResult<End> {
        let py = value.py();
        if is_atom(value) {
            let dumped = pickle(py)?.dumps.bind(py).call1((value, 5))?;
            let inline = Bytes::copy_from_slice(dumped.cast::<PyBytes>()?.as_bytes());
            let length = inline.len() as u64;
            let part = mobula::process::Part { place: Place::Inline, offset: 0, length };
            let packed = Packed { inline, parts: vec![part], segment: None };
            if call.keep == Keep::Follow {
                self.stays(call, value);
            }
            return Ok(End::Value { packed, bytes: length, holds: false });
        }
        if call.keep != Keep::Export {
            let weight = self.packing.bind(py).call_method1(intern!(py, "weigh"), (value,));
            let weight: u64 = weight.and_then(|weight| weight.extract()).unwrap_or(0);
            if weight >= LARGE {
                self.stays(call, value);
                return Ok(End::Stayed { bytes: weight, reason: None });
            }
        }
        let (parts, handles) = tokens::gathering(|| parts_of(value));
        let (pickled, buffers) = match parts {
            Ok(parts) => parts,
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => return Err(error),
            Err(error) => {
                self.stays(call, value);
                let reason = Some(error.value(py).to_string());
                // What stays must be made again if this process ends, which is done for what is large.
                return Ok(End::Stayed { bytes: LARGE, reason });
            }
        };
        if call.keep == Keep::Follow {
            self.stays(call, value);
        }
        let packed = export(py, &pickled, &buffers, desk)?;
        let bytes = packed.parts.iter().map(|part| part.length).sum();
        let holds = !handles.is_empty();
        // They are given back after the parent has looked at the value: whatever is said later, is later there.
        self.leaving.borrow_mut().extend(handles.into_iter().map(|(_, handle)| handle));
        Ok(End::Value { packed, bytes, holds })
    }

    fn stays(&self, call: &Call, value: &Bound<'_, PyAny>) {
        self.stayed.borrow_mut().insert(call.number, value.clone().unbind());
    }
}

/// Lays a value out, in a segment if it is large.
fn export(
    py: Python<'_>,
    pickled: &Bound<'_, PyBytes>,
    buffers: &[Bound<'_, PyAny>],
    desk: &Desk,
) -> PyResult<Packed> {
    let layout = layout_of(pickled, buffers)?;
    let segment = match layout.shared {
        0 => None,
        shared => Some(desk.room(shared)?),
    };
    let mut inline = BytesMut::with_capacity(usize::try_from(layout.inline).unwrap_or(0));
    let written = (|| -> PyResult<()> {
        for (number, part) in layout.parts.iter().enumerate() {
            let bytes = match number.checked_sub(1) {
                None => pickled.as_any(),
                Some(buffer) => &buffers[buffer],
            };
            match (&segment, part.place) {
                (Some(segment), Place::Shared) => write(py, segment, bytes, part.offset)?,
                (None, _) | (Some(_), Place::Inline) => {
                    if let Ok(bytes) = bytes.cast::<PyBytes>() {
                        inline.extend_from_slice(bytes.as_bytes());
                    } else {
                        let copy = bytes.call_method0(intern!(py, "tobytes"))?;
                        inline.extend_from_slice(copy.cast::<PyBytes>()?.as_bytes());
                    }
                }
            }
        }
        Ok(())
    })();
    if let (Err(_), Some(segment)) = (&written, &segment) {
        desk.vacate(segment);
    }
    written?;
    let segment = segment.map(|segment| segment.id());
    Ok(Packed { inline: inline.freeze(), parts: layout.parts, segment })
}

/// Writes a buffer into a segment; the system copies it, without the interpreter's lock.
fn write(
    py: Python<'_>,
    segment: &mobula::process::Segment,
    bytes: &Bound<'_, PyAny>,
    offset: u64,
) -> PyResult<()> {
    let pwrite = py.import(intern!(py, "os"))?.getattr(intern!(py, "pwrite"))?;
    let length: u64 = bytes.len()? as u64;
    let mut written = 0;
    while written < length {
        let rest = if written == 0 {
            bytes.clone()
        } else {
            pyo3::types::PyMemoryView::from(bytes)?.get_item(pyo3::types::PySlice::new(
                py,
                isize::try_from(written)?,
                isize::MAX,
                1,
            ))?
        };
        let at = offset + written;
        written += pwrite.call1((segment.as_fd().as_raw_fd(), rest, at))?.extract::<u64>()?;
    }
    Ok(())
}

fn is_atom(value: &Bound<'_, PyAny>) -> bool {
    const SHORT: usize = 1024;
    value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || (value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyBytes>())
            && value.len().is_ok_and(|len| len <= SHORT)
}
