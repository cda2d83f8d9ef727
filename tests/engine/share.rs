//! Workers share a run: what each claims, what it gives away, and when that pays.

use std::time::Duration;

use mobula::engine::{Ticket, Watch, WorkerId};

use crate::plans::{Bench, independent, numbers, plan};

const SHORT: Duration = Duration::from_nanos(50);
const LONG: Duration = Duration::from_micros(100);

/// What a worker gets from others at a time, if it was never there before.
fn take(bench: &Bench, worker: u32) -> Option<Ticket> {
    take_again(bench, worker, &mut Watch::default(), 1)
}

/// What a worker gets from others so many microseconds after the beginning.
fn take_again(bench: &Bench, worker: u32, watch: &mut Watch, micros: u64) -> Option<Ticket> {
    let ticket = bench.run.take_from_others(WorkerId(worker), watch, Duration::from_micros(micros));
    bench.run.check_invariants();
    ticket
}

/// Everything that is left for a worker.
fn rest(bench: &Bench, worker: u32) -> Vec<u32> {
    let tickets: Vec<_> = std::iter::from_fn(|| bench.next(worker)).collect();
    numbers(tickets)
}

#[test]
fn workers_claim_roots_in_shares_and_stay_near_each_other() {
    let bench = Bench::new(independent(100), 2);
    // A quarter of what is left, for each of two workers half of its half.
    assert_eq!(bench.next(0).map(|ticket| ticket.task().0), Some(0));
    assert_eq!(bench.next(1).map(|ticket| ticket.task().0), Some(25));
    assert_eq!(bench.run.available_to(WorkerId(0)), 17 + 57, "what lies with 1, and the unclaimed");
    assert_eq!(rest(&bench, 0).len(), 24 + 57);
}

#[test]
fn no_claim_is_larger_than_others_can_wait_for() {
    let bench = Bench::new(independent(10_000), 1);
    assert!(bench.next(0).is_some());
    assert_eq!(bench.run.available_to(WorkerId(1)), 9_999);
    let claimed = 10_000 - bench.run.available_to(WorkerId(0));
    assert_eq!(claimed, 64);
}

#[test]
fn the_worse_half_of_claimed_roots_is_given_away() {
    let bench = Bench::new(independent(8), 1);
    let tickets = [bench.next(0), bench.next(0)];
    assert_eq!(numbers(tickets.into_iter().flatten()), [0, 1]);
    let bench = Bench::new(independent(40), 2);
    assert_eq!(bench.next(0).map(|ticket| ticket.task().0), Some(0));
    assert_eq!(
        take(&bench, 1).map(|ticket| ticket.task().0),
        Some(5),
        "0 has 1 to 9, gives 5 to 9"
    );
    assert_eq!(rest(&bench, 0)[..4], [1, 2, 3, 4]);
}

#[test]
fn what_becomes_ready_is_given_away_by_halves_until_one_is_left() {
    let bench = Bench::new(plan([&[], &[0], &[0], &[0], &[0], &[0], &[1, 2, 3, 4, 5]]), 4);
    let source = bench.next(0).unwrap();
    let completion = bench.do_task(0, source);
    assert_eq!(numbers(completion.next), [1]);
    let taken = [1, 2, 3].map(|worker| take(&bench, worker).expect("there is work for four"));
    let mut all = numbers(taken);
    for worker in 0..4 {
        all.extend(rest(&bench, worker));
    }
    all.sort_unstable();
    assert_eq!(all, [2, 3, 4, 5], "nothing is lost and nothing comes twice");
}

#[test]
fn what_is_given_away_can_be_taken_on() {
    let bench = Bench::new(independent(64), 4);
    assert!(bench.next(0).is_some());
    let mut all = numbers([1, 2, 3].map(|worker| take(&bench, worker).unwrap()));
    for worker in 0..4 {
        all.extend(rest(&bench, worker));
    }
    all.sort_unstable();
    assert_eq!(all, (1..64).collect::<Vec<_>>());
}

#[test]
fn who_has_roots_and_takes_more_keeps_both() {
    let bench = Bench::new(independent(64), 2);
    let mut all = numbers([bench.next(0), bench.next(1), take(&bench, 1)].into_iter().flatten());
    all.extend(rest(&bench, 1));
    all.extend(rest(&bench, 0));
    all.sort_unstable();
    assert_eq!(all, (0..64).collect::<Vec<_>>());
}

#[test]
fn short_work_is_left_to_its_owner_unless_the_owner_stands_still() {
    let bench = Bench::new(independent(8), 1);
    bench.tasks_take(SHORT);
    let own = bench.next(0).unwrap();
    bench.run.put_back(WorkerId(0), own);
    let other = 1; // The lane of asynchronous tasks, which takes as any other.
    let mut watch = Watch::default();
    assert_eq!(take_again(&bench, other, &mut watch, 1), None);
    assert_eq!(take_again(&bench, other, &mut watch, 4), None, "3 microseconds are no stall");
    let started = bench.next(0).unwrap();
    bench.run.start(WorkerId(0), &started);
    assert_eq!(take_again(&bench, other, &mut watch, 6), None, "somebody has started something");
    assert!(take_again(&bench, other, &mut watch, 10).is_some());
}

#[test]
fn long_work_is_taken_at_once() {
    let bench = Bench::new(independent(8), 2);
    assert_eq!(take(&bench, 1), None, "nobody holds anything yet");
    let own = bench.next(0).unwrap();
    bench.tasks_take(LONG);
    assert!(take(&bench, 1).is_some());
    drop(own);
}

#[test]
fn work_of_unknown_length_is_taken_at_once() {
    let bench = Bench::new(independent(8), 2);
    assert!(bench.next(0).is_some());
    assert_eq!(bench.run.task_time(), None);
    assert!(take(&bench, 1).is_some());
}

#[test]
fn what_an_asynchronous_task_makes_ready_is_for_everybody() {
    let bench = Bench::new(plan([&[], &[0], &[0], &[1, 2]]), 2);
    let source = bench.next(0).unwrap();
    let value = bench.call(0, &source);
    bench.run.stop(WorkerId(0));
    let nobody = WorkerId(2);
    let completion = bench.run.complete(nobody, source, value);
    assert!(completion.surplus);
    bench.run.put_back(nobody, completion.next.unwrap());
    assert_eq!(bench.run.available_to(WorkerId(0)), 2);
    assert!(take(&bench, 0).is_some() && take(&bench, 1).is_some());
}

#[test]
fn what_lies_with_a_lost_worker_is_found_by_others() {
    let bench = Bench::new(plan([&[], &[0], &[0], &[1, 2]]), 2);
    let source = bench.next(1).unwrap();
    let next = bench.do_task(1, source).next.unwrap();
    bench.run.put_back(WorkerId(1), next);
    // Worker 1 is lost here; worker 0 finds both of its tasks.
    let mut order = Vec::new();
    while let Some(ticket) = bench.next(0).or_else(|| take(&bench, 0)) {
        order.push(ticket.task().0);
        let next = bench.do_task(0, ticket).next;
        if let Some(next) = next {
            bench.run.put_back(WorkerId(0), next);
        }
    }
    order.sort_unstable();
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn somebody_is_woken_when_there_is_enough_for_two() {
    let none = Bench::new(independent(1), 2);
    let only = none.next(0).unwrap();
    assert!(!none.run.sharing_pays(WorkerId(0)));
    drop(only);

    let bench = Bench::new(independent(8), 2);
    assert!(bench.run.sharing_pays(WorkerId(0)), "roots that nobody claimed are there for others");
    assert!(bench.next(0).is_some());
    assert!(bench.run.sharing_pays(WorkerId(0)), "nobody knows how long they take");
    bench.tasks_take(LONG);
    assert!(bench.run.sharing_pays(WorkerId(0)));
    let short = Bench::new(independent(8), 2);
    short.tasks_take(SHORT);
    assert!(short.next(0).is_some());
    assert!(!short.run.sharing_pays(WorkerId(0)));
}

#[test]
fn what_a_task_takes_is_a_mean_that_forgets() {
    let bench = Bench::new(independent(1), 1);
    bench.run.measured(10, LONG);
    assert_eq!(bench.run.task_time(), Some(LONG / 10));
    bench.run.measured(1, Duration::from_micros(50));
    assert_eq!(bench.run.task_time(), Some(Duration::from_micros(20)));
    bench.run.measured(0, Duration::ZERO);
    assert_eq!(bench.run.task_time(), Some(Duration::from_micros(15)));
}
