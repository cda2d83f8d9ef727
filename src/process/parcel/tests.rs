//! Where parts lie, what is no parcel, and that parcels come back from bytes.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::wire::Packed;
use super::super::{Medium, Segment, SegmentId, Segments};
use super::codec::PIECE;
use super::layout::ALIGNMENT;
use super::{Layout, Parcel, ParcelError, Part, Place};
use crate::value::{CodecError, Data, Reviver, Source, Value};

const KIB: u64 = 1 << 10;

fn part(place: Place, offset: u64, length: u64) -> Part {
    Part { place, offset, length }
}

fn inline(offset: u64, length: u64) -> Part {
    part(Place::Inline, offset, length)
}

fn shared(offset: u64, length: u64) -> Part {
    part(Place::Shared, offset, length)
}

fn segment(bytes: u64) -> Arc<Segment> {
    let media = vec![Medium::Anonymous, Medium::Directory(std::env::temp_dir())];
    Arc::new(Segments::new(4, media).create(bytes).unwrap().0)
}

/// Bytes of that length which tell where they come from.
fn content(seed: u8, length: u64) -> Vec<u8> {
    (0..length).map(|place| seed.wrapping_add((place % 251) as u8)).collect()
}

fn of_lengths(lengths: &[u64]) -> (Vec<Vec<u8>>, Parcel) {
    let contents = lengths.iter().zip(1..).map(|(&length, seed)| content(seed, length));
    let contents: Vec<Vec<u8>> = contents.collect();
    let parts: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let parcel = Parcel::of_parts(&parts, 77).unwrap();
    (contents, parcel)
}

fn read(parcel: &Parcel) -> Vec<Bytes> {
    (0..parcel.parts().len()).map(|number| parcel.read_part(number).unwrap()).collect()
}

fn encoded(parcel: &Parcel) -> Vec<u8> {
    let mut bytes = Vec::new();
    Value::new(parcel.clone()).encode(&mut bytes).unwrap();
    bytes
}

fn decoded(mut bytes: &[u8]) -> Result<Parcel, CodecError> {
    let length = bytes.len() as u64;
    let value = Reviver::of::<Parcel>().unwrap().decode(&mut Source::new(&mut bytes, length))?;
    Ok(value.downcast_ref::<Parcel>().unwrap().clone())
}

#[test]
fn what_is_small_in_all_comes_along() {
    let all = Layout::of(&[60 * KIB, 0, 4 * KIB]);
    let parts = vec![inline(0, 60 * KIB), inline(60 * KIB, 0), inline(60 * KIB, 4 * KIB)];
    assert_eq!(all, Layout { parts, inline: 64 * KIB, shared: 0 });
    assert_eq!(Layout::of(&[]), Layout { parts: vec![], inline: 0, shared: 0 });
}

#[test]
fn large_parts_lie_in_a_segment_and_small_ones_come_along() {
    let layout = Layout::of(&[100, 70_001, 4095, 4096, 0, 1 << 30]);
    let parts = vec![
        inline(0, 100),
        shared(0, 70_001),
        inline(100, 4095),
        shared(70_016, 4096),
        inline(4195, 0),
        shared(74_112, 1 << 30),
    ];
    assert_eq!(layout, Layout { parts, inline: 4195, shared: 74_112 + (1 << 30) });
    let many_small = Layout::of(&[4000; 100]);
    assert_eq!((many_small.inline, many_small.shared), (400_000, 0));
}

#[test]
fn lengths_that_nothing_can_have_are_no_harm() {
    let layout = Layout::of(&[u64::MAX, 1, u64::MAX, 5000]);
    assert_eq!(layout.shared, u64::MAX);
}

proptest! {
    #[test]
    fn parts_lie_in_order_and_apart(lengths in prop::collection::vec(0_u64..100_000, 0..8)) {
        let layout = Layout::of(&lengths);
        prop_assert_eq!(layout.parts.iter().map(|part| part.length).collect::<Vec<_>>(), lengths);
        let (mut inline, mut shared) = (0, 0);
        for part in &layout.parts {
            let end = part.offset + part.length;
            match part.place {
                Place::Inline => {
                    prop_assert_eq!(part.offset, inline);
                    inline = end;
                }
                Place::Shared => {
                    prop_assert!(part.offset.is_multiple_of(ALIGNMENT));
                    prop_assert!(part.offset >= shared && part.offset < shared + ALIGNMENT);
                    shared = end;
                }
            }
        }
        prop_assert_eq!((layout.inline, layout.shared), (inline, shared));
    }
}

#[test]
fn what_does_not_lie_within_is_no_parcel() {
    let segment = segment(8192);
    let capacity = segment.capacity();
    let new = |parts: &[Part], segment: Option<&Arc<Segment>>| {
        let inline = Bytes::from_static(&[0; 10]);
        Parcel::new(inline, parts.to_vec(), segment.cloned(), 0).map(drop)
    };
    let whole = [inline(0, 10), inline(10, 0), shared(0, capacity), shared(capacity, 0)];
    assert_eq!(new(&whole, Some(&segment)), Ok(()));
    for wrong in [
        inline(0, 11),
        inline(11, 0),
        inline(10, 1),
        inline(u64::MAX, 2),
        inline(2, u64::MAX),
        shared(1, capacity),
        shared(capacity + 1, 0),
        shared(u64::MAX, u64::MAX),
    ] {
        let parts = [whole[0], wrong, whole[2]];
        assert_eq!(new(&parts, Some(&segment)), Err(ParcelError::Outside(1)), "{wrong:?}");
    }
    assert_eq!(new(&[shared(0, 0)], None), Err(ParcelError::Segment));
}

#[test]
fn a_parcel_comes_as_it_went() {
    let (contents, parcel) = of_lengths(&[10, 100_000, 50_000]);
    let packed = parcel.packed();
    assert_eq!(packed.segment, parcel.segment().map(|segment| segment.id()));
    let segment = parcel.segment().cloned();
    let came = Parcel::unpack(packed.clone(), parcel.bytes(), segment).unwrap();
    assert_eq!((came.packed(), came.bytes()), (packed, 77));
    assert_eq!(read(&came), contents);
}

#[test]
fn a_parcel_without_its_own_segment_is_refused() {
    let packed = of_lengths(&[100_000]).1.packed();
    let unpack = |packed: &Packed, segment| Parcel::unpack(packed.clone(), 0, segment).map(drop);
    assert_eq!(unpack(&packed, None), Err(ParcelError::Segment));
    assert_eq!(unpack(&packed, Some(segment(200_000))), Err(ParcelError::Segment));
    let small = of_lengths(&[10]).1.packed();
    assert_eq!(unpack(&small, Some(segment(1))), Err(ParcelError::Segment));
}

#[test]
fn a_segment_in_which_nothing_lies_is_let_go() {
    let segment = segment(1);
    let parts = vec![inline(0, 1)];
    let parcel = Parcel::new(Bytes::from_static(b"x"), parts, Some(Arc::clone(&segment)), 0);
    assert!(parcel.unwrap().segment().is_none());
    assert_eq!(Arc::strong_count(&segment), 1);
}

#[test]
fn a_part_that_is_not_there_cannot_be_read() {
    let (contents, parcel) = of_lengths(&[3, 5]);
    assert_eq!(read(&parcel), contents);
    let error = parcel.read_part(2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a parcel of 2 parts has no part 2");
}

#[test]
fn a_parcel_weighs_what_it_takes_here() {
    let (_, parcel) = of_lengths(&[10, 100_000, 50_000]);
    assert_eq!(parcel.heap_bytes(), 150_010);
    assert_eq!(of_lengths(&[10, 20]).1.heap_bytes(), 30);
    let twice = vec![shared(0, 5000); 2];
    let twice = Parcel::new(Bytes::new(), twice, Some(segment(5000)), 0).unwrap();
    assert_eq!(twice.heap_bytes(), 10_000);
}

#[test]
fn small_parcels_come_back_from_bytes() {
    for lengths in [&[][..], &[0], &[5], &[0, 3, 0], &[40_000, 20_000]] {
        let (contents, parcel) = of_lengths(lengths);
        let back = decoded(&encoded(&parcel)).unwrap();
        assert_eq!(read(&back), contents);
        assert_eq!((back.packed(), back.bytes()), (parcel.packed(), 77));
    }
}

#[test]
fn large_parcels_come_back_in_a_segment_of_their_own() {
    let (contents, parcel) = of_lengths(&[100, 2 * PIECE + 12_345, 4096, 0, 70_000]);
    let bytes = encoded(&parcel);
    let back = decoded(&bytes).unwrap();
    assert_eq!(back.parts(), parcel.parts());
    let ids = [&parcel, &back].map(|parcel| parcel.segment().unwrap().id());
    assert_ne!(ids[0], ids[1]);
    drop(parcel);
    assert!(read(&back) == contents);
    assert_eq!(encoded(&back), bytes);
}

#[test]
fn parts_that_share_bytes_come_back_apart() {
    let segment = segment(10_000);
    segment.write_at(&content(9, 10_000), 0).unwrap();
    let parts = vec![shared(0, 10_000), shared(2000, 8000), inline(0, 2), inline(1, 1)];
    let parcel = Parcel::new(Bytes::from_static(b"ab"), parts, Some(segment), 1).unwrap();
    let back = decoded(&encoded(&parcel)).unwrap();
    assert_eq!(read(&back), read(&parcel));
    assert!(back.segment().is_none(), "it is small in all");
}

#[test]
fn a_segment_is_written_piece_by_piece() {
    struct Longest(usize);
    impl Write for Longest {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.max(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut longest = Longest(0);
    Value::new(of_lengths(&[3 * PIECE]).1).encode(&mut longest).unwrap();
    assert_eq!(longest.0 as u64, PIECE);
}

#[test]
fn bytes_that_are_no_parcel_are_refused_before_room_is_taken() {
    let damaged = |numbers: &[u64], rest: usize| {
        let numbers = numbers.iter().flat_map(|number| number.to_ne_bytes());
        let bytes: Vec<u8> = numbers.chain(std::iter::repeat_n(0, rest)).collect();
        let error = decoded(&bytes).expect_err("it is damaged");
        assert!(matches!(error, CodecError::Data(_)), "{error:?}");
    };
    damaged(&[1, u64::MAX], 100);
    damaged(&[1, 1 << 40], 100);
    damaged(&[1, 1, 1 << 45], 100);
    damaged(&[1, 2, u64::MAX, 2], 1);
    damaged(&[1, 1, 101], 100);
    let bytes = encoded(&of_lengths(&[5, 70_000]).1);
    for length in [0, 7, 8, 15, 16, 31, 32, 36, bytes.len() - 1] {
        let error = decoded(&bytes[..length]).expect_err("a beginning is not all");
        assert!(matches!(error, CodecError::Data(_)), "{length}: {error:?}");
    }
    decoded(&[&bytes[..], &[0]].concat()).expect_err("a byte is left over");
}

#[test]
fn a_parcel_tells_little_of_itself() {
    let parcel = of_lengths(&[5, 70_000]).1;
    let id: SegmentId = parcel.segment().unwrap().id();
    let shown = format!("Parcel {{ bytes: 77, parts: 2, segment: Some({id:?}), .. }}");
    assert_eq!(format!("{parcel:?}"), shown);
}
