//! Runs are submitted: who starts them.

use mobula::engine::RunOutcome;

use crate::situation::{Situation, then, when};

#[test]
fn a_run_is_published_and_one_worker_starts_it() {
    let mut situation = Situation::with_workers(3);
    situation.hears(when::submitted(1, 10), [then::publish(1), then::start(0, 1)]);
    assert_eq!(situation.runs(), [1]);
}

#[test]
fn runs_are_spread_over_the_workers() {
    let mut situation = Situation::with_workers(2);
    situation.hears(when::submitted(1, 10), [then::publish(1), then::start(0, 1)]);
    situation.hears(when::submitted(2, 10), [then::publish(2), then::start(1, 2)]);
    situation.hears(when::submitted(3, 10), [then::publish(3), then::start(0, 3)]);
    situation.hears(when::submitted(4, 10), [then::publish(4), then::start(1, 4)]);
}

#[test]
fn the_worker_whose_run_ended_starts_the_next_one() {
    let mut situation = Situation::with_workers(2)
        .after(when::submitted(1, 10))
        .after(when::submitted(2, 10))
        .after(when::ended(2));
    situation.hears(when::submitted(3, 10), [then::publish(3), then::start(1, 3)]);
}

#[test]
fn a_run_without_tasks_is_done_at_once() {
    let mut situation = Situation::with_workers(1);
    situation.hears(when::submitted(1, 0), [then::finish(1, RunOutcome::Done)]);
    assert!(situation.runs().is_empty());
    let mut without_workers = Situation::default();
    without_workers.hears(when::submitted(1, 0), [then::finish(1, RunOutcome::Done)]);
}

#[test]
fn runs_without_workers_wait_for_the_first_one() {
    let mut situation = Situation::default();
    situation.hears(when::submitted(2, 10), [then::publish(2)]);
    situation.hears(when::submitted(1, 10), [then::publish(1)]);
    situation.hears(when::joined(5), [then::start(5, 1), then::start(5, 2)]);
    assert_eq!(situation.workers(), [5]);
}

#[test]
fn a_worker_that_joins_later_is_told_nothing() {
    let mut situation = Situation::with_workers(1).after(when::submitted(1, 10));
    situation.hears_in_vain(when::joined(1));
    situation.hears(when::submitted(2, 10), [then::publish(2), then::start(1, 2)]);
}

#[test]
fn a_worker_that_joins_twice_is_one_worker() {
    let mut situation = Situation::with_workers(1).after(when::submitted(1, 10));
    situation.hears_in_vain(when::joined(0));
    assert_eq!(situation.workers(), [0]);
}
