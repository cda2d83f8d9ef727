//! [`Color`]: what the colours of a picture mean; from a number to a colour.

use serde::{Deserialize, Serialize};

use super::diagram::{Diagram, DiagramNode};
use crate::monitor::human;

/// What the colours of a picture mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// The place of a task in the static order: from dark (first) to light (last).
    Order,
    /// The time that workers spent in a task, from dark (short) to light (long).
    Time,
    /// The bytes of a task's value, from dark (few) to light (many).
    Memory,
    /// The key prefix.
    Prefix,
}

impl Color {
    /// What a node has of what is shown; `None` if that is not known, or is no number.
    #[expect(clippy::cast_precision_loss, reason = "colours are no more precise than that")]
    pub(super) fn value(self, node: &DiagramNode) -> Option<f64> {
        match self {
            Color::Order => node.order.map(f64::from),
            Color::Time => node.seconds,
            Color::Memory => node.bytes.map(|bytes| bytes as f64),
            Color::Prefix => None,
        }
    }

    /// A value in words.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the values were made of whole numbers that are not negative"
    )]
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Color::Time => human::seconds(value),
            Color::Memory => human::bytes(value as u64),
            Color::Order | Color::Prefix => human::count(value as u64),
        }
    }

    /// What a legend says of it.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Color::Order => "place in the order",
            Color::Time => "time in tasks",
            Color::Memory => "bytes of values",
            Color::Prefix => "key prefix",
        }
    }
}

/// From the values of a picture to numbers from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Equal factors, not equal steps, have equal distances: where values differ by powers of ten, all but the
    /// greatest would have one colour otherwise.
    pub(super) is_logarithmic: bool,
}

/// From this factor between the least and the greatest value on, a scale is logarithmic.
const FACTOR: f64 = 50.0;

impl Scale {
    /// The scale for all nodes of a diagram; `None` if no node has a value.
    pub(super) fn of(diagram: &Diagram, color: Color) -> Option<Self> {
        let values = || diagram.nodes.iter().filter_map(|node| color.value(node));
        let high = values().reduce(f64::max)?;
        if color == Color::Order {
            let low = values().fold(high, f64::min);
            return Some(Self { low, high, is_logarithmic: false });
        }
        let least = values().filter(|value| *value > 0.0).reduce(f64::min).unwrap_or(high);
        let is_logarithmic = high > FACTOR * least;
        let low = if is_logarithmic { least } else { 0.0 };
        Some(Self { low, high, is_logarithmic })
    }

    /// Where a value stands, from 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = if self.is_logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The value that stands at a place.
    pub(super) fn value(self, place: f64) -> f64 {
        if self.is_logarithmic {
            self.low * (self.high / self.low).powf(place)
        } else {
            self.low + place * (self.high - self.low)
        }
    }
}

/// The colours of the map *viridis* (Smith and van der Walt, 2015) at equal distances: equal steps of value look
/// like equal steps, also in grey and to eyes that do not tell red from green.
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3e, 0x49, 0x89],
    [0x31, 0x68, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x1f, 0x9e, 0x89],
    [0x35, 0xb7, 0x79],
    [0x6e, 0xce, 0x58],
    [0xb5, 0xde, 0x2b],
    [0xfd, 0xe7, 0x25],
];

/// The colour at a place from 0 to 1: red, green, blue.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places lie between 0 and 1, colours between 0 and 255"
)]
pub(super) fn viridis(place: f64) -> [u8; 3] {
    let at = place.clamp(0.0, 1.0) * 9.0;
    let from = (at as usize).min(8);
    let part = at - at.floor().min(8.0);
    let mixed = |channel: usize| {
        let (one, other) = (VIRIDIS[from][channel], VIRIDIS[from + 1][channel]);
        (f64::from(one) + part * (f64::from(other) - f64::from(one))).round() as u8
    };
    [mixed(0), mixed(1), mixed(2)]
}

/// True if dark text reads better than light text on a colour: by its relative luminance, as in the Web Content
/// Accessibility Guidelines 2.
pub(super) fn is_light(color: [u8; 3]) -> bool {
    let linear = |channel: u8| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = color.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.2
}

#[cfg(test)]
mod tests {
    use super::{Color, Scale, is_light, viridis};
    use crate::drawing::diagram::{Diagram, DiagramNode};

    fn timed(seconds: &[f64]) -> Diagram {
        let node = |seconds: &f64| DiagramNode { seconds: Some(*seconds), ..Default::default() };
        Diagram { nodes: seconds.iter().map(node).collect(), ..Default::default() }
    }

    #[test]
    fn colours_get_lighter() {
        let light =
            |place: u32| viridis(f64::from(place) / 20.0).map(u32::from).iter().sum::<u32>();
        assert!((1..=20).all(|place| light(place) > light(place - 1)));
        assert_eq!(viridis(0.0), [0x44, 0x01, 0x54]);
        assert_eq!(viridis(1.0), [0xfd, 0xe7, 0x25]);
        assert!(!is_light(viridis(0.1)) && is_light(viridis(0.9)));
    }

    #[test]
    fn values_far_apart_are_on_a_logarithmic_scale() {
        let near = Scale::of(&timed(&[1.0, 3.0, 4.0]), Color::Time).expect("there are values");
        assert!(!near.is_logarithmic);
        assert!((near.place(1.0) - 0.25).abs() < 1e-9);
        let far = Scale::of(&timed(&[0.0, 0.001, 1000.0]), Color::Time).expect("there are values");
        assert!(far.is_logarithmic);
        assert!((far.place(1.0) - 0.5).abs() < 1e-9 && (far.value(0.5) - 1.0).abs() < 1e-9);
        assert!(far.place(0.0) < 1e-9);
    }

    #[test]
    fn one_value_or_none_is_no_trouble() {
        assert_eq!(Scale::of(&timed(&[]), Color::Time), None);
        let zero = Scale::of(&timed(&[0.0]), Color::Time).expect("there is a value");
        assert!(zero.place(0.0) < 1e-9);
        assert_eq!(Scale::of(&timed(&[1.0]), Color::Memory), None);
    }
}
