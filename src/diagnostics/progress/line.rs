//! [`Line`]: text in pieces that have a tone each; with colours or without.

use std::fmt::{self, Display};

use crate::monitor::human;

/// What a piece of a line is, and so how it looks where there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Text.
    Plain,
    /// A name, a headline.
    Strong,
    /// What matters less.
    Soft,
    /// What has been reached.
    Good,
    /// What failed.
    Bad,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text; it has no control characters.
    pub text: String,
    /// How it looks.
    pub tone: Tone,
}

/// A line for a terminal.
///
/// It is shown without colours by `{}`, and with them by [`colored`](Self::colored).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// From left to right.
    pub pieces: Vec<Piece>,
}

impl Line {
    /// A line of one piece.
    pub(crate) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let mut line = Self::default();
        line.push(text, tone);
        line
    }

    /// Adds text. What could move the cursor or change colours (a key may hold anything) is replaced.
    pub(crate) fn push(&mut self, text: impl AsRef<str>, tone: Tone) {
        let harmless = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
        let text: String = text.as_ref().chars().map(harmless).collect();
        self.pieces.push(Piece { text, tone });
    }

    /// How many columns it takes.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|piece| human::width(&piece.text)).sum()
    }

    /// Cuts what is too wide.
    #[must_use]
    pub(crate) fn cut(mut self, width: usize) -> Self {
        let mut left = width;
        for piece in &mut self.pieces {
            piece.text = cut(&piece.text, left);
            left -= human::width(&piece.text);
        }
        self.pieces.retain(|piece| !piece.text.is_empty());
        self
    }

    /// The line with the colours of a terminal (ANSI escape sequences).
    pub fn colored(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            let code = match piece.tone {
                Tone::Plain => "",
                Tone::Strong => "\x1b[1m",
                Tone::Soft => "\x1b[2m",
                Tone::Good => "\x1b[32m",
                Tone::Bad => "\x1b[31m",
            };
            text.push_str(code);
            text.push_str(&piece.text);
            if !code.is_empty() {
                text.push_str("\x1b[0m");
            }
        }
        text
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| f.write_str(&piece.text))
    }
}

/// The start of a text, with a mark if that is not all.
fn cut(text: &str, width: usize) -> String {
    if human::width(text) <= width {
        return text.to_owned();
    }
    let mut start = String::new();
    for letter in text.chars() {
        let more = human::width(letter.encode_utf8(&mut [0; 4]));
        if human::width(&start) + more + 1 > width {
            break;
        }
        start.push(letter);
    }
    if width > 0 {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use super::{Line, Tone};

    #[test]
    fn control_characters_do_nothing() {
        assert_eq!(Line::new("a\x1b[31m\nb", Tone::Plain).to_string(), "a\u{fffd}[31m\u{fffd}b");
    }

    #[test]
    fn colours_are_around_the_text() {
        let mut line = Line::new("run", Tone::Strong);
        line.push(" ok", Tone::Good);
        line.push(" 1", Tone::Plain);
        assert_eq!(line.colored(), "\x1b[1mrun\x1b[0m\x1b[32m ok\x1b[0m 1");
        assert_eq!((line.to_string().as_str(), line.width()), ("run ok 1", 8));
    }

    #[test]
    fn what_is_too_wide_is_cut() {
        let mut line = Line::new("failed", Tone::Bad);
        line.push(": no such file", Tone::Plain);
        assert_eq!(line.clone().cut(12).to_string(), "failed: no …");
        assert_eq!(line.clone().cut(4).to_string(), "fai…");
        assert_eq!(line.clone().cut(0).to_string(), "");
        assert_eq!(line.clone().cut(20).to_string(), line.to_string());
    }
}
