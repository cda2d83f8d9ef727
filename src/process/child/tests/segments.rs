//! Segments that the parent tells of, and those that the child makes.

use std::os::fd::AsFd;

use super::super::super::wire::{Call, End, InputRef, Packed, ToChild, ToParent};
use super::super::super::{Medium, Segment, SegmentId, Segments};
use super::support::{Parent, call, raised, value};
use bytes::Bytes;

fn made(bytes: &[u8]) -> Segment {
    let (segment, _) = Segments::new(0, vec![Medium::Anonymous]).create(5000).unwrap();
    segment.write_at(bytes, 0).unwrap();
    segment
}

fn know(parent: &mut Parent, segment: &Segment) {
    let know = ToChild::Know { segment: segment.id(), capacity: segment.capacity() };
    parent.send_with(&know, &[segment.as_fd()]);
}

fn read(number: u64, segment: SegmentId) -> Call {
    let packed = Packed { inline: Bytes::new(), parts: Vec::new(), segment: Some(segment) };
    Call { inputs: vec![InputRef::Packed(packed)], ..call(number, "read") }
}

fn segment_of(end: (u64, End)) -> SegmentId {
    let End::Value { packed, .. } = end.1 else { panic!("no value: {:?}", end.1) };
    packed.segment.expect("the value lies in a segment")
}

#[test]
fn a_segment_is_known_until_it_is_to_be_forgotten() {
    let mut parent = Parent::new();
    let segment = made(b"here");
    know(&mut parent, &segment);
    parent.call([read(1, segment.id())]);
    assert_eq!(parent.end(), (1, value(b"here")));
    parent.send(&ToChild::Forget { segments: vec![segment.id()] });
    assert_eq!(parent.receive(), ToParent::Forgotten { segments: vec![(segment.id(), true)] });
    assert_eq!(parent.told(), format!("forget segment {}", segment.id()));
    parent.call([read(2, segment.id())]);
    assert_eq!(parent.end(), (2, raised("the segment is not known")));
}

#[test]
fn a_segment_that_is_told_of_anew_before_it_was_forgotten_stays() {
    let mut parent = Parent::new();
    let segment = made(b"here");
    know(&mut parent, &segment);
    parent.call([call(1, "hold")]);
    parent.send(&ToChild::Forget { segments: vec![segment.id()] });
    know(&mut parent, &segment);
    parent.call([read(2, segment.id())]);
    parent.knows_that_all_was_read();
    parent.world.release();
    assert_eq!(parent.end().0, 1);
    assert_eq!(parent.receive(), ToParent::Forgotten { segments: vec![(segment.id(), false)] });
    assert_eq!(parent.end(), (2, value(b"here")));
}

#[test]
fn a_room_is_told_of_before_the_value_in_it() {
    let mut parent = Parent::new();
    parent.call([call(1, "room 100000")]);
    let received = parent.receive_with();
    let ToParent::Share { segment, capacity, fallback: None } = received.message else {
        panic!("{:?}", received.message)
    };
    assert!(segment.is_made_by(3) && capacity >= 100_000);
    let [descriptor] = <[_; 1]>::try_from(received.descriptors).unwrap();
    let shared = Segment::adopt(segment, capacity, descriptor).unwrap();
    assert_eq!(segment_of(parent.end()), segment);
    let mut bytes = [0; 3];
    shared.read_at(&mut bytes, 99_997).unwrap();
    assert_eq!(bytes, [7; 3]);
}

#[test]
fn a_room_that_nobody_needs_is_used_again() {
    let mut parent = Parent::new();
    parent.call([call(1, "room 100000")]);
    assert!(matches!(parent.receive(), ToParent::Share { .. }));
    let segment = segment_of(parent.end());
    parent.send(&ToChild::Reuse { segments: vec![segment] });
    parent.call([call(2, "room 99000")]);
    assert!(matches!(parent.receive(), ToParent::Share { .. }), "the parent has closed its own");
    assert_eq!(segment_of(parent.end()), segment);
    parent.call([call(3, "room 99000")]);
    assert!(matches!(parent.receive(), ToParent::Share { .. }), "there is one value in the first");
    assert_ne!(segment_of(parent.end()), segment);
}

#[test]
fn a_room_in_which_no_value_came_to_lie_is_used_for_the_next() {
    let mut parent = Parent::new();
    parent.call([call(1, "vacate 100000"), call(2, "room 100000")]);
    // Each call tells of its room, and the first may end before the second begins or be told with it.
    let (mut told, mut ends) = (Vec::new(), Vec::new());
    while ends.len() < 2 {
        let message = parent.receive();
        if let ToParent::Share { segment, .. } = message {
            told.push(segment);
        } else {
            let ToParent::Done(done) = message else { panic!("{message:?}") };
            ends.extend(done.into_iter().map(|done| (done.number, done.end)));
        }
    }
    let [(1, empty), second] = <[_; 2]>::try_from(ends).unwrap() else { panic!("not in order") };
    assert_eq!(empty, value(b""));
    let segment = segment_of(second);
    assert_eq!(told, [segment, segment], "the room is the one that the first gave back");
}

#[test]
fn a_room_that_the_child_still_shows_is_not_used_again() {
    let mut parent = Parent::that_shows();
    parent.call([call(1, "room 100000")]);
    assert!(matches!(parent.receive(), ToParent::Share { .. }));
    let segment = segment_of(parent.end());
    parent.send(&ToChild::Reuse { segments: vec![segment] });
    assert_eq!(parent.receive(), ToParent::Forgotten { segments: vec![(segment, false)] });
    parent.call([call(2, "room 100000")]);
    assert!(matches!(parent.receive(), ToParent::Share { .. }));
    assert_ne!(segment_of(parent.end()), segment);
}
