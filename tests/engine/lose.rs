//! Workers are lost, idle or in the middle of a task.

use mobula::engine::{ALLOWED_LOSSES, RunOutcome};

use crate::situation::{Situation, then, when};

#[test]
fn an_idle_worker_is_replaced() {
    let mut situation = Situation::with_workers(2).after(when::submitted(1, 10));
    situation.hears(when::lost(1, []), [then::replace(1)]);
    assert_eq!(situation.workers(), [0]);
    situation.hears_in_vain(when::joined(1));
    assert_eq!(situation.workers(), [0, 1]);
}

#[test]
fn a_worker_is_lost_once() {
    let mut situation = Situation::with_workers(2).after(when::lost(1, []));
    situation.hears_in_vain(when::lost(1, []));
    situation.hears_in_vain(when::lost(7, []));
}

#[test]
fn the_task_of_a_lost_worker_runs_again_in_another_one() {
    let mut situation = Situation::with_workers(2).after(when::submitted(1, 10));
    situation.hears(
        when::lost(1, [when::running(1, 4)]),
        [then::replace(1), then::tell_retry(1, 4, 2), then::run_again(0, 1, 4)],
    );
}

#[test]
fn a_task_whose_inputs_are_gone_fails_its_run() {
    let mut situation = Situation::with_workers(2).after(when::submitted(1, 10));
    situation.hears(
        when::lost(1, [when::spoilt(1, 4)]),
        [then::replace(1), then::fail_by_loss(1, 4, 1)],
    );
}

#[test]
fn a_task_that_loses_too_many_workers_fails_its_run() {
    let mut situation = Situation::with_workers(2).after(when::submitted(1, 10));
    let lost = || when::lost(1, [when::running(1, 4)]);
    for attempt in 2..=ALLOWED_LOSSES {
        situation.hears(
            lost(),
            [then::replace(1), then::tell_retry(1, 4, attempt), then::run_again(0, 1, 4)],
        );
        situation.hears_in_vain(when::joined(1));
    }
    situation.hears(lost(), [then::replace(1), then::fail_by_loss(1, 4, ALLOWED_LOSSES)]);
}

#[test]
fn a_loss_is_an_attempt_but_uses_up_no_retry() {
    let mut situation = Situation::with_workers(2)
        .after(when::submitted(1, 10))
        .after(when::lost(1, [when::running(1, 4)]));
    situation
        .hears(when::failed(0, 1, 4, 1), [then::tell_retry(1, 4, 3), then::run_again(0, 1, 4)]);
    situation.hears(when::failed(0, 1, 4, 1), [then::fail(1, 4, 3)]);
}

#[test]
fn each_run_that_a_lost_worker_was_in_gets_what_it_needs() {
    let mut situation = Situation::with_workers(2)
        .after(when::submitted(1, 10))
        .after(when::submitted(2, 10))
        .after(when::submitted(3, 10));
    // A worker may be in several tasks at once: one of them waits for another run.
    situation.hears(
        when::lost(1, [when::running(1, 4), when::spoilt(3, 0), when::running(2, 7)]),
        [
            then::replace(1),
            then::tell_retry(1, 4, 2),
            then::run_again(0, 1, 4),
            then::fail_by_loss(3, 0, 1),
            then::tell_retry(2, 7, 2),
            then::run_again(0, 2, 7),
            then::start(0, 2),
        ],
    );
    assert_eq!(situation.runs(), [1, 2]);
}

#[test]
fn another_worker_starts_the_runs_that_a_lost_one_was_told_to_start() {
    let mut situation = Situation::with_workers(3);
    for run in 1..=6 {
        situation = situation.after(when::submitted(run, 10));
    }
    situation.hears(when::lost(1, []), [then::replace(1), then::start(0, 2), then::start(2, 5)]);
}

#[test]
fn a_run_that_fails_with_the_worker_is_not_started_again() {
    let mut situation = Situation::with_workers(2).after(when::submitted(1, 10));
    situation.hears(
        when::lost(0, [when::spoilt(1, 4)]),
        [then::replace(0), then::fail_by_loss(1, 4, 1)],
    );
    assert!(situation.runs().is_empty());
}

#[test]
fn when_all_workers_are_lost_everything_waits_for_the_replacement() {
    let mut situation = Situation::with_workers(1).after(when::submitted(1, 10));
    situation.hears(
        when::lost(0, [when::running(1, 4)]),
        [then::replace(0), then::tell_retry(1, 4, 2), then::run_again(0, 1, 4)],
    );
    situation.hears(when::submitted(2, 10), [then::publish(2)]);
    situation.hears(when::joined(0), [then::start(0, 1), then::start(0, 2)]);
    situation.hears(when::ended(1), [then::finish(1, RunOutcome::Done)]);
}

#[test]
fn a_task_that_was_lost_elsewhere_runs_again_and_its_worker_goes_on() {
    let mut situation = Situation::with_workers(2).after(when::submitted(1, 10));
    let lost = || when::lost_elsewhere(1, [when::running(1, 4)]);
    for attempt in 2..=ALLOWED_LOSSES {
        situation.hears(lost(), [then::tell_retry(1, 4, attempt), then::run_again(1, 1, 4)]);
    }
    assert_eq!(situation.workers(), [0, 1]);
    situation.hears(lost(), [then::fail_by_loss(1, 4, ALLOWED_LOSSES)]);
}
