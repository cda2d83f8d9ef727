//! The files the guards read, and the part of them that ships: `src/` without its test code.

use std::fs;
use std::path::Path;

use crate::tokens::{Token, starts_with, tokenize};

/// A text file of the project.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// From the project's root, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The code of one file that ends up in the crate.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) path: String,
    /// The module the file holds; empty for `src/lib.rs`.
    pub(crate) module: Vec<String>,
    pub(crate) tokens: Vec<Token>,
}

/// The text of one file, named from the project's root.
pub(crate) fn read(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// Every Rust file below `folder`, sorted by path; none if there is no such folder.
pub(crate) fn rust_sources(folder: &str) -> Vec<Source> {
    let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else {
        return Vec::new();
    };
    let mut sources = Vec::new();
    for entry in entries {
        let entry = entry.expect("a folder of the project can be listed");
        let name = entry.file_name().into_string().expect("file names are Unicode");
        let path = format!("{folder}/{name}");
        if entry.file_type().expect("an entry has a type").is_dir() {
            sources.extend(rust_sources(&path));
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            sources.push(Source { text: read(&path), path });
        }
    }
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    sources
}

/// The code of `src/` that is compiled into the crate: everything `#[cfg(test)]` is left out, also
/// the files of modules that were declared so.
pub(crate) fn shipped(sources: &[Source]) -> Vec<Code> {
    let mut codes = Vec::new();
    let mut test_modules = Vec::new();
    for source in sources {
        let module = module_of(&source.path);
        let tokens = tokenize(&source.text);
        if starts_with(&tokens, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
            test_modules.push(module);
            continue;
        }
        let (tokens, declared) = without_tests(&tokens);
        test_modules.extend(declared.into_iter().map(|name| [module.clone(), vec![name]].concat()));
        codes.push(Code { path: source.path.clone(), module, tokens });
    }
    codes.retain(|code| !test_modules.iter().any(|module| code.module.starts_with(module)));
    codes
}

/// `src/a/b.rs` holds `a::b`, `src/a/mod.rs` holds `a`, `src/lib.rs` the root.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// The tokens without test items, and the names of the test modules that have their own file.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let mut kept = Vec::new();
    let mut declared = Vec::new();
    let mut position = 0;
    while let Some(token) = tokens.get(position) {
        if !is_test_attribute(&tokens[position..]) {
            kept.push(token.clone());
            position += 1;
            continue;
        }
        while tokens.get(position).is_some_and(|token| token.is("#")) {
            position += attribute_length(&tokens[position..]);
        }
        let item = &tokens[position..][..item_length(&tokens[position..])];
        if let [keyword, name, end] = item
            && keyword.is("mod")
            && end.is(";")
        {
            declared.push(name.text.clone());
        }
        position += item.len();
    }
    (kept, declared)
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    starts_with(tokens, &["#", "[", "cfg", "(", "test", ")", "]"])
        || starts_with(tokens, &["#", "[", "cfg", "(", "all", "(", "test"])
}

fn attribute_length(tokens: &[Token]) -> usize {
    let end = tokens.iter().scan(0_i32, |depth, token| {
        *depth += i32::from(token.is("[")) - i32::from(token.is("]"));
        Some(token.is("]") && *depth == 0)
    });
    end.take_while(|&closed| !closed).count() + 1
}

/// The length of the item, statement, field or arm that the tokens begin with.
fn item_length(tokens: &[Token]) -> usize {
    const ITEMS: [&str; 16] = [
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "let",
        "macro_rules",
        "mod",
        "pub",
        "static",
        "struct",
        "trait",
        "type",
        "unsafe",
        "use",
    ];
    // A comma ends a field or an arm; in an item it may stand between generic parameters.
    let item = tokens.first().is_some_and(|first| ITEMS.contains(&first.text.as_str()));
    let mut depth = 0_usize;
    for (position, token) in tokens.iter().enumerate() {
        if ["(", "[", "{"].iter().any(|open| token.is(open)) {
            depth += 1;
        } else if [")", "]", "}"].iter().any(|close| token.is(close)) {
            if depth == 0 {
                return position; // The end of what holds the item.
            }
            depth -= 1;
            if depth == 0 && token.is("}") {
                return position + 1;
            }
        } else if depth == 0 && (token.is(";") || (token.is(",") && !item)) {
            return position + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Source, shipped};

    /// Sources made of path and text.
    pub(crate) fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let source = |&(path, text): &(&str, &str)| Source { path: path.into(), text: text.into() };
        files.iter().map(source).collect()
    }

    fn shipped_words(text: &str) -> Vec<String> {
        let codes = shipped(&sources(&[("src/a.rs", text)]));
        let tokens = codes.into_iter().flat_map(|code| code.tokens);
        tokens.filter(super::Token::is_word).map(|token| token.text).collect()
    }

    #[test]
    fn a_path_names_its_module() {
        let files = ["src/lib.rs", "src/a.rs", "src/a/mod.rs", "src/a/b.rs"].map(|path| (path, ""));
        let modules: Vec<_> =
            shipped(&sources(&files)).into_iter().map(|code| code.module).collect();
        assert_eq!(modules, [vec![], vec!["a"], vec!["a"], vec!["a", "b"]]);
    }

    #[test]
    fn test_items_do_not_ship() {
        let words = shipped_words(
            "a #[cfg(test)] mod tests { fn x() {} } b
             #[cfg(test)] #[expect(dead_code, reason = \"\")] pub(crate) fn y<A, B>(z: [u8; 2]) {} c
             #[cfg(all(test, unix))] use x::{y, z}; d
             struct S { #[cfg(test)] field: Vec<u8>, e: u8, #[cfg(test)] last: u8 } f",
        );
        assert_eq!(words, ["a", "b", "c", "d", "struct", "S", "e", "u8", "f"]);
    }

    #[test]
    fn other_configurations_ship() {
        assert_eq!(shipped_words("#[cfg(not(test))] a"), ["cfg", "not", "test", "a"]);
        assert_eq!(shipped_words("#[cfg(unix)] a"), ["cfg", "unix", "a"]);
    }

    #[test]
    fn files_of_test_modules_do_not_ship() {
        let codes = shipped(&sources(&[
            ("src/a/mod.rs", "#[cfg(test)] mod tests; mod tests_too;"),
            ("src/a/tests.rs", "x"),
            ("src/a/tests/deep.rs", "x"),
            ("src/a/tests_too.rs", "x"),
            ("src/b.rs", "//! Helpers.\n#![cfg(test)]\nx"),
        ]));
        let paths: Vec<_> = codes.iter().map(|code| code.path.as_str()).collect();
        assert_eq!(paths, ["src/a/mod.rs", "src/a/tests_too.rs"]);
    }
}
