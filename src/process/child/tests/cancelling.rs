//! Cancelled runs: what was not begun comes back, what is being made is interrupted, and nothing else is.

use std::sync::atomic::Ordering;

use super::super::super::wire::{End, ToChild, ToParent};
use super::super::Unanswered;
use super::support::{Parent, call_of, raised, value};

#[test]
fn calls_of_a_cancelled_run_are_given_back_and_others_made() {
    let mut parent = Parent::new();
    parent.call([
        call_of(1, 1, "hold"),
        call_of(2, 2, "tell"),
        call_of(1, 3, "tell"),
        call_of(2, 4, "tell"),
    ]);
    assert_eq!(parent.told(), "began 1");
    parent.send(&ToChild::Cancel { run: 2 });
    assert_eq!(parent.returned(), [2, 4]);
    parent.world.release();
    assert_eq!((parent.end().0, parent.end().0), (1, 3));
    assert_eq!(parent.interrupts(), 0);
}

#[test]
fn the_call_that_is_being_made_is_interrupted_once() {
    let mut parent = Parent::new();
    parent.call([call_of(1, 1, "hold"), call_of(2, 2, "echo")]);
    assert_eq!(parent.told(), "began 1");
    parent.send(&ToChild::Cancel { run: 1 });
    parent.send(&ToChild::Cancel { run: 1 });
    assert_eq!(parent.end(), (1, raised("interrupted")));
    assert_eq!(parent.end(), (2, value(b"")));
    assert_eq!(parent.interrupts(), 1);
    parent.send(&ToChild::Cancel { run: 1 });
    parent.knows_that_all_was_read();
    assert_eq!(parent.interrupts(), 1, "nothing is being made");
}

#[test]
fn an_interrupt_that_a_call_has_not_noticed_reaches_no_other() {
    let mut parent = Parent::new();
    parent.call([call_of(1, 1, "stubborn"), call_of(2, 2, "echo")]);
    assert_eq!(parent.told(), "began 1");
    parent.send(&ToChild::Cancel { run: 1 });
    parent.knows_that_all_was_read();
    parent.world.release();
    assert_eq!(parent.end(), (1, value(b"released")));
    assert_eq!(parent.end(), (2, value(b"")));
    assert_eq!(parent.world.swallowed.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_that_ends_while_its_run_is_cancelled_takes_the_interrupt_with_it() {
    const ROUNDS: u64 = 3_000;
    let mut parent = Parent::new();
    for round in 0..ROUNDS {
        let cancelled = vec![call_of(round, 2 * round, "whatever")];
        parent.sender.queue(&ToChild::Call(cancelled), &[]).unwrap();
        parent.sender.queue(&ToChild::Cancel { run: round }, &[]).unwrap();
        let other = vec![call_of(ROUNDS + round, 2 * round + 1, "echo")];
        parent.sender.queue(&ToChild::Call(other), &[]).unwrap();
        assert!(parent.sender.flush().unwrap(), "the child reads fast enough");
        let mut seen = 0;
        while seen < 2 {
            let message = parent.receive();
            if let ToParent::Done(ends) = &message {
                seen += ends.len();
                // One that finds somebody else's interrupt fails.
                assert!(ends.iter().all(|done| matches!(done.end, End::Value { .. })));
            } else {
                let ToParent::Returned { calls } = message else { panic!("{message:?}") };
                seen += calls.len();
            }
        }
    }
}

#[test]
fn a_call_that_waits_is_interrupted_at_once() {
    let mut parent = Parent::new();
    parent.call([call_of(1, 1, "ask")]);
    let (question, ..) = parent.question();
    parent.send(&ToChild::Cancel { run: 1 });
    assert_eq!(parent.end(), (1, raised(&Unanswered::Interrupted.to_string())));
    parent.answer(question, "too late");
    parent.call([call_of(2, 2, "echo")]);
    assert_eq!(parent.end(), (2, value(b"")));
    assert_eq!(parent.interrupts(), 1);
}

#[test]
fn a_call_that_waits_around_one_of_another_run_is_interrupted_after_that() {
    let mut parent = Parent::new();
    parent.call([call_of(1, 1, "ask")]);
    parent.question();
    parent.call([call_of(2, 2, "hold")]);
    assert_eq!(parent.told(), "began 2");
    parent.send(&ToChild::Cancel { run: 1 });
    parent.knows_that_all_was_read();
    assert_eq!(parent.interrupts(), 0, "the call that is being made belongs to another run");
    parent.world.release();
    assert_eq!(parent.end(), (2, value(b"released")));
    assert_eq!(parent.end(), (1, raised(&Unanswered::Interrupted.to_string())));
    assert_eq!(parent.interrupts(), 1);
}

#[test]
fn a_call_around_goes_on_waiting_when_the_one_inside_is_cancelled() {
    let mut parent = Parent::new();
    parent.call([call_of(1, 1, "ask")]);
    let (question, ..) = parent.question();
    parent.call([call_of(2, 2, "hold")]);
    assert_eq!(parent.told(), "began 2");
    parent.send(&ToChild::Cancel { run: 2 });
    assert_eq!(parent.end(), (2, raised("interrupted")));
    parent.answer(question, "here");
    assert_eq!(parent.end(), (1, value(b"here")));
}

#[test]
fn a_call_that_was_interrupted_hears_of_it_before_it_waits() {
    let mut parent = Parent::new();
    parent.call([call_of(1, 1, "interrupted-ask")]);
    assert_eq!(parent.told(), "began 1");
    parent.send(&ToChild::Cancel { run: 1 });
    parent.knows_that_all_was_read();
    parent.world.release();
    // It has noticed, cleans up, and asks for that.
    let (question, ..) = parent.question();
    parent.answer(question, "clean");
    assert_eq!(parent.end(), (1, value(b"clean")));
}
