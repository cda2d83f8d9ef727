//! What two forms of one key must share, and tables of what Python and Dask answer.

use super::Key;
use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
    sync::{Arc, Barrier},
    thread,
};

const DEPTH: usize = 100_000;

/// `((…(bottom,)…,),)`, `DEPTH` tuples deep.
fn deep(bottom: &str) -> Key {
    (0..DEPTH).fold(Key::from(bottom), |key, _| Key::from((key,)))
}

/// Runs the body on a stack far too small for one call per level of [`deep`].
fn on_small_stack(body: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(128 * 1024).spawn(body);
    thread.unwrap().join().unwrap();
}

/// Records what is fed to a hasher, each write on its own: equal records hash equally everywhere.
#[derive(Default, PartialEq, Debug)]
struct Writes(Vec<Vec<u8>>);

impl Hasher for Writes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.push(bytes.to_vec());
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn writes(key: &Key) -> Writes {
    let mut writes = Writes::default();
    key.hash(&mut writes);
    writes
}

/// Checks that no operation tells `key` from `twin`.
fn assert_same(key: &Key, twin: &Key) {
    assert_eq!(key, twin);
    assert_eq!(twin, key);
    assert_eq!(key.cmp(twin), Ordering::Equal, "{key}");
    assert_eq!(writes(key), writes(twin), "{key}");
    assert_eq!(key.to_string(), twin.to_string());
    assert_eq!(format!("{key:?}"), format!("{twin:?}"));
    assert_eq!(format!("{key:>9.7}"), format!("{twin:>9.7}"));
    assert_eq!(key.as_str(), twin.as_str());
    assert_eq!(key.prefix(), twin.prefix());
}

/// xorshift64, so that a failure comes back on each run.
fn pseudo_random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 32).unwrap()
}

#[test]
fn prints_strings_as_python_does() {
    // Each pair is from `repr(text)` of Python 3.11.
    let table = [
        ("", "''"),
        ("x", "'x'"),
        ("it's", "\"it's\""),
        ("say \"x\"", "'say \"x\"'"),
        ("it's \"x\"", "'it\\'s \"x\"'"),
        ("back\\slash", "'back\\\\slash'"),
        ("\"\\'", "'\"\\\\\\''"),
        ("a\nb\rc\td", "'a\\nb\\rc\\td'"),
        ("\0\x08\x0b\x0c\x1b\x7f", "'\\x00\\x08\\x0b\\x0c\\x1b\\x7f'"),
        ("\u{80}\u{9f}\u{a0}\u{a1}\u{ad}\u{ff}", "'\\x80\\x9f\\xa0¡\\xadÿ'"),
        ("é 中 ж 😀", "'é 中 ж 😀'"),
        ("\u{301}a\u{301}", "'\u{301}a\u{301}'"),
        ("\u{378}\u{200b}\u{2028}\u{2029}\u{3000}", "'\\u0378\\u200b\\u2028\\u2029\\u3000'"),
        ("\u{feff}\u{e000}\u{ffff}", "'\\ufeff\\ue000\\uffff'"),
        ("\u{e0001}\u{10ffff}\u{1f600}", "'\\U000e0001\\U0010ffff\u{1f600}'"),
    ];
    for (text, repr) in table {
        assert_eq!(format!("{:?}", Key::from(text)), repr);
        assert_eq!(Key::from(text).to_string(), text);
        assert_eq!(Key::from((text, 0)).to_string(), format!("({repr}, 0)"));
    }
}

#[test]
fn prints_integers_and_tuples_as_python_does() {
    let empty = Key::from(());
    let table = [
        (Key::from(5), "5"),
        (Key::from(i64::MIN), "-9223372036854775808"),
        (empty.clone(), "()"),
        (Key::from(("x",)), "('x',)"),
        (Key::from(("x", 0)), "('x', 0)"),
        (Key::from((Key::numbered("x", 1), -1)), "('x-1', -1)"),
        (Key::from(((("x",),),)), "((('x',),),)"),
        (Key::from((&empty, (&empty,), 1)), "((), ((),), 1)"),
        (Key::from((("a", ("b",)), ((1, 2), "c"))), "(('a', ('b',)), ((1, 2), 'c'))"),
    ];
    for (key, text) in table {
        assert_eq!(key.to_string(), text);
        assert_eq!(format!("{key:?}"), text);
    }
    assert_eq!(format!("[{:<9}]", Key::from(("x", 0))), "[('x', 0) ]");
    assert_eq!(format!("[{:<3}|{:>3}]", Key::from("x"), Key::from(5)), "[x  |  5]");
}

#[test]
fn sorts_integers_strings_and_tuples() {
    let sorted = [
        Key::from(-2),
        Key::from(9),
        Key::from(10),
        Key::from(""),
        Key::from("10"),
        Key::from("x"),
        Key::from("x-"),
        Key::numbered("x", 10),
        Key::from("x-10-a"),
        Key::numbered("x", 9),
        Key::from("é"),
        Key::from(Vec::<Key>::new()),
        Key::from((9,)),
        Key::from((9, 0)),
        Key::from((10,)),
        Key::from(("x", 0)),
        Key::from((Key::numbered("x", 0), 0)),
        Key::from((Vec::<Key>::new(),)),
        Key::from(((1, 2), 0)),
        Key::from(((1, 2, 0),)),
    ];
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} and {b:?}");
            assert_eq!(a == b, i == j, "{a:?} and {b:?}");
            assert_eq!(writes(a) == writes(b), i == j, "{a:?} and {b:?}");
        }
    }
}

#[test]
fn numbered_is_its_string() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let names = ["", "x", "x-1", "x-", "inc", "in", "it's", "é", &"n".repeat(52), &"n".repeat(200)];
    let numbers = [0, 1, 9, 10, 11, 99, 100, u64::from(u32::MAX), 1 << 32, u64::MAX];
    let mut pairs = Vec::new();
    for _ in 0..400 {
        let name = names[pseudo_random(&mut state) % names.len()];
        let number = numbers[pseudo_random(&mut state) % numbers.len()];
        let text = format!("{name}-{number}");
        let key = Key::numbered(name, number);
        assert_same(&key, &Key::from(text.as_str()));
        assert_same(&Key::from((&key, 0)), &Key::from((text.as_str(), 0)));
        pairs.push((key, text));
    }
    for (key, text) in &pairs {
        for (other, other_text) in &pairs {
            assert_eq!(key.cmp(other), text.cmp(other_text), "{key} and {other}");
            assert_eq!(key == other, text == other_text, "{key} and {other}");
            assert_eq!(
                key.cmp(&Key::from(other_text.as_str())),
                text.cmp(other_text),
                "{key} and {other}"
            );
            assert_eq!(
                Key::from(text.as_str()).cmp(other),
                text.cmp(other_text),
                "{key} and {other}"
            );
        }
    }
}

#[test]
fn groups_keys_as_dask_does() {
    // Each pair is from `dask.utils.key_split` of Dask 2026.8.
    let table = [
        ("x", "x"),
        ("x-1", "x"),
        ("x-1-2-3", "x"),
        ("x-2-y", "x"),
        ("x-", "x"),
        ("inc-7f3a9c", "inc"),
        ("load_chunk", "load_chunk"),
        ("load_chunk-0", "load_chunk"),
        ("hello-world-1", "hello-world"),
        ("from-delayed-8f14e45fceea167a5a36dedd4bea2543", "from-delayed"),
        ("x-abcdefab", "x"),
        ("x-dropping-1", "x"),
        ("x-abcdefgh1", "x"),
        ("x-Abcdefgh", "x-Abcdefgh"),
        ("x-abcdefg", "x-abcdefg"),
        ("ae05086432ca935f6eba409a8ecd4896", "data"),
        ("é-ж-1", "é-ж"),
        ("_(x)", "x"),
        ("_(x)-y-1", "x-y"),
        ("('x-2', 1)", "x"),
        ("('x', 1)", "x"),
        ("<module.submodule.myclass object at 0xdaf372", "myclass"),
        ("<myclass-a-1>", "myclass-a"),
        ("1-x", "1-x"),
        ("", "Other"),
        ("-x", "Other"),
        ("()", "Other"),
    ];
    for (text, group) in table {
        assert_eq!(Key::from(text).prefix(), group, "{text}");
        assert_eq!(Key::numbered(text, 3).prefix(), Key::from(format!("{text}-3")).prefix());
        assert_eq!(Key::from((text, 0, 1)).prefix(), group, "{text}");
    }
    assert_eq!(Key::from((("x-1", 0), 1)).prefix(), "x");
    assert_eq!(Key::from(5).prefix(), "Other");
    assert_eq!(Key::from((5, "x")).prefix(), "Other");
    // Dask fails on the first and answers with nothing to the second.
    assert_eq!(Key::from(Vec::<Key>::new()).prefix(), "Other");
    assert_eq!(Key::from("<a.>").prefix(), "Other");
}

#[test]
fn is_made_from_strings_integers_and_sequences() {
    let owned = String::from("x");
    assert_same(&Key::from(owned.as_str()), &Key::from(Arc::<str>::from("x")));
    assert_same(&Key::from(owned), &Key::from(&Key::from("x")));
    assert_same(&Key::from(3_u8), &Key::from(3_usize));
    assert_eq!(Key::from(i64::MAX.unsigned_abs()).as_int(), Some(i64::MAX));
    assert_same(&Key::from(u64::MAX), &Key::from("18446744073709551615"));
    assert_same(&Key::from(vec![1, 2]), &Key::from([1, 2]));
    assert_same(&Key::from(()), &Key::from(Vec::<Key>::new()));
    assert_same(&Key::from([1, 2]), &Key::from((1_i8, 2_u32)));
    let six = Key::from((1, "b", 3_u64, ("d",), [5], Key::from("f")));
    assert_eq!(six.to_string(), "(1, 'b', 3, ('d',), (5,), 'f')");
    assert_eq!(six.as_tuple().map(<[Key]>::len), Some(6));
}

#[test]
fn depth_does_not_cost_stack() {
    on_small_stack(|| {
        let (key, twin, other) = (deep("x-1"), deep("x-1"), deep("x-2"));
        assert!(key == twin && key < other && key != other);
        assert!(writes(&key) == writes(&twin) && writes(&key) != writes(&other));
        let text = key.to_string();
        assert!(text.starts_with("(((") && text.ends_with(",),),)"));
        assert_eq!(text.len(), 3 * DEPTH + "'x-1'".len());
        assert_eq!(key.prefix(), "x");
        let copy = key.clone();
        drop(key);
        assert!(copy == twin);
    });
}

#[test]
fn shared_parts_outlive_the_whole() {
    // 2^60 elements, had they not been shared: dropped once each.
    let doubled = (0..60).fold(Key::from("x"), |key, _| Key::from((&key, &key)));
    let half = doubled.as_tuple().unwrap()[0].clone();
    drop(doubled);
    assert_eq!(half.as_tuple().map(<[Key]>::len), Some(2));
    assert_eq!(half.prefix(), "x");
}

#[test]
fn two_threads_may_drop_the_last_handles_at_once() {
    let together = Arc::new(Barrier::new(2));
    for _ in 0..20 {
        let key = deep("x");
        let copy = key.clone();
        let other = Arc::clone(&together);
        let dropping = thread::spawn(move || {
            other.wait();
            drop(copy);
        });
        on_small_stack({
            let together = Arc::clone(&together);
            move || {
                together.wait();
                drop(key);
            }
        });
        dropping.join().unwrap();
    }
}
