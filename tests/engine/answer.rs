//! Values that are known when a run starts: what still has to run, and what is held.

use mobula::TaskId;
use mobula::engine::Status;

use crate::plans::{Bench, plan, plan_for};

/// What a run with these answers ran, and its result.
fn run(bench: &Bench) -> (Vec<u32>, i64) {
    let order = bench.finish(0);
    (order, bench.gather().into_data().expect("the result is a number"))
}

#[test]
fn what_only_an_answered_task_needs_does_not_run() {
    let bench = Bench::with_answers(plan([&[], &[0], &[1], &[2]]), 1, &[(2, 100)]);
    assert_eq!((bench.run.tasks(), bench.run.roots()), (1, 1));
    assert_eq!(bench.values(), 1);
    assert_eq!(run(&bench), (vec![3], 101));
    assert_eq!(bench.values(), 0);
}

#[test]
fn what_others_need_too_still_runs() {
    // Tasks 1 and 2 both need task 0, and only 1 is known.
    let bench = Bench::with_answers(plan([&[], &[0], &[0], &[1, 2]]), 1, &[(1, 100)]);
    assert_eq!(run(&bench), (vec![0, 2, 3], 103));
    assert_eq!(bench.values(), 0);
}

#[test]
fn a_chain_does_not_lead_into_an_answered_task() {
    // Task 0 is wanted for itself; task 1, which alone follows it, is known.
    let bench = Bench::with_answers(plan_for([&[], &[0], &[1]], [0_i64, 2]), 1, &[(1, 100)]);
    assert_eq!(bench.finish(0), [0, 2]);
    assert_eq!(bench.gather().into_data::<Vec<i64>>().unwrap(), [1, 101]);
    assert_eq!(bench.values(), 0);
}

#[test]
fn an_answer_that_nobody_needs_is_not_kept() {
    let bench = Bench::with_answers(plan([&[], &[0], &[1]]), 1, &[(0, 7), (1, 100)]);
    assert_eq!(bench.values(), 1);
    assert!(bench.run.has_ended(TaskId(1)) && !bench.run.has_ended(TaskId(0)));
    assert_eq!(run(&bench), (vec![2], 101));
}

#[test]
fn a_run_whose_outputs_are_all_known_is_done_at_once() {
    let bench = Bench::with_answers(plan([&[], &[0]]), 1, &[(1, 100)]);
    assert_eq!((bench.run.status(), bench.run.tasks()), (Status::Done, 0));
    assert_eq!(run(&bench), (vec![], 100));
    assert_eq!(bench.values(), 0);
}

#[test]
fn known_values_are_there_from_the_beginning() {
    let bench = Bench::with_answers(plan([&[], &[0], &[1]]), 1, &[(1, 100)]);
    let ended = [0, 1, 2].map(|task| bench.run.has_ended(TaskId(task)));
    assert_eq!(ended, [false, true, false]);
}

#[test]
fn the_known_and_the_made_are_wanted_side_by_side() {
    let bench = Bench::with_answers(plan_for([&[], &[], &[0, 1]], [1_i64, 2]), 2, &[(1, 100)]);
    assert_eq!(bench.finish(1), [0, 2]);
    assert_eq!(bench.gather().into_data::<Vec<i64>>().unwrap(), [100, 102]);
}

#[test]
fn what_was_known_goes_with_a_run_that_is_dropped() {
    let Bench { run, memory } = Bench::with_answers(plan([&[], &[0], &[1]]), 1, &[(1, 100)]);
    assert_eq!(memory.ledger().holdings().bytes, 8);
    drop(run);
    assert_eq!((memory.ledger().holdings().values, memory.ledger().holdings().bytes), (0, 0));
}
