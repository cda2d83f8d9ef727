//! The partial results: what is known of some of the flights, to be merged with what is known of
//! others. All sums are whole numbers, so the order of merging never shows.

use std::collections::BTreeMap;

use bytes::Bytes;
use mobula::{BoxError, Data};

use crate::flights::{Carrier, Flight, Route, each_flight};

/// Delays from the first bound on and below the next one belong together, in minutes.
pub(crate) const BOUNDS: [i64; 9] = [-30, -15, 0, 15, 30, 60, 120, 240, 480];

/// How many flights arrived with a delay between two bounds, below the first, and above the last one.
pub(crate) type Histogram = [u64; BOUNDS.len() + 1];

/// What is known of some flights.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) carriers: BTreeMap<Carrier, Performance>,
    pub(crate) routes: BTreeMap<Route, Performance>,
    pub(crate) arrivals: Histogram,
}

/// How punctual the flights of a carrier, or on a route, are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Performance {
    pub(crate) flights: u64,
    pub(crate) arrival_delay: Mean,
    pub(crate) departure_delay: Mean,
}

/// A mean in the making; what is missing is left out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mean {
    count: u64,
    sum: i64,
}

impl Data for Mean {}
impl Data for Performance {}

impl Data for Summary {
    fn heap_bytes(&self) -> usize {
        self.carriers.heap_bytes() + self.routes.heap_bytes()
    }
}

/// A task: what the rows of a part tell.
pub(crate) fn aggregate(rows: &Bytes) -> Result<Summary, BoxError> {
    let mut summary = Summary::default();
    summary.add_all(rows)?;
    Ok(summary)
}

/// A task: two summaries as one. The left one is taken by value: when no other task needs it, it is
/// not copied.
pub(crate) fn merge(mut left: Summary, right: &Summary) -> Summary {
    merge_all(&mut left.carriers, &right.carriers);
    merge_all(&mut left.routes, &right.routes);
    for (count, other) in left.arrivals.iter_mut().zip(right.arrivals) {
        *count += other;
    }
    left
}

fn merge_all<K: Ord + Copy>(left: &mut BTreeMap<K, Performance>, right: &BTreeMap<K, Performance>) {
    for (key, performance) in right {
        left.entry(*key).or_default().merge(performance);
    }
}

impl Summary {
    /// Counts all flights of some rows.
    pub(crate) fn add_all(&mut self, rows: &Bytes) -> Result<(), BoxError> {
        each_flight(rows, |flight| self.add(flight))
    }

    fn add(&mut self, flight: &Flight) {
        self.carriers.entry(flight.carrier).or_default().add(flight);
        self.routes.entry(flight.route).or_default().add(flight);
        if let Some(delay) = flight.arrival_delay {
            self.arrivals[BOUNDS.partition_point(|bound| *bound <= delay)] += 1;
        }
    }
}

impl Performance {
    fn add(&mut self, flight: &Flight) {
        self.flights += 1;
        self.arrival_delay.add(flight.arrival_delay);
        self.departure_delay.add(flight.departure_delay);
    }

    fn merge(&mut self, other: &Self) {
        self.flights += other.flights;
        self.arrival_delay.merge(other.arrival_delay);
        self.departure_delay.merge(other.departure_delay);
    }
}

impl Mean {
    fn add(&mut self, number: Option<i64>) {
        if let Some(number) = number {
            self.count += 1;
            self.sum += number;
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
    }

    /// The mean of the numbers; not a number if there were none.
    #[expect(clippy::cast_precision_loss, reason = "minutes of a year of flights are exact in f64")]
    pub(crate) fn value(self) -> f64 {
        self.sum as f64 / self.count as f64
    }
}
