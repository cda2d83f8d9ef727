//! Sizes, casts and sharing of values.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Data, List, Shared, Value};

#[test]
fn scalars_lie_in_the_value_itself() {
    for value in [Value::new(1_i64), Value::new(1.5_f64), Value::new(()), Value::new(true)] {
        assert!(!value.same_data(&value.clone()), "{value:?} has an allocation");
    }
    let text = Value::new("text".to_owned());
    assert!(text.same_data(&text.clone()));
}

#[test]
fn every_scalar_comes_back_as_itself_only() {
    assert_eq!(Value::new(3_usize).downcast_ref::<usize>(), Some(&3));
    assert_eq!(Value::new(3_usize).downcast_ref::<u64>(), None);
    assert_eq!(Value::new(-3_i32).downcast_ref::<i32>(), Some(&-3));
    assert_eq!(Value::new(2.5_f64).downcast_ref::<f64>(), Some(&2.5));
    assert!(Value::new(()).is::<()>());
}

#[test]
fn sizes_are_exact_for_the_usual_containers() {
    assert_eq!(Value::new(vec![0_u8; 100]).bytes(), 24 + 100);
    assert_eq!(Value::new(vec![0_f64; 100].into_boxed_slice()).bytes(), 16 + 800);
    assert_eq!(Value::new([0_u16; 8]).bytes(), 16);
    assert_eq!(
        Value::new(bytes::Bytes::from_static(b"four")).bytes(),
        size_of::<bytes::Bytes>() + 4
    );
    assert_eq!(Value::new(vec!["ab".to_owned(), "c".to_owned()]).bytes(), 24 + 2 * 24 + 3);
    assert_eq!(Value::with_bytes(std::sync::Mutex::new(1), 99).bytes(), 99);
    let map = HashMap::from([(1_u32, "one".to_owned())]);
    assert!(map.heap_bytes() >= size_of::<(u32, String)>() + 3);
}

#[test]
fn take_moves_unique_data_and_clones_shared_data() {
    let data = vec![1_i64; 10];
    let address = data.as_ptr();
    let value = Value::new(data);
    let kept = value.clone();
    let copy = value.take::<Vec<i64>>().unwrap();
    assert_ne!(copy.as_ptr(), address);
    let moved = kept.take::<Vec<i64>>().unwrap();
    assert_eq!(moved.as_ptr(), address);
}

#[test]
fn numbers_widen_only_without_loss() {
    assert_eq!(Value::new(7_i32).take::<u8>().unwrap(), 7);
    assert!(Value::new(-7_i64).take::<u64>().is_err());
    assert!(Value::new(300_i64).take::<u8>().is_err());
    assert!((Value::new(1_i32).take::<f64>().unwrap() - 1.0).abs() < f64::EPSILON);
    assert!(Value::new((1_i64 << 53) + 1).take::<f64>().is_err());
    assert!(Value::new(1.0_f64).take::<i64>().is_err());
}

#[test]
fn a_list_becomes_a_vector_of_its_elements() {
    let list = Value::new(List(vec![Value::new(1_i64), Value::new(2_i32)]));
    assert_eq!(list.clone().take::<Vec<i64>>().unwrap(), [1, 2]);
    assert!(list.clone().take::<Vec<String>>().is_err());
    let nested = Value::new(List(vec![list.clone(), list]));
    assert_eq!(nested.take::<Vec<Vec<i64>>>().unwrap(), [[1, 2], [1, 2]]);
}

#[test]
fn lists_may_be_nested_to_any_depth() {
    let mut list = Value::new(List(vec![]));
    for _ in 0..200_000 {
        list = Value::new(List(vec![list]));
    }
    drop(list);
}

#[test]
fn shared_points_to_the_same_data() {
    let value = Value::new("manta".to_owned());
    let shared: Shared<String> = value.clone().shared().unwrap();
    assert_eq!(*shared, "manta");
    assert!(Value::from(shared.clone()).same_data(&value));
    assert!(value.shared::<i64>().is_err());
    assert_eq!(*Value::new(5_i64).shared::<i64>().unwrap(), 5);
    assert_eq!(shared.into_inner(), "manta");
}

#[test]
fn dropping_the_last_value_drops_the_data() {
    let data = Arc::new(1_i64);
    let value = Value::new(Arc::clone(&data));
    assert_eq!(Arc::strong_count(&data), 2);
    drop(value);
    assert_eq!(Arc::strong_count(&data), 1);
}

#[test]
fn data_that_panics_when_it_is_dropped_harms_nobody() {
    struct Touchy;
    impl Drop for Touchy {
        fn drop(&mut self) {
            panic!("on purpose: data does not want to go");
        }
    }
    impl Data for Touchy {}

    let value = Value::new(Touchy);
    let shared: Shared<Touchy> = value.clone().shared().unwrap();
    drop(value);
    drop(shared);
}
