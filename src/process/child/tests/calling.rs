//! Calls, what they come after, and what goes in order with them.

use bytes::Bytes;

use super::super::super::wire::{Definition, End, Failed, ToChild};
use super::support::{Parent, call, call_after, raised, value};

#[test]
fn calls_are_made_in_order_and_their_ends_told_in_order() {
    let mut parent = Parent::new();
    parent.call([call(1, "echo a"), call(2, "fail b")]);
    parent.call([call(3, "echo c")]);
    assert_eq!(parent.end(), (1, value(b"a")));
    assert_eq!(parent.end(), (2, raised("b")));
    assert_eq!(parent.end(), (3, value(b"c")));
    assert_eq!(parent.stop(), []);
}

#[test]
fn definitions_and_releases_go_in_order_with_the_calls() {
    let mut parent = Parent::new();
    let definitions = vec![Definition { number: 5, bytes: Bytes::new() }];
    parent.send(&ToChild::Define { run: 1, definitions });
    parent.call([call(1, "tell")]);
    parent.send(&ToChild::Release { values: vec![8, 9] });
    parent.call([call(2, "tell")]);
    parent.send(&ToChild::ForgetRun { run: 1 });
    for line in ["define 1.5", "call 1", "release 8", "release 9", "call 2", "forget run 1"] {
        assert_eq!(parent.told(), line);
    }
}

#[test]
fn a_call_behind_one_that_failed_is_not_made() {
    let mut parent = Parent::new();
    parent.call([
        call(1, "fail"),
        call_after(1, 2, "tell"),
        call_after(2, 3, "tell"),
        call(4, "tell"),
        call_after(4, 5, "tell"),
    ]);
    assert_eq!(parent.end(), (1, raised("")));
    assert_eq!(parent.end(), (2, End::NotMade));
    assert_eq!(parent.end(), (3, End::NotMade));
    assert_eq!(parent.end(), (4, value(b"")));
    assert_eq!(parent.end(), (5, value(b"")));
    assert_eq!((parent.told(), parent.told()), ("call 4".into(), "call 5".into()));
    // Also if it comes when the failure was told long ago.
    parent.call([call_after(3, 6, "tell")]);
    assert_eq!(parent.end(), (6, End::NotMade));
}

#[test]
fn a_call_behind_one_that_was_given_back_is_given_back() {
    let mut parent = Parent::new();
    parent.call([call(1, "hold"), call(2, "tell")]);
    assert_eq!(parent.told(), "began 1");
    parent.send(&ToChild::Recall { keep: 0 });
    parent.call([call_after(2, 3, "tell"), call_after(3, 4, "tell")]);
    assert_eq!(parent.returned(), [2]);
    parent.world.release();
    assert_eq!(parent.end(), (1, value(b"released")));
    assert_eq!((parent.returned(), parent.returned()), (vec![3], vec![4]));
}

#[test]
fn a_panic_is_the_failure_of_its_call() {
    let mut parent = Parent::new();
    parent.call([call(1, "panic at the disco"), call(2, "echo on")]);
    let misfit = Failed::Misfit("it panicked: at the disco".into());
    assert_eq!(parent.end(), (1, End::Failed(misfit)));
    assert_eq!(parent.end(), (2, value(b"on")));
}

#[test]
fn the_last_calls_are_called_back_while_one_is_being_made() {
    let mut parent = Parent::new();
    parent.call([call(1, "hold"), call(2, "echo"), call(3, "echo"), call(4, "echo")]);
    assert_eq!(parent.told(), "began 1");
    parent.send(&ToChild::Recall { keep: 1 });
    assert_eq!(parent.returned(), [4, 3]);
    parent.send(&ToChild::Recall { keep: 1 });
    assert!(parent.returned().is_empty(), "told although there are none");
    parent.world.release();
    assert_eq!((parent.end().0, parent.end().0), (1, 2));
}

#[test]
fn the_log_shows_the_call_that_is_being_made() {
    let mut parent = Parent::new();
    assert_eq!(parent.log.read(), None);
    parent.call([call(1, "echo"), call(2, "hold")]);
    assert_eq!(parent.told(), "began 2");
    assert_eq!(parent.log.read(), Some(2));
    parent.world.release();
    assert_eq!((parent.end().0, parent.end().0), (1, 2));
    assert_eq!(parent.log.read(), None);
    // Nor is a call to blame for what comes behind it.
    parent.call([call(3, "hold"), call(4, "echo")]);
    assert_eq!((parent.told(), parent.log.read()), ("began 3".into(), Some(3)));
    parent.send(&ToChild::Release { values: vec![1] });
    parent.send(&ToChild::Recall { keep: 0 });
    assert_eq!(parent.returned(), [4]);
    parent.world.release();
    assert_eq!((parent.told(), parent.log.read()), ("release 1".into(), None));
}

#[test]
fn a_call_knows_its_number_and_is_timed() {
    let mut parent = Parent::new();
    parent.call([call(11, "current"), call(12, "hold")]);
    assert_eq!(parent.end(), (11, value(b"Some(11)")));
    assert_eq!(parent.told(), "began 12");
    // Time goes by until the child has heard this.
    parent.knows_that_all_was_read();
    parent.world.release();
    assert!(parent.done().elapsed > 0);
}
