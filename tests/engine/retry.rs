//! Tasks fail: which are tried again, where, and how often.

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
    situation.hears(when::failed(0, 1, 4, 0), [then::fail(1, 4, 2)]);
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
