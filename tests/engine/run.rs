//! A worker goes through a run by itself: what it takes next, and when the run is over.

use mobula::TaskId;
use mobula::engine::{Status, WorkerId};

use crate::plans::{Bench, independent, numbers, plan};

#[test]
fn one_worker_keeps_the_static_order() {
    let plans = [
        independent(200),
        plan([&[], &[0], &[0], &[1, 2]]),
        plan([&[], &[], &[0, 1], &[], &[], &[3, 4], &[2, 5]]),
        plan([&[], &[0], &[], &[2], &[1, 3]]),
    ];
    for plan in plans {
        let bench = Bench::new(plan, 1);
        let order: Vec<u32> = bench.run.plan().tasks().map(|task| task.0).collect();
        assert_eq!(bench.finish(0), order);
        assert_eq!(bench.run.status(), Status::Done);
    }
}

#[test]
fn a_chain_is_followed_and_never_offered_to_others() {
    let bench = Bench::new(plan([&[], &[0], &[1], &[2]]), 2);
    let mut next = bench.next(0);
    for task in 0..4 {
        let ticket = next.expect("the chain goes on");
        assert_eq!(ticket.task(), TaskId(task));
        let completion = bench.do_task(0, ticket);
        assert_eq!(bench.run.available_to(WorkerId(1)), 0);
        assert!(!completion.surplus);
        assert_eq!(completion.ended, task == 3);
        next = completion.next;
    }
    assert_eq!(next, None);
}

#[test]
fn what_becomes_ready_beside_the_best_is_left_as_surplus() {
    let bench = Bench::new(plan([&[], &[0], &[0], &[0], &[1, 2, 3]]), 2);
    let source = bench.next(0).unwrap();
    let completion = bench.do_task(0, source);
    assert!(completion.surplus);
    assert_eq!(numbers(completion.next), [1]);
    assert_eq!(bench.run.available_to(WorkerId(1)), 2);
    assert_eq!(bench.run.available_to(WorkerId(0)), 0, "its own lane is nobody else's");
}

#[test]
fn a_task_waits_for_its_last_input() {
    let bench = Bench::new(plan([&[], &[], &[0, 1]]), 2);
    let (one, two) = (bench.next(0).unwrap(), bench.next(1).unwrap());
    let first = bench.do_task(1, two);
    assert_eq!((first.next, first.surplus), (None, false));
    let second = bench.do_task(0, one);
    assert_eq!(numbers(second.next), [2]);
}

#[test]
fn an_input_that_is_used_twice_is_waited_for_once() {
    let bench = Bench::new(plan([&[], &[0, 0]]), 1);
    assert_eq!(bench.finish(0), [0, 1]);
    assert_eq!(bench.gather().into_data::<i64>().unwrap(), 3);
}

#[test]
fn the_best_of_the_lane_comes_first_whatever_came_last() {
    let bench = Bench::new(independent(4), 1);
    let tickets: Vec<_> = (0..4).filter_map(|_| bench.next(0)).collect();
    for ticket in tickets.into_iter().rev() {
        bench.run.put_back(WorkerId(0), ticket);
    }
    assert_eq!(bench.finish(0), [0, 1, 2, 3]);
}

#[test]
fn what_becomes_ready_gives_way_to_better_tasks() {
    // Workers run 0 and 4; what they make ready is 1 and 2, and 5.
    let bench = Bench::new(plan([&[], &[0], &[0], &[1, 2], &[], &[4, 4], &[3, 5]]), 2);
    let (low, high) = (bench.next(0).unwrap(), bench.next(1).unwrap());
    assert_eq!([low.task().0, high.task().0], [0, 4]);
    let first = bench.do_task(0, low).next.unwrap();
    bench.run.put_back(WorkerId(1), first);
    let next = bench.do_task(1, high).next;
    assert_eq!(numbers(next), [1], "5 is ready, and 1 lies in the lane");
    assert_eq!(numbers(bench.next(1)), [5]);
}

#[test]
fn only_the_last_task_ends_the_run() {
    let bench = Bench::new(independent(3), 3);
    let tickets: Vec<_> = (0..3).filter_map(|worker| bench.next(worker)).collect();
    let ended: Vec<bool> = (0..).zip(tickets).map(|(w, t)| bench.do_task(w, t).ended).collect();
    assert_eq!(ended, [false, false, true]);
    assert_eq!((bench.run.started(), bench.run.tasks()), (3, 3));
}

#[test]
fn the_first_end_holds() {
    let bench = Bench::new(independent(2), 1);
    let (one, two) = (bench.next(0).unwrap(), bench.next(0).unwrap());
    assert!(!bench.do_task(0, one).ended);
    assert!(bench.run.end(Status::Cancelled));
    assert!(!bench.run.end(Status::Failed));
    let late = bench.do_task(0, two);
    assert!(!late.ended && late.next.is_none());
    assert_eq!(bench.run.status(), Status::Cancelled);
    assert!(!bench.run.is_running());
}

#[test]
fn a_run_without_tasks_is_done_from_the_beginning() {
    let bench = Bench::new(independent(0), 2);
    assert_eq!((bench.run.status(), bench.run.tasks()), (Status::Done, 0));
    assert_eq!(bench.next(0), None);
    assert!(bench.gather().values().is_empty());
}

#[test]
fn only_the_task_that_a_lost_worker_was_in_is_taken_over() {
    let bench = Bench::new(independent(3), 2);
    let taken_over = || bench.run.take_over(WorkerId(0)).map(|ticket| ticket.task().0);
    assert_eq!(taken_over(), None, "it has started nothing");
    let ticket = bench.next(0).unwrap();
    let value = bench.call(0, &ticket);
    bench.run.stop(WorkerId(0));
    assert_eq!(taken_over(), None, "it has left the task");
    let ticket = bench.run.complete(WorkerId(2), ticket, value).next.unwrap();
    let ticket = bench.do_task(0, ticket).next.unwrap();
    assert_eq!(taken_over(), None, "it has completed the task");
    bench.run.start(WorkerId(0), &ticket);
    drop(ticket);
    assert_eq!(taken_over(), Some(2));
    assert_eq!(taken_over(), None, "it was taken over already");
}

#[test]
fn a_task_that_was_taken_over_runs_again_in_any_lane() {
    let bench = Bench::new(plan([&[], &[0]]), 2);
    let ticket = bench.next(0).unwrap();
    bench.run.start(WorkerId(0), &ticket);
    drop(ticket);
    let again = bench.run.take_over(WorkerId(0)).unwrap();
    assert!(bench.run.can_run_again(&again));
    bench.run.put_back(WorkerId(1), again);
    assert_eq!(bench.finish(1), [0, 1]);
    assert_eq!(bench.run.status(), Status::Done);
    bench.run.check_invariants();
}

#[test]
fn a_run_says_what_has_ended() {
    let bench = Bench::new(independent(2), 1);
    let ticket = bench.next(0).unwrap();
    bench.do_task(0, ticket);
    let ended = [0, 1].map(|task| bench.run.has_ended(TaskId(task)));
    assert_eq!(ended, [true, false]);
}

#[test]
#[should_panic(expected = "a ticket is valid in its own run only")]
fn a_ticket_of_another_run_is_refused() {
    let (one, two) = (Bench::new(independent(1), 1), Bench::numbered(2, independent(1), 1));
    let ticket = one.next(0).unwrap();
    two.run.put_back(WorkerId(0), ticket);
}
