//! Pictures of graphs.

use mobula::drawing::{Color, Drawing};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::interpreter::released;
use crate::run::Order;
use crate::vocabulary::Vocabulary;

/// What colours mean, by its name.
pub(crate) fn color(name: &str) -> PyResult<Color> {
    match name {
        "order" => Ok(Color::Order),
        "prefix" => Ok(Color::Prefix),
        "time" => Ok(Color::Time),
        "memory" => Ok(Color::Memory),
        _ => Err(PyValueError::new_err(format!(
            "color={name:?}: there are \"order\" and \"prefix\", and after a run \"time\" and \"memory\""
        ))),
    }
}

/// Draws what `wanted` needs of a graph, as SVG.
#[pyfunction]
pub(crate) fn draw(
    py: Python<'_>,
    vocabulary: &Vocabulary,
    graph: &Bound<'_, PyDict>,
    wanted: &Bound<'_, PyAny>,
    color: &str,
    grouped_above: usize,
) -> PyResult<String> {
    let color = self::color(color)?;
    let order = Order {
        vocabulary,
        graph,
        wanted,
        cache: None,
        retries: None,
        time_limits: None,
        pool: None,
        keeps_calls: false,
        runs_aliases: false,
        hooks: None,
    };
    let planned = order.plan(py)?;
    let plan = &planned.plan;
    let svg = released(py, || {
        Drawing::of_plan(plan).colored(color).grouped_above(grouped_above).to_svg()
    });
    drop(planned);
    crate::object::release_elsewhere(py);
    Ok(svg)
}
