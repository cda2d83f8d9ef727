//! Figures out of times: medians, ratios to the references of the same rounds, bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::{Measured, Outcome};
use crate::peers::{PLAIN, RAYON};
use crate::report::{Cost, Row};

/// What every row says; the section adds its own name and figures.
pub(crate) fn row(measured: &Measured, outcome: &Outcome) -> Row {
    let tasks = f64::from(outcome.tasks);
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / tasks;
    let wholes =
        |one: &Measured| -> Vec<f64> { one.times.iter().map(|time| micros(time.whole)).collect() };
    let until_result = |one: &Measured| median(one.times.iter().map(|time| micros(time.result)));
    let rayon = outcome.of(RAYON);
    let rayons = outcome.measured.iter().filter(|one| one.entry.name.starts_with(RAYON));
    let rayons: Vec<f64> = rayons.map(|one| median(wholes(one))).collect();
    let mut figures = BTreeMap::from([("us_until_result", until_result(measured))]);
    if let Some(rayon) = rayon {
        figures.insert("until_result_to_rayon", until_result(measured) / until_result(rayon));
    }
    let mut cost = Cost::new(&wholes(measured), outcome.tasks);
    cost.ratio_to_rayon = rayon.map(|rayon| cost.us_per_task / median(wholes(rayon)));
    if rayons.len() > 1 {
        let fastest = rayons.iter().copied().fold(f64::INFINITY, f64::min);
        figures.insert("ratio_to_fastest_rayon", cost.us_per_task / fastest);
    }
    Row {
        bench: "",
        shape: outcome.kind.name().to_owned(),
        subject: measured.entry.name.to_owned(),
        cost: Some(cost),
        rounds: measured.times.len(),
        figures,
        targets: Vec::new(),
    }
}

/// By sample: the microseconds that one of its tasks took.
pub(crate) fn micros_a_task(times: &[Duration], tasks: u32) -> Vec<f64> {
    times.iter().map(|time| micros(*time) / f64::from(tasks)).collect()
}

/// Bytes a task of the prepared graph, and of a run at its peak.
pub(crate) fn heap(measured: &Measured, outcome: &Outcome) -> BTreeMap<&'static str, f64> {
    let Some((graph, run)) = measured.heap else {
        return BTreeMap::new();
    };
    BTreeMap::from([
        ("graph_bytes_per_task", per_task(graph, outcome.tasks)),
        ("run_bytes_per_task", per_task(run, outcome.tasks)),
    ])
}

/// Which share of the workers' time went into the tasks, and the time as a multiple of the plain
/// loop's, which is one worker that does nothing else. Both times of a ratio come from the same
/// round, so that a slow moment slows both.
pub(crate) fn efficiency(
    measured: &Measured,
    outcome: &Outcome,
    workers: usize,
) -> BTreeMap<&'static str, f64> {
    let Some(plain) = outcome.of(PLAIN) else {
        return BTreeMap::new();
    };
    let workers = f64::from(u32::try_from(workers).expect("fewer than 2^32 cores"));
    let pairs = plain.times.iter().zip(&measured.times);
    let multiple =
        median(pairs.map(|(plain, own)| own.whole.as_secs_f64() / plain.whole.as_secs_f64()));
    BTreeMap::from([("efficiency", 1.0 / (multiple * workers)), ("ratio_to_plain", multiple)])
}

/// The middle one of the figures, or the mean of the two in the middle.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        None => f64::NAN,
        Some(&upper) if sorted.len() % 2 == 1 => upper,
        Some(&upper) => f64::midpoint(sorted[middle - 1], upper),
    }
}

/// A number of things as a figure.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted to 2^53")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

/// Microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Bytes a task.
#[expect(clippy::cast_precision_loss, reason = "no heap reaches 2^53 bytes")]
pub(crate) fn per_task(bytes: isize, tasks: u32) -> f64 {
    bytes as f64 / f64::from(tasks)
}
