//! How every Rust file looks: it opens by saying what it is for, fits in the head, and holds nothing
//! that was put off.

use crate::source::{Source, rust_sources};
use crate::tokens::{Token, starts_with, tokenize};

/// The folders with Rust files, and how many files there must be at least.
const FOLDERS: [(&str, usize); 5] =
    [("src", 15), ("tests", 8), ("examples", 5), ("benches", 1), ("python", 0)];

const LONGEST: usize = 600;

/// What stands for work put off, as tokens; in a macro call the `!` follows.
const PUT_OFF: [(&[&str], &str); 3] = [
    (&["todo", "!"], "a `todo!`"),
    (&["unimplemented", "!"], "an `unimplemented!`"),
    (&["#", "[", "ignore"], "an ignored test"),
];

/// The same in comments; put together here, so that this file does not hold it.
const PUT_OFF_IN_PROSE: [(&str, &str); 2] = [
    (concat!("FIX", "ME"), "a note of something unfinished"),
    (concat!("```", "ignore"), "an ignored example"),
];

fn all_sources() -> Vec<Source> {
    let folder = |&(folder, least): &(&str, usize)| {
        let sources = rust_sources(folder);
        assert!(sources.len() >= least, "only {} files of {folder}/ were read", sources.len());
        sources
    };
    FOLDERS.iter().flat_map(folder).collect()
}

fn opens_with_doc(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("//!").is_some_and(|doc| !doc.trim().is_empty())
}

fn is_too_long(text: &str) -> bool {
    text.lines().count() > LONGEST
}

/// What a file puts off, each with its line.
fn put_off(text: &str) -> Vec<(usize, &'static str)> {
    let tokens = tokenize(text);
    let mut found = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        let rest: &[Token] = &tokens[position..];
        let matching = PUT_OFF.iter().filter(|(pattern, _)| starts_with(rest, pattern));
        found.extend(matching.map(|&(_, name)| (token.line, name)));
    }
    for (number, line) in text.lines().enumerate() {
        let matching = PUT_OFF_IN_PROSE.iter().filter(|(mark, _)| line.contains(mark));
        found.extend(matching.map(|&(_, name)| (number + 1, name)));
    }
    found
}

#[test]
fn every_file_opens_with_its_purpose() {
    let sources = all_sources();
    let bare = sources.iter().filter(|source| !opens_with_doc(&source.text));
    let paths: Vec<_> = bare.map(|source| source.path.as_str()).collect();
    assert!(paths.is_empty(), "these files do not open with `//!` and a purpose: {paths:#?}");
}

#[test]
fn no_file_is_too_long() {
    let sources = all_sources();
    let long = sources.iter().filter(|source| is_too_long(&source.text));
    let paths: Vec<_> = long.map(|source| source.path.as_str()).collect();
    assert!(paths.is_empty(), "these files are longer than {LONGEST} lines: {paths:#?}");
}

#[test]
fn nothing_is_put_off() {
    for source in all_sources() {
        let found = put_off(&source.text);
        assert!(found.is_empty(), "{} holds (line, what): {found:?}", source.path);
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, is_too_long, opens_with_doc, put_off};

    #[test]
    fn a_missing_purpose_is_caught() {
        assert!(opens_with_doc("//! A purpose.\nfn f() {}"));
        for text in ["", "\n//! Late.", "//!\n", "// A comment.", "/// An item.", "fn f() {}"] {
            assert!(!opens_with_doc(text), "{text:?}");
        }
    }

    #[test]
    fn a_long_file_is_caught() {
        assert!(!is_too_long(&"x\n".repeat(LONGEST)));
        assert!(is_too_long(&"x\n".repeat(LONGEST + 1)));
    }

    #[test]
    fn what_is_put_off_is_caught() {
        for text in [
            "\nfn f() { todo!() }",
            "\nunimplemented ! (\"later\")",
            "\n#[ignore] fn f() {}",
            "\n#[ignore = \"slow\"] fn f() {}",
            concat!("\n// FIX", "ME: later"),
            concat!("\n/// ```", "ignore"),
        ] {
            let lines: Vec<_> = put_off(text).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, [2], "{text}");
        }
    }

    #[test]
    fn harmless_words_are_allowed() {
        let text = "// todo!\nlet todo = \"unimplemented!\"; #[derive(Debug)] let ignore = x;";
        assert!(put_off(text).is_empty());
    }
}
