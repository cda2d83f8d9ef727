//! Runs end by themselves, or because a hook of the whole run failed.

use mobula::engine::RunOutcome;

use crate::situation::{Situation, then, when};

fn two_runs() -> Situation {
    Situation::with_workers(2).after(when::submitted(1, 10)).after(when::submitted(2, 10))
}

#[test]
fn the_last_task_of_a_run_finishes_it() {
    let mut situation = two_runs();
    situation.hears(when::ended(1), [then::finish(1, RunOutcome::Done)]);
    assert_eq!(situation.runs(), [2]);
}

#[test]
fn a_hook_that_fails_finishes_its_run_alone() {
    let mut situation = two_runs();
    situation.hears(when::hook_failed(2), [then::finish(2, RunOutcome::HookFailed)]);
    assert_eq!(situation.runs(), [1]);
}

#[test]
fn what_comes_late_for_a_run_that_is_over_is_no_error() {
    let mut situation = two_runs().after(when::ended(1));
    for late in [when::ended(1), when::hook_failed(1), when::failed(0, 1, 3, 5), when::cancelled(1)]
    {
        situation.hears_in_vain(late);
    }
    situation.hears(when::lost(0, [when::running(1, 3)]), [then::replace(0)]);
    assert_eq!(situation.runs(), [2]);
}

#[test]
fn what_comes_for_a_run_that_nobody_submitted_is_no_error() {
    let mut situation = Situation::with_workers(1);
    for unknown in
        [when::ended(9), when::hook_failed(9), when::failed(0, 9, 3, 5), when::cancelled(9)]
    {
        situation.hears_in_vain(unknown);
    }
}

#[test]
fn an_end_is_heard_without_workers_too() {
    let mut situation = two_runs().after(when::lost(0, [])).after(when::lost(1, []));
    situation.hears(when::ended(2), [then::finish(2, RunOutcome::Done)]);
}
