//! The name of a task in a graph: a string, an integer or a tuple of names, as in Dask.
//!
//! [`Key`] is what graphs, errors, hooks and results call a task by. It prints as Python prints it,
//! so that a message reads the same on both sides.
//!
//! What this file deliberately does not do: it does not intern keys (the engine numbers the tasks
//! of a run), it does not parse the printed form, and it has no floats and no bytes, which Dask
//! tolerates as keys.
//!
//! A tuple may be nested to any depth. Everything that visits a whole key (comparing, hashing,
//! printing, dropping) uses `Walk` or a list of its own instead of recursion, so depth costs heap
//! and never stack.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt::{self, Write as _},
    hash::{Hash, Hasher},
    mem, slice,
    sync::Arc,
};

/// The name of a task: a string, an integer, or a tuple of keys.
///
/// Use strings for tasks that people name, tuples such as `("x", 0, 1)` for the pieces of a larger
/// whole, and [`Key::numbered`] for names made by a program. A clone shares text and elements.
///
/// **Conversions:** a key is made `From` strings, integers, and Rust tuples, vectors or arrays of
/// what keys are made from (all three give a tuple; empty ones give the empty tuple). A `u64` or
/// `usize` above `i64::MAX` becomes the *string* of its digits, for an integer key holds an `i64`;
/// different numbers stay different keys.
///
/// **Order:** integers come before strings, strings before tuples; integers compare as numbers,
/// strings by their bytes (so `x-10` comes before `x-9`), tuples element by element.
///
/// **Printing:** `{}` is Python's `str(key)`, `{:?}` is Python's `repr(key)`. Which characters
/// beyond ASCII are printable is decided by the Unicode tables of Rust's standard library, by the
/// same rule as in Python; the two differ only for characters that one of them does not know yet.
///
/// # Examples
///
/// ```
/// use mobula::Key;
///
/// let piece = Key::from(("x", 0, 1));
/// assert_eq!(piece.to_string(), "('x', 0, 1)");
/// assert_eq!(Key::from("it's").to_string(), "it's");
/// assert_eq!(format!("{:?}", Key::from("it's")), r#""it's""#);
/// assert!(Key::from(10) < Key::from("x") && Key::from("x") < piece);
/// ```
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Int(i64),
    Str(Arc<str>),
    /// Stands for the string `name-number` and must not be told apart from it.
    Numbered {
        /// Shared by all the tasks of one function, so that a task needs no string of its own.
        name: Arc<str>,
        /// With 64 bits, a key would take 32 bytes; larger numbers are a [`Repr::Str`].
        number: u32,
    },
    Tuple(Tuple),
}

const _: () = assert!(size_of::<Key>() <= 24 && size_of::<Option<Key>>() <= 24);

/// The group of keys that have no name to be grouped by, as in Dask.
const OTHER: &str = "Other";

impl Key {
    /// The key `"name-number"`, without a string of its own.
    ///
    /// Use it for automatic names: make the `Arc<str>` of the name once and clone it for each task.
    /// The key equals, hashes, sorts and prints exactly as the string does. Numbers above
    /// `u32::MAX` give the same key, at the cost of that string.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::Key;
    /// use std::sync::Arc;
    ///
    /// let name: Arc<str> = Arc::from("inc");
    /// let keys: Vec<Key> = (0..3).map(|n| Key::numbered(Arc::clone(&name), n)).collect();
    /// assert_eq!(keys[2], Key::from("inc-2"));
    /// ```
    pub fn numbered(name: impl Into<Arc<str>>, number: u64) -> Self {
        let name = name.into();
        Self(match u32::try_from(number) {
            Ok(number) => Repr::Numbered { name, number },
            Err(_) => Repr::Str(format!("{name}-{number}").into()),
        })
    }

    /// The text of a string key, without quotes; `None` for an integer or a tuple.
    ///
    /// Borrowed, except from a key made by [`Key::numbered`], whose text is put together here.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::Key;
    ///
    /// assert_eq!(Key::from("x").as_str().as_deref(), Some("x"));
    /// assert_eq!(Key::numbered("x", 7).as_str().as_deref(), Some("x-7"));
    /// assert_eq!(Key::from(7).as_str(), None);
    /// ```
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        match &self.0 {
            Repr::Str(text) => Some(Cow::Borrowed(text)),
            Repr::Numbered { .. } => Some(Cow::Owned(self.to_string())),
            Repr::Int(_) | Repr::Tuple(_) => None,
        }
    }

    /// The number of an integer key; `None` for a string (also one of digits) or a tuple.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::Key;
    ///
    /// assert_eq!(Key::from(5).as_int(), Some(5));
    /// assert_eq!(Key::from("5").as_int(), None);
    /// ```
    pub fn as_int(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(number) => Some(*number),
            Repr::Str(_) | Repr::Numbered { .. } | Repr::Tuple(_) => None,
        }
    }

    /// The elements of a tuple key; `None` for a string or an integer.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::Key;
    ///
    /// let piece = Key::from(("x", 0));
    /// assert_eq!(piece.as_tuple(), Some(&[Key::from("x"), Key::from(0)][..]));
    /// assert_eq!(Key::from("x").as_tuple(), None);
    /// ```
    pub fn as_tuple(&self) -> Option<&[Key]> {
        match &self.0 {
            Repr::Tuple(tuple) => Some(&tuple.0),
            Repr::Int(_) | Repr::Str(_) | Repr::Numbered { .. } => None,
        }
    }

    /// The group that this key belongs to in timers and progress reports.
    ///
    /// It is the name without what makes it unique: `inc` for `inc-7f3a9c`, `hello-world` for
    /// `hello-world-1`, `x` for `('x-7f3a9c', 0, 1)`. Keys without a name (integers, empty tuples)
    /// all belong to `Other`, and bare hashes of 32 hex digits to `data`.
    ///
    /// The rule is that of Dask's [`dask.utils.key_split`], so that groups are called as on Dask's
    /// own dashboard: the first word between dashes, then the words of letters only that follow it,
    /// up to the first with another character, or with eight letters of which the first is `a` to
    /// `f` (it is taken for a hash). It differs where Dask fails or answers with nothing: that is
    /// `Other` here; and a letter is what Rust's [`char::is_alphabetic`] calls one.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::Key;
    ///
    /// assert_eq!(Key::from(("x-7f3a9c", 0, 1)).prefix(), "x");
    /// assert_eq!(Key::from("hello-world-1").prefix(), "hello-world");
    /// assert_eq!(Key::from("load_chunk").prefix(), "load_chunk");
    /// assert_eq!(Key::from(5).prefix(), "Other");
    /// ```
    ///
    /// [`dask.utils.key_split`]: https://github.com/dask/dask/blob/main/dask/utils.py
    pub fn prefix(&self) -> Cow<'_, str> {
        self.name().map_or(OTHER.into(), group_of)
    }

    /// The text that the key's prefix is found in. Keys with the same one have the same prefix.
    pub(crate) fn name(&self) -> Option<&str> {
        let mut key = self;
        while let Repr::Tuple(tuple) = &key.0
            && let Some(first) = tuple.0.first()
        {
            key = first;
        }
        match &key.0 {
            // The number is never part of the group, so the name alone gives the same answer.
            Repr::Str(name) | Repr::Numbered { name, .. } => Some(name),
            Repr::Int(_) | Repr::Tuple(_) => None,
        }
    }

    fn string(text: impl Into<Arc<str>>) -> Self {
        Self(Repr::Str(text.into()))
    }

    fn integer(number: impl Into<i64>) -> Self {
        Self(Repr::Int(number.into()))
    }

    fn large_integer(number: impl TryInto<i64> + ToString + Copy) -> Self {
        let small: Option<i64> = number.try_into().ok();
        small.map_or_else(|| Self::string(number.to_string()), Self::integer)
    }

    fn tuple(elements: Arc<[Key]>) -> Self {
        Self(Repr::Tuple(Tuple(elements)))
    }

    /// The text of a string key in two parts; the second is empty unless the key is compact.
    fn text(&self) -> Option<(&[u8], Suffix)> {
        match &self.0 {
            Repr::Str(text) => Some((text.as_bytes(), Suffix::EMPTY)),
            Repr::Numbered { name, number } => Some((name.as_bytes(), Suffix::new(*number))),
            Repr::Int(_) | Repr::Tuple(_) => None,
        }
    }

    /// The place of this kind of key in the order of all keys.
    fn rank(&self) -> u8 {
        match &self.0 {
            Repr::Int(_) => 0,
            Repr::Str(_) | Repr::Numbered { .. } => 1,
            Repr::Tuple(_) => 2,
        }
    }
}

/// Python's `str(key)`; a width or a precision applies to the whole.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(number) => number.fmt(f),
            Repr::Str(text) => f.pad(text),
            Repr::Numbered { name, number } => f.pad(&format!("{name}-{number}")),
            Repr::Tuple(_) => fmt::Debug::fmt(self, f),
        }
    }
}

/// Python's `repr(key)`; a width or a precision applies to the whole.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut repr = String::new();
        write_repr(&mut repr, self)?;
        f.pad(&repr)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a == b,
            (Repr::Str(a), Repr::Str(b)) => a == b,
            // Digits hold no dash, so a text splits at its last dash in one way only.
            (Repr::Numbered { name: a, number: m }, Repr::Numbered { name: b, number: n }) => {
                m == n && a == b
            }
            _ => self.cmp(other).is_eq(),
        }
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            (Repr::Tuple(a), Repr::Tuple(b)) if Arc::ptr_eq(&a.0, &b.0) => Ordering::Equal,
            (Repr::Tuple(a), Repr::Tuple(b)) => Walk::through(&a.0).cmp(Walk::through(&b.0)),
            _ => match (self.text(), other.text()) {
                (Some(a), Some(b)) => compare_texts(&a, &b),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        /// Other than any rank, so that no tuple is the beginning of another one.
        const END: u8 = 3;
        state.write_u8(self.rank());
        match &self.0 {
            Repr::Int(number) => number.hash(state),
            Repr::Str(text) => hash_text(text.as_bytes(), &[], state),
            Repr::Numbered { name, number } => {
                hash_text(name.as_bytes(), Suffix::new(*number).bytes(), state);
            }
            Repr::Tuple(tuple) => {
                for step in Walk::through(&tuple.0) {
                    match step {
                        Step::Leaf(key) => key.hash(state),
                        Step::Enter => state.write_u8(self.rank()),
                        Step::Leave => state.write_u8(END),
                    }
                }
                state.write_u8(END);
            }
        }
    }
}

macro_rules! from_each {
    ($make:ident: $($source:ty),*) => {$(
        impl From<$source> for Key {
            fn from(source: $source) -> Self {
                Self::$make(source)
            }
        }
    )*};
}
from_each!(clone: &Key);
from_each!(string: &str, String, Arc<str>, Cow<'_, str>);
from_each!(integer: i8, i16, i32, i64, u8, u16, u32);
from_each!(large_integer: u64, usize, isize);

impl From<()> for Key {
    fn from((): ()) -> Self {
        Self::tuple(Arc::default())
    }
}

macro_rules! from_tuples {
    ($(($($element:ident),+))*) => {$(
        impl<$($element: Into<Key>),+> From<($($element,)+)> for Key {
            #[expect(non_snake_case, reason = "each element is named after its type")]
            fn from(($($element,)+): ($($element,)+)) -> Self {
                Self::tuple(Arc::new([$($element.into()),+]))
            }
        }
    )*};
}
from_tuples! { (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }

impl<K: Into<Key>> From<Vec<K>> for Key {
    fn from(elements: Vec<K>) -> Self {
        Self::tuple(elements.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<Key>, const N: usize> From<[K; N]> for Key {
    fn from(elements: [K; N]) -> Self {
        Self::tuple(elements.into_iter().map(Into::into).collect())
    }
}

fn compare_texts((name, suffix): &(&[u8], Suffix), other: &(&[u8], Suffix)) -> Ordering {
    let (start, rest) = name.split_at(name.len().min(other.0.len()));
    let (other_start, other_rest) = other.0.split_at(start.len());
    start.cmp(other_start).then_with(|| {
        let other_rest = other_rest.iter().chain(other.1.bytes());
        rest.iter().chain(suffix.bytes()).cmp(other_rest)
    })
}

/// What follows the name in a compact key, a dash and decimal digits, held without the heap.
struct Suffix {
    /// Filled from the end; `start` says where.
    bytes: [u8; Self::LENGTH],
    start: usize,
}

impl Suffix {
    /// A dash and the ten digits of `u32::MAX`.
    const LENGTH: usize = 11;
    const EMPTY: Self = Self { bytes: [b'-'; Self::LENGTH], start: Self::LENGTH };

    fn new(mut number: u32) -> Self {
        let mut suffix = Self::EMPTY;
        loop {
            suffix.start -= 1;
            suffix.bytes[suffix.start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                suffix.start -= 1; // The dash is there.
                return suffix;
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Feeds the text in one write, because a hasher may tell one from two, and then a byte that no
/// text contains. Hashers may treat `str` in a way of their own, so no key leaves that to them.
fn hash_text<H: Hasher>(name: &[u8], suffix: &[u8], state: &mut H) {
    const ROOM: usize = 64;
    let length = name.len() + suffix.len();
    if suffix.is_empty() {
        state.write(name);
    } else if length <= ROOM {
        let mut text = [0; ROOM];
        text[..name.len()].copy_from_slice(name);
        text[name.len()..length].copy_from_slice(suffix);
        state.write(&text[..length]);
    } else {
        state.write(&[name, suffix].concat());
    }
    state.write_u8(0xff);
}

/// The elements of a tuple key.
#[derive(Clone)]
struct Tuple(Arc<[Key]>);

impl Tuple {
    /// Moves the tuples in this one to `waiting`, unless somebody else holds this one, too.
    fn give_up_nested(&mut self, waiting: &mut Vec<Key>) {
        let is_tuple = |key: &Key| matches!(key.0, Repr::Tuple(_));
        if self.0.iter().any(is_tuple) {
            let elements = Arc::get_mut(&mut self.0).into_iter().flatten();
            let nested = elements.filter(|element| is_tuple(element));
            waiting.extend(nested.map(|element| mem::replace(element, Key(Repr::Int(0)))));
        }
    }
}

impl Drop for Tuple {
    /// Takes nested tuples out before the compiler's own recursive drop sees them.
    ///
    /// When two threads drop the last two handles at the same moment, both may find the tuple
    /// shared. Its elements are then dropped by the compiler, each of them through here again: one
    /// level of the stack for each such coincidence.
    fn drop(&mut self) {
        let mut waiting = Vec::new();
        self.give_up_nested(&mut waiting);
        while let Some(mut key) = waiting.pop() {
            if let Repr::Tuple(tuple) = &mut key.0 {
                tuple.give_up_nested(&mut waiting);
            }
        }
    }
}

/// What a [`Walk`] meets. The order of the variants makes two walks compare as their keys do: the
/// end of a tuple before any element, a tuple after any other element.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step<'a> {
    Leave,
    /// An integer or a string.
    Leaf(&'a Key),
    Enter,
}

/// Goes through keys and all that is in them, from left to right, without recursion.
struct Walk<'a> {
    /// What is left of the innermost open tuple.
    current: slice::Iter<'a, Key>,
    /// What is left of those around it, outermost first; flat keys never fill it.
    parents: Vec<slice::Iter<'a, Key>>,
}

impl<'a> Walk<'a> {
    fn through(keys: &'a [Key]) -> Self {
        Self { current: keys.iter(), parents: Vec::new() }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let Some(key) = self.current.next() else {
            self.current = self.parents.pop()?;
            return Some(Step::Leave);
        };
        let Repr::Tuple(tuple) = &key.0 else {
            return Some(Step::Leaf(key));
        };
        self.parents.push(mem::replace(&mut self.current, tuple.0.iter()));
        Some(Step::Enter)
    }
}

/// Writes Python's `repr` of the key.
fn write_repr(out: &mut String, key: &Key) -> fmt::Result {
    // How many elements are written of each open tuple, outermost first.
    let mut written: Vec<usize> = Vec::new();
    for step in Walk::through(slice::from_ref(key)) {
        if step == Step::Leave {
            out.push_str(if written.pop() == Some(1) { ",)" } else { ")" });
            continue;
        }
        if let Some(count) = written.last_mut() {
            out.push_str(if *count == 0 { "" } else { ", " });
            *count += 1;
        }
        if let Step::Leaf(leaf) = step {
            match leaf.as_str() {
                Some(text) => write_text_repr(out, &text)?,
                None => write!(out, "{leaf}")?,
            }
        } else {
            out.push('(');
            written.push(0);
        }
    }
    Ok(())
}

/// Writes Python's `repr` of a string, by the rules of `unicode_repr` in Python's own
/// `Objects/unicodeobject.c`.
fn write_text_repr(out: &mut String, text: &str) -> fmt::Result {
    let in_double = text.contains('\'') && !text.contains('"');
    let quote = if in_double { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        let code = u32::from(character);
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote || character == '\\' => out.extend(['\\', character]),
            _ if is_printable(character) => out.push(character),
            '\0'..='\u{ff}' => write!(out, "\\x{code:02x}")?,
            '\u{100}'..='\u{ffff}' => write!(out, "\\u{code:04x}")?,
            _ => write!(out, "\\U{code:08x}")?,
        }
    }
    out.push(quote);
    Ok(())
}

/// Whether Python's `str.isprintable` accepts the character: it belongs to no category of control,
/// format, private, unassigned or separating characters, other than the space.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    // The standard library keeps the same table to itself but escapes by it. The dot is there
    // because it also escapes a mark that would join what stands before the string.
    format!(".{character}").escape_debug().nth(1) == Some(character)
}

/// See [`Key::prefix`].
fn group_of(text: &str) -> Cow<'_, str> {
    let (first, rest) = text.split_once('-').unwrap_or((text, ""));
    let words = rest.split('-').take_while(|word| is_part_of_a_name(word));
    let end = first.len() + words.map(|word| 1 + word.len()).sum::<usize>();
    let group = if first.starts_with(char::is_alphabetic) {
        Cow::Borrowed(&text[..end])
    } else {
        Cow::Owned(without_decoration(first, &text[first.len()..end]))
    };
    let is_hash = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if first.is_empty() || group.is_empty() {
        OTHER.into()
    } else if group.len() == 32 && group.bytes().all(is_hash) {
        "data".into()
    } else {
        group
    }
}

/// Whether a word after a dash still belongs to the name, rather than making it unique.
fn is_part_of_a_name(word: &str) -> bool {
    let like_hash =
        word.starts_with(|first| matches!(first, 'a'..='f')) && word.chars().count() == 8;
    !word.is_empty() && word.chars().all(char::is_alphabetic) && !like_hash
}

/// The name in text that begins with no letter: `x` in `_(x)` or in a tuple that was printed into a
/// string, `Class` in `<module.Class object at 0x7f3a9c>`.
fn without_decoration(first: &str, words: &str) -> String {
    let element = first.split(',').next().unwrap_or(first);
    let group = element.trim_matches(['_', '\'', '(', ')', '"']).to_owned() + words;
    if !group.starts_with('<') {
        return group;
    }
    let path = group.trim_matches(['<', '>']).split_whitespace().next();
    path.and_then(|path| path.rsplit('.').next()).unwrap_or_default().to_owned()
}

#[cfg(test)]
// Named, because `self_named_module_files` takes an unnamed one for a part of the module.
#[path = "key/tests.rs"]
mod tests;
