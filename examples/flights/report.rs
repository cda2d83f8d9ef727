//! The final results, each made of the summary of all flights, and how they are printed.

use std::collections::BTreeMap;
use std::fmt;

use mobula::Data;

use crate::flights::{Carrier, Route};
use crate::summary::{BOUNDS, Histogram, Performance, Summary};

/// The mean of a route with fewer flights tells nothing.
const ENOUGH_FLIGHTS: u64 = 100;

/// What the job is run for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) carriers: Carriers,
    pub(crate) worst_route: Option<WorstRoute>,
    pub(crate) arrivals: Histogram,
}

pub(crate) type Carriers = BTreeMap<Carrier, Performance>;

/// A route, and how it performs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WorstRoute(Route, Performance);

impl Data for WorstRoute {}

impl Data for Report {
    fn heap_bytes(&self) -> usize {
        self.carriers.heap_bytes()
    }
}

/// A task: flights and mean delays by carrier.
pub(crate) fn carriers(summary: &Summary) -> Carriers {
    summary.carriers.clone()
}

/// A task: the route with the greatest mean arrival delay, among those that are flown often.
pub(crate) fn worst_route(summary: &Summary) -> Option<WorstRoute> {
    let often = summary.routes.iter().filter(|(_, route)| route.flights >= ENOUGH_FLIGHTS);
    let delay = |route: &Performance| route.arrival_delay.value();
    let worst = often.max_by(|(_, one), (_, other)| delay(one).total_cmp(&delay(other)));
    worst.map(|(route, performance)| WorstRoute(*route, *performance))
}

/// A task: the histogram of arrival delays.
pub(crate) fn arrivals(summary: &Summary) -> Histogram {
    summary.arrivals
}

/// A task: all of these together.
pub(crate) fn report(
    carriers: Carriers,
    worst_route: Option<WorstRoute>,
    arrivals: Histogram,
) -> Report {
    Report { carriers, worst_route, arrivals }
}

impl Report {
    pub(crate) fn flights(&self) -> u64 {
        self.carriers.values().map(|carrier| carrier.flights).sum()
    }

    /// Such as `EWR-CAE`; `none` if no route is flown often.
    pub(crate) fn worst_route_name(&self) -> String {
        let name = |WorstRoute((from, to), _): &WorstRoute| format!("{}-{}", text(from), text(to));
        self.worst_route.as_ref().map_or("none".to_owned(), name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "carrier  flights   mean arrival delay   mean departure delay")?;
        for (carrier, performance) in &self.carriers {
            writeln!(
                f,
                "{:<7} {:>8} {:>16.3} min {:>18.3} min",
                text(carrier),
                performance.flights,
                performance.arrival_delay.value(),
                performance.departure_delay.value(),
            )?;
        }
        if let Some(WorstRoute(_, Performance { flights, arrival_delay, .. })) = self.worst_route {
            let (route, delay) = (self.worst_route_name(), arrival_delay.value());
            writeln!(
                f,
                "\nworst route: {route}, {flights} flights, {delay:.3} min late on average"
            )?;
        }
        writeln!(f, "\narrival delay in minutes")?;
        let most = self.arrivals.iter().copied().max().unwrap_or(0).max(1);
        for (place, count) in self.arrivals.iter().enumerate() {
            let bar = "#".repeat(usize::try_from(count * 50 / most).unwrap_or(0));
            writeln!(f, "{}", format!("{:<12}{count:>7} {bar}", range(place)).trim_end())?;
        }
        Ok(())
    }
}

/// Which delays are counted at this place of the histogram.
fn range(place: usize) -> String {
    let from = place.checked_sub(1).map(|place| BOUNDS[place]);
    match (from, BOUNDS.get(place)) {
        (None, to) => format!("below {}", to.unwrap_or(&0)),
        (Some(from), Some(to)) => format!("{from} .. {to}"),
        (Some(from), None) => format!("from {from} on"),
    }
}

fn text(code: &[u8]) -> String {
    String::from_utf8_lossy(code).into_owned()
}
