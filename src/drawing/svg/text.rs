//! Text in a picture: escaped and measured.

use std::fmt::{Display, Formatter, Result};

pub(super) use crate::markup::Escaped;
use crate::monitor::human;

/// The width of a letter of the fixed-width font of keys at 11 units of height. All such fonts are about 0.6 of
/// their height wide.
pub(super) const LETTER: f32 = 6.65;

/// The mean width of a letter of the font of everything else, for each unit of height.
const SANS_LETTER: f32 = 0.58;

/// How many letters wide a text is in a fixed-width font.
#[expect(clippy::cast_precision_loss, reason = "texts are short")]
pub(super) fn letters(text: &str) -> f32 {
    human::width(text) as f32
}

/// About how wide a text of this height is in the other font.
pub(super) fn sans_width(text: &str, height: f32) -> f32 {
    letters(text) * height * SANS_LETTER
}

/// A number of the picture, with one digit behind the point where it says something.
pub(super) struct Number(pub(super) f32);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let tenths = (self.0 * 10.0).round();
        if tenths == 0.0 {
            f.write_str("0")
        } else if tenths % 10.0 == 0.0 {
            write!(f, "{:.0}", tenths / 10.0)
        } else {
            write!(f, "{:.1}", tenths / 10.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn numbers_are_short() {
        let texts =
            [0.0, -0.01, 1.0, 1.25, -3.04, 12345.67].map(|number| Number(number).to_string());
        assert_eq!(texts, ["0", "0", "1", "1.3", "-3", "12345.7"]);
    }
}
