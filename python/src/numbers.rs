//! Numbers that a caller gives, and what is said of those that cannot be.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A whole number of at least so much; `name` is that of the parameter.
pub(crate) fn whole(given: &Bound<'_, PyAny>, name: &str, least: usize) -> PyResult<usize> {
    let py = given.py();
    let wrong = || format!("{name} must be a whole number, {least} or more, not {}", shown(given));
    match given.extract::<i64>() {
        Ok(number) => match usize::try_from(number) {
            Ok(number) if number >= least => Ok(number),
            Ok(_) | Err(_) => Err(PyValueError::new_err(wrong())),
        },
        Err(error) if error.is_instance_of::<PyOverflowError>(py) && given.gt(0)? => {
            Err(PyValueError::new_err(format!("{name} is too large: {}", shown(given))))
        }
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => {
            Err(PyValueError::new_err(wrong()))
        }
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Err(PyTypeError::new_err(wrong())),
        Err(error) => Err(error),
    }
}

/// What was given, for a message.
pub(crate) fn shown(given: &Bound<'_, PyAny>) -> String {
    given.repr().map_or_else(|_| given.get_type().to_string(), |text| text.to_string())
}
