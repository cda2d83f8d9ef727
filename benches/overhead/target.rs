//! Figures that the project has promised itself, and whether they are reached.
//!
//! A [`Target`] belongs to the row whose figure it judges. The verdict is computed from that figure;
//! nothing here is ever typed in by hand.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::report::four_decimals;

/// A promise about one figure.
#[derive(Clone)]
pub(crate) struct Target {
    /// What was promised, as it stands in the report.
    promise: String,
    /// What was measured.
    figure: f64,
    /// What it is measured against.
    bound: Bound,
    /// The unit of both; empty for a ratio.
    unit: &'static str,
}

/// Which side of a number is good.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    /// The figure must not be greater than `bound`.
    pub(crate) fn at_most(
        promise: impl Into<String>,
        figure: f64,
        bound: f64,
        unit: &'static str,
    ) -> Self {
        Self { promise: promise.into(), figure, bound: Bound::AtMost(bound), unit }
    }

    /// The figure must not be less than `bound`.
    pub(crate) fn at_least(
        promise: impl Into<String>,
        figure: f64,
        bound: f64,
        unit: &'static str,
    ) -> Self {
        Self { promise: promise.into(), figure, bound: Bound::AtLeast(bound), unit }
    }

    /// Whether the promise is kept. What could not be measured keeps none.
    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.figure <= bound,
            Bound::AtLeast(bound) => self.figure >= bound,
        }
    }

    /// The cells of the line in the report: promise, figure, bound, verdict.
    pub(crate) fn cells(&self) -> [String; 4] {
        let with_unit = |figure: &str| format!("{figure} {}", self.unit).trim().to_owned();
        let bound = match self.bound {
            Bound::AtMost(bound) => format!("≤ {}", with_unit(&bound.to_string())),
            Bound::AtLeast(bound) => format!("≥ {}", with_unit(&bound.to_string())),
        };
        let verdict = if self.is_met() { "pass" } else { "**miss**" };
        [self.promise.clone(), with_unit(&short(self.figure)), bound, verdict.to_owned()]
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, bound) = match self.bound {
            Bound::AtMost(bound) => ("at_most", bound),
            Bound::AtLeast(bound) => ("at_least", bound),
        };
        let mut line = serializer.serialize_struct("Target", 4)?;
        line.serialize_field("promise", &self.promise)?;
        line.serialize_field("figure", &four_decimals(self.figure))?;
        line.serialize_field(name, &bound)?;
        line.serialize_field("met", &self.is_met())?;
        line.end()
    }
}

/// At least three digits that matter, so that a figure near its bound can be told from it.
fn short(figure: f64) -> String {
    let decimals = match figure.abs() {
        small if small < 10.0 => 3,
        middle if middle < 1000.0 => 1,
        _ => 0,
    };
    format!("{figure:.decimals$}")
}
