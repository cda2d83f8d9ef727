//! The queue alone: who is interrupted, what is remembered.

use bytes::Bytes;

use super::super::super::wire::{Call, Keep};
use super::super::queue::{Item, Queue, REMEMBERED, Step, Waiting};

fn call(run: u64, number: u64, after: Option<u64>) -> Item {
    let (payload, inputs) = (Bytes::new(), Vec::new());
    Item::Call(Call { number, run, after, keep: Keep::Export, payload, inputs })
}

fn queue(calls: impl IntoIterator<Item = Item>) -> Queue {
    let mut queue = Queue::default();
    calls.into_iter().for_each(|call| queue.add(call));
    queue
}

fn makes(queue: &mut Queue, number: u64) {
    assert!(matches!(queue.next(), Some(Step::Make(call)) if call.number == number));
    assert_eq!(queue.current(), Some(number));
}

#[test]
fn what_is_called_back_is_the_last_and_only_calls() {
    let mut queue =
        queue([call(1, 1, None), Item::ForgetRun(9), call(1, 2, None), call(1, 3, None)]);
    assert!(queue.recall(5).is_empty());
    assert_eq!(queue.recall(1), [3, 2]);
    makes(&mut queue, 1);
    assert!(matches!(queue.next(), Some(Step::Do(Item::ForgetRun(9)))));
    assert!(queue.next().is_none());
}

#[test]
fn only_a_call_that_runs_is_interrupted_and_once() {
    let mut queue = queue([call(1, 1, None), call(1, 2, None), call(2, 3, None)]);
    assert_eq!(queue.cancel(3), (vec![], false));
    makes(&mut queue, 1);
    assert_eq!(queue.cancel(1), (vec![2], true));
    assert_eq!(queue.cancel(1), (vec![], false), "it was already");
    assert!(queue.ended(), "an interrupt may be under way");
    assert_eq!(queue.cancel(1), (vec![], false), "it has ended");
    queue.left(true);
    makes(&mut queue, 3);
    assert!(!queue.ended());
}

#[test]
fn a_call_that_reads_what_it_needs_is_interrupted_behind_that_and_once() {
    let mut queue = queue([call(1, 1, None), call(2, 2, None)]);
    makes(&mut queue, 1);
    assert!(queue.reads());
    assert!(!queue.reads(), "it does already");
    assert_eq!(queue.cancel(1), (vec![], false));
    assert!(queue.has_read());
    assert_eq!(queue.cancel(1), (vec![], false), "it was interrupted");
    assert!(queue.reads() && !queue.has_read());
    assert!(queue.ended());
    queue.left(false);
    makes(&mut queue, 2);
    assert!(queue.reads() && !queue.has_read());
    assert_eq!(queue.cancel(2), (vec![], true));
}

#[test]
fn a_call_that_waits_around_another_is_interrupted_when_that_has_been_left() {
    let mut queue = queue([call(1, 1, None)]);
    makes(&mut queue, 1);
    let question = queue.ask();
    assert!(queue.wait().is_empty());
    queue.add(call(2, 2, None));
    makes(&mut queue, 2);
    assert_eq!(queue.cancel(1), (vec![], false));
    assert!(!queue.ended());
    queue.left(false);
    assert_eq!(queue.state_of_waiting(), Waiting::Interrupt);
    queue.interrupt_waiting();
    assert_eq!(queue.state_of_waiting(), Waiting::GoesOn);
    queue.waited(question);
    assert!(!queue.tell_of_interrupt(), "it knows");
    assert!(queue.ended());
}

#[test]
fn failures_are_remembered_for_as_long_as_others_may_come_after_them() {
    let mut queue = queue([call(1, 0, None)]);
    makes(&mut queue, 0);
    queue.left(false);
    for number in 1..REMEMBERED as u64 {
        queue.add(call(1, number, Some(number - 1)));
        assert!(matches!(queue.next(), Some(Step::NotMade(told)) if told == number));
    }
    queue.add(call(1, 1 << 40, Some(0)));
    assert!(matches!(queue.next(), Some(Step::NotMade(_))));
    queue.add(call(1, 1 << 41, Some(0)));
    makes(&mut queue, 1 << 41);
}

#[test]
fn answers_that_nobody_waits_for_are_dropped() {
    let mut queue = Queue::default();
    let question = queue.ask();
    queue.answer(question + 1, Bytes::new());
    assert!(!queue.has_answer(question));
    queue.answer(question, Bytes::from_static(b"x"));
    assert!(queue.has_answer(question));
    assert_eq!(queue.take_answer(question).as_deref(), Some(&b"x"[..]));
    queue.waited_aside(question);
    queue.answer(question, Bytes::new());
    assert!(!queue.has_answer(question));
}
