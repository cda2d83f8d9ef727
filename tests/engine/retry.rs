//! Tasks fail: which are tried again, where, and how often.

use std::time::Duration;

use mobula::Backoff;

use crate::situation::{Situation, then, when};

fn one_run(workers: u32) -> Situation {
    Situation::with_workers(workers).after(when::submitted(1, 10))
}

#[test]
fn a_task_without_retries_fails_its_run() {
    one_run(2).hears(when::failed(1, 1, 4, 0), [then::fail(1, 4, 1)]);
}

#[test]
fn a_failure_ends_its_run_and_nobody_elses() {
    let mut situation = one_run(2).after(when::submitted(2, 10));
    situation.hears(when::failed(1, 1, 4, 0), [then::fail(1, 4, 1)]);
    assert_eq!(situation.runs(), [2]);
}

#[test]
fn a_task_is_tried_again_where_it_failed_until_its_retries_are_used_up() {
    let mut situation = one_run(2);
    let failure = || when::failed(1, 1, 4, 2);
    situation.hears(failure(), [then::tell_retry(1, 4, 2), then::run_again(1, 1, 4)]);
    situation.hears(failure(), [then::tell_retry(1, 4, 3), then::run_again(1, 1, 4)]);
    situation.hears(failure(), [then::fail(1, 4, 3)]);
}

#[test]
fn each_task_of_each_run_has_its_own_attempts() {
    let mut situation = one_run(1).after(when::submitted(2, 10));
    for (run, task) in [(1, 4), (1, 5), (2, 4)] {
        situation.hears(
            when::failed(0, run, task, 1),
            [then::tell_retry(run, task, 2), then::run_again(0, run, task)],
        );
    }
    situation.hears(when::failed(0, 1, 5, 1), [then::fail(1, 5, 2)]);
    situation.hears(when::failed(0, 2, 4, 1), [then::fail(2, 4, 2)]);
}

#[test]
fn a_hook_may_fail_a_task_that_was_tried_again_before() {
    let mut situation = one_run(1).after(when::failed(0, 1, 4, 5));
    situation.hears(when::failed_by_hook(0, 1, 4), [then::fail(1, 4, 2)]);
}

#[test]
fn the_least_busy_worker_tries_again_what_failed_in_one_that_is_gone() {
    let mut situation = one_run(3)
        .after(when::submitted(2, 10))
        .after(when::submitted(3, 10))
        .after(when::ended(2));
    // Worker 0 has run 1, worker 2 run 3; worker 3 is nobody, as after an asynchronous task.
    situation
        .hears(when::failed(3, 1, 4, 1), [then::tell_retry(1, 4, 2), then::run_again(1, 1, 4)]);
}

#[test]
fn without_workers_a_task_waits_where_it_failed() {
    let mut situation = one_run(1).after(when::lost(0, []));
    situation
        .hears(when::failed(0, 1, 4, 1), [then::tell_retry(1, 4, 2), then::run_again(0, 1, 4)]);
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_task_waits_longer_with_each_failure_and_is_tried_again_after_that() {
    let mut situation = one_run(2);
    let backoff = Backoff::exponential(SECOND).factor(3).max(5 * SECOND);
    let failure = || when::failed_with(1, 1, 4, 3, backoff);
    for (attempt, seconds) in [(2, 1), (3, 3), (4, 5)] {
        let delay = then::delay(1, 4, seconds * SECOND);
        situation.hears(failure(), [then::tell_retry(1, 4, attempt), delay]);
        situation.hears(when::delay_ended(1, 4), [then::run_again(1, 1, 4)]);
    }
    situation.hears(failure(), [then::fail(1, 4, 4)]);
}

#[test]
fn a_delay_means_nothing_once_its_run_is_over_or_it_has_ended() {
    let failure = || when::failed_with(1, 1, 4, 3, Backoff::constant(SECOND));
    let mut situation = one_run(2).after(failure()).after(when::delay_ended(1, 4));
    situation.hears_in_vain(when::delay_ended(1, 4));
    situation.hears_in_vain(when::delay_ended(1, 5));
    let mut situation = one_run(2).after(failure()).after(when::cancelled(1));
    situation.hears_in_vain(when::delay_ended(1, 4));
}

#[test]
fn other_tasks_fail_and_are_tried_again_while_one_waits() {
    let failure = when::failed_with(0, 1, 4, 1, Backoff::constant(SECOND));
    let mut situation = one_run(2).after(failure);
    situation
        .hears(when::failed(1, 1, 5, 1), [then::tell_retry(1, 5, 2), then::run_again(1, 1, 5)]);
    // The worker in which it failed is gone when the delay is over.
    let mut situation = situation.after(when::lost(0, []));
    situation.hears(when::delay_ended(1, 4), [then::run_again(1, 1, 4)]);
}
