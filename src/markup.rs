//! [`Escaped`]: text in HTML and in SVG, in which nothing is markup.

use std::fmt::{Display, Formatter, Result};

/// Text as it may stand between tags and in attributes that are quoted. Line breaks and tabs stay; what XML cannot
/// hold, and other control characters, become replacement characters.
#[derive(Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut rest = self.0;
        while let Some((at, letter, instead)) =
            rest.char_indices().find_map(|(at, letter)| Some((at, letter, escape(letter)?)))
        {
            f.write_str(&rest[..at])?;
            f.write_str(instead)?;
            rest = &rest[at + letter.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// What is written instead of a letter, if it cannot stand there itself.
fn escape(letter: char) -> Option<&'static str> {
    match letter {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        '\n' | '\r' | '\t' => None,
        '\u{fffe}' | '\u{ffff}' => Some("\u{fffd}"),
        letter if letter.is_control() => Some("\u{fffd}"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn text_is_never_markup() {
        let text = "</script><b a=\"1\" b='2'>&amp;\0é\u{1b}[2J\u{9b}\u{ffff}\r\n\tx";
        let escaped = "&lt;/script&gt;&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;\u{fffd}é\u{fffd}[2J\u{fffd}\u{fffd}\r\n\tx";
        assert_eq!(Escaped(text).to_string(), escaped);
    }
}
