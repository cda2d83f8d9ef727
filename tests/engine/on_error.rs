//! Runs that go on when a task fails for good: what is skipped, and how they end.

use mobula::engine::{ALLOWED_LOSSES, RunOutcome, WorkerId};
use mobula::{Failure, Missing, OnError, TaskId, Value};

use crate::plans::{Bench, gather, numbers, plan, plan_for};
use crate::situation::{Situation, then, when};

fn one_run(on_error: OnError) -> Situation {
    Situation::with_workers(2).after(when::submitted_with(1, 10, on_error))
}

#[test]
fn a_task_that_failed_for_good_ends_without_a_value_and_the_run_goes_on() {
    for on_error in [OnError::Skip, OnError::Collect] {
        let mut situation = one_run(on_error);
        situation
            .hears(when::failed(1, 1, 4, 1), [then::tell_retry(1, 4, 2), then::run_again(1, 1, 4)]);
        situation
            .hears(when::failed(1, 1, 4, 1), [then::condemn(1, 4, 2), then::run_again(1, 1, 4)]);
        assert_eq!(situation.runs(), [1]);
    }
}

#[test]
fn a_run_that_collects_is_incomplete_at_its_end_if_a_task_failed() {
    let failed = when::failed(0, 1, 4, 0);
    let ended = || when::ended(1);
    let mut situation = one_run(OnError::Skip).after(failed.clone());
    situation.hears(ended(), [then::finish(1, RunOutcome::Done)]);
    let mut situation = one_run(OnError::Collect);
    situation.hears(ended(), [then::finish(1, RunOutcome::Done)]);
    let mut situation = one_run(OnError::Collect).after(failed);
    situation.hears(ended(), [then::finish(1, RunOutcome::Incomplete)]);
}

#[test]
fn a_hook_that_fails_ends_the_run_all_the_same() {
    one_run(OnError::Skip).hears(when::failed_by_hook(0, 1, 4), [then::fail(1, 4, 1)]);
    let mut situation = one_run(OnError::Collect);
    situation.hears(when::hook_failed(1), [then::finish(1, RunOutcome::HookFailed)]);
}

#[test]
fn losses_condemn_a_task_only_if_its_inputs_are_untouched() {
    let mut situation = one_run(OnError::Skip);
    let lost = || when::lost(1, [when::running(1, 4)]);
    for _ in 1..ALLOWED_LOSSES {
        situation = situation.after(lost()).after(when::joined(1));
    }
    let condemn = mobula::engine::Command::Condemn {
        run: mobula::engine::RunId(1),
        task: TaskId(4),
        attempts: ALLOWED_LOSSES,
        worker_lost: true,
    };
    situation.hears(lost(), [then::replace(1), condemn, then::run_again(0, 1, 4)]);
    // It may lose one more worker while it ends, and is condemned once.
    let again = [then::replace(0), then::run_again(0, 1, 4)];
    situation.hears(when::lost(0, [when::running(1, 4)]), again);
    one_run(OnError::Skip).hears(
        when::lost(1, [when::spoilt(1, 4)]),
        [then::replace(1), then::fail_by_loss(1, 4, 1)],
    );
}

/// What stands for the value of a task that is not called.
fn verdict(bench: &Bench, ticket: &mobula::engine::Ticket) -> Missing {
    let value: Value = bench.run.verdict(ticket).expect("it has no value");
    value.downcast_ref::<Missing>().expect("it says why").clone()
}

#[test]
fn what_needs_a_missing_value_is_missing_too_and_says_why() {
    // 1 and 2 need 0, 3 needs both; 5 needs 4 and has nothing to do with them.
    let bench = Bench::new(plan_for([&[], &[0], &[0], &[1, 2], &[], &[4]], [3, 5]), 1);
    let (run, worker) = (&bench.run, WorkerId(0));
    let first = bench.next(0).unwrap();
    assert!(run.verdict(&first).is_none());
    let key = run.plan().key(first.task()).clone();
    let cause = mobula::Cause::Panic("on purpose".to_owned());
    run.condemn(first.task(), Failure::new(key.clone(), cause));
    let mut next = Some(first);
    let (mut skipped, mut called) = (Vec::new(), 0);
    while let Some(ticket) = next {
        run.start(worker, &ticket);
        next = if run.verdict(&ticket).is_some() {
            let missing = verdict(&bench, &ticket);
            assert_eq!(missing.failure.key.as_ref(), Some(&key));
            assert_eq!(missing.is_skipped(), missing.key != key);
            skipped.push(missing.key.clone());
            run.complete(worker, ticket, Value::new(missing)).next
        } else {
            called += 1;
            bench.do_task(0, ticket).next
        };
    }
    // The static order decides with which half the run begins.
    assert_eq!((skipped.len(), called), if key == 0.into() { (4, 2) } else { (2, 4) });
    assert_eq!(run.status(), mobula::engine::Status::Done);
    assert_eq!(run.failures().len(), 1);
    let missing = gather(run);
    assert_eq!(missing.missing().len(), 1);
    drop(missing);
    assert_eq!(bench.values(), 0);
}

#[test]
fn a_run_without_failures_asks_nobody() {
    let bench = Bench::new(plan([&[], &[0]]), 1);
    assert!(!bench.run.needs_care());
    assert_eq!(numbers(bench.next(0)), [0]);
    assert!(bench.run.failures().is_empty());
}
