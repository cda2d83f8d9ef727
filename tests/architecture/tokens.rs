//! Rust text as tokens: words and punctuation, each with its line.
//!
//! Comments and the contents of literals are left out, so that no guard mistakes prose for code.
//! This is a reader for guards, not a compiler: numbers and lifetimes come out as literals.

use std::iter;

/// What a guard needs to know of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword; a raw one loses its `r#`.
    Word,
    /// `::`, or any other single character.
    Punctuation,
    /// A string, character, number or lifetime; its text is not kept.
    Literal,
}

/// One token of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token {
    /// Whether this is the punctuation or the word `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// Whether the tokens begin with these words and punctuation marks.
pub(crate) fn starts_with(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && iter::zip(tokens, texts).all(|(token, text)| token.is(text))
}

/// The tokens of a source file, without comments.
pub(crate) fn tokenize(text: &str) -> Vec<Token> {
    let mut reader = Reader { characters: text.chars().collect(), position: 0, line: 1 };
    iter::from_fn(|| reader.token()).collect()
}

struct Reader {
    characters: Vec<char>,
    position: usize,
    line: usize,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.position + ahead).copied()
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, character)| self.peek(ahead) == Some(character))
    }

    fn advance(&mut self, count: usize) {
        let end = self.characters.len().min(self.position + count);
        let passed = &self.characters[self.position..end];
        self.line += passed.iter().filter(|&&character| character == '\n').count();
        self.position = end;
    }

    fn advance_while(&mut self, condition: impl Fn(char) -> bool) -> String {
        let rest = &self.characters[self.position..];
        let passed: String = rest.iter().copied().take_while(|&c| condition(c)).collect();
        self.advance(passed.chars().count());
        passed
    }

    fn token(&mut self) -> Option<Token> {
        self.skip_space_and_comments();
        let line = self.line;
        let (kind, text) = self.text(self.peek(0)?);
        Some(Token { kind, text, line })
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            self.advance_while(char::is_whitespace);
            if self.looking_at("//") {
                self.advance_while(|character| character != '\n');
            } else if self.looking_at("/*") {
                self.skip_block_comment();
            } else {
                return;
            }
        }
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            if self.looking_at("/*") {
                depth += 1;
                self.advance(2);
            } else if self.looking_at("*/") {
                depth -= 1;
                self.advance(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.advance(1);
            }
        }
    }

    fn text(&mut self, first: char) -> (Kind, String) {
        if first == '"' {
            self.skip_quoted('"');
            return (Kind::Literal, String::new());
        }
        if first == '\'' {
            self.skip_character_or_lifetime();
            return (Kind::Literal, String::new());
        }
        if first.is_numeric() {
            self.advance_while(is_word_part);
            return (Kind::Literal, String::new());
        }
        if is_word_part(first) {
            return self.word_or_prefixed_literal();
        }
        let text = if self.looking_at("::") { "::".to_owned() } else { first.to_string() };
        self.advance(text.chars().count());
        (Kind::Punctuation, text)
    }

    /// A word, unless it is the prefix of a literal (`r"…"`, `br#"…"#`, `b'…'`).
    fn word_or_prefixed_literal(&mut self) -> (Kind, String) {
        let word = self.advance_while(is_word_part);
        let prefix = matches!(word.as_str(), "r" | "b" | "c" | "br" | "cr");
        match self.peek(0) {
            Some('"' | '#') if prefix && word.ends_with('r') => self.raw_literal_or_word(),
            Some(quote @ ('"' | '\'')) if prefix => {
                self.skip_quoted(quote);
                (Kind::Literal, String::new())
            }
            _ => (Kind::Word, word),
        }
    }

    /// After `r`: as many `#` as there are, then a string up to the same number of them; or one `#`
    /// and a raw word.
    fn raw_literal_or_word(&mut self) -> (Kind, String) {
        let fence = self.advance_while(|character| character == '#');
        if self.peek(0) != Some('"') {
            return (Kind::Word, self.advance_while(is_word_part));
        }
        let end = format!("\"{fence}");
        self.advance(1);
        while self.peek(0).is_some() && !self.looking_at(&end) {
            self.advance(1);
        }
        self.advance(end.len());
        (Kind::Literal, String::new())
    }

    fn skip_quoted(&mut self, quote: char) {
        self.advance(1);
        while let Some(character) = self.peek(0) {
            self.advance(if character == '\\' { 2 } else { 1 });
            if character == quote {
                return;
            }
        }
    }

    fn skip_character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') || self.peek(2) == Some('\'') {
            self.skip_quoted('\'');
        } else {
            self.advance(1);
            self.advance_while(is_word_part);
        }
    }
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::{starts_with, tokenize};

    fn words(text: &str) -> Vec<String> {
        tokenize(text).into_iter().filter(super::Token::is_word).map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_left_out() {
        assert_eq!(words("a // b\n/// c\n//! d\n/* e /* f */ g */ h"), ["a", "h"]);
    }

    #[test]
    fn literals_hide_their_contents() {
        assert_eq!(words(r#"a "b \" c" d"#), ["a", "d"]);
        assert_eq!(words(r##"a r#"b " c"# br"d" b"e" c"f" g"##), ["a", "g"]);
        assert_eq!(words(r"a '\'' 'b' b'c' '\u{1F}' '/' '/' d 1.5e3 0xff_u8"), ["a", "d"]);
        assert_eq!(words(r#"a r"\" b"#), ["a", "b"]);
    }

    #[test]
    fn lifetimes_do_not_open_a_literal() {
        assert_eq!(
            words("fn f<'a>(x: &'a str) {} 'outer: loop {}"),
            ["fn", "f", "x", "str", "loop"]
        );
    }

    #[test]
    fn raw_words_lose_their_mark() {
        assert_eq!(words("r#type r b cr"), ["type", "r", "b", "cr"]);
    }

    #[test]
    fn lines_count_through_comments_and_strings() {
        let tokens = tokenize("a\n/* \n */ \"\n\" b\n\nc::d");
        let lines: Vec<_> = tokens.iter().map(|token| (token.text.as_str(), token.line)).collect();
        assert_eq!(lines, [("a", 1), ("", 3), ("b", 4), ("c", 6), ("::", 6), ("d", 6)]);
        assert!(starts_with(&tokens[3..], &["c", "::", "d"]));
    }

    #[test]
    fn unfinished_text_ends() {
        for text in ["\"a", "r#\"a", "/* a", "'", "'\\", "a\\"] {
            assert!(tokenize(text).len() <= 2);
        }
    }
}
