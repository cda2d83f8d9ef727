//! The dashboard of this process: a page that shows the cluster of the usual number of workers.

use mobula::dashboard::{Dashboard, DashboardSettings};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::clusters;
use crate::interpreter::released;
use crate::numbers::shown;

/// Where the dashboard is to listen, as it may be said: whether at all, or on which port.
pub(crate) fn settings(given: &Bound<'_, PyAny>) -> PyResult<Option<DashboardSettings>> {
    if let Ok(wanted) = given.cast::<PyBool>() {
        return Ok(wanted.is_true().then(DashboardSettings::default));
    }
    let port = given.extract::<u16>().map_err(|_| {
        let message = "dashboard must be True, False or the number of a port";
        PyValueError::new_err(format!("{message}, not {}", shown(given)))
    })?;
    Ok(Some(DashboardSettings::default().port(port)))
}

/// Shows the cluster of the usual number of workers.
pub(crate) fn start(py: Python<'_>, settings: DashboardSettings) -> PyResult<Dashboard> {
    let cluster = clusters::threads(py, None)?;
    let started = released(py, || Dashboard::start(cluster.client(), settings));
    started.map_err(|error| PyOSError::new_err(error.to_string()))
}

/// Where the dashboard is to be seen, if there is one.
#[pyfunction]
pub(crate) fn dashboard_url(py: Python<'_>) -> Option<String> {
    released(py, clusters::dashboard_url)
}
