//! Nobody wants the results of a run any more.

use mobula::engine::RunOutcome;

use crate::situation::{Situation, then, when};

#[test]
fn a_cancelled_run_is_over_and_the_others_go_on() {
    let mut situation =
        Situation::with_workers(1).after(when::submitted(1, 10_000)).after(when::submitted(2, 10));
    situation.hears(when::cancelled(1), [then::finish(1, RunOutcome::Cancelled)]);
    assert_eq!(situation.runs(), [2]);
    situation.hears(when::ended(2), [then::finish(2, RunOutcome::Done)]);
}

#[test]
fn a_second_request_is_no_error() {
    let mut situation = Situation::with_workers(1).after(when::submitted(1, 10));
    situation.hears(when::cancelled(1), [then::finish(1, RunOutcome::Cancelled)]);
    situation.hears_in_vain(when::cancelled(1));
}

#[test]
fn a_run_that_waits_for_a_worker_can_be_cancelled() {
    let mut situation = Situation::default().after(when::submitted(1, 10));
    situation.hears(when::cancelled(1), [then::finish(1, RunOutcome::Cancelled)]);
    situation.hears_in_vain(when::joined(0));
}

#[test]
fn the_starter_of_a_cancelled_run_is_free_again() {
    let mut situation = Situation::with_workers(2)
        .after(when::submitted(1, 10))
        .after(when::submitted(2, 10))
        .after(when::cancelled(1));
    situation.hears(when::submitted(3, 10), [then::publish(3), then::start(0, 3)]);
}

#[test]
fn a_task_that_fails_while_its_run_is_cancelled_is_not_tried_again() {
    let mut situation =
        Situation::with_workers(1).after(when::submitted(1, 10)).after(when::cancelled(1));
    situation.hears_in_vain(when::failed(0, 1, 4, 100));
}
