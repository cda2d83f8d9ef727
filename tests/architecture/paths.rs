//! The paths a file names, and what they lead to.
//!
//! [`named_paths`] finds them as they are written, [`Modules`] follows `crate`, `self`, `super` and
//! the names that other modules import or re-export. Names that a macro builds are not seen.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Code;
use crate::tokens::{Token, starts_with};

/// A path as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// As written; the last one is `*` for a glob.
    pub(crate) segments: Vec<String>,
    /// The module it stands in, inline modules included.
    pub(crate) module: Vec<String>,
    /// In a `use`, the name it brings into scope.
    pub(crate) import: Option<String>,
    pub(crate) line: usize,
}

impl NamedPath {
    pub(crate) fn is_glob(&self) -> bool {
        self.segments.last().is_some_and(|last| last == "*")
    }
}

/// Every path of a file, single names among them, in reading order.
pub(crate) fn named_paths(code: &Code) -> Vec<NamedPath> {
    let mut reader = Reader { code, position: 0, depth: 0, inline: Vec::new(), found: Vec::new() };
    while reader.peek().is_some() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    code: &'a Code,
    position: usize,
    depth: usize,
    /// Names of the inline modules around the position, with the depth inside their braces.
    inline: Vec<(String, usize)>,
    found: Vec<NamedPath>,
}

impl Reader<'_> {
    fn rest(&self) -> &[Token] {
        &self.code.tokens[self.position..]
    }

    fn peek(&self) -> Option<&Token> {
        self.rest().first()
    }

    fn at(&self, text: &str) -> bool {
        self.peek().is_some_and(|token| token.is(text))
    }

    fn take_word(&mut self) -> Option<String> {
        let word = self.peek().filter(|token| token.is_word())?.text.clone();
        self.position += 1;
        Some(word)
    }

    fn step(&mut self) {
        if let [keyword, name, brace, ..] = self.rest()
            && keyword.is("mod")
            && name.is_word()
            && brace.is("{")
        {
            self.inline.push((name.text.clone(), self.depth + 1));
            self.depth += 1;
            self.position += 3;
        } else if self.at("use") && !starts_with(self.rest(), &["use", "<"]) {
            self.position += 1;
            self.imports(&[]);
        } else if self.peek().is_some_and(Token::is_word) {
            self.inline_path();
        } else {
            self.depth += usize::from(self.at("{"));
            self.depth = self.depth.saturating_sub(usize::from(self.at("}")));
            self.inline.retain(|&(_, depth)| depth <= self.depth);
            self.position += 1;
        }
    }

    /// A path outside of a `use`: words joined by `::`.
    fn inline_path(&mut self) {
        let start = self.position;
        let mut segments: Vec<String> = self.take_word().into_iter().collect();
        while let [colons, word, ..] = self.rest()
            && colons.is("::")
            && word.is_word()
        {
            segments.push(word.text.clone());
            self.position += 2;
        }
        self.record(segments, None, start);
    }

    /// One branch of a `use` tree, up to the `,`, `}` or `;` after it.
    fn imports(&mut self, prefix: &[String]) {
        let start = self.position;
        let mut segments = prefix.to_vec();
        while self.at("::") || self.at("$") {
            self.position += 1;
        }
        while let Some(word) = self.take_word() {
            segments.push(word);
            if !self.at("::") {
                let alias = if self.at("as") { self.alias() } else { None };
                self.record_import(segments, alias, start);
                return;
            }
            self.position += 1;
        }
        if self.at("*") {
            segments.push("*".to_owned());
            self.record(segments, None, start);
            self.position += 1;
        } else if self.at("{") {
            self.position += 1;
            while self.peek().is_some() && !self.at("}") {
                self.imports(&segments);
                self.position += usize::from(!self.at("}"));
            }
            self.position += 1;
        }
    }

    fn alias(&mut self) -> Option<String> {
        self.position += 1;
        self.take_word()
    }

    fn record_import(&mut self, mut segments: Vec<String>, alias: Option<String>, start: usize) {
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let name = alias.or_else(|| segments.last().cloned());
        self.record(segments, name, start);
    }

    fn record(&mut self, segments: Vec<String>, import: Option<String>, start: usize) {
        let inline = self.inline.iter().map(|(name, _)| name.clone());
        let module = self.code.module.iter().cloned().chain(inline).collect();
        let line = self.code.tokens[start].line;
        self.found.push(NamedPath { segments, module, import, line });
    }
}

/// The modules of the crate and the names they import.
#[derive(Debug)]
pub(crate) struct Modules {
    known: BTreeSet<Vec<String>>,
    /// From the full path of an imported or exported name to the path it was imported from.
    imported: BTreeMap<Vec<String>, Vec<String>>,
}

impl Modules {
    pub(crate) fn of(codes: &[Code]) -> Self {
        let known = codes.iter().map(|code| code.module.clone()).collect();
        let mut modules = Self { known, imported: BTreeMap::new() };
        for code in codes {
            for path in named_paths(code) {
                modules.learn_import(&path);
            }
            modules.learn_macros(code);
        }
        modules
    }

    fn learn_import(&mut self, path: &NamedPath) {
        if let Some(name) = &path.import
            && let Some(target) = self.absolute(path)
        {
            let full = [path.module.clone(), vec![name.clone()]].concat();
            self.imported.insert(full, target);
        }
    }

    /// An exported macro is named at the crate's root, wherever it stands.
    fn learn_macros(&mut self, code: &Code) {
        for window in code.tokens.windows(3) {
            if starts_with(window, &["macro_rules", "!"]) {
                let name = vec![window[2].text.clone()];
                self.imported.entry(name).or_insert_with(|| code.module.clone());
            }
        }
    }

    /// Where a path leads within the crate: first as written, then through each import it passes;
    /// the last is where the thing itself stands. Empty for paths into other crates and for names
    /// from scope. A glob leads to what its module imports, too.
    pub(crate) fn lead(&self, path: &NamedPath) -> Vec<Vec<String>> {
        let Some(written) = self.absolute(path) else {
            return Vec::new();
        };
        if !path.is_glob() {
            return self.follow(written);
        }
        let module = written[..written.len() - 1].to_vec();
        let inside = |name: &Vec<String>| name.len() == written.len() && name.starts_with(&module);
        let imported = self.imported.keys().filter(|name| inside(name));
        let mut leads: Vec<_> = imported.flat_map(|name| self.follow(name.clone())).collect();
        leads.insert(0, written);
        leads
    }

    fn follow(&self, written: Vec<String>) -> Vec<Vec<String>> {
        // Imports may go in a circle between modules; no honest chain is longer than this.
        const LONGEST: usize = 16;
        let mut leads = vec![written];
        while leads.len() < LONGEST
            && let Some(next) = leads.last().and_then(|path| self.through_import(path))
        {
            leads.push(next);
        }
        leads
    }

    fn through_import(&self, path: &[String]) -> Option<Vec<String>> {
        (1..=path.len()).find_map(|length| {
            let (name, rest) = path.split_at(length);
            let target = self.imported.get(name).filter(|_| !self.known.contains(name))?;
            Some([target, rest].concat()).filter(|next| next != path)
        })
    }

    fn absolute(&self, path: &NamedPath) -> Option<Vec<String>> {
        let (first, rest) = path.segments.split_first()?;
        match first.as_str() {
            "crate" | "mobula" => Some(rest.to_vec()).filter(|path| !path.is_empty()),
            "self" | "super" => {
                let mut module = path.module.clone();
                let mut segments = path.segments.as_slice();
                while let [step, rest @ ..] = segments
                    && (step == "super" || step == "self")
                {
                    if step == "super" {
                        module.pop();
                    }
                    segments = rest;
                }
                Some([module.as_slice(), segments].concat()).filter(|_| !segments.is_empty())
            }
            _ => {
                let child = [path.module.as_slice(), &path.segments[..1]].concat();
                self.known.contains(&child).then(|| [&child, rest].concat())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Modules, named_paths};
    use crate::source::shipped;
    use crate::source::tests::sources;

    /// The paths of more than one segment, joined.
    fn written(text: &str) -> Vec<String> {
        let codes = shipped(&sources(&[("src/a.rs", text)]));
        let paths = named_paths(&codes[0]).into_iter();
        paths.map(|path| path.segments.join("::")).filter(|path| path.contains("::")).collect()
    }

    /// Where the last path of the last file leads.
    fn leads(files: &[(&str, &str)]) -> Vec<String> {
        let codes = shipped(&sources(files));
        let last = named_paths(&codes[codes.len() - 1]).pop().expect("the file names a path");
        Modules::of(&codes).lead(&last).iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn use_trees_unfold() {
        let text = "pub(crate) use crate::{a, b::{self, c as d,\n e::*,},\n}; use ::std::fs;";
        let paths = ["crate::a", "crate::b", "crate::b::c", "crate::b::e::*", "std::fs"];
        assert_eq!(written(text), paths);
    }

    #[test]
    fn paths_in_code_and_macros_are_found() {
        let text =
            "fn f(x: crate::a::B<'_, super::c::D>) -> impl T + use<'_> { $crate::e::f::<G>() }";
        assert_eq!(written(text), ["crate::a::B", "super::c::D", "crate::e::f"]);
    }

    #[test]
    fn prose_names_nothing() {
        assert!(written("// crate::a\n/// [`crate::a`]\nconst X: &str = \"crate::a\";").is_empty());
    }

    #[test]
    fn super_goes_up_from_inline_modules_too() {
        assert_eq!(leads(&[("src/a/b.rs", "super::super::c::D")]), ["c::D"]);
        assert_eq!(leads(&[("src/a/b.rs", "mod x { mod y {} use super::D; }")]), ["a::b::D"]);
        assert_eq!(leads(&[("src/a/b.rs", "mod x {} use super::D;")]), ["a::D"]);
        assert_eq!(leads(&[("src/a/b.rs", "self::c::D")]), ["a::b::c::D"]);
    }

    #[test]
    fn imports_are_followed() {
        let root = ("src/lib.rs", "pub mod a; pub use a::{b::C as D};");
        let branch = ("src/a/mod.rs", "mod b; pub use b::C;");
        let leaf = ("src/a/b.rs", "pub struct C;");
        assert_eq!(leads(&[root, branch, leaf, ("src/e.rs", "crate::D::new")])[1], "a::b::C::new");
        assert_eq!(leads(&[root, branch, leaf, ("src/e.rs", "crate::a::C")]), ["a::C", "a::b::C"]);
        assert_eq!(leads(&[root, branch, leaf, ("src/e.rs", "use crate::a::*")]).len(), 3);
    }

    #[test]
    fn exported_macros_stand_where_they_are_written() {
        let files = [("src/a/b.rs", "macro_rules! c { () => {} }"), ("src/e.rs", "crate::c")];
        assert_eq!(leads(&files), ["c", "a::b"]);
    }

    #[test]
    fn circles_and_other_crates_end() {
        let circle = ("src/a.rs", "pub use crate::b::X;");
        assert_eq!(leads(&[circle, ("src/b.rs", "pub use crate::a::X;")]).len(), 16);
        assert!(leads(&[("src/a.rs", "std::fs::read")]).is_empty());
    }
}
