//! Time limits: runs that take too long, workers that are stuck, and who takes their place.

use mobula::engine::RunOutcome;

use crate::situation::{Situation, then, when};

/// Workers 0 and 1, the spare numbers 3 and 4, and a run that worker 0 was told to start.
fn one_run() -> Situation {
    Situation::with_workers(2)
        .after(when::seat_free(3, []))
        .after(when::seat_free(4, []))
        .after(when::submitted(1, 10))
}

#[test]
fn a_run_over_its_limit_ends_whatever_its_tasks_do() {
    let mut situation = one_run();
    situation.hears(when::overdue(1), [then::finish(1, RunOutcome::Overdue)]);
    situation.hears_in_vain(when::overdue(1));
    situation.hears_in_vain(when::ended(1));
}

#[test]
fn another_worker_takes_the_place_of_one_that_is_stuck_under_a_free_number() {
    let mut situation = one_run();
    situation.hears(when::stuck(1), [then::relieve(1, 3)]);
    assert_eq!(situation.workers(), [0]);
    situation.hears_in_vain(when::joined(3));
    assert_eq!(situation.workers(), [0, 3]);
    // It has been relieved; its number is not free before its thread has ended.
    situation.hears_in_vain(when::stuck(1));
    situation.hears(when::stuck(0), [then::relieve(0, 4), then::start(3, 1)]);
    situation.hears_in_vain(when::joined(4));
    situation.hears(when::stuck(3), [then::tell_shortage(3)]);
    assert_eq!(situation.workers(), [3, 4]);
    situation.hears_in_vain(when::seat_free(1, []));
    situation.hears(when::stuck(3), [then::relieve(3, 1), then::start(4, 1)]);
}

#[test]
fn a_task_over_its_limit_is_tried_again_elsewhere() {
    let mut situation = one_run().after(when::stuck(1));
    situation
        .hears(when::failed(1, 1, 4, 1), [then::tell_retry(1, 4, 2), then::run_again(0, 1, 4)]);
    situation.hears(when::failed(0, 1, 4, 1), [then::fail(1, 4, 2)]);
}

#[test]
fn the_only_worker_is_replaced_before_its_task_is_tried_again() {
    let mut situation =
        Situation::with_workers(1).after(when::seat_free(2, [])).after(when::submitted(1, 10));
    situation.hears(when::stuck(0), [then::relieve(0, 2)]);
    situation.hears(when::joined(2), [then::start(2, 1)]);
    situation
        .hears(when::failed(0, 1, 4, 1), [then::tell_retry(1, 4, 2), then::run_again(2, 1, 4)]);
}

#[test]
fn what_a_stuck_worker_dies_in_runs_again_and_its_number_is_free() {
    let mut situation = one_run().after(when::stuck(1)).after(when::joined(3));
    situation.hears(
        when::seat_free(1, [when::running(1, 6)]),
        [then::tell_retry(1, 6, 2), then::run_again(3, 1, 6)],
    );
    let mut situation = situation.after(when::stuck(0));
    assert_eq!(situation.workers(), [3]);
    situation.hears(when::stuck(3), [then::relieve(3, 4)]);
}
