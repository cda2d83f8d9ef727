//! Round trips of every type with a codec, and what damaged bytes must not do.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Codec, CodecError, Source};
use crate::value::{Data, List, Opaque, Reviver, Shared, Value};

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes).unwrap();
    bytes
}

fn decoded(reviver: &Reviver, mut bytes: &[u8]) -> Result<Value, CodecError> {
    let length = bytes.len() as u64;
    reviver.decode(&mut Source::new(&mut bytes, length))
}

/// The value comes back, every prefix of its bytes is an error, and no flipped bit does harm.
#[track_caller]
fn comes_back<T: Clone + PartialEq + Debug + Send + Sync + 'static>(value: &Value, data: &T) {
    assert!(value.can_spill());
    let bytes = encoded(value);
    let reviver = value.reviver().unwrap();
    let back = decoded(&reviver, &bytes).unwrap();
    assert_eq!(back.downcast_ref::<T>(), Some(data));
    assert_eq!(back.bytes(), value.bytes());
    assert_eq!(back.type_name(), reviver.type_name());
    assert!(back.can_spill());
    for length in 0..bytes.len() {
        let error = decoded(&reviver, &bytes[..length]).expect_err("a prefix is not a value");
        assert!(matches!(error, CodecError::Data(_)), "{length}: {error:?}");
    }
    let longer = [&bytes[..], &[0]].concat();
    decoded(&reviver, &longer).expect_err("a byte was left over");
    for position in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut flipped = bytes.clone();
            flipped[position] ^= flip;
            // Another value or an error; the checksum of a file tells. It ends, and takes no memory.
            drop(decoded(&reviver, &flipped));
        }
    }
}

#[track_caller]
fn trip<T: Data + Clone + PartialEq + Debug>(data: T) {
    let expected = data.clone();
    comes_back(&Value::new(data), &expected);
}

#[test]
fn plain_types_come_back() {
    trip(());
    trip(true);
    trip('ß');
    trip(u128::MAX - 1);
    trip(-7_i8);
    trip(7_usize);
    trip(-7_i32);
    trip(7_u32);
    trip(u64::MAX);
    trip(i64::MIN);
    trip(-0.5_f64);
    trip(0.5_f32);
    trip(Duration::new(u64::MAX, 999_999_999));
    trip(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_100));
    trip(SystemTime::UNIX_EPOCH - Duration::from_millis(1));
    trip("wörld".to_owned());
    trip(String::new());
    trip(PathBuf::from("/tmp/ä b"));
    trip(Bytes::from_static(b"four"));
}

#[cfg(unix)]
#[test]
fn paths_need_not_be_text() {
    use std::os::unix::ffi::OsStringExt;
    trip(PathBuf::from(std::ffi::OsString::from_vec(vec![b'/', 0xff, 0xfe])));
}

#[test]
fn containers_come_back() {
    trip(vec![1.5_f64, -0.0, f64::MAX]);
    trip(Vec::<u8>::new());
    trip(vec![u128::MAX; 3]);
    trip(vec![true, false]);
    trip(vec![(), ()]);
    trip(vec!["a".to_owned(), String::new(), "ccc".to_owned()]);
    trip(vec![vec![1_i16], vec![], vec![2, 3]]);
    trip(vec![1_usize, 2].into_boxed_slice());
    trip(vec!['a', 'b'].into_boxed_slice());
    trip([1_u16, 2, 3]);
    trip(["a".to_owned(), "b".to_owned()]);
    trip([(); 3]);
    trip([0_u8; 0]);
    trip(vec![[0_u8; 0]; 3]);
    trip(vec![[1.0_f32, 2.0], [3.0, 4.0]]);
    trip(Box::new(7_i64));
    trip(Some(Some(1_u8)));
    trip(Some(None::<u8>));
    trip(Some(()));
    trip(VecDeque::from([1_i32, 2]));
    trip(BTreeMap::from([(1_u8, "one".to_owned()), (2, "two".to_owned())]));
    trip(BTreeSet::from([3_i64, 1, 2]));
    trip(HashMap::from([("a".to_owned(), vec![1_u8]), ("b".to_owned(), vec![])]));
    trip(HashSet::from([1_u64, 2, 3]));
    trip((1_u8,));
    trip((1_u8, "two".to_owned(), vec![3.0_f64], 'c', true, (), Some(4_i8), [5_u16]));
}

#[test]
fn what_is_shared_or_bound_to_the_process_has_no_codec() {
    fn none<T: Data>() {
        assert!(T::codec().is_none(), "{}", std::any::type_name::<T>());
    }
    none::<Arc<i64>>();
    none::<Shared<i64>>();
    none::<List>();
    none::<Instant>();
    none::<Vec<Arc<i64>>>();
    none::<Box<[Instant]>>();
    none::<(i64, Instant)>();
    none::<Option<Instant>>();
    none::<[Instant; 2]>();
    none::<VecDeque<Instant>>();
    none::<BTreeMap<u8, Instant>>();
    none::<HashSet<Instant>>();
    for value in [
        Value::new(List(vec![])),
        Value::with_bytes(vec![1_u8], 25),
        Value::new(Arc::new(1_i64)),
        Value::with_bytes(Opaque(1_i64), 8),
    ] {
        assert!(!value.can_spill(), "{value:?}");
        assert!(value.reviver().is_none());
        assert!(matches!(value.encode(&mut Vec::new()), Err(CodecError::Data(_))));
    }
}

#[test]
fn numbers_are_written_as_they_lie_in_memory() {
    let mut expected = 2_u64.to_ne_bytes().to_vec();
    expected.extend(1.5_f64.to_ne_bytes());
    expected.extend(2.5_f64.to_ne_bytes());
    assert_eq!(encoded(&Value::new(vec![1.5_f64, 2.5])), expected);
    assert_eq!(encoded(&Value::new(vec![1.5_f64, 2.5].into_boxed_slice())), expected);
    assert_eq!(encoded(&Value::new([1_u8, 2])), [1, 2]);
}

#[test]
fn numbers_are_written_in_one_piece() {
    struct Pieces(Vec<usize>);
    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut pieces = Pieces(vec![]);
    Value::new(vec![0_i32; 1000]).encode(&mut pieces).unwrap();
    assert_eq!(pieces.0, [8, 4000]);
}

#[test]
fn sizes_and_types_are_kept_whatever_the_data_says() {
    let mut roomy = Vec::with_capacity(100);
    roomy.push(1_u8);
    let value = Value::new(roomy);
    assert_eq!(value.bytes(), 24 + 100);
    comes_back(&value, &vec![1_u8]);
    comes_back(&Value::with_codec(7_i64, 99, Codec::serde()), &7_i64);
    let shared: Shared<i64> = Value::new(7_i64).shared().unwrap();
    comes_back(&Value::new(shared), &7_i64);
}

#[test]
fn a_type_can_be_revived_without_a_value_of_it() {
    let bytes = encoded(&Value::new(vec![1_i64, 2]));
    let reviver = Reviver::of::<Vec<i64>>().unwrap();
    let value = decoded(&reviver, &bytes).unwrap();
    assert_eq!(value.bytes(), 24 + 16);
    assert_eq!(value.take::<Vec<i64>>().unwrap(), [1, 2]);
    assert!(Reviver::of::<Instant>().is_none());
}

#[test]
fn lengths_beyond_the_bytes_take_no_memory() {
    let huge = |rest: &[u8]| [&(1_u64 << 40).to_ne_bytes(), rest].concat();
    for reviver in [
        Reviver::of::<Vec<f64>>(),
        Reviver::of::<String>(),
        Reviver::of::<Bytes>(),
        Reviver::of::<PathBuf>(),
        Reviver::of::<Vec<String>>(),
        Reviver::of::<Vec<[String; 100]>>(),
        Reviver::of::<HashMap<String, u8>>(),
        Reviver::of::<VecDeque<u8>>(),
    ] {
        let reviver = reviver.unwrap();
        let error = decoded(&reviver, &huge(&[0; 9])).expect_err("too few bytes");
        assert!(matches!(error, CodecError::Data(_)), "{reviver:?}: {error:?}");
    }
    // The product overflows.
    let most = u64::MAX.to_ne_bytes();
    decoded(&Reviver::of::<Vec<f64>>().unwrap(), &most).expect_err("too few bytes");
}

#[test]
fn pointers_are_counted() {
    let value = Value::new("manta".to_owned());
    assert_eq!(value.pointers(), 1);
    let shared: Shared<String> = value.clone().shared().unwrap();
    assert_eq!(value.pointers(), 2);
    drop(shared);
    assert_eq!(value.pointers(), 1);
    assert_eq!(Value::new(1_i64).pointers(), 1);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Fraction(f64),
    Many(Vec<Number>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(i32, i32),
    Polygon { corners: Vec<(i32, i32)> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<String>,
    number: Number,
    address: std::net::IpAddr,
    by_code: BTreeMap<u16, Option<Shape>>,
    big: (i128, u128),
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    more: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    host: std::net::IpAddr,
}

fn through_serde<T>(data: T) -> Value
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    Value::with_codec(data, 1, Codec::serde())
}

fn record() -> Record {
    Record {
        name: "north".to_owned(),
        note: None,
        number: Number::Many(vec![Number::Whole(-3), Number::Fraction(0.5)]),
        address: [10, 0, 0, 1].into(),
        by_code: BTreeMap::from([
            (1, Some(Shape::Point)),
            (2, None),
            (3, Some(Shape::Circle(1.0))),
            (4, Some(Shape::Line(1, 2))),
            (5, Some(Shape::Polygon { corners: vec![(0, 0), (1, 1)] })),
        ]),
        big: (i128::MIN, u128::MAX),
        more: BTreeMap::from([("extra".to_owned(), serde_json::json!({"a": [1, null, "x"]}))]),
        place: Place { host: [0_u16; 8].into() },
    }
}

#[test]
fn serde_types_come_back() {
    comes_back(&through_serde(record()), &record());
    let json = serde_json::json!({"a": [1, 2.5, null, {"b": "c"}], "d": true});
    comes_back(&through_serde(json.clone()), &json);
    let option = Some("text".to_owned());
    comes_back(&through_serde(option.clone()), &option);
    comes_back(&through_serde(Some(Shape::Circle(2.0))), &Some(Shape::Circle(2.0)));
}

#[track_caller]
fn refused(value: &Value, reason: &str) {
    let error = value.encode(&mut Vec::new()).expect_err("it is refused");
    assert!(matches!(error, CodecError::Data(_)), "{error:?}");
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn what_serde_would_change_is_refused() {
    #[derive(Serialize, Deserialize)]
    struct Wrapped(Option<u8>);

    refused(&through_serde(Some(None::<u8>)), "an option holds `None`");
    refused(&through_serde(vec![Some(())]), "an option holds `None`");
    refused(&through_serde(Some(Wrapped(None))), "an option holds `None`");
    comes_back(&through_serde(vec![Some(Some(1_u8)), None]), &vec![Some(Some(1_u8)), None]);
    comes_back(&through_serde(Some(vec![None::<u8>])), &Some(vec![None::<u8>]));
}

#[test]
fn what_is_nested_too_deep_is_refused_and_the_rest_can_be_read() {
    let nested = |depth: usize| {
        (0..depth).fold(serde_json::Value::Null, |inner, _| serde_json::Value::Array(vec![inner]))
    };
    let deep = through_serde(nested(512));
    let back = decoded(&deep.reviver().unwrap(), &encoded(&deep)).unwrap();
    assert_eq!(back.downcast_ref(), Some(&nested(512)));
    refused(&through_serde(nested(513)), "deeper than 512");
}

#[test]
fn panics_in_a_codec_are_errors() {
    struct Shy;
    fn encode(_: &Shy, _: &mut dyn Write) -> Result<(), CodecError> {
        panic!("on purpose: not today")
    }
    fn decode(_: &mut Source<'_>) -> Result<Shy, CodecError> {
        panic!("on purpose: not {}", "back")
    }

    let value = Value::with_codec(Shy, 0, Codec::new(encode, decode));
    refused(&value, "panicked: on purpose: not today");
    let error = decoded(&value.reviver().unwrap(), &[]).expect_err("it panics");
    assert!(error.to_string().contains("panicked: on purpose: not back"), "{error}");
}

#[test]
fn an_error_of_the_writer_is_one_of_io() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for value in [Value::new(vec![1_u8]), through_serde(record())] {
        let error = value.encode(&mut Full).expect_err("nothing can be written");
        let CodecError::Io(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_data_comes_back(
        numbers in prop::collection::vec(any::<i64>(), 0..20),
        texts in prop::collection::vec(any::<Option<String>>(), 0..5),
        map in prop::collection::hash_map(any::<u32>(), any::<(bool, char, Vec<u8>)>(), 0..5),
    ) {
        trip(numbers);
        trip(texts);
        trip(map);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for reviver in [
            Reviver::of::<Vec<Vec<String>>>(),
            Reviver::of::<HashMap<String, Option<Duration>>>(),
            Reviver::of::<Vec<(char, SystemTime, [f64; 2])>>(),
            through_serde(record()).reviver(),
            through_serde(serde_json::json!(null)).reviver(),
        ] {
            drop(decoded(&reviver.unwrap(), &bytes));
        }
    }
}
