//! Questions to the parent, and the calls that are made meanwhile.

use super::super::super::wire::ToChild;
use super::super::{Served, Unanswered};
use super::support::{Parent, call, call_after, call_of, raised, value};

#[test]
fn an_answer_comes_back() {
    let mut parent = Parent::new();
    parent.call([call(1, "ask where")]);
    let (question, asking, payload) = parent.question();
    assert_eq!((asking, &payload[..]), (Some(1), &b"where"[..]));
    assert_eq!(parent.log.read(), Some(1));
    parent.answer(question + 1, "not asked for");
    parent.answer(question, "here");
    assert_eq!(parent.end(), (1, value(b"here")));
}

#[test]
fn what_ended_is_told_and_what_was_not_begun_given_back_before_a_question() {
    let mut parent = Parent::new();
    parent.call([call(1, "hold"), call(2, "echo x"), call(3, "ask"), call(4, "echo"), call(5, "")]);
    parent.world.release();
    assert_eq!(parent.end(), (1, value(b"released")));
    assert_eq!(parent.end(), (2, value(b"x")));
    assert_eq!(parent.returned(), [5, 4]);
    let (question, asking, _) = parent.question();
    assert_eq!(asking, Some(3));
    parent.answer(question, "");
    assert_eq!(parent.end(), (3, value(b"")));
}

#[test]
fn calls_that_come_while_one_waits_are_made_and_the_log_shows_them() {
    let mut parent = Parent::new();
    parent.call([call(1, "ask first")]);
    let (first, ..) = parent.question();
    parent.call([call(2, "echo inside"), call(3, "hold")]);
    assert_eq!(parent.told(), "began 3");
    assert_eq!(parent.log.read(), Some(3));
    assert_eq!(parent.end(), (2, value(b"inside")));
    // The answer comes while a call inside goes on, and waits for its end.
    parent.answer(first, "late");
    parent.knows_that_all_was_read();
    parent.world.release();
    assert_eq!(parent.end(), (3, value(b"released")));
    assert_eq!(parent.end(), (1, value(b"late")));
}

#[test]
fn calls_inside_of_calls_ask_too_and_the_innermost_is_answered_first() {
    let mut parent = Parent::new();
    parent.call([call(1, "ask outer")]);
    let (outer, ..) = parent.question();
    parent.call([call(2, "ask inner")]);
    let (inner, asking, _) = parent.question();
    assert_eq!(asking, Some(2));
    assert_eq!(parent.log.read(), Some(2));
    parent.answer(outer, "outer");
    parent.knows_that_all_was_read();
    parent.call([call(3, "current")]);
    assert_eq!(parent.end(), (3, value(b"Some(3)")));
    assert_eq!(parent.log.read(), Some(2), "the call around shows again");
    parent.answer(inner, "inner");
    assert_eq!(parent.end(), (2, value(b"inner")));
    assert_eq!(parent.end(), (1, value(b"outer")));
}

#[test]
fn a_call_behind_one_that_waits_is_given_back() {
    let mut parent = Parent::new();
    parent.call([call(1, "ask")]);
    let (question, ..) = parent.question();
    parent.call([call_after(1, 2, "echo"), call(3, "echo")]);
    assert_eq!(parent.returned(), [2]);
    assert_eq!(parent.end().0, 3);
    parent.answer(question, "");
    assert_eq!(parent.end().0, 1);
    parent.call([call_after(1, 4, "echo")]);
    assert_eq!(parent.end(), (4, value(b"")));
}

#[test]
fn what_else_comes_while_a_call_waits_is_done() {
    let mut parent = Parent::new();
    parent.call([call(1, "ask")]);
    let (question, ..) = parent.question();
    parent.send(&ToChild::Release { values: vec![7] });
    assert_eq!(parent.told(), "release 7");
    parent.answer(question, "");
    assert_eq!(parent.end().0, 1);
}

#[test]
fn other_threads_ask_while_calls_go_on() {
    let mut parent = Parent::new();
    parent.call([call(1, "aside what"), call(2, "echo")]);
    assert_eq!(parent.told(), "began 1");
    let (question, asking, payload) = parent.question();
    assert_eq!((asking, &payload[..]), (None, &b"what"[..]));
    parent.answer(question, "that");
    parent.world.release();
    assert_eq!(parent.end(), (1, value(b"that")));
    assert_eq!(parent.end().0, 2, "nothing was given back");
}

#[test]
fn who_waits_hears_that_the_child_is_to_end() {
    for payload in ["ask", "aside"] {
        let mut parent = Parent::new();
        parent.call([call_of(1, 1, payload)]);
        parent.question();
        parent.world.release();
        parent.send(&ToChild::Stop);
        assert_eq!(parent.end(), (1, raised(&Unanswered::Stopped.to_string())));
        assert_eq!(parent.join().unwrap(), Served::Stopped);
    }
}
