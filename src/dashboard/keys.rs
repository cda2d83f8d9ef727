//! Keys as people write them: a string as it is, a number in digits, a tuple as it is shown.

use crate::graph::Key;

/// The keys that a text can mean: `5` is a string or a number, `('x', 0)` a string or a tuple.
pub(super) fn meant_by(text: &str) -> Vec<Key> {
    let mut keys = vec![Key::from(text)];
    if let Ok(number) = text.parse::<i64>() {
        keys.push(Key::from(number));
    }
    let trimmed = text.trim();
    if trimmed.starts_with('(')
        && let Some((key, "")) = tuple(&trimmed[1..], 0)
    {
        keys.push(key);
    }
    keys
}

/// Nobody writes tuples that are nested deeper.
const DEEPEST: usize = 32;

/// An element, and what follows it.
fn element(text: &str, depth: usize) -> Option<(Key, &str)> {
    let text = text.trim_start();
    match text.chars().next()? {
        '(' => tuple(&text[1..], depth + 1),
        quote @ ('\'' | '"') => string(&text[1..], quote),
        _ => {
            let end = text.find([',', ')']).unwrap_or(text.len());
            let number = text[..end].trim().parse::<i64>().ok()?;
            Some((Key::from(number), &text[end..]))
        }
    }
}

/// What stands behind an opening parenthesis, and what follows the closing one.
fn tuple(mut text: &str, depth: usize) -> Option<(Key, &str)> {
    if depth > DEEPEST {
        return None;
    }
    let mut elements: Vec<Key> = Vec::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix(')') {
            return Some((Key::from(elements), rest));
        }
        let (key, rest) = element(text, depth)?;
        elements.push(key);
        let rest = rest.trim_start();
        text = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with(')') => rest,
            None => return None,
        };
    }
}

/// What stands behind an opening quote, and what follows the closing one.
fn string(text: &str, quote: char) -> Option<(Key, &str)> {
    let mut told = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => told.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            char if char == quote => {
                return Some((Key::from(told), &text[at + char.len_utf8()..]));
            }
            char => told.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_key_means_it() {
        let keys = [
            Key::from("x"),
            Key::from(5_i64),
            Key::from(("x", 0_i64)),
            Key::from(("it's", 0_i64, -3_i64)),
            Key::from(vec![Key::from(("a", 1_i64)), Key::from("b")]),
            Key::from(("only",)),
            Key::from(()),
        ];
        for key in keys {
            assert!(meant_by(&key.to_string()).contains(&key), "{key}");
        }
    }

    #[test]
    fn what_is_no_tuple_is_a_string() {
        for text in ["(", "('x', 0", "('x' 0)", "('x', 0) ", "(x, 0)", "('x', 0))", "plain"] {
            let keys = meant_by(text);
            assert_eq!(keys[0], Key::from(text));
            assert_eq!(keys.len(), 1 + usize::from(text.ends_with(") ")), "{text}");
        }
    }
}
